/* SPDX-License-Identifier: Apache-2.0 */
/* Source-level profiles for tests: random ones, the same for the same seed, and a plain text of
 * one. */
#ifndef PGO_TESTS_RANDPROF_H
#define PGO_TESTS_RANDPROF_H

#include "convert/format.h"

#include <stdint.h>

/* Sorted; names hold dots, colons and blanks.  `flags`: RANDPROF_*. */
enum { RANDPROF_FILES = 1, RANDPROF_STAMPS = 2, RANDPROF_LLVM = 4 };
struct pgo_fnprof *randprof_new(uint64_t seed, unsigned flags);
/* Writes with the format; fails the test if that fails.  Gives `out`: pgo_buf_fini(). */
void randprof_write(const struct pgo_format *fmt, const struct pgo_fnprof *p,
	const struct pgo_format_options *o, struct pgo_buf *out);

#endif
