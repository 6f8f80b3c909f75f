/* SPDX-License-Identifier: Apache-2.0 */
/* A merger -> the file of its result, and the account of it that `pgo merge` and `pgo finish` give. */
#ifndef PGO_MERGE_WRITTEN_H
#define PGO_MERGE_WRITTEN_H

#include "merge/merge.h"
#include "pgo/core/json.h"
#include "pgo/core/pprof.h"

struct pgo_merge_written {
	struct pgo_profile *types;     /* the sample types, and nothing else */
	struct pgo_pprof_written file; /* with the total of each type */
	struct pgo_merge_stats stats;
};

/* Finishes `m` and writes its result, drawn row by row; `path` NULL: everything but the file. Fills
 * *ret (pgo_merge_written_fini, whatever happens). */
int pgo_merge_write(struct pgo_merge *m, const char *path, struct pgo_merge_written *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
/* The same of a profile (borrowed); the caller fills in the counters. */
int pgo_merge_write_profile(struct pgo_profile *p, const char *path, struct pgo_merge_written *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_merge_written_fini(struct pgo_merge_written *w);
/* Members of an object: output, digest, bytes, columns, account. */
void pgo_merge_written_json(
	const struct pgo_merge_written *w, const char *path, struct pgo_json *j);
/* "out.pb.gz: 7 profiles, 9 samples -> 5, 4 locations -> 3, 210 bytes", without the end of the line. */
void pgo_merge_written_text(
	const struct pgo_merge_written *w, const char *path, struct pgo_buf *out);
/* Warns of addresses outside of their mapping. */
void pgo_merge_warn_outside(const struct pgo_merge_stats *s);

#endif
