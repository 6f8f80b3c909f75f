/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/verify.h"

#include "verify/applied.h"

#include "pgo/core/opt.h"
#include "pgo/core/parallel.h"
#include "pgo/core/vec.h"
#include "verify/attrib.h"
#include "verify/calltree.h"
#include "verify/compare.h"
#include "verify/gates.h"
#include "verify/groups.h"
#include "verify/layout.h"
#include "verify/total.h"
#include "verify/work.h"

#include <math.h>

#define DEFAULT_MIN_SHARE 0.0005
#define DEFAULT_SPLITS 1000

struct pgo_verify {
	struct pgo_verify_options o;
	struct pgo_attrib side[2], control[2]; /* before, after */
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

static double loss(const struct pgo_verdict *v)
{
	return v->total.high;
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
	{"loss", loss},
	{"overlap", overlap},
	{"unmatched", unmatched},
	{"unnamed", unnamed},
};

static int bad_gate(const char *text, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EUSAGE,
		"'%s' is no gate; write METRIC>N%% or METRIC<N%%, METRIC one of regression, total, "
		"loss, overlap, unmatched, unnamed, several with commas",
		text);
}

/* Parses "METRIC>N%"; evaluates it if `v` is not NULL. */
static int run_gate(const char *text, const struct pgo_verdict *v, bool work,
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
	if (v == NULL && (m->of == total || m->of == loss) && !work)
		return pgo_err_set(err, PGO_EUSAGE,
			"the gate '%s' needs --work, --work-label, --control or --same-work: "
			"shares "
			"always add up to the same total",
			text);
	if (v == NULL)
		return 0;
	ret->limit = limit;
	ret->value = m->of(v) * 100;
	ret->failed = text[len] == '>' ? ret->value > limit : ret->value < limit;
	return 0;
}

/* Every gate of --fail-if; with `v` NULL only their syntax. */
static int run_gates(const char *list, struct pgo_verdict *v, bool work, struct pgo_err *err)
{
	while (list != NULL && *list != '\0') {
		size_t len = strcspn(list, ",");
		char *text = pgo_strndup(list, len);
		struct pgo_fail_if gate = {.text = text};
		struct pgo_fail_if *slot;
		int rc;

		if (text == NULL)
			return pgo_err_nomem(err);
		rc = run_gate(text, v, work, &gate, err);
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

/* Conditions as gates, for whoever reads those. */
static int add_gates(struct pgo_verdict *v, struct pgo_err *err)
{
	if (v->n_fail_if == 0)
		return 0;
	v->gates = pgo_malloc(sizeof *v->gates);
	if (v->gates == NULL)
		return pgo_err_nomem(err);
	pgo_gates_init(v->gates);
	for (size_t i = 0; i < v->n_fail_if; i++) {
		const struct pgo_fail_if *f = &v->fail_if[i];
		size_t len = strcspn(f->text, "<>");
		char *name = pgo_strndup(f->text, len);
		char *why = pgo_asprintf(
			"measured %.2f %%, the condition of failing is %s", f->value, f->text);
		struct pgo_gate_row row = {.name = name,
			.value = f->value,
			.warn = NAN,
			.fail = f->limit,
			.unit = (char *)(uintptr_t) "%",
			.above = f->text[len] == '>',
			.verdict = f->failed ? PGO_GATE_FAIL : PGO_GATE_PASS,
			.source = (char *)(uintptr_t) "--fail-if",
			.why = why};
		int rc = name == NULL || why == NULL ? pgo_err_nomem(err)
						     : pgo_gates_add(v->gates, &row, err);

		pgo_free(name);
		pgo_free(why);
		if (rc < 0)
			return rc;
	}
	return 0;
}

struct pgo_verify *pgo_verify_new(const struct pgo_verify_options *o, struct pgo_err *err)
{
	struct pgo_verify *v = pgo_calloc(1, sizeof *v);
	bool work = o->same_work || o->work != NULL || o->work_label != NULL || o->control != NULL;

	if (v == NULL || pgo_costs_init(&v->costs, err) < 0) {
		pgo_free(v);
		pgo_err_nomem(err);
		return NULL;
	}
	v->o = *o;
	if (v->o.min_share <= 0)
		v->o.min_share = DEFAULT_MIN_SHARE;
	if (run_gates(o->fail_if, NULL, work, err) < 0)
		goto fail;
	for (int i = 0; i < 4; i++) {
		/* What was not rebuilt runs the program before, after the change as well. */
		struct pgo_attrib_options ao = {
			.binary = i == 1 ? o->after_binary : o->before_binary,
			.sample_type = o->sample_type,
			.host_label = o->host_label,
			.work_label = o->work_label,
			.arm_label = o->arm_label,
			.control = i >= 2};

		if (pgo_attrib_init(
			    i < 2 ? &v->side[i] : &v->control[i - 2], i % 2 == 1, &ao, err) < 0)
			goto fail;
	}
	return v;
fail:
	pgo_verify_free(v);
	return NULL;
}

void pgo_verify_free(struct pgo_verify *v)
{
	if (v == NULL)
		return;
	for (int i = 0; i < 2; i++) {
		pgo_attrib_fini(&v->side[i]);
		pgo_attrib_fini(&v->control[i]);
	}
	pgo_costs_fini(&v->costs);
	pgo_verdict_fini(&v->verdict);
	pgo_free(v);
}

int pgo_verify_add(struct pgo_verify *v, bool after, struct pgo_reader *r,
	const struct pgo_attrib_input *about, struct pgo_err *err)
{
	return pgo_attrib_add(&v->side[after], r, about, err);
}

int pgo_verify_add_control(struct pgo_verify *v, bool after, struct pgo_reader *r,
	const struct pgo_attrib_input *about, struct pgo_err *err)
{
	return pgo_attrib_add(&v->control[after], r, about, err);
}

/* Debug information of both sides at a time, and what their branch records say. */
static int settle(void *ctx, size_t side, unsigned thread, struct pgo_err *err)
{
	struct pgo_verify *v = ctx;
	struct pgo_attrib *a = &v->side[side];
	struct pgo_layout_facts *facts = pgo_calloc(1, sizeof *facts);

	(void)thread;
	if (facts == NULL)
		return pgo_err_nomem(err);
	*(side == 0 ? &v->verdict.layout_before : &v->verdict.layout_after) = facts;
	if (pgo_layout_finish(&a->layout, a->elf, facts, err) < 0)
		return err->code;
	return pgo_attrib_settle(a, true, err);
}

static int sum_up(struct pgo_verify *v, struct pgo_err *err)
{
	int rc = pgo_parallel(2, pgo_threads(), settle, v, err);

	for (int i = 0; i < 4 && rc == 0; i++) {
		struct pgo_attrib *a = i < 2 ? &v->side[i] : &v->control[i - 2];

		if (a->n_reps > 0)
			rc = pgo_attrib_finish(a, &v->costs, err);
	}
	return rc == 0 ? pgo_costs_sort(&v->costs, err) : rc;
}

/* One after the other: design, functions, the whole, and what is said of it. */
static int fill(struct pgo_verdict *v, struct pgo_costs *c, const struct pgo_verify_options *o,
	const struct pgo_item_groups *groups, const struct pgo_item_means *means,
	struct pgo_err *err)
{
	struct pgo_design_options how = {
		.kind = o->design, .same_work = o->same_work, .control = o->control};
	struct pgo_work work = {0};
	struct pgo_design d = {0};
	int rc = 0;

	if (o->work != NULL) {
		rc = pgo_work_read(&work, o->work, err);
		if (rc == 0)
			rc = pgo_work_apply(&work, c, &v->work, err);
		how.work_unit = work.unit;
	} else if (o->work_label != NULL) {
		how.work_unit = o->work_label;
	}
	if (rc == 0)
		rc = pgo_design_choose(&d, c, &how, &v->design, err);
	if (rc == 0)
		rc = pgo_compare(v, c, &d, groups, o->min_share, means, err);
	if (rc == 0)
		rc = pgo_total(v, c, &d, o->bootstrap, o->wanted, err);
	if (rc == 0)
		rc = pgo_calibrate(v, c, &d, o->splits > 0 ? o->splits : DEFAULT_SPLITS, err);
	if (rc == 0) {
		pgo_value(v, o->cores, o->price);
		rc = pgo_conclude(v, err);
	}
	pgo_design_fini(&d);
	pgo_work_fini(&work);
	return rc;
}

int pgo_verdict_fill(struct pgo_verdict *v, struct pgo_costs *c, const struct pgo_verify_options *o,
	struct pgo_err *err)
{
	return fill(v, c, o, NULL, NULL, err);
}

/* The statistics with what only attribution knows: groups before, the call tree after. */
static int fill_all(struct pgo_verify *v, struct pgo_err *err)
{
	struct pgo_verdict *r = &v->verdict;
	struct pgo_item_means means = {pgo_calloc(v->costs.n_items + 1, sizeof *means.before),
		pgo_calloc(v->costs.n_items + 1, sizeof *means.after)};
	struct pgo_groups g = {0};
	struct pgo_item_groups groups;
	int rc = means.before == NULL || means.after == NULL
			 ? pgo_err_nomem(err)
			 : pgo_groups_find(&v->side[0], &v->side[1], &v->costs, &g, err);

	if (rc == 0) {
		groups = (struct pgo_item_groups){g.group_of, g.n_groups};
		rc = fill(r, &v->costs, &v->o, &groups, &means, err);
	}
	if (rc == 0) {
		struct pgo_calltree_scale scale = {means.before, means.after};

		r->calltree = pgo_calltree_new(&v->side[0], &v->side[1], &v->costs, &scale, err);
		rc = r->calltree == NULL ? (int)err->code : 0;
	}
	pgo_groups_fini(&g);
	pgo_free(means.before);
	pgo_free(means.after);
	return rc;
}

int pgo_verify_finish(struct pgo_verify *v, struct pgo_err *err)
{
	struct pgo_verdict *r = &v->verdict;
	int rc;

	if (v->side[0].n_reps == 0 || v->side[1].n_reps == 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"no profile %s; give both sides: BEFORE... -- AFTER...",
			v->side[0].n_reps == 0 ? "before" : "after");
	if ((v->control[0].n_reps == 0) != (v->control[1].n_reps == 0))
		return pgo_err_set(err, PGO_EUSAGE,
			"a control arm has profiles of both periods: --control-before and "
			"--control-after");
	rc = sum_up(v, err);
	if (rc == 0)
		rc = fill_all(v, err);
	if (rc == 0)
		rc = run_gates(v->o.fail_if, r, r->total.valid, err);
	return rc == 0 ? add_gates(r, err) : rc;
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
