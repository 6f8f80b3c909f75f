/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where warnings, notes, debug lines and progress go.  The library never prints by itself: it calls
 * this sink, and the program decides (stderr with "pgo: warning: " by default; silence with -q;
 * JSON objects with --json).  A warning says what was done instead ("..., skipping").
 *
 * Results go to stdout and never through here.
 */
#ifndef PGO_CORE_DIAG_H
#define PGO_CORE_DIAG_H

#include "pgo/core/err.h"

#include <stdbool.h>
#include <stdint.h>

enum pgo_level {
	PGO_LEVEL_WARN,
	PGO_LEVEL_NOTE,  /* shown with -v */
	PGO_LEVEL_DEBUG, /* shown with -vv, or for domains named in PGO_DEBUG=http,elf,... */
};

typedef void pgo_diag_sink(void *ctx, enum pgo_level level, const char *domain, const char *text);

/* NULL restores the default: stderr, warnings only. */
void pgo_diag_set_sink(pgo_diag_sink *sink, void *ctx);
/* -1 quiet (errors only), 0 warnings, 1 notes, 2 debug. */
void pgo_diag_set_verbosity(int verbosity);
void pgo_warn(const char *fmt, ...) PGO_PRINTF(1, 2);
void pgo_note(const char *fmt, ...) PGO_PRINTF(1, 2);
void pgo_debug(const char *domain, const char *fmt, ...) PGO_PRINTF(2, 3);

enum pgo_progress_mode { PGO_PROGRESS_AUTO, PGO_PROGRESS_NEVER, PGO_PROGRESS_ALWAYS };

void pgo_progress_set_mode(enum pgo_progress_mode mode);
/*
 * One rewritten line on stderr: only when it is a terminal (AUTO), only after the work has taken a
 * second, at most ten times a second. `total` 0 = unknown.  `unit` is a word: "profiles", "bytes".
 * pgo_progress_end() wipes it.
 */
void pgo_progress(const char *what, uint64_t done, uint64_t total, const char *unit);
/* The same for what comes over a network: with bytes, bytes a second, and the time that is left as
 * the pieces go; `bytes` 0 = as pgo_progress(). */
void pgo_progress_transfer(
	const char *what, uint64_t done, uint64_t total, const char *unit, uint64_t bytes);
void pgo_progress_end(void);

#endif
