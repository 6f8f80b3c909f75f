/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jump tables, looked for backwards from each indirect jump in the order of addresses.  That order
 * is not the order of execution, so what a compiler may hoist (a table's address) is searched for
 * far, and other writes of its register are passed over: they may lie on another path.
 *
 * x86-64:
 *	jmp *table(,%rax,8)                                            absolute entries
 *	lea table(%rip),%rdx; jmp *(%rdx,%rax,8)                       absolute entries
 *	lea table(%rip),%rdx; movslq (%rdx,%rax,4),%rax; add %rdx,%rax; jmp *%rax      relative ones
 *
 * AArch64, with entries of 1, 2 or 4 bytes, relative to the table or to an address in the code, and
 * of which the small ones count words:
 *	adrp x1, table; add x1, x1, #:lo12:table; ldrb w1, [x1, w0, uxtw]
 *	adr x2, anchor; add x1, x2, w1, sxtb #2; br x1
 * The number of entries is taken from the comparison that guards the load, where there is one: bytes
 * that follow a table are all too good at looking like more of it, the next function's table first of
 * all.
 */
#include "convert/cfg.h"

#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

/* How far back from an indirect jump its table's address is looked for, in instructions. */
#define TABLE_WINDOW 48
/* The switches of one function together have no more cases than this; more are not listed. */
#define CASES_MAX ((size_t)1 << 20)

struct finder {
	struct pgo_cfg *c;
	const uint8_t *code;
	uint32_t jump; /* whose table is looked for */
};

static bool operands(const struct finder *f, size_t i, struct pgo_insn_operands *ret)
{
	const struct pgo_insn *p = &f->c->insns[i];

	return pgo_insn_read_operands(
		&f->c->decoder, p->addr, f->code + (p->addr - f->c->start), p->size, ret);
}

static int add_table(const struct finder *f, const struct pgo_cfg_table *t)
{
	struct pgo_cfg *c = f->c;

	if (PGO_VEC_RESERVE(c->tables, c->tables_room, c->n_tables + 1) < 0)
		return -1;
	c->tables[c->n_tables] = *t;
	c->tables[c->n_tables++].jump = f->jump;
	return 0;
}

/* ------------------------------------------------------------------ x86-64 */

/* The constant last put into register `reg` before instruction i, by lea or by mov. */
static bool constant_before(
	const struct finder *f, size_t i, uint8_t reg, size_t window, uint64_t *ret)
{
	struct pgo_insn_operands o;

	for (size_t n = 0; i-- > 0 && n < window; n++) {
		if (operands(f, i, &o) && o.form == PGO_FORM_ADDRESS && o.dst == reg) {
			*ret = o.value;
			return true;
		}
	}
	return false;
}

/* "cmp $n,%reg" of any width: n and the register; false for anything else. */
static bool compares(const uint8_t *p, size_t size, uint32_t *ret_n, uint8_t *ret_reg)
{
	uint8_t rex = 0, op;
	size_t len;

	if (size != 0 && *p == 0x66)
		p++, size--;
	if (size != 0 && (*p & 0xf0) == 0x40)
		rex = *p++, size--;
	if (size < 2)
		return false;
	op = p[0];
	if (op == 0x3c || op == 0x3d) { /* the accumulator */
		*ret_reg = 0;
		p++, size--;
	} else if ((op == 0x80 || op == 0x81 || op == 0x83) && (p[1] & 0xf8) == 0xf8) {
		*ret_reg = (uint8_t)((p[1] & 7) | (rex & 1) << 3);
		p += 2, size -= 2;
	} else {
		return false;
	}
	len = op == 0x3d || op == 0x81 ? 4 : 1;
	if (size != len)
		return false;
	*ret_n = 0;
	memcpy(ret_n, p, len);
	return true;
}

/* Does instruction i put something else into `reg`?  Widening it does not. */
static bool changes(const struct finder *f, size_t i, uint8_t reg)
{
	const struct pgo_insn *in = &f->c->insns[i];
	const uint8_t *p = f->code + (in->addr - f->c->start), *end = p + in->size;
	struct pgo_insn_operands o;
	uint8_t rex = 0, op;

	if (!operands(f, i, &o) || o.dst != reg)
		return false;
	if ((*p & 0xf0) == 0x40)
		rex = *p++;
	op = *p++;
	if (op == 0x0f && p < end && (*p == 0xb6 || *p == 0xb7))
		p++;
	else if (op != 0x89 && op != 0x8b && op != 0x63)
		return true;
	/* from a register to itself */
	return p >= end || *p < 0xc0 || (*p >> 3 & 7) != (*p & 7) || (rex >> 2 & 1) != (rex & 1);
}

/* The entries that "cmp $n,%index; ja" guards, if that is the nearest branch before the load. */
static uint32_t guarded(const struct finder *f, size_t i, uint8_t index)
{
	const struct pgo_insn *p;
	const uint8_t *code;
	uint8_t reg, op;
	uint32_t n;

	for (size_t far = 0; i > 1 && far < TABLE_WINDOW; far++) {
		p = &f->c->insns[--i];
		if (pgo_insn_ends_flow(p->kind) || pgo_insn_is_call(p->kind) ||
			changes(f, i, index))
			break;
		if (p->kind != PGO_INSN_COND)
			continue;
		code = f->code + (p->addr - f->c->start);
		op = code[0] == 0x0f ? code[1] & 0x0f : code[0] & 0x0f; /* the condition */
		code = f->code + (p[-1].addr - f->c->start);
		if (op != 7 || !compares(code, p[-1].size, &n, &reg) || reg != index ||
			n >= PGO_CFG_TABLE_MAX)
			break;
		return n + 1;
	}
	return PGO_CFG_TABLE_MAX;
}

/* Table of a memory operand [base + index * 8 + value] with absolute entries. */
static int table_of_memory(const struct finder *f, size_t i, const struct pgo_insn_operands *o)
{
	struct pgo_cfg_table t = {.n_max = PGO_CFG_TABLE_MAX, .width = 8, .absolute = true};

	if (o->index == PGO_REG_NONE || o->shift != 3 ||
		(o->base != PGO_REG_NONE && !constant_before(f, i, o->base, TABLE_WINDOW, &t.addr)))
		return 0;
	t.addr += o->value;
	t.n_max = guarded(f, i, o->index);
	return add_table(f, &t);
}

static int find_x86(const struct finder *f, size_t i)
{
	struct pgo_cfg_table t = {.n_max = PGO_CFG_TABLE_MAX, .width = 4, .is_signed = true};
	struct pgo_insn_operands o;
	uint8_t reg;

	if (!operands(f, i, &o) || o.form != PGO_FORM_JUMP)
		return 0;
	if (o.memory)
		return table_of_memory(f, i, &o);
	reg = o.base;
	for (size_t k = i, n = 0; reg != PGO_REG_NONE && k-- > 0 && n < TABLE_WINDOW; n++) {
		if (!operands(f, k, &o) || o.form != PGO_FORM_LOAD)
			continue;
		if (!o.is_signed && o.dst == reg)
			return table_of_memory(f, k, &o);
		if (o.is_signed && o.shift == 2 && o.base != PGO_REG_NONE) {
			if (!constant_before(f, k, o.base, SIZE_MAX, &t.addr))
				return 0;
			t.addr += o.value;
			t.anchor = t.addr;
			t.n_max = guarded(f, k, o.index);
			return add_table(f, &t);
		}
	}
	return 0;
}

/* ------------------------------------------------------------------ AArch64 */

/* The nearest instruction before i that writes `reg`; SIZE_MAX if there is none within `window`. */
static size_t writer_before(
	const struct finder *f, size_t i, uint8_t reg, size_t window, struct pgo_insn_operands *ret)
{
	if (reg == PGO_REG_NONE)
		return SIZE_MAX;
	for (size_t n = 0; i-- > 0 && n < window; n++) {
		if (operands(f, i, ret) && ret->dst == reg)
			return i;
	}
	return SIZE_MAX;
}

/* The address in `reg` before instruction i, from adr, or from adrp and add. */
static bool address_before(const struct finder *f, size_t i, uint8_t reg, uint64_t *ret)
{
	struct pgo_insn_operands o;
	uint64_t sum = 0;

	for (unsigned steps = 0; steps < 4; steps++) {
		do {
			i = writer_before(f, i, reg, SIZE_MAX, &o);
			if (i == SIZE_MAX)
				return false;
		} while (o.form != PGO_FORM_ADDRESS &&
			 (o.form != PGO_FORM_ADD || o.index != PGO_REG_NONE));
		sum += o.value;
		if (o.form == PGO_FORM_ADDRESS) {
			*ret = sum;
			return true;
		}
		reg = o.base;
	}
	return false;
}

/* "cmp w0, #n; b.hi" and its kin between i and the table's load: n + 1 cases. */
static uint32_t cases_before(const struct finder *f, size_t i)
{
	for (size_t n = 0; i-- > 0 && n < TABLE_WINDOW; n++) {
		const struct pgo_insn *p = &f->c->insns[i];
		uint32_t w, branch, cond;

		if (p->kind != PGO_INSN_COND || i == 0)
			continue;
		memcpy(&branch, f->code + (p->addr - f->c->start), sizeof branch);
		memcpy(&w, f->code + (p[-1].addr - f->c->start), sizeof w);
		cond = branch & 15;
		/* subs (w|x)zr, rn, #imm12, and b.hi, b.ls, b.hs, b.lo */
		if ((branch & 0xff000010) != 0x54000000 || (w & 0x7fc0001f) != 0x7100001f)
			continue;
		if (cond == 8 || cond == 9)
			return (w >> 10 & 0xfff) + 1;
		if (cond == 2 || cond == 3)
			return w >> 10 & 0xfff;
	}
	return PGO_CFG_TABLE_MAX;
}

static int find_arm64(const struct finder *f, size_t i)
{
	struct pgo_insn_operands jump, sum, load;
	struct pgo_cfg_table t = {0};
	size_t at_sum, at_load;
	uint8_t anchor;

	if (!operands(f, i, &jump) || jump.form != PGO_FORM_JUMP)
		return 0;
	at_sum = writer_before(f, i, jump.base, TABLE_WINDOW, &sum);
	if (at_sum == SIZE_MAX || sum.form != PGO_FORM_ADD || sum.index == PGO_REG_NONE)
		return 0;
	anchor = sum.base;
	at_load = writer_before(f, at_sum, sum.index, TABLE_WINDOW, &load);
	if (sum.shift == 0 && (at_load == SIZE_MAX || load.form != PGO_FORM_LOAD)) {
		anchor = sum.index;
		at_load = writer_before(f, at_sum, sum.base, TABLE_WINDOW, &load);
	}
	if (at_load == SIZE_MAX || load.form != PGO_FORM_LOAD || load.index == PGO_REG_NONE ||
		load.width > 4 || sum.shift > 2 || 1u << load.shift != load.width ||
		!address_before(f, at_load, load.base, &t.addr) ||
		!address_before(f, at_sum, anchor, &t.anchor))
		return 0;
	t.width = load.width;
	t.shift = sum.shift;
	/* Extended by the load, or by the addition: never twice. */
	t.is_signed = load.is_signed || (sum.is_signed && sum.width == load.width);
	t.n_max = cases_before(f, at_load);
	return add_table(f, &t);
}

/* ------------------------------------------------------------------ entries */

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

static uint64_t entry_target(const struct pgo_cfg_table *t, const uint8_t *p)
{
	uint64_t v = 0;

	memcpy(&v, p, t->width);
	if (t->is_signed && (v >> (t->width * 8 - 1) & 1) != 0)
		v |= UINT64_MAX << (t->width * 8 - 1);
	return t->absolute ? v : t->anchor + (v << t->shift);
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
	size_t len;
	const uint8_t *p = pgo_elf_data(elf, t->addr, &len);

	if (p == NULL)
		return 0;
	for (size_t n = 0; n < t->n_max && len >= t->width && t->addr + n * t->width < limit; n++) {
		uint64_t target = entry_target(t, p);

		if (pgo_cfg_inside(c, target)) {
			if (pgo_cfg_at(c, target) == UINT32_MAX)
				return 0;
			pgo_cfg_mark(c, target);
		} else if (target != c->end) { /* the end stands for "unreachable" */
			if (self == NULL)
				self = pgo_elf_symbol(elf, c->start);
			if (!same_family(elf, self, target))
				return 0;
		}
		if (target != c->end && add_case(c, t->jump, target) < 0)
			return -1;
		p += t->width;
		len -= t->width;
	}
	return 0;
}

static int compare_tables(const void *pa, const void *pb)
{
	const struct pgo_cfg_table *a = pa, *b = pb;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	return a->jump < b->jump ? -1 : a->jump > b->jump;
}

int pgo_cfg_mark_tables(struct pgo_cfg *c, const struct pgo_elf *elf, const uint8_t *code)
{
	struct finder f = {.c = c, .code = code};

	for (size_t i = 0; i < c->n_insns; i++) {
		if (c->insns[i].kind != PGO_INSN_JUMP_INDIRECT)
			continue;
		f.jump = (uint32_t)i;
		if ((elf->machine == PGO_MACHINE_X86_64 ? find_x86(&f, i) : find_arm64(&f, i)) < 0)
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
