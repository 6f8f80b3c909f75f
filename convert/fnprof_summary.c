/* SPDX-License-Identifier: Apache-2.0 */
/* The detailed summary: see convert/fnprof.h. */
#include "convert/fnprof.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <string.h>

static const uint32_t cutoffs[PGO_SUMMARY_ROWS] = {10000, 100000, 200000, 300000, 400000, 500000,
	600000, 700000, 800000, 900000, 950000, 990000, 999000, 999900, 999990, 999999};

static int gather(const struct pgo_fn *f, struct pgo_counts *c)
{
	if (PGO_VEC_RESERVE(c->v, c->room, c->n + f->n_pos) < 0)
		return -1;
	for (uint32_t i = 0; i < f->n_pos; i++)
		c->v[c->n++] = f->pos[i].count;
	for (uint32_t i = 0; i < f->n_calls; i++)
		if (gather(f->calls[i].callee, c) < 0)
			return -1;
	return 0;
}

/*
 * Largest first.  Radix sort, a byte at a time from the lowest; bytes that all counts share (most
 * counts are small) cost nothing.  -1 when out of memory.
 */
static int sort_descending(struct pgo_counts *c)
{
	uint64_t *from = c->v, *to, differ = 0;

	for (size_t i = 1; i < c->n; i++)
		differ |= c->v[i] ^ c->v[0];
	if (differ == 0)
		return 0;
	to = pgo_malloc(c->n * sizeof *to);
	if (to == NULL)
		return -1;
	for (unsigned shift = 0; shift < 64; shift += 8) {
		size_t place[257] = {0};
		uint64_t *swap = from;

		if ((differ >> shift & 0xff) == 0)
			continue;
		for (size_t i = 0; i < c->n; i++)
			place[256 - (from[i] >> shift & 0xff)]++;
		for (size_t i = 1; i < 257; i++)
			place[i] += place[i - 1];
		for (size_t i = 0; i < c->n; i++)
			to[place[255 - (from[i] >> shift & 0xff)]++] = from[i];
		from = to;
		to = swap;
	}
	/* `from` is the sorted one; which of the two blocks it is does not matter. */
	c->v = from;
	c->room = c->n;
	pgo_free(to);
	return 0;
}

static void fill_rows(struct pgo_summary *s, const struct pgo_counts *c)
{
	unsigned __int128 sum = 0;
	uint64_t last = 0;
	size_t i = 0;

	for (size_t r = 0; r < PGO_SUMMARY_ROWS; r++) {
		uint64_t want = (uint64_t)((unsigned __int128)s->total * cutoffs[r] / 1000000);

		/* Equal counts are taken together. */
		while (sum < want && i < c->n) {
			last = c->v[i];
			for (; i < c->n && c->v[i] == last; i++)
				sum += last;
		}
		s->rows[r].cutoff = cutoffs[r];
		s->rows[r].min_count = last;
		s->rows[r].n_counts = i;
	}
}

int pgo_fnprof_counts(const struct pgo_fnprof *p, struct pgo_counts *ret)
{
	struct pgo_counts c = {0};

	for (size_t i = 0; i < p->n_fns; i++)
		if (gather(p->fns[i], &c) < 0)
			goto nomem;
	if (c.n > 1 && sort_descending(&c) < 0)
		goto nomem;
	*ret = c;
	return 0;
nomem:
	pgo_free(c.v);
	return -1;
}

static int summarise(const struct pgo_fnprof *p, struct pgo_summary *s, struct pgo_counts *c)
{
	for (size_t i = 0; i < p->n_fns; i++)
		if (p->fns[i]->head > s->max_head)
			s->max_head = p->fns[i]->head;
	if (pgo_fnprof_counts(p, c) < 0)
		return -1;
	for (size_t i = 0; i < c->n; i++)
		s->total = pgo_sat_add(s->total, c->v[i]);
	s->max = c->n != 0 ? c->v[0] : 0;
	s->n_counts = c->n;
	s->n_fns = p->n_fns;
	fill_rows(s, c);
	return 0;
}

/* The leaf of "[main:3 @ foo:1.2 @ bar]" is "bar". */
static struct pgo_fnprof *without_contexts(const struct pgo_fnprof *p)
{
	struct pgo_fnprof *c = pgo_fnprof_new(NULL);

	if (c == NULL)
		return NULL;
	for (size_t i = 0; i < p->n_fns; i++) {
		const char *s = pgo_fnprof_str(p, p->fns[i]->name), *at;
		size_t len = strlen(s);
		struct pgo_fn *f = NULL;
		uint32_t name;

		if (len >= 2 && s[0] == '[' && s[len - 1] == ']') {
			s++, len -= 2;
			for (; (at = memmem(s, len, " @ ", 3)) != NULL; s = at + 3)
				len -= (size_t)(at + 3 - s);
		}
		name = pgo_strtab_add(&c->strs, s, len);
		if (name != PGO_STR_NONE)
			f = pgo_fnprof_fn(c, name);
		if (f == NULL || pgo_fn_merge(c, f, p, p->fns[i], 1) < 0) {
			pgo_fnprof_free(c);
			return NULL;
		}
	}
	return c;
}

int pgo_fnprof_summary(const struct pgo_fnprof *p, struct pgo_summary *ret, struct pgo_err *err)
{
	struct pgo_summary s = {0};
	struct pgo_counts c = {0};
	struct pgo_fnprof *flat = NULL;
	int rc = 0;

	if (p->context_sensitive)
		flat = without_contexts(p);
	if ((p->context_sensitive && flat == NULL) ||
		summarise(flat != NULL ? flat : p, &s, &c) < 0)
		rc = pgo_err_nomem(err);
	else
		*ret = s;
	pgo_free(c.v);
	pgo_fnprof_free(flat);
	return rc;
}
