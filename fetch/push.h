/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other direction: profiles from files into a store, by the `put` of its operations.
 *
 * What a store gets is a file with the bytes that it shall keep, and a record that describes them.
 * Stores that say `push_shaped` get the shape of fetch/push_shape.h, others the bytes of the user's
 * file.  A store of files or objects names what it gets by its content, so that a second push of the
 * same profile finds it there; a store that has its own ids is not asked and takes it twice: what it
 * then counts twice is the user's business, and pgo-push(1) says so.
 */
#ifndef PGO_FETCH_PUSH_H
#define PGO_FETCH_PUSH_H

#include "fetch/http.h"
#include "fetch/key_template.h"
#include "fetch/push_shape.h"
#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/manifest.h"

#include <stdint.h>

struct pgo_source_ops; /* fetch/source.h */

struct pgo_push_item {
	const char *path; /* the file with the bytes */
	/* Of those bytes: digest and size, kind, time and duration, host, service and version, other
	 * labels, build-ids, sample types.  `source` is the name of the user's file. */
	const struct pgo_record *record;
	unsigned part, parts; /* which piece of one profile this is, from 0; of how many */
};

/*
 * Appends the name under which a store of files or objects keeps the item: the template with every
 * {NAME} replaced by that label ({date} and the like by the profile's time, in UTC), and behind it
 * DIGEST.pb.gz, or what else fits the kind; a template that does not end in a slash gets one.
 * Slashes, percent signs and control bytes in labels become %XX, names of dots only %2E.
 * PGO_EUSAGE names the label that the profile does not have; a template with * or without its end
 * cannot be filled in.
 */
int pgo_push_name(const struct pgo_key_template *t, const struct pgo_push_item *item,
	struct pgo_buf *out, struct pgo_err *err) PGO_MUST_CHECK;

struct pgo_push_options {
	const char *const *files; /* profiles, recordings, directories of them or of fetch */
	size_t n_files;
	const char *url;
	const char *service, *host, *version; /* over what the profiles say; NULL = as they say */
	const char *const *labels;            /* `key=value`, likewise */
	size_t n_labels;
	const char *const *binaries; /* files with the program headers of what was profiled */
	size_t n_binaries;
	uint32_t max_samples; /* of one pushed profile; 0 = what the store takes */
	bool dry_run;         /* everything but the last step */
	struct pgo_http_options http;
	const struct pgo_source_ops *extra; /* as in struct pgo_fetch_options */
};

struct pgo_push_stats {
	uint64_t files;    /* read */
	uint64_t profiles; /* in them: a recording may hold several */
	uint64_t pieces;   /* put = present + new */
	uint64_t present;  /* were there before */
	uint64_t bytes;    /* of the new ones */
	bool shaped;
	struct pgo_shape_stats shape;
	uint64_t retries, sent_bytes;
};

/* Stops at the first file that cannot be read or put: what was put before stays. */
int pgo_push(const struct pgo_push_options *o, struct pgo_push_stats *ret,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
