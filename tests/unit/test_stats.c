/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statistics against an independent reference: every number behind a call that is not plain
 * arithmetic was computed with SciPy 1.17 (scipy.special, ttest_1samp, ttest_ind with
 * equal_var=False, wilcoxon, mannwhitneyu, false_discovery_control, binomtest().proportion_ci()).
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pgo/core/alloc.h"
#include "verify/random.h"
#include "verify/real.h"
#include "verify/stats.h"

static const double x[] = {0.031, -0.012, 0.044, 0.027, 0.019, -0.006, 0.052, 0.038};
static const double y[] = {0.002, 0.015, -0.021, 0.033, 0.008, -0.013, 0.005};

#define N(a) (sizeof(a) / sizeof *(a))

static void near(double got, double want, double relative)
{
	if (!(fabs(got - want) <= relative * fabs(want)))
		fail_msg("got %.17g, want %.17g", got, want);
}

static void special_functions_are_those_of_the_reference(void **state)
{
	(void)state;
	near(pgo_real_lgamma(0.3), 1.0957979948180756, 1e-13);
	near(pgo_real_lgamma(7.5), 7.534364236758734, 1e-13);
	near(pgo_real_lgamma(500.25), 2606.669314855113, 1e-13);
	near(pgo_real_digamma(0.3), -3.502524222200133, 1e-13);
	near(pgo_real_digamma(9.5), 2.1977378764029494, 1e-13);
	near(pgo_real_trigamma(0.3), 12.245364546107734, 1e-13);
	near(pgo_real_trigamma(12), 0.0869018728717684, 1e-13);
	near(pgo_real_trigamma_inverse(pgo_real_trigamma(3.7)), 3.7, 1e-12);
	near(pgo_beta_inc(2.5, 7, 0.3), 0.6412224629717214, 1e-12);
	near(pgo_beta_inc(120, 80, 0.55), 0.07561485992804813, 1e-11);
	near(pgo_normal_p(1.2), 0.23013934044341644, 1e-13);
	near(pgo_normal_p(-3.5), 0.00046525815807105003, 1e-12);
	near(pgo_normal_p(8), 1.244192114854348e-15, 1e-12);
	near(pgo_student_p(2.5, 3.7), 0.07182202291182678, 1e-11);
	near(pgo_student_p(12, 20), 1.359555702588066e-10, 1e-10);
}

static void log_and_exp_are_within_a_few_units_of_the_last_place(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 2000; i++) {
		double at = 80 * pgo_random_unit(3, i) - 40;
		double e = pgo_real_exp(at);

		near(e, exp(at), 1e-15);
		near(pgo_real_log(e), log(e), 1e-15);
		near(pgo_real_expm1(at / 40), expm1(at / 40), 2e-15);
	}
	assert_true(pgo_real_log(0) == -INFINITY && isnan(pgo_real_log(-1)));
	assert_true(pgo_real_exp(1000) == INFINITY && pgo_real_exp(-1000) == 0);
	assert_true(pgo_real_log(1) == 0 && pgo_real_exp(0) == 1);
}

static void t_tests_are_those_of_the_reference(void **state)
{
	static const double sign[2] = {-1, 1};
	struct pgo_moments m[2] = {pgo_moments_of(y, N(y)), pgo_moments_of(x, N(x))};
	struct pgo_mean_test t = pgo_test_contrast(&m[1], &sign[1], 1, NULL, NULL, 0.95);

	(void)state;
	near(t.estimate, 0.024125, 1e-12);
	near(t.p, 0.020381327265466116, 1e-10);
	near(t.low, 0.005011425561997615, 1e-10);
	near(t.high, 0.043238574438002386, 1e-10);
	t = pgo_test_contrast(m, sign, 2, NULL, NULL, 0.95);
	near(t.df, 12.85566662701164, 1e-10);
	near(t.p, 0.07996766746194536, 1e-10);
	near(t.low, -0.0027534101990987457, 1e-9);
	near(t.high, 0.042717695913384465, 1e-9);
}

static void what_cannot_be_tested_says_so(void **state)
{
	static const double sign = 1;
	struct pgo_moments one = pgo_moments_of(x, 1);
	struct pgo_mean_test t = pgo_test_contrast(&one, &sign, 1, NULL, NULL, 0.95);
	const double same[] = {0.5, 0.5, 0.5};
	struct pgo_moments flat = pgo_moments_of(same, 3);

	(void)state;
	assert_true(isnan(t.p) && isinf(t.low) && isinf(t.high));
	t = pgo_test_contrast(&flat, &sign, 1, NULL, NULL, 0.95);
	assert_true(t.p == 0 && t.low == 0.5 && t.high == 0.5);
	assert_true(isnan(pgo_signed_rank_p(x, 0)) && isnan(pgo_rank_sum_p(x, 3, y, 0)));
	assert_true(isnan(pgo_test_counts(0, 1, 0, 1, 0.95).p));
}

static void rank_tests_are_those_of_the_reference(void **state)
{
	const double tied[] = {1, 1, 2, 3, 3, 3, -2, 4};

	(void)state;
	near(pgo_signed_rank_p(x, N(x)), 0.0390625, 1e-12);
	near(pgo_rank_sum_p(x, N(x), y, N(y)), 0.09386169386169387, 1e-12);
	near(pgo_rank_sum_p(y, N(y), x, N(x)), 0.09386169386169387, 1e-12);
	assert_true(pgo_signed_rank_p(tied, N(tied)) > 0 && pgo_signed_rank_p(tied, N(tied)) < 1);
}

static void false_discovery_rates_are_those_of_the_reference(void **state)
{
	const double p[] = {
		0.041, 0.001, 0.216, NAN, 0.039, 0.06, 0.008, 0.074, 0.205, 0.212, 0.042};
	const double want[] = {0.084, 0.01, 0.216, NAN, 0.084, 0.1, 0.04, 0.10571428571428572,
		0.216, 0.216, 0.084};
	double q[N(p)];
	uint32_t order[N(p)];

	(void)state;
	pgo_false_discovery(p, N(p), q, order);
	for (size_t i = 0; i < N(p); i++)
		if (isnan(want[i]))
			assert_true(isnan(q[i]));
		else
			near(q[i], want[i], 1e-12);
}

static void rare_counts_are_tested_exactly(void **state)
{
	struct pgo_count_test t = pgo_test_counts(3, 100, 12, 130, 0.95);

	(void)state;
	near(t.ratio, 12 / 3.0 * 100 / 130, 1e-12);
	near(t.low, 0.8303636403008606, 1e-9);
	near(t.high, 16.99098992133986, 1e-9);
	near(t.p, 0.10818232388301582, 1e-10);
	/* None before: seven of seven on one of two equal sides. */
	t = pgo_test_counts(0, 1, 7, 1, 0.95);
	near(t.p, 2 / 128.0, 1e-10);
	assert_true(isinf(t.ratio) && isinf(t.high) && t.low > 1);
}

/* Variances drawn around 4 with 6 degrees of freedom, each seen with 8. */
static void the_spread_of_variances_is_found_again(void **state)
{
	enum { MANY = 40000 };
	static double var[MANY];
	uint64_t stream = pgo_random_stream(11, 0), at = 0;
	double s0, d0;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		/* A chi-squared variable with 2k degrees of freedom is a sum of k exponential ones. */
		double prior = 0, own = 0;

		for (int k = 0; k < 3; k++)
			prior -= 2 * pgo_real_log(pgo_random_unit(stream, at++));
		for (int k = 0; k < 4; k++)
			own -= 2 * pgo_real_log(pgo_random_unit(stream, at++));
		var[i] = 4 * 6 / prior * own / 8;
	}
	pgo_variance_prior(var, MANY, 8, &s0, &d0);
	near(s0, 4, 0.03);
	near(d0, 6, 0.05);
	pgo_variance_prior(var, 5, 8, &s0, &d0);
	assert_true(d0 == 0);
}

static void weights_of_one_are_no_weights(void **state)
{
	const double ones[N(x)] = {1, 1, 1, 1, 1, 1, 1, 1};
	struct pgo_moments a = pgo_moments_of(x, N(x)), b = pgo_moments_weighted(x, ones, N(x));

	(void)state;
	near(b.mean, a.mean, 1e-12);
	near(b.m2, a.m2, 1e-12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(special_functions_are_those_of_the_reference),
		cmocka_unit_test(log_and_exp_are_within_a_few_units_of_the_last_place),
		cmocka_unit_test(t_tests_are_those_of_the_reference),
		cmocka_unit_test(what_cannot_be_tested_says_so),
		cmocka_unit_test(rank_tests_are_those_of_the_reference),
		cmocka_unit_test(false_discovery_rates_are_those_of_the_reference),
		cmocka_unit_test(rare_counts_are_tested_exactly),
		cmocka_unit_test(the_spread_of_variances_is_found_again),
		cmocka_unit_test(weights_of_one_are_no_weights),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	return failed != 0 || pgo_alloc_live() != 0;
}
