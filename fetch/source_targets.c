/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many running programs as one store: a list of targets (fetch/targets.h) says whom to ask for a
 * profile.  Where the list comes from:
 *
 *	targets+file:PATH				a file
 *	targets+http://..., targets+https://...		what a server answers, such as Kubernetes' API
 *	targets+dns://NAME:PORT/PATH?seconds=30		all addresses of a name
 *	targets+srv://_SERVICE._tcp.NAME/PATH?...	hosts and ports of a service
 *
 * Behind a # stand settings with commas between them, none of which is sent anywhere: scheme=, port=,
 * path= (for what the list does not say), jitter= (each request is put off by up to so long, that
 * not all hosts are slowed down in the same moment), dns= (a name server).
 *
 * Credentials (fetch/http_auth.h) are for the server of the list.  Targets never get them: a list
 * that somebody else writes would tell us whom to send our tokens to.
 */
#include "fetch/dns.h"
#include "fetch/http_auth.h"
#include "fetch/pull.h"
#include "fetch/source.h"
#include "fetch/store_url.h"
#include "fetch/targets.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/opt.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIST_MAX ((size_t)64 << 20)
#define JITTER_MAX_NS ((int64_t)600 * 1000000000)
#define DEFAULT_PATH "/debug/pprof/profile?seconds=30"

enum origin { FROM_FILE, FROM_HTTP, FROM_DNS, FROM_SRV };

struct targets_source {
	struct pgo_source base;
	enum origin origin;
	char *where; /* path, URL, or name */
	char *settings, *path, *port;
	const char *dns;
	struct pgo_target_rule rule;
	uint32_t jitter_ms, random;
	struct pgo_targets list;
};

static const struct {
	const char *scheme;
	enum origin origin;
	const struct pgo_source_ops *ops;
} origins[] = {
	{"targets+file:", FROM_FILE, &pgo_source_targets_file},
	{"targets+http:", FROM_HTTP, &pgo_source_targets_http},
	{"targets+https:", FROM_HTTP, &pgo_source_targets_https},
	{"targets+dns:", FROM_DNS, &pgo_source_targets_dns},
	{"targets+srv:", FROM_SRV, &pgo_source_targets_srv},
};

static void targets_close(struct pgo_source *src)
{
	struct targets_source *s = (struct targets_source *)src;

	pgo_targets_fini(&s->list);
	pgo_free(s->where);
	pgo_free(s->settings);
	pgo_free(s->path);
	pgo_free(s->port);
	pgo_free(s);
}

/* ---------------------------------------------------------------- the address */

static int set_jitter(struct targets_source *s, const char *value, struct pgo_err *err)
{
	int64_t ns;

	if (pgo_parse_duration(value, &ns, err) < 0)
		return err != NULL ? err->code : PGO_EUSAGE;
	if (ns < 0 || ns > JITTER_MAX_NS)
		return pgo_err_set(err, PGO_EUSAGE, "jitter=%s is more than 10 minutes", value);
	s->jitter_ms = (uint32_t)(ns / 1000000);
	return 0;
}

static int set(struct targets_source *s, const char *key, const char *value, struct pgo_err *err)
{
	if (strcmp(key, "jitter") == 0)
		return set_jitter(s, value, err);
	if (strcmp(key, "scheme") == 0 &&
		(strcmp(value, "http") == 0 || strcmp(value, "https") == 0)) {
		s->rule.scheme = value;
	} else if (strcmp(key, "port") == 0) {
		s->rule.port = value;
	} else if (strcmp(key, "path") == 0 && value[0] == '/') {
		s->rule.path = value;
	} else if (strcmp(key, "dns") == 0) {
		s->dns = value;
	} else {
		return pgo_err_set(err, PGO_EUSAGE,
			"'%s=%s': behind the # may stand scheme=http, scheme=https, port=..., "
			"path=/..., jitter=5s and dns=ADDRESS:PORT",
			key, value);
	}
	return 0;
}

/* What is behind the #; values stay in s->settings. */
static int read_settings(struct targets_source *s, struct pgo_err *err)
{
	char *at = s->settings, *next;

	for (; at != NULL && *at != '\0'; at = next) {
		char *eq;

		next = strchr(at, ',');
		if (next != NULL)
			*next++ = '\0';
		eq = strchr(at, '=');
		if (eq == NULL)
			return pgo_err_set(err, PGO_EUSAGE, "'%s' should be NAME=VALUE", at);
		*eq = '\0';
		if (set(s, at, eq + 1, err) < 0)
			return err != NULL ? err->code : PGO_EUSAGE;
	}
	return 0;
}

/* //NAME:PORT/PATH in s->where: the name stays there. */
static int split_name(struct targets_source *s, struct pgo_err *err)
{
	char *name = s->where, *slash, *colon;

	if (strncmp(name, "//", 2) != 0)
		return pgo_err_set(err, PGO_EUSAGE, "there should be // before the name");
	memmove(name, name + 2, strlen(name + 2) + 1);
	slash = strchr(name, '/');
	if (slash != NULL && slash[1] != '\0') {
		s->path = pgo_strdup(slash);
		if (s->path == NULL)
			return pgo_err_nomem(err);
		s->rule.path = s->path;
	}
	if (slash != NULL)
		*slash = '\0';
	colon = strchr(name, ':');
	if (colon != NULL) {
		s->port = pgo_strdup(colon + 1);
		if (s->port == NULL)
			return pgo_err_nomem(err);
		s->rule.port = s->port;
		*colon = '\0';
	}
	if (name[0] == '\0')
		return pgo_err_set(err, PGO_EUSAGE, "there is no name in it");
	if (s->origin == FROM_DNS && s->rule.port == NULL)
		return pgo_err_set(
			err, PGO_EUSAGE, "there is no port in it: targets+dns://NAME:PORT/...");
	return 0;
}

static int read_url(struct targets_source *s, const char *url, struct pgo_err *err)
{
	const char *hash = strchr(url, '#'), *from = strchr(url, ':') + 1;
	size_t len = hash != NULL ? (size_t)(hash - url) : strlen(url);

	if (s->origin == FROM_HTTP)
		from = url + strlen("targets+");
	else if (s->origin == FROM_FILE && strncmp(from, "//", 2) == 0)
		from += 2;
	s->where = pgo_strndup(from, len - (size_t)(from - url));
	s->settings = pgo_strdup(hash != NULL ? hash + 1 : "");
	if (s->where == NULL || s->settings == NULL)
		return pgo_err_nomem(err);
	if (s->origin == FROM_DNS || s->origin == FROM_SRV) {
		if (split_name(s, err) < 0)
			return err != NULL ? err->code : PGO_EUSAGE;
	} else if (s->where[0] == '\0') {
		return pgo_err_set(err, PGO_EUSAGE, "it does not say where the list is");
	}
	return read_settings(s, err);
}

static struct pgo_source *targets_open(const char *url, struct pgo_err *err)
{
	struct targets_source *s = pgo_calloc(1, sizeof *s);
	struct timespec now;

	if (s == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	for (size_t i = 0; i < sizeof origins / sizeof *origins; i++)
		if (strncmp(url, origins[i].scheme, strlen(origins[i].scheme)) == 0) {
			s->base.ops = origins[i].ops;
			s->origin = origins[i].origin;
		}
	s->rule = (struct pgo_target_rule){"http", NULL, DEFAULT_PATH};
	clock_gettime(CLOCK_REALTIME, &now);
	s->random = (uint32_t)now.tv_nsec | 1;
	if (read_url(s, url, err) < 0) {
		pgo_err_prefix(err, "%s", url);
		targets_close(&s->base);
		return NULL;
	}
	return &s->base;
}

/* ---------------------------------------------------------------- the list */

static int load_file(struct targets_source *s, struct pgo_err *err)
{
	struct pgo_buf text;
	int rc = pgo_file_read(s->where, LIST_MAX, &text, err);

	if (rc == 0)
		rc = pgo_targets_parse(&s->list, &s->rule, s->where,
			text.data != NULL ? text.data : "", text.len, err);
	pgo_buf_fini(&text);
	return rc;
}

static int load_http(struct targets_source *s, struct pgo_err *err)
{
	struct pgo_http_request r = {.url = s->where, .max = LIST_MAX, .sign = pgo_http_auth_add};
	struct pgo_http_reply reply = {0};
	char *name = pgo_http_redact(s->where);
	int rc = name != NULL ? pgo_http_get(s->base.http, &r, &reply, err) : pgo_err_nomem(err);

	if (rc == 0)
		rc = pgo_targets_parse(&s->list, &s->rule, name,
			reply.body.data != NULL ? reply.body.data : "", reply.body.len, err);
	pgo_http_headers_fini(&r.headers);
	pgo_http_reply_fini(&reply);
	pgo_free(name);
	return rc;
}

static int add_host(void *ctx, const char *host, uint16_t port, struct pgo_err *err)
{
	struct targets_source *s = ctx;
	struct pgo_kv label = {(char *)(uintptr_t) "dns_name", s->where};
	struct pgo_target_rule rule = s->rule;
	char *address;
	int rc;

	address = port != 0 ? pgo_asprintf("%s:%u", host, port) : pgo_strdup(host);
	if (address == NULL)
		return pgo_err_nomem(err);
	rc = pgo_targets_add(&s->list, &rule, address, &label, 1, err);
	pgo_free(address);
	return rc;
}

static int load_dns(struct targets_source *s, struct pgo_err *err)
{
	int rc;

	if (s->origin == FROM_SRV)
		return pgo_dns_ask(s->where, PGO_DNS_SRV, s->dns, add_host, s, err);
	if (s->dns == NULL)
		return pgo_dns_addresses(s->where, add_host, s, err);
	rc = pgo_dns_ask(s->where, PGO_DNS_A, s->dns, add_host, s, err);
	return rc == 0 ? pgo_dns_ask(s->where, PGO_DNS_AAAA, s->dns, add_host, s, err) : rc;
}

static int targets_list(struct pgo_source *src, const struct pgo_query *q, pgo_each_listed *each,
	void *ctx, struct pgo_err *err)
{
	struct targets_source *s = (struct targets_source *)src;
	struct pgo_listed l = {0};
	struct timespec now;
	int rc;

	(void)q;
	pgo_targets_fini(&s->list);
	rc = s->origin == FROM_FILE   ? load_file(s, err)
	     : s->origin == FROM_HTTP ? load_http(s, err)
				      : load_dns(s, err);
	if (rc < 0)
		return rc;
	pgo_targets_sort(&s->list);
	if (s->list.n == 0)
		pgo_warn("%s: there are no targets in the list", s->where);
	clock_gettime(CLOCK_REALTIME, &now);
	l.mtime_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	for (size_t i = 0; i < s->list.n && rc == 0; i++) {
		l.name = s->list.of[i].name;
		rc = each(ctx, &l, err);
	}
	return rc;
}

/* ---------------------------------------------------------------- the targets */

static int cmp_name(const void *key, const void *element)
{
	return strcmp(key, ((const struct pgo_target *)element)->name);
}

static const struct pgo_target *find(const struct targets_source *s, const char *name)
{
	return s->list.n != 0 ? bsearch(name, s->list.of, s->list.n, sizeof s->list.of[0], cmp_name)
			      : NULL;
}

static int targets_request(struct pgo_source *src, const char *name, unsigned part,
	struct pgo_http_request *r, struct pgo_err *err)
{
	struct targets_source *s = (struct targets_source *)src;
	const struct pgo_target *t = find(s, name);

	(void)part;
	if (t == NULL)
		return pgo_err_set(err, PGO_ENOTFOUND, "%s: not in the list", name);
	pgo_pull_request(r, t->url);
	if (s->jitter_ms != 0) {
		s->random = s->random * 1664525 + 1013904223;
		r->delay_ms = (unsigned)((uint64_t)s->jitter_ms * (s->random >> 8) >> 24);
	}
	return 0;
}

static int targets_describe(
	struct pgo_source *src, const char *name, struct pgo_record *rec, struct pgo_err *err)
{
	const struct pgo_target *t = find((const struct targets_source *)src, name);

	return t != NULL ? pgo_record_tell(rec, t->labels, t->n_labels,
				   src->query != NULL ? src->query->by_host : NULL, err)
			 : 0;
}

#define TARGETS(which, kind, text)                                                                 \
	const struct pgo_source_ops pgo_source_targets_##which = {                                 \
		.scheme = "targets+" kind,                                                         \
		.about = text,                                                                     \
		.open = targets_open,                                                              \
		.close = targets_close,                                                            \
		.list = targets_list,                                                              \
		.request = targets_request,                                                        \
		.reply = pgo_pull_reply,                                                           \
		.describe = targets_describe,                                                      \
	}

TARGETS(dns, "dns", "running programs at all addresses of a name");
TARGETS(file, "file", "running programs by a list");
TARGETS(http, "http", "running programs by a list that a server has");
TARGETS(https, "https", "the same, encrypted");
TARGETS(srv, "srv", "running programs by SRV records");
