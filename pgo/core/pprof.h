/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile.proto (package perftools.profiles) <-> the model of pgo/core/profile.h.
 *
 * Reading streams over the top-level fields: the tables are decoded field by field, with a byte
 * budget; the inflated bytes, most of them samples, which most producers write before the tables,
 * are kept up to a limit, past which the input is read a second time.  Nothing is ever decoded as a
 * whole, so a profile of a gigabyte costs its tables plus that limit.
 *
 * Accepted: gzip (the format's rule), zstd and plain; packed and unpacked repeated scalars; ids
 * that are not dense; strings that are not UTF-8. Refused with the place (byte offset, field,
 * index): truncation, ids that are 0, twice there or missing, string indices out of range, a first
 * string that is not "", value counts that differ from the sample types, two profiles one after the
 * other, text that is no protobuf. Limits (messages, strings, inflated bytes) make hostile input an
 * error, never an outage.
 *
 * Comments that say where a profile comes from ("pgo-input: ...", "pgo-day: ...") may be thousands,
 * and pprof prints all comments above every report: they are written as field 1001 of the profile,
 * strings without the "pgo-", which other readers pass over.
 *
 * Writing is deterministic: tables in the order of the profile, packed scalars, gzip without name
 * or time.
 */
#ifndef PGO_CORE_PPROF_H
#define PGO_CORE_PPROF_H

#include "pgo/core/buf.h"
#include "pgo/core/profile.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgo_pprof_limits {
	uint64_t max_inflated; /* bytes of protobuf; default 16 GiB */
	uint64_t max_tables;   /* bytes of decoded tables; default 2 GiB */
	uint64_t max_held;     /* a profile that inflates to more is read twice; default 64 MiB */
};
extern const struct pgo_pprof_limits pgo_pprof_default_limits;

/* `limits` NULL = defaults.  Gives a reader (pgo_reader_close). */
struct pgo_reader *pgo_pprof_open(
	const char *path, const struct pgo_pprof_limits *limits, struct pgo_err *err);
/* Goes on with a stream over the file `path` of which nothing was taken yet (looking is fine); takes
 * `stream`.  With the default limits. */
struct pgo_stream;
struct pgo_reader *pgo_pprof_open_stream(
	const char *path, struct pgo_stream *stream, struct pgo_err *err);
/* Keeps `data` until closed; `name` is copied. */
struct pgo_reader *pgo_pprof_open_memory(const char *name, const void *data, size_t len,
	const struct pgo_pprof_limits *limits, struct pgo_err *err);
/* The whole profile with its samples, for small inputs and tests. */
struct pgo_profile *pgo_pprof_load(
	const char *path, const struct pgo_pprof_limits *limits, struct pgo_err *err);
struct pgo_profile *pgo_pprof_load_memory(const char *name, const void *data, size_t len,
	const struct pgo_pprof_limits *limits, struct pgo_err *err);
#define PGO_PPROF_INPUT "pgo-input: "
#define PGO_PPROF_DAY "pgo-day: "
#define PGO_PPROF_ORIGIN_MAX 63
/* Is it one of those comments? */
bool pgo_pprof_is_origin(const char *comment);
/* Does this look like a pprof once inflated?  `head`: the first bytes, inflated. */
bool pgo_pprof_probe(const void *head, size_t len);

/* Appends the encoded profile to `out`; `gzip` as on disk. */
int pgo_pprof_encode(const struct pgo_profile *p, bool gzip, struct pgo_buf *out,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Encodes and writes atomically (pgo_file_write), gzipped. */
int pgo_pprof_write(
	const struct pgo_profile *p, const char *path, struct pgo_err *err) PGO_MUST_CHECK;

/* What writing from a reader came to. */
struct pgo_pprof_written {
	uint64_t bytes, samples;
	char digest[65]; /* SHA-256 of the file */
	double *totals;  /* the caller's, a zero for each sample type; or NULL */
};
/*
 * Draws all samples of `r` and writes the profile as pgo_pprof_write() would, without ever holding
 * it: tables that are large stay with the reader.  `path` NULL: everything but the file.
 */
int pgo_pprof_write_reader(struct pgo_reader *r, const char *path, struct pgo_pprof_written *ret,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
