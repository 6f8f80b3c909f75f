/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/decide.h"

#include <string.h>

static const struct pgo_opt opts[] = {PGO_DECIDE_OPTIONS, PGO_OPT_END};

static const struct pgo_opt_table table = {
	"rollback",
	"[-c FILE] [--target NAME] [-m REASON] [ID]",
	"Goes back to an earlier result: the one that was in use before, or ID. The one that was "
	"in "
	"use is kept, and does not come back by itself.",
	opts,
};

static int decide(struct pgo_on_target *o, const char *word, const struct pgo_decide_values *v,
	char ret_id[PGO_STATE_ID_SIZE], struct pgo_buf *said, struct pgo_err *err)
{
	char was[PGO_STATE_ID_SIZE];
	int rc;

	memcpy(was, o->standing.id, sizeof was);
	rc = pgo_decide_rollback(o, word, v->message, ret_id, err);
	if (rc == 0)
		pgo_buf_printf(said,
			"%s is in use again%s%s.  A later refresh may publish something newer; "
			"`pgo pin` holds it.",
			ret_id, was[0] != '\0' ? ", instead of " : "", was);
	return rc;
}

static int run(int argc, char **argv)
{
	return pgo_cmd_decide(&pgo_cmd_rollback, argc, argv, false, decide);
}

const struct pgo_cmd pgo_cmd_rollback = {
	"rollback", "go back to an earlier published result", &table, run};
