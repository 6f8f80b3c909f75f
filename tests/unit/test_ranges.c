/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/ranges.h"
#include "tests/lib/scratch.h"

static void add(struct pgo_ranges *r, uint64_t source, uint64_t target, uint64_t end, uint64_t n,
	uint64_t mispreds, uint64_t executions)
{
	struct pgo_trace t = {source, target, end, n, mispreds, executions, 0};

	assert_int_equal(pgo_ranges_add(r, &t), 0);
}

static void equal_traces_are_summed(void **state)
{
	struct pgo_ranges r;

	(void)state;
	pgo_ranges_init(&r);
	add(&r, 10, 20, 30, 5, 1, 0);
	add(&r, 10, 20, 31, 7, 0, 0);
	add(&r, 10, 20, 30, 2, 2, 0);
	pgo_ranges_sort(&r, false);
	assert_int_equal(r.n_traces, 2);
	assert_int_equal(r.traces[0].count, 7);
	assert_int_equal(r.traces[0].mispreds, 3);
	assert_int_equal(r.traces[1].count, 7);
	pgo_ranges_fini(&r);
}

static void order_is_by_target_end_source_whatever_the_input(void **state)
{
	static const uint64_t key[][3] = {{9, 1, 2}, {1, 1, 3}, {PGO_AT_NONE, 1, 2},
		{PGO_AT_OUTSIDE, 5, PGO_AT_NONE}, {3, 5, 6}, {4, PGO_AT_OUTSIDE, PGO_AT_NONE}};
	static const size_t want[] = {0, 2, 1, 4, 3, 5};

	(void)state;
	for (size_t rot = 0; rot < 6; rot++) {
		struct pgo_ranges r;

		pgo_ranges_init(&r);
		for (size_t i = 0; i < 6; i++) {
			const uint64_t *k = key[(i * 5 + rot) % 6];

			add(&r, k[0], k[1], k[2], 1, 0, 0);
		}
		pgo_ranges_sort(&r, false);
		for (size_t i = 0; i < 6; i++) {
			assert_true(r.traces[i].source == key[want[i]][0]);
			assert_true(r.traces[i].target == key[want[i]][1]);
			assert_true(r.traces[i].end == key[want[i]][2]);
		}
		pgo_ranges_fini(&r);
	}
}

static void executions_replace_counts_and_scale_mispredictions(void **state)
{
	struct pgo_ranges r;

	(void)state;
	pgo_ranges_init(&r);
	add(&r, 10, 20, 30, 100, 25, 1000);
	add(&r, 10, 20, PGO_AT_NONE, 3, 1, 0); /* the newest entry of a ring says nothing more */
	pgo_ranges_sort(&r, true);
	assert_int_equal(r.n_traces, 1);
	assert_int_equal(r.traces[0].count, 1000);
	assert_int_equal(r.traces[0].mispreds, 250);
	pgo_ranges_fini(&r);
}

static void counts_saturate(void **state)
{
	struct pgo_ranges r;

	(void)state;
	pgo_ranges_init(&r);
	add(&r, 1, 2, 3, UINT64_MAX - 1, UINT64_MAX, 0);
	add(&r, 1, 2, 3, 5, 5, 0);
	assert_int_equal(pgo_ranges_add_ip(&r, 7, UINT64_MAX), 0);
	assert_int_equal(pgo_ranges_add_ip(&r, 7, 1), 0);
	pgo_ranges_sort(&r, false);
	assert_true(r.traces[0].count == UINT64_MAX);
	assert_true(r.traces[0].mispreds == UINT64_MAX);
	assert_true(r.ips[0].count == UINT64_MAX);
	pgo_ranges_fini(&r);
}

static void many_keys_are_kept_apart(void **state)
{
	struct pgo_ranges r;

	(void)state;
	pgo_ranges_init(&r);
	for (int pass = 0; pass < 2; pass++) {
		for (uint64_t i = 0; i < 20000; i++)
			add(&r, i * 7, i % 100, i, i, 0, 0);
	}
	pgo_ranges_sort(&r, false);
	assert_int_equal(r.n_traces, 20000);
	for (size_t i = 0; i < r.n_traces; i++) {
		assert_int_equal(r.traces[i].count, 2 * r.traces[i].end);
		assert_true(i == 0 || r.traces[i - 1].target <= r.traces[i].target);
	}
	pgo_ranges_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_traces_are_summed),
		cmocka_unit_test(order_is_by_target_end_source_whatever_the_input),
		cmocka_unit_test(executions_replace_counts_and_scale_mispredictions),
		cmocka_unit_test(counts_saturate),
		cmocka_unit_test(many_keys_are_kept_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
