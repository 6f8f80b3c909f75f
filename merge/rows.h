/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stacks of a merger that is done, one after the other in rank order, each with its sums: from
 * its tables, or from the disk if it had to spill.  Internal to merge.
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

struct pgo_mt_rows {
	const struct pgo_merge *m;
	const struct pgo_mt_ranks *ranks;
	size_t at;
};

/* Over the rows of a merger that pgo_mt_rank_all() has ranked. */
void pgo_mt_rows_init(struct pgo_mt_rows *rows, const struct pgo_mt_ranks *ranks);
/* 1 and a row (borrowed until the next call), 0 at the end, or a negative code. */
int pgo_mt_rows_next(
	struct pgo_mt_rows *rows, struct pgo_mt_row *ret, struct pgo_err *err) PGO_MUST_CHECK;

#endif
