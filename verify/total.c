/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/total.h"

#include "pgo/core/alloc.h"
#include "verify/compare.h"
#include "verify/random.h"
#include "verify/real.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SEED 0x70676f2d76657269u
#define DEFAULT_ROUNDS 10000
#define POWER_Z 0.84162123357291442 /* 80 % power, normal */
#define HOURS_A_YEAR 8766.0         /* 365.25 days */

static int by_value(const void *pa, const void *pb)
{
	double a = *(const double *)pa, b = *(const double *)pb;

	return a < b ? -1 : a > b;
}

/* Log cost per work by 2 * unit + side; 0 where there is none. */
static double *logs_of(const struct pgo_design *d)
{
	double *v = pgo_calloc(2 * d->n_units + 1, sizeof *v);

	for (size_t i = 0; v != NULL && i < 2 * d->n_units; i++) {
		const struct pgo_unit *u = &d->units[i / 2];

		if (u->has[i % 2] && u->work[i % 2] > 0 && u->total[i % 2] > 0)
			v[i] = pgo_real_log(u->total[i % 2] / u->work[i % 2]);
	}
	return v;
}

/* ---- the bootstrap */

/* One sample as clusters: units of one host are drawn together. */
struct clusters {
	double *sum, *weight; /* of weighted values, and of weights */
	size_t n;
};

static int make_clusters(struct clusters *k, const struct pgo_design *d, size_t list,
	const double *logs, double effect, struct pgo_err *err)
{
	const struct pgo_unit_list *l = &d->list[list];
	double *x = pgo_malloc((l->n + 1) * sizeof *x);
	double *w = pgo_malloc((l->n + 1) * sizeof *w);

	k->sum = pgo_calloc(l->n + 1, sizeof *k->sum);
	k->weight = pgo_calloc(l->n + 1, sizeof *k->weight);
	if (x == NULL || w == NULL || k->sum == NULL || k->weight == NULL) {
		pgo_free(x);
		pgo_free(w);
		return pgo_err_nomem(err);
	}
	pgo_design_sample(d, logs, list, x);
	pgo_design_weights(d, list, x, 1, effect, w);
	for (size_t i = 0; i < l->n; i++) {
		bool same =
			i > 0 && d->units[l->unit[i]].cluster == d->units[l->unit[i - 1]].cluster;

		k->n += !same;
		k->sum[k->n - 1] += w[i] * x[i];
		k->weight[k->n - 1] += w[i];
	}
	pgo_free(x);
	pgo_free(w);
	return 0;
}

static double draw_mean(const struct clusters *k, uint64_t stream, uint64_t first)
{
	double sum = 0, weight = 0;

	for (size_t i = 0; i < k->n; i++) {
		uint32_t at = pgo_random_below(stream, first + i, (uint32_t)k->n);

		sum += k->sum[at];
		weight += k->weight[at];
	}
	return sum / weight;
}

static int bootstrap(struct pgo_verdict_total *t, const struct pgo_design *d, const double *logs,
	uint64_t rounds, double effect, struct pgo_err *err)
{
	struct clusters k[PGO_DESIGN_SAMPLES] = {{0}};
	double *draw = rounds < SIZE_MAX / 16 ? pgo_malloc(rounds * sizeof *draw + 1) : NULL;
	bool enough = true;
	int rc = draw == NULL ? pgo_err_nomem(err) : 0;

	for (size_t l = 0; l < d->n_lists && rc == 0; l++) {
		rc = make_clusters(&k[l], d, l, logs, effect, err);
		enough = enough && k[l].n >= 2 && k[l].n < UINT32_MAX;
	}
	if (rc < 0 || !enough)
		goto out;
	for (uint64_t i = 0; i < rounds; i++) {
		draw[i] = 0;
		for (size_t l = 0; l < d->n_lists; l++)
			draw[i] += d->list[l].sign *
				   draw_mean(&k[l], pgo_random_stream(SEED, l), i * k[l].n);
	}
	qsort(draw, rounds, sizeof *draw, by_value);
	t->bootstrap_rounds = rounds;
	t->bootstrap_low = pgo_real_expm1(draw[(size_t)((double)(rounds - 1) * 0.025)]);
	t->bootstrap_high = pgo_real_expm1(draw[(size_t)ceil((double)(rounds - 1) * 0.975)]);
out:
	for (size_t l = 0; l < d->n_lists; l++) {
		pgo_free(k[l].sum);
		pgo_free(k[l].weight);
	}
	pgo_free(draw);
	return rc;
}

/* ---- the estimate */

static void print_wider(struct pgo_verdict_total *t)
{
	bool wider = t->bootstrap_rounds > 0 &&
		     t->bootstrap_high - t->bootstrap_low > t->t_high - t->t_low;

	t->low = wider ? t->bootstrap_low : t->t_low;
	t->high = wider ? t->bootstrap_high : t->t_high;
}

/* Means over the units that are compared. */
static void mean_costs(struct pgo_verdict_total *t, const struct pgo_design *d)
{
	double sum[2] = {0};
	size_t n[2] = {0};

	for (size_t i = 0; i < 2 * d->n_units; i++) {
		const struct pgo_unit *u = &d->units[i / 2];
		int s = (int)(i % 2);

		if (u->control || !u->has[s] || !(u->work[s] > 0))
			continue;
		sum[s] += u->total[s] / u->work[s];
		n[s]++;
	}
	t->before = n[0] > 0 ? sum[0] / (double)n[0] : NAN;
	t->after = n[1] > 0 ? sum[1] / (double)n[1] : NAN;
}

/* What 80 % of such rollouts would show, and what a smaller change would need. */
static void power(struct pgo_verdict_total *t, const struct pgo_mean_test *m,
	const struct pgo_verdict_design *say, size_t units)
{
	double both, delta = pgo_real_log(1 + t->wanted), need;

	if (!(m->df > 0) || !(m->se > 0))
		return;
	both = pgo_student_two_sided(PGO_LEVEL, m->df) + pgo_student_two_sided(0.6, m->df);
	t->minimum_detectable = pgo_real_expm1(both * m->se);
	/* se^2 falls with the number of replicates: n' = n (1.96 + 0.84)^2 se^2 / delta^2. */
	both = 1.95996398454005424 + POWER_Z;
	need = ceil((double)units * both * both * m->se * m->se / (delta * delta));
	if (!(need < 1e12))
		return;
	t->hosts_needed = (uint64_t)need < 2 ? 2 : (uint64_t)need;
	if (say->timed && say->days_after > 0 && units > 0)
		t->days_needed = ceil(say->days_after * (double)t->hosts_needed / (double)units);
}

static size_t fewest(const struct pgo_design *d)
{
	size_t n = SIZE_MAX;

	for (size_t l = 0; l < d->n_lists; l++)
		n = d->list[l].n < n ? d->list[l].n : n;
	return d->n_lists > 0 ? n : 1;
}

/* Two heaps of samples: the log of their ratio, with the variance of counts times the effect. */
static struct pgo_mean_test by_counts(
	const struct pgo_costs *c, const struct pgo_design *d, double effect)
{
	double work[2] = {0}, total[2] = {0}, samples[2] = {0};

	(void)c;
	for (size_t i = 0; i < 2 * d->n_units; i++) {
		const struct pgo_unit *u = &d->units[i / 2];

		if (u->control || !u->has[i % 2])
			continue;
		work[i % 2] += u->work[i % 2];
		total[i % 2] += u->total[i % 2];
		samples[i % 2] += (double)u->samples[i % 2];
	}
	if (!(work[0] > 0 && work[1] > 0 && total[0] > 0 && total[1] > 0 && samples[0] > 0 &&
		    samples[1] > 0))
		return pgo_test_finish(NAN, NAN, 0, PGO_LEVEL);
	return pgo_test_finish(pgo_real_log(total[1] / work[1]) - pgo_real_log(total[0] / work[0]),
		sqrt(effect * (1 / samples[0] + 1 / samples[1])), INFINITY, PGO_LEVEL);
}

static struct pgo_mean_test by_design(struct pgo_verdict_total *t, const struct pgo_design *d,
	const double *logs, double effect, double *x, double *y)
{
	struct pgo_moments m[PGO_DESIGN_SAMPLES];
	double sign[PGO_DESIGN_SAMPLES];

	for (size_t l = 0; l < d->n_lists; l++) {
		pgo_design_sample(d, logs, l, x);
		pgo_design_weights(d, l, x, 1, effect, y);
		m[l] = pgo_moments_weighted(x, y, d->list[l].n);
		sign[l] = d->list[l].sign;
	}
	if (d->n_lists == 1)
		t->rank_p = pgo_signed_rank_p(x, d->list[0].n);
	if (d->n_lists == 2) {
		pgo_design_sample(d, logs, 0, y);
		t->rank_p = pgo_rank_sum_p(y, d->list[0].n, x, d->list[1].n);
	}
	return pgo_test_contrast(m, sign, d->n_lists, NULL, NULL, PGO_LEVEL);
}

int pgo_total(struct pgo_verdict *v, const struct pgo_costs *c, const struct pgo_design *d,
	uint64_t rounds, double wanted, struct pgo_err *err)
{
	struct pgo_verdict_total *t = &v->total;
	struct pgo_mean_test m;
	double *logs, *x, *y;
	int rc = 0;

	t->valid = d->by != PGO_PER_SHARE;
	t->p = t->rank_p = t->minimum_detectable = t->change = NAN;
	t->low = t->t_low = -1;
	t->high = t->t_high = INFINITY;
	t->wanted = wanted > 0 ? wanted : 0.01;
	mean_costs(t, d);
	if (!t->valid)
		return 0;
	logs = logs_of(d);
	x = pgo_malloc((d->n_units + 1) * sizeof *x);
	y = pgo_malloc((d->n_units + 1) * sizeof *y);
	if (logs == NULL || x == NULL || y == NULL) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	m = d->n_lists > 0 ? by_design(t, d, logs, v->design_effect, x, y)
			   : by_counts(c, d, v->design_effect);
	t->change = pgo_real_expm1(m.estimate);
	t->t_low = pgo_real_expm1(m.low);
	t->t_high = pgo_real_expm1(m.high);
	t->p = m.p;
	t->log_change = m.estimate;
	t->se = m.se;
	t->df = d->n_lists > 0 ? m.df : 0;
	if (d->n_lists > 0) {
		rc = bootstrap(
			t, d, logs, rounds > 0 ? rounds : DEFAULT_ROUNDS, v->design_effect, err);
		power(t, &m, &v->design, fewest(d));
	}
	print_wider(t);
out:
	pgo_free(logs);
	pgo_free(x);
	pgo_free(y);
	return rc;
}

void pgo_value(struct pgo_verdict *v, double cores, double price)
{
	struct pgo_verdict_money *m = &v->money;

	if (!(cores > 0) || !v->total.valid || isnan(v->total.change))
		return;
	m->valid = true;
	m->cores = cores;
	m->price = price;
	m->priced = price > 0;
	/* A fall in cost saves, so the ends of the interval change places. */
	m->cores_saved = -v->total.change * cores;
	m->cores_low = -v->total.high * cores;
	m->cores_high = -v->total.low * cores;
	m->saved = m->cores_saved * price * HOURS_A_YEAR;
	m->low = m->cores_low * price * HOURS_A_YEAR;
	m->high = m->cores_high * price * HOURS_A_YEAR;
}
