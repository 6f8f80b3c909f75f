/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "pgo/core/diag.h"
#include "pgo/core/json.h"
#include "pgo/watch.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_LIMIT ((size_t)1 << 20)

/* ---------------------------------------------------------------- messages */

/* As syslog(3) numbers them. */
#define PRIORITY_ERROR 3
static const int priorities[] = {[PGO_LEVEL_WARN] = 4, [PGO_LEVEL_NOTE] = 6, [PGO_LEVEL_DEBUG] = 7};

/* One JSON object a line on stderr: {"level":"warning","message":"..."}. */
static void put_json(int priority, const char *level, const char *domain, const char *command,
	int code, const char *text)
{
	struct pgo_buf out;
	struct pgo_json j;

	pgo_buf_init(&out, TEXT_LIMIT);
	pgo_json_init(&j, &out, true);
	pgo_json_object(&j);
	pgo_json_kv_str(&j, "level", level);
	if (command != NULL)
		pgo_json_kv_str(&j, "command", command);
	if (domain != NULL && domain[0] != '\0')
		pgo_json_kv_str(&j, "domain", domain);
	if (code != 0)
		pgo_json_kv_i64(&j, "exit", code);
	pgo_json_kv_str(&j, "message", text);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
	if (!out.failed)
		fprintf(stderr, "%s%s", pgo_journal_mark(priority), out.data);
	pgo_buf_fini(&out);
}

static void json_sink(void *ctx, enum pgo_level level, const char *domain, const char *text)
{
	static const char *const names[] = {"warning", "note", "debug"};

	put_json(priorities[level], names[level], domain, ctx, 0, text);
}

static void text_sink(void *ctx, enum pgo_level level, const char *domain, const char *text)
{
	const char *command = ctx, *mark = pgo_journal_mark(priorities[level]);

	if (level == PGO_LEVEL_DEBUG)
		fprintf(stderr, "%spgo %s: debug: %s: %s\n", mark, command, domain, text);
	else
		fprintf(stderr, "%spgo %s: %s%s\n", mark, command,
			level == PGO_LEVEL_WARN ? "warning: " : "", text);
}

static int exit_code(enum pgo_code code)
{
	switch (code) {
	case PGO_EUSAGE:
		return PGO_EXIT_USAGE;
	case PGO_EGATE:
		return PGO_EXIT_GATED;
	case PGO_EEMPTY:
		return PGO_EXIT_NO_PROFILE;
	default:
		return PGO_EXIT_FAILED;
	}
}

int pgo_cmd_fail(
	const struct pgo_cmd *cmd, const struct pgo_opt_globals *globals, const struct pgo_err *err)
{
	int code = exit_code(err->code);

	pgo_progress_end();
	if (globals->json)
		put_json(PRIORITY_ERROR, "error", NULL, cmd->name, code, err->msg);
	else
		fprintf(stderr, "%spgo %s: %s\n", pgo_journal_mark(PRIORITY_ERROR), cmd->name,
			err->msg);
	return code;
}

int pgo_cmd_print(const struct pgo_cmd *cmd, const struct pgo_opt_globals *globals,
	const char *data, size_t len)
{
	struct pgo_err err = PGO_ERR_INIT;

	pgo_progress_end();
	while (len != 0) {
		ssize_t n = write(STDOUT_FILENO, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		/* The reader has gone (`pgo show x | head`): no one is left to tell. */
		if (n < 0 && errno == EPIPE)
			return PGO_EXIT_FAILED;
		if (n < 0) {
			pgo_err_errno(&err, PGO_EIO, "standard output cannot be written");
			return pgo_cmd_fail(cmd, globals, &err);
		}
		data += n;
		len -= (size_t)n;
	}
	return PGO_EXIT_OK;
}

/* ---------------------------------------------------------------- the frame */

static enum pgo_progress_mode progress_mode(const char *when)
{
	if (when != NULL && strcmp(when, "never") == 0)
		return PGO_PROGRESS_NEVER;
	if (when != NULL && strcmp(when, "always") == 0)
		return PGO_PROGRESS_ALWAYS;
	return PGO_PROGRESS_AUTO;
}

/* For an error in the options themselves, --json may not have been reached yet. */
static bool wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}

/* A clock that the tests or a reproducible build set must be one. */
static int check_clock(struct pgo_err *err)
{
	const char *text = getenv("PGO_NOW");
	int64_t ns;

	if (text == NULL || pgo_parse_time(text, 0, &ns, err) == 0)
		return 0;
	return pgo_err_prefix(err, "environment variable PGO_NOW");
}

static int print_table(const struct pgo_cmd *cmd, const struct pgo_opt_globals *globals,
	void (*put)(const struct pgo_opt_table *, struct pgo_buf *))
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf out;
	int code;

	pgo_buf_init(&out, TEXT_LIMIT);
	put(cmd->table, &out);
	if (pgo_buf_check(&out, "the help text", &err) < 0)
		code = pgo_cmd_fail(cmd, globals, &err);
	else
		code = pgo_cmd_print(cmd, globals, out.data, out.len);
	pgo_buf_fini(&out);
	return code;
}

int pgo_cmd_begin(const struct pgo_cmd *cmd, int argc, char **argv, void *values,
	struct pgo_opt_globals *globals, int *ret_first, int *dashdash, int *ret_exit)
{
	struct pgo_err err = PGO_ERR_INIT;

	memset(globals, 0, sizeof *globals);
	if (argc == 2 && strcmp(argv[1], "--list-options") == 0) {
		*ret_exit = print_table(cmd, globals, pgo_opt_names);
		return 1;
	}
	if (pgo_opt_parse(cmd->table, argc, argv, values, globals, ret_first, dashdash, &err) < 0) {
		globals->json = wants_json(argc, argv);
		*ret_exit = pgo_cmd_fail(cmd, globals, &err);
		return 1;
	}
	if (globals->help) {
		*ret_exit = print_table(cmd, globals, pgo_opt_help);
		return 1;
	}
	pgo_diag_set_sink(globals->json ? json_sink : text_sink, (void *)(uintptr_t)cmd->name);
	pgo_diag_set_verbosity(globals->quiet ? -1 : globals->verbose);
	pgo_progress_set_mode(progress_mode(globals->progress));
	if (check_clock(&err) < 0) {
		*ret_exit = pgo_cmd_fail(cmd, globals, &err);
		return 1;
	}
	return 0;
}

/* ---------------------------------------------------------------- names */

const struct pgo_cmd *pgo_cmd_find(const char *name)
{
	for (size_t i = 0; pgo_cmds[i] != NULL; i++)
		if (strcmp(pgo_cmds[i]->name, name) == 0)
			return pgo_cmds[i];
	return NULL;
}

const struct pgo_cmd *pgo_cmd_nearest(const char *typed)
{
	const struct pgo_cmd *best = NULL;
	size_t least = SIZE_MAX;

	for (size_t i = 0; pgo_cmds[i] != NULL; i++) {
		size_t d = pgo_edit_distance(typed, pgo_cmds[i]->name);

		if (d < least && pgo_is_near(typed, pgo_cmds[i]->name)) {
			least = d;
			best = pgo_cmds[i];
		}
	}
	return best;
}
