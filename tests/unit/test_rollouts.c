/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rollouts with a known truth, thousands of them, through the statistics of `pgo verify`: how often
 * it says "changed" when nothing did, how often its intervals hold the truth, what share of its
 * findings is false, and what it finds; beside it what simpler rules do with the same profiles.
 * Prints a table (build/tests/test_rollouts).
 *
 * The fleet: hosts differ in cost per request by 15 % (log-normal), functions on hosts by 10 % on
 * top; from period to period a host drifts by 1.5 % and a function on a host by 2 %, where it is not
 * said otherwise.  Samples come in bursts of two, so that counts have twice Poisson's variance.  Functions have Zipf shares.  Every
 * number is drawn by counting (verify/random.h): the table is the same everywhere.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgo/core/alloc.h"
#include "verify/compare.h"
#include "verify/costs.h"
#include "verify/random.h"
#include "verify/real.h"
#include "verify/stats.h"
#include "verify/verify.h"

#define DAY ((int64_t)86400 * 1000000000)
#define MONDAY ((int64_t)20780 * DAY) /* 2026-11-23 */
#define MAX_ITEMS 400
#define BURST 2
/* Sanitizers look for other faults than wrong rates, and take their time: there a few rollouts do. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FULL 0
#else
#define FULL 1
#endif
#define SAMPLE_COST 10000000 /* ns */

/* ---- random numbers */

struct dice {
	uint64_t stream, next;
};

static double unit(struct dice *d)
{
	return pgo_random_unit(d->stream, d->next++);
}

/* Marsaglia's polar method: no trigonometry, so no libm. */
static double normal(struct dice *d)
{
	double u, v, s;

	do {
		u = 2 * unit(d) - 1;
		v = 2 * unit(d) - 1;
		s = u * u + v * v;
	} while (s >= 1 || s == 0);
	return u * sqrt(-2 * pgo_real_log(s) / s);
}

static double lognormal(struct dice *d, double spread)
{
	return pgo_real_exp(spread * normal(d));
}

static uint64_t poisson(struct dice *d, double mean)
{
	double product = 1, floor_at;
	uint64_t n = 0;

	if (mean > 40) {
		double x = mean + sqrt(mean) * normal(d) + 0.5;

		return x > 0 ? (uint64_t)x : 0;
	}
	floor_at = pgo_real_exp(-mean);
	while ((product *= unit(d)) > floor_at)
		n++;
	return n;
}

/* ---- the fleet */

struct fleet {
	const char *name;
	size_t hosts; /* of an arm and side */
	size_t items;
	double samples; /* of a host in a period */
	bool same_hosts, control;
	size_t days[2];     /* profiles of a host; 1 = one a period */
	int64_t start[2];   /* first day */
	double load;        /* requests after, relative to before */
	double time_shift;  /* spread of what time alone does to functions after, everywhere */
	double weekday;     /* how much dearer a request is on Sundays, and by steps up to it */
	double effect;      /* log change of everything */
	size_t n_changed;   /* functions that change by themselves */
	double changed_by;  /* their log change, with either sign */
	double first_share; /* of item 0; 0 = as Zipf has it */
	bool only_first;    /* only item 0 changes */
	bool steady;        /* no drift */
};

struct truth {
	double share[MAX_ITEMS], change[MAX_ITEMS]; /* log */
	double total;                               /* log */
};

static void draw_truth(const struct fleet *f, uint64_t seed, struct truth *t)
{
	struct dice d = {pgo_random_stream(seed, 1), 0};
	double sum = 0, before = 0, after = 0;
	size_t first = f->first_share > 0;

	for (size_t i = first; i < f->items; i++)
		sum += 1 / (double)(i + 2);
	for (size_t i = 0; i < f->items; i++) {
		t->share[i] =
			i < first ? f->first_share : (1 - f->first_share) / ((double)(i + 2) * sum);
		t->change[i] = f->effect;
	}
	for (size_t k = 0; k < f->n_changed; k++) {
		/* Among the larger half, where a finding is possible. */
		size_t at = f->only_first ? 0 : (size_t)(unit(&d) * (double)f->items / 2);

		t->change[at] = f->effect + (f->only_first || k % 2 != 0 ? 1 : -1) * f->changed_by;
	}
	for (size_t i = 0; i < f->items; i++) {
		before += t->share[i];
		after += t->share[i] * pgo_real_exp(t->change[i]);
	}
	t->total = pgo_real_log(after / before);
}

struct host {
	double level, drift, item[MAX_ITEMS];
};

static void draw_host(const struct fleet *f, struct dice *d, struct host *h)
{
	h->level = lognormal(d, 0.15);
	for (size_t i = 0; i < f->items; i++)
		h->item[i] = lognormal(d, 0.10);
}

static double weekday_cost(const struct fleet *f, int64_t day)
{
	/* Monday is 0, Sunday 6. */
	return 1 + f->weekday * (double)((day - MONDAY / DAY) % 7) / 6;
}

/* One profile: its rows and its work. */
static void record(const struct fleet *f, const struct truth *t, struct pgo_costs *c,
	const struct host *h, const double *own, const double *time, const char *name, bool control,
	bool after, size_t day, struct dice *d)
{
	int64_t at = f->start[after] + (int64_t)day;
	double requests = 1e6 * (after ? f->load : 1) / (double)f->days[after] * lognormal(d, 0.1);
	double scale = f->samples / 1e6 * requests * h->level * h->drift * weekday_cost(f, at);
	struct pgo_cost_rep rep = {.after = after,
		.control = control,
		.host = pgo_strtab_puts(&c->strs, name),
		.start_ns = at * DAY,
		.end_ns = (at + 1) * DAY - 1,
		.work = requests};
	uint32_t r = pgo_costs_add_rep(c, &rep);

	for (size_t i = 0; i < f->items; i++) {
		double mean = scale * t->share[i] * h->item[i] * own[i] * (after ? time[i] : 1);
		uint64_t n;

		if (after && !control)
			mean *= pgo_real_exp(t->change[i]);
		n = BURST * poisson(d, mean / BURST);
		if (n > 0 && pgo_costs_add(c, (uint32_t)i, r, (int64_t)n * SAMPLE_COST, n) < 0)
			abort();
	}
}

static void roll_out(
	const struct fleet *f, const struct truth *t, uint64_t seed, struct pgo_costs *c)
{
	struct dice d = {pgo_random_stream(seed, 2), 0};
	double time[MAX_ITEMS], own[MAX_ITEMS];
	struct host *h = malloc(sizeof *h);
	struct pgo_err err = PGO_ERR_INIT;

	assert_non_null(h);
	assert_int_equal(pgo_costs_init(c, &err), 0);
	c->unit = pgo_strdup("cpu/nanoseconds");
	for (size_t i = 0; i < f->items; i++) {
		char name[32];

		snprintf(name, sizeof name, "f%03zu", i);
		assert_int_equal(pgo_costs_add_item(c, name, PGO_ITEM_REBUILT), i);
		time[i] = lognormal(&d, f->time_shift);
	}
	for (size_t arm = 0; arm < (f->control ? 2 : 1); arm++)
		for (size_t k = 0; k < f->hosts * (f->same_hosts ? 1 : 2); k++) {
			char name[32];

			snprintf(name, sizeof name, "%s%03zu", arm != 0 ? "old" : "web", k);
			draw_host(f, &d, h);
			for (int after = 0; after < 2; after++) {
				if (!f->same_hosts && (k % 2 == 1) != after)
					continue;
				h->drift = lognormal(&d, f->steady ? 0 : 0.015);
				for (size_t i = 0; i < f->items; i++)
					own[i] = lognormal(&d, f->steady ? 0 : 0.02);
				for (size_t day = 0; day < f->days[after]; day++)
					record(f, t, c, h, own, time, name, arm != 0, after, day,
						&d);
			}
		}
	assert_int_equal(pgo_costs_sort(c, &err), 0);
	free(h);
}

/* ---- what others would say of the same profiles */

struct pool {
	double n[MAX_ITEMS][2], all[2];
};

static void pool(const struct fleet *f, const struct pgo_costs *c, struct pool *p)
{
	(void)f;
	memset(p, 0, sizeof *p);
	for (size_t i = 0; i < c->n_rows; i++) {
		const struct pgo_cost_rep *r = &c->reps[c->rows[i].rep];
		size_t item = (size_t)atol(pgo_costs_str(c, c->items[c->rows[i].item].name) + 1);

		if (r->control)
			continue;
		p->n[item][r->after] += (double)c->rows[i].samples;
		p->all[r->after] += (double)c->rows[i].samples;
	}
}

/* Two proportions, every sample taken for independent. */
static bool pooled_says(const struct pool *p, size_t i)
{
	double a = p->n[i][0] / p->all[0], b = p->n[i][1] / p->all[1];
	double both = (p->n[i][0] + p->n[i][1]) / (p->all[0] + p->all[1]);
	double se = sqrt(both * (1 - both) * (1 / p->all[0] + 1 / p->all[1]));

	return se > 0 && pgo_normal_p((b - a) / se) < 0.05;
}

/* The head of a difference of profiles: the ten largest differences, after the sides were brought to
 * the same total, that make half a per cent of it. */
static bool top_list_says(const struct fleet *f, const struct pool *p, size_t i)
{
	double own = fabs(p->n[i][1] / p->all[1] - p->n[i][0] / p->all[0]);
	size_t larger = 0;

	for (size_t k = 0; k < f->items; k++)
		larger += fabs(p->n[k][1] / p->all[1] - p->n[k][0] / p->all[0]) > own;
	return larger < 10 && own >= 0.005;
}

/* ---- rates */

struct rates {
	size_t rollouts, wrong, covered; /* of the whole */
	size_t items, items_wrong, items_covered;
	size_t found, found_false, changed, changed_found, changed_p;
	size_t pooled, pooled_false, pooled_items, pooled_wrong, top, top_false, top_any;
	double discovery; /* sum over rollouts of the share of false findings */
	double pooled_discovery, top_discovery;
	double detectable;
};

static bool called(const struct pgo_finding *f)
{
	return f->verdict == PGO_REGRESSED || f->verdict == PGO_IMPROVED || f->verdict == PGO_MOVED;
}

static double share(size_t a, size_t b)
{
	return b > 0 ? (double)a / (double)b : 0;
}

static void count_items(const struct fleet *f, const struct truth *t, const struct pgo_verdict *v,
	const struct pool *p, struct rates *r)
{
	size_t found = 0, wrong = 0, pooled = 0, pooled_wrong = 0, top = 0, top_wrong = 0;

	for (size_t k = 0; k < v->n_findings; k++) {
		const struct pgo_finding *w = &v->findings[k];
		size_t i = (size_t)atol(w->name + 1);
		double want = pgo_real_expm1(t->change[i]);
		/* Functions whose share is what it was, up to the drift of the whole. */
		bool same = t->change[i] == 0;

		if (isnan(w->p) || isnan(w->q))
			continue;
		r->items++;
		r->items_covered += w->low <= want && want <= w->high;
		r->items_wrong += same && w->p < 0.05;
		r->changed += !same;
		r->changed_found += !same && called(w);
		r->changed_p += !same && w->p < 0.05;
		found += called(w);
		wrong += same && called(w);
		pooled += pooled_says(p, i);
		pooled_wrong += same && pooled_says(p, i);
		top += top_list_says(f, p, i);
		top_wrong += same && top_list_says(f, p, i);
	}
	r->found += found;
	r->found_false += wrong;
	r->pooled += pooled;
	r->pooled_false += pooled_wrong;
	r->top += top;
	r->top_false += top_wrong;
	r->top_any += top_wrong > 0;
	r->discovery += share(wrong, found);
	r->pooled_discovery += share(pooled_wrong, pooled);
	r->top_discovery += share(top_wrong, top);
}

static struct rates simulate(const struct fleet *f, size_t n, uint64_t seed)
{
	const struct pgo_verify_options o = {.bootstrap = 400, .splits = 1, .min_share = 0.0005};
	struct rates r = {0};

	assert_true(f->items <= MAX_ITEMS);
	for (size_t i = 0; i < n; i++) {
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_verdict v = {0};
		struct pgo_costs c;
		struct truth t;
		struct pool p;
		double want;

		draw_truth(f, seed + i * 1000003, &t);
		roll_out(f, &t, seed + i * 1000003, &c);
		if (pgo_verdict_fill(&v, &c, &o, &err) < 0)
			fail_msg("%s", err.msg);
		want = pgo_real_expm1(t.total);
		r.rollouts++;
		r.covered += v.total.low <= want && want <= v.total.high;
		r.wrong += v.outcome == PGO_OUTCOME_WIN || v.outcome == PGO_OUTCOME_LOSS;
		r.detectable += v.total.minimum_detectable;
		pool(f, &c, &p);
		count_items(f, &t, &v, &p, &r);
		pgo_verdict_fini(&v);
		pgo_costs_fini(&c);
	}
	r.detectable /= (double)n;
	return r;
}

/* PGO_ROLLOUTS=N: more of them, by hand. */
static size_t rollouts(void)
{
	const char *n = getenv("PGO_ROLLOUTS");

	return n != NULL ? (size_t)strtoul(n, NULL, 10) : FULL ? 1000 : 20;
}

static void within(const char *what, double got, double low, double high)
{
	if (FULL && !(got >= low && got <= high))
		fail_msg("%s: %.2f %%, not within %.1f to %.1f %%", what, got * 100, low * 100,
			high * 100);
}

/* ---- the fleets */

#define WEEK(n) (MONDAY / DAY + 7 * (n))

static const struct fleet paired = {.name = "paired, 50 hosts",
	.hosts = 50,
	.items = 12,
	.samples = 6000,
	.same_hosts = true,
	.days = {1, 1},
	.start = {WEEK(0), WEEK(0) + 1},
	.load = 1.15};
static const struct fleet separate = {.name = "Welch, 50 + 50 hosts",
	.hosts = 50,
	.items = 12,
	.samples = 6000,
	.days = {1, 1},
	.start = {WEEK(0), WEEK(0)},
	.load = 1};
static const struct fleet did = {.name = "DiD, 25 + 25 hosts",
	.hosts = 25,
	.items = 12,
	.samples = 6000,
	.same_hosts = true,
	.control = true,
	.days = {1, 1},
	.start = {WEEK(0), WEEK(0) + 5},
	.load = 1.15,
	.time_shift = 0.05,
	.weekday = 0.08};
static const struct fleet weeks = {.name = "before-after, 25 + 25 hosts",
	.hosts = 25,
	.items = 4,
	.samples = 20000,
	.days = {14, 10},
	.start = {WEEK(0), WEEK(3) + 2},
	.load = 1.15,
	.weekday = 0.08};
static const struct fleet few = {.name = "paired, 8 hosts",
	.hosts = 8,
	.items = 60,
	.samples = 20000,
	.same_hosts = true,
	.days = {1, 1},
	.start = {WEEK(0), WEEK(0)},
	.load = 1};

static void nothing_changed_is_called_changed_as_often_as_it_says(void **state)
{
	const struct fleet *const fleets[] = {&paired, &separate, &did, &weeks, &few};

	(void)state;
	printf("\nNothing changed (load +15 %% and another weekday where noted):\n"
	       "%-28s %9s %9s %10s %10s %9s\n",
		"", "whole", "functions", "any found", "two-prop.", "top list");
	for (size_t i = 0; i < sizeof fleets / sizeof *fleets; i++) {
		struct rates r = simulate(fleets[i], rollouts(), 1 + i);

		printf("%-28s %8.1f%% %8.1f%% %9.1f%% %9.1f%% %8.1f%%\n", fleets[i]->name,
			100 * share(r.wrong, r.rollouts), 100 * share(r.items_wrong, r.items),
			100 * r.discovery / (double)r.rollouts,
			100 * share(r.pooled_false, r.items), 100 * share(r.top_any, r.rollouts));
		within("the whole called changed", share(r.wrong, r.rollouts), 0.04, 0.06);
		within("functions at p < 5 %", share(r.items_wrong, r.items), 0.04, 0.06);
		within("rollouts with a false finding", r.discovery / (double)r.rollouts, 0, 0.06);
	}
}

static void intervals_hold_the_truth_as_often_as_they_say(void **state)
{
	const struct fleet *const fleets[] = {&paired, &separate, &did, &weeks, &few};

	(void)state;
	printf("\nEverything 6 %% cheaper, three functions by themselves 10 %%:\n%-28s %9s %9s "
	       "%10s\n",
		"", "whole", "functions", "detectable");
	for (size_t i = 0; i < sizeof fleets / sizeof *fleets; i++) {
		struct fleet f = *fleets[i];
		struct rates r;

		f.effect = -0.0619;
		f.n_changed = 3;
		f.changed_by = 0.1;
		r = simulate(&f, rollouts(), 100 + i);
		printf("%-28s %8.1f%% %8.1f%% %9.2f%%\n", f.name,
			100 * share(r.covered, r.rollouts), 100 * share(r.items_covered, r.items),
			100 * r.detectable);
		within("intervals of the whole", share(r.covered, r.rollouts), 0.94, 0.96);
		within("intervals of functions", share(r.items_covered, r.items), 0.94, 0.96);
	}
}

static void few_findings_are_false(void **state)
{
	struct fleet f = {.name = "paired, 50 hosts",
		.hosts = 50,
		.items = 300,
		.samples = 60000,
		.same_hosts = true,
		.days = {1, 1},
		.start = {WEEK(0), WEEK(0) + 1},
		.load = 1.15,
		.n_changed = 20,
		.changed_by = 0.12};

	(void)state;
	printf("\nShare of false findings, 300 functions, 20 of them +-12 %%:\n%-28s %9s %9s %9s "
	       "%9s\n",
		"", "verify", "two-prop.", "top list", "found");
	for (int few_hosts = 0; few_hosts < 2; few_hosts++) {
		struct rates r;

		f.hosts = few_hosts ? 8 : 50;
		f.name = few_hosts ? "paired, 8 hosts" : "paired, 50 hosts";
		r = simulate(&f, !FULL ? 2 : few_hosts ? 200 : 60, 1000);
		printf("%-28s %8.2f%% %8.1f%% %8.1f%% %8.1f%%\n", f.name,
			100 * r.discovery / (double)r.rollouts,
			100 * r.pooled_discovery / (double)r.rollouts,
			100 * r.top_discovery / (double)r.rollouts,
			100 * share(r.changed_found, r.changed));
		within("false findings", r.discovery / (double)r.rollouts, 0, 0.05);
		/* The rules it is held against are what they are said to be. */
		within("false findings of two proportions", r.pooled_discovery / (double)r.rollouts,
			0.2, 1);
	}
}

static void a_small_function_that_grew_by_5_per_cent_is_found(void **state)
{
	struct fleet f = {.name = "+5 % in 0.5 %",
		.hosts = 50,
		.items = 60,
		.samples = 60000,
		.same_hosts = true,
		.days = {1, 1},
		.start = {WEEK(0), WEEK(0)},
		.load = 1,
		.n_changed = 1,
		.changed_by = 0.04879,
		.first_share = 0.005,
		.only_first = true};

	(void)state;
	printf("\n+5 %% in a function of 0.5 %%, 50 hosts of 60,000 samples, paired, among 60 "
	       "functions:\n"
	       "%-28s %9s %10s\n",
		"", "p < 5 %", "after FDR");
	for (int drift = 0; drift < 2; drift++) {
		struct rates r;

		f.steady = drift == 0;
		r = simulate(&f, FULL ? 300 : 5, 7000);
		printf("%-28s %8.1f%% %9.1f%%\n",
			drift ? "hosts drift 1.5 and 2 %" : "hosts cost what they did",
			100 * share(r.changed_p, r.changed),
			100 * share(r.changed_found, r.changed));
		within("found at 5 %", share(r.changed_p, r.changed), drift ? 0.75 : 0.8, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_changed_is_called_changed_as_often_as_it_says),
		cmocka_unit_test(intervals_hold_the_truth_as_often_as_they_say),
		cmocka_unit_test(few_findings_are_false),
		cmocka_unit_test(a_small_function_that_grew_by_5_per_cent_is_found),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	return failed != 0 || pgo_alloc_live() != 0;
}
