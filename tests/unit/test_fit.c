/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"
#include "pgo/fit_files.h"
#include "tests/lib/scratch.h"
#include "verify/fit.h"

#include <math.h>
#include <string.h>

static struct pgo_strtab strs;

static int start(void **state)
{
	(void)state;
	return pgo_strtab_init(&strs, 1 << 24);
}

static int stop(void **state)
{
	(void)state;
	pgo_strtab_fini(&strs);
	return 0;
}

static void view(const char *text, struct pgo_fit_loaded *l)
{
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(pgo_fit_load_bytes("x", text, strlen(text), &strs, l, &err), 0);
}

static struct pgo_fit_overlap compare(const char *a, const char *b)
{
	struct pgo_fit_loaded x, y;
	struct pgo_fit_overlap o;
	struct pgo_err err = PGO_ERR_INIT;

	view(a, &x);
	view(b, &y);
	assert_int_equal(pgo_fit_compare(&x.view, &y.view, &strs, &o, &err), 0);
	pgo_fit_loaded_fini(&x);
	pgo_fit_loaded_fini(&y);
	return o;
}

static bool near(double a, double b)
{
	return fabs(a - b) < 1e-9;
}

static void a_profile_has_all_in_common_with_itself_at_any_scale(void **state)
{
	struct pgo_fit_overlap o = compare("f:300:1\n 1: 200\n 2: 100\ng:100:1\n 1: 100\n",
		"f:3000:1\n 1: 2000\n 2: 1000\ng:1000:1\n 1: 1000\n");

	(void)state;
	assert_true(near(o.functions, 1) && near(o.functions_raw, 1));
	assert_true(near(o.blocks, 1) && near(o.blocks_raw, 1));
	assert_null(o.moved);
	pgo_fit_overlap_fini(&o);
}

static void overlap_is_the_sum_of_the_smaller_shares(void **state)
{
	struct pgo_fit_overlap o = compare(
		"f:75:1\n 1: 75\ng:25:1\n 1: 25\n", "f:25:1\n 1: 20\n 2: 5\nh:75:1\n 1: 75\n");

	(void)state;
	assert_true(near(o.functions, 0.25));
	assert_true(near(o.blocks, 0.20));
	assert_string_equal(o.moved, "h");
	assert_true(near(o.moved_before, 0) && near(o.moved_after, 0.75));
	pgo_fit_overlap_fini(&o);
}

static void inlining_moves_nothing(void **state)
{
	struct pgo_fit_overlap o =
		compare("f:40:1\n 1: 40\ng:60:1\n 3: 60\n", "f:100:1\n 1: 40\n 2: g:60\n  3: 60\n");

	(void)state;
	assert_true(near(o.functions, 1) && near(o.blocks, 1));
	pgo_fit_overlap_fini(&o);
}

static void a_prefix_that_all_names_have_is_seen_through(void **state)
{
	struct pgo_fit_overlap o = compare("alpha:60:1\n 1: 60\nbeta:40:1\n 1: 40\n",
		"__dl_alpha:60:1\n 1: 60\n__dl_beta:40:1\n 1: 40\n");

	(void)state;
	assert_true(near(o.functions_raw, 0) && near(o.functions, 1));
	assert_string_equal(o.prefix, "__dl_");
	assert_true(o.prefix_new);
	pgo_fit_overlap_fini(&o);
	o = compare("__dl_alpha:60:1\n 1: 60\n", "alpha:60:1\n 1: 60\n");
	assert_true(near(o.functions, 1) && !o.prefix_new);
	pgo_fit_overlap_fini(&o);
	/* One name that happens to end like another is no prefix. */
	o = compare("alpha:10:1\n 1: 10\nomega:90:1\n 1: 90\n",
		"my_alpha:10:1\n 1: 10\ndelta:90:1\n 1: 90\n");
	assert_true(near(o.functions, 0));
	assert_string_equal(o.prefix, "");
	pgo_fit_overlap_fini(&o);
}

static void blocks_of_fdata_are_compared_only_where_the_code_is_the_same(void **state)
{
	const char *old = "1 f 10 1 f 20 0 50\n1 f 30 1 f 10 0 30\n1 g 4 1 g 8 0 20\n";
	struct pgo_fit_overlap o = compare(old, old);

	(void)state;
	assert_true(near(o.blocks, 1) && near(o.blocks_compared, 1));
	pgo_fit_overlap_fini(&o);
	o = compare(old, "1 f 10 1 f 20 0 40\n1 f 30 1 f 10 0 40\n1 g 6 1 g a 0 20\n");
	assert_true(near(o.functions, 1));
	assert_true(near(o.blocks_compared, 0.8));
	assert_true(near(o.blocks, 0.875));
	pgo_fit_overlap_fini(&o);
}

static void names_of_a_program_cover_raw_and_canonically(void **state)
{
	struct pgo_fit_loaded l;
	struct pgo_fit_cover c;
	struct pgo_err err = PGO_ERR_INIT;
	uint32_t names[2];

	(void)state;
	view("_ZN1a4work17h0123456789abcdefE:50:1\n 1: 50\nplain:30:1\n 1: 30\ngone:20:1\n 1: 20\n",
		&l);
	names[0] = pgo_strtab_puts(&strs, "_ZN1a4work17hfedcba9876543210E");
	names[1] = pgo_strtab_puts(&strs, "plain");
	assert_int_equal(pgo_fit_covered(&l.view, names, 2, &strs, &c, &err), 0);
	assert_true(near(c.raw, 0.3) && near(c.canonical, 0.8));
	assert_string_equal(c.missing, "gone");
	assert_true(near(c.missing_share, 0.2));
	pgo_fit_cover_fini(&c);
	pgo_fit_loaded_fini(&l);
}

static double flips(const char *const *text, size_t n, size_t *ret_functions)
{
	struct pgo_fit_loaded l[5];
	const struct pgo_fit_view *v[5];
	struct pgo_fit_flips f;
	struct pgo_err err = PGO_ERR_INIT;
	double share;

	for (size_t i = 0; i < n; i++) {
		view(text[i], &l[i]);
		v[i] = &l[i].view;
	}
	assert_int_equal(pgo_fit_flips(v, n, &strs, &f, &err), 0);
	share = f.share;
	*ret_functions = f.functions;
	if (f.functions != 0)
		assert_string_equal(f.name[0], "flip");
	pgo_fit_flips_fini(&f);
	for (size_t i = 0; i < n; i++)
		pgo_fit_loaded_fini(&l[i]);
	return share;
}

static void hot_cold_hot_is_a_flip_and_nothing_else_is(void **state)
{
	const char *hot = "flip:10:1\n 1: 10\nrest:90:1\n 1: 90\n", *cold = "rest:100:1\n 1: 100\n";
	const char *cooler = "flip:6:1\n 1: 6\nrest:94:1\n 1: 94\n";
	const char *const all[][5] = {{hot, cold, hot}, {hot, hot, cold}, {cold, hot, hot},
		{cold, hot, cold}, {hot, cooler, hot}, {hot, cold, cold, cold, hot}};
	const size_t n[] = {3, 3, 3, 3, 3, 5}, want[] = {1, 0, 0, 0, 0, 1};

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		size_t functions;
		double share = flips(all[i], n[i], &functions);

		assert_int_equal(functions, want[i]);
		assert_true(near(share, want[i] != 0 ? 0.1 : 0));
	}
}

static void two_results_cannot_flip(void **state)
{
	struct pgo_fit_loaded l;
	struct pgo_fit_flips f;
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	view("f:10:1\n 1: 10\n", &l);
	assert_int_equal(pgo_fit_flips((const struct pgo_fit_view *[]){&l.view, &l.view}, 2, &strs,
				 &f, &err),
		PGO_EUSAGE);
	pgo_fit_loaded_fini(&l);
}

static void every_failing_allocation_is_survived(void **state)
{
	const char *a = "f:60:1\n 1: 60\nx_g:40:1\n 1: 40\n",
		   *b = "x_f:60:1\n 1: 60\ng:40:1\n 1: 40\n";
	bool done = false;

	(void)state;
	for (uint64_t n = 0; !done; n++) {
		struct pgo_fit_loaded x, y;
		struct pgo_fit_overlap o;
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_strtab own;
		uint64_t before = pgo_alloc_live();
		int rc;

		assert_int_equal(pgo_strtab_init(&own, 1 << 20), 0);
		assert_int_equal(pgo_fit_load_bytes("a", a, strlen(a), &own, &x, &err), 0);
		assert_int_equal(pgo_fit_load_bytes("b", b, strlen(b), &own, &y, &err), 0);
		pgo_alloc_fail_after(n);
		rc = pgo_fit_compare(&x.view, &y.view, &own, &o, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		done = rc == 0;
		assert_true(done || rc == PGO_ENOMEM);
		if (done)
			pgo_fit_overlap_fini(&o);
		pgo_fit_loaded_fini(&x);
		pgo_fit_loaded_fini(&y);
		pgo_strtab_fini(&own);
		assert_int_equal(pgo_alloc_live(), before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_profile_has_all_in_common_with_itself_at_any_scale),
		cmocka_unit_test(overlap_is_the_sum_of_the_smaller_shares),
		cmocka_unit_test(inlining_moves_nothing),
		cmocka_unit_test(a_prefix_that_all_names_have_is_seen_through),
		cmocka_unit_test(blocks_of_fdata_are_compared_only_where_the_code_is_the_same),
		cmocka_unit_test(names_of_a_program_cover_raw_and_canonically),
		cmocka_unit_test(hot_cold_hot_is_a_flip_and_nothing_else_is),
		cmocka_unit_test(two_results_cannot_flip),
		cmocka_unit_test(every_failing_allocation_is_survived),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
