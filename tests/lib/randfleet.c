/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/randfleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define N_LOCS 80

uint64_t randfleet_rnd(uint64_t *seed, uint64_t n)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % n;
}

static uint32_t str(struct pgo_profile *p, const char *s)
{
	return pgo_strtab_puts(&p->strs, s);
}

static uint32_t mapping(struct pgo_profile *p, uint64_t start, uint64_t limit, uint64_t offset,
	const char *file, const char *id)
{
	struct pgo_mapping m = {.start = start,
		.limit = limit,
		.offset = offset,
		.filename = str(p, file),
		.build_id = str(p, id)};

	return pgo_profile_add_mapping(p, &m);
}

static void header(struct pgo_profile *p, uint64_t *seed)
{
	static const char *const types[] = {
		"samples", "cpu", "lbr_traces", "lbr_mispredicts", "wall"};
	size_t first = randfleet_rnd(seed, 4), n = 1 + randfleet_rnd(seed, 4 - first);

	for (size_t i = first; i < first + n; i++)
		pgo_profile_add_sample_type(p, types[i], i == 1 ? "nanoseconds" : "count");
	if (randfleet_rnd(seed, 2))
		p->default_sample_type =
			p->sample_types[randfleet_rnd(seed, p->n_sample_types)].type;
	p->period_type.type = str(p, randfleet_rnd(seed, 2) ? "cpu" : "cycles");
	p->period_type.unit = str(p, "nanoseconds");
	p->period = (int64_t)randfleet_rnd(seed, 5) * 1000;
	p->time_ns = (int64_t)randfleet_rnd(seed, 5) * 1000000;
	p->duration_ns = (int64_t)randfleet_rnd(seed, 5) * 1000000;
	p->drop_frames = str(p, randfleet_rnd(seed, 2) ? "malloc" : "");
	pgo_profile_add_comment(p, randfleet_rnd(seed, 2) ? "one" : "two");
}

/* A location with one or two lines, of a function that others share. */
static uint32_t named(struct pgo_profile *p, uint64_t *seed, uint32_t map, uint64_t addr)
{
	struct pgo_line lines[2];
	uint32_t n = 1 + (uint32_t)randfleet_rnd(seed, 2);

	memset(lines, 0, sizeof lines);
	for (uint32_t i = 0; i < n; i++) {
		char name[32];
		struct pgo_function f = {.start_line = (int64_t)randfleet_rnd(seed, 3) * 10};

		snprintf(name, sizeof name, "ns::f%u", (unsigned)randfleet_rnd(seed, 12));
		f.name = f.system_name = str(p, name);
		f.filename = str(p, randfleet_rnd(seed, 2) ? "a.c" : "dir/b.c");
		lines[i].function = pgo_profile_add_function(p, &f);
		lines[i].line = (int64_t)randfleet_rnd(seed, 9);
	}
	return pgo_profile_add_location(p, map, addr, lines, n);
}

static void locations(struct pgo_profile *p, uint64_t *seed, uint32_t locs[N_LOCS])
{
	static const char *const builds[] = {"aabbccdd00", "aabbccdd01", ""};
	const uint64_t base = 0x550000000000u + randfleet_rnd(seed, 1000) * 0x1000;
	const uint64_t lib = 0x7f0000000000u + randfleet_rnd(seed, 1000) * 4096;
	uint32_t maps[4];

	maps[0] = mapping(p, base, base + 0x9000 - randfleet_rnd(seed, 3) * 100, 0x1000,
		randfleet_rnd(seed, 2) ? "/a/app" : "/b/app", builds[randfleet_rnd(seed, 3)]);
	maps[1] = mapping(p, lib, lib + 0x5000, 0x2000, "/lib/libc.so", "1122");
	maps[2] = mapping(p, 0, 0, 0, "/x/app", builds[randfleet_rnd(seed, 2)]);
	maps[3] = mapping(p, randfleet_rnd(seed, 2) * base, 0, 0, "[jit]", "");
	for (size_t i = 0; i < p->n_mappings; i++)
		p->mappings[i].has_functions = randfleet_rnd(seed, 3) != 0;
	for (unsigned i = 0; i < N_LOCS; i++) {
		switch (randfleet_rnd(seed, 8)) {
		case 0:
			locs[i] = named(p, seed, PGO_NONE, 0);
			break;
		case 1:
			locs[i] = pgo_profile_add_location(
				p, maps[1], lib + randfleet_rnd(seed, 30) * 16, NULL, 0);
			break;
		case 2: /* outside its mapping, or erased */
			locs[i] = pgo_profile_add_location(p, maps[randfleet_rnd(seed, 2)],
				randfleet_rnd(seed, 2) * (0x401000 + randfleet_rnd(seed, 10) * 4),
				NULL, 0);
			break;
		case 3:
			locs[i] = pgo_profile_add_location(p, maps[2 + randfleet_rnd(seed, 2)],
				0x1000 + randfleet_rnd(seed, 10) * 4, NULL, 0);
			p->locations[locs[i]].folded = randfleet_rnd(seed, 2);
			break;
		case 4:
			locs[i] = named(p, seed, maps[0], base + randfleet_rnd(seed, 60) * 8);
			break;
		default:
			locs[i] = pgo_profile_add_location(
				p, maps[0], base + randfleet_rnd(seed, 60) * 8, NULL, 0);
		}
	}
}

static void sample(struct pgo_profile *p, uint64_t *seed, const uint32_t locs[N_LOCS])
{
	struct pgo_label labels[2];
	uint32_t stack[12];
	int64_t values[8];
	struct pgo_sample s = {.loc = stack, .value = values, .label = labels};
	uint32_t deep = (uint32_t)randfleet_rnd(seed, 9), root = (uint32_t)randfleet_rnd(seed, 4);

	memset(labels, 0, sizeof labels);
	labels[0].key = str(p, "host");
	labels[0].str = str(p, randfleet_rnd(seed, 2) ? "h1" : "h2");
	labels[1].key = str(p, "bytes");
	labels[1].num = (int64_t)randfleet_rnd(seed, 2);
	labels[1].num_unit = str(p, "bytes");
	s.n_label = (uint32_t)randfleet_rnd(seed, 3);
	for (uint32_t i = 0; i < deep; i++)
		stack[s.n_loc++] = locs[randfleet_rnd(seed, N_LOCS)];
	for (uint32_t i = 0; i < root; i++)
		stack[s.n_loc++] = locs[i];
	for (size_t v = 0; v < p->n_sample_types; v++)
		values[v] = (int64_t)(randfleet_rnd(seed, 3) * randfleet_rnd(seed, 1000));
	assert_int_equal(pgo_profile_add_sample(p, &s), 0);
}

struct pgo_profile *randfleet_profile(uint64_t *seed, unsigned samples)
{
	struct pgo_profile *p = pgo_profile_new(NULL);
	uint32_t locs[N_LOCS];
	uint64_t n = 1 + randfleet_rnd(seed, samples);

	assert_non_null(p);
	header(p, seed);
	locations(p, seed, locs);
	for (uint64_t i = 0; i < n; i++)
		sample(p, seed, locs);
	return p;
}
