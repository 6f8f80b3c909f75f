/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking many times at one comparison that grows: an interval that holds the truth at all looks at
 * once, however many there are and whenever one stops.
 *
 * Estimates of a growing set of data, each with its variance v, are to the information 1/v what
 * Brownian motion with a drift is to time.  Robbins' normal mixture bounds that: with
 * probability 1 - alpha the estimate never leaves
 *
 *	truth -+ sqrt(v) * sqrt((1 + rho v) * log((1 + rho v) / (rho v alpha^2)))
 *
 * rho says where the bound is tightest; it is set for the information that a wanted effect needs.
 * Where v itself is estimated, the bound is widened to the quantile of Student's t that is as
 * unlikely as the normal one (checked by simulation: tests/unit/test_canary.c).
 */
#ifndef PGO_VERIFY_SEQUENTIAL_H
#define PGO_VERIFY_SEQUENTIAL_H

#include <stdint.h>

struct pgo_sequence {
	double alpha, rho;
	uint64_t looks;
	double low, high; /* the truth lies within, at all looks so far */
	/* The last look. */
	double estimate, now_low, now_high;
};

/* Tightest where a change of `effect` (in logs) would just be shown. */
void pgo_sequence_init(struct pgo_sequence *s, double alpha, double effect);
/* A look: estimate, its standard error, degrees of freedom.  Without a standard error nothing is
 * learnt, and it does not count. */
void pgo_sequence_look(struct pgo_sequence *s, double estimate, double se, double df);

#endif
