/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executions of instructions -> the source-level profile.
 *
 * A position (inline chain, line offset, base discriminator) has the largest count of its
 * instructions, times their duplication factor; over GCC 16's copies of one statement, and over
 * clones of one function, counts are summed.  All instructions of a function that ran count, those
 * that did not run with 0: that is how a compiler tells "never executed" from "not known".
 * Totals are executions x instruction size, added along the inline chain.  Every branch to the
 * start of a function adds to its head, unless it is a jump inside that very function; it is a
 * call target at the branch's position, whose count is at least the sum of its targets.
 *
 * Line 0 and functions without a declaration line match nothing in a compiler; they are counted
 * (account.no_line) and left out.
 *
 * Names: the linkage name of DWARF; without one (C, internal linkage) the symbol without the tails
 * of split-off parts and clones; last DW_AT_name.
 */
#ifndef PGO_CONVERT_SOURCE_H
#define PGO_CONVERT_SOURCE_H

#include "convert/pass.h"

struct pgo_source_node { /* per node of the inline tree */
	uint32_t same;   /* the first node with the same chain: they count as one */
	uint64_t total;
};

struct pgo_source_record {
	uint32_t node, line, disc, copy;
	uint64_t count;
};

struct pgo_source_target {
	uint32_t node, line, disc, callee;
	uint64_t count;
};

struct pgo_source {
	struct pgo_fnprof *prof;       /* borrowed */
	const struct pgo_lines *lines; /* borrowed */
	struct pgo_source_node *nodes;
	bool *fn_ran;       /* by function of lines */
	uint32_t *fn_names; /* likewise: string */
	uint64_t *heads;    /* likewise */
	struct pgo_source_record *records;
	struct pgo_source_target *targets;
	size_t n_records, records_room, n_targets, targets_room;
};

/* Needs p->lines, p->fns and p->ranges; 0 or -1 (memory), as all of these. */
int pgo_source_init(struct pgo_source *s, struct pgo_fnprof *prof, const struct pgo_pass *p);
void pgo_source_fini(struct pgo_source *s);
int pgo_source_add(struct pgo_source *s, struct pgo_pass *p, const struct pgo_fnwork *w);
/* A branch from outside. */
int pgo_source_enter(struct pgo_source *s, const struct pgo_pass *p, const struct pgo_branch *b);
/* Builds the profile, sorted, with the list of functions that never ran. */
int pgo_source_finish(struct pgo_source *s, const struct pgo_pass *p);
/* The function's name as the profile has it, or PGO_STR_NONE where there is no debug information.
 */
uint32_t pgo_source_name_at(const struct pgo_source *s, uint64_t addr);

#endif
