/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pieces that our HTML pages are made of: a page that is one file and needs nothing else, its
 * panels, tables, gates and small graphs.  Style and script are verify/html/report.css and
 * report.js, compiled into the program.
 *
 * All append to `out`; the caller checks it at the end.  `text` is escaped; `html` is markup of
 * ours.  Graphs are inline SVG with a text that says the same to those who do not see it.
 */
#ifndef PGO_VERIFY_HTML_H
#define PGO_VERIFY_HTML_H

#include "pgo/core/buf.h"
#include "pgo/core/json.h"

#include <stdbool.h>
#include <stddef.h>

/* Everything up to the first panel.  `state` ("win", "loss", "fail", "warn", "pass", ...) picks the
 * badge, which says `badge`; `sentence` is the heading; `below` a line under it (NULL: none). */
void pgo_html_begin(struct pgo_buf *out, const char *title, const char *state, const char *badge,
	const char *sentence, const char *below);
/* The end; `json` (NULL: none) goes into the page as element "data". */
void pgo_html_end(struct pgo_buf *out, const char *json, size_t len);
void pgo_html_text(struct pgo_buf *out, const char *text);

void pgo_html_panel(struct pgo_buf *out, const char *id, const char *heading);
void pgo_html_panel_end(struct pgo_buf *out);
/* A panel that begins folded. */
void pgo_html_folded(struct pgo_buf *out, const char *id, const char *heading);
void pgo_html_folded_end(struct pgo_buf *out);
void pgo_html_paragraph(struct pgo_buf *out, const char *text);

/* A number with what it is: in a list of them. */
void pgo_html_facts(struct pgo_buf *out);
void pgo_html_fact(struct pgo_buf *out, const char *label, const char *value, const char *note);
void pgo_html_facts_end(struct pgo_buf *out);

struct pgo_html_column {
	const char *heading;
	bool number; /* right-aligned, sorted by value */
};
/* `caption` is for those who hear the page. Sortable by a click or key on a heading. */
void pgo_html_table(struct pgo_buf *out, const char *id, const char *caption,
	const struct pgo_html_column *columns, size_t n);
void pgo_html_row(struct pgo_buf *out, const char *state); /* NULL: none */
void pgo_html_cell(struct pgo_buf *out, const char *text);
void pgo_html_cell_name(
	struct pgo_buf *out, const char *name); /* of a function: breaks in long ones */
/* `sort` is what it is sorted by; not a number comes last. */
void pgo_html_cell_number(struct pgo_buf *out, double sort, const char *text);
/* A word with a mark before it; `state` as above, or a verdict of a finding or gate. */
void pgo_html_cell_state(struct pgo_buf *out, const char *state);
void pgo_html_row_end(struct pgo_buf *out);
void pgo_html_table_end(struct pgo_buf *out);

/* Rows of gates ({name, verdict, value, unit, warn, fail, above, source, why}), the worst first. */
void pgo_html_gates(struct pgo_buf *out, const char *id, const struct pgo_jval *gates);
/* An object as a table of its members; what is nested under "its: members"; empty ones left out. */
void pgo_html_object(struct pgo_buf *out, const char *id, const struct pgo_jval *o);

/* An interval on an axis with zero, `width` long: `low` to `high` around `middle`, within -+ span. */
void pgo_html_interval(struct pgo_buf *out, unsigned width, double low, double middle, double high,
	double span, const char *state);
/* Values over time; those that are not numbers are gaps. */
void pgo_html_sparkline(struct pgo_buf *out, const double *v, size_t n, const char *label);
/* Part of 1, as a bar. */
void pgo_html_bar(struct pgo_buf *out, double share);

#endif
