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

/* How much of it was from before. */
struct pgo_merge_reuse {
	size_t measured, known; /* profiles measured, and those of which that was known */
	size_t summed, kept; /* profiles read for their samples, and those in sums that were kept */
	size_t sums, stored; /* sums read, and written */
};

struct pgo_merged {
	struct pgo_hosts *hosts; /* who ran what, if that was asked for (min_hosts), else NULL */
	struct pgo_plan plan;    /* empty without options for it */
	struct pgo_merge_stats stats;
	struct pgo_profile *profile;
	struct pgo_merge *merge; /* what has been summed up, as long as it is not finished */
	struct pgo_merge_reuse reuse;
};

/*
 * What is kept from one merge to the next, in a directory that may be deleted at any time:
 *	DIR/measures      what planning found out about profiles (merge/measures.h)
 *	DIR/sums/X.sum    sums of profiles (merge/kept_sums.h)
 * Nothing in it can change a result, only how soon it is there: measures are known by the digest of
 * all that they follow from, sums by their members, and weights are such that a sum that was right
 * once is right for ever, but for a factor.  What is found wrong is deleted, and the work done.
 */
struct pgo_merge_cache {
	const char *dir;
	const char *salt; /* what the reading of inputs depends on besides: the program's digest */
	uint64_t max_bytes; /* of sums; 0 = as much as the profiles themselves */
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
/* Both with what is kept; `cache` may be NULL, and is not used where samples are chosen or hosts
 * counted. */
int pgo_merge_inputs_kept(const struct pgo_merge_input *in, size_t n, const char *binary,
	const struct pgo_plan_options *po, const struct pgo_merge_options *mo,
	const struct pgo_merge_cache *cache, struct pgo_merged *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
int pgo_merge_inputs_again(const struct pgo_merge_input *in, size_t n, const char *binary,
	const struct pgo_plan_options *po, const struct pgo_merge_options *mo,
	const struct pgo_merge_cache *cache, struct pgo_merged *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Removes of what is kept in DIR what was written longer than `max_age_ns` before `now_ns`, and what
 * was written longest ago until no more than `max_bytes` are left (0: no limit, both); *ret_bytes:
 * how many went.  A missing directory is empty. */
int pgo_merge_cache_gc(const char *dir, uint64_t max_bytes, int64_t max_age_ns, int64_t now_ns,
	uint64_t *ret_bytes, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_merged_fini(struct pgo_merged *m);

#endif
