/* SPDX-License-Identifier: Apache-2.0 */
/* A verdict as text for people and as JSON for machines. */
#include "verify/verify.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void percent(double v, char *ret, size_t size)
{
	if (isinf(v))
		snprintf(ret, size, v > 0 ? "new" : "-inf");
	else
		snprintf(ret, size, "%+.1f%%", v * 100);
}

static void sentence(const struct pgo_verdict *v, struct pgo_buf *out)
{
	const char *how = v->replicated ? "profiles as replicates, Welch"
					: "from sample counts, design effect 2: give several "
					  "profiles a side for more";

	pgo_buf_printf(out, "%zu profile%s before, %zu after; %llu and %llu samples of %s\n",
		v->n_before, v->n_before == 1 ? "" : "s", v->n_after,
		(unsigned long long)v->samples_before, (unsigned long long)v->samples_after,
		v->unit);
	if (v->same_work)
		pgo_buf_printf(out, "total cost %+.2f%% (95 %% interval %+.2f to %+.2f; %s)\n",
			v->total_change * 100, v->total_low * 100, v->total_high * 100, how);
	else
		pgo_buf_printf(out,
			"compared as shares of the total: what stays the same grows in share when "
			"the rest gets faster\n"
			"intervals: %s\n",
			how);
}

static void figures(const struct pgo_verdict *v, struct pgo_buf *out)
{
	pgo_buf_printf(out,
		"overlap of function shares %.2f%%; only before %.2f%%, only after %.2f%%; without "
		"a function %.2f%% and %.2f%%\n",
		v->overlap * 100, v->unmatched_before * 100, v->unmatched_after * 100,
		v->unnamed_before * 100, v->unnamed_after * 100);
	pgo_buf_printf(out, "functions:");
	for (int i = 0; i <= PGO_UNCLEAR; i++)
		pgo_buf_printf(
			out, " %zu %s,", v->n_verdicts[i], pgo_change_name((enum pgo_change)i));
	pgo_buf_printf(out, " %zu too small to list\n", v->n_small);
}

static void finding(const struct pgo_finding *f, struct pgo_buf *out)
{
	char change[32], low[32], high[32];

	percent(f->change, change, sizeof change);
	percent(f->low, low, sizeof low);
	percent(f->high, high, sizeof high);
	if (isinf(f->low) || isinf(f->high))
		snprintf(low, sizeof low, "-"), snprintf(high, sizeof high, "-");
	pgo_buf_printf(out, "%7.2f%% %7.2f%% %9s %9s %9s  %-9s  %s\n", f->before * 100,
		f->after * 100, change, low, high, pgo_change_name(f->verdict), f->name);
}

void pgo_verdict_text(const struct pgo_verdict *v, size_t most, struct pgo_buf *out)
{
	size_t n = most != 0 && most < v->n_findings ? most : v->n_findings;

	sentence(v, out);
	figures(v, out);
	pgo_buf_printf(out, "\n%8s %8s %9s %9s %9s  %-9s  %s\n", "before", "after", "change", "low",
		"high", "verdict", "function");
	for (size_t i = 0; i < n; i++)
		finding(&v->findings[i], out);
	if (n < v->n_findings)
		pgo_buf_printf(out, "... and %zu more (--top N)\n", v->n_findings - n);
	for (size_t i = 0; i < v->n_gates; i++)
		pgo_buf_printf(out, "gate %s: %s (measured %.2f%%)\n", v->gates[i].text,
			v->gates[i].failed ? "FAILED" : "passed", v->gates[i].value);
}

static void side_json(struct pgo_json *j, const char *key, size_t profiles, uint64_t samples,
	double unmatched, double unnamed)
{
	pgo_json_key(j, key);
	pgo_json_object(j);
	pgo_json_kv_u64(j, "profiles", profiles);
	pgo_json_kv_u64(j, "samples", samples);
	pgo_json_kv_double(j, "unmatched", unmatched);
	pgo_json_kv_double(j, "unnamed", unnamed);
	pgo_json_end_object(j);
}

static void finding_json(struct pgo_json *j, const struct pgo_finding *f)
{
	pgo_json_object(j);
	pgo_json_kv_str(j, "name", f->name);
	pgo_json_kv_str(j, "verdict", pgo_change_name(f->verdict));
	pgo_json_kv_double(j, "before", f->before);
	pgo_json_kv_double(j, "after", f->after);
	pgo_json_kv_double(j, "change", f->change);
	pgo_json_kv_double(j, "low", f->low);
	pgo_json_kv_double(j, "high", f->high);
	pgo_json_kv_u64(j, "samples_before", f->samples_before);
	pgo_json_kv_u64(j, "samples_after", f->samples_after);
	pgo_json_end_object(j);
}

void pgo_verdict_json(const struct pgo_verdict *v, struct pgo_json *j)
{
	pgo_json_object(j);
	pgo_json_kv_u64(j, "schema", 1);
	pgo_json_kv_str(j, "kind", "verdict");
	pgo_json_kv_str(j, "unit", v->unit);
	pgo_json_kv_str(j, "basis", v->same_work ? "cost" : "share");
	pgo_json_kv_str(j, "intervals", v->replicated ? "replicates" : "sample-counts");
	side_json(j, "before", v->n_before, v->samples_before, v->unmatched_before,
		v->unnamed_before);
	side_json(j, "after", v->n_after, v->samples_after, v->unmatched_after, v->unnamed_after);
	if (v->same_work) {
		pgo_json_key(j, "total");
		pgo_json_object(j);
		pgo_json_kv_double(j, "change", v->total_change);
		pgo_json_kv_double(j, "low", v->total_low);
		pgo_json_kv_double(j, "high", v->total_high);
		pgo_json_end_object(j);
	}
	pgo_json_kv_double(j, "overlap", v->overlap);
	pgo_json_key(j, "functions");
	pgo_json_array(j);
	for (size_t i = 0; i < v->n_findings; i++)
		finding_json(j, &v->findings[i]);
	pgo_json_end_array(j);
	pgo_json_kv_u64(j, "functions_not_listed", v->n_small);
	pgo_json_key(j, "gates");
	pgo_json_array(j);
	for (size_t i = 0; i < v->n_gates; i++) {
		pgo_json_object(j);
		pgo_json_kv_str(j, "gate", v->gates[i].text);
		pgo_json_kv_double(j, "value", v->gates[i].value);
		pgo_json_kv_str(j, "verdict", v->gates[i].failed ? "fail" : "pass");
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
	pgo_json_kv_bool(j, "failed", pgo_verdict_failed(v));
	pgo_json_end_object(j);
	pgo_json_finish(j);
}
