/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/chosen.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/opt.h"
#include "pgo/core/sha256.h"
#include "pgo/release.h"
#include "pgo/state.h"

#include <string.h>
#include <sys/stat.h>

#define DEFAULT_TTL ((int64_t)42 * 86400 * 1000000000)
#define MAX_MANIFEST ((size_t)1 << 30)

static int64_t file_time(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return 0;
	return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

static int set(char **to, const char *text, struct pgo_err *err)
{
	pgo_free(*to);
	*to = pgo_strdup(text);
	return *to != NULL ? 0 : pgo_err_nomem(err);
}

const char *pgo_chosen_extension(enum pgo_output_kind kind)
{
	switch (kind) {
	case PGO_OUTPUT_GCC:
		return "afdo";
	case PGO_OUTPUT_CLANG:
		return "prof";
	case PGO_OUTPUT_BOLT:
		return "fdata";
	default:
		return "pgo";
	}
}

/* ---- the file itself */

/* The bytes at ret->path are those that `want` ("" = any) is the digest of. */
static int hold(struct pgo_chosen *ret, const char *want, struct pgo_err *err)
{
	struct stat st;
	int rc;

	if (stat(ret->path, &st) < 0 || !S_ISREG(st.st_mode))
		return pgo_err_set(err, PGO_EEMPTY, "there is no profile %s", ret->path);
	if (st.st_size == 0)
		return pgo_err_set(err, PGO_EEMPTY, "the profile %s is empty", ret->path);
	ret->bytes = (uint64_t)st.st_size;
	rc = pgo_sha256_file(ret->path, ret->sha256, err);
	if (rc == 0 && *want != '\0' && strcmp(want, ret->sha256) != 0)
		rc = pgo_err_set(err, PGO_EEMPTY,
			"the profile %s is not what its manifest tells: it was changed, or written "
			"half; nothing is used until it is whole again",
			ret->path);
	return rc;
}

static void date(struct pgo_chosen *ret, int64_t ttl_ns)
{
	int64_t now = pgo_now();

	ret->age_ns = -1;
	if (ret->time_ns == 0)
		return;
	ret->age_ns = now > ret->time_ns ? now - ret->time_ns : 0;
	ret->fresh = ret->age_ns <= (ttl_ns != 0 ? ttl_ns : DEFAULT_TTL);
}

/* ---- a target's last-good */

/* Of a manifest of `pgo run`: the file of that kind; NULL if it has none. */
static const struct pgo_jval *output_of(const struct pgo_jval *manifest, enum pgo_output_kind kind)
{
	const struct pgo_jval *outputs = pgo_jval_get(manifest, "outputs");

	for (size_t i = 0; i < pgo_jval_len(outputs); i++) {
		const struct pgo_jval *o = pgo_jval_at(outputs, i);

		if (strcmp(pgo_jval_str(pgo_jval_get(o, "kind"), ""), pgo_output_kind_name(kind)) ==
			0)
			return o;
	}
	return NULL;
}

static int of_manifest(const struct pgo_choice *c, const char *dir, struct pgo_chosen *ret,
	const struct pgo_jval *manifest, struct pgo_err *err)
{
	const struct pgo_jval *o = output_of(manifest, c->kind);
	const char *path = pgo_jval_str(pgo_jval_get(o, "path"), "");
	const char *name = pgo_jval_str(pgo_jval_get(o, "file"), pgo_path_base(path));

	if (o == NULL)
		return pgo_err_set(err, PGO_EEMPTY,
			"the target '%s' has no %s profile; set %s = \"PATH\" for it in %s",
			c->target->name, pgo_output_type(c->kind)->consumer,
			pgo_output_kind_name(c->kind), c->conf->path);
	ret->path = dir != NULL ? pgo_asprintf("%s/%s", dir, pgo_path_base(name))
				: pgo_strdup(c->target->output[c->kind]);
	if (ret->path == NULL)
		return pgo_err_nomem(err);
	return hold(ret, pgo_jval_str(pgo_jval_get(o, "sha256"), ""), err);
}

static int read_manifest(const struct pgo_choice *c, const char *dir, const char *path,
	struct pgo_chosen *ret, struct pgo_err *err)
{
	struct pgo_jval *doc;
	struct pgo_buf text;
	int rc = pgo_file_read(path, MAX_MANIFEST, &text, err);

	if (rc == 0) {
		doc = pgo_jdoc_parse(path, text.data != NULL ? text.data : "", text.len, err);
		rc = doc != NULL ? of_manifest(c, dir, ret, doc, err) : err->code;
		pgo_jdoc_free(doc);
	}
	pgo_buf_fini(&text);
	ret->time_ns = file_time(path);
	return rc;
}

/* When the result in use was published, or found to be as good as a newer one. */
static int64_t story_time(const struct pgo_state *s, const char *id)
{
	struct pgo_state_events log = {0};
	struct pgo_state_story story = {0};

	if (pgo_state_log_read(s, &log, NULL) == 0)
		pgo_state_story(&log, id, &story);
	pgo_state_events_fini(&log);
	return story.confirmed_ns != 0 ? story.confirmed_ns : story.published_ns;
}

static int of_state(const struct pgo_choice *c, const struct pgo_state *s, struct pgo_chosen *ret,
	struct pgo_err *err)
{
	char id[PGO_STATE_ID_SIZE], *dir = NULL, *path;
	int64_t when;
	int rc = 0;

	pgo_state_last_good(s, id);
	if (*id != '\0') {
		dir = pgo_state_path(s, false, id, NULL);
		path = pgo_state_path(s, false, id, "manifest.json");
		rc = dir != NULL ? set(&ret->id, id, err) : pgo_err_nomem(err);
	} else { /* as it was laid out once */
		path = pgo_asprintf("%s/manifest.json", s->dir);
	}
	if (rc == 0 && path == NULL)
		rc = pgo_err_nomem(err);
	if (rc == 0 && !pgo_path_exists(path))
		rc = pgo_err_set(err, PGO_EEMPTY,
			"the target '%s' has no published profile yet; `pgo run -c %s %s` makes "
			"one",
			c->target->name, c->conf->path, c->target->name);
	if (rc == 0)
		rc = read_manifest(c, dir, path, ret, err);
	when = rc == 0 && dir != NULL ? story_time(s, id) : 0;
	if (when != 0)
		ret->time_ns = when;
	pgo_free(path);
	pgo_free(dir);
	return rc;
}

static int of_target(const struct pgo_choice *c, struct pgo_chosen *ret, struct pgo_err *err)
{
	struct pgo_state s;
	int rc = set(&ret->name, c->target->name, err);

	if (rc == 0)
		rc = pgo_state_open(c->conf->state, c->target->name, &s, err);
	if (rc == 0) {
		rc = of_state(c, &s, ret, err);
		pgo_state_close(&s);
	}
	return rc;
}

/* ---- a directory of `pgo get`, a file */

static int of_release(const struct pgo_choice *c, struct pgo_chosen *ret, struct pgo_err *err)
{
	const struct pgo_release_file *f;
	struct pgo_release r;
	int rc = pgo_release_load(c->path, &r, err);

	if (rc == 0) {
		f = pgo_release_find(&r, pgo_output_kind_name(c->kind));
		if (f == NULL)
			rc = pgo_err_set(err, PGO_EEMPTY, "%s has no %s profile of the target '%s'",
				c->path, pgo_output_type(c->kind)->consumer, r.target);
		else if ((ret->path = pgo_asprintf("%s/%s", c->path, f->name)) == NULL)
			rc = pgo_err_nomem(err);
		else
			rc = hold(ret, f->sha256, err);
	}
	if (rc == 0)
		rc = set(&ret->name, r.target, err);
	if (rc == 0)
		rc = set(&ret->id, r.id, err);
	ret->time_ns = r.time_ns;
	date(ret, c->ttl_ns != 0 ? c->ttl_ns : r.ttl_ns);
	pgo_release_fini(&r);
	return rc;
}

static int of_file(const struct pgo_choice *c, struct pgo_chosen *ret, struct pgo_err *err)
{
	const char *base = pgo_path_base(c->path), *dot = strrchr(base, '.');
	int rc = set(&ret->path, c->path, err);

	ret->name =
		pgo_strndup(base, dot != NULL && dot != base ? (size_t)(dot - base) : strlen(base));
	if (ret->name == NULL)
		return pgo_err_nomem(err);
	ret->time_ns = file_time(c->path);
	date(ret, c->ttl_ns);
	return rc == 0 ? hold(ret, "", err) : rc;
}

int pgo_choose(const struct pgo_choice *c, struct pgo_chosen *ret, struct pgo_err *err)
{
	struct stat st;
	int rc;

	memset(ret, 0, sizeof *ret);
	rc = set(&ret->id, "", err);
	if (rc < 0)
		return rc;
	if (c->target != NULL) {
		rc = of_target(c, ret, err);
		date(ret, c->ttl_ns != 0                     ? c->ttl_ns
			  : c->target->last_good_ttl_ns != 0 ? c->target->last_good_ttl_ns
							     : INT64_MAX);
		return rc;
	}
	if (stat(c->path, &st) == 0 && S_ISDIR(st.st_mode))
		return of_release(c, ret, err);
	return of_file(c, ret, err);
}

void pgo_chosen_fini(struct pgo_chosen *c)
{
	pgo_free(c->path);
	pgo_free(c->name);
	pgo_free(c->id);
	memset(c, 0, sizeof *c);
}

void pgo_chosen_json(const struct pgo_chosen *c, struct pgo_json *j)
{
	pgo_json_kv_str(j, "target", c->name);
	pgo_json_kv_str(j, "id", c->id);
	pgo_json_kv_str(j, "sha256", c->sha256);
	pgo_json_kv_u64(j, "bytes", c->bytes);
}
