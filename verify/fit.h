/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Converted profiles as mixes: which share of all counts each function and each place in it has, so
 * that two of them can be laid one over the other.  Arithmetic only.
 *
 *	view       a profile as rows (name, place) -> counts.  Counts belong to the function that the
 *	           code was written in, wherever it was inlined: a rebuild that inlines differently has
 *	           the same mix.  A place is a line and discriminator, or in .fdata the offset of a branch.
 *	raw        names as the profile has them, which is how compilers look them up
 *	canonical  without what differs between builds of one source (convert/shape.h), without the
 *	           "/1" of .fdata, and without a prefix that one side has before most of its names
 *	overlap    sum over rows of the smaller share of the two; 1 = the same mix, 0 = nothing in common
 *	flip       a function that was hot, then cold, then hot again.  Hot: among the largest that
 *	           have 99 % of the counts together.  Cold: below a quarter of the smallest hot share, so
 *	           that functions at the edge do not flip by the noise of sampling.
 *
 * Views that are compared share one table of strings.  Places of .fdata are offsets in machine code,
 * which mean nothing in another build: there blocks are compared only in functions that still
 * branch at the same offsets.
 */
#ifndef PGO_VERIFY_FIT_H
#define PGO_VERIFY_FIT_H

#include "convert/fdata.h"
#include "convert/fnprof.h"
#include "pgo/core/err.h"
#include "pgo/core/strtab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgo_fit_row {
	uint32_t name; /* string */
	uint64_t place;
	uint64_t mass;
};
struct pgo_fit_rows { /* sorted by (name, place), one each */
	struct pgo_fit_row *row;
	size_t n, room;
	double total;
};

/* The first row of that name, or NULL. */
const struct pgo_fit_row *pgo_fit_rows_find(const struct pgo_fit_rows *r, uint32_t name);

struct pgo_fit_view {
	struct pgo_fit_rows functions, blocks;
	struct pgo_fit_rows
		symbols; /* functions as compiled, with all that was inlined into them */
	bool offsets;    /* places are of machine code */
	bool hashed;     /* names are hashes: there is no canonical form */
};

/* These fill a zeroed view; 0 or PGO_ENOMEM. */
int pgo_fit_view_fnprof(struct pgo_fit_view *v, struct pgo_strtab *strs, const struct pgo_fnprof *p,
	struct pgo_err *err) PGO_MUST_CHECK;
int pgo_fit_view_fdata(struct pgo_fit_view *v, struct pgo_strtab *strs, const struct pgo_fdata *f,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_fit_view_fini(struct pgo_fit_view *v);

struct pgo_fit_overlap {
	double functions_raw, functions; /* shares, 0..1 */
	double blocks_raw, blocks;
	double blocks_compared; /* share of the counts in functions whose blocks could be compared */
	char prefix[24];        /* that one side has before its names, "" = none */
	bool prefix_new;        /* the new side has it, else the old one lost it */
	char *moved;            /* the function whose share changed most; NULL = none did */
	double moved_before, moved_after;
};
/* PGO_EMISMATCH if one has hashes for names and the other has not. */
int pgo_fit_compare(const struct pgo_fit_view *old, const struct pgo_fit_view *new,
	struct pgo_strtab *strs, struct pgo_fit_overlap *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_fit_overlap_fini(struct pgo_fit_overlap *o);

/* How much of a view is of functions that a program has, by name. */
struct pgo_fit_cover {
	double raw, canonical; /* shares of the counts */
	char prefix[24];
	bool prefix_new; /* the profile has it, else the program */
	char *missing;   /* the largest function that is not there, even canonically; NULL */
	double missing_share;
};
/* `names`: strings, in any order, repeats allowed; reordered. */
int pgo_fit_covered(const struct pgo_fit_view *v, uint32_t *names, size_t n,
	struct pgo_strtab *strs, struct pgo_fit_cover *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_fit_cover_fini(struct pgo_fit_cover *c);

#define PGO_FIT_FLIPS_TOP 5
struct pgo_fit_flips {
	double share; /* of the hot counts */
	size_t functions;
	char *name[PGO_FIT_FLIPS_TOP]; /* the largest */
	double name_share[PGO_FIT_FLIPS_TOP];
	size_t n_names;
};
/* Views in the order of time, three at least (PGO_EUSAGE). */
int pgo_fit_flips(const struct pgo_fit_view *const *v, size_t n, struct pgo_strtab *strs,
	struct pgo_fit_flips *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_fit_flips_fini(struct pgo_fit_flips *f);

#endif
