/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Units of time and of memory, as profiles name them: "nanoseconds", "ms", "kB".  Names are those of
 * `go tool pprof`: upper and lower case are one, a plural is its singular, a kilobyte has 1024 bytes.
 */
#ifndef PGO_MERGE_UNITS_H
#define PGO_MERGE_UNITS_H

#include <stdbool.h>
#include <stdint.h>

enum pgo_dimension { PGO_DIM_TIME = 1, PGO_DIM_MEMORY };

struct pgo_unit {
	enum pgo_dimension dimension;
	uint64_t factor; /* nanoseconds, or bytes; each divides the next larger of its dimension */
};

/* False for a unit of another kind, "count" for instance: that is only itself. */
bool pgo_unit_find(const char *name, struct pgo_unit *ret);

#endif
