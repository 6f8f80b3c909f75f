/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/gopclntab.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <string.h>

#define MAGIC 0xfffffff1u
#define HEADER 72
#define NAME_AT 4
#define LINE_AT 36
#define FUNCTION_SIZE 44

static uint64_t number(const uint8_t *p, size_t size)
{
	uint64_t v = 0;

	for (size_t i = size; i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

static bool same_name(const void *ctx, uint32_t index, const void *key)
{
	const struct pgo_gopclntab *t = ctx;

	return strcmp(t->fns[index].name, key) == 0;
}

static int add(struct pgo_gopclntab *t, const char *name, int64_t line)
{
	uint64_t hash = pgo_hash(name, strlen(name));
	struct pgo_go_start *f;

	if (line <= 0 || pgo_map_find(&t->by_name, hash, same_name, t, name) != PGO_MAP_NONE)
		return 0;
	f = PGO_VEC_PUSH(t->fns, t->n_fns, t->fns_room);
	if (f == NULL)
		return -1;
	*f = (struct pgo_go_start){name, line};
	return pgo_map_add(&t->by_name, hash, (uint32_t)(t->n_fns - 1));
}

int pgo_gopclntab_read(struct pgo_gopclntab *t, const uint8_t *data, size_t len, bool *ret_ok)
{
	uint64_t n, names, functions;

	*ret_ok = false;
	if (len < HEADER || number(data, 4) != MAGIC || data[7] != 8)
		return 0;
	n = number(data + 8, 8);
	names = number(data + 32, 8);
	functions = number(data + 64, 8);
	if (functions > len || names > len || n > (len - functions) / 8)
		return 0;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t at = number(data + functions + i * 8 + 4, 4), name;

		if (at > len - functions || len - functions - at < FUNCTION_SIZE)
			return 0;
		at += functions;
		name = names + number(data + at + NAME_AT, 4);
		if (name >= len || memchr(data + name, '\0', len - name) == NULL)
			return 0;
		if (add(t, (const char *)data + name,
			    (int32_t)(uint32_t)number(data + at + LINE_AT, 4)) < 0)
			return PGO_ENOMEM;
	}
	*ret_ok = true;
	return 0;
}

int pgo_gopclntab_load(struct pgo_gopclntab *t, const struct pgo_elf *elf, struct pgo_err *err)
{
	*t = (struct pgo_gopclntab){0};
	pgo_map_init(&t->by_name);
	for (size_t i = 0; i < elf->n_sections; i++) {
		const struct pgo_section *s = &elf->sections[i];
		bool ok;

		if (s->data == NULL || (strcmp(s->name, ".gopclntab") != 0 &&
					       strcmp(s->name, ".data.rel.ro.gopclntab") != 0))
			continue;
		if (pgo_gopclntab_read(t, s->data, s->size, &ok) < 0)
			return pgo_err_nomem(err);
	}
	return 0;
}

void pgo_gopclntab_fini(struct pgo_gopclntab *t)
{
	pgo_free(t->fns);
	pgo_map_fini(&t->by_name);
	*t = (struct pgo_gopclntab){0};
}

int64_t pgo_gopclntab_line(const struct pgo_gopclntab *t, const char *name)
{
	uint32_t i = t->n_fns != 0 ? pgo_map_find(&t->by_name, pgo_hash(name, strlen(name)),
					     same_name, t, name)
				   : PGO_MAP_NONE;

	return i != PGO_MAP_NONE ? t->fns[i].line : 0;
}
