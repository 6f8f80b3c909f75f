/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/callgraph.h"

#include "convert/cfg.h"
#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define CLUSTER_MAX ((uint64_t)1 << 20) /* bytes */
#define DENSITY_LOSS_MAX 8
#define CALLER_SHARE_MIN 10 /* one call in so many */

/* ------------------------------------------------------------------ making */

/* A run's instructions reach beyond the start of its last one by a few bytes. */
#define LAST_INSN 4

static void weigh(struct pgo_callgraph *g, const struct pgo_codefns *fns, const struct pgo_trace *t)
{
	unsigned __int128 bytes;
	uint32_t f;

	if (!pgo_at_inside(t->target) || !pgo_at_inside(t->end) || t->end < t->target ||
		t->end - t->target > PGO_RANGE_MAX)
		return;
	f = pgo_codefns_find(fns, t->target);
	if (f == UINT32_MAX || t->end >= fns->fns[f].end)
		return;
	bytes = (unsigned __int128)(t->end - t->target + LAST_INSN) * t->count;
	g->weight[f] = pgo_add_sat(g->weight[f], bytes > UINT64_MAX ? UINT64_MAX : (uint64_t)bytes);
}

static int add_call(struct pgo_callgraph *g, const struct pgo_elf *code,
	const struct pgo_codefns *fns, const struct pgo_trace *t)
{
	struct pgo_callee *e;
	uint32_t from, to;

	if (!pgo_at_inside(t->source) || !pgo_at_inside(t->target) || t->count == 0)
		return 0;
	to = pgo_codefns_find(fns, t->target);
	if (to == UINT32_MAX || fns->fns[to].start != t->target)
		return 0;
	from = pgo_codefns_find(fns, t->source);
	if (from == UINT32_MAX || from == to || pgo_insn_kind_at(code, t->source) == PGO_INSN_RET)
		return 0;
	e = PGO_VEC_PUSH(g->edges, g->n_edges, g->edges_room);
	if (e == NULL)
		return -1;
	*e = (struct pgo_callee){from, to, t->count};
	return 0;
}

static int compare_edges(const void *pa, const void *pb)
{
	const struct pgo_callee *a = pa, *b = pb;

	if (a->from != b->from)
		return a->from < b->from ? -1 : 1;
	return a->to < b->to ? -1 : a->to > b->to;
}

static void sum_edges(struct pgo_callgraph *g)
{
	size_t n = 0;

	if (g->n_edges != 0)
		qsort(g->edges, g->n_edges, sizeof *g->edges, compare_edges);
	for (size_t i = 0; i < g->n_edges; i++) {
		if (n != 0 && compare_edges(&g->edges[n - 1], &g->edges[i]) == 0)
			g->edges[n - 1].count =
				pgo_add_sat(g->edges[n - 1].count, g->edges[i].count);
		else
			g->edges[n++] = g->edges[i];
	}
	g->n_edges = n;
}

int pgo_callgraph_make(struct pgo_callgraph *g, const struct pgo_elf *code,
	const struct pgo_codefns *fns, const struct pgo_ranges *r, struct pgo_err *err)
{
	*g = (struct pgo_callgraph){.n_fns = fns->n_fns};
	g->size = pgo_calloc(fns->n_fns + 1, sizeof *g->size);
	g->weight = pgo_calloc(fns->n_fns + 1, sizeof *g->weight);
	if (g->size == NULL || g->weight == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < fns->n_fns; i++)
		g->size[i] = fns->fns[i].end - fns->fns[i].start;
	for (size_t i = 0; i < r->n_traces; i++) {
		weigh(g, fns, &r->traces[i]);
		if (add_call(g, code, fns, &r->traces[i]) < 0)
			return pgo_err_nomem(err);
	}
	sum_edges(g);
	return 0;
}

void pgo_callgraph_fini(struct pgo_callgraph *g)
{
	pgo_free(g->size);
	pgo_free(g->weight);
	pgo_free(g->edges);
	*g = (struct pgo_callgraph){0};
}

/* ------------------------------------------------------------------ ordering */

/* A cluster is known by its first function; functions are linked in order. */
struct c3 {
	const struct pgo_callgraph *g;
	uint32_t *next;          /* by function; UINT32_MAX = last */
	uint32_t *leader;        /* of the cluster; may point to one that was merged: follow */
	uint32_t *last;          /* by leader */
	uint64_t *size, *weight; /* by leader */
	uint32_t *caller;        /* by function: the most frequent, or UINT32_MAX */
	uint64_t *calls, *most;  /* by function: all calls of it; those of that caller */
	uint32_t *order;
};

static uint32_t leader_of(struct c3 *c, uint32_t f)
{
	while (c->leader[f] != f)
		f = c->leader[f] = c->leader[c->leader[f]];
	return f;
}

static int hotter(const void *pa, const void *pb, void *ctx)
{
	const struct pgo_callgraph *g = ctx;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	if (g->weight[a] != g->weight[b])
		return g->weight[a] < g->weight[b] ? 1 : -1;
	return (a > b) - (a < b);
}

static int denser(const void *pa, const void *pb, void *ctx)
{
	const struct c3 *c = ctx;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	unsigned __int128 da = (unsigned __int128)c->weight[a] * (c->size[b] + 1),
			  db = (unsigned __int128)c->weight[b] * (c->size[a] + 1);

	if (da != db)
		return da > db ? -1 : 1;
	return (a > b) - (a < b);
}

static void find_callers(struct c3 *c)
{
	for (size_t i = 0; i < c->g->n_edges; i++) {
		const struct pgo_callee *e = &c->g->edges[i];

		c->calls[e->to] = pgo_add_sat(c->calls[e->to], e->count);
		if (c->g->weight[e->from] != 0 && e->count > c->most[e->to]) {
			c->most[e->to] = e->count;
			c->caller[e->to] = e->from;
		}
	}
}

static bool worthwhile(const struct c3 *c, uint32_t f, uint32_t into, uint32_t what)
{
	uint64_t size = c->size[into] + c->size[what];
	unsigned __int128 weight = (unsigned __int128)c->weight[into] + c->weight[what];

	if (into == what || size > CLUSTER_MAX ||
		(unsigned __int128)c->most[f] * CALLER_SHARE_MIN < c->calls[f])
		return false;
	/* weight/size of both >= (weight/size of the caller's) / 8 */
	return weight * DENSITY_LOSS_MAX * (c->size[into] + 1) >=
	       (unsigned __int128)c->weight[into] * (size + 1);
}

static void cluster(struct c3 *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t f = c->order[i], into, what;

		if (c->caller[f] == UINT32_MAX)
			continue;
		into = leader_of(c, c->caller[f]);
		what = leader_of(c, f);
		if (!worthwhile(c, f, into, what))
			continue;
		c->next[c->last[into]] = what;
		c->last[into] = c->last[what];
		c->size[into] += c->size[what];
		c->weight[into] = pgo_add_sat(c->weight[into], c->weight[what]);
		c->leader[what] = into;
	}
}

static int start(struct c3 *c)
{
	size_t n = c->g->n_fns + 1;

	c->next = pgo_malloc(n * sizeof *c->next);
	c->leader = pgo_malloc(n * sizeof *c->leader);
	c->last = pgo_malloc(n * sizeof *c->last);
	c->caller = pgo_malloc(n * sizeof *c->caller);
	c->size = pgo_malloc(n * sizeof *c->size);
	c->weight = pgo_malloc(n * sizeof *c->weight);
	c->calls = pgo_calloc(n, sizeof *c->calls);
	c->most = pgo_calloc(n, sizeof *c->most);
	c->order = pgo_malloc(n * sizeof *c->order);
	if (c->next == NULL || c->leader == NULL || c->last == NULL || c->caller == NULL ||
		c->size == NULL || c->weight == NULL || c->calls == NULL || c->most == NULL ||
		c->order == NULL)
		return -1;
	for (uint32_t f = 0; f < c->g->n_fns; f++) {
		c->next[f] = c->caller[f] = UINT32_MAX;
		c->leader[f] = c->last[f] = f;
		c->size[f] = c->g->size[f];
		c->weight[f] = c->g->weight[f];
	}
	return 0;
}

static void write_order(struct c3 *c, size_t n, uint32_t *order, size_t *ret_n)
{
	size_t clusters = 0, k = 0;

	for (size_t i = 0; i < n; i++)
		if (leader_of(c, c->order[i]) == c->order[i])
			c->order[clusters++] = c->order[i];
	if (clusters != 0)
		qsort_r(c->order, clusters, sizeof *c->order, denser, c);
	for (size_t i = 0; i < clusters; i++)
		for (uint32_t f = c->order[i]; f != UINT32_MAX; f = c->next[f])
			order[k++] = f;
	*ret_n = k;
}

int pgo_callgraph_order(
	const struct pgo_callgraph *g, uint32_t *order, size_t *ret_n, struct pgo_err *err)
{
	struct c3 c = {.g = g};
	size_t n = 0;
	int rc = start(&c) < 0 ? pgo_err_nomem(err) : 0;

	if (rc == 0) {
		for (uint32_t f = 0; f < g->n_fns; f++)
			if (g->weight[f] != 0)
				c.order[n++] = f;
		if (n != 0)
			qsort_r(c.order, n, sizeof *c.order, hotter, (void *)g);
		find_callers(&c);
		cluster(&c, n);
		write_order(&c, n, order, ret_n);
	}
	pgo_free(c.next);
	pgo_free(c.leader);
	pgo_free(c.last);
	pgo_free(c.caller);
	pgo_free(c.size);
	pgo_free(c.weight);
	pgo_free(c.calls);
	pgo_free(c.most);
	pgo_free(c.order);
	return rc;
}
