/* SPDX-License-Identifier: Apache-2.0 */
/* GCC's .afdo: bytes, round trips, and what the reader refuses. */
#include "convert/fmt_gcc.h"
#include "pgo/core/alloc.h"
#include "tests/lib/randprof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct pgo_fnprof *read_bytes(const struct pgo_buf *b, struct pgo_err *err)
{
	pgo_err_clear(err);
	return pgo_format_gcc.read("x.afdo", b->data, b->len, err);
}

/* One function `f` of f.c, head 5, time stamp 7, position 3 with count 9. */
static struct pgo_fnprof *one_function(void)
{
	struct pgo_fnprof *p = pgo_fnprof_new(NULL);
	struct pgo_fn *f = pgo_fnprof_fn_of_file(
		p, pgo_strtab_puts(&p->strs, "f"), pgo_strtab_puts(&p->strs, "/tmp/f.c"));

	f->head = 5;
	f->first_seen = 7;
	assert_int_equal(pgo_fn_pos_add(p, f, 3, 0, 9), 0);
	pgo_fnprof_sort(p);
	return p;
}

static void expect_hex(const struct pgo_buf *b, const char *hex, size_t zeros)
{
	size_t n = 0;

	for (; *hex != '\0'; hex++) {
		unsigned byte;

		if (*hex == ' ')
			continue;
		byte = (unsigned)strtoul((char[]){hex[0], hex[1], 0}, NULL, 16);
		hex++;
		assert_true(n < b->len);
		if ((uint8_t)b->data[n] != byte)
			print_error("byte %zu\n", n);
		assert_int_equal((uint8_t)b->data[n++], byte);
	}
	assert_int_equal(b->len, n + zeros);
	for (; n < b->len; n++)
		assert_int_equal(b->data[n], 0);
}

static void test_version_2_has_the_bytes_gcc_12_was_seen_to_accept(void **state)
{
	struct pgo_fnprof *p = one_function();
	struct pgo_buf b;

	(void)state;
	randprof_write(&pgo_format_gcc, p, &(struct pgo_format_options){.gcc_release = 12}, &b);
	expect_hex(&b,
		"61646367 02000000 00000000 000000aa 00000000 02000000 01000000 00"
		"02000000 6600 000000ac 00000000 01000000 0500000000000000"
		"01000000 01000000 00000000 00000300 00000000 0900000000000000"
		"000000ae 00000000 00000000 000000af 80010000",
		128 * 12);
	pgo_buf_fini(&b);
	pgo_fnprof_free(p);
}

static void test_version_3_has_the_bytes_gcc_16_was_seen_to_accept(void **state)
{
	struct pgo_fnprof *p = one_function();
	struct pgo_buf b;

	(void)state;
	randprof_write(&pgo_format_gcc, p, &(struct pgo_format_options){.gcc_release = 16}, &b);
	assert_int_equal(b.len, 2039);
	expect_hex(&b,
		"61646367 03000000 00000000 000000a8"
		"0900000000000000 0900000000000000 0500000000000000"
		"0100000000000000 0100000000000000 1000000000000000"
		"10270000 0000000000000000 0000000000000000"
		"a0860100 0000000000000000 0000000000000000"
		"400d0300 0900000000000000 0100000000000000"
		"e0930400 0900000000000000 0100000000000000"
		"801a0600 0900000000000000 0100000000000000"
		"20a10700 0900000000000000 0100000000000000"
		"c0270900 0900000000000000 0100000000000000"
		"60ae0a00 0900000000000000 0100000000000000"
		"00350c00 0900000000000000 0100000000000000"
		"a0bb0d00 0900000000000000 0100000000000000"
		"f07e0e00 0900000000000000 0100000000000000"
		"301b0f00 0900000000000000 0100000000000000"
		"583e0f00 0900000000000000 0100000000000000"
		"dc410f00 0900000000000000 0100000000000000"
		"36420f00 0900000000000000 0100000000000000"
		"3f420f00 0900000000000000 0100000000000000"
		"000000aa 00000000 01000000 04000000 662e6300"
		"02000000 01000000 00 ffffffff 02000000 6600 00000000"
		"000000ac 00000000 01000000"
		"0500000000000000 0700000000000000"
		"01000000 01000000 00000000 00000300 00000000 0900000000000000"
		"000000ae 00000000 00000000 000000af 80010000",
		128 * 12);
	pgo_buf_fini(&b);
	pgo_fnprof_free(p);
}

static void test_version_1_pads_names_to_words_and_fills_the_working_set(void **state)
{
	struct pgo_fnprof *p = one_function(), *q;
	struct pgo_buf b;

	(void)state;
	randprof_write(&pgo_format_gcc, p, &(struct pgo_format_options){.gcc_release = 11}, &b);
	/* "" takes one word of zeros, "f" one word: a multiple of four all through. */
	assert_memory_equal(b.data + 24, "\1\0\0\0\0\0\0\0\1\0\0\0f\0\0\0", 16);
	assert_int_equal(b.len % 4, 0);
	/* Every entry of the working set ends at the only count. */
	for (size_t i = 0; i < 128; i++)
		assert_int_equal(b.data[b.len - 128 * 12 + i * 12 + 4], 9);
	q = read_bytes(&b, NULL);
	assert_non_null(q);
	assert_int_equal(pgo_fnprof_find(q, "f")->pos[0].count, 9);
	pgo_fnprof_free(q);
	/* create_gcov's default version is the same thing under another number. */
	memcpy(b.data + 4, "*704", 4);
	q = read_bytes(&b, NULL);
	assert_non_null(q);
	pgo_fnprof_free(q);
	pgo_buf_fini(&b);
	pgo_fnprof_free(p);
}

static void test_what_is_written_reads_back_to_the_same_bytes(void **state)
{
	static const unsigned releases[] = {5, 11, 12, 15, 16, 0};

	(void)state;
	for (uint64_t seed = 0; seed < 300; seed++) {
		struct pgo_format_options o = {.gcc_release = releases[seed % 6]};
		unsigned flags = pgo_gcc_afdo_version(o.gcc_release) == 3
					 ? RANDPROF_FILES | RANDPROF_STAMPS
					 : 0;
		struct pgo_fnprof *p = randprof_new(seed, flags), *q;
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_buf b, again;

		randprof_write(&pgo_format_gcc, p, &o, &b);
		assert_true(pgo_format_gcc.probe(b.data, b.len > 4096 ? 4096 : b.len));
		assert_ptr_equal(pgo_format_probe(b.data, b.len), &pgo_format_gcc);
		q = read_bytes(&b, &err);
		if (q == NULL)
			print_error("seed %u: %s\n", (unsigned)seed, err.msg);
		assert_non_null(q);
		assert_int_equal(q->n_fns, p->n_fns);
		pgo_fnprof_sort(q);
		randprof_write(&pgo_format_gcc, q, &o, &again);
		assert_int_equal(again.len, b.len);
		assert_memory_equal(again.data, b.data, b.len);
		pgo_buf_fini(&b);
		pgo_buf_fini(&again);
		pgo_fnprof_free(p);
		pgo_fnprof_free(q);
	}
}

/* Cut at every byte: only the place before the working set, which is optional, is an end. */
static void test_a_file_cut_anywhere_is_an_error(void **state)
{
	static const unsigned releases[] = {8, 13, 16};
	uint64_t live = pgo_alloc_live();

	(void)state;
	for (size_t r = 0; r < 3; r++) {
		struct pgo_format_options o = {.gcc_release = releases[r]};
		struct pgo_fnprof *p = randprof_new(77, 0);
		struct pgo_err err;
		struct pgo_buf b;
		size_t len, tail = 8 + 128 * 12;

		randprof_write(&pgo_format_gcc, p, &o, &b);
		for (len = b.len; b.len-- > 0;) {
			struct pgo_fnprof *q = read_bytes(&b, &err);

			if (q != NULL)
				assert_int_equal(b.len, len - tail);
			else
				assert_int_equal(err.code, PGO_EFORMAT);
			pgo_fnprof_free(q);
		}
		pgo_buf_fini(&b);
		pgo_fnprof_free(p);
	}
	assert_int_equal(pgo_alloc_live(), live);
}

static void test_no_flipped_byte_crashes_the_reader(void **state)
{
	(void)state;
	for (unsigned release = 11; release <= 16; release += 5) {
		struct pgo_fnprof *p = randprof_new(5, RANDPROF_FILES | RANDPROF_STAMPS);
		struct pgo_buf b;

		randprof_write(&pgo_format_gcc, p,
			&(struct pgo_format_options){.gcc_release = release}, &b);
		for (size_t i = 0; i < b.len; i++)
			for (unsigned bit = 0; bit < 8; bit += 3) {
				b.data[i] ^= (char)(1 << bit);
				pgo_fnprof_free(read_bytes(&b, NULL));
				b.data[i] ^= (char)(1 << bit);
			}
		pgo_buf_fini(&b);
		pgo_fnprof_free(p);
	}
}

/* A version 2 file up to its functions, with the name "f". */
static void begin_v2(struct pgo_buf *b, uint32_t n_functions)
{
	static const uint32_t head[] = {0x67636461, 2, 0, 0xaa000000, 0, 2, 1};

	pgo_buf_init(b, 1 << 26);
	for (size_t i = 0; i < sizeof head / sizeof *head; i++)
		pgo_buf_u32le(b, head[i]);
	pgo_buf_putc(b, 0);
	pgo_buf_u32le(b, 2);
	pgo_buf_add(b, "f", 2);
	pgo_buf_u32le(b, 0xac000000);
	pgo_buf_u32le(b, 0);
	pgo_buf_u32le(b, n_functions);
}

static void words(struct pgo_buf *b, size_t n, const uint32_t *w)
{
	for (size_t i = 0; i < n; i++)
		pgo_buf_u32le(b, w[i]);
}

#define WORDS(b, ...) words(b, sizeof((uint32_t[]){__VA_ARGS__}) / 4, (uint32_t[]){__VA_ARGS__})
#define END 0xae000000, 0, 0

static void expect_refused(struct pgo_buf *b, const char *part)
{
	struct pgo_err err;
	struct pgo_fnprof *p = read_bytes(b, &err);

	assert_null(p);
	assert_int_equal(err.code, PGO_EFORMAT);
	if (strstr(err.msg, part) == NULL)
		print_error("'%s' is not in '%s'\n", part, err.msg);
	assert_non_null(strstr(err.msg, part));
	assert_non_null(strstr(err.msg, "x.afdo"));
	pgo_buf_fini(b);
}

static void test_hostile_counts_are_refused_before_anything_is_allocated(void **state)
{
	struct pgo_buf b;

	(void)state;
	begin_v2(&b, 0xffffffff);
	WORDS(&b, END);
	expect_refused(&b, "4294967295 functions are announced");
	begin_v2(&b, 1);
	WORDS(&b, 5, 0, 1, 0xfffffff0, 0, END);
	expect_refused(&b, "positions are announced");
	begin_v2(&b, 1);
	WORDS(&b, 5, 0, 1, 0, 0xfffffff0, END);
	expect_refused(&b, "call sites are announced");
	begin_v2(&b, 1);
	WORDS(&b, 5, 0, 1, 1, 0, 0x30000, 0xfffffff0, 9, 0, END);
	expect_refused(&b, "call targets are announced");
}

static void test_a_million_levels_of_inlining_are_an_error_and_no_stack_overflow(void **state)
{
	struct pgo_buf b;

	(void)state;
	begin_v2(&b, 1);
	WORDS(&b, 5, 0, 1, 0, 1);
	for (unsigned i = 0; i < 1000000; i++)
		WORDS(&b, 0x10000, 1, 0, 1);
	WORDS(&b, END);
	expect_refused(&b, "deep");
}

static void test_what_gcc_would_choke_on_is_refused(void **state)
{
	struct pgo_buf b;

	(void)state;
	begin_v2(&b, 1);
	WORDS(&b, 5, 0, 2, 0, 0, END);
	expect_refused(&b, "name 2 where a function of the 2 names is meant");
	begin_v2(&b, 1);
	WORDS(&b, 5, 0, 0, 0, 0, END);
	expect_refused(&b, "name 0 where");
	begin_v2(&b, 2);
	WORDS(&b, 5, 0, 1, 0, 0, 5, 0, 1, 0, 0, END);
	expect_refused(&b, "function f has two records");
	begin_v2(&b, 1);
	WORDS(&b, 5, 0, 1, 2, 0, 0x30000, 0, 9, 0, 0x30000, 0, 8, 0, END);
	expect_refused(&b, "position 3.0 twice in f");
	begin_v2(&b, 1);
	WORDS(&b, 5, 0, 1, 0, 2, 0x30000, 1, 0, 0, 0x30000, 1, 0, 0, END);
	expect_refused(&b, "f inlined twice at 3.0 of f");
	begin_v2(&b, 1);
	WORDS(&b, 5, 0, 1, 1, 0, 0x30000, 1, 9, 0, 6, 1, 0, 4, 0, END);
	expect_refused(&b, "histogram of type 6");
	begin_v2(&b, 0);
	WORDS(&b, 0xae000000, 0, 1);
	expect_refused(&b, "module groups");
	begin_v2(&b, 0);
	WORDS(&b, 0xad000000, 0, 0);
	expect_refused(&b, "should begin here with tag ae000000");
	begin_v2(&b, 0);
	WORDS(&b, END, 0xaf000000, 383);
	expect_refused(&b, "working set of 383 words");
}

static void test_files_of_other_kinds_are_named(void **state)
{
	struct pgo_buf b;

	(void)state;
	pgo_buf_init(&b, 1000);
	pgo_buf_puts(&b, "adcg*22B____");
	expect_refused(&b, ".gcda file of an instrumented program");
	pgo_buf_init(&b, 1000);
	pgo_buf_puts(&b, "gcda____....");
	expect_refused(&b, "big-endian");
	pgo_buf_init(&b, 1000);
	WORDS(&b, 0x67636461, 4, 0);
	expect_refused(&b, "version 4");
	pgo_buf_init(&b, 1000);
	pgo_buf_puts(&b, "not a profile");
	expect_refused(&b, "not an AutoFDO profile");
	/* They are taken for the format by their magic, so that reading can say what they are. */
	assert_true(pgo_format_gcc.probe("adcg*22B", 8));
	assert_false(pgo_format_gcc.probe("oncg*22B", 8));
	assert_false(pgo_format_gcc.probe("adc", 3));
}

static void test_version_2_with_padded_names_is_explained(void **state)
{
	struct pgo_fnprof *p = one_function();
	struct pgo_buf b;

	(void)state;
	randprof_write(&pgo_format_gcc, p, &(struct pgo_format_options){.gcc_release = 5}, &b);
	b.data[4] = 2;
	expect_refused(&b, "autofdo 0.19");
	pgo_fnprof_free(p);
}

static void test_version_3_without_time_stamps_is_read_too(void **state)
{
	struct pgo_fnprof *p = randprof_new(9, RANDPROF_FILES), *q;
	struct pgo_err err;
	struct pgo_buf b, old;
	const char *at;

	(void)state;
	randprof_write(&pgo_format_gcc, p, &(struct pgo_format_options){.gcc_release = 16}, &b);
	pgo_fnprof_free(p);
	/* Cut the stamp of a file with one function. */
	p = one_function();
	pgo_buf_fini(&b);
	randprof_write(&pgo_format_gcc, p, &(struct pgo_format_options){.gcc_release = 16}, &b);
	at = memmem(b.data, b.len, "\0\0\0\xac\0\0\0\0\1\0\0\0", 12);
	assert_non_null(at);
	pgo_buf_init(&old, 1 << 20);
	pgo_buf_add(&old, b.data, (size_t)(at - b.data) + 20);
	pgo_buf_add(&old, at + 28, b.len - (size_t)(at - b.data) - 28);
	q = read_bytes(&old, &err);
	assert_non_null(q);
	assert_int_equal(pgo_fnprof_find(q, "f")->head, 5);
	assert_int_equal(pgo_fnprof_find(q, "f")->first_seen, 0);
	assert_string_equal(pgo_fnprof_str(q, pgo_fnprof_find(q, "f")->file), "f.c");
	pgo_buf_fini(&b);
	pgo_buf_fini(&old);
	pgo_fnprof_free(p);
	pgo_fnprof_free(q);
}

static void test_the_file_table_has_each_base_name_once(void **state)
{
	static const char *const files[] = {"/d1/u.c", "/d2/u.c", "v.c"};
	struct pgo_fnprof *p = pgo_fnprof_new(NULL), *q;
	struct pgo_buf b;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct pgo_fn *f = pgo_fnprof_fn_of_file(p, pgo_strtab_puts(&p->strs, &"abc"[i]),
			pgo_strtab_puts(&p->strs, files[i]));

		f->head = 1;
		assert_int_equal(pgo_fn_pos_add(p, f, 1, 0, 1), 0);
	}
	/* One name that belongs to two files is tied to neither. */
	struct pgo_fn *in = pgo_fn_inlined(p, p->fns[0], 1, 0, p->fns[2]->name);
	in->file = p->fns[0]->file;
	pgo_fnprof_sort(p);
	randprof_write(&pgo_format_gcc, p, &(struct pgo_format_options){.gcc_release = 16}, &b);
	assert_non_null(memmem(b.data, b.len, "\1\0\0\0\4\0\0\0u.c\0\4\0\0\0\1\0\0\0", 20));
	q = read_bytes(&b, NULL);
	assert_string_equal(pgo_fnprof_str(q, pgo_fnprof_find(q, "abc")->file), "u.c");
	assert_string_equal(pgo_fnprof_str(q, pgo_fnprof_find(q, "bc")->file), "u.c");
	assert_string_equal(pgo_fnprof_str(q, pgo_fnprof_find(q, "c")->file), "");
	pgo_buf_fini(&b);
	pgo_fnprof_free(p);
	pgo_fnprof_free(q);
}

static void test_the_writer_refuses_what_gcc_could_not_use(void **state)
{
	struct pgo_format_options o = {.gcc_release = 16};
	struct pgo_fnprof *p = pgo_fnprof_new(NULL);
	uint32_t name = pgo_strtab_puts(&p->strs, "f");
	struct pgo_err err;
	struct pgo_buf b;

	(void)state;
	pgo_buf_init(&b, 1 << 20);
	assert_int_equal(pgo_format_gcc.write(p, &o, &b, &err), PGO_EEMPTY);
	pgo_fnprof_fn(p, name)->head = 1;
	assert_int_equal(pgo_fn_pos_add(p, p->fns[0], 1, 65536, 1), 0);
	assert_int_equal(pgo_format_gcc.write(p, &o, &b, &err), PGO_EMISMATCH);
	assert_non_null(strstr(err.msg, "65536"));
	p->fns[0]->pos[0].disc = 1;
	assert_int_equal(pgo_format_gcc.write(p, &o, &b, &err), 0);
	pgo_fnprof_fn_of_file(p, name, pgo_strtab_puts(&p->strs, "x.c"))->head = 1;
	assert_int_equal(pgo_format_gcc.write(p, &o, &b, &err), PGO_EMISMATCH);
	assert_non_null(strstr(err.msg, "two records"));
	pgo_buf_fini(&b);
	pgo_fnprof_free(p);
}

static void test_a_buffer_that_is_full_is_an_error(void **state)
{
	struct pgo_fnprof *p = one_function();
	struct pgo_err err;
	struct pgo_buf b;

	(void)state;
	pgo_buf_init(&b, 100);
	assert_int_equal(
		pgo_format_gcc.write(p, &(struct pgo_format_options){.gcc_release = 12}, &b, &err),
		PGO_ELIMIT);
	pgo_buf_fini(&b);
	pgo_fnprof_free(p);
}

static void test_reading_and_writing_survive_the_failure_of_any_allocation(void **state)
{
	struct pgo_format_options o = {.gcc_release = 16};
	struct pgo_fnprof *p = randprof_new(3, RANDPROF_FILES), *q = NULL;
	uint64_t live = pgo_alloc_live();
	struct pgo_err err;
	struct pgo_buf b;
	int rc = -1;

	(void)state;
	for (uint64_t n = 0; rc < 0; n++) {
		pgo_buf_init(&b, 1 << 20);
		pgo_alloc_fail_after(n);
		rc = pgo_format_gcc.write(p, &o, &b, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		if (rc == 0)
			break;
		assert_int_equal(rc, PGO_ENOMEM);
		pgo_buf_fini(&b);
		assert_int_equal(pgo_alloc_live(), live);
	}
	live = pgo_alloc_live();
	for (uint64_t n = 0; q == NULL; n++) {
		pgo_alloc_fail_after(n);
		q = read_bytes(&b, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		if (q == NULL) {
			assert_int_equal(err.code, PGO_ENOMEM);
			assert_int_equal(pgo_alloc_live(), live);
		}
	}
	pgo_fnprof_free(q);
	pgo_buf_fini(&b);
	pgo_fnprof_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version_2_has_the_bytes_gcc_12_was_seen_to_accept),
		cmocka_unit_test(test_version_3_has_the_bytes_gcc_16_was_seen_to_accept),
		cmocka_unit_test(test_version_1_pads_names_to_words_and_fills_the_working_set),
		cmocka_unit_test(test_what_is_written_reads_back_to_the_same_bytes),
		cmocka_unit_test(test_a_file_cut_anywhere_is_an_error),
		cmocka_unit_test(test_no_flipped_byte_crashes_the_reader),
		cmocka_unit_test(test_hostile_counts_are_refused_before_anything_is_allocated),
		cmocka_unit_test(
			test_a_million_levels_of_inlining_are_an_error_and_no_stack_overflow),
		cmocka_unit_test(test_what_gcc_would_choke_on_is_refused),
		cmocka_unit_test(test_files_of_other_kinds_are_named),
		cmocka_unit_test(test_version_2_with_padded_names_is_explained),
		cmocka_unit_test(test_version_3_without_time_stamps_is_read_too),
		cmocka_unit_test(test_the_file_table_has_each_base_name_once),
		cmocka_unit_test(test_the_writer_refuses_what_gcc_could_not_use),
		cmocka_unit_test(test_a_buffer_that_is_full_is_an_error),
		cmocka_unit_test(test_reading_and_writing_survive_the_failure_of_any_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
