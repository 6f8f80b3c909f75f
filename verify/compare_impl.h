/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the comparison share among themselves. */
#ifndef PGO_VERIFY_COMPARE_IMPL_H
#define PGO_VERIFY_COMPARE_IMPL_H

#include "verify/compare.h"

/* One function, or a group of them: what is known of it so far. */
struct pgo_vector {
	uint32_t item;  /* PGO_NONE: a group */
	uint32_t group; /* of which it is a member, or which it is; PGO_NONE */
	bool is_group;
	bool log_test;        /* seen often enough for logs */
	bool judged;          /* large enough to be called anything */
	double before, after; /* mean cost per work, of the mean total before */
	double share[2];      /* mean share of the unit's total */
	double seen;          /* samples per unit, on the side that has fewer */
	double counts[2], exposure[2];
	double dispersion; /* variance of counts over Poisson's; NAN = too few units */
	uint64_t samples[2];
	struct pgo_moments m[PGO_DESIGN_SAMPLES];
	struct pgo_mean_test t; /* of the log ratio */
	double rank_p, q;
	double own_q; /* of a member, without regard to its group */
};

struct pgo_comparison {
	const struct pgo_costs *c;
	const struct pgo_design *d;
	struct pgo_vector *of;
	size_t n, room;
	size_t cells;  /* 2 x units */
	double *value; /* by 2 * unit + side */
	double *log;   /* the same */
	double *x, *y; /* samples */
	uint64_t *times;
	double mean_total[2]; /* cost per work of the rebuilt arm */
	size_t n_side[2];     /* units of the rebuilt arm */
	double design_effect;
	bool assumed;
};

/* Tests all vectors: t, rank_p. */
int pgo_comparison_test(struct pgo_comparison *k, struct pgo_err *err) PGO_MUST_CHECK;
/* Is the cell of a unit of the rebuilt arm that is compared? */
static inline bool pgo_cell_counts(const struct pgo_comparison *k, size_t cell)
{
	const struct pgo_unit *u = &k->d->units[cell / 2];

	return !u->control && u->has[cell % 2] && u->work[cell % 2] > 0;
}

#endif
