/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What there was and what of it was taken: hosts and days, hours of the week, builds, and the gaps
 * between them.  Days and hours are those of UTC.
 */
#ifndef PGO_FETCH_COVERAGE_H
#define PGO_FETCH_COVERAGE_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"
#include "pgo/core/map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PGO_COVERAGE_HOURS 168
#define PGO_COVERAGE_DAYS 4000 /* of gaps that are looked for: the last ones */

struct pgo_coverage_of { /* a host or a build */
	char *name;      /* "" = unknown */
	uint64_t there, taken;
};

struct pgo_coverage {
	int64_t since_ns, until_ns; /* as asked for; 0 = open */
	uint64_t there, taken;      /* profiles that may be meant, and those that are stored */
	uint64_t without_time;
	struct pgo_coverage_of *hosts, *builds; /* by name, after pgo_coverage_close() */
	size_t n_hosts, hosts_room, n_builds, builds_room;
	uint64_t hour_there[PGO_COVERAGE_HOURS], hour_taken[PGO_COVERAGE_HOURS];
	/* Days that a host has, taken or not: (host << 32 | day since 1970), sorted and unique once
	 * closed. */
	uint64_t *days;
	size_t n_days, days_room;
	struct pgo_map by_host, by_build;
	int64_t first_day, last_day; /* that are reported about, once closed */
};

/* From zeroed memory; the rest is freed by pgo_coverage_fini(). */
int pgo_coverage_add(struct pgo_coverage *c, const char *host, const char *build, int64_t time_ns,
	bool taken, struct pgo_err *err) PGO_MUST_CHECK;
/* Sorts; nothing is added any more. */
int pgo_coverage_close(struct pgo_coverage *c, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_coverage_fini(struct pgo_coverage *c);

/* Two lines, and `more` of the gaps: at most so many lines each of hosts, hours, builds. */
void pgo_coverage_text(const struct pgo_coverage *c, size_t more, struct pgo_buf *out);
/* The members of an object that is open. */
void pgo_coverage_json(const struct pgo_coverage *c, struct pgo_json *j);

#endif
