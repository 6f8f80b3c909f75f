/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/json.h"
#include "pgo/operands.h"
#include "verify/attrib.h"
#include "verify/real.h"
#include "verify/sequential.h"
#include "verify/verify.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SCHEMA 1
#define STATE_MAX ((size_t)1 << 20)
#define ALPHA 0.05

struct canary_values {
	struct pgo_opt_list canary_before, control_before;
	const char *binary, *canary_binary, *control_binary, *sample_type, *state;
	const char *work, *work_label, *host_label;
	double tolerate;
	int64_t every;
	uint64_t looks;
	bool once, same_work;
};

#define AT(field) offsetof(struct canary_values, field)

static const struct pgo_opt opts[] = {
	{"Looking", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"every", 0, "TIME", "look again after this long (default 10m)", PGO_OPT_DURATION,
		AT(every)},
	{"once", 0, NULL, "look once and say what is known so far", PGO_OPT_FLAG, AT(once)},
	{"looks", 0, "N", "look so many times at most (default 0: until there is a decision)",
		PGO_OPT_U64, AT(looks)},
	{"state", 0, "FILE", "what earlier looks saw; continued if it is there", PGO_OPT_STR,
		AT(state)},
	{"tolerate", 0, "PCT",
		"go on once a loss as large as this is excluded, in per cent (default 1)",
		PGO_OPT_DOUBLE, AT(tolerate)},
	{"Inputs", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"canary-before", 0, "FILE", "a profile of the canary's hosts from before (repeatable)",
		PGO_OPT_LIST, AT(canary_before)},
	{"control-before", 0, "FILE", "a profile of the control's hosts from before (repeatable)",
		PGO_OPT_LIST, AT(control_before)},
	{"binary", 0, "APP", "the program, to name functions of both arms", PGO_OPT_STR,
		AT(binary)},
	{"canary-binary", 0, "APP", "the program of the canary", PGO_OPT_STR, AT(canary_binary)},
	{"control-binary", 0, "APP", "the program of the control", PGO_OPT_STR, AT(control_binary)},
	{"sample-type", 0, "NAME", "the column to compare (default: cpu)", PGO_OPT_STR,
		AT(sample_type)},
	{"host-label", 0, "LABEL", "the label that tells hosts in a profile (default: host)",
		PGO_OPT_STR, AT(host_label)},
	{"Work", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"work", 0, "FILE", "how much work was done, as for pgo verify; read at every look",
		PGO_OPT_STR, AT(work)},
	{"work-label", 0, "NAME", "a label or sample type of the profiles says how much",
		PGO_OPT_STR, AT(work_label)},
	{"same-work", 0, NULL, "every profile covers the same amount of work", PGO_OPT_FLAG,
		AT(same_work)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"canary",
	"[OPTION]... CANARY... -- CONTROL...",
	"Looks at a rollout while it runs and says when to stop: roll back, go on, or wait.",
	opts,
};

/* ---- one look */

struct adding {
	struct pgo_verify *v;
	bool after, control;
	size_t n;
};

static int add_profile(
	void *ctx, const struct pgo_merge_input *in, struct pgo_reader *r, struct pgo_err *err)
{
	struct adding *a = ctx;
	const struct pgo_attrib_input about = {
		.name = in->name,
		.host = in->host,
		.version = in->record != NULL ? in->record->version : NULL,
		.time_ns = in->time_ns,
		.duration_ns = in->record != NULL ? in->record->duration_ns : 0,
	};

	a->n++;
	return a->control ? pgo_verify_add_control(a->v, a->after, r, &about, err)
			  : pgo_verify_add(a->v, a->after, r, &about, err);
}

/* What is there now: directories are listed anew at every look. */
static int add_arm(struct adding *to, const char *const *paths, size_t n, const char *binary,
	struct pgo_err *err)
{
	const struct pgo_input_options io = {
		.binaries = &binary, .n_binaries = binary != NULL, .no_unbias = true};
	struct pgo_operands files = {0};
	int rc = 0;

	to->n = 0;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = pgo_operands_add(&files, paths[i], err);
	if (rc == 0)
		rc = pgo_operands_visit(&files, &io, "looking at profiles", add_profile, to, err);
	pgo_operands_fini(&files);
	return rc;
}

/* Canary is after, control is before; with a time before, each arm has both. */
static int compare(const struct canary_values *o, char **argv, int first, int dashdash, int argc,
	struct pgo_verify **ret, struct pgo_err *err)
{
	const char *canary = o->canary_binary != NULL ? o->canary_binary : o->binary;
	const char *control = o->control_binary != NULL ? o->control_binary : o->binary;
	bool did = o->canary_before.n > 0;
	const struct pgo_verify_options vo = {.sample_type = o->sample_type,
		.before_binary = control,
		.after_binary = canary,
		.same_work = o->same_work,
		.work = o->work,
		.work_label = o->work_label,
		.host_label = o->host_label,
		/* Hosts are of one arm, whatever names they share. */
		.design = did ? PGO_DESIGN_DID : PGO_DESIGN_WELCH,
		.bootstrap = 1,
		.splits = 1};
	const char *const *names = (const char *const *)argv;
	struct adding to = {.v = *ret = pgo_verify_new(&vo, err), .after = true};
	int rc;

	if (to.v == NULL)
		return (int)err->code;
	rc = add_arm(&to, names + first, (size_t)(dashdash - first), canary, err);
	to.control = did;
	to.after = did;
	if (rc == 0)
		rc = add_arm(&to, names + dashdash, (size_t)(argc - dashdash), control, err);
	to.after = false;
	if (rc == 0 && did)
		rc = add_arm(&to, o->control_before.item, o->control_before.n, control, err);
	to.control = false;
	if (rc == 0 && did)
		rc = add_arm(&to, o->canary_before.item, o->canary_before.n, control, err);
	return rc == 0 ? pgo_verify_finish(to.v, err) : rc;
}

/* ---- what is remembered */

struct canary {
	struct pgo_sequence seq;
	double tolerate; /* log */
	int64_t first_ns, last_ns;
	uint64_t without; /* looks that found nothing to compare */
};

static void bound_json(struct pgo_json *j, const char *key, double v)
{
	pgo_json_kv_double(j, key, pgo_real_expm1(v));
}

/* Bounds are kept as text that gives the same number back. */
static void exact_json(struct pgo_json *j, const char *key, double v)
{
	char text[40];

	snprintf(text, sizeof text, "%a", v);
	pgo_json_kv_str(j, key, text);
}

static bool exact_read(const struct pgo_jval *doc, const char *key, double *ret)
{
	const char *text = pgo_jval_str(pgo_jval_get(doc, key), "");
	char *end;

	*ret = strtod(text, &end);
	return *text != '\0' && *end == '\0' && !isnan(*ret);
}

static int read_state(struct canary *c, const char *path, struct pgo_err *err)
{
	struct pgo_jval *doc = NULL;
	struct pgo_buf b;
	double tolerate;
	int rc;

	if (path == NULL || !pgo_path_exists(path))
		return 0;
	rc = pgo_file_read(path, STATE_MAX, &b, err);
	if (rc < 0)
		return rc;
	doc = pgo_jdoc_parse(path, b.data != NULL ? b.data : "", b.len, err);
	if (doc == NULL) {
		rc = (int)err->code;
	} else if (strcmp(pgo_jval_str(pgo_jval_get(doc, "kind"), ""), "canary-state") != 0 ||
		   pgo_jval_i64(pgo_jval_get(doc, "schema"), 0) != SCHEMA ||
		   !exact_read(doc, "exact_low", &c->seq.low) ||
		   !exact_read(doc, "exact_high", &c->seq.high) ||
		   !exact_read(doc, "exact_tolerate", &tolerate)) {
		rc = pgo_err_set(err, PGO_EFORMAT,
			"%s is no state of pgo canary (schema %d); name another file, or remove it "
			"to begin anew",
			path, SCHEMA);
	} else if (tolerate != c->tolerate) {
		rc = pgo_err_set(err, PGO_EUSAGE,
			"%s was begun with --tolerate %.6g; a rollout is judged by one limit", path,
			pgo_real_expm1(tolerate) * 100);
	} else {
		c->seq.looks = (uint64_t)pgo_jval_i64(pgo_jval_get(doc, "looks"), 0);
		c->without = (uint64_t)pgo_jval_i64(pgo_jval_get(doc, "looks_without_data"), 0);
		c->first_ns = pgo_jval_i64(pgo_jval_get(doc, "first_ns"), 0);
	}
	pgo_jdoc_free(doc);
	pgo_buf_fini(&b);
	return rc;
}

static int write_state(const struct canary *c, const char *path, struct pgo_err *err)
{
	struct pgo_buf b;
	struct pgo_json j;
	int rc;

	if (path == NULL)
		return 0;
	pgo_buf_init(&b, STATE_MAX);
	pgo_json_init(&j, &b, false);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "schema", SCHEMA);
	pgo_json_kv_str(&j, "kind", "canary-state");
	pgo_json_kv_u64(&j, "looks", c->seq.looks);
	pgo_json_kv_u64(&j, "looks_without_data", c->without);
	pgo_json_kv_i64(&j, "first_ns", c->first_ns);
	pgo_json_kv_i64(&j, "last_ns", c->last_ns);
	bound_json(&j, "low", c->seq.low);
	bound_json(&j, "high", c->seq.high);
	exact_json(&j, "exact_low", c->seq.low);
	exact_json(&j, "exact_high", c->seq.high);
	exact_json(&j, "exact_tolerate", c->tolerate);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
	rc = pgo_buf_check(&b, "the state", err);
	if (rc == 0)
		rc = pgo_file_write(path, b.data, b.len, err);
	pgo_buf_fini(&b);
	return rc;
}

/* ---- what follows */

enum decision { WAIT, GO_ON, ROLL_BACK, NO_DATA };

static const struct {
	const char *word, *text;
	int exit;
} decisions[] = {
	[WAIT] = {"wait", "undecided, wait", PGO_EXIT_UNCHANGED},
	[GO_ON] = {"go_on", "go on: not worse than tolerated", PGO_EXIT_OK},
	[ROLL_BACK] = {"roll_back", "roll back: worse", PGO_EXIT_FINDING},
	[NO_DATA] = {"no_data", "no data yet", PGO_EXIT_NO_PROFILE},
};

static enum decision decide(const struct canary *c)
{
	/* A loss that is sure, but surely within what is tolerated, is no reason to go back. */
	if (c->seq.high < c->tolerate)
		return GO_ON;
	return c->seq.low > 0 ? ROLL_BACK : WAIT;
}

static void say(struct pgo_buf *out, const struct canary *c, enum decision d,
	const struct pgo_verdict *v, const char *why)
{
	char when[32];

	pgo_format_time(c->last_ns, when, sizeof when);
	pgo_buf_printf(out, "%s look %llu: %s", when,
		(unsigned long long)(c->seq.looks + c->without), decisions[d].text);
	if (v != NULL && !isinf(c->seq.low) && !isinf(c->seq.high))
		pgo_buf_printf(out,
			"; canary against control %+.2f %% per %s, within %+.2f to %+.2f at all "
			"looks "
			"(95 %%)",
			v->total.change * 100, v->design.per, pgo_real_expm1(c->seq.low) * 100,
			pgo_real_expm1(c->seq.high) * 100);
	if (why != NULL)
		pgo_buf_printf(out, "; %s", why);
	pgo_buf_putc(out, '\n');
}

static void say_json(struct pgo_buf *out, const struct canary *c, enum decision d,
	const struct pgo_verdict *v, const char *why)
{
	struct pgo_json j;

	pgo_json_init(&j, out, true);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "schema", SCHEMA);
	pgo_json_kv_str(&j, "kind", "canary");
	pgo_json_kv_str(&j, "decision", decisions[d].word);
	pgo_json_kv_i64(&j, "time_ns", c->last_ns);
	pgo_json_kv_u64(&j, "looks", c->seq.looks);
	pgo_json_kv_u64(&j, "looks_without_data", c->without);
	bound_json(&j, "low", c->seq.low);
	bound_json(&j, "high", c->seq.high);
	bound_json(&j, "tolerate", c->tolerate);
	if (v != NULL) {
		pgo_json_kv_double(&j, "change", v->total.change);
		pgo_json_kv_str(&j, "per", v->design.per);
		pgo_json_kv_str(&j, "design", pgo_design_name(v->design.kind));
		pgo_json_kv_u64(&j, "hosts_canary", v->design.hosts_after);
	}
	pgo_json_kv_str(&j, "why", why);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}

/* Nothing there yet, or too little to compare: not an error of a rollout that has just begun. */
static bool too_early(int rc)
{
	return rc == PGO_EEMPTY || rc == PGO_ENOTFOUND;
}

static int look(struct canary *c, const struct canary_values *o, const struct pgo_opt_globals *g,
	char **argv, int first, int dashdash, int argc, enum decision *ret, struct pgo_err *err)
{
	struct pgo_err local = PGO_ERR_INIT;
	struct pgo_verify *v = NULL;
	const struct pgo_verdict *r = NULL;
	const char *why = NULL;
	struct pgo_buf out;
	uint64_t before = c->seq.looks;
	int rc = compare(o, argv, first, dashdash, argc, &v, &local);

	c->last_ns = pgo_now();
	c->first_ns = c->first_ns != 0 ? c->first_ns : c->last_ns;
	if (rc < 0 && !too_early(rc)) {
		*err = local;
		pgo_verify_free(v);
		return rc;
	}
	if (rc < 0)
		why = local.msg;
	else
		r = pgo_verify_result(v);
	if (r != NULL && !r->total.valid) {
		pgo_verify_free(v);
		return pgo_err_set(err, PGO_EUSAGE,
			"a canary is judged by its cost per unit of work: give --work, "
			"--work-label or "
			"--same-work");
	}
	if (r != NULL && r->total.df > 0)
		pgo_sequence_look(&c->seq, r->total.log_change, r->total.se, r->total.df);
	else if (r != NULL)
		why = "each arm needs two hosts or profiles at least";
	c->without += c->seq.looks == before;
	*ret = c->seq.looks == 0 ? NO_DATA : decide(c);
	pgo_buf_init(&out, (size_t)1 << 16);
	if (g->json)
		say_json(&out, c, *ret, r, why);
	else
		say(&out, c, *ret, r, why);
	rc = write_state(c, o->state, err);
	if (rc == 0 && pgo_cmd_print(&pgo_cmd_canary, g, out.data, out.len) != PGO_EXIT_OK)
		rc = pgo_err_set(err, PGO_EIO, "standard output cannot be written");
	pgo_buf_fini(&out);
	pgo_verify_free(v);
	return rc;
}

static void wait_for(int64_t ns)
{
	struct timespec t = {
		.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

static int check_options(
	const struct canary_values *o, int first, int dashdash, int argc, struct pgo_err *err)
{
	if (dashdash == first || dashdash == argc)
		return pgo_err_set(err, PGO_EUSAGE,
			"name profiles of both arms: pgo canary CANARY... -- CONTROL...");
	if ((o->canary_before.n > 0) != (o->control_before.n > 0))
		return pgo_err_set(err, PGO_EUSAGE,
			"a time before is of both arms: --canary-before and --control-before");
	if (!(o->tolerate > 0) || o->tolerate > 100)
		return pgo_err_set(err, PGO_EUSAGE,
			"--tolerate is a loss in per cent, above 0: an interval never gets so "
			"narrow "
			"that no loss at all is excluded");
	if (o->every <= 0 && !o->once)
		return pgo_err_set(err, PGO_EUSAGE, "--every is a time above 0");
	if ((o->same_work != 0) + (o->work != NULL) + (o->work_label != NULL) > 1)
		return pgo_err_set(err, PGO_EUSAGE,
			"--work, --work-label and --same-work each say how much work was done: "
			"give "
			"one");
	return 0;
}

static int run(int argc, char **argv)
{
	struct canary_values o = {.every = (int64_t)600 * 1000000000, .tolerate = 1};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_opt_globals g;
	enum decision d = NO_DATA;
	struct canary c = {0};
	int first, dashdash, code, rc;

	if (pgo_cmd_begin(&pgo_cmd_canary, argc, argv, &o, &g, &first, &dashdash, &code) != 0)
		goto out;
	rc = check_options(&o, first, dashdash, argc, &err);
	if (rc == 0) {
		c.tolerate = pgo_real_log(1 + o.tolerate / 100);
		pgo_sequence_init(&c.seq, ALPHA, c.tolerate);
		rc = read_state(&c, o.state, &err);
	}
	for (uint64_t n = 1; rc == 0; n++) {
		rc = look(&c, &o, &g, argv, first, dashdash, argc, &d, &err);
		if (rc < 0 || o.once || d == GO_ON || d == ROLL_BACK || n == o.looks)
			break;
		wait_for(o.every);
	}
	code = rc < 0 ? pgo_cmd_fail(&pgo_cmd_canary, &g, &err) : decisions[d].exit;
out:
	pgo_opt_list_free(&o.canary_before);
	pgo_opt_list_free(&o.control_before);
	return code;
}

const struct pgo_cmd pgo_cmd_canary = {"canary", "judge a rollout while it runs", &table, run};
