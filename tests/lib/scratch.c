/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/scratch.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATHS 64

struct scratch {
	char dir[256];
	char *path[PATHS];
	size_t n;
};

int scratch_up(void **state)
{
	const char *tmp = getenv("TMPDIR");
	struct scratch *s = calloc(1, sizeof *s);

	if (s == NULL)
		return -1;
	snprintf(s->dir, sizeof s->dir, "%s/pgo-test.XXXXXX", tmp != NULL ? tmp : "/tmp");
	*state = s;
	return mkdtemp(s->dir) != NULL ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

int scratch_down(void **state)
{
	struct scratch *s = *state;

	for (size_t i = 0; i < s->n; i++)
		free(s->path[i]);
	nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(s);
	return 0;
}

const char *scratch_dir(void *state)
{
	return ((struct scratch *)state)->dir;
}

char *scratch_path(void *state, const char *name)
{
	struct scratch *s = state;
	char *path;

	assert_true(s->n < PATHS);
	assert_true(asprintf(&path, "%s/%s", s->dir, name) > 0);
	s->path[s->n++] = path;
	return path;
}

char *scratch_file(void *state, const char *name, const void *data, size_t len)
{
	char *path = scratch_path(state, name);
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	return path;
}

size_t scratch_count(void *state)
{
	DIR *d = opendir(scratch_dir(state));
	size_t n = 0;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}

void assert_file(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "rb");
	char *got = malloc(len + 1);

	assert_non_null(f);
	assert_non_null(got);
	assert_int_equal(fread(got, 1, len + 1, f), len);
	assert_memory_equal(got, data, len);
	free(got);
	fclose(f);
}

void assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" does not hold \"%s\"", text, part);
}
