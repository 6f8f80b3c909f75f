/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles without branch records: only where the processor was, not how it got there.
 *
 * A block's executions are estimated as its samples divided by its instructions, so that long
 * blocks do not look hotter than they are; a function's entries as those of its first block.  What
 * flows along which branch is not estimated here: that is the place of convert/balance.h.
 */
#ifndef PGO_CONVERT_PLAIN_H
#define PGO_CONVERT_PLAIN_H

#include "convert/edges.h"
#include "convert/pass.h"

/* Estimates are multiples of 1/PGO_PLAIN_SCALE of a sample. */
#define PGO_PLAIN_SCALE 1000

/* Turns sorted samples into ranges without branches, one for each straight part of a block that has
 * samples. Keeps the samples. */
int pgo_plain_to_ranges(struct pgo_ranges *r, const struct pgo_elf *symbols,
	const struct pgo_elf *code, struct pgo_err *err) PGO_MUST_CHECK;
/* The samples themselves as .fdata without branches; BOLT spreads them over blocks by itself.
 * `event`: the sample type they were counted as. */
int pgo_plain_samples(struct pgo_edges *e, const struct pgo_pass *p, const char *event);

#endif
