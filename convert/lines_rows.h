/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A unit's line number program: which files it names, and the rows that say something of wanted
 * code.  The program is run, not stored: rows of other functions cost their decoding and no memory.
 *
 * DWARF 2 to 5.  A program with an odd header is not understood, and left to a general reader.
 */
#ifndef PGO_CONVERT_LINES_ROWS_H
#define PGO_CONVERT_LINES_ROWS_H

#include "convert/lines_bytes.h"

struct pgo_dw_program {                          /* where the program is */
	struct pgo_dw_bytes line, str, line_str; /* the sections */
	uint64_t offset;                         /* of its header, DW_AT_stmt_list */
	unsigned address_size;
};

struct pgo_dw_row {
	uint64_t addr;
	uint32_t line, disc;
	bool end; /* of a sequence */
};

struct pgo_dw_range {
	uint64_t lo, hi;
};

/* 0, or a negative number that stops the reading. */
typedef int pgo_dw_on_row(void *ctx, const struct pgo_dw_row *row);
typedef int pgo_dw_on_file(void *ctx, const char *name);

/*
 * Hands out the rows that lie in one of `ranges` (sorted, disjoint), on its end, or over its start;
 * where rows are left out behind one, an end.  1; 0: not understood (some rows may have been handed
 * out); else what `row` gave.
 */
int pgo_dw_rows(const struct pgo_dw_program *p, const struct pgo_dw_range *ranges, size_t n,
	pgo_dw_on_row *row, void *ctx);
/* Hands out the names of all files, by the number that declarations know them by: from 1 before
 * DWARF 5, from 0 since; in the first case "" comes as number 0.  Likewise. */
int pgo_dw_files(const struct pgo_dw_program *p, pgo_dw_on_file *file, void *ctx);

#endif
