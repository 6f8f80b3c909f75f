/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that come in parts, replies that are to be asked for again, and hosts that a store joined,
 * with a store of our own whose server is ours too. */
#include "fetch/fetch.h"
#include "fetch/http_auth.h"
#include "fetch/source.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/pprof.h"
#include "tests/lib/canned.h"
#include "tests/lib/mkprofile.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---------------------------------------------------------------- a store of our own */

struct object {
	const char *name;
	unsigned parts;
	bool joined;
	const char *profile; /* its text; NULL = the server has nothing */
	unsigned fail_part;  /* 1-based: this one is refused */
	bool again;          /* each first answer is of no use */
};

static const struct object *objects;
static size_t n_objects;
static const char *split_into[4];
static unsigned asked, asked_again, splits;
static int64_t mtime_ns; /* of every object */
static char warned[8192];

static const struct object *find(const char *name, size_t len)
{
	for (size_t i = 0; i < n_objects; i++)
		if (strlen(objects[i].name) == len && memcmp(objects[i].name, name, len) == 0)
			return &objects[i];
	return NULL;
}

/* GET /NAME?part=N&of=M: that piece of the encoded profile, cut into M. */
static bool serve(void *ctx, const struct canned_request *r)
{
	const char *name = strchr(r->text, '/') + 1, *q = strchr(name, '?');
	unsigned part = 0, of = 0, try = 0;
	const struct object *o = find(name, (size_t)(q - name));
	struct pgo_profile *p;
	struct pgo_buf b;
	size_t from, to;
	bool ok;

	(void)ctx;
	assert_int_equal(sscanf(q, "?part=%u&of=%u&try=%u", &part, &of, &try), 3);
	__atomic_add_fetch(&asked, 1, __ATOMIC_RELAXED);
	if (o == NULL || o->fail_part == part + 1)
		return canned_reply(r, "403 Forbidden", "", "not for you");
	if (o->profile == NULL)
		return canned_reply(r, "204 No Content", "", "");
	if (o->again && try == 1)
		return canned_reply(r, "200 OK", "X-Useless: yes\r\n",
			"a much longer answer that "
			"is of no use at all");
	p = mkprofile(o->profile);
	pgo_buf_init(&b, 1 << 20);
	assert_int_equal(pgo_pprof_encode(p, true, &b, NULL), 0);
	from = b.len * part / of;
	to = b.len * (part + 1) / of;
	ok = canned_reply_bytes(r, "200 OK", "", b.data + from, to - from);
	pgo_buf_fini(&b);
	pgo_profile_free(p);
	return ok;
}

struct fake {
	struct pgo_source base;
	char *url;
	unsigned tries[64];
};

static struct pgo_source *fake_open(const char *url, struct pgo_err *err);

static void fake_close(struct pgo_source *s)
{
	pgo_free(((struct fake *)s)->url);
	pgo_free(s);
}

static int list_one(const struct object *o, pgo_each_listed *each, void *ctx, struct pgo_err *err)
{
	const struct pgo_listed l = {
		.name = o->name, .parts = o->parts, .mtime_ns = mtime_ns, .joined = o->joined};

	return each(ctx, &l, err);
}

static int fake_list(struct pgo_source *s, const struct pgo_query *q, pgo_each_listed *each,
	void *ctx, struct pgo_err *err)
{
	int rc = 0;

	(void)s;
	(void)q;
	for (size_t i = 0; i < n_objects && rc == 0; i++)
		if (objects[i].name[0] != '-') /* those are only there for a split */
			rc = list_one(&objects[i], each, ctx, err);
	return rc;
}

static int fake_request(struct pgo_source *s, const char *name, unsigned part,
	struct pgo_http_request *r, struct pgo_err *err)
{
	struct fake *f = (struct fake *)s;
	const struct object *o = find(name, strlen(name));
	unsigned *tries = &f->tries[(size_t)(o - objects) * 8 + part];

	(void)err;
	++*tries;
	r->url = pgo_asprintf("%s/%s?part=%u&of=%u&try=%u", f->url, name, part,
		o->parts > 1 ? o->parts : 1, *tries);
	return 0;
}

static void fake_request_end(struct pgo_source *s, struct pgo_http_request *r)
{
	(void)s;
	pgo_free((char *)r->url);
}

static int fake_reply(struct pgo_source *s, const char *name, unsigned part,
	const struct pgo_http_reply *reply, const char *path, struct pgo_err *err)
{
	(void)s;
	(void)name;
	(void)part;
	if (reply->status == 204)
		return pgo_err_set(err, PGO_EEMPTY, "nothing");
	if (reply->status != 200)
		return pgo_http_refused(reply, err);
	assert_true(pgo_path_exists(path));
	if (pgo_http_headers_get(&reply->headers, "x-useless") == NULL)
		return 0;
	asked_again++;
	return 1;
}

static int fake_assemble(struct pgo_source *s, const char *name, const char *const *paths, size_t n,
	const char *to_path, struct pgo_err *err)
{
	struct pgo_buf all;
	int rc = 0;

	(void)s;
	(void)name;
	pgo_buf_init(&all, 1 << 20);
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct pgo_buf one;

		rc = pgo_file_read(paths[i], 1 << 20, &one, err);
		pgo_buf_add(&all, one.data, one.len);
		pgo_buf_fini(&one);
	}
	if (rc == 0)
		rc = pgo_file_write(to_path, all.data, all.len, err);
	pgo_buf_fini(&all);
	return rc;
}

static int fake_split(struct pgo_source *s, const char *name, pgo_each_listed *each, void *ctx,
	struct pgo_err *err)
{
	int rc = 0;

	(void)s;
	(void)name;
	splits++;
	for (size_t i = 0; split_into[i] != NULL && rc == 0; i++)
		rc = list_one(find(split_into[i], strlen(split_into[i])), each, ctx, err);
	return rc;
}

static const struct pgo_source_ops fake_ops = {
	.scheme = "fake",
	.about = "a store of the test",
	.selects = true,
	.replaces = true,
	.no_addresses = "turn the addresses on",
	.open = fake_open,
	.close = fake_close,
	.list = fake_list,
	.request = fake_request,
	.request_end = fake_request_end,
	.reply = fake_reply,
	.assemble = fake_assemble,
	.split = fake_split,
};

static struct pgo_source *fake_open(const char *url, struct pgo_err *err)
{
	struct fake *f = pgo_calloc(1, sizeof *f);

	(void)err;
	f->base.ops = &fake_ops;
	f->url = pgo_strdup(url + strlen("fake:"));
	return &f->base;
}

/* ---------------------------------------------------------------- running it */

static void sink(void *ctx, enum pgo_level level, const char *domain, const char *text)
{
	size_t len = strlen(warned);

	(void)ctx;
	(void)domain;
	if (level == PGO_LEVEL_WARN)
		snprintf(warned + len, sizeof warned - len, "%s\n", text);
}

static int up(void **state)
{
	pgo_diag_set_sink(sink, NULL);
	warned[0] = '\0';
	memset(split_into, 0, sizeof split_into);
	asked = asked_again = splits = 0;
	mtime_ns = 5;
	return scratch_up(state);
}

static int fetch(void *state, const struct object *of, size_t n, struct pgo_fetch_options o,
	struct pgo_fetch_stats *stats, struct pgo_err *err)
{
	struct canned *s = canned_start(serve, NULL);
	char url[128], out[4096];
	const char *urls[] = {url};
	int rc;

	objects = of;
	n_objects = n;
	snprintf(url, sizeof url, "fake:%s", canned_url(s));
	snprintf(out, sizeof out, "%s/raw", scratch_dir(state));
	o.urls = urls;
	o.n_urls = 1;
	o.out_dir = out;
	o.extra = &fake_ops;
	o.http.backoff_ms = 1;
	rc = pgo_fetch(&o, stats, err);
	canned_stop(s);
	return rc;
}

static size_t stored(void *state, struct pgo_manifest *ret)
{
	struct pgo_manifest m;
	char path[4096];
	size_t n;

	snprintf(path, sizeof path, "%s/raw/manifest.jsonl", scratch_dir(state));
	pgo_manifest_init(&m);
	assert_int_equal(pgo_manifest_load(&m, path, NULL), 0);
	n = m.n_records;
	if (ret != NULL)
		*ret = m;
	else
		pgo_manifest_fini(&m);
	return n;
}

#define ONE_HOST "mapping 1000 5000 0 /bin/app abcd\n0x1234;0x1300 5\n0x1400 6\n"
#define OTHER_HOST "mapping 7000 b000 0 /bin/app abcd\n0x7234;0x7300 5\n0x7400 9\n"
#define BOTH_HOSTS "mapping 1000 5000 0 /bin/app abcd\n0x1234;0x1300 5\n1@0x7400 9\n"

/* ---------------------------------------------------------------- parts */

static void parts_are_put_together_in_their_order(void **state)
{
	static const struct object of[] = {
		{"svc/a", 5, false, ONE_HOST, 0, false}, {"svc/b", 0, false, OTHER_HOST, 0, false}};
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(fetch(*state, of, 2, (struct pgo_fetch_options){0}, &st, &err), 0);
	assert_int_equal(asked, 6);
	assert_int_equal(st.fetched, 2);
	assert_int_equal(stored(*state, NULL), 2);
	/* and no second time */
	assert_int_equal(fetch(*state, of, 2, (struct pgo_fetch_options){0}, &st, &err), 0);
	assert_int_equal(asked, 6);
	assert_int_equal(st.unchanged, 2);
}

static void an_object_with_a_part_missing_is_not_stored(void **state)
{
	static const struct object of[] = {
		{"svc/a", 3, false, ONE_HOST, 2, false}, {"svc/b", 2, false, OTHER_HOST, 0, false}};
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(fetch(*state, of, 2, (struct pgo_fetch_options){0}, &st, &err), 0);
	assert_int_equal(st.fetched, 1);
	assert_int_equal(st.failed, 1);
	assert_has(warned, "svc/a");
	assert_has(warned, "403");
	assert_int_equal(stored(*state, NULL), 1);
}

static void a_store_may_want_to_be_asked_otherwise(void **state)
{
	static const struct object of[] = {{"svc/a", 2, false, ONE_HOST, 0, true}};
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(fetch(*state, of, 1, (struct pgo_fetch_options){0}, &st, &err), 0);
	assert_int_equal(asked_again, 2);
	assert_int_equal(asked, 4);
	assert_int_equal(st.fetched, 1);
	assert_int_equal(st.examined, 1);
}

static void a_window_without_samples_is_remembered_and_no_failure(void **state)
{
	static const struct object of[] = {
		{"svc/a", 2, false, NULL, 0, false}, {"svc/b", 0, false, ONE_HOST, 0, false}};
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(fetch(*state, of, 2, (struct pgo_fetch_options){0}, &st, &err), 0);
	assert_int_equal(st.empty, 1);
	assert_int_equal(st.failed, 0);
	assert_int_equal(st.fetched, 1);
	asked = 0;
	assert_int_equal(fetch(*state, of, 2, (struct pgo_fetch_options){0}, &st, &err), 0);
	assert_int_equal(asked, 0);
	/* Nothing but that is no profile at all. */
	assert_int_equal(
		fetch(*state, of, 1, (struct pgo_fetch_options){0}, &st, &err), PGO_EEMPTY);
}

static void a_window_that_grew_takes_the_place_of_what_it_was(void **state)
{
	static const struct object before[] = {
		{"svc/a", 0, false, ONE_HOST, 0, false}, {"svc/b", 0, false, OTHER_HOST, 0, false}};
	static const struct object after[] = {{"svc/a", 0, false, BOTH_HOSTS, 0, false}};
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_manifest m;

	assert_int_equal(fetch(*state, before, 2, (struct pgo_fetch_options){0}, &st, &err), 0);
	mtime_ns = 6;
	assert_int_equal(fetch(*state, after, 1, (struct pgo_fetch_options){0}, &st, &err), 0);
	assert_int_equal(st.fetched, 1);
	assert_int_equal(stored(*state, &m), 2); /* that of svc/b is none of its business */
	for (size_t i = 0; i < 2; i++) {
		bool a = strcmp(m.records[i].source, "svc/a") == 0;

		assert_int_equal(m.records[i].source_mtime_ns, a ? 6 : 5);
	}
	pgo_manifest_fini(&m);
	/* It may come back to what it was, byte for byte. */
	mtime_ns = 7;
	assert_int_equal(fetch(*state, before, 1, (struct pgo_fetch_options){0}, &st, &err), 0);
	assert_int_equal(stored(*state, NULL), 2);
	assert_int_equal(fetch(*state, before, 1, (struct pgo_fetch_options){0}, &st, &err), 0);
	assert_int_equal(st.unchanged, 1);
}

static void a_window_that_grew_before_a_kill_is_replaced_by_the_next_run(void **state)
{
	static const struct object before[] = {{"svc/a", 0, false, ONE_HOST, 0, false}};
	static const struct object after[] = {{"svc/a", 0, false, BOTH_HOSTS, 0, false}};
	char *manifest = scratch_path(*state, "raw/manifest.jsonl");
	char *journal = scratch_path(*state, "raw/.journal.jsonl");
	char *kept = scratch_path(*state, "kept"), *raw = scratch_path(*state, "raw"), *object;
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf old, now;
	struct pgo_manifest m;

	assert_int_equal(fetch(*state, before, 1, (struct pgo_fetch_options){0}, &st, &err), 0);
	assert_int_equal(pgo_file_read(manifest, 1 << 20, &old, NULL), 0);
	assert_int_equal(stored(*state, &m), 1);
	object = pgo_object_path(raw, m.records[0].digest);
	assert_int_equal(link(object, kept), 0);
	mtime_ns = 6;
	assert_int_equal(fetch(*state, after, 1, (struct pgo_fetch_options){0}, &st, &err), 0);
	assert_false(pgo_path_exists(object));
	/* As if that run had been killed before it wrote the manifest: both states are there. */
	assert_int_equal(rename(kept, object), 0);
	assert_int_equal(pgo_file_read(manifest, 1 << 20, &now, NULL), 0);
	assert_int_equal(pgo_file_write(journal, now.data, now.len, NULL), 0);
	assert_int_equal(pgo_file_write(manifest, old.data, old.len, NULL), 0);
	asked = 0;
	assert_int_equal(fetch(*state, after, 1, (struct pgo_fetch_options){0}, &st, &err), 0);
	assert_null(strstr(warned, "missing"));
	assert_int_equal(asked, 0);
	assert_int_equal(stored(*state, NULL), 1);
	assert_false(pgo_path_exists(object));
	pgo_buf_fini(&old);
	pgo_buf_fini(&now);
	pgo_free(object);
	pgo_manifest_fini(&m);
}

/* ---------------------------------------------------------------- hosts that were joined */

static void hosts_are_taken_one_by_one_where_addresses_lie_outside(void **state)
{
	static const struct object of[] = {{"svc", 0, true, BOTH_HOSTS, 0, false},
		{"-svc/a", 2, false, ONE_HOST, 0, false},
		{"-svc/b", 0, false, OTHER_HOST, 0, false}};
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_manifest m;

	split_into[0] = "-svc/a";
	split_into[1] = "-svc/b";
	assert_int_equal(fetch(*state, of, 3, (struct pgo_fetch_options){0}, &st, &err), 0);
	assert_int_equal(st.split, 1);
	assert_int_equal(st.fetched, 2);
	assert_int_equal(st.listed, 3);
	assert_int_equal(splits, 1);
	assert_int_equal(stored(*state, &m), 2);
	for (size_t i = 0; i < 2; i++)
		assert_has(m.records[i].source, "-svc/");
	pgo_manifest_fini(&m);
	/* The joined one is not asked for again, and the hosts are known. */
	asked = 0;
	assert_int_equal(fetch(*state, of, 3, (struct pgo_fetch_options){0}, &st, &err), 0);
	assert_int_equal(asked, 0);
	assert_int_equal(st.unchanged, 3);
	assert_int_equal(splits, 2);
}

static void a_joined_object_without_known_hosts_is_stored_as_it_is(void **state)
{
	static const struct object of[] = {{"svc", 0, true, BOTH_HOSTS, 0, false}};
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(fetch(*state, of, 1, (struct pgo_fetch_options){0}, &st, &err), 0);
	assert_int_equal(st.fetched, 1);
	assert_has(warned, "--by-host");
	assert_int_equal(stored(*state, NULL), 1);
	/* Next time it is known. */
	asked = 0;
	assert_int_equal(fetch(*state, of, 1, (struct pgo_fetch_options){0}, &st, &err), 0);
	assert_int_equal(asked, 0);
	assert_int_equal(st.unchanged, 1);
}

static void joined_hosts_whose_addresses_fit_stay_joined(void **state)
{
	static const struct object of[] = {{"svc", 0, true, ONE_HOST, 0, false}};
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(fetch(*state, of, 1, (struct pgo_fetch_options){0}, &st, &err), 0);
	assert_int_equal(st.fetched, 1);
	assert_int_equal(splits, 0);
}

/* ---------------------------------------------------------------- addresses */

#define ERASED "mapping 1000 5000 0 /bin/app abcd f\n1@0x0;1@0x0 5\n"
#define NAMES "mapping 1000 5000 0 /bin/app abcd f\nmain;work 5\n"
#define NO_BUILD "mapping 1000 5000 0 /bin/app\n0x1100 5\n"

static void profiles_of_no_use_fail_and_say_what_to_change_each_time(void **state)
{
	static const struct object of[] = {{"svc/a", 0, false, ERASED, 0, false}};
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	for (int i = 0; i < 2; i++) { /* known from the first time, it is still of no use */
		pgo_err_clear(&err);
		assert_int_equal(
			fetch(*state, of, 1, (struct pgo_fetch_options){0}, &st, &err), PGO_EEMPTY);
		assert_has(err.msg, "turn the addresses on");
		assert_int_equal(st.erased, 1);
		assert_int_equal(st.erased_new, i == 0);
	}
	assert_int_equal(asked, 1);
}

static void addresses_are_counted_for_each_source_and_add_up(void **state)
{
	static const struct object of[] = {{"svc/a", 0, false, ONE_HOST, 0, false},
		{"svc/b", 0, false, NAMES, 0, false}, {"svc/c", 0, false, ERASED, 0, false},
		{"svc/d", 0, false, BOTH_HOSTS, 0, false}, {"svc/e", 0, false, NO_BUILD, 0, false}};
	struct pgo_address_stats a = {0};
	const struct pgo_address_account *l = &a.locations;
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(
		fetch(*state, of, 5, (struct pgo_fetch_options){.addresses = &a}, &st, &err), 0);
	assert_int_equal(a.profiles, 5);
	assert_int_equal(a.addressed, 3);
	assert_int_equal(a.symbolic, 1);
	assert_int_equal(a.erased, 1);
	assert_int_equal(a.outside, 1);
	assert_int_equal(a.no_build_id, 1);
	assert_int_equal(
		pgo_address_account_total(l), l->inside + l->outside + l->named + l->erased);
	assert_int_equal(l->outside, 1);
	assert_int_equal(l->inside, 3 + 2 + 1);
	assert_int_equal(l->named, 2);
	assert_has(warned, "1 profiles with neither");
	assert_has(warned, "outside of their mappings");
	assert_int_equal(st.fetched, 4);
}

/* ---------------------------------------------------------------- the query */

static void a_store_that_selects_is_not_judged_again_but_for_builds(void **state)
{
	static const struct object of[] = {{"svc", 0, false, ONE_HOST, 0, false}};
	static const char *const zone[] = {"zone=\"a\""}, *const build[] = {"build_id=\"ffff\""};
	static const char *const types[] = {"lbr_traces"};
	struct pgo_fetch_options o = {
		.selects = zone, .n_selects = 1, .types = types, .n_types = 1, .by_host = "pod"};
	struct pgo_fetch_stats st;
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(fetch(*state, of, 1, o, &st, &err), 0);
	assert_int_equal(st.fetched, 1);
	o.selects = build;
	assert_int_equal(fetch(*state, of, 1, o, &st, &err), PGO_EEMPTY);
}

static void queries_of_other_content_have_other_tags(void **state)
{
	static const char *const type[] = {"cpu"};
	struct pgo_selection a, b;
	struct pgo_query q = {.selection = &a}, p = {.selection = &b};
	char x[9], y[9];

	(void)state;
	pgo_selection_init(&a);
	pgo_selection_init(&b);
	assert_int_equal(pgo_selection_add(&a, "service=\"s\",host=~\"w.*\"", NULL), 0);
	assert_int_equal(pgo_query_tag(&q, x, NULL), 0);
	assert_string_equal(x, "");
	assert_int_equal(pgo_selection_add(&a, "zone=\"a\",arch!=\"arm\"", NULL), 0);
	assert_int_equal(pgo_selection_add(&b, "arch!=\"arm\",zone=\"a\"", NULL), 0);
	assert_int_equal(pgo_query_tag(&q, x, NULL), 0);
	assert_int_equal(pgo_query_tag(&p, y, NULL), 0);
	assert_int_equal(strlen(x), 8);
	assert_string_equal(x, y); /* in whatever order */
	p.types = type;
	p.n_types = 1;
	assert_int_equal(pgo_query_tag(&p, y, NULL), 0);
	assert_string_not_equal(x, y);
	pgo_selection_fini(&a);
	pgo_selection_fini(&b);
}

/* ---------------------------------------------------------------- credentials */

static void forget_environment(void)
{
	unsetenv("PGO_FETCH_TOKEN");
	unsetenv("PGO_FETCH_TOKEN_FILE");
	unsetenv("PGO_FETCH_USER");
	unsetenv("PGO_FETCH_PASSWORD");
	unsetenv("PGO_FETCH_TENANT");
	unsetenv("PGO_FETCH_HEADERS");
}

static const char *header(struct pgo_http_request *r, const char *name)
{
	const char *value = pgo_http_headers_get(&r->headers, name);

	return value != NULL ? value : "";
}

static void credentials_come_from_the_environment_and_private_files(void **state)
{
	struct pgo_http_request r = {.url = "https://x/"};
	struct pgo_err err = PGO_ERR_INIT;
	char *token = scratch_file(*state, "token", "token-two\n", 10);
	char *more = scratch_file(*state, "more", "# ours\nX-One: 1 \r\n\nX-Two:2", 27);

	forget_environment();
	assert_int_equal(pgo_http_auth_add(&r, &err), 0);
	assert_int_equal(r.headers.n, 0);
	setenv("PGO_FETCH_USER", "user", 1);
	setenv("PGO_FETCH_PASSWORD", "pass", 1);
	setenv("PGO_FETCH_TENANT", "team-1", 1);
	assert_int_equal(pgo_http_auth_add(&r, &err), 0);
	assert_string_equal(header(&r, "authorization"), "Basic dXNlcjpwYXNz");
	assert_string_equal(header(&r, "x-scope-orgid"), "team-1");
	pgo_http_headers_cut(&r.headers, 0);
	setenv("PGO_FETCH_TOKEN_FILE", token, 1);
	setenv("PGO_FETCH_HEADERS", more, 1);
	chmod(token, 0640);
	chmod(more, 0600);
	assert_int_equal(pgo_http_auth_add(&r, &err), PGO_EUSAGE);
	assert_has(err.msg, "chmod 600");
	assert_null(strstr(err.msg, "token-two"));
	pgo_http_headers_cut(&r.headers, 0);
	chmod(token, 0600);
	pgo_err_clear(&err);
	assert_int_equal(pgo_http_auth_add(&r, &err), 0);
	assert_string_equal(header(&r, "authorization"), "Bearer token-two");
	assert_string_equal(header(&r, "x-one"), "1");
	assert_string_equal(header(&r, "x-two"), "2");
	pgo_http_headers_fini(&r.headers);
	forget_environment();
}

static void headers_that_would_smuggle_another_are_refused(void **state)
{
	struct pgo_http_request r = {.url = "https://x/"};
	struct pgo_err err = PGO_ERR_INIT;
	char *more = scratch_file(*state, "more", "secret-without-colon", 20);

	forget_environment();
	chmod(more, 0600);
	setenv("PGO_FETCH_TENANT", "a\r\nX-Evil: 1", 1);
	assert_int_equal(pgo_http_auth_add(&r, &err), PGO_EUSAGE);
	unsetenv("PGO_FETCH_TENANT");
	setenv("PGO_FETCH_HEADERS", more, 1);
	assert_int_equal(pgo_http_auth_add(&r, &err), PGO_EUSAGE);
	assert_has(err.msg, "line 1");
	assert_null(strstr(err.msg, "secret"));
	pgo_http_headers_fini(&r.headers);
	forget_environment();
}

#define T(f) cmocka_unit_test_setup_teardown(f, up, scratch_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(parts_are_put_together_in_their_order),
		T(an_object_with_a_part_missing_is_not_stored),
		T(a_store_may_want_to_be_asked_otherwise),
		T(a_window_without_samples_is_remembered_and_no_failure),
		T(a_window_that_grew_takes_the_place_of_what_it_was),
		T(a_window_that_grew_before_a_kill_is_replaced_by_the_next_run),
		T(hosts_are_taken_one_by_one_where_addresses_lie_outside),
		T(a_joined_object_without_known_hosts_is_stored_as_it_is),
		T(joined_hosts_whose_addresses_fit_stay_joined),
		T(profiles_of_no_use_fail_and_say_what_to_change_each_time),
		T(addresses_are_counted_for_each_source_and_add_up),
		T(a_store_that_selects_is_not_judged_again_but_for_builds),
		T(queries_of_other_content_have_other_tags),
		T(credentials_come_from_the_environment_and_private_files),
		T(headers_that_would_smuggle_another_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
