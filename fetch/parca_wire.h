/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of Parca's query and profile store services (package parca.query.v1alpha1 and
 * parca.profilestore.v1alpha1) that we send and read.  Times are nanoseconds since the epoch.
 *
 * Writers append to a buffer; readers call back for each element, whose strings are borrowed.  What
 * is no protobuf is PGO_EFORMAT; fields that are not ours are passed over.
 */
#ifndef PGO_FETCH_PARCA_WIRE_H
#define PGO_FETCH_PARCA_WIRE_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/manifest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PGO_PARCA_QUERY "/parca.query.v1alpha1.QueryService/"
#define PGO_PARCA_WRITE "/parca.profilestore.v1alpha1.ProfileStoreService/WriteRaw"

/* A kind of column: what a query names as NAME:SAMPLE_TYPE:UNIT:PERIOD_TYPE:UNIT[:delta]. */
struct pgo_parca_type {
	char *name, *sample_type, *sample_unit, *period_type, *period_unit;
	bool delta; /* pushed with a duration */
};

/* One step of a range query: values of all profiles in it. */
struct pgo_parca_point {
	int64_t time_ns;
	int64_t value; /* their sum; of what has no duration, the first one's */
	int64_t count; /* rows: one for each profile, stack and set of labels */
};

void pgo_parca_put_types(struct pgo_buf *b, int64_t from_ns, int64_t to_ns);
void pgo_parca_put_labels(struct pgo_buf *b, int64_t from_ns, int64_t to_ns);
/* from <= time <= to, in steps that begin at multiples of step_ns, for each set of those labels. */
void pgo_parca_put_range(struct pgo_buf *b, const char *query, int64_t from_ns, int64_t to_ns,
	int64_t step_ns, char *const *sum_by, size_t n_sum_by);
/* All profiles in from <= time <= to as one pprof; with `group_by`, by values of that label. */
void pgo_parca_put_merge(
	struct pgo_buf *b, const char *query, int64_t from_ns, int64_t to_ns, const char *group_by);
/* The profiles of one millisecond as a pprof. */
void pgo_parca_put_single(struct pgo_buf *b, const char *query, int64_t time_ns);
/* A profile with its series' labels. */
void pgo_parca_put_profile(
	struct pgo_buf *b, const struct pgo_kv *labels, size_t n, const void *pprof, size_t len);

int pgo_parca_get_types(const void *data, size_t len,
	int (*each)(void *ctx, const struct pgo_parca_type *t, struct pgo_err *err), void *ctx,
	struct pgo_err *err) PGO_MUST_CHECK;
int pgo_parca_get_labels(const void *data, size_t len,
	int (*each)(void *ctx, const char *name, struct pgo_err *err), void *ctx,
	struct pgo_err *err) PGO_MUST_CHECK;
int pgo_parca_get_range(const void *data, size_t len,
	int (*each)(void *ctx, const struct pgo_kv *labels, size_t n,
		const struct pgo_parca_point *p, struct pgo_err *err),
	void *ctx, struct pgo_err *err) PGO_MUST_CHECK;
/* The pprof in the reply to a query (borrowed; of length 0 if there is none). */
int pgo_parca_get_pprof(const void *data, size_t len, const void **ret, size_t *ret_len,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
