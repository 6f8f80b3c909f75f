/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grafana Pyroscope, 1.x and 2.x, as a store: the inside of source_pyroscope.c, its listing, its
 * messages and its pushes.
 *
 * The interface is Connect over HTTP/1.1 POST with `Content-Type: application/proto`: the body is
 * one bare protobuf message, and so is the reply; an error is a status other than 200 with a JSON
 * object {"code", "message"}.  All methods are of querier.v1.QuerierService, pushes of
 * push.v1.PusherService.
 *
 * What is asked, and why (tried against 1.21.1 with both of its storages):
 *	Series		with exactly the labels service_name and __profile_type__ and no matcher: every
 *			service with its types.  The newer storage answers this from its index, and
 *			any other question that does not say service_name="..." with nothing at all
 *			as long as the profiles are fresh.
 *	SelectSeries	for each service, type and window: the sum of the values for each host.  It
 *			tells which hosts have samples there, and when a window has changed, for some
 *			bytes a host.
 *	SelectMergeStacktraces with format 4 (a pprof, in field 5 of the reply): the profile itself.
 *			Servers before 2.2 do not know the format and answer a flame graph (field 1);
 *			they are asked SelectMergeProfile instead, whose reply is the profile.  To
 *			find out, a question goes out first that wants one node.
 * A query may span 24 hours at most (querier.max-query-length), and what is older than 7 days
 * (querier.max-query-lookback) is left out without a word, unless the server is set otherwise.
 * max_nodes and go_pgo selectors are never used for profiles: they cut stacks off.
 */
#ifndef PGO_FETCH_PYROSCOPE_H
#define PGO_FETCH_PYROSCOPE_H

#include "fetch/http.h"
#include "fetch/source.h"
#include "pgo/core/arena.h"
#include "pgo/core/buf.h"
#include "pgo/core/map.h"
#include "pgo/core/wire.h"

#include <stdbool.h>
#include <stdint.h>

#define PGO_PYRO_QUERY "querier.v1.QuerierService/"
#define PGO_PYRO_PUSH "push.v1.PusherService/Push"

/* ---------------------------------------------------------------- messages */

/* A row of a reply: a set of labels and, from SelectSeries, the sum of its points. */
struct pgo_pyro_row {
	struct pgo_kv *labels; /* in order of the reply */
	size_t n_labels;
	double sum;
};

struct pgo_pyro_rows {
	struct pgo_arena arena; /* of labels and their strings */
	struct pgo_pyro_row *of;
	size_t n, room;
	int64_t from_ms; /* points from before count for nothing */
};

void pgo_pyro_rows_init(struct pgo_pyro_rows *r);
void pgo_pyro_rows_fini(struct pgo_pyro_rows *r);
/* The value of a label, "" if it is not there. */
const char *pgo_pyro_row_get(const struct pgo_pyro_row *r, const char *name);
/* Appends the rows of a reply to Series or SelectSeries; damaged ones are PGO_EFORMAT. */
int pgo_pyro_series_parse(
	struct pgo_pyro_rows *to, const void *data, size_t len, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_pyro_sums_parse(
	struct pgo_pyro_rows *to, const void *data, size_t len, struct pgo_err *err) PGO_MUST_CHECK;

/* Requests; times in milliseconds, both ends belong to the range. */
void pgo_pyro_series_ask(struct pgo_buf *b, const char *selector, const char *const *names,
	size_t n_names, int64_t from_ms, int64_t to_ms);
void pgo_pyro_sums_ask(struct pgo_buf *b, const char *type_id, const char *selector,
	const char *const *group_by, size_t n_group_by, int64_t from_ms, int64_t to_ms);
enum pgo_pyro_how { PGO_PYRO_PROBE, PGO_PYRO_STACKTRACES, PGO_PYRO_PROFILE };
void pgo_pyro_merge_ask(struct pgo_buf *b, enum pgo_pyro_how how, const char *type_id,
	const char *selector, int64_t from_ms, int64_t to_ms);

enum pgo_pyro_reply { PGO_PYRO_IS_EMPTY, PGO_PYRO_IS_FLAMEGRAPH, PGO_PYRO_IS_PPROF };
/* What a reply to SelectMergeStacktraces is, by its first byte. */
int pgo_pyro_reply_kind(
	const char *path, enum pgo_pyro_reply *ret, struct pgo_err *err) PGO_MUST_CHECK;
/* Takes the profile out of a reply to SelectMergeStacktraces: *ret points into `data`. */
int pgo_pyro_unwrap(
	const void *data, size_t len, struct pgo_wire *ret, struct pgo_err *err) PGO_MUST_CHECK;

/* Writes `name="value"` with quotes and backslashes as PromQL wants them; names that are no plain
 * ones are quoted too. */
void pgo_pyro_matcher(struct pgo_buf *b, const char *name, const char *op, const char *value);

/* ---------------------------------------------------------------- the store */

/* One sample type of one kind of profile: "process_cpu:samples:count:cpu:nanoseconds". */
struct pgo_pyro_type {
	char *id;
	char *name, *type, *unit, *period_type, *period_unit;
};

/* What is asked for as one profile: a service, a host and what else tells series apart, a window. */
struct pgo_pyro_object {
	char *name;
	char *selector;
	struct pgo_kv *labels; /* of the record */
	char *host_label;      /* "" = the store does not know hosts */
	uint32_t *types;       /* indices, in the order of columns */
	uint8_t *how;          /* enum pgo_pyro_how of each when last asked */
	size_t n_labels, n_types;
	int64_t from_ns, to_ns; /* from <= time < to */
	uint64_t sum;           /* of all values: what tells that it changed */
	int64_t window_ns;      /* end of the window, cut or not */
	unsigned splits;        /* times it came out of a split */
};

struct pgo_pyro {
	struct pgo_source base;
	char *root;  /* "http://host:port/base/", without a secret */
	char *place; /* "host:port/base": what names begin with */
	struct pgo_pyro_type *types;
	struct pgo_pyro_object *objects;
	size_t n_types, types_room, n_objects, objects_room;
	struct pgo_map by_name;
	bool known;            /* how profiles are asked for */
	enum pgo_pyro_how how; /* if known */
	int64_t now_ns;
};

/* Fills a request to a method: URL, headers, who we are; `body` is kept until the request's end. */
int pgo_pyro_prepare(const struct pgo_pyro *s, const char *method, const struct pgo_buf *body,
	struct pgo_http_request *r, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_pyro_request_fini(struct pgo_http_request *r);
/* The sentence for a reply that is no success: the server's own message where it is one. */
int pgo_pyro_refused(const struct pgo_http_reply *reply, struct pgo_err *err);

/* source.h: list and split. */
int pgo_pyro_list(struct pgo_source *src, const struct pgo_query *q, pgo_each_listed *each,
	void *ctx, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_pyro_split(struct pgo_source *src, const char *name, pgo_each_listed *each, void *ctx,
	struct pgo_err *err) PGO_MUST_CHECK;
/* source.h: put. */
int pgo_pyro_put(struct pgo_source *src, const struct pgo_push_item *item,
	struct pgo_err *err) PGO_MUST_CHECK;

struct pgo_pyro_object *pgo_pyro_find(const struct pgo_pyro *s, const char *name);
/* Takes what *o holds, even if it fails; a name that is there already keeps its first. */
int pgo_pyro_add(struct pgo_pyro *s, struct pgo_pyro_object *o, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_pyro_object_fini(struct pgo_pyro_object *o);

#endif
