/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overflow of the event counter: which instruction it hits, when the ring is captured, the next
 * period. Seeded pseudo-random numbers only, one stream a thread, so that a run can be repeated.
 */
#include "ring_state.h"

#include <string.h>
#include <unistd.h>

#define STALL_EVERY 4000 /* mean distance of random stalls, quarter cycles */

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1du;
}

static uint64_t next_period(struct rvcpu *v)
{
	uint64_t half = (uint64_t)((__uint128_t)R.period * R.jitter / 100),
		 r = next_random(&v->random) >> 11;
	uint64_t p = R.period - half + r % (2 * half + 1);

	return p ? p : 1;
}

void ring_vcpu_reset(struct rvcpu *v, unsigned index)
{
	const uint64_t *const clocks[] = {&v->branches, &v->insns, &v->quarters};
	const struct rvcpu *o;

	v->insns = v->branches = v->mispredicts = 0;
	v->quarters = 0;
	for (o = R.all; o; o = o->older)
		if (o->quarters > v->quarters)
			v->quarters = o->quarters;
	v->branch_at = v->quarters;
	v->head = v->n_ring = 0;
	v->tid = 0;
	v->random = ring_hash(R.seed + 1, index + 1) | 1;
	v->stall_random = ring_hash(R.seed + 2, index + 1) | 1;
	v->clock = clocks[R.event];
	v->sampled_at = *v->clock;
	v->overflow = *v->clock + next_period(v) * (R.event == RING_EV_CYCLES ? 4 : 1);
	v->due = R.sampling ? v->overflow : UINT64_MAX;
	v->skid = -1;
	v->stall_due = v->quarters + STALL_EVERY;
	v->first = v->chunk = NULL;
	v->n_samples = 0;
}

void ring_stall(struct rvcpu *v)
{
	uint64_t r = next_random(&v->stall_random) >> 20;

	v->quarters += 4 * (10 + r % 61);
	v->stall_due = v->quarters + 1 + (r >> 8) % (2 * STALL_EVERY);
}

/* Index of the instruction of b during which the clock passed v->overflow. */
static uint32_t overflow_insn(const struct rvcpu *v, const struct rblock *b)
{
	uint64_t at;
	uint32_t i;

	if (R.event == RING_EV_BRANCHES)
		return 0;
	/* stalls and mispredictions were charged before the block's first instruction */
	at = *v->clock - (R.event == RING_EV_CYCLES ? b->cost : b->n_insns);
	for (i = 0; i + 1 < b->n_insns; i++) {
		at += R.event == RING_EV_CYCLES ? ring_insn_cost(b, b->start + b->offset[i]) : 1;
		if (at >= v->overflow)
			break;
	}
	return i;
}

static void *sample_space(struct rvcpu *v, size_t size)
{
	void *p;

	if (!v->chunk || sizeof(v->chunk->data) - v->chunk->used < size) {
		struct rchunk *c = ring_alloc(sizeof(*c));

		if (v->chunk)
			v->chunk->next = c;
		else
			v->first = c;
		v->chunk = c;
	}
	p = v->chunk->data + v->chunk->used;
	v->chunk->used += size;
	return p;
}

static uint32_t chain_length(const struct rvcpu *v)
{
	if (!(R.flags & RING_F_CHAIN))
		return 0;
	return v->depth < 126 ? v->depth : 126;
}

static void capture(struct rvcpu *v, uint64_t ip)
{
	struct ring_sample s = {.ip = ip};
	uint32_t i, n_ring = v->head < R.depth ? v->head : R.depth, n_chain = chain_length(v);
	unsigned char *out;

	if (__atomic_fetch_add(&R.n_samples, 1, __ATOMIC_RELAXED) >= R.max_samples) {
		__atomic_fetch_add(&R.lost, 1, __ATOMIC_RELAXED);
		return;
	}
	if (!v->tid)
		v->tid = (uint32_t)gettid();
	s.time_ns = v->quarters / RING_QUARTERS_PER_NS;
	s.period = (v->overflow - v->sampled_at) / (R.event == RING_EV_CYCLES ? 4 : 1);
	s.tid = v->tid;
	s.n_ring = (uint16_t)n_ring;
	s.n_chain = (uint16_t)n_chain;
	out = sample_space(v, sizeof(s) + n_ring * sizeof(struct ring_entry) + n_chain * 8);
	memcpy(out, &s, sizeof(s));
	out += sizeof(s);
	for (i = 0; i < n_ring; i++, out += sizeof(struct ring_entry)) {
		const struct rslot *slot = &v->ring[(v->head - 1 - i) % RING_DEPTH_MAX];
		struct ring_entry e = {.edge = slot->edge->id, .mispred = (uint8_t)slot->mispred};

		if (R.flags & RING_F_CYCLES)
			e.cycles = slot->cycles < 65535 ? (uint16_t)slot->cycles : 65535;
		memcpy(out, &e, sizeof(e));
	}
	for (i = 0; i < n_chain; i++, out += 8)
		memcpy(out, &v->stack[(v->depth - 1 - i) % RING_STACK], 8);
	v->n_samples++;
}

/*
 * Called at the entry of block b, whose instructions the clocks already include, with the ring as
 * it is there: right for every instruction of b. A capture that skids past b's end waits for the
 * next block.
 */
void ring_overflow(struct rvcpu *v, const struct rblock *b)
{
	int64_t at = 0;

	for (;;) {
		if (v->skid < 0) {
			if (*v->clock < v->overflow)
				break;
			at = overflow_insn(v, b);
			v->skid = R.skid ? (int64_t)(1 + (next_random(&v->random) >> 20) % R.skid)
					 : 0;
		}
		at += v->skid;
		if (at >= b->n_insns) {
			v->skid = at - b->n_insns;
			v->due = 0;
			return;
		}
		capture(v, b->start + b->offset[at]);
		v->skid = -1;
		v->sampled_at = v->overflow;
		v->overflow += next_period(v) * (R.event == RING_EV_CYCLES ? 4 : 1);
		if (v->overflow <= *v->clock && R.event == RING_EV_BRANCHES)
			v->overflow = *v->clock + 1;
	}
	v->due = v->overflow;
}
