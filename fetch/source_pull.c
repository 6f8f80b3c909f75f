/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running program as a store of one profile, which is made when it is asked for: Go's
 * net/http/pprof (/debug/pprof/profile), brpc's and gperftools' /pprof/profile, and any other URL
 * that answers a GET with a profile.  The URL is used as it is, `?seconds=N` and all.
 *
 * What comes back is another profile each time, so nothing is ever known from a former run.  The
 * server records for N seconds before it says anything; half as much again and five seconds more
 * are allowed it, or a minute where the URL does not say how long.
 */
#include "fetch/pull.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define DEFAULT_SECONDS 60
#define MAX_SECONDS 3600ul
#define TEXT_MAX 512

struct pull_source {
	struct pgo_source base;
	char *url, *name; /* as given, and without secrets */
};

static void pull_close(struct pgo_source *src)
{
	struct pull_source *s = (struct pull_source *)src;

	pgo_free(s->url);
	pgo_free(s->name);
	pgo_free(s);
}

static struct pgo_source *pull_open(const char *url, struct pgo_err *err)
{
	struct pull_source *s;
	const char *host = strstr(url, "://");

	if (host == NULL || host[3] == '\0' || host[3] == '/') {
		pgo_err_set(err, PGO_EUSAGE,
			"%s: no host in this address; it should look like "
			"https://HOST:PORT/debug/pprof/profile?seconds=30",
			url);
		return NULL;
	}
	s = pgo_calloc(1, sizeof *s);
	if (s != NULL) {
		s->base.ops = strncmp(url, "https:", 6) == 0 ? &pgo_source_https : &pgo_source_http;
		s->url = pgo_strdup(url);
		s->name = pgo_http_redact(url);
	}
	if (s == NULL || s->url == NULL || s->name == NULL) {
		if (s != NULL)
			pull_close(&s->base);
		pgo_err_nomem(err);
		return NULL;
	}
	return &s->base;
}

static int pull_list(struct pgo_source *src, const struct pgo_query *q, pgo_each_listed *each,
	void *ctx, struct pgo_err *err)
{
	const struct pull_source *s = (const struct pull_source *)src;
	struct pgo_listed l = {.name = s->name};
	struct timespec now;

	(void)q;
	clock_gettime(CLOCK_REALTIME, &now);
	l.mtime_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	return each(ctx, &l, err);
}

/* The value of the parameter `seconds`. */
static unsigned long seconds_of(const char *url)
{
	const char *p = strchr(url, '?');
	unsigned long n = 0;

	while (p != NULL && *p != '\0' && *p != '#') {
		p++;
		if (strncmp(p, "seconds=", 8) == 0)
			n = strtoul(p + 8, NULL, 10);
		p = strchr(p, '&');
	}
	return n > MAX_SECONDS ? MAX_SECONDS : n;
}

void pgo_pull_request(struct pgo_http_request *r, const char *url)
{
	unsigned long seconds = seconds_of(url);

	r->url = url;
	r->patient = true;
	r->total_ms =
		seconds != 0 ? (unsigned)(seconds * 1500 + 5000) : DEFAULT_SECONDS * 1000 + 5000;
}

static int pull_request(struct pgo_source *src, const char *name, unsigned part,
	struct pgo_http_request *r, struct pgo_err *err)
{
	(void)name;
	(void)part;
	(void)err;
	pgo_pull_request(r, ((const struct pull_source *)src)->url);
	return 0;
}

/* ---------------------------------------------------------------- what comes back */

/* The first line of a short text about profiling; "" for anything else. */
static void glance(const char *path, char text[TEXT_MAX])
{
	FILE *f = path != NULL ? fopen(path, "re") : NULL;
	size_t n = f != NULL ? fread(text, 1, TEXT_MAX - 1, f) : 0;

	if (f != NULL)
		fclose(f);
	if (n == TEXT_MAX - 1)
		n = 0;
	text[n] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ' && text[i] != '\0' && text[i] != '\t')
			text[0] = '\0';
	if (strcasestr(text, "profil") == NULL || text[0] == '<')
		text[0] = '\0';
}

/* Go answers 500 with "cpu profiling already in use", brpc says that another profiler is running. */
static bool is_taken(const char *text)
{
	return strcasestr(text, "already in use") != NULL ||
	       (strcasestr(text, "nother profil") != NULL && strcasestr(text, "running") != NULL);
}

int pgo_pull_reply(struct pgo_source *s, const char *name, unsigned part,
	const struct pgo_http_reply *reply, const char *path, struct pgo_err *err)
{
	char text[TEXT_MAX];

	(void)s;
	(void)name;
	(void)part;
	if (reply->status < 200 || reply->status > 299) {
		if (reply->body.data != NULL && is_taken(reply->body.data))
			return pgo_err_set(err, PGO_ENET,
				"somebody else takes a profile there right now; try again later");
		return pgo_http_refused(reply, err);
	}
	glance(path, text);
	if (text[0] == '\0')
		return 0;
	if (is_taken(text))
		return pgo_err_set(err, PGO_ENET,
			"somebody else takes a profile there right now (%s); try again later",
			text);
	return pgo_err_set(err, PGO_ENET, "no profile came, but: %s", text);
}

const struct pgo_source_ops pgo_source_http = {
	.scheme = "http",
	.about = "a profile that a running program makes",
	.open = pull_open,
	.close = pull_close,
	.list = pull_list,
	.request = pull_request,
	.reply = pgo_pull_reply,
};

const struct pgo_source_ops pgo_source_https = {
	.scheme = "https",
	.about = "the same, encrypted",
	.open = pull_open,
	.close = pull_close,
	.list = pull_list,
	.request = pull_request,
	.reply = pgo_pull_reply,
};
