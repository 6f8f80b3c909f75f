/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interned strings, handed out as dense 32-bit ids in order of first appearance.  Id 0 is always
 * "".  Comparing names is comparing integers.  Strings may hold any byte but are NUL-terminated as
 * well, and stay where they are until the table is freed.
 */
#ifndef PGO_CORE_STRTAB_H
#define PGO_CORE_STRTAB_H

#include "pgo/core/arena.h"
#include "pgo/core/map.h"

#define PGO_STR_NONE UINT32_MAX /* out of memory */

struct pgo_str {
	const char *s;
	uint32_t len;
	uint32_t hash; /* of the text: as the map has it */
};

struct pgo_strtab {
	struct pgo_arena arena;
	struct pgo_map map;
	struct pgo_str *strs; /* by id */
	size_t n_strs, strs_room;
};

/* `budget`: bytes of text at most.  0, or -1 when out of memory (then nothing needs freeing). */
int pgo_strtab_init(struct pgo_strtab *t, size_t budget);
void pgo_strtab_fini(struct pgo_strtab *t);
/* The id of the string, added if new; PGO_STR_NONE when memory or budget is used up. */
uint32_t pgo_strtab_add(struct pgo_strtab *t, const char *s, size_t len);
uint32_t pgo_strtab_puts(struct pgo_strtab *t, const char *s);
/* The same for a string of another table, which need not be hashed again. */
uint32_t pgo_strtab_take(struct pgo_strtab *t, const struct pgo_str *s);
/* The id, or PGO_STR_NONE if the string was never added. */
uint32_t pgo_strtab_find(const struct pgo_strtab *t, const char *s, size_t len);
/* Borrowed from the table; never NULL ("" for an id out of range). */
const char *pgo_strtab_get(const struct pgo_strtab *t, uint32_t id);

#endif
