/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cost-shift groups: functions between which the rebuild moved cost by inlining.
 *
 * A rebuild with a profile inlines other calls than the build before it.  Cost goes by debug
 * information to the function a line is from, inlined or not; still, what a call itself costs is the
 * caller's before and nobody's after, and code that is optimised together with its surroundings is
 * said to be of one or of the other.  So a caller and a callee whose inlining changed are one item
 * first: only if their sum got dearer can one of them have.
 *
 * The inline trees of both builds, with the cost seen in them, are compared by edges "callee inlined
 * into caller".  Of all cost of a callee (with what is inlined into it) the share q that is under the
 * edge is taken on both sides; an edge changed if q did by a tenth, by more than sampling explains,
 * and if that is MIN_SHARE of the whole.  A callee that lost most of its cost is joined with a caller
 * that the debug information of one build says holds it, and that of the other says does not.  What
 * is mostly inlined into a function that changed its place came along with it.
 *
 * Inlined into one function on both sides, a callee and its caller, or two callees, still trade cost:
 * the instructions are moved, shared, hoisted.  Of the parts that one function's code consists of,
 * those that rose beyond sampling are joined with those that fell, as far as the one makes up for the
 * other; rises and falls are counted from what most of the program did.
 *
 * Functions are joined along changed edges, the largest first, as long as no group gets larger than
 * PGO_GROUP_MAX: small helpers that are inlined everywhere shall not glue a program together.
 */
#ifndef PGO_VERIFY_GROUPS_H
#define PGO_VERIFY_GROUPS_H

#include "verify/attrib.h"
#include "verify/costs.h"

#define PGO_GROUP_MAX 8

struct pgo_group {
	uint32_t first, n; /* members[first .. first + n) */
	double moved;      /* share of the whole cost under its changed edges */
};

struct pgo_groups {
	struct pgo_group *groups; /* by `moved`, largest first */
	uint32_t *members;        /* items of the costs, ascending in a group */
	uint32_t *group_of;       /* by item: a group, or UINT32_MAX */
	size_t n_groups, n_members;
};

/* Both sides are finished, `costs` are sorted.  Fills *ret (pgo_groups_fini). */
int pgo_groups_find(const struct pgo_attrib *before, const struct pgo_attrib *after,
	const struct pgo_costs *costs, struct pgo_groups *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_groups_fini(struct pgo_groups *g);

#endif
