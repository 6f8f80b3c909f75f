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
 * ids) are summed; call targets are summed.  Every sum saturates at 2^64 - 1.
 *
 * Looking up a position or a call site is O(1): a short array is scanned, a longer one gets a small
 * hash table of its own.  pgo_fnprof_sort() moves positions, so pointers to them end there;
 * pointers to functions stay good until the profile is freed.
 */
#ifndef PGO_CONVERT_FNPROF_H
#define PGO_CONVERT_FNPROF_H

#include "pgo/core/arena.h"
#include "pgo/core/err.h"
#include "pgo/core/strtab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Inlined bodies nest at most this deep; compilers stay far below, hostile files would not. */
#define PGO_FN_DEPTH_MAX 512
/* Bytes of functions, positions and call sites a profile may use unless `arena.budget` is set. */
#define PGO_FNPROF_BUDGET ((size_t)16 << 30)

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

struct pgo_fn_index {    /* private: hash of positions or call sites, made when there are many */
	uint32_t *slots; /* index + 1; 0 = free */
	uint32_t n_slots;
};

struct pgo_fn {
	uint32_t name;       /* string: linkage name, else DW_AT_name */
	uint32_t file;       /* string: declaration file, "" if unknown */
	uint64_t total;      /* of this record and everything inlined into it, in the unit of
				whoever made the profile: LLVM's formats store it, GCC's do not (its
				reader gives the sum of the positions) */
	uint64_t head;       /* entries; top-level only */
	uint64_t first_seen; /* GCC v3 time stamp; 0 = unknown */
	struct pgo_fn_pos *pos;
	struct pgo_fn_call *calls;
	uint32_t n_pos, pos_room, n_calls, calls_room;
	struct pgo_fn_index pos_index, calls_index;
	uint32_t next_pos, next_call; /* private: where the last look-up ended; profiles of one
					 program list their records in much the same order */
	uint64_t checksum;            /* of the control-flow graph, in probe-based profiles */
	uint32_t attributes; /* LLVM's marks of a context: 1 was inlined, 2 should be, 4 copied */
	uint16_t depth;      /* 0 = top level */
	bool has_checksum;
};

struct pgo_fnprof {
	struct pgo_strtab strs;
	struct pgo_arena arena; /* every pgo_fn and array */
	struct pgo_fn **fns;    /* top level */
	size_t n_fns, fns_room;
	struct pgo_map by_name; /* top-level index by name and file */
	uint32_t *cold; /* profile symbol list: functions known to exist, never sampled (strings,
			   sorted by text when written) */
	size_t n_cold, cold_room;
	bool fs_discriminators; /* discriminators are LLVM's flow-sensitive ones, stored whole */
	/* Contexts are kept as their bracketed text, "[main:3 @ foo:1.2 @ bar]", in the function's
	 * name. */
	bool context_sensitive;
	bool unique_suffixes; /* names carry the ".__uniq.NUMBER" of -funique-internal-linkage-names
			       */
	bool md5_names;       /* names are the decimal value of their hash */
	bool partial;         /* LLVM's "partial profile" and "pre-inlined" marks */
	bool preinlined;
};

struct pgo_fnprof *pgo_fnprof_new(struct pgo_err *err);
/* NULL is fine. */
void pgo_fnprof_free(struct pgo_fnprof *p);
/* The top-level record of that name, made if new; NULL = out of memory. */
struct pgo_fn *pgo_fnprof_fn(struct pgo_fnprof *p, uint32_t name);
/*
 * The same for one of several functions of that name: same-named statics of different files.
 * pgo_fnprof_fn(p, name) is the one whose file is not known (id 0).  Only GCC 16 can keep them
 * apart; the rules of all other consumers (convert/format.h) add them up.
 */
struct pgo_fn *pgo_fnprof_fn_of_file(struct pgo_fnprof *p, uint32_t name, uint32_t file);
/* The first record of that name in the order of making (after a sort: in sorted order), or NULL. */
struct pgo_fn *pgo_fnprof_find(const struct pgo_fnprof *p, const char *name);
/* Adds a name to the symbol list; 0 or PGO_ENOMEM.  Repeats are removed when written. */
int pgo_fnprof_add_cold(struct pgo_fnprof *p, uint32_t name);

/*
 * The inlined record at (line, disc) for callee `name`, made if new.  NULL = out of memory, or
 * deeper than PGO_FN_DEPTH_MAX.
 */
struct pgo_fn *pgo_fn_inlined(
	struct pgo_fnprof *p, struct pgo_fn *f, uint32_t line, uint32_t disc, uint32_t name);
/* The inlined record if there is one, else NULL. */
struct pgo_fn *pgo_fn_inlined_find(
	const struct pgo_fn *f, uint32_t line, uint32_t disc, uint32_t name);
/* The position, made with count 0 if new; NULL = out of memory.  Valid until the next call on the
 * same function. */
struct pgo_fn_pos *pgo_fn_position(
	struct pgo_fnprof *p, struct pgo_fn *f, uint32_t line, uint32_t disc);
/* The position if there is one, else NULL. */
const struct pgo_fn_pos *pgo_fn_position_find(const struct pgo_fn *f, uint32_t line, uint32_t disc);
/* These three: 0 or PGO_ENOMEM. */
int pgo_fn_pos_max(
	struct pgo_fnprof *p, struct pgo_fn *f, uint32_t line, uint32_t disc, uint64_t count);
int pgo_fn_pos_add(
	struct pgo_fnprof *p, struct pgo_fn *f, uint32_t line, uint32_t disc, uint64_t count);
int pgo_fn_target_add(struct pgo_fnprof *p, struct pgo_fn *f, uint32_t line, uint32_t disc,
	uint32_t callee, uint64_t count);
/* Adds `n` targets (borrowed) to a position; repeats add up. */
int pgo_fn_targets_add(
	struct pgo_fnprof *p, struct pgo_fn_pos *x, const struct pgo_fn_target *t, uint32_t n);
/* Makes room for so many positions or call sites in all, for readers that know the number. */
int pgo_fn_reserve(struct pgo_fnprof *p, struct pgo_fn *f, uint32_t n_pos, uint32_t n_calls);

/*
 * Adds `from` (of profile q) x `weight` into `into` (of profile p), recursively: positions,
 * targets, heads, totals all sum (saturating).  p == q is fine if neither record holds the other.
 * 0 or PGO_ENOMEM.
 */
int pgo_fn_merge(struct pgo_fnprof *p, struct pgo_fn *into, const struct pgo_fnprof *q,
	const struct pgo_fn *from, uint64_t weight);
/* Adds all functions of `q`, by name and file, and its symbol list.  0 or PGO_ENOMEM. */
int pgo_fnprof_add(struct pgo_fnprof *p, const struct pgo_fnprof *q);
/* Sum of the record's position counts and those of everything inlined into it: GCC's total. */
uint64_t pgo_fn_position_sum(const struct pgo_fn *f);

/* Byte order of the texts; of hashes, order of the numbers. */
int pgo_fnprof_compare_names(const struct pgo_fnprof *p, uint32_t a, uint32_t b);
/* Frame by frame: name, line, discriminator; the shorter first. */
int pgo_fnprof_compare_contexts(const char *a, const char *b);
/* Sorts functions by (total descending, name, file), positions by (line, disc), calls by (line,
 * disc, callee name), targets by (count descending, name). */
void pgo_fnprof_sort(struct pgo_fnprof *p);
/* After `fns` was reordered by hand: makes lookups by name find them again. */
void pgo_fnprof_reindex(struct pgo_fnprof *p);
/* A deep copy; used before a format's own rules rewrite it. */
struct pgo_fnprof *pgo_fnprof_copy(const struct pgo_fnprof *p, struct pgo_err *err);
static inline const char *pgo_fnprof_str(const struct pgo_fnprof *p, uint32_t id)
{
	return pgo_strtab_get(&p->strs, id);
}

static inline uint64_t pgo_sat_add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static inline uint64_t pgo_sat_mul(uint64_t a, uint64_t b)
{
	uint64_t r;

	return __builtin_mul_overflow(a, b, &r) ? UINT64_MAX : r;
}

/*
 * The detailed summary both GCC v3 and LLVM store: sixteen cutoffs, parts per million.  It is made
 * of all position counts, inlined ones included: for each cutoff, the smallest of the largest
 * counts that together reach that share of the total, and how many they are.  In a
 * context-sensitive profile the contexts of one function are added up first, as LLVM does.
 */
#define PGO_SUMMARY_ROWS 16
struct pgo_summary {
	uint64_t total, max, max_head, n_counts, n_fns;
	struct {
		uint32_t cutoff;
		uint64_t min_count, n_counts;
	} rows[PGO_SUMMARY_ROWS];
};
/* Every position's count, nested ones included, largest first.  Gives `ret->v` (pgo_free); 0 or -1
 * (out of memory). */
struct pgo_counts {
	uint64_t *v;
	size_t n, room;
};
int pgo_fnprof_counts(const struct pgo_fnprof *p, struct pgo_counts *ret) PGO_MUST_CHECK;
int pgo_fnprof_summary(
	const struct pgo_fnprof *p, struct pgo_summary *ret, struct pgo_err *err) PGO_MUST_CHECK;

#endif
