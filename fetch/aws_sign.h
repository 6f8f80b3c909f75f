/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests signed as S3 and its relatives want them: AWS Signature Version 4, in a header.
 *
 *	canonical request = method \n path \n query, sorted \n headers, lower case, sorted \n
 *			    names of them \n SHA-256 of the body
 *	string to sign	  = AWS4-HMAC-SHA256 \n time \n DATE/REGION/SERVICE/aws4_request \n
 *			    SHA-256 of the canonical request
 *	key		  = HMAC over HMAC of "AWS4" secret, date, region, service, "aws4_request"
 *
 * Done here and not by libcurl, whose releases differ in what they encode and add; its own signing
 * is off.  The URL must be spelled as it is to be signed: every byte of path and query but
 * letters, digits and -_.~ (and / in the path) as %XX.
 */
#ifndef PGO_FETCH_AWS_SIGN_H
#define PGO_FETCH_AWS_SIGN_H

#include "fetch/http.h"
#include "pgo/core/err.h"

#include <stdint.h>

struct pgo_aws_credentials {
	char *key_id, *secret; /* NULL: nothing is signed */
	char *token;           /* of a session; NULL or "" = none */
};

/*
 * Adds host, x-amz-date, x-amz-content-sha256, x-amz-security-token and authorization to a request;
 * all of its headers are signed.  `time_s`: now, in seconds since 1970; servers allow some minutes.
 */
int pgo_aws_sign(struct pgo_http_request *r, const struct pgo_aws_credentials *c,
	const char *region, const char *service, int64_t time_s,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
