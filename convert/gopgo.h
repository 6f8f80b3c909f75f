/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Go's compiler makes use of in a profile: calls, by caller, callee and line of the call.
 *
 * `go build -pgo=FILE` reads a pprof with a column samples/count or cpu/nanoseconds.  Of each stack
 * only the two innermost locations count, with the bodies inlined in them: each step from a frame to
 * the next is an edge (caller, callee, line of the call - first line of the caller), and gets the
 * sample's weight.  Names are those of the linker.  A function without start_line never matches.
 *
 * So a stack is cut down to these two, equal ones are summed, first lines that are missing are
 * filled in (convert/gopclntab.h, or DWARF at the address), and locations that have an address only
 * are looked up in the program.  From branch records every branch is a sample of the line that it
 * is on, and a call one of both its ends.  The frame of the runtime's signal handler, which
 * preemption leaves on top of some stacks, is passed over.
 *
 *	g = pgo_gopgo_new(err);
 *	pgo_gopgo_begin(g, profile, err); pgo_gopgo_sample(...) ...;	for each profile
 *	pgo_gopgo_look_up(g, elf, part, debug, err);			for each binary
 *	pgo_gopgo_finish(g, err);
 *	then pgo_gopgo_profile() or pgo_gopgo_calls()
 */
#ifndef PGO_CONVERT_GOPGO_H
#define PGO_CONVERT_GOPGO_H

#include "convert/codefns.h"
#include "convert/debugfile.h"
#include "convert/goprofile.h"
#include "convert/ranges.h"
#include "pgo/core/elf.h"
#include "pgo/core/err.h"
#include "pgo/core/profile.h"

#include <stdbool.h>
#include <stdint.h>

struct pgo_gopgo;

/* Where a location of the profile is: `part` PGO_NONE: of no binary at hand. */
struct pgo_go_place {
	uint64_t addr;
	uint32_t part;
	const char *symbol; /* there, or NULL: tells frames of the signal handler by */
};

/* Weights, all of samples (or of branches, if there were branch records). */
struct pgo_go_stats {
	uint64_t read, used;
	uint64_t unnamed;  /* lost: the innermost frame is no function that is known (C, kernel) */
	uint64_t no_start; /* of the used: a function on it has no first line */
	bool lbr;
};

struct pgo_gopgo *pgo_gopgo_new(struct pgo_err *err);
/* NULL is fine. */
void pgo_gopgo_free(struct pgo_gopgo *g);
/* Samples that follow are of `p`. */
int pgo_gopgo_begin(
	struct pgo_gopgo *g, const struct pgo_profile *p, struct pgo_err *err) PGO_MUST_CHECK;
/* One stack of weight `n`; `at` says where each location of the profile is, by `ctx`. */
int pgo_gopgo_sample(struct pgo_gopgo *g, const struct pgo_sample *s, uint64_t n,
	struct pgo_go_place (*at)(const void *ctx, uint32_t location), const void *ctx,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Branch records of one binary: from now on only these count. */
int pgo_gopgo_branches(struct pgo_gopgo *g, uint32_t part, const struct pgo_elf *elf,
	const struct pgo_codefns *fns, const struct pgo_ranges *r,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Fills in what is missing and is in this binary; one without debug information is fine. */
int pgo_gopgo_look_up(struct pgo_gopgo *g, const struct pgo_elf *elf, uint32_t part,
	const struct pgo_debug_places *where, struct pgo_err *err) PGO_MUST_CHECK;
/* PGO_EEMPTY if no sample is left, PGO_EMISMATCH if no function has a first line. */
int pgo_gopgo_finish(struct pgo_gopgo *g, struct pgo_err *err) PGO_MUST_CHECK;
const struct pgo_go_stats *pgo_gopgo_stats(const struct pgo_gopgo *g);
/* A pprof of it (pgo_profile_free), or NULL. */
struct pgo_profile *pgo_gopgo_profile(const struct pgo_gopgo *g, struct pgo_err *err);
/* The calls, sorted, into an initialised list. */
int pgo_gopgo_calls(
	const struct pgo_gopgo *g, struct pgo_go_calls *ret, struct pgo_err *err) PGO_MUST_CHECK;

#endif
