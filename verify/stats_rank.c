/* SPDX-License-Identifier: Apache-2.0 */
/* Tests by ranks. */
#include "verify/stats.h"

#include "pgo/core/alloc.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SIGNED_EXACT 50
#define SUM_EXACT 8

struct ranked {
	double key;
	bool first; /* positive, or of the first sample */
	double rank;
};

static int by_key(const void *pa, const void *pb)
{
	const struct ranked *a = pa, *b = pb;

	return a->key < b->key ? -1 : a->key > b->key;
}

/* Middle ranks; gives the sum of t^3 - t over ties. */
static double give_ranks(struct ranked *r, size_t n)
{
	double ties = 0;

	qsort(r, n, sizeof *r, by_key);
	for (size_t i = 0; i < n;) {
		size_t end = i + 1;
		double t;

		while (end < n && r[end].key == r[i].key)
			end++;
		t = (double)(end - i);
		for (size_t k = i; k < end; k++)
			r[k].rank = ((double)i + 1 + (double)end) / 2;
		ties += t * t * t - t;
		i = end;
	}
	return ties;
}

static double sum_first(const struct ranked *r, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += r[i].first ? r[i].rank : 0;
	return sum;
}

static double normal_of(double w, double mean, double var)
{
	double d = fabs(w - mean) - 0.5;

	return var > 0 ? pgo_normal_p(d > 0 ? d / sqrt(var) : 0) : NAN;
}

/* P(W <= w) where each rank 1..n counts or does not, with equal chance. */
static double signed_exact(size_t n, double w)
{
	double ways[SIGNED_EXACT * (SIGNED_EXACT + 1) / 2 + 1] = {1};
	size_t top = n * (n + 1) / 2;
	double sum = 0;

	for (size_t k = 1; k <= n; k++)
		for (size_t s = top + 1; s-- > 0;)
			ways[s] = (ways[s] + (s >= k ? ways[s - k] : 0)) / 2;
	for (size_t s = 0; s <= top && (double)s <= w; s++)
		sum += ways[s];
	return sum;
}

double pgo_signed_rank_p(const double *x, size_t n)
{
	struct ranked *r = pgo_calloc(n + 1, sizeof *r);
	double ties, w, mean, p;
	size_t k = 0;

	if (r == NULL)
		return NAN;
	for (size_t i = 0; i < n; i++)
		if (x[i] != 0 && !isnan(x[i]))
			r[k++] = (struct ranked){fabs(x[i]), x[i] > 0, 0};
	ties = give_ranks(r, k);
	w = sum_first(r, k);
	pgo_free(r);
	if (k == 0)
		return NAN;
	mean = (double)k * (double)(k + 1) / 4;
	if (ties > 0 || k > SIGNED_EXACT)
		return normal_of(w, mean,
			(double)k * (double)(k + 1) * (2 * (double)k + 1) / 24 - ties / 48);
	p = 2 * signed_exact(k, w < 2 * mean - w ? w : 2 * mean - w);
	return p < 1 ? p : 1;
}

/* P(U <= u) for samples of na and nb: partitions counted as probabilities. */
static double sum_exact(size_t na, size_t nb, double u)
{
	/* ways[i][s]: choices of i of the first k ranks with rank sum s, as numbers */
	double ways[SUM_EXACT + 1][2 * SUM_EXACT * SUM_EXACT + SUM_EXACT * SUM_EXACT + 1];
	size_t n = na + nb, top = n * (n + 1) / 2;
	double all = 0, sum = 0, least = (double)(na * (na + 1)) / 2;

	memset(ways, 0, sizeof ways);
	ways[0][0] = 1;
	for (size_t k = 1; k <= n; k++)
		for (size_t i = na; i > 0; i--)
			for (size_t s = top; s >= k; s--)
				ways[i][s] += ways[i - 1][s - k];
	for (size_t s = 0; s <= top; s++) {
		all += ways[na][s];
		sum += (double)s - least <= u ? ways[na][s] : 0;
	}
	return sum / all;
}

double pgo_rank_sum_p(const double *a, size_t na, const double *b, size_t nb)
{
	struct ranked *r = pgo_calloc(na + nb + 1, sizeof *r);
	size_t n = na + nb;
	double ties, u, mean, p;

	if (r == NULL || na == 0 || nb == 0) {
		pgo_free(r);
		return NAN;
	}
	for (size_t i = 0; i < n; i++)
		r[i] = (struct ranked){i < na ? a[i] : b[i - na], i < na, 0};
	ties = give_ranks(r, n);
	u = sum_first(r, n) - (double)na * (double)(na + 1) / 2;
	pgo_free(r);
	mean = (double)na * (double)nb / 2;
	if (ties > 0 || na > SUM_EXACT || nb > SUM_EXACT)
		return normal_of(u, mean,
			(double)na * (double)nb / 12 *
				((double)n + 1 - ties / ((double)n * (double)(n - 1))));
	p = 2 * sum_exact(na, nb, u < 2 * mean - u ? u : 2 * mean - u);
	return p < 1 ? p : 1;
}
