/* SPDX-License-Identifier: Apache-2.0 */
/* What each consumer's rules make of a profile. */
#include "convert/format.h"
#include "convert/rules_name.h"
#include "pgo/core/alloc.h"
#include "tests/lib/randprof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* From LLVM's text, which is easy to read. */
static struct pgo_fnprof *profile(const char *text)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_fnprof *p = pgo_format_llvm_text.read("text", text, strlen(text), &err);

	if (p == NULL)
		print_error("%s\n", err.msg);
	assert_non_null(p);
	return p;
}

static void expect_text(struct pgo_fnprof *p, const char *want)
{
	struct pgo_buf b;

	assert_non_null(p);
	randprof_write(&pgo_format_llvm_text, p, &(struct pgo_format_options){0}, &b);
	assert_string_equal(b.data, want);
	pgo_buf_fini(&b);
	pgo_fnprof_free(p);
}

static void expect_gcc(const char *from, unsigned release, const char *want)
{
	struct pgo_fnprof *p = profile(from);

	expect_text(pgo_rules_gcc(p, release, NULL), want);
	pgo_fnprof_free(p);
}

static void expect_llvm(const char *from, const char *want)
{
	struct pgo_fnprof *p = profile(from);

	expect_text(pgo_rules_llvm(p, NULL), want);
	pgo_fnprof_free(p);
}

static void test_gcc_12_gets_one_position_a_line_with_the_largest_count(void **state)
{
	(void)state;
	expect_gcc("f:100:3\n 2.1: 30 a:20\n 2.2: 50 a:5 b:7\n 2: 10\n 3.4: 1\n", 12,
		"f:51:3\n 2: 50 a:25 b:7\n 3: 1\n");
}

static void test_gcc_10_and_11_get_no_call_targets(void **state)
{
	(void)state;
	expect_gcc("f:100:3\n 2: 30 a:20\n", 9, "f:30:3\n 2: 30 a:20\n");
	expect_gcc("f:100:3\n 2: 30 a:20\n", 10, "f:30:3\n 2: 30\n");
	expect_gcc("f:100:3\n 2: 30 a:20\n", 11, "f:30:3\n 2: 30\n");
	expect_gcc("f:100:3\n 2: 30 a:20\n", 12, "f:30:3\n 2: 30 a:20\n");
}

static void test_gcc_12_gets_inlined_bodies_without_discriminator(void **state)
{
	(void)state;
	expect_gcc("f:100:3\n 2.1: g:9\n  1: 5\n  1.3: 6\n 2.2: g:9\n  1: 4\n  2: 2\n 2.2: h:9\n"
		   "  1: 1\n",
		12, "f:9:3\n 2: g:8\n  1: 6\n  2: 2\n 2: h:1\n  1: 1\n");
}

static void test_gcc_13_gets_bodies_at_0_and_their_totals_at_the_discriminator(void **state)
{
	(void)state;
	/* The position keeps its discriminator; the stub is one position with the body's total. */
	expect_gcc("f:100:3\n 2.1: 30\n 2.1: g:9\n  1: 5\n  3.2: h:1\n   4: 7\n", 14,
		"f:61:3\n 2.1: 30\n 2: g:19\n  1: 5\n  3: h:7\n   4: 7\n  3.2: h:7\n   0: 7\n"
		" 2.1: g:12\n  0: 12\n");
}

static void test_gcc_16_gets_discriminators_as_they_are(void **state)
{
	(void)state;
	expect_gcc("f:100:3\n 2.1: 30\n 2: 10\n 2.1: g:9\n  1.7: 5\n", 16,
		"f:45:3\n 2: 10\n 2.1: 30\n 2.1: g:5\n  1.7: 5\n");
}

static void test_clones_are_summed_into_their_function(void **state)
{
	static const char from[] = "f:10:3\n 1: 10\nf.isra.0:20:4\n 1: 20 g.cold:1\n"
				   "f.constprop.0.cold:5:0\n 7: 5\nf.part.1:3:1\n 1: 3\n"
				   "f.zzz:2:1\n 1: 2\n";

	(void)state;
	expect_gcc(from, 12, "f:40:9\n 1: 35 g:1\n 7: 5\n");
	expect_gcc(from, 16, "f:38:8\n 1: 33 g:1\n 7: 5\nf.zzz:2:1\n 1: 2\n");
	expect_llvm(from, "f:40:9\n 1: 35 g:1\n 7: 5\n");
}

static void test_clones_sum_only_after_their_own_discriminators_collapse(void **state)
{
	(void)state;
	/* 30 and 50 are two views of one line of f; the clone's 5 ran besides. */
	expect_gcc("f:100:3\n 2.1: 30\n 2.2: 50\nf.isra.0:20:4\n 2.2: 5\n 2.3: 4\n", 12,
		"f:55:7\n 2: 55\n");
}

static void test_a_part_split_off_and_inlined_back_is_the_function_itself(void **state)
{
	(void)state;
	expect_gcc("f:100:3\n 1: 9\n 4: 2\n 0: f:50\n  4: 7\n  5: 6\n  6.1: g:3\n   1: 3\n", 16,
		"f:25:3\n 1: 9\n 4: 7\n 5: 6\n 6.1: g:3\n  1: 3\n");
	/* Elsewhere it is recursion. */
	expect_gcc("f:100:3\n 1: 9\n 1: f:50\n  4: 7\n", 16, "f:16:3\n 1: 9\n 1: f:7\n  4: 7\n");
}

static void test_heads_are_at_least_1_and_empty_records_go(void **state)
{
	(void)state;
	expect_gcc("f:10:0\n 1: 10\ng:99:0\n 1: 0\nh:0:2\n 1: 0\n", 16,
		"f:10:1\n 1: 10\nh:0:2\n 1: 0\n");
}

static void test_time_stamps_are_for_all_functions_or_for_none(void **state)
{
	struct pgo_fnprof *p = profile("f:1:1\n 1: 9\ng:1:1\n 1: 8\nf.isra.0:1:1\n 1: 1\n"), *q;

	(void)state;
	pgo_fnprof_find(p, "f")->first_seen = 7;
	pgo_fnprof_find(p, "f.isra.0")->first_seen = 5;
	q = pgo_rules_gcc(p, 16, NULL);
	assert_int_equal(pgo_fnprof_find(q, "f")->first_seen, 0);
	pgo_fnprof_free(q);
	pgo_fnprof_find(p, "g")->first_seen = 6;
	q = pgo_rules_gcc(p, 16, NULL);
	assert_int_equal(pgo_fnprof_find(q, "f")->first_seen, 5);
	assert_int_equal(pgo_fnprof_find(q, "g")->first_seen, 6);
	pgo_fnprof_free(q);
	pgo_fnprof_free(p);
}

static struct pgo_fnprof *statics(const char *file_a, const char *file_b)
{
	struct pgo_fnprof *p = pgo_fnprof_new(NULL);
	uint32_t work = pgo_strtab_puts(&p->strs, "work");
	struct pgo_fn *a = pgo_fnprof_fn_of_file(p, work, pgo_strtab_puts(&p->strs, file_a));
	struct pgo_fn *b = pgo_fnprof_fn_of_file(p, work, pgo_strtab_puts(&p->strs, file_b));

	a->head = 1;
	b->head += 2;
	assert_int_equal(pgo_fn_pos_add(p, a, 1, 0, 10), 0);
	assert_int_equal(pgo_fn_pos_add(p, b, 1, 0, 5), 0);
	return p;
}

static void test_same_named_statics_stay_apart_for_gcc_16_only(void **state)
{
	struct pgo_fnprof *p = statics("/x/a.c", "/x/b.c"), *q, *again;

	(void)state;
	q = pgo_rules_gcc(p, 16, NULL);
	assert_string_equal(pgo_fnprof_str(q, pgo_fnprof_find(q, "work.lto_priv.0")->file), "a.c");
	assert_string_equal(pgo_fnprof_str(q, pgo_fnprof_find(q, "work.lto_priv.1")->file), "b.c");
	again = pgo_rules_gcc(q, 16, NULL);
	expect_text(again, "work.lto_priv.0:10:1\n 1: 10\nwork.lto_priv.1:5:2\n 1: 5\n");
	pgo_fnprof_free(q);
	expect_text(pgo_rules_gcc(p, 15, NULL), "work:15:3\n 1: 15\n");
	expect_text(pgo_rules_llvm(p, NULL), "work:0:3\n 1: 15\n");
	pgo_fnprof_free(p);
	/* gcc compares base names only. */
	p = statics("/x/a.c", "/y/a.c");
	expect_text(pgo_rules_gcc(p, 16, NULL), "work:15:3\n 1: 15\n");
	pgo_fnprof_free(p);
}

static void test_a_static_that_another_file_has_inlined_keeps_its_file(void **state)
{
	struct pgo_fnprof *p = pgo_fnprof_new(NULL), *q, *again;
	uint32_t hash = pgo_strtab_puts(&p->strs, "hash");
	struct pgo_fn *f = pgo_fnprof_fn(p, pgo_strtab_puts(&p->strs, "f"));
	struct pgo_fn *a = pgo_fnprof_fn_of_file(p, hash, pgo_strtab_puts(&p->strs, "a.c"));
	struct pgo_fn *in = pgo_fn_inlined(p, f, 1, 0, hash);

	(void)state;
	in->file = pgo_strtab_puts(&p->strs, "b.c");
	assert_int_equal(pgo_fn_pos_add(p, in, 1, 0, 5), 0);
	assert_int_equal(pgo_fn_pos_add(p, a, 1, 0, 7), 0);
	q = pgo_rules_gcc(p, 16, NULL);
	assert_string_equal(pgo_fnprof_str(q, pgo_fnprof_find(q, "hash.lto_priv.0")->file), "a.c");
	again = pgo_rules_gcc(q, 16, NULL);
	expect_text(again, "hash.lto_priv.0:7:1\n 1: 7\nf:5:1\n 1: hash:5\n  1: 5\n");
	pgo_fnprof_free(q);
	/* One file for both: nothing to tell apart. */
	in->file = a->file;
	expect_text(pgo_rules_gcc(p, 16, NULL), "hash:7:1\n 1: 7\nf:5:1\n 1: hash:5\n  1: 5\n");
	pgo_fnprof_free(p);
}

static void test_unified_structors_become_the_bodies_that_exist(void **state)
{
	static const struct {
		const char *name;
		size_t at;
	} cases[] = {
		{"_ZN1AC4Ev", 6},
		{"_ZN1AD4Ev", 6},
		{"_ZN1AC4EPKcRKS_", 6},
		{"_ZN2ns3FooIiLi5EEC4Ei", 18},
		{"_ZN3FooIN2C42C4EEC4Ev", 18}, /* an argument called C4 in a scope called C4 */
		{"_ZNSt6vectorIiSaIiEEC4Ev", 21},
		{"_ZNSt10unique_ptrI8q_routerPFvPS0_EED4Ev", 37},
		/* A constructor that is a template; with an ABI tag. */
		{"_ZNSt10unique_ptrIN6quarry10DictionaryESt14default_deleteIS1_EEC4IS3_vEEPS1_",
			64},
		{"_ZN1AC4B5cxx11Ev", 6},
		/* A local class's own destructor, in a function template over a lambda. */
		{"_ZZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE22__resize_and_overwriteI"
		 "ZNS_9to_stringElEUlPcmE_EEvmT_EN11_TerminatorD4Ev",
			125},
		{"_ZZ1fvENKUlvE12_clEvEN1BC4Ev", 0}, /* not a name that occurs */
		{"_ZZ1fvEN1BC4Ev", 11},
		{"_ZN1AILN2ns1EE5ELi12EEC4Ev", 23}, /* enum and integer as arguments */
		{"_ZN1AIL3Foo5EEC4Ev", 15},
		{"_ZN1AIXadL_Z1fvEEEC4Ev", 19},
		{"_ZN1AIDv4_fA10_iEC4Ev", 18},
		{"_ZN12_GLOBAL__N_11AC4Ev", 20},
		{"_ZN1AC2Ev", 0},
		{"_ZN1A1fEv", 0},
		{"_ZN3xC4Ev", 0},       /* an identifier of three letters */
		{"_ZZN1AC4EvE1x", 0},   /* a local of a constructor is really called so */
		{"_ZN1A1fENS_2C4E", 0}, /* an argument's type */
		{"_ZN99999999999999999999C4Ev", 0},
		{"_ZN", 0},
		{"C4E", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (pgo_name_unified_structor(cases[i].name, strlen(cases[i].name)) != cases[i].at)
			print_error("%s\n", cases[i].name);
		assert_int_equal(pgo_name_unified_structor(cases[i].name, strlen(cases[i].name)),
			cases[i].at);
	}
	expect_gcc("_ZN1AC4Ev:10:3\n 1: 10\n 2: _ZN1BD4Ev:3\n  1: 3\n_ZN1AC2Ev:1:1\n 1: 1\n", 12,
		"_ZN1AC2Ev:14:4\n 1: 11\n 2: _ZN1BD2Ev:3\n  1: 3\n");
	expect_llvm("_ZN1AC4Ev.cold:10:3\n 1: 10\n", "_ZN1AC2Ev:10:3\n 1: 10\n");
}

static void test_clone_suffixes_are_cut_from_the_end_only(void **state)
{
	static const struct {
		const char *name;
		size_t len;
	} cases[] = {
		{"f", 1},
		{"f.cold", 1},
		{"f.cold.12", 1},
		{"f.isra.0.constprop.1", 1},
		{"f.constprop.0.cold", 1},
		{"f.isra.0.zzz", 12},
		{"f.llvm.77", 9},
		{"f.0", 3},
		{"f.avx2", 6},
		{".cold", 5},
		{"f.lto_priv.0", 1},
		{"", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(
			pgo_name_cut_clones(cases[i].name, strlen(cases[i].name)), cases[i].len);
}

static void test_source_names_lose_every_tail_and_no_other_dot(void **state)
{
	static const struct {
		const char *name;
		size_t len;
	} cases[] = {
		{"f", 1},
		{"f.cold", 1},
		{"f.part.cold", 1},
		{"f.isra.0.constprop.1", 1},
		{"_ZL1gi.__uniq.123.llvm.456", 6},
		{"main.(*T).run", 13},
		{".cold", 5},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(
			pgo_name_cut_tails(cases[i].name, strlen(cases[i].name)), cases[i].len);
}

static void test_llvm_names_keep_their_unique_suffix_and_nothing_else(void **state)
{
	struct pgo_fnprof *p;

	(void)state;
	expect_llvm("f.__uniq.12.llvm.34:10:3\n 1: 10 g.llvm.5:2\n 2: h.__uniq.7.part.0:4\n  1: 4\n"
		    "f.__uniq.12.cold:2:0\n 9: 2\nk.llvm.99:1:1\n 1: 1\n",
		"f.__uniq.12:12:3\n 1: 10 g:2\n 9: 2\n 2: h.__uniq.7:4\n  1: 4\nk:1:1\n 1: 1\n");
	p = profile("f.__uniq.12.llvm.34:10:3\n 1: 10\n");
	struct pgo_fnprof *q = pgo_rules_llvm(p, NULL);
	assert_true(q->unique_suffixes);
	pgo_fnprof_free(p);
	pgo_fnprof_free(q);
	p = profile("f.llvm.34:10:3\n 1: 10\n");
	q = pgo_rules_llvm(p, NULL);
	assert_false(q->unique_suffixes);
	pgo_fnprof_free(p);
	pgo_fnprof_free(q);
}

static void test_a_cold_name_that_has_samples_under_its_shorter_name_is_not_cold(void **state)
{
	struct pgo_fnprof *p = profile("f:10:3\n 1: 10\n"), *q;

	(void)state;
	assert_int_equal(pgo_fnprof_add_cold(p, pgo_strtab_puts(&p->strs, "f.cold")), 0);
	assert_int_equal(pgo_fnprof_add_cold(p, pgo_strtab_puts(&p->strs, "g.llvm.7")), 0);
	q = pgo_rules_llvm(p, NULL);
	assert_int_equal(q->n_cold, 1);
	assert_string_equal(pgo_fnprof_str(q, q->cold[0]), "g");
	pgo_fnprof_free(p);
	pgo_fnprof_free(q);
}

static void test_contexts_pass_through_llvm_and_not_through_gcc(void **state)
{
	struct pgo_fnprof *p = profile("[main:1 @ f.cold]:10:3\n 1: 10\n");
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	expect_text(pgo_rules_llvm(p, NULL), "[main:1 @ f.cold]:10:3\n 1: 10\n");
	assert_null(pgo_rules_gcc(p, 12, &err));
	assert_int_equal(err.code, PGO_EMISMATCH);
	pgo_fnprof_free(p);
}

/* Laws, over random profiles: rules are idempotent, and what they give can be written. */
static void test_rules_twice_are_rules_once(void **state)
{
	static const unsigned releases[] = {8, 12, 13, 15, 16};

	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		unsigned release = releases[seed % 5];
		struct pgo_format_options o = {.gcc_release = release};
		struct pgo_fnprof *p = randprof_new(seed, RANDPROF_FILES), *once, *twice;
		struct pgo_buf a, b;

		once = pgo_rules_gcc(p, release, NULL);
		twice = pgo_rules_gcc(once, release, NULL);
		randprof_write(&pgo_format_gcc, once, &o, &a);
		randprof_write(&pgo_format_gcc, twice, &o, &b);
		assert_int_equal(a.len, b.len);
		assert_memory_equal(a.data, b.data, a.len);
		pgo_buf_fini(&a);
		pgo_buf_fini(&b);
		pgo_fnprof_free(once);
		pgo_fnprof_free(twice);
		once = pgo_rules_llvm(p, NULL);
		twice = pgo_rules_llvm(once, NULL);
		randprof_write(&pgo_format_llvm_extbinary, once, &o, &a);
		randprof_write(&pgo_format_llvm_extbinary, twice, &o, &b);
		assert_int_equal(a.len, b.len);
		assert_memory_equal(a.data, b.data, a.len);
		pgo_buf_fini(&a);
		pgo_buf_fini(&b);
		pgo_fnprof_free(once);
		pgo_fnprof_free(twice);
		pgo_fnprof_free(p);
	}
}

static void test_rules_survive_the_failure_of_any_allocation(void **state)
{
	struct pgo_fnprof *p = randprof_new(11, RANDPROF_FILES);
	uint64_t live = pgo_alloc_live();

	(void)state;
	for (unsigned which = 0; which < 3; which++) {
		struct pgo_fnprof *q = NULL;

		for (uint64_t n = 0; q == NULL; n++) {
			struct pgo_err err = PGO_ERR_INIT;

			pgo_alloc_fail_after(n);
			q = which == 0 ? pgo_rules_llvm(p, &err)
				       : pgo_rules_gcc(p, which == 1 ? 13 : 16, &err);
			pgo_alloc_fail_after(UINT64_MAX);
			if (q == NULL) {
				assert_int_equal(err.code, PGO_ENOMEM);
				assert_int_equal(pgo_alloc_live(), live);
			}
		}
		pgo_fnprof_free(q);
	}
	pgo_fnprof_free(p);
}

static void test_versions_follow_the_release(void **state)
{
	(void)state;
	assert_int_equal(pgo_gcc_afdo_version(5), 1);
	assert_int_equal(pgo_gcc_afdo_version(11), 1);
	assert_int_equal(pgo_gcc_afdo_version(12), 2);
	assert_int_equal(pgo_gcc_afdo_version(15), 2);
	assert_int_equal(pgo_gcc_afdo_version(16), 3);
	assert_int_equal(pgo_gcc_afdo_version(0), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gcc_12_gets_one_position_a_line_with_the_largest_count),
		cmocka_unit_test(test_gcc_10_and_11_get_no_call_targets),
		cmocka_unit_test(test_gcc_12_gets_inlined_bodies_without_discriminator),
		cmocka_unit_test(
			test_gcc_13_gets_bodies_at_0_and_their_totals_at_the_discriminator),
		cmocka_unit_test(test_gcc_16_gets_discriminators_as_they_are),
		cmocka_unit_test(test_clones_are_summed_into_their_function),
		cmocka_unit_test(test_clones_sum_only_after_their_own_discriminators_collapse),
		cmocka_unit_test(test_a_part_split_off_and_inlined_back_is_the_function_itself),
		cmocka_unit_test(test_a_static_that_another_file_has_inlined_keeps_its_file),
		cmocka_unit_test(test_heads_are_at_least_1_and_empty_records_go),
		cmocka_unit_test(test_time_stamps_are_for_all_functions_or_for_none),
		cmocka_unit_test(test_same_named_statics_stay_apart_for_gcc_16_only),
		cmocka_unit_test(test_unified_structors_become_the_bodies_that_exist),
		cmocka_unit_test(test_clone_suffixes_are_cut_from_the_end_only),
		cmocka_unit_test(test_llvm_names_keep_their_unique_suffix_and_nothing_else),
		cmocka_unit_test(
			test_a_cold_name_that_has_samples_under_its_shorter_name_is_not_cold),
		cmocka_unit_test(test_contexts_pass_through_llvm_and_not_through_gcc),
		cmocka_unit_test(test_rules_twice_are_rules_once),
		cmocka_unit_test(test_source_names_lose_every_tail_and_no_other_dot),
		cmocka_unit_test(test_rules_survive_the_failure_of_any_allocation),
		cmocka_unit_test(test_versions_follow_the_release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
