/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/stacks.h"

#include "pgo/core/vec.h"

void pgo_stacks_init(struct pgo_stacks *s, size_t max_nodes)
{
	memset(s, 0, sizeof *s);
	pgo_map_init(&s->map);
	s->max_nodes = max_nodes;
	s->max_depth = PGO_STACKS_MAX_DEPTH;
}

void pgo_stacks_fini(struct pgo_stacks *s)
{
	pgo_map_fini(&s->map);
	pgo_free(s->nodes);
	memset(s, 0, sizeof *s);
}

static uint32_t child_of(struct pgo_stacks *s, uint32_t parent, uint32_t frame, uint32_t depth)
{
	struct pgo_stack_node node = {.key = {parent, frame}, .depth = depth};
	uint32_t i =
		pgo_map_find_key(&s->map, s->nodes, sizeof *s->nodes, &node.key, sizeof node.key);
	struct pgo_stack_node *slot;

	if (i != PGO_MAP_NONE)
		return i;
	i = (uint32_t)s->n_nodes;
	slot = i < UINT32_MAX - 1 ? PGO_VEC_PUSH(s->nodes, s->n_nodes, s->room) : NULL;
	if (slot == NULL)
		return UINT32_MAX;
	*slot = node;
	return pgo_map_add_key(&s->map, &node.key, sizeof node.key, i) < 0 ? UINT32_MAX : i;
}

uint32_t pgo_stacks_node(struct pgo_stacks *s, uint32_t n, uint32_t (*frame)(void *ctx, uint32_t i),
	void *ctx, bool *ret_cut)
{
	uint32_t keep = n < s->max_depth ? n : s->max_depth, node = UINT32_MAX;

	*ret_cut = keep < n;
	for (uint32_t depth = 1; depth <= keep; depth++) {
		uint32_t f = frame(ctx, n - depth);

		node = f == UINT32_MAX ? f : child_of(s, node + 1, f, depth);
		if (node == UINT32_MAX)
			break;
	}
	return node;
}

/* The largest depth up to which there are no more nodes than may be; at least 1. */
static uint32_t depth_that_fits(const struct pgo_stacks *s)
{
	size_t at[PGO_STACKS_MAX_DEPTH + 1] = {0}, sum = 0;
	uint32_t depth = 0;

	for (size_t i = 0; i < s->n_nodes; i++)
		at[s->nodes[i].depth]++;
	while (depth < PGO_STACKS_MAX_DEPTH && sum + at[depth + 1] <= s->max_nodes)
		sum += at[++depth];
	return depth > 0 ? depth : 1;
}

int pgo_stacks_bound(struct pgo_stacks *s)
{
	struct pgo_stack_node *old = s->nodes;
	size_t n = s->n_nodes;
	uint32_t *new_of;
	int rc = 0;

	if (n <= s->max_nodes)
		return 0;
	new_of = pgo_malloc(n * sizeof *new_of);
	if (new_of == NULL)
		return -1;
	s->max_depth = depth_that_fits(s);
	s->cuts++;
	s->nodes = NULL;
	s->n_nodes = s->room = 0;
	pgo_map_fini(&s->map);
	pgo_map_init(&s->map);
	for (size_t i = 0; i < n && rc == 0; i++) {
		uint32_t parent = old[i].key.parent;
		bool cut = old[i].depth > s->max_depth;
		uint32_t up = parent != 0 ? new_of[parent - 1] + 1 : 0;

		new_of[i] = cut ? up - 1 : child_of(s, up, old[i].key.frame, old[i].depth);
		if (new_of[i] == UINT32_MAX) {
			rc = -1;
			break;
		}
		s->nodes[new_of[i]].self += cut ? 0 : old[i].self;
		s->nodes[new_of[i]].other += old[i].other + (cut ? old[i].self : 0);
	}
	pgo_free(new_of);
	pgo_free(old);
	return rc;
}
