/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The value parsers of opt.h: numbers, sizes, durations, times.  No locale, no time zone, and no
 * calendar of the C library: days are counted by our own arithmetic (proleptic Gregorian, UTC).
 */
#include "pgo/core/opt.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND INT64_C(1000000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static int bad(struct pgo_err *err, const char *text, const char *want)
{
	return pgo_err_set(err, PGO_EUSAGE, "\"%s\" is not %s", text, want);
}

/* ---------------------------------------------------------------- numbers */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits of `base` from *p; false if there are none or they overflow. */
static bool take_digits(const char **p, unsigned base, uint64_t *ret)
{
	static const char digits[] = "0123456789abcdef";
	const char *start = *p;
	uint64_t v = 0;

	for (;; (*p)++) {
		char c = **p >= 'A' && **p <= 'F' ? (char)(**p - 'A' + 'a') : **p;
		const char *d = c != '\0' ? memchr(digits, c, base) : NULL;

		if (d == NULL)
			break;
		if (__builtin_mul_overflow(v, base, &v) ||
			__builtin_add_overflow(v, (uint64_t)(d - digits), &v))
			return false;
	}
	*ret = v;
	return *p != start;
}

/* A number and one of the letters of `suffixes`, each `step` times the one before. */
static bool take_scaled(const char **p, const char *suffixes, uint64_t step, uint64_t *ret)
{
	const char *s;
	uint64_t v;

	if ((*p)[0] == '0' && ((*p)[1] == 'x' || (*p)[1] == 'X')) {
		*p += 2;
		if (!take_digits(p, 16, &v))
			return false;
	} else if (!take_digits(p, 10, &v)) {
		return false;
	}
	s = **p != '\0' ? strchr(suffixes, **p) : NULL;
	if (s == NULL && **p == 'K')
		s = suffixes;
	if (s != NULL) {
		for (const char *q = suffixes; q <= s; q++)
			if (__builtin_mul_overflow(v, step, &v))
				return false;
		(*p)++;
	}
	*ret = v;
	return true;
}

int pgo_parse_u64(const char *text, uint64_t *ret, struct pgo_err *err)
{
	const char *p = text;
	uint64_t v;

	if (!take_scaled(&p, "kMG", 1000, &v) || *p != '\0')
		return bad(err, text, "a whole number from 0 to 2^64 - 1 (10000, 10k, 0x2710)");
	*ret = v;
	return 0;
}

int pgo_parse_size(const char *text, uint64_t *ret, struct pgo_err *err)
{
	const char *p = text;
	bool ok;
	uint64_t v;

	ok = take_scaled(&p, "kMGT", 1024, &v);
	if (ok && p[0] == 'i' && p[1] == 'B' && !is_digit(p[-1]))
		p += 2;
	else if (ok && p[0] == 'B')
		p++;
	if (!ok || *p != '\0')
		return bad(err, text, "a size in bytes (65536, 64k, 256M, 8G)");
	*ret = v;
	return 0;
}

static locale_t c_locale;

static void make_c_locale(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

int pgo_parse_double(const char *text, double *ret, struct pgo_err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	char *end;
	double v;

	pthread_once(&once, make_c_locale);
	if (c_locale == (locale_t)0)
		return pgo_err_nomem(err);
	/* Plain decimals only: no blanks, hexadecimals, nan, inf. */
	if (text[0] == '\0' || strspn(text, "0123456789.eE+-") != strlen(text))
		return bad(err, text, "a number (0.5, 3, 1e-3)");
	v = strtod_l(text, &end, c_locale);
	if (*end != '\0' || !isfinite(v))
		return bad(err, text, "a number (0.5, 3, 1e-3)");
	*ret = v;
	return 0;
}

/* ---------------------------------------------------------------- durations */

static int64_t unit_ns(const char **p)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {{"ms", SECOND / 1000}, {"s", SECOND}, {"m", MINUTE}, {"h", HOUR}, {"d", DAY},
		{"w", 7 * DAY}};

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		size_t len = strlen(units[i].name);

		if (strncmp(*p, units[i].name, len) == 0) {
			*p += len;
			return units[i].ns;
		}
	}
	return 0;
}

/* "15", "1.5h", "1h30m" from *p up to a character that is no part of it. */
static bool take_duration(const char **p, bool need_unit, int64_t *ret)
{
	int64_t sum = 0;

	do {
		uint64_t whole = 0, fraction = 0, scale = 1;
		__int128 ns;
		int64_t unit;

		if (!take_digits(p, 10, &whole))
			return false;
		if (**p == '.') {
			for ((*p)++; is_digit(**p); (*p)++) {
				if (scale >= 1000000000)
					continue;
				fraction = fraction * 10 + (uint64_t)(**p - '0');
				scale *= 10;
			}
		}
		unit = unit_ns(p);
		if (unit == 0 && (need_unit || sum != 0))
			return false;
		if (unit == 0)
			unit = SECOND;
		ns = (__int128)whole * unit + (__int128)fraction * unit / (int64_t)scale + sum;
		if (ns > INT64_MAX)
			return false;
		sum = (int64_t)ns;
	} while (is_digit(**p));
	*ret = sum;
	return true;
}

int pgo_parse_duration(const char *text, int64_t *ret_ns, struct pgo_err *err)
{
	const char *p = text;
	int64_t ns;

	if (!take_duration(&p, false, &ns) || *p != '\0')
		return bad(err, text, "a duration (90s, 15m, 36h, 7d, 2w, 1h30m)");
	*ret_ns = ns;
	return 0;
}

/* ---------------------------------------------------------------- times */

/* Days from 1970-01-01; years begin in March so that the leap day is the last. */
static int64_t days_from_civil(int64_t y, int m, int d)
{
	int64_t era, year_of_era, day_of_year;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	year_of_era = y - era * 400;
	day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - 719468;
}

static void civil_from_days(int64_t days, int64_t *y, int *m, int *d)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*d = (int)(doy - (153 * mp + 2) / 5 + 1);
	*m = (int)(mp < 10 ? mp + 3 : mp - 9);
	*y = yoe + era * 400 + (*m <= 2);
}

static bool take_fixed(const char **p, int n, int *ret)
{
	int v = 0;

	for (int i = 0; i < n; i++, (*p)++) {
		if (!is_digit(**p))
			return false;
		v = v * 10 + (**p - '0');
	}
	*ret = v;
	return true;
}

static bool take_char(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

static int days_in_month(int y, int m)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return m == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0) ? 29 : days[m - 1];
}

static bool take_date(const char **p, int64_t *ret_days)
{
	int y, m, d;

	if (!take_fixed(p, 4, &y) || !take_char(p, '-') || !take_fixed(p, 2, &m) ||
		!take_char(p, '-') || !take_fixed(p, 2, &d))
		return false;
	if (m < 1 || m > 12 || d < 1 || d > days_in_month(y, m))
		return false;
	*ret_days = days_from_civil(y, m, d);
	return true;
}

/* Nanoseconds after the point, as many digits as there are. */
static bool take_fraction(const char **p, int64_t *ns)
{
	int64_t unit = SECOND / 10;

	if (!take_char(p, '.'))
		return true;
	if (!is_digit(**p))
		return false;
	for (; is_digit(**p); (*p)++, unit /= 10)
		*ns += (**p - '0') * unit;
	return true;
}

/* THH:MM[:SS[.f]], then nothing, Z or an offset. */
static bool take_clock(const char **p, int64_t *ns)
{
	int h, m, s = 0, zone_h = 0, zone_m = 0, sign;

	if (!take_char(p, 'T') && !take_char(p, ' '))
		return false;
	if (!take_fixed(p, 2, &h) || !take_char(p, ':') || !take_fixed(p, 2, &m))
		return false;
	*ns = 0;
	if (take_char(p, ':') && (!take_fixed(p, 2, &s) || !take_fraction(p, ns)))
		return false;
	if (h > 23 || m > 59 || s > 60)
		return false;
	*ns += h * HOUR + m * MINUTE + s * SECOND;
	sign = **p == '+' ? -1 : **p == '-' ? 1 : 0;
	if (sign == 0) {
		take_char(p, 'Z');
		return true;
	}
	(*p)++;
	if (!take_fixed(p, 2, &zone_h) || (take_char(p, ':'), !take_fixed(p, 2, &zone_m)))
		return false;
	*ns += sign * (zone_h * HOUR + zone_m * MINUTE);
	return zone_h < 24 && zone_m < 60;
}

static bool take_civil(const char **p, int64_t *ret)
{
	int64_t days, clock = 0;
	__int128 ns;

	if (!take_date(p, &days) || (**p != '\0' && !take_clock(p, &clock)))
		return false;
	ns = (__int128)days * DAY + clock;
	if (ns < INT64_MIN || ns > INT64_MAX)
		return false;
	*ret = (int64_t)ns;
	return true;
}

static bool take_epoch(const char **p, int64_t *ret)
{
	uint64_t s;
	int64_t ns = 0;

	if (!take_digits(p, 10, &s) || !take_fraction(p, &ns) ||
		s > (uint64_t)(INT64_MAX / SECOND) - 1)
		return false;
	*ret = (int64_t)s * SECOND + ns;
	return true;
}

/* now, now-7d, now+1h; or 7d, which is now-7d. */
static bool take_relative(const char **p, int64_t now_ns, int64_t *ret)
{
	int64_t by = 0;
	bool later = false;

	if (strncmp(*p, "now", 3) == 0) {
		*p += 3;
		*ret = now_ns;
		if (**p == '\0')
			return true;
		later = **p == '+';
		if (!take_char(p, '+') && !take_char(p, '-'))
			return false;
	}
	if (!take_duration(p, true, &by))
		return false;
	return !(later ? __builtin_add_overflow(now_ns, by, ret)
		       : __builtin_sub_overflow(now_ns, by, ret));
}

int pgo_parse_time(const char *text, int64_t now_ns, int64_t *ret_ns, struct pgo_err *err)
{
	const char *p = text;
	int64_t ns = 0;
	bool ok;

	if (take_char(&p, '@'))
		ok = take_epoch(&p, &ns);
	else if (strlen(p) >= 10 && p[4] == '-')
		ok = take_civil(&p, &ns);
	else
		ok = take_relative(&p, now_ns, &ns);
	if (!ok || *p != '\0')
		return bad(err, text,
			"a time (now, now-7d, 7d for seven days ago, 2026-11-20, "
			"2026-11-20T10:00:00Z, @seconds since 1970)");
	*ret_ns = ns;
	return 0;
}

void pgo_format_time(int64_t ns, char *ret, size_t size)
{
	int64_t seconds = ns / SECOND - (ns % SECOND < 0);
	int64_t days = seconds / 86400 - (seconds % 86400 < 0);
	int64_t rest = seconds - days * 86400;
	int64_t y;
	int m, d;

	civil_from_days(days, &y, &m, &d);
	snprintf(ret, size, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)y, m, d, (int)(rest / 3600),
		(int)(rest / 60 % 60), (int)(rest % 60));
}

int64_t pgo_now(void)
{
	const char *fixed = getenv("PGO_NOW");
	struct timespec t;
	int64_t now, ns;

	clock_gettime(CLOCK_REALTIME, &t);
	now = (int64_t)t.tv_sec * SECOND + t.tv_nsec;
	if (fixed != NULL && pgo_parse_time(fixed, now, &ns, NULL) == 0)
		return ns;
	return now;
}
