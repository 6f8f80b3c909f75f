/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "pgo/core/inflate.h"
#include "tests/lib/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define LEN ((size_t)700000)

/* Half text, half noise: stored, fixed and dynamic blocks all come up. */
static uint8_t *sample(size_t len)
{
	uint8_t *p = malloc(len);
	uint32_t x = 12345;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = i / 50000 % 2 ? (uint8_t)(x >> 24) : (uint8_t) "profile "[x >> 29];
	}
	return p;
}

static void gzip_of(const void *data, size_t len, struct pgo_buf *out)
{
	assert_int_equal(pgo_gzip(data, len, out, NULL), 0);
}

static void zstd_of(const void *data, size_t len, int level, struct pgo_buf *out)
{
	size_t bound = ZSTD_compressBound(len);
	char *to = pgo_buf_reserve(out, bound);
	size_t n = ZSTD_compress(to, bound, data, len, level);

	assert_false(ZSTD_isError(n));
	out->len += n;
}

/* Reads everything in pieces of `step`; the bytes, or the error code. */
static int64_t drain(struct pgo_stream *s, size_t step, struct pgo_buf *out, struct pgo_err *err)
{
	for (;;) {
		char *to = pgo_buf_reserve(out, step);
		int64_t n = pgo_stream_read(s, to, step, err);

		if (n <= 0)
			return n < 0 ? n : (int64_t)out->len;
		out->len += (size_t)n;
		assert_int_equal(pgo_stream_offset(s), out->len);
	}
}

static int64_t drain_memory(const struct pgo_buf *in, uint64_t max, size_t step,
	struct pgo_buf *out, struct pgo_err *err)
{
	struct pgo_stream *s = pgo_stream_memory("in.gz", in->data, in->len, max, err);
	int64_t n;

	pgo_buf_init(out, SIZE_MAX - 1);
	if (s == NULL)
		return err->code;
	n = drain(s, step, out, err);
	pgo_stream_close(s);
	return n;
}

static void expect(const struct pgo_buf *in, size_t step, const void *data, size_t len)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf out;

	if (drain_memory(in, PGO_INFLATE_MAX, step, &out, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(out.len, len);
	assert_memory_equal(out.data, data, len);
	pgo_buf_fini(&out);
}

static void expect_error(const struct pgo_buf *in, uint64_t max, int code, const char *part)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf out;

	assert_int_equal(drain_memory(in, max, 4096, &out, &err), code);
	assert_has(err.msg, "in.gz: ");
	assert_has(err.msg, part);
	pgo_buf_fini(&out);
}

static void every_coding_reads_back_in_pieces_of_every_size(void **state)
{
	static const size_t steps[] = {1, 7, 4096, 32768, 65537, 1000000};
	uint8_t *data = sample(LEN);
	struct pgo_buf in;

	(void)state;
	pgo_buf_init(&in, SIZE_MAX - 1);
	for (int coding = 0; coding < 3; coding++) {
		pgo_buf_clear(&in);
		if (coding == PGO_CODING_GZIP)
			gzip_of(data, LEN, &in);
		else if (coding == PGO_CODING_ZSTD)
			zstd_of(data, LEN, 3, &in);
		else
			pgo_buf_add(&in, data, LEN);
		for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
			expect(&in, steps[i], data, LEN);
	}
	pgo_buf_fini(&in);
	free(data);
}

static void nothing_is_a_plain_stream_of_no_bytes(void **state)
{
	struct pgo_buf in, out;

	(void)state;
	pgo_buf_init(&in, 1000);
	assert_int_equal(drain_memory(&in, 100, 10, &out, NULL), 0);
	pgo_buf_fini(&out);
	gzip_of("", 0, &in);
	expect(&in, 10, "", 0);
	pgo_buf_clear(&in);
	zstd_of("", 0, 1, &in);
	expect(&in, 10, "", 0);
	pgo_buf_fini(&in);
}

static void members_and_frames_in_a_row_are_one_stream(void **state)
{
	uint8_t *data = sample(LEN);
	struct pgo_buf in;

	(void)state;
	/* Pieces from nothing to large, so that members end all over the input block. */
	for (int coding = PGO_CODING_GZIP; coding <= PGO_CODING_ZSTD; coding++) {
		size_t at = 0;

		pgo_buf_init(&in, SIZE_MAX - 1);
		for (size_t n = 0; at < LEN; n = n * 3 / 2 + 1) {
			size_t len = n < LEN - at ? n : LEN - at;

			if (coding == PGO_CODING_GZIP)
				gzip_of(data + at, len, &in);
			else
				zstd_of(data + at, len, 3, &in);
			at += len;
		}
		expect(&in, 5000, data, LEN);
		expect(&in, 1, data, LEN);
		pgo_buf_fini(&in);
	}
	free(data);
}

/* A file is read in blocks, and a member may end at any place in one. */
static void members_may_end_anywhere_in_a_block(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	uint8_t *data = sample(300000);
	struct pgo_buf in;

	for (size_t shift = 0; shift < 40; shift++) {
		struct pgo_stream *s;
		struct pgo_buf out;
		z_stream z = {0};
		size_t first = 262144 - 18 - 5 * 5 - 20 + shift;
		char *path;
		char name[32];

		/* Stored blocks have a known length: the member ends near byte 256 Ki. */
		pgo_buf_init(&in, SIZE_MAX - 1);
		assert_int_equal(deflateInit2(&z, 0, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
		z.next_in = data;
		z.avail_in = (uInt)first;
		z.next_out = (Bytef *)pgo_buf_reserve(&in, 400000);
		z.avail_out = 400000;
		assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
		in.len += z.total_out;
		deflateEnd(&z);
		gzip_of(data + first, 300000 - first, &in);
		snprintf(name, sizeof name, "f%zu", shift);
		path = scratch_file(*state, name, in.data, in.len);
		pgo_buf_init(&out, SIZE_MAX - 1);
		s = pgo_stream_open(path, PGO_INFLATE_MAX, &err);
		assert_non_null(s);
		if (drain(s, 50000, &out, &err) != 300000)
			fail_msg("%s", err.msg);
		assert_memory_equal(out.data, data, 300000);
		pgo_stream_close(s);
		pgo_buf_fini(&out);
		pgo_buf_fini(&in);
	}
	free(data);
}

static void zero_padding_is_no_error_but_other_bytes_are(void **state)
{
	static char zeros[300000];
	struct pgo_buf in;
	size_t end;

	(void)state;
	pgo_buf_init(&in, SIZE_MAX - 1);
	gzip_of("hello", 5, &in);
	end = in.len;
	pgo_buf_add(&in, zeros, sizeof zeros);
	expect(&in, 100, "hello", 5);
	pgo_buf_putc(&in, 'x');
	{
		char part[64];

		snprintf(part, sizeof part, "end at byte %zu", end);
		expect_error(&in, 1000, PGO_EFORMAT, part);
	}
	pgo_buf_clear(&in);
	zstd_of("hello", 5, 1, &in);
	pgo_buf_puts(&in, "garbage");
	expect_error(&in, 1000, PGO_EFORMAT, "something else");
	pgo_buf_fini(&in);
}

static void every_truncation_is_an_error_that_says_cut_off(void **state)
{
	uint8_t *data = sample(120000);
	struct pgo_buf in;

	(void)state;
	for (int coding = PGO_CODING_GZIP; coding <= PGO_CODING_ZSTD; coding++) {
		size_t whole;

		pgo_buf_init(&in, SIZE_MAX - 1);
		if (coding == PGO_CODING_GZIP)
			gzip_of(data, 120000, &in);
		else
			zstd_of(data, 120000, 3, &in);
		whole = in.len;
		for (size_t percent = 1; percent < 100; percent++) {
			in.len = whole * percent / 100;
			expect_error(&in, PGO_INFLATE_MAX, PGO_EFORMAT, "cut off in transfer");
		}
		for (size_t less = 1; less < 20; less++) {
			in.len = whole - less;
			expect_error(&in, PGO_INFLATE_MAX, PGO_EFORMAT, "cut off in transfer");
		}
		pgo_buf_fini(&in);
	}
	free(data);
}

static void a_flipped_bit_never_changes_content_silently(void **state)
{
	static const char text[] = "a profile of a service, a profile of another service";
	struct pgo_err err;
	struct pgo_buf in, out;
	size_t len, passed = 0;

	(void)state;
	pgo_buf_init(&in, 10000);
	gzip_of(text, sizeof text, &in);
	len = in.len;
	/* Bits of the header that carry no content (flags, time, system) may change freely. */
	for (size_t bit = 80; bit < len * 8; bit++) {
		int64_t n;

		in.data[bit / 8] ^= (char)(1 << bit % 8);
		err = (struct pgo_err)PGO_ERR_INIT;
		n = drain_memory(&in, 10000, 100, &out, &err);
		passed += n >= 0;
		if (n >= 0)
			assert_memory_equal(out.data, text, sizeof text);
		else
			assert_true(err.msg[0] != '\0');
		pgo_buf_fini(&out);
		in.data[bit / 8] ^= (char)(1 << bit % 8);
	}
	/* The last byte of deflate data has up to seven bits without meaning. */
	assert_true(passed <= 7);
	expect(&in, 7, text, sizeof text);
	pgo_buf_fini(&in);
}

static void a_bomb_stops_at_the_limit(void **state)
{
	size_t len = (size_t)64 << 20;
	char *zeros = calloc(1, len);
	struct pgo_buf in;

	(void)state;
	for (int coding = PGO_CODING_GZIP; coding <= PGO_CODING_ZSTD; coding++) {
		pgo_buf_init(&in, SIZE_MAX - 1);
		if (coding == PGO_CODING_GZIP)
			gzip_of(zeros, len, &in);
		else
			zstd_of(zeros, len, 1, &in);
		assert_true(in.len < len / 100);
		expect_error(
			&in, len - 1, PGO_ELIMIT, "inflates to more than the limit of 67108863");
		expect_error(&in, 10, PGO_ELIMIT, "limit of 10 bytes");
		expect(&in, 100000, zeros, len);
		pgo_buf_fini(&in);
	}
	pgo_buf_init(&in, 100);
	pgo_buf_puts(&in, "0123456789");
	expect_error(&in, 9, PGO_ELIMIT, "is larger than the limit of 9");
	in.len = 9;
	expect(&in, 3, "012345678", 9);
	pgo_buf_fini(&in);
	free(zeros);
}

static void the_limit_may_be_reached_exactly(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	uint8_t *data = sample(LEN);
	struct pgo_buf in, out;

	(void)state;
	pgo_buf_init(&in, SIZE_MAX - 1);
	gzip_of(data, LEN, &in);
	assert_int_equal(drain_memory(&in, LEN, 1000, &out, &err), LEN);
	pgo_buf_fini(&out);
	assert_int_equal(drain_memory(&in, LEN - 1, 1000, &out, &err), PGO_ELIMIT);
	pgo_buf_fini(&out);
	pgo_buf_fini(&in);
	free(data);
}

static void a_large_window_is_refused_not_allocated(void **state)
{
	/* A zstd frame header that asks for a window of 2 GiB. */
	static const char head[] = "\x28\xb5\x2f\xfd\x00\xa8\x00\x00\x00";
	struct pgo_buf in;

	(void)state;
	pgo_buf_init(&in, 100);
	pgo_buf_add(&in, head, sizeof head - 1);
	expect_error(&in, PGO_INFLATE_MAX, PGO_ELIMIT, "128 MiB");
	pgo_buf_fini(&in);
}

static void peeking_takes_nothing(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	uint8_t *data = sample(LEN);
	const uint8_t *p;
	struct pgo_stream *s;
	struct pgo_buf in;
	size_t at = 0;

	(void)state;
	pgo_buf_init(&in, SIZE_MAX - 1);
	gzip_of(data, LEN, &in);
	s = pgo_stream_memory("m", in.data, in.len, LEN, &err);
	assert_non_null(s);
	while (at < LEN) {
		uint8_t block[3333];
		size_t want = at % 70000 + 1;
		size_t most = want < 65536 ? want : 65536;
		int64_t n = pgo_stream_peek(s, want, &p, &err);

		assert_int_equal(n, most < LEN - at ? most : LEN - at);
		assert_memory_equal(p, data + at, (size_t)n);
		assert_int_equal(pgo_stream_offset(s), at);
		n = pgo_stream_read(s, block, sizeof block, &err);
		assert_true(n > 0);
		assert_memory_equal(block, data + at, (size_t)n);
		at += (size_t)n;
	}
	assert_int_equal(pgo_stream_peek(s, 1, &p, &err), 0);
	pgo_stream_close(s);
	pgo_buf_fini(&in);
	free(data);
}

static void skipping_lands_where_it_says(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	uint8_t *data = sample(LEN);
	struct pgo_stream *s = pgo_stream_memory("m", data, LEN, LEN, &err);
	uint8_t byte;

	(void)state;
	assert_int_equal(pgo_stream_skip(s, 123456, &err), 0);
	assert_int_equal(pgo_stream_offset(s), 123456);
	assert_int_equal(pgo_stream_read(s, &byte, 1, &err), 1);
	assert_int_equal(byte, data[123456]);
	assert_int_equal(pgo_stream_skip(s, LEN - 123457, &err), 0);
	assert_int_equal(pgo_stream_skip(s, 0, &err), 0);
	assert_int_equal(pgo_stream_skip(s, 1, &err), PGO_EFORMAT);
	assert_has(err.msg, "m: ends at byte 700000");
	pgo_stream_close(s);
	free(data);
}

static void files_rewind_and_pipes_do_not(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	uint8_t *data = sample(LEN);
	struct pgo_buf in, out;
	struct pgo_stream *s;
	char *path;
	int fds[2];
	int saved;

	pgo_buf_init(&in, SIZE_MAX - 1);
	pgo_buf_init(&out, SIZE_MAX - 1);
	zstd_of(data, LEN, 3, &in);
	path = scratch_file(*state, "f", in.data, in.len);
	s = pgo_stream_open(path, LEN, &err);
	assert_non_null(s);
	assert_int_equal(pgo_stream_coding(s), PGO_CODING_ZSTD);
	assert_string_equal(pgo_stream_name(s), path);
	for (int round = 0; round < 3; round++) {
		pgo_buf_clear(&out);
		assert_int_equal(drain(s, 100000, &out, &err), LEN);
		assert_memory_equal(out.data, data, LEN);
		assert_int_equal(pgo_stream_rewind(s, &err), 0);
		assert_int_equal(pgo_stream_offset(s), 0);
	}
	pgo_stream_close(s);

	assert_int_equal(pipe(fds), 0);
	saved = dup(STDIN_FILENO);
	dup2(fds[0], STDIN_FILENO);
	assert_int_equal(write(fds[1], "text", 4), 4);
	close(fds[1]);
	s = pgo_stream_open("-", LEN, &err);
	assert_non_null(s);
	pgo_buf_clear(&out);
	assert_int_equal(drain(s, 10, &out, &err), 4);
	assert_int_equal(pgo_stream_rewind(s, &err), PGO_EIO);
	assert_has(err.msg, "standard input: has to be read twice");
	pgo_stream_close(s);
	dup2(saved, STDIN_FILENO);
	close(saved);
	close(fds[0]);
	pgo_buf_fini(&in);
	pgo_buf_fini(&out);
	free(data);
}

static void an_error_repeats_until_rewound(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf in;
	struct pgo_stream *s;
	char byte[200];

	(void)state;
	pgo_buf_init(&in, 1000);
	gzip_of("hello hello hello", 17, &in);
	s = pgo_stream_memory("m", in.data, in.len - 1, 1000, &err);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(pgo_stream_read(s, byte, 200, &err), PGO_EFORMAT);
		err = (struct pgo_err)PGO_ERR_INIT;
		assert_int_equal(pgo_stream_read(s, byte, 200, &err), PGO_EFORMAT);
		assert_has(err.msg, "cut off");
		assert_int_equal(pgo_stream_rewind(s, &err), 0);
	}
	pgo_stream_close(s);
	pgo_buf_fini(&in);
}

static void unreadable_names_are_refused(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;

	assert_null(pgo_stream_open(scratch_path(*state, "none"), 1, &err));
	assert_int_equal(err.code, PGO_EIO);
	assert_has(err.msg, "none: cannot be opened");
	assert_null(pgo_stream_open(scratch_dir(*state), 1, &err));
	assert_has(err.msg, "Is a directory");
}

/* One gzip member of `len` bytes, by the library itself. */
static uint8_t *inflate_by_zlib(const void *data, size_t n, size_t len)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)n};
	uint8_t *out = malloc(len + 1);

	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	z.next_out = out;
	z.avail_out = (uInt)len + 1;
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.total_out, len);
	assert_int_equal(z.avail_in, 0);
	inflateEnd(&z);
	return out;
}

static void gzip_on_several_threads_has_the_bytes_of_one(void **state)
{
	static const size_t lens[] = {0, 1, 512 << 10, (512 << 10) + 1, (2 << 20) - 1, 3000000};
	char *data = malloc(3000000);
	struct pgo_buf one, many;
	uint32_t x = 1;

	(void)state;
	/* Compressible, and further back than one piece's dictionary. */
	for (size_t i = 0; i < 3000000; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = i >= 70000 && (x >> 24) > 20 ? data[i - 70000 + (x >> 30)]
						       : (char)(x >> 16);
	}
	for (size_t k = 0; k < sizeof lens / sizeof *lens; k++) {
		uint8_t *back;

		pgo_buf_init(&one, SIZE_MAX);
		pgo_buf_init(&many, SIZE_MAX);
		setenv("PGO_THREADS", "1", 1);
		gzip_of(data, lens[k], &one);
		setenv("PGO_THREADS", "5", 1);
		gzip_of(data, lens[k], &many);
		unsetenv("PGO_THREADS");
		assert_int_equal(one.len, many.len);
		assert_memory_equal(one.data, many.data, one.len);
		back = inflate_by_zlib(many.data, many.len, lens[k]);
		assert_memory_equal(back, data, lens[k]);
		free(back);
		pgo_buf_fini(&one);
		pgo_buf_fini(&many);
	}
	free(data);
}

static int append(void *ctx, const void *data, size_t len, struct pgo_err *err)
{
	(void)err;
	pgo_buf_add(ctx, data, len);
	return 0;
}

static int refuse(void *ctx, const void *data, size_t len, struct pgo_err *err)
{
	(void)ctx;
	(void)data;
	(void)len;
	return pgo_err_set(err, PGO_EIO, "no room");
}

static void gzip_of_parts_has_the_bytes_of_the_whole(void **state)
{
	static const size_t lens[] = {0, 1, 512 << 10, (512 << 10) + 1, 4 << 20, (4 << 20) + 1,
		(8 << 20) + 77777, 9000000};
	static const size_t parts[] = {9000000, 512 << 10, 100000, 1 << 20, 65537};
	char *data = malloc(9000000);
	struct pgo_buf whole, out;
	uint32_t x = 1;

	(void)state;
	for (size_t i = 0; i < 9000000; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = i >= 70000 && (x >> 24) > 20 ? data[i - 70000 + (x >> 30)]
						       : (char)(x >> 16);
	}
	for (size_t k = 0; k < sizeof lens / sizeof *lens; k++) {
		size_t part = parts[k % (sizeof parts / sizeof *parts)];
		struct pgo_gzip *z = pgo_gzip_new(append, &out, 0, NULL);

		pgo_buf_init(&whole, SIZE_MAX);
		pgo_buf_init(&out, SIZE_MAX);
		assert_non_null(z);
		gzip_of(data, lens[k], &whole);
		for (size_t at = 0; at < lens[k]; at += part)
			assert_int_equal(pgo_gzip_add(z, data + at,
						 lens[k] - at < part ? lens[k] - at : part, NULL),
				0);
		assert_int_equal(pgo_gzip_end(z, NULL), 0);
		assert_int_equal(whole.len, out.len);
		assert_memory_equal(whole.data, out.data, out.len);
		pgo_gzip_free(z);
		pgo_buf_fini(&whole);
		pgo_buf_fini(&out);
	}
	free(data);
}

static void gzip_tells_when_its_bytes_find_no_room(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_gzip *z = pgo_gzip_new(refuse, NULL, 0, NULL);

	(void)state;
	assert_non_null(z);
	assert_int_equal(pgo_gzip_add(z, "hello", 5, &err), 0);
	assert_int_equal(pgo_gzip_end(z, &err), PGO_EIO);
	assert_string_equal(err.msg, "no room");
	pgo_gzip_free(z);
}

static void gzip_output_is_the_same_every_time_and_nameless(void **state)
{
	uint8_t *data = sample(LEN);
	struct pgo_buf a, b;

	(void)state;
	pgo_buf_init(&a, SIZE_MAX - 1);
	pgo_buf_init(&b, SIZE_MAX - 1);
	gzip_of(data, LEN, &a);
	gzip_of(data, LEN, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	/* Magic, deflate, no flags, no time, any extra flags, unknown system. */
	assert_memory_equal(a.data, "\x1f\x8b\x08\0\0\0\0\0", 8);
	assert_int_equal((uint8_t)a.data[9], 255);
	pgo_buf_fini(&a);
	pgo_buf_fini(&b);
	free(data);
}

static void zlib_sections_round_trip_within_limits(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	uint8_t *data = sample(LEN);
	struct pgo_buf z, out;

	(void)state;
	pgo_buf_init(&z, SIZE_MAX - 1);
	pgo_buf_init(&out, SIZE_MAX - 1);
	assert_int_equal(pgo_zlib_deflate(data, LEN, &z, &err), 0);
	assert_int_equal(pgo_zlib_inflate("s", z.data, z.len, LEN, &out, &err), 0);
	assert_int_equal(out.len, LEN);
	assert_memory_equal(out.data, data, LEN);
	assert_int_equal(pgo_zlib_inflate("s", z.data, z.len, LEN - 1, &out, &err), PGO_ELIMIT);
	assert_int_equal(pgo_zlib_inflate("s", z.data, z.len - 1, LEN, &out, &err), PGO_EFORMAT);
	assert_has(err.msg, "end in the middle");
	assert_int_equal(pgo_zlib_inflate("s", z.data, 0, LEN, &out, &err), PGO_EFORMAT);
	pgo_buf_putc(&z, 'x');
	assert_int_equal(pgo_zlib_inflate("s", z.data, z.len, LEN, &out, &err), PGO_EFORMAT);
	assert_has(err.msg, "something follows");
	z.data[100] ^= 0x55;
	assert_int_equal(pgo_zlib_inflate("s", z.data, z.len - 1, LEN, &out, &err), PGO_EFORMAT);
	pgo_buf_fini(&z);
	pgo_buf_fini(&out);
	free(data);
}

static void an_output_buffer_may_be_exactly_large_enough(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf z, out;
	struct pgo_zstd *s;

	(void)state;
	pgo_buf_init(&z, SIZE_MAX - 1);
	assert_int_equal(pgo_zlib_deflate("hello", 5, &z, &err), 0);
	pgo_buf_init(&out, 5);
	assert_int_equal(pgo_zlib_inflate("s", z.data, z.len, 100, &out, &err), 0);
	assert_string_equal(out.data, "hello");
	pgo_buf_fini(&out);
	pgo_buf_init(&out, 4);
	assert_int_equal(pgo_zlib_inflate("s", z.data, z.len, 100, &out, &err), PGO_ELIMIT);
	pgo_buf_fini(&out);
	pgo_buf_clear(&z);
	zstd_of("hello", 5, 1, &z);
	for (size_t max = 4; max < 6; max++) {
		pgo_buf_init(&out, max);
		s = pgo_zstd_new(1000, &err);
		assert_int_equal(
			pgo_zstd_feed(s, z.data, z.len, &out, &err), max < 5 ? PGO_ELIMIT : 0);
		pgo_zstd_free(s);
		pgo_buf_fini(&out);
	}
	pgo_buf_fini(&z);
}

static void zstd_records_come_out_whole_after_each_flush(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	ZSTD_CCtx *c = ZSTD_createCCtx();
	uint8_t *data = sample(LEN);
	struct pgo_zstd *z = pgo_zstd_new(LEN, &err);
	struct pgo_buf out;
	static char block[1 << 20];

	(void)state;
	pgo_buf_init(&out, SIZE_MAX - 1);
	/* One frame, flushed at the end of every record and never ended, as perf writes it. */
	for (size_t at = 0; at < LEN; at += LEN / 7) {
		ZSTD_inBuffer in = {data + at, LEN / 7, 0};
		ZSTD_outBuffer to = {block, sizeof block, 0};

		assert_int_equal(ZSTD_compressStream2(c, &to, &in, ZSTD_e_flush), 0);
		assert_int_equal(pgo_zstd_feed(z, block, to.pos, &out, &err), 0);
		assert_int_equal(out.len, at + LEN / 7);
	}
	assert_memory_equal(out.data, data, LEN);
	assert_int_equal(pgo_zstd_feed(z, "\xff\xff\xff\xff", 4, &out, &err), PGO_EFORMAT);
	pgo_zstd_free(z);
	pgo_zstd_free(NULL);
	ZSTD_freeCCtx(c);
	pgo_buf_fini(&out);
	free(data);
}

static void no_allocation_failure_leaks(void **state)
{
	uint64_t live;
	struct pgo_buf in;
	int64_t n = -1;

	(void)state;
	pgo_buf_init(&in, 1000);
	gzip_of("hello", 5, &in);
	live = pgo_alloc_live();
	for (uint64_t k = 0; n < 0; k++) {
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_buf out;
		struct pgo_stream *s;
		char text[10];

		assert_in_range(k, 0, 20);
		pgo_buf_init(&out, 1000000);
		pgo_alloc_fail_after(k);
		s = pgo_stream_memory("m", in.data, in.len, 1000, &err);
		n = s != NULL ? pgo_stream_read(s, text, 10, &err) : err.code;
		if (n > 0 && pgo_gzip("x", 1, &out, &err) < 0)
			n = -1;
		pgo_alloc_fail_after(UINT64_MAX);
		pgo_stream_close(s);
		pgo_buf_fini(&out);
		if (n < 0)
			assert_int_equal(err.code, PGO_ENOMEM);
		assert_int_equal(pgo_alloc_live(), live);
	}
	pgo_buf_fini(&in);
}

#define WITH_DIR(f) cmocka_unit_test_setup_teardown(f, scratch_up, scratch_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_coding_reads_back_in_pieces_of_every_size),
		cmocka_unit_test(nothing_is_a_plain_stream_of_no_bytes),
		cmocka_unit_test(members_and_frames_in_a_row_are_one_stream),
		WITH_DIR(members_may_end_anywhere_in_a_block),
		cmocka_unit_test(zero_padding_is_no_error_but_other_bytes_are),
		cmocka_unit_test(every_truncation_is_an_error_that_says_cut_off),
		cmocka_unit_test(a_flipped_bit_never_changes_content_silently),
		cmocka_unit_test(a_bomb_stops_at_the_limit),
		cmocka_unit_test(the_limit_may_be_reached_exactly),
		cmocka_unit_test(a_large_window_is_refused_not_allocated),
		cmocka_unit_test(peeking_takes_nothing),
		cmocka_unit_test(skipping_lands_where_it_says),
		WITH_DIR(files_rewind_and_pipes_do_not),
		cmocka_unit_test(an_error_repeats_until_rewound),
		WITH_DIR(unreadable_names_are_refused),
		cmocka_unit_test(gzip_on_several_threads_has_the_bytes_of_one),
		cmocka_unit_test(gzip_of_parts_has_the_bytes_of_the_whole),
		cmocka_unit_test(gzip_tells_when_its_bytes_find_no_room),
		cmocka_unit_test(gzip_output_is_the_same_every_time_and_nameless),
		cmocka_unit_test(zlib_sections_round_trip_within_limits),
		cmocka_unit_test(an_output_buffer_may_be_exactly_large_enough),
		cmocka_unit_test(zstd_records_come_out_whole_after_each_flush),
		cmocka_unit_test(no_allocation_failure_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
