/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Branch rings, kept aside to be gone through again: what the estimate of executions
 * (fetch/unbias.h) makes its passes over.
 *
 * A ring takes 24 bytes and 4 for each entry (6 if the entries carry cycles), a fifth of what it
 * takes in a recording.  The first PGO_SPOOL_MEMORY bytes are held in memory, what is more goes to
 * an unlinked file in $TMPDIR (else /tmp), so that memory does not grow with the recording.
 */
#ifndef PGO_FETCH_UNBIAS_SPOOL_H
#define PGO_FETCH_UNBIAS_SPOOL_H

#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PGO_SPOOL_BLOCK ((size_t)1 << 20)
#define PGO_SPOOL_MEMORY ((size_t)16 << 20)
/* Longer rings do not exist in hardware (64 at most so far); one that is must be left out. */
#define PGO_SPOOL_RING_MAX 1024

/* An entry that is no trace: instead of a trace's number the bytes of the run behind it. */
#define PGO_SPOOL_GAP 0x80000000u
/* In one that is a trace, beside its number: its branch was mispredicted. */
#define PGO_SPOOL_MISPREDICTED 0x40000000u
#define PGO_SPOOL_TRACE(id) ((id) & (PGO_SPOOL_MISPREDICTED - 1))
#define PGO_SPOOL_GAP_UNKNOWN 0xffffffffu

struct pgo_spool_ring {
	uint64_t period; /* events that the sample stands for; 0 = not known */
	uint32_t event, group;
	uint32_t n;     /* entries, newest first */
	uint16_t taken; /* of the hardware's places, what entries took that never happened */
	bool has_cycles;
};

struct pgo_spool {
	uint8_t **blocks; /* full ones in memory */
	size_t n_blocks, blocks_room;
	uint8_t *block; /* the one being filled, or read */
	size_t used;
	size_t *in_file; /* bytes used of each block that is in the file */
	size_t n_in_file, in_file_room;
	size_t *in_memory; /* of each in memory */
	size_t in_memory_room;
	int fd; /* -1 = none yet */
	uint64_t n_rings;
	unsigned shares; /* so many spools share the memory; 0 = 1 */
	/* If it was filled beside others: the numbers its traces have got since, by group; and the
	 * spool whose rings come after its own, borrowed. */
	uint32_t **renumbered;
	size_t n_renumbered;
	struct pgo_spool *more;
	/* reading */
	const uint8_t *at, *end;
	size_t next;
	bool last;
	uint8_t *scratch;
	uint32_t *ids; /* of one ring, with other numbers */
};

void pgo_spool_init(struct pgo_spool *s);
void pgo_spool_fini(struct pgo_spool *s);
/* Appends a ring of at most PGO_SPOOL_RING_MAX entries; `cycles` is looked at if r->has_cycles. */
int pgo_spool_add(struct pgo_spool *s, const struct pgo_spool_ring *r, const uint32_t *ids,
	const uint16_t *cycles, struct pgo_err *err) PGO_MUST_CHECK;
/* Back to the first ring. */
void pgo_spool_rewind(struct pgo_spool *s);
/* 1 and the next ring, whose arrays are borrowed until the next call; 0 at the end; or an error. */
int pgo_spool_next(struct pgo_spool *s, struct pgo_spool_ring *ret, const uint32_t **ids,
	const uint16_t **cycles, struct pgo_err *err) PGO_MUST_CHECK;

#endif
