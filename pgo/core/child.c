/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/child.h"

#include "pgo/core/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define SECONDS 60
#define MOST ((size_t)1 << 20)
#define TICK_MS 50 /* how often a child that holds its output open is looked at */

static const struct pgo_child_options defaults;

/* Is the variable of `entry` ("NAME=value") one of those that are added? */
static bool names(const char *const *added, const char *entry)
{
	size_t len = strcspn(entry, "=") + 1;

	for (size_t i = 0; added != NULL && added[i] != NULL; i++)
		if (strncmp(added[i], entry, len) == 0)
			return true;
	return false;
}

/* Our environment with the changes; gives the array, not its strings. */
static char **environment(const struct pgo_child_options *o)
{
	size_t n = 0, n_added = 0, at = 0;
	char **env;

	while (environ[n] != NULL)
		n++;
	while (o->env != NULL && o->env[n_added] != NULL)
		n_added++;
	env = pgo_calloc(n + n_added + 2, sizeof *env);
	if (env == NULL)
		return NULL;
	for (size_t i = 0; i < n_added; i++)
		env[at++] = (char *)(uintptr_t)o->env[i];
	if (!names(o->env, "LC_ALL="))
		env[at++] = (char *)(uintptr_t) "LC_ALL=C";
	for (size_t i = 0; i < n; i++)
		if (!names(o->env, environ[i]) && strncmp(environ[i], "LC_ALL=", 7) != 0)
			env[at++] = environ[i];
	return env;
}

/* 0 or an errno. */
static int spawn(const char *const argv[], const struct pgo_child_options *o, int out, char **env,
	pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int rc;

	rc = posix_spawn_file_actions_init(&actions);
	if (rc != 0)
		return rc;
	rc = posix_spawnattr_init(&attr);
	if (rc != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return rc;
	}
	rc = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	if (rc == 0 && o->only_stdout)
		rc = posix_spawn_file_actions_addopen(
			&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	else if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
	if (rc == 0 && o->dir != NULL)
		rc = posix_spawn_file_actions_addchdir_np(&actions, o->dir);
	/* A group of its own, so that a compiler goes with its passes; and the signals that we
	 * ignore are none of its business. */
	sigemptyset(&none);
	sigaddset(&none, SIGPIPE);
	if (rc == 0)
		rc = posix_spawnattr_setsigdefault(&attr, &none);
	if (rc == 0)
		rc = posix_spawnattr_setpgroup(&attr, 0);
	if (rc == 0)
		rc = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
	if (rc == 0)
		rc = posix_spawnp(
			ret, argv[0], &actions, &attr, (char *const *)(uintptr_t)argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* One read of what is there; false at the end. */
static bool read_some(int fd, size_t most, struct pgo_buf *out)
{
	char text[4096];
	ssize_t n = read(fd, text, sizeof text);

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	if (out->len < most)
		pgo_buf_add(out, text, (size_t)n < most - out->len ? (size_t)n : most - out->len);
	return n > 0;
}

/* Reads until the child has ended and its output too, or the time is up. Gives waitpid()'s status. */
static int attend(pid_t pid, int fd, const struct pgo_child_options *o, struct pgo_child *ret)
{
	int64_t until = now_ms() + (int64_t)(o->seconds != 0 ? o->seconds : SECONDS) * 1000;
	size_t most = o->most != 0 ? o->most : MOST;
	bool open = true, ended = false;
	int status = 0;

	while (open || !ended) {
		struct pollfd p = {.fd = open ? fd : -1, .events = POLLIN};
		int ready = poll(&p, 1, open ? TICK_MS : 1);

		if (ready > 0)
			open = read_some(fd, most, &ret->out);
		if (!ended)
			ended = waitpid(pid, &status, WNOHANG) == pid;
		/* Something that it started still holds its output: that is not waited for. */
		else if (ready == 0)
			break;
		if (!ended && now_ms() > until && !ret->timed_out) {
			ret->timed_out = true;
			kill(-pid, SIGKILL);
		}
	}
	return status;
}

static int run(const char *const argv[], const struct pgo_child_options *o, const int fds[2],
	struct pgo_child *ret, struct pgo_err *err)
{
	char **env = environment(o);
	pid_t pid = -1;
	int rc, status;

	if (env == NULL)
		return pgo_err_nomem(err);
	rc = spawn(argv, o, fds[1], env, &pid);
	close(fds[1]);
	pgo_free(env);
	if (rc == ENOENT)
		return pgo_err_set(err, PGO_ENOTFOUND, "there is no program '%s' here", argv[0]);
	if (rc != 0)
		return pgo_err_set(err, PGO_EIO, "%s cannot be started: %s", argv[0], strerror(rc));
	status = attend(pid, fds[0], o, ret);
	ret->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return pgo_buf_check(&ret->out, argv[0], err);
}

int pgo_child_run(const char *const argv[], const struct pgo_child_options *o,
	struct pgo_child *ret, struct pgo_err *err)
{
	int fds[2], rc;

	if (o == NULL)
		o = &defaults;
	*ret = (struct pgo_child){0};
	pgo_buf_init(&ret->out, (o->most != 0 ? o->most : MOST) + 1);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return pgo_err_errno(err, PGO_EIO, "%s cannot be started", argv[0]);
	rc = run(argv, o, fds, ret, err);
	close(fds[0]);
	return rc;
}

void pgo_child_fini(struct pgo_child *c)
{
	pgo_buf_fini(&c->out);
}

const char *pgo_child_text(const struct pgo_child *c)
{
	return c->out.data != NULL ? c->out.data : "";
}
