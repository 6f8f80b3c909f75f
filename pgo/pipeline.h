/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One target of the configuration through all stages: fetch -> merge -> convert -> outputs and
 * manifest.
 *
 * State of a target, below STATE/NAME/:
 *	raw/             what fetch keeps (pgo/core/manifest.h)
 *	merged.pb.gz     the merged profile
 *	manifest.json    inputs with weights and reasons, account, outputs with digests, and the
 *	                 fingerprint of all that went in
 *	lock             held while a run works on the target
 *
 * The fingerprint covers the tool version, the target's options, the program's build-id, and the
 * digests of the inputs; a run whose fingerprint and outputs are those of the manifest rewrites
 * nothing.  The manifest is written last, so that a run that dies is repeated.
 */
#ifndef PGO_PIPELINE_H
#define PGO_PIPELINE_H

#include "pgo/conf.h"
#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"

#include <stdbool.h>

enum pgo_run_result {
	PGO_RUN_NEW,        /* outputs were written */
	PGO_RUN_UNCHANGED,  /* nothing new: kept */
	PGO_RUN_NO_PROFILE, /* nothing to convert; earlier outputs, if any, are kept */
};

struct pgo_run_report {
	enum pgo_run_result result;
	char *text;     /* what was done, for people; pgo_free */
	char *manifest; /* path of the manifest; pgo_free */
};

/* What would be done, in words. */
void pgo_pipeline_describe(
	const struct pgo_conf *c, const struct pgo_target *t, struct pgo_buf *out);
/* `force`: all stages, whatever the fingerprint says. A failure leaves the last good outputs in
 * place. */
int pgo_pipeline_run(const struct pgo_conf *c, const struct pgo_target *t, bool force,
	struct pgo_run_report *ret, struct pgo_err *err) PGO_MUST_CHECK;

#endif
