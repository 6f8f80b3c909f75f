/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables -> the result: sums brought back to the unit of one weight, what no sample needs left
 * out, the rest written in rank order.  Nothing here may depend on the order in which keys entered
 * the tables: ids are only compared for equality, ranks for order.
 */
#include "merge/finish_impl.h"
#include "merge/order.h"
#include "merge/ranks.h"
#include "merge/spill.h"
#include "merge/tables.h"
#include "pgo/core/vec.h"

#include <stdlib.h>

void pgo_mt_finish_fini(struct pgo_mt_finish *f)
{
	pgo_mt_ranks_fini(&f->r);
	pgo_free(f->new_id);
	pgo_free(f->column_at);
	pgo_free(f->str_new);
	pgo_free(f->labels);
}

/* ---------------------------------------------------------------- values */

/*
 * Column `c` divided by the weight of "once", so that the column's total is right to the nearest
 * integer: every row gets the floor, and the units that are missing go to the largest remainders,
 * the first row in the sorted order where they are equal.
 */
static int round_column(struct pgo_mt_finish *f, size_t c)
{
	struct pgo_merge *m = f->m;
	const pgo_i128 one = (pgo_i128)m->options.weight_one;
	pgo_i128 left = 0;
	size_t n = 0;

	if (one == 1)
		return 0;
	if (PGO_VEC_RESERVE(f->r.order, f->r.order_room, m->n_stacks) < 0)
		return -1;
	for (size_t i = 0; i < m->n_stacks; i++) {
		pgo_i128 *sum = &m->sums[(size_t)f->r.stack_at[i] * m->stride + c];
		pgo_i128 q = *sum / one, r = *sum % one;

		if (r < 0) {
			r += one;
			q--;
		}
		*sum = q;
		left += r;
		if (r != 0)
			f->r.order[n++] = (struct pgo_order){~(uint64_t)r, f->r.stack_at[i], 0};
	}
	if (pgo_order_sort(f->r.order, n, NULL, NULL) < 0)
		return -1;
	left = (left + one / 2) / one;
	for (size_t i = 0; i < n && (pgo_i128)i < left; i++)
		m->sums[(size_t)f->r.order[i].index * m->stride + c]++;
	return 0;
}

int pgo_mt_too_large(const struct pgo_merge *m, size_t c, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_ELIMIT,
		"the sum of column %s/%s for one stack does not fit the 64 bits that a pprof value "
		"has; merge fewer profiles, or give them lower weights",
		pgo_strtab_get(&m->strs, m->columns[c].type),
		pgo_strtab_get(&m->strs, m->columns[c].unit));
}

static int check_range(const struct pgo_mt_finish *f, size_t c, struct pgo_err *err)
{
	const struct pgo_merge *m = f->m;

	for (size_t i = 0; i < m->n_stacks; i++) {
		pgo_i128 v = m->sums[i * m->stride + c];

		if (v > INT64_MAX || v < INT64_MIN)
			return pgo_mt_too_large(m, c, err);
	}
	return 0;
}

static int final_values(struct pgo_mt_finish *f, struct pgo_err *err)
{
	for (size_t c = 0; c < f->m->n_columns; c++) {
		int rc;

		if (pgo_mt_is_implied(f->m, (uint32_t)c))
			continue;
		if (round_column(f, c) < 0)
			return pgo_err_nomem(err);
		rc = check_range(f, c, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Drops stacks that are zero in every column from the order; gives the number left. */
static size_t drop_zeros(struct pgo_mt_finish *f)
{
	const struct pgo_merge *m = f->m;
	size_t n = 0;

	for (size_t i = 0; i < m->n_stacks; i++) {
		const pgo_i128 *sums = m->sums + (size_t)f->r.stack_at[i] * m->stride;
		bool zero = true;

		for (size_t c = 0; c < m->n_columns && zero; c++)
			zero = sums[c] == 0 || pgo_mt_is_implied(m, (uint32_t)c);
		if (!zero)
			f->r.stack_at[n++] = f->r.stack_at[i];
	}
	return n;
}

/* ---------------------------------------------------------------- the result */

/* The id in the result of string `id` of the tables. */
static int put_str(struct pgo_mt_finish *f, struct pgo_profile *p, uint32_t id, uint32_t *ret)
{
	const struct pgo_str *s = &f->m->strs.strs[id];

	if (f->str_new[id] == PGO_NONE)
		f->str_new[id] = pgo_strtab_add(&p->strs, s->s, s->len);
	*ret = f->str_new[id];
	return *ret == PGO_STR_NONE ? -1 : 0;
}

static int cmp_column(const void *pa, const void *pb, void *ctx)
{
	const struct pgo_merge *m = ctx;
	const struct pgo_value_type *a = &m->columns[*(const uint32_t *)pa];
	const struct pgo_value_type *b = &m->columns[*(const uint32_t *)pb];
	int c = pgo_mt_type_order(
		pgo_strtab_get(&m->strs, a->type), pgo_strtab_get(&m->strs, b->type));

	if (c == 0)
		c = pgo_mt_str_cmp(m, a->type, b->type);
	return c != 0 ? c : pgo_mt_str_cmp(m, a->unit, b->unit);
}

uint32_t *pgo_mt_sort_columns(struct pgo_merge *m, size_t *ret_n)
{
	uint32_t *at = pgo_calloc(m->n_columns, sizeof *at);

	*ret_n = 0;
	for (size_t c = 0; at != NULL && c < m->n_columns; c++)
		if (!pgo_mt_is_left_behind(m, (uint32_t)c))
			at[(*ret_n)++] = (uint32_t)c;
	if (at != NULL && *ret_n != 0)
		qsort_r(at, *ret_n, sizeof *at, cmp_column, m);
	return at;
}

int pgo_mt_finish_columns(struct pgo_mt_finish *f)
{
	struct pgo_merge *m = f->m;
	size_t n;

	f->column_at = pgo_mt_sort_columns(m, &n);
	if (f->column_at == NULL)
		return -1;
	for (size_t c = 0; c < n; c++)
		if (!pgo_mt_is_implied(m, f->column_at[c]))
			f->column_at[f->n_columns++] = f->column_at[c];
	return 0;
}

static int put_columns(struct pgo_mt_finish *f, struct pgo_profile *p)
{
	for (size_t c = 0; c < f->n_columns; c++) {
		const struct pgo_value_type *t = &f->m->columns[f->column_at[c]];

		if (pgo_profile_add_sample_type(p, "", "") == PGO_NONE ||
			put_str(f, p, t->type, &p->sample_types[c].type) < 0 ||
			put_str(f, p, t->unit, &p->sample_types[c].unit) < 0)
			return -1;
	}
	return 0;
}

static int cmp_comment(const void *pa, const void *pb, void *ctx)
{
	const struct pgo_mt_finish *f = ctx;

	uint32_t a = f->r.str_rank[*(const uint32_t *)pa], b = f->r.str_rank[*(const uint32_t *)pb];

	return (a > b) - (a < b);
}

static int put_header(struct pgo_mt_finish *f, struct pgo_profile *p)
{
	struct pgo_merge *m = f->m;
	const struct pgo_mt_header *h = &m->header;
	const struct pgo_mt_period *period = pgo_mt_period_of(m);

	if (m->n_comments != 0)
		qsort_r(m->comments, m->n_comments, sizeof *m->comments, cmp_comment, f);
	for (size_t i = 0; i < m->n_comments; i++)
		if (pgo_profile_add_comment(p, "") < 0 ||
			put_str(f, p, m->comments[i], &p->comments[i]) < 0)
			return -1;
	p->period = period->period;
	p->time_ns = h->time_ns;
	p->duration_ns = h->duration_ns;
	if (put_str(f, p, period->type, &p->period_type.type) < 0 ||
		put_str(f, p, period->unit, &p->period_type.unit) < 0 ||
		put_str(f, p, h->drop_frames, &p->drop_frames) < 0 ||
		put_str(f, p, h->keep_frames, &p->keep_frames) < 0 ||
		put_str(f, p, h->doc_url, &p->doc_url) < 0 ||
		put_str(f, p, h->default_type, &p->default_sample_type) < 0)
		return -1;
	return 0;
}

/* Clears `new_id` for the next table of `n` elements: PGO_NONE = not needed. */
static int fresh_ids(struct pgo_mt_finish *f, size_t n)
{
	pgo_free(f->new_id);
	f->new_id = pgo_calloc(n, sizeof *f->new_id);
	if (f->new_id == NULL)
		return -1;
	memset(f->new_id, 0xff, n * sizeof *f->new_id);
	return 0;
}

/* mapping[0] is the main binary even where no sample is in it: then by name alone. */
static int put_main(struct pgo_mt_finish *f, struct pgo_profile *p)
{
	const struct pgo_mt_header *h = &f->m->header;
	struct pgo_mapping out = {0};

	if (!h->has_main)
		return 0;
	for (size_t i = 0; i < f->m->n_mappings; i++)
		if (f->new_id[i] != PGO_NONE && pgo_mt_is_main(f->m, &f->m->mappings[i]))
			return 0;
	if (put_str(f, p, h->main_filename, &out.filename) < 0 ||
		(h->main_has_id && put_str(f, p, h->main_ident, &out.build_id) < 0))
		return -1;
	return pgo_profile_add_mapping(p, &out) == PGO_NONE ? -1 : 0;
}

/* The mappings that locations `used` name; fills f->new_id. */
static int put_mappings(struct pgo_mt_finish *f, struct pgo_profile *p, const bool *used)
{
	struct pgo_merge *m = f->m;

	if (fresh_ids(f, m->n_mappings) < 0)
		return -1;
	for (size_t i = 0; i < m->n_locations; i++)
		if (used[i] && m->locations[i].mapping != PGO_NONE)
			f->new_id[m->locations[i].mapping] = 0;
	if (put_main(f, p) < 0)
		return -1;
	for (size_t i = 0; i < m->n_mappings; i++) {
		const struct pgo_mt_mapping *map = &m->mappings[f->r.mapping_at[i]];
		struct pgo_mapping out = {0};
		uint32_t *id = &f->new_id[f->r.mapping_at[i]];

		if (*id == PGO_NONE)
			continue;
		out.start = map->start;
		if (map->exact != 0 && __builtin_add_overflow(map->start, map->exact, &out.limit))
			out.limit = UINT64_MAX;
		out.offset = map->offset;
		out.has_functions = map->functions;
		out.has_filenames = map->filenames;
		out.has_line_numbers = map->line_numbers;
		out.has_inline_frames = map->inline_frames;
		if (put_str(f, p, map->filename, &out.filename) < 0 ||
			(map->has_id && put_str(f, p, map->ident, &out.build_id) < 0))
			return -1;
		*id = pgo_profile_add_mapping(p, &out);
		if (*id == PGO_NONE)
			return -1;
	}
	return 0;
}

/* The functions that locations `used` name; gives their new ids through f->new_id. */
static int put_functions(struct pgo_mt_finish *f, struct pgo_profile *p, const bool *used)
{
	struct pgo_merge *m = f->m;

	if (fresh_ids(f, m->n_functions) < 0)
		return -1;
	for (size_t i = 0; i < m->n_locations; i++)
		for (uint32_t l = 0; used[i] && l < m->locations[i].n_lines; l++)
			f->new_id[m->lines[m->locations[i].first_line + l].function] = 0;
	for (size_t i = 0; i < m->n_functions; i++) {
		const struct pgo_mt_function *fn = &m->functions[f->r.function_at[i]];
		struct pgo_function out = {0};
		uint32_t *id = &f->new_id[f->r.function_at[i]];

		if (*id == PGO_NONE)
			continue;
		out.start_line = fn->start_line;
		if (put_str(f, p, fn->name, &out.name) < 0 ||
			put_str(f, p, fn->system_name, &out.system_name) < 0 ||
			put_str(f, p, fn->filename, &out.filename) < 0)
			return -1;
		*id = pgo_profile_add_function(p, &out);
		if (*id == PGO_NONE)
			return -1;
	}
	return 0;
}

/* Mappings, functions and then the used locations in rank order. */
static int put_locations(
	struct pgo_mt_finish *f, struct pgo_profile *p, const bool *used, uint32_t *location_new)
{
	struct pgo_merge *m = f->m;
	struct pgo_line *lines = NULL;
	uint32_t *mapping_new = NULL;
	size_t room = 0;
	int rc = -1;

	if (put_mappings(f, p, used) < 0)
		return -1;
	mapping_new = f->new_id;
	f->new_id = NULL;
	if (put_functions(f, p, used) < 0)
		goto out;
	for (size_t i = 0; i < m->n_locations; i++) {
		uint32_t id = f->r.location_at[i];
		const struct pgo_mt_location *l = &m->locations[id];

		if (!used[id])
			continue;
		if (PGO_VEC_RESERVE(lines, room, l->n_lines) < 0)
			goto out;
		for (uint32_t k = 0; k < l->n_lines; k++) {
			lines[k] = m->lines[l->first_line + k];
			lines[k].function = f->new_id[lines[k].function];
		}
		location_new[i] = pgo_profile_add_location(p,
			l->mapping == PGO_NONE ? PGO_NONE : mapping_new[l->mapping], f->r.addr[id],
			lines, l->n_lines);
		if (location_new[i] == PGO_NONE)
			goto out;
		p->locations[location_new[i]].folded = (l->flags & PGO_MT_FOLDED) != 0;
	}
	rc = 0;
out:
	pgo_free(lines);
	pgo_free(mapping_new);
	return rc;
}

int pgo_mt_put_head(
	struct pgo_mt_finish *f, struct pgo_profile *p, const bool *used, uint32_t *location_new)
{
	const size_t n = f->m->strs.n_strs;

	f->str_new = pgo_calloc(n, sizeof *f->str_new);
	if (f->str_new == NULL)
		return -1;
	memset(f->str_new, 0xff, n * sizeof *f->str_new);
	return put_columns(f, p) < 0 || put_header(f, p) < 0
		       ? -1
		       : put_locations(f, p, used, location_new);
}

int pgo_mt_put_labels(
	struct pgo_mt_finish *f, struct pgo_profile *p, uint32_t set_id, struct pgo_sample *ret)
{
	const struct pgo_mt_labels *set = &f->m->label_sets[set_id];

	if (PGO_VEC_RESERVE(f->labels, f->labels_room, set->n + (size_t)1) < 0)
		return -1;
	for (uint32_t i = 0; i < set->n; i++) {
		const struct pgo_label *from = &f->m->labels[set->first + i];
		struct pgo_label *to = &f->labels[i];

		*to = *from;
		if (put_str(f, p, from->key, &to->key) < 0 ||
			put_str(f, p, from->str, &to->str) < 0 ||
			put_str(f, p, from->num_unit, &to->num_unit) < 0)
			return -1;
	}
	ret->label = f->labels;
	ret->n_label = set->n;
	return 0;
}

static int put_sample(struct pgo_mt_finish *f, struct pgo_profile *p, const struct pgo_mt_stack *st,
	const uint32_t *location_new, const int64_t *values)
{
	uint32_t *loc = f->m->stack_locs + st->first;
	struct pgo_sample s = {.loc = loc, .n_loc = st->n_loc, .value = values};

	for (uint32_t i = 0; i < st->n_loc; i++)
		loc[i] = location_new[loc[i]];
	return pgo_mt_put_labels(f, p, st->labels, &s) < 0 ? -1 : pgo_profile_add_sample(p, &s);
}

static int put_samples(struct pgo_mt_finish *f, struct pgo_profile *p, size_t n_stacks,
	const uint32_t *location_new)
{
	const struct pgo_merge *m = f->m;
	int64_t *values = pgo_calloc(m->n_columns, sizeof *values);
	int rc = values != NULL ? 0 : -1;

	for (size_t i = 0; i < n_stacks && rc == 0; i++) {
		const pgo_i128 *sums = m->sums + (size_t)f->r.stack_at[i] * m->stride;

		for (size_t c = 0; c < f->n_columns; c++)
			values[c] = (int64_t)sums[f->column_at[c]];
		rc = put_sample(f, p, &m->stacks[f->r.stack_at[i]], location_new, values);
	}
	pgo_free(values);
	return rc;
}

static int build(struct pgo_mt_finish *f, struct pgo_profile *p, size_t n_stacks)
{
	struct pgo_merge *m = f->m;
	bool *used = pgo_calloc(m->n_locations, sizeof *used);
	uint32_t *location_new = pgo_calloc(m->n_locations, sizeof *location_new);
	int rc = used != NULL && location_new != NULL ? pgo_mt_finish_columns(f) : -1;

	for (size_t i = 0; i < n_stacks && rc == 0; i++) {
		const struct pgo_mt_stack *s = &m->stacks[f->r.stack_at[i]];

		for (uint32_t l = 0; l < s->n_loc; l++)
			used[f->r.location_at[m->stack_locs[s->first + l]]] = true;
	}
	if (rc == 0)
		rc = pgo_mt_put_head(f, p, used, location_new);
	if (rc == 0)
		rc = put_samples(f, p, n_stacks, location_new);
	pgo_free(used);
	pgo_free(location_new);
	m->stats.samples_out = p->n_samples;
	m->stats.locations_out = p->n_locations;
	return rc;
}

struct pgo_profile *pgo_merge_finish(struct pgo_merge *m, struct pgo_err *err)
{
	struct pgo_mt_finish f = {.m = m, .r = {.m = m}};
	struct pgo_profile *p = NULL;
	size_t n_stacks;

	if (m->spent) {
		pgo_err_set(err, PGO_EUSAGE, "the merge is already finished; begin another");
		return NULL;
	}
	if (pgo_mt_spilled(m))
		return pgo_mt_draw_all(m, err);
	m->spent = true;
	if (pgo_mt_settle(m, err) < 0)
		goto out;
	if (pgo_mt_rank_all(&f.r) < 0) {
		pgo_err_nomem(err);
		goto out;
	}
	if (final_values(&f, err) < 0)
		goto out;
	n_stacks = drop_zeros(&f);
	if (n_stacks == 0) {
		pgo_err_set(err, PGO_EEMPTY,
			"none of the %llu samples read has a value: the merged profile would be "
			"empty",
			(unsigned long long)m->stats.samples_in);
		goto out;
	}
	p = pgo_profile_new(err);
	if (p != NULL && build(&f, p, n_stacks) < 0) {
		pgo_profile_free(p);
		p = NULL;
		pgo_err_nomem(err);
	}
out:
	pgo_mt_finish_fini(&f);
	return p;
}
