/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What decoding samples and locations directly brings over protobuf-c: nanoseconds a message, best
 * of several rounds in one run, both over the same bytes and both checked to see the same content.
 */
#include "pgo/core/alloc.h"
#include "pgo/core/pprof_impl.h"

#include "profile.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SAMPLES = 100000, FRAMES = 24, LOCATIONS = 20000, ROUNDS = 7 };

static uint64_t rng = 7;

static uint64_t any(uint64_t below)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (rng >> 33) % below;
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "bench_pprof: %s\n", what);
	exit(1);
}

/* Stacks as profilers see them: the same callers over and over, other leaves. */
static struct pgo_profile *make_profile(void)
{
	struct pgo_profile *p = pgo_profile_new(NULL);
	struct pgo_mapping m = {.start = 0x400000, .limit = 0x4000000};
	struct pgo_function f = {0};
	uint32_t loc[FRAMES + 8];
	int64_t value[2];

	pgo_profile_add_sample_type(p, "samples", "count");
	pgo_profile_add_sample_type(p, "cpu", "nanoseconds");
	pgo_profile_add_mapping(p, &m);
	pgo_profile_add_function(p, &f);
	for (uint32_t i = 0; i < LOCATIONS; i++) {
		struct pgo_line lines[2] = {
			{.line = (int64_t)any(2000)}, {.line = (int64_t)any(2000)}};

		pgo_profile_add_location(
			p, 0, 0x400000 + any(0x3000000), lines, (uint32_t)any(2) + 1);
	}
	for (uint32_t i = 0; i < SAMPLES; i++) {
		struct pgo_sample s = {.loc = loc, .value = value};

		s.n_loc = FRAMES - 8 + (uint32_t)any(16);
		for (uint32_t k = 0; k < s.n_loc; k++)
			loc[k] = (uint32_t)(k < 4 ? any(LOCATIONS) : any(1000));
		value[0] = (int64_t)any(20) + 1;
		value[1] = value[0] * 10000000;
		if (pgo_profile_add_sample(p, &s) < 0)
			die("out of memory");
	}
	return p;
}

/* The messages of one field of the profile. */
static size_t messages(const struct pgo_buf *b, uint32_t number, struct pgo_wire *ret)
{
	struct pgo_wire w = {(const uint8_t *)b->data, (const uint8_t *)b->data + b->len};
	struct pgo_wire_field f;
	size_t n = 0;

	while (w.p < w.end && pgo_wire_next(&w, &f))
		if (f.number == number)
			ret[n++] = f.in;
	return n;
}

static void *arena_alloc(void *ctx, size_t size)
{
	return pgo_arena_alloc(ctx, size);
}

static void arena_free(void *ctx, void *p)
{
	(void)ctx;
	(void)p;
}

static struct pgo_pprof_tables tables;

static uint64_t samples_direct(const struct pgo_wire *m, size_t n)
{
	struct pgo_pprof_sample_buf buf = {0};
	struct pgo_sample s;
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		if (pgo_pprof_sample_decode(&buf, &tables, m[i], &s, NULL) < 0)
			die("a sample does not decode");
		sum += s.n_loc + (uint64_t)s.value[1] + s.loc[0];
	}
	pgo_pprof_sample_buf_fini(&buf);
	return sum;
}

static uint64_t samples_protobuf_c(const struct pgo_wire *m, size_t n, bool arena)
{
	struct pgo_arena a;
	ProtobufCAllocator alloc = {arena_alloc, arena_free, &a};
	uint64_t sum = 0;

	pgo_arena_init(&a, (size_t)1 << 30);
	for (size_t i = 0; i < n; i++) {
		Perftools__Profiles__Sample *s;

		pgo_arena_reset(&a);
		s = perftools__profiles__sample__unpack(
			arena ? &alloc : NULL, (size_t)(m[i].end - m[i].p), m[i].p);
		if (s == NULL)
			die("protobuf-c does not decode a sample");
		/* Ids to indices is part of the work; these are sequential. */
		sum += s->n_location_id + (uint64_t)s->value[1] + s->location_id[0] - 1;
		if (!arena)
			perftools__profiles__sample__free_unpacked(s, NULL);
	}
	pgo_arena_fini(&a);
	return sum;
}

static uint64_t locations_direct(const struct pgo_wire *m, size_t n)
{
	struct pgo_pprof_line lines[64];
	struct pgo_pprof_location l;
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		if (!pgo_pprof_location_decode(m[i], &l, lines, 64))
			die("a location does not decode");
		sum += l.addr + l.n_lines + (uint64_t)lines[0].line;
	}
	return sum;
}

static uint64_t locations_protobuf_c(const struct pgo_wire *m, size_t n, bool arena)
{
	struct pgo_arena a;
	ProtobufCAllocator alloc = {arena_alloc, arena_free, &a};
	uint64_t sum = 0;

	pgo_arena_init(&a, (size_t)1 << 30);
	for (size_t i = 0; i < n; i++) {
		Perftools__Profiles__Location *l;

		pgo_arena_reset(&a);
		l = perftools__profiles__location__unpack(
			arena ? &alloc : NULL, (size_t)(m[i].end - m[i].p), m[i].p);
		if (l == NULL)
			die("protobuf-c does not decode a location");
		sum += l->address + l->n_line + (uint64_t)l->line[0]->line;
		if (!arena)
			perftools__profiles__location__free_unpacked(l, NULL);
	}
	pgo_arena_fini(&a);
	return sum;
}

struct result {
	double direct, arena, heap; /* ns a message */
};

static struct result measure(const struct pgo_wire *m, size_t n,
	uint64_t (*direct)(const struct pgo_wire *, size_t),
	uint64_t (*other)(const struct pgo_wire *, size_t, bool))
{
	struct result best = {1e18, 1e18, 1e18};

	for (int round = 0; round < ROUNDS; round++) {
		double t0 = now_ns(), t1, t2, t3;
		uint64_t a = direct(m, n), b, c;

		t1 = now_ns();
		b = other(m, n, true);
		t2 = now_ns();
		c = other(m, n, false);
		t3 = now_ns();
		if (a != b || a != c)
			die("the decoders see different content");
		best.direct = t1 - t0 < best.direct ? t1 - t0 : best.direct;
		best.arena = t2 - t1 < best.arena ? t2 - t1 : best.arena;
		best.heap = t3 - t2 < best.heap ? t3 - t2 : best.heap;
	}
	return (struct result){
		best.direct / (double)n, best.arena / (double)n, best.heap / (double)n};
}

static void print(const char *what, struct result r)
{
	printf("%-10s direct %6.1f ns   protobuf-c on an arena %6.1f ns (%.1fx)   on the heap "
	       "%6.1f "
	       "ns (%.1fx)\n",
		what, r.direct, r.arena, r.arena / r.direct, r.heap, r.heap / r.direct);
}

/* Opening and drawing everything, against unpacking the whole profile at once. */
static void whole(const struct pgo_buf *b)
{
	double best = 1e18, other = 1e18;

	for (int round = 0; round < ROUNDS; round++) {
		double t0 = now_ns(), t1;
		struct pgo_reader *r = pgo_pprof_open_memory("bench", b->data, b->len, NULL, NULL);
		Perftools__Profiles__Profile *m;
		struct pgo_sample s;

		if (r == NULL)
			die("the profile does not open");
		while (pgo_reader_next(r, &s, NULL) > 0)
			;
		pgo_reader_close(r);
		t1 = now_ns();
		best = t1 - t0 < best ? t1 - t0 : best;
		m = perftools__profiles__profile__unpack(NULL, b->len, (const uint8_t *)b->data);
		if (m == NULL)
			die("protobuf-c does not decode the profile");
		perftools__profiles__profile__free_unpacked(m, NULL);
		other = now_ns() - t1 < other ? now_ns() - t1 : other;
	}
	printf("%-10s reader %.1f ms, %.0f MB/s   protobuf-c unpack and free %.1f ms (%.1fx)\n",
		"profile", best / 1e6, (double)b->len / best * 1e3, other / 1e6, other / best);
}

int main(void)
{
	struct pgo_profile *p = make_profile();
	struct pgo_wire *m = calloc(SAMPLES, sizeof *m);
	struct pgo_buf b;
	size_t n;

	pgo_buf_init(&b, (size_t)1 << 30);
	if (m == NULL || pgo_pprof_encode(p, false, &b, NULL) < 0)
		die("the profile cannot be made");
	pgo_pprof_tables_init(&tables, p, &pgo_pprof_default_limits);
	for (uint64_t i = 0; i < LOCATIONS; i++)
		if (pgo_pprof_ids_add(&tables.location_ids, i + 1, "location", NULL) < 0)
			die("out of memory");
	printf("%d samples of about %d frames, %d locations, %.1f MB\n", SAMPLES, FRAMES, LOCATIONS,
		(double)b.len / 1e6);
	n = messages(&b, PGO_PPROF_SAMPLE, m);
	print("sample", measure(m, n, samples_direct, samples_protobuf_c));
	n = messages(&b, PGO_PPROF_LOCATION, m);
	print("location", measure(m, n, locations_direct, locations_protobuf_c));
	whole(&b);
	pgo_pprof_tables_fini(&tables);
	pgo_profile_free(p);
	pgo_buf_fini(&b);
	free(m);
	return 0;
}
