/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/merge_inputs.h"

#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/sha256.h"
#include "pgo/input.h"

#include <stdio.h>
#include <string.h>

struct job {
	const struct pgo_merge_input *in;
	size_t n;
	const char *binary;
	struct pgo_merged *out;
	struct pgo_merge *merge;
};

/* A recording holds several profiles: each gets a name of its own. */
static void part_digest(char ret[96], const char *digest, const struct pgo_input *in, size_t part)
{
	if (in->n == 1)
		snprintf(ret, 96, "%s", digest);
	else
		snprintf(ret, 96, "%s#%zu", digest, part);
}

static int plan_part(struct job *job, const struct pgo_merge_input *in, struct pgo_reader *r,
	const char *digest, struct pgo_err *err)
{
	return pgo_plan_add(&job->out->plan, r, digest, in->host, err);
}

static int sum_part(struct job *job, const struct pgo_merge_input *in, struct pgo_reader *r,
	const char *digest, struct pgo_err *err)
{
	const struct pgo_plan_input *p = pgo_plan_find(&job->out->plan, digest);

	if (p == NULL)
		return pgo_err_set(
			err, PGO_EIO, "%s changed while it was being merged; run again", in->path);
	return p->weight != 0 ? pgo_merge_add(job->merge, r, p->weight, err) : 0;
}

typedef int part_fn(struct job *job, const struct pgo_merge_input *in, struct pgo_reader *r,
	const char *digest, struct pgo_err *err);

static int each_part(
	struct job *job, const struct pgo_merge_input *in, part_fn *fn, struct pgo_err *err)
{
	char digest[65], part[96];
	struct pgo_input input;
	int rc = 0;

	if (in->digest != NULL)
		snprintf(digest, sizeof digest, "%s", in->digest);
	else
		rc = pgo_sha256_file(in->path, digest, err);
	if (rc == 0)
		rc = pgo_input_open(in->path, &job->binary, job->binary != NULL, &input, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < input.n && rc == 0; i++) {
		part_digest(part, digest, &input, i);
		rc = fn(job, in, input.readers[i], part, err);
	}
	pgo_input_close(&input);
	return rc;
}

static int each_input(struct job *job, const char *what, part_fn *fn, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < job->n && rc == 0; i++) {
		pgo_progress(what, i, job->n, "profiles");
		rc = each_part(job, &job->in[i], fn, err);
	}
	pgo_progress_end();
	return rc;
}

int pgo_merge_inputs(const struct pgo_merge_input *in, size_t n, const char *binary,
	const struct pgo_plan_options *po, const struct pgo_merge_options *mo,
	struct pgo_merged *ret, struct pgo_err *err)
{
	struct job job = {.in = in, .n = n, .binary = binary, .out = ret};
	struct pgo_merge_options options = *mo;
	int rc;

	memset(ret, 0, sizeof *ret);
	pgo_plan_init(&ret->plan, po);
	rc = each_input(&job, "planning", plan_part, err);
	if (rc == 0)
		rc = pgo_plan_finish(&ret->plan, err);
	if (rc < 0)
		goto out;
	options.weight_one = ret->plan.weighted ? PGO_WEIGHT_ONE : 1;
	job.merge = pgo_merge_new(&options, err);
	rc = job.merge != NULL ? each_input(&job, "merging", sum_part, err) : PGO_ENOMEM;
	if (rc == 0) {
		ret->profile = pgo_merge_finish(job.merge, err);
		rc = ret->profile != NULL ? 0 : PGO_EEMPTY;
	}
	if (rc == 0)
		ret->stats = *pgo_merge_stats_of(job.merge);
out:
	pgo_merge_free(job.merge);
	if (rc < 0)
		pgo_merged_fini(ret);
	return rc;
}

void pgo_merged_fini(struct pgo_merged *m)
{
	pgo_plan_fini(&m->plan);
	pgo_profile_free(m->profile);
	m->profile = NULL;
}
