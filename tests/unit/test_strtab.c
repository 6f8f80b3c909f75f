/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"
#include "pgo/core/strtab.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <string.h>

static void ids_are_dense_and_in_order_of_appearance(void **state)
{
	struct pgo_strtab t;

	(void)state;
	assert_int_equal(pgo_strtab_init(&t, SIZE_MAX), 0);
	assert_int_equal(pgo_strtab_puts(&t, ""), 0);
	assert_int_equal(pgo_strtab_puts(&t, "main"), 1);
	assert_int_equal(pgo_strtab_puts(&t, "parse"), 2);
	assert_int_equal(pgo_strtab_puts(&t, "main"), 1);
	assert_int_equal(t.n_strs, 3);
	assert_string_equal(pgo_strtab_get(&t, 2), "parse");
	assert_string_equal(pgo_strtab_get(&t, 3), "");
	assert_string_equal(pgo_strtab_get(&t, PGO_STR_NONE), "");
	pgo_strtab_fini(&t);
}

static void strings_with_inner_nuls_differ(void **state)
{
	struct pgo_strtab t;
	uint32_t a, b;

	(void)state;
	assert_int_equal(pgo_strtab_init(&t, SIZE_MAX), 0);
	a = pgo_strtab_add(&t, "x\0a", 3);
	b = pgo_strtab_add(&t, "x\0b", 3);
	assert_int_not_equal(a, b);
	assert_int_not_equal(a, pgo_strtab_puts(&t, "x"));
	assert_int_equal(pgo_strtab_find(&t, "x\0b", 3), b);
	assert_int_equal(pgo_strtab_find(&t, "x\0c", 3), PGO_STR_NONE);
	assert_int_equal(t.strs[a].len, 3);
	pgo_strtab_fini(&t);
}

static void texts_stay_where_they_are(void **state)
{
	struct pgo_strtab t;
	const char *first;
	char name[32];

	(void)state;
	assert_int_equal(pgo_strtab_init(&t, SIZE_MAX), 0);
	first = pgo_strtab_get(&t, pgo_strtab_puts(&t, "first"));
	for (int i = 0; i < 50000; i++) {
		snprintf(name, sizeof name, "function_%d", i);
		assert_int_equal(pgo_strtab_puts(&t, name), i + 2);
	}
	assert_ptr_equal(pgo_strtab_get(&t, 1), first);
	for (int i = 0; i < 50000; i++) {
		snprintf(name, sizeof name, "function_%d", i);
		assert_int_equal(pgo_strtab_find(&t, name, strlen(name)), i + 2);
	}
	pgo_strtab_fini(&t);
}

static void past_the_budget_known_strings_still_work(void **state)
{
	uint64_t live = pgo_alloc_live();
	struct pgo_strtab t;
	char name[32];
	int n = 0;

	(void)state;
	assert_int_equal(pgo_strtab_init(&t, 10000), 0);
	for (;; n++) {
		snprintf(name, sizeof name, "function_%d", n);
		if (pgo_strtab_puts(&t, name) == PGO_STR_NONE)
			break;
	}
	assert_in_range(n, 100, 700);
	assert_int_equal(pgo_strtab_puts(&t, "function_0"), 1);
	assert_int_equal(pgo_strtab_find(&t, name, strlen(name)), PGO_STR_NONE);
	pgo_strtab_fini(&t);
	assert_int_equal(pgo_alloc_live(), live);
}

static void no_allocation_failure_leaks_or_lies(void **state)
{
	uint64_t live = pgo_alloc_live();

	(void)state;
	for (uint64_t n = 0; n < 12; n++) {
		struct pgo_strtab t;
		uint32_t id;

		pgo_alloc_fail_after(n);
		if (pgo_strtab_init(&t, SIZE_MAX) < 0) {
			pgo_alloc_fail_after(UINT64_MAX);
			assert_int_equal(pgo_alloc_live(), live);
			continue;
		}
		id = pgo_strtab_puts(&t, "name");
		pgo_alloc_fail_after(UINT64_MAX);
		if (id == PGO_STR_NONE)
			assert_int_equal(pgo_strtab_find(&t, "name", 4), PGO_STR_NONE);
		assert_int_equal(pgo_strtab_puts(&t, "name"), 1);
		pgo_strtab_fini(&t);
		assert_int_equal(pgo_alloc_live(), live);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_dense_and_in_order_of_appearance),
		cmocka_unit_test(strings_with_inner_nuls_differ),
		cmocka_unit_test(texts_stay_where_they_are),
		cmocka_unit_test(past_the_budget_known_strings_still_work),
		cmocka_unit_test(no_allocation_failure_leaks_or_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
