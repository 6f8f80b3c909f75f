/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects that came with the listing: stores that answer with profiles themselves, not with names of
 * profiles.  Their bytes wait in a file without a name until they are asked for.  Each is known by a
 * name that holds the digest of its bytes, so what was there before is known again, whatever the
 * store calls it.
 */
#ifndef PGO_FETCH_HELD_H
#define PGO_FETCH_HELD_H

#include "fetch/source.h"

struct pgo_held_item {
	char *name;
	uint64_t at, len;
	int64_t time_ns; /* of the profile, as the store says; 0 = it does not */
	struct pgo_kv *labels;
	size_t n_labels, labels_room;
};

struct pgo_held {
	int fd; /* -1 = nothing yet */
	uint64_t end;
	struct pgo_held_item *items;
	size_t n, room;
};

void pgo_held_init(struct pgo_held *h);
void pgo_held_fini(struct pgo_held *h);
/* Keeps a copy of the bytes under PREFIX/NAME@DIGEST (name in parts between slashes, made safe). */
int pgo_held_add(struct pgo_held *h, const char *prefix, const char *name, const void *bytes,
	size_t len, int64_t time_ns, struct pgo_err *err) PGO_MUST_CHECK;
/* A label of the item added last; an empty value is none. */
int pgo_held_label(
	struct pgo_held *h, const char *key, const char *value, struct pgo_err *err) PGO_MUST_CHECK;
/* The operations of pgo_source_ops, over what is held. */
int pgo_held_list(
	struct pgo_held *h, pgo_each_listed *each, void *ctx, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_held_get(const struct pgo_held *h, const char *name, const char *to_path, uint64_t max,
	struct pgo_err *err) PGO_MUST_CHECK;
int pgo_held_describe(const struct pgo_held *h, const char *name, const char *by_host,
	struct pgo_record *rec, struct pgo_err *err) PGO_MUST_CHECK;
/* Such sources are asked for connections (pgo_source.http) by having a `request`; this one says that
 * it should not have been called. */
int pgo_held_request(struct pgo_source *s, const char *name, unsigned part,
	struct pgo_http_request *r, struct pgo_err *err) PGO_MUST_CHECK;

#endif
