/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address -> line, discriminator and inline chain; lines.c is the only file that calls libdw.
 *
 * Only units that contain a wanted address are read, each once, and of them only the functions
 * that contain one: lines_scan.c passes over the others, lines_rows.c over their rows, and libdw is
 * asked about what is left.  Then the DWARF reader is closed and what is left are the flat sorted tables of
 * convert/linetab.h.  Look-ups are binary searches.  DWARF 2 to 5, mixed; names as the linkage
 * name, else DW_AT_name; line offsets are relative to the declaration line of the frame's own
 * function.
 */
#ifndef PGO_CONVERT_LINES_H
#define PGO_CONVERT_LINES_H

#include "pgo/core/elf.h"
#include "pgo/core/err.h"
#include "pgo/core/strtab.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What the discriminator of a line-table row means, by the unit's producer.
 *	PLAIN	GCC up to 15: a small integer
 *	CLANG	LLVM: base, duplication factor, copy id, each as one bit 1 for zero, 7 bits for up
 *to 31, 14 bits for more; least significant first
 *	GCC16	GCC from 16: base 8 bits, multiplicity 7 bits, copy id 11 bits
 *	LLVM_FS	flow-sensitive ones of LLVM (-enable-fs-discriminator): kept whole, no factor
 */
enum pgo_disc_encoding { PGO_DISC_PLAIN, PGO_DISC_CLANG, PGO_DISC_GCC16, PGO_DISC_LLVM_FS };

/* One frame of an inline chain. */
struct pgo_frame {
	uint32_t function;  /* string: name of the function this code came from */
	uint32_t file;      /* string: base name of the file of its declaration */
	uint32_t decl_line; /* 0 = unknown */
	uint32_t line; /* leaf: the row's line; others: the line of the inlined call; 0 = none */
	uint32_t line_offset; /* (line - decl_line) modulo 2^16 */
	uint32_t disc;        /* base discriminator */
	uint32_t factor;      /* duplication factor or multiplicity, at least 1; leaf only */
	uint32_t copy;        /* GCC 16 copy id; leaf only */
};

#define PGO_MAX_FRAMES 256

/* An out-of-line function of the program. */
struct pgo_lines_fn {
	uint32_t linkage; /* string: linkage name; "" if DWARF has none (C, internal linkage) */
	uint32_t name;    /* string: DW_AT_name */
	uint32_t file;    /* string: base name of the declaration's file */
	uint32_t decl_line;
	uint64_t entry;                 /* where calls arrive */
	uint32_t first_range, n_ranges; /* several if it was split; pgo_lines_range() */
	uint32_t node;                  /* its place in the inline tree: the root */
	enum pgo_disc_encoding enc;     /* whose compiler: by the unit's producer */
};

/* A place in the inline tree: an out-of-line function, or a body inlined into its parent. */
struct pgo_lines_node {
	uint32_t parent;     /* node, or UINT32_MAX: an out-of-line function */
	uint32_t fn;         /* the out-of-line function it belongs to */
	uint32_t name, file; /* strings */
	uint32_t decl_line;
	uint32_t call_line, call_disc; /* in the parent; base discriminator */
};

/* What is at an address. */
struct pgo_lines_hit {
	uint32_t node;               /* innermost; UINT32_MAX: no function known there */
	uint32_t line;               /* 0: none */
	uint32_t disc, factor, copy; /* decoded */
	uint64_t end;                /* first address with another answer */
};

struct pgo_lines;
/*
 * Finds debug information (convert/debugfile.h) and reads what `wanted` (sorted addresses) touches.
 * Strings go into `strs`, which must outlive the object.  Gives an object; NULL and PGO_ENOTFOUND
 * with the places searched.
 */
struct pgo_debug_places;
struct pgo_lines *pgo_lines_open(const struct pgo_elf *elf, const struct pgo_debug_places *where,
	const uint64_t *wanted, size_t n_wanted, struct pgo_strtab *strs, struct pgo_err *err);
/*
 * The same for a program that was rewritten (convert/bat.h) from `original`, by the debug
 * information of the latter: `wanted` are addresses of `moved`, and so are all that the object knows.
 */
struct pgo_bat;
struct pgo_lines *pgo_lines_open_moved(const struct pgo_elf *moved, const struct pgo_bat *bat,
	const struct pgo_elf *original, const struct pgo_debug_places *where,
	const uint64_t *wanted, size_t n_wanted, struct pgo_strtab *strs, struct pgo_err *err);
/*
 * The same for all functions of a build that did not run itself, the target of others' profiles: a
 * debug file that the user named by itself is not taken for its own.
 */
struct pgo_lines *pgo_lines_open_target(const struct pgo_elf *elf,
	const struct pgo_debug_places *where, struct pgo_strtab *strs, struct pgo_err *err);
/* Calls `each` with the DW_AT_producer of every unit ("" if it has none), which says who compiled it and,
 * from gcc, how; a negative result ends it and means out of memory.  Errors as above. */
int pgo_lines_producers(const struct pgo_elf *elf, const struct pgo_debug_places *where,
	int (*each)(void *ctx, const char *producer), void *ctx,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_lines_close(struct pgo_lines *l);
const char *pgo_lines_debug_file(const struct pgo_lines *l);
/* Of split DWARF: how many units were found and how many not; the first file used, or NULL. */
const char *pgo_lines_split_file(const struct pgo_lines *l, uint64_t *ret_n, uint64_t *ret_missing);

/* What reading took: all of it but `units` follows from the code that is wanted, not from the size
 * of the program. */
struct pgo_lines_work {
	size_t units, units_read; /* in the file; looked into */
	uint64_t entries;         /* of units, passed over or looked at */
	size_t functions, rows;   /* looked at; kept */
};
struct pgo_lines_work pgo_lines_work(const struct pgo_lines *l);

void pgo_lines_find(const struct pgo_lines *l, uint64_t vaddr, struct pgo_lines_hit *ret);
size_t pgo_lines_n_nodes(const struct pgo_lines *l);
const struct pgo_lines_node *pgo_lines_node(const struct pgo_lines *l, uint32_t node);
size_t pgo_lines_n_fns(const struct pgo_lines *l);
const struct pgo_lines_fn *pgo_lines_fn(const struct pgo_lines *l, uint32_t fn);
/* The out-of-line function that holds vaddr, or NULL. */
const struct pgo_lines_fn *pgo_lines_fn_at(const struct pgo_lines *l, uint64_t vaddr);
/* Range i (0..n_ranges-1) of a function: [lo, hi). */
void pgo_lines_range(const struct pgo_lines *l, const struct pgo_lines_fn *fn, uint32_t i,
	uint64_t *ret_lo, uint64_t *ret_hi);

/* The chain at `vaddr`, innermost first; the number of frames (0: no line information there). At
 * most PGO_MAX_FRAMES. `*ret_end`: first address with another answer. */
size_t pgo_lines_at(
	const struct pgo_lines *l, uint64_t vaddr, struct pgo_frame *ret, uint64_t *ret_end);

/* Splits a raw discriminator by its encoding. */
void pgo_disc_decode(enum pgo_disc_encoding enc, uint32_t raw, uint32_t *ret_base,
	uint32_t *ret_factor, uint32_t *ret_copy);
/* Has the program flow-sensitive discriminators?  By a symbol that LLVM leaves for that. */
bool pgo_elf_has_fs_discriminators(const struct pgo_elf *elf);
/* The encoding that goes with a unit's DW_AT_producer (NULL: unknown). */
enum pgo_disc_encoding pgo_disc_encoding_of(const char *producer);

#endif
