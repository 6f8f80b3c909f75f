/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/source.h"

#include "pgo/core/buf.h"

#include <string.h>

static const struct pgo_source_ops *const table[] = {
	&pgo_source_file,
	&pgo_source_http,
	&pgo_source_https,
	&pgo_source_s3,
	&pgo_source_gs,
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
	struct pgo_buf known;
	int rc;

	pgo_buf_init(&known, 4096);
	for (size_t i = 0; i < N_TABLE; i++)
		pgo_buf_printf(
			&known, "%s%s: (%s)", i > 0 ? ", " : "", table[i]->scheme, table[i]->about);
	rc = pgo_err_set(err, PGO_EUSAGE,
		"%s: there is no kind of store called '%.*s'; known are %s and plain paths", url,
		(int)len, url, known.data != NULL ? known.data : "none");
	pgo_buf_fini(&known);
	return rc;
}

struct pgo_source *pgo_source_open(const char *url, struct pgo_err *err)
{
	size_t len = scheme_len(url);

	if (len == 0)
		return pgo_source_file.open(url, err);
	for (size_t i = 0; i < N_TABLE; i++)
		if (strlen(table[i]->scheme) == len && strncmp(table[i]->scheme, url, len) == 0)
			return table[i]->open(url, err);
	unknown(url, len, err);
	return NULL;
}

void pgo_source_close(struct pgo_source *s)
{
	if (s != NULL)
		s->ops->close(s);
}
