/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums of series groups -> objects: one for each service, host, version, value of the labels that
 * the user's matchers speak of, kind of profile and window.  And the same once more, finer, for a
 * merge whose addresses do not fit its mappings.
 */
#include "fetch/columns.h"
#include "fetch/pyroscope_list.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define SUM_MAX 1e18

/* ---------------------------------------------------------------- which labels */

/* The label of `names` that most rows of a service have; the first of those. NULL = none has any. */
static const char *most_common(
	const struct pgo_pyro_asks *sums, size_t service, const char *const *names, size_t n_names)
{
	const char *best = NULL;
	size_t most = 0;

	for (size_t k = 0; k < n_names; k++) {
		size_t have = 0;

		for (size_t i = 0; i < sums->n; i++) {
			const struct pgo_pyro_ask *q = sums->of[i];

			for (size_t r = 0; q->service == service && r < q->rows.n; r++)
				have += *pgo_pyro_row_get(&q->rows.of[r], names[k]) != '\0';
		}
		if (have > most) {
			most = have;
			best = names[k];
		}
	}
	return best;
}

static void choose_labels(struct pgo_pyro_lister *l, const struct pgo_pyro_asks *sums)
{
	for (size_t i = 0; i < l->n_services; i++) {
		struct pgo_pyro_service *v = &l->services[i];

		v->host_label = most_common(sums, i, l->group_by, l->n_hosts);
		v->version_label = most_common(sums, i, l->group_by + l->n_hosts, l->n_versions);
		if (v->host_label != NULL)
			pgo_note("%s: hosts of service %s are told apart by the label %s",
				l->s->place, v->name, v->host_label);
		else
			pgo_note("%s: no label of service %s tells its hosts apart (say which one "
				 "does with --by-host)",
				l->s->place, v->name);
	}
}

/* ---------------------------------------------------------------- rows in order */

/* A row with what it is part of; strings are borrowed from the answers. */
struct entry {
	const struct pgo_pyro_row *row;
	const struct pgo_pyro_service *service;
	const char *host, *version;
	unsigned window;
	uint32_t type;
};

static const char *value_of(const struct pgo_pyro_row *row, const char *label)
{
	return label != NULL ? pgo_pyro_row_get(row, label) : "";
}

static int cmp_kind(const struct pgo_pyro_type *a, const struct pgo_pyro_type *b)
{
	int c = strcmp(a->name, b->name);

	if (c == 0)
		c = strcmp(a->period_type, b->period_type);
	return c != 0 ? c : strcmp(a->period_unit, b->period_unit);
}

/* The same object? */
static int cmp_object(const struct pgo_pyro_lister *l, const struct entry *a, const struct entry *b)
{
	int c = strcmp(a->service->name, b->service->name);

	if (c == 0)
		c = cmp_kind(&l->s->types[a->type], &l->s->types[b->type]);
	if (c == 0)
		c = strcmp(a->host, b->host);
	if (c == 0)
		c = strcmp(a->version, b->version);
	for (size_t i = l->n_hosts + l->n_versions; i < l->n_group_by && c == 0; i++)
		c = strcmp(pgo_pyro_row_get(a->row, l->group_by[i]),
			pgo_pyro_row_get(b->row, l->group_by[i]));
	return c != 0 ? c : (a->window > b->window) - (a->window < b->window);
}

static int cmp_entries(const void *x, const void *y, void *ctx)
{
	const struct pgo_pyro_lister *l = ctx;
	const struct entry *a = x, *b = y;
	const struct pgo_pyro_type *s = &l->s->types[a->type], *t = &l->s->types[b->type];
	int c = cmp_object(l, a, b);

	if (c == 0)
		c = pgo_columns_order(s->type, t->type);
	return c != 0 ? c : strcmp(s->unit, t->unit);
}

/* ---------------------------------------------------------------- names and selectors */

static void put_component(struct pgo_buf *b, const char *text)
{
	if (*text == '\0')
		pgo_buf_putc(b, '-');
	else if (strcmp(text, "-") == 0)
		pgo_buf_puts(b, "%2D");
	else if (text[0] == '.' && text[strspn(text, ".")] == '\0')
		for (; *text != '\0'; text++)
			pgo_buf_puts(b, "%2E");
	else
		pgo_http_escape(b, text, false);
}

static void put_pair(struct pgo_buf *b, const char *key, const char *value)
{
	pgo_buf_putc(b, '/');
	pgo_http_escape(b, key, false);
	pgo_buf_putc(b, '=');
	pgo_http_escape(b, value, false);
}

/* The usual kind of profile is not named. */
static void put_kind(struct pgo_buf *b, const struct pgo_pyro_type *t)
{
	const char *const part[] = {t->name, t->period_type, t->period_unit};

	if (strcmp(t->name, "process_cpu") == 0 && strcmp(t->period_type, "cpu") == 0 &&
		strcmp(t->period_unit, "nanoseconds") == 0)
		return;
	for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
		pgo_buf_putc(b, i == 0 ? '/' : ':');
		put_component(b, part[i]);
	}
}

static void put_window(struct pgo_buf *b, int64_t grid_ns, const char *length)
{
	char at[32];

	pgo_format_time(grid_ns, at, sizeof at);
	pgo_buf_printf(b, "/%s+%s", at, length);
}

/* host:port/SERVICE[/KIND]/HOST[/LABEL=VALUE...]/2026-11-20T00:00:00Z+24h */
static char *make_name(const struct pgo_pyro_lister *l, const struct entry *e)
{
	struct pgo_buf b;
	char *name;

	pgo_buf_init(&b, PGO_PYRO_TEXT_MAX);
	pgo_buf_puts(&b, l->s->place);
	if (l->tag[0] != '\0')
		pgo_buf_printf(&b, "/%s", l->tag);
	pgo_buf_putc(&b, '/');
	put_component(&b, e->service->name);
	put_kind(&b, &l->s->types[e->type]);
	pgo_buf_putc(&b, '/');
	put_component(&b, e->host);
	if (e->version[0] != '\0')
		put_pair(&b, e->service->version_label, e->version);
	for (size_t i = l->n_hosts + l->n_versions; i < l->n_group_by; i++) {
		const char *value = pgo_pyro_row_get(e->row, l->group_by[i]);

		if (value[0] != '\0')
			put_pair(&b, l->group_by[i], value);
	}
	put_window(&b, l->windows[e->window].grid_ns, "24h");
	name = b.failed ? NULL : pgo_strdup(b.data);
	pgo_buf_fini(&b);
	return name;
}

/* Everything by equality: a label that a series does not have is equal to "". */
static char *make_selector(const struct pgo_pyro_lister *l, const struct entry *e)
{
	struct pgo_buf b;
	char *selector;

	pgo_buf_init(&b, PGO_PYRO_TEXT_MAX);
	pgo_buf_putc(&b, '{');
	pgo_pyro_matcher(&b, "service_name", "=", e->service->name);
	if (e->service->host_label != NULL) {
		pgo_buf_putc(&b, ',');
		pgo_pyro_matcher(&b, e->service->host_label, "=", e->host);
	}
	if (e->service->version_label != NULL) {
		pgo_buf_putc(&b, ',');
		pgo_pyro_matcher(&b, e->service->version_label, "=", e->version);
	}
	for (size_t i = l->n_hosts + l->n_versions; i < l->n_group_by; i++) {
		pgo_buf_putc(&b, ',');
		pgo_pyro_matcher(&b, l->group_by[i], "=", pgo_pyro_row_get(e->row, l->group_by[i]));
	}
	pgo_buf_putc(&b, '}');
	selector = b.failed ? NULL : pgo_strdup(b.data);
	pgo_buf_fini(&b);
	return selector;
}

/* ---------------------------------------------------------------- labels of the record */

static int put_label(struct pgo_pyro_object *o, const char *key, const char *value)
{
	struct pgo_kv *to = &o->labels[o->n_labels];

	if (*value == '\0')
		return 0;
	to->key = pgo_strdup(key);
	to->value = pgo_strdup(value);
	o->n_labels++;
	return to->key != NULL && to->value != NULL ? 0 : -1;
}

/* Labels that all rows of the object agree on, beside host, service and version. */
static int put_common(struct pgo_pyro_object *o, const struct entry *e, size_t n, const char *label)
{
	const char *value = pgo_pyro_row_get(e->row, label);

	if (strcmp(label, "host") == 0 || strcmp(label, "service") == 0 ||
		strcmp(label, "version") == 0)
		return 0;
	for (size_t i = 1; i < n; i++)
		if (strcmp(value, pgo_pyro_row_get(e[i].row, label)) != 0)
			return 0;
	return put_label(o, label, value);
}

static int make_labels(
	const struct pgo_pyro_lister *l, struct pgo_pyro_object *o, const struct entry *e, size_t n)
{
	int rc;

	o->labels = pgo_calloc(l->n_group_by + 3, sizeof *o->labels);
	if (o->labels == NULL)
		return -1;
	rc = put_label(o, "host", e->host);
	if (rc == 0)
		rc = put_label(o, "service", e->service->name);
	if (rc == 0)
		rc = put_label(o, "version", e->version);
	for (size_t i = 0; i < l->n_group_by && rc == 0; i++)
		rc = put_common(o, e, n, l->group_by[i]);
	return rc;
}

/* Do all matchers but those of build-ids take it? */
static int is_selected(
	const struct pgo_pyro_lister *l, const struct pgo_pyro_object *o, struct pgo_err *err)
{
	struct pgo_record rec = {0};
	int rc = pgo_record_set(&rec.host, "", err);
	bool takes;

	for (size_t i = 0; i < o->n_labels && rc == 0; i++) {
		const struct pgo_kv *kv = &o->labels[i];

		if (strcmp(kv->key, "host") == 0)
			rc = pgo_record_set(&rec.host, kv->value, err);
		else if (strcmp(kv->key, "service") == 0)
			rc = pgo_record_set(&rec.service, kv->value, err);
		else if (strcmp(kv->key, "version") == 0)
			rc = pgo_record_set(&rec.version, kv->value, err);
		else
			rc = pgo_record_label(&rec, kv->key, kv->value, err);
	}
	for (size_t i = 0; i < o->n_labels && rc == 0; i++)
		if (strcmp(o->labels[i].key, "service") == 0)
			rc = pgo_record_label(&rec, "service_name", o->labels[i].value, err);
	takes = rc == 0 && pgo_selection_takes(&l->selection, &rec);
	pgo_record_fini(&rec);
	return rc < 0 ? rc : takes;
}

/* ---------------------------------------------------------------- one object */

static int make_types(struct pgo_pyro_object *o, const struct entry *e, size_t n)
{
	double sum = 0;

	o->types = pgo_calloc(n, sizeof *o->types);
	o->how = pgo_calloc(n, sizeof *o->how);
	if (o->types == NULL || o->how == NULL)
		return -1;
	for (size_t i = 0; i < n; i++) {
		sum += e[i].row->sum > 0 ? e[i].row->sum : 0;
		if (o->n_types == 0 || o->types[o->n_types - 1] != e[i].type)
			o->types[o->n_types++] = e[i].type;
	}
	o->sum = sum < SUM_MAX ? (uint64_t)sum : (uint64_t)SUM_MAX;
	return 0;
}

static int make_object(
	struct pgo_pyro_lister *l, const struct entry *e, size_t n, struct pgo_err *err)
{
	const struct pgo_pyro_window *w = &l->windows[e->window];
	struct pgo_pyro_object o = {
		.from_ns = w->from_ns,
		.to_ns = w->to_ns,
		.window_ns = w->grid_ns + PGO_PYRO_DAY,
	};
	const char *host_label = e->service->host_label;
	int rc;

	o.name = make_name(l, e);
	o.selector = make_selector(l, e);
	o.host_label = pgo_strdup(host_label != NULL ? host_label : "");
	if (o.name == NULL || o.selector == NULL || o.host_label == NULL ||
		make_labels(l, &o, e, n) < 0 || make_types(&o, e, n) < 0)
		rc = pgo_err_nomem(err);
	else
		rc = is_selected(l, &o, err);
	if (rc > 0)
		return pgo_pyro_add(l->s, &o, err);
	pgo_pyro_object_fini(&o);
	return rc;
}

static size_t count_rows(const struct pgo_pyro_asks *sums)
{
	size_t n = 0;

	for (size_t i = 0; i < sums->n; i++)
		n += sums->of[i]->rows.n;
	return n;
}

/* A group without any value has no samples. */
static size_t fill_entries(
	const struct pgo_pyro_lister *l, const struct pgo_pyro_asks *sums, struct entry *to)
{
	size_t n = 0;

	for (size_t i = 0; i < sums->n; i++) {
		const struct pgo_pyro_ask *q = sums->of[i];
		const struct pgo_pyro_service *v = &l->services[q->service];

		for (size_t r = 0; r < q->rows.n; r++)
			if (q->rows.of[r].sum > 0)
				to[n++] = (struct entry){&q->rows.of[r], v,
					value_of(&q->rows.of[r], v->host_label),
					value_of(&q->rows.of[r], v->version_label), q->window,
					q->type};
	}
	return n;
}

int pgo_pyro_objects_make(
	struct pgo_pyro_lister *l, const struct pgo_pyro_asks *sums, struct pgo_err *err)
{
	struct entry *e = pgo_calloc(count_rows(sums), sizeof *e);
	size_t n, end;
	int rc = 0;

	if (e == NULL)
		return pgo_err_nomem(err);
	choose_labels(l, sums);
	n = fill_entries(l, sums, e);
	if (n != 0)
		qsort_r(e, n, sizeof *e, cmp_entries, l);
	for (size_t i = 0; i < n && rc == 0; i = end) {
		for (end = i + 1; end < n && cmp_object(l, &e[i], &e[end]) == 0;)
			end++;
		rc = make_object(l, &e[i], end - i, err);
	}
	pgo_free(e);
	return rc;
}

/* ---------------------------------------------------------------- handing out */

/* A merge may always be split: by a label, or into hours. */
static bool may_split(const struct pgo_pyro_object *o)
{
	return o->splits == 0 || o->to_ns - o->from_ns > PGO_PYRO_HOUR;
}

static int cmp_names(const void *a, const void *b, void *ctx)
{
	const struct pgo_pyro *s = ctx;

	return strcmp(s->objects[*(const uint32_t *)a].name, s->objects[*(const uint32_t *)b].name);
}

int pgo_pyro_each(
	struct pgo_pyro *s, size_t first, pgo_each_listed *each, void *ctx, struct pgo_err *err)
{
	size_t n = s->n_objects - first;
	uint32_t *order = pgo_calloc(n, sizeof *order);
	int rc = 0;

	if (order == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < n; i++)
		order[i] = (uint32_t)(first + i);
	if (n != 0)
		qsort_r(order, n, sizeof *order, cmp_names, s);
	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct pgo_pyro_object *o = &s->objects[order[i]];
		const struct pgo_listed listed = {
			.name = o->name,
			.size = o->sum,
			.mtime_ns = o->window_ns,
			.parts = (unsigned)o->n_types,
			.joined = may_split(o),
		};

		rc = each(ctx, &listed, err);
	}
	pgo_free(order);
	return rc;
}

/* ---------------------------------------------------------------- splitting */

/* Another object, for a piece of what `o` stands for; the caller sets what differs. */
static int copy_object(
	const struct pgo_pyro_object *o, struct pgo_pyro_object *to, struct pgo_err *err)
{
	*to = *o;
	to->name = to->selector = NULL;
	to->labels = NULL;
	to->n_labels = 0;
	to->splits++;
	to->host_label = pgo_strdup(o->host_label);
	to->types = pgo_calloc(o->n_types, sizeof *to->types);
	to->how = pgo_calloc(o->n_types, sizeof *to->how);
	to->labels = pgo_calloc(o->n_labels + 2, sizeof *to->labels);
	if (to->host_label == NULL || to->types == NULL || to->how == NULL || to->labels == NULL)
		return pgo_err_nomem(err);
	memcpy(to->types, o->types, o->n_types * sizeof *to->types);
	for (size_t i = 0; i < o->n_labels; i++)
		if (put_label(to, o->labels[i].key, o->labels[i].value) < 0)
			return pgo_err_nomem(err);
	return 0;
}

/* The piece of `o` that one value of a label stands for. */
static int add_host(struct pgo_pyro *s, const struct pgo_pyro_object *o, const char *label,
	const char *value, struct pgo_err *err)
{
	struct pgo_pyro_object piece;
	size_t dir = (size_t)(strrchr(o->name, '/') - o->name);
	struct pgo_buf name, selector;
	bool known = false;
	int rc = copy_object(o, &piece, err);

	pgo_buf_init(&name, PGO_PYRO_TEXT_MAX);
	pgo_buf_init(&selector, PGO_PYRO_TEXT_MAX);
	pgo_buf_add(&name, o->name, dir);
	put_pair(&name, label, value);
	pgo_buf_puts(&name, o->name + dir);
	pgo_buf_add(&selector, o->selector, strlen(o->selector) - 1); /* without the brace */
	pgo_buf_putc(&selector, ',');
	pgo_pyro_matcher(&selector, label, "=", value);
	pgo_buf_putc(&selector, '}');
	if (rc == 0)
		rc = pgo_buf_check(&name, "the name", err);
	if (rc == 0)
		rc = pgo_buf_check(&selector, "the selector", err);
	if (rc == 0) {
		piece.name = pgo_strdup(name.data);
		piece.selector = pgo_strdup(selector.data);
		for (size_t i = 0; i < piece.n_labels; i++)
			known = known || strcmp(piece.labels[i].key, label) == 0;
		if (piece.name == NULL || piece.selector == NULL ||
			(!known && strcmp(label, "host") != 0 &&
				put_label(&piece, label, value) < 0))
			rc = pgo_err_nomem(err);
	}
	pgo_buf_fini(&name);
	pgo_buf_fini(&selector);
	if (rc == 0)
		return pgo_pyro_add(s, &piece, err);
	pgo_pyro_object_fini(&piece);
	return rc;
}

/* Hours of the window: a program that was started anew lies elsewhere, but not every hour. */
static int add_hours(struct pgo_pyro *s, const struct pgo_pyro_object *o, struct pgo_err *err)
{
	size_t dir = (size_t)(strrchr(o->name, '/') - o->name);
	int rc = 0;

	for (int64_t at = o->from_ns, end; at < o->to_ns && rc == 0; at = end) {
		int64_t grid = at / PGO_PYRO_HOUR * PGO_PYRO_HOUR;
		struct pgo_pyro_object piece;
		struct pgo_buf name;

		end = o->to_ns - grid < PGO_PYRO_HOUR ? o->to_ns : grid + PGO_PYRO_HOUR;
		rc = copy_object(o, &piece, err);
		piece.from_ns = at;
		piece.to_ns = end;
		pgo_buf_init(&name, PGO_PYRO_TEXT_MAX);
		pgo_buf_add(&name, o->name, dir);
		put_window(&name, grid, "1h");
		if (rc == 0)
			rc = pgo_buf_check(&name, "the name", err);
		if (rc == 0 && ((piece.name = pgo_strdup(name.data)) == NULL ||
				       (piece.selector = pgo_strdup(o->selector)) == NULL))
			rc = pgo_err_nomem(err);
		pgo_buf_fini(&name);
		if (rc == 0)
			rc = pgo_pyro_add(s, &piece, err);
		else
			pgo_pyro_object_fini(&piece);
	}
	return rc;
}

static size_t distinct(const struct pgo_pyro_rows *rows, const char *label, bool *first)
{
	size_t n = 0;

	for (size_t i = 0; i < rows->n; i++) {
		first[i] = true;
		for (size_t k = 0; k < i && first[i]; k++)
			first[i] = strcmp(pgo_pyro_row_get(&rows->of[i], label),
					   pgo_pyro_row_get(&rows->of[k], label)) != 0;
		n += first[i];
	}
	return n;
}

/* By the label with the most values; by time where each has but one. */
static int split_by(struct pgo_pyro *s, const struct pgo_pyro_object *o,
	const struct pgo_pyro_rows *rows, struct pgo_err *err)
{
	const char *best = NULL;
	size_t n_labels, n_common, most = 1;
	const char *const *labels = pgo_pyro_host_labels(&n_labels, &n_common);
	bool *first = pgo_calloc(rows->n, sizeof *first);
	int rc = 0;

	if (first == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < n_labels; i++) {
		size_t n = strcmp(labels[i], o->host_label) != 0 ? distinct(rows, labels[i], first)
								 : 0;

		if (n > most) {
			most = n;
			best = labels[i];
		}
	}
	if (best != NULL) {
		distinct(rows, best, first);
		for (size_t i = 0; i < rows->n && rc == 0; i++)
			if (first[i])
				rc = add_host(
					s, o, best, pgo_pyro_row_get(&rows->of[i], best), err);
	} else if (o->to_ns - o->from_ns > PGO_PYRO_HOUR) {
		rc = add_hours(s, o, err);
	}
	pgo_free(first);
	return rc;
}

int pgo_pyro_split(struct pgo_source *src, const char *name, pgo_each_listed *each, void *ctx,
	struct pgo_err *err)
{
	struct pgo_pyro *s = (struct pgo_pyro *)src;
	const struct pgo_pyro_object *found = pgo_pyro_find(s, name);
	struct pgo_pyro_asks a = {.s = s};
	struct pgo_pyro_object o;
	struct pgo_pyro_ask *q;
	size_t n_labels, n_common, first = s->n_objects;
	const char *const *labels = pgo_pyro_host_labels(&n_labels, &n_common);
	int rc;

	if (found == NULL)
		return pgo_err_set(err, PGO_ENOTFOUND, "%s was not listed", name);
	o = *found; /* objects move when others are added; what they point to does not */
	q = pgo_pyro_asks_add(&a, false);
	if (q == NULL)
		return pgo_err_nomem(err);
	pgo_pyro_series_ask(
		&q->body, o.selector, labels, n_labels, o.from_ns / 1000000, o.to_ns / 1000000 - 1);
	rc = pgo_pyro_asks_run(&a, err);
	if (rc == 0)
		rc = split_by(s, &o, &q->rows, err);
	pgo_pyro_asks_fini(&a);
	return rc == 0 ? pgo_pyro_each(s, first, each, ctx, err) : rc;
}
