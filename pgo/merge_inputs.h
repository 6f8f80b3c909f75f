/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files -> plan -> one merged profile: what `pgo merge` and the pipeline share.  Every file is read
 * twice, first for its totals, then for its samples, so that no more than one input is held at a
 * time.
 */
#ifndef PGO_MERGE_INPUTS_H
#define PGO_MERGE_INPUTS_H

#include "merge/merge.h"
#include "merge/plan.h"
#include "pgo/core/err.h"
#include "pgo/core/profile.h"

struct pgo_merge_input {
	const char *path;
	const char *digest; /* SHA-256, or NULL: computed */
	const char *host;   /* NULL: from the profile's labels */
};

struct pgo_merged {
	struct pgo_plan plan;
	struct pgo_merge_stats stats;
	struct pgo_profile *profile;
};

/* `binary` (may be NULL) helps to place the addresses of recordings. Fills *ret (pgo_merged_fini).
 */
int pgo_merge_inputs(const struct pgo_merge_input *in, size_t n, const char *binary,
	const struct pgo_plan_options *po, const struct pgo_merge_options *mo,
	struct pgo_merged *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_merged_fini(struct pgo_merged *m);

#endif
