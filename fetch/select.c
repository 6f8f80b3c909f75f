/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/select.h"

#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "pgo/core/vec.h"

#include <string.h>

#define MAX_VALUE ((size_t)64 << 10)

void pgo_selection_init(struct pgo_selection *s)
{
	memset(s, 0, sizeof *s);
}

static void matcher_fini(struct pgo_matcher *m)
{
	pgo_free(m->key);
	pgo_free(m->value);
	if (m->op == PGO_MATCH_LIKE || m->op == PGO_MATCH_UNLIKE)
		regfree(&m->re);
}

void pgo_selection_fini(struct pgo_selection *s)
{
	for (size_t i = 0; i < s->n_matchers; i++)
		matcher_fini(&s->matchers[i]);
	pgo_free(s->matchers);
	pgo_selection_init(s);
}

/* ---------------------------------------------------------------- parsing */

struct parser {
	const char *text, *at;
};

static int wrong(const struct parser *p, const char *what, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EUSAGE,
		"selector '%s', character %zu: %s; a selector looks like service=\"shop\" or "
		"host=~\"web-.*\"",
		p->text, (size_t)(p->at - p->text) + 1, what);
}

static void skip_space(struct parser *p)
{
	p->at += strspn(p->at, " \t");
}

static int parse_key(struct parser *p, char **ret, struct pgo_err *err)
{
	size_t len = strspn(p->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_.:-/");

	if (len == 0)
		return wrong(p, "the name of a label is missing", err);
	*ret = pgo_strndup(p->at, len);
	p->at += len;
	return *ret != NULL ? 0 : pgo_err_nomem(err);
}

static int parse_op(struct parser *p, enum pgo_matcher_op *ret, struct pgo_err *err)
{
	skip_space(p);
	if (strncmp(p->at, "=~", 2) == 0)
		*ret = PGO_MATCH_LIKE;
	else if (strncmp(p->at, "!~", 2) == 0)
		*ret = PGO_MATCH_UNLIKE;
	else if (strncmp(p->at, "!=", 2) == 0)
		*ret = PGO_MATCH_NOT;
	else if (p->at[0] == '=')
		*ret = PGO_MATCH_IS;
	else
		return wrong(p, "one of = != =~ !~ is missing", err);
	p->at += *ret == PGO_MATCH_IS ? 1 : 2;
	skip_space(p);
	return 0;
}

/* In quotes, with \" and \\ for those two; or bare, up to a comma or brace. */
static int parse_value(struct parser *p, char **ret, struct pgo_err *err)
{
	char quote = *p->at;
	struct pgo_buf b;
	int rc;

	if (quote != '"' && quote != '\'') {
		size_t len = strcspn(p->at, ",}");

		*ret = pgo_strndup(p->at, len);
		p->at += len;
		return *ret != NULL ? 0 : pgo_err_nomem(err);
	}
	pgo_buf_init(&b, MAX_VALUE);
	for (p->at++; *p->at != quote && *p->at != '\0'; p->at++) {
		if (p->at[0] == '\\' && (p->at[1] == quote || p->at[1] == '\\'))
			p->at++;
		pgo_buf_putc(&b, *p->at);
	}
	rc = pgo_buf_check(&b, "the value of a selector", err);
	if (rc == 0 && *p->at != quote)
		rc = wrong(p, "the closing quote is missing", err);
	if (rc == 0) {
		p->at++;
		*ret = pgo_strdup(b.data != NULL ? b.data : "");
		rc = *ret != NULL ? 0 : pgo_err_nomem(err);
	}
	pgo_buf_fini(&b);
	return rc;
}

static int compile(const struct parser *p, struct pgo_matcher *m, struct pgo_err *err)
{
	char *whole = pgo_asprintf("^(%s)$", m->value);
	char why[200];
	int rc;

	if (whole == NULL)
		return pgo_err_nomem(err);
	rc = regcomp(&m->re, whole, REG_EXTENDED | REG_NOSUB);
	pgo_free(whole);
	if (rc == 0)
		return 0;
	regerror(rc, &m->re, why, sizeof why);
	return pgo_err_set(err, PGO_EUSAGE,
		"selector '%s': '%s' is no extended regular expression: %s", p->text, m->value,
		why);
}

static int parse_one(struct parser *p, struct pgo_selection *s, struct pgo_err *err)
{
	struct pgo_matcher m = {.op = PGO_MATCH_IS}, *to;
	enum pgo_matcher_op op = PGO_MATCH_IS;
	int rc;

	skip_space(p);
	rc = parse_key(p, &m.key, err);
	if (rc == 0)
		rc = parse_op(p, &op, err);
	if (rc == 0)
		rc = parse_value(p, &m.value, err);
	if (rc == 0 && (op == PGO_MATCH_LIKE || op == PGO_MATCH_UNLIKE))
		rc = compile(p, &m, err);
	if (rc == 0) {
		m.op = op;
		to = PGO_VEC_PUSH(s->matchers, s->n_matchers, s->matchers_room);
		if (to != NULL)
			*to = m;
		else
			rc = pgo_err_nomem(err);
	}
	if (rc < 0)
		matcher_fini(&m);
	return rc;
}

int pgo_selection_add(struct pgo_selection *s, const char *text, struct pgo_err *err)
{
	struct parser p = {text, text};
	bool braces;
	int rc;

	skip_space(&p);
	braces = *p.at == '{';
	p.at += braces;
	for (;;) {
		rc = parse_one(&p, s, err);
		if (rc < 0)
			return rc;
		skip_space(&p);
		if (*p.at != ',')
			break;
		p.at++;
	}
	if (braces && *p.at != '}')
		return wrong(&p, "the closing brace is missing", err);
	p.at += braces;
	skip_space(&p);
	return *p.at == '\0' ? 0 : wrong(&p, "there is more after the value", err);
}

/* ---------------------------------------------------------------- matching */

static bool value_fits(const struct pgo_matcher *m, const char *value)
{
	if (m->op == PGO_MATCH_IS || m->op == PGO_MATCH_NOT)
		return strcmp(value, m->value) == 0;
	return regexec(&m->re, value, 0, NULL, 0) == 0;
}

static bool is_build(const struct pgo_matcher *m)
{
	return strcmp(m->key, "build_id") == 0;
}

static bool any_fits(const struct pgo_matcher *m, const struct pgo_record *r)
{
	const char *value;

	if (!is_build(m)) {
		value = pgo_record_get_label(r, m->key);
		return value_fits(m, value != NULL ? value : "");
	}
	for (size_t i = 0; i < r->n_build_ids; i++)
		if (value_fits(m, r->build_ids[i]))
			return true;
	return false;
}

static bool holds(const struct pgo_matcher *m, const struct pgo_record *r)
{
	bool negative = m->op == PGO_MATCH_NOT || m->op == PGO_MATCH_UNLIKE;

	return any_fits(m, r) != negative;
}

/* "cpu" is the type of "cpu/nanoseconds"; both spellings may be asked for. */
static bool is_type(const char *have, const char *want)
{
	size_t len = strlen(want);

	return strncmp(have, want, len) == 0 && (have[len] == '\0' || have[len] == '/');
}

/* What does not say its types (text that is read beside its program) may be of any. */
static bool type_fits(const struct pgo_selection *s, const struct pgo_record *r)
{
	if (s->n_types == 0 || r->n_sample_types == 0)
		return true;
	for (size_t i = 0; i < r->n_sample_types; i++)
		for (size_t k = 0; k < s->n_types; k++)
			if (is_type(r->sample_types[i], s->types[k]))
				return true;
	return false;
}

bool pgo_selection_takes(const struct pgo_selection *s, const struct pgo_record *r)
{
	if ((s->since_ns != 0 && r->time_ns < s->since_ns) ||
		(s->until_ns != 0 && r->time_ns >= s->until_ns) || !type_fits(s, r))
		return false;
	for (size_t i = 0; i < s->n_matchers; i++)
		if (!holds(&s->matchers[i], r))
			return false;
	return true;
}

bool pgo_selection_takes_build(const struct pgo_selection *s, const struct pgo_record *r)
{
	for (size_t i = 0; i < s->n_matchers; i++)
		if (is_build(&s->matchers[i]) && !holds(&s->matchers[i], r))
			return false;
	return true;
}

void pgo_matcher_write(const struct pgo_matcher *m, const char *key, struct pgo_buf *out)
{
	static const char *const ops[] = {"=", "!=", "=~", "!~"};

	pgo_buf_printf(out, "%s%s\"", key, ops[m->op]);
	for (const char *p = m->value; *p != '\0'; p++) {
		if (*p == '\n')
			pgo_buf_puts(out, "\\n");
		else if (*p == '"' || *p == '\\')
			pgo_buf_printf(out, "\\%c", *p);
		else
			pgo_buf_putc(out, *p);
	}
	pgo_buf_putc(out, '"');
}
