/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/fnprof.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

/* Up to this many elements a scan is faster than a hash table. */
#define SCAN_MAX 8
/* Bytes of names; a profile of a very large binary has some hundred megabytes. */
#define NAMES_BUDGET ((size_t)8 << 30)

struct pgo_fnprof *pgo_fnprof_new(struct pgo_err *err)
{
	struct pgo_fnprof *p = pgo_calloc(1, sizeof *p);

	if (p == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	if (pgo_strtab_init(&p->strs, NAMES_BUDGET) < 0) {
		pgo_err_nomem(err);
		pgo_free(p);
		return NULL;
	}
	pgo_arena_init(&p->arena, PGO_FNPROF_BUDGET);
	pgo_map_init(&p->by_name);
	return p;
}

void pgo_fnprof_free(struct pgo_fnprof *p)
{
	if (p == NULL)
		return;
	pgo_strtab_fini(&p->strs);
	pgo_arena_fini(&p->arena);
	pgo_map_fini(&p->by_name);
	pgo_free(p->fns);
	pgo_free(p->cold);
	pgo_free(p);
}

/* ------------------------------------------------------------------ top level */

struct fn_key {
	uint32_t name, file;
};

static bool fn_eq(const void *ctx, uint32_t index, const void *key)
{
	const struct pgo_fnprof *p = ctx;
	const struct fn_key *k = key;

	return p->fns[index]->name == k->name && p->fns[index]->file == k->file;
}

static uint64_t fn_hash(uint32_t name, uint32_t file)
{
	return pgo_hash_u64((uint64_t)file << 32 | name);
}

static struct pgo_fn *new_fn(struct pgo_fnprof *p, uint32_t name, unsigned depth)
{
	struct pgo_fn *f = pgo_arena_zalloc(&p->arena, 1, sizeof *f);

	if (f != NULL) {
		f->name = name;
		f->depth = (uint16_t)depth;
	}
	return f;
}

struct pgo_fn *pgo_fnprof_fn_of_file(struct pgo_fnprof *p, uint32_t name, uint32_t file)
{
	struct fn_key key = {name, file};
	uint64_t hash = fn_hash(name, file);
	uint32_t i = pgo_map_find(&p->by_name, hash, fn_eq, p, &key);
	struct pgo_fn *f;

	if (i != PGO_MAP_NONE)
		return p->fns[i];
	if (PGO_VEC_RESERVE(p->fns, p->fns_room, p->n_fns + 1) < 0)
		return NULL;
	f = new_fn(p, name, 0);
	if (f == NULL || pgo_map_add(&p->by_name, hash, (uint32_t)p->n_fns) < 0)
		return NULL;
	f->file = file;
	p->fns[p->n_fns++] = f;
	return f;
}

void pgo_fnprof_reindex(struct pgo_fnprof *p)
{
	/* In place: the number of entries, hence the room they need, is the same. */
	if (p->by_name.n_slots != 0)
		memset(p->by_name.slots, 0, p->by_name.n_slots * sizeof *p->by_name.slots);
	p->by_name.n_used = 0;
	for (size_t i = 0; i < p->n_fns; i++)
		(void)pgo_map_add(
			&p->by_name, fn_hash(p->fns[i]->name, p->fns[i]->file), (uint32_t)i);
}

struct pgo_fn *pgo_fnprof_fn(struct pgo_fnprof *p, uint32_t name)
{
	return pgo_fnprof_fn_of_file(p, name, 0);
}

struct pgo_fn *pgo_fnprof_find(const struct pgo_fnprof *p, const char *name)
{
	uint32_t id = pgo_strtab_find(&p->strs, name, strlen(name));
	struct fn_key key = {id, 0};
	uint32_t i;

	if (id == PGO_STR_NONE)
		return NULL;
	i = pgo_map_find(&p->by_name, fn_hash(id, 0), fn_eq, p, &key);
	if (i != PGO_MAP_NONE)
		return p->fns[i];
	/* Its file may be known: then the key has it. */
	for (size_t k = 0; k < p->n_fns; k++)
		if (p->fns[k]->name == id)
			return p->fns[k];
	return NULL;
}

int pgo_fnprof_add_cold(struct pgo_fnprof *p, uint32_t name)
{
	uint32_t *c = PGO_VEC_PUSH(p->cold, p->n_cold, p->cold_room);

	if (c == NULL)
		return PGO_ENOMEM;
	*c = name;
	return 0;
}

/* ------------------------------------------------------------------ positions and call sites */

static uint64_t place_hash(uint32_t line, uint32_t disc, uint32_t name)
{
	return pgo_hash_u64(((uint64_t)line << 32 | disc) + name * 0x9e3779b97f4a7c15u);
}

/* A larger array in the arena; the old one stays behind, at most as large again in all. */
static int grow(
	struct pgo_fnprof *p, void *array, uint32_t n, uint32_t *room, uint32_t want, size_t size)
{
	void *old, *new;
	uint64_t r = *room != 0 ? *room : 4;

	while (r < want)
		r *= 2;
	if (*room == 0 && want > 4)
		r = want;
	if (r > UINT32_MAX / 2)
		return -1;
	new = pgo_arena_zalloc(&p->arena, (size_t)r, size);
	if (new == NULL)
		return -1;
	memcpy(&old, array, sizeof old);
	if (n != 0)
		memcpy(new, old, n * size);
	memcpy(array, &new, sizeof new);
	*room = (uint32_t)r;
	return 0;
}

static void index_put(struct pgo_fn_index *ix, uint64_t hash, uint32_t i)
{
	uint32_t mask = ix->n_slots - 1;
	uint32_t s = (uint32_t)hash & mask;

	while (ix->slots[s] != 0)
		s = (s + 1) & mask;
	ix->slots[s] = i + 1;
}

static int index_room(struct pgo_fnprof *p, struct pgo_fn_index *ix, uint32_t n)
{
	uint32_t size = 32;

	while (size < n * 2)
		size *= 2;
	ix->slots = pgo_arena_zalloc(&p->arena, size, sizeof *ix->slots);
	ix->n_slots = ix->slots != NULL ? size : 0;
	return ix->slots != NULL ? 0 : -1;
}

static uint64_t pos_hash(const struct pgo_fn_pos *x)
{
	return place_hash(x->line, x->disc, 0);
}

static uint64_t call_hash(const struct pgo_fn_call *x)
{
	return place_hash(x->line, x->disc, x->callee->name);
}

/* Makes the index fit n elements; rebuilds it after growth or after a sort threw it away. */
static int pos_index_fit(struct pgo_fnprof *p, struct pgo_fn *f)
{
	if (f->n_pos <= SCAN_MAX || f->n_pos * 4ull <= f->pos_index.n_slots * 3ull)
		return 0;
	if (index_room(p, &f->pos_index, f->pos_room > f->n_pos ? f->pos_room : f->n_pos) < 0)
		return -1;
	for (uint32_t i = 0; i < f->n_pos; i++)
		index_put(&f->pos_index, pos_hash(&f->pos[i]), i);
	return 0;
}

static int calls_index_fit(struct pgo_fnprof *p, struct pgo_fn *f)
{
	if (f->n_calls <= SCAN_MAX || f->n_calls * 4ull <= f->calls_index.n_slots * 3ull)
		return 0;
	if (index_room(p, &f->calls_index,
		    f->calls_room > f->n_calls ? f->calls_room : f->n_calls) < 0)
		return -1;
	for (uint32_t i = 0; i < f->n_calls; i++)
		index_put(&f->calls_index, call_hash(&f->calls[i]), i);
	return 0;
}

static bool pos_is(const struct pgo_fn_pos *x, uint32_t line, uint32_t disc)
{
	return x->line == line && x->disc == disc;
}

static struct pgo_fn_pos *pos_find(const struct pgo_fn *f, uint32_t line, uint32_t disc)
{
	const struct pgo_fn_index *ix = &f->pos_index;
	uint32_t mask = ix->n_slots - 1;

	if (ix->n_slots == 0) {
		for (uint32_t i = f->n_pos; i-- > 0;)
			if (pos_is(&f->pos[i], line, disc))
				return &f->pos[i];
		return NULL;
	}
	for (uint32_t s = (uint32_t)place_hash(line, disc, 0) & mask; ix->slots[s] != 0;
		s = (s + 1) & mask)
		if (pos_is(&f->pos[ix->slots[s] - 1], line, disc))
			return &f->pos[ix->slots[s] - 1];
	return NULL;
}

const struct pgo_fn_pos *pgo_fn_position_find(const struct pgo_fn *f, uint32_t line, uint32_t disc)
{
	return pos_find(f, line & 0xffff, disc);
}

struct pgo_fn_pos *pgo_fn_position(
	struct pgo_fnprof *p, struct pgo_fn *f, uint32_t line, uint32_t disc)
{
	struct pgo_fn_pos *x;

	line &= 0xffff;
	if (f->next_pos >= f->n_pos)
		f->next_pos = 0;
	if (f->n_pos != 0 && pos_is(&f->pos[f->next_pos], line, disc))
		return &f->pos[f->next_pos++];
	if (pos_index_fit(p, f) < 0)
		return NULL;
	x = pos_find(f, line, disc);
	if (x != NULL) {
		f->next_pos = (uint32_t)(x - f->pos) + 1;
		return x;
	}
	if (f->n_pos == f->pos_room &&
		grow(p, &f->pos, f->n_pos, &f->pos_room, f->n_pos + 1, sizeof *f->pos) < 0)
		return NULL;
	x = &f->pos[f->n_pos++];
	memset(x, 0, sizeof *x);
	x->line = line;
	x->disc = disc;
	if (f->pos_index.n_slots != 0)
		index_put(&f->pos_index, pos_hash(x), f->n_pos - 1);
	return x;
}

int pgo_fn_pos_max(
	struct pgo_fnprof *p, struct pgo_fn *f, uint32_t line, uint32_t disc, uint64_t count)
{
	struct pgo_fn_pos *x = pgo_fn_position(p, f, line, disc);

	if (x == NULL)
		return PGO_ENOMEM;
	if (count > x->count)
		x->count = count;
	return 0;
}

int pgo_fn_pos_add(
	struct pgo_fnprof *p, struct pgo_fn *f, uint32_t line, uint32_t disc, uint64_t count)
{
	struct pgo_fn_pos *x = pgo_fn_position(p, f, line, disc);

	if (x == NULL)
		return PGO_ENOMEM;
	x->count = pgo_sat_add(x->count, count);
	return 0;
}

static int target_add(struct pgo_fnprof *p, struct pgo_fn_pos *x, uint32_t callee, uint64_t count)
{
	for (uint32_t i = 0; i < x->n_targets; i++)
		if (x->targets[i].name == callee) {
			x->targets[i].count = pgo_sat_add(x->targets[i].count, count);
			return 0;
		}
	if (x->n_targets == x->targets_room && grow(p, &x->targets, x->n_targets, &x->targets_room,
						       x->n_targets + 1, sizeof *x->targets) < 0)
		return PGO_ENOMEM;
	x->targets[x->n_targets].name = callee;
	x->targets[x->n_targets++].count = count;
	return 0;
}

static int by_name_id(const void *a, const void *b)
{
	const struct pgo_fn_target *x = a, *y = b;

	return x->name < y->name ? -1 : x->name > y->name;
}

int pgo_fn_targets_add(
	struct pgo_fnprof *p, struct pgo_fn_pos *x, const struct pgo_fn_target *t, uint32_t n)
{
	uint32_t kept = 0;

	if (n <= SCAN_MAX && x->n_targets <= SCAN_MAX) {
		for (uint32_t i = 0; i < n; i++)
			if (target_add(p, x, t[i].name, t[i].count) < 0)
				return PGO_ENOMEM;
		return 0;
	}
	/* Many: all behind each other, sorted, and equal neighbours added up. */
	if (n > UINT32_MAX / 4 - x->n_targets)
		return PGO_ENOMEM;
	if (x->n_targets + n > x->targets_room &&
		grow(p, &x->targets, x->n_targets, &x->targets_room, x->n_targets + n,
			sizeof *x->targets) < 0)
		return PGO_ENOMEM;
	memcpy(x->targets + x->n_targets, t, n * sizeof *t);
	x->n_targets += n;
	qsort(x->targets, x->n_targets, sizeof *x->targets, by_name_id);
	for (uint32_t i = 0; i < x->n_targets; i++) {
		struct pgo_fn_target *last = &x->targets[kept == 0 ? 0 : kept - 1];

		if (kept != 0 && last->name == x->targets[i].name)
			last->count = pgo_sat_add(last->count, x->targets[i].count);
		else
			x->targets[kept++] = x->targets[i];
	}
	x->n_targets = kept;
	return 0;
}

int pgo_fn_target_add(struct pgo_fnprof *p, struct pgo_fn *f, uint32_t line, uint32_t disc,
	uint32_t callee, uint64_t count)
{
	struct pgo_fn_pos *x = pgo_fn_position(p, f, line, disc);

	return x != NULL ? target_add(p, x, callee, count) : PGO_ENOMEM;
}

static bool call_is(const struct pgo_fn_call *x, uint32_t line, uint32_t disc, uint32_t name)
{
	return x->line == line && x->disc == disc && x->callee->name == name;
}

struct pgo_fn *pgo_fn_inlined_find(
	const struct pgo_fn *f, uint32_t line, uint32_t disc, uint32_t name)
{
	const struct pgo_fn_index *ix = &f->calls_index;
	uint32_t mask = ix->n_slots - 1;

	line &= 0xffff;
	if (ix->n_slots == 0) {
		for (uint32_t i = f->n_calls; i-- > 0;)
			if (call_is(&f->calls[i], line, disc, name))
				return f->calls[i].callee;
		return NULL;
	}
	for (uint32_t s = (uint32_t)place_hash(line, disc, name) & mask; ix->slots[s] != 0;
		s = (s + 1) & mask)
		if (call_is(&f->calls[ix->slots[s] - 1], line, disc, name))
			return f->calls[ix->slots[s] - 1].callee;
	return NULL;
}

struct pgo_fn *pgo_fn_inlined(
	struct pgo_fnprof *p, struct pgo_fn *f, uint32_t line, uint32_t disc, uint32_t name)
{
	struct pgo_fn_call *x;
	struct pgo_fn *callee;

	line &= 0xffff;
	if (f->next_call >= f->n_calls)
		f->next_call = 0;
	x = f->n_calls != 0 ? &f->calls[f->next_call++] : NULL;
	if (x != NULL && x->line == line && x->disc == disc && x->callee->name == name)
		return x->callee;
	if (f->depth >= PGO_FN_DEPTH_MAX || calls_index_fit(p, f) < 0)
		return NULL;
	callee = pgo_fn_inlined_find(f, line, disc, name);
	if (callee != NULL)
		return callee;
	if (f->n_calls == f->calls_room && grow(p, &f->calls, f->n_calls, &f->calls_room,
						   f->n_calls + 1, sizeof *f->calls) < 0)
		return NULL;
	callee = new_fn(p, name, f->depth + 1u);
	if (callee == NULL)
		return NULL;
	x = &f->calls[f->n_calls++];
	x->line = line;
	x->disc = disc;
	x->callee = callee;
	if (f->calls_index.n_slots != 0)
		index_put(&f->calls_index, call_hash(x), f->n_calls - 1);
	return callee;
}

int pgo_fn_reserve(struct pgo_fnprof *p, struct pgo_fn *f, uint32_t n_pos, uint32_t n_calls)
{
	if (n_pos > f->pos_room &&
		grow(p, &f->pos, f->n_pos, &f->pos_room, n_pos, sizeof *f->pos) < 0)
		return PGO_ENOMEM;
	if (n_calls > f->calls_room &&
		grow(p, &f->calls, f->n_calls, &f->calls_room, n_calls, sizeof *f->calls) < 0)
		return PGO_ENOMEM;
	return 0;
}
