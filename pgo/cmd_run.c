/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "pgo/conf.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/json.h"
#include "pgo/on_target.h"
#include "pgo/pipeline.h"
#include "pgo/watch.h"
#include "pgo/weekly.h"

#include <stdio.h>
#include <string.h>

struct run_values {
	const char *config, *require, *metrics, *events;
	bool dry_run, force;
	int64_t wait_ns;
	struct pgo_watch *watch;
};

#define AT(field) offsetof(struct run_values, field)

static const struct pgo_opt opts[] = {
	{"config", 'c', "FILE", "the configuration (default pgo.conf)", PGO_OPT_STR, AT(config)},
	{"dry-run", 'n', NULL, "print the plan and do nothing", PGO_OPT_FLAG, AT(dry_run)},
	{"force", 0, NULL, "run all stages, whatever was decided before", PGO_OPT_FLAG, AT(force)},
	{"require", 0, "WHAT", "exit with 0 if there is a fresh or any result to use, or none",
		PGO_OPT_STR, AT(require)},
	{"wait", 0, "DURATION", "wait for another run on the target to end (default 0)",
		PGO_OPT_DURATION, AT(wait_ns)},
	{"metrics", 0, "FILE.prom", "write numbers for Prometheus' textfile collector", PGO_OPT_STR,
		AT(metrics)},
	{"events", 0, "FILE", "append what happens as lines of JSON (- = standard output)",
		PGO_OPT_STR, AT(events)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"run",
	"[-c FILE] [OPTION]... [TARGET]...",
	"Runs the whole pipeline from a configuration file: fetch, merge, convert, gates. A result "
	"that passes is put in use; otherwise the last good one stays.",
	opts,
};

/* The worst of several targets, the first of these that one of them has; the best is last. */
static const int severity[] = {PGO_EXIT_USAGE, PGO_EXIT_FAILED, PGO_EXIT_NO_PROFILE, PGO_EXIT_GATED,
	PGO_EXIT_OK, PGO_EXIT_UNCHANGED};

static size_t rank(int code)
{
	size_t i = 0;

	while (i + 1 < sizeof severity / sizeof *severity && severity[i] != code)
		i++;
	return i;
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

static void report(const struct pgo_target *t, const struct pgo_run_report *r, int code,
	struct pgo_buf *out, struct pgo_json *json)
{
	if (json == NULL) {
		if (r->text != NULL)
			pgo_buf_printf(out, "%s\n%s", t->name, r->text);
		return;
	}
	pgo_json_object(json);
	pgo_json_kv_str(json, "target", t->name);
	pgo_json_kv_str(json, "result", r->decision);
	pgo_json_kv_i64(json, "exit", code);
	pgo_json_kv_str(json, "id", r->id);
	pgo_json_kv_str(json, "last_good", r->last_good);
	pgo_json_kv_bool(json, "usable", r->usable);
	pgo_json_kv_str(json, "reason", r->reason != NULL ? r->reason : "");
	pgo_json_kv_str(json, "manifest", r->manifest != NULL ? r->manifest : "");
	pgo_json_end_object(json);
}

/* What a build wants to know: is there something to use? */
static int required(const char *what, const struct pgo_run_report *r)
{
	if (what[0] == '\0' || r->exit == PGO_EXIT_USAGE)
		return r->exit;
	if (strcmp(what, "none") == 0)
		return PGO_EXIT_OK;
	if (strcmp(what, "any") == 0)
		return r->usable ? PGO_EXIT_OK : PGO_EXIT_NO_PROFILE;
	if (r->confirmed)
		return PGO_EXIT_OK;
	/* "fresh": a result that is kept for want of a newer one is not. */
	return r->exit == PGO_EXIT_OK || r->exit == PGO_EXIT_UNCHANGED ? PGO_EXIT_NO_PROFILE
								       : r->exit;
}

/* For people: that it cannot be written changes nothing about the result. */
static void write_page(const struct pgo_conf *c, const struct pgo_target *t)
{
	struct pgo_err err = PGO_ERR_INIT;
	char *page = NULL, *text = NULL;
	struct pgo_weekly w;

	if (pgo_weekly_load(c, t, &w, &err) < 0 ||
		pgo_weekly_write(&w, NULL, &page, &text, &err) < 0)
		pgo_warn("target '%s': no report: %s", t->name, err.msg);
	pgo_free(page);
	pgo_free(text);
	pgo_weekly_fini(&w);
}

static int run_target(const struct pgo_conf *c, const struct pgo_target *t,
	const struct run_values *o, const struct pgo_opt_globals *g, struct pgo_buf *out,
	struct pgo_json *json)
{
	const struct pgo_run_options options = {
		.force = o->force, .wait_ns = o->wait_ns, .watch = o->watch};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_run_report r;
	const char *failed = NULL;
	int code;

	pgo_watch_begin(o->watch, t->name);
	/* One target that fails does not keep the others from their profiles. */
	if (pgo_pipeline_run(c, t, &options, &r, &err) < 0) {
		pgo_err_prefix(&err, "target '%s'", t->name);
		pgo_cmd_fail(&pgo_cmd_run, g, &err);
		failed = err.msg;
	}
	if (t->report)
		write_page(c, t);
	code = required(o->require != NULL ? o->require : t->require, &r);
	report(t, &r, code, out, json);
	pgo_watch_end(o->watch, code, failed);
	pgo_run_report_fini(&r);
	return code;
}

static int run_all(const struct pgo_conf *c, char **names, int n, const struct run_values *o,
	const struct pgo_opt_globals *g)
{
	int code = PGO_EXIT_UNCHANGED, printed;
	struct pgo_json json;
	struct pgo_buf out;

	pgo_buf_init(&out, (size_t)1 << 28);
	pgo_json_init(&json, &out, false);
	if (g->json && !o->dry_run)
		pgo_json_array(&json);
	for (size_t i = 0; i < c->n_targets; i++) {
		int one;

		if (!pgo_target_is_named(&c->targets[i], names, n))
			continue;
		if (o->dry_run) {
			pgo_pipeline_describe(c, &c->targets[i], &out);
			continue;
		}
		one = run_target(c, &c->targets[i], o, g, &out, g->json ? &json : NULL);
		code = rank(one) < rank(code) ? one : code;
	}
	if (g->json && !o->dry_run) {
		pgo_json_end_array(&json);
		pgo_json_finish(&json);
	}
	/* Events on standard output take the place of the report. */
	if (o->watch != NULL && o->events != NULL && strcmp(o->events, "-") == 0)
		pgo_buf_clear(&out);
	printed = pgo_cmd_print(&pgo_cmd_run, g, out.data != NULL ? out.data : "", out.len);
	pgo_buf_fini(&out);
	return printed != PGO_EXIT_OK || o->dry_run ? printed : code;
}

/* The command line's files, or the configuration's; without any nobody watches. */
static int open_watch(const struct pgo_conf *c, struct run_values *o,
	const struct pgo_opt_globals *g, struct pgo_err *err)
{
	if (o->metrics == NULL && c->metrics[0] != '\0')
		o->metrics = c->metrics;
	if (o->events == NULL && c->events[0] != '\0')
		o->events = c->events;
	if (o->dry_run || (o->metrics == NULL && o->events == NULL))
		return 0;
	if (o->events != NULL && strcmp(o->events, "-") == 0 && g->json)
		return pgo_err_set(err, PGO_EUSAGE,
			"--json and events on standard output would mix there; name a file for "
			"the events");
	o->watch = pgo_watch_open(c, o->metrics, o->events, err);
	return o->watch != NULL ? 0 : err->code;
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
	if (o.require != NULL && (o.require[0] == '\0' || !pgo_require_is_known(o.require))) {
		pgo_err_set(
			&err, PGO_EUSAGE, "--require %s: it may be fresh, any or none", o.require);
		return pgo_cmd_fail(&pgo_cmd_run, &g, &err);
	}
	if (pgo_conf_load(o.config, &conf, &err) < 0)
		return pgo_cmd_fail(&pgo_cmd_run, &g, &err);
	if (check_names(&conf, argv + first, argc - first, &err) < 0 ||
		open_watch(&conf, &o, &g, &err) < 0)
		code = pgo_cmd_fail(&pgo_cmd_run, &g, &err);
	else
		code = run_all(&conf, argv + first, argc - first, &o, &g);
	pgo_watch_close(o.watch);
	pgo_conf_fini(&conf);
	return code;
}

const struct pgo_cmd pgo_cmd_run = {
	"run", "run the whole pipeline from a configuration file", &table, run};
