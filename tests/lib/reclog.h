/* SPDX-License-Identifier: Apache-2.0 */
/* A sink of recordings that writes what it is told as text, a line a call. */
#ifndef PGO_TESTS_RECLOG_H
#define PGO_TESTS_RECLOG_H

#include "fetch/recording.h"
#include "pgo/core/buf.h"

/* Starts `log` anew; pgo_buf_fini() is the caller's. */
struct pgo_recording_sink reclog_sink(struct pgo_buf *log);

#endif
