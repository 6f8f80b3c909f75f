/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stores that are servers have in common: an address KIND://HOST:PORT/PREFIX?NAME=VALUE&...
 * (KIND+https:// over TLS), names for what they list, and labels of theirs for a record.
 */
#ifndef PGO_FETCH_STORE_URL_H
#define PGO_FETCH_STORE_URL_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/manifest.h"

#include <stddef.h>

struct pgo_store_url {
	char *base; /* "http://HOST:PORT/PREFIX", without a slash at the end */
	char *name; /* "HOST:PORT/PREFIX": tells servers apart in names */
};

/*
 * Takes `url` apart.  Calls `parameter` for each NAME=VALUE behind a `?` (0, or an error; NULL = the
 * store knows none).  An address without a host, or with a password in it, is PGO_EUSAGE.
 */
int pgo_store_url_parse(const char *url,
	int (*parameter)(void *ctx, const char *name, const char *value, struct pgo_err *err),
	void *ctx, struct pgo_store_url *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_store_url_fini(struct pgo_store_url *u);

/* Appends one part of a name between slashes: any text, such that no part is ".", ".." or empty. */
void pgo_name_add(struct pgo_buf *to, const char *text);
/*
 * Gives the record what a store says of a profile: host, service and version (also under the names
 * that agents give them; `by_host` names the host if it is not NULL) into their fields, all
 * into its labels.  It goes before what the profile says of itself, since it is what users of the
 * store know and select by.
 */
int pgo_record_tell(struct pgo_record *rec, const struct pgo_kv *labels, size_t n,
	const char *by_host, struct pgo_err *err) PGO_MUST_CHECK;
/* Labels that name the host, the service or the version, the most telling first; ends with NULL. */
extern const char *const pgo_host_labels[], *const pgo_service_labels[],
						    *const pgo_version_labels[];

#endif
