/* SPDX-License-Identifier: Apache-2.0 */
/* The half of publish.h that reads. */
#include "fetch/objects.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/json.h"
#include "pgo/core/sha256.h"
#include "pgo/publish.h"
#include "pgo/signing.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILE ((size_t)4 << 30)
#define MAX_INDEX ((size_t)1 << 20)
#define MAX_NEW 64

struct obtaining {
	const struct pgo_obtain_options *o;
	struct pgo_obtain_result *ret;
	struct pgo_objects *store;
	struct pgo_release release; /* of the store */
	struct pgo_buf text;        /* its document */
	struct pgo_outfile *files[MAX_NEW];
	size_t n_files;
};

/* Where a file of a release is put, and where its document; NULL when out of memory. */
static char *place_of(const struct pgo_obtain_options *o, const char *name)
{
	return o->kind != NULL ? pgo_strdup(o->to) : pgo_asprintf("%s/%s", o->to, name);
}

static char *document_of(const struct pgo_obtain_options *o)
{
	return o->kind != NULL ? pgo_asprintf("%s.pgo.json", o->to)
			       : pgo_asprintf("%s/" PGO_RELEASE_NAME, o->to);
}

static bool wanted(const struct pgo_obtain_options *o, const struct pgo_release_file *f)
{
	return o->kind == NULL || strcmp(o->kind, f->kind) == 0;
}

static bool is_there(const struct pgo_obtain_options *o, const struct pgo_release_file *f)
{
	char *path = place_of(o, f->name), digest[65];
	bool same = path != NULL && pgo_path_exists(path) &&
		    pgo_sha256_file(path, digest, NULL) == 0 && strcmp(digest, f->sha256) == 0;

	pgo_free(path);
	return same;
}

static bool is_whole(const struct pgo_obtain_options *o, const struct pgo_release *r)
{
	bool any = false;

	for (size_t i = 0; i < r->n_files; i++) {
		if (!wanted(o, &r->files[i]))
			continue;
		if (!is_there(o, &r->files[i]))
			return false;
		any = true;
	}
	return any;
}

/* What an earlier run left; nothing if it cannot be read. */
static void look(struct obtaining *t)
{
	char *path = document_of(t->o);
	struct pgo_buf text;

	if (path != NULL && pgo_path_exists(path)) {
		if (pgo_file_read(path, MAX_INDEX, &text, NULL) == 0 &&
			pgo_release_parse(path, text.data != NULL ? text.data : "", text.len,
				&t->ret->release, NULL) == 0)
			t->ret->has = is_whole(t->o, &t->ret->release);
		pgo_buf_fini(&text);
	}
	pgo_free(path);
}

/* ---- from the store */

/* An object whose bytes are those of its name. */
static int get_object(struct obtaining *t, const char *digest, size_t max, struct pgo_buf *ret,
	struct pgo_err *err)
{
	struct pgo_sha256 s;
	uint8_t raw[32];
	char name[80], got[65];
	int rc;

	snprintf(name, sizeof name, "objects/%s", digest);
	rc = pgo_objects_get(t->store, name, max, ret, err);
	if (rc < 0)
		return rc;
	pgo_sha256_init(&s);
	pgo_sha256_add(&s, ret->data != NULL ? ret->data : "", ret->len);
	pgo_sha256_final(&s, raw);
	pgo_sha256_hex(raw, got);
	return strcmp(got, digest) == 0
		       ? 0
		       : pgo_err_set(err, PGO_EFORMAT,
				 "%s/%s is not what its name says: it is damaged, or was changed",
				 pgo_objects_name(t->store), name);
}

/* 0, a negative code of the store's, or PGO_EMISMATCH for a signature. */
static int get_release(struct obtaining *t, struct pgo_err *err)
{
	const char *name = pgo_objects_name(t->store), *release;
	struct pgo_jval *doc = NULL;
	struct pgo_buf index;
	int rc = pgo_objects_get(t->store, "index.json", MAX_INDEX, &index, err);

	if (rc == PGO_ENOTFOUND)
		pgo_err_prefix(err, "nothing is published at %s", name);
	if (rc == 0 && (doc = pgo_jdoc_parse(name, index.data != NULL ? index.data : "", index.len,
				err)) == NULL)
		rc = PGO_EFORMAT;
	release = pgo_jval_str(pgo_jval_get(doc, "release"), "");
	if (rc == 0 && (strlen(release) != 64 || strspn(release, "0123456789abcdef") != 64))
		rc = pgo_err_set(err, PGO_EFORMAT, "%s/index.json names no release", name);
	if (rc == 0)
		rc = get_object(t, release, MAX_INDEX, &t->text, err);
	if (rc == 0 && t->o->verify_with != NULL) {
		rc = pgo_sign_verify(t->o->verify_with, &t->text,
			pgo_jval_str(pgo_jval_get(doc, "signature"), ""), err);
		if (rc < 0)
			pgo_err_prefix(err, "%s", name);
	}
	if (rc == 0 && pgo_release_parse(name, t->text.data != NULL ? t->text.data : "",
			       t->text.len, &t->release, err) < 0)
		rc = pgo_err_set(err, PGO_EFORMAT, "%.900s", err->msg);
	pgo_jdoc_free(doc);
	pgo_buf_fini(&index);
	return rc;
}

/* On the disk, but not yet under its name. */
static int get_file(struct obtaining *t, const struct pgo_release_file *f, struct pgo_err *err)
{
	char *path = place_of(t->o, f->name);
	struct pgo_buf data;
	int rc;

	if (path == NULL)
		return pgo_err_nomem(err);
	rc = get_object(t, f->sha256, MAX_FILE, &data, err);
	if (rc == 0 && data.len != f->bytes)
		rc = pgo_err_set(err, PGO_EFORMAT,
			"%s: %s is of another size than the release says",
			pgo_objects_name(t->store), f->name);
	if (rc == 0) {
		struct pgo_outfile *out = pgo_outfile_open(path, err);

		if (out == NULL) {
			rc = err->code;
		} else {
			t->files[t->n_files++] = out;
			rc = pgo_outfile_write(
				out, data.data != NULL ? data.data : "", data.len, err);
		}
	}
	if (rc == 0) {
		t->ret->files++;
		t->ret->bytes += data.len;
	}
	pgo_buf_fini(&data);
	pgo_free(path);
	return rc;
}

static int get_files(struct obtaining *t, struct pgo_err *err)
{
	bool any = false;
	int rc = t->o->kind == NULL ? pgo_mkdirs(t->o->to, err) : 0;

	for (size_t i = 0; i < t->release.n_files && rc == 0; i++) {
		if (!wanted(t->o, &t->release.files[i]))
			continue;
		any = true;
		if (!is_there(t->o, &t->release.files[i]))
			rc = get_file(t, &t->release.files[i], err);
	}
	if (rc == 0 && !any)
		rc = pgo_err_set(err, PGO_EEMPTY, "the release at %s has no file of the kind '%s'",
			pgo_objects_name(t->store), t->o->kind != NULL ? t->o->kind : "");
	return rc;
}

/* ---- into place */

/* Files that the release before named and this one does not. */
static void drop_old(const struct obtaining *t)
{
	const struct pgo_release *old = &t->ret->release;

	for (size_t i = 0; t->o->kind == NULL && i < old->n_files; i++) {
		bool stays = false;
		char *path;

		for (size_t k = 0; k < t->release.n_files && !stays; k++)
			stays = strcmp(old->files[i].name, t->release.files[k].name) == 0;
		path = stays ? NULL : place_of(t->o, old->files[i].name);
		if (path != NULL)
			unlink(path);
		pgo_free(path);
	}
}

static int settle(struct obtaining *t, struct pgo_err *err)
{
	char *document = document_of(t->o);
	struct pgo_buf old = {0};
	bool same;
	int rc = document != NULL ? 0 : pgo_err_nomem(err);

	if (rc == 0 && t->n_files > 0)
		rc = pgo_outfiles_commit(t->files, t->n_files, err);
	if (rc == 0 && pgo_path_exists(document) &&
		pgo_file_read(document, MAX_INDEX, &old, NULL) < 0)
		pgo_buf_clear(&old);
	same = old.len == t->text.len && old.len > 0 &&
	       memcmp(old.data, t->text.data, old.len) == 0;
	if (rc == 0 && !same)
		rc = pgo_file_write(document, t->text.data, t->text.len, err);
	if (rc == 0) {
		t->ret->changed = t->n_files > 0;
		drop_old(t);
		pgo_release_fini(&t->ret->release);
		t->ret->release = t->release;
		memset(&t->release, 0, sizeof t->release);
		t->ret->has = true;
	}
	pgo_buf_fini(&old);
	pgo_free(document);
	return rc;
}

/* What the store's fault is leaves what is there; what is ours, or foul, ends the run. */
static bool is_stores(int rc)
{
	return rc == PGO_ENET || rc == PGO_ENOTFOUND || rc == PGO_EFORMAT || rc == PGO_ELIMIT ||
	       rc == PGO_EEMPTY;
}

int pgo_obtain(
	const struct pgo_obtain_options *o, struct pgo_obtain_result *ret, struct pgo_err *err)
{
	struct obtaining t = {.o = o, .ret = ret};
	bool asked = false;
	int rc;

	memset(ret, 0, sizeof *ret);
	look(&t);
	t.store = pgo_objects_open(o->url, &o->http, err);
	if (t.store == NULL)
		return err->code;
	rc = get_release(&t, err);
	asked = rc == 0;
	if (rc == 0)
		rc = get_files(&t, err);
	if (rc == 0)
		rc = settle(&t, err);
	for (size_t i = 0; i < t.n_files; i++)
		pgo_outfile_abort(t.files[i]);
	/* A directory that is not there is a store that is away. */
	if (is_stores(rc) || (rc == PGO_EIO && !asked)) {
		ret->away = true;
		ret->why = *err;
		pgo_err_clear(err);
		rc = 0;
	}
	pgo_objects_close(t.store);
	pgo_release_fini(&t.release);
	pgo_buf_fini(&t.text);
	return rc;
}

void pgo_obtain_fini(struct pgo_obtain_result *r)
{
	pgo_release_fini(&r->release);
	memset(r, 0, sizeof *r);
}
