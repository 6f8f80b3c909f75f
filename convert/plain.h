/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles without branch records: only where the processor was, not how it got there.
 *
 * What the records would have said is estimated, function by function: the samples are put on the
 * flow graph of the code (convert/flow.h), balanced (convert/balance.h), and written out as ranges and
 * branches (convert/flow_traces.h), so that all that follows is as with branch records.  A function
 * and the parts split off from it are one graph.  Functions without samples stay out, but for calls of
 * them that are known.
 */
#ifndef PGO_CONVERT_PLAIN_H
#define PGO_CONVERT_PLAIN_H

#include "convert/callstack.h"
#include "convert/pass.h"

/* Samples in functions with fewer than this are said to be thin. */
#define PGO_PLAIN_FEW 30

/*
 * Turns sorted samples into sorted traces.  Keeps the samples.  `unit`: what one sample counts as, at
 * least 1.  Moves samples that are in no instruction of a function from `plain_used` to the losses of
 * the account, and fills `estimate` there.
 */
int pgo_plain_to_ranges(struct pgo_ranges *r, const struct pgo_elf *symbols,
	const struct pgo_elf *code, struct pgo_callstack *stacks, double unit,
	struct pgo_account *a, struct pgo_err *err) PGO_MUST_CHECK;

#endif
