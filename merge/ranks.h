/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of everything in a result: every element of the tables ranked by its content, never by
 * its id, which depends on the order of the inputs.  Strings first, then what names them, so that
 * each comparison is one of integers.  Internal to merge.
 */
#ifndef PGO_MERGE_RANKS_H
#define PGO_MERGE_RANKS_H

#include "merge/order.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgo_merge;
struct pgo_mt_mapping;

struct pgo_mt_ranks {
	struct pgo_merge *m;
	/* x_rank[id] is the rank of an element, x_at[rank] its id. */
	uint32_t *str_rank;
	uint32_t *mapping_rank, *mapping_at; /* the main binary first */
	uint32_t *function_rank, *function_at;
	uint32_t *location_rank, *location_at;
	uint32_t *labels_rank, *labels_at;
	uint32_t *stack_at;
	uint64_t *addr;          /* per location: as the result has it */
	struct pgo_order *order; /* scratch */
	size_t order_room;
};

/* Fills *f, whose `m` is set; the locations of stacks are ranks from then on.  0, or -1 when out of
 * memory. */
int pgo_mt_rank_all(struct pgo_mt_ranks *f);
void pgo_mt_ranks_fini(struct pgo_mt_ranks *f);
/* The order of stacks, given as ranks of locations: by frames, depth and label set; and a number
 * that is monotone in it. */
int pgo_mt_row_cmp(const uint32_t *a, uint32_t n_a, uint32_t labels_a, const uint32_t *b,
	uint32_t n_b, uint32_t labels_b);
uint64_t pgo_mt_row_key(const uint32_t *loc, uint32_t n_loc);
bool pgo_mt_is_main(const struct pgo_merge *m, const struct pgo_mt_mapping *map);

#endif
