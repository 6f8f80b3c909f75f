/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine-code functions a profile touches, by symbol: disjoint [start, end), sorted.  A
 * function that the compiler split (NAME and NAME.cold) is several of them.
 *
 * Only these get disassembled.  Add addresses, then pgo_codefns_finish(), then look up.
 */
#ifndef PGO_CONVERT_CODEFNS_H
#define PGO_CONVERT_CODEFNS_H

#include "pgo/core/elf.h"
#include "pgo/core/err.h"

#include <stdbool.h>
#include <stdint.h>

struct pgo_codefn {
	uint64_t start, end;
	const struct pgo_symbol *symbol; /* borrowed from the ELF */
};

struct pgo_codefns {
	const struct pgo_elf *symbols; /* borrowed: where the symbol table is */
	struct pgo_codefn *fns;
	size_t n_fns, fns_room;
	uint64_t *
		joints; /* sorted: where split-off parts and their functions jump into each other */
	size_t n_joints, joints_room;
};

void pgo_codefns_init(struct pgo_codefns *c, const struct pgo_elf *symbols);
void pgo_codefns_fini(struct pgo_codefns *c);
/* Adds the function that holds `addr`, if a symbol does.  0 or -1 (memory). */
int pgo_codefns_add(struct pgo_codefns *c, uint64_t addr);
/* Sorts, drops duplicates, cuts overlaps.  More may be added and finished again. */
void pgo_codefns_finish(struct pgo_codefns *c);
/* Index of the function that holds `addr`, or UINT32_MAX.  After finish. */
uint32_t pgo_codefns_find(const struct pgo_codefns *c, uint64_t addr);
/*
 * Fills `joints`: disassembles the other parts of every touched function that was split.  `code` is
 * the ELF with the instructions.  After finish.
 */
int pgo_codefns_find_joints(
	struct pgo_codefns *c, const struct pgo_elf *code, struct pgo_err *err) PGO_MUST_CHECK;

/* Index of the first joint at or behind `addr`. */
size_t pgo_codefns_joint(const struct pgo_codefns *c, uint64_t addr);

/* The PLT stub that holds `addr`, or NULL. */
const struct pgo_plt *pgo_plt_at(const struct pgo_elf *elf, uint64_t addr);

/* Length of a symbol's name without the tails of split-off parts and of GCC's clones: .cold,
 * .part.N, .constprop.N, .isra.N, .lto_priv.N. */
size_t pgo_codefn_base_len(const char *name);
/* Where the tail of a split-off part (.cold, .cold.N) begins in a name; NULL if it has none. */
const char *pgo_codefn_cold_tail(const char *name);
/* Is it a part that is not entered by calls of the source program (.cold, .part)? */
bool pgo_codefn_is_part(const char *name);

#endif
