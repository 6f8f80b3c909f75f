/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address-level profile + binary -> source-level profile and .fdata, in one pass.
 *
 *	reader --resolve--> traces of the target binary
 *	       --ranges.c-> counts per address range, branches, heads
 *	       --lines.c--> per (inline chain, line, discriminator) counts --> struct pgo_fnprof
 *	                    --> .afdo, LLVM
 *	       --cfg.c----> block boundaries of hot functions --> struct pgo_fdata --> BOLT
 *
 * Only the DWARF units and functions that samples hit are looked at.
 *
 *	c = pgo_convert_new(&o, err);
 *	pgo_convert_add(c, reader, err) ...;
 *	pgo_convert_run(c, err);
 *	then take the results; pgo_convert_free(c);
 */
#ifndef PGO_CONVERT_CONVERT_H
#define PGO_CONVERT_CONVERT_H

#include "convert/fdata.h"
#include "convert/fnprof.h"
#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"
#include "pgo/core/profile.h"
#include "pgo/core/resolve.h"

#include <stdbool.h>
#include <stdint.h>

struct pgo_convert_options {
	const char *binary; /* the profiled ELF */
	const char *debug;  /* separate debug file or a directory to search; NULL = look in the
			       binary, beside it, and in /usr/lib/debug */
	bool want_fnprof;   /* for --gcc and --clang */
	bool want_fdata;    /* for --bolt */
};

/* Where everything went.  Counts are of branch records where there are any, else of samples; read =
 * used + losses. */
struct pgo_account {
	bool lbr; /* made from branch records */
	uint64_t inputs;
	uint64_t samples_read;                 /* pprof samples (distinct stacks or traces) */
	uint64_t branches_read, branches_used; /* taken branches, by count */
	uint64_t branch_loss[PGO_N_LOSSES];    /* both ends elsewhere */
	uint64_t branches_entering,
		branches_leaving;          /* one end elsewhere: used, as entry or exit */
	uint64_t ranges_read, ranges_used; /* fall-through ranges, by count */
	uint64_t range_loss[PGO_N_LOSSES];
	uint64_t ranges_backward, ranges_too_long, ranges_no_function, ranges_cross_function,
		ranges_cross_jump, ranges_misaligned; /* bogus ones, by kind */
	uint64_t ranges_stub; /* in linkage stubs (PLT): sound, but nothing counts them */
	uint64_t plain_read, plain_used,
		plain_loss[PGO_N_LOSSES]; /* instruction samples, without LBR */
	uint64_t instructions_hit;        /* distinct, in ranges */
	uint64_t no_line;                 /* executions of instructions without a source line */
	uint64_t executions;              /* sum of counts over instructions */
	size_t functions, functions_hot;  /* with any count; covering 99 % of the counts */
	double density;         /* hot functions' smallest total / size, as llvm-profgen has it */
	double mapped_share;    /* used / read */
	const char *debug_file; /* where debug information was found */
	struct {
		char *name;
		uint64_t count; /* executed instructions */
		double share;
	} hottest[10];
	size_t n_hottest;
};

struct pgo_convert;
struct pgo_convert *pgo_convert_new(const struct pgo_convert_options *o, struct pgo_err *err);
void pgo_convert_free(struct pgo_convert *c);
/* Draws all samples of `r`; borrows it. */
int pgo_convert_add(
	struct pgo_convert *c, struct pgo_reader *r, struct pgo_err *err) PGO_MUST_CHECK;
/*
 * PGO_EMISMATCH: nothing belongs to the binary (both build-ids are named); PGO_EEMPTY: nothing
 * usable, with the largest loss named; PGO_ENOTFOUND: no debug information and want_fnprof.
 */
int pgo_convert_run(struct pgo_convert *c, struct pgo_err *err) PGO_MUST_CHECK;
/* Borrowed; NULL unless asked for. Sorted. */
const struct pgo_fnprof *pgo_convert_fnprof(const struct pgo_convert *c);
struct pgo_fdata *pgo_convert_fdata(const struct pgo_convert *c);
/* What outputs are made from that need neither lines nor blocks of the pass; borrowed. */
struct pgo_codefns;
struct pgo_ranges;
struct pgo_convert_view {
	const struct pgo_elf *elf;       /* instructions */
	const struct pgo_elf *symbols;   /* names: the ELF, or its debug file */
	const struct pgo_ranges *ranges; /* sorted */
	const struct pgo_codefns *fns;   /* finished */
	const char *event;               /* of plain samples, or NULL */
};
void pgo_convert_look(const struct pgo_convert *c, struct pgo_convert_view *ret);
const struct pgo_account *pgo_convert_account(const struct pgo_convert *c);
/* One screen for people; one object for machines. */
void pgo_account_text(const struct pgo_account *a, struct pgo_buf *out);
void pgo_account_json(const struct pgo_account *a, struct pgo_json *j);

#endif
