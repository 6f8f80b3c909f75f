/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/real.h"

#include <math.h>

/* ln 2 in two parts: the first has so few bits that its product with an exponent is exact. */
#define LN2_HIGH 0x1.62e42fee00000p-1
#define LN2_LOW 0x1.a39ef35793c76p-33
#define HALF_LOG_2PI 0.91893853320467274178

double pgo_real_log(double x)
{
	double m, s, s2, sum = 0;
	int e;

	if (isnan(x) || x < 0)
		return NAN;
	if (x == 0)
		return -INFINITY;
	if (isinf(x))
		return x;
	m = frexp(x, &e); /* exact */
	if (m < 0.70710678118654752440) {
		m *= 2;
		e--;
	}
	/* log m = 2 artanh((m - 1) / (m + 1)); |s| < 0.172, so 25 powers reach 2^-60. */
	s = (m - 1) / (m + 1);
	s2 = s * s;
	for (int k = 25; k >= 3; k -= 2)
		sum = (sum + 1.0 / k) * s2;
	return e * LN2_HIGH + (e * LN2_LOW + (2 * s + 2 * s * sum));
}

/* e^r - 1 for |r| < 0.35, by its series. */
static double small_expm1(double r)
{
	double sum = 0;

	for (int k = 18; k >= 2; k--)
		sum = (sum + 1) * r / k;
	return r + r * sum;
}

double pgo_real_exp(double x)
{
	double k;

	if (isnan(x))
		return x;
	if (x > 709.78)
		return INFINITY;
	if (x < -745.2)
		return 0;
	k = floor(x * 1.44269504088896340736 + 0.5);
	return ldexp(1 + small_expm1(x - k * LN2_HIGH - k * LN2_LOW), (int)k);
}

double pgo_real_expm1(double x)
{
	return fabs(x) < 0.35 ? small_expm1(x) : pgo_real_exp(x) - 1;
}

/* Stirling's series, after moving the argument up to where it converges. */
double pgo_real_lgamma(double x)
{
	static const double c[] = {1.0 / 12, -1.0 / 360, 1.0 / 1260, -1.0 / 1680, 1.0 / 1188,
		-691.0 / 360360, 1.0 / 156};
	double product = 1, r, r2, sum = 0;

	if (!(x > 0))
		return INFINITY;
	while (x < 15) {
		product *= x;
		x += 1;
	}
	r = 1 / x;
	r2 = r * r;
	for (int k = 6; k >= 0; k--)
		sum = sum * r2 + c[k];
	return (x - 0.5) * pgo_real_log(x) - x + HALF_LOG_2PI + sum * r - pgo_real_log(product);
}

double pgo_real_digamma(double x)
{
	static const double c[] = {
		-1.0 / 12, 1.0 / 120, -1.0 / 252, 1.0 / 240, -1.0 / 132, 691.0 / 32760, -1.0 / 12};
	double shift = 0, r2, sum = 0;

	if (!(x > 0))
		return -INFINITY;
	while (x < 15) {
		shift -= 1 / x;
		x += 1;
	}
	r2 = 1 / (x * x);
	for (int k = 6; k >= 0; k--)
		sum = (sum + c[k]) * r2;
	return pgo_real_log(x) - 0.5 / x + sum + shift;
}

double pgo_real_trigamma(double x)
{
	static const double c[] = {
		1.0 / 6, -1.0 / 30, 1.0 / 42, -1.0 / 30, 5.0 / 66, -691.0 / 2730, 7.0 / 6};
	double shift = 0, r, r2, sum = 0;

	if (!(x > 0))
		return INFINITY;
	while (x < 15) {
		shift += 1 / (x * x);
		x += 1;
	}
	r = 1 / x;
	r2 = r * r;
	for (int k = 6; k >= 0; k--)
		sum = (sum + c[k]) * r2;
	return r + r2 / 2 + sum * r + shift;
}

/* Trigamma falls all the way from infinity to 0: bisection on a scale of powers. */
double pgo_real_trigamma_inverse(double y)
{
	double low = 1e-8, high = 1e8;

	if (!(y > 0))
		return INFINITY;
	if (y >= pgo_real_trigamma(low))
		return low;
	if (y <= pgo_real_trigamma(high))
		return INFINITY;
	for (int i = 0; i < 200 && high - low > 1e-14 * high; i++) {
		double mid = sqrt(low * high);

		if (pgo_real_trigamma(mid) > y)
			low = mid;
		else
			high = mid;
	}
	return (low + high) / 2;
}
