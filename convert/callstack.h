/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call stacks of plain samples -> targets of indirect calls.
 *
 * Nothing else knows those.  How often each target is called is not what stacks count: they count
 * time, so a target that runs for long looks called often.  Hence a target f of a site gets, of the
 * executions of the site's block, a share in proportion to
 *
 *	samples with f under the site / h(f),	h(f) = samples with f anywhere on the stack / entries of f
 *
 * the entries being those of the balanced flow.  A recursive function counts once in a sample.  Frames
 * outside the program keep their share of the samples and get no record.
 *
 * A caller's address is what the producer made of the return address: the address itself, something
 * inside the call (one less, mostly), or the call's own address.  The direct calls on the stacks show
 * which: their target must be the frame above.  They also show whether stacks can be believed at all;
 * frame pointers that were not kept give stacks that skip callers.
 */
#ifndef PGO_CONVERT_CALLSTACK_H
#define PGO_CONVERT_CALLSTACK_H

#include "convert/flow_traces.h"
#include "pgo/core/elf.h"
#include "pgo/core/map.h"

#include <stdbool.h>

struct pgo_callstack_fn {
	uint64_t start;
	uint64_t samples; /* with it anywhere on the stack */
	uint64_t stamp;
};

/* What the instruction at a caller's address is: no direct call, or one that counts as that. */
enum pgo_callstack_call {
	PGO_CALLSTACK_INDIRECT,
	PGO_CALLSTACK_BEHIND,
	PGO_CALLSTACK_INSIDE,
	PGO_CALLSTACK_OWN,
	PGO_CALLSTACK_WRONG,
	PGO_CALLSTACK_DIRECT,
};

struct pgo_callstack_pair { /* a frame under another */
	struct {
		uint64_t caller; /* address, by whatever convention */
		uint64_t callee; /* index into fns, or PGO_CALLSTACK_OUTSIDE */
	} key;
	uint64_t samples;
	uint64_t stamp;
	enum pgo_callstack_call call; /* looked up once; direct ones go before targets are named */
};

#define PGO_CALLSTACK_OUTSIDE UINT32_MAX

struct pgo_callstack {
	const struct pgo_elf *symbols, *code; /* borrowed; set at the first use */
	struct pgo_callstack_fn *fns;
	struct pgo_callstack_pair *pairs;
	size_t n_fns, fns_room, n_pairs, pairs_room;
	struct pgo_map fn_map, pair_map;
	uint64_t now; /* the sample in hand */
	/* direct calls whose address was behind the call, in it, its own; whose target was another */
	uint64_t behind, inside, own, wrong;
};

struct pgo_callstack_report {
	size_t sites, sites_known;   /* indirect calls that ran; with targets */
	uint64_t calls, calls_known; /* their executions */
	bool unreliable;             /* the stacks skip callers: not used */
};

/* Zero it first. */
void pgo_callstack_init(
	struct pgo_callstack *s, const struct pgo_elf *symbols, const struct pgo_elf *code);
void pgo_callstack_fini(struct pgo_callstack *s);
/* The function at an address, as a number to use below; *ret PGO_CALLSTACK_OUTSIDE where none is.  0
 * or -1, as all of these. */
int pgo_callstack_function(struct pgo_callstack *s, uint64_t addr, uint32_t *ret);
/* The next sample begins. */
void pgo_callstack_begin(struct pgo_callstack *s);
/* `fn` is on its stack. */
void pgo_callstack_on(struct pgo_callstack *s, uint32_t fn, uint64_t samples);
/* `fn` is above a frame whose address is `caller`. */
int pgo_callstack_under(struct pgo_callstack *s, uint64_t caller, uint32_t fn, uint64_t samples);
/* When the flow of all functions is in `sink`: adds calls from its sites. */
int pgo_callstack_targets(
	struct pgo_callstack *s, struct pgo_flow_sink *sink, struct pgo_callstack_report *ret);

#endif
