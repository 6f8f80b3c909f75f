/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target of the configuration with its state: what the commands begin with that look at what is
 * published (status) or decide about it (rollback, pin, promote, gc).
 */
#ifndef PGO_ON_TARGET_H
#define PGO_ON_TARGET_H

#include "pgo/conf.h"
#include "pgo/core/err.h"
#include "pgo/state.h"

struct pgo_on_target {
	const struct pgo_conf *conf; /* borrowed */
	const struct pgo_target *target;
	struct pgo_state state;
	struct pgo_state_events log;
	struct pgo_state_entries entries;
	struct pgo_state_standing standing;
	int64_t now_ns;
};

/* The target of that name; with NULL the only one there is.  PGO_EUSAGE names those there are. */
int pgo_target_find(const struct pgo_conf *c, const char *name, const struct pgo_target **ret,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Is it one of those that a command line names?  Without any name all are. */
bool pgo_target_is_named(const struct pgo_target *t, char *const *names, int n);
/* Reads all that is there.  `change`: under the lock, for which it waits as long as a person would. */
int pgo_on_target_open(const struct pgo_conf *c, const struct pgo_target *t, bool change,
	struct pgo_on_target *ret, struct pgo_err *err) PGO_MUST_CHECK;
/* Reads log, entries and standing anew. */
int pgo_on_target_reload(struct pgo_on_target *o, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_on_target_close(struct pgo_on_target *o);

/* ---- decisions of people, each a line in the log with their reason; under the lock */

/* Back to `word`, or (NULL) to the result that was in use before, if it was not taken back too. What
 * was in use does not come back by itself. `ret_id`: what is in use now. */
int pgo_decide_rollback(struct pgo_on_target *o, const char *word, const char *reason,
	char ret_id[PGO_STATE_ID_SIZE], struct pgo_err *err) PGO_MUST_CHECK;
/* Uses `word` (NULL: what is in use) until the pin is taken away, whatever is refreshed. */
int pgo_decide_pin(struct pgo_on_target *o, const char *word, const char *reason,
	char ret_id[PGO_STATE_ID_SIZE], struct pgo_err *err) PGO_MUST_CHECK;
/* PGO_ENOTFOUND if nothing is pinned. */
int pgo_decide_unpin(
	struct pgo_on_target *o, const char *reason, struct pgo_err *err) PGO_MUST_CHECK;
/* Uses `word`, also out of quarantine; that needs a reason. */
int pgo_decide_promote(struct pgo_on_target *o, const char *word, const char *reason,
	char ret_id[PGO_STATE_ID_SIZE], struct pgo_err *err) PGO_MUST_CHECK;
/*
 * What came of measuring programs built with `word`, which has to be published.  Good: it is verified.
 * Bad: it is rejected: into quarantine, and if it is in use and not pinned, the result before it is
 * used again; without one there is none.
 */
int pgo_decide_verified(struct pgo_on_target *o, const char *word, bool good, const char *reason,
	char ret_id[PGO_STATE_ID_SIZE], struct pgo_err *err) PGO_MUST_CHECK;

#endif
