/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executions of blocks and branches -> .fdata edges, as llvm-bolt wants them.
 *
 *	taken branch		(function, offset of branch) -> (function, offset of target);
 *				returns are left out, because BOLT derives them
 *	call			the same, to offset 0 of the callee; a PLT stub is the function
 *				NAME@PLT
 *	from or to elsewhere	0 [unknown] 0
 *	fall-through		last instruction of a block -> start of the next block.  Also across
 *				a call that ends a block, if a range began right behind it by
 *				returning
 */
#ifndef PGO_CONVERT_EDGES_H
#define PGO_CONVERT_EDGES_H

#include "convert/fdata.h"
#include "convert/pass.h"

struct pgo_edges {
	struct pgo_fdata *fdata; /* borrowed */
	const struct pgo_symbol *named;
	uint32_t name; /* the string of `named`: most edges stay in one function */
};

/* All three: 0 or -1 (memory). */
int pgo_edges_add(struct pgo_edges *e, const struct pgo_pass *p, const struct pgo_fnwork *w);
int pgo_edges_enter(struct pgo_edges *e, const struct pgo_pass *p, const struct pgo_branch *b);
/* Where an address is in BOLT's terms; used for plain samples too. */
int pgo_edges_locate(
	struct pgo_edges *e, const struct pgo_pass *p, uint64_t addr, struct pgo_fdata_loc *ret);

#endif
