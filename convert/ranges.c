/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/ranges.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>

#define TRACE_KEY (3 * sizeof(uint64_t))

void pgo_ranges_init(struct pgo_ranges *r)
{
	*r = (struct pgo_ranges){0};
	pgo_map_init(&r->trace_map);
	pgo_map_init(&r->ip_map);
}

void pgo_ranges_fini(struct pgo_ranges *r)
{
	pgo_free(r->traces);
	pgo_free(r->ips);
	pgo_map_fini(&r->trace_map);
	pgo_map_fini(&r->ip_map);
	*r = (struct pgo_ranges){0};
}

int pgo_ranges_add(struct pgo_ranges *r, const struct pgo_trace *t)
{
	uint32_t i = pgo_map_find_key(
		&r->trace_map, r->traces, sizeof *r->traces, &t->source, TRACE_KEY);
	struct pgo_trace *to;

	if (i == PGO_MAP_NONE) {
		to = PGO_VEC_PUSH(r->traces, r->n_traces, r->traces_room);
		if (to == NULL)
			return -1;
		*to = *t;
		to->records = t->count;
		return pgo_map_add_key(
			&r->trace_map, &t->source, TRACE_KEY, (uint32_t)(r->n_traces - 1));
	}
	to = &r->traces[i];
	to->count = pgo_add_sat(to->count, t->count);
	to->records = pgo_add_sat(to->records, t->count);
	to->mispreds = pgo_add_sat(to->mispreds, t->mispreds);
	to->executions = pgo_add_sat(to->executions, t->executions);
	return 0;
}

int pgo_ranges_add_ip(struct pgo_ranges *r, uint64_t addr, uint64_t count)
{
	uint32_t i = pgo_map_find_key(&r->ip_map, r->ips, sizeof *r->ips, &addr, sizeof addr);
	struct pgo_ip *to;

	if (i != PGO_MAP_NONE) {
		r->ips[i].count = pgo_add_sat(r->ips[i].count, count);
		return 0;
	}
	to = PGO_VEC_PUSH(r->ips, r->n_ips, r->ips_room);
	if (to == NULL)
		return -1;
	*to = (struct pgo_ip){addr, count};
	return pgo_map_add_key(&r->ip_map, &addr, sizeof addr, (uint32_t)(r->n_ips - 1));
}

static int compare_traces(const void *pa, const void *pb)
{
	const struct pgo_trace *a = pa, *b = pb;

	if (a->target != b->target)
		return a->target < b->target ? -1 : 1;
	if (a->end != b->end)
		return a->end < b->end ? -1 : 1;
	return a->source < b->source ? -1 : a->source > b->source;
}

static int compare_ips(const void *pa, const void *pb)
{
	const struct pgo_ip *a = pa, *b = pb;

	return a->addr < b->addr ? -1 : a->addr > b->addr;
}

static void use_executions(struct pgo_ranges *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_traces; i++) {
		struct pgo_trace t = r->traces[i];

		if (t.executions == 0)
			continue;
		if (t.count != 0)
			t.mispreds =
				(uint64_t)((unsigned __int128)t.mispreds * t.executions / t.count);
		t.count = t.executions;
		r->traces[n++] = t;
	}
	r->n_traces = n;
}

void pgo_ranges_sort(struct pgo_ranges *r, bool executions)
{
	pgo_map_fini(&r->trace_map);
	pgo_map_fini(&r->ip_map);
	if (executions)
		use_executions(r);
	if (r->n_traces != 0)
		qsort(r->traces, r->n_traces, sizeof *r->traces, compare_traces);
	if (r->n_ips != 0)
		qsort(r->ips, r->n_ips, sizeof *r->ips, compare_ips);
}
