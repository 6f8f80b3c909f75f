/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block arena: many small allocations, one free.  Every arena has a byte budget, which is what
 * turns a hostile input that would decode to gigabytes into an error.  Memory is handed out 16-byte
 * aligned and not zeroed unless asked.
 *
 * Owned by the object it serves and dropped with it.  Not for threads to share.
 */
#ifndef PGO_CORE_ARENA_H
#define PGO_CORE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct pgo_arena_block;

struct pgo_arena {
	struct pgo_arena_block *blocks; /* newest first */
	char *next, *end;               /* free room in the newest block */
	size_t used;                    /* bytes in blocks so far */
	size_t budget;                  /* never more than this in all */
};

void pgo_arena_init(struct pgo_arena *a, size_t budget);
/* Frees all blocks; the arena may be used again. */
void pgo_arena_fini(struct pgo_arena *a);
/* Forgets all allocations but keeps one block for reuse: for a scratch arena in a loop. */
void pgo_arena_reset(struct pgo_arena *a);
/* NULL when memory or budget is used up. */
void *pgo_arena_alloc(struct pgo_arena *a, size_t size);
void *pgo_arena_zalloc(struct pgo_arena *a, size_t n, size_t size);
/* A NUL-terminated copy of `len` bytes. */
char *pgo_arena_strndup(struct pgo_arena *a, const char *s, size_t len);

#endif
