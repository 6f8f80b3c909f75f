/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that were converted already, added up: what llvm-profdata merge, merge-fdata and
 * profile_merger do.  For who kept outputs and not profiles; where profiles are at hand, merging
 * those is better, for hosts and times and builds are only known there.
 *
 * One kind at a time:
 *	LLVM	sample profiles: text, raw, extbinary, mixed.  Not mixed: context-sensitive ones with
 *		others, flow-sensitive discriminators, names with their hashes, probes with lines
 *	GCC	.afdo of one version (704 counts as 1)
 *	fdata	BOLT's edges, no_lbr samples, memory accesses.  Not mixed: no_lbr with edges, what a
 *		BOLTed binary gave with others
 *
 * Counts are multiplied by the file's weight and added, up to 2^64 - 1 (2^63 - 1 in .fdata).  The
 * sums do not depend on order or threads, and the result is written in one order.  Files with the
 * same bytes and weight 1 count once: `duplicates` says so.
 *
 * Of a function whose records have different checksums of its control flow (probes), the ones with
 * the largest total stay (of equal ones the smallest checksum): counts of different code cannot be
 * added.
 */
#ifndef PGO_CONVERT_SUM_H
#define PGO_CONVERT_SUM_H

#include "convert/format.h"
#include "pgo/core/buf.h"
#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pgo_sum_kind { PGO_SUM_NONE, PGO_SUM_LLVM, PGO_SUM_GCC, PGO_SUM_FDATA };

/* Which kind the first bytes of a file (up to 4 KiB) are of. */
enum pgo_sum_kind pgo_sum_probe(const void *head, size_t len);
/* The same of a file's own beginning; PGO_SUM_NONE for any other file, compressed ones included. */
int pgo_sum_kind_of(const char *path, enum pgo_sum_kind *ret, struct pgo_err *err) PGO_MUST_CHECK;
/* "LLVM sample profile", ... */
const char *pgo_sum_kind_name(enum pgo_sum_kind kind);

struct pgo_sum_input {
	const char *path; /* borrowed */
	uint64_t weight;  /* 1.. */
	/* Results. */
	uint64_t records;
	size_t twin; /* the input whose bytes it repeats; SIZE_MAX */
};

struct pgo_sum_options {
	/* Of LLVM's output; NULL: that of the inputs, extbinary if they differ. */
	const struct pgo_format *format;
	struct pgo_format_options fo; /* md5 and compress, of LLVM's */
	unsigned threads;             /* 0 = pgo_threads() */
};

struct pgo_sum {
	enum pgo_sum_kind kind;
	const char *format;   /* name of the output's format */
	struct pgo_buf data;  /* the output */
	uint64_t records_in;  /* functions, or lines of .fdata; of inputs that count */
	uint64_t records_out; /* functions, or lines */
	uint64_t duplicates;  /* inputs left out because of their bytes */
	uint64_t other_code;  /* functions left out because of their checksum */
	uint64_t other_code_total;
	bool saturated; /* a count reached the end of its range */
};

/* Fills *ret (pgo_sum_fini).  PGO_EMISMATCH where two files cannot be added, by name; PGO_EEMPTY
 * if nothing has a count. */
int pgo_sum_files(struct pgo_sum_input *in, size_t n, const struct pgo_sum_options *o,
	struct pgo_sum *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_sum_fini(struct pgo_sum *s);

#endif
