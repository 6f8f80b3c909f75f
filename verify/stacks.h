/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call stacks of one side, summed up as a tree of frames (verify/attrib.h), callers towards the root.
 *
 * Memory is bounded: when there are more than the most nodes, stacks are cut at the depth at which
 * there are not, and what is below counts as `other` of the frame it is cut at.  That depth follows
 * from the stacks alone, not from the order they come in.
 */
#ifndef PGO_VERIFY_STACKS_H
#define PGO_VERIFY_STACKS_H

#include "pgo/core/map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PGO_STACKS_MAX_NODES ((size_t)1 << 20)
#define PGO_STACKS_MAX_DEPTH 512

struct pgo_stack_node {
	struct {
		uint32_t parent; /* node + 1; 0 = the root */
		uint32_t frame;
	} key;
	uint32_t depth; /* 1: called by nobody */
	int64_t self;   /* cost at the frame itself */
	int64_t other;  /* cost of what was cut off below it */
};

struct pgo_stacks {
	struct pgo_stack_node *nodes; /* parents before their children */
	size_t n_nodes, room, max_nodes;
	struct pgo_map map;
	uint32_t max_depth;
	uint64_t cuts; /* how often the depth was lowered: numbers of nodes are other ones then */
};

void pgo_stacks_init(struct pgo_stacks *s, size_t max_nodes);
void pgo_stacks_fini(struct pgo_stacks *s);
/*
 * The node of a stack of `n` frames, `frame(ctx, i)` for i = 0 (leaf) .. n - 1 (outermost); fewer if
 * it is cut (`*ret_cut`).  UINT32_MAX: out of memory, or a frame is UINT32_MAX.  No stack: n is not 0.
 */
uint32_t pgo_stacks_node(struct pgo_stacks *s, uint32_t n, uint32_t (*frame)(void *ctx, uint32_t i),
	void *ctx, bool *ret_cut);
/* Lowers the depth if there are too many nodes; 0 or -1. */
int pgo_stacks_bound(struct pgo_stacks *s);

#endif
