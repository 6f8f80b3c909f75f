/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/sequential.h"

#include "verify/real.h"
#include "verify/stats.h"

#include <math.h>
#include <string.h>

void pgo_sequence_init(struct pgo_sequence *s, double alpha, double effect)
{
	/* Fixed-size test with 80 % power: (1.96 + 0.84)^2 / effect^2; looking costs some more. */
	double information = 1.5 * 7.849 / (effect * effect);
	double l = -2 * pgo_real_log(alpha);

	memset(s, 0, sizeof *s);
	s->alpha = alpha;
	s->rho = information / (l + pgo_real_log(l) + 1);
	s->low = s->now_low = -INFINITY;
	s->high = s->now_high = INFINITY;
	s->estimate = NAN;
}

void pgo_sequence_look(struct pgo_sequence *s, double estimate, double se, double df)
{
	double ratio, bound, tail;

	if (!(se > 0) || !(df > 0) || isinf(se) || isnan(estimate))
		return;
	ratio = 1 + s->rho * se * se;
	bound = sqrt(ratio * pgo_real_log(ratio / (s->rho * se * se * s->alpha * s->alpha)));
	tail = pgo_normal_p(bound);
	/* Beyond 1e-12 quantiles of t with few degrees would say nothing. */
	bound = pgo_student_two_sided(1 - fmax(tail, 1e-12), df);
	s->looks++;
	s->estimate = estimate;
	s->now_low = estimate - bound * se;
	s->now_high = estimate + bound * se;
	s->low = fmax(s->low, s->now_low);
	s->high = fmin(s->high, s->now_high);
}
