/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traces of a program that llvm-bolt rewrote -> .fdata in terms of the program it was made from, with
 * nothing but the rewritten one at hand.  The rules are those of perf2bolt: ends of branches are
 * translated (convert/bat.h), and a run is an edge from the start of each block in it to that of the
 * next, as a block's last instruction is not known.
 */
#ifndef PGO_CONVERT_BAT_EDGES_H
#define PGO_CONVERT_BAT_EDGES_H

#include "convert/bat.h"
#include "convert/fdata.h"
#include "convert/ranges.h"

/* Adds to `f` and marks it as of a BOLTed binary.  `symbols`: of the same file.  0 or -1 (memory). */
int pgo_bat_edges(const struct pgo_bat *b, const struct pgo_elf *elf, const struct pgo_elf *symbols,
	const struct pgo_ranges *r, struct pgo_fdata *f);

#endif
