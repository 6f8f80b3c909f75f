/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/bisect.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <string.h>

const char *pgo_judgement_name(enum pgo_judgement j)
{
	static const char *const names[] = {"good", "bad", "skip"};

	return names[j];
}

const char *pgo_bisect_end_name(enum pgo_bisect_end e)
{
	static const char *const names[] = {
		"found", "all_good", "none_bad", "untold", "unfinished"};

	return names[e];
}

struct search {
	pgo_judge *judge;
	void *ctx;
	uint32_t *set; /* known to be bad */
	size_t n;
	uint32_t *part; /* what is asked about */
	struct pgo_err *err;
};

static int ask(struct search *s, const uint32_t *items, size_t n, bool *ret_bad)
{
	enum pgo_judgement j = PGO_JUDGED_SKIP;
	int rc = s->judge(s->ctx, items, n, &j, s->err);

	*ret_bad = rc == 0 && j == PGO_JUDGED_BAD;
	return rc;
}

/* Chunk i of `chunks`: [from, to) of the set. */
static void chunk(const struct search *s, size_t i, size_t chunks, size_t *from, size_t *to)
{
	*from = s->n * i / chunks;
	*to = s->n * (i + 1) / chunks;
}

/* Is one of the chunks bad by itself?  Then the set is that chunk. */
static int try_chunks(struct search *s, size_t chunks, bool *ret)
{
	for (size_t i = 0; i < chunks; i++) {
		size_t from, to;
		int rc;

		chunk(s, i, chunks, &from, &to);
		rc = ask(s, s->set + from, to - from, ret);
		if (rc < 0 || !*ret) {
			if (rc < 0)
				return rc;
			continue;
		}
		memmove(s->set, s->set + from, (to - from) * sizeof *s->set);
		s->n = to - from;
		return 0;
	}
	return 0;
}

/* Is the set still bad without one of the chunks? */
static int try_rests(struct search *s, size_t chunks, bool *ret)
{
	for (size_t i = 0; i < chunks; i++) {
		size_t from, to, n;
		int rc;

		chunk(s, i, chunks, &from, &to);
		n = s->n - (to - from);
		memcpy(s->part, s->set, from * sizeof *s->part);
		memcpy(s->part + from, s->set + to, (s->n - to) * sizeof *s->part);
		rc = ask(s, s->part, n, ret);
		if (rc < 0)
			return rc;
		if (!*ret)
			continue;
		memcpy(s->set, s->part, n * sizeof *s->set);
		s->n = n;
		return 0;
	}
	return 0;
}

static int minimise(struct search *s)
{
	size_t chunks = 2;

	while (s->n >= 2) {
		bool found = false;
		int rc = try_chunks(s, chunks, &found);

		if (rc < 0)
			return rc;
		if (found) {
			chunks = 2;
			continue;
		}
		/* The rest without one half is the other half. */
		rc = chunks > 2 ? try_rests(s, chunks, &found) : 0;
		if (rc < 0)
			return rc;
		if (found)
			chunks = chunks - 1 > 2 ? chunks - 1 : 2;
		else if (chunks >= s->n)
			break;
		else
			chunks = chunks * 2 < s->n ? chunks * 2 : s->n;
	}
	return 0;
}

static int keep_set(struct pgo_bisect *b, const struct search *s)
{
	struct pgo_bisect_set *x = PGO_VEC_PUSH(b->sets, b->n, b->room);

	if (x == NULL)
		return -1;
	x->items = pgo_malloc((s->n + 1) * sizeof *x->items);
	if (x->items == NULL) {
		b->n--;
		return -1;
	}
	memcpy(x->items, s->set, s->n * sizeof *x->items);
	x->n = s->n;
	return 0;
}

/* Takes the items of the last set out of all that are left. */
static size_t without(uint32_t *rest, size_t n, const struct pgo_bisect_set *x)
{
	size_t kept = 0;

	for (size_t i = 0, k = 0; i < n; i++) {
		if (k < x->n && x->items[k] == rest[i])
			k++;
		else
			rest[kept++] = rest[i];
	}
	return kept;
}

/* One set after the other, as long as what is left is bad. */
static int find_sets(struct search *s, uint32_t *rest, size_t n, struct pgo_bisect *ret)
{
	bool bad = true;

	while (bad) {
		int rc;

		memcpy(s->set, rest, n * sizeof *rest);
		s->n = n;
		rc = minimise(s);
		if (rc == 0 || s->n < n || ret->n == 0)
			if (keep_set(ret, s) < 0)
				return pgo_err_nomem(s->err);
		if (rc < 0)
			return rc;
		n = without(rest, n, &ret->sets[ret->n - 1]);
		bad = false;
		rc = n != 0 ? ask(s, rest, n, &bad) : 0;
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int search(struct search *s, uint32_t *rest, size_t n, struct pgo_bisect *ret)
{
	enum pgo_judgement none = PGO_JUDGED_SKIP, all = PGO_JUDGED_SKIP;
	int rc;

	ret->end = PGO_BISECT_UNFINISHED;
	rc = s->judge(s->ctx, rest, n, &all, s->err);
	if (rc == 0 && all == PGO_JUDGED_BAD)
		rc = s->judge(s->ctx, rest, 0, &none, s->err);
	if (rc < 0)
		return rc;
	if (all != PGO_JUDGED_BAD || none != PGO_JUDGED_GOOD) {
		ret->end = all == PGO_JUDGED_GOOD   ? PGO_BISECT_ALL_GOOD
			   : none == PGO_JUDGED_BAD ? PGO_BISECT_NONE_BAD
						    : PGO_BISECT_UNTOLD;
		return 0;
	}
	rc = find_sets(s, rest, n, ret);
	if (rc == 0)
		ret->end = PGO_BISECT_FOUND;
	return rc;
}

int pgo_bisect(
	size_t n_items, pgo_judge *judge, void *ctx, struct pgo_bisect *ret, struct pgo_err *err)
{
	struct search s = {.judge = judge, .ctx = ctx, .err = err};
	uint32_t *rest = pgo_malloc((n_items + 1) * sizeof *rest);
	int rc;

	memset(ret, 0, sizeof *ret);
	s.set = pgo_malloc((n_items + 1) * sizeof *s.set);
	s.part = pgo_malloc((n_items + 1) * sizeof *s.part);
	if (rest == NULL || s.set == NULL || s.part == NULL) {
		rc = pgo_err_nomem(err);
	} else {
		for (size_t i = 0; i < n_items; i++)
			rest[i] = (uint32_t)i;
		rc = search(&s, rest, n_items, ret);
	}
	pgo_free(rest);
	pgo_free(s.set);
	pgo_free(s.part);
	return rc;
}

void pgo_bisect_fini(struct pgo_bisect *b)
{
	for (size_t i = 0; i < b->n; i++)
		pgo_free(b->sets[i].items);
	pgo_free(b->sets);
	memset(b, 0, sizeof *b);
}
