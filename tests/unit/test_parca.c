/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC-Web replies of every kind, and Parca as a source, against a server of our own that does to
 * profiles what the real one does, and more. */
#include "fetch/fetch.h"
#include "fetch/grpc_web.h"
#include "fetch/parca_wire.h"
#include "fetch/pbwire.h"
#include "fetch/push.h"
#include "fetch/source.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/pprof.h"
#include "tests/lib/canned.h"
#include "tests/lib/mkprofile.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS ((int64_t)1000000000)
#define HOUR_NS (3600 * SECOND_NS)
#define DAY0 ((int64_t)1789948800 * SECOND_NS) /* 2026-09-21 */
#define GRPC "Content-Type: application/grpc-web+proto\r\n"

/* ---------------------------------------------------------------- frames */

/* A frame as text: FLAGS, four bytes of length, the bytes. */
static void put_frame(struct pgo_buf *b, int flags, const char *text, size_t len)
{
	size_t at = b->len;

	pgo_grpc_frame(b, text, len);
	b->data[at] = (char)flags;
}

static int take_body(const struct pgo_buf *b, size_t len, struct pgo_buf *message,
	struct pgo_grpc_outcome *o, struct pgo_err *err)
{
	pgo_buf_init(message, 1 << 20);
	return pgo_grpc_body(b->data, len, message, o, err);
}

static void data_frames_are_one_message_and_the_trailer_is_the_outcome(void **state)
{
	struct pgo_grpc_outcome o;
	struct pgo_buf b, message;

	(void)state;
	pgo_buf_init(&b, 1 << 20);
	put_frame(&b, 0, "ab", 2);
	put_frame(&b, 0, "", 0);
	put_frame(&b, 0, "cde", 3);
	put_frame(&b, 0x80, "grpc-status: 0\r\n", 16);
	assert_int_equal(take_body(&b, b.len, &message, &o, NULL), 0);
	assert_int_equal(o.status, PGO_GRPC_OK);
	assert_int_equal(message.len, 5);
	assert_memory_equal(message.data, "abcde", 5);
	pgo_buf_fini(&message);
	/* Cut at every byte: never an outcome, and an error wherever a frame is torn. */
	for (size_t n = 0; n < b.len; n++) {
		int rc = take_body(&b, n, &message, &o, NULL);

		assert_int_equal(o.status, PGO_GRPC_NONE);
		assert_int_equal(rc, n == 0 || n == 7 || n == 12 || n == 20 ? 0 : PGO_EFORMAT);
		pgo_buf_fini(&message);
	}
	pgo_buf_fini(&b);
}

static void a_trailer_alone_tells_what_went_wrong(void **state)
{
	static const char text[] = "Grpc-Message: no%20such%0Aquery \r\nGRPC-Status:3\r\nx: y\r\n";
	struct pgo_grpc_outcome o;
	struct pgo_buf b, message;

	(void)state;
	pgo_buf_init(&b, 1 << 20);
	put_frame(&b, 0x80, text, sizeof text - 1);
	assert_int_equal(take_body(&b, b.len, &message, &o, NULL), 0);
	assert_int_equal(o.status, PGO_GRPC_INVALID);
	assert_string_equal(o.message, "no such query");
	assert_int_equal(message.len, 0);
	pgo_buf_fini(&message);
	pgo_buf_fini(&b);
}

static void frames_that_make_no_sense_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *says;
	} cases[] = {
		{"\0\xff\xff\xff\xff"
		 "abc",
			8, "middle of a frame"},
		{"\0\0\0\0", 4, "middle of a frame"},
		{"\x01\0\0\0\1"
		 "a",
			6, "no plain gRPC-Web"},
		{"<html></html>", 13, "no plain gRPC-Web"},
		{"\x80\0\0\0\x0egrpc-status:0\n\x80\0\0\0\x0egrpc-status:0\n", 38, "ends twice"},
		{"\x80\x7f\xff\xff\xff", 5, "middle of a frame"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_grpc_outcome o;
		struct pgo_buf message;

		pgo_buf_init(&message, 1 << 20);
		if (pgo_grpc_body(cases[i].bytes, cases[i].len, &message, &o, &err) != PGO_EFORMAT)
			fail_msg("case %zu was taken", i);
		assert_has(err.msg, cases[i].says);
		pgo_buf_fini(&message);
	}
}

static void replies_are_judged_by_headers_trailer_and_kind(void **state)
{
	static const struct {
		long http;
		const char *type, *status, *message;
		int trailer;
		int rc;
		const char *says;
	} cases[] = {
		{200, "application/grpc-web+proto", NULL, NULL, 0, 0, ""},
		{200, "application/grpc-web+proto", "3", "bad%20type", -1, PGO_ENET, "bad type"},
		{200, "application/grpc-web+proto", "5", "none", -1, PGO_EEMPTY, "nothing there"},
		{200, "application/grpc-web+proto", NULL, NULL, 8, PGO_ELIMIT, "at a time"},
		{200, "application/grpc-web+proto", NULL, NULL, 4, PGO_ELIMIT, "at a time"},
		{200, "application/grpc-web+proto", "16", "who", -1, PGO_ENET, "PGO_FETCH_TOKEN"},
		{200, "application/grpc-web+proto", "12", "unknown method", -1, PGO_ENET,
			"kind of the store"},
		{200, "application/grpc-web+proto", "0", NULL, -1, 0, ""},
		{200, "application/grpc-web+proto", "x", NULL, -1, PGO_EFORMAT, "cut off"},
		{200, "application/grpc-web+proto", NULL, NULL, -1, PGO_EFORMAT, "cut off"},
		{200, "text/html", NULL, NULL, -1, PGO_ENET, "no gRPC-Web"},
		{200, NULL, NULL, NULL, -1, PGO_ENET, "no gRPC-Web"},
		{503, "text/plain", NULL, NULL, -1, PGO_ENET, "503"},
		{404, "text/plain", NULL, NULL, -1, PGO_ENOTFOUND, "404"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pgo_http_reply r = {
			.status = cases[i].http, .url = pgo_strdup("http://h/x")};
		struct pgo_grpc_outcome o = {.status = cases[i].trailer};
		struct pgo_err err = PGO_ERR_INIT;

		if (cases[i].type != NULL)
			pgo_http_headers_add(&r.headers, "content-type", cases[i].type);
		if (cases[i].status != NULL)
			pgo_http_headers_add(&r.headers, "grpc-status", cases[i].status);
		if (cases[i].message != NULL)
			pgo_http_headers_add(&r.headers, "grpc-message", cases[i].message);
		if (pgo_grpc_judge(&r, &o, "store", &err) != cases[i].rc)
			fail_msg("case %zu: %s", i, err.msg);
		assert_has(err.msg, cases[i].says);
		pgo_http_reply_fini(&r);
	}
}

/* ---------------------------------------------------------------- the server */

/* Profiles of one host and one stack each: at DAY0 + at, `value` samples of that period. */
struct event {
	int64_t at, value, period;
};

struct parca {
	const struct event *events;
	size_t n;
	int64_t longest; /* a merge of more than that is refused; 0 = none is */
	bool cut;        /* refused by an end in the middle of a frame */
	unsigned torn;   /* that many replies of merges are torn first */
	unsigned merges;
	const char *whole; /* every answer: a status, and a body */
	bool fails;        /* every call, in the headers */
};

static int64_t time_in(struct pgo_wire w, uint32_t field)
{
	struct pgo_wire_field f, t;
	int64_t ns = 0;

	while (w.p < w.end && pgo_wire_next(&w, &f))
		if (f.number == field && f.type == PGO_WIRE_BYTES)
			while (f.in.p < f.in.end && pgo_wire_next(&f.in, &t))
				ns += (int64_t)t.v * (t.number == 1 ? SECOND_NS : 1);
	return ns;
}

static struct pgo_wire message_in(struct pgo_wire w, uint32_t field)
{
	struct pgo_wire_field f;
	struct pgo_wire found = {0};

	while (w.p < w.end && pgo_wire_next(&w, &f))
		if (f.number == field && f.type == PGO_WIRE_BYTES)
			found = f.in;
	return found;
}

static bool has_text(struct pgo_wire w, const char *text)
{
	return memmem(w.p, (size_t)(w.end - w.p), text, strlen(text)) != NULL;
}

static bool answer(const struct canned_request *r, const struct pgo_buf *message)
{
	struct pgo_buf b;
	bool ok;

	pgo_buf_init(&b, 1 << 24);
	pgo_grpc_frame(&b, message->data, message->len);
	put_frame(&b, 0x80, "grpc-status: 0\r\n", 16);
	ok = canned_reply_bytes(r, "200 OK", GRPC, b.data, b.len);
	pgo_buf_fini(&b);
	return ok;
}

static bool refuse(const struct canned_request *r, const char *status, const char *why)
{
	char headers[200];

	snprintf(headers, sizeof headers, GRPC "Grpc-Status: %s\r\nGrpc-Message: %s\r\n", status,
		why);
	return canned_reply(r, "200 OK", headers, "");
}

static void put_type(struct pgo_buf *b, const char *type, const char *unit)
{
	size_t at = pgo_pb_open(b, 1);

	pgo_pb_string(b, 1, "process_cpu");
	pgo_pb_string(b, 2, type);
	pgo_pb_string(b, 3, unit);
	pgo_pb_string(b, 4, "cpu");
	pgo_pb_string(b, 5, "nanoseconds");
	pgo_pb_int(b, 6, 1);
	pgo_pb_close(b, at);
}

static void put_range(const struct parca *p, struct pgo_wire q, struct pgo_buf *b)
{
	int64_t from = time_in(q, 2), to = time_in(q, 3), step = time_in(q, 5);
	size_t series = pgo_pb_open(b, 1), set = pgo_pb_open(b, 1), at = pgo_pb_open(b, 1);

	pgo_pb_string(b, 1, "node");
	pgo_pb_string(b, 2, "web-1");
	pgo_pb_close(b, at);
	pgo_pb_close(b, set);
	for (size_t i = 0; i < p->n; i++) {
		int64_t t = DAY0 + p->events[i].at, bucket = t - t % step;
		size_t when;

		if (t < from || t > to)
			continue;
		at = pgo_pb_open(b, 2);
		when = pgo_pb_open(b, 1);
		pgo_pb_int(b, 1, bucket / SECOND_NS);
		pgo_pb_int(b, 2, bucket % SECOND_NS);
		pgo_pb_close(b, when);
		pgo_pb_int(b, 2, p->events[i].value);
		pgo_pb_int(b, 5, 1);
		pgo_pb_close(b, at);
	}
	pgo_pb_close(b, series);
}

/* What the real one gives: one column under a wrong name, no period, a time from nowhere. */
static bool give_pprof(const struct canned_request *r, const struct parca *p, int64_t from,
	int64_t to, bool product)
{
	char text[2000] = "type cpu/nanoseconds\ntime 7565777088497147904\n"
			  "mapping 400000 500000 0 /bin/app aabb f\n";
	struct pgo_buf pprof, message;
	struct pgo_profile *profile;
	bool ok, any = false;

	for (size_t i = 0; i < p->n; i++) {
		const struct event *e = &p->events[i];
		size_t at = strlen(text);

		if (DAY0 + e->at < from || DAY0 + e->at > to)
			continue;
		any = true;
		snprintf(text + at, sizeof text - at, "0x400100;0x400200 %lld\n",
			(long long)(e->value * (product ? e->period : 1)));
	}
	pgo_buf_init(&pprof, 1 << 20);
	pgo_buf_init(&message, 1 << 20);
	profile = mkprofile(text);
	assert_int_equal(pgo_pprof_encode(profile, true, &pprof, NULL), 0);
	pgo_profile_free(profile);
	if (any)
		pgo_pb_bytes(&message, 6, pprof.data, pprof.len);
	ok = answer(r, &message);
	pgo_buf_fini(&pprof);
	pgo_buf_fini(&message);
	return ok;
}

static bool query(struct parca *p, const struct canned_request *r, struct pgo_wire q)
{
	struct pgo_wire merge = message_in(q, 3), single = message_in(q, 4);
	int64_t from = time_in(merge, 2), to = time_in(merge, 3);
	unsigned nth;

	if (single.p != NULL)
		return give_pprof(r, p, time_in(single, 1), time_in(single, 1) + 999999, false);
	nth = __atomic_fetch_add(&p->merges, 1, __ATOMIC_RELAXED);
	if (p->longest != 0 && to - from >= p->longest) {
		if (p->cut) {
			canned_send(
				r, "HTTP/1.1 200 OK\r\n" GRPC "Content-Length: 99\r\n\r\n\0\0", 79);
			return false;
		}
		return refuse(r, "8", "grpc: received message larger than max");
	}
	if (nth < p->torn)
		return canned_reply_bytes(r, "200 OK", GRPC, "\0\0\0\1\0abc", 8);
	return give_pprof(r, p, from, to, has_text(merge, ":samples:count:"));
}

static bool serve(void *ctx, const struct canned_request *r)
{
	struct parca *p = ctx;
	struct pgo_wire q = pgo_pb_wire(r->body + 5, r->body_len >= 5 ? r->body_len - 5 : 0);
	struct pgo_buf b;
	bool ok;

	if (p->whole != NULL)
		return canned_reply(r, "200 OK", "Content-Type: text/html\r\n", p->whole);
	if (p->fails)
		return refuse(r, "16", "no%20token");
	if (strstr(r->text, "/prefix" PGO_PARCA_QUERY "Query ") != NULL)
		return query(p, r, q);
	pgo_buf_init(&b, 1 << 20);
	if (strstr(r->text, PGO_PARCA_QUERY "ProfileTypes ") != NULL) {
		put_type(&b, "samples", "count");
		put_type(&b, "cpu", "nanoseconds");
		put_type(&b, "inuse_space", "bytes");
	} else if (strstr(r->text, PGO_PARCA_QUERY "Labels ") != NULL) {
		pgo_pb_string(&b, 1, "node");
	} else if (strstr(r->text, PGO_PARCA_QUERY "QueryRange ") != NULL) {
		put_range(p, q, &b);
	} else {
		return canned_reply(r, "404 Not Found", "", "404 page not found");
	}
	ok = answer(r, &b);
	pgo_buf_fini(&b);
	return ok;
}

/* ---------------------------------------------------------------- fetching */

static int fetch_from(
	void *state, const struct canned *s, struct pgo_fetch_stats *stats, struct pgo_err *err)
{
	char url[128];
	const char *urls[] = {url};
	const struct pgo_fetch_options o = {.urls = urls,
		.n_urls = 1,
		.out_dir = scratch_path(state, "raw"),
		.http = {.tries = 2, .backoff_ms = 1}};

	snprintf(url, sizeof url, "parca%s/prefix/", canned_url(s) + 4);
	return pgo_fetch(&o, stats, err);
}

static int fetch(void *state, struct parca *p, struct pgo_fetch_stats *stats, struct pgo_err *err)
{
	struct canned *s = canned_start(serve, p);
	int rc = fetch_from(state, s, stats, err);

	canned_stop(s);
	return rc;
}

/* The samples of the one object of the directory. */
static void assert_fetched(void *state, const char *lines, int64_t period)
{
	struct pgo_manifest m;
	struct pgo_profile *p;
	struct pgo_reader *rd;
	char *path, *text;

	pgo_manifest_init(&m);
	path = pgo_asprintf("%s/raw/manifest.jsonl", scratch_dir(state));
	assert_int_equal(pgo_manifest_load(&m, path, NULL), 0);
	pgo_free(path);
	assert_int_equal(m.n_records, 1);
	assert_string_equal(m.records[0].host, "web-1");
	path = pgo_asprintf("%s/raw/objects/%.2s/%s", scratch_dir(state), m.records[0].digest,
		m.records[0].digest);
	p = pgo_pprof_load(path, NULL, NULL);
	assert_non_null(p);
	assert_int_equal(p->time_ns, DAY0);
	assert_int_equal(p->period, period);
	rd = pgo_profile_reader(p, "object", true, NULL);
	text = profile_sorted_lines(rd);
	assert_string_equal(text, lines);
	free(text);
	pgo_reader_close(rd);
	pgo_free(path);
	pgo_manifest_fini(&m);
}

static const struct event three[] = {
	{1 * HOUR_NS + 5, 10, 7}, {9 * HOUR_NS, 20, 7}, {23 * HOUR_NS, 30, 7}};
#define THREE "1@0x400100;1@0x400200 60 60 host=web-1\n"

static void columns_are_joined_and_the_period_is_undone(void **state)
{
	struct parca p = {.events = three, .n = 2};
	struct canned *s = canned_start(serve, &p);
	struct pgo_fetch_stats stats;

	assert_int_equal(fetch_from(*state, s, &stats, NULL), 0);
	assert_int_equal(stats.fetched, 1);
	assert_fetched(*state, "1@0x400100;1@0x400200 30 30 host=web-1\n", 7);
	/* Nothing is asked for again but the list. */
	p.merges = 0;
	assert_int_equal(fetch_from(*state, s, &stats, NULL), 0);
	assert_int_equal(stats.unchanged, 1);
	assert_int_equal(p.merges, 0);
	/* A window that has more now takes the place of what it was. */
	p.n = 3;
	assert_int_equal(fetch_from(*state, s, &stats, NULL), 0);
	assert_int_equal(stats.fetched, 1);
	assert_fetched(*state, THREE, 7);
	canned_stop(s);
}

static void a_window_that_is_too_much_is_asked_for_in_halves(void **state)
{
	struct parca p = {.events = three, .n = 3, .longest = 7 * HOUR_NS};
	struct pgo_fetch_stats stats;

	assert_int_equal(fetch(*state, &p, &stats, NULL), 0);
	assert_int_equal(stats.fetched, 1);
	assert_int_equal(stats.examined, 1);
	assert_int_equal(stats.failed, 0);
	assert_fetched(*state, THREE, 7);
}

static void a_reply_that_ends_early_is_asked_for_again(void **state)
{
	struct parca p = {.events = three, .n = 3, .torn = 2};
	struct pgo_fetch_stats stats;

	assert_int_equal(fetch(*state, &p, &stats, NULL), 0);
	assert_fetched(*state, THREE, 7);
}

static void a_server_that_gives_up_is_asked_for_less(void **state)
{
	struct parca p = {.events = three, .n = 3, .longest = 13 * HOUR_NS, .cut = true};
	struct pgo_fetch_stats stats;

	assert_int_equal(fetch(*state, &p, &stats, NULL), 0);
	assert_fetched(*state, THREE, 7);
}

static void periods_that_differ_cannot_be_undone(void **state)
{
	static const struct event mixed[] = {{HOUR_NS, 10, 7}, {2 * HOUR_NS, 20, 11}};
	struct parca p = {.events = mixed, .n = 2};
	struct pgo_fetch_stats stats;

	assert_int_equal(fetch(*state, &p, &stats, NULL), 0);
	assert_fetched(*state, "1@0x400100;1@0x400200 30 host=web-1\n", 7);
}

static void windows_that_can_never_be_had_are_failures(void **state)
{
	struct parca p = {.events = three, .n = 3, .longest = 1};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_fetch_stats stats;

	assert_int_equal(fetch(*state, &p, &stats, &err), PGO_EEMPTY);
	assert_int_equal(stats.failed, 1);
}

static void servers_that_are_something_else_are_named(void **state)
{
	struct parca html = {.whole = "<html>web pages</html>"}, closed = {.fails = true};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_fetch_stats stats;

	assert_int_equal(fetch(*state, &html, &stats, &err), PGO_ENET);
	assert_has(err.msg, "text/html");
	assert_int_equal(fetch(*state, &closed, &stats, &err), PGO_ENET);
	assert_has(err.msg, "no token");
	assert_has(err.msg, "PGO_FETCH_TOKEN");
}

/* ---------------------------------------------------------------- pushing */

static bool take_push(void *ctx, const struct canned_request *r)
{
	struct pgo_buf *seen = ctx;
	struct pgo_buf empty;
	bool ok;

	pgo_buf_add(seen, r->body, r->body_len);
	pgo_buf_init(&empty, 16);
	ok = answer(r, &empty);
	pgo_buf_fini(&empty);
	return ok;
}

static void a_push_names_its_series_as_the_query_language_can(void **state)
{
	static const char want[] = "\n\x0f\n\x08__name__\x12\x03"
				   "abc";
	struct pgo_record rec = {.host = (char *)(uintptr_t) "h 1"};
	struct pgo_push_item item = {.path = scratch_file(*state, "p", "PPROF", 5), .record = &rec};
	const struct pgo_http_options o = {.tries = 1};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf seen;
	struct canned *server;
	struct pgo_source *s;
	char url[64];

	pgo_buf_init(&seen, 1 << 20);
	server = canned_start(take_push, &seen);
	snprintf(url, sizeof url, "parca%s", canned_url(server) + 4);
	s = pgo_source_open(url, NULL, NULL);
	s->http = pgo_http_new(&o, NULL);
	assert_int_equal(pgo_record_label(&rec, "__name__", "abc", NULL), 0);
	assert_int_equal(pgo_record_label(&rec, "k8s.pod-1", "x", NULL), 0);
	assert_int_equal(s->ops->put(s, &item, NULL), 0);
	assert_non_null(memmem(seen.data, seen.len, want, sizeof want - 1));
	assert_non_null(memmem(seen.data, seen.len, "k8s_pod_1", 9));
	assert_non_null(memmem(seen.data, seen.len, "\n\4node\x12\3h 1", 11));
	assert_non_null(memmem(seen.data, seen.len, "\n\5PPROF", 7));
	assert_int_equal(pgo_record_label(&rec, "k8s_pod.1", "y", NULL), 0);
	assert_int_equal(s->ops->put(s, &item, &err), PGO_EUSAGE);
	assert_has(err.msg, "k8s_pod_1");
	rec.host = NULL;
	pgo_record_fini(&rec);
	pgo_http_free(s->http);
	pgo_source_close(s);
	canned_stop(server);
	pgo_buf_fini(&seen);
}

static void parameters_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = {"parca://h?hosts=some", "parca://h?window=5h",
		"parca://h?window=0h", "parca://h?window=24", "parca://h?x=1",
		"parca://h?window=48h"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct pgo_err err = PGO_ERR_INIT;

		assert_null(pgo_source_open(bad[i], NULL, &err));
		assert_int_equal(err.code, PGO_EUSAGE);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_up, scratch_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_frames_are_one_message_and_the_trailer_is_the_outcome),
		cmocka_unit_test(a_trailer_alone_tells_what_went_wrong),
		cmocka_unit_test(frames_that_make_no_sense_are_refused),
		cmocka_unit_test(replies_are_judged_by_headers_trailer_and_kind),
		TEST(columns_are_joined_and_the_period_is_undone),
		TEST(a_window_that_is_too_much_is_asked_for_in_halves),
		TEST(a_reply_that_ends_early_is_asked_for_again),
		TEST(a_server_that_gives_up_is_asked_for_less),
		TEST(periods_that_differ_cannot_be_undone),
		TEST(windows_that_can_never_be_had_are_failures),
		TEST(servers_that_are_something_else_are_named),
		TEST(a_push_names_its_series_as_the_query_language_can),
		cmocka_unit_test(parameters_that_are_none_are_refused),
	};

	pgo_diag_set_verbosity(-1);
	return cmocka_run_group_tests_name("parca", tests, NULL, NULL);
}
