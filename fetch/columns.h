/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile of several columns from a store that gives one column at a time.
 *
 * Grafana Pyroscope and Parca answer a query with one sample type; a profile of branch records is
 * five or six of them.  Here they are joined by stack: two samples are one if their locations
 * (mapping, address, lines) and labels are equal, whatever ids and order they have in their
 * replies.  A stack that a column lacks has 0 there; equal stacks within a column add up, exactly.
 * The result is ordered by its content alone, so that the same samples are the same bytes however a
 * store happened to order them.
 *
 * What stores do to profiles is undone on the way:
 *	- a build-id that is wrapped as {"build_id": "...", ...} is taken out of it;
 *	- the mapping 0-0 without a name that stands for "none" is none again.
 * The mapping of most samples that is no shared library comes first (readers take the first one
 * for the program).
 *
 *	struct pgo_columns *c = pgo_columns_new(&err);
 *	rc = pgo_columns_add(c, "lbr_traces", "count", reader, &err);    // for each, in any order
 *	rc = pgo_columns_write(c, &header, "to/path", &err);
 *	pgo_columns_free(c);
 */
#ifndef PGO_FETCH_COLUMNS_H
#define PGO_FETCH_COLUMNS_H

#include "pgo/core/err.h"
#include "pgo/core/manifest.h"
#include "pgo/core/profile.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the result says of itself; strings and labels are borrowed, NULL is "". */
struct pgo_columns_header {
	int64_t time_ns, duration_ns;
	const char *period_type, *period_unit;
	/* 0 = what the columns tell: the sum of the column of the period's type and unit over the
	 * sum of samples/count, rounded; unknown (0) without those two. */
	int64_t period;
	const struct pgo_kv *labels; /* of every sample, before those it has */
	size_t n_labels;
};

struct pgo_columns;
/* NULL when out of memory. */
struct pgo_columns *pgo_columns_new(struct pgo_err *err);
void pgo_columns_free(struct pgo_columns *c);

/*
 * Reads `r` (borrowed) to its end: a profile of one sample type, whatever it is called, as the
 * column `type`/`unit`; the same column again adds to it.  `r` NULL is a column of zeros.
 */
int pgo_columns_add(struct pgo_columns *c, const char *type, const char *unit, struct pgo_reader *r,
	struct pgo_err *err) PGO_MUST_CHECK;
/* The same for a column whose values a store multiplied by `factor`: PGO_EFORMAT if they are no
 * multiples of it. */
int pgo_columns_add_divided(struct pgo_columns *c, const char *type, const char *unit,
	struct pgo_reader *r, int64_t factor, struct pgo_err *err) PGO_MUST_CHECK;
/* The sum of all values so far of a column; 0 if it is not there. */
int64_t pgo_columns_total(const struct pgo_columns *c, const char *type, const char *unit);
/* No sample so far. */
bool pgo_columns_is_empty(const struct pgo_columns *c);
/* Writes an ordinary gzipped pprof; `c` can only be freed then.  PGO_EEMPTY without samples. */
int pgo_columns_write(struct pgo_columns *c, const struct pgo_columns_header *h, const char *path,
	struct pgo_err *err) PGO_MUST_CHECK;

/* The order of columns: samples, others by name, then branch records in the order of pgo-lbr(7). */
int pgo_columns_order(const char *a, const char *b);

#endif
