/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "convert/convert.h"
#include "convert/output.h"
#include "pgo/core/diag.h"
#include "pgo/operands.h"

#include <inttypes.h>
#include <string.h>

/* Below this share of mapped samples something is wrong with the setup more often than not. */
#define MAPPED_WARN 0.95

struct convert_values {
	struct pgo_opt_list binaries, binary_dirs, debug, dwo_dirs;
	bool debuginfod;
	const char *clang_format, *target;
	const char *output[PGO_N_OUTPUT_KINDS];
	const char *order_format;
	bool no_unbias, allow_symbolic, carry_over;
	double affinity;
	uint64_t gcc_release, bolt_release, propeller_version, min_count, hottest;
	const char *drop_functions;
};

#define AT(field) offsetof(struct convert_values, field)

static const struct pgo_opt opts[] = {
	{"The program", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"binary", 'b', "APP",
		"the program that was profiled, with its build-id; repeat for its shared libraries",
		PGO_OPT_LIST, AT(binaries)},
	{"binary-dir", 0, "DIR", "look here for what the profile names, by build-id (repeatable)",
		PGO_OPT_LIST, AT(binary_dirs)},
	{"debug", 0, "FILE|DIR", "its separate debug file, or a directory to search (repeatable)",
		PGO_OPT_LIST, AT(debug)},
	{"dwo-dir", 0, "DIR|FILE",
		"where .dwo files of split debug information are, or a .dwp file (repeatable)",
		PGO_OPT_LIST, AT(dwo_dirs)},
	{"target", 0, "NEWAPP", "say how much of the profile this newer build can still use",
		PGO_OPT_STR, AT(target)},
	{"carry-over", 0, NULL,
		"carry the counts of other builds of the program over to the --target",
		PGO_OPT_FLAG, AT(carry_over)},
	{"affinity", 0, "SHARE",
		"what a count of a function that changed in between is worth (default 0.5)",
		PGO_OPT_DOUBLE, AT(affinity)},
	{"debuginfod", 0, NULL, "ask the servers of DEBUGINFOD_URLS for missing debug information",
		PGO_OPT_FLAG, AT(debuginfod)},
	{"allow-symbolic", 0, NULL,
		"use samples that have names and lines but no addresses, by the program's debug "
		"information",
		PGO_OPT_FLAG, AT(allow_symbolic)},
	{"no-unbias", 0, NULL,
		"count branch records as they are, with the bias of the event that sampled them",
		PGO_OPT_FLAG, AT(no_unbias)},
	{"Outputs", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"gcc", 0, "OUT", "write a profile for gcc -fauto-profile", PGO_OPT_STR,
		AT(output[PGO_OUTPUT_GCC])},
	{"gcc-release", 0, "N", "major version of the gcc that reads it (default: the gcc on PATH)",
		PGO_OPT_U64, AT(gcc_release)},
	{"clang", 0, "OUT", "write a profile for clang -fprofile-sample-use", PGO_OPT_STR,
		AT(output[PGO_OUTPUT_CLANG])},
	{"clang-format", 0, "FORMAT",
		"extbinary (default), extbinary-md5, extbinary-zlib, "
		"extbinary-md5-zlib, text or binary",
		PGO_OPT_STR, AT(clang_format)},
	{"bolt", 0, "OUT",
		"write a profile for llvm-bolt -data; of several binaries one each, so that %b "
		"(base name) or %i (build-id) must be in OUT, or OUT be a directory",
		PGO_OPT_STR, AT(output[PGO_OUTPUT_BOLT])},
	{"bolt-preagg", 0, "OUT", "write traces by address for perf2bolt --pa", PGO_OPT_STR,
		AT(output[PGO_OUTPUT_BOLT_PREAGG])},
	{"bolt-release", 0, "N", "LLVM release of that perf2bolt (default: 22 or newer)",
		PGO_OPT_U64, AT(bolt_release)},
	{"Layout by clang and linkers", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"propeller", 0, "OUT", "write block clusters for clang -fbasic-block-sections=list",
		PGO_OPT_STR, AT(output[PGO_OUTPUT_PROPELLER])},
	{"propeller-order", 0, "OUT", "write the order of symbols that goes with them", PGO_OPT_STR,
		AT(output[PGO_OUTPUT_PROPELLER_ORDER])},
	{"propeller-version", 0, "N", "0 (default: every clang) or 1 (newer ones)", PGO_OPT_U64,
		AT(propeller_version)},
	{"symbol-order", 0, "OUT", "write an order of functions for the linker", PGO_OPT_STR,
		AT(output[PGO_OUTPUT_SYMBOL_ORDER])},
	{"order-format", 0, "LINKER", "which linker: lld (default), gold or gnu-ld", PGO_OPT_STR,
		AT(order_format)},
	{"call-graph", 0, "OUT", "write calls for lld --call-graph-ordering-file", PGO_OPT_STR,
		AT(output[PGO_OUTPUT_CALL_GRAPH])},
	{"Go", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"go", 0, "OUT", "write a profile for go build -pgo (default.pgo)", PGO_OPT_STR,
		AT(output[PGO_OUTPUT_GO])},
	{"go-preprofile", 0, "OUT", "write what `go tool preprofile` makes of it", PGO_OPT_STR,
		AT(output[PGO_OUTPUT_GO_PREPROFILE])},
	{"What to leave out of profiles for gcc and clang", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"min-count", 0, "N", "functions whose counts add up to less than N", PGO_OPT_U64,
		AT(min_count)},
	{"hottest", 0, "N", "all but the N functions whose counts add up to most", PGO_OPT_U64,
		AT(hottest)},
	{"drop-functions", 0, "REGEX", "functions whose name the extended expression fits",
		PGO_OPT_STR, AT(drop_functions)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"convert",
	"[OPTION]... IN... --binary APP",
	"Turns profiles of a program into what gcc, clang and llvm-bolt read, all in one pass, and "
	"says where every sample went.",
	opts,
};

static struct pgo_trim_options trim_of(const struct convert_values *o)
{
	return (struct pgo_trim_options){o->drop_functions, o->min_count, o->hottest};
}

static int check_trim(const struct convert_values *o, struct pgo_err *err)
{
	struct pgo_trim_options trim = trim_of(o);

	if (pgo_trim_wanted(&trim) && o->output[PGO_OUTPUT_GCC] == NULL &&
		o->output[PGO_OUTPUT_CLANG] == NULL)
		return pgo_err_set(err, PGO_EUSAGE,
			"--min-count, --hottest and --drop-functions trim what --gcc and --clang "
			"write, and neither is asked for");
	return pgo_trim_check(&trim, err);
}

/* What is left out is not the same to all compilers. */
static void warn_of_trim(const struct pgo_account *a, const struct pgo_outputs *outputs)
{
	uint64_t cut = pgo_trim_cut(&a->trim);

	for (size_t i = 0; i < outputs->n && cut != 0; i++) {
		const struct pgo_output *o = &outputs->of[i];

		if (o->kind == PGO_OUTPUT_GCC && o->fo.gcc_release >= 16)
			pgo_warn("gcc %u takes functions without a record for cold and compiles "
				 "them for size: what was left out had %.2f%% of the counts; build "
				 "with -fprofile-partial-training, or leave out less",
				o->fo.gcc_release, 100.0 * (double)cut / (double)a->trim.counts);
	}
}

static int check_usage(const struct convert_values *o, int n_inputs, struct pgo_err *err)
{
	bool code = false; /* is a program needed, as it is by all but Go's outputs? */

	for (size_t i = 0; i < PGO_N_OUTPUT_KINDS; i++)
		code |= o->output[i] != NULL && i != PGO_OUTPUT_GO && i != PGO_OUTPUT_GO_PREPROFILE;
	if (o->binaries.n == 0 && o->binary_dirs.n == 0 && code)
		return pgo_err_set(err, PGO_EUSAGE,
			"no program; give the one that was profiled with --binary APP, or where it "
			"can be found with --binary-dir DIR");
	if (n_inputs == 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"no profile to convert; name pprof files, perf.data or brstack text");
	if (o->gcc_release > 1000)
		return pgo_err_set(err, PGO_EUSAGE,
			"--gcc-release %" PRIu64 " is no release of gcc; give its major version",
			o->gcc_release);
	if (o->bolt_release > 1000)
		return pgo_err_set(err, PGO_EUSAGE,
			"--bolt-release %" PRIu64 " is no release of LLVM; give its major version",
			o->bolt_release);
	if (o->target != NULL && o->output[PGO_OUTPUT_GCC] == NULL &&
		o->output[PGO_OUTPUT_CLANG] == NULL)
		return pgo_err_set(err, PGO_EUSAGE,
			"--target compares what --gcc and --clang write; ask for one of them");
	if (o->carry_over && o->target == NULL)
		return pgo_err_set(err, PGO_EUSAGE,
			"--carry-over needs the build to carry over to: name it with --target");
	if (!(o->affinity >= 0 && o->affinity <= 1))
		return pgo_err_set(err, PGO_EUSAGE, "--affinity is a share, from 0 to 1");
	return check_trim(o, err);
}

static int add_profile(void *ctx, struct pgo_reader *r, struct pgo_err *err)
{
	return pgo_convert_add(ctx, r, err);
}

static int add_inputs(struct pgo_convert *c, const struct convert_values *o, char **paths, int n,
	struct pgo_err *err)
{
	const struct pgo_input_options io = {.binaries = o->binaries.item,
		.n_binaries = o->binaries.n,
		.no_unbias = o->no_unbias};
	struct pgo_operands files = {0};
	int rc = 0;

	for (int i = 0; i < n && rc == 0; i++)
		rc = pgo_operands_add(&files, paths[i], err);
	if (rc == 0)
		rc = pgo_operands_read(&files, &io, "reading profiles", add_profile, c, err);
	pgo_operands_fini(&files);
	return rc;
}

static void print_json(
	const struct pgo_account *a, const struct pgo_outputs *outputs, struct pgo_buf *out)
{
	struct pgo_json j;

	pgo_json_init(&j, out, false);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "schema", 1);
	pgo_json_kv_str(&j, "kind", "conversion");
	pgo_json_key(&j, "account");
	pgo_account_json(a, &j);
	pgo_json_key(&j, "outputs");
	pgo_outputs_json(outputs, &j);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}

static void print_text(
	const struct pgo_account *a, const struct pgo_outputs *outputs, struct pgo_buf *out)
{
	pgo_account_text(a, out);
	for (size_t i = 0; i < outputs->n; i++) {
		const struct pgo_output *o = &outputs->of[i];

		const struct pgo_output_type *type = pgo_output_type(o->kind);

		pgo_buf_printf(out, "  wrote %s for %s", o->path, type->consumer);
		if (o->kind == PGO_OUTPUT_GCC)
			pgo_buf_printf(out, " %u", o->fo.gcc_release);
		pgo_buf_printf(out, ": %" PRIu64 " %s, %zu bytes\n", o->records, type->records,
			o->data.len);
		pgo_lookup_text(&o->lookup, out);
	}
}

static int print(const struct pgo_opt_globals *g, const struct pgo_account *a,
	const struct pgo_outputs *outputs)
{
	struct pgo_buf out;
	int code;

	if (a->mapped_share < MAPPED_WARN && a->executions != 0)
		pgo_warn("only %.1f%% of the profile belongs to the program; the account names "
			 "where the rest went",
			a->mapped_share * 100);
	warn_of_trim(a, outputs);
	pgo_buf_init(&out, (size_t)1 << 26);
	if (g->json)
		print_json(a, outputs, &out);
	else
		print_text(a, outputs, &out);
	code = pgo_cmd_print(&pgo_cmd_convert, g, out.data, out.len);
	pgo_buf_fini(&out);
	return code;
}

static int run(int argc, char **argv)
{
	struct convert_values o = {.affinity = (double)PGO_AFFINITY_DEFAULT / PGO_AFFINITY_ONE};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_outputs outputs = {0};
	struct pgo_outputs_wanted wanted;
	struct pgo_convert_options co;
	struct pgo_convert *c = NULL;
	struct pgo_opt_globals g;
	int first, code;

	if (pgo_cmd_begin(&pgo_cmd_convert, argc, argv, &o, &g, &first, NULL, &code) != 0)
		return code;
	wanted = (struct pgo_outputs_wanted){.gcc_release = (unsigned)o.gcc_release,
		.clang_format = o.clang_format,
		.bolt_release = (unsigned)o.bolt_release,
		.propeller_version = o.propeller_version > 1 ? 2 : (unsigned)o.propeller_version,
		.order_format = o.order_format};
	memcpy(wanted.path, o.output, sizeof wanted.path);
	if (check_usage(&o, argc - first, &err) < 0 ||
		pgo_outputs_init(&outputs, &wanted, &err) < 0)
		goto fail;
	co = (struct pgo_convert_options){
		.binaries = o.binaries.item,
		.n_binaries = o.binaries.n,
		.binary_dirs = o.binary_dirs.item,
		.n_binary_dirs = o.binary_dirs.n,
		.where = {.debug = o.debug.item,
			.n_debug = o.debug.n,
			.dwo_dirs = o.dwo_dirs.item,
			.n_dwo_dirs = o.dwo_dirs.n,
			.sole = o.binaries.n == 1 && o.binary_dirs.n == 0,
			.debuginfod = o.debuginfod},
		.no_unbias = o.no_unbias,
		.want_fnprof = pgo_outputs_want_fnprof(&outputs),
		.want_fdata = pgo_outputs_want_fdata(&outputs),
		.want_go = pgo_outputs_want_go(&outputs),
		.only_go = pgo_outputs_only_go(&outputs),
		.trim = trim_of(&o),
		.target = o.target,
		.carry_over = o.carry_over,
		.affinity = (unsigned)(o.affinity * PGO_AFFINITY_ONE + 0.5),
		.allow_symbolic = o.allow_symbolic,
	};
	c = pgo_convert_new(&co, &err);
	if (c == NULL || pgo_outputs_check(&outputs, c, o.binary_dirs.n != 0, &err) < 0 ||
		add_inputs(c, &o, argv + first, argc - first, &err) < 0 ||
		pgo_convert_run(c, &err) < 0 || pgo_outputs_encode(&outputs, c, &err) < 0 ||
		pgo_outputs_write(&outputs, &err) < 0)
		goto fail;
	code = print(&g, pgo_convert_account(c), &outputs);
	goto out;
fail:
	code = pgo_cmd_fail(&pgo_cmd_convert, &g, &err);
out:
	pgo_convert_free(c);
	pgo_outputs_fini(&outputs);
	pgo_opt_list_free(&o.binaries);
	pgo_opt_list_free(&o.binary_dirs);
	pgo_opt_list_free(&o.debug);
	pgo_opt_list_free(&o.dwo_dirs);
	return code;
}

const struct pgo_cmd pgo_cmd_convert = {
	"convert", "make profiles for gcc, clang and llvm-bolt", &table, run};
