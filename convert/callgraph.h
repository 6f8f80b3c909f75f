/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who calls whom how often, and an order of functions made of it, in which those that call each
 * other often are neighbours.
 *
 * Nodes are the machine-code functions that ran, by symbol.  An edge is a branch from one of them
 * to the start of another that is no return: calls, tail calls, jumps into a split-off part.
 *
 * The order is call-chain clustering (C3: Ottoni and Maher, "Optimizing Function Placement for
 * Large-Scale Data-Center Applications", 2017): from the hottest function on, each one's cluster is
 * put behind that of its most frequent caller, unless the result would be larger than 1 MB or less
 * than an eighth as dense as the caller's, or the caller makes fewer than a tenth of the calls;
 * clusters stand by density.
 */
#ifndef PGO_CONVERT_CALLGRAPH_H
#define PGO_CONVERT_CALLGRAPH_H

#include "convert/codefns.h"
#include "convert/ranges.h"
#include "pgo/core/elf.h"
#include "pgo/core/err.h"

#include <stddef.h>
#include <stdint.h>

struct pgo_callee {
	uint32_t from, to; /* functions of codefns */
	uint64_t count;
};

struct pgo_callgraph {
	size_t n_fns;             /* as many as codefns has */
	uint64_t *size;           /* by function: bytes */
	uint64_t *weight;         /* bytes of code executed; 0 = only branched from or to */
	struct pgo_callee *edges; /* by (from, to) */
	size_t n_edges, edges_room;
};

/* Of one binary; sizes may be changed before ordering.  Free with pgo_callgraph_fini(). */
int pgo_callgraph_make(struct pgo_callgraph *g, const struct pgo_elf *code,
	const struct pgo_codefns *fns, const struct pgo_ranges *r,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_callgraph_fini(struct pgo_callgraph *g);
/* Fills `order` (room for n_fns) with the functions of any weight; `*ret_n` of them. */
int pgo_callgraph_order(const struct pgo_callgraph *g, uint32_t *order, size_t *ret_n,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
