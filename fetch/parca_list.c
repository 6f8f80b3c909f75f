/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Parca server has: which columns, of which hosts, in which windows.  Asked by range queries
 * with steps as long as a window, which give the sum and the number of rows of every window and
 * host: enough to know what there is, whether it changed, and how much to ask for at a time.
 */
#include "fetch/parca_impl.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DAY_NS ((int64_t)86400 * 1000000000)
#define TEXT_MAX ((size_t)1 << 20)
#define REPLY_MAX ((size_t)256 << 20)
/* Windows of a range that are asked for one by one: more are asked for together first. */
#define MAX_WINDOWS 400

/* ---------------------------------------------------------------- columns */

/* Neither time on a processor nor branches. */
static bool is_other(const char *type, const char *unit)
{
	static const char *const names[] = {"alloc", "inuse", "space", "objects", "contentions",
		"delay", "goroutine", "threadcreate", "wallclock", "offcpu", "off_cpu", "memory",
		"mutex", "block", "lock"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strncmp(type, names[i], strlen(names[i])) == 0)
			return true;
	return strcmp(unit, "bytes") == 0;
}

static bool wants_type(const struct pgo_query *q, const struct pgo_parca_type *t)
{
	if (q->n_types == 0)
		return !is_other(t->sample_type, t->sample_unit) &&
		       !is_other(t->period_type, t->period_unit) && !is_other(t->name, "");
	for (size_t i = 0; i < q->n_types; i++)
		if (strcmp(q->types[i], t->sample_type) == 0)
			return true;
	return false;
}

static bool same_family(const struct pgo_parca_type *a, const struct pgo_parca_type *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->period_type, b->period_type) == 0 &&
	       strcmp(a->period_unit, b->period_unit) == 0 && a->delta == b->delta;
}

static int copy_type(struct pgo_parca_type *to, const struct pgo_parca_type *t, struct pgo_err *err)
{
	to->name = pgo_strdup(t->name);
	to->sample_type = pgo_strdup(t->sample_type);
	to->sample_unit = pgo_strdup(t->sample_unit);
	to->period_type = pgo_strdup(t->period_type);
	to->period_unit = pgo_strdup(t->period_unit);
	to->delta = t->delta;
	return to->name != NULL && to->sample_type != NULL && to->sample_unit != NULL &&
			       to->period_type != NULL && to->period_unit != NULL
		       ? 0
		       : pgo_err_nomem(err);
}

static int add_type(void *ctx, const struct pgo_parca_type *t, struct pgo_err *err)
{
	struct pgo_parca_source *s = ctx;
	struct pgo_parca_family *f = NULL;
	struct pgo_parca_type *to;

	if (!wants_type(s->base.query, t))
		return 0;
	for (size_t i = 0; i < s->n_families && f == NULL; i++)
		if (same_family(&s->families[i].types[0], t))
			f = &s->families[i];
	if (f != NULL && f->n == PGO_PARCA_COLUMNS) {
		pgo_warn("%s: %s has more than %d columns; %s/%s is left out", s->url.name, t->name,
			PGO_PARCA_COLUMNS, t->sample_type, t->sample_unit);
		return 0;
	}
	if (f == NULL)
		f = PGO_VEC_PUSH(s->families, s->n_families, s->families_room);
	to = f != NULL ? PGO_VEC_PUSH(f->types, f->n, f->room) : NULL;
	return to != NULL ? copy_type(to, t, err) : pgo_err_nomem(err);
}

static int cmp_type(const void *a, const void *b)
{
	const struct pgo_parca_type *x = a, *y = b;
	int c = strcmp(x->sample_type, y->sample_type);

	return c != 0 ? c : strcmp(x->sample_unit, y->sample_unit);
}

static int cmp_family(const void *a, const void *b)
{
	const struct pgo_parca_type *x = ((const struct pgo_parca_family *)a)->types;
	const struct pgo_parca_type *y = ((const struct pgo_parca_family *)b)->types;
	int c = strcmp(x->name, y->name);

	if (c == 0)
		c = strcmp(x->period_type, y->period_type);
	if (c == 0)
		c = strcmp(x->period_unit, y->period_unit);
	return c != 0 ? c : x->delta - y->delta;
}

/* Asks, with the message in `b`, and leaves the reply there; an empty one where there is nothing. */
static int ask_here(
	struct pgo_parca_source *s, const char *method, struct pgo_buf *b, struct pgo_err *err)
{
	struct pgo_buf reply;
	int rc = pgo_buf_check(b, "a query", err);

	pgo_buf_init(&reply, REPLY_MAX);
	if (rc == 0)
		rc = pgo_parca_ask(s, method, b, &reply, err);
	if (rc == PGO_EEMPTY) {
		pgo_buf_clear(&reply);
		rc = 0;
	}
	pgo_buf_fini(b);
	*b = reply;
	return rc;
}

static int find_families(
	struct pgo_parca_source *s, int64_t from_ns, int64_t to_ns, struct pgo_err *err)
{
	struct pgo_buf b;
	int rc;

	pgo_buf_init(&b, TEXT_MAX);
	pgo_parca_put_types(&b, from_ns > 0 ? from_ns - 1 : 0, from_ns > 0 ? to_ns : 0);
	rc = ask_here(s, PGO_PARCA_QUERY "ProfileTypes", &b, err);
	if (rc == 0)
		rc = pgo_parca_get_types(b.data, b.len, add_type, s, err);
	pgo_buf_fini(&b);
	if (rc == 0 && s->n_families != 0)
		qsort(s->families, s->n_families, sizeof *s->families, cmp_family);
	for (size_t i = 0; i < s->n_families && rc == 0; i++)
		qsort(s->families[i].types, s->families[i].n, sizeof *s->families[i].types,
			cmp_type);
	return rc;
}

/* ---------------------------------------------------------------- labels */

struct label_names {
	char **of;
	size_t n, room;
};

static int add_name(void *ctx, const char *name, struct pgo_err *err)
{
	struct label_names *l = ctx;

	return pgo_record_list_add(&l->of, &l->n, &l->room, name, err);
}

static bool has_name(const struct label_names *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->of[i], name) == 0)
			return true;
	return false;
}

/* The first of those names that the store has, or "". */
static char *first_name(const struct label_names *l, const char *const *names)
{
	while (*names != NULL && !has_name(l, *names))
		names++;
	return pgo_strdup(*names != NULL ? *names : "");
}

static int keep(struct pgo_parca_source *s, const char *name, struct pgo_err *err)
{
	for (size_t i = 0; i < s->n_kept; i++)
		if (strcmp(s->kept[i], name) == 0)
			return 0;
	if (*name == '\0')
		return 0;
	return pgo_record_list_add(&s->kept, &s->n_kept, &s->kept_room, name, err);
}

/* The store's name for what a matcher calls host, service or version. */
static const char *store_name(const struct pgo_parca_source *s, const char *key)
{
	const char *name = strcmp(key, "host") == 0      ? s->names.host
			   : strcmp(key, "service") == 0 ? s->names.service
			   : strcmp(key, "version") == 0 ? s->names.version
							 : "";

	return *name != '\0' ? name : key;
}

static int cmp_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int choose_labels(struct pgo_parca_source *s, const struct label_names *have,
	const struct pgo_query *q, struct pgo_err *err)
{
	int rc;

	s->names.host =
		q->by_host != NULL ? pgo_strdup(q->by_host) : first_name(have, pgo_host_labels);
	s->names.service = first_name(have, pgo_service_labels);
	s->names.version = first_name(have, pgo_version_labels);
	if (s->names.host == NULL || s->names.service == NULL || s->names.version == NULL)
		return pgo_err_nomem(err);
	if (q->by_host != NULL && !has_name(have, q->by_host))
		pgo_warn("%s: no profile has the label %s, so hosts are not told apart",
			s->url.name, q->by_host);
	rc = keep(s, s->names.host, err);
	if (rc == 0)
		rc = keep(s, s->names.service, err);
	if (rc == 0)
		rc = keep(s, s->names.version, err);
	for (size_t i = 0; i < q->selection->n_matchers && rc == 0; i++) {
		const char *key = q->selection->matchers[i].key;

		if (strcmp(key, "build_id") != 0)
			rc = keep(s, store_name(s, key), err);
	}
	if (rc == 0 && s->n_kept != 0)
		qsort(s->kept, s->n_kept, sizeof *s->kept, cmp_text);
	return rc;
}

static int find_labels(struct pgo_parca_source *s, const struct pgo_query *q, int64_t from_ns,
	int64_t to_ns, struct pgo_err *err)
{
	struct label_names have = {0};
	struct pgo_buf b;
	int rc;

	pgo_buf_init(&b, TEXT_MAX);
	pgo_parca_put_labels(&b, from_ns > 0 ? from_ns - 1 : 0, from_ns > 0 ? to_ns : 0);
	rc = ask_here(s, PGO_PARCA_QUERY "Labels", &b, err);
	if (rc == 0)
		rc = pgo_parca_get_labels(b.data, b.len, add_name, &have, err);
	if (rc == 0)
		rc = choose_labels(s, &have, q, err);
	pgo_buf_fini(&b);
	for (size_t i = 0; i < have.n; i++)
		pgo_free(have.of[i]);
	pgo_free(have.of);
	return rc;
}

static int copy_label(struct pgo_parca_labels *to, const struct pgo_kv *from)
{
	struct pgo_kv *kv = PGO_VEC_PUSH(to->kv, to->n, to->room);

	if (kv == NULL)
		return -1;
	kv->key = pgo_strdup(from->key);
	kv->value = pgo_strdup(from->value);
	return kv->key != NULL && kv->value != NULL ? 0 : -1;
}

/* The index of the set of kept labels with these values; `without`: a label to leave out. */
static int intern_labels(struct pgo_parca_source *s, const struct pgo_kv *have, size_t n,
	const char *without, uint32_t *ret, struct pgo_err *err)
{
	struct pgo_parca_labels *to;
	struct pgo_buf text;
	uint32_t id = PGO_STR_NONE;
	bool fresh;

	pgo_buf_init(&text, TEXT_MAX);
	for (size_t i = 0; i < s->n_kept; i++) {
		struct pgo_matcher m = {.value = (char *)(uintptr_t) "", .op = PGO_MATCH_IS};

		if (without != NULL && strcmp(s->kept[i], without) == 0)
			continue;
		for (size_t k = 0; k < n; k++)
			if (strcmp(have[k].key, s->kept[i]) == 0)
				m.value = have[k].value;
		if (text.len != 0)
			pgo_buf_putc(&text, ',');
		pgo_matcher_write(&m, s->kept[i], &text);
	}
	if (!text.failed)
		id = pgo_strtab_add(&s->matchers, text.len != 0 ? text.data : "", text.len);
	pgo_buf_fini(&text);
	if (id == PGO_STR_NONE)
		return pgo_err_nomem(err);
	*ret = id;
	fresh = s->n_labels <= id;
	while (s->n_labels <= id)
		if (PGO_VEC_PUSH(s->labels, s->n_labels, s->labels_room) == NULL)
			return pgo_err_nomem(err);
	to = &s->labels[id];
	for (size_t i = 0; i < s->n_kept && fresh; i++)
		for (size_t k = 0; k < n; k++)
			if (strcmp(have[k].key, s->kept[i]) == 0 &&
				(without == NULL || strcmp(have[k].key, without) != 0) &&
				copy_label(to, &have[k]) < 0)
				return pgo_err_nomem(err);
	return 0;
}

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
	int rc = intern_labels(l->s, labels, n, NULL, &id, err);

	if (rc == 0 && add_cell(l, id, false, p) < 0)
		rc = pgo_err_nomem(err);
	if (rc < 0 || !l->s->joined || *host == '\0')
		return rc;
	rc = intern_labels(l->s, labels, n, host, &id, err);
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
		pgo_matcher_write(m, store_name(l->s, m->key), &b);
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
	rc = query != NULL ? ask_here(s, PGO_PARCA_QUERY "QueryRange", &b, err)
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
		rc = find_families(s, l.from_ns, l.to_ns, err);
	if (rc == 0 && s->n_families != 0)
		rc = find_labels(s, q, l.from_ns, l.to_ns, err);
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
