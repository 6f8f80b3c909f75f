/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which functions of a DWARF unit have code that is wanted.
 *
 * One linear walk over the bytes of the unit, in which an entry that is of no interest costs a few
 * additions: the abbreviations are translated into steps first, runs of attributes of fixed size
 * into one.  A general reader, which finds attributes one by one, takes twenty times longer to
 * pass over the nine of ten functions that did not run.  What it finds are offsets, which
 * convert/lines.c looks at with libdw.
 *
 * DWARF 2 to 5, 32- and 64-bit offsets.  Forms: those of the standards and of GNU's extensions; a
 * unit with another one is not understood, and left to the general reader.
 */
#ifndef PGO_CONVERT_LINES_SCAN_H
#define PGO_CONVERT_LINES_SCAN_H

#include "convert/lines_bytes.h"

struct pgo_dw_unit {
	struct pgo_dw_bytes info, abbrev, addr; /* the sections */
	uint64_t header, first; /* offsets in `info`: the unit's, its first entry's */
	uint64_t abbrev_offset;
	uint64_t addr_base; /* of its entries in `addr`; 0 = none */
	unsigned version, address_size, offset_size;
};

/* Is code in [lo, hi) wanted? */
typedef bool pgo_dw_wanted(const void *ctx, uint64_t lo, uint64_t hi);

struct pgo_dw_found {    /* a function */
	uint64_t offset; /* of its entry */
	bool ranges; /* its code is in several pieces, not looked at: it may be wanted, or not */
};

struct pgo_dw_class { /* a class or structure with its members, [offset, end) */
	uint64_t offset, end;
	uint32_t parent; /* the class around it, or UINT32_MAX */
};

struct pgo_dw_step;
struct pgo_dw_abbrev;

struct pgo_dw_scan {                  /* zero it; its memory serves many units */
	struct pgo_dw_found *found;   /* by offset */
	struct pgo_dw_class *classes; /* likewise */
	size_t n_found, found_room, n_classes, classes_room;
	uint64_t entries; /* passed, in all units */
	struct pgo_dw_step *steps;
	struct pgo_dw_abbrev *abbrevs;
	size_t n_steps, steps_room, n_abbrevs, abbrevs_room;
	uint32_t *open; /* scratch: classes around the current entry, and how deep they are */
	size_t n_open, open_room;
};

/* Replaces what was found before.  1; 0: the unit is not understood; -1: out of memory. */
int pgo_dw_scan_unit(
	struct pgo_dw_scan *s, const struct pgo_dw_unit *u, pgo_dw_wanted *wanted, const void *ctx);
void pgo_dw_scan_fini(struct pgo_dw_scan *s);
/* The innermost class around an entry of the last unit: its offset, or 0. */
uint64_t pgo_dw_class_around(const struct pgo_dw_scan *s, uint64_t offset);

#endif
