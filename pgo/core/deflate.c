/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zlib wrapping, both ways.  zlib rather than ISA-L, whose output depends on the vector units
 * of the machine it runs on: the same bytes have to come out everywhere.
 */
#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "pgo/core/inflate.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

#define WINDOW_ZLIB 15
#define BLOCK ((size_t)64 << 10)

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
