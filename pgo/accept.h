/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Do the consumers themselves take a profile?  Asked by a small compile with it, by llvm-profdata, or
 * by a dry run of llvm-bolt over the program.
 *
 * The small program is made for the profile: it has functions of the names of the hottest ones, so
 * that the compiler does not only read the file but lays it over code.  A crash, an error, or a
 * warning that the profile is malformed, ignored or useless is a refusal, told in the tool's own words.
 * A tool that is not there, or takes longer than its time, has not been asked.
 *
 * Files are made in a directory of their own below $TMPDIR and removed.
 */
#ifndef PGO_ACCEPT_H
#define PGO_ACCEPT_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/fit_files.h"

struct pgo_accept_tools {
	const char *gcc, *clang, *llvm_profdata, *llvm_bolt; /* NULL = the usual names */
	unsigned gcc_release; /* the gcc that the profile is for; 0 = the one there is */
};

struct pgo_accepted {
	unsigned asked, refused;
	struct pgo_buf yes;     /* "gcc 12, llvm-profdata 22" */
	struct pgo_buf no;      /* "clang 22: error: ..."; each with its tool's words */
	struct pgo_buf unasked; /* "llvm-bolt is not installed" */
};

void pgo_accepted_init(struct pgo_accepted *a);
void pgo_accepted_fini(struct pgo_accepted *a);
/* `binary`: for llvm-bolt, may be NULL.  `l` is what the bytes hold.  Negative: memory, or no place for
 * temporary files. */
int pgo_accept(const struct pgo_accept_tools *t, const struct pgo_fit_loaded *l, const void *data,
	size_t len, const char *binary, struct pgo_accepted *ret,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
