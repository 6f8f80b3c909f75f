/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of watch.h only. */
#ifndef PGO_WATCH_IMPL_H
#define PGO_WATCH_IMPL_H

#include "pgo/metrics.h"
#include "pgo/watch.h"
#include "verify/gates.h"

#include <stdbool.h>
#include <stddef.h>

#define PGO_WATCH_STAGES 12

/* What one target's run has shown. */
struct pgo_watch_run {
	const char *target; /* borrowed */
	int64_t start_ns, stage_ns;
	const char *stage; /* the present one; NULL = none */
	struct {
		const char *name;
		double seconds;
	} stages[PGO_WATCH_STAGES];
	size_t n_stages;
	double seconds;
	uint64_t listed, fetched, bytes, seq_before;
	int exit;
	bool ended;
};

/* All that is known of one target: its state, and its run if there was one (else NULL). */
int pgo_watch_measure(struct pgo_metrics *m, const struct pgo_conf *c, const char *target,
	const struct pgo_watch_run *run, struct pgo_err *err) PGO_MUST_CHECK;
/* Appends the gates of a result, wherever it is; none if it has none. */
int pgo_watch_gates_of(const struct pgo_conf *c, const char *target, const char *id,
	struct pgo_gates *ret, struct pgo_err *err) PGO_MUST_CHECK;

#endif
