/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/verify.h"

#include "verify/applied.h"

#include "pgo/core/opt.h"
#include "pgo/core/vec.h"
#include "verify/attrib.h"
#include "verify/diff.h"

#include <math.h>

#define DEFAULT_MIN_SHARE 0.0005

struct pgo_verify {
	struct pgo_verify_options o;
	struct pgo_attrib before, after;
	struct pgo_costs costs;
	struct pgo_verdict verdict;
};

struct metric {
	const char *name;
	double (*of)(const struct pgo_verdict *v);
};

static double regression(const struct pgo_verdict *v)
{
	double sum = 0;

	for (size_t i = 0; i < v->n_findings; i++)
		if (v->findings[i].verdict == PGO_REGRESSED)
			sum += v->findings[i].after - v->findings[i].before;
	return sum;
}

static double total(const struct pgo_verdict *v)
{
	return v->total.change;
}

static double overlap(const struct pgo_verdict *v)
{
	return v->overlap;
}

static double unmatched(const struct pgo_verdict *v)
{
	return fmax(v->before.unmatched, v->after.unmatched);
}

static double unnamed(const struct pgo_verdict *v)
{
	return fmax(v->before.unnamed, v->after.unnamed);
}

static const struct metric metrics[] = {
	{"regression", regression},
	{"total", total},
	{"overlap", overlap},
	{"unmatched", unmatched},
	{"unnamed", unnamed},
};

static int bad_gate(const char *text, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EUSAGE,
		"'%s' is no gate; write METRIC>N%% or METRIC<N%%, METRIC one of regression, total, "
		"overlap, unmatched, unnamed, several with commas",
		text);
}

/* Parses "METRIC>N%"; evaluates it if `v` is not NULL. */
static int run_gate(const char *text, const struct pgo_verdict *v, bool same_work,
	struct pgo_fail_if *ret, struct pgo_err *err)
{
	size_t len = strcspn(text, "<>");
	const struct metric *m = NULL;
	char number[32];
	double limit;

	for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
		if (strlen(metrics[i].name) == len && strncmp(metrics[i].name, text, len) == 0)
			m = &metrics[i];
	if (m == NULL || text[len] == '\0' || strlen(text + len + 1) >= sizeof number)
		return bad_gate(text, err);
	memcpy(number, text + len + 1, strlen(text + len + 1) + 1);
	number[strcspn(number, "%")] = '\0';
	if (pgo_parse_double(number, &limit, err) < 0)
		return bad_gate(text, err);
	if (m->of == total && !same_work)
		return pgo_err_set(err, PGO_EUSAGE,
			"the gate '%s' needs --same-work: shares always add up to the same total",
			text);
	if (v == NULL)
		return 0;
	ret->value = m->of(v) * 100;
	ret->failed = text[len] == '>' ? ret->value > limit : ret->value < limit;
	return 0;
}

/* Every gate of --fail-if; with `v` NULL only their syntax. */
static int run_gates(const char *list, struct pgo_verdict *v, bool same_work, struct pgo_err *err)
{
	while (list != NULL && *list != '\0') {
		size_t len = strcspn(list, ",");
		char *text = pgo_strndup(list, len);
		struct pgo_fail_if gate = {text, 0, false};
		struct pgo_fail_if *slot;
		int rc;

		if (text == NULL)
			return pgo_err_nomem(err);
		rc = run_gate(text, v, same_work, &gate, err);
		slot = rc == 0 && v != NULL
			       ? PGO_VEC_PUSH(v->fail_if, v->n_fail_if, v->fail_if_room)
			       : NULL;
		if (slot == NULL)
			pgo_free(text);
		else
			*slot = gate;
		if (rc < 0)
			return rc;
		if (v != NULL && slot == NULL)
			return pgo_err_nomem(err);
		list += len + (list[len] == ',');
	}
	return 0;
}

struct pgo_verify *pgo_verify_new(const struct pgo_verify_options *o, struct pgo_err *err)
{
	struct pgo_verify *v = pgo_calloc(1, sizeof *v);

	struct pgo_attrib_options before = {
		.binary = o->before_binary, .sample_type = o->sample_type};
	struct pgo_attrib_options after = {
		.binary = o->after_binary, .sample_type = o->sample_type};

	if (v == NULL || pgo_costs_init(&v->costs, err) < 0) {
		pgo_free(v);
		pgo_err_nomem(err);
		return NULL;
	}
	v->o = *o;
	if (v->o.min_share <= 0)
		v->o.min_share = DEFAULT_MIN_SHARE;
	v->verdict.design.by = o->same_work ? PGO_PER_PROFILE : PGO_PER_SHARE;
	if (run_gates(o->fail_if, NULL, o->same_work, err) < 0 ||
		pgo_attrib_init(&v->before, false, &before, err) < 0 ||
		pgo_attrib_init(&v->after, true, &after, err) < 0) {
		pgo_verify_free(v);
		return NULL;
	}
	return v;
}

void pgo_verify_free(struct pgo_verify *v)
{
	if (v == NULL)
		return;
	pgo_attrib_fini(&v->before);
	pgo_attrib_fini(&v->after);
	pgo_costs_fini(&v->costs);
	pgo_verdict_fini(&v->verdict);
	pgo_free(v);
}

int pgo_verify_add(struct pgo_verify *v, bool after, struct pgo_reader *r,
	const struct pgo_attrib_input *about, struct pgo_err *err)
{
	return pgo_attrib_add(after ? &v->after : &v->before, r, about, err);
}

int pgo_verify_finish(struct pgo_verify *v, struct pgo_err *err)
{
	int rc;

	if (v->before.n_reps == 0 || v->after.n_reps == 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"no profile %s; give both sides: BEFORE... -- AFTER...",
			v->before.n_reps == 0 ? "before" : "after");
	rc = pgo_attrib_finish(&v->before, &v->costs, err);
	if (rc == 0)
		rc = pgo_attrib_finish(&v->after, &v->costs, err);
	if (rc == 0)
		rc = pgo_costs_sort(&v->costs, err);
	if (rc < 0)
		return rc;
	v->verdict.design.unit = pgo_strdup(v->costs.unit);
	v->verdict.design.per = pgo_strdup(v->o.same_work ? "profile" : "share");
	if (v->verdict.design.unit == NULL || v->verdict.design.per == NULL)
		return pgo_err_nomem(err);
	rc = pgo_diff(&v->costs, v->o.min_share, &v->verdict, err);
	if (rc == 0)
		rc = run_gates(v->o.fail_if, &v->verdict, v->o.same_work, err);
	return rc;
}

int pgo_verify_take_applied(struct pgo_verify *v, struct pgo_applied *a, struct pgo_err *err)
{
	struct pgo_applied *own = pgo_malloc(sizeof *own);

	if (own == NULL) {
		pgo_applied_fini(a);
		return pgo_err_nomem(err);
	}
	*own = *a;
	v->verdict.applied = own;
	return 0;
}

const struct pgo_verdict *pgo_verify_result(const struct pgo_verify *v)
{
	return &v->verdict;
}

bool pgo_verdict_failed(const struct pgo_verdict *v)
{
	for (size_t i = 0; i < v->n_fail_if; i++)
		if (v->fail_if[i].failed)
			return true;
	return false;
}
