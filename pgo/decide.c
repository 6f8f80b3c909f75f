/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/decide.h"

#include "pgo/core/json.h"

#include <string.h>

static int print(const struct pgo_cmd *cmd, const struct pgo_opt_globals *g,
	const struct pgo_on_target *o, const char *id, const struct pgo_buf *said)
{
	const struct pgo_state_event *last = o->log.n != 0 ? &o->log.of[o->log.n - 1] : NULL;
	struct pgo_buf out;
	struct pgo_json j;
	int code;

	pgo_buf_init(&out, 1 << 20);
	if (g->json) {
		pgo_json_init(&j, &out, false);
		pgo_json_object(&j);
		pgo_json_kv_str(&j, "target", o->target->name);
		pgo_json_kv_str(&j, "decision", last != NULL ? last->decision : "");
		pgo_json_kv_str(&j, "id", last != NULL ? last->id : "");
		pgo_json_kv_str(&j, "last_good", id);
		pgo_json_end_object(&j);
		pgo_json_finish(&j);
	} else {
		pgo_buf_printf(
			&out, "%s: %s\n", o->target->name, said->data != NULL ? said->data : "");
	}
	code = pgo_cmd_print(cmd, g, out.data != NULL ? out.data : "", out.len);
	pgo_buf_fini(&out);
	return code;
}

static int on_target(const struct pgo_cmd *cmd, const struct pgo_opt_globals *g,
	const struct pgo_conf *conf, const struct pgo_decide_values *v, const char *word,
	pgo_decide_fn *decide)
{
	const struct pgo_target *t = NULL;
	struct pgo_err err = PGO_ERR_INIT;
	char id[PGO_STATE_ID_SIZE] = "";
	struct pgo_on_target o;
	struct pgo_buf said;
	int code;

	if (pgo_target_find(conf, v->target, &t, &err) < 0 ||
		pgo_on_target_open(conf, t, true, &o, &err) < 0)
		return pgo_cmd_fail(cmd, g, &err);
	pgo_buf_init(&said, 1 << 16);
	if (decide(&o, word, v, id, &said, &err) < 0)
		code = pgo_cmd_fail(cmd, g, &err);
	else
		code = print(cmd, g, &o, id, &said);
	pgo_buf_fini(&said);
	pgo_on_target_close(&o);
	return code;
}

int pgo_cmd_decide(
	const struct pgo_cmd *cmd, int argc, char **argv, bool needs_word, pgo_decide_fn *decide)
{
	struct pgo_decide_values v = {.config = "pgo.conf"};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_opt_globals g;
	struct pgo_conf conf;
	int first, code;

	if (pgo_cmd_begin(cmd, argc, argv, &v, &g, &first, NULL, &code) != 0)
		return code;
	if (argc - first > 1)
		pgo_err_set(&err, PGO_EUSAGE, "name one result, not %d", argc - first);
	else if (needs_word && argc == first)
		pgo_err_set(&err, PGO_EUSAGE,
			"say which result: an id, or its first digits; `pgo status --all` lists "
			"them");
	if (err.code != PGO_OK || pgo_conf_load(v.config, &conf, &err) < 0)
		return pgo_cmd_fail(cmd, &g, &err);
	code = on_target(cmd, &g, &conf, &v, argc > first ? argv[first] : NULL, decide);
	pgo_conf_fini(&conf);
	return code;
}
