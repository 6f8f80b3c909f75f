/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/ranks.h"

#include "merge/tables.h"
#include "pgo/core/vec.h"

#include <stdlib.h>

void pgo_mt_ranks_fini(struct pgo_mt_ranks *f)
{
	pgo_free(f->str_rank);
	pgo_free(f->mapping_rank);
	pgo_free(f->mapping_at);
	pgo_free(f->function_rank);
	pgo_free(f->function_at);
	pgo_free(f->location_rank);
	pgo_free(f->location_at);
	pgo_free(f->labels_rank);
	pgo_free(f->labels_at);
	pgo_free(f->stack_at);
	pgo_free(f->addr);
	pgo_free(f->order);
}

typedef uint64_t key_fn(const struct pgo_mt_ranks *f, uint32_t i);

/* Sorts 0..n-1 by (key, cmp): `ret_at[rank]` is the id, `ret_rank[id]` (may be NULL) the rank. */
static int rank(struct pgo_mt_ranks *f, size_t n, key_fn *key, pgo_order_cmp *cmp,
	uint32_t **ret_rank, uint32_t **ret_at)
{
	uint32_t *r = NULL;
	uint32_t *at = pgo_calloc(n, sizeof *at);

	if (ret_rank != NULL)
		r = *ret_rank = pgo_calloc(n, sizeof *r);
	*ret_at = at;
	if (at == NULL || (ret_rank != NULL && r == NULL) ||
		PGO_VEC_RESERVE(f->order, f->order_room, n) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		f->order[i] = (struct pgo_order){key(f, (uint32_t)i), (uint32_t)i, 0};
	if (pgo_order_sort(f->order, n, cmp, f) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		at[i] = f->order[i].index;
		if (r != NULL)
			r[at[i]] = (uint32_t)i;
	}
	return 0;
}

#define CMP(a, b)                                                                                  \
	do {                                                                                       \
		if ((a) != (b))                                                                    \
			return (a) < (b) ? -1 : 1;                                                 \
	} while (0)

static uint64_t str_key(const struct pgo_mt_ranks *f, uint32_t i)
{
	const struct pgo_str *s = &f->m->strs.strs[i];
	uint64_t key = 0;

	for (uint32_t b = 0; b < 8; b++)
		key = key << 8 | (b < s->len ? (unsigned char)s->s[b] : 0);
	return key;
}

static int str_cmp(const void *ctx, uint32_t a, uint32_t b)
{
	const struct pgo_mt_ranks *f = ctx;

	return pgo_mt_str_cmp(f->m, a, b);
}

bool pgo_mt_is_main(const struct pgo_merge *m, const struct pgo_mt_mapping *map)
{
	const struct pgo_mt_header *h = &m->header;

	return h->has_main && map->ident == h->main_ident && map->has_id == h->main_has_id;
}

static uint64_t mapping_key(const struct pgo_mt_ranks *f, uint32_t i)
{
	const struct pgo_mt_mapping *map = &f->m->mappings[i];

	return (pgo_mt_is_main(f->m, map) ? 0 : (uint64_t)1 << 32) + f->str_rank[map->filename];
}

static int mapping_cmp(const void *ctx, uint32_t ia, uint32_t ib)
{
	const struct pgo_mt_ranks *f = ctx;
	const struct pgo_mt_mapping *a = &f->m->mappings[ia], *b = &f->m->mappings[ib];

	CMP(f->str_rank[a->ident], f->str_rank[b->ident]);
	CMP(a->has_id, b->has_id);
	CMP(a->bare, b->bare);
	CMP(a->offset, b->offset);
	CMP(a->size, b->size);
	return 0;
}

static uint64_t function_key(const struct pgo_mt_ranks *f, uint32_t i)
{
	const struct pgo_mt_function *fn = &f->m->functions[i];

	return (uint64_t)f->str_rank[fn->name] << 32 | f->str_rank[fn->system_name];
}

static int function_cmp(const void *ctx, uint32_t ia, uint32_t ib)
{
	const struct pgo_mt_ranks *f = ctx;
	const struct pgo_mt_function *a = &f->m->functions[ia], *b = &f->m->functions[ib];

	CMP(f->str_rank[a->filename], f->str_rank[b->filename]);
	CMP(a->start_line, b->start_line);
	return 0;
}

/* Locations without a mapping come last. */
static uint32_t location_mapping(const struct pgo_mt_ranks *f, uint32_t i)
{
	uint32_t map = f->m->locations[i].mapping;

	return map == PGO_NONE ? (uint32_t)f->m->n_mappings : f->mapping_rank[map];
}

static uint64_t location_key(const struct pgo_mt_ranks *f, uint32_t i)
{
	/* 48 bits of address and 16 of mapping, each capped, so that order is kept. */
	const uint64_t max_addr = ((uint64_t)1 << 48) - 1;
	uint64_t map = location_mapping(f, i), addr = f->addr[i];

	if (map >= 0xffff)
		return (uint64_t)0xffff << 48;
	return map << 48 | (addr < max_addr ? addr : max_addr);
}

static int location_cmp(const void *ctx, uint32_t ia, uint32_t ib)
{
	const struct pgo_mt_ranks *f = ctx;
	const struct pgo_mt_location *a = &f->m->locations[ia], *b = &f->m->locations[ib];

	CMP(location_mapping(f, ia), location_mapping(f, ib));
	CMP(f->addr[ia], f->addr[ib]);
	for (uint32_t i = 0; i < a->n_lines && i < b->n_lines; i++) {
		const struct pgo_line *la = &f->m->lines[a->first_line + i];
		const struct pgo_line *lb = &f->m->lines[b->first_line + i];

		CMP(f->function_rank[la->function], f->function_rank[lb->function]);
		CMP(la->line, lb->line);
		CMP(la->column, lb->column);
	}
	CMP(a->n_lines, b->n_lines);
	CMP(a->flags & PGO_MT_FOLDED, b->flags & PGO_MT_FOLDED);
	return 0;
}

static int cmp_label(const void *pa, const void *pb, void *ctx)
{
	const struct pgo_mt_ranks *f = ctx;
	const struct pgo_label *a = pa, *b = pb;

	CMP(f->str_rank[a->key], f->str_rank[b->key]);
	CMP(f->str_rank[a->str], f->str_rank[b->str]);
	CMP(a->num, b->num);
	CMP(f->str_rank[a->num_unit], f->str_rank[b->num_unit]);
	return 0;
}

static uint64_t labels_key(const struct pgo_mt_ranks *f, uint32_t i)
{
	const struct pgo_mt_labels *set = &f->m->label_sets[i];
	const struct pgo_label *l = f->m->labels + set->first;

	return set->n == 0 ? 0 : ((uint64_t)f->str_rank[l->key] << 32 | f->str_rank[l->str]) + 1;
}

static int labels_cmp(const void *ctx, uint32_t ia, uint32_t ib)
{
	const struct pgo_mt_ranks *f = ctx;
	const struct pgo_mt_labels *a = &f->m->label_sets[ia], *b = &f->m->label_sets[ib];

	for (uint32_t i = 0; i < a->n && i < b->n; i++) {
		int c = cmp_label(f->m->labels + a->first + i, f->m->labels + b->first + i,
			(void *)(uintptr_t)f);

		if (c != 0)
			return c;
	}
	CMP(a->n, b->n);
	return 0;
}

uint64_t pgo_mt_row_key(const uint32_t *loc, uint32_t n_loc)
{
	if (n_loc == 0)
		return 0;
	return ((uint64_t)loc[0] + 1) << 32 | (n_loc > 1 ? loc[1] + 1 : 0);
}

int pgo_mt_row_cmp(const uint32_t *a, uint32_t n_a, uint32_t labels_a, const uint32_t *b,
	uint32_t n_b, uint32_t labels_b)
{
	for (uint32_t i = 0; i < n_a && i < n_b; i++)
		CMP(a[i], b[i]);
	CMP(n_a, n_b);
	CMP(labels_a, labels_b);
	return 0;
}

/* Locations of stacks are ranks by now. */
static uint64_t stack_key(const struct pgo_mt_ranks *f, uint32_t i)
{
	const struct pgo_mt_stack *s = &f->m->stacks[i];

	return pgo_mt_row_key(f->m->stack_locs + s->first, s->n_loc);
}

static int stack_cmp(const void *ctx, uint32_t ia, uint32_t ib)
{
	const struct pgo_mt_ranks *f = ctx;
	const struct pgo_mt_stack *a = &f->m->stacks[ia], *b = &f->m->stacks[ib];

	return pgo_mt_row_cmp(f->m->stack_locs + a->first, a->n_loc, f->labels_rank[a->labels],
		f->m->stack_locs + b->first, b->n_loc, f->labels_rank[b->labels]);
}

static int place_addresses(struct pgo_mt_ranks *f)
{
	const struct pgo_merge *m = f->m;

	f->addr = pgo_calloc(m->n_locations, sizeof *f->addr);
	if (f->addr == NULL)
		return -1;
	for (size_t i = 0; i < m->n_locations; i++) {
		const struct pgo_mt_location *l = &m->locations[i];

		f->addr[i] = l->addr;
		if ((l->flags & PGO_MT_RAW) == 0)
			f->addr[i] += m->mappings[l->mapping].start;
	}
	return 0;
}

int pgo_mt_rank_all(struct pgo_mt_ranks *f)
{
	struct pgo_merge *m = f->m;
	uint32_t *str_at = NULL;
	int rc;

	rc = rank(f, m->strs.n_strs, str_key, str_cmp, &f->str_rank, &str_at);
	pgo_free(str_at);
	if (rc < 0 ||
		rank(f, m->n_mappings, mapping_key, mapping_cmp, &f->mapping_rank, &f->mapping_at) <
			0 ||
		rank(f, m->n_functions, function_key, function_cmp, &f->function_rank,
			&f->function_at) < 0 ||
		place_addresses(f) < 0 ||
		rank(f, m->n_locations, location_key, location_cmp, &f->location_rank,
			&f->location_at) < 0)
		return -1;
	for (size_t i = 1; i < m->n_label_sets; i++) /* set 0 has no labels */
		qsort_r(m->labels + m->label_sets[i].first, m->label_sets[i].n, sizeof *m->labels,
			cmp_label, f);
	if (rank(f, m->n_label_sets, labels_key, labels_cmp, &f->labels_rank, &f->labels_at) < 0)
		return -1;
	for (size_t i = 0; i < m->n_stack_locs; i++)
		m->stack_locs[i] = f->location_rank[m->stack_locs[i]];
	return rank(f, m->n_stacks, stack_key, stack_cmp, NULL, &f->stack_at);
}
