/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "pgo/core/buf.h"
#include "pgo/core/json.h"
#include "pgo/core/pprof.h"
#include "pgo/redaction.h"

#include <inttypes.h>
#include <stdio.h>

#define PRINT_MAX ((size_t)1 << 30)
#define SHOWN 20 /* findings of one file in text; JSON has all */

struct check_values {
	struct pgo_redaction_values rules;
	const char *tag_keep;
};

static const struct pgo_opt opts[] = {
	{"Rules (those that the profiles were redacted by)", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	PGO_REDACTION_OPTS(struct check_values, rules),
	{"tag-keep", 0, "KEY,...", "labels that may be there (default: none)", PGO_OPT_STR,
		offsetof(struct check_values, tag_keep)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"check-redaction",
	"[OPTION]... FILE...",
	"Reads profiles and says whether anything is in them that a redaction by these rules would "
	"not have left: exit code 0 if they are clean, 11 if not.",
	opts,
};

struct report {
	struct pgo_buf text;
	struct pgo_json json;
	struct pgo_buf json_text;
	const char *file;
	uint64_t n; /* of this file */
};

static void tell(void *ctx, const char *sentence)
{
	struct report *r = ctx;

	if (r->n++ < SHOWN)
		pgo_buf_printf(&r->text, "%s: %s\n", r->file, sentence);
	pgo_json_str(&r->json, sentence);
}

static int check(const struct pgo_redact *rules, const char *path, struct report *r,
	uint64_t *ret_findings, struct pgo_err *err)
{
	struct pgo_profile *p = pgo_pprof_load(path, NULL, err);
	uint64_t n = 0;
	int rc;

	if (p == NULL)
		return err->code;
	r->file = path;
	r->n = 0;
	pgo_json_object(&r->json);
	pgo_json_kv_str(&r->json, "file", path);
	pgo_json_key(&r->json, "findings");
	pgo_json_array(&r->json);
	rc = pgo_redact_check(rules, p, tell, r, &n, err);
	pgo_json_end_array(&r->json);
	pgo_json_kv_bool(&r->json, "clean", n == 0);
	pgo_json_end_object(&r->json);
	if (n > SHOWN)
		pgo_buf_printf(&r->text, "%s: and %" PRIu64 " more\n", path, n - SHOWN);
	pgo_buf_printf(&r->text, "%s: %s\n", path, n == 0 ? "clean" : "NOT clean");
	*ret_findings += n;
	pgo_profile_free(p);
	return rc;
}

static int check_all(const struct check_values *v, char **path, int n, struct report *r,
	uint64_t *ret_findings, struct pgo_err *err)
{
	const struct pgo_tag_options to = {NULL, NULL, v->tag_keep};
	struct pgo_tags *tags = NULL;
	struct pgo_redact *rules = NULL;
	int rc = 0;

	if (n == 0)
		return pgo_err_set(err, PGO_EUSAGE, "say which profiles to check");
	if (!pgo_redaction_asked(&v->rules))
		return pgo_err_set(err, PGO_EUSAGE,
			"say by which rules: --redact, --redact-deny, --redact-allow, "
			"--redact-names or --redact-key");
	if (v->tag_keep != NULL && (tags = pgo_tags_new(&to, err)) == NULL)
		rc = err->code;
	if (rc == 0)
		rc = pgo_redaction_compile(&v->rules, tags, &rules, err);
	pgo_json_array(&r->json);
	for (int i = 0; i < n && rc == 0; i++)
		rc = check(rules, path[i], r, ret_findings, err);
	pgo_json_end_array(&r->json);
	pgo_json_finish(&r->json);
	pgo_redact_free(rules);
	pgo_tags_free(tags);
	return rc;
}

static int run(int argc, char **argv)
{
	struct check_values v = {0};
	struct pgo_err err = PGO_ERR_INIT;
	struct report r = {.file = NULL};
	struct pgo_opt_globals g;
	uint64_t findings = 0;
	int first, code, rc;

	if (pgo_cmd_begin(&pgo_cmd_check_redaction, argc, argv, &v, &g, &first, NULL, &code) != 0)
		return code;
	pgo_buf_init(&r.text, PRINT_MAX);
	pgo_buf_init(&r.json_text, PRINT_MAX);
	pgo_json_init(&r.json, &r.json_text, false);
	rc = check_all(&v, argv + first, argc - first, &r, &findings, &err);
	if (rc < 0) {
		code = pgo_cmd_fail(&pgo_cmd_check_redaction, &g, &err);
	} else {
		const struct pgo_buf *out = g.json ? &r.json_text : &r.text;

		code = out->failed ? PGO_EXIT_FAILED
		       : g.quiet && !g.json
			       ? PGO_EXIT_OK
			       : pgo_cmd_print(&pgo_cmd_check_redaction, &g, out->data, out->len);
		if (code == PGO_EXIT_OK && findings != 0)
			code = PGO_EXIT_GATED;
	}
	pgo_buf_fini(&r.text);
	pgo_buf_fini(&r.json_text);
	pgo_redaction_fini(&v.rules);
	return code;
}

const struct pgo_cmd pgo_cmd_check_redaction = {
	"check-redaction", "prove that profiles hold no names they must not", &table, run};
