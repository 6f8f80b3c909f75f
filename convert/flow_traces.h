/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A balanced flow graph -> what branch records would have said, so that everything behind it needs no
 * second way: fall-through ranges, and branches that were taken.
 *
 *	block			its count, as part of the ranges that run over it; a range goes on into
 *				the next block as far as the edge there has flow, and ends at calls, behind
 *				which another begins that came by a return
 *	branch, switch		(jump, target), by the edge
 *	direct call, jump out	(call, entry of the callee), the block's count
 *	entry			how often the function was entered: kept, because how much of it the
 *				known calls make up shows only when all functions are done
 *	indirect call		kept, for convert/callstack.h
 *
 * Counts are multiples of 1/PGO_FLOW_SCALE of a sample, rounded here; what rounds to 0 is left out.
 */
#ifndef PGO_CONVERT_FLOW_TRACES_H
#define PGO_CONVERT_FLOW_TRACES_H

#include "convert/flow.h"

#define PGO_FLOW_SCALE 1000

struct pgo_flow_entry {
	uint64_t addr;
	uint64_t entered; /* by the flow of the function itself */
	uint64_t called;  /* by calls that are known */
};

struct pgo_flow_site { /* an indirect call */
	uint64_t addr, size, count;
};

/* What is gathered over all functions.  Zero it, then pgo_flow_sink_init(). */
struct pgo_flow_sink {
	struct pgo_ranges *r; /* borrowed */
	struct pgo_flow_entry *entries;
	struct pgo_flow_site *sites;
	size_t n_entries, entries_room, n_sites, sites_room;
	struct pgo_map entry_map;
	uint64_t *counts; /* scratch: of blocks */
	size_t counts_room;
	struct pgo_flow_run {
		uint64_t start, count;
		bool returned;
	} * runs; /* scratch: open ones, oldest first */
	size_t first_run, n_runs, runs_room;
};

void pgo_flow_sink_init(struct pgo_flow_sink *s, struct pgo_ranges *r);
void pgo_flow_sink_fini(struct pgo_flow_sink *s);
/* The record of a function's entry, made if need be; valid until the next one is made.  NULL: memory. */
struct pgo_flow_entry *pgo_flow_entry(struct pgo_flow_sink *s, uint64_t addr);
/* `part` of `whole` parts of n, rounded. */
uint64_t pgo_flow_share(uint64_t n, double part, double whole);
/* Adds a branch; one to the start of a function as a call of it.  0 or -1, as all of these. */
int pgo_flow_call(struct pgo_flow_sink *s, uint64_t from, uint64_t to, uint64_t count);
/* Writes out the graph after pgo_balance_solve(); parts without samples that nothing sampled leads to
 * stay out. */
int pgo_flow_traces(struct pgo_flow_sink *s, struct pgo_flow *f);
/* When all are done: adds branches from outside for entries that no known call explains. */
int pgo_flow_finish(struct pgo_flow_sink *s);

#endif
