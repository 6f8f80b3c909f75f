/* SPDX-License-Identifier: Apache-2.0 */
/* BOLT's .fdata. */
#include "convert/fdata.h"
#include "pgo/core/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct pgo_fdata *read_text(const char *text, struct pgo_err *err)
{
	return pgo_fdata_read("x.fdata", text, strlen(text), err);
}

/* Reads, sorts, writes. */
static void expect(const char *from, const char *want)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_fdata *f = read_text(from, &err);
	struct pgo_buf b;

	if (f == NULL)
		print_error("%s\n", err.msg);
	assert_non_null(f);
	assert_true(pgo_fdata_probe(from, strlen(from)));
	pgo_buf_init(&b, 1 << 20);
	assert_int_equal(pgo_fdata_sort(f, NULL), 0);
	assert_int_equal(pgo_fdata_write(f, &b, NULL), 0);
	assert_string_equal(b.data, want);
	pgo_buf_fini(&b);
	pgo_fdata_free(f);
}

static void test_edges_are_sorted_and_repeats_summed(void **state)
{
	(void)state;
	expect("1 work 3b 1 work 20 0 600\n"
	       "0 [unknown] 0 1 work 0 1 7\n"
	       "1 work 3b 1 work 3d 0 400\n"
	       "1 work 30 1 leaf/1 0 3 1000\n"
	       "1 work 3b 1 work 20 5 100\n",
		"1 work 30 1 leaf/1 0 3 1000\n"
		"1 work 3b 1 work 20 5 700\n"
		"1 work 3b 1 work 3d 0 400\n"
		"0 [unknown] 0 1 work 0 1 7\n");
}

static void test_names_with_blanks_and_backslashes_are_escaped(void **state)
{
	static const char line[] = "1 op<a,\\ b> 1f 1 a\\\\b/x\\ y.c/2 0 0 3\n";
	struct pgo_fdata *f = read_text(line, NULL);

	(void)state;
	assert_non_null(f);
	assert_string_equal(pgo_strtab_get(&f->strs, f->edges[0].from.name), "op<a, b>");
	assert_string_equal(pgo_strtab_get(&f->strs, f->edges[0].to.name), "a\\b/x y.c/2");
	pgo_fdata_free(f);
	expect(line, line);
}

static void test_elsewhere_is_a_file_or_unknown_and_local_types_stay(void **state)
{
	static const char text[] = "2 f/1 3 0 libc.so.6 9b 0 5\n0 [unknown] 0 2 f/1 0 0 2\n";

	(void)state;
	expect(text, text);
	/* A function that is really called so is not the outside. */
	struct pgo_fdata *f = read_text("1 [unknown] 3 0 [unknown] 0 0 5\n", NULL);
	assert_int_not_equal(f->edges[0].from.name, 0);
	assert_int_equal(f->edges[0].to.name, 0);
	pgo_fdata_free(f);
}

static void test_headers_are_read_in_either_order_and_written_as_llvm_bolt_reads_them(void **state)
{
	static const char want[] = "no_lbr cycles:u instructions\nboltedcollection\n1 f 2 7\n";

	(void)state;
	expect("boltedcollection\nno_lbr cycles:u instructions\n1 f 2 7\n", want);
	expect(want, want);
	expect("no_lbr\n1 f 2 7\n1 f 2 3\n", "no_lbr\n1 f 2 10\n");
	expect("boltedcollection\n1 f 2 1 f 0 0 7\n", "boltedcollection\n1 f 2 1 f 0 0 7\n");
}

static void test_memory_records_are_counted_and_left_out(void **state)
{
	static const char text[] = "1 f 2 1 f 0 0 7\n4 f 2 3 [unknown] 7ffd00 12\n"
				   "4 f 2 4 table 10 3\n5 g/1 0 5 x/1 4 1\n";
	struct pgo_fdata *f = read_text(text, NULL);

	(void)state;
	assert_int_equal(f->n_memory, 3);
	assert_int_equal(f->n_edges, 1);
	pgo_fdata_free(f);
}

static void test_bad_lines_are_named(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"", "no record"},
		{"no_lbr\n", "no record"},
		{"\n", "line 1: a record should begin"},
		{"1 f 2 1 f 0 0 7\n\n1 f 2 1 f 0 0 7\n", "line 2: a record should begin"},
		{"1 f 2 1 f 0 0 7\n# x\n", "line 2: a record should begin"},
		{"1 f 2 1 f 0 0 7\nno_lbr\n", "line 2: a record should begin"},
		{"no_lbr\nno_lbr\n1 f 2 7\n", "line 2: a record should begin"},
		{"6 f 2 1 f 0 0 7\n", "line 1: a record should begin"},
		{"1 f 2 1 f 0 0 7", "line 1: the last line has no end"},
		{"1 f 2 1 f 0 0\n", "line 1: a blank and a further field"},
		{"1 f 2 1 f 0 0 7 8\n", "line 1: more fields"},
		{"1 f 2 1 f 0 0 7 \n", "line 1: more fields"},
		{"1  f 2 1 f 0 0 7\n", "line 1: a name is missing"},
		{"1 f 0x2 1 f 0 0 7\n", "line 1: an offset should be hexadecimal"},
		{"1 f 10000000000000000 1 f 0 0 7\n", "line 1: an offset should be"},
		{"1 f  1 f 0 0 7\n", "line 1: a number is missing"},
		{"1 f 2 1 f 0 0 -7\n", "line 1: a count should be decimal"},
		{"1 f 2 1 f 0 0 9223372036854775808\n", "line 1: a count should be decimal"},
		{"1 f 2 4 f 0 7\n", "line 1: a branch on one side"},
		{"1 a\\b 2 1 f 0 0 7\n", "line 1: a backslash"},
		{"1 a\\\n", "line 1: a backslash"},
		{"no_lbr\n1 f 2 1 f 0 0 7\n", "line 2: more fields"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pgo_err err = PGO_ERR_INIT;

		assert_null(read_text(cases[i].text, &err));
		assert_int_equal(err.code, PGO_EFORMAT);
		if (strstr(err.msg, cases[i].message) == NULL)
			print_error("'%s': %s\n", cases[i].text, err.msg);
		assert_non_null(strstr(err.msg, cases[i].message));
		assert_non_null(strstr(err.msg, "x.fdata"));
	}
}

static void test_sums_stop_at_what_the_consumer_can_read(void **state)
{
	(void)state;
	expect("1 f 2 1 f 0 9223372036854775807 9223372036854775807\n1 f 2 1 f 0 1 1\n",
		"1 f 2 1 f 0 9223372036854775807 9223372036854775807\n");
}

static void test_the_writer_refuses_what_a_line_cannot_hold(void **state)
{
	struct pgo_fdata *f = pgo_fdata_new(NULL);
	struct pgo_fdata_loc bad = {pgo_strtab_puts(&f->strs, "a\nb"), 1, 0}, out = {0, 0, 0};
	struct pgo_err err;
	struct pgo_buf b;

	(void)state;
	pgo_buf_init(&b, 1 << 20);
	assert_int_equal(pgo_fdata_write(f, &b, &err), PGO_EEMPTY);
	assert_int_equal(pgo_fdata_add(f, bad, out, 0, 0), 0);
	assert_int_equal(pgo_fdata_write(f, &b, &err), PGO_EEMPTY);
	f->edges[0].count = 1;
	assert_int_equal(pgo_fdata_write(f, &b, &err), PGO_EMISMATCH);
	f->edges[0].from = (struct pgo_fdata_loc){0, 1, 0};
	assert_int_equal(pgo_fdata_write(f, &b, &err), PGO_EMISMATCH);
	pgo_buf_fini(&b);
	pgo_fdata_free(f);
}

/* The order of edges does not show, nor how often an edge was split. */
static void test_any_order_of_edges_gives_the_same_bytes(void **state)
{
	enum { N = 3000 };
	struct pgo_fdata *f[2] = {pgo_fdata_new(NULL), pgo_fdata_new(NULL)};
	struct pgo_buf b[2];
	uint64_t edges = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++)
		for (unsigned k = 0; k < 2; k++) {
			uint64_t r = pgo_hash_u64((k == 0 ? i : N - 1 - i) + 99);
			struct pgo_fdata_loc from = {0, (r & 15) != 0, 0}, to = {0, 1, r >> 6 & 15};
			char name[24];

			snprintf(name, sizeof name, "fn %u\\", (unsigned)(r >> 8 & 7));
			if (from.known) {
				from.name = pgo_strtab_puts(&f[k]->strs, name);
				from.offset = r >> 16 & 63;
			}
			snprintf(name, sizeof name, "g%u", (unsigned)(r >> 24 & 7));
			to.name = pgo_strtab_puts(&f[k]->strs, name);
			assert_int_equal(pgo_fdata_add(f[k], from, to, r >> 60, r >> 50), 0);
		}
	for (unsigned k = 0; k < 2; k++) {
		pgo_buf_init(&b[k], 1 << 24);
		assert_int_equal(pgo_fdata_sort(f[k], NULL), 0);
		assert_int_equal(pgo_fdata_write(f[k], &b[k], NULL), 0);
		edges += f[k]->n_edges;
		pgo_fdata_free(f[k]);
	}
	assert_true(edges < 2 * N && edges > N / 2);
	assert_string_equal(b[0].data, b[1].data);
	/* And through the reader. */
	f[0] = read_text(b[0].data, NULL);
	pgo_buf_clear(&b[1]);
	assert_int_equal(pgo_fdata_write(f[0], &b[1], NULL), 0);
	assert_string_equal(b[0].data, b[1].data);
	pgo_fdata_free(f[0]);
	pgo_buf_fini(&b[0]);
	pgo_buf_fini(&b[1]);
}

static void test_a_file_cut_inside_a_line_is_an_error(void **state)
{
	static const char text[] = "no_lbr cycles\n1 f\\ g 2 7\n1 h 3f 12\n";
	uint64_t live = pgo_alloc_live();

	(void)state;
	for (size_t len = 0; len < sizeof text - 1; len++) {
		struct pgo_fdata *f = pgo_fdata_read("x", text, len, NULL);

		assert_true((f != NULL) == (len == 25));
		pgo_fdata_free(f);
	}
	assert_int_equal(pgo_alloc_live(), live);
}

static void test_probing_wants_a_whole_record_or_a_header(void **state)
{
	(void)state;
	assert_true(pgo_fdata_probe("no_lbr cycles\n", 14));
	assert_true(pgo_fdata_probe("boltedcollection\n1", 18));
	assert_false(pgo_fdata_probe("1 work 3b 1 work 20 0\n", 22));
	assert_false(pgo_fdata_probe("f:1:2\n", 6));
	assert_false(pgo_fdata_probe("1\n401110-40111d:100\n", 20));
	assert_false(pgo_fdata_probe("", 0));
}

static void test_reading_and_sorting_survive_the_failure_of_any_allocation(void **state)
{
	uint64_t live = pgo_alloc_live();
	struct pgo_fdata *f = NULL;

	(void)state;
	for (uint64_t n = 0; f == NULL; n++) {
		struct pgo_err err = PGO_ERR_INIT;

		pgo_alloc_fail_after(n);
		f = read_text("1 f 2 1 f 0 0 7\n1 g 2 1 f 0 0 7\n", &err);
		if (f != NULL && pgo_fdata_sort(f, &err) < 0) {
			pgo_fdata_free(f);
			f = NULL;
		}
		pgo_alloc_fail_after(UINT64_MAX);
		if (f == NULL) {
			assert_int_equal(err.code, PGO_ENOMEM);
			assert_int_equal(pgo_alloc_live(), live);
		}
	}
	assert_int_equal(f->n_edges, 2);
	pgo_fdata_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edges_are_sorted_and_repeats_summed),
		cmocka_unit_test(test_names_with_blanks_and_backslashes_are_escaped),
		cmocka_unit_test(test_elsewhere_is_a_file_or_unknown_and_local_types_stay),
		cmocka_unit_test(
			test_headers_are_read_in_either_order_and_written_as_llvm_bolt_reads_them),
		cmocka_unit_test(test_memory_records_are_counted_and_left_out),
		cmocka_unit_test(test_bad_lines_are_named),
		cmocka_unit_test(test_sums_stop_at_what_the_consumer_can_read),
		cmocka_unit_test(test_the_writer_refuses_what_a_line_cannot_hold),
		cmocka_unit_test(test_any_order_of_edges_gives_the_same_bytes),
		cmocka_unit_test(test_a_file_cut_inside_a_line_is_an_error),
		cmocka_unit_test(test_probing_wants_a_whole_record_or_a_header),
		cmocka_unit_test(test_reading_and_sorting_survive_the_failure_of_any_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
