/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In four steps: a place in the file for every location (place_all), tables sorted by what they say
 * (sort_tables), stacks summed (draw), pieces written (write_parts).
 */
#include "fetch/push_shape.h"

#include "pgo/core/alloc.h"
#include "pgo/core/map.h"
#include "pgo/core/resolve.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define PAGE ((uint64_t)4096)
#define PART_STEP_NS ((int64_t)1000000)
enum { MAX_PARTS = 1 << 20 };

/* A mapping of the result. */
struct area {
	uint64_t start, limit, offset;
	const char *filename;
	char build_id[129];
	bool other; /* not of the main program, whose mappings come first */
};

/* A location of the result; `from` is one of the input's that it stands for. */
struct place {
	uint32_t area; /* PGO_NONE = none */
	uint32_t from;
	uint64_t addr;
};

struct row {
	uint32_t first, n, part;
};

struct shape {
	const struct pgo_profile *p;
	const struct pgo_shape_options *o;
	struct pgo_shape_stats *stats;
	struct pgo_shaped *ret;
	struct area *areas;
	size_t n_areas, areas_room;
	struct place *places; /* first one a location of the input, later sorted and unique */
	size_t n_places;
	uint32_t *id; /* per location of the input: its place */
	/* Stacks: places, leaf first; sums: n_sample_types a row. */
	struct row *rows;
	uint32_t *pool;
	int64_t *sums;
	size_t n_rows, rows_room, n_pool, pool_room, sums_room;
	struct pgo_map by_stack;
	size_t n_parts;
};

/* ---------------------------------------------------------------- places */

static int cmp_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int cmp_areas(const void *a, const void *b)
{
	const struct area *x = a, *y = b;
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
static int area_of(struct shape *s, const struct area *want, uint32_t *ret, struct pgo_err *err)
{
	struct area *to;

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

static struct area as_it_is(const struct shape *s, uint32_t mapping)
{
	const struct pgo_mapping *m = &s->p->mappings[mapping];
	struct area a = {.start = m->start,
		.limit = m->limit,
		.offset = m->offset,
		.filename = pgo_profile_str(s->p, m->filename),
		.other = mapping != 0};

	pgo_build_id_normalize(pgo_profile_str(s->p, m->build_id), a.build_id);
	return a;
}

/* The whole segment, by pages, so that it is one and the same however much of it was mapped. */
static void spread(struct area *a, const struct pgo_elf *elf, const struct pgo_segment *seg)
{
	a->start = seg->vaddr & ~(PAGE - 1);
	a->limit = (seg->vaddr + seg->memsz + PAGE - 1) & ~(PAGE - 1);
	a->offset = seg->offset & ~(PAGE - 1);
	if (a->build_id[0] == '\0')
		memcpy(a->build_id, elf->build_id, sizeof a->build_id);
}

static int put_place(struct shape *s, uint32_t loc, const struct pgo_elf *elf, uint64_t vaddr,
	struct pgo_err *err)
{
	const struct pgo_location *l = &s->p->locations[loc];
	const struct pgo_segment *seg = elf != NULL ? segment_of(elf, vaddr) : NULL;
	struct place *to = &s->places[loc];
	struct area a;

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

static int note_left(struct shape *s, const struct pgo_location *l, struct pgo_err *err)
{
	const char *name = l->mapping != PGO_NONE
				   ? pgo_profile_str(s->p, s->p->mappings[l->mapping].filename)
				   : "";

	if (s->ret->left_name != NULL)
		return 0;
	s->ret->left_name = pgo_strdup(name);
	return s->ret->left_name != NULL ? 0 : pgo_err_nomem(err);
}

static int count_place(struct shape *s, uint32_t loc, bool found, struct pgo_err *err)
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
static bool not_code(const struct pgo_resolver *r, const struct shape *s, const struct pgo_elf *elf,
	uint32_t loc, uint64_t *ret)
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

static int place_by(struct shape *s, const struct pgo_elf *elf, bool *found, struct pgo_err *err)
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

static int place_all(struct shape *s, struct pgo_err *err)
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
	const struct shape *s = ctx;
	const struct place *x = a, *y = b;
	int c = cmp_u64(x->area, y->area);

	if (c == 0)
		c = cmp_u64(x->addr, y->addr);
	return c != 0 || x->addr != 0 ? c : cmp_lines(s->p, x->from, y->from);
}

/* Areas by what they are; then places, equal ones made one. */
static int sort_tables(struct shape *s, struct pgo_err *err)
{
	struct area *old = pgo_calloc(s->n_areas, sizeof *old);
	size_t n = 0;

	if (old == NULL)
		return pgo_err_nomem(err);
	if (s->n_areas != 0) {
		memcpy(old, s->areas, s->n_areas * sizeof *old);
		qsort(s->areas, s->n_areas, sizeof *s->areas, cmp_areas);
	}
	for (size_t i = 0; i < s->n_places; i++)
		if (s->places[i].area != PGO_NONE) {
			const struct area *to = bsearch(&old[s->places[i].area], s->areas,
				s->n_areas, sizeof *s->areas, cmp_areas);

			s->places[i].area = (uint32_t)(to - s->areas);
		}
	pgo_free(old);
	if (s->n_places != 0)
		qsort_r(s->places, s->n_places, sizeof *s->places, cmp_places, s);
	for (size_t i = 0; i < s->n_places; i++) {
		struct place cur = s->places[i];

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
	const struct shape *s = ctx;
	const struct stack *k = key;

	return s->rows[i].n == k->n &&
	       memcmp(s->pool + s->rows[i].first, k->place, k->n * sizeof *k->place) == 0;
}

/* The row of the stack at the end of the pool, which stays there if it is new. */
static int row_of(struct shape *s, uint32_t n, uint32_t *ret, struct pgo_err *err)
{
	const struct stack key = {s->pool + s->n_pool, n};
	uint64_t hash = pgo_hash(key.place, n * sizeof *key.place);
	size_t n_types = s->p->n_sample_types;
	struct row *row;

	*ret = pgo_map_find(&s->by_stack, hash, stack_eq, s, &key);
	if (*ret != PGO_MAP_NONE)
		return 0;
	*ret = (uint32_t)s->n_rows;
	row = PGO_VEC_PUSH(s->rows, s->n_rows, s->rows_room);
	if (row == NULL || PGO_VEC_RESERVE(s->sums, s->sums_room, s->n_rows * n_types) < 0 ||
		pgo_map_add(&s->by_stack, hash, *ret) < 0)
		return pgo_err_nomem(err);
	*row = (struct row){(uint32_t)s->n_pool, n, 0};
	memset(s->sums + *ret * n_types, 0, n_types * sizeof *s->sums);
	s->n_pool += n;
	return 0;
}

/* A label that the whole profile has travels with it. */
static void count_labels(struct shape *s, const struct pgo_sample *in)
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

static int add_sample(struct shape *s, const struct pgo_sample *in, struct pgo_err *err)
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

static int draw(struct shape *s, struct pgo_reader *rd, struct pgo_err *err)
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

static bool is_zero(const struct shape *s, size_t row)
{
	size_t n = s->p->n_sample_types;

	for (size_t i = 0; i < n; i++)
		if (s->sums[row * n + i] != 0)
			return false;
	return true;
}

static int cmp_rows(const void *a, const void *b, void *ctx)
{
	const struct shape *s = ctx;
	const struct row *x = &s->rows[*(const uint32_t *)a], *y = &s->rows[*(const uint32_t *)b];

	for (uint32_t i = 0; i < x->n && i < y->n; i++) {
		uint32_t v = s->pool[x->first + i], w = s->pool[y->first + i];

		if (v != w)
			return v < w ? -1 : 1;
	}
	return x->n < y->n ? -1 : x->n > y->n;
}

/* ---------------------------------------------------------------- pieces */

/* Into the fewest pieces by a hash of the stack that keep to the limit; places are numbered by what
 * they are, so that equal profiles fall apart alike. */
static int divide(struct shape *s, const uint32_t *order, size_t n, struct pgo_err *err)
{
	size_t max = s->o->max_samples, most;
	uint32_t *count;

	s->n_parts = max != 0 && n > max ? (n + max - 1) / max : 1;
	for (; s->n_parts <= MAX_PARTS; s->n_parts += s->n_parts / 16 + 1) {
		count = pgo_calloc(s->n_parts, sizeof *count);
		if (count == NULL)
			return pgo_err_nomem(err);
		most = 0;
		for (size_t i = 0; i < n; i++) {
			struct row *r = &s->rows[order[i]];
			uint64_t hash = pgo_hash(s->pool + r->first, r->n * sizeof *s->pool);

			r->part = (uint32_t)(hash % s->n_parts);
			most = ++count[r->part] > most ? count[r->part] : most;
		}
		pgo_free(count);
		if (max == 0 || most <= max)
			return 0;
	}
	return pgo_err_set(
		err, PGO_ELIMIT, "%zu samples cannot be split into pieces of %zu", n, max);
}

/* What has a number in one piece. */
struct numbers {
	uint32_t *area, *place; /* index in the piece + 1; 0 = not there */
};

/* Letters, digits and _: other bytes would end up in queries. */
static char *plain_name(const char *text)
{
	char *name = pgo_strdup(*text != '\0' ? text : "_");

	for (char *p = name; p != NULL && *p != '\0'; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			    (*p >= '0' && *p <= '9')))
			*p = '_';
	return name;
}

static int put_type(struct pgo_profile *to, const char *type, const char *unit,
	struct pgo_value_type *period, struct pgo_err *err)
{
	char *t = plain_name(type), *u = plain_name(unit);
	int rc = t != NULL && u != NULL ? 0 : pgo_err_nomem(err);

	if (rc == 0 && period != NULL) {
		period->type = pgo_strtab_puts(&to->strs, t);
		period->unit = pgo_strtab_puts(&to->strs, u);
		rc = period->type != PGO_NONE && period->unit != PGO_NONE ? 0 : pgo_err_nomem(err);
	} else if (rc == 0 && pgo_profile_add_sample_type(to, t, u) == PGO_NONE) {
		rc = pgo_err_nomem(err);
	}
	pgo_free(t);
	pgo_free(u);
	return rc;
}

/* The event whose period it is: as the profile says; else the first column that is not a mere count
 * of samples or branches; else CPU time. */
static int put_period(const struct shape *s, struct pgo_profile *to, struct pgo_err *err)
{
	const struct pgo_profile *p = s->p;
	const char *type = pgo_profile_str(p, p->period_type.type);
	const char *unit = pgo_profile_str(p, p->period_type.unit);

	to->period = p->period > 0 ? p->period : 1;
	for (size_t i = 0; i < p->n_sample_types && *type == '\0'; i++) {
		const char *t = pgo_profile_str(p, p->sample_types[i].type);

		if (strcmp(t, "samples") != 0 && strncmp(t, "lbr", 3) != 0) {
			type = t;
			unit = pgo_profile_str(p, p->sample_types[i].unit);
		}
	}
	if (*type == '\0')
		return put_type(to, "cpu", "nanoseconds", &to->period_type, err);
	return put_type(to, type, unit, &to->period_type, err);
}

static int put_header(
	const struct shape *s, struct pgo_profile *to, size_t part, struct pgo_err *err)
{
	const struct pgo_profile *p = s->p;
	const char *type = pgo_profile_str(p, p->default_sample_type);
	int64_t time_ns = p->time_ns > 0 ? p->time_ns : s->o->record->time_ns;
	int rc = 0;

	for (size_t i = 0; i < p->n_sample_types && rc == 0; i++)
		rc = put_type(to, pgo_profile_str(p, p->sample_types[i].type),
			pgo_profile_str(p, p->sample_types[i].unit), NULL, err);
	if (rc == 0)
		rc = put_period(s, to, err);
	if (rc == 0 && *type != '\0') {
		char *name = plain_name(type);

		to->default_sample_type =
			name != NULL ? pgo_strtab_puts(&to->strs, name) : PGO_NONE;
		pgo_free(name);
		if (to->default_sample_type == PGO_NONE)
			rc = pgo_err_nomem(err);
	}
	to->duration_ns = p->duration_ns;
	to->time_ns = time_ns > 0 ? time_ns + (int64_t)part * PART_STEP_NS : 0;
	return rc;
}

static int put_area(const struct shape *s, struct pgo_profile *to, uint32_t area, struct numbers *n,
	struct pgo_err *err)
{
	const struct area *a = &s->areas[area];
	struct pgo_mapping m = {.start = a->start, .limit = a->limit, .offset = a->offset};

	m.filename = pgo_strtab_puts(&to->strs, a->filename);
	m.build_id = pgo_strtab_puts(&to->strs, a->build_id);
	n->area[area] = pgo_profile_add_mapping(to, &m) + 1;
	return n->area[area] == 0 || m.filename == PGO_NONE || m.build_id == PGO_NONE
		       ? pgo_err_nomem(err)
		       : 0;
}

static uint32_t copy_text(const struct shape *s, struct pgo_profile *to, uint32_t id)
{
	return pgo_strtab_puts(&to->strs, pgo_profile_str(s->p, id));
}

static int put_place_lines(const struct shape *s, struct pgo_profile *to, const struct place *pl,
	uint32_t mapping, uint32_t *ret, struct pgo_err *err)
{
	const struct pgo_location *l = &s->p->locations[pl->from];
	uint32_t n = pl->addr == 0 ? l->n_lines : 0;
	struct pgo_line *lines = pgo_calloc(n, sizeof *lines);
	int rc = lines != NULL ? 0 : pgo_err_nomem(err);

	for (uint32_t i = 0; i < n && rc == 0; i++) {
		const struct pgo_line *from = &s->p->lines[l->first_line + i];
		const struct pgo_function *f = &s->p->functions[from->function];
		struct pgo_function g = {.name = copy_text(s, to, f->name),
			.system_name = copy_text(s, to, f->system_name),
			.filename = copy_text(s, to, f->filename),
			.start_line = f->start_line};

		lines[i] = *from;
		lines[i].function = pgo_profile_add_function(to, &g);
		if (lines[i].function == PGO_NONE || g.name == PGO_NONE ||
			g.system_name == PGO_NONE || g.filename == PGO_NONE)
			rc = pgo_err_nomem(err);
	}
	if (rc == 0) {
		*ret = pgo_profile_add_location(to, mapping, pl->addr, lines, n);
		rc = *ret != PGO_NONE ? 0 : pgo_err_nomem(err);
	}
	pgo_free(lines);
	return rc;
}

/* Numbers what the piece uses, in the order of the tables. */
static int put_tables(
	const struct shape *s, struct pgo_profile *to, struct numbers *n, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < s->n_places; i++)
		if (n->place[i] != 0 && s->places[i].area != PGO_NONE)
			n->area[s->places[i].area] = 1;
	for (size_t i = 0; i < s->n_areas && rc == 0; i++)
		if (n->area[i] != 0)
			rc = put_area(s, to, (uint32_t)i, n, err);
	for (size_t i = 0; i < s->n_places && rc == 0; i++) {
		const struct place *pl = &s->places[i];
		uint32_t at = 0;

		if (n->place[i] == 0)
			continue;
		rc = put_place_lines(s, to, pl,
			pl->area != PGO_NONE ? n->area[pl->area] - 1 : PGO_NONE, &at, err);
		n->place[i] = at + 1;
	}
	return rc;
}

static int put_rows(const struct shape *s, struct pgo_profile *to, size_t part,
	const uint32_t *order, size_t n, const struct numbers *numbers, struct pgo_err *err)
{
	uint32_t *locs = NULL;
	size_t room = 0;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct row *r = &s->rows[order[i]];
		struct pgo_sample out = {
			.n_loc = r->n, .value = s->sums + order[i] * s->p->n_sample_types};

		if (r->part != part)
			continue;
		if (PGO_VEC_RESERVE(locs, room, (size_t)r->n + 1) < 0) {
			rc = pgo_err_nomem(err);
			break;
		}
		for (uint32_t k = 0; k < r->n; k++)
			locs[k] = numbers->place[s->pool[r->first + k]] - 1;
		out.loc = locs;
		if (pgo_profile_add_sample(to, &out) < 0)
			rc = pgo_err_nomem(err);
	}
	pgo_free(locs);
	return rc;
}

static int write_part(struct shape *s, size_t part, const uint32_t *order, size_t n,
	struct numbers *numbers, struct pgo_err *err)
{
	struct pgo_profile *to = pgo_profile_new(err), **slot;
	int rc;

	if (to == NULL)
		return err->code;
	memset(numbers->area, 0, s->n_areas * sizeof *numbers->area);
	memset(numbers->place, 0, s->n_places * sizeof *numbers->place);
	for (size_t i = 0; i < n; i++) {
		const struct row *r = &s->rows[order[i]];

		for (uint32_t k = 0; r->part == part && k < r->n; k++)
			numbers->place[s->pool[r->first + k]] = 1;
	}
	rc = put_header(s, to, part, err);
	if (rc == 0)
		rc = put_tables(s, to, numbers, err);
	if (rc == 0)
		rc = put_rows(s, to, part, order, n, numbers, err);
	slot = rc == 0 ? PGO_VEC_PUSH(s->ret->parts, s->ret->n, s->ret->room) : NULL;
	if (slot != NULL)
		*slot = to;
	else
		pgo_profile_free(to);
	return rc == 0 && slot == NULL ? pgo_err_nomem(err) : rc;
}

static bool has_rows(const struct shape *s, size_t part, const uint32_t *order, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s->rows[order[i]].part == part)
			return true;
	return false;
}

static int write_parts(struct shape *s, struct pgo_err *err)
{
	uint32_t *order = pgo_calloc(s->n_rows, sizeof *order);
	struct numbers numbers = {pgo_calloc(s->n_areas, sizeof(uint32_t)),
		pgo_calloc(s->n_places, sizeof(uint32_t))};
	size_t n = 0;
	int rc = 0;

	if (order == NULL || numbers.area == NULL || numbers.place == NULL)
		rc = pgo_err_nomem(err);
	for (size_t i = 0; i < s->n_rows && rc == 0; i++)
		if (!is_zero(s, i))
			order[n++] = (uint32_t)i;
	if (rc == 0 && n == 0)
		rc = pgo_err_set(err, PGO_EEMPTY, "there is no sample in it");
	if (rc == 0) {
		qsort_r(order, n, sizeof *order, cmp_rows, s);
		s->stats->samples_put += n;
		rc = divide(s, order, n, err);
	}
	for (size_t i = 0; i < s->n_parts && rc == 0; i++)
		if (has_rows(s, i, order, n))
			rc = write_part(s, i, order, n, &numbers, err);
	pgo_free(order);
	pgo_free(numbers.area);
	pgo_free(numbers.place);
	return rc;
}

/* ---------------------------------------------------------------- face */

int pgo_push_shape(struct pgo_reader *rd, const struct pgo_shape_options *o, struct pgo_shaped *ret,
	struct pgo_shape_stats *stats, struct pgo_err *err)
{
	struct shape s = {.p = rd->head, .o = o, .stats = stats, .ret = ret};
	int rc;

	memset(ret, 0, sizeof *ret);
	pgo_map_init(&s.by_stack);
	rc = place_all(&s, err);
	if (rc == 0)
		rc = sort_tables(&s, err);
	if (rc == 0)
		rc = draw(&s, rd, err);
	if (rc == 0)
		rc = write_parts(&s, err);
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
