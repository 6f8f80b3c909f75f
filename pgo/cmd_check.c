/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "convert/sum.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"
#include "pgo/fit_check.h"
#include "pgo/fit_files.h"
#include "pgo/merge_inputs.h"
#include "pgo/operands.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_PROFILE ((size_t)4 << 30)
#define MAX_HISTORY ((size_t)64 << 20)

struct check_values {
	struct pgo_opt_list debug, binary_dirs, gates, history;
	const char *binary, *last_good;
	const char *gcc, *clang, *llvm_profdata, *llvm_bolt;
	uint64_t gcc_release;
	bool cycles, strict, no_acceptance;
};

#define AT(field) offsetof(struct check_values, field)

static const struct pgo_opt opts[] = {
	{"What to compare with", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"binary", 'b', "APP", "the program that shall be built with the profile, or a newer one",
		PGO_OPT_STR, AT(binary)},
	{"debug", 0, "FILE|DIR", "its separate debug file, or a directory to search (repeatable)",
		PGO_OPT_LIST, AT(debug)},
	{"binary-dir", 0, "DIR",
		"where older builds are, whose counts are carried over to it (repeatable)",
		PGO_OPT_LIST, AT(binary_dirs)},
	{"last-good", 0, "FILE|DIR",
		"the last good result: a converted profile, or a directory with files of the same "
		"names",
		PGO_OPT_STR, AT(last_good)},
	{"history", 0, "FILE|DIR",
		"gates of earlier results as JSON, for limits of this target's own (repeatable)",
		PGO_OPT_LIST, AT(history)},
	{"cycles", 0, NULL,
		"the profiles are results of one target in the order of time: only look for "
		"functions "
		"that go hot, cold and hot again",
		PGO_OPT_FLAG, AT(cycles)},
	{"Limits", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"gate", 0, "NAME=WARN/FAIL", "other limits of a gate, or NAME=off (repeatable)",
		PGO_OPT_LIST, AT(gates)},
	{"strict", 0, NULL, "a warning fails, too", PGO_OPT_FLAG, AT(strict)},
	{"Compilers that are asked", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"gcc", 0, "PROGRAM", "this gcc (default: gcc)", PGO_OPT_STR, AT(gcc)},
	{"gcc-release", 0, "N", "major version of the gcc that the profile is for", PGO_OPT_U64,
		AT(gcc_release)},
	{"clang", 0, "PROGRAM", "this clang (default: the newest)", PGO_OPT_STR, AT(clang)},
	{"llvm-profdata", 0, "PROGRAM", "this llvm-profdata (default: the newest)", PGO_OPT_STR,
		AT(llvm_profdata)},
	{"llvm-bolt", 0, "PROGRAM", "this llvm-bolt (default: the newest)", PGO_OPT_STR,
		AT(llvm_bolt)},
	{"no-acceptance", 0, NULL, "ask none", PGO_OPT_FLAG, AT(no_acceptance)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"check",
	"[OPTION]... PROFILE... [--binary APP]",
	"Says whether profiles fit a program and a compiler before anything is built with them: "
	"gates, "
	"each with its number, its limits and a verdict.",
	opts,
};

/* All of one command; `files` and `data` belong together. */
struct work {
	const struct check_values *o;
	struct pgo_gate_limits limits;
	struct pgo_gates gates;
	struct pgo_fit_inputs in;
	struct pgo_fit_file *files;
	struct pgo_buf *data;
	size_t n;
	struct pgo_operands operands;
	struct pgo_merged merged;
	struct pgo_convert *convert;
	struct pgo_outputs outputs;
	const char *binary;
};

/* ---- limits and history */

static int add_history_file(struct pgo_gate_limits *l, const char *path, struct pgo_err *err)
{
	struct pgo_jval *doc = NULL;
	struct pgo_gates g;
	struct pgo_buf text;
	int rc = pgo_file_read(path, MAX_HISTORY, &text, err);

	pgo_gates_init(&g);
	if (rc == 0) {
		doc = pgo_jdoc_parse(path, text.data != NULL ? text.data : "", text.len, err);
		rc = doc != NULL ? pgo_gates_from_json(&g, doc, path, err) : PGO_EFORMAT;
	}
	if (rc == 0)
		rc = pgo_gate_limits_history(l, &g, err);
	pgo_gates_fini(&g);
	pgo_jdoc_free(doc);
	pgo_buf_fini(&text);
	return rc;
}

/* Of a directory, what is called *gates.json anywhere below; where there is none, every *.json. */
static int add_history(struct pgo_gate_limits *l, const char *path, struct pgo_err *err)
{
	static const char *const endings[] = {"gates.json", ".json"};
	struct pgo_paths p = {0};
	size_t taken = 0;
	int rc = pgo_paths_list(path, &p, err);

	for (size_t e = 0; e < 2 && rc == 0 && taken == 0; e++) {
		for (size_t i = 0; i < p.n && rc == 0; i++) {
			size_t len = strlen(p.path[i]), end = strlen(endings[e]);
			bool fits = len >= end && strcmp(p.path[i] + len - end, endings[e]) == 0;

			if (!fits && strcmp(p.path[i], path) != 0)
				continue;
			rc = add_history_file(l, p.path[i], err);
			taken++;
		}
	}
	pgo_paths_free(&p);
	return rc;
}

static int take_limits(struct work *w, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < w->o->gates.n && rc == 0; i++)
		rc = pgo_gate_limits_parse(&w->limits, w->o->gates.item[i], "--gate", err);
	for (size_t i = 0; i < w->o->history.n && rc == 0; i++) {
		rc = add_history(&w->limits, w->o->history.item[i], err);
		if (rc < 0)
			pgo_err_prefix(err, "--history");
	}
	return rc;
}

/* ---- profiles that were converted */

static int read_converted(struct work *w, char **paths, size_t n, struct pgo_err *err)
{
	int rc = 0;

	w->files = pgo_calloc(n + 1, sizeof *w->files);
	w->data = pgo_calloc(n + 1, sizeof *w->data);
	if (w->files == NULL || w->data == NULL)
		return pgo_err_nomem(err);
	for (w->n = 0; w->n < n && rc == 0; w->n++) {
		struct pgo_fit_file *f = &w->files[w->n];

		rc = pgo_file_read(paths[w->n], MAX_PROFILE, &w->data[w->n], err);
		*f = (struct pgo_fit_file){
			.name = paths[w->n], .data = w->data[w->n].data, .len = w->data[w->n].len};
		if (rc == 0)
			(void)pgo_fit_kind_of(f->data, f->len, &f->kind);
	}
	w->in.no_plan = "a converted profile does not say what it was made of";
	return rc;
}

/* ---- profiles that were not */

/* What the profile itself is guilty of is a gate that fails; anything else is an error. */
static int blame(struct work *w, struct pgo_err *err)
{
	char why[PGO_ERR_MAX];
	enum pgo_code code = err->code;

	memcpy(why, err->msg, sizeof why);
	if (code != PGO_EFORMAT && code != PGO_EEMPTY && code != PGO_EMISMATCH)
		return (int)code;
	pgo_err_clear(err);
	return pgo_gates_measure(&w->gates, &w->limits,
		code == PGO_EMISMATCH ? "mapped" : "readable", code == PGO_EMISMATCH ? 0 : 1, err,
		"%s", why);
}

static int merge(struct work *w, char **paths, size_t n, struct pgo_err *err)
{
	const struct pgo_plan_options po = {0};
	const struct pgo_merge_options mo = {0};
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = pgo_operands_add(&w->operands, paths[i], err);
	if (rc == 0)
		rc = pgo_merge_inputs(
			w->operands.in, w->operands.n, w->binary, &po, &mo, &w->merged, err);
	if (rc < 0)
		return rc;
	if (w->operands.n > 1) {
		w->in.plan = &w->merged.plan;
		return 0;
	}
	w->in.no_plan = "it is one profile; hosts and days are those of what is merged";
	w->in.newest_ns = w->merged.plan.n != 0 ? w->merged.plan.inputs[0].time_ns : 0;
	return 0;
}

static int convert_to(struct work *w, bool lines, struct pgo_err *err)
{
	/* Other builds are carried over by lines, which llvm-bolt knows nothing of. */
	const bool blocks = w->o->binary_dirs.n == 0 || !lines;
	const struct pgo_convert_options o = {
		.binaries = &w->binary,
		.n_binaries = 1,
		.binary_dirs = w->o->binary_dirs.item,
		.n_binary_dirs = w->o->binary_dirs.n,
		.where = w->in.where,
		.target = w->o->binary_dirs.n != 0 ? w->binary : NULL,
		.carry_over = w->o->binary_dirs.n != 0,
		.affinity = PGO_AFFINITY_DEFAULT,
		.want_fnprof = lines,
		.want_fdata = blocks,
	};
	const struct pgo_outputs_wanted wanted = {
		.path = {[PGO_OUTPUT_CLANG] = lines ? "profile.prof" : NULL,
			[PGO_OUTPUT_GCC] = lines ? "profile.afdo" : NULL,
			[PGO_OUTPUT_BOLT] = blocks ? "profile.fdata" : NULL},
		.gcc_release = (unsigned)w->o->gcc_release};
	struct pgo_reader *reader;
	int rc;

	pgo_convert_free(w->convert);
	pgo_outputs_fini(&w->outputs);
	w->outputs = (struct pgo_outputs){0};
	w->convert = pgo_convert_new(&o, err);
	if (w->convert == NULL)
		return err->code != PGO_OK ? (int)err->code : PGO_EIO;
	reader = pgo_profile_reader(w->merged.profile, "the profile", false, err);
	rc = reader != NULL ? pgo_convert_add(w->convert, reader, err) : PGO_ENOMEM;
	pgo_reader_close(reader);
	if (rc == 0)
		rc = pgo_convert_run(w->convert, err);
	if (rc == 0)
		rc = pgo_outputs_init(&w->outputs, &wanted, err);
	return rc < 0 ? rc : pgo_outputs_encode(&w->outputs, w->convert, err);
}

static int read_profiles(struct work *w, char **paths, size_t n, struct pgo_err *err)
{
	int rc;

	if (w->binary == NULL)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s was not converted yet; name the program that was profiled with "
			"--binary",
			paths[0]);
	rc = merge(w, paths, n, err);
	if (rc == 0)
		rc = convert_to(w, true, err);
	if (rc == PGO_ENOTFOUND) {
		pgo_warn("%s; only what llvm-bolt reads can be checked", err->msg);
		pgo_err_clear(err);
		rc = convert_to(w, false, err);
	}
	if (rc < 0)
		return blame(w, err);
	w->in.account = pgo_convert_account(w->convert);
	w->n = 0;
	w->files = pgo_fit_files_of(&w->outputs);
	w->in.files = w->files;
	w->in.n_files = w->outputs.n;
	return w->files != NULL ? 0 : pgo_err_nomem(err);
}

/* Converted or not, all of one kind. */
static int classify(char **paths, size_t n, bool *ret_converted, struct pgo_err *err)
{
	size_t converted = 0;

	for (size_t i = 0; i < n; i++) {
		enum pgo_sum_kind kind = PGO_SUM_NONE;
		int rc;

		if (strcmp(paths[i], "-") != 0 && !pgo_path_exists(paths[i]))
			return pgo_err_set(err, PGO_EIO, "there is no file %s", paths[i]);
		/* A directory of profiles is no converted one. */
		rc = pgo_sum_kind_of(paths[i], &kind, NULL);
		converted += rc == 0 && kind != PGO_SUM_NONE;
	}
	if (converted != 0 && converted != n)
		return pgo_err_set(err, PGO_EUSAGE,
			"some of the profiles are converted and some are not; check them one after "
			"the other");
	*ret_converted = converted != 0;
	return 0;
}

/* ---- cycles */

static int check_cycles(struct work *w, char **paths, size_t n, struct pgo_err *err)
{
	struct pgo_fit_loaded *l = pgo_calloc(n + 1, sizeof *l);
	const struct pgo_fit_view **v = pgo_calloc(n + 1, sizeof *v);
	struct pgo_strtab strs;
	int rc = l == NULL || v == NULL ? pgo_err_nomem(err) : 0;

	if (pgo_strtab_init(&strs, (size_t)8 << 30) < 0) {
		pgo_free(l);
		pgo_free(v);
		return pgo_err_nomem(err);
	}
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = pgo_fit_load_file(paths[i], &strs, &l[i], err);
		v[i] = &l[i].view;
	}
	if (rc == 0)
		rc = pgo_fit_flips_gate(&w->gates, &w->limits, v, n, &strs, err);
	for (size_t i = 0; i < n && l != NULL; i++)
		pgo_fit_loaded_fini(&l[i]);
	pgo_strtab_fini(&strs);
	pgo_free(l);
	pgo_free(v);
	return rc;
}

/* ---- printing */

static void print_json(const struct work *w, char **paths, size_t n, struct pgo_buf *out)
{
	struct pgo_json j;

	pgo_json_init(&j, out, false);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "schema", 1);
	pgo_json_kv_str(&j, "kind", "check");
	pgo_json_kv_str(&j, "verdict", pgo_gate_verdict_name(pgo_gates_worst(&w->gates)));
	pgo_json_kv_str(&j, "binary", w->binary != NULL ? pgo_path_base(w->binary) : NULL);
	pgo_json_key(&j, "profiles");
	pgo_json_array(&j);
	for (size_t i = 0; i < n; i++)
		pgo_json_str(&j, pgo_path_base(paths[i]));
	pgo_json_end_array(&j);
	pgo_json_key(&j, "gates");
	pgo_gates_json(&w->gates, &j);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}

static void print_text(const struct work *w, bool failed, struct pgo_buf *out)
{
	const struct pgo_gates *g = &w->gates;

	pgo_gates_text(g, out);
	pgo_buf_printf(out, "%zu passed, %zu warned, %zu failed, %zu skipped: %s\n",
		pgo_gates_count(g, PGO_GATE_PASS), pgo_gates_count(g, PGO_GATE_WARN),
		pgo_gates_count(g, PGO_GATE_FAIL), pgo_gates_count(g, PGO_GATE_SKIPPED),
		failed ? "do not build with it" : "fit to build with");
}

static int print(const struct work *w, const struct pgo_opt_globals *g, char **paths, size_t n)
{
	enum pgo_gate_verdict worst = pgo_gates_worst(&w->gates);
	bool failed = worst == PGO_GATE_FAIL || (w->o->strict && worst == PGO_GATE_WARN);
	struct pgo_buf out;
	int code;

	pgo_buf_init(&out, (size_t)1 << 24);
	if (g->json)
		print_json(w, paths, n, &out);
	else
		print_text(w, failed, &out);
	code = pgo_cmd_print(&pgo_cmd_check, g, out.data, out.len);
	pgo_buf_fini(&out);
	return code != PGO_EXIT_OK ? code : failed ? PGO_EXIT_GATED : PGO_EXIT_OK;
}

/* ---- the command */

static int check(struct work *w, char **paths, size_t n, struct pgo_err *err)
{
	const struct check_values *o = w->o;
	bool converted = false;
	int rc;

	if (n == 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"no profile to check; name pprof files, recordings, or converted profiles");
	if (o->gcc_release > 1000)
		return pgo_err_set(err, PGO_EUSAGE,
			"--gcc-release takes the major version of a gcc, such as 12");
	rc = take_limits(w, err);
	if (rc < 0)
		return rc;
	if (o->cycles)
		return check_cycles(w, paths, n, err);
	w->binary = o->binary;
	w->in = (struct pgo_fit_inputs){.binary = o->binary,
		.where = {.debug = o->debug.item,
			.n_debug = o->debug.n,
			.sole = o->binary_dirs.n == 0},
		.last_good = o->last_good,
		.limits = &w->limits,
		.no_acceptance = o->no_acceptance,
		.gcc = o->gcc,
		.clang = o->clang,
		.llvm_profdata = o->llvm_profdata,
		.llvm_bolt = o->llvm_bolt,
		.gcc_release = (unsigned)o->gcc_release};
	rc = classify(paths, n, &converted, err);
	if (rc == 0 && converted) {
		rc = read_converted(w, paths, n, err);
		w->in.files = w->files;
		w->in.n_files = n;
	} else if (rc == 0) {
		rc = read_profiles(w, paths, n, err);
	}
	return rc < 0 ? rc : pgo_fit_check(&w->in, &w->gates, err);
}

static void fini(struct work *w)
{
	for (size_t i = 0; i < w->n; i++)
		pgo_buf_fini(&w->data[i]);
	pgo_free(w->data);
	pgo_free(w->files);
	pgo_operands_fini(&w->operands);
	pgo_merged_fini(&w->merged);
	pgo_convert_free(w->convert);
	pgo_outputs_fini(&w->outputs);
	pgo_gates_fini(&w->gates);
	pgo_gate_limits_fini(&w->limits);
}

static int run(int argc, char **argv)
{
	struct check_values o = {.strict = false};
	struct pgo_err err = PGO_ERR_INIT;
	struct work w = {.o = &o};
	struct pgo_opt_globals g;
	int first, code;

	if (pgo_cmd_begin(&pgo_cmd_check, argc, argv, &o, &g, &first, NULL, &code) != 0)
		return code;
	pgo_plan_init(&w.merged.plan, &(struct pgo_plan_options){0});
	pgo_gates_init(&w.gates);
	if (check(&w, argv + first, (size_t)(argc - first), &err) < 0)
		code = pgo_cmd_fail(&pgo_cmd_check, &g, &err);
	else
		code = print(&w, &g, argv + first, (size_t)(argc - first));
	fini(&w);
	pgo_opt_list_free(&o.debug);
	pgo_opt_list_free(&o.binary_dirs);
	pgo_opt_list_free(&o.gates);
	pgo_opt_list_free(&o.history);
	return code;
}

const struct pgo_cmd pgo_cmd_check = {
	"check", "say whether a profile fits before it is used", &table, run};
