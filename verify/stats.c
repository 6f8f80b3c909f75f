/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/stats.h"

#include "verify/real.h"

#include <math.h>
#include <stdlib.h>

void pgo_moments_add(struct pgo_moments *m, double x)
{
	double delta = x - m->mean;

	m->n++;
	m->mean += delta / (double)m->n;
	m->m2 += delta * (x - m->mean);
}

struct pgo_moments pgo_moments_of(const double *x, size_t n)
{
	struct pgo_moments m = {0};

	for (size_t i = 0; i < n; i++)
		pgo_moments_add(&m, x[i]);
	return m;
}

struct pgo_moments pgo_moments_weighted(const double *x, const double *weight, size_t n)
{
	struct pgo_moments m = {.n = n};
	double sum = 0;

	for (size_t i = 0; i < n; i++) {
		m.mean += weight[i] * x[i];
		sum += weight[i];
	}
	m.mean = sum > 0 ? m.mean / sum : 0;
	for (size_t i = 0; i < n; i++)
		m.m2 += weight[i] * (x[i] - m.mean) * (x[i] - m.mean);
	return m;
}

double pgo_moments_variance(const struct pgo_moments *m)
{
	return m->n > 1 ? m->m2 / (double)(m->n - 1) : 0;
}

/* The continued fraction of the incomplete beta function, by the modified Lentz method. */
static double beta_fraction(double a, double b, double x)
{
	const double tiny = 1e-300;
	double c = 1, d = 1 - (a + b) * x / (a + 1), h;

	d = 1 / (fabs(d) < tiny ? tiny : d);
	h = d;
	/* Large parameters need about the square root of them in steps. */
	for (int m = 1; m <= 20000; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double step;

		d = 1 + even * d;
		c = 1 + even / c;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = fabs(c) < tiny ? tiny : c;
		h *= d * c;
		d = 1 + odd * d;
		c = 1 + odd / c;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = fabs(c) < tiny ? tiny : c;
		step = d * c;
		h *= step;
		if (fabs(step - 1) < 1e-14)
			break;
	}
	return h;
}

double pgo_beta_inc(double a, double b, double x)
{
	double front;

	if (x <= 0)
		return 0;
	if (x >= 1)
		return 1;
	front = pgo_real_exp(pgo_real_lgamma(a + b) - pgo_real_lgamma(a) - pgo_real_lgamma(b) +
			     a * pgo_real_log(x) + b * pgo_real_log(1 - x));
	/* The fraction converges fast on this side; the other follows by symmetry. */
	if (x < (a + 1) / (a + b + 2))
		return front * beta_fraction(a, b, x) / a;
	return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double pgo_beta_inc_inverse(double a, double b, double p)
{
	double low = 0, high = 1;

	for (int i = 0; i < 200 && high - low > 1e-14 * high; i++) {
		double mid = (low + high) / 2;

		if (pgo_beta_inc(a, b, mid) < p)
			low = mid;
		else
			high = mid;
	}
	return (low + high) / 2;
}

/* erfc(z / sqrt 2) for z >= 0: the series of erf near 0, its continued fraction beyond. */
static double normal_tails(double z)
{
	double x = z * z / 2;
	const double tiny = 1e-300;
	double term, sum, b, c, d, h;

	if (z < 2) {
		term = sum = 1;
		for (int k = 1; k < 200 && term > 1e-17 * sum; k++) {
			term *= x / (k + 0.5);
			sum += term;
		}
		return 1 - sum * z * 0.79788456080286535588 * pgo_real_exp(-x);
	}
	/* Lentz on the upper incomplete gamma function with a = 1/2. */
	b = x + 0.5;
	c = 1 / tiny;
	d = 1 / b;
	h = d;
	for (int k = 1; k <= 1000; k++) {
		double an = -k * (k - 0.5), step;

		b += 2;
		d = an * d + b;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = b + an / c;
		c = fabs(c) < tiny ? tiny : c;
		step = d * c;
		h *= step;
		if (fabs(step - 1) < 1e-15)
			break;
	}
	return pgo_real_exp(-x) * sqrt(x) * h * 0.56418958354775628695;
}

double pgo_normal_p(double z)
{
	return isnan(z) ? NAN : normal_tails(fabs(z));
}

double pgo_student_p(double t, double df)
{
	if (isnan(t) || !(df > 0))
		return NAN;
	if (isinf(t))
		return 0;
	/* Beyond this the two differ by less than 1e-8. */
	if (df > 1e8)
		return normal_tails(fabs(t));
	return pgo_beta_inc(df / 2, 0.5, df / (df + t * t));
}

double pgo_student_cdf(double t, double df)
{
	double tail = pgo_student_p(t, df) / 2;

	return t > 0 ? 1 - tail : tail;
}

static double by_bisection(double level, double df)
{
	double low = 0, high = 2;

	while (high < 1e12 && pgo_student_p(high, df) > 1 - level)
		high *= 2;
	for (int i = 0; i < 200 && high - low > 1e-12 * high; i++) {
		double mid = (low + high) / 2;

		if (pgo_student_p(mid, df) > 1 - level)
			low = mid;
		else
			high = mid;
	}
	return (low + high) / 2;
}

/* Density of Student's t. */
static double student_density(double t, double df)
{
	double log_c = df > 1e8 ? -0.91893853320467274178 - t * t / 2
				: pgo_real_lgamma((df + 1) / 2) - pgo_real_lgamma(df / 2) -
					  0.5 * pgo_real_log(df * 3.14159265358979323846) -
					  (df + 1) / 2 * pgo_real_log(1 + t * t / df);

	return pgo_real_exp(log_c);
}

double pgo_student_two_sided(double level, double df)
{
	double t = 2;

	/* Newton's method on a convex tail: from below it does not overshoot. */
	if (df >= 3 && level > 0.5 && level < 0.9999) {
		for (int i = 0; i < 20; i++) {
			double step =
				(pgo_student_p(t, df) - (1 - level)) / (2 * student_density(t, df));

			t += step;
			if (fabs(step) <= 1e-13 * t)
				return t;
			if (!(t > 0))
				break;
		}
	}
	return by_bisection(level, df);
}

struct pgo_mean_test pgo_test_finish(double estimate, double se, double df, double level)
{
	struct pgo_mean_test t = {estimate, se, df, NAN, -INFINITY, INFINITY};
	double half;

	if (!(df > 0) || isnan(se) || isnan(estimate))
		return t;
	if (se <= 0) {
		t.p = estimate == 0 ? 1 : 0;
		t.low = t.high = estimate;
		return t;
	}
	t.p = pgo_student_p(estimate / se, df);
	if (!(level > 0))
		return t;
	half = pgo_student_two_sided(level, df) * se;
	t.low = estimate - half;
	t.high = estimate + half;
	return t;
}

/* Variance of a sample joined with its prior; *df becomes the degrees of freedom of both. */
static double moderated(const struct pgo_moments *m, double prior, double prior_df, double *df)
{
	double own = (double)m->n - 1;

	*df = own + prior_df;
	if (isinf(prior_df))
		return prior;
	if (!(prior_df > 0))
		return pgo_moments_variance(m);
	return (prior * prior_df + m->m2) / *df;
}

struct pgo_mean_test pgo_test_contrast(const struct pgo_moments *m, const double *sign, size_t k,
	const double *prior, const double *prior_df, double level)
{
	double estimate = 0, var = 0, below = 0, df = 0;

	for (size_t i = 0; i < k; i++) {
		double own_df, v;

		if (m[i].n < 2)
			return pgo_test_finish(NAN, NAN, 0, level);
		v = moderated(&m[i], prior != NULL ? prior[i] : 0,
			    prior_df != NULL ? prior_df[i] : 0, &own_df) /
		    (double)m[i].n;
		estimate += sign[i] * m[i].mean;
		var += v;
		below += v * v / own_df;
		df += own_df;
	}
	return pgo_test_finish(estimate, sqrt(var), below > 0 ? var * var / below : df, level);
}

void pgo_variance_prior(const double *var, size_t n, double df, double *ret_s0, double *ret_d0)
{
	struct pgo_moments e = {0};
	double shift = pgo_real_log(df / 2) - pgo_real_digamma(df / 2), spread;

	*ret_s0 = 0;
	*ret_d0 = 0;
	for (size_t i = 0; i < n; i++)
		if (var[i] > 0)
			pgo_moments_add(&e, pgo_real_log(var[i]) + shift);
	if (e.n < 10)
		return;
	spread = pgo_moments_variance(&e) - pgo_real_trigamma(df / 2);
	*ret_d0 = spread > 0 ? 2 * pgo_real_trigamma_inverse(spread) : INFINITY;
	if (isinf(*ret_d0)) {
		*ret_s0 = pgo_real_exp(e.mean);
		return;
	}
	*ret_s0 = pgo_real_exp(e.mean + pgo_real_digamma(*ret_d0 / 2) - pgo_real_log(*ret_d0 / 2));
}

static int by_p(const void *pa, const void *pb, void *ctx)
{
	const double *p = ctx;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	if (p[a] != p[b])
		return p[a] < p[b] ? -1 : 1;
	return a < b ? -1 : a > b;
}

void pgo_false_discovery(const double *p, size_t n, double *q, uint32_t *order)
{
	size_t k = 0;
	double least = 1;

	for (size_t i = 0; i < n; i++) {
		q[i] = NAN;
		if (!isnan(p[i]))
			order[k++] = (uint32_t)i;
	}
	qsort_r(order, k, sizeof *order, by_p, (void *)(uintptr_t)p);
	for (size_t i = k; i-- > 0;) {
		double v = p[order[i]] * (double)k / (double)(i + 1);

		least = v < least ? v : least;
		q[order[i]] = least;
	}
}

struct pgo_count_test pgo_test_counts(
	double before, double exposure_before, double after, double exposure_after, double level)
{
	struct pgo_count_test t = {NAN, 0, INFINITY, NAN};
	double n = before + after, share, up, down, low, high, odds;

	if (!(n > 0) || !(exposure_before > 0) || !(exposure_after > 0))
		return t;
	odds = exposure_before / exposure_after;
	share = exposure_after / (exposure_before + exposure_after);
	t.ratio = before > 0 ? after / before * odds : INFINITY;
	/* P(X >= after) and P(X <= after) of a binomial with n draws. */
	up = after > 0 ? pgo_beta_inc(after, before + 1, share) : 1;
	down = before > 0 ? 1 - pgo_beta_inc(after + 1, before, share) : 1;
	t.p = fmin(1, 2 * fmin(up, down));
	low = after > 0 ? pgo_beta_inc_inverse(after, before + 1, (1 - level) / 2) : 0;
	high = before > 0 ? pgo_beta_inc_inverse(after + 1, before, (1 + level) / 2) : 1;
	t.low = low / (1 - low) * odds;
	t.high = high < 1 ? high / (1 - high) * odds : INFINITY;
	return t;
}
