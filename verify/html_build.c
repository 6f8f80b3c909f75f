/* SPDX-License-Identifier: Apache-2.0 */
/* The panels of a verdict's page about the two builds: code layout, and whether the profile was
 * applied. */
#include "verify/views.h"

#include "verify/html.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct pgo_html_column pair_columns[] = {
	{"", false}, {"Before", true}, {"After", true}, {"Change", true}};

static void pair(void *ctx, const char *what, double before, double after)
{
	struct pgo_buf *out = ctx;
	double change = before > 0 ? after / before - 1 : NAN;
	char text[PGO_VIEW_NUMBER];

	pgo_html_row(out, NULL);
	pgo_buf_puts(out, "<th scope=\"row\">");
	pgo_html_text(out, what);
	pgo_buf_puts(out, "</th>");
	pgo_html_cell_number(out, before, pgo_view_value(before, "", text));
	pgo_html_cell_number(out, after, pgo_view_value(after, "", text));
	pgo_html_cell_number(out, change, pgo_view_change(change, text));
	pgo_html_row_end(out);
}

void pgo_view_html_layout(const struct pgo_jval *layout, struct pgo_buf *out)
{
	const struct pgo_jval *before = pgo_jval_get(layout, "before"),
			      *after = pgo_jval_get(layout, "after");
	const char *why = pgo_jval_text(before, "why"), *key;

	if (*why == '\0')
		why = pgo_jval_text(after, "why");
	if (pgo_jval_member(before, 0, &key) == NULL || pgo_jval_member(after, 0, &key) == NULL)
		return;
	pgo_html_panel(out, "layout", "Code layout");
	if (*why != '\0') {
		pgo_html_paragraph(out, why);
	} else {
		pgo_html_table(out, "layout", "Layout of the code that ran", pair_columns, 4);
		pgo_view_layout(layout, pair, out);
		pgo_html_table_end(out);
	}
	pgo_html_panel_end(out);
}

/* ---------------------------------------------------------------- applied */

static void shares(const struct pgo_jval *a, struct pgo_buf *out)
{
	static const struct {
		const char *key, *what;
	} rows[] = {{"changed", "code changed"}, {"inlined", "inlined into others"},
		{"straight", "straight code, which no profile changes"},
		{"same", "the same code as before"}, {"gone", "not there any more"}};
	static const struct pgo_html_column columns[] = {
		{"What became of it", false}, {"Share", true}, {"", false}};
	bool mass = strcmp(pgo_jval_text(a, "shares_of"), "profile") == 0;
	char text[PGO_VIEW_NUMBER];

	pgo_html_paragraph(out,
		mass ? "Shares are of what the profile counts." : "Shares are of the code before.");
	pgo_html_table(out, "applied", "What became of the functions", columns, 3);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		double v = pgo_view_get(a, rows[i].key);

		if (!(v > 0))
			continue;
		pgo_html_row(out, NULL);
		pgo_html_cell(out, rows[i].what);
		pgo_html_cell_number(out, v, pgo_view_share(v, text));
		pgo_buf_puts(out, "<td>");
		pgo_html_bar(out, v);
		pgo_buf_puts(out, "</td>");
		pgo_html_row_end(out);
	}
	pgo_html_table_end(out);
}

static void sides(const struct pgo_jval *a, struct pgo_buf *out)
{
	static const struct {
		const char *key, *what;
	} rows[] = {{"text", "bytes of code"}, {"hot", "of them, hot"}, {"functions", "functions"},
		{"cold_parts", "cold parts split off"}, {"cold_bytes", "bytes in them"},
		{"hot_section", "bytes in sections for hot code"},
		{"cold_section", "bytes in sections for cold code"},
		{"units_told", "units compiled with a profile"}, {"units", "of so many units"}};
	const struct pgo_jval *before = pgo_jval_get(a, "before"),
			      *after = pgo_jval_get(a, "after");

	pgo_html_table(out, "builds", "The two builds", pair_columns, 4);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		double b = pgo_view_get(before, rows[i].key), c = pgo_view_get(after, rows[i].key);

		if (b > 0 || c > 0)
			pair(out, rows[i].what, b, c);
	}
	pgo_html_table_end(out);
}

static void sizes(const struct pgo_jval *list, struct pgo_buf *out)
{
	static const struct pgo_html_column columns[] = {{"Function", false}, {"Share", true},
		{"Bytes before", true}, {"Bytes after", true}, {"Code", false}};
	char text[PGO_VIEW_NUMBER];

	if (pgo_jval_len(list) == 0)
		return;
	pgo_html_table(out, "sizes", "The functions that count most", columns, 5);
	for (size_t i = 0; i < pgo_jval_len(list); i++) {
		const struct pgo_jval *f = pgo_jval_at(list, i);
		double share = pgo_view_get(f, "share"), before = pgo_view_get(f, "before");
		double after = pgo_view_get(f, "after");

		pgo_html_row(out, NULL);
		pgo_html_cell_name(out, pgo_jval_text(f, "name"));
		pgo_html_cell_number(out, share, pgo_view_share(share, text));
		pgo_html_cell_number(out, before, pgo_view_value(before, "", text));
		pgo_html_cell_number(out, after, pgo_view_value(after, "", text));
		pgo_html_cell(out,
			pgo_jval_bool(pgo_jval_get(f, "same"), false) ? "the same" : "changed");
		pgo_html_row_end(out);
	}
	pgo_html_table_end(out);
}

void pgo_view_html_applied(const struct pgo_jval *a, struct pgo_buf *out)
{
	const char *option = pgo_jval_text(pgo_jval_get(a, "after"), "option");
	const char *bolt = pgo_jval_text(pgo_jval_get(a, "after"), "bolt");
	const char *key;

	if (pgo_jval_member(a, 0, &key) == NULL)
		return;
	pgo_html_panel(out, "applied", "Was the profile applied?");
	if (*pgo_jval_text(a, "sentence") != '\0')
		pgo_html_paragraph(out, pgo_jval_text(a, "sentence"));
	if (*option != '\0') {
		pgo_buf_puts(out, "<p>The build says <code>");
		pgo_html_text(out, option);
		pgo_buf_puts(out, "</code>.</p>\n");
	}
	if (*bolt != '\0') {
		pgo_buf_puts(out, "<p>llvm-bolt notes <code>");
		pgo_html_text(out, bolt);
		pgo_buf_puts(out, "</code>.</p>\n");
	}
	shares(a, out);
	sides(a, out);
	sizes(pgo_jval_get(a, "functions"), out);
	pgo_html_panel_end(out);
}
