/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A place for whole objects under names of one's own choice: what `pgo publish` writes to and `pgo get`
 * reads from.
 *
 *	DIR, file:DIR            a directory; an object appears by rename
 *	s3://BUCKET/PREFIX, gs:  a bucket, as in fetch/source_s3.c, with the same credentials
 *	http://, https://        whatever serves the same names; reading only
 *
 * Names are relative, of letters, digits, '-', '_', '.' and '/', without "..".  Objects are small enough
 * for memory.
 */
#ifndef PGO_FETCH_OBJECTS_H
#define PGO_FETCH_OBJECTS_H

#include "fetch/http.h"
#include "pgo/core/buf.h"
#include "pgo/core/err.h"

#include <stdbool.h>

struct pgo_objects;

/* Nothing is asked yet.  PGO_EUSAGE for an address of another kind. */
struct pgo_objects *pgo_objects_open(
	const char *url, const struct pgo_http_options *o, struct pgo_err *err);
void pgo_objects_close(struct pgo_objects *o);
/* The address without secrets, for messages. */
const char *pgo_objects_name(const struct pgo_objects *o);
/* Fills *ret (pgo_buf_fini, also after a failure) with at most `max` bytes.  PGO_ENOTFOUND: there is no
 * such object; PGO_ENET or PGO_EIO: the place cannot be asked; PGO_ELIMIT. */
int pgo_objects_get(struct pgo_objects *o, const char *name, size_t max, struct pgo_buf *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Stores an object in the place of what has the name.  `once`: an object of that name is the same one,
 * and stays: 1 then, 0 otherwise. */
int pgo_objects_put(struct pgo_objects *o, const char *name, const void *data, size_t len,
	bool once, struct pgo_err *err) PGO_MUST_CHECK;

#endif
