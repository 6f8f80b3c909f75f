/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store as fetch sees it: a row of operations found by URL scheme.  A new kind of store is a new
 * row and a new file source_*.c.
 */
#ifndef PGO_FETCH_SOURCE_H
#define PGO_FETCH_SOURCE_H

#include "fetch/http.h"
#include "fetch/select.h"
#include "pgo/core/err.h"
#include "pgo/core/manifest.h"

#include <stdbool.h>
#include <stdint.h>

/* What is asked of a store; everything is borrowed from the caller for as long as the source is open. */
struct pgo_query {
	int64_t since_ns, until_ns; /* ns since the epoch, since <= time < until; 0 = open */
	const struct pgo_selection *selection; /* the matchers that the user gave; never NULL */
	const char *by_host;      /* label that names the host; NULL = the store's default */
	const char *const *types; /* sample types wanted: "cpu", "lbr_traces"; none = all that the
				     store holds of CPU time and branches */
	size_t n_types;
};

/*
 * An object as listed; strings are borrowed during the callback.
 *
 * A store that is asked by queries has no objects of its own: it lists virtual ones, each a series,
 * a host and a window of at most 24 hours.  Their names begin with the server (host:port of the URL,
 * which tells two stores apart) and hold everything that their content depends on:
 *	parca.example:7070/checkout/host-a/2026-11-20T00:00:00Z+24h
 * with the pgo_query_tag() of the query in it if that is not "".  A window that is over keeps size
 * and mtime, so that no later run asks for it; one that is not over says another mtime each time.
 */
struct pgo_listed {
	const char *name; /* unique within the source, relative, never with ".." */
	uint64_t size;
	int64_t mtime_ns;
	unsigned parts; /* replies that it is made of; 0 and 1 = one */
	bool joined;    /* of several hosts: split() knows what may stand for it */
};

typedef int pgo_each_listed(void *ctx, const struct pgo_listed *l, struct pgo_err *err);

struct pgo_source;
struct pgo_push_item; /* fetch/push.h */

struct pgo_source_ops {
	const char *scheme; /* "file" */
	const char *about;
	/* The store applies the matchers (but for those of build_id), the types and the time range
	 * of the query itself: what it gives is not judged by them again. */
	bool selects;
	/* An object that comes in another state (size, mtime) than before stands for what it was:
	 * windows that grow.  Elsewhere both are kept. */
	bool replaces;
	/* What to change where profiles of this store have no addresses: half a sentence, or NULL. */
	const char *no_addresses;
	/* Profiles are pushed in the shape that stores keep whole (fetch/push_shape.h), in pieces of
	 * at most so many samples (0 = any number); else as the bytes they are. */
	bool push_shaped;
	uint32_t push_samples;
	struct pgo_source *(*open)(const char *url, struct pgo_err *err);
	void (*close)(struct pgo_source *s);
	/* Calls `each` for every object, in byte order of names; a non-zero result of `each` ends
	 * the listing and is returned. */
	int (*list)(struct pgo_source *s, const struct pgo_query *q, pgo_each_listed *each,
		void *ctx, struct pgo_err *err);
	/* Stores on this machine: copies the object's bytes into the file `to_path` (created), at
	 * most `max` bytes. PGO_EIO if that file cannot be written; every other code means the
	 * object. */
	int (*get)(struct pgo_source *s, const char *name, const char *to_path, uint64_t max,
		struct pgo_err *err);
	/* Where the object can be read without copying it (pgo_free), for stores that are local;
	 * NULL elsewhere. */
	char *(*local)(struct pgo_source *s, const char *name);
	/* Stores on the network, instead of get: fills `r` (zeroed, but for to_path and max) with
	 * the request that gets one part (from 0 on) of the object.  What it points to lives until
	 * request_end, which is NULL where it is the source's own.  Parts are asked for many at a
	 * time, in order. */
	int (*request)(struct pgo_source *s, const char *name, unsigned part,
		struct pgo_http_request *r, struct pgo_err *err);
	void (*request_end)(struct pgo_source *s, struct pgo_http_request *r);
	/*
	 * Judges a reply of any status; the body of a 2xx one is the file `path` (which is not there
	 * if the body is empty).  0: good; 1: ask for this part again (request() knows how; three
	 * times at most); PGO_EEMPTY: the store has no samples there, which is no failure; another
	 * code: refused.  NULL: 2xx is good.  Must not ask anything of the network.
	 */
	int (*reply)(struct pgo_source *s, const char *name, unsigned part,
		const struct pgo_http_reply *reply, const char *path, struct pgo_err *err);
	/*
	 * An object could not be had: what it was asked for was too much at a time (PGO_ELIMIT), or
	 * there was no reply at all (PGO_ENET).  The number of parts, more than before, in which it
	 * is asked for from the beginning; 0 = it stays a failure.  NULL = never.
	 */
	unsigned (*refine)(struct pgo_source *s, const char *name, int why);
	/*
	 * Makes the object, an ordinary profile, out of its parts: paths[i] holds the body of part i
	 * as it came over the wire, or is NULL where that part was PGO_EEMPTY.  Unwraps, undoes what
	 * the store did to the values, joins columns by stack, and writes `to_path`.  PGO_EEMPTY: no
	 * samples.  PGO_EIO only for what cannot be written.  NULL: the one part is the object.
	 */
	int (*assemble)(struct pgo_source *s, const char *name, const char *const *paths, size_t n,
		const char *to_path, struct pgo_err *err);
	/* Lists the objects of single hosts that together stand for `name`, a joined one; called
	 * when it has locations outside of their mappings.  None listed = it cannot be split.  May
	 * ask the network.  NULL = never. */
	int (*split)(struct pgo_source *s, const char *name, pgo_each_listed *each, void *ctx,
		struct pgo_err *err);
	/* Gives the record the labels that the object's name tells, where it has none; NULL = none
	 * do. */
	int (*describe)(struct pgo_source *s, const char *name, struct pgo_record *rec,
		struct pgo_err *err);
	/* Stores one profile.  1: it was there before; 0: it is now.  NULL = this kind of store
	 * takes none. */
	int (*put)(struct pgo_source *s, const struct pgo_push_item *item, struct pgo_err *err);
};

struct pgo_source {
	const struct pgo_source_ops *ops;
	struct pgo_http *http; /* borrowed; for stores on the network, set before list is called */
	const struct pgo_query *query; /* borrowed; set before list is called, NULL when pushing */
};

/* Eight hexadecimal digits that tell queries apart whose objects differ in content though their
 * service, host and window are the same: by other matchers, and by types; "" if there are none. */
int pgo_query_tag(const struct pgo_query *q, char ret[9], struct pgo_err *err) PGO_MUST_CHECK;

/* "path", "file:///path", glob, or "scheme://..."; an unknown scheme is PGO_EUSAGE and names the
 * known ones.  `extra` is one more kind, or NULL. */
struct pgo_source *pgo_source_open(
	const char *url, const struct pgo_source_ops *extra, struct pgo_err *err);
void pgo_source_close(struct pgo_source *s);
extern const struct pgo_source_ops pgo_source_datadog;
extern const struct pgo_source_ops pgo_source_file;
extern const struct pgo_source_ops pgo_source_gcp;
extern const struct pgo_source_ops pgo_source_gs;
extern const struct pgo_source_ops pgo_source_http;
extern const struct pgo_source_ops pgo_source_https;
extern const struct pgo_source_ops pgo_source_parca;
extern const struct pgo_source_ops pgo_source_parca_https;
extern const struct pgo_source_ops pgo_source_profefe;
extern const struct pgo_source_ops pgo_source_profefe_https;
extern const struct pgo_source_ops pgo_source_pyroscope;
extern const struct pgo_source_ops pgo_source_pyroscope_https;
extern const struct pgo_source_ops pgo_source_s3;
extern const struct pgo_source_ops pgo_source_targets_dns;
extern const struct pgo_source_ops pgo_source_targets_file;
extern const struct pgo_source_ops pgo_source_targets_http;
extern const struct pgo_source_ops pgo_source_targets_https;
extern const struct pgo_source_ops pgo_source_targets_srv;

#endif
