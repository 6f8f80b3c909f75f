/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes perf.data byte by byte, for tests that want to say every field: either endianness, file or
 * pipe mode, plain or compressed.  Not for recordings of real programs: those come from mkperf.
 *
 *	struct perfbytes p;
 *	perfbytes_init(&p, PERFBYTES_BIG | PERFBYTES_PIPE);
 *	perfbytes_event(&p, &(struct perfbytes_event){...});
 *	perfbytes_mmap2(&p, ...); perfbytes_sample(&p, ...);
 *	perfbytes_finish(&p);          // p.out holds the file
 *	perfbytes_fini(&p);
 */
#ifndef PGO_TESTS_PERFBYTES_H
#define PGO_TESTS_PERFBYTES_H

#include "pgo/core/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum perfbytes_flags {
	PERFBYTES_BIG = 1,         /* big-endian */
	PERFBYTES_PIPE = 2,        /* as `perf record -o -` */
	PERFBYTES_COMPRESS = 4,    /* records of type 81, cut anywhere */
	PERFBYTES_COMPRESS2 = 8,   /* records of type 83 */
	PERFBYTES_NO_TRAILERS = 16 /* sample_id_all off */
};

struct perfbytes_event {
	const char *name; /* NULL: the file does not say */
	uint32_t type;
	uint64_t config;
	uint64_t period;
	uint64_t sample_type, read_format, branch_type;
	uint64_t id;
	uint32_t attr_size; /* 0 = 128 */
};

struct perfbytes_branch {
	uint64_t from, to;
	bool mispredicted;
	unsigned cycles, type, spec;
};

struct perfbytes_sample {
	unsigned event;
	uint16_t misc; /* 0 = user */
	uint64_t ip, time, period;
	uint32_t pid, tid;     /* tid 0 = pid */
	const uint64_t *chain; /* with markers */
	size_t n_chain, raw_len;
	const struct perfbytes_branch *branch; /* newest first */
	size_t n_branches;
};

struct perfbytes {
	unsigned flags;
	struct perfbytes_event event[8];
	unsigned n_events;
	struct pgo_buf records; /* of the data section */
	struct pgo_buf feature[32];
	uint32_t features;  /* bit set */
	size_t record;      /* where the open record starts */
	struct pgo_buf out; /* the file, after perfbytes_finish() */
	uint64_t data_offset, data_size;
};

#define PERFBYTES_SAMPLE_LBR 0x10907u /* IP TID TIME PERIOD BRANCH_STACK IDENTIFIER */
#define PERFBYTES_BRANCH_ANY 0x9u     /* user, any */

void perfbytes_init(struct perfbytes *p, unsigned flags);
void perfbytes_fini(struct perfbytes *p);
void perfbytes_event(struct perfbytes *p, const struct perfbytes_event *e);

/* Numbers in the file's byte order, into any buffer. */
void perfbytes_u16(const struct perfbytes *p, struct pgo_buf *b, uint16_t v);
void perfbytes_u32(const struct perfbytes *p, struct pgo_buf *b, uint32_t v);
void perfbytes_u64(const struct perfbytes *p, struct pgo_buf *b, uint64_t v);
/* The string, a NUL, and zeros up to 8 bytes. */
void perfbytes_str(struct pgo_buf *b, const char *s);
/* u32 length, string: as features have them. */
void perfbytes_counted(const struct perfbytes *p, struct pgo_buf *b, const char *s);

/* A record: begin, append to p->records, end (fills the size in). */
void perfbytes_begin(struct perfbytes *p, uint32_t type, uint16_t misc);
void perfbytes_end(struct perfbytes *p);
/* The sample_id trailer of event 0. */
void perfbytes_trailer(struct perfbytes *p, uint32_t pid, uint64_t time);

/* `build_id`: hex of 20 bytes, or NULL for device and inode. */
void perfbytes_mmap2(struct perfbytes *p, uint32_t pid, uint64_t addr, uint64_t len, uint64_t pgoff,
	const char *build_id, const char *file, uint64_t time);
void perfbytes_mmap(struct perfbytes *p, uint32_t pid, uint64_t addr, uint64_t len, uint64_t pgoff,
	const char *file, uint64_t time);
void perfbytes_comm(struct perfbytes *p, uint32_t pid, const char *comm, bool exec, uint64_t time);
void perfbytes_fork(struct perfbytes *p, uint32_t pid, uint32_t ppid, uint64_t time);
void perfbytes_sample(struct perfbytes *p, const struct perfbytes_sample *s);
void perfbytes_round(struct perfbytes *p); /* FINISHED_ROUND */
/* A header feature (or its record in pipe mode); call before records of pipe mode. */
void perfbytes_feature(struct perfbytes *p, unsigned bit, const struct pgo_buf *body);
/* A body for the build-id feature: one element. */
void perfbytes_build_id(
	const struct perfbytes *p, struct pgo_buf *b, const char *hex, const char *file);

void perfbytes_finish(struct perfbytes *p);

#endif
