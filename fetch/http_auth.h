/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who we are, for stores that are asked over HTTP and have no way of their own to say it (S3 does):
 *
 *	PGO_FETCH_TOKEN, PGO_FETCH_TOKEN_FILE	Authorization: Bearer; the file is read anew for
 *						every request, as tokens that expire are rewritten
 *	PGO_FETCH_USER, PGO_FETCH_PASSWORD	Authorization: Basic; only without a token
 *	PGO_FETCH_TENANT			X-Scope-OrgID
 *	PGO_FETCH_HEADERS			a file with further headers, `Name: value` a line
 *
 * Files that others can read are refused.  Where none of these gives an Authorization, .netrc may
 * (fetch/http.h).  Nothing of this is ever part of a message, and a redirect to another host does not
 * take it along.  Credentials over http: to another machine are sent, since that is what the user
 * asked for, but with a warning.
 */
#ifndef PGO_FETCH_HTTP_AUTH_H
#define PGO_FETCH_HTTP_AUTH_H

#include "fetch/http.h"

/* Adds those headers to the request whose `url` is set.  Suits pgo_http_request.sign, which is
 * called for every try. */
int pgo_http_auth_add(struct pgo_http_request *r, struct pgo_err *err) PGO_MUST_CHECK;
/* The contents of a file of secrets of at most 64 KiB, without white space at the end; PGO_EUSAGE
 * if others than its owner can read it.  Free with pgo_buf_fini(), whatever is returned. */
int pgo_secret_read(const char *path, struct pgo_buf *ret, struct pgo_err *err) PGO_MUST_CHECK;

#endif
