/* SPDX-License-Identifier: Apache-2.0 */
/* Groups: an open-addressing table of small keys; an aggregate is a row in a table of functions. */
#include <stdlib.h>
#include <string.h>

#include "quarry.h"

static void init_zero(struct q_acc *acc)
{
	*acc = (struct q_acc){0};
}

static void init_min(struct q_acc *acc)
{
	*acc = (struct q_acc){.a = INT64_MAX};
}

static void step_count(struct q_acc *acc, int64_t v)
{
	(void)v;
	acc->a++;
}

static void step_sum(struct q_acc *acc, int64_t v)
{
	acc->a = (int64_t)((uint64_t)acc->a + (uint64_t)v);
	acc->b++;
}

static void step_min(struct q_acc *acc, int64_t v)
{
	if (v < acc->a)
		acc->a = v;
}

static void step_max(struct q_acc *acc, int64_t v)
{
	if (v > acc->a)
		acc->a = v;
}

/* A logarithmic histogram with saturating cells, halved when a cell is full. */
static void step_median(struct q_acc *acc, int64_t v)
{
	unsigned cell = 0;

	while (v > 3 && cell < 15) {
		v >>= 2;
		cell++;
	}
	if (++acc->hist[cell] == UINT16_MAX)
		for (unsigned i = 0; i < 16; i++)
			acc->hist[i] /= 2;
	acc->b++;
}

static int64_t result_a(const struct q_acc *acc)
{
	return acc->a;
}

static int64_t result_avg(const struct q_acc *acc)
{
	return q_divide(acc->a, acc->b);
}

static int64_t result_median(const struct q_acc *acc)
{
	uint32_t total = 0, seen = 0;
	unsigned cell = 0;

	for (unsigned i = 0; i < 16; i++)
		total += acc->hist[i];
	while (cell < 15 && (seen += acc->hist[cell]) * 2 < total)
		cell++;
	return INT64_C(3) << (2 * cell);
}

static const struct q_agg_ops table[] = {
	{"count", init_zero, step_count, result_a},
	{"sum", init_zero, step_sum, result_a},
	{"min", init_min, step_min, result_a},
	{"max", init_zero, step_max, result_a},
	{"avg", init_zero, step_sum, result_avg},
	{"median", init_zero, step_median, result_median},
};

const struct q_agg_ops *q_agg_by_name(struct q_span name)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (name.n == strlen(table[i].name) && !memcmp(name.p, table[i].name, name.n))
			return &table[i];
	return NULL;
}

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 29;
}

static uint64_t hash(const int64_t *key, unsigned n)
{
	uint64_t h = UINT64_C(0x9e3779b97f4a7c15);

	for (unsigned i = 0; i < n; i++)
		h = mix(h + (uint64_t)key[i]);
	return h;
}

static int same(const struct q_group *g, const int64_t *key, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (g->key[i] != key[i])
			return 0;
	return 1;
}

static void rehash(struct q_groups *g, size_t n_slots)
{
	free(g->slot);
	g->slot = q_alloc(n_slots * sizeof(*g->slot));
	memset(g->slot, 0, n_slots * sizeof(*g->slot));
	g->n_slots = n_slots;
	for (size_t i = 0; i < g->n; i++) {
		size_t at = g->group[i].hash & (n_slots - 1);
		while (g->slot[at])
			at = (at + 1) & (n_slots - 1);
		g->slot[at] = (uint32_t)i + 1;
	}
}

void q_groups_init(struct q_groups *g, unsigned n_keys)
{
	*g = (struct q_groups){.n_keys = n_keys};
	rehash(g, 64);
}

void q_groups_fini(struct q_groups *g)
{
	free(g->group);
	free(g->slot);
	*g = (struct q_groups){0};
}

static struct q_group *find(struct q_groups *g, const int64_t *key)
{
	uint64_t h = hash(key, g->n_keys);
	size_t at = h & (g->n_slots - 1);
	struct q_group *r;

	while (g->slot[at]) {
		r = &g->group[g->slot[at] - 1];
		if (r->hash == h && same(r, key, g->n_keys))
			return r;
		at = (at + 1) & (g->n_slots - 1);
	}
	if (g->n == g->cap) {
		g->cap = g->cap ? g->cap * 2 : 32;
		g->group = q_realloc(g->group, g->cap * sizeof(*g->group));
	}
	r = &g->group[g->n++];
	memset(r, 0, sizeof(*r));
	memcpy(r->key, key, g->n_keys * sizeof(*key));
	r->hash = h;
	for (unsigned i = 0; i < g->n_aggs; i++)
		g->ops[i]->init(&r->acc[i]);
	g->slot[at] = (uint32_t)g->n;
	if (g->n * 2 > g->n_slots)
		rehash(g, g->n_slots * 2);
	return r;
}

void q_groups_add(struct q_groups *g, const int64_t *key, const int64_t *value)
{
	struct q_group *r = find(g, key);

	for (unsigned i = 0; i < g->n_aggs; i++)
		g->ops[i]->step(&r->acc[i], value[i]);
}
