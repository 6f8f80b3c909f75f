/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlaps of each of many share vectors with the median of all others.
 *
 * Most functions are in less than half of the vectors: then their median is 0 whoever is left out,
 * and they are passed over at once.  For the others the entries are sorted by share, and each
 * leave-one-out median is a binary search in the running sums of weight.
 */
#include "merge/outliers.h"
#include "merge/shares.h"
#include "pgo/core/alloc.h"

#include <stdlib.h>

struct entry {
	uint32_t key, share;
	uint32_t subject;
};

struct job {
	struct pgo_subject *s;
	struct entry *e;   /* by key, share, subject */
	uint64_t *sum;     /* weights of the entries of a run, up to and with each */
	uint32_t *rank;    /* per subject: 1 + its place in the run, 0 = not there */
	uint64_t *medians; /* per subject: sum of the leave-one-out medians */
	double *common;
	size_t n, n_entries;
	uint64_t weight, heaviest;
};

static int cmp_entry(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	if (a->share != b->share)
		return a->share < b->share ? -1 : 1;
	return (a->subject > b->subject) - (a->subject < b->subject);
}

/* The smallest share that half of the weight of all but subject `i` does not exceed. */
static uint32_t median_without(const struct job *job, const struct entry *run, size_t len, size_t i)
{
	uint64_t own = job->s[i].weight, all = job->weight - own;
	size_t rank = job->rank[i], lo = 0, hi = len;
	uint64_t present = job->sum[len - 1] - (rank != 0 ? own : 0);
	uint64_t absent = all - present;

	if (2 * absent >= all)
		return 0;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		uint64_t below = job->sum[mid] - (rank != 0 && mid + 1 >= rank ? own : 0);

		if (2 * (absent + below) >= all)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo < len ? run[lo].share : 0;
}

static size_t run_end(const struct job *job, size_t i)
{
	size_t end = i;

	while (end < job->n_entries && job->e[end].key == job->e[i].key)
		end++;
	return end;
}

/* One function.  The first pass sums the medians, so that the second can scale them. */
static void visit(struct job *job, const struct entry *run, size_t len, bool scale)
{
	uint64_t sum = 0;

	for (size_t k = 0; k < len; k++)
		job->sum[k] = sum += job->s[run[k].subject].weight;
	if (2 * sum <= job->weight - job->heaviest)
		return;
	for (size_t k = 0; k < len; k++)
		job->rank[run[k].subject] = (uint32_t)k + 1;
	for (size_t i = 0; i < job->n && !scale; i++)
		job->medians[i] += median_without(job, run, len, i);
	for (size_t k = 0; k < len && scale; k++) {
		size_t i = run[k].subject;
		double median = job->medians[i] != 0 ? (double)median_without(job, run, len, i) /
							       (double)job->medians[i]
						     : 0;
		double own = (double)run[k].share / PGO_SHARE_ONE;

		job->common[i] += own < median ? own : median;
	}
	for (size_t k = 0; k < len; k++)
		job->rank[run[k].subject] = 0;
}

static void list_entries(struct job *job)
{
	for (size_t i = 0; i < job->n; i++) {
		const struct pgo_subject *s = &job->s[i];

		for (size_t k = 0; k < s->n; k++)
			job->e[job->n_entries++] =
				(struct entry){s->shares[k].key, s->shares[k].share, (uint32_t)i};
		job->weight += s->weight;
		if (s->weight > job->heaviest)
			job->heaviest = s->weight;
	}
	if (job->n_entries != 0)
		qsort(job->e, job->n_entries, sizeof *job->e, cmp_entry);
}

int pgo_outlier_overlaps(struct pgo_subject *s, size_t n)
{
	struct job job = {.s = s, .n = n};
	size_t room = 0;
	int rc = -1;

	for (size_t i = 0; i < n; i++)
		room += s[i].n;
	job.e = pgo_calloc(room, sizeof *job.e);
	job.sum = pgo_calloc(n, sizeof *job.sum);
	job.rank = pgo_calloc(n, sizeof *job.rank);
	job.medians = pgo_calloc(n, sizeof *job.medians);
	job.common = pgo_calloc(n, sizeof *job.common);
	if (job.e == NULL || job.sum == NULL || job.rank == NULL || job.medians == NULL ||
		job.common == NULL)
		goto out;
	list_entries(&job);
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0, end; i < job.n_entries; i = end) {
			end = run_end(&job, i);
			visit(&job, job.e + i, end - i, pass != 0);
		}
	for (size_t i = 0; i < n; i++)
		s[i].overlap = job.common[i];
	rc = 0;
out:
	pgo_free(job.e);
	pgo_free(job.sum);
	pgo_free(job.rank);
	pgo_free(job.medians);
	pgo_free(job.common);
	return rc;
}

/* ---------------------------------------------------------------- the limit */

struct point {
	double value;
	uint64_t weight;
};

static int cmp_point(const void *pa, const void *pb)
{
	const struct point *a = pa, *b = pb;

	return (a->value > b->value) - (a->value < b->value);
}

static double median_of(struct point *v, size_t n)
{
	uint64_t all = 0, below = 0;

	qsort(v, n, sizeof *v, cmp_point);
	for (size_t i = 0; i < n; i++)
		all += v[i].weight;
	for (size_t i = 0; i < n; i++) {
		below += v[i].weight;
		if (2 * below >= all)
			return v[i].value;
	}
	return 0;
}

int pgo_outlier_limit(const struct pgo_subject *s, size_t n, double *ret)
{
	struct point *v = pgo_calloc(n, sizeof *v);
	double median, mad;

	if (v == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		v[i] = (struct point){s[i].overlap, s[i].weight};
	median = n != 0 ? median_of(v, n) : 0;
	for (size_t i = 0; i < n; i++)
		v[i].value = v[i].value > median ? v[i].value - median : median - v[i].value;
	mad = n != 0 ? median_of(v, n) : 0;
	pgo_free(v);
	*ret = median - PGO_OUTLIER_MADS * mad;
	if (*ret > PGO_OUTLIER_OVERLAP)
		*ret = PGO_OUTLIER_OVERLAP;
	return 0;
}
