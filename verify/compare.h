/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions and groups of them, before against after: findings of a verdict.
 *
 * Of each function the log of (cost + c) / work is taken per unit, c being the cost of half an
 * independent sample: with it the mean of logs of counts is right to the second order, and a
 * function that a host never ran has a log too.  Samples of the design (verify/design.h) are tested
 * by t; where the smallest sample has fewer than 20 hosts, variances are moderated across functions
 * that are seen about as often (empirical Bayes).  Functions seen fewer than 5 times per unit on
 * either side are tested by their counts alone, by an exact test on counts divided by the measured
 * design effect.
 *
 *	design effect   the variance of counts between units over Poisson's, the median over
 *	                functions that are seen 1 to 20 times per unit; with one profile a side, the
 *	                spread of the functions' changes over Poisson's (real changes are in it: it
 *	                errs to the safe side).  2 is assumed if there are fewer than 20 functions.
 *	family          functions and groups of 0.1 % of the whole and more on a side, and only
 *	                these, are judged; q is over them.  Groups are tested with the functions
 *	                that are in none, then their members.
 *	floors          a change that is shown counts if the interval allows 5 % of the function, or
 *	                if it makes 0.5 % of the whole.  Unchanged is what lies inside 5 % for sure.
 */
#ifndef PGO_VERIFY_COMPARE_H
#define PGO_VERIFY_COMPARE_H

#include "verify/costs.h"
#include "verify/design.h"
#include "verify/verify.h"

#define PGO_LEVEL 0.95
#define PGO_FALSE_DISCOVERY 0.05
#define PGO_FLOOR_ITEM 0.05
#define PGO_FLOOR_SHARE 0.001
#define PGO_FLOOR_WHOLE 0.005

/* Which functions are tested as one. */
struct pgo_item_groups {
	const uint32_t *of; /* of each item of the costs: its group, or PGO_NONE */
	size_t n;
};

/* Cost of each item as findings have it (of the mean total before), small ones too; n_items each. */
struct pgo_item_means {
	double *before, *after;
};

/* Fills findings, groups, overlap, sides and counters of `v`, and `means`.  `groups` and `means` may
 * be NULL. */
int pgo_compare(struct pgo_verdict *v, const struct pgo_costs *c, const struct pgo_design *d,
	const struct pgo_item_groups *groups, double min_share, const struct pgo_item_means *means,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
