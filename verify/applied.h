/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Was a profile applied?  From the two binaries alone: the one before, and the one that was built (or
 * rewritten by llvm-bolt) with the profile.
 *
 * Evidence, strongest last:
 *	told       options of profile use in DW_AT_producer (gcc with -grecord-gcc-switches, which is
 *	           its default; clang with -grecord-command-line) and in .GCC.command.line; what
 *	           llvm-bolt notes in .note.bolt_info
 *	split      parts of functions that were put elsewhere because they hardly run (NAME.cold), and
 *	           sections for hot and unlikely code, as far as the linker kept them
 *	changed    the code of functions, normalised: what differs between two links of one object
 *	           (addresses, distances to other functions and data) is left out
 *
 * A function that neither branches nor calls (straight) is left as it is by any profile, and counts for
 * neither side.  With the profile at hand functions count by their mass, else by their size.  A compiler that was
 * given a profile of another program says so in its options, and changes nothing: that is told as such.
 * Sources that changed in between change code, too; then only "nothing" is sure.
 */
#ifndef PGO_VERIFY_APPLIED_H
#define PGO_VERIFY_APPLIED_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"
#include "verify/fit.h"
#include "verify/gates.h"

#include <stdbool.h>
#include <stdint.h>

struct pgo_debug_places;

enum pgo_applied_result {
	PGO_APPLIED,         /* told, and most of what counts is changed */
	PGO_APPLIED_PARTLY,  /* told, and a part of what counts is changed */
	PGO_APPLIED_NOTHING, /* what counts is the same code as before, whatever the options say */
	PGO_APPLIED_UNTOLD,  /* code changed, and nothing says whether the profile did it */
};
const char *pgo_applied_name(
	enum pgo_applied_result r); /* "applied", "partly", "nothing", "untold" */

struct pgo_applied_side {
	char *name; /* base name */
	char build_id[129];
	char *compilers; /* "GNU C17 12.2.0 (14 units)", the commonest first; "" = unknown */
	char *option;    /* the first option of profile use; "" = none is recorded */
	uint64_t units, units_told; /* compilation units; those with such an option */
	char *bolt;                 /* llvm-bolt's note; "" = not rewritten by it */
	bool options_recorded;      /* do the binaries say with which options they were built? */
	uint64_t functions, text;   /* function symbols; bytes of their code */
	uint64_t cold_parts, cold_bytes;    /* NAME.cold */
	uint64_t hot_section, cold_section; /* bytes of functions in .text.hot*, in .text.unlikely*,
					       .text.cold*, .text.split* */
	uint64_t hot_bytes; /* of functions that have 99 % of the mass, without cold parts; needs a
			       profile */
};

#define PGO_APPLIED_TOP 15
struct pgo_applied_function {
	char *name;
	uint64_t before, after; /* bytes; 0 = there is none */
	double share;           /* of the mass, or of the code */
	bool same, straight;
};

struct pgo_applied {
	enum pgo_applied_result result;
	char *sentence;
	struct pgo_applied_side before, after;
	bool by_mass; /* shares are of the profile's counts; else of the bytes of the code before */
	/* Shares; they add up to 1 (or are all 0). */
	double same, straight, changed, inlined, gone;
	double in_hot_section; /* of what is there after: in sections for hot code */
	double rewritten;      /* in the code that llvm-bolt wrote anew */
	uint64_t functions_same, functions_straight, functions_changed, functions_inlined,
		functions_gone, functions_new;
	struct pgo_applied_function top[PGO_APPLIED_TOP]; /* by share */
	size_t n_top;
	struct pgo_gates gates; /* applied, text */
};

struct pgo_applied_options { /* borrowed for the call */
	const char *before, *after;
	const struct pgo_fit_view *profile;   /* NULL = functions count by size */
	struct pgo_strtab *strs;              /* of the profile */
	const struct pgo_debug_places *where; /* NULL = the usual places */
	const struct pgo_gate_limits *limits; /* NULL = defaults */
};

/* Fills *ret (pgo_applied_fini).  Binaries without symbols are PGO_ENOTFOUND, of different machines
 * PGO_EMISMATCH. */
int pgo_applied_find(const struct pgo_applied_options *o, struct pgo_applied *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_applied_fini(struct pgo_applied *a);
void pgo_applied_text(const struct pgo_applied *a, struct pgo_buf *out);
/* Who compiled a program: "GNU C17 12.2.0 (14 units), ...", the commonest first, without options; "" if
 * nothing says so.  Gives it (pgo_free); NULL when out of memory. */
struct pgo_elf;
char *pgo_program_compilers(const struct pgo_elf *e, const struct pgo_debug_places *where);
/* One object, the member "applied" of a verdict. */
void pgo_applied_json(const struct pgo_applied *a, struct pgo_json *j);

#endif
