/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stacks of a merger that is done, one after the other in rank order, each once with its sums:
 * from its tables, or merged from the sorted runs on disk if it had to spill.  Internal to merge.
 */
#ifndef PGO_MERGE_ROWS_H
#define PGO_MERGE_ROWS_H

#include "merge/ranks.h"
#include "merge/tables.h"

struct pgo_mt_row {
	const uint32_t *loc;  /* ranks of locations */
	const pgo_i128 *sums; /* per column of the tables */
	uint32_t n_loc;
	uint32_t labels; /* rank of the label set */
};

struct pgo_mt_cursor;
struct pgo_mt_rows {
	const struct pgo_merge *m;
	const struct pgo_mt_ranks *ranks;
	size_t at; /* in the tables */
	/* Of runs: those that are not at their end, as a heap by the row they are at. */
	struct pgo_mt_cursor *cursors;
	uint32_t *heap;
	size_t n_cursors, n_heap;
	uint32_t *loc; /* the row that is given */
	size_t loc_room;
	pgo_i128 *sums;
};

/* Ranks everything and readies the rows; `turn`: stacks are from the root on, and sorted so.  The
 * rows of the merger are used up. */
int pgo_mt_rows_init(struct pgo_mt_rows *rows, struct pgo_mt_ranks *ranks, bool turn,
	struct pgo_err *err) PGO_MUST_CHECK;
/* 1 and a row (borrowed until the next call), 0 at the end, or a negative code. */
int pgo_mt_rows_next(
	struct pgo_mt_rows *rows, struct pgo_mt_row *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_mt_rows_fini(struct pgo_mt_rows *rows);
/* All stacks in memory the other way round: a second time, and they are as they were. */
void pgo_mt_turn_stacks(struct pgo_merge *m);

#endif
