/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/profefe_list.h"

#include "pgo/core/alloc.h"
#include "pgo/core/json.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"

#include <string.h>

static void meta_fini(struct pgo_profefe_meta *m)
{
	for (size_t i = 0; i < m->n_labels; i++) {
		pgo_free(m->labels[i].key);
		pgo_free(m->labels[i].value);
	}
	pgo_free(m->labels);
	pgo_free(m->id);
	pgo_free(m->type);
	pgo_free(m->service);
	pgo_free(m->name);
}

void pgo_profefe_list_fini(struct pgo_profefe_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		meta_fini(&l->metas[i]);
	pgo_free(l->metas);
	memset(l, 0, sizeof *l);
}

static int put_labels(
	struct pgo_profefe_meta *m, const struct pgo_jval *labels, struct pgo_err *err)
{
	for (size_t i = 0; i < pgo_jval_len(labels); i++) {
		const struct pgo_jval *l = pgo_jval_at(labels, i);
		const char *key = pgo_jval_str(pgo_jval_get(l, "key"), "");
		struct pgo_kv *kv;

		if (*key == '\0')
			continue;
		kv = PGO_VEC_PUSH(m->labels, m->n_labels, m->labels_room);
		if (kv == NULL)
			return pgo_err_nomem(err);
		kv->key = pgo_strdup(key);
		kv->value = pgo_strdup(pgo_jval_str(pgo_jval_get(l, "value"), ""));
		if (kv->key == NULL || kv->value == NULL)
			return pgo_err_nomem(err);
	}
	return 0;
}

static int put_meta(
	struct pgo_profefe_list *to, const char *who, const struct pgo_jval *v, struct pgo_err *err)
{
	const char *id = pgo_jval_str(pgo_jval_get(v, "id"), "");
	const char *created = pgo_jval_str(pgo_jval_get(v, "created_at"), "");
	struct pgo_profefe_meta *m = PGO_VEC_PUSH(to->metas, to->n, to->room);

	if (m == NULL)
		return pgo_err_nomem(err);
	if (*id == '\0' || strlen(created) < 19 || created[4] != '-' ||
		pgo_parse_time(created, 0, &m->created_ns, NULL) < 0)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s: profile %zu of the list has no id or no time (\"%.40s\"): this is no "
			"list of Profefe's",
			who, to->n, created);
	m->id = pgo_strdup(id);
	m->type = pgo_strdup(pgo_jval_str(pgo_jval_get(v, "type"), ""));
	m->service = pgo_strdup(pgo_jval_str(pgo_jval_get(v, "service"), ""));
	if (m->id == NULL || m->type == NULL || m->service == NULL)
		return pgo_err_nomem(err);
	return put_labels(m, pgo_jval_get(v, "labels"), err);
}

/* The list in the reply; an answer of another shape is not Profefe's. */
static struct pgo_jval *body_of(const char *who, const char *text, size_t len,
	const struct pgo_jval **ret, struct pgo_err *err)
{
	struct pgo_jval *doc = pgo_jdoc_parse(who, text, len, err);

	if (doc == NULL) {
		pgo_err_prefix(err, "this is no answer of Profefe's");
		return NULL;
	}
	*ret = pgo_jval_get(doc, "body");
	if (*ret == NULL || pgo_jval_i64(pgo_jval_get(doc, "code"), 0) != 200) {
		pgo_err_set(err, PGO_EFORMAT,
			"%s: the answer has no \"code\":200 and \"body\": this is no server of "
			"Profefe's",
			who);
		pgo_jdoc_free(doc);
		return NULL;
	}
	return doc;
}

int64_t pgo_profefe_list_parse(const char *who, const char *text, size_t len,
	struct pgo_profefe_list *to, struct pgo_err *err)
{
	struct pgo_err local = PGO_ERR_INIT;
	const struct pgo_jval *body;
	struct pgo_jval *doc = body_of(who, text, len, &body, &local);
	int64_t n = 0;
	int rc = doc != NULL ? 0 : local.code;

	for (; rc == 0 && (size_t)n < pgo_jval_len(body); n++)
		rc = put_meta(to, who, pgo_jval_at(body, (size_t)n), &local);
	pgo_jdoc_free(doc);
	if (rc < 0 && err != NULL)
		*err = local;
	return rc < 0 ? rc : n;
}

int pgo_profefe_services_parse(const char *who, const char *text, size_t len,
	int (*each)(void *ctx, const char *service, struct pgo_err *err), void *ctx,
	struct pgo_err *err)
{
	struct pgo_err local = PGO_ERR_INIT;
	const struct pgo_jval *body;
	struct pgo_jval *doc = body_of(who, text, len, &body, &local);
	int rc = doc != NULL ? 0 : local.code;

	for (size_t i = 0; rc == 0 && i < pgo_jval_len(body); i++) {
		const char *name = pgo_jval_str(pgo_jval_at(body, i), "");

		if (*name != '\0')
			rc = each(ctx, name, &local);
	}
	pgo_jdoc_free(doc);
	if (rc < 0 && err != NULL)
		*err = local;
	return rc;
}

int pgo_profefe_is_none(const char *text, size_t len)
{
	struct pgo_jval *doc = pgo_jdoc_parse("", text, len, NULL);
	int none = doc != NULL && pgo_jval_i64(pgo_jval_get(doc, "code"), 0) == 404;

	pgo_jdoc_free(doc);
	return none;
}
