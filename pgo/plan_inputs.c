/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/plan_inputs.h"

#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/parallel.h"
#include "pgo/core/sha256.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---------------------------------------------------------------- files */

static void look(const char *path, struct pgo_input_file *f)
{
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	f->regular = true;
	f->size = st.st_size;
	f->mtime = st.st_mtim;
	f->inode = st.st_ino;
}

struct pgo_input_file *pgo_input_files(
	const struct pgo_merge_input *in, size_t n, struct pgo_err *err)
{
	struct pgo_input_file *f = pgo_calloc(n, sizeof *f);

	if (f == NULL)
		pgo_err_nomem(err);
	for (size_t i = 0; i < n && f != NULL; i++) {
		f[i].input = i;
		look(in[i].path, &f[i]);
	}
	return f;
}

void pgo_input_files_free(struct pgo_input_file *f, size_t n)
{
	for (size_t i = 0; f != NULL && i < n; i++)
		pgo_free(f[i].trouble);
	pgo_free(f);
}

int pgo_input_file_digest(
	const struct pgo_merge_input *in, struct pgo_input_file *f, struct pgo_err *err)
{
	if (f->digest[0] != '\0' || !f->regular)
		return 0;
	if (in->digest == NULL)
		return pgo_sha256_file(in->path, f->digest, err);
	snprintf(f->digest, sizeof f->digest, "%s", in->digest);
	return 0;
}

int pgo_input_file_open(const struct pgo_merge_input *in, const struct pgo_input_file *f,
	const char *binary, struct pgo_input *ret, struct pgo_err *err)
{
	const struct pgo_input_options o = {.binaries = &binary, .n_binaries = binary != NULL};
	struct pgo_input_file now = {0};

	look(in->path, &now);
	if (now.regular != f->regular || now.size != f->size || now.inode != f->inode ||
		memcmp(&now.mtime, &f->mtime, sizeof now.mtime) != 0)
		return pgo_err_set(
			err, PGO_EIO, "%s changed while it was being merged; run again", in->path);
	return pgo_input_open(in->path, &o, ret, err);
}

/* What lies in the input, not in us. */
static bool is_its_fault(int rc)
{
	return rc == PGO_EFORMAT || rc == PGO_EEMPTY || rc == PGO_EUSAGE || rc == PGO_EMISMATCH ||
	       rc == PGO_ENOTFOUND || rc == PGO_ELIMIT;
}

int pgo_input_file_leave_out(
	const struct pgo_merge_input *in, struct pgo_input_file *f, int rc, struct pgo_err *err)
{
	if (!in->optional || !is_its_fault(rc))
		return rc;
	f->trouble = pgo_strdup(err->msg);
	f->skip = true;
	*err = (struct pgo_err)PGO_ERR_INIT;
	return f->trouble != NULL ? 0 : pgo_err_nomem(err);
}

void pgo_input_files_tell(struct pgo_input_file *f, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (f[i].trouble != NULL)
			pgo_warn("%s, skipping", f[i].trouble);
		pgo_free(f[i].trouble);
		f[i].trouble = NULL;
	}
}

/* ---------------------------------------------------------------- planning */

/* The parts of one file. */
struct measured {
	struct pgo_plan_input *part;
	size_t n;
	struct pgo_measures_key key;
	bool fresh; /* to be kept */
};

struct job {
	const struct pgo_merge_input *in;
	struct pgo_input_file *files;
	struct measured *measured;
	size_t n, done; /* done: atomic */
	const char *binary;
	struct pgo_plan_memory *memory;
	struct pgo_plan *plan;
};

static const char *name_of(const struct pgo_merge_input *in)
{
	if (in->name != NULL)
		return in->name;
	return in->path[0] == '/' ? pgo_path_base(in->path) : in->path;
}

/* A recording holds several profiles: each gets a digest and a name of its own. */
static int measure_part(
	struct job *job, size_t i, const struct pgo_input *input, size_t part, struct pgo_err *err)
{
	const struct pgo_merge_input *in = &job->in[i];
	const struct pgo_input_file *f = &job->files[i];
	const char *name = name_of(in), *group = "";
	char *digest, *full;
	int rc;

	if (input->n > 1)
		group = strrchr(input->names[part], '#');
	digest =
		input->n == 1 ? pgo_strdup(f->digest) : pgo_asprintf("%s#%zu", f->digest, part + 1);
	full = pgo_asprintf("%s%s", name, group != NULL ? group : "");
	if (digest == NULL || full == NULL) {
		rc = pgo_err_nomem(err);
	} else {
		const struct pgo_plan_source src = {
			.name = full,
			.digest = f->digest[0] != '\0' ? digest : NULL,
			.host = in->host,
			.time_ns = in->time_ns,
			.service = in->service,
			.class = in->class,
			.probability = in->probability,
			.blend = in->blend,
		};

		rc = pgo_plan_measure(&job->plan->options, input->readers[part], &src,
			&job->measured[i].part[part], err);
	}
	pgo_free(digest);
	pgo_free(full);
	return rc;
}

static int measure_parts(
	struct job *job, size_t i, const struct pgo_input *input, struct pgo_err *err)
{
	struct measured *m = &job->measured[i];
	int rc = 0;

	m->part = pgo_calloc(input->n, sizeof *m->part);
	if (m->part == NULL)
		return pgo_err_nomem(err);
	for (; m->n < input->n && rc == 0; m->n++)
		rc = measure_part(job, i, input, m->n, err);
	return rc;
}

/* What is kept is of the bytes that the manifest knows. */
static bool is_kept(const struct job *job, size_t i)
{
	const struct pgo_merge_input *in = &job->in[i];
	const struct pgo_input_file *f = &job->files[i];

	return job->memory != NULL && in->digest != NULL && !in->blend && f->regular &&
	       (in->record == NULL || in->record->bytes == (uint64_t)f->size);
}

static bool remember(struct job *job, size_t i)
{
	const struct pgo_merge_input *in = &job->in[i];
	struct measured *m = &job->measured[i];
	const struct pgo_plan_source src = {
		.name = name_of(in),
		.host = in->host,
		.time_ns = in->time_ns,
		.service = in->service,
		.class = in->class,
		.probability = in->probability,
	};

	m->key = pgo_measures_key(&job->plan->options, &src, in->digest, job->memory->salt);
	m->n = pgo_measures_get(job->memory->measures, &m->key, &m->part);
	m->fresh = m->n == 0;
	job->files[i].known = m->n != 0;
	if (m->n != 0)
		__atomic_fetch_add(&job->memory->n_known, 1, __ATOMIC_RELAXED);
	return m->n != 0;
}

static int measure_file(void *ctx, size_t i, unsigned thread, struct pgo_err *err)
{
	struct job *job = ctx;
	struct pgo_input_file *f = &job->files[i];
	struct pgo_input input;
	int rc;

	(void)thread;
	pgo_progress("planning", __atomic_fetch_add(&job->done, 1, __ATOMIC_RELAXED), job->n,
		"profiles");
	if (f->skip)
		return 0;
	rc = pgo_input_file_digest(&job->in[i], f, err);
	if (rc < 0)
		return rc;
	if (is_kept(job, i) && remember(job, i))
		return 0;
	rc = pgo_input_file_open(&job->in[i], f, job->binary, &input, err);
	if (rc < 0)
		return pgo_input_file_leave_out(&job->in[i], f, rc, err);
	rc = measure_parts(job, i, &input, err);
	pgo_input_close(&input);
	return rc;
}

static int put_all(struct job *job, struct pgo_err *err)
{
	size_t seq = 0;

	for (size_t i = 0; i < job->n; i++) {
		struct measured *m = &job->measured[i];

		job->files[i].first_part = seq;
		job->files[i].n_parts = m->n;
		for (size_t part = 0; part < m->n; part++, seq++)
			if (pgo_plan_put(job->plan, &m->part[part], err) < 0)
				return PGO_ENOMEM;
	}
	return 0;
}

/* Before the parts go to the plan. */
static void keep_measures(struct job *job)
{
	struct pgo_measures_writer w;
	struct pgo_err err = PGO_ERR_INIT;

	pgo_measures_begin(&w);
	for (size_t i = 0; i < job->n; i++)
		if (job->measured[i].fresh && job->measured[i].n != 0)
			pgo_measures_put(&w, &job->measured[i].key, job->measured[i].part,
				job->measured[i].n);
	if (pgo_measures_save(job->memory->measures, &w, &err) < 0)
		pgo_note("%s; the next run reads all profiles again", err.msg);
}

static void free_measured(struct job *job)
{
	for (size_t i = 0; job->measured != NULL && i < job->n; i++) {
		for (size_t part = 0; part < job->measured[i].n; part++)
			pgo_plan_input_fini(&job->measured[i].part[part]);
		pgo_free(job->measured[i].part);
	}
	pgo_free(job->measured);
}

int pgo_plan_inputs(const struct pgo_merge_input *in, struct pgo_input_file *files, size_t n,
	const char *binary, struct pgo_plan_memory *memory, struct pgo_plan *plan,
	struct pgo_err *err)
{
	struct job job = {
		.in = in, .files = files, .n = n, .binary = binary, .memory = memory, .plan = plan};
	int rc;

	job.measured = pgo_calloc(n, sizeof *job.measured);
	if (job.measured == NULL)
		return pgo_err_nomem(err);
	rc = pgo_parallel(n, pgo_threads(), measure_file, &job, err);
	pgo_progress_end();
	pgo_input_files_tell(files, n);
	if (rc == 0 && memory != NULL)
		keep_measures(&job);
	if (rc == 0)
		rc = put_all(&job, err);
	if (rc == 0)
		rc = pgo_plan_finish(plan, err);
	free_measured(&job);
	return rc;
}
