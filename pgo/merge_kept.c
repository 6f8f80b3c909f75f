/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A planned sum by parts that may be there already.
 *
 * Profiles whose weights differ by age alone are a group: their sum, weighted by age on an absolute
 * scale, is the same in every run, and counts as often as their other factors say.  Of each group
 * the largest kept sums whose members are all wanted are taken, the profiles that are left are read,
 * in the order of their times, and what was summed up of them is kept: by days, so that what becomes
 * too old makes only the sums of its own day useless, and all together as soon as too many would
 * have to be read.
 *
 * Hosts at the cap, or near it, are groups of their own: others shall not suffer when they cross it.
 */
#include "pgo/merge_job.h"

#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/parallel.h"
#include "pgo/core/sha256.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DAY_NS ((int64_t)86400 * 1000000000)
#define FEW_SUMS 6     /* of a group, to be read */
#define FEW_MEMBERS 4  /* of a group, to be kept */
#define CHUNKS 24      /* of a group that is read as a whole, at most */
#define CHUNK_LEAST 16 /* profiles */

/* A profile that has a weight. */
struct item {
	struct pgo_kept_member member;
	uint32_t input, part;
	int64_t time_ns;
	uint64_t rest;
	struct pgo_weight_mark mark;
	bool oldest;      /* its mark is not that of its time */
	const char *host; /* of a group of its own, or "" */
};

/* Those of one group side by side. */
struct kept {
	struct pgo_merge_job *job;
	struct pgo_merge_options each; /* of a merger of one thread */
	struct pgo_kept_sums sums;
	struct item *items;
	size_t n, room;
	struct pgo_kept_member *wanted;
	bool *done;
	struct item **missing;
	struct pgo_merge *total;
	bool labels;
};

/* ---------------------------------------------------------------- the directory */

int pgo_merge_job_remember(struct pgo_merge_job *job, struct pgo_err *err)
{
	struct stat st = {0};
	char *path;
	int rc;

	if (pgo_mkdirs(job->cache->dir, err) < 0) {
		pgo_note("%s: nothing is kept for the next run", err->msg);
		*err = (struct pgo_err)PGO_ERR_INIT;
		return 0;
	}
	/* Symbols may be taken out of a program, and its build-id stays. */
	if (job->binary != NULL && stat(job->binary, &st) < 0)
		st.st_size = 0;
	job->salt = pgo_asprintf("%s %" PRId64, job->cache->salt, (int64_t)st.st_size);
	path = pgo_asprintf("%s/measures", job->cache->dir);
	rc = job->salt != NULL && path != NULL ? pgo_measures_open(&job->measures, path, err)
					       : pgo_err_nomem(err);
	pgo_free(path);
	job->memory_of = (struct pgo_plan_memory){.measures = &job->measures, .salt = job->salt};
	if (rc == 0)
		job->memory = &job->memory_of;
	return rc;
}

void pgo_merge_job_forget(struct pgo_merge_job *job)
{
	pgo_measures_fini(&job->measures);
	pgo_free(job->salt);
	job->salt = NULL;
	job->memory = NULL;
}

/* ---------------------------------------------------------------- items */

/* All that its part of a sum follows from. */
static struct pgo_kept_member member_of(
	const struct kept *k, const struct pgo_plan_input *in, struct pgo_weight_mark mark)
{
	const uint8_t flags[2] = {k->labels, k->each.no_origins};
	struct pgo_kept_member m;
	struct pgo_sha256 h;
	uint8_t raw[32];

	pgo_sha256_init(&h);
	pgo_sha256_add(&h, PGO_VERSION, sizeof PGO_VERSION);
	pgo_sha256_add(&h, k->job->salt, strlen(k->job->salt) + 1);
	pgo_sha256_add(&h, in->digest, strlen(in->digest) + 1);
	pgo_sha256_add(&h, &in->time_ns, sizeof in->time_ns);
	pgo_sha256_add(&h, &mark.mantissa, sizeof mark.mantissa);
	pgo_sha256_add(&h, &mark.exponent, sizeof mark.exponent);
	pgo_sha256_add(&h, flags, sizeof flags);
	pgo_sha256_final(&h, raw);
	memcpy(m.id, raw, sizeof m.id);
	return m;
}

static bool is_own_group(const struct pgo_plan *p, const struct pgo_plan_input *in)
{
	return in->near_cap || p->options.mode == PGO_PLAN_EQUAL_HOST;
}

static void add_item(struct kept *k, size_t input, size_t part, const struct pgo_plan_input *in)
{
	const struct pgo_plan *p = &k->job->out->plan;
	struct item *it = &k->items[k->n++];
	struct pgo_weight_mark mark = in->mark;

	*it = (struct item){.input = (uint32_t)input,
		.part = (uint32_t)part,
		.time_ns = in->time_ns,
		.rest = in->rest,
		.mark = mark,
		.oldest = in->oldest,
		.host = is_own_group(p, in) ? in->host : ""};
	/* Where age has stopped, the members are those of any time. */
	if (it->oldest)
		mark.exponent = INT64_MIN;
	it->member = member_of(k, in, mark);
}

static int cmp_group(const struct item *a, const struct item *b)
{
	if (a->rest != b->rest)
		return a->rest < b->rest ? -1 : 1;
	if (a->oldest != b->oldest)
		return a->oldest ? 1 : -1;
	return strcmp(a->host, b->host);
}

static int cmp_item(const void *pa, const void *pb)
{
	const struct item *a = pa, *b = pb;
	int c = cmp_group(a, b);

	return c != 0 ? c : pgo_kept_member_cmp(&a->member, &b->member);
}

static int cmp_time(const void *pa, const void *pb)
{
	const struct item *a = *(struct item *const *)pa, *b = *(struct item *const *)pb;

	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns ? -1 : 1;
	if (a->input != b->input)
		return a->input < b->input ? -1 : 1;
	return (a->part > b->part) - (a->part < b->part);
}

static int collect(struct kept *k, struct pgo_err *err)
{
	struct pgo_merge_job *job = k->job;
	const struct pgo_plan *p = &job->out->plan;

	k->items = pgo_calloc(p->n, sizeof *k->items);
	k->wanted = pgo_calloc(p->n, sizeof *k->wanted);
	k->done = pgo_calloc(p->n, sizeof *k->done);
	k->missing = pgo_calloc(p->n, sizeof(struct item *));
	if (k->items == NULL || k->wanted == NULL || k->done == NULL || k->missing == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < job->n; i++)
		for (size_t part = 0; part < job->files[i].n_parts; part++) {
			const struct pgo_plan_input *in =
				pgo_plan_of(p, job->files[i].first_part + part);

			if (in->weight != 0 && in->digest != NULL && !in->blend)
				add_item(k, i, part, in);
		}
	if (k->n != 0)
		qsort(k->items, k->n, sizeof *k->items, cmp_item);
	return 0;
}

/* ---------------------------------------------------------------- reading profiles */

/* Some items, those of one file side by side, into a merger for each thread. */
struct reading {
	struct kept *k;
	struct item **items;
	size_t *file; /* where each file's begin, and the end */
	size_t n_files;
	int64_t exponent; /* of the sum */
	struct pgo_merge **merges;
	unsigned threads;
};

static int add_part(struct reading *r, const struct pgo_input *input, const struct item *it,
	struct pgo_merge *m, struct pgo_err *err)
{
	const uint64_t weight = (uint64_t)it->mark.mantissa << (it->mark.exponent - r->exponent);
	int rc;

	if (it->part >= input->n)
		return pgo_err_set(err, PGO_EIO, "%s holds fewer profiles than before",
			r->k->job->in[it->input].path);
	rc = pgo_merge_add(m, input->readers[it->part], weight, err);
	return rc == 0 ? pgo_merge_job_comments(r->k->job, it->input, input, it->part, m, err) : rc;
}

static int read_file(void *ctx, size_t i, unsigned thread, struct pgo_err *err)
{
	struct reading *r = ctx;
	struct pgo_merge_job *job = r->k->job;
	const size_t input_at = r->items[r->file[i]]->input;
	struct pgo_input input;
	int rc;

	pgo_progress(
		"merging", __atomic_fetch_add(&job->done, 1, __ATOMIC_RELAXED), job->n, "profiles");
	rc = pgo_input_file_open(
		&job->in[input_at], &job->files[input_at], job->binary, &input, err);
	if (rc < 0)
		return rc;
	for (size_t at = r->file[i]; at < r->file[i + 1] && rc == 0; at++)
		rc = add_part(r, &input, r->items[at], r->merges[thread], err);
	pgo_input_close(&input);
	return rc;
}

static int begin_reading(struct reading *r, size_t n, struct pgo_err *err)
{
	r->exponent = r->items[0]->mark.exponent;
	r->file = pgo_calloc(n + 1, sizeof *r->file);
	if (r->file == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		if (r->items[i]->mark.exponent < r->exponent)
			r->exponent = r->items[i]->mark.exponent;
		if (i == 0 || r->items[i]->input != r->items[i - 1]->input)
			r->file[r->n_files++] = i;
	}
	r->file[r->n_files] = n;
	r->threads = pgo_threads();
	if (r->threads > r->n_files)
		r->threads = (unsigned)r->n_files;
	r->merges = pgo_calloc(r->threads, sizeof(struct pgo_merge *));
	if (r->merges == NULL)
		return pgo_err_nomem(err);
	for (unsigned t = 0; t < r->threads; t++)
		if ((r->merges[t] = pgo_merge_new(&r->k->each, err)) == NULL)
			return PGO_ENOMEM;
	return 0;
}

/* The sum of `n` items by age, in units of 2^*ret_exponent. */
static int read_items(struct kept *k, struct item **items, size_t n, struct pgo_merge **ret,
	int64_t *ret_exponent, struct pgo_err *err)
{
	struct reading r = {.k = k, .items = items};
	int rc = begin_reading(&r, n, err);

	if (rc == 0)
		rc = pgo_parallel(r.n_files, r.threads, read_file, &r, err);
	pgo_progress_end();
	for (unsigned t = 1; t < r.threads && rc == 0; t++)
		rc = pgo_merge_absorb(r.merges[0], r.merges[t], err);
	if (rc == 0) {
		*ret = r.merges[0];
		*ret_exponent = r.exponent;
		r.merges[0] = NULL;
		k->job->out->reuse.summed += n;
	}
	for (unsigned t = 0; r.merges != NULL && t < r.threads; t++)
		pgo_merge_free(r.merges[t]);
	pgo_free(r.merges);
	pgo_free(r.file);
	return rc;
}

/* ---------------------------------------------------------------- keeping */

/* That a sum cannot be written costs only time, later. */
static void keep(struct kept *k, struct pgo_merge *m, struct item **items, size_t n,
	int64_t exponent, bool replaces)
{
	struct pgo_kept_member *members = pgo_calloc(n, sizeof *members);
	struct pgo_err why = PGO_ERR_INIT;
	int rc = members != NULL ? 0 : pgo_err_nomem(&why);

	for (size_t i = 0; i < n && rc == 0; i++)
		members[i] = items[i]->member;
	if (rc == 0) {
		qsort(members, n, sizeof *members, pgo_kept_member_cmp);
		rc = pgo_kept_sums_store(
			&k->sums, m, k->labels, members, n, exponent, replaces, &why);
	}
	if (rc < 0)
		pgo_note("%s: the next run reads these profiles again", why.msg);
	k->job->out->reuse.stored += rc == 0;
	pgo_free(members);
}

/* ---------------------------------------------------------------- a group */

struct group {
	struct item *items;
	size_t n, n_missing, n_sums;
	struct pgo_kept_sum **use;
	size_t use_room;
	int64_t exponent;
	struct pgo_merge *to; /* the total, or of its own in units of 2^exponent */
};

static uint64_t times_of(const struct kept *k, const struct group *g, int64_t exponent)
{
	const int64_t base = k->job->out->plan.base;

	/* What is of no time of its own counts as the plan says, from wherever it is. */
	if (g->items->oldest)
		exponent = g->items->mark.exponent;
	return g->items->rest << (exponent - base);
}

static int choose(struct kept *k, struct group *g, struct pgo_err *err)
{
	struct pgo_kept_sum *s;

	for (size_t i = 0; i < g->n; i++) {
		k->wanted[i] = g->items[i].member;
		k->done[i] = false;
		if (i == 0 || g->items[i].mark.exponent < g->exponent)
			g->exponent = g->items[i].mark.exponent;
	}
	pgo_kept_sums_want(&k->sums, k->wanted, g->n);
	while ((s = pgo_kept_sums_choose(&k->sums, k->wanted, g->n, k->done)) != NULL) {
		struct pgo_kept_sum **use = PGO_VEC_PUSH(g->use, g->n_sums, g->use_room);

		if (use == NULL)
			return pgo_err_nomem(err);
		*use = s;
	}
	for (size_t i = 0; i < g->n; i++)
		if (!k->done[i])
			k->missing[g->n_missing++] = &g->items[i];
	if (g->n_missing != 0)
		qsort(k->missing, g->n_missing, sizeof(struct item *), cmp_time);
	return 0;
}

static int load_sums(struct kept *k, struct group *g, bool own, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < g->n_sums && rc == 0; i++) {
		struct pgo_kept_sum *s = g->use[i];

		if (!g->items->oldest &&
			(s->exponent < g->exponent ||
				s->exponent > g->exponent + PGO_PLAN_HALF_LIVES + 1))
			return pgo_err_set(err, PGO_EFORMAT, "%s is of another time", s->path);
		rc = pgo_kept_sum_load(&k->sums, s, g->to,
			own ? (uint64_t)1 << (g->items->oldest ? 0 : s->exponent - g->exponent)
			    : times_of(k, g, s->exponent),
			err);
		k->job->out->reuse.kept += s->n;
	}
	k->job->out->reuse.sums += g->n_sums;
	return rc;
}

/* The end of a stretch of days that is worth a sum of its own. */
static size_t chunk_end(struct item **items, size_t n, size_t from, size_t least)
{
	size_t end = from;

	while (end < n && (end - from < least ||
				  items[end]->time_ns / DAY_NS == items[end - 1]->time_ns / DAY_NS))
		end++;
	/* No crumbs. */
	return n - end < least / 2 ? n : end;
}

static int read_missing(struct kept *k, struct group *g, bool own, struct pgo_err *err)
{
	const size_t n = g->n_missing, least = n / CHUNKS > CHUNK_LEAST ? n / CHUNKS : CHUNK_LEAST;
	int rc = 0;

	for (size_t from = 0, end; from < n && rc == 0; from = end) {
		struct pgo_merge *m = NULL;
		int64_t exponent = 0;

		end = chunk_end(k->missing, n, from, least);
		rc = read_items(k, k->missing + from, end - from, &m, &exponent, err);
		if (rc == 0 && g->n >= FEW_MEMBERS && !(own && end - from == g->n))
			keep(k, m, k->missing + from, end - from, exponent, false);
		if (rc == 0)
			rc = pgo_merge_absorb_times(g->to, m,
				own ? (uint64_t)1 << (exponent - g->exponent)
				    : times_of(k, g, exponent),
				err);
		pgo_merge_free(m);
	}
	return rc;
}

/* All of a group as one sum, so that the next run reads no more than that. */
static void keep_group(struct kept *k, struct group *g)
{
	struct item **all = pgo_calloc(g->n, sizeof(struct item *));

	for (size_t i = 0; all != NULL && i < g->n; i++)
		all[i] = &g->items[i];
	if (all != NULL)
		keep(k, g->to, all, g->n, g->exponent, true);
	pgo_free(all);
}

static int join_total(struct kept *k, struct group *g, struct pgo_err *err)
{
	const uint64_t times = times_of(k, g, g->exponent);
	struct pgo_merge *empty = k->total;

	if (pgo_merge_stats_of(k->total)->profiles != 0)
		return pgo_merge_absorb_times(k->total, g->to, times, err);
	/* Most often it is the only one. */
	k->total = g->to;
	g->to = empty;
	return pgo_merge_scale(k->total, times, err);
}

static int sum_group(struct kept *k, struct group *g, struct pgo_err *err)
{
	int rc = choose(k, g, err);
	bool own;

	if (rc < 0)
		return rc;
	own = g->n >= FEW_MEMBERS &&
	      (g->n_sums + g->n_missing / CHUNK_LEAST > FEW_SUMS || g->n_missing > g->n / 2);
	g->to = own ? pgo_merge_new(&k->each, err) : k->total;
	if (g->to == NULL)
		return PGO_ENOMEM;
	rc = load_sums(k, g, own, err);
	if (rc == 0)
		rc = read_missing(k, g, own, err);
	if (rc == 0 && own)
		keep_group(k, g);
	if (rc == 0 && own)
		rc = join_total(k, g, err);
	if (own)
		pgo_merge_free(g->to);
	return rc;
}

static int sum_groups(struct kept *k, struct pgo_err *err)
{
	int rc = 0;

	for (size_t at = 0, end; at < k->n && rc == 0; at = end) {
		struct group g = {.items = &k->items[at]};

		end = at + 1;
		while (end < k->n && cmp_group(&k->items[at], &k->items[end]) == 0)
			end++;
		g.n = end - at;
		rc = sum_group(k, &g, err);
		pgo_free(g.use);
	}
	return rc;
}

/* ---------------------------------------------------------------- the whole */

/* What is planned and was not kept: the last good profile, files without a digest. */
static int sum_others(struct kept *k, struct pgo_err *err)
{
	struct pgo_merge_job *job = k->job;
	const struct pgo_plan *p = &job->out->plan;
	int rc = 0;

	for (size_t i = 0; i < job->n && rc == 0; i++) {
		bool any = false;

		for (size_t part = 0; part < job->files[i].n_parts; part++) {
			const struct pgo_plan_input *in =
				pgo_plan_of(p, job->files[i].first_part + part);

			any = any || (in->weight != 0 && (in->digest == NULL || in->blend));
		}
		if (any)
			rc = pgo_merge_job_add_file(job, i, p->divisor, k->total, err);
	}
	return rc;
}

static uint64_t bytes_of(const struct pgo_merge_job *job)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < job->n; i++)
		bytes += (uint64_t)job->files[i].size;
	return bytes;
}

static int begin(struct kept *k, const struct pgo_merge_options *mo, struct pgo_err *err)
{
	char *dir = pgo_asprintf("%s/sums", k->job->cache->dir);
	int rc = dir != NULL ? pgo_kept_sums_open(&k->sums, dir, err) : pgo_err_nomem(err);

	pgo_free(dir);
	k->each = *mo;
	/* Weights are taken here as they were before what all have in common was divided out. */
	k->each.weight_one = k->job->out->plan.weight_one * k->job->out->plan.divisor;
	k->each.spill_at /= pgo_threads() + 2;
	k->labels = mo->keep_labels;
	if (rc == 0 && (k->total = pgo_merge_new(&k->each, err)) == NULL)
		rc = PGO_ENOMEM;
	return rc;
}

int pgo_merge_job_kept(struct pgo_merge_job *job, const struct pgo_merge_options *mo,
	struct pgo_merge **ret, struct pgo_err *err)
{
	struct kept k = {.job = job};
	uint64_t most = job->cache->max_bytes != 0 ? job->cache->max_bytes : bytes_of(job);
	int rc = begin(&k, mo, err);

	job->out->reuse.measured = job->out->plan.n;
	job->out->reuse.known = job->memory->n_known;
	if (rc == 0)
		rc = collect(&k, err);
	if (rc == 0)
		rc = sum_groups(&k, err);
	if (rc == 0)
		rc = sum_others(&k, err);
	if (rc == 0)
		pgo_kept_sums_tidy(&k.sums, most);
	if (rc == 0)
		*ret = k.total;
	else
		pgo_merge_free(k.total);
	pgo_kept_sums_fini(&k.sums);
	pgo_free(k.items);
	pgo_free(k.wanted);
	pgo_free(k.done);
	pgo_free(k.missing);
	return rc;
}
