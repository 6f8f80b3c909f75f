/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A verdict for CI, in the form that Jenkins, GitLab and others read: suites of cases, each with at
 * most one of <failure> and <skipped>, and free text in <system-out>.
 */
#include "verify/views.h"

#include "verify/escape.h"

#include <string.h>

enum result { PASSED, FAILED, SKIPPED };

static enum result outcome_result(const struct pgo_jval *v)
{
	const char *o = pgo_jval_text(v, "outcome");

	return strcmp(o, "loss") == 0             ? FAILED
	       : strcmp(o, "not_comparable") == 0 ? SKIPPED
						  : PASSED;
}

static enum result gate_result(const struct pgo_jval *g)
{
	const char *o = pgo_jval_text(g, "verdict");

	return strcmp(o, "fail") == 0 ? FAILED : strcmp(o, "skipped") == 0 ? SKIPPED : PASSED;
}

static enum result finding_result(const struct pgo_jval *f)
{
	return strcmp(pgo_jval_text(f, "verdict"), "regressed") == 0 ? FAILED : PASSED;
}

static void attribute(struct pgo_buf *out, const char *key, const char *value)
{
	pgo_buf_printf(out, " %s=\"", key);
	pgo_escape_add(out, PGO_ESCAPE_XML, value);
	pgo_buf_putc(out, '"');
}

static void test_case(struct pgo_buf *out, const char *suite, const char *name, enum result r,
	const char *message)
{
	pgo_buf_printf(out, "    <testcase classname=\"pgo.verify.%s\"", suite);
	attribute(out, "name", name);
	pgo_buf_puts(out, " time=\"0\">");
	if (r != PASSED) {
		pgo_buf_puts(out, r == FAILED ? "<failure type=\"verdict\"" : "<skipped");
		attribute(out, "message", message);
		pgo_buf_puts(out, "/>");
	} else {
		pgo_buf_puts(out, "<system-out>");
		pgo_escape_add(out, PGO_ESCAPE_XML, message);
		pgo_buf_puts(out, "</system-out>");
	}
	pgo_buf_puts(out, "</testcase>\n");
}

/* "regressed: 3.1 % -> 4.0 % of the whole (+29.0 %, 95 % interval +20.1 % to +38.4 %)" */
static void finding_case(struct pgo_buf *out, const struct pgo_jval *f)
{
	char before[PGO_VIEW_NUMBER], after[PGO_VIEW_NUMBER], change[PGO_VIEW_NUMBER];
	char low[PGO_VIEW_NUMBER], high[PGO_VIEW_NUMBER];
	struct pgo_buf message;

	pgo_buf_init(&message, 1024);
	pgo_buf_printf(&message, "%.20s: %s -> %s of the whole (%s, 95 %% interval %s to %s)",
		pgo_jval_text(f, "verdict"), pgo_view_share(pgo_view_get(f, "before"), before),
		pgo_view_share(pgo_view_get(f, "after"), after), pgo_view_finding_change(f, change),
		pgo_view_change(pgo_view_get(f, "low"), low),
		pgo_view_change(pgo_view_get(f, "high"), high));
	if (message.failed)
		out->failed = true;
	else
		test_case(out, "functions", pgo_jval_text(f, "name"), finding_result(f),
			message.data);
	pgo_buf_fini(&message);
}

struct count {
	size_t tests, failures, skipped;
};

static void count(struct count *c, enum result r)
{
	c->tests++;
	c->failures += r == FAILED;
	c->skipped += r == SKIPPED;
}

static void suite_begin(struct pgo_buf *out, const char *element, const char *name, struct count c)
{
	pgo_buf_printf(out,
		"%s name=\"%s\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\" "
		"time=\"0\">\n",
		element, name, c.tests, c.failures, c.skipped);
}

void pgo_view_junit(const struct pgo_jval *v, struct pgo_buf *out)
{
	const struct pgo_jval *gates = pgo_jval_get(v, "gates");
	const struct pgo_jval *findings = pgo_jval_get(v, "findings");
	const struct pgo_jval *builds = pgo_jval_get(pgo_jval_get(v, "applied"), "gates");
	/* Where there are gates, conditions are among them. */
	const struct pgo_jval *conditions =
		pgo_jval_len(gates) == 0 ? pgo_jval_get(v, "fail_if") : NULL;
	struct count of_outcome = {0}, of_gates = {0}, of_findings = {0}, all;

	count(&of_outcome, outcome_result(v));
	for (size_t i = 0; i < pgo_jval_len(gates); i++)
		count(&of_gates, gate_result(pgo_jval_at(gates, i)));
	for (size_t i = 0; i < pgo_jval_len(builds); i++)
		count(&of_gates, gate_result(pgo_jval_at(builds, i)));
	for (size_t i = 0; i < pgo_jval_len(conditions); i++)
		count(&of_gates, gate_result(pgo_jval_at(conditions, i)));
	for (size_t i = 0; i < pgo_jval_len(findings); i++)
		count(&of_findings, finding_result(pgo_jval_at(findings, i)));
	all.tests = of_outcome.tests + of_gates.tests + of_findings.tests;
	all.failures = of_outcome.failures + of_gates.failures + of_findings.failures;
	all.skipped = of_outcome.skipped + of_gates.skipped + of_findings.skipped;

	pgo_buf_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	suite_begin(out, "<testsuites", "pgo verify", all);
	suite_begin(out, "  <testsuite", "outcome", of_outcome);
	test_case(out, "outcome", "total", outcome_result(v), pgo_jval_text(v, "sentence"));
	pgo_buf_puts(out, "  </testsuite>\n");
	suite_begin(out, "  <testsuite", "gates", of_gates);
	for (size_t i = 0; i < pgo_jval_len(gates); i++) {
		const struct pgo_jval *g = pgo_jval_at(gates, i);

		test_case(out, "gates", pgo_jval_text(g, "name"), gate_result(g),
			pgo_jval_text(g, "why"));
	}
	for (size_t i = 0; i < pgo_jval_len(builds); i++) {
		const struct pgo_jval *g = pgo_jval_at(builds, i);

		test_case(out, "gates", pgo_jval_text(g, "name"), gate_result(g),
			pgo_jval_text(g, "why"));
	}
	for (size_t i = 0; i < pgo_jval_len(conditions); i++) {
		const struct pgo_jval *g = pgo_jval_at(conditions, i);

		test_case(out, "gates", pgo_jval_text(g, "gate"), gate_result(g), "--fail-if");
	}
	pgo_buf_puts(out, "  </testsuite>\n");
	suite_begin(out, "  <testsuite", "functions", of_findings);
	for (size_t i = 0; i < pgo_jval_len(findings); i++)
		finding_case(out, pgo_jval_at(findings, i));
	pgo_buf_puts(out, "  </testsuite>\n</testsuites>\n");
}
