/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files -> a plan: the first of the two passes of a merge with weights.
 *
 * Files are opened and measured by several threads, one at a time each, so that memory is bounded by
 * the largest few; they are put into the plan in the order given, and the plan sorts them by
 * content, so neither the order nor the number of threads can show.
 */
#ifndef PGO_PLAN_INPUTS_H
#define PGO_PLAN_INPUTS_H

#include "merge/measures.h"
#include "merge/plan.h"
#include "pgo/core/err.h"
#include "pgo/core/manifest.h"
#include "pgo/input.h"

#include <sys/types.h>
#include <time.h>

struct pgo_merge_input {
	const char *path;
	const char *digest; /* SHA-256, or NULL: computed where needed */
	const char *host;   /* NULL: from the profile's labels */
	const char *name;   /* in the plan; NULL: the path, or its last part if it is absolute */
	int64_t time_ns;    /* for a profile that does not say */
	const char *service, *class; /* NULL: from the profile's labels */
	double probability;          /* with which it was taken; 0: from the profile's labels */
	bool optional; /* one of a fleet: if it is of no use, a warning, and on without it */
	bool blend;    /* the last good profile */
	bool verify;   /* its bytes must have this digest */
	const uint64_t *weights; /* of its profiles, from a plan made before; NULL = none yet */
	size_t n_weights;
	const struct pgo_record *record; /* what fetch knows of it; NULL = nothing */
};

/* What is known of a file: enough of its state to see that it changed between two readings, and its
 * place in the plan. */
struct pgo_input_file {
	size_t input;
	off_t size;
	struct timespec mtime;
	ino_t inode;
	bool regular, skip;
	bool known;                 /* its measures are from before */
	char digest[65];            /* "" as long as nobody needed it */
	size_t first_part, n_parts; /* numbers in the plan: pgo_plan_of() */
	char *trouble;              /* why it is skipped, to be told in the order of the inputs */
};

/* Looks at each file; gives an array of `n` (pgo_input_files_free). */
struct pgo_input_file *pgo_input_files(
	const struct pgo_merge_input *in, size_t n, struct pgo_err *err);
void pgo_input_files_free(struct pgo_input_file *f, size_t n);
/* Its digest, if it is a regular file: as given, or computed now. */
int pgo_input_file_digest(const struct pgo_merge_input *in, struct pgo_input_file *f,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Opens it; PGO_EIO if it changed since it was looked at. `binary` may be NULL. */
int pgo_input_file_open(const struct pgo_merge_input *in, const struct pgo_input_file *f,
	const char *binary, struct pgo_input *ret, struct pgo_err *err) PGO_MUST_CHECK;
/* After an input failed with `rc`: 0 if it is one of a fleet and the fault is its own, and it is
 * skipped from now on; else `rc`. */
int pgo_input_file_leave_out(const struct pgo_merge_input *in, struct pgo_input_file *f, int rc,
	struct pgo_err *err) PGO_MUST_CHECK;
/* A warning for each that was left out since the last time. */
void pgo_input_files_tell(struct pgo_input_file *f, size_t n);

/* Where measures are kept from one run to the next. */
struct pgo_plan_memory {
	struct pgo_measures *measures;
	const char *salt;
	size_t n_known; /* files that were not read; atomic */
};

/*
 * Measures all files that are not skipped, puts them into `plan` (initialised, empty), and finishes
 * it; sets first_part and n_parts.  After PGO_EGATE the plan can be explained.  `memory` may be NULL.
 */
int pgo_plan_inputs(const struct pgo_merge_input *in, struct pgo_input_file *files, size_t n,
	const char *binary, struct pgo_plan_memory *memory, struct pgo_plan *plan,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
