/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/http_auth.h"

#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define MAX_SECRET ((size_t)64 << 10)

static const char *setting(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
}

int pgo_secret_read(const char *path, struct pgo_buf *ret, struct pgo_err *err)
{
	struct stat st;
	int rc;

	pgo_buf_init(ret, MAX_SECRET);
	if (stat(path, &st) < 0)
		return pgo_err_errno(err, PGO_EUSAGE, "%s cannot be read", path);
	/* A pipe or /dev/fd/N of the user's own is as good as a file. */
	if (S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s holds a secret, and others than its owner may open it (mode %03o); "
			"chmod 600 it",
			path, (unsigned)(st.st_mode & 0777));
	rc = pgo_file_read(path, MAX_SECRET, ret, err);
	while (rc == 0 && ret->len > 0 && strchr(" \t\r\n", ret->data[ret->len - 1]) != NULL)
		ret->data[--ret->len] = '\0';
	return rc;
}

/* Control bytes would end the header and begin another. */
static int add(struct pgo_http_request *r, const char *name, const char *value, const char *from,
	struct pgo_err *err)
{
	for (const char *p = value; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			return pgo_err_set(err, PGO_EUSAGE,
				"the value in %s has a control character in it", from);
	return pgo_http_headers_add(&r->headers, name, value) < 0 ? pgo_err_nomem(err) : 0;
}

static int add_bearer(
	struct pgo_http_request *r, const char *token, const char *from, struct pgo_err *err)
{
	char *value = pgo_asprintf("Bearer %s", token);
	int rc = value != NULL ? add(r, "authorization", value, from, err) : pgo_err_nomem(err);

	pgo_free(value);
	return rc;
}

static int add_token_file(struct pgo_http_request *r, const char *path, struct pgo_err *err)
{
	struct pgo_buf text;
	int rc = pgo_secret_read(path, &text, err);

	if (rc == 0 && text.len == 0)
		rc = pgo_err_set(err, PGO_EUSAGE, "%s is empty, it should hold a token", path);
	if (rc == 0)
		rc = add_bearer(r, text.data, path, err);
	pgo_buf_fini(&text);
	return rc;
}

static void base64(const char *text, size_t len, struct pgo_buf *out)
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		unsigned v = (unsigned)(unsigned char)text[i] << 16;

		if (i + 1 < len)
			v |= (unsigned)(unsigned char)text[i + 1] << 8;
		if (i + 2 < len)
			v |= (unsigned char)text[i + 2];
		pgo_buf_putc(out, digit[v >> 18]);
		pgo_buf_putc(out, digit[v >> 12 & 63]);
		pgo_buf_putc(out, i + 1 < len ? digit[v >> 6 & 63] : '=');
		pgo_buf_putc(out, i + 2 < len ? digit[v & 63] : '=');
	}
}

static int add_basic(struct pgo_http_request *r, const char *user, struct pgo_err *err)
{
	const char *password = setting("PGO_FETCH_PASSWORD");
	struct pgo_buf pair, value;
	int rc;

	if (strchr(user, ':') != NULL)
		return pgo_err_set(err, PGO_EUSAGE, "the name in PGO_FETCH_USER has a colon in it");
	pgo_buf_init(&pair, MAX_SECRET);
	pgo_buf_init(&value, 2 * MAX_SECRET);
	pgo_buf_printf(&pair, "%s:%s", user, password != NULL ? password : "");
	pgo_buf_puts(&value, "Basic ");
	if (!pair.failed)
		base64(pair.data, pair.len, &value);
	rc = pair.failed || value.failed
		     ? pgo_err_nomem(err)
		     : add(r, "authorization", value.data, "PGO_FETCH_USER", err);
	pgo_buf_fini(&pair);
	pgo_buf_fini(&value);
	return rc;
}

static bool is_name(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				  "!#$%&'*+-.^_`|~");

	return len != 0 && text[len] == '\0';
}

/* Changes `line`. */
static int add_line(struct pgo_http_request *r, char *line, size_t number, const char *path,
	struct pgo_err *err)
{
	char *colon, *end = line + strlen(line);

	while (end > line && strchr(" \t\r", end[-1]) != NULL)
		*--end = '\0';
	if (*line == '\0' || *line == '#')
		return 0;
	colon = strchr(line, ':');
	if (colon != NULL)
		*colon = '\0';
	/* Not the line itself: it may be a secret. */
	if (colon == NULL || !is_name(line))
		return pgo_err_set(err, PGO_EUSAGE,
			"%s, line %zu: this is no header of the form Name: value", path, number);
	return add(r, line, colon + 1 + strspn(colon + 1, " \t"), path, err);
}

static int add_headers_file(struct pgo_http_request *r, const char *path, struct pgo_err *err)
{
	struct pgo_buf text;
	size_t number = 0;
	int rc = pgo_secret_read(path, &text, err);

	for (char *line = text.data; rc == 0 && line != NULL; number++) {
		char *next = strchr(line, '\n');

		if (next != NULL)
			*next++ = '\0';
		rc = add_line(r, line, number + 1, path, err);
		line = next;
	}
	pgo_buf_fini(&text);
	return rc;
}

static bool is_loopback(const char *url)
{
	static const char *const hosts[] = {"127.", "localhost", "[::1]"};
	const char *host = strstr(url, "://"), *user;

	if (host == NULL)
		return false;
	host += 3;
	user = host + strcspn(host, "/?#@");
	if (*user == '@')
		host = user + 1;
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
		if (strncasecmp(host, hosts[i], strlen(hosts[i])) == 0)
			return true;
	return false;
}

static void warn_if_open(const struct pgo_http_request *r, size_t before)
{
	static bool warned;

	if (warned || r->headers.n == before || strncasecmp(r->url, "http:", 5) != 0 ||
		is_loopback(r->url))
		return;
	warned = true;
	pgo_warn("credentials go over a connection that is not encrypted, where whoever is in "
		 "between can read them; use https");
}

int pgo_http_auth_add(struct pgo_http_request *r, struct pgo_err *err)
{
	const char *token = setting("PGO_FETCH_TOKEN"), *user = setting("PGO_FETCH_USER");
	const char *token_file = setting("PGO_FETCH_TOKEN_FILE");
	const char *tenant = setting("PGO_FETCH_TENANT"), *more = setting("PGO_FETCH_HEADERS");
	size_t before = r->headers.n;
	int rc = 0;

	if (token != NULL)
		rc = add_bearer(r, token, "PGO_FETCH_TOKEN", err);
	else if (token_file != NULL)
		rc = add_token_file(r, token_file, err);
	else if (user != NULL)
		rc = add_basic(r, user, err);
	if (rc == 0 && tenant != NULL)
		rc = add(r, "x-scope-orgid", tenant, "PGO_FETCH_TENANT", err);
	if (rc == 0 && more != NULL)
		rc = add_headers_file(r, more, err);
	warn_if_open(r, before);
	return rc;
}
