/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/objects.h"

#include "fetch/source_s3_impl.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

struct pgo_objects {
	char *dir, *base,
		*query; /* of a directory; of a server: up to the names, and behind them */
	struct pgo_source *bucket;
	struct pgo_http *http;
	char *shown;
};

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* ---- opening */

static int open_bucket(struct pgo_objects *o, const char *url, struct pgo_err *err)
{
	const struct pgo_source_ops *ops = begins(url, "gs:") ? &pgo_source_gs : &pgo_source_s3;
	const struct pgo_s3_source *s;

	o->bucket = ops->open(url, err);
	if (o->bucket == NULL)
		return err->code;
	s = (const struct pgo_s3_source *)o->bucket;
	if (s->keys.text != NULL && strpbrk(s->keys.text, "{}*") != NULL)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s: a place for publishing is a plain prefix, without {} and *", o->shown);
	return 0;
}

static int open_server(struct pgo_objects *o, const char *url, struct pgo_err *err)
{
	size_t n = strcspn(url, "?#"), end = n;

	while (end > 0 && url[end - 1] == '/')
		end--;
	o->base = pgo_strndup(url, end);
	o->query = pgo_strndup(url + n, strcspn(url + n, "#"));
	return o->base != NULL && o->query != NULL ? 0 : pgo_err_nomem(err);
}

static int open_directory(struct pgo_objects *o, const char *url, struct pgo_err *err)
{
	const char *path = begins(url, "file://") ? url + 7 : begins(url, "file:") ? url + 5 : url;

	if (strstr(path, "://") != NULL || *path == '\0')
		return pgo_err_set(err, PGO_EUSAGE,
			"%s: publishing knows directories, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, "
			"and "
			"for reading http:// and https://",
			o->shown);
	o->dir = pgo_strdup(path);
	return o->dir != NULL ? 0 : pgo_err_nomem(err);
}

struct pgo_objects *pgo_objects_open(
	const char *url, const struct pgo_http_options *options, struct pgo_err *err)
{
	bool bucket = begins(url, "s3://") || begins(url, "gs://");
	bool server = begins(url, "http://") || begins(url, "https://");
	struct pgo_objects *o = pgo_calloc(1, sizeof *o);
	int rc = 0;

	if (o == NULL || (o->shown = pgo_http_redact(url)) == NULL)
		rc = pgo_err_nomem(err);
	else if (bucket)
		rc = open_bucket(o, url, err);
	else if (server)
		rc = open_server(o, url, err);
	else
		rc = open_directory(o, url, err);
	if (rc == 0 && (bucket || server)) {
		o->http = pgo_http_new(options, err);
		rc = o->http != NULL ? 0 : err->code;
	}
	if (rc == 0 && bucket)
		o->bucket->http = o->http;
	if (rc < 0) {
		pgo_objects_close(o);
		return NULL;
	}
	return o;
}

void pgo_objects_close(struct pgo_objects *o)
{
	if (o == NULL)
		return;
	pgo_source_close(o->bucket);
	pgo_http_free(o->http);
	pgo_free(o->dir);
	pgo_free(o->base);
	pgo_free(o->query);
	pgo_free(o->shown);
	pgo_free(o);
}

const char *pgo_objects_name(const struct pgo_objects *o)
{
	return o->shown;
}

/* ---- directories */

/* A place in a directory that is there is empty as yet; one in a directory that is not may be away. */
static bool parent_is_there(const char *dir)
{
	char *up = pgo_asprintf("%s/..", dir), *slash;
	struct stat st;
	bool there;

	if (up == NULL)
		return false;
	/* By its name: what is not there has no "..". */
	up[strlen(dir)] = '\0';
	while ((slash = strrchr(up, '/')) != NULL && slash[1] == '\0' && slash != up)
		*slash = '\0';
	if (slash == NULL)
		memcpy(up, ".", 2);
	else
		slash[slash == up] = '\0';
	there = stat(up, &st) == 0;
	pgo_free(up);
	return there;
}

static int get_file(struct pgo_objects *o, const char *name, size_t max, struct pgo_buf *ret,
	struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/%s", o->dir, name);
	struct stat st;
	int rc;

	if (path == NULL)
		return pgo_err_nomem(err);
	if (stat(o->dir, &st) < 0 && !parent_is_there(o->dir))
		rc = pgo_err_errno(err, PGO_EIO, "%s cannot be looked into", o->dir);
	else if (stat(path, &st) < 0 && errno == ENOENT)
		rc = pgo_err_set(err, PGO_ENOTFOUND, "%s is not there", path);
	else
		rc = pgo_file_read(path, max, ret, err);
	pgo_free(path);
	return rc;
}

static int put_file(struct pgo_objects *o, const char *name, const void *data, size_t len,
	bool once, struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/%s", o->dir, name), *slash;
	struct stat st;
	int rc = path != NULL ? 0 : pgo_err_nomem(err);

	/* One of another size was cut short behind our back: it is written anew. */
	if (rc == 0 && once && stat(path, &st) == 0 && (uint64_t)st.st_size == len)
		rc = 1;
	slash = rc == 0 ? strrchr(path, '/') : NULL;
	if (slash != NULL) {
		*slash = '\0';
		rc = pgo_mkdirs(path, err);
		*slash = '/';
	}
	if (rc == 0)
		rc = pgo_file_write(path, data, len, err);
	pgo_free(path);
	return rc;
}

/* ---- buckets and servers */

/* "/PREFIX/NAME" of the bucket, as in its URLs. */
static int rest_of(
	const struct pgo_s3_source *s, const char *name, struct pgo_buf *rest, struct pgo_err *err)
{
	const char *prefix = s->keys.text != NULL ? s->keys.text : "";
	size_t n = strlen(prefix);
	struct pgo_buf key;
	int rc;

	while (n > 0 && prefix[n - 1] == '/')
		n--;
	pgo_buf_init(&key, (size_t)1 << 16);
	pgo_buf_add(&key, prefix, n);
	pgo_buf_printf(&key, "%s%s", n > 0 ? "/" : "", name);
	rc = pgo_buf_check(&key, "the key of an object", err);
	pgo_buf_putc(rest, '/');
	if (rc == 0)
		pgo_http_escape(rest, key.data, true);
	pgo_buf_fini(&key);
	return rc == 0 ? pgo_buf_check(rest, "the address of an object", err) : rc;
}

static int ask_bucket(struct pgo_objects *o, const char *name, struct pgo_http_request *r,
	struct pgo_http_reply *reply, struct pgo_err *err)
{
	struct pgo_s3_source *s = (struct pgo_s3_source *)o->bucket;
	struct pgo_buf rest;
	int rc;

	pgo_buf_init(&rest, (size_t)1 << 18);
	rc = rest_of(s, name, &rest, err);
	if (rc == 0)
		rc = pgo_s3_ask(s, rest.data, r, reply, err);
	if (rc == 0 && (reply->status < 200 || reply->status > 299))
		rc = pgo_s3_refuse(s, reply, err);
	pgo_http_headers_fini(&r->headers);
	pgo_buf_fini(&rest);
	return rc;
}

static int get_url(struct pgo_objects *o, const char *name, struct pgo_http_request *r,
	struct pgo_http_reply *reply, struct pgo_err *err)
{
	char *url = pgo_asprintf("%s/%s%s", o->base, name, o->query);
	int rc = url != NULL ? 0 : pgo_err_nomem(err);

	r->url = url;
	if (rc == 0)
		rc = pgo_http_get(o->http, r, reply, err);
	pgo_free(url);
	return rc;
}

int pgo_objects_get(struct pgo_objects *o, const char *name, size_t max, struct pgo_buf *ret,
	struct pgo_err *err)
{
	struct pgo_http_request r = {.max = max};
	struct pgo_http_reply reply = {0};
	int rc;

	pgo_buf_init(ret, max);
	if (o->dir != NULL)
		return get_file(o, name, max, ret, err);
	rc = o->bucket != NULL ? ask_bucket(o, name, &r, &reply, err)
			       : get_url(o, name, &r, &reply, err);
	if (rc == 0) {
		pgo_buf_add(ret, reply.body.data != NULL ? reply.body.data : "", reply.body.len);
		rc = pgo_buf_check(ret, name, err);
	}
	pgo_http_reply_fini(&reply);
	return rc;
}

static bool refused_as_there(long status)
{
	return status == 412;
}

int pgo_objects_put(struct pgo_objects *o, const char *name, const void *data, size_t len,
	bool once, struct pgo_err *err)
{
	struct pgo_http_request r = {
		.method = "PUT", .body = data, .body_len = len, .max = (size_t)1 << 20};
	struct pgo_http_reply reply = {0};
	/* Google's does not know the condition by this name; the same bytes once more do no harm. */
	bool google = o->bucket != NULL && ((const struct pgo_s3_source *)o->bucket)->google;
	int rc = 0;

	if (o->dir != NULL)
		return put_file(o, name, data, len, once, err);
	if (o->bucket == NULL)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s can only be read; publish to the directory or the bucket behind it",
			o->shown);
	if (pgo_http_headers_add(&r.headers, "content-type",
		    strstr(name, ".json") != NULL ? "application/json"
						  : "application/octet-stream") < 0 ||
		(once && !google && pgo_http_headers_add(&r.headers, "if-none-match", "*") < 0))
		rc = pgo_err_nomem(err);
	if (rc == 0)
		rc = ask_bucket(o, name, &r, &reply, err);
	if (rc < 0 && once && refused_as_there(reply.status)) {
		pgo_err_clear(err);
		rc = 1;
	} else if (rc < 0 && once && reply.status == 501) { /* it does not know the condition */
		pgo_http_reply_fini(&reply);
		pgo_err_clear(err);
		return pgo_objects_put(o, name, data, len, false, err);
	}
	pgo_http_headers_fini(&r.headers);
	pgo_http_reply_fini(&reply);
	return rc;
}
