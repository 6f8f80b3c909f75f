/* SPDX-License-Identifier: Apache-2.0 */
/* The terms of a weight that compare inputs: season, build, host, class. */
#include "merge/plan.h"
#include "merge/weight.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"

#include <stdlib.h>
#include <string.h>

#define HOUR_NS ((int64_t)3600 * 1000000000)
#define WEEK_HOURS 168
#define NEAR_CAP 0.75

/* ---------------------------------------------------------------- sums */

static int cmp_sum(const void *pa, const void *pb)
{
	const struct pgo_plan_sum *a = pa, *b = pb;
	int c = strcmp(a->unit, b->unit);

	return c != 0 ? c : strcmp(a->name, b->name);
}

struct pgo_plan_sum *pgo_plan_sum_of(
	struct pgo_plan_sum *s, size_t n, const char *unit, const char *name)
{
	const struct pgo_plan_sum key = {.unit = unit, .name = name};

	return n != 0 ? bsearch(&key, s, n, sizeof *s, cmp_sum) : NULL;
}

static bool counts(const struct pgo_plan_input *in)
{
	return in->drop == PGO_PLAN_KEPT && !in->blend;
}

static const char *name_of(const struct pgo_plan_input *in, bool hosts)
{
	return hosts ? in->host : in->class;
}

/* Masses are added in the order of the inputs, which is that of their content, so that the last bit
 * is everywhere the same. */
struct pgo_plan_sum *pgo_plan_sums(const struct pgo_plan *p, bool hosts, size_t *ret_n)
{
	struct pgo_plan_sum *s = pgo_calloc(p->n, sizeof *s), *found;
	size_t n = 0, distinct = 0;

	if (s == NULL)
		return NULL;
	for (size_t i = 0; i < p->n; i++)
		if (counts(&p->inputs[i]))
			s[n++] = (struct pgo_plan_sum){
				.unit = p->inputs[i].unit, .name = name_of(&p->inputs[i], hosts)};
	if (n != 0)
		qsort(s, n, sizeof *s, cmp_sum);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || cmp_sum(&s[i], &s[distinct - 1]) != 0)
			s[distinct++] = s[i];
	for (size_t i = 0; i < p->n; i++) {
		const struct pgo_plan_input *in = &p->inputs[i];

		if (!counts(in))
			continue;
		found = pgo_plan_sum_of(s, distinct, in->unit, name_of(in, hosts));
		found->mass += pgo_plan_mass(in);
		found->profiles++;
	}
	*ret_n = distinct;
	return s;
}

/* The end of the run of one unit that begins at `i`. */
static size_t unit_end(const struct pgo_plan_sum *s, size_t n, size_t i)
{
	size_t end = i;

	while (end < n && strcmp(s[end].unit, s[i].unit) == 0)
		end++;
	return end;
}

/* ---------------------------------------------------------------- build */

/* Where nothing is known of another build, it counts: what cannot be used is counted later, by
 * name, and a wrong guess here would be silent. */
void pgo_plan_weigh_builds(struct pgo_plan *p)
{
	for (size_t i = 0; i < p->n && p->options.target != NULL; i++) {
		struct pgo_plan_input *in = &p->inputs[i];

		if (in->survival >= 0)
			in->build_factor = in->survival;
		if (in->drop == PGO_PLAN_KEPT && !(in->build_factor > 0))
			in->drop = PGO_PLAN_OTHER_BUILD;
	}
}

/* ---------------------------------------------------------------- season */

static size_t hour_of_week(const struct pgo_plan_input *in)
{
	return (size_t)(in->time_ns / HOUR_NS % WEEK_HOURS);
}

static bool has_hour(const struct pgo_plan_input *in, const char *unit)
{
	return counts(in) && in->time_ns > 0 && strcmp(in->unit, unit) == 0;
}

/* Each hour of the week shall count alike, as far as a factor of 3 goes. */
static void balance_unit(struct pgo_plan *p, const char *unit)
{
	double sum[WEEK_HOURS] = {0}, all = 0;
	size_t hours = 0;

	for (size_t i = 0; i < p->n; i++)
		if (has_hour(&p->inputs[i], unit))
			sum[hour_of_week(&p->inputs[i])] += p->inputs[i].age_factor;
	for (size_t h = 0; h < WEEK_HOURS; h++) {
		all += sum[h];
		hours += sum[h] > 0;
	}
	for (size_t i = 0; i < p->n; i++) {
		struct pgo_plan_input *in = &p->inputs[i];

		if (has_hour(in, unit) && sum[hour_of_week(in)] > 0)
			in->season_factor =
				pgo_weight_balance(sum[hour_of_week(in)], all / (double)hours);
	}
}

int pgo_plan_weigh_season(struct pgo_plan *p)
{
	struct pgo_plan_sum *s;
	size_t n;

	if (!p->options.season)
		return 0;
	s = pgo_plan_sums(p, true, &n);
	if (s == NULL)
		return -1;
	for (size_t i = 0; i < n; i = unit_end(s, n, i))
		balance_unit(p, s[i].unit);
	pgo_free(s);
	return 0;
}

/* ---------------------------------------------------------------- hosts */

static int cmp_double(const void *pa, const void *pb)
{
	double a = *(const double *)pa, b = *(const double *)pb;

	return (a > b) - (a < b);
}

/* The median host of the unit; those without a name are no host unless all count alike. */
static double median_of(const struct pgo_plan_sum *s, size_t i, size_t end, bool all, double *room)
{
	size_t k = 0;

	for (; i < end; i++)
		if (all || s[i].name[0] != '\0')
			room[k++] = s[i].mass;
	if (k != 0)
		qsort(room, k, sizeof *room, cmp_double);
	return pgo_weight_median(room, k);
}

/* Turns each host's mass into its factor; `near`: what has more is near the cap. */
static int weigh_sums(
	const struct pgo_plan_options *o, struct pgo_plan_sum *s, size_t n, bool *near)
{
	bool equal = o->mode == PGO_PLAN_EQUAL_HOST;
	double *room = pgo_calloc(n, sizeof *room);

	if (room == NULL)
		return -1;
	for (size_t i = 0, end; i < n; i = end) {
		double median;

		end = unit_end(s, n, i);
		median = median_of(s, i, end, equal, room);
		for (size_t h = i; h < end; h++) {
			near[h] = s[h].mass > NEAR_CAP * o->host_cap * median;
			if (equal)
				s[h].mass = s[h].mass > 0 && median > 0 ? median / s[h].mass : 1;
			else if (s[h].name[0] != '\0')
				s[h].mass = pgo_weight_cap(s[h].mass, median, o->host_cap);
			else
				s[h].mass = 1;
		}
	}
	pgo_free(room);
	return 0;
}

int pgo_plan_weigh_hosts(struct pgo_plan *p)
{
	const struct pgo_plan_options *o = &p->options;
	struct pgo_plan_sum *s, *own;
	size_t n = 0;
	bool *near;
	int rc;

	if (!(o->host_cap > 0) && o->mode != PGO_PLAN_EQUAL_HOST)
		return 0;
	s = pgo_plan_sums(p, true, &n);
	near = pgo_calloc(n, sizeof *near);
	rc = s != NULL && near != NULL ? weigh_sums(o, s, n, near) : -1;
	for (size_t i = 0; i < p->n && rc == 0; i++) {
		struct pgo_plan_input *in = &p->inputs[i];

		if (!counts(in))
			continue;
		own = pgo_plan_sum_of(s, n, in->unit, in->host);
		in->host_factor = own->mass;
		in->near_cap = near[own - s];
	}
	pgo_free(s);
	pgo_free(near);
	return rc;
}

/* ---------------------------------------------------------------- classes */

static double share_of(const struct pgo_plan_options *o, const char *class)
{
	for (size_t i = 0; i < o->n_classes; i++)
		if (strcmp(o->classes[i].name, class) == 0)
			return o->classes[i].share;
	return 0;
}

/* Turns each class's mass into its factor.  The sum over the unit stays what it was; a class that
 * is missing there leaves its share to the others. */
static void mix_unit(const struct pgo_plan_options *o, struct pgo_plan_sum *s, size_t n)
{
	double all = 0, shares = 0;

	for (size_t i = 0; i < n; i++) {
		all += s[i].mass;
		shares += s[i].mass > 0 ? share_of(o, s[i].name) : 0;
	}
	for (size_t i = 0; i < n; i++)
		s[i].mass = s[i].mass > 0 && shares > 0
				    ? share_of(o, s[i].name) / shares * all / s[i].mass
				    : 1;
}

static void warn_missing(const struct pgo_plan *p, const struct pgo_plan_sum *s, size_t n)
{
	const struct pgo_plan_options *o = &p->options;

	for (size_t k = 0; k < o->n_classes; k++) {
		bool there = false;

		for (size_t i = 0; i < n && !there; i++)
			there = strcmp(s[i].name, o->classes[k].name) == 0;
		if (!there)
			pgo_warn("no profile is of class %s; its share goes to the other classes",
				o->classes[k].name);
	}
	for (size_t i = 0, end; i < n; i = end) {
		end = unit_end(s, n, i);
		if (end - i == 1 && end - i < n)
			pgo_warn("of %s there are profiles of class %s only, which cannot be "
				 "mixed with those of another unit",
				s[i].unit, s[i].name);
	}
}

int pgo_plan_weigh_classes(struct pgo_plan *p)
{
	struct pgo_plan_sum *s;
	size_t n;

	if (p->options.n_classes == 0)
		return 0;
	s = pgo_plan_sums(p, false, &n);
	if (s == NULL)
		return -1;
	warn_missing(p, s, n);
	for (size_t i = 0, end; i < n; i = end) {
		end = unit_end(s, n, i);
		mix_unit(&p->options, s + i, end - i);
	}
	for (size_t i = 0; i < p->n; i++) {
		struct pgo_plan_input *in = &p->inputs[i];

		if (counts(in))
			in->class_factor = pgo_plan_sum_of(s, n, in->unit, in->class)->mass;
	}
	pgo_free(s);
	return 0;
}
