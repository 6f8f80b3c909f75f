/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/verify_target.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/on_target.h"
#include "pgo/verdict_outputs.h"

int pgo_verify_target_open(struct pgo_verify_target *t, const char *config, const char *name,
	const char *before, const char *after, bool fetch, struct pgo_err *err)
{
	const struct pgo_target *target;
	int rc = pgo_conf_load(config != NULL ? config : "pgo.conf", &t->conf, err);

	if (rc == 0)
		rc = pgo_target_find(&t->conf, name, &target, err);
	if (rc < 0)
		return rc;
	t->target = target;
	pgo_buf_init(&t->said, (size_t)1 << 16);
	rc = pgo_sides_find(&t->conf, target, before, after, fetch, &t->sides, err);
	return rc == 0 ? pgo_mkdirs(t->sides.state.reports, err) : rc;
}

static int keep_file(const struct pgo_verify_target *t, const char *ending,
	const struct pgo_buf *data, struct pgo_err *err)
{
	char *path = pgo_asprintf("%s.%s", t->sides.report, ending);
	int rc = path == NULL ? pgo_err_nomem(err) : pgo_buf_check(data, path, err);

	if (rc == 0)
		rc = pgo_file_write(path, data->data, data->len, err);
	pgo_free(path);
	return rc;
}

static int keep_page(
	const struct pgo_verify_target *t, const struct pgo_verdict *v, struct pgo_err *err)
{
	char *path = pgo_asprintf("%s.html", t->sides.report);
	const struct pgo_verdict_outputs o = {.html = path};
	int rc = path == NULL ? pgo_err_nomem(err) : pgo_verdict_outputs_write(v, &o, err);

	pgo_free(path);
	return rc;
}

static int keep_report(
	struct pgo_verify_target *t, const struct pgo_verdict *v, struct pgo_err *err)
{
	struct pgo_buf out;
	struct pgo_json j;
	int rc = keep_page(t, v, err);

	pgo_buf_init(&out, (size_t)1 << 30);
	pgo_json_init(&j, &out, false);
	pgo_verdict_json(v, &j);
	if (rc == 0)
		rc = keep_file(t, "json", &out, err);
	pgo_buf_clear(&out);
	pgo_verdict_text(v, 0, &out);
	if (rc == 0)
		rc = keep_file(t, "txt", &out, err);
	pgo_buf_fini(&out);
	pgo_buf_printf(&t->said, "report   %s.{html,json,txt}\n", t->sides.report);
	return rc;
}

/* No effect shown is no reason to go back. */
static int decide(struct pgo_verify_target *t, const struct pgo_verdict *v, const char *result,
	struct pgo_err *err)
{
	bool bad = v->outcome == PGO_OUTCOME_LOSS || pgo_verdict_failed(v);
	char in_use[PGO_STATE_ID_SIZE] = "";
	struct pgo_on_target on;
	int rc;

	if (v->outcome == PGO_OUTCOME_INCOMPARABLE && !bad)
		return pgo_err_set(err, PGO_EGATE,
			"nothing is decided about %s, since %s; --work, --work-label, --control or "
			"--same-work say how much work was done",
			result, v->sentence);
	rc = pgo_on_target_open(&t->conf, t->target, true, &on, err);
	if (rc < 0)
		return rc;
	rc = pgo_decide_verified(&on, result, !bad, v->sentence, in_use, err);
	pgo_on_target_close(&on);
	if (rc == 0)
		pgo_buf_printf(&t->said, "%s %s; in use: %s\n", bad ? "rejected" : "verified",
			result, in_use[0] != '\0' ? in_use : "none");
	return rc;
}

int pgo_verify_target_keep(struct pgo_verify_target *t, const struct pgo_verdict *v,
	const char *result, struct pgo_err *err)
{
	int rc = keep_report(t, v, err);

	return rc == 0 && result != NULL ? decide(t, v, result, err) : rc;
}

void pgo_verify_target_close(struct pgo_verify_target *t)
{
	if (t->target != NULL) {
		pgo_sides_fini(&t->sides);
		pgo_buf_fini(&t->said);
	}
	pgo_conf_fini(&t->conf);
}
