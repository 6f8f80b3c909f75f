/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BOLT's .fdata: edges between (function symbol, byte offset) pairs, one text line each.
 *
 *	TYPE NAME HEXOFF TYPE NAME HEXOFF MISPREDS BRANCHES        type 1 = known function, 0 =
 *elsewhere ("0 [unknown] 0")
 *
 * Names: globals as in the ELF, locals "name/N" with N the rank among locals of that name by
 *address (or "name/file.c/N"); blanks and backslashes escaped by a backslash. The consumer adds
 *repeated edges up, and drops everything after a line it cannot read; so the reader here is strict.
 */
#ifndef PGO_CONVERT_FDATA_H
#define PGO_CONVERT_FDATA_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/strtab.h"

#include <stdbool.h>
#include <stdint.h>

struct pgo_fdata_loc {
	uint32_t name;  /* string; 0 with known=0: outside */
	uint32_t known; /* 1: a function of the binary */
	uint64_t offset;
};

struct pgo_fdata_edge {
	struct pgo_fdata_loc from, to;
	uint64_t mispreds, count;
};

struct pgo_fdata {
	struct pgo_strtab strs;
	struct pgo_fdata_edge *edges;
	size_t n_edges, edges_room;
	bool no_lbr;     /* then each edge is a sample: only `from` and `count` */
	bool bolted;     /* "boltedcollection" header */
	uint32_t events; /* string: event names of a no_lbr header */
};

struct pgo_fdata *pgo_fdata_new(struct pgo_err *err);
void pgo_fdata_free(struct pgo_fdata *f);
int pgo_fdata_add(struct pgo_fdata *f, struct pgo_fdata_loc from, struct pgo_fdata_loc to,
	uint64_t mispreds, uint64_t count);
/* Sorts by (from name, offset, to name, offset) and sums equal edges. */
int pgo_fdata_sort(struct pgo_fdata *f, struct pgo_err *err) PGO_MUST_CHECK;
bool pgo_fdata_probe(const void *head, size_t len);
struct pgo_fdata *pgo_fdata_read(
	const char *what, const void *data, size_t len, struct pgo_err *err);
int pgo_fdata_write(
	const struct pgo_fdata *f, struct pgo_buf *out, struct pgo_err *err) PGO_MUST_CHECK;

#endif
