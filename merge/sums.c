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

/* The labels of a sample in the tables' ids, into the scratch array. */
static int scratch_labels(struct pgo_merge *m, const struct pgo_sample *s, struct pgo_err *err)
{
	struct pgo_mt_remap *r = &m->remap;
	int rc;

	if (PGO_VEC_RESERVE(r->labels, r->labels_room, s->n_label) < 0)
		return pgo_err_nomem(err);
	for (uint32_t i = 0; i < s->n_label; i++) {
		struct pgo_label *to = &r->labels[i];

		memset(to, 0, sizeof *to);
		to->num = s->label[i].num;
		if ((rc = pgo_mt_str(m, s->label[i].key, &to->key, err)) < 0 ||
			(rc = pgo_mt_str(m, s->label[i].str, &to->str, err)) < 0 ||
			(rc = pgo_mt_str(m, s->label[i].num_unit, &to->num_unit, err)) < 0)
			return rc;
	}
	return 0;
}

int pgo_mt_intern_labels(struct pgo_merge *m, struct pgo_label *labels, uint32_t n, uint32_t *ret)
{
	struct labels_key k = {labels, n};
	uint64_t hash;

	if (n != 0)
		qsort(labels, n, sizeof *labels, cmp_label);
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
	int rc = scratch_labels(m, s, err);

	if (rc < 0)
		return rc;
	return pgo_mt_intern_labels(m, m->remap.labels, s->n_label, ret) < 0 ? pgo_err_nomem(err)
									     : 0;
}

/* ---------------------------------------------------------------- stacks and sums */

struct stack_key {
	const uint32_t *loc;
	uint32_t n_loc, labels;
};

static bool stack_eq(const void *ctx, uint32_t index, const void *key)
{
	const struct pgo_merge *m = ctx;
	const struct stack_key *k = key;
	const struct pgo_mt_stack *s = &m->stacks[index];

	return s->n_loc == k->n_loc && s->labels == k->labels &&
	       memcmp(m->stack_locs + s->first, k->loc, k->n_loc * sizeof *k->loc) == 0;
}

int pgo_mt_intern_stack(struct pgo_merge *m, uint32_t n_loc, uint32_t labels, uint32_t *ret)
{
	struct stack_key k = {m->stack_locs + m->n_stack_locs, n_loc, labels};
	uint64_t hash = pgo_hash(k.loc, n_loc * sizeof *k.loc) + labels * 0x9e3779b97f4a7c15u;
	struct pgo_mt_stack *s;
	size_t row;

	*ret = pgo_map_find(&m->stack_map, hash, stack_eq, m, &k);
	if (*ret != PGO_MAP_NONE)
		return 0;
	*ret = (uint32_t)m->n_stacks;
	if (m->n_stacks >= PGO_NONE || __builtin_mul_overflow(m->n_stacks + 1, m->stride, &row) ||
		PGO_VEC_RESERVE(m->sums, m->sums_room, row) < 0 ||
		PGO_VEC_RESERVE(m->stacks, m->stacks_room, m->n_stacks + 1) < 0 ||
		pgo_map_add(&m->stack_map, hash, *ret) < 0)
		return -1;
	memset(m->sums + row - m->stride, 0, m->stride * sizeof *m->sums);
	s = &m->stacks[m->n_stacks++];
	s->first = m->n_stack_locs;
	s->n_loc = n_loc;
	s->labels = labels;
	m->n_stack_locs += n_loc;
	return 0;
}

static bool is_zero(const struct pgo_sample *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s->value[i] != 0)
			return false;
	return true;
}

static int map_stack(
	struct pgo_merge *m, const struct pgo_sample *s, uint32_t *ret, struct pgo_err *err)
{
	/* This loop is the hottest of all: nothing in it but loads from places that stay. */
	const uint32_t *known = m->remap.location;
	const size_t n_known = m->remap.head->n_locations;
	const uint32_t n_loc = s->n_loc;
	uint32_t labels = 0, *to;
	int rc;

	if (PGO_VEC_RESERVE(m->stack_locs, m->stack_locs_room, m->n_stack_locs + s->n_loc + 1) < 0)
		return pgo_err_nomem(err);
	to = m->stack_locs + m->n_stack_locs;
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
	return pgo_mt_intern_stack(m, s->n_loc, labels, ret) < 0 ? pgo_err_nomem(err) : 0;
}

int pgo_mt_add(
	struct pgo_merge *m, const struct pgo_sample *s, uint64_t weight, struct pgo_err *err)
{
	const struct pgo_mt_remap *r = &m->remap;
	size_t n = r->head->n_sample_types;
	uint32_t row = 0;
	pgo_i128 *sums;
	int rc;

	if (is_zero(s, n)) {
		m->stats.samples_zero++;
		return 0;
	}
	rc = map_stack(m, s, &row, err);
	if (rc < 0)
		return rc;
	sums = m->sums + (size_t)row * m->stride;
	for (size_t i = 0; i < n; i++) {
		pgo_i128 *sum = &sums[r->column[i]];
		pgo_i128 part;

		if (s->value[i] == 0)
			continue;
		if (__builtin_mul_overflow((pgo_i128)s->value[i], (pgo_i128)weight, &part) ||
			__builtin_add_overflow(*sum, part, sum))
			return pgo_err_set(err, PGO_ELIMIT,
				"the sum of column %s exceeds 128 bits; its values cannot be right",
				pgo_profile_str(r->head, r->head->sample_types[i].type));
	}
	return 0;
}
