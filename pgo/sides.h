/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two sides of a comparison, named by version: which of a target's profiles are of the one, and
 * which of the other.
 *
 * A word names profiles by their version (the label `version` of the store), or by build-id, whole
 * or at least six digits of it; a version that is equal comes before a build-id that begins so.  The
 * programs themselves are looked for by the build-ids of these profiles: the target's binary, and
 * the files in the directories of its older_builds.
 */
#ifndef PGO_SIDES_H
#define PGO_SIDES_H

#include "pgo/conf.h"
#include "pgo/core/err.h"
#include "pgo/core/manifest.h"
#include "pgo/operands.h"
#include "pgo/state.h"

#include <stdbool.h>

struct pgo_side {
	const char *word;             /* as given; borrowed */
	struct pgo_operands profiles; /* borrowed from the manifest */
	char *binary;                 /* NULL: not found */
};

struct pgo_sides {
	struct pgo_state state;
	struct pgo_manifest raw;
	struct pgo_side before, after;
	char *report; /* STATE/NAME/reports/verify-BEFORE-AFTER: what is written gets an ending */
};

/*
 * Fetches what is new first, if `fetch`.  PGO_ENOTFOUND lists the versions that there are. `words` are
 * borrowed.  Fills *ret (pgo_sides_fini, also after a failure).
 */
int pgo_sides_find(const struct pgo_conf *c, const struct pgo_target *t, const char *before,
	const char *after, bool fetch, struct pgo_sides *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_sides_fini(struct pgo_sides *s);

#endif
