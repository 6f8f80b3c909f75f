/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/strata.h"

#include "pgo/core/alloc.h"
#include "pgo/core/map.h"

#include <stdlib.h>
#include <string.h>

#define HOUR_NS ((int64_t)3600 * 1000000000)
enum { HOURS = 168, THURSDAY = 3 * 24 }; /* 1970 began on one */

struct ranked {
	const struct pgo_sample_item *item;
	uint64_t hash;
	size_t in_stratum, in_host;
	unsigned hour;
};

unsigned pgo_hour_of_week(int64_t time_ns)
{
	int64_t hour = time_ns / HOUR_NS - (time_ns % HOUR_NS < 0);

	if (time_ns == 0)
		return HOURS;
	return (unsigned)(((hour + THURSDAY) % HOURS + HOURS) % HOURS);
}

static int cmp_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* The last word where all else is equal: names are unique within a source. */
static int cmp_hash(const struct ranked *x, const struct ranked *y)
{
	int c = cmp_u64(x->hash, y->hash);

	return c != 0 ? c : strcmp(x->item->name, y->item->name);
}

static int cmp_stratum(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	int c = strcmp(x->item->host, y->item->host);

	if (c == 0)
		c = (int)x->hour - (int)y->hour;
	if (c == 0)
		c = strcmp(x->item->build, y->item->build);
	return c != 0 ? c : cmp_hash(x, y);
}

static int cmp_in_host(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	int c = strcmp(x->item->host, y->item->host);

	if (c == 0)
		c = cmp_u64(x->in_stratum, y->in_stratum);
	return c != 0 ? c : cmp_hash(x, y);
}

static int cmp_turn(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	int c = cmp_u64(x->in_host, y->in_host);

	return c != 0 ? c : cmp_hash(x, y);
}

static bool same_host(const struct ranked *x, const struct ranked *y)
{
	return strcmp(x->item->host, y->item->host) == 0;
}

static bool same_stratum(const struct ranked *x, const struct ranked *y)
{
	return same_host(x, y) && x->hour == y->hour && strcmp(x->item->build, y->item->build) == 0;
}

int pgo_sample_order(
	const struct pgo_sample_item *items, size_t n, size_t *order, struct pgo_err *err)
{
	struct ranked *r = pgo_calloc(n, sizeof *r);

	if (r == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		r[i].item = &items[i];
		r[i].hour = pgo_hour_of_week(items[i].time_ns);
		r[i].hash = pgo_hash(items[i].name, strlen(items[i].name));
	}
	if (n > 1)
		qsort(r, n, sizeof *r, cmp_stratum);
	for (size_t i = 1; i < n; i++)
		r[i].in_stratum = same_stratum(&r[i - 1], &r[i]) ? r[i - 1].in_stratum + 1 : 0;
	if (n > 1)
		qsort(r, n, sizeof *r, cmp_in_host);
	for (size_t i = 1; i < n; i++)
		r[i].in_host = same_host(&r[i - 1], &r[i]) ? r[i - 1].in_host + 1 : 0;
	if (n > 1)
		qsort(r, n, sizeof *r, cmp_turn);
	for (size_t i = 0; i < n; i++)
		order[i] = (size_t)(r[i].item - items);
	pgo_free(r);
	return 0;
}
