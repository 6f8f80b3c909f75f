/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/store_url.h"

#include "fetch/http.h"
#include "pgo/core/alloc.h"

#include <stdbool.h>
#include <string.h>

const char *const pgo_host_labels[] = {
	"host", "hostname", "node", "host_name", "host.name", "nodename", "instance", "pod", NULL};
const char *const pgo_service_labels[] = {
	"service", "service_name", "service.name", "svc", "app", "job", NULL};
const char *const pgo_version_labels[] = {
	"version", "service_version", "service.version", "git_ref", NULL};

/* ---------------------------------------------------------------- addresses */

/* %XX and + as in a form; a stray % stays. */
static char *unescape(const char *text, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	char *to = pgo_strndup(text, len), *w = to;

	for (const char *p = to; p != NULL && *p != '\0'; p++) {
		const char *a = *p == '%' && p[1] != '\0' ? strchr(hex, p[1] | 0x20) : NULL;
		const char *b = a != NULL && p[2] != '\0' ? strchr(hex, p[2] | 0x20) : NULL;

		if (b != NULL) {
			*w++ = (char)((a - hex) * 16 + (b - hex));
			p += 2;
		} else {
			*w++ = (char)(*p == '+' ? ' ' : *p);
		}
	}
	if (to != NULL)
		*w = '\0';
	return to;
}

static int parameters(const char *url, const char *q,
	int (*parameter)(void *ctx, const char *name, const char *value, struct pgo_err *err),
	void *ctx, struct pgo_err *err)
{
	int rc = 0;

	while (*q != '\0' && rc == 0) {
		size_t len = strcspn(q, "&"), name_len = strcspn(q, "=&");
		char *name = pgo_strndup(q, name_len);
		char *value = name_len < len ? unescape(q + name_len + 1, len - name_len - 1)
					     : pgo_strdup("");

		if (name == NULL || value == NULL)
			rc = pgo_err_nomem(err);
		else if (parameter != NULL)
			rc = parameter(ctx, name, value, err);
		else
			rc = pgo_err_set(
				err, PGO_EUSAGE, "this kind of store has no parameter '%s'", name);
		if (rc < 0 && rc != PGO_ENOMEM)
			pgo_err_prefix(err, "%s", url);
		pgo_free(name);
		pgo_free(value);
		q += len + (q[len] == '&');
	}
	return rc;
}

int pgo_store_url_parse(const char *url,
	int (*parameter)(void *ctx, const char *name, const char *value, struct pgo_err *err),
	void *ctx, struct pgo_store_url *ret, struct pgo_err *err)
{
	const char *host = strstr(url, "://");
	const char *plus = strchr(url, '+');
	bool tls = host != NULL && plus != NULL && plus < host;
	size_t host_len, len;
	int rc;

	host = host != NULL ? host + 3 : "";
	host_len = strcspn(host, "/?#");
	if (host_len == 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s: no host in this address; it should look like %.*s://HOST:PORT", url,
			(int)strcspn(url, ":"), url);
	if (memchr(host, '@', host_len) != NULL)
		return pgo_err_set(err, PGO_EUSAGE,
			"an address of a store must not hold a user or a password: everybody on "
			"this machine can see it; see pgo-fetch(1) on credentials");
	len = strcspn(host, "?#");
	rc = host[len] == '?' ? parameters(url, host + len + 1, parameter, ctx, err) : 0;
	if (rc < 0)
		return rc;
	while (len > host_len && host[len - 1] == '/')
		len--;
	ret->name = pgo_strndup(host, len);
	ret->base = pgo_asprintf("%s://%.*s", tls ? "https" : "http", (int)len, host);
	return ret->name != NULL && ret->base != NULL ? 0 : pgo_err_nomem(err);
}

void pgo_store_url_fini(struct pgo_store_url *u)
{
	pgo_free(u->base);
	pgo_free(u->name);
	memset(u, 0, sizeof *u);
}

void pgo_name_add(struct pgo_buf *to, const char *text)
{
	size_t dots = strspn(text, ".");

	pgo_buf_putc(to, '/');
	if (*text == '\0')
		pgo_buf_putc(to, '-');
	else if (text[dots] == '\0')
		for (size_t i = 0; i < dots; i++)
			pgo_buf_puts(to, "%2E");
	else
		pgo_http_escape(to, text, false);
}

/* ---------------------------------------------------------------- labels */

/* The value of the first of those labels that is there and says something. */
static const char *first_of(const struct pgo_kv *labels, size_t n, const char *const *names)
{
	for (; *names != NULL; names++)
		for (size_t i = 0; i < n; i++)
			if (strcmp(labels[i].key, *names) == 0 && labels[i].value[0] != '\0')
				return labels[i].value;
	return NULL;
}

static int tell(char **field, const char *value, struct pgo_err *err)
{
	return value != NULL ? pgo_record_set(field, value, err) : 0;
}

static bool is_field(const char *key)
{
	return strcmp(key, "host") == 0 || strcmp(key, "service") == 0 ||
	       strcmp(key, "version") == 0;
}

static int put_label(
	struct pgo_record *rec, const char *key, const char *value, struct pgo_err *err)
{
	for (size_t i = 0; i < rec->n_labels; i++)
		if (strcmp(rec->labels[i].key, key) == 0)
			return pgo_record_set(&rec->labels[i].value, value, err);
	return pgo_record_label(rec, key, value, err);
}

int pgo_record_tell(struct pgo_record *rec, const struct pgo_kv *labels, size_t n,
	const char *by_host, struct pgo_err *err)
{
	const char *const only[] = {by_host, NULL};
	int rc = tell(
		&rec->host, first_of(labels, n, by_host != NULL ? only : pgo_host_labels), err);

	if (rc == 0)
		rc = tell(&rec->service, first_of(labels, n, pgo_service_labels), err);
	if (rc == 0)
		rc = tell(&rec->version, first_of(labels, n, pgo_version_labels), err);
	for (size_t i = 0; i < n && rc == 0; i++)
		if (!is_field(labels[i].key))
			rc = put_label(rec, labels[i].key, labels[i].value, err);
	return rc;
}
