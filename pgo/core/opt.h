/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table per subcommand gives parsing (through getopt_long), the --help text and the lists that
 * man pages and completion are checked against, so that they cannot drift apart.
 *
 * Values land in the command's own options struct by offset.  Strings are borrowed from argv.
 */
#ifndef PGO_CORE_OPT_H
#define PGO_CORE_OPT_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pgo_opt_kind {
	PGO_OPT_FLAG,   /* bool: set to true */
	PGO_OPT_NOFLAG, /* bool: set to false */
	PGO_OPT_STR,    /* const char * */
	PGO_OPT_LIST,   /* struct pgo_opt_list: repeatable string */
	PGO_OPT_U64,    /* uint64_t, decimal or 0x; suffixes k, M, G (1024 for sizes is the caller's
			   business: see PGO_OPT_SIZE) */
	PGO_OPT_SIZE,   /* uint64_t bytes: 64k, 256M, 8G in powers of 1024 */
	PGO_OPT_DOUBLE, /* double, '.' as the point in every locale */
	PGO_OPT_DURATION, /* int64_t nanoseconds: 90s, 15m, 36h, 7d, 2w; a bare number is seconds */
	PGO_OPT_TIME,     /* int64_t nanoseconds since 1970 UTC: now, now-7d, 7d (= that long ago),
			     2026-11-20, 2026-11-20T10:00:00Z, @epoch */
	PGO_OPT_GROUP,    /* no option: `name` is a heading in --help */
};

struct pgo_opt_list {
	const char **item;
	size_t n, room;
};

struct pgo_opt {
	const char *name; /* long name without dashes */
	char letter;      /* short name, or 0 */
	const char *arg;  /* name of the argument in help: "FILE"; NULL for flags */
	const char *help; /* one sentence without a full stop */
	enum pgo_opt_kind kind;
	size_t offset; /* offsetof into the options struct */
};

#define PGO_OPT_END                                                                                \
	{                                                                                          \
		NULL, 0, NULL, NULL, PGO_OPT_FLAG, 0                                               \
	}

struct pgo_opt_table {
	const char *command;        /* "convert" */
	const char *synopsis;       /* "[OPTION]... IN... --binary APP" */
	const char *about;          /* a sentence or two */
	const struct pgo_opt *opts; /* ends with PGO_OPT_END; the global options (-h -q -v --json
				       ...) are added by opt.c */
};

/* What every subcommand understands besides its own table. */
struct pgo_opt_globals {
	bool help;
	bool quiet;
	bool json;
	int verbose;
	const char *progress; /* auto, never, always */
};

/*
 * Parses argv[1..]; options and operands may be mixed.  `*ret_first` is the index of the first
 * operand in argv (permuted).  Unknown options and bad values are PGO_EUSAGE with a sentence that
 * names the nearest known option.
 *
 * "--" ends the options.  A command that passes `dashdash` has two groups of operands: there the
 * first "--" divides them (options may still follow it, only a second one ends them), and
 * `*dashdash` is the index in argv of the first operand behind it, or argc.
 */
int pgo_opt_parse(const struct pgo_opt_table *t, int argc, char **argv, void *values,
	struct pgo_opt_globals *globals, int *ret_first, int *dashdash,
	struct pgo_err *err) PGO_MUST_CHECK;
/* The --help text, 80 columns wide. */
void pgo_opt_help(const struct pgo_opt_table *t, struct pgo_buf *out);
void pgo_opt_list_free(struct pgo_opt_list *l);
/* The options of a table incl. the global ones, one long name a line: for man page and completion
 * checks. */
void pgo_opt_names(const struct pgo_opt_table *t, struct pgo_buf *out);

/* Letters to change, add, drop or swap to turn one name into the other; and whether that is few
 * enough to offer `known` to someone who typed `typed`. */
size_t pgo_edit_distance(const char *a, const char *b);
bool pgo_is_near(const char *typed, const char *known);

/* Value parsers that the config file shares. `now_ns`: what "now" means. */
int pgo_parse_duration(const char *text, int64_t *ret_ns, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_parse_time(
	const char *text, int64_t now_ns, int64_t *ret_ns, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_parse_u64(const char *text, uint64_t *ret, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_parse_size(const char *text, uint64_t *ret, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_parse_double(const char *text, double *ret, struct pgo_err *err) PGO_MUST_CHECK;
/* 2026-11-20T10:00:00Z (seconds are enough for people; at least 21 bytes) and the time of day now;
 * PGO_NOW=<time> in the environment overrides the clock for tests. */
void pgo_format_time(int64_t ns, char *ret, size_t size);
int64_t pgo_now(void);

#endif
