/* SPDX-License-Identifier: Apache-2.0 */
/* The lexer.  One table says what each byte is; a switch over it finds the end of a token. */
#include <string.h>

#include "quarry.h"

enum { OTHER, BLANK, DIGIT, LETTER, QUOTE, RELATION, PUNCT };

static const uint8_t class_table[256] = {
	['\t'] = BLANK,
	['\r'] = BLANK,
	[' '] = BLANK,
	['!'] = RELATION,
	['"'] = QUOTE,
	['#' ... '-'] = PUNCT,
	['.' ... '/'] = LETTER,
	['0' ... '9'] = DIGIT,
	[':' ... ';'] = PUNCT,
	['<' ... '>'] = RELATION,
	['?' ... '@'] = PUNCT,
	['A' ... 'Z'] = LETTER,
	['[' ... '^'] = PUNCT,
	['_'] = LETTER,
	['`'] = PUNCT,
	['a' ... 'z'] = LETTER,
	['{' ... '~'] = PUNCT,
};

static unsigned class_of(unsigned char c)
{
	return class_table[c];
}

static const char *skip(const char *p, const char *end)
{
	while (p < end && class_of((unsigned char)*p) == BLANK)
		p++;
	return p;
}

static int hex(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \uXXXX as UTF-8; returns the bytes written, 0 if it is malformed. */
static unsigned unicode(const char *p, const char *end, char *out)
{
	unsigned v = 0;

	if (end - p < 4)
		return 0;
	for (int i = 0; i < 4; i++) {
		int d = hex((unsigned char)p[i]);
		if (d < 0)
			return 0;
		v = v << 4 | (unsigned)d;
	}
	if (v < 0x80) {
		out[0] = (char)v;
		return 1;
	}
	if (v < 0x800) {
		out[0] = (char)(0xc0 | v >> 6);
		out[1] = (char)(0x80 | (v & 63));
		return 2;
	}
	out[0] = (char)(0xe0 | v >> 12);
	out[1] = (char)(0x80 | (v >> 6 & 63));
	out[2] = (char)(0x80 | (v & 63));
	return 3;
}

/* A string from its first character to the quote; copied only from the first escape on. */
static enum q_tok_kind string(struct q_lex *l, struct q_tok *t)
{
	const char *start = l->p, *p = start;
	size_t n = 0;
	int copied = 0;

	for (; p < l->end; p++) {
		unsigned w = 1;
		char c = *p, wide[3] = {c};

		if (c == '"') {
			t->text = copied ? (struct q_span){l->buf, n}
					 : (struct q_span){start, (size_t)(p - start)};
			l->p = p + 1;
			return t->kind = Q_T_STRING;
		}
		if (c == '\\') {
			if (!copied) {
				n = (size_t)(p - start);
				if (n > sizeof(l->buf) - 4)
					n = sizeof(l->buf) - 4;
				memcpy(l->buf, start, n);
				copied = 1;
			}
			if (++p == l->end)
				break;
			switch (*p) {
			case 'n':
				wide[0] = '\n';
				break;
			case 't':
				wide[0] = '\t';
				break;
			case '"':
			case '\\':
			case '/':
				wide[0] = *p;
				break;
			case 'u':
				w = unicode(p + 1, l->end, wide);
				if (w) {
					p += 4;
					break;
				}
				/* fall through */
			default:
				q_diag_note(l->diag, Q_BAD_ESCAPE,
					(struct q_span){start, (size_t)(p - start)});
				w = 1;
				wide[0] = '?';
			}
		}
		if (copied) {
			if (n + w > sizeof(l->buf)) {
				q_diag_note(l->diag, Q_TOO_LONG,
					(struct q_span){start, (size_t)(p - start)});
				return t->kind = Q_T_BAD;
			}
			for (unsigned i = 0; i < w; i++)
				l->buf[n++] = wide[i];
		}
	}
	q_diag_note(l->diag, Q_BAD_QUOTE, (struct q_span){start, (size_t)(l->end - start)});
	l->p = l->end;
	return t->kind = Q_T_BAD;
}

static enum q_tok_kind number(struct q_lex *l, struct q_tok *t)
{
	const char *p = l->p;
	uint64_t v = 0;

	while (p < l->end && class_of((unsigned char)*p) == DIGIT) {
		if (v > (uint64_t)INT64_MAX / 10 - 1) {
			q_diag_note(
				l->diag, Q_BAD_NUMBER, (struct q_span){l->p, (size_t)(p - l->p)});
			return t->kind = Q_T_BAD;
		}
		v = v * 10 + (uint64_t)(*p++ - '0');
	}
	t->number = (int64_t)v;
	t->text = (struct q_span){l->p, (size_t)(p - l->p)};
	/* "12ms", "10.1.2.3", "web-3": whatever goes on with letters was a word after all */
	if (p < l->end && class_of((unsigned char)*p) == LETTER && *p != '/') {
		while (p < l->end && (class_of((unsigned char)*p) == LETTER ||
					     class_of((unsigned char)*p) == DIGIT))
			p++;
		t->text.n = (size_t)(p - t->text.p);
		l->p = p;
		return t->kind = Q_T_WORD;
	}
	l->p = p;
	return t->kind = Q_T_NUMBER;
}

void q_lex_init(struct q_lex *l, struct q_span text, struct q_diag *diag)
{
	l->p = text.p;
	l->end = text.p + text.n;
	l->diag = diag;
}

struct q_span q_lex_word(struct q_lex *l)
{
	const char *p = skip(l->p, l->end);
	struct q_span s = {p, 0};

	while (p < l->end && class_of((unsigned char)*p) != BLANK)
		p++;
	s.n = (size_t)(p - s.p);
	l->p = p;
	return s;
}

enum q_tok_kind q_lex_next(struct q_lex *l, struct q_tok *t)
{
	const char *p = skip(l->p, l->end);

	l->p = p;
	t->punct = 0;
	if (p == l->end)
		return t->kind = Q_T_END;
	switch (class_of((unsigned char)*p)) {
	case DIGIT:
		return number(l, t);
	case LETTER:
		while (p < l->end && (class_of((unsigned char)*p) == LETTER ||
					     class_of((unsigned char)*p) == DIGIT || *p == '-'))
			p++;
		t->text = (struct q_span){l->p, (size_t)(p - l->p)};
		l->p = p;
		return t->kind = Q_T_WORD;
	case QUOTE:
		l->p = p + 1;
		return string(l, t);
	case RELATION:
		t->punct = *p++;
		if (p < l->end && *p == '=') {
			t->punct += 256;
			p++;
		}
		l->p = p;
		return t->kind = Q_T_PUNCT;
	case PUNCT:
		t->punct = *p;
		l->p = p + 1;
		return t->kind = Q_T_PUNCT;
	default:
		q_diag_note(l->diag, Q_BAD_KEY, (struct q_span){p, 1});
		l->p = p + 1;
		return t->kind = Q_T_BAD;
	}
}
