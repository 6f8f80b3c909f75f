/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs done on other threads while this one goes on, for work that arrives bit by bit (transfers).
 * What a job did must not show in which order: jobs are taken back in the order in which they were
 * given.  What is there in one piece is better done by pgo/core/parallel.h, which also says how many
 * threads there should be.
 *
 * One thread gives and takes.  pgo_warn() may be called from jobs.
 */
#ifndef PGO_CORE_BACKGROUND_H
#define PGO_CORE_BACKGROUND_H

#include <stdbool.h>
#include <stddef.h>

/* The beginning of the caller's own struct. */
struct pgo_job {
	struct pgo_job *next;
	bool done;
};

struct pgo_background;

/*
 * `work` is called for every job, on at most `threads` other threads; with one thread, or where none
 * can be started, on the caller's while it gives the job.  NULL: no memory.
 */
struct pgo_background *pgo_background_new(
	unsigned threads, void (*work)(void *ctx, struct pgo_job *job), void *ctx);
/* Borrows the job until it is taken. */
void pgo_background_give(struct pgo_background *b, struct pgo_job *job);
/* The oldest job, if it is done; with `wait`, when it is.  NULL if none is. */
struct pgo_job *pgo_background_take(struct pgo_background *b, bool wait);
/* Jobs that were given and not taken. */
size_t pgo_background_held(const struct pgo_background *b);
/* All jobs must have been taken.  NULL is fine. */
void pgo_background_free(struct pgo_background *b);

#endif
