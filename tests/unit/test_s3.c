/* SPDX-License-Identifier: Apache-2.0 */
/* What s3: needs besides HTTP and signatures: keys by template, pages of XML, credentials. */
#include "fetch/aws_conf.h"
#include "fetch/key_template.h"
#include "fetch/s3_list.h"
#include "pgo/core/alloc.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DAY_NS ((int64_t)86400 * 1000000000)

/* ---------------------------------------------------------------- templates */

static int matches(const char *template, const char *key, struct pgo_record *rec)
{
	struct pgo_key_template t;
	int rc;

	assert_int_equal(pgo_key_template_init(&t, template, NULL), 0);
	rc = pgo_key_template_match(&t, key, rec, NULL);
	pgo_key_template_fini(&t);
	return rc;
}

static void keys_match_as_far_as_the_template_goes(void **state)
{
	static const struct {
		const char *template, *key;
		int match;
	} cases[] = {
		{"", "anything/at/all", 1},
		{"prod/", "prod/x", 1},
		{"prod/", "test/x", 0},
		{"{service}/{date}/{host}/", "shop/2026-11-20/web-3/cpu.pb.gz", 1},
		{"{service}/{date}/{host}/", "shop/2026-11-2x/web-3/cpu.pb.gz", 0},
		{"{service}/{date}/{host}/", "shop/2026-11-20/cpu.pb.gz", 0},
		{"dt={date}/h={hour}/", "dt=2026-11-20/h=07/x", 1},
		{"dt={date}/h={hour}/", "dt=2026-11-20/h=7/x", 0},
		{"*/{host}.pb", "a/web.pb", 1},
		{"*/{host}.pb", "a/b/web.pb", 0},
		{"{host}-{version}.pb", "web-3-1.2.pb", 1},
		{"{year}/{month}/{day}/", "2026/11/20/x", 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (matches(cases[i].template, cases[i].key, NULL) != cases[i].match)
			fail_msg("%s against %s", cases[i].template, cases[i].key);
}

static void what_names_stand_for_are_labels(void **state)
{
	struct pgo_record rec = {0};

	(void)state;
	assert_int_equal(pgo_record_set(&rec.host, "said by the profile", NULL), 0);
	assert_int_equal(matches("{service}/{date}/{host}/{zone}/{build_id}-",
				 "shop/2026-11-20/web-3/eu-1/abc-1.pb", &rec),
		1);
	assert_string_equal(rec.service, "shop");
	assert_string_equal(rec.host, "said by the profile");
	assert_string_equal(pgo_record_get_label(&rec, "zone"), "eu-1");
	assert_null(pgo_record_get_label(&rec, "date"));
	pgo_record_fini(&rec);
}

static void templates_that_make_no_sense_are_refused(void **state)
{
	static const char *const bad[] = {
		"{host", "host}", "{}", "{a b}", "{host}{zone}", "a{/}", "{a}*"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct pgo_key_template t;
		struct pgo_err err = PGO_ERR_INIT;

		if (pgo_key_template_init(&t, bad[i], &err) != PGO_EUSAGE)
			fail_msg("%s was taken", bad[i]);
		assert_has(err.msg, bad[i]);
	}
}

struct prefixes {
	char text[4096];
	int n;
};

static int add_prefix(void *ctx, const char *prefix, struct pgo_err *err)
{
	struct prefixes *p = ctx;

	(void)err;
	p->n++;
	strcat(p->text, prefix);
	strcat(p->text, " ");
	return 0;
}

static void prefixes_of(
	const char *template, int64_t since_ns, int64_t until_ns, struct prefixes *ret)
{
	struct pgo_key_template t;

	memset(ret, 0, sizeof *ret);
	assert_int_equal(pgo_key_template_init(&t, template, NULL), 0);
	assert_int_equal(pgo_key_template_prefixes(
				 &t, since_ns, until_ns, 20000 * DAY_NS, add_prefix, ret, NULL),
		0);
	pgo_key_template_fini(&t);
}

static void days_are_listed_one_by_one_where_that_helps(void **state)
{
	struct prefixes p;

	(void)state;
	/* day 19999 is 2024-10-03 */
	prefixes_of("prod/dt={date}/", 19999 * DAY_NS, 0, &p);
	assert_string_equal(p.text,
		"prod/dt=2024-10-02 prod/dt=2024-10-03 prod/dt=2024-10-04 prod/dt=2024-10-05 ");
	prefixes_of("prod/dt={date}/", 0, 0, &p); /* no beginning */
	assert_string_equal(p.text, "prod/dt= ");
	prefixes_of("prod/{service}/{date}/", 19999 * DAY_NS, 0, &p);
	assert_string_equal(p.text, "prod/ ");
	prefixes_of("{date}/", 19990 * DAY_NS, 19991 * DAY_NS, &p);
	assert_int_equal(p.n, 4);
	prefixes_of("{date}/", 19000 * DAY_NS, 0, &p); /* too many */
	assert_string_equal(p.text, " ");
}

static void days_out_of_the_window_are_left_out(void **state)
{
	struct pgo_key_template t;
	const char *key = "shop/2024-10-03/x";

	(void)state;
	assert_int_equal(pgo_key_template_init(&t, "{service}/{date}/", NULL), 0);
	assert_true(pgo_key_template_in_time(&t, key, 0, 0));
	assert_true(pgo_key_template_in_time(&t, key, 19999 * DAY_NS, 20000 * DAY_NS));
	assert_true(
		pgo_key_template_in_time(&t, key, 20000 * DAY_NS, 0)); /* began before midnight */
	assert_false(pgo_key_template_in_time(&t, key, 20001 * DAY_NS, 0));
	assert_true(pgo_key_template_in_time(&t, key, 0, 19999 * DAY_NS));
	assert_false(pgo_key_template_in_time(&t, key, 0, 19998 * DAY_NS));
	assert_true(pgo_key_template_in_time(&t, "no match", 20002 * DAY_NS, 0));
	pgo_key_template_fini(&t);
}

/* ---------------------------------------------------------------- XML */

static void pages_of_any_namespace_are_read(void **state)
{
	static const char *const pages[] = {
		"<?xml version=\"1.0\"?><ListBucketResult "
		"xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
		"<Name>b</Name><KeyCount>2</KeyCount><IsTruncated>true</IsTruncated>"
		"<NextContinuationToken>t/+=</NextContinuationToken>"
		"<Contents><Key>a "
		"b+c&amp;d</Key><LastModified>2026-11-20T10:00:00.000Z</LastModified>"
		"<ETag>&#34;x&#34;</ETag><Size>12</Size><Owner><ID>1</ID></Owner></Contents>"
		"<Contents><Size>3</Size><Key>z\xc3\xa9</Key></Contents></ListBucketResult>",
		"<s:ListBucketResult xmlns:s=\"urn:x\"><s:Contents><s:Key>a b+c&amp;d</s:Key>"
		"<s:Size>12</s:Size><s:LastModified>2026-11-20T10:00:00Z</s:LastModified></"
		"s:Contents>"
		"<s:Contents><s:Key>z\xc3\xa9</s:Key></s:Contents>"
		"<s:NextContinuationToken>t/+=</s:NextContinuationToken>"
		"<s:IsTruncated>true</s:IsTruncated></s:ListBucketResult>",
		"<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a+b%2Bc%26d</Key>"
		"<Size>12</Size><LastModified>2026-11-20T10:00:00Z</LastModified></Contents>"
		"<Contents><Key>z%C3%A9</Key></Contents><IsTruncated>true</IsTruncated>"
		"<NextContinuationToken>t/+=</NextContinuationToken></ListBucketResult>",
	};

	(void)state;
	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
		struct pgo_s3_page p;
		struct pgo_err err = PGO_ERR_INIT;

		if (pgo_s3_page_parse("x", pages[i], strlen(pages[i]), &p, &err) != 0)
			fail_msg("%zu: %s", i, err.msg);
		assert_int_equal(p.n, 2);
		assert_string_equal(p.objects[0].key, "a b+c&d");
		assert_int_equal(p.objects[0].size, 12);
		assert_int_equal(p.objects[0].mtime_ns, (int64_t)1795168800 * 1000000000);
		assert_string_equal(p.objects[1].key, "z\xc3\xa9");
		assert_string_equal(p.token, "t/+=");
		pgo_s3_page_fini(&p);
	}
}

static void the_last_page_has_no_token(void **state)
{
	static const char text[] =
		"<ListBucketResult><IsTruncated>false</IsTruncated>"
		"<NextContinuationToken>x</NextContinuationToken></ListBucketResult>";
	struct pgo_s3_page p;

	(void)state;
	assert_int_equal(pgo_s3_page_parse("x", text, sizeof text - 1, &p, NULL), 0);
	assert_int_equal(p.n, 0);
	assert_null(p.token);
	pgo_s3_page_fini(&p);
}

static void what_is_no_listing_is_refused_and_leaks_nothing(void **state)
{
	static const char good[] =
		"<ListBucketResult><Contents><Key>abc</Key><Size>1</Size></Contents>"
		"<Contents><Key>def</Key></Contents><IsTruncated>true</IsTruncated>"
		"<NextContinuationToken>t</NextContinuationToken></ListBucketResult>";
	static const char *const bad[] = {"", "hello", "<html><body>Log in</body></html>",
		"<ListBucketResult>",
		"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
		("<!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult><Contents><Key>&a;</Key>"
		 "</Contents></ListBucketResult>"),
		"<Error><Code>NoSuchBucket</Code></Error>"};
	uint64_t live = pgo_alloc_live();
	struct pgo_s3_page p;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct pgo_err err = PGO_ERR_INIT;

		if (pgo_s3_page_parse("http://h/b", bad[i], strlen(bad[i]), &p, &err) == 0)
			fail_msg("%s was taken", bad[i]);
		assert_has(err.msg, "http://h/b");
	}
	for (size_t cut = 0; cut < sizeof good - 1; cut++)
		assert_true(pgo_s3_page_parse("x", good, cut, &p, NULL) < 0);
	for (uint64_t n = 0;; n++) {
		int rc;

		pgo_alloc_fail_after(n);
		rc = pgo_s3_page_parse("x", good, sizeof good - 1, &p, NULL);
		pgo_alloc_fail_after(UINT64_MAX);
		if (rc == 0)
			break;
		assert_int_equal(pgo_alloc_live(), live);
	}
	pgo_s3_page_fini(&p);
	assert_int_equal(pgo_alloc_live(), live);
}

static void errors_tell_their_fields(void **state)
{
	static const char text[] =
		"<?xml version=\"1.0\"?><Error><Code>AuthorizationHeaderMalformed</Code>"
		"<Message>the region</Message><Region>eu-central-1</Region></Error>";
	char *v = pgo_s3_error_field(text, sizeof text - 1, "Region");

	(void)state;
	assert_string_equal(v, "eu-central-1");
	pgo_free(v);
	assert_null(pgo_s3_error_field(text, sizeof text - 1, "Nothing"));
	assert_null(pgo_s3_error_field("no xml", 6, "Code"));
}

/* ---------------------------------------------------------------- credentials */

static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
	"AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
	"AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE",
	"AWS_SHARED_CREDENTIALS_FILE"};

static int clean(void **state)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unsetenv(names[i]);
	setenv("HOME", "/nonexistent", 1);
	return scratch_up(state);
}

static void files_of(void *state)
{
	static const char credentials[] =
		"# a comment\n[default]\naws_access_key_id = "
		"DEFAULT\naws_secret_access_key=one-secret\n\n"
		"[other]\r\naws_access_key_id=OTHER \r\naws_secret_access_key= s2=/+\r\n"
		"aws_session_token = t2\r\n";
	static const char config[] = "[default]\nregion = eu-1\ns3 =\n  endpoint_url = nested\n"
				     "[profile other]\nregion=eu-2\nendpoint_url = http://h:1\n";
	char *a = scratch_file(state, "credentials", credentials, sizeof credentials - 1);
	char *b = scratch_file(state, "config", config, sizeof config - 1);

	chmod(a, 0600);
	setenv("AWS_SHARED_CREDENTIALS_FILE", a, 1);
	setenv("AWS_CONFIG_FILE", b, 1);
}

static void nothing_known_is_anonymous(void **state)
{
	struct pgo_aws_conf c;

	(void)state;
	assert_int_equal(pgo_aws_conf_load(&c, NULL), 0);
	assert_null(c.credentials.key_id);
	assert_string_equal(c.region, "us-east-1");
	assert_string_equal(c.endpoint, "");
	pgo_aws_conf_fini(&c);
}

static void profiles_are_found_in_both_files(void **state)
{
	struct pgo_aws_conf c;

	files_of(*state);
	assert_int_equal(pgo_aws_conf_load(&c, NULL), 0);
	assert_string_equal(c.credentials.key_id, "DEFAULT");
	assert_string_equal(c.credentials.secret, "one-secret");
	assert_null(c.credentials.token);
	assert_string_equal(c.region, "eu-1");
	assert_string_equal(c.endpoint, "");
	pgo_aws_conf_fini(&c);
	setenv("AWS_PROFILE", "other", 1);
	assert_int_equal(pgo_aws_conf_load(&c, NULL), 0);
	assert_string_equal(c.credentials.key_id, "OTHER");
	assert_string_equal(c.credentials.secret, "s2=/+");
	assert_string_equal(c.credentials.token, "t2");
	assert_string_equal(c.region, "eu-2");
	assert_string_equal(c.endpoint, "http://h:1");
	pgo_aws_conf_fini(&c);
}

static void the_environment_comes_first(void **state)
{
	struct pgo_aws_conf c;

	files_of(*state);
	setenv("AWS_PROFILE", "other", 1);
	setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s0", 1);
	setenv("AWS_REGION", "eu-0", 1);
	setenv("AWS_ENDPOINT_URL", "http://all", 1);
	setenv("AWS_ENDPOINT_URL_S3", "http://s3", 1);
	assert_int_equal(pgo_aws_conf_load(&c, NULL), 0);
	assert_string_equal(c.credentials.key_id, "ENV");
	assert_string_equal(c.credentials.token, ""); /* not the file's */
	assert_string_equal(c.region, "eu-0");
	assert_string_equal(c.endpoint, "http://s3");
	pgo_aws_conf_fini(&c);
}

static void half_a_pair_and_open_files_are_refused(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_aws_conf c;

	setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
	assert_int_equal(pgo_aws_conf_load(&c, &err), PGO_EUSAGE);
	assert_has(err.msg, "AWS_SECRET_ACCESS_KEY is not");
	unsetenv("AWS_ACCESS_KEY_ID");
	files_of(*state);
	chmod(getenv("AWS_SHARED_CREDENTIALS_FILE"), 0644);
	assert_int_equal(pgo_aws_conf_load(&c, &err), PGO_EUSAGE);
	assert_has(err.msg, "chmod 600");
	assert_null(strstr(err.msg, "one-secret"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, clean, scratch_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_match_as_far_as_the_template_goes),
		cmocka_unit_test(what_names_stand_for_are_labels),
		cmocka_unit_test(templates_that_make_no_sense_are_refused),
		cmocka_unit_test(days_are_listed_one_by_one_where_that_helps),
		cmocka_unit_test(days_out_of_the_window_are_left_out),
		cmocka_unit_test(pages_of_any_namespace_are_read),
		cmocka_unit_test(the_last_page_has_no_token),
		cmocka_unit_test(what_is_no_listing_is_refused_and_leaks_nothing),
		cmocka_unit_test(errors_tell_their_fields),
		T(nothing_known_is_anonymous),
		T(profiles_are_found_in_both_files),
		T(the_environment_comes_first),
		T(half_a_pair_and_open_files_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
