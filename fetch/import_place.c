/* SPDX-License-Identifier: Apache-2.0 */
/* Points -> mappings and locations, by the ELF file where it is at hand, else by file offset. */
#include "fetch/import_writer.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/lbr.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---------------------------------------------------------------- images */

static bool ends_in(const char *path, const char *other)
{
	return strcmp(pgo_path_base(path), pgo_path_base(other)) == 0;
}

/* Among the user's binaries: the same build-id; with no build-id recorded, the same name. */
static const struct pgo_elf *elf_of_options(
	const struct pgo_imp *imp, const char *name, const char *build_id)
{
	for (size_t i = 0; i < imp->n_binaries; i++)
		if (build_id[0] != '\0' && strcmp(imp->binaries[i]->build_id, build_id) == 0)
			return imp->binaries[i];
	for (size_t i = 0; i < imp->n_binaries; i++) {
		if (!ends_in(imp->binaries[i]->path, name))
			continue;
		if (build_id[0] == '\0')
			return imp->binaries[i];
		pgo_warn("%s: %s was recorded with build-id %s, but %s is another build (%s); "
			 "addresses of it stay file offsets",
			imp->path, name, build_id, imp->binaries[i]->path,
			imp->binaries[i]->build_id[0] != '\0' ? imp->binaries[i]->build_id
							      : "without build-id");
	}
	return NULL;
}

/* The file at the recorded path, if it is that build; if no build-id was recorded, it is believed.
 */
static struct pgo_elf *elf_of_path(const char *name, const char *build_id)
{
	char have[129];
	struct stat st;

	if (name[0] != '/' || stat(name, &st) < 0 || !S_ISREG(st.st_mode) || !pgo_elf_probe(name) ||
		pgo_elf_build_id(name, have, NULL) < 0)
		return NULL;
	if (build_id[0] != '\0' && strcmp(have, build_id) != 0) {
		pgo_note("%s is not the build that was recorded (%s)", name, build_id);
		return NULL;
	}
	if (build_id[0] == '\0')
		pgo_note("%s: the recording has no build-id for it; the file that is there now is "
			 "taken",
			name);
	return pgo_elf_open(name, NULL);
}

struct pgo_imp_image_out *pgo_imp_image_out(struct pgo_imp *imp, uint32_t index)
{
	const struct pgo_imp_image *image = &imp->images[index];
	struct pgo_imp_image_out *out = &imp->images_out[index];
	const char *name = pgo_strtab_get(&imp->strs, image->filename);

	if (out->looked_up)
		return out;
	out->looked_up = true;
	out->build_id = pgo_strtab_get(&imp->strs, image->build_id);
	if (out->build_id[0] == '\0') { /* it may have been listed apart */
		uint32_t key[2] = {image->filename, 0};
		uint32_t i = pgo_map_find_key(
			&imp->image_map, imp->images, sizeof *imp->images, key, sizeof key);

		if (i != PGO_MAP_NONE)
			out->build_id = pgo_strtab_get(&imp->strs, imp->images[i].late_build_id);
	}
	out->elf = elf_of_options(imp, name, out->build_id);
	if (out->elf == NULL && !imp->o->ignore_paths)
		out->elf = out->own = elf_of_path(name, out->build_id);
	if (out->elf != NULL && out->build_id[0] == '\0')
		out->build_id = out->elf->build_id;
	return out;
}

/* ---------------------------------------------------------------- points */

int pgo_imp_intern(struct pgo_imp_writer *w, uint64_t point, uint32_t *ret)
{
	uint32_t i =
		pgo_map_find_key(&w->point_map, w->points, sizeof *w->points, &point, sizeof point);
	struct pgo_imp_point_out *new;

	if (i == PGO_MAP_NONE) {
		i = (uint32_t)w->n_points;
		new = PGO_VEC_PUSH(w->points, w->n_points, w->points_room);
		if (new == NULL || pgo_map_add_key(&w->point_map, &point, sizeof point, i) < 0)
			return -1;
		new->point = point;
	}
	*ret = i;
	return 0;
}

/* The mapping of (image, segment), made if need be. */
static struct pgo_imp_mapping_out *mapping_of(
	struct pgo_imp_writer *w, uint32_t image, uint32_t segment)
{
	const struct pgo_imp_image *in = &w->imp->images[image];
	struct pgo_imp_image_out *out = pgo_imp_image_out(w->imp, image);
	struct pgo_imp_mapping_out *m;

	for (size_t i = 0; i < w->n_mappings; i++)
		if (w->mappings[i].image == image && w->mappings[i].segment == segment)
			return &w->mappings[i];
	m = PGO_VEC_PUSH(w->mappings, w->n_mappings, w->mappings_room);
	if (m == NULL)
		return NULL;
	m->image = image;
	m->segment = segment;
	m->filename = pgo_imp_str(w, in->filename);
	m->build_id = out->build_id;
	m->hits = w->hits[image];
	if (segment != PGO_NONE) {
		const struct pgo_segment *s = &out->elf->segments[segment];

		m->start = s->vaddr;
		m->limit = s->vaddr + s->memsz;
		m->offset = s->offset;
	} else {
		m->start = m->offset = in->low;
		m->limit = in->high;
	}
	return m;
}

/* The executable segment whose bytes in the file include `offset`. */
static uint32_t segment_at(const struct pgo_elf *e, uint64_t offset)
{
	for (uint32_t i = 0; i < e->n_segments; i++)
		if (e->segments[i].exec && offset >= e->segments[i].offset &&
			offset - e->segments[i].offset < e->segments[i].filesz)
			return i;
	return PGO_NONE;
}

static int place(struct pgo_imp_writer *w, struct pgo_imp_point_out *at)
{
	const struct pgo_imp_window *window = &w->imp->windows[at->point >> 32];
	uint64_t offset = ((uint64_t)window->number << WINDOW_BITS) + (at->point & WINDOW_MASK);
	const struct pgo_elf *e = pgo_imp_image_out(w->imp, window->image)->elf;
	uint32_t segment = e != NULL ? segment_at(e, offset) : PGO_NONE;
	struct pgo_imp_mapping_out *m = mapping_of(w, window->image, segment);

	if (m == NULL)
		return -1;
	at->mapping = (uint32_t)(m - w->mappings);
	at->addr = offset - m->offset + m->start;
	return 0;
}

static int cmp_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* The program itself, or what was hit most, first; then by name, build, place. */
static int cmp_mappings(const void *a, const void *b, void *ctx)
{
	const struct pgo_imp_writer *w = ctx;
	const struct pgo_imp_mapping_out *x = &w->mappings[*(const uint32_t *)a];
	const struct pgo_imp_mapping_out *y = &w->mappings[*(const uint32_t *)b];
	bool x_main = x->image == w->g->main_image, y_main = y->image == w->g->main_image;
	int c;

	if (x_main != y_main)
		return x_main ? -1 : 1;
	if (x->hits != y->hits)
		return x->hits > y->hits ? -1 : 1;
	c = strcmp(x->filename, y->filename);
	if (c == 0)
		c = strcmp(x->build_id, y->build_id);
	if (c == 0)
		c = cmp_u64(x->offset, y->offset);
	return c != 0 ? c : cmp_u64(x->start, y->start);
}

static bool same_mapping(const struct pgo_imp_mapping_out *a, const struct pgo_imp_mapping_out *b)
{
	return strcmp(a->filename, b->filename) == 0 && strcmp(a->build_id, b->build_id) == 0 &&
	       a->start == b->start && a->limit == b->limit && a->offset == b->offset;
}

static int add_mappings(struct pgo_imp_writer *w)
{
	uint32_t *order = pgo_calloc(w->n_mappings, sizeof *order);
	const struct pgo_imp_mapping_out *before = NULL;
	uint32_t index = PGO_NONE;

	if (order == NULL)
		return -1;
	for (uint32_t i = 0; i < w->n_mappings; i++)
		order[i] = i;
	if (w->n_mappings > 0)
		qsort_r(order, w->n_mappings, sizeof *order, cmp_mappings, w);
	for (size_t i = 0; i < w->n_mappings; i++) {
		struct pgo_imp_mapping_out *m = &w->mappings[order[i]];
		struct pgo_mapping out = {
			.start = m->start, .limit = m->limit, .offset = m->offset};

		if (before == NULL || !same_mapping(before, m)) {
			out.filename = pgo_strtab_puts(&w->p->strs, m->filename);
			out.build_id = pgo_strtab_puts(&w->p->strs, m->build_id);
			if (out.filename == PGO_STR_NONE || out.build_id == PGO_STR_NONE)
				break;
			index = pgo_profile_add_mapping(w->p, &out);
			if (index == PGO_NONE)
				break;
		}
		m->index1 = index + 1;
		before = m;
	}
	pgo_free(order);
	return w->n_mappings == 0 || index != PGO_NONE ? 0 : -1;
}

static int cmp_points(const void *a, const void *b, void *ctx)
{
	const struct pgo_imp_writer *w = ctx;
	const struct pgo_imp_point_out *x = &w->points[*(const uint32_t *)a];
	const struct pgo_imp_point_out *y = &w->points[*(const uint32_t *)b];

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return cmp_u64(x->addr, y->addr);
}

static const char *pseudo_name(uint64_t point)
{
	switch (point) {
	case POINT_EXTERNAL:
		return PGO_LBR_EXTERNAL;
	case POINT_EXTERNAL_RETURN:
		return PGO_LBR_EXTERNAL_RETURN;
	case POINT_BRANCH_ONLY:
	default:
		return PGO_LBR_BRANCH_ONLY;
	}
}

static uint32_t add_pseudo(struct pgo_imp_writer *w, uint64_t point)
{
	struct pgo_function f = {.name = pgo_strtab_puts(&w->p->strs, pseudo_name(point))};
	struct pgo_line line = {0};

	if (f.name == PGO_STR_NONE)
		return PGO_NONE;
	f.system_name = f.name;
	line.function = pgo_profile_add_function(w->p, &f);
	if (line.function == PGO_NONE)
		return PGO_NONE;
	return pgo_profile_add_location(w->p, PGO_NONE, 0, &line, 1);
}

/* Places every point, then adds mappings and locations in sorted order. */
int pgo_imp_add_locations(struct pgo_imp_writer *w)
{
	uint32_t *order = pgo_calloc(w->n_points, sizeof *order);
	const struct pgo_imp_point_out *before = NULL;
	int rc = -1;

	if (order == NULL)
		return -1;
	for (uint32_t i = 0; i < w->n_points; i++) {
		order[i] = i;
		if (POINT_IS_ADDRESS(w->points[i].point) && place(w, &w->points[i]) < 0)
			goto out;
	}
	if (add_mappings(w) < 0)
		goto out;
	for (uint32_t i = 0; i < w->n_points; i++) {
		struct pgo_imp_point_out *at = &w->points[i];

		at->rank = UINT32_MAX;
		if (POINT_IS_ADDRESS(at->point))
			at->rank = w->mappings[at->mapping].index1 - 1;
		else
			at->addr = at->point;
	}
	qsort_r(order, w->n_points, sizeof *order, cmp_points, w);
	for (uint32_t i = 0; i < w->n_points; i++) {
		struct pgo_imp_point_out *at = &w->points[order[i]];

		if (before != NULL && before->rank == at->rank && before->addr == at->addr)
			at->loc = before->loc;
		else if (at->rank == UINT32_MAX)
			at->loc = add_pseudo(w, at->point);
		else
			at->loc = pgo_profile_add_location(w->p, at->rank, at->addr, NULL, 0);
		if (at->loc == PGO_NONE)
			goto out;
		before = at;
	}
	rc = 0;
out:
	pgo_free(order);
	return rc;
}
