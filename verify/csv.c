/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/csv.h"

#include "pgo/core/vec.h"

#include <stdbool.h>
#include <strings.h>

struct parser {
	struct pgo_csv *c;
	const char *name, *text;
	size_t len, at, line;
	char *out;
};

static bool at_end_of_line(const struct parser *p)
{
	return p->at >= p->len || p->text[p->at] == '\n' ||
	       (p->text[p->at] == '\r' && (p->at + 1 >= p->len || p->text[p->at + 1] == '\n'));
}

static void next_line(struct parser *p)
{
	if (p->at < p->len && p->text[p->at] == '\r')
		p->at++;
	if (p->at < p->len)
		p->at++;
	p->line++;
}

static int put(struct parser *p, char c, struct pgo_err *err)
{
	if (c == '\0')
		return pgo_err_set(err, PGO_EFORMAT, "%s, line %zu: there is a NUL byte in it",
			p->name, p->line);
	*p->out++ = c;
	return 0;
}

static int quoted(struct parser *p, struct pgo_err *err)
{
	size_t start = p->line;

	for (p->at++; p->at < p->len; p->at++) {
		char c = p->text[p->at];

		if (c == '"' && (p->at + 1 >= p->len || p->text[p->at + 1] != '"')) {
			p->at++;
			return 0;
		}
		p->at += c == '"';
		p->line += c == '\n';
		if (put(p, c, err) < 0)
			return (int)err->code;
	}
	return pgo_err_set(
		err, PGO_EFORMAT, "%s, line %zu: a quoted field does not end", p->name, start);
}

/* One field up to a comma or the end of the line. */
static int take_field(struct parser *p, struct pgo_err *err)
{
	char **slot = PGO_VEC_PUSH(p->c->field, p->c->fields, p->c->fields_room);
	int rc = 0;

	if (slot == NULL)
		return pgo_err_nomem(err);
	*slot = p->out;
	if (p->at < p->len && p->text[p->at] == '"') {
		rc = quoted(p, err);
		if (rc == 0 && !at_end_of_line(p) && p->text[p->at] != ',')
			rc = pgo_err_set(err, PGO_EFORMAT,
				"%s, line %zu: there is text after the closing quote of a field",
				p->name, p->line);
	} else {
		while (rc == 0 && !at_end_of_line(p) && p->text[p->at] != ',') {
			if (p->text[p->at] == '"')
				return pgo_err_set(err, PGO_EFORMAT,
					"%s, line %zu: there is a quote inside a field that does "
					"not "
					"begin with one",
					p->name, p->line);
			rc = put(p, p->text[p->at++], err);
		}
	}
	*p->out++ = '\0';
	return rc;
}

static int take_row(struct parser *p, struct pgo_err *err)
{
	size_t *line = PGO_VEC_PUSH(p->c->line, p->c->n_rows, p->c->lines_room);
	size_t first = p->c->fields, n;
	int rc;

	if (line == NULL)
		return pgo_err_nomem(err);
	*line = p->line;
	while ((rc = take_field(p, err)) == 0 && !at_end_of_line(p))
		p->at++; /* the comma */
	if (rc < 0)
		return rc;
	n = p->c->fields - first;
	if (p->c->n_rows == 1)
		p->c->n_columns = n;
	if (n != p->c->n_columns)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s, line %zu: there are %zu fields, the header has %zu", p->name, *line, n,
			p->c->n_columns);
	next_line(p);
	return 0;
}

int pgo_csv_parse(
	struct pgo_csv *ret, const char *name, const char *text, size_t len, struct pgo_err *err)
{
	struct parser p = {.c = ret, .name = name, .text = text, .len = len, .line = 1};
	int rc = 0;

	memset(ret, 0, sizeof *ret);
	/* Every byte is written at most once, every field adds a NUL in place of what ended it. */
	ret->text = p.out = pgo_malloc(len + 2);
	if (ret->text == NULL)
		return pgo_err_nomem(err);
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		p.at = 3;
	while (p.at < len && rc == 0) {
		if (at_end_of_line(&p)) {
			next_line(&p);
		} else if (text[p.at] == '#') {
			while (p.at < len && text[p.at] != '\n')
				p.at++;
			next_line(&p);
		} else {
			rc = take_row(&p, err);
		}
	}
	if (rc == 0 && ret->n_rows == 0)
		rc = pgo_err_set(
			err, PGO_EFORMAT, "%s is empty: a header and rows are wanted", name);
	if (rc < 0)
		pgo_csv_fini(ret);
	return rc;
}

void pgo_csv_fini(struct pgo_csv *c)
{
	pgo_free(c->text);
	pgo_free(c->field);
	pgo_free(c->line);
	memset(c, 0, sizeof *c);
}

size_t pgo_csv_column(const struct pgo_csv *c, const char *name)
{
	size_t i = 0;

	while (i < c->n_columns && strcasecmp(pgo_csv_at(c, 0, i), name) != 0)
		i++;
	return i;
}
