/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/shards.h"

#include "merge/partial.h"
#include "merge/plan_file.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/opt.h"
#include "pgo/core/sha256.h"
#include "pgo/core/vec.h"
#include "pgo/merge_inputs.h"
#include "pgo/merge_words.h"
#include "pgo/partials.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES ((size_t)16 << 30)
#define DAY_NS ((int64_t)86400 * 1000000000)

/* ---------------------------------------------------------------- which shard */

static int from_environment(const char *name, uint64_t *ret, struct pgo_err *err)
{
	const char *text = getenv(name);
	int rc;

	if (text == NULL || text[0] == '\0')
		return pgo_err_set(err, PGO_EUSAGE,
			"--shard auto: %s is not set; is this a task of an array?", name);
	rc = pgo_parse_u64(text, ret, err);
	return rc < 0 ? pgo_err_prefix(err, "--shard auto: %s", name) : 0;
}

static int of_slurm(uint64_t n_shards, uint64_t *ret, struct pgo_err *err)
{
	const char *step_text = getenv("SLURM_ARRAY_TASK_STEP");
	uint64_t id, min, count, step = 1;
	int rc;

	if ((rc = from_environment("SLURM_ARRAY_TASK_ID", &id, err)) < 0 ||
		(rc = from_environment("SLURM_ARRAY_TASK_MIN", &min, err)) < 0 ||
		(rc = from_environment("SLURM_ARRAY_TASK_COUNT", &count, err)) < 0)
		return rc;
	if (step_text != NULL && (rc = pgo_parse_u64(step_text, &step, err)) < 0)
		return pgo_err_prefix(err, "--shard auto: SLURM_ARRAY_TASK_STEP");
	/* A part of an array, for what failed, counts otherwise. */
	if (count != n_shards || step == 0 || id < min || (id - min) % step != 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"--shard auto: the array has %" PRIu64 " tasks, the plan %" PRIu64
			" shards; to run single shards again say which, as in --shard 3/%" PRIu64,
			count, n_shards, n_shards);
	*ret = (id - min) / step + 1;
	return 0;
}

static int of_task(uint64_t n_shards, uint64_t *ret, struct pgo_err *err)
{
	const bool kubernetes = getenv("JOB_COMPLETION_INDEX") != NULL;
	const bool slurm = getenv("SLURM_ARRAY_TASK_ID") != NULL;
	uint64_t index;
	int rc;

	if (kubernetes == slurm)
		return pgo_err_set(err, PGO_EUSAGE,
			"--shard auto: %s of JOB_COMPLETION_INDEX and SLURM_ARRAY_TASK_ID are set; "
			"say which shard, as in --shard 1/%" PRIu64,
			slurm ? "both" : "none", n_shards);
	if (slurm)
		return of_slurm(n_shards, ret, err);
	rc = from_environment("JOB_COMPLETION_INDEX", &index, err);
	*ret = rc == 0 && index < UINT64_MAX ? index + 1 : 0;
	return rc;
}

static int of_text(const char *text, uint64_t n_shards, uint64_t *ret, struct pgo_err *err)
{
	const char *slash = strchr(text, '/');
	char *number = pgo_strndup(text, slash != NULL ? (size_t)(slash - text) : strlen(text));
	uint64_t n = n_shards;
	int rc = number != NULL ? pgo_parse_u64(number, ret, err) : pgo_err_nomem(err);

	pgo_free(number);
	if (rc == 0 && slash != NULL)
		rc = pgo_parse_u64(slash + 1, &n, err);
	if (rc < 0)
		return pgo_err_prefix(err, "--shard %s", text);
	if (n != n_shards)
		return pgo_err_set(err, PGO_EUSAGE, "--shard %s: the plan has %" PRIu64 " shards",
			text, n_shards);
	return 0;
}

int pgo_shard_number(const char *text, uint64_t n_shards, uint64_t *ret_shard, struct pgo_err *err)
{
	int rc = strcmp(text, "auto") == 0 ? of_task(n_shards, ret_shard, err)
					   : of_text(text, n_shards, ret_shard, err);

	if (rc == 0 && (*ret_shard == 0 || *ret_shard > n_shards))
		rc = pgo_err_set(err, PGO_EUSAGE,
			"--shard %s: there is no shard %" PRIu64 " of %" PRIu64, text, *ret_shard,
			n_shards);
	return rc;
}

/* ---------------------------------------------------------------- a sum and its account */

/* What a partial is made of. */
struct work {
	const struct pgo_plan_shard *plan; /* NULL: none, all weights 1 */
	const struct pgo_shard_request *request;
	struct pgo_merge_input *in;
	size_t n, room;
	struct pgo_partial_head head;
	struct pgo_merged merged;
	uint64_t **weights; /* of each input, where there is a plan */
	size_t n_weights, weights_room;
};

static void work_fini(struct work *w)
{
	for (size_t i = 0; i < w->n_weights; i++)
		pgo_free(w->weights[i]);
	pgo_free(w->weights);
	pgo_free(w->in);
	pgo_partial_head_fini(&w->head);
	pgo_merged_fini(&w->merged);
}

/* Adds up to what a host stands for: in whole units, so that sums have no order. */
static int count_host(struct work *w, const struct pgo_plan_part *part, struct pgo_err *err)
{
	const double most = 1e24;
	double mass = part->mass < 0 ? 0 : part->mass > most ? most : part->mass;
	__int128 sum = (__int128)(mass + 0.5) * (__int128)part->weight;
	int rc = pgo_partial_add_host(&w->head, part->unit, part->host, sum, 1, err);

	if (rc == 0 && part->time_ns > 0)
		rc = pgo_partial_add_day(&w->head, part->time_ns / DAY_NS, err);
	return rc;
}

static int count_parts(struct work *w, const struct pgo_plan_entry *f, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < f->n_parts && rc == 0; i++) {
		struct pgo_partial_input id;

		if (f->parts[i].weight == 0)
			continue;
		rc = pgo_partial_input_parse(f->parts[i].digest, &id, err);
		if (rc == 0)
			rc = pgo_partial_add_input(&w->head, &id, err);
		if (rc == 0)
			rc = count_host(w, &f->parts[i], err);
	}
	return rc;
}

/* A file of the plan, from `path`. */
static int add_planned(
	struct work *w, const struct pgo_plan_entry *f, const char *path, struct pgo_err *err)
{
	struct pgo_merge_input *in = PGO_VEC_PUSH(w->in, w->n, w->room);
	uint64_t **weights = PGO_VEC_PUSH(w->weights, w->n_weights, w->weights_room);

	if (in == NULL || weights == NULL ||
		(*weights = pgo_calloc(f->n_parts, sizeof **weights)) == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < f->n_parts; i++)
		(*weights)[i] = f->parts[i].weight;
	in->path = path;
	in->digest = f->digest;
	in->verify = true;
	in->weights = *weights;
	in->n_weights = f->n_parts;
	in->time_ns = f->n_parts != 0 ? f->parts[0].time_ns : 0;
	in->blend = f->n_parts != 0 && f->parts[0].blend;
	return count_parts(w, f, err);
}

static char *join_args(const struct pgo_plan_shard *plan)
{
	struct pgo_buf text;
	char *ret;

	pgo_buf_init(&text, (size_t)1 << 20);
	for (size_t i = 0; plan != NULL && i < plan->n_args; i++)
		pgo_buf_printf(&text, "%s%s", i != 0 ? " " : "", plan->args[i]);
	ret = text.failed ? NULL : pgo_strdup(text.len != 0 ? text.data : "");
	pgo_buf_fini(&text);
	return ret;
}

static int begin_head(struct work *w, struct pgo_err *err)
{
	struct pgo_partial_head *h = &w->head;

	h->tool = pgo_strdup("pgo " PGO_VERSION);
	h->plan = pgo_strdup(w->plan != NULL ? w->plan->digest : "");
	h->options = join_args(w->plan);
	h->n_shards = w->plan != NULL ? w->plan->n_shards : 0;
	h->n_planned = w->plan != NULL ? w->plan->n_inputs : 0;
	h->weight_one = w->plan != NULL ? w->plan->weight_one : 1;
	return h->tool != NULL && h->plan != NULL && h->options != NULL ? 0 : pgo_err_nomem(err);
}

/* Sums the inputs up; the head is complete then. */
static int sum(struct work *w, const char *near, struct pgo_err *err)
{
	struct pgo_merge_words words;
	struct pgo_merge_options mo = {0};
	char *dir = pgo_partials_dir(near);
	int rc = dir != NULL ? 0 : pgo_err_nomem(err);

	if (rc == 0)
		rc = pgo_merge_words_parse(&words, w->plan != NULL ? w->plan->args : NULL,
			w->plan != NULL ? w->plan->n_args : 0, err);
	if (rc < 0) {
		pgo_free(dir);
		return rc;
	}
	rc = pgo_merge_words_options(&words, &mo, err);
	mo.weight_one = w->head.weight_one;
	mo.spill_at = pgo_partials_spill_at(w->request->memory, 1);
	mo.spill_dir = dir;
	if (rc == 0)
		rc = pgo_merge_inputs_sum(w->in, w->n, words.binary, NULL, &mo, &w->merged, err);
	if (rc == 0) {
		w->head.keep_labels = mo.keep_labels;
		w->head.stats = w->merged.stats;
		pgo_partial_head_sort(&w->head);
	}
	pgo_merge_words_options_fini(&mo);
	pgo_merge_words_fini(&words);
	pgo_free(dir);
	return rc;
}

/* Readies the next sum with the same request and plan. */
static void forget(struct work *w)
{
	const struct work next = {.plan = w->plan, .request = w->request};

	work_fini(w);
	*w = next;
}

/* ---------------------------------------------------------------- a shard */

int pgo_shard_run(
	const struct pgo_shard_request *r, struct pgo_shard_said *ret, struct pgo_err *err)
{
	struct pgo_plan_shard plan;
	struct work w = {.request = r, .plan = &plan};
	uint64_t shard = 0;
	int rc = pgo_plan_shard_head(r->plan, &plan, err);

	if (rc == 0)
		rc = pgo_shard_number(r->shard, plan.n_shards, &shard, err);
	pgo_plan_shard_fini(&plan);
	if (rc < 0)
		return rc;
	rc = pgo_plan_shard_read(r->plan, shard, &plan, err);
	if (rc == 0)
		rc = begin_head(&w, err);
	if (rc == 0)
		rc = pgo_partial_add_shard(&w.head, shard - 1, err);
	for (size_t i = 0; i < plan.n_files && rc == 0; i++)
		rc = add_planned(&w, &plan.files[i], plan.files[i].path, err);
	if (rc == 0)
		rc = sum(&w, r->out, err);
	if (rc == 0)
		rc = pgo_partial_write(w.merged.merge, &w.head, r->out, err);
	*ret = (struct pgo_shard_said){shard, plan.n_shards, w.head.n_inputs, plan.n_files};
	work_fini(&w);
	pgo_plan_shard_fini(&plan);
	return rc;
}

/* ---------------------------------------------------------------- a worker */

/* Inputs of one batch, as they were named. */
struct batch {
	char **paths;
	size_t n, room;
};

static void batch_clear(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		pgo_free(b->paths[i]);
	b->n = 0;
}

static int cmp_entry(const void *pa, const void *pb)
{
	const struct pgo_plan_entry *a = pa, *b = pb;

	return strcmp(a->digest, b->digest);
}

/* An input without a plan: it weighs 1, and is known by the digest of its file. */
static int add_plain(struct work *w, const char *path, const char *digest, struct pgo_err *err)
{
	struct pgo_merge_input *in = PGO_VEC_PUSH(w->in, w->n, w->room);
	struct pgo_partial_input id;
	int rc = in != NULL ? pgo_partial_input_parse(digest, &id, err) : pgo_err_nomem(err);

	if (rc < 0)
		return rc;
	in->path = path;
	return pgo_partial_add_input(&w->head, &id, err);
}

/* What the plan says about a file of these bytes, wherever it lies. */
static int add_named(struct work *w, const char *path, struct pgo_err *err)
{
	char digest[65];
	const struct pgo_plan_entry key = {.digest = digest}, *found;
	int rc = pgo_sha256_file(path, digest, err);

	if (rc < 0)
		return rc;
	if (w->plan == NULL)
		return add_plain(w, path, digest, err);
	found = bsearch(&key, w->plan->files, w->plan->n_files, sizeof key, cmp_entry);
	if (found == NULL) {
		pgo_note("%s is not in the plan, or does not count there; skipping", path);
		return 0;
	}
	return add_planned(w, found, path, err);
}

static int cmp_id(const void *pa, const void *pb)
{
	return memcmp(pa, pb, sizeof(struct pgo_partial_input));
}

/* A file that is named twice counts once: without a plan the sum sees to its samples. */
static int drop_twins(struct work *w, struct pgo_err *err)
{
	struct pgo_partial_head *h = &w->head;
	size_t n = 0;

	if (h->n_inputs != 0)
		qsort(h->inputs, h->n_inputs, sizeof *h->inputs, cmp_id);
	for (size_t i = 0; i < h->n_inputs; i++) {
		if (i != 0 && cmp_id(&h->inputs[i], &h->inputs[n - 1]) == 0) {
			if (w->plan != NULL)
				return pgo_err_set(err, PGO_EUSAGE,
					"two of the inputs named have the same bytes; name each "
					"once");
			continue;
		}
		h->inputs[n++] = h->inputs[i];
	}
	h->n_inputs = n;
	return 0;
}

static int put_batch(struct work *w, struct batch *b, struct pgo_err *err)
{
	struct pgo_buf line;
	int rc = begin_head(w, err);

	pgo_buf_init(&line, LINE_MAX_BYTES);
	for (size_t i = 0; i < b->n && rc == 0; i++)
		rc = add_named(w, b->paths[i], err);
	if (rc == 0)
		rc = drop_twins(w, err);
	if (rc == 0)
		rc = sum(w, NULL, err);
	if (rc == 0)
		rc = pgo_partial_write_line(w->merged.merge, &w->head, &line, err);
	if (rc == 0)
		rc = pgo_file_write("-", line.data, line.len, err);
	pgo_buf_fini(&line);
	forget(w);
	batch_clear(b);
	return rc;
}

/* "17\tfile:///a/b" -> "/a/b"; NULL and no error for a line without a name. */
static int add_line(struct batch *b, const char *line, struct pgo_err *err)
{
	const char *tab = strrchr(line, '\t'), *name = tab != NULL ? tab + 1 : line;
	size_t len;
	char **to;

	if (strncmp(name, "file://", 7) == 0)
		name += 7;
	else if (strstr(name, "://") != NULL)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s: a worker reads files; bring it here with pgo fetch first", name);
	len = strcspn(name, "\r\n");
	if (len == 0)
		return 0;
	to = PGO_VEC_PUSH(b->paths, b->n, b->room);
	if (to == NULL || (*to = pgo_strndup(name, len)) == NULL) {
		b->n -= to != NULL;
		return pgo_err_nomem(err);
	}
	return 0;
}

static int work_lines(struct work *w, struct pgo_err *err)
{
	struct batch b = {0};
	char line[PATH_MAX + 64];
	size_t made = 0;
	int rc = 0;

	while (fgets(line, sizeof line, stdin) != NULL) {
		if (strlen(line) + 1 == sizeof line)
			rc = pgo_err_set(err, PGO_EFORMAT, "a line of standard input is too long");
		if (rc == 0)
			rc = add_line(&b, line, err);
		if (rc == 0 && w->request->batch != 0 && b.n == w->request->batch) {
			rc = put_batch(w, &b, err);
			made++;
		}
		if (rc < 0)
			break;
	}
	if (rc == 0 && ferror(stdin))
		rc = pgo_err_errno(err, PGO_EIO, "standard input cannot be read");
	/* Who was given nothing says so with an empty partial: it changes nothing. */
	if (rc == 0 && (b.n != 0 || made == 0))
		rc = put_batch(w, &b, err);
	batch_clear(&b);
	pgo_free(b.paths);
	return rc;
}

int pgo_shard_work(const struct pgo_shard_request *r, struct pgo_err *err)
{
	struct pgo_plan_shard plan = {0};
	struct work w = {.request = r, .plan = r->plan != NULL ? &plan : NULL};
	int rc = r->plan != NULL ? pgo_plan_shard_read(r->plan, 0, &plan, err) : 0;

	if (rc == 0 && plan.n_files != 0)
		qsort(plan.files, plan.n_files, sizeof *plan.files, cmp_entry);
	if (rc == 0)
		rc = work_lines(&w, err);
	work_fini(&w);
	pgo_plan_shard_fini(&plan);
	return rc;
}
