/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call tree as folded stacks with two columns, one stack a line, for the viewers that draw
 * differential flame graphs from that:
 *
 *	main;parse;next_token 1250000 1180000
 *
 * Callers first, frames apart by ";", cost of the stack's last frame itself before and after as whole
 * numbers: 100,000,000 is the whole cost before.  Semicolons and line ends in names become ":" and " ".
 * Lines are in the order of the tree; stacks that round to 0 on both sides are left out.
 */
#ifndef PGO_VERIFY_FOLDED_H
#define PGO_VERIFY_FOLDED_H

#include "pgo/core/buf.h"
#include "verify/calltree.h"

#define PGO_FOLDED_WHOLE 100000000.0

/* Appends the lines; `out` says if it failed. */
void pgo_folded_write(const struct pgo_calltree *t, struct pgo_buf *out);

#endif
