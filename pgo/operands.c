/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/operands.h"

#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/vec.h"
#include "pgo/input.h"

#include <string.h>
#include <sys/stat.h>

void pgo_operands_fini(struct pgo_operands *s)
{
	for (size_t i = 0; i < s->n_paths; i++)
		pgo_free(s->paths[i]);
	for (size_t i = 0; i < s->n_manifests; i++)
		pgo_manifest_fini(&s->manifests[i]);
	pgo_free(s->in);
	pgo_free(s->paths);
	pgo_free(s->manifests);
	*s = (struct pgo_operands){0};
}

/* Takes `path`. */
static int add_input(
	struct pgo_operands *s, char *path, const struct pgo_record *record, struct pgo_err *err)
{
	char **keep = path != NULL ? PGO_VEC_PUSH(s->paths, s->n_paths, s->paths_room) : NULL;
	struct pgo_merge_input *in;

	if (keep == NULL) {
		pgo_free(path);
		return pgo_err_nomem(err);
	}
	*keep = path;
	in = PGO_VEC_PUSH(s->in, s->n, s->room);
	if (in == NULL)
		return pgo_err_nomem(err);
	in->path = path;
	if (record != NULL) {
		in->digest = record->digest;
		in->host = record->host[0] != '\0' ? record->host : NULL;
		in->name = record->source[0] != '\0' ? record->source : NULL;
		in->time_ns = record->time_ns;
		in->service = record->service[0] != '\0' ? record->service : NULL;
		in->record = record;
		in->optional = true;
	}
	return 0;
}

int pgo_operands_add_record(struct pgo_operands *s, const char *dir,
	const struct pgo_record *record, struct pgo_err *err)
{
	return add_input(s, pgo_object_path(dir, record->digest), record, err);
}

/* What `pgo fetch` made: the manifest says what is in it. */
static int add_fetched(
	struct pgo_operands *s, const char *dir, const char *manifest, struct pgo_err *err)
{
	struct pgo_manifest *m = PGO_VEC_PUSH(s->manifests, s->n_manifests, s->manifests_room);
	int rc;

	if (m == NULL)
		return pgo_err_nomem(err);
	pgo_manifest_init(m);
	rc = pgo_manifest_load(m, manifest, err);
	for (size_t i = 0; i < m->n_records && rc == 0; i++)
		rc = add_input(s, pgo_object_path(dir, m->records[i].digest), &m->records[i], err);
	return rc;
}

/* Every profile in a plain directory; other files are none of our business. */
static int add_found(struct pgo_operands *s, const char *dir, struct pgo_err *err)
{
	struct pgo_paths found = {0};
	int rc = pgo_paths_list(dir, &found, err);

	for (size_t i = 0; i < found.n && rc == 0; i++) {
		enum pgo_input_kind kind = PGO_INPUT_UNKNOWN;

		rc = pgo_input_probe(found.path[i], &kind, err);
		if (rc == 0 && kind == PGO_INPUT_UNKNOWN)
			pgo_note("%s is no profile, skipping", found.path[i]);
		else if (rc == 0)
			rc = add_input(s, pgo_strdup(found.path[i]), NULL, err);
	}
	pgo_paths_free(&found);
	return rc;
}

int pgo_operands_add(struct pgo_operands *s, const char *path, struct pgo_err *err)
{
	size_t before = s->n;
	struct stat st;
	char *manifest;
	int rc;

	if (strcmp(path, "-") == 0)
		return add_input(s, pgo_strdup(path), NULL, err);
	if (stat(path, &st) < 0)
		return pgo_err_errno(err, PGO_EIO, "%s cannot be read", path);
	if (!S_ISDIR(st.st_mode))
		return add_input(s, pgo_strdup(path), NULL, err);
	manifest = pgo_asprintf("%s/manifest.jsonl", path);
	if (manifest == NULL)
		return pgo_err_nomem(err);
	rc = pgo_path_exists(manifest) ? add_fetched(s, path, manifest, err)
				       : add_found(s, path, err);
	pgo_free(manifest);
	if (rc == 0 && s->n == before)
		rc = pgo_err_set(
			err, PGO_EEMPTY, "%s: there is no profile in this directory", path);
	return rc;
}

typedef int visit_fn(
	void *ctx, const struct pgo_merge_input *in, struct pgo_reader *r, struct pgo_err *err);

static int visit_file(const struct pgo_merge_input *file, const struct pgo_input_options *o,
	visit_fn *each, void *ctx, struct pgo_err *err)
{
	struct pgo_input in;
	int rc = pgo_input_open(file->path, o, &in, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < in.n && rc == 0; i++)
		rc = each(ctx, file, in.readers[i], err);
	pgo_input_close(&in);
	return rc;
}

int pgo_operands_visit(const struct pgo_operands *s, const struct pgo_input_options *o,
	const char *what, visit_fn *each, void *ctx, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < s->n && rc == 0; i++) {
		pgo_progress(what, i, s->n, "files");
		rc = visit_file(&s->in[i], o, each, ctx, err);
	}
	pgo_progress_end();
	return rc;
}

/* Who does not care about the file. */
struct plain_visit {
	int (*each)(void *ctx, struct pgo_reader *r, struct pgo_err *err);
	void *ctx;
};

static int visit_plainly(
	void *ctx, const struct pgo_merge_input *in, struct pgo_reader *r, struct pgo_err *err)
{
	const struct plain_visit *v = ctx;

	(void)in;
	return v->each(v->ctx, r, err);
}

int pgo_operands_read(const struct pgo_operands *s, const struct pgo_input_options *o,
	const char *what, int (*each)(void *ctx, struct pgo_reader *r, struct pgo_err *err),
	void *ctx, struct pgo_err *err)
{
	struct plain_visit v = {each, ctx};

	return pgo_operands_visit(s, o, what, visit_plainly, &v, err);
}
