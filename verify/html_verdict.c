/* SPDX-License-Identifier: Apache-2.0 */
/* A verdict as one page: the sentence, gates, the flame graph, functions, layout, and how it was
 * measured. */
#include "verify/views.h"

#include "verify/html.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Rows of one table; the JSON has them all. */
#define ROWS_MAX 1000
/* A verdict larger than this is not whole in its page. */
#define ISLAND_MAX ((size_t)4 << 20)

static bool is(const struct pgo_jval *o, const char *key, const char *value)
{
	return strcmp(pgo_jval_text(o, key), value) == 0;
}

static const char *badge(const char *outcome)
{
	return strcmp(outcome, "win") == 0              ? "Win"
	       : strcmp(outcome, "loss") == 0           ? "Loss"
	       : strcmp(outcome, "not_comparable") == 0 ? "Not comparable"
							: "No effect shown";
}

/* ---------------------------------------------------------------- the summary */

/* "−7.0 % to −5.2 %" */
static void interval_words(struct pgo_buf *out, const struct pgo_jval *o)
{
	char low[PGO_VIEW_NUMBER], high[PGO_VIEW_NUMBER];

	pgo_buf_printf(out, "%s to %s", pgo_view_change(pgo_view_get(o, "low"), low),
		pgo_view_change(pgo_view_get(o, "high"), high));
}

/* The axis ends at a round number of per cents that holds the interval. */
static double axis(double low, double high)
{
	static const double ends[] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1};
	double most = fmax(fabs(low), fabs(high));

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (most <= ends[i] * 0.95)
			return ends[i];
	return most * 1.1;
}

static void total_graph(struct pgo_buf *out, const struct pgo_jval *total, const char *outcome)
{
	double low = pgo_view_get(total, "low"), high = pgo_view_get(total, "high");
	double span = axis(low, high);
	char end[PGO_VIEW_NUMBER], begin[PGO_VIEW_NUMBER], change[PGO_VIEW_NUMBER];

	if (!isfinite(low) || !isfinite(high) || !isfinite(span))
		return;
	pgo_buf_puts(out, "<figure class=\"total\"><div class=\"axis\">");
	pgo_html_interval(out, 640, low, pgo_view_get(total, "change"), high, span, outcome);
	pgo_buf_puts(out, "</div>");
	pgo_buf_printf(out,
		"<div class=\"ticks\" aria-hidden=\"true\"><span>%s</span><span>less cost</span>"
		"<span>0</span><span>more cost</span><span>%s</span></div>",
		pgo_view_change(-span, begin), pgo_view_change(span, end));
	pgo_buf_printf(out, "<figcaption>Change of the whole: <b>%s</b>, 95 %% interval ",
		pgo_view_change(pgo_view_get(total, "change"), change));
	interval_words(out, total);
	pgo_buf_puts(out, "</figcaption></figure>\n");
}

/* "4.31 M" */
static const char *short_count(double v, char *ret)
{
	return v >= 1e9   ? pgo_view_value(v / 1e9, "G", ret)
	       : v >= 1e6 ? pgo_view_value(v / 1e6, "M", ret)
			  : pgo_view_value(v, "", ret);
}

static void fact_count(struct pgo_buf *out, const char *label, double before, double after)
{
	char b[PGO_VIEW_NUMBER], a[PGO_VIEW_NUMBER], both[2 * PGO_VIEW_NUMBER + 8];

	if (!isfinite(before) || !isfinite(after) || before + after == 0)
		return;
	snprintf(both, sizeof both, "%s → %s", short_count(before, b), short_count(after, a));
	pgo_html_fact(out, label, both, "before → after");
}

static void fact_share(struct pgo_buf *out, const char *label, double v, const char *note)
{
	char text[PGO_VIEW_NUMBER];

	if (isfinite(v))
		pgo_html_fact(out, label, pgo_view_share(v, text), note);
}

/* "341", below it "274 to 408" */
static void fact_interval(struct pgo_buf *out, const char *label, const struct pgo_jval *o,
	const char *middle, const char *low, const char *high)
{
	char m[PGO_VIEW_NUMBER], a[PGO_VIEW_NUMBER], b[PGO_VIEW_NUMBER];
	char note[2 * PGO_VIEW_NUMBER + 8];

	if (!isfinite(pgo_view_get(o, middle)))
		return;
	snprintf(note, sizeof note, "%s to %s", pgo_view_value(pgo_view_get(o, low), "", a),
		pgo_view_value(pgo_view_get(o, high), "", b));
	pgo_html_fact(out, label, pgo_view_value(pgo_view_get(o, middle), "", m), note);
}

static void summary(struct pgo_buf *out, const struct pgo_jval *v)
{
	const struct pgo_jval *design = pgo_jval_get(v, "design"),
			      *total = pgo_jval_get(v, "total");
	const struct pgo_jval *before = pgo_jval_get(v, "before"),
			      *after = pgo_jval_get(v, "after");
	const struct pgo_jval *calibration = pgo_jval_get(v, "calibration");

	pgo_html_panel(out, "summary", "At a glance");
	total_graph(out, total, pgo_jval_text(v, "outcome"));
	pgo_html_facts(out);
	fact_share(out, "Smallest change that would show",
		pgo_view_get(total, "minimum_detectable"), "with 80 % power");
	fact_share(out, "A/A false positives", pgo_view_get(calibration, "false_positives"),
		"before against itself, at 5 %");
	fact_interval(out, "Cores saved", pgo_jval_get(v, "money"), "cores_saved", "cores_low",
		"cores_high");
	fact_interval(out, "Saved a year", pgo_jval_get(v, "money"), "saved_a_year", "saved_low",
		"saved_high");
	fact_share(out, "Overlap of functions", pgo_view_get(v, "overlap"),
		"100 % = the same mix of cost");
	fact_count(out, "Hosts", pgo_view_get(design, "hosts_before"),
		pgo_view_get(design, "hosts_after"));
	fact_count(
		out, "Profiles", pgo_view_get(before, "profiles"), pgo_view_get(after, "profiles"));
	fact_count(out, "Samples", pgo_view_get(before, "samples"), pgo_view_get(after, "samples"));
	pgo_html_facts_end(out);
	pgo_html_panel_end(out);
}

/* ---------------------------------------------------------------- gates */

/* Conditions of --fail-if: {gate, value, verdict}. */
static void conditions(struct pgo_buf *out, const struct pgo_jval *list)
{
	static const struct pgo_html_column columns[] = {
		{"Verdict", false}, {"Condition (--fail-if)", false}, {"Measured", true}};
	char text[PGO_VIEW_NUMBER];

	if (pgo_jval_len(list) == 0)
		return;
	pgo_html_table(out, "conditions", "Conditions that fail the verdict", columns, 3);
	for (size_t i = 0; i < pgo_jval_len(list); i++) {
		const struct pgo_jval *c = pgo_jval_at(list, i);
		bool failed = is(c, "verdict", "fail");
		double value = pgo_view_get(c, "value");

		pgo_html_row(out, failed ? "fail" : "pass");
		pgo_html_cell_state(out, failed ? "fail" : "pass");
		pgo_html_cell(out, pgo_jval_text(c, "gate"));
		pgo_html_cell_number(out, value, pgo_view_value(value, "%", text));
		pgo_html_row_end(out);
	}
	pgo_html_table_end(out);
}

static void gates(struct pgo_buf *out, const struct pgo_jval *v)
{
	const struct pgo_jval *rows = pgo_jval_get(v, "gates"), *extra = pgo_jval_get(v, "fail_if");
	const struct pgo_jval *builds = pgo_jval_get(pgo_jval_get(v, "applied"), "gates");

	if (pgo_jval_len(rows) + pgo_jval_len(extra) + pgo_jval_len(builds) == 0)
		return;
	pgo_html_panel(out, "gates", "Gates");
	if (pgo_jval_len(rows) != 0)
		pgo_html_gates(out, "gates", rows);
	if (pgo_jval_len(builds) != 0)
		pgo_html_gates(out, "build-gates", builds);
	/* Newer verdicts have them among the gates. */
	if (pgo_jval_len(rows) == 0)
		conditions(out, extra);
	pgo_html_panel_end(out);
}

/* ---------------------------------------------------------------- the flame graph */

/* The script fills it; what it does not have to make stands here. */
static void flame(struct pgo_buf *out, const struct pgo_jval *v)
{
	if (pgo_jval_len(pgo_jval_get(pgo_jval_get(v, "calltree"), "nodes")) == 0)
		return;
	pgo_html_panel(out, "flame", "Where it changed");
	pgo_buf_puts(out,
		"<noscript><p>The flame graph needs scripts. <code>pgo verify --folded</code> "
		"writes its "
		"stacks for other viewers.</p></noscript>\n"
		"<div class=\"tools\" hidden>\n"
		"<fieldset><legend>Show</legend>"
		"<label><input type=\"radio\" name=\"mode\" value=\"diff\" checked> "
		"Difference</label>"
		"<label><input type=\"radio\" name=\"mode\" value=\"before\"> Before</label>"
		"<label><input type=\"radio\" name=\"mode\" value=\"after\"> "
		"After</label></fieldset>\n"
		"<label class=\"find\">Search <input type=\"search\" id=\"find\" "
		"autocomplete=\"off\" "
		"spellcheck=\"false\" placeholder=\"part of a name\"></label>\n"
		"<button type=\"button\" id=\"reset\" disabled>Whole tree</button>\n"
		"</div>\n"
		"<p class=\"legend\" hidden><span><i class=\"c-4\"></i>less cost</span>"
		"<span><i class=\"c0\"></i>the same</span><span><i class=\"c4\"></i>more "
		"cost</span>"
		"<span><i class=\"c3 solid\"></i>solid: the function&#39;s own change is "
		"significant</span>"
		"<span><i class=\"c3 weak\"></i>hatched: it is not</span></p>\n"
		"<div id=\"trail\"></div>\n"
		"<div id=\"graph\" role=\"tree\" aria-label=\"Flame graph, callers above\" "
		"aria-describedby=\"keys\"></div>\n"
		"<p id=\"detail\" aria-live=\"polite\"></p>\n"
		"<p id=\"keys\" class=\"hint\" hidden>Click or <kbd>Enter</kbd> zooms, "
		"<kbd>Esc</kbd> "
		"shows the whole tree, arrow keys walk, <kbd>/</kbd> searches. Callers are "
		"above.</p>\n");
	pgo_html_panel_end(out);
}

/* ---------------------------------------------------------------- functions */

static double finding_span(const struct pgo_jval *list)
{
	double most = 0;

	for (size_t i = 0; i < pgo_jval_len(list) && i < 40; i++) {
		double change = fabs(pgo_view_get(pgo_jval_at(list, i), "change"));

		most = isfinite(change) && change > most ? change : most;
	}
	return most < 0.1 ? 0.1 : most > 0.5 ? 0.5 : most;
}

static void finding(struct pgo_buf *out, const struct pgo_jval *f, double span)
{
	double change = pgo_view_get(f, "change"), before = pgo_view_get(f, "before");
	double after = pgo_view_get(f, "after"), q = pgo_view_get(f, "q");
	double low = pgo_view_get(f, "low"), high = pgo_view_get(f, "high");
	const char *verdict = pgo_jval_text(f, "verdict");
	char text[PGO_VIEW_NUMBER];

	pgo_html_row(out, verdict);
	pgo_html_cell_name(out, pgo_jval_text(f, "name"));
	pgo_html_cell_state(out, verdict);
	pgo_html_cell_number(out, before, pgo_view_share(before, text));
	pgo_html_cell_number(out, after, pgo_view_share(after, text));
	pgo_html_cell_number(out, after - before, pgo_view_change(after - before, text));
	pgo_html_cell_number(out, change, pgo_view_finding_change(f, text));
	pgo_buf_puts(out, "<td class=\"ci\">");
	if (isfinite(low) && isfinite(high) && isfinite(change)) {
		pgo_html_interval(out, 160, low, change, high, span, verdict);
		pgo_buf_puts(out, "<span>");
		interval_words(out, f);
		pgo_buf_puts(out, "</span>");
	} else {
		pgo_buf_puts(out, "–");
	}
	pgo_buf_puts(out, "</td>");
	if (isfinite(q))
		snprintf(text, sizeof text, q < 0.0001 ? "< 0.0001" : "%.4f", q);
	else
		snprintf(text, sizeof text, "–");
	pgo_html_cell_number(out, q, text);
	pgo_html_row_end(out);
}

static void chips(struct pgo_buf *out, const struct pgo_jval *list)
{
	static const char *const verdicts[] = {
		"regressed", "improved", "moved", "unclear", "unchanged"};

	pgo_buf_puts(out, "<fieldset class=\"chips\" hidden><legend>List</legend>");
	for (size_t k = 0; k < sizeof verdicts / sizeof *verdicts; k++) {
		size_t n = 0;

		for (size_t i = 0; i < pgo_jval_len(list); i++)
			n += is(pgo_jval_at(list, i), "verdict", verdicts[k]);
		if (n != 0)
			pgo_buf_printf(out,
				"<label class=\"chip %s\"><input type=\"checkbox\" value=\"%s\" "
				"checked> "
				"%s <b>%zu</b></label>",
				verdicts[k], verdicts[k], verdicts[k], n);
	}
	pgo_buf_puts(out, "</fieldset>\n");
}

static void functions(struct pgo_buf *out, const struct pgo_jval *v)
{
	static const struct pgo_html_column columns[] = {{"Function", false}, {"Verdict", false},
		{"Before", true}, {"After", true}, {"Of the whole", true}, {"Change", true},
		{"95 % interval", false}, {"q", true}};
	const struct pgo_jval *list = pgo_jval_get(v, "findings");
	double small = pgo_view_get(v, "findings_not_listed");
	size_t n = pgo_jval_len(list);
	char text[200], count[PGO_VIEW_NUMBER];

	pgo_html_panel(out, "functions", "Functions");
	if (n == 0)
		pgo_html_paragraph(out, "No function is large enough to be listed.");
	else
		chips(out, list);
	if (n != 0) {
		double span = finding_span(list);

		pgo_html_table(out, "functions", "Functions by size of the change", columns,
			sizeof columns / sizeof *columns);
		for (size_t i = 0; i < n && i < ROWS_MAX; i++)
			finding(out, pgo_jval_at(list, i), span);
		pgo_html_table_end(out);
	}
	if (n > ROWS_MAX) {
		snprintf(text, sizeof text, "%zu more are in the JSON.", n - ROWS_MAX);
		pgo_html_paragraph(out, text);
	}
	if (small > 0) {
		snprintf(text, sizeof text, "%s more are too small to be listed.",
			pgo_view_value(small, "", count));
		pgo_html_paragraph(out, text);
	}
	pgo_html_panel_end(out);
}

static void group(struct pgo_buf *out, const struct pgo_jval *g)
{
	const struct pgo_jval *members = pgo_jval_get(g, "members");
	double before = pgo_view_get(g, "before"), after = pgo_view_get(g, "after");
	double q = pgo_view_get(g, "q");
	char text[PGO_VIEW_NUMBER];

	pgo_html_row(out, pgo_jval_text(g, "verdict"));
	pgo_buf_puts(out, "<th scope=\"row\" class=\"name\">");
	for (size_t i = 0; i < pgo_jval_len(members) && i < 50; i++) {
		pgo_buf_puts(out, i != 0 ? "<br><code>" : "<code>");
		pgo_html_text(out, pgo_jval_str(pgo_jval_at(members, i), ""));
		pgo_buf_puts(out, "</code>");
	}
	if (pgo_jval_len(members) > 50)
		pgo_buf_printf(out, "<br>and %zu more", pgo_jval_len(members) - 50);
	pgo_buf_puts(out, "</th>");
	pgo_html_cell_state(out, pgo_jval_text(g, "verdict"));
	pgo_html_cell_number(out, before, pgo_view_share(before, text));
	pgo_html_cell_number(out, after, pgo_view_share(after, text));
	pgo_html_cell_number(out, pgo_view_get(g, "change"), pgo_view_finding_change(g, text));
	snprintf(text, sizeof text, isfinite(q) ? "%.4f" : "–", q);
	pgo_html_cell_number(out, q, text);
	pgo_html_row_end(out);
}

static void groups(struct pgo_buf *out, const struct pgo_jval *list)
{
	static const struct pgo_html_column columns[] = {{"Functions", false}, {"Verdict", false},
		{"Before", true}, {"After", true}, {"Change", true}, {"q", true}};

	if (pgo_jval_len(list) == 0)
		return;
	pgo_html_panel(out, "groups", "Judged together");
	pgo_html_paragraph(out,
		"Functions between which the rebuild may have moved cost, by inlining "
		"one into another. A function is called regressed only if its group is.");
	pgo_html_table(
		out, "groups", "Groups of functions", columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; i < pgo_jval_len(list) && i < ROWS_MAX; i++)
		group(out, pgo_jval_at(list, i));
	pgo_html_table_end(out);
	pgo_html_panel_end(out);
}

/* ---------------------------------------------------------------- layout, and the rest */

/* An object of figures in a panel of its own, if it has any. */
static void figures(struct pgo_buf *out, const char *id, const char *heading,
	const struct pgo_jval *o, bool folded)
{
	const char *key;

	if (pgo_jval_member(o, 0, &key) == NULL)
		return;
	(folded ? pgo_html_folded : pgo_html_panel)(out, id, heading);
	pgo_html_object(out, id, o);
	(folded ? pgo_html_folded_end : pgo_html_panel_end)(out);
}

static void notes(struct pgo_buf *out, const struct pgo_jval *design)
{
	const struct pgo_jval *list = pgo_jval_get(design, "notes");

	if (pgo_jval_len(list) == 0)
		return;
	pgo_html_panel(out, "notes", "Notes");
	pgo_buf_puts(out, "<ul>\n");
	for (size_t i = 0; i < pgo_jval_len(list); i++) {
		pgo_buf_puts(out, "<li>");
		pgo_html_text(out, pgo_jval_str(pgo_jval_at(list, i), ""));
		pgo_buf_puts(out, "</li>\n");
	}
	pgo_buf_puts(out, "</ul>\n");
	pgo_html_panel_end(out);
}

static void count_gates(struct pgo_buf *ret, const struct pgo_jval *v)
{
	const struct pgo_jval *rows = pgo_jval_get(v, "gates");
	const struct pgo_jval *lists[] = {
		pgo_jval_len(rows) != 0 ? rows : pgo_jval_get(v, "fail_if"),
		pgo_jval_get(pgo_jval_get(v, "applied"), "gates")};
	size_t failed = 0, warned = 0;

	for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
		for (size_t i = 0; i < pgo_jval_len(lists[k]); i++) {
			failed += is(pgo_jval_at(lists[k], i), "verdict", "fail");
			warned += is(pgo_jval_at(lists[k], i), "verdict", "warn");
		}
	if (failed != 0)
		pgo_buf_printf(ret, "%zu gate%s failed. ", failed, failed == 1 ? "" : "s");
	if (warned != 0)
		pgo_buf_printf(ret, "%zu gate%s. ", warned, warned == 1 ? " warns" : "s warn");
}

/* "1 gate failed. Paired by host, cpu/nanoseconds per request, concurrent" */
static void below(struct pgo_buf *ret, const struct pgo_jval *v)
{
	const struct pgo_jval *design = pgo_jval_get(v, "design");
	const char *name = pgo_jval_text(design, "name"),
		   *replicate = pgo_jval_text(design, "replicate");

	count_gates(ret, v);
	if (*name == '\0')
		return;
	pgo_buf_printf(ret, "Design: %.60s, by %.60s; %.100s per %.60s", name, replicate,
		pgo_jval_text(design, "unit"), pgo_jval_text(design, "per"));
	if (pgo_jval_bool(pgo_jval_get(design, "concurrent"), false))
		pgo_buf_puts(ret, "; both sides at the same time");
	if (!pgo_jval_bool(pgo_jval_get(design, "causal"), true))
		pgo_buf_puts(ret, "; not proof of a cause");
}

/* ---------------------------------------------------------------- what the script reads */

static void copy_value(struct pgo_json *j, const struct pgo_jval *v)
{
	double number = pgo_jval_double(v, NAN);

	if (pgo_jval_str(v, NULL) != NULL)
		pgo_json_str(j, pgo_jval_str(v, NULL));
	else
		pgo_json_double(j, number);
}

static void copy_tree(struct pgo_json *j, const struct pgo_jval *tree)
{
	const struct pgo_jval *names = pgo_jval_get(tree, "names"),
			      *nodes = pgo_jval_get(tree, "nodes");

	pgo_json_key(j, "calltree");
	pgo_json_object(j);
	pgo_json_key(j, "names");
	pgo_json_array(j);
	for (size_t i = 0; i < pgo_jval_len(names); i++)
		pgo_json_str(j, pgo_jval_str(pgo_jval_at(names, i), ""));
	pgo_json_end_array(j);
	pgo_json_key(j, "nodes");
	pgo_json_array(j);
	for (size_t i = 0; i < pgo_jval_len(nodes); i++) {
		const struct pgo_jval *node = pgo_jval_at(nodes, i);

		pgo_json_array(j);
		for (size_t k = 0; k < pgo_jval_len(node); k++)
			copy_value(j, pgo_jval_at(node, k));
		pgo_json_end_array(j);
	}
	pgo_json_end_array(j);
	pgo_json_end_object(j);
}

/* Of a verdict that is too large for its page: what the flame graph needs. */
static void excerpt(struct pgo_buf *ret, const struct pgo_jval *v)
{
	static const char *const keys[] = {"name", "verdict", "change", "low", "high"};
	const struct pgo_jval *list = pgo_jval_get(v, "findings");
	struct pgo_json j;

	pgo_json_init(&j, ret, true);
	pgo_json_object(&j);
	pgo_json_kv_str(&j, "outcome", pgo_jval_text(v, "outcome"));
	pgo_json_key(&j, "findings");
	pgo_json_array(&j);
	for (size_t i = 0; i < pgo_jval_len(list) && i < ROWS_MAX; i++) {
		pgo_json_object(&j);
		for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
			pgo_json_key(&j, keys[k]);
			copy_value(&j, pgo_jval_get(pgo_jval_at(list, i), keys[k]));
		}
		pgo_json_end_object(&j);
	}
	pgo_json_end_array(&j);
	copy_tree(&j, pgo_jval_get(v, "calltree"));
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}

void pgo_view_html(const struct pgo_jval *v, const char *json, size_t len, struct pgo_buf *out)
{
	const struct pgo_jval *design = pgo_jval_get(v, "design");
	const char *outcome = pgo_jval_text(v, "outcome");
	struct pgo_buf line, short_json;

	pgo_buf_init(&short_json, (size_t)1 << 30);
	pgo_buf_init(&line, 4096);
	below(&line, v);
	pgo_html_begin(out, "pgo verify", *outcome != '\0' ? outcome : "no_effect_shown",
		badge(outcome), pgo_jval_text(v, "sentence"), line.data);
	if (line.failed)
		out->failed = true;
	pgo_buf_fini(&line);
	summary(out, v);
	notes(out, design);
	gates(out, v);
	flame(out, v);
	functions(out, v);
	groups(out, pgo_jval_get(v, "groups"));
	pgo_view_html_layout(pgo_jval_get(v, "layout"), out);
	pgo_view_html_applied(pgo_jval_get(v, "applied"), out);
	figures(out, "staleness", "Staleness", pgo_jval_get(v, "staleness"), false);
	figures(out, "money", "Money", pgo_jval_get(v, "money"), true);
	figures(out, "total", "The whole, in numbers", pgo_jval_get(v, "total"), true);
	figures(out, "design", "Design", design, true);
	figures(out, "calibration", "Calibration", pgo_jval_get(v, "calibration"), true);
	figures(out, "work", "Work", pgo_jval_get(v, "work"), true);
	if (len > ISLAND_MAX)
		excerpt(&short_json, v);
	if (short_json.failed)
		out->failed = true;
	pgo_html_end(out, len > ISLAND_MAX ? short_json.data : json,
		len > ISLAND_MAX ? short_json.len : len);
	pgo_buf_fini(&short_json);
}
