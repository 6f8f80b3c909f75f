/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A against A: the before set, split at random, compared as if one half were after.
 *
 * Where hosts are paired and each has two profiles or more before, a host's profiles are split and
 * the halves paired; else hosts (or profiles) are split, and compared as separate ones.
 */
#include "verify/total.h"

#include "pgo/core/alloc.h"
#include "verify/random.h"
#include "verify/real.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SEED 0x70676f2d61206120u
#define MIN_UNITS 6
#define NOMINAL 0.05

/* One profile of the before set, in the order of its units. */
struct part {
	uint32_t unit;
	double cost, work;
};

struct split {
	struct part *part;
	size_t n;
	double *x; /* scratch */
	uint32_t *order;
};

static int by_unit(const void *pa, const void *pb)
{
	const struct part *a = pa, *b = pb;

	if (a->unit != b->unit)
		return a->unit < b->unit ? -1 : 1;
	return 0;
}

/* Shuffles order[0..n): every order with the same chance. */
static void shuffle(uint32_t *order, size_t n, uint64_t stream)
{
	for (size_t i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	for (size_t i = n; i > 1; i--) {
		size_t k = pgo_random_below(stream, i, (uint32_t)i);
		uint32_t swap = order[i - 1];

		order[i - 1] = order[k];
		order[k] = swap;
	}
}

/* Profiles of a host in two halves, the log of their costs' ratio. */
static bool split_unit(struct split *s, size_t from, size_t to, uint64_t stream, double *ret)
{
	double cost[2] = {0}, work[2] = {0};
	size_t n = to - from;
	/* Of an odd number, either half may have the larger part. */
	size_t half = n / 2 + (n % 2 != 0 && pgo_random_below(stream, n + 1, 2) != 0);

	shuffle(s->order, n, stream);
	for (size_t i = 0; i < n; i++) {
		const struct part *p = &s->part[from + s->order[i]];

		cost[i < half] += p->cost;
		work[i < half] += p->work;
	}
	if (!(cost[0] > 0 && cost[1] > 0 && work[0] > 0 && work[1] > 0))
		return false;
	*ret = pgo_real_log(cost[1] / work[1]) - pgo_real_log(cost[0] / work[0]);
	return true;
}

static double paired_split(struct split *s, uint64_t round)
{
	struct pgo_moments m = {0};
	const double sign = 1;

	for (size_t from = 0, to; from < s->n; from = to) {
		double d;

		for (to = from; to < s->n && s->part[to].unit == s->part[from].unit; to++)
			;
		if (to - from >= 2 &&
			split_unit(s, from, to, pgo_random_stream(SEED + round, from + 1), &d))
			pgo_moments_add(&m, d);
	}
	return pgo_test_contrast(&m, &sign, 1, NULL, NULL, 0).p;
}

static double welch_split(struct split *s, const double *x, size_t n, uint64_t round)
{
	static const double sign[2] = {-1, 1};
	struct pgo_moments m[2] = {{0}};

	shuffle(s->order, n, pgo_random_stream(SEED + round, 0));
	for (size_t i = 0; i < n; i++)
		pgo_moments_add(&m[i % 2], x[s->order[i]]);
	return pgo_test_contrast(m, sign, 2, NULL, NULL, 0).p;
}

static size_t take_parts(
	struct split *s, const struct pgo_costs *c, const struct pgo_design *d, size_t *ret_units)
{
	size_t twice = 0;

	for (size_t i = 0; i < c->n_reps; i++) {
		const struct pgo_cost_rep *r = &c->reps[i];

		if (r->after || r->control || d->unit_of[i] == PGO_NONE || !(r->total > 0))
			continue;
		s->part[s->n++] =
			(struct part){d->unit_of[i], r->total, d->by == PGO_PER_WORK ? r->work : 1};
	}
	qsort(s->part, s->n, sizeof *s->part, by_unit);
	*ret_units = 0;
	for (size_t i = 0; i < s->n; i++) {
		bool first = i == 0 || s->part[i].unit != s->part[i - 1].unit;

		*ret_units += first;
		twice += first && i + 1 < s->n && s->part[i + 1].unit == s->part[i].unit;
	}
	return twice;
}

static size_t take_logs(double *x, const struct pgo_design *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_units; i++) {
		const struct pgo_unit *u = &d->units[i];

		if (!u->control && u->has[0] && u->work[0] > 0 && u->total[0] > 0)
			x[n++] = pgo_real_log(u->total[0] / u->work[0]);
	}
	return n;
}

static int refuse(struct pgo_verdict *v, struct pgo_err *err, const char *why)
{
	v->calibration.why = pgo_strdup(why);
	return v->calibration.why == NULL ? pgo_err_nomem(err) : 0;
}

int pgo_calibrate(struct pgo_verdict *v, const struct pgo_costs *c, const struct pgo_design *d,
	uint64_t splits, struct pgo_err *err)
{
	struct split s = {0};
	size_t units, twice, n, seen = 0, hits = 0;
	bool paired;
	int rc = 0;

	if (d->by == PGO_PER_SHARE)
		return refuse(v, err, "shares of the whole always add up to the same");
	s.part = pgo_calloc(c->n_reps + 1, sizeof *s.part);
	s.x = pgo_calloc(d->n_units + 1, sizeof *s.x);
	s.order = pgo_calloc(c->n_reps + d->n_units + 1, sizeof *s.order);
	if (s.part == NULL || s.x == NULL || s.order == NULL) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	twice = take_parts(&s, c, d, &units);
	n = take_logs(s.x, d);
	/* The control set's factors are of whole units, not of their profiles. */
	paired = d->kind == PGO_DESIGN_PAIRED && d->by != PGO_PER_CONTROL && twice >= MIN_UNITS;
	if (!paired && n < MIN_UNITS) {
		rc = refuse(v, err, "fewer than 6 hosts or profiles before");
		goto out;
	}
	for (uint64_t i = 0; i < splits; i++) {
		double p = paired ? paired_split(&s, i) : welch_split(&s, s.x, n, i);

		seen += !isnan(p);
		hits += p < NOMINAL;
	}
	v->calibration.valid = seen > 0;
	v->calibration.splits = seen;
	if (seen > 0) {
		double spread = 1.96 * sqrt(NOMINAL * (1 - NOMINAL) / (double)seen);

		v->calibration.false_positives = (double)hits / (double)seen;
		v->calibration.low = NOMINAL - spread;
		v->calibration.high = NOMINAL + spread;
	} else {
		rc = refuse(v, err, "no split could be tested");
	}
out:
	pgo_free(s.part);
	pgo_free(s.x);
	pgo_free(s.order);
	return rc;
}
