/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Units of split DWARF (convert/dwo.h) for libdw, whichever version and wherever they are.
 *
 * libdw finds a .dwo only where the compiler left it, and before 0.191 no .dwp at all.  So each unit
 * is given to it as an ELF file of its own, made in memory of the unit's pieces: the strings that
 * it uses, and its part of the program's table of addresses, so that every base is where libdw
 * expects it without a skeleton.  What would need the skeleton even so, the range lists, are
 * decoded here.
 */
#ifndef PGO_CONVERT_LINES_SPLIT_H
#define PGO_CONVERT_LINES_SPLIT_H

#include "convert/dwo.h"

#include <elfutils/libdw.h>

struct pgo_split_range {
	uint64_t lo, hi;
};

struct pgo_split {
	struct pgo_dwo *files;
	const struct pgo_elf *debug; /* borrowed: the skeletons' file */
	/* The unit that is open. */
	uint8_t *image;
	Elf *elf;
	Dwarf *dw;
	struct pgo_dwo_unit unit;
	uint64_t low, ranges_base; /* of the skeleton */
	struct pgo_dwo_bytes addrs;
	struct pgo_split_range *ranges; /* of the DIE asked for last */
	size_t n_ranges, ranges_room;
	/* What came of it. */
	size_t n_found, n_missing;
	char *file;    /* the first that was used */
	char *missing; /* the first that was not found */
};

/* `s` starts as zeros; keeps all. */
int pgo_split_init(struct pgo_split *s, const struct pgo_elf *binary, const struct pgo_elf *debug,
	const char *const *dirs, size_t n_dirs, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_split_fini(struct pgo_split *s);
/* The unit DIE that belongs to a skeleton's, valid until the next call: 1; 0: not found (which is
 * noted); -1: out of memory. */
int pgo_split_open(struct pgo_split *s, Dwarf_Die *skeleton, Dwarf_Die *ret);
/* As dwarf_ranges(), for a DIE of the open unit; 0 at the end, -1 for damage or out of memory. */
ptrdiff_t pgo_split_next(
	struct pgo_split *s, Dwarf_Die *die, ptrdiff_t at, Dwarf_Addr *ret_lo, Dwarf_Addr *ret_hi);

#endif
