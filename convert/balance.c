/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/balance.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <math.h>

/* 4000 to the power of 1/199: 199 steps of it lead from 0.25 to 1000. */
#define K_FIRST 0.25
#define K_STEP 1.0425593894937855

/* Evidence changes slowly; it is weighed again every so many rounds. */
#define WEIGH_EVERY 5

/* What keeps logarithms and quotients finite. */
#define LEAST_COUNT 1e-7
#define LEAST_FLOW 1e-12

struct work { /* by block */
	double *in, *out, *samples, *weight;
};

static double at_least(double x, double least)
{
	return x > least ? x : least;
}

static void weigh(const struct pgo_balance *b, const struct work *w)
{
	for (size_t i = 0; i < b->n_blocks; i++) {
		const struct pgo_balance_block *p = &b->blocks[i];
		const double *hits = &b->hits[p->first_hit];
		double samples = 0, weight = (p->insns - p->n_hits) / (1 + p->count / 2);

		for (uint32_t k = 0; k < p->n_hits; k++) {
			double one = 1 / (1 + (p->count + hits[k]) / 2);

			samples += one * hits[k];
			weight += one;
		}
		w->samples[i] = samples;
		w->weight[i] = weight;
	}
}

/* Where nothing is known, a block runs as often as the average one here. */
static void start(struct pgo_balance *b)
{
	double insns = 0, samples = 0, mean;

	for (size_t i = 0; i < b->n_blocks; i++)
		insns += b->blocks[i].insns;
	for (size_t i = 0; i < b->n_hits; i++)
		samples += b->hits[i];
	mean = insns > 0 ? samples / insns : 0;
	for (size_t i = 0; i < b->n_blocks; i++) {
		struct pgo_balance_block *p = &b->blocks[i];
		double sum = 0;

		for (uint32_t k = 0; k < p->n_hits; k++)
			sum += b->hits[p->first_hit + k];
		p->count = at_least((sum + mean / 2) / (p->insns + 0.5), LEAST_COUNT);
		p->entry *= p->count;
		p->exit *= p->count;
	}
	for (size_t i = 0; i < b->n_edges; i++)
		b->edges[i].flow *= b->blocks[b->edges[i].from].count;
}

static void one_round(struct pgo_balance *b, const struct work *w, double k)
{
	for (size_t i = 0; i < b->n_blocks; i++) {
		w->in[i] = b->blocks[i].entry;
		w->out[i] = b->blocks[i].exit;
	}
	for (size_t i = 0; i < b->n_edges; i++) {
		w->in[b->edges[i].to] += b->edges[i].flow;
		w->out[b->edges[i].from] += b->edges[i].flow;
	}
	for (size_t i = 0; i < b->n_blocks; i++) {
		struct pgo_balance_block *p = &b->blocks[i];
		double in = at_least(w->in[i], LEAST_FLOW), out = at_least(w->out[i], LEAST_FLOW);

		p->count = (w->samples[i] + 2 * k) / (w->weight[i] + k / in + k / out);
		w->in[i] = p->count / in;
		w->out[i] = p->count / out;
		p->entry *= w->in[i];
		p->exit *= w->out[i];
	}
	for (size_t i = 0; i < b->n_edges; i++)
		b->edges[i].flow *= sqrt(w->in[b->edges[i].to] * w->out[b->edges[i].from]);
}

int pgo_balance_solve(struct pgo_balance *b)
{
	double k = K_FIRST;
	struct work w;
	size_t n = b->n_blocks;

	if (PGO_VEC_RESERVE(b->scratch, b->scratch_room, 4 * n) < 0)
		return -1;
	w = (struct work){b->scratch, b->scratch + n, b->scratch + 2 * n, b->scratch + 3 * n};
	start(b);
	for (int round = 0; round < PGO_BALANCE_ROUNDS; round++, k *= K_STEP) {
		if (round % WEIGH_EVERY == 0)
			weigh(b, &w);
		one_round(b, &w, k);
	}
	return 0;
}

void pgo_balance_fini(struct pgo_balance *b)
{
	pgo_free(b->blocks);
	pgo_free(b->edges);
	pgo_free(b->hits);
	pgo_free(b->scratch);
	*b = (struct pgo_balance){0};
}
