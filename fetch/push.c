/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/push.h"

#include "fetch/examine.h"
#include "fetch/import.h"
#include "fetch/source.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/pprof.h"
#include "pgo/core/sha256.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct run {
	const struct pgo_push_options *o;
	struct pgo_push_stats *stats;
	struct pgo_source *store;
	struct pgo_http *http;
	struct pgo_push_elfs elfs;
	char *temp; /* where shaped pieces are written before they are put */
	bool warned_labels, warned_left;
};

/* ---------------------------------------------------------------- what is known of a file */

static int set_label(
	struct pgo_record *rec, const char *key, const char *value, struct pgo_err *err)
{
	if (strcmp(key, "host") == 0)
		return pgo_record_set(&rec->host, value, err);
	if (strcmp(key, "service") == 0)
		return pgo_record_set(&rec->service, value, err);
	if (strcmp(key, "version") == 0)
		return pgo_record_set(&rec->version, value, err);
	for (size_t i = 0; i < rec->n_labels; i++)
		if (strcmp(rec->labels[i].key, key) == 0)
			return pgo_record_set(&rec->labels[i].value, value, err);
	return pgo_record_label(rec, key, value, err);
}

/* What a manifest says of the object goes before what the object says of itself. */
static int take_over(struct pgo_record *rec, const struct pgo_record *from, struct pgo_err *err)
{
	static const char *const names[] = {"host", "service", "version"};
	int rc = 0;

	for (size_t i = 0; i < sizeof names / sizeof *names && rc == 0; i++) {
		const char *value = pgo_record_get_label(from, names[i]);

		if (value != NULL && *value != '\0')
			rc = set_label(rec, names[i], value, err);
	}
	for (size_t i = 0; i < from->n_labels && rc == 0; i++)
		rc = set_label(rec, from->labels[i].key, from->labels[i].value, err);
	if (from->time_ns != 0)
		rec->time_ns = from->time_ns;
	return rc;
}

static int put_options(const struct run *r, struct pgo_record *rec, struct pgo_err *err)
{
	const struct pgo_push_options *o = r->o;
	int rc = 0;

	if (o->service != NULL)
		rc = set_label(rec, "service", o->service, err);
	if (rc == 0 && o->host != NULL)
		rc = set_label(rec, "host", o->host, err);
	if (rc == 0 && o->version != NULL)
		rc = set_label(rec, "version", o->version, err);
	for (size_t i = 0; i < o->n_labels && rc == 0; i++) {
		const char *eq = strchr(o->labels[i], '=');
		char *key = pgo_strndup(o->labels[i], (size_t)(eq - o->labels[i]));

		rc = key != NULL ? set_label(rec, key, eq + 1, err) : pgo_err_nomem(err);
		pgo_free(key);
	}
	return rc;
}

static int describe(const struct run *r, const char *path, const struct pgo_record *from,
	struct pgo_record *rec, struct pgo_err *err)
{
	bool profile = false;
	struct stat st;
	int rc = pgo_examine(path, rec, NULL, &profile, err);

	if (rc < 0)
		return rc;
	if (!profile)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s is neither a profile nor a recording of a kind that is known", path);
	if (stat(path, &st) < 0)
		return pgo_err_errno(err, PGO_EIO, "%s cannot be read", path);
	if (rec->time_ns == 0)
		rec->time_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	rec->bytes = (uint64_t)st.st_size;
	rc = pgo_sha256_file(path, rec->digest, err);
	if (rc == 0)
		rc = pgo_record_set(&rec->source, pgo_path_base(path), err);
	if (rc == 0 && from != NULL)
		rc = take_over(rec, from, err);
	if (rc == 0)
		rc = put_options(r, rec, err);
	if (rc == 0 && rec->host == NULL)
		rc = pgo_record_set(&rec->host, "", err);
	if (rc == 0 && rec->service == NULL)
		rc = pgo_record_set(&rec->service, "", err);
	if (rc == 0 && rec->version == NULL)
		rc = pgo_record_set(&rec->version, "", err);
	return rc;
}

/* ---------------------------------------------------------------- putting */

static int put(struct run *r, const struct pgo_push_item *item, struct pgo_err *err)
{
	int rc = r->o->dry_run ? 0 : r->store->ops->put(r->store, item, err);

	if (rc < 0)
		return rc;
	r->stats->pieces++;
	r->stats->present += rc == 1;
	r->stats->bytes += rc == 1 ? 0 : item->record->bytes;
	return 0;
}

/* A label that neither the bytes nor the name keep is gone. */
static void warn_of_labels(struct run *r, const char *path)
{
	const struct pgo_push_options *o = r->o;
	static const char *const names[] = {"{service}", "{host}", "{version}"};
	const char *const given[] = {o->service, o->host, o->version};
	bool lost = false;

	for (size_t i = 0; i < 3; i++)
		lost = lost || (given[i] != NULL && strstr(o->url, names[i]) == NULL);
	for (size_t i = 0; i < o->n_labels && !lost; i++) {
		char *name = pgo_asprintf("{%.*s}", (int)strcspn(o->labels[i], "="), o->labels[i]);

		lost = name != NULL && strstr(o->url, name) == NULL;
		pgo_free(name);
	}
	if (!lost || r->warned_labels)
		return;
	r->warned_labels = true;
	pgo_warn("%s: this store keeps the bytes as they are, and labels only in names: put "
		 "{service}, {host}, {NAME} into the address for those you gave, or they are lost",
		path);
}

static int put_as_is(
	struct run *r, const char *path, const struct pgo_record *rec, struct pgo_err *err)
{
	const struct pgo_push_item item = {path, rec, 0, 1};

	warn_of_labels(r, path);
	r->stats->profiles++;
	return put(r, &item, err);
}

static int copy_text(char **to, const char *from, struct pgo_err *err)
{
	return pgo_record_set(to, from != NULL ? from : "", err);
}

/* The record of one piece: the file's, but for what its own bytes say. */
static int record_of(const struct pgo_record *rec, const struct pgo_profile *p, const char *path,
	struct pgo_record *ret, struct pgo_err *err)
{
	struct stat st;
	int rc = pgo_record_set(&ret->kind, "pprof", err);

	if (rc == 0)
		rc = copy_text(&ret->source, rec->source, err);
	if (rc == 0)
		rc = copy_text(&ret->host, rec->host, err);
	if (rc == 0)
		rc = copy_text(&ret->service, rec->service, err);
	if (rc == 0)
		rc = copy_text(&ret->version, rec->version, err);
	for (size_t i = 0; i < rec->n_labels && rc == 0; i++)
		rc = pgo_record_label(ret, rec->labels[i].key, rec->labels[i].value, err);
	for (size_t i = 0; i < p->n_mappings && rc == 0; i++) {
		const char *id = pgo_profile_str(p, p->mappings[i].build_id);

		if (*id != '\0')
			rc = pgo_record_list_add(
				&ret->build_ids, &ret->n_build_ids, &ret->build_ids_room, id, err);
	}
	for (size_t i = 0; i < p->n_sample_types && rc == 0; i++) {
		char *type = pgo_asprintf("%s/%s", pgo_profile_str(p, p->sample_types[i].type),
			pgo_profile_str(p, p->sample_types[i].unit));

		rc = type == NULL ? pgo_err_nomem(err)
				  : pgo_record_list_add(&ret->sample_types, &ret->n_sample_types,
					    &ret->sample_types_room, type, err);
		pgo_free(type);
	}
	ret->time_ns = p->time_ns;
	ret->duration_ns = p->duration_ns;
	if (rc == 0 && stat(path, &st) < 0)
		rc = pgo_err_errno(err, PGO_EIO, "%s cannot be read", path);
	ret->bytes = rc == 0 ? (uint64_t)st.st_size : 0;
	return rc == 0 ? pgo_sha256_file(path, ret->digest, err) : rc;
}

static int put_piece(struct run *r, const struct pgo_record *rec, const struct pgo_shaped *shaped,
	size_t i, struct pgo_err *err)
{
	struct pgo_record own = {0};
	struct pgo_push_item item = {r->temp, &own, (unsigned)i, (unsigned)shaped->n};
	int rc = pgo_pprof_write(shaped->parts[i], r->temp, err);

	if (rc == 0)
		rc = record_of(rec, shaped->parts[i], r->temp, &own, err);
	if (rc == 0)
		rc = put(r, &item, err);
	pgo_record_fini(&own);
	return rc;
}

static void warn_of_left(struct run *r, const char *path, const struct pgo_shaped *shaped)
{
	if (shaped->left_name == NULL || r->warned_left)
		return;
	r->warned_left = true;
	pgo_warn(
		"%s: addresses in %s are left as they were in one process, since the file with its "
		"build-id is not here: stores that join hosts will get these wrong; name it with "
		"--binary",
		path, *shaped->left_name != '\0' ? shaped->left_name : "memory without a file");
}

static int put_shaped(struct run *r, const char *path, const struct pgo_record *rec,
	struct pgo_reader *rd, struct pgo_err *err)
{
	const struct pgo_source_ops *ops = r->store->ops;
	uint32_t max = r->o->max_samples;
	struct pgo_shape_options so = {.elfs = &r->elfs, .record = rec};
	struct pgo_shaped shaped = {0};
	int rc = pgo_push_elfs_find(&r->elfs, rd->head, err);

	so.max_samples = max != 0 && (ops->push_samples == 0 || max < ops->push_samples)
				 ? max
				 : ops->push_samples;
	if (rc == 0)
		rc = pgo_push_shape(rd, &so, &shaped, &r->stats->shape, err);
	if (rc < 0)
		return rc;
	r->stats->profiles++;
	warn_of_left(r, path, &shaped);
	for (size_t i = 0; i < shaped.n && rc == 0; i++)
		rc = put_piece(r, rec, &shaped, i, err);
	pgo_shaped_fini(&shaped);
	return rc;
}

/* ---------------------------------------------------------------- files */

static int push_recording(
	struct run *r, const char *path, const struct pgo_record *rec, struct pgo_err *err)
{
	const struct pgo_import_options io = {.binaries = r->o->binaries,
		.n_binaries = r->o->n_binaries,
		.split_processes = true};
	struct pgo_imported in;
	int rc = pgo_import(path, &io, &in, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < in.n && rc == 0; i++) {
		struct pgo_reader *rd = pgo_profile_reader(in.profiles[i], path, false, err);

		rc = rd != NULL ? put_shaped(r, path, rec, rd, err) : err->code;
		pgo_reader_close(rd);
	}
	pgo_imported_fini(&in);
	return rc;
}

static int push_pprof(
	struct run *r, const char *path, const struct pgo_record *rec, struct pgo_err *err)
{
	struct pgo_reader *rd = pgo_pprof_open(path, NULL, err);
	int rc = rd != NULL ? put_shaped(r, path, rec, rd, err) : err->code;

	pgo_reader_close(rd);
	return rc;
}

static int push_file(
	struct run *r, const char *path, const struct pgo_record *from, struct pgo_err *err)
{
	struct pgo_record rec = {0};
	int rc = describe(r, path, from, &rec, err);

	if (rc == 0 && !r->store->ops->push_shaped)
		rc = put_as_is(r, path, &rec, err);
	else if (rc == 0 && strcmp(rec.kind, "pprof") == 0)
		rc = push_pprof(r, path, &rec, err);
	else if (rc == 0)
		rc = push_recording(r, path, &rec, err);
	pgo_record_fini(&rec);
	r->stats->files += rc == 0;
	pgo_progress("pushing", r->stats->files, 0, "files");
	/* A sentence that names the file says enough. */
	if (rc < 0 && rc != PGO_ENOMEM && err != NULL && strstr(err->msg, path) == NULL)
		pgo_err_prefix(err, "%s", path);
	return rc;
}

static int push_fetched(struct run *r, const char *dir, const char *manifest, struct pgo_err *err)
{
	struct pgo_manifest m;
	int rc;

	pgo_manifest_init(&m);
	rc = pgo_manifest_load(&m, manifest, err);
	for (size_t i = 0; i < m.n_records && rc == 0; i++) {
		char *path = pgo_object_path(dir, m.records[i].digest);

		rc = path != NULL ? push_file(r, path, &m.records[i], err) : pgo_err_nomem(err);
		pgo_free(path);
	}
	pgo_manifest_fini(&m);
	return rc;
}

static int push_paths(struct run *r, const char *operand, struct pgo_err *err)
{
	struct pgo_paths paths = {0};
	struct stat st;
	bool dir = stat(operand, &st) == 0 && S_ISDIR(st.st_mode);
	int rc = pgo_paths_list(operand, &paths, err);

	if (rc == 0 && paths.n == 0)
		rc = pgo_err_set(err, PGO_ENOTFOUND, "%s: there is no file there", operand);
	for (size_t i = 0; i < paths.n && rc == 0; i++) {
		bool profile = true;

		if (dir) /* what else lies about in it is none of ours */
			rc = pgo_examine_kind(paths.path[i], &profile, err);
		if (rc == 0 && profile)
			rc = push_file(r, paths.path[i], NULL, err);
		else if (rc == 0)
			pgo_note("%s is no profile, skipping", paths.path[i]);
	}
	pgo_paths_free(&paths);
	return rc;
}

static int push_operand(struct run *r, const char *operand, struct pgo_err *err)
{
	char *manifest = pgo_asprintf("%s/manifest.jsonl", operand);
	int rc;

	if (manifest == NULL)
		return pgo_err_nomem(err);
	rc = pgo_path_exists(manifest) ? push_fetched(r, operand, manifest, err)
				       : push_paths(r, operand, err);
	pgo_free(manifest);
	return rc;
}

/* ---------------------------------------------------------------- the whole */

static int check_labels(const struct pgo_push_options *o, struct pgo_err *err)
{
	for (size_t i = 0; i < o->n_labels; i++) {
		const char *eq = strchr(o->labels[i], '=');

		if (eq == NULL || eq == o->labels[i])
			return pgo_err_set(err, PGO_EUSAGE,
				"label '%s' is not of the form key=value", o->labels[i]);
	}
	return 0;
}

static int open_store(struct run *r, struct pgo_err *err)
{
	const struct pgo_source_ops *ops;

	r->store = pgo_source_open(r->o->url, r->o->extra, err);
	if (r->store == NULL)
		return err->code;
	ops = r->store->ops;
	if (ops->put == NULL)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s takes no profiles: they can be pushed into directories, buckets "
			"and profile stores",
			ops->about);
	if (ops->request != NULL) {
		r->http = pgo_http_new(&r->o->http, err);
		if (r->http == NULL)
			return err->code;
		r->store->http = r->http;
	}
	r->stats->shaped = ops->push_shaped;
	return 0;
}

static int make_temp(struct run *r, struct pgo_err *err)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	if (!r->store->ops->push_shaped)
		return 0;
	r->temp = pgo_asprintf("%s/pgo-push-XXXXXX", dir != NULL && *dir != '\0' ? dir : "/tmp");
	if (r->temp == NULL)
		return pgo_err_nomem(err);
	fd = mkstemp(r->temp);
	if (fd < 0)
		return pgo_err_errno(err, PGO_EIO, "%s cannot be created", r->temp);
	close(fd);
	return 0;
}

static int run(struct run *r, struct pgo_err *err)
{
	int rc = check_labels(r->o, err);

	if (rc == 0)
		rc = open_store(r, err);
	for (size_t i = 0; i < r->o->n_binaries && rc == 0; i++)
		rc = pgo_push_elfs_add(&r->elfs, r->o->binaries[i], err);
	if (rc == 0)
		rc = make_temp(r, err);
	for (size_t i = 0; i < r->o->n_files && rc == 0; i++)
		rc = push_operand(r, r->o->files[i], err);
	pgo_progress_end();
	if (rc == 0 && r->stats->files == 0)
		rc = pgo_err_set(err, PGO_EEMPTY, "there was no profile to push");
	return rc;
}

int pgo_push(const struct pgo_push_options *o, struct pgo_push_stats *ret, struct pgo_err *err)
{
	struct pgo_push_stats stats = {0};
	struct pgo_err local = PGO_ERR_INIT;
	struct run r = {.o = o, .stats = &stats};
	int rc = run(&r, &local);

	if (r.temp != NULL)
		unlink(r.temp);
	pgo_free(r.temp);
	pgo_source_close(r.store);
	if (r.http != NULL) {
		stats.retries = pgo_http_stats_of(r.http)->retries;
		stats.sent_bytes = pgo_http_stats_of(r.http)->sent;
	}
	pgo_http_free(r.http);
	pgo_push_elfs_fini(&r.elfs);
	if (rc < 0 && err != NULL)
		*err = local;
	*ret = stats;
	return rc;
}
