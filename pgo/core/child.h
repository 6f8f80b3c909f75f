/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other programs, asked: a compiler for its version or for a small compile, a tool for what it says
 * of a file.
 *
 * The program is looked up on PATH as a shell would do it; no shell is involved, so arguments need
 * no quoting.  Its standard input is empty, standard output and error are read together, in the
 * order in which they came, and kept up to a limit.  The locale of the child is C, so that what it
 * says can be searched.  After the time limit it is killed, with all that it started.
 */
#ifndef PGO_CORE_CHILD_H
#define PGO_CORE_CHILD_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"

#include <stdbool.h>

struct pgo_child_options {
	const char *dir;  /* to work in; NULL = ours */
	unsigned seconds; /* time limit; 0 = 60 */
	size_t most;      /* bytes kept of what it says; 0 = 1 MiB; the rest is read and dropped */
	bool only_stdout; /* standard error goes nowhere */
	/* "NAME=value", NULL-terminated, in front of our own environment; may be NULL. */
	const char *const *env;
};

struct pgo_child {
	int status;         /* exit code, or 128 + the signal it died of */
	bool timed_out;     /* it was we who killed it */
	struct pgo_buf out; /* what it said; NUL-terminated if it said anything */
};

/*
 * Fills *ret, also if the program fails: that is a status, not an error.  PGO_ENOTFOUND if there is
 * no such program on PATH, PGO_EIO if it could not be started.  `o` may be NULL.
 */
int pgo_child_run(const char *const argv[], const struct pgo_child_options *o,
	struct pgo_child *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_child_fini(struct pgo_child *c);
/* What it said, "" if nothing. */
const char *pgo_child_text(const struct pgo_child *c);

#endif
