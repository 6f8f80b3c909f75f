/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of the whole per unit of work: how it changed, what could have been seen, whether the
 * method says "changed" when nothing was, and what it is worth.
 *
 * The interval is the wider of Student's over the design's samples and the percentile interval of a
 * bootstrap that draws whole hosts of each sample with replacement.  Draws are numbered
 * (verify/random.h): the same on every machine and for any number of threads.
 */
#ifndef PGO_VERIFY_TOTAL_H
#define PGO_VERIFY_TOTAL_H

#include "verify/costs.h"
#include "verify/design.h"
#include "verify/verify.h"

/* Fills v->total; v->design_effect is used where there are only counts. */
int pgo_total(struct pgo_verdict *v, const struct pgo_costs *c, const struct pgo_design *d,
	uint64_t rounds, double wanted, struct pgo_err *err) PGO_MUST_CHECK;
/* Splits the before set at random, many times, and counts how often the halves differ at 5 %. */
int pgo_calibrate(struct pgo_verdict *v, const struct pgo_costs *c, const struct pgo_design *d,
	uint64_t splits, struct pgo_err *err) PGO_MUST_CHECK;
/* What the change means for a fleet of `cores` at `price` per core and hour (0 = not given). */
void pgo_value(struct pgo_verdict *v, double cores, double price);
/* Outcome and sentence, from all the rest. */
int pgo_conclude(struct pgo_verdict *v, struct pgo_err *err) PGO_MUST_CHECK;

#endif
