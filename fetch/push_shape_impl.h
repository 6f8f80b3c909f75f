/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile on its way into shape, as the two files share it: push_shape.c finds places and sums
 * stacks, push_pieces.c writes profiles of them.
 */
#ifndef PGO_FETCH_PUSH_SHAPE_IMPL_H
#define PGO_FETCH_PUSH_SHAPE_IMPL_H

#include "fetch/push_shape.h"
#include "pgo/core/map.h"

/* A mapping of the result. */
struct pgo_shape_area {
	uint64_t start, limit, offset;
	const char *filename;
	char build_id[129];
	bool other; /* not of the main program, whose mappings come first */
};

/* A location of the result; `from` is one of the input's that it stands for. */
struct pgo_shape_place {
	uint32_t area; /* PGO_NONE = none */
	uint32_t from;
	uint64_t addr;
};

struct pgo_shape_row {
	uint32_t first, n, part;
};

struct pgo_shape {
	const struct pgo_profile *p;
	const struct pgo_shape_options *o;
	struct pgo_shape_stats *stats;
	struct pgo_shaped *ret;
	struct pgo_shape_area *areas;
	size_t n_areas, areas_room;
	struct pgo_shape_place
		*places; /* first one a location of the input, later sorted and unique */
	size_t n_places;
	uint32_t *id; /* per location of the input: its place */
	/* Stacks: places, leaf first; sums: n_sample_types a row. */
	struct pgo_shape_row *rows;
	uint32_t *pool;
	int64_t *sums;
	size_t n_rows, rows_room, n_pool, pool_room, sums_room;
	struct pgo_map by_stack;
	size_t n_parts;
};

/* Divides what was summed into s->ret. */
int pgo_shape_write(struct pgo_shape *s, struct pgo_err *err) PGO_MUST_CHECK;

#endif
