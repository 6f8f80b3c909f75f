/* SPDX-License-Identifier: Apache-2.0 */
/* The report on a target as one page. */
#include "pgo/weekly.h"

#include "pgo/core/alloc.h"
#include "pgo/core/opt.h"
#include "verify/html.h"
#include "verify/views.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define HOSTS_MAX 60
#define DECISIONS_MAX 30

static void count_cell(struct pgo_buf *out, uint64_t n)
{
	char text[PGO_VIEW_NUMBER];

	pgo_html_cell_number(out, (double)n, pgo_view_value((double)n, "", text));
}

static void share_cell(struct pgo_buf *out, double v)
{
	char text[PGO_VIEW_NUMBER];

	pgo_html_cell_number(out, v, pgo_view_share(v, text));
}

/* ---------------------------------------------------------------- the head */

static void time_fact(struct pgo_buf *out, const char *label, int64_t ns, const char *note)
{
	char time[40];

	pgo_format_time(ns, time, sizeof time);
	time[10] = '\0';
	pgo_html_fact(out, label, time, note);
}

static void number_fact(struct pgo_buf *out, const char *label, double v, const char *note)
{
	char text[PGO_VIEW_NUMBER];

	if (isfinite(v))
		pgo_html_fact(out, label, pgo_view_value(v, "", text), note);
}

static void share_fact(struct pgo_buf *out, const char *label, double v, const char *note)
{
	char text[PGO_VIEW_NUMBER];

	if (isfinite(v))
		pgo_html_fact(out, label, pgo_view_share(v, text), note);
}

static void glance(const struct pgo_weekly *w, struct pgo_buf *out)
{
	const struct pgo_weekly_result *r = w->used != NULL ? w->used : w->shown;
	const struct pgo_jval *weights, *account;
	char age[PGO_WEEKLY_AGE], how[120], number[PGO_VIEW_NUMBER];

	pgo_html_panel(out, "glance", "In use");
	if (w->standing.id[0] == '\0')
		pgo_html_paragraph(out, "Nothing. Builds go without a profile.");
	pgo_html_facts(out);
	if (w->standing.id[0] != '\0') {
		snprintf(how, sizeof how, "%s %s", w->standing.id,
			w->standing.pinned     ? "is pinned by a person"
			: w->standing.verified ? "was verified on a rollout"
					       : "passed its gates");
		time_fact(out, "Published", w->standing.published_ns, how);
		pgo_html_fact(out, "Confirmed", pgo_weekly_age(w->standing.age_ns, age), "ago");
		if (w->standing.expires_ns != 0)
			time_fact(out, w->standing.expired ? "Expired" : "Expires",
				w->standing.expires_ns, "then builds go without");
	}
	if (r != NULL) {
		weights = pgo_jval_get(r->manifest, "weights");
		account = pgo_jval_get(r->manifest, "account");
		snprintf(how, sizeof how, "as good as %s equal ones",
			pgo_view_value(pgo_view_get(weights, "effective_hosts"), "", number));
		number_fact(out, "Hosts", pgo_view_get(weights, "hosts"), how);
		share_fact(out, "Largest host", pgo_view_get(weights, "dominance"), "of the mass");
		number_fact(out, "Days", pgo_view_get(weights, "days"), "with profiles");
		number_fact(out, "Profiles", pgo_view_get(weights, "kept"), "merged");
		number_fact(out, "Hot functions", pgo_view_get(account, "functions_hot"),
			"have nearly all executions");
		number_fact(out, "Density", pgo_view_get(account, "density"),
			"times hot code was seen");
	}
	pgo_html_facts_end(out);
	pgo_html_panel_end(out);
}

/* ---------------------------------------------------------------- gates */

static void history(const struct pgo_weekly *w, const char *gate, struct pgo_buf *out)
{
	double v[2 * PGO_WEEKLY_RESULTS + 1];
	char label[200], first[PGO_VIEW_NUMBER], last[PGO_VIEW_NUMBER];
	size_t n = 0, known = 0;

	for (size_t i = 0; i < w->n_results && n < sizeof v / sizeof *v; i++) {
		v[n] = pgo_weekly_gate(&w->results[i], gate);
		known += isfinite(v[n]);
		n++;
	}
	pgo_buf_puts(out, "<td>");
	if (known > 1) {
		snprintf(label, sizeof label, "%zu results, from %s to %s", known,
			pgo_view_value(v[0], "", first), pgo_view_value(v[n - 1], "", last));
		pgo_html_sparkline(out, v, n, label);
	}
	pgo_buf_puts(out, "</td>");
}

static void gate(const struct pgo_weekly *w, const struct pgo_jval *g, struct pgo_buf *out)
{
	const char *unit = pgo_jval_text(g, "unit"), *verdict = pgo_jval_text(g, "verdict");
	double value = pgo_view_get(g, "value");
	struct pgo_buf label;
	char number[PGO_VIEW_NUMBER];

	pgo_buf_init(&label, (size_t)1 << 20);
	pgo_view_words(&label, pgo_jval_text(g, "name"));
	pgo_html_row(out, verdict);
	pgo_html_cell_state(out, verdict);
	pgo_buf_puts(out, "<th scope=\"row\">");
	pgo_html_text(out, label.data);
	pgo_buf_puts(out, "</th>");
	pgo_html_cell_number(out, value, pgo_view_value(value, unit, number));
	history(w, pgo_jval_text(g, "name"), out);
	value = pgo_view_get(g, "warn");
	pgo_html_cell_number(out, value, pgo_view_value(value, unit, number));
	value = pgo_view_get(g, "fail");
	pgo_html_cell_number(out, value, pgo_view_value(value, unit, number));
	pgo_buf_puts(out, "<td class=\"why\">");
	pgo_html_text(out, pgo_jval_text(g, "why"));
	pgo_buf_puts(out, " <small>limits: ");
	pgo_html_text(out, pgo_jval_text(g, "source"));
	pgo_buf_puts(out, "</small></td>");
	pgo_html_row_end(out);
	if (label.failed)
		out->failed = true;
	pgo_buf_fini(&label);
}

static void gates(const struct pgo_weekly *w, struct pgo_buf *out)
{
	static const struct pgo_html_column columns[] = {{"Verdict", false}, {"Gate", false},
		{"Value", true}, {"Over the weeks", false}, {"Warn at", true}, {"Fail at", true},
		{"Why", false}};
	static const char *const order[] = {"fail", "warn", "pass", "skipped"};
	const struct pgo_jval *list = pgo_jval_get(w->shown->manifest, "gates");
	char of[120];

	if (pgo_jval_len(list) == 0)
		return;
	snprintf(of, sizeof of, "Of the newest result, %s%s.", w->shown->entry->id,
		w->shown->entry->quarantined ? ", which is in quarantine"
		: w->shown == w->used        ? ", which is in use"
					     : "");
	pgo_html_panel(out, "gates", "Gates");
	pgo_html_paragraph(out, of);
	pgo_html_table(
		out, "gates", "Gates and their history", columns, sizeof columns / sizeof *columns);
	for (size_t k = 0; k < 4; k++)
		for (size_t i = 0; i < pgo_jval_len(list); i++)
			if (strcmp(pgo_jval_text(pgo_jval_at(list, i), "verdict"), order[k]) == 0)
				gate(w, pgo_jval_at(list, i), out);
	pgo_html_table_end(out);
	pgo_html_panel_end(out);
}

/* ---------------------------------------------------------------- where profiles come from */

static void map_head(const struct pgo_weekly_map *m, struct pgo_buf *out)
{
	char time[40];

	pgo_buf_puts(out,
		"<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Profiles by "
		"host "
		"and day\">\n<table class=\"map\"><caption>Profiles by host and day</caption>\n"
		"<thead><tr><th scope=\"col\">Host</th>");
	for (size_t d = 0; d < m->n_days; d++) {
		pgo_format_time(
			(m->first_day + (int64_t)d) * 86400 * 1000000000, time, sizeof time);
		/* Mondays by their date, so that weeks can be seen: 1970 began with a Thursday. */
		if ((m->first_day + (int64_t)d + 3) % 7 == 0 || m->n_days <= 7)
			pgo_buf_printf(
				out, "<th scope=\"col\" title=\"%.10s\">%.5s</th>", time, time + 5);
		else
			pgo_buf_printf(out, "<th scope=\"col\" title=\"%.10s\"></th>", time);
	}
	pgo_buf_puts(out,
		"<th scope=\"col\" class=\"n\">Profiles</th><th scope=\"col\" class=\"n\">Of the "
		"mass</th></tr></thead>\n<tbody>\n");
}

static void map_row(
	const struct pgo_weekly_map *m, const struct pgo_weekly_host *h, struct pgo_buf *out)
{
	pgo_html_row(out, h->profiles == 0 ? "silent" : NULL);
	pgo_buf_puts(out, "<th scope=\"row\">");
	pgo_html_text(out, h->host[0] != '\0' ? h->host : "(no host)");
	pgo_buf_puts(out, "</th>");
	for (size_t d = 0; d < m->n_days; d++) {
		uint64_t n = h->by_day[d];
		int level = n == 0 ? 0 : n == 1 ? 1 : n <= 3 ? 2 : n <= 9 ? 3 : 4;

		pgo_buf_printf(out,
			"<td class=\"m%d\" title=\"%" PRIu64 "\"><span>%" PRIu64 "</span></td>",
			level, n, n);
	}
	count_cell(out, h->profiles);
	share_cell(out, h->share);
	pgo_buf_puts(out, "</tr>\n");
}

static void coverage(const struct pgo_weekly *w, struct pgo_buf *out)
{
	const struct pgo_weekly_map *m = &w->map;
	char text[120];

	if (m->n_hosts == 0 || m->n_days == 0)
		return;
	pgo_html_panel(out, "coverage", "Where profiles come from");
	if (m->silent != 0) {
		snprintf(text, sizeof text, "%zu of %zu hosts had profiles before and %s none now.",
			m->silent, m->n_hosts, m->silent == 1 ? "has" : "have");
		pgo_html_paragraph(out, text);
	}
	map_head(m, out);
	for (size_t i = 0; i < m->n_hosts && i < HOSTS_MAX; i++)
		map_row(m, &m->hosts[i], out);
	pgo_html_table_end(out);
	pgo_buf_puts(out, "<p class=\"legend\"><span><i class=\"m0\"></i>none</span><span><i "
			  "class=\"c-1\"></i>"
			  "1</span><span><i class=\"m2\"></i>2 or 3</span><span><i "
			  "class=\"c-3\"></i>4 to 9</span>"
			  "<span><i class=\"m4\"></i>10 and more profiles of a day</span></p>\n");
	if (m->n_hosts > HOSTS_MAX) {
		snprintf(text, sizeof text, "And %zu more hosts.", m->n_hosts - HOSTS_MAX);
		pgo_html_paragraph(out, text);
	}
	if (m->earlier != 0) {
		snprintf(text, sizeof text, "%" PRIu64 " profiles are from before these days.",
			m->earlier);
		pgo_html_paragraph(out, text);
	}
	pgo_html_panel_end(out);
}

static void drops(const struct pgo_weekly *w, struct pgo_buf *out)
{
	static const struct pgo_html_column columns[] = {
		{"What became of them", false}, {"Profiles", true}, {"Share", true}, {"", false}};
	uint64_t all = 0, dropped = 0;

	for (size_t i = 0; i < w->map.n_hosts; i++)
		all += w->map.hosts[i].profiles;
	for (size_t i = 0; i < w->left_out.n; i++)
		dropped += w->left_out.of[i].n;
	if (all == 0)
		return;
	pgo_html_panel(out, "drops", "Profiles: used and left out");
	pgo_html_table(out, "drops", "Profiles used and left out", columns, 4);
	for (size_t i = 0; i <= w->left_out.n; i++) {
		uint64_t n = i == 0 ? all - dropped : w->left_out.of[i - 1].n;

		pgo_html_row(out, NULL);
		pgo_html_cell(out, i == 0 ? "merged" : w->left_out.of[i - 1].what);
		count_cell(out, n);
		share_cell(out, (double)n / (double)all);
		pgo_buf_puts(out, "<td>");
		pgo_html_bar(out, (double)n / (double)all);
		pgo_buf_puts(out, "</td>");
		pgo_html_row_end(out);
	}
	pgo_html_table_end(out);
	pgo_html_panel_end(out);
}

/* ---------------------------------------------------------------- functions and losses */

static void function(const struct pgo_weekly *w, const struct pgo_jval *f, struct pgo_buf *out)
{
	const char *name = pgo_jval_text(f, "name");
	double v[2 * PGO_WEEKLY_RESULTS + 1], share = pgo_view_get(f, "share"), before;
	char text[PGO_VIEW_NUMBER];
	size_t n = 0;

	for (size_t i = 0; i < w->n_results && n < sizeof v / sizeof *v; i++)
		v[n++] = pgo_weekly_function(&w->results[i], name);
	before = n > 1 ? v[n - 2] : NAN;
	pgo_html_row(out, NULL);
	pgo_html_cell_name(out, name);
	share_cell(out, share);
	share_cell(out, before);
	pgo_html_cell_number(out, share - before,
		isfinite(before) ? pgo_view_change(share - before, text)
		: n > 1          ? "not among the hottest"
				 : "–");
	pgo_buf_puts(out, "<td>");
	if (n > 1)
		pgo_html_sparkline(out, v, n, "share over the weeks");
	pgo_buf_puts(out, "</td>");
	pgo_html_row_end(out);
}

static void functions(const struct pgo_weekly *w, struct pgo_buf *out)
{
	static const struct pgo_html_column columns[] = {{"Function", false},
		{"Of executions", true}, {"Result before", true}, {"Moved", true},
		{"Over the weeks", false}};
	const struct pgo_jval *list =
		pgo_jval_get(pgo_jval_get(w->shown->manifest, "account"), "hottest");

	if (pgo_jval_len(list) == 0)
		return;
	pgo_html_panel(out, "functions", "Hottest functions");
	pgo_html_table(out, "functions", "Hottest functions and how they moved", columns,
		sizeof columns / sizeof *columns);
	for (size_t i = 0; i < pgo_jval_len(list); i++)
		function(w, pgo_jval_at(list, i), out);
	pgo_html_table_end(out);
	pgo_html_panel_end(out);
}

static void loss(uint64_t all, const char *part, const struct pgo_weekly_counts *c, bool adds,
	struct pgo_buf *out)
{
	struct pgo_buf label;

	pgo_buf_init(&label, 4096);
	for (size_t i = 0; i < c->n; i++) {
		pgo_buf_clear(&label);
		pgo_view_words(&label, c->of[i].what);
		pgo_html_row(out, NULL);
		pgo_html_cell(out, part);
		pgo_html_cell(out, label.data);
		count_cell(out, c->of[i].n);
		share_cell(out, (double)c->of[i].n / (double)all);
		pgo_buf_puts(out, "<td>");
		pgo_html_bar(out, (double)c->of[i].n / (double)all);
		pgo_buf_puts(out, "</td>");
		pgo_html_row_end(out);
	}
	pgo_html_row(out, adds ? NULL : "fail");
	pgo_html_cell(out, part);
	pgo_html_cell(out, adds ? "all that was read" : "read: DOES NOT ADD UP");
	count_cell(out, all);
	share_cell(out, 1);
	pgo_buf_puts(out, "<td></td>");
	pgo_html_row_end(out);
	if (label.failed)
		out->failed = true;
	pgo_buf_fini(&label);
}

static void losses(const struct pgo_weekly *w, struct pgo_buf *out)
{
	static const struct pgo_html_column columns[] = {{"Of", false},
		{"What became of it", false}, {"Count", true}, {"Share", true}, {"", false}};

	pgo_html_panel(out, "losses", "What was lost on the way");
	pgo_html_table(out, "losses", "What became of what was read", columns,
		sizeof columns / sizeof *columns);
	for (size_t k = 0; pgo_weekly_parts[k] != NULL; k++) {
		struct pgo_weekly_counts c = {0};
		bool nomem = false;
		uint64_t all;
		bool adds = pgo_weekly_account(w->shown, pgo_weekly_parts[k], &all, &c, &nomem);

		if (all != 0)
			loss(all, pgo_weekly_parts[k], &c, adds, out);
		if (nomem)
			out->failed = true;
		pgo_free(c.of);
	}
	pgo_html_table_end(out);
	pgo_html_panel_end(out);
}

/* ---------------------------------------------------------------- outputs and decisions */

static void outputs(const struct pgo_weekly *w, struct pgo_buf *out)
{
	static const struct pgo_html_column columns[] = {
		{"For", false}, {"File", false}, {"Bytes", true}, {"SHA-256", false}};
	const struct pgo_jval *list =
		w->used != NULL ? pgo_jval_get(w->used->manifest, "outputs") : NULL;

	if (pgo_jval_len(list) == 0)
		return;
	pgo_html_panel(out, "outputs", "Files in use");
	pgo_html_table(out, "outputs", "Files in use", columns, 4);
	for (size_t i = 0; i < pgo_jval_len(list); i++) {
		const struct pgo_jval *o = pgo_jval_at(list, i);

		pgo_html_row(out, NULL);
		pgo_html_cell(out, pgo_jval_text(o, "kind"));
		pgo_html_cell(out, pgo_jval_text(o, "path"));
		count_cell(out, (uint64_t)pgo_jval_i64(pgo_jval_get(o, "bytes"), 0));
		pgo_html_cell(out, pgo_jval_text(o, "sha256"));
		pgo_html_row_end(out);
	}
	pgo_html_table_end(out);
	pgo_html_panel_end(out);
}

static void decisions(const struct pgo_weekly *w, struct pgo_buf *out)
{
	static const struct pgo_html_column columns[] = {
		{"When", false}, {"Decision", false}, {"Result", false}, {"Why", false}};
	char time[40];

	if (w->log.n == 0)
		return;
	pgo_html_panel(out, "decisions", "Decisions");
	pgo_html_table(out, "decisions", "Decisions, the last first", columns, 4);
	for (size_t i = w->log.n; i-- > 0 && w->log.n - i <= DECISIONS_MAX;) {
		const struct pgo_state_event *e = &w->log.of[i];

		pgo_format_time(e->time_ns, time, sizeof time);
		time[10] = ' ';
		time[16] = '\0';
		pgo_html_row(out, e->decision);
		pgo_html_cell(out, time);
		pgo_html_cell_state(out, e->decision);
		pgo_html_cell(out, e->id);
		pgo_buf_puts(out, "<td class=\"why\">");
		pgo_html_text(out, e->reason);
		pgo_buf_puts(out, "</td>");
		pgo_html_row_end(out);
	}
	pgo_html_table_end(out);
	if (w->log.damaged != 0)
		pgo_html_paragraph(out, "Damaged lines of the log were passed over.");
	pgo_html_panel_end(out);
}

/* Green: a refresh that went as it should; red: somebody has to look. */
static const char *state_of(const struct pgo_weekly *w)
{
	static const char *const bad[] = {
		"quarantined", "failed", "expired", "rolled_back", "rejected"};
	const char *d = w->decision != NULL ? w->decision->decision : "";

	if (w->standing.id[0] == '\0' || w->standing.expired)
		return "fail";
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (strcmp(d, bad[i]) == 0)
			return "fail";
	return strcmp(d, "suppressed") == 0 || strcmp(d, "held") == 0 || w->standing.pinned
		       ? "warn"
		       : "pass";
}

void pgo_weekly_html(const struct pgo_weekly *w, struct pgo_buf *out)
{
	const char *state = state_of(w);
	struct pgo_buf title, badge;

	pgo_buf_init(&title, 4096);
	pgo_buf_init(&badge, 4096);
	pgo_buf_printf(&title, "pgo report: %.200s", w->target);
	pgo_view_words(&badge, w->standing.expired || w->standing.id[0] == '\0' ? "no_profile"
			       : w->decision != NULL ? w->decision->decision
						     : "in_use");
	if (title.failed || badge.failed) {
		out->failed = true;
	} else {
		pgo_html_begin(out, title.data, state, badge.data, w->sentence,
			w->decision != NULL && w->decision->reason[0] != '\0' ? w->decision->reason
									      : NULL);
		glance(w, out);
		if (w->shown != NULL) {
			gates(w, out);
			coverage(w, out);
			drops(w, out);
			functions(w, out);
			losses(w, out);
		}
		outputs(w, out);
		decisions(w, out);
		pgo_html_end(out, NULL, 0);
	}
	pgo_buf_fini(&title);
	pgo_buf_fini(&badge);
}
