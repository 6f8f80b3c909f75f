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
	struct pgo_positions *positions; /* NULL = not wanted */
	struct pgo_edges *edges;         /* NULL = not wanted */
	uint64_t *executed;              /* executions, executions x size of each function of fns */
};

/* Fills the builders and the account. */
int pgo_pass_run(struct pgo_pass *p, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_pass_fini(struct pgo_pass *p);

#endif
