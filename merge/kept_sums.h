/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums of profiles, kept from one run to the next: so that what was summed up once is read as one
 * small file instead of as many large ones.
 *
 * A directory with one file a sum:
 *	magic "pgo-sum\n", version, number of members, exponent, length of the sum, hash of all that
 *	stands before and after this; then the members, sorted; then the sum, as a partial
 *	(merge/partial.h)
 * A member is a digest of a profile, its mantissa and exponent of age (merge/weight.h), and of all
 * that decides how profiles are read and summed: the same members are the same sum, to the last bit.
 * The sum is that of values x mantissa x 2^(exponent - that of the file), which does not depend on
 * when it was made.  What is damaged, of another version, or has a member that is not wanted, is not
 * used; nothing is ever believed that the hash does not cover.
 */
#ifndef PGO_MERGE_KEPT_SUMS_H
#define PGO_MERGE_KEPT_SUMS_H

#include "merge/merge.h"
#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgo_kept_member {
	uint8_t id[16];
};

struct pgo_kept_sum {
	char *path;
	struct pgo_kept_member *members; /* sorted */
	size_t n;
	int64_t exponent;
	uint64_t bytes, len, hash; /* of the file, and of the sum in it */
	size_t head;
	size_t n_wanted; /* members */
	bool gone;
};

struct pgo_kept_sums {
	char *dir;
	struct pgo_kept_sum *of; /* the largest first */
	size_t n, room;
	uint64_t read_bytes;
};

int pgo_kept_member_cmp(const void *a, const void *b);

/* Reads the heads of all files; a missing directory is empty. Fills *ret (pgo_kept_sums_fini);
 * fails only when out of memory. */
int pgo_kept_sums_open(
	struct pgo_kept_sums *ret, const char *dir, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_kept_sums_fini(struct pgo_kept_sums *k);

/* Notes how many of their members are among these (sorted), for when all is tidied. */
void pgo_kept_sums_want(struct pgo_kept_sums *k, const struct pgo_kept_member *wanted, size_t n);
/* The largest sum all of whose members are among the `n` wanted (sorted) and not `done` yet, which
 * are marked then; NULL if there is none. */
struct pgo_kept_sum *pgo_kept_sums_choose(
	struct pgo_kept_sums *k, const struct pgo_kept_member *wanted, size_t n, bool *done);
/* Adds its sum to `m`, `times` as large.  PGO_EFORMAT before anything was added if the file is not
 * what it says; after another failure throw `m` away. */
int pgo_kept_sum_load(struct pgo_kept_sums *k, struct pgo_kept_sum *s, struct pgo_merge *m,
	uint64_t times, struct pgo_err *err) PGO_MUST_CHECK;
/* Writes the sum in `m`, which stays as it was; `replaces`: sums of at least half of its members and
 * no others go.  A merger that is partly on disk is not kept. */
int pgo_kept_sums_store(struct pgo_kept_sums *k, struct pgo_merge *m, bool keep_labels,
	const struct pgo_kept_member *members, size_t n, int64_t exponent, bool replaces,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Removes the files of which fewer than half of the members are wanted, and then the oldest until no more than
 * `max_bytes` are left. */
void pgo_kept_sums_tidy(struct pgo_kept_sums *k, uint64_t max_bytes);

#endif
