/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/perfbytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define MAX ((size_t)64 << 20)

void perfbytes_init(struct perfbytes *p, unsigned flags)
{
	memset(p, 0, sizeof *p);
	p->flags = flags;
	pgo_buf_init(&p->records, MAX);
	pgo_buf_init(&p->out, MAX);
	for (unsigned i = 0; i < 32; i++)
		pgo_buf_init(&p->feature[i], MAX);
}

void perfbytes_fini(struct perfbytes *p)
{
	pgo_buf_fini(&p->records);
	pgo_buf_fini(&p->out);
	for (unsigned i = 0; i < 32; i++)
		pgo_buf_fini(&p->feature[i]);
}

static void number(const struct perfbytes *p, struct pgo_buf *b, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		pgo_buf_putc(b, (char)(v >> 8 * (p->flags & PERFBYTES_BIG ? bytes - 1 - i : i)));
}

void perfbytes_u16(const struct perfbytes *p, struct pgo_buf *b, uint16_t v)
{
	number(p, b, v, 2);
}

void perfbytes_u32(const struct perfbytes *p, struct pgo_buf *b, uint32_t v)
{
	number(p, b, v, 4);
}

void perfbytes_u64(const struct perfbytes *p, struct pgo_buf *b, uint64_t v)
{
	number(p, b, v, 8);
}

void perfbytes_str(struct pgo_buf *b, const char *s)
{
	size_t n = strlen(s) + 1;

	pgo_buf_add(b, s, n);
	while (n++ % 8 != 0)
		pgo_buf_putc(b, 0);
}

void perfbytes_counted(const struct perfbytes *p, struct pgo_buf *b, const char *s)
{
	perfbytes_u32(p, b, (uint32_t)(strlen(s) + 8) & ~7u);
	perfbytes_str(b, s);
}

/* A word of bit fields whose fields are given from the first on. */
static uint64_t bits(
	const struct perfbytes *p, const unsigned *value, const unsigned *width, size_t n)
{
	uint64_t word = 0;
	unsigned at = 0;

	for (size_t i = 0; i < n; i++) {
		at += width[i];
		word |= (uint64_t)value[i] << (p->flags & PERFBYTES_BIG ? 64 - at : at - width[i]);
	}
	return word;
}

/* freq is bit 10, sample_id_all bit 18 */
static uint64_t attr_flags(const struct perfbytes *p, const struct perfbytes_event *e)
{
	unsigned value[] = {0, e->period == 0, 0, !(p->flags & PERFBYTES_NO_TRAILERS)};
	unsigned width[] = {10, 1, 7, 1};

	return bits(p, value, width, 4);
}

static uint32_t attr_size(const struct perfbytes_event *e)
{
	return e->attr_size != 0 ? e->attr_size : 128;
}

static void attr(const struct perfbytes *p, struct pgo_buf *b, const struct perfbytes_event *e)
{
	size_t start = b->len;

	perfbytes_u32(p, b, e->type);
	perfbytes_u32(p, b, attr_size(e));
	perfbytes_u64(p, b, e->config);
	perfbytes_u64(p, b, e->period);
	perfbytes_u64(p, b, e->sample_type);
	perfbytes_u64(p, b, e->read_format);
	perfbytes_u64(p, b, attr_flags(p, e));
	perfbytes_u64(p, b, 0); /* wakeup, bp_type */
	perfbytes_u64(p, b, 0);
	if (attr_size(e) >= 80) {
		perfbytes_u64(p, b, 0);
		perfbytes_u64(p, b, e->branch_type);
	}
	while (b->len < start + attr_size(e))
		pgo_buf_putc(b, 0);
}

void perfbytes_begin(struct perfbytes *p, uint32_t type, uint16_t misc)
{
	p->record = p->records.len;
	perfbytes_u32(p, &p->records, type);
	perfbytes_u16(p, &p->records, misc);
	perfbytes_u16(p, &p->records, 0);
}

void perfbytes_end(struct perfbytes *p)
{
	uint16_t size = (uint16_t)(p->records.len - p->record);
	struct pgo_buf b;

	pgo_buf_init(&b, 16);
	perfbytes_u16(p, &b, size);
	memcpy(p->records.data + p->record + 6, b.data, 2);
	pgo_buf_fini(&b);
}

void perfbytes_event(struct perfbytes *p, const struct perfbytes_event *e)
{
	p->event[p->n_events++] = *e;
	if (!(p->flags & PERFBYTES_PIPE))
		return;
	perfbytes_begin(p, 64, 0);
	attr(p, &p->records, e);
	perfbytes_u64(p, &p->records, e->id);
	perfbytes_end(p);
	if (e->name == NULL)
		return;
	perfbytes_begin(p, 78, 0);
	perfbytes_u64(p, &p->records, 2);
	perfbytes_u64(p, &p->records, e->id);
	perfbytes_str(&p->records, e->name);
	perfbytes_end(p);
}

void perfbytes_trailer(struct perfbytes *p, uint32_t pid, uint64_t time)
{
	const struct perfbytes_event *e = &p->event[0];
	struct pgo_buf *b = &p->records;

	if (p->flags & PERFBYTES_NO_TRAILERS)
		return;
	if (e->sample_type & 2) {
		perfbytes_u32(p, b, pid);
		perfbytes_u32(p, b, pid);
	}
	if (e->sample_type & 4)
		perfbytes_u64(p, b, time);
	if (e->sample_type & 0x40)
		perfbytes_u64(p, b, e->id);
	if (e->sample_type & 0x200)
		perfbytes_u64(p, b, 0);
	if (e->sample_type & 0x80)
		perfbytes_u64(p, b, 3);
	if (e->sample_type & 0x10000)
		perfbytes_u64(p, b, e->id);
}

static void put_hex(struct pgo_buf *b, const char *hex)
{
	for (unsigned i = 0; i < 20; i++) {
		unsigned byte = 0;

		sscanf(hex + 2 * i, "%2x", &byte);
		pgo_buf_putc(b, (char)byte);
	}
}

void perfbytes_mmap2(struct perfbytes *p, uint32_t pid, uint64_t addr, uint64_t len, uint64_t pgoff,
	const char *build_id, const char *file, uint64_t time)
{
	struct pgo_buf *b = &p->records;

	perfbytes_begin(p, 10, build_id != NULL ? 2 | 1 << 14 : 2);
	perfbytes_u32(p, b, pid);
	perfbytes_u32(p, b, pid);
	perfbytes_u64(p, b, addr);
	perfbytes_u64(p, b, len);
	perfbytes_u64(p, b, pgoff);
	if (build_id != NULL) {
		pgo_buf_putc(b, 20);
		pgo_buf_add(b, "\0\0\0", 3);
		put_hex(b, build_id);
	} else {
		perfbytes_u32(p, b, 8);
		perfbytes_u32(p, b, 1);
		perfbytes_u64(p, b, 4711);
		perfbytes_u64(p, b, 1);
	}
	perfbytes_u32(p, b, 5); /* r-x */
	perfbytes_u32(p, b, 2);
	perfbytes_str(b, file);
	perfbytes_trailer(p, pid, time);
	perfbytes_end(p);
}

void perfbytes_mmap(struct perfbytes *p, uint32_t pid, uint64_t addr, uint64_t len, uint64_t pgoff,
	const char *file, uint64_t time)
{
	struct pgo_buf *b = &p->records;

	perfbytes_begin(p, 1, 2);
	perfbytes_u32(p, b, pid);
	perfbytes_u32(p, b, pid);
	perfbytes_u64(p, b, addr);
	perfbytes_u64(p, b, len);
	perfbytes_u64(p, b, pgoff);
	perfbytes_str(b, file);
	perfbytes_trailer(p, pid, time);
	perfbytes_end(p);
}

void perfbytes_comm(struct perfbytes *p, uint32_t pid, const char *comm, bool exec, uint64_t time)
{
	perfbytes_begin(p, 3, exec ? 1 << 13 : 0);
	perfbytes_u32(p, &p->records, pid);
	perfbytes_u32(p, &p->records, pid);
	perfbytes_str(&p->records, comm);
	perfbytes_trailer(p, pid, time);
	perfbytes_end(p);
}

void perfbytes_fork(struct perfbytes *p, uint32_t pid, uint32_t ppid, uint64_t time)
{
	struct pgo_buf *b = &p->records;

	perfbytes_begin(p, 7, 0);
	perfbytes_u32(p, b, pid);
	perfbytes_u32(p, b, ppid);
	perfbytes_u32(p, b, pid);
	perfbytes_u32(p, b, ppid);
	perfbytes_u64(p, b, time);
	perfbytes_trailer(p, pid, time);
	perfbytes_end(p);
}

static void put_read(struct perfbytes *p, uint64_t format)
{
	unsigned times = !!(format & 1) + !!(format & 2),
		 each = 1 + !!(format & 4) + !!(format & 16);
	unsigned n = 1;

	if (format & 8)
		perfbytes_u64(p, &p->records, n = 3);
	for (unsigned i = 0; i < times + n * each; i++)
		perfbytes_u64(p, &p->records, 0x5eed);
}

static void put_branch(struct perfbytes *p, const struct perfbytes_branch *e)
{
	unsigned value[] = {e->mispredicted, !e->mispredicted, 0, 0, e->cycles,
		e->type < 16 ? e->type : 15, e->spec, e->type < 16 ? 0 : e->type - 16};
	unsigned width[] = {1, 1, 1, 1, 16, 4, 2, 4};

	perfbytes_u64(p, &p->records, e->from);
	perfbytes_u64(p, &p->records, e->to);
	perfbytes_u64(p, &p->records, bits(p, value, width, 8));
}

/* Every field that the event asks for, in the order of the ABI. */
void perfbytes_sample(struct perfbytes *p, const struct perfbytes_sample *s)
{
	const struct perfbytes_event *e = &p->event[s->event];
	uint64_t t = e->sample_type;
	struct pgo_buf *b = &p->records;

	perfbytes_begin(p, 9, s->misc != 0 ? s->misc : 2);
	if (t & 0x10000)
		perfbytes_u64(p, b, e->id);
	if (t & 1)
		perfbytes_u64(p, b, s->ip);
	if (t & 2) {
		perfbytes_u32(p, b, s->pid);
		perfbytes_u32(p, b, s->tid != 0 ? s->tid : s->pid);
	}
	if (t & 4)
		perfbytes_u64(p, b, s->time);
	if (t & 8)
		perfbytes_u64(p, b, 0xadd7);
	if (t & 0x40)
		perfbytes_u64(p, b, e->id);
	if (t & 0x200)
		perfbytes_u64(p, b, 77);
	if (t & 0x80)
		perfbytes_u64(p, b, 3);
	if (t & 0x100)
		perfbytes_u64(p, b, s->period);
	if (t & 0x10)
		put_read(p, e->read_format);
	if (t & 0x20) {
		perfbytes_u64(p, b, s->n_chain);
		for (size_t i = 0; i < s->n_chain; i++)
			perfbytes_u64(p, b, s->chain[i]);
	}
	if (t & 0x400) { /* 4 + length is a multiple of 8 */
		perfbytes_u32(p, b, (uint32_t)s->raw_len);
		for (size_t i = 0; i < s->raw_len; i++)
			pgo_buf_putc(b, 0x55);
	}
	if (t & 0x800) {
		perfbytes_u64(p, b, s->n_branches);
		if (e->branch_type & 1 << 17)
			perfbytes_u64(p, b, 5);
		for (size_t i = 0; i < s->n_branches; i++)
			put_branch(p, &s->branch[i]);
		for (size_t i = 0; i < s->n_branches && e->branch_type & 1 << 19; i++)
			perfbytes_u64(p, b, 0xc0);
	}
	if (t & 0x4000)
		perfbytes_u64(p, b, 1);
	perfbytes_end(p);
}

void perfbytes_round(struct perfbytes *p)
{
	perfbytes_begin(p, 68, 0);
	perfbytes_end(p);
}

void perfbytes_build_id(
	const struct perfbytes *p, struct pgo_buf *b, const char *hex, const char *file)
{
	perfbytes_u32(p, b, 67);
	perfbytes_u16(p, b, 2);
	perfbytes_u16(p, b, (uint16_t)(36 + ((strlen(file) + 8) & ~(size_t)7)));
	perfbytes_u32(p, b, UINT32_MAX);
	put_hex(b, hex);
	pgo_buf_add(b, "\0\0\0\0", 4);
	perfbytes_str(b, file);
}

void perfbytes_feature(struct perfbytes *p, unsigned bit, const struct pgo_buf *body)
{
	if (p->flags & PERFBYTES_PIPE) {
		perfbytes_begin(p, 80, 0);
		perfbytes_u64(p, &p->records, bit);
		pgo_buf_add(&p->records, body->data, body->len);
		perfbytes_end(p);
		return;
	}
	pgo_buf_clear(&p->feature[bit]);
	pgo_buf_add(&p->feature[bit], body->data, body->len);
	p->features |= 1u << bit;
}

/* One stream for all records; pieces of odd sizes, so that records straddle them. */
static void compress(struct perfbytes *p)
{
	bool v2 = (p->flags & PERFBYTES_COMPRESS2) != 0;
	ZSTD_CCtx *z = ZSTD_createCCtx();
	struct pgo_buf in = p->records;
	char piece[4096];
	size_t done = 0, step = 333;

	pgo_buf_init(&p->records, MAX);
	while (done < in.len) {
		size_t n = in.len - done < step ? in.len - done : step;
		ZSTD_inBuffer from = {in.data + done, n, 0};
		ZSTD_outBuffer to = {piece, sizeof piece, 0};

		ZSTD_compressStream2(z, &to, &from, ZSTD_e_flush);
		perfbytes_begin(p, v2 ? 83 : 81, 0);
		if (v2)
			perfbytes_u64(p, &p->records, to.pos);
		pgo_buf_add(&p->records, piece, to.pos);
		while (v2 && p->records.len % 8 != 0)
			pgo_buf_putc(&p->records, 0);
		perfbytes_end(p);
		if (done == 0) /* perf writes these in between, as they are */
			perfbytes_round(p);
		done += n;
		step = step * 7 % 1021 + 1;
	}
	ZSTD_freeCCtx(z);
	pgo_buf_fini(&in);
}

/* Names of events, if there are any. */
static void event_desc(struct perfbytes *p)
{
	struct pgo_buf b;

	for (unsigned i = 0; i < p->n_events; i++)
		if (p->event[i].name == NULL)
			return;
	pgo_buf_init(&b, MAX);
	perfbytes_u32(p, &b, p->n_events);
	perfbytes_u32(p, &b, attr_size(&p->event[0]));
	for (unsigned i = 0; i < p->n_events; i++) {
		attr(p, &b, &p->event[i]);
		perfbytes_u32(p, &b, 1);
		perfbytes_counted(p, &b, p->event[i].name);
		perfbytes_u64(p, &b, p->event[i].id);
	}
	perfbytes_feature(p, 12, &b);
	pgo_buf_fini(&b);
}

void perfbytes_finish(struct perfbytes *p)
{
	struct pgo_buf *o = &p->out;
	uint64_t entry = attr_size(&p->event[0]) + 16, ids, at;

	/* The magic is a number: on a big-endian machine its text comes out the other way round. */
	pgo_buf_add(o, p->flags & PERFBYTES_BIG ? "2ELIFREP" : "PERFILE2", 8);
	if (p->flags & (PERFBYTES_COMPRESS | PERFBYTES_COMPRESS2))
		compress(p);
	if (p->flags & PERFBYTES_PIPE) {
		perfbytes_u64(p, o, 16);
		pgo_buf_add(o, p->records.data, p->records.len);
		return;
	}
	event_desc(p);
	ids = 104 + entry * p->n_events;
	p->data_offset = ids + 8 * p->n_events;
	p->data_size = p->records.len;
	perfbytes_u64(p, o, 104);
	perfbytes_u64(p, o, entry);
	perfbytes_u64(p, o, 104);
	perfbytes_u64(p, o, entry * p->n_events);
	perfbytes_u64(p, o, p->data_offset);
	perfbytes_u64(p, o, p->data_size);
	perfbytes_u64(p, o, 0);
	perfbytes_u64(p, o, 0);
	perfbytes_u64(p, o, p->features);
	for (int i = 0; i < 3; i++)
		perfbytes_u64(p, o, 0);
	for (unsigned i = 0; i < p->n_events; i++) {
		attr(p, o, &p->event[i]);
		perfbytes_u64(p, o, ids + 8 * i);
		perfbytes_u64(p, o, 8);
	}
	for (unsigned i = 0; i < p->n_events; i++)
		perfbytes_u64(p, o, p->event[i].id);
	pgo_buf_add(o, p->records.data, p->records.len);
	at = o->len + 16 * (uint64_t)__builtin_popcount(p->features);
	for (unsigned i = 0; i < 32; i++) {
		if (!(p->features & 1u << i))
			continue;
		perfbytes_u64(p, o, at);
		perfbytes_u64(p, o, p->feature[i].len);
		at += p->feature[i].len;
	}
	for (unsigned i = 0; i < 32; i++)
		if (p->features & 1u << i)
			pgo_buf_add(o, p->feature[i].data, p->feature[i].len);
}
