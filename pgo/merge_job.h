/* SPDX-License-Identifier: Apache-2.0 */
/* A merge of files on its way.  Internal to pgo/merge_inputs.c and pgo/merge_kept.c. */
#ifndef PGO_MERGE_JOB_H
#define PGO_MERGE_JOB_H

#include "merge/kept_sums.h"
#include "merge/measures.h"
#include "pgo/input.h"
#include "pgo/merge_inputs.h"

struct pgo_merge_job {
	const struct pgo_merge_input *in;
	struct pgo_input_file *files; /* per input */
	size_t n;
	const char *binary;
	struct pgo_merged *out;
	struct pgo_merge **merges; /* one for each thread */
	struct pgo_hosts **hosts;  /* the same; NULL unless who ran what is asked for */
	unsigned threads;
	size_t done; /* inputs summed; atomic */
	bool nested; /* an input says what is in it; atomic */

	const struct pgo_merge_cache *cache; /* NULL = none, as the rest then */
	struct pgo_plan_memory *memory;
	struct pgo_measures measures;
	struct pgo_plan_memory memory_of;
	char *salt;
	bool failed_kept;
};

/* What the result says of an input: itself and its day, unless the input says it. */
int pgo_merge_job_comments(struct pgo_merge_job *job, size_t i, const struct pgo_input *input,
	size_t part, struct pgo_merge *merge, struct pgo_err *err) PGO_MUST_CHECK;

/* All parts of an input, `times` their weights as heavy. */
int pgo_merge_job_add_file(struct pgo_merge_job *job, size_t i, uint64_t times,
	struct pgo_merge *merge, struct pgo_err *err) PGO_MUST_CHECK;

/* Opens the measures; closes them. */
int pgo_merge_job_remember(struct pgo_merge_job *job, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_merge_job_forget(struct pgo_merge_job *job);
/*
 * Sums up what is planned, by what is kept as far as that goes, and keeps what it had to sum.  Any
 * failure may be that of what is kept: then do it without.  Fills *ret.
 */
int pgo_merge_job_kept(struct pgo_merge_job *job, const struct pgo_merge_options *mo,
	struct pgo_merge **ret, struct pgo_err *err) PGO_MUST_CHECK;

#endif
