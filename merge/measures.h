/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What planning found out about profiles, kept from one run to the next, so that a profile that is
 * known is not read again for its plan.
 *
 * One file, to which entries are appended:
 *
 *	magic "pgo-meas", then the version of the format and the tool, each byte of it ended by a 0
 *	entries: key (16 bytes), length (4) and hash (8) of what follows; then of each part of the
 *	profile all that pgo_plan_measure() fills
 *
 * The key is a digest of everything that the measures follow from: the file's SHA-256, what is known
 * of it besides, the options that decide what is measured, and the salt.  So no entry is ever wrong,
 * only unused.  A file of another version or tool counts as empty, and one that is cut off or damaged
 * ends there.
 */
#ifndef PGO_MERGE_MEASURES_H
#define PGO_MERGE_MEASURES_H

#include "merge/plan.h"
#include "pgo/core/map.h"

struct pgo_measures_key {
	uint8_t id[16];
};

struct pgo_measured {
	struct pgo_measures_key key; /* first: the map looks here */
	const uint8_t *data;         /* of its parts */
	size_t len;
	bool used; /* atomic */
};

struct pgo_measures {
	char *path;
	struct pgo_buf bytes; /* of the file */
	size_t good;          /* of them, up to the end of the last whole entry */
	struct pgo_measured *of;
	size_t n, room;
	struct pgo_map map;
};

/* Loads what is there.  Fills *ret (pgo_measures_fini); fails only when out of memory. */
int pgo_measures_open(
	struct pgo_measures *ret, const char *path, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_measures_fini(struct pgo_measures *m);

/* `digest` is the file's; `salt`: what else the reading of files depends on. */
struct pgo_measures_key pgo_measures_key(const struct pgo_plan_options *o,
	const struct pgo_plan_source *source, const char *digest, const char *salt);

/* The parts of a profile: an array (pgo_free, each pgo_plan_input_fini); 0 if nothing is known, and
 * when out of memory.  By any thread. */
size_t pgo_measures_get(
	struct pgo_measures *m, const struct pgo_measures_key *key, struct pgo_plan_input **ret);

/* What is new. */
struct pgo_measures_writer {
	struct pgo_buf out;
	size_t n;
};
void pgo_measures_begin(struct pgo_measures_writer *w);
void pgo_measures_put(struct pgo_measures_writer *w, const struct pgo_measures_key *key,
	const struct pgo_plan_input *parts, size_t n);
/*
 * Appends what is new, or writes the file anew if most of it was not used.  Spends `w`.  That it
 * cannot be written is no failure of anything but the next run's speed: the sentence is for a note.
 */
int pgo_measures_save(
	struct pgo_measures *m, struct pgo_measures_writer *w, struct pgo_err *err) PGO_MUST_CHECK;

#endif
