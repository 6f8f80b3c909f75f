/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grafana Pyroscope, played by a server of our own: both ways of asking for profiles (those of 2.x
 * with the pprof in field 5 of the reply, and those of 1.x), and all that may go wrong.  The real
 * server is in tests/stores/pyroscope.sh.
 */
#include "fetch/fetch.h"
#include "fetch/pbwire.h"
#include "fetch/push.h"
#include "fetch/pyroscope.h"
#include "fetch/source.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/inflate.h"
#include "pgo/core/pprof.h"
#include "tests/lib/canned.h"
#include "tests/lib/mkprofile.h"
#include "tests/lib/scratch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- the server */

struct series {
	const char *service, *label, *host, *type; /* `label` tells hosts apart */
	const char *profile;                       /* its text; NULL = an empty reply */
	double sum;
};

enum fault {
	NONE,
	BAD_SELECTOR, /* refused, with a message */
	WEB_PAGE,
	CUT_OFF,       /* half of the profile */
	SIX_BYTES,     /* what the older storage says for nothing */
	BUSY_ONCE,     /* 429 to each first question */
	UNIMPLEMENTED, /* of SelectMergeStacktraces */
	NOT_FOUND,
	GARBAGE,
};

static struct {
	const struct series *series;
	size_t n;
	bool newer, gzip;
	enum fault fault;
	const char *only; /* the fault is of paths with this in it */
	char wide[256];   /* what a merge over two hosts looks like: a profile's text */
	/* what was seen */
	unsigned profiles, listings, flamegraphs, busy;
	int64_t longest_ms, last_from, last_to;
	char tenant[64], auth[64], path[256], accept[128], selector[512], last_push[65536];
	size_t last_push_len;
	const char *push_says; /* NULL = takes it */
} server;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char warned[8192];

struct question {
	char type[200], selector[512], names[32][64];
	size_t n_names;
	int64_t from, to, nodes, format;
};

static void text_of(char *to, size_t room, const struct pgo_wire_field *f)
{
	size_t len = (size_t)(f->in.end - f->in.p);

	len = len < room ? len : room - 1;
	memcpy(to, f->in.p, len);
	to[len] = '\0';
}

/* The fields of the three kinds of question. */
static struct question read_question(const struct canned_request *r, bool series, bool sums)
{
	struct pgo_wire w = pgo_pb_wire(r->body, r->body_len);
	struct pgo_wire_field f = {0};
	struct question q = {0};

	while (w.p < w.end) {
		if (!pgo_wire_next(&w, &f))
			fail_msg("what we asked is no message");
		if ((series && f.number == 2) || (sums && f.number == 5))
			text_of(q.names[q.n_names++], sizeof q.names[0], &f);
		else if (f.number == 1)
			text_of(series ? q.selector : q.type,
				series ? sizeof q.selector : sizeof q.type, &f);
		else if (f.number == 2)
			text_of(q.selector, sizeof q.selector, &f);
		else if (f.number == 3)
			q.from = (int64_t)f.v;
		else if (f.number == 4)
			q.to = (int64_t)f.v;
		else if (f.number == 5)
			q.nodes = (int64_t)f.v;
		else if (f.number == 6)
			q.format = (int64_t)f.v;
	}
	return q;
}

static bool selects(const struct question *q, const char *label, const char *value)
{
	char want[300];

	snprintf(want, sizeof want, "%s=\"", label);
	if (strstr(q->selector, want) == NULL)
		return true;
	snprintf(want, sizeof want, "%s=\"%s\"", label, value);
	return strstr(q->selector, want) != NULL;
}

static bool is_of(const struct series *s, const struct question *q)
{
	return selects(q, "service_name", s->service) && selects(q, s->label, s->host);
}

static void put_label(
	struct pgo_buf *b, const struct question *q, const char *name, const char *value)
{
	size_t at;
	bool asked = false;

	for (size_t i = 0; i < q->n_names; i++)
		asked = asked || strcmp(q->names[i], name) == 0;
	if (!asked)
		return;
	at = pgo_pb_open(b, 1);
	pgo_pb_string(b, 1, name);
	pgo_pb_string(b, 2, value);
	pgo_pb_close(b, at);
}

static void put_rows(struct pgo_buf *b, const struct question *q, bool sums)
{
	for (size_t i = 0; i < server.n; i++) {
		const struct series *s = &server.series[i];
		size_t row, point;

		if (!is_of(s, q) || (sums && strcmp(s->type, q->type) != 0))
			continue;
		row = pgo_pb_open(b, sums ? 1 : 2);
		put_label(b, q, "service_name", s->service);
		put_label(b, q, "__profile_type__", s->type);
		put_label(b, q, s->label, s->host);
		if (sums) { /* one from before the range, which does not count */
			point = pgo_pb_open(b, 2);
			pgo_pb_double(b, 1, 1000);
			pgo_pb_int(b, 2, q->from);
			pgo_pb_close(b, point);
			point = pgo_pb_open(b, 2);
			pgo_pb_double(b, 1, s->sum);
			pgo_pb_int(b, 2, q->to);
			pgo_pb_close(b, point);
		}
		pgo_pb_close(b, row);
	}
}

static void put_profile(struct pgo_buf *b, const struct question *q)
{
	const char *text = NULL;
	struct pgo_profile *p;
	unsigned n = 0;

	for (size_t i = 0; i < server.n; i++)
		if (is_of(&server.series[i], q) && strcmp(server.series[i].type, q->type) == 0) {
			text = server.series[i].profile;
			n++;
		}
	if (n > 1 && server.wide[0] != '\0')
		text = server.wide;
	if (text == NULL)
		return;
	p = mkprofile(text);
	assert_int_equal(pgo_pprof_encode(p, false, b, NULL), 0);
	pgo_profile_free(p);
}

static bool send_body(const struct canned_request *r, const struct pgo_buf *b)
{
	struct pgo_buf zipped;
	bool ok;

	if (!server.gzip)
		return canned_reply_bytes(
			r, "200 OK", "Content-Type: application/proto\r\n", b->data, b->len);
	pgo_buf_init(&zipped, 1 << 20);
	assert_int_equal(pgo_gzip(b->data, b->len, &zipped, NULL), 0);
	ok = canned_reply_bytes(r, "200 OK",
		"Content-Type: application/proto\r\nContent-Encoding: gzip\r\n", zipped.data,
		zipped.len);
	pgo_buf_fini(&zipped);
	return ok;
}

static bool send_profile(const struct canned_request *r, const struct question *q, bool wrapped)
{
	struct pgo_buf profile, b;
	bool ok;

	pgo_buf_init(&profile, 1 << 20);
	pgo_buf_init(&b, 1 << 20);
	put_profile(&profile, q);
	if (server.fault == SIX_BYTES && !wrapped) {
		pgo_buf_add(&b, "\x0a\0\x32\0\x5a\0", 6);
	} else if (profile.len != 0 && wrapped && !server.newer) {
		server.flamegraphs++;
		pgo_pb_string(&b, 1, "names of functions and the like");
	} else if (profile.len != 0 && wrapped) {
		size_t outer = pgo_pb_open(&b, 5);

		pgo_pb_bytes(&b, 1, profile.data, profile.len);
		pgo_pb_close(&b, outer);
	} else if (profile.len != 0) {
		pgo_buf_add(&b, profile.data, profile.len);
	}
	if (server.fault == CUT_OFF && q->nodes == 0)
		b.len /= 2;
	ok = send_body(r, &b);
	pgo_buf_fini(&profile);
	pgo_buf_fini(&b);
	return ok;
}

static bool refuse(const struct canned_request *r)
{
	switch (server.fault) {
	case BAD_SELECTOR:
		return canned_reply(r, "400 Bad Request", "Content-Type: application/json\r\n",
			"{\"code\":\"invalid_argument\",\"message\":\"{\\\"code\\\":\\\"x\\\"} "
			"parse "
			"error: bad selector\"}");
	case WEB_PAGE:
		return canned_reply(
			r, "200 OK", "Content-Type: text/html\r\n", "<html>Log in</html>");
	case UNIMPLEMENTED:
		return canned_reply(r, "501 Not Implemented", "Content-Type: application/json\r\n",
			"{\"code\":\"unimplemented\",\"message\":\"no\"}");
	case NOT_FOUND:
		return canned_reply(r, "404 Not Found", "Content-Type: text/plain\r\n", "404 page");
	case GARBAGE:
		return canned_reply_bytes(r, "200 OK", "Content-Type: application/proto\r\n",
			"\x2a\xff\xff\xff\xff\x7f\x0a\x05\xff\xff\xff", 11);
	case BUSY_ONCE:
		server.busy++;
		return canned_reply(r, "429 Too Many Requests", "Retry-After: 0\r\n", "later");
	default:
		return false;
	}
}

static bool is_faulty(const struct canned_request *r)
{
	if (server.fault == NONE || server.fault == CUT_OFF || server.fault == SIX_BYTES)
		return false;
	if (server.fault == BUSY_ONCE)
		return r->number % 2 == 0;
	return server.only == NULL || strstr(server.path, server.only) != NULL;
}

static bool take_push(const struct canned_request *r)
{
	server.last_push_len = r->body_len;
	memcpy(server.last_push, r->body, r->body_len);
	if (server.push_says == NULL)
		return canned_reply(r, "200 OK", "Content-Type: application/proto\r\n", "");
	return canned_reply(
		r, "400 Bad Request", "Content-Type: application/json\r\n", server.push_says);
}

static bool serve_locked(const struct canned_request *r)
{
	bool series = strstr(server.path, "/Series") != NULL;
	bool sums = strstr(server.path, "/SelectSeries") != NULL;
	struct question q = {0};
	struct pgo_buf b;
	bool ok;

	if (strstr(server.path, "PusherService/Push") != NULL)
		return take_push(r);
	if (is_faulty(r))
		return refuse(r);
	q = read_question(r, series, sums);
	if (q.to - q.from > server.longest_ms)
		server.longest_ms = q.to - q.from;
	if (!series && !sums) {
		server.profiles++;
		server.last_from = q.from;
		server.last_to = q.to;
		snprintf(server.selector, sizeof server.selector, "%s", q.selector);
		return send_profile(r, &q, strstr(server.path, "SelectMergeStacktraces") != NULL);
	}
	server.listings++;
	pgo_buf_init(&b, 1 << 20);
	put_rows(&b, &q, sums);
	ok = send_body(r, &b);
	pgo_buf_fini(&b);
	return ok;
}

static bool serve(void *ctx, const struct canned_request *r)
{
	bool ok;

	(void)ctx;
	pthread_mutex_lock(&lock);
	assert_int_equal(sscanf(r->text, "POST %255s", server.path), 1);
	canned_header(r, "X-Scope-OrgID", server.tenant, sizeof server.tenant);
	canned_header(r, "Authorization", server.auth, sizeof server.auth);
	canned_header(r, "Accept", server.accept, sizeof server.accept);
	ok = serve_locked(r);
	pthread_mutex_unlock(&lock);
	return ok;
}

/* ---------------------------------------------------------------- running it */

static void sink(void *ctx, enum pgo_level level, const char *domain, const char *text)
{
	size_t len = strlen(warned);

	(void)ctx;
	(void)domain;
	if (level <= PGO_LEVEL_NOTE)
		snprintf(warned + len, sizeof warned - len, "%s\n", text);
}

static int up(void **state)
{
	memset(&server, 0, sizeof server);
	server.newer = true;
	pgo_diag_set_sink(sink, NULL);
	pgo_diag_set_verbosity(1);
	warned[0] = '\0';
	return scratch_up(state);
}

#define NOON INT64_C(1795176000000000000) /* 2026-11-20T12:00:00Z */
#define HOUR INT64_C(3600000000000)

static int fetch_at(void *state, const char *path, struct pgo_fetch_options o,
	struct pgo_fetch_stats *st, struct pgo_err *err)
{
	struct canned *s = canned_start(serve, NULL);
	char url[256], out[4096];
	const char *urls[] = {url};
	int rc;

	snprintf(url, sizeof url, "pyroscope%s%s", strstr(canned_url(s), "://"), path);
	snprintf(out, sizeof out, "%s/raw", scratch_dir(state));
	o.urls = urls;
	o.n_urls = 1;
	o.out_dir = out;
	o.http.backoff_ms = 1;
	if (o.since_ns == 0) {
		o.since_ns = NOON;
		o.until_ns = NOON + HOUR;
	}
	rc = pgo_fetch(&o, st, err);
	canned_stop(s);
	return rc;
}

static int fetch(void *state, const struct series *of, size_t n, struct pgo_fetch_stats *st,
	struct pgo_err *err)
{
	server.series = of;
	server.n = n;
	return fetch_at(state, "", (struct pgo_fetch_options){0}, st, err);
}

static struct pgo_manifest stored(void *state)
{
	struct pgo_manifest m;
	char path[4096];

	snprintf(path, sizeof path, "%s/raw/manifest.jsonl", scratch_dir(state));
	pgo_manifest_init(&m);
	assert_int_equal(pgo_manifest_load(&m, path, NULL), 0);
	return m;
}

/* The samples of the stored profile of that host. */
static void assert_stored(void *state, const char *host, const char *want)
{
	struct pgo_manifest m = stored(state);
	bool found = false;

	for (size_t i = 0; i < m.n_records; i++) {
		char dir[4096], *path, *lines;
		struct pgo_reader *r;

		if (strcmp(m.records[i].host, host) != 0)
			continue;
		snprintf(dir, sizeof dir, "%s/raw", scratch_dir(state));
		path = pgo_object_path(dir, m.records[i].digest);
		r = pgo_pprof_open(path, NULL, NULL);
		assert_non_null(r);
		lines = profile_sorted_lines(r);
		assert_string_equal(lines, want);
		free(lines);
		pgo_reader_close(r);
		pgo_free(path);
		found = true;
	}
	assert_true(found);
	pgo_manifest_fini(&m);
}

#define CPU "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
#define SAMPLES "process_cpu:samples:count:cpu:nanoseconds"
#define TRACES "process_cpu:lbr_traces:count:cpu:nanoseconds"
#define MAP "mapping 1000 5000 1000 /bin/app abcd\n"

static const struct series one_host[] = {
	{"shop", "pod", "a", SAMPLES, "type samples/count\n" MAP "0x1100;0x1200 3\n", 3},
	{"shop", "pod", "a", CPU, "type cpu/nanoseconds\n" MAP "0x1100;0x1200 30\n", 30},
	{"shop", "pod", "a", TRACES, "type lbr_traces/count\n" MAP "0x1300;0x1200;0x1100 7\n", 7},
};
#define ONE_HOST                                                                                   \
	"1@0x1100;1@0x1200 3 30 0 host=a service=shop pod=a\n"                                     \
	"1@0x1300;1@0x1200;1@0x1100 0 0 7 host=a service=shop pod=a\n"

static void assert_one_host(void **state)
{
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	if (fetch(*state, one_host, 3, &st, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(st.fetched, 1);
	assert_stored(*state, "a", ONE_HOST);
}

/* ---------------------------------------------------------------- the ways of asking */

static void the_newer_way_gives_the_profile_in_the_reply(void **state)
{
	assert_one_host(state);
	assert_int_equal(server.flamegraphs, 0);
	assert_has(server.path, "SelectMergeStacktraces");
	assert_has(server.accept, "allow-utf8-labelnames=true");
}

static void a_flame_graph_means_the_older_way(void **state)
{
	server.newer = false;
	assert_one_host(state);
	assert_has(server.path, "SelectMergeProfile");
	assert_true(server.flamegraphs <= 3);
}

static void an_unknown_method_means_the_older_way(void **state)
{
	server.newer = false;
	server.only = "SelectMergeStacktraces";
	server.fault = UNIMPLEMENTED;
	assert_one_host(state);
}

static void a_method_that_is_not_found_means_the_older_way(void **state)
{
	server.newer = false;
	server.only = "SelectMergeStacktraces";
	server.fault = NOT_FOUND;
	assert_one_host(state);
}

static void compressed_replies_are_read_both_ways(void **state)
{
	server.gzip = true;
	assert_one_host(state);
}

static void compressed_replies_are_read_the_older_way(void **state)
{
	server.gzip = true;
	server.newer = false;
	assert_one_host(state);
}

/* ---------------------------------------------------------------- listing */

static void an_unchanged_store_costs_the_listing(void **state)
{
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;
	unsigned profiles, listings;

	assert_one_host(state);
	profiles = server.profiles;
	listings = server.listings;
	/* Another server address is another store, so it is the same one that is asked twice. */
	server.series = one_host;
	{
		struct canned *s = canned_start(serve, NULL);
		char url[256], out[4096];
		const char *urls[] = {url};
		struct pgo_fetch_options o = {.urls = urls,
			.n_urls = 1,
			.out_dir = out,
			.since_ns = NOON,
			.until_ns = NOON + HOUR};

		snprintf(url, sizeof url, "pyroscope%s", strstr(canned_url(s), "://"));
		snprintf(out, sizeof out, "%s/again", scratch_dir(*state));
		assert_int_equal(pgo_fetch(&o, &st, &err), 0);
		profiles = server.profiles;
		listings = server.listings;
		assert_int_equal(pgo_fetch(&o, &st, &err), 0);
		assert_int_equal(st.unchanged, 1);
		canned_stop(s);
	}
	assert_int_equal(server.profiles, profiles);
	assert_true(server.listings > listings);
}

static const struct series two_hosts[] = {
	{"shop", "pod", "a", SAMPLES, "type samples/count\n" MAP "0x1100;0x1200 3\n", 3},
	{"shop", "pod", "b", SAMPLES, "type samples/count\n" MAP "0x1100;0x1200 5\n", 5},
	{"shop", "pod", "idle", SAMPLES, NULL, 0},
	{"tools", "pod", "c", SAMPLES, "type samples/count\n" MAP "0x1100;0x1200 9\n", 9},
	{"shop", "pod", "a", "memory:alloc_space:bytes:space:bytes", "type x/y\n" MAP "0x1100 1\n",
		1},
};

static void hosts_are_told_apart_and_idle_ones_not_asked(void **state)
{
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(fetch(*state, two_hosts, 5, &st, &err), 0);
	assert_int_equal(st.listed, 3); /* no memory, nobody who has no samples */
	assert_stored(*state, "a", "1@0x1100;1@0x1200 3 host=a service=shop pod=a\n");
	assert_stored(*state, "b", "1@0x1100;1@0x1200 5 host=b service=shop pod=b\n");
	assert_stored(*state, "c", "1@0x1100;1@0x1200 9 host=c service=tools pod=c\n");
	assert_has(warned, "by the label pod");
}

static void selectors_choose_services_and_hosts(void **state)
{
	static const char *const selects_b[] = {"service=\"shop\"", "host=~\"[b-z].*\""};
	struct pgo_fetch_options o = {.selects = selects_b, .n_selects = 2};
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	server.series = two_hosts;
	server.n = 5;
	assert_int_equal(fetch_at(*state, "", o, &st, &err), 0);
	assert_int_equal(st.listed, 1);
	assert_stored(*state, "b", "1@0x1100;1@0x1200 5 host=b service=shop pod=b\n");
	assert_string_equal(server.selector, "{service_name=\"shop\",pod=\"b\"}");
}

static void types_can_be_chosen(void **state)
{
	static const char *const types[] = {"lbr_traces"};
	struct pgo_fetch_options o = {.types = types, .n_types = 1};
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	server.series = one_host;
	server.n = 3;
	assert_int_equal(fetch_at(*state, "", o, &st, &err), 0);
	assert_stored(*state, "a", "1@0x1300;1@0x1200;1@0x1100 7 host=a service=shop pod=a\n");
}

static const struct series named_nodes[] = {
	{"shop", "rack", "r1", SAMPLES, "type samples/count\n" MAP "0x1100;0x1200 3\n", 3},
	{"shop", "rack", "r2", SAMPLES, "type samples/count\n" MAP "0x1100;0x1200 5\n", 5},
};

static void the_user_says_which_label_is_the_host(void **state)
{
	struct pgo_fetch_options o = {.by_host = "rack"};
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	server.series = named_nodes;
	server.n = 2;
	assert_int_equal(fetch_at(*state, "", o, &st, &err), 0);
	assert_int_equal(st.fetched, 2);
	assert_stored(*state, "r1", "1@0x1100;1@0x1200 3 host=r1 service=shop rack=r1\n");
}

/* The listing tells hosts, so that what is not taken is not asked for. */
static void a_sample_of_hosts_is_all_that_is_asked_for(void **state)
{
	struct pgo_fetch_options o = {.max_profiles = 2};
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	server.series = two_hosts;
	server.n = 5;
	assert_int_equal(fetch_at(*state, "", o, &st, &err), 0);
	assert_int_equal(st.fetched, 2);
	assert_true(server.profiles <= 4); /* each asked for at most twice, to find out how */
}

static void no_question_spans_more_than_a_day(void **state)
{
	struct pgo_fetch_options o = {.since_ns = NOON - 24 * HOUR, .until_ns = NOON + 48 * HOUR};
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_manifest m;

	server.series = one_host;
	server.n = 3;
	assert_int_equal(fetch_at(*state, "", o, &st, &err), 0);
	assert_int_equal(st.listed, 4); /* from noon to noon, over three midnights */
	assert_true(server.longest_ms <= 24 * 3600 * 1000);
	m = stored(*state);
	assert_int_equal(m.n_records, 4);
	assert_has(m.records[0].source, "/shop/a/2026-11-19T00:00:00Z+24h");
	assert_int_equal(m.records[0].time_ns, NOON - 24 * HOUR);
	assert_int_equal(m.records[0].duration_ns, 12 * HOUR);
	assert_has(m.records[1].source, "/shop/a/2026-11-20T00:00:00Z+24h");
	assert_int_equal(m.records[1].duration_ns, 24 * HOUR);
	pgo_manifest_fini(&m);
}

static void base_path_tenant_and_token_go_along(void **state)
{
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_manifest m;

	server.series = one_host;
	server.n = 3;
	setenv("PGO_FETCH_TENANT", "team-1", 1);
	setenv("PGO_FETCH_TOKEN", "s3cret", 1);
	assert_int_equal(
		fetch_at(*state, "/api/proxy/7/", (struct pgo_fetch_options){0}, &st, &err), 0);
	unsetenv("PGO_FETCH_TENANT");
	unsetenv("PGO_FETCH_TOKEN");
	assert_has(server.path, "/api/proxy/7/querier.v1.QuerierService/");
	assert_string_equal(server.tenant, "team-1");
	assert_string_equal(server.auth, "Bearer s3cret");
	m = stored(*state);
	assert_memory_equal(m.records[0].source, "team-1@127.0.0.1:", 17);
	assert_has(m.records[0].source, "/api/proxy/7/shop/a/");
	pgo_manifest_fini(&m);
}

static void addresses_that_make_no_sense_are_refused(void **state)
{
	static const char *const bad[] = {"pyroscope://", "pyroscope:///x", "pyroscope:host",
		"pyroscope://me:secret@host", "pyroscope://host?x=y"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct pgo_err err = PGO_ERR_INIT;

		assert_null(pgo_source_open(bad[i], NULL, &err));
		assert_int_equal(err.code, PGO_EUSAGE);
		assert_null(strstr(err.msg, "secret"));
	}
}

/* ---------------------------------------------------------------- faults */

static int fetch_with(void **state, enum fault fault, const char *only, struct pgo_fetch_stats *st,
	struct pgo_err *err)
{
	server.fault = fault;
	server.only = only;
	return fetch(*state, one_host, 3, st, err);
}

static void what_the_server_says_is_passed_on(void **state)
{
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(fetch_with(state, BAD_SELECTOR, NULL, &st, &err), PGO_ENET);
	assert_has(err.msg, "400, invalid_argument: {\"code\":\"x\"} parse error: bad selector");
	pgo_err_clear(&err);
	assert_int_equal(fetch_with(state, BAD_SELECTOR, "Merge", &st, &err), PGO_EEMPTY);
	assert_int_equal(st.failed, 1);
	assert_has(warned, "parse error: bad selector");
}

static void a_web_page_is_no_answer(void **state)
{
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	assert_true(fetch_with(state, WEB_PAGE, "Merge", &st, &err) < 0);
	assert_has(warned, "page of text");
	assert_true(fetch_with(state, WEB_PAGE, NULL, &st, &err) < 0);
	assert_has(err.msg, "Series");
}

static void damaged_replies_are_not_stored(void **state)
{
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	for (int newer = 0; newer < 2; newer++) {
		server.newer = newer;
		assert_int_equal(fetch_with(state, CUT_OFF, NULL, &st, &err), PGO_EEMPTY);
		assert_int_equal(st.failed, 1);
		assert_int_equal(st.fetched, 0);
	}
	assert_true(fetch_with(state, GARBAGE, "Merge", &st, &err) < 0);
	assert_int_equal(st.fetched, 0);
	assert_int_equal(fetch_with(state, GARBAGE, NULL, &st, &err), PGO_EFORMAT);
}

static void a_busy_server_is_asked_again(void **state)
{
	server.fault = BUSY_ONCE;
	assert_one_host(state);
	assert_true(server.busy > 0);
}

static const struct series vanished[] = {
	{"shop", "pod", "a", SAMPLES, NULL, 3},
	{"shop", "pod", "b", SAMPLES, "type samples/count\n" MAP "0x1100;0x1200 5\n", 5},
};

static void empty_replies_are_no_failure(void **state)
{
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(fetch(*state, vanished, 2, &st, &err), 0);
	assert_int_equal(st.failed, 0);
	assert_int_equal(st.fetched, 1);
}

/* The older storage's way to say "nothing", where it counts something. */
static void values_without_samples_name_the_setting(void **state)
{
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	server.newer = false;
	assert_int_equal(fetch_with(state, SIX_BYTES, NULL, &st, &err), PGO_EEMPTY);
	assert_int_equal(st.failed, 1);
	assert_has(warned, "has_functions");
}

static const struct series erased[] = {
	{"shop", "pod", "a", SAMPLES,
		"type samples/count\nmapping 0 0 0 /bin/app abcd f\n1@0x0 3\n", 3},
	{"shop", "pod", "b", SAMPLES,
		"type samples/count\nmapping 0 0 0 /bin/app abcd f\n1@0x0=main:1;1@0x0=parse:2 5\n",
		5},
};

static void erased_addresses_name_the_setting(void **state)
{
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(fetch(*state, erased, 1, &st, &err), PGO_EEMPTY);
	assert_int_equal(st.erased, 1);
	assert_has(err.msg, "has_functions");
	assert_int_equal(fetch(*state, erased, 2, &st, &err), 0);
	assert_int_equal(st.fetched, 1); /* names are better than nothing */
	assert_has(warned, "has_functions");
}

static void a_server_without_profiles_is_told_of(void **state)
{
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(fetch(*state, NULL, 0, &st, &err), PGO_EEMPTY);
	assert_has(warned, "no profiles at all");
}

/* ---------------------------------------------------------------- merges that ignore addresses */

static const struct series unlabelled[] = {
	{"shop", "pid", "1", SAMPLES, "type samples/count\n" MAP "0x1100;0x1200 3\n", 3},
	{"shop", "pid", "2", SAMPLES,
		"type samples/count\nmapping 71000 75000 1000 /bin/app abcd\n0x71100;0x71200 5\n",
		5},
};

static void a_merge_of_two_load_addresses_is_asked_process_by_process(void **state)
{
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_manifest m;

	snprintf(server.wide, sizeof server.wide, "%s",
		"type samples/count\n" MAP "0x1100;0x1200 3\n1@0x71100;1@0x71200 5\n");
	assert_int_equal(fetch(*state, unlabelled, 2, &st, &err), 0);
	assert_int_equal(st.split, 1);
	m = stored(*state);
	assert_int_equal(m.n_records, 2);
	assert_has(m.records[0].source, "pid=");
	assert_has(m.records[1].source, "pid=");
	pgo_manifest_fini(&m);
}

/* ---------------------------------------------------------------- pushing */

static int push(void **state, const char *service, struct pgo_err *err)
{
	struct canned *s = canned_start(serve, NULL);
	char url[256], *path = scratch_file(*state, "p.pb.gz", "PROFILE", 7);
	struct pgo_kv label = {(char *)"zone.name", (char *)"z\"1"};
	struct pgo_record rec = {.service = (char *)service,
		.host = (char *)"h",
		.version = (char *)"",
		.source = (char *)"p.pb.gz",
		.labels = &label,
		.n_labels = 1};
	const struct pgo_push_item item = {.path = path, .record = &rec, .parts = 1};
	struct pgo_http_options o = {.backoff_ms = 1};
	struct pgo_source *src;
	int rc;

	snprintf(url, sizeof url, "pyroscope%s", strstr(canned_url(s), "://"));
	src = pgo_source_open(url, NULL, err);
	assert_non_null(src);
	src->http = pgo_http_new(&o, err);
	rc = src->ops->put(src, &item, err);
	pgo_http_free(src->http);
	pgo_source_close(src);
	canned_stop(s);
	return rc;
}

static void a_push_is_one_series_with_its_labels(void **state)
{
	static const char want[] = "\x0a\x57"
				   "\x0a\x17\x0a\x08__name__\x12\x0bprocess_cpu"
				   "\x0a\x14\x0a\x0cservice_name\x12\x04shop"
				   "\x0a\x09\x0a\x04host\x12\x01h"
				   "\x0a\x10\x0a\x09zone_name\x12\x03z\"1"
				   "\x12\x09\x0a\x07PROFILE";
	struct pgo_err err = PGO_ERR_INIT;

	if (push(state, "shop", &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(server.last_push_len, sizeof want - 1);
	assert_memory_equal(server.last_push, want, sizeof want - 1);
}

static void a_refused_push_says_what_to_set(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;

	server.push_says = "{\"code\":\"invalid_argument\",\"message\":\"not_in_ingestion_window: "
			   "profile too old\"}";
	assert_int_equal(push(state, "shop", &err), PGO_ENET);
	assert_has(err.msg, "validation.reject-older-than");
	pgo_err_clear(&err);
	assert_int_equal(push(state, "", &err), PGO_EUSAGE);
	assert_has(err.msg, "--service");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, scratch_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_newer_way_gives_the_profile_in_the_reply),
		TEST(a_flame_graph_means_the_older_way),
		TEST(an_unknown_method_means_the_older_way),
		TEST(a_method_that_is_not_found_means_the_older_way),
		TEST(compressed_replies_are_read_both_ways),
		TEST(compressed_replies_are_read_the_older_way),
		TEST(an_unchanged_store_costs_the_listing),
		TEST(hosts_are_told_apart_and_idle_ones_not_asked),
		TEST(selectors_choose_services_and_hosts),
		TEST(types_can_be_chosen),
		TEST(the_user_says_which_label_is_the_host),
		TEST(a_sample_of_hosts_is_all_that_is_asked_for),
		TEST(no_question_spans_more_than_a_day),
		TEST(base_path_tenant_and_token_go_along),
		TEST(addresses_that_make_no_sense_are_refused),
		TEST(what_the_server_says_is_passed_on),
		TEST(a_web_page_is_no_answer),
		TEST(damaged_replies_are_not_stored),
		TEST(a_busy_server_is_asked_again),
		TEST(empty_replies_are_no_failure),
		TEST(values_without_samples_name_the_setting),
		TEST(erased_addresses_name_the_setting),
		TEST(a_server_without_profiles_is_told_of),
		TEST(a_merge_of_two_load_addresses_is_asked_process_by_process),
		TEST(a_push_is_one_series_with_its_labels),
		TEST(a_refused_push_says_what_to_set),
	};

	unsetenv("PGO_FETCH_TENANT");
	unsetenv("PGO_FETCH_TOKEN");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
