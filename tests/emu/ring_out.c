/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the dump when the guest exits, and starts afresh in a forked child. Edges and blocks are
 * sorted, so that equal runs give equal bytes (but for pid and wall clock). The file is written
 * whole under another name first.
 */
#include "ring_state.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int edge_cmp(const void *a, const void *b)
{
	const struct redge *x = *(struct redge *const *)a, *y = *(struct redge *const *)b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return (x->to > y->to) - (x->to < y->to);
}

static int block_cmp(const void *a, const void *b)
{
	const struct rblock *x = *(struct rblock *const *)a, *y = *(struct rblock *const *)b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return (x->last > y->last) - (x->last < y->last);
}

/* All edges that were taken, sorted; *ret_index maps an edge's id to its place. */
static struct redge **sorted_edges(size_t *ret_n, uint32_t **ret_index)
{
	struct redge **all = ring_alloc((R.n_edges + 1) * sizeof(*all)), *e;
	uint32_t *index = ring_alloc((R.n_edges + 1) * sizeof(*index));
	size_t n = 0, i;

	for (i = 0; i < 1u << RING_TABLE_BITS; i++)
		for (e = R.edges[i]; e; e = e->next)
			if (e->count)
				all[n++] = e;
	qsort(all, n, sizeof(*all), edge_cmp);
	for (i = 0; i < n; i++)
		index[all[i]->id] = (uint32_t)i;
	*ret_n = n;
	*ret_index = index;
	return all;
}

static struct rblock **sorted_blocks(size_t *ret_n)
{
	struct rblock **all, *b;
	size_t n = 0, i;

	for (i = 0; i < 1u << RING_TABLE_BITS; i++)
		for (b = R.blocks[i]; b; b = b->next)
			n += b->count != 0;
	all = ring_alloc((n + 1) * sizeof(*all));
	n = 0;
	for (i = 0; i < 1u << RING_TABLE_BITS; i++)
		for (b = R.blocks[i]; b; b = b->next)
			if (b->count)
				all[n++] = b;
	qsort(all, n, sizeof(*all), block_cmp);
	*ret_n = n;
	return all;
}

static uint64_t write_edges(FILE *f, struct redge **all, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct ring_edge e = {.from = all[i]->from,
			.to = all[i]->to,
			.count = all[i]->count,
			.mispreds = all[i]->mispreds,
			.type = all[i]->type};

		fwrite(&e, sizeof(e), 1, f);
	}
	return n;
}

static uint64_t write_blocks(FILE *f)
{
	size_t n, i;
	struct rblock **all = sorted_blocks(&n);

	for (i = 0; i < n; i++) {
		struct ring_block b = {.start = all[i]->start,
			.last = all[i]->last,
			.end = all[i]->end,
			.count = all[i]->count,
			.n_insns = all[i]->n_insns,
			.type = all[i]->type};

		fwrite(&b, sizeof(b), 1, f);
	}
	free(all);
	return n;
}

/* Samples with the edges' ids replaced by their places. Threads oldest first. */
static void write_samples(FILE *f, const struct rvcpu *v, const uint32_t *index)
{
	struct rchunk *c;

	if (!v)
		return;
	write_samples(f, v->older, index);
	for (c = v->first; c; c = c->next) {
		unsigned char *p = c->data, *end = c->data + c->used;

		while (p < end) {
			struct ring_sample s;
			unsigned i;

			memcpy(&s, p, sizeof(s));
			p += sizeof(s);
			for (i = 0; i < s.n_ring; i++, p += sizeof(struct ring_entry)) {
				struct ring_entry e;

				memcpy(&e, p, sizeof(e));
				e.edge = index[e.edge];
				memcpy(p, &e, sizeof(e));
			}
			p += 8 * (size_t)s.n_chain;
		}
		fwrite(c->data, 1, c->used, f);
	}
}

static void fill_totals(struct ring_header *h)
{
	const struct rvcpu *v;

	for (v = R.all; v; v = v->older) {
		h->insns += v->insns;
		h->branches += v->branches;
		h->mispredicts += v->mispredicts;
		h->n_samples += v->n_samples;
		if (v->quarters > h->quarters)
			h->quarters = v->quarters;
	}
	h->breaks = R.breaks;
	h->lost = R.lost;
}

/* The guest's arguments: what follows the program in the emulator's own command line. */
static char *read_cmdline(const char *program, size_t *ret_size)
{
	static char text[1 << 16];
	FILE *f = fopen("/proc/self/cmdline", "re");
	size_t n = 0, at, skip = 0;
	const char *base = strrchr(program, '/');

	if (f) {
		n = fread(text, 1, sizeof(text), f);
		fclose(f);
	}
	for (at = 0; at < n && base; at += strlen(text + at) + 1) {
		const char *b = strrchr(text + at, '/');

		if (at && !strcmp(b ? b + 1 : text + at, base + 1)) {
			skip = at;
			break;
		}
	}
	*ret_size = n - skip;
	return text + skip;
}

static void write_pad(FILE *f)
{
	static const char zero[8];

	fwrite(zero, 1, (size_t)(-ftell(f) & 7), f);
}

static void write_dump(FILE *f)
{
	struct ring_header h = {.header_size = sizeof(h),
		.isa = R.isa == RING_ISA_AARCH64 ? EM_AARCH64 : EM_X86_64,
		.event = R.event,
		.flags = R.flags,
		.depth = R.depth,
		.skid = R.skid,
		.period = R.period,
		.seed = R.seed,
		.jitter = R.jitter,
		.pid = R.pid,
		.ppid = (uint32_t)getppid(),
		.wall_ns = R.wall_ns};
	struct ring_map *maps = ring_maps_export(&h.n_maps);
	const char *base = strrchr(maps[0].path, '/');
	size_t n_edges, cmd_size;
	uint32_t *index;
	struct redge **edges = sorted_edges(&n_edges, &index);
	char *cmd = read_cmdline(maps[0].path, &cmd_size);

	memcpy(h.magic, RING_MAGIC, sizeof(h.magic));
	fill_totals(&h);
	snprintf(h.comm, sizeof(h.comm), "%.15s", base ? base + 1 : "unknown");
	fwrite(&h, sizeof(h), 1, f);
	h.cmdline_off = (uint64_t)ftell(f);
	h.cmdline_size = (uint32_t)fwrite(cmd, 1, cmd_size, f);
	write_pad(f);
	h.maps_off = (uint64_t)ftell(f);
	fwrite(maps, sizeof(*maps), h.n_maps, f);
	h.edges_off = (uint64_t)ftell(f);
	h.n_edges = write_edges(f, edges, n_edges);
	h.blocks_off = (uint64_t)ftell(f);
	h.n_blocks = write_blocks(f);
	h.samples_off = (uint64_t)ftell(f);
	write_samples(f, R.all, index);
	h.samples_size = (uint64_t)ftell(f) - h.samples_off;
	rewind(f);
	fwrite(&h, sizeof(h), 1, f);
	free(maps);
	free(edges);
	free(index);
}

static void write_counts(const char *path)
{
	struct ring_header h = {0};
	FILE *f = fopen(path, "ae");

	if (!f) {
		fprintf(stderr, "ring_plugin: cannot write %s: %s\n", path, strerror(errno));
		return;
	}
	fill_totals(&h);
	fprintf(f,
		"instructions %" PRIu64 "\ntaken-branches %" PRIu64 "\nmispredicts %" PRIu64
		"\nmodel-cycles %" PRIu64 "\n",
		h.insns, h.branches, h.mispredicts, h.quarters / 4);
	fclose(f);
}

void ring_out(emu_qemu_id id, void *data)
{
	char temp[RING_PATH_MAX + 8];
	FILE *f;

	(void)id;
	(void)data;
	if (R.count_out)
		write_counts(R.count_out);
	if (!R.out)
		return;
	snprintf(temp, sizeof(temp), "%s.tmp", R.out);
	f = fopen(temp, "we");
	if (f) {
		write_dump(f);
		if (ferror(f) | fclose(f) || rename(temp, R.out))
			f = NULL;
	}
	if (!f)
		fprintf(stderr, "ring_plugin: cannot write %s: %s\n", R.out, strerror(errno));
}

/* In the child of a fork: only thread v is left, and what the parent did is not the child's. */
void ring_forked(struct rvcpu *v)
{
	char *path = ring_alloc(RING_PATH_MAX);
	struct rblock *b;
	struct redge *e;
	size_t i;

	R.pid = (uint32_t)getpid();
	if (R.out) {
		snprintf(path, RING_PATH_MAX, "%s.%u", R.out, R.pid);
		R.out = path;
	}
	for (i = 0; i < 1u << RING_TABLE_BITS; i++) {
		for (b = R.blocks[i]; b; b = b->next)
			b->count = 0;
		for (e = R.edges[i]; e; e = e->next)
			e->count = e->mispreds = 0;
	}
	R.breaks = R.n_samples = R.lost = 0;
	R.wall_ns += v->quarters / RING_QUARTERS_PER_NS;
	ring_maps_forked();
	R.all = NULL;
	v->older = NULL;
	v->insns = v->branches = v->quarters = 0;
	ring_vcpu_reset(v, R.pid);
	R.all = v;
}
