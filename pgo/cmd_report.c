/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "pgo/conf.h"
#include "pgo/core/alloc.h"
#include "pgo/core/json.h"
#include "pgo/weekly.h"

#include <string.h>

struct report_values {
	const char *config, *output;
};

#define AT(field) offsetof(struct report_values, field)

static const struct pgo_opt opts[] = {
	{"config", 'c', "FILE", "the configuration (default pgo.conf)", PGO_OPT_STR, AT(config)},
	{"output", 'o', "FILE",
		"write the page here, the text beside it (default: the state directory)",
		PGO_OPT_STR, AT(output)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"report",
	"[-c FILE] [-o FILE] [TARGET]...",
	"Writes a page about each target of a configuration file, and prints the same as text: "
	"what is "
	"in use and why, gates over the weeks, hosts and days, what was lost, what moved.",
	opts,
};

static bool chosen(const struct pgo_target *t, char **names, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], t->name) == 0)
			return true;
	return n == 0;
}

static int check_names(const struct report_values *o, const struct pgo_conf *c, char **names, int n,
	struct pgo_err *err)
{
	size_t count = 0;

	for (int i = 0; i < n; i++) {
		size_t k = 0;

		while (k < c->n_targets && strcmp(c->targets[k].name, names[i]) != 0)
			k++;
		if (k == c->n_targets)
			return pgo_err_set(err, PGO_EUSAGE, "%s has no target '%s'; it has '%s'%s",
				c->path, names[i], c->targets[0].name,
				c->n_targets > 1 ? " and others" : "");
	}
	for (size_t k = 0; k < c->n_targets; k++)
		count += chosen(&c->targets[k], names, n);
	if (o->output != NULL && count > 1)
		return pgo_err_set(err, PGO_EUSAGE,
			"-o %s: one file cannot hold the pages of %zu targets: name one of them",
			o->output, count);
	return 0;
}

static void print_json(
	const struct pgo_weekly *w, const char *page, const char *text, struct pgo_json *j)
{
	pgo_json_object(j);
	pgo_json_kv_str(j, "target", w->target);
	pgo_json_kv_str(j, "sentence", w->sentence);
	pgo_json_kv_str(j, "id", w->standing.id);
	pgo_json_kv_bool(j, "expired", w->standing.expired);
	pgo_json_kv_str(j, "decision", w->decision != NULL ? w->decision->decision : NULL);
	pgo_json_kv_str(j, "html", page);
	pgo_json_kv_str(j, "text", text);
	pgo_json_end_object(j);
}

static int report(const struct pgo_conf *c, const struct pgo_target *t,
	const struct report_values *o, struct pgo_buf *out, struct pgo_json *json,
	struct pgo_err *err)
{
	char *page = NULL, *text = NULL;
	struct pgo_weekly w;
	int rc = pgo_weekly_load(c, t, &w, err);

	if (rc == 0)
		rc = pgo_weekly_write(&w, o->output, &page, &text, err);
	if (rc == 0 && json != NULL)
		print_json(&w, page, text, json);
	/* The page has standard output for itself. */
	if (rc == 0 && json == NULL && text != NULL) {
		pgo_weekly_text(&w, out);
		pgo_buf_printf(out, "\n%s\n", page);
	}
	pgo_free(page);
	pgo_free(text);
	pgo_weekly_fini(&w);
	return rc;
}

static int report_all(const struct pgo_conf *c, char **names, int n, const struct report_values *o,
	const struct pgo_opt_globals *g, struct pgo_err *err)
{
	int rc = 0, code = PGO_EXIT_OK;
	struct pgo_json json;
	struct pgo_buf out;

	pgo_buf_init(&out, (size_t)1 << 28);
	pgo_json_init(&json, &out, false);
	if (g->json)
		pgo_json_array(&json);
	for (size_t i = 0; i < c->n_targets && rc == 0; i++)
		if (chosen(&c->targets[i], names, n))
			rc = report(c, &c->targets[i], o, &out, g->json ? &json : NULL, err);
	if (g->json) {
		pgo_json_end_array(&json);
		pgo_json_finish(&json);
	}
	code = rc < 0 ? pgo_cmd_fail(&pgo_cmd_report, g, err)
		      : pgo_cmd_print(
				&pgo_cmd_report, g, out.data != NULL ? out.data : "", out.len);
	pgo_buf_fini(&out);
	return code;
}

static int run(int argc, char **argv)
{
	struct report_values o = {.config = "pgo.conf"};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_opt_globals g;
	struct pgo_conf c = {0};
	int first, code;

	if (pgo_cmd_begin(&pgo_cmd_report, argc, argv, &o, &g, &first, NULL, &code) != 0)
		return code;
	if (pgo_conf_load(o.config, &c, &err) < 0 ||
		check_names(&o, &c, argv + first, argc - first, &err) < 0)
		code = pgo_cmd_fail(&pgo_cmd_report, &g, &err);
	else
		code = report_all(&c, argv + first, argc - first, &o, &g, &err);
	pgo_conf_fini(&c);
	return code;
}

const struct pgo_cmd pgo_cmd_report = {
	"report", "a page about what is published, and where it is from", &table, run};
