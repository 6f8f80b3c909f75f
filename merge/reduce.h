/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of many partials to count.  Workers die and are run again, shards arrive twice, a reduced
 * partial meets the ones it was made of: an input counts once all the same.
 *
 *	disjoint from all that is taken		taken
 *	all of its inputs are in taken ones	left, as it repeats them
 *	some are, some are not			PGO_EMISMATCH: it can be neither counted nor left
 *
 * The largest are looked at first and those of the third kind again at the end, so that the answer
 * does not depend on the order in which they are named.
 */
#ifndef PGO_MERGE_REDUCE_H
#define PGO_MERGE_REDUCE_H

#include "merge/partial.h"

struct pgo_reduce_item {
	const struct pgo_partial_head *head;
	const char *name;
	bool use;         /* result */
	const char *twin; /* of one left: one that its inputs are in */
};

/* Fills `use` and `twin`, and joins the heads of all into *ret (zeros before; to be freed whatever
 * happens).  Partials of different plans, options or programs are PGO_EMISMATCH, and so are two of
 * the same inputs whose counters differ. */
int pgo_reduce_choose(struct pgo_reduce_item *items, size_t n, struct pgo_partial_head *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
/* What a joined head lacks of its plan: PGO_EMISMATCH with a sentence that names the shards; 0 if
 * nothing, or if there is no plan. */
int pgo_reduce_complete(const struct pgo_partial_head *h, struct pgo_err *err) PGO_MUST_CHECK;

#endif
