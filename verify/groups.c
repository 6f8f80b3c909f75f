/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/groups.h"

#include "pgo/core/vec.h"

#include <math.h>
#include <stdlib.h>

#define MIN_SHARE 0.0005 /* of the whole cost that a changed edge carries */
#define MIN_CHANGE 0.1   /* of a callee's cost */
#define SIGMAS 3.0       /* beyond sampling */
#define SHIFT_SIGMAS 2.0
#define DESIGN_EFFECT 2.0 /* samples come in bursts */
#define LOST 0.5          /* of a callee's cost: then it is looked for in its callers */
#define MAX_DEPTH 64

/* Callee inlined into caller. */
struct edge {
	struct {
		uint32_t caller, callee; /* items */
	} key;
	double cost[2];   /* of the callee and what is in it, there; as share of the side */
	bool in_build[2]; /* by the debug information of the side */
	double moved;
	bool shift; /* no edge: cost went from one to the other where both are inlined */
};

/* One function's own cost in the code of one function that was not inlined (its root). */
struct part {
	struct {
		uint32_t root, item;
	} key;
	double cost[2], samples[2];
	double rose; /* of what did not change elsewhere; below 0: fell */
};

/* A callee, with all that is inlined into it, wherever. */
struct callee {
	double cost[2], samples[2];
	bool changed; /* it is under other edges now */
};

struct finding_groups {
	const struct pgo_attrib *side[2];
	const struct pgo_costs *costs;
	struct edge *edges;
	size_t n_edges, edges_room;
	struct pgo_map map;
	struct callee *callees; /* by item */
	struct part *parts;
	size_t n_parts, parts_room;
	struct pgo_map part_map;
	double counted[2];       /* samples of the side */
	uint32_t *item_of;       /* by frame of the side in hand */
	uint32_t *parent, *size; /* union-find over items */
};

/* ---- items of frames */

/* Only functions of the program have inlined ones that change; others have no item here. */
static int find_items(struct finding_groups *g, int side)
{
	const struct pgo_attrib *a = g->side[side];
	uint32_t *of_name = pgo_malloc((a->names.n_strs + 1) * sizeof *of_name);

	g->item_of = pgo_malloc((a->n_frames + 1) * sizeof *g->item_of);
	if (of_name == NULL || g->item_of == NULL) {
		pgo_free(of_name);
		return -1;
	}
	for (size_t i = 0; i < a->names.n_strs; i++)
		of_name[i] = UINT32_MAX - 1; /* not looked for yet */
	for (size_t i = 0; i < a->n_frames; i++) {
		uint32_t name = a->frames[i].key.name;

		g->item_of[i] = UINT32_MAX;
		if (a->frames[i].key.kind != PGO_ITEM_REBUILT)
			continue;
		if (of_name[name] == UINT32_MAX - 1)
			of_name[name] = pgo_costs_find_item(
				g->costs, pgo_strtab_get(&a->names, name), PGO_ITEM_REBUILT);
		g->item_of[i] = of_name[name];
	}
	pgo_free(of_name);
	return 0;
}

/* ---- edges */

static struct edge *edge_of(struct finding_groups *g, uint32_t caller, uint32_t callee)
{
	struct edge e = {.key = {caller, callee}};
	uint32_t i = pgo_map_find_key(&g->map, g->edges, sizeof *g->edges, &e.key, sizeof e.key);
	struct edge *slot;

	if (i != PGO_MAP_NONE)
		return &g->edges[i];
	slot = PGO_VEC_PUSH(g->edges, g->n_edges, g->edges_room);
	if (slot == NULL ||
		pgo_map_add_key(&g->map, &e.key, sizeof e.key, (uint32_t)(g->n_edges - 1)) < 0)
		return NULL;
	*slot = e;
	return slot;
}

static int add_part(struct finding_groups *g, int side, uint32_t root, uint32_t item, double share,
	double samples)
{
	struct part p = {.key = {root, item}};
	uint32_t i =
		pgo_map_find_key(&g->part_map, g->parts, sizeof *g->parts, &p.key, sizeof p.key);

	if (i == PGO_MAP_NONE) {
		struct part *slot = PGO_VEC_PUSH(g->parts, g->n_parts, g->parts_room);

		i = (uint32_t)(g->n_parts - 1);
		if (slot == NULL || pgo_map_add_key(&g->part_map, &p.key, sizeof p.key, i) < 0)
			return -1;
		*slot = p;
	}
	g->parts[i].cost[side] += share;
	g->parts[i].samples[side] += samples;
	return 0;
}

static bool seen_before(const uint32_t *chain, size_t n, uint32_t item)
{
	for (size_t i = 0; i < n; i++)
		if (chain[i] == item)
			return true;
	return false;
}

/* One place in the inline tree: its cost is under every edge up from it, once. */
static int add_place(struct finding_groups *g, int side, uint32_t frame, double total)
{
	const struct pgo_attrib *a = g->side[side];
	double share = (double)a->frames[frame].value / total;
	uint32_t chain[MAX_DEPTH], f = frame;
	size_t n = 0;

	for (; n < MAX_DEPTH; f = a->frames[f].key.up - 1) {
		uint32_t item = g->item_of[f];

		if (item != UINT32_MAX && !seen_before(chain, n, item)) {
			struct edge *e = NULL;

			if (n > 0 && (e = edge_of(g, item, chain[n - 1])) == NULL)
				return -1;
			if (e != NULL) {
				e->cost[side] += share;
				e->in_build[side] = true;
			}
			chain[n++] = item;
			g->callees[item].cost[side] += share;
			g->callees[item].samples[side] += (double)a->frames[frame].samples;
		}
		if (a->frames[f].key.up == 0)
			break;
	}
	if (share <= 0 || g->item_of[frame] == UINT32_MAX || n == 0)
		return 0;
	return add_part(
		g, side, chain[n - 1], g->item_of[frame], share, (double)a->frames[frame].samples);
}

static int add_side(struct finding_groups *g, int side)
{
	const struct pgo_attrib *a = g->side[side];
	double total = 0;
	int rc = find_items(g, side);

	for (size_t i = 0; i < a->n_frames; i++)
		total += (double)a->frames[i].value,
			g->counted[side] += (double)a->frames[i].samples;
	for (size_t i = 0; i < a->n_frames && rc == 0; i++)
		if (g->item_of[i] != UINT32_MAX && a->frames[i].key.kind != PGO_FRAME_ADDRESS)
			rc = add_place(g, side, (uint32_t)i, total > 0 ? total : 1);
	pgo_free(g->item_of);
	g->item_of = NULL;
	return rc;
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

/* How much of the whole cost went in under this edge or out from under it. */
static double moved_under(const struct finding_groups *g, const struct edge *e)
{
	const struct callee *c = &g->callees[e->key.callee];
	double q[2], n[2], both, noise, change;

	for (int s = 0; s < 2; s++) {
		q[s] = c->cost[s] > 0 ? e->cost[s] / c->cost[s] : 0;
		n[s] = c->samples[s] / DESIGN_EFFECT + 1;
	}
	change = fabs(q[1] - q[0]);
	both = (q[0] * n[0] + q[1] * n[1]) / (n[0] + n[1]);
	noise = SIGMAS * sqrt(both * (1 - both) * (1 / n[0] + 1 / n[1]));
	if (change < MIN_CHANGE || change < noise)
		return 0;
	return change * larger(c->cost[0], c->cost[1]);
}

/* A callee that is hardly seen in one build any more, and a caller that holds it there and not in the
 * other. */
static double lost_in(const struct finding_groups *g, const struct edge *e)
{
	const struct callee *c = &g->callees[e->key.callee];

	for (int s = 0; s < 2; s++)
		if (e->in_build[s] && !e->in_build[1 - s] && c->cost[s] < LOST * c->cost[1 - s])
			return (c->cost[1 - s] - c->cost[s]) * g->callees[e->key.caller].cost[s];
	return 0;
}

/* What is inlined into a callee that is elsewhere now, and into little else, is there as well. */
static bool came_along(const struct finding_groups *g, const struct edge *e)
{
	const struct callee *c = &g->callees[e->key.callee];

	for (int s = 0; s < 2; s++)
		if (g->callees[e->key.caller].changed && e->cost[s] >= MIN_SHARE &&
			e->cost[s] > c->cost[s] / 2)
			return true;
	return false;
}

/* ---- shifts within one root */

static int by_ratio(const void *pa, const void *pb)
{
	const struct part *a = pa, *b = pb;
	double x = a->cost[1] * b->cost[0], y = b->cost[1] * a->cost[0];

	return x != y ? (x < y ? -1 : 1)
	       : a->key.root != b->key.root
		       ? (a->key.root < b->key.root ? -1 : 1)
		       : (a->key.item > b->key.item) - (a->key.item < b->key.item);
}

/* What most of the cost did: shares of the rest rise when something gets cheaper, and the rest did
 * not.  The median of after / before, weighted by cost before; sorts the parts. */
static double common_ratio(struct finding_groups *g)
{
	double sum = 0, half = 0;

	if (g->n_parts > 1)
		qsort(g->parts, g->n_parts, sizeof *g->parts, by_ratio);
	for (size_t i = 0; i < g->n_parts; i++)
		half += g->parts[i].cost[0] / 2;
	for (size_t i = 0; i < g->n_parts; i++) {
		sum += g->parts[i].cost[0];
		if (sum >= half && g->parts[i].cost[0] > 0 && g->parts[i].cost[1] > 0)
			return g->parts[i].cost[1] / g->parts[i].cost[0];
	}
	return 1;
}

static int by_root_rose(const void *pa, const void *pb)
{
	const struct part *a = pa, *b = pb;

	if (a->key.root != b->key.root)
		return a->key.root < b->key.root ? -1 : 1;
	if (a->rose != b->rose)
		return a->rose < b->rose ? 1 : -1;
	return (a->key.item > b->key.item) - (a->key.item < b->key.item);
}

/* How much a part rose or fell, if that is more than sampling explains; else 0. */
static double rise_of(const struct finding_groups *g, const struct part *p, double common)
{
	double rose = p->cost[1] / common - p->cost[0], noise = 0;

	for (int s = 0; s < 2; s++)
		noise += (p->samples[s] + 1) / (g->counted[s] * g->counted[s] + 1);
	noise = SHIFT_SIGMAS * sqrt(DESIGN_EFFECT * noise);
	return fabs(rose) < noise || fabs(rose) < MIN_SHARE / 2 ? 0 : rose;
}

static int add_shift(struct finding_groups *g, uint32_t from, uint32_t to, double moved)
{
	struct edge *e = PGO_VEC_PUSH(g->edges, g->n_edges, g->edges_room);

	if (e == NULL)
		return -1;
	e->key.caller = from;
	e->key.callee = to;
	e->moved = moved;
	e->shift = true;
	return 0;
}

/* The parts of one root, what rose most first, what fell most last: the former is paid by the latter
 * as far as it goes. */
static int add_shifts(struct finding_groups *g, struct part *p, size_t n)
{
	size_t up = 0, down = n;

	while (up < down && p[up].rose > 0 && p[down - 1].rose < 0) {
		struct part *to = &p[up], *from = &p[down - 1];
		double moved = to->rose < -from->rose ? to->rose : -from->rose;

		if (add_shift(g, from->key.item, to->key.item, moved) < 0)
			return -1;
		to->rose -= moved;
		from->rose += moved;
		up += to->rose <= 0;
		down -= from->rose >= 0;
	}
	return 0;
}

static int find_shifts(struct finding_groups *g)
{
	double common = common_ratio(g);
	int rc = 0;

	for (size_t i = 0; i < g->n_parts; i++)
		g->parts[i].rose = rise_of(g, &g->parts[i], common);
	if (g->n_parts > 1)
		qsort(g->parts, g->n_parts, sizeof *g->parts, by_root_rose);
	for (size_t i = 0, end; i < g->n_parts && rc == 0; i = end) {
		for (end = i; end < g->n_parts && g->parts[end].key.root == g->parts[i].key.root;)
			end++;
		rc = add_shifts(g, &g->parts[i], end - i);
	}
	return rc;
}

static int by_moved(const void *pa, const void *pb)
{
	const struct edge *a = pa, *b = pb;

	if (a->moved != b->moved)
		return a->moved < b->moved ? 1 : -1;
	if (a->key.caller != b->key.caller)
		return a->key.caller < b->key.caller ? -1 : 1;
	return (a->key.callee > b->key.callee) - (a->key.callee < b->key.callee);
}

/* ---- joining */

static uint32_t root_of(struct finding_groups *g, uint32_t item)
{
	while (g->parent[item] != item) {
		g->parent[item] = g->parent[g->parent[item]];
		item = g->parent[item];
	}
	return item;
}

static void join(struct finding_groups *g, uint32_t x, uint32_t y)
{
	uint32_t a = root_of(g, x), b = root_of(g, y);

	if (a == b || g->size[a] + g->size[b] > PGO_GROUP_MAX)
		return;
	/* The smaller index is the root, whatever the order. */
	if (b < a) {
		uint32_t t = a;

		a = b;
		b = t;
	}
	g->parent[b] = a;
	g->size[a] += g->size[b];
}

static int join_edges(struct finding_groups *g)
{
	size_t n = g->costs->n_items;

	g->parent = pgo_malloc((n + 1) * sizeof *g->parent);
	g->size = pgo_malloc((n + 1) * sizeof *g->size);
	if (g->parent == NULL || g->size == NULL)
		return -1;
	for (size_t i = 0; i < n; i++) {
		g->parent[i] = (uint32_t)i;
		g->size[i] = 1;
	}
	for (size_t i = 0; i < g->n_edges; i++) {
		double moved = larger(moved_under(g, &g->edges[i]), lost_in(g, &g->edges[i]));

		g->edges[i].moved = moved >= MIN_SHARE ? moved : 0;
	}
	if (find_shifts(g) < 0)
		return -1;
	if (g->n_edges > 1)
		qsort(g->edges, g->n_edges, sizeof *g->edges, by_moved);
	for (size_t i = 0; i < g->n_edges && g->edges[i].moved > 0; i++) {
		join(g, g->edges[i].key.caller, g->edges[i].key.callee);
		g->callees[g->edges[i].key.callee].changed |= !g->edges[i].shift;
	}
	for (size_t i = 0; i < g->n_edges; i++)
		if (!g->edges[i].shift && came_along(g, &g->edges[i]))
			join(g, g->edges[i].key.caller, g->edges[i].key.callee);
	return 0;
}

/* ---- the result */

static int by_size_moved(const void *pa, const void *pb)
{
	const struct pgo_group *a = pa, *b = pb;

	if (a->moved != b->moved)
		return a->moved < b->moved ? 1 : -1;
	return (a->first > b->first) - (a->first < b->first);
}

static int collect(struct finding_groups *g, struct pgo_groups *ret)
{
	size_t n = g->costs->n_items, room = 0;
	uint32_t *number = pgo_malloc((n + 1) * sizeof *number);

	ret->members = pgo_malloc((n + 1) * sizeof *ret->members);
	ret->group_of = pgo_malloc((n + 1) * sizeof *ret->group_of);
	if (number == NULL || ret->members == NULL || ret->group_of == NULL)
		goto nomem;
	for (size_t i = 0; i < n; i++) {
		struct pgo_group *new;

		number[i] = ret->group_of[i] = UINT32_MAX;
		if (g->parent[i] != i || g->size[i] < 2)
			continue;
		new = PGO_VEC_PUSH(ret->groups, ret->n_groups, room);
		if (new == NULL)
			goto nomem;
		number[i] = (uint32_t)(ret->n_groups - 1);
		new->first = (uint32_t)ret->n_members;
		ret->n_members += g->size[i];
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t k = number[root_of(g, (uint32_t)i)];

		if (k != UINT32_MAX)
			ret->members[ret->groups[k].first + ret->groups[k].n++] = (uint32_t)i;
	}
	for (size_t i = 0; i < g->n_edges && g->edges[i].moved > 0; i++) {
		uint32_t a = root_of(g, g->edges[i].key.caller);

		if (a == root_of(g, g->edges[i].key.callee))
			ret->groups[number[a]].moved += g->edges[i].moved;
	}
	if (ret->n_groups > 1)
		qsort(ret->groups, ret->n_groups, sizeof *ret->groups, by_size_moved);
	for (size_t k = 0; k < ret->n_groups; k++)
		for (uint32_t m = 0; m < ret->groups[k].n; m++)
			ret->group_of[ret->members[ret->groups[k].first + m]] = (uint32_t)k;
	pgo_free(number);
	return 0;
nomem:
	pgo_free(number);
	return -1;
}

int pgo_groups_find(const struct pgo_attrib *before, const struct pgo_attrib *after,
	const struct pgo_costs *costs, struct pgo_groups *ret, struct pgo_err *err)
{
	struct finding_groups g = {.side = {before, after}, .costs = costs};
	struct pgo_groups found = {0};
	int rc = 0;

	pgo_map_init(&g.map);
	pgo_map_init(&g.part_map);
	g.callees = pgo_calloc(costs->n_items + 1, sizeof *g.callees);
	if (g.callees == NULL || add_side(&g, 0) < 0 || add_side(&g, 1) < 0 || join_edges(&g) < 0 ||
		collect(&g, &found) < 0) {
		pgo_groups_fini(&found);
		rc = pgo_err_nomem(err);
	} else {
		*ret = found;
	}
	pgo_map_fini(&g.map);
	pgo_map_fini(&g.part_map);
	pgo_free(g.parts);
	pgo_free(g.edges);
	pgo_free(g.callees);
	pgo_free(g.parent);
	pgo_free(g.size);
	return rc;
}

void pgo_groups_fini(struct pgo_groups *g)
{
	pgo_free(g->groups);
	pgo_free(g->members);
	pgo_free(g->group_of);
	memset(g, 0, sizeof *g);
}
