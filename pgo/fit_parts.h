/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a fit check share; each adds its gates. */
#ifndef PGO_FIT_PARTS_H
#define PGO_FIT_PARTS_H

#include "pgo/core/elf.h"
#include "pgo/fit_check.h"
#include "pgo/fit_files.h"

struct pgo_fit {
	const struct pgo_fit_inputs *in;
	struct pgo_gates *gates;
	struct pgo_strtab strs;
	struct pgo_fit_loaded *file; /* as in->files; those that cannot be read have no name */
	struct pgo_fit_loaded *best; /* that the others are judged by */
	size_t best_index;
	struct pgo_elf *elf;
	struct pgo_fit_cover cover;
	struct pgo_stale stale;
	struct pgo_gates last_gates; /* of the last good result; empty if it has none */
	struct pgo_fit_loaded last;
	struct pgo_fit_overlap overlap;
	bool covered, staled, compared; /* are the three above measured? */
};

/* Part of a whole in per cent; 0 of nothing. */
static inline double pgo_fit_percent(uint64_t part, uint64_t whole)
{
	return whole != 0 ? 100.0 * (double)part / (double)whole : 0;
}

/* stale, mapped (by names), aliases; opens the program. */
int pgo_fit_program(struct pgo_fit *k, struct pgo_err *err) PGO_MUST_CHECK;
/* overlap_functions, overlap_blocks, moved. */
int pgo_fit_last_good(struct pgo_fit *k, struct pgo_err *err) PGO_MUST_CHECK;
/* name_collapse, by what the two above measured. */
int pgo_fit_names(struct pgo_fit *k, struct pgo_err *err) PGO_MUST_CHECK;
/* flips. */
int pgo_fit_history(struct pgo_fit *k, struct pgo_err *err) PGO_MUST_CHECK;

#endif
