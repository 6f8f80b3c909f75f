/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Format 1 had one result, as STATE/NAME/merged.pb.gz and manifest.json, and its outputs only where
 * pgo.conf put them.  It becomes an entry; the old files go last, so that a crash only repeats this.
 */
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/sha256.h"
#include "pgo/state.h"
#include "pgo/state_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE ((size_t)1 << 32)

struct migration {
	struct pgo_state *s;
	const struct pgo_state_old_output *outputs;
	size_t n;
	char *manifest_path, *merged_path, *candidate;
	struct pgo_jval *manifest; /* NULL: missing or damaged */
	char why[256];             /* "" = all is there */
	char id[PGO_STATE_ID_SIZE];
};

static int copy(const char *from, const char *dir, const char *name, struct pgo_err *err)
{
	char *to = pgo_asprintf("%s/%s", dir, name);
	struct pgo_buf data;
	int rc;

	pgo_buf_init(&data, MAX_FILE);
	rc = to != NULL ? pgo_file_read(from, MAX_FILE, &data, err) : pgo_err_nomem(err);
	if (rc == 0)
		rc = pgo_file_write(to, data.data != NULL ? data.data : "", data.len, err);
	pgo_buf_fini(&data);
	pgo_free(to);
	return rc;
}

static const char *place_of(const struct migration *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->outputs[i].name, name) == 0)
			return m->outputs[i].path;
	return NULL;
}

static bool reserved(const char *file)
{
	return file[0] == '\0' || strcmp(file, "merged.pb.gz") == 0 ||
	       strcmp(file, "manifest.json") == 0 || strcmp(file, "gates.json") == 0;
}

/* One output, if it still is what the manifest says. */
static int take_output(struct migration *m, size_t i, struct pgo_err *err)
{
	const struct pgo_jval *outputs = pgo_jval_get(m->manifest, "outputs");
	const struct pgo_jval *o = pgo_jval_at(outputs, i);
	const char *name = pgo_jval_str(pgo_jval_get(o, "path"), "");
	const char *file = pgo_state_output_file(o), *path = place_of(m, name);
	char digest[65];

	for (size_t k = 0; k < i && m->why[0] == '\0'; k++)
		if (strcmp(file, pgo_state_output_file(pgo_jval_at(outputs, k))) == 0)
			snprintf(m->why, sizeof m->why, "two outputs are called %.100s", file);
	if (reserved(file))
		snprintf(m->why, sizeof m->why, "an output is called %.100s", file);
	else if (path == NULL)
		snprintf(m->why, sizeof m->why,
			"pgo.conf no longer says where its output %.100s is", name);
	else if (pgo_sha256_file(path, digest, NULL) < 0 ||
		 strcmp(digest, pgo_jval_str(pgo_jval_get(o, "sha256"), "")) != 0)
		snprintf(m->why, sizeof m->why, "its output %.100s is not what it was", name);
	else
		return copy(path, m->candidate, file, err);
	return 0;
}

static int name_it(struct migration *m, struct pgo_err *err)
{
	const struct pgo_jval *outputs = pgo_jval_get(m->manifest, "outputs");
	size_t n = pgo_jval_len(outputs);
	const char **digests = pgo_calloc(n + 1, sizeof *digests);
	struct stat st;
	char merged[65] = "";
	int rc = digests != NULL ? 0 : pgo_err_nomem(err);

	if (rc == 0 && pgo_path_exists(m->merged_path))
		rc = pgo_sha256_file(m->merged_path, merged, err);
	if (rc == 0) {
		digests[0] = merged;
		for (size_t i = 0; i < n; i++)
			digests[i + 1] =
				pgo_jval_str(pgo_jval_get(pgo_jval_at(outputs, i), "sha256"), "");
		if (stat(m->merged_path, &st) < 0 && stat(m->manifest_path, &st) < 0)
			st.st_mtime = 0;
		pgo_state_make_id((int64_t)st.st_mtime * 1000000000, digests, n + 1, m->id);
	}
	pgo_free(digests);
	return rc;
}

static int write_why(const struct migration *m, struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/why.txt", m->candidate);
	char *text = pgo_asprintf("kept by an older version of pgo, and not whole: %s\n", m->why);
	int rc = path != NULL && text != NULL ? pgo_file_write(path, text, strlen(text), err)
					      : pgo_err_nomem(err);

	pgo_free(path);
	pgo_free(text);
	return rc;
}

/* Into the candidate, whatever is there. */
static int gather(struct migration *m, struct pgo_err *err)
{
	const struct pgo_state_entry old = {.dir = m->s->dir};
	bool merged = pgo_path_exists(m->merged_path);
	int rc;

	m->manifest = pgo_state_doc(&old, "manifest.json", NULL);
	rc = name_it(m, err);
	if (m->manifest == NULL || !merged)
		snprintf(m->why, sizeof m->why, "its %s missing or damaged",
			merged ? "manifest is" : "merged profile is");
	for (size_t i = 0; rc == 0 && i < pgo_jval_len(pgo_jval_get(m->manifest, "outputs")); i++)
		rc = take_output(m, i, err);
	if (rc == 0 && merged)
		rc = copy(m->merged_path, m->candidate, "merged.pb.gz", err);
	if (rc == 0 && pgo_path_exists(m->manifest_path))
		rc = copy(m->manifest_path, m->candidate, "manifest.json", err);
	if (rc == 0 && m->why[0] != '\0')
		rc = write_why(m, err);
	return rc;
}

static int settle(struct migration *m, struct pgo_err *err)
{
	bool whole = m->why[0] == '\0';
	char *reason = whole ? pgo_strdup("brought over from the state of an older pgo")
			     : pgo_asprintf("from the state of an older pgo; %s", m->why);
	struct pgo_state_decision d = {
		.decision = whole ? "migrated" : "quarantined", .id = m->id, .reason = reason};
	int rc = reason != NULL ? pgo_state_adopt(m->s, m->candidate, !whole, m->id, err)
				: pgo_err_nomem(err);

	if (rc == 0 && whole)
		rc = pgo_state_switch(m->s, m->id, err);
	if (rc == 0)
		rc = pgo_state_log_append(m->s, &d, err);
	if (rc == 0)
		rc = pgo_state_write_format(m->s, err);
	if (rc == 0 && unlink(m->manifest_path) < 0 && errno != ENOENT)
		rc = pgo_err_errno(err, PGO_EIO, "%s cannot be removed", m->manifest_path);
	if (rc == 0 && unlink(m->merged_path) < 0 && errno != ENOENT)
		rc = pgo_err_errno(err, PGO_EIO, "%s cannot be removed", m->merged_path);
	if (rc == 0 && !whole)
		pgo_warn("%s: what an older pgo had published is in quarantine as %s: %s",
			m->s->dir, m->id, m->why);
	pgo_free(reason);
	return rc;
}

int pgo_state_migrate(struct pgo_state *s, const struct pgo_state_old_output *outputs, size_t n,
	struct pgo_err *err)
{
	struct migration m = {.s = s, .outputs = outputs, .n = n};
	int rc;

	if (s->format == PGO_STATE_FORMAT)
		return 0;
	m.manifest_path = pgo_asprintf("%s/manifest.json", s->dir);
	m.merged_path = pgo_asprintf("%s/merged.pb.gz", s->dir);
	if (m.manifest_path == NULL || m.merged_path == NULL)
		rc = pgo_err_nomem(err);
	else
		rc = (m.candidate = pgo_state_candidate(s, err)) != NULL ? gather(&m, err)
									 : PGO_EIO;
	if (rc == 0)
		rc = settle(&m, err);
	if (rc < 0)
		pgo_err_prefix(err, "%s: bringing the state of an older pgo over", s->dir);
	pgo_jdoc_free(m.manifest);
	pgo_free(m.manifest_path);
	pgo_free(m.merged_path);
	pgo_free(m.candidate);
	return rc;
}
