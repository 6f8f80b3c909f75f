/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small program with every kind of control transfer, for testing the instrument: nested loops,
 * an indirect call table, a switch, recursion, a library calling back (qsort), a repeated string
 * instruction, a signal handler, a cold path. Its output depends on its arguments only.
 *
 * sample [ROUNDS [SEED]]
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N 512
#define NOINLINE __attribute__((noinline))

static uint32_t rng_state = 1;
static uint32_t table[N];
static volatile sig_atomic_t n_signals;

static NOINLINE uint32_t rng_next(void)
{
	rng_state = rng_state * 1664525u + 1013904223u;
	return rng_state >> 8;
}

static NOINLINE uint32_t op_add(uint32_t a, uint32_t b)
{
	return a + b;
}

static NOINLINE uint32_t op_mix(uint32_t a, uint32_t b)
{
	return (a ^ b) * 0x9e3779b1u;
}

static NOINLINE uint32_t op_scan(uint32_t a, uint32_t b)
{
	uint32_t i, n = 0;

	for (i = 0; i < (b & 31); i++)
		if (a >> i & 1)
			n += i;
	return n;
}

static uint32_t (*const ops[])(uint32_t, uint32_t) = {op_add, op_mix, op_scan, op_add};

static NOINLINE uint32_t fib(uint32_t n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static NOINLINE uint32_t dispatch(uint32_t kind, uint32_t x)
{
	switch (kind) {
	case 0:
		return x + 1;
	case 1:
		return x * 3;
	case 2:
		return x ^ 0x55;
	case 3:
		return x >> 3;
	case 4:
		return x | 0x100;
	case 5:
		return rng_next();
	case 6:
		return x - 7;
	default:
		return fib(x & 7);
	}
}

static NOINLINE uint32_t matrix(uint32_t size)
{
	uint32_t i, j, k, sum = 0;

	for (i = 0; i < size; i++)
		for (j = 0; j < size; j++)
			for (k = 0; k < size; k++)
				sum += table[(i * size + k) % N] * table[(k * size + j) % N];
	return sum;
}

static NOINLINE uint32_t one_round(uint32_t round)
{
	uint32_t i, sum = 0;

	for (i = 0; i < N; i++)
		table[i] = rng_next();
	qsort(table, N, sizeof(table[0]), compare);
	for (i = 0; i < N; i++) {
		sum += ops[table[i] & 3](table[i], i);
		sum = dispatch((sum >> 4 ^ i) & 7, sum);
		if (__builtin_expect((sum & 0xfffff) == 0x12345, 0))
			fprintf(stderr, "rare value in round %u\n", (unsigned)round);
	}
	return sum + matrix(12);
}

static void on_signal(int sig)
{
	(void)sig;
	n_signals++;
}

static void repeated_store(char *to, size_t n)
{
#ifdef __x86_64__
	__asm__ volatile("xor %%eax, %%eax; rep stosb" : "+D"(to), "+c"(n) : : "rax", "memory");
#else
	memset(to, 0, n);
#endif
}

int main(int argc, char **argv)
{
	uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100, i, sum = 0;
	static char buf[1000];

	if (argc > 2)
		rng_state = (uint32_t)strtoul(argv[2], NULL, 10);
	signal(SIGUSR1, on_signal);
	for (i = 0; i < rounds; i++) {
		sum = sum * 31 + one_round(i);
		repeated_store(buf, sizeof(buf));
		if (i % 64 == 0)
			raise(SIGUSR1);
	}
	printf("rounds %u signals %d sum %08x\n", (unsigned)rounds, (int)n_signals, (unsigned)sum);
	return 0;
}
