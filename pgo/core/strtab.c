/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/strtab.h"

#include "pgo/core/vec.h"

static bool str_eq(const void *ctx, uint32_t index, const void *key)
{
	const struct pgo_strtab *t = ctx;
	const struct pgo_str *want = key;

	return t->strs[index].len == want->len && memcmp(t->strs[index].s, want->s, want->len) == 0;
}

int pgo_strtab_init(struct pgo_strtab *t, size_t budget)
{
	memset(t, 0, sizeof *t);
	pgo_arena_init(&t->arena, budget);
	if (pgo_strtab_add(t, "", 0) == 0)
		return 0;
	pgo_strtab_fini(t);
	return -1;
}

void pgo_strtab_fini(struct pgo_strtab *t)
{
	pgo_arena_fini(&t->arena);
	pgo_map_fini(&t->map);
	pgo_free(t->strs);
	t->strs = NULL;
	t->n_strs = t->strs_room = 0;
}

uint32_t pgo_strtab_add(struct pgo_strtab *t, const char *s, size_t len)
{
	struct pgo_str key = {s, (uint32_t)len};
	uint64_t hash = pgo_hash(s, len);
	uint32_t id;

	if (len >= UINT32_MAX)
		return PGO_STR_NONE;
	id = pgo_map_find(&t->map, hash, str_eq, t, &key);
	if (id != PGO_MAP_NONE)
		return id;
	if (t->n_strs >= PGO_STR_NONE || PGO_VEC_RESERVE(t->strs, t->strs_room, t->n_strs + 1) < 0)
		return PGO_STR_NONE;
	key.s = pgo_arena_strndup(&t->arena, s, len);
	if (key.s == NULL || pgo_map_add(&t->map, hash, (uint32_t)t->n_strs) < 0)
		return PGO_STR_NONE;
	t->strs[t->n_strs] = key;
	return (uint32_t)t->n_strs++;
}

uint32_t pgo_strtab_puts(struct pgo_strtab *t, const char *s)
{
	return pgo_strtab_add(t, s, strlen(s));
}

uint32_t pgo_strtab_find(const struct pgo_strtab *t, const char *s, size_t len)
{
	struct pgo_str key = {s, (uint32_t)len};

	return len < UINT32_MAX ? pgo_map_find(&t->map, pgo_hash(s, len), str_eq, t, &key)
				: PGO_STR_NONE;
}

const char *pgo_strtab_get(const struct pgo_strtab *t, uint32_t id)
{
	return id < t->n_strs ? t->strs[id].s : "";
}
