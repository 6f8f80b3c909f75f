/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store as fetch sees it: a row of operations found by URL scheme.  A new kind of store is a new
 * row and a new file source_*.c.
 */
#ifndef PGO_FETCH_SOURCE_H
#define PGO_FETCH_SOURCE_H

#include "fetch/http.h"
#include "pgo/core/err.h"
#include "pgo/core/manifest.h"

#include <stdint.h>

/* An object as listed; strings are borrowed during the callback. */
struct pgo_listed {
	const char *name; /* unique within the source, relative, never with ".." */
	uint64_t size;
	int64_t mtime_ns;
};

struct pgo_source;

struct pgo_source_ops {
	const char *scheme; /* "file" */
	const char *about;
	struct pgo_source *(*open)(const char *url, struct pgo_err *err);
	void (*close)(struct pgo_source *s);
	/* Calls `each` for every object, in byte order of names; a non-zero result of `each` ends
	 * the listing and is returned. */
	int (*list)(struct pgo_source *s, int64_t since_ns, int64_t until_ns,
		int (*each)(void *ctx, const struct pgo_listed *l, struct pgo_err *err), void *ctx,
		struct pgo_err *err);
	/* Stores on this machine: copies the object's bytes into the file `to_path` (created), at
	 * most `max` bytes. PGO_EIO if that file cannot be written; every other code means the
	 * object. */
	int (*get)(struct pgo_source *s, const char *name, const char *to_path, uint64_t max,
		struct pgo_err *err);
	/* Where the object can be read without copying it (pgo_free), for stores that are local;
	 * NULL elsewhere. */
	char *(*local)(struct pgo_source *s, const char *name);
	/* Stores on the network, instead of get: fills `r` (zeroed, but for to_path and max) with
	 * the request that gets the object.  What it points to lives until request_end, which is
	 * NULL where it is the source's own. */
	int (*request)(struct pgo_source *s, const char *name, struct pgo_http_request *r,
		struct pgo_err *err);
	void (*request_end)(struct pgo_source *s, struct pgo_http_request *r);
	/* Gives the record the labels that the object's name tells, where it has none; NULL = none
	 * do. */
	int (*describe)(struct pgo_source *s, const char *name, struct pgo_record *rec,
		struct pgo_err *err);
};

struct pgo_source {
	const struct pgo_source_ops *ops;
	struct pgo_http *http; /* borrowed; for stores on the network, set before list is called */
};

/* "path", "file:///path", glob, or "scheme://..."; an unknown scheme is PGO_EUSAGE and names the
 * known ones. */
struct pgo_source *pgo_source_open(const char *url, struct pgo_err *err);
void pgo_source_close(struct pgo_source *s);
extern const struct pgo_source_ops pgo_source_file, pgo_source_http, pgo_source_https,
	pgo_source_s3, pgo_source_gs;

#endif
