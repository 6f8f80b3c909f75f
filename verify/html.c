/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/html.h"

#include "pgo/core/sha256.h"
#include "verify/escape.h"
#include "verify/html_assets.h"
#include "verify/views.h"

#include <math.h>
#include <string.h>

void pgo_html_text(struct pgo_buf *out, const char *text)
{
	pgo_escape_add(out, PGO_ESCAPE_HTML, text);
}

/* ---------------------------------------------------------------- the page */

static void base64(struct pgo_buf *out, const unsigned char *p, size_t n)
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) |
			     (i + 2 < n ? p[i + 2] : 0);

		for (size_t k = 0; k < 4; k++)
			pgo_buf_putc(out, i + k <= n ? digit[v >> (18 - 6 * k) & 63] : '=');
	}
}

/* Nothing is loaded, nothing is sent, and no script runs but ours. */
static void policy(struct pgo_buf *out)
{
	struct pgo_sha256 s;
	uint8_t digest[32];

	pgo_sha256_init(&s);
	pgo_sha256_add(&s, pgo_html_js, pgo_html_js_len);
	pgo_sha256_final(&s, digest);
	pgo_buf_puts(out,
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		"style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
		"script-src 'sha256-");
	base64(out, digest, sizeof digest);
	pgo_buf_puts(out, "'\">\n");
}

void pgo_html_begin(struct pgo_buf *out, const char *title, const char *state, const char *badge,
	const char *sentence, const char *below)
{
	pgo_buf_puts(
		out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
	policy(out);
	pgo_buf_puts(out,
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		"<meta name=\"generator\" content=\"pgo " PGO_VERSION "\">\n"
		"<link rel=\"icon\" href=\"data:,\">\n<title>");
	pgo_html_text(out, badge);
	pgo_buf_puts(out, " – ");
	pgo_html_text(out, title);
	pgo_buf_puts(out, "</title>\n<style>\n");
	pgo_buf_add(out, pgo_html_css, pgo_html_css_len);
	pgo_buf_puts(out,
		"</style>\n</head>\n<body>\n"
		"<a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header class=\"");
	pgo_html_text(out, state);
	pgo_buf_puts(out, "\">\n<p class=\"kicker\"><span class=\"badge ");
	pgo_html_text(out, state);
	pgo_buf_puts(out, "\">");
	pgo_html_text(out, badge);
	pgo_buf_puts(out, "</span> <span>");
	pgo_html_text(out, title);
	pgo_buf_puts(out, "</span></p>\n<h1>");
	pgo_html_text(out, sentence);
	pgo_buf_puts(out, "</h1>\n");
	if (below != NULL) {
		pgo_buf_puts(out, "<p class=\"below\">");
		pgo_html_text(out, below);
		pgo_buf_puts(out, "</p>\n");
	}
	pgo_buf_puts(out, "</header>\n<main id=\"main\">\n");
}

void pgo_html_end(struct pgo_buf *out, const char *json, size_t len)
{
	pgo_buf_puts(out, "</main>\n<footer><p>Made by pgo " PGO_VERSION
			  ". This page is one file and loads nothing.</p></footer>\n");
	if (json != NULL) {
		pgo_buf_puts(out, "<script type=\"application/json\" id=\"data\">");
		pgo_escape_island(out, json, len);
		pgo_buf_puts(out, "</script>\n");
	}
	pgo_buf_puts(out, "<script>");
	pgo_buf_add(out, pgo_html_js, pgo_html_js_len);
	pgo_buf_puts(out, "</script>\n</body>\n</html>\n");
}

/* ---------------------------------------------------------------- panels */

void pgo_html_panel(struct pgo_buf *out, const char *id, const char *heading)
{
	pgo_buf_printf(
		out, "<section id=\"%s\" aria-labelledby=\"%s-h\">\n<h2 id=\"%s-h\">", id, id, id);
	pgo_html_text(out, heading);
	pgo_buf_puts(out, "</h2>\n");
}

void pgo_html_panel_end(struct pgo_buf *out)
{
	pgo_buf_puts(out, "</section>\n");
}

void pgo_html_folded(struct pgo_buf *out, const char *id, const char *heading)
{
	pgo_buf_printf(out, "<section id=\"%s\">\n<details>\n<summary><h2>", id);
	pgo_html_text(out, heading);
	pgo_buf_puts(out, "</h2></summary>\n");
}

void pgo_html_folded_end(struct pgo_buf *out)
{
	pgo_buf_puts(out, "</details>\n</section>\n");
}

void pgo_html_paragraph(struct pgo_buf *out, const char *text)
{
	pgo_buf_puts(out, "<p>");
	pgo_html_text(out, text);
	pgo_buf_puts(out, "</p>\n");
}

void pgo_html_facts(struct pgo_buf *out)
{
	pgo_buf_puts(out, "<dl class=\"facts\">\n");
}

void pgo_html_fact(struct pgo_buf *out, const char *label, const char *value, const char *note)
{
	pgo_buf_puts(out, "<div><dt>");
	pgo_html_text(out, label);
	pgo_buf_puts(out, "</dt><dd>");
	pgo_html_text(out, value);
	if (note != NULL) {
		pgo_buf_puts(out, "<small>");
		pgo_html_text(out, note);
		pgo_buf_puts(out, "</small>");
	}
	pgo_buf_puts(out, "</dd></div>\n");
}

void pgo_html_facts_end(struct pgo_buf *out)
{
	pgo_buf_puts(out, "</dl>\n");
}

/* ---------------------------------------------------------------- tables */

void pgo_html_table(struct pgo_buf *out, const char *id, const char *caption,
	const struct pgo_html_column *columns, size_t n)
{
	pgo_buf_printf(out,
		"<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"%s\">\n"
		"<table id=\"%s-table\">\n<caption>",
		caption, id);
	pgo_html_text(out, caption);
	pgo_buf_puts(out, "</caption>\n<thead><tr>");
	for (size_t i = 0; i < n; i++) {
		pgo_buf_printf(
			out, "<th scope=\"col\"%s>", columns[i].number ? " class=\"n\"" : "");
		pgo_html_text(out, columns[i].heading);
		pgo_buf_puts(out, "</th>");
	}
	pgo_buf_puts(out, "</tr></thead>\n<tbody>\n");
}

void pgo_html_row(struct pgo_buf *out, const char *state)
{
	if (state == NULL) {
		pgo_buf_puts(out, "<tr>");
		return;
	}
	pgo_buf_puts(out, "<tr class=\"");
	pgo_html_text(out, state);
	pgo_buf_puts(out, "\">");
}

void pgo_html_cell(struct pgo_buf *out, const char *text)
{
	pgo_buf_puts(out, "<td>");
	pgo_html_text(out, text);
	pgo_buf_puts(out, "</td>");
}

void pgo_html_cell_name(struct pgo_buf *out, const char *name)
{
	pgo_buf_puts(out, "<th scope=\"row\" class=\"name\"><code>");
	pgo_html_text(out, *name != '\0' ? name : "(no name)");
	pgo_buf_puts(out, "</code></th>");
}

void pgo_html_cell_number(struct pgo_buf *out, double sort, const char *text)
{
	pgo_buf_puts(out, "<td class=\"n\"");
	if (isfinite(sort))
		pgo_buf_printf(out, " data-v=\"%.9g\"", sort);
	pgo_buf_putc(out, '>');
	pgo_html_text(out, text);
	pgo_buf_puts(out, "</td>");
}

void pgo_html_cell_state(struct pgo_buf *out, const char *state)
{
	pgo_buf_puts(out, "<td><span class=\"state ");
	pgo_html_text(out, state);
	pgo_buf_puts(out, "\">");
	pgo_html_text(out, state);
	pgo_buf_puts(out, "</span></td>");
}

void pgo_html_row_end(struct pgo_buf *out)
{
	pgo_buf_puts(out, "</tr>\n");
}

void pgo_html_table_end(struct pgo_buf *out)
{
	pgo_buf_puts(out, "</tbody>\n</table>\n</div>\n");
}

/* ---------------------------------------------------------------- gates and objects */

/* A key, escaped, its underscores as blanks. */
static void words(struct pgo_buf *out, const char *key)
{
	struct pgo_buf label;

	pgo_buf_init(&label, (size_t)1 << 24);
	pgo_view_words(&label, key);
	if (label.failed)
		out->failed = true;
	else
		pgo_html_text(out, label.data);
	pgo_buf_fini(&label);
}

static void gate_row(struct pgo_buf *out, const struct pgo_jval *g)
{
	const char *unit = pgo_jval_str(pgo_jval_get(g, "unit"), "");
	const char *verdict = pgo_jval_str(pgo_jval_get(g, "verdict"), "skipped");
	double value = pgo_view_get(g, "value"), warn = pgo_view_get(g, "warn");
	double fail = pgo_view_get(g, "fail");
	char text[PGO_VIEW_NUMBER];

	pgo_html_row(out, verdict);
	pgo_html_cell_state(out, verdict);
	pgo_buf_puts(out, "<th scope=\"row\">");
	words(out, pgo_jval_str(pgo_jval_get(g, "name"), ""));
	pgo_buf_puts(out, "</th>");
	pgo_html_cell_number(out, value, pgo_view_value(value, unit, text));
	pgo_html_cell_number(out, warn, pgo_view_value(warn, unit, text));
	pgo_html_cell_number(out, fail, pgo_view_value(fail, unit, text));
	pgo_buf_puts(out, "<td class=\"why\">");
	pgo_html_text(out, pgo_jval_str(pgo_jval_get(g, "why"), ""));
	pgo_buf_puts(out, " <small>limits: ");
	pgo_html_text(out, pgo_jval_str(pgo_jval_get(g, "source"), "default"));
	pgo_buf_puts(out, "</small></td>");
	pgo_html_row_end(out);
}

void pgo_html_gates(struct pgo_buf *out, const char *id, const struct pgo_jval *gates)
{
	static const struct pgo_html_column columns[] = {{"Verdict", false}, {"Gate", false},
		{"Value", true}, {"Warn at", true}, {"Fail at", true}, {"Why", false}};
	static const char *const order[] = {"fail", "warn", "pass", "skipped"};

	pgo_html_table(out, id, "Gates", columns, sizeof columns / sizeof *columns);
	for (size_t k = 0; k < 4; k++)
		for (size_t i = 0; i < pgo_jval_len(gates); i++) {
			const struct pgo_jval *g = pgo_jval_at(gates, i);

			if (strcmp(pgo_jval_str(pgo_jval_get(g, "verdict"), "skipped"), order[k]) ==
				0)
				gate_row(out, g);
		}
	pgo_html_table_end(out);
}

/* A number, string or truth; NULL for anything else. */
static const char *scalar(const struct pgo_jval *v, char *number)
{
	double x = pgo_jval_double(v, NAN);

	if (!isnan(x))
		return pgo_view_value(x, "", number);
	if (pgo_jval_str(v, NULL) != NULL)
		return pgo_jval_str(v, NULL);
	if (pgo_jval_bool(v, true) == pgo_jval_bool(v, false))
		return pgo_jval_bool(v, false) ? "yes" : "no";
	return NULL;
}

#define DEPTH_MAX 4

static void members(
	struct pgo_buf *out, const struct pgo_jval *o, const struct pgo_buf *prefix, unsigned depth)
{
	const struct pgo_jval *v;
	char number[PGO_VIEW_NUMBER];
	const char *key, *text;
	struct pgo_buf label;

	pgo_buf_init(&label, (size_t)1 << 24);
	for (size_t i = 0; (v = pgo_jval_member(o, i, &key)) != NULL; i++) {
		pgo_buf_clear(&label);
		if (prefix != NULL)
			pgo_buf_printf(&label, "%s: ", prefix->data);
		pgo_view_words(&label, key);
		text = scalar(v, number);
		if (text != NULL && *text != '\0' && !label.failed) {
			pgo_buf_puts(out, "<tr><th scope=\"row\">");
			pgo_html_text(out, label.data);
			pgo_buf_puts(out, "</th>");
			if (isnan(pgo_jval_double(v, NAN)))
				pgo_html_cell(out, text);
			else
				pgo_html_cell_number(out, pgo_jval_double(v, NAN), text);
			pgo_buf_puts(out, "</tr>\n");
		} else if (text == NULL && depth < DEPTH_MAX && !label.failed) {
			members(out, v, &label, depth + 1);
		}
	}
	if (label.failed)
		out->failed = true;
	pgo_buf_fini(&label);
}

void pgo_html_object(struct pgo_buf *out, const char *id, const struct pgo_jval *o)
{
	static const struct pgo_html_column columns[] = {{"What", false}, {"Value", false}};

	pgo_html_table(out, id, "Figures", columns, 2);
	members(out, o, NULL, 0);
	pgo_html_table_end(out);
}

/* ---------------------------------------------------------------- small graphs */

/* To tenths, so that bytes do not depend on the last digits of a double. */
static double tenths(double x)
{
	return floor(x * 10 + 0.5) / 10;
}

static double onto(double v, double span, double width)
{
	double x = (v / span + 1) / 2 * width;

	return tenths(x < 1 ? 1 : x > width - 1 ? width - 1 : x);
}

void pgo_html_interval(struct pgo_buf *out, unsigned width, double low, double middle, double high,
	double span, const char *state)
{
	double a, b, m;

	if (!isfinite(low) || !isfinite(high) || !isfinite(middle) || !(span > 0))
		return;
	a = onto(low, span, width);
	b = onto(high, span, width);
	m = onto(middle, span, width);
	pgo_buf_puts(out, "<svg class=\"interval ");
	pgo_html_text(out, state);
	pgo_buf_printf(out,
		"\" viewBox=\"0 0 %u 14\" width=\"%u\" height=\"14\" aria-hidden=\"true\">"
		"<line class=\"zero\" x1=\"%u\" x2=\"%u\" y1=\"0\" y2=\"14\"/>"
		"<rect x=\"%.1f\" y=\"5\" width=\"%.1f\" height=\"4\" rx=\"2\"/>"
		"<circle cx=\"%.1f\" cy=\"7\" r=\"3.5\"/></svg>",
		width, width, width / 2, width / 2, a, b - a < 1 ? 1.0 : tenths(b - a), m);
}

void pgo_html_sparkline(struct pgo_buf *out, const double *v, size_t n, const char *label)
{
	double least = INFINITY, most = -INFINITY, x = 0, y = 0;
	bool pen = false;

	for (size_t i = 0; i < n; i++) {
		least = isfinite(v[i]) && v[i] < least ? v[i] : least;
		most = isfinite(v[i]) && v[i] > most ? v[i] : most;
	}
	if (!isfinite(least))
		return;
	pgo_buf_puts(out, "<svg class=\"spark\" viewBox=\"0 0 100 24\" width=\"100\" height=\"24\" "
			  "role=\"img\" aria-label=\"");
	pgo_html_text(out, label);
	pgo_buf_puts(out, "\"><path d=\"");
	for (size_t i = 0; i < n; i++) {
		if (!isfinite(v[i])) {
			pen = false;
			continue;
		}
		x = tenths(n > 1 ? 4 + 92.0 * (double)i / (double)(n - 1) : 96);
		y = tenths(most > least ? 20 - 16 * (v[i] - least) / (most - least) : 12);
		pgo_buf_printf(out, "%c%.1f %.1f", pen ? 'L' : 'M', x, y);
		pen = true;
	}
	pgo_buf_printf(out, "\"/><circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/></svg>", x, y);
}

void pgo_html_bar(struct pgo_buf *out, double share)
{
	double w = !(share > 0) ? 0 : share > 1 ? 100 : tenths(share * 100);

	pgo_buf_printf(out,
		"<svg class=\"bar\" viewBox=\"0 0 100 8\" width=\"100\" height=\"8\" "
		"preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"all\" "
		"width=\"100\" "
		"height=\"8\" rx=\"2\"/><rect width=\"%.1f\" height=\"8\" rx=\"2\"/></svg>",
		w);
}
