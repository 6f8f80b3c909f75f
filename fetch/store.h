/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The raw layout (pgo/core/manifest.h) being written: one process at a time, resumable.
 *
 *	.lock            held while the store is open (flock)
 *	.tmp/            objects on their way; emptied on opening
 *	objects/         complete objects, by rename
 *	.journal.jsonl   a line for each thing learned since the manifest was written
 *	manifest.jsonl   the stored objects
 *	.seen.jsonl      objects of the sources that are not stored: no profiles (kind "none"), not
 *	                 selected (no digest), or the same bytes as a stored one (its digest), so
 *	                 that the next run need not open them again
 *	.unsynced        says that the disk may not have all objects yet (fetch/durable.h)
 *
 * A run that is killed leaves the journal, which the next one reads; objects without any line, and
 * a manifest that was lost, are made up for by examining the objects.  What an interrupted run left
 * is verified against its digest.
 */
#ifndef PGO_FETCH_STORE_H
#define PGO_FETCH_STORE_H

#include "pgo/core/err.h"
#include "pgo/core/manifest.h"
#include "pgo/core/map.h"

#include <stdbool.h>
#include <stdint.h>

/* One of the two tables with what speeds looking things up. */
struct pgo_store_table {
	struct pgo_manifest manifest;
	struct pgo_map by_source; /* of (source, size, time of change) */
	bool *claimed;            /* per record: met in this run */
	size_t claimed_room;
};

struct pgo_store {
	char *dir;
	int lock, journal;
	struct pgo_store_table stored, seen;
	struct pgo_map by_digest; /* of stored */
	struct pgo_map by_name;   /* of stored: by the name at the source alone */
	bool *replaced;           /* of stored: goes when the run is committed */
	size_t replaced_room;
	size_t n_committed; /* of stored: in the manifest as it was loaded */
	uint64_t n_temp, n_adopted, n_put;
};

/* Makes the directory if need be, locks it, loads it and repairs what a killed run left.  Another
 * process at work is PGO_EIO. */
struct pgo_store *pgo_store_open(const char *dir, struct pgo_err *err);
/* Unlocks; what was not committed stays in the journal for the next run.  NULL is fine. */
void pgo_store_close(struct pgo_store *s);

/* The record of that object in that state which this run has not met before, or PGO_NONE; claims
 * it. */
uint32_t pgo_store_claim(
	struct pgo_store_table *t, const char *source, uint64_t size, int64_t mtime_ns);
/* What is known of that object in that state, claimed or not: of a stored one, else of one that was
 * seen; or NULL. */
const struct pgo_record *pgo_store_peek(
	const struct pgo_store *s, const char *source, uint64_t size, int64_t mtime_ns);
/* The stored object's record, or PGO_NONE. */
uint32_t pgo_store_find(const struct pgo_store *s, const char *digest);
/* A name for an object on its way: gives a string (pgo_free). */
char *pgo_store_temp(struct pgo_store *s);
/* Moves the file `temp` to its place under r->digest and notes it; takes *r (zeroed) on success. */
int pgo_store_put(struct pgo_store *s, const char *temp, struct pgo_record *r,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Notes a source's object that is not stored; takes *r (zeroed) on success. */
int pgo_store_note(struct pgo_store *s, struct pgo_record *r, struct pgo_err *err) PGO_MUST_CHECK;
/* Is stored object i the one that *r describes: from the same source, or adopted from an unknown
 * one?  Else *r is a further place with the same bytes. */
bool pgo_store_is_of(const struct pgo_store *s, uint32_t i, const struct pgo_record *r);
/* A stored object was met under another time of change, or for the first time since it was adopted:
 * takes *r (zeroed) as its record. */
int pgo_store_refresh(
	struct pgo_store *s, uint32_t i, struct pgo_record *r, struct pgo_err *err) PGO_MUST_CHECK;
/* The object of that name was settled in its present state, which stands for what it was before:
 * stored states of it that this run did not meet go when it is committed. */
void pgo_store_replace(struct pgo_store *s, const char *name);
/* Writes both tables, without notes about objects that this run did not meet; the journal goes. */
int pgo_store_commit(struct pgo_store *s, struct pgo_err *err) PGO_MUST_CHECK;

#endif
