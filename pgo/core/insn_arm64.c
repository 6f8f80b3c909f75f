/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A64: each instruction is one little-endian word.  Bits 28..25 choose the group; control flow is
 * "Branches, exception generating and system instructions" (x101x... with bit 28 set), and a few
 * words outside it.  Reserved encodings are ordinary instructions here: whether a word is valid on
 * some processor is not our question, only where control goes after those that are.
 */
#include "pgo/core/insn.h"

#define NOP 0xd503201fu

/* The signed field of `bits` bits that starts at bit `low`, times four. */
static uint64_t offset_of(uint32_t w, unsigned low, unsigned bits)
{
	int64_t v = (int64_t)((uint64_t)w << (64 - low - bits)) >> (64 - bits);

	return (uint64_t)v * 4;
}

static void to(struct pgo_insn *i, enum pgo_insn_kind kind, uint64_t distance)
{
	i->kind = (uint8_t)kind;
	i->target = i->addr + distance;
}

/* CB<cc>, CBB<cc>, CBH<cc>: compare two registers, or one with a constant, and branch. */
static bool compares_and_branches(uint32_t w)
{
	uint32_t cc = w >> 21 & 7, size = w >> 14 & 3;

	if ((w & 0x7e000000) != 0x74000000 || cc == 4 || cc == 5)
		return false;
	if ((w & 0x01000000) != 0)
		return (size & 1) == 0;
	/* Bytes and halfwords have no 64-bit form. */
	return size == 0 || (size >= 2 && w >> 31 == 0);
}

/* BR, BLR, RET, ERET and their forms that authenticate the address. */
static enum pgo_insn_kind through_register(uint32_t w)
{
	uint32_t opc = w >> 21 & 15, op3 = w >> 10 & 63, rn = w >> 5 & 31, op4 = w & 31;
	bool plain = op3 == 0 && op4 == 0, authenticated = op3 == 2 || op3 == 3;

	if ((w >> 16 & 31) != 31)
		return PGO_INSN_OTHER;
	switch (opc) {
	case 0: /* BR; BRAAZ, BRABZ */
		return plain || (authenticated && op4 == 31) ? PGO_INSN_JUMP_INDIRECT
							     : PGO_INSN_OTHER;
	case 1: /* BLR; BLRAAZ, BLRABZ */
		return plain || (authenticated && op4 == 31) ? PGO_INSN_CALL_INDIRECT
							     : PGO_INSN_OTHER;
	case 2: /* RET; RETAA, RETAB; RETAASPPCR, RETABSPPCR with a register in op4 */
		return plain || (authenticated && rn == 31) ? PGO_INSN_RET : PGO_INSN_OTHER;
	case 4: /* ERET; ERETAA, ERETAB */
		return rn == 31 && (plain || (authenticated && op4 == 31)) ? PGO_INSN_RET
									   : PGO_INSN_OTHER;
	case 5: /* DRPS */
		return rn == 31 && plain ? PGO_INSN_RET : PGO_INSN_OTHER;
	case 7: /* TEXIT */
		return op3 < 2 && rn == 31 && op4 == 0 ? PGO_INSN_RET : PGO_INSN_OTHER;
	case 8: /* BRAA, BRAB */
		return authenticated ? PGO_INSN_JUMP_INDIRECT : PGO_INSN_OTHER;
	case 9: /* BLRAA, BLRAB */
		return authenticated ? PGO_INSN_CALL_INDIRECT : PGO_INSN_OTHER;
	default:
		return PGO_INSN_OTHER;
	}
}

static bool traps(uint32_t w)
{
	return (w & 0xffe0001f) == 0xd4200000 /* BRK */ ||
	       (w & 0xffe0001f) == 0xd4400000 /* HLT */ || w >> 16 == 0 /* UDF */;
}

void pgo_insn_arm64_decode(uint64_t addr, uint32_t w, struct pgo_insn *ret)
{
	*ret = (struct pgo_insn){.addr = addr, .size = 4, .kind = PGO_INSN_OTHER};
	/* Everything of interest has bits 28..26 = 101, but UDF, whose high half is zero. */
	if ((w & 0x1c000000) != 0x14000000) {
		if (w >> 16 == 0)
			ret->kind = PGO_INSN_TRAP;
		return;
	}
	if ((w & 0x7c000000) == 0x14000000)
		to(ret, w >> 31 != 0 ? PGO_INSN_CALL : PGO_INSN_JUMP, offset_of(w, 0, 26));
	else if ((w & 0xff000000) == 0x54000000 || (w & 0x7e000000) == 0x34000000)
		to(ret, PGO_INSN_COND, offset_of(w, 5, 19)); /* B.cond, BC.cond; CBZ, CBNZ */
	else if ((w & 0x7e000000) == 0x36000000)
		to(ret, PGO_INSN_COND, offset_of(w, 5, 14)); /* TBZ, TBNZ */
	else if (compares_and_branches(w))
		to(ret, PGO_INSN_COND, offset_of(w, 5, 9));
	else if ((w & 0xfe000000) == 0xd6000000)
		ret->kind = (uint8_t)through_register(w);
	else if ((w & 0xffc0001f) == 0x5500001f)
		ret->kind = PGO_INSN_RET; /* RETAASPPC, RETABSPPC; the label is no target */
	else if (w == NOP)
		ret->kind = PGO_INSN_NOP;
	else if (traps(w))
		ret->kind = PGO_INSN_TRAP;
}

/* ------------------------------------------------------------------ arithmetic */

/* 31 is the zero register or the stack pointer: neither holds a table's address. */
static uint8_t number_of(uint32_t w, unsigned low)
{
	uint8_t r = w >> low & 31;

	return r == 31 ? PGO_REG_NONE : r;
}

static uint64_t page_offset(uint32_t w)
{
	uint64_t v = (uint64_t)(w >> 5 & 0x7ffff) << 2 | (w >> 29 & 3);

	return (v & (1 << 20)) != 0 ? v | UINT64_MAX << 21 : v;
}

/* Extensions UXTB..SXTX of the second operand, or of the index of a load. */
static void extend(struct pgo_insn_operands *f, uint32_t option)
{
	f->width = (uint8_t)(1u << (option & 3));
	f->is_signed = (option & 4) != 0;
}

static void load(struct pgo_insn_operands *f, uint32_t w)
{
	uint32_t size = w >> 30, opc = w >> 22 & 3;

	if (opc == 0 || (size == 3 && opc != 1))
		return; /* a store, a prefetch */
	f->dst = number_of(w, 0);
	f->base = number_of(w, 5);
	f->form = f->base != PGO_REG_NONE ? PGO_FORM_LOAD : PGO_FORM_OTHER;
	f->width = (uint8_t)(1u << size);
	f->is_signed = opc != 1;
	if ((w & 0x01000000) != 0) {
		f->value = (uint64_t)(w >> 10 & 0xfff) << size;
	} else {
		f->index = number_of(w, 16);
		f->shift = (w >> 12 & 1) != 0 ? (uint8_t)size : 0;
	}
}

static void add(struct pgo_insn_operands *f, uint32_t w)
{
	f->dst = number_of(w, 0);
	f->base = number_of(w, 5);
	f->form = f->base != PGO_REG_NONE ? PGO_FORM_ADD : PGO_FORM_OTHER;
	f->width = 8;
	if ((w & 0xff800000) == 0x91000000) {
		f->value = (uint64_t)(w >> 10 & 0xfff) << ((w >> 22 & 1) * 12);
		return;
	}
	f->index = number_of(w, 16);
	if ((w & 0xffe00000) == 0x8b200000) {
		extend(f, w >> 13 & 7);
		f->shift = w >> 10 & 7;
	} else {
		f->shift = w >> 10 & 63;
	}
}

void pgo_insn_arm64_operands(uint64_t addr, uint32_t w, struct pgo_insn_operands *ret)
{
	struct pgo_insn insn;

	pgo_insn_arm64_decode(addr, w, &insn);
	if (insn.kind == PGO_INSN_JUMP_INDIRECT) {
		ret->form = PGO_FORM_JUMP;
		ret->base = number_of(w, 5);
	} else if ((w & 0x1f000000) == 0x10000000) { /* ADR, ADRP */
		ret->form = PGO_FORM_ADDRESS;
		ret->dst = number_of(w, 0);
		ret->value = w >> 31 != 0 ? (addr & ~(uint64_t)0xfff) + (page_offset(w) << 12)
					  : addr + page_offset(w);
	} else if ((w & 0xff800000) == 0x91000000 || (w & 0xffe00000) == 0x8b200000 ||
		   (w & 0xffe00000) == 0x8b000000) { /* ADD of 64 bits */
		add(ret, w);
	} else if ((w & 0xffe0ffe0) == 0xaa0003e0) { /* MOV */
		ret->form = PGO_FORM_ADD;
		ret->dst = number_of(w, 0);
		ret->base = number_of(w, 16);
	} else if ((w & 0x3f200c00) == 0x38200800 || (w & 0x3f000000) == 0x39000000) {
		load(ret, w);
	} else if (insn.kind == PGO_INSN_OTHER &&
		   ((w & 0x1c000000) == 0x10000000 || (w & 0x0e000000) == 0x0a000000)) {
		ret->dst = number_of(w, 0); /* other arithmetic on general registers */
	}
}
