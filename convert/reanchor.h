/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts of one build carried over to another, the target, function by function.
 *
 *	same       every line that has counts is where it was, or the line that became of it is:
 *	           counts stay whole
 *	moved      lines were put in, taken out or changed: those that can be told apart by what
 *	           happens at them (convert/shape.h) are aligned in order, the heaviest alignment wins,
 *	           and others go with their neighbours if the target has code there; counts are
 *	           multiplied by `affinity`, because the code may behave differently now
 *	gone       the target has no function of that name, or canonical name
 *
 * Names become the target's: the same, else the only one with the same canonical form.  A body that
 * was inlined at a line that is gone is counted as a call of its own (it becomes part of its
 * function's top-level record), for its lines are still known.
 *
 * Sums of positions: read = same + moved + moved_lost + no_function + no_line.
 */
#ifndef PGO_CONVERT_REANCHOR_H
#define PGO_CONVERT_REANCHOR_H

#include "convert/fnprof.h"
#include "convert/shape.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"

#include <stdint.h>

/* Thousandths: what a count of a moved function is worth. */
#define PGO_AFFINITY_ONE 1000
#define PGO_AFFINITY_DEFAULT 500

struct pgo_reanchor_account {
	uint64_t builds;      /* that were carried over */
	uint64_t read;        /* counts of all their positions */
	uint64_t same, moved; /* used; of moved functions: after the affinity */
	uint64_t moved_lost;  /* what the affinity took */
	uint64_t no_function; /* of functions that are gone */
	uint64_t no_line;     /* of lines that are gone, in functions that are there */
	uint64_t flattened;   /* of the used: of bodies inlined where that is not done any more */
	uint64_t functions, functions_same, functions_moved, functions_gone;
	uint64_t renamed; /* functions found by their canonical name only */
};

/*
 * Adds what `from`, of the build with shape `old`, is in the target to `into`.  Shapes share one
 * table of strings.  0 or PGO_ENOMEM.
 */
int pgo_reanchor(struct pgo_fnprof *into, const struct pgo_fnprof *from, struct pgo_shape *old,
	struct pgo_shape *target, unsigned affinity, struct pgo_reanchor_account *account);
/* Lines of the account, and an object of it or null; nothing where nothing was carried over. */
void pgo_reanchor_text(const struct pgo_reanchor_account *a, struct pgo_buf *out);
void pgo_reanchor_json(const struct pgo_reanchor_account *a, struct pgo_json *j);

/*
 * The heaviest alignment in order of lines a[0..n) and b[0..m): ret[i] is the index in b that a[i]
 * goes with, or UINT32_MAX.  Lines align if their tokens are equal, or if both are plain.  -1: out of
 * memory, or too long to compare (then nothing is aligned).
 */
int pgo_reanchor_align(const struct pgo_shape_line *a, uint32_t n, const struct pgo_shape_line *b,
	uint32_t m, uint32_t *ret);

#endif
