/* SPDX-License-Identifier: Apache-2.0 */
/* Weights: each factor by hand-computed values, and that neither order nor names matter. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "merge/plan.h"
#include "merge/weight.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"

#include <string.h>

#define DAY ((int64_t)86400 * 1000000000)
#define NOON (20000 * DAY + DAY / 2)

struct spec {
	const char *name, *digest, *host;
	int64_t time_ns, cpu;
};

static struct pgo_profile *make(const struct spec *s, bool labels)
{
	struct pgo_profile *p = pgo_profile_new(NULL);
	struct pgo_label label;
	uint32_t loc;
	int64_t values[2] = {1, s->cpu};
	struct pgo_sample sample = {.loc = &loc, .n_loc = 1, .value = values, .label = &label};

	assert_non_null(p);
	pgo_profile_add_sample_type(p, "samples", "count");
	pgo_profile_add_sample_type(p, "cpu", "nanoseconds");
	p->period_type = p->sample_types[1];
	p->period = 10000000;
	p->time_ns = s->time_ns;
	loc = pgo_profile_add_location(p, PGO_NONE, 0x10, NULL, 0);
	memset(&label, 0, sizeof label);
	label.key = pgo_strtab_puts(&p->strs, "host");
	label.str = pgo_strtab_puts(&p->strs, s->host != NULL ? s->host : "");
	sample.n_label = labels && s->host != NULL;
	if (s->cpu != 0)
		assert_int_equal(pgo_profile_add_sample(p, &sample), 0);
	return p;
}

static void add_profile(
	struct pgo_plan *plan, struct pgo_profile *p, const struct pgo_plan_source *src)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_reader *r = pgo_profile_reader(p, "reader", true, &err);

	assert_non_null(r);
	if (pgo_plan_add(plan, r, src, &err) < 0)
		fail_msg("%s", err.msg);
	pgo_reader_close(r);
}

static int plan_of(struct pgo_plan *plan, const struct pgo_plan_options *o,
	const struct spec *specs, size_t n, struct pgo_err *err)
{
	pgo_plan_init(plan, o);
	for (size_t i = 0; i < n; i++) {
		const struct pgo_plan_source src = {
			.name = specs[i].name, .digest = specs[i].digest};

		add_profile(plan, make(&specs[i], true), &src);
	}
	return pgo_plan_finish(plan, err);
}

/* ---------------------------------------------------------------- the formula */

static void half_life_agrees_with_exp2(void **state)
{
	(void)state;
	assert_true(pgo_weight_age(0, DAY) == 1);
	assert_true(pgo_weight_age(-5, DAY) == 1);
	assert_true(pgo_weight_age(DAY, 0) == 1);
	assert_true(pgo_weight_age(DAY, DAY) == 0.5);
	assert_true(pgo_weight_age(10 * DAY, DAY) == 1.0 / 1024);
	assert_true(pgo_weight_age(INT64_MAX, 1) == 0);
	for (int64_t age = 1; age < 40 * DAY; age += 12345678987654) {
		double want = exp2(-(double)age / (double)(7 * DAY));
		double got = pgo_weight_age(age, 7 * DAY);

		if (fabs(got - want) > 1e-9 * want)
			fail_msg("age %lld: got %.17g, want %.17g", (long long)age, got, want);
	}
}

/* The exact bits, computed once with 60 decimal digits: another machine must give the same. */
static void half_life_has_the_same_bits_everywhere(void **state)
{
	(void)state;
	assert_true(pgo_weight_age(1, 2) == 0x1.6a09e667f3bcdp-1);
	assert_true(pgo_weight_age(1, 4) == 0x1.ae89f995ad3adp-1);
	assert_true(pgo_weight_age(5, 4) == 0x1.ae89f995ad3adp-2);
	/* 2^14 x 2^(3/7) */
	assert_int_equal(pgo_weight_mark(3 * DAY, 7 * DAY).mantissa, 22051);
}

static void older_is_never_heavier(void **state)
{
	double last = 1;

	(void)state;
	for (int64_t age = 0; age < 30 * DAY; age += DAY / 7 + 11) {
		double w = pgo_weight_age(age, 7 * DAY);

		assert_true(w <= last);
		last = w;
	}
}

static void marks_are_the_age_whatever_now_is(void **state)
{
	const int64_t half = 7 * DAY;

	(void)state;
	for (int64_t t = -30 * DAY; t < 30 * DAY; t += DAY / 7 + 11) {
		struct pgo_weight_mark a = pgo_weight_mark(t, half);
		struct pgo_weight_mark b = pgo_weight_mark(t + half, half);
		double got = ldexp((double)a.mantissa, (int)a.exponent - PGO_WEIGHT_MARK_BITS);
		double want = exp2((double)t / (double)half);

		assert_true(a.mantissa >= 1u << PGO_WEIGHT_MARK_BITS);
		assert_true(a.mantissa <= 2u << PGO_WEIGHT_MARK_BITS);
		assert_int_equal(a.mantissa, b.mantissa);
		assert_int_equal(a.exponent + 1, b.exponent);
		assert_true(fabs(got - want) < want / (1 << (PGO_WEIGHT_MARK_BITS + 1)));
	}
	assert_int_equal(pgo_weight_mark(123456, 0).mantissa, 1 << PGO_WEIGHT_MARK_BITS);
	assert_int_equal(pgo_weight_mark(123456, 0).exponent, 0);
}

static void a_factor_is_at_least_one_and_rounds(void **state)
{
	(void)state;
	assert_int_equal(pgo_weight_factor(65536), 65536);
	assert_int_equal(pgo_weight_factor(2.5), 3);
	assert_int_equal(pgo_weight_factor(0), 1);
	assert_int_equal(pgo_weight_factor(1e-30), 1);
	assert_int_equal(pgo_weight_factor(1e30), (uint64_t)1 << 56);
}

/* ---------------------------------------------------------------- plans */

/* How often the input counts. */
static double times(const struct pgo_plan *p, size_t seq)
{
	return (double)pgo_plan_of(p, seq)->weight / (double)p->weight_one;
}

static void without_options_every_weight_is_one(void **state)
{
	const struct spec in[] = {
		{"a", NULL, "h1", NOON, 5}, {"b", NULL, "h2", NOON - 9 * DAY, 50}};
	struct pgo_plan_options o = {0};
	struct pgo_plan p;

	(void)state;
	assert_int_equal(plan_of(&p, &o, in, 2, NULL), 0);
	assert_false(p.weighted);
	assert_int_equal(p.weight_one, 1);
	assert_int_equal(pgo_plan_of(&p, 0)->weight, 1);
	assert_int_equal(pgo_plan_of(&p, 1)->weight, 1);
	assert_int_equal(p.n_hosts, 2);
	assert_int_equal(p.n_days, 2);
	pgo_plan_fini(&p);
}

static void one_age_and_no_cap_in_effect_weigh_one(void **state)
{
	const struct spec in[] = {{"a", NULL, "h1", NOON, 5}, {"b", NULL, "h2", NOON, 6}};
	struct pgo_plan_options o = {.half_life_ns = DAY, .host_cap = 3};
	struct pgo_plan p;

	(void)state;
	assert_int_equal(plan_of(&p, &o, in, 2, NULL), 0);
	assert_false(p.weighted);
	assert_int_equal(pgo_plan_of(&p, 1)->weight, 1);
	pgo_plan_fini(&p);
}

static void age_halves_the_weight(void **state)
{
	const struct spec in[] = {{"old", NULL, "h", NOON - 14 * DAY, 5},
		{"new", NULL, "h", NOON, 5}, {"gone", NULL, "h", NOON - 22 * DAY, 5},
		{"timeless", NULL, "h", 0, 5}};
	struct pgo_plan_options o = {.half_life_ns = 7 * DAY, .window_ns = 21 * DAY};
	struct pgo_plan p;

	(void)state;
	assert_int_equal(plan_of(&p, &o, in, 4, NULL), 0);
	assert_true(p.weighted);
	assert_true(times(&p, 0) == 1.0 / 4);
	assert_true(times(&p, 1) == 1);
	assert_int_equal(pgo_plan_of(&p, 2)->weight, 0);
	assert_int_equal(pgo_plan_of(&p, 2)->drop, PGO_PLAN_TOO_OLD);
	assert_true(times(&p, 3) == 1);
	assert_int_equal(p.n_kept, 3);
	pgo_plan_fini(&p);
}

static void now_moves_all_ages_but_not_the_proportion(void **state)
{
	const struct spec in[] = {{"a", NULL, "h", NOON - 7 * DAY, 5}, {"b", NULL, "h", NOON, 5}};
	struct pgo_plan_options o = {.half_life_ns = 7 * DAY, .now_ns = NOON + 7 * DAY};
	struct pgo_plan p;

	(void)state;
	assert_int_equal(plan_of(&p, &o, in, 2, NULL), 0);
	assert_true(pgo_plan_of(&p, 1)->age_factor == 0.5);
	assert_true(times(&p, 1) == 1);
	assert_true(times(&p, 0) == 1.0 / 2);
	pgo_plan_fini(&p);
}

static void a_host_is_held_to_the_cap(void **state)
{
	/* medians: hosts have 100, 100, 2000: C of the last = 3 x 100 / 2000 = 0.15 */
	const struct spec in[] = {{"a", NULL, "h1", NOON, 100}, {"b", NULL, "h2", NOON, 100},
		{"c", NULL, "h3", NOON, 1500}, {"d", NULL, "h3", NOON, 500}};
	struct pgo_plan_options o = {.host_cap = 3};
	struct pgo_plan p;

	(void)state;
	assert_int_equal(plan_of(&p, &o, in, 4, NULL), 0);
	assert_true(p.weighted);
	assert_true(times(&p, 0) == 1);
	assert_true(fabs(times(&p, 2) - 0.15) < 1e-5);
	assert_true(fabs(times(&p, 3) - 0.15) < 1e-5);
	assert_int_equal(p.n_hosts, 3);
	/* 100, 100, 300: (500)^2 / 110000 */
	assert_true(fabs(p.effective_hosts - 250000.0 / 110000) < 1e-9);
	assert_true(fabs(p.dominance - 0.6) < 1e-9);
	pgo_plan_fini(&p);
}

static void profiles_without_a_host_are_not_capped(void **state)
{
	const struct spec in[] = {{"a", NULL, "h1", NOON, 1}, {"b", NULL, "h2", NOON, 1},
		{"c", NULL, NULL, NOON, 1000000}};
	struct pgo_plan_options o = {.host_cap = 3};
	struct pgo_plan p;

	(void)state;
	assert_int_equal(plan_of(&p, &o, in, 3, NULL), 0);
	assert_int_equal(pgo_plan_of(&p, 2)->weight, 1);
	assert_string_equal(pgo_plan_of(&p, 2)->host, "");
	pgo_plan_fini(&p);
}

static void hosts_are_compared_within_one_unit(void **state)
{
	const struct spec spec[] = {{"a", NULL, "h1", NOON, 100}, {"b", NULL, "h2", NOON, 100},
		{"c", NULL, "h3", NOON, 100}, {"d", NULL, "h4", NOON, 9000}};
	struct pgo_plan_options o = {.host_cap = 3};
	struct pgo_plan p;

	(void)state;
	pgo_plan_init(&p, &o);
	for (int i = 0; i < 4; i++) {
		struct pgo_profile *prof = make(&spec[i], true);

		if (i == 3) { /* cycles, not comparable with nanoseconds */
			prof->sample_types[1].type = pgo_strtab_puts(&prof->strs, "cycles");
			prof->sample_types[1].unit = pgo_strtab_puts(&prof->strs, "count");
			prof->period_type = prof->sample_types[1];
		}
		add_profile(&p, prof, NULL);
	}
	assert_int_equal(pgo_plan_finish(&p, NULL), 0);
	assert_false(p.weighted);
	assert_string_equal(pgo_plan_of(&p, 3)->unit, "cycles/count");
	pgo_plan_fini(&p);
}

static void a_count_of_samples_is_multiplied_by_the_period(void **state)
{
	const struct spec s = {"a", NULL, "h", NOON, 5};
	struct pgo_profile *prof = make(&s, true);
	struct pgo_plan_options o = {0};
	struct pgo_plan p;

	(void)state;
	prof->n_sample_types = 1; /* samples/count alone; one sample, so one value */
	pgo_plan_init(&p, &o);
	add_profile(&p, prof, NULL);
	assert_int_equal(pgo_plan_finish(&p, NULL), 0);
	assert_string_equal(pgo_plan_of(&p, 0)->column, "samples/count");
	assert_string_equal(pgo_plan_of(&p, 0)->unit, "cpu/nanoseconds");
	assert_true(pgo_plan_of(&p, 0)->mass == 1e7);
	pgo_plan_fini(&p);
}

static void host_and_time_come_from_the_record_where_the_profile_has_none(void **state)
{
	const struct spec s = {"a", NULL, NULL, 0, 5}, labelled = {"b", NULL, "label", NOON, 5};
	const struct pgo_plan_source src = {
		.name = "x", .digest = "d1", .host = "record", .time_ns = 77};
	const struct pgo_plan_source src2 = {
		.name = "y", .digest = "d2", .host = "record", .time_ns = 77};
	struct pgo_plan_options o = {0};
	struct pgo_plan p;

	(void)state;
	pgo_plan_init(&p, &o);
	add_profile(&p, make(&s, true), &src);
	add_profile(&p, make(&labelled, true), &src2);
	assert_int_equal(pgo_plan_finish(&p, NULL), 0);
	assert_string_equal(pgo_plan_of(&p, 0)->host, "record");
	assert_int_equal(pgo_plan_of(&p, 0)->time_ns, 77);
	assert_string_equal(pgo_plan_of(&p, 0)->name, "x");
	assert_string_equal(pgo_plan_of(&p, 1)->host, "label");
	assert_int_equal(pgo_plan_of(&p, 1)->time_ns, NOON);
	pgo_plan_fini(&p);
}

static int warnings;

static void count_warnings(void *ctx, enum pgo_level level, const char *domain, const char *text)
{
	(void)ctx;
	(void)domain;
	(void)text;
	warnings += level == PGO_LEVEL_WARN;
}

static void the_same_bytes_count_once_with_a_warning(void **state)
{
	const struct spec in[] = {{"b", "d1", "h", NOON, 5}, {"a", "d1", "h", NOON, 5},
		{"c", "d1", "h", NOON, 5}, {"d", "d2", "h", NOON, 5}};
	struct pgo_plan_options o = {0};
	struct pgo_plan p;

	(void)state;
	warnings = 0;
	pgo_diag_set_sink(count_warnings, NULL);
	assert_int_equal(plan_of(&p, &o, in, 4, NULL), 0);
	pgo_diag_set_sink(NULL, NULL);
	assert_int_equal(warnings, 2);
	assert_int_equal(p.n_kept, 2);
	assert_int_equal(pgo_plan_of(&p, 1)->drop, PGO_PLAN_KEPT); /* "a": first by name */
	assert_int_equal(pgo_plan_of(&p, 0)->drop, PGO_PLAN_DUPLICATE);
	assert_string_equal(pgo_plan_of(&p, 2)->twin, "a");
	pgo_plan_fini(&p);
}

static void nothing_usable_is_empty(void **state)
{
	const struct spec in[] = {{"a", NULL, "h", NOON, 0}};
	struct pgo_plan_options o = {0};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_plan p;

	(void)state;
	assert_int_equal(plan_of(&p, &o, in, 1, &err), PGO_EEMPTY);
	assert_int_equal(pgo_plan_of(&p, 0)->drop, PGO_PLAN_NO_SAMPLES);
	pgo_plan_fini(&p);
}

static void order_of_inputs_does_not_matter(void **state)
{
	struct spec in[9];
	static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"};
	static const char *const hosts[] = {"h1", "h2", "h3"};
	struct pgo_plan_options o = {.half_life_ns = 3 * DAY, .host_cap = 1.2};
	struct pgo_buf first, other;

	(void)state;
	for (int i = 0; i < 9; i++)
		in[i] = (struct spec){
			names[i], names[i], hosts[i % 3], NOON - i * DAY / 3, 1000 + 777 * i * i};
	pgo_buf_init(&first, 1 << 20);
	pgo_buf_init(&other, 1 << 20);
	for (int round = 0; round < 9; round++) {
		struct pgo_plan p;
		struct pgo_json j;
		struct spec swap = in[0];

		in[0] = in[round];
		in[round] = swap;
		assert_int_equal(plan_of(&p, &o, in, 9, NULL), 0);
		assert_true(p.weighted);
		pgo_buf_clear(&other);
		pgo_json_init(&j, &other, false);
		pgo_plan_json(&p, &j);
		pgo_json_finish(&j);
		pgo_plan_explain(&p, &other);
		assert_false(other.failed);
		if (round == 0)
			pgo_buf_add(&first, other.data, other.len);
		assert_string_equal(first.data, other.data);
		pgo_plan_fini(&p);
	}
	pgo_buf_fini(&first);
	pgo_buf_fini(&other);
}

static void explain_gives_each_input_a_line_and_a_reason(void **state)
{
	const struct spec in[] = {{"old.pb.gz", "1", "web-1", NOON - 30 * DAY, 5},
		{"aged.pb.gz", "2", "web-1", NOON - 7 * DAY, 100},
		{"new.pb.gz", "3", "web-2", NOON, 1}, {"more.pb.gz", "4", "web-3", NOON, 1}};
	struct pgo_plan_options o = {.half_life_ns = 7 * DAY, .window_ns = 21 * DAY, .host_cap = 3};
	struct pgo_plan p;
	struct pgo_buf out;

	(void)state;
	assert_int_equal(plan_of(&p, &o, in, 4, NULL), 0);
	pgo_buf_init(&out, 1 << 20);
	pgo_plan_explain(&p, &out);
	assert_non_null(strstr(out.data, "left out: older than the window of 21.0 d"));
	assert_non_null(strstr(out.data, "age halves it 1.00 times; host web-1 held to 3 x"));
	assert_non_null(strstr(out.data, "in full"));
	assert_non_null(strstr(out.data, "3 of 4 profiles, 3 hosts"));
	pgo_buf_fini(&out);
	pgo_plan_fini(&p);
}

static void every_failed_allocation_is_an_error_without_a_leak(void **state)
{
	const struct spec in[] = {{"a", "1", "h1", NOON, 5}, {"b", "2", "h2", NOON, 50}};
	struct pgo_plan_options o = {.half_life_ns = DAY, .host_cap = 3};
	uint64_t live = pgo_alloc_live();

	(void)state;
	for (uint64_t n = 0;; n++) {
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_profile *prof[2] = {make(&in[0], true), make(&in[1], true)};
		struct pgo_reader *r[2];
		struct pgo_plan p;
		int rc = 0;

		r[0] = pgo_profile_reader(prof[0], "x", true, NULL);
		r[1] = pgo_profile_reader(prof[1], "y", true, NULL);
		pgo_plan_init(&p, &o);
		pgo_alloc_fail_after(n);
		for (int i = 0; i < 2 && rc == 0; i++)
			rc = pgo_plan_add(&p, r[i], NULL, &err);
		if (rc == 0)
			rc = pgo_plan_finish(&p, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		pgo_plan_fini(&p);
		pgo_reader_close(r[0]);
		pgo_reader_close(r[1]);
		assert_int_equal(pgo_alloc_live(), live);
		if (rc == 0) {
			assert_true(n > 10);
			break;
		}
		assert_int_equal(err.code, PGO_ENOMEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_life_agrees_with_exp2),
		cmocka_unit_test(half_life_has_the_same_bits_everywhere),
		cmocka_unit_test(older_is_never_heavier),
		cmocka_unit_test(marks_are_the_age_whatever_now_is),
		cmocka_unit_test(a_factor_is_at_least_one_and_rounds),
		cmocka_unit_test(without_options_every_weight_is_one),
		cmocka_unit_test(one_age_and_no_cap_in_effect_weigh_one),
		cmocka_unit_test(age_halves_the_weight),
		cmocka_unit_test(now_moves_all_ages_but_not_the_proportion),
		cmocka_unit_test(a_host_is_held_to_the_cap),
		cmocka_unit_test(profiles_without_a_host_are_not_capped),
		cmocka_unit_test(hosts_are_compared_within_one_unit),
		cmocka_unit_test(a_count_of_samples_is_multiplied_by_the_period),
		cmocka_unit_test(host_and_time_come_from_the_record_where_the_profile_has_none),
		cmocka_unit_test(the_same_bytes_count_once_with_a_warning),
		cmocka_unit_test(nothing_usable_is_empty),
		cmocka_unit_test(order_of_inputs_does_not_matter),
		cmocka_unit_test(explain_gives_each_input_a_line_and_a_reason),
		cmocka_unit_test(every_failed_allocation_is_an_error_without_a_leak),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
