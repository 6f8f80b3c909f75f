/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/reanchor.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
/* Cells of the table of an alignment: functions of some ten thousand lines. */
#define ALIGN_MAX ((uint64_t)256 << 20)

/* ---------------------------------------------------------------- alignment */

enum step { SKIP_A, SKIP_B, BOTH };

static uint32_t gain(const struct pgo_shape_line *a, const struct pgo_shape_line *b)
{
	return a->token == b->token ? a->weight : 0;
}

/* best[j]: of a[i+1..] with b[j..]; filled from the ends, so that of equal alignments the one that
 * pairs early is found. */
static void fill(const struct pgo_shape_line *a, uint32_t n, const struct pgo_shape_line *b,
	uint32_t m, uint32_t *best, uint8_t *steps)
{
	memset(best, 0, ((size_t)m + 1) * sizeof *best);
	for (uint32_t i = n; i-- > 0;) {
		uint32_t diagonal = 0; /* best of a[i+1..], b[j+1..] */

		for (uint32_t j = m; j-- > 0;) {
			uint32_t below = best[j], g = gain(&a[i], &b[j]), most = below;
			enum step step = SKIP_A;

			if (best[j + 1] > most) {
				most = best[j + 1];
				step = SKIP_B;
			}
			if (g != 0 && diagonal + g >= most) {
				most = diagonal + g;
				step = BOTH;
			}
			diagonal = below;
			best[j] = most;
			steps[(size_t)i * m + j] = (uint8_t)step;
		}
	}
}

int pgo_reanchor_align(const struct pgo_shape_line *a, uint32_t n, const struct pgo_shape_line *b,
	uint32_t m, uint32_t *ret)
{
	uint32_t *best;
	uint8_t *steps;

	for (uint32_t i = 0; i < n; i++)
		ret[i] = NONE;
	if (n == 0 || m == 0)
		return 0;
	if ((uint64_t)n * m > ALIGN_MAX)
		return -1;
	best = pgo_calloc((size_t)m + 1, sizeof *best);
	steps = pgo_malloc((size_t)n * m);
	if (best != NULL && steps != NULL) {
		fill(a, n, b, m, best, steps);
		for (uint32_t i = 0, j = 0; i < n && j < m;) {
			switch (steps[(size_t)i * m + j]) {
			case BOTH:
				ret[i++] = j++;
				break;
			case SKIP_A:
				i++;
				break;
			default:
				j++;
			}
		}
	}
	pgo_free(best);
	n = best == NULL || steps == NULL;
	pgo_free(steps);
	return n != 0 ? -1 : 0;
}

/* ---------------------------------------------------------------- one function */

struct moved_line {
	uint32_t from, to; /* offsets; NONE: gone */
};

enum fate { UNKNOWN, SAME, MOVED, GONE };

struct moved_fn {
	enum fate fate;
	uint32_t name; /* string of `into` */
	struct moved_line *lines;
	uint32_t n;
};

struct by_canonical { /* functions of the target */
	uint32_t canonical, name;
	bool several;
};

struct carry {
	struct pgo_fnprof *into;
	const struct pgo_fnprof *from;
	struct pgo_shape *old, *target;
	unsigned affinity;
	struct pgo_reanchor_account *account;
	struct moved_fn *fns; /* by string of `from` */
	struct by_canonical *canonical;
	size_t n_canonical;
	struct pgo_map canonical_map;
};

static int index_target(struct carry *c)
{
	c->canonical = pgo_calloc(c->target->n_fns + 1, sizeof *c->canonical);
	if (c->canonical == NULL)
		return PGO_ENOMEM;
	for (size_t i = 0; i < c->target->n_fns; i++) {
		const struct pgo_shape_fn *f = &c->target->fns[i];
		uint32_t k = pgo_map_find_key(&c->canonical_map, c->canonical, sizeof *c->canonical,
			&f->canonical, sizeof f->canonical);

		if (k != PGO_MAP_NONE) {
			c->canonical[k].several = true;
			continue;
		}
		c->canonical[c->n_canonical] = (struct by_canonical){f->canonical, f->name, false};
		if (pgo_map_add_key(&c->canonical_map, &f->canonical, sizeof f->canonical,
			    (uint32_t)c->n_canonical++) < 0)
			return PGO_ENOMEM;
	}
	return 0;
}

/* The function of the target; NULL if there is none, or no telling which. */
static const struct pgo_shape_fn *find_target(struct carry *c, uint32_t name, bool *ret_renamed)
{
	const struct pgo_shape_fn *f = pgo_shape_find(c->target, name);
	uint32_t canonical, k;

	*ret_renamed = false;
	if (f != NULL)
		return f;
	canonical = pgo_shape_canonical(c->old, name);
	k = pgo_map_find_key(&c->canonical_map, c->canonical, sizeof *c->canonical, &canonical,
		sizeof canonical);
	if (k == PGO_MAP_NONE || c->canonical[k].several)
		return NULL;
	*ret_renamed = true;
	return pgo_shape_find(c->target, c->canonical[k].name);
}

static bool has_offset(const struct pgo_shape *s, const struct pgo_shape_fn *f, uint32_t offset)
{
	uint32_t lo = f->first, hi = f->first + f->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (s->lines[mid].offset < offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < f->first + f->n && s->lines[lo].offset == offset;
}

/* Lines that no partner was found for go with the one before them, if there is code. */
static void follow(
	const struct pgo_shape *s, const struct pgo_shape_fn *f, struct moved_line *v, uint32_t n)
{
	uint32_t delta = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (v[i].to != NONE) {
			delta = v[i].to - v[i].from;
			continue;
		}
		uint32_t guess = (v[i].from + delta) & 0xffff;
		uint32_t next = i + 1;

		while (next < n && v[next].to == NONE)
			next++;
		/* Not past the line that the next one went to. */
		if (has_offset(s, f, guess) && (next == n || guess < v[next].to))
			v[i].to = guess;
	}
}

/* What happens at the lines is the same by four fifths of its weight: the other build may have other
 * copies of the function, and have left other lines of it without code. */
static bool is_same(
	const struct carry *c, const struct pgo_shape_fn *a, const struct pgo_shape_fn *b)
{
	const struct pgo_shape_line *old = c->old->lines + a->first;
	const struct pgo_shape_line *new = c->target->lines + b->first;
	uint64_t equal = 0, all = 0;

	for (uint32_t i = 0, j = 0; i < a->n; i++) {
		while (j < b->n && new[j].offset < old[i].offset)
			j++;
		if (old[i].token == PGO_SHAPE_ZERO)
			continue;
		all += old[i].weight;
		if (j < b->n && new[j].offset == old[i].offset && old[i].token == new[j].token)
			equal += old[i].weight;
	}
	return equal * 5 >= all * 4;
}

static int align_fn(struct carry *c, const struct pgo_shape_fn *a, const struct pgo_shape_fn *b,
	struct moved_fn *m)
{
	const struct pgo_shape_line *old = c->old->lines + a->first;
	const struct pgo_shape_line *new = c->target->lines + b->first;
	uint32_t *to = pgo_malloc(((size_t)a->n + 1) * sizeof *to);
	bool aligned, same = is_same(c, a, b);

	m->lines = pgo_calloc((size_t)a->n + 1, sizeof *m->lines);
	if (to == NULL || m->lines == NULL) {
		pgo_free(to);
		return PGO_ENOMEM;
	}
	m->n = a->n;
	aligned = same || pgo_reanchor_align(old, a->n, new, b->n, to) == 0;
	m->fate = SAME;
	for (uint32_t i = 0; i < a->n; i++) {
		uint32_t offset = old[i].offset;

		m->lines[i].from = offset;
		if (same || !aligned)
			m->lines[i].to = has_offset(c->target, b, offset) ? offset : NONE;
		else
			m->lines[i].to = to[i] != NONE ? new[to[i]].offset : NONE;
	}
	follow(c->target, b, m->lines, m->n);
	for (uint32_t i = 0; i < m->n && !same; i++)
		if (m->lines[i].to != m->lines[i].from && old[i].token != PGO_SHAPE_ZERO)
			m->fate = MOVED;
	pgo_free(to);
	return 0;
}

static struct moved_fn *fate_of(struct carry *c, uint32_t name)
{
	struct moved_fn *m = &c->fns[name];
	const struct pgo_str *str = &c->from->strs.strs[name];
	const struct pgo_shape_fn *a, *b;
	uint32_t id;
	bool renamed;

	if (m->fate != UNKNOWN)
		return m;
	c->account->functions++;
	id = pgo_strtab_add(c->old->strs, str->s, str->len);
	if (id == PGO_STR_NONE)
		return NULL;
	a = pgo_shape_find(c->old, id);
	b = find_target(c, id, &renamed);
	if (a == NULL || b == NULL) {
		c->account->functions_gone++;
		m->fate = GONE;
		return m;
	}
	str = &c->target->strs->strs[b->name];
	m->name = pgo_strtab_add(&c->into->strs, str->s, str->len);
	if (m->name == PGO_STR_NONE || align_fn(c, a, b, m) < 0)
		return NULL;
	c->account->renamed += renamed;
	*(m->fate == SAME ? &c->account->functions_same : &c->account->functions_moved) += 1;
	return m;
}

static uint32_t line_of(const struct moved_fn *m, uint32_t offset)
{
	uint32_t lo = 0, hi = m->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (m->lines[mid].from < offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < m->n && m->lines[lo].from == offset ? m->lines[lo].to : NONE;
}

/* ---------------------------------------------------------------- counts */

static uint64_t worth(const struct carry *c, const struct moved_fn *m, uint64_t count)
{
	unsigned __int128 wide = (unsigned __int128)count * c->affinity + PGO_AFFINITY_ONE / 2;

	return m->fate == SAME ? count : (uint64_t)(wide / PGO_AFFINITY_ONE);
}

static void lose(uint64_t *loss, uint64_t count)
{
	*loss = pgo_sat_add(*loss, count);
}

/* Call targets that the target lacks are left out; their counts are those of the position. */
static int carry_targets(struct carry *c, const struct moved_fn *m, const struct pgo_fn_pos *x,
	struct pgo_fn *to, uint32_t line)
{
	for (uint32_t i = 0; i < x->n_targets; i++) {
		const struct pgo_fn_target *t = &x->targets[i];
		const struct pgo_str *str = &c->from->strs.strs[t->name];
		uint32_t id = pgo_strtab_add(c->old->strs, str->s, str->len), name;
		const struct pgo_shape_fn *b;
		bool renamed;

		if (id == PGO_STR_NONE)
			return PGO_ENOMEM;
		b = find_target(c, id, &renamed);
		/* A function of a library is in neither build. */
		if (b != NULL)
			str = &c->target->strs->strs[b->name];
		else if (pgo_shape_find(c->old, id) != NULL)
			continue;
		name = pgo_strtab_add(&c->into->strs, str->s, str->len);
		if (name == PGO_STR_NONE || pgo_fn_target_add(c->into, to, line, x->disc, name,
						    worth(c, m, t->count)) < 0)
			return PGO_ENOMEM;
	}
	return 0;
}

/* The record's own share of its total, in proportion to what of its counts was carried over. */
static uint64_t own_total(const struct pgo_fn *f, uint64_t before, uint64_t after)
{
	uint64_t own = f->total;

	for (uint32_t i = 0; i < f->n_calls; i++)
		own -= own < f->calls[i].callee->total ? own : f->calls[i].callee->total;
	return before != 0 ? (uint64_t)((unsigned __int128)own * after / before) : 0;
}

static int carry_positions(struct carry *c, const struct moved_fn *m, const struct pgo_fn *f,
	struct pgo_fn *to, bool flat)
{
	struct pgo_reanchor_account *a = c->account;
	uint64_t before = 0, after = 0;

	for (uint32_t i = 0; i < f->n_pos; i++) {
		const struct pgo_fn_pos *x = &f->pos[i];
		uint32_t line = line_of(m, x->line);
		uint64_t count = worth(c, m, x->count);

		lose(&a->read, x->count);
		lose(&before, x->count);
		if (line == NONE) {
			lose(&a->no_line, x->count);
			continue;
		}
		if (pgo_fn_pos_add(c->into, to, line, x->disc, count) < 0 ||
			carry_targets(c, m, x, to, line) < 0)
			return PGO_ENOMEM;
		lose(&after, count);
		lose(m->fate == SAME ? &a->same : &a->moved, count);
		if (count < x->count)
			lose(&a->moved_lost, x->count - count);
		if (flat)
			lose(&a->flattened, count);
	}
	to->total = pgo_sat_add(to->total, own_total(f, before, after));
	return 0;
}

/* The top-level record: functions of one name in several files stay apart. */
static struct pgo_fn *record_of(struct carry *c, const struct moved_fn *m, const struct pgo_fn *f)
{
	const struct pgo_str *str = &c->from->strs.strs[f->file];
	uint32_t file = pgo_strtab_add(&c->into->strs, str->s, str->len);

	return file != PGO_STR_NONE ? pgo_fnprof_fn_of_file(c->into, m->name, file) : NULL;
}

/*
 * `to` is the record in the result that holds the body, or NULL: then it becomes part of its
 * function's own.
 */
static int carry_fn(struct carry *c, const struct pgo_fn *f, struct pgo_fn *to, bool flat)
{
	struct moved_fn *m = fate_of(c, f->name);
	struct pgo_fn *held;

	if (m == NULL)
		return PGO_ENOMEM;
	if (m->fate == GONE) {
		for (uint32_t i = 0; i < f->n_pos; i++) {
			lose(&c->account->read, f->pos[i].count);
			lose(&c->account->no_function, f->pos[i].count);
		}
		to = NULL;
	} else {
		if (to == NULL)
			to = record_of(c, m, f);
		if (to == NULL || carry_positions(c, m, f, to, flat) < 0)
			return PGO_ENOMEM;
		to->head = pgo_sat_add(to->head, worth(c, m, f->head));
	}
	for (uint32_t i = 0; i < f->n_calls; i++) {
		const struct pgo_fn_call *call = &f->calls[i];
		const struct moved_fn *callee = fate_of(c, call->callee->name);
		uint32_t line = m->fate != GONE ? line_of(m, call->line) : NONE;

		if (callee == NULL)
			return PGO_ENOMEM;
		held = NULL;
		if (line != NONE && callee->fate != GONE) {
			held = pgo_fn_inlined(c->into, to, line, call->disc, callee->name);
			if (held == NULL)
				return PGO_ENOMEM;
		}
		if (carry_fn(c, call->callee, held, flat || held == NULL) < 0)
			return PGO_ENOMEM;
	}
	return 0;
}

/* So far every record has its own share. */
static void sum_totals(struct pgo_fn *f)
{
	for (uint32_t i = 0; i < f->n_calls; i++) {
		sum_totals(f->calls[i].callee);
		f->total = pgo_sat_add(f->total, f->calls[i].callee->total);
	}
}

/* Functions that are known and never ran, as far as the target has them. */
static int carry_cold(struct carry *c)
{
	for (size_t i = 0; i < c->from->n_cold; i++) {
		const struct pgo_str *str = &c->from->strs.strs[c->from->cold[i]];
		uint32_t id = pgo_strtab_add(c->old->strs, str->s, str->len), name;
		const struct pgo_shape_fn *b;
		bool renamed;

		if (id == PGO_STR_NONE)
			return PGO_ENOMEM;
		b = find_target(c, id, &renamed);
		if (b == NULL)
			continue;
		str = &c->target->strs->strs[b->name];
		name = pgo_strtab_add(&c->into->strs, str->s, str->len);
		if (name == PGO_STR_NONE || pgo_fnprof_add_cold(c->into, name) < 0)
			return PGO_ENOMEM;
	}
	return 0;
}

int pgo_reanchor(struct pgo_fnprof *into, const struct pgo_fnprof *from, struct pgo_shape *old,
	struct pgo_shape *target, unsigned affinity, struct pgo_reanchor_account *account)
{
	struct carry c = {.from = from,
		.old = old,
		.target = target,
		.affinity = affinity,
		.account = account};
	int rc;

	account->builds++;
	c.into = pgo_fnprof_new(NULL);
	c.fns = pgo_calloc(from->strs.n_strs + 1, sizeof *c.fns);
	pgo_map_init(&c.canonical_map);
	rc = c.into != NULL && c.fns != NULL ? index_target(&c) : PGO_ENOMEM;
	for (size_t i = 0; i < from->n_fns && rc == 0; i++)
		rc = carry_fn(&c, from->fns[i], NULL, false);
	for (size_t i = 0; rc == 0 && i < c.into->n_fns; i++)
		sum_totals(c.into->fns[i]);
	if (rc == 0)
		rc = carry_cold(&c);
	if (rc == 0)
		rc = pgo_fnprof_add(into, c.into);
	for (size_t i = 0; c.fns != NULL && i < from->strs.n_strs; i++)
		pgo_free(c.fns[i].lines);
	pgo_free(c.fns);
	pgo_free(c.canonical);
	pgo_map_fini(&c.canonical_map);
	pgo_fnprof_free(c.into);
	return rc;
}

/* ---------------------------------------------------------------- telling */

static double percent(uint64_t part, uint64_t whole)
{
	return whole != 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

void pgo_reanchor_text(const struct pgo_reanchor_account *a, struct pgo_buf *out)
{
	if (a->builds == 0)
		return;
	pgo_buf_printf(out,
		"  carried over from %" PRIu64 " other builds: %.2f%% of counts in functions that "
		"are the same, %.2f%% in %" PRIu64 " that moved (%.2f%% more left out, for they "
		"are worth less), %.2f%% lost with %" PRIu64
		" functions that are gone, %.2f%% with lines\n",
		a->builds, percent(a->same, a->read), percent(a->moved, a->read),
		a->functions_moved, percent(a->moved_lost, a->read),
		percent(a->no_function, a->read), a->functions_gone, percent(a->no_line, a->read));
	if (a->renamed != 0)
		pgo_buf_printf(out, "    %" PRIu64 " functions have another name in the target\n",
			a->renamed);
}

void pgo_reanchor_json(const struct pgo_reanchor_account *a, struct pgo_json *j)
{
	if (a->builds == 0) {
		pgo_json_kv_str(j, "carried_over", NULL);
		return;
	}
	pgo_json_key(j, "carried_over");
	pgo_json_object(j);
	pgo_json_kv_u64(j, "builds", a->builds);
	pgo_json_kv_u64(j, "read", a->read);
	pgo_json_kv_u64(j, "same", a->same);
	pgo_json_kv_u64(j, "moved", a->moved);
	pgo_json_kv_u64(j, "moved_lost", a->moved_lost);
	pgo_json_kv_u64(j, "no_function", a->no_function);
	pgo_json_kv_u64(j, "no_line", a->no_line);
	pgo_json_kv_u64(j, "flattened", a->flattened);
	pgo_json_kv_u64(j, "functions", a->functions);
	pgo_json_kv_u64(j, "functions_same", a->functions_same);
	pgo_json_kv_u64(j, "functions_moved", a->functions_moved);
	pgo_json_kv_u64(j, "functions_gone", a->functions_gone);
	pgo_json_kv_u64(j, "renamed", a->renamed);
	pgo_json_end_object(j);
}
