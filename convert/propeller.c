/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/propeller.h"

#include "convert/callgraph.h"
#include "convert/cfg.h"
#include "convert/exttsp.h"
#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_BUDGET ((size_t)4 << 30)

struct pgo_propeller *pgo_propeller_new(struct pgo_err *err)
{
	struct pgo_propeller *p = pgo_calloc(1, sizeof *p);

	if (p == NULL || pgo_strtab_init(&p->strs, NAMES_BUDGET) < 0) {
		(void)pgo_err_nomem(err);
		pgo_free(p);
		return NULL;
	}
	return p;
}

void pgo_propeller_free(struct pgo_propeller *p)
{
	if (p == NULL)
		return;
	pgo_strtab_fini(&p->strs);
	pgo_free(p->fns);
	pgo_free(p->names);
	pgo_free(p->blocks);
	pgo_free(p);
}

/* ------------------------------------------------------------------ counts of blocks and edges */

struct maker {
	const struct pgo_elf *elf, *symbols;
	const struct pgo_codefns *fns;
	const struct pgo_ranges *ranges;
	struct pgo_bbaddrmap map;
	uint64_t *count;            /* by block: executions */
	uint64_t *through;          /* by block: times that went on into the next one */
	struct pgo_tsp_edge *edges; /* taken branches inside of functions, by block */
	size_t n_edges, edges_room;
	uint32_t *by_fn;            /* blocks, by function and address */
	uint32_t *first_of;         /* by function of the map, n + 1 */
	struct pgo_strtab repeated; /* names that several local functions have */
	struct pgo_propeller *p;
	/* One function at a time. */
	struct pgo_tsp_block *tsp;
	struct pgo_tsp_edge *tsp_edges;
	uint32_t *order, *local, *hot;
	size_t tsp_edges_room;
};

static uint64_t scaled(uint64_t n, uint64_t branches, uint64_t runs)
{
	unsigned __int128 wide = (unsigned __int128)n * branches + runs / 2;

	wide /= runs;
	return wide > UINT64_MAX ? UINT64_MAX : (uint64_t)wide;
}

/* A run enters block `first` and goes on into each up to `last`: differences, summed up later. */
static void add_run(struct maker *m, const struct pgo_trace *t)
{
	const struct pgo_bb *blocks = m->map.blocks;
	uint32_t first, last;

	if (!pgo_at_inside(t->target) || !pgo_at_inside(t->end) || t->end < t->target ||
		t->end - t->target > PGO_RANGE_MAX)
		return;
	first = pgo_bbaddrmap_find(&m->map, t->target);
	last = pgo_bbaddrmap_find(&m->map, t->end);
	if (first == UINT32_MAX || last == UINT32_MAX || blocks[first].fn != blocks[last].fn)
		return;
	m->count[first] += t->count;
	m->count[last + 1] -= t->count;
	m->through[first] += t->count;
	m->through[last] -= t->count;
	/* A return to the start of a block came through the call that ends the one before. */
	if (first != 0 && blocks[first].addr == t->target && t->source != PGO_AT_NONE &&
		blocks[first - 1].fn == blocks[first].fn &&
		blocks[first - 1].addr + blocks[first - 1].size == t->target &&
		(t->source == PGO_AT_OUTSIDE_RETURN ||
			(pgo_at_inside(t->source) &&
				pgo_insn_kind_at(m->elf, t->source) == PGO_INSN_RET))) {
		m->through[first - 1] += t->count;
		m->through[first] -= t->count;
	}
}

static int add_branch(struct maker *m, const struct pgo_trace *t)
{
	const struct pgo_bb *blocks = m->map.blocks;
	struct pgo_tsp_edge *e;
	enum pgo_insn_kind kind;
	uint32_t from, to;

	if (!pgo_at_inside(t->source) || !pgo_at_inside(t->target))
		return 0;
	from = pgo_bbaddrmap_find(&m->map, t->source);
	to = pgo_bbaddrmap_find(&m->map, t->target);
	if (from == UINT32_MAX || to == UINT32_MAX || blocks[from].fn != blocks[to].fn ||
		blocks[to].addr != t->target)
		return 0;
	kind = pgo_insn_kind_at(m->elf, t->source);
	if (pgo_insn_is_call((uint8_t)kind) || kind == PGO_INSN_RET)
		return 0;
	e = PGO_VEC_PUSH(m->edges, m->n_edges, m->edges_room);
	if (e == NULL)
		return -1;
	*e = (struct pgo_tsp_edge){from, to, t->count};
	return 0;
}

static int by_source(const void *pa, const void *pb)
{
	const struct pgo_tsp_edge *a = pa, *b = pb;

	if (a->from != b->from)
		return a->from < b->from ? -1 : 1;
	return a->to < b->to ? -1 : a->to > b->to;
}

/*
 * The newest branch of a ring has no run: runs are scaled up to the branches that led to them, as
 * in convert/pass.h, so that blocks entered either way compare.
 */
static int count_blocks(struct maker *m)
{
	const struct pgo_ranges *r = m->ranges;
	uint64_t branches = 0, runs = 0;

	m->count = pgo_calloc(m->map.n_blocks + 2, sizeof *m->count);
	m->through = pgo_calloc(m->map.n_blocks + 2, sizeof *m->through);
	if (m->count == NULL || m->through == NULL)
		return -1;
	for (size_t i = 0; i < r->n_traces; i++) {
		const struct pgo_trace *t = &r->traces[i];

		if (pgo_at_inside(t->target)) {
			branches += t->source != PGO_AT_NONE ? t->count : 0;
			runs += t->end != PGO_AT_NONE ? t->count : 0;
		}
		add_run(m, t);
		if (add_branch(m, t) < 0)
			return -1;
	}
	if (runs == 0 || branches < runs || branches - runs > runs / 4)
		branches = runs = 1;
	for (size_t i = 1; i <= m->map.n_blocks; i++) {
		m->count[i] += m->count[i - 1];
		m->through[i] += m->through[i - 1];
	}
	for (size_t i = 0; i < m->map.n_blocks; i++) {
		m->count[i] = scaled(m->count[i], branches, runs);
		m->through[i] = scaled(m->through[i], branches, runs);
	}
	/* Where a branch led is hot, also if its run was not recorded. */
	for (size_t i = 0; i < m->n_edges; i++) {
		if (m->count[m->edges[i].to] == 0)
			m->count[m->edges[i].to] = m->edges[i].count;
		if (m->count[m->edges[i].from] == 0)
			m->count[m->edges[i].from] = m->edges[i].count;
	}
	if (m->n_edges != 0)
		qsort(m->edges, m->n_edges, sizeof *m->edges, by_source);
	return 0;
}

/* Blocks by function: the map's are by address, and a function may be in several pieces. */
static int group(struct maker *m)
{
	size_t n = m->map.n_blocks, n_fns = m->map.n_fns;
	uint32_t *at;

	m->by_fn = pgo_malloc((n + 1) * sizeof *m->by_fn);
	m->first_of = pgo_calloc(n_fns + 2, sizeof *m->first_of);
	m->tsp = pgo_calloc(n + 1, sizeof *m->tsp);
	m->order = pgo_calloc(n + 1, sizeof *m->order);
	m->local = pgo_calloc(n + 1, sizeof *m->local);
	m->hot = pgo_calloc(n + 1, sizeof *m->hot);
	if (m->by_fn == NULL || m->first_of == NULL || m->tsp == NULL || m->order == NULL ||
		m->local == NULL || m->hot == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		m->first_of[m->map.blocks[i].fn + 2]++;
	for (size_t f = 2; f <= n_fns + 1; f++)
		m->first_of[f] += m->first_of[f - 1];
	at = m->first_of + 1; /* moves each start to where it belongs */
	for (size_t i = 0; i < n; i++)
		m->by_fn[at[m->map.blocks[i].fn]++] = (uint32_t)i;
	return 0;
}

/* ------------------------------------------------------------------ names */

static int find_repeated(struct maker *m)
{
	const struct pgo_elf *e = m->symbols;

	for (size_t i = 0; i < e->n_symbols; i++)
		if (e->symbols[i].local_rank == 2 && e->symbols[i].function &&
			pgo_strtab_puts(&m->repeated, e->symbols[i].name) == PGO_STR_NONE)
			return -1;
	return 0;
}

static bool usable_name(const struct maker *m, const struct pgo_symbol *s)
{
	if (!s->function || s->name[0] == '\0' || strpbrk(s->name, " /\n") != NULL)
		return false;
	return s->local_rank == 0 ||
	       pgo_strtab_find(&m->repeated, s->name, strlen(s->name)) == PGO_STR_NONE;
}

static int add_name(struct pgo_propeller *p, const char *name)
{
	uint32_t *id = PGO_VEC_PUSH(p->names, p->n_names, p->names_room);

	if (id == NULL)
		return -1;
	*id = pgo_strtab_puts(&p->strs, name);
	return *id == PGO_STR_NONE ? -1 : 0;
}

/* The usable names of the function at `addr`, the one that the program goes by first. */
static int add_names(struct maker *m, uint64_t addr, struct pgo_cluster_fn *fn)
{
	const struct pgo_elf *e = m->symbols;
	const struct pgo_symbol *own = pgo_elf_symbol(e, addr);
	size_t lo = 0, hi = e->n_symbols;

	fn->first_name = (uint32_t)m->p->n_names;
	if (own != NULL && own->addr == addr && usable_name(m, own) &&
		add_name(m->p, own->name) < 0)
		return -1;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (e->symbols[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < e->n_symbols && e->symbols[lo].addr == addr; lo++) {
		const struct pgo_symbol *s = &e->symbols[lo];

		if (s == own || !usable_name(m, s) ||
			(own != NULL && strcmp(s->name, own->name) == 0))
			continue;
		if (add_name(m->p, s->name) < 0)
			return -1;
	}
	fn->n_names = (uint32_t)m->p->n_names - fn->first_name;
	return 0;
}

/* ------------------------------------------------------------------ one function */

/* Its blocks that ran, the entry first, as 0..n-1; `*ret_rest`: others did not. */
static size_t hot_blocks(struct maker *m, uint32_t f, bool *ret_rest)
{
	const struct pgo_bb *blocks = m->map.blocks;
	uint32_t entry = pgo_bbaddrmap_find(&m->map, m->map.fns[f].addr);
	size_t n = 0;
	bool any = false;

	*ret_rest = false;
	if (entry == UINT32_MAX || blocks[entry].fn != f)
		return 0;
	m->hot[n++] = entry;
	any = m->count[entry] != 0;
	for (uint32_t i = m->first_of[f]; i < m->first_of[f + 1]; i++) {
		uint32_t b = m->by_fn[i];

		if (b == entry)
			continue;
		if (m->count[b] == 0) {
			*ret_rest = true;
			continue;
		}
		m->hot[n++] = b;
		any = true;
	}
	for (size_t i = 0; i < n; i++) {
		m->local[m->hot[i]] = (uint32_t)i;
		m->tsp[i] = (struct pgo_tsp_block){blocks[m->hot[i]].size, m->count[m->hot[i]]};
	}
	return any ? n : 0;
}

static size_t first_edge(const struct maker *m, uint32_t block)
{
	size_t lo = 0, hi = m->n_edges;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->edges[mid].from < block)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int hot_edges(struct maker *m, size_t n, size_t *ret_n)
{
	const struct pgo_bb *blocks = m->map.blocks;
	struct pgo_tsp_edge *e;
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t b = m->hot[i];

		for (size_t j = first_edge(m, b); j < m->n_edges && m->edges[j].from == b; j++) {
			e = PGO_VEC_PUSH(m->tsp_edges, k, m->tsp_edges_room);
			if (e == NULL)
				return -1;
			*e = (struct pgo_tsp_edge){
				(uint32_t)i, m->local[m->edges[j].to], m->edges[j].count};
		}
		if (m->through[b] == 0 || b + 1 >= m->map.n_blocks ||
			blocks[b + 1].fn != blocks[b].fn || m->count[b + 1] == 0)
			continue;
		e = PGO_VEC_PUSH(m->tsp_edges, k, m->tsp_edges_room);
		if (e == NULL)
			return -1;
		*e = (struct pgo_tsp_edge){(uint32_t)i, m->local[b + 1], m->through[b]};
	}
	*ret_n = k;
	return 0;
}

/* Appends the function if it ran; `*ret_size`: bytes of its listed blocks, 0 if it did not. */
static int add_function(struct maker *m, uint32_t f, uint64_t *ret_size, struct pgo_err *err)
{
	struct pgo_propeller *p = m->p;
	struct pgo_cluster_fn fn = {.first_block = (uint32_t)p->n_blocks}, *to;
	size_t n = hot_blocks(m, f, &fn.rest), n_edges;
	int rc;

	*ret_size = 0;
	if (n == 0)
		return 0;
	if (add_names(m, m->map.fns[f].addr, &fn) < 0 || hot_edges(m, n, &n_edges) < 0)
		return pgo_err_nomem(err);
	if (fn.n_names == 0) {
		p->n_ambiguous++;
		return 0;
	}
	rc = pgo_tsp_order(m->tsp, n, m->tsp_edges, n_edges, m->order, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n; i++) {
		struct pgo_cluster_block *b = PGO_VEC_PUSH(p->blocks, p->n_blocks, p->blocks_room);

		if (b == NULL)
			return pgo_err_nomem(err);
		*b = (struct pgo_cluster_block){m->map.blocks[m->hot[m->order[i]]].id, i == 0};
		*ret_size += m->tsp[m->order[i]].size;
	}
	fn.n_blocks = (uint32_t)n;
	to = PGO_VEC_PUSH(p->fns, p->n_fns, p->fns_room);
	if (to == NULL)
		return pgo_err_nomem(err);
	*to = fn;
	return 0;
}

/* ------------------------------------------------------------------ all of them */

/* The map's function that begins where function `i` of the symbols does. */
static uint32_t mapped(const struct maker *m, uint32_t i)
{
	uint64_t addr = m->fns->fns[i].start;
	uint32_t b = pgo_bbaddrmap_find(&m->map, addr);
	uint32_t f = b != UINT32_MAX ? m->map.blocks[b].fn : UINT32_MAX;

	return f != UINT32_MAX && m->map.fns[f].addr == addr ? f : UINT32_MAX;
}

/* Functions stand in the order of calls, by the size of what is left of them. */
static int order_functions(struct maker *m, struct pgo_err *err)
{
	struct pgo_callgraph g = {0};
	struct pgo_cluster_fn *sorted = NULL, *found = NULL;
	uint32_t *order = NULL, *place = NULL;
	size_t n_order = 0, n = 0;
	int rc = pgo_callgraph_make(&g, m->elf, m->fns, m->ranges, err);

	if (rc < 0)
		goto out;
	order = pgo_calloc(g.n_fns + 1, sizeof *order);
	place = pgo_calloc(g.n_fns + 1, sizeof *place);
	if (order == NULL || place == NULL) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	for (uint32_t i = 0; i < g.n_fns && rc == 0; i++) {
		uint32_t f = mapped(m, i);
		size_t before = m->p->n_fns;
		uint64_t size;

		if (f == UINT32_MAX)
			continue;
		rc = add_function(m, f, &size, err);
		if (rc == 0 && m->p->n_fns != before) {
			place[i] = (uint32_t)m->p->n_fns;
			g.size[i] = size;
			if (g.weight[i] == 0)
				g.weight[i] = 1;
		}
	}
	if (rc == 0)
		rc = pgo_callgraph_order(&g, order, &n_order, err);
	found = m->p->fns;
	sorted = rc == 0 ? pgo_calloc(m->p->n_fns + 1, sizeof *sorted) : NULL;
	if (rc == 0 && sorted == NULL)
		rc = pgo_err_nomem(err);
	for (size_t i = 0; i < n_order && rc == 0; i++)
		if (place[order[i]] != 0)
			sorted[n++] = found[place[order[i]] - 1];
	if (rc == 0) {
		m->p->fns = sorted;
		m->p->fns_room = m->p->n_fns + 1;
		m->p->n_fns = n;
		pgo_free(found);
	}
out:
	pgo_callgraph_fini(&g);
	pgo_free(order);
	pgo_free(place);
	return rc;
}

static void fini(struct maker *m)
{
	pgo_bbaddrmap_fini(&m->map);
	pgo_strtab_fini(&m->repeated);
	pgo_free(m->count);
	pgo_free(m->through);
	pgo_free(m->edges);
	pgo_free(m->by_fn);
	pgo_free(m->first_of);
	pgo_free(m->tsp);
	pgo_free(m->tsp_edges);
	pgo_free(m->order);
	pgo_free(m->local);
	pgo_free(m->hot);
}

static int make(struct maker *m, struct pgo_err *err)
{
	int rc = pgo_bbaddrmap_load(&m->map, m->elf, err);

	if (rc < 0)
		return rc;
	if (count_blocks(m) < 0 || group(m) < 0 || find_repeated(m) < 0)
		return pgo_err_nomem(err);
	rc = order_functions(m, err);
	if (rc == 0 && m->p->n_fns == 0)
		rc = pgo_err_set(err, PGO_EEMPTY,
			"%s: nothing of the profile is in blocks that the block address map knows; "
			"was another build profiled?",
			m->elf->path);
	return rc;
}

struct pgo_propeller *pgo_propeller_make(const struct pgo_elf *elf, const struct pgo_elf *symbols,
	const struct pgo_codefns *fns, const struct pgo_ranges *r, struct pgo_err *err)
{
	struct maker m = {.elf = elf, .symbols = symbols, .fns = fns, .ranges = r};
	int rc;

	if (pgo_strtab_init(&m.repeated, NAMES_BUDGET) < 0) {
		(void)pgo_err_nomem(err);
		return NULL;
	}
	m.p = pgo_propeller_new(err);
	rc = m.p != NULL ? make(&m, err) : PGO_ENOMEM;
	fini(&m);
	if (rc == 0)
		return m.p;
	pgo_propeller_free(m.p);
	return NULL;
}

int pgo_propeller_order(const struct pgo_propeller *p, struct pgo_linkorder *l, struct pgo_err *err)
{
	struct pgo_buf cold;
	int rc = 0;

	pgo_buf_init(&cold, (size_t)1 << 20);
	for (size_t i = 0; i < 2 * p->n_fns && rc == 0; i++) {
		const struct pgo_cluster_fn *f = &p->fns[i % p->n_fns];
		const char *name = pgo_strtab_get(&p->strs, p->names[f->first_name]);

		if (i < p->n_fns) {
			rc = pgo_linkorder_add(l, PGO_LINK_LLD, name, NULL, 0);
		} else if (f->rest) {
			pgo_buf_clear(&cold);
			pgo_buf_printf(&cold, "%s.cold", name);
			rc = cold.failed ? PGO_ENOMEM
					 : pgo_linkorder_add(l, PGO_LINK_LLD, cold.data, NULL, 0);
		}
	}
	pgo_buf_fini(&cold);
	return rc < 0 ? pgo_err_nomem(err) : 0;
}
