/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is compared with whom: replicates of costs -> units, and what a unit's cost is divided by.
 *
 * A unit is a host (or a day of a host, or a profile) with a before, an after, or both.  Of a value
 * per unit and side, such as the log cost of a function, samples are made:
 *
 *	paired          one sample: after - before of each unit
 *	difference in differences
 *	                two: after - before of control units (-) and canary units (+); or, where hosts
 *	                do not last, four: the sides of both arms
 *	Welch, before-after
 *	                two: units before (-) and units after (+)
 *	counts          none: there are fewer than two units on a side
 *
 * and the change is the signed sum of their means.  What is chosen, in this order: difference in
 * differences where there is a control arm; paired where two hosts or more, and half of those on the
 * side that has fewer, are on both; separate hosts at the same time; before-after.
 *
 * A host's profiles are one unit, unless there are fewer than 8 hosts and each has several days:
 * then a day of a host is one (paired: days are matched by weekday if both sides have whole weeks,
 * else by their order).  Intervals by bootstrap draw whole hosts even then.
 *
 * Means are weighted by precision: a host that was looked at for a minute does not weigh like one
 * that was for a day (pgo_design_weights).
 *
 * Before-after on both sides' whole weeks where there are any, and, where cost differs with the hour
 * of the week (or the day of it), work is weighted by how expensive its hour is on both sides.
 */
#ifndef PGO_VERIFY_DESIGN_H
#define PGO_VERIFY_DESIGN_H

#include "pgo/core/err.h"
#include "verify/costs.h"
#include "verify/stats.h"
#include "verify/verify.h"

#define PGO_DESIGN_SAMPLES 4

struct pgo_unit {
	uint32_t host;    /* string of the costs, 0 = unknown */
	uint32_t cluster; /* units of one host have one */
	int64_t part;     /* day or profile within the host; 0 if it is the whole host */
	bool control;     /* an arm that was not rebuilt */
	bool has[2];      /* before, after */
	double work[2];   /* units of work, adjusted; the divisor of costs */
	double total[2];
	uint64_t samples[2];
};

/* One sample: units in ascending order. */
struct pgo_unit_list {
	uint32_t *unit;
	size_t n;
	double sign; /* of its mean in the change */
	int side;    /* 0 before, 1 after, 2 after - before */
};

struct pgo_design {
	enum pgo_design_kind kind;
	enum pgo_replicate_kind replicate;
	enum pgo_per by;
	struct pgo_unit *units;
	size_t n_units, units_room;
	uint32_t *unit_of; /* of each replicate of the costs; PGO_NONE = not used */
	struct pgo_unit_list list[PGO_DESIGN_SAMPLES];
	size_t n_lists; /* 0 with PGO_DESIGN_COUNTS */
	size_t n_clusters;
	double wanted_days; /* distinct days on the side with fewer */
};

struct pgo_design_options {
	enum pgo_design_kind kind; /* AUTO, or forced */
	bool same_work;            /* every profile is one unit of work */
	const char *work_unit;     /* "request"; NULL = "unit of work" */
	const char *control;       /* regular expression: functions that are the control set */
};

/*
 * Chooses and fills *d and *say (what the verdict tells of it).  Replicates with work >= 0 have
 * work; if any has, all that is compared must have.  PGO_EUSAGE: the forced design is impossible
 * with these profiles, and the sentence says what it needs.
 */
int pgo_design_choose(struct pgo_design *d, const struct pgo_costs *c,
	const struct pgo_design_options *o, struct pgo_verdict_design *say,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_design_fini(struct pgo_design *d);
/* x[list[i].n] of list i from values[2 * unit + side]. */
void pgo_design_sample(const struct pgo_design *d, const double *values, size_t i, double *ret_x);
/*
 * Weights of sample i, x[list[i].n], with the mean 1: a unit that has few samples says less.  Each
 * weighs 1 / (t + v), v being the variance that counts of `share` of its samples give to a log, times
 * the design effect, and t what is left of the spread of x.  They depend on how much a unit was
 * sampled, not on what it shows.
 */
void pgo_design_weights(const struct pgo_design *d, size_t i, const double *x, double share,
	double design_effect, double *ret);
/* One whole sentence for the verdict, said once. */
int pgo_design_note(struct pgo_verdict_design *say, struct pgo_err *err, const char *fmt, ...)
	PGO_PRINTF(3, 4) PGO_MUST_CHECK;

/* Size factors of a control set into work[] of the units (verify/control.c): the median over its
 * functions of the unit's cost relative to the mean over units (in logs).  *ret: false if there is
 * too little of it. */
int pgo_design_by_control(struct pgo_design *d, const struct pgo_costs *c, const char *regex,
	bool *ret, struct pgo_err *err) PGO_MUST_CHECK;

#endif
