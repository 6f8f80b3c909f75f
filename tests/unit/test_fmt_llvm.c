/* SPDX-License-Identifier: Apache-2.0 */
/* LLVM's sample profiles: bytes, round trips between all three formats, and what readers refuse. */
#include "convert/fmt_llvm.h"
#include "pgo/core/alloc.h"
#include "tests/lib/randprof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct pgo_format *const formats[] = {
	&pgo_format_llvm_text, &pgo_format_llvm_binary, &pgo_format_llvm_extbinary};
static const struct pgo_format_options plain;

static struct pgo_fnprof *read_text(const char *text, struct pgo_err *err)
{
	return pgo_format_llvm_text.read("x.prof", text, strlen(text), err);
}

static struct pgo_fnprof *profile(const char *text)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_fnprof *p = read_text(text, &err);

	if (p == NULL)
		print_error("%s\n", err.msg);
	assert_non_null(p);
	pgo_fnprof_sort(p);
	return p;
}

static struct pgo_fnprof *read_bytes(const struct pgo_buf *b, struct pgo_err *err)
{
	const struct pgo_format *f = pgo_format_probe(b->data, b->len > 4096 ? 4096 : b->len);

	pgo_err_clear(err);
	if (f == NULL) {
		(void)pgo_err_set(err, PGO_EFORMAT, "no format");
		return NULL;
	}
	return f->read("x.prof", b->data, b->len, err);
}

static void expect_same_bytes(struct pgo_buf *a, struct pgo_buf *b)
{
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->data, b->data, a->len);
	pgo_buf_fini(b);
}

#define WORK                                                                                       \
	"work:41448:0\n 0: 1\n 2.1: 1000\n 2.2: 1000\n 3: 1000 leaf:1000\n"                        \
	" 3.1: 400 leaf:390 other:10\n 5: 1\n 65520: 1\n 3.2: mid:7200\n  1: 400\n  2: 400\n"

static void test_extbinary_has_the_bytes_of_llvm_profdata(void **state)
{
	static const char names[] = "\4leaf\0mid\0other\0work";
	static const uint8_t body[] = {0, 3, 0xe8, 0xc3, 2, 7, 0, 0, 1, 0, 2, 1, 0xe8, 7, 0, 2, 2,
		0xe8, 7, 0, 3, 0, 0xe8, 7, 1, 0, 0xe8, 7, 3, 1, 0x90, 3, 2, 0, 0x86, 3, 2, 10, 5, 0,
		1, 0, 0xf0, 0xff, 3, 0, 1, 0, 1, 3, 2, 1, 0xa0, 0x38, 2};
	struct pgo_fnprof *p = profile(WORK);
	struct pgo_buf b;

	(void)state;
	randprof_write(&pgo_format_llvm_extbinary, p, &plain, &b);
	assert_memory_equal(b.data, "\x84\xe4\xd0\xb1\xf4\xc9\x94\xa8\x53\x67\7\0\0\0\0\0\0\0", 18);
	/* Seven rows end at 242, where the summary begins. */
	assert_memory_equal(b.data + 18, "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xf2\0\0\0\0\0\0\0", 24);
	assert_non_null(memmem(b.data + 242, b.len - 242, names, sizeof names));
	assert_non_null(memmem(b.data + 242, b.len - 242, body, sizeof body));
	pgo_buf_fini(&b);
	pgo_fnprof_free(p);
}

static void test_raw_has_the_bytes_of_llvm_profdata(void **state)
{
	static const uint8_t want[] = {0xff, 0xe5, 0xd0, 0xb1, 0xf4, 0xc9, 0x94, 0xa8, 0x53, 0x67,
		/* total 9, max 9, max head 5, 1 count, 1 function, 16 rows */
		9, 9, 5, 1, 1, 16};
	/* one name, then head 5, name 0, total 20, one position 3.0 of 9, no calls */
	static const uint8_t tail[] = {1, 'f', 0, 5, 0, 20, 1, 3, 0, 9, 0, 0};
	struct pgo_fnprof *p = profile("f:20:5\n 3: 9\n");
	struct pgo_buf b;

	(void)state;
	randprof_write(&pgo_format_llvm_binary, p, &plain, &b);
	assert_memory_equal(b.data, want, sizeof want);
	assert_memory_equal(b.data + b.len - sizeof tail, tail, sizeof tail);
	pgo_buf_fini(&b);
	pgo_fnprof_free(p);
}

static void test_probe_metadata_has_the_bytes_of_llvm_profdata(void **state)
{
	static const char text[] =
		"foo:3200:13\n 1: 13\n 3: bar:30\n  1: 14\n  4: baz:7\n   1: 7\n"
		"   !CFGChecksum: 77\n  !CFGChecksum: 300\n  !Attributes: 1\n !CFGChecksum: 4660\n"
		" !Attributes: 2\nbar:20:3\n 1: 20\n !CFGChecksum: 22\n";
	static const uint8_t want[] = {
		2, 0xb4, 0x24, 2, 1, 3, 0, 0, 0xac, 2, 1, 1, 4, 0, 1, 0x4d, 0, 0, 0, 0x16, 0, 0};
	struct pgo_fnprof *p = profile(text), *q;
	struct pgo_buf b, t;

	(void)state;
	randprof_write(&pgo_format_llvm_extbinary, p, &plain, &b);
	assert_memory_equal(b.data + b.len - sizeof want, want, sizeof want);
	q = read_bytes(&b, NULL);
	pgo_fnprof_sort(q);
	randprof_write(&pgo_format_llvm_text, q, &plain, &t);
	assert_string_equal(t.data, text);
	pgo_buf_fini(&b);
	pgo_buf_fini(&t);
	pgo_fnprof_free(p);
	pgo_fnprof_free(q);
}

static void test_contexts_have_the_bytes_of_llvm_profdata(void **state)
{
	static const char text[] = "[main:1 @ foo:2.1 @ bar]:300:30\n 1: 100\n 2: 200 baz:200\n"
				   " !Attributes: 1\n[main]:100:1\n 1: 100\n !Attributes: 3\n"
				   "[main:1 @ foo]:100:10\n 1: 100\n";
	/* names bar baz foo main; the leaf's place is 0 0 */
	static const uint8_t want[] = {
		3, 1, 3, 0, 0, 2, 3, 1, 0, 2, 0, 0, 3, 3, 1, 0, 2, 2, 1, 0, 0, 0};
	struct pgo_fnprof *p = profile(text), *q;
	struct pgo_buf b, t;

	(void)state;
	randprof_write(&pgo_format_llvm_extbinary, p, &plain, &b);
	assert_non_null(memmem(b.data, b.len, want, sizeof want));
	q = read_bytes(&b, NULL);
	assert_non_null(q);
	assert_true(q->context_sensitive);
	pgo_fnprof_sort(q);
	randprof_write(&pgo_format_llvm_text, q, &plain, &t);
	assert_string_equal(t.data, text);
	pgo_buf_fini(&b);
	pgo_buf_fini(&t);
	pgo_fnprof_free(p);
	pgo_fnprof_free(q);
}

static void test_contexts_that_llvm_would_not_write_are_refused(void **state)
{
	static const char *const bad[] = {"[]", "[main @ foo]", "[main: @ foo]", "[:1 @ foo]",
		"[main:1 @ ]", "[main:01 @ foo]", "[main:1.0 @ foo]", "[main:+1 @ foo]",
		"[main:65536 @ foo]", "[main:1.4294967296 @ foo]", "[main:1.2.3 @ foo]"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct pgo_fnprof *p = pgo_fnprof_new(NULL);
		struct pgo_err err;
		struct pgo_buf b;

		p->context_sensitive = true;
		pgo_fnprof_fn(p, pgo_strtab_puts(&p->strs, bad[i]))->head = 1;
		pgo_buf_init(&b, 1 << 20);
		if (pgo_format_llvm_extbinary.write(p, &plain, &b, &err) != PGO_EMISMATCH)
			print_error("%s\n", bad[i]);
		assert_int_equal(err.code, PGO_EMISMATCH);
		pgo_buf_fini(&b);
		pgo_fnprof_free(p);
	}
}

static void test_names_hash_as_llvm_hashes_them(void **state)
{
	(void)state;
	/* RFC 1321's own examples, first eight bytes little-endian. */
	assert_true(pgo_llvm_hash_name("", 0) == 0x04b2008fd98c1dd4u);
	assert_true(pgo_llvm_hash_name("abc", 3) == 0xb04fd23c98500190u);
	assert_true(pgo_llvm_hash_name("1234567890123456789012345678901234567890"
				       "1234567890123456789012345678901234567890",
			    80) == 0x55c9e32ba2f4ed57u);
	/* And llvm-profdata's. */
	assert_true(pgo_llvm_hash_name("work", 4) == 9204417991963109735u);
	assert_true(pgo_llvm_hash_name("other", 5) == 13598193224579702649u);
	for (size_t len = 50; len < 130; len++) { /* every way of padding */
		char s[130], t[130];

		memset(s, 'x', sizeof s);
		memcpy(t, s, sizeof t);
		t[len - 1] = 'y';
		assert_true(pgo_llvm_hash_name(s, len) != pgo_llvm_hash_name(t, len));
	}
}

static void test_every_format_reads_back_to_the_same_bytes_and_to_the_others(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct pgo_fnprof *p = randprof_new(seed, RANDPROF_LLVM);
		struct pgo_buf want[3];

		for (size_t i = 0; i < 3; i++)
			randprof_write(formats[i], p, &plain, &want[i]);
		for (size_t i = 0; i < 3; i++) {
			struct pgo_err err = PGO_ERR_INIT;
			struct pgo_fnprof *q = read_bytes(&want[i], &err);

			if (q == NULL)
				print_error("seed %u: %s\n", (unsigned)seed, err.msg);
			assert_non_null(q);
			q->unique_suffixes = true;
			pgo_fnprof_sort(q);
			for (size_t k = 0; k < 3; k++) {
				struct pgo_buf b;

				randprof_write(formats[k], q, &plain, &b);
				expect_same_bytes(&want[k], &b);
			}
			pgo_fnprof_free(q);
		}
		for (size_t i = 0; i < 3; i++)
			pgo_buf_fini(&want[i]);
		pgo_fnprof_free(p);
	}
}

static void test_compressed_sections_hold_the_same_profile(void **state)
{
	struct pgo_format_options o = {.compress = true};
	struct pgo_fnprof *p = randprof_new(31, RANDPROF_LLVM), *q;
	struct pgo_err err;
	struct pgo_buf want, z, b;

	(void)state;
	randprof_write(&pgo_format_llvm_extbinary, p, &plain, &want);
	randprof_write(&pgo_format_llvm_extbinary, p, &o, &z);
	assert_true(z.len < want.len);
	q = read_bytes(&z, &err);
	assert_non_null(q);
	pgo_fnprof_sort(q);
	randprof_write(&pgo_format_llvm_extbinary, q, &plain, &b);
	expect_same_bytes(&want, &b);
	pgo_fnprof_free(q);
	/* Damaged streams and false sizes are errors. */
	for (size_t i = 0; i < z.len; i++) {
		z.data[i] ^= 0x10;
		q = read_bytes(&z, &err);
		pgo_fnprof_free(q);
		z.data[i] ^= 0x10;
	}
	while (z.len-- > 242) {
		assert_null(read_bytes(&z, &err));
		assert_int_equal(err.code, PGO_EFORMAT);
	}
	pgo_buf_fini(&z);
	pgo_buf_fini(&want);
	pgo_fnprof_free(p);
}

static void test_hashed_names_come_back_as_numbers_and_go_out_as_hashes(void **state)
{
	struct pgo_format_options o = {.md5 = true};
	struct pgo_fnprof *p = profile(WORK), *q, *again;
	struct pgo_err err;
	struct pgo_buf b, c, d;

	(void)state;
	randprof_write(&pgo_format_llvm_extbinary, p, &o, &b);
	q = read_bytes(&b, &err);
	assert_non_null(q);
	assert_true(q->md5_names);
	assert_non_null(pgo_fnprof_find(q, "9204417991963109735"));
	pgo_fnprof_sort(q);
	randprof_write(&pgo_format_llvm_extbinary, q, &plain, &c);
	again = read_bytes(&c, &err);
	assert_non_null(again);
	assert_true(again->md5_names);
	pgo_fnprof_sort(again);
	randprof_write(&pgo_format_llvm_extbinary, again, &plain, &d);
	expect_same_bytes(&c, &d);
	assert_int_equal(pgo_format_llvm_binary.write(q, &plain, &b, &err), PGO_EMISMATCH);
	pgo_buf_fini(&b);
	pgo_buf_fini(&c);
	pgo_fnprof_free(p);
	pgo_fnprof_free(q);
	pgo_fnprof_free(again);
}

static void test_the_symbol_list_is_sorted_and_has_no_repeats(void **state)
{
	struct pgo_fnprof *p = profile(WORK), *q;
	struct pgo_buf b;

	(void)state;
	for (const char *const *s = (const char *const[]){"zz", "a", "b", "a", NULL}; *s; s++)
		assert_int_equal(pgo_fnprof_add_cold(p, pgo_strtab_puts(&p->strs, *s)), 0);
	randprof_write(&pgo_format_llvm_extbinary, p, &plain, &b);
	q = read_bytes(&b, NULL);
	assert_int_equal(q->n_cold, 3);
	assert_string_equal(pgo_fnprof_str(q, q->cold[0]), "a");
	assert_string_equal(pgo_fnprof_str(q, q->cold[2]), "zz");
	pgo_buf_fini(&b);
	pgo_fnprof_free(p);
	pgo_fnprof_free(q);
}

static void test_names_with_colons_dots_and_blanks_survive(void **state)
{
	static const char text[] = "a::b<int, c::d>(e):70:3\n"
				   " 1: 10 x::y<z, w>:7 op<a b>::c:2 k:1\n"
				   " 2.3: f.isra.0:5\n  1: 5\n"
				   " 4: std::vector<int, a b>::push:9\n  1: 9\n";
	struct pgo_fnprof *p = profile(text);
	struct pgo_buf b;

	(void)state;
	assert_int_equal(pgo_fnprof_find(p, "a::b<int, c::d>(e)")->pos[0].n_targets, 3);
	for (size_t i = 0; i < 3; i++) {
		struct pgo_fnprof *q;
		struct pgo_buf t;

		randprof_write(formats[i], p, &plain, &b);
		q = read_bytes(&b, NULL);
		randprof_write(&pgo_format_llvm_text, q, &plain, &t);
		assert_string_equal(t.data, text);
		pgo_buf_fini(&b);
		pgo_buf_fini(&t);
		pgo_fnprof_free(q);
	}
	pgo_fnprof_free(p);
}

static void test_text_repeats_add_up_and_comments_are_skipped(void **state)
{
	struct pgo_fnprof *p = profile("# made by hand\n\nf:5:1\n 1: 2 g:1\n 1: 3 g:2\n"
				       " 2: h:1\n  1: 1\n 2: h:2\n  1: 4\nf:6:2\n 9: 1\n"
				       " 7: vtables T:5\n");
	struct pgo_buf b;

	(void)state;
	randprof_write(&pgo_format_llvm_text, p, &plain, &b);
	assert_string_equal(b.data, "f:11:3\n 1: 5 g:3\n 9: 1\n 2: h:3\n  1: 5\n");
	pgo_buf_fini(&b);
	pgo_fnprof_free(p);
}

static void test_bad_text_names_its_line(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{" 1: 2\n", "line 1: a position before the first function"},
		{"f:1\n", "line 1: a function should stand here"},
		{":1:2\n", "line 1: a function should"},
		{"f:1:x\n", "line 1: a function should"},
		{"f:1:99999999999999999999\n", "line 1: a function should"},
		{"f:1:1\n   1: 2\n", "line 2: indented deeper"},
		{"f:1:1\n 1: 2\n  3: 4\n", "line 3: indented deeper"},
		{"f:1:1\n 1:2\n", "line 2: a position should"},
		{"f:1:1\n x: 2\n", "line 2: a position that is not a number"},
		{"f:1:1\n 65536: 2\n", "line 2: a line offset above"},
		{"f:1:1\n 1.4294967296: 2\n", "line 2: a line offset above"},
		{"f:1:1\n 1: 2x\n", "line 2: a count should"},
		{"f:1:1\n 1: 2 g\n", "line 2: call targets should"},
		{"f:1:1\n 1: 2 :3\n", "line 2: a call target without"},
		{"f:1:1\n 1: g\n", "line 2: a count, or an inlined"},
		{"f:1:1\n !CFGChecksum: 5\n 1: 2\n", "line 3: a position after the metadata"},
		{"f:1:1\n !Whatever: 5\n", "line 2: unknown metadata"},
		{"f:1:1\n 1: 2\n[f]:1:1\n 1: 2\n", "line 3: functions with and without"},
		{"f:1:1\n 1: 2", "line 2: the last line has no end"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pgo_err err = PGO_ERR_INIT;

		assert_null(read_text(cases[i].text, &err));
		assert_int_equal(err.code, PGO_EFORMAT);
		if (strstr(err.msg, cases[i].message) == NULL)
			print_error("%s\n", err.msg);
		assert_non_null(strstr(err.msg, cases[i].message));
	}
}

static void test_a_million_levels_of_text_are_an_error(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf b;

	(void)state;
	pgo_buf_init(&b, 1 << 24);
	pgo_buf_puts(&b, "f:1:1\n");
	for (int d = 1; d < 2000; d++)
		pgo_buf_printf(&b, "%*s1: f:1\n", d, "");
	assert_null(read_bytes(&b, &err));
	assert_non_null(strstr(err.msg, "too deep"));
	pgo_buf_fini(&b);
}

static void test_the_text_writer_refuses_names_it_would_misread(void **state)
{
	static const char *const top[] = {" f", "#f", "f\n1"};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf b;

	(void)state;
	pgo_buf_init(&b, 1 << 20);
	for (size_t i = 0; i < 3; i++) {
		struct pgo_fnprof *p = pgo_fnprof_new(NULL);

		pgo_fnprof_fn(p, pgo_strtab_puts(&p->strs, top[i]))->head = 1;
		assert_int_equal(pgo_format_llvm_text.write(p, &plain, &b, &err), PGO_EMISMATCH);
		assert_int_equal(pgo_format_llvm_extbinary.write(p, &plain, &b, &err), 0);
		pgo_fnprof_free(p);
	}
	struct pgo_fnprof *p = profile("f:1:1\n 1: 2\n");
	assert_int_equal(
		pgo_fn_target_add(p, p->fns[0], 1, 0, pgo_strtab_puts(&p->strs, "a:5 b"), 1), 0);
	assert_int_equal(pgo_format_llvm_text.write(p, &plain, &b, &err), PGO_EMISMATCH);
	pgo_fnprof_free(p);
	p = profile("f:1:1\n 1: 2\n");
	assert_non_null(pgo_fn_inlined(p, p->fns[0], 1, 0, pgo_strtab_puts(&p->strs, "7up")));
	assert_int_equal(pgo_format_llvm_text.write(p, &plain, &b, &err), PGO_EMISMATCH);
	pgo_fnprof_free(p);
	pgo_buf_fini(&b);
}

/* Raw files may end after any function, and text after any line; extbinary nowhere. */
static void test_a_file_cut_anywhere_is_an_error_or_ends_between_records(void **state)
{
	uint64_t live = pgo_alloc_live();
	struct pgo_fnprof *p = randprof_new(77, RANDPROF_LLVM);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		size_t good = 0;
		struct pgo_err err;
		struct pgo_buf b;

		randprof_write(formats[i], p, &plain, &b);
		while (b.len-- > 0) {
			struct pgo_fnprof *q = read_bytes(&b, &err);

			if (q == NULL)
				assert_int_equal(err.code, PGO_EFORMAT);
			else if (i == 0)
				assert_int_equal(b.data[b.len - 1], '\n');
			else
				good++;
			pgo_fnprof_free(q);
		}
		assert_true(good <= (i == 1 ? p->n_fns : 0));
		pgo_buf_fini(&b);
	}
	pgo_fnprof_free(p);
	assert_int_equal(pgo_alloc_live(), live);
}

static void test_no_flipped_byte_crashes_a_reader(void **state)
{
	struct pgo_fnprof *p = randprof_new(5, RANDPROF_LLVM);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct pgo_buf b;

		randprof_write(formats[i], p, &plain, &b);
		for (size_t k = 0; k < b.len; k++)
			for (unsigned bit = 0; bit < 8; bit += 3) {
				b.data[k] ^= (char)(1 << bit);
				pgo_fnprof_free(read_bytes(&b, NULL));
				b.data[k] ^= (char)(1 << bit);
			}
		pgo_buf_fini(&b);
	}
	pgo_fnprof_free(p);
}

static void begin_raw(struct pgo_buf *b)
{
	pgo_buf_init(b, 1 << 26);
	pgo_buf_uleb(b, PGO_LLVM_MAGIC_RAW);
	pgo_buf_uleb(b, PGO_LLVM_VERSION);
	for (int i = 0; i < 6; i++) /* a summary of nothing */
		pgo_buf_uleb(b, 0);
	pgo_buf_uleb(b, 1);
	pgo_buf_add(b, "f", 2);
}

static void expect_refused(struct pgo_buf *b, const char *part)
{
	struct pgo_err err;

	assert_null(read_bytes(b, &err));
	assert_int_equal(err.code, PGO_EFORMAT);
	if (strstr(err.msg, part) == NULL)
		print_error("'%s' is not in '%s'\n", part, err.msg);
	assert_non_null(strstr(err.msg, part));
	pgo_buf_fini(b);
}

static void ulebs(struct pgo_buf *b, size_t n, const uint64_t *v)
{
	for (size_t i = 0; i < n; i++)
		pgo_buf_uleb(b, v[i]);
}

#define ULEBS(b, ...) ulebs(b, sizeof((uint64_t[]){__VA_ARGS__}) / 8, (uint64_t[]){__VA_ARGS__})

static void test_hostile_numbers_are_refused(void **state)
{
	struct pgo_buf b;

	(void)state;
	begin_raw(&b);
	ULEBS(&b, 0, 0, 0, 1ull << 60, 0);
	expect_refused(&b, "1152921504606846976 positions are announced");
	begin_raw(&b);
	ULEBS(&b, 0, 0, 0, 0, 1ull << 60);
	expect_refused(&b, "call sites are announced");
	begin_raw(&b);
	ULEBS(&b, 0, 0, 0, 1, 3, 0, 9, 1ull << 60);
	expect_refused(&b, "call targets are announced");
	begin_raw(&b);
	ULEBS(&b, 0, 0, 0, 1, 65536, 0, 9, 0, 0);
	expect_refused(&b, "line offset 65536.0 is out of range");
	begin_raw(&b);
	ULEBS(&b, 0, 1, 0, 0, 0);
	expect_refused(&b, "name 1 of 1");
	begin_raw(&b);
	ULEBS(&b, 0, 0, 0, 0, 1, 3, 0, 1, 0, 0, 0);
	expect_refused(&b, "name 1 of 1 in a call site");
	begin_raw(&b);
	for (int i = 0; i < 10; i++)
		pgo_buf_putc(&b, (char)0xff);
	expect_refused(&b, "wider than 64 bits");
	begin_raw(&b);
	ULEBS(&b, 0, 0, 0, 0, 1);
	for (int i = 0; i < 1000000; i++)
		ULEBS(&b, 3, 0, 0, 0, 0, 1);
	expect_refused(&b, "deep");
	begin_raw(&b);
	b.data[9] = 104;
	expect_refused(&b, "version 104");
}

static void put_at(struct pgo_buf *b, size_t at, uint64_t v)
{
	for (size_t i = 0; i < 8; i++)
		b->data[at + i] = (char)(v >> 8 * i);
}

/* Row r of the section table: type, flags, offset, size at 18 + 32 r. */
static void test_false_section_tables_are_refused(void **state)
{
	static const struct {
		size_t at;
		uint64_t value;
		const char *message;
	} cases[] = {
		{10, 1ull << 40, "1099511627776 sections"},
		{18 + 16, 1ull << 62, "outside the file"},
		{18 + 16, 100, "outside the file"}, /* inside the table itself */
		{18 + 24, 1ull << 62, "outside the file"},
		{18 + 32 + 16, 242, "overlap"},
		{18 + 32 * 4, 33, "no section of functions"},
		{18 + 32 * 2 + 24, 0, "sections cover"},
		{18 + 32 + 8, 1, "compressed"},
	};
	struct pgo_fnprof *p = profile(WORK);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pgo_buf b;

		randprof_write(&pgo_format_llvm_extbinary, p, &plain, &b);
		put_at(&b, cases[i].at, cases[i].value);
		expect_refused(&b, cases[i].message);
	}
	pgo_fnprof_free(p);
}

static void test_a_wrong_offset_table_is_refused_and_a_section_of_a_later_llvm_skipped(void **state)
{
	struct pgo_fnprof *p = profile(WORK "leaf:9:9\n 1: 9\n"), *q;
	struct pgo_err err;
	struct pgo_buf b;

	(void)state;
	randprof_write(&pgo_format_llvm_extbinary, p, &plain, &b);
	/* The table is what comes last; its last byte is where `leaf` begins. */
	b.data[b.len - 1]++;
	assert_null(read_bytes(&b, &err));
	assert_non_null(strstr(err.msg, "offset table does not fit"));
	put_at(&b, 18 + 32 * 3, 77);
	q = read_bytes(&b, &err);
	assert_non_null(q);
	pgo_fnprof_free(q);
	pgo_buf_fini(&b);
	pgo_fnprof_free(p);
}

static void test_writers_refuse_two_records_of_one_name_and_nothing_at_all(void **state)
{
	struct pgo_fnprof *p = pgo_fnprof_new(NULL);
	uint32_t name = pgo_strtab_puts(&p->strs, "f");
	struct pgo_err err;
	struct pgo_buf b;

	(void)state;
	pgo_buf_init(&b, 1 << 20);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(formats[i]->write(p, &plain, &b, &err), PGO_EEMPTY);
	pgo_fnprof_fn(p, name)->head = 1;
	pgo_fnprof_fn_of_file(p, name, pgo_strtab_puts(&p->strs, "a.c"))->head = 1;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(formats[i]->write(p, &plain, &b, &err), PGO_EMISMATCH);
	pgo_buf_fini(&b);
	pgo_fnprof_free(p);
}

static void test_probing_tells_the_formats_apart(void **state)
{
	(void)state;
	assert_ptr_equal(pgo_format_probe("f:1:2\n", 6), &pgo_format_llvm_text);
	assert_ptr_equal(pgo_format_probe("# x\n\nf:1:2\n", 11), &pgo_format_llvm_text);
	assert_null(pgo_format_probe("1 work 3b 1 work 20 0 600\n", 26));
	assert_null(pgo_format_probe("hello\n", 6));
	assert_null(pgo_format_probe("", 0));
	assert_null(pgo_format_probe("\x84\xe4\xd0", 3));
	assert_ptr_equal(pgo_format_find("llvm-extbinary"), &pgo_format_llvm_extbinary);
	assert_null(pgo_format_find("llvm"));
}

static void test_reading_and_writing_survive_the_failure_of_any_allocation(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct pgo_format_options o = {.compress = i == 2};
		struct pgo_fnprof *p = randprof_new(3, RANDPROF_LLVM), *q = NULL;
		uint64_t live = pgo_alloc_live();
		struct pgo_err err;
		struct pgo_buf b;

		for (uint64_t n = 0;; n++) {
			int rc;

			pgo_buf_init(&b, 1 << 20);
			pgo_alloc_fail_after(n);
			rc = formats[i]->write(p, &o, &b, &err);
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
			q = formats[i]->read("x", b.data, b.len, &err);
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
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_extbinary_has_the_bytes_of_llvm_profdata),
		cmocka_unit_test(test_raw_has_the_bytes_of_llvm_profdata),
		cmocka_unit_test(test_probe_metadata_has_the_bytes_of_llvm_profdata),
		cmocka_unit_test(test_contexts_have_the_bytes_of_llvm_profdata),
		cmocka_unit_test(test_contexts_that_llvm_would_not_write_are_refused),
		cmocka_unit_test(test_names_hash_as_llvm_hashes_them),
		cmocka_unit_test(test_every_format_reads_back_to_the_same_bytes_and_to_the_others),
		cmocka_unit_test(test_compressed_sections_hold_the_same_profile),
		cmocka_unit_test(test_hashed_names_come_back_as_numbers_and_go_out_as_hashes),
		cmocka_unit_test(test_the_symbol_list_is_sorted_and_has_no_repeats),
		cmocka_unit_test(test_names_with_colons_dots_and_blanks_survive),
		cmocka_unit_test(test_text_repeats_add_up_and_comments_are_skipped),
		cmocka_unit_test(test_bad_text_names_its_line),
		cmocka_unit_test(test_a_million_levels_of_text_are_an_error),
		cmocka_unit_test(test_the_text_writer_refuses_names_it_would_misread),
		cmocka_unit_test(test_a_file_cut_anywhere_is_an_error_or_ends_between_records),
		cmocka_unit_test(test_no_flipped_byte_crashes_a_reader),
		cmocka_unit_test(test_hostile_numbers_are_refused),
		cmocka_unit_test(test_false_section_tables_are_refused),
		cmocka_unit_test(
			test_a_wrong_offset_table_is_refused_and_a_section_of_a_later_llvm_skipped),
		cmocka_unit_test(test_writers_refuse_two_records_of_one_name_and_nothing_at_all),
		cmocka_unit_test(test_probing_tells_the_formats_apart),
		cmocka_unit_test(test_reading_and_writing_survive_the_failure_of_any_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
