/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/json.h"

#include "pgo/core/alloc.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- out */

#define DEPTH_MAX 63

void pgo_json_init(struct pgo_json *j, struct pgo_buf *out, bool compact)
{
	memset(j, 0, sizeof *j);
	j->out = out;
	j->compact = compact;
}

static void newline(struct pgo_json *j)
{
	if (j->compact)
		return;
	pgo_buf_putc(j->out, '\n');
	for (unsigned i = 0; i < j->depth; i++)
		pgo_buf_puts(j->out, "  ");
}

/* What stands between the previous item and this one. */
static void before_item(struct pgo_json *j)
{
	if (j->after_key) {
		j->after_key = false;
		return;
	}
	if (j->depth == 0)
		return;
	if (j->has_item >> j->depth & 1)
		pgo_buf_putc(j->out, ',');
	j->has_item |= (uint64_t)1 << j->depth;
	newline(j);
}

static void open_level(struct pgo_json *j, char bracket)
{
	before_item(j);
	assert(j->depth < DEPTH_MAX);
	pgo_buf_putc(j->out, bracket);
	j->depth++;
	j->has_item &= ~((uint64_t)1 << j->depth);
}

static void close_level(struct pgo_json *j, char bracket)
{
	bool any = j->has_item >> j->depth & 1;

	assert(j->depth != 0 && !j->after_key);
	j->depth--;
	if (any)
		newline(j);
	pgo_buf_putc(j->out, bracket);
}

void pgo_json_object(struct pgo_json *j)
{
	open_level(j, '{');
}

void pgo_json_array(struct pgo_json *j)
{
	open_level(j, '[');
}

void pgo_json_end_object(struct pgo_json *j)
{
	close_level(j, '}');
}

void pgo_json_end_array(struct pgo_json *j)
{
	close_level(j, ']');
}

/* Length of the well-formed UTF-8 sequence at `p` (ends at a NUL), or 0. */
static size_t utf8_len(const unsigned char *p)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80       ? 1
		   : p[0] >> 5 == 6  ? 2
		   : p[0] >> 4 == 14 ? 3
		   : p[0] >> 3 == 30 ? 4
				     : 0;
	uint32_t c;

	if (n <= 1)
		return n;
	c = p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
}

static void put_escape(struct pgo_buf *out, unsigned char c)
{
	switch (c) {
	case '"':
		pgo_buf_puts(out, "\\\"");
		break;
	case '\\':
		pgo_buf_puts(out, "\\\\");
		break;
	case '\n':
		pgo_buf_puts(out, "\\n");
		break;
	case '\t':
		pgo_buf_puts(out, "\\t");
		break;
	case '\r':
		pgo_buf_puts(out, "\\r");
		break;
	default:
		pgo_buf_printf(out, "\\u%04x", c);
	}
}

static void put_string(struct pgo_buf *out, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	const unsigned char *plain = p; /* start of what needs no change */

	pgo_buf_putc(out, '"');
	while (*p != '\0') {
		size_t n = utf8_len(p);

		if (n != 0 && *p >= 0x20 && *p != '"' && *p != '\\' && *p != 0x7f) {
			p += n;
			continue;
		}
		pgo_buf_add(out, plain, (size_t)(p - plain));
		if (n == 0)
			pgo_buf_puts(out, "\\ufffd");
		else
			put_escape(out, *p);
		plain = ++p;
	}
	pgo_buf_add(out, plain, (size_t)(p - plain));
	pgo_buf_putc(out, '"');
}

void pgo_json_key(struct pgo_json *j, const char *key)
{
	assert(j->depth != 0 && !j->after_key);
	before_item(j);
	put_string(j->out, key);
	pgo_buf_puts(j->out, j->compact ? ":" : ": ");
	j->after_key = true;
}

void pgo_json_str(struct pgo_json *j, const char *s)
{
	if (s == NULL) {
		pgo_json_null(j);
		return;
	}
	before_item(j);
	put_string(j->out, s);
}

void pgo_json_u64(struct pgo_json *j, uint64_t v)
{
	before_item(j);
	pgo_buf_printf(j->out, "%" PRIu64, v);
}

void pgo_json_i64(struct pgo_json *j, int64_t v)
{
	before_item(j);
	pgo_buf_printf(j->out, "%" PRId64, v);
}

void pgo_json_double(struct pgo_json *j, double v)
{
	char text[32];

	if (!isfinite(v)) {
		pgo_json_null(j);
		return;
	}
	before_item(j);
	/* printf takes the decimal point from the locale; put ours in its place. */
	snprintf(text, sizeof text, "%.9g", v);
	for (char *p = text; *p != '\0'; p++)
		if (strchr("0123456789+-e.", *p) == NULL)
			*p = '.';
	pgo_buf_puts(j->out, text);
}

void pgo_json_bool(struct pgo_json *j, bool v)
{
	before_item(j);
	pgo_buf_puts(j->out, v ? "true" : "false");
}

void pgo_json_null(struct pgo_json *j)
{
	before_item(j);
	pgo_buf_puts(j->out, "null");
}

void pgo_json_kv_str(struct pgo_json *j, const char *key, const char *s)
{
	pgo_json_key(j, key);
	pgo_json_str(j, s);
}

void pgo_json_kv_u64(struct pgo_json *j, const char *key, uint64_t v)
{
	pgo_json_key(j, key);
	pgo_json_u64(j, v);
}

void pgo_json_kv_i64(struct pgo_json *j, const char *key, int64_t v)
{
	pgo_json_key(j, key);
	pgo_json_i64(j, v);
}

void pgo_json_kv_double(struct pgo_json *j, const char *key, double v)
{
	pgo_json_key(j, key);
	pgo_json_double(j, v);
}

void pgo_json_kv_bool(struct pgo_json *j, const char *key, bool v)
{
	pgo_json_key(j, key);
	pgo_json_bool(j, v);
}

void pgo_json_finish(struct pgo_json *j)
{
	assert(j->depth == 0 && !j->after_key);
	pgo_buf_putc(j->out, '\n');
}

/* ---------------------------------------------------------------- in */

/* A struct pgo_jval is a json_t under another name; nothing looks inside but these functions. */
static const json_t *peek(const struct pgo_jval *v)
{
	return (const json_t *)(const void *)v;
}

static const struct pgo_jval *dress(const json_t *v)
{
	return (const struct pgo_jval *)(const void *)v;
}

struct pgo_jval *pgo_jdoc_parse(const char *name, const char *text, size_t len, struct pgo_err *err)
{
	/* jansson bounds the depth itself (2048 by default). */
	json_error_t why;
	json_t *doc = json_loadb(
		text != NULL ? text : "", len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);

	if (doc != NULL)
		return (struct pgo_jval *)(void *)doc;
	if (json_error_code(&why) == json_error_out_of_memory)
		pgo_err_nomem(err);
	else
		pgo_err_set(err, PGO_EFORMAT, "%s: line %d, column %d: not valid JSON: %s", name,
			why.line, why.column, why.text);
	return NULL;
}

void pgo_jdoc_free(struct pgo_jval *doc)
{
	json_decref((json_t *)(void *)doc);
}

const struct pgo_jval *pgo_jval_get(const struct pgo_jval *v, const char *key)
{
	return dress(json_object_get(peek(v), key));
}

const struct pgo_jval *pgo_jval_member(const struct pgo_jval *v, size_t i, const char **ret_key)
{
	/* jansson's iterators take what is not const, and change nothing. */
	json_t *object = (json_t *)(uintptr_t)v;
	void *at = json_object_iter(object);

	while (at != NULL && i-- > 0)
		at = json_object_iter_next(object, at);
	if (at == NULL)
		return NULL;
	*ret_key = json_object_iter_key(at);
	return dress(json_object_iter_value(at));
}

size_t pgo_jval_len(const struct pgo_jval *v)
{
	return json_array_size(peek(v));
}

const struct pgo_jval *pgo_jval_at(const struct pgo_jval *v, size_t i)
{
	return dress(json_array_get(peek(v), i));
}

const char *pgo_jval_str(const struct pgo_jval *v, const char *or_else)
{
	const char *s = json_string_value(peek(v));

	return s != NULL ? s : or_else;
}

int64_t pgo_jval_i64(const struct pgo_jval *v, int64_t or_else)
{
	return json_is_integer(peek(v)) ? json_integer_value(peek(v)) : or_else;
}

double pgo_jval_double(const struct pgo_jval *v, double or_else)
{
	return json_is_number(peek(v)) ? json_number_value(peek(v)) : or_else;
}

bool pgo_jval_bool(const struct pgo_jval *v, bool or_else)
{
	return json_is_boolean(peek(v)) ? json_is_true(peek(v)) : or_else;
}

bool pgo_jval_is_null(const struct pgo_jval *v)
{
	return json_is_null(peek(v));
}

void pgo_json_copy(struct pgo_json *j, const struct pgo_jval *v)
{
	const json_t *t = peek(v);
	const struct pgo_jval *member;
	const char *key;

	switch (t != NULL && j->depth + 1 < DEPTH_MAX ? json_typeof(t) : JSON_NULL) {
	case JSON_OBJECT:
		pgo_json_object(j);
		for (size_t i = 0; (member = pgo_jval_member(v, i, &key)) != NULL; i++) {
			pgo_json_key(j, key);
			pgo_json_copy(j, member);
		}
		pgo_json_end_object(j);
		break;
	case JSON_ARRAY:
		pgo_json_array(j);
		for (size_t i = 0; i < pgo_jval_len(v); i++)
			pgo_json_copy(j, pgo_jval_at(v, i));
		pgo_json_end_array(j);
		break;
	case JSON_STRING:
		pgo_json_str(j, json_string_value(t));
		break;
	case JSON_INTEGER:
		pgo_json_i64(j, json_integer_value(t));
		break;
	case JSON_REAL:
		pgo_json_double(j, json_real_value(t));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		pgo_json_bool(j, json_is_true(t));
		break;
	case JSON_NULL:
		pgo_json_null(j);
		break;
	}
}
