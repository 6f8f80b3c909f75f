/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Costs of items in replicates: what attribution gives and statistics take, both sides together.
 *
 * An item is a source-level function, or what stands for code without one ("[libc.so.6]",
 * "[unknown]").  A replicate is one (input, host): a profile, or what one host did in a profile that
 * holds many hosts; its window is the profile's.  Rows are sparse: no row is a cost of 0.
 *
 * Everything adds up: of a replicate, total = rebuilt + elsewhere + unnamed = the sum of its rows.
 *
 * Order is that of contents, never of reading: items by (name, place), replicates by (side, arm, host,
 * start, end, input, ...), rows by (item, replicate).
 */
#ifndef PGO_VERIFY_COSTS_H
#define PGO_VERIFY_COSTS_H

#include "pgo/core/err.h"
#include "pgo/core/strtab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pgo_item_place {
	PGO_ITEM_REBUILT,   /* a function of the program that was rebuilt */
	PGO_ITEM_ELSEWHERE, /* a function of another file (library, kernel): may serve as control */
	PGO_ITEM_UNNAMED,   /* "[FILE]", "[unknown]": code without a known function */
};

struct pgo_cost_item {
	uint32_t name;   /* string */
	uint8_t place;   /* enum pgo_item_place */
	uint32_t first;  /* its rows are rows[first .. first + n_rows) */
	uint32_t n_rows; /* those of replicates before come first */
};

struct pgo_cost_rep {
	bool control;     /* of an arm that was not rebuilt, which shows what else changed */
	bool after;       /* which side */
	uint32_t host;    /* string; 0 = unknown */
	uint32_t input;   /* string: the file; 0 if several were put together (see `coarse`) */
	uint32_t build;   /* string: build-id of the program, 0 = unknown */
	uint32_t version; /* string: by the manifest, 0 = unknown */
	int64_t start_ns, end_ns; /* since 1970; 0 = unknown; end = start without a duration */
	double work; /* units of work; < 0 until somebody knows (a label of the profile, or statistics) */
	double total;                       /* cost */
	double rebuilt, elsewhere, unnamed; /* of which, by place of the item */
	uint64_t samples;
};

struct pgo_cost {
	uint32_t item, rep; /* indices */
	int64_t value;
	uint64_t samples; /* times seen, by the profile's count column where it has one */
};

struct pgo_costs {
	struct pgo_strtab strs;
	struct pgo_cost_item *items;
	struct pgo_cost_rep *reps; /* before: [0 .. n_before), after: [n_before .. n_reps) */
	struct pgo_cost *rows;
	size_t n_items, items_room, n_reps, reps_room, n_before, n_rows, rows_room;
	char *unit; /* "cpu/nanoseconds": of all values */
	bool coarse; /* there were so many rows that windows of one host, build and day are one replicate */
};

/* 0 or PGO_ENOMEM. */
int pgo_costs_init(struct pgo_costs *c, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_costs_fini(struct pgo_costs *c);
static inline const char *pgo_costs_str(const struct pgo_costs *c, uint32_t id)
{
	return pgo_strtab_get(&c->strs, id);
}
/* The item of that name (UINT32_MAX: there is none); after pgo_costs_sort(). */
uint32_t pgo_costs_find_item(
	const struct pgo_costs *c, const char *name, enum pgo_item_place place);
/* The UTC day of a replicate, days since 1970; INT64_MIN if its time is unknown. */
int64_t pgo_cost_rep_day(const struct pgo_cost_rep *r);

/*
 * For who fills one (attribution, simulators): items and replicates in any order, rows with indices
 * of both in any order and several for one pair; then pgo_costs_sort() puts everything in order,
 * sums rows up, and fills totals, shares by place and samples of the replicates.  -1: out of memory.
 */
uint32_t pgo_costs_add_item(struct pgo_costs *c, const char *name, enum pgo_item_place place);
uint32_t pgo_costs_add_rep(struct pgo_costs *c, const struct pgo_cost_rep *r);
int pgo_costs_add(
	struct pgo_costs *c, uint32_t item, uint32_t rep, int64_t value, uint64_t samples);
/* PGO_ELIMIT if the values of one pair add up to more than 2^63. */
int pgo_costs_sort(struct pgo_costs *c, struct pgo_err *err) PGO_MUST_CHECK;

/* Is this one of the names in brackets, which stand for no function? */
static inline bool pgo_name_is_pseudo(const char *name)
{
	return name[0] == '[';
}

#endif
