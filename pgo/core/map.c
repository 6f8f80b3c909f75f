/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/map.h"

#include "pgo/core/alloc.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t pgo_hash(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}

void pgo_map_init(struct pgo_map *m)
{
	memset(m, 0, sizeof *m);
}

void pgo_map_fini(struct pgo_map *m)
{
	pgo_free(m->slots);
	pgo_map_init(m);
}

uint32_t pgo_map_find(
	const struct pgo_map *m, uint64_t hash, pgo_map_eq *eq, const void *ctx, const void *key)
{
	uint32_t h = (uint32_t)hash;
	size_t mask = m->n_slots - 1;

	if (m->n_slots == 0)
		return PGO_MAP_NONE;
	for (size_t i = h & mask; m->slots[i].index1 != 0; i = (i + 1) & mask)
		if (m->slots[i].hash == h && eq(ctx, m->slots[i].index1 - 1, key))
			return m->slots[i].index1 - 1;
	return PGO_MAP_NONE;
}

uint32_t pgo_map_guess(const struct pgo_map *m, uint64_t hash)
{
	uint32_t h = (uint32_t)hash;
	size_t mask = m->n_slots - 1;

	if (m->n_slots == 0)
		return PGO_MAP_NONE;
	for (size_t i = h & mask; m->slots[i].index1 != 0; i = (i + 1) & mask)
		if (m->slots[i].hash == h)
			return m->slots[i].index1 - 1;
	return PGO_MAP_NONE;
}

static void place(struct pgo_map_slot *slots, size_t mask, uint32_t h, uint32_t index1)
{
	size_t i = h & mask;

	while (slots[i].index1 != 0)
		i = (i + 1) & mask;
	slots[i].index1 = index1;
	slots[i].hash = h;
}

static int grow(struct pgo_map *m)
{
	size_t n = m->n_slots != 0 ? m->n_slots * 2 : 64;
	struct pgo_map_slot *slots = pgo_calloc(n, sizeof *slots);

	if (slots == NULL)
		return -1;
	for (size_t i = 0; i < m->n_slots; i++)
		if (m->slots[i].index1 != 0)
			place(slots, n - 1, m->slots[i].hash, m->slots[i].index1);
	pgo_free(m->slots);
	m->slots = slots;
	m->n_slots = n;
	return 0;
}

int pgo_map_add(struct pgo_map *m, uint64_t hash, uint32_t index)
{
	if (index == PGO_MAP_NONE)
		return -1;
	/* At most five eighths full: linear probing stays short. */
	if ((m->n_used + 1) * 8 > m->n_slots * 5 && grow(m) < 0)
		return -1;
	place(m->slots, m->n_slots - 1, (uint32_t)hash, index + 1);
	m->n_used++;
	return 0;
}

struct key_ctx {
	const char *array;
	size_t stride, key_size;
};

static bool key_eq(const void *ctx, uint32_t index, const void *key)
{
	const struct key_ctx *c = ctx;

	return memcmp(c->array + (size_t)index * c->stride, key, c->key_size) == 0;
}

uint32_t pgo_map_find_key(
	const struct pgo_map *m, const void *array, size_t stride, const void *key, size_t key_size)
{
	struct key_ctx c = {array, stride, key_size};

	return pgo_map_find(m, pgo_hash(key, key_size), key_eq, &c, key);
}

int pgo_map_add_key(struct pgo_map *m, const void *key, size_t key_size, uint32_t index)
{
	return pgo_map_add(m, pgo_hash(key, key_size), index);
}
