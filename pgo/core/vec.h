/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growable arrays of any type, as three plain members of the struct that owns them:
 *
 *	struct pgo_line *lines; size_t n_lines, lines_room;
 *	struct pgo_line *l = PGO_VEC_PUSH(x->lines, x->n_lines, x->lines_room);
 *	// NULL when out of memory
 *
 * The new element is zeroed.  Elements move when the array grows, so keep indices, not pointers.
 * Free with pgo_free().
 */
#ifndef PGO_CORE_VEC_H
#define PGO_CORE_VEC_H

#include "pgo/core/alloc.h"

#include <string.h>

static inline int pgo_vec_grow(void **data, size_t *room, size_t want, size_t size)
{
	size_t n = *room != 0 ? *room : 16;
	void *p;

	while (n < want)
		n = n > SIZE_MAX / 2 ? want : n * 2;
	p = pgo_realloc_array(*data, n, size);
	if (p == NULL)
		return -1;
	*data = p;
	*room = n;
	return 0;
}

static inline void *pgo_vec_zero(void *p, size_t size)
{
	return memset(p, 0, size);
}

/* Room for at least `want` elements in all; 0 or -1. */
#define PGO_VEC_RESERVE(v, room, want)                                                             \
	((size_t)(want) <= (room)                                                                  \
			? 0                                                                        \
			: pgo_vec_grow((void **)&(v), &(room), (size_t)(want), sizeof *(v)))

#define PGO_VEC_PUSH(v, n, room)                                                                   \
	(PGO_VEC_RESERVE(v, room, (n) + 1) < 0                                                     \
			? NULL                                                                     \
			: (__typeof__(v))pgo_vec_zero(&(v)[(n)++], sizeof *(v)))

#endif
