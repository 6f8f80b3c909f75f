/* SPDX-License-Identifier: Apache-2.0 */
/* What is taken, what is remembered, and what a killed run leaves behind. */
#include "tests/lib/scratch.h"

#include "fetch/fetch.h"
#include "fetch/select.h"
#include "fetch/source.h"
#include "fetch/store.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/pprof.h"
#include "pgo/core/sha256.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECOND ((int64_t)1000000000)

/* ---------------------------------------------------------------- helpers */

static int warnings;

static void sink(void *ctx, enum pgo_level level, const char *domain, const char *text)
{
	(void)ctx;
	(void)domain;
	(void)text;
	warnings += level == PGO_LEVEL_WARN;
}

static int up(void **state)
{
	pgo_diag_set_sink(sink, NULL);
	warnings = 0;
	return scratch_up(state);
}

static void write_profile(
	const char *path, const char *host, const char *zone, int64_t time_ns, int64_t value)
{
	struct pgo_profile *p = pgo_profile_new(NULL);
	struct pgo_mapping m = {.start = 0x1000, .limit = 0x2000};
	struct pgo_label labels[2];
	struct pgo_err err = PGO_ERR_INIT;
	uint32_t loc;
	struct pgo_sample s = {.loc = &loc, .n_loc = 1, .value = &value, .label = labels};
	char dir[4096];

	assert_true((size_t)snprintf(dir, sizeof dir, "%s", path) < sizeof dir);
	*strrchr(dir, '/') = '\0';
	assert_int_equal(pgo_mkdirs(dir, NULL), 0);
	memset(labels, 0, sizeof labels);
	pgo_profile_add_sample_type(p, "cpu", "nanoseconds");
	m.build_id = pgo_strtab_puts(&p->strs, "ABCDEF");
	p->time_ns = time_ns;
	loc = pgo_profile_add_location(p, pgo_profile_add_mapping(p, &m), 0x1010, NULL, 0);
	if (host != NULL)
		labels[s.n_label++] = (struct pgo_label){.key = pgo_strtab_puts(&p->strs, "host"),
			.str = pgo_strtab_puts(&p->strs, host)};
	if (zone != NULL)
		labels[s.n_label++] = (struct pgo_label){.key = pgo_strtab_puts(&p->strs, "zone"),
			.str = pgo_strtab_puts(&p->strs, zone)};
	assert_int_equal(pgo_profile_add_sample(p, &s), 0);
	value++; /* a second sample with the same labels */
	assert_int_equal(pgo_profile_add_sample(p, &s), 0);
	if (pgo_pprof_write(p, path, &err) < 0)
		fail_msg("%s", err.msg);
	pgo_profile_free(p);
}

struct fixture {
	char src[2048], out[4096];
	struct pgo_fetch_stats stats;
	struct pgo_err err;
};

static struct fixture fixture_of(void *state)
{
	struct fixture f;

	memset(&f, 0, sizeof f);
	snprintf(f.src, sizeof f.src, "%s/store", scratch_dir(state));
	snprintf(f.out, sizeof f.out, "%s/raw", scratch_dir(state));
	return f;
}

static const char *in_src(struct fixture *f, const char *name)
{
	static char path[8192];

	snprintf(path, sizeof path, "%s/%s", f->src, name);
	return path;
}

static const char *in_out(struct fixture *f, const char *name)
{
	static char path[8192];

	snprintf(path, sizeof path, "%s/%s", f->out, name);
	return path;
}

static int fetch_with(struct fixture *f, struct pgo_fetch_options o)
{
	const char *url = f->src;

	if (o.urls == NULL) {
		o.urls = &url;
		o.n_urls = 1;
	}
	o.out_dir = f->out;
	pgo_err_clear(&f->err);
	return pgo_fetch(&o, &f->stats, &f->err);
}

static int fetch(struct fixture *f)
{
	return fetch_with(f, (struct pgo_fetch_options){0});
}

static void must(struct fixture *f, int rc)
{
	const struct pgo_fetch_stats *s = &f->stats;

	if (rc < 0)
		fail_msg("%s", f->err.msg);
	assert_int_equal(s->listed, s->unchanged + s->examined);
	assert_int_equal(s->examined, s->fetched + s->duplicates + s->not_selected +
					      s->not_profiles + s->failed + s->erased_new);
}

static size_t records(struct fixture *f, struct pgo_manifest *ret)
{
	struct pgo_manifest m;
	size_t n;

	pgo_manifest_init(&m);
	assert_int_equal(pgo_manifest_load(&m, in_out(f, "manifest.jsonl"), NULL), 0);
	n = m.n_records;
	for (size_t i = 0; i < n; i++) { /* every line has its object, and the other way round */
		char *path = pgo_object_path(f->out, m.records[i].digest), digest[65];

		assert_int_equal(pgo_sha256_file(path, digest, NULL), 0);
		assert_string_equal(digest, m.records[i].digest);
		pgo_free(path);
	}
	if (ret != NULL)
		*ret = m;
	else
		pgo_manifest_fini(&m);
	return n;
}

/* ---------------------------------------------------------------- what is taken */

static void profiles_of_any_name_are_stored_with_what_they_say(void **state)
{
	struct fixture f = fixture_of(*state);
	struct pgo_manifest m;
	struct pgo_buf a, b;
	char *object;

	write_profile(in_src(&f, "deep/er/no-extension"), "web-1", "a", 100 * SECOND, 5);
	assert_int_equal(pgo_file_write(in_src(&f, "fake.pb.gz"), "hello\n", 6, NULL), 0);
	must(&f, fetch(&f));
	assert_int_equal(f.stats.listed, 2);
	assert_int_equal(f.stats.fetched, 1);
	assert_int_equal(f.stats.not_profiles, 1);
	assert_int_equal(records(&f, &m), 1);
	assert_string_equal(m.records[0].source, "store/deep/er/no-extension");
	assert_string_equal(m.records[0].kind, "pprof");
	assert_string_equal(m.records[0].host, "web-1");
	assert_string_equal(pgo_record_get_label(&m.records[0], "zone"), "a");
	assert_int_equal(m.records[0].time_ns, 100 * SECOND);
	assert_string_equal(m.records[0].sample_types[0], "cpu/nanoseconds");
	assert_string_equal(m.records[0].build_ids[0], "abcdef");
	/* byte for byte */
	pgo_buf_init(&a, 1 << 20);
	pgo_buf_init(&b, 1 << 20);
	object = pgo_object_path(f.out, m.records[0].digest);
	assert_int_equal(pgo_file_read(object, 1 << 20, &a, NULL), 0);
	assert_int_equal(pgo_file_read(in_src(&f, "deep/er/no-extension"), 1 << 20, &b, NULL), 0);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	assert_int_equal(f.stats.fetched_bytes, a.len);
	pgo_free(object);
	pgo_buf_fini(&a);
	pgo_buf_fini(&b);
	pgo_manifest_fini(&m);
}

static void labels_that_differ_between_samples_say_nothing_of_the_profile(void **state)
{
	struct fixture f = fixture_of(*state);
	struct pgo_profile *p = pgo_profile_new(NULL);
	struct pgo_manifest m;
	int64_t one = 1;
	uint32_t none = 0;

	pgo_profile_add_sample_type(p, "cpu", "nanoseconds");
	for (int i = 0; i < 2; i++) {
		struct pgo_label l[2] = {
			{.key = pgo_strtab_puts(&p->strs, "host"),
				.str = pgo_strtab_puts(&p->strs, i == 0 ? "a" : "b")},
			{.key = pgo_strtab_puts(&p->strs, "service_name"),
				.str = pgo_strtab_puts(&p->strs, "shop")},
		};
		struct pgo_sample s = {
			.loc = &none, .n_loc = 1, .value = &one, .label = l, .n_label = 2};

		none = pgo_profile_add_location(p, PGO_NONE, 16, NULL, 0);
		assert_int_equal(pgo_profile_add_sample(p, &s), 0);
	}
	assert_int_equal(pgo_mkdirs(f.src, NULL), 0);
	assert_int_equal(pgo_pprof_write(p, in_src(&f, "x"), NULL), 0);
	pgo_profile_free(p);
	must(&f, fetch(&f));
	assert_int_equal(records(&f, &m), 1);
	assert_string_equal(m.records[0].host, "");
	assert_string_equal(m.records[0].service, "shop");
	assert_true(m.records[0].time_ns != 0); /* that of the file */
	pgo_manifest_fini(&m);
}

static void default_labels_fill_only_what_is_missing(void **state)
{
	struct fixture f = fixture_of(*state);
	const char *labels[] = {"host=other", "service=shop", "team=a=b"};
	const char *bad = "team";
	struct pgo_manifest m;

	write_profile(in_src(&f, "a"), "web-1", NULL, SECOND, 5);
	must(&f, fetch_with(&f, (struct pgo_fetch_options){.labels = labels, .n_labels = 3}));
	assert_int_equal(records(&f, &m), 1);
	assert_string_equal(m.records[0].host, "web-1");
	assert_string_equal(m.records[0].service, "shop");
	assert_string_equal(pgo_record_get_label(&m.records[0], "team"), "a=b");
	pgo_manifest_fini(&m);
	assert_int_equal(fetch_with(&f, (struct pgo_fetch_options){.labels = &bad, .n_labels = 1}),
		PGO_EUSAGE);
}

static void the_same_bytes_are_stored_once(void **state)
{
	struct fixture f = fixture_of(*state);

	write_profile(in_src(&f, "a"), "web-1", NULL, SECOND, 5);
	write_profile(in_src(&f, "b"), "web-1", NULL, SECOND, 5);
	must(&f, fetch(&f));
	assert_int_equal(f.stats.fetched, 1);
	assert_int_equal(f.stats.duplicates, 1);
	assert_int_equal(records(&f, NULL), 1);
	must(&f, fetch(&f));
	assert_int_equal(f.stats.unchanged, 2);
}

static void a_damaged_profile_is_skipped_with_a_warning_and_the_rest_taken(void **state)
{
	struct fixture f = fixture_of(*state);

	write_profile(in_src(&f, "a"), "web-1", NULL, SECOND, 5);
	write_profile(in_src(&f, "b"), "web-2", NULL, SECOND, 5);
	assert_int_equal(truncate(in_src(&f, "a"), 60), 0);
	must(&f, fetch(&f));
	assert_int_equal(f.stats.failed, 1);
	assert_int_equal(f.stats.fetched, 1);
	assert_int_equal(warnings, 1);
}

static void an_object_beyond_the_limit_is_skipped(void **state)
{
	struct fixture f = fixture_of(*state);

	write_profile(in_src(&f, "a"), "web-1", NULL, SECOND, 5);
	assert_int_equal(fetch_with(&f, (struct pgo_fetch_options){.max_object = 10}), PGO_EEMPTY);
	assert_int_equal(f.stats.failed, 1);
}

/* ---------------------------------------------------------------- selection */

static uint64_t selected(void **state, const char *select, int64_t since, int64_t until)
{
	struct fixture f = fixture_of(*state);
	static int run;
	int rc;

	snprintf(f.out, sizeof f.out, "%s/raw%d", scratch_dir(*state), run++);
	rc = fetch_with(&f, (struct pgo_fetch_options){.selects = &select,
				    .n_selects = select != NULL,
				    .since_ns = since,
				    .until_ns = until});
	if (rc == PGO_EEMPTY)
		return 0;
	must(&f, rc);
	return f.stats.fetched;
}

static void selection_is_by_label_and_time(void **state)
{
	struct fixture f = fixture_of(*state);

	write_profile(in_src(&f, "1"), "web-1", "a", 100 * SECOND, 1);
	write_profile(in_src(&f, "2"), "web-2", "a", 200 * SECOND, 2);
	write_profile(in_src(&f, "3"), "web-10", "b", 300 * SECOND, 3);
	write_profile(in_src(&f, "4"), "db", NULL, 400 * SECOND, 4);
	assert_int_equal(selected(state, NULL, 0, 0), 4);
	assert_int_equal(selected(state, "host=\"web-1\"", 0, 0), 1);
	assert_int_equal(selected(state, "host=web-1", 0, 0), 1);
	assert_int_equal(selected(state, "host!=\"web-1\"", 0, 0), 3);
	assert_int_equal(selected(state, "host=~\"web-.\"", 0, 0), 2); /* the whole value */
	assert_int_equal(selected(state, "host=~\"web-1|db\"", 0, 0), 2);
	assert_int_equal(selected(state, "host!~\"web-.*\"", 0, 0), 1);
	assert_int_equal(selected(state, "{zone=\"a\", host!=\"web-1\"}", 0, 0), 1);
	assert_int_equal(selected(state, "zone=\"\"", 0, 0), 1); /* not there = empty */
	assert_int_equal(selected(state, "service=\"x\"", 0, 0), 0);
	assert_int_equal(selected(state, "build_id=\"abcdef\"", 0, 0), 4);
	assert_int_equal(selected(state, "build_id!=\"abcdef\"", 0, 0), 0);
	assert_int_equal(selected(state, NULL, 200 * SECOND, 0), 3);
	assert_int_equal(selected(state, NULL, 0, 200 * SECOND), 1);
	assert_int_equal(selected(state, NULL, 200 * SECOND, 400 * SECOND), 2);
}

static void a_malformed_selector_is_a_usage_error_with_its_place(void **state)
{
	static const char *const bad[] = {"", "=x", "host", "host~x", "host=\"x", "host=\"x\" y",
		"{host=\"x\"", "host=~\"(\"", "host=\"x\",", "host=\"x\"}"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_selection s;

		pgo_selection_init(&s);
		if (pgo_selection_add(&s, bad[i], &err) != PGO_EUSAGE)
			fail_msg("'%s' was taken", bad[i]);
		assert_has(err.msg, "selector");
		pgo_selection_fini(&s);
	}
}

static void quotes_and_commas_inside_a_value_are_kept(void **state)
{
	struct pgo_selection s;

	(void)state;
	pgo_selection_init(&s);
	assert_int_equal(pgo_selection_add(&s, "a = \"x,\\\"y\\\\\" , b!='}'", NULL), 0);
	assert_int_equal(s.n_matchers, 2);
	assert_string_equal(s.matchers[0].value, "x,\"y\\");
	assert_string_equal(s.matchers[1].value, "}");
	pgo_selection_fini(&s);
}

/* ---------------------------------------------------------------- the second run */

static void an_unchanged_store_is_not_opened_again(void **state)
{
	struct fixture f = fixture_of(*state);
	const char *select = "host=\"web-1\"";
	struct pgo_fetch_options o = {.selects = &select, .n_selects = 1};
	struct pgo_buf before;

	write_profile(in_src(&f, "a"), "web-1", NULL, SECOND, 5);
	write_profile(in_src(&f, "b"), "web-2", NULL, SECOND, 5);
	assert_int_equal(pgo_file_write(in_src(&f, "readme"), "text\n", 5, NULL), 0);
	must(&f, fetch_with(&f, o));
	assert_int_equal(f.stats.fetched, 1);
	assert_int_equal(f.stats.not_selected, 1);
	pgo_buf_init(&before, 1 << 20);
	assert_int_equal(pgo_file_read(in_out(&f, "manifest.jsonl"), 1 << 20, &before, NULL), 0);
	must(&f, fetch_with(&f, o));
	assert_int_equal(f.stats.unchanged, 3);
	assert_int_equal(f.stats.examined, 0);
	assert_file(in_out(&f, "manifest.jsonl"), before.data, before.len);
	pgo_buf_fini(&before);
}

static void a_wider_selection_takes_what_an_earlier_one_left(void **state)
{
	struct fixture f = fixture_of(*state);
	const char *select = "host=\"web-1\"";

	write_profile(in_src(&f, "a"), "web-1", NULL, SECOND, 5);
	write_profile(in_src(&f, "b"), "web-2", NULL, SECOND, 5);
	must(&f, fetch_with(&f, (struct pgo_fetch_options){.selects = &select, .n_selects = 1}));
	must(&f, fetch(&f));
	assert_int_equal(f.stats.unchanged, 1);
	assert_int_equal(f.stats.fetched, 1);
	assert_int_equal(records(&f, NULL), 2);
	must(&f, fetch(&f));
	assert_int_equal(f.stats.unchanged, 2);
}

static void a_touched_file_is_recognised_by_its_digest(void **state)
{
	struct fixture f = fixture_of(*state);
	struct timespec times[2] = {{1000, 0}, {1000, 0}};

	write_profile(in_src(&f, "a"), "web-1", NULL, SECOND, 5);
	must(&f, fetch(&f));
	assert_int_equal(utimensat(AT_FDCWD, in_src(&f, "a"), times, 0), 0);
	must(&f, fetch(&f));
	assert_int_equal(f.stats.duplicates, 1);
	assert_int_equal(f.stats.fetched, 0);
	must(&f, fetch(&f));
	assert_int_equal(f.stats.unchanged, 1);
	assert_int_equal(records(&f, NULL), 1);
}

static void a_changed_file_is_a_further_profile(void **state)
{
	struct fixture f = fixture_of(*state);

	write_profile(in_src(&f, "a"), "web-1", NULL, SECOND, 5);
	must(&f, fetch(&f));
	write_profile(in_src(&f, "a"), "web-1", NULL, 2 * SECOND, 600000);
	must(&f, fetch(&f));
	assert_int_equal(f.stats.fetched, 1);
	assert_int_equal(records(&f, NULL), 2);
}

static void what_vanishes_from_the_source_stays_stored(void **state)
{
	struct fixture f = fixture_of(*state);

	write_profile(in_src(&f, "a"), "web-1", NULL, SECOND, 5);
	write_profile(in_src(&f, "b"), "web-1", NULL, SECOND, 6);
	must(&f, fetch(&f));
	assert_int_equal(unlink(in_src(&f, "a")), 0);
	must(&f, fetch(&f));
	assert_int_equal(f.stats.listed, 1);
	assert_int_equal(records(&f, NULL), 2);
}

/* ---------------------------------------------------------------- killed runs */

static void a_run_that_was_killed_is_continued(void **state)
{
	struct fixture f = fixture_of(*state);
	struct pgo_buf manifest;
	FILE *journal;

	write_profile(in_src(&f, "a"), "web-1", NULL, SECOND, 5);
	write_profile(in_src(&f, "b"), "web-2", NULL, SECOND, 5);
	must(&f, fetch(&f));
	/* as if killed after the first object: a line and a half in the journal, no manifest */
	pgo_buf_init(&manifest, 1 << 20);
	assert_int_equal(pgo_file_read(in_out(&f, "manifest.jsonl"), 1 << 20, &manifest, NULL), 0);
	journal = fopen(in_out(&f, ".journal.jsonl"), "w");
	assert_non_null(journal);
	fwrite(manifest.data, 1, (size_t)(strchr(manifest.data, '\n') - manifest.data) + 20,
		journal);
	fclose(journal);
	pgo_buf_fini(&manifest);
	assert_int_equal(unlink(in_out(&f, "manifest.jsonl")), 0);
	assert_int_equal(pgo_file_write(in_out(&f, ".tmp/17"), "half", 4, NULL), 0);
	must(&f, fetch(&f));
	assert_int_equal(f.stats.fetched, 0); /* nothing is copied a second time into its place */
	assert_int_equal(f.stats.unchanged, 1);
	assert_int_equal(f.stats.duplicates, 1); /* adopted without a line, then recognised */
	assert_int_equal(records(&f, NULL), 2);
	assert_false(pgo_path_exists(in_out(&f, ".journal.jsonl")));
	assert_false(pgo_path_exists(in_out(&f, ".tmp/17")));
	must(&f, fetch(&f));
	assert_int_equal(f.stats.unchanged, 2);
}

static void a_lost_manifest_is_made_again_from_the_objects(void **state)
{
	struct fixture f = fixture_of(*state);
	struct pgo_manifest m;

	write_profile(in_src(&f, "a"), "web-1", "z", SECOND, 5);
	must(&f, fetch(&f));
	assert_int_equal(unlink(in_out(&f, "manifest.jsonl")), 0);
	assert_int_equal(unlink(in_src(&f, "a")), 0);
	write_profile(in_src(&f, "b"), "web-2", NULL, 3 * SECOND, 7);
	must(&f, fetch(&f));
	assert_int_equal(records(&f, &m), 2);
	assert_string_equal(m.records[0].host, "web-1");
	assert_string_equal(m.records[0].source, "");
	pgo_manifest_fini(&m);
}

static void a_damaged_object_of_a_killed_run_is_fetched_again(void **state)
{
	struct fixture f = fixture_of(*state);
	struct pgo_manifest m;
	char *object;

	write_profile(in_src(&f, "a"), "web-1", NULL, SECOND, 5);
	must(&f, fetch(&f));
	records(&f, &m);
	object = pgo_object_path(f.out, m.records[0].digest);
	pgo_manifest_fini(&m);
	{ /* the power failed: same length, other bytes */
		int fd = open(object, O_WRONLY);

		assert_int_equal(pwrite(fd, "\0\0\0\0", 4, 20), 4);
		close(fd);
	}
	assert_int_equal(rename(in_out(&f, "manifest.jsonl"), scratch_path(*state, "moved")), 0);
	assert_int_equal(rename(scratch_path(*state, "moved"), in_out(&f, ".journal.jsonl")), 0);
	must(&f, fetch(&f));
	assert_int_equal(f.stats.fetched, 1);
	assert_int_equal(records(&f, NULL), 1);
	/* and one that was deleted by hand */
	assert_int_equal(unlink(object), 0);
	must(&f, fetch(&f));
	assert_int_equal(f.stats.fetched, 1);
	assert_int_equal(records(&f, NULL), 1);
	pgo_free(object);
}

static void a_second_process_is_kept_out(void **state)
{
	struct fixture f = fixture_of(*state);
	struct pgo_store *held = pgo_store_open(f.out, NULL);

	assert_non_null(held);
	write_profile(in_src(&f, "a"), "web-1", NULL, SECOND, 5);
	assert_int_equal(fetch(&f), PGO_EIO);
	assert_has(f.err.msg, "another fetch");
	pgo_store_close(held);
	must(&f, fetch(&f));
}

static void a_damaged_manifest_is_an_error_and_stays(void **state)
{
	struct fixture f = fixture_of(*state);

	write_profile(in_src(&f, "a"), "web-1", NULL, SECOND, 5);
	must(&f, fetch(&f));
	assert_int_equal(pgo_file_write(in_out(&f, "manifest.jsonl"), "{oops\n", 6, NULL), 0);
	assert_int_equal(fetch(&f), PGO_EFORMAT);
	assert_has(f.err.msg, "manifest.jsonl:1");
	assert_file(in_out(&f, "manifest.jsonl"), "{oops\n", 6);
}

/* ---------------------------------------------------------------- sources */

static void sources_that_cannot_be_listed_are_errors(void **state)
{
	struct fixture f = fixture_of(*state);
	const char *urls[] = {
		"s3+odd://bucket/x", "/nonexistent/dir", "/nonexistent/*.gz", "file:"};
	const enum pgo_code codes[] = {PGO_EUSAGE, PGO_EIO, PGO_ENOTFOUND, PGO_EUSAGE};

	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(
			fetch_with(&f, (struct pgo_fetch_options){.urls = &urls[i], .n_urls = 1}),
			codes[i]);
		assert_true(f.err.msg[0] != '\0');
	}
	assert_int_equal(fetch_with(&f, (struct pgo_fetch_options){.since_ns = 5, .until_ns = 5}),
		PGO_EUSAGE);
}

static void a_directory_without_profiles_is_empty(void **state)
{
	struct fixture f = fixture_of(*state);

	assert_int_equal(pgo_mkdirs(f.src, NULL), 0);
	assert_int_equal(fetch(&f), PGO_EEMPTY);
	assert_int_equal(pgo_file_write(in_src(&f, "x"), "text\n", 5, NULL), 0);
	assert_int_equal(fetch(&f), PGO_EEMPTY);
	assert_has(f.err.msg, "1 are no profiles");
}

static void names_begin_at_the_last_part_of_the_source(void **state)
{
	struct fixture f = fixture_of(*state);
	char file[8192], glob[8192], url[8192], here[8192];
	const char *urls[] = {file, glob, url};
	const char *want[] = {"cpu.pb", "store/web-1/cpu.pb", "store/web-1/cpu.pb"};

	write_profile(in_src(&f, "web-1/cpu.pb"), "web-1", NULL, SECOND, 5);
	snprintf(file, sizeof file, "%s/web-1/cpu.pb", f.src);
	snprintf(glob, sizeof glob, "%s/web*/*.pb", f.src);
	snprintf(url, sizeof url, "file://%s/", f.src);
	for (int i = 0; i < 3; i++) {
		struct pgo_manifest m;

		snprintf(f.out, sizeof f.out, "%s/raw%d", scratch_dir(*state), i);
		must(&f, fetch_with(&f, (struct pgo_fetch_options){.urls = &urls[i], .n_urls = 1}));
		assert_int_equal(records(&f, &m), 1);
		assert_string_equal(m.records[0].source, want[i]);
		pgo_manifest_fini(&m);
	}
	assert_non_null(getcwd(here, sizeof here));
	assert_int_equal(chdir(f.src), 0);
	for (int i = 0; i < 3; i++) {
		const char *relative[] = {".", "*/cpu.pb", "./web-1"};
		const char *names[] = {"web-1/cpu.pb", "web-1/cpu.pb", "web-1/cpu.pb"};
		struct pgo_manifest m;

		snprintf(f.out, sizeof f.out, "%s/rel%d", scratch_dir(*state), i);
		must(&f, fetch_with(&f,
				 (struct pgo_fetch_options){.urls = &relative[i], .n_urls = 1}));
		assert_int_equal(records(&f, &m), 1);
		assert_string_equal(m.records[0].source, names[i]);
		pgo_manifest_fini(&m);
	}
	assert_int_equal(chdir(here), 0);
}

static void two_sources_with_equal_names_are_both_taken(void **state)
{
	struct fixture f = fixture_of(*state);
	char a[8192], b[8192];
	const char *urls[] = {a, b};
	struct timespec times[2] = {{1000, 0}, {1000, 0}};

	snprintf(a, sizeof a, "%s/x/data", f.src);
	snprintf(b, sizeof b, "%s/y/data", f.src);
	write_profile(in_src(&f, "x/data/p"), "web-1", NULL, SECOND, 5);
	write_profile(in_src(&f, "y/data/p"), "web-1", NULL, SECOND, 6); /* same size */
	assert_int_equal(utimensat(AT_FDCWD, in_src(&f, "x/data/p"), times, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, in_src(&f, "y/data/p"), times, 0), 0);
	must(&f, fetch_with(&f, (struct pgo_fetch_options){.urls = urls, .n_urls = 2}));
	assert_int_equal(f.stats.fetched, 2);
	must(&f, fetch_with(&f, (struct pgo_fetch_options){.urls = urls, .n_urls = 2}));
	assert_int_equal(f.stats.unchanged, 2);
}

static void an_output_directory_inside_the_source_is_not_fetched_from(void **state)
{
	struct fixture f = fixture_of(*state);

	write_profile(in_src(&f, "a"), "web-1", NULL, SECOND, 5);
	snprintf(f.out, sizeof f.out, "%s/raw", f.src);
	must(&f, fetch(&f));
	must(&f, fetch(&f));
	assert_int_equal(f.stats.listed, 1);
	assert_int_equal(f.stats.unchanged, 1);
}

static void every_failed_allocation_is_an_error_without_a_leak(void **state)
{
	struct fixture f = fixture_of(*state);
	uint64_t live;

	write_profile(in_src(&f, "a"), "web-1", "z", SECOND, 5);
	write_profile(in_src(&f, "b"), "web-1", "z", SECOND, 5);
	live = pgo_alloc_live();
	for (uint64_t n = 0;; n++) {
		int rc;

		snprintf(f.out, sizeof f.out, "%s/raw%d", scratch_dir(*state), (int)n);
		pgo_alloc_fail_after(n);
		rc = fetch(&f);
		pgo_alloc_fail_after(UINT64_MAX);
		assert_int_equal(pgo_alloc_live(), live);
		if (rc == 0 && f.stats.fetched == 1 && f.stats.duplicates == 1)
			break;
		assert_true(rc == PGO_ENOMEM);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, scratch_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(profiles_of_any_name_are_stored_with_what_they_say),
		TEST(labels_that_differ_between_samples_say_nothing_of_the_profile),
		TEST(default_labels_fill_only_what_is_missing),
		TEST(the_same_bytes_are_stored_once),
		TEST(a_damaged_profile_is_skipped_with_a_warning_and_the_rest_taken),
		TEST(an_object_beyond_the_limit_is_skipped),
		TEST(selection_is_by_label_and_time),
		TEST(a_malformed_selector_is_a_usage_error_with_its_place),
		TEST(quotes_and_commas_inside_a_value_are_kept),
		TEST(an_unchanged_store_is_not_opened_again),
		TEST(a_wider_selection_takes_what_an_earlier_one_left),
		TEST(a_touched_file_is_recognised_by_its_digest),
		TEST(a_changed_file_is_a_further_profile),
		TEST(what_vanishes_from_the_source_stays_stored),
		TEST(a_run_that_was_killed_is_continued),
		TEST(a_lost_manifest_is_made_again_from_the_objects),
		TEST(a_damaged_object_of_a_killed_run_is_fetched_again),
		TEST(a_second_process_is_kept_out),
		TEST(a_damaged_manifest_is_an_error_and_stays),
		TEST(sources_that_cannot_be_listed_are_errors),
		TEST(a_directory_without_profiles_is_empty),
		TEST(names_begin_at_the_last_part_of_the_source),
		TEST(two_sources_with_equal_names_are_both_taken),
		TEST(an_output_directory_inside_the_source_is_not_fetched_from),
		TEST(every_failed_allocation_is_an_error_without_a_leak),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
