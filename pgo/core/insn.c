/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/insn.h"

#include <string.h>

static uint32_t word_at(const uint8_t *code)
{
	uint32_t w;

	memcpy(&w, code, sizeof w);
	return w;
}

void pgo_insn_decoder_init(struct pgo_insn_decoder *d, enum pgo_machine machine)
{
	*d = (struct pgo_insn_decoder){.machine = machine};
	if (machine == PGO_MACHINE_X86_64)
		pgo_insn_x86_init(d);
}

bool pgo_insn_decode(const struct pgo_insn_decoder *d, uint64_t addr, const uint8_t *code,
	size_t len, struct pgo_insn *ret)
{
	if (d->machine == PGO_MACHINE_X86_64)
		return pgo_insn_x86_decode(d, addr, code, len, ret);
	if (len < 4)
		return false;
	pgo_insn_arm64_decode(addr, word_at(code), ret);
	return true;
}

uint32_t pgo_insn_count(
	const struct pgo_insn_decoder *d, const uint8_t *code, size_t len, uint64_t span)
{
	struct pgo_insn insn;
	uint32_t n = 1;
	size_t at = 0;

	if (span >= len || span >= UINT32_MAX)
		return 0;
	if (d->machine != PGO_MACHINE_X86_64)
		return span % 4 == 0 && len - span >= 4 ? (uint32_t)(span / 4 + 1) : 0;
	for (; at < span; n++) {
		if (!pgo_insn_x86_decode(d, 0, code + at, len - at, &insn))
			return 0;
		at += insn.size;
	}
	return at == span && pgo_insn_x86_decode(d, 0, code + at, len - at, &insn) ? n : 0;
}

enum pgo_insn_kind pgo_insn_kind_at(const struct pgo_elf *elf, uint64_t vaddr)
{
	struct pgo_insn_decoder d;
	struct pgo_insn insn;
	size_t len;
	const uint8_t *code = pgo_elf_code(elf, vaddr, &len);

	pgo_insn_decoder_init(&d, elf->machine);
	if (code == NULL || !pgo_insn_decode(&d, vaddr, code, len, &insn))
		return PGO_INSN_OTHER;
	return insn.kind;
}

bool pgo_insn_read_operands(const struct pgo_insn_decoder *d, uint64_t addr, const uint8_t *code,
	size_t len, struct pgo_insn_operands *ret)
{
	*ret = (struct pgo_insn_operands){
		.dst = PGO_REG_NONE, .base = PGO_REG_NONE, .index = PGO_REG_NONE};
	if (d->machine == PGO_MACHINE_X86_64)
		return pgo_insn_x86_operands(d, addr, code, len, ret);
	if (len < 4)
		return false;
	pgo_insn_arm64_operands(addr, word_at(code), ret);
	return true;
}
