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
#include "fetch/source_s3_impl.h"
#include "pgo/core/alloc.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What a request points to while it runs. */
struct s3_request {
	const struct pgo_s3_source *source;
	char *url;
};

static void s3_close(struct pgo_source *src)
{
	struct pgo_s3_source *s = (struct pgo_s3_source *)src;

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
static int find_root(struct pgo_s3_source *s, struct pgo_err *err)
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

static int parameter(struct pgo_s3_source *s, const char *url, const char *name, size_t name_len,
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

static int parameters(struct pgo_s3_source *s, const char *url, const char *q, struct pgo_err *err)
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
	struct pgo_s3_source *s, const char *url, const char *text, struct pgo_err *err)
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

static int google_conf(struct pgo_s3_source *s, struct pgo_err *err)
{
	const char *id = getenv("GS_ACCESS_KEY_ID"), *secret = getenv("GS_SECRET_ACCESS_KEY");
	const char *bearer = getenv("GOOGLE_OAUTH_ACCESS_TOKEN");
	int rc = set(&s->conf.region, "auto", 4, err);

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
	struct pgo_s3_source *s = pgo_calloc(1, sizeof *s);
	const char *text = strstr(url, "://");
	int rc;

	if (s == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	s->google = google;
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
	const struct pgo_s3_source *s = q->source;

	if (s->bearer != NULL)
		return pgo_http_headers_add(&r->headers, "authorization", s->bearer) < 0
			       ? pgo_err_nomem(err)
			       : 0;
	return pgo_aws_sign(
		r, &s->conf.credentials, s->conf.region, "s3", (int64_t)time(NULL), err);
}

static struct pgo_s3_asker asker(const struct pgo_s3_source *s)
{
	return (struct pgo_s3_asker){
		s->conf.credentials.key_id == NULL && s->bearer == NULL, s->conf.region};
}

int pgo_s3_refuse(
	const struct pgo_s3_source *s, const struct pgo_http_reply *reply, struct pgo_err *err)
{
	const struct pgo_s3_asker who = asker(s);
	struct pgo_err why = PGO_ERR_INIT;
	int rc = pgo_s3_refused(reply, &who, &why);

	return pgo_err_set(err, rc == PGO_EUSAGE ? PGO_ENET : rc, "%s: %s", s->root, why.msg);
}

/* Once: 1 if the reply names another region than the one we signed for, which is ours from now on. */
static int move(struct pgo_s3_source *s, const struct pgo_http_reply *reply, struct pgo_err *err)
{
	char *region = NULL;

	if (reply->status > 299 && !s->moved && !s->region_given)
		region = pgo_s3_other_region(reply, s->conf.region);
	if (region == NULL)
		return 0;
	s->moved = true;
	pgo_free(s->conf.region);
	s->conf.region = region;
	return find_root(s, err) == 0 ? 1 : err->code;
}

int pgo_s3_ask(struct pgo_s3_source *s, const char *rest, struct pgo_http_request *r,
	struct pgo_http_reply *reply, struct pgo_err *err)
{
	struct s3_request q = {.source = s};
	int rc;

	q.url = pgo_asprintf("%s%s", s->root, rest);
	if (q.url == NULL)
		return pgo_err_nomem(err);
	r->url = q.url;
	r->sign = s3_sign;
	r->ctx = &q;
	rc = pgo_http_ask(s->base.http, r, reply, err);
	pgo_free(q.url);
	if (rc == 0)
		rc = move(s, reply, err);
	if (rc != 0)
		pgo_http_reply_fini(reply);
	return rc == 1 ? pgo_s3_ask(s, rest, r, reply, err) : rc;
}

static int s3_request(struct pgo_source *src, const char *name, unsigned part,
	struct pgo_http_request *r, struct pgo_err *err)
{
	const struct pgo_s3_source *s = (const struct pgo_s3_source *)src;
	struct s3_request *q = pgo_calloc(1, sizeof *q);
	struct pgo_buf url;

	(void)part;
	if (s->over.code != PGO_OK) {
		pgo_free(q);
		return pgo_err_set(err, s->over.code, "%s", s->over.msg);
	}
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

/* What no other request of this run would get past ends it: objects are not tried in vain by the
 * thousand, and the next run goes on from here. */
static int s3_reply(struct pgo_source *src, const char *name, unsigned part,
	const struct pgo_http_reply *reply, const char *path, struct pgo_err *err)
{
	struct pgo_s3_source *s = (struct pgo_s3_source *)src;
	const struct pgo_s3_asker who = asker(s);
	int rc;

	(void)name;
	(void)part;
	(void)path;
	if (reply->status >= 200 && reply->status <= 299)
		return 0;
	rc = pgo_s3_refused(reply, &who, err);
	if (rc != PGO_EUSAGE)
		return rc;
	if (s->over.code == PGO_OK)
		pgo_err_set(&s->over, PGO_ENET, "%s: %s", s->root, err->msg);
	return PGO_ENET;
}

static void s3_request_end(struct pgo_source *src, struct pgo_http_request *r)
{
	struct s3_request *q = r->ctx;

	(void)src;
	pgo_free(q->url);
	pgo_free(q);
}

static int s3_describe(
	struct pgo_source *src, const char *name, struct pgo_record *rec, struct pgo_err *err)
{
	const struct pgo_s3_source *s = (const struct pgo_s3_source *)src;
	int rc = pgo_key_template_match(&s->keys, name + strlen(s->bucket) + 1, rec, err);

	return rc < 0 ? rc : 0;
}

const struct pgo_source_ops pgo_source_s3 = {
	.scheme = "s3",
	.about = "a bucket: s3://BUCKET/PREFIX",
	.open = s3_open,
	.close = s3_close,
	.list = pgo_s3_list,
	.request = s3_request,
	.request_end = s3_request_end,
	.reply = s3_reply,
	.describe = s3_describe,
	.put = pgo_s3_put,
};

const struct pgo_source_ops pgo_source_gs = {
	.scheme = "gs",
	.about = "a bucket of Google's: gs://BUCKET/PREFIX",
	.open = s3_open,
	.close = s3_close,
	.list = pgo_s3_list,
	.request = s3_request,
	.request_end = s3_request_end,
	.reply = s3_reply,
	.describe = s3_describe,
	.put = pgo_s3_put,
};
