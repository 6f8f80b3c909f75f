/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profefe: profefe://HOST:PORT, profefe+https://HOST.  It keeps every profile as it was sent and
 * gives it back byte for byte.
 *
 *	GET  /api/0/services
 *	GET  /api/0/profiles?service=S&type=cpu&from=T&to=T&limit=N	what there is
 *	GET  /api/0/profiles/ID						one profile
 *	POST /api/0/profiles?service=S&type=cpu&labels=k=v,...&created_at=T
 * Times are UTC without a zone, to the second; `from` and `to` are required, both inclusive.
 *
 * What is asked of the server is only what it does right: its filter by `labels` loses profiles
 * that did not arrive in the order of their times (it joins lists by id which are sorted by time),
 * so labels are looked at here; without `type` or `limit` its stores on S3 leave things out.  A list
 * that is as long as the limit is asked for again in halves of its time.
 *
 * A name is HOST:PORT/SERVICE/TYPE/TIME/ID.
 */
#include "fetch/http_auth.h"
#include "fetch/profefe_list.h"
#include "fetch/push.h"
#include "fetch/source.h"
#include "fetch/store_url.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS ((int64_t)1000000000)
#define REPLY_MAX ((uint64_t)256 << 20)
#define BODY_MAX ((size_t)1 << 30)
#define URL_MAX ((size_t)1 << 20)
/* Profiles in one reply; a million in one second is where we give up. */
#define PAGE 5000
#define PAGE_MAX 1000000
/* 2200-01-01, when no end is given: the server counts nanoseconds in 64 bits. */
#define FOREVER_S ((int64_t)7258118400)

struct profefe_source {
	struct pgo_source base;
	struct pgo_store_url url;
	struct pgo_profefe_list list; /* by name, without doublets, once listed */
};

static void profefe_close(struct pgo_source *src)
{
	struct profefe_source *s = (struct profefe_source *)src;

	pgo_profefe_list_fini(&s->list);
	pgo_store_url_fini(&s->url);
	pgo_free(s);
}

static struct pgo_source *profefe_open(const char *url, struct pgo_err *err)
{
	struct profefe_source *s = pgo_calloc(1, sizeof *s);

	if (s == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	s->base.ops =
		strncmp(url, "profefe+", 8) == 0 ? &pgo_source_profefe_https : &pgo_source_profefe;
	if (pgo_store_url_parse(url, NULL, NULL, &s->url, err) < 0) {
		profefe_close(&s->base);
		return NULL;
	}
	return &s->base;
}

/* ---------------------------------------------------------------- asking */

/* Asks for `path`; 0 and the body of a good answer, or PGO_ENOTFOUND where there is nothing. */
static int ask(struct profefe_source *s, const char *path, struct pgo_http_reply *reply,
	struct pgo_err *err)
{
	struct pgo_http_request r = {.max = REPLY_MAX, .sign = pgo_http_auth_add};
	char *url = pgo_asprintf("%s/api/0/%s", s->url.base, path);
	int rc = url != NULL ? 0 : pgo_err_nomem(err);

	r.url = url;
	if (rc == 0)
		rc = pgo_http_ask(s->base.http, &r, reply, err);
	if (rc == 0 && reply->status != 200) {
		rc = reply->status == 204 ||
				     (reply->status == 404 &&
					     pgo_profefe_is_none(reply->body.data, reply->body.len))
			     ? pgo_err_set(err, PGO_ENOTFOUND, "%s: nothing is there", url)
			     : pgo_http_refused(reply, err);
		if (rc == PGO_ENOTFOUND && reply->status == 404 &&
			!pgo_profefe_is_none(reply->body.data, reply->body.len))
			rc = pgo_err_set(err, PGO_ENET,
				"%s: there is no interface of Profefe's at this address (status "
				"404)",
				url);
	}
	pgo_http_headers_fini(&r.headers);
	pgo_free(url);
	return rc;
}

static void add_time(struct pgo_buf *to, int64_t seconds)
{
	char text[32];

	pgo_format_time(seconds * SECOND_NS, text, sizeof text);
	text[strlen(text) - 1] = '\0'; /* the Z */
	pgo_http_escape(to, text, false);
}

static char *list_path(
	const char *service, const char *type, int64_t from_s, int64_t to_s, int64_t limit)
{
	struct pgo_buf b;
	char *path;

	pgo_buf_init(&b, URL_MAX);
	pgo_buf_puts(&b, "profiles?service=");
	pgo_http_escape(&b, service, false);
	pgo_buf_printf(&b, "&type=%s&from=", type);
	add_time(&b, from_s);
	pgo_buf_puts(&b, "&to=");
	add_time(&b, to_s);
	pgo_buf_printf(&b, "&limit=%" PRId64, limit);
	path = b.failed ? NULL : pgo_strdup(b.data);
	pgo_buf_fini(&b);
	return path;
}

/* The number of profiles in the reply, which are appended to the list. */
static int64_t ask_list(struct profefe_source *s, const char *service, const char *type,
	int64_t from_s, int64_t to_s, int64_t limit, struct pgo_err *err)
{
	char *path = list_path(service, type, from_s, to_s, limit);
	struct pgo_http_reply reply = {0};
	int64_t n;

	if (path == NULL)
		return pgo_err_nomem(err);
	n = ask(s, path, &reply, err);
	if (n == 0)
		n = pgo_profefe_list_parse(
			s->url.name, reply.body.data, reply.body.len, &s->list, err);
	else if (n == PGO_ENOTFOUND)
		n = 0;
	pgo_http_reply_fini(&reply);
	pgo_free(path);
	return n;
}

/* All profiles of a service and type within from..to: in halves where there are many. */
static int list_range(struct profefe_source *s, const char *service, const char *type,
	int64_t from_s, int64_t to_s, struct pgo_err *err)
{
	int64_t limit = PAGE, mid = from_s + (to_s - from_s) / 2;
	int64_t n = ask_list(s, service, type, from_s, to_s, limit, err);
	int rc;

	/* Less than two seconds cannot be halved: both ends belong to the range. */
	while (n >= limit && mid == from_s && limit < PAGE_MAX) {
		limit = limit * 10 < PAGE_MAX ? limit * 10 : PAGE_MAX;
		n = ask_list(s, service, type, from_s, to_s, limit, err);
	}
	if (n < limit)
		return n < 0 ? (int)n : 0;
	if (mid == from_s)
		return pgo_err_set(err, PGO_ELIMIT,
			"%s: the service %s has more than %d profiles of one second", s->url.name,
			service, PAGE_MAX);
	rc = list_range(s, service, type, from_s, mid, err);
	return rc == 0 ? list_range(s, service, type, mid, to_s, err) : rc;
}

/* ---------------------------------------------------------------- what is wanted */

/* The types of profile that may hold those columns. */
static const struct {
	const char *column, *type;
} homes[] = {
	{"alloc_objects", "heap"},
	{"alloc_space", "heap"},
	{"inuse_objects", "heap"},
	{"inuse_space", "heap"},
	{"heap", "heap"},
	{"block", "block"},
	{"mutex", "mutex"},
	{"contentions", "mutex"},
	{"delay", "mutex"},
	{"goroutine", "goroutine"},
	{"threadcreate", "threadcreate"},
};

static const char *const all_types[] = {
	"cpu", "other", "heap", "block", "mutex", "goroutine", "threadcreate"};

static bool is_home(const char *type, const char *column)
{
	bool known = false;

	for (size_t i = 0; i < sizeof homes / sizeof *homes; i++)
		if (strcmp(homes[i].column, column) == 0) {
			if (strcmp(homes[i].type, type) == 0)
				return true;
			known = true;
		}
	return !known && (strcmp(type, "cpu") == 0 || strcmp(type, "other") == 0);
}

static bool wants_type(const struct pgo_query *q, const char *type)
{
	if (q->n_types == 0)
		return is_home(type, "cpu");
	for (size_t i = 0; i < q->n_types; i++)
		if (is_home(type, q->types[i]))
			return true;
	return false;
}

/* Does the store say of the profile what the matchers ask for?  What it does not say is left to
 * whoever reads the profile. */
static int is_wanted(const struct profefe_source *s, const struct pgo_profefe_meta *m, bool *ret,
	struct pgo_err *err)
{
	const struct pgo_query *q = s->base.query;
	const struct pgo_selection *all = q->selection;
	struct pgo_selection said = {0};
	struct pgo_record rec = {0};
	int rc = pgo_record_tell(&rec, m->labels, m->n_labels, q->by_host, err);

	if (rc == 0)
		rc = pgo_record_set(&rec.service, m->service, err);
	for (size_t i = 0; i < all->n_matchers && rc == 0; i++) {
		const char *have = pgo_record_get_label(&rec, all->matchers[i].key);
		struct pgo_matcher *to;

		if (have == NULL || *have == '\0')
			continue;
		to = PGO_VEC_PUSH(said.matchers, said.n_matchers, said.matchers_room);
		if (to == NULL)
			rc = pgo_err_nomem(err);
		else
			*to = all->matchers[i];
	}
	if (rc == 0)
		*ret = pgo_selection_takes(&said, &rec);
	pgo_free(said.matchers); /* what is in them is the query's */
	pgo_record_fini(&rec);
	return rc;
}

/* ---------------------------------------------------------------- the listing */

struct listing {
	struct profefe_source *s;
	int64_t from_s, to_s;
	char **services;
	size_t n, room;
};

static int add_service(void *ctx, const char *service, struct pgo_err *err)
{
	struct listing *l = ctx;
	const struct pgo_selection *all = l->s->base.query->selection;
	struct pgo_record rec = {0};
	bool wanted = true;
	int rc = pgo_record_set(&rec.service, service, err);

	for (size_t i = 0; i < all->n_matchers && rc == 0; i++) {
		struct pgo_selection one = {.matchers = &all->matchers[i], .n_matchers = 1};

		if (strcmp(all->matchers[i].key, "service") == 0)
			wanted = wanted && pgo_selection_takes(&one, &rec);
	}
	pgo_record_fini(&rec);
	return rc == 0 && wanted ? pgo_record_list_add(&l->services, &l->n, &l->room, service, err)
				 : rc;
}

static int list_services(struct listing *l, struct pgo_err *err)
{
	struct pgo_http_reply reply = {0};
	int rc = ask(l->s, "services", &reply, err);

	if (rc == 0)
		rc = pgo_profefe_services_parse(
			l->s->url.name, reply.body.data, reply.body.len, add_service, l, err);
	else if (rc == PGO_ENOTFOUND)
		rc = 0;
	pgo_http_reply_fini(&reply);
	return rc;
}

static int name_meta(struct profefe_source *s, struct pgo_profefe_meta *m, struct pgo_err *err)
{
	char when[32];
	struct pgo_buf b;

	pgo_format_time(m->created_ns, when, sizeof when);
	pgo_buf_init(&b, URL_MAX);
	pgo_buf_puts(&b, s->url.name);
	pgo_name_add(&b, m->service);
	pgo_name_add(&b, m->type);
	pgo_buf_printf(&b, "/%s", when);
	pgo_name_add(&b, m->id);
	m->name = b.failed ? NULL : pgo_strdup(b.data);
	pgo_buf_fini(&b);
	return m->name != NULL ? 0 : pgo_err_nomem(err);
}

static int cmp_meta(const void *a, const void *b)
{
	return strcmp(((const struct pgo_profefe_meta *)a)->name,
		((const struct pgo_profefe_meta *)b)->name);
}

/* In order of names; what two halves of a range both had, once. */
static int sort_list(struct profefe_source *s, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < s->list.n && rc == 0; i++)
		rc = name_meta(s, &s->list.metas[i], err);
	if (rc == 0 && s->list.n != 0)
		qsort(s->list.metas, s->list.n, sizeof *s->list.metas, cmp_meta);
	return rc;
}

static int offer(struct profefe_source *s, pgo_each_listed *each, void *ctx, struct pgo_err *err)
{
	const struct pgo_query *q = s->base.query;
	int rc = 0;

	for (size_t i = 0; i < s->list.n && rc == 0; i++) {
		const struct pgo_profefe_meta *m = &s->list.metas[i];
		const struct pgo_listed l = {.name = m->name, .mtime_ns = m->created_ns};
		bool wanted = true;

		if ((i > 0 && cmp_meta(m, m - 1) == 0) ||
			(q->until_ns != 0 && m->created_ns >= q->until_ns))
			continue;
		rc = is_wanted(s, m, &wanted, err);
		if (rc == 0 && wanted)
			rc = each(ctx, &l, err);
	}
	return rc;
}

static int profefe_list(struct pgo_source *src, const struct pgo_query *q, pgo_each_listed *each,
	void *ctx, struct pgo_err *err)
{
	struct profefe_source *s = (struct profefe_source *)src;
	struct listing l = {
		.s = s,
		.from_s = q->since_ns > 0 ? q->since_ns / SECOND_NS : 0,
		.to_s = q->until_ns > 0 ? (q->until_ns + SECOND_NS - 1) / SECOND_NS : FOREVER_S,
	};
	int rc = list_services(&l, err);

	for (size_t i = 0; i < l.n && rc == 0; i++)
		for (size_t t = 0; t < sizeof all_types / sizeof *all_types && rc == 0; t++)
			if (wants_type(q, all_types[t]))
				rc = list_range(
					s, l.services[i], all_types[t], l.from_s, l.to_s, err);
	for (size_t i = 0; i < l.n; i++)
		pgo_free(l.services[i]);
	pgo_free(l.services);
	if (rc == 0)
		rc = sort_list(s, err);
	return rc == 0 ? offer(s, each, ctx, err) : rc;
}

/* ---------------------------------------------------------------- one profile */

static const struct pgo_profefe_meta *find(const struct profefe_source *s, const char *name)
{
	const struct pgo_profefe_meta key = {.name = (char *)(uintptr_t)name};

	return s->list.n != 0 ? bsearch(&key, s->list.metas, s->list.n, sizeof key, cmp_meta)
			      : NULL;
}

/* The server takes %XX off twice, so a % in an id (ids of stores on S3 hold labels) needs it. */
static void escape_twice(struct pgo_buf *to, const char *text)
{
	for (; *text != '\0'; text++) {
		const char one[2] = {*text, '\0'};

		if (*text == '%')
			pgo_buf_puts(to, "%2525");
		else
			pgo_http_escape(to, one, false);
	}
}

static int profefe_request(struct pgo_source *src, const char *name, unsigned part,
	struct pgo_http_request *r, struct pgo_err *err)
{
	const struct profefe_source *s = (const struct profefe_source *)src;
	const struct pgo_profefe_meta *m = find(s, name);
	struct pgo_buf url;

	(void)part;
	if (m == NULL)
		return pgo_err_set(err, PGO_ENOTFOUND, "%s: not in the list", name);
	pgo_buf_init(&url, URL_MAX);
	pgo_buf_printf(&url, "%s/api/0/profiles/", s->url.base);
	escape_twice(&url, m->id);
	r->url = url.failed ? NULL : pgo_strdup(url.data);
	pgo_buf_fini(&url);
	r->sign = pgo_http_auth_add;
	return r->url != NULL ? 0 : pgo_err_nomem(err);
}

static void profefe_request_end(struct pgo_source *src, struct pgo_http_request *r)
{
	(void)src;
	pgo_free((char *)(uintptr_t)r->url);
}

static int profefe_describe(
	struct pgo_source *src, const char *name, struct pgo_record *rec, struct pgo_err *err)
{
	const struct profefe_source *s = (const struct profefe_source *)src;
	const struct pgo_profefe_meta *m = find(s, name);
	int rc;

	if (m == NULL)
		return 0;
	rc = pgo_record_tell(rec, m->labels, m->n_labels,
		s->base.query != NULL ? s->base.query->by_host : NULL, err);
	return rc == 0 ? pgo_record_set(&rec->service, m->service, err) : rc;
}

/* ---------------------------------------------------------------- pushing */

/* Ours is a profile of CPU time or of branches, if it is none of memory alone. */
static const char *type_of(const struct pgo_record *rec)
{
	for (size_t i = 0; i < rec->n_sample_types; i++) {
		const char *type = rec->sample_types[i];

		for (size_t k = 0; k < sizeof homes / sizeof *homes; k++) {
			size_t len = strlen(homes[k].column);

			if (strncmp(type, homes[k].column, len) == 0 && type[len] == '/')
				return homes[k].type;
		}
	}
	return "cpu";
}

/* The server takes the escapes of labels off twice. */
static void add_label(struct pgo_buf *to, const char *key, const char *value)
{
	struct pgo_buf once;

	if (value == NULL || *value == '\0')
		return;
	pgo_buf_init(&once, URL_MAX);
	if (to->data[to->len - 1] != '=')
		pgo_buf_puts(&once, ",");
	pgo_http_escape(&once, key, false);
	pgo_buf_puts(&once, "=");
	pgo_http_escape(&once, value, false);
	if (once.failed)
		to->failed = true;
	else
		pgo_http_escape(to, once.data, false);
	pgo_buf_fini(&once);
}

static char *put_url(const struct profefe_source *s, const struct pgo_record *rec)
{
	struct pgo_buf b;
	char *url;

	pgo_buf_init(&b, URL_MAX);
	pgo_buf_printf(&b, "%s/api/0/profiles?service=", s->url.base);
	pgo_http_escape(&b, rec->service, false);
	pgo_buf_printf(&b, "&type=%s", type_of(rec));
	if (rec->time_ns > 0) {
		pgo_buf_puts(&b, "&created_at=");
		add_time(&b, rec->time_ns / SECOND_NS);
	}
	pgo_buf_puts(&b, "&labels=");
	if (!b.failed) {
		add_label(&b, "host", rec->host);
		add_label(&b, "version", rec->version);
		for (size_t i = 0; i < rec->n_labels; i++)
			add_label(&b, rec->labels[i].key, rec->labels[i].value);
	}
	url = b.failed ? NULL : pgo_strdup(b.data);
	pgo_buf_fini(&b);
	return url;
}

static int post(const struct profefe_source *s, const struct pgo_record *rec,
	const struct pgo_buf *body, struct pgo_err *err)
{
	struct pgo_http_request r = {.max = REPLY_MAX, .sign = pgo_http_auth_add};
	struct pgo_http_reply reply = {0};
	char *url = put_url(s, rec);
	int rc = url != NULL ? pgo_http_headers_add(
				       &r.headers, "Content-Type", "application/octet-stream")
			     : -1;

	r.url = url;
	r.body = body->data;
	r.body_len = body->len;
	rc = rc == 0 ? pgo_http_get(s->base.http, &r, &reply, err) : pgo_err_nomem(err);
	pgo_http_reply_fini(&reply);
	pgo_http_headers_fini(&r.headers);
	pgo_free(url);
	return rc;
}

static int profefe_put(
	struct pgo_source *src, const struct pgo_push_item *item, struct pgo_err *err)
{
	const struct profefe_source *s = (const struct profefe_source *)src;
	const struct pgo_record *rec = item->record;
	struct pgo_buf body;
	int rc;

	if (rec->service == NULL || rec->service[0] == '\0')
		return pgo_err_set(err, PGO_EUSAGE,
			"Profefe keeps profiles by service, and this one does not name any: give "
			"--service");
	if (strcmp(rec->kind, "pprof") != 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"Profefe takes profiles of the pprof format only, and this is %s: give it "
			"to "
			"pgo import first",
			rec->kind);
	pgo_buf_init(&body, BODY_MAX);
	rc = pgo_file_read(item->path, BODY_MAX, &body, err);
	if (rc == 0)
		rc = post(s, rec, &body, err);
	pgo_buf_fini(&body);
	return rc;
}

const struct pgo_source_ops pgo_source_profefe = {
	.scheme = "profefe",
	.about = "a server of Profefe's",
	.open = profefe_open,
	.close = profefe_close,
	.list = profefe_list,
	.request = profefe_request,
	.request_end = profefe_request_end,
	.describe = profefe_describe,
	.put = profefe_put,
};

const struct pgo_source_ops pgo_source_profefe_https = {
	.scheme = "profefe+https",
	.about = "the same, encrypted",
	.open = profefe_open,
	.close = profefe_close,
	.list = profefe_list,
	.request = profefe_request,
	.request_end = profefe_request_end,
	.describe = profefe_describe,
	.put = profefe_put,
};
