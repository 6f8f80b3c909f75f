/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/input.h"
#include "pgo/merge_converted.h"
#include "pgo/merge_inputs.h"
#include "pgo/merge_words.h"
#include "pgo/merge_written.h"
#include "pgo/operands.h"
#include "pgo/partials.h"
#include "pgo/redaction.h"
#include "pgo/shards.h"
#include "pgo/weights.h"

#include <inttypes.h>
#include <string.h>

#define OUT_MAX ((size_t)8 << 30)
#define PRINT_MAX ((size_t)1 << 30)
#define SCHEMA 1

struct merge_values {
	struct pgo_merge_words words; /* first: the option tables say so */
	const char *out, *manifest;
	const char *plan, *shard;
	const char *clang_format;
	struct pgo_opt_list weighted;
	struct pgo_redaction_values redaction;
	uint64_t memory, batch;
	bool explain, worker;
};

#define AT(field) offsetof(struct merge_values, field)

static const struct pgo_opt opts[] = {
	{"Output", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"output", 'o', "FILE", "the merged profile, a gzipped pprof; - is standard output",
		PGO_OPT_STR, AT(out)},
	{"manifest", 0, "FILE", "also write a JSON account: every input, its weight and why",
		PGO_OPT_STR, AT(manifest)},
	{"explain", 0, NULL, "print each input's weight and why", PGO_OPT_FLAG, AT(explain)},
	PGO_MERGE_WEIGHT_OPTS,
	PGO_MERGE_CONTENT_OPTS,
	{"Names (see also pgo check-redaction)", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	PGO_REDACTION_OPTS(struct merge_values, redaction),
	{"min-hosts", 0, "N", "hide functions that fewer than N hosts ran", PGO_OPT_U64,
		AT(redaction.min_hosts)},
	{"Machinery", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"memory", 0, "SIZE", "most memory; stacks beyond it go to disk (default 256M)",
		PGO_OPT_SIZE, AT(memory)},
	{"Shards (see pgo plan)", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"plan", 0, "PLAN", "merge a shard of this plan into a partial, or look up weights in it",
		PGO_OPT_STR, AT(plan)},
	{"shard", 0, "I[/N]",
		"which one, from 1 on; auto: from the environment of a Slurm or "
		"Kubernetes task",
		PGO_OPT_STR, AT(shard)},
	{"worker", 0, NULL, "read names of inputs from standard input, write partials as text",
		PGO_OPT_FLAG, AT(worker)},
	{"batch", 0, "N", "inputs in a partial of a worker (default: all it is told)", PGO_OPT_U64,
		AT(batch)},
	{"Files that were converted already (of LLVM, GCC or BOLT)", 0, NULL, NULL, PGO_OPT_GROUP,
		0},
	{"weighted-input", 0, "WEIGHT,FILE", "a further file, whose counts are multiplied",
		PGO_OPT_LIST, AT(weighted)},
	{"clang-format", 0, "FORMAT",
		"of merged LLVM profiles: extbinary, extbinary-md5, extbinary-zlib, "
		"extbinary-md5-zlib, text or binary (default: that of the inputs)",
		PGO_OPT_STR, AT(clang_format)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"merge",
	"[OPTION]... FILE|DIR... -o OUT",
	"Sums profiles into one, exactly: the same bytes whatever the order of the inputs. Takes "
	"pprof files, recordings (as import does), directories of them, and what fetch made.",
	opts,
};

/* ---------------------------------------------------------------- what is said */

struct result {
	const struct merge_values *o;
	struct pgo_weights weights;
	struct pgo_merged merged;
	struct pgo_merge_written written;
	struct pgo_redact_account redacted;
	bool is_redacted;
};

static void redacted_json(const struct pgo_redact_account *a, struct pgo_json *j)
{
	pgo_json_key(j, "redacted");
	pgo_json_object(j);
	pgo_json_kv_u64(j, "functions", a->functions);
	pgo_json_kv_u64(j, "functions_hidden", a->functions_hidden);
	pgo_json_kv_u64(j, "functions_rare", a->functions_rare);
	pgo_json_kv_u64(j, "files_hidden", a->files_hidden);
	pgo_json_kv_u64(j, "comments_dropped", a->comments_dropped);
	pgo_json_kv_u64(j, "labels_dropped", a->labels_dropped);
	pgo_json_end_object(j);
}

/* The manifest and, with --json, the result on standard output. */
static void put_json(const struct result *r, struct pgo_buf *out)
{
	const struct pgo_plan *plan = &r->merged.plan;
	struct pgo_json j;

	pgo_json_init(&j, out, false);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "schema", SCHEMA);
	pgo_json_kv_str(&j, "kind", "merge");
	pgo_json_kv_str(&j, "tool", "pgo " PGO_VERSION);
	pgo_merge_written_json(&r->written, r->o->out, &j);
	if (r->is_redacted)
		redacted_json(&r->redacted, &j);
	if (plan->n != 0) {
		pgo_plan_summary_json(plan, &j);
		pgo_json_key(&j, "inputs");
		pgo_plan_json(plan, &j);
	}
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}

static void put_text(const struct result *r, struct pgo_buf *out)
{
	if (r->o->explain)
		pgo_plan_explain(&r->merged.plan, out);
	pgo_merge_written_text(&r->written, r->o->out, out);
	pgo_buf_putc(out, '\n');
	if (r->is_redacted)
		pgo_buf_printf(out,
			"%" PRIu64 " of %" PRIu64 " functions hidden by name, %" PRIu64
			" for few hosts; %" PRIu64 " file names, %" PRIu64 " comments, %" PRIu64
			" labels; read again and found clean\n",
			r->redacted.functions_hidden, r->redacted.functions,
			r->redacted.functions_rare, r->redacted.files_hidden,
			r->redacted.comments_dropped, r->redacted.labels_dropped);
}

/* ---------------------------------------------------------------- the command */

static int write_manifest(const struct result *r, struct pgo_err *err)
{
	struct pgo_buf out;
	int rc;

	pgo_buf_init(&out, PRINT_MAX);
	put_json(r, &out);
	rc = pgo_buf_check(&out, "the manifest", err);
	if (rc == 0)
		rc = pgo_file_write(r->o->manifest, out.data, out.len, err);
	pgo_buf_fini(&out);
	return rc;
}

/* What is redacted is held in memory, and read again before it is put in place. */
static int write_redacted(struct result *r, const struct pgo_redact *rules, struct pgo_err *err)
{
	const struct merge_values *o = r->o;
	struct pgo_merged *m = &r->merged;
	struct pgo_profile *p = pgo_merge_finish(m->merge, err);
	struct pgo_buf bytes;
	int rc;

	if (p == NULL)
		return err->code;
	r->is_redacted = true;
	pgo_buf_init(&bytes, OUT_MAX);
	rc = pgo_redaction_apply(rules, m->hosts, o->words.tag_keep != NULL, &p, &r->redacted, err);
	if (rc == 0)
		rc = pgo_pprof_encode(p, true, &bytes, err);
	if (rc == 0)
		rc = pgo_redaction_prove(
			rules, o->out != NULL ? o->out : "the output", bytes.data, bytes.len, err);
	if (rc == 0)
		rc = pgo_merge_write_profile(p, o->out, &r->written, err);
	if (rc == 0) {
		r->written.stats = *pgo_merge_stats_of(m->merge);
		r->written.stats.samples_out = p->n_samples;
		r->written.stats.locations_out = p->n_locations;
	}
	pgo_buf_fini(&bytes);
	pgo_profile_free(p);
	return rc;
}

static int merge_into(struct result *r, const struct pgo_operands *s,
	const struct pgo_merge_options *mo, struct pgo_err *err)
{
	const struct merge_values *o = r->o;
	const bool plan = o->explain || o->manifest != NULL || pgo_weights_any(&r->weights);
	struct pgo_redact *rules = NULL;
	int rc = pgo_redaction_compile(&o->redaction, mo->tags, &rules, err);

	if (rc == 0)
		rc = pgo_merge_inputs_sum(s->in, s->n, o->words.binary,
			plan ? &r->weights.po : NULL, mo, &r->merged, err);
	if (rc == 0)
		rc = rules != NULL ? write_redacted(r, rules, err)
				   : pgo_merge_write(r->merged.merge, o->out, &r->written, err);
	if (rc == 0)
		pgo_merge_warn_outside(&r->written.stats);
	if (rc == 0 && o->manifest != NULL)
		rc = write_manifest(r, err);
	pgo_redact_free(rules);
	return rc;
}

static int merge(struct result *r, struct pgo_operands *s, struct pgo_err *err)
{
	const struct merge_values *o = r->o;
	struct pgo_merge_options mo = {.spill_at = pgo_partials_spill_at(o->memory, 1),
		.min_hosts = (unsigned)o->redaction.min_hosts};
	char *dir = pgo_partials_dir(o->out);
	int rc = dir != NULL ? 0 : pgo_err_nomem(err);

	mo.spill_dir = dir;
	if (rc == 0)
		rc = pgo_merge_words_options(&o->words, &mo, err);
	if (rc == 0)
		rc = pgo_merge_words_inputs(&r->weights, s, err);
	if (rc == 0)
		rc = merge_into(r, s, &mo, err);
	pgo_merge_words_options_fini(&mo);
	pgo_free(dir);
	return rc;
}

/* What a gate refused is explained before it is said. */
static void explain_refusal(const struct result *r, const struct pgo_opt_globals *g)
{
	struct pgo_buf out;

	if (!r->o->explain || r->merged.plan.n == 0 || g->json)
		return;
	pgo_buf_init(&out, PRINT_MAX);
	pgo_plan_explain(&r->merged.plan, &out);
	if (!out.failed)
		pgo_cmd_print(&pgo_cmd_merge, g, out.data, out.len);
	pgo_buf_fini(&out);
}

static int say(const struct result *r, const struct pgo_opt_globals *g)
{
	struct pgo_buf out;
	int code;

	/* The profile itself may be on standard output. */
	if (r->o->out != NULL && strcmp(r->o->out, "-") == 0)
		return PGO_EXIT_OK;
	pgo_buf_init(&out, PRINT_MAX);
	if (g->json)
		put_json(r, &out);
	else if (!g->quiet || r->o->explain)
		put_text(r, &out);
	code = out.failed ? PGO_EXIT_FAILED : pgo_cmd_print(&pgo_cmd_merge, g, out.data, out.len);
	pgo_buf_fini(&out);
	return code;
}

static int check_usage(const struct merge_values *o, int n, struct pgo_err *err)
{
	if (n == 0)
		return pgo_err_set(err, PGO_EUSAGE, "no profile given; see pgo merge --help");
	if (o->out == NULL && !o->explain)
		return pgo_err_set(
			err, PGO_EUSAGE, "say with -o FILE where the merged profile shall go");
	if (o->clang_format != NULL)
		return pgo_err_set(err, PGO_EUSAGE,
			"--clang-format is for sample profiles of LLVM; pgo convert makes them of "
			"profiles");
	if (o->redaction.min_hosts > PGO_HOSTS_MAX)
		return pgo_err_set(err, PGO_EUSAGE, "--min-hosts is at most %d", PGO_HOSTS_MAX);
	if (pgo_redaction_asked(&o->redaction) && o->words.keep_labels)
		return pgo_err_set(err, PGO_EUSAGE,
			"labels may hold names as well: say with --tag-keep which shall stay");
	return 0;
}

/* Converted files have neither hosts nor times nor labels. */
static int merge_converted(const struct merge_values *o, char **operands, int n,
	const struct pgo_opt_globals *g, struct pgo_err *err)
{
	const struct pgo_merge_converted c = {o->out, o->manifest, o->clang_format,
		(const char *const *)operands, (size_t)n, o->weighted.item, o->weighted.n};
	static const struct merge_values none;
	struct merge_values others = *o;

	others.out = others.manifest = others.clang_format = NULL;
	others.weighted = (struct pgo_opt_list){0};
	if (memcmp(&others, &none, sizeof others) != 0)
		pgo_err_set(err, PGO_EUSAGE,
			"files that were converted already have neither hosts nor times nor "
			"labels: "
			"only -o, --manifest, --weighted-input and --clang-format apply to them");
	else if (o->out == NULL)
		pgo_err_set(err, PGO_EUSAGE, "say with -o FILE where the merged profile shall go");
	else
		return pgo_merge_converted(&pgo_cmd_merge, &c, g);
	return pgo_cmd_fail(&pgo_cmd_merge, g, err);
}

/* ---------------------------------------------------------------- shards */

static int say_shard(const struct merge_values *o, const struct pgo_shard_said *said,
	const struct pgo_opt_globals *g)
{
	struct pgo_buf out;
	int code;

	if (g->quiet || strcmp(o->out, "-") == 0)
		return PGO_EXIT_OK;
	pgo_buf_init(&out, PRINT_MAX);
	pgo_buf_printf(&out, "%s: shard %" PRIu64 " of %" PRIu64 ", %zu inputs in %zu files\n",
		o->out, said->shard, said->n_shards, said->inputs, said->files);
	code = pgo_cmd_print(&pgo_cmd_merge, g, out.data, out.len);
	pgo_buf_fini(&out);
	return code;
}

static int check_shard(const struct merge_values *o, int n, struct pgo_err *err)
{
	static const struct pgo_merge_words none;

	if (n != 0)
		return pgo_err_set(err, PGO_EUSAGE,
			o->worker ? "a worker is told its inputs on standard input"
				  : "the plan names the inputs of a shard; name none here");
	if (memcmp(&o->words, &none, sizeof none) != 0 || o->explain || o->manifest != NULL ||
		o->clang_format != NULL || o->redaction.min_hosts != 0 ||
		pgo_redaction_asked(&o->redaction))
		return pgo_err_set(err, PGO_EUSAGE,
			"weights and content of shards are settled by pgo plan; give these options "
			"there");
	if (o->worker)
		return o->shard == NULL && o->out == NULL
			       ? 0
			       : pgo_err_set(err, PGO_EUSAGE,
					 "a worker writes to standard output, and has no --shard");
	if (o->batch != 0)
		return pgo_err_set(err, PGO_EUSAGE, "--batch is for --worker");
	if (o->plan == NULL || o->shard == NULL)
		return pgo_err_set(err, PGO_EUSAGE, "--plan and --shard belong together");
	return o->out != NULL ? 0
			      : pgo_err_set(err, PGO_EUSAGE,
					"say with -o FILE where the partial shall go");
}

static int run_shard(const struct merge_values *o, int n, const struct pgo_opt_globals *g)
{
	const struct pgo_shard_request r = {.plan = o->plan,
		.shard = o->shard,
		.out = o->out,
		.memory = o->memory,
		.batch = o->batch};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_shard_said said;
	int rc = check_shard(o, n, &err);

	if (rc == 0)
		rc = o->worker ? pgo_shard_work(&r, &err) : pgo_shard_run(&r, &said, &err);
	if (rc < 0)
		return pgo_cmd_fail(&pgo_cmd_merge, g, &err);
	return o->worker ? PGO_EXIT_OK : say_shard(o, &said, g);
}

/* ---------------------------------------------------------------- either way */

static int run_merge(
	const struct merge_values *o, char **operands, int n, const struct pgo_opt_globals *g)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct result r = {.o = o};
	struct pgo_operands inputs = {0};
	int code, rc = check_usage(o, n, &err);

	if (rc == 0)
		rc = pgo_merge_words_weights(&o->words, &r.weights, &err);
	for (int i = 0; i < n && rc == 0; i++)
		rc = pgo_operands_add(&inputs, operands[i], &err);
	if (rc == 0)
		rc = merge(&r, &inputs, &err);
	if (rc == PGO_EGATE)
		explain_refusal(&r, g);
	code = rc == 0 ? say(&r, g) : pgo_cmd_fail(&pgo_cmd_merge, g, &err);
	pgo_merge_written_fini(&r.written);
	pgo_merged_fini(&r.merged);
	pgo_weights_fini(&r.weights);
	pgo_operands_fini(&inputs);
	return code;
}

static int run(int argc, char **argv)
{
	struct merge_values o = {0};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_opt_globals g;
	int first, code;

	if (pgo_cmd_begin(&pgo_cmd_merge, argc, argv, &o, &g, &first, NULL, &code) != 0)
		return code;
	if (o.plan != NULL || o.shard != NULL || o.worker || o.batch != 0)
		code = run_shard(&o, argc - first, &g);
	else if (o.weighted.n != 0 || (first < argc && pgo_merge_is_converted(argv[first])))
		code = merge_converted(&o, argv + first, argc - first, &g, &err);
	else
		code = run_merge(&o, argv + first, argc - first, &g);
	pgo_opt_list_free(&o.weighted);
	pgo_redaction_fini(&o.redaction);
	pgo_merge_words_fini(&o.words);
	return code;
}

const struct pgo_cmd pgo_cmd_merge = {
	"merge", "sum profiles into one, weighted and exact", &table, run};
