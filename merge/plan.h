/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One integer weight per profile, with the reason for it.  Only headers and totals are read.
 *
 *	mass      M = total x period / q       what the profile stands for: events, or ns of CPU
 *	age       T = 2^-(age / half-life)     left out beyond the window
 *	season    S = mean over hours of the week of (sum of T) / that of its own hour, in [1/3, 3]
 *	build     B = share of its mass in functions that the target still has; 1 for its own build
 *	host      U_h = sum of M x T x S x B over host h
 *	  cap       C = min(1, kappa x median over hosts of U / U_h)
 *	  equal     C = median over hosts of U / U_h
 *	class     K_k = lambda_k / sum of lambda x (sum of M T S B C of all) / (that of class k)
 *	blend     beta                         of the last good profile: only M, T and B besides
 *	weight    W = round(2^s x F / T) x round(2^14 x T / 2^e), e: whole half-lives; where F = T S
 *	          B C K beta / q, and s such that the largest W has up to 56 bits; the weight of
 *	          "once" is that of the largest F, and of 1 if that is above 1
 *
 * T as an integer is that of absolute time (merge/weight.h), so that of two profiles whose other
 * factors stay the same the weights keep their exact proportion as time goes on: what was summed up
 * once need not be summed again.  Beyond 16 half-lives T does not fall any more.
 *
 * Counts are merged as they are (the total already holds the period); F only changes their
 * proportion.  The period multiplies the mass where the only column is a count of samples; a column
 * such as cpu/nanoseconds already stands for its periods.  q, the probability with which this
 * profile was taken, is its label `sampling_probability`, 1 without.  Hosts, hours and classes are
 * compared within one unit of mass.  An input without a host is never capped, and all of them are
 * one host where hosts are equal; one without a time counts as new and belongs to no hour.  Age is
 * measured from the newest profile's time unless `now` is given, so that the same inputs give the
 * same weights tomorrow.  Where F is the same for all inputs every weight is 1.
 *
 * Besides its file, an input is known by the inputs that went into it: comments `pgo-input: ID`
 * (merge/contained.h); what is in two inputs counts once.  Outliers: merge/outliers.h.
 *
 *	pgo_plan_init(&p, &options);
 *	pgo_plan_measure(&options, reader, &source, &input, err)    by any thread
 *	pgo_plan_put(&p, &input, err) ...                 numbered 0, 1, ... in the order of putting
 *	pgo_plan_finish(&p, err);
 *	pgo_plan_of(&p, 0)->weight ...
 */
#ifndef PGO_MERGE_PLAN_H
#define PGO_MERGE_PLAN_H

#include "merge/weight.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"
#include "pgo/core/profile.h"

#include <stdbool.h>
#include <stdint.h>

#define PGO_PLAN_HALF_LIVES 16 /* in which T falls */
#define PGO_PLAN_BLEND 0.25    /* beta */
#define PGO_PLAN_MIN_SAMPLES 200

enum pgo_plan_mode { PGO_PLAN_FLEET_COST, PGO_PLAN_EQUAL_HOST };

/* A class of profiles and the share of the mass that it shall have, in any scale. */
struct pgo_plan_class {
	const char *name;
	double share;
};

/* The build that the merged profile is for.  Functions are asked for by the linkage name, or the
 * name if there is none; from any thread. */
struct pgo_plan_target {
	const char *build_id; /* "" if unknown */
	bool (*has_function)(void *ctx, const char *name);
	void *ctx;
};

struct pgo_plan_options {     /* strings, classes and target are borrowed while the plan lives */
	int64_t half_life_ns; /* 0 = no age weighting */
	int64_t window_ns;    /* older profiles are left out, by name; 0 = none */
	int64_t now_ns;       /* 0 = newest profile */
	double host_cap;      /* kappa; 0 = no cap */
	enum pgo_plan_mode mode;
	bool season;
	bool no_probability;     /* q = 1 for all */
	const char *class_label; /* NULL = "class" */
	const struct pgo_plan_class *classes;
	size_t n_classes;                     /* 0 = no mix */
	double blend;                         /* beta; 0 = PGO_PLAN_BLEND */
	const struct pgo_plan_target *target; /* NULL = builds are not compared */
	bool outliers;                        /* find them and leave them out */
	bool allow_outliers;                  /* however much of the mass they are */
	uint64_t min_samples;                 /* 0 = PGO_PLAN_MIN_SAMPLES */
	bool shares; /* measure the functions' shares though outliers are not asked for */
};

enum pgo_plan_drop {
	PGO_PLAN_KEPT,
	PGO_PLAN_TOO_OLD,
	PGO_PLAN_NO_SAMPLES,
	PGO_PLAN_DUPLICATE,
	PGO_PLAN_CONTAINED,   /* its counts are in `twin` */
	PGO_PLAN_OTHER_CLASS, /* the mix does not name its class */
	PGO_PLAN_OTHER_BUILD, /* no function of it is in the target */
	PGO_PLAN_FEW_SAMPLES, /* outliers, from here on */
	PGO_PLAN_UNMAPPED,
	PGO_PLAN_OUTLIER,
};

/* A function's share of the mass, in 2^-31; keys are hashes of names, or of build and address. */
struct pgo_plan_share {
	uint32_t key, share;
};

/* An input that went into a file: the first 64 bits of its SHA-256; `part` counts from 1 the
 * profiles of a recording, 0 = all of it. */
struct pgo_plan_leaf {
	uint64_t id;
	uint32_t part;
};

struct pgo_plan_input {
	char *name;            /* as in messages */
	char *digest;          /* SHA-256 of the file, or NULL for profiles made in memory */
	char *host, *build_id; /* "" if unknown; build_id of the main mapping */
	char *service, *class; /* "" if unknown */
	int64_t time_ns;       /* 0 = unknown */
	int64_t age_ns;
	uint64_t samples;   /* with a value */
	uint64_t n_counted; /* samples taken, as far as it says: its counts, or rows */
	char *column;       /* "cpu/nanoseconds": whose total is the mass */
	char *unit;         /* what the mass is counted in: the column, or the type of the period */
	int64_t total;
	int64_t period;
	double probability; /* q */
	double mapped;      /* share of the mass at known code; below 0 = unknown */
	double survival;    /* B before it is a factor; below 0 = unknown */
	bool own_build;     /* of the target */
	bool blend;         /* the last good profile */
	double mass;
	double probability_factor, age_factor, season_factor, build_factor, host_factor,
		class_factor, blend_factor;
	double overlap;  /* with the others of its kind; below 0 = not judged */
	bool near_cap;   /* its host is above the cap, or little below */
	uint64_t weight; /* 0 = left out */
	/* weight x p->divisor = rest x mark.mantissa x 2^(mark.exponent - p->base) */
	uint64_t rest;
	struct pgo_weight_mark mark;
	bool oldest; /* age has stopped for it: the mark is not that of its time */
	enum pgo_plan_drop drop;
	const char *twin; /* the name of the input that a duplicate repeats, or that contains it */
	size_t seq;       /* which pgo_plan_put() it came from, from 0 */

	struct pgo_plan_leaf *leaves;  /* sorted; none = it is one itself */
	struct pgo_plan_share *shares; /* by key; the largest, of 99 % of the mass */
	size_t n_leaves, n_shares;
	bool by_address; /* the keys are addresses: only comparable within its build */
};

struct pgo_plan {
	/* In the order of (digest, name) after finish: never of the command line. */
	struct pgo_plan_input *inputs;
	size_t n, room;
	size_t *at; /* per seq: index in inputs */
	struct pgo_plan_options options;
	bool weighted;          /* false: all weights are 1 (no factor in effect) */
	uint64_t weight_one;    /* the weight of "once" */
	uint64_t divisor;       /* of all of them and weight_one, who have no common one left */
	int64_t base;           /* the exponent in 2^0 */
	int64_t now_ns;         /* what age was measured from; 0 = no input has a time */
	double effective_hosts; /* Kish: (sum U)^2 / sum U^2 after weighting */
	double dominance;       /* largest host's share of the weighted mass */
	double outlier_share;   /* of the mass, that outliers were */
	size_t n_kept, n_hosts, n_days, n_hours; /* n_hours: of the week, of 168 */
};

/* What is known of an input besides its content; all may be unset. */
struct pgo_plan_source {
	const char *name;    /* in messages; NULL = the reader's */
	const char *digest;  /* SHA-256, hex; "#N" follows for the Nth profile of a recording */
	const char *host;    /* if its samples carry no label `host` */
	int64_t time_ns;     /* if its header has none */
	const char *service; /* if its samples carry no label `service` */
	const char *class;   /* whatever its labels say */
	double probability;  /* q, whatever its labels say; 0 = unset */
	bool blend;
};

void pgo_plan_init(struct pgo_plan *p, const struct pgo_plan_options *o);
void pgo_plan_fini(struct pgo_plan *p);
/* Reads header and totals of one input (draws its samples once; borrows `r` and `source`, which may
 * be NULL).  Its host is the label `host` that all its samples carry.  Fills *ret
 * (pgo_plan_input_fini). */
int pgo_plan_measure(const struct pgo_plan_options *o, struct pgo_reader *r,
	const struct pgo_plan_source *source, struct pgo_plan_input *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_plan_input_fini(struct pgo_plan_input *in);
/* Takes what `in` holds and leaves it empty, also on failure. */
int pgo_plan_put(struct pgo_plan *p, struct pgo_plan_input *in, struct pgo_err *err) PGO_MUST_CHECK;
/* Measures and puts. */
int pgo_plan_add(struct pgo_plan *p, struct pgo_reader *r, const struct pgo_plan_source *source,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Computes all weights; what is left out for its content is said in a warning.  PGO_EEMPTY if no
 * input is left; PGO_EGATE if outliers are more than 10 % of the mass and that is not allowed: the
 * plan can be explained then. */
int pgo_plan_finish(struct pgo_plan *p, struct pgo_err *err) PGO_MUST_CHECK;
/* The input that was put as number `seq`, after finish. */
const struct pgo_plan_input *pgo_plan_of(const struct pgo_plan *p, size_t seq);
/* "too old", ...: why an input was left out; "" if it was not. */
const char *pgo_plan_drop_name(enum pgo_plan_drop drop);
/* F of an input, and what it adds to the result, in units of mass; 0 if it is left out. */
double pgo_plan_factor(const struct pgo_plan_input *in);
double pgo_plan_mass(const struct pgo_plan_input *in);
/* Why an input has its weight, in words. */
void pgo_plan_reason(
	const struct pgo_plan *p, const struct pgo_plan_input *in, struct pgo_buf *out);
/* A table for people; an array of objects, with each weight and why; and, into an open object, the
 * options in effect and what came of them, over hosts, classes and time. */
void pgo_plan_explain(const struct pgo_plan *p, struct pgo_buf *out);
void pgo_plan_json(const struct pgo_plan *p, struct pgo_json *j);
void pgo_plan_input_json(
	const struct pgo_plan *p, const struct pgo_plan_input *in, struct pgo_json *j);
void pgo_plan_summary_json(const struct pgo_plan *p, struct pgo_json *j);

/* One host's, hour's or class's sum of mass within one unit; sorted by (unit, name). */
struct pgo_plan_sum {
	const char *unit, *name;
	double mass;
	size_t profiles;
};
/* Over what is kept (and no blend), by the current factors.  Gives an array (pgo_free), NULL when
 * out of memory. `hosts`: by host, else by class. */
struct pgo_plan_sum *pgo_plan_sums(const struct pgo_plan *p, bool hosts, size_t *ret_n);
struct pgo_plan_sum *pgo_plan_sum_of(
	struct pgo_plan_sum *s, size_t n, const char *unit, const char *name);

/* Between the files of the plan. */
int pgo_plan_drop_contained(struct pgo_plan *p, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_plan_drop_outliers(struct pgo_plan *p, struct pgo_err *err) PGO_MUST_CHECK;
/* Season, build, host, class: each sets its factor; -1 when out of memory. */
void pgo_plan_weigh_builds(struct pgo_plan *p);
int pgo_plan_weigh_season(struct pgo_plan *p);
int pgo_plan_weigh_hosts(struct pgo_plan *p);
int pgo_plan_weigh_classes(struct pgo_plan *p);

#endif
