/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the perf.data reader: what its files share.
 *
 *	perf_data.c         opening, sections, reading the data in blocks
 *	perf_data_walk.c    record after record; compressed records
 *	perf_data_attr.c    events: attributes, ids, names; features of the header
 *	perf_data_order.c   holding records until their time has come
 *	perf_data_sample.c  one record -> the sink
 */
#ifndef PGO_FETCH_PERF_DATA_IMPL_H
#define PGO_FETCH_PERF_DATA_IMPL_H

#include "fetch/perf_data.h"
#include "pgo/core/buf.h"
#include "pgo/core/inflate.h"
#include "pgo/core/map.h"

#include <byteswap.h>
#include <string.h>

/* Record types. */
enum {
	REC_MMAP = 1,
	REC_LOST = 2,
	REC_COMM = 3,
	REC_EXIT = 4,
	REC_FORK = 7,
	REC_SAMPLE = 9,
	REC_MMAP2 = 10,
	REC_AUX = 11,
	REC_LOST_SAMPLES = 13,
	REC_KERNEL_LAST = 22, /* CALLCHAIN_DEFERRED */
	REC_TOOL_FIRST = 64,  /* from here on written by perf, not by the kernel */
	REC_HEADER_ATTR = 64,
	REC_TRACING_DATA = 66,
	REC_BUILD_ID = 67,
	REC_FINISHED_ROUND = 68,
	REC_AUXTRACE = 71,
	REC_EVENT_UPDATE = 78,
	REC_HEADER_FEATURE = 80,
	REC_COMPRESSED = 81,
	REC_COMPRESSED2 = 83,
	REC_TOOL_LAST = 84,
};

/* misc of a record */
#define MISC_CPUMODE 7
#define MISC_KERNEL 1
#define MISC_USER 2
#define MISC_BIT13 (1u << 13)         /* MMAP: data mapping; COMM: exec */
#define MISC_MMAP_BUILD_ID (1u << 14) /* MMAP2: build-id in place of device and inode */
#define MISC_BUILD_ID_SIZE (1u << 15) /* BUILD_ID: the size byte is valid */

/* sample_type */
#define S_IP (1u << 0)
#define S_TID (1u << 1)
#define S_TIME (1u << 2)
#define S_ADDR (1u << 3)
#define S_READ (1u << 4)
#define S_CALLCHAIN (1u << 5)
#define S_ID (1u << 6)
#define S_CPU (1u << 7)
#define S_PERIOD (1u << 8)
#define S_STREAM_ID (1u << 9)
#define S_RAW (1u << 10)
#define S_BRANCH_STACK (1u << 11)
#define S_IDENTIFIER (1u << 16)

/* read_format */
#define READ_ENABLED (1u << 0)
#define READ_RUNNING (1u << 1)
#define READ_ID (1u << 2)
#define READ_GROUP (1u << 3)
#define READ_LOST (1u << 4)

/* branch_sample_type */
#define B_ANY (1u << 3)
#define B_KINDS (15u << 4 | 1u << 10 | 3u << 12) /* calls, returns, ..., one by one */
#define B_CALL_STACK (1u << 11)
#define B_NO_FLAGS (1u << 14)
#define B_NO_CYCLES (1u << 15)
#define B_HW_INDEX (1u << 17)

/* Features: numbers of bits in the header, ids of HEADER_FEATURE records. */
enum {
	FEAT_BUILD_ID = 2,
	FEAT_HOSTNAME = 3,
	FEAT_EVENT_DESC = 12,
	FEAT_DIR_FORMAT = 24,
	FEAT_CPU_PMU_CAPS = 28,
	FEAT_CLOCK_DATA = 29,
	FEAT_PMU_CAPS = 31,
	FEAT_BITS = 256,
};

#define PGO_PERF_RECORD_MAX 65535u
#define PGO_PERF_BLOCK ((size_t)1 << 20)
#define PGO_PERF_NO_FIELD 0xffu

/* An event: its attribute, and where its fields are in a sample. */
struct pgo_perf_event {
	char name[128];
	uint32_t type;
	uint64_t config, period; /* period 0: by frequency */
	uint64_t sample_type, read_format, branch_type;
	bool sample_id_all, named, announced;
	/* Offsets from the start of the record, or PGO_PERF_NO_FIELD. */
	uint8_t at_id, at_ip, at_tid, at_time, at_period;
	uint8_t fixed; /* end of the fields of fixed size */
	/* The sample_id trailer of other records: its size, and fields as distance from the end (0:
	 * not there). */
	uint8_t trailer, trailer_time;
};

struct pgo_perf_id { /* an id that records carry, and its event */
	uint64_t id;
	uint32_t event, zero;
};

/* Bytes waiting to be parsed ([pos, len)), and before them records that are held. */
struct pgo_perf_bytes {
	uint8_t *data;
	size_t pos, len, room;
	uint64_t offset; /* of `pos` in its stream, for messages */
	uint64_t skip;   /* bytes to pass over before the next record */
};

enum { BYTES_RAW, BYTES_INFLATED, N_BYTES };

struct pgo_perf_item { /* a record that is held */
	uint64_t time;
	uint32_t offset; /* in bytes[which].data */
	uint16_t which;
	bool change; /* of an address space; else a sample */
};

struct pgo_perf_lane { /* room for the largest record */
	struct pgo_branch *branches;
	uint64_t *chain;
};

struct pgo_perf {
	const struct pgo_recording_sink *sink;
	struct pgo_rec_info *info;
	uint64_t max_bytes;

	/* Where bytes come from: a file or memory by offset, or a stream that only goes forward. */
	int fd; /* or -1 */
	const uint8_t *memory;
	struct pgo_stream *stream;
	uint64_t file_size;    /* of fd or memory */
	struct pgo_buf before; /* of a streamed file: everything before the data section */
	struct pgo_buf after;  /* and after it */
	uint64_t after_offset;
	uint64_t next;     /* offset of the next byte to read from the data section */
	uint64_t data_end; /* UINT64_MAX in pipe mode */
	bool swap, pipe;
	bool eof;

	struct pgo_perf_event *events;
	size_t n_events, events_room;
	struct pgo_perf_id *ids;
	size_t n_ids, ids_room;
	struct pgo_map id_map;
	uint64_t last_id;
	uint32_t last_event;
	bool identifier; /* every event has its id first in samples */
	bool layouts_checked;

	struct pgo_perf_bytes bytes[N_BYTES];
	struct pgo_zstd *zstd;
	struct pgo_buf piece; /* what one compressed record inflates to */
	struct pgo_perf_item *items, *batch;
	size_t n_items, items_room, batch_room;
	uint64_t held;       /* bytes of records in items */
	uint64_t round_max;  /* newest time in this round */
	uint64_t last_round; /* and in those before */
	uint64_t flushed;    /* everything up to this time has been handed on */

	struct pgo_perf_lane *lanes; /* what each thread that hands on samples has of its own */
	size_t n_lanes;
	int32_t *pids; /* of a batch */
	size_t pids_room;
	char text[4352]; /* a file name or comm, NUL-terminated */
};

static inline uint16_t pgo_perf_u16(const struct pgo_perf *p, const uint8_t *at)
{
	uint16_t v;

	memcpy(&v, at, sizeof v);
	return p->swap ? bswap_16(v) : v;
}

static inline uint32_t pgo_perf_u32(const struct pgo_perf *p, const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof v);
	return p->swap ? bswap_32(v) : v;
}

static inline uint64_t pgo_perf_u64(const struct pgo_perf *p, const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof v);
	return p->swap ? bswap_64(v) : v;
}

/* A 64-bit word of bit fields: they start at the other end on the other endianness. */
static inline unsigned pgo_perf_bit(const struct pgo_perf *p, uint64_t word, unsigned bit)
{
	return word >> (p->swap ? 63 - bit : bit) & 1;
}

static inline uint32_t pgo_perf_type(const struct pgo_perf *p, const uint8_t *rec)
{
	return pgo_perf_u32(p, rec);
}

static inline uint32_t pgo_perf_misc(const struct pgo_perf *p, const uint8_t *rec)
{
	return pgo_perf_u16(p, rec + 4);
}

static inline uint32_t pgo_perf_size(const struct pgo_perf *p, const uint8_t *rec)
{
	return pgo_perf_u16(p, rec + 6);
}

/* perf_data_attr.c */

/* Adds the event of an attribute of `len` bytes. */
int pgo_perf_attr(struct pgo_perf *p, const uint8_t *attr, size_t len, uint32_t *ret_event,
	struct pgo_err *err) PGO_MUST_CHECK;
int pgo_perf_add_id(
	struct pgo_perf *p, uint64_t id, uint32_t event, struct pgo_err *err) PGO_MUST_CHECK;
/* The event of an id, or UINT32_MAX; the second remembers the last one. */
uint32_t pgo_perf_find_event(const struct pgo_perf *p, uint64_t id);
uint32_t pgo_perf_event_of_id(struct pgo_perf *p, uint64_t id);
/* Can the events' records be told apart?  Once, before the first record that needs it. */
int pgo_perf_check_layouts(struct pgo_perf *p, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_perf_rename(struct pgo_perf *p, uint32_t event, const uint8_t *name, size_t len,
	struct pgo_err *err) PGO_MUST_CHECK;
int pgo_perf_announce(struct pgo_perf *p, uint32_t event, struct pgo_err *err) PGO_MUST_CHECK;
/* The body of a feature, from a section or a HEADER_FEATURE record. */
int pgo_perf_feature(struct pgo_perf *p, uint64_t feature, const uint8_t *data, size_t len,
	struct pgo_err *err) PGO_MUST_CHECK;
/* A BUILD_ID record (also the elements of the feature of that name). */
int pgo_perf_build_id(
	struct pgo_perf *p, const uint8_t *rec, size_t size, struct pgo_err *err) PGO_MUST_CHECK;

/* perf_data_walk.c */

/* Takes every whole record out of bytes[which]. */
int pgo_perf_walk(struct pgo_perf *p, unsigned which, struct pgo_err *err) PGO_MUST_CHECK;
/* Tells the sink of every event it has not heard of. */
int pgo_perf_announce_all(struct pgo_perf *p, struct pgo_err *err) PGO_MUST_CHECK;

/* perf_data_order.c */

/* Holds the record at `offset` of bytes[which]. */
int pgo_perf_hold(struct pgo_perf *p, unsigned which, size_t offset, uint64_t time, bool change,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Hands on what is not newer than `until`. */
int pgo_perf_flush(struct pgo_perf *p, uint64_t until, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_perf_round(struct pgo_perf *p, struct pgo_err *err) PGO_MUST_CHECK;
/* Hands on the older part if too much is held. */
int pgo_perf_relieve(struct pgo_perf *p, struct pgo_err *err) PGO_MUST_CHECK;
/* Makes room for `want` more bytes at the end of bytes[which], moving what is held together. */
int pgo_perf_room(
	struct pgo_perf *p, unsigned which, size_t want, struct pgo_err *err) PGO_MUST_CHECK;

/* perf_data_sample.c */

/* The time of a record that an address space or a sample belongs to; 0 = it has none. */
uint64_t pgo_perf_time(struct pgo_perf *p, const uint8_t *rec, uint32_t size);
int pgo_perf_deliver(struct pgo_perf *p, const uint8_t *rec, struct pgo_err *err) PGO_MUST_CHECK;
/* A sample, in a lane: changes nothing but that lane. */
int pgo_perf_deliver_sample(const struct pgo_perf *p, unsigned lane, const uint8_t *rec,
	struct pgo_err *err) PGO_MUST_CHECK;
/* The process of a sample; -1: it has none. */
int32_t pgo_perf_pid(const struct pgo_perf *p, const uint8_t *rec);
/* Copies a string of at most `len` bytes, which need not end in NUL, to p->text. */
const char *pgo_perf_text(struct pgo_perf *p, const uint8_t *at, size_t len);

#endif
