/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one pass over the touched functions, in address order: disassemble, check and sweep the
 * fall-through ranges into executions per instruction, then hand the function to the builders of
 * what was asked for (convert/positions.h, convert/edges.h).  One function is in memory at a time.
 */
#ifndef PGO_CONVERT_PASS_H
#define PGO_CONVERT_PASS_H

#include "convert/cfg.h"
#include "convert/codefns.h"
#include "convert/convert.h"
#include "convert/landing.h"
#include "convert/lines.h"
#include "convert/ranges.h"

struct pgo_branch { /* summed over what came after it */
	uint64_t source, target;
	uint64_t count, mispreds;
};

/* One function while it is in hand; arrays by instruction. */
struct pgo_fnwork {
	const struct pgo_codefn *fn;
	struct pgo_cfg cfg;
	uint64_t *count;  /* executions */
	uint64_t *starts; /* fall-through ranges that begin there */
	uint64_t *resume; /* of those, the ones known to have come through the call before it */
	uint32_t *stops;  /* calls, jumps and returns among the instructions before it */
	size_t room;
	const struct pgo_branch
		*branches; /* whose source is in the function, by (source, target) */
	size_t n_branches;
	uint64_t *leaders; /* extra ones */
	size_t n_leaders, leaders_room;
	uint64_t *pads; /* landing pads, sorted */
	size_t n_pads, pads_room;
};

struct pgo_pass {
	const struct pgo_elf *elf; /* instructions */
	const struct pgo_elf
		*symbols; /* names: the ELF, or its debug file if that one is stripped */
	const struct pgo_lines *lines; /* NULL without a source-level output */
	struct pgo_ranges *ranges;     /* sorted */
	struct pgo_codefns *fns;       /* finished, with joints */
	struct pgo_account *account;
	struct pgo_branch *branches; /* by (source, target); from outside at the end */
	size_t n_branches, branches_room;
	/*
	 * Branches to recorded runs.  The newest branch of a ring has no run yet, so a ring of 32
	 * gives 32 branches and 31 runs, and whatever is left by falling through would seem to
	 * lose a 32nd of what enters it.  Runs are scaled up by this when they are written out.
	 */
	uint64_t branches_in, runs_in;
	struct pgo_positions *positions; /* NULL = not wanted */
	struct pgo_edges *edges;         /* NULL = not wanted */
	uint64_t *executed;              /* executions, executions x size of each function of fns */
};

/* `n` recorded runs as executions: rounded once, here. */
static inline uint64_t pgo_pass_scale(const struct pgo_pass *p, uint64_t n)
{
	unsigned __int128 wide = (unsigned __int128)n * p->branches_in + p->runs_in / 2;

	wide /= p->runs_in;
	return wide > UINT64_MAX ? UINT64_MAX : (uint64_t)wide;
}

/* Fills the builders and the account. */
int pgo_pass_run(struct pgo_pass *p, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_pass_fini(struct pgo_pass *p);

#endif
