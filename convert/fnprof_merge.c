/* SPDX-License-Identifier: Apache-2.0 */
/* Adding profiles up, copying them, and the order they are written in. */
#include "convert/fnprof.h"

#include "pgo/core/alloc.h"

#include <stdlib.h>
#include <string.h>

static uint32_t carry(struct pgo_fnprof *p, const struct pgo_fnprof *q, uint32_t id)
{
	return p == q || id == 0
		       ? id
		       : pgo_strtab_add(&p->strs, q->strs.strs[id].s, q->strs.strs[id].len);
}

static int merge_pos(struct pgo_fnprof *p, struct pgo_fn *into, const struct pgo_fnprof *q,
	const struct pgo_fn_pos *from, uint64_t weight)
{
	struct pgo_fn_pos *x = pgo_fn_position(p, into, from->line, from->disc);
	struct pgo_fn_target *t, few[16];
	int rc = 0;

	if (x == NULL)
		return PGO_ENOMEM;
	x->count = pgo_sat_add(x->count, pgo_sat_mul(from->count, weight));
	if (from->n_targets == 0)
		return 0;
	t = from->n_targets <= 16 ? few : pgo_malloc(from->n_targets * sizeof *t);
	if (t == NULL)
		return PGO_ENOMEM;
	for (uint32_t i = 0; i < from->n_targets && rc == 0; i++) {
		t[i].name = carry(p, q, from->targets[i].name);
		t[i].count = pgo_sat_mul(from->targets[i].count, weight);
		rc = t[i].name == PGO_STR_NONE ? PGO_ENOMEM : 0;
	}
	if (rc == 0)
		rc = pgo_fn_targets_add(p, x, t, from->n_targets);
	if (t != few)
		pgo_free(t);
	return rc;
}

/* What is not a count, by rules that do not care for order. */
static int merge_marks(struct pgo_fnprof *p, struct pgo_fn *into, const struct pgo_fnprof *q,
	const struct pgo_fn *from)
{
	uint32_t file = carry(p, q, from->file);

	if (file == PGO_STR_NONE)
		return PGO_ENOMEM;
	/* The file is part of a top-level record's key, so it stays what it was made with. */
	if (into->depth != 0 && file != 0 &&
		(into->file == 0 || pgo_fnprof_compare_names(p, file, into->file) < 0))
		into->file = file;
	if (into->first_seen == 0 || (from->first_seen != 0 && from->first_seen < into->first_seen))
		into->first_seen = from->first_seen;
	if (from->has_checksum && (!into->has_checksum || from->checksum < into->checksum)) {
		into->has_checksum = true;
		into->checksum = from->checksum;
	}
	into->attributes |= from->attributes;
	return 0;
}

int pgo_fn_merge(struct pgo_fnprof *p, struct pgo_fn *into, const struct pgo_fnprof *q,
	const struct pgo_fn *from, uint64_t weight)
{
	if (merge_marks(p, into, q, from) < 0 ||
		pgo_fn_reserve(p, into, into->n_pos == 0 ? from->n_pos : 0,
			into->n_calls == 0 ? from->n_calls : 0) < 0)
		return PGO_ENOMEM;
	into->total = pgo_sat_add(into->total, pgo_sat_mul(from->total, weight));
	into->head = pgo_sat_add(into->head, pgo_sat_mul(from->head, weight));
	for (uint32_t i = 0; i < from->n_pos; i++)
		if (merge_pos(p, into, q, &from->pos[i], weight) < 0)
			return PGO_ENOMEM;
	for (uint32_t i = 0; i < from->n_calls; i++) {
		const struct pgo_fn_call *c = &from->calls[i];
		uint32_t name = carry(p, q, c->callee->name);
		struct pgo_fn *callee;

		if (name == PGO_STR_NONE)
			return PGO_ENOMEM;
		callee = pgo_fn_inlined(p, into, c->line, c->disc, name);
		if (callee == NULL || pgo_fn_merge(p, callee, q, c->callee, weight) < 0)
			return PGO_ENOMEM;
	}
	return 0;
}

int pgo_fnprof_add(struct pgo_fnprof *c, const struct pgo_fnprof *p)
{
	for (size_t i = 0; i < p->n_fns; i++) {
		uint32_t name = carry(c, p, p->fns[i]->name);
		uint32_t file = carry(c, p, p->fns[i]->file);
		struct pgo_fn *f;

		if (name == PGO_STR_NONE || file == PGO_STR_NONE)
			return PGO_ENOMEM;
		f = pgo_fnprof_fn_of_file(c, name, file);
		if (f == NULL || pgo_fn_merge(c, f, p, p->fns[i], 1) < 0)
			return PGO_ENOMEM;
	}
	for (size_t i = 0; i < p->n_cold; i++) {
		uint32_t name = carry(c, p, p->cold[i]);

		if (name == PGO_STR_NONE || pgo_fnprof_add_cold(c, name) < 0)
			return PGO_ENOMEM;
	}
	return 0;
}

static int copy_into(struct pgo_fnprof *c, const struct pgo_fnprof *p)
{
	c->fs_discriminators = p->fs_discriminators;
	c->context_sensitive = p->context_sensitive;
	c->unique_suffixes = p->unique_suffixes;
	c->md5_names = p->md5_names;
	c->partial = p->partial;
	c->preinlined = p->preinlined;
	return pgo_fnprof_add(c, p);
}

struct pgo_fnprof *pgo_fnprof_copy(const struct pgo_fnprof *p, struct pgo_err *err)
{
	struct pgo_fnprof *c = pgo_fnprof_new(err);

	if (c != NULL && copy_into(c, p) < 0) {
		pgo_err_nomem(err);
		pgo_fnprof_free(c);
		c = NULL;
	}
	return c;
}

uint64_t pgo_fn_position_sum(const struct pgo_fn *f)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < f->n_pos; i++)
		sum = pgo_sat_add(sum, f->pos[i].count);
	for (uint32_t i = 0; i < f->n_calls; i++)
		sum = pgo_sat_add(sum, pgo_fn_position_sum(f->calls[i].callee));
	return sum;
}

/* ------------------------------------------------------------------ sorting */

static int compare_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

int pgo_fnprof_compare_names(const struct pgo_fnprof *p, uint32_t a, uint32_t b)
{
	const struct pgo_str *x = &p->strs.strs[a], *y = &p->strs.strs[b];

	if (a == b)
		return 0;
	/* Hashes are decimal: a longer one is a larger one. */
	if (p->md5_names && x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return strcmp(x->s, y->s);
}

struct frame {
	const char *name;
	size_t len;
	unsigned long line, disc;
};

/* Takes the first frame off "main:3 @ foo:1.2 @ bar]"; false at the end. */
static bool next_frame(const char **at, struct frame *f)
{
	const char *end = strstr(*at, " @ "), *colon;
	char *dot;

	*f = (struct frame){.name = *at};
	if (**at == '\0')
		return false;
	if (end == NULL) {
		f->len = strlen(*at);
		*at += f->len;
		return true;
	}
	f->len = (size_t)(end - *at);
	*at = end + 3;
	colon = memrchr(f->name, ':', f->len);
	if (colon != NULL) {
		f->len = (size_t)(colon - f->name);
		f->line = strtoul(colon + 1, &dot, 10);
		f->disc = *dot == '.' ? strtoul(dot + 1, NULL, 10) : 0;
	}
	return true;
}

static int compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int c = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return c != 0 ? c : compare_u64(a_len, b_len);
}

int pgo_fnprof_compare_contexts(const char *a, const char *b)
{
	struct frame f, g;

	if (*a != '[' || *b != '[')
		return strcmp(a, b);
	for (a++, b++;;) {
		bool more = next_frame(&a, &f);
		int c;

		if (!next_frame(&b, &g) || !more)
			return more - (g.len != 0);
		/* The leaf's closing bracket is not part of its name. */
		c = compare_bytes(f.name, f.len - (*a == '\0'), g.name, g.len - (*b == '\0'));
		if (c == 0)
			c = compare_u64(f.line, g.line);
		if (c == 0)
			c = compare_u64(f.disc, g.disc);
		if (c != 0)
			return c;
	}
}

static int compare_fn(const void *a, const void *b, void *ctx)
{
	const struct pgo_fn *x = *(struct pgo_fn *const *)a, *y = *(struct pgo_fn *const *)b;
	int c = compare_u64(y->total, x->total);

	const struct pgo_fnprof *p = ctx;

	if (c == 0 && p->context_sensitive)
		c = pgo_fnprof_compare_contexts(
			pgo_fnprof_str(p, x->name), pgo_fnprof_str(p, y->name));
	if (c == 0)
		c = pgo_fnprof_compare_names(ctx, x->name, y->name);
	return c != 0 ? c : pgo_fnprof_compare_names(ctx, x->file, y->file);
}

static int compare_pos(const void *a, const void *b)
{
	const struct pgo_fn_pos *x = a, *y = b;

	return compare_u64((uint64_t)x->line << 32 | x->disc, (uint64_t)y->line << 32 | y->disc);
}

static int compare_call(const void *a, const void *b, void *ctx)
{
	const struct pgo_fn_call *x = a, *y = b;
	int c = compare_u64((uint64_t)x->line << 32 | x->disc, (uint64_t)y->line << 32 | y->disc);

	return c != 0 ? c : pgo_fnprof_compare_names(ctx, x->callee->name, y->callee->name);
}

static int compare_target(const void *a, const void *b, void *ctx)
{
	const struct pgo_fn_target *x = a, *y = b;
	int c = compare_u64(y->count, x->count);

	return c != 0 ? c : pgo_fnprof_compare_names(ctx, x->name, y->name);
}

static void sort_fn(struct pgo_fnprof *p, struct pgo_fn *f)
{
	bool moved = false;

	for (uint32_t i = 1; i < f->n_pos && !moved; i++)
		moved = compare_pos(&f->pos[i - 1], &f->pos[i]) > 0;
	if (moved) {
		qsort(f->pos, f->n_pos, sizeof *f->pos, compare_pos);
		f->pos_index.n_slots = 0; /* rebuilt by the next lookup that adds */
	}
	for (uint32_t i = 0; i < f->n_pos; i++)
		if (f->pos[i].n_targets > 1)
			qsort_r(f->pos[i].targets, f->pos[i].n_targets, sizeof *f->pos[i].targets,
				compare_target, p);
	if (f->n_calls > 1) {
		qsort_r(f->calls, f->n_calls, sizeof *f->calls, compare_call, p);
		f->calls_index.n_slots = 0;
	}
	for (uint32_t i = 0; i < f->n_calls; i++)
		sort_fn(p, f->calls[i].callee);
}

void pgo_fnprof_sort(struct pgo_fnprof *p)
{
	for (size_t i = 0; i < p->n_fns; i++)
		sort_fn(p, p->fns[i]);
	if (p->n_fns > 1)
		qsort_r(p->fns, p->n_fns, sizeof *p->fns, compare_fn, p);
	pgo_fnprof_reindex(p);
}
