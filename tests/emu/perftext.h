/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan as text: samples as `perf script` prints them, or aggregated ranges and branches of one
 * binary in the input formats of create_gcov, llvm-profgen and perf2bolt.
 *
 * Range k of a ring runs from the target of entry k+1 to the source of entry k, which is its last
 * instruction. The newest entry has no range. Ranges with an end outside the binary, or backwards,
 * are left out.
 */
#ifndef TESTS_EMU_PERFTEXT_H
#define TESTS_EMU_PERFTEXT_H

#include "mkplan.h"

#include <stdio.h>

enum text_form {
	TEXT_AUTOFDO,      /* file offsets; sections: ranges, addresses (none), branches */
	TEXT_UNSYMBOLIZED, /* virtual addresses; ranges, branches; an outside source is 1 */
	TEXT_PREAGG_T, /* "T from to end count"; outside is X:0, no fall-through ffffffffffffffff */
	TEXT_PREAGG_BF, /* "B from to count mispredicts", "F start end count" */
};

/* perf 6.1's script -F ip,brstack; with ip_only the addresses alone. */
void text_brstack(FILE *f, const struct plan *plan, int ip_only, int with_type);
/* binary: a mapped path, or NULL for the program itself. */
void text_counts(FILE *f, const struct plan *plan, const char *binary, enum text_form form);

#endif
