/* SPDX-License-Identifier: Apache-2.0 */
/* ZIP archives, made here byte by byte; those of another writer are read by tests/cli/fetch_vendors.sh. */
#include "fetch/zip.h"
#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <string.h>

static void put_u16(struct pgo_buf *b, unsigned v)
{
	pgo_buf_putc(b, (char)v);
	pgo_buf_putc(b, (char)(v >> 8));
}

struct file {
	unsigned method, flags;
	uint32_t crc, packed, len;
	const char *name, *bytes;
};

/* "hi" has this CRC-32; deflated it is a block of fixed codes. */
#define CRC 0xd8932aacu
#define DEFLATED "\xcb\xc8\x04\x00"

static struct pgo_buf archive(const struct file *f, size_t n)
{
	struct pgo_buf b;
	size_t at[4], start;

	pgo_buf_init(&b, 1 << 16);
	for (size_t i = 0; i < n; i++) {
		at[i] = b.len;
		pgo_buf_add(&b, "PK\3\4\x14\0", 6);
		put_u16(&b, f[i].flags);
		put_u16(&b, f[i].method);
		pgo_buf_u32le(&b, 0);
		pgo_buf_u32le(&b, f[i].crc);
		pgo_buf_u32le(&b, f[i].packed);
		pgo_buf_u32le(&b, f[i].len);
		put_u16(&b, (unsigned)strlen(f[i].name));
		put_u16(&b, 0);
		pgo_buf_puts(&b, f[i].name);
		pgo_buf_add(&b, f[i].bytes, f[i].packed < 100 ? f[i].packed : 4);
	}
	start = b.len;
	for (size_t i = 0; i < n; i++) {
		pgo_buf_add(&b, "PK\1\2\x14\0\x14\0", 8);
		put_u16(&b, f[i].flags);
		put_u16(&b, f[i].method);
		pgo_buf_u32le(&b, 0);
		pgo_buf_u32le(&b, f[i].crc);
		pgo_buf_u32le(&b, f[i].packed);
		pgo_buf_u32le(&b, f[i].len);
		put_u16(&b, (unsigned)strlen(f[i].name));
		pgo_buf_add(&b, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
		pgo_buf_u32le(&b, (uint32_t)at[i]);
		pgo_buf_puts(&b, f[i].name);
	}
	pgo_buf_add(&b, "PK\5\6\0\0\0\0", 8);
	put_u16(&b, (unsigned)n);
	put_u16(&b, (unsigned)n);
	pgo_buf_u32le(&b, (uint32_t)(b.len - 12 - start));
	pgo_buf_u32le(&b, (uint32_t)start);
	put_u16(&b, 0);
	return b;
}

static int note(void *ctx, const char *name, const void *bytes, size_t len, struct pgo_err *err)
{
	(void)err;
	pgo_buf_printf(ctx, "%s=%.*s;", name, (int)len, (const char *)bytes);
	return 0;
}

static const struct file good[] = {{0, 0, CRC, 2, 2, "a", "hi"}, {8, 0, CRC, 4, 2, "b/c", DEFLATED},
	{0, 0, 0, 0, 0, "d/", ""}};

static int read_it(
	const struct file *f, size_t n, uint64_t max, struct pgo_buf *out, struct pgo_err *err)
{
	struct pgo_buf b = archive(f, n);
	int rc;

	assert_true(pgo_zip_probe(b.data, b.len));
	rc = pgo_zip_read(b.data, b.len, max, note, out, err);
	pgo_buf_fini(&b);
	return rc;
}

static void fails(struct file f, uint64_t max, int code, const char *why)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf out;

	pgo_buf_init(&out, 1 << 16);
	assert_int_equal(read_it(&f, 1, max, &out, &err), code);
	assert_has(err.msg, why);
	pgo_buf_fini(&out);
}

static void stored_and_deflated_files_are_told(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf out;

	(void)state;
	pgo_buf_init(&out, 1 << 16);
	if (read_it(good, 3, 100, &out, &err) != 0)
		fail_msg("%s", err.msg);
	assert_string_equal(out.data, "a=hi;b/c=hi;");
	pgo_buf_fini(&out);
}

static void what_is_not_as_it_says_is_refused(void **state)
{
	(void)state;
	fails((struct file){0, 0, 1, 2, 2, "a", "hi"}, 100, PGO_EFORMAT, "has changed");
	fails((struct file){8, 0, 1, 4, 2, "a", DEFLATED}, 100, PGO_EFORMAT, "");
	fails((struct file){8, 0, CRC, 4, 3, "a", DEFLATED}, 100, PGO_EFORMAT, "");
	fails((struct file){8, 1, CRC, 4, 2, "a", DEFLATED}, 100, PGO_EFORMAT, "encrypted");
	fails((struct file){12, 0, CRC, 4, 2, "a", DEFLATED}, 100, PGO_EFORMAT, "not known");
	fails((struct file){8, 0, CRC, 1 << 20, 2, "a", DEFLATED}, 100, PGO_EFORMAT,
		"lies outside");
}

static void more_than_the_limit_is_refused(void **state)
{
	(void)state;
	fails(good[1], 1, PGO_ELIMIT, "more than the limit");
	/* It says that it is small. */
	fails((struct file){8, 0, CRC, 4, 0, "a", DEFLATED}, 100, PGO_EFORMAT, "");
	fails((struct file){8, 0, CRC, 4, 1, "a", DEFLATED}, 100, PGO_EFORMAT, "");
}

static void cut_off_anywhere_it_is_damaged(void **state)
{
	struct pgo_buf b = archive(good, 3), out;
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	pgo_buf_init(&out, 1 << 16);
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(pgo_zip_read(b.data, n, 100, note, &out, &err), PGO_EFORMAT);
	pgo_buf_fini(&out);
	pgo_buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stored_and_deflated_files_are_told),
		cmocka_unit_test(what_is_not_as_it_says_is_refused),
		cmocka_unit_test(more_than_the_limit_is_refused),
		cmocka_unit_test(cut_off_anywhere_it_is_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
