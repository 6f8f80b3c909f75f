/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of partials as `pgo reduce` and `pgo finish` take them: binary ones, text with one a line
 * (as workers print them), "-" for standard input, directories of such.  Which of them count is
 * decided by their heads; then they are loaded by several threads.
 */
#ifndef PGO_PARTIALS_H
#define PGO_PARTIALS_H

#include "merge/partial.h"
#include "pgo/core/err.h"

struct pgo_partials {
	struct pgo_merge *merge; /* all that counts */
	struct pgo_partial_head head;
	size_t n, n_repeated; /* partials; those that repeat others */
};

/* What `pgo merge`, `pgo reduce` and `pgo finish` make of --memory SIZE: where stacks go to disk, for
 * one of `threads` mergers; 0 is the default. */
uint64_t pgo_partials_spill_at(uint64_t memory, unsigned threads);
/* Fills *ret (pgo_partials_fini, whatever happens). `near`: a path beside which temporary files may
 * go, or NULL. */
int pgo_partials_load(char *const *paths, size_t n, uint64_t memory, const char *near,
	struct pgo_partials *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_partials_fini(struct pgo_partials *p);
/* "shards 1-4, 7 of 16" or "no plan". */
void pgo_partials_shards(const struct pgo_partial_head *h, struct pgo_buf *out);
/* The directory of a path, for temporary files: a new string, NULL when out of memory. */
char *pgo_partials_dir(const char *near);

#endif
