/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many profiles -> one, exactly.
 *
 * Values are integers, multiplied by one integer weight per profile and added in 128 bits; the
 *result is scaled back once, by largest remainder, so it has no rounding that depends on order.
 *Law: the output bytes are the same for every order of the inputs, and merging one profile with
 *weight 1 changes nothing but the encoding.
 *
 * Keys as google/pprof: mapping = (size rounded up to 4 KiB, file offset, build-id else file name);
 *location = (address - mapping start, mapping, lines, folded); sample = (locations, labels if
 *kept).  So address randomisation disappears before comparison.  A mapping of the result starts at
 *the lowest start of its inputs. Sample types are united by (type, unit), zero where a profile
 *lacks one.  Samples that are zero in every column disappear.
 *
 *	m = pgo_merge_new(...); pgo_merge_add(m, reader, weight, err) ...; p = pgo_merge_finish(m,
 *err); pgo_merge_free(m);
 */
#ifndef PGO_MERGE_MERGE_H
#define PGO_MERGE_MERGE_H

#include "pgo/core/err.h"
#include "pgo/core/profile.h"

#include <stdbool.h>
#include <stdint.h>

struct pgo_merge_options {
	bool keep_labels;    /* else all labels are dropped, and samples that differ only in labels
				become one */
	uint64_t weight_one; /* the weight that stands for "once": the sums are divided by it at the
				end; 0 = 1 */
	uint64_t max_memory; /* bytes of tables; 0 = 8 GiB */
};

struct pgo_merge;
struct pgo_merge *pgo_merge_new(const struct pgo_merge_options *o, struct pgo_err *err);
void pgo_merge_free(struct pgo_merge *m);
/* Draws all samples of `r`; borrows it.  Weight 0 is PGO_EUSAGE.  After a failure the merger holds
 * a part of the input: throw it away. */
int pgo_merge_add(struct pgo_merge *m, struct pgo_reader *r, uint64_t weight,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Gives the merged profile, sorted by content; PGO_EEMPTY if no sample is left. The merger is
 * spent. */
struct pgo_profile *pgo_merge_finish(struct pgo_merge *m, struct pgo_err *err);

struct pgo_merge_stats {
	uint64_t profiles, samples_in, samples_out, locations_in, locations_out, samples_zero;
};
const struct pgo_merge_stats *pgo_merge_stats_of(const struct pgo_merge *m);

#endif
