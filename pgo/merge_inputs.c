/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/merge_inputs.h"

#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/parallel.h"
#include "pgo/core/sha256.h"
#include "pgo/input.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Enough of a file's state to see that it changed between two readings. */
struct stamp {
	size_t input;
	off_t size;
	struct timespec mtime;
	ino_t inode;
	bool regular, skip;
	char digest[65];
	size_t first_part, n_parts; /* in the plan */
	char *trouble;              /* why it is skipped, to be told in the order of the inputs */
};

struct job {
	const struct pgo_merge_input *in;
	struct stamp *stamps; /* per input */
	size_t n;
	const char *binary;
	struct pgo_merged *out;
	size_t seq;                /* parts planned so far */
	struct pgo_merge **merges; /* one for each thread */
	struct pgo_hosts **hosts;  /* the same; NULL unless who ran what is asked for */
	unsigned threads;
	size_t done; /* inputs summed; atomic */
};

static void look(const char *path, struct stamp *s)
{
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	s->regular = true;
	s->size = st.st_size;
	s->mtime = st.st_mtim;
	s->inode = st.st_ino;
}

static int digest_of(const struct job *job, size_t i, struct pgo_err *err)
{
	struct stamp *s = &job->stamps[i];

	if (s->digest[0] != '\0' || !s->regular)
		return 0;
	if (job->in[i].digest == NULL)
		return pgo_sha256_file(job->in[i].path, s->digest, err);
	snprintf(s->digest, sizeof s->digest, "%s", job->in[i].digest);
	return 0;
}

/* ---------------------------------------------------------------- planning */

/* A recording holds several profiles: each gets a digest and a name of its own. */
static int plan_part(
	struct job *job, size_t i, const struct pgo_input *input, size_t part, struct pgo_err *err)
{
	const struct pgo_merge_input *in = &job->in[i];
	const char *name = in->name, *group = "";
	char *digest, *full;
	int rc;

	if (name == NULL)
		name = in->path[0] == '/' ? pgo_path_base(in->path) : in->path;
	if (input->n == 1) {
		digest = pgo_strdup(job->stamps[i].digest);
	} else {
		digest = pgo_asprintf("%s#%zu", job->stamps[i].digest, part);
		group = strrchr(input->names[part], '#');
	}
	full = pgo_asprintf("%s%s", name, group != NULL ? group : "");
	if (digest == NULL || full == NULL) {
		rc = pgo_err_nomem(err);
	} else {
		const struct pgo_plan_source src = {
			.name = full,
			.digest = job->stamps[i].digest[0] != '\0' ? digest : NULL,
			.host = in->host,
			.time_ns = in->time_ns,
		};

		rc = pgo_plan_add(&job->out->plan, input->readers[part], &src, err);
	}
	pgo_free(digest);
	pgo_free(full);
	return rc;
}

/* What lies in the input, not in us. */
static bool is_its_fault(int rc)
{
	return rc == PGO_EFORMAT || rc == PGO_EEMPTY || rc == PGO_EUSAGE || rc == PGO_EMISMATCH ||
	       rc == PGO_ENOTFOUND || rc == PGO_ELIMIT;
}

/*
 * A plan lists its inputs in their order, so its pass is not split; but the input that comes next
 * is opened by a second thread while the samples of this one are drawn: inflating and decoding the
 * tables is about half of the work.  One input ahead, never more, so that memory stays bounded.
 */
struct ahead {
	const struct job *job;
	size_t i;
	bool started, threaded;
	pthread_t thread;
	struct pgo_input input;
	struct pgo_err err;
	int rc;
};

static int open_now(const struct job *job, size_t i, struct pgo_input *ret, struct pgo_err *err)
{
	const struct pgo_input_options o = {
		.binaries = &job->binary, .n_binaries = job->binary != NULL};
	const struct stamp *s = &job->stamps[i];
	struct stamp now = {0};

	look(job->in[i].path, &now);
	if (now.regular != s->regular || now.size != s->size || now.inode != s->inode ||
		memcmp(&now.mtime, &s->mtime, sizeof now.mtime) != 0)
		return pgo_err_set(err, PGO_EIO, "%s changed while it was being merged; run again",
			job->in[i].path);
	return pgo_input_open(job->in[i].path, &o, ret, err);
}

static void *open_ahead(void *arg)
{
	struct ahead *a = arg;

	a->rc = open_now(a->job, a->i, &a->input, &a->err);
	return NULL;
}

static void start(struct ahead *a, const struct job *job, size_t i)
{
	memset(a, 0, sizeof *a);
	a->job = job;
	a->i = i;
	a->started = true;
	a->threaded = pthread_create(&a->thread, NULL, open_ahead, a) == 0;
}

/* Waits for the opening; without a thread, opens now. */
static void await(struct ahead *a)
{
	if (a->threaded)
		pthread_join(a->thread, NULL);
	else
		open_ahead(a);
	a->started = false;
}

/* Closes what was opened ahead and is not needed any more. */
static void drop(struct ahead *a)
{
	if (!a->started || !a->threaded)
		return;
	await(a);
	if (a->rc == 0)
		pgo_input_close(&a->input);
}

/* An input of a fleet that is of no use is left out; why, is told after the pass. */
static int leave_out(struct job *job, size_t i, int rc, struct pgo_err *err)
{
	if (!job->in[i].optional || !is_its_fault(rc))
		return rc;
	job->stamps[i].trouble = pgo_strdup(err->msg);
	job->stamps[i].skip = true;
	*err = (struct pgo_err)PGO_ERR_INIT;
	return job->stamps[i].trouble != NULL ? 0 : pgo_err_nomem(err);
}

static void tell_troubles(struct job *job)
{
	for (size_t i = 0; i < job->n; i++) {
		struct stamp *s = &job->stamps[i];

		if (s->trouble != NULL)
			pgo_warn("%s, skipping", s->trouble);
		pgo_free(s->trouble);
		s->trouble = NULL;
	}
}

static int plan_input(struct job *job, struct ahead *a, struct pgo_err *err)
{
	struct stamp *s = &job->stamps[a->i];
	int rc = 0;

	await(a);
	if (a->rc < 0) {
		*err = a->err;
		return leave_out(job, a->i, a->rc, err);
	}
	s->first_part = job->seq;
	s->n_parts = a->input.n;
	for (size_t part = 0; part < a->input.n && rc == 0; part++, job->seq++)
		rc = plan_part(job, a->i, &a->input, part, err);
	pgo_input_close(&a->input);
	return rc;
}

/* The first input from `i` on that is not left out. */
static size_t next_input(const struct job *job, size_t i)
{
	while (i < job->n && job->stamps[i].skip)
		i++;
	return i;
}

static int plan_inputs(struct job *job, struct pgo_err *err)
{
	struct ahead slots[2] = {{0}, {0}};
	size_t i = next_input(job, 0), next;
	int rc = 0;

	if (i < job->n)
		start(&slots[0], job, i);
	for (unsigned k = 0; i < job->n && rc == 0; i = next, k ^= 1) {
		next = next_input(job, i + 1);
		if (next < job->n)
			start(&slots[k ^ 1], job, next);
		pgo_progress("planning", i, job->n, "profiles");
		rc = plan_input(job, &slots[k], err);
	}
	drop(&slots[0]);
	drop(&slots[1]);
	pgo_progress_end();
	tell_troubles(job);
	return rc;
}

static int plan(struct job *job, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < job->n && rc == 0; i++)
		rc = digest_of(job, i, err);
	if (rc == 0)
		rc = plan_inputs(job, err);
	return rc == 0 ? pgo_plan_finish(&job->out->plan, err) : rc;
}

/* ---------------------------------------------------------------- twins without a plan */

static int cmp_size(const void *pa, const void *pb)
{
	const struct stamp *a = pa, *b = pb;

	if (a->size != b->size)
		return a->size < b->size ? -1 : 1;
	return (a->input > b->input) - (a->input < b->input);
}

static int cmp_digest(const void *pa, const void *pb)
{
	const struct stamp *a = pa, *b = pb;
	int c = strcmp(a->digest, b->digest);

	return c != 0 ? c : (a->input > b->input) - (a->input < b->input);
}

/* Only files of one size can be twins, so most need no digest. */
static int digest_same_sizes(struct job *job, const struct stamp *by_size, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < job->n && rc == 0; i++) {
		const struct stamp *s = &by_size[i];
		bool same = (i > 0 && by_size[i - 1].size == s->size) ||
			    (i + 1 < job->n && by_size[i + 1].size == s->size);

		if (same && s->regular)
			rc = digest_of(job, s->input, err);
	}
	return rc;
}

static int mark_twins(struct job *job, struct pgo_err *err)
{
	struct stamp *sorted = pgo_calloc(job->n, sizeof *sorted);
	int rc;

	if (sorted == NULL)
		return pgo_err_nomem(err);
	memcpy(sorted, job->stamps, job->n * sizeof *sorted);
	qsort(sorted, job->n, sizeof *sorted, cmp_size);
	rc = digest_same_sizes(job, sorted, err);
	memcpy(sorted, job->stamps, job->n * sizeof *sorted);
	qsort(sorted, job->n, sizeof *sorted, cmp_digest);
	for (size_t i = 1; i < job->n && rc == 0; i++) {
		if (sorted[i].digest[0] == '\0' ||
			strcmp(sorted[i].digest, sorted[i - 1].digest) != 0)
			continue;
		job->stamps[sorted[i].input].skip = true;
		pgo_warn("%s has the same bytes as %s; it is counted once",
			job->in[sorted[i].input].path, job->in[sorted[i - 1].input].path);
	}
	pgo_free(sorted);
	return rc;
}

/* ---------------------------------------------------------------- summing */

/* `hosts` may be NULL: nobody asks who ran what. */
static int add_part(const struct job *job, size_t i, struct pgo_reader *r, struct pgo_merge *merge,
	struct pgo_hosts *hosts, uint64_t weight, struct pgo_err *err)
{
	struct pgo_reader *watched;
	int rc;

	if (hosts == NULL)
		return pgo_merge_add(merge, r, weight, err);
	watched = pgo_hosts_watch(hosts, r, job->in[i].host, err);
	if (watched == NULL)
		return PGO_ENOMEM;
	rc = pgo_merge_add(merge, watched, weight, err);
	pgo_reader_close(watched);
	return rc;
}

static int sum_parts(struct job *job, size_t i, struct pgo_input *input, struct pgo_merge *merge,
	struct pgo_hosts *hosts, struct pgo_err *err)
{
	const struct pgo_plan *plan = &job->out->plan;
	const struct stamp *s = &job->stamps[i];
	int rc = 0;

	if (plan->n != 0 && input->n != s->n_parts)
		return pgo_err_set(err, PGO_EIO, "%s changed while it was being merged; run again",
			job->in[i].path);
	for (size_t part = 0; part < input->n && rc == 0; part++) {
		uint64_t weight =
			plan->n != 0 ? pgo_plan_of(plan, s->first_part + part)->weight : 1;

		if (weight != 0)
			rc = add_part(job, i, input->readers[part], merge, hosts, weight, err);
	}
	return rc;
}

static int sum_input(void *ctx, size_t i, unsigned thread, struct pgo_err *err)
{
	struct job *job = ctx;
	struct pgo_input input;
	int rc;

	pgo_progress(
		"merging", __atomic_fetch_add(&job->done, 1, __ATOMIC_RELAXED), job->n, "profiles");
	if (job->stamps[i].skip)
		return 0;
	rc = open_now(job, i, &input, err);
	if (rc < 0)
		return leave_out(job, i, rc, err);
	rc = sum_parts(job, i, &input, job->merges[thread], job->hosts[thread], err);
	pgo_input_close(&input);
	return rc;
}

/*
 * Every thread sums the inputs that it takes into tables of its own, and the tables are joined at
 * the end.  Sums are exact and the result is sorted by content, so neither the number of threads
 * nor who took what can show.
 */
static int sum_inputs(struct job *job, const struct pgo_merge_options *o, struct pgo_err *err)
{
	int rc;

	job->threads = pgo_threads();
	if (job->threads > job->n)
		job->threads = job->n != 0 ? (unsigned)job->n : 1;
	job->merges = pgo_calloc(job->threads, sizeof(struct pgo_merge *));
	job->hosts = pgo_calloc(job->threads, sizeof(struct pgo_hosts *));
	if (job->merges == NULL || job->hosts == NULL)
		return pgo_err_nomem(err);
	for (unsigned t = 0; t < job->threads; t++) {
		job->merges[t] = pgo_merge_new(o, err);
		if (o->min_hosts != 0)
			job->hosts[t] = pgo_hosts_new(o->min_hosts, err);
		if (job->merges[t] == NULL || (o->min_hosts != 0 && job->hosts[t] == NULL))
			return PGO_ENOMEM;
	}
	rc = pgo_parallel(job->n, job->threads, sum_input, job, err);
	pgo_progress_end();
	tell_troubles(job);
	for (unsigned t = 1; t < job->threads && rc == 0; t++) {
		rc = pgo_merge_absorb(job->merges[0], job->merges[t], err);
		pgo_merge_free(job->merges[t]);
		job->merges[t] = NULL;
		if (rc == 0 && job->hosts[t] != NULL)
			rc = pgo_hosts_join(job->hosts[0], job->hosts[t], err);
	}
	return rc;
}

/* ---------------------------------------------------------------- the whole */

static int run(struct job *job, const struct pgo_plan_options *po,
	const struct pgo_merge_options *mo, struct pgo_err *err)
{
	struct pgo_merge_options options = *mo;
	int rc = po != NULL ? plan(job, err) : mark_twins(job, err);

	if (rc < 0)
		return rc;
	options.weight_one = job->out->plan.weight_one;
	rc = sum_inputs(job, &options, err);
	if (rc < 0)
		return rc;
	job->out->profile = pgo_merge_finish(job->merges[0], err);
	job->out->stats = *pgo_merge_stats_of(job->merges[0]);
	job->out->hosts = job->hosts[0];
	job->hosts[0] = NULL;
	return job->out->profile != NULL ? 0 : err->code;
}

static void job_fini(struct job *job)
{
	for (unsigned t = 0; job->merges != NULL && t < job->threads; t++)
		pgo_merge_free(job->merges[t]);
	for (unsigned t = 0; job->hosts != NULL && t < job->threads; t++)
		pgo_hosts_free(job->hosts[t]);
	pgo_free(job->hosts);
	for (size_t i = 0; job->stamps != NULL && i < job->n; i++)
		pgo_free(job->stamps[i].trouble);
	pgo_free(job->merges);
	pgo_free(job->stamps);
}

int pgo_merge_inputs(const struct pgo_merge_input *in, size_t n, const char *binary,
	const struct pgo_plan_options *po, const struct pgo_merge_options *mo,
	struct pgo_merged *ret, struct pgo_err *err)
{
	const struct pgo_plan_options none = {0};
	struct job job = {.in = in, .n = n, .binary = binary, .out = ret};
	struct pgo_err local = PGO_ERR_INIT;
	int rc;

	memset(ret, 0, sizeof *ret);
	pgo_plan_init(&ret->plan, po != NULL ? po : &none);
	job.stamps = pgo_calloc(n, sizeof *job.stamps);
	for (size_t i = 0; i < n && job.stamps != NULL; i++) {
		job.stamps[i].input = i;
		look(in[i].path, &job.stamps[i]);
	}
	rc = job.stamps != NULL ? run(&job, po, mo, &local) : pgo_err_nomem(&local);
	job_fini(&job);
	if (rc < 0)
		pgo_merged_fini(ret);
	if (rc < 0 && err != NULL)
		*err = local;
	return rc;
}

void pgo_merged_fini(struct pgo_merged *m)
{
	pgo_plan_fini(&m->plan);
	pgo_profile_free(m->profile);
	pgo_hosts_free(m->hosts);
	m->profile = NULL;
	m->hosts = NULL;
}
