/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of a source-level profile a newer build of the program (the target) can still use.
 *
 * Compilers look counts up by function name and line offset, so that is what is compared: the counts
 * of functions that the target does not have, wherever they were inlined, and of lines at which it
 * has no code.  A function with any such line was changed (or compiled so differently that the line
 * is gone), and what else it has may be counted at the wrong lines now: its counts are a third
 * figure.  Discriminators are left out, and line 0.
 */
#ifndef PGO_CONVERT_STALE_H
#define PGO_CONVERT_STALE_H

#include "convert/debugfile.h"
#include "convert/fnprof.h"
#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"

#define PGO_STALE_TOP 10

struct pgo_stale {
	char *target, build_id[129]; /* base name; NULL: nothing was compared */
	uint64_t total;              /* counts of all positions */
	uint64_t no_function;        /* of functions the target does not have */
	uint64_t no_line;            /* of lines it does not have, in functions it has */
	uint64_t changed;            /* of functions with such lines, all their lines */
	/*
	 * The same, but of functions of which less than a tenth of the counts is at such lines only
	 * those: another compiler, or other options, leave the code of a line out here and there,
	 * and the rest of the function is where it was.
	 */
	uint64_t unusable;
	uint64_t functions, functions_gone, functions_changed;
	struct {
		char *name;
		uint64_t count;
		bool gone;    /* else changed */
	} top[PGO_STALE_TOP]; /* by count */
	size_t n_top;
};

/* Reads all debug information of `target`.  PGO_EMISMATCH if it has no function of the profile. */
int pgo_stale_find(struct pgo_stale *s, const struct pgo_fnprof *p, const char *target,
	const struct pgo_debug_places *where, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_stale_fini(struct pgo_stale *s);
/* Text: nothing if nothing was compared; JSON: the member "target", or null. */
void pgo_stale_text(const struct pgo_stale *s, struct pgo_buf *out);
void pgo_stale_json(const struct pgo_stale *s, struct pgo_json *j);

#endif
