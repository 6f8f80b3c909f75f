/* SPDX-License-Identifier: Apache-2.0 */
/* Columns that a store gives one by one, joined again. */
#include "fetch/columns.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/pprof.h"
#include "tests/lib/mkprofile.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct part {
	const char *type, *unit, *profile;
	int64_t factor;
};

static const struct pgo_columns_header plain = {.time_ns = 7000, .duration_ns = 5};

static int join(const struct part *p, size_t n, bool backwards, const struct pgo_columns_header *h,
	const char *to, struct pgo_err *err)
{
	struct pgo_columns *c = pgo_columns_new(err);
	int rc = 0;

	if (c == NULL)
		return PGO_ENOMEM;
	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct part *one = &p[backwards ? n - 1 - i : i];
		struct pgo_reader *r = one->profile != NULL ? mkreader(one->profile) : NULL;

		rc = pgo_columns_add_divided(c, one->type, one->unit, r, one->factor, err);
		pgo_reader_close(r);
	}
	if (rc == 0)
		rc = pgo_columns_write(c, h, to, err);
	pgo_columns_free(c);
	return rc;
}

static void assert_joined(void **state, const struct part *p, size_t n, const char *want)
{
	char *a = scratch_path(*state, "a"), *b = scratch_path(*state, "b"), *lines;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf x, y;
	struct pgo_reader *r;

	if (join(p, n, false, &plain, a, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(join(p, n, true, &plain, b, &err), 0);
	assert_int_equal(pgo_file_read(a, 1 << 20, &x, &err), 0);
	assert_int_equal(pgo_file_read(b, 1 << 20, &y, &err), 0);
	assert_int_equal(x.len, y.len);
	assert_memory_equal(x.data, y.data, x.len);
	pgo_buf_fini(&x);
	pgo_buf_fini(&y);
	r = pgo_pprof_open(a, NULL, &err);
	if (r == NULL)
		fail_msg("%s", err.msg);
	lines = profile_sorted_lines(r);
	assert_string_equal(lines, want);
	free(lines);
	pgo_reader_close(r);
}

#define MAPS                                                                                       \
	"mapping 1000 5000 1000 /bin/app abcd\n"                                                   \
	"mapping 9000 a000 0 /lib/libc.so.6 ef01\n"

static void columns_meet_by_stack_whatever_the_order_of_replies(void **state)
{
	const struct part parts[] = {
		{"lbr_mispredicts", "count",
			"type lbr_mispredicts/count\n" MAPS "0x1300;0x1200;0x1100 2\n", 0},
		{"samples", "count",
			"type samples/count\n" MAPS
			"0x1100 3\n0x9100;0x1200 4\n0x1300;0x1200;0x1100 5\n",
			0},
		{"lbr_traces", "count",
			"type lbr_traces/count\nmapping 9000 a000 0 /lib/libc.so.6 ef01\n"
			"mapping 1000 5000 1000 /bin/app abcd\n"
			"0x1300;0x1200;0x1100 7\n0x1100;0x1200;0x1300 1\n",
			0},
	};

	assert_joined(state, parts, 3,
		"1@0x1100 3 0 0\n"
		"1@0x1100;1@0x1200;1@0x1300 0 1 0\n"
		"1@0x1300;1@0x1200;1@0x1100 5 7 2\n"
		"2@0x9100;1@0x1200 4 0 0\n");
}

static void equal_stacks_of_one_column_add_up(void **state)
{
	const struct part parts[] = {
		{"samples", "count", "type x/y\n" MAPS "0x1100 3\n0x1100 4\n0x1200 0\n", 0},
		{"samples", "count", "type samples/count\n" MAPS "0x1100 5\n", 0},
	};

	assert_joined(state, parts, 2, "1@0x1100 12\n");
}

static void stacks_that_differ_in_anything_stay_apart(void **state)
{
	const struct part parts[] = {
		{"samples", "count",
			"type samples/count\n"
			"mapping 1000 5000 1000 /bin/app abcd\n"
			"mapping 1000 5000 1000 /bin/app abce\n"
			"1@0x1100 1\n2@0x1100 2\n1@0x1100=f:3 4\n1@0x1100=f:4 8\n"
			"1@0x1100=g:3<f:3 16\n1@0x1101 32\n1@0x1100 64 host=a\n"
			"1@0x1100 128 bytes:7\n0@0x1100 256\n",
			0},
	};

	assert_joined(state, parts, 1,
		"0@0x1100 256\n"
		"1@0x1100 1\n1@0x1100 128 bytes:7\n1@0x1100 64 host=a\n"
		"1@0x1100=f:3 4\n1@0x1100=f:4 8\n1@0x1100=g:3<f:3 16\n1@0x1101 32\n"
		"2@0x1100 2\n");
}

static void a_column_without_samples_is_zero(void **state)
{
	const struct part parts[] = {
		{"lbr_cycles", "cycles", NULL, 0},
		{"samples", "count", "type samples/count\n" MAPS "0x1100 3\n", 0},
	};

	assert_joined(state, parts, 2, "1@0x1100 3 0\n");
}

static void what_a_store_multiplied_is_divided_exactly(void **state)
{
	const struct part good = {
		"samples", "count", "type cpu/nanoseconds\n" MAPS "0x1100 30000\n", 10000};
	const struct part bad = {
		"samples", "count", "type cpu/nanoseconds\n" MAPS "0x1100 30001\n", 10000};
	struct pgo_err err = PGO_ERR_INIT;

	assert_joined(state, &good, 1, "1@0x1100 3\n");
	assert_int_equal(
		join(&bad, 1, false, &plain, scratch_path(*state, "x"), &err), PGO_EFORMAT);
	assert_has(err.msg, "30001");
}

static void no_samples_are_no_profile(void **state)
{
	const struct part parts[] = {
		{"samples", "count", "type samples/count\n", 0},
		{"lbr_traces", "count", NULL, 0},
	};
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(
		join(parts, 2, false, &plain, scratch_path(*state, "x"), &err), PGO_EEMPTY);
	assert_false(pgo_path_exists(scratch_path(*state, "x")));
}

static void values_past_64_bits_are_refused(void **state)
{
	const struct part part = {"samples", "count",
		"type samples/count\n" MAPS "0x1100 9223372036854775807\n0x1100 1\n", 0};
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(
		join(&part, 1, false, &plain, scratch_path(*state, "x"), &err), PGO_EFORMAT);
	assert_has(err.msg, "64 bits");
}

static void several_types_in_one_reply_are_refused(void **state)
{
	const struct part part = {"samples", "count",
		"type samples/count\ntype cpu/nanoseconds\n" MAPS "0x1100 1 2\n", 0};
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(
		join(&part, 1, false, &plain, scratch_path(*state, "x"), &err), PGO_EFORMAT);
}

static struct pgo_profile *load(
	void **state, const struct part *p, size_t n, const struct pgo_columns_header *h)
{
	char *path = scratch_path(*state, "p");
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_profile *profile;

	assert_int_equal(join(p, n, false, h, path, &err), 0);
	profile = pgo_pprof_load(path, NULL, &err);
	assert_non_null(profile);
	return profile;
}

static void the_header_says_what_the_store_forgot(void **state)
{
	const struct part parts[] = {
		{"cpu", "nanoseconds", "type x/y\n" MAPS "0x1100 29900\n0x1200 10099\n", 0},
		{"samples", "count",
			"type x/y\nperiod 1000000000 x/y\n" MAPS "0x1100 3\n0x1200 1\n", 0},
		{"lbr_traces", "count", "type x/y\n" MAPS "0x1300;0x1200;0x1100 1\n", 0},
	};
	struct pgo_kv labels[] = {{(char *)"host", (char *)"a"}, {(char *)"service", (char *)"s"}};
	const struct pgo_columns_header h = {.time_ns = 9,
		.duration_ns = 8,
		.period_type = "cpu",
		.period_unit = "nanoseconds",
		.labels = labels,
		.n_labels = 2};
	struct pgo_profile *p = load(state, parts, 3, &h);

	assert_int_equal(p->n_sample_types, 3);
	assert_string_equal(pgo_profile_str(p, p->sample_types[0].type), "samples");
	assert_string_equal(pgo_profile_str(p, p->sample_types[1].type), "cpu");
	assert_string_equal(pgo_profile_str(p, p->sample_types[2].type), "lbr_traces");
	assert_string_equal(pgo_profile_str(p, p->default_sample_type), "cpu");
	assert_int_equal(p->period, 10000); /* 39999 / 4, to the nearest */
	assert_int_equal(p->time_ns, 9);
	assert_int_equal(p->duration_ns, 8);
	assert_int_equal(p->n_samples, 3);
	for (size_t i = 0; i < p->n_samples; i++) {
		struct pgo_sample s = pgo_profile_sample(p, i);

		assert_int_equal(s.n_label, 2);
		assert_string_equal(pgo_profile_str(p, s.label[0].key), "host");
		assert_string_equal(pgo_profile_str(p, s.label[1].str), "s");
	}
	pgo_profile_free(p);
}

static void the_period_is_unknown_without_the_two_columns(void **state)
{
	const struct part part = {
		"cpu", "nanoseconds", "type x/y\nperiod 1000000000 x/y\n" MAPS "0x1100 30\n", 0};
	const struct pgo_columns_header h = {.period_type = "cpu", .period_unit = "nanoseconds"};
	struct pgo_profile *p = load(state, &part, 1, &h);

	assert_int_equal(p->period, 0);
	pgo_profile_free(p);
}

/* A stub for "none", build-ids inside of JSON, and the library with more samples in front. */
static void what_a_store_does_to_mappings_is_undone(void **state)
{
	struct pgo_profile *from = mkprofile(
		"type samples/count\nmapping 0 0 0 - -\nmapping 9000 a000 0 /lib/libc.so.6 ef01\n"
		"mapping 1000 5000 1000 /bin/app abcd\n3@0x1100 1\n2@0x9100 "
		"9\n1@0x0=[lbr\\:external]:0 2\n");
	struct pgo_columns *c = pgo_columns_new(NULL);
	struct pgo_err err = PGO_ERR_INIT;
	char *path = scratch_path(*state, "p");
	struct pgo_reader *r;
	struct pgo_profile *p;
	size_t none = 0;

	from->mappings[0].build_id =
		pgo_strtab_puts(&from->strs, "{\"repository\":\"https://x/y\",\"root_path\":\"\"}");
	from->mappings[2].build_id = pgo_strtab_puts(&from->strs,
		"{\"repository\":\"https://x/y\",\"git_ref\":\"v1\",\"build_id\":\"abcd\"}");
	r = pgo_profile_reader(from, "x", true, &err);
	assert_int_equal(pgo_columns_add(c, "samples", "count", r, &err), 0);
	pgo_reader_close(r);
	assert_int_equal(pgo_columns_write(c, &plain, path, &err), 0);
	pgo_columns_free(c);
	p = pgo_pprof_load(path, NULL, &err);
	assert_non_null(p);
	assert_int_equal(p->n_mappings, 2);
	assert_string_equal(pgo_profile_str(p, p->mappings[0].filename), "/bin/app");
	assert_string_equal(pgo_profile_str(p, p->mappings[0].build_id), "abcd");
	assert_string_equal(pgo_profile_str(p, p->mappings[1].build_id), "ef01");
	for (size_t i = 0; i < p->n_locations; i++)
		none += p->locations[i].mapping == PGO_NONE;
	assert_int_equal(none, 1);
	pgo_profile_free(p);
}

static void a_failed_allocation_loses_nothing(void **state)
{
	const struct part parts[] = {
		{"samples", "count", "type samples/count\n" MAPS "0x1100=f:1 3\n0x9100 4 a=b\n", 0},
		{"cpu", "nanoseconds", "type cpu/nanoseconds\n" MAPS "0x1100=f:1 30\n", 0},
	};
	char *path = scratch_path(*state, "p");
	int rc = PGO_ENOMEM;

	for (uint64_t n = 0; rc != 0; n++) {
		struct pgo_columns *c;
		struct pgo_reader *r[2] = {mkreader(parts[0].profile), mkreader(parts[1].profile)};
		uint64_t live = pgo_alloc_live();
		struct pgo_err err = PGO_ERR_INIT;

		assert_true(n < 10000);
		pgo_alloc_fail_after(n);
		c = pgo_columns_new(&err);
		rc = c != NULL ? 0 : PGO_ENOMEM;
		for (size_t i = 0; i < 2 && rc == 0; i++)
			rc = pgo_columns_add(c, parts[i].type, parts[i].unit, r[i], &err);
		if (rc == 0)
			rc = pgo_columns_write(c, &plain, path, &err);
		pgo_columns_free(c);
		pgo_alloc_fail_after(UINT64_MAX);
		assert_true(rc == 0 || rc == PGO_ENOMEM);
		assert_int_equal(pgo_alloc_live(), live);
		pgo_reader_close(r[0]);
		pgo_reader_close(r[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(columns_meet_by_stack_whatever_the_order_of_replies,
			scratch_up, scratch_down),
		cmocka_unit_test_setup_teardown(
			equal_stacks_of_one_column_add_up, scratch_up, scratch_down),
		cmocka_unit_test_setup_teardown(
			stacks_that_differ_in_anything_stay_apart, scratch_up, scratch_down),
		cmocka_unit_test_setup_teardown(
			a_column_without_samples_is_zero, scratch_up, scratch_down),
		cmocka_unit_test_setup_teardown(
			what_a_store_multiplied_is_divided_exactly, scratch_up, scratch_down),
		cmocka_unit_test_setup_teardown(
			no_samples_are_no_profile, scratch_up, scratch_down),
		cmocka_unit_test_setup_teardown(
			values_past_64_bits_are_refused, scratch_up, scratch_down),
		cmocka_unit_test_setup_teardown(
			several_types_in_one_reply_are_refused, scratch_up, scratch_down),
		cmocka_unit_test_setup_teardown(
			the_header_says_what_the_store_forgot, scratch_up, scratch_down),
		cmocka_unit_test_setup_teardown(
			the_period_is_unknown_without_the_two_columns, scratch_up, scratch_down),
		cmocka_unit_test_setup_teardown(
			what_a_store_does_to_mappings_is_undone, scratch_up, scratch_down),
		cmocka_unit_test_setup_teardown(
			a_failed_allocation_loses_nothing, scratch_up, scratch_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
