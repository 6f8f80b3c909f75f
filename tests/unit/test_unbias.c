/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings -> executions, on a program of which everything is known: a random walk over TARGETS places,
 * from each of which a run of known length goes to one of two others.
 */
#include "fetch/import.h"
#include "fetch/unbias.h"
#include "pgo/core/alloc.h"
#include "pgo/core/lbr.h"
#include "tests/lib/perfbytes.h"
#include "tests/lib/scratch.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TARGETS 48u
#define TRACES (TARGETS * TARGETS) /* by (place before, place) */
#define DEPTH_MAX 64u
#define ONE (1u << PGO_UNBIAS_LENGTH_BITS)

struct walk {
	uint64_t random;
	uint32_t code[TARGETS], cycles[TARGETS]; /* of the run from there */
	uint64_t exact[TRACES];
	struct pgo_unbias_trace traces[TRACES];
	uint64_t weights[TRACES];
	struct pgo_unbias_group group;
	struct pgo_spool rings;
	struct pgo_unbias u;
};

static uint32_t next_random(struct walk *w, uint32_t below)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(w->random >> 33) % below;
}

static void walk_init(struct walk *w)
{
	memset(w, 0, sizeof *w);
	w->random = 42;
	for (uint32_t i = 0; i < TARGETS; i++) {
		w->code[i] = 1 + next_random(w, i % 4 == 0 ? 60 : 8);
		w->cycles[i] = 1 + next_random(w, i % 5 == 0 ? 100 : 6);
	}
	for (uint32_t i = 0; i < TRACES; i++)
		w->traces[i] =
			(struct pgo_unbias_trace){1 + i % TARGETS, w->code[i % TARGETS] * ONE};
	pgo_spool_init(&w->rings);
	w->group = (struct pgo_unbias_group){w->traces, w->weights, TRACES};
	w->u = (struct pgo_unbias){.rings = &w->rings,
		.groups = &w->group,
		.n_groups = 1,
		.n_targets = TARGETS + 1,
		.code_mean = ONE,
		.code_per_byte = ONE / 4};
}

/* Where the walk goes on. */
static uint32_t step(struct walk *w, uint32_t at)
{
	return next_random(w, 8) < 5 ? (at * 7 + 3) % TARGETS : (at * 5 + 11 + at / 9) % TARGETS;
}

struct sampling {
	enum pgo_event_unit unit; /* what fires: every `period` of it */
	uint32_t depth, rings;
	bool no_cycles; /* entries carry none */
	/* What that costs.  Then there are two phases, in which different places are gone to; the
	 * branches of the one are mispredicted now and then. */
	uint32_t mispredicted;
	uint32_t event;
	uint64_t period; /* as the rings say; 0 = the true one */
};

#define PERIOD 701u

/* Walks until so many rings were seen; exact counts of all that ran. */
static void sample(struct walk *w, const struct sampling *s)
{
	uint32_t id[DEPTH_MAX], at = 0, n = 0, n_steps = 0;
	uint16_t cycles[DEPTH_MAX];
	uint64_t left = PERIOD;

	for (uint32_t rings = 0; rings < s->rings;) {
		uint32_t phase = s->mispredicted != 0 ? n_steps++ / 5000 % 2 : 2;
		uint32_t to = phase < 2 ? (step(w, at) & ~1u) + phase : step(w, at);
		uint32_t trace = at * TARGETS + to;
		uint64_t takes = s->unit == PGO_UNIT_BRANCHES       ? 1
				 : s->unit == PGO_UNIT_INSTRUCTIONS ? w->code[to]
								    : w->cycles[to];
		bool missed = phase == 1 && next_random(w, 24) < to % 24;

		if (missed)
			takes += s->mispredicted;
		memmove(id + 1, id, (DEPTH_MAX - 1) * sizeof *id);
		memmove(cycles + 1, cycles, (DEPTH_MAX - 1) * sizeof *cycles);
		id[0] = trace | (missed ? PGO_SPOOL_MISPREDICTED : 0);
		cycles[0] = (uint16_t)w->cycles[at];
		n += n < s->depth;
		w->exact[trace]++;
		at = to;
		if (takes < left) {
			left -= takes;
			continue;
		}
		left = PERIOD - (takes - left) % PERIOD;
		assert_int_equal(pgo_spool_add(&w->rings,
					 &(struct pgo_spool_ring){
						 .period = s->period != 0 ? s->period : PERIOD,
						 .event = s->event,
						 .n = n,
						 .has_cycles = !s->no_cycles},
					 id, cycles, NULL),
			0);
		rings++;
	}
}

static struct pgo_unbias_result estimate(
	struct walk *w, const struct sampling *s, enum pgo_event_unit said)
{
	struct pgo_unbias_event e = {
		.index = s->event, .unit = said, .depth = s->depth, .has_cycles = !s->no_cycles};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_unbias_result r;

	if (pgo_unbias_run(&w->u, &e, &r, &err) != 0)
		fail_msg("%s", err.msg);
	return r;
}

/* What weights and exact counts have in common, per cent; the total's ratio. */
static double overlap(const struct walk *w, double *ret_total)
{
	double all = 0, exact = 0, same = 0;

	for (uint32_t i = 0; i < TRACES; i++) {
		all += (double)w->weights[i];
		exact += (double)w->exact[i];
	}
	for (uint32_t i = 0; i < TRACES; i++) {
		double a = (double)w->weights[i] / all, b = (double)w->exact[i] / exact;

		same += a < b ? a : b;
	}
	if (ret_total != NULL)
		*ret_total = all / (1 << PGO_UNBIAS_WEIGHT_BITS) / exact;
	return 100 * same;
}

static void walk_fini(struct walk *w)
{
	pgo_spool_fini(&w->rings);
}

/* ---------------------------------------------------------------- the estimate */

static void branch_events_weigh_every_trace_alike(void **state)
{
	struct sampling s = {.unit = PGO_UNIT_BRANCHES, .depth = 16, .rings = 3000};
	struct pgo_unbias_result r;
	struct walk w;
	double total;

	(void)state;
	walk_init(&w);
	sample(&w, &s);
	r = estimate(&w, &s, PGO_UNIT_BRANCHES);
	assert_int_equal(r.unit, PGO_UNBIAS_ONE);
	assert_int_equal(r.rings, 3000);
	assert_int_equal(r.entries, 3000 * 16);
	assert_true(r.absolute);
	assert_false(r.self_timed);
	assert_true(r.phi < 0.02 && r.phi > -0.02);
	/* P / d each */
	for (uint32_t i = 0; i < TRACES; i++)
		assert_int_equal(w.weights[i] % ((PERIOD << 16) / 16), 0);
	assert_true(overlap(&w, &total) > 98);
	assert_true(total > 0.995 && total < 1.005);
	walk_fini(&w);
}

static void the_unit_of_the_event_takes_the_bias_out(void **state)
{
	static const enum pgo_event_unit units[] = {PGO_UNIT_INSTRUCTIONS, PGO_UNIT_CYCLES};
	static const uint32_t depths[] = {8, 16, 32, 64};

	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < 4; k++) {
			struct sampling s = {.unit = units[i], .depth = depths[k], .rings = 20000};
			struct pgo_unbias_result r;
			double total, before;
			struct walk w;

			walk_init(&w);
			sample(&w, &s);
			estimate(&w, &s, PGO_UNIT_BRANCHES); /* as if there were no bias */
			before = overlap(&w, NULL);
			memset(w.weights, 0, sizeof w.weights);
			r = estimate(&w, &s, units[i]);
			assert_true(r.phi < 0.02);
			assert_true(overlap(&w, &total) > 98.5);
			assert_true(overlap(&w, &total) > before + 1);
			/* Windows that are shorter than the horizon are not known to be. */
			assert_true(total > 0.95 && total < 1.01);
			walk_fini(&w);
		}
}

static void rings_that_were_not_full_count_as_much(void **state)
{
	struct sampling s = {.unit = PGO_UNIT_CYCLES, .depth = 32, .rings = 20000};
	struct sampling part = s;
	struct pgo_spool shorter;
	struct pgo_spool_ring r;
	const uint16_t *cycles;
	const uint32_t *ids;
	struct walk w;
	double total;
	uint32_t i = 0;

	(void)state;
	walk_init(&w);
	sample(&w, &s);
	/* Every other ring was cleared on the way, 5 to 31 branches ago. */
	pgo_spool_init(&shorter);
	pgo_spool_rewind(&w.rings);
	while (pgo_spool_next(&w.rings, &r, &ids, &cycles, NULL) > 0) {
		if (i++ % 2 == 0)
			r.n = 5 + i / 2 % 27;
		assert_int_equal(pgo_spool_add(&shorter, &r, ids, cycles, NULL), 0);
	}
	w.u.rings = &shorter;
	estimate(&w, &part, PGO_UNIT_CYCLES);
	assert_true(overlap(&w, &total) > 98);
	/* What was cleared is not made up for: 18 of 32 on the mean, in half of them. */
	assert_true(total > 0.74 && total < 0.80);
	pgo_spool_fini(&shorter);
	walk_fini(&w);
}

static void without_lengths_targets_say_how_long_they_take(void **state)
{
	struct sampling s = {
		.unit = PGO_UNIT_CYCLES, .depth = 32, .rings = 40000, .no_cycles = true};
	struct pgo_unbias_result r;
	double before;
	struct walk w;

	(void)state;
	walk_init(&w);
	sample(&w, &s);
	estimate(&w, &s, PGO_UNIT_BRANCHES);
	before = overlap(&w, NULL);
	memset(w.weights, 0, sizeof w.weights);
	r = estimate(&w, &s, PGO_UNIT_CYCLES);
	assert_int_equal(r.unit, PGO_UNBIAS_CODE);
	assert_true(r.self_timed);
	assert_true(r.phi > 0.05);
	assert_true(overlap(&w, NULL) > before + 1);
	walk_fini(&w);
}

/* Which is what tells phases apart that never share a ring. */
static void mispredictions_are_part_of_the_time(void **state)
{
	struct sampling s = {.unit = PGO_UNIT_CYCLES,
		.depth = 32,
		.rings = 40000,
		.no_cycles = true,
		.mispredicted = 15};
	struct pgo_unbias_result r;
	struct walk w;
	double before;

	(void)state;
	walk_init(&w);
	for (uint32_t i = 0; i < TARGETS; i++)
		w.cycles[i] = w.code[i];
	sample(&w, &s);
	estimate(&w, &s, PGO_UNIT_BRANCHES);
	before = overlap(&w, NULL);
	memset(w.weights, 0, sizeof w.weights);
	r = estimate(&w, &s, PGO_UNIT_CYCLES);
	assert_true(r.phi > 0.05);
	assert_true(overlap(&w, NULL) > 98.5);
	assert_true(before < 95);
	walk_fini(&w);
}

static void an_unknown_event_is_known_by_its_rings(void **state)
{
	static const struct {
		enum pgo_event_unit fires;
		enum pgo_unbias_unit found;
	} cases[] = {{PGO_UNIT_BRANCHES, PGO_UNBIAS_ONE}, {PGO_UNIT_INSTRUCTIONS, PGO_UNBIAS_CODE},
		{PGO_UNIT_CYCLES, PGO_UNBIAS_CYCLES}};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct sampling s = {.unit = cases[i].fires, .depth = 32, .rings = 5000};
		struct pgo_unbias_result r;
		struct walk w;

		walk_init(&w);
		sample(&w, &s);
		r = estimate(&w, &s, PGO_UNIT_OTHER);
		assert_int_equal(r.unit, cases[i].found);
		assert_true(r.detected && r.absolute && !r.self_timed);
		assert_true(r.phi < 0.05);
		/* A unit that is not the event's shows. */
		memset(w.weights, 0, sizeof w.weights);
		r = estimate(&w, &s, PGO_UNIT_BRANCHES);
		assert_int_equal(r.phi < 0.05, i == 0);
		walk_fini(&w);
	}
}

static void too_few_rings_show_nothing(void **state)
{
	struct sampling s = {.unit = PGO_UNIT_INSTRUCTIONS, .depth = 32, .rings = 500};
	struct pgo_unbias_result r;
	struct walk w;

	(void)state;
	walk_init(&w);
	sample(&w, &s);
	r = estimate(&w, &s, PGO_UNIT_OTHER);
	assert_false(r.detected);
	assert_false(r.absolute);
	assert_true(r.self_timed);
	assert_int_equal(r.rings, 500);
	walk_fini(&w);
}

static void the_order_of_rings_does_not_show(void **state)
{
	struct sampling s = {
		.unit = PGO_UNIT_CYCLES, .depth = 16, .rings = 4000, .no_cycles = true};
	uint32_t(*all)[16];
	uint64_t *forward;
	struct pgo_spool_ring r;
	struct pgo_spool back;
	const uint16_t *cycles;
	const uint32_t *ids;
	struct walk w;
	size_t n = 0;

	(void)state;
	walk_init(&w);
	sample(&w, &s);
	all = calloc(s.rings, sizeof *all);
	forward = malloc(sizeof w.weights);
	assert_non_null(all);
	assert_non_null(forward);
	pgo_spool_rewind(&w.rings);
	while (pgo_spool_next(&w.rings, &r, &ids, &cycles, NULL) > 0)
		memcpy(all[n++], ids, r.n * sizeof *ids);
	pgo_spool_init(&back);
	r.n = 16;
	while (n-- > 1)
		assert_int_equal(pgo_spool_add(&back, &r, all[n], NULL, NULL), 0);
	/* The first ring is a short one. */
	pgo_spool_rewind(&w.rings);
	assert_int_equal(pgo_spool_next(&w.rings, &r, &ids, &cycles, NULL), 1);
	assert_int_equal(pgo_spool_add(&back, &r, all[0], NULL, NULL), 0);
	estimate(&w, &s, PGO_UNIT_CYCLES);
	memcpy(forward, w.weights, sizeof w.weights);
	memset(w.weights, 0, sizeof w.weights);
	w.u.rings = &back;
	estimate(&w, &s, PGO_UNIT_CYCLES);
	assert_memory_equal(forward, w.weights, sizeof w.weights);
	pgo_spool_fini(&back);
	free(all);
	free(forward);
	walk_fini(&w);
}

static void events_of_one_file_are_apart(void **state)
{
	struct sampling cycles = {.unit = PGO_UNIT_CYCLES, .depth = 32, .rings = 3000};
	struct sampling branches = {
		.unit = PGO_UNIT_BRANCHES, .depth = 16, .rings = 2000, .event = 1};
	struct pgo_unbias_result r;
	struct walk w;

	(void)state;
	walk_init(&w);
	sample(&w, &cycles);
	sample(&w, &branches);
	r = estimate(&w, &branches, PGO_UNIT_BRANCHES);
	assert_int_equal(r.rings, 2000);
	assert_true(r.phi < 0.05);
	r = estimate(&w, &cycles, PGO_UNIT_CYCLES);
	assert_int_equal(r.rings, 3000);
	assert_true(r.phi < 0.05);
	walk_fini(&w);
}

static void huge_periods_saturate(void **state)
{
	struct sampling s = {
		.unit = PGO_UNIT_CYCLES, .depth = 16, .rings = 1000, .period = UINT64_MAX};
	struct walk w;

	(void)state;
	walk_init(&w);
	sample(&w, &s);
	estimate(&w, &s, PGO_UNIT_CYCLES);
	for (uint32_t i = 0; i < TRACES; i++)
		assert_true(w.weights[i] == 0 || w.weights[i] >= (uint64_t)1 << 62);
	walk_fini(&w);
}

/* ---------------------------------------------------------------- rings aside */

static void many_rings_go_to_a_file_and_come_back(void **state)
{
	struct pgo_spool_ring r = {.n = 100, .has_cycles = true};
	struct pgo_spool s;
	const uint16_t *cycles;
	const uint32_t *ids;
	uint32_t id[100];
	uint16_t c[100];
	uint64_t n = 60000, k = 0; /* 36 MB */

	(void)state;
	pgo_spool_init(&s);
	for (uint64_t i = 0; i < n; i++) {
		r.period = i;
		r.n = 1 + i % 100;
		for (uint32_t j = 0; j < r.n; j++) {
			id[j] = (uint32_t)(i * 7 + j);
			c[j] = (uint16_t)(i + j);
		}
		assert_int_equal(pgo_spool_add(&s, &r, id, c, NULL), 0);
	}
	for (int again = 0; again < 2; again++) {
		pgo_spool_rewind(&s);
		for (k = 0; pgo_spool_next(&s, &r, &ids, &cycles, NULL) > 0; k++) {
			assert_int_equal(r.period, k);
			assert_int_equal(r.n, 1 + k % 100);
			for (uint32_t j = 0; j < r.n; j++)
				assert_true(ids[j] == (uint32_t)(k * 7 + j) &&
					    cycles[j] == (uint16_t)(k + j));
		}
		assert_int_equal(k, n);
	}
	assert_true(s.fd >= 0);
	pgo_spool_fini(&s);
}

static void a_directory_that_cannot_be_written_is_named(void **state)
{
	struct pgo_spool_ring r = {.n = PGO_SPOOL_RING_MAX};
	static uint32_t id[PGO_SPOOL_RING_MAX];
	struct pgo_err err = PGO_ERR_INIT;
	char *old = getenv("TMPDIR");
	struct pgo_spool s;
	int rc = 0;

	(void)state;
	old = old != NULL ? strdup(old) : NULL;
	assert_int_equal(setenv("TMPDIR", "/nonexistent/place", 1), 0);
	pgo_spool_init(&s);
	for (int i = 0; i < 6000 && rc == 0; i++)
		rc = pgo_spool_add(&s, &r, id, NULL, &err);
	assert_int_equal(rc, PGO_EIO);
	assert_has(err.msg, "/nonexistent/place");
	assert_has(err.msg, "--no-unbias");
	pgo_spool_fini(&s);
	if (old != NULL)
		setenv("TMPDIR", old, 1);
	else
		unsetenv("TMPDIR");
	free(old);
}

/* ---------------------------------------------------------------- in recordings */

#define ID_APP "aa00000000000000000000000000000000000001"
#define APP 0x555555555000u
#define E(a, b)                                                                                    \
	{                                                                                          \
		.from = (a), .to = (b)                                                             \
	}
#define EC(a, b, c)                                                                                \
	{                                                                                          \
		.from = (a), .to = (b), .cycles = (c)                                              \
	}

/* Two loops, one of short runs and one of long ones; newest first. */
static const struct perfbytes_branch short_loop[] = {E(APP + 0x110, APP + 0x100),
	E(APP + 0x110, APP + 0x100), E(APP + 0x110, APP + 0x100), E(APP + 0x110, APP + 0x100)};
static const struct perfbytes_branch long_loop[] = {E(APP + 0x5f0, APP + 0x200),
	E(APP + 0x5f0, APP + 0x200), E(APP + 0x5f0, APP + 0x200), E(APP + 0x5f0, APP + 0x200)};

struct loop_event {
	const char *name;
	uint64_t period; /* of the samples; 0 = not recorded */
	uint64_t branch_type;
};

static void add_event(struct perfbytes *p, unsigned index, const struct loop_event *e)
{
	perfbytes_event(p,
		&(struct perfbytes_event){.name = e->name,
			.type = 4,
			.config = 0x1000u + index,
			.sample_type = PERFBYTES_SAMPLE_LBR,
			.branch_type = e->branch_type != 0 ? e->branch_type : PERFBYTES_BRANCH_ANY,
			.id = 100 + index});
}

static void add_rings(struct perfbytes *p, unsigned event, uint64_t period,
	const struct perfbytes_branch *ring, size_t n_entries, int n)
{
	for (int i = 0; i < n; i++)
		perfbytes_sample(p, &(struct perfbytes_sample){.event = event,
					    .ip = ring[0].to,
					    .time = 10,
					    .period = period,
					    .pid = 7,
					    .branch = ring,
					    .n_branches = n_entries});
}

static struct pgo_imported import_loops(const struct loop_event *e, unsigned n_events,
	const struct pgo_import_options *o, bool pipe)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_imported in;
	struct perfbytes p;

	perfbytes_init(&p, pipe ? PERFBYTES_PIPE : 0);
	for (unsigned i = 0; i < n_events; i++)
		add_event(&p, i, &e[i]);
	perfbytes_mmap2(&p, 7, APP, 0x10000, 0x1000, ID_APP, "/nonexistent/app", 1);
	for (unsigned i = 0; i < n_events; i++) {
		add_rings(&p, i, e[i].period, short_loop, 4, 400);
		add_rings(&p, i, e[i].period, long_loop, 4, 400);
	}
	perfbytes_finish(&p);
	if (pgo_import_memory("perf.data", p.out.data, p.out.len, o, &in, &err) != 0)
		fail_msg("%s", err.msg);
	perfbytes_fini(&p);
	return in;
}

static const struct pgo_import_options plain = {.ignore_paths = true};

/* Executions of the traces that end at file offset `end` (0: not known) of the program; -1 without
 * the column. */
static int64_t executions_of(const struct pgo_imported *in, uint64_t target, bool complete)
{
	const struct pgo_profile *p = in->profiles[0];
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_lbr_columns c;
	int64_t sum = 0;
	bool has;

	assert_int_equal(pgo_lbr_columns_init(&c, p, &has, &err), 0);
	for (size_t i = 0; i < p->n_samples; i++) {
		struct pgo_sample s = pgo_profile_sample(p, i);
		struct pgo_lbr_trace t;
		uint32_t at = 0;

		while (pgo_lbr_trace_next(&c, p, &s, &at, &t, &err) > 0)
			if (p->locations[t.target].addr == target &&
				(c.end_kind[t.end] == PGO_LBR_ADDR) == complete)
				sum += t.executions;
	}
	if (c.executions == PGO_NONE)
		sum = -1;
	pgo_lbr_columns_fini(&c);
	return sum;
}

static void long_runs_are_worth_less_in_a_recording(void **state)
{
	struct loop_event e = {"instructions:u", 100000, 0};

	(void)state;
	for (int pipe = 0; pipe < 2; pipe++) {
		struct pgo_imported in = import_loops(&e, 1, &plain, pipe != 0);
		int64_t a = executions_of(&in, 0x1100, true), b = executions_of(&in, 0x1200, true);

		/* 20 bytes against 1012, each 1200 times; an instruction every four. */
		assert_true(a > 45 * b && a < 55 * b);
		assert_true(
			a > 1200 / 3.0 * 100000 / 5 * 0.95 && a < 1200 / 3.0 * 100000 / 5 * 1.05);
		/* What was only seen cut short was seen. */
		assert_int_equal(executions_of(&in, 0x1100, false), 1);
		assert_int_equal(in.n_estimates, 1);
		assert_string_equal(in.estimates[0].unit, "bytes");
		assert_string_equal(in.estimates[0].scale, "about");
		assert_int_equal(in.estimates[0].rings, 800);
		assert_int_equal(in.estimates[0].rings_weighted, 800);
		pgo_imported_fini(&in);
	}
}

/* Every other sample with the one period, every other with the other. */
static int64_t with_periods(uint64_t short_ones, uint64_t long_ones)
{
	struct loop_event e = {"br_inst_retired.near_taken:u", 300, 0};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_imported in;
	struct perfbytes p;
	int64_t sum;

	perfbytes_init(&p, 0);
	add_event(&p, 0, &e);
	perfbytes_mmap2(&p, 7, APP, 0x10000, 0x1000, ID_APP, "/nonexistent/app", 1);
	add_rings(&p, 0, short_ones, short_loop, 4, 200);
	add_rings(&p, 0, long_ones, long_loop, 4, 200);
	perfbytes_finish(&p);
	assert_int_equal(
		pgo_import_memory("perf.data", p.out.data, p.out.len, &plain, &in, &err), 0);
	sum = executions_of(&in, 0x1100, true);
	pgo_imported_fini(&in);
	perfbytes_fini(&p);
	return sum;
}

static void periods_that_only_jitter_are_all_their_mean(void **state)
{
	(void)state;
	assert_int_equal(with_periods(270, 330), 200 * 300 * 3 / 4);
	assert_int_equal(with_periods(100, 500), 200 * 100 * 3 / 4);
}

static void branch_events_count_periods(void **state)
{
	struct loop_event e = {"br_inst_retired.near_taken:u", 300, 0};
	struct pgo_imported in = import_loops(&e, 1, &plain, false);

	(void)state;
	/* Three of the four entries of each ring are complete. */
	assert_int_equal(executions_of(&in, 0x1100, true), 400 * 300 * 3 / 4);
	assert_int_equal(executions_of(&in, 0x1100, false), 400 * 300 / 4);
	assert_int_equal(executions_of(&in, 0x1200, true), 400 * 300 * 3 / 4);
	assert_string_equal(in.estimates[0].scale, "absolute");
	assert_true(in.estimates[0].why_not == NULL);
	pgo_imported_fini(&in);
}

static void different_events_are_averaged_and_like_ones_added(void **state)
{
	static const struct loop_event kinds[] = {
		{"br_inst_retired.near_taken:u", 300, 0}, {"instructions:u", 60000, 0}};
	static const struct loop_event cores[] = {
		{"cpu_core/branches/u", 300, 0}, {"cpu_atom/branches/u", 300, 0}};
	struct pgo_imported in = import_loops(&kinds[1], 1, &plain, false);
	int64_t alone = executions_of(&in, 0x1100, true), both;

	(void)state;
	pgo_imported_fini(&in);
	in = import_loops(kinds, 2, &plain, false);
	both = executions_of(&in, 0x1100, true);
	assert_true(llabs(both - (alone + 400 * 300 * 3 / 4) / 2) <= 2);
	assert_int_equal(in.n_estimates, 2);
	pgo_imported_fini(&in);
	in = import_loops(cores, 2, &plain, false);
	assert_int_equal(executions_of(&in, 0x1100, true), 2 * 400 * 300 * 3 / 4);
	pgo_imported_fini(&in);
}

static void without_periods_executions_add_up_to_the_traces(void **state)
{
	struct loop_event e = {"instructions:u", 0, 0};
	struct pgo_imported in = import_loops(&e, 1, &plain, false);
	int64_t a = executions_of(&in, 0x1100, true), b = executions_of(&in, 0x1200, true);

	(void)state;
	assert_true(a > 45 * b);
	assert_int_equal(a + b, 2 * 1200);
	assert_string_equal(in.estimates[0].scale, "relative");
	pgo_imported_fini(&in);
}

static void what_cannot_be_estimated_says_why(void **state)
{
	struct loop_event calls = {"cycles:u", 1000, 0x11}; /* user, any call */
	struct loop_event both[] = {{"instructions:u", 1000, 0}, {"cycles:u", 1000, 0x11}};
	struct pgo_import_options o = plain;
	struct pgo_imported in = import_loops(&calls, 1, &plain, false);

	(void)state;
	assert_int_equal(executions_of(&in, 0x1100, false), -1);
	assert_has(in.estimates[0].why_not, "some kinds");
	pgo_imported_fini(&in);
	in = import_loops(both, 2, &plain, false);
	assert_int_equal(executions_of(&in, 0x1100, true), -1);
	assert_has(in.estimates[0].why_not, "another event");
	assert_has(in.estimates[1].why_not, "some kinds");
	pgo_imported_fini(&in);
	o.no_unbias = true;
	in = import_loops(both, 1, &o, false);
	assert_int_equal(executions_of(&in, 0x1100, true), -1);
	assert_has(in.estimates[0].why_not, "not asked for");
	pgo_imported_fini(&in);
}

static void cycles_are_preferred_where_they_are(void **state)
{
	static const struct perfbytes_branch quick[] = {EC(APP + 0x5f0, APP + 0x200, 3),
		EC(APP + 0x5f0, APP + 0x200, 3), EC(APP + 0x5f0, APP + 0x200, 3)};
	static const struct perfbytes_branch slow[] = {EC(APP + 0x110, APP + 0x100, 30),
		EC(APP + 0x110, APP + 0x100, 30), EC(APP + 0x110, APP + 0x100, 30)};
	struct loop_event e = {"cycles:u", 3000, 0};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_imported in;
	struct perfbytes p;
	int64_t a, b;

	(void)state;
	perfbytes_init(&p, 0);
	add_event(&p, 0, &e);
	perfbytes_mmap2(&p, 7, APP, 0x10000, 0x1000, ID_APP, "/nonexistent/app", 1);
	add_rings(&p, 0, 3000, quick, 3, 200);
	add_rings(&p, 0, 3000, slow, 3, 200);
	perfbytes_finish(&p);
	assert_int_equal(
		pgo_import_memory("perf.data", p.out.data, p.out.len, &plain, &in, &err), 0);
	a = executions_of(&in, 0x1200, true);
	b = executions_of(&in, 0x1100, true);
	assert_true(a > 9 * b && a < 11 * b);
	assert_string_equal(in.estimates[0].unit, "cycles");
	assert_string_equal(in.estimates[0].scale, "absolute");
	pgo_imported_fini(&in);
	perfbytes_fini(&p);
}

static void a_deeper_ring_of_the_same_events_gives_the_same(void **state)
{
	struct loop_event e = {"instructions:u", 60000, 0};
	int64_t sums[2];

	(void)state;
	for (size_t n = 3; n <= 4; n++) {
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_imported in;
		struct perfbytes p;

		perfbytes_init(&p, 0);
		add_event(&p, 0, &e);
		perfbytes_mmap2(&p, 7, APP, 0x10000, 0x1000, ID_APP, "/nonexistent/app", 1);
		add_rings(&p, 0, 60000, short_loop, n, 300);
		perfbytes_finish(&p);
		assert_int_equal(
			pgo_import_memory("perf.data", p.out.data, p.out.len, &plain, &in, &err),
			0);
		sums[n - 3] = executions_of(&in, 0x1100, true);
		pgo_imported_fini(&in);
		perfbytes_fini(&p);
	}
	assert_true(llabs(sums[0] - sums[1]) * 100 < sums[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(branch_events_weigh_every_trace_alike),
		cmocka_unit_test(the_unit_of_the_event_takes_the_bias_out),
		cmocka_unit_test(rings_that_were_not_full_count_as_much),
		cmocka_unit_test(without_lengths_targets_say_how_long_they_take),
		cmocka_unit_test(mispredictions_are_part_of_the_time),
		cmocka_unit_test(an_unknown_event_is_known_by_its_rings),
		cmocka_unit_test(too_few_rings_show_nothing),
		cmocka_unit_test(the_order_of_rings_does_not_show),
		cmocka_unit_test(events_of_one_file_are_apart),
		cmocka_unit_test(huge_periods_saturate),
		cmocka_unit_test(many_rings_go_to_a_file_and_come_back),
		cmocka_unit_test(a_directory_that_cannot_be_written_is_named),
		cmocka_unit_test(long_runs_are_worth_less_in_a_recording),
		cmocka_unit_test(branch_events_count_periods),
		cmocka_unit_test(periods_that_only_jitter_are_all_their_mean),
		cmocka_unit_test(different_events_are_averaged_and_like_ones_added),
		cmocka_unit_test(without_periods_executions_add_up_to_the_traces),
		cmocka_unit_test(what_cannot_be_estimated_says_why),
		cmocka_unit_test(cycles_are_preferred_where_they_are),
		cmocka_unit_test(a_deeper_ring_of_the_same_events_gives_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
