/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/pipeline.h"

#include "convert/convert.h"
#include "convert/output.h"
#include "fetch/fetch.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/elf.h"
#include "pgo/core/file.h"
#include "pgo/core/manifest.h"
#include "pgo/core/opt.h"
#include "pgo/core/pprof.h"
#include "pgo/core/sha256.h"
#include "pgo/merge_inputs.h"
#include "pgo/operands.h"
#include "pgo/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define MANIFEST_SCHEMA 1
#define MAX_MANIFEST ((size_t)1 << 30)

/* One target on its way through the stages. */
struct run {
	const struct pgo_conf *conf;
	const struct pgo_target *target;
	bool force;
	char *dir, *raw, *merged_path, *manifest_path, *lock_path;
	int lock;
	int64_t now_ns, since_ns, until_ns;
	struct pgo_fetch_stats fetch;
	struct pgo_manifest records;
	char binary_id[129];
	char fingerprint[65];
	struct pgo_weights weights;
	struct pgo_merged merged;
	struct pgo_outputs outputs;
	struct pgo_convert *convert;
	struct pgo_buf text;
};

/* ---- the plan in words */

static void describe_duration(struct pgo_buf *out, int64_t ns)
{
	if (ns == 0)
		pgo_buf_puts(out, "off");
	else
		pgo_buf_printf(out, "%.4g days", (double)ns / 86400e9);
}

static void describe_weights(const struct pgo_target *t, struct pgo_buf *out)
{
	if (strcmp(t->mode, "equal-host") == 0)
		pgo_buf_puts(out, ", every host alike");
	else if (t->host_cap > 0)
		pgo_buf_printf(out, ", no host above %g times the median", t->host_cap);
	else
		pgo_buf_puts(out, ", hosts as they come");
	if (t->season)
		pgo_buf_puts(out, ", hours of the week alike");
	if (t->class_mix[0] != '\0')
		pgo_buf_printf(out, ", classes %s", t->class_mix);
	if (t->blend > 0)
		pgo_buf_printf(out, ", the last result at %g of its mass", t->blend);
	pgo_buf_puts(out, t->outliers || t->allow_outliers ? ", without outliers\n" : "\n");
}

void pgo_pipeline_describe(
	const struct pgo_conf *c, const struct pgo_target *t, struct pgo_buf *out)
{
	pgo_buf_printf(out, "target %s, state in %s/%s\n", t->name, c->state, t->name);
	for (size_t i = 0; i < t->n_sources; i++)
		pgo_buf_printf(out, "  fetch    from %s\n", t->sources[i]);
	for (size_t i = 0; i < t->n_selects; i++)
		pgo_buf_printf(out, "           where %s\n", t->selects[i]);
	pgo_buf_printf(out, "           since %s until %s\n",
		t->since[0] != '\0' ? t->since : "ever", t->until[0] != '\0' ? t->until : "now");
	pgo_buf_puts(out, "  merge    half-life ");
	describe_duration(out, t->half_life_ns);
	pgo_buf_puts(out, ", window ");
	describe_duration(out, t->window_ns);
	describe_weights(t, out);
	pgo_buf_printf(out, "  convert  for %s\n", t->binary);
	for (size_t i = 0; i < PGO_N_OUTPUT_KINDS; i++) {
		if (t->output[i][0] == '\0')
			continue;
		pgo_buf_printf(
			out, "           %s", pgo_output_type((enum pgo_output_kind)i)->consumer);
		if (i == PGO_OUTPUT_CLANG)
			pgo_buf_printf(out, " (%s)", t->clang_format);
		pgo_buf_printf(out, " to %s\n", t->output[i]);
	}
}

/* ---- preparing */

static int make_paths(struct run *r, struct pgo_err *err)
{
	r->dir = pgo_asprintf("%s/%s", r->conf->state, r->target->name);
	if (r->dir == NULL)
		return pgo_err_nomem(err);
	r->raw = pgo_asprintf("%s/raw", r->dir);
	r->merged_path = pgo_asprintf("%s/merged.pb.gz", r->dir);
	r->manifest_path = pgo_asprintf("%s/manifest.json", r->dir);
	r->lock_path = pgo_asprintf("%s/lock", r->dir);
	if (r->raw == NULL || r->merged_path == NULL || r->manifest_path == NULL ||
		r->lock_path == NULL)
		return pgo_err_nomem(err);
	return pgo_mkdirs(r->dir, err);
}

static int take_lock(struct run *r, struct pgo_err *err)
{
	r->lock = open(r->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (r->lock < 0)
		return pgo_err_errno(err, PGO_EIO, "cannot create the lock %s", r->lock_path);
	if (flock(r->lock, LOCK_EX | LOCK_NB) < 0)
		return pgo_err_set(err, PGO_EIO,
			"another run is working on target '%s' (%s is held); wait for it",
			r->target->name, r->lock_path);
	return 0;
}

static int window(struct run *r, struct pgo_err *err)
{
	int rc = 0;

	r->now_ns = pgo_now();
	if (r->target->since[0] != '\0')
		rc = pgo_parse_time(r->target->since, r->now_ns, &r->since_ns, err);
	if (rc == 0 && r->target->until[0] != '\0')
		rc = pgo_parse_time(r->target->until, r->now_ns, &r->until_ns, err);
	return rc < 0 ? pgo_err_prefix(err, "target '%s'", r->target->name) : 0;
}

/* ---- fetch */

static const char *or_null(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

static int fetch(struct run *r, struct pgo_err *err)
{
	struct pgo_fetch_options o = {
		.urls = (const char *const *)r->target->sources,
		.n_urls = r->target->n_sources,
		.out_dir = r->raw,
		.since_ns = r->since_ns,
		.until_ns = r->until_ns,
		.selects = (const char *const *)r->target->selects,
		.n_selects = r->target->n_selects,
		.types = (const char *const *)r->target->types,
		.n_types = r->target->n_types,
		.labels = (const char *const *)r->target->labels,
		.n_labels = r->target->n_labels,
		.by_host = or_null(r->target->by_host),
		.max_profiles = r->target->max_profiles,
		.max_object = r->target->max_object,
		.http = {.parallel = r->target->parallel,
			.tries = r->target->tries,
			.rate = r->target->rate,
			.netrc = r->target->netrc,
			.ca_file = or_null(r->target->ca_file)},
	};
	int rc = pgo_fetch(&o, &r->fetch, err);
	char *manifest;

	if (rc < 0)
		return rc;
	manifest = pgo_asprintf("%s/manifest.jsonl", r->raw);
	if (manifest == NULL)
		return pgo_err_nomem(err);
	rc = pgo_manifest_load(&r->records, manifest, err);
	pgo_free(manifest);
	pgo_buf_printf(&r->text,
		"fetch    %" PRIu64 " listed, %" PRIu64 " new (%" PRIu64 " bytes), %" PRIu64
		" known; %zu profiles in all\n",
		r->fetch.listed, r->fetch.fetched, r->fetch.fetched_bytes, r->fetch.unchanged,
		r->records.n_records);
	return rc;
}

/* Does this profile belong to the present window?  The raw directory keeps older ones. */
static bool in_window(const struct run *r, const struct pgo_record *rec)
{
	if (rec->time_ns == 0)
		return true;
	return (r->since_ns == 0 || rec->time_ns >= r->since_ns) &&
	       (r->until_ns == 0 || rec->time_ns <= r->until_ns);
}

/* ---- is there anything to do? */

static void hash_str(struct pgo_sha256 *h, const char *s)
{
	pgo_sha256_add(h, s, strlen(s) + 1);
}

static void hash_weights(struct pgo_sha256 *h, const struct pgo_target *t)
{
	const bool flags[4] = {t->season, t->builds, t->outliers, t->allow_outliers};

	hash_str(h, t->mode);
	hash_str(h, t->class_mix);
	hash_str(h, t->class_label);
	for (size_t i = 0; i < t->n_class_of; i++)
		hash_str(h, t->class_of[i]);
	for (size_t i = 0; i < t->n_sampling_probability; i++)
		hash_str(h, t->sampling_probability[i]);
	pgo_sha256_add(h, flags, sizeof flags);
	pgo_sha256_add(h, &t->blend, sizeof t->blend);
	pgo_sha256_add(h, &t->min_samples, sizeof t->min_samples);
}

static void hash_target(struct pgo_sha256 *h, const struct run *r)
{
	const struct pgo_target *t = r->target;
	const double cap = t->host_cap;

	hash_str(h, PGO_VERSION);
	hash_str(h, r->binary_id);
	pgo_sha256_add(h, &t->half_life_ns, sizeof t->half_life_ns);
	pgo_sha256_add(h, &t->window_ns, sizeof t->window_ns);
	pgo_sha256_add(h, &cap, sizeof cap);
	for (size_t i = 0; i < t->n_older_builds; i++)
		hash_str(h, pgo_conf_relative(r->conf, t->older_builds[i]));
	hash_weights(h, t);
	for (size_t i = 0; i < r->outputs.n; i++) {
		const struct pgo_output *o = &r->outputs.of[i];

		hash_str(h, pgo_output_kind_name(o->kind));
		hash_str(h, o->name);
		hash_str(h, o->variant);
		pgo_sha256_add(h, &o->fo.gcc_release, sizeof o->fo.gcc_release);
	}
}

static int fingerprint(struct run *r, struct pgo_err *err)
{
	struct pgo_sha256 h;
	uint8_t digest[32];
	int rc = pgo_elf_build_id(r->target->binary, r->binary_id, err);

	if (rc == 0 && r->binary_id[0] == '\0')
		rc = pgo_sha256_file(r->target->binary, r->binary_id, err);
	if (rc < 0)
		return rc;
	pgo_sha256_init(&h);
	hash_target(&h, r);
	/* Records are sorted, so the order of fetching does not show. */
	for (size_t i = 0; i < r->records.n_records; i++)
		if (in_window(r, &r->records.records[i]))
			hash_str(&h, r->records.records[i].digest);
	pgo_sha256_final(&h, digest);
	pgo_sha256_hex(digest, r->fingerprint);
	return 0;
}

/* Are all outputs of the last manifest in place, byte for byte? */
static bool outputs_intact(const struct run *r, const struct pgo_jval *outputs)
{
	size_t n = pgo_jval_len(outputs);
	char digest[65];

	for (size_t i = 0; i < n; i++) {
		const struct pgo_jval *o = pgo_jval_at(outputs, i);
		const char *name = pgo_jval_str(pgo_jval_get(o, "path"), "");

		/* The fingerprint has said that the outputs asked for are these, in this order. */
		if (i == r->outputs.n || strcmp(name, r->outputs.of[i].name) != 0 ||
			pgo_sha256_file(r->outputs.of[i].path, digest, NULL) < 0 ||
			strcmp(digest, pgo_jval_str(pgo_jval_get(o, "sha256"), "")) != 0)
			return false;
	}
	return n == r->outputs.n;
}

/* A manifest that is missing or damaged only means that there is work to do. */
static bool up_to_date(const struct run *r)
{
	struct pgo_jval *doc = NULL;
	struct pgo_buf text;
	bool same = false;

	pgo_buf_init(&text, MAX_MANIFEST);
	if (pgo_path_exists(r->manifest_path) &&
		pgo_file_read(r->manifest_path, MAX_MANIFEST, &text, NULL) == 0)
		doc = pgo_jdoc_parse(r->manifest_path, text.data, text.len, NULL);
	if (doc != NULL)
		same = strcmp(pgo_jval_str(pgo_jval_get(doc, "fingerprint"), ""), r->fingerprint) ==
			       0 &&
		       pgo_path_exists(r->merged_path) &&
		       outputs_intact(r, pgo_jval_get(doc, "outputs"));
	pgo_jdoc_free(doc);
	pgo_buf_fini(&text);
	return same;
}

/* ---- merge and convert */

static int plan_words(struct run *r, struct pgo_err *err)
{
	const struct pgo_target *t = r->target;
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
	int rc = pgo_weights_init(&r->weights, &po, &words, err);

	return rc < 0 ? pgo_err_prefix(err, "target '%s'", t->name) : 0;
}

/* The profiles in the window, and the last merged one if it is to be blended in. */
static int list_inputs(struct run *r, struct pgo_operands *ret, struct pgo_err *err)
{
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < r->records.n_records && rc == 0; i++) {
		const struct pgo_record *rec = &r->records.records[i];

		if (!in_window(r, rec))
			continue;
		rc = pgo_operands_add_record(ret, r->raw, rec, err);
		n++;
	}
	if (rc == 0 && n == 0)
		return pgo_err_set(err, PGO_EEMPTY,
			"no profile of target '%s' lies between %s and %s", r->target->name,
			r->target->since[0] != '\0' ? r->target->since : "ever",
			r->target->until[0] != '\0' ? r->target->until : "now");
	if (rc == 0 && r->target->blend > 0 && pgo_path_exists(r->merged_path)) {
		rc = pgo_operands_add(ret, r->merged_path, err);
		if (rc == 0)
			ret->in[ret->n - 1].blend = true;
	}
	for (size_t i = 0; i < ret->n && rc == 0; i++)
		pgo_weights_apply(&r->weights, &ret->in[i]);
	return rc;
}

static int merge(struct run *r, struct pgo_err *err)
{
	const struct pgo_merge_options mo = {0};
	struct pgo_operands inputs = {0};
	int rc = plan_words(r, err);

	if (rc == 0)
		rc = list_inputs(r, &inputs, err);
	if (rc == 0)
		rc = pgo_merge_inputs(inputs.in, inputs.n, r->target->binary, &r->weights.po, &mo,
			&r->merged, err);
	if (rc == 0)
		pgo_buf_printf(&r->text,
			"merge    %zu profiles of %zu hosts on %zu days (effective hosts %.1f, "
			"largest share %.0f%%): %" PRIu64 " samples\n",
			r->merged.plan.n_kept, r->merged.plan.n_hosts, r->merged.plan.n_days,
			r->merged.plan.effective_hosts, r->merged.plan.dominance * 100,
			r->merged.stats.samples_out);
	pgo_operands_fini(&inputs);
	return rc;
}

static int convert(struct run *r, struct pgo_err *err)
{
	const char *binary = r->target->binary, *debug = r->target->debug;
	struct pgo_convert_options o = {
		.binaries = &binary,
		.n_binaries = 1,
		.binary_dirs = (const char *const *)r->target->older_builds,
		.n_binary_dirs = r->target->n_older_builds,
		.where = {.debug = &debug,
			.n_debug = debug[0] != '\0',
			.sole = r->target->n_older_builds == 0},
		.target = r->target->n_older_builds != 0 ? binary : NULL,
		.carry_over = r->target->n_older_builds != 0,
		.affinity = PGO_AFFINITY_DEFAULT,
		.want_fnprof = pgo_outputs_want_fnprof(&r->outputs),
		.want_fdata = pgo_outputs_want_fdata(&r->outputs),
		.want_go = pgo_outputs_want_go(&r->outputs),
		.only_go = pgo_outputs_only_go(&r->outputs),
	};
	struct pgo_reader *reader;
	const struct pgo_account *a;
	int rc;

	r->convert = pgo_convert_new(&o, err);
	if (r->convert == NULL)
		return PGO_EIO;
	reader = pgo_profile_reader(r->merged.profile, r->merged_path, false, err);
	rc = reader != NULL ? pgo_convert_add(r->convert, reader, err) : PGO_ENOMEM;
	pgo_reader_close(reader);
	if (rc == 0)
		rc = pgo_convert_run(r->convert, err);
	if (rc == 0)
		rc = pgo_outputs_encode(&r->outputs, r->convert, err);
	if (rc < 0)
		return rc;
	a = pgo_convert_account(r->convert);
	pgo_buf_printf(&r->text,
		"convert  %.2f%% mapped to %s; %zu functions, %zu of them hot, density %.0f\n",
		a->mapped_share * 100, pgo_path_base(r->target->binary), a->functions,
		a->functions_hot, a->density);
	return 0;
}

/* ---- the manifest */

static void manifest_json(struct run *r, struct pgo_json *j)
{
	pgo_json_object(j);
	pgo_json_kv_u64(j, "schema", MANIFEST_SCHEMA);
	pgo_json_kv_str(j, "kind", "manifest");
	pgo_json_kv_str(j, "tool", "pgo " PGO_VERSION);
	pgo_json_kv_str(j, "target", r->target->name);
	pgo_json_kv_str(j, "fingerprint", r->fingerprint);
	pgo_json_kv_str(j, "binary", pgo_path_base(r->target->binary));
	pgo_json_kv_str(j, "build_id", r->binary_id);
	pgo_json_key(j, "weights");
	pgo_json_object(j);
	pgo_plan_summary_json(&r->merged.plan, j);
	pgo_json_end_object(j);
	pgo_json_key(j, "plan");
	pgo_plan_json(&r->merged.plan, j);
	pgo_json_key(j, "account");
	pgo_account_json(pgo_convert_account(r->convert), j);
	pgo_json_key(j, "outputs");
	pgo_outputs_json(&r->outputs, j);
	pgo_json_end_object(j);
	pgo_json_finish(j);
}

static int publish(struct run *r, struct pgo_err *err)
{
	struct pgo_json j;
	struct pgo_buf text;
	int rc;

	pgo_buf_init(&text, MAX_MANIFEST);
	pgo_json_init(&j, &text, false);
	manifest_json(r, &j);
	rc = pgo_buf_check(&text, "the manifest", err);
	if (rc == 0)
		rc = pgo_pprof_write(r->merged.profile, r->merged_path, err);
	if (rc == 0)
		rc = pgo_outputs_write(&r->outputs, err);
	if (rc == 0)
		rc = pgo_file_write(r->manifest_path, text.data, text.len, err);
	for (size_t i = 0; i < r->outputs.n && rc == 0; i++)
		pgo_buf_printf(&r->text, "wrote    %s (%s, %" PRIu64 " %s, %zu bytes)\n",
			r->outputs.of[i].path, pgo_output_kind_name(r->outputs.of[i].kind),
			r->outputs.of[i].records, pgo_output_type(r->outputs.of[i].kind)->records,
			r->outputs.of[i].data.len);
	pgo_buf_fini(&text);
	return rc;
}

/* ---- all of it */

static int run_stages(struct run *r, enum pgo_run_result *ret, struct pgo_err *err)
{
	const struct pgo_target *t = r->target;
	struct pgo_outputs_wanted wanted = {.gcc_release = t->gcc_release,
		.clang_format = t->clang_format,
		.bolt_release = t->bolt_release,
		.propeller_version = t->propeller_version,
		.order_format = t->order_format};
	int rc;

	for (size_t i = 0; i < PGO_N_OUTPUT_KINDS; i++)
		wanted.path[i] = t->output[i];
	rc = pgo_outputs_init(&r->outputs, &wanted, err);
	for (size_t i = 0; i < r->outputs.n; i++)
		r->outputs.of[i].name = pgo_conf_relative(r->conf, r->outputs.of[i].path);
	if (rc == 0)
		rc = window(r, err);
	if (rc == 0)
		rc = make_paths(r, err);
	if (rc == 0)
		rc = take_lock(r, err);
	if (rc == 0)
		rc = fetch(r, err);
	if (rc == PGO_EEMPTY) {
		*ret = PGO_RUN_NO_PROFILE;
		pgo_buf_printf(&r->text, "fetch    %s\n", err->msg);
		pgo_err_clear(err);
		return 0;
	}
	if (rc == 0)
		rc = fingerprint(r, err);
	if (rc < 0)
		return rc;
	if (!r->force && up_to_date(r)) {
		*ret = PGO_RUN_UNCHANGED;
		pgo_buf_puts(&r->text, "kept     nothing new: outputs are those of the same "
				       "profiles, program and options\n");
		return 0;
	}
	rc = merge(r, err);
	if (rc == 0)
		rc = convert(r, err);
	if (rc == 0)
		rc = publish(r, err);
	if (rc == 0)
		*ret = PGO_RUN_NEW;
	return rc;
}

static void fini(struct run *r)
{
	pgo_free(r->dir);
	pgo_free(r->raw);
	pgo_free(r->merged_path);
	pgo_free(r->manifest_path);
	pgo_free(r->lock_path);
	pgo_manifest_fini(&r->records);
	pgo_merged_fini(&r->merged);
	pgo_weights_fini(&r->weights);
	pgo_convert_free(r->convert);
	pgo_outputs_fini(&r->outputs);
	pgo_buf_fini(&r->text);
	if (r->lock >= 0)
		close(r->lock);
}

int pgo_pipeline_run(const struct pgo_conf *c, const struct pgo_target *t, bool force,
	struct pgo_run_report *ret, struct pgo_err *err)
{
	struct run r = {.conf = c, .target = t, .force = force, .lock = -1};
	enum pgo_run_result result = PGO_RUN_NO_PROFILE;
	struct pgo_err own = PGO_ERR_INIT;
	int rc;

	pgo_buf_init(&r.text, (size_t)1 << 20);
	pgo_manifest_init(&r.records);
	pgo_plan_init(&r.merged.plan, &(struct pgo_plan_options){0});
	rc = run_stages(&r, &result, err != NULL ? err : &own);
	if (rc == 0) {
		ret->result = result;
		ret->text = pgo_strndup(r.text.data != NULL ? r.text.data : "", r.text.len);
		ret->manifest = pgo_strdup(r.manifest_path);
		if (ret->text == NULL || ret->manifest == NULL)
			rc = pgo_err_nomem(err);
	}
	fini(&r);
	return rc;
}
