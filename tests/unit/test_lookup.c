/* SPDX-License-Identifier: Apache-2.0 */
/* What a consumer finds of a profile, and what it does not. */
#include "convert/format.h"
#include "convert/lookup.h"
#include "convert/rules_name.h"
#include "pgo/core/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct pgo_fnprof *profile(const char *text)
{
	struct pgo_fnprof *p = pgo_format_llvm_text.read("text", text, strlen(text), NULL);

	assert_non_null(p);
	pgo_fnprof_sort(p);
	return p;
}

/* The look-ups of a consumer in what its own rules make of the text. */
static struct pgo_lookup look(const char *text, unsigned release)
{
	struct pgo_fnprof *p = profile(text);
	struct pgo_fnprof *w =
		release != 0 ? pgo_rules_gcc(p, release, NULL) : pgo_rules_llvm(p, NULL);
	struct pgo_lookup l;

	assert_int_equal(pgo_lookup_check(p, w, release, &l, NULL), 0);
	assert_int_equal(l.counts, l.found + l.shared_lines + l.shared_names + l.lost);
	pgo_fnprof_free(p);
	pgo_fnprof_free(w);
	return l;
}

static void test_every_consumer_finds_everything_of_plain_code(void **state)
{
	static const char text[] = "f:900:5\n 1: 100\n 2: 200 g:200\n 3: g:60\n  1: 60\n"
				   "  2: _ZN1AC4Ei:20\n   1: 20\n_ZN1AD4Ev:3:3\n 1: 3\n";
	static const unsigned releases[] = {0, 5, 12, 13, 15, 16};

	(void)state;
	for (size_t i = 0; i < sizeof releases / sizeof *releases; i++) {
		struct pgo_lookup l = look(text, releases[i]);

		assert_int_equal(l.counts, 383);
		assert_int_equal(l.found, 383);
		assert_int_equal(l.foreign, 0);
	}
}

static void test_places_of_a_line_are_one_to_gcc_12(void **state)
{
	static const char text[] = "f:900:5\n 1: 100\n 1.1: 30\n 1.2: 7\n 2: g:40\n  1: 40\n"
				   " 2.1: g:5\n  1: 5\n";

	(void)state;
	assert_int_equal(look(text, 12).shared_lines, 30 + 7 + 5);
	/* Later ones tell positions apart, but not inlined calls. */
	assert_int_equal(look(text, 13).shared_lines, 5);
	assert_int_equal(look(text, 16).shared_lines, 0);
	assert_int_equal(look(text, 0).shared_lines, 0);
}

static void test_targets_that_are_left_out_are_counted(void **state)
{
	static const char text[] = "f:900:5\n 1: 100 g:70 h:20\n";

	(void)state;
	assert_int_equal(look(text, 11).targets, 90);
	assert_int_equal(look(text, 12).targets, 0);
	assert_int_equal(look(text, 0).targets, 0);
}

static void test_clones_add_up_and_are_all_found(void **state)
{
	static const char text[] =
		"f:900:5\n 1: 100\nf.constprop.0:90:5\n 1: 40\nf.cold:9:0\n 7: 2\n";

	(void)state;
	assert_int_equal(look(text, 12).found, 142);
	assert_int_equal(look(text, 16).found, 142);
	assert_int_equal(look(text, 0).found, 142);
}

static void test_functions_of_one_name_are_told_apart_by_gcc_16_only(void **state)
{
	static const unsigned releases[] = {0, 15, 16};

	(void)state;
	for (size_t i = 0; i < sizeof releases / sizeof *releases; i++) {
		struct pgo_fnprof *p = pgo_fnprof_new(NULL), *w;
		uint32_t name = pgo_strtab_puts(&p->strs, "twin");
		struct pgo_lookup l;

		for (int k = 0; k < 2; k++) {
			struct pgo_fn *f = pgo_fnprof_fn_of_file(
				p, name, pgo_strtab_puts(&p->strs, k == 0 ? "/d/a.c" : "/d/b.c"));

			assert_int_equal(pgo_fn_pos_add(p, f, 1, 0, k == 0 ? 100 : 60), 0);
		}
		pgo_fnprof_sort(p);
		w = releases[i] != 0 ? pgo_rules_gcc(p, releases[i], NULL)
				     : pgo_rules_llvm(p, NULL);
		assert_int_equal(pgo_lookup_check(p, w, releases[i], &l, NULL), 0);
		assert_int_equal(l.shared_names, releases[i] == 16 ? 0 : 60);
		assert_int_equal(l.found, releases[i] == 16 ? 160 : 100);
		pgo_fnprof_free(p);
		pgo_fnprof_free(w);
	}
}

static void test_what_is_not_in_the_file_or_under_another_key_is_lost(void **state)
{
	struct pgo_fnprof *p =
		profile("f:9:1\n 1: 10\n 2.1: g:5\n  1: 5\nf.llvm.7:9:1\n 3: 2\nh:1:1\n 1: 1\n");
	struct pgo_fnprof *as_is =
		profile("f:9:1\n 1: 10\n 2.1: g:5\n  1: 5\nf.llvm.7:9:1\n 3: 2\n");
	struct pgo_lookup l;

	(void)state;
	/* gcc 15 looks for the inlined body without a discriminator. */
	assert_int_equal(pgo_lookup_check(p, as_is, 15, &l, NULL), 0);
	assert_int_equal(l.lost, 5 + 1);
	assert_int_equal(pgo_lookup_check(p, as_is, 16, &l, NULL), 0);
	assert_int_equal(l.lost, 1);
	pgo_fnprof_free(p);
	pgo_fnprof_free(as_is);
}

static enum pgo_name_language of(const char *s)
{
	return pgo_name_language(s, strlen(s));
}

static void test_names_of_other_languages_are_known(void **state)
{
	static const char text[] =
		"main.work:9:1\n 1: 10\n_RNvCs4fqI2P2rA04_1m4work:9:1\n 1: 5\nc:1:1\n 1: 1\n";

	(void)state;
	assert_int_equal(of("_RNvCs4fqI2P2rA04_1m4work"), PGO_NAME_RUST);
	assert_int_equal(of("_ZN4core3fmt5write17h0123456789abcdefE"), PGO_NAME_RUST);
	assert_int_equal(of("_ZN4core3fmt5write17h0123456789abcdefE.llvm.123"), PGO_NAME_RUST);
	assert_int_equal(of("_ZN4core3fmt5write17h0123456789abcdeE"), PGO_NAME_C);
	assert_int_equal(of("_ZN3foo17hxEv"), PGO_NAME_C);
	assert_int_equal(of("main.work"), PGO_NAME_GO);
	assert_int_equal(of("net/http.(*conn).serve"), PGO_NAME_GO);
	assert_int_equal(of("runtime.mallocgc"), PGO_NAME_GO);
	assert_int_equal(of("work"), PGO_NAME_C);
	assert_int_equal(of("work.cold"), PGO_NAME_C);
	assert_int_equal(of("work.part.0.isra.1"), PGO_NAME_C);
	assert_int_equal(of("work.avx2"), PGO_NAME_C);
	assert_int_equal(of("work.arch_haswell"), PGO_NAME_C);
	assert_int_equal(of("work._omp_fn.0"), PGO_NAME_C);
	assert_int_equal(of("work.12"), PGO_NAME_C);
	assert_int_equal(of("_ZN3foo3barEv.resume"), PGO_NAME_C);
	/* rustc reads what clang reads; gcc has no Rust that reads profiles. */
	assert_int_equal(look(text, 0).foreign, 10);
	assert_int_equal(look(text, 12).foreign, 15);
	assert_int_equal(look(text, 12).foreign_fns, 2);
}

static void test_a_failed_allocation_is_an_error(void **state)
{
	struct pgo_fnprof *p =
		profile("f:9:1\n 1: 10\n 2.1: _ZN1AC4Ev:5\n  1: 5\nf.part.0:9:1\n 3: 2\n");
	struct pgo_fnprof *w = pgo_rules_gcc(p, 16, NULL);

	(void)state;
	for (uint64_t n = 0;; n++) {
		uint64_t live = pgo_alloc_live();
		struct pgo_lookup l;
		int rc;

		pgo_alloc_fail_after(n);
		rc = pgo_lookup_check(p, w, 16, &l, NULL);
		pgo_alloc_fail_after(UINT64_MAX);
		assert_int_equal(pgo_alloc_live(), live);
		if (rc == 0)
			break;
		assert_int_equal(rc, PGO_ENOMEM);
	}
	pgo_fnprof_free(p);
	pgo_fnprof_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_consumer_finds_everything_of_plain_code),
		cmocka_unit_test(test_places_of_a_line_are_one_to_gcc_12),
		cmocka_unit_test(test_targets_that_are_left_out_are_counted),
		cmocka_unit_test(test_clones_add_up_and_are_all_found),
		cmocka_unit_test(test_functions_of_one_name_are_told_apart_by_gcc_16_only),
		cmocka_unit_test(test_what_is_not_in_the_file_or_under_another_key_is_lost),
		cmocka_unit_test(test_names_of_other_languages_are_known),
		cmocka_unit_test(test_a_failed_allocation_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
