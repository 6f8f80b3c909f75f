/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subcommands: a row each in main.c's table.  A command parses its options, calls the library,
 * prints its result on stdout, and returns an exit code.  Errors and warnings go to stderr, each
 * once.
 */
#ifndef PGO_CMD_H
#define PGO_CMD_H

#include "pgo/core/err.h"
#include "pgo/core/opt.h"

enum pgo_exit {
	PGO_EXIT_OK = 0,
	PGO_EXIT_FINDING = 1,     /* verify found what --fail-if names */
	PGO_EXIT_USAGE = 2,       /* options or configuration */
	PGO_EXIT_FAILED = 3,      /* anything else; nothing that was good is lost */
	PGO_EXIT_UNCHANGED = 10,  /* nothing new: the published result is kept */
	PGO_EXIT_GATED = 11,      /* a gate said no: last-good is kept */
	PGO_EXIT_NO_PROFILE = 20, /* there is no profile to use */
};

struct pgo_cmd {
	const char *name;
	const char *about; /* for `pgo --help` */
	const struct pgo_opt_table *table;
	int (*run)(int argc, char **argv); /* argv[0] is the command's name; gives an exit code */
};

/*
 * Every command, in the order of names: a line here, and a file cmd_NAME.c that defines pgo_cmd_NAME.
 * The second word is the part of `pgo --help` that it is listed in.
 */
#define PGO_COMMANDS(X)                                                                            \
	X(bisect, REBUILD)                                                                         \
	X(canary, REBUILD)                                                                         \
	X(check, REBUILD)                                                                          \
	X(check_redaction, PROFILES)                                                               \
	X(convert, PROFILES)                                                                       \
	X(doctor, REBUILD)                                                                         \
	X(explain, REFRESH)                                                                        \
	X(fetch, PROFILES)                                                                         \
	X(finish, SHARDS)                                                                          \
	X(flags, REBUILD)                                                                          \
	X(gc, REFRESH)                                                                             \
	X(get, REBUILD)                                                                            \
	X(import, PROFILES)                                                                        \
	X(merge, PROFILES)                                                                         \
	X(pin, REFRESH)                                                                            \
	X(plan, SHARDS)                                                                            \
	X(promote, REFRESH)                                                                        \
	X(publish, REBUILD)                                                                        \
	X(push, PROFILES)                                                                          \
	X(reduce, SHARDS)                                                                          \
	X(report, REFRESH)                                                                         \
	X(rollback, REFRESH)                                                                       \
	X(run, REFRESH)                                                                            \
	X(show, PROFILES)                                                                          \
	X(status, REFRESH)                                                                         \
	X(tune, PROFILES)                                                                          \
	X(verify, REBUILD)

enum pgo_cmd_part { PGO_PART_REFRESH, PGO_PART_REBUILD, PGO_PART_PROFILES, PGO_PART_SHARDS };

#define PGO_DECLARE_COMMAND(name, part) extern const struct pgo_cmd pgo_cmd_##name;
PGO_COMMANDS(PGO_DECLARE_COMMAND)
#undef PGO_DECLARE_COMMAND
/* All of them, by name; NULL-terminated. */
extern const struct pgo_cmd *const pgo_cmds[];

/*
 * The frame every command shares: parses with its table, handles --help, -q, -v, --progress, sets
 * the diag sink.  `*globals` is filled whatever happens.  0: go on; else *ret_exit is set: return
 * it.
 */
int pgo_cmd_begin(const struct pgo_cmd *cmd, int argc, char **argv, void *values,
	struct pgo_opt_globals *globals, int *ret_first, int *dashdash, int *ret_exit);
/* Prints the error (as text, or as a JSON object on stderr with --json) and gives the exit code
 * that fits it. */
int pgo_cmd_fail(const struct pgo_cmd *cmd, const struct pgo_opt_globals *globals,
	const struct pgo_err *err);
/* Writes a result to stdout and checks that it arrived (disk full, closed pipe). */
int pgo_cmd_print(const struct pgo_cmd *cmd, const struct pgo_opt_globals *globals,
	const char *data, size_t len);

/* The known command nearest to a mistyped one, or NULL. */
const struct pgo_cmd *pgo_cmd_nearest(const char *typed);
const struct pgo_cmd *pgo_cmd_find(const char *name);

#endif
