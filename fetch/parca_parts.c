/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object of Parca's in parts: one query for each column, in pieces of the window where it has
 * many rows; and one part more in which the period is found out, where counts of samples were
 * multiplied by it.
 */
#include "fetch/http_auth.h"
#include "fetch/parca_impl.h"
#include "pgo/core/alloc.h"

#include <string.h>
#include <unistd.h>

#define MS_NS ((int64_t)1000000)
#define QUERY_MAX ((size_t)1 << 20)
#define REPLY_MAX ((size_t)256 << 20)
/* Rows (stacks of single profiles) that a server can merge and send well within its limits. */
#define PIECE_ROWS ((uint64_t)1 << 20)
#define MAX_PIECES 1024u
#define MAX_HALVINGS 6

struct pgo_parca_object *pgo_parca_object_of(const struct pgo_parca_source *s, const char *name)
{
	size_t from = 0, to = s->n_objects;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		int c = strcmp(s->objects[mid].name, name);

		if (c == 0)
			return &s->objects[mid];
		if (c < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

/* Pieces of the window that a column is asked for in: a power of two by its rows. */
static unsigned pieces_of(const struct pgo_parca_object *o, size_t column)
{
	unsigned n = 1;

	if (o->cells[column].rows == 0)
		return 0;
	while (n < MAX_PIECES && o->cells[column].rows / n > PIECE_ROWS)
		n *= 2;
	for (unsigned i = 0; i < o->halvings && n < MAX_PIECES; i++)
		n *= 2;
	return n;
}

/* The column whose counts are multiplied by the period, if the object has it. */
const struct pgo_parca_type *pgo_parca_product_of(
	const struct pgo_parca_family *f, const struct pgo_parca_object *o)
{
	for (size_t i = 0; i < f->n; i++)
		if (o->cells[i].rows != 0 && pgo_parca_is_product(&f->types[i]))
			return &f->types[i];
	return NULL;
}

unsigned pgo_parca_parts_of(const struct pgo_parca_source *s, const struct pgo_parca_object *o)
{
	const struct pgo_parca_family *f = &s->families[o->family];
	unsigned n = pgo_parca_product_of(f, o) != NULL;

	for (size_t i = 0; i < f->n; i++)
		n += pieces_of(o, i);
	return n;
}

static int64_t piece_at(const struct pgo_parca_object *o, unsigned i, unsigned n)
{
	int64_t len = o->to_ns - o->from_ns;

	return o->from_ns + len / n * i + len % n * i / n;
}

struct pgo_parca_part pgo_parca_part_at(
	const struct pgo_parca_source *s, const struct pgo_parca_object *o, unsigned index)
{
	const struct pgo_parca_family *f = &s->families[o->family];
	struct pgo_parca_part p = {
		PGO_PARCA_PERIOD, pgo_parca_product_of(f, o), o->from_ns, o->to_ns};

	for (size_t i = 0; i < f->n; i++) {
		unsigned n = pieces_of(o, i);

		if (index < n) {
			p = (struct pgo_parca_part){PGO_PARCA_COLUMN, &f->types[i],
				piece_at(o, index, n), piece_at(o, index + 1, n)};
			break;
		}
		index -= n;
	}
	return p;
}

/* ---------------------------------------------------------------- asking for a part */

struct call {
	struct pgo_buf body;
	char *url;
};

/*
 * The period is in no reply.  It is what the same profiles count more in a merge than alone: the
 * first step finds a millisecond with profiles, the second asks for these alone, the third for
 * their merge.
 */
enum { PROBE_TIME, PROBE_SINGLE, PROBE_MERGE };

static void put_probe(struct pgo_buf *b, const struct pgo_parca_object *o,
	const struct pgo_parca_part *p, const char *query)
{
	int64_t to_ns = p->to_ns;
	unsigned n = 1;

	/* Of a busy window its beginning is enough. */
	while (o->probe_ns == 0 && n < MAX_PIECES && o->cells[0].rows / n > PIECE_ROWS)
		n *= 2;
	to_ns = p->from_ns + (p->to_ns - p->from_ns) / n;
	if (o->probe_step == PROBE_TIME)
		pgo_parca_put_range(b, query, p->from_ns, to_ns - 1, MS_NS, NULL, 0);
	else if (o->probe_step == PROBE_SINGLE)
		pgo_parca_put_single(b, query, o->probe_ns);
	else
		pgo_parca_put_merge(b, query, o->probe_ns, o->probe_ns + MS_NS - 1, NULL);
}

static int put_call(const struct pgo_parca_source *s, const struct pgo_parca_object *o,
	const struct pgo_parca_part *p, struct call *c, struct pgo_err *err)
{
	char *query = pgo_parca_query(s, p->type, o);
	bool range = p->kind == PGO_PARCA_PERIOD && o->probe_step == PROBE_TIME;
	struct pgo_buf b;

	pgo_buf_init(&b, QUERY_MAX);
	if (query != NULL && p->kind == PGO_PARCA_PERIOD)
		put_probe(&b, o, p, query);
	else if (query != NULL)
		pgo_parca_put_merge(
			&b, query, p->from_ns, p->to_ns - 1, o->joined ? s->names.host : NULL);
	pgo_grpc_frame(&c->body, b.data, b.len);
	c->url = pgo_asprintf(
		"%s" PGO_PARCA_QUERY "%s", s->url.base, range ? "QueryRange" : "Query");
	pgo_free(query);
	if (query == NULL || b.failed || c->body.failed || c->url == NULL) {
		pgo_buf_fini(&b);
		return pgo_err_nomem(err);
	}
	pgo_buf_fini(&b);
	return 0;
}

static void call_free(struct call *c)
{
	pgo_buf_fini(&c->body);
	pgo_free(c->url);
	pgo_free(c);
}

int pgo_parca_request(struct pgo_source *src, const char *name, unsigned part,
	struct pgo_http_request *r, struct pgo_err *err)
{
	const struct pgo_parca_source *s = (const struct pgo_parca_source *)src;
	const struct pgo_parca_object *o = pgo_parca_object_of(s, name);
	struct call *c = pgo_calloc(1, sizeof *c);
	struct pgo_parca_part p;
	int rc;

	if (o == NULL || c == NULL) {
		pgo_free(c);
		return o == NULL ? pgo_err_set(err, PGO_ENOTFOUND, "%s: not in the list", name)
				 : pgo_err_nomem(err);
	}
	pgo_buf_init(&c->body, QUERY_MAX);
	p = pgo_parca_part_at(s, o, part);
	rc = put_call(s, o, &p, c, err);
	if (rc == 0)
		rc = pgo_grpc_headers(r, err);
	if (rc < 0) {
		call_free(c);
		return rc;
	}
	r->url = c->url;
	r->body = c->body.data;
	r->body_len = c->body.len;
	r->patient = true;
	r->total_ms = PGO_PARCA_CALL_MS;
	r->sign = pgo_http_auth_add;
	r->ctx = c;
	return 0;
}

void pgo_parca_request_end(struct pgo_source *src, struct pgo_http_request *r)
{
	(void)src;
	call_free(r->ctx);
}

/* ---------------------------------------------------------------- what comes back */

static int first_time(void *ctx, const struct pgo_kv *labels, size_t n,
	const struct pgo_parca_point *p, struct pgo_err *err)
{
	int64_t *at = ctx;

	(void)labels;
	(void)n;
	(void)err;
	if (p->time_ns > 0 && (*at == 0 || p->time_ns < *at))
		*at = p->time_ns;
	return 0;
}

static int take_time(struct pgo_parca_object *o, const char *path, struct pgo_err *err)
{
	struct pgo_grpc_outcome outcome;
	struct pgo_buf b;
	int64_t at = 0;
	int rc;

	pgo_buf_init(&b, REPLY_MAX);
	rc = pgo_grpc_file(path, &b, &outcome, err);
	if (rc == 0)
		rc = pgo_parca_get_range(b.data, b.len, first_time, &at, err);
	pgo_buf_fini(&b);
	if (rc == 0 && at != 0) {
		o->probe_ns = at - at % MS_NS;
		o->probe_step = PROBE_SINGLE;
		return 1;
	}
	return rc;
}

/* A good reply to a step of the search for the period: 1 = the next one, 0 = the end. */
static int take_probe(struct pgo_parca_object *o, const char *path, struct pgo_err *err)
{
	struct pgo_parca_totals t = {0};
	int rc;

	if (o->probe_step == PROBE_TIME)
		return take_time(o, path, err);
	rc = pgo_parca_add_up(path, &t, err);
	if (rc < 0)
		return rc;
	if (o->probe_step == PROBE_SINGLE) {
		o->probe_single = t.sum;
		o->probe_step = PROBE_MERGE;
		return t.sum > 0;
	}
	if (t.sum > 0 && t.sum % o->probe_single == 0)
		o->period = t.sum / o->probe_single;
	return 0;
}

int pgo_parca_reply(struct pgo_source *src, const char *name, unsigned part,
	const struct pgo_http_reply *reply, const char *path, struct pgo_err *err)
{
	const struct pgo_parca_source *s = (const struct pgo_parca_source *)src;
	struct pgo_parca_object *o = pgo_parca_object_of(s, name);
	struct pgo_grpc_outcome outcome = {.status = PGO_GRPC_NONE};
	struct pgo_err why = PGO_ERR_INIT;
	struct pgo_parca_part p = pgo_parca_part_at(s, o, part);
	const char *type = pgo_http_headers_get(&reply->headers, "content-type");
	int rc = 0;

	/* A frame that does not end is a reply that was cut off: the verdict says so. */
	if (type != NULL && strncmp(type, "application/grpc", 16) == 0 && access(path, R_OK) == 0 &&
		pgo_grpc_file(path, NULL, &outcome, &why) < 0)
		outcome.status = PGO_GRPC_NONE;
	rc = pgo_grpc_judge(reply, &outcome, s->url.name, err);
	if (rc == PGO_EFORMAT)
		return 1;
	if (p.kind == PGO_PARCA_COLUMN || rc == PGO_ENOMEM)
		return rc;
	/* Without the period the object is still good. */
	if (rc == 0)
		rc = take_probe(o, path, err);
	return rc < 0 && rc != PGO_ENOMEM ? PGO_EEMPTY : rc;
}

unsigned pgo_parca_refine(struct pgo_source *src, const char *name, int why)
{
	const struct pgo_parca_source *s = (const struct pgo_parca_source *)src;
	struct pgo_parca_object *o = pgo_parca_object_of(s, name);

	/* No reply at all may have other reasons than its length: once. */
	if (o == NULL || o->halvings >= (why == PGO_ELIMIT ? MAX_HALVINGS : 1))
		return 0;
	o->halvings++;
	o->probe_step = PROBE_TIME;
	return pgo_parca_parts_of(s, o);
}
