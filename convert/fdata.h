/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BOLT's .fdata: edges between (function symbol, byte offset) pairs, one text line each.
 *
 *	boltedcollection                                        optional headers, in any order here
 *	no_lbr EVENT...
 *	TYPE NAME HEXOFF TYPE NAME HEXOFF MISPREDS BRANCHES     an edge
 *	TYPE NAME HEXOFF COUNT                                  with no_lbr: a sample
 *	MTYPE NAME HEXOFF MTYPE NAME HEXOFF COUNT               a memory access, MTYPE = TYPE + 3
 *
 * TYPE: 1 a function of the binary, 2 a local one (written by some tools), 0 elsewhere: a file's
 * name or "[unknown]".  NAME: globals as in the ELF, locals "name/N" with N the rank among locals of
 * that name by address (or "name/file.c/N"); a blank or backslash has a backslash before it.
 * Exactly one blank between fields, lower-case hex, every line ended.
 *
 * The consumer adds repeated edges up, and silently drops everything after a line it does not take
 * for a record; so the reader here takes no such line.  Memory accesses are counted and not kept.
 */
#ifndef PGO_CONVERT_FDATA_H
#define PGO_CONVERT_FDATA_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/strtab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Counts the consumer can read. */
#define PGO_FDATA_COUNT_MAX ((uint64_t)INT64_MAX)

struct pgo_fdata_loc {
	uint32_t name;  /* string, not escaped; 0 = "[unknown]" */
	uint32_t known; /* TYPE: 1 (or 2) a function of the binary, 0 elsewhere */
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
	uint64_t n_memory; /* memory accesses read and left out */
	bool no_lbr;       /* then each edge is a sample: only `from` and `count` */
	bool bolted; /* "boltedcollection" header: offsets of an already BOLTed binary's input */
	uint32_t events; /* string: event names of a no_lbr header, blanks between */
};

struct pgo_fdata *pgo_fdata_new(struct pgo_err *err);
/* NULL is fine. */
void pgo_fdata_free(struct pgo_fdata *f);
/* 0 or PGO_ENOMEM. */
int pgo_fdata_add(struct pgo_fdata *f, struct pgo_fdata_loc from, struct pgo_fdata_loc to,
	uint64_t mispreds, uint64_t count);
/* Sorts by (from name, offset, to name, offset), "[unknown]" and files last, and sums equal edges
 * (up to PGO_FDATA_COUNT_MAX). */
int pgo_fdata_sort(struct pgo_fdata *f, struct pgo_err *err) PGO_MUST_CHECK;
bool pgo_fdata_probe(const void *head, size_t len);
/* Gives the edges in the file's order.  Errors name the line. */
struct pgo_fdata *pgo_fdata_read(
	const char *what, const void *data, size_t len, struct pgo_err *err);
/*
 * For who adds many files up and has seen most lines before.  Reads the headers of a file into `f`,
 * which is new, and says how many bytes and lines they are; and one record with its line end into
 * `f`, as line number `line` of `what`.
 */
int pgo_fdata_read_headers(struct pgo_fdata *f, const char *what, const void *data, size_t len,
	size_t *ret_len, uint64_t *ret_lines, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_fdata_add_line(struct pgo_fdata *f, const char *what, uint64_t line, const char *text,
	size_t len, struct pgo_err *err) PGO_MUST_CHECK;
/* Appends the file in the order of the edges: sort first.  PGO_EEMPTY without any count,
 * PGO_EMISMATCH for a name that a line cannot hold. */
int pgo_fdata_write(
	const struct pgo_fdata *f, struct pgo_buf *out, struct pgo_err *err) PGO_MUST_CHECK;

#endif
