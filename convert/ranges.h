/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The address-level profile of one binary, summed up: traces, or plain instruction samples.
 *
 * A trace is (source, target, end): a branch taken from `source` to `target`, then straight
 * execution up to and including the instruction at `end`.  Any of the three may be a stand-in
 * instead of an ELF virtual address.  From the sorted traces come the two tables that everything
 * else is made of: branches (source, target) and fall-through ranges [target, end].
 */
#ifndef PGO_CONVERT_RANGES_H
#define PGO_CONVERT_RANGES_H

#include "pgo/core/err.h"
#include "pgo/core/map.h"

#include <stdbool.h>
#include <stdint.h>

/* Stand-ins; they sort behind every real address. */
#define PGO_AT_OUTSIDE_RETURN (UINT64_MAX - 2) /* a return in code outside the binary */
#define PGO_AT_OUTSIDE (UINT64_MAX - 1)        /* code outside the binary */
#define PGO_AT_NONE UINT64_MAX                 /* not recorded: there is no branch, or no range */
static inline bool pgo_at_inside(uint64_t addr)
{
	return addr < PGO_AT_OUTSIDE_RETURN;
}

/* Ranges longer than this are recording errors: no straight run of instructions is. */
#define PGO_RANGE_MAX ((uint64_t)1 << 20)

struct pgo_trace {
	uint64_t source, target, end; /* the key */
	uint64_t count, mispreds;
	uint64_t executions; /* what the profile's estimate of executions says, if it has one */
	uint64_t records;    /* the count as it was added, whatever `count` becomes: for accounts */
};

struct pgo_ip { /* plain samples at one instruction */
	uint64_t addr;
	uint64_t count;
};

struct pgo_ranges {
	struct pgo_trace *traces;
	struct pgo_ip *ips;
	size_t n_traces, traces_room, n_ips, ips_room;
	struct pgo_map trace_map, ip_map;
};

void pgo_ranges_init(struct pgo_ranges *r);
void pgo_ranges_fini(struct pgo_ranges *r);
/* Both sum into an equal key, saturating; 0 or -1 (out of memory). */
int pgo_ranges_add(struct pgo_ranges *r, const struct pgo_trace *t);
int pgo_ranges_add_ip(struct pgo_ranges *r, uint64_t addr, uint64_t count);
/*
 * Sorts traces by (target, end, source) and samples by address, and drops the hash tables: nothing
 * can be added after it.  If `executions` is set, every trace's count becomes its executions, its
 * mispredictions in proportion, and traces left with a count of 0 go.  What was recorded stays in
 * `records`.
 */
void pgo_ranges_sort(struct pgo_ranges *r, bool executions);

static inline uint64_t pgo_add_sat(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

#endif
