/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "merge/plan_file.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/merge_words.h"
#include "pgo/operands.h"

#include <inttypes.h>
#include <string.h>

#define PLAN_MAX ((size_t)16 << 30)
#define PRINT_MAX ((size_t)1 << 30)
#define SHARDS_MAX 1000000

struct plan_values {
	struct pgo_merge_words words; /* first: the option tables say so */
	const char *out;
	uint64_t shards;
	bool explain;
};

#define AT(field) offsetof(struct plan_values, field)

static const struct pgo_opt opts[] = {
	{"Output", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"output", 'o', "FILE", "the plan, as JSON; - is standard output", PGO_OPT_STR, AT(out)},
	{"shards", 0, "N", "how many parts of about equal bytes (default: of 256 MiB)", PGO_OPT_U64,
		AT(shards)},
	{"explain", 0, NULL, "print each input's weight and why", PGO_OPT_FLAG, AT(explain)},
	PGO_MERGE_WEIGHT_OPTS,
	PGO_MERGE_CONTENT_OPTS,
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"plan",
	"[OPTION]... FILE|DIR... -o PLAN",
	"Settles the weight of every input, and which shard of a fleet merges it: pgo merge --plan "
	"PLAN "
	"--shard 1/N makes partials, pgo reduce joins them, pgo finish gives the merged profile.",
	opts,
};

struct job {
	const struct plan_values *o;
	struct pgo_weights weights;
	struct pgo_operands inputs;
	struct pgo_input_file *files;
	struct pgo_plan plan;
	struct pgo_opt_list args;
	uint64_t n_shards;
};

/* Without weights `pgo merge` takes in profiles without samples too: their header counts.  But where
 * an input holds others, it goes by a plan as this one. */
static void keep_empty(struct pgo_plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->inputs[i].n_leaves != 0 && p->n_kept != p->n)
			return;
	for (size_t i = 0; i < p->n; i++) {
		if (p->inputs[i].drop != PGO_PLAN_NO_SAMPLES)
			continue;
		p->inputs[i].drop = PGO_PLAN_KEPT;
		p->inputs[i].weight = p->weight_one;
		p->n_kept++;
	}
}

static int look(struct job *job, struct pgo_err *err)
{
	const struct pgo_operands *in = &job->inputs;
	int rc = pgo_merge_words_inputs(&job->weights, &job->inputs, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < in->n; i++)
		if (strcmp(in->in[i].path, "-") == 0)
			return pgo_err_set(err, PGO_EUSAGE,
				"a shard cannot read standard input again; name files");
	job->files = pgo_input_files(in->in, in->n, err);
	if (job->files == NULL)
		return PGO_ENOMEM;
	pgo_plan_init(&job->plan, &job->weights.po);
	rc = pgo_plan_inputs(
		in->in, job->files, in->n, job->o->words.binary, NULL, &job->plan, err);
	if (rc == 0 && !pgo_weights_any(&job->weights))
		keep_empty(&job->plan);
	return rc;
}

static int make(struct job *job, struct pgo_buf *out, struct pgo_err *err)
{
	struct pgo_plan_file *files = pgo_calloc(job->inputs.n, sizeof *files);
	uint64_t bytes = 0;
	size_t n = 0;
	int rc = files != NULL ? 0 : pgo_err_nomem(err);

	for (size_t i = 0; i < job->inputs.n && rc == 0; i++) {
		struct pgo_input_file *f = &job->files[i];

		if (f->skip)
			continue;
		rc = pgo_input_file_digest(&job->inputs.in[i], f, err);
		if (rc == 0 && !f->regular)
			rc = pgo_err_set(err, PGO_EUSAGE,
				"%s is no regular file; a shard could not read it again",
				job->inputs.in[i].path);
		files[n++] = (struct pgo_plan_file){job->inputs.in[i].path, f->digest,
			(uint64_t)f->size, f->first_part, f->n_parts};
		bytes += (uint64_t)f->size;
	}
	job->n_shards = job->o->shards != 0 ? job->o->shards : pgo_plan_file_shards(bytes);
	if (rc == 0)
		rc = pgo_merge_words_args(&job->o->words, &job->args, err);
	if (rc == 0)
		rc = pgo_plan_file_write(
			&job->plan, files, n, job->n_shards, job->args.item, job->args.n, out, err);
	pgo_free(files);
	return rc;
}

static int say(const struct job *job, int rc, const struct pgo_opt_globals *g)
{
	struct pgo_buf out;
	int code = PGO_EXIT_OK;

	pgo_buf_init(&out, PRINT_MAX);
	if (job->o->explain && job->plan.n != 0)
		pgo_plan_explain(&job->plan, &out);
	if (rc == 0 && !g->quiet && strcmp(job->o->out, "-") != 0)
		pgo_buf_printf(&out, "%s: %zu of %zu profiles in %" PRIu64 " shards\n", job->o->out,
			job->plan.n_kept, job->plan.n, job->n_shards);
	if (out.len != 0 && (job->o->out == NULL || strcmp(job->o->out, "-") != 0))
		code = pgo_cmd_print(&pgo_cmd_plan, g, out.data, out.len);
	pgo_buf_fini(&out);
	return code;
}

static int check_usage(const struct plan_values *o, int n, struct pgo_err *err)
{
	if (n == 0)
		return pgo_err_set(err, PGO_EUSAGE, "no profile given; see pgo plan --help");
	if (o->out == NULL)
		return pgo_err_set(err, PGO_EUSAGE, "say with -o FILE where the plan shall go");
	if (o->shards > SHARDS_MAX)
		return pgo_err_set(err, PGO_EUSAGE, "--shards is at most %d", SHARDS_MAX);
	return 0;
}

static int run(int argc, char **argv)
{
	struct plan_values o = {0};
	struct pgo_err err = PGO_ERR_INIT;
	struct job job = {.o = &o};
	struct pgo_opt_globals g;
	struct pgo_buf text;
	int first, code, rc;

	if (pgo_cmd_begin(&pgo_cmd_plan, argc, argv, &o, &g, &first, NULL, &code) != 0)
		return code;
	pgo_buf_init(&text, PLAN_MAX);
	rc = check_usage(&o, argc - first, &err);
	if (rc == 0)
		rc = pgo_merge_words_weights(&o.words, &job.weights, &err);
	for (int i = first; i < argc && rc == 0; i++)
		rc = pgo_operands_add(&job.inputs, argv[i], &err);
	if (rc == 0)
		rc = look(&job, &err);
	if (rc == 0)
		rc = make(&job, &text, &err);
	if (rc == 0)
		rc = pgo_file_write(o.out, text.data, text.len, &err);
	code = rc == 0 || rc == PGO_EGATE ? say(&job, rc, &g) : PGO_EXIT_OK;
	if (rc < 0)
		code = pgo_cmd_fail(&pgo_cmd_plan, &g, &err);
	pgo_buf_fini(&text);
	pgo_merge_args_free(&job.args);
	pgo_plan_fini(&job.plan);
	pgo_input_files_free(job.files, job.inputs.n);
	pgo_weights_fini(&job.weights);
	pgo_operands_fini(&job.inputs);
	pgo_merge_words_fini(&o.words);
	return code;
}

const struct pgo_cmd pgo_cmd_plan = {
	"plan", "settle weights, and shards for many machines", &table, run};
