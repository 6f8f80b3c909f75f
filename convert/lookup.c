/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/lookup.h"

#include "convert/rules_name.h"

#include "pgo/core/alloc.h"
#include "pgo/core/map.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct place {
	uint64_t key;   /* under which the consumer asks */
	uint64_t fn;    /* which function it is of */
	uint64_t whole; /* which place */
	uint64_t count;
};

struct prober {
	const struct pgo_fnprof *p;
	unsigned release; /* 0 = clang */
	struct place *places;
	size_t n, room;
	struct pgo_lookup *l;
	uint64_t targets;
	uint64_t *names; /* by string: hash of what the consumer asks for; 0 = not yet */
};

static uint64_t mix(uint64_t h, uint64_t v)
{
	return pgo_hash_u64(h ^ pgo_hash_u64(v + 0x9e3779b97f4a7c15u));
}

/* The name as the consumer asks for it: C4 and D4 are bodies called C2 and D2. */
static int ask(struct prober *b, uint32_t name, uint64_t *ret)
{
	const struct pgo_str *s = &b->p->strs.strs[name];
	size_t len, digit;
	char *copy;

	*ret = b->names[name];
	if (*ret != 0)
		return 0;
	if (b->release == 0)
		len = pgo_name_cut_llvm(s->s, s->len);
	else if (b->release <= 15)
		len = pgo_name_cut_dot(s->s, s->len);
	else
		len = pgo_name_cut_clones(s->s, s->len);
	digit = pgo_name_unified_structor(s->s, len);
	copy = pgo_strndup(s->s, len);
	if (copy == NULL)
		return -1;
	if (digit != 0)
		copy[digit] = '2';
	*ret = b->names[name] = pgo_hash(copy, len);
	pgo_free(copy);
	return 0;
}

static uint64_t own_name(const struct prober *b, uint32_t name)
{
	const struct pgo_str *s = &b->p->strs.strs[name];

	return pgo_hash(s->s, pgo_name_cut_tails(s->s, s->len));
}

static uint64_t own_file(const struct prober *b, uint32_t file)
{
	const char *s = pgo_fnprof_str(b->p, file), *slash = strrchr(s, '/');

	return file != 0 ? pgo_hash(slash != NULL ? slash + 1 : s, strlen(slash ? slash + 1 : s))
			 : 0;
}

static int probe(struct prober *b, const struct pgo_fn *f, uint64_t key, uint64_t fn,
	uint64_t whole, bool written)
{
	bool line_only = b->release >= 1 && b->release <= 12;
	bool call_line_only = b->release >= 1 && b->release <= 15;

	for (uint32_t i = 0; i < f->n_pos; i++) {
		const struct pgo_fn_pos *x = &f->pos[i];
		struct place *p;

		for (uint32_t t = 0; t < x->n_targets; t++)
			b->targets = pgo_sat_add(b->targets, x->targets[t].count);
		if (x->count == 0)
			continue;
		p = PGO_VEC_PUSH(b->places, b->n, b->room);
		if (p == NULL)
			return -1;
		*p = (struct place){.key = mix(mix(key, x->line), line_only ? 0 : x->disc),
			.fn = fn,
			.whole = mix(mix(whole, x->line), x->disc),
			.count = x->count};
	}
	for (uint32_t i = 0; i < f->n_calls; i++) {
		const struct pgo_fn_call *c = &f->calls[i];
		uint64_t name, mine, down = mix(key, c->line);
		int rc;

		if (ask(b, c->callee->name, &name) < 0 || ask(b, f->name, &mine) < 0)
			return -1;
		if (written && call_line_only && c->disc != 0)
			continue; /* no look-up leads there */
		/* A part that gcc split off and took back in is the function itself. */
		if (b->release != 0 && c->line == 0 && (c->disc == 0 || call_line_only) &&
			name == mine) {
			rc = probe(b, c->callee, key, fn, whole, written);
		} else {
			down = mix(mix(down, call_line_only ? 0 : c->disc), name);
			rc = probe(b, c->callee, down, fn,
				mix(mix(mix(whole, c->line), c->disc), name), written);
		}
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int probe_all(struct prober *b, bool written)
{
	for (size_t i = 0; i < b->p->n_fns; i++) {
		const struct pgo_fn *f = b->p->fns[i];
		uint64_t file = own_file(b, f->file), fn = mix(own_name(b, f->name), file), key;

		if (ask(b, f->name, &key) < 0)
			return -1;
		if (b->release >= 16)
			key = mix(key, file);
		if (probe(b, f, key, fn, fn, written) < 0)
			return -1;
	}
	return 0;
}

/* ------------------------------------------------------------------ counting */

static int by_key(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	if (a->fn != b->fn)
		return a->fn < b->fn ? -1 : 1;
	return a->whole < b->whole ? -1 : a->whole > b->whole;
}

/* Places of one function under one key: clones of a place add up, of several the largest counts. */
static size_t one_function(const struct place *p, size_t n, uint64_t *ret_sum, uint64_t *ret_max)
{
	size_t i = 0;

	*ret_sum = *ret_max = 0;
	while (i < n && p[i].key == p[0].key && p[i].fn == p[0].fn) {
		uint64_t whole = p[i].whole, sum = 0;

		for (; i < n && p[i].key == p[0].key && p[i].fn == p[0].fn && p[i].whole == whole;
			i++)
			sum = pgo_sat_add(sum, p[i].count);
		*ret_sum = pgo_sat_add(*ret_sum, sum);
		*ret_max = sum > *ret_max ? sum : *ret_max;
	}
	return i;
}

static bool has_key(const struct prober *w, uint64_t key)
{
	size_t lo = 0, hi = w->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (w->places[mid].key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < w->n && w->places[lo].key == key;
}

static void count_key(struct pgo_lookup *l, const struct place *p, size_t n, bool there)
{
	uint64_t best = 0, all = 0, lines = 0;

	for (size_t i = 0; i < n;) {
		uint64_t sum, max;

		i += one_function(p + i, n - i, &sum, &max);
		all = pgo_sat_add(all, max);
		lines = pgo_sat_add(lines, sum - max);
		best = max > best ? max : best;
	}
	l->counts = pgo_sat_add(l->counts, pgo_sat_add(all, lines));
	if (!there) {
		l->lost = pgo_sat_add(l->lost, pgo_sat_add(all, lines));
		return;
	}
	l->found = pgo_sat_add(l->found, best);
	l->shared_names = pgo_sat_add(l->shared_names, all - best);
	l->shared_lines = pgo_sat_add(l->shared_lines, lines);
}

static void count_foreign(const struct prober *b)
{
	for (size_t i = 0; i < b->p->n_fns; i++) {
		const struct pgo_str *s = &b->p->strs.strs[b->p->fns[i]->name];
		enum pgo_name_language lang = pgo_name_language(s->s, s->len);

		if (lang == PGO_NAME_GO || (lang == PGO_NAME_RUST && b->release != 0)) {
			b->l->foreign_fns++;
			b->l->foreign =
				pgo_sat_add(b->l->foreign, pgo_fn_position_sum(b->p->fns[i]));
		}
	}
}

int pgo_lookup_check(const struct pgo_fnprof *p, const struct pgo_fnprof *written,
	unsigned gcc_release, struct pgo_lookup *ret, struct pgo_err *err)
{
	struct prober had = {.p = p, .release = gcc_release, .l = ret};
	struct prober has = {.p = written, .release = gcc_release, .l = ret};
	int rc = 0;

	*ret = (struct pgo_lookup){.done = true, .gcc_release = gcc_release};
	had.names = pgo_calloc(p->strs.n_strs, sizeof *had.names);
	has.names = pgo_calloc(written->strs.n_strs, sizeof *has.names);
	if (had.names == NULL || has.names == NULL || probe_all(&had, false) < 0 ||
		probe_all(&has, true) < 0) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	if (had.n != 0)
		qsort(had.places, had.n, sizeof *had.places, by_key);
	if (has.n != 0)
		qsort(has.places, has.n, sizeof *has.places, by_key);
	for (size_t i = 0, end; i < had.n; i = end) {
		for (end = i; end < had.n && had.places[end].key == had.places[i].key; end++)
			;
		count_key(ret, &had.places[i], end - i, has_key(&has, had.places[i].key));
	}
	count_foreign(&had);
	ret->targets = has.targets == 0 ? had.targets : 0;
out:
	pgo_free(had.places);
	pgo_free(has.places);
	pgo_free(had.names);
	pgo_free(has.names);
	return rc;
}

/* ------------------------------------------------------------------ the account */

static void line(const struct pgo_lookup *l, uint64_t n, const char *text, struct pgo_buf *out)
{
	if (n != 0)
		pgo_buf_printf(out, "    %6.2f%% of the counts %s\n",
			100.0 * (double)n / (double)l->counts, text);
}

void pgo_lookup_text(const struct pgo_lookup *l, struct pgo_buf *out)
{
	if (!l->done)
		return;
	line(l, l->shared_lines,
		l->gcc_release != 0 && l->gcc_release <= 12
			? "go under on their line: this gcc cannot tell places of a line apart"
			: "go under beside a larger one that the compiler cannot tell from them",
		out);
	line(l, l->shared_names,
		"are of functions with the name of another, from which it cannot tell them", out);
	line(l, l->lost, "are where no look-up of the compiler leads", out);
	if (l->targets != 0)
		pgo_buf_printf(out,
			"    the targets of %" PRIu64
			" calls are left out: this gcc would crash on them\n",
			l->targets);
	line(l, l->foreign, "are in functions with names of another language", out);
}

void pgo_lookup_json(const struct pgo_lookup *l, struct pgo_json *j)
{
	if (!l->done)
		return;
	pgo_json_kv_u64(j, "counts", l->counts);
	pgo_json_kv_u64(j, "found", l->found);
	pgo_json_kv_u64(j, "shared_lines", l->shared_lines);
	pgo_json_kv_u64(j, "shared_names", l->shared_names);
	pgo_json_kv_u64(j, "lost", l->lost);
	pgo_json_kv_u64(j, "foreign", l->foreign);
	pgo_json_kv_u64(j, "foreign_functions", l->foreign_fns);
	pgo_json_kv_u64(j, "targets_left_out", l->targets);
}
