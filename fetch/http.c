/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/http.h"

#include "pgo/core/alloc.h"

/* Functions are called through pointers, which the macros that check their types do not see. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { MAX_REDIRECTS = 5, MAX_PARALLEL = 256, MAX_HEADERS = 200 };
#define MAX_WAIT_MS ((int64_t)300000) /* that a server may ask for */
#define MAX_BACKOFF_MS ((int64_t)60000)
#define DEFAULT_MAX_BODY ((uint64_t)64 << 20)
#define REFUSAL_MAX ((size_t)64 << 10) /* kept of a reply that is not 2xx */

enum state { IDLE, RUNNING, WAITING };

struct transfer {
	struct pgo_http *http;
	enum state state;
	struct pgo_http_request *request;
	struct pgo_http_reply reply;
	CURL *easy;
	struct curl_slist *list;
	int fd;
	unsigned tries, redirects;
	bool foreign;       /* redirected to another host */
	int64_t due_ms;     /* WAITING: when to try again */
	size_t n_kept;      /* headers of the request before signing */
	uint64_t written;   /* of the body, as kept */
	struct pgo_err why; /* what our callbacks found */
	char curl_error[CURL_ERROR_SIZE];
};

struct pgo_http {
	struct pgo_http_options o;
	struct pgo_http_stats stats;
	CURLM *multi;
	struct transfer *transfers;
	uint32_t jitter;     /* of a small generator */
	int64_t deadline_ms; /* 0 = none, or not asked yet */
};

/* ---------------------------------------------------------------- libcurl itself */

/*
 * Loaded when the first pool is made, not when the program starts: with all that it needs it is two
 * thirds of the memory that the program takes before it does anything, and only fetching needs it.
 */
#define FUNCTIONS(X)                                                                               \
	X(curl_easy_cleanup)                                                                       \
	X(curl_easy_getinfo)                                                                       \
	X(curl_easy_init)                                                                          \
	X(curl_easy_reset)                                                                         \
	X(curl_easy_setopt)                                                                        \
	X(curl_easy_strerror)                                                                      \
	X(curl_free)                                                                               \
	X(curl_getdate)                                                                            \
	X(curl_global_init)                                                                        \
	X(curl_multi_add_handle)                                                                   \
	X(curl_multi_cleanup)                                                                      \
	X(curl_multi_info_read)                                                                    \
	X(curl_multi_init)                                                                         \
	X(curl_multi_perform)                                                                      \
	X(curl_multi_poll)                                                                         \
	X(curl_multi_remove_handle)                                                                \
	X(curl_multi_setopt)                                                                       \
	X(curl_slist_append)                                                                       \
	X(curl_slist_free_all)                                                                     \
	X(curl_url)                                                                                \
	X(curl_url_cleanup)                                                                        \
	X(curl_url_get)                                                                            \
	X(curl_url_set)

static struct {
	void *library;
#define X(f) __typeof__(f) *(f);
	FUNCTIONS(X)
#undef X
} api;

static int load_curl(struct pgo_err *err)
{
	static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};

	for (size_t i = 0; i < sizeof names / sizeof *names && api.library == NULL; i++)
		api.library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (api.library == NULL)
		return pgo_err_set(err, PGO_ENET,
			"libcurl, which fetches over the network, is not there (%s); install the "
			"package libcurl4",
			dlerror());
#define X(f)                                                                                       \
	api.f = (__typeof__(api.f))dlsym(api.library, #f);                                         \
	if (api.f == NULL)                                                                         \
		return pgo_err_set(                                                                \
			err, PGO_ENET, "the libcurl of this system is too old: it has no " #f);
	FUNCTIONS(X)
#undef X
	if (api.curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		return pgo_err_set(err, PGO_ENET, "libcurl cannot be started");
	return 0;
}

/* ---------------------------------------------------------------- the object */

static unsigned or_default(unsigned v, unsigned otherwise)
{
	return v != 0 ? v : otherwise;
}

struct pgo_http *pgo_http_new(const struct pgo_http_options *o, struct pgo_err *err)
{
	static bool started; /* the program opens its first pool before any thread */
	struct pgo_http *h = pgo_calloc(1, sizeof *h);

	if (h == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	if (o != NULL)
		h->o = *o;
	h->o.parallel = or_default(h->o.parallel, 8);
	if (h->o.parallel > MAX_PARALLEL)
		h->o.parallel = MAX_PARALLEL;
	h->o.tries = or_default(h->o.tries, 5);
	h->o.connect_ms = or_default(h->o.connect_ms, 15000);
	h->o.idle_ms = or_default(h->o.idle_ms, 60000);
	h->o.backoff_ms = or_default(h->o.backoff_ms, 500);
	h->jitter = (uint32_t)getpid() * 2654435761u + (uint32_t)time(NULL);
	if (!started && load_curl(err) < 0) {
		pgo_free(h);
		return NULL;
	}
	started = true;
	h->multi = api.curl_multi_init();
	h->transfers = pgo_calloc(h->o.parallel, sizeof *h->transfers);
	if (h->multi == NULL || h->transfers == NULL) {
		pgo_http_free(h);
		pgo_err_nomem(err);
		return NULL;
	}
	api.curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	api.curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)h->o.parallel);
	for (unsigned i = 0; i < h->o.parallel; i++) {
		h->transfers[i].http = h;
		h->transfers[i].fd = -1;
	}
	return h;
}

static void close_file(struct transfer *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

/* Nothing of the request is left in the transfer; the connection stays with the pool. */
static void reset(struct transfer *t)
{
	if (t->state == RUNNING)
		api.curl_multi_remove_handle(t->http->multi, t->easy);
	close_file(t);
	api.curl_slist_free_all(t->list);
	t->list = NULL;
	pgo_http_reply_fini(&t->reply);
	t->request = NULL;
	t->state = IDLE;
	t->tries = t->redirects = 0;
	t->foreign = false;
}

void pgo_http_free(struct pgo_http *h)
{
	if (h == NULL)
		return;
	for (unsigned i = 0; h->transfers != NULL && i < h->o.parallel; i++) {
		reset(&h->transfers[i]);
		if (h->transfers[i].easy != NULL)
			api.curl_easy_cleanup(h->transfers[i].easy);
	}
	if (h->multi != NULL)
		api.curl_multi_cleanup(h->multi);
	pgo_free(h->transfers);
	pgo_free(h);
}

const struct pgo_http_stats *pgo_http_stats_of(const struct pgo_http *h)
{
	return &h->stats;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---------------------------------------------------------------- what comes back */

/* "Name: value" with any white space around the value; the status line begins a new reply. */
static size_t on_header(char *data, size_t one, size_t n, void *arg)
{
	struct transfer *t = arg;
	char *text, *colon, *value, *end;
	size_t len = one * n;
	int rc = 0;

	if (len >= 5 && strncasecmp(data, "http/", 5) == 0) {
		pgo_http_headers_cut(&t->reply.headers, 0);
		return len;
	}
	if (t->reply.headers.n >= MAX_HEADERS)
		return len;
	text = pgo_strndup(data, len);
	if (text == NULL)
		return 0;
	colon = strchr(text, ':');
	if (colon != NULL) {
		*colon = '\0';
		for (char *p = text; *p != '\0'; p++)
			*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
		value = colon + 1 + strspn(colon + 1, " \t");
		end = value + strlen(value);
		while (end > value && strchr(" \t\r\n", end[-1]) != NULL)
			*--end = '\0';
		rc = pgo_http_headers_add(&t->reply.headers, text, value);
	}
	pgo_free(text);
	return rc == 0 ? len : 0;
}

static long status_of(const struct transfer *t)
{
	long status = 0;

	api.curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static bool is_good(long status)
{
	return status >= 200 && status <= 299;
}

static int too_large(struct transfer *t)
{
	uint64_t max = t->request->max != 0 ? t->request->max : DEFAULT_MAX_BODY;

	return pgo_err_set(&t->why, PGO_ELIMIT, "the reply is larger than the limit of %llu bytes",
		(unsigned long long)max);
}

static int to_file(struct transfer *t, const char *data, size_t len)
{
	const char *path = t->request->to_path;

	if (t->fd < 0)
		t->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (t->fd < 0)
		return pgo_err_errno(&t->why, PGO_EIO, "%s cannot be created", path);
	while (len > 0) {
		ssize_t done = write(t->fd, data, len);

		if (done < 0 && errno != EINTR)
			return pgo_err_errno(&t->why, PGO_EIO, "%s cannot be written", path);
		if (done > 0) {
			data += done;
			len -= (size_t)done;
		}
	}
	return 0;
}

static size_t on_body(char *data, size_t one, size_t n, void *arg)
{
	struct transfer *t = arg;
	uint64_t max = t->request->max != 0 ? t->request->max : DEFAULT_MAX_BODY;
	size_t len = one * n;

	if (!is_good(status_of(t))) { /* its beginning is for people to read */
		size_t left = REFUSAL_MAX - t->reply.body.len;

		pgo_buf_add(&t->reply.body, data, len < left ? len : left);
		return len;
	}
	t->written += len;
	if (t->written > max)
		return too_large(t) == 0 ? len : 0;
	if (t->request->to_path != NULL)
		return to_file(t, data, len) == 0 ? len : 0;
	pgo_buf_add(&t->reply.body, data, len);
	return t->reply.body.failed ? 0 : len;
}

/* ---------------------------------------------------------------- one try */

static int set_headers(struct transfer *t, struct pgo_err *err)
{
	const struct pgo_http_headers *h = &t->request->headers;
	/* No "Expect: 100-continue": it costs a round trip, and some stores never answer it. */
	struct curl_slist *more = api.curl_slist_append(NULL, "Expect:");

	t->list = more;
	for (size_t i = 0; i < h->n && more != NULL && !t->foreign; i++) {
		char *line = pgo_asprintf(
			*h->of[i].value != '\0' ? "%s: %s" : "%s;", h->of[i].name, h->of[i].value);

		more = line != NULL ? api.curl_slist_append(t->list, line) : NULL;
		pgo_free(line);
		if (more != NULL)
			t->list = more;
	}
	if (more == NULL)
		return pgo_err_nomem(err);
	api.curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->list);
	return 0;
}

static void set_limits(struct transfer *t)
{
	const struct pgo_http_options *o = &t->http->o;
	uint64_t max = t->request->max != 0 ? t->request->max : DEFAULT_MAX_BODY;
	CURL *e = t->easy;

	api.curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_ms);
	if (!t->request->patient) {
		api.curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
		api.curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)((o->idle_ms + 999) / 1000));
	}
	api.curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)t->request->total_ms);
	api.curl_easy_setopt(
		e, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)(max < INT64_MAX ? max : INT64_MAX));
	if (o->rate != 0)
		api.curl_easy_setopt(
			e, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)(o->rate / o->parallel + 1));
}

static void set_security(struct transfer *t)
{
	const struct pgo_http_options *o = &t->http->o;
	bool asked = pgo_http_headers_get(&t->request->headers, "authorization") != NULL;
	CURL *e = t->easy;

	api.curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	api.curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L); /* by our own rules */
	api.curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, o->insecure ? 0L : 1L);
	api.curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, o->insecure ? 0L : 2L);
	if (o->ca_file != NULL)
		api.curl_easy_setopt(e, CURLOPT_CAINFO, o->ca_file);
	api.curl_easy_setopt(e, CURLOPT_NETRC,
		(long)(o->netrc && !asked && !t->foreign ? CURL_NETRC_OPTIONAL
							 : CURL_NETRC_IGNORED));
}

static void set_method(struct transfer *t)
{
	const struct pgo_http_request *r = t->request;
	CURL *e = t->easy;

	if (r->body != NULL && !t->foreign) {
		api.curl_easy_setopt(e, CURLOPT_POSTFIELDS, r->body);
		api.curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
	} else {
		api.curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
	}
	if (r->method != NULL && !t->foreign)
		api.curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, r->method);
}

/* Hands the request to libcurl. */
static int start(struct transfer *t, struct pgo_err *err)
{
	struct pgo_http_request *r = t->request;
	CURL *e;
	int rc = 0;

	if (t->easy == NULL && (t->easy = api.curl_easy_init()) == NULL)
		return pgo_err_nomem(err);
	e = t->easy;
	api.curl_easy_reset(e);
	close_file(t);
	api.curl_slist_free_all(t->list);
	t->list = NULL;
	pgo_buf_fini(&t->reply.body);
	pgo_buf_init(&t->reply.body, SIZE_MAX / 2);
	pgo_http_headers_cut(&t->reply.headers, 0);
	pgo_http_headers_cut(&r->headers, t->n_kept);
	t->written = 0;
	t->curl_error[0] = '\0';
	pgo_err_clear(&t->why);
	if (r->to_path != NULL && t->tries > 0)
		unlink(r->to_path); /* of a try that was cut off */
	if (r->sign != NULL && !t->foreign)
		rc = r->sign(r, err);
	if (rc == 0)
		rc = set_headers(t, err);
	if (rc < 0)
		return rc;
	api.curl_easy_setopt(e, CURLOPT_URL, t->reply.url);
	api.curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L); /* keys may have dots as they like */
	api.curl_easy_setopt(e, CURLOPT_PRIVATE, t);
	api.curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->curl_error);
	api.curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	api.curl_easy_setopt(e, CURLOPT_USERAGENT, "pgo/" PGO_VERSION);
	api.curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	api.curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	api.curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	api.curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	api.curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	if (r->to_path == NULL)
		api.curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "");
	set_limits(t);
	set_security(t);
	set_method(t);
	if (api.curl_multi_add_handle(t->http->multi, e) != CURLM_OK)
		return pgo_err_nomem(err);
	t->state = RUNNING;
	t->tries++;
	t->http->stats.requests++;
	t->http->stats.sent += t->foreign ? 0 : r->body_len;
	return 0;
}

/* ---------------------------------------------------------------- after a try */

static bool is_busy(long status)
{
	return status == 408 || status == 425 || status == 429 || status == 500 || status == 502 ||
	       status == 503 || status == 504;
}

/* Failures that another try may not meet again. */
static bool is_passing(CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
	case CURLE_SSL_CONNECT_ERROR:
		return true;
	default:
		return false;
	}
}

/* What the server asks for, in ms; -1 if nothing. */
static int64_t retry_after(const struct transfer *t)
{
	const char *text = pgo_http_headers_get(&t->reply.headers, "retry-after");
	char *end;
	long seconds;
	time_t when;

	if (text == NULL)
		return -1;
	seconds = strtol(text, &end, 10);
	if (end != text && *end == '\0')
		return seconds < 0                    ? 0
		       : seconds > MAX_WAIT_MS / 1000 ? MAX_WAIT_MS
						      : seconds * 1000;
	when = api.curl_getdate(text, NULL);
	if (when == -1)
		return -1;
	seconds = (long)(when - time(NULL));
	return seconds < 0 ? 0 : seconds > MAX_WAIT_MS / 1000 ? MAX_WAIT_MS : seconds * 1000;
}

/* Twice as long after each try, and up to a quarter more or less, so that many who were turned away
 * together do not come back together. */
static int64_t backoff(struct transfer *t)
{
	struct pgo_http *h = t->http;
	int64_t ms = h->o.backoff_ms;

	for (unsigned i = 1; i < t->tries && ms < MAX_BACKOFF_MS; i++)
		ms *= 2;
	if (ms > MAX_BACKOFF_MS)
		ms = MAX_BACKOFF_MS;
	h->jitter = h->jitter * 1664525 + 1013904223;
	return ms * 3 / 4 + ms / 2 * (h->jitter >> 16) / 65536;
}

static void wait_for_next_try(struct transfer *t, int64_t asked_ms)
{
	t->due_ms = now_ms() + (asked_ms >= 0 ? asked_ms : backoff(t));
	t->state = WAITING;
	t->http->stats.retries++;
}

static int no_reply(struct transfer *t, CURLcode code, struct pgo_err *err)
{
	char *url = pgo_http_redact(t->reply.url);
	const char *what = t->curl_error[0] != '\0' ? t->curl_error : api.curl_easy_strerror(code);
	int rc;

	if (url == NULL)
		return pgo_err_nomem(err);
	if (t->why.code != PGO_OK)
		rc = pgo_err_set(err, t->why.code, "%s: %s", url, t->why.msg);
	else if (code == CURLE_OUT_OF_MEMORY || t->reply.body.failed)
		rc = pgo_err_nomem(err);
	else if (code == CURLE_FILESIZE_EXCEEDED)
		rc = too_large(t) < 0 ? pgo_err_set(err, PGO_ELIMIT, "%s: %s", url, t->why.msg) : 0;
	else if (code == CURLE_PEER_FAILED_VERIFICATION)
		rc = pgo_err_set(err, PGO_ENET,
			"%s: the server's certificate is not trusted (%s); give the authority's "
			"certificate",
			url, what);
	else
		rc = pgo_err_set(err, PGO_ENET, "%s: no reply (%s)%s", url, what,
			is_passing(code) && t->tries > 1 ? ", tried several times" : "");
	pgo_free(url);
	return rc;
}

/* Scheme, host and port are the same. */
static bool same_origin(const char *a, const char *b)
{
	static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
	CURLU *u = api.curl_url(), *v = api.curl_url();
	bool same = u != NULL && v != NULL &&
		    api.curl_url_set(u, CURLUPART_URL, a, 0) == CURLUE_OK &&
		    api.curl_url_set(v, CURLUPART_URL, b, 0) == CURLUE_OK;

	for (size_t i = 0; i < sizeof parts / sizeof *parts && same; i++) {
		char *x = NULL, *y = NULL;

		same = api.curl_url_get(u, parts[i], &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		       api.curl_url_get(v, parts[i], &y, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		       strcasecmp(x, y) == 0;
		api.curl_free(x);
		api.curl_free(y);
	}
	api.curl_url_cleanup(u);
	api.curl_url_cleanup(v);
	return same;
}

static int redirected(struct transfer *t, struct pgo_err *err)
{
	char *to = NULL, *next;
	bool was_safe = strncasecmp(t->reply.url, "https:", 6) == 0;
	int rc = 0;

	api.curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &to);
	if (t->redirects >= MAX_REDIRECTS)
		rc = pgo_err_set(err, PGO_ENET, "%s: more than %d redirects", t->request->url,
			MAX_REDIRECTS);
	else if (was_safe && strncasecmp(to, "https:", 6) != 0)
		rc = pgo_err_set(err, PGO_ENET,
			"the server redirects from https to an address that is not encrypted");
	else if ((next = pgo_strdup(to)) == NULL)
		rc = pgo_err_nomem(err);
	else {
		t->foreign = t->foreign || !same_origin(t->reply.url, next);
		pgo_free(t->reply.url);
		t->reply.url = next;
		t->redirects++;
		t->tries--; /* it was an answer */
		t->http->stats.redirects++;
	}
	return rc;
}

/* A signed request is not sent on: its signature holds for one host, and for one path. */
static bool may_follow(const struct transfer *t, long status)
{
	char *to = NULL;

	if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308)
		return false;
	api.curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &to);
	return to != NULL && t->request->sign == NULL && t->request->body == NULL;
}

/* A try is over: true if the request is done (*ret_rc and *err say how), false if another follows. */
static bool finished(struct transfer *t, CURLcode code, int *ret_rc, struct pgo_err *err)
{
	long status = status_of(t);
	curl_off_t bytes = 0;

	api.curl_easy_getinfo(t->easy, CURLINFO_SIZE_DOWNLOAD_T, &bytes);
	t->reply.bytes = (uint64_t)bytes;
	t->http->stats.received += (uint64_t)bytes;
	api.curl_multi_remove_handle(t->http->multi, t->easy);
	t->state = IDLE;
	*ret_rc = 0;
	if (code == CURLE_OK && is_busy(status) && t->tries < t->http->o.tries) {
		wait_for_next_try(t, retry_after(t));
		return false;
	}
	if (code == CURLE_OK && may_follow(t, status)) {
		*ret_rc = redirected(t, err);
		if (*ret_rc == 0)
			*ret_rc = start(t, err);
		return *ret_rc < 0;
	}
	if (code == CURLE_OK) {
		if (is_good(status) && t->request->to_path != NULL && t->fd < 0 &&
			to_file(t, "", 0) < 0)
			*ret_rc = pgo_err_set(err, t->why.code, "%s", t->why.msg);
		t->reply.status = status;
		return true;
	}
	if (t->why.code == PGO_OK && is_passing(code) && t->tries < t->http->o.tries) {
		wait_for_next_try(t, -1);
		return false;
	}
	*ret_rc = no_reply(t, code, err);
	return true;
}

/* ---------------------------------------------------------------- the pool */

struct pool {
	struct pgo_http *h;
	int (*next)(void *ctx, struct pgo_http_request **ret, struct pgo_err *err);
	int (*done)(void *ctx, struct pgo_http_request *r, const struct pgo_http_reply *reply,
		struct pgo_err *err);
	void *ctx;
	unsigned busy;
};

/* The request leaves the transfer and goes back to the caller. */
static int give_back(struct pool *p, struct transfer *t, int why, struct pgo_err *err)
{
	struct pgo_http_request *r = t->request;
	int rc;

	if (t->fd >= 0 && close(t->fd) < 0 && why == 0)
		why = pgo_err_errno(err, PGO_EIO, "%s cannot be written", r->to_path);
	t->fd = -1;
	if (r->to_path != NULL && (why < 0 || !is_good(t->reply.status)))
		unlink(r->to_path);
	pgo_http_headers_cut(&r->headers, t->n_kept);
	rc = p->done(p->ctx, r, why == 0 ? &t->reply : NULL, err);
	reset(t);
	p->busy--;
	return rc < 0 ? rc : 0;
}

static int take_new(struct pool *p, struct transfer *t, struct pgo_err *err)
{
	struct pgo_http_request *r = NULL;
	struct pgo_err why = PGO_ERR_INIT;
	int rc = p->next(p->ctx, &r, err);

	if (rc <= 0)
		return rc;
	t->request = r;
	t->n_kept = r->headers.n;
	t->reply.url = pgo_strdup(r->url);
	p->busy++;
	if (t->reply.url == NULL)
		return pgo_err_nomem(err);
	if (r->delay_ms > 0) {
		t->due_ms = now_ms() + r->delay_ms;
		t->state = WAITING;
		return 1;
	}
	rc = start(t, &why);
	if (rc < 0) {
		*err = why;
		rc = give_back(p, t, why.code, err);
		return rc < 0 ? rc : 1;
	}
	return 1;
}

/* Starts what may be started; the milliseconds until the next waiting one is due, or -1. */
static int fill(struct pool *p, int64_t *ret_wait, struct pgo_err *err)
{
	int64_t now = now_ms();
	int rc = 1;

	*ret_wait = -1;
	for (unsigned i = 0; i < p->h->o.parallel; i++) {
		struct transfer *t = &p->h->transfers[i];

		if (t->state == WAITING && t->due_ms <= now) {
			int why = start(t, err);

			if (why < 0 && (why = give_back(p, t, why, err)) < 0)
				return why;
		} else if (t->state == WAITING) {
			int64_t left = t->due_ms - now;

			*ret_wait = *ret_wait < 0 || left < *ret_wait ? left : *ret_wait;
		}
		while (t->state == IDLE && rc > 0)
			rc = take_new(p, t, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int collect(struct pool *p, struct pgo_err *err)
{
	CURLMsg *m;
	int left, rc = 0;

	while (rc == 0 && (m = api.curl_multi_info_read(p->h->multi, &left)) != NULL) {
		CURLcode code = m->data.result;
		char *priv = NULL;
		int why;

		if (m->msg != CURLMSG_DONE)
			continue;
		api.curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &priv);
		if (finished((struct transfer *)(void *)priv, code, &why, err))
			rc = give_back(p, (struct transfer *)(void *)priv, why, err);
	}
	return rc;
}

int pgo_http_run(struct pgo_http *h,
	int (*next)(void *ctx, struct pgo_http_request **ret, struct pgo_err *err),
	int (*done)(void *ctx, struct pgo_http_request *r, const struct pgo_http_reply *reply,
		struct pgo_err *err),
	void *ctx, struct pgo_err *err)
{
	struct pool p = {.h = h, .next = next, .done = done, .ctx = ctx};
	struct pgo_err local = PGO_ERR_INIT;
	int rc = 0, running;
	int64_t wait;

	if (h->o.deadline_s != 0 && h->deadline_ms == 0)
		h->deadline_ms = now_ms() + (int64_t)h->o.deadline_s * 1000;
	for (;;) {
		if (h->deadline_ms != 0 && now_ms() >= h->deadline_ms) {
			rc = pgo_err_set(&local, PGO_ENET,
				"the time for it (%u s) is over; what came is kept, and the next "
				"run goes on from there",
				h->o.deadline_s);
			break;
		}
		rc = fill(&p, &wait, &local);
		if (rc < 0 || p.busy == 0)
			break;
		if (api.curl_multi_perform(h->multi, &running) != CURLM_OK) {
			rc = pgo_err_nomem(&local);
			break;
		}
		rc = collect(&p, &local);
		if (rc < 0)
			break;
		if (running > 0 || wait >= 0)
			api.curl_multi_poll(h->multi, NULL, 0,
				(int)(wait >= 0 && wait < 1000 ? wait : 1000), NULL);
	}
	for (unsigned i = 0; i < h->o.parallel; i++)
		reset(&h->transfers[i]);
	if (rc < 0 && err != NULL)
		*err = local;
	return rc < 0 ? rc : 0;
}

/* ---------------------------------------------------------------- one request */

struct single {
	struct pgo_http_request *request;
	struct pgo_http_reply *ret;
	bool given;
};

static int next_single(void *ctx, struct pgo_http_request **ret, struct pgo_err *err)
{
	struct single *s = ctx;

	(void)err;
	if (s->given)
		return 0;
	s->given = true;
	*ret = s->request;
	return 1;
}

static int done_single(void *ctx, struct pgo_http_request *r, const struct pgo_http_reply *reply,
	struct pgo_err *err)
{
	struct single *s = ctx;

	(void)r;
	if (reply == NULL)
		return (int)err->code;
	*s->ret = *reply; /* and the transfer is left with nothing to free */
	memset((struct pgo_http_reply *)(uintptr_t)reply, 0, sizeof *reply);
	return 0;
}

int pgo_http_ask(struct pgo_http *h, struct pgo_http_request *r, struct pgo_http_reply *ret,
	struct pgo_err *err)
{
	struct single s = {.request = r, .ret = ret};

	return pgo_http_run(h, next_single, done_single, &s, err);
}

int pgo_http_get(struct pgo_http *h, struct pgo_http_request *r, struct pgo_http_reply *ret,
	struct pgo_err *err)
{
	int rc = pgo_http_ask(h, r, ret, err);

	if (rc < 0 || is_good(ret->status))
		return rc;
	rc = pgo_http_refused(ret, err);
	pgo_http_reply_fini(ret);
	return rc;
}
