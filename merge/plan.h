/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One integer weight per profile, with the reason for it.  Only headers and totals are read.
 *
 *	mass      M = total x period           what the profile stands for: events, or ns of CPU
 *	age       T = 2^-(age / half-life)     left out beyond the window
 *	host cap  C = min(1, kappa x median over hosts of U / U_h), U_h = sum of M x T over host h
 *	weight    W = round(2^24 x T x C / the largest T x C of all inputs), at least 1
 *
 * Counts are merged as they are (the total already holds the mass); T and C only change their
 * proportion.  The period multiplies where the only column is a count of samples; a column such as
 * cpu/nanoseconds already stands for its periods.  Hosts are compared within one unit of mass.  An
 * input without a host is never capped; one without a time counts as new.  Age is measured from
 * the newest profile's time unless `now` is given, so that the same inputs give the same weights
 * tomorrow.  Where T x C is the same for all inputs every weight is 1.
 *
 *	pgo_plan_init(&p, &options);
 *	pgo_plan_add(&p, reader, &source, err) ...        numbered 0, 1, ... in the order of adding
 *	pgo_plan_finish(&p, err);
 *	pgo_plan_of(&p, 0)->weight ...
 */
#ifndef PGO_MERGE_PLAN_H
#define PGO_MERGE_PLAN_H

#include "pgo/core/err.h"
#include "pgo/core/json.h"
#include "pgo/core/profile.h"

#include <stdbool.h>
#include <stdint.h>

#define PGO_WEIGHT_ONE ((uint64_t)1 << 24)

struct pgo_plan_options {
	int64_t half_life_ns; /* 0 = no age weighting */
	int64_t window_ns;    /* older profiles are left out, by name; 0 = none */
	int64_t now_ns;       /* 0 = newest profile */
	double host_cap;      /* kappa; 0 = no cap */
};

enum pgo_plan_drop { PGO_PLAN_KEPT, PGO_PLAN_TOO_OLD, PGO_PLAN_NO_SAMPLES, PGO_PLAN_DUPLICATE };

struct pgo_plan_input {
	char *name;            /* as in messages */
	char *digest;          /* SHA-256 of the file, or NULL for profiles made in memory */
	char *host, *build_id; /* "" if unknown; build_id of the main mapping */
	int64_t time_ns;       /* 0 = unknown */
	int64_t age_ns;
	uint64_t samples; /* with a value */
	char *column;     /* "cpu/nanoseconds": whose total is the mass */
	char *unit;       /* what the mass is counted in: the column, or the type of the period */
	int64_t total;
	int64_t period;
	double mass, age_factor, host_factor;
	uint64_t weight; /* 0 = left out */
	enum pgo_plan_drop drop;
	const char *twin; /* the name of the input that a duplicate repeats */
	size_t seq;       /* which pgo_plan_add() it came from, from 0 */
};

struct pgo_plan {
	/* In the order of (digest, name) after finish: never of the command line. */
	struct pgo_plan_input *inputs;
	size_t n, room;
	size_t *at; /* per seq: index in inputs */
	struct pgo_plan_options options;
	bool weighted;          /* false: all weights are 1 (no age, no cap in effect) */
	uint64_t weight_one;    /* the weight of "once": PGO_WEIGHT_ONE if weighted, else 1 */
	int64_t now_ns;         /* what age was measured from; 0 = no input has a time */
	double effective_hosts; /* Kish: (sum U)^2 / sum U^2 after weighting */
	double dominance;       /* largest host's share of the weighted mass */
	size_t n_kept, n_hosts, n_days;
};

/* What is known of an input besides its content; all may be unset. */
struct pgo_plan_source {
	const char *name;   /* in messages; NULL = the reader's */
	const char *digest; /* SHA-256, hex */
	const char *host;   /* if its samples carry no label `host` */
	int64_t time_ns;    /* if its header has none */
};

void pgo_plan_init(struct pgo_plan *p, const struct pgo_plan_options *o);
void pgo_plan_fini(struct pgo_plan *p);
/* Reads header and totals of one input (draws its samples once; borrows `r` and `source`, which may
 * be NULL).  Its host is the label `host` that all its samples carry. */
int pgo_plan_add(struct pgo_plan *p, struct pgo_reader *r, const struct pgo_plan_source *source,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Computes all weights; duplicates are left out with a warning.  PGO_EEMPTY if no input is left. */
int pgo_plan_finish(struct pgo_plan *p, struct pgo_err *err) PGO_MUST_CHECK;
/* The input that was added as number `seq`, after finish. */
const struct pgo_plan_input *pgo_plan_of(const struct pgo_plan *p, size_t seq);
/* "too old", ...: why an input was left out; "" if it was not. */
const char *pgo_plan_drop_name(enum pgo_plan_drop drop);
/* A table for people, and an array of objects, with each weight and why. */
void pgo_plan_explain(const struct pgo_plan *p, struct pgo_buf *out);
void pgo_plan_json(const struct pgo_plan *p, struct pgo_json *j);

#endif
