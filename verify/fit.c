/* SPDX-License-Identifier: Apache-2.0 */
/* Views, and rows of them folded under other names. */
#include "verify/fit.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"
#include "verify/fit_impl.h"

#include <stdlib.h>
#include <string.h>

/* ---- rows */

static int compare_rows(const void *pa, const void *pb)
{
	const struct pgo_fit_row *a = pa, *b = pb;

	if (a->name != b->name)
		return a->name < b->name ? -1 : 1;
	return (a->place > b->place) - (a->place < b->place);
}

int pgo_fit_rows_put(struct pgo_fit_rows *r, uint32_t name, uint64_t place, uint64_t mass)
{
	struct pgo_fit_row *x;

	if (mass == 0)
		return 0;
	if (name == PGO_STR_NONE)
		return -1;
	x = PGO_VEC_PUSH(r->row, r->n, r->room);
	if (x == NULL)
		return -1;
	*x = (struct pgo_fit_row){name, place, mass};
	return 0;
}

void pgo_fit_rows_finish(struct pgo_fit_rows *r)
{
	size_t n = 0;

	if (r->n != 0)
		qsort(r->row, r->n, sizeof *r->row, compare_rows);
	r->total = 0;
	for (size_t i = 0; i < r->n; i++) {
		if (n != 0 && compare_rows(&r->row[n - 1], &r->row[i]) == 0)
			r->row[n - 1].mass = pgo_sat_add(r->row[n - 1].mass, r->row[i].mass);
		else
			r->row[n++] = r->row[i];
	}
	r->n = n;
	for (size_t i = 0; i < n; i++)
		r->total += (double)r->row[i].mass;
}

void pgo_fit_rows_fini(struct pgo_fit_rows *r)
{
	pgo_free(r->row);
	memset(r, 0, sizeof *r);
}

const struct pgo_fit_row *pgo_fit_rows_find(const struct pgo_fit_rows *r, uint32_t name)
{
	size_t lo = 0, hi = r->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->row[mid].name < name)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < r->n && r->row[lo].name == name ? &r->row[lo] : NULL;
}

void pgo_fit_view_fini(struct pgo_fit_view *v)
{
	pgo_fit_rows_fini(&v->functions);
	pgo_fit_rows_fini(&v->blocks);
	pgo_fit_rows_fini(&v->symbols);
	memset(v, 0, sizeof *v);
}

static void finish(struct pgo_fit_view *v)
{
	pgo_fit_rows_finish(&v->functions);
	pgo_fit_rows_finish(&v->blocks);
	pgo_fit_rows_finish(&v->symbols);
}

/* ---- source-level profiles */

/* Of a context "[main:3 @ foo:1.2 @ bar]" the function itself. */
static uint32_t innermost(struct pgo_strtab *strs, const struct pgo_str *s)
{
	const char *text = s->s, *end = text + s->len, *p;

	if (s->len < 2 || text[0] != '[' || end[-1] != ']')
		return pgo_strtab_take(strs, s);
	end--;
	for (p = end; p > text + 1; p--)
		if (p[-1] == ' ')
			break;
	return pgo_strtab_add(strs, p, (size_t)(end - p));
}

static int add_fn(struct pgo_fit_view *v, struct pgo_strtab *strs, const struct pgo_fnprof *p,
	const struct pgo_fn *f, uint32_t top)
{
	uint32_t name = innermost(strs, &p->strs.strs[f->name]);
	uint64_t sum = 0;

	if (name == PGO_STR_NONE)
		return -1;
	top = top != PGO_STR_NONE ? top : name;
	for (uint32_t i = 0; i < f->n_pos; i++) {
		const struct pgo_fn_pos *x = &f->pos[i];

		sum = pgo_sat_add(sum, x->count);
		if (pgo_fit_rows_put(
			    &v->blocks, name, (uint64_t)x->line << 32 | x->disc, x->count) < 0)
			return -1;
	}
	if (pgo_fit_rows_put(&v->functions, name, 0, sum) < 0 ||
		pgo_fit_rows_put(&v->symbols, top, 0, sum) < 0)
		return -1;
	for (uint32_t i = 0; i < f->n_calls; i++)
		if (add_fn(v, strs, p, f->calls[i].callee, top) < 0)
			return -1;
	return 0;
}

int pgo_fit_view_fnprof(struct pgo_fit_view *v, struct pgo_strtab *strs, const struct pgo_fnprof *p,
	struct pgo_err *err)
{
	for (size_t i = 0; i < p->n_fns; i++)
		if (add_fn(v, strs, p, p->fns[i], PGO_STR_NONE) < 0)
			return pgo_err_nomem(err);
	v->hashed = p->md5_names;
	finish(v);
	return 0;
}

/* ---- .fdata */

int pgo_fit_view_fdata(struct pgo_fit_view *v, struct pgo_strtab *strs, const struct pgo_fdata *f,
	struct pgo_err *err)
{
	for (size_t i = 0; i < f->n_edges; i++) {
		const struct pgo_fdata_edge *e = &f->edges[i];
		uint32_t name;

		if (!e->from.known)
			continue;
		name = pgo_strtab_take(strs, &f->strs.strs[e->from.name]);
		if (pgo_fit_rows_put(&v->functions, name, 0, e->count) < 0 ||
			pgo_fit_rows_put(&v->symbols, name, 0, e->count) < 0 ||
			pgo_fit_rows_put(&v->blocks, name, e->from.offset, e->count) < 0)
			return pgo_err_nomem(err);
	}
	v->offsets = true;
	finish(v);
	return 0;
}
