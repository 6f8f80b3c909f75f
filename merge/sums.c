/* SPDX-License-Identifier: Apache-2.0 */
/* A sample -> its row: the stack and the labels interned, the values multiplied and added. */
#include "merge/tables.h"
#include "pgo/core/vec.h"

#include <stdlib.h>

/* ---------------------------------------------------------------- labels */

static int cmp_label(const void *pa, const void *pb)
{
	return memcmp(pa, pb, sizeof(struct pgo_label));
}

struct labels_key {
	const struct pgo_label *labels;
	uint32_t n;
};

static bool labels_eq(const void *ctx, uint32_t index, const void *key)
{
	const struct pgo_merge *m = ctx;
	const struct labels_key *k = key;
	const struct pgo_mt_labels *l = &m->label_sets[index];

	return l->n == k->n &&
	       memcmp(m->labels + l->first, k->labels, k->n * sizeof *k->labels) == 0;
}

/* The labels of a sample that are kept, in the tables' ids, into the scratch array. */
static int scratch_labels(
	struct pgo_merge *m, const struct pgo_sample *s, uint32_t *ret_n, struct pgo_err *err)
{
	struct pgo_mt_remap *r = &m->remap;
	const struct pgo_tags *tags = m->options.tags;
	uint32_t n = 0;
	int rc;

	if (PGO_VEC_RESERVE(r->labels, r->labels_room, s->n_label) < 0)
		return pgo_err_nomem(err);
	for (uint32_t i = 0; i < s->n_label; i++) {
		const struct pgo_label *from = &s->label[i];
		struct pgo_label *to = &r->labels[n];

		if (tags != NULL && !pgo_tags_keep(tags, pgo_profile_str(r->head, from->key)))
			continue;
		n++;
		memset(to, 0, sizeof *to);
		to->num = from->num;
		if ((rc = pgo_mt_str(m, from->key, &to->key, err)) < 0 ||
			(rc = pgo_mt_str(m, from->str, &to->str, err)) < 0 ||
			(rc = pgo_mt_str(m, from->num_unit, &to->num_unit, err)) < 0)
			return rc;
	}
	*ret_n = n;
	return 0;
}

void pgo_mt_sort_labels(struct pgo_label *labels, uint32_t n)
{
	if (n != 0)
		qsort(labels, n, sizeof *labels, cmp_label);
}

int pgo_mt_intern_labels(struct pgo_merge *m, struct pgo_label *labels, uint32_t n, uint32_t *ret)
{
	struct labels_key k = {labels, n};
	uint64_t hash;

	pgo_mt_sort_labels(labels, n);
	hash = pgo_hash(labels, n * sizeof *labels);
	*ret = pgo_map_find(&m->label_map, hash, labels_eq, m, &k);
	if (*ret != PGO_MAP_NONE)
		return 0;
	*ret = (uint32_t)m->n_label_sets;
	if (m->n_label_sets >= PGO_NONE ||
		PGO_VEC_RESERVE(m->labels, m->labels_room, m->n_labels + n) < 0 ||
		PGO_VEC_RESERVE(m->label_sets, m->label_sets_room, m->n_label_sets + 1) < 0 ||
		pgo_map_add(&m->label_map, hash, *ret) < 0)
		return -1;
	memcpy(m->labels + m->n_labels, labels, n * sizeof *labels);
	m->label_sets[m->n_label_sets].first = m->n_labels;
	m->label_sets[m->n_label_sets++].n = n;
	m->n_labels += n;
	return 0;
}

static int map_labels(
	struct pgo_merge *m, const struct pgo_sample *s, uint32_t *ret, struct pgo_err *err)
{
	uint32_t n = 0;
	int rc = scratch_labels(m, s, &n, err);

	*ret = 0;
	if (rc < 0 || n == 0)
		return rc;
	return pgo_mt_intern_labels(m, m->remap.labels, n, ret) < 0 ? pgo_err_nomem(err) : 0;
}

/* ---------------------------------------------------------------- stacks and sums */

uint32_t *pgo_mt_batch_room(struct pgo_merge *m, uint32_t n_loc)
{
	struct pgo_mt_batch *b = &m->batch;

	/* One more than needed, for none is no NULL. */
	if (PGO_VEC_RESERVE(b->locs, b->locs_room, b->n_locs + n_loc + 1) < 0)
		return NULL;
	return b->locs + b->n_locs;
}

void pgo_mt_batch_put(struct pgo_merge *m, uint32_t n_loc, uint32_t labels)
{
	struct pgo_mt_batch *b = &m->batch;
	struct pgo_mt_waiting *w = &b->at[b->n++];

	w->hash = pgo_hash(b->locs + b->n_locs, n_loc * sizeof *b->locs) +
		  labels * 0x9e3779b97f4a7c15u;
	w->first = b->n_locs;
	w->n_loc = n_loc;
	w->labels = labels;
	b->n_locs += n_loc;
	pgo_map_prefetch(&m->stack_map, w->hash);
}

static bool stack_eq(const void *ctx, uint32_t index, const void *key)
{
	const struct pgo_merge *m = ctx;
	const struct pgo_mt_waiting *w = key;
	const struct pgo_mt_stack *s = &m->stacks[index];

	return s->n_loc == w->n_loc && s->labels == w->labels &&
	       memcmp(m->stack_locs + s->first, m->batch.locs + w->first,
		       w->n_loc * sizeof *m->stack_locs) == 0;
}

/* Asks for the memory of the stacks that the batch will most likely find. */
static void expect_stacks(const struct pgo_merge *m)
{
	const struct pgo_mt_batch *b = &m->batch;
	uint32_t guess[PGO_MT_BATCH];

	for (uint32_t i = 0; i < b->n; i++) {
		guess[i] = pgo_map_guess(&m->stack_map, b->at[i].hash);
		if (guess[i] == PGO_MAP_NONE)
			continue;
		__builtin_prefetch(&m->stacks[guess[i]]);
		__builtin_prefetch(m->sums + (size_t)guess[i] * m->stride, 1);
	}
	for (uint32_t i = 0; i < b->n; i++) {
		const uint32_t *locs;

		if (guess[i] == PGO_MAP_NONE)
			continue;
		locs = m->stack_locs + m->stacks[guess[i]].first;
		__builtin_prefetch(locs);
		/* Lines of 64 bytes; what is beyond two of them the machine sees coming. */
		__builtin_prefetch(locs + 16);
	}
}

static int claim_row(struct pgo_merge *m, const struct pgo_mt_waiting *w, uint32_t *ret)
{
	struct pgo_mt_stack *s;
	size_t row;

	*ret = (uint32_t)m->n_stacks;
	if (m->n_stacks >= PGO_NONE || __builtin_mul_overflow(m->n_stacks + 1, m->stride, &row) ||
		PGO_VEC_RESERVE(m->sums, m->sums_room, row) < 0 ||
		PGO_VEC_RESERVE(m->stacks, m->stacks_room, m->n_stacks + 1) < 0 ||
		PGO_VEC_RESERVE(m->stack_locs, m->stack_locs_room, m->n_stack_locs + w->n_loc + 1) <
			0 ||
		pgo_map_add(&m->stack_map, w->hash, *ret) < 0)
		return -1;
	memset(m->sums + row - m->stride, 0, m->stride * sizeof *m->sums);
	memcpy(m->stack_locs + m->n_stack_locs, m->batch.locs + w->first,
		w->n_loc * sizeof *m->stack_locs);
	s = &m->stacks[m->n_stacks++];
	s->first = m->n_stack_locs;
	s->n_loc = w->n_loc;
	s->labels = w->labels;
	m->n_stack_locs += w->n_loc;
	return 0;
}

int pgo_mt_batch_rows(struct pgo_merge *m)
{
	struct pgo_mt_batch *b = &m->batch;

	expect_stacks(m);
	for (uint32_t i = 0; i < b->n; i++) {
		struct pgo_mt_waiting *w = &b->at[i];

		w->row = pgo_map_find(&m->stack_map, w->hash, stack_eq, m, w);
		if (w->row == PGO_MAP_NONE && claim_row(m, w, &w->row) < 0)
			return -1;
	}
	return 0;
}

int pgo_mt_intern_stack(struct pgo_merge *m, uint32_t n_loc, uint32_t labels, uint32_t *ret)
{
	uint32_t *to = pgo_mt_batch_room(m, n_loc);
	int rc;

	if (to == NULL)
		return -1;
	memcpy(to, m->stack_locs + m->n_stack_locs, n_loc * sizeof *to);
	pgo_mt_batch_put(m, n_loc, labels);
	rc = pgo_mt_batch_rows(m);
	*ret = m->batch.at[0].row;
	m->batch.n = 0;
	m->batch.n_locs = 0;
	return rc;
}

/* ---------------------------------------------------------------- samples */

static bool is_zero(const struct pgo_sample *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s->value[i] != 0)
			return false;
	return true;
}

static int map_stack(struct pgo_merge *m, const struct pgo_sample *s, struct pgo_err *err)
{
	/* This loop is the hottest of all: nothing in it but loads from places that stay. */
	const uint32_t *known = m->remap.location;
	const size_t n_known = m->remap.head->n_locations;
	const uint32_t n_loc = s->n_loc;
	uint32_t labels = 0, *to = pgo_mt_batch_room(m, n_loc);
	int rc;

	if (to == NULL)
		return pgo_err_nomem(err);
	for (uint32_t i = 0; i < n_loc; i++) {
		uint32_t id = s->loc[i];

		if (id >= n_known)
			return pgo_err_set(err, PGO_EFORMAT, "location %u is not in the table", id);
		to[i] = known[id];
		if (to[i] == PGO_NONE && (rc = pgo_mt_location(m, id, &to[i], err)) < 0)
			return rc;
	}
	if (m->options.keep_labels && s->n_label != 0 && (rc = map_labels(m, s, &labels, err)) < 0)
		return rc;
	pgo_mt_batch_put(m, n_loc, labels);
	return 0;
}

static bool add_value(pgo_i128 *sum, int64_t value, uint64_t factor, uint64_t weight)
{
	pgo_i128 part;

	return value == 0 || (!__builtin_mul_overflow((pgo_i128)value, (pgo_i128)weight, &part) &&
				     !__builtin_mul_overflow(part, (pgo_i128)factor, &part) &&
				     !__builtin_add_overflow(*sum, part, sum));
}

static int add_values(struct pgo_merge *m, const struct pgo_mt_waiting *w, const int64_t *values,
	struct pgo_err *err)
{
	const struct pgo_mt_remap *r = &m->remap;
	const uint64_t weight = m->batch.weight;
	const size_t n = r->head->n_sample_types;
	pgo_i128 *sums = m->sums + (size_t)w->row * m->stride;
	bool good = true;

	for (size_t i = 0; i < n; i++)
		good &= add_value(&sums[r->column[i]], values[i], r->factor[i], weight);
	if (r->counts != PGO_NONE)
		good &= add_value(&sums[r->implied], values[r->counts], r->implied_factor, weight);
	if (!good)
		return pgo_err_set(err, PGO_ELIMIT,
			"a sum exceeds 128 bits; the values of the profile cannot be right");
	return 0;
}

int pgo_mt_flush(struct pgo_merge *m, struct pgo_err *err)
{
	struct pgo_mt_batch *b = &m->batch;
	const size_t n = m->remap.head->n_sample_types;
	int rc = pgo_mt_batch_rows(m) < 0 ? pgo_err_nomem(err) : 0;

	for (uint32_t i = 0; i < b->n && rc == 0; i++)
		rc = add_values(m, &b->at[i], b->values + i * n, err);
	b->n = 0;
	b->n_locs = 0;
	return rc;
}

int pgo_mt_add(
	struct pgo_merge *m, const struct pgo_sample *s, uint64_t weight, struct pgo_err *err)
{
	struct pgo_mt_batch *b = &m->batch;
	const size_t n = m->remap.head->n_sample_types;
	int rc;

	if (is_zero(s, n)) {
		m->stats.samples_zero++;
		return 0;
	}
	if (m->tag_seen != NULL) {
		rc = pgo_tags_take(m->options.tags, m->tag_seen, m->remap.head, s);
		if (rc < 0)
			return pgo_err_nomem(err);
		m->stats.samples_filtered += rc == 0;
		if (rc == 0)
			return 0;
	}
	if (PGO_VEC_RESERVE(b->values, b->values_room, PGO_MT_BATCH * n) < 0)
		return pgo_err_nomem(err);
	b->weight = weight;
	/* One by one, as the decoder has just written them: a wider load would wait for its stores. */
	for (size_t i = 0; i < n; i++)
		b->values[b->n * n + i] = s->value[i];
	rc = map_stack(m, s, err);
	if (rc < 0)
		return rc;
	return b->n == PGO_MT_BATCH ? pgo_mt_flush(m, err) : 0;
}
