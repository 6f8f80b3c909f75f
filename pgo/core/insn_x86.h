/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of x86-64 decoding, for each other: by tables, by the library, by length alone. */
#ifndef PGO_CORE_INSN_X86_H
#define PGO_CORE_INSN_X86_H

#include "pgo/core/insn.h"

/* The frequent instructions; false: ask the library.  It needs a few bytes behind the instruction. */
bool pgo_insn_x86_common(uint64_t addr, const uint8_t *p, size_t len, struct pgo_insn *ret);
/* Any that the library knows. */
bool pgo_insn_x86_library(const struct pgo_insn_decoder *d, uint64_t addr, const uint8_t *code,
	size_t len, struct pgo_insn *ret);
/* By its form alone, what the library does not know: VEX, EVEX and REX2 (APX) of any opcode. */
bool pgo_insn_x86_new(uint64_t addr, const uint8_t *code, size_t len, struct pgo_insn *ret);

#endif
