/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pyroscope://HOST:PORT[/base/path] and pyroscope+https://: what fetch/pyroscope.h describes, as
 * operations of a store.  Here are the addresses, the questions for profiles and what becomes of
 * the answers; the listing is pyroscope_list.c.
 */
#include "fetch/columns.h"
#include "fetch/http_auth.h"
#include "fetch/pyroscope.h"
#include "fetch/store_url.h"
#include "pgo/core/alloc.h"
#include "pgo/core/inflate.h"
#include "pgo/core/json.h"
#include "pgo/core/opt.h"
#include "pgo/core/pprof.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REPLY_MAX ((size_t)4 << 30) /* inflated */
#define BODY_MAX ((size_t)16 << 20) /* of a request */
#define ANSWER_MS 300000u           /* a merge over a day may take the server minutes */

/* ---------------------------------------------------------------- open and close */

void pgo_pyro_object_fini(struct pgo_pyro_object *o)
{
	for (size_t i = 0; i < o->n_labels; i++) {
		pgo_free(o->labels[i].key);
		pgo_free(o->labels[i].value);
	}
	pgo_free(o->labels);
	pgo_free(o->name);
	pgo_free(o->selector);
	pgo_free(o->host_label);
	pgo_free(o->types);
	pgo_free(o->how);
	memset(o, 0, sizeof *o);
}

static void pyro_close(struct pgo_source *src)
{
	struct pgo_pyro *s = (struct pgo_pyro *)src;

	for (size_t i = 0; i < s->n_objects; i++)
		pgo_pyro_object_fini(&s->objects[i]);
	for (size_t i = 0; i < s->n_types; i++) {
		pgo_free(s->types[i].id);
		pgo_free(s->types[i].name); /* the others are parts of it */
	}
	pgo_map_fini(&s->by_name);
	pgo_free(s->objects);
	pgo_free(s->types);
	pgo_free(s->root);
	pgo_free(s->place);
	pgo_free(s);
}

/* Names that objects are stored under tell tenants apart, whose profiles are others. */
static char *place_of(const char *host, size_t len)
{
	const char *tenant = getenv("PGO_FETCH_TENANT");
	struct pgo_buf b;
	char *place;

	pgo_buf_init(&b, BODY_MAX);
	if (tenant != NULL && *tenant != '\0') {
		pgo_http_escape(&b, tenant, false);
		pgo_buf_putc(&b, '@');
	}
	pgo_buf_add(&b, host, len);
	place = b.failed ? NULL : pgo_strdup(b.data != NULL ? b.data : "");
	pgo_buf_fini(&b);
	return place;
}

static int set_address(struct pgo_pyro *s, const char *url, struct pgo_err *err)
{
	const char *host = strstr(url, "://");
	size_t len;

	if (host == NULL || host[3] == '\0' || host[3] == '/')
		return pgo_err_set(err, PGO_EUSAGE,
			"%s: no host in this address; it should look like "
			"pyroscope://HOST:4040 or pyroscope+https://HOST/base/path",
			url);
	host += 3;
	if (memchr(host, '@', strcspn(host, "/?#")) != NULL)
		return pgo_err_set(err, PGO_EUSAGE,
			"names and passwords do not belong into the address of a store; put them "
			"into PGO_FETCH_USER and PGO_FETCH_PASSWORD");
	if (strpbrk(host, "?#") != NULL)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s: the address of a store has no ? or #; what to take is said with "
			"--select",
			url);
	len = strlen(host);
	while (len > 0 && host[len - 1] == '/')
		len--;
	s->root = pgo_asprintf("%s://%.*s/",
		strncmp(url, "pyroscope+https:", 16) == 0 ? "https" : "http", (int)len, host);
	s->place = place_of(host, len);
	return s->root != NULL && s->place != NULL ? 0 : pgo_err_nomem(err);
}

static struct pgo_source *pyro_open(const char *url, struct pgo_err *err)
{
	struct pgo_pyro *s = pgo_calloc(1, sizeof *s);

	if (s == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	s->base.ops = strncmp(url, "pyroscope+https:", 16) == 0 ? &pgo_source_pyroscope_https
								: &pgo_source_pyroscope;
	s->now_ns = pgo_now();
	if (set_address(s, url, err) < 0) {
		pyro_close(&s->base);
		return NULL;
	}
	return &s->base;
}

/* ---------------------------------------------------------------- objects by name */

static bool same_name(const void *ctx, uint32_t i, const void *key)
{
	const struct pgo_pyro *s = ctx;

	return strcmp(s->objects[i].name, key) == 0;
}

struct pgo_pyro_object *pgo_pyro_find(const struct pgo_pyro *s, const char *name)
{
	uint32_t i = pgo_map_find(&s->by_name, pgo_hash(name, strlen(name)), same_name, s, name);

	return i != PGO_MAP_NONE ? &s->objects[i] : NULL;
}

int pgo_pyro_add(struct pgo_pyro *s, struct pgo_pyro_object *o, struct pgo_err *err)
{
	struct pgo_pyro_object *to;

	if (pgo_pyro_find(s, o->name) != NULL) {
		pgo_pyro_object_fini(o);
		return 0;
	}
	to = PGO_VEC_PUSH(s->objects, s->n_objects, s->objects_room);
	if (to == NULL) {
		pgo_pyro_object_fini(o);
		return pgo_err_nomem(err);
	}
	*to = *o;
	memset(o, 0, sizeof *o);
	if (pgo_map_add(&s->by_name, pgo_hash(to->name, strlen(to->name)),
		    (uint32_t)(s->n_objects - 1)) < 0)
		return pgo_err_nomem(err);
	return 0;
}

/* ---------------------------------------------------------------- asking */

int pgo_pyro_prepare(const struct pgo_pyro *s, const char *method, const struct pgo_buf *body,
	struct pgo_http_request *r, struct pgo_err *err)
{
	int rc = pgo_buf_check(body, "the request", err);

	if (rc < 0)
		return rc;
	r->url = pgo_asprintf("%s%s", s->root, method);
	r->body = body->data != NULL ? body->data : "";
	r->body_len = body->len;
	r->sign = pgo_http_auth_add;
	r->patient = true;
	r->total_ms = ANSWER_MS;
	if (r->url == NULL ||
		pgo_http_headers_add(&r->headers, "Content-Type", "application/proto") < 0 ||
		pgo_http_headers_add(&r->headers, "Connect-Protocol-Version", "1") < 0 ||
		/* Without this, labels with dots and the like are left out of replies. */
		pgo_http_headers_add(&r->headers, "Accept", "*/*;allow-utf8-labelnames=true") < 0)
		return pgo_err_nomem(err);
	return 0;
}

void pgo_pyro_request_fini(struct pgo_http_request *r)
{
	pgo_free((char *)(uintptr_t)r->url);
	r->url = NULL;
	pgo_http_headers_fini(&r->headers);
}

static int pyro_request(struct pgo_source *src, const char *name, unsigned part,
	struct pgo_http_request *r, struct pgo_err *err)
{
	struct pgo_pyro *s = (struct pgo_pyro *)src;
	struct pgo_pyro_object *o = pgo_pyro_find(s, name);
	enum pgo_pyro_how how = s->known ? s->how : PGO_PYRO_PROBE;
	struct pgo_buf body;
	int rc;

	if (o == NULL || part >= o->n_types)
		return pgo_err_set(err, PGO_ENOTFOUND, "%s was not listed", name);
	o->how[part] = (uint8_t)how;
	pgo_buf_init(&body, BODY_MAX);
	pgo_pyro_merge_ask(&body, how, s->types[o->types[part]].id, o->selector,
		o->from_ns / 1000000, o->to_ns / 1000000 - 1);
	rc = pgo_pyro_prepare(s,
		how == PGO_PYRO_PROFILE ? PGO_PYRO_QUERY "SelectMergeProfile"
					: PGO_PYRO_QUERY "SelectMergeStacktraces",
		&body, r, err);
	if (rc == 0 && pgo_http_headers_add(&r->headers, "Accept-Encoding", "gzip") < 0)
		rc = pgo_err_nomem(err);
	if (rc < 0) {
		pgo_pyro_request_fini(r);
		pgo_buf_fini(&body);
	}
	return rc; /* the body's bytes belong to the request now */
}

static void pyro_request_end(struct pgo_source *src, struct pgo_http_request *r)
{
	(void)src;
	if (r->body_len != 0)
		pgo_free((void *)(uintptr_t)r->body);
	r->body = NULL;
	pgo_free((char *)(uintptr_t)r->url);
	r->url = NULL;
}

/* ---------------------------------------------------------------- answers */

/* {"code": "invalid_argument", "message": "..."}; the message as it is. */
int pgo_pyro_refused(const struct pgo_http_reply *reply, struct pgo_err *err)
{
	struct pgo_jval *doc = NULL;
	const char *code, *message;
	char *url;
	int rc;

	if (reply->body.len != 0 && reply->body.data[0] == '{')
		doc = pgo_jdoc_parse("the reply", reply->body.data, reply->body.len, NULL);
	code = doc != NULL ? pgo_jval_str(pgo_jval_get(doc, "code"), "") : "";
	message = doc != NULL ? pgo_jval_str(pgo_jval_get(doc, "message"), "") : "";
	url = pgo_http_redact(reply->url);
	if (url == NULL)
		rc = pgo_err_nomem(err);
	else if (strstr(message, "no org id") != NULL)
		rc = pgo_err_set(err, PGO_ENET,
			"%s: the server answers %ld, %s: %.600s; it keeps profiles for several "
			"tenants: say "
			"with PGO_FETCH_TENANT whose these are",
			url, reply->status, code, message);
	else if (*message == '\0' || reply->status == 401 || reply->status == 429)
		rc = pgo_http_refused(reply, err);
	else
		rc = pgo_err_set(err, PGO_ENET, "%s: the server answers %ld, %s: %.600s", url,
			reply->status, code, message);
	pgo_free(url);
	pgo_jdoc_free(doc);
	return rc;
}

/* Does the server not know the method, or not this way of asking? */
static bool is_unknown_method(const struct pgo_http_reply *r)
{
	return r->status == 404 || r->status == 405 || r->status == 501 ||
	       (r->body.data != NULL && strstr(r->body.data, "\"unimplemented\"") != NULL);
}

static int is_no_message(const struct pgo_http_reply *reply, struct pgo_err *err)
{
	const char *type = pgo_http_headers_get(&reply->headers, "content-type");
	char *url;
	int rc;

	if (type == NULL || strncmp(type, "text/", 5) != 0)
		return 0;
	url = pgo_http_redact(reply->url);
	rc = pgo_err_set(err, PGO_ENET,
		"%s: the server answers with a page of text (%s), not with data: check the address "
		"and its base path, and whether a login is in between",
		url != NULL ? url : "", type);
	pgo_free(url);
	return rc;
}

/* The reply to a question in the newer way. */
static int judge_newer(
	struct pgo_pyro *s, enum pgo_pyro_how how, const char *path, struct pgo_err *err)
{
	enum pgo_pyro_reply kind = PGO_PYRO_IS_EMPTY;
	int rc = pgo_pyro_reply_kind(path, &kind, err);

	if (rc < 0)
		return rc;
	if (kind == PGO_PYRO_IS_EMPTY)
		return pgo_err_set(err, PGO_EEMPTY, "the store has no samples there");
	if (kind == PGO_PYRO_IS_PPROF && how == PGO_PYRO_STACKTRACES)
		return 0;
	/* It is clear now how to ask; a server in front of several versions may say otherwise at
	 * the next question, and then the older way is the one that all of them know. */
	s->known = true;
	s->how = kind == PGO_PYRO_IS_PPROF ? PGO_PYRO_STACKTRACES : PGO_PYRO_PROFILE;
	return 1;
}

static int pyro_reply(struct pgo_source *src, const char *name, unsigned part,
	const struct pgo_http_reply *reply, const char *path, struct pgo_err *err)
{
	struct pgo_pyro *s = (struct pgo_pyro *)src;
	struct pgo_pyro_object *o = pgo_pyro_find(s, name);
	enum pgo_pyro_how how;
	int rc;

	if (o == NULL || part >= o->n_types)
		return pgo_err_set(err, PGO_ENOTFOUND, "%s was not listed", name);
	how = (enum pgo_pyro_how)o->how[part];
	if (reply->status < 200 || reply->status > 299) {
		if (how == PGO_PYRO_PROFILE || !is_unknown_method(reply))
			return pgo_pyro_refused(reply, err);
		s->known = true;
		s->how = PGO_PYRO_PROFILE;
		return 1;
	}
	rc = is_no_message(reply, err);
	if (rc < 0)
		return rc;
	if (access(path, F_OK) < 0)
		return pgo_err_set(err, PGO_EEMPTY, "the store has no samples there");
	return how == PGO_PYRO_PROFILE ? 0 : judge_newer(s, how, path, err);
}

/* ---------------------------------------------------------------- replies -> a profile */

static int read_whole(const char *path, struct pgo_buf *to, struct pgo_err *err)
{
	struct pgo_stream *s = pgo_stream_open(path, REPLY_MAX, err);
	int64_t n = s != NULL ? 1 : err->code;

	while (n > 0) {
		char *p = pgo_buf_reserve(to, 1 << 20);

		if (p == NULL) {
			n = pgo_buf_check(to, "the reply", err);
			break;
		}
		n = pgo_stream_read(s, p, 1 << 20, err);
		to->len += n > 0 ? (size_t)n : 0;
	}
	pgo_stream_close(s);
	return (int)n;
}

/* A reply in the newer way: the profile is inside, so it is held as a whole. */
static int add_wrapped(
	struct pgo_columns *c, const struct pgo_pyro_type *t, const char *path, struct pgo_err *err)
{
	struct pgo_reader *r = NULL;
	struct pgo_wire profile;
	struct pgo_buf whole;
	int rc;

	pgo_buf_init(&whole, REPLY_MAX);
	rc = read_whole(path, &whole, err);
	if (rc == 0)
		rc = pgo_pyro_unwrap(whole.data, whole.len, &profile, err);
	if (rc == 0 && profile.p < profile.end) {
		r = pgo_pprof_open_memory(
			t->id, profile.p, (size_t)(profile.end - profile.p), NULL, err);
		rc = r != NULL ? 0 : (int)err->code;
	}
	if (rc == 0)
		rc = pgo_columns_add(c, t->type, t->unit, r, err);
	pgo_reader_close(r);
	pgo_buf_fini(&whole);
	return rc;
}

static int add_plain(
	struct pgo_columns *c, const struct pgo_pyro_type *t, const char *path, struct pgo_err *err)
{
	struct pgo_reader *r = pgo_pprof_open(path, NULL, err);
	int rc = r != NULL ? pgo_columns_add(c, t->type, t->unit, r, err) : (int)err->code;

	pgo_reader_close(r);
	return rc;
}

/*
 * Of what the server says about a profile as a whole, nothing is right but the sample type: the
 * period is 10^9 for every process_cpu, the duration 0 or that of the query, the time the end of the
 * query.  So the time is that of the window, and the period what the values of samples and of the
 * event tell (fetch/columns.h), or unknown.
 */
static int write_joined(const struct pgo_pyro *s, const struct pgo_pyro_object *o,
	struct pgo_columns *c, const char *to_path, struct pgo_err *err)
{
	const struct pgo_pyro_type *t = &s->types[o->types[0]];
	const struct pgo_columns_header h = {
		.time_ns = o->from_ns,
		.duration_ns = o->to_ns - o->from_ns,
		.period_type = t->period_type,
		.period_unit = t->period_unit,
		.labels = o->labels,
		.n_labels = o->n_labels,
	};

	return pgo_columns_write(c, &h, to_path, err);
}

#define NO_ADDRESSES                                                                               \
	"Pyroscope erases the addresses of code that is marked as having functions: let the "      \
	"agent "                                                                                   \
	"send native code without names (not symbolized on the target, has_functions=false), or "  \
	"push profiles with pgo push"

/*
 * What the server did to addresses at ingest cannot be undone.  Of locations without a name the
 * newer storage keeps a husk, which fetch counts when it looks at the profile; the older has values
 * then, and gives no samples.  A piece of a merge that was split may well be empty.
 */
static int judge_nothing(
	const struct pgo_pyro_object *o, const struct pgo_columns *c, struct pgo_err *err)
{
	if (!pgo_columns_is_empty(c) || o->sum == 0 || o->splits != 0)
		return 0;
	return pgo_err_set(
		err, PGO_EFORMAT, "the server counts samples there and gives none; " NO_ADDRESSES);
}

static int pyro_assemble(struct pgo_source *src, const char *name, const char *const *paths,
	size_t n, const char *to_path, struct pgo_err *err)
{
	struct pgo_pyro *s = (struct pgo_pyro *)src;
	const struct pgo_pyro_object *o = pgo_pyro_find(s, name);
	struct pgo_columns *c;
	int rc = 0;

	if (o == NULL || n != o->n_types)
		return pgo_err_set(err, PGO_ENOTFOUND, "%s was not listed", name);
	c = pgo_columns_new(err);
	if (c == NULL)
		return err->code;
	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct pgo_pyro_type *t = &s->types[o->types[i]];

		if (paths[i] == NULL)
			rc = pgo_columns_add(c, t->type, t->unit, NULL, err);
		else if (o->how[i] == PGO_PYRO_PROFILE)
			rc = add_plain(c, t, paths[i], err);
		else
			rc = add_wrapped(c, t, paths[i], err);
		if (rc < 0)
			pgo_err_prefix(err, "%s", t->id);
	}
	if (rc == 0)
		rc = judge_nothing(o, c, err);
	if (rc == 0)
		rc = write_joined(s, o, c, to_path, err);
	pgo_columns_free(c);
	return rc;
}

/* What the listing knows of an object, before it is fetched and after. */
static int pyro_describe(
	struct pgo_source *src, const char *name, struct pgo_record *rec, struct pgo_err *err)
{
	const struct pgo_pyro_object *o = pgo_pyro_find((const struct pgo_pyro *)src, name);

	if (o == NULL)
		return 0;
	if (rec->time_ns == 0)
		rec->time_ns = o->from_ns;
	return pgo_record_tell(rec, o->labels, o->n_labels, "host", err);
}

#define OPERATIONS                                                                                 \
	.no_addresses = NO_ADDRESSES, .selects = true, .replaces = true, .push_shaped = true,      \
	.push_samples = 16000, .open = pyro_open, .close = pyro_close, .list = pgo_pyro_list,      \
	.request = pyro_request, .request_end = pyro_request_end, .reply = pyro_reply,             \
	.assemble = pyro_assemble, .split = pgo_pyro_split, .describe = pyro_describe,             \
	.put = pgo_pyro_put

const struct pgo_source_ops pgo_source_pyroscope = {
	.scheme = "pyroscope", .about = "Grafana Pyroscope", OPERATIONS};
const struct pgo_source_ops pgo_source_pyroscope_https = {
	.scheme = "pyroscope+https", .about = "the same, encrypted", OPERATIONS};
