/* SPDX-License-Identifier: Apache-2.0 */
/* Which columns a Parca server has, and which of its labels tell objects apart. */
#include "fetch/parca_impl.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX ((size_t)1 << 20)
#define REPLY_MAX ((size_t)256 << 20)

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
int pgo_parca_ask_here(
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

int pgo_parca_find_families(
	struct pgo_parca_source *s, int64_t from_ns, int64_t to_ns, struct pgo_err *err)
{
	struct pgo_buf b;
	int rc;

	pgo_buf_init(&b, TEXT_MAX);
	pgo_parca_put_types(&b, from_ns > 0 ? from_ns - 1 : 0, from_ns > 0 ? to_ns : 0);
	rc = pgo_parca_ask_here(s, PGO_PARCA_QUERY "ProfileTypes", &b, err);
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
const char *pgo_parca_label_name(const struct pgo_parca_source *s, const char *key)
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
			rc = keep(s, pgo_parca_label_name(s, key), err);
	}
	if (rc == 0 && s->n_kept != 0)
		qsort(s->kept, s->n_kept, sizeof *s->kept, cmp_text);
	return rc;
}

int pgo_parca_find_labels(struct pgo_parca_source *s, const struct pgo_query *q, int64_t from_ns,
	int64_t to_ns, struct pgo_err *err)
{
	struct label_names have = {0};
	struct pgo_buf b;
	int rc;

	pgo_buf_init(&b, TEXT_MAX);
	pgo_parca_put_labels(&b, from_ns > 0 ? from_ns - 1 : 0, from_ns > 0 ? to_ns : 0);
	rc = pgo_parca_ask_here(s, PGO_PARCA_QUERY "Labels", &b, err);
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
int pgo_parca_labels_id(struct pgo_parca_source *s, const struct pgo_kv *have, size_t n,
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
