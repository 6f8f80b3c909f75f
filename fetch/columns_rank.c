/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joined columns in the order of their content: strings are ranked, then functions by the ranks of
 * their strings, locations by those of their functions and mappings, and so on up to stacks.
 * Indices in tuples become ranks on the way, so that comparing words compares content.
 */
#include "fetch/columns_impl.h"
#include "pgo/core/alloc.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- ranks */

static void ranking_fini(struct pgo_ranking *r)
{
	pgo_free(r->order);
	pgo_free(r->rank);
}

/* Orders 0..n-1 by `cmp`, which has no ties. */
static int rank_all(struct pgo_ranking *r, size_t n, int (*cmp)(const void *, const void *, void *),
	void *ctx, struct pgo_err *err)
{
	r->order = pgo_calloc(n, sizeof *r->order);
	r->rank = pgo_calloc(n, sizeof *r->rank);
	if (r->order == NULL || r->rank == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < n; i++)
		r->order[i] = (uint32_t)i;
	if (n != 0)
		qsort_r(r->order, n, sizeof *r->order, cmp, ctx);
	for (size_t i = 0; i < n; i++)
		r->rank[r->order[i]] = (uint32_t)i;
	return 0;
}

static int cmp_strings(const void *a, const void *b, void *ctx)
{
	const struct pgo_strtab *t = ctx;
	const struct pgo_str *x = &t->strs[*(const uint32_t *)a];
	const struct pgo_str *y = &t->strs[*(const uint32_t *)b];
	int c = memcmp(x->s, y->s, x->len < y->len ? x->len : y->len);

	return c != 0 ? c : (x->len > y->len) - (x->len < y->len);
}

static int cmp_tuples(const void *a, const void *b, void *ctx)
{
	const struct pgo_tuples *t = ctx;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	const uint32_t *x = pgo_tuple_words(t, i), *y = pgo_tuple_words(t, k);
	uint32_t nx = t->of[i].n, ny = t->of[k].n;

	for (uint32_t w = 0; w < nx && w < ny; w++)
		if (x[w] != y[w])
			return x[w] < y[w] ? -1 : 1;
	return (nx > ny) - (nx < ny);
}

/* ---------------------------------------------------------------- the program's mapping first */

struct weigh {
	const struct pgo_columns *c;
	uint64_t *weight; /* of all columns, by the mapping of the leaf */
	bool *library;
	const uint32_t *string_rank;
};

static void add_saturating(uint64_t *to, int64_t v)
{
	if (v > 0 && __builtin_add_overflow(*to, (uint64_t)v, to))
		*to = UINT64_MAX;
}

static void weigh_mappings(struct weigh *w)
{
	const struct pgo_columns *c = w->c;

	for (size_t i = 0; i < c->stacks.n; i++) {
		const uint32_t *s = pgo_tuple_words(&c->stacks, i);
		uint32_t mapping;

		if (c->stacks.of[i].n <= PGO_CS_LOCS)
			continue;
		mapping = pgo_tuple_words(&c->locations, s[PGO_CS_LOCS])[PGO_CL_MAPPING];
		for (size_t k = 0; k < c->n_columns && mapping != PGO_NONE; k++)
			if (i < c->columns[k].n)
				add_saturating(&w->weight[mapping], c->columns[k].value[i]);
	}
	for (size_t i = 0; i < c->mappings.n; i++) {
		const uint32_t *m = pgo_tuple_words(&c->mappings, i);
		const char *name = pgo_strtab_get(&c->strs, m[PGO_CM_FILE]);
		const char *slash = strrchr(name, '/');
		const char *base = slash != NULL ? slash + 1 : name;

		w->library[i] = base[0] == '\0' || base[0] == '[' || strstr(base, ".so") != NULL;
	}
}

static int cmp_mappings(const void *a, const void *b, void *ctx)
{
	const struct weigh *w = ctx;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	const uint32_t *x = pgo_tuple_words(&w->c->mappings, i);
	const uint32_t *y = pgo_tuple_words(&w->c->mappings, k);

	if (w->library[i] != w->library[k])
		return w->library[i] ? 1 : -1;
	if (w->weight[i] != w->weight[k])
		return w->weight[i] < w->weight[k] ? 1 : -1;
	for (unsigned n = PGO_CM_FILE; n < PGO_CM_WORDS; n++)
		if (x[n] != y[n])
			return w->string_rank[x[n]] < w->string_rank[y[n]] ? -1 : 1;
	for (unsigned n = 0; n < PGO_CM_FILE; n++)
		if (x[n] != y[n])
			return x[n] < y[n] ? -1 : 1;
	return 0;
}

/* ---------------------------------------------------------------- indices -> ranks */

static void translate(uint32_t *w, const uint32_t *rank)
{
	if (*w != PGO_NONE)
		*w = rank[*w];
}

static void translate_functions(struct pgo_columns *c, const uint32_t *strings)
{
	for (size_t i = 0; i < c->functions.n; i++) {
		uint32_t *w = c->functions.words + c->functions.of[i].first;

		translate(&w[PGO_CF_NAME], strings);
		translate(&w[PGO_CF_SYSTEM], strings);
		translate(&w[PGO_CF_FILE], strings);
	}
}

static void translate_locations(
	struct pgo_columns *c, const uint32_t *mappings, const uint32_t *functions)
{
	for (size_t i = 0; i < c->locations.n; i++) {
		uint32_t *w = c->locations.words + c->locations.of[i].first;

		translate(&w[PGO_CL_MAPPING], mappings);
		for (uint32_t k = PGO_CL_LINES; k < c->locations.of[i].n; k += PGO_CN_WORDS)
			translate(&w[k + PGO_CN_FUNCTION], functions);
	}
}

static void translate_labels(struct pgo_columns *c, const uint32_t *strings)
{
	for (size_t i = 0; i < c->labels.n; i++) {
		uint32_t *w = c->labels.words + c->labels.of[i].first;

		for (uint32_t k = 0; k < c->labels.of[i].n; k += PGO_CB_WORDS) {
			translate(&w[k + PGO_CB_KEY], strings);
			translate(&w[k + PGO_CB_STR], strings);
			translate(&w[k + PGO_CB_UNIT], strings);
		}
	}
}

static void translate_stacks(
	struct pgo_columns *c, const uint32_t *labels, const uint32_t *locations)
{
	for (size_t i = 0; i < c->stacks.n; i++) {
		uint32_t *w = c->stacks.words + c->stacks.of[i].first;

		translate(&w[PGO_CS_LABELS], labels);
		for (uint32_t k = PGO_CS_LOCS; k < c->stacks.of[i].n; k++)
			translate(&w[k], locations);
	}
}

void pgo_column_ranks_fini(struct pgo_column_ranks *r)
{
	ranking_fini(&r->strings);
	ranking_fini(&r->mappings);
	ranking_fini(&r->functions);
	ranking_fini(&r->locations);
	ranking_fini(&r->labels);
	ranking_fini(&r->stacks);
}

static int rank_mappings(struct pgo_columns *c, struct pgo_column_ranks *r, struct pgo_err *err)
{
	struct weigh w = {.c = c, .string_rank = r->strings.rank};
	int rc;

	w.weight = pgo_calloc(c->mappings.n, sizeof *w.weight);
	w.library = pgo_calloc(c->mappings.n, sizeof *w.library);
	if (w.weight != NULL && w.library != NULL) {
		weigh_mappings(&w);
		rc = rank_all(&r->mappings, c->mappings.n, cmp_mappings, &w, err);
	} else {
		rc = pgo_err_nomem(err);
	}
	pgo_free(w.weight);
	pgo_free(w.library);
	return rc;
}

int pgo_column_ranks_make(struct pgo_columns *c, struct pgo_column_ranks *r, struct pgo_err *err)
{
	int rc = rank_all(&r->strings, c->strs.n_strs, cmp_strings, &c->strs, err);

	if (rc == 0)
		rc = rank_mappings(c, r, err);
	if (rc < 0)
		return rc;
	translate_functions(c, r->strings.rank);
	translate_labels(c, r->strings.rank);
	rc = rank_all(&r->functions, c->functions.n, cmp_tuples, &c->functions, err);
	if (rc == 0)
		rc = rank_all(&r->labels, c->labels.n, cmp_tuples, &c->labels, err);
	if (rc < 0)
		return rc;
	translate_locations(c, r->mappings.rank, r->functions.rank);
	rc = rank_all(&r->locations, c->locations.n, cmp_tuples, &c->locations, err);
	if (rc < 0)
		return rc;
	translate_stacks(c, r->labels.rank, r->locations.rank);
	return rank_all(&r->stacks, c->stacks.n, cmp_tuples, &c->stacks, err);
}
