/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two converted profiles of one kind, mixed function by function: some functions as the one has them, the
 * others as the other.
 *
 * An item is a function of which the two differ: in .afdo and LLVM's files a top-level record with all
 * that was inlined into it, of all files that share its name; in .fdata the edges that leave it.  Items
 * are in the order of their counts in the bad one, largest first, then by name.
 *
 * A mix of nothing would be no profile that a compiler takes: it gets a single function of the name
 * pgo_bisect_nothing.
 */
#ifndef PGO_BISECT_MIX_H
#define PGO_BISECT_MIX_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/fit_files.h"

struct pgo_mix_item {
	uint32_t name; /* string of `strs` */
	uint64_t mass; /* in the bad one, else in the good one */
};

struct pgo_mix {
	struct pgo_strtab strs;
	struct pgo_fit_loaded good, bad; /* good.name NULL: none */
	struct pgo_mix_item *items;
	size_t n, room;
	uint64_t total; /* counts of the bad one */
	size_t same;    /* functions that are equal in both */
	unsigned afdo;  /* version word of an .afdo */
};

/* `good` NULL: functions have no counts unless the bad profile gives them.  PGO_EMISMATCH for files of
 * two kinds, PGO_EEMPTY if they do not differ. */
int pgo_mix_open(
	struct pgo_mix *m, const char *good, const char *bad, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_mix_fini(struct pgo_mix *m);
const char *pgo_mix_name(const struct pgo_mix *m, uint32_t item);
/* Appends the profile in which these items (ascending) are as in the bad one. */
int pgo_mix_write(struct pgo_mix *m, const uint32_t *items, size_t n, struct pgo_buf *out,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
