/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"
#include "pgo/core/arena.h"
#include "pgo/core/vec.h"
#include "tests/lib/scratch.h"

#include <string.h>

static void blocks_are_aligned_distinct_and_freed_together(void **state)
{
	uint64_t live = pgo_alloc_live();
	struct pgo_arena a;
	unsigned char *p[500];

	(void)state;
	pgo_arena_init(&a, SIZE_MAX);
	for (size_t i = 0; i < 500; i++) {
		p[i] = pgo_arena_alloc(&a, i * 7);
		assert_non_null(p[i]);
		assert_int_equal((uintptr_t)p[i] % 16, 0);
		memset(p[i], (int)i, i * 7);
	}
	for (size_t i = 0; i < 500; i++)
		for (size_t k = 0; k < i * 7; k++)
			assert_int_equal(p[i][k], i & 0xff);
	pgo_arena_fini(&a);
	assert_int_equal(pgo_alloc_live(), live);
}

static void the_budget_is_a_hard_limit(void **state)
{
	struct pgo_arena a;
	size_t got = 0;

	(void)state;
	pgo_arena_init(&a, 100000);
	while (pgo_arena_alloc(&a, 64) != NULL)
		got += 64;
	assert_true(got <= 100000);
	/* Not a waste either: nearly all of it can be had. */
	assert_true(got > 99000);
	assert_true(a.used <= a.budget);
	pgo_arena_fini(&a);
	assert_null(pgo_arena_alloc(&a, 100001));
	assert_non_null(pgo_arena_alloc(&a, 99984));
	assert_null(pgo_arena_alloc(&a, 64));
	pgo_arena_fini(&a);
}

static void absurd_sizes_are_refused(void **state)
{
	struct pgo_arena a;

	(void)state;
	pgo_arena_init(&a, SIZE_MAX);
	assert_null(pgo_arena_alloc(&a, SIZE_MAX));
	assert_null(pgo_arena_alloc(&a, SIZE_MAX - 15));
	assert_null(pgo_arena_zalloc(&a, SIZE_MAX / 2, 4));
	assert_null(pgo_arena_strndup(&a, "", SIZE_MAX));
	pgo_arena_fini(&a);
}

static void zalloc_gives_zeroes_even_from_used_memory(void **state)
{
	static const char zero[512];
	struct pgo_arena a;
	void *p;

	(void)state;
	pgo_arena_init(&a, SIZE_MAX);
	p = pgo_arena_alloc(&a, 1024);
	assert_non_null(p);
	memset(p, 0xff, 1024);
	pgo_arena_reset(&a);
	p = pgo_arena_zalloc(&a, 64, 8);
	assert_non_null(p);
	assert_memory_equal(p, zero, 512);
	pgo_arena_fini(&a);
}

static void reset_keeps_one_block_and_the_budget(void **state)
{
	struct pgo_arena a;

	(void)state;
	pgo_arena_init(&a, 64 << 10);
	for (int round = 0; round < 1000; round++) {
		size_t n = 0;

		while (pgo_arena_alloc(&a, 1000) != NULL)
			n++;
		/* Whatever was kept, a round never starves. */
		assert_true(n >= 30);
		pgo_arena_reset(&a);
		assert_true(a.used <= a.budget);
	}
	pgo_arena_fini(&a);
	pgo_arena_reset(&a);
}

static void copies_are_terminated_and_keep_inner_nuls(void **state)
{
	struct pgo_arena a;
	char *s;

	(void)state;
	pgo_arena_init(&a, SIZE_MAX);
	s = pgo_arena_strndup(&a, "ab\0cd", 5);
	assert_memory_equal(s, "ab\0cd\0", 6);
	s = pgo_arena_strndup(&a, NULL, 0);
	assert_string_equal(s, "");
	pgo_arena_fini(&a);
}

static void a_refused_allocation_leaves_the_arena_usable(void **state)
{
	struct pgo_arena a;

	(void)state;
	pgo_arena_init(&a, SIZE_MAX);
	assert_non_null(pgo_arena_alloc(&a, 4000));
	pgo_alloc_fail_after(0);
	assert_null(pgo_arena_alloc(&a, 100000));
	pgo_alloc_fail_after(UINT64_MAX);
	assert_non_null(pgo_arena_alloc(&a, 100000));
	pgo_arena_fini(&a);
}

static void arrays_refuse_products_that_overflow(void **state)
{
	uint64_t *v = NULL;
	size_t n = 0, room = 0;
	uint64_t *slot;

	(void)state;
	assert_null(pgo_realloc_array(NULL, SIZE_MAX / 4, 8));
	assert_int_equal(PGO_VEC_RESERVE(v, room, SIZE_MAX / 4), -1);
	assert_null(v);
	for (uint64_t i = 0; i < 1000; i++) {
		slot = PGO_VEC_PUSH(v, n, room);
		assert_non_null(slot);
		assert_int_equal(*slot, 0);
		*slot = i;
	}
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(v[i], i);
	pgo_free(v);
}

static void strings_are_formatted_and_counted(void **state)
{
	uint64_t live = pgo_alloc_live();
	char *s = pgo_asprintf("%s-%d", "a", 7);
	char *t = pgo_strndup("abcdef", 3);

	(void)state;
	assert_string_equal(s, "a-7");
	assert_string_equal(t, "abc");
	assert_int_equal(pgo_alloc_live(), live + 2);
	pgo_free(s);
	pgo_free(t);
	pgo_free(NULL);
	assert_int_equal(pgo_alloc_live(), live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_aligned_distinct_and_freed_together),
		cmocka_unit_test(the_budget_is_a_hard_limit),
		cmocka_unit_test(absurd_sizes_are_refused),
		cmocka_unit_test(zalloc_gives_zeroes_even_from_used_memory),
		cmocka_unit_test(reset_keeps_one_block_and_the_budget),
		cmocka_unit_test(copies_are_terminated_and_keep_inner_nuls),
		cmocka_unit_test(a_refused_allocation_leaves_the_arena_usable),
		cmocka_unit_test(arrays_refuse_products_that_overflow),
		cmocka_unit_test(strings_are_formatted_and_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
