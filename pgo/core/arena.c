/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/arena.h"

#include "pgo/core/alloc.h"

#include <string.h>

#define BLOCK_MIN ((size_t)4 << 10)
#define BLOCK_MAX ((size_t)1 << 20)
#define ALIGN ((size_t)16)

struct pgo_arena_block {
	struct pgo_arena_block *older;
	size_t size; /* bytes of data */
	_Alignas(16) char data[];
};

void pgo_arena_init(struct pgo_arena *a, size_t budget)
{
	memset(a, 0, sizeof *a);
	a->budget = budget;
}

void pgo_arena_fini(struct pgo_arena *a)
{
	struct pgo_arena_block *older;

	for (struct pgo_arena_block *b = a->blocks; b != NULL; b = older) {
		older = b->older;
		pgo_free(b);
	}
	pgo_arena_init(a, a->budget);
}

void pgo_arena_reset(struct pgo_arena *a)
{
	struct pgo_arena_block *keep = a->blocks;
	struct pgo_arena_block *older;

	if (keep == NULL)
		return;
	for (struct pgo_arena_block *b = keep->older; b != NULL; b = older) {
		older = b->older;
		pgo_free(b);
	}
	keep->older = NULL;
	a->used = keep->size;
	a->next = keep->data;
	a->end = keep->data + keep->size;
}

static int add_block(struct pgo_arena *a, size_t need)
{
	/* Blocks double, so that small arenas stay small and large ones have few blocks. */
	size_t size = a->blocks != NULL ? a->blocks->size * 2 : BLOCK_MIN;
	struct pgo_arena_block *b;

	if (size > BLOCK_MAX)
		size = BLOCK_MAX;
	if (size < need)
		size = need;
	if (a->used > a->budget || size > a->budget - a->used)
		size = need;
	if (a->used > a->budget || size > a->budget - a->used)
		return -1;
	b = pgo_malloc(sizeof *b + size);
	if (b == NULL)
		return -1;
	b->older = a->blocks;
	b->size = size;
	a->blocks = b;
	a->used += size;
	a->next = b->data;
	a->end = b->data + size;
	return 0;
}

void *pgo_arena_alloc(struct pgo_arena *a, size_t size)
{
	char *p;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + ALIGN - 1) & ~(ALIGN - 1);
	if (size == 0)
		size = ALIGN;
	if ((size_t)(a->end - a->next) < size && add_block(a, size) < 0)
		return NULL;
	p = a->next;
	a->next += size;
	return p;
}

void *pgo_arena_zalloc(struct pgo_arena *a, size_t n, size_t size)
{
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	p = pgo_arena_alloc(a, bytes);
	if (p != NULL)
		memset(p, 0, bytes);
	return p;
}

char *pgo_arena_strndup(struct pgo_arena *a, const char *s, size_t len)
{
	char *p = len < SIZE_MAX ? pgo_arena_alloc(a, len + 1) : NULL;

	if (p == NULL)
		return NULL;
	if (len != 0)
		memcpy(p, s, len);
	p[len] = '\0';
	return p;
}
