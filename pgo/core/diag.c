/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/diag.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX 2048
#define PROGRESS_AFTER_MS 1000
#define PROGRESS_EVERY_MS 100
#define PROGRESS_LOG_EVERY_MS 5000 /* where each state is a line of its own */

/* Warnings come from worker threads too: one lock for sink, verbosity and the progress line. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pgo_diag_sink *sink;
static void *sink_ctx;
static int verbosity;

static struct {
	enum pgo_progress_mode mode;
	char what[64];
	int64_t started_ms, shown_ms;
	bool visible;
} progress;

/* Erases the progress line, so that a message does not land behind it.  Locked. */
static void wipe(void)
{
	if (progress.visible)
		fputs("\r\033[K", stderr);
	progress.visible = false;
}

static void to_stderr(enum pgo_level level, const char *domain, const char *text)
{
	if (level == PGO_LEVEL_DEBUG)
		fprintf(stderr, "pgo: debug: %s: %s\n", domain, text);
	else
		fprintf(stderr, "pgo: %s%s\n", level == PGO_LEVEL_WARN ? "warning: " : "", text);
}

void pgo_diag_set_sink(pgo_diag_sink *new_sink, void *ctx)
{
	pthread_mutex_lock(&lock);
	sink = new_sink;
	sink_ctx = ctx;
	pthread_mutex_unlock(&lock);
}

void pgo_diag_set_verbosity(int v)
{
	pthread_mutex_lock(&lock);
	verbosity = v;
	pthread_mutex_unlock(&lock);
}

/* Is `domain` one of the words of PGO_DEBUG=http,elf (or "all")? */
static bool domain_is_open(const char *domain)
{
	const char *list = getenv("PGO_DEBUG");
	size_t len = strlen(domain);

	if (list == NULL)
		return false;
	for (const char *p = list; *p != '\0';) {
		size_t n = strcspn(p, ",");

		if ((n == len && strncmp(p, domain, n) == 0) ||
			(n == 3 && strncmp(p, "all", 3) == 0))
			return true;
		p += n;
		p += *p == ',';
	}
	return false;
}

static void emit(enum pgo_level level, const char *domain, const char *fmt, va_list ap)
{
	char text[TEXT_MAX];

	vsnprintf(text, sizeof text, fmt, ap);
	pthread_mutex_lock(&lock);
	wipe();
	if (sink != NULL)
		sink(sink_ctx, level, domain, text);
	else
		to_stderr(level, domain, text);
	pthread_mutex_unlock(&lock);
}

static int current_verbosity(void)
{
	int v;

	pthread_mutex_lock(&lock);
	v = verbosity;
	pthread_mutex_unlock(&lock);
	return v;
}

void pgo_warn(const char *fmt, ...)
{
	va_list ap;

	if (current_verbosity() < 0)
		return;
	va_start(ap, fmt);
	emit(PGO_LEVEL_WARN, "", fmt, ap);
	va_end(ap);
}

void pgo_note(const char *fmt, ...)
{
	va_list ap;

	if (current_verbosity() < 1)
		return;
	va_start(ap, fmt);
	emit(PGO_LEVEL_NOTE, "", fmt, ap);
	va_end(ap);
}

void pgo_debug(const char *domain, const char *fmt, ...)
{
	va_list ap;

	if (current_verbosity() < 2 && !domain_is_open(domain))
		return;
	va_start(ap, fmt);
	emit(PGO_LEVEL_DEBUG, domain, fmt, ap);
	va_end(ap);
}

/* ---------------------------------------------------------------- progress */

void pgo_progress_set_mode(enum pgo_progress_mode mode)
{
	pthread_mutex_lock(&lock);
	progress.mode = mode;
	pthread_mutex_unlock(&lock);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int columns(void)
{
	struct winsize w;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

/* ", 12.5 MB, 3.1 MB/s, 1:40 left" */
static void transfer_text(
	uint64_t done, uint64_t total, uint64_t bytes, int64_t elapsed_ms, char *to, size_t size)
{
	double seconds = (double)elapsed_ms / 1000, mb = (double)bytes / 1e6;
	int n = snprintf(to, size, ", %.1f MB, %.1f MB/s", mb, seconds > 0 ? mb / seconds : 0);

	if (n > 0 && (size_t)n < size && done != 0 && done < total) {
		uint64_t left = (uint64_t)(seconds * (double)(total - done) / (double)done);

		snprintf(to + n, size - (size_t)n, ", %llu:%02llu left",
			(unsigned long long)(left / 60), (unsigned long long)(left % 60));
	}
}

static void show(const char *what, uint64_t done, uint64_t total, const char *unit,
	const char *more, bool terminal)
{
	char line[256];
	int width = columns() - 1;

	if (total != 0)
		snprintf(line, sizeof line, "%s: %llu of %llu %s (%d %%)%s", what,
			(unsigned long long)done, (unsigned long long)total, unit,
			(int)((double)done / (double)total * 100), more);
	else
		snprintf(line, sizeof line, "%s: %llu %s%s", what, (unsigned long long)done, unit,
			more);
	if (terminal)
		fprintf(stderr, "\r%.*s\033[K", width, line);
	else
		fprintf(stderr, "pgo: %s\n", line);
	fflush(stderr);
	progress.visible = terminal;
}

void pgo_progress(const char *what, uint64_t done, uint64_t total, const char *unit)
{
	pgo_progress_transfer(what, done, total, unit, 0);
}

void pgo_progress_transfer(
	const char *what, uint64_t done, uint64_t total, const char *unit, uint64_t bytes)
{
	int64_t now = now_ms();
	bool terminal = isatty(STDERR_FILENO);

	pthread_mutex_lock(&lock);
	if (strncmp(progress.what, what, sizeof progress.what - 1) != 0) {
		snprintf(progress.what, sizeof progress.what, "%s", what);
		progress.started_ms = now;
		progress.shown_ms = now - PROGRESS_LOG_EVERY_MS;
	}
	if (progress.mode != PGO_PROGRESS_NEVER && verbosity >= 0 &&
		(terminal || progress.mode == PGO_PROGRESS_ALWAYS) &&
		now - progress.started_ms >= PROGRESS_AFTER_MS &&
		now - progress.shown_ms >= (terminal ? PROGRESS_EVERY_MS : PROGRESS_LOG_EVERY_MS)) {
		char more[96] = "";

		if (bytes != 0)
			transfer_text(
				done, total, bytes, now - progress.started_ms, more, sizeof more);
		progress.shown_ms = now;
		show(what, done, total, unit, more, terminal);
	}
	pthread_mutex_unlock(&lock);
}

void pgo_progress_end(void)
{
	pthread_mutex_lock(&lock);
	wipe();
	progress.what[0] = '\0';
	pthread_mutex_unlock(&lock);
}
