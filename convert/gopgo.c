/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/gopgo.h"

#include "convert/cfg.h"
#include "convert/gopclntab.h"
#include "convert/lines.h"
#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_BUDGET ((size_t)4 << 30)
#define PREEMPT "runtime.asyncPreempt"
#define UNSEEN (UINT32_MAX - 1) /* a location of the profile that no sample had so far */

struct fn { /* the first three are the key */
	uint32_t name, file;
	int64_t start; /* as the profile said; then as found */
};

struct frame {
	uint32_t fn, pad;
	int64_t line;
};

struct loc {
	uint64_t addr;
	uint32_t part;
	uint32_t first, n; /* frames, innermost first; none: to be looked up */
};

struct stack {                 /* the first two are the key */
	uint32_t leaf, caller; /* locs; caller may be PGO_NONE */
	uint64_t weight;
};

struct pgo_gopgo {
	struct pgo_strtab strs;
	struct fn *fns;
	struct frame *frames;
	struct loc *locs;
	struct stack *stacks;
	size_t n_fns, fns_room, n_frames, frames_room, n_locs, locs_room, n_stacks, stacks_room;
	struct pgo_map fn_map, loc_map, stack_map;
	struct pgo_go_stats stats;
	/* The profile that is being read. */
	const struct pgo_profile *p;
	uint32_t *loc_of; /* by its location: loc, PGO_NONE, UNSEEN */
	size_t loc_of_room;
};

struct pgo_gopgo *pgo_gopgo_new(struct pgo_err *err)
{
	struct pgo_gopgo *g = pgo_calloc(1, sizeof *g);

	if (g == NULL || pgo_strtab_init(&g->strs, NAMES_BUDGET) < 0) {
		(void)pgo_err_nomem(err);
		pgo_free(g);
		return NULL;
	}
	pgo_map_init(&g->fn_map);
	pgo_map_init(&g->loc_map);
	pgo_map_init(&g->stack_map);
	return g;
}

void pgo_gopgo_free(struct pgo_gopgo *g)
{
	if (g == NULL)
		return;
	pgo_strtab_fini(&g->strs);
	pgo_map_fini(&g->fn_map);
	pgo_map_fini(&g->loc_map);
	pgo_map_fini(&g->stack_map);
	pgo_free(g->fns);
	pgo_free(g->frames);
	pgo_free(g->locs);
	pgo_free(g->stacks);
	pgo_free(g->loc_of);
	pgo_free(g);
}

/* ------------------------------------------------------------------ tables */

/* These give an index, or PGO_NONE when out of memory. */
static uint32_t add_fn(struct pgo_gopgo *g, const char *name, const char *file, int64_t start)
{
	struct fn key, *f;
	uint32_t i;

	memset(&key, 0, sizeof key);
	key.name = pgo_strtab_puts(&g->strs, name);
	key.file = pgo_strtab_puts(&g->strs, file);
	key.start = start;
	if (key.name == PGO_STR_NONE || key.file == PGO_STR_NONE)
		return PGO_NONE;
	i = pgo_map_find_key(&g->fn_map, g->fns, sizeof *g->fns, &key, sizeof key);
	if (i != PGO_MAP_NONE)
		return i;
	f = PGO_VEC_PUSH(g->fns, g->n_fns, g->fns_room);
	if (f == NULL)
		return PGO_NONE;
	*f = key;
	i = (uint32_t)(g->n_fns - 1);
	return pgo_map_add_key(&g->fn_map, &key, sizeof key, i) < 0 ? PGO_NONE : i;
}

static int add_frame(struct pgo_gopgo *g, uint32_t fn, int64_t line)
{
	struct frame *f =
		fn != PGO_NONE ? PGO_VEC_PUSH(g->frames, g->n_frames, g->frames_room) : NULL;

	if (f == NULL)
		return -1;
	*f = (struct frame){.fn = fn, .line = line};
	return 0;
}

struct loc_key {
	const struct frame *frames;
	size_t n;
	struct pgo_go_place at;
};

static bool same_loc(const void *ctx, uint32_t index, const void *key)
{
	const struct pgo_gopgo *g = ctx;
	const struct loc *l = &g->locs[index];
	const struct loc_key *k = key;

	if (l->n != k->n)
		return false;
	if (k->n == 0)
		return l->addr == k->at.addr && l->part == k->at.part;
	return memcmp(&g->frames[l->first], k->frames, k->n * sizeof *k->frames) == 0;
}

/* The loc of the last `n` frames, which go if it is known already; of an address if n is 0. */
static uint32_t add_loc(struct pgo_gopgo *g, size_t n, struct pgo_go_place at)
{
	const struct loc_key key = {n != 0 ? &g->frames[g->n_frames - n] : NULL, n, at};
	uint64_t hash = n != 0 ? pgo_hash(key.frames, n * sizeof *key.frames)
			       : pgo_hash_u64(at.addr ^ (uint64_t)at.part << 48);
	uint32_t i = pgo_map_find(&g->loc_map, hash, same_loc, g, &key);
	struct loc *l;

	if (i != PGO_MAP_NONE) {
		g->n_frames -= n;
		return i;
	}
	l = PGO_VEC_PUSH(g->locs, g->n_locs, g->locs_room);
	if (l == NULL)
		return PGO_NONE;
	*l = (struct loc){at.addr, at.part, (uint32_t)(g->n_frames - n), (uint32_t)n};
	i = (uint32_t)(g->n_locs - 1);
	return pgo_map_add(&g->loc_map, hash, i) < 0 ? PGO_NONE : i;
}

static int add_stack(struct pgo_gopgo *g, uint32_t leaf, uint32_t caller, uint64_t weight)
{
	struct stack key = {leaf, caller, weight}, *s;
	uint32_t i = pgo_map_find_key(
		&g->stack_map, g->stacks, sizeof *g->stacks, &key, 2 * sizeof(uint32_t));

	if (i != PGO_MAP_NONE) {
		g->stacks[i].weight = pgo_add_sat(g->stacks[i].weight, weight);
		return 0;
	}
	s = PGO_VEC_PUSH(g->stacks, g->n_stacks, g->stacks_room);
	if (s == NULL)
		return -1;
	*s = key;
	return pgo_map_add_key(
		&g->stack_map, &key, 2 * sizeof(uint32_t), (uint32_t)(g->n_stacks - 1));
}

/* ------------------------------------------------------------------ profiles in */

int pgo_gopgo_begin(struct pgo_gopgo *g, const struct pgo_profile *p, struct pgo_err *err)
{
	g->p = p;
	if (PGO_VEC_RESERVE(g->loc_of, g->loc_of_room, p->n_locations + 1) < 0)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < p->n_locations; i++)
		g->loc_of[i] = UNSEEN;
	return 0;
}

static const char *name_of(const struct pgo_profile *p, const struct pgo_function *f)
{
	return pgo_profile_str(p, f->name != 0 ? f->name : f->system_name);
}

/* A location -> loc; PGO_NONE in *ret: neither names nor an address at hand. */
static int convert_location(
	struct pgo_gopgo *g, uint32_t location, struct pgo_go_place at, uint32_t *ret)
{
	const struct pgo_location *l = &g->p->locations[location];
	bool named = l->n_lines != 0;

	for (uint32_t i = 0; i < l->n_lines && named; i++)
		named = name_of(g->p,
				&g->p->functions[g->p->lines[l->first_line + i].function])[0] !=
			'\0';
	*ret = PGO_NONE;
	if (!named && at.part == PGO_NONE)
		return 0;
	for (uint32_t i = 0; i < l->n_lines && named; i++) {
		const struct pgo_line *line = &g->p->lines[l->first_line + i];
		const struct pgo_function *f = &g->p->functions[line->function];

		if (add_frame(g,
			    add_fn(g, name_of(g->p, f), pgo_profile_str(g->p, f->filename),
				    f->start_line),
			    line->line) < 0)
			return -1;
	}
	*ret = add_loc(g, named ? l->n_lines : 0, at);
	return *ret == PGO_NONE ? -1 : 0;
}

static int loc_of(struct pgo_gopgo *g, const struct pgo_sample *s, uint32_t i,
	struct pgo_go_place (*at)(const void *ctx, uint32_t location), const void *ctx,
	uint32_t *ret)
{
	uint32_t *to = &g->loc_of[s->loc[i]];

	if (*to == UNSEEN && convert_location(g, s->loc[i], at(ctx, s->loc[i]), to) < 0)
		return -1;
	*ret = *to;
	return 0;
}

static bool is_preempt(const struct pgo_gopgo *g, uint32_t loc)
{
	const struct loc *l = loc != PGO_NONE ? &g->locs[loc] : NULL;

	return l != NULL && l->n == 1 &&
	       strncmp(pgo_strtab_get(&g->strs, g->fns[g->frames[l->first].fn].name), PREEMPT,
		       sizeof PREEMPT - 1) == 0;
}

int pgo_gopgo_sample(struct pgo_gopgo *g, const struct pgo_sample *s, uint64_t n,
	struct pgo_go_place (*at)(const void *ctx, uint32_t location), const void *ctx,
	struct pgo_err *err)
{
	uint32_t leaf = PGO_NONE, caller = PGO_NONE, i = 0;

	if (n == 0 || s->n_loc == 0)
		return 0;
	g->stats.read = pgo_add_sat(g->stats.read, n);
	do {
		if (loc_of(g, s, i, at, ctx, &leaf) < 0)
			return pgo_err_nomem(err);
	} while (++i < s->n_loc && is_preempt(g, leaf));
	if (i < s->n_loc && loc_of(g, s, i, at, ctx, &caller) < 0)
		return pgo_err_nomem(err);
	if (leaf == PGO_NONE) {
		g->stats.unnamed = pgo_add_sat(g->stats.unnamed, n);
		return 0;
	}
	return add_stack(g, leaf, caller, n) < 0 ? pgo_err_nomem(err) : 0;
}

static void forget_samples(struct pgo_gopgo *g)
{
	g->stats = (struct pgo_go_stats){.lbr = true};
	g->n_stacks = 0;
	pgo_map_fini(&g->stack_map);
	pgo_map_init(&g->stack_map);
}

int pgo_gopgo_branches(struct pgo_gopgo *g, uint32_t part, const struct pgo_elf *elf,
	const struct pgo_codefns *fns, const struct pgo_ranges *r, struct pgo_err *err)
{
	if (!g->stats.lbr)
		forget_samples(g);
	for (size_t i = 0; i < r->n_traces; i++) {
		const struct pgo_trace *t = &r->traces[i];
		uint32_t source, target = PGO_NONE, to;

		if (!pgo_at_inside(t->source) || t->count == 0)
			continue;
		g->stats.read = pgo_add_sat(g->stats.read, t->count);
		source = add_loc(g, 0, (struct pgo_go_place){t->source, part});
		if (source == PGO_NONE)
			return pgo_err_nomem(err);
		to = pgo_at_inside(t->target) ? pgo_codefns_find(fns, t->target) : UINT32_MAX;
		if (to != UINT32_MAX && fns->fns[to].start == t->target &&
			pgo_insn_is_call((uint8_t)pgo_insn_kind_at(elf, t->source))) {
			target = add_loc(g, 0, (struct pgo_go_place){t->target, part});
			if (target == PGO_NONE)
				return pgo_err_nomem(err);
		}
		if (add_stack(g, target != PGO_NONE ? target : source,
			    target != PGO_NONE ? source : PGO_NONE, t->count) < 0)
			return pgo_err_nomem(err);
	}
	return 0;
}

/* ------------------------------------------------------------------ looking up */

static bool lacks_start(const struct pgo_gopgo *g, const struct loc *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (g->fns[g->frames[l->first + i].fn].start == 0)
			return true;
	return false;
}

static int from_line_table(struct pgo_gopgo *g, const struct pgo_elf *elf, struct pgo_err *err)
{
	struct pgo_gopclntab t;
	int rc = pgo_gopclntab_load(&t, elf, err);

	for (size_t i = 0; i < g->n_fns && rc == 0; i++)
		if (g->fns[i].start == 0)
			g->fns[i].start =
				pgo_gopclntab_line(&t, pgo_strtab_get(&g->strs, g->fns[i].name));
	pgo_gopclntab_fini(&t);
	return rc;
}

/* The frames of an address that has none, or the first lines that others lack. */
static int take_chain(
	struct pgo_gopgo *g, size_t loc, const struct pgo_frame *chain, size_t n_chain)
{
	uint32_t first = (uint32_t)g->n_frames;

	if (g->locs[loc].n != 0) {
		for (uint32_t i = 0; i < g->locs[loc].n; i++) {
			struct fn *f = &g->fns[g->frames[g->locs[loc].first + i].fn];

			for (size_t k = 0; k < n_chain && f->start == 0; k++)
				if (chain[k].function == f->name)
					f->start = chain[k].decl_line;
		}
		return 0;
	}
	for (size_t i = 0; i < n_chain; i++) {
		const char *name = pgo_strtab_get(&g->strs, chain[i].function);

		if (add_frame(g,
			    add_fn(g, name, pgo_strtab_get(&g->strs, chain[i].file),
				    chain[i].decl_line),
			    chain[i].line) < 0)
			return -1;
	}
	g->locs[loc].first = first;
	g->locs[loc].n = (uint32_t)n_chain;
	return 0;
}

static int from_dwarf(struct pgo_gopgo *g, const struct pgo_lines *lines, uint32_t part)
{
	struct pgo_frame *chain = pgo_calloc(PGO_MAX_FRAMES, sizeof *chain);
	int rc = chain != NULL ? 0 : -1;

	for (size_t i = 0; i < g->n_locs && rc == 0; i++) {
		uint64_t end;

		if (g->locs[i].part == part && (g->locs[i].n == 0 || lacks_start(g, &g->locs[i])))
			rc = take_chain(
				g, i, chain, pgo_lines_at(lines, g->locs[i].addr, chain, &end));
	}
	pgo_free(chain);
	return rc;
}

int pgo_gopgo_look_up(struct pgo_gopgo *g, const struct pgo_elf *elf, uint32_t part,
	const char *debug, struct pgo_err *err)
{
	struct pgo_err why = PGO_ERR_INIT;
	struct pgo_lines *lines;
	uint64_t *wanted;
	size_t n = 0;
	int rc = from_line_table(g, elf, err);

	if (rc < 0)
		return rc;
	wanted = pgo_malloc((g->n_locs + 1) * sizeof *wanted);
	if (wanted == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < g->n_locs; i++)
		if (g->locs[i].part == part && (g->locs[i].n == 0 || lacks_start(g, &g->locs[i])))
			wanted[n++] = g->locs[i].addr;
	if (n != 0) {
		qsort(wanted, n, sizeof *wanted, pgo_compare_u64);
		lines = pgo_lines_open(elf, debug, wanted, n, &g->strs, &why);
		if (lines != NULL && from_dwarf(g, lines, part) < 0)
			rc = pgo_err_nomem(err);
		else if (lines == NULL && why.code == PGO_ENOMEM)
			rc = pgo_err_nomem(err);
		pgo_lines_close(lines);
	}
	pgo_free(wanted);
	return rc;
}

/* ------------------------------------------------------------------ finishing */

/* Locs that became equal are one, and stacks that became equal; what stayed unknown goes. */
static int unify(struct pgo_gopgo *g)
{
	uint32_t *to = pgo_malloc((g->n_locs + 1) * sizeof *to);
	struct stack *old = g->stacks;
	size_t n = g->n_stacks, n_locs = g->n_locs;
	int rc = to != NULL ? 0 : -1;

	pgo_map_fini(&g->loc_map);
	pgo_map_init(&g->loc_map);
	pgo_map_fini(&g->stack_map);
	pgo_map_init(&g->stack_map);
	for (size_t i = 0; i < n_locs && rc == 0; i++) {
		const struct loc *l = &g->locs[i];
		const struct loc_key key = {&g->frames[l->first], l->n, {0, PGO_NONE}};
		uint64_t hash;

		to[i] = PGO_NONE;
		if (l->n == 0)
			continue;
		hash = pgo_hash(key.frames, l->n * sizeof *key.frames);
		to[i] = pgo_map_find(&g->loc_map, hash, same_loc, g, &key);
		if (to[i] == PGO_MAP_NONE) {
			to[i] = (uint32_t)i;
			rc = pgo_map_add(&g->loc_map, hash, (uint32_t)i);
		}
	}
	g->stacks = NULL;
	g->n_stacks = g->stacks_room = 0;
	for (size_t i = 0; i < n && rc == 0; i++) {
		uint32_t leaf = to[old[i].leaf];
		uint32_t caller = old[i].caller != PGO_NONE ? to[old[i].caller] : PGO_NONE;

		if (leaf == PGO_NONE &&
			g->stats.lbr) { /* a call of what is unknown: the caller's line */
			leaf = caller;
			caller = PGO_NONE;
		}
		if (leaf == PGO_NONE)
			g->stats.unnamed = pgo_add_sat(g->stats.unnamed, old[i].weight);
		else
			rc = add_stack(g, leaf, caller, old[i].weight);
	}
	pgo_free(old);
	pgo_free(to);
	return rc;
}

static int compare_fns(const struct pgo_gopgo *g, const struct fn *a, const struct fn *b)
{
	int d = strcmp(pgo_strtab_get(&g->strs, a->name), pgo_strtab_get(&g->strs, b->name));

	if (d == 0)
		d = strcmp(pgo_strtab_get(&g->strs, a->file), pgo_strtab_get(&g->strs, b->file));
	return d != 0 ? d : a->start < b->start ? -1 : a->start > b->start;
}

static int compare_locs(const struct pgo_gopgo *g, uint32_t a, uint32_t b)
{
	const struct loc *x, *y;

	if (a == b)
		return 0;
	if (a == PGO_NONE || b == PGO_NONE)
		return a == PGO_NONE ? -1 : 1;
	x = &g->locs[a];
	y = &g->locs[b];
	for (uint32_t i = 0; i < x->n && i < y->n; i++) {
		const struct frame *p = &g->frames[x->first + i], *q = &g->frames[y->first + i];
		int d = compare_fns(g, &g->fns[p->fn], &g->fns[q->fn]);

		if (d != 0)
			return d;
		if (p->line != q->line)
			return p->line < q->line ? -1 : 1;
	}
	return x->n < y->n ? -1 : x->n > y->n;
}

static int by_content(const void *pa, const void *pb, void *ctx)
{
	const struct stack *a = pa, *b = pb;
	int d = compare_locs(ctx, a->leaf, b->leaf);

	return d != 0 ? d : compare_locs(ctx, a->caller, b->caller);
}

int pgo_gopgo_finish(struct pgo_gopgo *g, struct pgo_err *err)
{
	bool started = false;

	if (unify(g) < 0)
		return pgo_err_nomem(err);
	if (g->n_stacks == 0)
		return pgo_err_set(err, PGO_EEMPTY,
			"no sample is of a Go function: the profile has neither names nor "
			"addresses "
			"that debug information of the program knows");
	qsort_r(g->stacks, g->n_stacks, sizeof *g->stacks, by_content, g);
	for (size_t i = 0; i < g->n_stacks; i++) {
		const struct stack *s = &g->stacks[i];

		g->stats.used = pgo_add_sat(g->stats.used, s->weight);
		if (lacks_start(g, &g->locs[s->leaf]) ||
			(s->caller != PGO_NONE && lacks_start(g, &g->locs[s->caller])))
			g->stats.no_start = pgo_add_sat(g->stats.no_start, s->weight);
	}
	for (size_t i = 0; i < g->n_fns && !started; i++)
		started = g->fns[i].start != 0;
	if (!started)
		return pgo_err_set(err, PGO_EMISMATCH,
			"no function of the profile has a first line, without which Go's compiler "
			"matches nothing; name the program that was profiled (--binary), a Go "
			"program of Go 1.20 or newer");
	return 0;
}

const struct pgo_go_stats *pgo_gopgo_stats(const struct pgo_gopgo *g)
{
	return &g->stats;
}

/* ------------------------------------------------------------------ results */

struct maker {
	const struct pgo_gopgo *g;
	struct pgo_profile *p;
	uint32_t *fn;          /* by fn: function of the profile, or PGO_NONE */
	uint32_t *loc, *again; /* by loc: location; a second one, for recursion in one line */
};

static uint32_t profile_fn(struct maker *m, uint32_t i)
{
	const struct fn *f = &m->g->fns[i];
	struct pgo_function to = {.start_line = f->start};

	if (m->fn[i] != PGO_NONE)
		return m->fn[i];
	to.name = to.system_name =
		pgo_strtab_puts(&m->p->strs, pgo_strtab_get(&m->g->strs, f->name));
	to.filename = pgo_strtab_puts(&m->p->strs, pgo_strtab_get(&m->g->strs, f->file));
	if (to.name == PGO_STR_NONE || to.filename == PGO_STR_NONE)
		return PGO_NONE;
	return m->fn[i] = pgo_profile_add_function(m->p, &to);
}

/* Go tells places in one line apart by their addresses: each location has one of its own. */
static uint32_t profile_loc(struct maker *m, uint32_t *cache, uint32_t i)
{
	const struct loc *l = &m->g->locs[i];
	struct pgo_line *lines;

	if (cache[i] != PGO_NONE)
		return cache[i];
	lines = pgo_calloc(l->n, sizeof *lines);
	for (uint32_t k = 0; lines != NULL && k < l->n; k++) {
		const struct frame *f = &m->g->frames[l->first + k];

		lines[k].function = profile_fn(m, f->fn);
		lines[k].line = f->line;
		if (lines[k].function == PGO_NONE) {
			pgo_free(lines);
			lines = NULL;
		}
	}
	if (lines != NULL)
		cache[i] = pgo_profile_add_location(
			m->p, PGO_NONE, m->p->n_locations + 1, lines, l->n);
	pgo_free(lines);
	return cache[i];
}

static int profile_stacks(struct maker *m)
{
	for (size_t i = 0; i < m->g->n_stacks; i++) {
		const struct stack *s = &m->g->stacks[i];
		const int64_t value = s->weight > INT64_MAX ? INT64_MAX : (int64_t)s->weight;
		uint32_t loc[2];
		struct pgo_sample sample = {.loc = loc, .value = &value, .n_loc = 1};

		loc[0] = profile_loc(m, m->loc, s->leaf);
		if (s->caller != PGO_NONE) {
			loc[1] =
				profile_loc(m, s->caller == s->leaf ? m->again : m->loc, s->caller);
			sample.n_loc = 2;
		}
		if (loc[0] == PGO_NONE || (sample.n_loc == 2 && loc[1] == PGO_NONE) ||
			pgo_profile_add_sample(m->p, &sample) < 0)
			return -1;
	}
	return 0;
}

struct pgo_profile *pgo_gopgo_profile(const struct pgo_gopgo *g, struct pgo_err *err)
{
	struct maker m = {.g = g};
	bool good = false;

	m.p = pgo_profile_new(err);
	if (m.p == NULL)
		return NULL;
	m.fn = pgo_malloc((g->n_fns + 1) * sizeof *m.fn);
	m.loc = pgo_malloc((g->n_locs + 1) * sizeof *m.loc);
	m.again = pgo_malloc((g->n_locs + 1) * sizeof *m.again);
	if (m.fn != NULL && m.loc != NULL && m.again != NULL) {
		memset(m.fn, 0xff, (g->n_fns + 1) * sizeof *m.fn);
		memset(m.loc, 0xff, (g->n_locs + 1) * sizeof *m.loc);
		memset(m.again, 0xff, (g->n_locs + 1) * sizeof *m.again);
		good = pgo_profile_add_sample_type(m.p, "samples", "count") != PGO_NONE &&
		       profile_stacks(&m) == 0;
	}
	pgo_free(m.fn);
	pgo_free(m.loc);
	pgo_free(m.again);
	if (good)
		return m.p;
	(void)pgo_err_nomem(err);
	pgo_profile_free(m.p);
	return NULL;
}

/* ---- calls, by the rules of Go's own reader */

struct node {
	uint32_t loc, again; /* of recursion in one line, the caller's is another node */
	struct frame frame;
};

struct walk {
	const struct pgo_gopgo *g;
	struct pgo_go_calls *calls;
	struct node *nodes;
	struct {
		size_t from, to;
	} * edges;
	size_t n_nodes, nodes_room, n_edges, edges_room;
};

static size_t find_node(struct walk *w, const struct node *n, bool *ret_seen)
{
	struct node *to;

	for (size_t i = 0; i < w->n_nodes; i++)
		if (w->nodes[i].loc == n->loc && w->nodes[i].again == n->again &&
			w->nodes[i].frame.fn == n->frame.fn &&
			w->nodes[i].frame.line == n->frame.line) {
			*ret_seen = true;
			return i;
		}
	*ret_seen = false;
	to = PGO_VEC_PUSH(w->nodes, w->n_nodes, w->nodes_room);
	if (to == NULL)
		return SIZE_MAX;
	*to = *n;
	return w->n_nodes - 1;
}

static bool seen_edge(const struct walk *w, size_t from, size_t to)
{
	for (size_t i = 0; i < w->n_edges; i++)
		if (w->edges[i].from == from && w->edges[i].to == to)
			return true;
	return false;
}

static int add_call(struct walk *w, const struct frame *from, const struct frame *to, uint64_t n)
{
	const struct fn *caller = &w->g->fns[from->fn], *callee = &w->g->fns[to->fn];
	struct pgo_go_call *c =
		PGO_VEC_PUSH(w->calls->calls, w->calls->n_calls, w->calls->calls_room);

	if (c == NULL)
		return -1;
	c->caller = pgo_strtab_puts(&w->calls->strs, pgo_strtab_get(&w->g->strs, caller->name));
	c->callee = pgo_strtab_puts(&w->calls->strs, pgo_strtab_get(&w->g->strs, callee->name));
	c->offset = (int64_t)((uint64_t)from->line - (uint64_t)caller->start);
	c->weight = n > INT64_MAX ? INT64_MAX : (int64_t)n;
	return c->caller == PGO_STR_NONE || c->callee == PGO_STR_NONE ? -1 : 0;
}

/* One location's frames, outermost first; `*parent`: the node before, or SIZE_MAX. */
static int walk_loc(struct walk *w, uint32_t loc, uint32_t again, uint64_t weight, size_t *parent)
{
	const struct loc *l = &w->g->locs[loc];

	for (uint32_t i = l->n; i-- > 0;) {
		const struct node n = {loc, again, w->g->frames[l->first + i]};
		bool seen;
		size_t at = find_node(w, &n, &seen);

		if (at == SIZE_MAX)
			return -1;
		if (*parent != SIZE_MAX && at != *parent && (!seen || !seen_edge(w, *parent, at))) {
			__typeof__(w->edges) e = PGO_VEC_PUSH(w->edges, w->n_edges, w->edges_room);

			if (e == NULL ||
				add_call(w, &w->nodes[*parent].frame, &n.frame, weight) < 0)
				return -1;
			e->from = *parent;
			e->to = at;
		}
		*parent = at;
	}
	return 0;
}

int pgo_gopgo_calls(const struct pgo_gopgo *g, struct pgo_go_calls *ret, struct pgo_err *err)
{
	struct walk w = {.g = g, .calls = ret};
	int rc = 0;

	for (size_t i = 0; i < g->n_stacks && rc == 0; i++) {
		const struct stack *s = &g->stacks[i];
		size_t parent = SIZE_MAX;

		w.n_nodes = w.n_edges = 0;
		if (s->caller != PGO_NONE)
			rc = walk_loc(&w, s->caller, s->caller == s->leaf, s->weight, &parent);
		if (rc == 0)
			rc = walk_loc(&w, s->leaf, 0, s->weight, &parent);
	}
	pgo_free(w.nodes);
	pgo_free(w.edges);
	if (rc < 0)
		return pgo_err_nomem(err);
	pgo_go_calls_sort(ret);
	return 0;
}
