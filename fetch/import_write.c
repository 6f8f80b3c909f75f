/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sums of one process group -> a profile.  Tables and samples come out sorted by what they are
 * (file name, build-id, address), so that the order of records in the recording does not show.
 */
#include "fetch/import_impl.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/lbr.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What is known of an image once everything has been read. */
struct image_out {
	const char *build_id; /* "" = unknown; of the recording or of the ELF */
	const struct pgo_elf *elf;
	struct pgo_elf *own; /* elf, if it was opened here */
	bool looked_up;
};

struct mapping_out { /* an image's segment, or all of it by file offsets */
	uint32_t image, segment;
	const char *filename, *build_id;
	uint64_t start, limit, offset;
	uint64_t hits;   /* of the whole image in this group */
	uint32_t index1; /* in the profile */
};

struct point_out {
	uint64_t point;
	uint64_t addr;
	uint32_t mapping; /* index into mappings; for special points N/A */
	uint32_t rank;    /* of the mapping; UINT32_MAX for special points */
	uint32_t loc;
};

struct writer {
	struct pgo_imp *imp;
	struct pgo_imp_group *g;
	struct pgo_profile *p;
	struct image_out *images; /* one for each of imp->images; for all groups */
	uint64_t *hits;           /* per image */

	struct point_out *points;
	struct pgo_map point_map;
	size_t n_points, points_room;
	struct mapping_out *mappings;
	size_t n_mappings, mappings_room;

	uint32_t *column; /* of each event, or PGO_NONE */
	bool has_lbr, has_cycles;
	uint32_t n_columns, lbr_column;
	struct pgo_label labels[3];
	uint32_t n_labels;
};

static const char *str(const struct writer *w, uint32_t id)
{
	return pgo_strtab_get(&w->imp->strs, id);
}

/* ---------------------------------------------------------------- images */

static bool ends_in(const char *path, const char *other)
{
	return strcmp(pgo_path_base(path), pgo_path_base(other)) == 0;
}

/* Among the user's binaries: the same build-id; with no build-id recorded, the same name. */
static const struct pgo_elf *elf_of_options(
	struct writer *w, const char *name, const char *build_id)
{
	struct pgo_imp *imp = w->imp;

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

static struct image_out *image_of(struct writer *w, uint32_t index)
{
	const struct pgo_imp_image *image = &w->imp->images[index];
	struct image_out *out = &w->images[index];
	const char *name = str(w, image->filename);

	if (out->looked_up)
		return out;
	out->looked_up = true;
	out->build_id = str(w, image->build_id);
	if (out->build_id[0] == '\0') { /* it may have been listed apart */
		uint32_t key[2] = {image->filename, 0};
		uint32_t i = pgo_map_find_key(&w->imp->image_map, w->imp->images,
			sizeof *w->imp->images, key, sizeof key);

		if (i != PGO_MAP_NONE)
			out->build_id = str(w, w->imp->images[i].late_build_id);
	}
	out->elf = elf_of_options(w, name, out->build_id);
	if (out->elf == NULL && !w->imp->o->ignore_paths)
		out->elf = out->own = elf_of_path(name, out->build_id);
	if (out->elf != NULL && out->build_id[0] == '\0')
		out->build_id = out->elf->build_id;
	return out;
}

/* ---------------------------------------------------------------- points */

static int intern(struct writer *w, uint64_t point, uint32_t *ret)
{
	uint32_t i =
		pgo_map_find_key(&w->point_map, w->points, sizeof *w->points, &point, sizeof point);
	struct point_out *new;

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

static void hit(struct writer *w, uint64_t point, uint64_t n)
{
	if (POINT_IS_ADDRESS(point))
		w->hits[w->imp->windows[point >> 32].image] += n;
}

/* The mapping of (image, segment), made if need be. */
static struct mapping_out *mapping_of(struct writer *w, uint32_t image, uint32_t segment)
{
	const struct pgo_imp_image *in = &w->imp->images[image];
	struct image_out *out = image_of(w, image);
	struct mapping_out *m;

	for (size_t i = 0; i < w->n_mappings; i++)
		if (w->mappings[i].image == image && w->mappings[i].segment == segment)
			return &w->mappings[i];
	m = PGO_VEC_PUSH(w->mappings, w->n_mappings, w->mappings_room);
	if (m == NULL)
		return NULL;
	m->image = image;
	m->segment = segment;
	m->filename = str(w, in->filename);
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

static int place(struct writer *w, struct point_out *at)
{
	const struct pgo_imp_window *window = &w->imp->windows[at->point >> 32];
	uint64_t offset = ((uint64_t)window->number << WINDOW_BITS) + (at->point & WINDOW_MASK);
	const struct pgo_elf *e = image_of(w, window->image)->elf;
	uint32_t segment = e != NULL ? segment_at(e, offset) : PGO_NONE;
	struct mapping_out *m = mapping_of(w, window->image, segment);

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
	const struct writer *w = ctx;
	const struct mapping_out *x = &w->mappings[*(const uint32_t *)a];
	const struct mapping_out *y = &w->mappings[*(const uint32_t *)b];
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

static bool same_mapping(const struct mapping_out *a, const struct mapping_out *b)
{
	return strcmp(a->filename, b->filename) == 0 && strcmp(a->build_id, b->build_id) == 0 &&
	       a->start == b->start && a->limit == b->limit && a->offset == b->offset;
}

static int add_mappings(struct writer *w)
{
	uint32_t *order = pgo_calloc(w->n_mappings, sizeof *order);
	const struct mapping_out *before = NULL;
	uint32_t index = PGO_NONE;

	if (order == NULL)
		return -1;
	for (uint32_t i = 0; i < w->n_mappings; i++)
		order[i] = i;
	if (w->n_mappings > 0)
		qsort_r(order, w->n_mappings, sizeof *order, cmp_mappings, w);
	for (size_t i = 0; i < w->n_mappings; i++) {
		struct mapping_out *m = &w->mappings[order[i]];
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
	const struct writer *w = ctx;
	const struct point_out *x = &w->points[*(const uint32_t *)a];
	const struct point_out *y = &w->points[*(const uint32_t *)b];

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

static uint32_t add_pseudo(struct writer *w, uint64_t point)
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
static int add_locations(struct writer *w)
{
	uint32_t *order = pgo_calloc(w->n_points, sizeof *order);
	const struct point_out *before = NULL;
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
		struct point_out *at = &w->points[i];

		at->rank = UINT32_MAX;
		if (POINT_IS_ADDRESS(at->point))
			at->rank = w->mappings[at->mapping].index1 - 1;
		else
			at->addr = at->point;
	}
	qsort_r(order, w->n_points, sizeof *order, cmp_points, w);
	for (uint32_t i = 0; i < w->n_points; i++) {
		struct point_out *at = &w->points[order[i]];

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

/* ---------------------------------------------------------------- samples */

static int64_t clamp(uint64_t v)
{
	return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static int add_sample(struct writer *w, const uint32_t *loc, uint32_t n, const uint64_t *sums)
{
	int64_t value[64];
	struct pgo_sample s = {loc, value, w->labels, n, w->n_labels};

	for (uint32_t i = 0; i < w->n_columns; i++)
		value[i] = clamp(sums[i]);
	return pgo_profile_add_sample(w->p, &s);
}

struct stack_out {
	const uint32_t *loc;
	uint32_t n, stack;
};

static int cmp_stacks(const void *a, const void *b)
{
	const struct stack_out *x = a, *y = b;

	for (uint32_t i = 0; i < x->n && i < y->n; i++)
		if (x->loc[i] != y->loc[i])
			return x->loc[i] < y->loc[i] ? -1 : 1;
	return x->n < y->n ? -1 : x->n > y->n;
}

static int add_stacks(struct writer *w)
{
	struct pgo_imp_group *g = w->g;
	struct stack_out *out = pgo_calloc(g->n_stacks, sizeof *out);
	uint32_t *locs = pgo_calloc(g->n_points, sizeof *locs);
	uint64_t sums[64] = {0};
	int rc = out != NULL && locs != NULL ? 0 : -1;

	for (size_t i = 0; i < g->n_points && rc == 0; i++) {
		uint32_t at;

		rc = intern(w, g->points[i], &at);
		locs[i] = w->points[at].loc;
	}
	for (size_t i = 0; i < g->n_stacks && rc == 0; i++)
		out[i] = (struct stack_out){locs + g->stacks[i].first, g->stacks[i].n, (uint32_t)i};
	if (rc == 0 && g->n_stacks > 0)
		qsort(out, g->n_stacks, sizeof *out, cmp_stacks);
	for (size_t i = 0; i < g->n_stacks && rc == 0; i++) {
		const struct pgo_imp_stack *s = &g->stacks[out[i].stack];

		sums[0] += s->count;
		sums[w->column[s->event]] += s->value;
		if (i + 1 < g->n_stacks && cmp_stacks(&out[i], &out[i + 1]) == 0)
			continue;
		rc = add_sample(w, out[i].loc, out[i].n, sums);
		memset(sums, 0, sizeof sums);
	}
	pgo_free(out);
	pgo_free(locs);
	return rc;
}

struct trace_out {
	uint32_t loc[3]; /* end, target, source: leaf first */
	uint32_t trace;
};

static int cmp_traces(const void *a, const void *b)
{
	const struct trace_out *x = a, *y = b;

	for (int i = 2; i >= 0; i--)
		if (x->loc[i] != y->loc[i])
			return x->loc[i] < y->loc[i] ? -1 : 1;
	return 0;
}

static int add_traces(struct writer *w)
{
	struct pgo_imp_group *g = w->g;
	struct trace_out *out = pgo_calloc(g->n_traces, sizeof *out);
	uint64_t sums[64] = {0};
	int rc = out != NULL ? 0 : -1;

	for (size_t i = 0; i < g->n_traces && rc == 0; i++) {
		const uint64_t point[3] = {
			g->traces[i].end, g->traces[i].target, g->traces[i].source};

		for (int k = 0; k < 3 && rc == 0; k++) {
			uint32_t at;

			rc = intern(w, point[k], &at);
			out[i].loc[k] = w->points[at].loc;
		}
		out[i].trace = (uint32_t)i;
	}
	if (rc == 0 && g->n_traces > 0)
		qsort(out, g->n_traces, sizeof *out, cmp_traces);
	for (size_t i = 0; i < g->n_traces && rc == 0; i++) {
		const struct pgo_imp_trace *t = &g->traces[out[i].trace];

		sums[w->lbr_column] += t->count;
		sums[w->lbr_column + 1] += t->mispredicts;
		if (w->has_cycles)
			sums[w->lbr_column + 2] += t->cycles;
		if (i + 1 < g->n_traces && cmp_traces(&out[i], &out[i + 1]) == 0)
			continue;
		rc = add_sample(w, out[i].loc, 3, sums);
		memset(sums, 0, sizeof sums);
	}
	pgo_free(out);
	return rc;
}

/* ---------------------------------------------------------------- the head */

/* "cpu_core/cycles/u" and "cycles:upp" are "cycles"; what is not [a-z0-9_] becomes "_". */
static void column_name(const struct pgo_imp_event *e, char ret[64])
{
	const char *from = e->name, *slash = strchr(from, '/');
	size_t n;

	if (e->unit == PGO_UNIT_TIME) {
		memcpy(ret, "cpu", 4);
		return;
	}
	if (slash != NULL && slash[1] != '\0')
		from = slash + 1;
	n = strcspn(from, "/:");
	if (n > 63)
		n = 63;
	for (size_t i = 0; i < n; i++) {
		char c = from[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		ret[i] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '_';
	}
	ret[n] = '\0';
	if (n == 0)
		memcpy(ret, "events", 7);
}

static const char *column_unit(const struct pgo_imp_event *e)
{
	return e->unit == PGO_UNIT_TIME ? "nanoseconds" : "count";
}

static int add_columns(struct writer *w)
{
	struct pgo_imp *imp = w->imp;
	uint32_t first = PGO_NONE;
	char name[64];

	if (pgo_profile_add_sample_type(w->p, "samples", "count") == PGO_NONE)
		return -1;
	for (size_t i = 0; i < imp->n_events; i++) {
		if (imp->events[i].n_used == 0)
			continue;
		column_name(&imp->events[i], name);
		/* "samples" is taken: an event of that name counts as one of no name. */
		w->column[i] = pgo_profile_sample_type(w->p, name);
		if (w->column[i] == PGO_NONE || w->column[i] == 0)
			w->column[i] = pgo_profile_add_sample_type(w->p,
				w->column[i] == 0 ? "events" : name, column_unit(&imp->events[i]));
		if (w->column[i] == PGO_NONE)
			return -1;
		if (first == PGO_NONE)
			first = (uint32_t)i;
	}
	if (first != PGO_NONE) {
		struct pgo_imp_event *e = &imp->events[first];

		w->p->period_type = w->p->sample_types[w->column[first]];
		w->p->default_sample_type = w->p->period_type.type;
		w->p->period = clamp(e->period != 0 ? e->period : e->sum_periods / e->n_used);
	}
	w->lbr_column = (uint32_t)w->p->n_sample_types;
	if (w->has_lbr &&
		(pgo_profile_add_sample_type(w->p, PGO_LBR_TYPE_TRACES, "count") == PGO_NONE ||
			pgo_profile_add_sample_type(w->p, PGO_LBR_TYPE_MISPREDICTS, "count") ==
				PGO_NONE))
		return -1;
	if (w->has_cycles &&
		pgo_profile_add_sample_type(w->p, PGO_LBR_TYPE_CYCLES, "cycles") == PGO_NONE)
		return -1;
	w->n_columns = (uint32_t)w->p->n_sample_types;
	if (w->has_lbr)
		return pgo_profile_add_comment(w->p, "The lbr_ columns are branch records: "
						     "pgo-lbr(7).");
	return 0;
}

static int add_label(struct writer *w, const char *key, const char *value)
{
	struct pgo_label *l = &w->labels[w->n_labels];

	if (value == NULL || value[0] == '\0')
		return 0;
	memset(l, 0, sizeof *l);
	l->key = pgo_strtab_puts(&w->p->strs, key);
	l->str = pgo_strtab_puts(&w->p->strs, value);
	w->n_labels++;
	return l->key != PGO_STR_NONE && l->str != PGO_STR_NONE ? 0 : -1;
}

static int add_head(struct writer *w)
{
	const struct pgo_import_options *o = w->imp->o;
	const struct pgo_rec_info *info = &w->imp->info;
	struct pgo_profile *p = w->p;

	p->duration_ns = clamp(w->g->last_time - w->g->first_time);
	if (o->time_ns != 0)
		p->time_ns = o->time_ns;
	else if (info->has_clock && w->g->first_time != 0)
		p->time_ns = (int64_t)(info->wall_ns + (w->g->first_time - info->clock_ns));
	else
		p->time_ns = w->imp->mtime_ns;
	if (add_columns(w) < 0)
		return -1;
	if (!o->labels)
		return 0;
	return add_label(w, "host", o->host != NULL ? o->host : info->host) < 0 ||
			       add_label(w, "service", o->service) < 0 ||
			       add_label(w, "version", o->version) < 0
		       ? -1
		       : 0;
}

/* ---------------------------------------------------------------- all of it */

static void count_hits(struct writer *w)
{
	const struct pgo_imp_group *g = w->g;

	for (size_t i = 0; i < g->n_stacks; i++)
		hit(w, g->points[g->stacks[i].first], g->stacks[i].count);
	for (size_t i = 0; i < g->n_traces; i++)
		hit(w, g->traces[i].source, g->traces[i].count);
}

static int intern_all(struct writer *w)
{
	const struct pgo_imp_group *g = w->g;
	uint32_t unused;

	for (size_t i = 0; i < g->n_points; i++)
		if (intern(w, g->points[i], &unused) < 0)
			return -1;
	for (size_t i = 0; i < g->n_traces; i++)
		if (intern(w, g->traces[i].source, &unused) < 0 ||
			intern(w, g->traces[i].target, &unused) < 0 ||
			intern(w, g->traces[i].end, &unused) < 0)
			return -1;
	return 0;
}

/* One group -> *ret, which the caller takes. */
static int write_group(struct writer *w, struct pgo_profile **ret, struct pgo_err *err)
{
	int rc = 0;

	w->p = pgo_profile_new(err);
	if (w->p == NULL)
		return err != NULL ? err->code : PGO_ENOMEM;
	w->n_points = w->n_mappings = 0;
	w->n_labels = 0;
	pgo_map_init(&w->point_map);
	memset(w->hits, 0, w->imp->n_images * sizeof *w->hits);
	count_hits(w);
	if (intern_all(w) < 0 || add_head(w) < 0 || add_locations(w) < 0 || add_stacks(w) < 0 ||
		add_traces(w) < 0)
		rc = pgo_err_nomem(err);
	pgo_map_fini(&w->point_map);
	if (rc < 0) {
		pgo_profile_free(w->p);
		return rc;
	}
	*ret = w->p;
	return 0;
}

int pgo_imp_push(
	struct pgo_imported *ret, struct pgo_profile *p, const char *group, struct pgo_err *err)
{
	size_t room = ret->room;
	char *name = pgo_strdup(group);

	if (name == NULL || PGO_VEC_RESERVE(ret->groups, room, ret->n + 1) < 0 ||
		PGO_VEC_RESERVE(ret->profiles, ret->room, ret->n + 1) < 0) {
		pgo_free(name);
		pgo_profile_free(p);
		return pgo_err_nomem(err);
	}
	ret->groups[ret->n] = name;
	ret->profiles[ret->n++] = p;
	return 0;
}

static int cmp_groups(const void *a, const void *b, void *ctx)
{
	const struct writer *w = ctx;
	const struct pgo_imp_group *x = &w->imp->groups[*(const uint32_t *)a];
	const struct pgo_imp_group *y = &w->imp->groups[*(const uint32_t *)b];
	int c = strcmp(str(w, x->comm), str(w, y->comm));

	if (c != 0 || x->main_image == PGO_NONE || y->main_image == PGO_NONE)
		return c != 0 ? c : (x->main_image == PGO_NONE) - (y->main_image == PGO_NONE);
	c = strcmp(str(w, w->imp->images[x->main_image].filename),
		str(w, w->imp->images[y->main_image].filename));
	return c != 0 ? c
		      : strcmp(str(w, w->imp->images[x->main_image].build_id),
				str(w, w->imp->images[y->main_image].build_id));
}

static const char *group_name(const struct writer *w)
{
	const struct pgo_imp *imp = w->imp;

	if (!imp->o->split_processes)
		return strcmp(imp->path, "-") == 0 ? "stdin" : pgo_path_base(imp->path);
	return w->g->comm != 0 ? str(w, w->g->comm) : "unknown";
}

static int write_all(struct writer *w, struct pgo_imported *ret, struct pgo_err *err)
{
	struct pgo_imp *imp = w->imp;
	uint32_t *order = pgo_calloc(imp->n_groups, sizeof *order);
	int rc = 0;

	if (order == NULL)
		return pgo_err_nomem(err);
	for (uint32_t i = 0; i < imp->n_groups; i++)
		order[i] = i;
	if (imp->n_groups > 0)
		qsort_r(order, imp->n_groups, sizeof *order, cmp_groups, w);
	for (size_t i = 0; i < imp->n_groups && rc == 0; i++) {
		struct pgo_profile *p = NULL;

		w->g = &imp->groups[order[i]];
		if (w->g->n_traces == 0 && w->g->n_stacks == 0)
			continue;
		rc = write_group(w, &p, err);
		if (rc == 0)
			rc = pgo_imp_push(ret, p, group_name(w), err);
	}
	pgo_free(order);
	return rc;
}

int pgo_imp_write(struct pgo_imp *imp, struct pgo_imported *ret, struct pgo_err *err)
{
	struct writer w = {.imp = imp};
	uint32_t n_used = 0;
	int rc = PGO_ENOMEM;

	for (size_t i = 0; i < imp->n_events; i++)
		n_used += imp->events[i].n_used > 0;
	if (n_used > 32)
		return pgo_err_set(err, PGO_ELIMIT,
			"%u different events were sampled, pgo takes 32; choose one with --event",
			n_used);
	for (size_t i = 0; i < imp->n_groups; i++)
		for (size_t k = 0; k < imp->groups[i].n_traces; k++) {
			w.has_lbr = true;
			w.has_cycles = w.has_cycles || imp->groups[i].traces[k].cycles != 0;
		}
	w.images = pgo_calloc(imp->n_images, sizeof *w.images);
	w.hits = pgo_calloc(imp->n_images, sizeof *w.hits);
	w.column = pgo_calloc(imp->n_events, sizeof *w.column);
	if (w.images == NULL || w.hits == NULL || w.column == NULL)
		pgo_err_nomem(err);
	else
		rc = write_all(&w, ret, err);
	for (size_t i = 0; w.images != NULL && i < imp->n_images; i++)
		pgo_elf_close(w.images[i].own);
	pgo_free(w.images);
	pgo_free(w.hits);
	pgo_free(w.column);
	pgo_free(w.points);
	pgo_free(w.mappings);
	return rc;
}
