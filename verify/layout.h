/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the order of the code does to execution: facts from branch records (LBR) and the program.
 *
 * A record says that a branch was taken to `target` and that execution then ran straight on to `end`,
 * where the next taken branch is.  So every such run is one taken branch (calls and returns count) and
 * as many instructions as the program has from target to end:
 *
 *	taken_per_1000        runs / instructions x 1000
 *	run_instructions      instructions / runs; run_bytes likewise
 *	mispredicts           mispredicted branches / branches, of those recorded with that column
 *	lines, small_pages, large_pages
 *	                      fewest 64-byte lines, 4 KiB and 2 MiB pages in which 50, 90, 99 and 99.9 %
 *	                      of the executed instructions begin
 *
 * Counts are as recorded.  Where there is no record or no program there are no facts, and `why` says
 * which.  Runs that are none by the program's code are left out and counted.
 */
#ifndef PGO_VERIFY_LAYOUT_H
#define PGO_VERIFY_LAYOUT_H

#include "convert/ranges.h"
#include "pgo/core/buf.h"
#include "pgo/core/elf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"
#include "pgo/core/lbr.h"
#include "pgo/core/resolve.h"

#include <stdbool.h>

#define PGO_LAYOUT_COVERS 4
/* 50, 90, 99, 99.9 per cent. */
extern const double pgo_layout_cover[PGO_LAYOUT_COVERS];

struct pgo_layout_facts {
	bool valid;
	const char *why; /* if not; a whole sentence that lives for ever */
	/* Records of runs; records = runs + open + outside + bogus. */
	double records, runs, open, outside,
		bogus; /* open: no end known; outside: of other files */
	double instructions, bytes;
	double taken_per_1000, run_instructions, run_bytes;
	bool has_mispredicts;
	double mispredicts; /* share of branches */
	uint64_t lines[PGO_LAYOUT_COVERS], small_pages[PGO_LAYOUT_COVERS],
		large_pages[PGO_LAYOUT_COVERS];
};

/* The records of one side, while profiles are read. */
struct pgo_layout {
	struct pgo_ranges ranges;
	double open, outside, branches, mispredicts;
	bool seen, has_mispredicts;
};

void pgo_layout_init(struct pgo_layout *l);
void pgo_layout_fini(struct pgo_layout *l);
/* The branch records of one sample; `at` are the resolved locations of `p`. */
int pgo_layout_add(struct pgo_layout *l, const struct pgo_lbr_columns *c,
	const struct pgo_profile *p, const struct pgo_resolved *at, const struct pgo_sample *s,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Nothing can be added after it.  `elf` NULL: no program. */
int pgo_layout_finish(struct pgo_layout *l, const struct pgo_elf *elf, struct pgo_layout_facts *ret,
	struct pgo_err *err) PGO_MUST_CHECK;

/* Both sides: a few lines of text; one object {"before":{...},"after":{...}}, each with the
 * figures, "lines":{"50":N,"90":N,...} for the covers, or with `why` where there are none. */
void pgo_layout_text(const struct pgo_layout_facts *before, const struct pgo_layout_facts *after,
	struct pgo_buf *out);
void pgo_layout_json(const struct pgo_layout_facts *before, const struct pgo_layout_facts *after,
	struct pgo_json *j);

#endif
