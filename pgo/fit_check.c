/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/fit_check.h"

#include "pgo/core/alloc.h"
#include "pgo/core/opt.h"

#include <inttypes.h>

struct check {
	const struct pgo_fit_inputs *in;
	struct pgo_gates *gates;
};

/* ---- what was merged */

static int check_hosts(struct check *k, struct pgo_err *err)
{
	const struct pgo_plan *p = k->in->plan;
	int rc;

	if (p == NULL || p->n_hosts == 0) {
		const char *why = p == NULL ? "it is not known what was merged"
					    : "the profiles do not say which hosts they are from";

		rc = pgo_gates_skip(k->gates, "hosts", err, "%s", why);
		return rc < 0 ? rc : pgo_gates_skip(k->gates, "dominance", err, "%s", why);
	}
	rc = pgo_gates_measure(k->gates, k->in->limits, "hosts", p->effective_hosts, err,
		"%zu hosts are as good as %.1f equal ones", p->n_hosts, p->effective_hosts);
	if (rc < 0)
		return rc;
	return pgo_gates_measure(k->gates, k->in->limits, "dominance", p->dominance * 100, err,
		"the largest host has %.1f %% of the weighted mass", p->dominance * 100);
}

static int64_t newest_of(const struct pgo_plan *p)
{
	int64_t newest = 0;

	for (size_t i = 0; i < p->n; i++)
		if (p->inputs[i].drop == PGO_PLAN_KEPT && !p->inputs[i].blend &&
			p->inputs[i].time_ns > newest)
			newest = p->inputs[i].time_ns;
	return newest;
}

static int check_times(struct check *k, struct pgo_err *err)
{
	const struct pgo_plan *p = k->in->plan;
	int64_t newest = k->in->newest_ns, now = k->in->now_ns != 0 ? k->in->now_ns : pgo_now();
	double days;
	int rc;

	if (p == NULL || p->n_days == 0)
		rc = pgo_gates_skip(k->gates, "days", err, "%s",
			p == NULL ? "it is not known what was merged"
				  : "the profiles do not say when they were taken");
	else
		rc = pgo_gates_measure(k->gates, k->in->limits, "days", (double)p->n_days, err,
			"it is from %zu different days", p->n_days);
	if (rc < 0)
		return rc;
	if (newest == 0 && p != NULL)
		newest = newest_of(p);
	if (newest == 0)
		return pgo_gates_skip(
			k->gates, "freshness", err, "the profile does not say when it was taken");
	days = (double)(now - newest) / 86400e9;
	/* A clock that is behind the hosts' makes nothing stale. */
	return pgo_gates_measure(k->gates, k->in->limits, "freshness", days > 0 ? days : 0, err,
		"the newest of it was taken %.1f days ago", days > 0 ? days : 0);
}

/* ---- how it was converted */

static double share(uint64_t part, uint64_t whole)
{
	return whole != 0 ? 100.0 * (double)part / (double)whole : 0;
}

static int check_account(struct check *k, struct pgo_err *err)
{
	const struct pgo_account *a = k->in->account;
	uint64_t bogus = a->ranges_backward + a->ranges_too_long + a->ranges_cross_function +
			 a->ranges_cross_jump + a->ranges_misaligned;
	int rc = pgo_gates_measure(k->gates, k->in->limits, "mapped", a->mapped_share * 100, err,
		"%.2f %% of the counts belong to the program%s", a->mapped_share * 100,
		a->n_missing_all != 0 ? "; the account names the others" : "");

	if (rc == 0 && a->lbr && a->ranges_read != 0)
		rc = pgo_gates_measure(k->gates, k->in->limits, "bogus",
			share(bogus, a->ranges_read), err,
			"%.2f %% of the ranges between branches cannot have run in this program",
			share(bogus, a->ranges_read));
	else if (rc == 0)
		rc = pgo_gates_skip(k->gates, "bogus", err, "there are no branch records");
	if (rc == 0)
		rc = pgo_gates_measure(k->gates, k->in->limits, "density", a->density, err,
			"hot code was seen %.1f times over; more samples make it denser",
			a->density);
	if (rc == 0 && pgo_trim_cut(&a->trim) != 0)
		rc = pgo_gates_measure(k->gates, k->in->limits, "trimmed",
			share(pgo_trim_cut(&a->trim), a->trim.counts), err,
			"%.2f %% of the counts were left out on request",
			share(pgo_trim_cut(&a->trim), a->trim.counts));
	return rc;
}

/* ---- all of it */

struct pgo_fit_file *pgo_fit_files_of(const struct pgo_outputs *outputs)
{
	struct pgo_fit_file *f = pgo_calloc(outputs->n + 1, sizeof *f);

	for (size_t i = 0; i < outputs->n && f != NULL; i++)
		f[i] = (struct pgo_fit_file){.kind = outputs->of[i].kind,
			.name = outputs->of[i].name,
			.data = outputs->of[i].data.data,
			.len = outputs->of[i].data.len};
	return f;
}

int pgo_fit_check(const struct pgo_fit_inputs *in, struct pgo_gates *ret, struct pgo_err *err)
{
	struct check k = {.in = in, .gates = ret};
	int rc = 0;

	if (in->account != NULL)
		rc = check_account(&k, err);
	if (rc == 0)
		rc = check_hosts(&k, err);
	if (rc == 0)
		rc = check_times(&k, err);
	return rc;
}
