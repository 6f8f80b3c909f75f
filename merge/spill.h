/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stacks and sums on disk, for fleets with more distinct stacks than memory has room for.  Internal
 * to merge.
 *
 * Strings, functions, mappings, locations and label sets stay in memory: they are bounded by the
 * programs, stacks by what the programs do.  Past options.spill_at all rows go to a temporary file
 * without a name as a run, by the ids of the tables, unsorted; that costs one pass over them.  A
 * stack may then be in many runs.  When all inputs are in and the tables have their final order,
 * each run is read back, turned into ranks, sorted and written again; and as all runs are then in
 * one order, they are merged row by row while the result is written.  Nothing else knows: the bytes
 * of a result do not depend on whether or when rows went to disk.
 *
 * A row in a run:	frames shared with the row before (0 before sorting), frames of its own,
 *			these, the label set, the sum of each column; varints, sums zigzag
 *
 * A merger that takes in another takes over its runs, with the tables that translate their ids.
 */
#ifndef PGO_MERGE_SPILL_H
#define PGO_MERGE_SPILL_H

#include "merge/rows.h"
#include "pgo/core/buf.h"

/* A temporary file that runs share; it is gone when the last of them is. */
struct pgo_mt_spill_file {
	int fd;
	unsigned users;
	uint64_t end;
	char *dir; /* for messages */
};

/* Ids of the merger that wrote a run -> those of the merger that has it now. */
struct pgo_mt_spill_ids {
	unsigned users;
	uint32_t *location, *labels;
	size_t n_location, n_labels;
};

/* Where a sum of a row goes: a column of the tables, and what it is multiplied by. */
struct pgo_mt_run_column {
	uint64_t factor;
	uint32_t to;
};

struct pgo_mt_run {
	struct pgo_mt_spill_file *file;
	struct pgo_mt_spill_ids *ids; /* NULL: the ids are the merger's own */
	uint64_t offset, bytes, rows;
	struct pgo_mt_run_column *columns; /* n_columns of them, the sums of a row */
	uint32_t n_columns;
};

struct pgo_mt_spill {
	struct pgo_mt_spill_file *file; /* where the next run goes; NULL = none yet */
	struct pgo_mt_run *runs;
	size_t n, room;
	bool sorted; /* by rank; ids are then done with */
};

/* Are some rows on disk? */
static inline bool pgo_mt_spilled(const struct pgo_merge *m)
{
	return m->spill != NULL && m->spill->n != 0;
}
/* All rows to disk as another run. */
int pgo_mt_spill_rows(struct pgo_merge *m, struct pgo_err *err) PGO_MUST_CHECK;
/* The same if the tables are larger than the options allow; between inputs or samples, with an
 * empty batch. */
int pgo_mt_spill_check(struct pgo_merge *m, struct pgo_err *err) PGO_MUST_CHECK;
/* What the tables do to a column of theirs, for the rows on disk: multiply it; add one to another and
 * empty it. */
int pgo_mt_spill_scale(
	struct pgo_merge *m, uint32_t column, uint64_t factor, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_mt_spill_move(struct pgo_merge *m, uint32_t from, uint32_t to);
/* Takes over the runs of `from`, whose ids are translated by these arrays (copied); `factor` may be
 * NULL. */
int pgo_mt_spill_take(struct pgo_merge *m, struct pgo_merge *from, const uint32_t *location,
	const uint32_t *labels, const uint32_t *column, const uint64_t *factor,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Sorts every run by rank; `turn`: stacks are then from the root on. */
int pgo_mt_spill_sort(struct pgo_merge *m, const struct pgo_mt_ranks *r, bool turn,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_mt_spill_free(struct pgo_merge *m);

/* ---------------------------------------------------------------- bytes on disk */

/* Rows to the end of a file. */
struct pgo_mt_run_writer {
	struct pgo_mt_spill_file *file;
	struct pgo_buf out;
	uint32_t *prev;
	size_t n_prev, prev_room;
	uint64_t offset, rows;
};
int pgo_mt_run_begin(struct pgo_mt_run_writer *w, struct pgo_mt_spill_file *file,
	struct pgo_err *err) PGO_MUST_CHECK;
/* A row up to its sums, delta-coded if `sorted`; the sums follow (pgo_mt_put_wide() to w->out). */
int pgo_mt_run_put(struct pgo_mt_run_writer *w, const uint32_t *loc, uint32_t n_loc,
	uint32_t labels, bool sorted, struct pgo_err *err) PGO_MUST_CHECK;
/* Writes the rest; fills offset, bytes and rows of *ret.  The writer is spent either way. */
int pgo_mt_run_end(
	struct pgo_mt_run_writer *w, struct pgo_mt_run *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_mt_run_abort(struct pgo_mt_run_writer *w);
struct pgo_mt_spill_file *pgo_mt_spill_file_new(const char *dir, struct pgo_err *err);
void pgo_mt_spill_file_drop(struct pgo_mt_spill_file *f);

/* Rows of a run, one after the other. */
struct pgo_mt_run_reader {
	const struct pgo_mt_run *run;
	uint8_t *buf;
	size_t room, at, len;
	uint64_t next; /* offset of what comes after the buffer, from the run's start */
	uint64_t left; /* rows */
	uint32_t *loc;
	size_t loc_room;
	uint32_t n_loc, labels;
};
int pgo_mt_run_open(struct pgo_mt_run_reader *r, const struct pgo_mt_run *run, size_t room,
	struct pgo_err *err) PGO_MUST_CHECK;
/* 1 and a row up to its sums, 0 at the end, or a negative code. */
int pgo_mt_run_next(struct pgo_mt_run_reader *r, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_mt_run_sum(struct pgo_mt_run_reader *r, pgo_i128 *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_mt_run_close(struct pgo_mt_run_reader *r);

#endif
