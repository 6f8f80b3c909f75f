/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles of a made-up fleet: two builds and a library at random addresses, random columns, deep
 * stacks that share their roots, pseudo-locations, erased and foreign addresses, lines, labels,
 * comments.  The same for the same seed.
 */
#ifndef PGO_TESTS_RANDFLEET_H
#define PGO_TESTS_RANDFLEET_H

#include "pgo/core/profile.h"

#include <stdint.h>

/* 0..n-1; advances the seed. */
uint64_t randfleet_rnd(uint64_t *seed, uint64_t n);
/* Gives a profile (pgo_profile_free) of at most `samples` samples. */
struct pgo_profile *randfleet_profile(uint64_t *seed, unsigned samples);

#endif
