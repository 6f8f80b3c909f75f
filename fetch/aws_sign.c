/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/aws_sign.h"

#include "pgo/core/alloc.h"
#include "pgo/core/opt.h"
#include "pgo/core/sha256.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_SIGNED = 64, MAX_PARAMETERS = 64 };

/* ---------------------------------------------------------------- HMAC (RFC 2104) */

static void hmac(const void *key, size_t key_len, const void *data, size_t len, uint8_t ret[32])
{
	uint8_t block[64] = {0}, inner[32];
	struct pgo_sha256 s;

	if (key_len > sizeof block) {
		pgo_sha256_init(&s);
		pgo_sha256_add(&s, key, key_len);
		pgo_sha256_final(&s, block);
	} else if (key_len != 0) {
		memcpy(block, key, key_len);
	}
	for (size_t i = 0; i < sizeof block; i++)
		block[i] ^= 0x36;
	pgo_sha256_init(&s);
	pgo_sha256_add(&s, block, sizeof block);
	pgo_sha256_add(&s, data, len);
	pgo_sha256_final(&s, inner);
	for (size_t i = 0; i < sizeof block; i++)
		block[i] ^= 0x36 ^ 0x5c;
	pgo_sha256_init(&s);
	pgo_sha256_add(&s, block, sizeof block);
	pgo_sha256_add(&s, inner, sizeof inner);
	pgo_sha256_final(&s, ret);
}

static void digest_hex(const void *data, size_t len, char ret[65])
{
	struct pgo_sha256 s;
	uint8_t raw[32];

	pgo_sha256_init(&s);
	pgo_sha256_add(&s, data, len);
	pgo_sha256_final(&s, raw);
	pgo_sha256_hex(raw, ret);
}

/* ---------------------------------------------------------------- the canonical request */

struct part { /* borrowed bytes */
	const char *text;
	size_t len;
};

static int cmp_part(const void *pa, const void *pb)
{
	const struct part *a = pa, *b = pb;
	int c = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);

	return c != 0 ? c : (a->len > b->len) - (a->len < b->len);
}

/* A byte of a name sorts before the '=' that ends it, which is how names are compared first. */
static int cmp_parameter(const void *pa, const void *pb)
{
	const struct part *a = pa, *b = pb;
	struct part na = {a->text, strcspn(a->text, "=&#")},
		    nb = {b->text, strcspn(b->text, "=&#")};
	int c = cmp_part(&na, &nb);

	return c != 0 ? c : cmp_part(a, b);
}

static int add_query(struct pgo_buf *to, const char *q, struct pgo_err *err)
{
	struct part parts[MAX_PARAMETERS];
	size_t n = 0;

	while (*q != '\0' && *q != '#') {
		size_t len = strcspn(q, "&#");

		if (n == MAX_PARAMETERS)
			return pgo_err_set(err, PGO_EUSAGE,
				"an address with more than %d parameters cannot be signed",
				MAX_PARAMETERS);
		if (len != 0)
			parts[n++] = (struct part){q, len};
		q += len + (q[len] == '&');
	}
	if (n != 0)
		qsort(parts, n, sizeof *parts, cmp_parameter);
	for (size_t i = 0; i < n; i++) {
		pgo_buf_puts(to, i != 0 ? "&" : "");
		pgo_buf_add(to, parts[i].text, parts[i].len);
		if (memchr(parts[i].text, '=', parts[i].len) == NULL)
			pgo_buf_putc(to, '=');
	}
	return 0;
}

static int cmp_header(const void *pa, const void *pb)
{
	const struct pgo_http_header *const *a = pa, *const *b = pb;

	return strcasecmp((*a)->name, (*b)->name);
}

/* The headers and then their names; runs of blanks in a value are one. */
static int add_headers(struct pgo_buf *to, const struct pgo_http_headers *h, struct pgo_buf *names,
	struct pgo_err *err)
{
	const struct pgo_http_header *sorted[MAX_SIGNED];

	if (h->n > MAX_SIGNED)
		return pgo_err_set(err, PGO_EUSAGE,
			"a request with more than %d headers cannot be signed", MAX_SIGNED);
	for (size_t i = 0; i < h->n; i++)
		sorted[i] = &h->of[i];
	if (h->n != 0)
		qsort(sorted, h->n, sizeof *sorted, cmp_header);
	for (size_t i = 0; i < h->n; i++) {
		pgo_buf_puts(names, i != 0 ? ";" : "");
		for (const char *p = sorted[i]->name; *p != '\0'; p++) {
			pgo_buf_putc(names, (char)tolower((unsigned char)*p));
			pgo_buf_putc(to, (char)tolower((unsigned char)*p));
		}
		pgo_buf_putc(to, ':');
		for (const char *p = sorted[i]->value; *p != '\0'; p++)
			if (*p != ' ' || (p[1] != ' ' && p[1] != '\0'))
				pgo_buf_putc(to, *p);
		pgo_buf_putc(to, '\n');
	}
	return 0;
}

static const char *method_of(const struct pgo_http_request *r)
{
	return r->method != NULL ? r->method : r->body != NULL ? "POST" : "GET";
}

static int add_canonical(struct pgo_buf *to, const struct pgo_http_request *r, const char *path,
	const char *body_hex, struct pgo_buf *names, struct pgo_err *err)
{
	size_t path_len = strcspn(path, "?#");
	int rc;

	pgo_buf_printf(to, "%s\n", method_of(r));
	if (path_len == 0)
		pgo_buf_putc(to, '/');
	pgo_buf_add(to, path, path_len);
	pgo_buf_putc(to, '\n');
	rc = path[path_len] == '?' ? add_query(to, path + path_len + 1, err) : 0;
	pgo_buf_putc(to, '\n');
	if (rc == 0)
		rc = add_headers(to, &r->headers, names, err);
	pgo_buf_printf(to, "\n%s\n%s", names->data != NULL ? names->data : "", body_hex);
	return rc;
}

/* ---------------------------------------------------------------- signing */

static int add_authorization(struct pgo_http_request *r, const struct pgo_aws_credentials *c,
	const char *scope, const char *time_text, const char *region, const char *service,
	const struct pgo_buf *canonical, const char *names, struct pgo_err *err)
{
	char hex[65], *key, *text;
	uint8_t k[32];
	int rc;

	digest_hex(canonical->data, canonical->len, hex);
	text = pgo_asprintf("AWS4-HMAC-SHA256\n%s\n%s\n%s", time_text, scope, hex);
	key = pgo_asprintf("AWS4%s", c->secret);
	if (text == NULL || key == NULL) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	hmac(key, strlen(key), scope, 8, k);
	hmac(k, sizeof k, region, strlen(region), k);
	hmac(k, sizeof k, service, strlen(service), k);
	hmac(k, sizeof k, "aws4_request", 12, k);
	hmac(k, sizeof k, text, strlen(text), k);
	pgo_sha256_hex(k, hex);
	pgo_free(text);
	text = pgo_asprintf("AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=%s",
		c->key_id, scope, names, hex);
	rc = text != NULL && pgo_http_headers_add(&r->headers, "authorization", text) == 0
		     ? 0
		     : pgo_err_nomem(err);
out:
	pgo_free(text);
	pgo_free(key);
	return rc;
}

/* host, with the port if the address names one; the path behind it. */
static const char *split_url(const char *url, char *host, size_t room)
{
	const char *p = strstr(url, "://"), *at;
	size_t len;

	if (p == NULL)
		return NULL;
	p += 3;
	len = strcspn(p, "/?#");
	at = memrchr(p, '@', len);
	if (at != NULL) {
		len -= (size_t)(at + 1 - p);
		p = at + 1;
	}
	if (len == 0 || len >= room)
		return NULL;
	memcpy(host, p, len);
	host[len] = '\0';
	return p + len;
}

static int add_fixed_headers(struct pgo_http_request *r, const struct pgo_aws_credentials *c,
	const char *host, const char *time_text, const char *body_hex)
{
	struct pgo_http_headers *h = &r->headers;

	if (pgo_http_headers_add(h, "host", host) < 0 ||
		pgo_http_headers_add(h, "x-amz-content-sha256", body_hex) < 0 ||
		pgo_http_headers_add(h, "x-amz-date", time_text) < 0)
		return -1;
	return c->token != NULL && c->token[0] != '\0'
		       ? pgo_http_headers_add(h, "x-amz-security-token", c->token)
		       : 0;
}

/* 20261120T100000Z */
static void format_time(int64_t time_s, char ret[40])
{
	char *to = ret;

	pgo_format_time(time_s * 1000000000, ret, 40);
	for (const char *p = ret; *p != '\0'; p++)
		if (*p != '-' && *p != ':')
			*to++ = *p;
	*to = '\0';
}

int pgo_aws_sign(struct pgo_http_request *r, const struct pgo_aws_credentials *c,
	const char *region, const char *service, int64_t time_s, struct pgo_err *err)
{
	char host[512], time_text[40], body_hex[65], *scope = NULL;
	struct pgo_buf canonical, names;
	const char *path;
	int rc;

	if (c->key_id == NULL || c->secret == NULL)
		return 0;
	path = split_url(r->url, host, sizeof host);
	if (path == NULL)
		return pgo_err_set(err, PGO_EUSAGE, "%s: this address cannot be signed", r->url);
	format_time(time_s, time_text);
	digest_hex(r->body != NULL ? r->body : "", r->body != NULL ? r->body_len : 0, body_hex);
	pgo_buf_init(&canonical, (size_t)1 << 20);
	pgo_buf_init(&names, (size_t)1 << 16);
	scope = pgo_asprintf("%.8s/%s/%s/aws4_request", time_text, region, service);
	rc = scope != NULL && add_fixed_headers(r, c, host, time_text, body_hex) == 0
		     ? add_canonical(&canonical, r, path, body_hex, &names, err)
		     : pgo_err_nomem(err);
	if (rc == 0)
		rc = pgo_buf_check(&canonical, "the signature's text", err);
	if (rc == 0)
		rc = add_authorization(
			r, c, scope, time_text, region, service, &canonical, names.data, err);
	pgo_buf_fini(&canonical);
	pgo_buf_fini(&names);
	pgo_free(scope);
	return rc;
}
