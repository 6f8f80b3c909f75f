/* SPDX-License-Identifier: Apache-2.0 */
/* What http says, and how it spells URLs: no secrets, no control characters. */
#include "fetch/http.h"
#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Parameters that are known to say nothing about who asks. */
static bool is_public(const char *name, size_t len)
{
	static const char *const known[] = {"seconds", "list-type", "prefix", "delimiter",
		"max-keys", "start-after", "encoding-type", "continuation-token", "service", "type",
		"from", "to", "labels", "query", "gc", "debug", "marker", "X-Amz-Date",
		"X-Amz-Expires", "X-Amz-Algorithm", "X-Amz-SignedHeaders"};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strlen(known[i]) == len && strncmp(known[i], name, len) == 0)
			return true;
	return false;
}

static void redact_query(struct pgo_buf *to, const char *q)
{
	while (*q != '\0' && *q != '#') {
		size_t len = strcspn(q, "&#"), name = strcspn(q, "=&#");

		if (name < len && !is_public(q, name)) {
			pgo_buf_add(to, q, name);
			pgo_buf_puts(to, "=...");
		} else {
			pgo_buf_add(to, q, len);
		}
		q += len;
		if (*q == '&')
			pgo_buf_putc(to, *q++);
	}
}

char *pgo_http_redact(const char *url)
{
	const char *host = strstr(url, "://"), *end, *at = NULL;
	size_t query;
	struct pgo_buf to;
	char *text;

	pgo_buf_init(&to, (size_t)1 << 20);
	if (host != NULL) {
		host += 3;
		end = host + strcspn(host, "/?#");
		for (const char *p = host; p < end; p++)
			if (*p == '@')
				at = p + 1;
		pgo_buf_add(&to, url, (size_t)(host - url));
		url = at != NULL ? at : host;
	}
	query = strcspn(url, "?#");
	pgo_buf_add(&to, url, query);
	if (url[query] == '?') {
		pgo_buf_putc(&to, '?');
		redact_query(&to, url + query + 1);
	}
	text = to.failed ? NULL : pgo_strndup(to.data != NULL ? to.data : "", to.len);
	pgo_buf_fini(&to);
	return text;
}

void pgo_http_escape(struct pgo_buf *to, const char *text, bool slash)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if ((*p < 0x80 && isalnum(*p)) || strchr("-_.~", *p) != NULL ||
			(slash && *p == '/'))
			pgo_buf_putc(to, (char)*p);
		else
			pgo_buf_printf(to, "%%%02X", *p);
	}
}

/* ---------------------------------------------------------------- refusals */

static const char *advice(long status)
{
	switch (status) {
	case 401:
		return "; give credentials, or newer ones";
	case 403:
		return "; the credentials do not allow this";
	case 404:
	case 410:
		return "; check the address, and that the object has not expired";
	case 405:
	case 501:
		return "; this server does not have this interface: check the kind of the store";
	case 413:
		return "; the server takes no request of this size";
	case 429:
		return "; the server asks for fewer requests: lower --parallel, or try later";
	case 500:
	case 502:
	case 503:
	case 504:
		return "; the server is in trouble, and was asked several times: try later";
	default:
		return "";
	}
}

/* The first line of what was said that has letters in it, tags left out. */
static void first_words(const struct pgo_buf *body, char *to, size_t room)
{
	size_t n = 0;
	bool tag = false, words = false;

	for (size_t i = 0; i < body->len && n + 1 < room; i++) {
		unsigned char c = (unsigned char)body->data[i];

		if (c == '<' || c == '>') {
			tag = c == '<';
			c = ' ';
		}
		if (tag || (c == ' ' && (n == 0 || to[n - 1] == ' ')))
			continue;
		if (c == '\n' && words)
			break;
		words = words || (c < 0x80 && isalpha(c));
		to[n++] = c >= ' ' && c != 127 ? (char)c : ' ';
	}
	while (n > 0 && to[n - 1] == ' ')
		n--;
	to[n] = '\0';
	if (!words)
		to[0] = '\0';
}

int pgo_http_refused(const struct pgo_http_reply *r, struct pgo_err *err)
{
	char *url = pgo_http_redact(r->url), said[200];
	int rc;

	if (url == NULL)
		return pgo_err_nomem(err);
	first_words(&r->body, said, sizeof said);
	rc = pgo_err_set(err, r->status == 404 || r->status == 410 ? PGO_ENOTFOUND : PGO_ENET,
		"%s: the server answers %ld%s%s%s%s", url, r->status, *said != '\0' ? " (" : "",
		said, *said != '\0' ? ")" : "", advice(r->status));
	pgo_free(url);
	return rc;
}

/* ---------------------------------------------------------------- headers */

int pgo_http_headers_add(struct pgo_http_headers *h, const char *name, const char *value)
{
	struct pgo_http_header one = {pgo_strdup(name), pgo_strdup(value)};

	if (one.name == NULL || one.value == NULL ||
		PGO_VEC_RESERVE(h->of, h->room, h->n + 1) < 0) {
		pgo_free(one.name);
		pgo_free(one.value);
		return -1;
	}
	h->of[h->n++] = one;
	return 0;
}

const char *pgo_http_headers_get(const struct pgo_http_headers *h, const char *name)
{
	for (size_t i = 0; i < h->n; i++)
		if (strcasecmp(h->of[i].name, name) == 0)
			return h->of[i].value;
	return NULL;
}

void pgo_http_headers_cut(struct pgo_http_headers *h, size_t n)
{
	while (h->n > n) {
		h->n--;
		pgo_free(h->of[h->n].name);
		pgo_free(h->of[h->n].value);
	}
}

void pgo_http_headers_fini(struct pgo_http_headers *h)
{
	pgo_http_headers_cut(h, 0);
	pgo_free(h->of);
	memset(h, 0, sizeof *h);
}

void pgo_http_reply_fini(struct pgo_http_reply *r)
{
	pgo_http_headers_fini(&r->headers);
	pgo_buf_fini(&r->body);
	pgo_free(r->url);
	memset(r, 0, sizeof *r);
}
