/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/unbias.h"

#include "pgo/core/alloc.h"

#include <string.h>

#define ONE ((uint64_t)1 << PGO_UNBIAS_LENGTH_BITS)
/* Fractional bits of a ring's weight 1 / span in the means, and of 1 / W in the counts by target.
 * The sums hold 2^34 and, with windows of one unit, 2^38 entries of one target. */
#define SPAN_BITS 30
#define COUNT_BITS 24
/* Targets are asked how often they were newest if that should have been so often. */
#define EXPECTED_LEAST 5
#define PHI_RIGHT 0.05
#define RINGS_TO_DETECT 2000
#define ROUNDS 3
#define LENGTH_MAX ((double)(1u << 30))

struct target {          /* sums over rings; a cache line for two */
	uint64_t n1, s1; /* complete runs from here: weights, weighted lengths */
	uint64_t n2, s2; /* the runs after those */
};

struct work {
	const struct pgo_unbias *u;
	const struct pgo_unbias_event *e;
	enum pgo_unbias_unit unit;
	uint32_t ahead; /* runs that gamma is a mean of */
	uint64_t observations1, observations2;
	struct target *target;
	uint64_t *count;  /* by target: executions, in units of the event */
	uint64_t *newest; /* by target: rings it is the newest of */
	double *lambda;   /* by target, without the factors */
	double *gamma;    /* by target */
	double *factor;   /* by target: of lengths, from self-timing; NULL = 1 */
	double *span_cut; /* by target: lambda x factor */
	uint64_t rings;
	/* one ring */
	uint32_t at[PGO_SPOOL_RING_MAX];  /* targets */
	uint64_t sum[PGO_SPOOL_RING_MAX]; /* lengths of the complete runs up to this entry's own */
};

/* ---------------------------------------------------------------- a ring */

static uint32_t code_length(const struct pgo_unbias *u, uint32_t id)
{
	uint64_t n;

	if (id == PGO_SPOOL_GAP_UNKNOWN)
		return u->code_mean;
	n = (uint64_t)(id & ~PGO_SPOOL_GAP) * u->code_per_byte;
	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static uint64_t scaled(const struct work *w, uint32_t target, uint64_t length)
{
	double n;

	if (w->factor == NULL)
		return length;
	n = (double)length * w->factor[target] + 0.5;
	return n > LENGTH_MAX ? (uint64_t)LENGTH_MAX : (uint64_t)n;
}

/* Looks up targets and adds lengths up. */
static void unfold(
	struct work *w, const struct pgo_spool_ring *r, const uint32_t *ids, const uint16_t *cycles)
{
	const struct pgo_unbias_group *g = &w->u->groups[r->group];
	uint64_t sum = 0;

	for (uint32_t i = 0; i < r->n; i++) {
		bool gap = (ids[i] & PGO_SPOOL_GAP) != 0;
		uint64_t length = ONE;

		w->at[i] = gap ? 0 : g->traces[ids[i]].target;
		if (i > 0) {
			if (w->unit == PGO_UNBIAS_CODE)
				length = gap ? code_length(w->u, ids[i]) : g->traces[ids[i]].length;
			else if (w->unit == PGO_UNBIAS_CYCLES)
				length = (uint64_t)cycles[i - 1] << PGO_UNBIAS_LENGTH_BITS;
			sum += scaled(w, w->at[i], length);
		}
		w->sum[i] = sum;
	}
}

/* The next ring of the event that can be used, unfolded: 1, 0 at the end, or an error. */
static int next_ring(struct work *w, struct pgo_spool_ring *r, const uint32_t **ids,
	uint64_t *without_cycles, struct pgo_err *err)
{
	const uint16_t *cycles;
	int rc;

	while ((rc = pgo_spool_next(w->u->rings, r, ids, &cycles, err)) > 0) {
		if (r->event != w->e->index || r->n < 2)
			continue;
		if (w->unit == PGO_UNBIAS_CYCLES && !r->has_cycles) {
			++*without_cycles;
			continue;
		}
		unfold(w, r, *ids, cycles);
		return 1;
	}
	return rc;
}

/* Places that runs of this ring could have been seen in. */
static uint32_t depth_of(const struct work *w, const struct pgo_spool_ring *r)
{
	uint32_t depth = w->e->depth > r->taken ? w->e->depth - r->taken : 0;

	return depth > r->n ? depth : r->n;
}

/* ---------------------------------------------------------------- means by target */

/* A ring that was seen for being long counts for less, by as much. */
static uint64_t ring_weight(const struct work *w, const struct pgo_spool_ring *r)
{
	double places = (double)(depth_of(w, r) - 1) / (double)(r->n - 1);
	double span = (double)w->sum[r->n - 1] * places + (double)ONE;

	return (uint64_t)((double)(ONE << SPAN_BITS) / span);
}

static void add_means(struct work *w, const struct pgo_spool_ring *r, bool own)
{
	uint64_t weight = ring_weight(w, r);

	for (uint32_t i = 1; own && i < r->n; i++) {
		struct target *t = &w->target[w->at[i]];

		t->n1 += weight;
		t->s1 += weight * (w->sum[i] - w->sum[i - 1]) >> PGO_UNBIAS_LENGTH_BITS;
	}
	for (uint32_t i = w->ahead + 1; i < r->n; i++) {
		struct target *t = &w->target[w->at[i]];

		t->n2 += weight;
		t->s2 += weight * (w->sum[i - 1] - w->sum[i - 1 - w->ahead]) >>
			 PGO_UNBIAS_LENGTH_BITS;
	}
	if (own)
		w->observations1 += r->n - 1;
	if (r->n > w->ahead + 1)
		w->observations2 += r->n - 1 - w->ahead;
}

struct mean {
	double all, each; /* mean length; mean weight of an observation */
};

static struct mean mean_of(unsigned __int128 n, unsigned __int128 s, uint64_t observations)
{
	struct mean m = {1, 1};

	if (n > 0)
		m.all = (double)s / (double)n;
	if (observations > 0 && n > 0)
		m.each = (double)n / (double)observations;
	return m;
}

/* Sums -> lambda (if `own`) and gamma, in units of the event. */
static void finish_means(struct work *w, bool own)
{
	unsigned __int128 n1 = 0, s1 = 0, n2 = 0, s2 = 0;
	struct mean m1, m2;
	double ahead = w->ahead;

	for (uint32_t i = 0; i < w->u->n_targets; i++) {
		n1 += w->target[i].n1;
		s1 += w->target[i].s1;
		n2 += w->target[i].n2;
		s2 += w->target[i].s2;
	}
	m1 = mean_of(n1, s1, w->observations1);
	m2 = mean_of(n2, s2, w->observations2);
	if (n2 == 0) /* rings too short to look ahead in */
		m2.all = m1.all * ahead;
	for (uint32_t i = 0; i < w->u->n_targets; i++) {
		const struct target *t = &w->target[i];

		if (own)
			w->lambda[i] = ((double)t->s1 + 2 * m1.each * m1.all) /
				       ((double)t->n1 + 2 * m1.each);
		w->gamma[i] = ((double)t->s2 + 4 * m2.each * m2.all) /
			      ((double)t->n2 + 4 * m2.each) / ahead;
	}
}

static int measure(struct work *w, struct pgo_err *err)
{
	struct pgo_spool_ring r;
	const uint32_t *ids;
	uint64_t unused = 0;
	int rc;

	if (w->unit == PGO_UNBIAS_ONE) {
		for (uint32_t i = 0; i < w->u->n_targets; i++)
			w->lambda[i] = w->gamma[i] = 1;
		return 0;
	}
	memset(w->target, 0, w->u->n_targets * sizeof *w->target);
	w->observations1 = w->observations2 = 0;
	pgo_spool_rewind(w->u->rings);
	while ((rc = next_ring(w, &r, &ids, &unused, err)) > 0)
		add_means(w, &r, true);
	finish_means(w, true);
	return rc;
}

/* ---------------------------------------------------------------- weights */

static uint64_t quantised(double v)
{
	return v >= (double)((uint64_t)1 << 63) ? (uint64_t)1 << 63 : (uint64_t)(v + 0.5);
}

/* What a ring says of how often its entries were executed: counts, and into `ret` weights. */
static void weigh_ring(struct work *w, const struct pgo_spool_ring *r, const uint32_t *ids,
	struct pgo_unbias_result *ret)
{
	static const double one = (double)ONE;
	uint64_t *weights = w->u->groups[r->group].weights;
	uint64_t period = r->period != 0 ? r->period : w->e->period != 0 ? w->e->period : 1;
	double numerator = (double)period * (double)((uint64_t)1 << PGO_UNBIAS_WEIGHT_BITS) * one;
	double lambda = w->span_cut[w->at[0]] * one, gamma = w->gamma[w->at[0]] * one;
	double places = (double)depth_of(w, r) - 1;

	w->newest[w->at[0]]++;
	w->rings++;
	for (uint32_t i = 1; i < r->n; i++) {
		double window = (double)w->sum[i - 1] + lambda + (places - i) * gamma;
		uint64_t weight;

		if (window < 1)
			window = 1;
		w->count[w->at[i]] +=
			(uint64_t)(one * (double)((uint64_t)1 << COUNT_BITS) / window + 0.5);
		if (ret == NULL || (ids[i] & PGO_SPOOL_GAP) != 0)
			continue;
		weight = quantised(numerator / window);
		weights[ids[i]] = pgo_unbias_add(weights[ids[i]], weight);
		ret->weight += weight;
		ret->entries++;
	}
}

/* Counts and newest anew; gamma for the next round with them if lengths have factors. */
static int weigh(struct work *w, bool means, struct pgo_unbias_result *ret, struct pgo_err *err)
{
	uint64_t without_cycles = 0;
	struct pgo_spool_ring r;
	const uint32_t *ids;
	int rc;

	memset(w->count, 0, w->u->n_targets * sizeof *w->count);
	memset(w->newest, 0, w->u->n_targets * sizeof *w->newest);
	memset(w->target, 0, w->u->n_targets * sizeof *w->target);
	w->observations2 = 0;
	w->rings = 0;
	for (uint32_t i = 0; i < w->u->n_targets; i++)
		w->span_cut[i] = w->lambda[i] * (w->factor != NULL ? w->factor[i] : 1);
	pgo_spool_rewind(w->u->rings);
	while ((rc = next_ring(w, &r, &ids, &without_cycles, err)) > 0) {
		weigh_ring(w, &r, ids, ret);
		if (means)
			add_means(w, &r, false);
	}
	if (ret != NULL) {
		ret->rings = w->rings;
		ret->rings_without_cycles = without_cycles;
	}
	return rc;
}

/* ---------------------------------------------------------------- the unit */

/* How often targets should have been newest per (count x lambda). */
static double expected_share(const struct work *w)
{
	unsigned __int128 mass = 0;
	uint64_t rings = 0;

	for (uint32_t i = 1; i < w->u->n_targets; i++) {
		mass += (unsigned __int128)((double)w->count[i] * w->lambda[i] + 0.5);
		rings += w->newest[i];
	}
	return mass > 0 ? (double)rings / (double)mass : 0;
}

static double expected(const struct work *w, uint32_t i, double share)
{
	return (double)w->count[i] * w->lambda[i] * share;
}

static double phi_of(const struct work *w)
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
static int self_time(struct work *w, double phi, double *factor, struct pgo_err *err)
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
		rc = weigh(w, true, NULL, err);
		finish_means(w, false);
	}
	return rc;
}

/* The unit that explains best which targets were newest, of those that there are. */
static int detect(struct work *w, struct pgo_unbias_result *ret, struct pgo_err *err)
{
	enum pgo_unbias_unit last = w->e->has_cycles ? PGO_UNBIAS_CYCLES : PGO_UNBIAS_CODE;
	double best = 0;
	int rc = 0;

	for (enum pgo_unbias_unit unit = PGO_UNBIAS_ONE; unit <= last && rc == 0; unit++) {
		double phi;

		w->unit = unit;
		rc = measure(w, err);
		if (rc == 0)
			rc = weigh(w, false, NULL, err);
		if (rc < 0)
			return rc;
		phi = phi_of(w);
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

static int choose(struct work *w, struct pgo_unbias_result *ret, struct pgo_err *err)
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

static int estimate(
	struct work *w, double *factor, struct pgo_unbias_result *ret, struct pgo_err *err)
{
	int rc = choose(w, ret, err);

	if (rc < 0)
		return rc;
	w->unit = ret->unit;
	rc = measure(w, err);
	if (rc == 0 && ret->self_timed) {
		rc = weigh(w, false, NULL, err);
		ret->phi = phi_of(w);
		if (rc == 0)
			rc = self_time(w, ret->phi, factor, err);
	}
	if (rc == 0)
		rc = weigh(w, false, ret, err);
	if (rc == 0 && !ret->self_timed)
		ret->phi = phi_of(w);
	return rc;
}

int pgo_unbias_run(const struct pgo_unbias *u, const struct pgo_unbias_event *e,
	struct pgo_unbias_result *ret, struct pgo_err *err)
{
	struct work *w = pgo_calloc(1, sizeof *w);
	size_t n = u->n_targets;
	double *factor = pgo_calloc(n, sizeof *factor);
	int rc = 0;

	memset(ret, 0, sizeof *ret);
	if (w == NULL || factor == NULL) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	w->u = u;
	w->e = e;
	w->ahead = e->depth >= 4 ? e->depth / 2 : 1;
	w->target = pgo_calloc(n, sizeof *w->target);
	w->count = pgo_calloc(n, sizeof *w->count);
	w->newest = pgo_calloc(n, sizeof *w->newest);
	w->lambda = pgo_calloc(n, sizeof *w->lambda);
	w->gamma = pgo_calloc(n, sizeof *w->gamma);
	w->span_cut = pgo_calloc(n, sizeof *w->span_cut);
	if (w->target == NULL || w->count == NULL || w->newest == NULL || w->lambda == NULL ||
		w->gamma == NULL || w->span_cut == NULL)
		rc = pgo_err_nomem(err);
	else
		rc = estimate(w, factor, ret, err);
	pgo_free(w->target);
	pgo_free(w->count);
	pgo_free(w->newest);
	pgo_free(w->lambda);
	pgo_free(w->gamma);
	pgo_free(w->span_cut);
out:
	pgo_free(w);
	pgo_free(factor);
	return rc;
}
