/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flow graph of a function, with the parts that were split off from it, for convert/balance.h.
 *
 * Blocks begin where convert/cfg.h says, at landing pads, at branch targets from the other parts, at
 * labels whose address is taken (if the function has an indirect jump without a table: a computed
 * goto), behind conditional branches, and behind calls that never return.  Other calls end no block.
 * Flow leaves by returns, traps, jumps out of the function, calls that never return and indirect
 * jumps that lead nowhere known.  It enters at the function's start, and wherever else nothing leads
 * (landing pads), but for padding.  Computed gotos that share their labels meet in one junction: a
 * block without instructions.
 */
#ifndef PGO_CONVERT_FLOW_H
#define PGO_CONVERT_FLOW_H

#include "convert/balance.h"
#include "convert/cfg.h"
#include "convert/codefns.h"
#include "convert/labels.h"
#include "convert/landing.h"
#include "convert/noreturn.h"
#include "convert/ranges.h"

struct pgo_flow_part { /* one function symbol */
	const struct pgo_codefn *fn;
	struct pgo_cfg cfg;
	uint32_t *block_of; /* by instruction; UINT32_MAX: not the first of a block */
	size_t block_of_room;
	uint32_t first_block, n_blocks;
	uint32_t junction; /* block, or UINT32_MAX */
	uint64_t samples;
	bool live; /* set when the result is written out */
};

enum pgo_flow_end { /* how a block is left, besides by its edges */
	PGO_FLOW_FALLS,
	PGO_FLOW_RETURNS,
	PGO_FLOW_JUMPS_OUT, /* to insns[last].target, if that is known */
	PGO_FLOW_DIES       /* trap, call without return, end of the code */
};

struct pgo_flow_block {
	uint32_t part, first, last; /* instructions */
	uint32_t fall;              /* the edge to the block behind it, or UINT32_MAX */
	uint32_t first_edge, n_edges;
	uint8_t end; /* enum pgo_flow_end */
};

struct pgo_flow {
	/* set these, all borrowed */
	const struct pgo_elf *code;
	const struct pgo_landing *landing;
	struct pgo_labels *labels;
	struct pgo_noreturn *noreturn;

	struct pgo_flow_part *parts;   /* by address */
	size_t n_parts, parts_room;    /* room: all have memory to reuse */
	struct pgo_flow_block *blocks; /* as balance.blocks */
	size_t n_blocks, blocks_room;
	struct pgo_balance balance;
	uint64_t *pads; /* scratch */
	size_t n_pads, pads_room;
	uint32_t *ways; /* scratch: blocks that an indirect jump leads to */
	size_t n_ways, ways_room;
	uint64_t misplaced;                    /* samples on bytes that are no instruction's */
	size_t n_jumps_known, n_jumps_unknown; /* indirect ones, with and without places to go */
};

/*
 * Builds the graph of fns[0..n_fns), by address, the parts of one function; or of several, which share
 * a name: then it is several graphs.  Puts the samples of `r` (sorted) on it, `unit` counts being one
 * sample.
 */
int pgo_flow_build(struct pgo_flow *f, const struct pgo_codefn *const *fns, size_t n_fns,
	const struct pgo_ranges *r, double unit, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_flow_fini(struct pgo_flow *f);

static inline const struct pgo_insn *pgo_flow_last(const struct pgo_flow *f, uint32_t block)
{
	const struct pgo_flow_block *b = &f->blocks[block];

	return &f->parts[b->part].cfg.insns[b->last];
}

#endif
