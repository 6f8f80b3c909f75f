/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the estimate of executions: the state of one event's estimate, which the passes over its
 * rings (unbias_pass.c) and what is made of their sums (unbias_time.c) share.
 */
#ifndef PGO_FETCH_UNBIAS_IMPL_H
#define PGO_FETCH_UNBIAS_IMPL_H

#include "fetch/unbias.h"

#define PGO_UNBIAS_LENGTH_ONE ((uint64_t)1 << PGO_UNBIAS_LENGTH_BITS)

#define PGO_UNBIAS_SPANS (58 * 64 + 128)

struct pgo_unbias_target { /* sums over rings; a cache line for two */
	uint64_t n1, s1;   /* complete runs from here: weights, weighted lengths */
	uint64_t n2, s2;   /* the runs after those */
};

/* Time of a run = branch + code x its length + mispredict, if the branch before it was; in units. */
struct pgo_unbias_model {
	double branch, code, mispredict;
};

struct pgo_unbias_length { /* of a trace's run, its branch having been predicted or not */
	uint32_t target, length[2];
};

struct pgo_unbias_work {
	const struct pgo_unbias *u;
	const struct pgo_unbias_event *e;
	enum pgo_unbias_unit unit;
	uint32_t ahead; /* runs that gamma is a mean of */
	struct pgo_unbias_model model;
	bool modelled; /* lengths are those of the model */
	bool fitting;  /* so what follows of the model is wanted */
	unsigned __int128 sum_count, sum_code, sum_mispredict; /* of all counted */
	struct pgo_unbias_length **lengths; /* by group and trace, during a pass */
	uint64_t rings, observations1, observations2;
	/* by target: sums of a pass */
	struct pgo_unbias_target *target;
	uint64_t *count; /* executions, in units of the event */
	/* What a unit more for each branch, or for each misprediction, would do to count x lambda. */
	int64_t *branch_effect, *mispredict_effect;
	uint64_t *newest; /* rings it is the newest of */
	/* by target: what is made of them */
	double *lambda, *gamma; /* lambda without the factors */
	double *factor;         /* of lengths, from self-timing; NULL = 1 */
	double *span_cut;       /* lambda x factor */
	/*
	 * Entries are counted if they ended less than the horizon before the sample (0 = none): so
	 * windows are cut down to what was seen of them, and hardly have to be guessed.
	 */
	uint64_t horizon, middle; /* middle: the median of the spans of full rings */
	uint64_t spans[PGO_UNBIAS_SPANS];
	/* one ring */
	uint32_t at[PGO_SPOOL_RING_MAX];  /* targets */
	uint64_t sum[PGO_SPOOL_RING_MAX]; /* lengths of the complete runs up to this entry's own */
};

/* ---- unbias_pass.c */

/* Lambda and gamma from the complete runs of all rings. */
int pgo_unbias_measure(struct pgo_unbias_work *w, struct pgo_err *err) PGO_MUST_CHECK;
/*
 * Counts and newest anew; with `ret` the weights of traces as well.  With `means` sums for another
 * gamma are made on the way: then pgo_unbias_finish_means(w, false).
 */
int pgo_unbias_weigh(struct pgo_unbias_work *w, bool means, struct pgo_unbias_result *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_unbias_finish_means(struct pgo_unbias_work *w, bool own);

/* ---- unbias_time.c: all of them after pgo_unbias_weigh() */

double pgo_unbias_phi(const struct pgo_unbias_work *w);
/* Makes w->model; counts and means are those with it. */
int pgo_unbias_fit(struct pgo_unbias_work *w, struct pgo_err *err) PGO_MUST_CHECK;
/* Makes the factors of lengths, by target, and w->gamma with them; `phi` is how much there is to
 * explain. */
int pgo_unbias_self_time(
	struct pgo_unbias_work *w, double phi, double *factor, struct pgo_err *err) PGO_MUST_CHECK;

#endif
