/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/decide.h"

#include <string.h>

static const struct pgo_opt opts[] = {
	PGO_DECIDE_OPTIONS,
	{"remove", 0, NULL, "take the pin away", PGO_OPT_FLAG, PGO_DECIDE_AT(remove)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"pin",
	"[-c FILE] [--target NAME] [-m REASON] [ID | --remove]",
	"Holds a result in use, the present one or ID, until the pin is taken away. Refreshes go "
	"on, "
	"and what passes waits.",
	opts,
};

static int decide(struct pgo_on_target *o, const char *word, const struct pgo_decide_values *v,
	char ret_id[PGO_STATE_ID_SIZE], struct pgo_buf *said, struct pgo_err *err)
{
	int rc;

	if (v->remove && word != NULL)
		return pgo_err_set(
			err, PGO_EUSAGE, "--remove takes away whatever is pinned; name no result");
	if (v->remove) {
		rc = pgo_decide_unpin(o, v->message, err);
		memcpy(ret_id, o->standing.id, PGO_STATE_ID_SIZE);
		if (rc == 0)
			pgo_buf_printf(said,
				"nothing is pinned.  %s stays in use; the next `pgo run` puts in "
				"use "
				"what has passed since.",
				ret_id);
		return rc;
	}
	rc = pgo_decide_pin(o, word, v->message, ret_id, err);
	if (rc == 0)
		pgo_buf_printf(said, "%s is pinned; `pgo pin --remove` lets go of it.", ret_id);
	return rc;
}

static int run(int argc, char **argv)
{
	return pgo_cmd_decide(&pgo_cmd_pin, argc, argv, false, decide);
}

const struct pgo_cmd pgo_cmd_pin = {"pin", "hold a published result in use", &table, run};
