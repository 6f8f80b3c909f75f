/* SPDX-License-Identifier: Apache-2.0 */
/* Profefe as a source, against a server that keeps as many profiles as a test likes, or is none. */
#include "fetch/profefe_list.h"
#include "fetch/push.h"
#include "fetch/source.h"
#include "fetch/store_url.h"
#include "pgo/core/alloc.h"
#include "pgo/core/opt.h"
#include "tests/lib/canned.h"
#include "tests/lib/scratch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS ((int64_t)1000000000)

/* ---------------------------------------------------------------- the server */

/* Profile i of `n` is of second at(i), and half a second later. */
static int64_t at(unsigned i)
{
	return 1790000000 + (i < 7000 ? 0 : (int64_t)(i - 7000) * 3);
}

struct shelf {
	unsigned n;
	const char *first; /* of an answer; NULL = as it should be */
	const char *answer;
	char last[2048]; /* the last request's line and headers */
};

/* The number behind NAME= of the request, which is a time or a limit. */
static int64_t number(const char *text, const char *name)
{
	const char *p = strstr(text, name);
	char buf[64];
	int64_t ns;

	assert_non_null(p);
	p += strlen(name);
	if (p[4] != '-')
		return strtoll(p, NULL, 10);
	snprintf(buf, sizeof buf, "%.13s:%.2s:%.2sZ", p, p + 16, p + 21); /* %3A twice */
	assert_int_equal(pgo_parse_time(buf, 0, &ns, NULL), 0);
	return ns / SECOND_NS;
}

static void put_meta(struct pgo_buf *b, unsigned i)
{
	char when[32];

	pgo_format_time(at(i) * SECOND_NS, when, sizeof when);
	pgo_buf_printf(b,
		"%s{\"id\":\"id%u\",\"type\":\"cpu\",\"service\":\"shop\",\"labels\":[{\"key\":"
		"\"node\",\"value\":\"n%u\"}],\"created_at\":\"%s\"}",
		b->data[b->len - 1] == '[' ? "" : ",", i, i % 3, when);
}

static bool list(const struct shelf *s, const struct canned_request *r)
{
	int64_t from = number(r->text, "from="), to = number(r->text, "to=");
	int64_t limit = number(r->text, "limit=");
	struct pgo_buf b;
	bool ok;

	pgo_buf_init(&b, (size_t)64 << 20);
	pgo_buf_puts(&b, "{\"code\":200,\"body\":[");
	/* As the real one does: the newest of them, the newest first. */
	for (unsigned i = s->n; i-- > 0 && limit > 0;)
		if (at(i) >= from && at(i) < to) {
			put_meta(&b, i);
			limit--;
		}
	pgo_buf_puts(&b, "]}");
	ok = canned_reply(r, "200 OK", "", b.data);
	pgo_buf_fini(&b);
	return ok;
}

static bool serve(void *ctx, const struct canned_request *r)
{
	struct shelf *s = ctx;

	snprintf(s->last, sizeof s->last, "%.*s", (int)sizeof s->last - 1, r->text);
	if (s->first != NULL)
		return canned_reply(r, s->first, "", s->answer);
	if (strstr(r->text, "/services") != NULL)
		return canned_reply(r, "200 OK", "", "{\"code\":200,\"body\":[\"shop\"]}");
	if (strstr(r->text, "type=cpu") == NULL)
		return canned_reply(
			r, "404 Not Found", "", "{\"code\":404,\"error\":\"nothing found\"}");
	return list(s, r);
}

/* ---------------------------------------------------------------- asking it */

struct seen {
	unsigned n;
	char last[256];
};

static int see(void *ctx, const struct pgo_listed *l, struct pgo_err *err)
{
	struct seen *s = ctx;

	(void)err;
	assert_true(strcmp(s->last, l->name) < 0); /* in order, each once */
	snprintf(s->last, sizeof s->last, "%s", l->name);
	s->n++;
	return 0;
}

static struct pgo_source *open_at(
	const struct canned *server, struct pgo_http **ret_http, const struct pgo_query *q)
{
	const struct pgo_http_options o = {.tries = 1};
	char url[128];
	struct pgo_source *s;

	snprintf(url, sizeof url, "profefe%s", canned_url(server) + 4);
	s = pgo_source_open(url, NULL, NULL);
	*ret_http = pgo_http_new(&o, NULL);
	assert_non_null(s);
	assert_non_null(*ret_http);
	s->http = *ret_http;
	s->query = q;
	return s;
}

static int list_all(struct shelf *shelf, struct pgo_query *q, const char *select, struct seen *seen,
	struct pgo_err *err)
{
	struct canned *server = canned_start(serve, shelf);
	struct pgo_selection selection;
	struct pgo_http *http;
	struct pgo_source *s;
	int rc;

	pgo_selection_init(&selection);
	if (select != NULL)
		assert_int_equal(pgo_selection_add(&selection, select, NULL), 0);
	q->selection = &selection;
	s = open_at(server, &http, q);
	memset(seen, 0, sizeof *seen);
	rc = s->ops->list(s, q, see, seen, err);
	pgo_source_close(s);
	pgo_http_free(http);
	canned_stop(server);
	pgo_selection_fini(&selection);
	return rc;
}

static void more_profiles_than_a_list_holds_are_all_found(void **state)
{
	struct shelf shelf = {.n = 20000};
	struct pgo_query q = {0};
	struct seen seen;

	(void)state;
	assert_int_equal(list_all(&shelf, &q, NULL, &seen, NULL), 0);
	assert_int_equal(seen.n, 20000);
	q.since_ns = (at(7000) + 3) * SECOND_NS;
	q.until_ns = at(7010) * SECOND_NS;
	assert_int_equal(list_all(&shelf, &q, NULL, &seen, NULL), 0);
	assert_int_equal(seen.n, 9);
}

static void labels_are_judged_here_and_not_there(void **state)
{
	struct shelf shelf = {.n = 30};
	struct pgo_query q = {0};
	struct seen seen;

	(void)state;
	assert_int_equal(list_all(&shelf, &q, "node=\"n1\"", &seen, NULL), 0);
	assert_int_equal(seen.n, 10);
	assert_null(strstr(shelf.last, "labels="));
	assert_int_equal(list_all(&shelf, &q, "host!=\"n1\"", &seen, NULL), 0);
	assert_int_equal(seen.n, 20);
	assert_int_equal(list_all(&shelf, &q, "service=\"other\"", &seen, NULL), 0);
	assert_int_equal(seen.n, 0);
	/* What the store says nothing of is for the profile to say. */
	assert_int_equal(list_all(&shelf, &q, "zone=\"eu\"", &seen, NULL), 0);
	assert_int_equal(seen.n, 30);
	q.types = (const char *const[]){"inuse_space"};
	q.n_types = 1;
	assert_int_equal(list_all(&shelf, &q, NULL, &seen, NULL), 0);
	assert_int_equal(seen.n, 0);
}

static void servers_that_are_not_profefe_are_named(void **state)
{
	static const struct {
		const char *status, *answer, *says;
	} cases[] = {
		{"404 Not Found", "404 page not found", "no interface of Profefe's"},
		{"200 OK", "<html>hello</html>", "not valid JSON"},
		{"200 OK", "{\"data\":[]}", "no server of Profefe's"},
		{"200 OK", "", "not valid JSON"},
		{"403 Forbidden", "who are you", "403 (who are you)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct shelf shelf = {.first = cases[i].status, .answer = cases[i].answer};
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_query q = {0};
		struct seen seen;

		assert_true(list_all(&shelf, &q, NULL, &seen, &err) < 0);
		assert_has(err.msg, cases[i].says);
	}
}

static void an_empty_server_lists_nothing(void **state)
{
	struct shelf shelf = {
		.first = "404 Not Found", .answer = "{\"code\":404,\"error\":\"nothing found\"}"};
	struct pgo_query q = {0};
	struct seen seen;

	(void)state;
	assert_int_equal(list_all(&shelf, &q, NULL, &seen, NULL), 0);
	assert_int_equal(seen.n, 0);
}

/* ---------------------------------------------------------------- lists as text */

static void lists_that_make_no_sense_are_refused(void **state)
{
	static const char *const bad[] = {
		"{\"code\":200,\"body\":[{\"id\":\"x\"}]}",
		"{\"code\":200,\"body\":[{\"id\":\"\",\"created_at\":\"2026-09-21T14:13:20Z\"}]}",
		"{\"code\":200,\"body\":[{\"id\":\"x\",\"created_at\":\"yesterday\"}]}",
		"{\"code\":200,\"body\":[7]}",
		"{\"code\":500,\"body\":[]}",
		"[",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct pgo_profefe_list l = {0};
		struct pgo_err err = PGO_ERR_INIT;

		if (pgo_profefe_list_parse("h:1", bad[i], strlen(bad[i]), &l, &err) != PGO_EFORMAT)
			fail_msg("%s was taken", bad[i]);
		assert_has(err.msg, "h:1");
		pgo_profefe_list_fini(&l);
	}
}

static void memory_that_ends_is_said_and_nothing_is_lost(void **state)
{
	static const char text[] =
		"{\"code\":200,\"body\":[{\"id\":\"a\",\"type\":\"cpu\",\"service\":\"s\","
		"\"labels\":"
		"[{\"key\":\"k\",\"value\":\"v\"}],\"created_at\":\"2026-09-21T14:13:20Z\"}]}";

	(void)state;
	for (uint64_t n = 0;; n++) {
		uint64_t live = pgo_alloc_live();
		struct pgo_profefe_list l = {0};
		struct pgo_err err = PGO_ERR_INIT;
		int64_t rc;

		pgo_alloc_fail_after(n);
		rc = pgo_profefe_list_parse("h:1", text, sizeof text - 1, &l, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		pgo_profefe_list_fini(&l);
		assert_int_equal(pgo_alloc_live(), live);
		if (rc == 1)
			break;
		assert_int_equal(rc, PGO_ENOMEM);
	}
}

/* ---------------------------------------------------------------- one profile, in and out */

static bool give(void *ctx, const struct canned_request *r)
{
	static const char list_of_one[] =
		"{\"code\":200,\"body\":[{\"id\":\"P0.s/1/x,v=1%2+b\",\"type\":\"cpu\",\"service\":"
		"\"..\",\"created_at\":\"2026-09-21T14:13:20Z\"}]}";
	struct shelf *s = ctx;

	snprintf(s->last, sizeof s->last, "%.*s", (int)sizeof s->last - 1, r->text);
	return canned_reply(r, "200 OK", "",
		strstr(r->text, "/services") != NULL ? "{\"code\":200,\"body\":[\"..\"]}"
						     : list_of_one);
}

static void ids_and_services_of_any_text_are_asked_for_as_they_are(void **state)
{
	struct shelf shelf = {0};
	struct canned *server = canned_start(give, &shelf);
	struct pgo_selection selection;
	struct pgo_query q = {.selection = &selection};
	struct pgo_http_request r = {0};
	struct pgo_http *http;
	struct pgo_source *s = open_at(server, &http, &q);
	struct seen seen = {0};

	(void)state;
	pgo_selection_init(&selection);
	assert_int_equal(s->ops->list(s, &q, see, &seen, NULL), 0);
	assert_int_equal(seen.n, 1);
	assert_has(seen.last, "/%2E%2E/cpu/2026-09-21T14:13:20Z/P0.s%2F1%2Fx%2Cv%3D1%252%2Bb");
	assert_int_equal(s->ops->request(s, seen.last, 0, &r, NULL), 0);
	assert_has(r.url, "/api/0/profiles/P0.s%2F1%2Fx%2Cv%3D1%25252%2Bb");
	s->ops->request_end(s, &r);
	pgo_source_close(s);
	pgo_http_free(http);
	canned_stop(server);
	pgo_selection_fini(&selection);
}

static void a_push_says_what_the_profile_is(void **state)
{
	struct shelf shelf = {.first = "200 OK", .answer = "{\"code\":200,\"body\":{}}"};
	struct canned *server = canned_start(serve, &shelf);
	struct pgo_record rec = {.kind = (char *)(uintptr_t) "pprof",
		.service = (char *)(uintptr_t) "shop/web",
		.host = (char *)(uintptr_t) "web 1",
		.time_ns = 1790000000 * SECOND_NS + 7};
	struct pgo_push_item item = {
		.path = scratch_file(*state, "p.pb.gz", "profile", 7), .record = &rec};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_http *http;
	struct pgo_source *s = open_at(server, &http, NULL);

	assert_int_equal(pgo_record_label(&rec, "zone", "a,b", NULL), 0);
	assert_int_equal(s->ops->put(s, &item, NULL), 0);
	assert_has(shelf.last,
		"POST "
		"/api/0/profiles?service=shop%2Fweb&type=cpu&created_at=2026-09-21T14%3A13%3A20"
		"&labels=host%3Dweb%25201%2Czone%3Da%252Cb ");
	assert_has(shelf.last, "\r\n\r\nprofile");
	rec.service = NULL;
	assert_int_equal(s->ops->put(s, &item, &err), PGO_EUSAGE);
	assert_has(err.msg, "--service");
	rec.service = (char *)(uintptr_t) "shop";
	rec.kind = (char *)(uintptr_t) "perf.data";
	assert_int_equal(s->ops->put(s, &item, &err), PGO_EUSAGE);
	assert_has(err.msg, "pgo import");
	for (size_t i = 0; i < rec.n_labels; i++) {
		pgo_free(rec.labels[i].key);
		pgo_free(rec.labels[i].value);
	}
	pgo_free(rec.labels);
	pgo_source_close(s);
	pgo_http_free(http);
	canned_stop(server);
}

/* ---------------------------------------------------------------- addresses */

static void addresses_are_taken_apart(void **state)
{
	static const struct {
		const char *url, *base, *name;
	} good[] = {
		{"profefe://h:1", "http://h:1", "h:1"},
		{"profefe+https://h/p/", "https://h/p", "h/p"},
		{"parca://[::1]:7070//", "http://[::1]:7070", "[::1]:7070"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct pgo_store_url u = {0};

		assert_int_equal(pgo_store_url_parse(good[i].url, NULL, NULL, &u, NULL), 0);
		assert_string_equal(u.base, good[i].base);
		assert_string_equal(u.name, good[i].name);
		pgo_store_url_fini(&u);
	}
	for (size_t i = 0; i < 4; i++) {
		static const char *const bad[] = {
			"profefe://", "profefe:///p", "profefe://u:p@h/", "profefe://h?x=1"};
		struct pgo_store_url u = {0};

		if (pgo_store_url_parse(bad[i], NULL, NULL, &u, NULL) != PGO_EUSAGE)
			fail_msg("%s was taken", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_profiles_than_a_list_holds_are_all_found),
		cmocka_unit_test(labels_are_judged_here_and_not_there),
		cmocka_unit_test(servers_that_are_not_profefe_are_named),
		cmocka_unit_test(an_empty_server_lists_nothing),
		cmocka_unit_test(lists_that_make_no_sense_are_refused),
		cmocka_unit_test(memory_that_ends_is_said_and_nothing_is_lost),
		cmocka_unit_test(ids_and_services_of_any_text_are_asked_for_as_they_are),
		cmocka_unit_test_setup_teardown(
			a_push_says_what_the_profile_is, scratch_up, scratch_down),
		cmocka_unit_test(addresses_are_taken_apart),
	};

	return cmocka_run_group_tests_name("profefe", tests, NULL, NULL);
}
