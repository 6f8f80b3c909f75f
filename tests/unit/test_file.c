/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "tests/lib/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_written_file_reads_back(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	char *path = scratch_path(*state, "out");
	size_t len = 300000;
	char *data = malloc(len);
	struct pgo_buf b;

	for (size_t i = 0; i < len; i++)
		data[i] = (char)(i * 31 >> 3);
	assert_int_equal(pgo_file_write(path, data, len, &err), 0);
	assert_int_equal(pgo_file_read(path, len, &b, &err), 0);
	assert_int_equal(b.len, len);
	assert_memory_equal(b.data, data, len);
	pgo_buf_fini(&b);
	/* Nothing else is left in the directory. */
	assert_int_equal(scratch_count(*state), 1);
	free(data);
}

static void reading_stops_at_the_limit(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	char *path = scratch_file(*state, "f", "0123456789", 10);
	struct pgo_buf b;

	assert_int_equal(pgo_file_read(path, 10, &b, &err), 0);
	assert_string_equal(b.data, "0123456789");
	pgo_buf_fini(&b);
	assert_int_equal(pgo_file_read(path, 9, &b, &err), PGO_ELIMIT);
	assert_has(err.msg, path);
	assert_null(b.data);
	/* Where the size is not known beforehand. */
	assert_int_equal(pgo_file_read("/dev/zero", 100000, &b, &err), PGO_ELIMIT);
	assert_int_equal(pgo_file_read("/dev/null", 0, &b, &err), 0);
	assert_int_equal(b.len, 0);
	pgo_buf_fini(&b);
}

static void what_cannot_be_read_is_named(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf b;

	assert_int_equal(pgo_file_read(scratch_path(*state, "none"), 100, &b, &err), PGO_EIO);
	assert_has(err.msg, "none: cannot be opened: No such file");
	assert_int_equal(pgo_file_read(scratch_dir(*state), 100, &b, &err), PGO_EIO);
	assert_has(err.msg, "Is a directory");
}

static void until_commit_the_old_file_stays(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	char *path = scratch_file(*state, "f", "old", 3);
	struct pgo_outfile *f = pgo_outfile_open(path, &err);

	assert_non_null(f);
	assert_int_equal(pgo_outfile_write(f, "new ", 4, &err), 0);
	assert_int_equal(pgo_outfile_write(f, "text", 4, &err), 0);
	assert_file(path, "old", 3);
	/* The temporary file is in the same directory, hidden. */
	assert_int_equal(scratch_count(*state), 2);
	assert_int_equal(pgo_outfile_commit(f, &err), 0);
	assert_file(path, "new text", 8);
	assert_int_equal(scratch_count(*state), 1);
}

static void an_abandoned_file_leaves_no_trace(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	char *path = scratch_path(*state, "f");
	struct pgo_outfile *f = pgo_outfile_open(path, &err);
	char big[100000] = {0};

	assert_non_null(f);
	assert_int_equal(pgo_outfile_write(f, big, sizeof big, &err), 0);
	pgo_outfile_abort(f);
	pgo_outfile_abort(NULL);
	assert_int_equal(scratch_count(*state), 0);
}

static void a_full_device_is_an_error_that_says_so(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	char big[200000] = {0};

	(void)state;
	assert_int_equal(pgo_file_write("/dev/full", "x", 1, &err), PGO_EIO);
	assert_has(err.msg, "/dev/full");
	assert_has(err.msg, "No space left on device; free space");
	assert_int_equal(pgo_file_write("/dev/full", big, sizeof big, &err), PGO_EIO);
	assert_int_equal(pgo_file_write("/dev/null", big, sizeof big, &err), 0);
}

/* /dev/full put under the temporary file stands in for a disk that fills up in the middle. */
static void a_disk_that_fills_up_leaves_the_old_file(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	char *path = scratch_file(*state, "f", "old", 3);
	struct pgo_outfile *f = pgo_outfile_open(path, &err);
	char big[100000] = {0};
	int real, full = open("/dev/full", O_WRONLY);

	assert_non_null(f);
	assert_true(full >= 0);
	/* The newest descriptor but one is the temporary file's. */
	real = full - 1;
	assert_int_equal(dup2(full, real), real);
	assert_int_equal(pgo_outfile_write(f, big, sizeof big, &err), PGO_EIO);
	assert_has(err.msg, "nothing was changed");
	assert_int_equal(pgo_outfile_write(f, "x", 1, &err), PGO_EIO);
	assert_int_equal(pgo_outfile_commit(f, &err), PGO_EIO);
	close(full);
	assert_file(path, "old", 3);
	assert_int_equal(scratch_count(*state), 1);
}

static void symbolic_links_stay_links(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	char *dir = scratch_path(*state, "d");
	char *target = scratch_path(*state, "d/real");
	char *link1 = scratch_path(*state, "link1");
	char *link2 = scratch_path(*state, "link2");
	struct stat st;

	assert_int_equal(mkdir(dir, 0777), 0);
	assert_int_equal(symlink("d/real", link1), 0);
	assert_int_equal(symlink("link1", link2), 0);
	/* The last one dangles at first. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pgo_file_write(link2, i == 0 ? "one" : "two", 3, &err), 0);
		assert_file(target, i == 0 ? "one" : "two", 3);
		assert_int_equal(lstat(link2, &st), 0);
		assert_true(S_ISLNK(st.st_mode));
		assert_int_equal(lstat(link1, &st), 0);
		assert_true(S_ISLNK(st.st_mode));
	}
	assert_int_equal(unlink(link1), 0);
	assert_int_equal(symlink("link2", link1), 0);
	assert_int_equal(pgo_file_write(link2, "x", 1, &err), PGO_EIO);
	assert_has(err.msg, "symbolic links");
}

static void modes_follow_the_umask_or_the_old_file(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	char *path = scratch_path(*state, "f");
	mode_t old = umask(027);
	struct stat st;

	assert_int_equal(pgo_file_write(path, "x", 1, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(chmod(path, 0604), 0);
	assert_int_equal(pgo_file_write(path, "y", 1, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0604);
	umask(old);
}

static void impossible_places_are_refused_with_advice(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	char *file = scratch_file(*state, "file", "x", 1);
	char *below = scratch_path(*state, "file/below");

	assert_int_equal(pgo_file_write(scratch_dir(*state), "x", 1, &err), PGO_EIO);
	assert_has(err.msg, "is a directory");
	assert_int_equal(pgo_file_write(below, "x", 1, &err), PGO_EIO);
	assert_int_equal(
		pgo_file_write(scratch_path(*state, "no/such/dir"), "x", 1, &err), PGO_EIO);
	assert_has(err.msg, "check the path");
	assert_file(file, "x", 1);
}

static void protected_files_are_not_replaced(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	char *path = scratch_file(*state, "f", "old", 3);

	bool root = geteuid() == 0;

	assert_int_equal(chmod(path, 0444), 0);
	assert_int_equal(chmod(scratch_dir(*state), 0777), 0);
	/* Root may write everything, so be nobody for a while. */
	assert_true(!root || seteuid(65534) == 0);
	assert_int_equal(pgo_file_write(path, "new", 3, &err), PGO_EIO);
	assert_true(!root || seteuid(0) == 0);
	assert_has(err.msg, "cannot be replaced: Permission denied; choose a place you may use");
	assert_file(path, "old", 3);
}

static void read_only_directories_are_refused(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	char *path = scratch_path(*state, "f");
	bool root = geteuid() == 0;

	assert_int_equal(chmod(scratch_dir(*state), 0555), 0);
	assert_true(!root || seteuid(65534) == 0);
	assert_int_equal(pgo_file_write(path, "new", 3, &err), PGO_EIO);
	assert_true(!root || seteuid(0) == 0);
	assert_int_equal(chmod(scratch_dir(*state), 0755), 0);
	assert_has(err.msg, "no file can be made in its directory: Permission denied");
	assert_int_equal(scratch_count(*state), 0);
}

static void long_names_still_fit_with_the_temporary_part(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	char name[256];

	memset(name, 'n', 255);
	name[255] = '\0';
	assert_int_equal(pgo_file_write(scratch_path(*state, name), "x", 1, &err), 0);
}

static void directories_are_made_with_their_parents(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	char *deep = scratch_path(*state, "a//b/c/");
	char *file = scratch_file(*state, "f", "", 0);
	char *below = scratch_path(*state, "f/g");

	assert_int_equal(pgo_mkdirs(deep, &err), 0);
	assert_true(pgo_path_exists(deep));
	assert_int_equal(pgo_mkdirs(deep, &err), 0);
	assert_int_equal(pgo_mkdirs(file, &err), PGO_EIO);
	assert_has(err.msg, "not a directory");
	assert_int_equal(pgo_mkdirs(below, &err), PGO_EIO);
	assert_string_equal(pgo_path_base("a/b/c"), "c");
	assert_string_equal(pgo_path_base("c"), "c");
	assert_string_equal(pgo_path_base("a/"), "");
}

static void a_sweep_takes_what_killed_writers_left_and_nothing_else(void **state)
{
	static const struct {
		const char *name;
		bool stays_one, stays_any;
	} cases[] = {
		{".out.prof.aZ09xy.tmp", false, false},
		{".out.prof.aZ09x.tmp", true, true},
		{".out.prof.aZ09xyz.tmp", true, true},
		{".out.prof.aZ0-xy.tmp", true, true},
		{"out.prof.aZ09xy.tmp", true, true},
		{".out.prof.tmp", true, true},
		{".out.prof", true, true},
		{"out.prof", true, true},
		{".other.aZ09xy.tmp", true, false},
		{"..hidden.aZ09xy.tmp", true, false},
		{".aZ09xy.tmp", true, true},
	};
	size_t n = sizeof cases / sizeof *cases;

	for (int any = 0; any < 2; any++) {
		for (size_t i = 0; i < n; i++)
			scratch_file(*state, cases[i].name, "", 0);
		pgo_file_sweep(scratch_dir(*state), any ? NULL : "out.prof");
		for (size_t i = 0; i < n; i++)
			if (pgo_path_exists(scratch_path(*state, cases[i].name)) !=
				(any ? cases[i].stays_any : cases[i].stays_one))
				fail_msg("%s, %s", cases[i].name, any ? "any" : "one");
	}
	pgo_file_sweep(scratch_path(*state, "not there"), NULL);
}

/* Builds a tree and gives its listing as "a b c", relative to the scratch directory. */
static void list(void *state, const char *what, char *ret, size_t size)
{
	struct pgo_err err = PGO_ERR_INIT;
	size_t skip_len = strlen(scratch_dir(state)) + 1;
	struct pgo_paths p = {0};
	size_t at = 0;

	ret[0] = '\0';
	if (pgo_paths_list(what, &p, &err) < 0) {
		snprintf(ret, size, "%d", err.code);
		return;
	}
	for (size_t i = 0; i < p.n; i++)
		at += (size_t)snprintf(
			ret + at, size - at, "%s%s", i != 0 ? " " : "", p.path[i] + skip_len);
	pgo_paths_free(&p);
}

static void listings_are_sorted_and_leave_hidden_files_out(void **state)
{
	char text[1000];

	(void)mkdir(scratch_path(*state, "b"), 0777);
	(void)mkdir(scratch_path(*state, "b/.git"), 0777);
	scratch_file(*state, "b/2", "", 0);
	scratch_file(*state, "b/10", "", 0);
	scratch_file(*state, "b/.git/config", "", 0);
	scratch_file(*state, "a", "", 0);
	scratch_file(*state, "b-c", "", 0);
	scratch_file(*state, ".b.x3b4d5.tmp", "", 0);
	list(*state, scratch_dir(*state), text, sizeof text);
	assert_string_equal(text, "a b-c b/10 b/2");
	list(*state, scratch_path(*state, "a"), text, sizeof text);
	assert_string_equal(text, "a");
	list(*state, scratch_path(*state, "b*"), text, sizeof text);
	assert_string_equal(text, "b-c b/10 b/2");
	list(*state, scratch_path(*state, "[bx]/?"), text, sizeof text);
	assert_string_equal(text, "b/2");
	list(*state, scratch_path(*state, "z*"), text, sizeof text);
	assert_int_equal(atoi(text), PGO_ENOTFOUND);
	list(*state, scratch_path(*state, "z"), text, sizeof text);
	assert_int_equal(atoi(text), PGO_EIO);
}

static void loops_of_links_end(void **state)
{
	char text[1000];

	(void)mkdir(scratch_path(*state, "d"), 0777);
	scratch_file(*state, "d/f", "", 0);
	(void)!symlink("..", scratch_path(*state, "d/up"));
	(void)!symlink("d", scratch_path(*state, "e"));
	(void)!symlink("gone", scratch_path(*state, "dangling"));
	(void)!symlink("d/f", scratch_path(*state, "g"));
	(void)mkfifo(scratch_path(*state, "pipe"), 0666);
	list(*state, scratch_dir(*state), text, sizeof text);
	assert_string_equal(text, "d/f g");
}

static void a_name_with_brackets_that_exists_is_no_pattern(void **state)
{
	char text[1000];
	char *path = scratch_file(*state, "a[1]", "", 0);

	scratch_file(*state, "a1", "", 0);
	list(*state, path, text, sizeof text);
	assert_string_equal(text, "a[1]");
}

static void no_allocation_failure_leaks_or_clobbers(void **state)
{
	char *path = scratch_file(*state, "f", "old", 3);
	uint64_t live = pgo_alloc_live();
	int r = -1;

	for (uint64_t n = 0; r != 0; n++) {
		struct pgo_err err = PGO_ERR_INIT;

		assert_in_range(n, 0, 50);
		pgo_alloc_fail_after(n);
		r = pgo_file_write(path, "new", 3, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		assert_int_equal(pgo_alloc_live(), live);
		assert_int_equal(scratch_count(*state), 1);
		if (r != 0) {
			assert_int_equal(r, PGO_ENOMEM);
			assert_file(path, "old", 3);
		}
	}
	assert_file(path, "new", 3);
	for (uint64_t n = 0; n < 12; n++) {
		struct pgo_paths p = {0};

		pgo_alloc_fail_after(n);
		r = pgo_paths_list(scratch_dir(*state), &p, NULL);
		pgo_alloc_fail_after(UINT64_MAX);
		pgo_paths_free(&p);
		assert_int_equal(pgo_alloc_live(), live);
	}
	assert_int_equal(r, 0);
}

#define WITH_DIR(f) cmocka_unit_test_setup_teardown(f, scratch_up, scratch_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIR(a_written_file_reads_back),
		WITH_DIR(reading_stops_at_the_limit),
		WITH_DIR(what_cannot_be_read_is_named),
		WITH_DIR(until_commit_the_old_file_stays),
		WITH_DIR(an_abandoned_file_leaves_no_trace),
		cmocka_unit_test(a_full_device_is_an_error_that_says_so),
		WITH_DIR(a_disk_that_fills_up_leaves_the_old_file),
		WITH_DIR(symbolic_links_stay_links),
		WITH_DIR(modes_follow_the_umask_or_the_old_file),
		WITH_DIR(impossible_places_are_refused_with_advice),
		WITH_DIR(protected_files_are_not_replaced),
		WITH_DIR(read_only_directories_are_refused),
		WITH_DIR(long_names_still_fit_with_the_temporary_part),
		WITH_DIR(directories_are_made_with_their_parents),
		WITH_DIR(a_sweep_takes_what_killed_writers_left_and_nothing_else),
		WITH_DIR(listings_are_sorted_and_leave_hidden_files_out),
		WITH_DIR(loops_of_links_end),
		WITH_DIR(a_name_with_brackets_that_exists_is_no_pattern),
		WITH_DIR(no_allocation_failure_leaks_or_clobbers),
	};

	pgo_diag_set_verbosity(-1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
