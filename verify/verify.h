/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before against after: what a rebuild moved.
 *
 * The self cost of every sample goes to a source-level function (verify/attrib.h), each profile is
 * a replicate, and per function the mean over replicates is compared: as shares of the profile's
 * total, or, where the caller says that every profile covers the same amount of work, as plain
 * cost.  Shares sum to one: a function whose cost did not change grows in share when the rest gets
 * faster; plain cost has no such defect.
 *
 *	overlap   sum over functions of min(share before, share after); 1 = same mix, 0 = nothing
 *	          in common
 *	verdict   the 95 % interval of the change excludes 0, and the change is at least 5 % of the
 *	          function and 0.1 % of the whole
 *
 * Intervals are Welch's over replicates where both sides have two or more; else they come from the
 * numbers of samples with a design effect of 2, which the result says.  The result is data first
 * (struct pgo_verdict), then text or JSON.
 */
#ifndef PGO_VERIFY_VERIFY_H
#define PGO_VERIFY_VERIFY_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"
#include "pgo/core/profile.h"

#include <stdbool.h>
#include <stdint.h>

/* MOVED: only one side has the function (renamed, inlined away, new). UNCLEAR: the interval allows
 * both a change and none. */
enum pgo_change { PGO_UNCHANGED, PGO_REGRESSED, PGO_IMPROVED, PGO_MOVED, PGO_UNCLEAR };
const char *pgo_change_name(enum pgo_change c); /* "unchanged", "regressed", ... */

struct pgo_finding {
	char *name;
	double before, after; /* mean cost relative to the mean total before, so both are "of the
				 whole": 0..1 and beyond */
	double change;        /* after / before - 1; infinite for new ones */
	double low, high;     /* 95 % interval of `change` */
	uint64_t samples_before, samples_after;
	enum pgo_change verdict;
};

struct pgo_gate {
	char *text;   /* "regression>2%" */
	double value; /* what was measured, in the gate's unit */
	bool failed;
};

struct pgo_verdict {
	size_t n_before, n_after; /* profiles */
	uint64_t samples_before, samples_after;
	char *unit;      /* sample type compared */
	bool same_work;  /* plain cost, not shares */
	bool replicated; /* intervals over replicates, not from sample counts */
	double total_change, total_low, total_high; /* of the whole cost; only with same_work */
	double overlap;
	double unmatched_before,
		unmatched_after;              /* share of functions the other side does not have */
	double unnamed_before, unnamed_after; /* share of samples without a function */
	struct pgo_finding
		*findings; /* by size of the change of cost, largest first; then by name */
	size_t n_findings, findings_room;
	size_t n_small; /* functions below min_share on both sides, not listed */
	size_t n_verdicts[PGO_UNCLEAR + 1];
	struct pgo_gate *gates;
	size_t n_gates, gates_room;
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
	 * whole cost; needs same_work), overlap, unmatched (larger side), unnamed (larger side).
	 */
	const char *fail_if;
};

struct pgo_verify;
struct pgo_verify *pgo_verify_new(const struct pgo_verify_options *o, struct pgo_err *err);
void pgo_verify_free(struct pgo_verify *v);
/* Draws all samples of `r`; borrows it. */
int pgo_verify_add(
	struct pgo_verify *v, bool after, struct pgo_reader *r, struct pgo_err *err) PGO_MUST_CHECK;
/* 0, also when gates failed: see pgo_verdict.gates. */
int pgo_verify_finish(struct pgo_verify *v, struct pgo_err *err) PGO_MUST_CHECK;
const struct pgo_verdict *pgo_verify_result(const struct pgo_verify *v);
bool pgo_verdict_failed(const struct pgo_verdict *v);
/* `most`: findings shown at most; 0 = all. */
void pgo_verdict_text(const struct pgo_verdict *v, size_t most, struct pgo_buf *out);
void pgo_verdict_json(const struct pgo_verdict *v, struct pgo_json *j);

#endif
