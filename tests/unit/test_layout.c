/* SPDX-License-Identifier: Apache-2.0 */
/* Orders of blocks and functions, calls for Go, and the files that carry them. */
#include "convert/bbaddrmap.h"
#include "convert/callgraph.h"
#include "convert/exttsp.h"
#include "convert/gopgo.h"
#include "convert/linkorder.h"
#include "convert/preagg.h"
#include "convert/propeller.h"
#include "pgo/core/alloc.h"
#include "tests/lib/scratch.h"

#include <stdlib.h>
#include <string.h>

#define N(a) (sizeof(a) / sizeof *(a))

/* ------------------------------------------------------------------ blocks */

static void order_is(const struct pgo_tsp_block *b, size_t n, const struct pgo_tsp_edge *e,
	size_t n_edges, const uint32_t *want)
{
	uint32_t order[64];

	assert_int_equal(pgo_tsp_order(b, n, e, n_edges, order, NULL), 0);
	assert_memory_equal(order, want, n * sizeof *order);
}

/* A diamond: the arm that runs more often follows its test, and the join follows that arm. */
static void the_hot_arm_falls_through(void **state)
{
	const struct pgo_tsp_block b[] = {{10, 100}, {20, 10}, {20, 90}, {10, 100}};
	const struct pgo_tsp_edge e[] = {{0, 1, 10}, {0, 2, 90}, {1, 3, 10}, {2, 3, 90}};

	(void)state;
	order_is(b, N(b), e, N(e), (const uint32_t[]){0, 2, 3, 1});
}

static void the_entry_stays_first(void **state)
{
	/* A loop back to the entry, which would like to stand behind its latch. */
	const struct pgo_tsp_block b[] = {{10, 100}, {10, 100}, {10, 1}};
	const struct pgo_tsp_edge e[] = {{0, 1, 100}, {1, 0, 99}, {1, 2, 1}, {2, 0, 1000}};
	uint32_t order[3];

	(void)state;
	assert_int_equal(pgo_tsp_order(b, N(b), e, N(e), order, NULL), 0);
	assert_int_equal(order[0], 0);
}

/* A loop is rotated: its test lands at the bottom, so that one branch an iteration is taken. */
static void a_chain_is_cut_where_that_gains(void **state)
{
	const struct pgo_tsp_block b[] = {{4, 10}, {4, 1000}, {40, 990}, {4, 10}};
	const struct pgo_tsp_edge e[] = {{0, 1, 10}, {1, 2, 990}, {2, 1, 990}, {1, 3, 10}};
	const uint32_t straight[] = {0, 1, 2, 3};
	uint32_t order[4];

	(void)state;
	assert_int_equal(pgo_tsp_order(b, N(b), e, N(e), order, NULL), 0);
	assert_true(pgo_tsp_score(b, N(b), e, N(e), order, NULL) >=
		    pgo_tsp_score(b, N(b), e, N(e), straight, NULL));
}

static void the_score_counts_falling_through_and_near_jumps(void **state)
{
	const struct pgo_tsp_block b[] = {{10, 0}, {512, 0}, {10, 0}};
	const struct pgo_tsp_edge through[] = {{0, 1, 8}}, ahead[] = {{0, 2, 8}},
				  back[] = {{2, 0, 8}}, self[] = {{1, 1, 8}};
	const uint32_t order[] = {0, 1, 2};
	double x;

	(void)state;
	assert_true(pgo_tsp_score(b, 3, through, 1, order, NULL) == 8);
	x = pgo_tsp_score(b, 3, ahead, 1, order, NULL); /* 512 of 1024 bytes */
	assert_true(x > 0.3999 && x < 0.4001);
	x = pgo_tsp_score(b, 3, back, 1, order, NULL); /* 532 of 640 bytes */
	assert_true(x > 0.1349 && x < 0.1351);
	assert_true(pgo_tsp_score(b, 3, self, 1, order, NULL) == 0);
}

/* All orders of six blocks with the entry first: ours is as good as any, or nearly. */
static double best_of(const struct pgo_tsp_block *b, const struct pgo_tsp_edge *e, size_t n_edges,
	uint32_t *order, size_t at, size_t n)
{
	double best;

	if (at == n)
		return pgo_tsp_score(b, n, e, n_edges, order, NULL);
	best = 0;
	for (size_t i = at; i < n; i++) {
		uint32_t t = order[at];
		double x;

		order[at] = order[i];
		order[i] = t;
		x = best_of(b, e, n_edges, order, at + 1, n);
		best = x > best ? x : best;
		order[i] = order[at];
		order[at] = t;
	}
	return best;
}

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 16;
}

static void the_order_is_nearly_the_best(void **state)
{
	double ours = 0, best = 0;
	uint32_t seed = 3;

	(void)state;
	for (int round = 0; round < 100; round++) {
		struct pgo_tsp_block b[6];
		struct pgo_tsp_edge e[12];
		uint32_t order[6], other[] = {0, 1, 2, 3, 4, 5};
		double x, y;

		for (size_t i = 0; i < 6; i++)
			b[i] = (struct pgo_tsp_block){4 + next(&seed) % 200, 1 + next(&seed) % 100};
		for (size_t i = 0; i < 12; i++)
			e[i] = (struct pgo_tsp_edge){
				next(&seed) % 6, next(&seed) % 6, next(&seed) % 1000};
		assert_int_equal(pgo_tsp_order(b, 6, e, 12, order, NULL), 0);
		x = pgo_tsp_score(b, 6, e, 12, order, NULL);
		y = best_of(b, e, 12, other, 1, 6);
		assert_true(x <= y + 1e-6);
		ours += x;
		best += y;
	}
	assert_true(ours > 0.97 * best);
}

static void every_block_is_ordered_once(void **state)
{
	static struct pgo_tsp_block b[600];
	static struct pgo_tsp_edge e[2000];
	static uint32_t order[600];
	static bool seen[600];
	uint32_t seed = 9;

	(void)state;
	for (size_t i = 0; i < N(b); i++)
		b[i] = (struct pgo_tsp_block){1 + next(&seed) % 64, next(&seed)};
	for (size_t i = 0; i < N(e); i++)
		e[i] = (struct pgo_tsp_edge){
			next(&seed) % N(b), next(&seed) % N(b), next(&seed) % 5000};
	assert_int_equal(pgo_tsp_order(b, N(b), e, N(e), order, NULL), 0);
	for (size_t i = 0; i < N(b); i++) {
		assert_false(seen[order[i]]);
		seen[order[i]] = true;
	}
	assert_int_equal(order[0], 0);
}

static void ordering_survives_a_failed_allocation(void **state)
{
	const struct pgo_tsp_block b[] = {{10, 100}, {20, 10}, {20, 90}, {10, 100}};
	const struct pgo_tsp_edge e[] = {{0, 1, 10}, {0, 2, 90}, {1, 3, 10}, {2, 3, 90}};
	uint32_t order[4];
	size_t live = pgo_alloc_live();

	(void)state;
	for (uint64_t i = 0;; i++) {
		int rc;

		pgo_alloc_fail_after(i);
		rc = pgo_tsp_order(b, N(b), e, N(e), order, NULL);
		pgo_alloc_fail_after(UINT64_MAX);
		assert_int_equal(pgo_alloc_live(), live);
		if (rc == 0)
			break;
		assert_int_equal(rc, PGO_ENOMEM);
	}
}

/* ------------------------------------------------------------------ functions */

static void ordered(struct pgo_callgraph *g, const uint32_t *want, size_t n)
{
	uint32_t order[16];
	size_t k = 0;

	assert_int_equal(pgo_callgraph_order(g, order, &k, NULL), 0);
	assert_int_equal(k, n);
	assert_memory_equal(order, want, n * sizeof *order);
}

/* main 0 calls work 3 and setup 1; work calls leaf 4 often. 2 never ran. */
static void callees_follow_the_caller_that_calls_them_most(void **state)
{
	uint64_t size[] = {100, 400, 100, 100, 50}, weight[] = {500, 10, 0, 5000, 4000};
	struct pgo_callee e[] = {{0, 1, 1}, {0, 3, 100}, {0, 4, 3}, {3, 4, 900}};
	struct pgo_callgraph g = {
		.n_fns = 5, .size = size, .weight = weight, .edges = e, .n_edges = 4};

	(void)state;
	/* setup is not worth a place among the hot: it would thin main's cluster out too much */
	weight[1] = 0;
	ordered(&g, (const uint32_t[]){0, 3, 4}, 3);
	weight[1] = 1;
	size[1] = 100000;
	ordered(&g, (const uint32_t[]){0, 3, 4, 1}, 4);
}

static void clusters_stay_below_a_megabyte(void **state)
{
	uint64_t size[] = {700000, 700000}, weight[] = {1000, 2000};
	struct pgo_callee e[] = {{0, 1, 100}};
	struct pgo_callgraph g = {
		.n_fns = 2, .size = size, .weight = weight, .edges = e, .n_edges = 1};

	(void)state;
	ordered(&g, (const uint32_t[]){1, 0}, 2);
	size[1] = 100;
	ordered(&g, (const uint32_t[]){0, 1}, 2);
}

static void mutual_recursion_ends(void **state)
{
	uint64_t size[] = {10, 10}, weight[] = {1000, 1000};
	struct pgo_callee e[] = {{0, 1, 100}, {1, 0, 100}};
	struct pgo_callgraph g = {
		.n_fns = 2, .size = size, .weight = weight, .edges = e, .n_edges = 2};

	(void)state;
	ordered(&g, (const uint32_t[]){1, 0}, 2);
}

/* ------------------------------------------------------------------ files of orders */

static void written(enum pgo_link_form form, const char *const *names, size_t n, const char *want)
{
	struct pgo_linkorder l, again;
	struct pgo_buf a, b;

	pgo_buf_init(&a, 4096);
	pgo_buf_init(&b, 4096);
	assert_int_equal(pgo_linkorder_init(&l, NULL), 0);
	assert_int_equal(pgo_linkorder_init(&again, NULL), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(
			pgo_linkorder_add(&l, form, names[i],
				form == PGO_LINK_CALLS ? names[(i + 1) % n] : NULL, 10 * i),
			0);
	assert_int_equal(pgo_linkorder_write(&l, form, &a, NULL), 0);
	assert_string_equal(a.data, want);
	assert_int_equal(pgo_linkorder_read(&again, form, "x", a.data, a.len, NULL), 0);
	assert_int_equal(pgo_linkorder_write(&again, form, &b, NULL), 0);
	assert_string_equal(a.data, b.data);
	pgo_linkorder_fini(&l);
	pgo_linkorder_fini(&again);
	pgo_buf_fini(&a);
	pgo_buf_fini(&b);
}

static void each_linker_gets_its_form(void **state)
{
	const char *const names[] = {"main", "leaf", "main"};

	(void)state;
	written(PGO_LINK_LLD, names, 3, "main\nleaf\n");
	written(PGO_LINK_GOLD, names, 3,
		".text.hot.main\n.text.main\n.text.hot.leaf\n.text.leaf\n");
	written(PGO_LINK_GNU_LD, names, 2,
		".text : {\n*(\".text.hot.main\" \".text.main\")\n"
		"*(\".text.hot.leaf\" \".text.leaf\")\n}\n");
	written(PGO_LINK_CALLS, names, 2, "main leaf 0\nleaf main 10\n");
}

static void names_that_a_form_cannot_hold_are_counted(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_linkorder l;
	struct pgo_buf out;

	(void)state;
	pgo_buf_init(&out, 4096);
	assert_int_equal(pgo_linkorder_init(&l, NULL), 0);
	assert_int_equal(pgo_linkorder_add(&l, PGO_LINK_CALLS, "a b", "c", 1), 0);
	assert_int_equal(pgo_linkorder_add(&l, PGO_LINK_GOLD, "a*", NULL, 1), 0);
	assert_int_equal(pgo_linkorder_add(&l, PGO_LINK_LLD, "#a", NULL, 1), 0);
	assert_int_equal(pgo_linkorder_add(&l, PGO_LINK_LLD, "", NULL, 1), 0);
	assert_int_equal(l.n_lines, 0);
	assert_int_equal(l.n_unfit, 4);
	assert_int_equal(pgo_linkorder_write(&l, PGO_LINK_LLD, &out, &err), PGO_EEMPTY);
	assert_int_equal(pgo_linkorder_add(&l, PGO_LINK_LLD, "a b", NULL, 1), 0);
	assert_int_equal(l.n_lines, 1);
	pgo_linkorder_fini(&l);
	pgo_buf_fini(&out);
}

/* ------------------------------------------------------------------ block address maps */

static void at_1000(const uint8_t *tail, size_t n, const uint8_t *head, size_t n_head, bool v0,
	struct pgo_bbaddrmap *m)
{
	static const uint8_t address[8] = {0, 0x10};
	struct pgo_err err = PGO_ERR_INIT;
	uint8_t all[64];

	if (n_head != 0)
		memcpy(all, head, n_head);
	memcpy(all + n_head, address, 8);
	memcpy(all + n_head + 8, tail, n);
	*m = (struct pgo_bbaddrmap){0};
	if (pgo_bbaddrmap_decode(m, "x", all, n_head + 8 + n, v0, &err) < 0)
		fail_msg("%s", err.msg);
	pgo_bbaddrmap_sort(m);
}

static void blocks_are(struct pgo_bbaddrmap *m, uint32_t second_id, uint64_t second_addr)
{
	assert_int_equal(m->n_fns, 1);
	assert_int_equal(m->n_blocks, 2);
	assert_int_equal(m->fns[0].addr, 0x1000);
	assert_int_equal(m->blocks[0].addr, 0x1000);
	assert_int_equal(m->blocks[0].size, 5);
	assert_int_equal(m->blocks[0].id, 0);
	assert_int_equal(m->blocks[1].addr, second_addr);
	assert_int_equal(m->blocks[1].size, 16);
	assert_int_equal(m->blocks[1].id, second_id);
	assert_int_equal(pgo_bbaddrmap_find(m, second_addr + 15), 1);
	assert_int_equal(pgo_bbaddrmap_find(m, second_addr + 16), UINT32_MAX);
	assert_int_equal(pgo_bbaddrmap_find(m, 0xfff), UINT32_MAX);
	pgo_bbaddrmap_fini(m);
}

static void all_versions_of_the_map_read(void **state)
{
	struct pgo_bbaddrmap m;

	(void)state;
	at_1000((const uint8_t[]){2, 0, 5, 8, 7, 16, 1}, 7, NULL, 0, true, &m);
	blocks_are(&m, 1, 0x1007);
	at_1000((const uint8_t[]){2, 0, 5, 8, 2, 16, 1}, 7, (const uint8_t[]){1, 0}, 2, false, &m);
	blocks_are(&m, 1, 0x1007);
	at_1000((const uint8_t[]){2, 0, 0, 5, 8, 9, 2, 16, 1}, 9, (const uint8_t[]){2, 0}, 2, false,
		&m);
	blocks_are(&m, 9, 0x1007);
	/* calls' ends, before the size of what follows the last one */
	at_1000((const uint8_t[]){2, 0, 0, 1, 3, 2, 8, 9, 2, 2, 5, 6, 5, 1}, 14,
		(const uint8_t[]){3, 0x20}, 2, false, &m);
	blocks_are(&m, 9, 0x1007);
	/* hashes, entry count, frequencies, successors, and once more from the linked program */
	at_1000((const uint8_t[]){2, 0, 0, 5, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 16, 1, 1, 2, 3, 4, 5,
			6, 7, 8, 77, 3, 4, 1, 9, 5, 6, 7, 8, 0},
		35, (const uint8_t[]){5, 0xc7, 0}, 3, false, &m);
	blocks_are(&m, 9, 0x1007);
}

static void a_function_may_lie_in_several_ranges(void **state)
{
	static const uint8_t bytes[] = {2, 8, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 1, 0, 0, 5, 8, 0, 0x10,
		0, 0, 0, 0, 0, 0, 1, 3, 0, 4, 1};
	struct pgo_bbaddrmap m = {0};

	(void)state;
	assert_int_equal(pgo_bbaddrmap_decode(&m, "x", bytes, sizeof bytes, false, NULL), 0);
	pgo_bbaddrmap_sort(&m);
	assert_int_equal(m.fns[0].addr, 0x2000);
	assert_int_equal(m.n_blocks, 2);
	assert_int_equal(m.blocks[0].addr, 0x1000);
	assert_int_equal(m.blocks[0].id, 3);
	assert_int_equal(m.blocks[1].fn, m.blocks[0].fn);
	pgo_bbaddrmap_fini(&m);
}

static void newer_versions_and_cut_maps_are_refused(void **state)
{
	static const uint8_t newer[] = {6, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0};
	static const uint8_t cut[] = {2, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 2, 0, 0, 5};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_bbaddrmap m = {0};

	(void)state;
	assert_int_equal(
		pgo_bbaddrmap_decode(&m, "x", newer, sizeof newer, false, &err), PGO_EFORMAT);
	assert_non_null(strstr(err.msg, "version 6"));
	pgo_err_clear(&err);
	assert_int_equal(pgo_bbaddrmap_decode(&m, "x", cut, sizeof cut, false, &err), PGO_EFORMAT);
	assert_non_null(strstr(err.msg, "byte"));
	pgo_bbaddrmap_fini(&m);
}

/* ------------------------------------------------------------------ clusters, pre-aggregated */

static void clusters_read_in_both_versions(void **state)
{
	static const char v0[] = "!main/start M=a.c\n!!0 3 1\n!!4\n# x\n!leaf\n!!0\n";
	static const char v1[] = "v1\nm a.c\nf main start\nc 0 3 1\nc 4\ng 0:3\nf leaf\nc 0\n";
	struct pgo_propeller *p = pgo_propeller_read("x", v0, sizeof v0 - 1, NULL),
			     *q = pgo_propeller_read("x", v1, sizeof v1 - 1, NULL);
	struct pgo_buf a, b;

	(void)state;
	assert_non_null(p);
	assert_non_null(q);
	for (unsigned version = 0; version < 2; version++) {
		pgo_buf_init(&a, 4096);
		pgo_buf_init(&b, 4096);
		assert_int_equal(pgo_propeller_write(p, version, &a, NULL), 0);
		assert_int_equal(pgo_propeller_write(q, version, &b, NULL), 0);
		assert_string_equal(a.data, b.data);
		assert_string_equal(
			a.data, version == 0 ? "!main/start\n!!0 3 1\n!!4\n!leaf\n!!0\n"
					     : "v1\nf main start\nc 0 3 1\nc 4\nf leaf\nc 0\n");
		pgo_buf_fini(&a);
		pgo_buf_fini(&b);
	}
	pgo_propeller_free(p);
	pgo_propeller_free(q);
}

static void damaged_clusters_are_refused_by_line(void **state)
{
	static const char *const bad[] = {"!!0\n", "!f\n!!x\n", "v1\nf a\nc\n", "v1\nq\n", "!\n",
		"v1\nf a\nc 4294967296\n", "", "v1\n"};

	(void)state;
	for (size_t i = 0; i < N(bad); i++) {
		struct pgo_err err = PGO_ERR_INIT;

		assert_null(pgo_propeller_read("x", bad[i], strlen(bad[i]), &err));
		assert_int_equal(err.code, PGO_EFORMAT);
	}
}

static void records_say_what_the_traces_did(void **state)
{
	struct pgo_codefn fn[] = {{0x100, 0x200, NULL}, {0x200, 0x300, NULL}};
	const struct pgo_codefns fns = {.fns = fn, .n_fns = 2};
	const struct pgo_trace traces[] = {
		{.source = 0x110, .target = 0x120, .end = 0x130, .count = 5, .mispreds = 2},
		{.source = 0x210, .target = 0x120, .end = 0x130, .count = 3, .mispreds = 0},
		{.source = PGO_AT_OUTSIDE,
			.target = 0x100,
			.end = 0x110,
			.count = 7,
			.mispreds = 0},
		{.source = PGO_AT_OUTSIDE_RETURN,
			.target = 0x120,
			.end = 0x130,
			.count = 9,
			.mispreds = 1},
		{.source = PGO_AT_OUTSIDE_RETURN,
			.target = 0x120,
			.end = PGO_AT_NONE,
			.count = 2,
			.mispreds = 0},
		{.source = PGO_AT_NONE, .target = 0x120, .end = 0x130, .count = 4, .mispreds = 0},
		{.source = 0x130,
			.target = PGO_AT_OUTSIDE,
			.end = PGO_AT_NONE,
			.count = 6,
			.mispreds = 1},
	};
	const struct pgo_ranges r = {.traces = (struct pgo_trace *)traces, .n_traces = N(traces)};
	static const char *const want[] = {
		"B 0 100 7 0\nB 110 120 5 2\nB 130 0 6 1\nB 210 120 3 0\nF 120 130 9\nf 100 110 7\n"
		"f 120 130 12\n",
		"B 110 120 0 2\nB 130 0 6 1\nF 120 130 4\nR 0 120 130 9\nT 0 100 110 7\n"
		"T 110 120 130 5\nT 210 120 130 3\n"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct pgo_preagg *p = pgo_preagg_make(&r, &fns, i == 1, NULL, NULL);
		struct pgo_buf out;

		assert_non_null(p);
		pgo_buf_init(&out, 4096);
		assert_int_equal(pgo_preagg_write(p, &out, NULL), 0);
		assert_string_equal(out.data, want[i]);
		pgo_buf_fini(&out);
		pgo_preagg_free(p);
	}
}

static void damaged_records_are_refused_by_line(void **state)
{
	static const char *const bad[] = {"T 1 2 3\n", "T 1 2 3 4 5\n", "X 1 2\n", "B 1 2 3 4",
		"\n", "B 1 2g 3\n", "S 10 0x1\n", "", "E a b\n", "F 1 2 99999999999999999999\n"};

	(void)state;
	for (size_t i = 0; i < N(bad); i++) {
		struct pgo_err err = PGO_ERR_INIT;

		assert_null(pgo_preagg_read("x", bad[i], strlen(bad[i]), &err));
		assert_int_equal(err.code, PGO_EFORMAT);
	}
}

/* ------------------------------------------------------------------ Go */

static uint32_t go_fn(struct pgo_profile *p, const char *name, int64_t start)
{
	struct pgo_function f = {.name = pgo_strtab_puts(&p->strs, name), .start_line = start};

	return pgo_profile_add_function(p, &f);
}

static struct pgo_go_place nowhere(const void *ctx, uint32_t location)
{
	(void)ctx;
	(void)location;
	return (struct pgo_go_place){0, PGO_NONE, NULL};
}

/* work:40 (from 30) calls total:12 (from 10), in which add:3 (from 1) is inlined; main is above. */
static struct pgo_gopgo *go_stacks(int64_t total_start)
{
	struct pgo_gopgo *g = pgo_gopgo_new(NULL);
	struct pgo_profile *p = pgo_profile_new(NULL);
	uint32_t preempt, leaf, work, top, stack[4];
	struct pgo_line lines[2];
	int64_t value = 1;
	struct pgo_sample s = {.loc = stack, .value = &value};

	assert_non_null(g);
	assert_non_null(p);
	lines[0] = (struct pgo_line){go_fn(p, "runtime.asyncPreempt", 8), 9, 0};
	preempt = pgo_profile_add_location(p, PGO_NONE, 1, lines, 1);
	lines[0] = (struct pgo_line){go_fn(p, "m.add", total_start != 0 ? 1 : 0), 3, 0};
	lines[1] = (struct pgo_line){go_fn(p, "m.total", total_start), 12, 0};
	leaf = pgo_profile_add_location(p, PGO_NONE, 2, lines, 2);
	lines[0] = (struct pgo_line){go_fn(p, "m.work", total_start != 0 ? 30 : 0), 40, 0};
	work = pgo_profile_add_location(p, PGO_NONE, 3, lines, 1);
	lines[0] = (struct pgo_line){go_fn(p, "m.main", total_start != 0 ? 50 : 0), 60, 0};
	top = pgo_profile_add_location(p, PGO_NONE, 4, lines, 1);
	assert_int_equal(pgo_gopgo_begin(g, p, NULL), 0);
	memcpy(stack, (const uint32_t[]){preempt, leaf, work, top}, sizeof stack);
	s.n_loc = 4;
	assert_int_equal(pgo_gopgo_sample(g, &s, 5, nowhere, NULL, NULL), 0);
	memcpy(stack, (const uint32_t[]){leaf, work, top}, 3 * sizeof *stack);
	s.n_loc = 3;
	assert_int_equal(pgo_gopgo_sample(g, &s, 7, nowhere, NULL, NULL), 0);
	memcpy(stack, (const uint32_t[]){work, work},
		2 * sizeof *stack); /* recursion in one line */
	s.n_loc = 2;
	assert_int_equal(pgo_gopgo_sample(g, &s, 2, nowhere, NULL, NULL), 0);
	pgo_profile_free(p);
	return g;
}

static void stacks_become_the_calls_that_go_counts(void **state)
{
	struct pgo_gopgo *g = go_stacks(10);
	struct pgo_profile *p;
	struct pgo_go_calls c;
	struct pgo_buf out;

	(void)state;
	assert_int_equal(pgo_gopgo_finish(g, NULL), 0);
	assert_int_equal(pgo_gopgo_stats(g)->used, 14);
	assert_int_equal(pgo_gopgo_stats(g)->no_start, 0);
	pgo_buf_init(&out, 4096);
	assert_int_equal(pgo_go_calls_init(&c, NULL), 0);
	assert_int_equal(pgo_gopgo_calls(g, &c, NULL), 0);
	assert_int_equal(pgo_go_calls_write(&c, &out, NULL), 0);
	assert_string_equal(out.data, "GO PREPROFILE V1\n"
				      "m.total\nm.add\n2 12\n"
				      "m.work\nm.total\n10 12\n"
				      "m.work\nm.work\n10 2\n");
	p = pgo_gopgo_profile(g, NULL);
	assert_non_null(p);
	assert_int_equal(p->n_samples, 2);
	assert_int_equal(p->n_locations, 3); /* the line of recursion twice */
	assert_int_equal(pgo_profile_check_tables(p, NULL), 0);
	pgo_profile_free(p);
	pgo_go_calls_fini(&c);
	pgo_buf_fini(&out);
	pgo_gopgo_free(g);
}

static void go_profiles_without_any_first_line_are_refused(void **state)
{
	struct pgo_gopgo *g = go_stacks(0);
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	assert_int_equal(pgo_gopgo_finish(g, &err), PGO_EMISMATCH);
	assert_non_null(strstr(err.msg, "--binary"));
	pgo_gopgo_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hot_arm_falls_through),
		cmocka_unit_test(the_entry_stays_first),
		cmocka_unit_test(a_chain_is_cut_where_that_gains),
		cmocka_unit_test(the_score_counts_falling_through_and_near_jumps),
		cmocka_unit_test(the_order_is_nearly_the_best),
		cmocka_unit_test(every_block_is_ordered_once),
		cmocka_unit_test(ordering_survives_a_failed_allocation),
		cmocka_unit_test(callees_follow_the_caller_that_calls_them_most),
		cmocka_unit_test(clusters_stay_below_a_megabyte),
		cmocka_unit_test(mutual_recursion_ends),
		cmocka_unit_test(each_linker_gets_its_form),
		cmocka_unit_test(names_that_a_form_cannot_hold_are_counted),
		cmocka_unit_test(all_versions_of_the_map_read),
		cmocka_unit_test(a_function_may_lie_in_several_ranges),
		cmocka_unit_test(newer_versions_and_cut_maps_are_refused),
		cmocka_unit_test(clusters_read_in_both_versions),
		cmocka_unit_test(damaged_clusters_are_refused_by_line),
		cmocka_unit_test(records_say_what_the_traces_did),
		cmocka_unit_test(damaged_records_are_refused_by_line),
		cmocka_unit_test(stacks_become_the_calls_that_go_counts),
		cmocka_unit_test(go_profiles_without_any_first_line_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
