/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The law of what is kept: over random fleets, through random sequences of refreshes in which
 * profiles come and go, options change, and what is kept is deleted, cut off, overwritten or swapped
 * at random, every result has the bytes of a merge that keeps nothing.
 */
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/pprof.h"
#include "pgo/core/sha256.h"
#include "pgo/merge_inputs.h"
#include "tests/lib/randfleet.h"
#include "tests/lib/scratch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY ((int64_t)86400 * 1000000000)
#define T0 ((int64_t)1760000000 * 1000000000)
#define FLEET 60

struct fleet {
	char *path[FLEET];
	char digest[FLEET][65];
	char host[FLEET][8];
	char dir[4096];
};

static char *in_dir(void *state, const char *name)
{
	return pgo_asprintf("%s/%s", scratch_dir(state), name);
}

static void fleet_init(struct fleet *f, void *state, uint64_t *seed, bool one_host_is_large)
{
	struct pgo_err err = PGO_ERR_INIT;
	char *dir = in_dir(state, "cache");

	snprintf(f->dir, sizeof f->dir, "%s", dir);
	pgo_free(dir);
	for (unsigned i = 0; i < FLEET; i++) {
		struct pgo_profile *p = randfleet_profile(seed, 60);
		char name[32];

		p->time_ns = T0 + (int64_t)i * DAY / 3;
		snprintf(name, sizeof name, "%02u.pb.gz", i);
		f->path[i] = in_dir(state, name);
		if (pgo_pprof_write(p, f->path[i], &err) < 0 ||
			pgo_sha256_file(f->path[i], f->digest[i], &err) < 0)
			fail_msg("%s", err.msg);
		snprintf(f->host[i], sizeof f->host[i], "h%u",
			one_host_is_large && i % 2 != 0 ? 0 : i % 7);
		pgo_profile_free(p);
	}
}

static void fleet_fini(struct fleet *f)
{
	for (unsigned i = 0; i < FLEET; i++)
		pgo_free(f->path[i]);
}

/* Profiles [from, to), with some left out. */
static size_t choose(
	const struct fleet *f, unsigned from, unsigned to, uint64_t out, struct pgo_merge_input *in)
{
	size_t n = 0;

	for (unsigned i = from; i < to; i++) {
		if (out >> i & 1)
			continue;
		in[n++] = (struct pgo_merge_input){.path = f->path[i],
			.digest = f->digest[i],
			.host = f->host[i],
			.name = f->path[i]};
	}
	return n;
}

/* The digest of the merged profile and its weights, or the failure. */
static void merge(const struct pgo_merge_input *in, size_t n, const struct pgo_plan_options *po,
	const struct pgo_merge_options *mo, const struct pgo_merge_cache *cache,
	struct pgo_merge_reuse *reuse, char ret[400])
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_merged m;
	struct pgo_sha256 h;
	struct pgo_buf b;
	uint8_t raw[32];

	if (pgo_merge_inputs_again(in, n, NULL, po, mo, cache, &m, &err) < 0) {
		snprintf(ret, 400, "failed %d", (int)err.code);
		pgo_merged_fini(&m);
		return;
	}
	pgo_buf_init(&b, (size_t)1 << 30);
	assert_int_equal(pgo_pprof_encode(m.profile, false, &b, &err), 0);
	pgo_sha256_init(&h);
	pgo_sha256_add(&h, b.data, b.len);
	for (size_t i = 0; i < n; i++)
		pgo_sha256_add(&h, &pgo_plan_of(&m.plan, i)->weight, sizeof(uint64_t));
	pgo_sha256_add(&h, &m.stats, sizeof m.stats);
	pgo_sha256_final(&h, raw);
	pgo_sha256_hex(raw, ret);
	*reuse = m.reuse;
	pgo_buf_fini(&b);
	pgo_merged_fini(&m);
}

/* ---------------------------------------------------------------- what happens to files */

static int cmp_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* In an order that is the same on every file system. */
static size_t list_sums(const struct fleet *f, char names[256][300])
{
	char dir[4200];
	const struct dirent *e;
	size_t n = 0;
	DIR *d;

	snprintf(dir, sizeof dir, "%s/sums", f->dir);
	d = opendir(dir);
	while (d != NULL && n < 256 && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			snprintf(names[n++], 300, "%s", e->d_name);
	if (d != NULL)
		closedir(d);
	if (n != 0)
		qsort(names, n, sizeof *names, cmp_name);
	return n;
}

static void spoil(const char *path, uint64_t *seed)
{
	struct pgo_buf b = {0};
	struct pgo_err err = PGO_ERR_INIT;

	if (pgo_file_read(path, (size_t)1 << 30, &b, &err) < 0 || b.len == 0) {
		pgo_buf_fini(&b);
		return;
	}
	switch (randfleet_rnd(seed, 4)) {
	case 0:
		unlink(path);
		break;
	case 1: /* cut off */
		assert_int_equal(truncate(path, (off_t)randfleet_rnd(seed, b.len)), 0);
		break;
	case 2: /* one bit */
		b.data[randfleet_rnd(seed, b.len)] ^= (char)(1 << randfleet_rnd(seed, 8));
		assert_int_equal(pgo_file_write(path, b.data, b.len, &err), 0);
		break;
	default: /* something follows */
		pgo_buf_puts(&b, "more");
		assert_int_equal(pgo_file_write(path, b.data, b.len, &err), 0);
	}
	pgo_buf_fini(&b);
}

static void something_happens(const struct fleet *f, uint64_t *seed)
{
	static char names[256][300];
	char path[4600], other[4600];
	size_t n = list_sums(f, names);

	if (randfleet_rnd(seed, 3) == 0) {
		snprintf(path, sizeof path, "%s/measures", f->dir);
		spoil(path, seed);
	}
	if (n == 0 || randfleet_rnd(seed, 3) != 0)
		return;
	snprintf(path, sizeof path, "%s/sums/%s", f->dir, names[randfleet_rnd(seed, n)]);
	snprintf(other, sizeof other, "%s/sums/%s", f->dir, names[randfleet_rnd(seed, n)]);
	if (randfleet_rnd(seed, 4) == 0)
		assert_int_equal(rename(path, other), 0); /* a name says nothing */
	else
		spoil(path, seed);
}

/* ---------------------------------------------------------------- the law */

static struct pgo_plan_options random_options(uint64_t *seed)
{
	struct pgo_plan_options o = {.half_life_ns = 7 * DAY, .host_cap = 3};

	switch (randfleet_rnd(seed, 8)) {
	case 0:
		o.half_life_ns = 0;
		break;
	case 1:
		o.half_life_ns = DAY / 2; /* older than age goes */
		break;
	case 2:
		o.mode = PGO_PLAN_EQUAL_HOST;
		break;
	case 3:
		o.season = true;
		break;
	case 4:
		o.window_ns = 9 * DAY;
		break;
	case 5:
		o.host_cap = 0.5;
		break;
	default:
		break;
	}
	return o;
}

static void refreshes(void **state, uint64_t seed, bool spoiled)
{
	struct pgo_merge_reuse reuse = {0}, none;
	struct pgo_plan_options o = {.half_life_ns = 7 * DAY, .host_cap = 3};
	static struct pgo_merge_input in[FLEET];
	char warm[400], cold[400];
	size_t known = 0, kept = 0, read = 0;
	static struct fleet f;

	fleet_init(&f, *state, &seed, randfleet_rnd(&seed, 2) != 0);
	for (unsigned run = 0, to = 20; run < 24; run++) {
		const struct pgo_merge_cache cache = {.dir = f.dir, .salt = "salt"};
		const struct pgo_merge_options mo = {.keep_labels = randfleet_rnd(&seed, 8) == 0};
		unsigned from = to > 40 ? to - 40 : 0;
		uint64_t out = randfleet_rnd(&seed, 4) == 0
				       ? (uint64_t)1 << randfleet_rnd(&seed, FLEET)
				       : 0;
		size_t n = choose(&f, from, to, out, in);

		if (randfleet_rnd(&seed, 3) == 0)
			o = random_options(&seed);
		merge(in, n, &o, &mo, NULL, &none, cold);
		assert_int_equal(none.known + none.kept, 0);
		merge(in, n, &o, &mo, &cache, &reuse, warm);
		if (strcmp(cold, warm) != 0)
			fail_msg("run %u: %s without, %s with what is kept", run, cold, warm);
		known += reuse.known;
		kept += reuse.kept;
		read += reuse.summed;
		to += (unsigned)randfleet_rnd(&seed, 5);
		if (to > FLEET)
			to = FLEET;
		if (spoiled)
			something_happens(&f, &seed);
	}
	/* Or nothing would have been tested. */
	assert_true(known > 100);
	assert_true(kept > 50);
	assert_true(read > 40);
	fleet_fini(&f);
}

static void a_refresh_has_the_bytes_of_a_cold_run(void **state)
{
	refreshes(state, 1, false);
}

static void what_is_kept_may_be_lost_or_damaged(void **state)
{
	refreshes(state, 2, true);
}

static void what_is_kept_may_be_lost_or_damaged_otherwise(void **state)
{
	refreshes(state, 3, true);
}

/* Only the new profiles are read. */
static void a_refresh_reads_what_is_new(void **state)
{
	const struct pgo_plan_options o = {.half_life_ns = 7 * DAY, .shares = true};
	const struct pgo_merge_options mo = {0};
	static struct pgo_merge_input in[FLEET];
	struct pgo_merge_reuse reuse = {0}, none;
	char warm[400], cold[400];
	static struct fleet f;
	uint64_t seed = 5;

	fleet_init(&f, *state, &seed, false);
	for (unsigned to = 50; to <= 60; to += 5) {
		const struct pgo_merge_cache cache = {.dir = f.dir, .salt = "salt"};
		size_t n = choose(&f, 0, to, 0, in);

		merge(in, n, &o, &mo, &cache, &reuse, warm);
		assert_int_equal(reuse.known, to == 50 ? 0 : to - 5);
		assert_true(reuse.summed <= (to == 50 ? 50 : 5));
		merge(in, n, &o, &mo, NULL, &none, cold);
		assert_string_equal(cold, warm);
	}
	fleet_fini(&f);
}

static void another_salt_is_another_program(void **state)
{
	const struct pgo_plan_options o = {.half_life_ns = 7 * DAY};
	const struct pgo_merge_options mo = {0};
	static struct pgo_merge_input in[FLEET];
	struct pgo_merge_reuse reuse = {0};
	struct pgo_merge_cache cache = {.salt = "one"};
	static struct fleet f;
	char digest[400];
	uint64_t seed = 6;
	size_t n;

	fleet_init(&f, *state, &seed, false);
	cache.dir = f.dir;
	n = choose(&f, 0, 30, 0, in);
	merge(in, n, &o, &mo, &cache, &reuse, digest);
	merge(in, n, &o, &mo, &cache, &reuse, digest);
	assert_int_equal(reuse.known, 30);
	assert_int_equal(reuse.summed, 0);
	cache.salt = "two";
	merge(in, n, &o, &mo, &cache, &reuse, digest);
	assert_int_equal(reuse.known, 0);
	assert_int_equal(reuse.kept, 0);
	fleet_fini(&f);
}

static void age_and_size_are_collected(void **state)
{
	const struct pgo_plan_options o = {.half_life_ns = 7 * DAY};
	const struct pgo_merge_options mo = {0};
	static struct pgo_merge_input in[FLEET];
	struct pgo_merge_reuse reuse = {0};
	struct pgo_merge_cache cache = {.salt = "one"};
	static char names[256][300];
	struct pgo_err err = PGO_ERR_INIT;
	static struct fleet f;
	char digest[400];
	uint64_t seed = 7, bytes = 1;
	size_t n;

	fleet_init(&f, *state, &seed, false);
	cache.dir = f.dir;
	n = choose(&f, 0, 40, 0, in);
	merge(in, n, &o, &mo, &cache, &reuse, digest);
	assert_true(list_sums(&f, names) != 0);
	assert_int_equal(pgo_merge_cache_gc(f.dir, 0, 0, 0, &bytes, &err), 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(pgo_merge_cache_gc(f.dir, 1, 0, 0, &bytes, &err), 0);
	assert_true(bytes > 1000);
	assert_int_equal(list_sums(&f, names), 0);
	merge(in, n, &o, &mo, &cache, &reuse, digest);
	assert_int_equal(pgo_merge_cache_gc(f.dir, 0, DAY, INT64_MAX, &bytes, &err), 0);
	assert_true(bytes > 1000);
	assert_int_equal(pgo_merge_cache_gc("/nonexistent", 1, 1, 1, &bytes, &err), 0);
	fleet_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_refresh_has_the_bytes_of_a_cold_run, scratch_up, scratch_down),
		cmocka_unit_test_setup_teardown(
			what_is_kept_may_be_lost_or_damaged, scratch_up, scratch_down),
		cmocka_unit_test_setup_teardown(
			what_is_kept_may_be_lost_or_damaged_otherwise, scratch_up, scratch_down),
		cmocka_unit_test_setup_teardown(
			a_refresh_reads_what_is_new, scratch_up, scratch_down),
		cmocka_unit_test_setup_teardown(
			another_salt_is_another_program, scratch_up, scratch_down),
		cmocka_unit_test_setup_teardown(
			age_and_size_are_collected, scratch_up, scratch_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
