/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Independent pieces of one job on several threads; the one place that decides how many.
 *
 * What a thread did must never show: pieces write to places of their own, and whoever started them
 * puts the results together in the order of the pieces.  pgo_warn() and pgo_progress() may be
 * called from any of them.
 */
#ifndef PGO_CORE_PARALLEL_H
#define PGO_CORE_PARALLEL_H

#include "pgo/core/err.h"

#include <stddef.h>

#define PGO_MAX_THREADS 64

/* $PGO_THREADS if that is a number from 1 to 64, else as many as this process may use processors. */
unsigned pgo_threads(void);

/*
 * Calls `fn` once for each of the pieces 0..n-1, which are handed out in this order to at most
 * `threads` threads, the caller's own among them; `thread` (0..threads-1) says which one it runs
 * on, for scratch memory.  Returns when all are done.  After a failure no new piece is begun, and
 * the failure of the first piece that failed is the result: the same whatever the number of
 * threads.  A thread that cannot be started is done without.
 */
int pgo_parallel(size_t n, unsigned threads,
	int (*fn)(void *ctx, size_t piece, unsigned thread, struct pgo_err *err), void *ctx,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
