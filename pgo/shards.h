/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shards of a plan -> partials: what `pgo merge --plan` and `pgo merge --worker` do.
 *
 * Every input is checked against the digest in the plan while it is read, so a partial is of exactly
 * the inputs that it names.  It is written whole or not at all, and the same shard gives the same
 * bytes, so a task may be killed and run again, or twice at once.
 */
#ifndef PGO_SHARDS_H
#define PGO_SHARDS_H

#include "pgo/core/err.h"

#include <stddef.h>
#include <stdint.h>

struct pgo_shard_request {
	const char *plan;  /* a plan file; a worker may go without */
	const char *shard; /* "3", "3/16" or "auto" */
	const char *out;
	uint64_t memory; /* 0 = the default */
	uint64_t batch;  /* of a worker: inputs of a partial; 0 = all there are */
};

struct pgo_shard_said {
	uint64_t shard, n_shards;
	size_t inputs, files;
};

/*
 * "3" or "3/16" as it stands; "auto" from the environment of a task: JOB_COMPLETION_INDEX of a
 * Kubernetes Indexed Job, or SLURM_ARRAY_TASK_ID with its _MIN, _STEP and _COUNT.  `n_shards`: of the
 * plan.  PGO_EUSAGE if they do not fit each other.
 */
int pgo_shard_number(const char *text, uint64_t n_shards, uint64_t *ret_shard,
	struct pgo_err *err) PGO_MUST_CHECK;
/* One shard into a partial. */
int pgo_shard_run(const struct pgo_shard_request *r, struct pgo_shard_said *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
/*
 * Reads names of inputs from standard input, one a line (of several fields with tabs between them the
 * last one; file:// is taken off), and writes a partial as a line of text for each batch.
 */
int pgo_shard_work(const struct pgo_shard_request *r, struct pgo_err *err) PGO_MUST_CHECK;

#endif
