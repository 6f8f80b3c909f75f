/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address -> line, discriminator and inline chain; the only file that calls libdw.
 *
 * Only units that contain a wanted address are read, each once, into sorted tables: line rows, and
 * inline intervals with a parent index.  Look-ups are binary searches. DWARF 2 to 5; names as the
 * linkage name, else DW_AT_name; line offsets are relative to the declaration line of the frame's
 * own function.
 */
#ifndef PGO_CONVERT_LINES_H
#define PGO_CONVERT_LINES_H

#include "pgo/core/elf.h"
#include "pgo/core/err.h"
#include "pgo/core/strtab.h"

#include <stdbool.h>
#include <stdint.h>

enum pgo_disc_encoding {
	PGO_DISC_PLAIN,
	PGO_DISC_CLANG,
	PGO_DISC_GCC16
}; /* by the unit's producer */

/* One frame of an inline chain. */
struct pgo_frame {
	uint32_t function;  /* string: name of the function this code came from */
	uint32_t file;      /* string: file of its declaration */
	uint32_t decl_line; /* 0 = unknown */
	uint32_t line; /* leaf: the row's line; others: the line of the inlined call; 0 = none */
	uint32_t line_offset; /* (line - decl_line) modulo 2^16 */
	uint32_t disc;        /* base discriminator */
	uint32_t factor;      /* duplication factor or multiplicity, at least 1; leaf only */
	uint32_t copy;        /* GCC 16 copy id; leaf only */
};

#define PGO_MAX_FRAMES 256

struct pgo_lines;
/*
 * Finds debug information (binary, separate file by build-id or debug link, `debug` file or
 * directory).  `wanted`: sorted addresses or function starts whose units will be asked for. Gives
 * an object; PGO_ENOTFOUND with the places searched.
 */
struct pgo_lines *pgo_lines_open(const struct pgo_elf *elf, const char *debug,
	const uint64_t *wanted, size_t n_wanted, struct pgo_strtab *strs, struct pgo_err *err);
void pgo_lines_close(struct pgo_lines *l);
const char *pgo_lines_debug_file(const struct pgo_lines *l);
/* The chain at `vaddr`, innermost first; the number of frames (0: no line information there). At
 * most PGO_MAX_FRAMES. `*ret_end`: first address with another answer. */
size_t pgo_lines_at(
	const struct pgo_lines *l, uint64_t vaddr, struct pgo_frame *ret, uint64_t *ret_end);
/* The out-of-line function that holds vaddr: its name by DWARF, or PGO_STR_NONE. */
uint32_t pgo_lines_function(const struct pgo_lines *l, uint64_t vaddr);
/* Splits a raw discriminator by its encoding. */
void pgo_disc_decode(enum pgo_disc_encoding enc, uint32_t raw, uint32_t *ret_base,
	uint32_t *ret_factor, uint32_t *ret_copy);

#endif
