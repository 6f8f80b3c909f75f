/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"
#include "pgo/core/lbr.h"
#include "pgo/core/pprof.h"
#include "tests/lib/mkprofile.h"
#include "tests/lib/scratch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPES                                                                                      \
	"type samples/count\n"                                                                     \
	"type cpu/nanoseconds\n"                                                                   \
	"type lbr_traces/count\n"                                                                  \
	"type lbr_mispredicts/count\n"                                                             \
	"mapping 1000 9000 0 /bin/app aa\n"

static void put_end(
	FILE *out, const struct pgo_lbr_columns *c, const struct pgo_profile *p, uint32_t loc)
{
	static const char *const kinds[] = {
		"", "branch_only", "fallthrough_only", "external", "external_return"};

	if (loc == PGO_NONE)
		fputc('-', out);
	else if (c->end_kind[loc] != PGO_LBR_ADDR)
		fputs(kinds[c->end_kind[loc]], out);
	else
		fprintf(out, "%" PRIx64, p->locations[loc].addr);
}

/* Every trace as "source>target..end count mispredicts cycles executions". */
static char *traces_of(const struct pgo_profile *p, bool want_has)
{
	struct pgo_lbr_columns c;
	struct pgo_err err = PGO_ERR_INIT;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	bool has;

	assert_int_equal(pgo_lbr_columns_init(&c, p, &has, &err), 0);
	assert_int_equal(has, want_has);
	assert_int_equal(c.n_locations, p->n_locations);
	for (size_t i = 0; i < p->n_samples; i++) {
		struct pgo_sample s = pgo_profile_sample(p, i);
		struct pgo_lbr_trace t;
		uint32_t at = 0;
		int rc;

		while ((rc = pgo_lbr_trace_next(&c, p, &s, &at, &t, &err)) > 0) {
			put_end(out, &c, p, t.source);
			fputc('>', out);
			put_end(out, &c, p, t.target);
			fputs("..", out);
			put_end(out, &c, p, t.end);
			fprintf(out, " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n", t.count,
				t.mispredicts, t.cycles, t.executions);
		}
		if (rc < 0)
			fprintf(out, "error %d %s\n", rc, err.msg);
	}
	fclose(out);
	pgo_lbr_columns_fini(&c);
	return text;
}

static void assert_traces(const char *profile, const char *want)
{
	struct pgo_profile *p = mkprofile(profile);
	char *got = traces_of(p, true);

	assert_string_equal(got, want);
	free(got);
	pgo_profile_free(p);
}

static void a_trace_is_read_end_first(void **state)
{
	(void)state;
	/* Root first in this text: source; target; end. */
	assert_traces(TYPES "0x1010;0x2000;0x2030 0 0 7 2\n"
			    "main;leaf 5 50000 0 0\n",
		"1010>2000..2030 7 2 0 0\n");
}

static void every_column_of_costs_is_optional(void **state)
{
	(void)state;
	assert_traces("type lbr_traces/count\nmapping 1000 9000 0 /bin/app aa\n"
		      "0x1010;0x2000;0x2030 7\n",
		"1010>2000..2030 7 0 0 0\n");
	assert_traces("type lbr_executions/count\ntype lbr_cycles/cycles\ntype lbr_traces/count\n"
		      "mapping 1000 9000 0 /bin/app aa\n"
		      "0x1010;0x2000;0x2030 90 300 7\n",
		"1010>2000..2030 7 0 300 90\n");
}

static void pseudo_ends_are_told_by_name_wherever_a_store_puts_them(void **state)
{
	(void)state;
	assert_traces(TYPES "0x1010;0x2000;[lbr\\:branch_only] 0 0 1 0\n"
			    "[lbr\\:fallthrough_only];0x2000;0x2030 0 0 2 0\n"
			    "0x1010;[lbr\\:external];[lbr\\:branch_only] 0 0 3 1\n"
			    "[lbr\\:external];0x2000;0x2030 0 0 4 0\n"
			    "1@[lbr\\:external_return];0x2000;0x2030 0 0 5 0\n",
		"1010>2000..branch_only 1 0 0 0\n"
		"fallthrough_only>2000..2030 2 0 0 0\n"
		"1010>external..branch_only 3 1 0 0\n"
		"external>2000..2030 4 0 0 0\n"
		"external_return>2000..2030 5 0 0 0\n");
}

static void a_name_like_a_pseudo_end_at_a_real_address_is_an_address(void **state)
{
	(void)state;
	assert_traces(TYPES "0x1010;0x2000;0x2030=[lbr\\:branch_only] 0 0 1 0\n",
		"1010>2000..2030 1 0 0 0\n");
}

static void a_call_stack_folded_with_a_trace_keeps_the_trace(void **state)
{
	(void)state;
	assert_traces(TYPES "0x1010;0x2000;0x2030 9 90000 7 2\n", "1010>2000..2030 7 2 0 0\n");
}

static void traces_of_another_shape_are_malformed(void **state)
{
	(void)state;
	assert_traces(TYPES "0x1010;0x2000 0 0 7 2\n"
			    "0x1010;0x2000;0x2030;0x2040 0 0 7 2\n"
			    "0x1010;0x2000;0x2030 0 0 -1 0\n"
			    "[lbr\\:branch_only];0x2000;0x2030 0 0 1 0\n"
			    "0x1010;[lbr\\:fallthrough_only];0x2030 0 0 1 0\n"
			    "0x1010;0x2000;[lbr\\:external_return] 0 0 1 0\n",
		"error -4 2 locations with a value of lbr_traces, where there must be three; these "
		"are no branch records, or a tool between has changed the stacks\n"
		"error -4 4 locations with a value of lbr_traces, where there must be three; these "
		"are no branch records, or a tool between has changed the stacks\n"
		"error -4 a negative number of branches; differences of profiles cannot be used\n"
		"error -4 [lbr:branch_only] stands for the source of a branch, where it has no "
		"meaning\n"
		"error -4 [lbr:fallthrough_only] stands for the target of a branch, where it has "
		"no "
		"meaning\n"
		"error -4 [lbr:external_return] stands for the end of a branch, where it has no "
		"meaning\n");
}

static void costs_that_come_without_their_count_are_kept(void **state)
{
	(void)state;
	assert_traces(TYPES "0x1010;0x2000;0x2030 0 0 0 2\n", "1010>2000..2030 0 2 0 0\n");
}

static void pairs_are_branches_ranges_or_both(void **state)
{
	(void)state;
	/* Root first: source then target, start then end. */
	assert_traces("type lbr_branches/count\ntype lbr_ranges/count\n"
		      "type lbr_mispredicts/count\nmapping 1000 9000 0 /bin/app aa\n"
		      "0x1010;0x2000 7 0 2\n"
		      "0x2000;0x2030 0 8 0\n"
		      "0x3000;0x3030 9 10 1\n",
		"1010>2000..- 7 2 0 0\n"
		"->2000..2030 8 0 0 0\n"
		"3000>3030..- 9 1 0 0\n"
		"->3000..3030 10 0 0 0\n");
}

static void a_ring_is_one_branch_an_entry_and_runs_between_them(void **state)
{
	(void)state;
	/* Leaf first: from0 to0 from1 to1 from2 to2, so the text has to2 first. */
	assert_traces("type lbr/stacks\nmapping 1000 9000 0 /bin/app aa\n"
		      "0x1100;0x2200;0x1101;0x2201;0x1102;0x2202 3\n",
		"2202>1102..- 3 0 0 0\n"
		"2201>1101..2202 3 0 0 0\n"
		"2200>1100..2201 3 0 0 0\n");
	assert_traces("type lbr/stacks\nmapping 1000 9000 0 /bin/app aa\n"
		      "0x1100;0x2200;0x1101 3\n",
		"error -4 3 locations with a value of lbr/stacks, where there must be an even "
		"number; these are no branch records, or a tool between has changed the stacks\n");
}

static void other_types_of_that_name_are_no_rings(void **state)
{
	struct pgo_profile *p = mkprofile("type lbr/count\na;b 3\n");
	char *got = traces_of(p, false);

	(void)state;
	assert_string_equal(got, "");
	free(got);
	pgo_profile_free(p);
}

static void the_single_trace_call_refuses_what_holds_several(void **state)
{
	struct pgo_profile *p = mkprofile("type lbr_branches/count\ntype lbr_ranges/count\n"
					  "0x10;0x20 7 0\n0x30;0x40 1 1\n0x1;0x2 0 0\n");
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_lbr_columns c;
	struct pgo_lbr_trace t;
	struct pgo_sample s;
	bool has;

	(void)state;
	assert_int_equal(pgo_lbr_columns_init(&c, p, &has, &err), 0);
	s = pgo_profile_sample(p, 0);
	assert_int_equal(pgo_lbr_trace_of(&c, p, &s, &t, &err), 1);
	assert_int_equal(t.count, 7);
	s = pgo_profile_sample(p, 1);
	assert_int_equal(pgo_lbr_trace_of(&c, p, &s, &t, &err), PGO_EMISMATCH);
	s = pgo_profile_sample(p, 2);
	assert_int_equal(pgo_lbr_trace_of(&c, p, &s, &t, &err), 0);
	pgo_lbr_columns_fini(&c);
	pgo_profile_free(p);
}

/* ---------------------------------------------------------------- the table */

static struct pgo_lbr_point at(uint32_t image, uint64_t vaddr)
{
	return (struct pgo_lbr_point){.vaddr = vaddr, .image = image};
}

static void rows_are_sums_sorted_by_key(void **state)
{
	struct pgo_lbr_table *t = pgo_lbr_table_new(NULL);
	const struct pgo_lbr_row *r;
	struct pgo_lbr_point dirty = at(0, 0x10);

	(void)state;
	dirty.zero = 77; /* must not make another key */
	assert_int_equal(
		pgo_lbr_table_add(t, at(1, 0x10), at(0, 0x20), at(0, 0x30), 1, 1, 10, 0), 0);
	assert_int_equal(
		pgo_lbr_table_add(t, at(0, 0x10), at(0, 0x20), at(0, 0x31), 2, 0, 10, 0), 0);
	assert_int_equal(
		pgo_lbr_table_add(t, at(0, 0x10), at(0, 0x20), at(0, 0x30), 3, 2, 10, 5), 0);
	assert_int_equal(pgo_lbr_table_add(t, dirty, at(0, 0x20), at(0, 0x30), 4, 2, 10, 6), 0);
	assert_int_equal(pgo_lbr_table_add(t, at(0, 0x10), at(0, 0x20),
				 at(PGO_LBR_PSEUDO(PGO_LBR_IS_BRANCH_ONLY), 0), 5, 0, 0, 0),
		0);
	assert_int_equal(pgo_lbr_table_size(t), 4);
	r = pgo_lbr_table_rows(t);
	assert_int_equal(r[0].count, 7);
	assert_int_equal(r[0].mispredicts, 4);
	assert_int_equal(r[0].cycles, 20);
	assert_int_equal(r[0].executions, 11);
	assert_int_equal(r[1].end.vaddr, 0x31);
	assert_true(r[2].end.image >= PGO_LBR_FIRST_PSEUDO);
	assert_int_equal(r[3].source.image, 1);
	/* And the table goes on after it was read. */
	assert_int_equal(
		pgo_lbr_table_add(t, at(0, 0x10), at(0, 0x20), at(0, 0x31), 40, 0, 0, 0), 0);
	assert_int_equal(pgo_lbr_table_add(t, at(0, 1), at(0, 2), at(0, 3), 1, 0, 0, 0), 0);
	r = pgo_lbr_table_rows(t);
	assert_int_equal(pgo_lbr_table_size(t), 5);
	assert_int_equal(r[0].source.vaddr, 1);
	assert_int_equal(r[2].count, 42);
	pgo_lbr_table_free(t);
	pgo_lbr_table_free(NULL);
}

static uint64_t rng = 1;

static uint64_t any(uint64_t below)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (rng >> 33) % below;
}

static int row_cmp(const void *a, const void *b)
{
	return memcmp(a, b, 3 * sizeof(struct pgo_lbr_point));
}

static void many_additions_give_the_sums_of_a_plain_list(void **state)
{
	enum { N = 200000 };
	struct pgo_lbr_row *all = calloc(N, sizeof *all);
	struct pgo_lbr_table *t = pgo_lbr_table_new(NULL), *back = pgo_lbr_table_new(NULL);
	const struct pgo_lbr_row *r, *b;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		struct pgo_lbr_row *x = &all[i];

		x->source = at((uint32_t)any(2), any(30));
		x->target = at((uint32_t)any(2), any(30));
		x->end = at(0, any(20));
		x->count = any(1000);
		assert_int_equal(
			pgo_lbr_table_add(t, x->source, x->target, x->end, x->count, 1, 2, 3), 0);
	}
	for (size_t i = N; i-- > 0;)
		assert_int_equal(pgo_lbr_table_add(back, all[i].source, all[i].target, all[i].end,
					 all[i].count, 1, 2, 3),
			0);
	qsort(all, N, sizeof *all, row_cmp);
	r = pgo_lbr_table_rows(t);
	b = pgo_lbr_table_rows(back);
	assert_int_equal(pgo_lbr_table_size(t), pgo_lbr_table_size(back));
	assert_memory_equal(r, b, pgo_lbr_table_size(t) * sizeof *r);
	for (size_t i = 0; i < pgo_lbr_table_size(t); i++) {
		uint64_t count = 0, times = 0;
		struct pgo_lbr_row *x = bsearch(&r[i], all, N, sizeof *all, row_cmp);

		assert_non_null(x);
		while (x > all && row_cmp(x - 1, &r[i]) == 0)
			x--;
		for (; x < all + N && row_cmp(x, &r[i]) == 0; x++, times++)
			count += x->count;
		assert_int_equal(r[i].count, count);
		assert_int_equal(r[i].mispredicts, times);
		assert_int_equal(r[i].executions, 3 * times);
		n += times;
	}
	assert_int_equal(n, N);
	pgo_lbr_table_free(t);
	pgo_lbr_table_free(back);
	free(all);
}

static void sums_stop_at_the_largest_number(void **state)
{
	struct pgo_lbr_table *t = pgo_lbr_table_new(NULL);

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			pgo_lbr_table_add(t, at(0, 1), at(0, 2), at(0, 3), UINT64_MAX - 1, 0, 0, 0),
			0);
	assert_true(pgo_lbr_table_rows(t)[0].count == UINT64_MAX);
	pgo_lbr_table_free(t);
}

static void every_failed_allocation_is_an_error_and_leaks_nothing(void **state)
{
	uint64_t live = pgo_alloc_live();
	bool finished = false;

	(void)state;
	for (uint64_t n = 0; n < 100 && !finished; n++) {
		struct pgo_lbr_table *t;
		int rc = PGO_ENOMEM;

		pgo_alloc_fail_after(n);
		t = pgo_lbr_table_new(NULL);
		for (uint64_t i = 0; t != NULL && i < 3000; i++) {
			rc = pgo_lbr_table_add(t, at(0, i), at(0, 1), at(0, 2), 1, 0, 0, 0);
			if (rc < 0)
				break;
		}
		pgo_alloc_fail_after(UINT64_MAX);
		finished = rc == 0;
		pgo_lbr_table_free(t);
		assert_int_equal(pgo_alloc_live(), live);
	}
	assert_true(finished);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trace_is_read_end_first),
		cmocka_unit_test(every_column_of_costs_is_optional),
		cmocka_unit_test(pseudo_ends_are_told_by_name_wherever_a_store_puts_them),
		cmocka_unit_test(a_name_like_a_pseudo_end_at_a_real_address_is_an_address),
		cmocka_unit_test(a_call_stack_folded_with_a_trace_keeps_the_trace),
		cmocka_unit_test(traces_of_another_shape_are_malformed),
		cmocka_unit_test(costs_that_come_without_their_count_are_kept),
		cmocka_unit_test(pairs_are_branches_ranges_or_both),
		cmocka_unit_test(a_ring_is_one_branch_an_entry_and_runs_between_them),
		cmocka_unit_test(other_types_of_that_name_are_no_rings),
		cmocka_unit_test(the_single_trace_call_refuses_what_holds_several),
		cmocka_unit_test(rows_are_sums_sorted_by_key),
		cmocka_unit_test(many_additions_give_the_sums_of_a_plain_list),
		cmocka_unit_test(sums_stop_at_the_largest_number),
		cmocka_unit_test(every_failed_allocation_is_an_error_and_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
