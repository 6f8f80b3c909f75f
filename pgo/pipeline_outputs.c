/* SPDX-License-Identifier: Apache-2.0 */
/* The outputs at the places that pgo.conf gives them: copies of what is in use. */
#include "pgo/core/alloc.h"
#include "pgo/core/sha256.h"
#include "pgo/pipeline_impl.h"

#include <string.h>
#include <sys/stat.h>

#define MAX_OUTPUT ((size_t)1 << 32)

int pgo_pipeline_list_outputs(const struct pgo_conf *c, const struct pgo_target *t,
	struct pgo_outputs *ret, struct pgo_err *err)
{
	struct pgo_outputs_wanted wanted = {.gcc_release = t->gcc_release,
		.clang_format = t->clang_format,
		.bolt_release = t->bolt_release,
		.propeller_version = t->propeller_version,
		.order_format = t->order_format};
	int rc;

	for (size_t i = 0; i < PGO_N_OUTPUT_KINDS; i++)
		wanted.path[i] = t->output[i];
	rc = pgo_outputs_init(ret, &wanted, err);
	for (size_t i = 0; i < ret->n; i++)
		ret->of[i].name = pgo_conf_relative(c, ret->of[i].path);
	return rc;
}

/* ---- where they go */

static bool is_directory(const char *path)
{
	struct stat st;
	size_t n = strlen(path);

	return (n != 0 && path[n - 1] == '/') || (stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

/* Some kinds take a directory or a pattern; the manifest knows what became of it.  Gives the path
 * (pgo_free); NULL where that cannot be told, or there is no memory. */
static char *place_of(const struct pgo_conf *c, const char *wanted, const struct pgo_jval *made)
{
	const char *name = pgo_jval_str(pgo_jval_get(made, "path"), "");

	if (is_directory(wanted))
		return pgo_asprintf("%s%s%s", wanted, wanted[strlen(wanted) - 1] == '/' ? "" : "/",
			pgo_path_base(name));
	if (strchr(wanted, '%') == NULL || strchr(name, '%') != NULL)
		return pgo_strdup(wanted);
	if (name[0] == '/' || strcmp(c->dir, ".") == 0)
		return pgo_strdup(name);
	return pgo_asprintf("%s/%s", c->dir, name);
}

/* The manifest's output of that kind; there is one at most. */
static const struct pgo_jval *made_of(const struct pgo_jval *manifest, const char *kind)
{
	const struct pgo_jval *outputs = pgo_jval_get(manifest, "outputs");

	for (size_t i = 0; i < pgo_jval_len(outputs); i++)
		if (strcmp(pgo_jval_str(pgo_jval_get(pgo_jval_at(outputs, i), "kind"), ""), kind) ==
			0)
			return pgo_jval_at(outputs, i);
	return NULL;
}

/* ---- copying */

struct renewal {
	const struct pgo_conf *conf;
	const struct pgo_target *target;
	const struct pgo_jval *manifest;
	const char *dir;
	bool look; /* only count what would be written */
	struct pgo_outfile *files[PGO_N_OUTPUT_KINDS];
	size_t n;
};

static void sweep(const char *path)
{
	const char *base = pgo_path_base(path);
	char *dir = base != path ? pgo_strndup(path, (size_t)(base - path)) : pgo_strdup(".");

	if (dir != NULL)
		pgo_file_sweep(dir, base);
	pgo_free(dir);
}

static int stage_file(struct renewal *r, const char *from, const char *to, const char *digest,
	struct pgo_err *err)
{
	struct pgo_buf data;
	struct pgo_outfile *f;
	char found[65];
	int rc;

	if (!r->look)
		sweep(to);
	if (pgo_path_exists(to) && pgo_sha256_file(to, found, NULL) == 0 &&
		strcmp(found, digest) == 0)
		return 0;
	if (r->look) {
		r->n++;
		return 0;
	}
	rc = pgo_file_read(from, MAX_OUTPUT, &data, err);
	if (rc == 0) {
		f = pgo_outfile_open(to, err);
		rc = f != NULL ? pgo_outfile_write(
					 f, data.data != NULL ? data.data : "", data.len, err)
			       : PGO_EIO;
		if (f != NULL)
			r->files[r->n++] = f;
	}
	pgo_buf_fini(&data);
	return rc;
}

static int stage(struct renewal *r, enum pgo_output_kind kind, struct pgo_err *err)
{
	const char *name = pgo_output_kind_name(kind), *file;
	const struct pgo_jval *made = made_of(r->manifest, name);
	char *from, *to;
	int rc;

	/* It was published before pgo.conf asked for this one: the next result has it. */
	if (made == NULL)
		return 0;
	file = pgo_state_output_file(made);
	if (file[0] == '\0' || strchr(file, '/') != NULL)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s/manifest.json: its output '%s' is not a file beside it", r->dir, file);
	from = pgo_asprintf("%s/%s", r->dir, file);
	to = place_of(r->conf, r->target->output[kind], made);
	rc = from != NULL && to != NULL
		     ? stage_file(r, from, to, pgo_jval_str(pgo_jval_get(made, "sha256"), ""), err)
		     : pgo_err_nomem(err);
	pgo_free(from);
	pgo_free(to);
	return rc;
}

/* All are on the disk before the first takes its name: a full disk changes nothing. */
static int renew(struct renewal *r, size_t *ret_n, struct pgo_err *err)
{
	int rc = 0;

	for (int k = 0; k < PGO_N_OUTPUT_KINDS && rc == 0; k++)
		if (r->target->output[k][0] != '\0')
			rc = stage(r, (enum pgo_output_kind)k, err);
	*ret_n = r->n;
	if (r->look)
		return rc;
	if (rc == 0 && r->n != 0)
		rc = pgo_outfiles_commit(r->files, r->n, err);
	for (size_t i = 0; i < r->n; i++)
		pgo_outfile_abort(r->files[i]);
	return rc;
}

static int with_last_good(
	struct renewal *r, const struct pgo_state *s, size_t *ret_n, struct pgo_err *err)
{
	struct pgo_state_entry e = {.last_good = true};
	struct pgo_jval *manifest;
	int rc;

	*ret_n = 0;
	pgo_state_last_good(s, e.id);
	if (e.id[0] == '\0')
		return 0;
	e.dir = pgo_state_path(s, false, e.id, NULL);
	if (e.dir == NULL)
		return pgo_err_nomem(err);
	manifest = pgo_state_doc(&e, "manifest.json", err);
	if (manifest != NULL && !pgo_state_intact(e.dir, manifest)) {
		rc = pgo_err_set(err, PGO_EFORMAT,
			"%s is damaged: its files are not those of its manifest; `pgo run --force` "
			"makes it again, `pgo rollback` goes to the one before",
			e.dir);
	} else if (manifest != NULL) {
		r->manifest = manifest;
		r->dir = e.dir;
		rc = renew(r, ret_n, err);
	} else {
		rc = err != NULL ? (int)err->code : PGO_EFORMAT;
	}
	pgo_jdoc_free(manifest);
	pgo_free(e.dir);
	return rc;
}

int pgo_pipeline_renew(const struct pgo_conf *c, const struct pgo_target *t,
	const struct pgo_state *s, size_t *ret_n, struct pgo_err *err)
{
	struct renewal r = {.conf = c, .target = t};

	return with_last_good(&r, s, ret_n, err);
}

int pgo_pipeline_look(const struct pgo_conf *c, const struct pgo_target *t,
	const struct pgo_state *s, size_t *ret_n, struct pgo_err *err)
{
	struct renewal r = {.conf = c, .target = t, .look = true};

	return with_last_good(&r, s, ret_n, err);
}

int pgo_pipeline_migrate(const struct pgo_conf *c, const struct pgo_target *t, struct pgo_state *s,
	struct pgo_err *err)
{
	struct pgo_state_old_output old[PGO_N_OUTPUT_KINDS];
	size_t n = 0;

	for (int k = 0; k < PGO_N_OUTPUT_KINDS; k++) {
		if (t->output[k][0] == '\0')
			continue;
		old[n].name = pgo_conf_relative(c, t->output[k]);
		old[n++].path = t->output[k];
	}
	return pgo_state_migrate(s, old, n, err);
}
