/* SPDX-License-Identifier: Apache-2.0 */
/* Debug information written by hand: what compilers make is read in test_lines.c. */
#include "convert/lines_rows.h"
#include "convert/lines_scan.h"
#include "pgo/core/buf.h"
#include "tests/lib/scratch.h"

#include <dwarf.h>

/* ------------------------------------------------------------------ units */

static const uint8_t abbrevs[] = {
	/* clang-format off */
	1, DW_TAG_compile_unit, 1, 0, 0,
	2, DW_TAG_subprogram, 1, DW_AT_name, DW_FORM_string, DW_AT_low_pc, DW_FORM_addr,
		DW_AT_high_pc, DW_FORM_data4, 0, 0,
	3, DW_TAG_subprogram, 0, DW_AT_low_pc, DW_FORM_addrx, DW_AT_high_pc, DW_FORM_udata, 0, 0,
	4, DW_TAG_subprogram, 0, DW_AT_ranges, DW_FORM_sec_offset, 0, 0,
	5, DW_TAG_structure_type, 1, DW_AT_byte_size, DW_FORM_data1, 0, 0,
	6, DW_TAG_enumeration_type, 1, DW_AT_byte_size, DW_FORM_data1, 0, 0,
	7, DW_TAG_enumeration_type, 1, DW_AT_sibling, DW_FORM_ref4, 0, 0,
	8, DW_TAG_enumerator, 0, DW_AT_const_value, DW_FORM_sdata, 0, 0,
	9, DW_TAG_variable, 0, DW_AT_location, DW_FORM_exprloc, DW_AT_type, DW_FORM_ref4,
		DW_AT_decl_line, DW_FORM_implicit_const, 0x7f, 0, 0,
	10, DW_TAG_subprogram, 0, 0, 0,
	0,
	/* clang-format on */
};

static const uint8_t addrs[] = {0, 0, 0, 0, 0, 0, 0, 0, /* what is before the base */
	0x00, 0x10, 0, 0, 0, 0, 0, 0, 0x00, 0x20, 0, 0, 0, 0, 0, 0};

struct unit {
	uint8_t bytes[512];
	size_t len;
	struct pgo_dw_unit u;
};

static size_t put(struct unit *t, const void *bytes, size_t len)
{
	size_t at = t->len;

	memcpy(t->bytes + at, bytes, len);
	t->len += len;
	return at;
}

#define PUT(t, ...) put(t, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* The header of a unit of DWARF 5, and the unit's own entry. */
static void begin(struct unit *t)
{
	memset(t, 0, sizeof *t);
	PUT(t, 0, 0, 0, 0, 5, 0, DW_UT_compile, 8, 0, 0, 0, 0);
	PUT(t, 1);
}

static void end(struct unit *t)
{
	PUT(t, 0);
	t->bytes[0] = (uint8_t)((t->len - 4) & 0xff);
	t->bytes[1] = (uint8_t)((t->len - 4) >> 8);
	t->u = (struct pgo_dw_unit){.info = {t->bytes, t->len},
		.abbrev = {abbrevs, sizeof abbrevs},
		.addr = {addrs, sizeof addrs},
		.first = 12,
		.addr_base = 8,
		.version = 5,
		.address_size = 8,
		.offset_size = 4};
}

/* A function [lo, lo + 16); its children follow, up to a zero. */
static size_t put_function(struct unit *t, uint16_t lo)
{
	return PUT(t, 2, 'f', 0, (uint8_t)lo, (uint8_t)(lo >> 8), 0, 0, 0, 0, 0, 0, 16, 0, 0, 0);
}

static bool below_2000(const void *ctx, uint64_t lo, uint64_t hi)
{
	(void)ctx;
	return lo < hi && hi <= 0x2000;
}

static void wanted_functions_are_found_and_others_are_not(void **state)
{
	struct pgo_dw_scan s = {0};
	size_t a, b, c, d;
	struct unit t;

	(void)state;
	begin(&t);
	a = put_function(&t, 0x100);
	PUT(&t, 9, 2, 1, 2, 1, 1, 1, 1, 0); /* a variable in it */
	put_function(&t, 0x3000);
	b = put_function(&t, 0x200); /* nested in one that is not wanted */
	PUT(&t, 0, 0);
	c = PUT(&t, 3, 0, 16); /* by the number of its address: 0x1000 */
	PUT(&t, 3, 1, 16);     /* 0x2000 */
	d = PUT(&t, 4, 0, 0, 0, 0);
	PUT(&t, 10); /* a declaration */
	end(&t);
	assert_int_equal(pgo_dw_scan_unit(&s, &t.u, below_2000, NULL), 1);
	assert_int_equal(s.n_found, 4);
	assert_int_equal(s.found[0].offset, a);
	assert_int_equal(s.found[1].offset, b);
	assert_int_equal(s.found[2].offset, c);
	assert_false(s.found[2].ranges);
	assert_int_equal(s.found[3].offset, d);
	assert_true(s.found[3].ranges);
	pgo_dw_scan_fini(&s);
}

static void what_holds_no_function_is_passed_over(void **state)
{
	struct pgo_dw_scan s = {0};
	size_t ref, f, past;
	struct unit t;

	(void)state;
	begin(&t);
	PUT(&t, 6, 4, 8, 1, 8, 0x81, 1); /* without a sibling: walked to its end */
	put_function(&t, 0x100); /* which never is in an enumeration, but must not confuse */
	PUT(&t, 0, 0);
	f = put_function(&t, 0x200);
	PUT(&t, 0);
	ref = PUT(&t, 7, 0, 0, 0, 0); /* with one: what is between is not even looked at */
	PUT(&t, 0xff, 0xff, 0xff);
	past = put_function(&t, 0x300);
	t.bytes[ref + 1] = (uint8_t)past;
	PUT(&t, 0);
	end(&t);
	assert_int_equal(pgo_dw_scan_unit(&s, &t.u, below_2000, NULL), 1);
	assert_int_equal(s.n_found, 2);
	assert_int_equal(s.found[0].offset, f);
	assert_int_equal(s.found[1].offset, past);
	pgo_dw_scan_fini(&s);
}

static void members_know_their_class(void **state)
{
	struct pgo_dw_scan s = {0};
	size_t outer, inner, first, second, third, out;
	struct unit t;

	(void)state;
	begin(&t);
	outer = PUT(&t, 5, 8);
	first = PUT(&t, 10);
	inner = PUT(&t, 5, 4);
	second = PUT(&t, 10);
	PUT(&t, 0);
	third = PUT(&t, 10);
	PUT(&t, 0);
	out = PUT(&t, 10);
	end(&t);
	assert_int_equal(pgo_dw_scan_unit(&s, &t.u, below_2000, NULL), 1);
	assert_int_equal(pgo_dw_class_around(&s, first), outer);
	assert_int_equal(pgo_dw_class_around(&s, second), inner);
	assert_int_equal(pgo_dw_class_around(&s, third), outer);
	assert_int_equal(pgo_dw_class_around(&s, inner), outer);
	assert_int_equal(pgo_dw_class_around(&s, out), 0);
	assert_int_equal(pgo_dw_class_around(&s, outer), 0);
	pgo_dw_scan_fini(&s);
}

static void units_that_are_not_understood_are_said_to_be(void **state)
{
	static const uint8_t odd[] = {1, DW_TAG_compile_unit, 1, 0, 0, 2, DW_TAG_subprogram, 0,
		DW_AT_name, 0x7e, 0, 0, 0};
	struct pgo_dw_scan s = {0};
	struct unit t;

	(void)state;
	begin(&t);
	put_function(&t, 0x100);
	PUT(&t, 0);
	end(&t);
	t.u.abbrev = (struct pgo_dw_bytes){odd, sizeof odd};
	assert_int_equal(pgo_dw_scan_unit(&s, &t.u, below_2000, NULL), 0);
	t.u.abbrev = (struct pgo_dw_bytes){abbrevs, sizeof abbrevs};
	assert_int_equal(pgo_dw_scan_unit(&s, &t.u, below_2000, NULL), 1);
	for (size_t cut = 13; cut < t.len;
		cut++) { /* whatever is cut off, nothing is read behind */
		t.u.info.len = cut;
		assert_int_equal(pgo_dw_scan_unit(&s, &t.u, below_2000, NULL), 0);
	}
	t.u.info.len = t.len;
	for (size_t cut = 0; cut < 20; cut++) {
		t.u.abbrev.len = cut;
		assert_int_equal(pgo_dw_scan_unit(&s, &t.u, below_2000, NULL), 0);
	}
	t.u.abbrev.len = sizeof abbrevs;
	t.u.version = 6;
	assert_int_equal(pgo_dw_scan_unit(&s, &t.u, below_2000, NULL), 0);
	pgo_dw_scan_fini(&s);
}

/* ------------------------------------------------------------------ rows */

/* opcode_base 13, line_base -3, line_range 12: special opcode 13 + 12 * addresses + (lines + 3) */
#define ROW(addrs, lines) (uint8_t)(13 + 12 * (addrs) + (lines) + 3)
#define STANDARD_LENGTHS 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1

static const uint8_t program4[] = {
	/* clang-format off */
	0, 0, 0, 0, 4, 0, /* length below */
	0, 0, 0, 0, /* likewise */
	1, 1, 1, (uint8_t)-3, 12, 13, STANDARD_LENGTHS,
	'd', 0, 0,
	'd', '/', 'a', '.', 'c', 0, 0, 0, 0, 'b', '.', 'h', 0, 1, 0, 0, 0,
	/* the program: 0x100 line 1; 0x110 line 3; 0x120 line 4 disc 5; 0x128 line 2; end at 0x130 */
	0, 9, DW_LNE_set_address, 0, 1, 0, 0, 0, 0, 0, 0,
	DW_LNS_copy,
	ROW(8, 1), ROW(8, 1), /* 0x108 line 2, 0x110 line 3 */
	DW_LNS_advance_pc, 16, 0, 2, DW_LNE_set_discriminator, 5, ROW(0, 1),
	DW_LNS_advance_line, 0x7e, DW_LNS_fixed_advance_pc, 8, 0, DW_LNS_negate_stmt, DW_LNS_copy,
	DW_LNS_advance_pc, 8, 0, 1, DW_LNE_end_sequence,
	/* clang-format on */
};

#define HEADER_END 48 /* where the program begins */

static struct pgo_dw_program program_of(uint8_t *bytes, size_t len, size_t header_end)
{
	bytes[0] = (uint8_t)(len - 4);
	bytes[6] = (uint8_t)(header_end - 10);
	return (struct pgo_dw_program){.line = {bytes, len}, .address_size = 8};
}

struct rows {
	struct pgo_dw_row row[64];
	size_t n;
};

static int on_row(void *ctx, const struct pgo_dw_row *row)
{
	struct rows *r = ctx;

	if (r->n == 64)
		return -1;
	r->row[r->n++] = *row;
	return 0;
}

static void expect_row(const struct rows *r, size_t i, uint64_t addr, uint32_t line, uint32_t disc)
{
	assert_true(i < r->n);
	assert_int_equal(r->row[i].addr, addr);
	assert_int_equal(r->row[i].line, line);
	assert_int_equal(r->row[i].disc, disc);
	assert_false(r->row[i].end);
}

static void expect_end(const struct rows *r, size_t i, uint64_t addr)
{
	assert_int_equal(r->n, i + 1);
	assert_int_equal(r->row[i].addr, addr);
	assert_true(r->row[i].end);
}

static void all_rows_come_if_all_code_is_wanted(void **state)
{
	static const struct pgo_dw_range all[] = {{0, 0x1000}};
	uint8_t bytes[sizeof program4];
	struct rows r = {.n = 0};
	struct pgo_dw_program p;

	(void)state;
	memcpy(bytes, program4, sizeof bytes);
	p = program_of(bytes, sizeof bytes, HEADER_END);
	assert_int_equal(pgo_dw_rows(&p, all, 1, on_row, &r), 1);
	expect_row(&r, 0, 0x100, 1, 0);
	expect_row(&r, 1, 0x108, 2, 0);
	expect_row(&r, 2, 0x110, 3, 0);
	expect_row(&r, 3, 0x120, 4, 5);
	expect_row(&r, 4, 0x128, 2, 0);
	expect_end(&r, 5, 0x130);
}

static void only_rows_of_wanted_code_come_and_they_end(void **state)
{
	/* From the middle of a row to the middle of another. */
	static const struct pgo_dw_range some[] = {{0x10, 0x20}, {0x114, 0x121}, {0x1000, 0x1001}};
	uint8_t bytes[sizeof program4];
	struct rows r = {.n = 0};
	struct pgo_dw_program p;

	(void)state;
	memcpy(bytes, program4, sizeof bytes);
	p = program_of(bytes, sizeof bytes, HEADER_END);
	assert_int_equal(pgo_dw_rows(&p, some, 3, on_row, &r), 1);
	expect_row(&r, 0, 0x110, 3, 0);
	expect_row(&r, 1, 0x120, 4, 5);
	expect_end(&r, 2, 0x128);
	r.n = 0;
	assert_int_equal(pgo_dw_rows(&p, some, 1, on_row, &r), 1);
	assert_int_equal(r.n, 0);
}

static void cut_programs_are_refused(void **state)
{
	static const struct pgo_dw_range all[] = {{0, 0x1000}};
	uint8_t bytes[sizeof program4];
	struct pgo_dw_program p;

	(void)state;
	memcpy(bytes, program4, sizeof bytes);
	p = program_of(bytes, sizeof bytes, HEADER_END);
	for (size_t cut = 0; cut < sizeof bytes; cut++) {
		struct rows r = {.n = 0};

		p.line.len = cut;
		assert_int_equal(pgo_dw_rows(&p, all, 1, on_row, &r), 0);
	}
	p.line.len = sizeof bytes;
	p.offset = sizeof bytes + 1;
	assert_int_equal(pgo_dw_rows(&p, all, 1, on_row, &(struct rows){.n = 0}), 0);
}

/* ------------------------------------------------------------------ files */

static int on_file(void *ctx, const char *name)
{
	struct pgo_buf *b = ctx;

	pgo_buf_printf(b, "[%s]", name);
	return 0;
}

static void expect_files(const struct pgo_dw_program *p, const char *want)
{
	struct pgo_buf b;

	pgo_buf_init(&b, 4096);
	assert_int_equal(pgo_dw_files(p, on_file, &b), 1);
	assert_string_equal(b.data, want);
	pgo_buf_fini(&b);
}

static void files_are_numbered_as_declarations_number_them(void **state)
{
	static const uint8_t program5[] = {
		/* clang-format off */
		0, 0, 0, 0, 5, 0, 8, 0, 0, 0, 0, 0,
		1, 1, 1, (uint8_t)-3, 12, 13, STANDARD_LENGTHS,
		1, DW_LNCT_path, DW_FORM_string, 1, '/', 's', 'r', 'c', 0,
		3, DW_LNCT_path, DW_FORM_line_strp, DW_LNCT_directory_index, DW_FORM_udata,
			DW_LNCT_MD5, DW_FORM_data16,
		2, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8,
		4, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8,
		/* clang-format on */
	};
	static const char names[] = "a.c\0x/b.h";
	uint8_t four[sizeof program4], five[sizeof program5];
	struct pgo_dw_program p;

	(void)state;
	memcpy(four, program4, sizeof four);
	p = program_of(four, sizeof four, HEADER_END);
	expect_files(&p, "[][d/a.c][b.h]");
	memcpy(five, program5, sizeof five);
	five[0] = sizeof five - 4;
	five[8] = sizeof five - 12;
	p = (struct pgo_dw_program){.line = {five, sizeof five},
		.line_str = {(const uint8_t *)names, sizeof names},
		.address_size = 8};
	expect_files(&p, "[a.c][x/b.h]");
	for (size_t cut = 0; cut < sizeof five; cut++) {
		p.line.len = cut;
		assert_int_equal(pgo_dw_files(&p, on_file, NULL), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wanted_functions_are_found_and_others_are_not),
		cmocka_unit_test(what_holds_no_function_is_passed_over),
		cmocka_unit_test(members_know_their_class),
		cmocka_unit_test(units_that_are_not_understood_are_said_to_be),
		cmocka_unit_test(all_rows_come_if_all_code_is_wanted),
		cmocka_unit_test(only_rows_of_wanted_code_come_and_they_end),
		cmocka_unit_test(cut_programs_are_refused),
		cmocka_unit_test(files_are_numbered_as_declarations_number_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
