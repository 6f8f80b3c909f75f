/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/positions.h"

#include "pgo/core/alloc.h"
#include "pgo/core/map.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

static uint64_t times(uint64_t count, uint32_t factor)
{
	return factor != 0 && count > UINT64_MAX / factor ? UINT64_MAX : count * factor;
}

/* ------------------------------------------------------------------ before the pass */

static uint32_t name_of_fn(
	const struct pgo_positions *s, const struct pgo_pass *p, const struct pgo_lines_fn *fn)
{
	const struct pgo_symbol *sym;

	if (fn->linkage != 0)
		return fn->linkage;
	sym = pgo_elf_symbol(p->symbols, fn->entry);
	if (sym != NULL && sym->addr == fn->entry)
		return pgo_strtab_add(&s->prof->strs, sym->name, pgo_codefn_base_len(sym->name));
	return fn->name;
}

/* A node's place among its siblings; nodes with equal keys are one. */
struct chain_key {
	uint32_t parent, line, disc, name;
};

static int unify_nodes(struct pgo_positions *s)
{
	size_t n = pgo_lines_n_nodes(s->lines);
	struct chain_key *keys = pgo_calloc(n + 1, sizeof *keys);
	struct pgo_map map;
	int rc = keys != NULL ? 0 : -1;

	pgo_map_init(&map);
	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct pgo_lines_node *d = pgo_lines_node(s->lines, (uint32_t)i);
		uint32_t same = (uint32_t)i;

		if (d->parent != UINT32_MAX) {
			/* Parents come first. */
			keys[i] = (struct chain_key){
				s->nodes[d->parent].same, d->call_line, d->call_disc, d->name};
			same = pgo_map_find_key(&map, keys, sizeof *keys, &keys[i], sizeof *keys);
			if (same == PGO_MAP_NONE) {
				same = (uint32_t)i;
				rc = pgo_map_add_key(&map, &keys[i], sizeof *keys, same);
			}
		}
		s->nodes[i].same = same;
	}
	pgo_map_fini(&map);
	pgo_free(keys);
	return rc;
}

static void mark_ran(struct pgo_positions *s, const struct pgo_ranges *r)
{
	uint64_t last = PGO_AT_NONE;

	for (size_t i = 0; i < r->n_traces; i++) {
		const struct pgo_trace *t = &r->traces[i];
		const struct pgo_lines_fn *fn;

		if (!pgo_at_inside(t->target) || !pgo_at_inside(t->end) || t->target == last)
			continue;
		last = t->target;
		fn = pgo_lines_fn_at(s->lines, t->target);
		if (fn != NULL)
			s->fn_ran[fn - pgo_lines_fn(s->lines, 0)] = true;
	}
}

int pgo_positions_init(struct pgo_positions *s, struct pgo_fnprof *prof, const struct pgo_pass *p)
{
	size_t n_fns = pgo_lines_n_fns(p->lines);

	*s = (struct pgo_positions){.prof = prof, .lines = p->lines};
	s->nodes = pgo_calloc(pgo_lines_n_nodes(p->lines) + 1, sizeof *s->nodes);
	s->fn_ran = pgo_calloc(n_fns + 1, sizeof *s->fn_ran);
	s->fn_names = pgo_calloc(n_fns + 1, sizeof *s->fn_names);
	s->heads = pgo_calloc(n_fns + 1, sizeof *s->heads);
	if (s->nodes == NULL || s->fn_ran == NULL || s->fn_names == NULL || s->heads == NULL ||
		unify_nodes(s) < 0)
		return -1;
	for (size_t i = 0; i < n_fns; i++) {
		s->fn_names[i] = name_of_fn(s, p, pgo_lines_fn(s->lines, (uint32_t)i));
		if (s->fn_names[i] == PGO_STR_NONE)
			return -1;
	}
	mark_ran(s, p->ranges);
	return 0;
}

void pgo_positions_fini(struct pgo_positions *s)
{
	pgo_free(s->nodes);
	pgo_free(s->fn_ran);
	pgo_free(s->fn_names);
	pgo_free(s->heads);
	pgo_free(s->records);
	pgo_free(s->targets);
	*s = (struct pgo_positions){0};
}

/* ------------------------------------------------------------------ one function */

/*
 * Can the compiler find this place again?  Every frame needs a declaration and a line.  But clang
 * gives line 0 to much of what it makes itself, calls too, and looks counts of it up like any other line's (at
 * the offset that wraps around); gcc does not.
 */
static bool usable(const struct pgo_positions *s, const struct pgo_lines_hit *hit)
{
	uint32_t line = hit->line;

	for (uint32_t n = hit->node; n != UINT32_MAX;) {
		const struct pgo_lines_node *d = pgo_lines_node(s->lines, n);

		if (d->decl_line == 0 || d->name == 0)
			return false;
		if (line == 0 && pgo_lines_fn(s->lines, d->fn)->enc != PGO_DISC_CLANG &&
			pgo_lines_fn(s->lines, d->fn)->enc != PGO_DISC_LLVM_FS)
			return false;
		line = d->call_line;
		n = d->parent;
	}
	return hit->node != UINT32_MAX;
}

static uint32_t offset_in(const struct pgo_positions *s, uint32_t node, uint32_t line)
{
	return (line - pgo_lines_node(s->lines, node)->decl_line) & 0xffff;
}

static int add_record(struct pgo_positions *s, const struct pgo_lines_hit *hit, uint64_t count)
{
	struct pgo_positions_record *r = PGO_VEC_PUSH(s->records, s->n_records, s->records_room);

	if (r == NULL)
		return -1;
	*r = (struct pgo_positions_record){s->nodes[hit->node].same,
		offset_in(s, hit->node, hit->line), hit->disc, hit->copy,
		times(count, hit->factor)};
	return 0;
}

/* One record for each stretch of instructions that share line and chain. */
static int add_positions(struct pgo_positions *s, struct pgo_pass *p, const struct pgo_fnwork *w)
{
	const struct pgo_insn *insns = w->cfg.insns;

	for (size_t i = 0; i < w->cfg.n_insns;) {
		struct pgo_lines_hit hit;
		uint64_t max = 0, sum = 0, bytes = 0;

		pgo_lines_find(s->lines, insns[i].addr, &hit);
		do {
			uint64_t n = pgo_pass_scale(p, w->count[i]);

			max = n > max ? n : max;
			sum = pgo_add_sat(sum, n);
			bytes = pgo_add_sat(bytes, n * insns[i].size);
		} while (++i < w->cfg.n_insns && insns[i].addr < hit.end);
		if (hit.node != UINT32_MAX)
			s->nodes[s->nodes[hit.node].same].total =
				pgo_add_sat(s->nodes[s->nodes[hit.node].same].total, bytes);
		if (!usable(s, &hit))
			p->account->no_line = pgo_add_sat(p->account->no_line, sum);
		else if (s->fn_ran[pgo_lines_node(s->lines, hit.node)->fn] &&
			 add_record(s, &hit, max) < 0)
			return -1;
	}
	return 0;
}

/*
 * What a branch to `target` calls: a function's start by DWARF, or by symbol where there is no
 * DWARF.  PGO_STR_NONE if it calls nothing; *ret_fn: UINT32_MAX without DWARF.
 */
static uint32_t callee_at(
	const struct pgo_positions *s, const struct pgo_pass *p, uint64_t target, uint32_t *ret_fn)
{
	const struct pgo_symbol *sym = pgo_elf_symbol(p->symbols, target);
	const struct pgo_lines_fn *fn;

	*ret_fn = UINT32_MAX;
	if (sym != NULL && (sym->addr != target || pgo_codefn_is_part(sym->name)))
		return PGO_STR_NONE;
	fn = pgo_lines_fn_at(s->lines, target);
	if (fn == NULL) {
		if (sym == NULL)
			return PGO_STR_NONE;
		return pgo_strtab_add(&s->prof->strs, sym->name, pgo_codefn_base_len(sym->name));
	}
	if (sym == NULL && fn->entry != target)
		return PGO_STR_NONE;
	*ret_fn = (uint32_t)(fn - pgo_lines_fn(s->lines, 0));
	return s->fn_names[*ret_fn];
}

static bool calls_something(const struct pgo_fnwork *w, const struct pgo_branch *b)
{
	uint32_t i;

	if (!pgo_at_inside(b->target))
		return false;
	i = pgo_cfg_at(&w->cfg, b->source);
	if (i == UINT32_MAX || w->cfg.insns[i].kind == PGO_INSN_RET)
		return false;
	/*
	 * A loop back to the first instruction enters nothing.  An indirect jump does: no table of
	 * a switch leads there, it is a tail call of the same virtual function on another object.
	 */
	return pgo_insn_is_call(w->cfg.insns[i].kind) ||
	       w->cfg.insns[i].kind == PGO_INSN_JUMP_INDIRECT || b->target < w->fn->start ||
	       b->target >= w->fn->end;
}

static int add_calls(struct pgo_positions *s, const struct pgo_pass *p, const struct pgo_fnwork *w)
{
	for (size_t k = 0; k < w->n_branches; k++) {
		const struct pgo_branch *b = &w->branches[k];
		struct pgo_positions_target *t;
		struct pgo_lines_hit hit;
		uint32_t callee, fn;

		if (!calls_something(w, b))
			continue;
		callee = callee_at(s, p, b->target, &fn);
		if (callee == PGO_STR_NONE)
			continue;
		if (fn != UINT32_MAX)
			s->heads[fn] = pgo_add_sat(s->heads[fn], b->count);
		pgo_lines_find(s->lines, b->source, &hit);
		if (!usable(s, &hit))
			continue;
		t = PGO_VEC_PUSH(s->targets, s->n_targets, s->targets_room);
		if (t == NULL)
			return -1;
		*t = (struct pgo_positions_target){s->nodes[hit.node].same,
			offset_in(s, hit.node, hit.line), hit.disc, callee, b->count};
	}
	return 0;
}

int pgo_positions_add(struct pgo_positions *s, struct pgo_pass *p, const struct pgo_fnwork *w)
{
	return add_positions(s, p, w) < 0 ? -1 : add_calls(s, p, w);
}

int pgo_positions_enter(
	struct pgo_positions *s, const struct pgo_pass *p, const struct pgo_branch *b)
{
	uint32_t fn;

	if (!pgo_at_inside(b->target))
		return 0;
	callee_at(s, p, b->target, &fn);
	if (fn != UINT32_MAX)
		s->heads[fn] = pgo_add_sat(s->heads[fn], b->count);
	return 0;
}

/* ------------------------------------------------------------------ after the pass */

static int compare_records(const void *pa, const void *pb)
{
	const struct pgo_positions_record *a = pa, *b = pb;

	if (a->node != b->node)
		return a->node < b->node ? -1 : 1;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->disc != b->disc)
		return a->disc < b->disc ? -1 : 1;
	return a->copy < b->copy ? -1 : a->copy > b->copy;
}

/* Totals flow up the chain.  Children come after their parents, so backwards. */
static void sum_totals(struct pgo_positions *s)
{
	for (size_t i = pgo_lines_n_nodes(s->lines); i-- > 0;) {
		uint32_t parent = pgo_lines_node(s->lines, (uint32_t)i)->parent;
		uint64_t *to;

		if (parent == UINT32_MAX || s->nodes[i].total == 0)
			continue;
		to = &s->nodes[s->nodes[parent].same].total;
		*to = pgo_add_sat(*to, s->nodes[i].total);
	}
}

/* The record of a node in the profile, made on the way down from its function. */
static struct pgo_fn *fn_of_node(const struct pgo_positions *s, struct pgo_fn **made, uint32_t node)
{
	const struct pgo_lines_node *d = pgo_lines_node(s->lines, node);
	struct pgo_fn *up;

	if (made[node] != NULL)
		return made[node];
	if (d->parent == UINT32_MAX) {
		made[node] = pgo_fnprof_fn_of_file(s->prof, s->fn_names[d->fn], d->file);
	} else {
		uint32_t parent = s->nodes[d->parent].same;

		up = fn_of_node(s, made, parent);
		if (up != NULL)
			made[node] = pgo_fn_inlined(s->prof, up, offset_in(s, parent, d->call_line),
				d->call_disc, d->name);
	}
	if (made[node] == NULL)
		return NULL;
	if (made[node]->file == 0)
		made[node]->file = d->file;
	made[node]->total = pgo_add_sat(made[node]->total, s->nodes[node].total);
	return made[node];
}

static int build_positions(struct pgo_positions *s, struct pgo_fn **made)
{
	struct pgo_positions_record *r = s->records;

	if (s->n_records != 0)
		qsort(r, s->n_records, sizeof *r, compare_records);
	for (size_t i = 0; i < s->n_records;) {
		size_t first = i;
		uint64_t sum = 0;
		struct pgo_fn *fn;

		/* The largest within a copy, the sum over copies. */
		while (i < s->n_records && r[i].node == r[first].node &&
			r[i].line == r[first].line && r[i].disc == r[first].disc) {
			uint32_t copy = r[i].copy;
			uint64_t max = 0;

			for (; i < s->n_records && r[i].node == r[first].node &&
				r[i].line == r[first].line && r[i].disc == r[first].disc &&
				r[i].copy == copy;
				i++)
				max = r[i].count > max ? r[i].count : max;
			sum = pgo_add_sat(sum, max);
		}
		fn = fn_of_node(s, made, r[first].node);
		if (fn == NULL ||
			pgo_fn_pos_add(s->prof, fn, r[first].line, r[first].disc, sum) < 0)
			return -1;
	}
	return 0;
}

static int compare_targets(const void *pa, const void *pb)
{
	const struct pgo_positions_target *a = pa, *b = pb;

	if (a->node != b->node)
		return a->node < b->node ? -1 : 1;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->disc != b->disc)
		return a->disc < b->disc ? -1 : 1;
	return a->callee < b->callee ? -1 : a->callee > b->callee;
}

static int build_targets(struct pgo_positions *s, struct pgo_fn **made)
{
	if (s->n_targets != 0)
		qsort(s->targets, s->n_targets, sizeof *s->targets, compare_targets);
	for (size_t i = 0; i < s->n_targets; i++) {
		const struct pgo_positions_target *t = &s->targets[i];
		struct pgo_fn_pos *pos;
		struct pgo_fn *fn;
		uint64_t sum = 0;

		fn = fn_of_node(s, made, t->node);
		if (fn == NULL ||
			pgo_fn_target_add(s->prof, fn, t->line, t->disc, t->callee, t->count) < 0)
			return -1;
		pos = pgo_fn_position(s->prof, fn, t->line, t->disc);
		if (pos == NULL)
			return -1;
		for (uint32_t k = 0; k < pos->n_targets; k++)
			sum = pgo_add_sat(sum, pos->targets[k].count);
		pos->count = sum > pos->count ? sum : pos->count;
	}
	return 0;
}

static int build_heads(struct pgo_positions *s, struct pgo_fn **made)
{
	for (size_t i = 0; i < pgo_lines_n_fns(s->lines); i++) {
		struct pgo_fn *fn;

		if (s->heads[i] == 0)
			continue;
		fn = fn_of_node(s, made, pgo_lines_fn(s->lines, (uint32_t)i)->node);
		if (fn == NULL)
			return -1;
		fn->head = pgo_add_sat(fn->head, s->heads[i]);
	}
	return 0;
}

/* Did the code at the symbol run?  It may be another name's: an alias, or a function that the linker
 * found to be the same and folded. */
static bool code_ran(const struct pgo_pass *p, const struct pgo_symbol *sym)
{
	uint32_t fn = pgo_codefns_find(p->fns, sym->addr);

	return fn != UINT32_MAX && p->executed[2 * fn] != 0;
}

/* Functions that are there and never ran: a compiler may treat those as cold, others as new. */
static int build_cold(struct pgo_positions *s, const struct pgo_pass *p)
{
	size_t n_names = s->prof->strs.n_strs;
	bool *ran = pgo_calloc(n_names, sizeof *ran);
	int rc = ran != NULL ? 0 : -1;

	for (size_t i = 0; i < s->prof->n_fns && rc == 0; i++)
		ran[s->prof->fns[i]->name] = true;
	for (size_t i = 0; i < p->symbols->n_symbols && rc == 0; i++) {
		const struct pgo_symbol *sym = &p->symbols->symbols[i];
		uint32_t name;

		if (!sym->function || sym->size == 0 || pgo_codefn_is_part(sym->name) ||
			!pgo_elf_is_code(p->symbols, sym->addr) || code_ran(p, sym))
			continue;
		name = pgo_strtab_add(&s->prof->strs, sym->name, pgo_codefn_base_len(sym->name));
		if (name == PGO_STR_NONE)
			rc = -1;
		else if (name >= n_names || !ran[name])
			rc = pgo_fnprof_add_cold(s->prof, name);
	}
	pgo_free(ran);
	return rc;
}

int pgo_positions_finish(struct pgo_positions *s, const struct pgo_pass *p)
{
	struct pgo_fn **made = pgo_calloc(pgo_lines_n_nodes(s->lines) + 1, sizeof(void *));
	int rc = -1;

	if (made == NULL)
		return -1;
	sum_totals(s);
	if (build_positions(s, made) == 0 && build_targets(s, made) == 0 &&
		build_heads(s, made) == 0 && build_cold(s, p) == 0) {
		pgo_fnprof_sort(s->prof);
		rc = 0;
	}
	pgo_free(made);
	return rc;
}

uint32_t pgo_positions_name_at(const struct pgo_positions *s, uint64_t addr)
{
	const struct pgo_lines_fn *fn = pgo_lines_fn_at(s->lines, addr);

	return fn != NULL ? s->fn_names[fn - pgo_lines_fn(s->lines, 0)] : PGO_STR_NONE;
}
