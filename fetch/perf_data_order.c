/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that wait for their time.  Held records stay where they were read; an item of 16 bytes
 * says where.  What is handed on is one batch: everything not newer than a limit.  A batch without
 * changes of address spaces, which is nearly every batch, goes out as it is.  Else the changes are
 * sorted by time, and the samples are put by counting into the gaps between them.
 */
#include "fetch/perf_data_impl.h"
#include "pgo/core/parallel.h"
#include "pgo/core/vec.h"

#include <stdlib.h>

/* What may be held: more than the buffers of a hundred processors.  Past it the older half goes. */
#define HELD_MAX ((uint64_t)32 << 20)

int pgo_perf_hold(struct pgo_perf *p, unsigned which, size_t offset, uint64_t time, bool change,
	struct pgo_err *err)
{
	struct pgo_perf_item *i;

	if (PGO_VEC_RESERVE(p->items, p->items_room, p->n_items + 1) < 0)
		return pgo_err_nomem(err);
	i = &p->items[p->n_items++];
	i->time = time;
	i->offset = (uint32_t)offset;
	i->which = (uint16_t)which;
	i->change = change;
	p->held += pgo_perf_size(p, p->bytes[which].data + offset);
	if (time > p->round_max)
		p->round_max = time;
	if (time < p->flushed)
		p->info->late++;
	return 0;
}

static int deliver(struct pgo_perf *p, const struct pgo_perf_item *i, struct pgo_err *err)
{
	return pgo_perf_deliver(p, p->bytes[i->which].data + i->offset, err);
}

/* Fewer samples than this are not worth a second thread. */
#define SHARE_MIN 256

struct share {
	const struct pgo_perf *p;
	const struct pgo_perf_item *samples;
	size_t n, lanes;
};

static int deliver_share(void *ctx, size_t lane, unsigned thread, struct pgo_err *err)
{
	const struct share *s = ctx;
	size_t end = s->n * (lane + 1) / s->lanes;
	int rc = 0;

	(void)thread;
	for (size_t i = s->n * lane / s->lanes; i < end && rc == 0; i++)
		rc = pgo_perf_deliver_sample(s->p, (unsigned)lane,
			s->p->bytes[s->samples[i].which].data + s->samples[i].offset, err);
	return rc;
}

/* Samples with nothing between them. */
static int deliver_samples(
	struct pgo_perf *p, const struct pgo_perf_item *samples, size_t n, struct pgo_err *err)
{
	struct share s = {p, samples, n, p->n_lanes};
	int rc = 0;

	if (p->n_lanes == 1 || n < SHARE_MIN) {
		for (size_t i = 0; i < n && rc == 0; i++)
			rc = deliver(p, &samples[i], err);
		return rc;
	}
	if (PGO_VEC_RESERVE(p->pids, p->pids_room, n) < 0)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < n; i++)
		p->pids[i] = pgo_perf_pid(p, p->bytes[samples[i].which].data + samples[i].offset);
	rc = p->sink->prepare(p->sink->ctx, p->pids, n, err);
	return rc < 0 ? rc : pgo_parallel(p->n_lanes, (unsigned)p->n_lanes, deliver_share, &s, err);
}

static int by_time(const void *a, const void *b)
{
	const struct pgo_perf_item *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	/* Same time: as in the file.  Between the two streams it does not matter which. */
	if (x->which != y->which)
		return x->which < y->which ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* How many of the sorted changes are not newer than `time`. */
static size_t changes_until(const struct pgo_perf_item *changes, size_t n, uint64_t time)
{
	size_t lo = 0;

	while (n > 0) {
		size_t half = n / 2;

		if (changes[lo + half].time <= time) {
			lo += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return lo;
}

/*
 * batch[0..n): takes the n_changes changes out, sorts them, and delivers each sample after the last
 * change that is not newer.
 */
static int deliver_mixed(struct pgo_perf *p, const struct pgo_perf_item *batch, size_t n,
	size_t n_changes, struct pgo_err *err)
{
	struct pgo_perf_item *changes = pgo_calloc(n_changes, sizeof *changes);
	struct pgo_perf_item *samples = pgo_calloc(n - n_changes, sizeof *samples);
	size_t *starts = pgo_calloc(n_changes + 2, sizeof *starts);
	size_t n_sorted = 0;
	int rc = 0;

	if (changes == NULL || samples == NULL || starts == NULL) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	for (size_t i = 0; i < n; i++)
		if (batch[i].change)
			changes[n_sorted++] = batch[i];
	qsort(changes, n_changes, sizeof *changes, by_time);
	for (size_t i = 0; i < n; i++)
		if (!batch[i].change)
			starts[changes_until(changes, n_changes, batch[i].time) + 1]++;
	for (size_t k = 1; k < n_changes + 2; k++)
		starts[k] += starts[k - 1];
	for (size_t i = 0; i < n; i++)
		if (!batch[i].change)
			samples[starts[changes_until(changes, n_changes, batch[i].time)]++] =
				batch[i];
	/* Now starts[k] is where the samples after k changes end. */
	for (size_t k = 0, i = 0; k <= n_changes && rc == 0; k++) {
		rc = deliver_samples(p, samples + i, starts[k] - i, err);
		i = starts[k];
		if (k < n_changes && rc == 0)
			rc = deliver(p, &changes[k], err);
	}
out:
	pgo_free(changes);
	pgo_free(samples);
	pgo_free(starts);
	return rc;
}

int pgo_perf_flush(struct pgo_perf *p, uint64_t until, struct pgo_err *err)
{
	size_t n_batch = 0, n_kept = 0, n_changes = 0;

	if (p->n_items == 0)
		return 0;
	if (PGO_VEC_RESERVE(p->batch, p->batch_room, p->n_items) < 0)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < p->n_items; i++) {
		struct pgo_perf_item item = p->items[i];

		if (item.time > until) {
			p->items[n_kept++] = item;
			continue;
		}
		p->batch[n_batch++] = item;
		n_changes += item.change;
		p->held -= pgo_perf_size(p, p->bytes[item.which].data + item.offset);
		if (item.time > p->flushed)
			p->flushed = item.time;
	}
	p->n_items = n_kept;
	if (n_changes > 0)
		return deliver_mixed(p, p->batch, n_batch, n_changes, err);
	return deliver_samples(p, p->batch, n_batch, err);
}

int pgo_perf_round(struct pgo_perf *p, struct pgo_err *err)
{
	int rc = pgo_perf_flush(p, p->last_round, err);

	p->last_round = p->round_max;
	return rc;
}

int pgo_perf_relieve(struct pgo_perf *p, struct pgo_err *err)
{
	uint64_t oldest = UINT64_MAX, newest = 0;
	int rc;

	if (p->held <= HELD_MAX)
		return 0;
	for (size_t i = 0; i < p->n_items; i++) {
		if (p->items[i].time < oldest)
			oldest = p->items[i].time;
		if (p->items[i].time > newest)
			newest = p->items[i].time;
	}
	rc = pgo_perf_flush(p, oldest + (newest - oldest) / 2, err);
	if (rc == 0 && p->held > HELD_MAX / 4 * 3)
		rc = pgo_perf_flush(p, UINT64_MAX, err);
	return rc;
}

/* Moves held records to the front, and the bytes not yet parsed behind them. */
static void compact(struct pgo_perf *p, unsigned which)
{
	struct pgo_perf_bytes *b = &p->bytes[which];
	size_t to = 0;

	for (size_t i = 0; i < p->n_items; i++) {
		struct pgo_perf_item *item = &p->items[i];
		uint32_t size;

		if (item->which != which)
			continue;
		size = pgo_perf_size(p, b->data + item->offset);
		if (item->offset != to)
			memmove(b->data + to, b->data + item->offset, size);
		item->offset = (uint32_t)to;
		to += size;
	}
	if (b->pos != to)
		memmove(b->data + to, b->data + b->pos, b->len - b->pos);
	b->len = to + (b->len - b->pos);
	b->pos = to;
}

int pgo_perf_room(struct pgo_perf *p, unsigned which, size_t want, struct pgo_err *err)
{
	struct pgo_perf_bytes *b = &p->bytes[which];

	if (b->room - b->len >= want)
		return 0;
	compact(p, which);
	/* A quarter free, lest the same records move again and again. */
	if (b->room - b->len >= want && b->room - b->len >= b->room / 4)
		return 0;
	if (PGO_VEC_RESERVE(b->data, b->room, b->len + want + b->room / 4) < 0)
		return pgo_err_nomem(err);
	return 0;
}
