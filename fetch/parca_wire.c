/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/parca_wire.h"

#include "fetch/pbwire.h"
#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <string.h>

#define SECOND_NS ((int64_t)1000000000)
enum { MODE_MERGE = 2, REPORT_PPROF = 1 };

/* ---------------------------------------------------------------- requests */

/* Timestamps and durations: seconds 1, nanoseconds 2. */
static void put_time(struct pgo_buf *b, unsigned field, int64_t ns)
{
	size_t at = pgo_pb_open(b, field);

	pgo_pb_int(b, 1, ns / SECOND_NS);
	pgo_pb_int(b, 2, ns % SECOND_NS);
	pgo_pb_close(b, at);
}

void pgo_parca_put_types(struct pgo_buf *b, int64_t from_ns, int64_t to_ns)
{
	put_time(b, 1, from_ns);
	put_time(b, 2, to_ns);
}

void pgo_parca_put_labels(struct pgo_buf *b, int64_t from_ns, int64_t to_ns)
{
	put_time(b, 2, from_ns);
	put_time(b, 3, to_ns);
}

void pgo_parca_put_range(struct pgo_buf *b, const char *query, int64_t from_ns, int64_t to_ns,
	int64_t step_ns, char *const *sum_by, size_t n_sum_by)
{
	pgo_pb_string(b, 1, query);
	put_time(b, 2, from_ns);
	put_time(b, 3, to_ns);
	put_time(b, 5, step_ns);
	for (size_t i = 0; i < n_sum_by; i++)
		pgo_pb_string(b, 6, sum_by[i]);
}

void pgo_parca_put_merge(
	struct pgo_buf *b, const char *query, int64_t from_ns, int64_t to_ns, const char *group_by)
{
	size_t at;

	pgo_pb_int(b, 1, MODE_MERGE);
	at = pgo_pb_open(b, 3);
	pgo_pb_string(b, 1, query);
	put_time(b, 2, from_ns);
	put_time(b, 3, to_ns);
	pgo_pb_close(b, at);
	pgo_pb_int(b, 5, REPORT_PPROF);
	if (group_by != NULL) {
		char *field = pgo_asprintf("labels.%s", group_by);

		if (field == NULL)
			b->failed = true;
		at = pgo_pb_open(b, 8);
		pgo_pb_string(b, 1, field != NULL ? field : "");
		pgo_pb_close(b, at);
		pgo_free(field);
	}
}

void pgo_parca_put_single(struct pgo_buf *b, const char *query, int64_t time_ns)
{
	size_t at = pgo_pb_open(b, 4);

	put_time(b, 1, time_ns);
	pgo_pb_string(b, 2, query);
	pgo_pb_close(b, at);
	pgo_pb_int(b, 5, REPORT_PPROF);
}

void pgo_parca_put_profile(
	struct pgo_buf *b, const struct pgo_kv *labels, size_t n, const void *pprof, size_t len)
{
	size_t series = pgo_pb_open(b, 2), set = pgo_pb_open(b, 1), at;

	for (size_t i = 0; i < n; i++) {
		at = pgo_pb_open(b, 1);
		pgo_pb_string(b, 1, labels[i].key);
		pgo_pb_string(b, 2, labels[i].value);
		pgo_pb_close(b, at);
	}
	pgo_pb_close(b, set);
	at = pgo_pb_open(b, 2);
	pgo_pb_bytes(b, 1, pprof, len);
	pgo_pb_close(b, at);
	pgo_pb_close(b, series);
}

/* ---------------------------------------------------------------- replies */

static int broken(struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EFORMAT,
		"the reply holds something else than the interface of Parca has: check the kind "
		"and the version of the store");
}

/* Calls `each` for every field `number` that is a message or a string. */
static int each_bytes(struct pgo_wire w, uint32_t number,
	int (*each)(void *ctx, const struct pgo_wire_field *f, struct pgo_err *err), void *ctx,
	struct pgo_err *err)
{
	struct pgo_wire_field f;
	int rc = 0;

	while (rc == 0 && w.p < w.end) {
		if (!pgo_wire_next(&w, &f))
			return broken(err);
		if (pgo_pb_is(&f, number, PGO_WIRE_BYTES))
			rc = each(ctx, &f, err);
	}
	return rc;
}

static int take_string(char **to, const struct pgo_wire_field *f, struct pgo_err *err)
{
	pgo_free(*to);
	*to = pgo_pb_as_string(f);
	return *to != NULL ? 0 : pgo_err_nomem(err);
}

struct type_ctx {
	int (*each)(void *ctx, const struct pgo_parca_type *t, struct pgo_err *err);
	void *ctx;
};

static int one_type(void *ctx, const struct pgo_wire_field *in, struct pgo_err *err)
{
	struct type_ctx *c = ctx;
	char *text[5] = {0};
	struct pgo_wire w = in->in;
	struct pgo_wire_field f;
	bool delta = false;
	int rc = 0;

	while (rc == 0 && w.p < w.end) {
		if (!pgo_wire_next(&w, &f))
			rc = broken(err);
		else if (f.number >= 1 && f.number <= 5 && f.type == PGO_WIRE_BYTES)
			rc = take_string(&text[f.number - 1], &f, err);
		else if (pgo_pb_is(&f, 6, PGO_WIRE_VARINT))
			delta = f.v != 0;
	}
	for (size_t i = 0; i < 5 && rc == 0; i++)
		if (text[i] == NULL && (text[i] = pgo_strdup("")) == NULL)
			rc = pgo_err_nomem(err);
	if (rc == 0) {
		const struct pgo_parca_type t = {
			text[0], text[1], text[2], text[3], text[4], delta};

		rc = c->each(c->ctx, &t, err);
	}
	for (size_t i = 0; i < 5; i++)
		pgo_free(text[i]);
	return rc;
}

int pgo_parca_get_types(const void *data, size_t len,
	int (*each)(void *ctx, const struct pgo_parca_type *t, struct pgo_err *err), void *ctx,
	struct pgo_err *err)
{
	struct type_ctx c = {each, ctx};

	return each_bytes(pgo_pb_wire(data, len), 1, one_type, &c, err);
}

struct label_ctx {
	int (*each)(void *ctx, const char *name, struct pgo_err *err);
	void *ctx;
};

static int one_label(void *ctx, const struct pgo_wire_field *f, struct pgo_err *err)
{
	struct label_ctx *c = ctx;
	char *name = pgo_pb_as_string(f);
	int rc = name != NULL ? c->each(c->ctx, name, err) : pgo_err_nomem(err);

	pgo_free(name);
	return rc;
}

int pgo_parca_get_labels(const void *data, size_t len,
	int (*each)(void *ctx, const char *name, struct pgo_err *err), void *ctx,
	struct pgo_err *err)
{
	struct label_ctx c = {each, ctx};

	return each_bytes(pgo_pb_wire(data, len), 1, one_label, &c, err);
}

struct series_ctx {
	int (*each)(void *ctx, const struct pgo_kv *labels, size_t n,
		const struct pgo_parca_point *p, struct pgo_err *err);
	void *ctx;
	struct pgo_kv *labels;
	size_t n, room;
};

static int one_pair(void *ctx, const struct pgo_wire_field *in, struct pgo_err *err)
{
	struct series_ctx *c = ctx;
	struct pgo_kv *kv = PGO_VEC_PUSH(c->labels, c->n, c->room);
	struct pgo_wire w = in->in;
	struct pgo_wire_field f;
	int rc = kv != NULL ? 0 : pgo_err_nomem(err);

	while (rc == 0 && w.p < w.end) {
		if (!pgo_wire_next(&w, &f))
			rc = broken(err);
		else if (pgo_pb_is(&f, 1, PGO_WIRE_BYTES))
			rc = take_string(&kv->key, &f, err);
		else if (pgo_pb_is(&f, 2, PGO_WIRE_BYTES))
			rc = take_string(&kv->value, &f, err);
	}
	if (rc == 0 && kv->key == NULL && (kv->key = pgo_strdup("")) == NULL)
		rc = pgo_err_nomem(err);
	if (rc == 0 && kv->value == NULL && (kv->value = pgo_strdup("")) == NULL)
		rc = pgo_err_nomem(err);
	return rc;
}

static int one_set(void *ctx, const struct pgo_wire_field *in, struct pgo_err *err)
{
	return each_bytes(in->in, 1, one_pair, ctx, err);
}

static int take_time(const struct pgo_wire_field *in, int64_t *ret, struct pgo_err *err)
{
	struct pgo_wire w = in->in;
	struct pgo_wire_field f;
	int64_t seconds = 0, nanos = 0;

	while (w.p < w.end) {
		if (!pgo_wire_next(&w, &f))
			return broken(err);
		if (pgo_pb_is(&f, 1, PGO_WIRE_VARINT))
			seconds = (int64_t)f.v;
		else if (pgo_pb_is(&f, 2, PGO_WIRE_VARINT))
			nanos = (int64_t)f.v;
	}
	if (seconds < 0 || seconds > INT64_MAX / SECOND_NS - 1 || nanos < 0 || nanos >= SECOND_NS)
		return broken(err);
	*ret = seconds * SECOND_NS + nanos;
	return 0;
}

static int one_point(void *ctx, const struct pgo_wire_field *in, struct pgo_err *err)
{
	struct series_ctx *c = ctx;
	struct pgo_parca_point p = {0};
	struct pgo_wire w = in->in;
	struct pgo_wire_field f;
	int rc = 0;

	while (rc == 0 && w.p < w.end) {
		if (!pgo_wire_next(&w, &f))
			rc = broken(err);
		else if (pgo_pb_is(&f, 1, PGO_WIRE_BYTES))
			rc = take_time(&f, &p.time_ns, err);
		else if (pgo_pb_is(&f, 2, PGO_WIRE_VARINT))
			p.value = (int64_t)f.v;
		else if (pgo_pb_is(&f, 5, PGO_WIRE_VARINT))
			p.count = (int64_t)f.v;
	}
	return rc == 0 ? c->each(c->ctx, c->labels, c->n, &p, err) : rc;
}

static int one_series(void *ctx, const struct pgo_wire_field *in, struct pgo_err *err)
{
	struct series_ctx *c = ctx;
	int rc = each_bytes(in->in, 1, one_set, c, err);

	if (rc == 0)
		rc = each_bytes(in->in, 2, one_point, c, err);
	for (size_t i = 0; i < c->n; i++) {
		pgo_free(c->labels[i].key);
		pgo_free(c->labels[i].value);
	}
	c->n = 0;
	return rc;
}

int pgo_parca_get_range(const void *data, size_t len,
	int (*each)(void *ctx, const struct pgo_kv *labels, size_t n,
		const struct pgo_parca_point *p, struct pgo_err *err),
	void *ctx, struct pgo_err *err)
{
	struct series_ctx c = {.each = each, .ctx = ctx};
	int rc = each_bytes(pgo_pb_wire(data, len), 1, one_series, &c, err);

	pgo_free(c.labels);
	return rc;
}

static int one_pprof(void *ctx, const struct pgo_wire_field *f, struct pgo_err *err)
{
	struct pgo_wire *to = ctx;

	(void)err;
	*to = f->in;
	return 0;
}

int pgo_parca_get_pprof(
	const void *data, size_t len, const void **ret, size_t *ret_len, struct pgo_err *err)
{
	struct pgo_wire found = {0};
	int rc = each_bytes(pgo_pb_wire(data, len), 6, one_pprof, &found, err);

	if (rc == 0) {
		*ret = found.p;
		*ret_len = (size_t)(found.end - found.p);
	}
	return rc;
}
