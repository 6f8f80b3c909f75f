/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes perf.data: the container, its headers and records, in file mode or pipe mode, of either
 * byte order, plain or with zstd-compressed records. Knows nothing of dumps; mkperf.c decides what
 * is in it.
 *
 * Source of the layout: the Linux kernel's perf_event ABI and perf.data file format, versions up
 * to 6.1. A file has a 104-byte header, the attributes (128 bytes plus the place of their ids), the
 * records, and then the feature sections in bit order. In pipe mode header, attributes and features
 * are records themselves.
 *
 * Order of calls: pw_open, pw_feature and pw_build_id as wanted, pw_begin, records, pw_close.
 * All functions end the program with a sentence when the disk or the memory does not suffice.
 */
#ifndef TESTS_EMU_PERFWRITE_H
#define TESTS_EMU_PERFWRITE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PW_ATTR_SIZE 128

enum pw_sample_type {
	PW_IP = 1 << 0,
	PW_TID = 1 << 1,
	PW_TIME = 1 << 2,
	PW_CALLCHAIN = 1 << 5,
	PW_PERIOD = 1 << 8,
	PW_BRANCH_STACK = 1 << 11,
	PW_IDENTIFIER = 1 << 16,
};

enum pw_branch_type {
	PW_BR_USER = 1 << 0,
	PW_BR_ANY = 1 << 3,
	PW_BR_CALL_STACK = 1 << 11,
	PW_BR_NO_CYCLES = 1 << 15,
	PW_BR_TYPE_SAVE = 1 << 16,
	PW_BR_HW_INDEX = 1 << 17,
	PW_BR_PRIV_SAVE = 1 << 18,
};

enum pw_record {
	PW_REC_COMM = 3,
	PW_REC_EXIT = 4,
	PW_REC_FORK = 7,
	PW_REC_SAMPLE = 9,
	PW_REC_MMAP2 = 10,
	PW_REC_HEADER_ATTR = 64,
	PW_REC_BUILD_ID = 67,
	PW_REC_FINISHED_ROUND = 68,
	PW_REC_EVENT_UPDATE = 78,
	PW_REC_HEADER_FEATURE = 80,
	PW_REC_COMPRESSED = 81,
};

enum pw_feature {
	PW_FEAT_BUILD_ID = 2,
	PW_FEAT_HOSTNAME = 3,
	PW_FEAT_OSRELEASE = 4,
	PW_FEAT_VERSION = 5,
	PW_FEAT_ARCH = 6,
	PW_FEAT_NRCPUS = 7,
	PW_FEAT_CPUDESC = 8,
	PW_FEAT_CPUID = 9,
	PW_FEAT_CMDLINE = 11,
	PW_FEAT_EVENT_DESC = 12,
	PW_FEAT_BRANCH_STACK = 15, /* no body */
	PW_FEAT_SAMPLE_TIME = 21,
	PW_FEAT_CLOCKID = 23,
	PW_FEAT_COMPRESSED = 27,
	PW_FEAT_CLOCK_DATA = 29,
	PW_N_FEATURES = 32,
};

/* Growable bytes, numbers in the byte order of the file. */
struct pw_buf {
	uint8_t *p;
	size_t n, cap;
	int big;
};

void pw_raw(struct pw_buf *b, const void *p, size_t n);
void pw_u8(struct pw_buf *b, uint8_t v);
void pw_u16(struct pw_buf *b, uint16_t v);
void pw_u32(struct pw_buf *b, uint32_t v);
void pw_u64(struct pw_buf *b, uint64_t v);
/* The feature sections' string: length, bytes, padded to 64. */
void pw_string(struct pw_buf *b, const char *s);
/* NUL-terminated and padded to 8, as in records. */
void pw_name(struct pw_buf *b, const char *s);

struct pw_event {
	const char *name;
	uint32_t type;
	uint64_t config, period, sample_type, branch_type, id;
	int user_only;
	int precise;
};

struct pw_file {
	/* set by the caller before pw_open */
	int pipe, compress, big;
	int clockid; /* -1 = perf's own clock */
	const struct pw_event *events;
	unsigned n_events;
	uint32_t empty_features; /* bits of features that are there without a body */
	/* private */
	FILE *f;
	struct pw_buf rec, body, pending, feature[PW_N_FEATURES];
	uint64_t data_off, data_size;
	void *zstd;
};

void pw_open(struct pw_file *w, const char *path);
/* The buffer to fill with the body of a feature section. */
struct pw_buf *pw_feature(struct pw_file *w, enum pw_feature bit);
/* Adds a record to the build-id table. */
void pw_build_id(
	struct pw_file *w, uint32_t pid, const uint8_t *id, unsigned size, const char *path);
void pw_begin(struct pw_file *w);
/* Starts a record; the caller appends its body to the buffer returned. */
struct pw_buf *pw_record(struct pw_file *w, enum pw_record type, uint16_t misc);
void pw_record_end(struct pw_file *w);
void pw_close(struct pw_file *w);

/* The flags word of a branch entry in the file's bit order. */
/* mispred: -1 = not known. priv: 0 = not said, 1 = user. */
uint64_t pw_branch_flags(
	const struct pw_file *w, int mispred, unsigned cycles, unsigned type, unsigned priv);

#endif
