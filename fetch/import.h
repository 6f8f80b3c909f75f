/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples of any recorder -> pprof: perf.data (file and pipe mode), `perf script` brstack text,
 * gperftools CPU profiles, OTLP profiles (fetch/otlp.h); a file that is a pprof already passes
 * through.  Told apart by content.
 *
 *	recording --(perf_data.c, perf_text.c, gperf.c)--> whole samples (fetch/recording.h)
 *	          --(import_space.c)--> addresses made places in files
 *	          --(import_ring.c)---> sums --(import_write.c)--> one profile per process group
 *
 * A process group is the processes of one name (that of the first thread) with one main program (a
 * file of one build-id).  A whole sample has its branch ring in one piece (struct pgo_ring) when
 * import sees it; rings are then split into traces (pgo/core/lbr.h) and summed, and kept aside for
 * weighting their entries by the chance of having been seen (fetch/unbias.h).
 *
 * Columns: samples/count; one for each event that was sampled, holding periods (cpu/nanoseconds for
 * clocks, else EVENT/count); and if there are branch rings lbr_traces, lbr_mispredicts, where
 * the processor says so lbr_cycles, and unless there is a reason not to lbr_executions.
 *
 * Output addresses: ELF vaddrs with elf-mapped mappings (start = vaddr of the segment, real
 * file_offset) if the ELF is at hand and its build-id agrees (--binary, or the recorded path); else
 * file offsets with start = file_offset, which every merge also gets right whatever the address
 * randomisation.  has_functions is false and no location of ours has lines, which is what stores
 * need to keep addresses.
 */
#ifndef PGO_FETCH_IMPORT_H
#define PGO_FETCH_IMPORT_H

#include "pgo/core/err.h"
#include "pgo/core/profile.h"

#include <stdbool.h>
#include <stdint.h>

enum pgo_input_kind {
	PGO_INPUT_UNKNOWN,
	PGO_INPUT_PPROF,
	PGO_INPUT_PERF_DATA,
	PGO_INPUT_BRSTACK,
	PGO_INPUT_GPERF,
	PGO_INPUT_OTLP
};

const char *pgo_input_kind_name(
	enum pgo_input_kind kind); /* "pprof", "perf.data", "brstack", "gperftools", "otlp",
				     "unknown" */
/* By content, inflating if need be. */
int pgo_input_probe(const char *path, enum pgo_input_kind *ret, struct pgo_err *err) PGO_MUST_CHECK;
/* The same for a stream that is open already; takes nothing from it. */
struct pgo_stream;
int pgo_input_probe_stream(
	struct pgo_stream *s, enum pgo_input_kind *ret, struct pgo_err *err) PGO_MUST_CHECK;

struct pgo_import_options {
	const char *host, *service, *version; /* NULL = from the file, else none */
	int64_t time_ns;                      /* 0 = from the file */
	const char *const *binaries; /* ELF files to take build-ids and segments from, besides the
					recorded paths */
	size_t n_binaries;
	const char *event;  /* only this event of several; NULL = all that are usable */
	uint64_t max_bytes; /* inflated input; 0 = 64 GiB */
	bool labels;        /* put host, service, version on every sample as string labels */
	bool ignore_paths;  /* look at no ELF file but `binaries`: else those at recorded paths help
			     */
	bool split_processes; /* one profile per process name and build-id set (else one for the
				 whole file) */
	bool no_unbias;       /* do not estimate executions */
};

/* Where every record and branch went: read = used + each loss. */
struct pgo_import_stats {
	uint64_t records, records_unknown; /* of the recording */
	uint64_t samples;                  /* read */
	uint64_t samples_used, samples_kernel, samples_no_mapping, samples_other_event,
		samples_no_data, samples_idle;
	uint64_t branches; /* ring entries read */
	uint64_t branches_used, branches_kernel, branches_no_mapping, branches_zero,
		branches_wrong_path, branches_duplicate_top, branches_filtered;
	uint64_t ranges_bogus; /* fall-throughs that run backwards or over 1 MiB: their branch is
				  kept, the range is not */
	uint64_t frames_kernel, frames_no_mapping; /* callers left out of stacks that are used */
	uint64_t lost_records;                     /* samples the kernel says it dropped */
	uint64_t late_records; /* older than what had been processed: may have met the wrong maps */
};

/* How executions were estimated from the rings of one event; rings = weighted + each loss. */
struct pgo_import_estimate {
	char event[128];
	const char *unit;    /* of the lengths of runs; "" = not estimated */
	const char *why_not; /* then the reason, else NULL */
	bool detected;       /* the event is not known; it behaves like one of this unit */
	bool self_timed;     /* lengths are stand-ins, see fetch/unbias.h */
	const char *scale;   /* "absolute"; "about": but for the ratio of two units; "relative": the
			      sum is that of the traces, or of the other events */
	bool suspicious; /* said to count branches, but targets are not newest as they should be */
	double phi;
	uint64_t rings, rings_weighted, rings_single, rings_long, rings_without_cycles;
	uint64_t runs, runs_counted; /* whose instructions were needed, and could be counted */
	double executions;           /* of complete traces, in all */
};

struct pgo_imported {
	struct pgo_profile **profiles; /* sorted by (process group, build-ids) */
	char **groups;                 /* name of each: comm or file name */
	char **hosts;                  /* of each, "" = not known; NULL = `host` for all */
	size_t n, room;
	enum pgo_input_kind kind;
	char host[256]; /* as the options or the file say; "" = unknown */
	struct pgo_import_stats stats;
	struct pgo_import_estimate *estimates; /* one for each event with rings, in their order */
	size_t n_estimates, estimates_room;
};

/*
 * Refused with the reason: CALL_STACK branch stacks, AUX-only recordings (Intel PT, ETM, SPE: says
 * which perf command turns them into branch stacks), recordings without samples. Fills `*ret`
 * (pgo_imported_fini).
 */
int pgo_import(const char *path, const struct pgo_import_options *o, struct pgo_imported *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
/* The same from memory; `name` stands for the path. */
int pgo_import_memory(const char *name, const void *data, size_t len,
	const struct pgo_import_options *o, struct pgo_imported *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_imported_fini(struct pgo_imported *i);

#endif
