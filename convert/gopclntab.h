/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first lines of Go's functions, from the line table that every Go program carries, stripped
 * or not (section .gopclntab, as Go 1.20 and newer write it):
 *
 *	header:  magic fffffff1 u32  0 0  u8 instruction size  u8 8  then u64: n functions, n files,
 *	         start of code, offset of names, of units, of files, of tables, of functions
 *	functions: n x { u32 entry, u32 offset from here of: }
 *	         u32 entry, i32 offset in names, 7 x u32, i32 first line, ...
 */
#ifndef PGO_CONVERT_GOPCLNTAB_H
#define PGO_CONVERT_GOPCLNTAB_H

#include "pgo/core/elf.h"
#include "pgo/core/err.h"
#include "pgo/core/map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgo_go_start {
	const char *name; /* borrowed from the section */
	int64_t line;
};

struct pgo_gopclntab {
	struct pgo_go_start *fns;
	size_t n_fns, fns_room;
	struct pgo_map by_name;
};

/* Of a program; none in one that is not Go's, or whose table is older than Go 1.20 or damaged: then
 * it stays empty.  PGO_ENOMEM is the only failure.  Borrows the ELF's bytes. */
int pgo_gopclntab_load(
	struct pgo_gopclntab *t, const struct pgo_elf *elf, struct pgo_err *err) PGO_MUST_CHECK;
/* Of the section's bytes.  `*ret_ok`: it was such a table. */
int pgo_gopclntab_read(
	struct pgo_gopclntab *t, const uint8_t *data, size_t len, bool *ret_ok) PGO_MUST_CHECK;
void pgo_gopclntab_fini(struct pgo_gopclntab *t);
/* The first line of the function, or 0. */
int64_t pgo_gopclntab_line(const struct pgo_gopclntab *t, const char *name);

#endif
