/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/decide.h"

static const struct pgo_opt opts[] = {PGO_DECIDE_OPTIONS, PGO_OPT_END};

static const struct pgo_opt_table table = {
	"promote",
	"[-c FILE] [--target NAME] [-m REASON] ID",
	"Puts a result in use: one that was published, taken back or held, or one out of "
	"quarantine, "
	"which needs a reason.",
	opts,
};

static int decide(struct pgo_on_target *o, const char *word, const struct pgo_decide_values *v,
	char ret_id[PGO_STATE_ID_SIZE], struct pgo_buf *said, struct pgo_err *err)
{
	int rc = pgo_decide_promote(o, word, v->message, ret_id, err);

	if (rc == 0)
		pgo_buf_printf(said, "%s is in use.", ret_id);
	return rc;
}

static int run(int argc, char **argv)
{
	return pgo_cmd_decide(&pgo_cmd_promote, argc, argv, true, decide);
}

const struct pgo_cmd pgo_cmd_promote = {
	"promote", "put a result in use, out of quarantine too", &table, run};
