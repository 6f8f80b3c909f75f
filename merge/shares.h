/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the mass of one profile is made of: the share of each function.
 *
 * A sample belongs to the function of its leaf, inlined ones by themselves.  Functions are known by
 * a hash of their linkage name (their name without one); where there are no names, by the file (its
 * build-id, else its path) and the 256 bytes of it that the address lies in.  Kept are the largest
 * that together have 99 % of the mass, at most PGO_SHARES_MAX: 8 KiB an input.
 */
#ifndef PGO_MERGE_SHARES_H
#define PGO_MERGE_SHARES_H

#include "merge/plan.h"

#define PGO_SHARES_MAX 1024
#define PGO_SHARE_ONE ((uint32_t)1 << 31)

/* `leaf`: sums per location of the column that the mass is in.  Sets shares, mapped and, if there
 * is a target, survival of `in`; -1 when out of memory. */
int pgo_shares_measure(struct pgo_plan_input *in, const struct pgo_profile *head,
	const int64_t *leaf, const struct pgo_plan_options *o);
/* Sum over functions of the smaller share: 0 to 1. Both sorted by key. */
double pgo_shares_overlap(
	const struct pgo_plan_share *a, size_t n_a, const struct pgo_plan_share *b, size_t n_b);

#endif
