/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "pgo/conf.h"
#include "pgo/core/json.h"
#include "pgo/status.h"

#include <string.h>

struct status_values {
	const char *config;
	bool all;
	uint64_t log;
};

#define AT(field) offsetof(struct status_values, field)

static const struct pgo_opt opts[] = {
	{"config", 'c', "FILE", "the configuration (default pgo.conf)", PGO_OPT_STR, AT(config)},
	{"all", 'a', NULL, "every result and candidate that is kept", PGO_OPT_FLAG, AT(all)},
	{"log", 0, "N", "the last N decisions", PGO_OPT_U64, AT(log)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"status",
	"[-c FILE] [OPTION]... [TARGET]...",
	"Says what is published for each target, how old it is, what the last run decided and why, "
	"when it gets too old, and what to do next.",
	opts,
};

/* Exit code of one target. */
static int show(const struct pgo_conf *c, const struct pgo_target *t, const struct status_values *v,
	struct pgo_buf *out, struct pgo_json *json, struct pgo_err *err)
{
	struct pgo_on_target o;
	struct pgo_status *s;
	int code;

	if (pgo_on_target_open(c, t, false, &o, err) < 0)
		return PGO_EXIT_FAILED;
	code = o.standing.id[0] != '\0' && !o.standing.expired ? PGO_EXIT_OK : PGO_EXIT_NO_PROFILE;
	s = pgo_status_new(&o, err);
	if (s == NULL) {
		code = PGO_EXIT_FAILED;
	} else if (json != NULL) {
		pgo_status_json(s, v->all, json);
	} else {
		pgo_status_text(s, out);
		if (v->all)
			pgo_status_list(s, out);
		if (v->log != 0)
			pgo_status_log(s, v->log, out);
	}
	pgo_status_free(s);
	pgo_on_target_close(&o);
	return code;
}

static int show_all(const struct pgo_conf *c, char **names, int n, const struct status_values *v,
	const struct pgo_opt_globals *g)
{
	struct pgo_err err = PGO_ERR_INIT;
	int code = PGO_EXIT_OK, printed;
	struct pgo_json json;
	struct pgo_buf out;

	pgo_buf_init(&out, (size_t)1 << 28);
	pgo_json_init(&json, &out, false);
	if (g->json)
		pgo_json_array(&json);
	for (size_t i = 0; i < c->n_targets; i++) {
		int one;

		if (!pgo_target_is_named(&c->targets[i], names, n))
			continue;
		one = show(c, &c->targets[i], v, &out, g->json ? &json : NULL, &err);
		if (one == PGO_EXIT_FAILED) {
			pgo_cmd_fail(&pgo_cmd_status, g, &err);
			pgo_err_clear(&err);
		}
		if (one != PGO_EXIT_OK && code != PGO_EXIT_FAILED)
			code = one;
	}
	if (g->json) {
		pgo_json_end_array(&json);
		pgo_json_finish(&json);
	}
	printed = pgo_cmd_print(&pgo_cmd_status, g, out.data != NULL ? out.data : "", out.len);
	pgo_buf_fini(&out);
	return printed != PGO_EXIT_OK ? printed : code;
}

static int run(int argc, char **argv)
{
	struct status_values v = {.config = "pgo.conf"};
	const struct pgo_target *t;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_opt_globals g;
	struct pgo_conf conf;
	int first, code, rc = 0;

	if (pgo_cmd_begin(&pgo_cmd_status, argc, argv, &v, &g, &first, NULL, &code) != 0)
		return code;
	if (pgo_conf_load(v.config, &conf, &err) < 0)
		return pgo_cmd_fail(&pgo_cmd_status, &g, &err);
	for (int i = first; i < argc && rc == 0; i++)
		rc = pgo_target_find(&conf, argv[i], &t, &err);
	code = rc < 0 ? pgo_cmd_fail(&pgo_cmd_status, &g, &err)
		      : show_all(&conf, argv + first, argc - first, &v, &g);
	pgo_conf_fini(&conf);
	return code;
}

const struct pgo_cmd pgo_cmd_status = {
	"status", "what is published, how old, and what was decided last", &table, run};
