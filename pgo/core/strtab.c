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

uint32_t pgo_strtab_take(struct pgo_strtab *t, const struct pgo_str *s)
{
	uint32_t id = pgo_map_find(&t->map, s->hash, str_eq, t, s);
	struct pgo_str own = *s;

	if (id != PGO_MAP_NONE)
		return id;
	if (t->n_strs >= PGO_STR_NONE || PGO_VEC_RESERVE(t->strs, t->strs_room, t->n_strs + 1) < 0)
		return PGO_STR_NONE;
	own.s = pgo_arena_strndup(&t->arena, s->s, s->len);
	if (own.s == NULL || pgo_map_add(&t->map, own.hash, (uint32_t)t->n_strs) < 0)
		return PGO_STR_NONE;
	t->strs[t->n_strs] = own;
	return (uint32_t)t->n_strs++;
}

uint32_t pgo_strtab_add(struct pgo_strtab *t, const char *s, size_t len)
{
	struct pgo_str key = {s, (uint32_t)len, (uint32_t)pgo_hash(s, len)};

	return len < UINT32_MAX ? pgo_strtab_take(t, &key) : PGO_STR_NONE;
}

uint32_t pgo_strtab_puts(struct pgo_strtab *t, const char *s)
{
	return pgo_strtab_add(t, s, strlen(s));
}

uint32_t pgo_strtab_find(const struct pgo_strtab *t, const char *s, size_t len)
{
	struct pgo_str key = {s, (uint32_t)len, (uint32_t)pgo_hash(s, len)};

	return len < UINT32_MAX ? pgo_map_find(&t->map, key.hash, str_eq, t, &key) : PGO_STR_NONE;
}

const char *pgo_strtab_get(const struct pgo_strtab *t, uint32_t id)
{
	return id < t->n_strs ? t->strs[id].s : "";
}
