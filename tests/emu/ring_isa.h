/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only place that knows an instruction set: what the last instruction of a block does to
 * control flow. x86-64 and AArch64. No disassembler: the few opcodes that end a block are told
 * apart by their bytes.
 */
#ifndef TESTS_EMU_RING_ISA_H
#define TESTS_EMU_RING_ISA_H

#include <stddef.h>
#include <stdint.h>

enum ring_isa { RING_ISA_NONE, RING_ISA_X86_64, RING_ISA_AARCH64 };

/* Values of the branch "type" field of perf's branch entries, so that they can be written as they
 * are. */
enum ring_branch {
	RING_BR_NONE = 0, /* not a branch */
	RING_BR_COND = 1,
	RING_BR_JUMP = 2,
	RING_BR_IND = 3, /* indirect jump */
	RING_BR_CALL = 4,
	RING_BR_IND_CALL = 5,
	RING_BR_RET = 6,
	/* Ours, never written as a branch: */
	RING_BR_REP = 32, /* repeated string instruction; may be entered again without a branch */
	RING_BR_SYSCALL = 33, /* leaves to the kernel, which returns wherever it likes */
};

struct ring_insn {
	enum ring_branch type;
	int direct;      /* target is known from the instruction */
	uint64_t target; /* if direct */
};

/* System call numbers that tell about mappings, signal handlers and new processes. */
struct ring_sysno {
	int mmap, munmap, mprotect, rt_sigaction, clone, clone3, fork, vfork;
};

/* "x86_64" or "aarch64" as the emulator names its guest; RING_ISA_NONE for anything else. */
enum ring_isa ring_isa_by_name(const char *name);
const struct ring_sysno *ring_isa_sysno(enum ring_isa isa);
/* Classifies the instruction of `size` bytes at `bytes` that lies at guest address `addr`. */
struct ring_insn ring_isa_classify(
	enum ring_isa isa, const unsigned char *bytes, size_t size, uint64_t addr);

#endif
