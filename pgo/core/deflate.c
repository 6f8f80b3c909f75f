/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writing half of inflate.h.  zlib rather than ISA-L, whose output depends on the vector units
 * of the machine it runs on: the same bytes have to come out everywhere.
 *
 * gzip (RFC 1952) is written by several threads with the bytes of one: the data are cut into pieces
 * of a fixed size, each is deflated on its own, with the 32 KiB before it as its dictionary, and
 * flushed to a byte boundary, so that the pieces put together are one deflate stream.
 *
 *	1f 8b 08 00  00 00 00 00  00 ff		method deflate, no name, no time, unknown system
 *	piece 0 | piece 1 | ... | last piece
 *	CRC-32 of all data, their length modulo 2^32: 4 bytes each, little-endian
 */
#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "pgo/core/inflate.h"
#include "pgo/core/parallel.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <zlib.h>

#define WINDOW_ZLIB 15
#define WINDOW_GZIP (15 + 16)
#define BLOCK ((size_t)64 << 10)
#define GZIP_LEVEL 1 /* profiles are numbers: level 6 takes twice as long for 4 % less */
#define RAW_DEFLATE (-15)
#define PIECE ((size_t)512 << 10)
#define DICTIONARY ((size_t)32 << 10)

static voidpf z_alloc(voidpf ctx, uInt n, uInt size)
{
	(void)ctx;
	return pgo_realloc_array(NULL, n, size);
}

static void z_free(voidpf ctx, voidpf p)
{
	(void)ctx;
	pgo_free(p);
}

static uInt clip(size_t n)
{
	return n < UINT_MAX ? (uInt)n : UINT_MAX;
}

/* ---------------------------------------------------------------- the zlib wrapping */

/* Runs `step` until the stream ends or the input does; the last code of zlib. */
static int run(z_stream *z, int (*step)(z_stream *, int), const void *data, size_t len,
	uint64_t max, struct pgo_buf *out)
{
	const Bytef *next = data;
	uint64_t made = 0;
	int r;

	do {
		size_t left = out->max - out->len;
		uInt n_out = left < BLOCK ? (uInt)left : BLOCK;
		/* A full buffer may be all that is needed: one byte more would tell. */
		char extra;
		char *to = n_out != 0 ? pgo_buf_reserve(out, n_out) : &extra;
		uInt n_in = clip(len);

		if (to == NULL)
			return Z_MEM_ERROR;
		z->next_in = (Bytef *)(uintptr_t)next;
		z->avail_in = n_in;
		z->next_out = (Bytef *)to;
		z->avail_out = n_out != 0 ? n_out : 1;
		r = step(z, n_in == len ? Z_FINISH : Z_NO_FLUSH);
		next += n_in - z->avail_in;
		len -= n_in - z->avail_in;
		if (n_out == 0 && z->avail_out == 0) {
			(void)pgo_buf_reserve(out, 1); /* marks the buffer as over its maximum */
			return Z_MEM_ERROR;
		}
		if (n_out == 0)
			continue;
		out->len += n_out - z->avail_out;
		made += n_out - z->avail_out;
		if (made > max)
			return Z_BUF_ERROR;
		/* Z_BUF_ERROR with a full output only asks for more room. */
		if (r == Z_BUF_ERROR && z->avail_out == 0)
			r = Z_OK;
	} while (r == Z_OK);
	z->avail_in = clip(len);
	if (out->data != NULL)
		out->data[out->len] = '\0';
	return r;
}

static int deflate_to(const void *data, size_t len, int window, int level, struct pgo_buf *out,
	struct pgo_err *err)
{
	z_stream z = {.zalloc = z_alloc, .zfree = z_free};
	int r;

	if (deflateInit2(&z, level, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return pgo_err_nomem(err);
	r = run(&z, deflate, data, len, UINT64_MAX, out);
	deflateEnd(&z);
	if (r == Z_STREAM_END)
		return 0;
	if (out->failed)
		return pgo_buf_check(out, "the compressed output", err);
	return pgo_err_nomem(err);
}

int pgo_zlib_deflate(const void *data, size_t len, struct pgo_buf *out, struct pgo_err *err)
{
	/* What LLVM takes for its profiles, so that both write the same bytes. */
	return deflate_to(data, len, WINDOW_ZLIB, Z_BEST_COMPRESSION, out, err);
}

int pgo_zlib_inflate(const char *what, const void *data, size_t len, uint64_t max,
	struct pgo_buf *out, struct pgo_err *err)
{
	z_stream z = {.zalloc = z_alloc, .zfree = z_free};
	size_t before = out->len;
	bool all_taken;
	int r;

	if (inflateInit2(&z, WINDOW_ZLIB) != Z_OK)
		return pgo_err_nomem(err);
	r = run(&z, inflate, data, len, max, out);
	all_taken = z.avail_in == 0;
	inflateEnd(&z);
	if (out->failed)
		return pgo_buf_check(out, what, err);
	if (out->len - before > max)
		return pgo_err_set(err, PGO_ELIMIT,
			"%s: the zlib data inflate to more than %llu bytes", what,
			(unsigned long long)max);
	switch (r) {
	case Z_STREAM_END:
		return all_taken ? 0
				 : pgo_err_set(err, PGO_EFORMAT,
					   "%s: something follows the zlib data", what);
	case Z_MEM_ERROR:
		return pgo_err_nomem(err);
	case Z_BUF_ERROR:
		return pgo_err_set(err, PGO_EFORMAT, "%s: the zlib data end in the middle", what);
	default:
		return pgo_err_set(err, PGO_EFORMAT, "%s: damaged zlib data", what);
	}
}

size_t pgo_gzip_glance(const void *data, size_t len, void *to, size_t want)
{
	z_stream z = {.zalloc = z_alloc, .zfree = z_free};
	size_t n;

	if (len > UINT_MAX || want > UINT_MAX || inflateInit2(&z, WINDOW_GZIP) != Z_OK)
		return 0;
	z.next_in = (Bytef *)(uintptr_t)data;
	z.avail_in = (uInt)len;
	z.next_out = to;
	z.avail_out = (uInt)want;
	/* Whatever stops it, what came out until then is right. */
	(void)inflate(&z, Z_SYNC_FLUSH);
	n = want - z.avail_out;
	inflateEnd(&z);
	return n;
}

/* ---------------------------------------------------------------- gzip, in pieces */

struct piece {
	uint8_t *data;
	size_t len;
	uLong crc;
};

struct job {
	const uint8_t *data;
	size_t len, n;
	struct piece *pieces;
	int level;
	bool follows; /* the dictionary of the first piece lies before `data` */
	bool open;    /* more pieces follow the last one */
};

/* The whole of `in` into room that is enough for it. */
static int deflate_all(z_stream *z, const struct job *job, size_t i, struct piece *to)
{
	size_t at = i * PIECE, len = i + 1 < job->n ? PIECE : job->len - at;
	size_t room = deflateBound(z, len) + 16; /* the flush is five bytes or so */
	bool last = i + 1 == job->n && !job->open;
	int r;

	if ((i != 0 || job->follows) &&
		deflateSetDictionary(z, job->data + at - DICTIONARY, (uInt)DICTIONARY) != Z_OK)
		return -1;
	to->data = pgo_malloc(room);
	if (to->data == NULL)
		return -1;
	z->next_in = (Bytef *)(uintptr_t)(job->data + at);
	z->avail_in = (uInt)len;
	z->next_out = to->data;
	z->avail_out = (uInt)room;
	r = deflate(z, last ? Z_FINISH : Z_SYNC_FLUSH);
	to->len = room - z->avail_out;
	to->crc = crc32(crc32(0, NULL, 0), job->data + at, (uInt)len);
	return r == (last ? Z_STREAM_END : Z_OK) && z->avail_in == 0 && z->avail_out != 0 ? 0 : -1;
}

static int one_piece(void *ctx, size_t i, unsigned thread, struct pgo_err *err)
{
	const struct job *job = ctx;
	z_stream z = {.zalloc = z_alloc, .zfree = z_free};
	int rc;

	(void)thread;
	if (deflateInit2(&z, job->level, Z_DEFLATED, RAW_DEFLATE, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return pgo_err_nomem(err);
	rc = deflate_all(&z, job, i, &job->pieces[i]);
	deflateEnd(&z);
	return rc < 0 ? pgo_err_nomem(err) : 0;
}

static void assemble(const struct job *job, struct pgo_buf *out)
{
	static const uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
	uLong crc = crc32(0, NULL, 0);

	pgo_buf_add(out, head, sizeof head);
	for (size_t i = 0; i < job->n; i++) {
		size_t len = i + 1 < job->n ? PIECE : job->len - i * PIECE;

		pgo_buf_add(out, job->pieces[i].data, job->pieces[i].len);
		crc = crc32_combine(crc, job->pieces[i].crc, (z_off_t)len);
	}
	pgo_buf_u32le(out, (uint32_t)crc);
	pgo_buf_u32le(out, (uint32_t)job->len);
}

int pgo_gzip(const void *data, size_t len, struct pgo_buf *out, struct pgo_err *err)
{
	struct job job = {.data = data,
		.len = len,
		.n = len / PIECE + (len % PIECE != 0),
		.level = GZIP_LEVEL};
	int rc;

	if (job.n == 0)
		job.n = 1;
	job.pieces = pgo_calloc(job.n, sizeof *job.pieces);
	if (job.pieces == NULL)
		return pgo_err_nomem(err);
	rc = pgo_parallel(job.n, pgo_threads(), one_piece, &job, err);
	if (rc == 0) {
		assemble(&job, out);
		rc = pgo_buf_check(out, "the compressed output", err);
	}
	for (size_t i = 0; i < job.n; i++)
		pgo_free(job.pieces[i].data);
	pgo_free(job.pieces);
	return rc;
}

/* ---------------------------------------------------------------- gzip, as the data come */

/* So many pieces are deflated at a time: some for each thread, whatever their number. */
#define BATCH ((size_t)8)

struct pgo_gzip {
	pgo_gzip_sink *sink;
	void *ctx;
	int level;
	uint8_t *data; /* the dictionary of the next piece, then what has not been deflated */
	size_t dict, len;
	uint64_t all; /* bytes so far */
	uLong crc;
	bool begun;
};

struct pgo_gzip *pgo_gzip_new(pgo_gzip_sink *sink, void *ctx, int level, struct pgo_err *err)
{
	struct pgo_gzip *z = pgo_calloc(1, sizeof *z);

	if (z != NULL)
		z->data = pgo_malloc(DICTIONARY + BATCH * PIECE);
	if (z == NULL || z->data == NULL) {
		pgo_free(z);
		pgo_err_nomem(err);
		return NULL;
	}
	z->sink = sink;
	z->ctx = ctx;
	z->level = level != 0 ? level : GZIP_LEVEL;
	z->crc = crc32(0, NULL, 0);
	return z;
}

void pgo_gzip_free(struct pgo_gzip *z)
{
	if (z == NULL)
		return;
	pgo_free(z->data);
	pgo_free(z);
}

/* Deflates what is there and gives it away; all but the last batch are of whole pieces. */
static int flush(struct pgo_gzip *z, bool last, struct pgo_err *err)
{
	static const uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
	struct piece pieces[BATCH] = {{0}};
	struct job job = {.data = z->data + z->dict,
		.len = z->len,
		.n = z->len / PIECE + (z->len % PIECE != 0),
		.pieces = pieces,
		.level = z->level,
		.follows = z->begun,
		.open = !last};
	int rc = z->begun ? 0 : z->sink(z->ctx, head, sizeof head, err);

	if (last && job.n == 0)
		job.n = 1;
	if (rc == 0)
		rc = pgo_parallel(job.n, pgo_threads(), one_piece, &job, err);
	for (size_t i = 0; i < job.n; i++) {
		size_t len = i + 1 < job.n ? PIECE : job.len - i * PIECE;

		if (rc == 0)
			rc = z->sink(z->ctx, pieces[i].data, pieces[i].len, err);
		z->crc = crc32_combine(z->crc, pieces[i].crc, (z_off_t)len);
		pgo_free(pieces[i].data);
	}
	z->begun = true;
	if (rc == 0 && !last) {
		memmove(z->data, z->data + z->dict + z->len - DICTIONARY, DICTIONARY);
		z->dict = DICTIONARY;
		z->len = 0;
	}
	return rc;
}

int pgo_gzip_add(struct pgo_gzip *z, const void *data, size_t len, struct pgo_err *err)
{
	const uint8_t *p = data;
	int rc = 0;

	while (len != 0 && rc == 0) {
		size_t n = BATCH * PIECE - z->len;

		if (n == 0) { /* only now that more follows: the last piece ends the stream */
			rc = flush(z, false, err);
			continue;
		}
		n = len < n ? len : n;
		memcpy(z->data + z->dict + z->len, p, n);
		z->len += n;
		z->all += n;
		p += n;
		len -= n;
	}
	return rc;
}

int pgo_gzip_end(struct pgo_gzip *z, struct pgo_err *err)
{
	uint8_t tail[8];
	int rc = flush(z, true, err);

	for (unsigned i = 0; i < 4; i++) {
		tail[i] = (uint8_t)(z->crc >> (8 * i));
		tail[4 + i] = (uint8_t)(z->all >> (8 * i));
	}
	return rc == 0 ? z->sink(z->ctx, tail, sizeof tail, err) : rc;
}
