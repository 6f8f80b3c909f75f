/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From branch rings to executions, with the bias of the sampling taken out.
 *
 * A ring is seen because an event fired, and an event that counts time or instructions fires in
 * proportion to how long a straight run takes: rings that end in long runs are seen too often, and
 * no number of samples mends that.  An occurrence of a run is in the ring of a sample if and only
 * if the sample falls into one of the d - 1 runs that follow it (d = places in the hardware's
 * ring), so the chance of seeing it is proportional to how long those take together, its window W.
 * Weighting each entry by 1 / W therefore gives an unbiased sum (Horvitz and Thompson's estimator),
 * and with the sample's period P as numerator one of executions, in absolute numbers.
 *
 * Of the window of entry i (0 = newest, l_i = length of the run behind it) this much is seen:
 *
 *	W = l_(i-1) + .. + l_1  +  lambda  +  (d - 1 - i) gamma
 *
 * the complete runs after it; then the run that the sample cut, whose expected length lambda is the
 * mean of the complete runs that start where it started; then the runs still to come, each of the
 * mean length gamma that runs soon after that place have.  Both means are over all rings, each by
 * 1 / its span (which is one over the chance that it was seen), shrunk to the mean of all.
 *
 * The weight is that of the whole trace, branch and run: the newest entry, whose run is cut, gets
 * none.  So what goes in and out of a place stays in balance.  An event that counts branches gives
 * every branch the same chance; there all entries, the newest too, get P / d, and estimate and
 * records say the same.
 *
 * Lengths are in the unit of the event: 1 for events that count branches; the cycles recorded with
 * the branch, or instructions, or bytes of code for others.  Where they are only a stand-in,
 * targets say themselves how long their runs take: a target that is newest more often than the
 * others for the number of its executions takes longer ("self-timing", three rounds).
 *
 * phi says how badly a unit explains how often each target is newest: the mean over targets of the
 * squared relative deviation beyond chance.  It is near 0 for the right one, and chooses among units
 * if the event is not known.
 *
 * Nothing depends on the order of rings: all sums over rings are of integers, quantised before.
 */
#ifndef PGO_FETCH_UNBIAS_H
#define PGO_FETCH_UNBIAS_H

#include "fetch/recording.h"
#include "fetch/unbias_spool.h"

/* In what the lengths of runs are. */
enum pgo_unbias_unit { PGO_UNBIAS_ONE, PGO_UNBIAS_CODE, PGO_UNBIAS_CYCLES };

/* Lengths have this many fractional bits, weights (executions) that many. */
#define PGO_UNBIAS_LENGTH_BITS 8
#define PGO_UNBIAS_WEIGHT_BITS 16

/* What is known of a trace: where its run starts, as a number below n_targets; how long it is, in
 * instructions or bytes.  Target 0 is everything that has no address. */
struct pgo_unbias_trace {
	uint32_t target, length;
};

struct pgo_unbias_group { /* whose numbers the rings of a group speak of */
	const struct pgo_unbias_trace *traces;
	uint64_t *weights; /* are added to; they saturate at 2^48 executions */
	size_t n;
};

/* Borrows the rings and the groups. */
struct pgo_unbias {
	struct pgo_spool *rings;
	struct pgo_unbias_group *groups;
	size_t n_groups;
	uint32_t n_targets;
	uint32_t code_mean;     /* length of a run of which nothing is known */
	uint32_t code_per_byte; /* length of a byte in runs of which only the bytes are known */
};

struct pgo_unbias_event {
	uint32_t index; /* as in the rings */
	enum pgo_event_unit unit;
	uint32_t depth;        /* of the hardware's ring; at least 2 */
	bool has_cycles;       /* entries carry cycles */
	uint64_t period;       /* for rings that do not say; 0 = then 1 */
	uint64_t every_period; /* for all rings, whatever they say; 0 = each its own */
};

struct pgo_unbias_result {
	enum pgo_unbias_unit unit;
	bool detected;   /* the unit was chosen by phi */
	bool self_timed; /* lengths are stand-ins, corrected by how often targets were newest */
	bool absolute;   /* periods and lengths have one unit: weights are executions, not only in
			    proportion to them */
	double phi;      /* of the unit, before self-timing */
	uint64_t rings;  /* weighted */
	uint64_t rings_without_cycles; /* left out for that */
	uint64_t entries;              /* that were given a weight */
	unsigned __int128 weight;      /* sum of all weights */
};

/* Weighs all rings of one event. */
int pgo_unbias_run(const struct pgo_unbias *u, const struct pgo_unbias_event *e,
	struct pgo_unbias_result *ret, struct pgo_err *err) PGO_MUST_CHECK;

static inline uint64_t pgo_unbias_add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

#endif
