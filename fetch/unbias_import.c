/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rings of a recording -> executions of its traces.
 *
 * Targets are places in files, the same for every process.  Each event is estimated by itself.
 * Events of one kind (cycles of two sorts of cores, in the kernel and outside) have seen different
 * parts of what ran, so their estimates are added.  Events of different kinds (cycles and
 * instructions) have each seen all of it: their estimates are averaged, by how many rings each has.
 * One that knows executions only up to a factor is scaled to the sum of those that know them, or if
 * there are none so that the sum is that of the traces counted.
 */
#include "fetch/import_impl.h"
#include "fetch/unbias.h"
#include "pgo/core/diag.h"
#include "pgo/core/vec.h"

#include <stdio.h>
#include <string.h>

#define PHI_SUSPICIOUS 0.05
#define RINGS_TO_SUSPECT 2000
#define JITTER_MAX 0.15 /* standard deviation of periods, of their mean */
/* So many rings without one that is full: then what the recorder says of their size is not so. */
#define RINGS_TO_KNOW_DEPTH 100

enum kind { KIND_BRANCHES, KIND_INSTRUCTIONS, KIND_CYCLES, KIND_RELATIVE, N_KINDS };

struct estimate {
	struct pgo_imp *imp;
	struct pgo_imported *ret;
	struct pgo_unbias u;
	struct pgo_unbias_trace **traces; /* by group, as u.groups has them */
	uint64_t **sums;                  /* by group: weights of all kinds together */
	struct pgo_imp_lengths lengths;
	uint64_t rings[N_KINDS];
	double weight; /* of the kinds that know executions: their mean */
};

static bool takes_part(const struct pgo_imp_event *e)
{
	return e->wanted && e->n_rings > 0;
}

/* ---------------------------------------------------------------- traces */

static int alloc_groups(struct estimate *es)
{
	size_t n = es->imp->n_groups;

	es->u.groups = pgo_calloc(n, sizeof *es->u.groups);
	es->traces = pgo_calloc(n, sizeof(struct pgo_unbias_trace *));
	es->sums = pgo_calloc(n, sizeof(uint64_t *));
	if (es->u.groups == NULL || es->traces == NULL || es->sums == NULL)
		return -1;
	es->u.n_groups = n;
	for (size_t g = 0; g < n; g++) {
		size_t n_traces = es->imp->groups[g].n_traces;
		struct pgo_unbias_group *to = &es->u.groups[g];

		to->traces = es->traces[g] = pgo_calloc(n_traces, sizeof *to->traces);
		to->weights = pgo_calloc(n_traces, sizeof *to->weights);
		es->sums[g] = pgo_calloc(n_traces, sizeof **es->sums);
		to->n = n_traces;
		if (to->traces == NULL || to->weights == NULL || es->sums[g] == NULL)
			return -1;
	}
	return 0;
}

/* Numbers targets; 0 is whatever is no address. */
static int number_targets(struct estimate *es)
{
	struct pgo_map map;
	uint64_t *points = NULL;
	size_t n = 1, room = 0;
	int rc = PGO_VEC_RESERVE(points, room, 1);

	pgo_map_init(&map);
	if (rc == 0)
		points[0] = POINT_UNMAPPED;
	for (size_t g = 0; g < es->imp->n_groups && rc == 0; g++)
		for (size_t i = 0; i < es->imp->groups[g].n_traces && rc == 0; i++) {
			uint64_t point = es->imp->groups[g].traces[i].target;
			uint32_t at = 0;

			if (POINT_IS_ADDRESS(point))
				at = pgo_map_find_key(
					&map, points, sizeof *points, &point, sizeof point);
			if (at == PGO_MAP_NONE) {
				at = (uint32_t)n;
				rc = PGO_VEC_RESERVE(points, room, n + 1);
				if (rc == 0)
					points[n++] = point;
				if (rc == 0)
					rc = pgo_map_add_key(&map, &point, sizeof point, at);
			}
			es->traces[g][i].target = at;
		}
	es->u.n_targets = (uint32_t)n;
	pgo_map_fini(&map);
	pgo_free(points);
	return rc;
}

static bool needs_lengths(const struct pgo_imp_event *e)
{
	return e->unit == PGO_UNIT_INSTRUCTIONS || e->unit == PGO_UNIT_OTHER ||
	       (e->unit != PGO_UNIT_BRANCHES && !e->has_cycles);
}

static void add_lengths(struct estimate *es)
{
	bool needed = false;

	for (size_t i = 0; i < es->imp->n_events; i++)
		needed = needed ||
			 (takes_part(&es->imp->events[i]) && needs_lengths(&es->imp->events[i]));
	if (!needed)
		return;
	pgo_imp_lengths(es->imp, es->traces, &es->lengths);
	es->u.code_mean = es->lengths.mean;
	es->u.code_per_byte = es->lengths.per_byte;
}

/* ---------------------------------------------------------------- events */

static uint32_t depth_of(const struct pgo_imp_event *e)
{
	uint32_t depth = e->ring_depth;

	if (e->hardware_depth > depth && e->n_rings < RINGS_TO_KNOW_DEPTH)
		depth = e->hardware_depth;
	return depth;
}

static const char *unit_name(const struct estimate *es, enum pgo_unbias_unit unit)
{
	switch (unit) {
	case PGO_UNBIAS_ONE:
		return "branches";
	case PGO_UNBIAS_CYCLES:
		return "cycles";
	case PGO_UNBIAS_CODE:
	default:
		return es->lengths.runs_counted > 0 ? "instructions" : "bytes";
	}
}

static const char *why_not(const struct pgo_imp *imp, const struct pgo_imp_event *e)
{
	if (imp->o->no_unbias)
		return "not asked for";
	if (!e->ring_all)
		return "only some kinds of branches were recorded";
	if (e->n_rings == e->rings_single + e->rings_long)
		return e->rings_long > 0 ? "rings are longer than any hardware's"
					 : "rings have one entry";
	return NULL;
}

/* An account of every event with rings; is there one, and none with a reason against it? */
static int list_events(struct estimate *es, bool *ret_possible, struct pgo_err *err)
{
	struct pgo_imported *ret = es->ret;

	*ret_possible = false;
	for (size_t i = 0; i < es->imp->n_events; i++) {
		const struct pgo_imp_event *e = &es->imp->events[i];
		struct pgo_import_estimate *to;

		if (!takes_part(e))
			continue;
		to = PGO_VEC_PUSH(ret->estimates, ret->n_estimates, ret->estimates_room);
		if (to == NULL)
			return pgo_err_nomem(err);
		snprintf(to->event, sizeof to->event, "%s", e->name);
		to->unit = "";
		to->why_not = why_not(es->imp, e);
		to->rings = e->n_rings;
		to->rings_single = e->rings_single;
		to->rings_long = e->rings_long;
	}
	for (size_t i = 0; i < ret->n_estimates; i++)
		*ret_possible = ret->estimates[i].why_not == NULL;
	for (size_t i = 0; i < ret->n_estimates; i++)
		if (ret->estimates[i].why_not != NULL) {
			*ret_possible = false;
			for (size_t k = 0; k < ret->n_estimates; k++)
				if (ret->estimates[k].why_not == NULL)
					ret->estimates[k].why_not =
						"another event cannot be estimated";
		}
	return 0;
}

static enum kind kind_of(const struct pgo_imp_event *e, const struct pgo_unbias_result *r)
{
	if (!r->absolute || (e->no_periods && e->period == 0))
		return KIND_RELATIVE;
	if (r->unit == PGO_UNBIAS_ONE)
		return KIND_BRANCHES;
	return r->unit == PGO_UNBIAS_CYCLES || e->unit == PGO_UNIT_CYCLES ? KIND_CYCLES
									  : KIND_INSTRUCTIONS;
}

static const char *scale_of(
	const struct estimate *es, const struct pgo_imp_event *e, const struct pgo_unbias_result *r)
{
	if (kind_of(e, r) == KIND_RELATIVE)
		return "relative";
	return r->self_timed || (r->unit == PGO_UNBIAS_CODE && es->lengths.runs_counted == 0)
		       ? "about"
		       : "absolute";
}

/*
 * A period that only jitters has nothing to do with what ran: its mean for all rings expects the
 * same, and varies less.  One that follows the load (perf record -F) varies by more, and has.
 */
static uint64_t every_period(const struct pgo_imp_event *e)
{
	double n = (double)e->n_periods, mean = (double)e->periods / n;

	if (e->n_periods == 0 || e->n_periods != e->n_rings - e->rings_single - e->rings_long)
		return 0;
	if ((double)e->periods_squared / n - mean * mean > JITTER_MAX * JITTER_MAX * mean * mean)
		return 0;
	return (uint64_t)(mean + 0.5);
}

static int one_event(struct estimate *es, size_t index, struct pgo_import_estimate *to,
	struct pgo_unbias_result *r, struct pgo_err *err)
{
	const struct pgo_imp_event *e = &es->imp->events[index];
	struct pgo_unbias_event ue = {.index = (uint32_t)index,
		.unit = e->unit,
		.depth = depth_of(e),
		.has_cycles = e->has_cycles,
		.period = e->period,
		.every_period = every_period(e)};
	int rc = pgo_unbias_run(&es->u, &ue, r, err);

	if (rc < 0)
		return rc;
	to->unit = unit_name(es, r->unit);
	to->detected = r->detected;
	to->self_timed = r->self_timed;
	to->scale = scale_of(es, e, r);
	to->phi = r->phi;
	to->rings_weighted = r->rings;
	to->rings_without_cycles = r->rings_without_cycles;
	if (needs_lengths(e)) {
		to->runs = es->lengths.runs;
		to->runs_counted = es->lengths.runs_counted;
	}
	to->suspicious = e->unit == PGO_UNIT_BRANCHES && r->phi > PHI_SUSPICIOUS &&
			 r->rings >= RINGS_TO_SUSPECT;
	if (to->suspicious)
		pgo_warn(
			"%s: event %s should count taken branches, but which targets are newest in "
			"its rings speaks against it (phi %.2f); its counts may be biased",
			es->imp->path, e->name, r->phi);
	return 0;
}

/* Adds the weights of one event to the sums, times `scale`, and clears them. */
static void gather(struct estimate *es, double scale)
{
	for (size_t g = 0; g < es->imp->n_groups; g++)
		for (size_t i = 0; i < es->imp->groups[g].n_traces; i++) {
			uint64_t *from = &es->u.groups[g].weights[i], *to = &es->sums[g][i];
			double w = (double)*from * scale + 0.5;

			*to = pgo_unbias_add(*to, scale == 1    ? *from
						  : w >= 0x1p64 ? UINT64_MAX
								: (uint64_t)w);
			*from = 0;
		}
}

/* What the weights of an event are multiplied with. */
static double scale_among(
	const struct estimate *es, const struct pgo_imp_event *e, const struct pgo_unbias_result *r)
{
	enum kind kind = kind_of(e, r);
	uint64_t absolute = 0, all = 0;

	for (int k = 0; k < N_KINDS; k++) {
		all += es->rings[k];
		absolute += k != KIND_RELATIVE ? es->rings[k] : 0;
	}
	if (kind != KIND_RELATIVE)
		return (double)es->rings[kind] / (double)all;
	if (r->weight == 0)
		return 0;
	if (absolute == 0)
		return (double)r->entries * 0x1p16 / (double)r->weight;
	return es->weight * (double)e->n_rings / (double)all / (double)r->weight;
}

/* What has to be known of all events before any can be added: how many rings are of which kind, and
 * the executions of those that know them.  A single event needs none of it. */
static int first_round(struct estimate *es, struct pgo_err *err)
{
	double weight[N_KINDS] = {0}, absolute = 0;

	for (size_t i = 0, k = 0; i < es->imp->n_events; i++) {
		const struct pgo_imp_event *e = &es->imp->events[i];
		struct pgo_unbias_result r;
		enum kind kind;
		int rc;

		if (!takes_part(e))
			continue;
		rc = one_event(es, i, &es->ret->estimates[k++], &r, err);
		if (rc < 0)
			return rc;
		kind = kind_of(e, &r);
		es->rings[kind] += e->n_rings;
		weight[kind] += (double)r.weight;
		gather(es, 0);
	}
	for (int k = 0; k < KIND_RELATIVE; k++)
		absolute += (double)es->rings[k];
	for (int k = 0; k < KIND_RELATIVE && absolute > 0; k++)
		es->weight += weight[k] * (double)es->rings[k] / absolute;
	return 0;
}

static int all_events(struct estimate *es, struct pgo_err *err)
{
	int rc = 0;

	if (es->ret->n_estimates > 1)
		rc = first_round(es, err);
	for (size_t i = 0, k = 0; i < es->imp->n_events && rc == 0; i++) {
		const struct pgo_imp_event *e = &es->imp->events[i];
		struct pgo_import_estimate *to = &es->ret->estimates[k];
		struct pgo_unbias_result r;
		double scale;

		if (!takes_part(e))
			continue;
		k++;
		rc = one_event(es, i, to, &r, err);
		if (rc < 0)
			break;
		if (es->ret->n_estimates == 1)
			es->rings[kind_of(e, &r)] = e->n_rings;
		scale = scale_among(es, e, &r);
		to->executions = (double)r.weight / 0x1p16;
		if (kind_of(e, &r) == KIND_RELATIVE)
			to->executions *= scale;
		gather(es, scale);
	}
	return rc;
}

/* Weights -> executions.  What was seen was executed at least once. */
static void hand_over(struct estimate *es)
{
	for (size_t g = 0; g < es->imp->n_groups; g++) {
		struct pgo_imp_group *group = &es->imp->groups[g];
		uint64_t *sums = es->sums[g];

		for (size_t i = 0; i < group->n_traces; i++) {
			sums[i] = (sums[i] >> PGO_UNBIAS_WEIGHT_BITS) +
				  (sums[i] >> (PGO_UNBIAS_WEIGHT_BITS - 1) & 1);
			if (sums[i] == 0)
				sums[i] = 1;
		}
		group->executions = sums;
		es->sums[g] = NULL;
	}
}

static void estimate_fini(struct estimate *es)
{
	for (size_t g = 0; g < es->u.n_groups; g++) {
		pgo_free(es->traces[g]);
		pgo_free(es->sums[g]);
		pgo_free(es->u.groups[g].weights);
	}
	pgo_free(es->traces);
	pgo_free(es->sums);
	pgo_free(es->u.groups);
}

int pgo_imp_unbias(struct pgo_imp *imp, struct pgo_imported *ret, struct pgo_err *err)
{
	struct estimate es = {.imp = imp, .ret = ret, .u.rings = &imp->lanes[0].rings};
	bool possible;
	int rc = list_events(&es, &possible, err);

	if (rc < 0 || !possible)
		return rc;
	if (alloc_groups(&es) < 0 || number_targets(&es) < 0) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	add_lengths(&es);
	rc = all_events(&es, err);
	if (rc == 0)
		hand_over(&es);
out:
	estimate_fini(&es);
	return rc;
}
