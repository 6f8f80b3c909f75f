/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"
#include "pgo/core/profile.h"
#include "tests/lib/mkprofile.h"
#include "tests/lib/scratch.h"

#include <stdlib.h>
#include <string.h>

static void text_comes_back_from_a_profile_made_of_it(void **state)
{
	static const char text[] = "type samples/count\n"
				   "type cpu/nanoseconds\n"
				   "mapping 1000 5000 200 /bin/app abcd fnli\n"
				   "mapping 7f0000 7f8000 0 /lib/libc.so.6\n";
	static const char samples[] = "main;parse:7;hash:9 12 -13 host=web bytes:16:kb n:3\n"
				      "1@0x1234;2@0x7f0010=memcpy:5<copy:7;0x99 1 2\n"
				      "- 3 4\n"
				      "a\\ b\\;c;1@0x1234 5 6\n";
	char all[1024];
	struct pgo_reader *r;
	char *back;

	(void)state;
	strcpy(all, text);
	strcat(all, samples);
	r = mkreader(all);
	assert_int_equal(r->head->n_mappings, 2);
	assert_true(r->head->mappings[0].has_inline_frames);
	assert_int_equal(r->head->locations[3].addr, 0x1234);
	back = profile_lines(r);
	/* An address without @ lies in the mapping that holds it, else in the first. */
	assert_string_equal(back, "main;parse:7;hash:9 12 -13 host=web bytes:16:kb n:3\n"
				  "1@0x1234;2@0x7f0010=memcpy:5<copy:7;1@0x99 1 2\n"
				  "- 3 4\n"
				  "a\\ b\\;c;1@0x1234 5 6\n");
	free(back);
	pgo_reader_close(r);
}

static void a_reader_gives_every_sample_once_and_then_ends(void **state)
{
	struct pgo_reader *r = mkreader("a;b 1\na;c 2\n");
	struct pgo_sample s;

	(void)state;
	assert_int_equal(pgo_reader_next(r, &s, NULL), 1);
	assert_int_equal(s.n_loc, 2);
	assert_int_equal(s.value[0], 1);
	assert_int_equal(pgo_reader_next(r, &s, NULL), 1);
	assert_int_equal(s.value[0], 2);
	assert_int_equal(pgo_reader_next(r, &s, NULL), 0);
	assert_int_equal(pgo_reader_next(r, &s, NULL), 0);
	pgo_reader_close(r);
	pgo_reader_close(NULL);
}

static void a_sample_type_is_found_by_its_name(void **state)
{
	struct pgo_profile *p = mkprofile("type samples/count\ntype cpu/nanoseconds\n");

	(void)state;
	assert_int_equal(pgo_profile_sample_type(p, "cpu"), 1);
	assert_int_equal(pgo_profile_sample_type(p, "nanoseconds"), PGO_NONE);
	assert_int_equal(pgo_profile_sample_type(p, "wall"), PGO_NONE);
	pgo_profile_free(p);
	pgo_profile_free(NULL);
}

/* Breaks one thing in a good profile and expects a sentence that names it. */
static void expect_broken(void (*breaks)(struct pgo_profile *p), const char *sentence)
{
	struct pgo_profile *p = mkprofile("mapping 1000 2000 0 /bin/app\n0x1234=main:3 1\n");
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(pgo_profile_check_tables(p, &err), 0);
	breaks(p);
	assert_int_equal(pgo_profile_check_tables(p, &err), PGO_EFORMAT);
	assert_has(err.msg, sentence);
	pgo_profile_free(p);
}

static void no_types(struct pgo_profile *p)
{
	p->n_sample_types = 0;
}

static void backwards(struct pgo_profile *p)
{
	p->mappings[0].limit = 0xfff;
}

static void no_mapping(struct pgo_profile *p)
{
	p->locations[0].mapping = 1;
}

static void no_function(struct pgo_profile *p)
{
	p->lines[0].function = 7;
}

static void too_many_lines(struct pgo_profile *p)
{
	p->locations[0].n_lines = UINT32_MAX;
}

static void no_string(struct pgo_profile *p)
{
	p->functions[0].filename = 99;
}

static void no_default(struct pgo_profile *p)
{
	p->default_sample_type = 99;
}

static void each_rule_of_validity_is_named_when_it_is_broken(void **state)
{
	(void)state;
	expect_broken(no_types, "no sample type");
	expect_broken(backwards, "mapping 1 ends at 0xfff before it starts at 0x1000");
	expect_broken(no_mapping, "location 1: mapping 2 is not in the table of 1");
	expect_broken(no_function, "location 1: line 1 names no function");
	expect_broken(too_many_lines, "location 1: lines");
	expect_broken(no_string, "function 1: the file name is string 99");
	expect_broken(no_default, "default sample type");
}

static void a_mapping_without_an_end_is_valid(void **state)
{
	struct pgo_profile *p = mkprofile("mapping 1000 0 0 /bin/app\n0x1234=main:3 1\n");

	(void)state;
	assert_int_equal(pgo_profile_check_tables(p, NULL), 0);
	pgo_profile_free(p);
}

static void a_sample_that_names_no_location_is_refused_with_its_number(void **state)
{
	struct pgo_profile *p = mkprofile("a 1\na;b 2\n");
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_reader *r;
	struct pgo_sample s;

	(void)state;
	p->sample_locs[1] = 5;
	r = pgo_profile_reader(p, "broken", true, &err);
	assert_non_null(r);
	assert_int_equal(pgo_reader_next(r, &s, &err), 1);
	assert_int_equal(pgo_reader_next(r, &s, &err), PGO_EFORMAT);
	assert_has(err.msg, "broken: sample 2: frame 1: location 6 is not in the table of 2");
	pgo_reader_close(r);
}

static void every_failed_allocation_is_an_error_and_leaves_nothing_behind(void **state)
{
	uint64_t before = pgo_alloc_live();

	(void)state;
	for (uint64_t n = 0; n < 40; n++) {
		struct pgo_profile *p;
		int64_t value = 1;
		struct pgo_sample s = {.value = &value};
		struct pgo_mapping map = {0};
		struct pgo_function f = {0};

		pgo_alloc_fail_after(n);
		p = pgo_profile_new(NULL);
		if (p != NULL) {
			bool ok = pgo_profile_add_sample_type(p, "samples", "count") != PGO_NONE &&
				  pgo_profile_add_mapping(p, &map) != PGO_NONE &&
				  pgo_profile_add_function(p, &f) != PGO_NONE &&
				  pgo_profile_add_location(p, 0, 1, NULL, 0) != PGO_NONE &&
				  pgo_profile_add_comment(p, "text") == 0 &&
				  pgo_profile_add_sample(p, &s) == 0;

			assert_true(!ok || n > 5);
		}
		pgo_alloc_fail_after(UINT64_MAX);
		pgo_profile_free(p);
		assert_int_equal(pgo_alloc_live(), before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_comes_back_from_a_profile_made_of_it),
		cmocka_unit_test(a_reader_gives_every_sample_once_and_then_ends),
		cmocka_unit_test(a_sample_type_is_found_by_its_name),
		cmocka_unit_test(each_rule_of_validity_is_named_when_it_is_broken),
		cmocka_unit_test(a_mapping_without_an_end_is_valid),
		cmocka_unit_test(a_sample_that_names_no_location_is_refused_with_its_number),
		cmocka_unit_test(every_failed_allocation_is_an_error_and_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
