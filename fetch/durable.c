/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/durable.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ID_MAX ((size_t)256)
/* Kernels write after half a minute what nobody asked for; then waiting for the disk costs little. */
#define SETTLED_S 300

static char *note_path(const char *dir)
{
	return pgo_asprintf("%s/.unsynced", dir);
}

/* A number that the kernel makes up when it starts; NULL if it does not say. */
static char *boot_id(void)
{
	struct pgo_buf text;
	char *id = NULL;

	if (pgo_file_read("/proc/sys/kernel/random/boot_id", ID_MAX, &text, NULL) == 0 &&
		text.len != 0)
		id = pgo_strndup(text.data, strcspn(text.data, "\n"));
	pgo_buf_fini(&text);
	return id;
}

static int wait_for_disk(const char *dir, int fd, struct pgo_err *err)
{
	return syncfs(fd) == 0
		       ? 0
		       : pgo_err_errno(err, PGO_EIO, "%s cannot be written to its disk", dir);
}

int pgo_durable_promise(const char *dir, int fd, struct pgo_err *err)
{
	char *path = note_path(dir), *id = boot_id();
	int rc;

	if (path == NULL)
		rc = pgo_err_nomem(err);
	else if (id == NULL)
		rc = wait_for_disk(dir, fd, err);
	else
		rc = pgo_file_write(path, id, strlen(id), err);
	pgo_free(path);
	pgo_free(id);
	return rc;
}

static int judge(
	const char *dir, int fd, const char *path, const struct stat *st, struct pgo_err *err)
{
	struct pgo_buf then;
	char *now = boot_id();
	int rc = pgo_file_read(path, ID_MAX, &then, err);

	if (rc == 0)
		rc = now == NULL || then.len != strlen(now) ||
		     memcmp(then.data, now, then.len) != 0;
	if (rc == 0 && time(NULL) - st->st_mtime > SETTLED_S) {
		rc = wait_for_disk(dir, fd, err);
		if (rc == 0)
			unlink(path);
	}
	pgo_buf_fini(&then);
	pgo_free(now);
	return rc;
}

int pgo_durable_doubt(const char *dir, int fd, struct pgo_err *err)
{
	char *path = note_path(dir);
	struct stat st;
	int rc = 0;

	if (path == NULL)
		return pgo_err_nomem(err);
	if (stat(path, &st) == 0)
		rc = judge(dir, fd, path, &st, err);
	pgo_free(path);
	return rc;
}

void pgo_durable_settle(const char *dir)
{
	char *path = note_path(dir);

	if (path != NULL)
		unlink(path); /* if it stays, they are checked once more */
	pgo_free(path);
}
