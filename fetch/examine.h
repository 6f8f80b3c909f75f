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

/* What the locations of a profile say, each once. */
struct pgo_address_account {
	uint64_t inside;   /* an address within its mapping */
	uint64_t bare;     /* an address of the file itself: its mapping has no range */
	uint64_t outside;  /* an address outside of its mapping */
	uint64_t unmapped; /* an address without a mapping */
	uint64_t named;    /* no address, but names */
	uint64_t erased;   /* neither */
	uint64_t markers;  /* what stands for an unknown end of a trace of branches */
	/* Mappings that locations with an address lie in: */
	uint64_t no_build_id;   /* without a build-id */
	uint64_t json_build_id; /* with one that a store put into JSON */
};

/* What a profile is good for. */
enum pgo_address_class {
	PGO_ADDRESSED, /* has addresses */
	PGO_SYMBOLIC,  /* has names, and no address */
	PGO_ERASED,    /* has locations with neither: of no use at all */
	PGO_BLANK,     /* has no location, or only markers: cannot tell */
};

/* Of a number of profiles. */
struct pgo_address_stats {
	uint64_t profiles; /* = the sum of the next four */
	uint64_t addressed, symbolic, erased, blank;
	uint64_t outside;                    /* of the addressed: some lie outside their mapping */
	uint64_t no_build_id, json_build_id; /* of the addressed: have such a mapping */
	struct pgo_address_account locations;
};

enum pgo_address_class pgo_address_account_class(const struct pgo_address_account *a);
void pgo_address_stats_add(struct pgo_address_stats *s, const struct pgo_address_account *a);

uint64_t pgo_address_account_total(const struct pgo_address_account *a);

/* Is the file a profile or recording of a kind we read, by its first bytes? */
int pgo_examine_kind(const char *path, bool *ret, struct pgo_err *err) PGO_MUST_CHECK;
/*
 * Fills kind, time, duration, labels (host, service and version into their fields; the common
 * aliases hostname and service_name too), build-ids and sample types of `r`, whose lists are empty
 * so far.  Branch stacks in text form that do not say what was mapped where can only be read beside
 * their program: they are profiles, of which nothing but the kind is known. *ret_profile is false, and `r` holds the kind "none", for a file that is no profile; a
 * damaged one is PGO_EFORMAT.
 */
int pgo_examine(const char *path, struct pgo_record *r, struct pgo_address_account *ret_account,
	bool *ret_profile, struct pgo_err *err) PGO_MUST_CHECK;

#endif
