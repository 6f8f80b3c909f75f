/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/stats.h"

#include <math.h>

void pgo_moments_add(struct pgo_moments *m, double x)
{
	double delta = x - m->mean;

	m->n++;
	m->mean += delta / (double)m->n;
	m->m2 += delta * (x - m->mean);
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
	for (int m = 1; m <= 500; m++) {
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

/* Regularised incomplete beta function I_x(a, b). */
static double beta_inc(double a, double b, double x)
{
	double front;

	if (x <= 0)
		return 0;
	if (x >= 1)
		return 1;
	front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
	/* The fraction converges fast on this side; the other follows by symmetry. */
	if (x < (a + 1) / (a + b + 2))
		return front * beta_fraction(a, b, x) / a;
	return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double pgo_student_cdf(double t, double df)
{
	double tail = beta_inc(df / 2, 0.5, df / (df + t * t)) / 2;

	return t > 0 ? 1 - tail : tail;
}

double pgo_student_two_sided(double level, double df)
{
	double want = 1 - (1 - level) / 2;
	double low = 0, high = 2;

	while (high < 1e12 && pgo_student_cdf(high, df) < want)
		high *= 2;
	for (int i = 0; i < 200 && high - low > 1e-12 * high; i++) {
		double mid = (low + high) / 2;

		if (pgo_student_cdf(mid, df) < want)
			low = mid;
		else
			high = mid;
	}
	return (low + high) / 2;
}

struct pgo_interval pgo_stats_ratio(
	const struct pgo_moments *before, const struct pgo_moments *after, double level)
{
	struct pgo_interval unknown = {-INFINITY, INFINITY};
	double vb = pgo_moments_variance(before) / (double)before->n;
	double va = pgo_moments_variance(after) / (double)after->n;
	double ratio, var, df, half;

	if (before->n < 2 || after->n < 2 || before->mean <= 0)
		return unknown;
	ratio = after->mean / before->mean;
	/* Delta method: the variance of a/b is (va + ratio^2 vb) / b^2. */
	vb *= ratio * ratio;
	var = va + vb;
	if (var <= 0)
		return (struct pgo_interval){ratio - 1, ratio - 1};
	df = var * var / (va * va / (double)(after->n - 1) + vb * vb / (double)(before->n - 1));
	half = pgo_student_two_sided(level, df) * sqrt(var) / before->mean;
	return (struct pgo_interval){ratio - 1 - half, ratio - 1 + half};
}

struct pgo_interval pgo_stats_count_ratio(double n_before, double share_before, double n_after,
	double share_after, double design_effect, double level)
{
	struct pgo_interval unknown = {-INFINITY, INFINITY};
	double half, ratio;

	if (n_before < 1 || n_after < 1 || share_before <= 0 || share_after <= 0)
		return unknown;
	ratio = share_after / share_before;
	/* As good as normal: t with very many degrees of freedom. */
	half = pgo_student_two_sided(level, 1e6) *
	       sqrt(design_effect * (1 / n_before + 1 / n_after));
	return (struct pgo_interval){ratio * exp(-half) - 1, ratio * exp(half) - 1};
}
