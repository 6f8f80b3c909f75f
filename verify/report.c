/* SPDX-License-Identifier: Apache-2.0 */
/* A verdict as text for people and as JSON for machines. */
#include "verify/verify.h"

#include "verify/applied.h"
#include "verify/calltree.h"
#include "verify/escape.h"
#include "verify/gates.h"
#include "verify/layout.h"
#include "verify/views.h"

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
	if (v->sentence != NULL) {
		pgo_escape_add(out, PGO_ESCAPE_TEXT, v->sentence);
		pgo_buf_putc(out, '\n');
	}
	pgo_buf_printf(out, "%zu profile%s before, %zu after; %llu and %llu samples of %s\n",
		v->before.profiles, v->before.profiles == 1 ? "" : "s", v->after.profiles,
		(unsigned long long)v->before.samples, (unsigned long long)v->after.samples,
		v->design.unit);
	if (v->total.valid)
		pgo_buf_printf(out, "total cost %+.2f%% (95 %% interval %+.2f to %+.2f)\n",
			v->total.change * 100, v->total.low * 100, v->total.high * 100);
	if (v->money.valid && v->money.priced)
		pgo_buf_printf(out,
			"money: %.1f cores saved (%.1f to %.1f), %.0f a year (%.0f to %.0f)\n",
			v->money.cores_saved, v->money.cores_low, v->money.cores_high,
			v->money.saved, v->money.low, v->money.high);
	else if (v->money.valid)
		pgo_buf_printf(out, "money: %.1f cores saved (%.1f to %.1f)\n",
			v->money.cores_saved, v->money.cores_low, v->money.cores_high);
	for (size_t i = 0; i < v->design.n_notes; i++)
		pgo_buf_printf(out, "note: %s\n", v->design.notes[i]);
}

static void figures(const struct pgo_verdict *v, struct pgo_buf *out)
{
	pgo_buf_printf(out,
		"overlap of function shares %.2f%%; only before %.2f%%, only after %.2f%%; without "
		"a function %.2f%% and %.2f%%\n",
		v->overlap * 100, v->before.unmatched * 100, v->after.unmatched * 100,
		v->before.unnamed * 100, v->after.unnamed * 100);
	pgo_buf_printf(out, "functions:");
	for (int i = 0; i < PGO_N_CHANGES; i++)
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
	pgo_buf_printf(out, "%7.2f%% %7.2f%% %9s %9s %9s  %-9s  ", f->before * 100, f->after * 100,
		change, low, high, pgo_change_name(f->verdict));
	pgo_escape_add(out, PGO_ESCAPE_TEXT, f->name);
	pgo_buf_putc(out, '\n');
}

void pgo_verdict_text(const struct pgo_verdict *v, size_t most, struct pgo_buf *out)
{
	size_t n = most != 0 && most < v->n_findings ? most : v->n_findings;

	sentence(v, out);
	figures(v, out);
	if (v->applied != NULL)
		pgo_buf_printf(out, "%s\n", v->applied->sentence);
	for (size_t i = 0; i < v->n_fail_if; i++)
		pgo_buf_printf(out, "gate %s: %s (measured %.2f%%)\n", v->fail_if[i].text,
			v->fail_if[i].failed ? "FAILED" : "passed", v->fail_if[i].value);
	pgo_buf_printf(out, "\n%8s %8s %9s %9s %9s  %-9s  %s\n", "before", "after", "change", "low",
		"high", "verdict", "function");
	for (size_t i = 0; i < n; i++)
		finding(&v->findings[i], out);
	if (n < v->n_findings)
		pgo_buf_printf(out, "... and %zu more (--top N)\n", v->n_findings - n);
	if (v->layout_before != NULL && v->layout_after != NULL) {
		pgo_buf_putc(out, '\n');
		pgo_layout_text(v->layout_before, v->layout_after, out);
	}
}

static void side_json(struct pgo_json *j, const char *key, const struct pgo_verdict_side *s)
{
	pgo_json_key(j, key);
	pgo_json_object(j);
	pgo_json_kv_u64(j, "profiles", s->profiles);
	pgo_json_kv_u64(j, "replicates", s->replicates);
	pgo_json_kv_u64(j, "samples", s->samples);
	pgo_json_kv_double(j, "unmatched", s->unmatched);
	pgo_json_kv_double(j, "unnamed", s->unnamed);
	pgo_json_end_object(j);
}

static void design_json(struct pgo_json *j, const struct pgo_verdict_design *d)
{
	static const char *const bases[] = {"work", "control", "profile", "share"};

	pgo_json_key(j, "design");
	pgo_json_object(j);
	pgo_json_kv_str(j, "name", pgo_design_name(d->kind));
	pgo_json_kv_str(j, "replicate", pgo_replicate_name(d->replicate));
	pgo_json_kv_str(j, "unit", d->unit);
	pgo_json_kv_str(j, "per", d->per);
	pgo_json_kv_str(j, "basis", bases[d->by]);
	pgo_json_kv_bool(j, "causal", d->causal);
	pgo_json_kv_bool(j, "concurrent", d->concurrent);
	pgo_json_kv_u64(j, "hosts_before", d->hosts_before);
	pgo_json_kv_u64(j, "hosts_after", d->hosts_after);
	pgo_json_kv_u64(j, "hosts_both", d->hosts_both);
	pgo_json_kv_double(j, "days_before", d->days_before);
	pgo_json_kv_double(j, "days_after", d->days_after);
	pgo_json_key(j, "notes");
	pgo_json_array(j);
	for (size_t i = 0; i < d->n_notes; i++)
		pgo_json_str(j, d->notes[i]);
	pgo_json_end_array(j);
	pgo_json_end_object(j);
}

static void total_json(struct pgo_json *j, const struct pgo_verdict_total *t)
{
	pgo_json_key(j, "total");
	if (!t->valid) {
		pgo_json_null(j);
		return;
	}
	pgo_json_object(j);
	pgo_json_kv_double(j, "change", t->change);
	pgo_json_kv_double(j, "low", t->low);
	pgo_json_kv_double(j, "high", t->high);
	pgo_json_kv_double(j, "p", t->p);
	pgo_json_kv_double(j, "rank_p", t->rank_p);
	pgo_json_kv_double(j, "before", t->before);
	pgo_json_kv_double(j, "after", t->after);
	pgo_json_key(j, "t");
	pgo_json_object(j);
	pgo_json_kv_double(j, "low", t->t_low);
	pgo_json_kv_double(j, "high", t->t_high);
	pgo_json_end_object(j);
	pgo_json_key(j, "bootstrap");
	if (t->bootstrap_rounds == 0) {
		pgo_json_null(j);
	} else {
		pgo_json_object(j);
		pgo_json_kv_double(j, "low", t->bootstrap_low);
		pgo_json_kv_double(j, "high", t->bootstrap_high);
		pgo_json_kv_u64(j, "rounds", t->bootstrap_rounds);
		pgo_json_end_object(j);
	}
	pgo_json_kv_double(j, "minimum_detectable", t->minimum_detectable);
	pgo_json_kv_u64(j, "hosts_needed", t->hosts_needed);
	pgo_json_kv_double(j, "days_needed", t->days_needed);
	pgo_json_kv_double(j, "needed_for", t->wanted);
	pgo_json_end_object(j);
}

static void calibration_json(struct pgo_json *j, const struct pgo_verdict_calibration *c)
{
	pgo_json_key(j, "calibration");
	pgo_json_object(j);
	pgo_json_kv_bool(j, "valid", c->valid);
	if (c->valid) {
		pgo_json_kv_u64(j, "splits", c->splits);
		pgo_json_kv_double(j, "nominal", 0.05);
		pgo_json_kv_double(j, "false_positives", c->false_positives);
		pgo_json_kv_double(j, "low", c->low);
		pgo_json_kv_double(j, "high", c->high);
	} else {
		pgo_json_kv_str(j, "why", c->why);
	}
	pgo_json_end_object(j);
}

static void money_json(struct pgo_json *j, const struct pgo_verdict_money *m)
{
	pgo_json_key(j, "money");
	if (!m->valid) {
		pgo_json_null(j);
		return;
	}
	pgo_json_object(j);
	pgo_json_kv_double(j, "cores", m->cores);
	pgo_json_kv_double(j, "cores_saved", m->cores_saved);
	pgo_json_kv_double(j, "cores_low", m->cores_low);
	pgo_json_kv_double(j, "cores_high", m->cores_high);
	if (m->priced) {
		pgo_json_kv_double(j, "price", m->price);
		pgo_json_kv_double(j, "saved_a_year", m->saved);
		pgo_json_kv_double(j, "saved_low", m->low);
		pgo_json_kv_double(j, "saved_high", m->high);
	}
	pgo_json_end_object(j);
}

static void work_json(struct pgo_json *j, const struct pgo_verdict_work *w)
{
	pgo_json_key(j, "work");
	if (!w->given) {
		pgo_json_null(j);
		return;
	}
	pgo_json_object(j);
	pgo_json_kv_u64(j, "rows", w->rows);
	pgo_json_kv_u64(j, "rows_used", w->rows_used);
	pgo_json_kv_u64(j, "rows_unmatched", w->rows_unmatched);
	pgo_json_kv_u64(j, "rows_zero", w->rows_zero);
	pgo_json_kv_u64(j, "profiles", w->profiles);
	pgo_json_kv_u64(j, "profiles_with", w->profiles_with);
	pgo_json_kv_u64(j, "profiles_without", w->profiles_without);
	pgo_json_end_object(j);
}

static void finding_json(
	struct pgo_json *j, const struct pgo_verdict *v, const struct pgo_finding *f)
{
	pgo_json_object(j);
	pgo_json_kv_str(j, "name", f->name);
	pgo_json_kv_str(j, "verdict", pgo_change_name(f->verdict));
	pgo_json_kv_double(j, "before", f->before);
	pgo_json_kv_double(j, "after", f->after);
	pgo_json_kv_double(j, "change", f->change);
	pgo_json_kv_double(j, "low", f->low);
	pgo_json_kv_double(j, "high", f->high);
	pgo_json_kv_double(j, "p", f->p);
	pgo_json_kv_double(j, "q", f->q);
	pgo_json_kv_double(j, "rank_p", f->rank_p);
	pgo_json_kv_bool(j, "exact", f->exact);
	pgo_json_kv_u64(j, "samples_before", f->samples_before);
	pgo_json_kv_u64(j, "samples_after", f->samples_after);
	pgo_json_kv_str(j, "group", f->group == PGO_NONE ? NULL : v->groups[f->group].id);
	pgo_json_end_object(j);
}

static void group_json(struct pgo_json *j, const struct pgo_finding_group *g)
{
	pgo_json_object(j);
	pgo_json_kv_str(j, "id", g->id);
	pgo_json_kv_str(j, "verdict", pgo_change_name(g->verdict));
	pgo_json_key(j, "members");
	pgo_json_array(j);
	for (size_t i = 0; i < g->n_members; i++)
		pgo_json_str(j, g->members[i]);
	pgo_json_end_array(j);
	pgo_json_kv_double(j, "before", g->before);
	pgo_json_kv_double(j, "after", g->after);
	pgo_json_kv_double(j, "change", g->change);
	pgo_json_kv_double(j, "low", g->low);
	pgo_json_kv_double(j, "high", g->high);
	pgo_json_kv_double(j, "p", g->p);
	pgo_json_kv_double(j, "q", g->q);
	pgo_json_end_object(j);
}

static void fail_if_json(struct pgo_json *j, const struct pgo_verdict *v)
{
	pgo_json_key(j, "fail_if");
	pgo_json_array(j);
	for (size_t i = 0; i < v->n_fail_if; i++) {
		pgo_json_object(j);
		pgo_json_kv_str(j, "gate", v->fail_if[i].text);
		pgo_json_kv_double(j, "value", v->fail_if[i].value);
		pgo_json_kv_str(j, "verdict", v->fail_if[i].failed ? "fail" : "pass");
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
}

static void findings_json(struct pgo_json *j, const struct pgo_verdict *v)
{
	pgo_json_key(j, "findings");
	pgo_json_array(j);
	for (size_t i = 0; i < v->n_findings; i++)
		finding_json(j, v, &v->findings[i]);
	pgo_json_end_array(j);
	pgo_json_kv_u64(j, "findings_not_listed", v->n_small);
	pgo_json_key(j, "verdicts");
	pgo_json_object(j);
	for (int i = 0; i < PGO_N_CHANGES; i++)
		pgo_json_kv_u64(j, pgo_change_name((enum pgo_change)i), v->n_verdicts[i]);
	pgo_json_end_object(j);
	pgo_json_key(j, "groups");
	pgo_json_array(j);
	for (size_t i = 0; i < v->n_groups; i++)
		group_json(j, &v->groups[i]);
	pgo_json_end_array(j);
}

static void sentence_json(const struct pgo_verdict *v, struct pgo_json *j)
{
	char counts[120];

	snprintf(counts, sizeof counts, "%zu and %zu profiles compared function by function",
		v->before.profiles, v->after.profiles);
	pgo_json_kv_str(j, "sentence", v->sentence != NULL ? v->sentence : counts);
}

static void gates_json(const struct pgo_verdict *v, struct pgo_json *j)
{
	pgo_json_key(j, "gates");
	if (v->gates != NULL) {
		pgo_gates_json(v->gates, j);
	} else {
		pgo_json_array(j);
		pgo_json_end_array(j);
	}
}

/* On one line: a node is a line too little. */
static void calltree_json(const struct pgo_verdict *v, struct pgo_json *j)
{
	bool compact = j->compact;

	pgo_json_key(j, "calltree");
	j->compact = true;
	if (v->calltree != NULL)
		pgo_calltree_json(v->calltree, j);
	else
		pgo_json_null(j);
	j->compact = compact;
}

void pgo_verdict_json(const struct pgo_verdict *v, struct pgo_json *j)
{
	pgo_json_object(j);
	pgo_json_kv_u64(j, "schema", PGO_VERDICT_SCHEMA);
	pgo_json_kv_str(j, "kind", "verdict");
	sentence_json(v, j);
	pgo_json_kv_str(j, "outcome", pgo_outcome_name(v->outcome));
	design_json(j, &v->design);
	total_json(j, &v->total);
	calibration_json(j, &v->calibration);
	money_json(j, &v->money);
	work_json(j, &v->work);
	side_json(j, "before", &v->before);
	side_json(j, "after", &v->after);
	pgo_json_kv_double(j, "overlap", v->overlap);
	pgo_json_kv_double(j, "design_effect", v->design_effect);
	pgo_json_kv_bool(j, "design_effect_assumed", v->design_effect_assumed);
	findings_json(j, v);
	gates_json(v, j);
	pgo_json_key(j, "applied");
	if (v->applied != NULL)
		pgo_applied_json(v->applied, j);
	else
		pgo_json_null(j);
	fail_if_json(j, v);
	pgo_json_kv_bool(j, "failed", pgo_verdict_failed(v));
	pgo_json_key(j, "layout");
	if (v->layout_before != NULL && v->layout_after != NULL)
		pgo_layout_json(v->layout_before, v->layout_after, j);
	else
		pgo_json_null(j);
	calltree_json(v, j);
	pgo_json_end_object(j);
	pgo_json_finish(j);
}
