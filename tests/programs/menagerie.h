/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the menagerie share: see menagerie.cpp. */
#ifndef MENAGERIE_H
#define MENAGERIE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The state of a small generator: same seed, same numbers, on every machine. */
struct dice {
	uint32_t state;
};

static inline uint32_t dice_roll(struct dice *d)
{
	d->state = d->state * 1664525u + 1013904223u;
	return d->state >> 9;
}

/* Both keep static functions of the same names: step(), table_at(). */
uint32_t left_walk(struct dice *d, uint32_t n);
uint32_t right_walk(struct dice *d, uint32_t n);

#ifdef __cplusplus
}
#endif

#endif
