/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/pbwire.h"
#include "pgo/core/alloc.h"
#include "tests/lib/scratch.h"

#include <string.h>

static struct pgo_buf made(void)
{
	struct pgo_buf b;

	pgo_buf_init(&b, 1 << 20);
	return b;
}

static void fields_are_written_as_the_format_has_them(void **state)
{
	/* Bytes by hand: 08 96 01 is the format's own example of field 1 = 150. */
	static const uint8_t want[] = {0x08, 0x96, 0x01, 0x12, 0x02, 'h', 'i', 0x19, 0, 0, 0, 0, 0,
		0, 0xf8, 0x3f, 0xa2, 0x06, 0x00};
	struct pgo_buf b = made();

	(void)state;
	pgo_pb_int(&b, 1, 150);
	pgo_pb_int(&b, 7, 0);
	pgo_pb_string(&b, 2, "hi");
	pgo_pb_string(&b, 7, "");
	pgo_pb_double(&b, 3, 1.5);
	pgo_pb_double(&b, 7, 0.0);
	pgo_pb_bytes(&b, 100, NULL, 0);
	assert_false(b.failed);
	assert_int_equal(b.len, sizeof want);
	assert_memory_equal(b.data, want, sizeof want);
	pgo_buf_fini(&b);
}

static void a_nested_message_of_any_length_gets_its_length(void **state)
{
	static const size_t lengths[] = {0, 1, 120, 126, 127, 128, 129, 16383, 16384, 70000};

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		struct pgo_buf b = made();
		struct pgo_wire_field f, in;
		struct pgo_wire w;
		size_t outer = pgo_pb_open(&b, 2), inner = pgo_pb_open(&b, 3);

		for (size_t k = 0; k < lengths[i]; k++)
			pgo_buf_putc(&b, (char)('a' + k % 26));
		pgo_pb_close(&b, inner);
		pgo_pb_int(&b, 4, -1);
		pgo_pb_close(&b, outer);
		w = pgo_pb_wire(b.data, b.len);
		assert_true(pgo_wire_next(&w, &f));
		assert_true(pgo_pb_is(&f, 2, PGO_WIRE_BYTES));
		assert_ptr_equal(w.p, w.end);
		assert_true(pgo_wire_next(&f.in, &in));
		assert_true(pgo_pb_is(&in, 3, PGO_WIRE_BYTES));
		assert_int_equal(in.in.end - in.in.p, lengths[i]);
		if (lengths[i] != 0)
			assert_int_equal(in.in.end[-1], 'a' + (lengths[i] - 1) % 26);
		assert_true(pgo_wire_next(&f.in, &in));
		assert_true(pgo_pb_is(&in, 4, PGO_WIRE_VARINT));
		assert_int_equal((int64_t)in.v, -1);
		pgo_buf_fini(&b);
	}
}

static void doubles_and_strings_come_back(void **state)
{
	struct pgo_buf b = made();
	struct pgo_wire_field f;
	struct pgo_wire w;
	char *text;

	(void)state;
	pgo_pb_double(&b, 1, -2.25e30);
	pgo_pb_bytes(&b, 2, "a\0b", 3);
	w = pgo_pb_wire(b.data, b.len);
	assert_true(pgo_wire_next(&w, &f));
	assert_true(pgo_pb_as_double(&f) == -2.25e30);
	assert_true(pgo_wire_next(&w, &f));
	text = pgo_pb_as_string(&f);
	assert_string_equal(text, "a");
	pgo_free(text);
	pgo_buf_fini(&b);
	w = pgo_pb_wire(NULL, 0);
	assert_ptr_equal(w.p, w.end);
}

static void a_message_over_the_limit_fails_once_and_stays_failed(void **state)
{
	struct pgo_buf b;
	size_t at;

	(void)state;
	pgo_buf_init(&b, 8);
	at = pgo_pb_open(&b, 1);
	pgo_pb_string(&b, 1, "far too long");
	pgo_pb_close(&b, at);
	pgo_pb_int(&b, 2, 1);
	assert_true(b.failed && b.over);
	pgo_buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_written_as_the_format_has_them),
		cmocka_unit_test(a_nested_message_of_any_length_gets_its_length),
		cmocka_unit_test(doubles_and_strings_come_back),
		cmocka_unit_test(a_message_over_the_limit_fails_once_and_stays_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
