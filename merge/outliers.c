/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/outliers.h"

#include "merge/shares.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_ONE ((double)(1 << 20))

/* An input on its way to being judged. */
struct judged {
	struct pgo_plan_input *in;
	bool small;
	size_t subject; /* of its kind */
};

/* A subject's own memory, if it stands for several. */
struct pool {
	struct pgo_plan_share *shares;
	const char *host;
	double age_factor;
	uint64_t samples;
};

struct kind {
	struct judged *j; /* of one kind, the small ones of a host side by side */
	size_t n, n_subjects;
	struct pgo_subject *subjects;
	struct pool *pools; /* per subject */
};

/* ---------------------------------------------------------------- order */

static int cmp_kind(const struct pgo_plan_input *a, const struct pgo_plan_input *b)
{
	int c = strcmp(a->unit, b->unit);

	if (c == 0)
		c = strcmp(a->class, b->class);
	if (c == 0)
		c = strcmp(a->service, b->service);
	if (c == 0)
		c = (int)a->by_address - (int)b->by_address;
	if (c == 0 && a->by_address)
		c = strcmp(a->build_id, b->build_id);
	return c;
}

static int cmp_judged(const void *pa, const void *pb)
{
	const struct judged *a = pa, *b = pb;
	int c = cmp_kind(a->in, b->in);

	if (c == 0)
		c = (int)a->small - (int)b->small;
	if (c == 0)
		c = strcmp(a->in->host, b->in->host);
	/* Inputs lie in the order of their content. */
	return c != 0 ? c : (a->in > b->in) - (a->in < b->in);
}

static uint64_t least(const struct pgo_plan *p)
{
	return p->options.min_samples != 0 ? p->options.min_samples : PGO_PLAN_MIN_SAMPLES;
}

/* ---------------------------------------------------------------- small ones together */

struct part {
	uint32_t key;
	double mass;
};

static int cmp_part(const void *pa, const void *pb)
{
	const struct part *a = pa, *b = pb;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return (a->mass > b->mass) - (a->mass < b->mass);
}

/* Each weighs by its samples. */
static int pool_shares(
	const struct judged *j, size_t n, uint64_t samples, struct pool *ret, struct pgo_subject *s)
{
	struct part *part;
	size_t room = 0, k = 0, out = 0;

	for (size_t i = 0; i < n; i++)
		room += j[i].in->n_shares;
	part = pgo_calloc(room, sizeof *part);
	ret->shares = pgo_calloc(room, sizeof *ret->shares);
	if (part == NULL || ret->shares == NULL) {
		pgo_free(part);
		return -1;
	}
	for (size_t i = 0; i < n; i++)
		for (size_t f = 0; f < j[i].in->n_shares; f++)
			part[k++] = (struct part){j[i].in->shares[f].key,
				(double)j[i].in->shares[f].share * (double)j[i].in->n_counted};
	if (k != 0)
		qsort(part, k, sizeof *part, cmp_part);
	for (size_t i = 0; i < k;) {
		uint32_t key = part[i].key;
		double sum = 0;

		for (; i < k && part[i].key == key; i++)
			sum += part[i].mass;
		ret->shares[out++] = (struct pgo_plan_share){
			key, (uint32_t)(sum / (double)(samples != 0 ? samples : 1))};
	}
	pgo_free(part);
	s->shares = ret->shares;
	s->n = out;
	return 0;
}

/* One subject of the inputs [first, first + n). */
static int add_subject(struct kind *k, size_t first, size_t n)
{
	struct judged *j = k->j + first;
	struct pgo_subject *s = &k->subjects[k->n_subjects];
	struct pool *pool = &k->pools[k->n_subjects];

	for (size_t i = 0; i < n; i++) {
		j[i].subject = k->n_subjects;
		pool->samples += j[i].in->n_counted;
		if (j[i].in->age_factor > pool->age_factor)
			pool->age_factor = j[i].in->age_factor;
	}
	pool->host = j->in->host;
	k->n_subjects++;
	if (n > 1)
		return pool_shares(j, n, pool->samples, pool, s);
	s->shares = j->in->shares;
	s->n = j->in->n_shares;
	return 0;
}

static int make_subjects(struct kind *k)
{
	for (size_t i = 0, end; i < k->n; i = end) {
		end = i + 1;
		while (k->j[i].small && end < k->n &&
			strcmp(k->j[i].in->host, k->j[end].in->host) == 0)
			end++;
		if (add_subject(k, i, end - i) < 0)
			return -1;
	}
	return 0;
}

/* Subjects that are too small even together do not take part. */
static void drop_few(struct kind *k, uint64_t min)
{
	for (size_t i = 0; i < k->n; i++)
		if (k->pools[k->j[i].subject].samples < min)
			k->j[i].in->drop = PGO_PLAN_FEW_SAMPLES;
}

/* ---------------------------------------------------------------- judging */

struct host_sum {
	const char *host;
	double sum;
};

static int cmp_host(const void *pa, const void *pb)
{
	return strcmp(((const struct host_sum *)pa)->host, ((const struct host_sum *)pb)->host);
}

/* The profiles of a host share one weight, in proportion to their age factors. */
static int weigh_subjects(struct kind *k, uint64_t min)
{
	struct host_sum *h = pgo_calloc(k->n_subjects, sizeof *h), key, *found;
	size_t n = 0;

	if (h == NULL)
		return -1;
	for (size_t i = 0; i < k->n_subjects; i++)
		h[i] = (struct host_sum){k->pools[i].host, 0};
	qsort(h, k->n_subjects, sizeof *h, cmp_host);
	for (size_t i = 0; i < k->n_subjects; i++)
		if (n == 0 || cmp_host(&h[n - 1], &h[i]) != 0)
			h[n++] = h[i];
	for (int set = 0; set < 2; set++)
		for (size_t i = 0; i < k->n_subjects; i++) {
			const struct pool *pool = &k->pools[i];
			double sum;

			key = (struct host_sum){pool->host, 0};
			found = bsearch(&key, h, n, sizeof *h, cmp_host);
			if (set == 0)
				found->sum += pool->samples >= min ? pool->age_factor : 0;
			sum = pool->host[0] != '\0' ? found->sum : pool->age_factor;
			if (set != 0 && pool->samples >= min && sum > 0)
				k->subjects[i].weight =
					(uint64_t)(WEIGHT_ONE * pool->age_factor / sum) | 1;
		}
	pgo_free(h);
	return 0;
}

/* Those with a weight to the front; `*ret_at` says where each of them was. */
static size_t select_weighty(struct kind *k, struct pgo_subject *s, size_t *at)
{
	size_t n = 0;

	for (size_t i = 0; i < k->n_subjects; i++) {
		if (k->subjects[i].weight == 0)
			continue;
		at[n] = i;
		s[n++] = k->subjects[i];
	}
	return n;
}

static int judge_subjects(struct kind *k, double *limit)
{
	struct pgo_subject *s = pgo_calloc(k->n_subjects, sizeof *s);
	size_t *at = pgo_calloc(k->n_subjects, sizeof *at);
	int rc = s != NULL && at != NULL ? 0 : -1;
	size_t n = rc == 0 ? select_weighty(k, s, at) : 0;

	for (size_t i = 0; i < k->n_subjects; i++)
		k->subjects[i].overlap = -1;
	*limit = -1;
	if (rc == 0 && n >= PGO_OUTLIER_FEW) {
		rc = pgo_outlier_overlaps(s, n);
		if (rc == 0)
			rc = pgo_outlier_limit(s, n, limit);
		for (size_t i = 0; i < n && rc == 0; i++)
			k->subjects[at[i]].overlap = s[i].overlap;
	}
	pgo_free(s);
	pgo_free(at);
	return rc;
}

static void drop_unlike(struct kind *k, double limit)
{
	for (size_t i = 0; i < k->n; i++) {
		struct pgo_plan_input *in = k->j[i].in;

		in->overlap = k->subjects[k->j[i].subject].overlap;
		if (in->drop == PGO_PLAN_KEPT && in->overlap >= 0 && in->overlap < limit)
			in->drop = PGO_PLAN_OUTLIER;
	}
}

static int judge_kind(struct judged *j, size_t n, uint64_t min)
{
	struct kind k = {.j = j, .n = n};
	double limit;
	int rc = -1;

	k.subjects = pgo_calloc(n, sizeof *k.subjects);
	k.pools = pgo_calloc(n, sizeof *k.pools);
	if (k.subjects != NULL && k.pools != NULL)
		rc = make_subjects(&k);
	if (rc == 0) {
		drop_few(&k, min);
		rc = weigh_subjects(&k, min);
	}
	if (rc == 0)
		rc = judge_subjects(&k, &limit);
	if (rc == 0)
		drop_unlike(&k, limit);
	for (size_t i = 0; k.pools != NULL && i < n; i++)
		pgo_free(k.pools[i].shares);
	pgo_free(k.subjects);
	pgo_free(k.pools);
	return rc;
}

/* ---------------------------------------------------------------- all inputs */

/* The largest share of the mass of a unit that inputs dropped from `least` to `most` have.  `mass`:
 * of each input, before any was dropped. */
static double share_of_drops(const struct pgo_plan *p, const double *mass, struct judged *by_unit,
	size_t n, enum pgo_plan_drop from, enum pgo_plan_drop to, const char **ret_unit)
{
	double largest = 0;

	for (size_t i = 0; i < n;) {
		const char *unit = by_unit[i].in->unit;
		double all = 0, gone = 0;

		for (; i < n && strcmp(by_unit[i].in->unit, unit) == 0; i++) {
			const struct pgo_plan_input *in = by_unit[i].in;
			double m = mass[in - p->inputs];

			all += m;
			gone += in->drop >= from && in->drop <= to ? m : 0;
		}
		if (gone / all <= largest)
			continue;
		largest = gone / all;
		*ret_unit = unit;
	}
	return largest;
}

/* Thin profiles are left out as noise among others, not where they are the fleet. */
static void spare_few(struct pgo_plan *p, double share)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		if (p->inputs[i].drop != PGO_PLAN_FEW_SAMPLES)
			continue;
		p->inputs[i].drop = PGO_PLAN_KEPT;
		n++;
	}
	pgo_warn("%zu of %zu profiles have fewer than %" PRIu64 " samples even with the others of "
		 "their host, and %.1f %% of the mass: they stay, and nobody can tell whether they "
		 "are like the others",
		n, p->n, least(p), share * 100);
}

static int measure_share(struct pgo_plan *p, const double *mass, const char **ret_unit)
{
	struct judged *j = pgo_calloc(p->n, sizeof *j);
	size_t n = 0;
	double few;

	if (j == NULL)
		return -1;
	for (size_t i = 0; i < p->n; i++)
		if (mass[i] > 0)
			j[n++].in = &p->inputs[i];
	if (n != 0)
		qsort(j, n, sizeof *j, cmp_judged);
	few = share_of_drops(p, mass, j, n, PGO_PLAN_FEW_SAMPLES, PGO_PLAN_FEW_SAMPLES, ret_unit);
	if (few > PGO_OUTLIER_MASS)
		spare_few(p, few);
	p->outlier_share =
		share_of_drops(p, mass, j, n, PGO_PLAN_FEW_SAMPLES, PGO_PLAN_OUTLIER, ret_unit);
	pgo_free(j);
	return 0;
}

static int judge(struct pgo_plan *p)
{
	struct judged *j = pgo_calloc(p->n, sizeof *j);
	size_t n = 0;
	int rc = 0;

	if (j == NULL)
		return -1;
	for (size_t i = 0; i < p->n; i++) {
		struct pgo_plan_input *in = &p->inputs[i];

		if (in->drop != PGO_PLAN_KEPT || in->blend)
			continue;
		if (in->mapped >= 0 && in->mapped < PGO_OUTLIER_MAPPED)
			in->drop = PGO_PLAN_UNMAPPED;
		else
			j[n++] = (struct judged){in, in->n_counted < least(p), 0};
	}
	if (n != 0)
		qsort(j, n, sizeof *j, cmp_judged);
	for (size_t i = 0, end; i < n && rc == 0; i = end) {
		end = i;
		while (end < n && cmp_kind(j[i].in, j[end].in) == 0)
			end++;
		rc = judge_kind(j + i, end - i, least(p));
	}
	pgo_free(j);
	return rc;
}

static int tell(const struct pgo_plan *p, const char *unit, struct pgo_err *err)
{
	const struct pgo_plan_input *example = NULL;
	double share = p->outlier_share * 100;
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		if (p->inputs[i].drop < PGO_PLAN_FEW_SAMPLES)
			continue;
		example = &p->inputs[i];
		n++;
	}
	if (n == 0)
		return 0;
	if (p->outlier_share > PGO_OUTLIER_MASS && !p->options.allow_outliers)
		return pgo_err_set(err, PGO_EGATE,
			"%zu of %zu profiles would be left out as outliers, with %.1f %% of the "
			"mass of %s (%s for one: %s); that is more than the 10 %% that may go "
			"without being asked for: look at them with --explain, then choose other "
			"profiles or allow it with --allow-outliers",
			n, p->n, share, unit, example->name, pgo_plan_drop_name(example->drop));
	pgo_warn("%zu of %zu profiles are left out as outliers, with %.2f %% of the mass (%s for "
		 "one: %s)",
		n, p->n, share, example->name, pgo_plan_drop_name(example->drop));
	return 0;
}

int pgo_plan_drop_outliers(struct pgo_plan *p, struct pgo_err *err)
{
	double *mass = pgo_calloc(p->n, sizeof *mass);
	const char *unit = "";
	int rc = mass != NULL ? 0 : -1;

	for (size_t i = 0; i < p->n && rc == 0; i++)
		mass[i] = p->inputs[i].blend ? 0 : pgo_plan_mass(&p->inputs[i]);
	if (rc == 0)
		rc = judge(p);
	if (rc == 0)
		rc = measure_share(p, mass, &unit);
	rc = rc < 0 ? pgo_err_nomem(err) : tell(p, unit, err);
	pgo_free(mass);
	return rc;
}
