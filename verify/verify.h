/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before against after: what a rebuild did, and how sure that is.
 *
 * The self cost of every sample goes to a source-level function (verify/attrib.h).  Costs are
 * divided by the work that was done, and compared host by host: hosts differ from one another far
 * more than samples of one host do, so that the host is what is counted, not the sample
 * (verify/design.h says which hosts are compared with which, verify/compare.h how).
 *
 *	change    cost after / cost before - 1, of the mean log cost per unit of work
 *	overlap   sum over functions of min(share before, share after); 1 = same mix, 0 = nothing
 *	          in common
 *	q         the share of false findings among those with this q or less (Benjamini, Hochberg)
 *
 * The result is data first (struct pgo_verdict), then text or JSON, "kind": "verdict",
 * "schema": 2.  Whoever has the verdict may only read it.
 */
#ifndef PGO_VERIFY_VERIFY_H
#define PGO_VERIFY_VERIFY_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"
#include "pgo/core/profile.h"

#include <stdbool.h>
#include <stdint.h>

struct pgo_gates;        /* verify/gates.h */
struct pgo_layout_facts; /* verify/layout.h */
struct pgo_calltree;     /* verify/calltree.h */
struct pgo_applied;      /* verify/applied.h */

/*
 * UNCHANGED: the effect is too small to matter, or the interval lies inside 5 %.  MOVED: only one
 * side has the function, or it changed while the group it belongs to did not (its cost went to
 * another function of the group).  UNCLEAR: the data allow both a change and none.
 */
enum pgo_change { PGO_UNCHANGED, PGO_REGRESSED, PGO_IMPROVED, PGO_MOVED, PGO_UNCLEAR };
#define PGO_N_CHANGES (PGO_UNCLEAR + 1)
const char *pgo_change_name(enum pgo_change c); /* "unchanged", "regressed", ... */

enum pgo_outcome {
	PGO_OUTCOME_NONE_SHOWN,
	PGO_OUTCOME_WIN,
	PGO_OUTCOME_LOSS,
	PGO_OUTCOME_INCOMPARABLE
};
const char *pgo_outcome_name(enum pgo_outcome o); /* "no_effect_shown", "win", "loss",
						     "not_comparable" */

enum pgo_design_kind {
	PGO_DESIGN_AUTO,
	PGO_DESIGN_PAIRED,       /* the same hosts before and after */
	PGO_DESIGN_DID,          /* difference in differences: canary and control, both periods */
	PGO_DESIGN_WELCH,        /* separate hosts at the same time */
	PGO_DESIGN_BEFORE_AFTER, /* separate periods: not causal */
	PGO_DESIGN_COUNTS,       /* one replicate on a side: numbers of samples only */
};
const char *pgo_design_name(
	enum pgo_design_kind k); /* "paired", "difference-in-differences", ... */
int pgo_design_parse(
	const char *name, enum pgo_design_kind *ret, struct pgo_err *err) PGO_MUST_CHECK;

enum pgo_replicate_kind { PGO_REPLICATE_HOST, PGO_REPLICATE_HOST_DAY, PGO_REPLICATE_PROFILE };
const char *pgo_replicate_name(enum pgo_replicate_kind k); /* "host", "host-day", "profile" */

/* What a cost is divided by. */
enum pgo_per {
	PGO_PER_WORK,    /* units of work that were counted */
	PGO_PER_CONTROL, /* size factors of functions outside the program */
	PGO_PER_PROFILE, /* nothing: every profile covers the same work */
	PGO_PER_SHARE,   /* the replicate's own total: the whole cannot be compared */
};

struct pgo_estimate {
	double change;    /* after / before - 1; infinite if only after has it */
	double low, high; /* its 95 % interval */
	double p;         /* two-sided; NAN = could not be tested */
};

struct pgo_verdict_design {
	enum pgo_design_kind kind;
	enum pgo_replicate_kind replicate;
	enum pgo_per by;
	char *unit;      /* sample type compared: "cpu/nanoseconds" */
	char *per;       /* "request", "control cost", "profile", "share" */
	bool causal;     /* nothing but the build differs between the sides, by design */
	bool concurrent; /* both sides cover the same time */
	bool timed;      /* the profiles say when they were taken; else the days are 0 */
	size_t hosts_before, hosts_after, hosts_both; /* 0 = no host is known */
	double days_before, days_after;               /* distinct days that have data */
	char **notes; /* whole sentences: what was assumed, left out, or is weak */
	size_t n_notes, notes_room;
};

struct pgo_verdict_total {
	bool valid;                  /* false with PGO_PER_SHARE */
	double change, low, high, p; /* the wider of the two intervals below */
	double t_low, t_high;
	double bootstrap_low, bootstrap_high;
	uint64_t bootstrap_rounds; /* 0 = none was possible */
	double rank_p;             /* signed rank or Mann-Whitney */
	double log_change, se, df; /* the same as a log, its standard error; df 0 = unknown */
	double before, after;      /* cost per unit of work, in the unit of the sample type */
	double minimum_detectable; /* smallest change found with 80 % power; NAN = unknown */
	uint64_t hosts_needed;     /* a side, to show a change as small as `wanted`; 0 = unknown */
	double days_needed;        /* with the hosts there are; 0 = unknown */
	double wanted;             /* the change that the two above are for: 0.01 */
};

/* The before set against itself, split at random. */
struct pgo_verdict_calibration {
	bool valid;
	uint64_t splits;
	double false_positives; /* share of splits called different at nominal 5 % */
	double low, high;       /* what 5 % would give with so many splits */
	char *why;              /* if not valid: why not */
};

struct pgo_verdict_money {
	bool valid;
	double cores, price; /* as given */
	double cores_saved, cores_low, cores_high;
	double saved, low, high; /* a year; in the currency of the price */
	bool priced;
};

struct pgo_finding {
	char *name;
	double before, after; /* mean cost relative to the mean total before, so both are "of the
				 whole": 0..1 and beyond */
	double change;        /* after / before - 1; infinite for new ones */
	double low, high;     /* 95 % interval of `change` */
	double p, q;          /* NAN = not tested */
	double rank_p;        /* the same question by ranks; NAN = not tested */
	bool exact;           /* tested by counts, as too rare for anything else */
	uint64_t samples_before, samples_after;
	uint32_t group; /* index in groups, or PGO_NONE */
	enum pgo_change verdict;
};

/* Functions between which a rebuild shifts cost, for example by inlining: tested as one. */
struct pgo_finding_group {
	char *id;
	char **members; /* names of findings or of functions too small to list */
	size_t n_members;
	double before, after, change, low, high, p, q;
	enum pgo_change verdict;
};

struct pgo_verdict_side {
	size_t profiles, replicates;
	uint64_t samples;
	double unmatched; /* share of functions that the other side does not have */
	double unnamed;   /* share of samples without a function */
};

/* Rows of --work and profiles: what found each other. */
struct pgo_verdict_work {
	bool given;
	uint64_t rows, rows_used, rows_unmatched, rows_zero; /* rows = used + unmatched + zero */
	uint64_t profiles, profiles_with, profiles_without;  /* profiles = with + without */
};

/* A condition of --fail-if. */
struct pgo_fail_if {
	char *text;   /* "regression>2%" */
	double value; /* what was measured, in per cent */
	double limit;
	bool failed;
};

struct pgo_verdict {
	enum pgo_outcome outcome;
	char *sentence; /* the one that is signed */
	struct pgo_verdict_design design;
	struct pgo_verdict_total total;
	struct pgo_verdict_calibration calibration;
	struct pgo_verdict_money money;
	struct pgo_verdict_side before, after;
	struct pgo_verdict_work work;
	double overlap;
	double design_effect; /* measured variance of counts over Poisson's; where counts were used */
	bool design_effect_assumed;
	struct pgo_finding
		*findings; /* by size of the change of cost, largest first; then by name */
	size_t n_findings, findings_room;
	size_t n_small; /* functions below min_share on both sides, not listed */
	size_t n_tested;
	size_t n_verdicts[PGO_N_CHANGES];
	struct pgo_finding_group *groups;
	size_t n_groups, groups_room;
	struct pgo_fail_if *fail_if;
	size_t n_fail_if, fail_if_room;
	struct pgo_gates *gates;                               /* may be NULL */
	struct pgo_layout_facts *layout_before, *layout_after; /* may be NULL */
	struct pgo_calltree *calltree;                         /* may be NULL */
	struct pgo_applied *applied;                           /* may be NULL */
};

struct pgo_verify_options {
	const char *sample_type; /* NULL = cpu, else the default of the profiles */
	const char *before_binary,
		*after_binary; /* to name functions of unsymbolised profiles; may be NULL */
	bool same_work;        /* every profile covers the same amount of work */
	double min_share; /* functions below this share on both sides are not listed; 0 = 0.0005 */
	/*
	 * Comma-separated gates "METRIC>N%" or "METRIC<N%"; NULL = none.  Metrics: regression (cost
	 * added by functions called regressed, in per cent of the whole), total (change of the
	 * whole cost; not with shares), loss (the largest that its interval allows), overlap,
	 * unmatched (larger side), unnamed (larger side).
	 */
	const char *fail_if;
	uint64_t bootstrap;          /* rounds; 0 = 10,000 */
	uint64_t splits;             /* of the A/A calibration; 0 = 1,000 */
	enum pgo_design_kind design; /* AUTO = as the data allow */
	double cores, price;         /* for the money; 0 = not given */
	double wanted;               /* the change that hosts_needed is for; 0 = 0.01 */
	const char *work;            /* a table of units of work (verify/work.h); NULL = none */
	const char *work_label;      /* label or sample type with the number; NULL = none */
	const char *control; /* regular expression: functions that cost the same per unit of work;
				NULL = those of other files than the program, if there are enough */
	const char *host_label; /* NULL = "host" */
	const char *arm_label;  /* label whose value "control" marks samples of the control arm */
};

/*
 * The statistics alone: costs of replicates (verify/costs.h, sorted) -> everything of the verdict but
 * gates, layout, call tree and what was applied.  Fills the work of replicates if there is a table of
 * it.  `v` starts as zeros; of the options those about reading are not looked at.
 */
struct pgo_costs;
int pgo_verdict_fill(struct pgo_verdict *v, struct pgo_costs *c, const struct pgo_verify_options *o,
	struct pgo_err *err) PGO_MUST_CHECK;

struct pgo_verify;
struct pgo_verify *pgo_verify_new(const struct pgo_verify_options *o, struct pgo_err *err);
void pgo_verify_free(struct pgo_verify *v);
/* Draws all samples of `r`; borrows it. `about` (verify/attrib.h) may be NULL. */
struct pgo_attrib_input;
int pgo_verify_add(struct pgo_verify *v, bool after, struct pgo_reader *r,
	const struct pgo_attrib_input *about, struct pgo_err *err) PGO_MUST_CHECK;
/* The same for hosts that were not rebuilt: the control arm of a difference in differences. */
int pgo_verify_add_control(struct pgo_verify *v, bool after, struct pgo_reader *r,
	const struct pgo_attrib_input *about, struct pgo_err *err) PGO_MUST_CHECK;
/* 0, also when gates failed: see pgo_verdict.fail_if. */
int pgo_verify_finish(struct pgo_verify *v, struct pgo_err *err) PGO_MUST_CHECK;
/* Takes what `a` holds into the verdict, also on failure. */
int pgo_verify_take_applied(
	struct pgo_verify *v, struct pgo_applied *a, struct pgo_err *err) PGO_MUST_CHECK;
const struct pgo_verdict *pgo_verify_result(const struct pgo_verify *v);
bool pgo_verdict_failed(const struct pgo_verdict *v);
void pgo_verdict_fini(struct pgo_verdict *v);
/* `most`: findings shown at most; 0 = all. */
void pgo_verdict_text(const struct pgo_verdict *v, size_t most, struct pgo_buf *out);
void pgo_verdict_json(const struct pgo_verdict *v, struct pgo_json *j);

#endif
