/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the functions of a build look like, line by line: enough to see whether a function is the same
 * in another build, and which of its lines is which.
 *
 * A function's lines are those at which it has code, in whatever function it was inlined, as offsets
 * from its declaration.  A line's token says what happens there that a compiler does not invent: which
 * functions are called (or were inlined), by canonical name; else whether there is a conditional
 * branch, and the discriminators.  Lines with equal tokens may be the same line.
 *
 * Canonical names leave out what differs between builds of one source: tails of clones and parts,
 * ".llvm.N", ".__uniq.N", the hash of Rust's names, and the disambiguators of its crates.
 */
#ifndef PGO_CONVERT_SHAPE_H
#define PGO_CONVERT_SHAPE_H

#include "convert/lines.h"
#include "pgo/core/buf.h"
#include "pgo/core/elf.h"
#include "pgo/core/err.h"
#include "pgo/core/map.h"
#include "pgo/core/strtab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Appends the canonical form of a name. */
void pgo_name_canonical(const char *s, size_t len, struct pgo_buf *out);

struct pgo_shape_line {
	uint32_t offset; /* 0..65535 */
	uint32_t token;  /* PGO_SHAPE_PLAIN, PGO_SHAPE_ZERO, or a hash of what happens there */
	uint32_t weight; /* how much an equal token says: 1 plain, 2 discriminators, 3 a branch,
			    8 calls */
};

#define PGO_SHAPE_PLAIN 1u
#define PGO_SHAPE_ZERO 5u /* line 0, which clang looks up: its offset is that of the declaration */

struct pgo_shape_fn {
	uint32_t name;      /* string: as the build has it */
	uint32_t canonical; /* string */
	uint32_t first, n;  /* lines, by offset */
};

struct pgo_shape {
	struct pgo_strtab *strs; /* borrowed: shapes that are compared share it */
	struct pgo_shape_fn *fns;
	struct pgo_shape_line *lines;
	size_t n_fns, n_lines;
	struct pgo_map by_name;
	/* While it is made. */
	const struct pgo_strtab *names; /* of the lines that are being added */
	uint32_t *fn_names;             /* of its functions */
	uint32_t *carried;              /* string of those -> of strs; 0 = not known yet */
	struct pgo_shape_fact *facts;
	size_t n_facts, facts_room;
	uint32_t *canonical; /* per string id; 0 = not known yet */
	size_t canonical_room;
};

/* `s` is zeroed; `strs` outlives it. */
void pgo_shape_init(struct pgo_shape *s, struct pgo_strtab *strs);
void pgo_shape_fini(struct pgo_shape *s);
/* Adds all that `l`, whose strings are in `names`, knows of the build `elf`, whose symbols are in
 * `symbols`.  0 or PGO_ENOMEM. */
int pgo_shape_add(struct pgo_shape *s, const struct pgo_elf *elf, const struct pgo_elf *symbols,
	const struct pgo_lines *l, const struct pgo_strtab *names);
int pgo_shape_finish(struct pgo_shape *s);
/* NULL if there is none of that name (string). */
const struct pgo_shape_fn *pgo_shape_find(const struct pgo_shape *s, uint32_t name);
/* The canonical form of a string; PGO_STR_NONE: out of memory. */
uint32_t pgo_shape_canonical(struct pgo_shape *s, uint32_t name);

#endif
