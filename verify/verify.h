/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before against after: what a rebuild moved.
 *
 * Profiles are brought to functions (source-level, through inline chains where the binaries are
 * given; by symbol or pprof function names otherwise), normalised to shares, and compared: overlap
 * = sum over functions of min(share before, share after); the share of each side that has no
 * counterpart; per-function change with a verdict. The result is data first (struct pgo_verdict),
 * then text or JSON.
 */
#ifndef PGO_VERIFY_VERIFY_H
#define PGO_VERIFY_VERIFY_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"
#include "pgo/core/profile.h"

#include <stdbool.h>
#include <stdint.h>

enum pgo_change { PGO_UNCHANGED, PGO_REGRESSED, PGO_IMPROVED, PGO_MOVED, PGO_UNCLEAR };
const char *pgo_change_name(
	enum pgo_change c); /* "unchanged", "regressed", "improved", "moved", "unclear" */

struct pgo_finding {
	char *name;
	double before, after;       /* shares of the whole, 0..1 */
	double change;              /* after / before - 1; infinite for new ones */
	double low, high;           /* 95 % interval of `change` */
	uint64_t n_before, n_after; /* samples */
	enum pgo_change verdict;
};

struct pgo_verdict {
	size_t n_before, n_after; /* profiles */
	uint64_t samples_before, samples_after;
	char *unit;     /* sample type compared */
	double overlap; /* of function shares */
	double unmatched_before,
		unmatched_after;              /* share of functions the other side does not have */
	double unnamed_before, unnamed_after; /* share of samples without a function */
	struct pgo_finding *findings;         /* by size of the change in shares, largest first */
	size_t n_findings, room;
};

struct pgo_verify_options {
	const char *sample_type; /* NULL = cpu, else the default of the profiles */
	const char *before_binary,
		*after_binary; /* to name functions of unsymbolised profiles; may be NULL */
	const char *fail_if; /* "regression>2%", "overlap<90%", "unmatched>5%", several with commas;
				NULL = never */
	double min_share;    /* functions below this share on both sides are lumped into "(others)";
				default 0.0005 */
};

struct pgo_verify;
struct pgo_verify *pgo_verify_new(const struct pgo_verify_options *o, struct pgo_err *err);
void pgo_verify_free(struct pgo_verify *v);
int pgo_verify_add(
	struct pgo_verify *v, bool after, struct pgo_reader *r, struct pgo_err *err) PGO_MUST_CHECK;
/* 0: no gate said no; 1: a --fail-if gate did (`err` has the sentence); negative: error. */
int pgo_verify_finish(struct pgo_verify *v, struct pgo_err *err) PGO_MUST_CHECK;
const struct pgo_verdict *pgo_verify_result(const struct pgo_verify *v);
void pgo_verdict_text(const struct pgo_verdict *v, struct pgo_buf *out);
void pgo_verdict_json(const struct pgo_verdict *v, struct pgo_json *j);

#endif
