/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/background.h"

#include "pgo/core/alloc.h"
#include "pgo/core/parallel.h"

#include <pthread.h>

struct pgo_background {
	void (*work)(void *ctx, struct pgo_job *job);
	void *ctx;
	size_t held; /* of the giving thread alone */
	unsigned n_threads;
	pthread_t threads[PGO_MAX_THREADS];
	pthread_mutex_t lock; /* of what follows, and of `done` of every job */
	pthread_cond_t given, done;
	struct pgo_job *first, *last; /* not taken, oldest first */
	struct pgo_job *open;         /* the first of those that nobody works at */
	bool over;
};

static void *worker(void *arg)
{
	struct pgo_background *b = arg;

	pthread_mutex_lock(&b->lock);
	for (;;) {
		struct pgo_job *job = b->open;

		if (job != NULL) {
			b->open = job->next;
			pthread_mutex_unlock(&b->lock);
			b->work(b->ctx, job);
			pthread_mutex_lock(&b->lock);
			job->done = true;
			pthread_cond_signal(&b->done);
		} else if (b->over) {
			break;
		} else {
			pthread_cond_wait(&b->given, &b->lock);
		}
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

struct pgo_background *pgo_background_new(
	unsigned threads, void (*work)(void *ctx, struct pgo_job *job), void *ctx)
{
	struct pgo_background *b = pgo_calloc(1, sizeof *b);

	if (b == NULL)
		return NULL;
	b->work = work;
	b->ctx = ctx;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->given, NULL);
	pthread_cond_init(&b->done, NULL);
	if (threads > PGO_MAX_THREADS)
		threads = PGO_MAX_THREADS;
	for (unsigned i = 0; i < threads && threads > 1; i++)
		if (pthread_create(&b->threads[b->n_threads], NULL, worker, b) == 0)
			b->n_threads++;
	return b;
}

void pgo_background_give(struct pgo_background *b, struct pgo_job *job)
{
	job->next = NULL;
	job->done = b->n_threads == 0;
	if (job->done)
		b->work(b->ctx, job);
	b->held++;
	pthread_mutex_lock(&b->lock);
	if (b->last != NULL)
		b->last->next = job;
	else
		b->first = job;
	b->last = job;
	if (b->open == NULL && !job->done)
		b->open = job;
	pthread_cond_signal(&b->given);
	pthread_mutex_unlock(&b->lock);
}

struct pgo_job *pgo_background_take(struct pgo_background *b, bool wait)
{
	struct pgo_job *job;

	pthread_mutex_lock(&b->lock);
	job = b->first;
	while (wait && job != NULL && !job->done)
		pthread_cond_wait(&b->done, &b->lock);
	if (job != NULL && job->done) {
		b->first = job->next;
		if (b->first == NULL)
			b->last = NULL;
		b->held--;
	} else {
		job = NULL;
	}
	pthread_mutex_unlock(&b->lock);
	return job;
}

size_t pgo_background_held(const struct pgo_background *b)
{
	return b->held;
}

void pgo_background_free(struct pgo_background *b)
{
	if (b == NULL)
		return;
	pthread_mutex_lock(&b->lock);
	b->over = true;
	pthread_cond_broadcast(&b->given);
	pthread_mutex_unlock(&b->lock);
	for (unsigned i = 0; i < b->n_threads; i++)
		pthread_join(b->threads[i], NULL);
	pthread_cond_destroy(&b->done);
	pthread_cond_destroy(&b->given);
	pthread_mutex_destroy(&b->lock);
	pgo_free(b);
}
