/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing one group's profile: what import_write.c (head, samples) and import_place.c (images,
 * mappings, locations) share.
 */
#ifndef PGO_FETCH_IMPORT_WRITER_H
#define PGO_FETCH_IMPORT_WRITER_H

#include "fetch/import_impl.h"

struct pgo_imp_mapping_out { /* an image's segment, or all of it by file offsets */
	uint32_t image, segment;
	const char *filename, *build_id;
	uint64_t start, limit, offset;
	uint64_t hits;   /* of the whole image in this group */
	uint32_t index1; /* in the profile */
};

struct pgo_imp_point_out {
	uint64_t point;
	uint64_t addr;
	uint32_t mapping; /* index into mappings; for special points N/A */
	uint32_t rank;    /* of the mapping; UINT32_MAX for special points */
	uint32_t loc;
};

struct pgo_imp_writer {
	struct pgo_imp *imp;
	struct pgo_imp_group *g;
	struct pgo_profile *p;
	uint64_t *hits; /* per image */

	struct pgo_imp_point_out *points;
	struct pgo_map point_map;
	size_t n_points, points_room;
	struct pgo_imp_mapping_out *mappings;
	size_t n_mappings, mappings_room;

	uint32_t *column; /* of each event, or PGO_NONE */
	bool has_lbr, has_cycles, has_executions;
	uint32_t n_columns, lbr_column;
	struct pgo_label labels[3];
	uint32_t n_labels;
};

static inline const char *pgo_imp_str(const struct pgo_imp_writer *w, uint32_t id)
{
	return pgo_strtab_get(&w->imp->strs, id);
}

/* import_place.c; both 0, or -1 when out of memory. */

/* The index of a point in w->points, made if need be. */
int pgo_imp_intern(struct pgo_imp_writer *w, uint64_t point, uint32_t *ret);
/* Places every point, then adds mappings and locations in sorted order: each point has its loc. */
int pgo_imp_add_locations(struct pgo_imp_writer *w);

#endif
