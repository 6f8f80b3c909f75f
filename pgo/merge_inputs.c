/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/merge_job.h"

#include "merge/contained.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/parallel.h"
#include "pgo/core/sha256.h"
#include "pgo/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- twins without a plan */

static int cmp_size(const void *pa, const void *pb)
{
	const struct pgo_input_file *a = pa, *b = pb;

	if (a->size != b->size)
		return a->size < b->size ? -1 : 1;
	return (a->input > b->input) - (a->input < b->input);
}

static int cmp_digest(const void *pa, const void *pb)
{
	const struct pgo_input_file *a = pa, *b = pb;
	int c = strcmp(a->digest, b->digest);

	return c != 0 ? c : (a->input > b->input) - (a->input < b->input);
}

/* Only files of one size can be twins, so most need no digest. */
static int digest_same_sizes(
	struct pgo_merge_job *job, const struct pgo_input_file *by_size, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < job->n && rc == 0; i++) {
		const struct pgo_input_file *s = &by_size[i];
		bool same = (i > 0 && by_size[i - 1].size == s->size) ||
			    (i + 1 < job->n && by_size[i + 1].size == s->size);

		if (same && s->regular)
			rc = pgo_input_file_digest(&job->in[s->input], &job->files[s->input], err);
	}
	return rc;
}

static int mark_twins(struct pgo_merge_job *job, struct pgo_err *err)
{
	struct pgo_input_file *sorted = pgo_calloc(job->n, sizeof *sorted);
	int rc;

	if (sorted == NULL)
		return pgo_err_nomem(err);
	memcpy(sorted, job->files, job->n * sizeof *sorted);
	qsort(sorted, job->n, sizeof *sorted, cmp_size);
	rc = digest_same_sizes(job, sorted, err);
	memcpy(sorted, job->files, job->n * sizeof *sorted);
	qsort(sorted, job->n, sizeof *sorted, cmp_digest);
	for (size_t i = 1; i < job->n && rc == 0; i++) {
		if (sorted[i].digest[0] == '\0' ||
			strcmp(sorted[i].digest, sorted[i - 1].digest) != 0)
			continue;
		job->files[sorted[i].input].skip = true;
		pgo_warn("%s has the same bytes as %s; it is counted once",
			job->in[sorted[i].input].path, job->in[sorted[i - 1].input].path);
	}
	pgo_free(sorted);
	return rc;
}

/* ---------------------------------------------------------------- summing */

/*
 * The last good profile without what it says of its own inputs and of their time: else what was
 * blended in once, and in that what was blended in before, would be named for ever.
 */
struct bare {
	struct pgo_reader reader;
	struct pgo_reader *from;
	struct pgo_profile head; /* a view of the tables of `from` */
};

static int bare_next(struct pgo_reader *r, struct pgo_sample *ret, struct pgo_err *err)
{
	return pgo_reader_next(((struct bare *)r)->from, ret, err);
}

static int add_blend(
	struct pgo_merge *merge, struct pgo_reader *from, uint64_t weight, struct pgo_err *err)
{
	struct bare bare = {.from = from, .head = *from->head};

	bare.reader =
		(struct pgo_reader){.head = &bare.head, .name = from->name, .next = bare_next};
	bare.head.n_comments = 0;
	bare.head.time_ns = bare.head.duration_ns = 0;
	return pgo_merge_add(merge, &bare.reader, weight, err);
}

/* What the result says of an input: itself and its day, unless the input says it. */
int pgo_merge_job_comments(struct pgo_merge_job *job, size_t i, const struct pgo_input *input,
	size_t part, struct pgo_merge *merge, struct pgo_err *err)
{
	const struct pgo_profile *head = input->readers[part]->head;
	int64_t time = head->time_ns != 0 ? head->time_ns : job->in[i].time_ns;
	char digest[80], text[48];
	int rc;

	if (pgo_contained_known(head)) {
		__atomic_store_n(&job->nested, true, __ATOMIC_RELAXED);
		return 0;
	}
	rc = pgo_input_file_digest(&job->in[i], &job->files[i], err);
	if (rc < 0)
		return rc;
	snprintf(digest, sizeof digest, input->n == 1 ? "%s" : "%s#%zu", job->files[i].digest,
		part + 1);
	pgo_contained_comment(digest, text);
	rc = pgo_merge_add_comment(merge, text, err);
	if (rc < 0)
		return rc;
	pgo_contained_day_comment(time, text);
	return pgo_merge_add_comment(merge, text, err);
}

static uint64_t weight_of(const struct pgo_merge_job *job, size_t i, size_t part)
{
	const struct pgo_plan *plan = &job->out->plan;
	const struct pgo_merge_input *in = &job->in[i];

	if (in->weights != NULL)
		return part < in->n_weights ? in->weights[part] : 0;
	return plan->n != 0 ? pgo_plan_of(plan, job->files[i].first_part + part)->weight : 1;
}

/* Nothing of a file that weighs nothing is read again. */
static bool is_needed(const struct pgo_merge_job *job, size_t i)
{
	const struct pgo_merge_input *in = &job->in[i];
	const size_t n = in->weights != NULL ? in->n_weights : job->files[i].n_parts;
	bool needed = job->out->plan.n == 0 && in->weights == NULL;

	for (size_t part = 0; part < n && !needed; part++)
		needed = weight_of(job, i, part) != 0;
	return needed && !job->files[i].skip;
}

/* `hosts` may be NULL: nobody asks who ran what. */
static int add_part(const struct pgo_merge_job *job, size_t i, struct pgo_reader *r,
	struct pgo_merge *merge, struct pgo_hosts *hosts, uint64_t weight, struct pgo_err *err)
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

static int sum_parts(struct pgo_merge_job *job, size_t i, struct pgo_input *input,
	struct pgo_merge *merge, struct pgo_hosts *hosts, uint64_t times, struct pgo_err *err)
{
	const struct pgo_merge_input *in = &job->in[i];
	int rc = 0;

	if (in->weights != NULL && input->n != in->n_weights)
		return pgo_err_set(err, PGO_EMISMATCH,
			"%s holds %zu profiles, the plan has %zu of it; plan and merge by one "
			"program",
			in->path, input->n, in->n_weights);
	if (job->out->plan.n != 0 && input->n != job->files[i].n_parts)
		return pgo_err_set(err, PGO_EIO, "%s changed while it was being merged; run again",
			job->in[i].path);
	for (size_t part = 0; part < input->n && rc == 0; part++) {
		uint64_t weight = times * weight_of(job, i, part);

		if (weight == 0)
			continue;
		if (job->in[i].blend)
			rc = add_blend(merge, input->readers[part], weight, err);
		else
			rc = add_part(job, i, input->readers[part], merge, hosts, weight, err);
		if (rc == 0 && !job->in[i].blend)
			rc = pgo_merge_job_comments(job, i, input, part, merge, err);
	}
	return rc;
}

/* A plan made before is about certain bytes. */
static int verify(const struct pgo_merge_input *in, struct pgo_err *err)
{
	char digest[65];
	int rc = pgo_sha256_file(in->path, digest, err);

	if (rc == 0 && strcmp(digest, in->digest) != 0)
		rc = pgo_err_set(err, PGO_EMISMATCH,
			"%s is not the file that was planned (its SHA-256 begins with %.12s, in "
			"the "
			"plan with %.12s); plan again",
			in->path, digest, in->digest);
	return rc;
}

static int sum_file(struct pgo_merge_job *job, size_t i, struct pgo_merge *merge,
	struct pgo_hosts *hosts, uint64_t times, struct pgo_err *err)
{
	struct pgo_input input;
	int rc;

	if (job->in[i].verify && (rc = verify(&job->in[i], err)) < 0)
		return rc;
	rc = pgo_input_file_open(&job->in[i], &job->files[i], job->binary, &input, err);
	if (rc < 0)
		return pgo_input_file_leave_out(&job->in[i], &job->files[i], rc, err);
	rc = sum_parts(job, i, &input, merge, hosts, times, err);
	pgo_input_close(&input);
	return rc;
}

int pgo_merge_job_add_file(struct pgo_merge_job *job, size_t i, uint64_t times,
	struct pgo_merge *merge, struct pgo_err *err)
{
	return sum_file(job, i, merge, NULL, times, err);
}

static int sum_input(void *ctx, size_t i, unsigned thread, struct pgo_err *err)
{
	struct pgo_merge_job *job = ctx;

	pgo_progress(
		"merging", __atomic_fetch_add(&job->done, 1, __ATOMIC_RELAXED), job->n, "profiles");
	if (!is_needed(job, i))
		return 0;
	return sum_file(job, i, job->merges[thread], job->hosts[thread], 1, err);
}

static void free_merges(struct pgo_merge_job *job)
{
	for (unsigned t = 0; job->merges != NULL && t < job->threads; t++)
		pgo_merge_free(job->merges[t]);
	for (unsigned t = 0; job->hosts != NULL && t < job->threads; t++)
		pgo_hosts_free(job->hosts[t]);
	pgo_free(job->merges);
	pgo_free(job->hosts);
	job->merges = NULL;
	job->hosts = NULL;
}

/*
 * Every thread sums the inputs that it takes into tables of its own, and the tables are joined at
 * the end.  Sums are exact and the result is sorted by content, so neither the number of threads
 * nor who took what can show.
 */
static int sum_inputs(
	struct pgo_merge_job *job, const struct pgo_merge_options *all, struct pgo_err *err)
{
	struct pgo_merge_options each = *all;
	const struct pgo_merge_options *o = &each;
	int rc;

	job->threads = pgo_threads();
	if (job->threads > job->n)
		job->threads = job->n != 0 ? (unsigned)job->n : 1;
	each.spill_at /= job->threads;
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
	pgo_input_files_tell(job->files, job->n);
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

static int plan(struct pgo_merge_job *job, struct pgo_err *err)
{
	return pgo_plan_inputs(
		job->in, job->files, job->n, job->binary, job->memory, &job->out->plan, err);
}

/*
 * Without a plan each file is read once, so that it is known only afterwards if one of them holds
 * others of them.  That is rare, and then a plan says what counts and all is summed again.
 */
static int sum_once(struct pgo_merge_job *job, struct pgo_merge_options *o, struct pgo_err *err)
{
	int rc = mark_twins(job, err);

	if (rc == 0)
		rc = sum_inputs(job, o, err);
	if (rc < 0 || !job->nested || job->n == 1)
		return rc;
	rc = plan(job, err);
	if (rc < 0 || job->out->plan.n_kept == job->out->plan.n)
		return rc;
	free_merges(job);
	job->done = 0;
	return sum_inputs(job, o, err);
}

static int run(struct pgo_merge_job *job, const struct pgo_plan_options *po,
	const struct pgo_merge_options *mo, struct pgo_err *err)
{
	struct pgo_merge_options options = *mo;
	int rc = po != NULL ? plan(job, err) : 0;

	if (mo->weight_one == 0)
		options.weight_one = job->out->plan.weight_one;
	if (rc == 0 && job->memory != NULL) {
		rc = pgo_merge_job_kept(job, &options, &job->out->merge, err);
		job->failed_kept = rc < 0;
	} else if (rc == 0) {
		rc = po != NULL ? sum_inputs(job, &options, err) : sum_once(job, &options, err);
	}
	if (rc < 0)
		return rc;
	if (job->out->merge == NULL) {
		job->out->merge = job->merges[0];
		job->merges[0] = NULL;
		job->out->hosts = job->hosts[0];
		job->hosts[0] = NULL;
	}
	job->out->stats = *pgo_merge_stats_of(job->out->merge);
	return 0;
}

/* What is kept speeds up weighted sums of whole profiles. */
static bool may_keep(const struct pgo_merge_cache *cache, const struct pgo_plan_options *po,
	const struct pgo_merge_options *mo)
{
	return cache != NULL && po != NULL && mo->tags == NULL && mo->min_hosts == 0 &&
	       mo->weight_one == 0;
}

/* With what is kept, if that is opened. */
static int attempt(const struct pgo_merge_input *in, size_t n, const char *binary,
	const struct pgo_plan_options *po, const struct pgo_merge_options *mo,
	const struct pgo_merge_cache *cache, struct pgo_merged *ret, bool *ret_again,
	struct pgo_err *err)
{
	const struct pgo_plan_options none = {0};
	struct pgo_merge_job job = {.in = in, .n = n, .binary = binary, .out = ret, .cache = cache};
	int rc;

	memset(ret, 0, sizeof *ret);
	pgo_plan_init(&ret->plan, po != NULL ? po : &none);
	job.files = pgo_input_files(in, n, err);
	rc = job.files != NULL ? 0 : PGO_ENOMEM;
	if (rc == 0 && cache != NULL)
		rc = pgo_merge_job_remember(&job, err);
	if (rc == 0)
		rc = run(&job, po, mo, err);
	*ret_again = job.failed_kept;
	pgo_merge_job_forget(&job);
	free_merges(&job);
	pgo_input_files_free(job.files, n);
	/* A plan that a gate refused is still there to be explained. */
	if (rc < 0 && (rc != PGO_EGATE || *ret_again))
		pgo_merged_fini(ret);
	return rc;
}

int pgo_merge_inputs_kept(const struct pgo_merge_input *in, size_t n, const char *binary,
	const struct pgo_plan_options *po, const struct pgo_merge_options *mo,
	const struct pgo_merge_cache *cache, struct pgo_merged *ret, struct pgo_err *err)
{
	struct pgo_err local = PGO_ERR_INIT;
	bool again = false;
	int rc = attempt(
		in, n, binary, po, mo, may_keep(cache, po, mo) ? cache : NULL, ret, &again, &local);

	/* Whatever is wrong with what is kept, it is only kept. */
	if (rc < 0 && again) {
		local = (struct pgo_err)PGO_ERR_INIT;
		rc = attempt(in, n, binary, po, mo, NULL, ret, &again, &local);
	}
	if (rc < 0 && err != NULL)
		*err = local;
	return rc;
}

int pgo_merge_inputs_sum(const struct pgo_merge_input *in, size_t n, const char *binary,
	const struct pgo_plan_options *po, const struct pgo_merge_options *mo,
	struct pgo_merged *ret, struct pgo_err *err)
{
	return pgo_merge_inputs_kept(in, n, binary, po, mo, NULL, ret, err);
}

/* The last step of both. */
static int finish(struct pgo_merged *ret, int rc, struct pgo_err *err)
{
	struct pgo_err local = PGO_ERR_INIT;

	if (rc < 0)
		return rc;
	ret->profile = pgo_merge_finish(ret->merge, &local);
	ret->stats = *pgo_merge_stats_of(ret->merge);
	if (ret->profile != NULL) {
		pgo_merge_free(ret->merge);
		ret->merge = NULL;
		return 0;
	}
	pgo_merged_fini(ret);
	if (err != NULL)
		*err = local;
	return local.code;
}

int pgo_merge_inputs(const struct pgo_merge_input *in, size_t n, const char *binary,
	const struct pgo_plan_options *po, const struct pgo_merge_options *mo,
	struct pgo_merged *ret, struct pgo_err *err)
{
	return finish(ret, pgo_merge_inputs_sum(in, n, binary, po, mo, ret, err), err);
}

int pgo_merge_inputs_again(const struct pgo_merge_input *in, size_t n, const char *binary,
	const struct pgo_plan_options *po, const struct pgo_merge_options *mo,
	const struct pgo_merge_cache *cache, struct pgo_merged *ret, struct pgo_err *err)
{
	return finish(ret, pgo_merge_inputs_kept(in, n, binary, po, mo, cache, ret, err), err);
}

void pgo_merged_fini(struct pgo_merged *m)
{
	pgo_plan_fini(&m->plan);
	pgo_profile_free(m->profile);
	pgo_merge_free(m->merge);
	pgo_hosts_free(m->hosts);
	m->profile = NULL;
	m->merge = NULL;
	m->hosts = NULL;
}
