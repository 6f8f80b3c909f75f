/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files -> plan -> one merged profile: what `pgo merge` and the pipeline share.
 *
 * With a plan every file is read twice, first for its totals, then for its samples, so that no more
 * than one input a thread is held at a time.  Without one (all weights 1) once.
 *
 * The result says in comments what is in it (merge/contained.h), and an input that says so is not
 * counted together with what it holds.
 */
#ifndef PGO_MERGE_INPUTS_H
#define PGO_MERGE_INPUTS_H

#include "merge/hosts.h"
#include "merge/merge.h"
#include "merge/plan.h"
#include "pgo/core/err.h"
#include "pgo/core/profile.h"
#include "pgo/plan_inputs.h"

struct pgo_merged {
	struct pgo_hosts *hosts; /* who ran what, if that was asked for (min_hosts), else NULL */
	struct pgo_plan plan;    /* empty without options for it */
	struct pgo_merge_stats stats;
	struct pgo_profile *profile;
	struct pgo_merge *merge; /* what has been summed up, as long as it is not finished */
};

/*
 * `po` NULL: no plan, every file weighs 1 (files with the same bytes still count once). `binary`
 * (may be NULL) helps to place the addresses of recordings. Fills *ret (pgo_merged_fini); after
 * PGO_EGATE with the plan alone.
 */
int pgo_merge_inputs(const struct pgo_merge_input *in, size_t n, const char *binary,
	const struct pgo_plan_options *po, const struct pgo_merge_options *mo,
	struct pgo_merged *ret, struct pgo_err *err) PGO_MUST_CHECK;
/* The same without the last step: all is in ret->merge. */
int pgo_merge_inputs_sum(const struct pgo_merge_input *in, size_t n, const char *binary,
	const struct pgo_plan_options *po, const struct pgo_merge_options *mo,
	struct pgo_merged *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_merged_fini(struct pgo_merged *m);

#endif
