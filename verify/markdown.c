/* SPDX-License-Identifier: Apache-2.0 */
/* A verdict as a comment on a change. */
#include "verify/views.h"

#include "pgo/core/alloc.h"
#include "verify/escape.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Rows of one table, and bytes of one name: 60 rows of 400 bytes stay far below GitHub's limit. */
#define ROWS_MAX 20
#define NAME_MAX_BYTES 160

static void escaped(struct pgo_buf *out, const char *s)
{
	pgo_escape_add(out, PGO_ESCAPE_MARKDOWN, s);
}

/* A name as code.  A long one loses its middle, never half a character. */
static void name(struct pgo_buf *out, const char *s)
{
	size_t len = strlen(s), head = NAME_MAX_BYTES * 2 / 3, tail = len - NAME_MAX_BYTES / 3;
	char *cut;

	pgo_buf_puts(out, "<code>");
	if (len <= NAME_MAX_BYTES) {
		escaped(out, s);
	} else {
		while (head > 0 && (s[head] & 0xc0) == 0x80)
			head--;
		while (tail < len && (s[tail] & 0xc0) == 0x80)
			tail++;
		cut = pgo_strndup(s, head);
		if (cut == NULL)
			out->failed = true;
		escaped(out, cut);
		pgo_buf_puts(out, "…");
		escaped(out, s + tail);
		pgo_free(cut);
	}
	pgo_buf_puts(out, "</code>");
}

static const char *outcome_mark(const char *outcome)
{
	return strcmp(outcome, "win") == 0              ? "✅ Win"
	       : strcmp(outcome, "loss") == 0           ? "❌ Loss"
	       : strcmp(outcome, "not_comparable") == 0 ? "⚠️ Not comparable"
							: "➖ No effect shown";
}

static const char *gate_mark(const char *verdict)
{
	return strcmp(verdict, "pass") == 0   ? "✅ pass"
	       : strcmp(verdict, "fail") == 0 ? "❌ fail"
	       : strcmp(verdict, "warn") == 0 ? "⚠️ warn"
					      : "⏭️ skipped";
}

static void gates(const char *heading, const struct pgo_jval *list, struct pgo_buf *out)
{
	char text[PGO_VIEW_NUMBER];
	size_t n = pgo_jval_len(list);

	if (n == 0)
		return;
	pgo_buf_printf(out, "\n### %s\n\n", heading);
	pgo_buf_puts(out, "| Gate | Verdict | Value | Warn / fail at | Why |\n"
			  "| --- | --- | ---: | ---: | --- |\n");
	for (size_t i = 0; i < n; i++) {
		const struct pgo_jval *g = pgo_jval_at(list, i);
		const char *unit = pgo_jval_text(g, "unit");

		pgo_buf_puts(out, "| ");
		escaped(out, pgo_jval_text(g, "name"));
		pgo_buf_printf(out, " | %s | ", gate_mark(pgo_jval_text(g, "verdict")));
		escaped(out, pgo_view_value(pgo_view_get(g, "value"), unit, text));
		pgo_buf_puts(out, " | ");
		escaped(out, pgo_view_value(pgo_view_get(g, "warn"), unit, text));
		pgo_buf_puts(out, " / ");
		escaped(out, pgo_view_value(pgo_view_get(g, "fail"), unit, text));
		pgo_buf_puts(out, " | ");
		escaped(out, pgo_jval_text(g, "why"));
		pgo_buf_puts(out, " |\n");
	}
}

static void finding_row(const struct pgo_jval *f, struct pgo_buf *out)
{
	char before[PGO_VIEW_NUMBER], after[PGO_VIEW_NUMBER], change[PGO_VIEW_NUMBER];
	char low[PGO_VIEW_NUMBER], high[PGO_VIEW_NUMBER];

	pgo_buf_puts(out, "| ");
	name(out, pgo_jval_text(f, "name"));
	pgo_buf_printf(out, " | %s | %s | %s | %s to %s |\n",
		pgo_view_share(pgo_view_get(f, "before"), before),
		pgo_view_share(pgo_view_get(f, "after"), after), pgo_view_finding_change(f, change),
		pgo_view_change(pgo_view_get(f, "low"), low),
		pgo_view_change(pgo_view_get(f, "high"), high));
}

/* The findings with one verdict. */
static void findings(const struct pgo_jval *list, const char *verdict, const char *heading,
	bool folded, struct pgo_buf *out)
{
	size_t n = 0, shown = 0;

	for (size_t i = 0; i < pgo_jval_len(list); i++)
		n += strcmp(pgo_jval_text(pgo_jval_at(list, i), "verdict"), verdict) == 0;
	if (n == 0)
		return;
	if (folded)
		pgo_buf_printf(out, "\n<details><summary>%s (%zu)</summary>\n\n", heading, n);
	else
		pgo_buf_printf(out, "\n### %s (%zu)\n\n", heading, n);
	pgo_buf_puts(out, "| Function | Before | After | Change | 95 % interval |\n"
			  "| --- | ---: | ---: | ---: | ---: |\n");
	for (size_t i = 0; i < pgo_jval_len(list) && shown < ROWS_MAX; i++) {
		const struct pgo_jval *f = pgo_jval_at(list, i);

		if (strcmp(pgo_jval_text(f, "verdict"), verdict) != 0)
			continue;
		finding_row(f, out);
		shown++;
	}
	if (shown < n)
		pgo_buf_printf(out, "\n… and %zu more in the JSON.\n", n - shown);
	if (folded)
		pgo_buf_puts(out, "\n</details>\n");
}

static void group_row(const struct pgo_jval *g, struct pgo_buf *out)
{
	const struct pgo_jval *members = pgo_jval_get(g, "members");
	char before[PGO_VIEW_NUMBER], after[PGO_VIEW_NUMBER], change[PGO_VIEW_NUMBER];
	size_t n = pgo_jval_len(members);

	pgo_buf_puts(out, "| ");
	for (size_t i = 0; i < n && i < 4; i++) {
		pgo_buf_puts(out, i != 0 ? ", " : "");
		name(out, pgo_jval_str(pgo_jval_at(members, i), ""));
	}
	if (n > 4)
		pgo_buf_printf(out, " and %zu more", n - 4);
	pgo_buf_puts(out, " | ");
	escaped(out, pgo_jval_text(g, "verdict"));
	pgo_buf_printf(out, " | %s | %s | %s |\n",
		pgo_view_share(pgo_view_get(g, "before"), before),
		pgo_view_share(pgo_view_get(g, "after"), after),
		pgo_view_finding_change(g, change));
}

static void groups(const struct pgo_jval *list, struct pgo_buf *out)
{
	size_t n = pgo_jval_len(list);

	if (n == 0)
		return;
	pgo_buf_printf(out,
		"\n<details><summary>Cost that inlining may have moved, judged together "
		"(%zu)</summary>"
		"\n\n| Functions | Verdict | Before | After | Change |\n| --- | --- | ---: | ---: "
		"| "
		"---: |\n",
		n);
	for (size_t i = 0; i < n && i < ROWS_MAX; i++)
		group_row(pgo_jval_at(list, i), out);
	if (n > ROWS_MAX)
		pgo_buf_printf(out, "\n… and %zu more in the JSON.\n", n - ROWS_MAX);
	pgo_buf_puts(out, "\n</details>\n");
}

struct pairs {
	struct pgo_buf *out;
	bool any;
};

static void pair(void *ctx, const char *what, double before, double after)
{
	char b[PGO_VIEW_NUMBER], a[PGO_VIEW_NUMBER], c[PGO_VIEW_NUMBER];
	struct pairs *p = ctx;

	if (!p->any)
		pgo_buf_puts(p->out,
			"\n<details><summary>Code layout</summary>\n\n"
			"| | Before | After | Change |\n| --- | ---: | ---: | ---: |\n");
	p->any = true;
	pgo_buf_puts(p->out, "| ");
	escaped(p->out, what);
	pgo_buf_printf(p->out, " | %s | %s | %s |\n", pgo_view_value(before, "", b),
		pgo_view_value(after, "", a),
		pgo_view_change(before > 0 ? after / before - 1 : NAN, c));
}

static void layout(const struct pgo_jval *l, struct pgo_buf *out)
{
	struct pairs p = {out, false};

	pgo_view_layout(l, pair, &p);
	if (p.any)
		pgo_buf_puts(out, "\n</details>\n");
}

static void notes(const struct pgo_jval *design, struct pgo_buf *out)
{
	const struct pgo_jval *list = pgo_jval_get(design, "notes");

	for (size_t i = 0; i < pgo_jval_len(list); i++) {
		pgo_buf_puts(out, i == 0 ? "\n" : "");
		pgo_buf_puts(out, "* ");
		escaped(out, pgo_jval_str(pgo_jval_at(list, i), ""));
		pgo_buf_putc(out, '\n');
	}
}

void pgo_view_markdown(const struct pgo_jval *v, struct pgo_buf *out)
{
	const struct pgo_jval *list = pgo_jval_get(v, "findings");

	/* Some sentences begin with the outcome themselves. */
	if (strncmp(pgo_jval_text(v, "sentence"), "no effect shown", 15) == 0)
		pgo_buf_puts(out, "## ➖ ");
	else
		pgo_buf_printf(out, "## %s: ", outcome_mark(pgo_jval_text(v, "outcome")));
	escaped(out, pgo_jval_text(v, "sentence"));
	pgo_buf_putc(out, '\n');
	if (*pgo_jval_text(pgo_jval_get(v, "applied"), "sentence") != '\0') {
		pgo_buf_putc(out, '\n');
		escaped(out, pgo_jval_text(pgo_jval_get(v, "applied"), "sentence"));
		pgo_buf_putc(out, '\n');
	}
	notes(pgo_jval_get(v, "design"), out);
	gates("Gates", pgo_jval_get(v, "gates"), out);
	gates("Gates of the build", pgo_jval_get(pgo_jval_get(v, "applied"), "gates"), out);
	findings(list, "regressed", "Slower", false, out);
	findings(list, "improved", "Faster", true, out);
	findings(list, "moved", "Only on one side: renamed, inlined, new", true, out);
	groups(pgo_jval_get(v, "groups"), out);
	layout(pgo_jval_get(v, "layout"), out);
}
