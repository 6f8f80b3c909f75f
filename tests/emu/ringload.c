/* SPDX-License-Identifier: Apache-2.0 */
#include "ringload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void bad(const char *path, const char *what)
{
	fprintf(stderr, "%s: %s\n", path, what);
	exit(1);
}

static void *read_file(const char *path, size_t *ret_size)
{
	FILE *f = fopen(path, "rbe");
	void *data = NULL;
	long size;

	if (!f || fseek(f, 0, SEEK_END) || (size = ftell(f)) < 0)
		bad(path, strerror(errno));
	rewind(f);
	data = malloc((size_t)size + 1);
	if (!data || fread(data, 1, (size_t)size, f) != (size_t)size)
		bad(path, "cannot be read whole");
	fclose(f);
	*ret_size = (size_t)size;
	return data;
}

static void *section(struct ring_dump *d, size_t size, uint64_t off, uint64_t n, size_t each)
{
	if (off % 8 || off > size || n > (size - off) / each)
		bad(d->path, "the dump is cut short or damaged");
	return (char *)d->data + off;
}

static void index_samples(struct ring_dump *d)
{
	unsigned char *p = (unsigned char *)d->data + d->head->samples_off;
	size_t left = d->head->samples_size;
	uint64_t i;
	unsigned k;

	d->samples = malloc((d->head->n_samples + 1) * sizeof(*d->samples));
	if (!d->samples)
		bad(d->path, "too many samples for the memory");
	for (i = 0; i < d->head->n_samples; i++) {
		struct ring_sample *s = (struct ring_sample *)p;
		size_t size = sizeof(*s);

		if (left >= size)
			size += s->n_ring * sizeof(struct ring_entry) + s->n_chain * 8u;
		if (left < size || s->n_ring > RING_DEPTH_MAX)
			bad(d->path, "a sample is cut short");
		for (k = 0; k < s->n_ring; k++)
			if (ring_sample_ring(s)[k].edge >= d->head->n_edges)
				bad(d->path, "a sample names an edge that is not there");
		d->samples[i] = s;
		p += size;
		left -= size;
	}
}

void ring_dump_load(struct ring_dump *d, const char *path)
{
	size_t size;

	d->path = path;
	d->data = read_file(path, &size);
	d->head = d->data;
	if (size < sizeof(*d->head) || memcmp(d->head->magic, RING_MAGIC, 8) ||
		d->head->header_size != sizeof(*d->head))
		bad(path, "is no dump of this version of ring_plugin");
	d->cmdline = section(d, size, d->head->cmdline_off, d->head->cmdline_size, 1);
	if (!d->head->cmdline_size || d->cmdline[d->head->cmdline_size - 1])
		bad(path, "has no command line");
	d->maps = section(d, size, d->head->maps_off, d->head->n_maps, sizeof(*d->maps));
	d->edges = section(d, size, d->head->edges_off, d->head->n_edges, sizeof(*d->edges));
	d->blocks = section(d, size, d->head->blocks_off, d->head->n_blocks, sizeof(*d->blocks));
	section(d, size, d->head->samples_off, d->head->samples_size, 1);
	index_samples(d);
}

void ring_dump_free(struct ring_dump *d)
{
	free(d->samples);
	free(d->data);
	memset(d, 0, sizeof(*d));
}

const struct ring_entry *ring_sample_ring(const struct ring_sample *s)
{
	return (const struct ring_entry *)(s + 1);
}

const uint64_t *ring_sample_chain(const struct ring_sample *s)
{
	return (const uint64_t *)(ring_sample_ring(s) + s->n_ring);
}

const struct ring_map *ring_dump_map(const struct ring_dump *d, uint64_t addr)
{
	uint64_t i;

	for (i = d->head->n_maps; i-- > 0;)
		if (addr >= d->maps[i].start && addr - d->maps[i].start < d->maps[i].len)
			return &d->maps[i];
	return NULL;
}
