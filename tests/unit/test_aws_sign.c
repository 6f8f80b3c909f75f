/* SPDX-License-Identifier: Apache-2.0 */
/* Against the worked examples of Amazon's description of Signature Version 4 for S3. */
#include "fetch/aws_sign.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <string.h>

#define EXAMPLE_TIME 1369353600 /* 2013-05-24, midnight */

static char key_id[] = "AKIAIOSFODNN7EXAMPLE";
static char secret[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
static const struct pgo_aws_credentials example = {key_id, secret, NULL};

static void signature_is(struct pgo_http_request *r, const char *names, const char *signature)
{
	struct pgo_err err = PGO_ERR_INIT;
	const char *text;
	char want[512];

	assert_int_equal(pgo_aws_sign(r, &example, "us-east-1", "s3", EXAMPLE_TIME, &err), 0);
	text = pgo_http_headers_get(&r->headers, "Authorization");
	assert_non_null(text);
	snprintf(want, sizeof want,
		"AWS4-HMAC-SHA256 Credential=%s/20130524/us-east-1/s3/aws4_request,"
		"SignedHeaders=%s,Signature=%s",
		key_id, names, signature);
	assert_string_equal(text, want);
	pgo_http_headers_fini(&r->headers);
}

static void an_object_is_got(void **state)
{
	struct pgo_http_request r = {.url = "https://examplebucket.s3.amazonaws.com/test.txt"};

	(void)state;
	pgo_http_headers_add(&r.headers, "Range", "bytes=0-9");
	signature_is(&r, "host;range;x-amz-content-sha256;x-amz-date",
		"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void an_object_is_put(void **state)
{
	static const char body[] = "Welcome to Amazon S3.";
	struct pgo_http_request r = {
		.url = "https://examplebucket.s3.amazonaws.com/test%24file.text",
		.method = "PUT",
		.body = body,
		.body_len = sizeof body - 1};

	(void)state;
	pgo_http_headers_add(&r.headers, "Date", "Fri, 24 May 2013 00:00:00 GMT");
	pgo_http_headers_add(&r.headers, "x-amz-storage-class", "REDUCED_REDUNDANCY");
	signature_is(&r, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
		"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void a_parameter_without_a_value_is_signed_with_an_equals_sign(void **state)
{
	struct pgo_http_request r = {.url = "https://examplebucket.s3.amazonaws.com/?lifecycle"};

	(void)state;
	signature_is(&r, "host;x-amz-content-sha256;x-amz-date",
		"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

static void parameters_are_sorted(void **state)
{
	static const char *const urls[] = {
		"https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J",
		"https://examplebucket.s3.amazonaws.com/?prefix=J&max-keys=2",
		"https://examplebucket.s3.amazonaws.com?prefix=J&max-keys=2",
	};

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		struct pgo_http_request r = {.url = urls[i]};

		signature_is(&r, "host;x-amz-content-sha256;x-amz-date",
			"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
	}
}

static void a_session_token_is_sent_and_signed(void **state)
{
	static char token[] = "a token";
	struct pgo_aws_credentials c = {key_id, secret, token};
	struct pgo_http_request r = {.url = "http://127.0.0.1:9000/bucket/key"};

	(void)state;
	assert_int_equal(pgo_aws_sign(&r, &c, "eu-1", "s3", EXAMPLE_TIME, NULL), 0);
	assert_string_equal(pgo_http_headers_get(&r.headers, "x-amz-security-token"), "a token");
	assert_string_equal(pgo_http_headers_get(&r.headers, "host"), "127.0.0.1:9000");
	assert_non_null(strstr(pgo_http_headers_get(&r.headers, "authorization"),
		"SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"));
	pgo_http_headers_fini(&r.headers);
}

static void without_credentials_nothing_is_added(void **state)
{
	const struct pgo_aws_credentials none = {0};
	struct pgo_http_request r = {.url = "https://h/p"};

	(void)state;
	assert_int_equal(pgo_aws_sign(&r, &none, "r", "s3", EXAMPLE_TIME, NULL), 0);
	assert_int_equal(r.headers.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_object_is_got),
		cmocka_unit_test(an_object_is_put),
		cmocka_unit_test(a_parameter_without_a_value_is_signed_with_an_equals_sign),
		cmocka_unit_test(parameters_are_sorted),
		cmocka_unit_test(a_session_token_is_sent_and_signed),
		cmocka_unit_test(without_credentials_nothing_is_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
