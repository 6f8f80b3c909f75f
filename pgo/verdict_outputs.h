/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a verdict: HTML, Markdown, JUnit (verify/views.h), and folded stacks.  Each is
 * written whole or not at all; a verdict has them whatever it says, so that a failed gate has its
 * page.
 */
#ifndef PGO_VERDICT_OUTPUTS_H
#define PGO_VERDICT_OUTPUTS_H

#include "pgo/core/err.h"
#include "verify/verify.h"

/* Paths; NULL = not wanted, "-" = standard output. */
struct pgo_verdict_outputs {
	const char *html, *markdown, *junit, *folded;
};

/* PGO_EEMPTY where folded stacks are wanted and the verdict has no call tree. */
int pgo_verdict_outputs_write(const struct pgo_verdict *v, const struct pgo_verdict_outputs *o,
	struct pgo_err *err) PGO_MUST_CHECK;
/*
 * The same for a verdict that was written as JSON before ("-": standard input); without any output,
 * the sentence goes to standard output.  Folded stacks are not in it: PGO_EUSAGE.  PGO_EFORMAT if
 * it is no verdict, or of a newer schema.
 */
int pgo_verdict_outputs_read(const char *path, const struct pgo_verdict_outputs *o,
	bool *ret_failed, struct pgo_err *err) PGO_MUST_CHECK;

#endif
