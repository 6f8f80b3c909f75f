/* SPDX-License-Identifier: Apache-2.0 */
/* Asking a running program for a profile: how long it may take, and what it says instead of one. */
#ifndef PGO_FETCH_PULL_H
#define PGO_FETCH_PULL_H

#include "fetch/http.h"
#include "fetch/source.h"

/* Fills the request for `url`, which it keeps: the server may say nothing for as long as `seconds`
 * in it says and half as long again and five seconds more. */
void pgo_pull_request(struct pgo_http_request *r, const char *url);
/* pgo_source_ops.reply: refuses what is not 2xx, and text that stands where a profile should, such as
 * that another profile is being taken. */
int pgo_pull_reply(struct pgo_source *s, const char *name, unsigned part,
	const struct pgo_http_reply *reply, const char *path, struct pgo_err *err) PGO_MUST_CHECK;

#endif
