/* SPDX-License-Identifier: Apache-2.0 */
/* What leaving functions out leaves, and how it is counted. */
#include "convert/format.h"
#include "convert/trim.h"
#include "pgo/core/alloc.h"
#include "tests/lib/randprof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char text[] = "big:900:5\n"
			   " 1: 100\n"
			   " 2: 200 small:200\n"
			   " 3: small:60\n"
			   "  1: 60\n"
			   "  2: deep:20\n"
			   "   1: 20\n"
			   "mid:100:3\n"
			   " 1: 30\n"
			   "mid.part.0:100:0\n"
			   " 4: 30\n"
			   "small:20:9\n"
			   " 1: 20\n"
			   "tiny:1:1\n"
			   " 1: 1\n";

static struct pgo_fnprof *profile(void)
{
	struct pgo_fnprof *p = pgo_format_llvm_text.read("text", text, strlen(text), NULL);

	assert_non_null(p);
	pgo_fnprof_sort(p);
	return p;
}

static void trim(struct pgo_trim_options o, struct pgo_trim_account *a, const char *want)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_fnprof *p = profile();
	uint64_t left = 0;
	struct pgo_buf b;

	assert_int_equal(pgo_trim_check(&o, &err), 0);
	assert_int_equal(pgo_trim(p, &o, a, &err), 0);
	for (size_t i = 0; i < p->n_fns; i++)
		left += pgo_fn_position_sum(p->fns[i]);
	assert_int_equal(a->counts, 461);
	assert_int_equal(left + pgo_trim_cut(a), a->counts);
	randprof_write(&pgo_format_llvm_text, p, &(struct pgo_format_options){0}, &b);
	assert_string_equal(b.data, want);
	pgo_buf_fini(&b);
	pgo_fnprof_free(p);
}

static void test_min_count_weighs_a_function_with_its_clones_and_what_is_inlined(void **state)
{
	struct pgo_trim_account a;

	(void)state;
	/* mid and its part have 60 together, each alone 30. */
	trim((struct pgo_trim_options){.min_count = 40}, &a,
		"big:900:5\n 1: 100\n 2: 200 small:200\n 3: small:60\n  1: 60\n  2: deep:20\n   1: "
		"20\n"
		"mid:100:3\n 1: 30\nmid.part.0:100:0\n 4: 30\n");
	assert_int_equal(a.functions, 4);
	assert_int_equal(a.cut[PGO_TRIM_MIN_COUNT].functions, 2);
	assert_int_equal(a.cut[PGO_TRIM_MIN_COUNT].counts, 21);
}

static void test_hottest_keeps_that_many_functions(void **state)
{
	struct pgo_trim_account a;

	(void)state;
	trim((struct pgo_trim_options){.hottest = 1}, &a,
		"big:900:5\n 1: 100\n 2: 200 small:200\n 3: small:60\n  1: 60\n  2: deep:20\n   1: "
		"20\n");
	assert_int_equal(a.cut[PGO_TRIM_HOTTEST].functions, 3);
	assert_int_equal(a.cut[PGO_TRIM_HOTTEST].counts, 81);
}

static void test_dropping_by_name_takes_inlined_bodies_and_their_totals_too(void **state)
{
	struct pgo_trim_account a;

	(void)state;
	trim((struct pgo_trim_options){.drop = "^(small|tiny)$"}, &a,
		"big:840:5\n 1: 100\n 2: 200 small:200\nmid:100:3\n 1: 30\nmid.part.0:100:0\n 4: "
		"30\n");
	assert_int_equal(a.cut[PGO_TRIM_DROP].functions, 2);
	assert_int_equal(a.cut[PGO_TRIM_DROP].counts, 60 + 20 + 20 + 1);
	/* A body below another goes alone. */
	trim((struct pgo_trim_options){.drop = "^deep$", .hottest = 1}, &a,
		"big:880:5\n 1: 100\n 2: 200 small:200\n 3: small:40\n  1: 60\n");
	assert_int_equal(a.cut[PGO_TRIM_DROP].functions, 0);
	assert_int_equal(a.cut[PGO_TRIM_DROP].counts, 20);
}

static void test_tails_of_clones_are_not_part_of_the_name(void **state)
{
	struct pgo_trim_account a;

	(void)state;
	trim((struct pgo_trim_options){.drop = "part|d$", .min_count = 2}, &a,
		"big:900:5\n 1: 100\n 2: 200 small:200\n 3: small:60\n  1: 60\n  2: deep:20\n   1: "
		"20\n"
		"small:20:9\n 1: 20\n");
	assert_int_equal(a.cut[PGO_TRIM_DROP].functions, 1);
	assert_int_equal(a.cut[PGO_TRIM_DROP].counts, 60);
	assert_int_equal(a.cut[PGO_TRIM_MIN_COUNT].counts, 1);
}

static void test_dropped_functions_are_not_called_cold(void **state)
{
	struct pgo_trim_options o = {.drop = "^never_a"};
	struct pgo_trim_account a;
	struct pgo_fnprof *p = profile();

	(void)state;
	assert_int_equal(pgo_fnprof_add_cold(p, pgo_strtab_puts(&p->strs, "never_a")), 0);
	assert_int_equal(pgo_fnprof_add_cold(p, pgo_strtab_puts(&p->strs, "never_b")), 0);
	assert_int_equal(pgo_trim(p, &o, &a, NULL), 0);
	assert_int_equal(p->n_cold, 1);
	assert_string_equal(pgo_fnprof_str(p, p->cold[0]), "never_b");
	pgo_fnprof_free(p);
}

static void test_nothing_left_is_an_error_and_so_is_a_bad_expression(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_trim_options all = {.drop = "."}, bad = {.drop = "a("};
	struct pgo_trim_account a;
	struct pgo_fnprof *p = profile();

	(void)state;
	assert_int_equal(pgo_trim(p, &all, &a, &err), PGO_EEMPTY);
	assert_non_null(strstr(err.msg, "nothing is left"));
	err = (struct pgo_err)PGO_ERR_INIT;
	assert_int_equal(pgo_trim_check(&bad, &err), PGO_EUSAGE);
	assert_non_null(strstr(err.msg, "'a('"));
	pgo_fnprof_free(p);
}

static void test_a_failed_allocation_is_an_error_and_loses_nothing(void **state)
{
	struct pgo_trim_options o = {.drop = "deep", .min_count = 2, .hottest = 2};

	(void)state;
	for (uint64_t n = 0;; n++) {
		uint64_t live = pgo_alloc_live();
		struct pgo_trim_account a;
		struct pgo_fnprof *p = profile();
		int rc;

		pgo_alloc_fail_after(n);
		rc = pgo_trim(p, &o, &a, NULL);
		pgo_alloc_fail_after(UINT64_MAX);
		assert_true(rc == 0 || rc == PGO_ENOMEM);
		pgo_fnprof_free(p);
		assert_int_equal(pgo_alloc_live(), live);
		if (rc == 0)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_min_count_weighs_a_function_with_its_clones_and_what_is_inlined),
		cmocka_unit_test(test_hottest_keeps_that_many_functions),
		cmocka_unit_test(test_dropping_by_name_takes_inlined_bodies_and_their_totals_too),
		cmocka_unit_test(test_tails_of_clones_are_not_part_of_the_name),
		cmocka_unit_test(test_dropped_functions_are_not_called_cold),
		cmocka_unit_test(test_nothing_left_is_an_error_and_so_is_a_bad_expression),
		cmocka_unit_test(test_a_failed_allocation_is_an_error_and_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
