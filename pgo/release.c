/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/release.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/json.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define SCHEMA 1
#define MAX_RELEASE ((size_t)1 << 20)
#define MAX_FILES 64
#define SECOND 1000000000

void pgo_release_fini(struct pgo_release *r)
{
	for (size_t i = 0; i < r->n_files; i++) {
		pgo_free(r->files[i].name);
		pgo_free(r->files[i].kind);
	}
	pgo_free(r->files);
	pgo_free(r->target);
	pgo_free(r->id);
	pgo_free(r->tool);
	memset(r, 0, sizeof *r);
}

struct pgo_release_file *pgo_release_add(struct pgo_release *r, const char *name, const char *kind)
{
	struct pgo_release_file *f = PGO_VEC_PUSH(r->files, r->n_files, r->files_room);

	if (f == NULL)
		return NULL;
	f->name = pgo_strdup(name);
	f->kind = pgo_strdup(kind);
	return f->name != NULL && f->kind != NULL ? f : NULL;
}

const struct pgo_release_file *pgo_release_find(const struct pgo_release *r, const char *kind)
{
	for (size_t i = 0; i < r->n_files; i++)
		if (strcmp(r->files[i].kind, kind) == 0)
			return &r->files[i];
	return NULL;
}

static bool is_digest(const char *text)
{
	return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

/* Names come from a store: they must not lead anywhere. */
static bool is_plain(const char *name)
{
	if (*name == '\0' || *name == '.' || strlen(name) > 200 ||
		strcmp(name, PGO_RELEASE_NAME) == 0)
		return false;
	for (const char *s = name; *s != '\0'; s++)
		if (*s == '/' || (unsigned char)*s < ' ' || *s == 127)
			return false;
	return true;
}

static int read_file(
	const char *name, const struct pgo_jval *v, struct pgo_release *r, struct pgo_err *err)
{
	const char *file = pgo_jval_str(pgo_jval_get(v, "name"), "");
	const char *digest = pgo_jval_str(pgo_jval_get(v, "sha256"), "");
	int64_t bytes = pgo_jval_i64(pgo_jval_get(v, "bytes"), -1);
	struct pgo_release_file *f;

	if (!is_plain(file) || !is_digest(digest) || bytes < 0)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s: file %zu of the release has no usable name, digest or size", name,
			r->n_files);
	for (size_t i = 0; i < r->n_files; i++)
		if (strcmp(r->files[i].name, file) == 0)
			return pgo_err_set(
				err, PGO_EFORMAT, "%s: the file %s is there twice", name, file);
	f = pgo_release_add(r, file, pgo_jval_str(pgo_jval_get(v, "kind"), ""));
	if (f == NULL)
		return pgo_err_nomem(err);
	memcpy(f->sha256, digest, sizeof f->sha256);
	f->bytes = (uint64_t)bytes;
	return 0;
}

static int read_release(
	const char *name, const struct pgo_jval *doc, struct pgo_release *r, struct pgo_err *err)
{
	const struct pgo_jval *files = pgo_jval_get(doc, "files");
	const char *time = pgo_jval_str(pgo_jval_get(doc, "time"), "");
	int64_t schema = pgo_jval_i64(pgo_jval_get(doc, "schema"), 0);
	int64_t ttl = pgo_jval_i64(pgo_jval_get(doc, "ttl_s"), 0);
	int rc = 0;

	if (strcmp(pgo_jval_str(pgo_jval_get(doc, "kind"), ""), "release") != 0)
		return pgo_err_set(
			err, PGO_EFORMAT, "%s is no release that `pgo publish` wrote", name);
	if (schema != SCHEMA)
		return pgo_err_set(err, PGO_EMISMATCH,
			"%s is of schema %lld, and this pgo reads %d: it was published by another "
			"version",
			name, (long long)schema, SCHEMA);
	if (pgo_jval_len(files) == 0 || pgo_jval_len(files) > MAX_FILES)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s: a release has 1 to %d files, and this one %zu", name, MAX_FILES,
			pgo_jval_len(files));
	r->target = pgo_strdup(pgo_jval_str(pgo_jval_get(doc, "target"), ""));
	r->id = pgo_strdup(pgo_jval_str(pgo_jval_get(doc, "id"), ""));
	r->tool = pgo_strdup(pgo_jval_str(pgo_jval_get(doc, "tool"), ""));
	if (r->target == NULL || r->id == NULL || r->tool == NULL)
		return pgo_err_nomem(err);
	if (*time != '\0')
		rc = pgo_parse_time(time, 0, &r->time_ns, err);
	if (rc < 0)
		return pgo_err_set(err, PGO_EFORMAT, "%s: '%s' is no time", name, time);
	r->ttl_ns = ttl > 0 && ttl < INT64_MAX / SECOND ? ttl * SECOND : 0;
	for (size_t i = 0; i < pgo_jval_len(files) && rc == 0; i++)
		rc = read_file(name, pgo_jval_at(files, i), r, err);
	return rc;
}

int pgo_release_parse(const char *name, const char *text, size_t len, struct pgo_release *ret,
	struct pgo_err *err)
{
	struct pgo_jval *doc;
	int rc;

	memset(ret, 0, sizeof *ret);
	doc = pgo_jdoc_parse(name, text, len, err);
	rc = doc != NULL ? read_release(name, doc, ret, err) : PGO_EFORMAT;
	pgo_jdoc_free(doc);
	return rc;
}

int pgo_release_load(const char *dir, struct pgo_release *ret, struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/" PGO_RELEASE_NAME, dir);
	struct pgo_buf text;
	int rc;

	memset(ret, 0, sizeof *ret);
	if (path == NULL)
		return pgo_err_nomem(err);
	if (!pgo_path_exists(path)) {
		rc = pgo_err_set(err, PGO_EEMPTY,
			"there is no profile in %s: it has no " PGO_RELEASE_NAME
			", which `pgo get` writes",
			dir);
	} else {
		rc = pgo_file_read(path, MAX_RELEASE, &text, err);
		if (rc == 0)
			rc = pgo_release_parse(
				path, text.data != NULL ? text.data : "", text.len, ret, err);
		pgo_buf_fini(&text);
	}
	pgo_free(path);
	return rc;
}

static int by_name(const void *a, const void *b)
{
	const struct pgo_release_file *x = a, *y = b;

	return strcmp(x->name, y->name);
}

void pgo_release_json(struct pgo_release *r, struct pgo_buf *out)
{
	struct pgo_json j;
	char time[32];

	qsort(r->files, r->n_files, sizeof *r->files, by_name);
	pgo_json_init(&j, out, false);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "schema", SCHEMA);
	pgo_json_kv_str(&j, "kind", "release");
	pgo_json_kv_str(&j, "target", r->target);
	pgo_json_kv_str(&j, "id", r->id);
	if (r->time_ns != 0) {
		pgo_format_time(r->time_ns, time, sizeof time);
		pgo_json_kv_str(&j, "time", time);
	}
	if (r->ttl_ns != 0)
		pgo_json_kv_i64(&j, "ttl_s", r->ttl_ns / SECOND);
	pgo_json_kv_str(&j, "tool", r->tool);
	pgo_json_key(&j, "files");
	pgo_json_array(&j);
	for (size_t i = 0; i < r->n_files; i++) {
		pgo_json_object(&j);
		pgo_json_kv_str(&j, "name", r->files[i].name);
		pgo_json_kv_str(&j, "kind", r->files[i].kind);
		pgo_json_kv_str(&j, "sha256", r->files[i].sha256);
		pgo_json_kv_u64(&j, "bytes", r->files[i].bytes);
		pgo_json_end_object(&j);
	}
	pgo_json_end_array(&j);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}
