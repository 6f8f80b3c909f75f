/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sums of one process group -> a profile.  Tables and samples come out sorted by what they are
 * (file name, build-id, address), so that the order of records in the recording does not show.
 */
#include "fetch/import_writer.h"
#include "fetch/unbias.h"
#include "pgo/core/file.h"
#include "pgo/core/lbr.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- samples */

static int64_t clamp(uint64_t v)
{
	return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static int add_sample(
	struct pgo_imp_writer *w, const uint32_t *loc, uint32_t n, const uint64_t *sums)
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

static int add_stacks(struct pgo_imp_writer *w)
{
	struct pgo_imp_group *g = w->g;
	struct stack_out *out = pgo_calloc(g->n_stacks, sizeof *out);
	uint32_t *locs = pgo_calloc(g->n_points, sizeof *locs);
	uint64_t sums[64] = {0};
	int rc = out != NULL && locs != NULL ? 0 : -1;

	for (size_t i = 0; i < g->n_points && rc == 0; i++) {
		uint32_t at;

		rc = pgo_imp_intern(w, g->points[i], &at);
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

static int add_traces(struct pgo_imp_writer *w)
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

			rc = pgo_imp_intern(w, point[k], &at);
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
		if (w->has_executions) {
			uint64_t *to = &sums[w->n_columns - 1];

			*to = pgo_unbias_add(*to, g->executions[out[i].trace]);
		}
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

static int add_columns(struct pgo_imp_writer *w)
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
	if (w->has_executions &&
		pgo_profile_add_sample_type(w->p, PGO_LBR_TYPE_EXECUTIONS, "count") == PGO_NONE)
		return -1;
	w->n_columns = (uint32_t)w->p->n_sample_types;
	if (w->has_lbr)
		return pgo_profile_add_comment(w->p, "The lbr_ columns are branch records: "
						     "pgo-lbr(7).");
	return 0;
}

static int add_label(struct pgo_imp_writer *w, const char *key, const char *value)
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

static int add_head(struct pgo_imp_writer *w)
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

static void hit(struct pgo_imp_writer *w, uint64_t point, uint64_t n)
{
	if (POINT_IS_ADDRESS(point))
		w->hits[w->imp->windows[point >> 32].image] += n;
}

static void count_hits(struct pgo_imp_writer *w)
{
	const struct pgo_imp_group *g = w->g;

	for (size_t i = 0; i < g->n_stacks; i++)
		hit(w, g->points[g->stacks[i].first], g->stacks[i].count);
	for (size_t i = 0; i < g->n_traces; i++)
		hit(w, g->traces[i].source, g->traces[i].count);
}

static int intern_all(struct pgo_imp_writer *w)
{
	const struct pgo_imp_group *g = w->g;
	uint32_t unused;

	for (size_t i = 0; i < g->n_points; i++)
		if (pgo_imp_intern(w, g->points[i], &unused) < 0)
			return -1;
	for (size_t i = 0; i < g->n_traces; i++)
		if (pgo_imp_intern(w, g->traces[i].source, &unused) < 0 ||
			pgo_imp_intern(w, g->traces[i].target, &unused) < 0 ||
			pgo_imp_intern(w, g->traces[i].end, &unused) < 0)
			return -1;
	return 0;
}

/* One group -> *ret, which the caller takes. */
static int write_group(struct pgo_imp_writer *w, struct pgo_profile **ret, struct pgo_err *err)
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
	if (intern_all(w) < 0 || add_head(w) < 0 || pgo_imp_add_locations(w) < 0 ||
		add_stacks(w) < 0 || add_traces(w) < 0)
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
	const struct pgo_imp_writer *w = ctx;
	const struct pgo_imp_group *x = &w->imp->groups[*(const uint32_t *)a];
	const struct pgo_imp_group *y = &w->imp->groups[*(const uint32_t *)b];
	int c = strcmp(pgo_imp_str(w, x->comm), pgo_imp_str(w, y->comm));

	if (c != 0 || x->main_image == PGO_NONE || y->main_image == PGO_NONE)
		return c != 0 ? c : (x->main_image == PGO_NONE) - (y->main_image == PGO_NONE);
	c = strcmp(pgo_imp_str(w, w->imp->images[x->main_image].filename),
		pgo_imp_str(w, w->imp->images[y->main_image].filename));
	return c != 0 ? c
		      : strcmp(pgo_imp_str(w, w->imp->images[x->main_image].build_id),
				pgo_imp_str(w, w->imp->images[y->main_image].build_id));
}

static const char *group_name(const struct pgo_imp_writer *w)
{
	const struct pgo_imp *imp = w->imp;

	if (!imp->o->split_processes)
		return strcmp(imp->path, "-") == 0 ? "stdin" : pgo_path_base(imp->path);
	return w->g->comm != 0 ? pgo_imp_str(w, w->g->comm) : "unknown";
}

static int write_all(struct pgo_imp_writer *w, struct pgo_imported *ret, struct pgo_err *err)
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
	struct pgo_imp_writer w = {.imp = imp};
	uint32_t n_used = 0;
	int rc = PGO_ENOMEM;

	for (size_t i = 0; i < imp->n_events; i++)
		n_used += imp->events[i].n_used > 0;
	if (n_used > 32)
		return pgo_err_set(err, PGO_ELIMIT,
			"%u different events were sampled, pgo takes 32; choose one with --event",
			n_used);
	for (size_t i = 0; i < imp->n_groups; i++) {
		w.has_executions = w.has_executions || imp->groups[i].executions != NULL;
		for (size_t k = 0; k < imp->groups[i].n_traces; k++) {
			w.has_lbr = true;
			w.has_cycles = w.has_cycles || imp->groups[i].traces[k].cycles != 0;
		}
	}
	w.hits = pgo_calloc(imp->n_images, sizeof *w.hits);
	w.column = pgo_calloc(imp->n_events, sizeof *w.column);
	if (w.hits == NULL || w.column == NULL)
		pgo_err_nomem(err);
	else
		rc = write_all(&w, ret, err);
	pgo_free(w.hits);
	pgo_free(w.column);
	pgo_free(w.points);
	pgo_free(w.mappings);
	return rc;
}
