/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flow balancing: samples of instructions -> executions of blocks and of the edges between them.
 *
 * A sample says where the processor spent time, which depends on what an instruction costs and on
 * how late the interrupt was noticed; what enters a block and what leaves it, however, is the same
 * number.  Both kinds of knowledge are put into one function of the blocks' executions x,
 *
 *	samples		w_s log x - w_n x	best at samples / instructions
 *	what flows in	k log x - k x / in	best at the sum of the edges that arrive
 *	what flows out	k log x - k x / out
 *
 * whose maximum is x = (w_s + 2k) / (w_n + k / in + k / out); the edges are then scaled towards x,
 * half-way (geometrically) between what their two ends ask for.  That is done for PGO_BALANCE_ROUNDS
 * rounds, while k grows from 0.25, where samples rule, to 1000, where conservation does.
 *
 * The evidence of an instruction saturates: with s samples where x were expected it weighs
 * 1 / (1 + (x + s) / 2).  Few samples count fully, their noise being that of counting; of many the
 * noise is that of the instruction's unknown cost, which more samples do not lessen; outliers weigh
 * least.  A block's w_s is the sum of weight x samples, its w_n the sum of the weights, over all its
 * instructions.
 *
 * The result is not exactly conserved; who needs it so distributes a block's count over its ways out
 * in proportion to their flows.  Only additions, multiplications, divisions and square roots in a
 * fixed order are done, so that every machine gives the same bits.
 */
#ifndef PGO_CONVERT_BALANCE_H
#define PGO_CONVERT_BALANCE_H

#include <stddef.h>
#include <stdint.h>

#define PGO_BALANCE_ROUNDS 200

struct pgo_balance_block {
	uint32_t insns;             /* 0: a mere junction of edges, without evidence */
	uint32_t first_hit, n_hits; /* its sampled instructions */
	double entry; /* given: 0, or 1 where flow may begin; then: flow from outside */
	double exit;  /* given: prior share that leaves (0 to 1); then: flow to outside */
	double count; /* result: executions, in samples of one instruction */
};

struct pgo_balance_edge {
	uint32_t from, to;
	double flow; /* given: prior share of `from`; then: the result */
};

struct pgo_balance {
	struct pgo_balance_block *blocks;
	struct pgo_balance_edge *edges;
	double *hits; /* samples of one instruction each */
	size_t n_blocks, n_edges, n_hits;
	size_t blocks_room, edges_room, hits_room;
	double *scratch;
	size_t scratch_room;
};

/* Solves one connected piece of code, or several at once.  0, or -1 (memory). */
int pgo_balance_solve(struct pgo_balance *b);
void pgo_balance_fini(struct pgo_balance *b);

#endif
