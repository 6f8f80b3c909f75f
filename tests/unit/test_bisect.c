/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/bisect.h"
#include "pgo/core/alloc.h"
#include "tests/lib/scratch.h"

#include <string.h>

/* A judge that knows the truth: the build is bad if all of `cause` (or all of `other`) are in it. */
struct truth {
	const uint32_t *cause, *other;
	size_t n_cause, n_other;
	uint64_t asked, limit;
	uint32_t untold; /* sets of just so many items cannot be judged; 0 = none */
	bool always;
};

static bool holds(const uint32_t *items, size_t n, const uint32_t *cause, size_t n_cause)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			assert_true(items[i - 1] < items[i]);
		k += k < n_cause && items[i] == cause[k];
	}
	return n_cause != 0 && k == n_cause;
}

static int judge(
	void *ctx, const uint32_t *items, size_t n, enum pgo_judgement *ret, struct pgo_err *err)
{
	struct truth *t = ctx;

	if (t->limit != 0 && t->asked == t->limit)
		return pgo_err_set(err, PGO_ELIMIT, "enough");
	t->asked++;
	*ret = t->always || holds(items, n, t->cause, t->n_cause) ||
			       holds(items, n, t->other, t->n_other)
		       ? PGO_JUDGED_BAD
		       : PGO_JUDGED_GOOD;
	if (t->untold != 0 && n == t->untold)
		*ret = PGO_JUDGED_SKIP;
	return 0;
}

static void assert_set(const struct pgo_bisect_set *s, const uint32_t *want, size_t n)
{
	assert_int_equal(s->n, n);
	assert_memory_equal(s->items, want, n * sizeof *want);
}

static void every_single_cause_is_found_in_few_judgements(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 1000; i += 37) {
		struct truth t = {.cause = &i, .n_cause = 1};
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_bisect b;

		assert_int_equal(pgo_bisect(1000, judge, &t, &b, &err), 0);
		assert_int_equal(b.end, PGO_BISECT_FOUND);
		assert_int_equal(b.n, 1);
		assert_set(&b.sets[0], &i, 1);
		assert_true(t.asked <= 3 + 2 * 10);
		pgo_bisect_fini(&b);
	}
}

static void functions_that_are_bad_only_together_are_found_together(void **state)
{
	const uint32_t cause[] = {3, 250, 251, 499};
	struct truth t = {.cause = cause, .n_cause = 4};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_bisect b;

	(void)state;
	assert_int_equal(pgo_bisect(500, judge, &t, &b, &err), 0);
	assert_int_equal(b.end, PGO_BISECT_FOUND);
	assert_int_equal(b.n, 1);
	assert_set(&b.sets[0], cause, 4);
	assert_in_range(t.asked, 10, 300);
	pgo_bisect_fini(&b);
}

static void two_causes_are_two_sets(void **state)
{
	const uint32_t cause[] = {7, 90}, other[] = {42};
	struct truth t = {.cause = cause, .n_cause = 2, .other = other, .n_other = 1};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_bisect b;

	(void)state;
	assert_int_equal(pgo_bisect(100, judge, &t, &b, &err), 0);
	assert_int_equal(b.n, 2);
	assert_set(&b.sets[0], b.sets[0].n == 1 ? other : cause, b.sets[0].n);
	assert_set(&b.sets[1], b.sets[1].n == 1 ? other : cause, b.sets[1].n);
	assert_int_equal(b.sets[0].n + b.sets[1].n, 3);
	pgo_bisect_fini(&b);
}

static void a_set_that_cannot_be_judged_accuses_nobody_wrongly(void **state)
{
	const uint32_t cause[] = {5};
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	for (uint32_t size = 1; size < 16; size++) {
		struct truth t = {.cause = cause, .n_cause = 1, .untold = size};
		struct pgo_bisect b;
		bool has = false;

		assert_int_equal(pgo_bisect(16, judge, &t, &b, &err), 0);
		assert_int_equal(b.end, PGO_BISECT_FOUND);
		for (size_t i = 0; i < b.sets[0].n; i++)
			has |= b.sets[0].items[i] == 5;
		assert_true(has);
		pgo_bisect_fini(&b);
	}
}

static void ends_without_a_cause_are_told_apart(void **state)
{
	struct truth good = {.n_cause = 0}, bad = {.always = true}, untold = {.untold = 8};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_bisect b;

	(void)state;
	assert_int_equal(pgo_bisect(8, judge, &good, &b, &err), 0);
	assert_int_equal(b.end, PGO_BISECT_ALL_GOOD);
	pgo_bisect_fini(&b);
	assert_int_equal(pgo_bisect(8, judge, &bad, &b, &err), 0);
	assert_int_equal(b.end, PGO_BISECT_NONE_BAD);
	assert_int_equal(b.n, 0);
	pgo_bisect_fini(&b);
	assert_int_equal(pgo_bisect(8, judge, &untold, &b, &err), 0);
	assert_int_equal(b.end, PGO_BISECT_UNTOLD);
	pgo_bisect_fini(&b);
}

static void a_search_that_is_stopped_says_what_is_bad_so_far(void **state)
{
	const uint32_t cause[] = {10, 60};
	struct truth full = {.cause = cause, .n_cause = 2};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_bisect b;

	(void)state;
	assert_int_equal(pgo_bisect(64, judge, &full, &b, &err), 0);
	pgo_bisect_fini(&b);
	for (uint64_t limit = 1; limit < full.asked; limit++) {
		struct truth t = {.cause = cause, .n_cause = 2, .limit = limit};
		int rc = pgo_bisect(64, judge, &t, &b, &err);

		assert_int_equal(rc, PGO_ELIMIT);
		assert_int_equal(b.end, PGO_BISECT_UNFINISHED);
		for (size_t i = 0; i < b.n; i++)
			assert_true(holds(b.sets[i].items, b.sets[i].n, cause, 2));
		pgo_bisect_fini(&b);
	}
}

static void every_failing_allocation_is_survived(void **state)
{
	const uint32_t cause[] = {1, 6};
	uint64_t before = pgo_alloc_live();
	bool done = false;

	(void)state;
	for (uint64_t n = 0; !done; n++) {
		struct truth t = {.cause = cause, .n_cause = 2};
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_bisect b;
		int rc;

		pgo_alloc_fail_after(n);
		rc = pgo_bisect(8, judge, &t, &b, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		done = rc == 0;
		assert_true(done || rc == PGO_ENOMEM);
		pgo_bisect_fini(&b);
		assert_int_equal(pgo_alloc_live(), before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_single_cause_is_found_in_few_judgements),
		cmocka_unit_test(functions_that_are_bad_only_together_are_found_together),
		cmocka_unit_test(two_causes_are_two_sets),
		cmocka_unit_test(a_set_that_cannot_be_judged_accuses_nobody_wrongly),
		cmocka_unit_test(ends_without_a_cause_are_told_apart),
		cmocka_unit_test(a_search_that_is_stopped_says_what_is_bad_so_far),
		cmocka_unit_test(every_failing_allocation_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
