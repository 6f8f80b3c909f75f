/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Will the consumer find what was written?  Its look-ups are played through on the finished profile:
 * for every position that the conversion knows, the key under which the compiler will ask.
 *
 *	gcc 5..12	name up to the first dot, no discriminators
 *	gcc 13..15	the same names; discriminators of positions, none of inlined calls
 *	gcc 16..	name without trailing clone suffixes, and its file; discriminators
 *	clang		name up to the first dot but for ".__uniq.N"; discriminators
 *
 * Two places of the program that the compiler asks for under one key share what stands there; of
 * such counts all but the largest place's are in the wrong place.
 */
#ifndef PGO_CONVERT_LOOKUP_H
#define PGO_CONVERT_LOOKUP_H

#include "convert/fnprof.h"
#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* counts = found + shared_lines + shared_names + lost; `foreign` is another view of the same. */
struct pgo_lookup {
	bool done;
	unsigned gcc_release; /* 0 = clang */
	uint64_t counts;      /* of all positions that ran, inlined ones included */
	uint64_t found;       /* under a key of their own */
	uint64_t
		shared_lines; /* smaller ones on a line whose places the consumer cannot tell apart */
	uint64_t shared_names; /* in functions that have the name of another, hotter one */
	uint64_t lost;         /* no look-up leads there */
	uint64_t foreign;      /* in functions with names that no C or C++ compiler makes: Rust (gcc
				  only), Go */
	uint64_t foreign_fns;
	uint64_t targets; /* calls whose target is known, and left out: gcc 10 and 11 */
};

/* `p` is what the conversion made, `written` what the consumer gets of it (gcc_release 0: clang). */
int pgo_lookup_check(const struct pgo_fnprof *p, const struct pgo_fnprof *written,
	unsigned gcc_release, struct pgo_lookup *ret, struct pgo_err *err) PGO_MUST_CHECK;
/* Nothing but what is not found is worth a line. */
void pgo_lookup_text(const struct pgo_lookup *l, struct pgo_buf *out);
void pgo_lookup_json(const struct pgo_lookup *l, struct pgo_json *j); /* members, in an object */

#endif
