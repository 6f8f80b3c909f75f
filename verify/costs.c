/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/costs.h"

#include "pgo/core/vec.h"

#include <stdlib.h>

#define NAMES_BUDGET ((size_t)1 << 30)
#define NS_A_DAY ((int64_t)86400 * 1000000000)

int pgo_costs_init(struct pgo_costs *c, struct pgo_err *err)
{
	memset(c, 0, sizeof *c);
	return pgo_strtab_init(&c->strs, NAMES_BUDGET) < 0 ? pgo_err_nomem(err) : 0;
}

void pgo_costs_fini(struct pgo_costs *c)
{
	pgo_strtab_fini(&c->strs);
	pgo_free(c->items);
	pgo_free(c->reps);
	pgo_free(c->rows);
	pgo_free(c->unit);
	memset(c, 0, sizeof *c);
}

int64_t pgo_cost_rep_day(const struct pgo_cost_rep *r)
{
	if (r->start_ns == 0)
		return INT64_MIN;
	return r->start_ns / NS_A_DAY - (r->start_ns % NS_A_DAY < 0);
}

uint32_t pgo_costs_add_item(struct pgo_costs *c, const char *name, enum pgo_item_place place)
{
	uint32_t id = pgo_strtab_puts(&c->strs, name);
	struct pgo_cost_item *item = NULL;

	if (id != PGO_STR_NONE && c->n_items < UINT32_MAX)
		item = PGO_VEC_PUSH(c->items, c->n_items, c->items_room);
	if (item == NULL)
		return UINT32_MAX;
	item->name = id;
	item->place = (uint8_t)place;
	return (uint32_t)(c->n_items - 1);
}

uint32_t pgo_costs_add_rep(struct pgo_costs *c, const struct pgo_cost_rep *r)
{
	struct pgo_cost_rep *rep =
		c->n_reps < UINT32_MAX ? PGO_VEC_PUSH(c->reps, c->n_reps, c->reps_room) : NULL;

	if (rep == NULL)
		return UINT32_MAX;
	*rep = *r;
	return (uint32_t)(c->n_reps - 1);
}

int pgo_costs_add(struct pgo_costs *c, uint32_t item, uint32_t rep, int64_t value, uint64_t samples)
{
	struct pgo_cost *row = PGO_VEC_PUSH(c->rows, c->n_rows, c->rows_room);

	if (row == NULL)
		return -1;
	*row = (struct pgo_cost){item, rep, value, samples};
	return 0;
}

uint32_t pgo_costs_find_item(const struct pgo_costs *c, const char *name, enum pgo_item_place place)
{
	size_t lo = 0, hi = c->n_items;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct pgo_cost_item *item = &c->items[mid];
		int d = strcmp(pgo_costs_str(c, item->name), name);

		d = d != 0 ? d : (int)item->place - (int)place;
		if (d == 0)
			return (uint32_t)mid;
		if (d < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return UINT32_MAX;
}

/* ---- order */

static int by_text(const struct pgo_costs *c, uint32_t a, uint32_t b)
{
	return a == b ? 0 : strcmp(pgo_costs_str(c, a), pgo_costs_str(c, b));
}

static int by_number(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int by_item(const void *pa, const void *pb, void *ctx)
{
	const struct pgo_costs *c = ctx;
	const struct pgo_cost_item *a = &c->items[*(const uint32_t *)pa];
	const struct pgo_cost_item *b = &c->items[*(const uint32_t *)pb];
	int d = by_text(c, a->name, b->name);

	return d != 0 ? d : (int)a->place - (int)b->place;
}

static int by_rep(const void *pa, const void *pb, void *ctx)
{
	const struct pgo_costs *c = ctx;
	uint32_t ia = *(const uint32_t *)pa, ib = *(const uint32_t *)pb;
	const struct pgo_cost_rep *a = &c->reps[ia], *b = &c->reps[ib];
	int d = (int)a->after - (int)b->after;

	d = d != 0 ? d : (int)a->control - (int)b->control;
	d = d != 0 ? d : by_text(c, a->host, b->host);
	d = d != 0 ? d : by_number(a->start_ns, b->start_ns);
	d = d != 0 ? d : by_number(a->end_ns, b->end_ns);
	d = d != 0 ? d : by_text(c, a->input, b->input);
	d = d != 0 ? d : by_text(c, a->build, b->build);
	d = d != 0 ? d : by_text(c, a->version, b->version);
	d = d != 0 ? d : (a->total > b->total) - (a->total < b->total);
	return d != 0 ? d : by_number((int64_t)a->samples, (int64_t)b->samples);
}

/* Indices 0..n-1 sorted by `cmp`, and new_of[old] = new, one number for elements that are the same
 * if `join`. NULL: out of memory. */
static uint32_t *order_of(struct pgo_costs *c, size_t n,
	int (*cmp)(const void *, const void *, void *), bool join, uint32_t **ret_new_of)
{
	uint32_t *order = pgo_malloc((n + 1) * sizeof *order);
	uint32_t *new_of = pgo_malloc((n + 1) * sizeof *new_of);
	uint32_t at = 0;

	if (order == NULL || new_of == NULL) {
		pgo_free(order);
		pgo_free(new_of);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, n, sizeof *order, cmp, c);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && (!join || cmp(&order[i - 1], &order[i], c) != 0))
			at++;
		new_of[order[i]] = at;
	}
	*ret_new_of = new_of;
	return order;
}

static int sort_items(struct pgo_costs *c)
{
	uint32_t *new_of, *order = order_of(c, c->n_items, by_item, true, &new_of);
	struct pgo_cost_item *sorted = pgo_calloc(c->n_items + 1, sizeof *sorted);
	size_t n = 0;

	if (order != NULL && sorted != NULL) {
		for (size_t i = 0; i < c->n_items; i++) {
			sorted[new_of[order[i]]] = c->items[order[i]];
			n = new_of[order[i]] + 1;
		}
		for (size_t i = 0; i < c->n_rows; i++)
			c->rows[i].item = new_of[c->rows[i].item];
		pgo_free(c->items);
		c->items = sorted;
		c->items_room = c->n_items + 1;
		c->n_items = n;
		sorted = NULL;
	}
	n = order == NULL || sorted != NULL;
	if (order != NULL)
		pgo_free(new_of);
	pgo_free(order);
	pgo_free(sorted);
	return n != 0 ? -1 : 0;
}

static int sort_reps(struct pgo_costs *c)
{
	uint32_t *new_of, *order = order_of(c, c->n_reps, by_rep, false, &new_of);
	struct pgo_cost_rep *sorted = pgo_calloc(c->n_reps + 1, sizeof *sorted);
	int rc = -1;

	if (order != NULL && sorted != NULL) {
		c->n_before = 0;
		for (size_t i = 0; i < c->n_reps; i++) {
			sorted[i] = c->reps[order[i]];
			c->n_before += !sorted[i].after;
		}
		for (size_t i = 0; i < c->n_rows; i++)
			c->rows[i].rep = new_of[c->rows[i].rep];
		pgo_free(c->reps);
		c->reps = sorted;
		c->reps_room = c->n_reps + 1;
		sorted = NULL;
		rc = 0;
	}
	if (order != NULL)
		pgo_free(new_of);
	pgo_free(order);
	pgo_free(sorted);
	return rc;
}

/* Totals of replicates, from the rows as they came. */
static void sum_reps(struct pgo_costs *c)
{
	for (size_t i = 0; i < c->n_reps; i++) {
		struct pgo_cost_rep *r = &c->reps[i];

		r->total = r->rebuilt = r->elsewhere = r->unnamed = 0;
		r->samples = 0;
	}
	for (size_t i = 0; i < c->n_rows; i++) {
		struct pgo_cost_rep *r = &c->reps[c->rows[i].rep];
		uint8_t place = c->items[c->rows[i].item].place;
		double *part = place == PGO_ITEM_REBUILT     ? &r->rebuilt
			       : place == PGO_ITEM_ELSEWHERE ? &r->elsewhere
							     : &r->unnamed;

		*part += (double)c->rows[i].value;
		r->samples += c->rows[i].samples;
	}
	for (size_t i = 0; i < c->n_reps; i++)
		c->reps[i].total = c->reps[i].rebuilt + c->reps[i].elsewhere + c->reps[i].unnamed;
}

/* Rows by one of their two indices, those that are equal in the order they were in: there are many
 * rows, and few items and replicates. */
static int sort_rows(struct pgo_costs *c, struct pgo_cost **spare, bool items)
{
	size_t n = items ? c->n_items : c->n_reps;
	size_t *at = pgo_calloc(n + 1, sizeof *at);
	struct pgo_cost *from = c->rows, *to = *spare;

	if (at == NULL)
		return -1;
	for (size_t i = 0; i < c->n_rows; i++)
		at[(items ? from[i].item : from[i].rep) + 1]++;
	for (size_t i = 1; i <= n; i++)
		at[i] += at[i - 1];
	for (size_t i = 0; i < c->n_rows; i++)
		to[at[items ? from[i].item : from[i].rep]++] = from[i];
	pgo_free(at);
	c->rows = to;
	*spare = from;
	return 0;
}

static int join_rows(struct pgo_costs *c, struct pgo_err *err)
{
	struct pgo_cost *spare = pgo_malloc((c->n_rows + 1) * sizeof *spare);
	int rc = spare == NULL ? -1 : sort_rows(c, &spare, false);
	size_t n = 0;

	if (rc == 0)
		rc = sort_rows(c, &spare, true);
	pgo_free(spare);
	if (rc < 0)
		return pgo_err_nomem(err);
	c->rows_room = c->n_rows + 1;
	for (size_t i = 0; i < c->n_rows; i++) {
		struct pgo_cost *last = n > 0 ? &c->rows[n - 1] : NULL;

		if (last == NULL || last->item != c->rows[i].item || last->rep != c->rows[i].rep) {
			c->rows[n++] = c->rows[i];
			continue;
		}
		if (__builtin_add_overflow(last->value, c->rows[i].value, &last->value))
			return pgo_err_set(err, PGO_ELIMIT,
				"the values of %s add up to more than 2^63",
				pgo_costs_str(c, c->items[last->item].name));
		last->samples += c->rows[i].samples;
	}
	c->n_rows = n;
	return 0;
}

int pgo_costs_sort(struct pgo_costs *c, struct pgo_err *err)
{
	int rc;

	if (sort_items(c) < 0)
		return pgo_err_nomem(err);
	/* Totals help to put replicates in order that nothing else tells apart. */
	rc = join_rows(c, err);
	if (rc < 0)
		return rc;
	sum_reps(c);
	if (sort_reps(c) < 0)
		return pgo_err_nomem(err);
	rc = join_rows(c, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < c->n_items; i++)
		c->items[i].n_rows = 0;
	for (size_t i = 0; i < c->n_rows; i++) {
		struct pgo_cost_item *item = &c->items[c->rows[i].item];

		if (item->n_rows++ == 0)
			item->first = (uint32_t)i;
	}
	return 0;
}
