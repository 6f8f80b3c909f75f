/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/sha256.h"
#include "tests/lib/scratch.h"

#include <string.h>

static void digest(const void *data, size_t len, size_t step, char ret[65])
{
	struct pgo_sha256 s;
	uint8_t raw[32];

	pgo_sha256_init(&s);
	for (size_t at = 0; at < len; at += step)
		pgo_sha256_add(&s, (const char *)data + at, len - at < step ? len - at : step);
	pgo_sha256_final(&s, raw);
	pgo_sha256_hex(raw, ret);
}

static void the_published_examples_come_out(void **state)
{
	/* The examples of FIPS 180-4 and the empty message. */
	static const struct {
		const char *text, *hex;
	} rows[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
			"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
		{"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopq"
		 "klmnopqrlmnopqrsmnopqrstnopqrstu",
			"cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
	};
	char hex[65];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		digest(rows[i].text, strlen(rows[i].text), 1000, hex);
		assert_string_equal(hex, rows[i].hex);
	}
}

static void a_million_letters_come_out(void **state)
{
	static char text[1000000];
	char hex[65];

	(void)state;
	memset(text, 'a', sizeof text);
	digest(text, sizeof text, sizeof text, hex);
	assert_string_equal(
		hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void the_instructions_of_this_machine_do_what_plain_c_does(void **state)
{
	struct pgo_sha256 s, plain;
	uint8_t block[64];

	(void)state;
	pgo_sha256_init(&s);
	plain = s;
	for (uint32_t round = 0; round < 500; round++) {
		for (size_t i = 0; i < sizeof block; i++)
			block[i] = (uint8_t)(s.h[i % 8] >> (i % 25) ^ round * i);
		pgo_sha256_add(&s, block, sizeof block);
		pgo_sha256_block_plain(plain.h, block);
		assert_memory_equal(s.h, plain.h, sizeof s.h);
	}
}

static void pieces_do_not_matter(void **state)
{
	unsigned char data[300];
	char whole[65], pieces[65];

	(void)state;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)(i * 7);
	for (size_t len = 0; len <= sizeof data; len++) {
		digest(data, len, 1000, whole);
		for (size_t step = 1; step < 130; step += 9) {
			digest(data, len, step, pieces);
			assert_string_equal(pieces, whole);
		}
	}
}

static void files_are_digested_as_they_are(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	char *path = scratch_file(*state, "f", "abc", 3);
	char hex[65];

	assert_int_equal(pgo_sha256_file(path, hex, &err), 0);
	assert_string_equal(
		hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(pgo_sha256_file(scratch_path(*state, "none"), hex, &err), PGO_EIO);
	assert_has(err.msg, "none: cannot be opened");
	assert_int_equal(pgo_sha256_file(scratch_dir(*state), hex, &err), PGO_EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_examples_come_out),
		cmocka_unit_test(a_million_letters_come_out),
		cmocka_unit_test(the_instructions_of_this_machine_do_what_plain_c_does),
		cmocka_unit_test(pieces_do_not_matter),
		cmocka_unit_test_setup_teardown(
			files_are_digested_as_they_are, scratch_up, scratch_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
