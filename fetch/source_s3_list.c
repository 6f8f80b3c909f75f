/* SPDX-License-Identifier: Apache-2.0 */
/* The listing of a bucket: pages of a thousand keys, for every prefix that the template begins with. */
#include "fetch/s3_list.h"
#include "fetch/source_s3_impl.h"
#include "pgo/core/alloc.h"
#include "pgo/core/opt.h"

#include <string.h>

#define PAGE_MAX_BYTES ((uint64_t)64 << 20)

struct listing {
	struct pgo_s3_source *s;
	int64_t since_ns, until_ns;
	pgo_each_listed *each;
	void *ctx;
};

/* Parameters in the order of their names, as they are signed. */
static char *page_query(
	const struct pgo_s3_source *s, const char *prefix, const char *token, const char *after)
{
	bool by_key = token != NULL && *token == '\0'; /* a server without tokens */
	struct pgo_buf url;
	char *text;

	pgo_buf_init(&url, (size_t)1 << 20);
	pgo_buf_puts(&url, s->path_style ? "?" : "/?");
	if (token != NULL && *token != '\0') {
		pgo_buf_puts(&url, "continuation-token=");
		pgo_http_escape(&url, token, false);
		pgo_buf_putc(&url, '&');
	}
	pgo_buf_puts(&url, "encoding-type=url&list-type=2");
	if (by_key) { /* one that knows the older listing only */
		pgo_buf_puts(&url, "&marker=");
		pgo_http_escape(&url, after, false);
	}
	pgo_buf_puts(&url, "&max-keys=1000&prefix=");
	pgo_http_escape(&url, prefix, false);
	if (by_key) {
		pgo_buf_puts(&url, "&start-after=");
		pgo_http_escape(&url, after, false);
	}
	text = url.failed ? NULL : pgo_strdup(url.data);
	pgo_buf_fini(&url);
	return text;
}

static int get_page(struct listing *l, const char *prefix, const char *token, const char *after,
	struct pgo_s3_page *ret, struct pgo_err *err)
{
	struct pgo_s3_source *s = l->s;
	struct pgo_http_request r = {.max = PAGE_MAX_BYTES};
	struct pgo_http_reply reply = {0};
	char *rest = page_query(s, prefix, token, after);
	int rc = rest != NULL ? pgo_s3_ask(s, rest, &r, &reply, err) : pgo_err_nomem(err);

	pgo_free(rest);
	pgo_http_headers_fini(&r.headers);
	if (rc < 0)
		return rc;
	if (reply.status == 200)
		rc = pgo_s3_page_parse(s->root, reply.body.data != NULL ? reply.body.data : "",
			reply.body.len, ret, err);
	else
		rc = pgo_s3_refuse(s, &reply, err);
	pgo_http_reply_fini(&reply);
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

/* Does this page bring us on?  A server that gives the same one again would do so for ever. */
static int check_progress(const struct listing *l, const struct pgo_s3_page *page,
	const char *token, const char *first, struct pgo_err *err)
{
	bool same_token = token != NULL && *token != '\0' && page->token != NULL &&
			  strcmp(token, page->token) == 0;
	bool same_keys = first != NULL && page->n != 0 && strcmp(first, page->objects[0].key) == 0;

	if (same_token || same_keys)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s: the server gives the same page of its listing again and again",
			l->s->root);
	return 0;
}

static int keep_key(char **to, const char *key, struct pgo_err *err)
{
	pgo_free(*to);
	*to = pgo_strdup(key);
	return *to != NULL ? 0 : pgo_err_nomem(err);
}

static int list_prefix(void *ctx, const char *prefix, struct pgo_err *err)
{
	struct listing *l = ctx;
	char *token = NULL, *first = NULL, *last = NULL; /* of the page before */
	bool more = true;
	int rc = 0;

	while (rc == 0 && more) {
		struct pgo_s3_page page = {0};

		rc = get_page(l, prefix, token, last, &page, err);
		if (rc == 0)
			rc = check_progress(l, &page, token, first, err);
		for (size_t i = 0; i < page.n && rc == 0; i++)
			rc = each_object(l, &page.objects[i], err);
		more = page.token != NULL;
		pgo_free(token);
		token = page.token;
		page.token = NULL;
		if (page.n != 0 && rc == 0)
			rc = keep_key(&first, page.objects[0].key, err);
		if (page.n != 0 && rc == 0)
			rc = keep_key(&last, page.objects[page.n - 1].key, err);
		pgo_s3_page_fini(&page);
	}
	pgo_free(token);
	pgo_free(first);
	pgo_free(last);
	return rc;
}

int pgo_s3_list(struct pgo_source *src, const struct pgo_query *q, pgo_each_listed *each, void *ctx,
	struct pgo_err *err)
{
	struct pgo_s3_source *s = (struct pgo_s3_source *)src;
	struct listing l = {s, q->since_ns, q->until_ns, each, ctx};

	return pgo_key_template_prefixes(
		&s->keys, q->since_ns, q->until_ns, pgo_now(), list_prefix, &l, err);
}
