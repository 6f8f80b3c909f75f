/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"
#include "pgo/core/map.h"
#include "pgo/core/vec.h"
#include "tests/lib/scratch.h"

#include <string.h>

struct row {
	uint64_t key;
	uint64_t value;
};

static void every_key_is_found_at_its_own_index(void **state)
{
	struct pgo_map m;
	struct row *rows = NULL;
	size_t n = 0, room = 0;

	(void)state;
	pgo_map_init(&m);
	for (uint64_t i = 0; i < 100000; i++) {
		uint64_t key = i * 0x9e3779b97f4a7c15u;
		struct row *r;

		assert_int_equal(
			pgo_map_find_key(&m, rows, sizeof *rows, &key, sizeof key), PGO_MAP_NONE);
		r = PGO_VEC_PUSH(rows, n, room);
		r->key = key;
		assert_int_equal(pgo_map_add_key(&m, &key, sizeof key, (uint32_t)i), 0);
	}
	for (uint64_t i = 0; i < 100000; i++) {
		uint64_t key = i * 0x9e3779b97f4a7c15u;
		uint64_t other = key + 1;

		assert_int_equal(pgo_map_find_key(&m, rows, sizeof *rows, &key, sizeof key), i);
		assert_int_equal(pgo_map_find_key(&m, rows, sizeof *rows, &other, sizeof other),
			PGO_MAP_NONE);
	}
	assert_int_equal(m.n_used, 100000);
	/* Eight bytes a slot, between 5/16 and 5/8 full. */
	assert_int_equal(sizeof *m.slots, 8);
	assert_true(m.n_used * 8 <= m.n_slots * 5 && m.n_used * 16 > m.n_slots * 5);
	pgo_map_fini(&m);
	pgo_free(rows);
}

static bool same_word(const void *ctx, uint32_t index, const void *key)
{
	return strcmp(((const char *const *)ctx)[index], key) == 0;
}

static void equal_hashes_do_not_make_keys_equal(void **state)
{
	static const char *const words[] = {"alpha", "beta", "gamma", "delta"};
	struct pgo_map m;

	(void)state;
	pgo_map_init(&m);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(pgo_map_add(&m, 42, i), 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(pgo_map_find(&m, 42, same_word, words, words[i]), i);
	assert_int_equal(pgo_map_find(&m, 42, same_word, words, "epsilon"), PGO_MAP_NONE);
	/* Only the low half decides the slot, so these two hashes are one. */
	assert_int_equal(pgo_map_find(&m, 42 | (uint64_t)1 << 40, same_word, words, "alpha"), 0);
	pgo_map_fini(&m);
}

static void chains_run_past_the_end_of_the_table(void **state)
{
	static const char *const words[] = {"a", "b", "c", "d", "e"};
	struct pgo_map m;

	(void)state;
	pgo_map_init(&m);
	/* 64 slots at first: all of these start in the last one. */
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(pgo_map_add(&m, 63 + 64 * (uint64_t)i, i), 0);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(
			pgo_map_find(&m, 63 + 64 * (uint64_t)i, same_word, words, words[i]), i);
	pgo_map_fini(&m);
}

static void an_empty_map_finds_nothing(void **state)
{
	struct pgo_map m;
	uint64_t key = 0;

	(void)state;
	pgo_map_init(&m);
	assert_int_equal(pgo_map_find_key(&m, NULL, 8, &key, sizeof key), PGO_MAP_NONE);
	assert_int_equal(pgo_map_add(&m, 1, PGO_MAP_NONE), -1);
	pgo_map_fini(&m);
}

static void a_failed_growth_loses_nothing(void **state)
{
	struct pgo_map m;
	uint64_t keys[64];
	uint32_t n = 0;

	(void)state;
	pgo_map_init(&m);
	for (; n < 40; n++) {
		keys[n] = n;
		assert_int_equal(pgo_map_add_key(&m, &keys[n], 8, n), 0);
	}
	pgo_alloc_fail_after(0);
	keys[n] = n;
	assert_int_equal(pgo_map_add_key(&m, &keys[n], 8, n), -1);
	pgo_alloc_fail_after(UINT64_MAX);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(pgo_map_find_key(&m, keys, 8, &keys[i], 8), i);
	assert_int_equal(pgo_map_find_key(&m, keys, 8, &keys[n], 8), PGO_MAP_NONE);
	assert_int_equal(pgo_map_add_key(&m, &keys[n], 8, n), 0);
	assert_int_equal(pgo_map_find_key(&m, keys, 8, &keys[n], 8), n);
	pgo_map_fini(&m);
}

static void the_integer_hash_spreads_neighbours(void **state)
{
	uint32_t buckets[256] = {0};

	(void)state;
	for (uint64_t i = 0; i < 65536; i++)
		buckets[pgo_hash_u64(i * 16) & 255]++;
	for (int i = 0; i < 256; i++)
		assert_in_range(buckets[i], 150, 370);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_is_found_at_its_own_index),
		cmocka_unit_test(equal_hashes_do_not_make_keys_equal),
		cmocka_unit_test(chains_run_past_the_end_of_the_table),
		cmocka_unit_test(an_empty_map_finds_nothing),
		cmocka_unit_test(a_failed_growth_loses_nothing),
		cmocka_unit_test(the_integer_hash_spreads_neighbours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
