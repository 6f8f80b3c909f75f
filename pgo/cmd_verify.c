/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "pgo/applied_builds.h"
#include "pgo/core/diag.h"
#include "pgo/core/parallel.h"
#include "pgo/operands.h"
#include "pgo/verdict_outputs.h"
#include "pgo/verify_target.h"
#include "verify/attrib.h"
#include "verify/verify.h"

#include <math.h>
#include <string.h>

struct verify_values {
	struct pgo_opt_list before, after, control_before, control_after;
	const char *binary, *before_binary, *after_binary, *sample_type, *fail_if, *verdict;
	const char *work, *work_label, *control, *host_label, *arm, *design;
	struct pgo_verdict_outputs outputs;
	double min_share, cores, price, detect;
	uint64_t top, bootstrap;
	bool same_work;
	const char *profile;
	const char *target, *config, *result;
	bool no_fetch;
};

#define AT(field) offsetof(struct verify_values, field)

static const struct pgo_opt opts[] = {
	{"Inputs", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"before", 0, "FILE", "a profile from before the change (repeatable; instead of operands)",
		PGO_OPT_LIST, AT(before)},
	{"after", 0, "FILE", "a profile from after it (repeatable)", PGO_OPT_LIST, AT(after)},
	{"binary", 0, "APP", "the program that both sides ran, to name functions", PGO_OPT_STR,
		AT(binary)},
	{"before-binary", 0, "APP", "the program before", PGO_OPT_STR, AT(before_binary)},
	{"after-binary", 0, "APP", "the program after", PGO_OPT_STR, AT(after_binary)},
	{"sample-type", 0, "NAME", "the column to compare (default: cpu)", PGO_OPT_STR,
		AT(sample_type)},
	{"profile", 0, "FILE",
		"what the program after was built with: with both binaries, says whether it was "
		"applied",
		PGO_OPT_STR, AT(profile)},
	{"control-before", 0, "FILE",
		"a profile of hosts that are never rebuilt, from before (repeatable)", PGO_OPT_LIST,
		AT(control_before)},
	{"control-after", 0, "FILE", "a profile of these hosts from after (repeatable)",
		PGO_OPT_LIST, AT(control_after)},
	{"arm", 0, "LABEL", "samples where this label is 'control' are of such hosts", PGO_OPT_STR,
		AT(arm)},
	{"host-label", 0, "LABEL", "the label that tells hosts in a profile (default: host)",
		PGO_OPT_STR, AT(host_label)},
	{"Versions of a target", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"target", 0, "NAME",
		"--before and --after are versions or build-ids of this target of pgo.conf: "
		"fetches their profiles, and keeps the report in the state directory",
		PGO_OPT_STR, AT(target)},
	{"config", 'c', "FILE", "the configuration (default: pgo.conf)", PGO_OPT_STR, AT(config)},
	{"no-fetch", 0, NULL, "only what is fetched already", PGO_OPT_FLAG, AT(no_fetch)},
	{"result", 0, "ID",
		"the published result that the program after was built with: it is marked "
		"verified, or taken back if this is a loss",
		PGO_OPT_STR, AT(result)},
	{"Work", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"work", 0, "FILE",
		"how much work was done: CSV with a column such as requests, and file, or host "
		"with "
		"start and end",
		PGO_OPT_STR, AT(work)},
	{"work-label", 0, "NAME", "a label or sample type of the profiles says how much",
		PGO_OPT_STR, AT(work_label)},
	{"control", 0, "REGEX",
		"functions that cost the same per unit of work (default: those outside the "
		"program)",
		PGO_OPT_STR, AT(control)},
	{"same-work", 0, NULL,
		"every profile covers the same amount of work: compare plain cost, not shares",
		PGO_OPT_FLAG, AT(same_work)},
	{"Comparison", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"design", 0, "NAME",
		"auto, paired, difference-in-differences, welch, before-after or counts (default "
		"auto)",
		PGO_OPT_STR, AT(design)},
	{"bootstrap", 0, "N", "rounds of the bootstrap (default 10000)", PGO_OPT_U64,
		AT(bootstrap)},
	{"detect", 0, "PCT",
		"say how many hosts would show a change this small, in per cent (default 1)",
		PGO_OPT_DOUBLE, AT(detect)},
	{"cores", 0, "N", "cores that the fleet uses before: says how many are saved",
		PGO_OPT_DOUBLE, AT(cores)},
	{"price", 0, "N", "price of a core for an hour: says what that is a year", PGO_OPT_DOUBLE,
		AT(price)},
	{"min-share", 0, "PCT",
		"list functions from this share of the whole on, in per cent (default 0.05)",
		PGO_OPT_DOUBLE, AT(min_share)},
	{"fail-if", 0, "GATES", "exit 1 if a gate fails, such as 'regression>2%,overlap<90%'",
		PGO_OPT_STR, AT(fail_if)},
	{"Output", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"top", 0, "N", "functions in the text (default 20; 0 = all)", PGO_OPT_U64, AT(top)},
	{"html", 0, "FILE", "write a page with a flame graph, in one file that needs nothing else",
		PGO_OPT_STR, AT(outputs.html)},
	{"markdown", 0, "FILE", "write a comment for a change under review", PGO_OPT_STR,
		AT(outputs.markdown)},
	{"junit", 0, "FILE", "write test cases for CI: gates and functions", PGO_OPT_STR,
		AT(outputs.junit)},
	{"folded", 0, "FILE", "write folded stacks of both sides for other viewers", PGO_OPT_STR,
		AT(outputs.folded)},
	{"verdict", 0, "FILE",
		"read a verdict that --json wrote, instead of profiles, to write it in other forms",
		PGO_OPT_STR, AT(verdict)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"verify",
	"[OPTION]... BEFORE... -- AFTER...",
	"Compares profiles from before and after a rebuild, function by function, and says what "
	"got slower, what got faster and how sure that is.",
	opts,
};

struct adding {
	struct pgo_verify *v;
	bool after, control;
};

static int add_profile(
	void *ctx, const struct pgo_merge_input *in, struct pgo_reader *r, struct pgo_err *err)
{
	const struct adding *a = ctx;
	const struct pgo_attrib_input about = {
		.name = in->name,
		.host = in->host,
		.version = in->record != NULL ? in->record->version : NULL,
		.time_ns = in->time_ns,
		.duration_ns = in->record != NULL ? in->record->duration_ns : 0,
	};

	if (a->control)
		return pgo_verify_add_control(a->v, a->after, r, &about, err);
	return pgo_verify_add(a->v, a->after, r, &about, err);
}

static int visit(const struct adding *to, const struct pgo_operands *files, const char *binary,
	struct pgo_err *err)
{
	/* Costs are compared, not branches. */
	const struct pgo_input_options io = {
		.binaries = &binary, .n_binaries = binary != NULL, .no_unbias = true};

	return pgo_operands_visit(files, &io,
		to->after ? "reading profiles after" : "reading profiles before", add_profile,
		(void *)(uintptr_t)to, err);
}

static int add_side(const struct adding *to, const struct pgo_opt_list *named, char **operands,
	int n_operands, const char *binary, struct pgo_err *err)
{
	struct pgo_operands files = {0};
	int rc = 0;

	for (size_t i = 0; i < named->n && rc == 0; i++)
		rc = pgo_operands_add(&files, named->item[i], err);
	for (int i = 0; i < n_operands && rc == 0; i++)
		rc = pgo_operands_add(&files, operands[i], err);
	if (rc == 0)
		rc = visit(to, &files, binary, err);
	pgo_operands_fini(&files);
	return rc;
}

static int print_verdict(const struct verify_values *o, const struct pgo_opt_globals *g,
	const struct pgo_verdict *v, const struct pgo_buf *said)
{
	struct pgo_buf out;
	struct pgo_json j;
	int code;

	pgo_buf_init(&out, (size_t)1 << 30);
	if (g->json) {
		pgo_json_init(&j, &out, false);
		pgo_verdict_json(v, &j);
	} else {
		pgo_verdict_text(v, (size_t)o->top, &out);
		pgo_buf_puts(&out, said->data != NULL ? said->data : "");
	}
	code = pgo_cmd_print(&pgo_cmd_verify, g, out.data, out.len);
	pgo_buf_fini(&out);
	if (code == PGO_EXIT_OK && pgo_verdict_failed(v))
		code = PGO_EXIT_FINDING;
	return code;
}

/* A verdict of earlier, in other forms. */
static int show_verdict(
	const struct verify_values *o, const struct pgo_opt_globals *g, int n_profiles)
{
	struct pgo_err err = PGO_ERR_INIT;
	bool failed = false;

	if (n_profiles != 0)
		pgo_err_set(&err, PGO_EUSAGE,
			"--verdict reads what was compared before: name either it or profiles");
	else if (pgo_verdict_outputs_read(o->verdict, &o->outputs, &failed, &err) == 0)
		return failed ? PGO_EXIT_FINDING : PGO_EXIT_OK;
	return pgo_cmd_fail(&pgo_cmd_verify, g, &err);
}

/* Two binaries and no profiles: was the build's profile applied? */
static int compare_builds(const struct verify_values *o, const struct pgo_opt_globals *g)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_applied a;
	struct pgo_buf out;
	int code;

	if (pgo_applied_builds(o->before_binary, o->after_binary, o->profile, NULL, &a, &err) < 0)
		return pgo_cmd_fail(&pgo_cmd_verify, g, &err);
	pgo_buf_init(&out, (size_t)1 << 24);
	pgo_applied_builds_print(&a, g->json, &out);
	code = pgo_cmd_print(&pgo_cmd_verify, g, out.data, out.len);
	if (code == PGO_EXIT_OK && pgo_gates_worst(&a.gates) == PGO_GATE_FAIL)
		code = PGO_EXIT_FINDING;
	pgo_buf_fini(&out);
	pgo_applied_fini(&a);
	return code;
}

/* A section of the verdict, where both binaries are known and are two. */
static int add_applied(const struct verify_values *o, struct pgo_verify *v, struct pgo_err *err)
{
	struct pgo_applied a;
	int rc;

	if (o->before_binary == NULL || o->after_binary == NULL)
		return 0;
	rc = pgo_applied_builds(o->before_binary, o->after_binary, o->profile, NULL, &a, err);
	if (rc == PGO_ENOTFOUND || rc == PGO_EMISMATCH) {
		pgo_warn("%s; it is not looked at whether a profile was applied", err->msg);
		pgo_err_clear(err);
		return 0;
	}
	return rc < 0 ? rc : pgo_verify_take_applied(v, &a, err);
}

static int fill_options(
	const struct verify_values *o, struct pgo_verify_options *ret, struct pgo_err *err)
{
	*ret = (struct pgo_verify_options){
		.sample_type = o->sample_type,
		.before_binary = o->before_binary != NULL ? o->before_binary : o->binary,
		.after_binary = o->after_binary != NULL ? o->after_binary : o->binary,
		.same_work = o->same_work,
		.min_share = o->min_share / 100,
		.fail_if = o->fail_if,
		.bootstrap = o->bootstrap,
		.cores = o->cores,
		.price = o->price,
		.wanted = o->detect / 100,
		.work = o->work,
		.work_label = o->work_label,
		.control = o->control,
		.host_label = o->host_label,
		.arm_label = o->arm,
	};
	if ((o->same_work != 0) + (o->work != NULL) + (o->work_label != NULL) +
			(o->control != NULL) >
		1)
		return pgo_err_set(err, PGO_EUSAGE,
			"--work, --work-label, --control and --same-work each say how much work "
			"was "
			"done: give one");
	if (!(o->cores >= 0) || !(o->price >= 0) || isinf(o->cores) || isinf(o->price) ||
		(o->price > 0 && !(o->cores > 0)))
		return pgo_err_set(err, PGO_EUSAGE,
			"--cores and --price are numbers above 0, and --price needs --cores");
	if (!(o->detect > 0) || o->detect > 1000 || o->bootstrap > 10000000)
		return pgo_err_set(err, PGO_EUSAGE,
			"--detect is a change in per cent, above 0; --bootstrap 10,000,000 rounds "
			"at "
			"most");
	return o->design != NULL ? pgo_design_parse(o->design, &ret->design, err) : 0;
}

/* Each side and its control arm have nothing in common: they are read at the same time. */
enum { ARM_BEFORE, ARM_AFTER, ARM_CONTROL_AFTER, ARM_CONTROL_BEFORE, N_ARMS };

struct arms {
	const struct verify_values *o;
	const struct pgo_verify_target *t;
	const struct pgo_verify_options *vo;
	struct pgo_verify *v;
	char **argv;
	int argc, first, dashdash;
};

static int add_arm(void *ctx, size_t arm, unsigned thread, struct pgo_err *err)
{
	const struct arms *a = ctx;
	struct adding to = {.v = a->v,
		.after = arm == ARM_AFTER || arm == ARM_CONTROL_AFTER,
		.control = arm == ARM_CONTROL_AFTER || arm == ARM_CONTROL_BEFORE};

	(void)thread;
	if (a->o->target != NULL && !to.control)
		return visit(&to,
			arm == ARM_BEFORE ? &a->t->sides.before.profiles
					  : &a->t->sides.after.profiles,
			to.after ? a->vo->after_binary : a->vo->before_binary, err);
	switch (arm) {
	case ARM_BEFORE:
		return add_side(&to, &a->o->before, a->argv + a->first, a->dashdash - a->first,
			a->vo->before_binary, err);
	case ARM_AFTER:
		return add_side(&to, &a->o->after, a->argv + a->dashdash, a->argc - a->dashdash,
			a->vo->after_binary, err);
	case ARM_CONTROL_AFTER:
		return add_side(&to, &a->o->control_after, NULL, 0, a->vo->before_binary, err);
	default:
		return add_side(&to, &a->o->control_before, NULL, 0, a->vo->before_binary, err);
	}
}

static int find_target(
	struct verify_values *o, int n_operands, struct pgo_verify_target *t, struct pgo_err *err)
{
	int rc;

	if (o->before.n != 1 || o->after.n != 1 || n_operands != 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"with --target name one version with --before and one with --after");
	rc = pgo_verify_target_open(
		t, o->config, o->target, o->before.item[0], o->after.item[0], !o->no_fetch, err);
	if (rc < 0 || o->binary != NULL)
		return rc;
	if (o->before_binary == NULL)
		o->before_binary = t->sides.before.binary;
	if (o->after_binary == NULL)
		o->after_binary = t->sides.after.binary;
	if (o->before_binary == NULL || o->after_binary == NULL)
		pgo_warn("the program of version %s is not among the binary and the older_builds "
			 "of target '%s', so functions are named as the profiles do; give it with "
			 "--%s-binary",
			o->before_binary == NULL ? o->before.item[0] : o->after.item[0],
			t->target->name, o->before_binary == NULL ? "before" : "after");
	return 0;
}

static int compare(struct verify_values *o, struct pgo_verify_target *t, char **argv, int argc,
	int first, int dashdash, struct pgo_verify **ret, struct pgo_err *err)
{
	struct pgo_verify_options vo;
	struct adding to = {0};
	int rc = o->target != NULL ? find_target(o, argc - first, t, err) : 0;

	if (rc == 0 && o->target == NULL && o->result != NULL)
		rc = pgo_err_set(err, PGO_EUSAGE, "--result is of a target: give --target too");
	if (rc == 0)
		rc = fill_options(o, &vo, err);
	if (rc < 0)
		return rc;
	to.v = *ret = pgo_verify_new(&vo, err);
	if (to.v == NULL)
		return (int)err->code;
	rc = pgo_parallel(N_ARMS, pgo_threads(), add_arm,
		&(struct arms){o, t, &vo, to.v, argv, argc, first, dashdash}, err);
	if (rc == 0)
		rc = pgo_verify_finish(to.v, err);
	if (rc == 0)
		rc = add_applied(o, to.v, err);
	if (rc == 0)
		rc = pgo_verdict_outputs_write(pgo_verify_result(to.v), &o->outputs, err);
	return rc == 0 && o->target != NULL
		       ? pgo_verify_target_keep(t, pgo_verify_result(to.v), o->result, err)
		       : rc;
}

static int run(int argc, char **argv)
{
	struct verify_values o = {.top = 20, .min_share = 0.05, .detect = 1};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_opt_globals g;
	struct pgo_verify *v = NULL;
	struct pgo_verify_target t = {0};
	int first, dashdash, code;

	if (pgo_cmd_begin(&pgo_cmd_verify, argc, argv, &o, &g, &first, &dashdash, &code) != 0)
		goto out;
	if (o.verdict != NULL)
		code = show_verdict(&o, &g, argc - first + (int)(o.before.n + o.after.n));
	else if (argc - first + (int)(o.before.n + o.after.n) == 0 && o.before_binary != NULL &&
		 o.after_binary != NULL)
		code = compare_builds(&o, &g);
	else if (compare(&o, &t, argv, argc, first, dashdash, &v, &err) < 0)
		code = pgo_cmd_fail(&pgo_cmd_verify, &g, &err);
	else
		code = print_verdict(&o, &g, pgo_verify_result(v), &t.said);
out:
	pgo_verify_target_close(&t);
	pgo_verify_free(v);
	pgo_opt_list_free(&o.before);
	pgo_opt_list_free(&o.after);
	pgo_opt_list_free(&o.control_before);
	pgo_opt_list_free(&o.control_after);
	return code;
}

const struct pgo_cmd pgo_cmd_verify = {
	"verify", "compare profiles before and after a rebuild", &table, run};
