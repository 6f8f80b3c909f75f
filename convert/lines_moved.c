/* SPDX-License-Identifier: Apache-2.0 */
/* Debug information of a program, for the one that llvm-bolt made of it. */
#include "convert/bat.h"
#include "convert/cfg.h"
#include "convert/lines.h"
#include "convert/lines_impl.h"
#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

struct mover {
	const struct pgo_elf *moved, *original;
	const struct pgo_bat *bat;
	const struct pgo_symbol **by_name; /* of the original, sorted */
	size_t n_by_name;
	struct pgo_linetab_move *moves;
	size_t n_moves, moves_room;
};

/* Globals by name; locals by name and file. */
static int compare_names(const struct pgo_symbol *a, const struct pgo_symbol *b)
{
	int c = strcmp(a->name, b->name);

	if (c != 0 || (a->local_rank == 0) != (b->local_rank == 0))
		return c != 0 ? c : a->local_rank == 0 ? -1 : 1;
	if (a->local_rank == 0)
		return 0;
	return strcmp(a->file != NULL ? a->file : "", b->file != NULL ? b->file : "");
}

static int by_name(const void *pa, const void *pb)
{
	const struct pgo_symbol *a = *(const struct pgo_symbol *const *)pa;
	const struct pgo_symbol *b = *(const struct pgo_symbol *const *)pb;
	int c = compare_names(a, b);

	if (c != 0)
		return c;
	return a->addr < b->addr ? -1 : a->addr > b->addr;
}

static int sort_names(struct mover *m)
{
	const struct pgo_elf *e = m->original;

	m->by_name = pgo_calloc(e->n_symbols + 1, sizeof(struct pgo_symbol *));
	if (m->by_name == NULL)
		return -1;
	for (size_t i = 0; i < e->n_symbols; i++)
		m->by_name[m->n_by_name++] = &e->symbols[i];
	if (m->n_by_name != 0)
		qsort(m->by_name, m->n_by_name, sizeof(struct pgo_symbol *), by_name);
	return 0;
}

/* Where the function at `addr` of the moved program was; 0: not known. */
static uint64_t before(const struct mover *m, uint64_t addr)
{
	const struct pgo_symbol *s = pgo_elf_symbol(m->moved, addr);
	size_t lo = 0, hi = m->n_by_name;

	if (s == NULL || s->addr != addr)
		return 0;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (compare_names(m->by_name[mid], s) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* Two of one name in one file cannot be told apart. */
	if (lo == m->n_by_name || compare_names(m->by_name[lo], s) != 0 ||
		(lo + 1 < m->n_by_name && compare_names(m->by_name[lo + 1], s) == 0 &&
			m->by_name[lo + 1]->addr != m->by_name[lo]->addr))
		return 0;
	return m->by_name[lo]->addr;
}

/* Each entry begins a piece that reaches to the next; the last one to the end of its symbol. */
static int add_moves(struct mover *m, const struct pgo_bat_fn *f)
{
	const struct pgo_bat_entry *e = &m->bat->entries[f->first];
	const struct pgo_symbol *s = pgo_elf_symbol(m->moved, f->addr);
	uint64_t was = before(m, f->whole);

	if (was == 0 || s == NULL || s->addr != f->addr)
		return 0;
	for (uint32_t i = 0; i < f->n; i++) {
		uint64_t lo = f->addr + e[i].out;
		uint64_t hi = i + 1 < f->n ? f->addr + e[i + 1].out : s->addr + s->size;
		struct pgo_linetab_move *to;

		if (hi <= lo)
			continue;
		to = PGO_VEC_PUSH(m->moves, m->n_moves, m->moves_room);
		if (to == NULL)
			return -1;
		*to = (struct pgo_linetab_move){lo, hi, was + e[i].in};
	}
	return 0;
}

static int compare_moves(const void *pa, const void *pb)
{
	const struct pgo_linetab_move *a = pa, *b = pb;

	return a->lo < b->lo ? -1 : a->lo > b->lo;
}

static int make_moves(struct mover *m)
{
	size_t n = 0;

	if (sort_names(m) < 0)
		return -1;
	for (size_t i = 0; i < m->bat->n_fns; i++)
		if (add_moves(m, &m->bat->fns[i]) < 0)
			return -1;
	if (m->n_moves != 0)
		qsort(m->moves, m->n_moves, sizeof *m->moves, compare_moves);
	for (size_t i = 0; i < m->n_moves; i++)
		if (n == 0 || m->moves[i].lo >= m->moves[n - 1].hi)
			m->moves[n++] = m->moves[i];
	m->n_moves = n;
	return 0;
}

/* What was at the wanted addresses: sorted.  NULL when out of memory. */
static uint64_t *wanted_before(
	const struct mover *m, const uint64_t *wanted, size_t n, size_t *ret_n)
{
	uint64_t *v = pgo_calloc(n + 1, sizeof *v);
	size_t k = 0, at = 0;

	for (size_t i = 0; v != NULL && i < n; i++) {
		while (at < m->n_moves && m->moves[at].hi <= wanted[i])
			at++;
		if (at < m->n_moves && m->moves[at].lo <= wanted[i])
			v[k++] = m->moves[at].from + (wanted[i] - m->moves[at].lo);
	}
	if (v != NULL && k != 0)
		qsort(v, k, sizeof *v, pgo_compare_u64);
	*ret_n = k;
	return v;
}

struct pgo_lines *pgo_lines_open_moved(const struct pgo_elf *moved, const struct pgo_bat *bat,
	const struct pgo_elf *original, const struct pgo_debug_places *where,
	const uint64_t *wanted, size_t n_wanted, struct pgo_strtab *strs, struct pgo_err *err)
{
	struct mover m = {.moved = moved, .original = original, .bat = bat};
	struct pgo_lines *l = NULL;
	uint64_t *was = NULL;
	size_t n = 0;

	if (make_moves(&m) == 0)
		was = wanted_before(&m, wanted, n_wanted, &n);
	if (was == NULL) {
		pgo_err_nomem(err);
	} else {
		l = pgo_lines_open(original, where, was, n, strs, err);
		if (l != NULL && pgo_linetab_move(&l->tab, m.moves, m.n_moves) < 0) {
			pgo_err_nomem(err);
			pgo_lines_close(l);
			l = NULL;
		}
	}
	pgo_free(was);
	pgo_free(m.by_name);
	pgo_free(m.moves);
	return l;
}
