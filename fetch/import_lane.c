/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples of one recording on several threads.  What a sample needs to know (processes, maps, events)
 * is only looked at meanwhile; what it adds to belongs to a lane.  All sums are of integers, so that
 * their order does not show, nor that of traces, which are sorted when they are written.
 */
#include "fetch/import_impl.h"
#include "pgo/core/parallel.h"
#include "pgo/core/vec.h"

#include <string.h>

/* Each lane has the hot traces once more. */
#define LANES_MAX 4

int pgo_imp_lanes_init(struct pgo_imp *imp, struct pgo_err *err)
{
	unsigned n = pgo_threads();

	imp->lanes = pgo_calloc(LANES_MAX, sizeof *imp->lanes);
	if (imp->lanes == NULL)
		return pgo_err_nomem(err);
	imp->n_lanes = n < LANES_MAX ? n : LANES_MAX;
	for (size_t i = 0; i < imp->n_lanes; i++) {
		struct pgo_imp_lane *lane = &imp->lanes[i];

		lane->stats = i == 0 ? imp->stats : &lane->own;
		pgo_spool_init(&lane->rings);
		lane->rings.shares = (unsigned)imp->n_lanes;
	}
	return 0;
}

void pgo_imp_lanes_fini(struct pgo_imp *imp)
{
	for (size_t i = 0; i < imp->n_lanes; i++) {
		struct pgo_imp_lane *lane = &imp->lanes[i];

		for (size_t g = 0; i != 0 && g < lane->n_groups; g++)
			pgo_imp_group_fini(&lane->groups[g]);
		if (i != 0) {
			pgo_free(lane->groups);
			pgo_free(lane->events);
		}
		pgo_free(lane->ring);
		pgo_free(lane->stack);
		pgo_free(lane->ids);
		pgo_free(lane->cycles);
		pgo_spool_fini(&lane->rings);
	}
	pgo_free(imp->lanes);
}

/* ---------------------------------------------------------------- before samples */

static int own_places(const struct pgo_imp *imp, struct pgo_imp_lane *lane)
{
	while (lane->n_groups < imp->n_groups)
		if (PGO_VEC_PUSH(lane->groups, lane->n_groups, lane->groups_room) == NULL)
			return -1;
	while (lane->n_events < imp->n_events)
		if (PGO_VEC_PUSH(lane->events, lane->n_events, lane->events_room) == NULL)
			return -1;
	for (size_t i = 0; i < imp->n_events; i++) {
		lane->events[i].wanted = imp->events[i].wanted;
		lane->events[i].ring_all = imp->events[i].ring_all;
		lane->events[i].user_only = imp->events[i].user_only;
	}
	return 0;
}

int pgo_imp_prepare_lanes(struct pgo_imp *imp, struct pgo_err *err)
{
	struct pgo_imp_lane *first = &imp->lanes[0];

	first->events = imp->events;
	first->n_events = imp->n_events;
	first->groups = imp->groups;
	first->n_groups = imp->n_groups;
	for (size_t i = 1; i < imp->n_lanes; i++)
		if (own_places(imp, &imp->lanes[i]) < 0)
			return pgo_err_nomem(err);
	return 0;
}

int pgo_imp_on_prepare(void *ctx, const int32_t *pids, size_t n, struct pgo_err *err)
{
	struct pgo_imp *imp = ctx;

	for (size_t i = 0; i < n; i++) {
		struct pgo_imp_process *p;

		if (i != 0 && pids[i] == pids[i - 1])
			continue;
		p = pgo_imp_process(imp, pids[i], err);
		if (p == NULL || pgo_imp_group(imp, p, err) == NULL)
			return err != NULL && err->code < 0 ? err->code : PGO_ENOMEM;
	}
	return pgo_imp_prepare_lanes(imp, err);
}

/* ---------------------------------------------------------------- afterwards */

static void merge_stats(struct pgo_import_stats *to, const struct pgo_import_stats *from)
{
	/* All of it is counts. */
	_Static_assert(sizeof *to % sizeof(uint64_t) == 0, "counts are of 64 bits");
	uint64_t a[sizeof *to / sizeof(uint64_t)], b[sizeof *to / sizeof(uint64_t)];

	memcpy(a, to, sizeof a);
	memcpy(b, from, sizeof b);
	for (size_t i = 0; i < sizeof a / sizeof *a; i++)
		a[i] += b[i];
	memcpy(to, a, sizeof a);
}

static void merge_event(struct pgo_imp_event *to, const struct pgo_imp_event *from)
{
	to->n_used += from->n_used;
	to->sum_periods += from->sum_periods;
	to->n_rings += from->n_rings;
	to->rings_single += from->rings_single;
	to->rings_long += from->rings_long;
	to->periods += from->periods;
	to->periods_squared += from->periods_squared;
	to->n_periods += from->n_periods;
	to->has_cycles |= from->has_cycles;
	to->no_periods |= from->no_periods;
	if (from->ring_depth > to->ring_depth)
		to->ring_depth = from->ring_depth;
	if (from->hardware_depth > to->hardware_depth)
		to->hardware_depth = from->hardware_depth;
}

/* Fills `ids`: the numbers that the traces of `from` have in `to`. */
static int merge_group(struct pgo_imp_group *to, const struct pgo_imp_group *from, uint32_t *ids)
{
	for (size_t i = 0; i < from->n_traces; i++) {
		ids[i] = pgo_imp_add_trace(to, &from->traces[i]);
		if (ids[i] == UINT32_MAX)
			return -1;
	}
	for (size_t i = 0; i < from->n_stacks; i++) {
		const struct pgo_imp_stack *s = &from->stacks[i];

		if (pgo_imp_add_stack(
			    to, from->points + s->first, s->n, s->event, s->count, s->value) < 0)
			return -1;
	}
	if (from->first_time != 0 && (to->first_time == 0 || from->first_time < to->first_time))
		to->first_time = from->first_time;
	if (from->last_time > to->last_time)
		to->last_time = from->last_time;
	return 0;
}

static int merge_lane(struct pgo_imp *imp, struct pgo_imp_lane *lane)
{
	struct pgo_spool *rings = &lane->rings;

	merge_stats(imp->stats, lane->stats);
	for (size_t i = 0; i < lane->n_events; i++)
		merge_event(&imp->events[i], &lane->events[i]);
	rings->renumbered = pgo_calloc(lane->n_groups, sizeof(uint32_t *));
	if (rings->renumbered == NULL)
		return -1;
	rings->n_renumbered = lane->n_groups;
	for (size_t g = 0; g < lane->n_groups; g++) {
		uint32_t *ids = pgo_calloc(lane->groups[g].n_traces, sizeof *ids);

		rings->renumbered[g] = ids;
		if (ids == NULL || merge_group(&imp->groups[g], &lane->groups[g], ids) < 0)
			return -1;
		pgo_imp_group_fini(&lane->groups[g]);
		lane->groups[g] = (struct pgo_imp_group){0};
	}
	return 0;
}

int pgo_imp_merge_lanes(struct pgo_imp *imp, struct pgo_err *err)
{
	for (size_t i = 1; i < imp->n_lanes; i++) {
		if (merge_lane(imp, &imp->lanes[i]) < 0)
			return pgo_err_nomem(err);
		imp->lanes[i - 1].rings.more = &imp->lanes[i].rings;
	}
	return 0;
}
