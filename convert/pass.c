/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/pass.h"

#include "convert/edges.h"
#include "convert/positions.h"
#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ branches */

static int compare_branches(const void *pa, const void *pb)
{
	const struct pgo_branch *a = pa, *b = pb;

	if (a->source != b->source)
		return a->source < b->source ? -1 : 1;
	return a->target < b->target ? -1 : a->target > b->target;
}

static int make_branches(struct pgo_pass *p)
{
	struct pgo_branch *b;
	size_t n = 0;

	for (size_t i = 0; i < p->ranges->n_traces; i++) {
		const struct pgo_trace *t = &p->ranges->traces[i];

		if (t->source == PGO_AT_NONE)
			continue;
		b = PGO_VEC_PUSH(p->branches, p->n_branches, p->branches_room);
		if (b == NULL)
			return -1;
		*b = (struct pgo_branch){t->source, t->target, t->count, t->mispreds};
	}
	if (p->n_branches != 0)
		qsort(p->branches, p->n_branches, sizeof *p->branches, compare_branches);
	for (size_t i = 0; i < p->n_branches; i++) {
		b = &p->branches[i];
		if (n != 0 && compare_branches(&p->branches[n - 1], b) == 0) {
			p->branches[n - 1].count = pgo_add_sat(p->branches[n - 1].count, b->count);
			p->branches[n - 1].mispreds =
				pgo_add_sat(p->branches[n - 1].mispreds, b->mispreds);
		} else {
			p->branches[n++] = *b;
		}
	}
	p->n_branches = n;
	return 0;
}

/* ------------------------------------------------------------------ one function */

static int add_leader(struct pgo_fnwork *w, uint64_t addr)
{
	uint64_t *l = PGO_VEC_PUSH(w->leaders, w->n_leaders, w->leaders_room);

	if (l == NULL)
		return -1;
	*l = addr;
	return 0;
}

/* Block starts that the function's own code does not show. */
static int collect_leaders(
	struct pgo_fnwork *w, const struct pgo_pass *p, const struct pgo_landing *landing)
{
	const struct pgo_codefn *fn = w->fn;

	w->n_leaders = w->n_pads = 0;
	if (pgo_landing_pads(landing, fn->start, &w->pads, &w->n_pads, &w->pads_room) < 0)
		return -1;
	if (w->n_pads != 0)
		qsort(w->pads, w->n_pads, sizeof *w->pads, pgo_compare_u64);
	for (size_t i = 0; i < w->n_pads; i++) {
		if (add_leader(w, w->pads[i]) < 0)
			return -1;
	}
	for (size_t i = pgo_codefns_joint(p->fns, fn->start);
		i < p->fns->n_joints && p->fns->joints[i] < fn->end; i++) {
		if (add_leader(w, p->fns->joints[i]) < 0)
			return -1;
	}
	for (size_t i = 0; i < w->n_branches; i++) {
		const struct pgo_branch *b = &w->branches[i];

		if (b->target >= fn->start && b->target < fn->end &&
			pgo_insn_kind_at(p->elf, b->source) == PGO_INSN_JUMP_INDIRECT &&
			add_leader(w, b->target) < 0)
			return -1;
	}
	if (w->n_leaders != 0)
		qsort(w->leaders, w->n_leaders, sizeof *w->leaders, pgo_compare_u64);
	return 0;
}

static int grow_work(struct pgo_fnwork *w)
{
	size_t n = w->cfg.n_insns + 1, room = w->room;

	if (n > room) {
		room = n + n / 2;
		pgo_free(w->count);
		pgo_free(w->starts);
		pgo_free(w->resume);
		pgo_free(w->stops);
		w->room = 0;
		w->count = pgo_calloc(room, sizeof *w->count);
		w->starts = pgo_calloc(room, sizeof *w->starts);
		w->resume = pgo_calloc(room, sizeof *w->resume);
		w->stops = pgo_calloc(room, sizeof *w->stops);
		if (w->count == NULL || w->starts == NULL || w->resume == NULL || w->stops == NULL)
			return -1;
		w->room = room;
		return 0;
	}
	memset(w->count, 0, n * sizeof *w->count);
	memset(w->starts, 0, n * sizeof *w->starts);
	memset(w->resume, 0, n * sizeof *w->resume);
	memset(w->stops, 0, n * sizeof *w->stops);
	return 0;
}

static void count_stops(struct pgo_fnwork *w)
{
	for (size_t i = 0; i < w->cfg.n_insns; i++) {
		uint8_t kind = w->cfg.insns[i].kind;

		w->stops[i + 1] =
			w->stops[i] + ((pgo_insn_ends_flow(kind) && kind != PGO_INSN_TRAP) ||
					      pgo_insn_is_call(kind));
	}
}

static bool is_pad(const struct pgo_fnwork *w, uint64_t addr)
{
	return w->n_pads != 0 &&
	       bsearch(&addr, w->pads, w->n_pads, sizeof *w->pads, pgo_compare_u64) != NULL;
}

/*
 * Did the range come through the call just before it?  It did if a return led there, also one of
 * the function itself (recursion), or something outside that is not known to be otherwise.
 */
static bool resumes(
	const struct pgo_pass *p, const struct pgo_fnwork *w, const struct pgo_trace *t, uint32_t i)
{
	const struct pgo_codefn *fn = w->fn;

	if (i == 0 || t->source == PGO_AT_NONE || !pgo_insn_is_call(w->cfg.insns[i - 1].kind))
		return false;
	if (t->source == PGO_AT_OUTSIDE_RETURN ||
		(pgo_at_inside(t->source) && pgo_insn_kind_at(p->elf, t->source) == PGO_INSN_RET))
		return true;
	return (t->source < fn->start || t->source >= fn->end) && !is_pad(w, t->target);
}

/* Where a range does not fit, NULL if it does. */
static uint64_t *misfit(struct pgo_account *a, const struct pgo_fnwork *w,
	const struct pgo_trace *t, uint32_t *ret_from, uint32_t *ret_to)
{
	if (t->end < t->target)
		return &a->ranges_backward;
	if (t->end - t->target > PGO_RANGE_MAX)
		return &a->ranges_too_long;
	if (t->end >= w->fn->end)
		return &a->ranges_cross_function;
	*ret_from = pgo_cfg_at(&w->cfg, t->target);
	*ret_to = pgo_cfg_at(&w->cfg, t->end);
	if (*ret_from == UINT32_MAX || *ret_to == UINT32_MAX)
		return &a->ranges_misaligned;
	if (w->stops[*ret_to] != w->stops[*ret_from])
		return &a->ranges_cross_jump;
	return NULL;
}

/* Adds the ranges that start in the function as differences, then sums them up.  Unsigned
 * differences may wrap on the way; the sums do not. */
static void sweep(struct pgo_pass *p, struct pgo_fnwork *w, size_t first, size_t last)
{
	struct pgo_account *a = p->account;

	for (size_t i = first; i < last; i++) {
		const struct pgo_trace *t = &p->ranges->traces[i];
		uint32_t from = 0, to = 0;
		uint64_t *lost;

		if (!pgo_at_inside(t->end))
			continue;
		lost = misfit(a, w, t, &from, &to);
		if (lost != NULL) {
			*lost = pgo_add_sat(*lost, t->records);
			continue;
		}
		a->ranges_used = pgo_add_sat(a->ranges_used, t->records);
		w->count[from] += t->count;
		w->count[to + 1] -= t->count;
		w->starts[from] += t->count;
		if (p->edges != NULL && resumes(p, w, t, from))
			w->resume[from] += t->count;
	}
	for (size_t i = 1; i < w->cfg.n_insns; i++)
		w->count[i] += w->count[i - 1];
}

static void tally(struct pgo_pass *p, const struct pgo_fnwork *w, size_t fn)
{
	uint64_t *sum = &p->executed[2 * fn];

	for (size_t i = 0; i < w->cfg.n_insns; i++) {
		uint64_t n = pgo_pass_scale(p, w->count[i]);

		if (n == 0)
			continue;
		p->account->instructions_hit++;
		sum[0] = pgo_add_sat(sum[0], n);
		sum[1] = pgo_add_sat(sum[1], n * w->cfg.insns[i].size);
	}
	p->account->executions = pgo_add_sat(p->account->executions, sum[0]);
}

/* ------------------------------------------------------------------ all functions */

/* Ranges that start where no function is: in linkage stubs, which no profile format counts, or in
 * code without a symbol. */
static void lose_unknown(struct pgo_pass *p, size_t first, size_t last)
{
	struct pgo_account *a = p->account;

	for (size_t i = first; i < last; i++) {
		const struct pgo_trace *t = &p->ranges->traces[i];
		uint64_t *lost = pgo_plt_at(p->elf, t->target) != NULL ? &a->ranges_stub
								       : &a->ranges_no_function;

		if (pgo_at_inside(t->target) && pgo_at_inside(t->end))
			*lost = pgo_add_sat(*lost, t->records);
	}
}

static int one_function(struct pgo_pass *p, struct pgo_fnwork *w, const struct pgo_landing *landing,
	size_t first, size_t last, struct pgo_err *err)
{
	size_t fn = (size_t)(w->fn - p->fns->fns);
	int rc;

	if (collect_leaders(w, p, landing) < 0)
		return pgo_err_nomem(err);
	rc = pgo_cfg_decode(
		&w->cfg, p->elf, w->fn->start, w->fn->end, w->leaders, w->n_leaders, err);
	if (rc < 0)
		return rc;
	if (grow_work(w) < 0)
		return pgo_err_nomem(err);
	count_stops(w);
	sweep(p, w, first, last);
	tally(p, w, fn);
	if (p->positions != NULL && pgo_positions_add(p->positions, p, w) < 0)
		return pgo_err_nomem(err);
	if (p->edges != NULL && pgo_edges_add(p->edges, p, w) < 0)
		return pgo_err_nomem(err);
	return 0;
}

static int walk(struct pgo_pass *p, struct pgo_fnwork *w, const struct pgo_landing *landing,
	struct pgo_err *err)
{
	const struct pgo_trace *traces = p->ranges->traces;
	size_t t = 0, b = 0, n_traces = p->ranges->n_traces;
	int rc = 0;

	for (size_t f = 0; f < p->fns->n_fns && rc == 0; f++) {
		size_t first = t, last;

		w->fn = &p->fns->fns[f];
		while (t < n_traces && traces[t].target < w->fn->start)
			t++;
		lose_unknown(p, first, t);
		for (last = t; last < n_traces && traces[last].target < w->fn->end;)
			last++;
		while (b < p->n_branches && p->branches[b].source < w->fn->start)
			b++;
		w->branches = &p->branches[b];
		while (b < p->n_branches && p->branches[b].source < w->fn->end)
			b++;
		w->n_branches = (size_t)(&p->branches[b] - w->branches);
		rc = one_function(p, w, landing, t, last, err);
		t = last;
	}
	lose_unknown(p, t, n_traces);
	return rc;
}

/* Branches whose source is in no function: from outside, or from code without a symbol. */
static int from_elsewhere(struct pgo_pass *p)
{
	for (size_t i = 0; i < p->n_branches; i++) {
		const struct pgo_branch *b = &p->branches[i];

		if (pgo_codefns_find(p->fns, b->source) != UINT32_MAX)
			continue;
		if ((p->positions != NULL && pgo_positions_enter(p->positions, p, b) < 0) ||
			(p->edges != NULL && pgo_edges_enter(p->edges, p, b) < 0))
			return -1;
	}
	return 0;
}

static void work_fini(struct pgo_fnwork *w)
{
	pgo_cfg_fini(&w->cfg);
	pgo_free(w->count);
	pgo_free(w->starts);
	pgo_free(w->resume);
	pgo_free(w->stops);
	pgo_free(w->leaders);
	pgo_free(w->pads);
}

/* A larger surplus of branches than the shortest of rings has is something else, and is left alone. */
#define SURPLUS_MAX 4

static void find_scale(struct pgo_pass *p)
{
	for (size_t i = 0; i < p->ranges->n_traces; i++) {
		const struct pgo_trace *t = &p->ranges->traces[i];

		if (!pgo_at_inside(t->target))
			continue;
		if (t->source != PGO_AT_NONE)
			p->branches_in = pgo_add_sat(p->branches_in, t->count);
		if (t->end != PGO_AT_NONE)
			p->runs_in = pgo_add_sat(p->runs_in, t->count);
	}
	/* Where nothing was recorded, nothing was lost. */
	if (!p->account->lbr || p->runs_in == 0 || p->branches_in < p->runs_in ||
		p->branches_in - p->runs_in > p->runs_in / SURPLUS_MAX)
		p->branches_in = p->runs_in = 1;
}

int pgo_pass_run(struct pgo_pass *p, struct pgo_err *err)
{
	struct pgo_landing landing = {0};
	struct pgo_fnwork w = {0};
	int rc;

	find_scale(p);
	p->executed = pgo_calloc(p->fns->n_fns + 1, 2 * sizeof *p->executed);
	if (p->executed == NULL || make_branches(p) < 0 || pgo_landing_init(&landing, p->elf) < 0) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	rc = walk(p, &w, &landing, err);
	if (rc == 0 && from_elsewhere(p) < 0)
		rc = pgo_err_nomem(err);
out:
	pgo_landing_fini(&landing);
	work_fini(&w);
	return rc;
}

void pgo_pass_fini(struct pgo_pass *p)
{
	pgo_free(p->branches);
	pgo_free(p->executed);
}
