/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The formula of the weights alone, in operations that give the same bits on every machine: integer
 * arithmetic, and IEEE additions, multiplications and divisions in a fixed order.  libm's exp2 may
 * differ in the last bit between releases, and a weight that differs by one is another output.
 */
#ifndef PGO_MERGE_WEIGHT_H
#define PGO_MERGE_WEIGHT_H

#include <stddef.h>
#include <stdint.h>

/* 2^-(age / half_life), exact to 2^-31; 1 for an age below 0 or a half-life of 0. */
double pgo_weight_age(int64_t age_ns, int64_t half_life_ns);
/* min(1, kappa x median / own): brings a host that stands for more than kappa times the median back
 * to that. 1 if any of them is not positive. */
double pgo_weight_cap(double own, double median, double kappa);
/* mean / own, no less than 1/3 and no more than 3; 1 if one is not positive. */
double pgo_weight_balance(double own, double mean);
/* The middle of `n` values in ascending order; of an even number, half the sum of the two. */
double pgo_weight_median(const double *sorted, size_t n);
/*
 * The factor of age in a form that does not depend on what age is measured from: 2^(t / half-life) =
 * mantissa x 2^exponent / 2^PGO_WEIGHT_MARK_BITS, with a mantissa of 2^BITS to 2^(BITS + 1).  So
 * profiles keep their proportions, in integers, as the newest one becomes another.
 */
#define PGO_WEIGHT_MARK_BITS 14
struct pgo_weight_mark {
	uint32_t mantissa;
	int64_t exponent; /* whole half-lives since 1970 */
};
/* `half_life_ns` 0: the same for all times. */
struct pgo_weight_mark pgo_weight_mark(int64_t time_ns, int64_t half_life_ns);
/* To the nearest integer, from 1 to 2^56. */
uint64_t pgo_weight_factor(double factor);

#endif
