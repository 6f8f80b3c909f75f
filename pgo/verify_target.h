/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A comparison of two versions of a target: where its profiles and programs are (pgo/sides.h), where
 * the report is kept, and what the verdict means for the result that the version after was built
 * with.
 */
#ifndef PGO_VERIFY_TARGET_H
#define PGO_VERIFY_TARGET_H

#include "pgo/conf.h"
#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/sides.h"
#include "verify/verify.h"

/* Starts as zeros. */
struct pgo_verify_target {
	struct pgo_conf conf;
	const struct pgo_target *target; /* NULL: not open */
	struct pgo_sides sides;
	struct pgo_buf said; /* lines for people: where the report is, what was decided */
};

/* `config` NULL: pgo.conf.  `before`, `after`: versions or build-ids, borrowed. */
int pgo_verify_target_open(struct pgo_verify_target *t, const char *config, const char *name,
	const char *before, const char *after, bool fetch, struct pgo_err *err) PGO_MUST_CHECK;
/*
 * Writes STATE/NAME/reports/verify-BEFORE-AFTER.{html,json,txt}.  With `result`, a published id: a
 * loss or a failed gate rejects it, everything else verifies it; PGO_EGATE if the two cannot be
 * compared as a whole, for then nothing is decided.
 */
int pgo_verify_target_keep(struct pgo_verify_target *t, const struct pgo_verdict *v,
	const char *result, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_verify_target_close(struct pgo_verify_target *t);

#endif
