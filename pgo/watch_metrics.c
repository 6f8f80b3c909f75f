/* SPDX-License-Identifier: Apache-2.0 */
/* What the state directory, and a run, come to in numbers. */
#include "pgo/core/diag.h"
#include "pgo/core/json.h"
#include "pgo/core/opt.h"
#include "pgo/state.h"
#include "pgo/watch_impl.h"

#include <math.h>
#include <string.h>

/* One target while it is measured. */
struct measure {
	struct pgo_metrics *m;
	const char *target;
	struct pgo_state state;
	struct pgo_state_entries entries;
	struct pgo_state_events log;
	int64_t now_ns;
	int rc;
	struct pgo_err *err;
};

/* With a label more; NULL for none. */
static void put_as(
	struct measure *o, enum pgo_metric which, double value, const char *key, const char *word)
{
	const char *labels[] = {"target", o->target, key, word, NULL};

	if (o->rc == 0)
		o->rc = pgo_metrics_add(o->m, which, value, labels, o->err);
}

static void put(struct measure *o, enum pgo_metric which, double value)
{
	put_as(o, which, value, NULL, NULL);
}

/* A number that the manifest may not have. */
static void put_if(struct measure *o, enum pgo_metric which, const struct pgo_jval *v)
{
	double value = pgo_jval_double(v, NAN);

	if (!isnan(value))
		put(o, which, value);
}

static const struct pgo_state_entry *entry(const struct measure *o, const char *id)
{
	for (size_t i = 0; i < o->entries.n; i++)
		if (strcmp(o->entries.of[i].id, id) == 0)
			return &o->entries.of[i];
	return NULL;
}

static double seconds(int64_t ns)
{
	return (double)(ns / 1000000) / 1e3;
}

/* ---- last-good */

static void put_manifest(struct measure *o, const struct pgo_state_entry *e)
{
	struct pgo_jval *doc = pgo_state_doc(e, "manifest.json", NULL);
	const struct pgo_jval *weights = pgo_jval_get(doc, "weights");
	const struct pgo_jval *outputs = pgo_jval_get(doc, "outputs");

	put_if(o, PGO_METRIC_PROFILES, pgo_jval_get(weights, "kept"));
	put_if(o, PGO_METRIC_HOSTS, pgo_jval_get(weights, "hosts"));
	put_if(o, PGO_METRIC_EFFECTIVE_HOSTS, pgo_jval_get(weights, "effective_hosts"));
	put_if(o, PGO_METRIC_DAYS, pgo_jval_get(weights, "days"));
	put_if(o, PGO_METRIC_LARGEST_HOST, pgo_jval_get(weights, "dominance"));
	put_if(o, PGO_METRIC_MAPPED, pgo_jval_get(pgo_jval_get(doc, "account"), "mapped_share"));
	for (size_t i = 0; i < pgo_jval_len(outputs); i++) {
		const struct pgo_jval *v = pgo_jval_at(outputs, i);

		put_as(o, PGO_METRIC_OUTPUT_BYTES,
			(double)pgo_jval_i64(pgo_jval_get(v, "bytes"), 0), "output",
			pgo_jval_str(pgo_jval_get(v, "kind"), "unknown"));
	}
	pgo_jdoc_free(doc);
}

static void put_last_good(struct measure *o)
{
	char id[PGO_STATE_ID_SIZE], pinned[PGO_STATE_ID_SIZE];
	const struct pgo_state_entry *e;
	struct pgo_state_story story;

	pgo_state_last_good(&o->state, id);
	pgo_state_pinned(&o->state, pinned);
	put(o, PGO_METRIC_LAST_GOOD, id[0] != '\0');
	put(o, PGO_METRIC_PINNED, pinned[0] != '\0');
	if (id[0] == '\0')
		return;
	pgo_state_story(&o->log, id, &story);
	put_as(o, PGO_METRIC_LAST_GOOD_INFO, 1, "id", id);
	put(o, PGO_METRIC_LAST_GOOD_TIME, seconds(story.published_ns));
	put(o, PGO_METRIC_LAST_GOOD_CONFIRMED, seconds(story.confirmed_ns));
	put(o, PGO_METRIC_LAST_GOOD_AGE, seconds(pgo_state_age(story.confirmed_ns, o->now_ns)));
	e = entry(o, id);
	if (e != NULL)
		put_manifest(o, e);
}

/* ---- gates, decisions */

static int read_gates(const struct pgo_state_entry *e, struct pgo_gates *ret, struct pgo_err *err)
{
	struct pgo_jval *doc = pgo_state_doc(e, "gates.json", err);
	int rc;

	if (doc == NULL)
		return err != NULL ? err->code : PGO_EIO;
	rc = pgo_gates_from_json(ret, doc, "gates.json", err);
	pgo_jdoc_free(doc);
	return rc;
}

int pgo_watch_gates_of(const struct pgo_conf *c, const char *target, const char *id,
	struct pgo_gates *ret, struct pgo_err *err)
{
	struct pgo_state_entries all = {0};
	struct pgo_state s;
	int rc = pgo_state_open(c->state, target, &s, err);

	if (rc < 0)
		return rc;
	rc = pgo_state_list(&s, &all, err);
	for (size_t i = 0; i < all.n && rc == 0; i++)
		if (strcmp(all.of[i].id, id) == 0) {
			rc = read_gates(&all.of[i], ret, err);
			break;
		}
	pgo_state_entries_fini(&all);
	pgo_state_close(&s);
	return rc;
}

static void put_gate(struct measure *o, const struct pgo_gate_row *g)
{
	static const int values[] = {[PGO_GATE_PASS] = 0,
		[PGO_GATE_WARN] = 1,
		[PGO_GATE_FAIL] = 2,
		[PGO_GATE_SKIPPED] = -1};
	const char *labels[] = {"target", o->target, "gate", g->name, "unit",
		g->unit[0] != '\0' ? g->unit : NULL, NULL};

	if (o->rc == 0 && !isnan(g->value))
		o->rc = pgo_metrics_add(o->m, PGO_METRIC_GATE_VALUE, g->value, labels, o->err);
	put_as(o, PGO_METRIC_GATE_VERDICT, values[g->verdict], "gate", g->name);
}

/* Of the newest result that the log names and that is still there. */
static void put_gates(struct measure *o)
{
	const struct pgo_state_entry *e = NULL;
	struct pgo_gates gates;

	for (size_t i = o->log.n; i > 0 && e == NULL; i--)
		if (o->log.of[i - 1].id[0] != '\0')
			e = entry(o, o->log.of[i - 1].id);
	pgo_gates_init(&gates);
	if (e != NULL && read_gates(e, &gates, NULL) == 0)
		for (size_t i = 0; i < gates.n; i++)
			put_gate(o, &gates.row[i]);
	pgo_gates_fini(&gates);
}

static void put_state(struct measure *o)
{
	size_t quarantined = 0;

	for (size_t i = 0; i < o->entries.n; i++)
		quarantined += o->entries.of[i].quarantined;
	put_last_good(o);
	put(o, PGO_METRIC_PUBLISHED, (double)(o->entries.n - quarantined));
	put(o, PGO_METRIC_QUARANTINED, (double)quarantined);
	put_gates(o);
	if (o->log.n != 0) {
		const struct pgo_state_event *last = &o->log.of[o->log.n - 1];

		put_as(o, PGO_METRIC_DECISION, 1, "decision", last->decision);
		put(o, PGO_METRIC_DECISION_TIME, seconds(last->clock_ns));
	}
}

static void put_run(struct measure *o, const struct pgo_watch_run *run)
{
	put(o, PGO_METRIC_RUN_TIME, seconds(o->now_ns));
	put(o, PGO_METRIC_RUN_EXIT, run->exit);
	for (size_t i = 0; i < run->n_stages; i++)
		put_as(o, PGO_METRIC_RUN_SECONDS, run->stages[i].seconds, "stage",
			run->stages[i].name);
	put_as(o, PGO_METRIC_RUN_SECONDS, run->seconds, "stage", "all");
	put(o, PGO_METRIC_RUN_LISTED, (double)run->listed);
	put(o, PGO_METRIC_RUN_FETCHED, (double)run->fetched);
	put(o, PGO_METRIC_RUN_BYTES, (double)run->bytes);
}

/* What cannot be read is said, and the rest goes on: the numbers of other targets, and of this run. */
static void measure_state(struct measure *o, const struct pgo_conf *c)
{
	struct pgo_err why = PGO_ERR_INIT;
	int rc = pgo_state_open(c->state, o->target, &o->state, &why);

	if (rc == 0) {
		rc = pgo_state_list(&o->state, &o->entries, &why);
		if (rc == 0)
			rc = pgo_state_log_read(&o->state, &o->log, &why);
		if (rc == 0)
			put_state(o);
		pgo_state_entries_fini(&o->entries);
		pgo_state_events_fini(&o->log);
		pgo_state_close(&o->state);
	}
	if (rc < 0)
		pgo_warn("target '%s': %s; the metrics go without its state", o->target, why.msg);
}

int pgo_watch_measure(struct pgo_metrics *m, const struct pgo_conf *c, const char *target,
	const struct pgo_watch_run *run, struct pgo_err *err)
{
	struct measure o = {.m = m, .target = target, .now_ns = pgo_now(), .err = err};

	measure_state(&o, c);
	if (run != NULL)
		put_run(&o, run);
	return o.rc;
}
