/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a run: remembered decisions, gates, hysteresis, age; each with a line in the log. */
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/opt.h"
#include "pgo/pipeline_impl.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define DAY_NS 86400e9
#define MAX_REASON ((size_t)16 << 10)
/* A result that is as much denser as that is better, however alike it is; but beyond what the gate
 * on density asks for, more is only chance. */
#define DENSER 1.1
#define DENSE_ENOUGH 60

/* ---- the log */

static void put_counts(const struct pgo_pipeline *p, struct pgo_json *j)
{
	const struct pgo_plan *plan = &p->merged.plan;

	pgo_json_key(j, "counts");
	pgo_json_object(j);
	pgo_json_kv_u64(j, "listed", p->fetch.listed);
	pgo_json_kv_u64(j, "new", p->fetch.fetched);
	pgo_json_kv_u64(j, "fetched_bytes", p->fetch.fetched_bytes);
	pgo_json_kv_u64(j, "known", p->fetch.unchanged);
	pgo_json_kv_u64(j, "stored", p->records.n_records);
	if (plan->n != 0) {
		pgo_json_kv_u64(j, "profiles", plan->n);
		pgo_json_kv_u64(j, "kept", plan->n_kept);
		pgo_json_kv_u64(j, "hosts", plan->n_hosts);
		pgo_json_kv_u64(j, "days", plan->n_days);
		pgo_json_kv_double(j, "effective_hosts", plan->effective_hosts);
		pgo_json_kv_double(j, "dominance", plan->dominance);
	}
	if (p->is_merged)
		pgo_json_kv_u64(j, "samples", p->merged.stats.samples_out);
	if (p->is_converted) {
		const struct pgo_account *a = pgo_convert_account(p->convert);

		pgo_json_kv_double(j, "mapped", a->mapped_share);
		pgo_json_kv_double(j, "density", a->density);
		pgo_json_kv_u64(j, "functions", a->functions);
		pgo_json_kv_u64(j, "functions_hot", a->functions_hot);
	}
	pgo_json_end_object(j);
}

static void put_names(const struct pgo_gates *g, enum pgo_gate_verdict v, struct pgo_json *j)
{
	pgo_json_key(j, pgo_gate_verdict_name(v));
	pgo_json_array(j);
	for (size_t i = 0; i < g->n; i++)
		if (g->row[i].verdict == v)
			pgo_json_str(j, g->row[i].name);
	pgo_json_end_array(j);
}

static void put_more(void *ctx, struct pgo_json *j)
{
	const struct pgo_pipeline *p = ctx;

	put_counts(p, j);
	if (p->gates.n == 0)
		return;
	pgo_json_key(j, "gates");
	pgo_json_object(j);
	pgo_json_kv_u64(j, "passed", pgo_gates_count(&p->gates, PGO_GATE_PASS));
	put_names(&p->gates, PGO_GATE_WARN, j);
	put_names(&p->gates, PGO_GATE_FAIL, j);
	put_names(&p->gates, PGO_GATE_SKIPPED, j);
	pgo_json_end_object(j);
}

/* ---- ends of a run */

struct ending {
	const char *decision, *id, *fingerprint;
	const char *shown; /* before the sentence, for people */
	int exit;          /* if there is a result to use */
	int64_t retry_ns;
	bool confirms; /* what is in use is as good as anything newer */
};

static bool has_expired_line(const struct pgo_pipeline *p, const struct pgo_state_standing *now)
{
	for (size_t i = p->log.n; i-- != 0;) {
		const struct pgo_state_event *e = &p->log.of[i];

		if (e->clock_ns <= now->confirmed_ns)
			return false;
		if (strcmp(e->decision, "expired") == 0 && strcmp(e->id, now->id) == 0)
			return true;
	}
	return false;
}

/* Once for each result that gets too old. */
static int log_expiry(
	struct pgo_pipeline *p, const struct pgo_state_standing *now, struct pgo_err *err)
{
	char *reason = pgo_asprintf("it was last confirmed %.1f days ago, and last_good_ttl is "
				    "%.4g days",
		(double)now->age_ns / DAY_NS, (double)p->target->last_good_ttl_ns / DAY_NS);
	const struct pgo_state_decision d = {.decision = "expired",
		.id = now->id,
		.reason = reason,
		.by = "run",
		.exit = PGO_EXIT_NO_PROFILE};
	int rc = 0;

	if (reason == NULL)
		return pgo_err_nomem(err);
	if (!has_expired_line(p, now))
		rc = pgo_state_log_append(&p->state, &d, err);
	pgo_free(reason);
	return rc;
}

/* What builds find after this run, for people. */
static void describe_standing(
	const struct pgo_state_standing *s, const struct pgo_target *t, struct pgo_buf *out)
{
	if (s->id[0] == '\0') {
		pgo_buf_puts(out, "there is no last-good result to use");
	} else if (s->expired) {
		pgo_buf_printf(out,
			"last-good %s was confirmed %.1f days ago and is too old to use "
			"(last_good_ttl is %.4g days)",
			s->id, (double)s->age_ns / DAY_NS, (double)t->last_good_ttl_ns / DAY_NS);
	} else {
		char until[64];

		pgo_format_time(s->expires_ns, until, sizeof until);
		pgo_buf_printf(out, "%s %s stays in use%s%.10s", s->pinned ? "pinned" : "last-good",
			s->id, s->expires_ns != 0 ? " up to " : "",
			s->expires_ns != 0 ? until : "");
	}
}

static void finish_report(struct pgo_pipeline *p, const struct ending *e,
	const struct pgo_state_standing *now, int code)
{
	p->report->decision = e->decision;
	p->report->exit = code;
	snprintf(p->report->id, sizeof p->report->id, "%s", e->id != NULL ? e->id : "");
	memcpy(p->report->last_good, now->id, sizeof now->id);
	p->report->usable = now->id[0] != '\0' && !now->expired;
	p->report->confirmed = p->report->usable && (e->confirms || now->pinned);
}

/* Writes the line; the exit code is 20 whatever was decided where nothing is left to use. */
static int conclude(
	struct pgo_pipeline *p, const struct ending *e, const char *why, struct pgo_err *err)
{
	struct pgo_state_standing now;
	struct pgo_buf reason;
	int code = e->exit, rc;

	pgo_state_standing(&p->state, &p->log, p->target->last_good_ttl_ns, p->now_ns, &now);
	if (strcmp(e->decision, "published") == 0 ||
		(strcmp(e->decision, "suppressed") == 0 && e->retry_ns == 0)) {
		now.expired = false;
		now.age_ns = 0;
		if (now.expires_ns != 0)
			now.expires_ns = p->now_ns + p->target->last_good_ttl_ns;
	}
	if (now.id[0] == '\0' || now.expired)
		code = PGO_EXIT_NO_PROFILE;
	pgo_buf_init(&reason, MAX_REASON);
	pgo_buf_puts(&reason, why);
	if (code != PGO_EXIT_OK) {
		pgo_buf_puts(&reason, "; ");
		describe_standing(&now, p->target, &reason);
	}
	rc = pgo_buf_check(&reason, "the reason", err);
	if (rc == 0) {
		const struct pgo_state_decision d = {.decision = e->decision,
			.id = e->id,
			.reason = reason.data,
			.by = "run",
			.fingerprint = e->fingerprint,
			.exit = code,
			.retry_ns = e->retry_ns,
			.more = put_more,
			.ctx = p};

		rc = pgo_state_log_append(&p->state, &d, err);
		pgo_buf_printf(&p->text, "%-8s %s%s%s\n", e->shown,
			e->id != NULL && e->id[0] != '\0' ? e->id : "",
			e->id != NULL && e->id[0] != '\0' ? ": " : "", reason.data);
		p->report->reason = pgo_strdup(reason.data);
	}
	if (rc == 0 && now.expired)
		rc = log_expiry(p, &now, err);
	if (now.early)
		pgo_warn(
			"target '%s': last-good %s was published at a time that is yet to come; is "
			"the clock right?",
			p->target->name, now.id);
	finish_report(p, e, &now, code);
	pgo_buf_fini(&reason);
	return rc;
}

int pgo_pipeline_without(struct pgo_pipeline *p, const char *why, struct pgo_err *err)
{
	const struct ending e = {
		.decision = "unchanged", .shown = "kept", .exit = PGO_EXIT_UNCHANGED};

	return conclude(p, &e, why, err);
}

void pgo_pipeline_fail(struct pgo_pipeline *p, struct pgo_err *err)
{
	struct pgo_state_decision d = {.decision = "failed",
		.by = "run",
		.exit = PGO_EXIT_FAILED,
		.more = put_more,
		.ctx = p};
	struct pgo_state_standing now = {0};
	struct pgo_buf what;

	/* Reading takes no lock: what builds find is known even if another run has it. */
	if (p->state.dir != NULL) {
		if (p->log.n == 0)
			(void)!pgo_state_log_read(&p->state, &p->log, NULL);
		pgo_state_standing(
			&p->state, &p->log, p->target->last_good_ttl_ns, p->now_ns, &now);
	}
	if (err->code == PGO_EUSAGE)
		d.exit = PGO_EXIT_USAGE;
	else if (now.expired)
		d.exit = PGO_EXIT_NO_PROFILE;
	if (now.id[0] != '\0') {
		pgo_buf_init(&what, MAX_REASON);
		describe_standing(&now, p->target, &what);
		if (!what.failed && strlen(err->msg) + what.len + 3 < sizeof err->msg)
			snprintf(err->msg + strlen(err->msg), sizeof err->msg - strlen(err->msg),
				"; %s", what.data);
		pgo_buf_fini(&what);
	}
	d.reason = err->msg;
	/* Where even that cannot be written, the sentence on the terminal has to do. */
	if (p->state.lock >= 0)
		(void)!pgo_state_log_append(&p->state, &d, NULL);
	if (p->state.lock >= 0 && now.expired)
		(void)!log_expiry(p, &now, NULL);
	finish_report(p, &(struct ending){.decision = "failed"}, &now, d.exit);
}

/* ---- putting a result in use */

static int renew(struct pgo_pipeline *p, size_t *ret_n, struct pgo_err *err)
{
	return pgo_pipeline_renew(p->conf, p->target, &p->state, ret_n, err);
}

/* What has passed, in published/; a pin keeps it waiting there. */
static int use(struct pgo_pipeline *p, const char *id, const char *why, struct pgo_err *err)
{
	char pinned[PGO_STATE_ID_SIZE], before[PGO_STATE_ID_SIZE];
	struct ending e = {.decision = "published",
		.id = id,
		.fingerprint = p->fingerprint,
		.shown = "result",
		.confirms = true};
	char *text;
	size_t n;
	int rc;

	pgo_state_pinned(&p->state, pinned);
	pgo_state_last_good(&p->state, before);
	if (pinned[0] != '\0' && strcmp(pinned, id) != 0) {
		e.decision = "held";
		e.exit = PGO_EXIT_UNCHANGED;
		e.confirms = false;
		text = pgo_asprintf("%s; it waits, as %s is pinned", why, pinned);
		rc = text != NULL ? conclude(p, &e, text, err) : pgo_err_nomem(err);
		pgo_free(text);
		return rc;
	}
	rc = pgo_state_switch(&p->state, id, err);
	if (rc == 0)
		rc = renew(p, &n, err);
	if (rc < 0)
		return rc;
	text = pgo_asprintf("%s%s%s", why,
		before[0] != '\0' && strcmp(before, id) != 0 ? "; it takes the place of " : "",
		before[0] != '\0' && strcmp(before, id) != 0 ? before : "");
	rc = text != NULL ? conclude(p, &e, text, err) : pgo_err_nomem(err);
	pgo_free(text);
	return rc;
}

/* Nothing new: only what somebody damaged at the places of pgo.conf is mended. */
static int keep_as(struct pgo_pipeline *p, struct ending e, const char *why, struct pgo_err *err)
{
	size_t n = 0;
	char *text;
	int rc = renew(p, &n, err);

	if (rc < 0)
		return rc;
	if (n == 0)
		return conclude(p, &e, why, err);
	text = pgo_asprintf("%s; %zu outputs were missing or damaged and are whole again", why, n);
	/* Whoever builds from them has to do so again. */
	if (e.exit == PGO_EXIT_UNCHANGED)
		e.exit = PGO_EXIT_OK;
	rc = text != NULL ? conclude(p, &e, text, err) : pgo_err_nomem(err);
	pgo_free(text);
	return rc;
}

/* `fingerprint` NULL: it is in the log. */
static int keep(struct pgo_pipeline *p, const char *why, const char *fingerprint, int code,
	bool confirms, struct pgo_err *err)
{
	const struct ending e = {.decision = "unchanged",
		.id = p->standing.id,
		.fingerprint = fingerprint,
		.shown = "kept",
		.exit = code,
		.confirms = confirms};

	return keep_as(p, e, why, err);
}

/* ---- decisions made before */

static bool is(const struct pgo_state_event *e, const char *decision)
{
	return strcmp(e->decision, decision) == 0;
}

/* The entry, whole, with this fingerprint? */
static bool is_whole(const struct pgo_pipeline *p, const char *id, const char *fingerprint)
{
	struct pgo_state_entry e = {.dir = pgo_state_path(&p->state, false, id, NULL)};
	struct pgo_jval *m = NULL;
	bool whole = false;

	if (e.dir != NULL && pgo_path_exists(e.dir))
		m = pgo_state_doc(&e, "manifest.json", NULL);
	if (m != NULL)
		whole = (fingerprint == NULL ||
				strcmp(pgo_jval_str(pgo_jval_get(m, "fingerprint"), ""),
					fingerprint) == 0) &&
			pgo_state_intact(e.dir, m);
	pgo_jdoc_free(m);
	pgo_free(e.dir);
	return whole;
}

static const struct pgo_state_event *find_decision(const struct pgo_pipeline *p)
{
	for (size_t i = p->log.n; i-- != 0;)
		if (strcmp(p->log.of[i].fingerprint, p->fingerprint) == 0)
			return &p->log.of[i];
	return NULL;
}

/* What was said on that day stands. */
static int repeat(struct pgo_pipeline *p, const struct pgo_state_event *e, struct pgo_err *err)
{
	bool refused = is(e, "quarantined");
	const struct ending ending = {.decision = refused ? "quarantined" : "unchanged",
		.id = refused ? e->id : p->standing.id,
		.fingerprint = refused ? p->fingerprint : NULL,
		.shown = refused ? "REFUSED" : "kept",
		.exit = refused ? PGO_EXIT_GATED : PGO_EXIT_UNCHANGED,
		.confirms = is(e, "suppressed")};
	int len = (int)strcspn(e->reason, ";");
	char day[64], *why;
	int rc;

	pgo_format_time(e->clock_ns, day, sizeof day);
	if (strncmp(e->reason, "as on ", 6) == 0)
		why = pgo_strndup(e->reason, (size_t)len);
	else
		why = pgo_asprintf("as on %.10s, %s%s%.*s", day, e->decision, len != 0 ? ": " : "",
			len, e->reason);
	rc = why != NULL ? keep_as(p, ending, why, err) : pgo_err_nomem(err);
	pgo_free(why);
	return rc < 0 ? rc : 1;
}

/* About a result of this very fingerprint. */
static int recall_result(
	struct pgo_pipeline *p, const struct pgo_state_event *e, struct pgo_err *err)
{
	struct pgo_state_story story;
	int rc;

	pgo_state_story(&p->log, e->id, &story);
	if (story.withdrawn)
		return repeat(p, story.last, err);
	if (!is_whole(p, e->id, NULL))
		return 0;
	if (strcmp(e->id, p->standing.id) == 0)
		rc = keep(p, "the same profiles, program and options", NULL, PGO_EXIT_UNCHANGED,
			true, err);
	else if (is(story.last, "held") && p->standing.pinned)
		return repeat(p, story.last, err);
	else
		rc = use(p, e->id, "the profiles are those of this result again", err);
	return rc < 0 ? rc : 1;
}

/* A run that was killed between the candidate's place and the log. */
static int recall_unfinished(struct pgo_pipeline *p, struct pgo_err *err)
{
	struct pgo_state_entries e = {0};
	int rc = pgo_state_list(&p->state, &e, err), done = 0;

	for (size_t i = 0; rc == 0 && i < e.n && !done; i++) {
		struct pgo_state_story story;

		pgo_state_story(&p->log, e.of[i].id, &story);
		if (story.last != NULL || e.of[i].quarantined ||
			!is_whole(p, e.of[i].id, p->fingerprint))
			continue;
		rc = use(p, e.of[i].id, "the gates passed, in a run that was not finished", err);
		done = 1;
	}
	pgo_state_entries_fini(&e);
	return rc < 0 ? rc : done;
}

int pgo_pipeline_recall(struct pgo_pipeline *p, struct pgo_err *err)
{
	const struct pgo_state_event *e = find_decision(p);
	bool same_last_good = e != NULL && strcmp(e->last_good, p->standing.id) == 0;

	if (p->options->force)
		return 0;
	if (e == NULL)
		return recall_unfinished(p, err);
	/* These depend on what they were compared with. */
	if (is(e, "suppressed"))
		return same_last_good && (e->retry_ns == 0 || p->now_ns < e->retry_ns)
			       ? repeat(p, e, err)
			       : 0;
	if (is(e, "quarantined"))
		return same_last_good && !p->standing.expired ? repeat(p, e, err) : 0;
	return e->id[0] != '\0' ? recall_result(p, e, err) : 0;
}

/* ---- new decisions */

int pgo_pipeline_refuse(struct pgo_pipeline *p, const char *why, struct pgo_err *err)
{
	struct ending e = {.decision = "quarantined",
		.fingerprint = p->fingerprint,
		.shown = "REFUSED",
		.exit = PGO_EXIT_GATED};
	int rc = p->id[0] == '\0' ? pgo_pipeline_name(p, err) : 0;

	if (rc == 0 && p->is_converted && strcmp(p->id, p->standing.id) == 0)
		return keep(p, why, NULL, PGO_EXIT_GATED, false, err);
	if (rc == 0)
		rc = pgo_pipeline_adopt(p, why, err);
	if (rc < 0)
		return rc;
	e.id = p->id;
	return conclude(p, &e, why, err);
}

static int refuse_by_gates(struct pgo_pipeline *p, struct pgo_err *err)
{
	struct pgo_buf why;
	int rc;

	pgo_buf_init(&why, MAX_REASON / 2);
	for (size_t i = 0; i < p->gates.n; i++)
		if (p->gates.row[i].verdict == PGO_GATE_FAIL)
			pgo_buf_printf(&why, "%sgate %s: %s", why.len != 0 ? ", " : "",
				p->gates.row[i].name, p->gates.row[i].why);
	rc = pgo_buf_check(&why, "the reason", err);
	if (rc == 0)
		rc = pgo_pipeline_refuse(p, why.data, err);
	pgo_buf_fini(&why);
	return rc;
}

static double density_of(const struct pgo_jval *manifest)
{
	return pgo_jval_double(
		pgo_jval_get(pgo_jval_get(manifest, "account"), "density"), (double)NAN);
}

/* Would it change nothing that matters?  Then what follows from building with it is a cold cache. */
static bool is_much_the_same(struct pgo_pipeline *p, double *ret_overlap)
{
	const struct pgo_gate_row *blocks = pgo_gates_find(&p->gates, "overlap_blocks");
	const struct pgo_account *a = pgo_convert_account(p->convert);
	struct pgo_state_entry e = {.last_good = true};
	struct pgo_jval *m;
	bool same = false;

	if (p->target->hysteresis == 0 || blocks == NULL || blocks->verdict == PGO_GATE_SKIPPED ||
		isnan(blocks->value))
		return false;
	*ret_overlap = strcmp(blocks->unit, "%") == 0 ? blocks->value / 100 : blocks->value;
	e.dir = pgo_state_path(&p->state, false, p->standing.id, NULL);
	m = e.dir != NULL ? pgo_state_doc(&e, "manifest.json", NULL) : NULL;
	if (m != NULL)
		same = *ret_overlap >= p->target->hysteresis &&
		       strcmp(pgo_jval_str(pgo_jval_get(m, "settings"), ""), p->settings) == 0 &&
		       (density_of(m) >= DENSE_ENOUGH || a->density <= density_of(m) * DENSER);
	pgo_jdoc_free(m);
	pgo_free(e.dir);
	return same;
}

static int suppress(struct pgo_pipeline *p, int64_t retry_ns, const char *why, struct pgo_err *err)
{
	const struct ending e = {.decision = "suppressed",
		.fingerprint = p->fingerprint,
		.shown = "kept",
		.exit = PGO_EXIT_UNCHANGED,
		.retry_ns = retry_ns,
		.confirms = true};
	size_t n;
	int rc = renew(p, &n, err);

	return rc < 0 ? rc : conclude(p, &e, why, err);
}

/* 1: not published though it passed. */
static int suppress_maybe(struct pgo_pipeline *p, struct pgo_err *err)
{
	const struct pgo_state_standing *s = &p->standing;
	int64_t interval = p->target->publish_interval_ns;
	double overlap = 0;
	char *why = NULL;
	int64_t retry = 0;
	int rc;

	if (p->options->force || s->id[0] == '\0' || s->expired || s->pinned ||
		!is_whole(p, s->id, NULL))
		return 0;
	if (is_much_the_same(p, &overlap)) {
		why = pgo_asprintf(
			"%.2f %% of its blocks' weight is that of last-good (hysteresis is "
			"%.4g %%), for the same program, and it is no denser",
			overlap * 100, p->target->hysteresis * 100);
	} else if (pgo_state_age(s->published_ns, p->now_ns) < interval) {
		retry = s->published_ns + interval;
		why = pgo_asprintf(
			"%s was published %.1f days ago, and publish_interval is %.4g days", s->id,
			(double)pgo_state_age(s->published_ns, p->now_ns) / DAY_NS,
			(double)interval / DAY_NS);
	} else {
		return 0;
	}
	rc = why != NULL ? suppress(p, retry, why, err) : pgo_err_nomem(err);
	pgo_free(why);
	return rc < 0 ? rc : 1;
}

static void describe_outputs(struct pgo_pipeline *p)
{
	for (size_t i = 0; i < p->outputs.n; i++) {
		const struct pgo_output *o = &p->outputs.of[i];

		pgo_buf_printf(&p->text, "wrote    %s (%s, %" PRIu64 " %s, %zu bytes)\n", o->path,
			pgo_output_kind_name(o->kind), o->records,
			pgo_output_type(o->kind)->records, o->data.len);
	}
}

static int publish(struct pgo_pipeline *p, struct pgo_err *err)
{
	char *why, *quarantined;
	int rc = pgo_pipeline_adopt(p, NULL, err);

	if (rc < 0)
		return rc;
	/* It was refused before, by other limits. */
	quarantined = pgo_state_path(&p->state, true, p->id, NULL);
	rc = quarantined != NULL ? pgo_state_remove(quarantined, err) : pgo_err_nomem(err);
	pgo_free(quarantined);
	if (rc < 0)
		return rc;
	why = pgo_asprintf("%zu gates passed, %zu with a warning, %zu not looked at",
		pgo_gates_count(&p->gates, PGO_GATE_PASS) +
			pgo_gates_count(&p->gates, PGO_GATE_WARN),
		pgo_gates_count(&p->gates, PGO_GATE_WARN),
		pgo_gates_count(&p->gates, PGO_GATE_SKIPPED));
	rc = why != NULL ? use(p, p->id, why, err) : pgo_err_nomem(err);
	pgo_free(why);
	if (rc == 0 && strcmp(p->report->decision, "published") == 0)
		describe_outputs(p);
	return rc;
}

int pgo_pipeline_decide(struct pgo_pipeline *p, struct pgo_err *err)
{
	struct pgo_state_story story;
	int rc;

	if (pgo_gates_worst(&p->gates) == PGO_GATE_FAIL)
		return refuse_by_gates(p, err);
	rc = pgo_pipeline_name(p, err);
	if (rc < 0)
		return rc;
	pgo_state_story(&p->log, p->id, &story);
	if (story.withdrawn)
		rc = repeat(p, story.last, err);
	else if (strcmp(p->id, p->standing.id) == 0 && is_whole(p, p->id, NULL))
		return keep(p, "the result is the same, byte for byte", p->fingerprint,
			PGO_EXIT_UNCHANGED, true, err);
	else
		rc = suppress_maybe(p, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	return publish(p, err);
}
