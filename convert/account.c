/* SPDX-License-Identifier: Apache-2.0 */
/* The account of a conversion: one screen for people, one object for machines, from the same
 * tables. */
#include "convert/convert.h"

#include "pgo/core/file.h"

#include <inttypes.h>
#include <string.h>

/* A named kind of loss; the row is silent when nothing was lost. */
struct row {
	const char *key, *text;
	uint64_t count;
};

static double percent(uint64_t part, uint64_t whole)
{
	return whole != 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

static void count_row(struct pgo_buf *out, const char *text, uint64_t count, uint64_t whole)
{
	pgo_buf_printf(
		out, "    %-44s %14" PRIu64 "  %6.2f%%\n", text, count, percent(count, whole));
}

/* One kind of thing that was read: how much, used, and where the rest went. */
static void flow_text(struct pgo_buf *out, const char *what, uint64_t read, uint64_t used,
	const uint64_t *loss, const struct row *more, size_t n_more)
{
	if (read == 0)
		return;
	pgo_buf_printf(out, "  %-46s %14" PRIu64 "\n", what, read);
	count_row(out, "used", used, read);
	for (int i = PGO_LOSS_NONE + 1; i < PGO_N_LOSSES; i++)
		if (loss[i] != 0)
			count_row(out, pgo_loss_name((enum pgo_loss)i), loss[i], read);
	for (size_t i = 0; i < n_more; i++)
		if (more[i].count != 0)
			count_row(out, more[i].text, more[i].count, read);
}

static void flow_json(struct pgo_json *j, const char *key, uint64_t read, uint64_t used,
	const uint64_t *loss, const struct row *more, size_t n_more)
{
	pgo_json_key(j, key);
	pgo_json_object(j);
	pgo_json_kv_u64(j, "read", read);
	pgo_json_kv_u64(j, "used", used);
	for (int i = PGO_LOSS_NONE + 1; i < PGO_N_LOSSES; i++)
		pgo_json_kv_u64(j, pgo_loss_key((enum pgo_loss)i), loss[i]);
	for (size_t i = 0; i < n_more; i++)
		pgo_json_kv_u64(j, more[i].key, more[i].count);
	pgo_json_end_object(j);
}

#define N_BOGUS 7

static void bogus_rows(const struct pgo_account *a, struct row ret[N_BOGUS])
{
	const struct row rows[N_BOGUS] = {
		{"stub", "in linkage stubs (PLT)", a->ranges_stub},
		{"backward", "end before they start", a->ranges_backward},
		{"too_long", "over 1 MiB long", a->ranges_too_long},
		{"no_function", "in no function", a->ranges_no_function},
		{"cross_function", "run from one function into another", a->ranges_cross_function},
		{"cross_jump", "run over a jump, call or return", a->ranges_cross_jump},
		{"misaligned", "begin or end inside an instruction", a->ranges_misaligned},
	};

	memcpy(ret, rows, sizeof rows);
}

static void split_text(const struct pgo_account *a, struct pgo_buf *out)
{
	if (a->split_units != 0)
		pgo_buf_printf(out, "    and %" PRIu64 " units from %s%s\n", a->split_units,
			a->split_file, a->split_units > 1 ? " and the like" : "");
	if (a->split_missing != 0)
		pgo_buf_printf(out, "    without %" PRIu64 " units whose .dwo was not found\n",
			a->split_missing);
}

/* A line for each binary, if there are several. */
static void binaries_text(const struct pgo_account *a, struct pgo_buf *out)
{
	if (a->n_binaries < 2)
		return;
	pgo_buf_puts(out, "  binaries, their share of executions, functions, hot ones, density\n");
	for (size_t i = 0; i < a->n_binaries; i++) {
		const struct pgo_account *b = a->binaries[i];

		pgo_buf_printf(out, "    %6.2f%% %7zu %7zu %10.1f  %s (%s)\n",
			percent(b->executions, a->executions), b->functions, b->functions_hot,
			b->density, b->name, b->build_id[0] != '\0' ? b->build_id : "no build-id");
		if (b->debug_file != NULL) {
			pgo_buf_printf(out,
				"            debug information from %s; %.2f%% of executions have "
				"no "
				"source line\n",
				b->debug_file, percent(b->no_line, b->executions));
			split_text(b, out);
		} else if (b->no_line != 0) {
			pgo_buf_puts(out, "            no debug information: nothing of it is in "
					  "source-level "
					  "profiles\n");
		}
	}
}

static void missing_text(const struct pgo_account *a, struct pgo_buf *out)
{
	uint64_t read = a->lbr ? a->branches_read : a->plain_read;

	if (a->n_missing == 0)
		return;
	pgo_buf_printf(out, "  %zu profiled file%s not given as a binary\n", a->n_missing_all,
		a->n_missing_all == 1 ? " was" : "s were");
	for (size_t i = 0; i < a->n_missing; i++)
		pgo_buf_printf(out, "    %6.2f%% %14" PRIu64 "  %s%s%s%s\n",
			percent(a->missing[i].count, read), a->missing[i].count,
			a->missing[i].name[0] != '\0' ? a->missing[i].name : "(no name)",
			a->missing[i].build_id[0] != '\0' ? " (" : "", a->missing[i].build_id,
			a->missing[i].build_id[0] != '\0' ? ")" : "");
}

#define N_STRAY 5

static void stray_rows(const struct pgo_account *a, struct row ret[N_STRAY])
{
	const struct row rows[N_STRAY] = {
		{"stub", "in linkage stubs (PLT)", a->plain_stub},
		{"no_function", "in no function", a->plain_no_function},
		{"misplaced", "on no instruction", a->plain_misplaced},
		{"symbolic_no_function", "under a name that no function has",
			a->symbolic.no_function},
		{"symbolic_no_line", "on a line that the function has not", a->symbolic.no_line},
	};

	memcpy(ret, rows, sizeof rows);
}

static void symbolic_text(const struct pgo_symbolic_report *s, struct pgo_buf *out)
{
	if (s->read == 0)
		return;
	pgo_buf_printf(out,
		"  by name and line, without addresses: %" PRIu64 " samples; %zu of %zu function "
		"names found\n",
		s->read, s->names_found, s->names);
	for (size_t i = 0; i < s->n_missing; i++)
		pgo_buf_printf(out, "    %14" PRIu64 "  not found: %s\n", s->missing[i].samples,
			s->missing[i].name);
}

static void symbolic_json(struct pgo_json *j, const struct pgo_symbolic_report *s)
{
	pgo_json_key(j, "symbolic");
	pgo_json_object(j);
	pgo_json_kv_u64(j, "read", s->read);
	pgo_json_kv_u64(j, "used", s->placed);
	pgo_json_kv_u64(j, "no_function", s->no_function);
	pgo_json_kv_u64(j, "no_line", s->no_line);
	pgo_json_kv_u64(j, "names", s->names);
	pgo_json_kv_u64(j, "names_found", s->names_found);
	pgo_json_key(j, "missing");
	pgo_json_array(j);
	for (size_t i = 0; i < s->n_missing; i++) {
		pgo_json_object(j);
		pgo_json_kv_str(j, "name", s->missing[i].name);
		pgo_json_kv_u64(j, "samples", s->missing[i].samples);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
	pgo_json_end_object(j);
}

static void estimate_text(const struct pgo_account *a, struct pgo_buf *out)
{
	const struct pgo_plain_estimate *e = &a->estimate;

	if (a->lbr)
		return;
	pgo_buf_printf(out,
		"  estimated from %" PRIu64 " samples without branch records: %zu functions, %zu "
		"blocks, %zu of them sampled\n",
		e->samples, e->functions, e->blocks, e->blocks_sampled);
	pgo_buf_printf(out,
		"  how sure: %.1f samples for each sampled block; %.2f%% of the samples are in %zu "
		"functions with few\n",
		e->blocks_sampled != 0 ? (double)e->samples / (double)e->blocks_sampled : 0.0,
		percent(e->samples_thin, e->samples), e->functions_thin);
	if (e->sites == 0)
		return;
	pgo_buf_printf(out, "  indirect calls: %zu sites ran, %zu have targets from call stacks",
		e->sites, e->sites_known);
	pgo_buf_printf(out,
		e->stacks_unreliable ? " (the stacks skip callers: not used)\n"
				     : ", %.2f%% of the calls\n",
		percent(e->calls_known, e->calls));
}

static void estimate_json(struct pgo_json *j, const struct pgo_plain_estimate *e)
{
	pgo_json_key(j, "estimate");
	pgo_json_object(j);
	pgo_json_kv_u64(j, "samples", e->samples);
	pgo_json_kv_u64(j, "functions", e->functions);
	pgo_json_kv_u64(j, "blocks", e->blocks);
	pgo_json_kv_u64(j, "blocks_sampled", e->blocks_sampled);
	pgo_json_kv_u64(j, "functions_thin", e->functions_thin);
	pgo_json_kv_u64(j, "samples_thin", e->samples_thin);
	pgo_json_kv_u64(j, "jumps_unknown", e->jumps_unknown);
	pgo_json_kv_u64(j, "indirect_sites", e->sites);
	pgo_json_kv_u64(j, "indirect_sites_known", e->sites_known);
	pgo_json_kv_u64(j, "indirect_calls", e->calls);
	pgo_json_kv_u64(j, "indirect_calls_known", e->calls_known);
	pgo_json_kv_bool(j, "stacks_unreliable", e->stacks_unreliable);
	pgo_json_end_object(j);
}

static void counts_text(const struct pgo_account *a, struct pgo_buf *out)
{
	if (a->executions_used)
		pgo_buf_puts(out,
			"    (what is counted are executions, estimated with the sampling "
			"bias taken out)\n");
	else if (a->executions_coarse)
		pgo_buf_printf(out,
			"    (what is counted are records: estimates of executions would be "
			"coarser, the period is that short)\n");
	else if (a->unestimated != 0)
		pgo_buf_printf(out,
			"    (%" PRIu64 " of them without an estimate of executions: records are "
			"counted)\n",
			a->unestimated);
}

static void go_text(const struct pgo_account *a, struct pgo_buf *out)
{
	static const uint64_t none[PGO_N_LOSSES];
	const struct row row = {"unnamed", "in no known function", a->go.unnamed};

	if (!a->go.wanted)
		return;
	flow_text(out, a->lbr ? "branches for Go" : "stacks for Go", a->go.read, a->go.used, none,
		&row, 1);
	if (a->go.no_start != 0)
		count_row(out, "of the used: without a first line", a->go.no_start, a->go.read);
}

void pgo_account_text(const struct pgo_account *a, struct pgo_buf *out)
{
	struct row bogus[N_BOGUS], stray[N_STRAY];

	bogus_rows(a, bogus);
	stray_rows(a, stray);
	pgo_buf_printf(out, "%" PRIu64 " input%s, %" PRIu64 " distinct samples, %s\n", a->inputs,
		a->inputs == 1 ? "" : "s", a->samples_read,
		a->lbr                               ? "with branch records"
		: a->go.wanted && a->executions == 0 ? "call stacks"
						     : "without branch records: block counts are "
						       "estimates");
	if (a->plain_unused != 0)
		pgo_buf_printf(out,
			"    (%" PRIu64 " inputs have no branch records: their %" PRIu64
			" samples are not used beside those of the others)\n",
			a->inputs_plain, a->plain_unused);
	flow_text(
		out, "taken branches", a->branches_read, a->branches_used, a->branch_loss, NULL, 0);
	counts_text(a, out);
	if (a->branches_entering != 0 || a->branches_leaving != 0)
		pgo_buf_printf(out,
			"    (of the used, %" PRIu64 " come from outside the program and %" PRIu64
			" leave it)\n",
			a->branches_entering, a->branches_leaving);
	flow_text(out, "fall-through ranges", a->ranges_read, a->ranges_used, a->range_loss, bogus,
		N_BOGUS);
	flow_text(out, "instruction samples", a->plain_read, a->plain_used, a->plain_loss, stray,
		N_STRAY);
	symbolic_text(&a->symbolic, out);
	go_text(a, out);
	if (a->go.wanted && a->executions == 0) /* nothing else was made */
		return;
	estimate_text(a, out);
	pgo_buf_printf(out,
		"  %.2f%% mapped; %zu functions, %zu hold 99%% of %" PRIu64
		" executed instructions\n"
		"  density %.1f as llvm-bolt has it",
		a->mapped_share * 100, a->functions, a->functions_hot, a->executions, a->density);
	if (a->density_llvm > 0)
		pgo_buf_printf(out, ", %.1f as llvm-profgen has it", a->density_llvm);
	pgo_buf_puts(out, "\n");
	binaries_text(a, out);
	missing_text(a, out);
	if (a->debug_file != NULL) {
		pgo_buf_printf(out,
			"  debug information from %s; %.2f%% of executions have no source "
			"line\n",
			a->debug_file, percent(a->no_line, a->executions));
		split_text(a, out);
	}
	pgo_trim_text(&a->trim, out);
	pgo_reanchor_text(&a->carried, out);
	pgo_stale_text(&a->stale, out);
	if (a->n_hottest != 0)
		pgo_buf_puts(out, "  hottest functions, by executed instructions\n");
	for (size_t i = 0; i < a->n_hottest; i++)
		pgo_buf_printf(out, "    %6.2f%% %14" PRIu64 "  %s\n", a->hottest[i].share * 100,
			a->hottest[i].count, a->hottest[i].name);
}

static void hottest_json(const struct pgo_account *a, struct pgo_json *j)
{
	pgo_json_key(j, "hottest");
	pgo_json_array(j);
	for (size_t i = 0; i < a->n_hottest; i++) {
		pgo_json_object(j);
		pgo_json_kv_str(j, "name", a->hottest[i].name);
		pgo_json_kv_u64(j, "executions", a->hottest[i].count);
		pgo_json_kv_double(j, "share", a->hottest[i].share);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
}

/* The members of an account: of one binary, or of all. */
static void members_json(const struct pgo_account *a, struct pgo_json *j)
{
	struct row bogus[N_BOGUS], stray[N_STRAY];

	bogus_rows(a, bogus);
	stray_rows(a, stray);
	pgo_json_kv_u64(j, "inputs", a->inputs);
	pgo_json_kv_u64(j, "inputs_without_branches", a->inputs_plain);
	pgo_json_kv_u64(j, "samples_unused", a->plain_unused);
	pgo_json_kv_u64(j, "samples", a->samples_read);
	pgo_json_kv_bool(j, "branch_records", a->lbr);
	pgo_json_kv_bool(j, "executions_used", a->executions_used);
	pgo_json_kv_bool(j, "executions_coarse", a->executions_coarse);
	pgo_json_kv_u64(j, "records_without_executions", a->unestimated);
	flow_json(j, "branches", a->branches_read, a->branches_used, a->branch_loss, NULL, 0);
	pgo_json_kv_u64(j, "branches_entering", a->branches_entering);
	pgo_json_kv_u64(j, "branches_leaving", a->branches_leaving);
	flow_json(j, "ranges", a->ranges_read, a->ranges_used, a->range_loss, bogus, N_BOGUS);
	flow_json(j, "plain", a->plain_read, a->plain_used, a->plain_loss, stray, N_STRAY);
	if (!a->lbr)
		estimate_json(j, &a->estimate);
	if (a->symbolic.read != 0)
		symbolic_json(j, &a->symbolic);
	pgo_json_kv_u64(j, "instructions_hit", a->instructions_hit);
	pgo_json_kv_u64(j, "executions", a->executions);
	pgo_json_kv_u64(j, "no_line", a->no_line);
	pgo_json_kv_u64(j, "functions", a->functions);
	pgo_json_kv_u64(j, "functions_hot", a->functions_hot);
	pgo_json_kv_double(j, "density", a->density);
	pgo_json_kv_double(j, "density_llvm", a->density_llvm);
	pgo_json_kv_double(j, "mapped_share", a->mapped_share);
	/* Without its directory: the same wherever the conversion ran. */
	pgo_json_kv_str(
		j, "debug_file", a->debug_file != NULL ? pgo_path_base(a->debug_file) : NULL);
	pgo_json_kv_str(
		j, "split_file", a->split_file != NULL ? pgo_path_base(a->split_file) : NULL);
	pgo_json_kv_u64(j, "split_units", a->split_units);
	pgo_json_kv_u64(j, "split_missing", a->split_missing);
	hottest_json(a, j);
}

static void missing_json(const struct pgo_account *a, struct pgo_json *j)
{
	pgo_json_kv_u64(j, "missing_files", a->n_missing_all);
	pgo_json_key(j, "missing");
	pgo_json_array(j);
	for (size_t i = 0; i < a->n_missing; i++) {
		pgo_json_object(j);
		pgo_json_kv_str(j, "name", a->missing[i].name);
		pgo_json_kv_str(j, "build_id", a->missing[i].build_id);
		pgo_json_kv_u64(j, "count", a->missing[i].count);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
}

static void go_json(const struct pgo_account *a, struct pgo_json *j)
{
	pgo_json_key(j, "go");
	pgo_json_object(j);
	pgo_json_kv_u64(j, "read", a->go.read);
	pgo_json_kv_u64(j, "used", a->go.used);
	pgo_json_kv_u64(j, "unnamed", a->go.unnamed);
	pgo_json_kv_u64(j, "no_start", a->go.no_start);
	pgo_json_end_object(j);
}

void pgo_account_json(const struct pgo_account *a, struct pgo_json *j)
{
	pgo_json_object(j);
	members_json(a, j);
	missing_json(a, j);
	if (a->go.wanted)
		go_json(a, j);
	pgo_trim_json(&a->trim, j);
	pgo_reanchor_json(&a->carried, j);
	pgo_stale_json(&a->stale, j);
	pgo_json_key(j, "binaries");
	pgo_json_array(j);
	for (size_t i = 0; i < a->n_binaries; i++) {
		pgo_json_object(j);
		pgo_json_kv_str(j, "name", a->binaries[i]->name);
		pgo_json_kv_str(j, "build_id", a->binaries[i]->build_id);
		members_json(a->binaries[i], j);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
	pgo_json_end_object(j);
}
