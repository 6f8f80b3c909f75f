/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The little statistics that a verdict rests on.  Pure functions on doubles, no I/O; results depend
 * on the order of nothing.
 *
 * Intervals are two-sided.  Samples of size 0 or 1 have no variance: callers ask
 * pgo_stats_interval() only with two or more on each side.
 */
#ifndef PGO_VERIFY_STATS_H
#define PGO_VERIFY_STATS_H

#include <stddef.h>
#include <stdint.h>

struct pgo_moments {
	size_t n;
	double mean;
	double m2; /* sum of squared deviations */
};

/* Welford's update. */
void pgo_moments_add(struct pgo_moments *m, double x);
/* Unbiased variance; 0 for fewer than two values. */
double pgo_moments_variance(const struct pgo_moments *m);

/* P(T <= t) of Student's t with `df` degrees of freedom (any positive real). */
double pgo_student_cdf(double t, double df);
/* t with P(|T| <= t) = level, by bisection on the CDF. */
double pgo_student_two_sided(double level, double df);

struct pgo_interval {
	double low, high;
};
/*
 * Welch's interval for mean(after) / mean(before) - 1, by the delta method on the difference of
 * means relative to the mean before. An infinite interval if the mean before is 0.
 */
struct pgo_interval pgo_stats_ratio(
	const struct pgo_moments *before, const struct pgo_moments *after, double level);
/*
 * The same for two single Poisson-like counts of samples, on the log ratio, with the variance
 * inflated by `design_effect` (samples of one host are not independent; 1 = they are).
 */
struct pgo_interval pgo_stats_count_ratio(double n_before, double share_before, double n_after,
	double share_after, double design_effect, double level);

#endif
