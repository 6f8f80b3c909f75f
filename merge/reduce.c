/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/reduce.h"

#include "pgo/core/buf.h"
#include "pgo/core/map.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* An input that is taken, and by whom. */
struct taken {
	struct pgo_partial_input in; /* the key: 36 bytes without padding */
	uint32_t item;
};

struct choice {
	struct pgo_reduce_item *items;
	struct taken *taken;
	size_t n, room;
	struct pgo_map map;
};

static uint32_t find(const struct choice *c, const struct pgo_partial_input *in)
{
	return pgo_map_find_key(&c->map, c->taken, sizeof *c->taken, in, sizeof *in);
}

static int take(struct choice *c, uint32_t item, struct pgo_err *err)
{
	const struct pgo_partial_head *h = c->items[item].head;

	for (size_t i = 0; i < h->n_inputs; i++) {
		struct taken *t = PGO_VEC_PUSH(c->taken, c->n, c->room);

		if (t == NULL)
			return pgo_err_nomem(err);
		t->in = h->inputs[i];
		t->item = item;
		if (pgo_map_add_key(&c->map, &t->in, sizeof t->in, (uint32_t)(c->n - 1)) < 0)
			return pgo_err_nomem(err);
	}
	c->items[item].use = true;
	return 0;
}

/* How many of its inputs are taken; *ret_owner is who took one of them. */
static size_t count_taken(const struct choice *c, uint32_t item, uint32_t *ret_owner)
{
	const struct pgo_partial_head *h = c->items[item].head;
	size_t n = 0;

	for (size_t i = 0; i < h->n_inputs; i++) {
		uint32_t at = find(c, &h->inputs[i]);

		if (at == PGO_MAP_NONE)
			continue;
		*ret_owner = c->taken[at].item;
		n++;
	}
	return n;
}

/* Two of the same inputs must say the same about them. */
static int check_twins(
	const struct pgo_reduce_item *a, const struct pgo_reduce_item *b, struct pgo_err *err)
{
	const struct pgo_partial_head *x = a->head, *y = b->head;
	bool same = memcmp(&x->stats, &y->stats, sizeof x->stats) == 0 && x->n_hosts == y->n_hosts;

	if (x->n_inputs != y->n_inputs ||
		(x->n_inputs != 0 &&
			memcmp(x->inputs, y->inputs, x->n_inputs * sizeof *x->inputs) != 0))
		return 0;
	for (size_t i = 0; i < x->n_hosts && same; i++)
		same = strcmp(x->hosts[i].host, y->hosts[i].host) == 0 &&
		       x->hosts[i].mass == y->hosts[i].mass;
	return same ? 0
		    : pgo_err_set(err, PGO_EMISMATCH,
			      "%s and %s are of the same inputs but do not agree; make both again",
			      a->name, b->name);
}

static int look(struct choice *c, uint32_t item, bool again, bool *ret_later, struct pgo_err *err)
{
	struct pgo_reduce_item *it = &c->items[item];
	uint32_t owner = 0;
	size_t n = count_taken(c, item, &owner);

	*ret_later = false;
	if (n == 0)
		return take(c, item, err);
	if (n == it->head->n_inputs) {
		it->twin = c->items[owner].name;
		return check_twins(it, &c->items[owner], err);
	}
	*ret_later = true;
	if (!again)
		return 0;
	return pgo_err_set(err, PGO_EMISMATCH,
		"%s: %zu of its %zu inputs are in others too (one in %s), the rest is not: it can "
		"be neither added nor left out; reduce from the shards again",
		it->name, n, it->head->n_inputs, c->items[owner].name);
}

/* The largest first, of one size by content: never by the order in which they were named. */
static int cmp_size(const void *pa, const void *pb, void *ctx)
{
	const struct pgo_reduce_item *items = ctx;
	const uint32_t *a = pa, *b = pb;
	size_t na = items[*a].head->n_inputs, nb = items[*b].head->n_inputs;

	if (na != nb)
		return na > nb ? -1 : 1;
	for (size_t i = 0; i < na; i++) {
		int c = memcmp(&items[*a].head->inputs[i], &items[*b].head->inputs[i],
			sizeof(struct pgo_partial_input));

		if (c != 0)
			return c;
	}
	return (*a > *b) - (*a < *b);
}

static int choose(struct choice *c, uint32_t *order, size_t n, struct pgo_err *err)
{
	size_t n_later = 0;
	bool later;
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	if (n != 0)
		qsort_r(order, n, sizeof *order, cmp_size, c->items);
	for (size_t i = 0; i < n && rc == 0; i++) {
		uint32_t item = order[i];

		rc = look(c, item, false, &later, err);
		if (rc == 0 && later)
			order[n_later++] = item;
	}
	for (size_t i = 0; i < n_later && rc == 0; i++)
		rc = look(c, order[i], true, &later, err);
	return rc;
}

/* The counters and hosts of those that count; the shards of all. */
static int join(const struct pgo_reduce_item *it, struct pgo_partial_head *ret, struct pgo_err *err)
{
	struct pgo_partial_head only = *it->head;
	int rc;

	if (!it->use) {
		only.n_inputs = only.n_hosts = only.n_days = 0;
		only.stats = (struct pgo_merge_stats){0};
	}
	rc = pgo_partial_head_join(ret, &only, err);
	return rc < 0 ? pgo_err_prefix(err, "%s", it->name) : 0;
}

int pgo_reduce_choose(
	struct pgo_reduce_item *items, size_t n, struct pgo_partial_head *ret, struct pgo_err *err)
{
	struct choice c = {.items = items};
	uint32_t *order = pgo_calloc(n, sizeof *order);
	int rc = order != NULL && n < UINT32_MAX ? 0 : pgo_err_nomem(err);

	for (size_t i = 0; i < n; i++) {
		items[i].use = false;
		items[i].twin = NULL;
	}
	pgo_map_init(&c.map);
	/* Whose inputs are where says nothing as long as they do not belong together. */
	for (size_t i = 1; i < n && rc == 0; i++)
		if (pgo_partial_head_fits(items[0].head, items[i].head, err) < 0)
			rc = pgo_err_prefix(err, "%s", items[i].name);
	if (rc == 0)
		rc = choose(&c, order, n, err);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = join(&items[i], ret, err);
	pgo_map_fini(&c.map);
	pgo_free(c.taken);
	pgo_free(order);
	return rc;
}

int pgo_reduce_complete(const struct pgo_partial_head *h, struct pgo_err *err)
{
	struct pgo_buf names;
	size_t at = 0, n = 0;
	int rc;

	if (h->plan == NULL || h->plan[0] == '\0' || h->n_inputs == h->n_planned)
		return 0;
	pgo_buf_init(&names, 400);
	for (uint64_t s = 0; s < h->n_shards; s++) {
		if (at < h->n_shards_in && h->shards[at] == s) {
			at++;
			continue;
		}
		if (n++ < 40)
			pgo_buf_printf(&names, "%s%" PRIu64, n > 1 ? ", " : "", s + 1);
		if (n > 40 && h->n_shards - s > 1000) { /* enough to know */
			n += h->n_shards - s - 1 - (h->n_shards_in - at);
			break;
		}
	}
	if (n != 0)
		rc = pgo_err_set(err, PGO_EMISMATCH,
			"%zu of %" PRIu64 " shards are missing: %s%s; run pgo merge --shard for "
			"them again",
			n, h->n_shards, names.failed || names.data == NULL ? "" : names.data,
			n > 40 ? ", ..." : "");
	else
		rc = pgo_err_set(err, PGO_EMISMATCH,
			"all shards are there, but only %zu of %" PRIu64
			" inputs of the plan; make the shards again",
			h->n_inputs, h->n_planned);
	pgo_buf_fini(&names);
	return rc;
}
