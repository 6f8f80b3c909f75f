/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/inflate.h"

#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#define BLOCK ((size_t)256 << 10)
#define PEEK_MAX ((size_t)64 << 10)
#define DIRECT_MIN ((size_t)32 << 10) /* reads of this size bypass our own buffer */
#define WINDOW_LOG_MAX 27             /* 128 MiB: what `zstd --long` makes by default */

struct pgo_stream {
	char *name;
	uint64_t max_out;
	enum pgo_coding coding;
	struct pgo_err failure; /* once failed, always failed */

	int fd;        /* -1: from memory */
	int64_t start; /* of the data in the file; -1: cannot be rewound */
	const uint8_t *memory;
	size_t memory_len;
	uint8_t *block; /* what a file is read into */

	/* Input at hand: in[in_at..in_len), of which in[0] is byte `in_offset` of the file. */
	const uint8_t *in;
	size_t in_at, in_len;
	uint64_t in_offset;
	bool in_end; /* nothing follows in[in_len) */

	/* Output made and not taken: out[out_at..out_len). */
	uint8_t *out;
	size_t out_at, out_len;
	uint64_t made; /* bytes of output so far */
	bool out_end;

	struct inflate_state *gzip;
	ZSTD_DCtx *zstd;
	bool in_frame; /* a gzip member or zstd frame has begun and not ended */
};

static int fail(struct pgo_stream *s, struct pgo_err *err)
{
	if (err != NULL)
		*err = s->failure;
	return s->failure.code;
}

static unsigned long long input_offset(const struct pgo_stream *s)
{
	return (unsigned long long)(s->in_offset + s->in_at);
}

/* ---------------------------------------------------------------- input */

/* Reads until the block is full or the file ends: pipes give little at a time. */
static int fill_block(struct pgo_stream *s)
{
	size_t len = 0;

	while (len < BLOCK) {
		ssize_t n = read(s->fd, s->block + len, BLOCK - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return pgo_err_errno(&s->failure, PGO_EIO, "%s: cannot be read", s->name);
		if (n == 0) {
			s->in_end = true;
			break;
		}
		len += (size_t)n;
	}
	s->in = s->block;
	s->in_len = len;
	return 0;
}

/* 1: there is input; 0: the end; or negative. */
static int more_input(struct pgo_stream *s)
{
	if (s->in_at < s->in_len)
		return 1;
	if (s->in_end)
		return 0;
	s->in_offset += s->in_len;
	s->in_at = s->in_len = 0;
	if (fill_block(s) < 0)
		return s->failure.code;
	return s->in_len != 0;
}

/* ---------------------------------------------------------------- gzip */

static int cut_off(struct pgo_stream *s, const char *what)
{
	return pgo_err_set(&s->failure, PGO_EFORMAT,
		"%s: the %s data end in the middle (byte %llu of the file): it was cut off in "
		"transfer; fetch it again",
		s->name, what, input_offset(s));
}

static const char *gzip_reason(int r)
{
	switch (r) {
	case ISAL_INVALID_WRAPPER:
		return "a damaged gzip header";
	case ISAL_UNSUPPORTED_METHOD:
		return "a compression method that gzip does not define";
	case ISAL_INCORRECT_CHECKSUM:
		return "a wrong checksum";
	case ISAL_NEED_DICT:
		return "a preset dictionary";
	default:
		return "damaged deflate data";
	}
}

/*
 * After a member: 1 if another one follows, 0 at the end.  Zero bytes up to the end are padding
 * (tapes, block devices); anything else is not ours.
 */
static int next_member(struct pgo_stream *s)
{
	unsigned long long at;
	int r = more_input(s);

	if (r <= 0)
		return r;
	at = input_offset(s);
	if (s->in[s->in_at] == 0x1f) {
		isal_inflate_reset(s->gzip);
		s->gzip->crc_flag = ISAL_GZIP;
		s->in_frame = true;
		return 1;
	}
	do {
		while (s->in_at < s->in_len && s->in[s->in_at] == 0)
			s->in_at++;
		if (s->in_at < s->in_len)
			return pgo_err_set(&s->failure, PGO_EFORMAT,
				"%s: after the gzip data, which end at byte %llu, there is "
				"something "
				"else; cut it off or fetch the file again",
				s->name, at);
		r = more_input(s);
	} while (r > 0);
	return r;
}

/* One call of the decoder; the bytes made, which may be 0. */
static int64_t gzip_step(struct pgo_stream *s, uint8_t *to, size_t len)
{
	struct inflate_state *z = s->gzip;
	size_t n_in = s->in_len - s->in_at;
	int r;

	if (n_in > UINT32_MAX)
		n_in = UINT32_MAX;
	if (len > UINT32_MAX)
		len = UINT32_MAX;
	z->next_in = (uint8_t *)(uintptr_t)(s->in + s->in_at);
	z->avail_in = (uint32_t)n_in;
	z->next_out = to;
	z->avail_out = (uint32_t)len;
	r = isal_inflate(z);
	s->in_at += n_in - z->avail_in;
	if (r < 0 || r == ISAL_NEED_DICT)
		return pgo_err_set(&s->failure, PGO_EFORMAT,
			"%s: %s before byte %llu of the file; it is damaged, fetch it again",
			s->name, gzip_reason(r), input_offset(s));
	if (z->block_state == ISAL_BLOCK_FINISH)
		s->in_frame = false;
	return (int64_t)(len - z->avail_out);
}

static int64_t gzip_make(struct pgo_stream *s, uint8_t *to, size_t len)
{
	for (;;) {
		int64_t n;
		int r;

		if (!s->in_frame) {
			r = next_member(s);
			if (r <= 0)
				return r;
		}
		r = more_input(s);
		if (r < 0)
			return r;
		n = gzip_step(s, to, len);
		if (n != 0)
			return n;
		if (s->in_frame && r == 0)
			return cut_off(s, "gzip");
	}
}

/* ---------------------------------------------------------------- zstd */

static int zstd_failure(
	struct pgo_err *err, const char *name, size_t code, unsigned long long offset)
{
	switch (ZSTD_getErrorCode(code)) {
	case ZSTD_error_frameParameter_windowTooLarge:
		return pgo_err_set(err, PGO_ELIMIT,
			"%s: the zstd data want a window larger than 128 MiB; compress them again "
			"without --ultra or --long",
			name);
	case ZSTD_error_memory_allocation:
		return pgo_err_nomem(err);
	case ZSTD_error_prefix_unknown:
		return pgo_err_set(err, PGO_EFORMAT,
			"%s: after the zstd data, before byte %llu, there is something else; cut "
			"it off or fetch the file again",
			name, offset);
	default:
		return pgo_err_set(err, PGO_EFORMAT,
			"%s: damaged zstd data before byte %llu of the file (%s); fetch it again",
			name, offset, ZSTD_getErrorName(code));
	}
}

static ZSTD_DCtx *zstd_context(struct pgo_err *err)
{
	ZSTD_DCtx *z = ZSTD_createDCtx();

	if (z == NULL)
		pgo_err_nomem(err);
	else
		ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	return z;
}

static int64_t zstd_make(struct pgo_stream *s, uint8_t *to, size_t len)
{
	for (;;) {
		ZSTD_outBuffer out = {to, len, 0};
		ZSTD_inBuffer in;
		int have = more_input(s);
		size_t r;

		if (have < 0 || (have == 0 && !s->in_frame))
			return have;
		in = (ZSTD_inBuffer){s->in + s->in_at, s->in_len - s->in_at, 0};
		r = ZSTD_decompressStream(s->zstd, &out, &in);
		s->in_at += in.pos;
		if (ZSTD_isError(r))
			return zstd_failure(&s->failure, s->name, r, input_offset(s));
		s->in_frame = r != 0;
		if (out.pos != 0)
			return (int64_t)out.pos;
		if (have == 0 && s->in_frame)
			return cut_off(s, "zstd");
	}
}

/* ---------------------------------------------------------------- plain */

static int64_t plain_make(struct pgo_stream *s, uint8_t *to, size_t len)
{
	int r = more_input(s);
	size_t n = s->in_len - s->in_at;

	if (r <= 0)
		return r;
	if (n > len)
		n = len;
	memcpy(to, s->in + s->in_at, n);
	s->in_at += n;
	return (int64_t)n;
}

/* ---------------------------------------------------------------- output */

static int over_limit(struct pgo_stream *s)
{
	if (s->coding == PGO_CODING_PLAIN)
		return pgo_err_set(&s->failure, PGO_ELIMIT,
			"%s: is larger than the limit of %llu bytes; raise the limit if the file "
			"is sound",
			s->name, (unsigned long long)s->max_out);
	return pgo_err_set(&s->failure, PGO_ELIMIT,
		"%s: inflates to more than the limit of %llu bytes (after %llu compressed ones); "
		"raise the limit if the file is sound",
		s->name, (unsigned long long)s->max_out, input_offset(s));
}

/* Up to `len` bytes of output, at least one; 0 at the end; or negative (s->failure). */
static int64_t make(struct pgo_stream *s, uint8_t *to, size_t len)
{
	int64_t n;

	if (s->failure.code != 0)
		return s->failure.code;
	if (s->out_end || len == 0)
		return 0;
	/* One byte past the limit is asked for, to tell a full measure from too much. */
	if (len > s->max_out - s->made && s->max_out - s->made < SIZE_MAX)
		len = (size_t)(s->max_out - s->made) + 1;
	switch (s->coding) {
	case PGO_CODING_GZIP:
		n = gzip_make(s, to, len);
		break;
	case PGO_CODING_ZSTD:
		n = zstd_make(s, to, len);
		break;
	default:
		n = plain_make(s, to, len);
	}
	if (n == 0)
		s->out_end = true;
	if (n <= 0)
		return n;
	s->made += (uint64_t)n;
	return s->made > s->max_out ? over_limit(s) : n;
}

int64_t pgo_stream_peek(struct pgo_stream *s, size_t want, const uint8_t **ret, struct pgo_err *err)
{
	if (want > PEEK_MAX)
		want = PEEK_MAX;
	if (s->out_len - s->out_at < want && s->out_at != 0) {
		memmove(s->out, s->out + s->out_at, s->out_len - s->out_at);
		s->out_len -= s->out_at;
		s->out_at = 0;
	}
	while (s->out_len - s->out_at < want) {
		/* No more than is wanted: whoever only looks should not pay for a block. */
		int64_t n = make(s, s->out + s->out_len, want - s->out_len);

		if (n < 0)
			return fail(s, err);
		if (n == 0)
			break;
		s->out_len += (size_t)n;
	}
	*ret = s->out + s->out_at;
	return (int64_t)(s->out_len - s->out_at < want ? s->out_len - s->out_at : want);
}

/* The next bytes, directly where the caller wants them if they are many. */
static int64_t some(struct pgo_stream *s, uint8_t *to, size_t len)
{
	size_t n = s->out_len - s->out_at;

	if (n == 0) {
		int64_t got;

		s->out_at = s->out_len = 0;
		if (len >= DIRECT_MIN)
			return make(s, to, len);
		got = make(s, s->out, BLOCK);
		if (got <= 0)
			return got;
		s->out_len = n = (size_t)got;
	}
	if (n > len)
		n = len;
	memcpy(to, s->out + s->out_at, n);
	s->out_at += n;
	return (int64_t)n;
}

int64_t pgo_stream_read(struct pgo_stream *s, void *to, size_t len, struct pgo_err *err)
{
	size_t done = 0;

	while (done < len) {
		int64_t n = some(s, (uint8_t *)to + done, len - done);

		if (n < 0)
			return fail(s, err);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (int64_t)done;
}

int pgo_stream_skip(struct pgo_stream *s, uint64_t len, struct pgo_err *err)
{
	while (len != 0) {
		size_t n = s->out_len - s->out_at;
		int64_t got;

		if (n != 0) {
			n = n < len ? n : (size_t)len;
			s->out_at += n;
			len -= n;
			continue;
		}
		s->out_at = s->out_len = 0;
		got = make(s, s->out, BLOCK);
		if (got < 0)
			return fail(s, err);
		if (got == 0)
			return pgo_err_set(err, PGO_EFORMAT,
				"%s: ends at byte %llu, in the middle of what it says it holds",
				s->name, (unsigned long long)pgo_stream_offset(s));
		s->out_len = (size_t)got;
	}
	return 0;
}

/* ---------------------------------------------------------------- life */

static enum pgo_coding sniff(const uint8_t *p, size_t len)
{
	if (len >= 2 && p[0] == 0x1f && p[1] == 0x8b)
		return PGO_CODING_GZIP;
	if (len >= 4 && p[1] == 0xb5 && p[2] == 0x2f && p[3] == 0xfd && p[0] == 0x28)
		return PGO_CODING_ZSTD;
	/* A skippable frame, as parallel compressors write in front. */
	if (len >= 4 && (p[0] & 0xf0) == 0x50 && p[1] == 0x2a && p[2] == 0x4d && p[3] == 0x18)
		return PGO_CODING_ZSTD;
	return PGO_CODING_PLAIN;
}

/* At the first byte of the input: finds the coding and readies its decoder. */
static int begin(struct pgo_stream *s)
{
	if (more_input(s) < 0)
		return s->failure.code;
	s->coding = sniff(s->in, s->in_len);
	if (s->coding == PGO_CODING_GZIP) {
		if (s->gzip == NULL && (s->gzip = pgo_malloc(sizeof *s->gzip)) == NULL)
			return pgo_err_nomem(&s->failure);
		isal_inflate_init(s->gzip);
		s->gzip->crc_flag = ISAL_GZIP;
		s->in_frame = true;
	}
	if (s->coding == PGO_CODING_ZSTD) {
		if (s->zstd == NULL && (s->zstd = zstd_context(&s->failure)) == NULL)
			return s->failure.code;
		ZSTD_DCtx_reset(s->zstd, ZSTD_reset_session_only);
		s->in_frame = false;
	}
	return 0;
}

static struct pgo_stream *stream_new(const char *name, uint64_t max_out, struct pgo_err *err)
{
	struct pgo_stream *s = pgo_calloc(1, sizeof *s);

	if (s == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	s->fd = -1;
	s->max_out = max_out;
	s->name = pgo_strdup(name);
	s->out = pgo_malloc(BLOCK);
	if (s->name != NULL && s->out != NULL)
		return s;
	pgo_err_nomem(err);
	pgo_stream_close(s);
	return NULL;
}

static struct pgo_stream *begun(struct pgo_stream *s, struct pgo_err *err)
{
	if (begin(s) == 0)
		return s;
	fail(s, err);
	pgo_stream_close(s);
	return NULL;
}

struct pgo_stream *pgo_stream_open(const char *path, uint64_t max_out, struct pgo_err *err)
{
	bool from_stdin = strcmp(path, "-") == 0;
	struct pgo_stream *s = stream_new(from_stdin ? "standard input" : path, max_out, err);

	if (s == NULL)
		return NULL;
	s->block = pgo_malloc(BLOCK);
	if (s->block == NULL) {
		pgo_err_nomem(err);
		goto fail;
	}
	s->fd = from_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
			   : open(path, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0) {
		pgo_err_errno(err, PGO_EIO, "%s: cannot be opened", s->name);
		goto fail;
	}
	s->start = lseek(s->fd, 0, SEEK_CUR);
	(void)posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return begun(s, err);
fail:
	pgo_stream_close(s);
	return NULL;
}

struct pgo_stream *pgo_stream_memory(
	const char *name, const void *data, size_t len, uint64_t max_out, struct pgo_err *err)
{
	struct pgo_stream *s = stream_new(name, max_out, err);

	if (s == NULL)
		return NULL;
	s->in = s->memory = data;
	s->in_len = s->memory_len = len;
	s->in_end = true;
	return begun(s, err);
}

void pgo_stream_close(struct pgo_stream *s)
{
	if (s == NULL)
		return;
	if (s->fd >= 0)
		close(s->fd);
	ZSTD_freeDCtx(s->zstd);
	pgo_free(s->gzip);
	pgo_free(s->block);
	pgo_free(s->out);
	pgo_free(s->name);
	pgo_free(s);
}

int pgo_stream_rewind(struct pgo_stream *s, struct pgo_err *err)
{
	if (s->fd >= 0 && (s->start < 0 || lseek(s->fd, s->start, SEEK_SET) < 0))
		return pgo_err_set(err, PGO_EIO,
			"%s: has to be read twice, which a pipe does not allow; give it as a file",
			s->name);
	pgo_err_clear(&s->failure);
	s->in = s->memory;
	s->in_len = s->memory_len;
	s->in_at = 0;
	s->in_offset = 0;
	s->in_end = s->fd < 0;
	s->out_at = s->out_len = 0;
	s->made = 0;
	s->out_end = false;
	return begin(s) < 0 ? fail(s, err) : 0;
}

enum pgo_coding pgo_stream_coding(const struct pgo_stream *s)
{
	return s->coding;
}

uint64_t pgo_stream_offset(const struct pgo_stream *s)
{
	return s->made - (s->out_len - s->out_at);
}

const char *pgo_stream_name(const struct pgo_stream *s)
{
	return s->name;
}

/* ---------------------------------------------------------------- zstd in pieces */

struct pgo_zstd {
	ZSTD_DCtx *ctx;
	uint64_t in, out, max;
};

struct pgo_zstd *pgo_zstd_new(uint64_t max, struct pgo_err *err)
{
	struct pgo_zstd *z = pgo_calloc(1, sizeof *z);

	if (z == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	z->max = max;
	z->ctx = zstd_context(err);
	if (z->ctx != NULL)
		return z;
	pgo_free(z);
	return NULL;
}

int pgo_zstd_feed(
	struct pgo_zstd *z, const void *data, size_t len, struct pgo_buf *out, struct pgo_err *err)
{
	ZSTD_inBuffer in = {data, len, 0};
	ZSTD_outBuffer to;

	/* A full output may hide more inside the decoder, so go on until one is not full. */
	do {
		size_t left = out->max - out->len;
		size_t n = left < BLOCK ? left : BLOCK;
		char extra;
		char *p = n != 0 ? pgo_buf_reserve(out, n) : &extra;
		size_t r;

		if (p == NULL)
			return pgo_buf_check(out, "inflated zstd data", err);
		to = (ZSTD_outBuffer){p, n != 0 ? n : 1, 0};
		r = ZSTD_decompressStream(z->ctx, &to, &in);
		if (ZSTD_isError(r))
			return zstd_failure(err, "compressed record", r, z->in + in.pos);
		z->out += to.pos;
		if (z->out > z->max || (n == 0 && to.pos != 0))
			return pgo_err_set(err, PGO_ELIMIT,
				"zstd records inflate to more than the limit of %llu bytes",
				(unsigned long long)(n == 0 ? out->max : z->max));
		out->len += to.pos;
		if (out->data != NULL)
			out->data[out->len] = '\0';
	} while (in.pos < in.size || to.pos == to.size);
	z->in += len;
	return 0;
}

void pgo_zstd_free(struct pgo_zstd *z)
{
	if (z == NULL)
		return;
	ZSTD_freeDCtx(z->ctx);
	pgo_free(z);
}
