/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes one call that changes a file system fail, in a program that is not ours to stop: loaded with
 * LD_PRELOAD, before the C library's own.
 *
 *	FAULT_AT=N         the Nth counted call (from 1) is struck; 0 or nothing: none is
 *	FAULT=WHAT         ENOSPC EIO EROFS EDQUOT   it fails with that
 *	                   SHORT                     a write writes half and says so; others go well
 *	                   KILL                      the program is killed in place of the call
 *	                   TORN                      killed after it: after half of it if it writes
 *	FAULT_STICKY=1     ENOSPC and so on: all later calls that need room or a writable disk fail as well
 *	FAULT_TRACE=FILE   a line for each counted call: "N CALL PATH", and "struck" behind the one; for a
 *	                   rename both names, a tab between
 *	FAULT_CLOCK=S      the clock of the day is S seconds off
 *
 * Counted are: open for writing or making, write and pwrite to regular files, ftruncate, fsync,
 * fdatasync, syncfs, close of what was open for writing, rename, link, symlink, mkdir, unlink,
 * rmdir, mkstemp, in all their forms, of this process alone: it takes itself out of the environment
 * of what the program starts.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum act { ACT_PASS, ACT_FAIL, ACT_SHORT, ACT_TORN };
enum need { NEEDS_ROOM, NEEDS_NOTHING };

static atomic_long calls;
static long strike_at, clock_off;
static int strike_errno, trace_fd = -1;
static bool strike_short, strike_kill, strike_torn, sticky;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
	void *p = dlsym(RTLD_NEXT, name);

	if (p == NULL)
		abort();
	return p;
}

__attribute__((constructor)) static void begin(void)
{
	static const struct {
		const char *name;
		int number;
	} errors[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EROFS", EROFS}, {"EDQUOT", EDQUOT}};
	const char *at = getenv("FAULT_AT"), *what = getenv("FAULT");
	const char *trace = getenv("FAULT_TRACE"), *off = getenv("FAULT_CLOCK");

	strike_at = at != NULL ? atol(at) : 0;
	clock_off = off != NULL ? atol(off) : 0;
	sticky = getenv("FAULT_STICKY") != NULL;
	for (size_t i = 0; what != NULL && i < sizeof errors / sizeof *errors; i++)
		if (strcmp(what, errors[i].name) == 0)
			strike_errno = errors[i].number;
	strike_short = what != NULL && strcmp(what, "SHORT") == 0;
	strike_kill = what != NULL && strcmp(what, "KILL") == 0;
	strike_torn = what != NULL && strcmp(what, "TORN") == 0;
	if (trace != NULL)
		trace_fd = (int)syscall(SYS_openat, AT_FDCWD, trace,
			O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	unsetenv("LD_PRELOAD");
}

static void note(long n, const char *call, const char *path, bool struck)
{
	char line[8500];
	int len;

	if (trace_fd < 0)
		return;
	len = snprintf(line, sizeof line, "%ld %s %s%s\n", n, call, path, struck ? " struck" : "");
	(void)!syscall(SYS_write, trace_fd, line, len);
}

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* Counts a call and says what becomes of it; errno is set for one that fails. */
static enum act count(const char *call, const char *path, enum need need)
{
	long n = atomic_fetch_add(&calls, 1) + 1;
	bool now = n == strike_at;
	bool later = sticky && strike_at != 0 && n > strike_at && need == NEEDS_ROOM;

	note(n, call, path, now || later);
	if (!now && !later)
		return ACT_PASS;
	if (strike_kill)
		die();
	if (strike_torn)
		return ACT_TORN;
	if (strike_short)
		return ACT_SHORT;
	errno = strike_errno;
	return ACT_FAIL;
}

/* Both names, with a tab between. */
static enum act count_rename(const char *from, const char *to)
{
	char both[8300];

	snprintf(both, sizeof both, "%s\t%s", from, to);
	return count("rename", both, NEEDS_ROOM);
}

static const char *path_of(int fd, char *room, size_t size)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, room, size - 1);
	room[n > 0 ? n : 0] = '\0';
	return room;
}

static enum act count_fd(const char *call, int fd, enum need need)
{
	char path[4096];

	return count(call, path_of(fd, path, sizeof path), need);
}

static bool is_regular(int fd)
{
	struct stat st;

	return fd > 2 && fd != trace_fd && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* The call itself, for one that is not divisible. */
#define STRUCK(what, call)                                                                         \
	__extension__({                                                                            \
		enum act act_ = (what);                                                            \
		__typeof__(call) done_ = act_ == ACT_FAIL ? (__typeof__(call))-1 : (call);         \
		if (act_ == ACT_TORN)                                                              \
			die();                                                                     \
		done_;                                                                             \
	})

static int open_at(int dir, const char *path, int flags, mode_t mode)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;

	if (!writes || strncmp(path, "/dev/", 5) == 0)
		return (int)syscall(SYS_openat, dir, path, flags, mode);
	return STRUCK(
		count("open", path, NEEDS_ROOM), (int)syscall(SYS_openat, dir, path, flags, mode));
}

#define OPEN_MODE(flags, mode)                                                                     \
	do {                                                                                       \
		if (((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE) {                  \
			va_list ap_;                                                               \
			va_start(ap_, flags);                                                      \
			(mode) = va_arg(ap_, mode_t);                                              \
			va_end(ap_);                                                               \
		}                                                                                  \
	} while (0)

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;

	OPEN_MODE(flags, mode);
	return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;

	OPEN_MODE(flags, mode);
	return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	mode_t mode = 0;

	OPEN_MODE(flags, mode);
	return open_at(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
	mode_t mode = 0;

	OPEN_MODE(flags, mode);
	return open_at(dir, path, flags, mode);
}

/* A write: half of it is a shape of its own. */
static ssize_t write_at(int fd, const void *data, size_t len, const off_t *at)
{
	enum act act = is_regular(fd) ? count_fd("write", fd, NEEDS_ROOM) : ACT_PASS;
	size_t n = (act == ACT_SHORT || act == ACT_TORN) && len > 1 ? len / 2 : len;
	ssize_t done;

	if (act == ACT_FAIL)
		return -1;
	done = at != NULL ? syscall(SYS_pwrite64, fd, data, n, *at)
			  : syscall(SYS_write, fd, data, n);
	if (act == ACT_TORN)
		die();
	return done;
}

ssize_t write(int fd, const void *data, size_t len)
{
	return write_at(fd, data, len, NULL);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	return write_at(fd, data, len, &at);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
	return write_at(fd, data, len, &at);
}

int ftruncate(int fd, off_t len)
{
	return STRUCK(count_fd("ftruncate", fd, NEEDS_ROOM), REAL(ftruncate)(fd, len));
}

int fsync(int fd)
{
	return STRUCK(count_fd("fsync", fd, NEEDS_NOTHING), REAL(fsync)(fd));
}

int fdatasync(int fd)
{
	return STRUCK(count_fd("fdatasync", fd, NEEDS_NOTHING), REAL(fdatasync)(fd));
}

int syncfs(int fd)
{
	return STRUCK(count_fd("syncfs", fd, NEEDS_NOTHING), REAL(syncfs)(fd));
}

/* A close that fails has closed all the same. */
int close(int fd)
{
	int flags = is_regular(fd) ? fcntl(fd, F_GETFL) : -1;
	enum act act = ACT_PASS;
	int done, error = 0;

	if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY) {
		act = count_fd("close", fd, NEEDS_NOTHING);
		error = errno;
	}
	done = (int)syscall(SYS_close, fd);
	if (act == ACT_TORN)
		die();
	if (act == ACT_FAIL) {
		errno = error;
		return -1;
	}
	return done;
}

int rename(const char *from, const char *to)
{
	return STRUCK(count_rename(from, to), REAL(rename)(from, to));
}

int renameat(int a, const char *from, int b, const char *to)
{
	return STRUCK(count_rename(from, to), REAL(renameat)(a, from, b, to));
}

int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
	return STRUCK(count_rename(from, to), REAL(renameat2)(a, from, b, to, flags));
}

int link(const char *from, const char *to)
{
	return STRUCK(count("link", to, NEEDS_ROOM), REAL(link)(from, to));
}

int linkat(int a, const char *from, int b, const char *to, int flags)
{
	return STRUCK(count("link", to, NEEDS_ROOM), REAL(linkat)(a, from, b, to, flags));
}

int symlink(const char *text, const char *path)
{
	return STRUCK(count("symlink", path, NEEDS_ROOM), REAL(symlink)(text, path));
}

int symlinkat(const char *text, int dir, const char *path)
{
	return STRUCK(count("symlink", path, NEEDS_ROOM), REAL(symlinkat)(text, dir, path));
}

int mkdir(const char *path, mode_t mode)
{
	return STRUCK(count("mkdir", path, NEEDS_ROOM), REAL(mkdir)(path, mode));
}

int mkdirat(int dir, const char *path, mode_t mode)
{
	return STRUCK(count("mkdir", path, NEEDS_ROOM), REAL(mkdirat)(dir, path, mode));
}

int unlink(const char *path)
{
	return STRUCK(count("unlink", path, NEEDS_NOTHING), REAL(unlink)(path));
}

int unlinkat(int dir, const char *path, int flags)
{
	return STRUCK(count("unlink", path, NEEDS_NOTHING), REAL(unlinkat)(dir, path, flags));
}

int rmdir(const char *path)
{
	return STRUCK(count("rmdir", path, NEEDS_NOTHING), REAL(rmdir)(path));
}

int mkstemp(char *name)
{
	return STRUCK(count("mkstemp", name, NEEDS_ROOM), REAL(mkstemp)(name));
}

int mkostemp(char *name, int flags)
{
	return STRUCK(count("mkstemp", name, NEEDS_ROOM), REAL(mkostemp)(name, flags));
}

/* ---- the clock of the day */

int clock_gettime(clockid_t id, struct timespec *ret)
{
	int done = (int)syscall(SYS_clock_gettime, id, ret);

	if (done == 0 && id == CLOCK_REALTIME)
		ret->tv_sec += clock_off;
	return done;
}

time_t time(time_t *ret)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_REALTIME, &now);
	if (ret != NULL)
		*ret = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	struct timespec now = {0};

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	ret->tv_sec = now.tv_sec;
	ret->tv_usec = now.tv_nsec / 1000;
	return 0;
}
