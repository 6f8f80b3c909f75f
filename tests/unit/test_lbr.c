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

static void the_example_of_the_manual_reads_as_it_says(void **state)
{
	(void)state;
	assert_traces("type samples/count\ntype cpu/nanoseconds\n"
		      "type lbr_traces/count\ntype lbr_mispredicts/count\n"
		      "mapping 401000 402000 1000 /srv/app 5e21\n"
		      "0x401140;0x401120;[lbr\\:branch_only] 0 0 1 0\n"
		      "0x401140;0x401120;0x401140 0 0 1 0\n"
		      "0x401010;0x401100;0x401140 0 0 1 1\n"
		      "[lbr\\:external_return];0x401008;0x401010 0 0 1 0\n",
		"401140>401120..branch_only 1 0 0 0\n"
		"401140>401120..401140 1 0 0 0\n"
		"401010>401100..401140 1 1 0 0\n"
		"external_return>401008..401010 1 0 0 0\n");
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

static void a_failed_allocation_is_an_error(void **state)
{
	struct pgo_profile *p = mkprofile(TYPES "a;b 1 2 0 0\n");
	uint64_t live = pgo_alloc_live();
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_lbr_columns c;
	bool has;

	(void)state;
	pgo_alloc_fail_after(0);
	assert_int_equal(pgo_lbr_columns_init(&c, p, &has, &err), PGO_ENOMEM);
	pgo_alloc_fail_after(UINT64_MAX);
	assert_int_equal(pgo_alloc_live(), live);
	pgo_profile_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trace_is_read_end_first),
		cmocka_unit_test(every_column_of_costs_is_optional),
		cmocka_unit_test(pseudo_ends_are_told_by_name_wherever_a_store_puts_them),
		cmocka_unit_test(a_name_like_a_pseudo_end_at_a_real_address_is_an_address),
		cmocka_unit_test(the_example_of_the_manual_reads_as_it_says),
		cmocka_unit_test(a_call_stack_folded_with_a_trace_keeps_the_trace),
		cmocka_unit_test(traces_of_another_shape_are_malformed),
		cmocka_unit_test(costs_that_come_without_their_count_are_kept),
		cmocka_unit_test(pairs_are_branches_ranges_or_both),
		cmocka_unit_test(a_ring_is_one_branch_an_entry_and_runs_between_them),
		cmocka_unit_test(other_types_of_that_name_are_no_rings),
		cmocka_unit_test(a_failed_allocation_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
