/* SPDX-License-Identifier: Apache-2.0 */
/* The order of the stages, and the plan in words. */
#include "pgo/pipeline.h"

#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/opt.h"
#include "pgo/pipeline_impl.h"
#include "pgo/watch.h"

#include <string.h>

/* ---- the plan in words */

static void describe_duration(struct pgo_buf *out, int64_t ns)
{
	if (ns == 0)
		pgo_buf_puts(out, "off");
	else
		pgo_buf_printf(out, "%.4g days", (double)ns / 86400e9);
}

static void describe_weights(const struct pgo_target *t, struct pgo_buf *out)
{
	if (strcmp(t->mode, "equal-host") == 0)
		pgo_buf_puts(out, ", every host alike");
	else if (t->host_cap > 0)
		pgo_buf_printf(out, ", no host above %g times the median", t->host_cap);
	else
		pgo_buf_puts(out, ", hosts as they come");
	if (t->season)
		pgo_buf_puts(out, ", hours of the week alike");
	if (t->class_mix[0] != '\0')
		pgo_buf_printf(out, ", classes %s", t->class_mix);
	if (t->blend > 0)
		pgo_buf_printf(out, ", the last result at %g of its mass", t->blend);
	pgo_buf_puts(out, t->outliers || t->allow_outliers ? ", without outliers\n" : "\n");
}

static void describe_publishing(const struct pgo_target *t, struct pgo_buf *out)
{
	pgo_buf_puts(out, "  publish  if the gates pass");
	for (size_t i = 0; i < t->n_gates; i++)
		pgo_buf_printf(out, "%s%s", i == 0 ? " (" : ", ", t->gates[i]);
	pgo_buf_puts(out, t->n_gates != 0 ? ")" : "");
	if (t->hysteresis > 0)
		pgo_buf_printf(out, ", unless %.4g %% of it are as before", t->hysteresis * 100);
	if (t->publish_interval_ns != 0) {
		pgo_buf_puts(out, ", once in ");
		describe_duration(out, t->publish_interval_ns);
	}
	pgo_buf_puts(out, "; last-good is of use for ");
	if (t->last_good_ttl_ns == 0)
		pgo_buf_puts(out, "ever");
	else
		describe_duration(out, t->last_good_ttl_ns);
	pgo_buf_putc(out, '\n');
}

void pgo_pipeline_describe(
	const struct pgo_conf *c, const struct pgo_target *t, struct pgo_buf *out)
{
	pgo_buf_printf(out, "target %s, state in %s/%s\n", t->name, c->state, t->name);
	for (size_t i = 0; i < t->n_sources; i++)
		pgo_buf_printf(out, "  fetch    from %s\n", t->sources[i]);
	for (size_t i = 0; i < t->n_selects; i++)
		pgo_buf_printf(out, "           where %s\n", t->selects[i]);
	pgo_buf_printf(out, "           since %s until %s\n",
		t->since[0] != '\0' ? t->since : "ever", t->until[0] != '\0' ? t->until : "now");
	pgo_buf_puts(out, "  merge    half-life ");
	describe_duration(out, t->half_life_ns);
	pgo_buf_puts(out, ", window ");
	describe_duration(out, t->window_ns);
	describe_weights(t, out);
	pgo_buf_printf(out, "  convert  for %s\n", t->binary);
	for (size_t i = 0; i < PGO_N_OUTPUT_KINDS; i++) {
		if (t->output[i][0] == '\0')
			continue;
		pgo_buf_printf(
			out, "           %s", pgo_output_type((enum pgo_output_kind)i)->consumer);
		if (i == PGO_OUTPUT_CLANG)
			pgo_buf_printf(out, " (%s)", t->clang_format);
		pgo_buf_printf(out, " to %s\n", t->output[i]);
	}
	describe_publishing(t, out);
}

/* ---- preparing */

static int window(struct pgo_pipeline *p, struct pgo_err *err)
{
	int rc = 0;

	p->now_ns = pgo_now();
	if (p->target->since[0] != '\0')
		rc = pgo_parse_time(p->target->since, p->now_ns, &p->since_ns, err);
	if (rc == 0 && p->target->until[0] != '\0')
		rc = pgo_parse_time(p->target->until, p->now_ns, &p->until_ns, err);
	return rc;
}

static int open_state(struct pgo_pipeline *p, struct pgo_err *err)
{
	int rc = pgo_state_open(p->conf->state, p->target->name, &p->state, err);

	if (rc == 0)
		rc = pgo_state_lock(&p->state, p->options->wait_ns, err);
	if (rc == 0)
		rc = pgo_pipeline_migrate(p->conf, p->target, &p->state, err);
	if (rc == 0)
		rc = pgo_state_log_read(&p->state, &p->log, err);
	if (rc == 0)
		rc = pgo_state_settle(&p->state, &p->log, err);
	if (rc == 0)
		pgo_state_standing(
			&p->state, &p->log, p->target->last_good_ttl_ns, p->now_ns, &p->standing);
	return rc;
}

/* ---- all of it */

/* Profiles that do not belong to the program at all are the gate's business, not a failure. */
static bool is_unfit(int code)
{
	return code == PGO_EMISMATCH || code == PGO_EEMPTY;
}

static int refuse_unfit(struct pgo_pipeline *p, struct pgo_err *err)
{
	char why[PGO_ERR_MAX];
	int rc;

	memcpy(why, err->msg, sizeof why);
	rc = pgo_pipeline_failed_gate(p, "mapped", 0, why, err);
	return rc < 0 ? rc : pgo_pipeline_refuse(p, why, err);
}

/* More outliers than may be left out: the plan says which. */
static int refuse_outliers(struct pgo_pipeline *p, struct pgo_err *err)
{
	char why[PGO_ERR_MAX];
	int rc;

	memcpy(why, err->msg, sizeof why);
	rc = pgo_pipeline_failed_gate(p, "outliers", p->merged.plan.outlier_share * 100, why, err);
	return rc < 0 ? rc : pgo_pipeline_refuse(p, why, err);
}

static int build(struct pgo_pipeline *p, struct pgo_err *err)
{
	struct pgo_watch *watch = p->options->watch;
	int rc;

	pgo_watch_stage(watch, "merge");
	rc = pgo_pipeline_merge(p, err);
	if (rc == PGO_EGATE)
		return refuse_outliers(p, err);
	if (rc == PGO_EEMPTY)
		return pgo_pipeline_without(p, err->msg, err);
	if (rc == 0) {
		pgo_watch_stage(watch, "convert");
		rc = pgo_pipeline_convert(p, err);
	}
	if (p->is_merged && !p->is_converted && is_unfit(rc))
		return refuse_unfit(p, err);
	if (rc < 0)
		return rc;
	pgo_watch_stage(watch, "check");
	rc = pgo_pipeline_judge(p, err);
	if (rc < 0)
		return rc;
	pgo_watch_stage(watch, "publish");
	return pgo_pipeline_decide(p, err);
}

static int run_stages(struct pgo_pipeline *p, struct pgo_err *err)
{
	int rc = pgo_pipeline_list_outputs(p->conf, p->target, &p->outputs, err);

	if (rc == 0)
		rc = window(p, err);
	if (rc == 0)
		rc = open_state(p, err);
	if (rc == 0) {
		pgo_watch_stage(p->options->watch, "fetch");
		rc = pgo_pipeline_fetch(p, err);
		pgo_watch_fetched(p->options->watch, p->fetch.listed, p->fetch.fetched,
			p->fetch.fetched_bytes);
	}
	if (rc == PGO_EEMPTY)
		return pgo_pipeline_without(p, err->msg, err);
	if (rc == 0)
		rc = pgo_pipeline_fingerprint(p, err);
	if (rc == 0)
		rc = pgo_pipeline_recall(p, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	return build(p, err);
}

static void fini(struct pgo_pipeline *p)
{
	pgo_state_events_fini(&p->log);
	pgo_state_close(&p->state);
	pgo_manifest_fini(&p->records);
	pgo_merged_fini(&p->merged);
	pgo_weights_fini(&p->weights);
	pgo_convert_free(p->convert);
	pgo_outputs_fini(&p->outputs);
	pgo_paths_free(&p->files);
	pgo_gates_fini(&p->gates);
	pgo_buf_fini(&p->merged_data);
	pgo_buf_fini(&p->text);
}

static int fill_report(struct pgo_pipeline *p, struct pgo_err *err)
{
	struct pgo_run_report *r = p->report;
	const char *id = r->id[0] != '\0' ? r->id : r->last_good;
	bool quarantined = strcmp(r->decision, "quarantined") == 0;

	r->text = pgo_strndup(p->text.data != NULL ? p->text.data : "", p->text.len);
	r->manifest = id[0] != '\0' ? pgo_state_path(&p->state, quarantined, id, "manifest.json")
				    : pgo_strdup("");
	if (r->reason == NULL)
		r->reason = pgo_strdup("");
	return r->text != NULL && r->manifest != NULL && r->reason != NULL ? 0 : pgo_err_nomem(err);
}

int pgo_pipeline_run(const struct pgo_conf *c, const struct pgo_target *t,
	const struct pgo_run_options *o, struct pgo_run_report *ret, struct pgo_err *err)
{
	struct pgo_pipeline p = {
		.conf = c, .target = t, .options = o, .state = {.lock = -1}, .report = ret};
	struct pgo_err own = PGO_ERR_INIT, *e = err != NULL ? err : &own;
	int rc;

	*ret = (struct pgo_run_report){.decision = "failed", .exit = PGO_EXIT_FAILED};
	pgo_buf_init(&p.text, (size_t)1 << 20);
	pgo_buf_init(&p.merged_data, (size_t)1 << 40);
	pgo_manifest_init(&p.records);
	pgo_gates_init(&p.gates);
	pgo_plan_init(&p.merged.plan, &(struct pgo_plan_options){0});
	rc = run_stages(&p, e);
	if (rc == 0)
		rc = fill_report(&p, e);
	if (rc < 0)
		pgo_pipeline_fail(&p, e);
	else
		pgo_err_clear(e);
	fini(&p);
	return rc;
}

void pgo_run_report_fini(struct pgo_run_report *r)
{
	pgo_free(r->text);
	pgo_free(r->reason);
	pgo_free(r->manifest);
	*r = (struct pgo_run_report){0};
}
