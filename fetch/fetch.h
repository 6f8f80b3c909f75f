/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles from where production keeps them into the raw layout (pgo/core/manifest.h): every
 * selected profile once, byte for byte, with a manifest line. A second run over an unchanged source
 * transfers nothing.
 */
#ifndef PGO_FETCH_FETCH_H
#define PGO_FETCH_FETCH_H

#include "fetch/examine.h"
#include "fetch/http.h"
#include "pgo/core/err.h"
#include "pgo/core/manifest.h"

#include <stdint.h>

struct pgo_coverage;   /* fetch/coverage.h */
struct pgo_source_ops; /* fetch/source.h */

struct pgo_fetch_options {
	const char *const *urls; /* paths, globs, file:..., http:..., https:... */
	size_t n_urls;
	const char *out_dir;
	int64_t since_ns, until_ns; /* profile time; 0 = open */
	const char *const *selects; /* `key="value"`, `key!="v"`, `key=~"re"`, `key!~"re"`: host,
				       service, version, build_id or any label; all must hold */
	size_t n_selects;
	const char *by_host;      /* label that names the host; NULL = the usual ones */
	const char *const *types; /* sample types wanted: "cpu", "lbr_traces"; none = any */
	size_t n_types;
	const char *const *labels; /* `key=value`, for profiles that do not have that label */
	size_t n_labels;
	uint64_t max_profiles;         /* take a sample of so many (fetch/strata.h); 0 = all */
	struct pgo_coverage *coverage; /* zeroed; filled with what there was and what was taken
					  (pgo_coverage_fini); or NULL */
	struct pgo_address_stats *addresses; /* n_urls of them, zeroed: filled for each; or NULL */
	uint64_t max_object;                 /* bytes of one stored object; 0 = 4 GiB */
	struct pgo_http_options http;        /* for stores on the network */
	const struct pgo_source_ops *extra; /* a further kind of store, of the caller's own; or NULL
					     */
};

struct pgo_fetch_stats {
	uint64_t listed; /* objects the sources offered */
	uint64_t
		unchanged; /* known from the last run by size and time of change: not even opened */
	uint64_t examined; /* opened */
	uint64_t fetched, fetched_bytes;
	uint64_t duplicates; /* same bytes as a stored object */
	uint64_t not_selected, not_profiles, failed;
	uint64_t not_taken;                 /* beyond max_profiles */
	uint64_t erased;                    /* with neither addresses nor names; known ones too */
	uint64_t erased_new;                /* of them, found in this run */
	struct pgo_address_stats addresses; /* of the profiles looked into */
	uint64_t empty;                     /* the store has no samples there */
	uint64_t split;                     /* taken host by host instead */
	uint64_t retries, received_bytes;   /* over the network */
};

/* Goes on past a bad object (a warning and a count) and fails only if a source cannot be listed at
 * all, or if nothing at all is selected (PGO_EEMPTY). */
int pgo_fetch(const struct pgo_fetch_options *o, struct pgo_fetch_stats *ret,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
