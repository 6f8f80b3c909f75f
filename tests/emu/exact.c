/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exact: the true counts of a recorded run for one binary, as sorted text.
 *
 *   exact [-b PATH|BUILD-ID] [-s] DUMP...
 *
 * Without -b: the program itself. Several dumps (runs, forked processes) are summed. Addresses are
 * ELF virtual ones, in hex without 0x. `-` stands for an address outside the binary. With -s the
 * sampled rings are summed in place of the exact counts, for comparison; then there are no blocks.
 *
 *   total insns N branches N mispredicts N samples N      of the whole process, libraries included
 *   edge FROM TO COUNT MISPREDICTS                        taken branches with an end in the binary
 *   block FIRST LAST COUNT                                runs of instructions, FIRST and LAST
 * being instructions; blocks overlap
 */
#include "ringload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUTSIDE UINT64_MAX

struct row {
	uint64_t a, b, count, mispreds;
};

struct rows {
	struct row *row;
	size_t n, cap;
};

static void rows_add(struct rows *rows, uint64_t a, uint64_t b, uint64_t count, uint64_t mispreds)
{
	if (rows->n == rows->cap) {
		rows->cap = rows->cap ? 2 * rows->cap : 4096;
		rows->row = realloc(rows->row, rows->cap * sizeof(*rows->row));
		if (!rows->row) {
			fputs("exact: out of memory\n", stderr);
			exit(1);
		}
	}
	rows->row[rows->n++] = (struct row){a, b, count, mispreds};
}

static int row_cmp(const void *x, const void *y)
{
	const struct row *a = x, *b = y;

	if (a->a != b->a)
		return a->a < b->a ? -1 : 1;
	return (a->b > b->b) - (a->b < b->b);
}

static void rows_sum(struct rows *rows)
{
	size_t i, n = 0;

	if (!rows->n)
		return;
	qsort(rows->row, rows->n, sizeof(*rows->row), row_cmp);
	for (i = 1; i < rows->n; i++) {
		if (row_cmp(&rows->row[n], &rows->row[i])) {
			rows->row[++n] = rows->row[i];
		} else {
			rows->row[n].count += rows->row[i].count;
			rows->row[n].mispreds += rows->row[i].mispreds;
		}
	}
	rows->n = n + 1;
}

static int is_wanted(const struct ring_map *m, const char *binary)
{
	char hex[2 * RING_BUILD_ID_MAX + 1] = "";
	unsigned i;

	if (!binary)
		return m->main;
	for (i = 0; i < m->build_id_size; i++)
		sprintf(hex + 2 * i, "%02x", m->build_id[i]);
	return !strcmp(m->path, binary) || !strcmp(hex, binary);
}

static uint64_t vaddr(const struct ring_dump *d, const char *binary, uint64_t addr)
{
	const struct ring_map *m = ring_dump_map(d, addr);

	if (!m || !is_wanted(m, binary))
		return OUTSIDE;
	return addr - m->start + m->pgoff + m->vaddr_off;
}

static void add_edge(struct rows *rows, const struct ring_dump *d, const char *binary,
	const struct ring_edge *e, uint64_t count, uint64_t mispreds)
{
	uint64_t from = vaddr(d, binary, e->from), to = vaddr(d, binary, e->to);

	if (from != OUTSIDE || to != OUTSIDE)
		rows_add(rows, from, to, count, mispreds);
}

static void add_sampled(struct rows *rows, const struct ring_dump *d, const char *binary)
{
	uint64_t *count = calloc(2 * d->head->n_edges + 1, sizeof(*count)), i;
	unsigned k;

	if (!count)
		exit(1);
	for (i = 0; i < d->head->n_samples; i++) {
		const struct ring_entry *e = ring_sample_ring(d->samples[i]);

		for (k = 0; k < d->samples[i]->n_ring; k++) {
			count[2 * e[k].edge]++;
			count[2 * e[k].edge + 1] += e[k].mispred;
		}
	}
	for (i = 0; i < d->head->n_edges; i++)
		if (count[2 * i])
			add_edge(rows, d, binary, &d->edges[i], count[2 * i], count[2 * i + 1]);
	free(count);
}

static void add_exact(
	struct rows *edges, struct rows *blocks, const struct ring_dump *d, const char *binary)
{
	uint64_t i;

	for (i = 0; i < d->head->n_edges; i++)
		add_edge(edges, d, binary, &d->edges[i], d->edges[i].count, d->edges[i].mispreds);
	for (i = 0; i < d->head->n_blocks; i++) {
		uint64_t start = vaddr(d, binary, d->blocks[i].start);
		uint64_t last = vaddr(d, binary, d->blocks[i].last);

		if (start != OUTSIDE && last != OUTSIDE)
			rows_add(blocks, start, last, d->blocks[i].count, 0);
	}
}

static void print_addr(uint64_t addr)
{
	if (addr == OUTSIDE)
		fputs(" -", stdout);
	else
		printf(" %" PRIx64, addr);
}

static void print_rows(const char *kind, const struct rows *rows, int with_mispreds)
{
	size_t i;

	for (i = 0; i < rows->n; i++) {
		fputs(kind, stdout);
		print_addr(rows->row[i].a);
		print_addr(rows->row[i].b);
		printf(" %" PRIu64, rows->row[i].count);
		if (with_mispreds)
			printf(" %" PRIu64, rows->row[i].mispreds);
		putchar('\n');
	}
}

int main(int argc, char **argv)
{
	struct rows edges = {0}, blocks = {0};
	struct ring_header sum = {0};
	const char *binary = NULL;
	int sampled = 0, c;

	while ((c = getopt(argc, argv, "b:s")) != -1) {
		if (c == 'b')
			binary = optarg;
		else if (c == 's')
			sampled = 1;
		else
			return 2;
	}
	if (optind == argc) {
		fputs("usage: exact [-b PATH|BUILD-ID] [-s] DUMP...\n", stderr);
		return 2;
	}
	for (; optind < argc; optind++) {
		struct ring_dump d;

		ring_dump_load(&d, argv[optind]);
		if (sampled)
			add_sampled(&edges, &d, binary);
		else
			add_exact(&edges, &blocks, &d, binary);
		sum.insns += d.head->insns;
		sum.branches += d.head->branches;
		sum.mispredicts += d.head->mispredicts;
		sum.n_samples += d.head->n_samples;
		ring_dump_free(&d);
	}
	rows_sum(&edges);
	rows_sum(&blocks);
	printf("total insns %" PRIu64 " branches %" PRIu64 " mispredicts %" PRIu64
	       " samples %" PRIu64 "\n",
		sum.insns, sum.branches, sum.mispredicts, sum.n_samples);
	print_rows("edge", &edges, 1);
	print_rows("block", &blocks, 0);
	free(edges.row);
	free(blocks.row);
	return fflush(stdout) || ferror(stdout);
}
