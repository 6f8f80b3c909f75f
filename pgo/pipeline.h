/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One target of the configuration through all stages: fetch -> merge -> convert -> gates -> a result
 * in the state directory (pgo/state.h) that is put in use, or is not, with the reason in the log.
 *
 *	published    the gates let it pass: last-good is this one now
 *	unchanged    the same profiles, program and options as a decision before; outputs that were
 *	             damaged or removed are made whole
 *	suppressed   it would change nothing that matters (hysteresis), or too soon (publish_interval)
 *	held         it passed, but a person has pinned another
 *	quarantined  a gate said no: last-good stays
 *	failed       a stage could not be done, the store did not answer: last-good stays
 *
 * What stays is of use up to last_good_ttl after it was last confirmed.  The outputs at the places of
 * pgo.conf are copies of last-good's, each renewed by rename.
 *
 * The fingerprint covers the tool version, the target's options, the program's build-id, and the
 * digests of the inputs; what was decided once for a fingerprint is not computed again.  A result
 * that was rolled back does not come back by itself.
 *
 * The order of steps is such that a run that is killed is repeated or taken up by the next: the
 * candidate takes its place, last-good is switched, the outputs are renewed, the log tells.
 */
#ifndef PGO_PIPELINE_H
#define PGO_PIPELINE_H

#include "pgo/conf.h"
#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"
#include "pgo/state.h"

#include <stdbool.h>

struct pgo_watch;

struct pgo_run_options {
	bool force;              /* all stages, whatever was decided before */
	int64_t wait_ns;         /* for another run on the target to end */
	struct pgo_watch *watch; /* pgo/watch.h; NULL = nobody looks */
};

struct pgo_run_report {
	const char *decision;       /* as in the log */
	int exit;                   /* of enum pgo_exit */
	char id[PGO_STATE_ID_SIZE]; /* what was decided about; "" = no result */
	char last_good[PGO_STATE_ID_SIZE];
	bool usable;    /* there is a result in use, and it is not too old */
	bool confirmed; /* ... and this run found it to be the present one, or it is pinned */
	char *text;     /* what was done, for people; pgo_free */
	char *reason;   /* of the decision; pgo_free */
	char *manifest; /* path of the result's manifest, "" = none; pgo_free */
};

/* What would be done, in words. */
void pgo_pipeline_describe(
	const struct pgo_conf *c, const struct pgo_target *t, struct pgo_buf *out);
/* Fills `*ret` (pgo_run_report_fini) whether it fails or not. */
int pgo_pipeline_run(const struct pgo_conf *c, const struct pgo_target *t,
	const struct pgo_run_options *o, struct pgo_run_report *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_run_report_fini(struct pgo_run_report *r);

/* Under the lock: brings the outputs at the places of pgo.conf to what last-good has; `*ret_n` is how
 * many had to be written. */
int pgo_pipeline_renew(const struct pgo_conf *c, const struct pgo_target *t,
	const struct pgo_state *s, size_t *ret_n, struct pgo_err *err) PGO_MUST_CHECK;
/* How many that would have to write; for readers. */
int pgo_pipeline_look(const struct pgo_conf *c, const struct pgo_target *t,
	const struct pgo_state *s, size_t *ret_n, struct pgo_err *err) PGO_MUST_CHECK;
/* Brings a state of an older pgo to the present form; under the lock. */
int pgo_pipeline_migrate(const struct pgo_conf *c, const struct pgo_target *t, struct pgo_state *s,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
