/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logarithms, exponentials and gamma functions in operations that give the same bits on every
 * machine: IEEE additions, multiplications, divisions and square roots in a fixed order.  libm's
 * own may differ in the last bit between releases, and a verdict is signed.
 *
 * Accuracy: a few units in the last place for log and exp, 1e-13 relative for the others, in the
 * ranges that statistics of profiles reach (gamma functions: arguments above 0).
 */
#ifndef PGO_VERIFY_REAL_H
#define PGO_VERIFY_REAL_H

/* -INFINITY for 0, NAN below. */
double pgo_real_log(double x);
double pgo_real_exp(double x);
double pgo_real_expm1(double x);
/* log of the gamma function, and its first and second derivative. */
double pgo_real_lgamma(double x);
double pgo_real_digamma(double x);
double pgo_real_trigamma(double x);
/* x with trigamma(x) = y, for y above 0. */
double pgo_real_trigamma_inverse(double y);

#endif
