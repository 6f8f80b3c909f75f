/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `go tool preprofile` writes: the calls of a profile as text, in the order of their weight,
 * then of their names and offsets.
 *
 *	GO PREPROFILE V1
 *	CALLER			three lines a call
 *	CALLEE
 *	OFFSET WEIGHT		of the call's line from the caller's first; decimal
 *
 * Go's build makes and caches it from default.pgo; build systems that drive the compiler themselves
 * (go tool compile -pgoprofile) hand it over.
 */
#ifndef PGO_CONVERT_GOPROFILE_H
#define PGO_CONVERT_GOPROFILE_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/strtab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgo_go_call {
	uint32_t caller, callee; /* strings */
	int64_t offset, weight;
};

struct pgo_go_calls {
	struct pgo_strtab strs;
	struct pgo_go_call *calls;
	size_t n_calls, calls_room;
};

int pgo_go_calls_init(struct pgo_go_calls *c, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_go_calls_fini(struct pgo_go_calls *c);
/* Sums equal calls, saturating, and sorts. */
void pgo_go_calls_sort(struct pgo_go_calls *c);
bool pgo_go_calls_probe(const void *head, size_t len);
/* Into an initialised, empty list.  Errors name the line. */
int pgo_go_calls_read(struct pgo_go_calls *c, const char *what, const void *data, size_t len,
	struct pgo_err *err) PGO_MUST_CHECK;
int pgo_go_calls_write(
	const struct pgo_go_calls *c, struct pgo_buf *out, struct pgo_err *err) PGO_MUST_CHECK;

#endif
