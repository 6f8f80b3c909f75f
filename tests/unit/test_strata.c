/* SPDX-License-Identifier: Apache-2.0 */
/* Which profiles a sample holds, and what is said to be missing. */
#include "fetch/coverage.h"
#include "fetch/fetch.h"
#include "fetch/strata.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/pprof.h"
#include "tests/lib/mkprofile.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND ((int64_t)1000000000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define MONDAY (1789948800 * SECOND) /* 2026-09-21T00:00:00Z */

static int up(void **state)
{
	return scratch_up(state);
}

/* ---------------------------------------------------------------- a fleet */

enum { HOSTS = 5, HOURS = 6, BUILDS = 2, EACH = 4, ALL = HOSTS * HOURS * BUILDS * EACH };

struct fleet {
	struct pgo_sample_item item[ALL];
	char name[ALL][40], host[ALL][8], build[ALL][8];
	size_t n;
};

static void fleet_make(struct fleet *f)
{
	memset(f, 0, sizeof *f);
	for (int i = 0; i < ALL; i++) {
		int host = i % HOSTS, hour = i / HOSTS % HOURS, build = i / (HOSTS * HOURS) % 2;

		snprintf(f->name[i], sizeof f->name[i], "object-%d", i);
		snprintf(f->host[i], sizeof f->host[i], "h%d", host);
		snprintf(f->build[i], sizeof f->build[i], "b%d", build);
		f->item[i] = (struct pgo_sample_item){
			f->name[i], f->host[i], f->build[i], MONDAY + hour * HOUR + i};
	}
	f->n = ALL;
}

/* Names of the first `n` in order, sorted, as one text. */
static int cmp_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void first(const struct pgo_sample_item *items, size_t n_items, size_t n, char *text)
{
	size_t order[ALL];
	const char *names[ALL];

	assert_int_equal(pgo_sample_order(items, n_items, order, NULL), 0);
	for (size_t i = 0; i < n; i++)
		names[i] = items[order[i]].name;
	qsort(names, n, sizeof *names, cmp_names);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		snprintf(text + strlen(text), 20, "%s ", names[i]);
}

static void every_host_gives_as_many_and_no_kind_twice_before_all_once(void **state)
{
	static struct fleet f;
	size_t order[ALL];
	int per_host[HOSTS] = {0}, kind[HOSTS][HOURS][BUILDS] = {{{0}}};

	(void)state;
	fleet_make(&f);
	assert_int_equal(pgo_sample_order(f.item, f.n, order, NULL), 0);
	for (size_t i = 0; i < f.n; i++) {
		int at = (int)order[i], *k;
		int least = ALL, most = 0;

		per_host[at % HOSTS]++;
		k = &kind[at % HOSTS][at / HOSTS % HOURS][at / (HOSTS * HOURS) % 2];
		assert_true(++*k <= (int)i / (HOSTS * HOURS * BUILDS) + 1);
		for (int h = 0; h < HOSTS; h++) {
			least = per_host[h] < least ? per_host[h] : least;
			most = per_host[h] > most ? per_host[h] : most;
		}
		assert_true(most - least <= 1);
	}
	for (int i = 0; i < HOSTS * HOURS * BUILDS; i++)
		assert_int_equal((&kind[0][0][0])[i], EACH);
}

static void the_order_of_the_listing_does_not_show(void **state)
{
	static struct fleet f, g;
	static char a[8192], b[8192];

	(void)state;
	fleet_make(&f);
	fleet_make(&g);
	for (size_t i = 0; i < g.n; i++) /* 97 has no factor in common with the number of them */
		g.item[i] = f.item[i * 97 % f.n];
	for (size_t n = 1; n < f.n; n += 13) {
		first(f.item, f.n, n, a);
		first(g.item, g.n, n, b);
		assert_string_equal(a, b);
	}
}

static void a_new_profile_takes_the_place_of_at_most_one(void **state)
{
	static struct fleet f;
	static char a[8192], b[8192];
	enum { N = 30 };

	(void)state;
	fleet_make(&f);
	for (size_t n = f.n - 40; n < f.n; n++) {
		int gone = 0;

		first(f.item, n, N, a);
		first(f.item, n + 1, N, b);
		for (char *save = NULL, *p = strtok_r(a, " ", &save); p != NULL;
			p = strtok_r(NULL, " ", &save)) {
			char want[48];

			snprintf(want, sizeof want, "%s ", p);
			gone += strstr(b, want) == NULL;
		}
		assert_true(gone <= 1);
	}
}

static void hours_are_those_of_a_week_that_begins_on_monday(void **state)
{
	(void)state;
	assert_int_equal(pgo_hour_of_week(MONDAY), 0);
	assert_int_equal(pgo_hour_of_week(MONDAY - 1), 167);
	assert_int_equal(pgo_hour_of_week(MONDAY + 2 * DAY + 5 * HOUR), 53);
	assert_int_equal(pgo_hour_of_week(SECOND), 72); /* a Thursday */
	assert_int_equal(pgo_hour_of_week(-SECOND), 71);
	assert_int_equal(pgo_hour_of_week(0), 168);
}

/* ---------------------------------------------------------------- coverage */

static void gaps_are_found_where_days_hours_and_builds_are_missing(void **state)
{
	struct pgo_coverage c = {.since_ns = MONDAY, .until_ns = MONDAY + 7 * DAY};
	struct pgo_buf text;

	(void)state;
	for (int d = 0; d < 7; d++) {
		assert_int_equal(
			pgo_coverage_add(&c, "web-1", "aaaa", MONDAY + d * DAY, true, NULL), 0);
		if (d != 2 && d != 3)
			assert_int_equal(pgo_coverage_add(&c, "web-0", "bbbb",
						 MONDAY + d * DAY + HOUR, d != 6, NULL),
				0);
	}
	assert_int_equal(pgo_coverage_add(&c, "", "", 0, false, NULL), 0);
	assert_int_equal(pgo_coverage_close(&c, NULL), 0);
	assert_int_equal(c.there, 13);
	assert_int_equal(c.taken, 11);
	assert_string_equal(c.hosts[1].name, "web-0");
	assert_int_equal(c.hosts[1].there, 5);
	assert_int_equal(c.hosts[1].taken, 4);
	pgo_buf_init(&text, 1 << 16);
	pgo_coverage_text(&c, 10, &text);
	assert_has(text.data, "11 of 13 profiles taken, of 3 hosts, 7 days, 12 of 168 hours");
	assert_has(text.data, "no profile of web-0 on 2026-09-23 to 2026-09-24\n");
	assert_has(text.data, "no profile of (unknown) on 2026-09-21 to 2026-09-27\n");
	assert_null(strstr(text.data, "of web-1 on"));
	assert_has(text.data, "Mon 02-24, Tue 02-24");
	assert_has(text.data, "build bbbb: 4 of 5 taken");
	assert_has(text.data, "1 do not say when");
	pgo_buf_fini(&text);
	pgo_coverage_fini(&c);
}

static void failed_allocations_leak_nothing(void **state)
{
	uint64_t live = pgo_alloc_live();
	int rc = -1;

	(void)state;
	for (uint64_t n = 0; rc < 0; n++) {
		struct pgo_coverage c = {0};

		pgo_alloc_fail_after(n);
		rc = pgo_coverage_add(&c, "a", "x", MONDAY, true, NULL);
		if (rc == 0)
			rc = pgo_coverage_add(&c, "b", "y", MONDAY + DAY, true, NULL);
		if (rc == 0)
			rc = pgo_coverage_close(&c, NULL);
		pgo_alloc_fail_after(UINT64_MAX);
		pgo_coverage_fini(&c);
		assert_int_equal(pgo_alloc_live(), live);
	}
}

/* ---------------------------------------------------------------- fetch */

static void write_profile(void *state, int i, const char *host, int64_t time_ns)
{
	char text[200], path[4096];
	struct pgo_profile *p;

	snprintf(text, sizeof text,
		"time %lld\nmapping 1000 2000 0 /bin/app abcd\n0x1%03x 1 host=%s\n",
		(long long)time_ns, i, host);
	snprintf(path, sizeof path, "%s/store", scratch_dir(state));
	assert_int_equal(pgo_mkdirs(path, NULL), 0);
	snprintf(path, sizeof path, "%s/store/%d.pb.gz", scratch_dir(state), i);
	p = mkprofile(text);
	assert_int_equal(pgo_pprof_write(p, path, NULL), 0);
	pgo_profile_free(p);
}

static void fetch(void *state, uint64_t max, const char *select, struct pgo_fetch_stats *st,
	struct pgo_coverage *c)
{
	char store[4096], out[4096];
	const char *urls[] = {store}, *selects[] = {select};
	struct pgo_fetch_options o = {.urls = urls,
		.n_urls = 1,
		.out_dir = out,
		.max_profiles = max,
		.coverage = c,
		.selects = selects,
		.n_selects = select != NULL};
	struct pgo_err err = PGO_ERR_INIT;

	snprintf(store, sizeof store, "%s/store", scratch_dir(state));
	snprintf(out, sizeof out, "%s/raw", scratch_dir(state));
	memset(c, 0, sizeof *c);
	if (pgo_fetch(&o, st, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(st->listed, st->unchanged + st->examined + st->not_taken);
}

static void a_sample_is_of_all_hosts_and_says_what_it_left(void **state)
{
	struct pgo_fetch_stats st;
	struct pgo_coverage c;

	for (int i = 0; i < 24; i++) /* one host has many more than the others */
		write_profile(*state, i,
			i < 18       ? "busy"
			: i % 2 != 0 ? "odd"
				     : "even",
			MONDAY + i * HOUR);
	fetch(*state, 6, NULL, &st, &c);
	assert_int_equal(st.fetched, 6);
	assert_int_equal(st.not_taken, 18);
	assert_int_equal(c.there, 24);
	assert_int_equal(c.taken, 6);
	assert_int_equal(c.n_hosts, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(c.hosts[i].taken, 2);
	pgo_coverage_fini(&c);
	/* Again: nothing new.  More: the old ones stay among them. */
	fetch(*state, 6, NULL, &st, &c);
	assert_int_equal(st.fetched, 0);
	assert_int_equal(c.taken, 6);
	pgo_coverage_fini(&c);
	fetch(*state, 9, NULL, &st, &c);
	assert_int_equal(st.fetched, 3);
	assert_int_equal(c.taken, 9);
	pgo_coverage_fini(&c);
}

static void what_is_not_selected_does_not_count_towards_the_sample(void **state)
{
	struct pgo_fetch_stats st;
	struct pgo_coverage c;

	for (int i = 0; i < 12; i++)
		write_profile(*state, i, i % 3 == 0 ? "mine" : "other", MONDAY + i * HOUR);
	fetch(*state, 4, "host=\"mine\"", &st, &c);
	assert_int_equal(st.fetched, 4);
	assert_int_equal(c.hosts[0].taken, 4);
	assert_string_equal(c.hosts[0].name, "mine");
	pgo_coverage_fini(&c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, up, scratch_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_host_gives_as_many_and_no_kind_twice_before_all_once),
		T(the_order_of_the_listing_does_not_show),
		T(a_new_profile_takes_the_place_of_at_most_one),
		T(hours_are_those_of_a_week_that_begins_on_monday),
		T(gaps_are_found_where_days_hours_and_builds_are_missing),
		T(failed_allocations_leak_nothing),
		T(a_sample_is_of_all_hosts_and_says_what_it_left),
		T(what_is_not_selected_does_not_count_towards_the_sample),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
