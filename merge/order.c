/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/order.h"

#include "pgo/core/alloc.h"

#include <stdlib.h>
#include <string.h>

#define DIGIT 11
#define BUCKETS (1u << DIGIT)
#define PASSES ((64 + DIGIT - 1) / DIGIT)

static void radix(struct pgo_order *a, struct pgo_order *tmp, size_t n, size_t (*count)[BUCKETS])
{
	struct pgo_order *from = a, *to = tmp;

	for (size_t i = 0; i < n; i++)
		for (int p = 0; p < PASSES; p++)
			count[p][a[i].key >> (p * DIGIT) & (BUCKETS - 1)]++;
	for (int p = 0; p < PASSES; p++) {
		size_t *c = count[p];
		size_t sum = 0;

		/* A digit that is the same everywhere needs no pass. */
		if (c[from[0].key >> (p * DIGIT) & (BUCKETS - 1)] == n)
			continue;
		for (unsigned b = 0; b < BUCKETS; b++) {
			size_t here = c[b];

			c[b] = sum;
			sum += here;
		}
		for (size_t i = 0; i < n; i++)
			to[c[from[i].key >> (p * DIGIT) & (BUCKETS - 1)]++] = from[i];
		struct pgo_order *swap = from;

		from = to;
		to = swap;
	}
	if (from != a)
		memcpy(a, from, n * sizeof *a);
}

struct cmp_ctx {
	pgo_order_cmp *cmp;
	const void *ctx;
};

static int cmp_run(const void *pa, const void *pb, void *pctx)
{
	const struct pgo_order *a = pa, *b = pb;
	const struct cmp_ctx *c = pctx;

	return c->cmp(c->ctx, a->index, b->index);
}

int pgo_order_sort(struct pgo_order *a, size_t n, pgo_order_cmp *cmp, const void *ctx)
{
	struct cmp_ctx c = {cmp, ctx};
	size_t(*count)[BUCKETS];
	struct pgo_order *tmp;

	if (n < 2)
		return 0;
	tmp = pgo_realloc_array(NULL, n, sizeof *tmp);
	count = pgo_calloc(PASSES, sizeof *count);
	if (tmp == NULL || count == NULL) {
		pgo_free(tmp);
		pgo_free(count);
		return -1;
	}
	radix(a, tmp, n, count);
	pgo_free(tmp);
	pgo_free(count);
	for (size_t i = 0, end; cmp != NULL && i < n; i = end) {
		for (end = i + 1; end < n && a[end].key == a[i].key; end++)
			;
		if (end - i > 1)
			qsort_r(a + i, end - i, sizeof *a, cmp_run, &c);
	}
	return 0;
}
