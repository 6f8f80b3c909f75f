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
 * The program
 *	pgo/main.c             this file: the command table
 *	pgo/cmd.[ch]           the frame that commands share: options, messages, exit codes
 *	pgo/cmd_*.c            one a subcommand: arguments -> library -> print
 *	pgo/input.[ch]         any file a user may name as a profile -> readers
 *	pgo/merge_inputs.[ch]  files -> plan -> merged profile
 *	pgo/conf.[ch]          the configuration file of `pgo run`; pipeline: all stages for a
 *target pgo/show*              views of every file the program reads or writes pgo/versions.[ch]
 *what --version says pgo/man, completion    manual pages; bash, zsh and fish
 *
 * The bottom layer, which every stage may use
 *	pgo/core/err, diag     errors as values; warnings, notes, progress
 *	pgo/core/alloc, arena, buf, vec, map, strtab       memory and containers
 *	pgo/core/file, paths   reading within limits, atomic writing, listing
 *	pgo/core/inflate, deflate, sha256, json            encodings
 *	pgo/core/opt, value    option tables, --help, numbers, times
 *	pgo/core/elf, resolve  build-ids, segments, symbols; addresses as ELF has them
 *	pgo/core/profile       the model; pprof: profile.proto <-> model
 *	pgo/core/lbr           branch records inside pprof
 *	pgo/core/manifest      what came from where
 *
 * fetch: stores and recordings -> raw profiles
 *	fetch/fetch            selects, copies once, keeps the manifest
 *	fetch/source*          a row and a file for each kind of store
 *	fetch/import           recordings -> pprof; perf_data, perf_text, gperf: their readers
 *
 * merge: many profiles -> one, exactly
 *	merge/merge            sums; plan: one integer weight a profile, with its reason
 *
 * convert: a merged profile + the binary -> what consumers read
 *	convert/convert        address-level counts -> functions, positions, edges
 *	convert/lines          DWARF: address -> line and inline chain; cfg: block boundaries
 *	convert/fnprof, fdata  the two forms outputs are made of
 *	convert/format, fmt_*  a row and a file for each output format, reader and writer
 *	convert/output         encode, read back, write all outputs or none; account: where all went
 *
 * verify: before against after
 *	verify/verify          shares, overlap, verdicts, gates; attrib, diff, stats, report
 */
#include "pgo/cmd.h"
#include "pgo/core/json.h"
#include "pgo/versions.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct pgo_cmd *const pgo_cmds[] = {
	&pgo_cmd_convert,
	&pgo_cmd_fetch,
	&pgo_cmd_import,
	&pgo_cmd_merge,
	&pgo_cmd_run,
	&pgo_cmd_show,
	&pgo_cmd_verify,
	NULL,
};

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
			   "optimisers.\n\nCommands:\n");
	for (size_t i = 0; pgo_cmds[i] != NULL; i++)
		pgo_buf_printf(&out, "  %-10s%s\n", pgo_cmds[i]->name, pgo_cmds[i]->about);
	pgo_buf_puts(&out, "\n`pgo COMMAND --help` or `man pgo-COMMAND` says more; "
			   "`pgo --version [--json]`.\n");
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
