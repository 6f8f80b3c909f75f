/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/publish.h"

#include "fetch/objects.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/json.h"
#include "pgo/core/sha256.h"
#include "pgo/signing.h"
#include "pgo/state.h"

#include <stdio.h>
#include <string.h>

#define MAX_FILE ((size_t)4 << 30)
#define MAX_INDEX ((size_t)1 << 20)

struct publishing {
	const struct pgo_publish_options *o;
	const struct pgo_target *target;
	struct pgo_state state;
	struct pgo_objects *store;
	struct pgo_release release;
	char *dir; /* of the result */
	struct pgo_publish_result *ret;
};

static void digest_of(const struct pgo_buf *b, char ret[65])
{
	struct pgo_sha256 s;
	uint8_t digest[32];

	pgo_sha256_init(&s);
	pgo_sha256_add(&s, b->data != NULL ? b->data : "", b->len);
	pgo_sha256_final(&s, digest);
	pgo_sha256_hex(digest, ret);
}

static int put(struct publishing *p, const char *name, const struct pgo_buf *data, bool once,
	struct pgo_err *err)
{
	char *full = pgo_asprintf("%s/%s", p->target->name, name);
	int rc = full == NULL ? pgo_err_nomem(err)
			      : pgo_objects_put(p->store, full,
					data->data != NULL ? data->data : "", data->len, once, err);

	pgo_free(full);
	return rc;
}

static int put_object(
	struct publishing *p, const struct pgo_buf *data, char digest[65], struct pgo_err *err)
{
	char name[80];
	int rc;

	digest_of(data, digest);
	snprintf(name, sizeof name, "objects/%s", digest);
	rc = put(p, name, data, true, err);
	if (rc < 0)
		return rc;
	p->ret->files++;
	p->ret->present += rc == 1;
	p->ret->bytes += rc == 1 ? 0 : data->len;
	return 0;
}

/* ---- what is published */

static int add_file(struct publishing *p, const char *name, const char *kind, const char *want,
	struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/%s", p->dir, name);
	struct pgo_release_file *f;
	struct pgo_buf data;
	int rc;

	if (path == NULL)
		return pgo_err_nomem(err);
	rc = pgo_file_read(path, MAX_FILE, &data, err);
	if (rc == 0) {
		f = pgo_release_add(&p->release, name, kind);
		rc = f != NULL ? put_object(p, &data, f->sha256, err) : pgo_err_nomem(err);
		if (rc == 0)
			f->bytes = data.len;
		if (rc == 0 && *want != '\0' && strcmp(want, f->sha256) != 0)
			rc = pgo_err_set(err, PGO_EFORMAT,
				"%s is not what its manifest tells; nothing was published", path);
	}
	pgo_buf_fini(&data);
	pgo_free(path);
	return rc;
}

static int add_optional(
	struct publishing *p, const char *name, const char *kind, struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/%s", p->dir, name);
	bool there = path != NULL && pgo_path_exists(path);

	pgo_free(path);
	return there ? add_file(p, name, kind, "", err) : 0;
}

static int add_outputs(struct publishing *p, const struct pgo_jval *manifest, struct pgo_err *err)
{
	const struct pgo_jval *outputs = pgo_jval_get(manifest, "outputs");
	int rc = 0;

	for (size_t i = 0; i < pgo_jval_len(outputs) && rc == 0; i++) {
		const struct pgo_jval *o = pgo_jval_at(outputs, i);
		const char *path = pgo_jval_str(pgo_jval_get(o, "path"), "");

		rc = add_file(p, pgo_jval_str(pgo_jval_get(o, "file"), pgo_path_base(path)),
			pgo_jval_str(pgo_jval_get(o, "kind"), ""),
			pgo_jval_str(pgo_jval_get(o, "sha256"), ""), err);
	}
	return rc;
}

/* When it was published, or found to be as good as a newer one: what its age is counted from. */
static int date(struct publishing *p, const char *id, struct pgo_err *err)
{
	struct pgo_state_events log = {0};
	struct pgo_state_story story = {0};
	int rc = pgo_state_log_read(&p->state, &log, err);

	if (rc == 0)
		pgo_state_story(&log, id, &story);
	pgo_state_events_fini(&log);
	p->release.time_ns = story.confirmed_ns != 0 ? story.confirmed_ns : story.published_ns;
	p->release.ttl_ns = p->target->last_good_ttl_ns;
	return rc;
}

static int find_result(struct publishing *p, const char *id, struct pgo_err *err)
{
	const struct pgo_state_entry *found = NULL;
	struct pgo_state_entries all = {0};
	struct pgo_jval *manifest = NULL;
	int rc = pgo_state_list(&p->state, &all, err);

	if (rc == 0)
		rc = pgo_state_find(&p->state, &all, *id != '\0' ? id : "last-good", &found, err);
	if (rc == PGO_ENOTFOUND && *id == '\0')
		rc = pgo_err_set(err, PGO_EEMPTY,
			"the target '%s' has no published result yet; `pgo run` makes one",
			p->target->name);
	if (rc == 0 && found->quarantined)
		rc = pgo_err_set(err, PGO_EUSAGE,
			"%s is in quarantine; `pgo promote` takes it out if it is good all the "
			"same",
			found->id);
	if (rc == 0) {
		snprintf(p->ret->id, sizeof p->ret->id, "%s", found->id);
		p->dir = pgo_strdup(found->dir);
		p->release.id = pgo_strdup(found->id);
		p->release.target = pgo_strdup(p->target->name);
		p->release.tool = pgo_strdup("pgo " PGO_VERSION);
		if (p->dir == NULL || p->release.id == NULL || p->release.target == NULL ||
			p->release.tool == NULL)
			rc = pgo_err_nomem(err);
	}
	if (rc == 0 && (manifest = pgo_state_doc(found, "manifest.json", err)) == NULL)
		rc = err->code;
	if (rc == 0)
		rc = date(p, found->id, err);
	if (rc == 0)
		rc = add_outputs(p, manifest, err);
	pgo_jdoc_free(manifest);
	pgo_state_entries_fini(&all);
	return rc;
}

/* ---- the switch */

/* Does the index name this release, with a signature if one is wanted? */
static bool is_current(struct publishing *p, const char *release)
{
	char *name = pgo_asprintf("%s/index.json", p->target->name);
	struct pgo_jval *doc = NULL;
	struct pgo_buf text;
	bool same = false;

	if (name != NULL && pgo_objects_get(p->store, name, MAX_INDEX, &text, NULL) == 0 &&
		(doc = pgo_jdoc_parse(name, text.data != NULL ? text.data : "", text.len, NULL)) !=
			NULL)
		same = strcmp(pgo_jval_str(pgo_jval_get(doc, "release"), ""), release) == 0 &&
		       (p->o->sign_with == NULL ||
			       *pgo_jval_str(pgo_jval_get(doc, "signature"), "") != '\0');
	pgo_jdoc_free(doc);
	if (name != NULL)
		pgo_buf_fini(&text);
	pgo_free(name);
	return same;
}

static int put_index(struct publishing *p, const struct pgo_buf *release, struct pgo_err *err)
{
	struct pgo_buf signature = {0}, text;
	struct pgo_json j;
	int rc = 0;

	if (p->o->sign_with != NULL)
		rc = pgo_sign(p->o->sign_with, release, &signature, err);
	pgo_buf_init(&text, MAX_INDEX);
	pgo_json_init(&j, &text, false);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "schema", 1);
	pgo_json_kv_str(&j, "kind", "index");
	pgo_json_kv_str(&j, "release", p->ret->release);
	pgo_json_kv_str(&j, "signature", signature.data);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
	if (rc == 0)
		rc = pgo_buf_check(&text, "the index", err);
	if (rc == 0)
		rc = put(p, "index.json", &text, false, err);
	pgo_buf_fini(&signature);
	pgo_buf_fini(&text);
	return rc;
}

static int publish(struct publishing *p, const char *id, struct pgo_err *err)
{
	struct pgo_buf text;
	int rc = find_result(p, id, err);

	pgo_buf_init(&text, MAX_INDEX);
	if (rc == 0)
		rc = add_optional(p, "manifest.json", "manifest", err);
	if (rc == 0)
		rc = add_optional(p, "gates.json", "gates", err);
	if (rc == 0 && p->o->merged)
		rc = add_optional(p, "merged.pb.gz", "merged", err);
	if (rc == 0) {
		pgo_release_json(&p->release, &text);
		rc = pgo_buf_check(&text, "the release", err);
	}
	if (rc == 0)
		rc = put_object(p, &text, p->ret->release, err);
	if (rc == 0)
		p->ret->unchanged = is_current(p, p->ret->release);
	if (rc == 0 && !p->ret->unchanged)
		rc = put_index(p, &text, err);
	pgo_buf_fini(&text);
	return rc;
}

int pgo_publish(const struct pgo_conf *c, const struct pgo_target *t, const char *id,
	const struct pgo_publish_options *o, struct pgo_publish_result *ret, struct pgo_err *err)
{
	struct publishing p = {.o = o, .target = t, .ret = ret};
	int rc;

	memset(ret, 0, sizeof *ret);
	p.store = pgo_objects_open(o->url, &o->http, err);
	if (p.store == NULL)
		return err->code;
	rc = pgo_state_open(c->state, t->name, &p.state, err);
	if (rc == 0) {
		rc = publish(&p, id, err);
		pgo_state_close(&p.state);
	}
	pgo_objects_close(p.store);
	pgo_release_fini(&p.release);
	pgo_free(p.dir);
	return rc;
}
