/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a compiler is and which flags it takes, found by asking it.
 *
 * The command is what a build calls: "cc", "ccache gcc", "aarch64-linux-gnu-gcc-13", "clang
 * --target=...", "go", "llvm-bolt", "rustc"; its name says nothing for certain, so the macros that
 * it predefines (C and C++) or its answer to --version decide.  A flag is taken if a compile, or a
 * link, of next to nothing with it succeeds with warnings as errors: a list of releases would be
 * wrong for every vendor's build and every release to come.
 *
 * Nothing is remembered between runs: an answer takes three or four runs of the compiler, some
 * tens of milliseconds each.  Scratch files lie in a directory below TMPDIR and are gone with
 * pgo_compiler_fini().
 */
#ifndef PGO_COMPILER_H
#define PGO_COMPILER_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>

enum pgo_compiler_family {
	PGO_COMPILER_GCC,
	PGO_COMPILER_CLANG,
	PGO_COMPILER_GO,
	PGO_COMPILER_RUSTC,
	PGO_COMPILER_BOLT,
	PGO_N_COMPILER_FAMILIES
};

struct pgo_compiler {
	enum pgo_compiler_family family;
	unsigned release; /* major; of Go 1.26 it is 26 */
	char version[64]; /* as it says */
	char **words;     /* of the command */
	size_t n_words, room;
	struct pgo_buf help;  /* of llvm-bolt: all of its options */
	char *scratch;        /* directory */
	const char *language; /* "c" or "c++": in which it compiles */
	const char *link;     /* how it links without any library; NULL = not at all */
};

/* Words as a shell would part them: blanks, quotes of both kinds, backslashes; nothing is expanded.
 * Adds to the array. */
int pgo_words_split(const char *text, char ***words, size_t *n, size_t *room,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_words_free(char **words, size_t n);

/* Fills *ret (pgo_compiler_fini, also after a failure).  PGO_EUSAGE: it cannot be run; PGO_ENOTFOUND:
 * it runs, but is no compiler that pgo knows. */
int pgo_compiler_find(
	const char *command, struct pgo_compiler *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_compiler_fini(struct pgo_compiler *c);
const char *pgo_compiler_family_name(enum pgo_compiler_family f);
/* Does it compile with all of these flags?  1, 0, or a negative code.  `strict`: a warning is a no.
 * What it said is in `ret_said` unless that is NULL (pgo_free). */
int pgo_compiler_compiles(const struct pgo_compiler *c, const char *const flags[], size_t n,
	bool strict, char **ret_said, struct pgo_err *err) PGO_MUST_CHECK;
/* Does it link with them?  1 as well where nothing can be linked: then nobody knows. */
int pgo_compiler_links(const struct pgo_compiler *c, const char *const flags[], size_t n,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
