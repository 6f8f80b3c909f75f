/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/watch.h"

#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/json.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"
#include "pgo/state.h"
#include "pgo/watch_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EVENT_MAX ((size_t)1 << 20)
#define METRICS_MAX ((size_t)64 << 20)

struct pgo_watch {
	const struct pgo_conf *conf;
	const char *metrics, *events_name;
	int events; /* -1 = none */
	bool events_failed;
	struct pgo_watch_run *run;
	size_t n, room;
};

static int64_t monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct pgo_watch *pgo_watch_open(
	const struct pgo_conf *c, const char *metrics, const char *events, struct pgo_err *err)
{
	struct pgo_watch *w = pgo_calloc(1, sizeof *w);

	if (w == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	w->conf = c;
	w->metrics = metrics;
	w->events_name = events;
	w->events = -1;
	if (events == NULL)
		return w;
	w->events = strcmp(events, "-") == 0
			    ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
			    : open(events, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (w->events >= 0)
		return w;
	pgo_err_errno(err, PGO_EIO, "%s: events cannot be written there", events);
	pgo_free(w);
	return NULL;
}

/* ---- events */

static void event_begin(
	struct pgo_buf *b, struct pgo_json *j, const struct pgo_watch_run *r, const char *what)
{
	char now[32];

	pgo_format_time(pgo_now(), now, sizeof now);
	pgo_buf_init(b, EVENT_MAX);
	pgo_json_init(j, b, true);
	pgo_json_object(j);
	pgo_json_kv_str(j, "time", now);
	pgo_json_kv_str(j, "event", what);
	pgo_json_kv_str(j, "target", r->target);
}

/* After the first failure, which is said, nothing more is tried. */
static void event_end(struct pgo_watch *w, struct pgo_buf *b, struct pgo_json *j)
{
	const char *at;
	size_t left;

	pgo_json_end_object(j);
	pgo_json_finish(j);
	at = b->data;
	left = b->failed ? 0 : b->len;
	while (left != 0 && !w->events_failed) {
		ssize_t n = write(w->events, at, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			w->events_failed = true;
			pgo_warn("%s: events cannot be written (%s), going on without",
				w->events_name, strerror(errno));
		} else {
			at += n;
			left -= (size_t)n;
		}
	}
	pgo_buf_fini(b);
}

static bool wants_events(const struct pgo_watch *w)
{
	return w->events >= 0 && !w->events_failed;
}

static void tell_stage(struct pgo_watch *w, const struct pgo_watch_run *r, double seconds)
{
	struct pgo_json j;
	struct pgo_buf b;

	if (!wants_events(w))
		return;
	event_begin(&b, &j, r, "stage");
	pgo_json_kv_str(&j, "stage", r->stage);
	pgo_json_kv_double(&j, "seconds", seconds);
	event_end(w, &b, &j);
}

static void tell_gates(struct pgo_watch *w, const struct pgo_watch_run *r, const char *id)
{
	struct pgo_gates gates;
	struct pgo_json j;
	struct pgo_buf b;

	pgo_gates_init(&gates);
	if (pgo_watch_gates_of(w->conf, r->target, id, &gates, NULL) == 0)
		for (size_t i = 0; i < gates.n; i++) {
			const struct pgo_gate_row *g = &gates.row[i];

			event_begin(&b, &j, r, "gate");
			pgo_json_kv_str(&j, "id", id);
			pgo_json_kv_str(&j, "gate", g->name);
			pgo_json_kv_str(&j, "verdict", pgo_gate_verdict_name(g->verdict));
			pgo_json_kv_double(&j, "value", g->value);
			pgo_json_kv_double(&j, "warn", g->warn);
			pgo_json_kv_double(&j, "fail", g->fail);
			pgo_json_kv_str(&j, "unit", g->unit);
			pgo_json_kv_str(&j, "why", g->why);
			event_end(w, &b, &j);
		}
	pgo_gates_fini(&gates);
}

/* Was there a new candidate, which gates looked at? */
static bool was_judged(const char *decision)
{
	static const char *const judged[] = {"published", "suppressed", "held", "quarantined"};

	for (size_t i = 0; i < sizeof judged / sizeof *judged; i++)
		if (strcmp(decision, judged[i]) == 0)
			return true;
	return false;
}

static void tell_decision(
	struct pgo_watch *w, const struct pgo_watch_run *r, const struct pgo_state_event *e)
{
	struct pgo_json j;
	struct pgo_buf b;

	if (was_judged(e->decision))
		tell_gates(w, r, e->id);
	event_begin(&b, &j, r, "decision");
	pgo_json_kv_str(&j, "decision", e->decision);
	pgo_json_kv_str(&j, "id", e->id);
	pgo_json_kv_str(&j, "last_good", e->last_good);
	pgo_json_kv_str(&j, "reason", e->reason);
	event_end(w, &b, &j);
}

/* ---- the log, before and after */

static int read_log(const struct pgo_watch *w, const char *target, struct pgo_state_events *log,
	struct pgo_err *err)
{
	struct pgo_state s;
	int rc = pgo_state_open(w->conf->state, target, &s, err);

	if (rc < 0)
		return rc;
	rc = pgo_state_log_read(&s, log, err);
	pgo_state_close(&s);
	return rc;
}

static uint64_t newest_seq(const struct pgo_watch *w, const char *target)
{
	struct pgo_state_events log = {0};
	uint64_t seq = 0;

	if (read_log(w, target, &log, NULL) == 0 && log.n != 0)
		seq = log.of[log.n - 1].seq;
	pgo_state_events_fini(&log);
	return seq;
}

/* What this run has added to the log. */
static void tell_decisions(struct pgo_watch *w, const struct pgo_watch_run *r)
{
	struct pgo_state_events log = {0};

	if (wants_events(w) && read_log(w, r->target, &log, NULL) == 0)
		for (size_t i = 0; i < log.n; i++)
			if (log.of[i].seq > r->seq_before)
				tell_decision(w, r, &log.of[i]);
	pgo_state_events_fini(&log);
}

/* ---- a run */

static struct pgo_watch_run *current(struct pgo_watch *w)
{
	return w != NULL && w->n != 0 && !w->run[w->n - 1].ended ? &w->run[w->n - 1] : NULL;
}

void pgo_watch_begin(struct pgo_watch *w, const char *target)
{
	struct pgo_watch_run *r = w != NULL ? PGO_VEC_PUSH(w->run, w->n, w->room) : NULL;
	struct pgo_json j;
	struct pgo_buf b;

	if (r == NULL)
		return;
	r->target = target;
	r->start_ns = monotonic();
	if (!wants_events(w))
		return;
	r->seq_before = newest_seq(w, target);
	event_begin(&b, &j, r, "start");
	pgo_json_kv_str(&j, "tool", "pgo " PGO_VERSION);
	event_end(w, &b, &j);
}

static void end_stage(struct pgo_watch *w, struct pgo_watch_run *r)
{
	double seconds = (double)(monotonic() - r->stage_ns) / 1e9;
	size_t i = 0;

	if (r->stage == NULL)
		return;
	tell_stage(w, r, seconds);
	while (i < r->n_stages && strcmp(r->stages[i].name, r->stage) != 0)
		i++;
	if (i < PGO_WATCH_STAGES) {
		r->stages[i].name = r->stage;
		r->stages[i].seconds += seconds;
		r->n_stages += i == r->n_stages;
	}
	r->stage = NULL;
}

void pgo_watch_stage(struct pgo_watch *w, const char *stage)
{
	struct pgo_watch_run *r = current(w);

	if (r == NULL)
		return;
	end_stage(w, r);
	r->stage = stage;
	r->stage_ns = monotonic();
}

void pgo_watch_fetched(struct pgo_watch *w, uint64_t listed, uint64_t fetched, uint64_t bytes)
{
	struct pgo_watch_run *r = current(w);

	if (r == NULL)
		return;
	r->listed = listed;
	r->fetched = fetched;
	r->bytes = bytes;
}

void pgo_watch_end(struct pgo_watch *w, int exit, const char *error)
{
	struct pgo_watch_run *r = current(w);
	struct pgo_json j;
	struct pgo_buf b;

	if (r == NULL)
		return;
	end_stage(w, r);
	r->exit = exit;
	r->seconds = (double)(monotonic() - r->start_ns) / 1e9;
	r->ended = true;
	tell_decisions(w, r);
	if (!wants_events(w))
		return;
	event_begin(&b, &j, r, "end");
	pgo_json_kv_i64(&j, "exit", exit);
	pgo_json_kv_double(&j, "seconds", r->seconds);
	if (error != NULL)
		pgo_json_kv_str(&j, "error", error);
	event_end(w, &b, &j);
}

/* ---- metrics */

static const struct pgo_watch_run *run_of(const struct pgo_watch *w, const char *target)
{
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->run[i].target, target) == 0)
			return &w->run[i];
	return NULL;
}

static void write_metrics(const struct pgo_watch *w)
{
	static const char *const version[] = {"version", PGO_VERSION, NULL};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_metrics m = {0};
	struct pgo_buf text;
	int rc = pgo_metrics_add(&m, PGO_METRIC_BUILD_INFO, 1, version, &err);

	for (size_t i = 0; i < w->conf->n_targets && rc == 0; i++) {
		const char *name = w->conf->targets[i].name;

		rc = pgo_watch_measure(&m, w->conf, name, run_of(w, name), &err);
	}
	pgo_buf_init(&text, METRICS_MAX);
	pgo_metrics_text(&m, &text);
	if (rc == 0)
		rc = pgo_buf_check(&text, "the file of metrics", &err);
	if (rc == 0)
		rc = pgo_file_write(w->metrics, text.data, text.len, &err);
	if (rc < 0)
		pgo_warn("%s; the metrics are those of an earlier run", err.msg);
	pgo_buf_fini(&text);
	pgo_metrics_fini(&m);
}

void pgo_watch_close(struct pgo_watch *w)
{
	if (w == NULL)
		return;
	if (w->metrics != NULL)
		write_metrics(w);
	if (w->events >= 0)
		close(w->events);
	pgo_free(w->run);
	pgo_free(w);
}

/* ---- the journal */

const char *pgo_journal_mark(int priority)
{
	static const char *const marks[] = {"<0>", "<1>", "<2>", "<3>", "<4>", "<5>", "<6>", "<7>"};
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;
	char *end;

	if (stream == NULL || priority < 0 || priority > 7)
		return "";
	dev = strtoull(stream, &end, 10);
	if (end == stream || *end != ':')
		return "";
	stream = end + 1;
	ino = strtoull(stream, &end, 10);
	if (end == stream || *end != '\0' || fstat(STDERR_FILENO, &st) < 0)
		return "";
	return st.st_dev == dev && st.st_ino == ino ? marks[priority] : "";
}
