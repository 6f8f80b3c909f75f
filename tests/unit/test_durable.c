/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/durable.h"
#include "pgo/core/file.h"
#include "tests/lib/scratch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[512], note[600];

static int open_dir(void *state)
{
	snprintf(dir, sizeof dir, "%s", scratch_path(state, "store"));
	snprintf(note, sizeof note, "%s/.unsynced", dir);
	assert_int_equal(mkdir(dir, 0777), 0);
	return open(dir, O_RDONLY | O_DIRECTORY);
}

static void nothing_is_in_doubt_without_a_note_or_since_the_same_start(void **state)
{
	int fd = open_dir(*state);

	assert_int_equal(pgo_durable_doubt(dir, fd, NULL), 0);
	assert_int_equal(pgo_durable_promise(dir, fd, NULL), 0);
	assert_int_equal(access(note, F_OK), 0);
	assert_int_equal(pgo_durable_doubt(dir, fd, NULL), 0);
	assert_int_equal(access(note, F_OK), 0); /* the disk may still be busy */
	close(fd);
}

static void another_start_of_the_machine_is_a_doubt_until_it_is_settled(void **state)
{
	static const char *const others[] = {
		"00000000-0000-0000-0000-000000000000", "", "no such number at all"};
	int fd = open_dir(*state);

	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		assert_int_equal(pgo_file_write(note, others[i], strlen(others[i]), NULL), 0);
		assert_int_equal(pgo_durable_doubt(dir, fd, NULL), 1);
		assert_int_equal(pgo_durable_doubt(dir, fd, NULL), 1);
		pgo_durable_settle(dir);
		assert_int_equal(pgo_durable_doubt(dir, fd, NULL), 0);
	}
	close(fd);
}

static void an_old_note_of_this_start_goes(void **state)
{
	const struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	int fd = open_dir(*state);

	assert_int_equal(pgo_durable_promise(dir, fd, NULL), 0);
	assert_int_equal(utimensat(AT_FDCWD, note, long_ago, 0), 0);
	assert_int_equal(pgo_durable_doubt(dir, fd, NULL), 0);
	assert_int_equal(access(note, F_OK), -1);
	close(fd);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scratch_up, scratch_down)
	const struct CMUnitTest tests[] = {
		T(nothing_is_in_doubt_without_a_note_or_since_the_same_start),
		T(another_start_of_the_machine_is_a_doubt_until_it_is_settled),
		T(an_old_note_of_this_start_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
