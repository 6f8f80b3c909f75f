/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs whose flow is known: what the solver must find again, whatever instructions cost. */
#include "convert/balance.h"
#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"
#include "tests/lib/scratch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of the test below; another algorithm has another one. */
#define SUM_OF_BITS 0xa191b4c10a9a309fu

static uint32_t block(struct pgo_balance *b, uint32_t insns, bool entry, double out)
{
	struct pgo_balance_block *p = PGO_VEC_PUSH(b->blocks, b->n_blocks, b->blocks_room);

	assert_non_null(p);
	*p = (struct pgo_balance_block){
		.insns = insns, .first_hit = (uint32_t)b->n_hits, .entry = entry, .exit = out};
	return (uint32_t)(b->n_blocks - 1);
}

static void hit(struct pgo_balance *b, double samples)
{
	double *h = PGO_VEC_PUSH(b->hits, b->n_hits, b->hits_room);

	assert_non_null(h);
	*h = samples;
	b->blocks[b->n_blocks - 1].n_hits++;
}

static void edge(struct pgo_balance *b, uint32_t from, uint32_t to, double share)
{
	struct pgo_balance_edge *e = PGO_VEC_PUSH(b->edges, b->n_edges, b->edges_room);

	assert_non_null(e);
	*e = (struct pgo_balance_edge){from, to, share};
}

static void assert_near(double have, double want, double share)
{
	if (!(fabs(have - want) <= share * want))
		fail_msg("%g should be %g, give or take %g %%", have, want, 100 * share);
}

/* entry -> left | right -> end; every instruction costs the same. */
static void a_diamond_keeps_what_its_samples_say(void **state)
{
	struct pgo_balance b = {0};

	(void)state;
	block(&b, 2, true, 0), hit(&b, 100), hit(&b, 100);
	block(&b, 2, false, 0), hit(&b, 70), hit(&b, 70);
	block(&b, 2, false, 0), hit(&b, 30), hit(&b, 30);
	block(&b, 2, false, 1), hit(&b, 100), hit(&b, 100);
	edge(&b, 0, 1, 0.5), edge(&b, 0, 2, 0.5), edge(&b, 1, 3, 1), edge(&b, 2, 3, 1);
	assert_int_equal(pgo_balance_solve(&b), 0);
	for (size_t i = 0; i < 4; i++)
		assert_near(b.blocks[i].count, i == 1 ? 70 : i == 2 ? 30 : 100, 0.02);
	assert_near(b.edges[0].flow, 70, 0.02);
	assert_near(b.blocks[0].entry, 100, 0.02);
	assert_near(b.blocks[3].exit, 100, 0.02);
	pgo_balance_fini(&b);
}

static void what_flows_in_flows_out_although_costs_differ(void **state)
{
	static const double cost[] = {1, 4, 0.5, 2, 0.25, 1.5};
	struct pgo_balance b = {0};
	double mean = 0;

	(void)state;
	/* A chain: all blocks run equally often, their samples differ by a factor of 16. */
	for (uint32_t i = 0; i < 6; i++) {
		block(&b, 3, i == 0, i == 5);
		for (int k = 0; k < 3; k++)
			hit(&b, 200 * cost[(i + (uint32_t)k * k) % 6]);
		if (i != 0)
			edge(&b, i - 1, i, 1);
	}
	assert_int_equal(pgo_balance_solve(&b), 0);
	for (size_t i = 0; i < 6; i++)
		mean += b.blocks[i].count / 6;
	for (size_t i = 0; i < 6; i++)
		assert_near(b.blocks[i].count, mean, 0.05);
	pgo_balance_fini(&b);
}

static void one_slow_instruction_does_not_make_its_block_hot(void **state)
{
	struct pgo_balance b = {0};

	(void)state;
	block(&b, 8, true, 1);
	for (int k = 0; k < 7; k++)
		hit(&b, 50);
	hit(&b, 5000); /* a division, or a load that misses the cache */
	assert_int_equal(pgo_balance_solve(&b), 0);
	assert_true(b.blocks[0].count > 50 && b.blocks[0].count < 100);
	pgo_balance_fini(&b);
}

static void a_block_without_samples_gets_what_its_neighbours_say(void **state)
{
	struct pgo_balance b = {0};

	(void)state;
	block(&b, 4, true, 0);
	for (int k = 0; k < 4; k++)
		hit(&b, 500);
	block(&b, 1, false, 0); /* one instruction, that the processor retires with another */
	block(&b, 4, false, 1);
	for (int k = 0; k < 4; k++)
		hit(&b, 500);
	edge(&b, 0, 1, 1), edge(&b, 1, 2, 1);
	assert_int_equal(pgo_balance_solve(&b), 0);
	assert_near(b.blocks[1].count, b.blocks[0].count, 0.05);
	assert_true(b.blocks[1].count > 300);
	pgo_balance_fini(&b);
}

static void a_loop_gets_its_trips(void **state)
{
	struct pgo_balance b = {0};

	(void)state;
	block(&b, 3, true, 0), hit(&b, 10), hit(&b, 11), hit(&b, 9);
	block(&b, 4, false, 0), hit(&b, 1000), hit(&b, 900), hit(&b, 1100), hit(&b, 1000);
	block(&b, 3, false, 1), hit(&b, 9), hit(&b, 10), hit(&b, 11);
	edge(&b, 0, 1, 1), edge(&b, 1, 1, 0.5), edge(&b, 1, 2, 0.5);
	assert_int_equal(pgo_balance_solve(&b), 0);
	assert_near(b.edges[1].flow, 990, 0.05);
	assert_near(b.edges[2].flow, 10, 0.2);
	pgo_balance_fini(&b);
}

static void computed_gotos_meet_in_a_junction(void **state)
{
	struct pgo_balance b = {0};
	uint32_t j;

	(void)state;
	block(&b, 2, true, 0), hit(&b, 10), hit(&b, 10);
	block(&b, 2, false, 0), hit(&b, 300), hit(&b, 300);
	block(&b, 2, false, 0), hit(&b, 100), hit(&b, 100);
	block(&b, 2, false, 1), hit(&b, 10), hit(&b, 10);
	j = block(&b, 0, false, 0);
	for (uint32_t i = 0; i < 3; i++)
		edge(&b, i, j, 1);
	for (uint32_t i = 1; i < 4; i++)
		edge(&b, j, i, 1.0 / 3);
	assert_int_equal(pgo_balance_solve(&b), 0);
	assert_near(b.blocks[j].count, 410, 0.05);
	assert_near(b.blocks[1].count, 300, 0.05);
	assert_near(b.blocks[2].count, 100, 0.1);
	pgo_balance_fini(&b);
}

/* On every machine: nothing but IEEE arithmetic in a fixed order is done. */
static void the_result_is_the_same_to_the_last_bit(void **state)
{
	struct pgo_balance b = {0};
	uint64_t x = 88172645463325252u, sum = 14695981039346656037u;

	(void)state;
	for (uint32_t i = 0; i < 300; i++) {
		block(&b, 1 + i % 7, i % 50 == 0, i % 10 == 9 ? 1 : 0);
		for (uint32_t k = 0; k < i % 7; k++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			if (x % 3 != 0)
				hit(&b, (double)(x % 1000 + 1));
		}
	}
	for (uint32_t i = 0; i + 3 < 300; i++) {
		edge(&b, i, i + 1, 0.5);
		edge(&b, i, i % 4 == 0 ? i / 2 : i + 3, 0.5);
	}
	assert_int_equal(pgo_balance_solve(&b), 0);
	for (size_t i = 0; i < 300; i++) {
		uint64_t bits;

		assert_true(isfinite(b.blocks[i].count) && b.blocks[i].count > 0);
		memcpy(&bits, &b.blocks[i].count, sizeof bits);
		sum = (sum ^ bits) * 1099511628211u;
	}
	if (sum != SUM_OF_BITS)
		fail_msg("0x%016llx", (unsigned long long)sum);
	pgo_balance_fini(&b);
}

static void extremes_stay_finite(void **state)
{
	struct pgo_balance b = {0};

	(void)state;
	assert_int_equal(pgo_balance_solve(&b), 0);
	block(&b, 1, true, 0), hit(&b, 0x1p64);
	block(&b, 1000000, false, 0);
	block(&b, 1, false, 0); /* nothing leads there, and from there nowhere */
	block(&b, 1, false, 1), hit(&b, 1);
	edge(&b, 0, 1, 1), edge(&b, 1, 3, 1);
	assert_int_equal(pgo_balance_solve(&b), 0);
	for (size_t i = 0; i < b.n_blocks; i++)
		assert_true(isfinite(b.blocks[i].count) && b.blocks[i].count >= 0);
	pgo_balance_fini(&b);
	block(&b, 1, true, 1), hit(&b, 1);
	pgo_alloc_fail_after(0);
	assert_int_equal(pgo_balance_solve(&b), -1);
	pgo_alloc_fail_after(UINT64_MAX);
	pgo_balance_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_diamond_keeps_what_its_samples_say),
		cmocka_unit_test(what_flows_in_flows_out_although_costs_differ),
		cmocka_unit_test(one_slow_instruction_does_not_make_its_block_hot),
		cmocka_unit_test(a_block_without_samples_gets_what_its_neighbours_say),
		cmocka_unit_test(a_loop_gets_its_trips),
		cmocka_unit_test(computed_gotos_meet_in_a_junction),
		cmocka_unit_test(the_result_is_the_same_to_the_last_bit),
		cmocka_unit_test(extremes_stay_finite),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
