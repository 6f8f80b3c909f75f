/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/cfg.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>

static int decode_all(struct pgo_cfg *c, const uint8_t *code, size_t len, size_t *ret_done)
{
	size_t at = 0;

	while (at < len) {
		struct pgo_insn *i = PGO_VEC_PUSH(c->insns, c->n_insns, c->insns_room);

		if (i == NULL)
			return -1;
		if (!pgo_insn_decode(&c->decoder, c->start + at, code + at, len - at, i)) {
			c->n_insns--;
			break;
		}
		c->n_jumps += i->kind == PGO_INSN_JUMP_INDIRECT;
		at += i->size;
	}
	*ret_done = at;
	return 0;
}

/* What is data is no instruction of interest, whatever it looks like. */
static void pass_islands(struct pgo_cfg *c, const struct pgo_elf *elf)
{
	size_t lo = 0, hi = elf->n_islands, i = 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (elf->islands[mid].end <= c->start)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < elf->n_islands && elf->islands[lo].start < c->end; lo++) {
		for (; i < c->n_insns && c->insns[i].addr < elf->islands[lo].end; i++) {
			struct pgo_insn *p = &c->insns[i];

			if (p->addr < elf->islands[lo].start)
				continue;
			c->n_jumps -= p->kind == PGO_INSN_JUMP_INDIRECT;
			p->kind = PGO_INSN_OTHER;
			p->target = 0;
		}
	}
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

void pgo_cfg_mark(struct pgo_cfg *c, uint64_t addr)
{
	uint32_t i;

	if (!pgo_cfg_inside(c, addr))
		return;
	i = pgo_cfg_at(c, addr);
	if (i != UINT32_MAX)
		c->insns[i].leader = true;
}

/* ------------------------------------------------------------------ blocks */

/* BOLT keeps "jcc A; jmp B" in one block if both stay inside the function. */
static bool joined(const struct pgo_cfg *c, const struct pgo_insn *prev)
{
	return prev->kind == PGO_INSN_COND && pgo_cfg_inside(c, prev->target) &&
	       prev[1].kind == PGO_INSN_JUMP && pgo_cfg_inside(c, prev[1].target);
}

static void mark_blocks(struct pgo_cfg *c, const uint64_t *extra, size_t n_extra)
{
	size_t lo = 0, hi = n_extra;

	for (size_t i = 0; i < c->n_insns; i++) {
		const struct pgo_insn *p = &c->insns[i];

		if (p->kind == PGO_INSN_COND || p->kind == PGO_INSN_JUMP)
			pgo_cfg_mark(c, p->target);
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
		pgo_cfg_mark(c, extra[lo]);
	if (c->n_insns != 0)
		c->insns[0].leader = true;
}

int pgo_cfg_decode(struct pgo_cfg *c, const struct pgo_elf *elf, uint64_t start, uint64_t end,
	const uint64_t *extra, size_t n_extra, struct pgo_err *err)
{
	const uint8_t *code;
	size_t len, done;

	if (!c->ready || c->decoder.machine != elf->machine)
		pgo_insn_decoder_init(&c->decoder, elf->machine);
	c->ready = true;
	c->start = start;
	c->end = end;
	c->n_insns = c->n_jumps = c->n_tables = c->n_cases = 0;
	c->complete = false;
	code = pgo_elf_code(elf, start, &len);
	if (code == NULL || end <= start)
		return 0;
	if (len > end - start)
		len = end - start;
	if (decode_all(c, code, len, &done) < 0)
		return pgo_err_nomem(err);
	c->complete = done == end - start;
	pass_islands(c, elf);
	if (c->n_jumps != 0 && pgo_cfg_mark_tables(c, elf, code) < 0)
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

int pgo_compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}
