/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines to records.  A line's first character tells its format: '{' an object, a digit the
 * positional access-log form, a letter key=value pairs.  Fields go through a table of functions.
 * A line with a fault is counted, noted and left out; the rest of the file goes on.
 */
#include <string.h>

#include "quarry.h"

typedef int field_fn(struct q_parser *p, struct q_span s, int64_t *ret_v);

static int number(struct q_parser *p, struct q_span s, int64_t *ret_v)
{
	int64_t v = 0;

	if (s.n == 1 && s.p[0] == '-') { /* "none" in access logs */
		*ret_v = 0;
		return 1;
	}
	if (!s.n || s.n > 15) {
		q_diag_note(&p->diag, Q_BAD_NUMBER, s);
		return 0;
	}
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned)(unsigned char)s.p[i] - '0';
		if (d > 9) {
			q_diag_note(&p->diag, Q_BAD_NUMBER, s);
			return 0;
		}
		v = v * 10 + d;
	}
	*ret_v = v;
	return 1;
}

static int in_range(struct q_parser *p, struct q_span s, int64_t v, int64_t low, int64_t high)
{
	if (v >= low && v <= high)
		return 1;
	q_diag_note(&p->diag, Q_BAD_RANGE, s);
	return 0;
}

static int64_t days(int64_t y, int64_t m, int64_t d)
{
	y -= m <= 2;
	m += m > 2 ? -3 : 9;
	return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + d - 719469;
}

static int digits(const char *p, int n, int64_t *ret_v)
{
	int64_t v = 0;

	for (int i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return 0;
		v = v * 10 + (p[i] - '0');
	}
	*ret_v = v;
	return 1;
}

/* 2026-03-01T12:00:01.123Z or milliseconds */
static int time_field(struct q_parser *p, struct q_span s, int64_t *ret_v)
{
	int64_t y, mo, d, h, mi, sec, ms = 0;

	if (s.n < 20 || s.p[4] != '-') {
		if (!number(p, s, ret_v))
			return 0;
		return in_range(p, s, *ret_v, 0, INT64_C(4102444800000));
	}
	if (!digits(s.p, 4, &y) || !digits(s.p + 5, 2, &mo) || !digits(s.p + 8, 2, &d) ||
		!digits(s.p + 11, 2, &h) || !digits(s.p + 14, 2, &mi) ||
		!digits(s.p + 17, 2, &sec) || s.p[10] != 'T') {
		q_diag_note(&p->diag, Q_BAD_TIME, s);
		return 0;
	}
	if (s.p[19] == '.') {
		if (s.n < 24 || !digits(s.p + 20, 3, &ms)) {
			q_diag_note(&p->diag, Q_BAD_TIME, s);
			return 0;
		}
	}
	if (mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 || sec > 60) {
		q_diag_note(&p->diag, Q_BAD_TIME, s);
		return 0;
	}
	*ret_v = (((days(y, mo, d) * 24 + h) * 60 + mi) * 60 + sec) * 1000 + ms;
	return 1;
}

static int word_field(struct q_parser *p, struct q_span s, int64_t *ret_v)
{
	if (s.n > 200) {
		q_diag_note(&p->diag, Q_TOO_LONG, s);
		return 0;
	}
	*ret_v = q_dict_intern(p->dict, s);
	return 1;
}

static int op_field(struct q_parser *p, struct q_span s, int64_t *ret_v)
{
	char up[16];

	if (s.n >= sizeof(up) || !s.n) {
		q_diag_note(&p->diag, Q_TOO_LONG, s);
		return 0;
	}
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c >= 'a' && c <= 'z')
			c = (char)(c - 32);
		up[i] = c;
	}
	*ret_v = q_dict_intern(p->dict, (struct q_span){up, s.n});
	return 1;
}

static int hex(char c)
{
	static const char digit[] = "0123456789abcdefABCDEF";
	const char *at = c ? strchr(digit, c) : NULL;

	if (!at)
		return -1;
	return at - digit < 16 ? (int)(at - digit) : (int)(at - digit) - 6;
}

/* Percent escapes out, the query string off, doubled slashes away. */
static int path_field(struct q_parser *p, struct q_span s, int64_t *ret_v)
{
	char clean[256];
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '?' || c == '#')
			break;
		if (c == '%') {
			int hi = i + 2 < s.n ? hex(s.p[i + 1]) : -1;
			int lo = i + 2 < s.n ? hex(s.p[i + 2]) : -1;
			if (hi < 0 || lo < 0) {
				q_diag_note(&p->diag, Q_BAD_ESCAPE, s);
				return 0;
			}
			c = (char)(hi << 4 | lo);
			i += 2;
		}
		if (c == '/' && n && clean[n - 1] == '/')
			continue;
		if (n == sizeof(clean)) {
			q_diag_note(&p->diag, Q_TOO_LONG, s);
			return 0;
		}
		clean[n++] = c;
	}
	*ret_v = q_dict_intern(p->dict, (struct q_span){clean, n});
	return 1;
}

static int status_field(struct q_parser *p, struct q_span s, int64_t *ret_v)
{
	return number(p, s, ret_v) && in_range(p, s, *ret_v, 0, 599);
}

static int bytes_field(struct q_parser *p, struct q_span s, int64_t *ret_v)
{
	int64_t unit = 1;

	if (s.n > 1) {
		switch (s.p[s.n - 1]) {
		case 'k':
			unit = 1024;
			break;
		case 'M':
			unit = 1024 * 1024;
			break;
		}
		if (unit > 1)
			s.n--;
	}
	if (!number(p, s, ret_v))
		return 0;
	*ret_v *= unit;
	return in_range(p, s, *ret_v, 0, INT64_C(1) << 40);
}

/* "12.75ms", "300us", "2s", or bare microseconds */
static int dur_field(struct q_parser *p, struct q_span s, int64_t *ret_v)
{
	int64_t whole = 0, part = 0, scale = 1, unit = 1;
	size_t i = 0;

	for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
		whole = whole * 10 + (s.p[i] - '0');
		if (whole > INT64_C(1000000000000)) {
			q_diag_note(&p->diag, Q_BAD_RANGE, s);
			return 0;
		}
	}
	if (i && i < s.n && s.p[i] == '.')
		for (i++; i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && scale < 1000000; i++) {
			part = part * 10 + (s.p[i] - '0');
			scale *= 10;
		}
	if (s.n - i == 2 && s.p[i + 1] == 's')
		unit = s.p[i] == 'm' ? 1000 : s.p[i] == 'u' ? 1 : 0;
	else if (s.n - i == 1 && s.p[i] == 's')
		unit = 1000000;
	else if (i != s.n)
		unit = 0;
	if (!s.n || !unit) {
		q_diag_note(&p->diag, Q_BAD_NUMBER, s);
		return 0;
	}
	*ret_v = whole * unit + part * unit / scale;
	return 1;
}

static field_fn *const field_table[Q_N_FIELDS] = {
	[Q_TIME] = time_field,
	[Q_HOST] = word_field,
	[Q_OP] = op_field,
	[Q_PATH] = path_field,
	[Q_ROUTE] = word_field,
	[Q_USER] = word_field,
	[Q_STATUS] = status_field,
	[Q_BYTES] = bytes_field,
	[Q_DUR] = dur_field,
};

static int set(
	struct q_parser *p, struct q_record *r, unsigned *seen, enum q_field f, struct q_span s)
{
	if (*seen & 1u << f) {
		q_diag_note(&p->diag, Q_BAD_KEY, s);
		return 0;
	}
	*seen |= 1u << f;
	return field_table[f](p, s, &r->v[f]);
}

/* The formats spell the fields differently; the length and first letter are enough. */
static int key(struct q_span s)
{
	static const char *const long_key[Q_N_FIELDS] = {
		[Q_TIME] = "ts",
		[Q_HOST] = "host",
		[Q_OP] = "op",
		[Q_PATH] = "path",
		[Q_USER] = "user",
		[Q_STATUS] = "status",
		[Q_BYTES] = "bytes",
		[Q_DUR] = "dur",
		[Q_ROUTE] = "?",
	};

	if (s.n == 1) {
		switch (s.p[0]) {
		case 't':
			return Q_TIME;
		case 'h':
			return Q_HOST;
		case 'o':
			return Q_OP;
		case 'p':
			return Q_PATH;
		case 'u':
			return Q_USER;
		case 's':
			return Q_STATUS;
		case 'n':
			return Q_BYTES;
		case 'd':
			return Q_DUR;
		}
		return -1;
	}
	for (int f = 0; f < Q_N_FIELDS; f++)
		if (s.n == strlen(long_key[f]) && memcmp(s.p, long_key[f], s.n) == 0)
			return f;
	return -1;
}

static int access_line(struct q_parser *p, struct q_span line, struct q_record *r, unsigned *seen)
{
	static const enum q_field order[] = {
		Q_TIME, Q_HOST, Q_OP, Q_PATH, Q_STATUS, Q_BYTES, Q_DUR};
	struct q_lex l;
	struct q_tok t;

	q_lex_init(&l, line, &p->diag);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		struct q_span w = q_lex_word(&l);
		if (!w.n) {
			q_diag_note(&p->diag, Q_MISSING, line);
			return 0;
		}
		if (!set(p, r, seen, order[i], w))
			return 0;
	}
	switch (q_lex_next(&l, &t)) {
	case Q_T_STRING:
	case Q_T_WORD:
		return set(p, r, seen, Q_USER, t.text);
	case Q_T_END:
		return 1;
	default:
		return 0;
	}
}

static int pairs_line(struct q_parser *p, struct q_span line, struct q_record *r, unsigned *seen)
{
	struct q_lex l;
	struct q_tok t;

	q_lex_init(&l, line, &p->diag);
	for (;;) {
		struct q_span name, value;
		int f;

		if (q_lex_next(&l, &t) == Q_T_END)
			return 1;
		name = t.text;
		if (t.kind != Q_T_WORD || q_lex_next(&l, &t) != Q_T_PUNCT || t.punct != '=') {
			q_diag_note(&p->diag, Q_BAD_KEY, line);
			return 0;
		}
		if (l.p < l.end && *l.p == '"') {
			if (q_lex_next(&l, &t) != Q_T_STRING)
				return 0;
			value = t.text;
		} else {
			value = q_lex_word(&l);
		}
		f = key(name);
		if (f < 0) /* keys we do not know are allowed here */
			continue;
		if (!set(p, r, seen, (enum q_field)f, value))
			return 0;
	}
}

static int object_line(struct q_parser *p, struct q_span line, struct q_record *r, unsigned *seen)
{
	struct q_lex l;
	struct q_tok t;

	q_lex_init(&l, line, &p->diag);
	q_lex_next(&l, &t); /* the brace that brought us here */
	for (;;) {
		int f;

		if (q_lex_next(&l, &t) != Q_T_STRING) {
			if (t.kind != Q_T_BAD)
				q_diag_note(&p->diag, Q_BAD_KEY, line);
			return 0;
		}
		f = key(t.text);
		if (q_lex_next(&l, &t) != Q_T_PUNCT || t.punct != ':') {
			q_diag_note(&p->diag, Q_BAD_KEY, line);
			return 0;
		}
		q_lex_next(&l, &t);
		if (t.kind != Q_T_STRING && t.kind != Q_T_NUMBER) {
			q_diag_note(&p->diag, Q_MISSING, line);
			return 0;
		}
		if (f >= 0 && !set(p, r, seen, (enum q_field)f, t.text))
			return 0;
		if (q_lex_next(&l, &t) != Q_T_PUNCT) {
			q_diag_note(&p->diag, Q_BAD_QUOTE, line);
			return 0;
		}
		if (t.punct == '}')
			return 1;
		if (t.punct != ',') {
			q_diag_note(&p->diag, Q_BAD_KEY, line);
			return 0;
		}
	}
}

static void finish(struct q_parser *p, struct q_record *r)
{
	char route[128];
	struct q_span path = q_dict_text(p->dict, (uint32_t)r->v[Q_PATH]);
	size_t n = q_router_match(p->router, path, route, sizeof(route));

	r->v[Q_ROUTE] = q_dict_intern(p->dict, (struct q_span){route, n});
	if (r->v[Q_TIME] < p->last_time)
		q_diag_note(&p->diag, Q_OUT_OF_ORDER, path);
	else
		p->last_time = r->v[Q_TIME];
	p->n_records++;
	p->sink(p->ctx, r);
}

static void parse_line(struct q_parser *p, struct q_span line)
{
	const unsigned need = 1u << Q_TIME | 1u << Q_HOST | 1u << Q_OP | 1u << Q_PATH;
	struct q_record r = {{0}};
	unsigned seen = 0;
	int ok;

	p->diag.line = ++p->n_lines;
	if (!line.n || line.p[0] == '#') {
		p->n_skipped++;
		return;
	}
	if (line.p[0] == '{')
		ok = object_line(p, line, &r, &seen);
	else if (line.p[0] >= '0' && line.p[0] <= '9')
		ok = access_line(p, line, &r, &seen);
	else
		ok = pairs_line(p, line, &r, &seen);
	if (ok && (seen & need) != need) {
		q_diag_note(&p->diag, Q_MISSING, line);
		ok = 0;
	}
	if (!ok) {
		p->n_skipped++;
		return;
	}
	finish(p, &r);
}

void q_parse_text(struct q_parser *p, struct q_span text)
{
	const char *at = text.p, *end = text.p + text.n;

	while (at < end) {
		const char *nl = at;

		while (nl < end && *nl != '\n')
			nl++;
		parse_line(p, (struct q_span){at, (size_t)(nl - at)});
		at = nl + 1;
	}
}
