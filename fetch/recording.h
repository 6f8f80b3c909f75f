/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a recording says, whatever program wrote it: events, who mapped what where, and samples that
 * are whole, with their branch ring in one piece.  The readers (perf_data.c, perf_text.c, gperf.c)
 * call a struct pgo_recording_sink in an order in which every change of an address space comes
 * before the samples that need it; import.c is the sink.
 *
 * Addresses are run-time addresses of the process.  Pointers are borrowed for the time of the call.
 * A sink function that returns a negative code ends the reading with that code.
 */
#ifndef PGO_FETCH_RECORDING_H
#define PGO_FETCH_RECORDING_H

#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an event counts, as far as it matters for how likely a place is to be sampled. */
enum pgo_event_unit {
	PGO_UNIT_OTHER,        /* unknown */
	PGO_UNIT_BRANCHES,     /* every taken branch has the same chance */
	PGO_UNIT_INSTRUCTIONS, /* every instruction has */
	PGO_UNIT_CYCLES,       /* every cycle has */
	PGO_UNIT_TIME,         /* every nanosecond has; periods are nanoseconds */
};

struct pgo_rec_event {
	const char *name; /* "cycles:u"; never NULL */
	uint32_t type;    /* perf's: 0 hardware, 1 software, 4 raw, ... */
	uint64_t config;  /* perf's */
	uint64_t period;  /* fixed period, or 0 if it varies */
	enum pgo_event_unit unit;
	bool has_ring;   /* samples carry branch rings */
	bool call_stack; /* but they are call stacks: of no use as branches */
	bool ring_all;   /* rings hold every taken branch; if not (filtered by kind), nothing
			    is known of what lies between two entries */
	bool aux;        /* the samples are in a trace of their own (Intel PT, ETM, SPE) */
};

enum pgo_branch_flag {
	PGO_BRANCH_MISPREDICTED = 1,
	PGO_BRANCH_PREDICTED = 2, /* neither: the recorder does not know */
	PGO_BRANCH_IN_TX = 4,
	PGO_BRANCH_ABORT = 8,
};

/* Kinds that matter here, numbered as in the perf ABI; 16 and more are its extended kinds. */
enum pgo_branch_type {
	PGO_BRANCH_UNKNOWN = 0,
	PGO_BRANCH_CALL = 4,
	PGO_BRANCH_IND_CALL = 5,
	PGO_BRANCH_RET = 6,
	PGO_BRANCH_SYSCALL = 7,
	PGO_BRANCH_SYSRET = 8,
	PGO_BRANCH_IRQ = 12,
};

enum pgo_branch_spec {
	PGO_SPEC_UNKNOWN = 0,
	PGO_SPEC_WRONG_PATH = 1, /* ran ahead of a branch that went the other way: never happened */
	PGO_SPEC_NOT_SPECULATIVE = 2,
	PGO_SPEC_RIGHT_PATH = 3,
};

/* A taken branch: the address of the branch instruction and where it went. */
struct pgo_branch {
	uint64_t from, to;
	uint16_t cycles; /* since the branch before it; 0 = not known */
	uint8_t flags;   /* enum pgo_branch_flag */
	uint8_t type, spec, priv;
	uint8_t unused[2];
};

/* The ring as the processor had it at the sample: newest first. */
struct pgo_ring {
	const struct pgo_branch *entry;
	uint32_t n;
	uint32_t depth; /* of the hardware; 0 = unknown.  Rings may be shorter. */
};

enum pgo_cpumode { PGO_MODE_UNKNOWN, PGO_MODE_KERNEL, PGO_MODE_USER, PGO_MODE_GUEST };

struct pgo_rec_sample {
	uint32_t event; /* index, or UINT32_MAX: of no known event */
	int32_t pid, tid;
	enum pgo_cpumode mode;
	uint64_t time;         /* nanoseconds of the recorder's clock; 0 = unknown */
	uint64_t ip;           /* 0 = none */
	uint64_t period;       /* events this sample stands for, in all */
	uint64_t count;        /* samples in this one: 1, but for recorders that aggregate */
	const uint64_t *chain; /* user frames only: chain[0] is the leaf, then return addresses */
	uint32_t n_chain;
	uint32_t n_chain_kernel; /* kernel frames left out */
	unsigned lane;           /* see struct pgo_recording_sink */
	struct pgo_ring ring;
};

/* Executable memory that was mapped. */
struct pgo_rec_map {
	int32_t pid;
	uint64_t time;
	uint64_t addr, len, pgoff;
	const char *filename;
	const char *build_id; /* lower-case hex, "" if the event does not say */
};

enum pgo_rec_task_kind { PGO_TASK_COMM, PGO_TASK_EXEC, PGO_TASK_FORK, PGO_TASK_EXIT };

struct pgo_rec_task {
	enum pgo_rec_task_kind kind;
	int32_t pid, tid;
	int32_t ppid;     /* FORK */
	const char *comm; /* COMM and EXEC (which also empties the address space) */
	uint64_t time;
};

struct pgo_recording_sink {
	void *ctx;
	/* Before the first sample of the event; again if a better name turns up. */
	int (*event)(void *ctx, uint32_t index, const struct pgo_rec_event *e, struct pgo_err *err);
	int (*map)(void *ctx, const struct pgo_rec_map *m, struct pgo_err *err);
	int (*task)(void *ctx, const struct pgo_rec_task *t, struct pgo_err *err);
	int (*sample)(void *ctx, const struct pgo_rec_sample *s, struct pgo_err *err);
	/* At any time, also after the last sample: the file of that name had this build-id. */
	int (*build_id)(void *ctx, const char *filename, const char *build_id, struct pgo_err *err);
	/*
	 * More than 1: samples between which nothing else happens may be handed on by several threads
	 * at once, the lanes 0..lanes-1, after prepare() has named their processes from the caller's own
	 * thread, and while nothing else is called.  Their order says nothing then.
	 */
	unsigned lanes;
	int (*prepare)(void *ctx, const int32_t *pids, size_t n, struct pgo_err *err);
};

/* About the recording as a whole.  Readers fill it in as they go. */
struct pgo_rec_info {
	char host[256];       /* "" = not said */
	uint64_t records;     /* read */
	uint64_t unknown;     /* of a kind this reader does not know; skipped by size */
	uint64_t lost;        /* samples or records the recorder says it lost */
	uint64_t late;        /* records older than what had already been handed on */
	uint64_t aux_records; /* pieces of hardware trace, skipped */
	bool has_clock;       /* the next two belong together */
	uint64_t wall_ns;     /* nanoseconds since 1970 ... */
	uint64_t clock_ns;    /* ... when the recorder's clock said this */
	uint32_t ring_depth;  /* of the hardware; 0 = not said */
};

#endif
