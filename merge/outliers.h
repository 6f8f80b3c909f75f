/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles that are not like the others: found by a stated rule, listed, and left out.
 *
 * Compared are the shares that functions have of a profile's mass (merge/shares.h), among profiles
 * of one kind: one unit, class and service, and where there are no names one build.  For each
 * profile the others' shares are joined to one vector, function by function their weighted median,
 * scaled to a sum of 1; a host's profiles together weigh as much as another's, new ones more than
 * old ones among them.  What the profile has in common with that vector is its overlap, the sum of
 * the smaller shares.  It is an outlier if its overlap is
 *
 *	below   median - 4 x 1.4826 x MAD   of the overlaps of its kind    and    below 0.5.
 *
 * With fewer than 5 of a kind nobody is judged so.  Shares of few samples are noise: profiles with
 * fewer than `min_samples` are judged together with those of the same host and kind that are as
 * small, and left out if they have fewer even together; but if such have more than 10 % of the mass,
 * the whole fleet is thin, and they stay, unjudged, with a warning.  Where less than half of the mass is at
 * known code (a mapping, or a name), the profile is left out as well.
 *
 * If all that would go has more than 10 % of the mass, as the other weights have it, that is an
 * error, PGO_EGATE: then it is not clear who is the outlier.
 */
#ifndef PGO_MERGE_OUTLIERS_H
#define PGO_MERGE_OUTLIERS_H

#include "merge/plan.h"

#define PGO_OUTLIER_FEW 5 /* of a kind */
#define PGO_OUTLIER_MADS (4 * 1.4826)
#define PGO_OUTLIER_OVERLAP 0.5
#define PGO_OUTLIER_MAPPED 0.5
#define PGO_OUTLIER_MASS 0.1

/* One profile, or several small ones of a host. */
struct pgo_subject {
	const struct pgo_plan_share *shares; /* by key */
	size_t n;
	uint64_t weight; /* at most 2^20 */
	double overlap;  /* set: with the leave-one-out median of the others */
};

/* Sets the overlap of each of one kind; -1 when out of memory. */
int pgo_outlier_overlaps(struct pgo_subject *s, size_t n);
/* The overlap below which one is an outlier. */
int pgo_outlier_limit(const struct pgo_subject *s, size_t n, double *ret);

#endif
