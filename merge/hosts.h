/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many hosts ran a function, exactly up to a limit, in memory that grows with the functions and
 * not with the fleet: of each function the first `limit` different hosts are kept.
 *
 * A function is its linkage name, or its name if it has none.  A host is the label `host` of the
 * sample, else what is known of the input; samples of unknown hosts count for no host.
 */
#ifndef PGO_MERGE_HOSTS_H
#define PGO_MERGE_HOSTS_H

#include "pgo/core/err.h"
#include "pgo/core/profile.h"

#define PGO_HOSTS_MAX 64

struct pgo_hosts;
/* `limit`: 1 to PGO_HOSTS_MAX. */
struct pgo_hosts *pgo_hosts_new(unsigned limit, struct pgo_err *err);
void pgo_hosts_free(struct pgo_hosts *h);
/* Gives a reader over `base` (which it borrows, and which outlives it) with the same samples, that
 * notes who ran what as they are drawn.  `host` (may be NULL) is copied. */
struct pgo_reader *pgo_hosts_watch(
	struct pgo_hosts *h, struct pgo_reader *base, const char *host, struct pgo_err *err);
int pgo_hosts_join(
	struct pgo_hosts *to, const struct pgo_hosts *from, struct pgo_err *err) PGO_MUST_CHECK;
/* Hosts that ran the function, at most the limit. */
unsigned pgo_hosts_of(const struct pgo_hosts *h, const char *function);
unsigned pgo_hosts_limit(const struct pgo_hosts *h);
/* The name that a function counts under. */
const char *pgo_hosts_function(const struct pgo_profile *p, const struct pgo_function *f);

#endif
