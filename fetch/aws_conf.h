/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who we are and where the store is, from the places that Amazon's own tools look at:
 *
 *	credentials	AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN; else the
 *			profile in AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials); else in
 *			AWS_CONFIG_FILE (~/.aws/config); else none: the store is asked anonymously
 *	region		AWS_REGION, AWS_DEFAULT_REGION, the profile's `region`, us-east-1
 *	endpoint	AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the profile's `endpoint_url`, Amazon
 *	profile		AWS_PROFILE, AWS_DEFAULT_PROFILE, "default"
 *
 * Not asked: the metadata services of machines and containers, single sign-on, roles to assume,
 * credential processes.  Their tools put what they get into the environment.
 *
 * A file that others may read and that has a secret in it is refused.
 */
#ifndef PGO_FETCH_AWS_CONF_H
#define PGO_FETCH_AWS_CONF_H

#include "fetch/aws_sign.h"
#include "pgo/core/err.h"

struct pgo_aws_conf {
	struct pgo_aws_credentials credentials;
	char *region;
	char *endpoint; /* "" = Amazon's own */
};

/* Fills *ret (pgo_aws_conf_fini). */
int pgo_aws_conf_load(struct pgo_aws_conf *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_aws_conf_fini(struct pgo_aws_conf *c);

#endif
