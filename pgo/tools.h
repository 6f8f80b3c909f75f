/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs of toolchains on this machine: where they are, and their release.
 *
 * A name with a slash is a path. Any other is looked for on PATH as it is, because that is what a
 * build would run; then as NAME-N on PATH, and as /usr/lib/llvm-N/bin/NAME, where distributions put
 * several releases side by side: there the highest N is taken.
 */
#ifndef PGO_TOOLS_H
#define PGO_TOOLS_H

#include "pgo/core/err.h"

struct pgo_tool {
	char *path;
	char *says;       /* first line of what --version prints; "" if it says nothing */
	unsigned release; /* major version by that line; 0 = it does not tell */
};

/* Fills *ret (pgo_tool_fini).  PGO_ENOTFOUND with what was looked for. */
int pgo_tool_find(const char *name, struct pgo_tool *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_tool_fini(struct pgo_tool *t);
/* The major version in a line such as "Debian clang version 14.0.6", "gcc (Debian 12.2.0-14)
 * 12.2.0" or "go version go1.26.1 linux/amd64" (there 1); 0 if there is none. */
unsigned pgo_tool_release(const char *line);

#endif
