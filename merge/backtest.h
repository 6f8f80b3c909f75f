/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which half-life and which host cap would have served best: a back-test over a history of profiles.
 *
 * The history is cut into steps (weeks) that end at the newest profile.  For each step but the
 * first, the shares of functions are predicted from all profiles before it, weighted as a plan with
 * that half-life and cap would at the end of the step before, and compared with the shares of the
 * step itself, unweighted: the overlap is the sum over functions of the smaller share, 0 to 1.  A
 * setting's figure is the mean over steps.  Everything is summed in the order of the profiles'
 * content, so that the figures do not depend on the order they were given in.
 *
 * Memory: at most 8 KiB a profile, and two numbers for each function.
 */
#ifndef PGO_MERGE_BACKTEST_H
#define PGO_MERGE_BACKTEST_H

#include "merge/plan.h"

struct pgo_trial {
	int64_t half_life_ns; /* 0 = none */
	double host_cap;      /* 0 = none */
	bool season;
	double overlap; /* set: mean over the steps; and the least */
	double worst;
};

struct pgo_backtest {
	size_t n_steps; /* predicted ones */
	size_t best;    /* the trial with the highest mean; of equals the first */
};

/*
 * `p`: a plan that was finished without weights, measured with `shares`; only inputs that it keeps,
 * with a time, of `service` and of the unit that most of them have.  Sets the figures of `t`.
 * PGO_EEMPTY if they do not span two steps.
 */
int pgo_backtest(const struct pgo_plan *p, const char *service, int64_t step_ns,
	struct pgo_trial *t, size_t n, struct pgo_backtest *ret,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
