/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of Pyroscope, by their field numbers. */
#include "fetch/pbwire.h"
#include "fetch/pyroscope.h"
#include "pgo/core/inflate.h"
#include "pgo/core/vec.h"

#include <string.h>

#define ROWS_MAX ((size_t)512 << 20) /* bytes of labels in all replies together */

/* ---------------------------------------------------------------- requests */

void pgo_pyro_series_ask(struct pgo_buf *b, const char *selector, const char *const *names,
	size_t n_names, int64_t from_ms, int64_t to_ms)
{
	if (selector != NULL)
		pgo_pb_string(b, 1, selector);
	for (size_t i = 0; i < n_names; i++)
		pgo_pb_string(b, 2, names[i]);
	pgo_pb_int(b, 3, from_ms);
	pgo_pb_int(b, 4, to_ms);
}

/*
 * The server adds up what lies between start, start + step, ..., end and stamps each sum with the
 * end of its step; the first one is of what lies before the start (the newer storage) or on it (the
 * older).  So it is given the millisecond before as the start and all the rest as one step, and sums
 * that are stamped earlier than the range are not taken (parse_point).  The step is a floating
 * number of seconds that becomes whole milliseconds by cutting off: hence a little more.
 */
void pgo_pyro_sums_ask(struct pgo_buf *b, const char *type_id, const char *selector,
	const char *const *group_by, size_t n_group_by, int64_t from_ms, int64_t to_ms)
{
	pgo_pb_string(b, 1, type_id);
	pgo_pb_string(b, 2, selector);
	pgo_pb_int(b, 3, from_ms - 1);
	pgo_pb_int(b, 4, to_ms);
	for (size_t i = 0; i < n_group_by; i++)
		pgo_pb_string(b, 5, group_by[i]);
	pgo_pb_double(b, 6, (double)(to_ms - from_ms + 1) / 1000.0 + 1e-7);
}

void pgo_pyro_merge_ask(struct pgo_buf *b, enum pgo_pyro_how how, const char *type_id,
	const char *selector, int64_t from_ms, int64_t to_ms)
{
	pgo_pb_string(b, 1, type_id);
	pgo_pb_string(b, 2, selector);
	pgo_pb_int(b, 3, from_ms);
	pgo_pb_int(b, 4, to_ms);
	if (how == PGO_PYRO_PROBE)
		pgo_pb_int(b, 5, 1); /* max_nodes */
	if (how != PGO_PYRO_PROFILE)
		pgo_pb_int(b, 6, 4); /* PROFILE_FORMAT_PPROF */
}

static bool is_plain_name(const char *s)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

	return s[0] != '\0' && (s[0] < '0' || s[0] > '9') && s[strspn(s, letters)] == '\0';
}

static void quoted(struct pgo_buf *b, const char *s)
{
	pgo_buf_putc(b, '"');
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			pgo_buf_putc(b, '\\');
		if (*s == '\n')
			pgo_buf_puts(b, "\\n");
		else
			pgo_buf_putc(b, *s);
	}
	pgo_buf_putc(b, '"');
}

void pgo_pyro_matcher(struct pgo_buf *b, const char *name, const char *op, const char *value)
{
	if (is_plain_name(name))
		pgo_buf_puts(b, name);
	else
		quoted(b, name);
	pgo_buf_puts(b, op);
	quoted(b, value);
}

/* ---------------------------------------------------------------- rows */

void pgo_pyro_rows_init(struct pgo_pyro_rows *r)
{
	memset(r, 0, sizeof *r);
	pgo_arena_init(&r->arena, ROWS_MAX);
}

void pgo_pyro_rows_fini(struct pgo_pyro_rows *r)
{
	pgo_arena_fini(&r->arena);
	pgo_free(r->of);
	r->of = NULL;
	r->n = r->room = 0;
}

const char *pgo_pyro_row_get(const struct pgo_pyro_row *r, const char *name)
{
	for (size_t i = 0; i < r->n_labels; i++)
		if (strcmp(r->labels[i].key, name) == 0)
			return r->labels[i].value;
	return "";
}

static int damaged(struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EFORMAT,
		"the reply is cut off or damaged: it is no message of Pyroscope's interface");
}

static char *text_of(struct pgo_pyro_rows *r, struct pgo_wire in)
{
	return pgo_arena_strndup(&r->arena, (const char *)in.p, (size_t)(in.end - in.p));
}

/* {name 1, value 2} */
static int parse_label(
	struct pgo_pyro_rows *r, struct pgo_wire in, struct pgo_kv *to, struct pgo_err *err)
{
	struct pgo_wire name = {in.p, in.p}, value = {in.p, in.p};
	struct pgo_wire_field f;

	while (in.p < in.end) {
		if (!pgo_wire_next(&in, &f))
			return damaged(err);
		if (pgo_pb_is(&f, 1, PGO_WIRE_BYTES))
			name = f.in;
		else if (pgo_pb_is(&f, 2, PGO_WIRE_BYTES))
			value = f.in;
	}
	to->key = text_of(r, name);
	to->value = text_of(r, value);
	return to->key != NULL && to->value != NULL ? 0 : pgo_err_nomem(err);
}

/* {value 1: double, timestamp 2} */
static int parse_point(struct pgo_wire in, int64_t from_ms, double *sum, struct pgo_err *err)
{
	struct pgo_wire_field f;
	int64_t at_ms = 0;
	double value = 0;

	while (in.p < in.end) {
		if (!pgo_wire_next(&in, &f))
			return damaged(err);
		if (pgo_pb_is(&f, 1, PGO_WIRE_FIXED64))
			value = pgo_pb_as_double(&f);
		else if (pgo_pb_is(&f, 2, PGO_WIRE_VARINT))
			at_ms = (int64_t)f.v;
	}
	if (at_ms >= from_ms && value > 0)
		*sum += value;
	return 0;
}

static size_t count_labels(struct pgo_wire in)
{
	struct pgo_wire_field f;
	size_t n = 0;

	while (in.p < in.end && pgo_wire_next(&in, &f))
		n += pgo_pb_is(&f, 1, PGO_WIRE_BYTES);
	return n;
}

/* {labels 1: repeated, points 2: repeated} */
static int parse_row(struct pgo_pyro_rows *r, struct pgo_wire in, struct pgo_err *err)
{
	struct pgo_pyro_row row = {0};
	struct pgo_pyro_row *to;
	struct pgo_wire_field f;
	int rc = 0;

	row.labels = pgo_arena_zalloc(&r->arena, count_labels(in) + 1, sizeof *row.labels);
	if (row.labels == NULL)
		return pgo_err_nomem(err);
	while (in.p < in.end && rc == 0) {
		if (!pgo_wire_next(&in, &f))
			return damaged(err);
		if (pgo_pb_is(&f, 1, PGO_WIRE_BYTES))
			rc = parse_label(r, f.in, &row.labels[row.n_labels++], err);
		else if (pgo_pb_is(&f, 2, PGO_WIRE_BYTES))
			rc = parse_point(f.in, r->from_ms, &row.sum, err);
	}
	if (rc < 0)
		return rc;
	to = PGO_VEC_PUSH(r->of, r->n, r->room);
	if (to == NULL)
		return pgo_err_nomem(err);
	*to = row;
	return 0;
}

static int parse_rows(
	struct pgo_pyro_rows *to, const void *data, size_t len, uint32_t field, struct pgo_err *err)
{
	struct pgo_wire in = pgo_pb_wire(data, len);
	struct pgo_wire_field f;
	int rc = 0;

	while (in.p < in.end && rc == 0) {
		if (!pgo_wire_next(&in, &f))
			return damaged(err);
		if (pgo_pb_is(&f, field, PGO_WIRE_BYTES))
			rc = parse_row(to, f.in, err);
	}
	return rc;
}

int pgo_pyro_series_parse(
	struct pgo_pyro_rows *to, const void *data, size_t len, struct pgo_err *err)
{
	return parse_rows(to, data, len, 2, err);
}

int pgo_pyro_sums_parse(struct pgo_pyro_rows *to, const void *data, size_t len, struct pgo_err *err)
{
	return parse_rows(to, data, len, 1, err);
}

/* ---------------------------------------------------------------- profiles */

int pgo_pyro_reply_kind(const char *path, enum pgo_pyro_reply *ret, struct pgo_err *err)
{
	struct pgo_stream *s = pgo_stream_open(path, PGO_INFLATE_MAX, err);
	const uint8_t *p = NULL;
	int64_t n;

	if (s == NULL)
		return err->code;
	n = pgo_stream_peek(s, 1, &p, err);
	if (n >= 1)
		*ret = p[0] == (5 << 3 | PGO_WIRE_BYTES) ? PGO_PYRO_IS_PPROF
							 : PGO_PYRO_IS_FLAMEGRAPH;
	else if (n == 0)
		*ret = PGO_PYRO_IS_EMPTY;
	pgo_stream_close(s);
	return n < 0 ? (int)n : 0;
}

/* The message in `field` of a message; the last one if there are several, as protobuf has it. */
static int member(struct pgo_wire in, uint32_t field, struct pgo_wire *ret, struct pgo_err *err)
{
	struct pgo_wire_field f;

	*ret = (struct pgo_wire){in.p, in.p};
	while (in.p < in.end) {
		if (!pgo_wire_next(&in, &f))
			return damaged(err);
		if (pgo_pb_is(&f, field, PGO_WIRE_BYTES))
			*ret = f.in;
	}
	return 0;
}

int pgo_pyro_unwrap(const void *data, size_t len, struct pgo_wire *ret, struct pgo_err *err)
{
	struct pgo_wire pprof;
	int rc = member(pgo_pb_wire(data, len), 5, &pprof, err);

	return rc == 0 ? member(pprof, 1, ret, err) : rc;
}
