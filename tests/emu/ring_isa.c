/* SPDX-License-Identifier: Apache-2.0 */
#include "ring_isa.h"

#include <string.h>

enum ring_isa ring_isa_by_name(const char *name)
{
	if (!strcmp(name, "x86_64"))
		return RING_ISA_X86_64;
	if (!strcmp(name, "aarch64"))
		return RING_ISA_AARCH64;
	return RING_ISA_NONE;
}

const struct ring_sysno *ring_isa_sysno(enum ring_isa isa)
{
	static const struct ring_sysno x86 = {.mmap = 9,
		.munmap = 11,
		.mprotect = 10,
		.rt_sigaction = 13,
		.clone = 56,
		.clone3 = 435,
		.fork = 57,
		.vfork = 58};
	static const struct ring_sysno arm = {.mmap = 222,
		.munmap = 215,
		.mprotect = 226,
		.rt_sigaction = 134,
		.clone = 220,
		.clone3 = 435,
		.fork = -1,
		.vfork = -1};

	return isa == RING_ISA_AARCH64 ? &arm : &x86;
}

static int64_t load_le(const unsigned char *p, size_t n)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return (int64_t)(v << (64 - 8 * n)) >> (64 - 8 * n);
}

/* Is `c` a legacy prefix? Sets *rep for F2 and F3. */
static int x86_prefix(unsigned char c, int *rep)
{
	switch (c) {
	case 0xf2:
	case 0xf3:
		*rep = 1;
		return 1;
	case 0x66:
	case 0x67:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x26:
	case 0x64:
	case 0x65:
	case 0xf0:
		return 1;
	default:
		return 0;
	}
}

static int x86_is_string(unsigned char op)
{
	return (op >= 0xa4 && op <= 0xa7) || (op >= 0xaa && op <= 0xaf) ||
	       (op >= 0x6c && op <= 0x6f);
}

/* FF /2../5: calls and jumps through a register or memory. */
static enum ring_branch x86_group5(unsigned char modrm)
{
	switch (modrm >> 3 & 7) {
	case 2:
	case 3:
		return RING_BR_IND_CALL;
	case 4:
	case 5:
		return RING_BR_IND;
	default:
		return RING_BR_NONE;
	}
}

static struct ring_insn x86_classify(const unsigned char *b, size_t size, uint64_t addr)
{
	struct ring_insn in = {.type = RING_BR_NONE};
	size_t i = 0, disp = 0;
	int rep = 0;
	unsigned char op;

	while (i < size && x86_prefix(b[i], &rep))
		i++;
	if (i < size && (b[i] & 0xf0) == 0x40) /* REX */
		i++;
	if (i >= size)
		return in;
	op = b[i++];
	if (op == 0x0f && i < size) {
		op = b[i++];
		if ((op & 0xf0) == 0x80) {
			in.type = RING_BR_COND;
			disp = 4;
		} else if (op == 0x05 || op == 0x34) {
			in.type = RING_BR_SYSCALL;
		}
	} else if ((op & 0xf0) == 0x70 || (op >= 0xe0 && op <= 0xe3)) {
		in.type = RING_BR_COND;
		disp = 1;
	} else if (op == 0xe8 || op == 0xe9) {
		in.type = op == 0xe8 ? RING_BR_CALL : RING_BR_JUMP;
		disp = 4;
	} else if (op == 0xeb) {
		in.type = RING_BR_JUMP;
		disp = 1;
	} else if (op == 0xc2 || op == 0xc3 || op == 0xca || op == 0xcb) {
		in.type = RING_BR_RET;
	} else if (op == 0xff && i < size) {
		in.type = x86_group5(b[i]);
	} else if (op == 0xcc || op == 0xcd || op == 0xcf) {
		in.type = RING_BR_SYSCALL;
	} else if (rep && x86_is_string(op)) {
		in.type = RING_BR_REP;
	}
	if (disp && disp <= size) {
		in.direct = 1;
		in.target = addr + size + (uint64_t)load_le(b + size - disp, disp);
	}
	return in;
}

static struct ring_insn arm_direct(
	enum ring_branch type, uint32_t w, int low, int bits, uint64_t addr)
{
	int64_t off = (int64_t)((uint64_t)w << (64 - low - bits)) >> (64 - bits);

	return (struct ring_insn){.type = type, .direct = 1, .target = addr + (uint64_t)off * 4};
}

static struct ring_insn arm_classify(const unsigned char *b, size_t size, uint64_t addr)
{
	struct ring_insn in = {.type = RING_BR_NONE};
	uint32_t w;

	if (size != 4)
		return in;
	w = (uint32_t)load_le(b, 4);
	if ((w & 0x7c000000) == 0x14000000)
		return arm_direct(w >> 31 ? RING_BR_CALL : RING_BR_JUMP, w, 0, 26, addr);
	if ((w & 0xff000000) == 0x54000000 || (w & 0x7e000000) == 0x34000000)
		return arm_direct(RING_BR_COND, w, 5, 19, addr);
	if ((w & 0x7e000000) == 0x36000000)
		return arm_direct(RING_BR_COND, w, 5, 14, addr);
	if ((w & 0xff000000) == 0xd4000000)
		in.type = RING_BR_SYSCALL;
	else if ((w & 0xfe000000) == 0xd6000000) {
		/* BR, BLR, RET and their pointer-authentication forms; opc is bits 21..22 */
		static const enum ring_branch by_opc[4] = {
			RING_BR_IND, RING_BR_IND_CALL, RING_BR_RET, RING_BR_NONE};

		in.type = by_opc[w >> 21 & 3];
	}
	return in;
}

struct ring_insn ring_isa_classify(
	enum ring_isa isa, const unsigned char *bytes, size_t size, uint64_t addr)
{
	if (isa == RING_ISA_AARCH64)
		return arm_classify(bytes, size, addr);
	return x86_classify(bytes, size, addr);
}
