/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/json.h"
#include "tests/lib/scratch.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void write_sample(struct pgo_json *j)
{
	pgo_json_object(j);
	pgo_json_kv_str(j, "name", "web");
	pgo_json_key(j, "list");
	pgo_json_array(j);
	pgo_json_u64(j, 1);
	pgo_json_object(j);
	pgo_json_end_object(j);
	pgo_json_array(j);
	pgo_json_end_array(j);
	pgo_json_null(j);
	pgo_json_end_array(j);
	pgo_json_kv_bool(j, "ok", true);
	pgo_json_kv_i64(j, "low", INT64_MIN);
	pgo_json_kv_u64(j, "high", UINT64_MAX);
	pgo_json_kv_double(j, "share", 0.25);
	pgo_json_kv_str(j, "none", NULL);
	pgo_json_end_object(j);
	pgo_json_finish(j);
}

static void nesting_commas_and_indentation_are_right(void **state)
{
	struct pgo_buf b;
	struct pgo_json j;

	(void)state;
	pgo_buf_init(&b, 10000);
	pgo_json_init(&j, &b, true);
	write_sample(&j);
	assert_string_equal(b.data,
		"{\"name\":\"web\",\"list\":[1,{},[],null],\"ok\":true,"
		"\"low\":-9223372036854775808,\"high\":18446744073709551615,\"share\":0.25,"
		"\"none\":null}\n");
	pgo_buf_clear(&b);
	pgo_json_init(&j, &b, false);
	write_sample(&j);
	assert_string_equal(b.data, "{\n"
				    "  \"name\": \"web\",\n"
				    "  \"list\": [\n"
				    "    1,\n"
				    "    {},\n"
				    "    [],\n"
				    "    null\n"
				    "  ],\n"
				    "  \"ok\": true,\n"
				    "  \"low\": -9223372036854775808,\n"
				    "  \"high\": 18446744073709551615,\n"
				    "  \"share\": 0.25,\n"
				    "  \"none\": null\n"
				    "}\n");
	pgo_buf_fini(&b);
}

static void strings_are_escaped_and_made_utf8(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"", "\"\"\n"},
		{"a\"b\\c/", "\"a\\\"b\\\\c/\"\n"},
		{"\n\t\r\1\x1f\x7f", "\"\\n\\t\\r\\u0001\\u001f\\u007f\"\n"},
		{"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
			"\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"\n"},
		{"\xff", "\"\\ufffd\"\n"},
		{"a\xc3", "\"a\\ufffd\"\n"},                                /* cut */
		{"\xc0\xaf", "\"\\ufffd\\ufffd\"\n"},                       /* overlong */
		{"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"\n"},            /* surrogate */
		{"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"\n"}, /* past U+10FFFF */
		{"\x80z", "\"\\ufffdz\"\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct pgo_buf b;
		struct pgo_json j;

		pgo_buf_init(&b, 1000);
		pgo_json_init(&j, &b, true);
		pgo_json_str(&j, rows[i].in);
		pgo_json_finish(&j);
		assert_string_equal(b.data, rows[i].out);
		pgo_buf_fini(&b);
	}
}

static const char *number(double v, struct pgo_buf *b)
{
	struct pgo_json j;

	pgo_buf_clear(b);
	pgo_json_init(&j, b, true);
	pgo_json_double(&j, v);
	return b->data;
}

static void doubles_are_short_and_without_locale(void **state)
{
	/* Whichever of these the machine has; without any, the C locale is checked. */
	static const char *const locales[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8"};
	struct pgo_buf b;

	(void)state;
	pgo_buf_init(&b, 1000);
	for (size_t i = 0; i < sizeof locales / sizeof locales[0]; i++) {
		if (setlocale(LC_ALL, locales[i]) == NULL)
			continue;
		assert_string_equal(number(0, &b), "0");
		assert_string_equal(number(0.1, &b), "0.1");
		assert_string_equal(number(-2.5, &b), "-2.5");
		assert_string_equal(number(1.0 / 3, &b), "0.333333333");
		assert_string_equal(number(1e300, &b), "1e+300");
		assert_string_equal(number(123456789, &b), "123456789");
		assert_string_equal(number(NAN, &b), "null");
		assert_string_equal(number(INFINITY, &b), "null");
	}
	setlocale(LC_ALL, "C");
	pgo_buf_fini(&b);
}

static void what_is_written_reads_back(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf b;
	struct pgo_json j;
	struct pgo_jval *doc;
	const struct pgo_jval *list;

	(void)state;
	pgo_buf_init(&b, 10000);
	pgo_json_init(&j, &b, false);
	pgo_json_object(&j);
	pgo_json_kv_str(&j, "s", "gr\xc3\xbc\n\"");
	pgo_json_kv_i64(&j, "i", -5);
	pgo_json_kv_double(&j, "d", 0.5);
	pgo_json_kv_bool(&j, "b", true);
	pgo_json_key(&j, "l");
	pgo_json_array(&j);
	pgo_json_u64(&j, 7);
	pgo_json_str(&j, "x");
	pgo_json_end_array(&j);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
	doc = pgo_jdoc_parse("doc", b.data, b.len, &err);
	assert_non_null(doc);
	assert_string_equal(pgo_jval_str(pgo_jval_get(doc, "s"), ""), "gr\xc3\xbc\n\"");
	assert_int_equal(pgo_jval_i64(pgo_jval_get(doc, "i"), 0), -5);
	assert_true(pgo_jval_double(pgo_jval_get(doc, "d"), 0) == 0.5);
	assert_true(pgo_jval_double(pgo_jval_get(doc, "i"), 0) == -5);
	assert_true(pgo_jval_bool(pgo_jval_get(doc, "b"), false));
	list = pgo_jval_get(doc, "l");
	assert_int_equal(pgo_jval_len(list), 2);
	assert_int_equal(pgo_jval_i64(pgo_jval_at(list, 0), 0), 7);
	assert_string_equal(pgo_jval_str(pgo_jval_at(list, 1), ""), "x");
	pgo_jdoc_free(doc);
	pgo_buf_fini(&b);
}

static void absent_and_other_kinds_give_the_default(void **state)
{
	struct pgo_jval *doc = pgo_jdoc_parse("d", "{\"a\": \"1\"}", 10, NULL);
	const struct pgo_jval *a = pgo_jval_get(doc, "a");

	(void)state;
	assert_null(pgo_jval_get(doc, "b"));
	assert_null(pgo_jval_get(a, "b"));
	assert_null(pgo_jval_get(NULL, "b"));
	assert_null(pgo_jval_at(a, 0));
	assert_null(pgo_jval_at(NULL, 0));
	assert_int_equal(pgo_jval_len(a), 0);
	assert_int_equal(pgo_jval_len(NULL), 0);
	assert_int_equal(pgo_jval_i64(a, 9), 9);
	assert_int_equal(pgo_jval_i64(NULL, 9), 9);
	assert_true(pgo_jval_double(a, 1.5) == 1.5);
	assert_true(pgo_jval_bool(a, true));
	assert_string_equal(pgo_jval_str(NULL, "none"), "none");
	pgo_jdoc_free(doc);
	pgo_jdoc_free(NULL);
}

static void broken_documents_are_refused_with_the_place(void **state)
{
	static const struct {
		const char *text, *part;
	} rows[] = {
		{"{\n  \"a\": }", "d: line 2, column"},
		{"{\"a\": 1, \"a\": 2}", "duplicate"},
		{"[1, 2", "line 1"},
		{"{} {}", "line 1"},
		{"", "not valid JSON"},
		{"\"\xff\"", "line 1"},
		{"[1e999]", "line 1"},
		{"[99999999999999999999]", "line 1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct pgo_err err = PGO_ERR_INIT;

		assert_null(pgo_jdoc_parse("d", rows[i].text, strlen(rows[i].text), &err));
		assert_int_equal(err.code, PGO_EFORMAT);
		assert_has(err.msg, rows[i].part);
	}
}

static void absurd_depth_is_refused(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	size_t n = 1000000;
	char *text = malloc(n);

	(void)state;
	memset(text, '[', n);
	assert_null(pgo_jdoc_parse("d", text, n, &err));
	assert_int_equal(err.code, PGO_EFORMAT);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nesting_commas_and_indentation_are_right),
		cmocka_unit_test(strings_are_escaped_and_made_utf8),
		cmocka_unit_test(doubles_are_short_and_without_locale),
		cmocka_unit_test(what_is_written_reads_back),
		cmocka_unit_test(absent_and_other_kinds_give_the_default),
		cmocka_unit_test(broken_documents_are_refused_with_the_place),
		cmocka_unit_test(absurd_depth_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
