/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorting many things by content, fast: a radix sort over a 64-bit key that is monotone in the
 * wanted order (equal keys for things it cannot tell apart), then a comparison within runs of equal
 * keys.
 */
#ifndef PGO_MERGE_ORDER_H
#define PGO_MERGE_ORDER_H

#include <stddef.h>
#include <stdint.h>

struct pgo_order {
	uint64_t key;
	uint32_t index;
	uint32_t zero;
};

/* Compares two indices; never 0 for different things, or the result would not be one order. */
typedef int pgo_order_cmp(const void *ctx, uint32_t a, uint32_t b);

/* Sorts by (key, cmp); without `cmp`, by key and stable. 0, or -1 when out of memory. */
int pgo_order_sort(struct pgo_order *a, size_t n, pgo_order_cmp *cmp, const void *ctx);

#endif
