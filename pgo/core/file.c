/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/file.h"

#include "pgo/core/alloc.h"
#include "pgo/core/parallel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITE_BLOCK ((size_t)64 << 10)
#define READ_BLOCK ((size_t)256 << 10)
/* Leaves room for the dots and the random part within NAME_MAX. */
#define TEMP_STEM_MAX 200
#define MAX_LINKS 40
/* Files that are synced at once: they wait, and need no processor. */
#define SYNCS_MAX 8

/* What the user can do about it. */
static const char *advice(int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
		return "; free space there, or choose another place";
	case EACCES:
	case EPERM:
		return "; choose a place you may use, or change its permissions";
	case EROFS:
		return "; choose another place";
	case ENOENT:
		return "; check the path";
	case EMFILE:
	case ENFILE:
		return "; raise the limit of open files (ulimit -n)";
	default:
		return "";
	}
}

static int fail(struct pgo_err *err, const char *path, const char *what)
{
	int error = errno;

	return pgo_err_set(
		err, PGO_EIO, "%s: %s: %s%s", path, what, strerror(error), advice(error));
}

/* ---------------------------------------------------------------- reading */

static int read_all(int fd, const char *path, size_t hint, struct pgo_buf *buf, struct pgo_err *err)
{
	size_t want = hint + 1;

	for (;;) {
		size_t left = buf->max - buf->len;
		/* One byte more than allowed would fail the buffer, so look for it apart. */
		char extra;
		char *to = left != 0 ? pgo_buf_reserve(buf, want < left ? want : left) : &extra;
		ssize_t n;

		if (to == NULL)
			return pgo_err_nomem(err);
		n = read(fd, to, left == 0 ? 1 : want < left ? want : left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(err, path, "cannot be read");
		if (n == 0)
			return 0;
		if (left == 0)
			return pgo_err_set(err, PGO_ELIMIT,
				"%s: is larger than the limit of %zu bytes for such a file", path,
				buf->max);
		buf->len += (size_t)n;
		buf->data[buf->len] = '\0';
		want = READ_BLOCK;
	}
}

int pgo_file_read(const char *path, size_t max, struct pgo_buf *ret, struct pgo_err *err)
{
	bool from_stdin = strcmp(path, "-") == 0;
	const char *name = from_stdin ? "standard input" : path;
	int fd = from_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t hint = READ_BLOCK;
	int r;

	pgo_buf_init(ret, max);
	if (fd < 0)
		return fail(err, name, "cannot be opened");
	if (fstat(fd, &st) < 0) {
		r = fail(err, name, "cannot be examined");
		goto out;
	}
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > max) {
		r = pgo_err_set(err, PGO_ELIMIT,
			"%s: is %llu bytes, more than the limit of %zu for such a file", name,
			(unsigned long long)st.st_size, max);
		goto out;
	}
	if (S_ISREG(st.st_mode) && st.st_size > 0)
		hint = (size_t)st.st_size;
	r = read_all(fd, name, hint, ret, err);
out:
	if (!from_stdin)
		close(fd);
	if (r < 0)
		pgo_buf_fini(ret);
	return r;
}

/* ---------------------------------------------------------------- writing */

struct pgo_outfile {
	char *path;   /* as given, for messages */
	char *target; /* what is replaced: `path` behind its symbolic links */
	char *temp;   /* NULL: written in place */
	int fd;
	int failed; /* first failure, kept so that commit refuses */
	size_t n_held;
	char held[WRITE_BLOCK];
};

static char *join_dir(const char *path, const char *name)
{
	size_t dir_len = (size_t)(pgo_path_base(path) - path);

	return name[0] == '/' ? pgo_strdup(name) : pgo_asprintf("%.*s%s", (int)dir_len, path, name);
}

/* Follows links by hand, because the last one may dangle.  Gives the name to replace. */
static int follow_links(const char *path, char **ret, struct pgo_err *err)
{
	char *at = pgo_strdup(path);
	char link[4096];

	for (int i = 0; at != NULL && i < MAX_LINKS; i++) {
		struct stat st;
		ssize_t len;
		char *next;

		if (lstat(at, &st) < 0 || !S_ISLNK(st.st_mode)) {
			*ret = at;
			return 0;
		}
		len = readlink(at, link, sizeof link - 1);
		if (len < 0) {
			pgo_free(at);
			return fail(err, path, "cannot be followed");
		}
		link[len] = '\0';
		next = join_dir(at, link);
		pgo_free(at);
		at = next;
	}
	if (at == NULL)
		return pgo_err_nomem(err);
	pgo_free(at);
	errno = ELOOP;
	return fail(err, path, "cannot be followed");
}

static void random_name(char ret[7])
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	unsigned char raw[6] = {0};

	if (getrandom(raw, sizeof raw, 0) < 0)
		for (size_t i = 0; i < sizeof raw; i++)
			raw[i] = (unsigned char)((unsigned)getpid() >> i);
	for (size_t i = 0; i < sizeof raw; i++)
		ret[i] = letters[raw[i] % (sizeof letters - 1)];
	ret[6] = '\0';
}

static int open_temp(struct pgo_outfile *f, struct pgo_err *err)
{
	const char *base = pgo_path_base(f->target);
	char part[7];

	for (int tries = 0; tries < 100; tries++) {
		random_name(part);
		pgo_free(f->temp);
		f->temp = pgo_asprintf("%.*s.%.*s.%s.tmp", (int)(base - f->target), f->target,
			TEMP_STEM_MAX, base, part);
		if (f->temp == NULL)
			return pgo_err_nomem(err);
		f->fd = open(f->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (f->fd >= 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	pgo_free(f->temp);
	f->temp = NULL;
	return fail(err, f->path, "no file can be made in its directory");
}

/* The number in /dev/fd/N or /proc/self/fd/N, /dev/stdout and "-"; -1 for other names.  Such names
 * mean the descriptor, not the file behind it. */
static int descriptor_of(const char *path)
{
	static const char *const dirs[] = {"/dev/fd/", "/proc/self/fd/"};

	if (strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0)
		return STDOUT_FILENO;
	if (strcmp(path, "/dev/stderr") == 0)
		return STDERR_FILENO;
	for (size_t i = 0; i < 2; i++) {
		size_t len = strlen(dirs[i]);
		int n = 0;

		if (strncmp(path, dirs[i], len) != 0 || path[len] == '\0')
			continue;
		for (const char *p = path + len; *p >= '0' && *p <= '9' && n < 100000; p++)
			n = n * 10 + (*p - '0');
		return n;
	}
	return -1;
}

static int open_target(struct pgo_outfile *f, struct pgo_err *err)
{
	int fd = descriptor_of(f->path);
	struct stat st;
	int r;

	if (fd >= 0) {
		f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		return f->fd < 0 ? fail(err, f->path, "cannot be written") : 0;
	}
	if (stat(f->path, &st) == 0 && !S_ISREG(st.st_mode)) {
		if (S_ISDIR(st.st_mode))
			return pgo_err_set(err, PGO_EIO,
				"%s: is a directory; name a file to write in it", f->path);
		f->fd = open(f->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		return f->fd < 0 ? fail(err, f->path, "cannot be opened for writing") : 0;
	}
	r = follow_links(f->path, &f->target, err);
	if (r < 0)
		return r;
	if (pgo_path_base(f->target)[0] == '\0')
		return pgo_err_set(err, PGO_EIO, "%s: is not the name of a file to write", f->path);
	/* Renaming would replace a file that its owner has protected. */
	if (access(f->target, F_OK) == 0 && faccessat(AT_FDCWD, f->target, W_OK, AT_EACCESS) < 0)
		return fail(err, f->path, "cannot be replaced");
	r = open_temp(f, err);
	if (r == 0 && stat(f->target, &st) == 0)
		(void)!fchmod(f->fd, st.st_mode & 0777);
	return r;
}

struct pgo_outfile *pgo_outfile_open(const char *path, struct pgo_err *err)
{
	struct pgo_outfile *f = pgo_malloc(sizeof *f);

	if (f == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	memset(f, 0, offsetof(struct pgo_outfile, held));
	f->fd = -1;
	f->path = pgo_strdup(path);
	if (f->path == NULL)
		pgo_err_nomem(err);
	else if (open_target(f, err) == 0)
		return f;
	pgo_outfile_abort(f);
	return NULL;
}

static int write_out(struct pgo_outfile *f, const char *data, size_t len, struct pgo_err *err)
{
	while (len != 0) {
		ssize_t n = write(f->fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			f->failed = fail(err, f->path,
				f->temp != NULL ? "cannot be written (nothing was changed)"
						: "cannot be written");
			return f->failed;
		}
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int flush(struct pgo_outfile *f, struct pgo_err *err)
{
	size_t n = f->n_held;

	f->n_held = 0;
	return write_out(f, f->held, n, err);
}

int pgo_outfile_write(struct pgo_outfile *f, const void *data, size_t len, struct pgo_err *err)
{
	int r;

	if (f->failed != 0)
		return pgo_err_set(err, PGO_EIO, "%s: an earlier write failed", f->path);
	if (len <= WRITE_BLOCK - f->n_held) {
		if (len != 0)
			memcpy(f->held + f->n_held, data, len);
		f->n_held += len;
		return 0;
	}
	r = flush(f, err);
	if (r < 0)
		return r;
	if (len >= WRITE_BLOCK)
		return write_out(f, data, len, err);
	memcpy(f->held, data, len);
	f->n_held = len;
	return 0;
}

/* So that the rename itself survives a power cut.  Some file systems cannot; that is no failure. */
static void sync_directory(const char *path)
{
	size_t len = (size_t)(pgo_path_base(path) - path);
	char *dir = len != 0 ? pgo_strndup(path, len) : pgo_strdup(".");
	int fd = dir != NULL ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		(void)!fsync(fd);
		close(fd);
	}
	pgo_free(dir);
}

static int write_rest(struct pgo_outfile *f, struct pgo_err *err)
{
	if (f->failed != 0)
		return pgo_err_set(err, PGO_EIO, "%s: an earlier write failed", f->path);
	return flush(f, err);
}

/* To the disk, under the temporary name. */
static int sync_file(struct pgo_outfile *f, struct pgo_err *err)
{
	if (fsync(f->fd) < 0 && (f->temp != NULL || (errno != EINVAL && errno != EROFS)))
		return fail(err, f->path, "cannot be brought to the disk (nothing was changed)");
	return 0;
}

/* Gives a synced file its name. */
static int name_file(struct pgo_outfile *f, struct pgo_err *err)
{
	int fd = f->fd;

	f->fd = -1;
	if (close(fd) < 0)
		return fail(err, f->path, "cannot be closed after writing (nothing was changed)");
	if (f->temp == NULL)
		return 0;
	if (rename(f->temp, f->target) < 0)
		return fail(err, f->path, "the finished file cannot be renamed to this name");
	pgo_free(f->temp);
	f->temp = NULL;
	return 0;
}

int pgo_outfile_commit(struct pgo_outfile *f, struct pgo_err *err)
{
	return pgo_outfiles_commit(&f, 1, err);
}

static int sync_piece(void *ctx, size_t i, unsigned thread, struct pgo_err *err)
{
	struct pgo_outfile **files = ctx;

	(void)thread;
	return sync_file(files[i], err);
}

static bool same_directory(const struct pgo_outfile *a, const struct pgo_outfile *b)
{
	size_t len = (size_t)(pgo_path_base(a->target) - a->target);

	return len == (size_t)(pgo_path_base(b->target) - b->target) &&
	       strncmp(a->target, b->target, len) == 0;
}

int pgo_outfiles_commit(struct pgo_outfile **files, size_t n, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = write_rest(files[i], err);
	/* Each waits for the disk, which takes them together. */
	if (rc == 0)
		rc = pgo_parallel(
			n, n < SYNCS_MAX ? (unsigned)n : SYNCS_MAX, sync_piece, files, err);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = name_file(files[i], err);
	for (size_t i = 0; i < n && rc == 0; i++) {
		bool done = files[i]->target == NULL;

		for (size_t k = 0; k < i && !done; k++)
			done = files[k]->target != NULL && same_directory(files[i], files[k]);
		if (!done)
			sync_directory(files[i]->target);
	}
	for (size_t i = 0; i < n; i++) {
		pgo_outfile_abort(files[i]);
		files[i] = NULL;
	}
	return rc;
}

void pgo_outfile_abort(struct pgo_outfile *f)
{
	if (f == NULL)
		return;
	if (f->fd >= 0)
		close(f->fd);
	if (f->temp != NULL)
		unlink(f->temp);
	pgo_free(f->temp);
	pgo_free(f->target);
	pgo_free(f->path);
	pgo_free(f);
}

int pgo_file_write(const char *path, const void *data, size_t len, struct pgo_err *err)
{
	struct pgo_outfile *f = pgo_outfile_open(path, err);

	if (f == NULL)
		return err != NULL ? err->code : PGO_EIO;
	if (pgo_outfile_write(f, data, len, err) < 0) {
		pgo_outfile_abort(f);
		return err != NULL ? err->code : PGO_EIO;
	}
	return pgo_outfile_commit(f, err);
}
