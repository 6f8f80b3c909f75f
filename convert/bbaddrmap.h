/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The basic-block address map that clang leaves in a program (section .llvm_bb_addr_map): which
 * bytes are which block of the compiler, by the ids that -fbasic-block-sections=list takes.
 *
 * clang 20 and newer write it with -fbasic-block-address-map, older ones with
 * -fbasic-block-sections=labels.  Numbers are ULEB128 unless marked; one entry a function:
 *
 *	entry:  [version 1..5: u8; features: u8, from version 5 on u16le]
 *	        [several ranges (feature 3): n]  { address u64le  n  n x block } x ranges
 *	        [entry count (feature 0)]  [frequencies (features 1, 2, 7), n x { .. }]
 *	block:  [version 2 on: id, else counted from 0]
 *	        offset: from the end of the block before (version 0: from the function's start)
 *	        [feature 5: n  n x distance of a call's end]  size (from the last call's end)
 *	        bits of what it is: 0 returns, 1 tail-calls, 2 landing pad, 3 falls through, 4 indirect
 *	        branch
 *	        [feature 6: hash u64le]
 *
 * A section of type 0x6fff4c08 (clang 14) has version 0, which is not written down.
 */
#ifndef PGO_CONVERT_BBADDRMAP_H
#define PGO_CONVERT_BBADDRMAP_H

#include "pgo/core/elf.h"
#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgo_bb {
	uint64_t addr, size;
	uint32_t fn; /* index */
	uint32_t id; /* of the compiler */
	uint32_t flags;
};

struct pgo_bbfn {
	uint64_t addr; /* of its entry: of the first range */
	uint32_t n_blocks;
};

struct pgo_bbaddrmap {
	struct pgo_bb *blocks; /* by address; blocks without bytes are left out */
	struct pgo_bbfn *fns;  /* in the order of the file */
	size_t n_blocks, blocks_room, n_fns, fns_room;
};

/* The map of a program.  PGO_ENOTFOUND if it has none: the sentence says how to build one in.
 * Free with pgo_bbaddrmap_fini(), after a failure too. */
int pgo_bbaddrmap_load(
	struct pgo_bbaddrmap *m, const struct pgo_elf *elf, struct pgo_err *err) PGO_MUST_CHECK;
/* Appends what one section says, unsorted.  `unversioned`: version 0.  Errors carry the offset. */
int pgo_bbaddrmap_decode(struct pgo_bbaddrmap *m, const char *what, const void *data, size_t len,
	bool unversioned, struct pgo_err *err) PGO_MUST_CHECK;
/* After the last section: by address; of functions folded together one stays. */
void pgo_bbaddrmap_sort(struct pgo_bbaddrmap *m);
void pgo_bbaddrmap_fini(struct pgo_bbaddrmap *m);
/* Index of the block that holds `addr`, or UINT32_MAX.  After sorting. */
uint32_t pgo_bbaddrmap_find(const struct pgo_bbaddrmap *m, uint64_t addr);

#endif
