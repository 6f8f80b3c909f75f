/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sides of attributed costs -> findings, overlap and totals of a verdict.  Arithmetic only.
 */
#ifndef PGO_VERIFY_DIFF_H
#define PGO_VERIFY_DIFF_H

#include "pgo/core/err.h"
#include "verify/attrib.h"
#include "verify/verify.h"

/* Both sides are finished with the same string table. Fills the figures of `v`; `same_work` is set
 * by the caller. */
int pgo_diff(const struct pgo_attrib *before, const struct pgo_attrib *after,
	const struct pgo_strtab *strs, double min_share, struct pgo_verdict *v,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
