/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables behind convert/lines.h, apart from where they come from: line rows, the tree of
 * inlined bodies, and the address intervals of its nodes.
 *
 * Fill the arrays in any order, then pgo_linetab_finish().  It sorts the rows, keeps the last of
 * equal addresses (the earlier ones cover nothing), cuts rows to the functions' ranges, and
 * flattens nested intervals into disjoint ones that name the innermost node.
 */
#ifndef PGO_CONVERT_LINETAB_H
#define PGO_CONVERT_LINETAB_H

#include "convert/lines.h"

struct pgo_linetab_row {
	uint64_t addr;
	uint32_t line;     /* 28 bits of line, 2 of encoding, 1: end of a sequence */
	uint32_t raw_disc; /* as the line table has it */
};

#define PGO_ROW_MAX_LINE 0x0fffffffu
#define PGO_ROW_ENC_SHIFT 28
#define PGO_ROW_END 0x80000000u

struct pgo_linetab_interval {
	uint64_t lo, hi;
	uint32_t node, depth;
};

struct pgo_linetab {
	struct pgo_linetab_row *rows;
	struct pgo_linetab_interval *intervals;
	struct pgo_lines_node *nodes;
	struct pgo_lines_fn *fns;
	struct pgo_linetab_interval *ranges; /* of out-of-line functions, grouped; node = fn */
	size_t n_rows, n_intervals, n_nodes, n_fns, n_ranges;
	size_t rows_room, intervals_room, nodes_room, fns_room, ranges_room;
};

void pgo_linetab_fini(struct pgo_linetab *t);
/* 0 or -1 (out of memory). */
int pgo_linetab_add_row(struct pgo_linetab *t, uint64_t addr, uint32_t line, uint32_t disc,
	enum pgo_disc_encoding enc, bool end);
int pgo_linetab_add_interval(
	struct pgo_linetab *t, uint64_t lo, uint64_t hi, uint32_t node, uint32_t depth);
int pgo_linetab_finish(struct pgo_linetab *t);
/* Code that was moved: [lo, hi) is what began at `from`. */
struct pgo_linetab_move {
	uint64_t lo, hi, from;
};
/*
 * After finishing: makes the table one of the addresses after the move (`m` sorted, disjoint); what
 * was not moved is gone.  A function's entry is where its first byte went.
 */
int pgo_linetab_move(struct pgo_linetab *t, const struct pgo_linetab_move *m, size_t n);
void pgo_linetab_find(const struct pgo_linetab *t, uint64_t vaddr, struct pgo_lines_hit *ret);

#endif
