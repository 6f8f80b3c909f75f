/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of many profiles to take where not all are wanted: as many as possible of every kind.
 *
 * A kind (stratum) is a host, an hour of the week and a build.  Within a kind the order is that of a
 * hash of the names; hosts take turns, and each host gives one of every kind it has before it gives
 * a second.  So N profiles are of all hosts, evenly (to within one, as far as there are any), and of
 * as many hours and builds of each as N allows.  There is no chance in it: the same profiles are
 * taken in whatever order they are listed and whenever one looks; a new profile takes the place of
 * at most one other.
 */
#ifndef PGO_FETCH_STRATA_H
#define PGO_FETCH_STRATA_H

#include "pgo/core/err.h"

#include <stddef.h>
#include <stdint.h>

struct pgo_sample_item {
	const char *name, *host, *build; /* borrowed; "" if unknown */
	int64_t time_ns;                 /* 0 = unknown */
};

/* 0 = Monday 00:00 to 01:00 UTC, ..., 167; 168 where the time is not known. */
unsigned pgo_hour_of_week(int64_t time_ns);
/* Fills order[0..n) with the indices of items, the first to take first. */
int pgo_sample_order(const struct pgo_sample_item *items, size_t n, size_t *order,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
