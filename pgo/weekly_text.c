/* SPDX-License-Identifier: Apache-2.0 */
/* The report on a target as text. */
#include "pgo/weekly.h"

#include "pgo/core/alloc.h"
#include "pgo/core/opt.h"
#include "verify/escape.h"
#include "verify/views.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define HOSTS_MAX 40
#define DECISIONS_MAX 10

static void name(struct pgo_buf *out, const char *s)
{
	pgo_escape_add(out, PGO_ESCAPE_TEXT, s);
}

static void in_use(const struct pgo_weekly *w, struct pgo_buf *out)
{
	char time[40];

	if (w->standing.id[0] != '\0') {
		pgo_format_time(w->standing.published_ns, time, sizeof time);
		pgo_buf_printf(out, "in use     %s, published %s%s%s\n", w->standing.id, time,
			w->standing.pinned ? ", pinned" : "",
			w->standing.verified ? ", verified" : "");
	}
	if (w->standing.expires_ns != 0) {
		pgo_format_time(w->standing.expires_ns, time, sizeof time);
		pgo_buf_printf(
			out, "%s    %s\n", w->standing.expired ? "expired" : "expires", time);
	}
	if (w->decision != NULL) {
		pgo_format_time(w->decision->time_ns, time, sizeof time);
		pgo_buf_printf(out, "last       %s: %s", time, w->decision->decision);
		if (w->decision->reason[0] != '\0') {
			pgo_buf_puts(out, ": ");
			name(out, w->decision->reason);
		}
		pgo_buf_putc(out, '\n');
	}
}

static void gate(const struct pgo_weekly *w, const struct pgo_jval *g, struct pgo_buf *out)
{
	const char *unit = pgo_jval_text(g, "unit"), *verdict = pgo_jval_text(g, "verdict");
	char value[PGO_VIEW_NUMBER], was[PGO_VIEW_NUMBER];
	double before =
		w->n_results > 1 ? pgo_weekly_gate(w->shown - 1, pgo_jval_text(g, "name")) : NAN;

	pgo_buf_printf(out, "  %-8s", verdict);
	name(out, pgo_jval_text(g, "name"));
	if (isfinite(pgo_view_get(g, "value"))) {
		pgo_buf_putc(out, ' ');
		name(out, pgo_view_value(pgo_view_get(g, "value"), unit, value));
	}
	if (isfinite(before)) {
		pgo_buf_puts(out, " (before: ");
		name(out, pgo_view_value(before, unit, was));
		pgo_buf_putc(out, ')');
	}
	if (strcmp(verdict, "pass") != 0) {
		pgo_buf_puts(out, ": ");
		name(out, pgo_jval_text(g, "why"));
	}
	pgo_buf_putc(out, '\n');
}

static void gates(const struct pgo_weekly *w, struct pgo_buf *out)
{
	static const char *const order[] = {"fail", "warn", "pass", "skipped"};
	const struct pgo_jval *list = pgo_jval_get(w->shown->manifest, "gates");

	pgo_buf_printf(out, "\ngates of %s%s\n", w->shown->entry->id,
		w->shown->entry->quarantined ? " (in quarantine)" : "");
	for (size_t k = 0; k < sizeof order / sizeof *order; k++)
		for (size_t i = 0; i < pgo_jval_len(list); i++)
			if (strcmp(pgo_jval_text(pgo_jval_at(list, i), "verdict"), order[k]) == 0)
				gate(w, pgo_jval_at(list, i), out);
}

static void map(const struct pgo_weekly *w, struct pgo_buf *out)
{
	const struct pgo_weekly_map *m = &w->map;
	char first[40], last[40], share[PGO_VIEW_NUMBER];

	if (m->n_hosts == 0 || m->n_days == 0)
		return;
	pgo_format_time(m->first_day * 86400 * 1000000000, first, sizeof first);
	pgo_format_time(
		(m->first_day + (int64_t)m->n_days - 1) * 86400 * 1000000000, last, sizeof last);
	pgo_buf_printf(out, "\nprofiles by host and day, %.10s to %.10s\n", first, last);
	if (m->silent != 0)
		pgo_buf_printf(out, "  %zu of %zu hosts had profiles before and have NONE now\n",
			m->silent, m->n_hosts);
	for (size_t i = 0; i < m->n_hosts && i < HOSTS_MAX; i++) {
		const struct pgo_weekly_host *h = &m->hosts[i];

		pgo_buf_puts(out, "  ");
		for (size_t d = 0; d < m->n_days; d++)
			pgo_buf_putc(out, h->by_day[d] == 0  ? '.'
					  : h->by_day[d] > 9 ? '+'
							     : (char)('0' + h->by_day[d]));
		pgo_buf_printf(out, "  %s of the mass, %" PRIu64 " profiles, ",
			pgo_view_share(h->share, share), h->profiles);
		name(out, h->host[0] != '\0' ? h->host : "(no host)");
		pgo_buf_putc(out, '\n');
	}
	if (m->n_hosts > HOSTS_MAX)
		pgo_buf_printf(out, "  and %zu more hosts\n", m->n_hosts - HOSTS_MAX);
	if (m->earlier != 0)
		pgo_buf_printf(
			out, "  %" PRIu64 " profiles are from before these days\n", m->earlier);
}

static void drops(const struct pgo_weekly *w, struct pgo_buf *out)
{
	uint64_t all = 0, dropped = 0;

	for (size_t i = 0; i < w->map.n_hosts; i++)
		all += w->map.hosts[i].profiles;
	for (size_t i = 0; i < w->left_out.n; i++)
		dropped += w->left_out.of[i].n;
	pgo_buf_printf(out, "\nprofiles: %" PRIu64 " = %" PRIu64 " merged + %" PRIu64 " left out\n",
		all, all - dropped, dropped);
	for (size_t i = 0; i < w->left_out.n; i++) {
		pgo_buf_printf(out, "  %" PRIu64 "  ", w->left_out.of[i].n);
		name(out, w->left_out.of[i].what);
		pgo_buf_putc(out, '\n');
	}
}

static void account(const struct pgo_weekly *w, struct pgo_buf *out)
{
	for (size_t k = 0; pgo_weekly_parts[k] != NULL; k++) {
		struct pgo_weekly_counts c = {0};
		bool nomem = false;
		uint64_t all;
		bool adds = pgo_weekly_account(w->shown, pgo_weekly_parts[k], &all, &c, &nomem);

		if (all != 0) {
			pgo_buf_printf(out, "\n%s read: %" PRIu64 "%s\n", pgo_weekly_parts[k], all,
				adds ? "" : "; what became of them DOES NOT ADD UP to that");
			for (size_t i = 0; i < c.n; i++) {
				pgo_buf_printf(out, "  %12" PRIu64 "  %5.1f %%  ", c.of[i].n,
					100 * (double)c.of[i].n / (double)all);
				pgo_view_words(out, c.of[i].what);
				pgo_buf_putc(out, '\n');
			}
		}
		pgo_free(c.of);
		if (nomem)
			out->failed = true;
	}
}

static void functions(const struct pgo_weekly *w, struct pgo_buf *out)
{
	const struct pgo_jval *list =
		pgo_jval_get(pgo_jval_get(w->shown->manifest, "account"), "hottest");
	char now[PGO_VIEW_NUMBER], was[PGO_VIEW_NUMBER];

	if (pgo_jval_len(list) == 0)
		return;
	pgo_buf_puts(
		out, "\nhottest functions: share of executions now, and in the result before\n");
	for (size_t i = 0; i < pgo_jval_len(list); i++) {
		const struct pgo_jval *f = pgo_jval_at(list, i);
		double before = w->n_results > 1 ? pgo_weekly_function(
							   w->shown - 1, pgo_jval_text(f, "name"))
						 : NAN;

		pgo_buf_printf(out, "  %7s  %7s  ", pgo_view_share(pgo_view_get(f, "share"), now),
			isfinite(before) ? pgo_view_share(before, was) : "-");
		name(out, pgo_jval_text(f, "name"));
		pgo_buf_putc(out, '\n');
	}
}

static void decisions(const struct pgo_weekly *w, struct pgo_buf *out)
{
	char time[40];

	if (w->log.n == 0)
		return;
	pgo_buf_puts(out, "\ndecisions, the last first\n");
	for (size_t i = w->log.n; i-- > 0 && w->log.n - i <= DECISIONS_MAX;) {
		const struct pgo_state_event *e = &w->log.of[i];

		pgo_format_time(e->time_ns, time, sizeof time);
		pgo_buf_printf(out, "  %s  %-11s  %s", time, e->decision, e->id);
		pgo_buf_puts(out, e->id[0] != '\0' ? "  " : "");
		name(out, e->reason);
		pgo_buf_putc(out, '\n');
	}
}

void pgo_weekly_text(const struct pgo_weekly *w, struct pgo_buf *out)
{
	name(out, w->sentence);
	pgo_buf_puts(out, "\n\n");
	in_use(w, out);
	if (w->shown != NULL) {
		gates(w, out);
		map(w, out);
		drops(w, out);
		account(w, out);
		functions(w, out);
	}
	decisions(w, out);
	if (w->log.damaged != 0)
		pgo_buf_printf(
			out, "%zu damaged lines of the log were passed over\n", w->log.damaged);
}
