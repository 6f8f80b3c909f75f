/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/flow.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ decoding */

static int compare_cases(const void *pa, const void *pb)
{
	const struct pgo_cfg_case *a = pa, *b = pb;

	if (a->jump != b->jump)
		return a->jump < b->jump ? -1 : 1;
	return a->target < b->target ? -1 : a->target > b->target;
}

static int decode_parts(
	struct pgo_flow *f, const struct pgo_codefn *const *fns, size_t n_fns, struct pgo_err *err)
{
	f->n_parts = 0;
	if (f->parts_room < n_fns) {
		size_t old = f->parts_room;

		if (PGO_VEC_RESERVE(f->parts, f->parts_room, n_fns) < 0)
			return pgo_err_nomem(err);
		memset(f->parts + old, 0, (f->parts_room - old) * sizeof *f->parts);
	}
	for (size_t i = 0; i < n_fns; i++) {
		struct pgo_flow_part *p = &f->parts[i];
		int rc;

		rc = pgo_cfg_decode(&p->cfg, f->code, fns[i]->start, fns[i]->end, NULL, 0, err);
		if (rc < 0)
			return rc;
		p->fn = fns[i];
		f->n_parts = i + 1;
		if (p->cfg.n_cases != 0)
			qsort(p->cfg.cases, p->cfg.n_cases, sizeof *p->cfg.cases, compare_cases);
		if (PGO_VEC_RESERVE(p->block_of, p->block_of_room, p->cfg.n_insns + 1) < 0)
			return pgo_err_nomem(err);
	}
	return 0;
}

/* The part whose symbol holds `addr`, or NULL. */
static struct pgo_flow_part *part_at(const struct pgo_flow *f, uint64_t addr)
{
	size_t lo = 0, hi = f->n_parts;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->parts[mid].fn->start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo != 0 && addr < f->parts[lo - 1].fn->end ? &f->parts[lo - 1] : NULL;
}

/* ------------------------------------------------------------------ where blocks begin */

static void mark(struct pgo_flow *f, uint64_t addr)
{
	struct pgo_flow_part *p = part_at(f, addr);
	uint32_t i = p != NULL ? pgo_cfg_at(&p->cfg, addr) : UINT32_MAX;

	if (i != UINT32_MAX)
		p->cfg.insns[i].leader = true;
}

/* Index of the first case of a jump, or of a later one. */
static size_t cases_of(const struct pgo_flow_part *p, uint32_t jump)
{
	size_t lo = 0, hi = p->cfg.n_cases;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->cfg.cases[mid].jump < jump)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool has_cases(const struct pgo_flow_part *p, uint32_t jump)
{
	size_t k = cases_of(p, jump);

	return k < p->cfg.n_cases && p->cfg.cases[k].jump == jump;
}

static bool has_open_jump(const struct pgo_flow_part *p)
{
	for (uint32_t i = 0; p->cfg.n_jumps > p->cfg.n_tables && i < p->cfg.n_insns; i++) {
		if (p->cfg.insns[i].kind == PGO_INSN_JUMP_INDIRECT && !has_cases(p, i))
			return true;
	}
	return false;
}

static int mark_labels(struct pgo_flow *f, struct pgo_flow_part *p, struct pgo_err *err)
{
	int rc;

	if (!has_open_jump(p))
		return 0;
	rc = pgo_labels_read(f->labels, f->code, err);
	for (size_t i = pgo_labels_find(f->labels, p->fn->start + 1);
		i < f->labels->n && f->labels->at[i] < p->fn->end; i++)
		mark(f, f->labels->at[i]);
	return rc;
}

static int mark_pads(struct pgo_flow *f, const struct pgo_flow_part *p, struct pgo_err *err)
{
	f->n_pads = 0;
	if (pgo_landing_pads(f->landing, p->fn->start, &f->pads, &f->n_pads, &f->pads_room) < 0)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < f->n_pads; i++)
		mark(f, f->pads[i]);
	return 0;
}

/* Branches from one part to another. */
static void mark_joints(struct pgo_flow *f, const struct pgo_flow_part *p)
{
	for (size_t i = 0; f->n_parts > 1 && i < p->cfg.n_insns; i++) {
		const struct pgo_insn *in = &p->cfg.insns[i];

		if (in->kind == PGO_INSN_COND || in->kind == PGO_INSN_JUMP)
			mark(f, in->target);
	}
	for (size_t k = 0; f->n_parts > 1 && k < p->cfg.n_cases; k++)
		mark(f, p->cfg.cases[k].target);
}

/* Only a call that something else begins behind can be one that does not return. */
static int never_returns(
	struct pgo_flow *f, const struct pgo_flow_part *p, size_t i, bool *ret, struct pgo_err *err)
{
	const struct pgo_insn *in = &p->cfg.insns[i];

	*ret = false;
	if (in->kind != PGO_INSN_CALL ||
		(i + 1 < p->cfg.n_insns && !in[1].leader && in[1].kind != PGO_INSN_NOP &&
			in[1].kind != PGO_INSN_TRAP))
		return 0;
	return pgo_noreturn_find(f->noreturn, in->target, ret, err);
}

static int mark_ends(struct pgo_flow *f, struct pgo_flow_part *p, struct pgo_err *err)
{
	for (size_t i = 0; i + 1 < p->cfg.n_insns; i++) {
		struct pgo_insn *in = &p->cfg.insns[i];
		bool dead = false;
		int rc;

		if (in[1].leader)
			continue;
		rc = never_returns(f, p, i, &dead, err);
		if (rc < 0)
			return rc;
		if (dead || in->kind == PGO_INSN_COND || pgo_insn_ends_flow(in->kind))
			in[1].leader = true;
	}
	return 0;
}

/* ------------------------------------------------------------------ blocks */

static int add_block(struct pgo_flow *f, struct pgo_flow_block b, uint32_t insns, uint32_t *ret)
{
	struct pgo_balance *a = &f->balance;
	struct pgo_flow_block *to = PGO_VEC_PUSH(f->blocks, f->n_blocks, f->blocks_room);
	struct pgo_balance_block *also = PGO_VEC_PUSH(a->blocks, a->n_blocks, a->blocks_room);

	if (to == NULL || also == NULL)
		return -1;
	*to = b;
	to->fall = UINT32_MAX;
	also->insns = insns;
	*ret = (uint32_t)(f->n_blocks - 1);
	return 0;
}

static int make_blocks(struct pgo_flow *f, uint32_t part)
{
	struct pgo_flow_part *p = &f->parts[part];
	uint32_t n = (uint32_t)p->cfg.n_insns, b;

	p->first_block = (uint32_t)f->n_blocks;
	p->junction = UINT32_MAX;
	for (uint32_t i = 0; i < n;) {
		uint32_t first = i;

		do
			p->block_of[i++] = UINT32_MAX;
		while (i < n && !p->cfg.insns[i].leader);
		if (add_block(f,
			    (struct pgo_flow_block){.part = part, .first = first, .last = i - 1},
			    i - first, &b) < 0)
			return -1;
		p->block_of[first] = b;
	}
	p->n_blocks = (uint32_t)f->n_blocks - p->first_block;
	return 0;
}

static uint32_t block_at(const struct pgo_flow *f, uint64_t addr)
{
	const struct pgo_flow_part *p = part_at(f, addr);
	uint32_t i = p != NULL ? pgo_cfg_at(&p->cfg, addr) : UINT32_MAX;

	return i != UINT32_MAX ? p->block_of[i] : UINT32_MAX;
}

/* ------------------------------------------------------------------ edges */

static int add_edge(struct pgo_flow *f, uint32_t from, uint32_t to, double share)
{
	struct pgo_balance *a = &f->balance;
	struct pgo_balance_edge *e = PGO_VEC_PUSH(a->edges, a->n_edges, a->edges_room);

	if (e == NULL)
		return -1;
	*e = (struct pgo_balance_edge){from, to, share};
	f->blocks[from].n_edges++;
	return 0;
}

static int add_way(struct pgo_flow *f, uint32_t block)
{
	uint32_t *to;

	if (block == UINT32_MAX)
		return 0;
	to = PGO_VEC_PUSH(f->ways, f->n_ways, f->ways_room);
	if (to == NULL)
		return -1;
	*to = block;
	return 0;
}

static int compare_u32(const void *pa, const void *pb)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	return a < b ? -1 : a > b;
}

/* An edge to each of the ways, once. */
static int add_ways(struct pgo_flow *f, uint32_t from)
{
	size_t n = 0;

	if (f->n_ways != 0)
		qsort(f->ways, f->n_ways, sizeof *f->ways, compare_u32);
	for (size_t i = 0; i < f->n_ways; i++) {
		if (n == 0 || f->ways[n - 1] != f->ways[i])
			f->ways[n++] = f->ways[i];
	}
	for (size_t i = 0; i < n; i++) {
		if (add_edge(f, from, f->ways[i], 1 / (double)n) < 0)
			return -1;
	}
	return 0;
}

/* Computed gotos go by way of one junction; without labels there is none. */
static int make_junction(struct pgo_flow *f, uint32_t part)
{
	struct pgo_flow_part *p = &f->parts[part];

	if (!has_open_jump(p))
		return 0;
	f->n_ways = 0;
	for (size_t i = pgo_labels_find(f->labels, p->fn->start + 1);
		i < f->labels->n && f->labels->at[i] < p->fn->end; i++) {
		if (add_way(f, block_at(f, f->labels->at[i])) < 0)
			return -1;
	}
	if (f->n_ways == 0)
		return 0;
	if (add_block(f, (struct pgo_flow_block){.part = part, .end = PGO_FLOW_JUMPS_OUT}, 0,
		    &p->junction) < 0)
		return -1;
	f->blocks[p->junction].first_edge = (uint32_t)f->balance.n_edges;
	return add_ways(f, p->junction);
}

static int indirect_jump(struct pgo_flow *f, uint32_t b)
{
	struct pgo_flow_block *k = &f->blocks[b];
	const struct pgo_flow_part *p = &f->parts[k->part];

	f->n_ways = 0;
	for (size_t i = cases_of(p, k->last); i < p->cfg.n_cases && p->cfg.cases[i].jump == k->last;
		i++) {
		if (add_way(f, block_at(f, p->cfg.cases[i].target)) < 0)
			return -1;
	}
	if (f->n_ways != 0 || p->junction != UINT32_MAX) {
		f->n_jumps_known++;
		return f->n_ways != 0 ? add_ways(f, b) : add_edge(f, b, p->junction, 1);
	}
	f->n_jumps_unknown++;
	f->balance.blocks[b].exit = 1;
	return 0;
}

static int direct_jump(struct pgo_flow *f, uint32_t b, uint64_t target, double share)
{
	uint32_t to = block_at(f, target);

	if (to != UINT32_MAX)
		return add_edge(f, b, to, share);
	f->balance.blocks[b].exit = share;
	return 0;
}

static int fall(struct pgo_flow *f, uint32_t b, double share)
{
	const struct pgo_flow_part *p = &f->parts[f->blocks[b].part];

	if (b + 1 == p->first_block + p->n_blocks) {
		f->balance.blocks[b].exit += share;
		return 0;
	}
	f->blocks[b].fall = (uint32_t)f->balance.n_edges;
	return add_edge(f, b, b + 1, share);
}

static int edges_of(struct pgo_flow *f, uint32_t b, struct pgo_err *err)
{
	struct pgo_flow_block *k = &f->blocks[b];
	const struct pgo_flow_part *p = &f->parts[k->part];
	const struct pgo_insn *last = &p->cfg.insns[k->last];
	bool dead = false;
	int rc;

	k->first_edge = (uint32_t)f->balance.n_edges;
	rc = never_returns(f, p, k->last, &dead, err);
	if (rc < 0)
		return rc;
	switch (last->kind) {
	case PGO_INSN_RET:
		k->end = PGO_FLOW_RETURNS;
		f->balance.blocks[b].exit = 1;
		break;
	case PGO_INSN_TRAP:
		dead = true;
		break;
	case PGO_INSN_JUMP_INDIRECT:
		k->end = PGO_FLOW_JUMPS_OUT;
		rc = indirect_jump(f, b);
		break;
	case PGO_INSN_JUMP:
		k->end = PGO_FLOW_JUMPS_OUT;
		rc = direct_jump(f, b, last->target, 1);
		break;
	case PGO_INSN_COND:
		k->end = PGO_FLOW_JUMPS_OUT;
		rc = direct_jump(f, b, last->target, 0.5);
		if (rc == 0)
			rc = fall(f, b, 0.5);
		break;
	default:
		if (!dead)
			rc = fall(f, b, 1);
		break;
	}
	if (dead) {
		k->end = PGO_FLOW_DIES;
		f->balance.blocks[b].exit = 1;
	}
	return rc < 0 ? pgo_err_nomem(err) : 0;
}

/* ------------------------------------------------------------------ where flow begins */

static bool is_padding(const struct pgo_flow *f, const struct pgo_flow_block *b)
{
	const struct pgo_cfg *c = &f->parts[b->part].cfg;

	for (uint32_t i = b->first; i <= b->last; i++) {
		if (c->insns[i].kind != PGO_INSN_NOP)
			return false;
	}
	return true;
}

static void mark_entries(struct pgo_flow *f)
{
	const struct pgo_balance *a = &f->balance;

	for (size_t i = 0; i < a->n_edges; i++) {
		/* Padding falls into what it pads, and never runs. */
		if (f->blocks[a->edges[i].from].end != PGO_FLOW_FALLS ||
			!is_padding(f, &f->blocks[a->edges[i].from]))
			a->blocks[a->edges[i].to].entry = -1;
	}
	for (uint32_t b = 0; b < f->n_blocks; b++) {
		const struct pgo_flow_block *k = &f->blocks[b];
		bool reached = a->blocks[b].entry < 0, begins;

		begins = k->first == 0 &&
			 pgo_codefn_cold_tail(f->parts[k->part].fn->symbol->name) == NULL;
		a->blocks[b].entry =
			a->blocks[b].insns != 0 && (begins || (!reached && !is_padding(f, k)));
	}
}

/* ------------------------------------------------------------------ samples */

/* Index of the first sample at or behind `addr`. */
static size_t first_sample(const struct pgo_ranges *r, uint64_t addr)
{
	size_t lo = 0, hi = r->n_ips;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->ips[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void misplace(struct pgo_flow *f, const struct pgo_ranges *r, size_t *k, uint64_t end)
{
	for (; *k < r->n_ips && r->ips[*k].addr < end; ++*k)
		f->misplaced = pgo_add_sat(f->misplaced, r->ips[*k].count);
}

static int put_samples(
	struct pgo_flow *f, struct pgo_flow_part *p, const struct pgo_ranges *r, double unit)
{
	struct pgo_balance *a = &f->balance;
	const struct pgo_insn *in = p->cfg.insns;
	size_t k = first_sample(r, p->fn->start);

	p->samples = 0;
	for (uint32_t b = p->first_block; b < p->first_block + p->n_blocks; b++) {
		struct pgo_balance_block *to = &a->blocks[b];

		to->first_hit = (uint32_t)a->n_hits;
		for (uint32_t i = f->blocks[b].first; i <= f->blocks[b].last; i++) {
			uint64_t sum = 0;
			double *hit;

			misplace(f, r, &k, in[i].addr);
			/* With skid a sample may lie inside an instruction. */
			for (; k < r->n_ips && r->ips[k].addr < in[i].addr + in[i].size; k++)
				sum = pgo_add_sat(sum, r->ips[k].count);
			if (sum == 0)
				continue;
			p->samples = pgo_add_sat(p->samples, sum);
			hit = PGO_VEC_PUSH(a->hits, a->n_hits, a->hits_room);
			if (hit == NULL)
				return -1;
			*hit = (double)sum / unit;
			to->n_hits++;
		}
	}
	misplace(f, r, &k, p->fn->end);
	return 0;
}

/* ------------------------------------------------------------------ all of it */

int pgo_flow_build(struct pgo_flow *f, const struct pgo_codefn *const *fns, size_t n_fns,
	const struct pgo_ranges *r, double unit, struct pgo_err *err)
{
	size_t n_code;
	int rc;

	f->n_blocks = f->n_jumps_known = f->n_jumps_unknown = 0;
	f->misplaced = 0;
	f->balance.n_blocks = f->balance.n_edges = f->balance.n_hits = 0;
	rc = decode_parts(f, fns, n_fns, err);
	for (size_t i = 0; i < f->n_parts && rc == 0; i++) {
		mark_joints(f, &f->parts[i]);
		rc = mark_pads(f, &f->parts[i], err);
		if (rc == 0)
			rc = mark_labels(f, &f->parts[i], err);
	}
	for (size_t i = 0; i < f->n_parts && rc == 0; i++)
		rc = mark_ends(f, &f->parts[i], err);
	for (size_t i = 0; i < f->n_parts && rc == 0; i++) {
		if (make_blocks(f, (uint32_t)i) < 0)
			rc = pgo_err_nomem(err);
	}
	n_code = f->n_blocks;
	for (size_t i = 0; i < f->n_parts && rc == 0; i++) {
		if (make_junction(f, (uint32_t)i) < 0)
			rc = pgo_err_nomem(err);
	}
	for (uint32_t b = 0; b < n_code && rc == 0; b++)
		rc = edges_of(f, b, err);
	if (rc < 0)
		return rc;
	mark_entries(f);
	for (size_t i = 0; i < f->n_parts; i++) {
		if (put_samples(f, &f->parts[i], r, unit) < 0)
			return pgo_err_nomem(err);
	}
	return 0;
}

void pgo_flow_fini(struct pgo_flow *f)
{
	for (size_t i = 0; i < f->parts_room; i++) {
		pgo_cfg_fini(&f->parts[i].cfg);
		pgo_free(f->parts[i].block_of);
	}
	pgo_free(f->parts);
	pgo_free(f->blocks);
	pgo_free(f->pads);
	pgo_free(f->ways);
	pgo_balance_fini(&f->balance);
}
