/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split DWARF: where the compiler left most of the debug information out of the program.  The
 * program holds a skeleton of each unit (line table, addresses) that names a file of its own, the
 * .dwo; `dwp` packs all of them into one file, the .dwp.  Here those are found and the pieces of
 * one unit cut out of them; what is in the pieces is not looked at.
 *
 * A .dwp has an index (DWARF 5, section 7.3.5; GNU's of DWARF 4 differs in the header and in the
 * numbers of sections), a hash table by the unit's id:
 *
 *	version u16, 0 u16 | 2 u32;  columns N u32;  units U u32;  slots S u32
 *	S x id u64, S x row u32 (from 1; 0 = free slot)
 *	N x section u32: 1 info, 3 abbreviations, 4 lines, 6 string offsets, 8 (DWARF 5) range lists
 *	U x N x offset u32, U x N x size u32
 *
 * Looked at, in this order, for a skeleton NAME with directory COMP of the program PROG:
 * PROG.dwp and DIR/PROG.dwp (PROG: the binary, and its debug file), DIR itself if it is a .dwp;
 * COMP/NAME; NAME beside the debug file; DIR/NAME and DIR/base of NAME.  Only what carries the
 * unit's id is taken.
 */
#ifndef PGO_CONVERT_DWO_H
#define PGO_CONVERT_DWO_H

#include "pgo/core/elf.h"
#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgo_dwo_bytes {
	const uint8_t *p;
	size_t len;
};

/* A section of an ELF file; p NULL and len 0 if it has none. */
struct pgo_dwo_bytes pgo_dwo_section(const struct pgo_elf *e, const char *name);

/* One unit, cut out; borrowed from the file it is in, as long as the finder lives. */
struct pgo_dwo_unit {
	struct pgo_dwo_bytes info; /* the unit with its header */
	struct pgo_dwo_bytes abbrev, line, str, str_offsets, rnglists;
	const char *file; /* where it was found */
	unsigned version; /* of DWARF */
	/* DWARF 4 has the id not in the header, but in the unit, and a .dwo of it was taken on
	 * trust: compare it. */
	bool unchecked;
};

struct pgo_dwo_query {
	const char *name, *comp_dir; /* of the skeleton; comp_dir may be NULL */
	uint64_t id;
};

struct pgo_dwo;
/* Keeps all arguments.  `debug`: the ELF with the skeletons; `dirs`: directories or .dwp files that
 * the user named. */
struct pgo_dwo *pgo_dwo_new(const struct pgo_elf *binary, const struct pgo_elf *debug,
	const char *const *dirs, size_t n_dirs, struct pgo_err *err);
void pgo_dwo_free(struct pgo_dwo *d);
/* Into *ret; false: it is not there.  A .dwo stays open until the next one is found. */
bool pgo_dwo_find(struct pgo_dwo *d, const struct pgo_dwo_query *q, struct pgo_dwo_unit *ret);

#endif
