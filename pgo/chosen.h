/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profile that a build uses: found, held against its digest, and dated.
 *
 *	a target of pgo.conf	the file of its kind in STATE/NAME/last-good (pgo/state.h)
 *	a directory		one that `pgo get` fills: what its release.json names
 *	a file			itself; its age is that of the file
 *
 * The kind is the consumer's: a compiler's family reads one kind.  A file whose bytes are not those
 * that its manifest tells is no profile: a build had better go without.
 */
#ifndef PGO_CHOSEN_H
#define PGO_CHOSEN_H

#include "convert/output.h"
#include "pgo/conf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"

#include <stdbool.h>
#include <stdint.h>

struct pgo_choice {
	const struct pgo_conf *conf; /* with a target of it, or */
	const struct pgo_target *target;
	const char *path; /* a file or a directory */
	enum pgo_output_kind kind;
	int64_t ttl_ns; /* older is not fresh; 0 = as the target says */
};

struct pgo_chosen {
	char *path; /* of the profile */
	char *name; /* of the target, or the file's without its ending */
	char *id;   /* of the published result; "" if it has none */
	char sha256[65];
	uint64_t bytes;
	int64_t time_ns; /* when it was published, or found to be good still; 0 = unknown */
	int64_t age_ns;  /* since then; -1 = unknown */
	bool fresh;
};

/* What a family of compilers reads. */
const char *pgo_chosen_extension(enum pgo_output_kind kind);
/* Fills *ret (pgo_chosen_fini, also after a failure).  PGO_EEMPTY: there is none, and why. */
int pgo_choose(
	const struct pgo_choice *c, struct pgo_chosen *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_chosen_fini(struct pgo_chosen *c);
/* The members of an object, without anything that depends on the time of day. */
void pgo_chosen_json(const struct pgo_chosen *c, struct pgo_json *j);

#endif
