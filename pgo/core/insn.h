/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single machine instructions of x86-64 and AArch64: length, effect on control flow, target of a
 * direct branch, and how many of them a straight run holds.  For the search for jump tables also
 * the little arithmetic that forms addresses.
 *
 * Bytes are borrowed for the call, never past `len`, and need not be code at all: what is no
 * instruction is refused by the result.  Nothing here allocates; a decoder is a plain value that
 * threads may share.
 *
 * AArch64's are told apart by our own tables after the Arm Architecture Reference Manual, C4
 * "A64 instruction set encoding": only control flow and address arithmetic, every other word is an
 * ordinary instruction of 4 bytes.  x86-64's are left to a library, behind insn_x86.c.
 */
#ifndef PGO_CORE_INSN_H
#define PGO_CORE_INSN_H

#include "pgo/core/elf.h"

#include <stdbool.h>
#include <stddef.h>
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
	bool leader;  /* starts a basic block; decoding says false */
};

struct pgo_insn_decoder {
	enum pgo_machine machine;
	uint64_t room[4]; /* the library's own, see insn_x86.c */
};

void pgo_insn_decoder_init(struct pgo_insn_decoder *d, enum pgo_machine machine);
/* The instruction at `code`, which lies at `addr`; false if these bytes are none, or cut short. */
bool pgo_insn_decode(const struct pgo_insn_decoder *d, uint64_t addr, const uint8_t *code,
	size_t len, struct pgo_insn *ret);
/*
 * Instructions in a straight run from `code` up to and including the one that begins `span` bytes
 * behind it: 1 if span is 0.  0 if none begins there, or if something on the way is no instruction.
 */
uint32_t pgo_insn_count(
	const struct pgo_insn_decoder *d, const uint8_t *code, size_t len, uint64_t span);
/* The kind of the single instruction at `vaddr`; PGO_INSN_OTHER where there is none. */
enum pgo_insn_kind pgo_insn_kind_at(const struct pgo_elf *elf, uint64_t vaddr);

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

/* ---------------------------------------------------------------- address arithmetic */

#define PGO_REG_NONE 255

enum pgo_insn_form {
	PGO_FORM_OTHER,   /* writes `dst`, if that is a register, with something unknown */
	PGO_FORM_ADDRESS, /* dst = value */
	PGO_FORM_ADD,     /* dst = base + (index << shift) + value */
	PGO_FORM_LOAD,    /* dst = memory[base + (index << shift) + value] */
	PGO_FORM_JUMP /* to base, or, with memory set, to memory[base + (index << shift) + value] */
};

struct pgo_insn_operands {
	uint8_t form;             /* enum pgo_insn_form */
	uint8_t dst, base, index; /* general registers by number, or PGO_REG_NONE */
	uint8_t shift;
	uint8_t width;  /* bytes loaded; of PGO_FORM_ADD: bytes of the index that count */
	bool is_signed; /* the load, or the index of an addition, extends the sign */
	bool memory;
	uint64_t value;
};

/* The same instruction again, as arithmetic. */
bool pgo_insn_read_operands(const struct pgo_insn_decoder *d, uint64_t addr, const uint8_t *code,
	size_t len, struct pgo_insn_operands *ret);

/* ---------------------------------------------------------------- by machine, for insn.c */

void pgo_insn_x86_init(struct pgo_insn_decoder *d);
bool pgo_insn_x86_decode(const struct pgo_insn_decoder *d, uint64_t addr, const uint8_t *code,
	size_t len, struct pgo_insn *ret);
bool pgo_insn_x86_operands(const struct pgo_insn_decoder *d, uint64_t addr, const uint8_t *code,
	size_t len, struct pgo_insn_operands *ret);
void pgo_insn_arm64_decode(uint64_t addr, uint32_t word, struct pgo_insn *ret);
void pgo_insn_arm64_operands(uint64_t addr, uint32_t word, struct pgo_insn_operands *ret);

#endif
