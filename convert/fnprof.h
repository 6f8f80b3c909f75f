/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source-level profile: function -> position -> count, call targets, inlined callees.  What
 * every sample-profile format stores.
 *
 * A struct pgo_fnprof owns everything in it.  Top-level functions stand for machine-code functions
 * (by the name the compiler will look up); an inlined body hangs under its caller at the call
 * site's position.  A position is (line offset from the function's declaration, modulo 2^16; base
 * discriminator).
 *
 * Count rules of building (pgo_fn_pos_max ...): within one binary a position's count is the largest
 * of its instructions' counts, after multiplication by the duplication factor; copies (GCC 16 copy
 * ids) are summed; call targets are summed.
 */
#ifndef PGO_CONVERT_FNPROF_H
#define PGO_CONVERT_FNPROF_H

#include "pgo/core/arena.h"
#include "pgo/core/err.h"
#include "pgo/core/strtab.h"

#include <stdbool.h>
#include <stdint.h>

struct pgo_fn_target {
	uint32_t name; /* string */
	uint64_t count;
};

struct pgo_fn_pos {
	uint32_t line; /* offset, 0..65535 */
	uint32_t disc;
	uint64_t count;
	struct pgo_fn_target *targets; /* after pgo_fnprof_sort: count descending, then name */
	uint32_t n_targets, targets_room;
};

struct pgo_fn;

struct pgo_fn_call { /* an inlined call site */
	uint32_t line, disc;
	struct pgo_fn *callee;
};

struct pgo_fn {
	uint32_t name;       /* string: linkage name, else DW_AT_name */
	uint32_t file;       /* string: declaration file, "" if unknown */
	uint64_t total;      /* of this record and everything inlined into it; unit: see
				pgo_fnprof.total_rule */
	uint64_t head;       /* entries; top-level only */
	uint64_t first_seen; /* GCC v3 time stamp; 0 = unknown */
	struct pgo_fn_pos *pos;
	struct pgo_fn_call *calls;
	uint32_t n_pos, pos_room, n_calls, calls_room;
	uint64_t checksum;
	uint32_t attributes;
	bool has_probe; /* read from probe-based profiles, kept for rewriting */
};

struct pgo_fnprof {
	struct pgo_strtab strs;
	struct pgo_arena arena; /* every pgo_fn and array */
	struct pgo_fn **fns;    /* top level */
	size_t n_fns, fns_room;
	struct pgo_map by_name; /* top-level index by name id */
	uint32_t *cold; /* profile symbol list: functions known to exist, never sampled (strings,
			   sorted by text when written) */
	size_t n_cold, cold_room;
	bool fs_discriminators, context_sensitive, unique_suffixes, md5_names;
	/* Contexts of CS profiles keep their bracketed text as the function's name. */
};

struct pgo_fnprof *pgo_fnprof_new(struct pgo_err *err);
void pgo_fnprof_free(struct pgo_fnprof *p);
/* The top-level record of that name, made if new; NULL = out of memory. */
struct pgo_fn *pgo_fnprof_fn(struct pgo_fnprof *p, uint32_t name);
struct pgo_fn *pgo_fnprof_find(const struct pgo_fnprof *p, const char *name);
/* The inlined record at (line, disc) for callee `name`, made if new. */
struct pgo_fn *pgo_fn_inlined(
	struct pgo_fnprof *p, struct pgo_fn *f, uint32_t line, uint32_t disc, uint32_t name);
/* The position, made with count 0 if new. Valid until the next call on the same function. */
struct pgo_fn_pos *pgo_fn_position(
	struct pgo_fnprof *p, struct pgo_fn *f, uint32_t line, uint32_t disc);
int pgo_fn_pos_max(
	struct pgo_fnprof *p, struct pgo_fn *f, uint32_t line, uint32_t disc, uint64_t count);
int pgo_fn_pos_add(
	struct pgo_fnprof *p, struct pgo_fn *f, uint32_t line, uint32_t disc, uint64_t count);
int pgo_fn_target_add(struct pgo_fnprof *p, struct pgo_fn *f, uint32_t line, uint32_t disc,
	uint32_t callee, uint64_t count);
/* Adds `from` (of profile q) x `weight` into `into` (of profile p), recursively: positions,
 * targets, heads, totals all sum (saturating). */
int pgo_fn_merge(struct pgo_fnprof *p, struct pgo_fn *into, const struct pgo_fnprof *q,
	const struct pgo_fn *from, uint64_t weight);
/* Sorts functions by (total descending, name), positions by (line, disc), calls by (line, disc,
 * callee name), targets by (count descending, name). */
void pgo_fnprof_sort(struct pgo_fnprof *p);
/* A deep copy; used before a format's own rules rewrite it. */
struct pgo_fnprof *pgo_fnprof_copy(const struct pgo_fnprof *p, struct pgo_err *err);
static inline const char *pgo_fnprof_str(const struct pgo_fnprof *p, uint32_t id)
{
	return pgo_strtab_get(&p->strs, id);
}

/* The detailed summary both GCC v3 and LLVM store: sixteen cutoffs, parts per million. */
#define PGO_SUMMARY_ROWS 16
struct pgo_summary {
	uint64_t total, max, max_head, n_counts, n_fns;
	struct {
		uint32_t cutoff;
		uint64_t min_count, n_counts;
	} rows[PGO_SUMMARY_ROWS];
};
int pgo_fnprof_summary(
	const struct pgo_fnprof *p, struct pgo_summary *ret, struct pgo_err *err) PGO_MUST_CHECK;

#endif
