/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many profiles -> one, exactly.
 *
 * Values are integers, multiplied by one integer weight per profile and added in 128 bits; the
 * result is scaled back once, by largest remainder, so no rounding depends on order.  Laws, over
 * profiles whose values are not negative:
 *	order      the output bytes are the same for every order of the inputs
 *	tree       merging merged profiles (weight 1) gives the bytes of merging all at once
 *	identity   merging one profile (weight 1) changes nothing but the encoding
 *
 * Keys, as google/pprof has them: mapping = (size rounded up to 4 KiB, file offset, build-id else
 * file name); location = (address - mapping start, mapping, lines, folded); sample = (locations,
 * labels if kept).  So address randomisation disappears before anything is compared; a mapping of
 * the result starts at the lowest start (but 0) of its inputs.  Addresses outside their mapping are
 * no offsets into it: they move to a mapping of the same file without start, limit and offset
 * (merge/tables.h says why) and are counted.  has_functions and its like hold if they held in all
 * inputs.  Two builds without build-ids at one path are one mapping: keep them apart before.
 *
 * Sample types are united by type and unit, zero where a profile lacks one: first samples, then the
 * others by name, then branch data.  Units of time are one unit, the finest of any input, and so are
 * units of memory.  Counts of samples with different periods do not measure the same: where profiles
 * that have nothing else differ in their period, or another one has the event as a column, they get
 * that column, as count times period.  Samples that are zero in every column disappear.  Header:
 * earliest time, sum of durations, largest period of the first period type in byte order, comments
 * united and sorted.
 *
 *	m = pgo_merge_new(...);
 *	pgo_merge_add(m, reader, weight, err) ...
 *	p = pgo_merge_finish(m, err);
 *	pgo_merge_free(m);
 */
#ifndef PGO_MERGE_MERGE_H
#define PGO_MERGE_MERGE_H

#include "merge/tags.h"
#include "pgo/core/err.h"
#include "pgo/core/profile.h"

#include <stdbool.h>
#include <stdint.h>

struct pgo_merge_options {
	bool keep_labels; /* else all labels are dropped, and samples that differ only in labels
				become one */
	const struct pgo_tags *tags; /* which samples to take, and which labels are kept; NULL =
					all; borrowed */
	bool no_origins;             /* the result does not say which inputs are in it */
	uint64_t weight_one; /* the weight that stands for "once": the sums are divided by it at the
				end; 0 = 1 */
	unsigned
		min_hosts; /* for who adds the inputs: note which functions this many hosts ran (0 =
				do not); the merger itself looks at no host */
	uint64_t max_memory;   /* bytes of tables; 0 = 8 GiB */
	uint64_t spill_at;     /* bytes of tables past which stacks go to disk; 0 = never */
	const char *spill_dir; /* for the temporary file, if TMPDIR names none; NULL = /var/tmp.
				  Borrowed */
};

struct pgo_merge;
struct pgo_merge *pgo_merge_new(const struct pgo_merge_options *o, struct pgo_err *err);
void pgo_merge_free(struct pgo_merge *m);
/* Draws all samples of `r`; borrows it.  Weight 0 is PGO_EUSAGE.  After a failure the merger holds
 * a part of the input: throw it away. */
int pgo_merge_add(struct pgo_merge *m, struct pgo_reader *r, uint64_t weight,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Adds a comment to the result, where it stands once; "" is none. */
int pgo_merge_add_comment(
	struct pgo_merge *m, const char *text, struct pgo_err *err) PGO_MUST_CHECK;
/*
 * Adds all that `from` has summed up, as if its inputs had been added to `m`; both must have the
 * same options.  `from` is good only to be freed afterwards.  After a failure throw both away.
 */
int pgo_merge_absorb(
	struct pgo_merge *m, struct pgo_merge *from, struct pgo_err *err) PGO_MUST_CHECK;
/* The same with each sum `times` as large. */
int pgo_merge_absorb_times(struct pgo_merge *m, struct pgo_merge *from, uint64_t times,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Makes each sum `times` as large. */
int pgo_merge_scale(struct pgo_merge *m, uint64_t times, struct pgo_err *err) PGO_MUST_CHECK;
/* Has it put anything on disk? */
bool pgo_merge_spilled(const struct pgo_merge *m);
/* Gives the merged profile, sorted by content; PGO_EEMPTY if no sample is left. The merger is
 * spent. */
struct pgo_profile *pgo_merge_finish(struct pgo_merge *m, struct pgo_err *err);
/* The same as a reader (pgo_reader_close), which may draw its samples from disk; borrows `m`. */
struct pgo_reader *pgo_merge_stream(struct pgo_merge *m, struct pgo_err *err);

struct pgo_merge_stats {
	uint64_t profiles, samples_in, samples_out;
	uint64_t samples_zero;      /* of samples_in: without any value */
	uint64_t samples_filtered;  /* of samples_in: left out by their labels */
	uint64_t locations_in;      /* that a sample with a value names, summed over inputs */
	uint64_t locations_outside; /* of these: outside their mapping */
	uint64_t locations_out;
};
const struct pgo_merge_stats *pgo_merge_stats_of(const struct pgo_merge *m);

#endif
