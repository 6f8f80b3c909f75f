/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `pgo merge` where its operands are not profiles but what converters made of them: sample profiles
 * of LLVM and GCC, .fdata of BOLT (convert/sum.h).  Of these neither host nor time is known, so they
 * have no weights but those the user gives.
 */
#ifndef PGO_MERGE_CONVERTED_H
#define PGO_MERGE_CONVERTED_H

#include "pgo/cmd.h"

#include <stdbool.h>

struct pgo_merge_converted {
	const char *out, *manifest;  /* files; NULL = none */
	const char *format;          /* as --clang-format has it; NULL = that of the inputs */
	const char *const *operands; /* files and directories */
	size_t n_operands;
	const char *const *weighted; /* "WEIGHT,FILE" */
	size_t n_weighted;
};

/* Is the file of that kind, or the first profile in that directory? */
bool pgo_merge_is_converted(const char *path);
/* Gives an exit code; says what it did, and what was wrong. */
int pgo_merge_converted(const struct pgo_cmd *cmd, const struct pgo_merge_converted *o,
	const struct pgo_opt_globals *g);

#endif
