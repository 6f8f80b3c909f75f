/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/manifest.h"
#include "pgo/core/pprof.h"
#include "pgo/core/sha256.h"
#include "pgo/core/vec.h"
#include "pgo/input.h"
#include "pgo/merge_converted.h"
#include "pgo/merge_inputs.h"
#include "pgo/operands.h"
#include "pgo/redaction.h"
#include "pgo/weights.h"

#include <inttypes.h>
#include <string.h>

#define OUT_MAX ((size_t)8 << 30)
#define PRINT_MAX ((size_t)1 << 30)
#define SCHEMA 1

struct merge_values {
	const char *out, *manifest, *binary, *tag_focus, *tag_ignore, *tag_keep;
	const char *target, *mode, *class_mix, *class_label, *blend;
	struct pgo_opt_list class_of, probability;
	int64_t half_life, window, now;
	double host_cap;
	const char *clang_format;
	struct pgo_opt_list weighted;
	struct pgo_redaction_values redaction;
	uint64_t memory, min_samples;
	bool explain, keep_labels, season, no_probability, outliers, allow_outliers, no_origins;
};

#define AT(field) offsetof(struct merge_values, field)

static const struct pgo_opt opts[] = {
	{"Output", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"output", 'o', "FILE", "the merged profile, a gzipped pprof; - is standard output",
		PGO_OPT_STR, AT(out)},
	{"manifest", 0, "FILE", "also write a JSON account: every input, its weight and why",
		PGO_OPT_STR, AT(manifest)},
	{"explain", 0, NULL, "print each input's weight and why", PGO_OPT_FLAG, AT(explain)},
	{"Weights (without these every profile counts as it is)", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"half-life", 0, "TIME", "a profile this much older than the newest counts half: 7d",
		PGO_OPT_DURATION, AT(half_life)},
	{"window", 0, "TIME", "leave out profiles older than this: 21d", PGO_OPT_DURATION,
		AT(window)},
	{"host-cap", 0, "FACTOR", "no host counts more than this many times the median host: 3",
		PGO_OPT_DOUBLE, AT(host_cap)},
	{"now", 0, "TIME", "what age is measured from (default: the newest profile)", PGO_OPT_TIME,
		AT(now)},
	{"season", 0, NULL, "let each hour of the week count alike, within a factor of 3",
		PGO_OPT_FLAG, AT(season)},
	{"mode", 0, "MODE", "fleet-cost (default), or equal-host: every host counts alike",
		PGO_OPT_STR, AT(mode)},
	{"sampling-probability", 0, "[PATTERN=]Q",
		"inputs of these names were taken with probability Q, whatever their label says "
		"(repeatable)",
		PGO_OPT_LIST, AT(probability)},
	{"no-sampling-probability", 0, NULL, "pay no heed to the label sampling_probability",
		PGO_OPT_FLAG, AT(no_probability)},
	{"target", 0, "APP",
		"profiles of other builds count as far as APP still has their functions",
		PGO_OPT_STR, AT(target)},
	{"class", 0, "NAME=SHARE,...", "bring classes to these shares: field=75,benchmark=25",
		PGO_OPT_STR, AT(class_mix)},
	{"class-label", 0, "KEY", "the label that names a profile's class (default class)",
		PGO_OPT_STR, AT(class_label)},
	{"class-of", 0, "NAME=PATTERN", "inputs of these names are of that class (repeatable)",
		PGO_OPT_LIST, AT(class_of)},
	{"blend", 0, "FILE[=BETA]", "add the last good profile, at BETA of its mass (default 0.25)",
		PGO_OPT_STR, AT(blend)},
	{"Outliers", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"drop-outliers", 0, NULL, "leave out profiles that are not like the others", PGO_OPT_FLAG,
		AT(outliers)},
	{"allow-outliers", 0, NULL, "the same, even if they have more than 10 % of the mass",
		PGO_OPT_FLAG, AT(allow_outliers)},
	{"min-samples", 0, "N", "too few to tell one that is not like the others (default 200)",
		PGO_OPT_U64, AT(min_samples)},
	{"Content", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"keep-labels", 0, NULL, "keep the labels of samples apart (default: drop them)",
		PGO_OPT_FLAG, AT(keep_labels)},
	{"tag-keep", 0, "KEY,...", "keep these labels, and no others", PGO_OPT_STR, AT(tag_keep)},
	{"tag-focus", 0, "EXPR", "only samples whose labels fit: host=web-.*, or latency=10ms:",
		PGO_OPT_STR, AT(tag_focus)},
	{"tag-ignore", 0, "EXPR", "no samples whose labels fit", PGO_OPT_STR, AT(tag_ignore)},
	{"no-origins", 0, NULL, "do not write into the result which inputs are in it", PGO_OPT_FLAG,
		AT(no_origins)},
	{"Names (see also pgo check-redaction)", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	PGO_REDACTION_OPTS(struct merge_values, redaction),
	{"min-hosts", 0, "N", "hide functions that fewer than N hosts ran", PGO_OPT_U64,
		AT(redaction.min_hosts)},
	{"Machinery", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"binary", 'b', "APP", "ELF file that helps to place the addresses of recordings",
		PGO_OPT_STR, AT(binary)},
	{"memory", 0, "SIZE", "most memory for the tables (default 8G)", PGO_OPT_SIZE, AT(memory)},
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
	struct pgo_buf bytes; /* the encoded profile */
	char digest[65];
	size_t n_files;
	struct pgo_redact_account redacted;
	bool is_redacted;
};

static void columns_json(const struct pgo_profile *p, struct pgo_json *j)
{
	pgo_json_array(j);
	for (size_t c = 0; c < p->n_sample_types; c++) {
		double total = 0;

		for (size_t i = 0; i < p->n_samples; i++)
			total += (double)p->sample_values[i * p->n_sample_types + c];
		pgo_json_object(j);
		pgo_json_kv_str(j, "type", pgo_profile_str(p, p->sample_types[c].type));
		pgo_json_kv_str(j, "unit", pgo_profile_str(p, p->sample_types[c].unit));
		pgo_json_kv_double(j, "total", total);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
}

static void stats_json(const struct pgo_merge_stats *s, struct pgo_json *j)
{
	pgo_json_object(j);
	pgo_json_kv_u64(j, "profiles", s->profiles);
	pgo_json_kv_u64(j, "samples_in", s->samples_in);
	pgo_json_kv_u64(j, "samples_zero", s->samples_zero);
	pgo_json_kv_u64(j, "samples_filtered", s->samples_filtered);
	pgo_json_kv_u64(j, "samples_out", s->samples_out);
	pgo_json_kv_u64(j, "locations_in", s->locations_in);
	pgo_json_kv_u64(j, "locations_outside", s->locations_outside);
	pgo_json_kv_u64(j, "locations_out", s->locations_out);
	pgo_json_end_object(j);
}

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
	pgo_json_kv_str(&j, "output", r->o->out != NULL ? pgo_path_base(r->o->out) : NULL);
	pgo_json_kv_str(&j, "digest", r->digest);
	pgo_json_kv_u64(&j, "bytes", r->bytes.len);
	pgo_json_key(&j, "columns");
	columns_json(r->merged.profile, &j);
	pgo_json_key(&j, "account");
	stats_json(&r->merged.stats, &j);
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
	const struct pgo_merge_stats *s = &r->merged.stats;

	if (r->o->explain)
		pgo_plan_explain(&r->merged.plan, out);
	pgo_buf_printf(out,
		"%s: %" PRIu64 " profiles, %" PRIu64 " samples -> %" PRIu64 ", %" PRIu64
		" locations -> %" PRIu64 ", %zu bytes\n",
		r->o->out != NULL ? r->o->out : "not written", s->profiles, s->samples_in,
		s->samples_out, s->locations_in, s->locations_out, r->bytes.len);
	if (r->is_redacted)
		pgo_buf_printf(out,
			"%" PRIu64 " of %" PRIu64 " functions hidden by name, %" PRIu64
			" for few hosts; %" PRIu64 " file names, %" PRIu64 " comments, %" PRIu64
			" labels; read again and found clean\n",
			r->redacted.functions_hidden, r->redacted.functions,
			r->redacted.functions_rare, r->redacted.files_hidden,
			r->redacted.comments_dropped, r->redacted.labels_dropped);
}

/* Addresses outside of their mapping are often the trace of a store that merged hosts without
 * regard to their load addresses: then they are lost, and the user should know. */
static void warn_outside(const struct pgo_merge_stats *s)
{
	if (s->locations_outside == 0)
		return;
	pgo_warn("%" PRIu64 " of %" PRIu64
		 " locations lie outside of their mapping; they are taken "
		 "for addresses of the ELF file, which is right for agents that write those, and "
		 "wrong after a store has merged hosts: then fetch the hosts one by one",
		s->locations_outside, s->locations_in);
}

/* ---------------------------------------------------------------- the command */

static void drop_origins(struct pgo_profile *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_comments; i++)
		if (!pgo_pprof_is_origin(pgo_profile_str(p, p->comments[i])))
			p->comments[n++] = p->comments[i];
	p->n_comments = n;
}

static int encode(struct result *r, const struct pgo_redact *rules, struct pgo_err *err)
{
	struct pgo_sha256 sha;
	uint8_t raw[32];
	int rc = pgo_pprof_encode(r->merged.profile, true, &r->bytes, err);

	if (rc == 0 && rules != NULL)
		rc = pgo_redaction_prove(rules, r->o->out != NULL ? r->o->out : "the output",
			r->bytes.data, r->bytes.len, err);
	if (rc < 0)
		return rc;
	pgo_sha256_init(&sha);
	pgo_sha256_add(&sha, r->bytes.data, r->bytes.len);
	pgo_sha256_final(&sha, raw);
	pgo_sha256_hex(raw, r->digest);
	return 0;
}

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

static int redact(struct result *r, const struct pgo_redact *rules, struct pgo_err *err)
{
	struct pgo_merged *m = &r->merged;
	int rc = pgo_redaction_apply(
		rules, m->hosts, r->o->tag_keep != NULL, &m->profile, &r->redacted, err);

	r->is_redacted = true;
	if (rc < 0)
		return rc;
	m->stats.samples_out = m->profile->n_samples;
	m->stats.locations_out = m->profile->n_locations;
	return 0;
}

static int plan_words(const struct merge_values *o, struct pgo_weights *ret, struct pgo_err *err)
{
	const struct pgo_plan_options po = {
		.half_life_ns = o->half_life,
		.window_ns = o->window,
		.now_ns = o->now,
		.host_cap = o->host_cap,
		.season = o->season,
		.no_probability = o->no_probability,
		.outliers = o->outliers || o->allow_outliers,
		.allow_outliers = o->allow_outliers,
		.min_samples = o->min_samples,
	};
	const struct pgo_weight_words words = {
		.mode = o->mode,
		.class_mix = o->class_mix,
		.class_label = o->class_label,
		.blend = o->blend,
		.target = o->target,
		.class_of = o->class_of.item,
		.n_class_of = o->class_of.n,
		.probability = o->probability.item,
		.n_probability = o->probability.n,
	};

	return pgo_weights_init(ret, &po, &words, err);
}

/* The last good profile behind the others; then what each input is. */
static int add_inputs(struct result *r, struct pgo_operands *s, struct pgo_err *err)
{
	const struct pgo_weights *w = &r->weights;
	int rc = 0;

	if (w->blend_path != NULL) {
		rc = pgo_operands_add(s, w->blend_path, err);
		if (rc == 0)
			s->in[s->n - 1].blend = true;
	}
	for (size_t i = 0; i < s->n && rc == 0; i++)
		pgo_weights_apply(w, &s->in[i]);
	return rc;
}

static int merge(struct result *r, struct pgo_operands *s, const struct pgo_tags *tags,
	const struct pgo_redact *rules, struct pgo_err *err)
{
	const struct merge_values *o = r->o;
	const struct pgo_merge_options mo = {
		.keep_labels = o->keep_labels || o->tag_keep != NULL,
		.tags = tags,
		.min_hosts = (unsigned)o->redaction.min_hosts,
		.max_memory = o->memory,
	};
	bool plan = o->explain || o->manifest != NULL || pgo_weights_any(&r->weights);
	int rc = add_inputs(r, s, err);

	if (rc == 0)
		rc = pgo_merge_inputs(
			s->in, s->n, o->binary, plan ? &r->weights.po : NULL, &mo, &r->merged, err);
	if (rc == 0 && rules != NULL)
		rc = redact(r, rules, err);
	if (rc == 0 && o->no_origins)
		drop_origins(r->merged.profile);
	if (rc == 0)
		rc = encode(r, rules, err);
	if (rc == 0)
		warn_outside(&r->merged.stats);
	if (rc == 0 && o->out != NULL)
		rc = pgo_file_write(o->out, r->bytes.data, r->bytes.len, err);
	if (rc == 0 && o->manifest != NULL)
		rc = write_manifest(r, err);
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
	if (pgo_redaction_asked(&o->redaction) && o->keep_labels)
		return pgo_err_set(err, PGO_EUSAGE,
			"labels may hold names as well: say with --tag-keep which shall stay");
	if (o->host_cap < 0 || o->half_life < 0 || o->window < 0)
		return pgo_err_set(
			err, PGO_EUSAGE, "--half-life, --window and --host-cap cannot be negative");
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

static int compile_tags(const struct merge_values *o, struct pgo_tags **ret, struct pgo_err *err)
{
	const struct pgo_tag_options to = {o->tag_focus, o->tag_ignore, o->tag_keep};

	if (to.focus == NULL && to.ignore == NULL && to.keep == NULL)
		return 0;
	*ret = pgo_tags_new(&to, err);
	return *ret != NULL ? 0 : err->code;
}

static int run(int argc, char **argv)
{
	struct merge_values o = {0};
	struct pgo_err err = PGO_ERR_INIT;
	struct result r = {.o = &o};
	struct pgo_operands inputs = {0};
	struct pgo_opt_globals g;
	struct pgo_tags *tags = NULL;
	struct pgo_redact *rules = NULL;
	int first, code, rc;

	if (pgo_cmd_begin(&pgo_cmd_merge, argc, argv, &o, &g, &first, NULL, &code) != 0)
		return code;
	if (o.weighted.n != 0 || (first < argc && pgo_merge_is_converted(argv[first]))) {
		code = merge_converted(&o, argv + first, argc - first, &g, &err);
		pgo_free(o.weighted.item);
		return code;
	}
	pgo_buf_init(&r.bytes, OUT_MAX);
	rc = check_usage(&o, argc - first, &err);
	if (rc == 0)
		rc = compile_tags(&o, &tags, &err);
	if (rc == 0)
		rc = plan_words(&o, &r.weights, &err);
	for (int i = first; i < argc && rc == 0; i++)
		rc = pgo_operands_add(&inputs, argv[i], &err);
	if (rc == 0)
		rc = pgo_redaction_compile(&o.redaction, tags, &rules, &err);
	if (rc == 0)
		rc = merge(&r, &inputs, tags, rules, &err);
	if (rc == PGO_EGATE)
		explain_refusal(&r, &g);
	code = rc == 0 ? say(&r, &g) : pgo_cmd_fail(&pgo_cmd_merge, &g, &err);
	pgo_merged_fini(&r.merged);
	pgo_weights_fini(&r.weights);
	pgo_opt_list_free(&o.class_of);
	pgo_opt_list_free(&o.probability);
	pgo_buf_fini(&r.bytes);
	pgo_operands_fini(&inputs);
	pgo_redact_free(rules);
	pgo_redaction_fini(&o.redaction);
	pgo_tags_free(tags);
	return code;
}

const struct pgo_cmd pgo_cmd_merge = {
	"merge", "sum profiles into one, weighted and exact", &table, run};
