/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions and basic blocks of single functions; the only file that calls a disassembler.
 *
 * Block boundaries are those llvm-bolt will find: direct branch targets inside the function, the
 * instruction after a branch, jump-table targets, landing pads.
 */
#ifndef PGO_CONVERT_CFG_H
#define PGO_CONVERT_CFG_H

#include "pgo/core/elf.h"
#include "pgo/core/err.h"

#include <stdbool.h>
#include <stdint.h>

enum pgo_insn_kind {
	PGO_INSN_OTHER,
	PGO_INSN_COND,
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

struct pgo_cfg {
	uint64_t start, end;
	struct pgo_insn *insns; /* by addr */
	size_t n_insns, room;
	bool complete; /* every byte decoded */
};

/*
 * Decodes [start, end). `extra_leaders`: sorted addresses known to be jumped to from observed
 * indirect jumps.  Undecodable bytes end the decoding (complete = false). Fills *ret
 * (pgo_cfg_fini).
 */
int pgo_cfg_decode(const struct pgo_elf *elf, uint64_t start, uint64_t end,
	const uint64_t *extra_leaders, size_t n_extra, struct pgo_cfg *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_cfg_fini(struct pgo_cfg *c);
/* Index of the instruction at exactly `addr`, or PGO_NONE32 (UINT32_MAX). */
uint32_t pgo_cfg_at(const struct pgo_cfg *c, uint64_t addr);

#endif
