/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of all functions, once their samples are taken. */
#include "verify/compare_impl.h"

#include "pgo/core/alloc.h"
#include "verify/real.h"

#include <math.h>
#include <stdlib.h>

#define FEW_HOSTS 20
#define BIN 40 /* functions that share a prior, at least */
#define MOST_BINS 10

/* Functions by how often they are seen: variances of logs of counts depend on it. */
struct bin {
	double prior[PGO_DESIGN_SAMPLES], df[PGO_DESIGN_SAMPLES];
};

struct by_seen {
	double seen;
	uint32_t at;
};

static int by_seen(const void *pa, const void *pb)
{
	const struct by_seen *a = pa, *b = pb;

	if (a->seen != b->seen)
		return a->seen < b->seen ? -1 : 1;
	return a->at < b->at ? -1 : a->at > b->at;
}

static void test_logs(const struct pgo_comparison *k, struct pgo_vector *v, const struct bin *bin)
{
	double sign[PGO_DESIGN_SAMPLES];

	for (size_t l = 0; l < k->d->n_lists; l++)
		sign[l] = k->d->list[l].sign;
	v->t = pgo_test_contrast(v->m, sign, k->d->n_lists, bin != NULL ? bin->prior : NULL,
		bin != NULL ? bin->df : NULL, PGO_LEVEL);
}

static void test_counts(const struct pgo_comparison *k, struct pgo_vector *v)
{
	double effect = k->design_effect;
	struct pgo_count_test t;

	/* Its own spread, if it is larger than that of its like. */
	if (!isnan(v->dispersion) && k->d->n_lists > 0)
		effect = fmax(effect, v->dispersion);
	t = pgo_test_counts(v->counts[0] / effect, v->exposure[0], v->counts[1] / effect,
		v->exposure[1], PGO_LEVEL);
	v->t = (struct pgo_mean_test){.estimate = pgo_real_log(t.ratio),
		.se = NAN,
		.p = t.p,
		.low = pgo_real_log(t.low),
		.high = pgo_real_log(t.high)};
}

static size_t fewest(const struct pgo_design *d)
{
	size_t n = SIZE_MAX;

	for (size_t l = 0; l < d->n_lists; l++)
		n = d->list[l].n < n ? d->list[l].n : n;
	return n;
}

/* Priors of the vectors order[from .. to). */
static void fit(const struct pgo_comparison *k, const struct by_seen *order, size_t from, size_t to,
	double *var, struct bin *ret)
{
	for (size_t l = 0; l < k->d->n_lists; l++) {
		for (size_t i = from; i < to; i++)
			var[i - from] = pgo_moments_variance(&k->of[order[i].at].m[l]);
		pgo_variance_prior(
			var, to - from, (double)k->d->list[l].n - 1, &ret->prior[l], &ret->df[l]);
	}
}

static int test_moderated(struct pgo_comparison *k, struct pgo_err *err)
{
	struct by_seen *order = pgo_malloc((k->n + 1) * sizeof *order);
	double *var = pgo_malloc((k->n + 1) * sizeof *var);
	size_t n = 0, bins;

	if (order == NULL || var == NULL) {
		pgo_free(order);
		pgo_free(var);
		return pgo_err_nomem(err);
	}
	for (size_t i = 0; i < k->n; i++)
		if (k->of[i].log_test)
			order[n++] = (struct by_seen){k->of[i].seen, (uint32_t)i};
	qsort(order, n, sizeof *order, by_seen);
	bins = n / BIN < 1 ? 1 : n / BIN > MOST_BINS ? MOST_BINS : n / BIN;
	for (size_t b = 0; b < bins; b++) {
		size_t from = n * b / bins, to = n * (b + 1) / bins;
		struct bin bin;

		fit(k, order, from, to, var, &bin);
		for (size_t i = from; i < to; i++)
			test_logs(k, &k->of[order[i].at], &bin);
	}
	pgo_free(order);
	pgo_free(var);
	return 0;
}

int pgo_comparison_test(struct pgo_comparison *k, struct pgo_err *err)
{
	bool few = k->d->n_lists > 0 && fewest(k->d) < FEW_HOSTS;
	int rc = few ? test_moderated(k, err) : 0;

	for (size_t i = 0; i < k->n && rc == 0; i++) {
		if (!k->of[i].log_test)
			test_counts(k, &k->of[i]);
		else if (!few)
			test_logs(k, &k->of[i], NULL);
	}
	return rc;
}
