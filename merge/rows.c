/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/rows.h"

#include "merge/spill.h"
#include "pgo/core/vec.h"

#include <string.h>

/* Bytes of buffers of all runs together, and of one at least. */
#define BUFFERS ((size_t)16 << 20)
#define BUFFER_MIN ((size_t)4 << 10)
#define BUFFER_MAX ((size_t)256 << 10)

struct pgo_mt_cursor {
	struct pgo_mt_run_reader r;
	pgo_i128 *sums; /* of the row it is at, per column of the tables */
};

/* ---------------------------------------------------------------- a heap of runs */

static int cmp(const struct pgo_mt_rows *rows, uint32_t ia, uint32_t ib)
{
	const struct pgo_mt_run_reader *a = &rows->cursors[ia].r, *b = &rows->cursors[ib].r;

	return pgo_mt_row_cmp(a->loc, a->n_loc, a->labels, b->loc, b->n_loc, b->labels);
}

static void sift(struct pgo_mt_rows *rows, size_t i)
{
	uint32_t *heap = rows->heap;

	for (;;) {
		size_t low = i, left = 2 * i + 1;
		uint32_t swap;

		if (left < rows->n_heap && cmp(rows, heap[left], heap[low]) < 0)
			low = left;
		if (left + 1 < rows->n_heap && cmp(rows, heap[left + 1], heap[low]) < 0)
			low = left + 1;
		if (low == i)
			return;
		swap = heap[i];
		heap[i] = heap[low];
		heap[low] = swap;
		i = low;
	}
}

static int overflow(const struct pgo_merge *m, size_t column, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_ELIMIT,
		"the sum of column %s exceeds 128 bits; its values cannot be right",
		pgo_strtab_get(&m->strs, m->columns[column].type));
}

/* Its next row; 1, 0 at the end. */
static int advance(struct pgo_mt_rows *rows, uint32_t i, struct pgo_err *err)
{
	struct pgo_mt_cursor *c = &rows->cursors[i];
	int rc = pgo_mt_run_next(&c->r, err);

	if (rc <= 0)
		return rc;
	if (rows->m->n_columns != 0)
		memset(c->sums, 0, rows->m->n_columns * sizeof *c->sums);
	for (uint32_t k = 0; k < c->r.run->n_columns; k++) {
		const struct pgo_mt_run_column *to = &c->r.run->columns[k];
		pgo_i128 v;

		rc = pgo_mt_run_sum(&c->r, &v, err);
		if (rc < 0)
			return rc;
		if (__builtin_mul_overflow(v, (pgo_i128)to->factor, &v) ||
			__builtin_add_overflow(c->sums[to->to], v, &c->sums[to->to]))
			return overflow(rows->m, to->to, err);
	}
	return 1;
}

static int open_runs(struct pgo_mt_rows *rows, struct pgo_err *err)
{
	const struct pgo_mt_spill *s = rows->m->spill;
	const size_t n_columns = rows->m->n_columns;
	size_t room = BUFFERS / s->n;
	int rc;

	room = room < BUFFER_MIN ? BUFFER_MIN : room > BUFFER_MAX ? BUFFER_MAX : room;
	rows->cursors = pgo_calloc(s->n, sizeof *rows->cursors);
	rows->heap = pgo_calloc(s->n, sizeof *rows->heap);
	rows->sums = pgo_calloc(n_columns, sizeof *rows->sums);
	if (rows->cursors == NULL || rows->heap == NULL || rows->sums == NULL)
		return pgo_err_nomem(err);
	rows->n_cursors = s->n;
	for (uint32_t i = 0; i < s->n; i++) {
		rows->cursors[i].sums = pgo_calloc(n_columns, sizeof *rows->cursors[i].sums);
		if (rows->cursors[i].sums == NULL)
			return pgo_err_nomem(err);
		rc = pgo_mt_run_open(&rows->cursors[i].r, &s->runs[i], room, err);
		if (rc == 0)
			rc = advance(rows, i, err);
		if (rc < 0)
			return rc;
		if (rc > 0)
			rows->heap[rows->n_heap++] = i;
	}
	for (size_t i = rows->n_heap / 2; i-- > 0;)
		sift(rows, i);
	return 0;
}

/* The row at the top of the heap goes into the given one; its run moves on. */
static int take_top(struct pgo_mt_rows *rows, struct pgo_err *err)
{
	const struct pgo_merge *m = rows->m;
	const uint32_t top = rows->heap[0];
	int rc;

	for (size_t c = 0; c < m->n_columns; c++)
		if (__builtin_add_overflow(
			    rows->sums[c], rows->cursors[top].sums[c], &rows->sums[c]))
			return overflow(m, c, err);
	rc = advance(rows, top, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		rows->heap[0] = rows->heap[--rows->n_heap];
	sift(rows, 0);
	return 0;
}

static int next_of_runs(struct pgo_mt_rows *rows, struct pgo_mt_row *ret, struct pgo_err *err)
{
	const struct pgo_mt_run_reader *r;
	int rc;

	if (rows->n_heap == 0)
		return 0;
	r = &rows->cursors[rows->heap[0]].r;
	if (PGO_VEC_RESERVE(rows->loc, rows->loc_room, r->n_loc + (size_t)1) < 0)
		return pgo_err_nomem(err);
	if (r->n_loc != 0)
		memcpy(rows->loc, r->loc, r->n_loc * sizeof *rows->loc);
	ret->loc = rows->loc;
	ret->n_loc = r->n_loc;
	ret->labels = r->labels;
	ret->sums = rows->sums;
	if (rows->m->n_columns != 0)
		memset(rows->sums, 0, rows->m->n_columns * sizeof *rows->sums);
	do {
		rc = take_top(rows, err);
		if (rc < 0)
			return rc;
		if (rows->n_heap == 0)
			break;
		r = &rows->cursors[rows->heap[0]].r;
	} while (pgo_mt_row_cmp(r->loc, r->n_loc, r->labels, ret->loc, ret->n_loc, ret->labels) ==
		 0);
	return 1;
}

/* ---------------------------------------------------------------- either way */

void pgo_mt_turn_stacks(struct pgo_merge *m)
{
	for (size_t i = 0; i < m->n_stacks; i++) {
		uint32_t *loc = m->stack_locs + m->stacks[i].first;

		for (uint32_t a = 0, b = m->stacks[i].n_loc; a + 1 < b; a++, b--) {
			uint32_t swap = loc[a];

			loc[a] = loc[b - 1];
			loc[b - 1] = swap;
		}
	}
}

int pgo_mt_rows_init(
	struct pgo_mt_rows *rows, struct pgo_mt_ranks *ranks, bool turn, struct pgo_err *err)
{
	struct pgo_merge *m = ranks->m;
	int rc = 0;

	*rows = (struct pgo_mt_rows){.m = m, .ranks = ranks};
	if (pgo_mt_spilled(m))
		rc = pgo_mt_spill_rows(m, err);
	if (rc < 0)
		return rc;
	if (turn)
		pgo_mt_turn_stacks(m);
	if (pgo_mt_rank_all(ranks) < 0)
		return pgo_err_nomem(err);
	if (!pgo_mt_spilled(m))
		return 0;
	rc = pgo_mt_spill_sort(m, ranks, turn, err);
	return rc == 0 ? open_runs(rows, err) : rc;
}

int pgo_mt_rows_next(struct pgo_mt_rows *rows, struct pgo_mt_row *ret, struct pgo_err *err)
{
	const struct pgo_merge *m = rows->m;
	const struct pgo_mt_stack *s;
	uint32_t i;

	if (rows->cursors != NULL)
		return next_of_runs(rows, ret, err);
	if (rows->at == m->n_stacks)
		return 0;
	i = rows->ranks->stack_at[rows->at++];
	s = &m->stacks[i];
	ret->loc = m->stack_locs + s->first;
	ret->n_loc = s->n_loc;
	ret->labels = rows->ranks->labels_rank[s->labels];
	ret->sums = m->sums + (size_t)i * m->stride;
	return 1;
}

void pgo_mt_rows_fini(struct pgo_mt_rows *rows)
{
	for (size_t i = 0; i < rows->n_cursors; i++) {
		pgo_mt_run_close(&rows->cursors[i].r);
		pgo_free(rows->cursors[i].sums);
	}
	pgo_free(rows->cursors);
	pgo_free(rows->heap);
	pgo_free(rows->loc);
	pgo_free(rows->sums);
	memset(rows, 0, sizeof *rows);
}
