/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long runs take, from how often targets were newest: how well a unit explains it (phi), what a
 * branch, an instruction and a misprediction cost, and what is left of each target's own.
 */
#include "fetch/unbias_impl.h"

#include <string.h>

/* Targets are asked how often they were newest if that should have been so often. */
#define EXPECTED_LEAST 5
#define ROUNDS 3
#define FIT_ROUNDS 4
#define FIT_ENOUGH 0.02 /* of all time, between two rounds */
#define COST_MAX 1e6

/* ---------------------------------------------------------------- the unit */

/* How often targets should have been newest per (count x lambda). */
static double expected_share(const struct pgo_unbias_work *w)
{
	unsigned __int128 mass = 0;
	uint64_t rings = 0;

	for (uint32_t i = 1; i < w->u->n_targets; i++) {
		mass += (unsigned __int128)((double)w->count[i] * w->lambda[i] + 0.5);
		rings += w->newest[i];
	}
	return mass > 0 ? (double)rings / (double)mass : 0;
}

static double expected(const struct pgo_unbias_work *w, uint32_t i, double share)
{
	return (double)w->count[i] * w->lambda[i] * share;
}

double pgo_unbias_phi(const struct pgo_unbias_work *w)
{
	double share = expected_share(w);
	unsigned __int128 mass = 0;
	__int128 excess = 0;

	for (uint32_t i = 1; i < w->u->n_targets; i++) {
		double e = expected(w, i, share), off = (double)w->newest[i] - e;

		if (e < EXPECTED_LEAST)
			continue;
		/* Ten fractional bits: what is summed are integers. */
		excess += (__int128)((off * off / e - 1) * 1024);
		mass += (unsigned __int128)(e * 1024);
	}
	return mass > 0 ? (double)excess / (double)mass : 0;
}

/* Lengths from how often targets were newest; leaves factors and the means that follow. */
int pgo_unbias_self_time(struct pgo_unbias_work *w, double phi, double *factor, struct pgo_err *err)
{
	double shrink = phi > 0 ? 1 / phi : 10000;
	int rc = 0;

	if (shrink < 2)
		shrink = 2;
	if (shrink > 10000)
		shrink = 10000;
	for (int round = 0; round < ROUNDS && rc == 0; round++) {
		double share = expected_share(w);

		for (uint32_t i = 0; i < w->u->n_targets; i++)
			factor[i] = i == 0 ? 1
					   : ((double)w->newest[i] + shrink) /
						     (expected(w, i, share) + shrink);
		w->factor = factor;
		rc = pgo_unbias_weigh(w, true, NULL, err);
		pgo_unbias_finish_means(w, false);
	}
	return rc;
}

/* ---------------------------------------------------------------- a model of time */

/* Forty fractional bits: what is summed are integers.  No sum of so many leaves their range. */
static __int128 fixed(double v)
{
	return v >= 0x1p58    ? (__int128)1 << 98
	       : v <= -0x1p58 ? -((__int128)1 << 98)
			      : (__int128)(v * 0x1p40);
}

/* Normal equations of two unknowns. */
struct normal {
	double a00, a01, a11, b0, b1;
};

/*
 * How E, what is expected of each target, would have to change to be what was seen, in terms of a
 * branch's cost and a misprediction's.  What both do to E is in the sums already: more for targets
 * with more of them, less for those that share their windows (so that it does not matter how long
 * whole phases of the program are thought to take).
 */
static void collect(const struct pgo_unbias_work *w, double phi, struct normal *ret)
{
	__int128 a00 = 0, a01 = 0, a11 = 0, b0 = 0, b1 = 0;
	double share = expected_share(w);

	for (uint32_t i = 1; i < w->u->n_targets; i++) {
		double e = expected(w, i, share), off = (double)w->newest[i] - e;
		double x0 = share * (double)w->branch_effect[i],
		       x1 = share * (double)w->mispredict_effect[i];
		double weight = 1 / (e + (phi > 0 ? phi : 0) * e * e);

		if (e < EXPECTED_LEAST)
			continue;
		a00 += fixed(x0 * x0 * weight);
		a01 += fixed(x0 * x1 * weight);
		a11 += fixed(x1 * x1 * weight);
		b0 += fixed(x0 * off * weight);
		b1 += fixed(x1 * off * weight);
	}
	*ret = (struct normal){(double)a00, (double)a01, (double)a11, (double)b0, (double)b1};
}

/* Steps from (x, y) to the solution, as far as neither becomes negative; stays where there is none. */
static void step(const struct normal *n, double *x, double *y)
{
	double det = n->a00 * n->a11 - n->a01 * n->a01;
	double dx = n->a00 > 0 ? n->b0 / n->a00 : 0, dy = 0;

	if (det > 1e-6 * n->a00 * n->a11) {
		dx = (n->b0 * n->a11 - n->b1 * n->a01) / det;
		dy = (n->b1 * n->a00 - n->b0 * n->a01) / det;
	} else if (n->a11 > n->a00) {
		dx = 0;
		dy = n->b1 / n->a11;
	}
	if (*x + dx < 0) {
		dx = -*x;
		dy = n->a11 > 0 ? (n->b1 - n->a01 * dx) / n->a11 : 0;
	}
	if (*y + dy < 0) {
		dy = -*y;
		dx = n->a00 > 0 ? (n->b0 - n->a01 * dy) / n->a00 : 0;
	}
	*x = *x + dx < 0 ? 0 : *x + dx > COST_MAX ? COST_MAX : *x + dx;
	*y = *y + dy < 0 ? 0 : *y + dy > COST_MAX ? COST_MAX : *y + dy;
}

int pgo_unbias_fit(struct pgo_unbias_work *w, struct pgo_err *err)
{
	double branch = 0, mispredict = 0; /* in lengths of code */
	bool done = false;
	int rc = 0;

	for (int round = 0; round < FIT_ROUNDS && rc == 0 && !done; round++) {
		double count = (double)w->sum_count, missed = (double)w->sum_mispredict;
		double code = (double)w->sum_code, all;
		double change = branch * count + mispredict * missed;
		struct normal n;
		double scale;

		collect(w, pgo_unbias_phi(w), &n);
		step(&n, &branch, &mispredict);
		all = code + branch * count + mispredict * missed;
		if (!(all > 0))
			break;
		change -= all - code;
		done = (change < 0 ? -change : change) <= FIT_ENOUGH * all;
		/* All together as long as code alone: what is known of the scale is kept. */
		scale = code / all;
		w->model = (struct pgo_unbias_model){branch * scale, scale, mispredict * scale};
		w->modelled = true;
		rc = pgo_unbias_measure(w, err);
		if (rc == 0)
			rc = pgo_unbias_weigh(w, false, NULL, err);
	}
	return rc;
}
