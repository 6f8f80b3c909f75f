/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/tools.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void releases_are_read_from_what_tools_say(void **state)
{
	static const struct {
		const char *line;
		unsigned release;
	} rows[] = {
		{"gcc (Debian 12.2.0-14+deb12u1) 12.2.0", 12},
		{"gcc-16 (Debian 16-20260308-1) 16.0.1 20260308 (experimental)", 16},
		{"Debian clang version 14.0.6", 14},
		{"Ubuntu clang version 22.1.0 (++20260101)", 22},
		{"Debian LLVM version 22.1.8", 22},
		{"LLVM version 19.1.7", 19},
		{"go version go1.26.1 linux/amd64", 1},
		{"x 7", 7},
		{"nothing to say", 0},
		{"", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (pgo_tool_release(rows[i].line) != rows[i].release)
			fail_msg("\"%s\": %u", rows[i].line, pgo_tool_release(rows[i].line));
}

static void tool(void **state, const char *name, const char *says)
{
	char text[200];
	int len = snprintf(text, sizeof text, "#!/bin/sh\necho '%s'\n", says);

	assert_int_equal(chmod(scratch_file(*state, name, text, (size_t)len), 0755), 0);
}

static void the_plain_name_comes_first_then_the_newest(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_tool t;

	setenv("PATH", scratch_dir(*state), 1);
	tool(state, "pgotool-9", "tool version 9.1");
	tool(state, "pgotool-12", "Some words\n  tool version 12.0.3");
	tool(state, "pgotool-12x", "tool version 99");
	scratch_file(*state, "pgotool-40", "", 0); /* cannot be run */
	assert_int_equal(pgo_tool_find("pgotool", &t, &err), 0);
	assert_string_equal(t.path, scratch_path(*state, "pgotool-12"));
	assert_string_equal(t.says, "tool version 12.0.3");
	assert_int_equal(t.release, 12);
	pgo_tool_fini(&t);
	tool(state, "pgotool", "tool version 3.0");
	assert_int_equal(pgo_tool_find("pgotool", &t, &err), 0);
	assert_int_equal(t.release, 3);
	pgo_tool_fini(&t);
	assert_int_equal(pgo_tool_find(scratch_path(*state, "pgotool-9"), &t, &err), 0);
	assert_int_equal(t.release, 9);
	pgo_tool_fini(&t);
	assert_int_equal(pgo_tool_find("pgotoolx", &t, &err), PGO_ENOTFOUND);
	assert_has(err.msg, "pgotoolx-N");
	assert_null(t.path);
	assert_int_equal(pgo_tool_find("/bin/sh/none", &t, &err), PGO_ENOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(releases_are_read_from_what_tools_say),
		cmocka_unit_test_setup_teardown(
			the_plain_name_comes_first_then_the_newest, scratch_up, scratch_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
