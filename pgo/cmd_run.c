/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "pgo/conf.h"
#include "pgo/core/alloc.h"
#include "pgo/core/json.h"
#include "pgo/pipeline.h"

#include <stdio.h>
#include <string.h>

struct run_values {
	const char *config;
	bool dry_run, force;
};

#define AT(field) offsetof(struct run_values, field)

static const struct pgo_opt opts[] = {
	{"config", 'c', "FILE", "the configuration (default pgo.conf)", PGO_OPT_STR, AT(config)},
	{"dry-run", 'n', NULL, "print the plan and do nothing", PGO_OPT_FLAG, AT(dry_run)},
	{"force", 0, NULL, "run all stages even if nothing changed", PGO_OPT_FLAG, AT(force)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"run",
	"[-c FILE] [OPTION]... [TARGET]...",
	"Runs the whole pipeline from a configuration file: fetch, merge, convert. A run that "
	"fails leaves the last good outputs in place.",
	opts,
};

static const char *const result_names[] = {"new", "unchanged", "no-profile"};

/* What the whole command has seen. */
struct tally {
	size_t n_new, n_unchanged, n_missing, n_failed;
};

static bool chosen(const struct pgo_target *t, char **names, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], t->name) == 0)
			return true;
	return n == 0;
}

static int check_names(const struct pgo_conf *c, char **names, int n, struct pgo_err *err)
{
	for (int i = 0; i < n; i++) {
		size_t k = 0;

		while (k < c->n_targets && strcmp(c->targets[k].name, names[i]) != 0)
			k++;
		if (k == c->n_targets)
			return pgo_err_set(err, PGO_EUSAGE,
				"%s has no target '%s'; `pgo run -c %s --dry-run` lists them",
				c->path, names[i], c->path);
	}
	return 0;
}

static void report(const struct pgo_target *t, const struct pgo_run_report *r, struct pgo_buf *out,
	struct pgo_json *json)
{
	if (json == NULL) {
		pgo_buf_printf(out, "%s\n%s", t->name, r->text);
		return;
	}
	pgo_json_object(json);
	pgo_json_kv_str(json, "target", t->name);
	pgo_json_kv_str(json, "result", result_names[r->result]);
	pgo_json_kv_str(json, "manifest", r->manifest);
	pgo_json_end_object(json);
}

static void run_target(const struct pgo_conf *c, const struct pgo_target *t,
	const struct run_values *o, const struct pgo_opt_globals *g, struct tally *tally,
	struct pgo_buf *out, struct pgo_json *json)
{
	struct pgo_run_report r = {0};
	struct pgo_err err = PGO_ERR_INIT;

	/* One target that fails does not keep the others from their profiles. */
	if (pgo_pipeline_run(c, t, o->force, &r, &err) < 0) {
		tally->n_failed++;
		pgo_err_prefix(&err, "target '%s'", t->name);
		pgo_cmd_fail(&pgo_cmd_run, g, &err);
		return;
	}
	tally->n_new += r.result == PGO_RUN_NEW;
	tally->n_unchanged += r.result == PGO_RUN_UNCHANGED;
	tally->n_missing += r.result == PGO_RUN_NO_PROFILE;
	report(t, &r, out, json);
	pgo_free(r.text);
	pgo_free(r.manifest);
}

static int exit_of(const struct tally *t)
{
	if (t->n_failed != 0)
		return PGO_EXIT_FAILED;
	if (t->n_new != 0)
		return PGO_EXIT_OK;
	return t->n_missing != 0 ? PGO_EXIT_NO_PROFILE : PGO_EXIT_UNCHANGED;
}

static int run_all(const struct pgo_conf *c, char **names, int n, const struct run_values *o,
	const struct pgo_opt_globals *g)
{
	struct tally tally = {0};
	struct pgo_json json;
	struct pgo_buf out;
	int code;

	pgo_buf_init(&out, (size_t)1 << 28);
	pgo_json_init(&json, &out, false);
	if (g->json && !o->dry_run)
		pgo_json_array(&json);
	for (size_t i = 0; i < c->n_targets; i++) {
		if (!chosen(&c->targets[i], names, n))
			continue;
		if (o->dry_run)
			pgo_pipeline_describe(c, &c->targets[i], &out);
		else
			run_target(c, &c->targets[i], o, g, &tally, &out, g->json ? &json : NULL);
	}
	if (g->json && !o->dry_run) {
		pgo_json_end_array(&json);
		pgo_json_finish(&json);
	}
	code = pgo_cmd_print(&pgo_cmd_run, g, out.data != NULL ? out.data : "", out.len);
	pgo_buf_fini(&out);
	return code != PGO_EXIT_OK || o->dry_run ? code : exit_of(&tally);
}

static int run(int argc, char **argv)
{
	struct run_values o = {.config = "pgo.conf"};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_opt_globals g;
	struct pgo_conf conf;
	int first, code;

	if (pgo_cmd_begin(&pgo_cmd_run, argc, argv, &o, &g, &first, NULL, &code) != 0)
		return code;
	if (pgo_conf_load(o.config, &conf, &err) < 0)
		return pgo_cmd_fail(&pgo_cmd_run, &g, &err);
	if (check_names(&conf, argv + first, argc - first, &err) < 0)
		code = pgo_cmd_fail(&pgo_cmd_run, &g, &err);
	else
		code = run_all(&conf, argv + first, argc - first, &o, &g);
	pgo_conf_fini(&conf);
	return code;
}

const struct pgo_cmd pgo_cmd_run = {
	"run", "run the whole pipeline from a configuration file", &table, run};
