/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/coverage.h"

#include "fetch/strata.h"
#include "pgo/core/alloc.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DAY_NS ((int64_t)86400 * 1000000000)

static int64_t day_of(int64_t ns)
{
	return ns / DAY_NS - (ns % DAY_NS < 0);
}

/* ---------------------------------------------------------------- counting */

struct names {
	struct pgo_coverage_of **of;
	size_t *n, *room;
	struct pgo_map *map;
};

static bool name_eq(const void *ctx, uint32_t i, const void *key)
{
	const struct pgo_coverage_of *of = ctx;

	return strcmp(of[i].name, key) == 0;
}

static int count(const struct names *in, const char *name, bool taken, uint32_t *ret)
{
	uint64_t hash = pgo_hash(name, strlen(name));
	uint32_t i = pgo_map_find(in->map, hash, name_eq, *in->of, name);

	if (i == PGO_MAP_NONE) {
		struct pgo_coverage_of *to = PGO_VEC_PUSH(*in->of, *in->n, *in->room);

		i = (uint32_t)(*in->n - 1);
		if (to == NULL || (to->name = pgo_strdup(name)) == NULL ||
			pgo_map_add(in->map, hash, i) < 0)
			return -1;
	}
	(*in->of)[i].there++;
	(*in->of)[i].taken += taken;
	if (ret != NULL)
		*ret = i;
	return 0;
}

int pgo_coverage_add(struct pgo_coverage *c, const char *host, const char *build, int64_t time_ns,
	bool taken, struct pgo_err *err)
{
	const struct names hosts = {&c->hosts, &c->n_hosts, &c->hosts_room, &c->by_host};
	const struct names builds = {&c->builds, &c->n_builds, &c->builds_room, &c->by_build};
	unsigned hour = pgo_hour_of_week(time_ns);
	uint32_t at = 0;
	uint64_t day;

	if (count(&hosts, host, taken, &at) < 0 || count(&builds, build, taken, NULL) < 0)
		return pgo_err_nomem(err);
	c->there++;
	c->taken += taken;
	if (time_ns <= 0) {
		c->without_time++;
		return 0;
	}
	c->hour_there[hour]++;
	c->hour_taken[hour] += taken;
	/* Listed in order, one day is often that of the profile before. */
	day = (uint64_t)at << 32 | (uint32_t)day_of(time_ns);
	if (c->n_days != 0 && c->days[c->n_days - 1] == day)
		return 0;
	if (PGO_VEC_RESERVE(c->days, c->days_room, c->n_days + 1) < 0)
		return pgo_err_nomem(err);
	c->days[c->n_days++] = day;
	return 0;
}

static int cmp_days(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int cmp_of(const void *a, const void *b)
{
	return strcmp(((const struct pgo_coverage_of *)a)->name,
		((const struct pgo_coverage_of *)b)->name);
}

/* From what was asked for, where that has ends; else from what there is. */
static void find_range(struct pgo_coverage *c)
{
	bool any = false;

	for (size_t i = 0; i < c->n_days; i++) {
		int64_t day = (int64_t)(uint32_t)c->days[i];

		c->first_day = any && c->first_day < day ? c->first_day : day;
		c->last_day = any && c->last_day > day ? c->last_day : day;
		any = true;
	}
	if (any && c->since_ns > 0)
		c->first_day = day_of(c->since_ns);
	if (any && c->until_ns > 0)
		c->last_day = day_of(c->until_ns - 1);
	if (c->last_day - c->first_day >= PGO_COVERAGE_DAYS)
		c->first_day = c->last_day - PGO_COVERAGE_DAYS + 1;
}

int pgo_coverage_close(struct pgo_coverage *c, struct pgo_err *err)
{
	struct pgo_coverage_of *sorted = pgo_calloc(c->n_hosts, sizeof *sorted);
	size_t n = 0;

	if (sorted == NULL)
		return pgo_err_nomem(err);
	if (c->n_hosts != 0) {
		memcpy(sorted, c->hosts, c->n_hosts * sizeof *sorted);
		qsort(sorted, c->n_hosts, sizeof *sorted, cmp_of);
	}
	/* Days go by the number of their host in the new order. */
	for (size_t i = 0; i < c->n_days; i++) {
		const struct pgo_coverage_of *to = bsearch(
			&c->hosts[c->days[i] >> 32], sorted, c->n_hosts, sizeof *sorted, cmp_of);

		c->days[i] = (uint64_t)(to - sorted) << 32 | (uint32_t)c->days[i];
	}
	pgo_free(c->hosts);
	c->hosts = sorted;
	if (c->n_builds > 1)
		qsort(c->builds, c->n_builds, sizeof *c->builds, cmp_of);
	if (c->n_days > 1)
		qsort(c->days, c->n_days, sizeof *c->days, cmp_days);
	for (size_t i = 0; i < c->n_days; i++)
		if (n == 0 || c->days[n - 1] != c->days[i])
			c->days[n++] = c->days[i];
	c->n_days = n;
	find_range(c);
	return 0;
}

void pgo_coverage_fini(struct pgo_coverage *c)
{
	for (size_t i = 0; i < c->n_hosts; i++)
		pgo_free(c->hosts[i].name);
	for (size_t i = 0; i < c->n_builds; i++)
		pgo_free(c->builds[i].name);
	pgo_free(c->hosts);
	pgo_free(c->builds);
	pgo_free(c->days);
	pgo_map_fini(&c->by_host);
	pgo_map_fini(&c->by_build);
	memset(c, 0, sizeof *c);
}

/* ---------------------------------------------------------------- gaps */

static bool has_day(const struct pgo_coverage *c, size_t host, int64_t day)
{
	uint64_t key = (uint64_t)host << 32 | (uint32_t)day;

	return c->n_days != 0 &&
	       bsearch(&key, c->days, c->n_days, sizeof *c->days, cmp_days) != NULL;
}

/* From `day` on, the first one that is (or is not) there. */
static int64_t next_day(const struct pgo_coverage *c, size_t host, int64_t day, bool there)
{
	while (day <= c->last_day && has_day(c, host, day) != there)
		day++;
	return day;
}

static uint64_t missing_days(const struct pgo_coverage *c, size_t host)
{
	uint64_t n = 0;

	for (int64_t d = c->first_day; d <= c->last_day && c->n_days != 0; d++)
		n += !has_day(c, host, d);
	return n;
}

static void write_day(int64_t day, char text[40])
{
	pgo_format_time(day * DAY_NS, text, 40);
	text[strlen("2026-11-20")] = '\0';
}

static size_t hours_there(const struct pgo_coverage *c)
{
	size_t n = 0;

	for (size_t i = 0; i < PGO_COVERAGE_HOURS; i++)
		n += c->hour_there[i] != 0;
	return n;
}

static const char *shown(const char *name)
{
	return *name != '\0' ? name : "(unknown)";
}

/* ---------------------------------------------------------------- text */

static void text_hosts(const struct pgo_coverage *c, size_t more, struct pgo_buf *out)
{
	size_t lines = 0, gaps = 0;

	for (size_t i = 0; i < c->n_hosts; i++) {
		uint64_t missing = missing_days(c, i);
		int64_t d = c->first_day;
		size_t runs = 0;

		gaps += missing != 0;
		if (missing == 0 || lines++ >= more)
			continue;
		pgo_buf_printf(out, "  no profile of %s on", shown(c->hosts[i].name));
		for (; runs < 8; runs++) {
			char from[40], to[40];
			int64_t a = next_day(c, i, d, false), b = next_day(c, i, a, true) - 1;

			if (a > c->last_day)
				break;
			write_day(a, from);
			write_day(b, to);
			pgo_buf_printf(out, "%s %s%s%s", runs != 0 ? "," : "", from,
				a != b ? " to " : "", a != b ? to : "");
			d = b + 1;
		}
		pgo_buf_printf(out, "%s\n",
			next_day(c, i, d, false) <= c->last_day ? " and other days" : "");
	}
	if (gaps > more)
		pgo_buf_printf(
			out, "  and %zu more hosts without profiles on some days\n", gaps - more);
}

static void text_hours(const struct pgo_coverage *c, struct pgo_buf *out)
{
	static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
	bool first = true;

	if (hours_there(c) == PGO_COVERAGE_HOURS || hours_there(c) == 0)
		return;
	pgo_buf_puts(out, "  no profile in the hours (UTC)");
	for (size_t h = 0; h < PGO_COVERAGE_HOURS; h++) {
		size_t end = h;

		if (c->hour_there[h] != 0)
			continue;
		while (end < PGO_COVERAGE_HOURS && end / 24 == h / 24 && c->hour_there[end] == 0)
			end++;
		pgo_buf_printf(out, "%s %s %02zu-%02zu", first ? "" : ",", days[h / 24], h % 24,
			(end - 1) % 24 + 1);
		first = false;
		h = end - 1;
	}
	pgo_buf_putc(out, '\n');
}

static void text_builds(const struct pgo_coverage *c, size_t more, struct pgo_buf *out)
{
	for (size_t i = 0; i < c->n_builds && i < more; i++)
		pgo_buf_printf(out, "  build %.16s: %" PRIu64 " of %" PRIu64 " taken\n",
			shown(c->builds[i].name), c->builds[i].taken, c->builds[i].there);
	if (c->n_builds > more)
		pgo_buf_printf(out, "  and %zu more builds\n", c->n_builds - more);
}

void pgo_coverage_text(const struct pgo_coverage *c, size_t more, struct pgo_buf *out)
{
	int64_t days = c->n_days != 0 ? c->last_day - c->first_day + 1 : 0;
	uint64_t missing = 0;

	for (size_t i = 0; i < c->n_hosts; i++)
		missing += missing_days(c, i);
	pgo_buf_printf(out,
		"coverage: %" PRIu64 " of %" PRIu64 " profiles taken, of %zu hosts, %" PRId64
		" days, %zu of %d hours of the week, %zu builds\n",
		c->taken, c->there, c->n_hosts, days, hours_there(c), PGO_COVERAGE_HOURS,
		c->n_builds);
	if (missing != 0)
		pgo_buf_printf(out,
			"gaps: on %" PRIu64 " of %" PRIu64 " days a host has no profile\n", missing,
			(uint64_t)days * c->n_hosts);
	if (more == 0)
		return;
	text_hosts(c, more, out);
	text_hours(c, out);
	text_builds(c, more, out);
	if (c->without_time != 0)
		pgo_buf_printf(
			out, "  %" PRIu64 " do not say when they were made\n", c->without_time);
}

/* ---------------------------------------------------------------- JSON */

enum { MAX_DAYS_LISTED = 100 }; /* of one host: one profile of 1970 makes many days missing */

static void json_missing(const struct pgo_coverage *c, size_t host, struct pgo_json *j)
{
	size_t n = 0;

	pgo_json_kv_u64(j, "days_missing_in_all", missing_days(c, host));
	pgo_json_key(j, "days_missing");
	pgo_json_array(j);
	for (int64_t d = c->first_day; d <= c->last_day && c->n_days != 0; d++) {
		char day[40];

		if (has_day(c, host, d) || n++ >= MAX_DAYS_LISTED)
			continue;
		write_day(d, day);
		pgo_json_str(j, day);
	}
	pgo_json_end_array(j);
}

static void json_of(const char *key, const struct pgo_coverage_of *of, struct pgo_json *j)
{
	pgo_json_object(j);
	pgo_json_kv_str(j, key, of->name);
	pgo_json_kv_u64(j, "there", of->there);
	pgo_json_kv_u64(j, "taken", of->taken);
}

void pgo_coverage_json(const struct pgo_coverage *c, struct pgo_json *j)
{
	char day[40];

	pgo_json_kv_u64(j, "there", c->there);
	pgo_json_kv_u64(j, "taken", c->taken);
	pgo_json_kv_u64(j, "without_time", c->without_time);
	if (c->n_days != 0) {
		write_day(c->first_day, day);
		pgo_json_kv_str(j, "first_day", day);
		write_day(c->last_day, day);
		pgo_json_kv_str(j, "last_day", day);
	}
	pgo_json_key(j, "hosts");
	pgo_json_array(j);
	for (size_t i = 0; i < c->n_hosts; i++) {
		json_of("host", &c->hosts[i], j);
		json_missing(c, i, j);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
	pgo_json_key(j, "builds");
	pgo_json_array(j);
	for (size_t i = 0; i < c->n_builds; i++) {
		json_of("build_id", &c->builds[i], j);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
	pgo_json_key(j, "hours_missing");
	pgo_json_array(j);
	for (size_t h = 0; h < PGO_COVERAGE_HOURS; h++)
		if (c->hour_there[h] == 0)
			pgo_json_u64(j, h);
	pgo_json_end_array(j);
}
