/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/opt.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 80
#define HELP_COLUMN 26
/* getopt_long gives 256 + the row of a long option; 0..255 are short ones. */
#define LONG_BASE 256

static const struct pgo_opt global_opts[] = {
	{"General", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"help", 'h', NULL, "show this text and exit", PGO_OPT_FLAG,
		offsetof(struct pgo_opt_globals, help)},
	{"quiet", 'q', NULL, "no warnings, no progress; errors only", PGO_OPT_FLAG,
		offsetof(struct pgo_opt_globals, quiet)},
	{"verbose", 'v', NULL, "say more; twice: debug", PGO_OPT_FLAG,
		offsetof(struct pgo_opt_globals, verbose)},
	{"json", 0, NULL, "results, warnings and errors as JSON", PGO_OPT_FLAG,
		offsetof(struct pgo_opt_globals, json)},
	{"progress", 0, "WHEN", "progress line: auto (on a terminal), never, always", PGO_OPT_STR,
		offsetof(struct pgo_opt_globals, progress)},
	PGO_OPT_END,
};

static bool takes_value(const struct pgo_opt *o)
{
	return o->kind != PGO_OPT_FLAG && o->kind != PGO_OPT_NOFLAG;
}

/* Both tables in one run: rows of the command first. */
struct rows {
	const struct pgo_opt **opt;
	size_t n, room;
	size_t n_own;
};

static int collect(const struct pgo_opt_table *t, bool groups, struct rows *ret)
{
	const struct pgo_opt *parts[2] = {t->opts, global_opts};

	for (int i = 0; i < 2; i++) {
		for (const struct pgo_opt *o = parts[i]; o != NULL && o->name != NULL; o++) {
			const struct pgo_opt **slot;

			if (o->kind == PGO_OPT_GROUP && !groups)
				continue;
			slot = PGO_VEC_PUSH(ret->opt, ret->n, ret->room);
			if (slot == NULL)
				return -1;
			*slot = o;
		}
		if (i == 0)
			ret->n_own = ret->n;
	}
	return 0;
}

/* ---------------------------------------------------------------- the nearest name */

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Letters changed, added, dropped, or swapped with their neighbour (optimal string alignment). */
size_t pgo_edit_distance(const char *a, const char *b)
{
	enum { MAX = 48 };
	size_t rows[3][MAX + 1]; /* the last two and the current one, in turn */
	size_t n = strlen(b), m = strlen(a);

	if (n > MAX || m > MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= m; i++) {
		size_t *row = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			row[j] = min3(
				last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
	}
	return rows[m % 3][n];
}

bool pgo_is_near(const char *typed, const char *known)
{
	size_t len = strlen(typed);
	size_t d = pgo_edit_distance(typed, known);

	/* A beginning of at least three letters counts as near too. */
	return d <= (len < 4 ? 1 : len / 3) || (len >= 3 && strncmp(typed, known, len) == 0);
}

static int unknown_long(const struct pgo_opt_table *t, const struct rows *rows, const char *typed,
	struct pgo_err *err)
{
	const struct pgo_opt *best = NULL;
	char name[64];
	size_t least = SIZE_MAX;

	snprintf(name, sizeof name, "%.*s", (int)strcspn(typed, "="), typed);
	for (size_t i = 0; i < rows->n; i++) {
		size_t d = pgo_edit_distance(name, rows->opt[i]->name);

		if (d < least && pgo_is_near(name, rows->opt[i]->name)) {
			least = d;
			best = rows->opt[i];
		}
	}
	if (best != NULL)
		return pgo_err_set(err, PGO_EUSAGE, "unknown option --%s; did you mean --%s?", name,
			best->name);
	return pgo_err_set(err, PGO_EUSAGE, "unknown option --%s; `pgo %s --help` lists them", name,
		t->command);
}

/* ---------------------------------------------------------------- values */

static int add_to_list(struct pgo_opt_list *l, const char *text, struct pgo_err *err)
{
	const char **slot = PGO_VEC_PUSH(l->item, l->n, l->room);

	if (slot == NULL)
		return pgo_err_nomem(err);
	*slot = text;
	return 0;
}

void pgo_opt_list_free(struct pgo_opt_list *l)
{
	pgo_free(l->item);
	memset(l, 0, sizeof *l);
}

static int store(const struct pgo_opt *o, void *base, const char *text, struct pgo_err *err)
{
	char *at = (char *)base + o->offset;

	switch (o->kind) {
	case PGO_OPT_FLAG:
	case PGO_OPT_NOFLAG:
		*(bool *)at = o->kind == PGO_OPT_FLAG;
		return 0;
	case PGO_OPT_STR:
		*(const char **)(void *)at = text;
		return 0;
	case PGO_OPT_LIST:
		return add_to_list((struct pgo_opt_list *)(void *)at, text, err);
	case PGO_OPT_U64:
		return pgo_parse_u64(text, (uint64_t *)(void *)at, err);
	case PGO_OPT_SIZE:
		return pgo_parse_size(text, (uint64_t *)(void *)at, err);
	case PGO_OPT_DOUBLE:
		return pgo_parse_double(text, (double *)(void *)at, err);
	case PGO_OPT_DURATION:
		return pgo_parse_duration(text, (int64_t *)(void *)at, err);
	case PGO_OPT_TIME:
		return pgo_parse_time(text, pgo_now(), (int64_t *)(void *)at, err);
	case PGO_OPT_GROUP:
		break;
	}
	return 0;
}

static int store_global(
	const struct pgo_opt *o, struct pgo_opt_globals *g, const char *text, struct pgo_err *err)
{
	if (o->letter == 'v') {
		g->verbose++;
		return 0;
	}
	if (strcmp(o->name, "progress") == 0 && strcmp(text, "auto") != 0 &&
		strcmp(text, "never") != 0 && strcmp(text, "always") != 0)
		return pgo_err_set(
			err, PGO_EUSAGE, "\"%s\" is not one of auto, never, always", text);
	return store(o, g, text, err);
}

/* ---------------------------------------------------------------- parsing */

/* A run of getopt_long over both tables. */
struct parse {
	const struct pgo_opt_table *table;
	struct rows rows;
	struct option *longs;
	char *shorts;
	char **options, **operands;         /* argv sorted into two kinds */
	int n_options, n_operands, n_after; /* n_after: operands behind "--" */
};

static int prepare(struct parse *p, int argc)
{
	char *s;

	if (collect(p->table, false, &p->rows) < 0)
		return -1;
	p->longs = pgo_calloc(p->rows.n + 1, sizeof *p->longs);
	s = p->shorts = pgo_malloc(2 * p->rows.n + 3);
	p->options = pgo_calloc((size_t)argc + 1, sizeof *p->options);
	p->operands = pgo_calloc((size_t)argc + 1, sizeof *p->operands);
	if (p->longs == NULL || s == NULL || p->options == NULL || p->operands == NULL)
		return -1;
	/* "-": operands are returned in their place as option 1; ":": a missing value is ':'. */
	*s++ = '-';
	*s++ = ':';
	for (size_t i = 0; i < p->rows.n; i++) {
		const struct pgo_opt *o = p->rows.opt[i];

		p->longs[i].name = o->name;
		p->longs[i].has_arg = takes_value(o) ? required_argument : no_argument;
		p->longs[i].val = LONG_BASE + (int)i;
		if (o->letter == 0)
			continue;
		*s++ = o->letter;
		if (takes_value(o))
			*s++ = ':';
	}
	*s = '\0';
	return 0;
}

static void dispose(struct parse *p)
{
	pgo_free(p->rows.opt);
	pgo_free(p->longs);
	pgo_free(p->shorts);
	pgo_free(p->options);
	pgo_free(p->operands);
}

static size_t row_of(const struct parse *p, int c)
{
	size_t i;

	if (c >= LONG_BASE)
		return (size_t)(c - LONG_BASE);
	for (i = 0; i < p->rows.n; i++)
		if (p->rows.opt[i]->letter == c)
			break;
	return i;
}

/* "--output" or "-o", as the user is likely to have typed it. */
static void spell(const struct pgo_opt *o, int c, char *ret, size_t size)
{
	if (c >= LONG_BASE)
		snprintf(ret, size, "--%s", o->name);
	else
		snprintf(ret, size, "-%c", c);
}

static int refuse(const struct parse *p, int c, const char *arg, struct pgo_err *err)
{
	size_t row = optopt != 0 ? row_of(p, optopt) : p->rows.n;
	char name[64];

	if (row < p->rows.n) {
		spell(p->rows.opt[row], optopt, name, sizeof name);
		if (c == ':')
			return pgo_err_set(err, PGO_EUSAGE, "option %s needs a value: %s", name,
				p->rows.opt[row]->arg);
		return pgo_err_set(err, PGO_EUSAGE, "option %s takes no value", name);
	}
	if (optopt != 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"unknown option -%c; `pgo %s --help` lists them", optopt,
			p->table->command);
	return unknown_long(p->table, &p->rows, arg + strspn(arg, "-"), err);
}

static int accept_option(const struct parse *p, int c, void *values,
	struct pgo_opt_globals *globals, struct pgo_err *err)
{
	size_t row = row_of(p, c);
	const struct pgo_opt *o = p->rows.opt[row];
	char name[64];
	int r;

	r = row < p->rows.n_own ? store(o, values, optarg, err)
				: store_global(o, globals, optarg, err);
	if (r == 0)
		return 0;
	spell(o, c, name, sizeof name);
	return pgo_err_prefix(err, "option %s", name);
}

/* argv[1..] up to its end or the first "--"; `*ret_rest` is the index behind that. */
static int scan_part(struct parse *p, int argc, char **argv, void *values,
	struct pgo_opt_globals *globals, int *ret_rest, struct pgo_err *err)
{
	int before = 1;
	int c;

	opterr = 0;
	optind = 0; /* glibc: forget the last run */
	while ((c = getopt_long(argc, argv, p->shorts, p->longs, NULL)) != -1) {
		int r;

		for (; before < optind; before++)
			if (c == 1)
				p->operands[p->n_operands++] = argv[before];
			else
				p->options[p->n_options++] = argv[before];
		if (c == 1)
			continue;
		r = c == '?' || c == ':' ? refuse(p, c, argv[optind - 1], err)
					 : accept_option(p, c, values, globals, err);
		if (r < 0)
			return r;
	}
	for (; before < optind; before++)
		p->options[p->n_options++] = argv[before];
	*ret_rest = optind;
	return 0;
}

static int scan(struct parse *p, int argc, char **argv, void *values,
	struct pgo_opt_globals *globals, bool divides, struct pgo_err *err)
{
	int rest, n_before;
	int r = scan_part(p, argc, argv, values, globals, &rest, err);

	n_before = p->n_operands;
	if (r == 0 && divides && rest < argc) {
		/* The "--" stands where the next part has its argv[0]. */
		argv += rest - 1;
		argc -= rest - 1;
		r = scan_part(p, argc, argv, values, globals, &rest, err);
	}
	if (r < 0)
		return r;
	for (; rest < argc; rest++)
		p->operands[p->n_operands++] = argv[rest];
	p->n_after = p->n_operands - n_before;
	return 0;
}

int pgo_opt_parse(const struct pgo_opt_table *t, int argc, char **argv, void *values,
	struct pgo_opt_globals *globals, int *ret_first, int *dashdash, struct pgo_err *err)
{
	struct parse p = {.table = t};
	int r;

	if (prepare(&p, argc) < 0)
		r = pgo_err_nomem(err);
	else
		r = scan(&p, argc, argv, values, globals, dashdash != NULL, err);
	if (r == 0) {
		memcpy(argv + 1, p.options, (size_t)p.n_options * sizeof *argv);
		memcpy(argv + 1 + p.n_options, p.operands, (size_t)p.n_operands * sizeof *argv);
		*ret_first = 1 + p.n_options;
		if (dashdash != NULL)
			*dashdash = argc - p.n_after;
	}
	dispose(&p);
	return r;
}

/* ---------------------------------------------------------------- help */

/* Words of `text` from column `at`, wrapped to start at `indent`; ends the line. */
static void wrap(struct pgo_buf *out, const char *text, int at, int indent)
{
	bool first = true;

	while (*text != '\0') {
		int n = (int)strcspn(text, " ");

		if (!first && at + 1 + n > WIDTH - 1) {
			pgo_buf_printf(out, "\n%*s", indent, "");
			at = indent;
			first = true;
		}
		pgo_buf_printf(out, "%s%.*s", first ? "" : " ", n, text);
		at += n + !first;
		first = false;
		text += n;
		text += strspn(text, " ");
	}
	pgo_buf_putc(out, '\n');
}

static void help_row(const struct pgo_opt *o, struct pgo_buf *out)
{
	char left[80];
	int len;

	if (o->kind == PGO_OPT_GROUP) {
		pgo_buf_printf(out, "\n%s:\n", o->name);
		return;
	}
	len = snprintf(left, sizeof left, "  %c%c%c --%s%s%s", o->letter != 0 ? '-' : ' ',
		o->letter != 0 ? o->letter : ' ', o->letter != 0 ? ',' : ' ', o->name,
		takes_value(o) ? "=" : "", takes_value(o) ? o->arg : "");
	pgo_buf_puts(out, left);
	if (len > HELP_COLUMN - 2)
		pgo_buf_printf(out, "\n%*s", HELP_COLUMN, "");
	else
		pgo_buf_printf(out, "%*s", HELP_COLUMN - len, "");
	wrap(out, o->help, HELP_COLUMN, HELP_COLUMN);
}

void pgo_opt_help(const struct pgo_opt_table *t, struct pgo_buf *out)
{
	struct rows rows = {0};

	if (collect(t, true, &rows) < 0)
		out->failed = true;
	pgo_buf_printf(out, "Usage: pgo %s ", t->command);
	wrap(out, t->synopsis, 11 + (int)strlen(t->command), 11 + (int)strlen(t->command));
	if (t->about != NULL) {
		pgo_buf_putc(out, '\n');
		wrap(out, t->about, 0, 0);
	}
	if (rows.n != 0 && rows.opt[0]->kind != PGO_OPT_GROUP)
		pgo_buf_puts(out, "\nOptions:\n");
	for (size_t i = 0; i < rows.n; i++)
		help_row(rows.opt[i], out);
	pgo_free(rows.opt);
}

void pgo_opt_names(const struct pgo_opt_table *t, struct pgo_buf *out)
{
	struct rows rows = {0};

	if (collect(t, false, &rows) < 0)
		out->failed = true;
	for (size_t i = 0; i < rows.n; i++)
		pgo_buf_printf(out, "%s\n", rows.opt[i]->name);
	pgo_free(rows.opt);
}
