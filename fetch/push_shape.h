/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shape in which stores keep a profile whole.  Stores join the profiles of many hosts by rules of
 * their own, and drop what they think they know better; what gets through all of them is:
 *
 *	addresses	those of the ELF file, below a mapping for each segment that begins at the
 *			segment's own address: equal on every host, whatever the address was there,
 *			so that stores which do not rebase addresses join them rightly too.  Also
 *			right without the program: mappings that begin at their file offset
 *	functions	has_functions (and its like) false: some stores erase addresses otherwise
 *	lines		none where there is an address: some stores give the names back instead of
 *			it.  Locations without address keep theirs (names of branch traces' ends)
 *	samples		without labels, which become labels of the whole profile where they are the
 *			same on all; equal stacks summed; sorted
 *	ids		from 1 on, without gaps
 *	period		always there, since some divide or multiply by it; names of types of letters,
 *			digits and _ only, as they become parts of queries
 *
 * More samples than a store takes at once are split by a hash of their stacks into profiles a
 * millisecond apart (some take two of one time for the same), which merge to the whole again.  The
 * same profile gives the same bytes, whatever order its samples and tables have.
 */
#ifndef PGO_FETCH_PUSH_SHAPE_H
#define PGO_FETCH_PUSH_SHAPE_H

#include "pgo/core/elf.h"
#include "pgo/core/err.h"
#include "pgo/core/manifest.h"
#include "pgo/core/profile.h"

/* Programs and libraries, for their program headers. */
struct pgo_push_elfs {
	struct pgo_elf **of;
	size_t n, room;
	char **missed; /* paths that are not what they were */
	size_t n_missed, missed_room;
};

int pgo_push_elfs_add(
	struct pgo_push_elfs *e, const char *path, struct pgo_err *err) PGO_MUST_CHECK;
/* Adds the files that the profile's mappings name, where those are on this machine and have the
 * same build-id. */
int pgo_push_elfs_find(
	struct pgo_push_elfs *e, const struct pgo_profile *p, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_push_elfs_fini(struct pgo_push_elfs *e);

struct pgo_shape_options {
	const struct pgo_push_elfs *elfs;
	const struct pgo_record *record; /* labels that travel with the whole, and the time */
	uint32_t max_samples;            /* of one piece; 0 = any number */
};

struct pgo_shape_stats {
	uint64_t samples;     /* read */
	uint64_t samples_put; /* stacks with a value that is not 0, in all pieces */
	/* Locations: all of them are in one of these. */
	uint64_t rebased; /* got the address that they have in the file */
	uint64_t already; /* had it, or lie in a mapping that begins at its file offset */
	uint64_t left;    /* keep the address of one process for want of the program */
	uint64_t without; /* have no address */
	/* What has no room in the shape. */
	uint64_t lines, labels, comments;
};

struct pgo_shaped {
	struct pgo_profile **parts;
	size_t n, room;
	char *left_name; /* of the file of a location that was left, "" if it has none; or NULL */
};

/* Reads `rd` to its end.  Fills *ret (pgo_shaped_fini) and adds to *stats.  A sum beyond 63 bits is
 * PGO_ELIMIT, a profile without any value PGO_EEMPTY. */
int pgo_push_shape(struct pgo_reader *rd, const struct pgo_shape_options *o, struct pgo_shaped *ret,
	struct pgo_shape_stats *stats, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_shaped_fini(struct pgo_shaped *s);

#endif
