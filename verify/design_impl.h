/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the design share among themselves. */
#ifndef PGO_VERIFY_DESIGN_IMPL_H
#define PGO_VERIFY_DESIGN_IMPL_H

#include "verify/design.h"

/* What there is, of the arm that was rebuilt unless it says otherwise. */
struct pgo_facts {
	size_t hosts[2], both, unknown; /* unknown: replicates without a host */
	size_t reps[2], control_reps[2];
	bool timed, concurrent;
	size_t days[2];
	int64_t first_day[2], last_day[2], start[2], end[2];
	uint8_t *seen; /* by string: bit 0 before, bit 1 after */
	size_t n_strings;
};

struct pgo_unit_key {
	bool control;
	uint32_t host;
	int64_t part;
	size_t rep;
};

/* Fills the lists of samples from the units; COUNTS if they are too few. */
int pgo_design_lists(struct pgo_design *d, struct pgo_err *err) PGO_MUST_CHECK;
/* Whole weeks and strata of the before-after design: drops replicates, adjusts their work. */
int pgo_design_weeks(struct pgo_design *d, const struct pgo_costs *c, const struct pgo_facts *f,
	double *work, struct pgo_verdict_design *say, struct pgo_err *err) PGO_MUST_CHECK;
/* Sentences about what is weak. */
int pgo_design_remarks(const struct pgo_design *d, const struct pgo_facts *f,
	struct pgo_verdict_design *say, struct pgo_err *err) PGO_MUST_CHECK;

#endif
