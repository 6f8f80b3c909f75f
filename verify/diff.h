/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sides of attributed costs -> findings, overlap and totals of a verdict.  Arithmetic only.
 */
#ifndef PGO_VERIFY_DIFF_H
#define PGO_VERIFY_DIFF_H

#include "pgo/core/err.h"
#include "verify/costs.h"
#include "verify/verify.h"

/* `c` is sorted. Fills the figures of `v`; what cost is divided by is set by the caller. */
int pgo_diff(const struct pgo_costs *c, double min_share, struct pgo_verdict *v,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
