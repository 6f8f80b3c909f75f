/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One integer weight per profile, with the reason for it.  Only headers and totals are read.
 *
 *	mass     M = total x period / sampling probability       what the profile stands for
 *(events, or nanoseconds of CPU) age      T = 2^-(age / half-life)                        0 (left
 *out) beyond the window host cap C = min(1, kappa x median_h(U) / U_h), U_h = sum of M x T over
 *host h weight   W = round(2^24 x T x C x class / max over inputs of the same), at least 1
 *
 * Counts are merged as they are (total already holds the mass); T and C only change their
 *proportion.  Profiles with different periods are brought to one unit by their period. Age is
 *measured from `now`, the newest profile's time unless given, so that the same inputs give the same
 *weights tomorrow.
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
	int64_t time_ns;
	uint64_t samples;
	int64_t total; /* of the chosen column */
	int64_t period;
	char *unit; /* "cpu/nanoseconds": the chosen column */
	double mass, age_factor, host_factor;
	uint64_t weight; /* integer weight; 0 = left out */
	enum pgo_plan_drop drop;
};

struct pgo_plan {
	struct pgo_plan_input
		*inputs; /* in the order of (digest, name): never of the command line */
	size_t n, room;
	struct pgo_plan_options options;
	bool weighted;          /* false: all weights are 1 (no age, no cap in effect) */
	double effective_hosts; /* Kish: (sum U)^2 / sum U^2 after weighting */
	double dominance;       /* largest host's share of the weighted mass */
	size_t n_hosts, n_days;
};

void pgo_plan_init(struct pgo_plan *p, const struct pgo_plan_options *o);
void pgo_plan_fini(struct pgo_plan *p);
/* Reads header and totals of one input (draws its samples once; borrows `r`). Host: label `host` on
 * its samples, or `host` if given. */
int pgo_plan_add(struct pgo_plan *p, struct pgo_reader *r, const char *digest, const char *host,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Computes all weights. */
int pgo_plan_finish(struct pgo_plan *p, struct pgo_err *err) PGO_MUST_CHECK;
/* The input added with that digest or name, or NULL. */
const struct pgo_plan_input *pgo_plan_find(const struct pgo_plan *p, const char *digest_or_name);
/* A table for people, and an array of objects, with each weight and why. */
void pgo_plan_explain(const struct pgo_plan *p, struct pgo_buf *out);
void pgo_plan_json(const struct pgo_plan *p, struct pgo_json *j);

#endif
