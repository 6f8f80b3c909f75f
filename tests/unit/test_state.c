/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/opt.h"
#include "pgo/core/sha256.h"
#include "pgo/state.h"
#include "tests/lib/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define A "20261101-aaaaaaaaaaaa"
#define B "20261108-abbbbbbbbbbb"
#define C "20261115-cccccccccccc"
#define SECOND INT64_C(1000000000)

static struct pgo_state s;

static int up(void **state)
{
	setenv("PGO_NOW", "2026-11-20T12:00:00Z", 1);
	return scratch_up(state);
}

static int down(void **state)
{
	pgo_state_close(&s);
	unsetenv("PGO_NOW");
	return scratch_down(state);
}

static void begin(void **state)
{
	assert_int_equal(pgo_state_open(scratch_dir(*state), "app", &s, NULL), 0);
	assert_int_equal(pgo_state_lock(&s, 0, NULL), 0);
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[1024];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(pgo_file_write(path, text, strlen(text), NULL), 0);
}

static void digest_of(const char *text, char ret[65])
{
	struct pgo_sha256 h;
	uint8_t digest[32];

	pgo_sha256_init(&h);
	pgo_sha256_add(&h, text, strlen(text));
	pgo_sha256_final(&h, digest);
	pgo_sha256_hex(digest, ret);
}

/* A whole result with one output of that text. */
static void fill(const char *dir, const char *text)
{
	char manifest[512], merged[65], output[65];

	digest_of("merged", merged);
	digest_of(text, output);
	snprintf(manifest, sizeof manifest,
		"{\"schema\":2,\"merged\":{\"sha256\":\"%s\"},\"outputs\":[{\"kind\":\"gcc\","
		"\"path\":\"out/app.afdo\",\"file\":\"app.afdo\",\"sha256\":\"%s\"}]}",
		merged, output);
	put(dir, "merged.pb.gz", "merged");
	put(dir, "app.afdo", text);
	put(dir, "manifest.json", manifest);
}

static void publish(const char *id, const char *text)
{
	char *candidate = pgo_state_candidate(&s, NULL);

	assert_non_null(candidate);
	fill(candidate, text);
	assert_int_equal(pgo_state_adopt(&s, candidate, false, id, NULL), 0);
	assert_int_equal(access(candidate, F_OK), -1);
	pgo_free(candidate);
}

static void say(const char *decision, const char *id, const char *reason)
{
	const struct pgo_state_decision d = {.decision = decision, .id = id, .reason = reason};

	assert_int_equal(pgo_state_log_append(&s, &d, NULL), 0);
}

static void nothing_is_made_by_opening(void **state)
{
	assert_int_equal(pgo_state_open(scratch_dir(*state), "app", &s, NULL), 0);
	assert_int_equal(s.format, 0);
	assert_int_equal(scratch_count(*state), 0);
}

static void a_newer_format_is_refused_by_its_number(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;

	begin(state);
	put(s.dir, "format", "3\n");
	pgo_state_close(&s);
	assert_int_equal(pgo_state_open(scratch_dir(*state), "app", &s, &err), PGO_EMISMATCH);
	assert_has(err.msg, "format 3");
}

static void ids_are_a_day_and_a_digest(void **state)
{
	const char *const one[] = {"x", "y"}, *const other[] = {"xy", ""};
	char a[PGO_STATE_ID_SIZE], b[PGO_STATE_ID_SIZE];

	(void)state;
	pgo_state_make_id(1795176000 * SECOND, one, 2, a);
	pgo_state_make_id(1795176000 * SECOND, other, 2, b);
	assert_true(pgo_state_is_id(a));
	assert_memory_equal(a, "20261120-", 9);
	assert_string_not_equal(a, b);
	assert_true(pgo_state_is_id(A));
	assert_false(pgo_state_is_id("20261101-AAAAAAAAAAAA"));
	assert_false(pgo_state_is_id("2026110a-aaaaaaaaaaaa"));
	assert_false(pgo_state_is_id(A "a"));
	assert_false(pgo_state_is_id(""));
}

static void last_good_is_a_relative_link_that_is_switched(void **state)
{
	char id[PGO_STATE_ID_SIZE], to[64];
	ssize_t n;

	begin(state);
	pgo_state_last_good(&s, id);
	assert_string_equal(id, "");
	publish(A, "a");
	publish(B, "b");
	assert_int_equal(pgo_state_switch(&s, A, NULL), 0);
	assert_int_equal(pgo_state_switch(&s, B, NULL), 0);
	pgo_state_last_good(&s, id);
	assert_string_equal(id, B);
	n = readlink(s.last_good, to, sizeof to - 1);
	assert_int_equal(n, (ssize_t)strlen("published/" B));
	assert_int_equal(pgo_state_pin(&s, A, NULL), 0);
	pgo_state_pinned(&s, id);
	assert_string_equal(id, A);
	assert_int_equal(pgo_state_pin(&s, NULL, NULL), 0);
	assert_int_equal(pgo_state_pin(&s, NULL, NULL), 0);
	pgo_state_pinned(&s, id);
	assert_string_equal(id, "");
}

static void a_link_that_leads_elsewhere_is_none(void **state)
{
	char id[PGO_STATE_ID_SIZE];

	begin(state);
	assert_int_equal(symlink("/etc", s.last_good), 0);
	pgo_state_last_good(&s, id);
	assert_string_equal(id, "");
}

static void entries_are_found_by_what_only_they_have(void **state)
{
	const struct pgo_state_entry *found;
	struct pgo_state_entries e;
	struct pgo_err err = PGO_ERR_INIT;
	char *candidate;

	begin(state);
	publish(A, "a");
	publish(B, "b");
	candidate = pgo_state_candidate(&s, NULL);
	fill(candidate, "c");
	assert_int_equal(pgo_state_adopt(&s, candidate, true, C, NULL), 0);
	pgo_free(candidate);
	assert_int_equal(pgo_state_switch(&s, B, NULL), 0);
	assert_int_equal(pgo_state_list(&s, &e, NULL), 0);
	assert_int_equal(e.n, 3);
	assert_true(e.of[2].quarantined);
	assert_int_equal(pgo_state_find(&s, &e, "20261101", &found, NULL), 0);
	assert_string_equal(found->id, A);
	assert_int_equal(pgo_state_find(&s, &e, "abb", &found, NULL), 0);
	assert_string_equal(found->id, B);
	assert_int_equal(pgo_state_find(&s, &e, "last-good", &found, NULL), 0);
	assert_string_equal(found->id, B);
	assert_int_equal(pgo_state_find(&s, &e, "ccc", &found, NULL), 0);
	assert_true(found->quarantined);
	assert_int_equal(pgo_state_find(&s, &e, "202611", &found, &err), PGO_EUSAGE);
	assert_has(err.msg, A ", " B);
	assert_int_equal(pgo_state_find(&s, &e, "ab", &found, &err), PGO_ENOTFOUND);
	assert_int_equal(pgo_state_find(&s, &e, "ddd", &found, &err), PGO_ENOTFOUND);
	assert_int_equal(pgo_state_find(&s, &e, "pinned", &found, &err), PGO_ENOTFOUND);
	pgo_state_entries_fini(&e);
}

static void an_entry_is_never_changed_but_mended(void **state)
{
	struct pgo_state_entries e;
	struct pgo_jval *m;
	struct stat before, after;
	char *path;

	begin(state);
	publish(A, "a");
	path = pgo_state_path(&s, false, A, "app.afdo");
	assert_int_equal(stat(path, &before), 0);
	publish(A, "a");
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(pgo_state_list(&s, &e, NULL), 0);
	m = pgo_state_doc(&e.of[0], "manifest.json", NULL);
	assert_true(pgo_state_intact(e.of[0].dir, m));
	put(e.of[0].dir, "app.afdo", "spoiled");
	assert_false(pgo_state_intact(e.of[0].dir, m));
	publish(A, "a");
	assert_true(pgo_state_intact(e.of[0].dir, m));
	pgo_jdoc_free(m);
	pgo_state_entries_fini(&e);
	pgo_free(path);
}

static void what_a_killed_run_left_is_cleared_away(void **state)
{
	char *candidate;

	begin(state);
	candidate = pgo_state_candidate(&s, NULL);
	fill(candidate, "half");
	pgo_state_close(&s);
	begin(state);
	assert_int_equal(access(candidate, F_OK), -1);
	pgo_free(candidate);
}

static void an_entry_moves_into_quarantine_and_out(void **state)
{
	struct pgo_state_entries e;

	begin(state);
	publish(A, "a");
	assert_int_equal(pgo_state_move(&s, A, true, NULL), 0);
	assert_int_equal(pgo_state_list(&s, &e, NULL), 0);
	assert_int_equal(e.n, 1);
	assert_true(e.of[0].quarantined);
	pgo_state_entries_fini(&e);
	assert_int_equal(pgo_state_move(&s, A, false, NULL), 0);
	assert_int_equal(pgo_state_list(&s, &e, NULL), 0);
	assert_false(e.of[0].quarantined);
	pgo_state_entries_fini(&e);
}

static void the_log_tells_what_was_decided_in_order(void **state)
{
	struct pgo_state_events log;

	begin(state);
	publish(A, "a");
	assert_int_equal(pgo_state_switch(&s, A, NULL), 0);
	say("published", A, "all gates passed");
	say("unchanged", "", "nothing new");
	assert_int_equal(pgo_state_log_read(&s, &log, NULL), 0);
	assert_int_equal(log.n, 2);
	assert_int_equal(log.of[0].seq, 1);
	assert_int_equal(log.of[1].seq, 2);
	assert_string_equal(log.of[0].decision, "published");
	assert_string_equal(log.of[1].last_good, A);
	assert_int_equal(log.of[0].time_ns, 1795176000 * SECOND);
	pgo_state_events_fini(&log);
}

/* Every length at which the last line can be cut off: it does not count, and the next takes its place. */
static void a_line_cut_short_anywhere_is_mended(void **state)
{
	struct pgo_state_events log;
	struct pgo_buf text;
	size_t first, all;

	begin(state);
	say("published", A, "first");
	assert_int_equal(pgo_file_read(s.log, 1 << 20, &text, NULL), 0);
	first = text.len;
	pgo_buf_fini(&text);
	say("quarantined", B, "second");
	assert_int_equal(pgo_file_read(s.log, 1 << 20, &text, NULL), 0);
	all = text.len;
	for (size_t cut = first; cut < all; cut++) {
		assert_int_equal(pgo_file_write(s.log, text.data, cut, NULL), 0);
		assert_int_equal(pgo_state_log_read(&s, &log, NULL), 0);
		assert_int_equal(log.n, 1);
		pgo_state_events_fini(&log);
		say("failed", "", "third");
		assert_int_equal(pgo_state_log_read(&s, &log, NULL), 0);
		/* Only its newline was missing: then it counts after all. */
		assert_int_equal(log.n, cut == all - 1 ? 3 : 2);
		assert_int_equal(log.damaged, 0);
		assert_string_equal(log.of[log.n - 1].decision, "failed");
		pgo_state_events_fini(&log);
	}
	pgo_buf_fini(&text);
}

static void a_clock_set_back_leaves_the_log_in_order(void **state)
{
	struct pgo_state_events log;
	struct pgo_state_story story;

	begin(state);
	say("published", A, "");
	setenv("PGO_NOW", "2026-11-10T00:00:00Z", 1);
	say("published", B, "");
	assert_int_equal(pgo_state_log_read(&s, &log, NULL), 0);
	assert_int_equal(log.of[1].time_ns, log.of[0].time_ns);
	assert_true(log.of[1].clock_ns < log.of[1].time_ns);
	pgo_state_story(&log, B, &story);
	assert_int_equal(story.published_ns, log.of[1].clock_ns);
	pgo_state_events_fini(&log);
	assert_int_equal(pgo_state_age(20, 10), 0);
	assert_int_equal(pgo_state_age(10, 20), 10);
}

static void passwords_stay_out_of_the_log(void **state)
{
	struct pgo_buf text;

	begin(state);
	say("failed", "",
		"http://me:s3cret@store:80/x?a=b refused, https://u:s3@cret@h and http://h/a@b");
	assert_int_equal(pgo_file_read(s.log, 1 << 20, &text, NULL), 0);
	assert_null(strstr(text.data, "cret"));
	assert_has(text.data, "http://store:80/x?a=b refused, https://h and http://h/a@b");
	pgo_buf_fini(&text);
}

static void the_story_of_a_result(void **state)
{
	struct pgo_state_events log;
	struct pgo_state_story story;

	begin(state);
	publish(A, "a");
	assert_int_equal(pgo_state_switch(&s, A, NULL), 0);
	say("published", A, "");
	setenv("PGO_NOW", "2026-11-27T12:00:00Z", 1);
	say("suppressed", C, "much the same");
	setenv("PGO_NOW", "2026-12-27T12:00:00Z", 1);
	say("unchanged", "", "");
	assert_int_equal(pgo_state_log_read(&s, &log, NULL), 0);
	pgo_state_story(&log, A, &story);
	assert_int_equal(story.published_ns, 1795176000 * SECOND);
	assert_int_equal(story.confirmed_ns, (1795176000 + 7 * 86400) * SECOND);
	assert_false(story.withdrawn);
	pgo_state_events_fini(&log);
	say("verified", A, "");
	say("rolled_back", A, "");
	assert_int_equal(pgo_state_log_read(&s, &log, NULL), 0);
	pgo_state_story(&log, A, &story);
	assert_true(story.withdrawn);
	assert_true(story.verified);
	pgo_state_events_fini(&log);
	say("promoted", A, "");
	assert_int_equal(pgo_state_log_read(&s, &log, NULL), 0);
	pgo_state_story(&log, A, &story);
	assert_false(story.withdrawn);
	/* A log that does not know it: the day of its id. */
	pgo_state_story(&log, B, &story);
	assert_int_equal(story.published_ns, 1794096000 * SECOND);
	pgo_state_events_fini(&log);
}

static void entries_of_one_day_are_ordered_by_the_log(void **state)
{
	struct pgo_state_entries e;
	struct pgo_state_events log;

	begin(state);
	publish("20261101-cccccccccccc", "c");
	say("published", "20261101-cccccccccccc", "");
	publish("20261101-bbbbbbbbbbbb", "b");
	say("published", "20261101-bbbbbbbbbbbb", "");
	publish("20261101-aaaaaaaaaaaa", "a"); /* and killed before the log */
	publish("20261031-dddddddddddd", "d");
	assert_int_equal(pgo_state_log_read(&s, &log, NULL), 0);
	assert_int_equal(pgo_state_list(&s, &e, NULL), 0);
	pgo_state_order(&e, &log);
	assert_string_equal(e.of[0].id, "20261031-dddddddddddd");
	assert_string_equal(e.of[1].id, "20261101-cccccccccccc");
	assert_string_equal(e.of[2].id, "20261101-bbbbbbbbbbbb");
	assert_string_equal(e.of[3].id, "20261101-aaaaaaaaaaaa");
	pgo_state_entries_fini(&e);
	pgo_state_events_fini(&log);
}

static void what_is_in_use_gets_too_old_unless_it_is_pinned(void **state)
{
	const int64_t day = 86400 * SECOND, now = 1795176000 * SECOND;
	struct pgo_state_standing st;
	struct pgo_state_events log;

	begin(state);
	publish(A, "a");
	assert_int_equal(pgo_state_switch(&s, A, NULL), 0);
	say("published", A, "");
	assert_int_equal(pgo_state_log_read(&s, &log, NULL), 0);
	pgo_state_standing(&s, &log, 10 * day, now + 10 * day, &st);
	assert_false(st.expired);
	pgo_state_standing(&s, &log, 10 * day, now + 10 * day + SECOND, &st);
	assert_true(st.expired);
	pgo_state_standing(&s, &log, 0, now + 1000 * day, &st);
	assert_false(st.expired);
	/* A clock that was set back: no age below 0, and it is said. */
	pgo_state_standing(&s, &log, 10 * day, now - 30 * day, &st);
	assert_false(st.expired);
	assert_true(st.early);
	assert_int_equal(st.age_ns, 0);
	assert_int_equal(pgo_state_pin(&s, A, NULL), 0);
	pgo_state_standing(&s, &log, 10 * day, now + 1000 * day, &st);
	assert_false(st.expired);
	assert_true(st.pinned);
	/* A link to nothing is nothing. */
	assert_int_equal(pgo_state_switch(&s, B, NULL), 0);
	pgo_state_standing(&s, &log, 10 * day, now, &st);
	assert_string_equal(st.id, "");
	pgo_state_events_fini(&log);
}

/* The line is written first: whoever comes next makes the links so. */
static void a_decision_of_a_person_that_was_cut_short_is_finished(void **state)
{
	struct pgo_state_decision d = {.decision = "rolled_back", .id = B, .last_good = A};
	struct pgo_state_events log;
	char id[PGO_STATE_ID_SIZE];

	begin(state);
	publish(A, "a");
	publish(B, "b");
	assert_int_equal(pgo_state_switch(&s, B, NULL), 0);
	assert_int_equal(pgo_state_log_append(&s, &d, NULL), 0);
	assert_int_equal(pgo_state_log_read(&s, &log, NULL), 0);
	assert_int_equal(pgo_state_settle(&s, &log, NULL), 0);
	pgo_state_last_good(&s, id);
	assert_string_equal(id, A);
	pgo_state_events_fini(&log);
	d = (struct pgo_state_decision){.decision = "pinned", .id = B, .last_good = B};
	assert_int_equal(pgo_state_log_append(&s, &d, NULL), 0);
	assert_int_equal(pgo_state_log_read(&s, &log, NULL), 0);
	assert_int_equal(pgo_state_settle(&s, &log, NULL), 0);
	pgo_state_pinned(&s, id);
	assert_string_equal(id, B);
	pgo_state_events_fini(&log);
	/* A line about what is no longer there changes nothing. */
	d = (struct pgo_state_decision){.decision = "promoted", .id = C, .last_good = C};
	assert_int_equal(pgo_state_log_append(&s, &d, NULL), 0);
	assert_int_equal(pgo_state_log_read(&s, &log, NULL), 0);
	assert_int_equal(pgo_state_settle(&s, &log, NULL), 0);
	pgo_state_last_good(&s, id);
	assert_string_equal(id, B);
	pgo_state_events_fini(&log);
}

static void damaged_lines_are_counted_and_passed_over(void **state)
{
	static const char text[] = "{\"v\":1,\"seq\":1,\"decision\":\"published\",\"id\":\"" A
				   "\"}\nrubbish\n{}\n[1]\n{\"decision\":7}\n\n"
				   "{\"v\":1,\"seq\":9,\"decision\":\"failed\"}\n";
	struct pgo_state_events log;

	begin(state);
	assert_int_equal(pgo_file_write(s.log, text, strlen(text), NULL), 0);
	assert_int_equal(pgo_state_log_read(&s, &log, NULL), 0);
	assert_int_equal(log.n, 2);
	assert_int_equal(log.damaged, 4);
	pgo_state_events_fini(&log);
	say("unchanged", "", "");
	assert_int_equal(pgo_state_log_read(&s, &log, NULL), 0);
	assert_int_equal(log.of[2].seq, 10);
	pgo_state_events_fini(&log);
}

static void who_holds_the_lock_keeps_others_out_until_it_dies(void **state)
{
	struct pgo_state other;
	struct pgo_err err = PGO_ERR_INIT;
	int status, ready[2];
	char byte;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		struct pgo_state mine;

		if (pgo_state_open(scratch_dir(*state), "app", &mine, NULL) == 0 &&
			pgo_state_lock(&mine, 0, NULL) == 0)
			(void)!write(ready[1], "x", 1);
		close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	assert_int_equal(pgo_state_open(scratch_dir(*state), "app", &other, NULL), 0);
	assert_int_equal(pgo_state_lock(&other, 0, &err), PGO_EIO);
	assert_has(err.msg, "another run");
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	assert_int_equal(pgo_state_lock(&other, 10 * SECOND, NULL), 0);
	pgo_state_close(&other);
}

/* What format 1 left: a merged profile, a manifest, and the output where pgo.conf wants it. */
static void old_state(void **state, const char *output)
{
	char manifest[512], digest[65];

	assert_int_equal(mkdir(scratch_path(*state, "app"), 0777), 0);
	digest_of("output", digest);
	snprintf(manifest, sizeof manifest,
		"{\"schema\":1,\"outputs\":[{\"kind\":\"gcc\",\"path\":\"out/app.afdo\","
		"\"sha256\":\"%s\"}]}",
		digest);
	put(scratch_path(*state, "app"), "manifest.json", manifest);
	put(scratch_path(*state, "app"), "merged.pb.gz", "merged");
	put(scratch_dir(*state), "app.afdo", output);
}

static void format_1_becomes_a_result_like_any(void **state)
{
	const struct pgo_state_old_output outputs[] = {
		{"out/app.afdo", scratch_path(*state, "app.afdo")}};
	struct pgo_state_entries e;
	struct pgo_state_events log;

	old_state(state, "output");
	begin(state);
	assert_int_equal(s.format, 1);
	assert_int_equal(pgo_state_migrate(&s, outputs, 1, NULL), 0);
	assert_int_equal(s.format, 2);
	assert_int_equal(pgo_state_migrate(&s, outputs, 1, NULL), 0);
	assert_int_equal(pgo_state_list(&s, &e, NULL), 0);
	assert_int_equal(e.n, 1);
	assert_true(e.of[0].last_good);
	pgo_state_entries_fini(&e);
	assert_int_equal(access(scratch_path(*state, "app/last-good/app.afdo"), R_OK), 0);
	assert_int_equal(access(scratch_path(*state, "app/manifest.json"), R_OK), -1);
	assert_int_equal(pgo_state_log_read(&s, &log, NULL), 0);
	assert_int_equal(log.n, 1);
	assert_string_equal(log.of[0].decision, "migrated");
	pgo_state_events_fini(&log);
	pgo_state_close(&s);
	begin(state);
	assert_int_equal(s.format, 2);
}

static void format_1_that_is_not_whole_goes_into_quarantine(void **state)
{
	const struct pgo_state_old_output outputs[] = {
		{"out/app.afdo", scratch_path(*state, "app.afdo")}};
	struct pgo_state_entries e;
	struct pgo_buf why;
	char *path;

	old_state(state, "spoiled");
	begin(state);
	assert_int_equal(pgo_state_migrate(&s, outputs, 1, NULL), 0);
	assert_int_equal(pgo_state_list(&s, &e, NULL), 0);
	assert_int_equal(e.n, 1);
	assert_true(e.of[0].quarantined);
	path = pgo_asprintf("%s/why.txt", e.of[0].dir);
	assert_int_equal(pgo_file_read(path, 4096, &why, NULL), 0);
	assert_has(why.data, "out/app.afdo");
	pgo_buf_fini(&why);
	pgo_free(path);
	pgo_state_entries_fini(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_made_by_opening, up, down),
		cmocka_unit_test_setup_teardown(a_newer_format_is_refused_by_its_number, up, down),
		cmocka_unit_test_setup_teardown(ids_are_a_day_and_a_digest, up, down),
		cmocka_unit_test_setup_teardown(
			last_good_is_a_relative_link_that_is_switched, up, down),
		cmocka_unit_test_setup_teardown(a_link_that_leads_elsewhere_is_none, up, down),
		cmocka_unit_test_setup_teardown(entries_are_found_by_what_only_they_have, up, down),
		cmocka_unit_test_setup_teardown(an_entry_is_never_changed_but_mended, up, down),
		cmocka_unit_test_setup_teardown(what_a_killed_run_left_is_cleared_away, up, down),
		cmocka_unit_test_setup_teardown(an_entry_moves_into_quarantine_and_out, up, down),
		cmocka_unit_test_setup_teardown(the_log_tells_what_was_decided_in_order, up, down),
		cmocka_unit_test_setup_teardown(a_line_cut_short_anywhere_is_mended, up, down),
		cmocka_unit_test_setup_teardown(a_clock_set_back_leaves_the_log_in_order, up, down),
		cmocka_unit_test_setup_teardown(passwords_stay_out_of_the_log, up, down),
		cmocka_unit_test_setup_teardown(the_story_of_a_result, up, down),
		cmocka_unit_test_setup_teardown(
			entries_of_one_day_are_ordered_by_the_log, up, down),
		cmocka_unit_test_setup_teardown(
			what_is_in_use_gets_too_old_unless_it_is_pinned, up, down),
		cmocka_unit_test_setup_teardown(
			a_decision_of_a_person_that_was_cut_short_is_finished, up, down),
		cmocka_unit_test_setup_teardown(
			damaged_lines_are_counted_and_passed_over, up, down),
		cmocka_unit_test_setup_teardown(
			who_holds_the_lock_keeps_others_out_until_it_dies, up, down),
		cmocka_unit_test_setup_teardown(format_1_becomes_a_result_like_any, up, down),
		cmocka_unit_test_setup_teardown(
			format_1_that_is_not_whole_goes_into_quarantine, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
