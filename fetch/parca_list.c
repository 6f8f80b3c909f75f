/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Parca server has: which columns, of which hosts, in which windows.  Asked by range queries
 * with steps as long as a window, which give the sum and the number of rows of every window and
 * host: enough to know what there is, whether it changed, and how much to ask for at a time.
 */
#include "fetch/parca_impl.h"
#include "pgo/core/alloc.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DAY_NS ((int64_t)86400 * 1000000000)
#define TEXT_MAX ((size_t)1 << 20)
/* Windows of a range that are asked for one by one: more are asked for together first. */
#define MAX_WINDOWS 400

/* ---------------------------------------------------------------- windows */

/* What one range query says of one column, host and window. */
struct cell {
	uint32_t family, labels, column;
	bool joined;
	int64_t window_ns;
	struct pgo_parca_cell said;
};

struct listing {
	struct pgo_parca_source *s;
	const struct pgo_query *q;
	int64_t from_ns, to_ns; /* from <= time < to */
	char tag[9];
	uint32_t family, column; /* being asked for */
	struct cell *cells;
	size_t n, room;
};

static int64_t floor_to(int64_t ns, int64_t step)
{
	return ns - (ns % step + step) % step;
}

static int add_cell(
	struct listing *l, uint32_t labels, bool joined, const struct pgo_parca_point *p)
{
	struct cell *c = PGO_VEC_PUSH(l->cells, l->n, l->room);

	if (c == NULL)
		return -1;
	c->family = l->family;
	c->column = l->column;
	c->labels = labels;
	c->joined = joined;
	c->window_ns = floor_to(p->time_ns, l->s->window);
	c->said.rows = p->count > 0 ? (uint64_t)p->count : 1;
	c->said.sum = p->value;
	return 0;
}

static int add_point(void *ctx, const struct pgo_kv *labels, size_t n,
	const struct pgo_parca_point *p, struct pgo_err *err)
{
	struct listing *l = ctx;
	const char *host = l->s->names.host;
	uint32_t id;
	int rc = pgo_parca_labels_id(l->s, labels, n, NULL, &id, err);

	if (rc == 0 && add_cell(l, id, false, p) < 0)
		rc = pgo_err_nomem(err);
	if (rc < 0 || !l->s->joined || *host == '\0')
		return rc;
	rc = pgo_parca_labels_id(l->s, labels, n, host, &id, err);
	return rc == 0 && add_cell(l, id, true, p) < 0 ? pgo_err_nomem(err) : rc;
}

/* The query for a column of all hosts that are selected. */
static char *listing_query(const struct listing *l, const struct pgo_parca_type *t)
{
	const struct pgo_selection *sel = l->q->selection;
	struct pgo_buf b;
	char *text;

	pgo_buf_init(&b, TEXT_MAX);
	pgo_parca_put_name(&b, t);
	for (size_t i = 0; i < sel->n_matchers; i++) {
		const struct pgo_matcher *m = &sel->matchers[i];

		if (strcmp(m->key, "build_id") == 0)
			continue;
		pgo_buf_putc(&b, ',');
		pgo_matcher_write(m, pgo_parca_label_name(l->s, m->key), &b);
	}
	pgo_buf_putc(&b, '}');
	text = b.failed ? NULL : pgo_strdup(b.data);
	pgo_buf_fini(&b);
	return text;
}

static int ask_range(struct listing *l, int64_t from_ns, int64_t to_ns, struct pgo_err *err)
{
	struct pgo_parca_source *s = l->s;
	char *query = listing_query(l, &s->families[l->family].types[l->column]);
	struct pgo_buf b;
	int rc;

	pgo_buf_init(&b, TEXT_MAX);
	if (query != NULL)
		pgo_parca_put_range(&b, query, from_ns, to_ns - 1, s->window, s->kept, s->n_kept);
	rc = query != NULL ? pgo_parca_ask_here(s, PGO_PARCA_QUERY "QueryRange", &b, err)
			   : pgo_err_nomem(err);
	if (rc == 0)
		rc = pgo_parca_get_range(b.data, b.len, add_point, l, err);
	pgo_buf_fini(&b);
	pgo_free(query);
	return rc;
}

/* At once, or in halves where that is more than the store can do in its time. */
static int list_range(struct listing *l, int64_t from_ns, int64_t to_ns, struct pgo_err *err)
{
	int64_t step = l->s->window, first = floor_to(from_ns, step);
	int64_t mid = first + (to_ns - first) / 2 / step * step;
	struct pgo_err why = PGO_ERR_INIT;
	size_t before = l->n;
	int rc = ask_range(l, from_ns, to_ns, &why);

	if (rc == 0)
		return 0;
	if ((rc != PGO_ELIMIT && rc != PGO_ENET) || mid <= from_ns)
		return pgo_err_set(err, why.code, "%s", why.msg);
	l->n = before;
	rc = list_range(l, from_ns, mid, err);
	return rc == 0 ? list_range(l, mid, to_ns, err) : rc;
}

/* Window by window where there are not too many, so that no answer takes the store long. */
static int list_column(struct listing *l, struct pgo_err *err)
{
	int64_t step = l->s->window, first = floor_to(l->from_ns, step);
	int64_t n = (l->to_ns - first + step - 1) / step;
	int rc = 0;

	if (n > MAX_WINDOWS)
		return list_range(l, l->from_ns, l->to_ns, err);
	for (int64_t a = first; a < l->to_ns && rc == 0; a += step)
		rc = ask_range(l, a > l->from_ns ? a : l->from_ns,
			a + step < l->to_ns ? a + step : l->to_ns, err);
	return rc;
}

/* ---------------------------------------------------------------- objects */

static int cmp_cell(const void *a, const void *b)
{
	const struct cell *x = a, *y = b;

	if (x->family != y->family)
		return x->family < y->family ? -1 : 1;
	if (x->joined != y->joined)
		return x->joined ? -1 : 1;
	if (x->labels != y->labels)
		return x->labels < y->labels ? -1 : 1;
	if (x->window_ns != y->window_ns)
		return x->window_ns < y->window_ns ? -1 : 1;
	return x->column < y->column ? -1 : x->column > y->column;
}

static char *name_of(
	const struct listing *l, const struct pgo_parca_object *o, const struct pgo_parca_type *t)
{
	const struct pgo_parca_source *s = l->s;
	const struct pgo_parca_labels *set = &s->labels[o->labels];
	struct pgo_buf b;
	char when[32], *name;

	pgo_buf_init(&b, TEXT_MAX);
	pgo_buf_puts(&b, s->url.name);
	pgo_name_add(&b, t->name);
	pgo_buf_putc(&b, ':');
	pgo_http_escape(&b, t->period_type, false);
	pgo_buf_putc(&b, ':');
	pgo_http_escape(&b, t->period_unit, false);
	pgo_buf_puts(&b, t->delta ? ":delta" : "");
	for (size_t i = 0; i < set->n; i++) {
		pgo_name_add(&b, set->kv[i].key);
		pgo_buf_putc(&b, '=');
		pgo_http_escape(&b, set->kv[i].value, false);
	}
	if (o->joined)
		pgo_name_add(&b, s->names.host);
	pgo_format_time(o->window_ns, when, sizeof when);
	pgo_buf_printf(&b, "/%s+%" PRId64 "h", when, s->window / (3600 * (int64_t)1000000000));
	if (l->tag[0] != '\0')
		pgo_buf_printf(&b, "/%s", l->tag);
	name = b.failed ? NULL : pgo_strdup(b.data);
	pgo_buf_fini(&b);
	return name;
}

/* The cells of one object, from `c` on; their number. */
static size_t add_object(struct listing *l, const struct cell *c, size_t n, struct pgo_err *err)
{
	struct pgo_parca_source *s = l->s;
	const struct pgo_parca_family *f = &s->families[c->family];
	struct pgo_parca_object *o = PGO_VEC_PUSH(s->objects, s->n_objects, s->objects_room);
	size_t used = 0;

	if (o == NULL || (o->cells = pgo_calloc(f->n, sizeof *o->cells)) == NULL) {
		pgo_err_nomem(err);
		return 0;
	}
	o->family = c->family;
	o->labels = c->labels;
	o->joined = c->joined;
	o->window_ns = c->window_ns;
	o->from_ns = c->window_ns > l->from_ns ? c->window_ns : l->from_ns;
	o->to_ns = c->window_ns + s->window < l->to_ns ? c->window_ns + s->window : l->to_ns;
	for (; used < n && c[used].family == c->family && c[used].joined == c->joined &&
		c[used].labels == c->labels && c[used].window_ns == c->window_ns;
		used++) {
		o->cells[c[used].column].rows += c[used].said.rows;
		o->cells[c[used].column].sum = (int64_t)((uint64_t)o->cells[c[used].column].sum +
							 (uint64_t)c[used].said.sum);
	}
	o->name = name_of(l, o, &f->types[0]);
	if (o->name == NULL) {
		pgo_err_nomem(err);
		return 0;
	}
	return used;
}

static int cmp_object(const void *a, const void *b)
{
	return strcmp(((const struct pgo_parca_object *)a)->name,
		((const struct pgo_parca_object *)b)->name);
}

static int make_objects(struct listing *l, struct pgo_err *err)
{
	struct pgo_parca_source *s = l->s;
	size_t used;

	if (l->n != 0)
		qsort(l->cells, l->n, sizeof *l->cells, cmp_cell);
	for (size_t i = 0; i < l->n; i += used) {
		used = add_object(l, l->cells + i, l->n - i, err);
		if (used == 0)
			return PGO_ENOMEM;
	}
	if (s->n_objects != 0)
		qsort(s->objects, s->n_objects, sizeof *s->objects, cmp_object);
	return 0;
}

int pgo_parca_find(struct pgo_parca_source *s, const struct pgo_query *q, struct pgo_err *err)
{
	struct listing l = {.s = s,
		.q = q,
		.from_ns = q->since_ns > 0 ? q->since_ns : 0,
		/* Clocks of hosts go ahead of ours. */
		.to_ns = q->until_ns > 0 ? q->until_ns : floor_to(pgo_now(), DAY_NS) + 2 * DAY_NS};
	int rc;

	if (l.to_ns <= l.from_ns)
		return 0;
	rc = pgo_query_tag(q, l.tag, err);
	if (rc == 0)
		rc = pgo_parca_find_families(s, l.from_ns, l.to_ns, err);
	if (rc == 0 && s->n_families != 0)
		rc = pgo_parca_find_labels(s, q, l.from_ns, l.to_ns, err);
	for (l.family = 0; l.family < s->n_families && rc == 0; l.family++)
		for (l.column = 0; l.column < s->families[l.family].n && rc == 0; l.column++)
			rc = list_column(&l, err);
	if (rc == 0)
		rc = make_objects(&l, err);
	pgo_free(l.cells);
	return rc;
}

void pgo_parca_forget(struct pgo_parca_source *s)
{
	for (size_t i = 0; i < s->n_families; i++) {
		for (size_t k = 0; k < s->families[i].n; k++) {
			struct pgo_parca_type *t = &s->families[i].types[k];

			pgo_free(t->name);
			pgo_free(t->sample_type);
			pgo_free(t->sample_unit);
			pgo_free(t->period_type);
			pgo_free(t->period_unit);
		}
		pgo_free(s->families[i].types);
	}
	for (size_t i = 0; i < s->n_labels; i++) {
		for (size_t k = 0; k < s->labels[i].n; k++) {
			pgo_free(s->labels[i].kv[k].key);
			pgo_free(s->labels[i].kv[k].value);
		}
		pgo_free(s->labels[i].kv);
	}
	for (size_t i = 0; i < s->n_objects; i++) {
		pgo_free(s->objects[i].name);
		pgo_free(s->objects[i].cells);
	}
	for (size_t i = 0; i < s->n_kept; i++)
		pgo_free(s->kept[i]);
	pgo_free(s->families);
	pgo_free(s->labels);
	pgo_free(s->objects);
	pgo_free(s->kept);
	pgo_free(s->names.host);
	pgo_free(s->names.service);
	pgo_free(s->names.version);
	pgo_strtab_fini(&s->matchers);
}
