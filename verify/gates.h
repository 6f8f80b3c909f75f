/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gates: what was measured, against which limit, and what follows.  A gate is data: whoever measured
 * decides what to do about it.
 *
 *	row     one gate: the value, the limits and where they are from, the verdict, one sentence
 *	rule    what is known of a gate before anything is measured: unit, direction, default limits
 *	        and the reason for them
 *	limits  what the user set instead: "NAME=WARN/FAIL", and values of earlier results
 *
 *	pgo_gates_init(&g);
 *	pgo_gates_measure(&g, &limits, "mapped", 99.7, err, "%.2f %% of ... belong to ...", ...);
 *	pgo_gates_skip(&g, "hosts", err, "the profile does not say ...");
 *	pgo_gates_worst(&g) == PGO_GATE_FAIL ...
 *
 * Limits, the first that applies:
 *	1. what the user set for the gate; "off" makes it skipped
 *	2. with five values or more of earlier results, for gates whose normal value differs from
 *	   target to target (pgo_gate_rule.history): warn beyond median -+ 3 MAD (MAD: the median
 *	   distance from the median, at least one point of a percentage and 5 % of other medians, so
 *	   that a history without any spread does not warn of a hair's breadth).  The limit of
 *	   failing stays the default: history may warn earlier or later, and never past it, or else
 *	   a slow decline would make itself acceptable.
 *	3. the default
 *
 * A value equal to its limit passes.  A limit that is not a number (NAN; null in JSON) never applies.
 */
#ifndef PGO_VERIFY_GATES_H
#define PGO_VERIFY_GATES_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"

#include <stdbool.h>
#include <stddef.h>

/* In order of severity, but for the last. */
enum pgo_gate_verdict { PGO_GATE_PASS, PGO_GATE_WARN, PGO_GATE_FAIL, PGO_GATE_SKIPPED };
const char *pgo_gate_verdict_name(enum pgo_gate_verdict v); /* "pass", "warn", "fail", "skipped" */

struct pgo_gate_row {
	char *name;        /* stable word: that of its rule, or any other */
	double value;      /* NAN where nothing was measured */
	double warn, fail; /* limits; NAN = none */
	char *unit;        /* "%", "hosts", "days", "points", "" */
	bool above;        /* larger is worse */
	enum pgo_gate_verdict verdict;
	char *source; /* of the limits: "default", "pgo.conf", "--gate", "history of 7 (median - 3 MAD)" */
	char *why; /* one sentence with the numbers, and what to do if not passed; why skipped */
};

struct pgo_gates {
	struct pgo_gate_row *row; /* in the order of adding */
	size_t n, room;
};

struct pgo_gate_rule {
	const char *name, *unit;
	double warn, fail; /* defaults */
	bool above;
	bool history;      /* earlier values move the limit of warning */
	const char *about; /* what is measured, and why these limits */
};
/* Every gate that has defaults, in the order in which they are reported; NULL name at the end. */
extern const struct pgo_gate_rule pgo_gate_rules[];
const struct pgo_gate_rule *pgo_gate_rule_find(const char *name); /* or NULL */

/* What replaces defaults.  Zeroed = nothing does. */
struct pgo_gate_limit {
	char name[32];
	double warn, fail; /* NAN = none */
	bool off;
	char *source;
};
struct pgo_gate_past {
	char name[32];
	double value;
};
struct pgo_gate_limits {
	struct pgo_gate_limit *of; /* the last of a name counts */
	size_t n, room;
	struct pgo_gate_past *past;
	size_t n_past, past_room;
};
void pgo_gate_limits_fini(struct pgo_gate_limits *l);
/*
 * Takes "NAME=WARN/FAIL", "NAME=LIMIT" (both), "NAME=WARN/" (never fails), "NAME=/FAIL" (never
 * warns), "NAME=off"; `source` is what rows will say.  PGO_EUSAGE names the nearest gate for an
 * unknown one, and says if the two limits are the wrong way round.
 */
int pgo_gate_limits_parse(struct pgo_gate_limits *l, const char *text, const char *source,
	struct pgo_err *err) PGO_MUST_CHECK;
/* The gates of one earlier result: its measured values become history, those of gates that failed
 * excepted. */
int pgo_gate_limits_history(struct pgo_gate_limits *l, const struct pgo_gates *earlier,
	struct pgo_err *err) PGO_MUST_CHECK;
#define PGO_GATE_HISTORY_MIN 5
/* Has the user set limits for it? */
bool pgo_gate_limits_set(const struct pgo_gate_limits *l, const char *name);

void pgo_gates_init(struct pgo_gates *g);
void pgo_gates_fini(struct pgo_gates *g);
/* Copies the row and its strings (NULL: ""). */
int pgo_gates_add(
	struct pgo_gates *g, const struct pgo_gate_row *row, struct pgo_err *err) PGO_MUST_CHECK;
/*
 * Judges `value` by the rule of that name (which there must be) and the limits (NULL: defaults) and
 * adds the row.  The sentence is the caller's; what to do about it should be in it.
 */
int pgo_gates_measure(struct pgo_gates *g, const struct pgo_gate_limits *l, const char *name,
	double value, struct pgo_err *err, const char *fmt, ...) PGO_PRINTF(6, 7) PGO_MUST_CHECK;
/* A gate that was not looked at, and why. */
int pgo_gates_skip(struct pgo_gates *g, const char *name, struct pgo_err *err, const char *fmt, ...)
	PGO_PRINTF(4, 5) PGO_MUST_CHECK;
/* Fills limits, unit (borrowed), direction, source (given: pgo_free, also on failure) and verdict of a
 * row from its name and value. */
int pgo_gate_judge(struct pgo_gate_row *row, const struct pgo_gate_limits *l,
	struct pgo_err *err) PGO_MUST_CHECK;
/* The worst verdict; PASS if there is none but skipped ones. */
enum pgo_gate_verdict pgo_gates_worst(const struct pgo_gates *g);
size_t pgo_gates_count(const struct pgo_gates *g, enum pgo_gate_verdict v);
/* The first of that name, or NULL. */
const struct pgo_gate_row *pgo_gates_find(const struct pgo_gates *g, const char *name);

/* A table, one gate a line, the sentence behind it. */
void pgo_gates_text(const struct pgo_gates *g, struct pgo_buf *out);
/* An array of objects {name, verdict, value, unit, warn, fail, above, source, why}. */
void pgo_gates_json(const struct pgo_gates *g, struct pgo_json *j);
/* Such an array, or an object with it under "gates", appended to `g`.  PGO_EFORMAT names the row
 * that is none.  `what` is for messages. */
int pgo_gates_from_json(struct pgo_gates *g, const struct pgo_jval *v, const char *what,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
