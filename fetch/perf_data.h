/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf.data without perf: reads what `perf record` writes, in blocks of a megabyte, and hands whole
 * samples and address space changes to a sink (fetch/recording.h).
 *
 * Read: file mode and pipe mode (`perf record -o -`), either endianness, any attribute size,
 * several events (told apart by IDENTIFIER or ID), sample_id_all trailers, MMAP and MMAP2 with and
 * without build-id, COMM/FORK/EXIT, branch stacks with or without hardware index and counters, zstd
 * compressed records of both kinds, the features that say host, event names, build-ids, clock and
 * ring depth.  Records of unknown kinds are skipped by their size; hardware traces (AUX) are
 * skipped and counted.  The file itself may be wrapped in gzip or zstd.
 *
 * Order: perf drains one buffer per processor after the other, so records are not in order of time.
 * Timed records are held until the second FINISHED_ROUND after them (which is when perf guarantees
 * that nothing older follows), at most 32 MiB of them, and then handed on so that each sample comes
 * after the maps, forks, execs and exits that are older than it.  Samples among themselves keep
 * their order in the file.  Records without a time are handed on at once.
 *
 * Refused: PERFFILE (version 1) and multi-file recordings, files that are cut off (the sentence has
 * the offset), records and sections that point outside.  What this file knows of the format: the
 * layout of perf_event_attr and of records is that of the Linux perf_event ABI, the file layout
 * that of perf's own tools.
 */
#ifndef PGO_FETCH_PERF_DATA_H
#define PGO_FETCH_PERF_DATA_H

#include "fetch/recording.h"
#include "pgo/core/inflate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* By the first bytes, inflated; also true for the versions this reader refuses by name. */
bool pgo_perf_data_probe(const void *head, size_t len);

/*
 * From `stream` (borrowed), or if that is NULL from the file `path` by offsets, which is how header
 * features are known before the first record.  `max_bytes` bounds what compressed records inflate
 * to. `info` must be zeroed.
 */
int pgo_perf_data_read(const char *path, struct pgo_stream *stream, uint64_t max_bytes,
	const struct pgo_recording_sink *sink, struct pgo_rec_info *info,
	struct pgo_err *err) PGO_MUST_CHECK;
/* The same from memory (not wrapped in gzip or zstd). */
int pgo_perf_data_read_memory(const void *data, size_t len, uint64_t max_bytes,
	const struct pgo_recording_sink *sink, struct pgo_rec_info *info,
	struct pgo_err *err) PGO_MUST_CHECK;

/* The unit of an event by type, config and name (type and config are perf's). */
enum pgo_event_unit pgo_event_unit_of(uint32_t type, uint64_t config, const char *name);

#endif
