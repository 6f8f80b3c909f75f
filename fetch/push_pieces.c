/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/push_shape_impl.h"
#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define PART_STEP_NS ((int64_t)1000000)
enum { MAX_PARTS = 1 << 20 };

/* ---------------------------------------------------------------- dividing */

static bool is_zero(const struct pgo_shape *s, size_t row)
{
	size_t n = s->p->n_sample_types;

	for (size_t i = 0; i < n; i++)
		if (s->sums[row * n + i] != 0)
			return false;
	return true;
}

static int cmp_rows(const void *a, const void *b, void *ctx)
{
	const struct pgo_shape *s = ctx;
	const struct pgo_shape_row *x = &s->rows[*(const uint32_t *)a],
				   *y = &s->rows[*(const uint32_t *)b];

	for (uint32_t i = 0; i < x->n && i < y->n; i++) {
		uint32_t v = s->pool[x->first + i], w = s->pool[y->first + i];

		if (v != w)
			return v < w ? -1 : 1;
	}
	return x->n < y->n ? -1 : x->n > y->n;
}

/* Into the fewest pieces by a hash of the stack that keep to the limit; places are numbered by what
 * they are, so that equal profiles fall apart alike. */
static int divide(struct pgo_shape *s, const uint32_t *order, size_t n, struct pgo_err *err)
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
			struct pgo_shape_row *r = &s->rows[order[i]];
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
static int put_period(const struct pgo_shape *s, struct pgo_profile *to, struct pgo_err *err)
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
	const struct pgo_shape *s, struct pgo_profile *to, size_t part, struct pgo_err *err)
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

static int put_area(const struct pgo_shape *s, struct pgo_profile *to, uint32_t area,
	struct numbers *n, struct pgo_err *err)
{
	const struct pgo_shape_area *a = &s->areas[area];
	struct pgo_mapping m = {.start = a->start, .limit = a->limit, .offset = a->offset};

	m.filename = pgo_strtab_puts(&to->strs, a->filename);
	m.build_id = pgo_strtab_puts(&to->strs, a->build_id);
	n->area[area] = pgo_profile_add_mapping(to, &m) + 1;
	return n->area[area] == 0 || m.filename == PGO_NONE || m.build_id == PGO_NONE
		       ? pgo_err_nomem(err)
		       : 0;
}

static uint32_t copy_text(const struct pgo_shape *s, struct pgo_profile *to, uint32_t id)
{
	return pgo_strtab_puts(&to->strs, pgo_profile_str(s->p, id));
}

static int put_place_lines(const struct pgo_shape *s, struct pgo_profile *to,
	const struct pgo_shape_place *pl, uint32_t mapping, uint32_t *ret, struct pgo_err *err)
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
	const struct pgo_shape *s, struct pgo_profile *to, struct numbers *n, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < s->n_places; i++)
		if (n->place[i] != 0 && s->places[i].area != PGO_NONE)
			n->area[s->places[i].area] = 1;
	for (size_t i = 0; i < s->n_areas && rc == 0; i++)
		if (n->area[i] != 0)
			rc = put_area(s, to, (uint32_t)i, n, err);
	for (size_t i = 0; i < s->n_places && rc == 0; i++) {
		const struct pgo_shape_place *pl = &s->places[i];
		uint32_t at = 0;

		if (n->place[i] == 0)
			continue;
		rc = put_place_lines(s, to, pl,
			pl->area != PGO_NONE ? n->area[pl->area] - 1 : PGO_NONE, &at, err);
		n->place[i] = at + 1;
	}
	return rc;
}

static int put_rows(const struct pgo_shape *s, struct pgo_profile *to, size_t part,
	const uint32_t *order, size_t n, const struct numbers *numbers, struct pgo_err *err)
{
	uint32_t *locs = NULL;
	size_t room = 0;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct pgo_shape_row *r = &s->rows[order[i]];
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

static int write_part(struct pgo_shape *s, size_t part, const uint32_t *order, size_t n,
	struct numbers *numbers, struct pgo_err *err)
{
	struct pgo_profile *to = pgo_profile_new(err), **slot;
	int rc;

	if (to == NULL)
		return err->code;
	memset(numbers->area, 0, s->n_areas * sizeof *numbers->area);
	memset(numbers->place, 0, s->n_places * sizeof *numbers->place);
	for (size_t i = 0; i < n; i++) {
		const struct pgo_shape_row *r = &s->rows[order[i]];

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

static bool has_rows(const struct pgo_shape *s, size_t part, const uint32_t *order, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s->rows[order[i]].part == part)
			return true;
	return false;
}

int pgo_shape_write(struct pgo_shape *s, struct pgo_err *err)
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
