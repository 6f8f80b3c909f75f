/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/verdict_outputs.h"

#include "pgo/core/file.h"
#include "verify/calltree.h"
#include "verify/escape.h"
#include "verify/folded.h"
#include "verify/views.h"

#include <string.h>

#define NODES_MAX 4000
#define DOCUMENT_MAX ((size_t)1 << 30)

typedef void (*view_fn)(
	const struct pgo_jval *verdict, const char *json, size_t len, struct pgo_buf *out);

static void markdown(const struct pgo_jval *v, const char *json, size_t len, struct pgo_buf *out)
{
	(void)json, (void)len;
	pgo_view_markdown(v, out);
}

static void junit(const struct pgo_jval *v, const char *json, size_t len, struct pgo_buf *out)
{
	(void)json, (void)len;
	pgo_view_junit(v, out);
}

static int write_view(const char *path, const char *what, view_fn view, const struct pgo_jval *v,
	const struct pgo_buf *json, struct pgo_err *err)
{
	struct pgo_buf out;
	int rc;

	pgo_buf_init(&out, DOCUMENT_MAX);
	view(v, json->data, json->len, &out);
	rc = pgo_buf_check(&out, what, err);
	if (rc == 0)
		rc = pgo_file_write(path, out.data, out.len, err);
	pgo_buf_fini(&out);
	return rc;
}

static int write_views(const struct pgo_jval *doc, const struct pgo_buf *json,
	const struct pgo_verdict_outputs *o, struct pgo_err *err)
{
	const struct {
		const char *path, *what;
		view_fn view;
	} views[] = {{o->html, "the HTML page", pgo_view_html},
		{o->markdown, "the Markdown text", markdown},
		{o->junit, "the JUnit document", junit}};
	int rc = 0;

	for (size_t i = 0; i < sizeof views / sizeof *views && rc == 0; i++)
		if (views[i].path != NULL)
			rc = write_view(
				views[i].path, views[i].what, views[i].view, doc, json, err);
	return rc;
}

/* Views are made from the JSON, so that none of them can say anything else. */
static int write_from_json(
	const struct pgo_verdict *v, const struct pgo_verdict_outputs *o, struct pgo_err *err)
{
	struct pgo_jval *doc = NULL;
	struct pgo_buf json;
	struct pgo_json j;
	int rc;

	pgo_buf_init(&json, DOCUMENT_MAX);
	pgo_json_init(&j, &json, true);
	pgo_verdict_json(v, &j);
	rc = pgo_buf_check(&json, "the verdict as JSON", err);
	if (rc == 0 && (doc = pgo_jdoc_parse("the verdict", json.data, json.len, err)) == NULL)
		rc = err->code;
	if (rc == 0)
		rc = write_views(doc, &json, o, err);
	pgo_jdoc_free(doc);
	pgo_buf_fini(&json);
	return rc;
}

static int write_folded(const struct pgo_verdict *v, const char *path, struct pgo_err *err)
{
	struct pgo_buf out;
	int rc;

	if (v->calltree == NULL)
		return pgo_err_set(err, PGO_EEMPTY,
			"no stacks to write to %s: no function of either side could be named",
			path);
	pgo_buf_init(&out, DOCUMENT_MAX);
	pgo_folded_write(v->calltree, &out);
	rc = pgo_buf_check(&out, "the folded stacks", err);
	if (rc == 0)
		rc = pgo_file_write(path, out.data != NULL ? out.data : "", out.len, err);
	pgo_buf_fini(&out);
	return rc;
}

int pgo_verdict_outputs_write(
	const struct pgo_verdict *v, const struct pgo_verdict_outputs *o, struct pgo_err *err)
{
	int rc = 0;

	if (o->folded != NULL)
		rc = write_folded(v, o->folded, err);
	/* What is drawn: more nodes than that are too narrow to be seen. */
	if (rc == 0 && v->calltree != NULL)
		rc = pgo_calltree_prune(v->calltree, NODES_MAX, err);
	if (rc == 0 && (o->html != NULL || o->markdown != NULL || o->junit != NULL))
		rc = write_from_json(v, o, err);
	return rc;
}

static int check_verdict(const struct pgo_jval *doc, const char *path, struct pgo_err *err)
{
	int64_t schema = pgo_jval_i64(pgo_jval_get(doc, "schema"), 0);

	if (strcmp(pgo_jval_str(pgo_jval_get(doc, "kind"), ""), "verdict") != 0)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s is no verdict: give what `pgo verify --json` wrote", path);
	if (schema != PGO_VERDICT_SCHEMA)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s is a verdict of schema %lld, and this pgo reads %d: compare again, or "
			"use the "
			"pgo that wrote it",
			path, (long long)schema, PGO_VERDICT_SCHEMA);
	return 0;
}

int pgo_verdict_outputs_read(const char *path, const struct pgo_verdict_outputs *o,
	bool *ret_failed, struct pgo_err *err)
{
	bool any = o->html != NULL || o->markdown != NULL || o->junit != NULL;
	struct pgo_jval *doc = NULL;
	struct pgo_buf json, line;
	int rc;

	pgo_buf_init(&line, DOCUMENT_MAX);
	if (o->folded != NULL)
		return pgo_err_set(err, PGO_EUSAGE,
			"--folded needs the profiles: a verdict holds no whole stacks");
	rc = pgo_file_read(path, DOCUMENT_MAX, &json, err);
	if (rc == 0 && (doc = pgo_jdoc_parse(path, json.data, json.len, err)) == NULL)
		rc = err->code;
	if (rc == 0)
		rc = check_verdict(doc, path, err);
	if (rc == 0)
		rc = write_views(doc, &json, o, err);
	if (rc == 0 && !any) {
		pgo_escape_add(
			&line, PGO_ESCAPE_TEXT, pgo_jval_str(pgo_jval_get(doc, "sentence"), ""));
		pgo_buf_putc(&line, '\n');
		rc = pgo_buf_check(&line, "the sentence", err);
		if (rc == 0)
			rc = pgo_file_write("-", line.data, line.len, err);
	}
	if (rc == 0)
		*ret_failed = pgo_jval_bool(pgo_jval_get(doc, "failed"), false);
	pgo_jdoc_free(doc);
	pgo_buf_fini(&json);
	pgo_buf_fini(&line);
	return rc;
}
