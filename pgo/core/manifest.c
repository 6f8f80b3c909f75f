/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/manifest.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/json.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

/* A million records of half a kilobyte fit twice. */
#define MAX_MANIFEST ((size_t)1 << 30)

void pgo_manifest_init(struct pgo_manifest *m)
{
	memset(m, 0, sizeof *m);
}

void pgo_record_fini(struct pgo_record *r)
{
	pgo_free(r->kind);
	pgo_free(r->source);
	pgo_free(r->host);
	pgo_free(r->service);
	pgo_free(r->version);
	for (size_t i = 0; i < r->n_labels; i++) {
		pgo_free(r->labels[i].key);
		pgo_free(r->labels[i].value);
	}
	for (size_t i = 0; i < r->n_build_ids; i++)
		pgo_free(r->build_ids[i]);
	for (size_t i = 0; i < r->n_sample_types; i++)
		pgo_free(r->sample_types[i]);
	pgo_free(r->labels);
	pgo_free(r->build_ids);
	pgo_free(r->sample_types);
	memset(r, 0, sizeof *r);
}

void pgo_manifest_fini(struct pgo_manifest *m)
{
	for (size_t i = 0; i < m->n_records; i++)
		pgo_record_fini(&m->records[i]);
	pgo_free(m->records);
	pgo_manifest_init(m);
}

struct pgo_record *pgo_manifest_add(struct pgo_manifest *m)
{
	return PGO_VEC_PUSH(m->records, m->n_records, m->records_room);
}

/* ---------------------------------------------------------------- fields */

int pgo_record_set(char **field, const char *value, struct pgo_err *err)
{
	char *copy = pgo_strdup(value);

	if (copy == NULL)
		return pgo_err_nomem(err);
	pgo_free(*field);
	*field = copy;
	return 0;
}

int pgo_record_label(struct pgo_record *r, const char *key, const char *value, struct pgo_err *err)
{
	struct pgo_kv kv = {NULL, NULL};
	size_t at = 0;

	while (at < r->n_labels && strcmp(r->labels[at].key, key) < 0)
		at++;
	if (at < r->n_labels && strcmp(r->labels[at].key, key) == 0)
		return pgo_record_set(&r->labels[at].value, value, err);
	kv.key = pgo_strdup(key);
	kv.value = pgo_strdup(value);
	if (kv.key == NULL || kv.value == NULL ||
		PGO_VEC_RESERVE(r->labels, r->labels_room, r->n_labels + 1) < 0) {
		pgo_free(kv.key);
		pgo_free(kv.value);
		return pgo_err_nomem(err);
	}
	memmove(r->labels + at + 1, r->labels + at, (r->n_labels - at) * sizeof *r->labels);
	r->labels[at] = kv;
	r->n_labels++;
	return 0;
}

int pgo_record_list_add(
	char ***list, size_t *n, size_t *room, const char *text, struct pgo_err *err)
{
	char *copy = pgo_strdup(text);

	if (copy == NULL || PGO_VEC_RESERVE(*list, *room, *n + 1) < 0) {
		pgo_free(copy);
		return pgo_err_nomem(err);
	}
	(*list)[(*n)++] = copy;
	return 0;
}

static const char *unless_empty(const char *s)
{
	return s != NULL && s[0] != '\0' ? s : NULL;
}

const char *pgo_record_get_label(const struct pgo_record *r, const char *key)
{
	if (strcmp(key, "host") == 0)
		return unless_empty(r->host);
	if (strcmp(key, "service") == 0)
		return unless_empty(r->service);
	if (strcmp(key, "version") == 0)
		return unless_empty(r->version);
	for (size_t i = 0; i < r->n_labels; i++)
		if (strcmp(r->labels[i].key, key) == 0)
			return unless_empty(r->labels[i].value);
	return NULL;
}

/* ---------------------------------------------------------------- the table */

static int cmp_record(const void *pa, const void *pb)
{
	const struct pgo_record *a = pa, *b = pb;
	int c;

	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns ? -1 : 1;
	c = strcmp(a->digest, b->digest);
	if (c != 0)
		return c;
	return strcmp(a->source != NULL ? a->source : "", b->source != NULL ? b->source : "");
}

void pgo_manifest_sort(struct pgo_manifest *m)
{
	if (m->n_records != 0)
		qsort(m->records, m->n_records, sizeof *m->records, cmp_record);
}

struct pgo_record *pgo_manifest_find(const struct pgo_manifest *m, const char *digest)
{
	for (size_t i = 0; i < m->n_records; i++)
		if (strcmp(m->records[i].digest, digest) == 0)
			return &m->records[i];
	return NULL;
}

char *pgo_object_path(const char *dir, const char *digest)
{
	return pgo_asprintf("%s/objects/%.2s/%s", dir, digest, digest);
}

/* ---------------------------------------------------------------- writing */

static void put_list(struct pgo_json *j, const char *key, char *const *list, size_t n)
{
	pgo_json_key(j, key);
	pgo_json_array(j);
	for (size_t i = 0; i < n; i++)
		pgo_json_str(j, list[i]);
	pgo_json_end_array(j);
}

static void put_str(struct pgo_json *j, const char *key, const char *s)
{
	pgo_json_kv_str(j, key, s != NULL ? s : "");
}

void pgo_record_line(const struct pgo_record *r, struct pgo_buf *out)
{
	struct pgo_json j;

	pgo_json_init(&j, out, true);
	pgo_json_object(&j);
	pgo_json_kv_i64(&j, "v", PGO_MANIFEST_VERSION);
	put_str(&j, "digest", r->digest);
	put_str(&j, "kind", r->kind);
	put_str(&j, "source", r->source);
	put_str(&j, "host", r->host);
	put_str(&j, "service", r->service);
	put_str(&j, "version", r->version);
	pgo_json_kv_i64(&j, "time_ns", r->time_ns);
	pgo_json_kv_i64(&j, "duration_ns", r->duration_ns);
	pgo_json_kv_u64(&j, "bytes", r->bytes);
	pgo_json_kv_u64(&j, "source_size", r->source_size);
	pgo_json_kv_i64(&j, "source_mtime_ns", r->source_mtime_ns);
	pgo_json_key(&j, "labels");
	pgo_json_array(&j);
	for (size_t i = 0; i < r->n_labels; i++) {
		pgo_json_array(&j);
		pgo_json_str(&j, r->labels[i].key);
		pgo_json_str(&j, r->labels[i].value);
		pgo_json_end_array(&j);
	}
	pgo_json_end_array(&j);
	put_list(&j, "build_ids", r->build_ids, r->n_build_ids);
	put_list(&j, "sample_types", r->sample_types, r->n_sample_types);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}

int pgo_manifest_save(struct pgo_manifest *m, const char *path, struct pgo_err *err)
{
	struct pgo_buf out;
	int rc;

	pgo_manifest_sort(m);
	pgo_buf_init(&out, MAX_MANIFEST);
	for (size_t i = 0; i < m->n_records; i++)
		pgo_record_line(&m->records[i], &out);
	rc = pgo_buf_check(&out, path, err);
	if (rc == 0)
		rc = pgo_file_write(path, out.data != NULL ? out.data : "", out.len, err);
	pgo_buf_fini(&out);
	return rc;
}

/* ---------------------------------------------------------------- reading */

static bool is_digest(const char *s)
{
	return strspn(s, "0123456789abcdef") == 64 && s[64] == '\0';
}

static int get_str(const struct pgo_jval *v, const char *key, char **field, struct pgo_err *err)
{
	return pgo_record_set(field, pgo_jval_str(pgo_jval_get(v, key), ""), err);
}

static int get_list(
	const struct pgo_jval *v, char ***list, size_t *n, size_t *room, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < pgo_jval_len(v) && rc == 0; i++)
		rc = pgo_record_list_add(list, n, room, pgo_jval_str(pgo_jval_at(v, i), ""), err);
	return rc;
}

static int get_labels(const struct pgo_jval *v, struct pgo_record *r, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < pgo_jval_len(v) && rc == 0; i++) {
		const struct pgo_jval *pair = pgo_jval_at(v, i);

		rc = pgo_record_label(r, pgo_jval_str(pgo_jval_at(pair, 0), ""),
			pgo_jval_str(pgo_jval_at(pair, 1), ""), err);
	}
	return rc;
}

static int get_record(const struct pgo_jval *v, struct pgo_record *r, struct pgo_err *err)
{
	const char *digest = pgo_jval_str(pgo_jval_get(v, "digest"), NULL);
	int64_t version = pgo_jval_i64(pgo_jval_get(v, "v"), 0);
	int rc;

	if (version > PGO_MANIFEST_VERSION)
		return pgo_err_set(err, PGO_EFORMAT,
			"the record has schema version %lld; this pgo knows versions up to %d: use "
			"a newer one",
			(long long)version, PGO_MANIFEST_VERSION);
	if (version < 1 || digest == NULL || (digest[0] != '\0' && !is_digest(digest)))
		return pgo_err_set(err, PGO_EFORMAT, "this is no record of a stored profile: %s",
			version < 1 ? "the schema version \"v\" is missing"
				    : "\"digest\" is not 64 hexadecimal digits");
	memcpy(r->digest, digest, strlen(digest) + 1);
	r->time_ns = pgo_jval_i64(pgo_jval_get(v, "time_ns"), 0);
	r->duration_ns = pgo_jval_i64(pgo_jval_get(v, "duration_ns"), 0);
	r->bytes = (uint64_t)pgo_jval_i64(pgo_jval_get(v, "bytes"), 0);
	r->source_size = (uint64_t)pgo_jval_i64(pgo_jval_get(v, "source_size"), 0);
	r->source_mtime_ns = pgo_jval_i64(pgo_jval_get(v, "source_mtime_ns"), 0);
	if ((rc = get_str(v, "kind", &r->kind, err)) < 0 ||
		(rc = get_str(v, "source", &r->source, err)) < 0 ||
		(rc = get_str(v, "host", &r->host, err)) < 0 ||
		(rc = get_str(v, "service", &r->service, err)) < 0 ||
		(rc = get_str(v, "version", &r->version, err)) < 0 ||
		(rc = get_labels(pgo_jval_get(v, "labels"), r, err)) < 0 ||
		(rc = get_list(pgo_jval_get(v, "build_ids"), &r->build_ids, &r->n_build_ids,
			 &r->build_ids_room, err)) < 0)
		return rc;
	return get_list(pgo_jval_get(v, "sample_types"), &r->sample_types, &r->n_sample_types,
		&r->sample_types_room, err);
}

static int read_line(struct pgo_manifest *m, const char *path, size_t number, const char *line,
	size_t len, struct pgo_err *err)
{
	struct pgo_record *r;
	struct pgo_jval *doc;
	int rc;

	if (strspn(line, " \t\r") >= len)
		return 0;
	doc = pgo_jdoc_parse("record", line, len, err);
	if (doc == NULL)
		return pgo_err_prefix(err, "%s:%zu", path, number);
	r = pgo_manifest_add(m);
	rc = r != NULL ? get_record(doc, r, err) : pgo_err_nomem(err);
	pgo_jdoc_free(doc);
	return rc < 0 ? pgo_err_prefix(err, "%s:%zu", path, number) : 0;
}

static int load(struct pgo_manifest *m, const char *path, bool torn, struct pgo_err *err)
{
	struct pgo_buf text;
	size_t number = 1;
	int rc = 0;

	if (!pgo_path_exists(path))
		return 0;
	pgo_buf_init(&text, MAX_MANIFEST);
	rc = pgo_file_read(path, MAX_MANIFEST, &text, err);
	for (size_t at = 0, len; rc == 0 && at < text.len; at += len + 1, number++) {
		const char *end = memchr(text.data + at, '\n', text.len - at);

		len = end != NULL ? (size_t)(end - text.data) - at : text.len - at;
		if (end == NULL && torn)
			break;
		rc = read_line(m, path, number, text.data + at, len, err);
	}
	pgo_buf_fini(&text);
	return rc;
}

int pgo_manifest_load(struct pgo_manifest *m, const char *path, struct pgo_err *err)
{
	return load(m, path, false, err);
}

int pgo_manifest_load_torn(struct pgo_manifest *m, const char *path, struct pgo_err *err)
{
	return load(m, path, true, err);
}
