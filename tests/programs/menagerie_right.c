/* SPDX-License-Identifier: Apache-2.0 */
/* Recursion, a callback from the library, a tail call, a loop to unroll; see menagerie_left.c. */
#include "menagerie.h"

#include <stdlib.h>
#include <string.h>

#define N 96

static uint32_t items[N];

static uint32_t table_at(uint32_t i)
{
	return items[i % N];
}

static __attribute__((noinline)) uint32_t step(uint32_t depth, uint32_t x)
{
	if (depth == 0)
		return x + table_at(x);
	if (x & 1)
		return step(depth - 1, x >> 1) + step(depth - 1, x ^ 0x5555);
	return step(depth - 1, x + 3);
}

static int compare(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static uint32_t weigh(const uint32_t *v, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + v[i] * v[i];
	return sum;
}

static __attribute__((noinline)) uint32_t odd(uint32_t n, uint32_t x);

/* even() and odd() call each other as their last act: jumps between functions. */
static __attribute__((noinline)) uint32_t even(uint32_t n, uint32_t x)
{
	return n == 0 ? x : odd(n - 1, x * 3);
}

static __attribute__((noinline)) uint32_t odd(uint32_t n, uint32_t x)
{
	return n == 0 ? ~x : even(n - 1, x + 5);
}

uint32_t right_walk(struct dice *d, uint32_t n)
{
	uint32_t x = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (i % 64 == 0) {
			for (int k = 0; k < N; k++)
				items[k] = dice_roll(d);
			qsort(items, N, sizeof(items[0]), compare);
			x += weigh(items, N);
		}
		x += step(3, dice_roll(d));
		x ^= even(x & 7, i);
	}
	return x;
}
