/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/flow_traces.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <string.h>

void pgo_flow_sink_init(struct pgo_flow_sink *s, struct pgo_ranges *r)
{
	*s = (struct pgo_flow_sink){.r = r};
	pgo_map_init(&s->entry_map);
}

void pgo_flow_sink_fini(struct pgo_flow_sink *s)
{
	pgo_free(s->entries);
	pgo_free(s->sites);
	pgo_free(s->counts);
	pgo_free(s->runs);
	pgo_map_fini(&s->entry_map);
}

static uint64_t rounded(double x)
{
	x = x * PGO_FLOW_SCALE + 0.5;
	return x < 0x1p62 ? (uint64_t)x : (uint64_t)1 << 62;
}

uint64_t pgo_flow_share(uint64_t n, double part, double whole)
{
	double x = whole > 0 ? (double)n * (part / whole) + 0.5 : 0;

	return x >= (double)n ? n : (uint64_t)x;
}

static int add(
	struct pgo_flow_sink *s, uint64_t source, uint64_t target, uint64_t end, uint64_t count)
{
	struct pgo_trace t = {.source = source, .target = target, .end = end, .count = count};

	return count != 0 ? pgo_ranges_add(s->r, &t) : 0;
}

struct pgo_flow_entry *pgo_flow_entry(struct pgo_flow_sink *s, uint64_t addr)
{
	uint32_t i =
		pgo_map_find_key(&s->entry_map, s->entries, sizeof *s->entries, &addr, sizeof addr);
	struct pgo_flow_entry *e;

	if (i != PGO_MAP_NONE)
		return &s->entries[i];
	e = PGO_VEC_PUSH(s->entries, s->n_entries, s->entries_room);
	if (e == NULL)
		return NULL;
	e->addr = addr;
	if (pgo_map_add_key(&s->entry_map, &addr, sizeof addr, (uint32_t)(s->n_entries - 1)) < 0)
		return NULL;
	return e;
}

int pgo_flow_call(struct pgo_flow_sink *s, uint64_t from, uint64_t to, uint64_t count)
{
	struct pgo_flow_entry *e;

	if (count == 0)
		return 0;
	e = pgo_flow_entry(s, to);
	if (e == NULL)
		return -1;
	e->called = pgo_add_sat(e->called, count);
	return add(s, from, to, PGO_AT_NONE, count);
}

static int add_site(struct pgo_flow_sink *s, const struct pgo_insn *in, uint64_t count)
{
	struct pgo_flow_site *to;

	if (count == 0)
		return 0;
	to = PGO_VEC_PUSH(s->sites, s->n_sites, s->sites_room);
	if (to == NULL)
		return -1;
	*to = (struct pgo_flow_site){in->addr, in->size, count};
	return 0;
}

/* ------------------------------------------------------------------ ranges */

static int open_run(struct pgo_flow_sink *s, uint64_t start, uint64_t count, bool returned)
{
	struct pgo_flow_run *to;

	if (count == 0)
		return 0;
	to = PGO_VEC_PUSH(s->runs, s->n_runs, s->runs_room);
	if (to == NULL)
		return -1;
	*to = (struct pgo_flow_run){start, count, returned};
	return 0;
}

/* Ends `count` of the open runs at `end`, the oldest first. */
static int close_runs(struct pgo_flow_sink *s, uint64_t end, uint64_t count)
{
	while (count != 0 && s->first_run < s->n_runs) {
		struct pgo_flow_run *run = &s->runs[s->first_run];
		uint64_t n = count < run->count ? count : run->count;

		if (add(s, run->returned ? PGO_AT_OUTSIDE_RETURN : PGO_AT_NONE, run->start, end,
			    n) < 0)
			return -1;
		run->count -= n;
		count -= n;
		if (run->count == 0)
			s->first_run++;
	}
	if (s->first_run == s->n_runs)
		s->first_run = s->n_runs = 0;
	return 0;
}

/* The calls of a block that runs `n` times, and its ranges up to them. */
static int calls_of(struct pgo_flow_sink *s, const struct pgo_flow *f,
	const struct pgo_flow_block *b, uint64_t n)
{
	const struct pgo_insn *in = f->parts[b->part].cfg.insns;

	for (uint32_t i = b->first; i <= b->last; i++) {
		if (!pgo_insn_is_call(in[i].kind))
			continue;
		if (in[i].kind == PGO_INSN_CALL ? pgo_flow_call(s, in[i].addr, in[i].target, n) < 0
						: add_site(s, &in[i], n) < 0)
			return -1;
		if (close_runs(s, in[i].addr, n) < 0 ||
			(i != b->last && open_run(s, in[i + 1].addr, n, true) < 0))
			return -1;
	}
	return 0;
}

/* ------------------------------------------------------------------ ways out of a block */

static int taken(
	struct pgo_flow_sink *s, const struct pgo_flow *f, uint32_t b, uint32_t to, uint64_t count)
{
	const struct pgo_flow_block *t = &f->blocks[to];

	return add(s, pgo_flow_last(f, b)->addr, f->parts[t->part].cfg.insns[t->first].addr,
		PGO_AT_NONE, count);
}

/* Through a junction: where it leads, whoever comes. */
static int through(
	struct pgo_flow_sink *s, const struct pgo_flow *f, uint32_t b, uint32_t via, uint64_t count)
{
	const struct pgo_flow_block *j = &f->blocks[via];
	const struct pgo_balance_edge *e = &f->balance.edges[j->first_edge];
	double all = 0;

	for (uint32_t i = 0; i < j->n_edges; i++)
		all += e[i].flow;
	for (uint32_t i = 0; i < j->n_edges; i++) {
		if (taken(s, f, b, e[i].to, pgo_flow_share(count, e[i].flow, all)) < 0)
			return -1;
	}
	return 0;
}

/* What leaves a block of count n; *ret_fall goes on into the next one. */
static int ways_out(struct pgo_flow_sink *s, const struct pgo_flow *f, uint32_t b, uint64_t n,
	uint64_t *ret_fall)
{
	const struct pgo_flow_block *k = &f->blocks[b];
	const struct pgo_balance_edge *e = &f->balance.edges[k->first_edge];
	double out = f->balance.blocks[b].exit, all = out;
	uint64_t fall = 0, rest;

	for (uint32_t i = 0; i < k->n_edges; i++)
		all += e[i].flow;
	if (k->fall != UINT32_MAX)
		fall = pgo_flow_share(n, f->balance.edges[k->fall].flow, all);
	*ret_fall = fall;
	rest = n - fall;
	for (uint32_t i = 0; i < k->n_edges && k->end == PGO_FLOW_JUMPS_OUT; i++) {
		uint64_t c = pgo_flow_share(n, e[i].flow, all);

		if (k->first_edge + i == k->fall)
			continue;
		if (k->n_edges == 1 + (k->fall != UINT32_MAX) && out == 0)
			c = rest; /* the only other way takes what is left, to the last one */
		if (f->balance.blocks[e[i].to].insns == 0 ? through(s, f, b, e[i].to, c) < 0
							  : taken(s, f, b, e[i].to, c) < 0)
			return -1;
	}
	if (k->end != PGO_FLOW_JUMPS_OUT || out == 0)
		return 0;
	n = k->n_edges == (k->fall != UINT32_MAX) ? rest : pgo_flow_share(n, out, all);
	if (pgo_flow_last(f, b)->kind == PGO_INSN_JUMP_INDIRECT)
		return 0; /* and nobody knows where to */
	return pgo_flow_call(s, pgo_flow_last(f, b)->addr, pgo_flow_last(f, b)->target, n);
}

/* ------------------------------------------------------------------ one part */

static int part_traces(struct pgo_flow_sink *s, const struct pgo_flow *f, uint32_t part)
{
	const struct pgo_flow_part *p = &f->parts[part];
	bool returned = false;
	uint64_t came = 0;

	s->first_run = s->n_runs = 0;
	for (uint32_t b = p->first_block; b < p->first_block + p->n_blocks; b++) {
		const struct pgo_flow_block *k = &f->blocks[b];
		uint64_t n = s->counts[b], fall, start = p->cfg.insns[k->first].addr;
		bool behind_call;

		if (returned && open_run(s, start, came, true) < 0)
			return -1;
		if (open_run(s, start, n - came, false) < 0 || calls_of(s, f, k, n) < 0 ||
			ways_out(s, f, b, n, &fall) < 0)
			return -1;
		came = b + 1 < p->first_block + p->n_blocks && fall > s->counts[b + 1]
			       ? s->counts[b + 1]
			       : fall;
		behind_call = pgo_insn_is_call(pgo_flow_last(f, b)->kind);
		if (!behind_call && close_runs(s, pgo_flow_last(f, b)->addr, n - came) < 0)
			return -1;
		returned = behind_call;
	}
	return 0;
}

/* Parts that were sampled, or are joined to one that was. */
static void find_live(struct pgo_flow *f)
{
	bool more = true;

	for (size_t i = 0; i < f->n_parts; i++)
		f->parts[i].live = f->parts[i].samples != 0;
	while (more) {
		more = false;
		for (size_t i = 0; f->n_parts > 1 && i < f->balance.n_edges; i++) {
			const struct pgo_balance_edge *e = &f->balance.edges[i];
			bool *a = &f->parts[f->blocks[e->from].part].live;
			bool *b = &f->parts[f->blocks[e->to].part].live;

			more |= *a != *b;
			*a = *b = *a || *b;
		}
	}
}

int pgo_flow_traces(struct pgo_flow_sink *s, struct pgo_flow *f)
{
	if (PGO_VEC_RESERVE(s->counts, s->counts_room, f->n_blocks) < 0)
		return -1;
	find_live(f);
	for (uint32_t b = 0; b < f->n_blocks; b++)
		s->counts[b] = rounded(f->balance.blocks[b].count);
	for (uint32_t i = 0; i < f->n_parts; i++) {
		const struct pgo_flow_part *p = &f->parts[i];
		struct pgo_flow_entry *e;

		if (!p->live || p->n_blocks == 0)
			continue;
		if (part_traces(s, f, i) < 0)
			return -1;
		if (f->balance.blocks[p->first_block].entry == 0)
			continue;
		e = pgo_flow_entry(s, p->fn->start);
		if (e == NULL)
			return -1;
		e->entered = rounded(f->balance.blocks[p->first_block].entry);
	}
	return 0;
}

int pgo_flow_finish(struct pgo_flow_sink *s)
{
	for (size_t i = 0; i < s->n_entries; i++) {
		const struct pgo_flow_entry *e = &s->entries[i];

		if (e->entered > e->called &&
			add(s, PGO_AT_OUTSIDE, e->addr, PGO_AT_NONE, e->entered - e->called) < 0)
			return -1;
	}
	return 0;
}
