/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions and basic blocks of single functions; the only file that calls a disassembler.
 *
 * Block boundaries are those llvm-bolt finds, because a profile for it names edges by them: the
 * function's start, direct branch targets inside the function, the instruction after a branch,
 * return or trap, jump-table targets, and what the caller knows besides (landing pads, branches
 * from a split-off part, observed targets of indirect jumps).  One exception is BOLT's own: an
 * unconditional branch right behind a conditional one stays in the block of that one.
 *
 * x86-64 only for now; another machine gets a second decoder behind the same structures.
 */
#ifndef PGO_CONVERT_CFG_H
#define PGO_CONVERT_CFG_H

#include "pgo/core/elf.h"
#include "pgo/core/err.h"

#include <stdbool.h>
#include <stdint.h>

enum pgo_insn_kind {
	PGO_INSN_OTHER,
	PGO_INSN_COND, /* conditional branch */
	PGO_INSN_JUMP,
	PGO_INSN_JUMP_INDIRECT,
	PGO_INSN_CALL,
	PGO_INSN_CALL_INDIRECT,
	PGO_INSN_RET,
	PGO_INSN_TRAP,
	PGO_INSN_NOP
};

struct pgo_insn {
	uint64_t addr;
	uint64_t target; /* of a direct branch or call; 0 otherwise */
	uint8_t size;
	uint8_t kind; /* enum pgo_insn_kind */
	bool leader;  /* starts a basic block */
};

/* One way out of an indirect jump that has a table.  A table's entries repeat; so do these. */
struct pgo_cfg_case {
	uint32_t jump;   /* index of the jump in insns */
	uint64_t target; /* in the function, or in another part of it */
};

/* One function at a time; zero it first, then decode as often as wanted: the memory is reused. */
struct pgo_cfg {
	uint64_t start, end;
	struct pgo_insn *insns; /* by addr */
	size_t n_insns, insns_room;
	bool complete;              /* every byte decoded */
	size_t n_jumps;             /* indirect jumps */
	size_t n_tables;            /* of those, with a jump table that was found */
	struct pgo_cfg_case *cases; /* by (table, place in it), not by jump */
	size_t n_cases, cases_room;
	struct pgo_cfg_table *tables; /* scratch */
	size_t tables_room;
};

/*
 * Decodes [start, end). `extra`: sorted addresses that are known to start blocks; those outside
 * the function are passed over.  Undecodable bytes end the decoding (complete = false).
 */
int pgo_cfg_decode(struct pgo_cfg *c, const struct pgo_elf *elf, uint64_t start, uint64_t end,
	const uint64_t *extra, size_t n_extra, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_cfg_fini(struct pgo_cfg *c);
/* Index of the instruction at exactly `addr`, or UINT32_MAX. */
uint32_t pgo_cfg_at(const struct pgo_cfg *c, uint64_t addr);
/* Does control never go on to the next instruction?  (Calls do return.) */
static inline bool pgo_insn_ends_flow(uint8_t kind)
{
	return kind == PGO_INSN_JUMP || kind == PGO_INSN_JUMP_INDIRECT || kind == PGO_INSN_RET ||
	       kind == PGO_INSN_TRAP;
}
static inline bool pgo_insn_is_call(uint8_t kind)
{
	return kind == PGO_INSN_CALL || kind == PGO_INSN_CALL_INDIRECT;
}
/* For qsort() and bsearch() of addresses. */
int pgo_compare_u64(const void *a, const void *b);
/* The kind of the single instruction at `vaddr`; PGO_INSN_OTHER where there is none. */
enum pgo_insn_kind pgo_insn_kind_at(const struct pgo_elf *elf, uint64_t vaddr);

#endif
