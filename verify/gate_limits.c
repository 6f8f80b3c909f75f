/* SPDX-License-Identifier: Apache-2.0 */
/* The rules, and where the limits of a gate come from. */
#include "pgo/core/alloc.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"
#include "verify/gates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct pgo_gate_rule pgo_gate_rules[] = {
	{"readable", "files", NAN, 0, true, false, "profiles that are damaged or have no counts"},
	{"mapped", "%", 99, 95, false, true,
		"counts that belong to the program; what converters for gcc and clang are commonly "
		"held to is 95 %, and a right build gives more than 99 %"},
	{"bogus", "%", 2, 10, true, true,
		"branch records that cannot have happened in this program: ranges that run "
		"backwards, "
		"out of their function, past an unconditional jump or into the middle of an "
		"instruction; "
		"a right build has next to none, each tenth says that it is another build"},
	{"density", "", 60, 10, false, true,
		"how many times each byte of hot code was executed in samples, as llvm-bolt counts "
		"it: it "
		"warns below 60; below 10 blocks that ran are missing"},
	{"stale", "%", 20, 60, true, true,
		"counts of functions that the program does not have, and of those that were "
		"changed "
		"since; compilers drop or misplace them"},
	{"overlap_functions", "%", 90, 50, false, true,
		"the mix of functions that the profile has in common with the last good one, by "
		"canonical "
		"names; 90 % is what release engineers usually ask for before trusting a new "
		"profile, and "
		"half of it says that it is another load or another program"},
	{"overlap_blocks", "%", 80, 40, false, true,
		"the same of lines and blocks; they differ more, because lines move"},
	{"name_collapse", "%", 20, NAN, false, false,
		"the overlap of names as they are: below 20 % while canonical names have more than "
		"60 % in "
		"common means that names were renamed (a new hash, a lost prefix) and compilers "
		"will find "
		"nothing; both below 20 % fails"},
	{"moved", "points", 10, NAN, true, false,
		"the largest change of one function's share; more than ten points of all cost in "
		"one "
		"refresh is a new load, a bug, or an attack"},
	{"hosts", "hosts", 30, 5, false, true,
		"effective hosts, by weight: below 30 one host's habits show, below 5 it is "
		"nobody's mix"},
	{"days", "days", 7, 1, false, true, "different days: a week has all of its days in seven"},
	{"dominance", "%", 20, 50, true, true, "the largest host's share of the weighted mass"},
	{"freshness", "days", 7, 21, true, false,
		"age of the newest mass: a week is one refresh missed, three weeks is a broken "
		"pipeline"},
	{"size", "functions", 20000, NAN, true, true,
		"functions in the profile: more than 20,000 make compile time, not speed"},
	{"trimmed", "%", 0.5, NAN, true, false, "counts that were left out on request"},
	{"aliases", "%", 1, NAN, true, true,
		"counts of addresses that several functions share (identical code folding): which "
		"of "
		"them ran is not known"},
	{"acceptance", "refusals", NAN, 0, true, false,
		"compilers that crash over, refuse or ignore the profile"},
	{"flips", "%", 2, 5, true, false,
		"hot counts whose function went hot, cold and hot again over the last results: the "
		"profile "
		"changes what it measures"},
	{"applied", "%", 50, 5, false, false,
		"counts of functions that branch or call whose code is not what it is without the "
		"profile; "
		"next to none says that the profile did nothing"},
	{"text", "%", 5, 15, true, false,
		"growth of the program's code; caches pay for more than 5 %"},
	{NULL, NULL, 0, 0, false, false, NULL},
};

const struct pgo_gate_rule *pgo_gate_rule_find(const char *name)
{
	for (const struct pgo_gate_rule *r = pgo_gate_rules; r->name != NULL; r++)
		if (strcmp(r->name, name) == 0)
			return r;
	return NULL;
}

void pgo_gate_limits_fini(struct pgo_gate_limits *l)
{
	for (size_t i = 0; i < l->n; i++)
		pgo_free(l->of[i].source);
	pgo_free(l->of);
	pgo_free(l->past);
	memset(l, 0, sizeof *l);
}

/* ---- what the user set */

static const struct pgo_gate_rule *nearest(const char *name)
{
	for (const struct pgo_gate_rule *r = pgo_gate_rules; r->name != NULL; r++)
		if (pgo_is_near(name, r->name))
			return r;
	return NULL;
}

static int unknown_gate(const char *name, struct pgo_err *err)
{
	const struct pgo_gate_rule *near = nearest(name);
	struct pgo_buf all;
	int rc;

	if (near != NULL)
		return pgo_err_set(err, PGO_EUSAGE, "there is no gate \"%s\"; did you mean \"%s\"?",
			name, near->name);
	pgo_buf_init(&all, 1 << 12);
	for (const struct pgo_gate_rule *r = pgo_gate_rules; r->name != NULL; r++)
		pgo_buf_printf(&all, "%s%s", r != pgo_gate_rules ? ", " : "", r->name);
	rc = pgo_err_set(err, PGO_EUSAGE, "there is no gate \"%s\"; the gates are %s", name,
		all.data != NULL ? all.data : "");
	pgo_buf_fini(&all);
	return rc;
}

/* One limit, "" = none, with or without a percent sign. */
static int parse_limit(const char *text, size_t len, double *ret, struct pgo_err *err)
{
	char number[64];

	if (len > 0 && text[len - 1] == '%')
		len--;
	*ret = NAN;
	if (len == 0)
		return 0;
	if (len >= sizeof number)
		return pgo_err_set(err, PGO_EUSAGE, "\"%.*s\" is not a number", (int)len, text);
	memcpy(number, text, len);
	number[len] = '\0';
	return pgo_parse_double(number, ret, err);
}

static int parse_limits(struct pgo_gate_limit *x, const char *text, bool above, struct pgo_err *err)
{
	const char *slash = strchr(text, '/');
	int rc;

	if (strcmp(text, "off") == 0) {
		x->off = true;
		x->warn = x->fail = NAN;
		return 0;
	}
	if (slash == NULL) {
		if (text[0] == '\0')
			return pgo_err_set(err, PGO_EUSAGE, "there is no limit");
		rc = parse_limit(text, strlen(text), &x->warn, err);
		x->fail = x->warn;
		return rc;
	}
	rc = parse_limit(text, (size_t)(slash - text), &x->warn, err);
	if (rc == 0)
		rc = parse_limit(slash + 1, strlen(slash + 1), &x->fail, err);
	if (rc == 0 && (above ? x->warn > x->fail : x->warn < x->fail))
		return pgo_err_set(err, PGO_EUSAGE,
			"it would fail before it warns; the first limit is that of warning");
	return rc;
}

int pgo_gate_limits_parse(
	struct pgo_gate_limits *l, const char *text, const char *source, struct pgo_err *err)
{
	const char *eq = strchr(text, '=');
	struct pgo_gate_limit x = {.warn = NAN};
	const struct pgo_gate_rule *rule;
	int rc;

	if (eq == NULL || eq == text || (size_t)(eq - text) >= sizeof x.name)
		return pgo_err_set(err, PGO_EUSAGE,
			"\"%s\" sets no gate; write NAME=WARN/FAIL (mapped=99/95) or NAME=off",
			text);
	memcpy(x.name, text, (size_t)(eq - text));
	rule = pgo_gate_rule_find(x.name);
	if (rule == NULL)
		return unknown_gate(x.name, err);
	rc = parse_limits(&x, eq + 1, rule->above, err);
	if (rc < 0)
		return pgo_err_prefix(err, "gate \"%s\"", text);
	x.source = pgo_strdup(source);
	if (x.source == NULL || PGO_VEC_RESERVE(l->of, l->room, l->n + 1) < 0) {
		pgo_free(x.source);
		return pgo_err_nomem(err);
	}
	l->of[l->n++] = x;
	return 0;
}

/* ---- history */

int pgo_gate_limits_history(
	struct pgo_gate_limits *l, const struct pgo_gates *earlier, struct pgo_err *err)
{
	for (size_t i = 0; i < earlier->n; i++) {
		const struct pgo_gate_row *r = &earlier->row[i];
		struct pgo_gate_past *p;

		if (!isfinite(r->value) || r->verdict == PGO_GATE_FAIL ||
			r->verdict == PGO_GATE_SKIPPED || strlen(r->name) >= sizeof p->name)
			continue;
		p = PGO_VEC_PUSH(l->past, l->n_past, l->past_room);
		if (p == NULL)
			return pgo_err_nomem(err);
		memcpy(p->name, r->name, strlen(r->name));
		p->value = r->value;
	}
	return 0;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof *v, compare_doubles);
	return n % 2 != 0 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* Moves the limit of warning if there are enough earlier values. */
static int apply_history(struct pgo_gate_row *row, const struct pgo_gate_limits *l,
	const struct pgo_gate_rule *rule, struct pgo_err *err)
{
	double *v = pgo_malloc((l->n_past + 1) * sizeof *v), middle, spread, least, limit;
	size_t n = 0;

	if (v == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < l->n_past; i++)
		if (strcmp(l->past[i].name, row->name) == 0)
			v[n++] = l->past[i].value;
	if (n < PGO_GATE_HISTORY_MIN) {
		pgo_free(v);
		return 0;
	}
	middle = median(v, n);
	for (size_t i = 0; i < n; i++)
		v[i] = fabs(v[i] - middle);
	spread = median(v, n);
	pgo_free(v);
	least = strcmp(rule->unit, "%") == 0 ? 1 : fabs(middle) * 0.05;
	spread = spread > least ? spread : least;
	limit = row->above ? middle + 3 * spread : middle - 3 * spread;
	/* Never past the limit of failing. */
	if (row->above ? limit > row->fail : limit < row->fail)
		limit = row->fail;
	row->warn = limit;
	pgo_free(row->source);
	row->source = pgo_asprintf("history of %zu (median %c 3 MAD)", n, row->above ? '+' : '-');
	return row->source != NULL ? 0 : pgo_err_nomem(err);
}

/* ---- judging */

static const struct pgo_gate_limit *set_by_user(const struct pgo_gate_limits *l, const char *name)
{
	for (size_t i = l != NULL ? l->n : 0; i > 0; i--)
		if (strcmp(l->of[i - 1].name, name) == 0)
			return &l->of[i - 1];
	return NULL;
}

bool pgo_gate_limits_set(const struct pgo_gate_limits *l, const char *name)
{
	return set_by_user(l, name) != NULL;
}

static enum pgo_gate_verdict judge(const struct pgo_gate_row *r)
{
	if (!isfinite(r->value))
		return isnan(r->value)              ? PGO_GATE_SKIPPED
		       : (r->value > 0) == r->above ? PGO_GATE_FAIL
						    : PGO_GATE_PASS;
	if (r->above ? r->value > r->fail : r->value < r->fail)
		return PGO_GATE_FAIL;
	if (r->above ? r->value > r->warn : r->value < r->warn)
		return PGO_GATE_WARN;
	return PGO_GATE_PASS;
}

int pgo_gate_judge(struct pgo_gate_row *row, const struct pgo_gate_limits *l, struct pgo_err *err)
{
	const struct pgo_gate_rule *rule = pgo_gate_rule_find(row->name);
	const struct pgo_gate_limit *user = set_by_user(l, row->name);
	int rc = 0;

	if (rule == NULL)
		return pgo_err_set(err, PGO_EUSAGE, "there is no gate \"%s\"", row->name);
	row->unit = (char *)rule->unit;
	row->above = rule->above;
	row->warn = user != NULL ? user->warn : rule->warn;
	row->fail = user != NULL ? user->fail : rule->fail;
	row->source = pgo_strdup(user != NULL ? user->source : "default");
	if (row->source == NULL)
		return pgo_err_nomem(err);
	if (user == NULL && rule->history && l != NULL)
		rc = apply_history(row, l, rule, err);
	if (rc < 0)
		return rc;
	row->verdict = user != NULL && user->off ? PGO_GATE_SKIPPED : judge(row);
	return 0;
}
