/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a state may go.
 *
 *	results      beyond the newest `keep` and older than `keep_ns`; never last-good, pinned, or
 *	             one that waits for a pin to go
 *	quarantine   older than `quarantine_ns`
 *	cache        what is older than `keep_ns`, and the oldest beyond `cache_size`; it can be
 *	             computed again
 *	profiles     outside of the window that is fetched, and in no manifest of what stays: a result
 *	             can be traced to its profiles as long as it is there
 *
 * First the plan, which reads only, then the sweep.
 */
#ifndef PGO_STATE_GC_H
#define PGO_STATE_GC_H

#include "pgo/on_target.h"

#include <stdint.h>

struct pgo_gc_rule {
	uint64_t keep;
	int64_t keep_ns, quarantine_ns; /* quarantine_ns 0 = for ever */
	uint64_t cache_size;            /* 0 = no limit */
};

struct pgo_gc_item {
	char *path; /* a directory, or a profile */
	char *name; /* id, or digest */
	uint64_t bytes;
	bool is_profile;
};

struct pgo_gc_sum {
	uint64_t n, bytes;
};

struct pgo_gc_plan {
	struct pgo_gc_item *item; /* what goes */
	size_t n, room;
	struct pgo_gc_sum results_kept, results_gone, quarantine_kept, quarantine_gone,
		profiles_kept, profiles_gone;
	uint64_t cache_bytes; /* of it */
	bool profiles_busy;   /* a fetch was cut short: profiles are left to the next run */
};

int pgo_gc_plan(const struct pgo_on_target *o, const struct pgo_gc_rule *rule,
	struct pgo_gc_plan *ret, struct pgo_err *err) PGO_MUST_CHECK;
/* Under the lock; `*ret_cache_bytes`: how much of the cache went.  One that is cut short leaves nothing half: the next goes on. */
int pgo_gc_sweep(struct pgo_on_target *o, const struct pgo_gc_rule *rule,
	const struct pgo_gc_plan *plan, uint64_t *ret_cache_bytes,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_gc_plan_fini(struct pgo_gc_plan *p);

#endif
