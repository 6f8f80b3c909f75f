/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/linetab.h"

#include "pgo/core/parallel.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

void pgo_linetab_fini(struct pgo_linetab *t)
{
	pgo_free(t->rows);
	pgo_free(t->intervals);
	pgo_free(t->nodes);
	pgo_free(t->fns);
	pgo_free(t->ranges);
	*t = (struct pgo_linetab){0};
}

int pgo_linetab_add_row(struct pgo_linetab *t, uint64_t addr, uint32_t line, uint32_t disc,
	enum pgo_disc_encoding enc, bool end)
{
	struct pgo_linetab_row *r = PGO_VEC_PUSH(t->rows, t->n_rows, t->rows_room);

	if (r == NULL)
		return -1;
	r->addr = addr;
	r->line = line > PGO_ROW_MAX_LINE ? 0 : line;
	r->line |= (uint32_t)enc << PGO_ROW_ENC_SHIFT | (end ? PGO_ROW_END : 0);
	r->raw_disc = disc;
	return 0;
}

int pgo_linetab_add_interval(
	struct pgo_linetab *t, uint64_t lo, uint64_t hi, uint32_t node, uint32_t depth)
{
	struct pgo_linetab_interval *i;

	if (hi <= lo)
		return 0;
	i = PGO_VEC_PUSH(t->intervals, t->n_intervals, t->intervals_room);
	if (i == NULL)
		return -1;
	*i = (struct pgo_linetab_interval){lo, hi, node, depth};
	return 0;
}

/* ------------------------------------------------------------------ intervals */

/* Outer before inner: by start, then the longer, then the shallower, then the earlier node. */
static int compare_intervals(const void *pa, const void *pb)
{
	const struct pgo_linetab_interval *a = pa, *b = pb;

	if (a->lo != b->lo)
		return a->lo < b->lo ? -1 : 1;
	if (a->hi != b->hi)
		return a->hi > b->hi ? -1 : 1;
	if (a->depth != b->depth)
		return a->depth < b->depth ? -1 : 1;
	return a->node < b->node ? -1 : a->node > b->node;
}

struct flatten {
	struct pgo_linetab_interval *out, *stack;
	size_t n_out, out_room, n_stack, stack_room;
	uint64_t at; /* everything below is written */
};

static int emit(struct flatten *f, uint64_t to)
{
	struct pgo_linetab_interval *top = &f->stack[f->n_stack - 1], *last, *o;

	if (to <= f->at)
		return 0;
	last = f->n_out != 0 ? &f->out[f->n_out - 1] : NULL;
	if (last != NULL && last->hi == f->at && last->node == top->node) {
		last->hi = to;
	} else {
		o = PGO_VEC_PUSH(f->out, f->n_out, f->out_room);
		if (o == NULL)
			return -1;
		*o = (struct pgo_linetab_interval){f->at, to, top->node, 0};
	}
	f->at = to;
	return 0;
}

static int close_until(struct flatten *f, uint64_t addr)
{
	while (f->n_stack != 0 && f->stack[f->n_stack - 1].hi <= addr) {
		if (emit(f, f->stack[f->n_stack - 1].hi) < 0)
			return -1;
		f->n_stack--;
	}
	return f->n_stack != 0 ? emit(f, addr) : 0;
}

static int flatten_intervals(struct pgo_linetab *t)
{
	struct flatten f = {0};
	int rc = -1;

	if (t->n_intervals != 0)
		qsort(t->intervals, t->n_intervals, sizeof *t->intervals, compare_intervals);
	for (size_t i = 0; i < t->n_intervals; i++) {
		struct pgo_linetab_interval in = t->intervals[i], *s;

		if (close_until(&f, in.lo) < 0)
			goto out;
		/* Inner bodies end with their outer one; what does not is cut. */
		if (f.n_stack != 0 && in.hi > f.stack[f.n_stack - 1].hi)
			in.hi = f.stack[f.n_stack - 1].hi;
		f.at = in.lo;
		s = PGO_VEC_PUSH(f.stack, f.n_stack, f.stack_room);
		if (s == NULL)
			goto out;
		*s = in;
	}
	if (close_until(&f, UINT64_MAX) < 0)
		goto out;
	pgo_free(t->intervals);
	t->intervals = f.out;
	t->n_intervals = f.n_out;
	t->intervals_room = f.out_room;
	f.out = NULL;
	rc = 0;
out:
	pgo_free(f.stack);
	pgo_free(f.out);
	return rc;
}

/* ------------------------------------------------------------------ rows */

/* A row and its place in the array, to make the sort stable. */
struct keyed_row {
	struct pgo_linetab_row row;
	size_t order;
};

/* The end of a sequence comes before another one's row at the same address. */
static int compare_rows(const void *pa, const void *pb)
{
	const struct keyed_row *a = pa, *b = pb;
	bool ea = a->row.line & PGO_ROW_END, eb = b->row.line & PGO_ROW_END;

	if (a->row.addr != b->row.addr)
		return a->row.addr < b->row.addr ? -1 : 1;
	if (ea != eb)
		return ea ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static bool sorted(const struct pgo_linetab *t)
{
	for (size_t i = 1; i < t->n_rows; i++) {
		if (t->rows[i - 1].addr > t->rows[i].addr ||
			(t->rows[i - 1].addr == t->rows[i].addr && (t->rows[i].line & PGO_ROW_END)))
			return false;
	}
	return true;
}

static int sort_rows(struct pgo_linetab *t)
{
	struct keyed_row *k;

	if (sorted(t))
		return 0;
	k = pgo_calloc(t->n_rows, sizeof *k);
	if (k == NULL)
		return -1;
	for (size_t i = 0; i < t->n_rows; i++)
		k[i] = (struct keyed_row){t->rows[i], i};
	qsort(k, t->n_rows, sizeof *k, compare_rows);
	for (size_t i = 0; i < t->n_rows; i++)
		t->rows[i] = k[i].row;
	pgo_free(k);
	return 0;
}

/*
 * The row that counts of those at one address, t->rows[i..end): the last.  Where a sequence ends
 * and another begins, the ending one may have a row there as well, which covers nothing; it has the
 * line of its end marker.
 */
static struct pgo_linetab_row effective_row(const struct pgo_linetab *t, size_t i, size_t end)
{
	const struct pgo_linetab_row *first = &t->rows[i];

	if (!(first->line & PGO_ROW_END))
		return t->rows[end - 1];
	for (size_t k = end; k-- > i;) {
		if (!(t->rows[k].line & PGO_ROW_END) &&
			((t->rows[k].line ^ first->line) & PGO_ROW_MAX_LINE) != 0)
			return t->rows[k];
	}
	return t->rows[end - 1];
}

/* Keeps one row an address, and of those only what covers a function and differs from the one
 * before. */
static void thin_rows(struct pgo_linetab *t)
{
	size_t n = 0, iv = 0, end;

	for (size_t i = 0; i < t->n_rows; i = end) {
		struct pgo_linetab_row r;
		uint64_t next;

		for (end = i + 1; end < t->n_rows && t->rows[end].addr == t->rows[i].addr;)
			end++;
		r = effective_row(t, i, end);
		next = end < t->n_rows ? t->rows[end].addr : UINT64_MAX;
		while (iv < t->n_intervals && t->intervals[iv].hi <= r.addr)
			iv++;
		if (iv == t->n_intervals || t->intervals[iv].lo >= next || (r.line & PGO_ROW_END)) {
			r.line = PGO_ROW_END;
			r.raw_disc = 0;
		}
		if (n != 0 && t->rows[n - 1].line == r.line &&
			t->rows[n - 1].raw_disc == r.raw_disc)
			continue;
		t->rows[n++] = r;
	}
	t->n_rows = n;
}

/* The two halves that know nothing of each other. */
static int sort_half(void *ctx, size_t half, unsigned thread, struct pgo_err *err)
{
	struct pgo_linetab *t = ctx;

	(void)thread;
	(void)err;
	return half == 0 ? flatten_intervals(t) : sort_rows(t);
}

int pgo_linetab_finish(struct pgo_linetab *t)
{
	if (pgo_parallel(2, pgo_threads(), sort_half, t, NULL) < 0)
		return -1;
	thin_rows(t);
	return 0;
}

/* ------------------------------------------------------------------ look-up */

/* The last interval with lo <= addr, or n. */
static size_t interval_at(const struct pgo_linetab *t, uint64_t addr)
{
	size_t lo = 0, hi = t->n_intervals;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->intervals[mid].lo <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static size_t row_at(const struct pgo_linetab *t, uint64_t addr)
{
	size_t lo = 0, hi = t->n_rows;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->rows[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void pgo_linetab_find(const struct pgo_linetab *t, uint64_t vaddr, struct pgo_lines_hit *ret)
{
	size_t iv = interval_at(t, vaddr), row = row_at(t, vaddr);

	*ret = (struct pgo_lines_hit){UINT32_MAX, 0, 0, 1, 0, UINT64_MAX};
	if (iv < t->n_intervals)
		ret->end = t->intervals[iv].lo;
	if (iv != 0 && vaddr < t->intervals[iv - 1].hi) {
		ret->node = t->intervals[iv - 1].node;
		ret->end = t->intervals[iv - 1].hi;
	}
	if (row < t->n_rows && t->rows[row].addr < ret->end)
		ret->end = t->rows[row].addr;
	if (row == 0 || (t->rows[row - 1].line & PGO_ROW_END))
		return;
	ret->line = t->rows[row - 1].line & PGO_ROW_MAX_LINE;
	pgo_disc_decode(t->rows[row - 1].line >> PGO_ROW_ENC_SHIFT & 3, t->rows[row - 1].raw_disc,
		&ret->disc, &ret->factor, &ret->copy);
}

/* ------------------------------------------------------------------ moving */

/* The row that holds at `addr`, as one that starts at `to`. */
static struct pgo_linetab_row row_moved(const struct pgo_linetab *t, uint64_t addr, uint64_t to)
{
	size_t row = row_at(t, addr);

	if (row == 0)
		return (struct pgo_linetab_row){to, PGO_ROW_END, 0};
	return (struct pgo_linetab_row){to, t->rows[row - 1].line, t->rows[row - 1].raw_disc};
}

static int push_row(struct pgo_linetab *t, struct pgo_linetab_row row)
{
	struct pgo_linetab_row *r = PGO_VEC_PUSH(t->rows, t->n_rows, t->rows_room);

	if (r == NULL)
		return -1;
	*r = row;
	return 0;
}

/* One piece of code: its rows and intervals, and where functions begin in it. */
static int move_piece(
	const struct pgo_linetab *t, const struct pgo_linetab_move *m, struct pgo_linetab *to)
{
	uint64_t delta = m->lo - m->from;

	for (uint64_t a = m->from, end = m->from + (m->hi - m->lo); a < end;) {
		struct pgo_lines_hit hit;
		struct pgo_linetab_interval *r;
		uint32_t fn;

		pgo_linetab_find(t, a, &hit);
		hit.end = hit.end < end ? hit.end : end;
		if (push_row(to, row_moved(t, a, a + delta)) < 0)
			return -1;
		if (hit.node != UINT32_MAX) {
			fn = t->nodes[hit.node].fn;
			if (t->fns[fn].entry == a)
				to->fns[fn].entry = a + delta;
			r = PGO_VEC_PUSH(to->ranges, to->n_ranges, to->ranges_room);
			if (r == NULL || pgo_linetab_add_interval(
						 to, a + delta, hit.end + delta, hit.node, 0) < 0)
				return -1;
			*r = (struct pgo_linetab_interval){a + delta, hit.end + delta, fn, 0};
		}
		a = hit.end;
	}
	return push_row(to, (struct pgo_linetab_row){m->hi, PGO_ROW_END, 0});
}

static int compare_ranges(const void *pa, const void *pb)
{
	const struct pgo_linetab_interval *a = pa, *b = pb;

	if (a->node != b->node)
		return a->node < b->node ? -1 : 1;
	return a->lo < b->lo ? -1 : a->lo > b->lo;
}

/* Groups the ranges by function, and joins neighbours. */
static void group_ranges(struct pgo_linetab *t)
{
	size_t n = 0;

	if (t->n_ranges != 0)
		qsort(t->ranges, t->n_ranges, sizeof *t->ranges, compare_ranges);
	for (size_t i = 0; i < t->n_ranges; i++) {
		if (n != 0 && t->ranges[n - 1].node == t->ranges[i].node &&
			t->ranges[n - 1].hi == t->ranges[i].lo)
			t->ranges[n - 1].hi = t->ranges[i].hi;
		else
			t->ranges[n++] = t->ranges[i];
	}
	t->n_ranges = n;
	for (size_t i = 0; i < t->n_fns; i++)
		t->fns[i].first_range = t->fns[i].n_ranges = 0;
	for (size_t i = n; i-- > 0;) {
		t->fns[t->ranges[i].node].first_range = (uint32_t)i;
		t->fns[t->ranges[i].node].n_ranges++;
	}
}

int pgo_linetab_move(struct pgo_linetab *t, const struct pgo_linetab_move *m, size_t n)
{
	struct pgo_linetab to = {0};

	to.fns = pgo_calloc(t->n_fns + 1, sizeof *to.fns);
	if (to.fns == NULL)
		return -1;
	memcpy(to.fns, t->fns, t->n_fns * sizeof *to.fns);
	to.n_fns = t->n_fns;
	to.fns_room = t->n_fns + 1;
	for (size_t i = 0; i < t->n_fns; i++)
		to.fns[i].entry = UINT64_MAX;
	for (size_t i = 0; i < n; i++) {
		if (move_piece(t, &m[i], &to) < 0) {
			pgo_linetab_fini(&to);
			return -1;
		}
	}
	group_ranges(&to);
	to.nodes = t->nodes;
	to.n_nodes = t->n_nodes;
	to.nodes_room = t->nodes_room;
	t->nodes = NULL;
	pgo_linetab_fini(t);
	*t = to;
	return 0;
}
