/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in a file that was made of others, so that nothing counts twice.
 *
 * A merged profile carries a comment for each input that went into it, and a profile imported from a
 * recording one for that recording:
 *
 *	pgo-input: 0123456789abcdef        the first 64 bits of the input's SHA-256
 *	pgo-input: 0123456789abcdef#2      the second profile of a recording that holds several
 *	pgo-day: 2026-11-20                a day of its profiles' times, in UTC
 *
 * In a file these are no comments that pprof would print: see pgo/core/pprof.h.  A tool that writes
 * a profile anew drops them, and what is in it is not known any more. *
 * Comments are united by a merge, so this needs no more than that each input without such comments
 * gets its own.  Two inputs that hold the same one are counted once, by these rules, in this order:
 *	1. of single inputs and what was made of them alone, the original counts;
 *	2. a merged file goes if all that it holds is given as single inputs (their weights can
 *	   then be chosen one by one);
 *	3. of merged files, those that hold most come first; one that shares an input with one
 *	   before it goes, with what it alone holds, which the warning counts;
 *	4. a single input goes if a merged file that stays holds it.
 * The last good profile (blend) is exempt: it is there to count again.
 */
#ifndef PGO_MERGE_CONTAINED_H
#define PGO_MERGE_CONTAINED_H

#include "merge/plan.h"
#include "pgo/core/pprof.h"

/* "pgo-input: ..." for a file of that digest ("<hex>" or "<hex>#N"); "" if it is no digest. */
void pgo_contained_comment(const char *digest, char ret[48]);
/* "pgo-day: ..." for a time; "" for none. */
void pgo_contained_day_comment(int64_t time_ns, char ret[48]);
/* Noon of the newest day that the profile's comments name, else its own time; 0 if it has none. */
int64_t pgo_contained_newest(const struct pgo_profile *head);
/* Does the profile say what is in it? */
bool pgo_contained_known(const struct pgo_profile *head);
/* Sets the leaves of `in` from the profile's comments; -1 when out of memory. */
int pgo_contained_read(struct pgo_plan_input *in, const struct pgo_profile *head);

#endif
