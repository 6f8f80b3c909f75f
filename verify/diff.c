/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/diff.h"

#include "pgo/core/vec.h"
#include "verify/stats.h"

#include <math.h>
#include <stdlib.h>

#define LEVEL 0.95
/* Samples of one profile come in bursts; twice the Poisson variance is what fleets show at the
 * least. */
#define DESIGN_EFFECT 2.0
#define MIN_CHANGE 0.05  /* of the function */
#define MIN_EFFECT 0.001 /* of the whole */

/* One function on one side. */
struct side {
	struct pgo_moments cost; /* per replicate, in units of work */
	uint64_t samples;
};

struct whole {
	struct pgo_moments cost;
	double unnamed;
	uint64_t samples;
};

/* What a replicate's cost is divided by: its total for shares, nothing for plain cost. */
static double work_of(const struct pgo_cost_rep *r, bool same_work)
{
	return same_work ? 1 : r->total;
}

static struct whole sum_whole(const struct pgo_costs *c, bool after, bool same_work)
{
	struct whole w = {0};
	double total = 0;

	for (size_t i = after ? c->n_before : 0; i < (after ? c->n_reps : c->n_before); i++) {
		const struct pgo_cost_rep *r = &c->reps[i];

		pgo_moments_add(&w.cost, r->total / work_of(r, same_work));
		w.unnamed += r->unnamed;
		w.samples += r->samples;
		total += r->total;
	}
	w.unnamed = total > 0 ? w.unnamed / total : 0;
	return w;
}

/* The rows of one item, from *at on; replicates without a row cost 0. */
static struct side take(const struct pgo_costs *c, const struct pgo_cost_item *item, bool after,
	size_t *at, bool same_work)
{
	struct side s = {0};
	size_t end = (size_t)item->first + item->n_rows;

	for (size_t rep = after ? c->n_before : 0; rep < (after ? c->n_reps : c->n_before); rep++) {
		double cost = 0;

		if (*at < end && c->rows[*at].rep == rep) {
			cost = (double)c->rows[*at].value / work_of(&c->reps[rep], same_work);
			s.samples += c->rows[*at].samples;
			(*at)++;
		}
		pgo_moments_add(&s.cost, cost);
	}
	return s;
}

static struct pgo_interval interval_of(const struct side *b, const struct side *a, bool replicated)
{
	if (replicated)
		return pgo_stats_ratio(&b->cost, &a->cost, LEVEL);
	return pgo_stats_count_ratio((double)b->samples, b->cost.mean, (double)a->samples,
		a->cost.mean, DESIGN_EFFECT, LEVEL);
}

static enum pgo_change judge(const struct pgo_finding *f)
{
	double effect = fabs(f->after - f->before);

	if (f->before <= 0 || f->after <= 0)
		return effect < MIN_EFFECT ? PGO_UNCHANGED : PGO_MOVED;
	if (effect < MIN_EFFECT || (f->low > -MIN_CHANGE && f->high < MIN_CHANGE))
		return PGO_UNCHANGED;
	if (fabs(f->change) >= MIN_CHANGE && f->low > 0)
		return PGO_REGRESSED;
	if (fabs(f->change) >= MIN_CHANGE && f->high < 0)
		return PGO_IMPROVED;
	return PGO_UNCLEAR;
}

static int by_size(const void *pa, const void *pb)
{
	const struct pgo_finding *a = pa, *b = pb;
	double ea = fabs(a->after - a->before), eb = fabs(b->after - b->before);

	return ea != eb ? (ea < eb ? 1 : -1) : strcmp(a->name, b->name);
}

/* Figures of one function into the verdict. `scale`: mean total before. */
static int compare(struct pgo_verdict *v, const char *name, const struct side *b,
	const struct side *a, const struct whole *wb, const struct whole *wa, double min_share)
{
	double share_b = b->cost.mean / wb->cost.mean, share_a = a->cost.mean / wa->cost.mean;
	struct pgo_interval i;
	struct pgo_finding *f;

	v->overlap += share_b < share_a ? share_b : share_a;
	if (!pgo_name_is_pseudo(name)) {
		v->before.unmatched += share_a > 0 ? 0 : share_b;
		v->after.unmatched += share_b > 0 ? 0 : share_a;
	}
	if (share_b < min_share && share_a < min_share) {
		v->n_small++;
		return 0;
	}
	f = PGO_VEC_PUSH(v->findings, v->n_findings, v->findings_room);
	if (f == NULL || (f->name = pgo_strdup(name)) == NULL)
		return -1;
	i = interval_of(b, a, v->design.kind != PGO_DESIGN_COUNTS);
	f->before = share_b;
	f->after = a->cost.mean / wb->cost.mean;
	f->change = f->before > 0 ? f->after / f->before - 1 : INFINITY;
	f->low = i.low;
	f->high = i.high;
	f->p = f->q = f->rank_p = NAN;
	f->group = PGO_NONE;
	f->samples_before = b->samples;
	f->samples_after = a->samples;
	f->verdict = judge(f);
	v->n_verdicts[f->verdict]++;
	return 0;
}

static void compare_totals(struct pgo_verdict *v, const struct whole *wb, const struct whole *wa)
{
	struct side b = {wb->cost, wb->samples}, a = {wa->cost, wa->samples};
	struct pgo_interval i;

	v->before.samples = wb->samples;
	v->after.samples = wa->samples;
	v->before.unnamed = wb->unnamed;
	v->after.unnamed = wa->unnamed;
	if (v->design.by == PGO_PER_SHARE)
		return;
	i = interval_of(&b, &a, v->design.kind != PGO_DESIGN_COUNTS);
	v->total.valid = true;
	v->total.change = wa->cost.mean / wb->cost.mean - 1;
	v->total.low = v->total.t_low = i.low;
	v->total.high = v->total.t_high = i.high;
}

int pgo_diff(
	const struct pgo_costs *c, double min_share, struct pgo_verdict *v, struct pgo_err *err)
{
	bool plain = v->design.by != PGO_PER_SHARE;
	struct whole wb = sum_whole(c, false, plain), wa = sum_whole(c, true, plain);

	v->before.profiles = v->before.replicates = c->n_before;
	v->after.profiles = v->after.replicates = c->n_reps - c->n_before;
	v->design.replicate = PGO_REPLICATE_PROFILE;
	v->design.kind = v->before.replicates > 1 && v->after.replicates > 1 ? PGO_DESIGN_WELCH
									     : PGO_DESIGN_COUNTS;
	compare_totals(v, &wb, &wa);
	for (size_t i = 0; i < c->n_items; i++) {
		const struct pgo_cost_item *item = &c->items[i];
		size_t at = item->first;
		struct side b = take(c, item, false, &at, plain);
		struct side a = take(c, item, true, &at, plain);

		if (compare(v, pgo_costs_str(c, item->name), &b, &a, &wb, &wa, min_share) < 0)
			return pgo_err_nomem(err);
	}
	qsort(v->findings, v->n_findings, sizeof *v->findings, by_size);
	return 0;
}
