/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datadog: datadog://SERVICE?env=ENV&query=...&limit=N asks for the profiles of a service that used
 * most processor time.
 *
 *	POST https://app.SITE/api/unstable/profiles/gopgo	DD-API-KEY, DD-APPLICATION-KEY
 *	{"queries": [{"filter": {"from", "to", "query"},
 *		      "sort": {"order": "desc", "field": "@metrics.core_cpu_cores"}, "limit": N}]}
 *	-> a ZIP archive of pprofs
 *
 * That is how Datadog's own tool for Go's PGO asks.  The interface calls itself unstable, there is no
 * description of it, and it has Go programs only; all that has been tried here is against replies
 * made by hand.
 *
 * From the environment: DD_API_KEY, DD_APP_KEY (DD_APPLICATION_KEY), DD_SITE (datadoghq.com; a
 * whole URL for a server of your own).  A name is SITE/SERVICE/FILE@DIGEST.
 */
#include "fetch/held.h"
#include "fetch/store_url.h"
#include "fetch/zip.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/json.h"
#include "pgo/core/opt.h"

#include <stdlib.h>
#include <string.h>

#define REPLY_MAX ((uint64_t)256 << 20)
#define INFLATED_MAX ((uint64_t)2 << 30)
#define DEFAULT_LIMIT 5
#define LIMIT_MAX 1000
#define DEFAULT_HOURS 72
#define HOUR_NS ((int64_t)3600 * 1000000000)

struct datadog_source {
	struct pgo_source base;
	struct pgo_held held;
	char *service, *env, *query;
	uint64_t limit;
};

static void datadog_close(struct pgo_source *src)
{
	struct datadog_source *s = (struct datadog_source *)src;

	pgo_held_fini(&s->held);
	pgo_free(s->service);
	pgo_free(s->env);
	pgo_free(s->query);
	pgo_free(s);
}

/* ---------------------------------------------------------------- the address */

static int set(void *ctx, const char *name, const char *value, struct pgo_err *err)
{
	struct datadog_source *s = ctx;

	if (strcmp(name, "env") == 0)
		return pgo_record_set(&s->env, value, err);
	if (strcmp(name, "query") == 0)
		return pgo_record_set(&s->query, value, err);
	if (strcmp(name, "limit") == 0 && pgo_parse_u64(value, &s->limit, NULL) == 0 &&
		s->limit > 0 && s->limit <= LIMIT_MAX)
		return 0;
	return pgo_err_set(err, PGO_EUSAGE,
		"'%s=%s': behind the ? may stand env=, query= and limit= (up to %d)", name, value,
		LIMIT_MAX);
}

/* The host in the address is a service here. */
static int read_url(struct datadog_source *s, const char *url, struct pgo_err *err)
{
	struct pgo_store_url u = {0};
	int rc = pgo_store_url_parse(url, set, s, &u, err);

	if (rc == 0) {
		s->service = pgo_strdup(u.name);
		if (s->service == NULL)
			rc = pgo_err_nomem(err);
	}
	pgo_store_url_fini(&u);
	return rc;
}

static struct pgo_source *datadog_open(const char *url, struct pgo_err *err)
{
	struct datadog_source *s = pgo_calloc(1, sizeof *s);

	if (s == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	s->base.ops = &pgo_source_datadog;
	s->limit = DEFAULT_LIMIT;
	pgo_held_init(&s->held);
	if (read_url(s, url, err) < 0) {
		datadog_close(&s->base);
		return NULL;
	}
	return &s->base;
}

/* ---------------------------------------------------------------- asking */

static const char *setting(const char *name, const char *other)
{
	const char *value = getenv(name);

	if ((value == NULL || value[0] == '\0') && other != NULL)
		value = getenv(other);
	return value != NULL && value[0] != '\0' ? value : NULL;
}

static void add_query(const struct datadog_source *s, struct pgo_buf *to)
{
	const char *more = s->query != NULL ? s->query : "";

	pgo_buf_printf(to, "service:%s", s->service);
	if (s->env != NULL)
		pgo_buf_printf(to, " env:%s", s->env);
	if (more[0] != '\0')
		pgo_buf_printf(to, " %s", more);
	if (strstr(more, "runtime:") == NULL && strstr(more, "language:") == NULL)
		pgo_buf_puts(to, " runtime:go");
}

static void make_body(const struct datadog_source *s, struct pgo_buf *body, struct pgo_buf *query)
{
	const struct pgo_query *q = s->base.query;
	int64_t to = q != NULL && q->until_ns != 0 ? q->until_ns : pgo_now();
	int64_t from = q != NULL && q->since_ns != 0 ? q->since_ns : to - DEFAULT_HOURS * HOUR_NS;
	struct pgo_json j;
	char text[64];

	pgo_json_init(&j, body, true);
	pgo_json_object(&j);
	pgo_json_key(&j, "queries");
	pgo_json_array(&j);
	pgo_json_object(&j);
	pgo_json_key(&j, "filter");
	pgo_json_object(&j);
	pgo_format_time(from, text, sizeof text);
	pgo_json_kv_str(&j, "from", text);
	pgo_format_time(to, text, sizeof text);
	pgo_json_kv_str(&j, "to", text);
	pgo_json_kv_str(&j, "query", query->data);
	pgo_json_end_object(&j);
	pgo_json_key(&j, "sort");
	pgo_json_object(&j);
	pgo_json_kv_str(&j, "order", "desc");
	pgo_json_kv_str(&j, "field", "@metrics.core_cpu_cores");
	pgo_json_end_object(&j);
	pgo_json_kv_u64(&j, "limit", s->limit);
	pgo_json_end_object(&j);
	pgo_json_end_array(&j);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}

static int add_headers(struct pgo_http_request *r, struct pgo_err *err)
{
	const char *api = setting("DD_API_KEY", NULL);
	const char *app = setting("DD_APP_KEY", "DD_APPLICATION_KEY");

	if (api == NULL || app == NULL)
		return pgo_err_set(err, PGO_EUSAGE,
			"datadog:// needs DD_API_KEY and DD_APP_KEY in the environment");
	if (pgo_http_headers_add(&r->headers, "DD-API-KEY", api) < 0 ||
		pgo_http_headers_add(&r->headers, "DD-APPLICATION-KEY", app) < 0 ||
		pgo_http_headers_add(&r->headers, "Content-Type", "application/json") < 0)
		return pgo_err_nomem(err);
	return 0;
}

struct adding {
	struct datadog_source *s;
	char *prefix;
};

static int add_file(void *ctx, const char *name, const void *bytes, size_t len, struct pgo_err *err)
{
	const struct adding *a = ctx;
	int rc = pgo_held_add(&a->s->held, a->prefix, name, bytes, len, 0, err);

	if (rc == 0)
		rc = pgo_held_label(&a->s->held, "service", a->s->service, err);
	return rc == 0 ? pgo_held_label(&a->s->held, "env", a->s->env, err) : rc;
}

static int take_reply(struct datadog_source *s, const char *site,
	const struct pgo_http_reply *reply, struct pgo_err *err)
{
	struct adding a = {s, pgo_asprintf("%s/%s", site, s->service)};
	int rc;

	if (a.prefix == NULL)
		return pgo_err_nomem(err);
	if (reply->body.len == 0)
		rc = 0;
	else if (!pgo_zip_probe(reply->body.data, reply->body.len))
		rc = pgo_err_set(err, PGO_ENET,
			"%s: what Datadog answers is no ZIP archive but: %.*s", a.prefix,
			(int)(reply->body.len < 200 ? reply->body.len : 200), reply->body.data);
	else
		rc = pgo_zip_read(
			reply->body.data, reply->body.len, INFLATED_MAX, add_file, &a, err);
	if (rc == 0 && s->held.n == 0)
		pgo_warn("%s: Datadog has no profiles of Go programs by that query", a.prefix);
	pgo_free(a.prefix);
	return rc;
}

static int ask(struct datadog_source *s, struct pgo_err *err)
{
	const char *site = setting("DD_SITE", NULL), *host;
	struct pgo_http_request r = {.max = REPLY_MAX, .patient = true, .total_ms = 120000};
	struct pgo_http_reply reply = {0};
	struct pgo_buf query, body;
	char *url;
	int rc;

	site = site != NULL ? site : "datadoghq.com";
	host = strstr(site, "://");
	url = pgo_asprintf(
		"%s%s/api/unstable/profiles/gopgo", host == NULL ? "https://app." : "", site);
	host = host != NULL ? host + 3 : site;
	pgo_buf_init(&query, (size_t)1 << 16);
	pgo_buf_init(&body, (size_t)1 << 18);
	add_query(s, &query);
	if (!query.failed)
		make_body(s, &body, &query);
	rc = url == NULL || query.failed || body.failed ? pgo_err_nomem(err) : add_headers(&r, err);
	if (rc == 0) {
		r.url = url;
		r.body = body.data;
		r.body_len = body.len;
		rc = pgo_http_get(s->base.http, &r, &reply, err);
	}
	if (rc == 0)
		rc = take_reply(s, host, &reply, err);
	pgo_http_headers_fini(&r.headers);
	pgo_http_reply_fini(&reply);
	pgo_buf_fini(&query);
	pgo_buf_fini(&body);
	pgo_free(url);
	return rc;
}

/* ---------------------------------------------------------------- the row */

static int datadog_list(struct pgo_source *src, const struct pgo_query *q, pgo_each_listed *each,
	void *ctx, struct pgo_err *err)
{
	struct datadog_source *s = (struct datadog_source *)src;
	int rc;

	(void)q;
	pgo_held_fini(&s->held);
	rc = ask(s, err);
	return rc < 0 ? rc : pgo_held_list(&s->held, each, ctx, err);
}

static int datadog_get(struct pgo_source *src, const char *name, const char *to_path, uint64_t max,
	struct pgo_err *err)
{
	return pgo_held_get(&((const struct datadog_source *)src)->held, name, to_path, max, err);
}

static int datadog_describe(
	struct pgo_source *src, const char *name, struct pgo_record *rec, struct pgo_err *err)
{
	return pgo_held_describe(&((const struct datadog_source *)src)->held, name,
		src->query != NULL ? src->query->by_host : NULL, rec, err);
}

const struct pgo_source_ops pgo_source_datadog = {
	.scheme = "datadog",
	.about = "profiles of Go programs at Datadog",
	.open = datadog_open,
	.close = datadog_close,
	.list = datadog_list,
	.get = datadog_get,
	.request = pgo_held_request,
	.describe = datadog_describe,
};
