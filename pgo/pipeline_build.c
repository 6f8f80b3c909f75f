/* SPDX-License-Identifier: Apache-2.0 */
/* Fetched profiles -> one merged -> outputs in memory -> what they are worth. */
#include "pgo/core/alloc.h"
#include "pgo/core/elf.h"
#include "pgo/fit_check.h"
#include "pgo/operands.h"
#include "pgo/pipeline_impl.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static int plan_words(struct pgo_pipeline *p, struct pgo_err *err)
{
	const struct pgo_target *t = p->target;
	const struct pgo_plan_options po = {
		.half_life_ns = t->half_life_ns,
		.window_ns = t->window_ns,
		.host_cap = t->host_cap,
		.season = t->season,
		.blend = t->blend,
		.outliers = t->outliers || t->allow_outliers,
		.allow_outliers = t->allow_outliers,
		.min_samples = t->min_samples,
	};
	const struct pgo_weight_words words = {
		.mode = t->mode,
		.class_mix = t->class_mix,
		.class_label = t->class_label,
		.target = t->builds ? t->binary : NULL,
		.class_of = (const char *const *)t->class_of,
		.n_class_of = t->n_class_of,
		.probability = (const char *const *)t->sampling_probability,
		.n_probability = t->n_sampling_probability,
	};
	int rc = pgo_weights_init(&p->weights, &po, &words, err);

	return rc < 0 ? pgo_err_prefix(err, "target '%s'", t->name) : 0;
}

static int add_blend(struct pgo_pipeline *p, struct pgo_operands *ret, struct pgo_err *err)
{
	char *path = pgo_state_path(&p->state, false, p->standing.id, "merged.pb.gz");
	int rc = 0;

	if (path == NULL)
		return pgo_err_nomem(err);
	if (pgo_path_exists(path)) {
		rc = pgo_operands_add(ret, path, err);
		if (rc == 0)
			ret->in[ret->n - 1].blend = true;
	}
	pgo_free(path);
	return rc;
}

/* The profiles in the window, and the last merged one if it is to be blended in. */
static int list_inputs(struct pgo_pipeline *p, struct pgo_operands *ret, struct pgo_err *err)
{
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < p->records.n_records && rc == 0; i++) {
		const struct pgo_record *rec = &p->records.records[i];

		if (!pgo_pipeline_in_window(p, rec))
			continue;
		rc = pgo_operands_add_record(ret, p->state.raw, rec, err);
		n++;
	}
	if (rc == 0 && n == 0)
		return pgo_err_set(err, PGO_EEMPTY,
			"no profile of target '%s' lies between %s and %s", p->target->name,
			p->target->since[0] != '\0' ? p->target->since : "ever",
			p->target->until[0] != '\0' ? p->target->until : "now");
	if (rc == 0 && p->target->blend > 0 && p->standing.id[0] != '\0')
		rc = add_blend(p, ret, err);
	for (size_t i = 0; i < ret->n && rc == 0; i++)
		pgo_weights_apply(&p->weights, &ret->in[i]);
	return rc;
}

int pgo_pipeline_merge(struct pgo_pipeline *p, struct pgo_err *err)
{
	const struct pgo_merge_options mo = {0};
	const struct pgo_merge_cache cache = {.dir = p->state.cache, .salt = p->binary_id};
	struct pgo_operands inputs = {0};
	int rc = plan_words(p, err);

	if (rc == 0)
		rc = list_inputs(p, &inputs, err);
	if (rc == 0)
		rc = pgo_merge_inputs_again(inputs.in, inputs.n, p->target->binary, &p->weights.po,
			&mo, &cache, &p->merged, err);
	p->is_merged = rc == 0;
	if (rc == 0)
		pgo_buf_printf(&p->text,
			"merge    %zu profiles (%zu of them read) of %zu hosts on %zu days "
			"(effective hosts %.1f, "
			"largest share %.0f%%): %" PRIu64 " samples\n",
			p->merged.plan.n_kept,
			p->merged.reuse.measured != 0 ? p->merged.reuse.summed
						      : p->merged.plan.n_kept,
			p->merged.plan.n_hosts, p->merged.plan.n_days,
			p->merged.plan.effective_hosts, p->merged.plan.dominance * 100,
			p->merged.stats.samples_out);
	pgo_operands_fini(&inputs);
	return rc;
}

int pgo_pipeline_convert(struct pgo_pipeline *p, struct pgo_err *err)
{
	const char *binary = p->target->binary, *debug = p->target->debug;
	struct pgo_convert_options o = {
		.binaries = &binary,
		.n_binaries = 1,
		.binary_dirs = (const char *const *)p->target->older_builds,
		.n_binary_dirs = p->target->n_older_builds,
		.where = {.debug = &debug,
			.n_debug = debug[0] != '\0',
			.sole = p->target->n_older_builds == 0},
		.target = p->target->n_older_builds != 0 ? binary : NULL,
		.carry_over = p->target->n_older_builds != 0,
		.affinity = PGO_AFFINITY_DEFAULT,
		.want_fnprof = pgo_outputs_want_fnprof(&p->outputs),
		.want_fdata = pgo_outputs_want_fdata(&p->outputs),
		.want_go = pgo_outputs_want_go(&p->outputs),
		.only_go = pgo_outputs_only_go(&p->outputs),
	};
	struct pgo_reader *reader;
	const struct pgo_account *a;
	int rc;

	p->convert = pgo_convert_new(&o, err);
	if (p->convert == NULL)
		return PGO_EIO;
	reader = pgo_profile_reader(p->merged.profile, "merged.pb.gz", false, err);
	rc = reader != NULL ? pgo_convert_add(p->convert, reader, err) : PGO_ENOMEM;
	pgo_reader_close(reader);
	if (rc == 0)
		rc = pgo_convert_run(p->convert, err);
	if (rc == 0)
		rc = pgo_outputs_encode(&p->outputs, p->convert, err);
	if (rc < 0)
		return rc;
	p->is_converted = true;
	a = pgo_convert_account(p->convert);
	pgo_buf_printf(&p->text,
		"convert  %.2f%% mapped to %s; %zu functions, %zu of them hot, density %.0f\n",
		a->mapped_share * 100, pgo_path_base(p->target->binary), a->functions,
		a->functions_hot, a->density);
	return 0;
}

/* ---- gates */

/* What was published before, oldest first: its gates are the history of this target. */
static int add_past(struct pgo_pipeline *p, const struct pgo_state_entry *e,
	struct pgo_gate_limits *limits, struct pgo_err *err)
{
	struct pgo_jval *doc = pgo_state_doc(e, "gates.json", NULL);
	struct pgo_gates past;
	int rc = 0;

	(void)p;
	if (doc == NULL)
		return 0;
	pgo_gates_init(&past);
	/* Those of a newer or older form are no history, and no obstacle. */
	if (pgo_gates_from_json(&past, doc, e->id, NULL) == 0)
		rc = pgo_gate_limits_history(limits, &past, err);
	pgo_gates_fini(&past);
	pgo_jdoc_free(doc);
	return rc;
}

static int collect_past(struct pgo_pipeline *p, const struct pgo_state_entries *e,
	struct pgo_gate_limits *limits, const char **dirs, size_t *ret_n, struct pgo_err *err)
{
	int rc = 0;

	*ret_n = 0;
	for (size_t i = 0; i < e->n && rc == 0; i++) {
		struct pgo_state_story story;

		if (e->of[i].quarantined)
			continue;
		pgo_state_story(&p->log, e->of[i].id, &story);
		if (story.withdrawn)
			continue;
		dirs[(*ret_n)++] = e->of[i].dir;
		rc = add_past(p, &e->of[i], limits, err);
	}
	return rc;
}

static int check_fit(struct pgo_pipeline *p, const struct pgo_state_entries *e,
	const struct pgo_gate_limits *limits, const char *const *dirs, size_t n_dirs,
	struct pgo_err *err)
{
	const char *debug = p->target->debug;
	struct pgo_fit_file *files = pgo_fit_files_of(&p->outputs);
	struct pgo_fit_inputs in = {
		.binary = p->target->binary,
		.where = {.debug = &debug,
			.n_debug = debug[0] != '\0',
			.sole = p->target->n_older_builds == 0},
		.plan = &p->merged.plan,
		.account = pgo_convert_account(p->convert),
		.files = files,
		.n_files = p->outputs.n,
		.published = dirs,
		.n_published = n_dirs,
		.limits = limits,
		.now_ns = p->now_ns,
	};
	int rc;

	if (files == NULL)
		return pgo_err_nomem(err);
	/* As they are called in what it is compared with. */
	for (size_t i = 0; i < p->outputs.n; i++)
		files[i].name = p->outputs.of[i].file;
	for (size_t i = 0; i < e->n; i++)
		/* What is too old to use is too old to be the measure of anything new. */
		if (e->of[i].last_good && !p->standing.expired)
			in.last_good = e->of[i].dir;
	for (size_t i = 0; i < p->outputs.n; i++)
		if (p->outputs.of[i].kind == PGO_OUTPUT_GCC)
			in.gcc_release = p->outputs.of[i].fo.gcc_release;
	rc = pgo_fit_check(&in, &p->gates, err);
	pgo_free(files);
	return rc;
}

static void describe_gates(struct pgo_pipeline *p)
{
	const struct pgo_gates *g = &p->gates;

	pgo_buf_printf(&p->text, "gates    %zu passed", pgo_gates_count(g, PGO_GATE_PASS));
	for (size_t i = 0; i < g->n; i++)
		if (g->row[i].verdict == PGO_GATE_WARN || g->row[i].verdict == PGO_GATE_FAIL)
			pgo_buf_printf(&p->text, "\n         %s %s: %s",
				g->row[i].verdict == PGO_GATE_WARN ? "warning," : "FAILED,",
				g->row[i].name, g->row[i].why);
	pgo_buf_putc(&p->text, '\n');
}

int pgo_pipeline_judge(struct pgo_pipeline *p, struct pgo_err *err)
{
	struct pgo_state_entries e = {0};
	struct pgo_gate_limits limits = {0};
	const char **dirs = NULL;
	size_t n_dirs = 0;
	int rc = pgo_state_list(&p->state, &e, err);

	if (rc == 0)
		pgo_state_order(&e, &p->log);
	for (size_t i = 0; i < p->target->n_gates && rc == 0; i++)
		rc = pgo_gate_limits_parse(&limits, p->target->gates[i], "pgo.conf", err);
	if (rc == 0 && (dirs = pgo_calloc(e.n, sizeof *dirs)) == NULL)
		rc = pgo_err_nomem(err);
	if (rc == 0)
		rc = pgo_pipeline_name_files(p, err);
	if (rc == 0)
		rc = collect_past(p, &e, &limits, dirs, &n_dirs, err);
	if (rc == 0)
		rc = check_fit(p, &e, &limits, dirs, n_dirs, err);
	if (rc == 0)
		describe_gates(p);
	pgo_free(dirs);
	pgo_gate_limits_fini(&limits);
	pgo_state_entries_fini(&e);
	return rc;
}

int pgo_pipeline_failed_gate(struct pgo_pipeline *p, const char *name, double value,
	const char *why, struct pgo_err *err)
{
	const struct pgo_gate_row row = {.name = (char *)(uintptr_t)name,
		.value = value,
		.warn = (double)NAN,
		.fail = (double)NAN,
		.verdict = PGO_GATE_FAIL,
		.source = (char *)(uintptr_t) "default",
		.why = (char *)(uintptr_t)why};

	return pgo_gates_add(&p->gates, &row, err);
}
