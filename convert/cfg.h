/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions and basic blocks of single functions.
 *
 * Block boundaries are those llvm-bolt finds, because a profile for it names edges by them: the
 * function's start, direct branch targets inside the function, the instruction after a branch,
 * return or trap, jump-table targets, and what the caller knows besides (landing pads, branches
 * from a split-off part, observed targets of indirect jumps).  One exception is BOLT's own: an
 * unconditional branch right behind a conditional one stays in the block of that one.
 */
#ifndef PGO_CONVERT_CFG_H
#define PGO_CONVERT_CFG_H

#include "pgo/core/elf.h"
#include "pgo/core/err.h"
#include "pgo/core/insn.h"

#include <stdbool.h>
#include <stdint.h>

/* A jump table: entry n leads to anchor + (entry << shift), or, if absolute, to the entry itself. */
struct pgo_cfg_table {
	uint64_t addr, anchor;
	uint32_t jump;        /* index of the instruction */
	uint32_t n_max;       /* entries, as far as the code says; else PGO_CFG_TABLE_MAX */
	uint8_t width, shift; /* of an entry, in bytes; bits */
	bool is_signed, absolute;
};

/* No switch has more cases; bounds what a hostile binary can make us read. */
#define PGO_CFG_TABLE_MAX 65536

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
	struct pgo_cfg_table *tables; /* by address */
	size_t tables_room;
	struct pgo_insn_decoder decoder;
	bool ready; /* the decoder */
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
/* For qsort() and bsearch() of addresses. */
int pgo_compare_u64(const void *a, const void *b);

/* cfg_tables.c: finds the tables of the function's indirect jumps and marks where they lead. 0 or -1
 * (memory). */
int pgo_cfg_mark_tables(struct pgo_cfg *c, const struct pgo_elf *elf, const uint8_t *code);
/* Makes the instruction at `addr` a leader, if the function has one there. */
void pgo_cfg_mark(struct pgo_cfg *c, uint64_t addr);
static inline bool pgo_cfg_inside(const struct pgo_cfg *c, uint64_t addr)
{
	return addr >= c->start && addr < c->end;
}

#endif
