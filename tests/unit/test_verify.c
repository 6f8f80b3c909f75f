/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pgo/core/alloc.h"
#include "verify/stats.h"
#include "verify/verify.h"

#include <string.h>

/* ---- statistics, against tabulated values */

static void near(double got, double want, double eps)
{
	if (!(fabs(got - want) <= eps))
		fail_msg("got %.9g, want %.9g", got, want);
}

static void student_quantiles_are_the_tabulated_ones(void **state)
{
	(void)state;
	near(pgo_student_two_sided(0.95, 1), 12.7062, 1e-3);
	near(pgo_student_two_sided(0.95, 10), 2.22814, 1e-5);
	near(pgo_student_two_sided(0.99, 3), 5.84091, 1e-5);
	near(pgo_student_two_sided(0.95, 1e6), 1.95997, 1e-4);
	near(pgo_student_cdf(0, 7), 0.5, 1e-12);
	near(pgo_student_cdf(-2.0, 5) + pgo_student_cdf(2.0, 5), 1, 1e-12);
}

static void moments_are_those_of_the_textbook(void **state)
{
	struct pgo_moments m = {0};
	const double x[] = {2, 4, 4, 4, 5, 5, 7, 9};

	(void)state;
	for (size_t i = 0; i < 8; i++)
		pgo_moments_add(&m, x[i]);
	near(m.mean, 5, 1e-12);
	near(pgo_moments_variance(&m), 32.0 / 7, 1e-12);
}

/* A small generator, so that the coverage below is the same everywhere. */
static double next_normal(uint64_t *seed)
{
	double sum = 0;

	for (int i = 0; i < 12; i++) {
		*seed = *seed * 6364136223846793005u + 1442695040888963407u;
		sum += (double)(*seed >> 11) / 9007199254740992.0;
	}
	return sum - 6;
}

/* ---- verdicts, on profiles built here */

struct cost {
	const char *function;
	int64_t value;
};

static struct pgo_profile *profile_of(const struct cost *costs, size_t n)
{
	struct pgo_profile *p = pgo_profile_new(NULL);

	assert_non_null(p);
	pgo_profile_add_sample_type(p, "samples", "count");
	pgo_profile_add_sample_type(p, "cpu", "nanoseconds");
	for (size_t i = 0; i < n; i++) {
		struct pgo_function f = {.name = pgo_strtab_puts(&p->strs, costs[i].function)};
		struct pgo_line line = {.function = pgo_profile_add_function(p, &f), .line = 1};
		uint32_t loc = pgo_profile_add_location(p, PGO_NONE, 0, &line, 1);
		int64_t values[2] = {costs[i].value, costs[i].value * 1000};
		struct pgo_sample s = {.loc = &loc, .value = values, .n_loc = 1};

		assert_int_equal(pgo_profile_add_sample(p, &s), 0);
	}
	return p;
}

static void add(struct pgo_verify *v, bool after, const struct cost *costs, size_t n)
{
	struct pgo_profile *p = profile_of(costs, n);
	struct pgo_reader *r = pgo_profile_reader(p, "test", true, NULL);
	struct pgo_err err = PGO_ERR_INIT;

	assert_non_null(r);
	if (pgo_verify_add(v, after, r, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	pgo_reader_close(r);
}

static const struct pgo_finding *find(const struct pgo_verdict *v, const char *name)
{
	for (size_t i = 0; i < v->n_findings; i++)
		if (strcmp(v->findings[i].name, name) == 0)
			return &v->findings[i];
	fail_msg("no finding for %s", name);
	return NULL;
}

static struct pgo_verify *verifier(const struct pgo_verify_options *o)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_verify *v = pgo_verify_new(o, &err);

	if (v == NULL)
		fail_msg("%s", err.msg);
	return v;
}

static void finish(struct pgo_verify *v)
{
	struct pgo_err err = PGO_ERR_INIT;

	if (pgo_verify_finish(v, &err) < 0)
		fail_msg("%s", err.msg);
}

static void a_slower_function_is_named_and_an_equal_one_is_not(void **state)
{
	struct pgo_verify_options o = {.same_work = true, .fail_if = "regression>2%,total>2%"};
	struct pgo_verify *v = verifier(&o);
	const struct pgo_verdict *r;

	(void)state;
	for (int i = -1; i <= 1; i++) {
		struct cost before[] = {{"hot", 6000 + i * 10}, {"steady", 4000 + i * 8}};
		struct cost after[] = {{"hot", 6900 - i * 12}, {"steady", 4000 - i * 6}};

		add(v, false, before, 2);
		add(v, true, after, 2);
	}
	finish(v);
	r = pgo_verify_result(v);
	assert_int_not_equal(r->design.kind, PGO_DESIGN_COUNTS);
	assert_int_equal(find(r, "hot")->verdict, PGO_REGRESSED);
	near(find(r, "hot")->change, 0.15, 1e-4);
	assert_int_equal(find(r, "steady")->verdict, PGO_UNCHANGED);
	near(r->total.change, 0.09, 1e-4);
	assert_true(pgo_verdict_failed(r));
	assert_int_equal(r->n_fail_if, 2);
	near(r->fail_if[0].value, 9, 1e-9);
	pgo_verify_free(v);
}

static void noise_is_no_regression(void **state)
{
	struct pgo_verify_options o = {.same_work = true, .fail_if = "regression>1%"};
	struct pgo_verify *v = verifier(&o);
	uint64_t seed = 7;

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct cost before[] = {
			{"a", 5000 + (int64_t)(300 * next_normal(&seed))}, {"b", 5000}};
		struct cost after[] = {
			{"a", 5000 + (int64_t)(300 * next_normal(&seed))}, {"b", 5000}};

		add(v, false, before, 2);
		add(v, true, after, 2);
	}
	finish(v);
	assert_int_not_equal(find(pgo_verify_result(v), "a")->verdict, PGO_REGRESSED);
	assert_false(pgo_verdict_failed(pgo_verify_result(v)));
	pgo_verify_free(v);
}

static void shares_overlap_and_unmatched_add_up(void **state)
{
	struct pgo_verify_options o = {0};
	struct pgo_verify *v = verifier(&o);
	struct cost before[] = {{"kept", 50}, {"gone", 30}, {"clone.isra.0", 20}};
	struct cost after[] = {{"kept", 100}, {"fresh", 60}, {"clone", 40}};
	const struct pgo_verdict *r;

	(void)state;
	add(v, false, before, 3);
	add(v, true, after, 3);
	finish(v);
	r = pgo_verify_result(v);
	near(r->overlap, 0.7, 1e-12);
	near(r->before.unmatched, 0.3, 1e-12);
	near(r->after.unmatched, 0.3, 1e-12);
	assert_int_equal(find(r, "gone")->verdict, PGO_MOVED);
	assert_int_equal(find(r, "fresh")->verdict, PGO_MOVED);
	/* Names of clones are those of their function. */
	near(find(r, "clone")->change, 0, 1e-9);
	assert_int_equal(r->design.kind, PGO_DESIGN_COUNTS);
	pgo_verify_free(v);
}

static void bad_gates_are_refused_before_anything_is_read(void **state)
{
	const char *const bad[] = {
		"speed>2%", "regression", "regression>two", "total>1%", ">2%", "overlap<90%,,"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct pgo_verify_options o = {.fail_if = bad[i]};
		struct pgo_err err = PGO_ERR_INIT;

		assert_null(pgo_verify_new(&o, &err));
		assert_int_equal(err.code, PGO_EUSAGE);
	}
}

static void a_side_without_profiles_is_an_error(void **state)
{
	struct pgo_verify_options o = {0};
	struct pgo_verify *v = verifier(&o);
	struct cost before[] = {{"f", 50}};
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	add(v, false, before, 1);
	assert_int_equal(pgo_verify_finish(v, &err), PGO_EUSAGE);
	assert_non_null(strstr(err.msg, "after"));
	pgo_verify_free(v);
}

static void profiles_of_different_units_are_not_compared(void **state)
{
	struct pgo_verify_options o = {.sample_type = "wall"};
	struct pgo_verify *v = verifier(&o);
	struct cost costs[] = {{"f", 50}};
	struct pgo_profile *p = profile_of(costs, 1);
	struct pgo_reader *r = pgo_profile_reader(p, "web-1.pb.gz", true, NULL);
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	assert_int_equal(pgo_verify_add(v, false, r, NULL, &err), PGO_EMISMATCH);
	assert_non_null(strstr(err.msg, "web-1.pb.gz"));
	pgo_reader_close(r);
	pgo_verify_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(student_quantiles_are_the_tabulated_ones),
		cmocka_unit_test(moments_are_those_of_the_textbook),
		cmocka_unit_test(a_slower_function_is_named_and_an_equal_one_is_not),
		cmocka_unit_test(noise_is_no_regression),
		cmocka_unit_test(shares_overlap_and_unmatched_add_up),
		cmocka_unit_test(bad_gates_are_refused_before_anything_is_read),
		cmocka_unit_test(a_side_without_profiles_is_an_error),
		cmocka_unit_test(profiles_of_different_units_are_not_compared),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	return failed != 0 || pgo_alloc_live() != 0;
}
