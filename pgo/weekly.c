/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/weekly.h"

#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"
#include "verify/views.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_NS ((int64_t)86400 * 1000000000)
/* Columns of the map: six weeks. */
#define DAYS_MAX 42
/* Results in which hosts are looked for that have no profile now. */
#define SILENT_RESULTS 6

const char *const pgo_weekly_parts[] = {"branches", "ranges", "plain", NULL};

/* ---------------------------------------------------------------- reading */

static int by_time(const void *a, const void *b)
{
	const struct pgo_weekly_result *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return strcmp(x->entry->id, y->entry->id);
}

static int load_result(struct pgo_weekly *w, const struct pgo_state_entry *e, struct pgo_err *err)
{
	struct pgo_err why = PGO_ERR_INIT;
	struct pgo_jval *manifest = pgo_state_doc(e, "manifest.json", &why);
	struct pgo_weekly_result *r;
	const char *time;

	if (manifest == NULL && why.code == PGO_ENOMEM)
		return pgo_err_nomem(err);
	if (manifest == NULL) {
		pgo_warn("%s; this result is left out", why.msg);
		return 0;
	}
	r = PGO_VEC_PUSH(w->results, w->n_results, w->results_room);
	if (r == NULL) {
		pgo_jdoc_free(manifest);
		return pgo_err_nomem(err);
	}
	r->entry = e;
	r->manifest = manifest;
	time = pgo_jval_str(pgo_jval_get(manifest, "time"), "");
	/* One without a time is as old as anything. */
	if (pgo_parse_time(time, w->now_ns, &r->time_ns, &why) < 0)
		r->time_ns = 0;
	return 0;
}

/* The newest ones of the entries from `first` on; they are by day. */
static int load_newest(struct pgo_weekly *w, bool quarantined, struct pgo_err *err)
{
	size_t n = 0, skip;
	int rc = 0;

	for (size_t i = 0; i < w->entries.n; i++)
		n += w->entries.of[i].quarantined == quarantined;
	skip = n > PGO_WEEKLY_RESULTS ? n - PGO_WEEKLY_RESULTS : 0;
	for (size_t i = 0; i < w->entries.n && rc == 0; i++) {
		const struct pgo_state_entry *e = &w->entries.of[i];

		if (e->quarantined != quarantined)
			continue;
		if (skip != 0 && !e->last_good)
			skip--;
		else
			rc = load_result(w, e, err);
	}
	return rc;
}

static void choose(struct pgo_weekly *w)
{
	if (w->n_results == 0)
		return;
	qsort(w->results, w->n_results, sizeof *w->results, by_time);
	w->shown = &w->results[w->n_results - 1];
	for (size_t i = 0; i < w->n_results; i++)
		if (strcmp(w->results[i].entry->id, w->standing.id) == 0 &&
			!w->results[i].entry->quarantined)
			w->used = &w->results[i];
	for (size_t i = w->n_results; i-- > 0 && w->used != NULL && w->earlier == NULL;)
		if (&w->results[i] < w->used && !w->results[i].entry->quarantined)
			w->earlier = &w->results[i];
}

/* Housekeeping is no decision about a result. */
static void find_decision(struct pgo_weekly *w)
{
	for (size_t i = w->log.n; i-- > 0 && w->decision == NULL;)
		if (strcmp(w->log.of[i].decision, "collected") != 0 &&
			strcmp(w->log.of[i].decision, "migrated") != 0)
			w->decision = &w->log.of[i];
}

/* ---------------------------------------------------------------- the map */

static int64_t day_of(int64_t ns)
{
	return ns / DAY_NS - (ns % DAY_NS < 0);
}

static int by_share(const void *a, const void *b)
{
	const struct pgo_weekly_host *x = a, *y = b;
	double s = isnan(x->share) ? -1 : x->share, t = isnan(y->share) ? -1 : y->share;

	if ((x->profiles == 0) != (y->profiles == 0))
		return x->profiles == 0 ? -1 : 1;
	if (s != t)
		return s > t ? -1 : 1;
	return strcmp(x->host, y->host);
}

/* By name while it is made: the plan is long, hosts are not. */
static struct pgo_weekly_host *host_of(struct pgo_weekly_map *m, const char *name)
{
	size_t low = 0, high = m->n_hosts;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int c = strcmp(m->hosts[mid].host, name);

		if (c == 0)
			return &m->hosts[mid];
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (PGO_VEC_PUSH(m->hosts, m->n_hosts, m->hosts_room) == NULL)
		return NULL;
	memmove(&m->hosts[low + 1], &m->hosts[low], (m->n_hosts - 1 - low) * sizeof *m->hosts);
	m->hosts[low] = (struct pgo_weekly_host){.host = name, .share = NAN};
	return &m->hosts[low];
}

/* Those of the results before: a host that went silent is what the map is looked at for. */
static int map_silent(struct pgo_weekly *w, struct pgo_err *err)
{
	struct pgo_weekly_map *m = &w->map;
	size_t last = (size_t)(w->shown - w->results);

	for (size_t i = last > SILENT_RESULTS ? last - SILENT_RESULTS : 0; i < last; i++) {
		const struct pgo_jval *hosts =
			pgo_jval_get(pgo_jval_get(w->results[i].manifest, "weights"), "by_host");

		for (size_t k = 0; k < pgo_jval_len(hosts); k++)
			if (host_of(m, pgo_jval_str(pgo_jval_get(pgo_jval_at(hosts, k), "host"),
					       "")) == NULL)
				return pgo_err_nomem(err);
	}
	for (size_t i = 0; i < m->n_hosts; i++)
		m->silent += m->hosts[i].profiles == 0;
	return 0;
}

static bool is_profile(const struct pgo_jval *p)
{
	return !pgo_jval_bool(pgo_jval_get(p, "blend"), false);
}

static int map_hosts(struct pgo_weekly *w, const struct pgo_jval *plan, struct pgo_err *err)
{
	const struct pgo_jval *shares =
		pgo_jval_get(pgo_jval_get(w->shown->manifest, "weights"), "by_host");
	struct pgo_weekly_map *m = &w->map;
	int64_t last = INT64_MIN, first = INT64_MAX;

	for (size_t i = 0; i < pgo_jval_len(plan); i++) {
		const struct pgo_jval *p = pgo_jval_at(plan, i);
		int64_t day = day_of(pgo_jval_i64(pgo_jval_get(p, "time_ns"), 0));
		struct pgo_weekly_host *h;

		if (!is_profile(p))
			continue;
		h = host_of(m, pgo_jval_str(pgo_jval_get(p, "host"), ""));
		if (h == NULL)
			return pgo_err_nomem(err);
		h->profiles++;
		last = day > last ? day : last;
		first = day < first ? day : first;
	}
	for (size_t i = 0; i < pgo_jval_len(shares); i++) {
		const struct pgo_jval *s = pgo_jval_at(shares, i);
		const char *name = pgo_jval_str(pgo_jval_get(s, "host"), "");
		struct pgo_weekly_host *h = host_of(m, name);

		if (h == NULL)
			return pgo_err_nomem(err);
		/* A host is there once a unit. */
		if (isnan(h->share) || pgo_view_get(s, "share") > h->share)
			h->share = pgo_view_get(s, "share");
	}
	if (map_silent(w, err) < 0)
		return err->code;
	if (first <= last) {
		m->first_day = last - first >= DAYS_MAX ? last - DAYS_MAX + 1 : first;
		m->n_days = (size_t)(last - m->first_day + 1);
	}
	return 0;
}

static int make_map(struct pgo_weekly *w, struct pgo_err *err)
{
	const struct pgo_jval *plan = pgo_jval_get(w->shown->manifest, "plan");
	struct pgo_weekly_map *m = &w->map;
	int rc = map_hosts(w, plan, err);

	if (rc < 0 || m->n_hosts == 0 || m->n_days == 0)
		return rc;
	m->cells = pgo_calloc(m->n_hosts * m->n_days, sizeof *m->cells);
	if (m->cells == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < m->n_hosts; i++)
		m->hosts[i].by_day = m->cells + i * m->n_days;
	for (size_t i = 0; i < pgo_jval_len(plan); i++) {
		const struct pgo_jval *p = pgo_jval_at(plan, i);
		int64_t day = day_of(pgo_jval_i64(pgo_jval_get(p, "time_ns"), 0)) - m->first_day;

		if (!is_profile(p))
			continue;
		if (day < 0)
			m->earlier++;
		else /* known by now: nothing is added */
			host_of(m, pgo_jval_str(pgo_jval_get(p, "host"), ""))->by_day[day]++;
	}
	qsort(m->hosts, m->n_hosts, sizeof *m->hosts, by_share);
	return 0;
}

/* ---------------------------------------------------------------- counts */

static int by_count(const void *a, const void *b)
{
	const struct pgo_weekly_count *x = a, *y = b;

	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return strcmp(x->what, y->what);
}

static int count(struct pgo_weekly_counts *c, const char *what, uint64_t n)
{
	struct pgo_weekly_count *one;

	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->of[i].what, what) == 0) {
			c->of[i].n += n;
			return 0;
		}
	one = PGO_VEC_PUSH(c->of, c->n, c->room);
	if (one == NULL)
		return -1;
	*one = (struct pgo_weekly_count){what, n};
	return 0;
}

/* Beyond that many reasons, they are one: reasons with numbers in them may all differ. */
#define REASONS_MAX 12

static int count_left_out(struct pgo_weekly *w, struct pgo_err *err)
{
	const struct pgo_jval *plan = pgo_jval_get(w->shown->manifest, "plan");

	for (size_t i = 0; i < pgo_jval_len(plan); i++) {
		const struct pgo_jval *p = pgo_jval_at(plan, i);
		const char *why = pgo_jval_str(pgo_jval_get(p, "why"), "");

		if (!is_profile(p) || pgo_jval_double(pgo_jval_get(p, "weight"), 1) != 0)
			continue;
		if (strncmp(why, "left out: ", 10) == 0)
			why += 10;
		if (w->left_out.n >= REASONS_MAX)
			why = "other reasons: see `pgo explain`";
		if (count(&w->left_out, why, 1) < 0)
			return pgo_err_nomem(err);
	}
	if (w->left_out.n != 0)
		qsort(w->left_out.of, w->left_out.n, sizeof *w->left_out.of, by_count);
	return 0;
}

bool pgo_weekly_account(const struct pgo_weekly_result *r, const char *part, uint64_t *ret_read,
	struct pgo_weekly_counts *ret, bool *ret_nomem)
{
	const struct pgo_jval *a = pgo_jval_get(pgo_jval_get(r->manifest, "account"), part), *v;
	uint64_t sum = 0;
	const char *key;

	*ret_read = (uint64_t)pgo_jval_i64(pgo_jval_get(a, "read"), 0);
	for (size_t i = 0; (v = pgo_jval_member(a, i, &key)) != NULL; i++) {
		uint64_t n = (uint64_t)pgo_jval_i64(v, 0);

		if (strcmp(key, "read") == 0 || n == 0)
			continue;
		sum += n;
		if (count(ret, key, n) < 0)
			*ret_nomem = true;
	}
	return sum == *ret_read;
}

double pgo_weekly_gate(const struct pgo_weekly_result *r, const char *name)
{
	const struct pgo_jval *gates = pgo_jval_get(r->manifest, "gates");

	for (size_t i = 0; i < pgo_jval_len(gates); i++) {
		const struct pgo_jval *g = pgo_jval_at(gates, i);

		if (strcmp(pgo_jval_str(pgo_jval_get(g, "name"), ""), name) == 0)
			return pgo_view_get(g, "value");
	}
	return NAN;
}

double pgo_weekly_function(const struct pgo_weekly_result *r, const char *name)
{
	const struct pgo_jval *list = pgo_jval_get(pgo_jval_get(r->manifest, "account"), "hottest");

	for (size_t i = 0; i < pgo_jval_len(list); i++) {
		const struct pgo_jval *f = pgo_jval_at(list, i);

		if (strcmp(pgo_jval_str(pgo_jval_get(f, "name"), ""), name) == 0)
			return pgo_view_get(f, "share");
	}
	return NAN;
}

/* ---------------------------------------------------------------- the sentence */

const char *pgo_weekly_age(int64_t ns, char *ret)
{
	int64_t hours = ns / 3600000000000, days = hours / 24;
	int64_t n = days >= 2 ? days : hours >= 2 ? hours : ns / 60000000000;

	snprintf(ret, PGO_WEEKLY_AGE, "%" PRId64 " %s%s", n,
		days >= 2    ? "day"
		: hours >= 2 ? "hour"
			     : "minute",
		n == 1 ? "" : "s");
	return ret;
}

static char *make_sentence(const struct pgo_weekly *w)
{
	const struct pgo_jval *weights =
		w->used != NULL ? pgo_jval_get(w->used->manifest, "weights") : NULL;
	const char *decision = w->decision != NULL ? w->decision->decision : "";
	char age[PGO_WEEKLY_AGE], last[PGO_WEEKLY_AGE];

	pgo_weekly_age(w->standing.age_ns, age);
	pgo_weekly_age(
		w->decision != NULL ? pgo_state_age(w->decision->time_ns, w->now_ns) : 0, last);
	if (w->standing.id[0] == '\0')
		return pgo_asprintf("%s: no profile is in use%s%s", w->target,
			w->decision != NULL ? "; last decision: " : "", decision);
	return pgo_asprintf("%s: a profile of %" PRId64 " hosts and %" PRId64
			    " days is in use, %s %s ago; "
			    "the last decision, %s ago: %s",
		w->target, pgo_jval_i64(pgo_jval_get(weights, "hosts"), 0),
		pgo_jval_i64(pgo_jval_get(weights, "days"), 0),
		w->standing.expired ? "but TOO OLD: confirmed" : "confirmed", age, last,
		w->decision != NULL ? decision : "none");
}

int pgo_weekly_load(const struct pgo_conf *c, const struct pgo_target *t, struct pgo_weekly *ret,
	struct pgo_err *err)
{
	int rc;

	*ret = (struct pgo_weekly){.target = t->name, .state = {.lock = -1}, .now_ns = pgo_now()};
	rc = pgo_state_open(c->state, t->name, &ret->state, err);
	if (rc == 0)
		rc = pgo_state_log_read(&ret->state, &ret->log, err);
	if (rc == 0)
		rc = pgo_state_list(&ret->state, &ret->entries, err);
	if (rc == 0 && ret->log.n == 0 && ret->entries.n == 0)
		rc = pgo_err_set(err, PGO_EEMPTY,
			"%s: nothing was decided about target '%s' yet: run `pgo run` first",
			ret->state.dir, t->name);
	if (rc == 0)
		rc = load_newest(ret, false, err);
	if (rc == 0)
		rc = load_newest(ret, true, err);
	if (rc < 0)
		return rc;
	pgo_state_standing(
		&ret->state, &ret->log, t->last_good_ttl_ns, ret->now_ns, &ret->standing);
	choose(ret);
	find_decision(ret);
	if (ret->shown != NULL && (make_map(ret, err) < 0 || count_left_out(ret, err) < 0))
		return err->code;
	ret->sentence = make_sentence(ret);
	return ret->sentence != NULL ? 0 : pgo_err_nomem(err);
}

void pgo_weekly_fini(struct pgo_weekly *w)
{
	for (size_t i = 0; i < w->n_results; i++)
		pgo_jdoc_free(w->results[i].manifest);
	pgo_free(w->results);
	pgo_free(w->map.hosts);
	pgo_free(w->map.cells);
	pgo_free(w->left_out.of);
	pgo_free(w->sentence);
	pgo_state_events_fini(&w->log);
	pgo_state_entries_fini(&w->entries);
	pgo_state_close(&w->state);
}

/* ---------------------------------------------------------------- writing */

static int write_form(const struct pgo_weekly *w, const char *path,
	void (*form)(const struct pgo_weekly *, struct pgo_buf *), struct pgo_err *err)
{
	struct pgo_buf out;
	int rc;

	pgo_buf_init(&out, (size_t)1 << 28);
	form(w, &out);
	rc = pgo_buf_check(&out, "the report", err);
	if (rc == 0)
		rc = pgo_file_write(path, out.data, out.len, err);
	pgo_buf_fini(&out);
	return rc;
}

/* reports/20261118T030000Z-published.html */
static char *own_path(const struct pgo_weekly *w)
{
	int64_t when = w->decision != NULL ? w->decision->time_ns : w->now_ns;
	char time[40];
	size_t n = 0;

	pgo_format_time(when, time, sizeof time);
	for (const char *p = time; *p != '\0'; p++)
		if (*p != '-' && *p != ':')
			time[n++] = *p;
	time[n] = '\0';
	return pgo_asprintf("%s/%s-%s.html", w->state.reports, time,
		w->decision != NULL ? w->decision->decision : "none");
}

/* x.html -> x.txt; x -> x.txt */
static char *text_path(const char *html)
{
	size_t n = strlen(html);

	if (n > 5 && strcmp(html + n - 5, ".html") == 0)
		n -= 5;
	return pgo_asprintf("%.*s.txt", (int)n, html);
}

int pgo_weekly_write(const struct pgo_weekly *w, const char *html, char **ret_html, char **ret_text,
	struct pgo_err *err)
{
	char *page = html != NULL ? pgo_strdup(html) : own_path(w), *text = NULL;
	int rc = 0;

	if (page == NULL)
		return pgo_err_nomem(err);
	if (html == NULL)
		rc = pgo_mkdirs(w->state.reports, err);
	if (rc == 0 && strcmp(page, "-") != 0 && (text = text_path(page)) == NULL)
		rc = pgo_err_nomem(err);
	if (rc == 0)
		rc = write_form(w, page, pgo_weekly_html, err);
	if (rc == 0 && text != NULL)
		rc = write_form(w, text, pgo_weekly_text, err);
	if (rc < 0) {
		pgo_free(page);
		pgo_free(text);
		return rc;
	}
	*ret_html = page;
	*ret_text = text;
	return 0;
}
