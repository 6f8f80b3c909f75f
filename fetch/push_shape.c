/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In four steps: a place in the file for every location (place_all), tables sorted by what they say
 * (sort_tables), stacks summed (draw), pieces written (push_pieces.c).
 */
#include "fetch/push_shape_impl.h"

#include "pgo/core/alloc.h"
#include "pgo/core/map.h"
#include "pgo/core/resolve.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define PAGE ((uint64_t)4096)

/* ---------------------------------------------------------------- places */

static int cmp_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int cmp_areas(const void *a, const void *b)
{
	const struct pgo_shape_area *x = a, *y = b;
	int c = (int)x->other - (int)y->other;

	if (c == 0)
		c = strcmp(x->filename, y->filename);
	if (c == 0)
		c = strcmp(x->build_id, y->build_id);
	if (c == 0)
		c = cmp_u64(x->start, y->start);
	if (c == 0)
		c = cmp_u64(x->limit, y->limit);
	return c != 0 ? c : cmp_u64(x->offset, y->offset);
}

/* Few enough to look at one after the other: a segment of a file each. */
static int area_of(
	struct pgo_shape *s, const struct pgo_shape_area *want, uint32_t *ret, struct pgo_err *err)
{
	struct pgo_shape_area *to;

	for (size_t i = s->n_areas; i-- > 0;)
		if (cmp_areas(&s->areas[i], want) == 0) {
			*ret = (uint32_t)i;
			return 0;
		}
	to = PGO_VEC_PUSH(s->areas, s->n_areas, s->areas_room);
	if (to == NULL)
		return pgo_err_nomem(err);
	*to = *want;
	*ret = (uint32_t)(s->n_areas - 1);
	return 0;
}

static const struct pgo_segment *segment_of(const struct pgo_elf *elf, uint64_t vaddr)
{
	for (size_t i = 0; i < elf->n_segments; i++)
		if (vaddr - elf->segments[i].vaddr < elf->segments[i].memsz)
			return &elf->segments[i];
	return NULL;
}

static struct pgo_shape_area as_it_is(const struct pgo_shape *s, uint32_t mapping)
{
	const struct pgo_mapping *m = &s->p->mappings[mapping];
	struct pgo_shape_area a = {.start = m->start,
		.limit = m->limit,
		.offset = m->offset,
		.filename = pgo_profile_str(s->p, m->filename),
		.other = mapping != 0};

	pgo_build_id_normalize(pgo_profile_str(s->p, m->build_id), a.build_id);
	return a;
}

/* The whole segment, by pages, so that it is one and the same however much of it was mapped. */
static void spread(
	struct pgo_shape_area *a, const struct pgo_elf *elf, const struct pgo_segment *seg)
{
	a->start = seg->vaddr & ~(PAGE - 1);
	a->limit = (seg->vaddr + seg->memsz + PAGE - 1) & ~(PAGE - 1);
	a->offset = seg->offset & ~(PAGE - 1);
	if (a->build_id[0] == '\0')
		memcpy(a->build_id, elf->build_id, sizeof a->build_id);
}

static int put_place(struct pgo_shape *s, uint32_t loc, const struct pgo_elf *elf, uint64_t vaddr,
	struct pgo_err *err)
{
	const struct pgo_location *l = &s->p->locations[loc];
	const struct pgo_segment *seg = elf != NULL ? segment_of(elf, vaddr) : NULL;
	struct pgo_shape_place *to = &s->places[loc];
	struct pgo_shape_area a;

	to->from = loc;
	to->addr = seg != NULL ? vaddr : l->addr;
	to->area = PGO_NONE;
	if (l->mapping == PGO_NONE)
		return 0;
	a = as_it_is(s, l->mapping);
	if (seg != NULL)
		spread(&a, elf, seg);
	return area_of(s, &a, &to->area, err);
}

/* The same address on every host, as far as the mapping tells. */
static bool is_steady(const struct pgo_mapping *m, uint64_t addr)
{
	bool bare = m->start == 0 && m->limit == 0;

	return bare || (m->start == m->offset && addr >= m->start && addr < m->limit);
}

static int note_left(struct pgo_shape *s, const struct pgo_location *l, struct pgo_err *err)
{
	const char *name = l->mapping != PGO_NONE
				   ? pgo_profile_str(s->p, s->p->mappings[l->mapping].filename)
				   : "";

	if (s->ret->left_name != NULL)
		return 0;
	s->ret->left_name = pgo_strdup(name);
	return s->ret->left_name != NULL ? 0 : pgo_err_nomem(err);
}

static int count_place(struct pgo_shape *s, uint32_t loc, bool found, struct pgo_err *err)
{
	const struct pgo_location *l = &s->p->locations[loc];

	if (l->addr == 0 && s->places[loc].addr == 0) {
		s->stats->without++;
		return 0;
	}
	s->stats->lines += l->n_lines;
	if (found && s->places[loc].addr == l->addr)
		s->stats->already++;
	else if (found)
		s->stats->rebased++;
	else if (l->mapping != PGO_NONE && is_steady(&s->p->mappings[l->mapping], l->addr))
		s->stats->already++;
	else {
		s->stats->left++;
		return note_left(s, l, err);
	}
	return 0;
}

/* Data next to code has an address in the file too. */
static bool not_code(const struct pgo_resolver *r, const struct pgo_shape *s,
	const struct pgo_elf *elf, uint32_t loc, uint64_t *ret)
{
	const struct pgo_location *l = &s->p->locations[loc];
	const struct pgo_mapping *m;

	if (l->mapping == PGO_NONE || !r->ours[l->mapping] || l->addr == 0)
		return false;
	m = &s->p->mappings[l->mapping];
	if (r->convention[l->mapping] == PGO_CONV_MAPPED && l->addr >= m->start &&
		l->addr < m->limit)
		return pgo_elf_offset_to_vaddr(elf, l->addr - m->start + m->offset, ret);
	*ret = l->addr;
	return r->convention[l->mapping] == PGO_CONV_ELF;
}

static int place_by(
	struct pgo_shape *s, const struct pgo_elf *elf, bool *found, struct pgo_err *err)
{
	struct pgo_resolver r;
	int rc = pgo_resolver_init(&r, s->p, elf, NULL, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < s->p->n_locations && rc == 0; i++) {
		uint64_t vaddr = r.at[i].vaddr;
		bool here =
			r.at[i].loss == PGO_LOSS_NONE || not_code(&r, s, elf, (uint32_t)i, &vaddr);

		if (found[i] || !here || segment_of(elf, vaddr) == NULL)
			continue;
		found[i] = true;
		rc = put_place(s, (uint32_t)i, elf, vaddr, err);
	}
	pgo_resolver_fini(&r);
	return rc;
}

static int place_all(struct pgo_shape *s, struct pgo_err *err)
{
	size_t n = s->p->n_locations;
	bool *found = pgo_calloc(n, sizeof *found);
	int rc;

	s->places = pgo_calloc(n, sizeof *s->places);
	s->id = pgo_calloc(n, sizeof *s->id);
	s->n_places = n;
	rc = found != NULL && s->places != NULL && s->id != NULL ? 0 : pgo_err_nomem(err);
	for (size_t i = 0; i < s->o->elfs->n && rc == 0; i++)
		rc = place_by(s, s->o->elfs->of[i], found, err);
	for (size_t i = 0; i < n && rc == 0; i++) {
		if (!found[i])
			rc = put_place(s, (uint32_t)i, NULL, 0, err);
		if (rc == 0)
			rc = count_place(s, (uint32_t)i, found[i], err);
	}
	pgo_free(found);
	return rc;
}

/* ---------------------------------------------------------------- tables */

static int cmp_i64(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

static int cmp_lines(const struct pgo_profile *p, uint32_t a, uint32_t b)
{
	const struct pgo_location *x = &p->locations[a], *y = &p->locations[b];
	int c = cmp_u64(x->n_lines, y->n_lines);

	for (uint32_t i = 0; i < x->n_lines && c == 0; i++) {
		const struct pgo_line *v = &p->lines[x->first_line + i];
		const struct pgo_line *w = &p->lines[y->first_line + i];
		const struct pgo_function *f = &p->functions[v->function];
		const struct pgo_function *g = &p->functions[w->function];

		c = strcmp(pgo_profile_str(p, f->name), pgo_profile_str(p, g->name));
		if (c == 0)
			c = strcmp(pgo_profile_str(p, f->system_name),
				pgo_profile_str(p, g->system_name));
		if (c == 0)
			c = strcmp(
				pgo_profile_str(p, f->filename), pgo_profile_str(p, g->filename));
		if (c == 0)
			c = cmp_i64(f->start_line, g->start_line);
		if (c == 0)
			c = cmp_i64(v->line, w->line);
		if (c == 0)
			c = cmp_i64(v->column, w->column);
	}
	return c;
}

/* Locations with an address lose their lines, so these do not tell two apart. */
static int cmp_places(const void *a, const void *b, void *ctx)
{
	const struct pgo_shape *s = ctx;
	const struct pgo_shape_place *x = a, *y = b;
	int c = cmp_u64(x->area, y->area);

	if (c == 0)
		c = cmp_u64(x->addr, y->addr);
	return c != 0 || x->addr != 0 ? c : cmp_lines(s->p, x->from, y->from);
}

/* Areas by what they are; then places, equal ones made one. */
static int sort_tables(struct pgo_shape *s, struct pgo_err *err)
{
	struct pgo_shape_area *old = pgo_calloc(s->n_areas, sizeof *old);
	size_t n = 0;

	if (old == NULL)
		return pgo_err_nomem(err);
	if (s->n_areas != 0) {
		memcpy(old, s->areas, s->n_areas * sizeof *old);
		qsort(s->areas, s->n_areas, sizeof *s->areas, cmp_areas);
	}
	for (size_t i = 0; i < s->n_places; i++)
		if (s->places[i].area != PGO_NONE) {
			const struct pgo_shape_area *to = bsearch(&old[s->places[i].area], s->areas,
				s->n_areas, sizeof *s->areas, cmp_areas);

			s->places[i].area = (uint32_t)(to - s->areas);
		}
	pgo_free(old);
	if (s->n_places != 0)
		qsort_r(s->places, s->n_places, sizeof *s->places, cmp_places, s);
	for (size_t i = 0; i < s->n_places; i++) {
		struct pgo_shape_place cur = s->places[i];

		if (n == 0 || cmp_places(&s->places[n - 1], &cur, s) != 0)
			s->places[n++] = cur;
		s->id[cur.from] = (uint32_t)(n - 1);
	}
	s->n_places = n;
	return 0;
}

/* ---------------------------------------------------------------- stacks */

struct stack {
	const uint32_t *place;
	uint32_t n;
};

static bool stack_eq(const void *ctx, uint32_t i, const void *key)
{
	const struct pgo_shape *s = ctx;
	const struct stack *k = key;

	return s->rows[i].n == k->n &&
	       memcmp(s->pool + s->rows[i].first, k->place, k->n * sizeof *k->place) == 0;
}

/* The row of the stack at the end of the pool, which stays there if it is new. */
static int row_of(struct pgo_shape *s, uint32_t n, uint32_t *ret, struct pgo_err *err)
{
	const struct stack key = {s->pool + s->n_pool, n};
	uint64_t hash = pgo_hash(key.place, n * sizeof *key.place);
	size_t n_types = s->p->n_sample_types;
	struct pgo_shape_row *row;

	*ret = pgo_map_find(&s->by_stack, hash, stack_eq, s, &key);
	if (*ret != PGO_MAP_NONE)
		return 0;
	*ret = (uint32_t)s->n_rows;
	row = PGO_VEC_PUSH(s->rows, s->n_rows, s->rows_room);
	if (row == NULL || PGO_VEC_RESERVE(s->sums, s->sums_room, s->n_rows * n_types) < 0 ||
		pgo_map_add(&s->by_stack, hash, *ret) < 0)
		return pgo_err_nomem(err);
	*row = (struct pgo_shape_row){(uint32_t)s->n_pool, n, 0};
	memset(s->sums + *ret * n_types, 0, n_types * sizeof *s->sums);
	s->n_pool += n;
	return 0;
}

/* A label that the whole profile has travels with it. */
static void count_labels(struct pgo_shape *s, const struct pgo_sample *in)
{
	for (uint32_t i = 0; i < in->n_label; i++) {
		const struct pgo_label *l = &in->label[i];
		const char *have = l->str != 0 ? pgo_record_get_label(s->o->record,
							 pgo_profile_str(s->p, l->key))
					       : NULL;

		s->stats->labels +=
			have == NULL || strcmp(have, pgo_profile_str(s->p, l->str)) != 0;
	}
}

static int add_sample(struct pgo_shape *s, const struct pgo_sample *in, struct pgo_err *err)
{
	size_t n_types = s->p->n_sample_types;
	uint32_t row = 0;
	int rc;

	if (s->n_pool + in->n_loc > UINT32_MAX ||
		PGO_VEC_RESERVE(s->pool, s->pool_room, s->n_pool + in->n_loc + 1) < 0)
		return pgo_err_nomem(err);
	for (uint32_t i = 0; i < in->n_loc; i++)
		s->pool[s->n_pool + i] = s->id[in->loc[i]];
	rc = row_of(s, in->n_loc, &row, err);
	for (size_t i = 0; i < n_types && rc == 0; i++) {
		int64_t *sum = &s->sums[row * n_types + i];

		if (__builtin_add_overflow(*sum, in->value[i], sum))
			rc = pgo_err_set(err, PGO_ELIMIT,
				"the sum of %s is larger than a profile can hold",
				pgo_profile_str(s->p, s->p->sample_types[i].type));
	}
	s->stats->samples++;
	count_labels(s, in);
	return rc;
}

static int draw(struct pgo_shape *s, struct pgo_reader *rd, struct pgo_err *err)
{
	struct pgo_sample in;
	int rc;

	while ((rc = pgo_reader_next(rd, &in, err)) > 0) {
		rc = add_sample(s, &in, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

/* ---------------------------------------------------------------- face */

int pgo_push_shape(struct pgo_reader *rd, const struct pgo_shape_options *o, struct pgo_shaped *ret,
	struct pgo_shape_stats *stats, struct pgo_err *err)
{
	struct pgo_shape s = {.p = rd->head, .o = o, .stats = stats, .ret = ret};
	int rc;

	memset(ret, 0, sizeof *ret);
	pgo_map_init(&s.by_stack);
	rc = place_all(&s, err);
	if (rc == 0)
		rc = sort_tables(&s, err);
	if (rc == 0)
		rc = draw(&s, rd, err);
	if (rc == 0)
		rc = pgo_shape_write(&s, err);
	stats->comments += s.p->n_comments;
	if (rc < 0)
		pgo_shaped_fini(ret);
	pgo_map_fini(&s.by_stack);
	pgo_free(s.areas);
	pgo_free(s.places);
	pgo_free(s.id);
	pgo_free(s.rows);
	pgo_free(s.pool);
	pgo_free(s.sums);
	return rc;
}

void pgo_shaped_fini(struct pgo_shaped *s)
{
	for (size_t i = 0; i < s->n; i++)
		pgo_profile_free(s->parts[i]);
	pgo_free(s->parts);
	pgo_free(s->left_name);
	memset(s, 0, sizeof *s);
}
