/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64 by way of zydis, in two modes: a minimal one (mnemonic, length, raw immediates) for what
 * insn_x86_len.c leaves to it, and the full one with operands for what is around a jump table.
 */
#include "pgo/core/insn_x86.h"

#define ZYDIS_DISABLE_ENCODER
#include <Zydis/Zydis.h>

_Static_assert(sizeof(ZydisDecoder) <= sizeof(((struct pgo_insn_decoder *)0)->room),
	"the decoder needs more room");

void pgo_insn_x86_init(struct pgo_insn_decoder *d)
{
	ZydisDecoder *z = (ZydisDecoder *)d->room;

	ZydisDecoderInit(z, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	ZydisDecoderEnableMode(z, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE);
}

static enum pgo_insn_kind kind_of(const ZydisDecodedInstruction *in)
{
	bool direct = in->raw.imm[0].is_relative;

	switch (in->mnemonic) {
	case ZYDIS_MNEMONIC_JB:
	case ZYDIS_MNEMONIC_JBE:
	case ZYDIS_MNEMONIC_JCXZ:
	case ZYDIS_MNEMONIC_JECXZ:
	case ZYDIS_MNEMONIC_JL:
	case ZYDIS_MNEMONIC_JLE:
	case ZYDIS_MNEMONIC_JNB:
	case ZYDIS_MNEMONIC_JNBE:
	case ZYDIS_MNEMONIC_JNL:
	case ZYDIS_MNEMONIC_JNLE:
	case ZYDIS_MNEMONIC_JNO:
	case ZYDIS_MNEMONIC_JNP:
	case ZYDIS_MNEMONIC_JNS:
	case ZYDIS_MNEMONIC_JNZ:
	case ZYDIS_MNEMONIC_JO:
	case ZYDIS_MNEMONIC_JP:
	case ZYDIS_MNEMONIC_JRCXZ:
	case ZYDIS_MNEMONIC_JS:
	case ZYDIS_MNEMONIC_JZ:
	case ZYDIS_MNEMONIC_LOOP:
	case ZYDIS_MNEMONIC_LOOPE:
	case ZYDIS_MNEMONIC_LOOPNE:
	case ZYDIS_MNEMONIC_XBEGIN:
		return direct ? PGO_INSN_COND : PGO_INSN_OTHER;
	case ZYDIS_MNEMONIC_JMP:
		return direct ? PGO_INSN_JUMP : PGO_INSN_JUMP_INDIRECT;
	case ZYDIS_MNEMONIC_CALL:
		return direct ? PGO_INSN_CALL : PGO_INSN_CALL_INDIRECT;
	case ZYDIS_MNEMONIC_RET:
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
	case ZYDIS_MNEMONIC_SYSRET:
	case ZYDIS_MNEMONIC_SYSEXIT:
	case ZYDIS_MNEMONIC_UIRET:
		return PGO_INSN_RET;
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

bool pgo_insn_x86_library(const struct pgo_insn_decoder *d, uint64_t addr, const uint8_t *code,
	size_t len, struct pgo_insn *ret)
{
	const ZydisDecoder *z = (const ZydisDecoder *)d->room;
	ZydisDecodedInstruction in;

	if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(z, NULL, code, len, &in)))
		return false;
	*ret = (struct pgo_insn){.addr = addr, .size = in.length, .kind = (uint8_t)kind_of(&in)};
	if (in.raw.imm[0].is_relative && ret->kind != PGO_INSN_OTHER)
		ret->target = addr + in.length + (uint64_t)in.raw.imm[0].value.s;
	return true;
}

bool pgo_insn_x86_decode(const struct pgo_insn_decoder *d, uint64_t addr, const uint8_t *code,
	size_t len, struct pgo_insn *ret)
{
	return pgo_insn_x86_common(addr, code, len, ret) ||
	       pgo_insn_x86_library(d, addr, code, len, ret) ||
	       pgo_insn_x86_new(addr, code, len, ret);
}

/* ------------------------------------------------------------------ arithmetic */

static uint8_t number_of(ZydisRegister r)
{
	r = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r);
	if (r < ZYDIS_REGISTER_RAX || r > ZYDIS_REGISTER_R15)
		return PGO_REG_NONE;
	return (uint8_t)(r - ZYDIS_REGISTER_RAX);
}

static void take_memory(struct pgo_insn_operands *f, const ZydisDecodedOperandMem *m, uint64_t end)
{
	f->value = (uint64_t)m->disp.value;
	if (m->base == ZYDIS_REGISTER_RIP)
		f->value += end;
	else if (m->base != ZYDIS_REGISTER_NONE)
		f->base = number_of(m->base);
	if (m->index != ZYDIS_REGISTER_NONE) {
		f->index = number_of(m->index);
		f->shift = m->scale == 8 ? 3 : m->scale == 4 ? 2 : m->scale == 2 ? 1 : 0;
	}
}

static void form_with_register(struct pgo_insn_operands *f, const ZydisDecodedInstruction *in,
	const ZydisDecodedOperand *op, uint64_t end)
{
	bool memory = op[1].type == ZYDIS_OPERAND_TYPE_MEMORY;

	f->dst = number_of(op[0].reg.value);
	if (in->mnemonic == ZYDIS_MNEMONIC_LEA && memory) {
		take_memory(f, &op[1].mem, end);
		f->form = f->base == PGO_REG_NONE && f->index == PGO_REG_NONE ? PGO_FORM_ADDRESS
									      : PGO_FORM_ADD;
		f->width = 8;
	} else if (in->mnemonic == ZYDIS_MNEMONIC_MOV &&
		   op[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		f->form = PGO_FORM_ADDRESS;
		f->value = op[1].imm.value.u;
	} else if ((in->mnemonic == ZYDIS_MNEMONIC_MOV || in->mnemonic == ZYDIS_MNEMONIC_MOVSXD) &&
		   memory) {
		take_memory(f, &op[1].mem, end);
		f->form = PGO_FORM_LOAD;
		f->width = (uint8_t)(op[1].size / 8);
		f->is_signed = in->mnemonic == ZYDIS_MNEMONIC_MOVSXD;
	} else if (in->mnemonic == ZYDIS_MNEMONIC_ADD &&
		   op[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
		f->form = PGO_FORM_ADD;
		f->base = f->dst;
		f->index = number_of(op[1].reg.value);
		f->width = 8;
	}
}

bool pgo_insn_x86_operands(const struct pgo_insn_decoder *d, uint64_t addr, const uint8_t *code,
	size_t len, struct pgo_insn_operands *ret)
{
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction in;
	ZydisDecoder z;

	(void)d;
	ZydisDecoderInit(&z, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&z, code, len, &in, op)))
		return false;
	if (in.mnemonic == ZYDIS_MNEMONIC_JMP && !in.raw.imm[0].is_relative) {
		ret->form = PGO_FORM_JUMP;
		ret->memory = op[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
		if (ret->memory)
			take_memory(ret, &op[0].mem, addr + in.length);
		else
			ret->base = number_of(op[0].reg.value);
	} else if (in.operand_count != 0 && op[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		   (op[0].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) {
		form_with_register(ret, &in, op, addr + in.length);
	}
	return true;
}
