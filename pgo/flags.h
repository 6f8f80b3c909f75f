/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flags for a build: what makes its program worth recording, and what makes the compiler use a
 * profile.  Every flag is one that the compiler was asked about (pgo/compiler.h); one that it does
 * not take is left out, and is in the list with the reason.
 *
 *	record	line tables and inlined calls, or samples cannot be brought to lines; clang: what
 *		tells apart the copies of a line, and a name of their own for static functions; a
 *		build-id, by which profiles find their program; for llvm-bolt: relocations, and gcc's
 *		functions in one piece
 *	use	the same, because the program built so is the next one recorded, and the profile.
 *		What compilers say about single functions of a profile never becomes an error.
 *
 * A flag never weakens what the build asks for itself: -g1 behind -g would take debug information
 * away, so it is given only if the build's own flags are known and hold no -g.
 */
#ifndef PGO_FLAGS_H
#define PGO_FLAGS_H

#include "pgo/compiler.h"
#include "pgo/core/json.h"

enum pgo_flags_stage { PGO_FLAGS_RECORD, PGO_FLAGS_USE };

struct pgo_flags_wanted {
	enum pgo_flags_stage stage;
	const char *profile; /* as the flags shall name it; NULL = none to use */
	const char *own;     /* the build's own flags; NULL = not known */
	bool bolt;           /* llvm-bolt gets the program */
	bool lto;            /* known to be so; else told by `own` and the compiler's words */
};

struct pgo_flag {
	char *text;
	const char *why; /* it is there, half a sentence */
	bool link;       /* of the link; else of compiling */
	bool left_out;   /* not taken by the compiler */
};

struct pgo_flags {
	struct pgo_flag *of; /* in the order in which they belong */
	size_t n, room;
	char *refused; /* the profile was: what the compiler said about it; or NULL */
};

/* Fills *ret (pgo_flags_fini).  A profile that the compiler refuses is left out, and `refused` says
 * why. */
int pgo_flags_find(const struct pgo_compiler *c, const struct pgo_flags_wanted *w,
	struct pgo_flags *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_flags_fini(struct pgo_flags *f);

enum pgo_flags_form {
	PGO_FLAGS_SHELL,    /* one line, quoted for a shell */
	PGO_FLAGS_LINES,    /* a line each, not quoted */
	PGO_FLAGS_RESPONSE, /* a line each, quoted for @FILE of gcc, clang and linkers */
	PGO_FLAGS_CMAKE,    /* one list, for target_compile_options */
};

#define PGO_FLAGS_OF_COMPILE 1u
#define PGO_FLAGS_OF_LINK 2u

/* Those of the sides, for the form; with a newline if there are any. */
void pgo_flags_print(
	const struct pgo_flags *f, unsigned sides, enum pgo_flags_form form, struct pgo_buf *out);
/* The members "compile", "link" and "left_out" of an object. */
void pgo_flags_json(const struct pgo_flags *f, struct pgo_json *j);
/* One word quoted for a shell, if it needs it. */
void pgo_flags_quote(const char *word, struct pgo_buf *out);

#endif
