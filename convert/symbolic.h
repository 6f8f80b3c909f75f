/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples that have a name and a line but no address (--allow-symbolic): stores that symbolise drop
 * the addresses.
 *
 * The name of a location's outermost line is that of the function whose code it is; the innermost
 * line says which source line of which, maybe inlined, function.  The target's own debug information
 * says which instructions those are, and the samples are shared out among them, as evenly as whole
 * numbers go.  Where the profile knows the line on which the function begins, the distance from there
 * counts, not the line, so that edits elsewhere in the file do no harm.
 *
 * A name is looked for as the profile has it, among the linker's names; then, if it is a C++ name as people write
 * it, among those of nested names without template arguments, and among the names that gcc's clones
 * were made from, if it is one symbol's only.  Nothing is
 * guessed: what does not match is a loss with a name.
 */
#ifndef PGO_CONVERT_SYMBOLIC_H
#define PGO_CONVERT_SYMBOLIC_H

#include "convert/debugfile.h"
#include "convert/ranges.h"
#include "pgo/core/elf.h"
#include "pgo/core/map.h"
#include "pgo/core/profile.h"
#include "pgo/core/strtab.h"

struct pgo_symbolic_row { /* samples at one place in the source */
	struct {
		uint32_t outer, inner; /* names in strs; outer: of the code */
		uint32_t line, start;  /* of inner; 0: unknown */
	} key;
	uint64_t samples;
};

struct pgo_symbolic {
	struct pgo_strtab strs;
	struct pgo_symbolic_row *rows;
	size_t n_rows, rows_room;
	struct pgo_map map;
	bool ready;
};

#define PGO_SYMBOLIC_TOP 5

struct pgo_symbolic_report {
	uint64_t read, placed;         /* samples with names only; given to instructions */
	uint64_t no_function, no_line; /* the name, the line is not in the program */
	size_t names, names_found;     /* of functions */
	struct {
		const char *name; /* borrowed */
		uint64_t samples;
	} missing[PGO_SYMBOLIC_TOP]; /* most samples first */
	size_t n_missing;
};

/* Zero it first. */
void pgo_symbolic_fini(struct pgo_symbolic *s);
/* `samples` more at the lines of a location.  0 or -1 (memory). */
int pgo_symbolic_add(
	struct pgo_symbolic *s, const struct pgo_profile *p, uint32_t location, uint64_t samples);
/* Turns them into samples of instructions.  PGO_ENOTFOUND without debug information. */
int pgo_symbolic_place(const struct pgo_symbolic *s, const struct pgo_elf *elf,
	const struct pgo_elf *symbols, const struct pgo_debug_places *where, struct pgo_ranges *r,
	struct pgo_symbolic_report *ret, struct pgo_err *err) PGO_MUST_CHECK;
/* The C++ name "a::b::c" of a mangled nested name without template arguments; NULL for others.  Gives
 * a string. */
char *pgo_symbolic_plain_name(const char *mangled);

#endif
