/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64 by tables: what nine of ten instructions are, in a tenth of the time that the library
 * takes; and the lengths of what is newer than the library.  Prefixes, REX, REX2, opcode maps,
 * ModRM, displacement and immediate as in Intel's manual, volume 2, chapter 2 and appendix A.
 *
 * What a table marks OFF is left to the library: rare instructions, and those of which only some
 * forms exist.
 */
#include "pgo/core/insn_x86.h"

#include <string.h>

enum {
	M = 1,    /* ModRM */
	B = 2,    /* one byte of immediate */
	Z = 4,    /* four, or two with the prefix 66 */
	R = 8,    /* F2 and F3 are part of the opcode, or may repeat it */
	OFF = 16, /* not here */
	P = 32,   /* a prefix */
	S = 64,   /* told apart by a switch */
};

#define ROW8(x) x, x, x, x, x, x, x, x
#define ARITH M, M, M, M, B, Z

static const uint8_t one[256] = {
	/* 00 */ ARITH, OFF, OFF, ARITH, OFF, S,
	/* 10 */ ARITH, OFF, OFF, ARITH, OFF, OFF,
	/* 20 */ ARITH, P, OFF, ARITH, P, OFF,
	/* 30 */ ARITH, P, OFF, ARITH, P, OFF,
	/* 40 */ ROW8(OFF), ROW8(OFF),
	/* 50 */ ROW8(0), ROW8(0),
	/* 60 */ OFF, OFF, OFF, M, P, P, P, OFF, Z, M | Z, B, M | B, OFF, OFF, OFF, OFF,
	/* 70 */ ROW8(S), ROW8(S),
	/* 80 */ M | B, M | Z, OFF, M | B, M, M, M, M, M, M, M, M, OFF, S, OFF, OFF,
	/* 90 */ S, 0, 0, 0, 0, 0, 0, 0, 0, 0, OFF, 0, 0, 0, 0, 0,
	/* a0 */ OFF, OFF, OFF, OFF, R, R, R, R, B, Z, R, R, R, R, R, R,
	/* b0 */ ROW8(B), ROW8(S),
	/* c0 */ M | B, M | B, OFF, R | S, OFF, OFF, S, S, OFF, 0, OFF, OFF, OFF, OFF, OFF, OFF,
	/* d0 */ M, M, M, M, OFF, OFF, OFF, OFF, ROW8(OFF),
	/* e0 */ ROW8(OFF), S, S, OFF, S, OFF, OFF, OFF, OFF,
	/* f0 */ OFF, OFF, P, P, OFF, 0, S, S, 0, 0, 0, 0, 0, 0, S, S};

static const uint8_t two[256] = {
	/* 00 */ ROW8(OFF), OFF, OFF, OFF, S, OFF, OFF, OFF, OFF,
	/* 10 */ M | R, M | R, OFF, OFF, M, M, OFF, OFF, OFF, OFF, OFF, OFF, OFF, OFF, OFF, S,
	/* 20 */ ROW8(OFF), M, M, M | R, OFF, M | R, M | R, M, M,
	/* 30 */ ROW8(OFF), ROW8(OFF),
	/* 40 */ ROW8(M), ROW8(M),
	/* 50 */ OFF, M | R, OFF, OFF, M, M, M, M, M | R, M | R, M | R, OFF, M | R, M | R, M | R,
	M | R,
	/* 60 */ ROW8(M), M, M, M, M, OFF, OFF, M, OFF,
	/* 70 */ OFF, OFF, OFF, OFF, M, M, M, OFF, ROW8(OFF),
	/* 80 */ ROW8(S), ROW8(S),
	/* 90 */ ROW8(M), ROW8(M),
	/* a0 */ OFF, OFF, 0, M, M | B, M, OFF, OFF, OFF, OFF, OFF, M, M | B, M, OFF, M,
	/* b0 */ M, M, OFF, M, OFF, OFF, M, M, OFF, OFF, S, M, M, M, M, M,
	/* c0 */ M, M, OFF, OFF, OFF, OFF, M | B, OFF, ROW8(0),
	/* d0 */ OFF, M, M, M, M, M, OFF, OFF, ROW8(M),
	/* e0 */ M, M, M, M, M, M, OFF, OFF, ROW8(M),
	/* f0 */ OFF, M, M, M, M, M, M, OFF, M, M, M, M, M, M, M, OFF};

/* ModRM, with what follows it: SIB and displacement. */
static size_t modrm_len(const uint8_t *p)
{
	uint8_t mod = p[0] >> 6, rm = p[0] & 7;

	if (mod == 3)
		return 1;
	if (rm == 4) {
		if (mod == 0)
			return (p[1] & 7) == 5 ? 6 : 2;
		return mod == 1 ? 3 : 6;
	}
	if (mod == 0)
		return rm == 5 ? 5 : 1;
	return mod == 1 ? 2 : 5;
}

/* What was found in front of the opcode. */
struct front {
	bool word, rep, wide, rex; /* 66; F2 or F3; REX.W; any REX */
};

static bool relative(struct pgo_insn *i, enum pgo_insn_kind kind, const uint8_t *p, size_t bytes,
	const struct front *f)
{
	int32_t rel = (int8_t)p[0];

	if (f->word)
		return false;
	if (bytes == 4)
		memcpy(&rel, p, sizeof rel);
	i->kind = (uint8_t)kind;
	i->target = i->addr + i->size + (uint64_t)(int64_t)rel;
	return true;
}

/* Opcodes that S marks; `at` is behind the opcode.  Sets the size, or says no. */
static bool special_one(
	struct pgo_insn *i, uint8_t op, const uint8_t *p, size_t at, const struct front *f)
{
	uint8_t reg = p[at] >> 3 & 7, z = f->word && !f->wide ? 2 : 4;
	enum pgo_insn_kind kind;

	switch (op) {
	case 0x8d: /* LEA of memory */
		i->size = (uint8_t)(at + modrm_len(p + at));
		return p[at] >> 6 != 3;
	case 0x90:
		i->size = (uint8_t)at;
		i->kind = PGO_INSN_NOP;
		return !f->rex;
	case 0xc3:
		i->size = (uint8_t)at;
		i->kind = PGO_INSN_RET;
		return !f->word;
	case 0xc6:
	case 0xc7:
		i->size = (uint8_t)(at + modrm_len(p + at) + (op == 0xc6 ? 1 : z));
		return reg == 0;
	case 0xe8:
	case 0xe9:
		i->size = (uint8_t)(at + 4);
		kind = op == 0xe8 ? PGO_INSN_CALL : PGO_INSN_JUMP;
		return relative(i, kind, p + at, 4, f);
	case 0xeb:
		i->size = (uint8_t)(at + 1);
		return relative(i, PGO_INSN_JUMP, p + at, 1, f);
	case 0xf6:
	case 0xf7: /* TEST has an immediate */
		i->size = (uint8_t)(at + modrm_len(p + at));
		if (reg < 2)
			i->size = (uint8_t)(i->size + (op == 0xf6 ? 1 : z));
		return true;
	case 0xfe:
	case 0xff:
		i->size = (uint8_t)(at + modrm_len(p + at));
		if (op == 0xff && (reg == 2 || reg == 4))
			i->kind = reg == 2 ? PGO_INSN_CALL_INDIRECT : PGO_INSN_JUMP_INDIRECT;
		else if (reg > 1)
			return op == 0xff && reg == 6;
		return reg < 2 || !f->word;
	default:
		break;
	}
	if (op >= 0x70 && op <= 0x7f) {
		i->size = (uint8_t)(at + 1);
		return relative(i, PGO_INSN_COND, p + at, 1, f);
	}
	i->size = (uint8_t)(at + (f->wide ? 8 : z)); /* b8..bf: MOV */
	return true;
}

static bool special_two(
	struct pgo_insn *i, uint8_t op, const uint8_t *p, size_t at, const struct front *f)
{
	switch (op) {
	case 0x0b:
		i->size = (uint8_t)at;
		i->kind = PGO_INSN_TRAP;
		return !f->word;
	case 0x1f:
		i->size = (uint8_t)(at + modrm_len(p + at));
		i->kind = PGO_INSN_NOP;
		return true;
	case 0xba:
		i->size = (uint8_t)(at + modrm_len(p + at) + 1);
		return (p[at] >> 3 & 7) >= 4;
	default: /* 80..8f */
		i->size = (uint8_t)(at + 4);
		return relative(i, PGO_INSN_COND, p + at, 4, f);
	}
}

bool pgo_insn_x86_common(uint64_t addr, const uint8_t *p, size_t len, struct pgo_insn *ret)
{
	struct front f = {false, false, false, false};
	const uint8_t *map = one;
	size_t at = 0;
	uint8_t op, how;

	if (len < 24) /* so that nothing here needs to look where the bytes end */
		return false;
	for (op = p[at]; (one[op] & P) != 0 && at < 8; op = p[++at]) {
		f.word |= op == 0x66;
		f.rep |= op >= 0xf2;
	}
	if ((op & 0xf0) == 0x40) {
		f.rex = true;
		f.wide = (op & 8) != 0;
		op = p[++at];
	}
	if (op == 0x0f) {
		map = two;
		op = p[++at];
	}
	at++;
	how = map[op];
	if ((how & (OFF | P)) != 0 || (f.rep && ((how & R) == 0 || (f.word && map == two))))
		return false;
	*ret = (struct pgo_insn){.addr = addr};
	if ((how & S) != 0)
		return (map == one ? special_one(ret, op, p, at, &f)
				   : special_two(ret, op, p, at, &f)) &&
		       ret->size <= 15;
	if ((how & M) != 0)
		at += modrm_len(p + at);
	at += (how & B) != 0;
	at += (how & Z) == 0 ? 0 : f.word && !f.wide ? 2 : 4;
	ret->size = (uint8_t)at;
	return at <= 15;
}

/* ------------------------------------------------------------------ newer than the library */

/* The immediate of a VEX or EVEX instruction. */
static size_t vector_immediate(unsigned map, uint8_t op)
{
	if (map == 1)
		return (op >= 0x70 && op <= 0x73) || op == 0xc2 || (op >= 0xc4 && op <= 0xc6);
	return map == 3 ? 1 : map == 7 ? 4 : 0;
}

/* Of the instructions that APX gave a third operand: as without it. */
static size_t promoted_immediate(uint8_t op, uint8_t modrm, bool two_bytes)
{
	size_t z = two_bytes ? 2 : 4;

	if (op == 0x24 || op == 0x2c) /* SHLD, SHRD */
		return 1;
	if (op == 0xf6 || op == 0xf7)
		return (modrm >> 3 & 7) >= 2 ? 0 : op == 0xf6 ? 1 : z;
	if (op < 0x40 || (one[op] & M) == 0)
		return 0;
	return ((one[op] & B) != 0) + ((one[op] & Z) != 0 ? z : 0);
}

/* REX2: d5, a byte of bits, and an opcode of the first or the second map. */
static bool with_rex2(const uint8_t *p, struct pgo_insn *ret)
{
	struct front f = {.rex = true, .wide = (p[1] & 8) != 0};
	const uint8_t *map = (p[1] & 0x80) != 0 ? two : one;
	uint8_t op = p[2], how = map[op];
	size_t at = 3;

	if (map == one && op == 0xa1) { /* JMPABS */
		memcpy(&ret->target, p + 3, sizeof ret->target);
		ret->kind = PGO_INSN_JUMP;
		ret->size = 11;
		return true;
	}
	if ((how & (OFF | P)) != 0)
		return false;
	if ((how & S) != 0)
		return map == one ? special_one(ret, op, p, at, &f)
				  : special_two(ret, op, p, at, &f);
	if ((how & M) != 0)
		at += modrm_len(p + at);
	at += (how & B) != 0;
	at += (how & Z) != 0 ? 4 : 0;
	ret->size = (uint8_t)at;
	return true;
}

bool pgo_insn_x86_new(uint64_t addr, const uint8_t *code, size_t len, struct pgo_insn *ret)
{
	uint8_t p[24] = {0};
	size_t at;

	memcpy(p, code, len < 16 ? len : 16);
	*ret = (struct pgo_insn){.addr = addr};
	if (p[0] == 0xd5) {
		if (!with_rex2(p, ret))
			return false;
	} else if (p[0] == 0xc5) {
		ret->size = (uint8_t)(3 + modrm_len(p + 3) + vector_immediate(1, p[2]));
	} else if (p[0] == 0xc4) {
		ret->size = (uint8_t)(4 + modrm_len(p + 4) + vector_immediate(p[1] & 31, p[3]));
	} else if (p[0] == 0x62 && (p[1] & 7) != 0) {
		at = 5 + modrm_len(p + 5);
		if ((p[1] & 7) == 4)
			at += promoted_immediate(p[4], p[5], (p[2] & 3) == 1 && (p[2] & 0x80) == 0);
		else
			at += vector_immediate(p[1] & 7, p[4]);
		ret->size = (uint8_t)at;
	} else {
		return false;
	}
	return ret->size <= 15 && ret->size <= len;
}
