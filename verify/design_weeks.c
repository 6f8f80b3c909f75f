/* SPDX-License-Identifier: Apache-2.0 */
/* Before against after at different times: whole weeks, and the hours of them. */
#include "verify/design_impl.h"

#include "pgo/core/alloc.h"

#include <math.h>
#include <string.h>

#define NS_AN_HOUR ((int64_t)3600 * 1000000000)
#define HOURS 168
#define DAYS 7
/* Replicates that a cell should have on each side, on average, to be told from noise. */
#define CELL_REPS 4

struct strata {
	size_t n_cells;
	int64_t cell_ns, offset_ns; /* 1970 began on a Thursday: any week will do */
	struct cell {
		double cost[2], work[2];
		size_t n[2];
	} cell[HOURS];
};

static size_t cell_of(const struct strata *s, const struct pgo_cost_rep *r)
{
	int64_t middle =
		r->start_ns + (r->end_ns > r->start_ns ? (r->end_ns - r->start_ns) / 2 : 0);
	int64_t k = middle / s->cell_ns - (middle % s->cell_ns < 0);

	return (size_t)(((k % (int64_t)s->n_cells) + (int64_t)s->n_cells) % (int64_t)s->n_cells);
}

/* Only whole weeks of a side that has one at least: its last ones. */
static size_t trim(struct pgo_design *d, const struct pgo_costs *c, const struct pgo_facts *f)
{
	size_t dropped = 0;

	for (size_t i = 0; i < c->n_reps; i++) {
		const struct pgo_cost_rep *r = &c->reps[i];
		int64_t span = f->last_day[r->after] - f->first_day[r->after] + 1;

		if (d->unit_of[i] == PGO_NONE || span < DAYS || span % DAYS == 0)
			continue;
		if (pgo_cost_rep_day(r) < f->first_day[r->after] + span % DAYS) {
			d->unit_of[i] = PGO_NONE;
			dropped++;
		}
	}
	return dropped;
}

static void fill(
	struct strata *s, const struct pgo_design *d, const struct pgo_costs *c, const double *work)
{
	memset(s->cell, 0, sizeof s->cell);
	for (size_t i = 0; i < c->n_reps; i++) {
		const struct pgo_cost_rep *r = &c->reps[i];
		struct cell *cell = &s->cell[cell_of(s, r)];

		if (d->unit_of[i] == PGO_NONE)
			continue;
		cell->cost[r->after] += r->total;
		cell->work[r->after] += work[i];
		cell->n[r->after]++;
	}
}

/* Enough in common, and enough in each? */
static bool thick(const struct strata *s)
{
	size_t n[2] = {0}, common[2] = {0}, cells = 0;

	for (size_t k = 0; k < s->n_cells; k++) {
		const struct cell *c = &s->cell[k];
		bool both = c->n[0] > 0 && c->n[1] > 0;

		cells += both;
		for (int side = 0; side < 2; side++) {
			n[side] += c->n[side];
			common[side] += both ? c->n[side] : 0;
		}
	}
	return cells > 1 && common[0] >= CELL_REPS * cells && common[1] >= CELL_REPS * cells &&
	       10 * common[0] >= 9 * n[0] && 10 * common[1] >= 9 * n[1];
}

/* How expensive a unit of work is in this cell, relative to all common ones, on both sides. */
static void level(struct strata *s, double *ret)
{
	double cost[2] = {0}, work[2] = {0};

	for (size_t k = 0; k < s->n_cells; k++)
		for (int side = 0; side < 2; side++)
			if (s->cell[k].n[0] > 0 && s->cell[k].n[1] > 0) {
				cost[side] += s->cell[k].cost[side];
				work[side] += s->cell[k].work[side];
			}
	for (size_t k = 0; k < s->n_cells; k++) {
		const struct cell *c = &s->cell[k];

		ret[k] = c->n[0] == 0 || c->n[1] == 0
				 ? 0
				 : sqrt(c->cost[0] / c->work[0] * (work[0] / cost[0]) *
					   (c->cost[1] / c->work[1] * (work[1] / cost[1])));
	}
}

/* Work in expensive hours counts for more; what has no counterpart is dropped. */
static size_t adjust(
	struct pgo_design *d, const struct pgo_costs *c, struct strata *s, double *work)
{
	double factor[HOURS];
	size_t dropped = 0;

	level(s, factor);
	for (size_t i = 0; i < c->n_reps; i++) {
		double by = factor[cell_of(s, &c->reps[i])];

		if (d->unit_of[i] == PGO_NONE)
			continue;
		work[i] *= by;
		if (!(by > 0)) {
			d->unit_of[i] = PGO_NONE;
			dropped++;
		}
	}
	return dropped;
}

int pgo_design_weeks(struct pgo_design *d, const struct pgo_costs *c, const struct pgo_facts *f,
	double *work, struct pgo_verdict_design *say, struct pgo_err *err)
{
	struct strata *s = pgo_malloc(sizeof *s);
	bool weeks = f->last_day[0] - f->first_day[0] + 1 >= DAYS &&
		     f->last_day[1] - f->first_day[1] + 1 >= DAYS;
	size_t trimmed = weeks ? trim(d, c, f) : 0, dropped = 0;
	int rc = 0;

	if (s == NULL)
		return pgo_err_nomem(err);
	if (trimmed > 0)
		rc = pgo_design_note(
			say, err, "%zu profiles outside of whole weeks are left out", trimmed);
	if (!weeks && rc == 0)
		rc = pgo_design_note(say, err,
			"a side covers less than a week: weekdays may differ between the sides");
	for (int k = 0; k < 2 && d->by != PGO_PER_SHARE && rc == 0; k++) {
		s->n_cells = k == 0 ? HOURS : DAYS;
		s->cell_ns = k == 0 ? NS_AN_HOUR : 24 * NS_AN_HOUR;
		fill(s, d, c, work);
		if (!thick(s))
			continue;
		dropped = adjust(d, c, s, work);
		rc = pgo_design_note(say, err,
			"work is weighted by the cost of its %s on both sides%s",
			k == 0 ? "hour of the week" : "weekday",
			dropped > 0 ? "; profiles of hours that only one side has are left out"
				    : "");
		break;
	}
	pgo_free(s);
	return rc;
}

int pgo_design_remarks(const struct pgo_design *d, const struct pgo_facts *f,
	struct pgo_verdict_design *say, struct pgo_err *err)
{
	int rc = 0;

	if (d->by == PGO_PER_SHARE)
		rc = pgo_design_note(say, err,
			"compared as shares of the total: what stays the same grows in share when "
			"the "
			"rest gets faster, and the whole cannot be compared; give --work, "
			"--work-label, "
			"--control or --same-work");
	if (rc == 0 && d->by == PGO_PER_CONTROL)
		rc = pgo_design_note(say, err,
			"there are no units of work: costs are relative to functions that were not "
			"rebuilt, as if these cost the same before and after");
	if (rc == 0 && d->kind == PGO_DESIGN_BEFORE_AFTER)
		rc = pgo_design_note(say, err,
			"not causal: the sides are of different times, and whatever else "
			"changed between them counts as change");
	if (rc == 0 && d->kind == PGO_DESIGN_PAIRED && f->timed && !f->concurrent)
		rc = pgo_design_note(say, err,
			"the sides are the same hosts at different times: what changed with time "
			"alone "
			"counts as change; --control-before and --control-after would tell");
	if (rc == 0 && d->kind == PGO_DESIGN_COUNTS)
		rc = pgo_design_note(say, err,
			"one profile on a side: intervals come from numbers of samples, "
			"which "
			"say nothing of how hosts differ; give several hosts a side");
	if (rc == 0 && d->replicate == PGO_REPLICATE_HOST_DAY && d->kind != PGO_DESIGN_COUNTS)
		rc = pgo_design_note(say, err,
			"fewer than 8 hosts: a day of a host is a replicate, and the verdict is "
			"about "
			"these hosts");
	if (rc == 0 && d->replicate == PGO_REPLICATE_PROFILE && d->kind != PGO_DESIGN_COUNTS)
		rc = pgo_design_note(say, err,
			f->hosts[0] + f->hosts[1] > 0
				? "one host on a side: every profile is a replicate, and the "
				  "verdict is about this host"
				: "no hosts are known: every profile is a replicate");
	if (rc == 0 && d->kind == PGO_DESIGN_PAIRED && f->hosts[0] + f->hosts[1] > 2 * f->both)
		rc = pgo_design_note(say, err, "%zu hosts are on one side only and are left out",
			f->hosts[0] + f->hosts[1] - 2 * f->both);
	if (rc == 0 && f->unknown > 0 && d->replicate != PGO_REPLICATE_PROFILE)
		rc = pgo_design_note(say, err,
			"%zu profiles do not tell their host; each counts as a host of its own",
			f->unknown);
	return rc;
}
