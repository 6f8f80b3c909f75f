/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "tests/lib/scratch.h"

#include <string.h>

static void appends_of_every_kind_arrive_in_order(void **state)
{
	struct pgo_buf b;

	(void)state;
	pgo_buf_init(&b, 1000);
	pgo_buf_puts(&b, "a");
	pgo_buf_putc(&b, 'b');
	pgo_buf_add(&b, "c\0d", 3);
	pgo_buf_printf(&b, "%03d|", 7);
	pgo_buf_u32le(&b, 0x04030201);
	pgo_buf_u64le(&b, 0x0807060504030201);
	assert_false(b.failed);
	assert_int_equal(b.len, 21);
	assert_memory_equal(b.data, "abc\0d007|\1\2\3\4\1\2\3\4\5\6\7\10", 22);
	pgo_buf_fini(&b);
	assert_null(b.data);
}

static void varints_are_base_128_low_bits_first(void **state)
{
	static const struct {
		uint64_t v;
		const char *bytes;
		size_t len;
	} rows[] = {
		{0, "\0", 1},
		{1, "\1", 1},
		{127, "\x7f", 1},
		{128, "\x80\1", 2},
		{300, "\xac\2", 2},
		{UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 10},
	};
	struct pgo_buf b;

	(void)state;
	pgo_buf_init(&b, 1000);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		pgo_buf_clear(&b);
		pgo_buf_uleb(&b, rows[i].v);
		assert_int_equal(b.len, rows[i].len);
		assert_memory_equal(b.data, rows[i].bytes, rows[i].len);
	}
	pgo_buf_fini(&b);
}

static void the_maximum_may_be_reached_but_not_passed(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf b;

	(void)state;
	pgo_buf_init(&b, 10);
	pgo_buf_puts(&b, "0123456789");
	assert_false(b.failed);
	assert_int_equal(b.len, 10);
	assert_int_equal(pgo_buf_check(&b, "x", &err), 0);
	pgo_buf_putc(&b, 'x');
	assert_true(b.failed);
	assert_int_equal(pgo_buf_check(&b, "the report", &err), PGO_ELIMIT);
	assert_has(err.msg, "the report");
	assert_has(err.msg, "10 bytes");
	pgo_buf_fini(&b);
}

static void spare_room_is_not_a_way_past_the_maximum(void **state)
{
	struct pgo_buf b;

	(void)state;
	/* The first block has 64 bytes of room, more than the maximum. */
	pgo_buf_init(&b, 10);
	pgo_buf_puts(&b, "01234");
	pgo_buf_puts(&b, "0123456");
	assert_true(b.failed);
	pgo_buf_fini(&b);
	pgo_buf_init(&b, 10);
	assert_null(pgo_buf_reserve(&b, 11));
	pgo_buf_fini(&b);
	pgo_buf_init(&b, SIZE_MAX);
	assert_null(pgo_buf_reserve(&b, SIZE_MAX));
	assert_true(b.failed);
	pgo_buf_fini(&b);
}

static void failure_sticks_until_cleared(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf b;

	(void)state;
	pgo_buf_init(&b, 1000);
	pgo_alloc_fail_after(0);
	pgo_buf_puts(&b, "lost");
	pgo_alloc_fail_after(UINT64_MAX);
	pgo_buf_puts(&b, "ignored");
	assert_true(b.failed);
	assert_int_equal(pgo_buf_check(&b, "x", &err), PGO_ENOMEM);
	pgo_buf_clear(&b);
	pgo_buf_puts(&b, "again");
	assert_int_equal(pgo_buf_check(&b, "x", &err), 0);
	assert_string_equal(b.data, "again");
	pgo_buf_fini(&b);
}

static void nothing_is_a_legal_append(void **state)
{
	struct pgo_buf b;

	(void)state;
	pgo_buf_init(&b, 0);
	pgo_buf_add(&b, NULL, 0);
	pgo_buf_puts(&b, "");
	assert_false(b.failed);
	assert_string_equal(b.data, "");
	pgo_buf_fini(&b);
}

static void growth_keeps_content_and_the_closing_nul(void **state)
{
	struct pgo_buf b;

	(void)state;
	pgo_buf_init(&b, 1 << 20);
	for (int i = 0; i < 100000; i++) {
		pgo_buf_putc(&b, (char)('a' + i % 26));
		assert_int_equal(b.data[b.len], 0);
	}
	for (int i = 0; i < 100000; i++)
		assert_int_equal(b.data[i], 'a' + i % 26);
	pgo_buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_of_every_kind_arrive_in_order),
		cmocka_unit_test(varints_are_base_128_low_bits_first),
		cmocka_unit_test(the_maximum_may_be_reached_but_not_passed),
		cmocka_unit_test(spare_room_is_not_a_way_past_the_maximum),
		cmocka_unit_test(failure_sticks_until_cleared),
		cmocka_unit_test(nothing_is_a_legal_append),
		cmocka_unit_test(growth_keeps_content_and_the_closing_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
