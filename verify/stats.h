/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statistics that a verdict rests on.  Pure functions on doubles, no I/O, no state; the same
 * bits on every machine (verify/real.h).
 *
 * Tests and intervals are two-sided.  p is NAN where the data cannot say anything.
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
struct pgo_moments pgo_moments_of(const double *x, size_t n);
/* With weights whose mean is 1: the weighted mean, and squared deviations times their weights, so
 * that m2 / (n - 1) / n is the variance of that mean. */
struct pgo_moments pgo_moments_weighted(const double *x, const double *weight, size_t n);
/* Unbiased variance; 0 for fewer than two values. */
double pgo_moments_variance(const struct pgo_moments *m);

/* Regularised incomplete beta function I_x(a, b), and x with I_x(a, b) = p. */
double pgo_beta_inc(double a, double b, double x);
double pgo_beta_inc_inverse(double a, double b, double p);

/* P(T <= t) of Student's t with `df` degrees of freedom (any positive real, or INFINITY: the
 * normal distribution). */
double pgo_student_cdf(double t, double df);
/* P(|T| >= |t|), exact in the far tail. */
double pgo_student_p(double t, double df);
/* t with P(|T| <= t) = level. */
double pgo_student_two_sided(double level, double df);
double pgo_normal_p(double z); /* P(|Z| >= |z|) */

/* An estimate with its standard error. */
struct pgo_mean_test {
	double estimate, se, df; /* df 0: nothing could be tested */
	double p, low, high;
};
/* From estimate, standard error and degrees of freedom; `level` 0: no interval is wanted. */
struct pgo_mean_test pgo_test_finish(double estimate, double se, double df, double level);
/*
 * The sum of signed means of k samples (at most 4), sign[i] * mean of m[i]: one sample with sign 1 is
 * the one-sample t test of differences, two with signs -1 and 1 Welch's.  Degrees of freedom are
 * Satterthwaite's.  `prior` variances with `prior_df` degrees of freedom are joined to the samples'
 * own (NULL = none; INFINITY = the prior alone).  A sample of fewer than two: nothing is tested.
 */
struct pgo_mean_test pgo_test_contrast(const struct pgo_moments *m, const double *sign, size_t k,
	const double *prior, const double *prior_df, double level);

/*
 * How variances of many items spread around a common one: variance s0 with d0 degrees of freedom
 * (a scaled inverse chi-squared prior, fitted by the moments of log s^2: Smyth 2004).  `df` of each
 * is the same.  Variances of 0 are left out; fewer than 10 of the others give d0 = 0.
 */
void pgo_variance_prior(const double *var, size_t n, double df, double *ret_s0, double *ret_d0);

/* Wilcoxon's signed rank test of x around 0; exact up to 50 values without ties, else normal with
 * corrections for ties and continuity.  Zeros are left out.  NAN also when out of memory. */
double pgo_signed_rank_p(const double *x, size_t n);
/* Mann and Whitney's; exact where both have 8 values at most and none are tied. */
double pgo_rank_sum_p(const double *a, size_t na, const double *b, size_t nb);

/* Benjamini and Hochberg: q[i] of p[i]; NANs stay NAN and do not count.  `order`: n indices. */
void pgo_false_discovery(const double *p, size_t n, double *q, uint32_t *order);

/*
 * Two counts with exposures: is the rate the same?  The conditional exact test (binomial), and
 * Clopper's and Pearson's interval for rate after / rate before.  Counts may be fractions:
 * counts whose variance is D times Poisson's enter divided by D.
 */
struct pgo_count_test {
	double ratio, low, high, p; /* ratio may be 0 or infinite, high may be infinite */
};
struct pgo_count_test pgo_test_counts(
	double before, double exposure_before, double after, double exposure_after, double level);

#endif
