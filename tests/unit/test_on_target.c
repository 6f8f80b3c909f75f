/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/sha256.h"
#include "pgo/on_target.h"
#include "pgo/state_gc.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define A "20261101-aaaaaaaaaaaa"
#define B "20261108-bbbbbbbbbbbb"
#define C "20261115-cccccccccccc"

static struct pgo_conf conf;
static struct pgo_on_target o;
static char id[PGO_STATE_ID_SIZE];

static void digest_of(const char *text, char ret[65])
{
	struct pgo_sha256 h;
	uint8_t digest[32];

	pgo_sha256_init(&h);
	pgo_sha256_add(&h, text, strlen(text));
	pgo_sha256_final(&h, digest);
	pgo_sha256_hex(digest, ret);
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[1024];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(pgo_file_write(path, text, strlen(text), NULL), 0);
}

/* A result whose output is its id; NULL for a refused one without outputs. */
static void add(struct pgo_state *s, const char *which, bool quarantined, const char *output)
{
	char *dir = pgo_state_candidate(s, NULL), manifest[512], merged[65], digest[65];

	digest_of(which, merged);
	digest_of(output != NULL ? output : "", digest);
	snprintf(manifest, sizeof manifest,
		"{\"merged\":{\"sha256\":\"%s\"},\"fingerprint\":\"%s\",\"outputs\":[%s%s%s]}",
		merged, which,
		output != NULL ? "{\"kind\":\"gcc\",\"path\":\"app.afdo\",\"file\":\"app.afdo\","
				 "\"sha256\":\""
			       : "",
		output != NULL ? digest : "", output != NULL ? "\"}" : "");
	put(dir, "merged.pb.gz", which);
	put(dir, "manifest.json", manifest);
	if (output != NULL)
		put(dir, "app.afdo", output);
	assert_int_equal(pgo_state_adopt(s, dir, quarantined, which, NULL), 0);
	pgo_free(dir);
}

static void publish(struct pgo_state *s, const char *which)
{
	const struct pgo_state_decision d = {.decision = "published", .id = which};

	add(s, which, false, which);
	assert_int_equal(pgo_state_switch(s, which, NULL), 0);
	assert_int_equal(pgo_state_log_append(s, &d, NULL), 0);
}

static int up(void **state)
{
	struct pgo_state s;
	char text[1024];

	setenv("PGO_NOW", "2026-11-20T12:00:00Z", 1);
	if (scratch_up(state) != 0)
		return -1;
	snprintf(text, sizeof text,
		"state = \"state\"\ntarget \"app\" { sources = {\"x\"} binary = \"x\" gcc = "
		"\"app.afdo\" }\n");
	put(scratch_dir(*state), "pgo.conf", text);
	assert_int_equal(pgo_conf_load(scratch_path(*state, "pgo.conf"), &conf, NULL), 0);
	assert_int_equal(pgo_state_open(conf.state, "app", &s, NULL), 0);
	assert_int_equal(pgo_state_lock(&s, 0, NULL), 0);
	publish(&s, A);
	publish(&s, B);
	pgo_state_close(&s);
	assert_int_equal(pgo_on_target_open(&conf, &conf.targets[0], true, &o, NULL), 0);
	return 0;
}

static int down(void **state)
{
	pgo_on_target_close(&o);
	pgo_conf_fini(&conf);
	unsetenv("PGO_NOW");
	return scratch_down(state);
}

static void assert_in_use(void **state, const char *which)
{
	pgo_state_last_good(&o.state, id);
	assert_string_equal(id, which);
	if (which[0] != '\0')
		assert_file(scratch_path(*state, "app.afdo"), which, strlen(which));
}

static const char *last_decision(void)
{
	return o.log.of[o.log.n - 1].decision;
}

static void a_result_that_is_verified_stays(void **state)
{
	assert_int_equal(pgo_decide_verified(&o, B, true, "-6.1 %", id, NULL), 0);
	assert_string_equal(last_decision(), "verified");
	assert_in_use(state, B);
	assert_true(o.standing.verified);
}

static void one_that_makes_things_worse_gives_way_to_the_one_before(void **state)
{
	assert_int_equal(pgo_decide_verified(&o, "last-good", false, "+2 %", id, NULL), 0);
	assert_string_equal(id, A);
	assert_in_use(state, A);
	assert_string_equal(last_decision(), "rejected");
	assert_int_equal(o.entries.n, 2);
	assert_true(o.entries.of[1].quarantined);
	/* And then there is none left. */
	assert_int_equal(pgo_decide_verified(&o, A, false, "+1 %", id, NULL), 0);
	assert_string_equal(id, "");
	assert_in_use(state, "");
}

static void one_that_is_pinned_stays_whatever_was_measured(void **state)
{
	assert_int_equal(pgo_decide_pin(&o, NULL, "release", id, NULL), 0);
	assert_int_equal(pgo_decide_verified(&o, B, false, "+2 %", id, NULL), 0);
	assert_in_use(state, B);
	assert_false(o.entries.of[1].quarantined);
}

static void one_that_is_not_in_use_is_taken_away_alone(void **state)
{
	assert_int_equal(pgo_decide_verified(&o, A, false, "", id, NULL), 0);
	assert_in_use(state, B);
	assert_true(o.entries.of[1].quarantined);
	assert_int_equal(pgo_decide_verified(&o, A, true, "", id, NULL), PGO_EUSAGE);
}

static void going_back_skips_what_is_damaged_or_was_taken_back(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;

	publish(&o.state, C);
	assert_int_equal(pgo_on_target_reload(&o, NULL), 0);
	put(o.entries.of[1].dir, "app.afdo", "spoiled");
	assert_int_equal(pgo_decide_rollback(&o, NULL, "slow", id, NULL), 0);
	assert_in_use(state, A);
	assert_int_equal(pgo_decide_rollback(&o, NULL, "", id, &err), PGO_ENOTFOUND);
	assert_int_equal(pgo_decide_rollback(&o, "bbb", "", id, &err), PGO_EFORMAT);
	assert_has(err.msg, "damaged");
	assert_in_use(state, A);
}

static void what_was_refused_without_outputs_cannot_be_promoted(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	add(&o.state, C, true, NULL);
	assert_int_equal(pgo_on_target_reload(&o, NULL), 0);
	assert_int_equal(pgo_decide_promote(&o, C, NULL, id, &err), PGO_EUSAGE);
	assert_has(err.msg, "-m REASON");
	assert_int_equal(pgo_decide_promote(&o, C, "because", id, &err), PGO_EUSAGE);
	assert_has(err.msg, "no outputs");
	pgo_state_last_good(&o.state, id);
	assert_string_equal(id, B);
}

static void targets_are_named_where_there_are_several(void **state)
{
	struct pgo_target two[2];
	const struct pgo_conf several = {.path = conf.path, .targets = two, .n_targets = 2};
	const struct pgo_target *t = NULL;
	struct pgo_err err = PGO_ERR_INIT;
	char one[] = "one", other[] = "other";

	(void)state;
	memset(two, 0, sizeof two);
	two[0].name = one;
	two[1].name = other;
	assert_int_equal(pgo_target_find(&conf, NULL, &t, NULL), 0);
	assert_string_equal(t->name, "app");
	assert_int_equal(pgo_target_find(&several, NULL, &t, &err), PGO_EUSAGE);
	assert_has(err.msg, "one, other");
	assert_int_equal(pgo_target_find(&several, "other", &t, NULL), 0);
	assert_ptr_equal(t, &two[1]);
	assert_int_equal(pgo_target_find(&several, "oth", &t, &err), PGO_EUSAGE);
}

static void gc_leaves_what_is_in_use_whatever_its_age(void **state)
{
	const struct pgo_gc_rule rule = {.keep = 0, .keep_ns = 1, .quarantine_ns = 1};
	struct pgo_gc_plan plan;
	uint64_t cache;

	setenv("PGO_NOW", "2027-11-20T12:00:00Z", 1);
	o.now_ns += INT64_C(365) * 86400 * 1000000000;
	assert_int_equal(pgo_decide_rollback(&o, A, "", id, NULL), 0);
	add(&o.state, C, true, "c");
	assert_int_equal(pgo_on_target_reload(&o, NULL), 0);
	assert_int_equal(pgo_gc_plan(&o, &rule, &plan, NULL), 0);
	/* B was taken back a moment ago; the candidate is of another year. */
	assert_int_equal(plan.results_kept.n, 2);
	assert_int_equal(plan.quarantine_gone.n, 1);
	pgo_gc_plan_fini(&plan);
	o.now_ns += INT64_C(2) * 1000000000;
	assert_int_equal(pgo_gc_plan(&o, &rule, &plan, NULL), 0);
	assert_int_equal(plan.results_gone.n, 1);
	assert_int_equal(pgo_gc_sweep(&o, &rule, &plan, &cache, NULL), 0);
	pgo_gc_plan_fini(&plan);
	assert_int_equal(pgo_on_target_reload(&o, NULL), 0);
	assert_int_equal(o.entries.n, 1);
	assert_in_use(state, A);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_result_that_is_verified_stays, up, down),
		cmocka_unit_test_setup_teardown(
			one_that_makes_things_worse_gives_way_to_the_one_before, up, down),
		cmocka_unit_test_setup_teardown(
			one_that_is_pinned_stays_whatever_was_measured, up, down),
		cmocka_unit_test_setup_teardown(
			one_that_is_not_in_use_is_taken_away_alone, up, down),
		cmocka_unit_test_setup_teardown(
			going_back_skips_what_is_damaged_or_was_taken_back, up, down),
		cmocka_unit_test_setup_teardown(
			what_was_refused_without_outputs_cannot_be_promoted, up, down),
		cmocka_unit_test_setup_teardown(
			targets_are_named_where_there_are_several, up, down),
		cmocka_unit_test_setup_teardown(
			gc_leaves_what_is_in_use_whatever_its_age, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
