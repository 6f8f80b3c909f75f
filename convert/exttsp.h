/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An order of a function's basic blocks in which few branches are taken: greedy merging of chains
 * by the ext-TSP score (Newell and Pupyrev, "Improved Basic Block Reordering", 2020).
 *
 * The score of an order sums over the edges: their count if the target follows directly; a tenth
 * of it, less the farther the jump goes, for jumps of up to 1024 bytes ahead or 640 back.  Chains
 * of two that are connected are joined where that gains most, the first of the two also by being
 * cut in two around the other; the entry stays first.
 *
 * Deterministic: sums are made in a fixed order, ties go to the smaller block number.
 */
#ifndef PGO_CONVERT_EXTTSP_H
#define PGO_CONVERT_EXTTSP_H

#include "pgo/core/err.h"

#include <stddef.h>
#include <stdint.h>

struct pgo_tsp_block {
	uint64_t size, count;
};

struct pgo_tsp_edge {
	uint32_t from, to; /* blocks */
	uint64_t count;
};

/*
 * Fills `order` (room for n) with the blocks, the first of which is block 0, the entry.  Edges from
 * a block to itself say nothing and are passed over.
 */
int pgo_tsp_order(const struct pgo_tsp_block *blocks, size_t n, const struct pgo_tsp_edge *edges,
	size_t n_edges, uint32_t *order, struct pgo_err *err) PGO_MUST_CHECK;
/* The score of an order, for tests and comparisons. */
double pgo_tsp_score(const struct pgo_tsp_block *blocks, size_t n, const struct pgo_tsp_edge *edges,
	size_t n_edges, const uint32_t *order, struct pgo_err *err);

#endif
