/* SPDX-License-Identifier: Apache-2.0 */
/* The transport against a server that behaves as told: well, badly, and not at all. */
#include "fetch/http.h"
#include "pgo/core/alloc.h"
#include "pgo/core/inflate.h"
#include "tests/lib/canned.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const struct pgo_http_options quick = {
	.tries = 3, .backoff_ms = 1, .connect_ms = 2000, .idle_ms = 1000};

struct asked {
	char url[256];
	struct pgo_http_request r;
	struct pgo_http_reply reply;
	struct pgo_err err;
	int rc;
};

/* GET of the server's `path` with `o`. */
static void ask(const struct canned *s, const char *path, const struct pgo_http_options *o,
	struct asked *a, struct pgo_http_stats *stats)
{
	struct pgo_http *h = pgo_http_new(o, NULL);

	assert_non_null(h);
	snprintf(a->url, sizeof a->url, "%s%s", canned_url(s), path);
	a->r.url = a->url;
	a->err = (struct pgo_err)PGO_ERR_INIT;
	a->rc = pgo_http_get(h, &a->r, &a->reply, &a->err);
	if (stats != NULL)
		*stats = *pgo_http_stats_of(h);
	pgo_http_free(h);
}

static void done(struct asked *a)
{
	pgo_http_headers_fini(&a->r.headers);
	pgo_http_reply_fini(&a->reply);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---------------------------------------------------------------- replies */

static bool well(void *ctx, const struct canned_request *r)
{
	(void)ctx;
	return canned_reply(r, "200 OK", "ETag: \"x\"\r\nX-Two:  words \r\n", "hello");
}

static void a_reply_comes_with_its_headers(void **state)
{
	struct canned *s = canned_start(well, NULL);
	struct asked a = {0};

	(void)state;
	ask(s, "/a?b=c", &quick, &a, NULL);
	assert_int_equal(a.rc, 0);
	assert_int_equal(a.reply.status, 200);
	assert_int_equal(a.reply.body.len, 5);
	assert_memory_equal(a.reply.body.data, "hello", 5);
	assert_string_equal(pgo_http_headers_get(&a.reply.headers, "ETag"), "\"x\"");
	assert_string_equal(pgo_http_headers_get(&a.reply.headers, "x-two"), "words");
	assert_null(pgo_http_headers_get(&a.reply.headers, "x-three"));
	done(&a);
	canned_stop(s);
}

static void a_reply_to_a_file_is_kept_byte_for_byte(void **state)
{
	struct canned *s = canned_start(well, NULL);
	char *path = scratch_path(*state, "object");
	char got[16];
	struct asked a = {0};
	FILE *f;

	a.r.to_path = path;
	ask(s, "/a", &quick, &a, NULL);
	assert_int_equal(a.rc, 0);
	assert_int_equal(a.reply.body.len, 0);
	f = fopen(path, "rb");
	assert_non_null(f);
	assert_int_equal(fread(got, 1, sizeof got, f), 5);
	assert_memory_equal(got, "hello", 5);
	fclose(f);
	done(&a);
	canned_stop(s);
}

static bool echo(void *ctx, const struct canned_request *r)
{
	char type[64], expect[64], text[256];

	(void)ctx;
	canned_header(r, "Content-Type", type, sizeof type);
	canned_header(r, "Expect", expect, sizeof expect);
	snprintf(text, sizeof text, "%.4s|%s|%s|%.*s", r->text, type, expect, (int)r->body_len,
		r->body);
	return canned_reply(r, "200 OK", "", text);
}

static void a_body_is_posted_with_the_headers_of_the_request(void **state)
{
	struct canned *s = canned_start(echo, NULL);
	struct asked a = {0};
	char body[70000];

	(void)state;
	memset(body, 'b', sizeof body);
	a.r.body = "body";
	a.r.body_len = 4;
	pgo_http_headers_add(&a.r.headers, "Content-Type", "application/proto");
	ask(s, "/a", &quick, &a, NULL);
	assert_int_equal(a.rc, 0);
	assert_memory_equal(a.reply.body.data, "POST|application/proto||body", 28);
	pgo_http_reply_fini(&a.reply);
	/* Large ones without the round trip of a 100-continue. */
	a.r.body = body;
	a.r.body_len = sizeof body;
	ask(s, "/a", &quick, &a, NULL);
	assert_int_equal(a.rc, 0);
	assert_memory_equal(a.reply.body.data, "POST|application/proto||bbb", 27);
	done(&a);
	canned_stop(s);
}

/* ---------------------------------------------------------------- patience */

struct moods {
	const char *first;   /* status of the first answers */
	const char *headers; /* of those */
	unsigned bad;        /* how many there are */
};

static bool moody(void *ctx, const struct canned_request *r)
{
	const struct moods *m = ctx;

	return r->number < m->bad ? canned_reply(r, m->first, m->headers, "not now")
				  : canned_reply(r, "200 OK", "", "at last");
}

static void busy_servers_are_asked_again(void **state)
{
	static const char *const busy[] = {"408 Timeout", "425 Early", "429 Too Many", "500 Oops",
		"502 Gateway", "503 Slow Down", "504 Gateway"};

	(void)state;
	for (size_t i = 0; i < sizeof busy / sizeof *busy; i++) {
		struct moods m = {busy[i], "", 2};
		struct canned *s = canned_start(moody, &m);
		struct pgo_http_stats stats;
		struct asked a = {0};

		ask(s, "/", &quick, &a, &stats);
		assert_int_equal(a.rc, 0);
		assert_memory_equal(a.reply.body.data, "at last", 7);
		assert_int_equal(stats.requests, 3);
		assert_int_equal(stats.retries, 2);
		done(&a);
		canned_stop(s);
	}
}

static void a_server_that_stays_busy_is_given_up_with_its_own_words(void **state)
{
	struct moods m = {"429 Too Many", "", 100};
	struct canned *s = canned_start(moody, &m);
	struct asked a = {0};

	(void)state;
	ask(s, "/q?token=SECRET&seconds=30", &quick, &a, NULL);
	assert_int_equal(a.rc, PGO_ENET);
	assert_int_equal(canned_requests(s), 3);
	assert_non_null(strstr(a.err.msg, "answers 429 (not now)"));
	assert_non_null(strstr(a.err.msg, "/q?token=...&seconds=30"));
	assert_null(strstr(a.err.msg, "SECRET"));
	done(&a);
	canned_stop(s);
}

static void answers_that_will_not_change_are_not_asked_again(void **state)
{
	static const struct {
		const char *status, *advice;
		int rc;
	} cases[] = {
		{"400 Bad", "answers 400", PGO_ENET},
		{"401 Who", "give credentials", PGO_ENET},
		{"403 No", "do not allow", PGO_ENET},
		{"404 Gone", "check the address", PGO_ENOTFOUND},
		{"405 Not", "kind of the store", PGO_ENET},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct moods m = {cases[i].status, "", 1};
		struct canned *s = canned_start(moody, &m);
		struct asked a = {0};

		ask(s, "/", &quick, &a, NULL);
		assert_int_equal(a.rc, cases[i].rc);
		assert_non_null(strstr(a.err.msg, cases[i].advice));
		assert_int_equal(canned_requests(s), 1);
		done(&a);
		canned_stop(s);
	}
}

static void retry_after_is_kept(void **state)
{
	struct moods m = {"503 Busy", "Retry-After: 1\r\n", 1};
	struct canned *s = canned_start(moody, &m);
	struct asked a = {0};
	int64_t start = now_ms();

	(void)state;
	ask(s, "/", &quick, &a, NULL);
	assert_int_equal(a.rc, 0);
	assert_in_range(now_ms() - start, 1000, 20000);
	done(&a);
	canned_stop(s);
}

static bool cut_off(void *ctx, const struct canned_request *r)
{
	static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";

	(void)ctx;
	if (r->number != 0)
		return canned_reply(r, "200 OK", "", "whole");
	canned_send(r, half, sizeof half - 1);
	return false;
}

static void a_reply_that_was_cut_off_is_fetched_anew(void **state)
{
	struct canned *s = canned_start(cut_off, NULL);
	char *path = scratch_path(*state, "object");
	struct asked a = {0};
	struct stat st;

	a.r.to_path = path;
	ask(s, "/", &quick, &a, NULL);
	assert_int_equal(a.rc, 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 5); /* nothing of the first half */
	done(&a);
	canned_stop(s);
}

static bool always_cut(void *ctx, const struct canned_request *r)
{
	static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";

	(void)ctx;
	canned_send(r, half, sizeof half - 1);
	return false;
}

static void no_half_file_stays(void **state)
{
	struct canned *s = canned_start(always_cut, NULL);
	char *path = scratch_path(*state, "object");
	struct asked a = {0};

	a.r.to_path = path;
	ask(s, "/", &quick, &a, NULL);
	assert_int_equal(a.rc, PGO_ENET);
	assert_int_equal(canned_requests(s), 3);
	assert_int_not_equal(access(path, F_OK), 0);
	done(&a);
	canned_stop(s);
}

static bool silent(void *ctx, const struct canned_request *r)
{
	int *stop = ctx;

	(void)r;
	while (!__atomic_load_n(stop, __ATOMIC_SEQ_CST))
		usleep(10000);
	return false;
}

static void a_server_that_says_nothing_is_left(void **state)
{
	struct pgo_http_options o = {.tries = 1, .idle_ms = 1000};
	int stop = 0;
	struct canned *s = canned_start(silent, &stop);
	struct asked a = {0};
	int64_t start = now_ms();

	(void)state;
	ask(s, "/", &o, &a, NULL);
	assert_int_equal(a.rc, PGO_ENET);
	assert_non_null(strstr(a.err.msg, "no reply"));
	assert_in_range(now_ms() - start, 0, 20000);
	/* The same with a limit for the whole try. */
	a.r.total_ms = 200;
	ask(s, "/", &o, &a, NULL);
	assert_int_equal(a.rc, PGO_ENET);
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	done(&a);
	canned_stop(s);
}

static void a_server_that_is_not_there_is_named(void **state)
{
	struct canned *s = canned_start(well, NULL);
	struct pgo_http *h = pgo_http_new(&quick, NULL);
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_http_request r = {0};
	struct pgo_http_reply reply;
	char url[128];

	(void)state;
	snprintf(url, sizeof url, "http://user:password@%s/p", canned_url(s) + 7);
	canned_stop(s);
	r.url = url;
	assert_int_equal(pgo_http_get(h, &r, &reply, &err), PGO_ENET);
	assert_non_null(strstr(err.msg, "127.0.0.1"));
	assert_null(strstr(err.msg, "password"));
	assert_int_equal(pgo_http_stats_of(h)->retries, 2);
	r.url = "http://no-such-host.invalid/";
	assert_int_equal(pgo_http_get(h, &r, &reply, &err), PGO_ENET);
	r.url = "gopher://127.0.0.1/";
	assert_int_equal(pgo_http_get(h, &r, &reply, &err), PGO_ENET);
	pgo_http_free(h);
}

/* ---------------------------------------------------------------- limits */

static bool large(void *ctx, const struct canned_request *r)
{
	char *body = calloc(1, 300000);
	bool more = true;

	(void)ctx;
	if (canned_is(r, "GET", "/told")) {
		more = canned_reply_bytes(r, "200 OK", "", body, 300000);
	} else {
		canned_send(r, "HTTP/1.1 200 OK\r\n\r\n", 19);
		canned_send(r, body, 300000);
		more = false;
	}
	free(body);
	return more;
}

static void a_body_over_the_limit_is_refused(void **state)
{
	static const char *const paths[] = {"/told", "/untold"};
	struct canned *s = canned_start(large, NULL);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct asked a = {0};

		a.r.max = 299999;
		ask(s, paths[i], &quick, &a, NULL);
		assert_int_equal(a.rc, PGO_ELIMIT);
		assert_non_null(strstr(a.err.msg, "limit of 299999 bytes"));
		a.r.max = 300000;
		ask(s, paths[i], &quick, &a, NULL);
		assert_int_equal(a.rc, 0);
		assert_int_equal(a.reply.body.len, 300000);
		done(&a);
	}
	canned_stop(s);
}

/* gzip of ten megabytes of zeros */
static bool bomb(void *ctx, const struct canned_request *r)
{
	const struct pgo_buf *packed = ctx;

	return canned_reply_bytes(
		r, "200 OK", "Content-Encoding: gzip\r\n", packed->data, packed->len);
}

static void the_limit_holds_for_inflated_bytes(void **state)
{
	char *zeros = calloc(1, 10000000);
	struct pgo_buf packed;
	struct canned *s;
	struct asked a = {0};

	(void)state;
	pgo_buf_init(&packed, SIZE_MAX);
	assert_int_equal(pgo_gzip(zeros, 10000000, &packed, NULL), 0);
	s = canned_start(bomb, &packed);
	a.r.max = 1000000;
	ask(s, "/", &quick, &a, NULL);
	assert_int_equal(a.rc, PGO_ELIMIT);
	a.r.max = 10000000;
	ask(s, "/", &quick, &a, NULL);
	assert_int_equal(a.rc, 0);
	assert_int_equal(a.reply.body.len, 10000000);
	assert_true(a.reply.bytes < 200000);
	done(&a);
	canned_stop(s);
	pgo_buf_fini(&packed);
	free(zeros);
}

/* ---------------------------------------------------------------- redirects, signatures */

struct two {
	struct canned *other;
};

static bool redirecting(void *ctx, const struct canned_request *r)
{
	const struct two *t = ctx;
	char headers[256], auth[64];

	canned_header(r, "Authorization", auth, sizeof auth);
	if (canned_is(r, "GET", "/loop"))
		return canned_reply(r, "302 Found", "Location: /loop\r\n", "");
	if (canned_is(r, "GET", "/here")) {
		return canned_reply(r, "307 Temporary", "Location: /there\r\n", "");
	}
	if (canned_is(r, "GET", "/away")) {
		snprintf(headers, sizeof headers, "Location: %s/there\r\n", canned_url(t->other));
		return canned_reply(r, "302 Found", headers, "");
	}
	return canned_reply(r, "200 OK", "", *auth != '\0' ? auth : "nobody");
}

static void redirects_carry_no_credentials_to_another_host(void **state)
{
	struct two t = {canned_start(redirecting, NULL)};
	struct canned *s = canned_start(redirecting, &t);
	struct pgo_http_stats stats;
	struct asked a = {0};

	(void)state;
	pgo_http_headers_add(&a.r.headers, "Authorization", "Bearer secret");
	ask(s, "/here", &quick, &a, &stats);
	assert_int_equal(a.rc, 0);
	assert_memory_equal(a.reply.body.data, "Bearer secret", 13);
	assert_int_equal(stats.redirects, 1);
	pgo_http_reply_fini(&a.reply);
	ask(s, "/away", &quick, &a, NULL);
	assert_int_equal(a.rc, 0);
	assert_memory_equal(a.reply.body.data, "nobody", 6);
	pgo_http_reply_fini(&a.reply);
	ask(s, "/loop", &quick, &a, NULL);
	assert_int_equal(a.rc, PGO_ENET);
	assert_non_null(strstr(a.err.msg, "redirects"));
	done(&a);
	canned_stop(s);
	canned_stop(t.other);
}

static int sign(struct pgo_http_request *r, struct pgo_err *err)
{
	int *n = r->ctx;
	char text[16];

	snprintf(text, sizeof text, "try %d", ++*n);
	return pgo_http_headers_add(&r->headers, "X-Signature", text) < 0 ? pgo_err_nomem(err) : 0;
}

static bool signature(void *ctx, const struct canned_request *r)
{
	char text[64];

	(void)ctx;
	canned_header(r, "X-Signature", text, sizeof text);
	return canned_reply(r, r->number == 0 ? "503 Busy" : "200 OK", "", text);
}

static void every_try_is_signed_anew(void **state)
{
	struct canned *s = canned_start(signature, NULL);
	struct asked a = {0};
	int n = 0;

	(void)state;
	a.r.sign = sign;
	a.r.ctx = &n;
	ask(s, "/", &quick, &a, NULL);
	assert_int_equal(a.rc, 0);
	assert_memory_equal(a.reply.body.data, "try 2", 5);
	assert_int_equal(a.r.headers.n, 0); /* and the request is as it was */
	done(&a);
	canned_stop(s);
}

/* ---------------------------------------------------------------- many at a time */

enum { MANY = 60 };

struct batch {
	struct asked asked[MANY];
	const char *url;
	unsigned next, done, bad, running, most;
};

static int next_of(void *ctx, struct pgo_http_request **ret, struct pgo_err *err)
{
	struct batch *b = ctx;
	struct asked *a = &b->asked[b->next];

	(void)err;
	if (b->next == MANY)
		return 0;
	snprintf(a->url, sizeof a->url, "%s/%u", b->url, b->next++);
	a->r.url = a->url;
	a->r.ctx = a;
	*ret = &a->r;
	if (++b->running > b->most)
		b->most = b->running;
	return 1;
}

static int done_of(void *ctx, struct pgo_http_request *r, const struct pgo_http_reply *reply,
	struct pgo_err *err)
{
	struct batch *b = ctx;
	struct asked *a = r->ctx;
	char want[16];

	(void)err;
	b->running--;
	b->done++;
	if (reply == NULL || reply->status != 200) {
		b->bad++;
		return 0;
	}
	snprintf(want, sizeof want, "%u", (unsigned)(a - b->asked));
	assert_int_equal(reply->body.len, strlen(want));
	assert_memory_equal(reply->body.data, want, strlen(want));
	return 0;
}

/* Says the last part of the path; every third number fails twice first, 7 is not there. */
static bool counting(void *ctx, const struct canned_request *r)
{
	unsigned *seen = ctx, n = (unsigned)strtoul(strchr(r->text, '/') + 1, NULL, 10);
	char text[16];

	if (n == 7)
		return canned_reply(r, "404 No", "", "");
	if (n % 3 == 0 && __atomic_fetch_add(&seen[n], 1, __ATOMIC_SEQ_CST) < 2)
		return canned_reply(r, "503 Busy", "", "");
	snprintf(text, sizeof text, "%u", n);
	return canned_reply(r, "200 OK", "", text);
}

static void many_run_at_a_time_and_each_is_done_once(void **state)
{
	struct pgo_http_options o = quick;
	unsigned seen[MANY] = {0};
	struct canned *s = canned_start(counting, seen);
	static struct batch b;
	struct pgo_http *h;

	(void)state;
	o.parallel = 5;
	h = pgo_http_new(&o, NULL);
	b.url = canned_url(s);
	assert_int_equal(pgo_http_run(h, next_of, done_of, &b, NULL), 0);
	assert_int_equal(b.done, MANY);
	assert_int_equal(b.bad, 1);
	assert_int_equal(b.most, 5);
	assert_int_equal(pgo_http_stats_of(h)->retries, 2 * (MANY / 3));
	pgo_http_free(h);
	canned_stop(s);
}

static int stop_at_ten(void *ctx, struct pgo_http_request *r, const struct pgo_http_reply *reply,
	struct pgo_err *err)
{
	struct batch *b = ctx;

	(void)r;
	(void)reply;
	return ++b->done == 10 ? pgo_err_set(err, PGO_EIO, "the disk is full") : 0;
}

static void a_run_can_be_ended_early(void **state)
{
	unsigned seen[MANY] = {0};
	struct canned *s = canned_start(counting, seen);
	struct pgo_http *h = pgo_http_new(&quick, NULL);
	struct pgo_err err = PGO_ERR_INIT;
	static struct batch b;
	uint64_t live = pgo_alloc_live();

	(void)state;
	b.url = canned_url(s);
	assert_int_equal(pgo_http_run(h, next_of, stop_at_ten, &b, &err), PGO_EIO);
	assert_string_equal(err.msg, "the disk is full");
	assert_int_equal(b.done, 10);
	assert_int_equal(pgo_alloc_live(), live);
	pgo_http_free(h);
	canned_stop(s);
}

/* ---------------------------------------------------------------- texts */

static void secrets_in_urls_are_left_out(void **state)
{
	static const char *const cases[][2] = {
		{"http://u:p@h:80/a/b?x=1&list-type=2#f", "http://h:80/a/b?x=...&list-type=2"},
		{"https://token@h/", "https://h/"},
		{"https://h/p?sig=a%2Fb", "https://h/p?sig=..."},
		{"https://h/p@q?X-Amz-Signature=1&X-Amz-Date=2",
			"https://h/p@q?X-Amz-Signature=...&X-Amz-Date=2"},
		{"https://a@b@h/?k", "https://h/?k"},
		{"/no/url", "/no/url"},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = pgo_http_redact(cases[i][0]);

		assert_string_equal(text, cases[i][1]);
		pgo_free(text);
	}
}

static void everything_unusual_is_escaped(void **state)
{
	struct pgo_buf b;

	(void)state;
	pgo_buf_init(&b, 1000);
	pgo_http_escape(&b, "a-Z_.~/=+ \xc3\xa9", true);
	assert_string_equal(b.data, "a-Z_.~/%3D%2B%20%C3%A9");
	pgo_buf_clear(&b);
	pgo_http_escape(&b, "a/b", false);
	assert_string_equal(b.data, "a%2Fb");
	pgo_buf_fini(&b);
}

/* ---------------------------------------------------------------- deadlines */

static bool always_busy(void *ctx, const struct canned_request *r)
{
	(void)ctx;
	return canned_reply(r, "503 Service Unavailable", "", "later");
}

static void a_deadline_ends_what_would_be_tried_for_ever(void **state)
{
	const struct pgo_http_options patient = {
		.tries = 1000000, .backoff_ms = 20, .connect_ms = 2000, .deadline_s = 1};
	struct canned *s = canned_start(always_busy, NULL);
	struct asked a = {0};
	int64_t began = now_ms();

	(void)state;
	ask(s, "/", &patient, &a, NULL);
	assert_int_equal(a.rc, PGO_ENET);
	assert_has(a.err.msg, "the time for it (1 s) is over");
	assert_true(now_ms() - began >= 1000);
	assert_true(canned_requests(s) > 1);
	done(&a);
	canned_stop(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_deadline_ends_what_would_be_tried_for_ever),
		cmocka_unit_test(a_reply_comes_with_its_headers),
		cmocka_unit_test_setup_teardown(
			a_reply_to_a_file_is_kept_byte_for_byte, scratch_up, scratch_down),
		cmocka_unit_test(a_body_is_posted_with_the_headers_of_the_request),
		cmocka_unit_test(busy_servers_are_asked_again),
		cmocka_unit_test(a_server_that_stays_busy_is_given_up_with_its_own_words),
		cmocka_unit_test(answers_that_will_not_change_are_not_asked_again),
		cmocka_unit_test(retry_after_is_kept),
		cmocka_unit_test_setup_teardown(
			a_reply_that_was_cut_off_is_fetched_anew, scratch_up, scratch_down),
		cmocka_unit_test_setup_teardown(no_half_file_stays, scratch_up, scratch_down),
		cmocka_unit_test(a_server_that_says_nothing_is_left),
		cmocka_unit_test(a_server_that_is_not_there_is_named),
		cmocka_unit_test(a_body_over_the_limit_is_refused),
		cmocka_unit_test(the_limit_holds_for_inflated_bytes),
		cmocka_unit_test(redirects_carry_no_credentials_to_another_host),
		cmocka_unit_test(every_try_is_signed_anew),
		cmocka_unit_test(many_run_at_a_time_and_each_is_done_once),
		cmocka_unit_test(a_run_can_be_ended_early),
		cmocka_unit_test(secrets_in_urls_are_left_out),
		cmocka_unit_test(everything_unusual_is_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
