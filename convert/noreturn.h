/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that never come back: what follows one in memory is not what runs next.
 *
 * Known by name (abort, __assert_fail, __cxa_throw ...), behind a linkage stub or not; else by
 * looking: a function of at most PGO_NORETURN_SIZE bytes, none of whose paths from its entry reaches
 * a return, a jump out of it to something that returns, or an indirect jump without a table.  Where
 * anything is in doubt a call returns.  Every answer is kept.
 */
#ifndef PGO_CONVERT_NORETURN_H
#define PGO_CONVERT_NORETURN_H

#include "convert/cfg.h"
#include "pgo/core/elf.h"
#include "pgo/core/map.h"

#define PGO_NORETURN_SIZE 8192
/* A function that ends in a call of one that does not return, and so on. */
#define PGO_NORETURN_DEPTH 6

struct pgo_noreturn_answer {
	uint64_t entry;
	bool yes;
};

struct pgo_noreturn {
	const struct pgo_elf *symbols, *code; /* borrowed */
	struct pgo_noreturn_answer *answers;
	size_t n_answers, answers_room;
	struct pgo_map map;
	struct {
		struct pgo_cfg cfg;
		uint32_t *todo; /* instructions to go on from */
		bool *seen;
		size_t n_todo, todo_room, seen_room;
	} level[PGO_NORETURN_DEPTH];
};

void pgo_noreturn_init(
	struct pgo_noreturn *n, const struct pgo_elf *symbols, const struct pgo_elf *code);
void pgo_noreturn_fini(struct pgo_noreturn *n);
/* Does a call of `entry` never return?  `ret` false also when it is not known. */
int pgo_noreturn_find(
	struct pgo_noreturn *n, uint64_t entry, bool *ret, struct pgo_err *err) PGO_MUST_CHECK;

#endif
