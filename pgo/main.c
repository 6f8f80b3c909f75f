/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pgo: profiles from production -> inputs of compilers and post-link optimisers -> proof that the
 * rebuilt program is better.
 *
 *	stores --fetch--> raw profiles --merge--> one pprof --convert--> .afdo .prof .fdata
 *	                                                                      | (the user's build)
 *	                  profiles of the rebuilt program --verify--> verdict, exit code
 *
 * Where things are.  Includes point down only: pgo/ over the four stages over pgo/core/.
 *
 * pgo/: the program
 *	main                   this file: the command table
 *	cmd                    the frame that commands share: options, messages, exit codes
 *	cmd_*                  one a subcommand: arguments -> library -> print
 *	input                  any file a user may name as a profile -> readers
 *	operands               what a command line names: files, directories, fetched ones
 *	merge_converted        files that were converted already -> one
 *	plan_inputs, merge_inputs, merge_kept, merge_cache, merge_job
 *	                       files -> plan; files and plan -> one merged profile, by sums that are
 *	                       kept from one run to the next
 *	merge_words, merge_written
 *	                       options of merge and plan; the file of a result, and its account
 *	shards, partials       shards of a plan -> partials; files of partials -> one sum
 *	weights, target_names  weights in words -> options of a plan; the functions of a program
 *	redaction              names hidden from outputs, and the proof of it, for two commands
 *	conf                   the configuration of `pgo run`
 *	pipeline, pipeline_inputs, pipeline_build, pipeline_publish, pipeline_outputs,
 *	pipeline_decide, pipeline_impl
 *	                       one target through all stages, and what becomes of it
 *	verdict_outputs        the files of a verdict
 *	weekly, weekly_text, weekly_html
 *	                       a target as it stands, for people: from its state alone
 *	state, state_change, state_lock, state_log, state_migrate, state_impl
 *	                       what is kept of a target between runs: results, links, log
 *	state_gc, on_target, decide, status
 *	                       what of it may go; what people decide about it and want to know
 *	doctor, doctor_machine, doctor_program
 *	                       what machine, compilers, a program and a store allow
 *	target_fetch           the profiles of one target
 *	sides, verify_target   the profiles of two versions; where a comparison of them is kept
 *	provenance, provenance_function
 *	                       how a result came to be, and one function in it
 *	tools                  compilers and their like on this machine
 *	compiler, flags        what a compiler is and takes; flags for recording and for profiles
 *	chosen, build_files    the profile that a build uses; files that a build depends on
 *	modules                where what build systems include is; modules/ has it
 *	release, signing       what was published, as one document; signatures by others' programs
 *	publish, obtain        releases into a store, and out of it
 *	show, show_output, show_layout, show_profile
 *	                       views of every file that the program reads or writes
 *	fit_check, fit_program, fit_past, fit_parts, fit_files, accept
 *	                       what a profile is worth for a program, for `pgo check` and `pgo run`;
 *	                       converted ones looked into; compilers asked
 *	bisect, bisect_mix     which functions' profile makes a build bad; profiles mixed
 *	applied_builds         two binaries and a profile: was it applied?
 *	watch, watch_metrics, watch_impl, metrics
 *	                       a run seen from outside: numbers, events, marks for the journal
 *	versions               what --version says
 *	man/, completion/      manual pages; bash, zsh, fish
 *
 * pgo/core/: the bottom layer, which everything may use
 *	err, diag              errors as values; warnings, notes, progress
 *	alloc, arena           the heap, and blocks of it with a budget
 *	parallel               independent pieces of a job on several threads
 *	background             jobs on other threads, for work that arrives bit by bit
 *	buf, vec, map, strtab  bytes, arrays, hash maps, interned strings
 *	file, paths            reading within limits, writing by rename; listing
 *	inflate, deflate       gzip, zstd, zlib as streams
 *	sha256, json           digests; JSON out and in
 *	child                  other programs, asked
 *	opt, value             option tables and --help; numbers, sizes, durations, times
 *	elf, elf_bytes, elf_symbols, elf_plt, elf_islands, elf_image,
 *	elf_impl
 *	                       build-ids, segments, functions, stubs, data among code
 *	profile                the model of a profile
 *	pprof, pprof_read, pprof_split, pprof_tables, pprof_sample, pprof_write, pprof_impl, wire
 *	                       profile.proto <-> model, streaming
 *	resolve                addresses of any convention -> (build-id, ELF address)
 *	insn, insn_x86, insn_x86_len, insn_arm64
 *	                       single machine instructions
 *	lbr                    branch records inside pprof
 *	manifest               what came from where
 *
 * fetch/: stores and recordings -> raw profiles
 *	objects                whole objects under names of one's own: directories, buckets, http
 *	fetch, select, examine, store, durable, transfer, fetch_impl
 *	                       choose, look into, copy once, keep the manifest; parts of objects
 *	candidates, strata, coverage
 *	                       all that is listed; as many kinds of it as fit; what is missing
 *	push, push_name, push_shape, push_shape_impl, push_pieces, push_elfs
 *	                       profiles into stores: names there, the shape that stores keep
 *	source, source_file, source_pull
 *	                       stores as a table of operations; local directories; programs that
 *	                       are asked for a profile
 *	source_s3, source_s3_list, source_s3_put, source_s3_impl, s3_list, s3_error, key_template,
 *	aws_sign, aws_conf
 *	                       buckets: keys by template, pages, signatures, credentials
 *	source_profefe, profefe_list
 *	                       Profefe: profiles by service, type and time
 *	source_parca, parca_names, parca_list, parca_parts, parca_join, parca_put, parca_call, parca_wire, parca_impl
 *	                       Parca: columns of hosts and windows, joined
 *	grpc_web               calls by gRPC-Web
 *	store_url              addresses, names and labels of stores that are servers
 *	source_datadog, source_gcp, held, zip
 *	                       stores that answer with profiles, not with names of profiles
 *	source_targets, targets, targets_kube, dns, pull
 *	                       many running programs by a list: files, servers, Kubernetes, DNS
 *	http, http_text, http_auth
 *	                       many transfers at a time, with patience and limits; credentials
 *	pbwire                 small protobuf messages that stores are asked with
 *	source_pyroscope, pyroscope, pyroscope_api, pyroscope_list, pyroscope_objects, push_pyroscope
 *	                       Grafana Pyroscope: messages, listing, profiles, pushes
 *	columns, columns_rank, columns_write, columns_impl
 *	                       sample types fetched one by one -> one profile
 *	import, import_space, import_ring, import_lane, import_place, import_write, import_writer, import_impl
 *	                       whole samples -> one pprof for each process group
 *	unbias, unbias_pass, unbias_time, unbias_impl, unbias_import, unbias_length, unbias_spool
 *	                       whole branch rings -> executions, without the sampling bias
 *	recording              what a recording says, whoever wrote it
 *	perf_data, perf_data_walk, perf_data_order, perf_data_attr, perf_data_sample, perf_data_impl
 *	                       perf.data
 *	otlp, otlp_json, otlp_layout, otlp_dict, otlp_sample, otlp_write, otlp_impl
 *	                       OpenTelemetry's profiles
 *	perf_text, gperf, map_line
 *	                       perf script text; gperftools CPU profiles; lines of maps
 *
 * merge/: many profiles -> one, exactly
 *	merge, tables, header, remap, foresee, sums, absorb
 *	                       128-bit sums under value keys; tables of several threads joined
 *	tags, units            labels as filters; units of time and memory
 *	redact, hosts          names hidden or hashed, and the proof; who ran what
 *	order, ranks, finish, rows, finish_impl
 *	                       the result in an order of its content
 *	spill, spill_file, stream, wide
 *	                       stacks on disk where memory is too small; the result drawn from there
 *	plan_file, plan_shard  a plan as a file, and one shard of it
 *	partial, partial_head, partial_read, partial_write, partial_impl, reduce
 *	                       sums as files, for fleets that are merged in shards
 *	plan, plan_measure, plan_terms, weight
 *	                       one integer weight for each profile
 *	measures, kept_sums    what was found out about profiles, and sums of them, kept for later
 *	contained              what was merged or imported before, and counts once
 *	shares, overlaps, outliers
 *	                       shares of functions; profiles that are not like the others
 *	explain, plan_json     the reason for every weight
 *	backtest               which half-life and cap would have predicted best
 *
 *	engines/               shards by Slurm, Kubernetes, Spark, GNU parallel: scripts around plan,
 *	                       merge --shard, reduce and finish
 *
 * convert/: a merged profile and the program -> what consumers read
 *	convert, parts, intake, pass, figures, account, convert_impl
 *	                       the object and its run; where every sample went
 *	ranges                 traces: taken branches and the runs between them
 *	plain, flow, balance, flow_traces
 *	                       without branch records: samples -> flow graphs -> traces
 *	symbolic               names and lines -> samples of instructions
 *	callstack              call stacks -> targets of indirect calls
 *	noreturn, labels       what the graphs need: calls that do not return, computed gotos
 *	codefns, cfg, cfg_tables, landing
 *	                       functions, instructions, basic blocks, jump tables, landing pads
 *	bat, bat_edges         programs that llvm-bolt rewrote
 *	stale                  what a newer build cannot use
 *	shape, reanchor, other_builds
 *	                       what functions look like line by line; counts of other builds
 *	                       carried over to the target
 *	debugfile, debuginfod, dwo
 *	                       debug information, wherever it is
 *	lines, lines_impl, lines_loader, lines_unit, lines_die, lines_disc, lines_moved, lines_file,
 *	lines_producer, lines_scan, lines_rows, lines_bytes, lines_split, linetab
 *	                       DWARF: address -> line and inline chain
 *	positions, edges       executions -> source positions; -> edges of blocks
 *	fnprof, fnprof_merge, fnprof_summary, trim, fdata
 *	                       the two forms that outputs are made of
 *	rules_gcc, rules_llvm, rules_name, lookup
 *	                       what each consumer looks up
 *	format, fmt_cursor, fmt_gcc, fmt_gcc_write, fmt_llvm, fmt_llvm_text, fmt_llvm_bin,
 *	fmt_llvm_read, fmt_llvm_body, fmt_llvm_tables, fmt_llvm_hash, fmt_llvm_write
 *	                       the output formats, read and written
 *	sum, sum_functions, sum_fdata, sum_impl
 *	                       converted files added up
 *	preagg                 addresses for perf2bolt
 *	callgraph, linkorder   who calls whom; orders of functions for linkers
 *	bbaddrmap, exttsp, propeller, propeller_file
 *	                       clang's blocks by address; their order; Propeller's clusters
 *	gopgo, gopclntab, goprofile
 *	                       calls for Go: first lines of its functions; as text
 *	output, output_each, output_encode, output_layout, output_go, output_impl
 *	                       encode, read back, compare, then write all or none
 *
 * verify/: before against after
 *	verify, verdict, attrib, attrib_read, attrib_names, costs, stacks, calltree, folded, groups, layout, report
 *	                       whose cost; verdicts; text and JSON
 *	work, csv              how much work was done, from a table
 *	design, design_weeks, design_impl, control
 *	                       who is compared with whom, and per what
 *	compare, compare_test, compare_impl, total, calibrate, conclude
 *	                       functions; the whole; A against A; the sentence
 *	sequential             looking many times at a rollout
 *	stats, stats_rank, real, random
 *	                       tests and intervals, in numbers that are the same everywhere
 *	fit, fit_compare, fit_impl
 *	                       mixes of functions laid one over the other
 *	applied, applied_code, applied_text
 *	                       what became of a profile, by the binaries before and after
 *	gates, gate_limits     measured against limits: pass, warn, fail, skipped, and why
 *	views, markdown, junit, html, html_verdict, html_build, html_assets, escape
 *	                       the JSON of a verdict as a comment, test cases, a page (style and
 *	                       script in html/); names from elsewhere inside them
 */
#include "pgo/cmd.h"
#include "pgo/core/alloc.h"
#include "pgo/core/json.h"
#include "pgo/modules.h"
#include "pgo/versions.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROW(name, part) &pgo_cmd_##name,
const struct pgo_cmd *const pgo_cmds[] = {PGO_COMMANDS(ROW) NULL};
#undef ROW

#define PART(name, part) PGO_PART_##part,
static const enum pgo_cmd_part parts[] = {PGO_COMMANDS(PART)};
#undef PART

static const char *const part_titles[] = {
	[PGO_PART_REFRESH] = "The refresh of every week",
	[PGO_PART_REBUILD] = "Around a build",
	[PGO_PART_PROFILES] = "Profiles, one stage at a time",
	[PGO_PART_SHARDS] = "Merging on many machines",
};
#define N_PARTS (sizeof part_titles / sizeof *part_titles)

/* What messages of the program itself are signed with. */
static const struct pgo_opt_table help_table = {"help", "", "", NULL};
static const struct pgo_cmd top = {"help", "", &help_table, NULL};

static const char exit_codes[] = "\nExit codes:\n"
				 "   0  a new result\n"
				 "   1  verify found what --fail-if names\n"
				 "   2  options or configuration are wrong\n"
				 "   3  failed; nothing that was good is lost\n"
				 "  10  nothing new: the published result is kept\n"
				 "  11  a gate said no: the last good result is kept\n"
				 "  20  there is no profile to use\n";

static int usage(const char *text)
{
	fprintf(stderr, "pgo: %s\n", text);
	return PGO_EXIT_USAGE;
}

static int print(const struct pgo_buf *out)
{
	struct pgo_opt_globals none = {0};

	if (out->failed) {
		fputs("pgo: out of memory\n", stderr);
		return PGO_EXIT_FAILED;
	}
	return pgo_cmd_print(&top, &none, out->data, out->len);
}

static int help(void)
{
	struct pgo_buf out;
	int code;

	pgo_buf_init(&out, 1 << 16);
	pgo_buf_puts(&out, "Usage: pgo COMMAND [OPTION]... [ARGUMENT]...\n"
			   "\nFeeds profiles from production to compilers and post-link "
			   "optimisers.\n");
	for (size_t p = 0; p < N_PARTS; p++) {
		pgo_buf_printf(&out, "\n%s:\n", part_titles[p]);
		for (size_t i = 0; pgo_cmds[i] != NULL; i++)
			if (parts[i] == (enum pgo_cmd_part)p)
				pgo_buf_printf(
					&out, "  %-17s%s\n", pgo_cmds[i]->name, pgo_cmds[i]->about);
	}
	pgo_buf_puts(&out, "\n`pgo COMMAND --help` or `man pgo-COMMAND` says more; "
			   "`pgo --version [--json]`;\n"
			   "`pgo --modules` and `pgo --make-include` say where those for build "
			   "systems are.\n");
	pgo_buf_puts(&out, exit_codes);
	code = print(&out);
	pgo_buf_fini(&out);
	return code;
}

static int version(bool as_json)
{
	struct pgo_buf out;
	struct pgo_json j;
	int code;

	pgo_buf_init(&out, 1 << 16);
	if (as_json) {
		pgo_json_init(&j, &out, false);
		pgo_versions_json(&j);
	} else {
		pgo_versions_text(&out);
	}
	code = print(&out);
	pgo_buf_fini(&out);
	return code;
}

/* For completion scripts. */
static int list_commands(void)
{
	struct pgo_buf out;
	int code;

	pgo_buf_init(&out, 1 << 16);
	for (size_t i = 0; pgo_cmds[i] != NULL; i++)
		pgo_buf_printf(&out, "%s\n", pgo_cmds[i]->name);
	code = print(&out);
	pgo_buf_fini(&out);
	return code;
}

/* For build systems: where what they include is. */
static int print_module(const char *name)
{
	struct pgo_err err = PGO_ERR_INIT;
	char *dir = pgo_modules_dir(&err);
	struct pgo_buf out;
	int code;

	if (dir == NULL) {
		fprintf(stderr, "pgo: %s\n", err.msg);
		return PGO_EXIT_FAILED;
	}
	pgo_buf_init(&out, 1 << 16);
	pgo_buf_printf(&out, "%s%s\n", dir, name);
	code = print(&out);
	pgo_buf_fini(&out);
	pgo_free(dir);
	return code;
}

static int unknown(const char *name)
{
	const struct pgo_cmd *near = pgo_cmd_nearest(name);

	if (near != NULL)
		fprintf(stderr, "pgo: unknown command \"%s\"; did you mean \"%s\"?\n", name,
			near->name);
	else
		fprintf(stderr, "pgo: unknown command \"%s\"; `pgo --help` lists them\n", name);
	return PGO_EXIT_USAGE;
}

static int run_help_of(const char *name)
{
	const struct pgo_cmd *cmd = pgo_cmd_find(name);
	char flag[] = "--help";
	char *argv[] = {(char[]){"pgo"}, flag, NULL};

	return cmd != NULL ? cmd->run(2, argv) : unknown(name);
}

static int dispatch(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	const struct pgo_cmd *cmd;

	if (word == NULL)
		return usage("say which command; `pgo --help` lists them");
	if (strcmp(word, "help") == 0 && argc > 2)
		return run_help_of(argv[2]);
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
		return help();
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
		return version(argc > 2 && strcmp(argv[2], "--json") == 0);
	if (strcmp(word, "--list-commands") == 0)
		return list_commands();
	if (strcmp(word, "--make-include") == 0)
		return print_module("/make/pgo.mk");
	if (strcmp(word, "--modules") == 0)
		return print_module("");
	if (word[0] == '-') {
		fprintf(stderr,
			"pgo: unknown option %s before the command; options follow it: "
			"pgo COMMAND %s\n",
			word, word);
		return PGO_EXIT_USAGE;
	}
	cmd = pgo_cmd_find(word);
	return cmd != NULL ? cmd->run(argc - 1, argv + 1) : unknown(word);
}

/* A descriptor closed by the caller would be taken by the first file we open, and messages would
 * land in that file. */
static void open_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	const char *base = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const struct pgo_cmd *cmd;

	open_standard_descriptors();
	/* A closed pipe is an error of write(), answered with an exit code. */
	signal(SIGPIPE, SIG_IGN);
	/* Installed as a link pgo-merge, it is `pgo merge`. */
	base = base != NULL ? base + 1 : argc > 0 ? argv[0] : "pgo";
	cmd = strncmp(base, "pgo-", 4) == 0 ? pgo_cmd_find(base + 4) : NULL;
	return cmd != NULL ? cmd->run(argc, argv) : dispatch(argc, argv);
}
