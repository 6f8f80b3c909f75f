/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open-addressing hash map from a fixed-width key to a dense index.
 *
 * The map stores only 32-bit indices into an array that the caller owns; keys live in that array.
 * That keeps the map small (8 bytes a slot: index and 32 hash bits) and lets one array serve
 * several maps.  Hashes are XXH3 of the key bytes, so keys must be free of padding garbage.
 * Iteration order is the caller's array order, hence never depends on hashes.
 *
 *	i = pgo_map_find(&m, hash, eq, ctx, key);             // index, or PGO_MAP_NONE
 *	pgo_map_add(&m, hash, index);                         // after a find that failed
 *
 * Most users want pgo_map_find_key() and pgo_map_add_key(), for arrays whose elements begin with
 * their key.
 */
#ifndef PGO_CORE_MAP_H
#define PGO_CORE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PGO_MAP_NONE UINT32_MAX

struct pgo_map_slot {
	uint32_t index1; /* index + 1; 0 = free */
	uint32_t hash;   /* low half of the hash: the slot, and most of the comparison */
};

struct pgo_map {
	struct pgo_map_slot *slots; /* power of two */
	size_t n_slots, n_used;
};

typedef bool pgo_map_eq(const void *ctx, uint32_t index, const void *key);

uint64_t pgo_hash(const void *data, size_t len);
static inline uint64_t pgo_hash_u64(uint64_t v)
{
	/* The finisher of splitmix64: a bijection that spreads every bit. */
	v ^= v >> 30;
	v *= 0xbf58476d1ce4e5b9u;
	v ^= v >> 27;
	v *= 0x94d049bb133111ebu;
	return v ^ v >> 31;
}

void pgo_map_init(struct pgo_map *m);
void pgo_map_fini(struct pgo_map *m);
uint32_t pgo_map_find(
	const struct pgo_map *m, uint64_t hash, pgo_map_eq *eq, const void *ctx, const void *key);
/*
 * For many lookups at a time in a map that does not fit the caches: ask for the slots of all, then
 * for what they may name, then look them up.
 */
static inline void pgo_map_prefetch(const struct pgo_map *m, uint64_t hash)
{
	if (m->n_slots != 0)
		__builtin_prefetch(&m->slots[(uint32_t)hash & (m->n_slots - 1)]);
}
/* The first index whose key has this hash, the right one nearly always; or PGO_MAP_NONE. */
uint32_t pgo_map_guess(const struct pgo_map *m, uint64_t hash);
/* 0, or -1 when out of memory. */
int pgo_map_add(struct pgo_map *m, uint64_t hash, uint32_t index);

/*
 * For arrays whose element starts with the key: the index of the element of `array` (elements of
 * `stride` bytes) whose first `key_size` bytes equal `key`, or PGO_MAP_NONE.
 */
uint32_t pgo_map_find_key(const struct pgo_map *m, const void *array, size_t stride,
	const void *key, size_t key_size);
int pgo_map_add_key(struct pgo_map *m, const void *key, size_t key_size, uint32_t index);

#endif
