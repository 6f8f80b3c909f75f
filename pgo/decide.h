/* SPDX-License-Identifier: Apache-2.0 */
/* What rollback, pin and promote have in common: a target, a result, a reason, and what is in use
 * afterwards. */
#ifndef PGO_DECIDE_H
#define PGO_DECIDE_H

#include "pgo/cmd.h"
#include "pgo/on_target.h"

#include <stdbool.h>
#include <stddef.h>

struct pgo_decide_values {
	const char *config, *target, *message;
	bool remove; /* of pin */
};

#define PGO_DECIDE_AT(field) offsetof(struct pgo_decide_values, field)
/* Rows for the tables of options. */
#define PGO_DECIDE_OPTIONS                                                                         \
	{"config", 'c', "FILE", "the configuration (default pgo.conf)", PGO_OPT_STR,               \
		PGO_DECIDE_AT(config)},                                                            \
		{"target", 't', "NAME", "which target; not needed where there is one",             \
			PGO_OPT_STR, PGO_DECIDE_AT(target)},                                       \
	{                                                                                          \
		"message", 'm', "REASON", "why, for the log", PGO_OPT_STR, PGO_DECIDE_AT(message)  \
	}

/* `decide` does it and fills `ret_id` with what is in use, and `said` with a sentence for people. */
typedef int pgo_decide_fn(struct pgo_on_target *o, const char *word,
	const struct pgo_decide_values *v, char ret_id[PGO_STATE_ID_SIZE], struct pgo_buf *said,
	struct pgo_err *err);

/* The whole command, with at most one operand; `needs_word`: exactly one. */
int pgo_cmd_decide(
	const struct pgo_cmd *cmd, int argc, char **argv, bool needs_word, pgo_decide_fn *decide);

#endif
