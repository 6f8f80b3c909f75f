/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the pprof reader, shared by its files and its tests.
 *
 *	bytes --(pprof_split.c)--> top-level fields --(pprof_tables.c)--> tables
 *	                                            --(pprof_sample.c)--> samples
 *	pprof_read.c: the two passes, and the reader over them
 */
#ifndef PGO_CORE_PPROF_IMPL_H
#define PGO_CORE_PPROF_IMPL_H

#include "pgo/core/inflate.h"
#include "pgo/core/map.h"
#include "pgo/core/pprof.h"
#include "pgo/core/wire.h"

enum { /* fields of Profile */
	PGO_PPROF_SAMPLE_TYPE = 1,
	PGO_PPROF_SAMPLE = 2,
	PGO_PPROF_MAPPING = 3,
	PGO_PPROF_LOCATION = 4,
	PGO_PPROF_FUNCTION = 5,
	PGO_PPROF_STRING = 6,
	PGO_PPROF_DROP_FRAMES = 7,
	PGO_PPROF_KEEP_FRAMES = 8,
	PGO_PPROF_TIME = 9,
	PGO_PPROF_DURATION = 10,
	PGO_PPROF_PERIOD_TYPE = 11,
	PGO_PPROF_PERIOD = 12,
	PGO_PPROF_COMMENT = 13,
	PGO_PPROF_DEFAULT_TYPE = 14,
	PGO_PPROF_DOC_URL = 15,
	PGO_PPROF_ORIGIN = 1001, /* our own: see pgo_pprof_is_origin() */
};

/* ---------------------------------------------------------------- top-level fields */

struct pgo_pprof_split {
	struct pgo_stream *stream; /* borrowed */
	uint8_t *block;
	size_t room, at, len;  /* allocated; next byte to take; bytes in the block */
	uint64_t block_offset; /* of block[0] in the inflated data */
	uint64_t max_field;    /* bytes of one field at most */
	uint64_t max_kept;     /* what is larger than this as a whole is not kept */
	bool at_end;           /* the stream has no more */
	bool kept;             /* the block begins with the first byte of the data */
};

/* A field with the offset of its tag and of its payload; `f.in` is borrowed until the next call. */
struct pgo_pprof_field {
	struct pgo_wire_field f;
	uint64_t offset, payload;
};

void pgo_pprof_split_init(struct pgo_pprof_split *s, struct pgo_stream *stream, uint64_t max_field,
	uint64_t max_kept);
void pgo_pprof_split_fini(struct pgo_pprof_split *s);
/* From the first field again: over what was kept, which needs no stream any more, or else after the
 * stream was rewound. */
void pgo_pprof_split_restart(struct pgo_pprof_split *s);
/* 1 and a field, 0 at the end, or a negative code; the sentence begins with the offset. */
int pgo_pprof_split_next(
	struct pgo_pprof_split *s, struct pgo_pprof_field *ret, struct pgo_err *err);

/* ---------------------------------------------------------------- ids */

/*
 * 64-bit ids of a file -> dense indices in order of appearance.  Most producers number from 1 on,
 * which needs no table; others get a hash map, salted so that nobody can choose colliding ids.
 */
struct pgo_pprof_ids {
	uint64_t *ids; /* by index; not filled while sequential */
	size_t n, room;
	bool sparse;
	uint64_t salt;
	struct pgo_map map;
};

void pgo_pprof_ids_init(struct pgo_pprof_ids *m);
void pgo_pprof_ids_fini(struct pgo_pprof_ids *m);
/* Gives the next index to `id`; `what` names the table in errors (0, twice, too many). */
int pgo_pprof_ids_add(
	struct pgo_pprof_ids *m, uint64_t id, const char *what, struct pgo_err *err) PGO_MUST_CHECK;
uint32_t pgo_pprof_ids_find_sparse(const struct pgo_pprof_ids *m, uint64_t id);
/* The index, or PGO_NONE. */
static inline uint32_t pgo_pprof_ids_find(const struct pgo_pprof_ids *m, uint64_t id)
{
	if (m->sparse)
		return pgo_pprof_ids_find_sparse(m, id);
	return id - 1 < m->n ? (uint32_t)(id - 1) : PGO_NONE;
}

/* ---------------------------------------------------------------- tables */

struct pgo_pprof_tables {
	struct pgo_profile *p; /* borrowed; string fields hold file indices until finished */
	struct pgo_pprof_ids mapping_ids, location_ids, function_ids;
	uint32_t *strings; /* file index -> string of p */
	uint32_t *origins; /* strings of p, to become comments */
	size_t n_strings, strings_room, n_origins, origins_room;
	uint64_t *location_mapping; /* per location: mapping id */
	uint64_t *line_function;    /* per line: function id */
	size_t n_location_mapping, location_mapping_room, n_line_function, line_function_room;
	struct pgo_arena scratch; /* one protobuf-c message at a time */
	bool scratch_failed;
	uint64_t budget, used; /* bytes of tables */
	uint64_t unknown_fields;
	bool timed; /* time_nanos was there */
};

void pgo_pprof_tables_init(
	struct pgo_pprof_tables *t, struct pgo_profile *p, const struct pgo_pprof_limits *limits);
void pgo_pprof_tables_fini(struct pgo_pprof_tables *t);
/* Any top-level field but PGO_PPROF_SAMPLE. */
int pgo_pprof_tables_add(struct pgo_pprof_tables *t, const struct pgo_wire_field *f,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Turns file indices and ids into those of the profile; frees what only that needed. */
int pgo_pprof_tables_finish(struct pgo_pprof_tables *t, struct pgo_err *err) PGO_MUST_CHECK;
/* Takes `bytes` from the budget. */
int pgo_pprof_tables_charge(
	struct pgo_pprof_tables *t, uint64_t bytes, struct pgo_err *err) PGO_MUST_CHECK;

/* Location and its lines, decoded directly; the lines go to `lines`, at most `max` of them are
 * stored, all are counted.  False if malformed. */
struct pgo_pprof_location {
	uint64_t id, mapping_id, addr;
	bool folded;
	size_t n_lines;
	uint64_t unknown_fields;
};
struct pgo_pprof_line {
	uint64_t function_id;
	int64_t line, column;
};
bool pgo_pprof_location_decode(struct pgo_wire in, struct pgo_pprof_location *ret,
	struct pgo_pprof_line *lines, size_t max);

/* ---------------------------------------------------------------- samples */

/* Larger ones are refused: four million frames or more. */
#define PGO_PPROF_SAMPLE_MAX ((uint64_t)16 << 20)

struct pgo_pprof_sample_buf {
	uint32_t *loc;
	int64_t *value; /* as many as there are sample types */
	struct pgo_label *label;
	size_t loc_room, value_room, label_room;
	uint64_t unknown_fields;
};

void pgo_pprof_sample_buf_fini(struct pgo_pprof_sample_buf *b);
/* Decodes and checks one Sample message against finished tables; `ret` borrows from `b`. */
int pgo_pprof_sample_decode(struct pgo_pprof_sample_buf *b, const struct pgo_pprof_tables *t,
	struct pgo_wire in, struct pgo_sample *ret, struct pgo_err *err) PGO_MUST_CHECK;

#endif
