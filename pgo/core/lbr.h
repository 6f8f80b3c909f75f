/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "lbr traces" v1: branch records (Intel LBR, AMD LbrExtV2, Arm BRBE) inside an ordinary pprof. The
 * full text is pgo-lbr(7).
 *
 * Sample types, by name: `lbr_traces/count`, `lbr_mispredicts/count`, optional `lbr_cycles/cycles`
 * and `lbr_executions/count`. A trace is one Sample of exactly three locations, leaf first:
 * [fall-through end, branch target, branch source]: the branch at `source` was taken to `target`,
 * then execution fell through to the next taken branch at `end`.  All are addresses of
 * instructions, without the minus one of call stacks. An end that is not known is a pseudo-location
 * without mapping and address whose function is called as below. Each column is read for itself: a
 * store may fold a call stack of three frames and a trace into one sample.
 *
 * Also read: pairs (`lbr_branches`, `lbr_ranges`: two locations [target or end, source or start]);
 * and the stack form of sample type `lbr/stacks`, whole rings as from,to,from,to,... newest first,
 * which Perforator writes.  In these forms one sample may hold several traces.
 */
#ifndef PGO_CORE_LBR_H
#define PGO_CORE_LBR_H

#include "pgo/core/profile.h"

#define PGO_LBR_TYPE_TRACES "lbr_traces"
#define PGO_LBR_TYPE_MISPREDICTS "lbr_mispredicts"
#define PGO_LBR_TYPE_CYCLES "lbr_cycles"
#define PGO_LBR_TYPE_EXECUTIONS "lbr_executions"
#define PGO_LBR_TYPE_BRANCHES "lbr_branches"
#define PGO_LBR_TYPE_RANGES "lbr_ranges"
#define PGO_LBR_TYPE_STACKS "lbr"               /* with the unit "stacks" */
#define PGO_LBR_BRANCH_ONLY "[lbr:branch_only]" /* in place of `end`: newest entry of a ring */
#define PGO_LBR_FALLTHROUGH_ONLY                                                                   \
	"[lbr:fallthrough_only]" /* in place of `source`: unknown, not counted as a branch */
#define PGO_LBR_EXTERNAL                                                                           \
	"[lbr:external]" /* in place of any end: code outside the recorded binaries */
#define PGO_LBR_EXTERNAL_RETURN                                                                    \
	"[lbr:external_return]" /* in place of `source`: came back from outside by a return */

/* What one end of a trace is. */
enum pgo_lbr_end {
	PGO_LBR_ADDR, /* a location with an address */
	PGO_LBR_IS_BRANCH_ONLY,
	PGO_LBR_IS_FALLTHROUGH_ONLY,
	PGO_LBR_IS_EXTERNAL,
	PGO_LBR_IS_EXTERNAL_RETURN,
};

/* Which columns of a profile hold branch data; PGO_NONE where absent. */
struct pgo_lbr_columns {
	uint32_t traces, mispredicts, cycles, executions; /* value indices */
	uint32_t branches, ranges;                        /* the two-location form */
	uint32_t stacks;                                  /* the stack form */
	uint8_t *end_kind;                                /* per location: enum pgo_lbr_end */
	size_t n_locations;
};

/* Looks the columns up and classifies every location once. `has` = there is one that counts traces,
 * branches, ranges or stacks. */
int pgo_lbr_columns_init(struct pgo_lbr_columns *c, const struct pgo_profile *p, bool *ret_has,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_lbr_columns_fini(struct pgo_lbr_columns *c);

/* One trace (or, from the other forms, a branch or a range) read from a sample. */
struct pgo_lbr_trace {
	uint32_t source, target, end; /* location indices; source is PGO_NONE in a bare range, end
					 in a bare branch */
	int64_t count, mispredicts, cycles, executions;
};
/*
 * The traces of a sample, one a call; set `*at` to 0 before the first.  1 and a trace, 0 when there
 * is none left (or none at all: the branch columns are 0), or a negative code for a malformed one
 * (not three locations, a negative count, a pseudo-location where it has no meaning).
 */
int pgo_lbr_trace_next(const struct pgo_lbr_columns *c, const struct pgo_profile *p,
	const struct pgo_sample *s, uint32_t *at, struct pgo_lbr_trace *ret,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
