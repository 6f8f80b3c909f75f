/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The story of a published result: what it was made from, what each input counted for and why, what
 * was left out, what was lost on the way, how the gates judged it, and what became of it.  And of
 * one function in it: whose samples made it what it is.
 *
 * Everything is read from the state directory; nothing is computed anew but a function's origins,
 * for which the profiles that are still kept are read once more.
 */
#ifndef PGO_PROVENANCE_H
#define PGO_PROVENANCE_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"
#include "pgo/core/manifest.h"
#include "pgo/state.h"

struct pgo_explained {
	const struct pgo_state *state;       /* borrowed */
	const struct pgo_state_entry *entry; /* borrowed */
	struct pgo_jval *manifest;
	struct pgo_jval *gates; /* NULL: it was published without */
	struct pgo_state_events log;
	struct pgo_manifest raw; /* what is fetched: sources by digest */
};

/* Reads manifest, gates, log and the list of fetched profiles. */
int pgo_explain_open(const struct pgo_state *s, const struct pgo_state_entry *e,
	struct pgo_explained *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_explain_close(struct pgo_explained *x);
/* `inputs`: at most so many are listed; 0 = all. */
void pgo_explain_text(const struct pgo_explained *x, size_t inputs, struct pgo_buf *out);
void pgo_explain_json(const struct pgo_explained *x, struct pgo_json *j);

/* Weighted cost of a function from one host, build or day. */
struct pgo_origin {
	char *name;
	double cost;
	size_t profiles;
};

struct pgo_origins {
	struct pgo_origin *of; /* by cost, largest first; then by name */
	size_t n, room;
};

struct pgo_function_story {
	char *name;         /* as it is in the profiles, made canonical */
	char *unit;         /* of costs: "cpu/nanoseconds" */
	double cost, total; /* weighted, over the inputs that counted and are still kept */
	double warmer;      /* cost of the functions above it */
	size_t rank, n_functions;
	uint64_t samples;               /* not weighted */
	size_t profiles, profiles_with; /* read; with the function in them */
	size_t gone;                    /* inputs that are not kept any more */
	double left_out;                /* its cost in inputs that were left out, at weight 1 */
	size_t left_out_profiles;
	struct pgo_origins hosts, builds, days;
	struct pgo_written { /* what the outputs say of it */
		char *file, *text;
	} * written;
	size_t n_written, written_room;
};

/*
 * `name`: as in the profile, canonical, or a part of it that only one function has.  `binary`: the
 * program as it is now, which names functions of profiles without names if it is that build; NULL
 * otherwise.  PGO_ENOTFOUND if no input has such a function, with those that are near it.
 */
int pgo_explain_function(const struct pgo_explained *x, const char *binary, const char *name,
	struct pgo_function_story *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_function_story_fini(struct pgo_function_story *f);
void pgo_function_story_text(
	const struct pgo_explained *x, const struct pgo_function_story *f, struct pgo_buf *out);
void pgo_function_story_json(const struct pgo_function_story *f, struct pgo_json *j);

#endif
