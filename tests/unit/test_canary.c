/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at a rollout again and again, on simulated fleets with a known truth: how often an equal
 * canary is called worse, beside repeated tests at 5 %, and how soon a real loss is seen.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "verify/random.h"
#include "verify/real.h"
#include "verify/sequential.h"
#include "verify/stats.h"

#define MAX_HOSTS 50
#define EFFECT 0.01

struct dice {
	uint64_t stream, next;
};

static double normal(struct dice *d)
{
	double u, v, s;

	do {
		u = 2 * pgo_random_unit(d->stream, d->next++) - 1;
		v = 2 * pgo_random_unit(d->stream, d->next++) - 1;
		s = u * u + v * v;
	} while (s >= 1 || s == 0);
	return u * sqrt(-2 * pgo_real_log(s) / s);
}

struct rollout {
	const char *name;
	size_t hosts;   /* an arm */
	double lasting; /* spread of hosts that no time averages out; small where each has a before */
	double passing; /* spread of a host from look to look */
	double loss;
	size_t looks;
};

struct seen {
	size_t alarms, naive, held, looks_to_alarm[2000], n_alarms;
};

/* Means of all looks so far, of both arms. */
static struct pgo_mean_test compare(const struct rollout *r, double sum[2][MAX_HOSTS], size_t look)
{
	static const double sign[2] = {-1, 1};
	struct pgo_moments m[2] = {{0}};

	for (size_t arm = 0; arm < 2; arm++)
		for (size_t h = 0; h < r->hosts; h++)
			pgo_moments_add(&m[arm], sum[arm][h] / (double)look);
	return pgo_test_contrast(m, sign, 2, NULL, NULL, 0);
}

static void roll_out(const struct rollout *r, uint64_t seed, struct seen *ret)
{
	struct dice d = {pgo_random_stream(seed, 3), 0};
	double sum[2][MAX_HOSTS] = {{0}}, own[2][MAX_HOSTS];
	double truth = pgo_real_log(1 + r->loss);
	bool alarm = false, naive = false, held = true;
	struct pgo_sequence s;

	pgo_sequence_init(&s, 0.05, EFFECT);
	for (size_t arm = 0; arm < 2; arm++)
		for (size_t h = 0; h < r->hosts; h++)
			own[arm][h] = r->lasting * normal(&d);
	for (size_t look = 1; look <= r->looks; look++) {
		struct pgo_mean_test t;

		for (size_t arm = 0; arm < 2; arm++)
			for (size_t h = 0; h < r->hosts; h++)
				sum[arm][h] += own[arm][h] + (arm != 0 ? truth : 0) +
					       r->passing * normal(&d);
		t = compare(r, sum, look);
		pgo_sequence_look(&s, t.estimate, t.se, t.df);
		naive |= t.p < 0.05 && t.estimate > 0;
		held &= s.low <= truth && truth <= s.high;
		if (!alarm && s.low > 0)
			ret->looks_to_alarm[ret->n_alarms++] = look;
		alarm |= s.low > 0;
	}
	ret->alarms += alarm;
	ret->naive += naive;
	ret->held += held;
}

static int by_number(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return (x > y) - (x < y);
}

static const struct rollout fleets[] = {
	{"20 + 20 hosts, no before", 20, 0.15, 0.05, 0, 100},
	{"20 + 20 hosts with a before", 20, 0.01, 0.05, 0, 100},
	{"50 + 50 hosts with a before", 50, 0.01, 0.05, 0, 100},
	{"5 + 5 hosts with a before", 5, 0.01, 0.05, 0, 100},
};

#define N 500
#define N_FLEETS (sizeof fleets / sizeof *fleets)

static void an_equal_canary_is_seldom_called_worse_however_often_one_looks(void **state)
{
	(void)state;
	printf("\n%-30s %10s %12s %12s\n", "100 looks", "alarms", "truth held", "t at 5 %");
	for (size_t f = 0; f < N_FLEETS; f++) {
		struct seen seen = {0};

		for (uint64_t i = 0; i < N; i++)
			roll_out(&fleets[f], 17 + i * 7919 + f, &seen);
		printf("%-30s %9.1f%% %11.1f%% %11.1f%%\n", fleets[f].name,
			100.0 * (double)seen.alarms / N, 100.0 * (double)seen.held / N,
			100.0 * (double)seen.naive / N);
		assert_true(seen.alarms <= N * 0.05);
		assert_true(seen.held >= N * 0.95);
		/* What it is held against does worse. */
		assert_true(seen.naive > seen.alarms);
	}
}

static void a_loss_of_3_per_cent_is_caught_soon(void **state)
{
	(void)state;
	printf("\n%-30s %10s %12s %12s\n", "3 % loss", "caught", "half by", "90 % by look");
	for (size_t f = 1; f < N_FLEETS; f++) {
		struct rollout r = fleets[f];
		struct seen seen = {0};

		r.loss = 0.03;
		for (uint64_t i = 0; i < 300; i++)
			roll_out(&r, 23 + i * 7919 + f, &seen);
		qsort(seen.looks_to_alarm, seen.n_alarms, sizeof *seen.looks_to_alarm, by_number);
		printf("%-30s %9.1f%%", r.name, 100.0 * (double)seen.alarms / 300);
		for (int part = 0; part < 2; part++) {
			size_t at = part == 0 ? 150 : 270;

			if (at < seen.n_alarms)
				printf(" %12zu", seen.looks_to_alarm[at]);
			else
				printf(" %12s", "-");
		}
		printf("\n");
		if (r.hosts >= 20)
			assert_true(seen.alarms >= 290);
	}
}

static void nothing_is_learnt_without_a_spread(void **state)
{
	struct pgo_sequence s;

	(void)state;
	pgo_sequence_init(&s, 0.05, EFFECT);
	pgo_sequence_look(&s, 0.5, NAN, 3);
	pgo_sequence_look(&s, 0.5, 0, 3);
	pgo_sequence_look(&s, NAN, 0.1, 3);
	pgo_sequence_look(&s, 0.5, 0.1, 0);
	assert_int_equal(s.looks, 0);
	assert_true(isinf(s.low) && isinf(s.high));
	pgo_sequence_look(&s, 0.5, 0.01, 40);
	assert_int_equal(s.looks, 1);
	assert_true(s.low > 0.45 && s.high < 0.55);
	/* A later, less certain look does not widen what is known. */
	pgo_sequence_look(&s, 0.5, 0.2, 40);
	assert_true(s.low > 0.45 && s.now_low < 0.2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_equal_canary_is_seldom_called_worse_however_often_one_looks),
		cmocka_unit_test(a_loss_of_3_per_cent_is_caught_soon),
		cmocka_unit_test(nothing_is_learnt_without_a_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
