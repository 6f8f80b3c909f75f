/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct crew {
	int (*fn)(void *ctx, size_t piece, unsigned thread, struct pgo_err *err);
	void *ctx;
	size_t n;
	pthread_mutex_t lock; /* of what follows */
	size_t next;
	size_t failed; /* the first piece that failed, or n */
	int rc;
	struct pgo_err err;
};

struct member {
	struct crew *crew;
	unsigned thread;
	pthread_t id;
	bool started;
};

unsigned pgo_threads(void)
{
	const char *text = getenv("PGO_THREADS");
	cpu_set_t set;
	int n = 0;

	if (text != NULL && *text != '\0') {
		char *end;
		long v = strtol(text, &end, 10);

		if (*end == '\0' && v >= 1 && v <= PGO_MAX_THREADS)
			return (unsigned)v;
	}
	if (sched_getaffinity(0, sizeof set, &set) == 0)
		n = CPU_COUNT(&set);
	return n < 1 ? 1 : n > PGO_MAX_THREADS ? PGO_MAX_THREADS : (unsigned)n;
}

/* The next piece, or n. */
static size_t take(struct crew *c)
{
	size_t i;

	pthread_mutex_lock(&c->lock);
	i = c->failed == c->n && c->next < c->n ? c->next++ : c->n;
	pthread_mutex_unlock(&c->lock);
	return i;
}

/* All pieces before a failed one were begun before it, so the first to fail is always found. */
static void note(struct crew *c, size_t piece, int rc, const struct pgo_err *err)
{
	pthread_mutex_lock(&c->lock);
	if (piece < c->failed) {
		c->failed = piece;
		c->rc = rc;
		c->err = *err;
	}
	pthread_mutex_unlock(&c->lock);
}

static void *work(void *arg)
{
	const struct member *m = arg;
	struct crew *c = m->crew;
	size_t i;

	while ((i = take(c)) < c->n) {
		struct pgo_err err = PGO_ERR_INIT;
		int rc = c->fn(c->ctx, i, m->thread, &err);

		if (rc < 0)
			note(c, i, rc, &err);
	}
	return NULL;
}

int pgo_parallel(size_t n, unsigned threads,
	int (*fn)(void *ctx, size_t piece, unsigned thread, struct pgo_err *err), void *ctx,
	struct pgo_err *err)
{
	struct crew c = {.fn = fn, .ctx = ctx, .n = n, .failed = n, .err = PGO_ERR_INIT};
	struct member members[PGO_MAX_THREADS];

	if (threads > PGO_MAX_THREADS)
		threads = PGO_MAX_THREADS;
	if (threads > n)
		threads = (unsigned)n;
	pthread_mutex_init(&c.lock, NULL);
	for (unsigned t = 0; t < threads || t == 0; t++) {
		members[t] = (struct member){.crew = &c, .thread = t};
		members[t].started =
			t != 0 && pthread_create(&members[t].id, NULL, work, &members[t]) == 0;
	}
	work(&members[0]);
	for (unsigned t = 1; t < threads; t++)
		if (members[t].started)
			pthread_join(members[t].id, NULL);
	pthread_mutex_destroy(&c.lock);
	if (c.failed < n && err != NULL)
		*err = c.err;
	return c.failed < n ? c.rc : 0;
}
