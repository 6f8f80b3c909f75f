/* SPDX-License-Identifier: Apache-2.0 */
#include "perfwrite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define HEADER_SIZE 104
#define COMPRESS_CHUNK 20011 /* no multiple of 8: records straddle the compressed ones */
#define MMAP_LEN (1 << 20)

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "mkperf: %s: %s\n", what, strerror(errno));
	exit(1);
}

void pw_raw(struct pw_buf *b, const void *p, size_t n)
{
	if (b->cap - b->n < n) {
		b->cap = 2 * (b->cap + n) + 256;
		b->p = realloc(b->p, b->cap);
		if (!b->p)
			die("memory");
	}
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
}

static void put_number(struct pw_buf *b, uint64_t v, unsigned size)
{
	uint8_t bytes[8];
	unsigned i;

	for (i = 0; i < size; i++)
		bytes[b->big ? size - 1 - i : i] = (uint8_t)(v >> (8 * i));
	pw_raw(b, bytes, size);
}

void pw_u8(struct pw_buf *b, uint8_t v)
{
	put_number(b, v, 1);
}

void pw_u16(struct pw_buf *b, uint16_t v)
{
	put_number(b, v, 2);
}

void pw_u32(struct pw_buf *b, uint32_t v)
{
	put_number(b, v, 4);
}

void pw_u64(struct pw_buf *b, uint64_t v)
{
	put_number(b, v, 8);
}

static void pad_to(struct pw_buf *b, size_t from, size_t unit)
{
	while ((b->n - from) % unit)
		pw_u8(b, 0);
}

void pw_string(struct pw_buf *b, const char *s)
{
	size_t len = (strlen(s) + 1 + 63) / 64 * 64, from;

	pw_u32(b, (uint32_t)len);
	from = b->n;
	pw_raw(b, s, strlen(s) + 1);
	pad_to(b, from, 64);
}

void pw_name(struct pw_buf *b, const char *s)
{
	size_t from = b->n;

	pw_raw(b, s, strlen(s) + 1);
	pad_to(b, from, 8);
}

static uint8_t reverse_bits(uint8_t v)
{
	uint8_t r = 0;
	int i;

	for (i = 0; i < 8; i++)
		r |= (uint8_t)((v >> i & 1) << (7 - i));
	return r;
}

/* A 64-bit C bit-field: big-endian compilers fill it from the top, so each byte's bits are
 * reversed. */
static void put_bitfield(struct pw_buf *b, uint64_t bits)
{
	int i;

	for (i = 0; i < 8; i++) {
		uint8_t byte = (uint8_t)(bits >> (8 * i));

		pw_u8(b, b->big ? reverse_bits(byte) : byte);
	}
}

uint64_t pw_branch_flags(
	const struct pw_file *w, int mispred, unsigned cycles, unsigned type, unsigned priv)
{
	unsigned good = mispred == 0, bad = mispred > 0;

	if (w->big)
		return (uint64_t)bad << 63 | (uint64_t)good << 62 |
		       (uint64_t)(cycles & 0xffff) << 44 | (uint64_t)(type & 15) << 40 |
		       (uint64_t)(priv & 7) << 31;
	return bad | (uint64_t)good << 1 | (uint64_t)(cycles & 0xffff) << 4 |
	       (uint64_t)(type & 15) << 20 | (uint64_t)(priv & 7) << 30;
}

static void put_attr(const struct pw_file *w, struct pw_buf *b, const struct pw_event *e)
{
	uint64_t bits = 0;
	size_t from = b->n;

	bits |= 1u << 0;                          /* disabled */
	bits |= 1u << 1;                          /* inherit */
	bits |= e->user_only ? 3u << 5 : 0;       /* exclude_kernel, exclude_hv */
	bits |= 1u << 8 | 1u << 9;                /* mmap, comm */
	bits |= 1u << 12 | 1u << 13;              /* enable_on_exec, task */
	bits |= (uint64_t)(e->precise & 3) << 15; /* precise_ip */
	bits |= 1u << 18 | 1u << 20;              /* sample_id_all, exclude_guest */
	bits |= 1u << 23 | 1u << 24;              /* mmap2, comm_exec */
	bits |= w->clockid >= 0 ? 1u << 25 : 0;   /* use_clockid */
	pw_u32(b, e->type);
	pw_u32(b, PW_ATTR_SIZE);
	pw_u64(b, e->config);
	pw_u64(b, e->period);
	pw_u64(b, e->sample_type);
	pw_u64(b, 4); /* read_format: ID */
	put_bitfield(b, bits);
	pw_u32(b, 0); /* wakeup_events */
	pw_u32(b, 0); /* bp_type */
	pw_u64(b, 0); /* config1 */
	pw_u64(b, 0); /* config2 */
	pw_u64(b, e->branch_type);
	pw_u64(b, 0); /* sample_regs_user */
	pw_u32(b, 0); /* sample_stack_user */
	pw_u32(b, w->clockid >= 0 ? (uint32_t)w->clockid : 0);
	while (b->n - from < PW_ATTR_SIZE)
		pw_u8(b, 0);
}

static void write_out(struct pw_file *w, const void *p, size_t n)
{
	if (n && fwrite(p, 1, n, w->f) != n)
		die("writing perf.data");
	w->data_size += n;
}

static void compress_some(struct pw_file *w, size_t n)
{
	static uint8_t out[65536 - 8];
	ZSTD_inBuffer in = {w->pending.p, n, 0};
	ZSTD_outBuffer to = {out, sizeof(out), 0};
	struct pw_buf head = {.big = w->big};
	size_t left = ZSTD_compressStream2(w->zstd, &to, &in, ZSTD_e_flush);

	if (ZSTD_isError(left) || left || in.pos != n) {
		fputs("mkperf: zstd failed\n", stderr);
		exit(1);
	}
	pw_u32(&head, PW_REC_COMPRESSED);
	pw_u16(&head, 0);
	pw_u16(&head, (uint16_t)(8 + to.pos));
	write_out(w, head.p, head.n);
	write_out(w, out, to.pos);
	free(head.p);
	memmove(w->pending.p, w->pending.p + n, w->pending.n - n);
	w->pending.n -= n;
}

/* Ready bytes of whole records: out as they are, or through the compressor. */
static void emit(struct pw_file *w, const struct pw_buf *b)
{
	if (!w->zstd) {
		write_out(w, b->p, b->n);
		return;
	}
	pw_raw(&w->pending, b->p, b->n);
	while (w->pending.n >= COMPRESS_CHUNK)
		compress_some(w, COMPRESS_CHUNK);
}

struct pw_buf *pw_record(struct pw_file *w, enum pw_record type, uint16_t misc)
{
	w->rec.n = 0;
	pw_u32(&w->rec, type);
	pw_u16(&w->rec, misc);
	pw_u16(&w->rec, 0);
	return &w->rec;
}

static void set_size(struct pw_buf *b, size_t at, size_t size)
{
	if (size > 65535) {
		fputs("mkperf: a record does not fit the format\n", stderr);
		exit(1);
	}
	b->p[at] = (uint8_t)(b->big ? size >> 8 : size);
	b->p[at + 1] = (uint8_t)(b->big ? size : size >> 8);
}

void pw_record_end(struct pw_file *w)
{
	set_size(&w->rec, 6, w->rec.n);
	emit(w, &w->rec);
}

void pw_open(struct pw_file *w, const char *path)
{
	unsigned i;

	w->rec.big = w->body.big = w->big;
	for (i = 0; i < PW_N_FEATURES; i++)
		w->feature[i].big = w->big;
	w->f = strcmp(path, "-") ? fopen(path, "wbe") : stdout;
	if (!w->f)
		die(path);
}

struct pw_buf *pw_feature(struct pw_file *w, enum pw_feature bit)
{
	return &w->feature[bit];
}

void pw_build_id(
	struct pw_file *w, uint32_t pid, const uint8_t *id, unsigned size, const char *path)
{
	struct pw_buf *b = &w->feature[PW_FEAT_BUILD_ID];
	size_t from = b->n, name;

	pw_u32(b, PW_REC_BUILD_ID);
	pw_u16(b, 2 | 1 << 15); /* user; the size byte is valid */
	pw_u16(b, 0);
	pw_u32(b, pid);
	pw_raw(b, id, 20);
	pw_u8(b, (uint8_t)size);
	pw_raw(b, "\0\0", 3);
	name = b->n;
	pw_raw(b, path, strlen(path) + 1);
	pad_to(b, name, 64); /* so these records, 36 bytes and the name, are not 8-aligned */
	set_size(b, from + 6, b->n - from);
}

static void fill_event_desc(struct pw_file *w)
{
	struct pw_buf *b = &w->feature[PW_FEAT_EVENT_DESC];
	unsigned i;

	pw_u32(b, w->n_events);
	pw_u32(b, PW_ATTR_SIZE);
	for (i = 0; i < w->n_events; i++) {
		put_attr(w, b, &w->events[i]);
		pw_u32(b, 1);
		pw_string(b, w->events[i].name);
		pw_u64(b, w->events[i].id);
	}
}

static int has_feature(const struct pw_file *w, unsigned i)
{
	return w->feature[i].n || (w->empty_features >> i & 1);
}

static void begin_pipe(struct pw_file *w)
{
	struct pw_buf head = {.big = w->big}, *b;
	unsigned i;

	pw_u64(&head, 0x32454c4946524550u);
	pw_u64(&head, 16);
	write_out(w, head.p, head.n);
	free(head.p);
	for (i = 0; i < w->n_events; i++) {
		b = pw_record(w, PW_REC_HEADER_ATTR, 0);
		put_attr(w, b, &w->events[i]);
		pw_u64(b, w->events[i].id);
		pw_record_end(w);
		b = pw_record(w, PW_REC_EVENT_UPDATE, 0);
		pw_u64(b, 2); /* the name */
		pw_u64(b, w->events[i].id);
		pw_name(b, w->events[i].name);
		pw_record_end(w);
	}
	for (i = 0; i < PW_N_FEATURES; i++) {
		if (!has_feature(w, i))
			continue;
		if (i == PW_FEAT_BUILD_ID) {
			write_out(w, w->feature[i].p, w->feature[i].n);
			continue;
		}
		b = pw_record(w, PW_REC_HEADER_FEATURE, 0);
		pw_u64(b, i);
		pw_raw(b, w->feature[i].p, w->feature[i].n);
		pad_to(b, 0, 8);
		pw_record_end(w);
	}
}

static void put_section(struct pw_buf *b, uint64_t off, uint64_t size)
{
	pw_u64(b, off);
	pw_u64(b, size);
}

static void put_file_header(struct pw_file *w, struct pw_buf *b)
{
	uint64_t ids = HEADER_SIZE, attrs = ids + 8 * w->n_events, bits = 0;
	unsigned i;

	pw_u64(b, 0x32454c4946524550u); /* PERFILE2 */
	pw_u64(b, HEADER_SIZE);
	pw_u64(b, PW_ATTR_SIZE + 16);
	put_section(b, attrs, w->n_events * (PW_ATTR_SIZE + 16));
	put_section(b, w->data_off, w->data_size);
	put_section(b, 0, 0);
	for (i = 0; i < PW_N_FEATURES; i++)
		bits |= has_feature(w, i) ? 1ull << i : 0;
	pw_u64(b, bits);
	for (i = 0; i < 3; i++)
		pw_u64(b, 0);
	for (i = 0; i < w->n_events; i++)
		pw_u64(b, w->events[i].id);
	for (i = 0; i < w->n_events; i++) {
		put_attr(w, b, &w->events[i]);
		put_section(b, ids + 8 * i, 8);
	}
}

void pw_begin(struct pw_file *w)
{
	struct pw_buf *comp = &w->feature[PW_FEAT_COMPRESSED];

	fill_event_desc(w);
	if (w->compress) {
		pw_u32(comp, 1); /* version */
		pw_u32(comp, 1); /* zstd */
		pw_u32(comp, 1); /* level */
		pw_u32(comp, 4); /* ratio */
		pw_u32(comp, MMAP_LEN);
	}
	if (w->pipe) {
		begin_pipe(w);
	} else {
		w->body.n = 0;
		put_file_header(w, &w->body);
		write_out(w, w->body.p, w->body.n);
		w->data_off = w->body.n;
	}
	w->data_size = 0;
	if (w->compress) {
		w->pending.big = w->big;
		w->zstd = ZSTD_createCCtx();
		if (!w->zstd)
			die("zstd");
	}
}

static void write_features(struct pw_file *w)
{
	struct pw_buf *b = &w->body;
	uint64_t at = w->data_off + w->data_size;
	unsigned i, n = 0;

	for (i = 0; i < PW_N_FEATURES; i++)
		n += (unsigned)has_feature(w, i);
	b->n = 0;
	at += 16 * n;
	for (i = 0; i < PW_N_FEATURES; i++) {
		if (has_feature(w, i))
			put_section(b, at, w->feature[i].n);
		at += w->feature[i].n;
	}
	for (i = 0; i < PW_N_FEATURES; i++)
		pw_raw(b, w->feature[i].p, w->feature[i].n);
	if (fwrite(b->p, 1, b->n, w->f) != b->n || fseek(w->f, 0, SEEK_SET))
		die("writing perf.data");
	b->n = 0;
	put_file_header(w, b);
	write_out(w, b->p, b->n);
}

void pw_close(struct pw_file *w)
{
	unsigned i;

	if (w->zstd && w->pending.n)
		compress_some(w, w->pending.n);
	ZSTD_freeCCtx(w->zstd);
	if (!w->pipe)
		write_features(w);
	if (fflush(w->f) || ferror(w->f) || (w->f != stdout && fclose(w->f)))
		die("writing perf.data");
	for (i = 0; i < PW_N_FEATURES; i++)
		free(w->feature[i].p);
	free(w->rec.p);
	free(w->body.p);
	free(w->pending.p);
}
