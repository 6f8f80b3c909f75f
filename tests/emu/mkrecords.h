/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan as perf.data: events, features, and the records in the order of time: processes
 * starting, mapping, starting threads and ending, and their samples.
 */
#ifndef TESTS_EMU_MKRECORDS_H
#define TESTS_EMU_MKRECORDS_H

#include "mkplan.h"

enum mk_mode { MK_LBR, MK_IP, MK_CALLCHAIN, MK_LBR_CALLCHAIN, MK_CALLSTACK };
/* Where build-ids stand: the header's table, the mapping records, nowhere. */
enum mk_ids { MK_IDS_HEADER, MK_IDS_MMAP, MK_IDS_NONE };

struct mk_options {
	const char *out;   /* "-" = standard output, pipe mode only */
	const char *host;  /* NULL = "emulated" */
	const char *event; /* as perf calls it, or NULL = by the dump */
	enum mk_mode mode;
	enum mk_ids ids;
	int pipe, compress, big, hw_index, save_type;
	int brbe;          /* flags as Arm's branch record buffer gives them */
	int trace;         /* as perf inject makes rings of a trace (Arm ETM, Intel PT) */
	uint64_t weight;   /* multiplies periods */
	uint64_t start_ns; /* wall clock at plan_options.mono_ns, 0 = not told */
};

/* Ends the program with a sentence when it cannot. */
void mk_write_perf(const struct mk_options *o, const struct plan *plan);

#endif
