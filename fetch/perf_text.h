/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of `perf script` with branch stacks: `-F ip,brstack`, `-F pid,time,event,ip,brstack`,
 * with or without symbols and files, one sample a line:
 *
 *	[comm] [pid[/tid]] [[cpu]] [time:] [period] [event:] ip [symbol...] entry entry ...
 *
 * An entry, newest first, is FROM/TO/M|P|-/X|-/A|-/CYCLES[/TYPE[/SPEC]], addresses in hex with 0x,
 * each with an optional (file) or +offset behind it.  Lines of `--show-mmap-events` and
 * `--show-task-events` (PERF_RECORD_MMAP, MMAP2, COMM, FORK) say where files were mapped; if there
 * are none, addresses are taken as ELF virtual addresses of one binary, which the caller must name.
 * Lines that hold no branch stack (call chains, comments) are counted and skipped.
 */
#ifndef PGO_FETCH_PERF_TEXT_H
#define PGO_FETCH_PERF_TEXT_H

#include "fetch/recording.h"
#include "pgo/core/elf.h"
#include "pgo/core/inflate.h"

#include <stdbool.h>
#include <stddef.h>

/* Is there a branch stack or a mapping event among the lines of the first bytes? */
bool pgo_perf_text_probe(const void *head, size_t len);

/* `binary` (may be NULL): whose addresses they are if the text has no mapping events.  `info` must
 * be zeroed. */
int pgo_perf_text_read(struct pgo_stream *stream, const struct pgo_elf *binary,
	const struct pgo_recording_sink *sink, struct pgo_rec_info *info,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
