/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/stale.h"

#include "convert/lines.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/map.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct place {
	uint32_t name, offset;
};

/* Offset of a function's own entry in the set of places. */
#define NAME_ONLY UINT32_MAX

struct tally { /* of a function of the profile, in all its contexts */
	uint32_t name;
	uint64_t count, no_line;
	size_t n_no_line;
};

struct search {
	struct pgo_strtab strs; /* names of both sides */
	struct place *places;   /* what the target has */
	size_t n_places, places_room;
	struct pgo_map place_map;
	struct tally *tallies;
	size_t n_tallies, tallies_room;
	struct pgo_map tally_map;
};

/* ------------------------------------------------------------------ the target */

static bool has_place(const struct search *s, uint32_t name, uint32_t offset)
{
	struct place key = {name, offset};

	return pgo_map_find_key(&s->place_map, s->places, sizeof key, &key, sizeof key) !=
	       PGO_MAP_NONE;
}

static int add_place(struct search *s, uint32_t name, uint32_t offset)
{
	struct place *p;

	if (has_place(s, name, offset))
		return 0;
	p = PGO_VEC_PUSH(s->places, s->n_places, s->places_room);
	if (p == NULL)
		return -1;
	*p = (struct place){name, offset};
	return pgo_map_add_key(&s->place_map, p, sizeof *p, (uint32_t)(s->n_places - 1));
}

/* The lines of one stretch of code: its own, and those of the calls that were inlined there. */
static int add_chain(struct search *s, const struct pgo_lines *l, const struct pgo_lines_hit *hit)
{
	uint32_t line = hit->line;

	for (uint32_t n = hit->node; n != UINT32_MAX;) {
		const struct pgo_lines_node *d = pgo_lines_node(l, n);

		if (add_place(s, d->name, NAME_ONLY) < 0 ||
			(line != 0 && d->decl_line != 0 &&
				add_place(s, d->name, (line - d->decl_line) & 0xffff) < 0))
			return -1;
		line = d->call_line;
		n = d->parent;
	}
	return 0;
}

static int add_lines(struct search *s, const struct pgo_lines *l)
{
	for (size_t i = 0; i < pgo_lines_n_fns(l); i++) {
		const struct pgo_lines_fn *fn = pgo_lines_fn(l, (uint32_t)i);

		for (uint32_t k = 0; k < fn->n_ranges; k++) {
			struct pgo_lines_hit hit;
			uint64_t lo, hi;

			pgo_lines_range(l, fn, k, &lo, &hi);
			for (; lo < hi; lo = hit.end) {
				pgo_lines_find(l, lo, &hit);
				if (add_chain(s, l, &hit) < 0)
					return -1;
			}
		}
	}
	return 0;
}

static int read_target(struct search *s, struct pgo_stale *ret, const char *path,
	const struct pgo_debug_places *where, struct pgo_err *err)
{
	struct pgo_elf *e = pgo_elf_open(path, err);
	struct pgo_lines *l;
	int rc = 0;

	if (e == NULL)
		return err != NULL ? (int)err->code : PGO_EIO;
	memcpy(ret->build_id, e->build_id, sizeof ret->build_id);
	l = pgo_lines_open_target(e, where, &s->strs, err);
	if (l == NULL)
		rc = err != NULL ? (int)err->code : PGO_ENOTFOUND;
	else if (add_lines(s, l) < 0)
		rc = pgo_err_nomem(err);
	pgo_lines_close(l);
	pgo_elf_close(e);
	return rc;
}

/* ------------------------------------------------------------------ the profile */

static struct tally *tally_of(struct search *s, uint32_t name)
{
	uint32_t i =
		pgo_map_find_key(&s->tally_map, s->tallies, sizeof *s->tallies, &name, sizeof name);
	struct tally *t;

	if (i != PGO_MAP_NONE)
		return &s->tallies[i];
	t = PGO_VEC_PUSH(s->tallies, s->n_tallies, s->tallies_room);
	if (t == NULL || pgo_map_add_key(&s->tally_map, &name, sizeof name,
				 (uint32_t)(s->n_tallies - 1)) < 0)
		return NULL;
	t->name = name;
	return t;
}

static int add_fn(struct search *s, const struct pgo_fnprof *p, const struct pgo_fn *f)
{
	const struct pgo_str *str = &p->strs.strs[f->name];
	uint32_t name = pgo_strtab_add(&s->strs, str->s, str->len);
	struct tally *t = name != PGO_STR_NONE ? tally_of(s, name) : NULL;

	if (t == NULL)
		return -1;
	for (uint32_t i = 0; i < f->n_pos; i++) {
		const struct pgo_fn_pos *x = &f->pos[i];

		t->count = pgo_sat_add(t->count, x->count);
		if (x->count == 0 || has_place(s, name, x->line))
			continue;
		t->no_line = pgo_sat_add(t->no_line, x->count);
		t->n_no_line++;
	}
	for (uint32_t i = 0; i < f->n_calls; i++)
		if (add_fn(s, p, f->calls[i].callee) < 0)
			return -1;
	return 0;
}

static int by_count(const void *pa, const void *pb, void *strs)
{
	const struct tally *a = pa, *b = pb;

	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	return strcmp(pgo_strtab_get(strs, a->name), pgo_strtab_get(strs, b->name));
}

static int sum_up(struct search *s, struct pgo_stale *ret)
{
	if (s->n_tallies != 0)
		qsort_r(s->tallies, s->n_tallies, sizeof *s->tallies, by_count, &s->strs);
	for (size_t i = 0; i < s->n_tallies; i++) {
		const struct tally *t = &s->tallies[i];
		bool gone = !has_place(s, t->name, NAME_ONLY);

		if (t->count == 0)
			continue;
		ret->functions++;
		ret->total = pgo_sat_add(ret->total, t->count);
		if (gone) {
			ret->functions_gone++;
			ret->no_function = pgo_sat_add(ret->no_function, t->count);
		} else if (t->n_no_line != 0) {
			ret->functions_changed++;
			ret->no_line = pgo_sat_add(ret->no_line, t->no_line);
			ret->changed = pgo_sat_add(ret->changed, t->count);
			ret->unusable = pgo_sat_add(
				ret->unusable, t->no_line >= t->count / 10 ? t->count : t->no_line);
		} else {
			continue;
		}
		if (ret->n_top == PGO_STALE_TOP)
			continue;
		ret->top[ret->n_top].name = pgo_strdup(pgo_strtab_get(&s->strs, t->name));
		if (ret->top[ret->n_top].name == NULL)
			return -1;
		ret->top[ret->n_top].count = t->count;
		ret->top[ret->n_top++].gone = gone;
	}
	return 0;
}

static int compare(struct search *s, struct pgo_stale *ret, const struct pgo_fnprof *p,
	const char *target, struct pgo_err *err)
{
	for (size_t i = 0; i < p->n_fns; i++)
		if (add_fn(s, p, p->fns[i]) < 0)
			return pgo_err_nomem(err);
	if (sum_up(s, ret) < 0)
		return pgo_err_nomem(err);
	if (ret->no_function == ret->total)
		return pgo_err_set(err, PGO_EMISMATCH,
			"%s has none of the %" PRIu64
			" functions that the profile is of; a compiler would find nothing in it",
			target, ret->functions);
	return 0;
}

int pgo_stale_find(struct pgo_stale *ret, const struct pgo_fnprof *p, const char *target,
	const struct pgo_debug_places *where, struct pgo_err *err)
{
	struct search s = {0};
	int rc;

	*ret = (struct pgo_stale){.target = pgo_strdup(pgo_path_base(target))};
	pgo_map_init(&s.place_map);
	pgo_map_init(&s.tally_map);
	if (ret->target == NULL || pgo_strtab_init(&s.strs, (size_t)8 << 30) < 0)
		return pgo_err_nomem(err);
	rc = read_target(&s, ret, target, where, err);
	if (rc == 0)
		rc = compare(&s, ret, p, target, err);
	pgo_strtab_fini(&s.strs);
	pgo_map_fini(&s.place_map);
	pgo_map_fini(&s.tally_map);
	pgo_free(s.places);
	pgo_free(s.tallies);
	return rc;
}

void pgo_stale_fini(struct pgo_stale *s)
{
	for (size_t i = 0; i < s->n_top; i++)
		pgo_free(s->top[i].name);
	pgo_free(s->target);
	*s = (struct pgo_stale){0};
}

/* ------------------------------------------------------------------ telling */

static double percent(uint64_t part, uint64_t whole)
{
	return whole != 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

void pgo_stale_text(const struct pgo_stale *s, struct pgo_buf *out)
{
	if (s->target == NULL)
		return;
	pgo_buf_printf(out,
		"  against %s (%s): %.2f%% of counts are of functions it does not have, %.2f%% of "
		"lines it does not have; %.2f%% of functions that changed\n",
		s->target, s->build_id[0] != '\0' ? s->build_id : "no build-id",
		percent(s->no_function, s->total), percent(s->no_line, s->total),
		percent(s->changed, s->total));
	for (size_t i = 0; i < s->n_top; i++)
		pgo_buf_printf(out, "    %6.2f%% %14" PRIu64 "  %s (%s)\n",
			percent(s->top[i].count, s->total), s->top[i].count, s->top[i].name,
			s->top[i].gone ? "gone" : "changed");
}

void pgo_stale_json(const struct pgo_stale *s, struct pgo_json *j)
{
	if (s->target == NULL) {
		pgo_json_kv_str(j, "target", NULL);
		return;
	}
	pgo_json_key(j, "target");
	pgo_json_object(j);
	pgo_json_kv_str(j, "name", s->target);
	pgo_json_kv_str(j, "build_id", s->build_id);
	pgo_json_kv_u64(j, "counts", s->total);
	pgo_json_kv_u64(j, "no_function", s->no_function);
	pgo_json_kv_u64(j, "no_line", s->no_line);
	pgo_json_kv_u64(j, "changed", s->changed);
	pgo_json_kv_u64(j, "functions", s->functions);
	pgo_json_kv_u64(j, "functions_gone", s->functions_gone);
	pgo_json_kv_u64(j, "functions_changed", s->functions_changed);
	pgo_json_key(j, "largest");
	pgo_json_array(j);
	for (size_t i = 0; i < s->n_top; i++) {
		pgo_json_object(j);
		pgo_json_kv_str(j, "name", s->top[i].name);
		pgo_json_kv_u64(j, "count", s->top[i].count);
		pgo_json_kv_bool(j, "gone", s->top[i].gone);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
	pgo_json_end_object(j);
}
