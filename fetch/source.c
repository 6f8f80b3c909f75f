/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/source.h"

#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "pgo/core/sha256.h"

#include <stdlib.h>
#include <string.h>

/* One line a scheme. */

static const struct pgo_source_ops *const table[] = {
	&pgo_source_datadog,
	&pgo_source_file,
	&pgo_source_gcp,
	&pgo_source_gs,
	&pgo_source_http,
	&pgo_source_https,
	&pgo_source_parca,
	&pgo_source_parca_https,
	&pgo_source_profefe,
	&pgo_source_profefe_https,
	&pgo_source_pyroscope,
	&pgo_source_pyroscope_https,
	&pgo_source_s3,
	&pgo_source_targets_dns,
	&pgo_source_targets_file,
	&pgo_source_targets_http,
	&pgo_source_targets_https,
	&pgo_source_targets_srv,
};

#define N_TABLE (sizeof table / sizeof *table)

/* The length of "scheme" in "scheme:..."; 0 for a plain path.  One letter is no scheme. */
static size_t scheme_len(const char *url)
{
	size_t len = strspn(url, "abcdefghijklmnopqrstuvwxyz0123456789+.-");

	return len > 1 && url[len] == ':' ? len : 0;
}

static int unknown(const char *url, size_t len, struct pgo_err *err)
{
	char *shown = pgo_http_redact(url); /* a password may be in it all the same */
	struct pgo_buf known;
	int rc;

	pgo_buf_init(&known, 4096);
	for (size_t i = 0; i < N_TABLE; i++)
		pgo_buf_printf(
			&known, "%s%s: (%s)", i > 0 ? ", " : "", table[i]->scheme, table[i]->about);
	rc = pgo_err_set(err, PGO_EUSAGE,
		"%s: there is no kind of store called '%.*s'; known are %s and plain paths",
		shown != NULL ? shown : "the address", (int)len, url,
		known.data != NULL ? known.data : "none");
	pgo_buf_fini(&known);
	pgo_free(shown);
	return rc;
}

static bool speaks(const struct pgo_source_ops *ops, const char *url, size_t len)
{
	return strlen(ops->scheme) == len && strncmp(ops->scheme, url, len) == 0;
}

struct pgo_source *pgo_source_open(
	const char *url, const struct pgo_source_ops *extra, struct pgo_err *err)
{
	size_t len = scheme_len(url);

	if (len == 0)
		return pgo_source_file.open(url, err);
	if (extra != NULL && speaks(extra, url, len))
		return extra->open(url, err);
	for (size_t i = 0; i < N_TABLE; i++)
		if (speaks(table[i], url, len))
			return table[i]->open(url, err);
	unknown(url, len, err);
	return NULL;
}

void pgo_source_close(struct pgo_source *s)
{
	if (s != NULL)
		s->ops->close(s);
}

/* ---------------------------------------------------------------- queries */

static bool is_in_the_name(const struct pgo_query *q, const char *key)
{
	return strcmp(key, "service") == 0 || strcmp(key, "service_name") == 0 ||
	       strcmp(key, "host") == 0 || (q->by_host != NULL && strcmp(key, q->by_host) == 0);
}

static int cmp_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every element with its length in front, so that no two lists read alike. */
static void add_text(struct pgo_sha256 *d, const char *text)
{
	uint64_t len = strlen(text);

	for (unsigned i = 0; i < 8; i++)
		pgo_sha256_add(d, &(uint8_t){(uint8_t)(len >> 8 * i)}, 1);
	pgo_sha256_add(d, text, len);
}

static int gather(const struct pgo_query *q, char **parts, size_t *n)
{
	for (size_t i = 0; i < q->selection->n_matchers; i++) {
		const struct pgo_matcher *m = &q->selection->matchers[i];

		if (is_in_the_name(q, m->key) || strcmp(m->key, "build_id") == 0)
			continue;
		parts[*n] = pgo_asprintf("%s%d%s", m->key, (int)m->op, m->value);
		if (parts[(*n)++] == NULL)
			return -1;
	}
	for (size_t i = 0; i < q->n_types; i++)
		if ((parts[(*n)++] = pgo_asprintf("type %s", q->types[i])) == NULL)
			return -1;
	return 0;
}

int pgo_query_tag(const struct pgo_query *q, char ret[9], struct pgo_err *err)
{
	char **parts = pgo_calloc(q->selection->n_matchers + q->n_types + 1, sizeof *parts);
	uint8_t digest[32];
	char hex[65];
	struct pgo_sha256 d;
	size_t n = 0;
	int rc = parts != NULL && gather(q, parts, &n) == 0 ? 0 : pgo_err_nomem(err);

	pgo_sha256_init(&d);
	if (rc == 0 && n > 1) /* whatever order they were given in */
		qsort(parts, n, sizeof *parts, cmp_text);
	for (size_t i = 0; i < n; i++) {
		if (rc == 0)
			add_text(&d, parts[i]);
		pgo_free(parts[i]);
	}
	pgo_free(parts);
	pgo_sha256_final(&d, digest);
	pgo_sha256_hex(digest, hex);
	memcpy(ret, hex, 8);
	ret[n != 0 ? 8 : 0] = '\0';
	return rc;
}
