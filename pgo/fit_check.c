/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/fit_check.h"

#include "pgo/accept.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/json.h"
#include "pgo/core/opt.h"
#include "pgo/fit_parts.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define MAX_GATES ((size_t)16 << 20)

/* ---- what was merged */

static const char *unknown_plan(const struct pgo_fit *k)
{
	return k->in->no_plan != NULL ? k->in->no_plan : "it is not known what was merged";
}

/* What the last good result measured; NAN if that is not known. */
static double last_value(const struct pgo_fit *k, const char *name)
{
	const struct pgo_gate_row *r = pgo_gates_find(&k->last_gates, name);
	const struct pgo_gate_limits *l = k->in->limits;

	if (r != NULL)
		return r->value;
	for (size_t i = l != NULL ? l->n_past : 0; i > 0; i--)
		if (strcmp(l->past[i - 1].name, name) == 0)
			return l->past[i - 1].value;
	return NAN;
}

/*
 * A fleet that is small by nature is no failure: the default limit of failing holds only if the result
 * in use is clearly better, for then something is missing.  What the user set holds as it is.
 */
static int soften(struct pgo_fit *k, double last, bool clearly_worse, struct pgo_err *err)
{
	struct pgo_gate_row *r = &k->gates->row[k->gates->n - 1];
	char *why;

	if (r->verdict != PGO_GATE_FAIL || pgo_gate_limits_set(k->in->limits, r->name))
		return 0;
	if (clearly_worse)
		why = pgo_asprintf(
			"%s; the result in use has %.1f: something is missing", r->why, last);
	else if (isnan(last))
		why = pgo_asprintf("%s; there is no result in use that is better", r->why);
	else
		why = pgo_asprintf(
			"%s; the result in use is not clearly better, with %.1f", r->why, last);
	if (why == NULL)
		return pgo_err_nomem(err);
	pgo_free(r->why);
	r->why = why;
	r->verdict = clearly_worse ? PGO_GATE_FAIL : PGO_GATE_WARN;
	return 0;
}

static int check_dominance(struct pgo_fit *k, struct pgo_err *err)
{
	double value = k->in->plan->dominance * 100, last = last_value(k, "dominance");
	int rc = pgo_gates_measure(k->gates, k->in->limits, "dominance", value, err,
		"the largest host has %.1f %% of the weighted mass", value);

	return rc < 0 ? rc : soften(k, last, value > last + 20, err);
}

static int check_hosts(struct pgo_fit *k, struct pgo_err *err)
{
	const struct pgo_plan *p = k->in->plan;
	double last = last_value(k, "hosts");
	int rc;

	if (p == NULL || p->n_hosts == 0) {
		const char *why = p == NULL ? unknown_plan(k)
					    : "the profiles do not say which hosts they are from";

		rc = pgo_gates_skip(k->gates, "hosts", err, "%s", why);
		return rc < 0 ? rc : pgo_gates_skip(k->gates, "dominance", err, "%s", why);
	}
	rc = pgo_gates_measure(k->gates, k->in->limits, "hosts", p->effective_hosts, err,
		"%zu hosts are as good as %.1f equal ones", p->n_hosts, p->effective_hosts);
	if (rc == 0)
		rc = soften(k, last, p->effective_hosts < last / 2, err);
	return rc < 0 ? rc : check_dominance(k, err);
}

static int64_t newest_of(const struct pgo_plan *p)
{
	int64_t newest = 0;

	for (size_t i = 0; i < p->n; i++)
		if (p->inputs[i].drop == PGO_PLAN_KEPT && !p->inputs[i].blend &&
			p->inputs[i].time_ns > newest)
			newest = p->inputs[i].time_ns;
	return newest;
}

static int check_times(struct pgo_fit *k, struct pgo_err *err)
{
	const struct pgo_plan *p = k->in->plan;
	int64_t newest = k->in->newest_ns, now = k->in->now_ns != 0 ? k->in->now_ns : pgo_now();
	double days;
	int rc;

	if (p == NULL || p->n_days == 0)
		rc = pgo_gates_skip(k->gates, "days", err, "%s",
			p == NULL ? unknown_plan(k)
				  : "the profiles do not say when they were taken");
	else
		rc = pgo_gates_measure(k->gates, k->in->limits, "days", (double)p->n_days, err,
			"it is from %zu different days", p->n_days);
	if (rc < 0)
		return rc;
	if (newest == 0 && p != NULL)
		newest = newest_of(p);
	if (newest == 0)
		return pgo_gates_skip(
			k->gates, "freshness", err, "the profile does not say when it was taken");
	days = (double)(now - newest) / 86400e9;
	/* A clock that is behind the hosts' makes nothing stale. */
	return pgo_gates_measure(k->gates, k->in->limits, "freshness", days > 0 ? days : 0, err,
		"the newest of it was taken %.1f days ago", days > 0 ? days : 0);
}

/* ---- how it was converted */

static int check_density(struct pgo_fit *k, struct pgo_err *err)
{
	const struct pgo_gate_rule *rule = pgo_gate_rule_find("density");
	double density = k->in->account->density;

	if (density <= 0 || density >= rule->warn)
		return pgo_gates_measure(k->gates, k->in->limits, "density", density, err,
			"hot code was seen %.1f times over", density);
	return pgo_gates_measure(k->gates, k->in->limits, "density", density, err,
		"hot code was seen %.1f times over; %.1f times as many samples would make it %.0f",
		density, rule->warn / density, rule->warn);
}

static int check_account(struct pgo_fit *k, struct pgo_err *err)
{
	const struct pgo_account *a = k->in->account;
	uint64_t bogus = a->ranges_backward + a->ranges_too_long + a->ranges_cross_function +
			 a->ranges_cross_jump + a->ranges_misaligned;
	const bool others = a->n_missing != 0 && a->mapped_share < 0.99;
	int rc = pgo_gates_measure(k->gates, k->in->limits, "mapped", a->mapped_share * 100, err,
		"%.2f %% of the counts belong to the program%s%s", a->mapped_share * 100,
		others ? "; most of the others to " : "", others ? a->missing[0].name : "");

	if (rc == 0 && a->lbr && a->ranges_read != 0)
		rc = pgo_gates_measure(k->gates, k->in->limits, "bogus",
			pgo_fit_percent(bogus, a->ranges_read), err,
			"%.2f %% of the ranges between branches cannot have run in this program",
			pgo_fit_percent(bogus, a->ranges_read));
	else if (rc == 0)
		rc = pgo_gates_skip(k->gates, "bogus", err, "there are no branch records");
	if (rc == 0)
		rc = check_density(k, err);
	if (rc == 0 && pgo_trim_cut(&a->trim) != 0)
		rc = pgo_gates_measure(k->gates, k->in->limits, "trimmed",
			pgo_fit_percent(pgo_trim_cut(&a->trim), a->trim.counts), err,
			"%.2f %% of the counts were left out on request",
			pgo_fit_percent(pgo_trim_cut(&a->trim), a->trim.counts));
	return rc;
}

/* ---- the files */

/* Reads each; what cannot be read is counted, with the first reason. */
static int load_files(struct pgo_fit *k, struct pgo_err *err)
{
	const struct pgo_fit_inputs *in = k->in;
	char why[PGO_ERR_MAX] = "";
	unsigned bad = 0, good = 0;

	k->file = pgo_calloc(in->n_files + 1, sizeof *k->file);
	if (k->file == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < in->n_files; i++) {
		const struct pgo_fit_file *f = &in->files[i];
		struct pgo_err own = PGO_ERR_INIT;
		int rc;

		if (f->kind > PGO_OUTPUT_BOLT)
			continue;
		rc = pgo_fit_load_bytes(f->name, f->data, f->len, &k->strs, &k->file[i], &own);
		if (rc == PGO_ENOMEM)
			return pgo_err_nomem(err);
		if (rc == 0) {
			good++;
		} else if (bad++ == 0) {
			memcpy(why, own.msg, sizeof why);
		}
	}
	if (good + bad == 0)
		return 0;
	if (bad != 0)
		return pgo_gates_measure(k->gates, in->limits, "readable", bad, err, "%s", why);
	return pgo_gates_measure(k->gates, in->limits, "readable", 0, err, "%u read in full", good);
}

/* The one that says most: clang's has lines, discriminators and whole names; then gcc's. */
static struct pgo_fit_loaded *best_file(const struct pgo_fit *k, size_t *ret_index)
{
	static const enum pgo_output_kind order[] = {
		PGO_OUTPUT_CLANG, PGO_OUTPUT_GCC, PGO_OUTPUT_BOLT};

	for (size_t o = 0; o < 3; o++) {
		for (size_t i = 0; i < k->in->n_files; i++) {
			if (k->file[i].name == NULL || k->file[i].kind != order[o])
				continue;
			*ret_index = i;
			return &k->file[i];
		}
	}
	return NULL;
}

static int check_size(struct pgo_fit *k, struct pgo_err *err)
{
	return pgo_gates_measure(k->gates, k->in->limits, "size", (double)k->best->functions, err,
		"%" PRIu64 " functions have counts", k->best->functions);
}

/* ---- consumers */

/* Nobody starts compilers for a gate that is switched off. */
static bool is_off(const struct pgo_gate_limits *l, const char *name)
{
	bool off = false;

	for (size_t i = 0; l != NULL && i < l->n; i++)
		if (strcmp(l->of[i].name, name) == 0)
			off = l->of[i].off;
	return off;
}

static int check_acceptance(struct pgo_fit *k, struct pgo_err *err)
{
	const struct pgo_fit_inputs *in = k->in;
	const struct pgo_accept_tools tools = {.gcc = in->gcc,
		.clang = in->clang,
		.llvm_profdata = in->llvm_profdata,
		.llvm_bolt = in->llvm_bolt,
		.gcc_release = in->gcc_release};
	struct pgo_accepted a;
	int rc = 0;

	if (in->no_acceptance || is_off(in->limits, "acceptance"))
		return pgo_gates_skip(k->gates, "acceptance", err, "it is switched off");
	pgo_accepted_init(&a);
	for (size_t i = 0; i < in->n_files && rc == 0; i++)
		if (k->file[i].name != NULL)
			rc = pgo_accept(&tools, &k->file[i], in->files[i].data, in->files[i].len,
				in->binary, &a, err);
	if (rc == 0 && a.asked == 0)
		rc = pgo_gates_skip(k->gates, "acceptance", err, "%s",
			a.unasked.len != 0 ? a.unasked.data : "there is nothing to ask about");
	else if (rc == 0)
		rc = pgo_gates_measure(k->gates, in->limits, "acceptance", a.refused, err,
			"%s%s%s%s%s%s%s", a.refused != 0 ? "refused by " : "taken by ",
			a.refused != 0 ? a.no.data : a.yes.data,
			a.refused != 0 && a.yes.len != 0 ? "; taken by " : "",
			a.refused != 0 && a.yes.len != 0 ? a.yes.data : "",
			a.unasked.len != 0 ? " (" : "", a.unasked.len != 0 ? a.unasked.data : "",
			a.unasked.len != 0 ? ")" : "");
	pgo_accepted_fini(&a);
	return rc;
}

/* ---- all of it */

struct pgo_fit_file *pgo_fit_files_of(const struct pgo_outputs *outputs)
{
	struct pgo_fit_file *f = pgo_calloc(outputs->n + 1, sizeof *f);

	for (size_t i = 0; i < outputs->n && f != NULL; i++)
		f[i] = (struct pgo_fit_file){.kind = outputs->of[i].kind,
			.name = outputs->of[i].name,
			.data = outputs->of[i].data.data,
			.len = outputs->of[i].data.len};
	return f;
}

static int check_files(struct pgo_fit *k, struct pgo_err *err)
{
	int rc = load_files(k, err);

	k->best = rc == 0 ? best_file(k, &k->best_index) : NULL;
	if (k->best == NULL)
		return rc;
	rc = check_size(k, err);
	if (rc == 0 && k->in->binary != NULL)
		rc = pgo_fit_program(k, err);
	if (rc == 0)
		rc = pgo_fit_last_good(k, err);
	if (rc == 0)
		rc = pgo_fit_names(k, err);
	if (rc == 0)
		rc = check_acceptance(k, err);
	return rc < 0 ? rc : pgo_fit_history(k, err);
}

/* The gates beside the last good result, if they are there: older results have none. */
static int read_last_gates(struct pgo_fit *k, struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/gates.json", k->in->last_good);
	struct pgo_jval *doc = NULL;
	struct pgo_buf text;
	int rc = 0;

	if (path == NULL)
		return pgo_err_nomem(err);
	pgo_buf_init(&text, MAX_GATES);
	if (pgo_path_exists(path) && pgo_file_read(path, MAX_GATES, &text, NULL) == 0)
		doc = pgo_jdoc_parse(path, text.data != NULL ? text.data : "", text.len, NULL);
	if (doc != NULL)
		rc = pgo_gates_from_json(&k->last_gates, doc, path, NULL);
	if (rc == PGO_ENOMEM)
		pgo_err_nomem(err);
	else if (rc < 0)
		pgo_warn("%s is damaged: what the result in use measured is not known", path);
	pgo_jdoc_free(doc);
	pgo_buf_fini(&text);
	pgo_free(path);
	return rc == PGO_ENOMEM ? rc : 0;
}

int pgo_fit_check(const struct pgo_fit_inputs *in, struct pgo_gates *ret, struct pgo_err *err)
{
	struct pgo_fit k = {.in = in, .gates = ret};
	int rc = 0;

	if (pgo_strtab_init(&k.strs, (size_t)8 << 30) < 0)
		return pgo_err_nomem(err);
	pgo_gates_init(&k.last_gates);
	if (in->last_good != NULL)
		rc = read_last_gates(&k, err);
	if (rc == 0 && in->account != NULL)
		rc = check_account(&k, err);
	if (rc == 0)
		rc = check_hosts(&k, err);
	if (rc == 0)
		rc = check_times(&k, err);
	if (rc == 0)
		rc = check_files(&k, err);
	for (size_t i = 0; i < in->n_files && k.file != NULL; i++)
		pgo_fit_loaded_fini(&k.file[i]);
	pgo_free(k.file);
	pgo_fit_loaded_fini(&k.last);
	pgo_fit_cover_fini(&k.cover);
	pgo_fit_overlap_fini(&k.overlap);
	pgo_gates_fini(&k.last_gates);
	pgo_stale_fini(&k.stale);
	pgo_elf_close(k.elf);
	pgo_strtab_fini(&k.strs);
	return rc;
}
