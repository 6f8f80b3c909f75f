/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU profiles of gperftools (and of brpc and others that write the same): machine words of 4 or 8
 * bytes in either order.
 *
 *	0, 3, 0, period in microseconds, 0            header
 *	count, n, pc[0] .. pc[n-1]                    a stack, leaf first; raw return addresses
 *	0, 1, 0                                       end of stacks
 *	text of /proc/self/maps                       or lines "start-end file (@offset) build-id"
 *
 * Two artefacts of the signal handler are undone, as pprof does: a second frame that nearly all
 * stacks share (the frame of the handler; at most two rounds) and a frame 1 that is the leaf's
 * address again are dropped.
 */
#ifndef PGO_FETCH_GPERF_H
#define PGO_FETCH_GPERF_H

#include "fetch/recording.h"

#include <stdbool.h>
#include <stddef.h>

bool pgo_gperf_probe(const void *head, size_t len);

/* `info` must be zeroed. */
int pgo_gperf_read(const void *data, size_t len, const struct pgo_recording_sink *sink,
	struct pgo_rec_info *info, struct pgo_err *err) PGO_MUST_CHECK;

#endif
