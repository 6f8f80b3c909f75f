/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/unbias.h"

#include "fetch/unbias_impl.h"
#include "pgo/core/alloc.h"

#include <string.h>

#define PHI_RIGHT 0.05
#define RINGS_TO_DETECT 2000

/* ---------------------------------------------------------------- the unit */

/* The unit that explains best which targets were newest, of those that there are. */
static int detect(struct pgo_unbias_work *w, struct pgo_unbias_result *ret, struct pgo_err *err)
{
	enum pgo_unbias_unit last = w->e->has_cycles ? PGO_UNBIAS_CYCLES : PGO_UNBIAS_CODE;
	double best = 0;
	int rc = 0;

	for (enum pgo_unbias_unit unit = PGO_UNBIAS_ONE; unit <= last && rc == 0; unit++) {
		double phi;

		w->unit = unit;
		rc = pgo_unbias_measure(w, err);
		if (rc == 0)
			rc = pgo_unbias_weigh(w, false, NULL, err);
		if (rc < 0)
			return rc;
		phi = pgo_unbias_phi(w);
		if (unit == PGO_UNBIAS_ONE || phi < best) {
			best = phi;
			ret->unit = unit;
		}
		/* Too few to tell: from no lengths at all. */
		if (w->rings < RINGS_TO_DETECT)
			break;
	}
	ret->detected = ret->absolute = w->rings >= RINGS_TO_DETECT && best < PHI_RIGHT;
	ret->self_timed = !ret->detected;
	return 0;
}

static int choose(struct pgo_unbias_work *w, struct pgo_unbias_result *ret, struct pgo_err *err)
{
	switch (w->e->unit) {
	case PGO_UNIT_BRANCHES:
		ret->unit = PGO_UNBIAS_ONE;
		ret->absolute = true;
		return 0;
	case PGO_UNIT_INSTRUCTIONS:
		ret->unit = PGO_UNBIAS_CODE;
		ret->absolute = true;
		return 0;
	case PGO_UNIT_CYCLES:
	case PGO_UNIT_TIME:
		ret->unit = w->e->has_cycles ? PGO_UNBIAS_CYCLES : PGO_UNBIAS_CODE;
		ret->self_timed = !w->e->has_cycles;
		ret->absolute = w->e->unit == PGO_UNIT_CYCLES;
		return 0;
	case PGO_UNIT_OTHER:
	default:
		return detect(w, ret, err);
	}
}

/* ---------------------------------------------------------------- all of it */

static int estimate(struct pgo_unbias_work *w, double *factor, struct pgo_unbias_result *ret,
	struct pgo_err *err)
{
	int rc = choose(w, ret, err);

	if (rc < 0)
		return rc;
	w->unit = ret->unit;
	rc = pgo_unbias_measure(w, err);
	if (rc == 0 && ret->self_timed) {
		w->fitting = ret->unit == PGO_UNBIAS_CODE;
		rc = pgo_unbias_weigh(w, false, NULL, err);
		ret->phi = pgo_unbias_phi(w);
		if (rc == 0 && w->fitting)
			rc = pgo_unbias_fit(w, err);
		w->fitting = false;
		if (rc == 0)
			rc = pgo_unbias_self_time(w, pgo_unbias_phi(w), factor, err);
	}
	/* Not with stand-ins, in which nothing is seen exactly anyway; nor where all windows are one. */
	w->horizon = ret->self_timed || ret->unit == PGO_UNBIAS_ONE ? 0 : w->middle;
	if (rc == 0)
		rc = pgo_unbias_weigh(w, false, ret, err);
	if (rc == 0 && !ret->self_timed)
		ret->phi = pgo_unbias_phi(w);
	return rc;
}

static void work_free(struct pgo_unbias_work *w)
{
	for (size_t g = 0; w->lengths != NULL && g < w->u->n_groups; g++)
		pgo_free(w->lengths[g]);
	pgo_free(w->lengths);
	pgo_free(w->target);
	pgo_free(w->count);
	pgo_free(w->newest);
	pgo_free(w->branch_effect);
	pgo_free(w->mispredict_effect);
	pgo_free(w->lambda);
	pgo_free(w->gamma);
	pgo_free(w->span_cut);
	pgo_free(w);
}

static struct pgo_unbias_work *work_new(
	const struct pgo_unbias *u, const struct pgo_unbias_event *e)
{
	struct pgo_unbias_work *w = pgo_calloc(1, sizeof *w);
	size_t n = u->n_targets;
	bool failed = false;

	if (w == NULL)
		return NULL;
	w->u = u;
	w->e = e;
	w->ahead = e->depth >= 4 ? e->depth / 2 : 1;
	w->lengths = pgo_calloc(u->n_groups, sizeof(struct pgo_unbias_length *));
	for (size_t g = 0; w->lengths != NULL && g < u->n_groups; g++) {
		w->lengths[g] = pgo_calloc(u->groups[g].n, sizeof **w->lengths);
		failed |= w->lengths[g] == NULL;
	}
	w->target = pgo_calloc(n, sizeof *w->target);
	w->count = pgo_calloc(n, sizeof *w->count);
	w->newest = pgo_calloc(n, sizeof *w->newest);
	w->branch_effect = pgo_calloc(n, sizeof *w->branch_effect);
	w->mispredict_effect = pgo_calloc(n, sizeof *w->mispredict_effect);
	w->lambda = pgo_calloc(n, sizeof *w->lambda);
	w->gamma = pgo_calloc(n, sizeof *w->gamma);
	w->span_cut = pgo_calloc(n, sizeof *w->span_cut);
	if (!failed && w->lengths != NULL && w->target != NULL && w->count != NULL &&
		w->newest != NULL && w->branch_effect != NULL && w->mispredict_effect != NULL &&
		w->lambda != NULL && w->gamma != NULL && w->span_cut != NULL)
		return w;
	work_free(w);
	return NULL;
}

int pgo_unbias_run(const struct pgo_unbias *u, const struct pgo_unbias_event *e,
	struct pgo_unbias_result *ret, struct pgo_err *err)
{
	struct pgo_unbias_work *w = work_new(u, e);
	double *factor = pgo_calloc(u->n_targets, sizeof *factor);
	int rc;

	memset(ret, 0, sizeof *ret);
	if (w == NULL || factor == NULL)
		rc = pgo_err_nomem(err);
	else
		rc = estimate(w, factor, ret, err);
	if (w != NULL)
		work_free(w);
	pgo_free(factor);
	return rc;
}
