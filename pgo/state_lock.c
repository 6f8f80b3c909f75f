/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "pgo/core/file.h"
#include "pgo/state.h"
#include "pgo/state_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define POLL_NS 50000000
#define STALE_SECONDS 86400

enum grip { TAKEN, BUSY, UNKNOWN };

/* ---- the kernel's lock */

static bool not_here(int error)
{
	return error == ENOLCK || error == EOPNOTSUPP || error == ENOSYS || error == EINVAL;
}

/* Of the open file, so it goes when the process does, however that ends.  NFS makes flock() a lock of
 * the server; where even that is missing, the one of a range may be there. */
static enum grip lock_by_kernel(int fd)
{
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return TAKEN;
	if (!not_here(errno))
		return BUSY;
	if (fcntl(fd, F_OFD_SETLK, &all) == 0)
		return TAKEN;
	return errno == EAGAIN || errno == EACCES ? BUSY : UNKNOWN;
}

/* ---- a file, where there is none */

static void who_am_i(char *ret, size_t size)
{
	char host[256] = "", boot[64] = "";
	struct pgo_buf text;

	if (gethostname(host, sizeof host - 1) < 0)
		host[0] = '\0';
	if (pgo_file_read("/proc/sys/kernel/random/boot_id", sizeof boot - 1, &text, NULL) == 0 &&
		text.len != 0)
		snprintf(boot, sizeof boot, "%.*s", (int)strcspn(text.data, "\n"), text.data);
	pgo_buf_fini(&text);
	snprintf(ret, size, "%s %s %ld\n", host[0] != '\0' ? host : "-",
		boot[0] != '\0' ? boot : "-", (long)getpid());
}

/* Has the process that wrote this surely gone? */
static bool is_stale(const char *path, const char *text)
{
	char me[512], host[256], boot[64], my_host[256], my_boot[64];
	long pid, my_pid;
	struct stat st;

	if (stat(path, &st) == 0 && time(NULL) - st.st_mtime > STALE_SECONDS)
		return true;
	who_am_i(me, sizeof me);
	if (sscanf(text, "%255s %63s %ld", host, boot, &pid) != 3 ||
		sscanf(me, "%255s %63s %ld", my_host, my_boot, &my_pid) != 3 ||
		strcmp(host, my_host) != 0)
		return false;
	return strcmp(boot, my_boot) != 0 || (pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH);
}

static bool same_text(const char *path, const char *text)
{
	struct pgo_buf found;
	bool same = pgo_file_read(path, 4096, &found, NULL) == 0 && found.data != NULL &&
		    strcmp(found.data, text) == 0;

	pgo_buf_fini(&found);
	return same;
}

/* Two may find it stale at once: it is renamed away, and put back if it was the other's new one. */
static void break_stale(const struct pgo_state *s)
{
	char *aside = pgo_asprintf("%s/lock.stale.%ld", s->dir, (long)getpid());
	struct pgo_buf text;

	pgo_buf_init(&text, 4096);
	if (aside != NULL && pgo_file_read(s->held, 4096, &text, NULL) == 0 &&
		is_stale(s->held, text.data != NULL ? text.data : "") &&
		rename(s->held, aside) == 0) {
		if (!same_text(aside, text.data != NULL ? text.data : ""))
			(void)!link(aside, s->held);
		unlink(aside);
	}
	pgo_buf_fini(&text);
	pgo_free(aside);
}

static enum grip lock_by_file(struct pgo_state *s)
{
	char me[512];
	ssize_t len;
	int fd;

	if (s->held == NULL)
		s->held = pgo_asprintf("%s/lock.held", s->dir);
	if (s->held == NULL)
		return UNKNOWN;
	fd = open(s->held, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EEXIST) {
		break_stale(s);
		fd = open(s->held, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	}
	if (fd < 0)
		return errno == EEXIST ? BUSY : UNKNOWN;
	who_am_i(me, sizeof me);
	len = write(fd, me, strlen(me));
	close(fd);
	return len == (ssize_t)strlen(me) ? TAKEN : UNKNOWN;
}

/* ---- either */

static bool is_still(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

static enum grip try_once(struct pgo_state *s, struct pgo_err *err)
{
	enum grip grip;

	s->lock = open(s->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (s->lock < 0) {
		pgo_err_errno(err, PGO_EIO,
			"the state in %s cannot be changed: the lock %s cannot be opened", s->dir,
			s->lock_path);
		return UNKNOWN;
	}
	grip = lock_by_kernel(s->lock);
	if (grip == UNKNOWN) {
		grip = lock_by_file(s);
		if (grip == UNKNOWN)
			pgo_err_errno(err, PGO_EIO,
				"%s: the file system has no locks, and no file can be made in "
				"their place",
				s->dir);
		if (grip != TAKEN) {
			pgo_free(s->held);
			s->held = NULL;
		}
	}
	/* Somebody may have removed the file while we waited for it. */
	if (grip == TAKEN && !is_still(s->lock, s->lock_path))
		grip = BUSY;
	if (grip != TAKEN) {
		close(s->lock);
		s->lock = -1;
	}
	return grip;
}

static int64_t monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int take(struct pgo_state *s, int64_t wait_ns, struct pgo_err *err)
{
	const struct timespec pause = {.tv_nsec = POLL_NS};
	int64_t since = monotonic();

	for (;;) {
		switch (try_once(s, err)) {
		case TAKEN:
			return 0;
		case UNKNOWN:
			return PGO_EIO;
		case BUSY:
			break;
		}
		if (monotonic() - since >= wait_ns)
			return pgo_err_set(err, PGO_EIO,
				"another run is working on target '%s' (%s is held); wait for it",
				s->target, s->lock_path);
		nanosleep(&pause, NULL);
	}
}

/* ---- order in the house */

static const char readme[] =
	"State of one target of pgo (`man pgo-run` tells of it in full).\n"
	"\n"
	"published/ID/    results: merged profile, outputs, manifest.json, gates.json; never "
	"changed\n"
	"last-good        the one in use; builds read last-good/FILE\n"
	"pinned           the one that `pgo pin` holds, if any\n"
	"quarantine/ID/   candidates that failed a gate; why.txt says why\n"
	"log.jsonl        one line a decision; `pgo status` says the last one\n"
	"raw/             fetched profiles by their SHA-256\n"
	"cache/           may be deleted at any time\n"
	"reports/         pages for people\n"
	"\n"
	"Use `pgo status`, `pgo rollback`, `pgo pin`, `pgo promote` and `pgo gc`; the directory "
	"may be\n"
	"moved as a whole.\n";

static int write_if_missing(
	const struct pgo_state *s, const char *name, const char *text, struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/%s", s->dir, name);
	int rc = path == NULL ? pgo_err_nomem(err) : 0;

	if (rc == 0 && !pgo_path_exists(path))
		rc = pgo_file_write(path, text, strlen(text), err);
	pgo_free(path);
	return rc;
}

int pgo_state_write_format(struct pgo_state *s, struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/format", s->dir);
	char text[16];
	int rc;

	snprintf(text, sizeof text, "%d\n", PGO_STATE_FORMAT);
	rc = path != NULL ? pgo_file_write(path, text, strlen(text), err) : pgo_err_nomem(err);
	pgo_free(path);
	if (rc == 0)
		s->format = PGO_STATE_FORMAT;
	return rc;
}

/* Temporary files of what is kept between runs. */
static int sweep_cache(const struct pgo_state *s, struct pgo_err *err)
{
	char *sums = pgo_asprintf("%s/sums", s->cache);

	if (sums == NULL)
		return pgo_err_nomem(err);
	pgo_file_sweep(s->cache, NULL);
	pgo_file_sweep(sums, NULL);
	pgo_free(sums);
	return 0;
}

/* What killed runs left: only who holds the lock may have any of these. */
static int clear_debris(const struct pgo_state *s, struct pgo_err *err)
{
	DIR *d = opendir(s->dir);
	struct dirent *item;
	int rc = 0;

	if (d == NULL)
		return pgo_err_errno(err, PGO_EIO, "%s cannot be read", s->dir);
	pgo_file_sweep(s->dir, NULL);
	while (rc == 0 && (item = readdir(d)) != NULL) {
		char *path;

		if (strncmp(item->d_name, "candidate.", 10) != 0 &&
			strncmp(item->d_name, ".pointer.", 9) != 0)
			continue;
		path = pgo_asprintf("%s/%s", s->dir, item->d_name);
		rc = path != NULL ? pgo_state_remove(path, err) : pgo_err_nomem(err);
		pgo_free(path);
	}
	closedir(d);
	return rc;
}

int pgo_state_lock(struct pgo_state *s, int64_t wait_ns, struct pgo_err *err)
{
	int rc = pgo_mkdirs(s->dir, err);

	if (rc == 0)
		rc = take(s, wait_ns, err);
	if (rc == 0)
		rc = clear_debris(s, err);
	if (rc == 0)
		rc = sweep_cache(s, err);
	if (rc == 0)
		rc = pgo_mkdirs(s->published, err);
	if (rc == 0)
		rc = pgo_mkdirs(s->quarantine, err);
	if (rc == 0)
		rc = pgo_mkdirs(s->reports, err);
	if (rc == 0)
		rc = write_if_missing(s, "README", readme, err);
	if (rc == 0 && s->format != 1)
		rc = s->format == 0 || s->format == PGO_STATE_FORMAT
			     ? write_if_missing(s, "format", "2\n", err)
			     : 0;
	if (rc == 0 && s->format == 0)
		s->format = PGO_STATE_FORMAT;
	return rc;
}

void pgo_state_close(struct pgo_state *s)
{
	char **owned[] = {&s->target, &s->dir, &s->raw, &s->cache, &s->published, &s->quarantine,
		&s->reports, &s->last_good, &s->pinned, &s->log, &s->lock_path, &s->held};

	if (s->held != NULL && s->lock >= 0)
		unlink(s->held);
	if (s->lock >= 0)
		close(s->lock);
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		pgo_free(*owned[i]);
	*s = (struct pgo_state){.lock = -1};
}
