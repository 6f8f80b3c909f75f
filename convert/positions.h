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
 * Code without a line, and functions without a declaration line, match nothing in a compiler; they
 * are counted (account.no_line) and left out.  The exception is line 0 of clang, which looks it up
 * like any other.
 *
 * Names: the linkage name of DWARF; without one (C, internal linkage) the symbol without the tails
 * of split-off parts and clones; last DW_AT_name.
 */
#ifndef PGO_CONVERT_POSITIONS_H
#define PGO_CONVERT_POSITIONS_H

#include "convert/pass.h"

struct pgo_positions_node { /* per node of the inline tree */
	uint32_t same;      /* the first node with the same chain: they count as one */
	uint64_t total;
};

struct pgo_positions_record {
	uint32_t node, line, disc, copy;
	uint64_t count;
};

struct pgo_positions_target {
	uint32_t node, line, disc, callee;
	uint64_t count;
};

struct pgo_positions {
	struct pgo_fnprof *prof;       /* borrowed */
	const struct pgo_lines *lines; /* borrowed */
	struct pgo_positions_node *nodes;
	bool *fn_ran;       /* by function of lines */
	uint32_t *fn_names; /* likewise: string */
	uint64_t *heads;    /* likewise */
	struct pgo_positions_record *records;
	struct pgo_positions_target *targets;
	size_t n_records, records_room, n_targets, targets_room;
};

/* Needs p->lines, p->fns and p->ranges; 0 or -1 (memory), as all of these. */
int pgo_positions_init(struct pgo_positions *s, struct pgo_fnprof *prof, const struct pgo_pass *p);
void pgo_positions_fini(struct pgo_positions *s);
int pgo_positions_add(struct pgo_positions *s, struct pgo_pass *p, const struct pgo_fnwork *w);
/* A branch from outside. */
int pgo_positions_enter(
	struct pgo_positions *s, const struct pgo_pass *p, const struct pgo_branch *b);
/* Builds the profile, sorted, with the list of functions that never ran. */
int pgo_positions_finish(struct pgo_positions *s, const struct pgo_pass *p);
/* The function's name as the profile has it, or PGO_STR_NONE where there is no debug information.
 */
uint32_t pgo_positions_name_at(const struct pgo_positions *s, uint64_t addr);

#endif
