/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/child.h"
#include "tests/lib/scratch.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct pgo_child ask(const char *script, const struct pgo_child_options *o)
{
	const char *const argv[] = {"sh", "-c", script, "sh", "a  b", NULL};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_child c;

	if (pgo_child_run(argv, o, &c, &err) != 0)
		fail_msg("%s", err.msg);
	return c;
}

static void what_it_says_and_how_it_ends(void **state)
{
	static const struct {
		const char *script, *out;
		int status;
	} rows[] = {
		{"echo out; echo err >&2; exit 7", "out\nerr\n", 7},
		{"printf %s \"$1\"", "a  b", 0},
		{"kill -TERM $$", "", 128 + SIGTERM},
		{"cat", "", 0}, /* nothing to read */
		{"echo $LC_ALL", "C\n", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pgo_child c = ask(rows[i].script, NULL);

		assert_string_equal(pgo_child_text(&c), rows[i].out);
		assert_int_equal(c.status, rows[i].status);
		assert_false(c.timed_out);
		pgo_child_fini(&c);
	}
}

static void options_are_minded(void **state)
{
	const char *const env[] = {"PGO_TEST_CHILD=there", "LC_ALL=en_US.UTF-8", NULL};
	const struct pgo_child_options o = {
		.dir = "/", .most = 20, .only_stdout = true, .env = env};
	struct pgo_child c;

	(void)state;
	c = ask("echo no >&2; echo $PGO_TEST_CHILD $LC_ALL $(pwd)", &o);
	assert_string_equal(pgo_child_text(&c), "there en_US.UTF-8 /\n");
	pgo_child_fini(&c);
	c = ask("i=0; while [ $i -lt 9999 ]; do echo 123456789; i=$((i+1)); done; exit 3", &o);
	assert_int_equal(c.out.len, 20);
	assert_int_equal(c.status, 3);
	pgo_child_fini(&c);
}

static void time_is_limited(void **state)
{
	const struct pgo_child_options o = {.seconds = 1};
	struct pgo_child c;
	time_t start = time(NULL);

	(void)state;
	c = ask("echo begun; sleep 600 & sleep 600", &o);
	assert_true(c.timed_out);
	assert_int_equal(c.status, 128 + SIGKILL);
	assert_string_equal(pgo_child_text(&c), "begun\n");
	pgo_child_fini(&c);
	/* One that leaves another behind with its output is not waited for longer than itself. */
	c = ask("sleep 300 >&1 & echo $!; exit 4", NULL);
	assert_int_equal(c.status, 4);
	assert_int_equal(kill((pid_t)strtol(pgo_child_text(&c), NULL, 10), SIGKILL), 0);
	pgo_child_fini(&c);
	assert_true(time(NULL) - start < 200);
}

static void programs_that_are_not_there_are_named(void **state)
{
	const char *const argv[] = {"no-such-program-of-pgo", NULL};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_child c;

	(void)state;
	assert_int_equal(pgo_child_run(argv, NULL, &c, &err), PGO_ENOTFOUND);
	assert_non_null(strstr(err.msg, "no-such-program-of-pgo"));
	pgo_child_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_says_and_how_it_ends),
		cmocka_unit_test(options_are_minded),
		cmocka_unit_test(time_is_limited),
		cmocka_unit_test(programs_that_are_not_there_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
