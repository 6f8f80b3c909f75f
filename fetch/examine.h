/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a stored object is and says of itself: kind, time, columns, build-ids, and the labels that
 * have one and the same value on all its samples.  Reads it to the end, so that what passes here
 * will be readable later.
 */
#ifndef PGO_FETCH_EXAMINE_H
#define PGO_FETCH_EXAMINE_H

#include "pgo/core/err.h"
#include "pgo/core/manifest.h"

#include <stdbool.h>

/* Is the file a profile or recording of a kind we read, by its first bytes? */
int pgo_examine_kind(const char *path, bool *ret, struct pgo_err *err) PGO_MUST_CHECK;
/*
 * Fills kind, time, duration, labels (host, service and version into their fields; the common
 * aliases hostname and service_name too), build-ids and sample types of `r`, whose lists are empty
 * so far.  Branch stacks in text form that do not say what was mapped where can only be read beside
 * their program: they are profiles, of which nothing but the kind is known. *ret_profile is false, and `r` holds the kind "none", for a file that is no profile; a
 * damaged one is PGO_EFORMAT.
 */
int pgo_examine(const char *path, struct pgo_record *r, bool *ret_profile,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
