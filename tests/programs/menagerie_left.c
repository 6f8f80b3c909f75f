/* SPDX-License-Identifier: Apache-2.0 */
/* A jump table, a biased branch with a cold arm, a static function that the other half has too. */
#include "menagerie.h"

#include <stdio.h>
#include <stdlib.h>

static uint32_t slots[64];

static uint32_t table_at(uint32_t i)
{
	return slots[i & 63];
}

static __attribute__((noinline)) uint32_t step(uint32_t op, uint32_t x)
{
	switch (op) {
	case 0:
		return x + 17;
	case 1:
		return x * 5;
	case 2:
		return x ^ (x >> 3);
	case 3:
		return x << 2 | x >> 30;
	case 4:
		return x - table_at(x);
	case 5:
		return ~x;
	case 6:
		return x % 977;
	case 7:
		return x / 3 + 1;
	case 8:
		return x & 0xffff00ff;
	default:
		return x | 1;
	}
}

/* Not inlined away and called with one constant: compilers clone it. */
static __attribute__((noinline)) uint32_t scaled(uint32_t x, uint32_t by, const uint32_t *from)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < by; i++) {
		if (from[i & 63] > x)
			sum += from[i & 63] - x;
		else
			sum ^= x;
	}
	return sum;
}

static void give_up(uint32_t x)
{
	fprintf(stderr, "left: impossible value %u\n", (unsigned)x);
	exit(3);
}

uint32_t left_walk(struct dice *d, uint32_t n)
{
	uint32_t x = 1;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t r = dice_roll(d);

		slots[r & 63] = x;
		x += step(r % 11, x);
		if (__builtin_expect(x == 0xdeadbeef && r == 77, 0))
			give_up(x);
		if ((i & 15) == 0)
			x ^= scaled(x, 8, slots);
	}
	return x;
}
