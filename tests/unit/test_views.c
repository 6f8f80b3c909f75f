/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/escape.h"
#include "verify/views.h"

#include "pgo/core/alloc.h"
#include "tests/lib/scratch.h"

#include <math.h>
#include <string.h>

static const char verdict_text[] =
	"{\"schema\":2,\"kind\":\"verdict\",\"sentence\":\"CPU -6.1 % (95 % CI -7.0 to -5.2)\","
	"\"outcome\":\"win\",\"total\":{\"change\":-0.061,\"low\":-0.07,\"high\":-0.052},"
	"\"gates\":[{\"name\":\"mapped\",\"verdict\":\"fail\",\"value\":61.34,\"unit\":\"%\","
	"\"warn\":99,"
	"\"fail\":95,\"above\":false,\"source\":\"default\",\"why\":\"too little\"}],"
	"\"findings\":[{\"name\":\"a|b<c>*_`&\\\"\\u001b[0m\\u202e\",\"verdict\":\"regressed\","
	"\"before\":0.1,"
	"\"after\":0.2,\"change\":1,\"low\":0.9,\"high\":1.1,\"q\":0.01},"
	"{\"name\":\"fresh\",\"verdict\":\"moved\",\"before\":0,\"after\":0.2,\"change\":null}]}";

static char *escaped(enum pgo_escape kind, const char *s)
{
	static char ret[400];
	struct pgo_buf b;

	pgo_buf_init(&b, sizeof ret - 1);
	pgo_escape_add(&b, kind, s);
	assert_false(b.failed);
	memcpy(ret, b.data != NULL ? b.data : "", b.len);
	ret[b.len] = '\0';
	pgo_buf_fini(&b);
	return ret;
}

static void what_is_not_seen_becomes_visible(void **state)
{
	(void)state;
	assert_string_equal(escaped(PGO_ESCAPE_TEXT, "a\x1b[31m\nb\x7f"), "a\\x1b[31m\\x0ab\\x7f");
	assert_string_equal(escaped(PGO_ESCAPE_TEXT, "a\xe2\x80\xae"
						     "b\xef\xbb\xbf"),
		"a\\u202eb\\ufeff");
	assert_string_equal(escaped(PGO_ESCAPE_TEXT, "\xc2\x9b"
						     "2J \xf3\xa0\x80\x81"),
		"\\x9b2J \\U000e0001");
	assert_string_equal(escaped(PGO_ESCAPE_TEXT, "\xff\xc0\x80\xed\xa0\x80"),
		"\\xff\\xc0\\x80\\xed\\xa0\\x80");
	assert_string_equal(escaped(PGO_ESCAPE_TEXT, "größer 日本 <T>"), "größer 日本 <T>");
	assert_string_equal(escaped(PGO_ESCAPE_TEXT, NULL), "");
	assert_string_equal(escaped(PGO_ESCAPE_XML, "\x01\xef\xbf\xbe"), "\\x01\\ufffe");
}

static void each_document_has_its_own_syntax_escaped(void **state)
{
	(void)state;
	assert_string_equal(escaped(PGO_ESCAPE_HTML, "<a b=\"c\" d='e'>&"),
		"&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
	assert_string_equal(escaped(PGO_ESCAPE_XML, "]]>"), "]]&gt;");
	assert_string_equal(escaped(PGO_ESCAPE_MARKDOWN, "a|b<c>*_`[x](y)"),
		"a\\|b&lt;c&gt;\\*\\_\\`\\[x\\](y)");
	assert_string_equal(escaped(PGO_ESCAPE_MARKDOWN, "a\\|b \x07"), "a\\\\\\|b \\\\x07");
	/* Only at the start of a line do these begin anything; a sentence stays readable. */
	assert_string_equal(escaped(PGO_ESCAPE_MARKDOWN, "- CPU -6.1 %"), "\\- CPU -6.1 %");
	assert_string_equal(
		escaped(PGO_ESCAPE_MARKDOWN, "@you https://x"), "&#64;you https&#58;//x");
}

static void nothing_ends_the_island_it_is_in(void **state)
{
	const char json[] = "{\"a\":\"</script><!-- & \xe2\x80\xa8 \xe2\x80\xa9 \xe2\x80\xaa\"}";
	struct pgo_buf b;

	(void)state;
	pgo_buf_init(&b, 1000);
	pgo_escape_island(&b, json, sizeof json - 1);
	assert_string_equal(b.data,
		"{\"a\":\"\\u003c/script\\u003e\\u003c!-- \\u0026 \\u2028 \\u2029 \xe2\x80\xaa\"}");
	pgo_buf_fini(&b);
}

static void numbers_have_three_digits_and_a_sign_where_they_change(void **state)
{
	char n[PGO_VIEW_NUMBER];

	(void)state;
	assert_string_equal(pgo_view_share(0.4287, n), "42.9 %");
	assert_string_equal(pgo_view_share(0.00071, n), "0.071 %");
	assert_string_equal(pgo_view_share(1, n), "100 %");
	assert_string_equal(pgo_view_share(0, n), "0 %");
	assert_string_equal(pgo_view_change(-0.061, n), "−6.1 %");
	assert_string_equal(pgo_view_change(0.0082, n), "+0.82 %");
	assert_string_equal(pgo_view_change(-0.00001, n), "0 %");
	assert_string_equal(pgo_view_change(NAN, n), "–");
	assert_string_equal(pgo_view_change(INFINITY, n), "–");
	assert_string_equal(pgo_view_value(1234567, "hosts", n), "1,234,567 hosts");
	assert_string_equal(pgo_view_value(-3.25, "", n), "−3.25");
	assert_string_equal(pgo_view_value(95, "%", n), "95.0 %");
	assert_string_equal(pgo_view_value(1e300, "", n), "1.000e+300");
}

static struct pgo_buf made(
	void (*view)(const struct pgo_jval *, struct pgo_buf *), const char *json)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_jval *doc = pgo_jdoc_parse("verdict", json, strlen(json), &err);
	struct pgo_buf b;

	assert_non_null(doc);
	pgo_buf_init(&b, 1 << 20);
	view(doc, &b);
	assert_false(b.failed);
	pgo_jdoc_free(doc);
	return b;
}

static void markdown_is_a_comment_on_a_change(void **state)
{
	struct pgo_buf b = made(pgo_view_markdown, verdict_text);

	(void)state;
	assert_has(b.data, "## ✅ Win: CPU -6.1 % (95 % CI -7.0 to -5.2)\n");
	assert_has(b.data, "| mapped | ❌ fail | 61.3 % | 99.0 % / 95.0 % | too little |\n");
	assert_has(b.data, "### Slower (1)");
	assert_has(b.data, "| <code>a\\|b&lt;c&gt;\\*\\_\\`&amp;\"\\\\x1b\\[0m\\\\u202e</code> | "
			   "10.0 % | 20.0 % | +100 % | "
			   "+90.0 % to +110 % |\n");
	assert_has(b.data, "| <code>fresh</code> | 0 % | 20.0 % | new | – to – |\n");
	pgo_buf_fini(&b);
}

static void junit_counts_and_fails_what_failed(void **state)
{
	struct pgo_buf b = made(pgo_view_junit, verdict_text);

	(void)state;
	assert_has(b.data, "<testsuites name=\"pgo verify\" tests=\"4\" failures=\"2\" "
			   "errors=\"0\" skipped=\"0\"");
	assert_has(b.data, "name=\"mapped\" time=\"0\"><failure type=\"verdict\" message=\"too "
			   "little\"/></testcase>");
	assert_has(b.data, "name=\"a|b&lt;c&gt;*_`&amp;&quot;\\x1b[0m\\u202e\" time=\"0\"><failure "
			   "type=\"verdict\" "
			   "message=\"regressed: 10.0 % -&gt; 20.0 % of the whole (+100 %");
	assert_has(b.data, "name=\"fresh\" time=\"0\"><system-out>moved: 0 %");
	pgo_buf_fini(&b);
}

static void html(const struct pgo_jval *v, struct pgo_buf *out)
{
	pgo_view_html(v, verdict_text, sizeof verdict_text - 1, out);
}

static void a_page_escapes_and_is_the_same_each_time(void **state)
{
	struct pgo_buf a = made(html, verdict_text), b = made(html, verdict_text);

	(void)state;
	assert_has(a.data, "<h1>CPU -6.1 % (95 % CI -7.0 to -5.2)</h1>");
	assert_has(a.data, "<code>a|b&lt;c&gt;*_`&amp;&quot;\\x1b[0m\\u202e</code>");
	assert_has(a.data, "a|b\\u003cc\\u003e*_`\\u0026");
	assert_has(a.data, "1 gate failed.");
	assert_null(strstr(a.data, "http://"));
	assert_null(strstr(a.data, "https://"));
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	pgo_buf_fini(&a);
	pgo_buf_fini(&b);
}

static void a_verdict_without_parts_is_shown_without_them(void **state)
{
	static const char *const poor[] = {"{}", "[]",
		"{\"findings\":[{}],\"gates\":[{}],\"groups\":[{}]}",
		"{\"sentence\":3,\"outcome\":null,\"findings\":{},\"total\":[],\"layout\":{"
		"\"before\":{\"a\":{}}}}",
		"{\"findings\":[1,\"x\",null],\"calltree\":{\"nodes\":[[],1]},\"design\":{"
		"\"notes\":[1]}}"};

	(void)state;
	for (size_t i = 0; i < sizeof poor / sizeof *poor; i++) {
		struct pgo_buf a = made(html, poor[i]), b = made(pgo_view_markdown, poor[i]);
		struct pgo_buf c = made(pgo_view_junit, poor[i]);

		assert_has(a.data, "</html>");
		assert_has(b.data, "## ");
		assert_has(c.data, "</testsuites>");
		pgo_buf_fini(&a);
		pgo_buf_fini(&b);
		pgo_buf_fini(&c);
	}
}

static void out_of_memory_is_said_and_leaks_nothing(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_jval *doc = pgo_jdoc_parse("verdict", verdict_text, strlen(verdict_text), &err);
	uint64_t live = pgo_alloc_live(), n = 0;
	bool done = false;

	(void)state;
	assert_non_null(doc);
	for (; !done; n++) {
		struct pgo_buf b;

		assert_true(n < 10000);
		pgo_alloc_fail_after(n);
		pgo_buf_init(&b, 1 << 20);
		html(doc, &b);
		pgo_view_markdown(doc, &b);
		pgo_view_junit(doc, &b);
		done = !b.failed;
		pgo_buf_fini(&b);
		pgo_alloc_fail_after(UINT64_MAX);
		assert_int_equal(pgo_alloc_live(), live);
	}
	assert_true(n > 3);
	pgo_jdoc_free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_seen_becomes_visible),
		cmocka_unit_test(each_document_has_its_own_syntax_escaped),
		cmocka_unit_test(nothing_ends_the_island_it_is_in),
		cmocka_unit_test(numbers_have_three_digits_and_a_sign_where_they_change),
		cmocka_unit_test(markdown_is_a_comment_on_a_change),
		cmocka_unit_test(junit_counts_and_fails_what_failed),
		cmocka_unit_test(a_page_escapes_and_is_the_same_each_time),
		cmocka_unit_test(a_verdict_without_parts_is_shown_without_them),
		cmocka_unit_test(out_of_memory_is_said_and_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
