/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/status.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/manifest.h"
#include "pgo/core/opt.h"
#include "pgo/pipeline.h"

#include <inttypes.h>
#include <string.h>

#define DAY_NS 86400e9

struct pgo_status {
	const struct pgo_on_target *o;
	struct pgo_jval *manifest; /* of what is in use; NULL = there is none, or it is damaged */
	struct pgo_err damage;     /* of it */
	size_t stale_outputs;      /* at the places of pgo.conf */
	size_t n_profiles;
	uint64_t profile_bytes;
	size_t n_published, n_quarantined;
};

/* ---- finding out */

static int count_profiles(struct pgo_status *s, struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/manifest.jsonl", s->o->state.raw);
	struct pgo_manifest m;
	int rc;

	pgo_manifest_init(&m);
	rc = path != NULL ? pgo_manifest_load(&m, path, err) : pgo_err_nomem(err);
	for (size_t i = 0; i < m.n_records && rc == 0; i++)
		s->profile_bytes += m.records[i].bytes;
	s->n_profiles = m.n_records;
	pgo_manifest_fini(&m);
	pgo_free(path);
	return rc;
}

/* What of it is damaged is part of the answer. */
static void look_at_result(struct pgo_status *s)
{
	const struct pgo_on_target *o = s->o;

	for (size_t i = 0; i < o->entries.n; i++)
		if (o->entries.of[i].last_good)
			s->manifest = pgo_state_doc(&o->entries.of[i], "manifest.json", &s->damage);
	if (s->manifest != NULL)
		(void)!pgo_pipeline_look(
			o->conf, o->target, &o->state, &s->stale_outputs, &s->damage);
}

struct pgo_status *pgo_status_new(const struct pgo_on_target *o, struct pgo_err *err)
{
	struct pgo_status *s = pgo_calloc(1, sizeof *s);

	if (s == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	s->o = o;
	if (count_profiles(s, err) < 0) {
		pgo_status_free(s);
		return NULL;
	}
	for (size_t i = 0; i < o->entries.n; i++)
		*(o->entries.of[i].quarantined ? &s->n_quarantined : &s->n_published) += 1;
	look_at_result(s);
	return s;
}

void pgo_status_free(struct pgo_status *s)
{
	if (s == NULL)
		return;
	pgo_jdoc_free(s->manifest);
	pgo_free(s);
}

/* The last decision of a run, or of a person; not what gc did. */
static const struct pgo_state_event *last_decision(const struct pgo_status *s)
{
	for (size_t i = s->o->log.n; i-- != 0;) {
		const struct pgo_state_event *e = &s->o->log.of[i];

		if (strcmp(e->decision, "collected") != 0 && strcmp(e->decision, "expired") != 0)
			return e;
	}
	return NULL;
}

static bool last_is(const struct pgo_status *s, const char *decision)
{
	const struct pgo_state_event *e = last_decision(s);

	return e != NULL && strcmp(e->decision, decision) == 0;
}

static void next_step(const struct pgo_status *s, struct pgo_buf *out)
{
	const struct pgo_state_standing *st = &s->o->standing;
	const struct pgo_state_event *e = last_decision(s);

	if (s->o->state.format == 1)
		pgo_buf_puts(out, "an older pgo made this state; `pgo run` brings it over");
	else if (s->damage.code != PGO_OK)
		pgo_buf_puts(out, s->damage.msg);
	else if (last_is(s, "quarantined"))
		pgo_buf_printf(out,
			"read quarantine/%s/why.txt; mend the cause, or set the limit in pgo.conf, "
			"or "
			"`pgo promote %s -m REASON`",
			e->id, e->id);
	else if (last_is(s, "failed"))
		pgo_buf_puts(out, "mend what failed and `pgo run` again");
	else if (st->id[0] == '\0' || st->expired)
		pgo_buf_puts(out, "`pgo run`; until then builds do without a profile");
	else if (st->early)
		pgo_buf_puts(out, "set the clock: it was published at a time that is yet to come");
	else if (s->stale_outputs != 0)
		pgo_buf_puts(out, "`pgo run` makes the outputs whole");
	else if (st->pinned)
		pgo_buf_puts(out, "`pgo pin --remove` when it need not be held any longer");
	else
		pgo_buf_puts(out, "none");
}

/* ---- text */

static const struct pgo_jval *weights(const struct pgo_status *s)
{
	return pgo_jval_get(s->manifest, "weights");
}

static void put_date(struct pgo_buf *out, int64_t ns)
{
	char text[64];

	pgo_format_time(ns, text, sizeof text);
	pgo_buf_printf(out, "%.10s %.5s", text, text + 11);
}

static void put_use(const struct pgo_status *s, struct pgo_buf *out)
{
	const struct pgo_state_standing *st = &s->o->standing;

	pgo_buf_puts(out, "  in use     ");
	if (st->id[0] == '\0') {
		pgo_buf_puts(out, "nothing\n");
		return;
	}
	pgo_buf_printf(out, "%s%s%s, published ", st->id, st->pinned ? ", pinned" : "",
		st->verified ? ", verified" : "");
	put_date(out, st->published_ns);
	pgo_buf_printf(out, " (%.1f days ago)\n",
		(double)pgo_state_age(st->published_ns, s->o->now_ns) / DAY_NS);
}

static void put_profiles(const struct pgo_status *s, struct pgo_buf *out)
{
	const struct pgo_jval *w = weights(s);

	if (s->manifest == NULL)
		return;
	pgo_buf_printf(out,
		"  made of    %" PRId64 " profiles of %" PRId64 " hosts on %" PRId64
		" days (effective hosts %.1f, largest share %.0f %%)\n",
		pgo_jval_i64(pgo_jval_get(w, "kept"), 0), pgo_jval_i64(pgo_jval_get(w, "hosts"), 0),
		pgo_jval_i64(pgo_jval_get(w, "days"), 0),
		pgo_jval_double(pgo_jval_get(w, "effective_hosts"), 0),
		pgo_jval_double(pgo_jval_get(w, "dominance"), 0) * 100);
	pgo_buf_printf(out, "  program    %s, build %.16s; made by %s\n",
		pgo_jval_str(pgo_jval_get(s->manifest, "binary"), "?"),
		pgo_jval_str(pgo_jval_get(s->manifest, "build_id"), "?"),
		pgo_jval_str(pgo_jval_get(s->manifest, "tool"), "?"));
}

static void put_outputs(const struct pgo_status *s, struct pgo_buf *out)
{
	const struct pgo_jval *outputs = pgo_jval_get(s->manifest, "outputs");

	if (s->manifest == NULL)
		return;
	pgo_buf_puts(out, "  outputs    ");
	for (size_t i = 0; i < pgo_jval_len(outputs); i++)
		pgo_buf_printf(out, "%s%s", i != 0 ? ", " : "",
			pgo_jval_str(pgo_jval_get(pgo_jval_at(outputs, i), "path"), "?"));
	if (s->stale_outputs != 0)
		pgo_buf_printf(
			out, "; %zu are missing, damaged or of another result\n", s->stale_outputs);
	else
		pgo_buf_puts(out, "; all in place\n");
}

static void put_gates(const struct pgo_status *s, struct pgo_buf *out)
{
	const struct pgo_jval *gates = pgo_jval_get(s->manifest, "gates");
	size_t n = pgo_jval_len(gates), passed = 0;

	if (s->manifest == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		passed += strcmp(pgo_jval_str(pgo_jval_get(pgo_jval_at(gates, i), "verdict"), ""),
				  "pass") == 0;
	pgo_buf_printf(out, "  gates      %zu of %zu passed", passed, n);
	for (size_t i = 0; i < n; i++) {
		const struct pgo_jval *g = pgo_jval_at(gates, i);
		const char *verdict = pgo_jval_str(pgo_jval_get(g, "verdict"), "");

		if (strcmp(verdict, "warn") == 0 || strcmp(verdict, "fail") == 0)
			pgo_buf_printf(out, ", %s: %s", verdict,
				pgo_jval_str(pgo_jval_get(g, "name"), "?"));
	}
	pgo_buf_putc(out, '\n');
}

static void put_last(const struct pgo_status *s, struct pgo_buf *out)
{
	const struct pgo_state_event *e = last_decision(s);

	pgo_buf_puts(out, "  decided    ");
	if (e == NULL) {
		pgo_buf_puts(out, "nothing yet\n");
		return;
	}
	put_date(out, e->time_ns);
	pgo_buf_printf(out, " %s%s%s%s%s\n", e->decision, e->id[0] != '\0' ? " " : "", e->id,
		e->reason[0] != '\0' ? ": " : "", e->reason);
}

static void put_expiry(const struct pgo_status *s, struct pgo_buf *out)
{
	const struct pgo_state_standing *st = &s->o->standing;

	if (st->id[0] == '\0')
		return;
	pgo_buf_puts(out, "  too old    ");
	if (st->expires_ns == 0) {
		pgo_buf_puts(out, st->pinned ? "never while it is pinned\n" : "never\n");
		return;
	}
	pgo_buf_puts(out, st->expired ? "since " : "from ");
	put_date(out, st->expires_ns);
	pgo_buf_printf(out, " (%s%.1f days)\n", st->expired ? "for " : "in ",
		st->expired ? (double)pgo_state_age(st->expires_ns, s->o->now_ns) / DAY_NS
			    : (double)pgo_state_age(s->o->now_ns, st->expires_ns) / DAY_NS);
}

void pgo_status_text(const struct pgo_status *s, struct pgo_buf *out)
{
	pgo_buf_printf(out, "%s\n", s->o->target->name);
	put_use(s, out);
	put_profiles(s, out);
	put_outputs(s, out);
	put_gates(s, out);
	put_last(s, out);
	put_expiry(s, out);
	pgo_buf_printf(out,
		"  kept       %zu results, %zu in quarantine, %zu profiles (%" PRIu64 " bytes)\n",
		s->n_published, s->n_quarantined, s->n_profiles, s->profile_bytes);
	pgo_buf_puts(out, "  next       ");
	next_step(s, out);
	pgo_buf_putc(out, '\n');
}

/* What is to be said of one entry, in a word. */
static const char *state_of(const struct pgo_state_entry *e, const struct pgo_state_story *story)
{
	if (e->quarantined)
		return "quarantined";
	if (e->pinned)
		return "pinned";
	if (e->last_good)
		return "in use";
	if (story->withdrawn)
		return "withdrawn";
	if (story->last != NULL && strcmp(story->last->decision, "held") == 0)
		return "held";
	return story->verified ? "verified" : "published";
}

void pgo_status_list(const struct pgo_status *s, struct pgo_buf *out)
{
	for (size_t i = 0; i < s->o->entries.n; i++) {
		const struct pgo_state_entry *e = &s->o->entries.of[i];
		struct pgo_state_story story;

		pgo_state_story(&s->o->log, e->id, &story);
		pgo_buf_printf(out, "  %s  %-11s  %s%s%s\n", e->id, state_of(e, &story),
			story.last != NULL ? story.last->decision : "not in the log",
			story.last != NULL && story.last->reason[0] != '\0' ? ": " : "",
			story.last != NULL ? story.last->reason : "");
	}
}

void pgo_status_log(const struct pgo_status *s, uint64_t lines, struct pgo_buf *out)
{
	const struct pgo_state_events *log = &s->o->log;

	for (size_t i = log->n > lines ? log->n - (size_t)lines : 0; i < log->n; i++) {
		const struct pgo_state_event *e = &log->of[i];

		pgo_buf_puts(out, "  ");
		put_date(out, e->time_ns);
		pgo_buf_printf(out, "  %-11s %-21s %s\n", e->decision, e->id, e->reason);
	}
}

/* ---- JSON */

static void json_time(struct pgo_json *j, const char *key, int64_t ns)
{
	char text[64];

	pgo_json_key(j, key);
	if (ns == 0) {
		pgo_json_null(j);
		return;
	}
	pgo_format_time(ns, text, sizeof text);
	pgo_json_str(j, text);
}

static void json_use(const struct pgo_status *s, struct pgo_json *j)
{
	const struct pgo_state_standing *st = &s->o->standing;
	const struct pgo_jval *w = weights(s);

	pgo_json_kv_str(j, "last_good", st->id);
	pgo_json_kv_bool(j, "usable", st->id[0] != '\0' && !st->expired);
	pgo_json_kv_bool(j, "pinned", st->pinned);
	pgo_json_kv_bool(j, "verified", st->verified);
	pgo_json_kv_bool(j, "expired", st->expired);
	json_time(j, "published", st->published_ns);
	json_time(j, "confirmed", st->confirmed_ns);
	json_time(j, "expires", st->expires_ns);
	pgo_json_kv_double(
		j, "age_days", st->id[0] != '\0' ? (double)(st->age_ns / 1000000000) / 86400 : 0);
	if (s->manifest == NULL)
		return;
	pgo_json_kv_i64(j, "profiles", pgo_jval_i64(pgo_jval_get(w, "kept"), 0));
	pgo_json_kv_i64(j, "hosts", pgo_jval_i64(pgo_jval_get(w, "hosts"), 0));
	pgo_json_kv_double(
		j, "effective_hosts", pgo_jval_double(pgo_jval_get(w, "effective_hosts"), 0));
	pgo_json_kv_i64(j, "days", pgo_jval_i64(pgo_jval_get(w, "days"), 0));
	pgo_json_kv_str(j, "build_id", pgo_jval_str(pgo_jval_get(s->manifest, "build_id"), ""));
	pgo_json_kv_u64(j, "stale_outputs", s->stale_outputs);
}

static void json_event(const struct pgo_state_event *e, struct pgo_json *j)
{
	pgo_json_object(j);
	json_time(j, "time", e->time_ns);
	pgo_json_kv_str(j, "decision", e->decision);
	pgo_json_kv_str(j, "id", e->id);
	pgo_json_kv_str(j, "reason", e->reason);
	pgo_json_kv_i64(j, "exit", e->exit);
	pgo_json_end_object(j);
}

static void json_entries(const struct pgo_status *s, struct pgo_json *j)
{
	pgo_json_key(j, "entries");
	pgo_json_array(j);
	for (size_t i = 0; i < s->o->entries.n; i++) {
		const struct pgo_state_entry *e = &s->o->entries.of[i];
		struct pgo_state_story story;

		pgo_state_story(&s->o->log, e->id, &story);
		pgo_json_object(j);
		pgo_json_kv_str(j, "id", e->id);
		pgo_json_kv_str(j, "state", state_of(e, &story));
		json_time(j, "published", e->quarantined ? 0 : story.published_ns);
		pgo_json_kv_str(j, "reason", story.last != NULL ? story.last->reason : "");
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
}

void pgo_status_json(const struct pgo_status *s, bool all, struct pgo_json *j)
{
	const struct pgo_state_event *e = last_decision(s);
	struct pgo_buf next;

	pgo_buf_init(&next, 1 << 16);
	next_step(s, &next);
	pgo_json_object(j);
	pgo_json_kv_str(j, "target", s->o->target->name);
	json_use(s, j);
	pgo_json_key(j, "decided");
	if (e != NULL)
		json_event(e, j);
	else
		pgo_json_null(j);
	pgo_json_key(j, "kept");
	pgo_json_object(j);
	pgo_json_kv_u64(j, "results", s->n_published);
	pgo_json_kv_u64(j, "quarantine", s->n_quarantined);
	pgo_json_kv_u64(j, "profiles", s->n_profiles);
	pgo_json_kv_u64(j, "profile_bytes", s->profile_bytes);
	pgo_json_end_object(j);
	pgo_json_kv_str(j, "next", next.data != NULL ? next.data : "");
	if (all)
		json_entries(s, j);
	pgo_json_end_object(j);
	pgo_buf_fini(&next);
}
