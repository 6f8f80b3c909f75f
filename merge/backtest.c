/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/backtest.h"

#include "merge/shares.h"
#include "merge/weight.h"
#include "pgo/core/alloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_NS ((int64_t)3600 * 1000000000)
#define WEEK_HOURS 168

/* One profile, its functions as dense numbers. */
struct item {
	const struct pgo_plan_input *in;
	uint32_t *function;
	size_t host; /* dense */
	size_t step; /* 0 is the oldest */
};

struct job {
	struct item *item; /* in the order of the plan */
	uint32_t *keys;    /* sorted */
	const char **hosts;
	double *predicted, *actual, *host_mass, *sorted;
	size_t n, n_keys, n_hosts, n_steps;
	int64_t newest, step_ns;
};

/* ---------------------------------------------------------------- the history */

static bool belongs(const struct pgo_plan_input *in, const char *service, const char *unit)
{
	return in->drop == PGO_PLAN_KEPT && in->time_ns > 0 && in->n_shares != 0 && in->mass > 0 &&
	       strcmp(in->service, service) == 0 && (unit == NULL || strcmp(in->unit, unit) == 0);
}

/* The unit that most of them have; of equals the first in byte order. */
static const char *common_unit(const struct pgo_plan *p, const char *service)
{
	const char *best = NULL;
	size_t most = 0;

	for (size_t i = 0; i < p->n; i++) {
		const char *unit = p->inputs[i].unit;
		size_t n = 0;

		if (!belongs(&p->inputs[i], service, NULL) ||
			(best != NULL && strcmp(unit, best) == 0))
			continue;
		for (size_t k = 0; k < p->n; k++)
			n += belongs(&p->inputs[k], service, unit);
		if (n > most || (n == most && strcmp(unit, best) < 0)) {
			best = unit;
			most = n;
		}
		if (2 * most > p->n)
			break;
	}
	return best;
}

static int cmp_u32(const void *pa, const void *pb)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	return (a > b) - (a < b);
}

static int cmp_name(const void *pa, const void *pb)
{
	return strcmp(*(const char *const *)pa, *(const char *const *)pb);
}

static int cmp_double(const void *pa, const void *pb)
{
	double a = *(const double *)pa, b = *(const double *)pb;

	return (a > b) - (a < b);
}

static int list_items(struct job *job, const struct pgo_plan *p, const char *service)
{
	const char *unit = common_unit(p, service);

	job->item = pgo_calloc(p->n, sizeof *job->item);
	if (job->item == NULL)
		return -1;
	for (size_t i = 0; i < p->n && unit != NULL; i++) {
		if (!belongs(&p->inputs[i], service, unit))
			continue;
		job->item[job->n++].in = &p->inputs[i];
		if (p->inputs[i].time_ns > job->newest)
			job->newest = p->inputs[i].time_ns;
	}
	return 0;
}

static int number_functions(struct job *job)
{
	size_t room = 0, n = 0;

	for (size_t i = 0; i < job->n; i++)
		room += job->item[i].in->n_shares;
	job->keys = pgo_calloc(room, sizeof *job->keys);
	if (job->keys == NULL)
		return -1;
	for (size_t i = 0; i < job->n; i++)
		for (size_t k = 0; k < job->item[i].in->n_shares; k++)
			job->keys[n++] = job->item[i].in->shares[k].key;
	if (n != 0)
		qsort(job->keys, n, sizeof *job->keys, cmp_u32);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || job->keys[i] != job->keys[i - 1])
			job->keys[job->n_keys++] = job->keys[i];
	for (size_t i = 0; i < job->n; i++) {
		const struct pgo_plan_input *in = job->item[i].in;

		job->item[i].function = pgo_calloc(in->n_shares, sizeof(uint32_t));
		if (job->item[i].function == NULL)
			return -1;
		for (size_t k = 0; k < in->n_shares; k++)
			job->item[i].function[k] =
				(uint32_t)((const uint32_t *)bsearch(&in->shares[k].key, job->keys,
						   job->n_keys, sizeof *job->keys, cmp_u32) -
					   job->keys);
	}
	return 0;
}

static int number_hosts(struct job *job)
{
	size_t n = 0;

	job->hosts = pgo_calloc(job->n, sizeof *job->hosts);
	if (job->hosts == NULL)
		return -1;
	for (size_t i = 0; i < job->n; i++)
		job->hosts[i] = job->item[i].in->host;
	if (job->n != 0)
		qsort(job->hosts, job->n, sizeof *job->hosts, cmp_name);
	for (size_t i = 0; i < job->n; i++)
		if (i == 0 || strcmp(job->hosts[i], job->hosts[n - 1]) != 0)
			job->hosts[n++] = job->hosts[i];
	job->n_hosts = n;
	for (size_t i = 0; i < job->n; i++)
		job->item[i].host = (size_t)((const char **)bsearch(&job->item[i].in->host,
						     job->hosts, n, sizeof *job->hosts, cmp_name) -
					     job->hosts);
	return 0;
}

/* Steps end at the newest profile; the first may be cut short. */
static void number_steps(struct job *job)
{
	int64_t most = 0;

	for (size_t i = 0; i < job->n; i++) {
		int64_t back = (job->newest - job->item[i].in->time_ns) / job->step_ns;

		if (back > most)
			most = back;
	}
	job->n_steps = (size_t)most + 1;
	for (size_t i = 0; i < job->n; i++)
		job->item[i].step =
			(size_t)(most - (job->newest - job->item[i].in->time_ns) / job->step_ns);
}

/* ---------------------------------------------------------------- one trial */

static double age_factor(
	const struct job *job, const struct pgo_trial *t, const struct item *it, size_t step)
{
	int64_t now = job->newest - (int64_t)(job->n_steps - step) * job->step_ns;

	return pgo_weight_age(now - it->in->time_ns, t->half_life_ns);
}

static size_t hour_of_week(const struct item *it)
{
	return (size_t)(it->in->time_ns / HOUR_NS % WEEK_HOURS);
}

/* Sums over hours of the week of the profiles before `step`; their mean is the return. */
static double sum_hours(const struct job *job, const struct pgo_trial *t, size_t step, double *hour)
{
	double all = 0;
	size_t n = 0;

	memset(hour, 0, WEEK_HOURS * sizeof *hour);
	for (size_t i = 0; i < job->n; i++)
		if (job->item[i].step < step)
			hour[hour_of_week(&job->item[i])] +=
				age_factor(job, t, &job->item[i], step);
	for (size_t h = 0; h < WEEK_HOURS; h++) {
		all += hour[h];
		n += hour[h] > 0;
	}
	return n != 0 ? all / (double)n : 0;
}

/* The caps of all hosts, into host_mass. */
static void cap_hosts(struct job *job, double kappa)
{
	size_t n = 0;
	double median;

	for (size_t h = 0; h < job->n_hosts; h++)
		if (job->host_mass[h] > 0 && job->hosts[h][0] != '\0')
			job->sorted[n++] = job->host_mass[h];
	if (n != 0)
		qsort(job->sorted, n, sizeof *job->sorted, cmp_double);
	median = pgo_weight_median(job->sorted, n);
	for (size_t h = 0; h < job->n_hosts; h++)
		job->host_mass[h] = job->hosts[h][0] != '\0'
					    ? pgo_weight_cap(job->host_mass[h], median, kappa)
					    : 1;
}

static void add_item(double *to, const struct item *it, double weight)
{
	for (size_t k = 0; k < it->in->n_shares; k++)
		to[it->function[k]] += (double)it->in->shares[k].share * weight;
}

static void predict(struct job *job, const struct pgo_trial *t, size_t step)
{
	double hour[WEEK_HOURS], mean = t->season ? sum_hours(job, t, step, hour) : 0;

	memset(job->predicted, 0, job->n_keys * sizeof *job->predicted);
	memset(job->host_mass, 0, job->n_hosts * sizeof *job->host_mass);
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < job->n; i++) {
			const struct item *it = &job->item[i];
			double w;

			if (it->step >= step)
				continue;
			w = it->in->mass * age_factor(job, t, it, step);
			if (t->season)
				w *= pgo_weight_balance(hour[hour_of_week(it)], mean);
			if (pass == 0)
				job->host_mass[it->host] += w;
			else
				add_item(job->predicted, it, w * job->host_mass[it->host]);
		}
		if (pass == 0)
			cap_hosts(job, t->host_cap);
	}
}

static double overlap(const struct job *job)
{
	double a = 0, b = 0, common = 0;

	for (size_t f = 0; f < job->n_keys; f++) {
		a += job->predicted[f];
		b += job->actual[f];
	}
	for (size_t f = 0; f < job->n_keys && a > 0 && b > 0; f++) {
		double p = job->predicted[f] / a, q = job->actual[f] / b;

		common += p < q ? p : q;
	}
	return common;
}

static bool has_step(const struct job *job, size_t from, size_t to)
{
	for (size_t i = 0; i < job->n; i++)
		if (job->item[i].step >= from && job->item[i].step < to)
			return true;
	return false;
}

/* The number of steps that could be predicted. */
static size_t try_all(struct job *job, struct pgo_trial *t, size_t n)
{
	size_t steps = 0;

	for (size_t k = 0; k < n; k++) {
		t[k].overlap = 0;
		t[k].worst = 1;
	}
	for (size_t step = 1; step < job->n_steps; step++) {
		if (!has_step(job, step, step + 1) || !has_step(job, 0, step))
			continue;
		memset(job->actual, 0, job->n_keys * sizeof *job->actual);
		for (size_t i = 0; i < job->n; i++)
			if (job->item[i].step == step)
				add_item(job->actual, &job->item[i], job->item[i].in->mass);
		for (size_t k = 0; k < n; k++) {
			double found;

			predict(job, &t[k], step);
			found = overlap(job);
			t[k].overlap += found;
			if (found < t[k].worst)
				t[k].worst = found;
		}
		steps++;
	}
	for (size_t k = 0; k < n && steps != 0; k++)
		t[k].overlap /= (double)steps;
	return steps;
}

static int allocate(struct job *job)
{
	job->predicted = pgo_calloc(job->n_keys, sizeof *job->predicted);
	job->actual = pgo_calloc(job->n_keys, sizeof *job->actual);
	job->host_mass = pgo_calloc(job->n_hosts, sizeof *job->host_mass);
	job->sorted = pgo_calloc(job->n_hosts, sizeof *job->sorted);
	return job->predicted == NULL || job->actual == NULL || job->host_mass == NULL ||
			       job->sorted == NULL
		       ? -1
		       : 0;
}

static void job_fini(struct job *job)
{
	for (size_t i = 0; job->item != NULL && i < job->n; i++)
		pgo_free(job->item[i].function);
	pgo_free(job->item);
	pgo_free(job->keys);
	pgo_free(job->hosts);
	pgo_free(job->predicted);
	pgo_free(job->actual);
	pgo_free(job->host_mass);
	pgo_free(job->sorted);
}

int pgo_backtest(const struct pgo_plan *p, const char *service, int64_t step_ns,
	struct pgo_trial *t, size_t n, struct pgo_backtest *ret, struct pgo_err *err)
{
	struct job job = {.step_ns = step_ns};
	struct pgo_backtest b = {0};
	int rc = 0;

	if (list_items(&job, p, service) < 0 || number_functions(&job) < 0 ||
		number_hosts(&job) < 0) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	number_steps(&job);
	if (job.n_steps > 10000)
		rc = pgo_err_set(err, PGO_EUSAGE,
			"the profiles of service \"%s\" span %zu steps; use a longer --step",
			service, job.n_steps);
	else if (allocate(&job) < 0)
		rc = pgo_err_nomem(err);
	if (rc < 0)
		goto out;
	b.n_steps = try_all(&job, t, n);
	if (b.n_steps == 0) {
		rc = pgo_err_set(err, PGO_EEMPTY,
			"%zu profiles of service \"%s\" have a time and functions; at least two "
			"steps of %.1f days are needed, one to predict from and one to compare "
			"with: give a longer history or a shorter --step",
			job.n, service, (double)step_ns / 86400e9);
		goto out;
	}
	for (size_t k = 1; k < n; k++)
		if (t[k].overlap > t[b.best].overlap)
			b.best = k;
	*ret = b;
out:
	job_fini(&job);
	return rc;
}
