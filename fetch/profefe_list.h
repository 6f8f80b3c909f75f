/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Profefe server answers when it is asked which profiles it has:
 *	{"code":200,"body":[{"id":"dc0u...","type":"cpu","service":"shop",
 *	  "labels":[{"key":"host","value":"web-1"}],"created_at":"2026-09-21T14:13:20Z"},...]}
 * and which services: {"code":200,"body":["a","b"]}.  Times are cut to seconds.
 */
#ifndef PGO_FETCH_PROFEFE_LIST_H
#define PGO_FETCH_PROFEFE_LIST_H

#include "pgo/core/err.h"
#include "pgo/core/manifest.h"

#include <stddef.h>
#include <stdint.h>

struct pgo_profefe_meta {
	char *id, *type, *service;
	char *name; /* of the object; set by the owner of the list */
	int64_t created_ns;
	struct pgo_kv *labels;
	size_t n_labels, labels_room;
};

struct pgo_profefe_list {
	struct pgo_profefe_meta *metas;
	size_t n, room;
};

void pgo_profefe_list_fini(struct pgo_profefe_list *l);
/* Appends what the reply `text` of the server `who` lists; the number of profiles, or an error. */
int64_t pgo_profefe_list_parse(const char *who, const char *text, size_t len,
	struct pgo_profefe_list *to, struct pgo_err *err) PGO_MUST_CHECK;
/* Calls `each` for every service. */
int pgo_profefe_services_parse(const char *who, const char *text, size_t len,
	int (*each)(void *ctx, const char *service, struct pgo_err *err), void *ctx,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Is a reply with status 404 Profefe's way to say that there is nothing? */
int pgo_profefe_is_none(const char *text, size_t len);

#endif
