/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/weight.h"

#include <math.h>

/* 2^-(2^-i) x 2^63 for i = 1 to 32. */
static const uint64_t root[32] = {
	0x5a827999fcef3242,
	0x6ba27e656b4eb57a,
	0x75606373ee921c97,
	0x7a92be8a92436616,
	0x7d41d96db915019d,
	0x7e9f06067a4360ba,
	0x7f4f08ae3dc7c426,
	0x7fa765aca88f6453,
	0x7fd3ab290e46d769,
	0x7fe9d3a8e07bf086,
	0x7ff4e9597bed93ab,
	0x7ffa748dff8dc61f,
	0x7ffd3a3f50020332,
	0x7ffe9d1dbc0a75aa,
	0x7fff4e8e6306ed59,
	0x7fffa74712c3cdfd,
	0x7fffd3a381b1fa29,
	0x7fffe9d1beed018a,
	0x7ffff4e8defb81d7,
	0x7ffffa746f5f012f,
	0x7ffffd3a37a7d0a8,
	0x7ffffe9d1bd1fc58,
	0x7fffff4e8de8832d,
	0x7fffffa746f422d7,
	0x7fffffd3a37a09bb,
	0x7fffffe9d1bd02f2,
	0x7ffffff4e8de80fe,
	0x7ffffffa746f4060,
	0x7ffffffd3a37a028,
	0x7ffffffe9d1bd012,
	0x7fffffff4e8de809,
	0x7fffffffa746f404,
};

double pgo_weight_age(int64_t age_ns, int64_t half_life_ns)
{
	uint64_t fraction, q63 = (uint64_t)1 << 63;
	int64_t whole;

	if (age_ns <= 0 || half_life_ns <= 0)
		return 1;
	whole = age_ns / half_life_ns;
	if (whole > 1000)
		return 0;
	fraction = (uint64_t)(((unsigned __int128)(age_ns % half_life_ns) << 32) /
			      (unsigned __int128)half_life_ns);
	/* One factor for each bit of the exponent's fraction, the highest first. */
	for (int i = 0; i < 32; i++)
		if (fraction >> (31 - i) & 1)
			q63 = (uint64_t)((unsigned __int128)q63 * root[i] >> 63);
	return ldexp((double)q63, -63 - (int)whole);
}

double pgo_weight_cap(double own, double median, double kappa)
{
	if (!(own > 0) || !(median > 0) || !(kappa > 0) || own <= kappa * median)
		return 1;
	return kappa * median / own;
}

double pgo_weight_balance(double own, double mean)
{
	double f = own > 0 && mean > 0 ? mean / own : 1;

	return f < 1.0 / 3 ? 1.0 / 3 : f > 3 ? 3 : f;
}

double pgo_weight_median(const double *sorted, size_t n)
{
	if (n == 0)
		return 0;
	return n % 2 != 0 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

struct pgo_weight_mark pgo_weight_mark(int64_t time_ns, int64_t half_life_ns)
{
	struct pgo_weight_mark m = {(uint32_t)1 << PGO_WEIGHT_MARK_BITS, 0};
	int64_t rest;

	if (half_life_ns <= 0)
		return m;
	rest = time_ns % half_life_ns;
	m.exponent = time_ns / half_life_ns;
	if (rest < 0) {
		rest += half_life_ns;
		m.exponent--;
	}
	/* 2^(rest / half-life) = 2 x 2^-((half-life - rest) / half-life) */
	if (rest != 0)
		m.mantissa =
			(uint32_t)floor(ldexp(pgo_weight_age(half_life_ns - rest, half_life_ns),
						PGO_WEIGHT_MARK_BITS + 1) +
					0.5);
	return m;
}

uint64_t pgo_weight_factor(double factor)
{
	const double most = (double)((uint64_t)1 << 56);
	double w = floor((factor < most ? factor : most) + 0.5);

	return w >= 1 ? (uint64_t)w : 1;
}
