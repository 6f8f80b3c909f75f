/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work without a counter: functions that were not rebuilt cost the same per unit of work, so how
 * much they cost says how much work there was.  Per unit, the median over them of the cost
 * relative to the mean over units, so that one that did change, or is noisy, does not matter: the
 * size factor by which RNA sequencing makes samples of different depth comparable.
 */
#include "verify/design.h"

#include "pgo/core/alloc.h"
#include "verify/real.h"

#include <math.h>
#include <regex.h>
#include <stdlib.h>

#define MIN_FUNCTIONS 3
#define MIN_MEAN_SAMPLES 10
#define MIN_SIDE_SAMPLES 1000
#define MIN_SIDE_SHARE 0.02 /* unasked */

struct control {
	const struct pgo_design *d;
	const struct pgo_costs *c;
	double *cost; /* all control functions, by 2 * unit + side */
	double *one;  /* one function */
	uint64_t *samples;
	double *logs; /* n x 2 * units: log cost relative to the function's mean */
	size_t n, cells, used;
};

static int by_value(const void *pa, const void *pb)
{
	double a = *(const double *)pa, b = *(const double *)pb;

	return a < b ? -1 : a > b;
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof *v, by_value);
	return n % 2 != 0 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static bool is_used(const struct control *k, size_t cell)
{
	const struct pgo_unit *u = &k->d->units[cell / 2];

	return u->has[cell % 2];
}

/* Rows of one item into one[]; adds to the sums. */
static double gather(struct control *k, const struct pgo_cost_item *item)
{
	double samples = 0;

	for (size_t i = 0; i < k->cells; i++)
		k->one[i] = 0;
	for (uint32_t r = item->first; r < item->first + item->n_rows; r++) {
		const struct pgo_cost *row = &k->c->rows[r];
		uint32_t unit = k->d->unit_of[row->rep];
		size_t cell;

		if (unit == PGO_NONE)
			continue;
		cell = 2 * (size_t)unit + k->c->reps[row->rep].after;
		k->one[cell] += (double)row->value;
		k->cost[cell] += (double)row->value;
		k->samples[cell] += row->samples;
		samples += (double)row->samples;
	}
	return samples;
}

/* A function seen in every unit gives a row of logs. */
static void add_logs(struct control *k, double samples, size_t rows)
{
	double *log = k->logs + k->n * k->cells, mean = 0;

	if (samples < MIN_MEAN_SAMPLES * (double)k->used || rows < k->used)
		return;
	for (size_t i = 0; i < k->cells; i++) {
		if (!is_used(k, i))
			continue;
		if (!(k->one[i] > 0))
			return;
		log[i] = pgo_real_log(k->one[i]);
		mean += log[i];
	}
	mean /= (double)k->used;
	for (size_t i = 0; i < k->cells; i++)
		log[i] -= mean;
	k->n++;
}

static bool chosen(const struct pgo_costs *c, const struct pgo_cost_item *item, const regex_t *re)
{
	if (re == NULL)
		return item->place == PGO_ITEM_ELSEWHERE;
	return regexec(re, pgo_costs_str(c, item->name), 0, NULL, 0) == 0;
}

/* Is there enough of it on both sides, and in every unit? */
static bool enough(const struct control *k, bool asked)
{
	double cost[2] = {0}, total[2] = {0};
	uint64_t samples[2] = {0};

	for (size_t i = 0; i < k->cells; i++) {
		if (!is_used(k, i))
			continue;
		if (!(k->cost[i] > 0))
			return false;
		cost[i % 2] += k->cost[i];
		total[i % 2] += k->d->units[i / 2].total[i % 2];
		samples[i % 2] += k->samples[i];
	}
	for (int s = 0; s < 2; s++) {
		if (k->n < MIN_FUNCTIONS && samples[s] < MIN_SIDE_SAMPLES)
			return false;
		if (!asked &&
			(samples[s] < MIN_SIDE_SAMPLES || cost[s] < MIN_SIDE_SHARE * total[s]))
			return false;
	}
	return true;
}

static void give_factors(struct control *k, struct pgo_design *d, double *scratch)
{
	for (size_t i = 0; i < k->cells; i++) {
		double factor = k->cost[i];

		if (!is_used(k, i))
			continue;
		if (k->n >= MIN_FUNCTIONS) {
			for (size_t f = 0; f < k->n; f++)
				scratch[f] = k->logs[f * k->cells + i];
			factor = pgo_real_exp(median(scratch, k->n));
		}
		d->units[i / 2].work[i % 2] = factor;
	}
}

int pgo_design_by_control(struct pgo_design *d, const struct pgo_costs *c, const char *regex,
	bool *ret, struct pgo_err *err)
{
	struct control k = {.d = d, .c = c, .cells = 2 * d->n_units};
	double *scratch = NULL;
	size_t wanted = 0;
	regex_t re;
	int rc = 0;

	*ret = false;
	if (regex != NULL && regcomp(&re, regex, REG_EXTENDED | REG_NOSUB) != 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"--control '%s' is no regular expression (extended, as grep -E has it)",
			regex);
	for (size_t i = 0; i < k.cells; i++)
		k.used += is_used(&k, i);
	/* Only those that can have been seen in every unit get a row. */
	for (size_t i = 0; i < c->n_items; i++)
		wanted += c->items[i].n_rows >= k.used &&
			  chosen(c, &c->items[i], regex != NULL ? &re : NULL);
	k.cost = pgo_calloc(k.cells + 1, sizeof *k.cost);
	k.one = pgo_calloc(k.cells + 1, sizeof *k.one);
	k.samples = pgo_calloc(k.cells + 1, sizeof *k.samples);
	k.logs = wanted < SIZE_MAX / 16 / (k.cells + 1)
			 ? pgo_calloc((wanted + 1) * (k.cells + 1), sizeof *k.logs)
			 : NULL;
	scratch = pgo_calloc(wanted + 1, sizeof *scratch);
	if (k.cost == NULL || k.one == NULL || k.samples == NULL || k.logs == NULL ||
		scratch == NULL)
		rc = pgo_err_nomem(err);
	for (size_t i = 0; rc == 0 && i < c->n_items; i++)
		if (chosen(c, &c->items[i], regex != NULL ? &re : NULL))
			add_logs(&k, gather(&k, &c->items[i]), c->items[i].n_rows);
	if (rc == 0 && k.used > 0 && enough(&k, regex != NULL)) {
		give_factors(&k, d, scratch);
		*ret = true;
	}
	pgo_free(k.cost);
	pgo_free(k.one);
	pgo_free(k.samples);
	pgo_free(k.logs);
	pgo_free(scratch);
	if (regex != NULL)
		regfree(&re);
	return rc;
}
