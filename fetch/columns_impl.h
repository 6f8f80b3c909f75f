/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of fetch/columns.h: tables of tuples.
 *
 * Everything that has an identity (a mapping, a function, a location, a set of labels, a stack) is a
 * tuple of 32-bit words, kept once and known by its index; numbers of 64 bits are two words, the
 * higher one first, so that tuples compare like what they stand for.  Words that name strings or
 * other tuples hold indices while columns are added, ranks when the result is put in order.
 */
#ifndef PGO_FETCH_COLUMNS_IMPL_H
#define PGO_FETCH_COLUMNS_IMPL_H

#include "fetch/columns.h"
#include "pgo/core/map.h"
#include "pgo/core/strtab.h"

#include <stdbool.h>

struct pgo_tuple {
	size_t first; /* in words */
	uint32_t n;
};

struct pgo_tuples {
	uint32_t *words;
	struct pgo_tuple *of;
	size_t n_words, words_room, n, room;
	struct pgo_map map;
};

/* Where the words are. */
enum {
	PGO_CM_START,
	PGO_CM_LIMIT = 2,
	PGO_CM_OFFSET = 4,
	PGO_CM_FILE = 6,
	PGO_CM_ID,
	PGO_CM_WORDS
};
enum { PGO_CF_NAME, PGO_CF_SYSTEM, PGO_CF_FILE, PGO_CF_LINE, PGO_CF_WORDS = 5 };
enum { PGO_CL_MAPPING, PGO_CL_ADDR, PGO_CL_FOLDED = 3, PGO_CL_LINES }; /* a head, then lines */
enum { PGO_CN_FUNCTION, PGO_CN_LINE, PGO_CN_COLUMN = 3, PGO_CN_WORDS = 5 };
enum { PGO_CB_KEY, PGO_CB_STR, PGO_CB_NUM, PGO_CB_UNIT = 4, PGO_CB_WORDS }; /* labels of a set */
enum { PGO_CS_LABELS, PGO_CS_LOCS }; /* a head, then frames */

enum { PGO_CFLAG_FUNCTIONS = 1, PGO_CFLAG_FILES = 2, PGO_CFLAG_LINES = 4, PGO_CFLAG_INLINE = 8 };

struct pgo_column {
	uint32_t type, unit; /* strings */
	int64_t *value;      /* by stack; 0 for those past n */
	size_t n, room;
	__int128 total;
};

struct pgo_columns {
	struct pgo_strtab strs;
	struct pgo_tuples mappings, functions, locations, labels, stacks;
	uint8_t *flags; /* of mappings, as some column had them */
	size_t n_flags, flags_room;
	struct pgo_column *columns;
	size_t n_columns, columns_room;
	uint32_t *scratch; /* words of the tuple being made */
	size_t scratch_room;
};

/* An order of indices. */
struct pgo_ranking {
	uint32_t *order; /* index of each rank */
	uint32_t *rank;  /* rank of each index */
};

struct pgo_column_ranks {
	struct pgo_ranking strings, mappings, functions, locations, labels, stacks;
};

/* Ranks all tables; indices in the tuples of all but the mappings become ranks. */
int pgo_column_ranks_make(
	struct pgo_columns *c, struct pgo_column_ranks *r, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_column_ranks_fini(struct pgo_column_ranks *r);

static inline void pgo_words_put64(uint32_t *w, uint64_t v)
{
	w[0] = (uint32_t)(v >> 32);
	w[1] = (uint32_t)v;
}

static inline uint64_t pgo_words_get64(const uint32_t *w)
{
	return (uint64_t)w[0] << 32 | w[1];
}

static inline const uint32_t *pgo_tuple_words(const struct pgo_tuples *t, size_t i)
{
	return t->words + t->of[i].first;
}

#endif
