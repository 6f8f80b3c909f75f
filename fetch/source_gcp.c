/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Google Cloud Profiler: gcp-profiler://PROJECT?target=NAME.
 *
 *	GET https://cloudprofiler.googleapis.com/v2/projects/PROJECT/profiles?pageSize=N&pageToken=T
 *	-> {"profiles": [{"name", "profileType", "deployment": {"target", "labels"}, "duration",
 *	    "profileBytes" (base64 of a pprof), "labels", "startTime"}], "nextPageToken"}
 *
 * By its public description; tried against replies made by hand only.  The server filters nothing, so
 * every run reads all that it has (30 days of profiles), and takes what fits: profiles of processor
 * time (or of the types asked for), of that target, of that time.  Its agents record Go, Java, Node
 * and Python; C++ has none.
 *
 * A bearer token is needed: GOOGLE_OAUTH_ACCESS_TOKEN, or what fetch/http_auth.h knows.
 * CLOUD_PROFILER_ENDPOINT names another server.  A name is HOST/PROJECT/ID@DIGEST.
 */
#include "fetch/held.h"
#include "fetch/http_auth.h"
#include "fetch/store_url.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/json.h"
#include "pgo/core/opt.h"

#include <stdlib.h>
#include <string.h>

#define REPLY_MAX ((uint64_t)512 << 20)
#define PROFILE_MAX ((size_t)256 << 20)
#define PAGE 200
#define PAGES_MAX 100000

struct gcp_source {
	struct pgo_source base;
	struct pgo_held held;
	char *project, *target;
};

static void gcp_close(struct pgo_source *src)
{
	struct gcp_source *s = (struct gcp_source *)src;

	pgo_held_fini(&s->held);
	pgo_free(s->project);
	pgo_free(s->target);
	pgo_free(s);
}

static int set(void *ctx, const char *name, const char *value, struct pgo_err *err)
{
	struct gcp_source *s = ctx;

	if (strcmp(name, "target") == 0)
		return pgo_record_set(&s->target, value, err);
	return pgo_err_set(err, PGO_EUSAGE, "'%s=%s': behind the ? may stand target=", name, value);
}

static struct pgo_source *gcp_open(const char *url, struct pgo_err *err)
{
	struct gcp_source *s = pgo_calloc(1, sizeof *s);
	struct pgo_store_url u = {0};
	int rc;

	if (s == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	s->base.ops = &pgo_source_gcp;
	pgo_held_init(&s->held);
	rc = pgo_store_url_parse(url, set, s, &u, err);
	if (rc == 0 && (s->project = pgo_strdup(u.name)) == NULL)
		rc = pgo_err_nomem(err);
	pgo_store_url_fini(&u);
	if (rc < 0) {
		gcp_close(&s->base);
		return NULL;
	}
	return &s->base;
}

/* ---------------------------------------------------------------- one profile */

static const char *text_of(const struct pgo_jval *v, const char *key)
{
	return pgo_jval_str(pgo_jval_get(v, key), "");
}

static int digit(char c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52
	       : c == '+' || c == '-' ? 62
	       : c == '/' || c == '_' ? 63
				      : -1;
}

static int decode(const char *text, struct pgo_buf *to, struct pgo_err *err)
{
	uint32_t bits = 0;
	unsigned n = 0;

	for (; *text != '\0' && *text != '='; text++) {
		int d = digit(*text);

		if (d < 0)
			return pgo_err_set(err, PGO_EFORMAT, "its bytes are no base64");
		bits = bits << 6 | (uint32_t)d;
		n += 6;
		if (n >= 8) {
			n -= 8;
			pgo_buf_putc(to, (char)(bits >> n));
		}
	}
	return pgo_buf_check(to, "a profile", err);
}

static bool is_type(const struct pgo_query *q, const char *type)
{
	static const struct {
		const char *column, *type;
	} known[] = {
		{"cpu", "CPU"},
		{"samples", "CPU"},
		{"wall", "WALL"},
		{"heap", "HEAP"},
		{"inuse_space", "HEAP"},
		{"inuse_objects", "HEAP"},
		{"alloc_space", "HEAP_ALLOC"},
		{"alloc_objects", "HEAP_ALLOC"},
		{"goroutine", "THREADS"},
		{"contentions", "CONTENTION"},
	};

	if (q == NULL || q->n_types == 0)
		return strcmp(type, "CPU") == 0;
	for (size_t i = 0; i < q->n_types; i++)
		for (size_t k = 0; k < sizeof known / sizeof *known; k++)
			if (strcmp(q->types[i], known[k].column) == 0 &&
				strcmp(type, known[k].type) == 0)
				return true;
	return false;
}

static bool is_wanted(const struct gcp_source *s, const struct pgo_jval *p, int64_t time_ns)
{
	const struct pgo_query *q = s->base.query;

	if (s->target != NULL &&
		strcmp(s->target, text_of(pgo_jval_get(p, "deployment"), "target")) != 0)
		return false;
	if (!is_type(q, text_of(p, "profileType")))
		return false;
	return q == NULL || time_ns == 0 ||
	       ((q->since_ns == 0 || time_ns >= q->since_ns) &&
		       (q->until_ns == 0 || time_ns < q->until_ns));
}

static int add_labels(struct gcp_source *s, const struct pgo_jval *labels, struct pgo_err *err)
{
	const struct pgo_jval *v;
	const char *key;
	int rc = 0;

	for (size_t i = 0; i < 100 && rc == 0 && (v = pgo_jval_member(labels, i, &key)) != NULL;
		i++)
		rc = pgo_held_label(&s->held, key, pgo_jval_str(v, NULL), err);
	return rc;
}

/* RFC 3339 to the second, which is enough; 0: not told. */
static int64_t start_of(const struct pgo_jval *p)
{
	const char *from = text_of(p, "startTime"), *dot = strchr(from, '.');
	char *text = dot != NULL ? pgo_asprintf("%.*s%s", (int)(dot - from), from,
					   dot + 1 + strspn(dot + 1, "0123456789"))
				 : pgo_strdup(from);
	int64_t ns = 0;

	if (text == NULL || pgo_parse_time(text, 0, &ns, NULL) < 0)
		ns = 0;
	pgo_free(text);
	return ns;
}

static int add_profile(
	struct gcp_source *s, const char *host, const struct pgo_jval *p, struct pgo_err *err)
{
	const struct pgo_jval *deployment = pgo_jval_get(p, "deployment");
	const char *id = strrchr(text_of(p, "name"), '/');
	int64_t time_ns = start_of(p);
	struct pgo_buf bytes;
	char *prefix;
	int rc;

	if (!is_wanted(s, p, time_ns))
		return 0;
	prefix = pgo_asprintf("%s/%s", host, s->project);
	pgo_buf_init(&bytes, PROFILE_MAX);
	rc = prefix != NULL ? decode(text_of(p, "profileBytes"), &bytes, err) : pgo_err_nomem(err);
	if (rc == 0)
		rc = pgo_held_add(&s->held, prefix, id != NULL ? id + 1 : text_of(p, "name"),
			bytes.data != NULL ? bytes.data : "", bytes.len, time_ns, err);
	if (rc == 0)
		rc = pgo_held_label(&s->held, "service", text_of(deployment, "target"), err);
	if (rc == 0)
		rc = add_labels(s, pgo_jval_get(deployment, "labels"), err);
	if (rc == 0)
		rc = add_labels(s, pgo_jval_get(p, "labels"), err);
	pgo_buf_fini(&bytes);
	pgo_free(prefix);
	return rc < 0 ? pgo_err_prefix(err, "%s", text_of(p, "name")) : 0;
}

/* ---------------------------------------------------------------- pages */

static int sign(struct pgo_http_request *r, struct pgo_err *err)
{
	const char *token = getenv("GOOGLE_OAUTH_ACCESS_TOKEN");
	char *value;
	int rc;

	if (token == NULL || token[0] == '\0')
		return pgo_http_auth_add(r, err);
	value = pgo_asprintf("Bearer %s", token);
	rc = value != NULL && pgo_http_headers_add(&r->headers, "Authorization", value) == 0
		     ? 0
		     : pgo_err_nomem(err);
	pgo_free(value);
	return rc;
}

static char *page_url(const struct gcp_source *s, const char *base, const char *token)
{
	struct pgo_buf b;
	char *url;

	pgo_buf_init(&b, (size_t)1 << 16);
	pgo_buf_printf(&b, "%s/v2/projects/", base);
	pgo_http_escape(&b, s->project, false);
	pgo_buf_printf(&b, "/profiles?pageSize=%d", PAGE);
	if (token[0] != '\0') {
		pgo_buf_puts(&b, "&pageToken=");
		pgo_http_escape(&b, token, false);
	}
	url = b.failed ? NULL : pgo_strdup(b.data);
	pgo_buf_fini(&b);
	return url;
}

/* One page; `token` becomes that of the next, or "". */
static int read_page(
	struct gcp_source *s, const char *base, char **token, uint64_t *n_seen, struct pgo_err *err)
{
	struct pgo_http_request r = {.max = REPLY_MAX, .sign = sign};
	struct pgo_http_reply reply = {0};
	struct pgo_jval *doc = NULL;
	const struct pgo_jval *profiles;
	char *url = page_url(s, base, *token);
	int rc;

	r.url = url;
	rc = url != NULL ? pgo_http_get(s->base.http, &r, &reply, err) : pgo_err_nomem(err);
	if (rc == 0) {
		doc = pgo_jdoc_parse("Cloud Profiler's answer",
			reply.body.data != NULL ? reply.body.data : "", reply.body.len, err);
		rc = doc != NULL ? 0 : err != NULL ? err->code : PGO_EFORMAT;
	}
	profiles = rc == 0 ? pgo_jval_get(doc, "profiles") : NULL;
	for (size_t i = 0; i < pgo_jval_len(profiles) && rc == 0; i++)
		rc = add_profile(s, strstr(base, "://") + 3, pgo_jval_at(profiles, i), err);
	*n_seen += pgo_jval_len(profiles);
	if (rc == 0 && (*token)[0] != '\0' && strcmp(*token, text_of(doc, "nextPageToken")) == 0)
		rc = pgo_err_set(err, PGO_ENET, "Cloud Profiler gives the same page again");
	if (rc == 0)
		rc = pgo_record_set(token, text_of(doc, "nextPageToken"), err);
	pgo_jdoc_free(doc);
	pgo_http_headers_fini(&r.headers);
	pgo_http_reply_fini(&reply);
	pgo_free(url);
	return rc;
}

static int gcp_list(struct pgo_source *src, const struct pgo_query *q, pgo_each_listed *each,
	void *ctx, struct pgo_err *err)
{
	struct gcp_source *s = (struct gcp_source *)src;
	const char *base = getenv("CLOUD_PROFILER_ENDPOINT");
	char *token = pgo_strdup("");
	uint64_t n_seen = 0;
	int rc = token != NULL ? 0 : pgo_err_nomem(err);
	unsigned pages = 0;

	(void)q;
	if (base == NULL || base[0] == '\0')
		base = "https://cloudprofiler.googleapis.com";
	if (rc == 0 && strstr(base, "://") == NULL)
		rc = pgo_err_set(err, PGO_EUSAGE,
			"CLOUD_PROFILER_ENDPOINT=%s should begin with https://", base);
	pgo_held_fini(&s->held);
	while (rc == 0 && (pages == 0 || token[0] != '\0')) {
		rc = read_page(s, base, &token, &n_seen, err);
		if (rc == 0 && ++pages > PAGES_MAX)
			rc = pgo_err_set(err, PGO_ELIMIT, "more than %d pages", PAGES_MAX);
	}
	if (rc == 0)
		pgo_note("%s: %llu profiles in %u pages, %zu of them of the type, time and target "
			 "asked for",
			s->project, (unsigned long long)n_seen, pages, s->held.n);
	pgo_free(token);
	return rc < 0 ? rc : pgo_held_list(&s->held, each, ctx, err);
}

static int gcp_get(struct pgo_source *src, const char *name, const char *to_path, uint64_t max,
	struct pgo_err *err)
{
	return pgo_held_get(&((const struct gcp_source *)src)->held, name, to_path, max, err);
}

static int gcp_describe(
	struct pgo_source *src, const char *name, struct pgo_record *rec, struct pgo_err *err)
{
	return pgo_held_describe(&((const struct gcp_source *)src)->held, name,
		src->query != NULL ? src->query->by_host : NULL, rec, err);
}

const struct pgo_source_ops pgo_source_gcp = {
	.scheme = "gcp-profiler",
	.about = "Google Cloud Profiler",
	.open = gcp_open,
	.close = gcp_close,
	.list = gcp_list,
	.get = gcp_get,
	.request = pgo_held_request,
	.describe = gcp_describe,
};
