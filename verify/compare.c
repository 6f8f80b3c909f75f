/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/compare.h"

#include "pgo/core/vec.h"
#include "verify/compare_impl.h"
#include "verify/real.h"

#include <math.h>
#include <stdlib.h>

#define FEW_SAMPLES 5.0
#define ASSUMED_EFFECT 2.0
#define EFFECT_ITEMS 20

/* ---- sums of one item or group */

static void clear(struct pgo_comparison *k)
{
	memset(k->value, 0, k->cells * sizeof *k->value);
	memset(k->times, 0, k->cells * sizeof *k->times);
}

static void gather(struct pgo_comparison *k, const struct pgo_cost_item *item)
{
	for (uint32_t r = item->first; r < item->first + item->n_rows; r++) {
		const struct pgo_cost *row = &k->c->rows[r];
		uint32_t unit = k->d->unit_of[row->rep];
		size_t cell;

		if (unit == PGO_NONE)
			continue;
		cell = 2 * (size_t)unit + k->c->reps[row->rep].after;
		k->value[cell] += (double)row->value;
		k->times[cell] += row->samples;
	}
}

/* Cost of one sample of this unit: what turns costs into counts. */
static double sample_cost(const struct pgo_unit *u, size_t side)
{
	return u->samples[side] > 0 ? u->total[side] / (double)u->samples[side] : 1;
}

/* Variance of counts over what Poisson's would be with the same rate everywhere, one side. */
static double dispersion(
	const struct pgo_comparison *k, size_t side, double counts, double exposure)
{
	double sum = 0, shrink;
	size_t n = 0;

	if (!(counts > 0) || !(exposure > 0))
		return NAN;
	for (size_t i = side; i < k->cells; i += 2) {
		const struct pgo_unit *u = &k->d->units[i / 2];
		double want, off;

		if (!pgo_cell_counts(k, i))
			continue;
		want = counts / exposure * u->work[side] / sample_cost(u, side);
		off = (double)k->times[i] - want;
		sum += off * off / want;
		n++;
	}
	/* The median of the statistic is below its mean: corrected, as medians are taken of it. */
	shrink = 1 - 2 / (9 * ((double)n - 1));
	return n > 2 ? sum / ((double)(n - 1) * shrink * shrink * shrink) : NAN;
}

static void describe(struct pgo_comparison *k, struct pgo_vector *v)
{
	double mean[2] = {0}, least = INFINITY;

	for (size_t i = 0; i < k->cells; i++) {
		const struct pgo_unit *u = &k->d->units[i / 2];
		size_t side = i % 2;

		if (!pgo_cell_counts(k, i))
			continue;
		mean[side] += k->value[i] / u->work[side];
		v->share[side] += u->total[side] > 0 ? k->value[i] / u->total[side] : 0;
		v->counts[side] += (double)k->times[i];
		v->samples[side] += k->times[i];
		v->exposure[side] += u->work[side] / sample_cost(u, side);
	}
	for (size_t s = 0; s < 2; s++) {
		double n = (double)k->n_side[s];

		mean[s] = n > 0 ? mean[s] / n : 0;
		v->share[s] = n > 0 ? v->share[s] / n : 0;
		least = fmin(least, n > 0 ? v->counts[s] / n : 0);
	}
	v->seen = least;
	v->before = k->mean_total[0] > 0 ? mean[0] / k->mean_total[0] : 0;
	v->after = k->mean_total[0] > 0 ? mean[1] / k->mean_total[0] : 0;
	v->dispersion = dispersion(k, v->counts[1] > v->counts[0],
		v->counts[v->counts[1] > v->counts[0]], v->exposure[v->counts[1] > v->counts[0]]);
}

/* Samples of the logs. */
static void take_logs(struct pgo_comparison *k, struct pgo_vector *v)
{
	for (size_t i = 0; i < k->cells; i++) {
		const struct pgo_unit *u = &k->d->units[i / 2];
		size_t side = i % 2;
		double half = k->design_effect / 2 * sample_cost(u, side);

		k->log[i] = u->has[side] && u->work[side] > 0
				    ? pgo_real_log((k->value[i] + half) / u->work[side])
				    : 0;
	}
	for (size_t l = 0; l < k->d->n_lists; l++) {
		pgo_design_sample(k->d, k->log, l, k->x);
		pgo_design_weights(k->d, l, k->x, fmax(0, (v->share[0] + v->share[1]) / 2),
			k->design_effect, k->y);
		v->m[l] = pgo_moments_weighted(k->x, k->y, k->d->list[l].n);
	}
	v->rank_p = NAN;
	if (k->d->n_lists == 1)
		v->rank_p = pgo_signed_rank_p(k->x, k->d->list[0].n);
	if (k->d->n_lists == 2) {
		pgo_design_sample(k->d, k->log, 0, k->y);
		v->rank_p = pgo_rank_sum_p(k->y, k->d->list[0].n, k->x, k->d->list[1].n);
	}
}

static void load(struct pgo_comparison *k, const struct pgo_vector *v, const uint32_t *members)
{
	clear(k);
	if (!v->is_group) {
		gather(k, &k->c->items[v->item]);
		return;
	}
	/* Items of a group are chained from the group's head. */
	for (uint32_t i = members[k->c->n_items + v->group]; i != PGO_NONE; i = members[i])
		gather(k, &k->c->items[i]);
}

/* ---- the design effect */

static int by_value(const void *pa, const void *pb)
{
	double a = *(const double *)pa, b = *(const double *)pb;

	return a < b ? -1 : a > b;
}

/* The spread of changes of the functions over Poisson's, from two heaps of counts. */
static size_t count_spread(const struct pgo_comparison *k, double *ret)
{
	size_t n = 0;
	double middle;

	for (size_t i = 0; i < k->n; i++) {
		const struct pgo_vector *v = &k->of[i];

		if (!v->is_group && v->counts[0] >= EFFECT_ITEMS && v->counts[1] >= EFFECT_ITEMS)
			ret[n++] = pgo_real_log(v->counts[1] / v->counts[0]);
	}
	if (n < EFFECT_ITEMS)
		return n;
	qsort(ret, n, sizeof *ret, by_value);
	middle = ret[n / 2];
	n = 0;
	for (size_t i = 0; i < k->n; i++) {
		const struct pgo_vector *v = &k->of[i];
		double off;

		if (v->is_group || v->counts[0] < EFFECT_ITEMS || v->counts[1] < EFFECT_ITEMS)
			continue;
		off = pgo_real_log(v->counts[1] / v->counts[0]) - middle;
		/* The median of a squared normal deviate is 0.4549. */
		ret[n++] = off * off / (1 / v->counts[0] + 1 / v->counts[1]) / 0.45493642311957;
	}
	return n;
}

static int measure_effect(struct pgo_comparison *k, struct pgo_err *err)
{
	double *d = pgo_malloc((k->n + 1) * sizeof *d);
	size_t n = 0;

	if (d == NULL)
		return pgo_err_nomem(err);
	if (k->d->n_lists == 0) {
		n = count_spread(k, d);
	} else {
		for (size_t i = 0; i < k->n; i++)
			if (!k->of[i].is_group && k->of[i].seen >= 1 && k->of[i].seen <= 20 &&
				!isnan(k->of[i].dispersion))
				d[n++] = k->of[i].dispersion;
	}
	k->assumed = n < EFFECT_ITEMS;
	k->design_effect = ASSUMED_EFFECT;
	if (!k->assumed) {
		qsort(d, n, sizeof *d, by_value);
		k->design_effect = fmax(1, d[n / 2]);
	}
	pgo_free(d);
	return 0;
}

/* ---- what follows */

static double change_of(double log_ratio)
{
	return isnan(log_ratio) ? NAN : pgo_real_expm1(log_ratio);
}

static struct pgo_estimate estimate_of(const struct pgo_vector *v)
{
	struct pgo_estimate e = {
		change_of(v->t.estimate), change_of(v->t.low), change_of(v->t.high), v->t.p};

	if (v->counts[0] <= 0)
		e.change = v->counts[1] > 0 ? INFINITY : 0;
	if (isnan(e.low) || isinf(v->t.low))
		e.low = -1;
	if (isnan(e.high))
		e.high = INFINITY;
	return e;
}

static enum pgo_change judge(const struct pgo_vector *v)
{
	struct pgo_estimate e = estimate_of(v);
	double effect = v->after - v->before;
	bool shown = !isnan(v->q) && v->q <= PGO_FALSE_DISCOVERY;

	if (!v->judged)
		return PGO_UNCHANGED;
	if (v->counts[0] <= 0 || v->counts[1] <= 0)
		return shown && fabs(effect) >= PGO_FLOOR_SHARE ? PGO_MOVED : PGO_UNCLEAR;
	if (shown && e.change > 0 && (e.high >= PGO_FLOOR_ITEM || effect >= PGO_FLOOR_WHOLE))
		return PGO_REGRESSED;
	if (shown && e.change < 0 && (e.low <= -PGO_FLOOR_ITEM || effect <= -PGO_FLOOR_WHOLE))
		return PGO_IMPROVED;
	if (e.low > -PGO_FLOOR_ITEM && e.high < PGO_FLOOR_ITEM)
		return PGO_UNCHANGED;
	return PGO_UNCLEAR;
}

/* q over groups and functions in none; then members, which are as doubtful as their group. */
static int false_discoveries(struct pgo_comparison *k, const uint32_t *head, struct pgo_err *err)
{
	double *p = pgo_malloc((k->n + 1) * sizeof *p), *q = pgo_malloc((k->n + 1) * sizeof *q);
	uint32_t *order = pgo_malloc((k->n + 1) * sizeof *order);
	int rc = 0;

	if (p == NULL || q == NULL || order == NULL) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	for (int members = 0; members < 2; members++) {
		for (size_t i = 0; i < k->n; i++) {
			bool member = !k->of[i].is_group && k->of[i].group != PGO_NONE;

			p[i] = k->of[i].judged && member == (members == 1) ? k->of[i].t.p : NAN;
		}
		pgo_false_discovery(p, k->n, q, order);
		for (size_t i = 0; i < k->n; i++) {
			struct pgo_vector *v = &k->of[i];

			if ((!v->is_group && v->group != PGO_NONE) != (members == 1))
				continue;
			v->q = v->own_q = q[i];
			if (members == 1 && !isnan(q[i]))
				v->q = fmax(q[i], k->of[head[v->group]].q);
		}
	}
out:
	pgo_free(p);
	pgo_free(q);
	pgo_free(order);
	return rc;
}

/* A member may be called regressed or improved only if its group is; else its cost went to, or
 * came from, another member. */
static enum pgo_change judge_member(const struct pgo_vector *v, const struct pgo_vector *group)
{
	struct pgo_vector alone = *v;
	enum pgo_change all = judge(group), own;

	alone.q = v->own_q;
	own = judge(&alone);
	if ((own != PGO_REGRESSED && own != PGO_IMPROVED) || own == all)
		return own;
	return all == PGO_UNCLEAR ? PGO_UNCLEAR : PGO_MOVED;
}

static int by_size(const void *pa, const void *pb)
{
	const struct pgo_finding *a = pa, *b = pb;
	double ea = fabs(a->after - a->before), eb = fabs(b->after - b->before);

	return ea != eb ? (ea < eb ? 1 : -1) : strcmp(a->name, b->name);
}

static int add_finding(struct pgo_verdict *v, const struct pgo_comparison *k,
	const struct pgo_vector *w, const uint32_t *head, struct pgo_err *err)
{
	struct pgo_estimate e = estimate_of(w);
	struct pgo_finding *f = PGO_VEC_PUSH(v->findings, v->n_findings, v->findings_room);

	if (f == NULL)
		return pgo_err_nomem(err);
	*f = (struct pgo_finding){.before = w->before,
		.after = w->after,
		.change = e.change,
		.low = e.low,
		.high = e.high,
		.p = e.p,
		.q = w->q,
		.rank_p = w->rank_p,
		.exact = !w->log_test,
		.samples_before = w->samples[0],
		.samples_after = w->samples[1],
		.group = w->group};
	f->verdict = w->group == PGO_NONE ? judge(w) : judge_member(w, &k->of[head[w->group]]);
	f->name = pgo_strdup(pgo_costs_str(k->c, k->c->items[w->item].name));
	v->n_verdicts[f->verdict]++;
	v->n_tested += !isnan(w->q);
	return f->name == NULL ? pgo_err_nomem(err) : 0;
}

static int add_group(struct pgo_verdict *v, const struct pgo_comparison *k,
	const struct pgo_vector *w, const uint32_t *members, struct pgo_err *err)
{
	struct pgo_estimate e = estimate_of(w);
	struct pgo_finding_group *g = PGO_VEC_PUSH(v->groups, v->n_groups, v->groups_room);
	size_t n = 0;

	if (g == NULL)
		return pgo_err_nomem(err);
	for (uint32_t i = members[k->c->n_items + w->group]; i != PGO_NONE; i = members[i])
		n++;
	g->id = pgo_asprintf("g%u", w->group + 1);
	g->members = pgo_calloc(n + 1, sizeof *g->members);
	if (g->id == NULL || g->members == NULL)
		return pgo_err_nomem(err);
	for (uint32_t i = members[k->c->n_items + w->group]; i != PGO_NONE; i = members[i]) {
		g->members[g->n_members] = pgo_strdup(pgo_costs_str(k->c, k->c->items[i].name));
		if (g->members[g->n_members++] == NULL)
			return pgo_err_nomem(err);
	}
	g->before = w->before;
	g->after = w->after;
	g->change = e.change;
	g->low = e.low;
	g->high = e.high;
	g->p = e.p;
	g->q = w->q;
	g->verdict = judge(w);
	return 0;
}

/* Overlap, and what only one side has; `v` and its units are loaded. */
static void add_overlap(struct pgo_verdict *v, const struct pgo_vector *w, const char *name)
{
	v->overlap += fmin(w->share[0], w->share[1]);
	if (pgo_name_is_pseudo(name))
		return;
	v->before.unmatched += w->share[1] > 0 ? 0 : w->share[0];
	v->after.unmatched += w->share[0] > 0 ? 0 : w->share[1];
}

/* ---- sides */

static void sum_sides(struct pgo_comparison *k, struct pgo_verdict *v)
{
	double unnamed[2] = {0}, total[2] = {0};
	struct pgo_verdict_side *side[2] = {&v->before, &v->after};

	for (size_t i = 0; i < k->c->n_reps; i++) {
		const struct pgo_cost_rep *r = &k->c->reps[i];

		if (r->control)
			continue;
		side[r->after]->profiles++;
		side[r->after]->samples += r->samples;
		unnamed[r->after] += r->unnamed;
		total[r->after] += r->total;
	}
	for (size_t i = 0; i < k->cells; i++) {
		const struct pgo_unit *u = &k->d->units[i / 2];

		if (!pgo_cell_counts(k, i))
			continue;
		k->mean_total[i % 2] += u->total[i % 2] / u->work[i % 2];
		k->n_side[i % 2]++;
	}
	for (size_t s = 0; s < 2; s++) {
		side[s]->replicates = k->n_side[s];
		side[s]->unnamed = total[s] > 0 ? unnamed[s] / total[s] : 0;
		if (k->n_side[s] > 0)
			k->mean_total[s] /= (double)k->n_side[s];
	}
}

/* Chains items to their groups: members[item] = the next item, members[n_items + group] = first. */
static uint32_t *chain(const struct pgo_costs *c, const struct pgo_item_groups *g)
{
	size_t n_groups = g != NULL ? g->n : 0;
	uint32_t *m = pgo_malloc((c->n_items + n_groups + 1) * sizeof *m);

	for (size_t i = 0; m != NULL && i < c->n_items + n_groups; i++)
		m[i] = PGO_NONE;
	for (size_t i = c->n_items; m != NULL && g != NULL && i-- > 0;)
		if (g->of[i] != PGO_NONE) {
			m[i] = m[c->n_items + g->of[i]];
			m[c->n_items + g->of[i]] = (uint32_t)i;
		}
	return m;
}

static bool prepare(struct pgo_comparison *k)
{
	k->cells = 2 * k->d->n_units;
	k->value = pgo_calloc(k->cells + 1, sizeof *k->value);
	k->log = pgo_calloc(k->cells + 1, sizeof *k->log);
	k->x = pgo_calloc(k->cells + 1, sizeof *k->x);
	k->y = pgo_calloc(k->cells + 1, sizeof *k->y);
	k->times = pgo_calloc(k->cells + 1, sizeof *k->times);
	return k->value != NULL && k->log != NULL && k->x != NULL && k->y != NULL &&
	       k->times != NULL;
}

static int add_vectors(struct pgo_comparison *k, struct pgo_verdict *v,
	const struct pgo_item_groups *g, const uint32_t *members, uint32_t *head, double min_share,
	const struct pgo_item_means *means, struct pgo_err *err)
{
	size_t n_groups = g != NULL ? g->n : 0;

	for (size_t i = 0; i < n_groups + k->c->n_items; i++) {
		bool is_group = i < n_groups;
		struct pgo_vector w = {.item = is_group ? PGO_NONE : (uint32_t)(i - n_groups),
			.group = is_group    ? (uint32_t)i
				 : g != NULL ? g->of[i - n_groups]
					     : PGO_NONE,
			.is_group = is_group,
			.rank_p = NAN,
			.q = NAN,
			.own_q = NAN};
		struct pgo_vector *slot;

		load(k, &w, members);
		describe(k, &w);
		w.judged = fmax(w.before, w.after) >= PGO_FLOOR_SHARE;
		if (!is_group && means != NULL) {
			means->before[w.item] = w.before;
			means->after[w.item] = w.after;
		}
		if (!is_group)
			add_overlap(v, &w, pgo_costs_str(k->c, k->c->items[w.item].name));
		if (!is_group && w.share[0] < min_share && w.share[1] < min_share) {
			v->n_small++;
			continue;
		}
		slot = PGO_VEC_PUSH(k->of, k->n, k->room);
		if (slot == NULL)
			return pgo_err_nomem(err);
		*slot = w;
		if (is_group)
			head[i] = (uint32_t)(k->n - 1);
	}
	return 0;
}

int pgo_compare(struct pgo_verdict *v, const struct pgo_costs *c, const struct pgo_design *d,
	const struct pgo_item_groups *groups, double min_share, const struct pgo_item_means *means,
	struct pgo_err *err)
{
	struct pgo_comparison k = {.c = c, .d = d};
	uint32_t *members = chain(c, groups);
	uint32_t *head = pgo_calloc((groups != NULL ? groups->n : 0) + 1, sizeof *head);
	int rc;

	if (!prepare(&k) || members == NULL || head == NULL) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	sum_sides(&k, v);
	rc = add_vectors(&k, v, groups, members, head, min_share, means, err);
	if (rc == 0)
		rc = measure_effect(&k, err);
	for (size_t i = 0; i < k.n && rc == 0; i++) {
		struct pgo_vector *w = &k.of[i];

		w->log_test = d->n_lists > 0 && w->seen >= FEW_SAMPLES;
		/* Counts of two arms and two periods have no exact test. */
		w->log_test |= d->kind == PGO_DESIGN_DID;
		if (!w->log_test)
			continue;
		load(&k, w, members);
		take_logs(&k, w);
	}
	if (rc == 0)
		rc = pgo_comparison_test(&k, err);
	if (rc == 0)
		rc = false_discoveries(&k, head, err);
	v->design_effect = k.design_effect;
	v->design_effect_assumed = k.assumed;
	for (size_t i = 0; i < k.n && rc == 0; i++)
		rc = k.of[i].is_group ? add_group(v, &k, &k.of[i], members, err)
				      : add_finding(v, &k, &k.of[i], head, err);
	if (rc == 0 && v->n_findings > 0)
		qsort(v->findings, v->n_findings, sizeof *v->findings, by_size);
out:
	pgo_free(k.of);
	pgo_free(k.value);
	pgo_free(k.log);
	pgo_free(k.x);
	pgo_free(k.y);
	pgo_free(k.times);
	pgo_free(members);
	pgo_free(head);
	return rc;
}
