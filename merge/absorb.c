/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One merger's tables joined to another's: how threads that each summed a part of the inputs come
 * together.  Nothing is rounded here, so the result is that of one merger that saw everything.
 */
#include "merge/spill.h"
#include "merge/tables.h"
#include "pgo/core/vec.h"

/* Ids of `from` -> ids of `m`. */
struct absorb {
	struct pgo_merge *m;
	const struct pgo_merge *from;
	uint32_t *str, *mapping, *function, *location, *label_set, *column;
	uint64_t *factor;       /* per column */
	uint64_t times;         /* and for all */
	struct pgo_line *lines; /* scratch */
	struct pgo_label *labels;
	size_t lines_room, labels_room;
};

static void absorb_fini(struct absorb *a)
{
	pgo_free(a->str);
	pgo_free(a->mapping);
	pgo_free(a->function);
	pgo_free(a->location);
	pgo_free(a->label_set);
	pgo_free(a->column);
	pgo_free(a->factor);
	pgo_free(a->lines);
	pgo_free(a->labels);
}

static int absorb_init(struct absorb *a)
{
	const struct pgo_merge *from = a->from;

	a->str = pgo_calloc(from->strs.n_strs, sizeof *a->str);
	a->mapping = pgo_calloc(from->n_mappings, sizeof *a->mapping);
	a->function = pgo_calloc(from->n_functions, sizeof *a->function);
	a->location = pgo_calloc(from->n_locations, sizeof *a->location);
	a->label_set = pgo_calloc(from->n_label_sets, sizeof *a->label_set);
	a->column = pgo_calloc(from->n_columns, sizeof *a->column);
	a->factor = pgo_calloc(from->n_columns, sizeof *a->factor);
	return a->str != NULL && a->mapping != NULL && a->function != NULL && a->location != NULL &&
			       a->label_set != NULL && a->column != NULL && a->factor != NULL
		       ? 0
		       : -1;
}

static int absorb_names(struct absorb *a)
{
	const struct pgo_merge *from = a->from;

	for (size_t i = 0; i < from->strs.n_strs; i++) {
		a->str[i] = pgo_strtab_take(&a->m->strs, &from->strs.strs[i]);
		if (a->str[i] == PGO_STR_NONE)
			return -1;
	}
	for (size_t i = 0; i < from->n_mappings; i++) {
		struct pgo_mt_mapping map = from->mappings[i];

		map.ident = a->str[map.ident];
		map.filename = a->str[map.filename];
		a->mapping[i] = pgo_mt_intern_mapping(a->m, &map);
		if (a->mapping[i] == PGO_NONE)
			return -1;
	}
	for (size_t i = 0; i < from->n_functions; i++) {
		struct pgo_mt_function fn = from->functions[i];

		fn.name = a->str[fn.name];
		fn.system_name = a->str[fn.system_name];
		fn.filename = a->str[fn.filename];
		a->function[i] = pgo_mt_intern_function(a->m, &fn);
		if (a->function[i] == PGO_NONE)
			return -1;
	}
	return 0;
}

static int absorb_locations(struct absorb *a)
{
	const struct pgo_merge *from = a->from;

	for (size_t i = 0; i < from->n_locations; i++) {
		struct pgo_mt_location loc = from->locations[i];

		if (PGO_VEC_RESERVE(a->lines, a->lines_room, loc.n_lines) < 0)
			return -1;
		for (uint32_t k = 0; k < loc.n_lines; k++) {
			a->lines[k] = from->lines[loc.first_line + k];
			a->lines[k].function = a->function[a->lines[k].function];
		}
		if (loc.mapping != PGO_NONE)
			loc.mapping = a->mapping[loc.mapping];
		if (pgo_mt_intern_location(a->m, &loc, a->lines, &a->location[i]) < 0)
			return -1;
	}
	return 0;
}

static int absorb_labels(struct absorb *a)
{
	const struct pgo_merge *from = a->from;

	for (size_t i = 1; i < from->n_label_sets; i++) { /* set 0 is the empty one in both */
		const struct pgo_mt_labels *set = &from->label_sets[i];

		if (PGO_VEC_RESERVE(a->labels, a->labels_room, set->n) < 0)
			return -1;
		for (uint32_t k = 0; k < set->n; k++) {
			a->labels[k] = from->labels[set->first + k];
			a->labels[k].key = a->str[a->labels[k].key];
			a->labels[k].str = a->str[a->labels[k].str];
			a->labels[k].num_unit = a->str[a->labels[k].num_unit];
		}
		if (pgo_mt_intern_labels(a->m, a->labels, set->n, &a->label_set[i]) < 0)
			return -1;
	}
	return 0;
}

static int absorb_header(struct absorb *a)
{
	const struct pgo_merge *from = a->from;
	struct pgo_mt_header h = from->header;

	h.period.type = a->str[h.period.type];
	h.period.unit = a->str[h.period.unit];
	h.lbr_period.type = a->str[h.lbr_period.type];
	h.lbr_period.unit = a->str[h.lbr_period.unit];
	h.drop_frames = a->str[h.drop_frames];
	h.keep_frames = a->str[h.keep_frames];
	h.doc_url = a->str[h.doc_url];
	h.default_type = a->str[h.default_type];
	h.main_ident = a->str[h.main_ident];
	h.main_filename = a->str[h.main_filename];
	for (size_t i = 0; i < from->n_comments; i++)
		if (pgo_mt_join_comment(a->m, a->str[from->comments[i]]) < 0)
			return -1;
	pgo_mt_combine_headers(a->m, &h);
	return 0;
}

/* Twice: joining one column may bring another to a finer unit. */
static int absorb_columns(struct absorb *a, struct pgo_err *err)
{
	const struct pgo_merge *from = a->from;
	int rc = 0;

	for (size_t k = 0; k < 2 * from->n_columns && rc == 0; k++) {
		size_t c = k % from->n_columns;
		const struct pgo_value_type t = {
			a->str[from->columns[c].type], a->str[from->columns[c].unit]};

		rc = pgo_mt_join_column(a->m, &t, &a->column[c], &a->factor[c], err);
	}
	return rc;
}

static int add_row(struct absorb *a, size_t i, uint32_t row, struct pgo_err *err)
{
	struct pgo_merge *m = a->m;
	const pgo_i128 *from = a->from->sums + i * a->from->stride;

	for (size_t c = 0; c < a->from->n_columns; c++) {
		pgo_i128 *sum = &m->sums[(size_t)row * m->stride + a->column[c]];

		pgo_i128 part;

		if (__builtin_mul_overflow(from[c], (pgo_i128)a->factor[c], &part) ||
			__builtin_mul_overflow(part, (pgo_i128)a->times, &part) ||
			__builtin_add_overflow(*sum, part, sum))
			return pgo_err_set(err, PGO_ELIMIT,
				"the sum of column %s exceeds 128 bits; its values cannot be right",
				pgo_strtab_get(&m->strs, m->columns[a->column[c]].type));
	}
	return 0;
}

/* Stacks `i` to `end`, no more than a batch. */
static int absorb_stacks(struct absorb *a, size_t i, size_t end, struct pgo_err *err)
{
	struct pgo_merge *m = a->m;
	int rc = 0;

	for (size_t k = i; k < end; k++) {
		const struct pgo_mt_stack *s = &a->from->stacks[k];
		uint32_t *to = pgo_mt_batch_room(m, s->n_loc);

		if (to == NULL)
			return pgo_err_nomem(err);
		for (uint32_t l = 0; l < s->n_loc; l++)
			to[l] = a->location[a->from->stack_locs[s->first + l]];
		pgo_mt_batch_put(m, s->n_loc, a->label_set[s->labels]);
	}
	if (pgo_mt_batch_rows(m) < 0)
		return pgo_err_nomem(err);
	for (size_t k = i; k < end && rc == 0; k++)
		rc = add_row(a, k, m->batch.at[k - i].row, err);
	m->batch.n = 0;
	m->batch.n_locs = 0;
	return rc;
}

static void add_stats(struct pgo_merge_stats *to, const struct pgo_merge_stats *s)
{
	to->profiles += s->profiles;
	to->samples_in += s->samples_in;
	to->samples_zero += s->samples_zero;
	to->samples_filtered += s->samples_filtered;
	to->locations_in += s->locations_in;
	to->locations_outside += s->locations_outside;
}

/* Rows that are on disk stay there; then the others join them, and only ids are translated. */
static int absorb_rows(struct absorb *a, struct pgo_merge *from, struct pgo_err *err)
{
	struct pgo_merge *m = a->m;
	int rc = 0;

	if (pgo_mt_spilled(m) || pgo_mt_spilled(from)) {
		rc = pgo_mt_spill_rows(from, err);
		for (uint32_t c = 0; c < from->n_columns && rc == 0 && a->times != 1; c++)
			rc = pgo_mt_spill_scale(from, c, a->times, err);
		return rc == 0 ? pgo_mt_spill_take(m, from, a->location, a->label_set, a->column,
					 a->factor, err)
			       : rc;
	}
	for (size_t i = 0; i < from->n_stacks && rc == 0; i += PGO_MT_BATCH) {
		size_t left = from->n_stacks - i;

		rc = absorb_stacks(a, i, i + (left < PGO_MT_BATCH ? left : PGO_MT_BATCH), err);
	}
	return rc;
}

static int scale_column(struct pgo_merge *m, uint32_t c, uint64_t times, struct pgo_err *err)
{
	for (size_t i = 0; i < m->n_stacks; i++) {
		pgo_i128 *sum = &m->sums[i * m->stride + c];

		if (__builtin_mul_overflow(*sum, (pgo_i128)times, sum))
			return pgo_err_set(err, PGO_ELIMIT,
				"the sum of column %s exceeds 128 bits; its values cannot be right",
				pgo_strtab_get(&m->strs, m->columns[c].type));
	}
	return pgo_mt_spilled(m) ? pgo_mt_spill_scale(m, c, times, err) : 0;
}

int pgo_merge_scale(struct pgo_merge *m, uint64_t times, struct pgo_err *err)
{
	int rc = 0;

	for (uint32_t c = 0; c < m->n_columns && rc == 0 && times != 1; c++)
		rc = scale_column(m, c, times, err);
	return rc;
}

bool pgo_merge_spilled(const struct pgo_merge *m)
{
	return pgo_mt_spilled(m);
}

int pgo_merge_absorb(struct pgo_merge *m, struct pgo_merge *from, struct pgo_err *err)
{
	return pgo_merge_absorb_times(m, from, 1, err);
}

int pgo_merge_absorb_times(
	struct pgo_merge *m, struct pgo_merge *from, uint64_t times, struct pgo_err *err)
{
	struct absorb a = {.m = m, .from = from, .times = times};
	int rc = 0;

	if (from->stats.profiles == 0)
		return 0;
	if (absorb_init(&a) < 0 || absorb_names(&a) < 0 || absorb_locations(&a) < 0 ||
		absorb_labels(&a) < 0 || absorb_header(&a) < 0)
		rc = pgo_err_nomem(err);
	if (rc == 0)
		rc = absorb_columns(&a, err);
	if (rc == 0)
		rc = absorb_rows(&a, from, err);
	if (rc == 0)
		add_stats(&m->stats, &from->stats);
	absorb_fini(&a);
	return rc;
}
