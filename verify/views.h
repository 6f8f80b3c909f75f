/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Views of a verdict, all made from its one JSON object (pgo_verdict_json(), whose shape
 * verify/verdict.schema.json states), so that what is signed, what is commented on a change, what
 * the CI counts and what people look at cannot differ.  A verdict that lacks a part (an older one,
 * or one of a comparison that could not tell) is shown without it.
 *
 *	Markdown  for a comment on a change: the sentence, gates, what regressed and improved,
 *	          groups, layout; short enough for GitHub's 65,536 characters
 *	JUnit     for CI: the outcome, each gate and each listed function as a test case; what
 *	          regressed and gates that failed are failures, skipped gates are skipped
 *	HTML      one file that needs nothing else, no network and no fonts: readable without
 *	          scripts too, but for the flame graph.  Its policy for contents (a meta element)
 *	          allows our script by digest and nothing else to run
 *
 * Names may be anything (verify/escape.h).  Same verdict, same bytes.  All of them append to `out`,
 * which the caller checks.
 */
#ifndef PGO_VERIFY_VIEWS_H
#define PGO_VERIFY_VIEWS_H

#include "pgo/core/buf.h"
#include "pgo/core/json.h"

/* Of the JSON that is written, and the only one that is read. */
#define PGO_VERDICT_SCHEMA 2

void pgo_view_markdown(const struct pgo_jval *verdict, struct pgo_buf *out);
void pgo_view_junit(const struct pgo_jval *verdict, struct pgo_buf *out);
/* `json` is the text that `verdict` was parsed from: the page carries it, for its flame graph and
 * to be saved. */
void pgo_view_html(
	const struct pgo_jval *verdict, const char *json, size_t len, struct pgo_buf *out);

/*
 * Numbers as people read them, into buffers of PGO_VIEW_NUMBER: "–" where `v` is not a number.
 * A share or change: "6.1 %", with a sign "+6.1 %" or "−6.1 %"; three significant digits at least.
 */
#define PGO_VIEW_NUMBER 64
const char *pgo_view_share(double v, char *ret);
const char *pgo_view_change(double v, char *ret);
/* A value in a unit ("%", "hosts", "days", ""), as gates have them; 1234567 as "1,234,567". */
const char *pgo_view_value(double v, const char *unit, char *ret);
/* A member of an object, or not a number. */
double pgo_view_get(const struct pgo_jval *o, const char *key);
/* A key of a JSON object as words: "taken_branches_per_1000" -> "taken branches per 1000". */
void pgo_view_words(struct pgo_buf *out, const char *key);
/* "change" of a finding in words: a function that is new or gone has no ratio. */
const char *pgo_view_finding_change(const struct pgo_jval *finding, char *ret);
/*
 * Each figure of a "layout" object that both sides have, with what it is in words; none if either
 * side has no facts.
 */
typedef void (*pgo_view_pair_fn)(void *ctx, const char *what, double before, double after);
void pgo_view_layout(const struct pgo_jval *layout, pgo_view_pair_fn each, void *ctx);

/* Panels of the page about the two binaries: code layout, and whether the profile was applied. */
void pgo_view_html_layout(const struct pgo_jval *layout, struct pgo_buf *out);
void pgo_view_html_applied(const struct pgo_jval *applied, struct pgo_buf *out);

#endif
