/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"
#include "tests/lib/scratch.h"
#include "verify/gates.h"

#include <math.h>
#include <string.h>

static enum pgo_gate_verdict verdict_of(
	const struct pgo_gate_limits *l, const char *name, double value)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_gates g;
	enum pgo_gate_verdict v;

	pgo_gates_init(&g);
	assert_int_equal(pgo_gates_measure(&g, l, name, value, &err, "it is %g", value), 0);
	v = g.row[0].verdict;
	pgo_gates_fini(&g);
	return v;
}

static void every_default_rule_is_in_order_and_explained(void **state)
{
	(void)state;
	for (const struct pgo_gate_rule *r = pgo_gate_rules; r->name != NULL; r++) {
		assert_ptr_equal(pgo_gate_rule_find(r->name), r);
		assert_true(strlen(r->name) < sizeof((struct pgo_gate_limit *)0)->name);
		assert_true(strlen(r->about) > 20);
		if (!isnan(r->warn) && !isnan(r->fail))
			assert_true(r->above ? r->warn <= r->fail : r->warn >= r->fail);
	}
}

static void a_value_at_its_limit_passes_and_beyond_it_does_not(void **state)
{
	(void)state;
	assert_int_equal(verdict_of(NULL, "mapped", 99), PGO_GATE_PASS);
	assert_int_equal(verdict_of(NULL, "mapped", 98.9), PGO_GATE_WARN);
	assert_int_equal(verdict_of(NULL, "mapped", 95), PGO_GATE_WARN);
	assert_int_equal(verdict_of(NULL, "mapped", 94.9), PGO_GATE_FAIL);
	assert_int_equal(verdict_of(NULL, "stale", 20), PGO_GATE_PASS);
	assert_int_equal(verdict_of(NULL, "stale", 60.1), PGO_GATE_FAIL);
	assert_int_equal(verdict_of(NULL, "moved", 99), PGO_GATE_WARN);
	assert_int_equal(verdict_of(NULL, "acceptance", 1), PGO_GATE_FAIL);
	assert_int_equal(verdict_of(NULL, "mapped", NAN), PGO_GATE_SKIPPED);
}

static void the_user_replaces_limits_and_the_last_word_counts(void **state)
{
	struct pgo_gate_limits l = {0};
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	assert_int_equal(pgo_gate_limits_parse(&l, "hosts=3/1", "pgo.conf", &err), 0);
	assert_int_equal(verdict_of(&l, "hosts", 3), PGO_GATE_PASS);
	assert_int_equal(verdict_of(&l, "hosts", 2), PGO_GATE_WARN);
	assert_int_equal(pgo_gate_limits_parse(&l, "hosts=/2.5", "--gate", &err), 0);
	assert_int_equal(verdict_of(&l, "hosts", 2), PGO_GATE_FAIL);
	assert_int_equal(pgo_gate_limits_parse(&l, "stale=50%/", "--gate", &err), 0);
	assert_int_equal(verdict_of(&l, "stale", 100), PGO_GATE_WARN);
	assert_int_equal(pgo_gate_limits_parse(&l, "size=10", "--gate", &err), 0);
	assert_int_equal(verdict_of(&l, "size", 11), PGO_GATE_FAIL);
	assert_int_equal(pgo_gate_limits_parse(&l, "mapped=off", "--gate", &err), 0);
	assert_int_equal(verdict_of(&l, "mapped", 1), PGO_GATE_SKIPPED);
	pgo_gate_limits_fini(&l);
}

static void words_that_set_no_gate_are_refused_with_what_to_write(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {{"mappd=99/95", "did you mean \"mapped\""},
		{"nothing=1/2", "the gates are readable, mapped"},
		{"mapped", "write NAME=WARN/FAIL"}, {"=3", "write NAME=WARN/FAIL"},
		{"mapped=95/99", "fail before it warns"}, {"stale=60/20", "fail before it warns"},
		{"mapped=x/1", "not a number"}, {"mapped=", "no limit"},
		{"a_name_that_is_longer_than_any_gate_ever=1", "write NAME=WARN/FAIL"}};
	struct pgo_gate_limits l = {0};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct pgo_err err = PGO_ERR_INIT;

		assert_int_equal(
			pgo_gate_limits_parse(&l, bad[i].text, "--gate", &err), PGO_EUSAGE);
		assert_non_null(strstr(err.msg, bad[i].says));
	}
	assert_int_equal(l.n, 0);
	pgo_gate_limits_fini(&l);
}

static void put_history(struct pgo_gate_limits *l, const char *name, const double *v, size_t n)
{
	struct pgo_err err = PGO_ERR_INIT;

	for (size_t i = 0; i < n; i++) {
		struct pgo_gates g;

		pgo_gates_init(&g);
		assert_int_equal(pgo_gates_measure(&g, NULL, name, v[i], &err, "x"), 0);
		assert_int_equal(pgo_gate_limits_history(l, &g, &err), 0);
		pgo_gates_fini(&g);
	}
}

static void five_earlier_values_move_the_limit_of_warning_to_three_mads(void **state)
{
	/* Median 70, distances 4 2 0 2 6: MAD 2, so the limit is 64. */
	const double v[] = {66, 68, 70, 72, 76};
	struct pgo_gate_limits l = {0};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_gates g;

	(void)state;
	put_history(&l, "overlap_functions", v, 4);
	assert_int_equal(verdict_of(&l, "overlap_functions", 70), PGO_GATE_WARN);
	put_history(&l, "overlap_functions", v + 4, 1);
	pgo_gates_init(&g);
	assert_int_equal(pgo_gates_measure(&g, &l, "overlap_functions", 64, &err, "x"), 0);
	assert_true(g.row[0].warn == 64);
	assert_true(g.row[0].fail == 50);
	assert_string_equal(g.row[0].source, "history of 5 (median - 3 MAD)");
	pgo_gates_fini(&g);
	assert_int_equal(verdict_of(&l, "overlap_functions", 64), PGO_GATE_PASS);
	assert_int_equal(verdict_of(&l, "overlap_functions", 63.9), PGO_GATE_WARN);
	assert_int_equal(verdict_of(&l, "overlap_functions", 49), PGO_GATE_FAIL);
	/* What the user says comes before what was. */
	assert_int_equal(pgo_gate_limits_parse(&l, "overlap_functions=75/74", "--gate", &err), 0);
	assert_int_equal(verdict_of(&l, "overlap_functions", 70), PGO_GATE_FAIL);
	pgo_gate_limits_fini(&l);
}

static void a_history_without_spread_does_not_warn_of_a_hairs_breadth(void **state)
{
	const double v[] = {99.9, 99.9, 99.9, 99.9, 99.9}, hosts[] = {40, 40, 40, 40, 40};
	struct pgo_gate_limits l = {0};

	(void)state;
	put_history(&l, "mapped", v, 5);
	put_history(&l, "hosts", hosts, 5);
	assert_int_equal(verdict_of(&l, "mapped", 97), PGO_GATE_PASS);
	assert_int_equal(verdict_of(&l, "mapped", 96.8), PGO_GATE_WARN);
	assert_int_equal(verdict_of(&l, "hosts", 34), PGO_GATE_PASS);
	assert_int_equal(verdict_of(&l, "hosts", 33), PGO_GATE_WARN);
	pgo_gate_limits_fini(&l);
}

static void results_that_failed_are_no_history_and_none_moves_the_limit_of_failing(void **state)
{
	const double bad[] = {10, 10, 10, 10, 10}, wild[] = {55, 99, 60, 98, 77};
	struct pgo_gate_limits l = {0};
	struct pgo_gate_limits m = {0};

	(void)state;
	put_history(&l, "overlap_functions", bad, 5);
	assert_int_equal(l.n_past, 0);
	put_history(&m, "overlap_functions", wild, 5);
	assert_int_equal(verdict_of(&m, "overlap_functions", 51), PGO_GATE_PASS);
	assert_int_equal(verdict_of(&m, "overlap_functions", 49), PGO_GATE_FAIL);
	pgo_gate_limits_fini(&l);
	pgo_gate_limits_fini(&m);
}

static void gates_come_back_from_json_as_they_were(void **state)
{
	struct pgo_gates g, back;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_jval *doc;
	struct pgo_buf text;
	struct pgo_json j;

	(void)state;
	pgo_gates_init(&g);
	pgo_gates_init(&back);
	assert_int_equal(pgo_gates_measure(&g, NULL, "mapped", 96.5, &err, "a \"%s\"", "quote"), 0);
	assert_int_equal(pgo_gates_measure(&g, NULL, "moved", 3, &err, "b"), 0);
	assert_int_equal(pgo_gates_skip(&g, "hosts", &err, "not known"), 0);
	pgo_buf_init(&text, 1 << 16);
	pgo_json_init(&j, &text, false);
	pgo_json_object(&j);
	pgo_json_key(&j, "gates");
	pgo_gates_json(&g, &j);
	pgo_json_end_object(&j);
	doc = pgo_jdoc_parse("x", text.data, text.len, &err);
	assert_non_null(doc);
	assert_int_equal(pgo_gates_from_json(&back, doc, "x", &err), 0);
	assert_int_equal(pgo_gates_from_json(&back, pgo_jval_get(doc, "gates"), "x", &err), 0);
	assert_int_equal(back.n, 6);
	for (size_t i = 0; i < 6; i++) {
		const struct pgo_gate_row *a = &g.row[i % 3], *b = &back.row[i];

		assert_string_equal(a->name, b->name);
		assert_string_equal(a->why, b->why);
		assert_string_equal(a->source, b->source);
		assert_string_equal(a->unit, b->unit);
		assert_int_equal(a->verdict, b->verdict);
		assert_true(a->value == b->value || (isnan(a->value) && isnan(b->value)));
		assert_true(a->fail == b->fail || (isnan(a->fail) && isnan(b->fail)));
	}
	assert_int_equal(pgo_gates_worst(&back), PGO_GATE_WARN);
	pgo_jdoc_free(doc);
	pgo_buf_fini(&text);
	pgo_gates_fini(&g);
	pgo_gates_fini(&back);
}

static void what_is_no_list_of_gates_is_refused(void **state)
{
	static const char *const bad[] = {"{\"a\":1}", "{\"gates\":{\"x\":1}}",
		"[{\"name\":\"mapped\"}]", "[{\"verdict\":\"pass\"}]", "[3]"};
	struct pgo_gates g;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_jval *doc = pgo_jdoc_parse("x", bad[i], strlen(bad[i]), &err);

		pgo_gates_init(&g);
		assert_non_null(doc);
		assert_int_equal(pgo_gates_from_json(&g, doc, "x", &err), PGO_EFORMAT);
		pgo_jdoc_free(doc);
		pgo_gates_fini(&g);
	}
}

static void every_failing_allocation_is_survived(void **state)
{
	uint64_t before = pgo_alloc_live();
	bool done = false;

	(void)state;
	for (uint64_t n = 0; !done; n++) {
		struct pgo_gate_limits l = {0};
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_gates g;
		int rc = 0;

		pgo_gates_init(&g);
		pgo_alloc_fail_after(n);
		for (int i = 0; i < 6 && rc == 0; i++) {
			rc = pgo_gates_measure(&g, &l, "mapped", 99.5, &err, "x");
			if (rc == 0)
				rc = pgo_gate_limits_history(&l, &g, &err);
		}
		if (rc == 0)
			rc = pgo_gate_limits_parse(&l, "hosts=3/1", "--gate", &err);
		pgo_alloc_fail_after(UINT64_MAX);
		done = rc == 0;
		assert_true(done || rc == PGO_ENOMEM);
		pgo_gates_fini(&g);
		pgo_gate_limits_fini(&l);
		assert_int_equal(pgo_alloc_live(), before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_default_rule_is_in_order_and_explained),
		cmocka_unit_test(a_value_at_its_limit_passes_and_beyond_it_does_not),
		cmocka_unit_test(the_user_replaces_limits_and_the_last_word_counts),
		cmocka_unit_test(words_that_set_no_gate_are_refused_with_what_to_write),
		cmocka_unit_test(five_earlier_values_move_the_limit_of_warning_to_three_mads),
		cmocka_unit_test(a_history_without_spread_does_not_warn_of_a_hairs_breadth),
		cmocka_unit_test(
			results_that_failed_are_no_history_and_none_moves_the_limit_of_failing),
		cmocka_unit_test(gates_come_back_from_json_as_they_were),
		cmocka_unit_test(what_is_no_list_of_gates_is_refused),
		cmocka_unit_test(every_failing_allocation_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
