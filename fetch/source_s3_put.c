/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storing in a bucket.  The key is made of the template and the digest of the bytes, so what is there
 * under it is the same profile, and is left alone: asked of the server in the same request
 * (If-None-Match), or before, where a server does not know that.
 */
#include "fetch/push.h"
#include "fetch/s3_list.h"
#include "fetch/source_s3_impl.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"

#include <string.h>

#define OBJECT_MAX ((size_t)4 << 30)

/* 1 if the bucket has an object under this key, 0 if not. */
static int is_there(struct pgo_s3_source *s, const char *key, struct pgo_err *err)
{
	struct pgo_http_request r = {0};
	struct pgo_http_reply reply = {0};
	struct pgo_s3_page page = {0};
	struct pgo_buf rest;
	int rc;

	pgo_buf_init(&rest, (size_t)1 << 16);
	pgo_buf_puts(&rest, s->path_style ? "?encoding-type=url&list-type=2&max-keys=1&prefix="
					  : "/?encoding-type=url&list-type=2&max-keys=1&prefix=");
	pgo_http_escape(&rest, key, false);
	rc = pgo_buf_check(&rest, "the key of an object", err);
	if (rc == 0)
		rc = pgo_s3_ask(s, rest.data, &r, &reply, err);
	if (rc == 0 && reply.status != 200)
		rc = pgo_s3_refuse(s, &reply, err);
	if (rc == 0)
		rc = pgo_s3_page_parse(s->root, reply.body.data != NULL ? reply.body.data : "",
			reply.body.len, &page, err);
	if (rc == 0) /* the key itself is the first that begins with it */
		rc = page.n != 0 && strcmp(page.objects[0].key, key) == 0;
	pgo_s3_page_fini(&page);
	pgo_http_headers_fini(&r.headers);
	pgo_http_reply_fini(&reply);
	pgo_buf_fini(&rest);
	return rc;
}

/* One PUT; the reply's status is the answer. */
static int store(struct pgo_s3_source *s, const char *rest, const struct pgo_buf *body, bool if_new,
	struct pgo_http_reply *reply, struct pgo_err *err)
{
	struct pgo_http_request r = {
		.method = "PUT", .body = body->data, .body_len = body->len, .max = 1 << 20};
	int rc = 0;

	if (pgo_http_headers_add(&r.headers, "content-type", "application/octet-stream") < 0 ||
		(if_new && pgo_http_headers_add(&r.headers, "if-none-match", "*") < 0))
		rc = pgo_err_nomem(err);
	if (rc == 0)
		rc = pgo_s3_ask(s, rest, &r, reply, err);
	pgo_http_headers_fini(&r.headers);
	return rc;
}

static int put_new(struct pgo_s3_source *s, const char *key, const char *rest,
	const struct pgo_buf *body, struct pgo_err *err)
{
	uint64_t retries = pgo_http_stats_of(s->base.http)->retries;
	struct pgo_http_reply reply = {0};
	bool ask_first = s->google || s->no_conditions;
	int rc = ask_first ? is_there(s, key, err) : 0;

	if (rc != 0)
		return rc;
	rc = store(s, rest, body, !ask_first, &reply, err);
	if (rc == 0 && reply.status == 501 && !ask_first) {
		s->no_conditions = true;
		pgo_http_reply_fini(&reply);
		return put_new(s, key, rest, body, err);
	}
	/* A try whose answer was lost may have been the one that stored it. */
	if (rc == 0 && reply.status == 412)
		rc = retries == pgo_http_stats_of(s->base.http)->retries;
	else if (rc == 0 && (reply.status < 200 || reply.status > 299))
		rc = pgo_s3_refuse(s, &reply, err);
	pgo_http_reply_fini(&reply);
	return rc;
}

int pgo_s3_put(struct pgo_source *src, const struct pgo_push_item *item, struct pgo_err *err)
{
	struct pgo_s3_source *s = (struct pgo_s3_source *)src;
	struct pgo_buf key, rest, body;
	int rc;

	pgo_buf_init(&key, (size_t)1 << 16);
	pgo_buf_init(&rest, (size_t)1 << 18);
	rc = pgo_push_name(&s->keys, item, &key, err);
	if (rc == 0)
		rc = pgo_buf_check(&key, "the key of an object", err);
	if (rc == 0) {
		pgo_buf_putc(&rest, '/');
		pgo_http_escape(&rest, key.data, true);
		rc = pgo_buf_check(&rest, "the address of an object", err);
	}
	if (rc == 0) {
		rc = pgo_file_read(item->path, OBJECT_MAX, &body, err);
		if (rc == 0)
			rc = put_new(s, key.data, rest.data, &body, err);
		pgo_buf_fini(&body);
	}
	pgo_buf_fini(&key);
	pgo_buf_fini(&rest);
	return rc;
}
