/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parca and Polar Signals Cloud: parca://HOST:7070, parca+https://HOST, by gRPC-Web.  Behind a `?`:
 *	hosts=each|joined	one object for each host (the default), or one for all, by group_by
 *	window=Nh		length of a window, a divisor of 24 (the default)
 *
 * One query gives one column of a window; they are joined by stack.  What the server does to
 * profiles on the way (0.28.0), and what is done about it:
 *	- counts of samples come multiplied by the period: it is found out and divided out
 *	- times of merges are garbage, period and duration 0: the window's time is put there
 *	- has_functions is always true: says nothing
 *	- mappings of hosts are one, addresses are not moved: hosts are asked for one by one, and
 *	  joined ones too where their addresses do not fit
 *	- labels are gone, but those asked for: they are told apart by queries and put back
 *	- a location that came with lines has address 0: that cannot be undone
 *	- equal stacks come several times: they are added up
 *	- replies end at 64 MiB or a minute: windows of many rows are asked for in pieces, and in
 *	  smaller ones where that was still too much
 */
#include "fetch/columns.h"
#include "fetch/http_auth.h"
#include "fetch/parca_impl.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/map.h"
#include "pgo/core/opt.h"
#include "pgo/core/pprof.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND_NS ((int64_t)1000000000)
#define MS_NS ((int64_t)1000000)
#define HOUR_NS (3600 * SECOND_NS)
#define QUERY_MAX ((size_t)1 << 20)
#define REPLY_MAX ((size_t)256 << 20)
/* Rows (stacks of single profiles) that a server can merge and send well within its limits. */
#define PIECE_ROWS ((uint64_t)1 << 20)
#define MAX_PIECES 1024u
#define MAX_HALVINGS 6
/* The server gives up after a minute; one that was told to wait longer is waited for. */
#define CALL_MS 300000

static void parca_close(struct pgo_source *src)
{
	struct pgo_parca_source *s = (struct pgo_parca_source *)src;

	pgo_parca_forget(s);
	pgo_store_url_fini(&s->url);
	pgo_free(s);
}

static int parameter(void *ctx, const char *name, const char *value, struct pgo_err *err)
{
	struct pgo_parca_source *s = ctx;
	uint64_t hours = 0;

	if (strcmp(name, "hosts") == 0 &&
		(strcmp(value, "each") == 0 || strcmp(value, "joined") == 0)) {
		s->joined = strcmp(value, "joined") == 0;
		return 0;
	}
	if (strcmp(name, "window") == 0 && strspn(value, "0123456789") < 3)
		hours = strtoul(value, NULL, 10);
	if (hours == 0 || hours > 24 || 24 % hours != 0 ||
		strcmp(value + strspn(value, "0123456789"), "h") != 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"there is no parameter '%s=%s' for Parca; known are hosts=each, "
			"hosts=joined "
			"and window=24h, 12h, 8h, 6h, 4h, 3h, 2h, 1h",
			name, value);
	s->window = (int64_t)hours * HOUR_NS;
	return 0;
}

static struct pgo_source *parca_open(const char *url, struct pgo_err *err)
{
	struct pgo_parca_source *s = pgo_calloc(1, sizeof *s);

	if (s == NULL || pgo_strtab_init(&s->matchers, (size_t)1 << 30) < 0) {
		pgo_free(s);
		pgo_err_nomem(err);
		return NULL;
	}
	s->base.ops = strncmp(url, "parca+", 6) == 0 ? &pgo_source_parca_https : &pgo_source_parca;
	s->window = 24 * HOUR_NS;
	if (pgo_store_url_parse(url, parameter, s, &s->url, err) < 0) {
		parca_close(&s->base);
		return NULL;
	}
	return &s->base;
}

/* ---------------------------------------------------------------- calls */

int pgo_parca_ask(struct pgo_parca_source *s, const char *method, const struct pgo_buf *message,
	struct pgo_buf *ret, struct pgo_err *err)
{
	struct pgo_http_request r = {
		.max = REPLY_MAX, .sign = pgo_http_auth_add, .patient = true, .total_ms = CALL_MS};
	struct pgo_http_reply reply = {0};
	struct pgo_grpc_outcome outcome = {.status = PGO_GRPC_NONE};
	char *url = pgo_asprintf("%s%s", s->url.base, method);
	struct pgo_buf body;
	int rc = url != NULL ? pgo_grpc_headers(&r, err) : pgo_err_nomem(err);

	pgo_buf_init(&body, REPLY_MAX);
	pgo_grpc_frame(&body, message->data, message->len);
	if (rc == 0)
		rc = pgo_buf_check(&body, "a query", err);
	r.url = url;
	r.body = body.data;
	r.body_len = body.len;
	if (rc == 0)
		rc = pgo_http_ask(s->base.http, &r, &reply, err);
	if (rc == 0) {
		const char *type = pgo_http_headers_get(&reply.headers, "content-type");

		if (type != NULL && strncmp(type, "application/grpc", 16) == 0)
			rc = pgo_grpc_body(reply.body.data, reply.body.len, ret, &outcome, err);
		if (rc == 0)
			rc = pgo_grpc_judge(&reply, &outcome, url, err);
	}
	pgo_http_reply_fini(&reply);
	pgo_http_headers_fini(&r.headers);
	pgo_buf_fini(&body);
	pgo_free(url);
	return rc;
}

void pgo_parca_put_name(struct pgo_buf *b, const struct pgo_parca_type *t)
{
	pgo_buf_printf(b, "{__name__=\"%s:%s:%s:%s:%s%s\"", t->name, t->sample_type, t->sample_unit,
		t->period_type, t->period_unit, t->delta ? ":delta" : "");
}

char *pgo_parca_query(const struct pgo_parca_source *s, const struct pgo_parca_type *t,
	const struct pgo_parca_object *o)
{
	const char *labels = pgo_strtab_get(&s->matchers, o->labels);
	struct pgo_buf b;
	char *text;

	pgo_buf_init(&b, QUERY_MAX);
	pgo_parca_put_name(&b, t);
	pgo_buf_printf(&b, "%s%s}", *labels != '\0' ? "," : "", labels);
	text = b.failed ? NULL : pgo_strdup(b.data);
	pgo_buf_fini(&b);
	return text;
}

bool pgo_parca_is_product(const struct pgo_parca_type *t)
{
	return strcmp(t->sample_type, "samples") == 0 && strcmp(t->sample_unit, "count") == 0;
}

/* ---------------------------------------------------------------- parts of an object */

static struct pgo_parca_object *find(const struct pgo_parca_source *s, const char *name)
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

enum part_kind { PART_COLUMN, PART_PERIOD };

struct part {
	enum part_kind kind;
	const struct pgo_parca_type *type;
	int64_t from_ns, to_ns; /* from <= time < to */
};

/* The column whose counts are multiplied by the period, if the object has it. */
static const struct pgo_parca_type *product_of(
	const struct pgo_parca_family *f, const struct pgo_parca_object *o)
{
	for (size_t i = 0; i < f->n; i++)
		if (o->cells[i].rows != 0 && pgo_parca_is_product(&f->types[i]))
			return &f->types[i];
	return NULL;
}

static unsigned parts_of(const struct pgo_parca_source *s, const struct pgo_parca_object *o)
{
	const struct pgo_parca_family *f = &s->families[o->family];
	unsigned n = product_of(f, o) != NULL;

	for (size_t i = 0; i < f->n; i++)
		n += pieces_of(o, i);
	return n;
}

static int64_t piece_at(const struct pgo_parca_object *o, unsigned i, unsigned n)
{
	int64_t len = o->to_ns - o->from_ns;

	return o->from_ns + len / n * i + len % n * i / n;
}

static struct part part_at(
	const struct pgo_parca_source *s, const struct pgo_parca_object *o, unsigned index)
{
	const struct pgo_parca_family *f = &s->families[o->family];
	struct part p = {PART_PERIOD, product_of(f, o), o->from_ns, o->to_ns};

	for (size_t i = 0; i < f->n; i++) {
		unsigned n = pieces_of(o, i);

		if (index < n) {
			p = (struct part){PART_COLUMN, &f->types[i], piece_at(o, index, n),
				piece_at(o, index + 1, n)};
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

static void put_probe(struct pgo_buf *b, const struct pgo_parca_object *o, const struct part *p,
	const char *query)
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
	const struct part *p, struct call *c, struct pgo_err *err)
{
	char *query = pgo_parca_query(s, p->type, o);
	bool range = p->kind == PART_PERIOD && o->probe_step == PROBE_TIME;
	struct pgo_buf b;

	pgo_buf_init(&b, QUERY_MAX);
	if (query != NULL && p->kind == PART_PERIOD)
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

static int parca_request(struct pgo_source *src, const char *name, unsigned part,
	struct pgo_http_request *r, struct pgo_err *err)
{
	const struct pgo_parca_source *s = (const struct pgo_parca_source *)src;
	const struct pgo_parca_object *o = find(s, name);
	struct call *c = pgo_calloc(1, sizeof *c);
	struct part p;
	int rc;

	if (o == NULL || c == NULL) {
		pgo_free(c);
		return o == NULL ? pgo_err_set(err, PGO_ENOTFOUND, "%s: not in the list", name)
				 : pgo_err_nomem(err);
	}
	pgo_buf_init(&c->body, QUERY_MAX);
	p = part_at(s, o, part);
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
	r->total_ms = CALL_MS;
	r->sign = pgo_http_auth_add;
	r->ctx = c;
	return 0;
}

static void parca_request_end(struct pgo_source *src, struct pgo_http_request *r)
{
	(void)src;
	call_free(r->ctx);
}

/* ---------------------------------------------------------------- what comes back */

/* The pprof in the file of a reply as a reader over `hold`, which outlives it; NULL and PGO_OK in
 * err where there is none. */
static struct pgo_reader *read_part(const char *path, struct pgo_buf *hold, struct pgo_err *err)
{
	struct pgo_grpc_outcome outcome;
	const void *pprof = NULL;
	size_t len = 0;

	pgo_buf_init(hold, (size_t)4 << 30);
	if (pgo_grpc_file(path, hold, &outcome, err) < 0 ||
		pgo_parca_get_pprof(hold->data, hold->len, &pprof, &len, err) < 0 || len == 0)
		return NULL;
	return pgo_pprof_open_memory("the reply of the store", pprof, len, NULL, err);
}

struct totals {
	int64_t sum;
	uint64_t samples;
	bool divisible; /* all values are multiples of `by` */
	int64_t by;
};

static int add_up(const char *path, struct totals *t, struct pgo_err *err)
{
	struct pgo_err local = PGO_ERR_INIT;
	struct pgo_buf hold;
	struct pgo_reader *rd = read_part(path, &hold, &local);
	struct pgo_sample sample;
	int rc = rd != NULL ? 0 : local.code;

	while (rd != NULL && (rc = pgo_reader_next(rd, &sample, &local)) > 0) {
		t->samples++;
		if (__builtin_add_overflow(t->sum, sample.value[0], &t->sum))
			t->sum = INT64_MAX;
		if (t->by != 0 && sample.value[0] % t->by != 0)
			t->divisible = false;
	}
	pgo_reader_close(rd);
	pgo_buf_fini(&hold);
	if (rc < 0 && err != NULL)
		*err = local;
	return rc;
}

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
	struct totals t = {0};
	int rc;

	if (o->probe_step == PROBE_TIME)
		return take_time(o, path, err);
	rc = add_up(path, &t, err);
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

static int parca_reply(struct pgo_source *src, const char *name, unsigned part,
	const struct pgo_http_reply *reply, const char *path, struct pgo_err *err)
{
	const struct pgo_parca_source *s = (const struct pgo_parca_source *)src;
	struct pgo_parca_object *o = find(s, name);
	struct pgo_grpc_outcome outcome = {.status = PGO_GRPC_NONE};
	struct pgo_err why = PGO_ERR_INIT;
	struct part p = part_at(s, o, part);
	const char *type = pgo_http_headers_get(&reply->headers, "content-type");
	int rc = 0;

	/* A frame that does not end is a reply that was cut off: the verdict says so. */
	if (type != NULL && strncmp(type, "application/grpc", 16) == 0 && access(path, R_OK) == 0 &&
		pgo_grpc_file(path, NULL, &outcome, &why) < 0)
		outcome.status = PGO_GRPC_NONE;
	rc = pgo_grpc_judge(reply, &outcome, s->url.name, err);
	if (rc == PGO_EFORMAT)
		return 1;
	if (p.kind == PART_COLUMN || rc == PGO_ENOMEM)
		return rc;
	/* Without the period the object is still good. */
	if (rc == 0)
		rc = take_probe(o, path, err);
	return rc < 0 && rc != PGO_ENOMEM ? PGO_EEMPTY : rc;
}

static unsigned parca_refine(struct pgo_source *src, const char *name, int why)
{
	const struct pgo_parca_source *s = (const struct pgo_parca_source *)src;
	struct pgo_parca_object *o = find(s, name);

	/* No reply at all may have other reasons than its length: once. */
	if (o == NULL || o->halvings >= (why == PGO_ELIMIT ? MAX_HALVINGS : 1))
		return 0;
	o->halvings++;
	o->probe_step = PROBE_TIME;
	return parts_of(s, o);
}

/* ---------------------------------------------------------------- putting an object together */

/* Can the column be divided by the period in all its pieces? */
static int is_divisible(const struct pgo_parca_source *s, const struct pgo_parca_object *o,
	const char *const *paths, size_t n, bool *ret, struct pgo_err *err)
{
	struct totals t = {.divisible = true, .by = o->period};
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0 && o->period > 1; i++) {
		struct part p = part_at(s, o, (unsigned)i);

		if (p.kind == PART_COLUMN && pgo_parca_is_product(p.type) && paths[i] != NULL)
			rc = add_up(paths[i], &t, err);
	}
	*ret = t.divisible && o->period > 0;
	return rc;
}

static bool has_column(const struct pgo_parca_family *f, const struct pgo_parca_object *o,
	const char *type, const char *unit)
{
	for (size_t i = 0; i < f->n; i++)
		if (o->cells[i].rows != 0 && strcmp(f->types[i].sample_type, type) == 0 &&
			strcmp(f->types[i].sample_unit, unit) == 0)
			return true;
	return false;
}

static int add_part(struct pgo_columns *c, const struct pgo_parca_object *o, const struct part *p,
	bool divide, const char *path, struct pgo_err *err)
{
	struct pgo_err local = PGO_ERR_INIT;
	struct pgo_buf hold;
	struct pgo_reader *rd = read_part(path, &hold, &local);
	bool product = pgo_parca_is_product(p->type);
	int rc = local.code;

	if (rc < 0)
		;
	else if (product && !divide)
		rc = pgo_columns_add(c, p->type->period_type, p->type->period_unit, rd, &local);
	else if (product && rd != NULL)
		rc = pgo_columns_add_divided(
			c, p->type->sample_type, p->type->sample_unit, rd, o->period, &local);
	else
		rc = pgo_columns_add(c, p->type->sample_type, p->type->sample_unit, rd, &local);
	pgo_reader_close(rd);
	pgo_buf_fini(&hold);
	if (rc < 0 && err != NULL)
		*err = local;
	return rc;
}

/* The labels under the names that ours have. */
static int name_labels(const struct pgo_parca_source *s, const struct pgo_parca_object *o,
	struct pgo_kv **ret, size_t *ret_n, struct pgo_err *err)
{
	const struct pgo_parca_labels *set = &s->labels[o->labels];
	struct pgo_kv *kv = pgo_calloc(set->n + 1, sizeof *kv);

	if (kv == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < set->n; i++) {
		kv[i] = set->kv[i];
		if (strcmp(kv[i].key, s->names.host) == 0)
			kv[i].key = (char *)(uintptr_t) "host";
		else if (strcmp(kv[i].key, s->names.service) == 0)
			kv[i].key = (char *)(uintptr_t) "service";
		else if (strcmp(kv[i].key, s->names.version) == 0)
			kv[i].key = (char *)(uintptr_t) "version";
	}
	*ret = kv;
	*ret_n = set->n;
	return 0;
}

static int add_parts(struct pgo_columns *c, const struct pgo_parca_source *s,
	const struct pgo_parca_object *o, const char *const *paths, size_t n, struct pgo_err *err)
{
	const struct pgo_parca_family *f = &s->families[o->family];
	const struct pgo_parca_type *product = product_of(f, o);
	bool divide = false, twice;
	int rc = product != NULL ? is_divisible(s, o, paths, n, &divide, err) : 0;

	if (rc < 0)
		return rc;
	twice = product != NULL && !divide &&
		has_column(f, o, product->period_type, product->period_unit);
	if (product != NULL && !divide)
		pgo_warn("%s: the store multiplies counts of samples by their period, which here "
			 "is not one and the same; the column is %s",
			o->name, twice ? "left out" : "kept as what it was made to");
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct part p = part_at(s, o, (unsigned)i);

		if (p.kind != PART_COLUMN || (twice && pgo_parca_is_product(p.type)))
			continue;
		if (paths[i] != NULL)
			rc = add_part(c, o, &p, divide, paths[i], err);
	}
	return rc;
}

static int parca_assemble(struct pgo_source *src, const char *name, const char *const *paths,
	size_t n, const char *to_path, struct pgo_err *err)
{
	const struct pgo_parca_source *s = (const struct pgo_parca_source *)src;
	const struct pgo_parca_object *o = find(s, name);
	const struct pgo_parca_type *t = &s->families[o->family].types[0];
	struct pgo_columns_header h = {.time_ns = o->from_ns,
		.duration_ns = o->to_ns - o->from_ns,
		.period_type = t->period_type,
		.period_unit = t->period_unit,
		.period = o->period};
	struct pgo_columns *c = pgo_columns_new(err);
	struct pgo_kv *labels = NULL;
	int rc;

	if (c == NULL)
		return PGO_ENOMEM;
	rc = name_labels(s, o, &labels, &h.n_labels, err);
	h.labels = labels;
	if (rc == 0)
		rc = add_parts(c, s, o, paths, n, err);
	if (rc == 0)
		rc = pgo_columns_write(c, &h, to_path, err);
	pgo_columns_free(c);
	pgo_free(labels);
	return rc;
}

/* ---------------------------------------------------------------- the listing */

static int offer(const struct pgo_parca_source *s, const struct pgo_parca_object *o,
	pgo_each_listed *each, void *ctx, struct pgo_err *err)
{
	const struct pgo_parca_family *f = &s->families[o->family];
	uint64_t hash = pgo_hash(o->cells, f->n * sizeof *o->cells);
	struct pgo_listed l = {.name = o->name, .parts = parts_of(s, o), .joined = o->joined};

	/* What a window holds is as good as a time of change: late profiles count, too. */
	for (size_t i = 0; i < f->n; i++)
		l.size += o->cells[i].rows;
	l.mtime_ns = o->window_ns + (int64_t)(hash % (uint64_t)s->window);
	return each(ctx, &l, err);
}

static int parca_list(struct pgo_source *src, const struct pgo_query *q, pgo_each_listed *each,
	void *ctx, struct pgo_err *err)
{
	struct pgo_parca_source *s = (struct pgo_parca_source *)src;
	bool joined;
	int rc = pgo_parca_find(s, q, err);

	if (rc == 0 && s->joined && s->n_objects != 0 && s->names.host[0] == '\0')
		pgo_warn("%s: no label that names hosts; all are one", s->url.name);
	joined = s->joined && s->names.host != NULL && s->names.host[0] != '\0';
	for (size_t i = 0; i < s->n_objects && rc == 0; i++)
		if (s->objects[i].joined == joined)
			rc = offer(s, &s->objects[i], each, ctx, err);
	return rc;
}

/* The object of a single host is part of the joined one: all other labels are the same. */
static bool is_host_of(const struct pgo_parca_source *s, const struct pgo_parca_object *one,
	const struct pgo_parca_object *all)
{
	const struct pgo_parca_labels *a = &s->labels[one->labels], *b = &s->labels[all->labels];
	size_t same = 0, hosts = 0;

	if (one->joined || one->family != all->family || one->window_ns != all->window_ns)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		hosts += strcmp(a->kv[i].key, s->names.host) == 0;
		for (size_t k = 0; k < b->n; k++)
			same += strcmp(a->kv[i].key, b->kv[k].key) == 0 &&
				strcmp(a->kv[i].value, b->kv[k].value) == 0;
	}
	return same == b->n && a->n - hosts == b->n;
}

static int parca_split(struct pgo_source *src, const char *name, pgo_each_listed *each, void *ctx,
	struct pgo_err *err)
{
	const struct pgo_parca_source *s = (const struct pgo_parca_source *)src;
	const struct pgo_parca_object *all = find(s, name);
	int rc = 0;

	for (size_t i = 0; i < s->n_objects && rc == 0; i++)
		if (is_host_of(s, &s->objects[i], all))
			rc = offer(s, &s->objects[i], each, ctx, err);
	return rc;
}

static int parca_describe(
	struct pgo_source *src, const char *name, struct pgo_record *rec, struct pgo_err *err)
{
	const struct pgo_parca_source *s = (const struct pgo_parca_source *)src;
	const struct pgo_parca_object *o = find(s, name);
	const struct pgo_parca_labels *set = o != NULL ? &s->labels[o->labels] : NULL;

	return set != NULL ? pgo_record_tell(rec, set->kv, set->n,
				     s->names.host[0] != '\0' ? s->names.host : NULL, err)
			   : 0;
}

const struct pgo_source_ops pgo_source_parca = {
	.scheme = "parca",
	.about = "a server of Parca's",
	.selects = true,
	.replaces = true,
	.open = parca_open,
	.close = parca_close,
	.list = parca_list,
	.request = parca_request,
	.request_end = parca_request_end,
	.reply = parca_reply,
	.refine = parca_refine,
	.assemble = parca_assemble,
	.split = parca_split,
	.describe = parca_describe,
};

const struct pgo_source_ops pgo_source_parca_https = {
	.scheme = "parca+https",
	.about = "the same, encrypted: Polar Signals Cloud",
	.selects = true,
	.replaces = true,
	.open = parca_open,
	.close = parca_close,
	.list = parca_list,
	.request = parca_request,
	.request_end = parca_request_end,
	.reply = parca_reply,
	.refine = parca_refine,
	.assemble = parca_assemble,
	.split = parca_split,
	.describe = parca_describe,
};
