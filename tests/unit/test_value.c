/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/opt.h"
#include "tests/lib/scratch.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND INT64_C(1000000000)
#define DAY (86400 * SECOND)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void whole_numbers_and_sizes(void **state)
{
	static const struct {
		const char *text;
		int64_t number, size; /* -1: refused */
	} rows[] = {
		{"0", 0, 0},
		{"10", 10, 10},
		{"0x10", 16, 16},
		{"10k", 10000, 10240},
		{"10K", 10000, 10240},
		{"3M", 3000000, 3 << 20},
		{"2G", 2000000000, INT64_C(2) << 30},
		{"1T", -1, INT64_C(1) << 40},
		{"64KiB", -1, 65536},
		{"64MB", -1, 64 << 20},
		{"7B", -1, 7},
		{"7iB", -1, -1},
		{"", -1, -1},
		{" 1", -1, -1},
		{"1 ", -1, -1},
		{"-1", -1, -1},
		{"+1", -1, -1},
		{"1.5k", -1, -1},
		{"0x", -1, -1},
		{"k", -1, -1},
		{"18446744073709551616", -1, -1},
		{"18446744073709551615G", -1, -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct pgo_err err = PGO_ERR_INIT;
		uint64_t n = 77, size = 77;
		int r = pgo_parse_u64(rows[i].text, &n, &err);

		assert_int_equal(r, rows[i].number < 0 ? PGO_EUSAGE : 0);
		assert_int_equal(n, r < 0 ? 77 : rows[i].number);
		r = pgo_parse_size(rows[i].text, &size, &err);
		assert_int_equal(r, rows[i].size < 0 ? PGO_EUSAGE : 0);
		assert_int_equal(size, r < 0 ? 77 : rows[i].size);
	}
}

static void the_largest_number_is_read(void **state)
{
	uint64_t n = 0;

	(void)state;
	assert_int_equal(pgo_parse_u64("18446744073709551615", &n, NULL), 0);
	assert_true(n == UINT64_MAX);
	assert_int_equal(pgo_parse_u64("0xFFFFffffffffffff", &n, NULL), 0);
	assert_true(n == UINT64_MAX);
}

static void decimals_have_a_point_in_every_locale(void **state)
{
	static const char *const locales[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8"};
	static const char *const bad[] = {
		"", "x", "1,5", "0x10", "nan", "inf", " 1", "1 ", "1e999", "--1", "1.2.3", "."};
	double v = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(locales); i++) {
		if (setlocale(LC_ALL, locales[i]) == NULL)
			continue;
		assert_int_equal(pgo_parse_double("1.5", &v, NULL), 0);
		assert_true(v == 1.5);
		assert_int_equal(pgo_parse_double("-2e-3", &v, NULL), 0);
		assert_true(v == -2e-3);
		for (size_t k = 0; k < COUNT(bad); k++)
			assert_int_equal(pgo_parse_double(bad[k], &v, NULL), PGO_EUSAGE);
	}
	setlocale(LC_ALL, "C");
}

static void durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ns; /* -1: refused */
	} rows[] = {
		{"0", 0},
		{"90", 90 * SECOND},
		{"90s", 90 * SECOND},
		{"15m", 900 * SECOND},
		{"36h", 36 * 3600 * SECOND},
		{"7d", 7 * DAY},
		{"2w", 14 * DAY},
		{"250ms", SECOND / 4},
		{"1h30m", 5400 * SECOND},
		{"1.5h", 5400 * SECOND},
		{"0.25s", SECOND / 4},
		{"1h30", -1},
		{"", -1},
		{"h", -1},
		{"-5s", -1},
		{"5 s", -1},
		{"5x", -1},
		{"1y", -1},
		{"99999999999999", -1},
		{"20000w", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t ns = 77;
		int r = pgo_parse_duration(rows[i].text, &ns, NULL);

		if (r != (rows[i].ns < 0 ? PGO_EUSAGE : 0) || ns != (r < 0 ? 77 : rows[i].ns))
			fail_msg("%s: %d, %lld", rows[i].text, r, (long long)ns);
	}
}

static void times(void **state)
{
	static const int64_t now = 1800000000 * SECOND; /* 2027-01-15T08:00:00Z */
	static const struct {
		const char *text, *is; /* NULL: refused */
	} rows[] = {
		{"now", "2027-01-15T08:00:00Z"},
		{"now-1h", "2027-01-15T07:00:00Z"},
		{"now+1d", "2027-01-16T08:00:00Z"},
		{"1d", "2027-01-14T08:00:00Z"},
		{"2w", "2027-01-01T08:00:00Z"},
		{"2026-11-20", "2026-11-20T00:00:00Z"},
		{"2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z"},
		{"2026-11-20T10:00:00", "2026-11-20T10:00:00Z"},
		{"2026-11-20 10:00", "2026-11-20T10:00:00Z"},
		{"2026-11-20T10:00:00.999Z", "2026-11-20T10:00:00Z"},
		{"2026-11-20T01:00:00+02:00", "2026-11-19T23:00:00Z"},
		{"2026-11-20T10:00:00-0530", "2026-11-20T15:30:00Z"},
		{"2024-02-29", "2024-02-29T00:00:00Z"},
		{"2000-02-29", "2000-02-29T00:00:00Z"},
		{"1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"},
		{"1900-03-01", "1900-03-01T00:00:00Z"},
		{"@0", "1970-01-01T00:00:00Z"},
		{"@1800000000.5", "2027-01-15T08:00:00Z"},
		{"2023-02-29", NULL},
		{"2100-02-29", NULL},
		{"2026-13-01", NULL},
		{"2026-00-01", NULL},
		{"2026-01-32", NULL},
		{"2026-11-20T24:00:00Z", NULL},
		{"2026-11-20T10:60:00Z", NULL},
		{"2026-11-20T10", NULL},
		{"2026-11-20x", NULL},
		{"2026-11-20T10:00:00Zx", NULL},
		{"9999-01-01", NULL},
		{"7", NULL},
		{"@", NULL},
		{"@99999999999", NULL},
		{"", NULL},
		{"now-", NULL},
		{"nowadays", NULL},
		{"now-20000w", NULL},
	};
	char text[32];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t ns = 0;
		int r = pgo_parse_time(rows[i].text, now, &ns, NULL);

		pgo_format_time(ns, text, sizeof text);
		if (rows[i].is == NULL ? r != PGO_EUSAGE
				       : (r != 0 || strcmp(text, rows[i].is) != 0))
			fail_msg("\"%s\": %d, %s", rows[i].text, r, text);
	}
}

/* The C library's calendar is the oracle, every 37 hours over more than four centuries. */
static void the_calendar_agrees_with_the_c_library(void **state)
{
	(void)state;
	for (int64_t s = -8000000000; s < 9000000000; s += 37 * 3600 + 11) {
		char text[32], want[32];
		time_t t = (time_t)s;
		int64_t back;
		struct tm tm;

		pgo_format_time(s * SECOND, text, sizeof text);
		strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
		assert_string_equal(text, want);
		assert_int_equal(pgo_parse_time(text, 0, &back, NULL), 0);
		assert_true(back == s * SECOND);
	}
}

static void parts_of_a_second_round_down_before_1970_too(void **state)
{
	char text[32];

	(void)state;
	pgo_format_time(-1, text, sizeof text);
	assert_string_equal(text, "1969-12-31T23:59:59Z");
	pgo_format_time(INT64_MIN, text, sizeof text);
	assert_string_equal(text, "1677-09-21T00:12:43Z");
	pgo_format_time(INT64_MAX, text, sizeof text);
	assert_string_equal(text, "2262-04-11T23:47:16Z");
}

static void the_clock_can_be_set(void **state)
{
	int64_t ns, since;

	(void)state;
	setenv("PGO_NOW", "2026-11-20T10:00:00Z", 1);
	assert_true(pgo_now() == 1795168800 * SECOND);
	assert_int_equal(pgo_parse_time("1d", pgo_now(), &since, NULL), 0);
	assert_true(since == 1795168800 * SECOND - DAY);
	unsetenv("PGO_NOW");
	ns = pgo_now();
	assert_true(ns / SECOND - time(NULL) <= 1 && time(NULL) - ns / SECOND <= 1);
}

static void the_time_zone_does_not_matter(void **state)
{
	int64_t a, b;

	(void)state;
	setenv("TZ", "America/New_York", 1);
	tzset();
	assert_int_equal(pgo_parse_time("2026-07-01T00:00:00", 0, &a, NULL), 0);
	setenv("TZ", "Asia/Tokyo", 1);
	tzset();
	assert_int_equal(pgo_parse_time("2026-07-01T00:00:00", 0, &b, NULL), 0);
	assert_true(a == b && a == 1782864000 * SECOND);
	unsetenv("TZ");
	tzset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_numbers_and_sizes),
		cmocka_unit_test(the_largest_number_is_read),
		cmocka_unit_test(decimals_have_a_point_in_every_locale),
		cmocka_unit_test(durations),
		cmocka_unit_test(times),
		cmocka_unit_test(the_calendar_agrees_with_the_c_library),
		cmocka_unit_test(parts_of_a_second_round_down_before_1970_too),
		cmocka_unit_test(the_clock_can_be_set),
		cmocka_unit_test(the_time_zone_does_not_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
