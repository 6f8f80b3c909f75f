/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/calltree.h"

#include "pgo/core/vec.h"

#include <stdlib.h>

#define STRINGS_BUDGET ((size_t)1 << 30)

#define N_PLACES 4
#define PLACE_OTHER 3u /* besides those of items: nobody's */

/* A node while the tree grows: parents come first, children in no order; costs as counted, as those
 * add up to the same in every order. */
struct grown {
	struct {
		uint32_t parent, name, place; /* node (0 = the root), string, of the item */
	} key;
	int64_t self[2];
};

struct growing {
	struct pgo_calltree *t;
	struct grown *nodes;
	size_t n, room;
	struct pgo_map map;
	uint32_t other; /* string */
	const struct pgo_attrib *side;
	int at;            /* which side */
	uint32_t *name_of; /* by string of the side */
	double *factor;    /* by side, string and place: from what was counted to the verdict's */
};

static uint32_t grow(struct growing *g, uint32_t parent, uint32_t name, uint32_t place)
{
	struct grown node = {.key = {parent, name, place}};
	uint32_t i =
		pgo_map_find_key(&g->map, g->nodes, sizeof *g->nodes, &node.key, sizeof node.key);
	struct grown *slot;

	if (i != PGO_MAP_NONE)
		return i;
	i = (uint32_t)g->n;
	slot = i < UINT32_MAX - 1 ? PGO_VEC_PUSH(g->nodes, g->n, g->room) : NULL;
	if (slot == NULL)
		return UINT32_MAX;
	*slot = node;
	return pgo_map_add_key(&g->map, &node.key, sizeof node.key, i) < 0 ? UINT32_MAX : i;
}

static uint32_t name_of(struct growing *g, uint32_t name)
{
	if (g->name_of[name] == PGO_STR_NONE)
		g->name_of[name] = pgo_strtab_take(&g->t->strs, &g->side->names.strs[name]);
	return g->name_of[name];
}

/* The frame and what it is inlined into, below `node`. */
static uint32_t grow_frames(struct growing *g, uint32_t node, uint32_t frame)
{
	const struct pgo_attrib_frame *frames = g->side->frames;
	uint32_t chain[256];
	size_t n = 0;

	for (uint32_t f = frames[frame].named; n < sizeof chain / sizeof *chain;
		f = frames[f].key.up - 1) {
		chain[n++] = f;
		if (frames[f].key.up == 0)
			break;
	}
	while (n-- > 0 && node != UINT32_MAX) {
		uint32_t name = name_of(g, frames[chain[n]].key.name);

		node = name == PGO_STR_NONE ? UINT32_MAX
					    : grow(g, node, name, frames[chain[n]].key.kind);
	}
	return node;
}

/* A leaf of the root, or of where stacks were cut. */
static int grow_leaf(struct growing *g, uint32_t parent, uint32_t name, uint32_t place, int64_t v)
{
	uint32_t node = v == 0 ? 0 : grow(g, parent, name, place);

	if (node == UINT32_MAX || name == PGO_STR_NONE)
		return -1;
	g->nodes[node].self[g->at] += v;
	return 0;
}

static int grow_stack(struct growing *g, uint32_t *of_stack, size_t i)
{
	const struct pgo_stack_node *s = &g->side->stacks.nodes[i];
	uint32_t above = s->key.parent != 0 ? of_stack[s->key.parent - 1] : 0;

	of_stack[i] = grow_frames(g, above, s->key.frame);
	if (of_stack[i] == UINT32_MAX)
		return -1;
	g->nodes[of_stack[i]].self[g->at] += s->self;
	g->t->called = g->t->called || s->depth > 1;
	return grow_leaf(g, of_stack[i], g->other, PLACE_OTHER, s->other);
}

static int grow_side(struct growing *g)
{
	const struct pgo_stacks *s = &g->side->stacks;
	uint32_t *of_stack = pgo_malloc((s->n_nodes + 1) * sizeof *of_stack);
	int rc = -1;

	g->name_of = pgo_malloc((g->side->names.n_strs + 1) * sizeof *g->name_of);
	if (of_stack != NULL && g->name_of != NULL) {
		memset(g->name_of, 0xff, g->side->names.n_strs * sizeof *g->name_of);
		rc = 0;
	}
	for (size_t i = 0; i < s->n_nodes && rc == 0; i++)
		rc = grow_stack(g, of_stack, i);
	if (rc == 0)
		rc = grow_leaf(g, 0, pgo_strtab_puts(&g->t->strs, "[unknown]"), PGO_ITEM_UNNAMED,
			g->side->stackless);
	pgo_free(of_stack);
	pgo_free(g->name_of);
	return rc;
}

/* ---- scale */

/* By item and side, of the arm that was rebuilt. */
static double *sum_items(const struct pgo_costs *c)
{
	double *sums = pgo_calloc(2 * c->n_items + 1, sizeof *sums);

	for (size_t i = 0; i < c->n_rows && sums != NULL; i++) {
		const struct pgo_cost_rep *rep = &c->reps[c->rows[i].rep];

		if (!rep->control)
			sums[2 * (size_t)c->rows[i].item + rep->after] += (double)c->rows[i].value;
	}
	return sums;
}

static size_t slot_of(const struct growing *g, int side, uint32_t name, uint32_t place)
{
	return ((size_t)side * g->t->strs.n_strs + name) * N_PLACES + place;
}

/* For each function: what it cost by the verdict, for each unit of what was counted. */
static int find_factors(struct growing *g, const struct pgo_costs *c, const int64_t *counted,
	const struct pgo_calltree_scale *scale)
{
	double *sums = sum_items(c);
	size_t n = 2 * g->t->strs.n_strs * N_PLACES;

	g->factor = pgo_malloc((n + 1) * sizeof *g->factor);
	if (sums == NULL || g->factor == NULL) {
		pgo_free(sums);
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		int64_t total = counted[i >= n / 2];

		g->factor[i] = total > 0 ? 1 / (double)total : 0;
	}
	for (size_t i = 0; i < c->n_items && scale != NULL; i++) {
		const char *text = pgo_costs_str(c, c->items[i].name);
		uint32_t name = pgo_strtab_find(&g->t->strs, text, strlen(text));

		for (int s = 0; s < 2 && name != PGO_STR_NONE; s++) {
			double want = s == 0 ? scale->before[i] : scale->after[i];
			double sum = sums[2 * i + (size_t)s];

			g->factor[slot_of(g, s, name, c->items[i].place)] =
				sum > 0 ? want / sum : 0;
		}
	}
	pgo_free(sums);
	return 0;
}

static double scaled(const struct growing *g, uint32_t node, int side)
{
	const struct grown *n = &g->nodes[node];

	if (n->self[side] == 0)
		return 0;
	return (double)n->self[side] * g->factor[slot_of(g, side, n->key.name, n->key.place)];
}

/* ---- order */

static int by_parent_name(const void *pa, const void *pb, void *ctx)
{
	const struct growing *g = ctx;
	const struct grown *a = &g->nodes[*(const uint32_t *)pa];
	const struct grown *b = &g->nodes[*(const uint32_t *)pb];

	if (a->key.parent != b->key.parent)
		return a->key.parent < b->key.parent ? -1 : 1;
	if (a->key.name == b->key.name)
		return (int)a->key.place - (int)b->key.place;
	return strcmp(
		pgo_strtab_get(&g->t->strs, a->key.name), pgo_strtab_get(&g->t->strs, b->key.name));
}

/* Costs with all that is below, and how much that is; in depth-first order children come later. */
static void sum_up(struct pgo_calltree *t)
{
	for (size_t i = 0; i < t->n_nodes; i++) {
		t->nodes[i].before = t->nodes[i].self_before;
		t->nodes[i].after = t->nodes[i].self_after;
		t->nodes[i].below = 0;
	}
	for (size_t i = t->n_nodes; i-- > 1;) {
		struct pgo_calltree_node *up = &t->nodes[t->nodes[i].parent];

		up->before += t->nodes[i].before;
		up->after += t->nodes[i].after;
		up->below += t->nodes[i].below + 1;
	}
}

/* The children of each node stand together in `order`, by name: those of p from first[p] on. */
static int lay_out(struct growing *g, const uint32_t *order, const uint32_t *first)
{
	struct {
		uint32_t node, placed;
	} *stack = NULL;
	size_t n = 0, room = 0;
	struct pgo_calltree *t = g->t;
	int rc = -1;

	if (PGO_VEC_PUSH(stack, n, room) == NULL || PGO_VEC_RESERVE(t->nodes, t->room, g->n) < 0)
		goto out;
	stack[0].placed = UINT32_MAX;
	while (n > 0) {
		uint32_t node = stack[n - 1].node, parent = stack[n - 1].placed;
		uint32_t here = (uint32_t)t->n_nodes++;

		n--;
		t->nodes[here] = (struct pgo_calltree_node){.parent = parent,
			.name = g->nodes[node].key.name,
			.self_before = scaled(g, node, 0),
			.self_after = scaled(g, node, 1)};
		/* The last first, so that the first is on top. */
		for (uint32_t k = first[node + 1]; k-- > first[node];) {
			if (PGO_VEC_PUSH(stack, n, room) == NULL)
				goto out;
			stack[n - 1].node = order[k];
			stack[n - 1].placed = here;
		}
	}
	sum_up(t);
	rc = 0;
out:
	pgo_free(stack);
	return rc;
}

static int order_tree(struct growing *g)
{
	uint32_t *order = pgo_malloc((g->n + 1) * sizeof *order);
	uint32_t *first = pgo_calloc(g->n + 2, sizeof *first);
	int rc = -1;

	if (order != NULL && first != NULL) {
		for (size_t i = 1; i < g->n; i++) {
			order[i - 1] = (uint32_t)i;
			first[g->nodes[i].key.parent + 1]++;
		}
		for (size_t i = 1; i <= g->n; i++)
			first[i] += first[i - 1];
		if (g->n > 2)
			qsort_r(order, g->n - 1, sizeof *order, by_parent_name, g);
		rc = lay_out(g, order, first);
	}
	pgo_free(order);
	pgo_free(first);
	return rc;
}

static int begin(struct growing *g)
{
	uint32_t all;

	if (g->t == NULL || pgo_strtab_init(&g->t->strs, STRINGS_BUDGET) < 0)
		return -1;
	all = pgo_strtab_puts(&g->t->strs, "all");
	g->other = pgo_strtab_puts(&g->t->strs, PGO_CALLTREE_OTHER);
	if (all == PGO_STR_NONE || g->other == PGO_STR_NONE)
		return -1;
	/* No child looks like the root. */
	return grow(g, UINT32_MAX, all, PLACE_OTHER) == 0 ? 0 : -1;
}

struct pgo_calltree *pgo_calltree_new(const struct pgo_attrib *before,
	const struct pgo_attrib *after, const struct pgo_costs *costs,
	const struct pgo_calltree_scale *scale, struct pgo_err *err)
{
	struct growing g = {.t = pgo_calloc(1, sizeof *g.t)};
	int64_t counted[2] = {before->counted, after->counted};
	int rc;

	pgo_map_init(&g.map);
	rc = begin(&g);
	for (g.at = 0; g.at < 2 && rc == 0; g.at++) {
		g.side = g.at == 0 ? before : after;
		rc = grow_side(&g);
	}
	if (rc == 0)
		rc = find_factors(&g, costs, counted, scale);
	if (rc == 0)
		rc = order_tree(&g);
	pgo_map_fini(&g.map);
	pgo_free(g.nodes);
	pgo_free(g.factor);
	if (rc == 0)
		return g.t;
	pgo_calltree_free(g.t);
	pgo_err_nomem(err);
	return NULL;
}

void pgo_calltree_free(struct pgo_calltree *t)
{
	if (t == NULL)
		return;
	pgo_strtab_fini(&t->strs);
	pgo_free(t->nodes);
	pgo_free(t);
}

/* ---- pruning */

static double mass(const struct pgo_calltree_node *n)
{
	return n->before > n->after ? n->before : n->after;
}

/* Dearest first; of equals the one that comes first, which is never below the other. */
static int by_mass(const void *pa, const void *pb, void *ctx)
{
	const struct pgo_calltree *t = ctx;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	double ma = mass(&t->nodes[a]), mb = mass(&t->nodes[b]);

	return ma != mb ? (ma < mb ? 1 : -1) : (a > b) - (a < b);
}

/* The nodes that are this dear at least; how many. */
static size_t list_nodes(const struct pgo_calltree *t, double least, uint32_t *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_nodes; i++)
		if (mass(&t->nodes[i]) >= least)
			ret[n++] = (uint32_t)i;
	return n;
}

/* Moves what is kept to the front; what is not adds up behind the children that are. */
static int move_kept(struct pgo_calltree *t, const bool *keep, uint32_t other)
{
	struct pgo_calltree_node *to = pgo_malloc((2 * t->n_nodes + 1) * sizeof *to);
	uint32_t *new_of = pgo_malloc((t->n_nodes + 1) * sizeof *new_of);
	size_t n = 0;

	if (to == NULL || new_of == NULL) {
		pgo_free(to);
		pgo_free(new_of);
		return -1;
	}
	for (size_t i = 0; i < t->n_nodes; i++) {
		const struct pgo_calltree_node *node = &t->nodes[i];
		struct pgo_calltree_node rest = {.name = other};
		uint64_t gone = 0;

		if (!keep[i])
			continue;
		new_of[i] = (uint32_t)n;
		to[n] = *node;
		to[n].parent = i == 0 ? UINT32_MAX : new_of[node->parent];
		rest.parent = (uint32_t)n++;
		for (size_t c = i + 1; c <= i + node->below; c += t->nodes[c].below + 1) {
			if (keep[c])
				continue;
			rest.self_before += t->nodes[c].before;
			rest.self_after += t->nodes[c].after;
			gone += (uint64_t)t->nodes[c].below + 1;
		}
		t->pruned += gone;
		if (gone != 0)
			to[n++] = rest;
	}
	pgo_free(new_of);
	pgo_free(t->nodes);
	t->nodes = to;
	t->room = 2 * t->n_nodes + 1;
	t->n_nodes = n;
	sum_up(t);
	return 0;
}

/* Names of what is gone. */
static int drop_names(struct pgo_calltree *t)
{
	struct pgo_strtab used;

	if (pgo_strtab_init(&used, STRINGS_BUDGET) < 0)
		return -1;
	for (size_t i = 0; i < t->n_nodes; i++) {
		t->nodes[i].name = pgo_strtab_take(&used, &t->strs.strs[t->nodes[i].name]);
		if (t->nodes[i].name == PGO_STR_NONE) {
			pgo_strtab_fini(&used);
			return -1;
		}
	}
	pgo_strtab_fini(&t->strs);
	t->strs = used;
	return 0;
}

int pgo_calltree_prune(struct pgo_calltree *t, size_t most, struct pgo_err *err)
{
	uint32_t *order, other = pgo_strtab_puts(&t->strs, PGO_CALLTREE_OTHER);
	bool *keep;
	int rc = -1;

	if (t->n_nodes <= most)
		return 0;
	order = pgo_malloc((t->n_nodes + 1) * sizeof *order);
	keep = pgo_calloc(t->n_nodes + 1, sizeof *keep);
	if (order != NULL && keep != NULL && other != PGO_STR_NONE) {
		size_t n = list_nodes(t, mass(&t->nodes[0]) * 1e-5, order);

		/* Most nodes are far too small, as a rule. */
		if (n < most)
			n = list_nodes(t, 0, order);
		qsort_r(order, n, sizeof *order, by_mass, t);
		keep[0] = true;
		for (size_t i = 0; i < most; i++)
			keep[order[i]] = true;
		rc = move_kept(t, keep, other);
		if (rc == 0)
			rc = drop_names(t);
	}
	pgo_free(order);
	pgo_free(keep);
	return rc < 0 ? pgo_err_nomem(err) : 0;
}

/* ---- JSON */

void pgo_calltree_json(const struct pgo_calltree *t, struct pgo_json *j)
{
	pgo_json_object(j);
	pgo_json_kv_bool(j, "called", t->called);
	pgo_json_kv_u64(j, "pruned", t->pruned);
	pgo_json_key(j, "names");
	pgo_json_array(j);
	for (size_t i = 0; i < t->strs.n_strs; i++)
		pgo_json_str(j, t->strs.strs[i].s);
	pgo_json_end_array(j);
	pgo_json_key(j, "nodes");
	pgo_json_array(j);
	for (size_t i = 0; i < t->n_nodes; i++) {
		const struct pgo_calltree_node *n = &t->nodes[i];

		pgo_json_array(j);
		pgo_json_i64(j, n->parent == UINT32_MAX ? -1 : (int64_t)n->parent);
		pgo_json_u64(j, n->name);
		pgo_json_double(j, n->before);
		pgo_json_double(j, n->after);
		pgo_json_end_array(j);
	}
	pgo_json_end_array(j);
	pgo_json_end_object(j);
}
