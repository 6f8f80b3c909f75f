/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/exttsp.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FAR_AHEAD 1024 /* bytes */
#define FAR_BACK 640
#define NEAR_WEIGHT 0.1
/* Longer chains are joined at their ends only. */
#define CUT_MAX 128
/* What is gained below this share of a branch is rounding. */
#define GAIN_MIN 1e-6

struct chain {
	uint32_t *blocks;
	size_t n;
	uint64_t size, count;
	double score; /* of the edges inside */
	bool live;
};

/* How two chains become one: X whole or cut into X1 and X2, and Y. */
enum shape { X_Y, X1_Y_X2, Y_X2_X1, X2_X1_Y };

struct pair {
	uint32_t x, y; /* chains */
	uint32_t cut;  /* blocks in X1 */
	enum shape shape;
	double gain;
};

struct tsp {
	const struct pgo_tsp_block *blocks;
	size_t n;
	struct pgo_tsp_edge *edges; /* by (from, to), unique, none to itself */
	size_t n_edges;
	uint32_t *first_out; /* n + 1 */
	uint32_t *in;        /* edges by target */
	uint32_t *first_in;  /* n + 1 */
	struct chain *chains;
	uint32_t *chain_of, *index; /* by block: its chain, its place there */
	uint64_t *offset;           /* by block: bytes before it in its chain */
	uint32_t *seen;             /* by chain: the search that met it last */
	uint32_t search;
	struct pair *pairs;
	size_t n_pairs, pairs_room;
	uint32_t *scratch;
};

/* ------------------------------------------------------------------ score */

static double edge_score(uint64_t count, uint64_t from_end, uint64_t to)
{
	uint64_t far = to >= from_end ? to - from_end : from_end - to;
	uint64_t max = to >= from_end ? FAR_AHEAD : FAR_BACK;

	if (far == 0)
		return (double)count;
	if (far > max)
		return 0;
	return NEAR_WEIGHT * (double)count * (1.0 - (double)far / (double)max);
}

/* Where the pieces of two chains lie in the chain they would become. */
struct arrangement {
	uint32_t x, cut;
	uint64_t x1, x2, y; /* what to add to the offset in the chain of each piece's blocks */
};

static uint64_t place(const struct tsp *t, const struct arrangement *a, uint32_t b)
{
	if (t->chain_of[b] != a->x)
		return t->offset[b] + a->y;
	return t->offset[b] + (t->index[b] < a->cut ? a->x1 : a->x2);
}

static double score_at(
	const struct tsp *t, const struct arrangement *a, const struct pgo_tsp_edge *e)
{
	return edge_score(
		e->count, place(t, a, e->from) + t->blocks[e->from].size, place(t, a, e->to));
}

/* Edges between the two, and inside of X if it is cut. */
static double gain_of(const struct tsp *t, const struct arrangement *a, uint32_t y, bool cut)
{
	const struct chain *cx = &t->chains[a->x], *cy = &t->chains[y];
	bool walk_x = cut || cx->n <= cy->n;
	const struct chain *walked = walk_x ? cx : cy;
	uint32_t other = walk_x ? y : a->x;
	double sum = cut ? -cx->score : 0;

	for (size_t i = 0; i < walked->n; i++) {
		uint32_t b = walked->blocks[i];

		for (uint32_t k = t->first_out[b]; k < t->first_out[b + 1]; k++) {
			uint32_t to = t->chain_of[t->edges[k].to];

			if (to == other || (cut && to == a->x))
				sum += score_at(t, a, &t->edges[k]);
		}
		for (uint32_t k = t->first_in[b]; k < t->first_in[b + 1]; k++)
			if (t->chain_of[t->edges[t->in[k]].from] == other)
				sum += score_at(t, a, &t->edges[t->in[k]]);
	}
	return sum;
}

static bool holds_entry(const struct tsp *t, uint32_t c)
{
	return t->chains[c].blocks[0] == 0;
}

/* Tries one shape; keeps it in `best` if it gains more. */
static void try_shape(const struct tsp *t, uint32_t x, uint32_t y, enum shape shape, uint32_t cut,
	struct pair *best)
{
	const struct chain *cx = &t->chains[x], *cy = &t->chains[y];
	uint64_t head = cut < cx->n ? t->offset[cx->blocks[cut]] : cx->size;
	uint64_t tail = cx->size - head;
	struct arrangement a = {.x = x, .cut = cut};
	double gain;

	switch (shape) {
	case X_Y:
		a.y = cx->size;
		break;
	case X1_Y_X2:
		a.y = head;
		a.x2 = cy->size;
		break;
	case Y_X2_X1:
		a.x2 = cy->size - head; /* may wrap: added to an offset of at least head */
		a.x1 = cy->size + tail;
		break;
	case X2_X1_Y:
		a.x2 = 0 - head;
		a.x1 = tail;
		a.y = cx->size;
		break;
	}
	gain = gain_of(t, &a, y, shape != X_Y);
	if (gain > best->gain + GAIN_MIN)
		*best = (struct pair){x, y, cut, shape, gain};
}

static bool has_edge(const struct tsp *t, uint32_t from, uint32_t to)
{
	for (uint32_t k = t->first_out[from]; k < t->first_out[from + 1]; k++)
		if (t->edges[k].to == to)
			return true;
	return false;
}

/* Cuts are worth trying where the pieces become neighbours over an edge. */
static void try_cuts(const struct tsp *t, uint32_t x, uint32_t y, struct pair *best)
{
	const struct chain *cx = &t->chains[x], *cy = &t->chains[y];
	uint32_t y_first = cy->blocks[0], y_last = cy->blocks[cy->n - 1];

	if (cx->n > CUT_MAX)
		return;
	for (uint32_t cut = 1; cut < cx->n; cut++) {
		uint32_t last = cx->blocks[cut - 1], next = cx->blocks[cut];

		if (!holds_entry(t, y) && (has_edge(t, last, y_first) || has_edge(t, y_last, next)))
			try_shape(t, x, y, X1_Y_X2, cut, best);
		if (!holds_entry(t, x) && has_edge(t, y_last, next))
			try_shape(t, x, y, Y_X2_X1, cut, best);
		if (!holds_entry(t, x) && !holds_entry(t, y) && has_edge(t, last, y_first))
			try_shape(t, x, y, X2_X1_Y, cut, best);
	}
}

static void try_both(const struct tsp *t, uint32_t x, uint32_t y, struct pair *best)
{
	if (!holds_entry(t, y))
		try_shape(t, x, y, X_Y, (uint32_t)t->chains[x].n, best);
	try_cuts(t, x, y, best);
}

static int add_pair(struct tsp *t, uint32_t a, uint32_t b)
{
	uint32_t low = a < b ? a : b, high = a < b ? b : a;
	struct pair best = {.x = low, .y = high};
	struct pair *p;

	try_both(t, low, high, &best);
	try_both(t, high, low, &best);
	if (best.gain <= GAIN_MIN)
		return 0;
	p = PGO_VEC_PUSH(t->pairs, t->n_pairs, t->pairs_room);
	if (p == NULL)
		return -1;
	*p = best;
	return 0;
}

/* Pairs of chain `c` with each that it has an edge to or from, and `from` <= the other's number. */
static int add_pairs_of(struct tsp *t, uint32_t c, uint32_t from)
{
	const struct chain *chain = &t->chains[c];

	t->seen[c] = ++t->search;
	for (size_t i = 0; i < chain->n; i++) {
		uint32_t b = chain->blocks[i];
		uint32_t n_out = t->first_out[b + 1] - t->first_out[b];
		uint32_t n_in = t->first_in[b + 1] - t->first_in[b];

		for (uint32_t k = 0; k < n_out + n_in; k++) {
			uint32_t other =
				k < n_out ? t->chain_of[t->edges[t->first_out[b] + k].to]
					  : t->chain_of[t->edges[t->in[t->first_in[b] + k - n_out]]
								.from];

			if (t->seen[other] == t->search || other < from)
				continue;
			t->seen[other] = t->search;
			if (add_pair(t, c, other) < 0)
				return -1;
		}
	}
	return 0;
}

/* ------------------------------------------------------------------ merging */

static void append(struct tsp *t, size_t *n, const struct chain *c, size_t first, size_t last)
{
	memcpy(t->scratch + *n, c->blocks + first, (last - first) * sizeof *t->scratch);
	*n += last - first;
}

static int merge(struct tsp *t, const struct pair *p)
{
	struct chain *x = &t->chains[p->x], *y = &t->chains[p->y];
	uint64_t at = 0;
	uint32_t *blocks;
	size_t n = 0;

	switch (p->shape) {
	case X_Y:
		append(t, &n, x, 0, x->n);
		append(t, &n, y, 0, y->n);
		break;
	case X1_Y_X2:
		append(t, &n, x, 0, p->cut);
		append(t, &n, y, 0, y->n);
		append(t, &n, x, p->cut, x->n);
		break;
	case Y_X2_X1:
		append(t, &n, y, 0, y->n);
		append(t, &n, x, p->cut, x->n);
		append(t, &n, x, 0, p->cut);
		break;
	case X2_X1_Y:
		append(t, &n, x, p->cut, x->n);
		append(t, &n, x, 0, p->cut);
		append(t, &n, y, 0, y->n);
		break;
	}
	blocks = pgo_realloc_array(x->blocks, n, sizeof *blocks);
	if (blocks == NULL)
		return -1;
	memcpy(blocks, t->scratch, n * sizeof *blocks);
	x->blocks = blocks;
	x->n = n;
	x->size += y->size;
	x->count = x->count > UINT64_MAX - y->count ? UINT64_MAX : x->count + y->count;
	x->score += y->score + p->gain;
	y->live = false;
	for (size_t i = 0; i < n; i++) {
		t->chain_of[blocks[i]] = p->x;
		t->index[blocks[i]] = (uint32_t)i;
		t->offset[blocks[i]] = at;
		at += t->blocks[blocks[i]].size;
	}
	return 0;
}

static void drop_pairs_of(struct tsp *t, uint32_t a, uint32_t b)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_pairs; i++) {
		const struct pair p = t->pairs[i];

		if (p.x != a && p.x != b && p.y != a && p.y != b)
			t->pairs[n++] = p;
	}
	t->n_pairs = n;
}

static bool better(const struct pair *a, const struct pair *b)
{
	if (a->gain != b->gain)
		return a->gain > b->gain;
	return a->x != b->x ? a->x < b->x : a->y < b->y;
}

static int merge_all(struct tsp *t)
{
	for (uint32_t c = 0; c < t->n; c++)
		if (add_pairs_of(t, c, c) < 0)
			return -1;
	while (t->n_pairs != 0) {
		size_t best = 0;
		struct pair p;

		for (size_t i = 1; i < t->n_pairs; i++)
			if (better(&t->pairs[i], &t->pairs[best]))
				best = i;
		p = t->pairs[best];
		drop_pairs_of(t, p.x, p.y);
		if (merge(t, &p) < 0 || add_pairs_of(t, p.x, 0) < 0)
			return -1;
	}
	return 0;
}

/* ------------------------------------------------------------------ all of it */

static int compare_edges(const void *pa, const void *pb)
{
	const struct pgo_tsp_edge *a = pa, *b = pb;

	if (a->from != b->from)
		return a->from < b->from ? -1 : 1;
	return a->to < b->to ? -1 : a->to > b->to;
}

static int index_edges(struct tsp *t, const struct pgo_tsp_edge *edges, size_t n)
{
	uint32_t *at;

	t->edges = pgo_malloc((n + 1) * sizeof *t->edges);
	t->in = pgo_malloc((n + 1) * sizeof *t->in);
	t->first_out = pgo_calloc(t->n + 2, sizeof *t->first_out);
	t->first_in = pgo_calloc(t->n + 2, sizeof *t->first_in);
	if (t->edges == NULL || t->in == NULL || t->first_out == NULL || t->first_in == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (edges[i].from != edges[i].to && edges[i].count != 0)
			t->edges[t->n_edges++] = edges[i];
	if (t->n_edges != 0)
		qsort(t->edges, t->n_edges, sizeof *t->edges, compare_edges);
	n = 0;
	for (size_t i = 0; i < t->n_edges; i++) {
		if (n != 0 && compare_edges(&t->edges[n - 1], &t->edges[i]) == 0)
			t->edges[n - 1].count += t->edges[i].count;
		else
			t->edges[n++] = t->edges[i];
	}
	t->n_edges = n;
	for (size_t i = 0; i < n; i++) {
		t->first_out[t->edges[i].from + 1]++;
		t->first_in[t->edges[i].to + 2]++;
	}
	for (size_t b = 0; b < t->n; b++) {
		t->first_out[b + 1] += t->first_out[b];
		t->first_in[b + 2] += t->first_in[b + 1];
	}
	/* first_in was filled one place ahead, and moves back while the edges are dealt out. */
	at = t->first_in + 1;
	for (size_t i = 0; i < n; i++)
		t->in[at[t->edges[i].to]++] = (uint32_t)i;
	return 0;
}

static int start(struct tsp *t)
{
	t->chains = pgo_calloc(t->n, sizeof *t->chains);
	t->chain_of = pgo_calloc(t->n, sizeof *t->chain_of);
	t->index = pgo_calloc(t->n, sizeof *t->index);
	t->offset = pgo_calloc(t->n, sizeof *t->offset);
	t->seen = pgo_calloc(t->n, sizeof *t->seen);
	t->scratch = pgo_calloc(t->n, sizeof *t->scratch);
	if (t->chains == NULL || t->chain_of == NULL || t->index == NULL || t->offset == NULL ||
		t->seen == NULL || t->scratch == NULL)
		return -1;
	for (uint32_t b = 0; b < t->n; b++) {
		struct chain *c = &t->chains[b];

		c->blocks = pgo_malloc(sizeof *c->blocks);
		if (c->blocks == NULL)
			return -1;
		c->blocks[0] = b;
		c->n = 1;
		c->size = t->blocks[b].size;
		c->count = t->blocks[b].count;
		c->live = true;
		t->chain_of[b] = b;
	}
	return 0;
}

static void fini(struct tsp *t)
{
	for (size_t i = 0; t->chains != NULL && i < t->n; i++)
		pgo_free(t->chains[i].blocks);
	pgo_free(t->chains);
	pgo_free(t->edges);
	pgo_free(t->in);
	pgo_free(t->first_out);
	pgo_free(t->first_in);
	pgo_free(t->chain_of);
	pgo_free(t->index);
	pgo_free(t->offset);
	pgo_free(t->seen);
	pgo_free(t->scratch);
	pgo_free(t->pairs);
}

/* The entry's chain first, then the denser; sizes below one byte do not exist. */
static int by_density(const void *pa, const void *pb, void *ctx)
{
	const struct tsp *t = ctx;
	uint32_t ia = *(const uint32_t *)pa, ib = *(const uint32_t *)pb;
	const struct chain *a = &t->chains[ia], *b = &t->chains[ib];
	unsigned __int128 da = (unsigned __int128)a->count * (b->size + 1),
			  db = (unsigned __int128)b->count * (a->size + 1);

	if (holds_entry(t, ia) != holds_entry(t, ib))
		return holds_entry(t, ia) ? -1 : 1;
	if (da != db)
		return da > db ? -1 : 1;
	return a->blocks[0] < b->blocks[0] ? -1 : a->blocks[0] > b->blocks[0];
}

static void write_order(struct tsp *t, uint32_t *order)
{
	size_t n = 0, at = 0;

	for (uint32_t c = 0; c < t->n; c++)
		if (t->chains[c].live)
			t->scratch[n++] = c;
	qsort_r(t->scratch, n, sizeof *t->scratch, by_density, t);
	for (size_t i = 0; i < n; i++) {
		const struct chain *c = &t->chains[t->scratch[i]];

		memcpy(order + at, c->blocks, c->n * sizeof *order);
		at += c->n;
	}
}

int pgo_tsp_order(const struct pgo_tsp_block *blocks, size_t n, const struct pgo_tsp_edge *edges,
	size_t n_edges, uint32_t *order, struct pgo_err *err)
{
	struct tsp t = {.blocks = blocks, .n = n};
	int rc = 0;

	if (n == 0)
		return 0;
	if (index_edges(&t, edges, n_edges) < 0 || start(&t) < 0 || merge_all(&t) < 0)
		rc = pgo_err_nomem(err);
	else
		write_order(&t, order);
	fini(&t);
	return rc;
}

double pgo_tsp_score(const struct pgo_tsp_block *blocks, size_t n, const struct pgo_tsp_edge *edges,
	size_t n_edges, const uint32_t *order, struct pgo_err *err)
{
	uint64_t *at = pgo_calloc(n + 1, sizeof *at), end = 0;
	double sum = 0;

	if (at == NULL) {
		(void)pgo_err_nomem(err);
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		at[order[i]] = end;
		end += blocks[order[i]].size;
	}
	for (size_t i = 0; i < n_edges; i++)
		if (edges[i].from != edges[i].to)
			sum += edge_score(edges[i].count,
				at[edges[i].from] + blocks[edges[i].from].size, at[edges[i].to]);
	pgo_free(at);
	return sum;
}
