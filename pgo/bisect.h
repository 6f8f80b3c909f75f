/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for the functions whose profile makes a build bad, with a judge from outside.
 *
 * Items are numbered 0..n-1, the likeliest first.  The judge gets a set of them and says good, bad, or
 * that it cannot tell (skip).  Delta debugging (ddmin): as long as a half, or a smaller part, or the
 * rest without a part, is still bad, the search goes on there; when no part as small as a single item
 * is, what is left is a set of which no item can be missing.  One item among n takes about 2 log2 n
 * judgements, items that are bad only together take more.  A set that cannot be judged is taken for
 * not bad, which costs precision and never a wrong accusation.
 *
 * When a set is found and all the others are still bad without it, there are several causes: the next
 * is looked for among the others.
 *
 * Nothing is random: the same judgements lead to the same questions, so that a search is resumed by
 * remembering them.
 */
#ifndef PGO_BISECT_H
#define PGO_BISECT_H

#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pgo_judgement { PGO_JUDGED_GOOD, PGO_JUDGED_BAD, PGO_JUDGED_SKIP };
const char *pgo_judgement_name(enum pgo_judgement j); /* "good", "bad", "skip" */

/* `items` ascend.  A negative result ends the search and is its result. */
typedef int pgo_judge(
	void *ctx, const uint32_t *items, size_t n, enum pgo_judgement *ret, struct pgo_err *err);

struct pgo_bisect_set {
	uint32_t *items; /* ascending */
	size_t n;
};

enum pgo_bisect_end {
	PGO_BISECT_FOUND,
	PGO_BISECT_ALL_GOOD,   /* all items together are not bad */
	PGO_BISECT_NONE_BAD,   /* it is bad without any item: they are not the cause */
	PGO_BISECT_UNTOLD,     /* one of the two could not be judged */
	PGO_BISECT_UNFINISHED, /* stopped: the last set is what is known to be bad */
};
const char *pgo_bisect_end_name(enum pgo_bisect_end e);

struct pgo_bisect {
	enum pgo_bisect_end end;
	struct pgo_bisect_set *sets; /* in the order of finding; no two have an item in common */
	size_t n, room;
};

/* Fills *ret (pgo_bisect_fini), also after a failure of the judge: then with what is known so far. */
int pgo_bisect(size_t n_items, pgo_judge *judge, void *ctx, struct pgo_bisect *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_bisect_fini(struct pgo_bisect *b);

#endif
