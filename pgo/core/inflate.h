/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte stream from a file or from memory that is gzip (one or several members), zstd, or plain:
 * told apart by its first bytes, never by its name.  Inflated through ISA-L (gzip) and libzstd, in
 * blocks, within an output limit, so that a bomb is PGO_ELIMIT and nothing more.
 */
#ifndef PGO_CORE_INFLATE_H
#define PGO_CORE_INFLATE_H

#include "pgo/core/err.h"

#include <stddef.h>
#include <stdint.h>

enum pgo_coding { PGO_CODING_PLAIN, PGO_CODING_GZIP, PGO_CODING_ZSTD };

struct pgo_stream;

/* Most bytes one input may inflate to unless the caller says otherwise: 16 GiB. */
#define PGO_INFLATE_MAX ((uint64_t)16 << 30)

/* "-" is standard input.  `max_out`: bytes after decompression. */
struct pgo_stream *pgo_stream_open(const char *path, uint64_t max_out, struct pgo_err *err);
/* Keeps `data` until closed.  `name` is used in messages and copied. */
struct pgo_stream *pgo_stream_memory(
	const char *name, const void *data, size_t len, uint64_t max_out, struct pgo_err *err);
void pgo_stream_close(struct pgo_stream *s);

/*
 * Looks at the next bytes without taking them: up to `want` (at most 64 KiB), fewer only at the end
 * of the data. The number of bytes at `*ret` (borrowed until the next call), 0 at the end, or a
 * negative code.
 */
int64_t pgo_stream_peek(
	struct pgo_stream *s, size_t want, const uint8_t **ret, struct pgo_err *err) PGO_MUST_CHECK;
/* Takes up to `len` bytes; fewer only at the end of the data.  The number taken, or a negative code
 * (a truncated gzip or zstd is PGO_EFORMAT). */
int64_t pgo_stream_read(
	struct pgo_stream *s, void *to, size_t len, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_stream_skip(struct pgo_stream *s, uint64_t len, struct pgo_err *err) PGO_MUST_CHECK;
/* Starts again from the first byte; not possible on a pipe (PGO_EIO). */
int pgo_stream_rewind(struct pgo_stream *s, struct pgo_err *err) PGO_MUST_CHECK;
enum pgo_coding pgo_stream_coding(const struct pgo_stream *s);
/* Position in the inflated data. */
uint64_t pgo_stream_offset(const struct pgo_stream *s);
const char *pgo_stream_name(const struct pgo_stream *s);

/* One-shot gzip with a fixed header (no name, no time: same bytes in, same bytes out).  Appends to
 * `out`. */
struct pgo_buf;
int pgo_gzip(const void *data, size_t len, struct pgo_buf *out, struct pgo_err *err) PGO_MUST_CHECK;

/* The first bytes of what the beginning of a gzip file inflates to, at most `want`: how many came
 * out, which is 0 for what is no gzip.  Costs next to nothing, where a stream readies itself for all
 * that follows. */
size_t pgo_gzip_glance(const void *data, size_t len, void *to, size_t want);

/*
 * The same bytes for data that come in parts of any size: each stretch that is ready goes to `sink`
 * (a negative result of it ends the work and is returned).  `level`: 1 to 9, or 0 for that of
 * pgo_gzip(), whose bytes they are then.  pgo_gzip_end() writes the rest; free it
 * afterwards, or at any time to give up.
 */
struct pgo_gzip;
typedef int pgo_gzip_sink(void *ctx, const void *data, size_t len, struct pgo_err *err);
struct pgo_gzip *pgo_gzip_new(pgo_gzip_sink *sink, void *ctx, int level, struct pgo_err *err);
int pgo_gzip_add(
	struct pgo_gzip *z, const void *data, size_t len, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_gzip_end(struct pgo_gzip *z, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_gzip_free(struct pgo_gzip *z);

/* The zlib wrapping (RFC 1950) that sections of other formats use.  Both append to `out`; inflating
 * stops with PGO_ELIMIT past `max` bytes, and bytes after the end are PGO_EFORMAT.  `what` begins
 * the messages. */
int pgo_zlib_deflate(
	const void *data, size_t len, struct pgo_buf *out, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_zlib_inflate(const char *what, const void *data, size_t len, uint64_t max,
	struct pgo_buf *out, struct pgo_err *err) PGO_MUST_CHECK;

/*
 * A zstd stream that arrives in pieces inside another format (the compressed records of perf.data):
 * each piece appends to `out` all that can be told from the bytes so far.  `max`: bytes out of the
 * whole stream.  A recorder that is killed leaves its frame open, so an end inside a frame is no
 * error here.
 */
struct pgo_zstd;
struct pgo_zstd *pgo_zstd_new(uint64_t max, struct pgo_err *err);
int pgo_zstd_feed(struct pgo_zstd *z, const void *data, size_t len, struct pgo_buf *out,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_zstd_free(struct pgo_zstd *z);

#endif
