/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums -> pprofs.  Everything is sorted by what it is (names, addresses), so that neither the order
 * of messages nor that of their tables shows.
 */
#include "fetch/import_impl.h"
#include "fetch/otlp_impl.h"
#include "pgo/core/file.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

struct writer {
	struct pgo_otlp *otlp;
	/* Ranks of things among their kind. */
	uint32_t *strings, *mappings, *functions, *locations, *stacks, *labels, *columns, *groups;

	/* Of the group at hand. */
	struct pgo_profile *p;
	const struct pgo_otlp_group *g;
	const struct pgo_otlp_entry *from;
	size_t n;
	uint32_t *mapping_out, *function_out, *location_out; /* index in p, or PGO_NONE */
	uint32_t *used;                                      /* locations of the group */
	size_t n_used, used_room;
	struct pgo_line *lines;
	size_t lines_room;
	struct pgo_label *sample_labels;
	size_t sample_labels_room;
	uint32_t *stack;
	size_t stack_room;
	int64_t *values;
};

static const char *str(const struct writer *w, uint32_t id)
{
	return pgo_strtab_get(&w->otlp->strs, id);
}

/* ---------------------------------------------------------------- ranks */

static int cmp_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int cmp_i64(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

static int cmp_strings(const void *a, const void *b, void *ctx)
{
	const struct writer *w = ctx;
	const struct pgo_str *x = &w->otlp->strs.strs[*(const uint32_t *)a];
	const struct pgo_str *y = &w->otlp->strs.strs[*(const uint32_t *)b];
	int c = memcmp(x->s, y->s, x->len < y->len ? x->len : y->len);

	return c != 0 ? c : cmp_u64(x->len, y->len);
}

static int cmp_mappings(const void *a, const void *b, void *ctx)
{
	const struct writer *w = ctx;
	size_t len;
	const struct pgo_otlp_mapping *x =
		pgo_otlp_thing(&w->otlp->mappings, *(const uint32_t *)a, &len);
	const struct pgo_otlp_mapping *y =
		pgo_otlp_thing(&w->otlp->mappings, *(const uint32_t *)b, &len);
	int c;

	if (x == NULL || y == NULL)
		return (x != NULL) - (y != NULL);
	c = cmp_u64(w->strings[x->filename], w->strings[y->filename]);
	c = c != 0 ? c : cmp_u64(w->strings[x->build_id], w->strings[y->build_id]);
	c = c != 0 ? c : cmp_u64(x->start, y->start);
	c = c != 0 ? c : cmp_u64(x->limit, y->limit);
	return c != 0 ? c : cmp_u64(x->offset, y->offset);
}

static int cmp_functions(const void *a, const void *b, void *ctx)
{
	const struct writer *w = ctx;
	size_t len;
	const struct pgo_otlp_function *x =
		pgo_otlp_thing(&w->otlp->functions, *(const uint32_t *)a, &len);
	const struct pgo_otlp_function *y =
		pgo_otlp_thing(&w->otlp->functions, *(const uint32_t *)b, &len);
	int c;

	if (x == NULL || y == NULL)
		return (x != NULL) - (y != NULL);
	c = cmp_u64(w->strings[x->name], w->strings[y->name]);
	c = c != 0 ? c : cmp_u64(w->strings[x->system_name], w->strings[y->system_name]);
	c = c != 0 ? c : cmp_u64(w->strings[x->filename], w->strings[y->filename]);
	return c != 0 ? c : cmp_i64(x->start_line, y->start_line);
}

static int cmp_lines(const struct writer *w, uint32_t a, uint32_t b)
{
	size_t n, m;
	const struct pgo_otlp_line *x = pgo_otlp_thing(&w->otlp->lines, a, &n);
	const struct pgo_otlp_line *y = pgo_otlp_thing(&w->otlp->lines, b, &m);

	n /= sizeof *x;
	m /= sizeof *y;
	for (size_t i = 0; i < n && i < m && a != b; i++) {
		int c = cmp_u64(w->functions[x[i].function], w->functions[y[i].function]);

		c = c != 0 ? c : cmp_i64(x[i].line, y[i].line);
		c = c != 0 ? c : cmp_i64(x[i].column, y[i].column);
		if (c != 0)
			return c;
	}
	return cmp_u64(n, m);
}

static int cmp_locations(const void *a, const void *b, void *ctx)
{
	const struct writer *w = ctx;
	size_t len;
	const struct pgo_otlp_location *x =
		pgo_otlp_thing(&w->otlp->locations, *(const uint32_t *)a, &len);
	const struct pgo_otlp_location *y =
		pgo_otlp_thing(&w->otlp->locations, *(const uint32_t *)b, &len);
	int c;

	if (x == NULL || y == NULL)
		return (x != NULL) - (y != NULL);
	c = cmp_u64(w->mappings[x->mapping], w->mappings[y->mapping]);
	c = c != 0 ? c : cmp_u64(x->addr, y->addr);
	return c != 0 ? c : cmp_lines(w, x->lines, y->lines);
}

static int cmp_stacks(const void *a, const void *b, void *ctx)
{
	const struct writer *w = ctx;
	size_t n, m;
	const uint32_t *x = pgo_otlp_thing(&w->otlp->stacks, *(const uint32_t *)a, &n);
	const uint32_t *y = pgo_otlp_thing(&w->otlp->stacks, *(const uint32_t *)b, &m);

	n /= sizeof *x;
	m /= sizeof *y;
	for (size_t i = 0; i < n && i < m; i++)
		if (x[i] != y[i])
			return cmp_u64(w->locations[x[i]], w->locations[y[i]]);
	return cmp_u64(n, m);
}

static int cmp_label_sets(const void *a, const void *b, void *ctx)
{
	const struct writer *w = ctx;
	size_t n, m;
	const struct pgo_otlp_label *x = pgo_otlp_thing(&w->otlp->labels, *(const uint32_t *)a, &n);
	const struct pgo_otlp_label *y = pgo_otlp_thing(&w->otlp->labels, *(const uint32_t *)b, &m);

	n /= sizeof *x;
	m /= sizeof *y;
	for (size_t i = 0; i < n && i < m; i++) {
		int c = cmp_u64(w->strings[x[i].key], w->strings[y[i].key]);

		c = c != 0 ? c : cmp_u64(w->strings[x[i].str], w->strings[y[i].str]);
		c = c != 0 ? c : cmp_i64(x[i].num, y[i].num);
		if (c != 0)
			return c;
	}
	return cmp_u64(n, m);
}

/* Samples and time first, as in every profile of ours. */
static unsigned column_class(const struct writer *w, const struct pgo_otlp_column *c)
{
	const char *type = str(w, c->type);

	return strcmp(type, "samples") == 0 ? 0 : strcmp(type, "cpu") == 0 ? 1 : 2;
}

static int cmp_columns(const void *a, const void *b, void *ctx)
{
	const struct writer *w = ctx;
	const struct pgo_otlp_column *x = &w->otlp->columns[*(const uint32_t *)a];
	const struct pgo_otlp_column *y = &w->otlp->columns[*(const uint32_t *)b];
	int c = cmp_u64(column_class(w, x), column_class(w, y));

	c = c != 0 ? c : cmp_u64(w->strings[x->type], w->strings[y->type]);
	return c != 0 ? c : cmp_u64(w->strings[x->unit], w->strings[y->unit]);
}

static int cmp_groups(const void *a, const void *b, void *ctx)
{
	const struct writer *w = ctx;
	const struct pgo_otlp_group *x = &w->otlp->groups[*(const uint32_t *)a];
	const struct pgo_otlp_group *y = &w->otlp->groups[*(const uint32_t *)b];
	int c = cmp_u64(w->strings[x->program], w->strings[y->program]);

	c = c != 0 ? c : cmp_u64(w->labels[x->labels], w->labels[y->labels]);
	c = c != 0 ? c : cmp_u64(w->strings[x->period_type], w->strings[y->period_type]);
	c = c != 0 ? c : cmp_u64(w->strings[x->period_unit], w->strings[y->period_unit]);
	return c != 0 ? c : cmp_i64(x->period, y->period);
}

/* Rank of each of n things by `cmp`, which gets their numbers. */
static uint32_t *ranks(struct writer *w, size_t n, int (*cmp)(const void *, const void *, void *))
{
	uint32_t *order = pgo_calloc(n + 1, sizeof *order), *rank = pgo_calloc(n + 1, sizeof *rank);

	if (order == NULL || rank == NULL) {
		pgo_free(order);
		pgo_free(rank);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, n, sizeof *order, cmp, w);
	for (size_t i = 0; i < n; i++)
		rank[order[i]] = (uint32_t)i;
	pgo_free(order);
	return rank;
}

static bool rank_all(struct writer *w)
{
	struct pgo_otlp *o = w->otlp;

	return (w->strings = ranks(w, o->strs.n_strs, cmp_strings)) != NULL &&
	       (w->mappings = ranks(w, o->mappings.n_strs, cmp_mappings)) != NULL &&
	       (w->functions = ranks(w, o->functions.n_strs, cmp_functions)) != NULL &&
	       (w->locations = ranks(w, o->locations.n_strs, cmp_locations)) != NULL &&
	       (w->stacks = ranks(w, o->stacks.n_strs, cmp_stacks)) != NULL &&
	       (w->labels = ranks(w, o->labels.n_strs, cmp_label_sets)) != NULL &&
	       (w->columns = ranks(w, o->n_columns, cmp_columns)) != NULL &&
	       (w->groups = ranks(w, o->n_groups, cmp_groups)) != NULL;
}

static int cmp_entries(const void *a, const void *b, void *ctx)
{
	const struct writer *w = ctx;
	const struct pgo_otlp_entry *x = a, *y = b;
	int c = cmp_u64(w->groups[x->group], w->groups[y->group]);

	c = c != 0 ? c : cmp_u64(w->stacks[x->stack], w->stacks[y->stack]);
	c = c != 0 ? c : cmp_u64(w->labels[x->labels], w->labels[y->labels]);
	return c != 0 ? c : cmp_u64(w->columns[x->column], w->columns[y->column]);
}

/* ---------------------------------------------------------------- tables of one group */

static uint32_t copy_str(struct writer *w, uint32_t id)
{
	const struct pgo_str *s = &w->otlp->strs.strs[id];

	return pgo_strtab_add(&w->p->strs, s->s, s->len);
}

static uint32_t add_mapping(struct writer *w, uint32_t id)
{
	size_t len;
	const struct pgo_otlp_mapping *m = pgo_otlp_thing(&w->otlp->mappings, id, &len);
	struct pgo_mapping out = {0};

	if (m == NULL || w->mapping_out[id] != PGO_NONE)
		return m == NULL ? PGO_NONE : w->mapping_out[id];
	out.start = m->start;
	out.limit = m->limit;
	out.offset = m->offset;
	out.filename = copy_str(w, m->filename);
	out.build_id = copy_str(w, m->build_id);
	if (out.filename == PGO_STR_NONE || out.build_id == PGO_STR_NONE)
		return PGO_NONE;
	return w->mapping_out[id] = pgo_profile_add_mapping(w->p, &out);
}

static uint32_t add_function(struct writer *w, uint32_t id)
{
	size_t len;
	const struct pgo_otlp_function *f = pgo_otlp_thing(&w->otlp->functions, id, &len);
	struct pgo_function out = {0};

	if (f == NULL || w->function_out[id] != PGO_NONE)
		return f == NULL ? PGO_NONE : w->function_out[id];
	out.name = copy_str(w, f->name);
	out.system_name = copy_str(w, f->system_name);
	out.filename = copy_str(w, f->filename);
	out.start_line = f->start_line;
	if (out.name == PGO_STR_NONE || out.system_name == PGO_STR_NONE ||
		out.filename == PGO_STR_NONE)
		return PGO_NONE;
	return w->function_out[id] = pgo_profile_add_function(w->p, &out);
}

static int add_location(struct writer *w, uint32_t id)
{
	size_t len, n;
	const struct pgo_otlp_location *l = pgo_otlp_thing(&w->otlp->locations, id, &len);
	const struct pgo_otlp_line *line = pgo_otlp_thing(&w->otlp->lines, l->lines, &n);
	uint32_t mapping = add_mapping(w, l->mapping);

	n = line != NULL ? n / sizeof *line : 0;
	if ((l->mapping != 0 && mapping == PGO_NONE) ||
		PGO_VEC_RESERVE(w->lines, w->lines_room, n + 1) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		w->lines[i] = (struct pgo_line){
			add_function(w, line[i].function), line[i].line, line[i].column};
		if (w->lines[i].function == PGO_NONE)
			return -1;
	}
	w->location_out[id] =
		pgo_profile_add_location(w->p, mapping, l->addr, w->lines, (uint32_t)n);
	return w->location_out[id] != PGO_NONE ? 0 : -1;
}

static int cmp_used(const void *a, const void *b, void *ctx)
{
	const struct writer *w = ctx;

	return cmp_u64(w->locations[*(const uint32_t *)a], w->locations[*(const uint32_t *)b]);
}

/* The locations that stacks of the group name, each once. */
static int collect(struct writer *w)
{
	w->n_used = 0;
	for (size_t i = 0; i < w->n; i++) {
		size_t n;
		const uint32_t *stack = pgo_otlp_thing(&w->otlp->stacks, w->from[i].stack, &n);

		if (i > 0 && w->from[i].stack == w->from[i - 1].stack)
			continue;
		for (n /= sizeof *stack; n-- > 0;) {
			if (w->location_out[stack[n]] != PGO_NONE)
				continue;
			if (PGO_VEC_RESERVE(w->used, w->used_room, w->n_used + 1) < 0)
				return -1;
			w->location_out[stack[n]] = 0;
			w->used[w->n_used++] = stack[n];
		}
	}
	qsort_r(w->used, w->n_used, sizeof *w->used, cmp_used, w);
	return 0;
}

static uint32_t mapping_of(const struct writer *w, uint32_t location)
{
	size_t len;
	const struct pgo_otlp_location *l = pgo_otlp_thing(&w->otlp->locations, location, &len);

	return l->mapping;
}

static bool is_program(const struct writer *w, uint32_t mapping)
{
	size_t len;
	const struct pgo_otlp_mapping *m = pgo_otlp_thing(&w->otlp->mappings, mapping, &len);

	return m != NULL && w->g->program != 0 &&
	       strcmp(pgo_path_base(str(w, m->filename)), str(w, w->g->program)) == 0;
}

/* The main program comes first: that of the group's name, else that of most samples' leaves. */
static int add_main(struct writer *w)
{
	uint64_t *hits = pgo_calloc(w->otlp->mappings.n_strs, sizeof *hits);
	uint32_t best = 0;

	if (hits == NULL)
		return -1;
	for (size_t i = 0; i < w->n; i++) {
		size_t n;
		const uint32_t *stack = pgo_otlp_thing(&w->otlp->stacks, w->from[i].stack, &n);
		uint32_t m = mapping_of(w, stack[0]);

		if (__builtin_add_overflow(hits[m], (uint64_t)w->from[i].value, &hits[m]))
			hits[m] = UINT64_MAX;
	}
	for (size_t i = 0; i < w->n_used; i++) {
		uint32_t m = mapping_of(w, w->used[i]);

		if (m != 0 &&
			(best == 0 || is_program(w, m) > is_program(w, best) ||
				(is_program(w, m) == is_program(w, best) && hits[m] > hits[best])))
			best = m;
	}
	pgo_free(hits);
	return best != 0 && add_mapping(w, best) == PGO_NONE ? -1 : 0;
}

/* Names are there for a mapping if they are for all of its locations. */
static void set_flags(struct pgo_profile *p)
{
	for (size_t i = 0; i < p->n_locations; i++)
		if (p->locations[i].mapping != PGO_NONE)
			p->mappings[p->locations[i].mapping].has_functions = true;
	for (size_t i = 0; i < p->n_locations; i++)
		if (p->locations[i].mapping != PGO_NONE && p->locations[i].n_lines == 0)
			p->mappings[p->locations[i].mapping].has_functions = false;
	for (size_t i = 0; i < p->n_mappings; i++)
		p->mappings[i].has_filenames = p->mappings[i].has_line_numbers =
			p->mappings[i].has_functions;
}

/* ---------------------------------------------------------------- samples of one group */

/* Columns that have a value in this group, in order; fills their index into `at` by rank. */
static int add_columns(struct writer *w, uint32_t *at)
{
	for (size_t i = 0; i < w->otlp->n_columns; i++)
		at[i] = PGO_NONE;
	for (size_t i = 0; i < w->n; i++)
		at[w->columns[w->from[i].column]] = w->from[i].column;
	for (size_t i = 0; i < w->otlp->n_columns; i++) {
		const struct pgo_otlp_column *c;

		if (at[i] == PGO_NONE)
			continue;
		c = &w->otlp->columns[at[i]];
		at[i] = pgo_profile_add_sample_type(w->p, str(w, c->type), str(w, c->unit));
		if (at[i] == PGO_NONE)
			return -1;
	}
	w->values = pgo_calloc(w->p->n_sample_types, sizeof *w->values);
	return w->values != NULL ? 0 : -1;
}

static int add_sample(struct writer *w, const struct pgo_otlp_entry *e)
{
	size_t n, m;
	const uint32_t *stack = pgo_otlp_thing(&w->otlp->stacks, e->stack, &n);
	const struct pgo_otlp_label *l = pgo_otlp_thing(&w->otlp->labels, e->labels, &m);
	struct pgo_sample s = {.value = w->values};

	n /= sizeof *stack;
	m = l != NULL ? m / sizeof *l : 0;
	if (PGO_VEC_RESERVE(w->stack, w->stack_room, n) < 0 ||
		PGO_VEC_RESERVE(w->sample_labels, w->sample_labels_room, m + 1) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		w->stack[i] = w->location_out[stack[i]];
	for (size_t i = 0; i < m; i++) {
		w->sample_labels[i] = (struct pgo_label){.key = copy_str(w, l[i].key),
			.str = copy_str(w, l[i].str),
			.num = l[i].num};
		if (w->sample_labels[i].key == PGO_STR_NONE ||
			w->sample_labels[i].str == PGO_STR_NONE)
			return -1;
	}
	s.loc = w->stack;
	s.n_loc = (uint32_t)n;
	s.label = w->sample_labels;
	s.n_label = (uint32_t)m;
	return pgo_profile_add_sample(w->p, &s);
}

static int add_samples(struct writer *w, const uint32_t *column_at)
{
	int rc = 0;

	for (size_t i = 0; i < w->n && rc == 0; i++) {
		const struct pgo_otlp_entry *e = &w->from[i];

		w->values[column_at[w->columns[e->column]]] = e->value;
		if (i + 1 < w->n && e[1].stack == e->stack && e[1].labels == e->labels)
			continue;
		rc = add_sample(w, e);
		memset(w->values, 0, w->p->n_sample_types * sizeof *w->values);
	}
	return rc;
}

static int add_head(struct writer *w)
{
	struct pgo_profile *p = w->p;
	uint32_t column;

	p->period_type.type = copy_str(w, w->g->period_type);
	p->period_type.unit = copy_str(w, w->g->period_unit);
	if (p->period_type.type == PGO_STR_NONE || p->period_type.unit == PGO_STR_NONE)
		return -1;
	p->period = w->g->period;
	p->time_ns = w->otlp->o->time_ns != 0 ? w->otlp->o->time_ns : w->g->from_ns;
	p->duration_ns = w->g->to_ns - w->g->from_ns;
	column = pgo_profile_sample_type(p, str(w, w->g->period_type));
	p->default_sample_type = p->sample_types[column != PGO_NONE ? column : 0].type;
	return 0;
}

/* Gives the places of this group's things back. */
static void forget(struct writer *w)
{
	for (size_t i = 0; i < w->n_used; i++) {
		size_t len, n;
		const struct pgo_otlp_location *l =
			pgo_otlp_thing(&w->otlp->locations, w->used[i], &len);
		const struct pgo_otlp_line *line = pgo_otlp_thing(&w->otlp->lines, l->lines, &n);

		w->location_out[w->used[i]] = PGO_NONE;
		w->mapping_out[l->mapping] = PGO_NONE;
		for (n = line != NULL ? n / sizeof *line : 0; n-- > 0;)
			w->function_out[line[n].function] = PGO_NONE;
	}
	w->n_used = 0;
	pgo_free(w->values);
	w->values = NULL;
}

static int write_group(struct writer *w, struct pgo_profile **ret, struct pgo_err *err)
{
	uint32_t *column_at = pgo_calloc(w->otlp->n_columns + 1, sizeof *column_at);
	int rc = 0;

	w->p = pgo_profile_new(err);
	if (w->p == NULL || column_at == NULL || collect(w) < 0 || add_columns(w, column_at) < 0 ||
		add_head(w) < 0 || add_main(w) < 0)
		rc = -1;
	for (size_t i = 0; i < w->n_used && rc == 0; i++)
		rc = add_location(w, w->used[i]);
	if (rc == 0)
		rc = add_samples(w, column_at);
	forget(w);
	pgo_free(column_at);
	if (rc < 0) {
		pgo_profile_free(w->p);
		return pgo_err_nomem(err);
	}
	set_flags(w->p);
	*ret = w->p;
	return 0;
}

/* ---------------------------------------------------------------- all of it */

/* The program, else the service, else that it is not known. */
static const char *group_name(const struct writer *w)
{
	size_t n;
	const struct pgo_otlp_label *l = pgo_otlp_thing(&w->otlp->labels, w->g->labels, &n);

	if (w->g->program != 0)
		return str(w, w->g->program);
	for (size_t i = 0; l != NULL && i < n / sizeof *l; i++)
		if (strcmp(str(w, l[i].key), "service") == 0 && l[i].str != 0)
			return str(w, l[i].str);
	return "unknown";
}

static int push(
	struct writer *w, struct pgo_imported *ret, struct pgo_profile *p, struct pgo_err *err)
{
	const char *host = w->g->host != PGO_NONE ? str(w, w->g->host) : "";
	char **hosts = pgo_realloc_array(ret->hosts, ret->n + 1, sizeof *hosts);
	char *copy = pgo_strdup(host);
	int rc;

	if (hosts != NULL)
		ret->hosts = hosts;
	if (hosts == NULL || copy == NULL) {
		pgo_free(copy);
		pgo_profile_free(p);
		return pgo_err_nomem(err);
	}
	rc = pgo_imp_push(ret, p, group_name(w), err);
	if (rc == 0)
		ret->hosts[ret->n - 1] = copy;
	else
		pgo_free(copy);
	return rc;
}

static int write_groups(struct writer *w, struct pgo_imported *ret, struct pgo_err *err)
{
	struct pgo_otlp *o = w->otlp;
	int rc = 0;

	if (o->n_entries > 0)
		qsort_r(o->entries, o->n_entries, sizeof *o->entries, cmp_entries, w);
	for (size_t i = 0, end; i < o->n_entries && rc == 0; i = end) {
		struct pgo_profile *p = NULL;

		for (end = i; end < o->n_entries && o->entries[end].group == o->entries[i].group;)
			end++;
		w->from = &o->entries[i];
		w->n = end - i;
		w->g = &o->groups[w->from->group];
		rc = write_group(w, &p, err);
		if (rc == 0)
			rc = push(w, ret, p, err);
	}
	return rc;
}

static uint32_t *places(size_t n)
{
	uint32_t *p = pgo_calloc(n, sizeof *p);

	for (size_t i = 0; p != NULL && i < n; i++)
		p[i] = PGO_NONE;
	return p;
}

int pgo_otlp_write(struct pgo_otlp *otlp, struct pgo_imported *ret, struct pgo_err *err)
{
	struct writer w = {.otlp = otlp};
	int rc = PGO_ENOMEM;

	w.mapping_out = places(otlp->mappings.n_strs);
	w.function_out = places(otlp->functions.n_strs);
	w.location_out = places(otlp->locations.n_strs);
	if (w.mapping_out != NULL && w.function_out != NULL && w.location_out != NULL &&
		rank_all(&w))
		rc = write_groups(&w, ret, err);
	else
		pgo_err_nomem(err);
	pgo_free(w.strings);
	pgo_free(w.mappings);
	pgo_free(w.functions);
	pgo_free(w.locations);
	pgo_free(w.stacks);
	pgo_free(w.labels);
	pgo_free(w.columns);
	pgo_free(w.groups);
	pgo_free(w.mapping_out);
	pgo_free(w.function_out);
	pgo_free(w.location_out);
	pgo_free(w.used);
	pgo_free(w.lines);
	pgo_free(w.sample_labels);
	pgo_free(w.stack);
	return rc;
}
