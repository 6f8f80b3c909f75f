/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen_verify OUT before|after HOSTS SAMPLES STACKS
 *
 * One profile of a fleet: SAMPLES samples drawn from STACKS common stacks, each of one of HOSTS hosts
 * by its label, with functions and lines, some inlined; hosts differ in their mix.  After: every
 * hundredth function costs a tenth more.  The same arguments give the same bytes.
 */
#include "pgo/core/alloc.h"
#include "pgo/core/pprof.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_FUNCTIONS 5000
#define N_LOCATIONS 12000

static uint64_t state = 1;

static uint64_t rnd(uint64_t n)
{
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % n;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t z = (a + 1) * 0x9e3779b97f4a7c15u + b;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Frame `i` from the root: stacks share their outer frames, as call trees do. */
static uint32_t frame(uint64_t s, uint32_t i)
{
	return (uint32_t)(mix(i < 6 ? s % 7 : i < 16 ? s % 997 : s, i) % N_LOCATIONS);
}

static void add_tables(struct pgo_profile *p)
{
	struct pgo_mapping m = {.start = 0x1000,
		.limit = 0x10000000,
		.filename = pgo_strtab_puts(&p->strs, "/srv/app"),
		.build_id = pgo_strtab_puts(&p->strs, "00112233445566778899aabbccddeeff00112233")};
	char name[80];

	pgo_profile_add_sample_type(p, "samples", "count");
	pgo_profile_add_sample_type(p, "cpu", "nanoseconds");
	pgo_profile_add_mapping(p, &m);
	for (uint32_t i = 0; i < N_FUNCTIONS; i++) {
		struct pgo_function f = {0};

		snprintf(name, sizeof name, "_ZN4shop7Service%uE7processERKNS_7RequestE", i);
		f.name = pgo_strtab_puts(&p->strs, name);
		f.system_name = f.name;
		pgo_profile_add_function(p, &f);
	}
	for (uint32_t i = 0; i < N_LOCATIONS; i++) {
		struct pgo_line lines[2] = {{(uint32_t)(mix(i, 1) % N_FUNCTIONS), 10, 0},
			{(uint32_t)(mix(i, 2) % N_FUNCTIONS), 20, 0}};

		pgo_profile_add_location(p, 0, 0x1000 + 16 * (uint64_t)i, lines, 1 + i % 3 / 2);
	}
	p->time_ns = 1790000000000000000;
	p->duration_ns = 60000000000;
}

int main(int argc, char **argv)
{
	struct pgo_profile *p = pgo_profile_new(NULL);
	uint64_t hosts, samples, stacks;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_label label;
	char name[32];
	int after;

	if (argc != 6 || p == NULL) {
		fputs("usage: gen_verify OUT before|after HOSTS SAMPLES STACKS\n", stderr);
		return 2;
	}
	after = strcmp(argv[2], "after") == 0;
	hosts = strtoull(argv[3], NULL, 10);
	samples = strtoull(argv[4], NULL, 10);
	stacks = strtoull(argv[5], NULL, 10);
	state = after ? 99 : 7;
	add_tables(p);
	memset(&label, 0, sizeof label);
	label.key = pgo_strtab_puts(&p->strs, "host");
	for (uint64_t i = 0; i < samples; i++) {
		uint64_t host = i * hosts / samples, a = rnd(stacks), b = rnd(stacks);
		uint64_t s = a < b ? a : b; /* the first are the hottest */
		uint32_t locs[40], n = 14 + (uint32_t)(mix(s, 3) % 20);
		int64_t values[2] = {1 + (int64_t)rnd(3), 0};

		if (i * hosts % samples < hosts) {
			snprintf(name, sizeof name, "web-%llu", (unsigned long long)host);
			label.str = pgo_strtab_puts(&p->strs, name);
		}
		for (uint32_t k = 0; k < n; k++)
			locs[n - 1 - k] = frame(s, k);
		values[1] = values[0] * 10000000;
		if (mix(s, host) % 5 == 0)
			values[1] += values[1] / 4;
		if (after && p->lines[p->locations[locs[0]].first_line].function % 100 == 0)
			values[1] += values[1] / 10;
		if (pgo_profile_add_sample(p, &(struct pgo_sample){.loc = locs,
						      .value = values,
						      .label = &label,
						      .n_loc = n,
						      .n_label = 1}) < 0)
			return 1;
	}
	if (pgo_pprof_write(p, argv[1], &err) < 0) {
		fprintf(stderr, "gen_verify: %s\n", err.msg);
		return 1;
	}
	pgo_profile_free(p);
	return 0;
}
