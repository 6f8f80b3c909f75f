/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who called whom at what cost, before and after, as one tree: what a differential flame graph draws.
 *
 * Frames are functions by name, inlined ones included, so that both builds have the same; where
 * profiles have no call stacks the inline tree is all there is.  Costs are normalised as in the verdict:
 * what a function cost itself adds up, over all places in the tree, to its `before` and `after` there;
 * without that (no scale), shares of each side.
 *
 * Nodes are in depth-first order, the children of a node by name; node 0 is the root, "all".  What was
 * left out, because there were too many nodes or stacks were too deep, is in nodes called "(other)".
 */
#ifndef PGO_VERIFY_CALLTREE_H
#define PGO_VERIFY_CALLTREE_H

#include "pgo/core/json.h"
#include "verify/attrib.h"
#include "verify/costs.h"

#define PGO_CALLTREE_OTHER "(other)"

struct pgo_calltree_node {
	uint32_t parent; /* index; UINT32_MAX: the root */
	uint32_t name;   /* string of `strs` */
	uint32_t below;  /* nodes in the subtree, without itself: the next sibling is behind them */
	double before, after;           /* with all that is below */
	double self_before, self_after; /* of the function itself */
};

struct pgo_calltree {
	struct pgo_strtab strs;
	struct pgo_calltree_node *nodes;
	size_t n_nodes, room;
	uint64_t pruned; /* nodes that are in "(other)" */
	bool called;     /* there are call stacks in it, not only inlined frames */
};

/* By item of the costs: cost before and after as the verdict has it. */
struct pgo_calltree_scale {
	const double *before, *after;
};

/* Both sides are finished, `costs` sorted.  `scale` may be NULL.  Gives a tree; NULL: out of memory. */
struct pgo_calltree *pgo_calltree_new(const struct pgo_attrib *before,
	const struct pgo_attrib *after, const struct pgo_costs *costs,
	const struct pgo_calltree_scale *scale, struct pgo_err *err);
void pgo_calltree_free(struct pgo_calltree *t);
/* Leaves the `most` dearest nodes at most (by the dearer side), and as many "(other)" at most. */
int pgo_calltree_prune(struct pgo_calltree *t, size_t most, struct pgo_err *err) PGO_MUST_CHECK;
/*
 * {"called":bool,"pruned":N,"names":[...],"nodes":[[parent,name,before,after],...]}: nodes in the order
 * of the tree, `parent` a node's place there (-1: the root), `name` an index into names; before and
 * after with all below.
 */
void pgo_calltree_json(const struct pgo_calltree *t, struct pgo_json *j);

#endif
