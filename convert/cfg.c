/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/cfg.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define ZYDIS_DISABLE_ENCODER
#include <Zydis/Zydis.h>

/* How far back from an indirect jump its table's address is looked for, in instructions. */
#define TABLE_WINDOW 48
/* No switch has more cases; bounds what a hostile binary can make us read. */
#define TABLE_MAX 65536
/* Nor do the switches of one function together; more are not listed. */
#define CASES_MAX ((size_t)1 << 20)

static void decoder_init(ZydisDecoder *d)
{
	ZydisDecoderInit(d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
}

static enum pgo_insn_kind kind_of(const ZydisDecodedInstruction *in)
{
	bool direct = in->raw.imm[0].is_relative;

	switch (in->meta.category) {
	case ZYDIS_CATEGORY_COND_BR:
		return direct ? PGO_INSN_COND : PGO_INSN_OTHER;
	case ZYDIS_CATEGORY_UNCOND_BR:
		if (in->mnemonic != ZYDIS_MNEMONIC_JMP)
			return PGO_INSN_OTHER;
		return direct ? PGO_INSN_JUMP : PGO_INSN_JUMP_INDIRECT;
	case ZYDIS_CATEGORY_CALL:
		return direct ? PGO_INSN_CALL : PGO_INSN_CALL_INDIRECT;
	case ZYDIS_CATEGORY_RET:
		return PGO_INSN_RET;
	default:
		break;
	}
	switch (in->mnemonic) {
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_HLT:
		return PGO_INSN_TRAP;
	case ZYDIS_MNEMONIC_NOP:
		return PGO_INSN_NOP;
	default:
		return PGO_INSN_OTHER;
	}
}

static int decode_all(
	struct pgo_cfg *c, const ZydisDecoder *d, const uint8_t *code, size_t len, size_t *ret_done)
{
	ZydisDecodedInstruction in;
	size_t at = 0;

	while (at < len) {
		struct pgo_insn *i;

		if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(d, NULL, code + at, len - at, &in)))
			break;
		i = PGO_VEC_PUSH(c->insns, c->n_insns, c->insns_room);
		if (i == NULL)
			return -1;
		i->addr = c->start + at;
		i->size = in.length;
		i->kind = (uint8_t)kind_of(&in);
		if (in.raw.imm[0].is_relative && i->kind != PGO_INSN_OTHER)
			i->target = i->addr + i->size + (uint64_t)in.raw.imm[0].value.s;
		c->n_jumps += i->kind == PGO_INSN_JUMP_INDIRECT;
		at += in.length;
	}
	*ret_done = at;
	return 0;
}

uint32_t pgo_cfg_at(const struct pgo_cfg *c, uint64_t addr)
{
	size_t lo = 0, hi = c->n_insns;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->insns[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->n_insns && c->insns[lo].addr == addr ? (uint32_t)lo : UINT32_MAX;
}

static bool inside(const struct pgo_cfg *c, uint64_t addr)
{
	return addr >= c->start && addr < c->end;
}

static void mark(struct pgo_cfg *c, uint64_t addr)
{
	uint32_t i;

	if (!inside(c, addr))
		return;
	i = pgo_cfg_at(c, addr);
	if (i != UINT32_MAX)
		c->insns[i].leader = true;
}

/* ------------------------------------------------------------------ jump tables */

/* An instruction decoded once more, with its operands. */
struct full {
	ZydisDecodedInstruction in;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

static bool decode_full(const struct pgo_cfg *c, const ZydisDecoder *d, const uint8_t *code,
	size_t i, struct full *ret)
{
	const struct pgo_insn *p = &c->insns[i];

	return ZYAN_SUCCESS(
		ZydisDecoderDecodeFull(d, code + (p->addr - c->start), p->size, &ret->in, ret->op));
}

static ZydisRegister whole(ZydisRegister r)
{
	return ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r);
}

/* The constant last put into register `reg` before instruction i, by lea or by mov. */
static bool constant_before(const struct pgo_cfg *c, const ZydisDecoder *d, const uint8_t *code,
	size_t i, ZydisRegister reg, size_t window, uint64_t *ret)
{
	struct full f;

	for (size_t n = 0; i-- > 0 && n < window; n++) {
		if (!decode_full(c, d, code, i, &f) || f.in.operand_count < 2 ||
			f.op[0].type != ZYDIS_OPERAND_TYPE_REGISTER ||
			whole(f.op[0].reg.value) != reg)
			continue;
		if (f.in.mnemonic == ZYDIS_MNEMONIC_LEA && f.op[1].mem.base == ZYDIS_REGISTER_RIP) {
			*ret = c->insns[i].addr + c->insns[i].size +
			       (uint64_t)f.op[1].mem.disp.value;
			return true;
		}
		if (f.in.mnemonic == ZYDIS_MNEMONIC_MOV &&
			f.op[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
			*ret = f.op[1].imm.value.u;
			return true;
		}
		/* Writes of other kinds are passed over: they may lie on another path. */
	}
	return false;
}

struct pgo_cfg_table {
	uint64_t addr;
	bool absolute; /* entries */
	uint32_t jump; /* index of the instruction */
};

static int add_table(struct pgo_cfg *c, size_t jump, uint64_t addr, bool absolute)
{
	struct pgo_cfg_table *t = PGO_VEC_PUSH(c->tables, c->n_tables, c->tables_room);

	if (t == NULL)
		return -1;
	*t = (struct pgo_cfg_table){addr, absolute, (uint32_t)jump};
	return 0;
}

static int compare_tables(const void *pa, const void *pb)
{
	const struct pgo_cfg_table *a = pa, *b = pb;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	return a->jump < b->jump ? -1 : a->jump > b->jump;
}

/* Table of a memory operand [base + index * 8 + disp] with absolute entries; of instruction i. */
static int table_of_memory(struct pgo_cfg *c, const ZydisDecoder *d, const uint8_t *code,
	size_t jump, size_t i, const ZydisDecodedOperand *op)
{
	uint64_t base = 0;

	if (op->mem.index == ZYDIS_REGISTER_NONE || op->mem.scale != 8)
		return 0;
	if (op->mem.base != ZYDIS_REGISTER_NONE &&
		!constant_before(c, d, code, i, whole(op->mem.base), TABLE_WINDOW, &base))
		return 0;
	return add_table(c, jump, base + (uint64_t)op->mem.disp.value, true);
}

/*
 * Finds the table of the indirect jump at index i:
 *	jmp *table(,%rax,8)                                            absolute entries
 *	lea table(%rip),%rdx; jmp *(%rdx,%rax,8)                       absolute entries
 *	lea table(%rip),%rdx; movslq (%rdx,%rax,4),%rax; add %rdx,%rax; jmp *%rax      relative ones
 */
static int find_table(struct pgo_cfg *c, const ZydisDecoder *d, const uint8_t *code, size_t i)
{
	struct full f;
	ZydisRegister reg;
	uint64_t base;

	if (!decode_full(c, d, code, i, &f))
		return 0;
	if (f.op[0].type == ZYDIS_OPERAND_TYPE_MEMORY)
		return table_of_memory(c, d, code, i, i, &f.op[0]);
	if (f.op[0].type != ZYDIS_OPERAND_TYPE_REGISTER)
		return 0;
	reg = whole(f.op[0].reg.value);
	for (size_t k = i, n = 0; k-- > 0 && n < TABLE_WINDOW; n++) {
		if (!decode_full(c, d, code, k, &f) || f.in.operand_count < 2 ||
			f.op[0].type != ZYDIS_OPERAND_TYPE_REGISTER ||
			f.op[1].type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		if (f.in.mnemonic == ZYDIS_MNEMONIC_MOV && whole(f.op[0].reg.value) == reg)
			return table_of_memory(c, d, code, i, k, &f.op[1]);
		if (f.in.mnemonic == ZYDIS_MNEMONIC_MOVSXD && f.op[1].mem.scale == 4 &&
			f.op[1].mem.base != ZYDIS_REGISTER_NONE) {
			if (!constant_before(
				    c, d, code, k, whole(f.op[1].mem.base), SIZE_MAX, &base))
				return 0;
			return add_table(c, i, base + (uint64_t)f.op[1].mem.disp.value, false);
		}
	}
	return 0;
}

/* Parts of one function that the compiler put elsewhere have its name and a dotted tail. */
static bool same_family(const struct pgo_elf *elf, const struct pgo_symbol *a, uint64_t addr)
{
	const struct pgo_symbol *b = pgo_elf_symbol(elf, addr);
	size_t la, lb;

	if (a == NULL || b == NULL)
		return false;
	la = strcspn(a->name, ".");
	lb = strcspn(b->name, ".");
	return la == lb && strncmp(a->name, b->name, la) == 0;
}

static int add_case(struct pgo_cfg *c, uint32_t jump, uint64_t target)
{
	struct pgo_cfg_case *k;

	if (c->n_cases == CASES_MAX)
		return 0;
	k = PGO_VEC_PUSH(c->cases, c->n_cases, c->cases_room);
	if (k == NULL)
		return -1;
	*k = (struct pgo_cfg_case){jump, target};
	return 0;
}

/* Marks and lists the targets of a table; it ends at `limit` or at the first entry that leads
 * nowhere. */
static int read_table(
	struct pgo_cfg *c, const struct pgo_elf *elf, const struct pgo_cfg_table *t, uint64_t limit)
{
	const struct pgo_symbol *self = NULL;
	size_t len, size = t->absolute ? 8 : 4;
	const uint8_t *p = pgo_elf_data(elf, t->addr, &len);

	if (p == NULL)
		return 0;
	for (size_t n = 0; n < TABLE_MAX && len >= size && t->addr + n * size < limit; n++) {
		uint64_t target;

		if (t->absolute) {
			memcpy(&target, p, 8);
		} else {
			int32_t rel;

			memcpy(&rel, p, 4);
			target = t->addr + (uint64_t)(int64_t)rel;
		}
		if (inside(c, target)) {
			if (pgo_cfg_at(c, target) == UINT32_MAX)
				return 0;
			mark(c, target);
		} else if (target != c->end) { /* the end stands for "unreachable" */
			if (self == NULL)
				self = pgo_elf_symbol(elf, c->start);
			if (!same_family(elf, self, target))
				return 0;
		}
		if (target != c->end && add_case(c, t->jump, target) < 0)
			return -1;
		p += size;
		len -= size;
	}
	return 0;
}

static int mark_tables(
	struct pgo_cfg *c, const struct pgo_elf *elf, const ZydisDecoder *d, const uint8_t *code)
{
	for (size_t i = 0; c->n_jumps != 0 && i < c->n_insns; i++) {
		if (c->insns[i].kind == PGO_INSN_JUMP_INDIRECT && find_table(c, d, code, i) < 0)
			return -1;
	}
	if (c->n_tables == 0)
		return 0;
	qsort(c->tables, c->n_tables, sizeof *c->tables, compare_tables);
	for (size_t t = 0; t < c->n_tables; t++) {
		uint64_t limit = UINT64_MAX;

		for (size_t u = t + 1; u < c->n_tables && limit == UINT64_MAX; u++) {
			if (c->tables[u].addr != c->tables[t].addr)
				limit = c->tables[u].addr;
		}
		if (read_table(c, elf, &c->tables[t], limit) < 0)
			return -1;
	}
	return 0;
}

/* ------------------------------------------------------------------ blocks */

/* BOLT keeps "jcc A; jmp B" in one block if both stay inside the function. */
static bool joined(const struct pgo_cfg *c, const struct pgo_insn *prev)
{
	return prev->kind == PGO_INSN_COND && inside(c, prev->target) &&
	       prev[1].kind == PGO_INSN_JUMP && inside(c, prev[1].target);
}

static void mark_blocks(struct pgo_cfg *c, const uint64_t *extra, size_t n_extra)
{
	size_t lo = 0, hi = n_extra;

	for (size_t i = 0; i < c->n_insns; i++) {
		const struct pgo_insn *p = &c->insns[i];

		if (p->kind == PGO_INSN_COND || p->kind == PGO_INSN_JUMP)
			mark(c, p->target);
		if ((p->kind == PGO_INSN_COND || pgo_insn_ends_flow(p->kind)) &&
			i + 1 < c->n_insns && !joined(c, p))
			c->insns[i + 1].leader = true;
	}
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (extra[mid] < c->start)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < n_extra && extra[lo] < c->end; lo++)
		mark(c, extra[lo]);
	if (c->n_insns != 0)
		c->insns[0].leader = true;
}

int pgo_cfg_decode(struct pgo_cfg *c, const struct pgo_elf *elf, uint64_t start, uint64_t end,
	const uint64_t *extra, size_t n_extra, struct pgo_err *err)
{
	const uint8_t *code;
	ZydisDecoder d;
	size_t len, done;

	if (elf->machine != PGO_MACHINE_X86_64)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s: only x86-64 programs can be disassembled so far", elf->path);
	c->start = start;
	c->end = end;
	c->n_insns = c->n_jumps = c->n_tables = c->n_cases = 0;
	c->complete = false;
	code = pgo_elf_code(elf, start, &len);
	if (code == NULL || end <= start)
		return 0;
	if (len > end - start)
		len = end - start;
	decoder_init(&d);
	if (decode_all(c, &d, code, len, &done) < 0)
		return pgo_err_nomem(err);
	c->complete = done == end - start;
	if (mark_tables(c, elf, &d, code) < 0)
		return pgo_err_nomem(err);
	mark_blocks(c, extra, n_extra);
	return 0;
}

void pgo_cfg_fini(struct pgo_cfg *c)
{
	pgo_free(c->insns);
	pgo_free(c->cases);
	pgo_free(c->tables);
	*c = (struct pgo_cfg){0};
}

enum pgo_insn_kind pgo_insn_kind_at(const struct pgo_elf *elf, uint64_t vaddr)
{
	ZydisDecodedInstruction in;
	ZydisDecoder d;
	const uint8_t *code;
	size_t len;

	if (elf->machine != PGO_MACHINE_X86_64)
		return PGO_INSN_OTHER;
	code = pgo_elf_code(elf, vaddr, &len);
	if (code == NULL)
		return PGO_INSN_OTHER;
	decoder_init(&d);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&d, NULL, code, len, &in)))
		return PGO_INSN_OTHER;
	return kind_of(&in);
}

int pgo_compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}
