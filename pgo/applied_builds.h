/* SPDX-License-Identifier: Apache-2.0 */
/* `pgo verify` of two binaries without any profile from before or after: was a profile applied? */
#ifndef PGO_APPLIED_BUILDS_H
#define PGO_APPLIED_BUILDS_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "verify/applied.h"

/* `profile`: the converted profile that the build was given; NULL = functions count by size.  Fills *ret
 * (pgo_applied_fini). */
int pgo_applied_builds(const char *before, const char *after, const char *profile,
	const struct pgo_gate_limits *limits, struct pgo_applied *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
/* As text, or as a document {"schema": 1, "kind": "applied", "applied": {...}}. */
void pgo_applied_builds_print(const struct pgo_applied *a, bool json, struct pgo_buf *out);

#endif
