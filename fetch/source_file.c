/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A local directory, file or glob as a store.  Names are relative to it and begin with its last
 * part: profiles/web-3/cpu.pb.gz for /srv/profiles, so that they say where a profile came from
 * without a path of this machine.
 */
#include "fetch/push.h"
#include "fetch/source.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct file_source {
	struct pgo_source base;
	char *pattern; /* what to list */
	size_t prefix; /* bytes of every path in front of the name */
	char *root;    /* path of the names' first part, for get */
	struct pgo_paths paths;
};

static void file_close(struct pgo_source *src)
{
	struct file_source *s = (struct file_source *)src;

	pgo_paths_free(&s->paths);
	pgo_free(s->pattern);
	pgo_free(s->root);
	pgo_free(s);
}

/* Where names begin in the paths: at the last part of the directory; for a glob, at the last part
 * that has no wildcard, or at the wildcard if there is none; for a file, at its name. */
static size_t name_start(const char *pattern)
{
	size_t len = pgo_path_exists(pattern) ? strlen(pattern) : strcspn(pattern, "*?[");
	size_t at;

	while (len > 0 && pattern[len - 1] != '/' && pattern[len] != '\0' && pattern[len] != '/')
		len--; /* a wildcard in the middle of a part */
	while (len > 1 && pattern[len - 1] == '/')
		len--;
	for (at = len; at > 0 && pattern[at - 1] != '/'; at--)
		;
	/* "." and ".." say nothing: names begin behind them. */
	if ((len - at == 1 && pattern[at] == '.') ||
		(len - at == 2 && strncmp(pattern + at, "..", 2) == 0))
		at = len + 1;
	return at;
}

static struct pgo_source *file_open(const char *url, struct pgo_err *err)
{
	struct file_source *s = pgo_calloc(1, sizeof *s);
	size_t len;

	if (strncmp(url, "file:", 5) == 0) {
		url += 5;
		if (strncmp(url, "//", 2) == 0)
			url += 2;
	}
	if (s == NULL || (s->pattern = pgo_strdup(url)) == NULL) {
		pgo_free(s);
		pgo_err_nomem(err);
		return NULL;
	}
	s->base.ops = &pgo_source_file;
	len = strlen(s->pattern);
	while (len > 1 && s->pattern[len - 1] == '/')
		s->pattern[--len] = '\0';
	s->prefix = name_start(s->pattern);
	s->root = s->prefix > len ? pgo_asprintf("%s/", s->pattern)
				  : pgo_strndup(s->pattern, s->prefix);
	if (s->root == NULL || len == 0) {
		if (len == 0)
			pgo_err_set(err, PGO_EUSAGE, "the name of a store is empty");
		else
			pgo_err_nomem(err);
		file_close(&s->base);
		return NULL;
	}
	return &s->base;
}

static int64_t mtime_of(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static int file_list(struct pgo_source *src, const struct pgo_query *q, pgo_each_listed *each,
	void *ctx, struct pgo_err *err)
{
	struct file_source *s = (struct file_source *)src;
	int rc;

	/* The time of a file says little of that of the profile in it. */
	(void)q;
	pgo_paths_free(&s->paths);
	rc = pgo_paths_list(s->pattern, &s->paths, err);
	for (size_t i = 0; i < s->paths.n && rc == 0; i++) {
		struct pgo_listed l = {.name = s->paths.path[i]};
		struct stat st;

		l.name += strlen(l.name) > s->prefix ? s->prefix : 0;
		/* One that is gone again is listed all the same: getting it says why. */
		if (stat(s->paths.path[i], &st) == 0) {
			l.size = (uint64_t)st.st_size;
			l.mtime_ns = mtime_of(&st);
		}
		rc = each(ctx, &l, err);
	}
	return rc;
}

static char *file_local(struct pgo_source *src, const char *name)
{
	const struct file_source *s = (const struct file_source *)src;

	return pgo_asprintf("%s%s", s->root, name);
}

static int too_large(const char *path, uint64_t max, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_ELIMIT,
		"%s is larger than the limit of %llu bytes for one object", path,
		(unsigned long long)max);
}

static int write_all(int to, const char *data, size_t n)
{
	while (n > 0) {
		ssize_t done = write(to, data, n);

		if (done < 0 && errno != EINTR)
			return -1;
		if (done > 0) {
			data += done;
			n -= (size_t)done;
		}
	}
	return 0;
}

static int copy(
	int from, const char *path, int to, const char *to_path, uint64_t max, struct pgo_err *err)
{
	enum { BLOCK = 1 << 20 };
	char *block = pgo_malloc(BLOCK);
	uint64_t total = 0;
	int rc = block != NULL ? 0 : pgo_err_nomem(err);

	while (rc == 0) {
		ssize_t n = read(from, block, BLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = pgo_err_errno(err, PGO_ENOTFOUND, "%s cannot be read", path);
		if (n <= 0)
			break;
		total += (uint64_t)n;
		if (total > max)
			rc = too_large(path, max, err);
		else if (write_all(to, block, (size_t)n) < 0)
			rc = pgo_err_errno(err, PGO_EIO, "%s cannot be written", to_path);
	}
	pgo_free(block);
	return rc;
}

/* A file that a recorder is still writing would be stored in half. */
static int check_steady(int fd, const struct stat *before, const char *path, struct pgo_err *err)
{
	struct stat after;

	if (fstat(fd, &after) == 0 && after.st_size == before->st_size &&
		mtime_of(&after) == mtime_of(before))
		return 0;
	return pgo_err_set(
		err, PGO_ENOTFOUND, "%s changed while it was copied; the next run takes it", path);
}

static int get_path(const char *path, const char *to_path, uint64_t max, struct pgo_err *err)
{
	int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int to = -1, rc = 0;
	struct stat st;

	if (from < 0 || fstat(from, &st) < 0) {
		rc = pgo_err_errno(err, PGO_ENOTFOUND, "%s cannot be opened", path);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		rc = pgo_err_set(err, PGO_ENOTFOUND, "%s is no longer a regular file", path);
		goto out;
	}
	if ((uint64_t)st.st_size > max) {
		rc = too_large(path, max, err);
		goto out;
	}
	to = open(to_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (to < 0) {
		rc = pgo_err_errno(err, PGO_EIO, "%s cannot be created", to_path);
		goto out;
	}
	rc = copy(from, path, to, to_path, max, err);
	if (rc == 0)
		rc = check_steady(from, &st, path, err);
	if (rc == 0) { /* the time of a recording that does not say its own */
		const struct timespec times[2] = {st.st_mtim, st.st_mtim};

		(void)!futimens(to, times);
	}
out:
	if (from >= 0)
		close(from);
	if (to >= 0 && close(to) < 0 && rc == 0)
		rc = pgo_err_errno(err, PGO_EIO, "%s cannot be written", to_path);
	if (rc < 0 && to >= 0)
		unlink(to_path);
	return rc;
}

static int file_get(struct pgo_source *src, const char *name, const char *to_path, uint64_t max,
	struct pgo_err *err)
{
	char *path = file_local(src, name);
	int rc = path != NULL ? get_path(path, to_path, max, err) : pgo_err_nomem(err);

	pgo_free(path);
	return rc;
}

/* ---------------------------------------------------------------- pushing */

/* The bytes that were looked into and named, and no others: the file may be written to meanwhile. */
static int copy_in(const struct pgo_push_item *item, const char *to, struct pgo_err *err)
{
	struct pgo_outfile *out;
	struct pgo_buf bytes;
	struct pgo_sha256 sha;
	uint8_t digest[32];
	char hex[65];
	int rc = pgo_file_read(item->path, item->record->bytes + 1, &bytes, err);

	if (rc < 0)
		return rc;
	pgo_sha256_init(&sha);
	pgo_sha256_add(&sha, bytes.data, bytes.len);
	pgo_sha256_final(&sha, digest);
	pgo_sha256_hex(digest, hex);
	if (strcmp(hex, item->record->digest) != 0)
		rc = pgo_err_set(err, PGO_EFORMAT,
			"%s changed while it was read; push it again when it is whole", item->path);
	out = rc == 0 ? pgo_outfile_open(to, err) : NULL;
	if (rc == 0 && out == NULL)
		rc = err->code;
	if (rc == 0)
		rc = pgo_outfile_write(out, bytes.data, bytes.len, err);
	if (rc == 0)
		rc = pgo_outfile_commit(out, err);
	else
		pgo_outfile_abort(out);
	pgo_buf_fini(&bytes);
	return rc;
}

static int make_parent(const char *path, struct pgo_err *err)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash != NULL && slash != path ? pgo_strndup(path, (size_t)(slash - path))
						   : pgo_strdup(".");
	int rc = dir != NULL ? pgo_mkdirs(dir, err) : pgo_err_nomem(err);

	pgo_free(dir);
	return rc;
}

static int file_put(struct pgo_source *src, const struct pgo_push_item *item, struct pgo_err *err)
{
	const struct file_source *s = (const struct file_source *)src;
	struct pgo_key_template t;
	struct pgo_buf path;
	int rc = pgo_key_template_init(&t, s->pattern, err);

	if (rc < 0)
		return rc;
	pgo_buf_init(&path, (size_t)1 << 16);
	rc = pgo_push_name(&t, item, &path, err);
	if (rc == 0 && pgo_path_exists(path.data)) {
		rc = 1; /* its name is its content */
	} else if (rc == 0) {
		rc = make_parent(path.data, err);
		if (rc == 0)
			rc = copy_in(item, path.data, err);
	}
	pgo_buf_fini(&path);
	pgo_key_template_fini(&t);
	return rc;
}

const struct pgo_source_ops pgo_source_file = {
	.scheme = "file",
	.about = "a local directory, file or glob",
	.open = file_open,
	.close = file_close,
	.list = file_list,
	.get = file_get,
	.local = file_local,
	.put = file_put,
};
