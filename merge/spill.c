/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/spill.h"

#include "merge/wide.h"
#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define READ_ROOM ((size_t)1 << 20)

/* ---------------------------------------------------------------- ownership */

static void ids_drop(struct pgo_mt_spill_ids *ids)
{
	if (ids == NULL || --ids->users != 0)
		return;
	pgo_free(ids->location);
	pgo_free(ids->labels);
	pgo_free(ids);
}

static void run_fini(struct pgo_mt_run *run)
{
	pgo_mt_spill_file_drop(run->file);
	ids_drop(run->ids);
	pgo_free(run->columns);
}

void pgo_mt_spill_free(struct pgo_merge *m)
{
	struct pgo_mt_spill *s = m->spill;

	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++)
		run_fini(&s->runs[i]);
	pgo_mt_spill_file_drop(s->file);
	pgo_free(s->runs);
	pgo_free(s);
	m->spill = NULL;
}

static struct pgo_mt_spill *spill_of(struct pgo_merge *m, struct pgo_err *err)
{
	if (m->spill == NULL)
		m->spill = pgo_calloc(1, sizeof *m->spill);
	if (m->spill == NULL)
		pgo_err_nomem(err);
	return m->spill;
}

/* Shares what *run refers to, but its columns: these are copied. */
static int keep_run(struct pgo_mt_spill *s, const struct pgo_mt_run *run, struct pgo_err *err)
{
	struct pgo_mt_run_column *columns = pgo_calloc(run->n_columns, sizeof *columns);
	struct pgo_mt_run *to = columns != NULL ? PGO_VEC_PUSH(s->runs, s->n, s->room) : NULL;

	if (to == NULL) {
		pgo_free(columns);
		return pgo_err_nomem(err);
	}
	*to = *run;
	to->columns = columns;
	for (uint32_t c = 0; c < run->n_columns; c++)
		columns[c] =
			run->columns != NULL ? run->columns[c] : (struct pgo_mt_run_column){1, c};
	to->file->users++;
	if (to->ids != NULL)
		to->ids->users++;
	return 0;
}

/* ---------------------------------------------------------------- to disk */

/* The memory of the rows goes back, so that what comes next can have it. */
static void forget_rows(struct pgo_merge *m)
{
	pgo_free(m->stacks);
	pgo_free(m->stack_locs);
	pgo_free(m->sums);
	pgo_map_fini(&m->stack_map);
	pgo_map_init(&m->stack_map);
	m->stacks = NULL;
	m->stack_locs = NULL;
	m->sums = NULL;
	m->n_stacks = m->stacks_room = 0;
	m->n_stack_locs = m->stack_locs_room = 0;
	m->sums_room = 0;
}

static int write_rows(const struct pgo_merge *m, struct pgo_mt_run_writer *w, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < m->n_stacks && rc == 0; i++) {
		const struct pgo_mt_stack *s = &m->stacks[i];

		rc = pgo_mt_run_put(w, m->stack_locs + s->first, s->n_loc, s->labels, false, err);
		for (size_t c = 0; c < m->n_columns; c++)
			pgo_mt_put_wide(&w->out, m->sums[i * m->stride + c]);
	}
	return rc;
}

int pgo_mt_spill_rows(struct pgo_merge *m, struct pgo_err *err)
{
	struct pgo_mt_spill *s = spill_of(m, err);
	struct pgo_mt_run run = {.n_columns = (uint32_t)m->n_columns};
	struct pgo_mt_run_writer w;
	int rc;

	if (s == NULL)
		return PGO_ENOMEM;
	if (m->n_stacks == 0)
		return 0;
	if (s->file == NULL && (s->file = pgo_mt_spill_file_new(m->options.spill_dir, err)) == NULL)
		return PGO_EIO;
	rc = pgo_mt_run_begin(&w, s->file, err);
	if (rc < 0)
		return rc;
	rc = write_rows(m, &w, err);
	if (rc < 0) {
		pgo_mt_run_abort(&w);
		return rc;
	}
	rc = pgo_mt_run_end(&w, &run, err);
	if (rc == 0)
		rc = keep_run(s, &run, err);
	if (rc == 0)
		forget_rows(m);
	return rc;
}

/* Bytes that a run would free. */
static uint64_t row_bytes(const struct pgo_merge *m)
{
	return m->n_stacks * (m->stride * sizeof *m->sums + sizeof *m->stacks) +
	       m->n_stack_locs * sizeof *m->stack_locs +
	       m->stack_map.n_slots * sizeof(struct pgo_map_slot);
}

int pgo_mt_spill_check(struct pgo_merge *m, struct pgo_err *err)
{
	const uint64_t cap = m->options.spill_at;

	/* Where names and places alone fill the room, runs of an eighth of it, not ever smaller
	 * ones. */
	if (cap == 0 || pgo_mt_bytes(m) <= cap || row_bytes(m) < cap / 8)
		return 0;
	return pgo_mt_spill_rows(m, err);
}

/* ---------------------------------------------------------------- columns */

static int scale(struct pgo_mt_run_column *c, uint64_t factor, struct pgo_err *err)
{
	if (__builtin_mul_overflow(c->factor, factor, &c->factor))
		return pgo_err_set(err, PGO_ELIMIT,
			"units of a column differ by more than 64 bits; its values cannot be "
			"right");
	return 0;
}

int pgo_mt_spill_scale(struct pgo_merge *m, uint32_t column, uint64_t factor, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; m->spill != NULL && i < m->spill->n; i++)
		for (uint32_t c = 0; c < m->spill->runs[i].n_columns && rc == 0; c++)
			if (m->spill->runs[i].columns[c].to == column)
				rc = scale(&m->spill->runs[i].columns[c], factor, err);
	return rc;
}

void pgo_mt_spill_move(struct pgo_merge *m, uint32_t from, uint32_t to)
{
	for (size_t i = 0; m->spill != NULL && i < m->spill->n; i++)
		for (uint32_t c = 0; c < m->spill->runs[i].n_columns; c++)
			if (m->spill->runs[i].columns[c].to == from)
				m->spill->runs[i].columns[c].to = to;
}

/* ---------------------------------------------------------------- from one merger to another */

static uint32_t *translate(const uint32_t *first, size_t n_first, const uint32_t *then, size_t n)
{
	uint32_t *ret = pgo_calloc(first != NULL ? n_first : n, sizeof *ret);

	for (size_t i = 0; ret != NULL && i < (first != NULL ? n_first : n); i++)
		ret[i] = then[first != NULL ? first[i] : i];
	return ret;
}

/* The ids of a run of `from` in the merger that the arrays lead to. */
static struct pgo_mt_spill_ids *ids_through(const struct pgo_merge *from,
	const struct pgo_mt_spill_ids *old, const uint32_t *location, const uint32_t *labels)
{
	static const struct pgo_mt_spill_ids none;
	struct pgo_mt_spill_ids *ids = pgo_calloc(1, sizeof *ids);

	if (ids == NULL)
		return NULL;
	if (old == NULL)
		old = &none;
	ids->users = 1;
	ids->n_location = old->location != NULL ? old->n_location : from->n_locations;
	ids->n_labels = old->labels != NULL ? old->n_labels : from->n_label_sets;
	ids->location = translate(old->location, old->n_location, location, from->n_locations);
	ids->labels = translate(old->labels, old->n_labels, labels, from->n_label_sets);
	if (ids->location != NULL && ids->labels != NULL)
		return ids;
	ids_drop(ids);
	return NULL;
}

/* Runs that shared their ids share the new ones. */
int pgo_mt_spill_take(struct pgo_merge *m, struct pgo_merge *from, const uint32_t *location,
	const uint32_t *labels, const uint32_t *column, const uint64_t *factor, struct pgo_err *err)
{
	struct pgo_mt_spill *s = spill_of(m, err);
	struct pgo_mt_spill_ids *ids = NULL;
	int rc = s != NULL ? 0 : PGO_ENOMEM;

	for (size_t i = 0; from->spill != NULL && i < from->spill->n && rc == 0; i++) {
		struct pgo_mt_run run = from->spill->runs[i];

		if (i == 0 || run.ids != from->spill->runs[i - 1].ids) {
			ids_drop(ids);
			ids = ids_through(from, run.ids, location, labels);
		}
		if (ids == NULL)
			return pgo_err_nomem(err);
		run.ids = ids;
		rc = keep_run(s, &run, err);
		for (uint32_t c = 0; c < run.n_columns && rc == 0; c++) {
			struct pgo_mt_run_column *to = &s->runs[s->n - 1].columns[c];

			if (factor != NULL)
				rc = scale(to, factor[to->to], err);
			to->to = column[to->to];
		}
	}
	ids_drop(ids);
	return rc;
}

/* ---------------------------------------------------------------- sorting a run */

struct row {
	size_t first; /* in the pool of ranks */
	size_t sums;  /* in the bytes of sums */
	uint32_t n_loc, labels;
	uint32_t n_bytes; /* of sums */
};

struct loaded {
	struct row *rows;
	uint32_t *pool;
	struct pgo_order *order;
	struct pgo_buf sums; /* as they were written */
	size_t n, rows_room, n_pool, pool_room;
};

static void loaded_fini(struct loaded *l)
{
	pgo_free(l->rows);
	pgo_free(l->pool);
	pgo_free(l->order);
	pgo_buf_fini(&l->sums);
}

static int cmp_rows(const void *ctx, uint32_t ia, uint32_t ib)
{
	const struct loaded *l = ctx;
	const struct row *a = &l->rows[ia], *b = &l->rows[ib];

	return pgo_mt_row_cmp(
		l->pool + a->first, a->n_loc, a->labels, l->pool + b->first, b->n_loc, b->labels);
}

/* The row that the reader is at, in ranks. */
static int load_row(struct loaded *l, struct pgo_mt_run_reader *r, const struct pgo_mt_ranks *ranks,
	bool turn, struct pgo_err *err)
{
	const struct pgo_mt_spill_ids *ids = r->run->ids;
	struct row *row = PGO_VEC_PUSH(l->rows, l->n, l->rows_room);
	uint32_t *to;

	if (row == NULL || PGO_VEC_RESERVE(l->pool, l->pool_room, l->n_pool + r->n_loc + 1) < 0)
		return pgo_err_nomem(err);
	row->first = l->n_pool;
	row->n_loc = r->n_loc;
	row->labels = ranks->labels_rank[ids != NULL ? ids->labels[r->labels] : r->labels];
	to = l->pool + l->n_pool;
	for (uint32_t i = 0; i < r->n_loc; i++) {
		uint32_t id = r->loc[turn ? r->n_loc - 1 - i : i];

		to[i] = ranks->location_rank[ids != NULL ? ids->location[id] : id];
	}
	l->n_pool += r->n_loc;
	row->sums = l->sums.len;
	for (uint32_t c = 0; c < r->run->n_columns; c++) {
		pgo_i128 v;
		int rc = pgo_mt_run_sum(r, &v, err);

		if (rc < 0)
			return rc;
		pgo_mt_put_wide(&l->sums, v);
	}
	row->n_bytes = (uint32_t)(l->sums.len - row->sums);
	return pgo_buf_check(&l->sums, "the sums of a run", err);
}

static int load(struct loaded *l, const struct pgo_mt_run *run, const struct pgo_mt_ranks *ranks,
	bool turn, struct pgo_err *err)
{
	struct pgo_mt_run_reader r;
	int rc;

	pgo_buf_init(&l->sums, (size_t)8 << 30);
	rc = pgo_mt_run_open(&r, run, READ_ROOM, err);
	if (rc == 0 && PGO_VEC_RESERVE(l->rows, l->rows_room, run->rows) < 0)
		rc = pgo_err_nomem(err);
	while (rc == 0 && (rc = pgo_mt_run_next(&r, err)) > 0)
		rc = load_row(l, &r, ranks, turn, err);
	pgo_mt_run_close(&r);
	if (rc < 0)
		return rc;
	l->order = pgo_calloc(l->n, sizeof *l->order);
	if (l->order == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < l->n; i++)
		l->order[i] = (struct pgo_order){
			pgo_mt_row_key(l->pool + l->rows[i].first, l->rows[i].n_loc), (uint32_t)i,
			0};
	return pgo_order_sort(l->order, l->n, cmp_rows, l) < 0 ? pgo_err_nomem(err) : 0;
}

static int write_sorted(struct loaded *l, struct pgo_mt_spill_file *file, struct pgo_mt_run *ret,
	struct pgo_err *err)
{
	struct pgo_mt_run_writer w;
	int rc = pgo_mt_run_begin(&w, file, err);

	for (size_t i = 0; i < l->n && rc == 0; i++) {
		const struct row *row = &l->rows[l->order[i].index];

		rc = pgo_mt_run_put(&w, l->pool + row->first, row->n_loc, row->labels, true, err);
		pgo_buf_add(&w.out, l->sums.data + row->sums, row->n_bytes);
	}
	if (rc < 0) {
		pgo_mt_run_abort(&w);
		return rc;
	}
	return pgo_mt_run_end(&w, ret, err);
}

int pgo_mt_spill_sort(
	struct pgo_merge *m, const struct pgo_mt_ranks *r, bool turn, struct pgo_err *err)
{
	struct pgo_mt_spill *s = m->spill;
	struct pgo_mt_spill_file *file = pgo_mt_spill_file_new(m->options.spill_dir, err);
	int rc = file != NULL ? 0 : PGO_EIO;

	for (size_t i = 0; i < s->n && rc == 0; i++) {
		struct pgo_mt_run *run = &s->runs[i], sorted = *run;
		struct loaded l = {0};

		rc = load(&l, run, r, turn, err);
		if (rc == 0)
			rc = write_sorted(&l, file, &sorted, err);
		loaded_fini(&l);
		if (rc < 0)
			break;
		pgo_mt_spill_file_drop(run->file);
		*run = sorted;
		file->users++;
	}
	pgo_mt_spill_file_drop(file);
	pgo_mt_spill_file_drop(s->file);
	s->file = NULL;
	s->sorted = rc == 0;
	return rc;
}
