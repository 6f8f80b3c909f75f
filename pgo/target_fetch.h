/* SPDX-License-Identifier: Apache-2.0 */
/* The profiles of one target of the configuration: fetched as its words say. */
#ifndef PGO_TARGET_FETCH_H
#define PGO_TARGET_FETCH_H

#include "fetch/fetch.h"
#include "pgo/conf.h"
#include "pgo/core/err.h"
#include "pgo/core/manifest.h"

/* What is new of the window (ns since 1970; 0 = open) into `raw`; `ret` is all that is there then
 * (pgo_manifest_fini). */
int pgo_target_fetch(const struct pgo_target *t, const char *raw, int64_t since_ns,
	int64_t until_ns, struct pgo_fetch_stats *stats, struct pgo_manifest *ret,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
