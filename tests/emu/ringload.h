/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a dump of ring_plugin (ringdump.h) whole into memory and checks that every part of it lies
 * inside the file and every edge index inside the edges.
 */
#ifndef TESTS_EMU_RINGLOAD_H
#define TESTS_EMU_RINGLOAD_H

#include "ringdump.h"

#include <stddef.h>

struct ring_dump {
	const char *path;
	void *data;
	struct ring_header *head;
	char *cmdline; /* head->cmdline_size bytes, the last a NUL */
	struct ring_map *maps;
	struct ring_edge *edges;
	struct ring_block *blocks;
	struct ring_sample **samples; /* head->n_samples pointers, in file order */
};

/* Prints a sentence and exits 1 if the file is no dump. Gives memory: ring_dump_free(). */
void ring_dump_load(struct ring_dump *d, const char *path);
void ring_dump_free(struct ring_dump *d);

const struct ring_entry *ring_sample_ring(const struct ring_sample *s);
const uint64_t *ring_sample_chain(const struct ring_sample *s);

/* The newest mapping that ever held addr, or NULL. */
const struct ring_map *ring_dump_map(const struct ring_dump *d, uint64_t addr);

#endif
