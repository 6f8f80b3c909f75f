/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bucket, as its three files share it: source_s3.c knows the address and asks for objects,
 * source_s3_list.c walks the listing, source_s3_put.c stores.
 */
#ifndef PGO_FETCH_SOURCE_S3_IMPL_H
#define PGO_FETCH_SOURCE_S3_IMPL_H

#include "fetch/aws_conf.h"
#include "fetch/key_template.h"
#include "fetch/s3_error.h"
#include "fetch/source.h"

#include <stdbool.h>

struct pgo_s3_source {
	struct pgo_source base;
	struct pgo_aws_conf conf;
	struct pgo_key_template keys;
	char *bucket, *bearer;
	char *root; /* URL of the bucket, without a slash at the end */
	bool google, path_style, region_given;
	bool moved;          /* to a region that the server named, once */
	bool no_conditions;  /* the server does not know If-None-Match */
	struct pgo_err over; /* why nothing more is asked */
};

/*
 * Asks for root + `rest`, signed, in another region where the server names one.  `r` is filled but
 * for url, sign and ctx.  0 for a reply of any status (pgo_http_reply_fini).
 */
int pgo_s3_ask(struct pgo_s3_source *s, const char *rest, struct pgo_http_request *r,
	struct pgo_http_reply *reply, struct pgo_err *err) PGO_MUST_CHECK;
/* The sentence about a reply that is not what was hoped for, with the bucket's address. */
int pgo_s3_refuse(
	const struct pgo_s3_source *s, const struct pgo_http_reply *reply, struct pgo_err *err);

/* Rows of the operations (fetch/source.h). */
int pgo_s3_list(struct pgo_source *src, const struct pgo_query *q, pgo_each_listed *each, void *ctx,
	struct pgo_err *err);
int pgo_s3_put(struct pgo_source *src, const struct pgo_push_item *item, struct pgo_err *err);

#endif
