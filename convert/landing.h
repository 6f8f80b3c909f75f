/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landing pads: where exception handling enters a function in the middle.  They start basic
 * blocks.  Read from .eh_frame (function -> language-specific data) and .gcc_except_table (call
 * sites with their pads), both as the Itanium C++ ABI and the LSB lay them out.
 */
#ifndef PGO_CONVERT_LANDING_H
#define PGO_CONVERT_LANDING_H

#include "pgo/core/elf.h"
#include "pgo/core/err.h"

#include <stdint.h>

struct pgo_landing_fn { /* a function with language-specific data */
	uint64_t start, lsda;
};

struct pgo_landing {
	const struct pgo_elf *elf;  /* borrowed */
	struct pgo_landing_fn *fns; /* by start */
	size_t n_fns, fns_room;
};

/* Reads the unwind table's headers; damage ends the reading, what came before counts. -1: out of
 * memory. */
int pgo_landing_init(struct pgo_landing *l, const struct pgo_elf *elf);
void pgo_landing_fini(struct pgo_landing *l);
/* Appends the pads of the function that starts at `start` to *pads (vec.h); 0 or -1 (memory). */
int pgo_landing_pads(
	const struct pgo_landing *l, uint64_t start, uint64_t **pads, size_t *n_pads, size_t *room);

#endif
