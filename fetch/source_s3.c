/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buckets: s3://BUCKET/TEMPLATE (Amazon and everything that speaks its interface: Ceph, R2, MinIO,
 * versitygw) and gs://BUCKET/TEMPLATE (Google's, by the same interface).  TEMPLATE is a prefix, with
 * {names} if you like (fetch/key_template.h).  Parameters behind a `?`:
 *	endpoint=URL	the server, if it is not Amazon's or Google's
 *	region=NAME
 *	style=path|host	where the bucket's name goes: path is the default with an endpoint
 *	anonymous=1	without credentials even if there are some
 * Credentials, region and endpoint otherwise as in fetch/aws_conf.h; for gs: the HMAC key in
 * GS_ACCESS_KEY_ID and GS_SECRET_ACCESS_KEY, or an OAuth token in GOOGLE_OAUTH_ACCESS_TOKEN.
 *
 * Objects are listed in pages of a thousand, in byte order of their keys, by day where the template
 * allows it.  A name is BUCKET/KEY.
 */
#include "fetch/aws_conf.h"
#include "fetch/key_template.h"
#include "fetch/s3_list.h"
#include "fetch/source.h"
#include "pgo/core/alloc.h"
#include "pgo/core/opt.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define PAGE_MAX_BYTES ((uint64_t)64 << 20)

struct s3_source {
	struct pgo_source base;
	struct pgo_aws_conf conf;
	struct pgo_key_template keys;
	char *bucket, *bearer;
	char *root; /* URL of the bucket, without a slash at the end */
	bool path_style, region_given;
};

/* What a request points to while it runs. */
struct s3_request {
	const struct s3_source *source;
	char *url;
};

static void s3_close(struct pgo_source *src)
{
	struct s3_source *s = (struct s3_source *)src;

	pgo_aws_conf_fini(&s->conf);
	pgo_key_template_fini(&s->keys);
	pgo_free(s->bucket);
	pgo_free(s->bearer);
	pgo_free(s->root);
	pgo_free(s);
}

/* ---------------------------------------------------------------- the address */

static int set(char **to, const char *text, size_t len, struct pgo_err *err)
{
	char *copy = pgo_strndup(text, len);

	if (copy == NULL)
		return pgo_err_nomem(err);
	pgo_free(*to);
	*to = copy;
	return 0;
}

/* The bucket's own URL, from endpoint, region and style. */
static int find_root(struct s3_source *s, struct pgo_err *err)
{
	const char *end = s->conf.endpoint, *host = strstr(end, "://");
	size_t len = strlen(end);

	while (len > 0 && end[len - 1] == '/')
		len--;
	pgo_free(s->root);
	if (len == 0 && s->path_style)
		s->root = pgo_asprintf("https://s3.%s.amazonaws.com/%s", s->conf.region, s->bucket);
	else if (len == 0)
		s->root = pgo_asprintf("https://%s.s3.%s.amazonaws.com", s->bucket, s->conf.region);
	else if (s->path_style || host == NULL)
		s->root = pgo_asprintf("%.*s/%s", (int)len, end, s->bucket);
	else
		s->root = pgo_asprintf("%.*s%s.%.*s", (int)(host + 3 - end), end, s->bucket,
			(int)(len - (size_t)(host + 3 - end)), host + 3);
	return s->root != NULL ? 0 : pgo_err_nomem(err);
}

static bool is(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && strncmp(text, word, len) == 0;
}

static int parameter(struct s3_source *s, const char *url, const char *name, size_t name_len,
	const char *value, size_t len, struct pgo_err *err)
{
	if (is(name, name_len, "endpoint")) {
		if (strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0)
			return pgo_err_set(err, PGO_EUSAGE,
				"%s: the endpoint is no address; it should begin with https:// or "
				"http://",
				url);
		s->path_style = true;
		return set(&s->conf.endpoint, value, len, err);
	}
	if (is(name, name_len, "region")) {
		s->region_given = true;
		return set(&s->conf.region, value, len, err);
	}
	if (is(name, name_len, "style") && (is(value, len, "path") || is(value, len, "host"))) {
		s->path_style = is(value, len, "path");
		return 0;
	}
	if (is(name, name_len, "anonymous")) {
		pgo_free(s->conf.credentials.key_id);
		s->conf.credentials.key_id = NULL;
		return 0;
	}
	return pgo_err_set(err, PGO_EUSAGE,
		"%s: there is no parameter '%.*s' with this value; known are endpoint=URL, "
		"region=NAME, style=path, style=host and anonymous=1",
		url, (int)name_len, name);
}

static int parameters(struct s3_source *s, const char *url, const char *q, struct pgo_err *err)
{
	int rc = 0;

	while (*q != '\0' && rc == 0) {
		size_t len = strcspn(q, "&"), name = strcspn(q, "=&");

		rc = parameter(
			s, url, q, name, q + name + (name < len), len - name - (name < len), err);
		q += len + (q[len] == '&');
	}
	return rc;
}

/* BUCKET/TEMPLATE?PARAMETERS */
static int parse_address(
	struct s3_source *s, const char *url, const char *text, struct pgo_err *err)
{
	size_t bucket = strcspn(text, "/?"), path = strcspn(text, "?");
	char *template;
	int rc;

	if (bucket == 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s: no bucket in this address; it should look like s3://BUCKET/PREFIX",
			url);
	rc = set(&s->bucket, text, bucket, err);
	if (rc < 0)
		return rc;
	/* Amazon's certificates do not hold for names with dots in front. */
	s->path_style = s->conf.endpoint[0] != '\0' || strchr(s->bucket, '.') != NULL;
	template = pgo_strndup(
		text + bucket + (text[bucket] == '/'), path > bucket ? path - bucket - 1 : 0);
	rc = template != NULL ? pgo_key_template_init(&s->keys, template, err) : pgo_err_nomem(err);
	pgo_free(template);
	if (rc == 0 && text[path] == '?')
		rc = parameters(s, url, text + path + 1, err);
	return rc == 0 ? find_root(s, err) : rc;
}

static int google_conf(struct s3_source *s, struct pgo_err *err)
{
	const char *id = getenv("GS_ACCESS_KEY_ID"), *secret = getenv("GS_SECRET_ACCESS_KEY");
	const char *bearer = getenv("GOOGLE_OAUTH_ACCESS_TOKEN");
	int rc = set(&s->conf.region, "auto", 4, err);

	s->region_given = true;
	if (rc == 0)
		rc = set(&s->conf.endpoint, "https://storage.googleapis.com", 30, err);
	if (rc == 0 && id != NULL && secret != NULL) {
		rc = set(&s->conf.credentials.key_id, id, strlen(id), err);
		if (rc == 0)
			rc = set(&s->conf.credentials.secret, secret, strlen(secret), err);
	} else if (rc == 0 && bearer != NULL && *bearer != '\0') {
		s->bearer = pgo_asprintf("Bearer %s", bearer);
		rc = s->bearer != NULL ? 0 : pgo_err_nomem(err);
	}
	return rc;
}

static struct pgo_source *s3_open(const char *url, struct pgo_err *err)
{
	bool google = strncmp(url, "gs:", 3) == 0;
	struct s3_source *s = pgo_calloc(1, sizeof *s);
	const char *text = strstr(url, "://");
	int rc;

	if (s == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	s->base.ops = google ? &pgo_source_gs : &pgo_source_s3;
	rc = google ? google_conf(s, err) : pgo_aws_conf_load(&s->conf, err);
	if (rc == 0)
		rc = parse_address(s, url, text != NULL ? text + 3 : "", err);
	if (rc < 0) {
		s3_close(&s->base);
		return NULL;
	}
	return &s->base;
}

/* ---------------------------------------------------------------- requests */

static int s3_sign(struct pgo_http_request *r, struct pgo_err *err)
{
	const struct s3_request *q = r->ctx;
	const struct s3_source *s = q->source;

	if (s->bearer != NULL)
		return pgo_http_headers_add(&r->headers, "authorization", s->bearer) < 0
			       ? pgo_err_nomem(err)
			       : 0;
	return pgo_aws_sign(
		r, &s->conf.credentials, s->conf.region, "s3", (int64_t)time(NULL), err);
}

static int s3_request(struct pgo_source *src, const char *name, unsigned part,
	struct pgo_http_request *r, struct pgo_err *err)
{
	const struct s3_source *s = (const struct s3_source *)src;
	struct s3_request *q = pgo_calloc(1, sizeof *q);
	struct pgo_buf url;

	(void)part;
	pgo_buf_init(&url, (size_t)1 << 20);
	pgo_buf_printf(&url, "%s/", s->root);
	pgo_http_escape(&url, name + strlen(s->bucket) + 1, true);
	if (q != NULL && !url.failed)
		q->url = pgo_strdup(url.data);
	pgo_buf_fini(&url);
	if (q == NULL || q->url == NULL) {
		pgo_free(q);
		return pgo_err_nomem(err);
	}
	q->source = s;
	r->url = q->url;
	r->sign = s3_sign;
	r->ctx = q;
	return 0;
}

static void s3_request_end(struct pgo_source *src, struct pgo_http_request *r)
{
	struct s3_request *q = r->ctx;

	(void)src;
	pgo_free(q->url);
	pgo_free(q);
}

/* ---------------------------------------------------------------- the listing */

struct listing {
	struct s3_source *s;
	int64_t since_ns, until_ns;
	pgo_each_listed *each;
	void *ctx;
	bool moved; /* to another region, once */
};

static char *page_url(
	const struct s3_source *s, const char *prefix, const char *token, const char *after)
{
	struct pgo_buf url;
	char *text;

	/* In the order of the names, as they are signed. */
	pgo_buf_init(&url, (size_t)1 << 20);
	pgo_buf_printf(&url, "%s%s?", s->root, s->path_style ? "" : "/");
	if (token != NULL && *token != '\0') {
		pgo_buf_puts(&url, "continuation-token=");
		pgo_http_escape(&url, token, false);
		pgo_buf_putc(&url, '&');
	}
	pgo_buf_puts(&url, "encoding-type=url&list-type=2&max-keys=1000&prefix=");
	pgo_http_escape(&url, prefix, false);
	if (token != NULL && *token == '\0') { /* a server without tokens */
		pgo_buf_puts(&url, "&start-after=");
		pgo_http_escape(&url, after, false);
	}
	text = url.failed ? NULL : pgo_strdup(url.data);
	pgo_buf_fini(&url);
	return text;
}

/* The region that a refusal names, if that is another one: 1, and it is ours from now on. */
static int other_region(struct s3_source *s, const struct pgo_http_reply *r, struct pgo_err *err)
{
	const char *header = pgo_http_headers_get(&r->headers, "x-amz-bucket-region");
	char *region = header != NULL ? pgo_strdup(header)
				      : pgo_s3_error_field(r->body.data != NULL ? r->body.data : "",
						r->body.len, "Region");
	int rc = 0;

	if (region != NULL && *region != '\0' && strcmp(region, s->conf.region) != 0) {
		rc = set(&s->conf.region, region, strlen(region), err);
		if (rc == 0)
			rc = find_root(s, err);
		rc = rc == 0 ? 1 : rc;
	}
	pgo_free(region);
	return rc;
}

/* Code and Message of the XML, which say more than the status does. */
static int refused(const struct s3_source *s, const struct pgo_http_reply *r, struct pgo_err *err)
{
	const char *xml = r->body.data != NULL ? r->body.data : "";
	char *code = pgo_s3_error_field(xml, r->body.len, "Code");
	int rc;

	if (code != NULL && strcmp(code, "NoSuchBucket") == 0)
		rc = pgo_err_set(
			err, PGO_ENOTFOUND, "%s: there is no bucket of this name here", s->root);
	else if (code != NULL && strcmp(code, "SignatureDoesNotMatch") == 0)
		rc = pgo_err_set(err, PGO_ENET,
			"%s: the server does not accept the signature: the secret key is another "
			"one, or something on the way changes requests",
			s->root);
	else if (code != NULL && strcmp(code, "RequestTimeTooSkewed") == 0)
		rc = pgo_err_set(err, PGO_ENET,
			"%s: the clock of this machine and the server's differ too much", s->root);
	else if (r->status == 403 && s->conf.credentials.key_id == NULL && s->bearer == NULL)
		rc = pgo_err_set(err, PGO_ENET,
			"%s: the server does not answer without credentials; set "
			"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile",
			s->root);
	else
		rc = pgo_http_refused(r, err);
	pgo_free(code);
	return rc;
}

/* One page, from the right region. */
static int get_page(struct listing *l, const char *prefix, const char *token, const char *after,
	struct pgo_s3_page *ret, struct pgo_err *err)
{
	struct s3_source *s = l->s;
	struct s3_request q = {.source = s};
	struct pgo_http_request r = {.max = PAGE_MAX_BYTES, .sign = s3_sign, .ctx = &q};
	struct pgo_http_reply reply = {0};
	char *url = page_url(s, prefix, token, after);
	int rc;

	if (url == NULL)
		return pgo_err_nomem(err);
	r.url = url;
	rc = pgo_http_ask(s->base.http, &r, &reply, err);
	if (rc == 0 && reply.status == 200) {
		rc = pgo_s3_page_parse(s->root, reply.body.data != NULL ? reply.body.data : "",
			reply.body.len, ret, err);
	} else if (rc == 0) {
		rc = l->moved || s->region_given ? 0 : other_region(s, &reply, err);
		if (rc == 0)
			rc = refused(s, &reply, err);
	}
	pgo_http_headers_fini(&r.headers);
	pgo_http_reply_fini(&reply);
	pgo_free(url);
	if (rc == 1) {
		l->moved = true;
		rc = get_page(l, prefix, token, after, ret, err);
	}
	return rc;
}

static int each_object(struct listing *l, const struct pgo_s3_object *o, struct pgo_err *err)
{
	struct pgo_listed listed = {.size = o->size, .mtime_ns = o->mtime_ns};
	char *name;
	int rc;

	/* A key that ends in a slash is a folder of somebody's browser. */
	if (o->key[strlen(o->key) - 1] == '/' ||
		!pgo_key_template_in_time(&l->s->keys, o->key, l->since_ns, l->until_ns))
		return 0;
	rc = pgo_key_template_match(&l->s->keys, o->key, NULL, err);
	if (rc <= 0)
		return rc;
	name = pgo_asprintf("%s/%s", l->s->bucket, o->key);
	if (name == NULL)
		return pgo_err_nomem(err);
	listed.name = name;
	rc = l->each(l->ctx, &listed, err);
	pgo_free(name);
	return rc;
}

static int list_prefix(void *ctx, const char *prefix, struct pgo_err *err)
{
	struct listing *l = ctx;
	char *token = NULL, *last = NULL;
	bool more = true;
	int rc = 0;

	while (rc == 0 && more) {
		struct pgo_s3_page page = {0};

		rc = get_page(l, prefix, token, last, &page, err);
		for (size_t i = 0; i < page.n && rc == 0; i++)
			rc = each_object(l, &page.objects[i], err);
		more = page.token != NULL;
		pgo_free(token);
		token = page.token;
		page.token = NULL;
		if (page.n != 0) {
			pgo_free(last);
			last = page.objects[page.n - 1].key;
			page.objects[page.n - 1].key = NULL;
		}
		pgo_s3_page_fini(&page);
	}
	pgo_free(token);
	pgo_free(last);
	return rc;
}

static int s3_list(struct pgo_source *src, const struct pgo_query *q, pgo_each_listed *each,
	void *ctx, struct pgo_err *err)
{
	struct s3_source *s = (struct s3_source *)src;
	struct listing l = {s, q->since_ns, q->until_ns, each, ctx, false};

	return pgo_key_template_prefixes(
		&s->keys, q->since_ns, q->until_ns, pgo_now(), list_prefix, &l, err);
}

static int s3_describe(
	struct pgo_source *src, const char *name, struct pgo_record *rec, struct pgo_err *err)
{
	const struct s3_source *s = (const struct s3_source *)src;
	int rc = pgo_key_template_match(&s->keys, name + strlen(s->bucket) + 1, rec, err);

	return rc < 0 ? rc : 0;
}

const struct pgo_source_ops pgo_source_s3 = {
	.scheme = "s3",
	.about = "a bucket: s3://BUCKET/PREFIX",
	.open = s3_open,
	.close = s3_close,
	.list = s3_list,
	.request = s3_request,
	.request_end = s3_request_end,
	.describe = s3_describe,
};

const struct pgo_source_ops pgo_source_gs = {
	.scheme = "gs",
	.about = "a bucket of Google's: gs://BUCKET/PREFIX",
	.open = s3_open,
	.close = s3_close,
	.list = s3_list,
	.request = s3_request,
	.request_end = s3_request_end,
	.describe = s3_describe,
};
