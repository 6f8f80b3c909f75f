/* SPDX-License-Identifier: Apache-2.0 */
/* The source-level profile: building, merging, order, summary. */
#include "convert/fnprof.h"
#include "pgo/core/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t rng_state;

static uint64_t rng(void)
{
	rng_state += 0x9e3779b97f4a7c15u;
	return pgo_hash_u64(rng_state);
}

static uint32_t str(struct pgo_fnprof *p, const char *s)
{
	return pgo_strtab_puts(&p->strs, s);
}

/* A plain table is the model: every update is also made there, and at the end both must agree. */
static void test_a_million_random_updates_equal_a_plain_table(void **state)
{
	enum { FNS = 7, LINES = 300, DISCS = 3, N = 1000000 };
	static uint64_t max[FNS][LINES][DISCS];
	static bool seen[FNS][LINES][DISCS];
	struct pgo_fnprof *p = pgo_fnprof_new(NULL);
	struct pgo_fn *f[FNS];
	size_t n_seen[FNS] = {0};

	(void)state;
	rng_state = 1;
	for (int i = 0; i < FNS; i++) {
		char name[16];

		snprintf(name, sizeof name, "f%d", i);
		f[i] = pgo_fnprof_fn(p, str(p, name));
	}
	for (int i = 0; i < N; i++) {
		uint64_t r = rng();
		unsigned fn = r % FNS, line = (r >> 8) % LINES, disc = (r >> 24) % DISCS;
		uint64_t count = r >> 40;

		assert_int_equal(pgo_fn_pos_max(p, f[fn], line, disc, count), 0);
		n_seen[fn] += !seen[fn][line][disc];
		seen[fn][line][disc] = true;
		if (count > max[fn][line][disc])
			max[fn][line][disc] = count;
		if (i == N / 2)
			pgo_fnprof_sort(p); /* must not lose the way to any position */
	}
	pgo_fnprof_sort(p);
	for (int i = 0; i < FNS; i++) {
		assert_int_equal(f[i]->n_pos, n_seen[i]);
		for (uint32_t k = 0; k < f[i]->n_pos; k++) {
			struct pgo_fn_pos *x = &f[i]->pos[k];

			assert_int_equal(x->count, max[i][x->line][x->disc]);
			if (k > 0)
				assert_true(x[-1].line < x->line ||
					    (x[-1].line == x->line && x[-1].disc < x->disc));
		}
	}
	pgo_fnprof_free(p);
}

static void test_functions_are_found_by_name_before_and_after_sorting(void **state)
{
	struct pgo_fnprof *p = pgo_fnprof_new(NULL);
	char name[16];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "fn%d", i);
		pgo_fnprof_fn(p, str(p, name))->total = (uint64_t)(i * 7919 % 1000);
	}
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 1000; i++) {
			struct pgo_fn *f;

			snprintf(name, sizeof name, "fn%d", i);
			f = pgo_fnprof_find(p, name);
			assert_non_null(f);
			assert_int_equal(f->total, i * 7919 % 1000);
			assert_ptr_equal(pgo_fnprof_fn(p, str(p, name)), f);
		}
		pgo_fnprof_sort(p);
	}
	assert_int_equal(p->n_fns, 1000);
	assert_int_equal(p->fns[0]->total, 999);
	assert_null(pgo_fnprof_find(p, "absent"));
	pgo_fnprof_free(p);
}

static void test_statics_of_different_files_are_different_records(void **state)
{
	struct pgo_fnprof *p = pgo_fnprof_new(NULL);
	uint32_t work = str(p, "work");
	struct pgo_fn *a = pgo_fnprof_fn_of_file(p, work, str(p, "a.c"));
	struct pgo_fn *b = pgo_fnprof_fn_of_file(p, work, str(p, "b.c"));

	(void)state;
	assert_ptr_not_equal(a, b);
	assert_ptr_equal(pgo_fnprof_fn_of_file(p, work, str(p, "a.c")), a);
	pgo_fnprof_sort(p);
	assert_ptr_equal(pgo_fnprof_find(p, "work"), a);
	pgo_fnprof_free(p);
}

static void test_inlined_records_are_keyed_by_line_discriminator_and_callee(void **state)
{
	struct pgo_fnprof *p = pgo_fnprof_new(NULL);
	struct pgo_fn *f = pgo_fnprof_fn(p, str(p, "f"));
	struct pgo_fn *made[40][2][2];

	(void)state;
	for (unsigned l = 0; l < 40; l++)
		for (unsigned d = 0; d < 2; d++)
			for (unsigned c = 0; c < 2; c++)
				made[l][d][c] =
					pgo_fn_inlined(p, f, 39 - l, d, str(p, c ? "x" : "y"));
	assert_int_equal(f->n_calls, 160);
	for (int round = 0; round < 2; round++) {
		for (unsigned l = 0; l < 40; l++)
			for (unsigned d = 0; d < 2; d++)
				for (unsigned c = 0; c < 2; c++)
					assert_ptr_equal(pgo_fn_inlined(p, f, 39 - l, d,
								 str(p, c ? "x" : "y")),
						made[l][d][c]);
		pgo_fnprof_sort(p);
	}
	assert_int_equal(f->calls[0].line, 0);
	assert_string_equal(pgo_fnprof_str(p, f->calls[0].callee->name), "x");
	assert_string_equal(pgo_fnprof_str(p, f->calls[1].callee->name), "y");
	assert_null(pgo_fn_inlined_find(f, 40, 0, str(p, "x")));
	pgo_fnprof_free(p);
}

static void test_line_offsets_are_modulo_65536(void **state)
{
	struct pgo_fnprof *p = pgo_fnprof_new(NULL);
	struct pgo_fn *f = pgo_fnprof_fn(p, str(p, "f"));

	(void)state;
	assert_int_equal(pgo_fn_pos_max(p, f, (uint32_t)-16, 0, 1), 0);
	assert_int_equal(f->pos[0].line, 65520);
	assert_int_equal(pgo_fn_pos_max(p, f, 65520 + 65536, 0, 5), 0);
	assert_int_equal(f->n_pos, 1);
	assert_int_equal(f->pos[0].count, 5);
	pgo_fnprof_free(p);
}

static void test_nesting_stops_at_its_limit(void **state)
{
	struct pgo_fnprof *p = pgo_fnprof_new(NULL);
	struct pgo_fn *f = pgo_fnprof_fn(p, str(p, "f"));
	int depth = 0;

	(void)state;
	for (struct pgo_fn *g; (g = pgo_fn_inlined(p, f, 1, 0, str(p, "f"))) != NULL; f = g)
		depth++;
	assert_int_equal(depth, PGO_FN_DEPTH_MAX);
	pgo_fnprof_free(p);
}

static void test_targets_add_up_few_or_many(void **state)
{
	struct pgo_fnprof *p = pgo_fnprof_new(NULL);
	struct pgo_fn *f = pgo_fnprof_fn(p, str(p, "f"));
	struct pgo_fn_target t[2000];
	uint64_t sum = 0;
	char name[16];

	(void)state;
	assert_int_equal(pgo_fn_target_add(p, f, 3, 1, str(p, "t1"), 4), 0);
	assert_int_equal(pgo_fn_target_add(p, f, 3, 1, str(p, "t1"), 5), 0);
	assert_int_equal(f->pos[0].n_targets, 1);
	assert_int_equal(f->pos[0].targets[0].count, 9);
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(name, sizeof name, "t%u", i % 500);
		t[i] = (struct pgo_fn_target){str(p, name), i};
		sum += i;
	}
	assert_int_equal(pgo_fn_targets_add(p, &f->pos[0], t, 2000), 0);
	assert_int_equal(f->pos[0].n_targets, 500);
	pgo_fnprof_sort(p);
	for (uint32_t i = 0; i < 500; i++) {
		sum -= f->pos[0].targets[i].count;
		if (i > 0)
			assert_true(f->pos[0].targets[i - 1].count >= f->pos[0].targets[i].count);
	}
	assert_int_equal(sum, -9); /* the nine of before are in there too */
	pgo_fnprof_free(p);
}

static void test_merging_weighs_and_sums_everything_below(void **state)
{
	struct pgo_fnprof *p = pgo_fnprof_new(NULL), *q = pgo_fnprof_new(NULL);
	struct pgo_fn *f = pgo_fnprof_fn(q, str(q, "f"));
	struct pgo_fn *g = pgo_fn_inlined(q, f, 5, 2, str(q, "g"));
	struct pgo_fn *into;

	(void)state;
	str(p, "something else"); /* so that ids differ between the two */
	f->total = 100;
	f->head = 3;
	g->total = 40;
	assert_int_equal(pgo_fn_pos_add(q, f, 1, 0, 10), 0);
	assert_int_equal(pgo_fn_target_add(q, f, 1, 0, str(q, "h"), 7), 0);
	assert_int_equal(pgo_fn_pos_add(q, g, 2, 1, 8), 0);
	into = pgo_fnprof_fn(p, str(p, "f"));
	assert_int_equal(pgo_fn_merge(p, into, q, f, 2), 0);
	assert_int_equal(pgo_fn_merge(p, into, q, f, 1), 0);
	assert_int_equal(into->total, 300);
	assert_int_equal(into->head, 9);
	assert_int_equal(pgo_fn_position_find(into, 1, 0)->count, 30);
	assert_int_equal(into->pos[0].targets[0].count, 21);
	assert_string_equal(pgo_fnprof_str(p, into->pos[0].targets[0].name), "h");
	g = pgo_fn_inlined_find(into, 5, 2, str(p, "g"));
	assert_int_equal(g->total, 120);
	assert_int_equal(g->pos[0].count, 24);
	assert_int_equal(pgo_fn_position_sum(into), 54);
	assert_int_equal(pgo_fn_merge(p, into, q, f, UINT64_MAX), 0);
	assert_true(into->total == UINT64_MAX);
	assert_true(into->pos[0].count == UINT64_MAX);
	pgo_fnprof_free(p);
	pgo_fnprof_free(q);
}

static void test_the_summary_counts_inlined_positions_and_takes_equal_counts_together(void **state)
{
	struct pgo_fnprof *p = pgo_fnprof_new(NULL);
	struct pgo_fn *f = pgo_fnprof_fn(p, str(p, "f"));
	struct pgo_fn *g = pgo_fn_inlined(p, f, 9, 0, str(p, "g"));
	struct pgo_summary s;

	(void)state;
	/* 500, 100 x 4, 90, 10, 0: total 1000. */
	f->head = 12;
	assert_int_equal(pgo_fn_pos_add(p, f, 1, 0, 500), 0);
	assert_int_equal(pgo_fn_pos_add(p, f, 2, 0, 100), 0);
	assert_int_equal(pgo_fn_pos_add(p, f, 3, 0, 100), 0);
	assert_int_equal(pgo_fn_pos_add(p, f, 4, 0, 0), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pgo_fn_pos_add(p, g, i, 0, 100), 0);
	assert_int_equal(pgo_fn_pos_add(p, g, 2, 0, 90), 0);
	assert_int_equal(pgo_fn_pos_add(p, g, 3, 0, 10), 0);
	assert_int_equal(pgo_fnprof_summary(p, &s, NULL), 0);
	assert_int_equal(s.total, 1000);
	assert_int_equal(s.max, 500);
	assert_int_equal(s.max_head, 12);
	assert_int_equal(s.n_counts, 8);
	assert_int_equal(s.n_fns, 1);
	assert_int_equal(s.rows[0].cutoff, 10000);
	assert_int_equal(s.rows[0].min_count, 500);
	assert_int_equal(s.rows[5].cutoff, 500000);
	assert_int_equal(s.rows[5].n_counts, 1);
	assert_int_equal(s.rows[6].cutoff, 600000);
	assert_int_equal(s.rows[6].min_count, 100);
	assert_int_equal(s.rows[6].n_counts, 5);
	assert_int_equal(s.rows[11].cutoff, 990000);
	assert_int_equal(s.rows[11].min_count, 90);
	assert_int_equal(s.rows[15].min_count, 10);
	assert_int_equal(s.rows[15].n_counts, 7);
	pgo_fnprof_free(p);
}

static void test_a_copy_is_equal_and_independent(void **state)
{
	struct pgo_fnprof *p = pgo_fnprof_new(NULL), *c;
	struct pgo_fn *f = pgo_fnprof_fn(p, str(p, "f"));

	(void)state;
	f->head = 4;
	assert_int_equal(pgo_fn_pos_add(p, f, 1, 0, 10), 0);
	assert_int_equal(pgo_fnprof_add_cold(p, str(p, "never")), 0);
	c = pgo_fnprof_copy(p, NULL);
	assert_non_null(c);
	f->pos[0].count = 11;
	assert_int_equal(pgo_fnprof_find(c, "f")->pos[0].count, 10);
	assert_int_equal(pgo_fnprof_find(c, "f")->head, 4);
	assert_int_equal(c->n_cold, 1);
	assert_string_equal(pgo_fnprof_str(c, c->cold[0]), "never");
	pgo_fnprof_free(p);
	pgo_fnprof_free(c);
}

static void test_a_used_up_budget_is_an_error_and_not_a_crash(void **state)
{
	struct pgo_fnprof *p = pgo_fnprof_new(NULL);
	struct pgo_fn *f = pgo_fnprof_fn(p, str(p, "f"));
	uint32_t line = 0;

	(void)state;
	p->arena.budget = 100000;
	while (line < 65536 && pgo_fn_pos_add(p, f, line, 0, 1) == 0)
		line++;
	assert_in_range(line, 100, 10000);
	assert_int_equal(pgo_fn_pos_add(p, f, line, 0, 1), PGO_ENOMEM);
	assert_int_equal(pgo_fn_position_find(f, line - 1, 0)->count, 1);
	pgo_fnprof_free(p);
}

/* Every allocation of a copy fails once; nothing leaks and nothing is half done. */
static void test_a_copy_survives_the_failure_of_any_allocation(void **state)
{
	uint64_t live = pgo_alloc_live();
	struct pgo_fnprof *p = pgo_fnprof_new(NULL), *c = NULL;
	struct pgo_err err = PGO_ERR_INIT;
	uint64_t n = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		char name[16];
		struct pgo_fn *f;

		snprintf(name, sizeof name, "f%u", i);
		f = pgo_fnprof_fn(p, str(p, name));
		for (uint32_t k = 0; k < 20; k++)
			assert_int_equal(pgo_fn_pos_add(p, f, k, 0, k), 0);
	}
	for (; c == NULL && n < 1000; n++) {
		pgo_alloc_fail_after(n);
		c = pgo_fnprof_copy(p, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		if (c == NULL)
			assert_int_equal(err.code, PGO_ENOMEM);
	}
	assert_in_range(n, 5, 999);
	pgo_fnprof_free(c);
	pgo_fnprof_free(p);
	assert_int_equal(pgo_alloc_live(), live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_million_random_updates_equal_a_plain_table),
		cmocka_unit_test(test_functions_are_found_by_name_before_and_after_sorting),
		cmocka_unit_test(test_statics_of_different_files_are_different_records),
		cmocka_unit_test(test_inlined_records_are_keyed_by_line_discriminator_and_callee),
		cmocka_unit_test(test_line_offsets_are_modulo_65536),
		cmocka_unit_test(test_nesting_stops_at_its_limit),
		cmocka_unit_test(test_targets_add_up_few_or_many),
		cmocka_unit_test(test_merging_weighs_and_sums_everything_below),
		cmocka_unit_test(
			test_the_summary_counts_inlined_positions_and_takes_equal_counts_together),
		cmocka_unit_test(test_a_copy_is_equal_and_independent),
		cmocka_unit_test(test_a_used_up_budget_is_an_error_and_not_a_crash),
		cmocka_unit_test(test_a_copy_survives_the_failure_of_any_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
