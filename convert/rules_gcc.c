/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each gcc release does with a profile, undone before it is written; convert/format.h lists
 * the rules.  Two steps: every record is first rewritten by itself (here the largest count wins,
 * since several discriminators of one line are views of one place), then records that have become
 * the same function are summed (clones are different code that all ran).
 */
#include "convert/format.h"
#include "convert/rules_name.h"

#include "pgo/core/alloc.h"

#include <stdlib.h>
#include <string.h>

struct rules {
	unsigned release;
	bool cut_at_dot;        /* 5..15 */
	bool no_discriminators; /* 5..12 */
	bool two_call_keys;     /* 13..15 */
	bool no_targets;        /* 10, 11 */
	struct pgo_fnprof *to;
	const struct pgo_fnprof *from;
	char *text; /* room for one name */
	size_t text_room;
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* The name of `from` as gcc looks it up, as a string of `to`. */
static uint32_t gcc_name(struct rules *r, uint32_t id)
{
	const struct pgo_str *s = &r->from->strs.strs[id];
	size_t digit, len = s->len;

	len = r->cut_at_dot ? pgo_name_cut_dot(s->s, len) : pgo_name_cut_clones(s->s, len);
	digit = pgo_name_unified_structor(s->s, len);
	if (digit == 0)
		return pgo_strtab_add(&r->to->strs, s->s, len);
	if (len > r->text_room) {
		char *t = pgo_realloc_array(r->text, len, 1);

		if (t == NULL)
			return PGO_STR_NONE;
		r->text = t;
		r->text_room = len;
	}
	memcpy(r->text, s->s, len);
	r->text[digit] = '2';
	return pgo_strtab_add(&r->to->strs, r->text, len);
}

static int rewrite(struct rules *r, struct pgo_fn *to, const struct pgo_fn *from);
static bool is_stub(const struct pgo_fn *f, const struct pgo_fn_call *c);

static int rewrite_positions(struct rules *r, struct pgo_fn *to, const struct pgo_fn *from)
{
	for (uint32_t i = 0; i < from->n_pos; i++) {
		const struct pgo_fn_pos *x = &from->pos[i];
		uint32_t disc = r->no_discriminators ? 0 : x->disc & 0xffff;
		struct pgo_fn_pos *y = pgo_fn_position(r->to, to, x->line, disc);

		if (y == NULL)
			return PGO_ENOMEM;
		if (x->count > y->count)
			y->count = x->count;
		for (uint32_t t = 0; t < x->n_targets && !r->no_targets; t++) {
			uint32_t name = gcc_name(r, x->targets[t].name);
			struct pgo_fn_target one = {name, x->targets[t].count};

			if (name == PGO_STR_NONE || pgo_fn_targets_add(r->to, y, &one, 1) < 0)
				return PGO_ENOMEM;
		}
	}
	return 0;
}

/*
 * gcc splits functions, and may inline a part back: to DWARF the function then seems to be inlined
 * into itself, at its own first line.  The part's positions belong to the function.
 */
static bool is_split_part(struct rules *r, const struct pgo_fn *f, const struct pgo_fn_call *c)
{
	return c->line == 0 && (c->disc == 0 || r->cut_at_dot) &&
	       gcc_name(r, c->callee->name) == gcc_name(r, f->name);
}

static int rewrite_calls(struct rules *r, struct pgo_fn *to, const struct pgo_fn *from)
{
	for (uint32_t i = 0; i < from->n_calls; i++) {
		const struct pgo_fn_call *c = &from->calls[i];
		uint32_t name = gcc_name(r, c->callee->name);
		uint32_t disc = r->cut_at_dot ? 0 : c->disc & 0xffff;
		struct pgo_fn *callee;

		if (name == PGO_STR_NONE)
			return PGO_ENOMEM;
		if (r->two_call_keys && is_stub(from, c))
			continue;
		if (is_split_part(r, from, c)) {
			if (rewrite(r, to, c->callee) < 0)
				return PGO_ENOMEM;
			continue;
		}
		callee = pgo_fn_inlined(r->to, to, c->line, disc, name);
		if (callee == NULL || rewrite(r, callee, c->callee) < 0)
			return PGO_ENOMEM;
	}
	return 0;
}

/* Merges one record into another; of counts of one place the largest stays. */
static int rewrite(struct rules *r, struct pgo_fn *to, const struct pgo_fn *from)
{
	if (to->file == 0 && to->depth != 0) {
		to->file = pgo_strtab_puts(
			&r->to->strs, base_name(pgo_fnprof_str(r->from, from->file)));
		if (to->file == PGO_STR_NONE)
			return PGO_ENOMEM;
	}
	if (to->first_seen == 0 || (from->first_seen != 0 && from->first_seen < to->first_seen))
		to->first_seen = from->first_seen;
	if (from->head > to->head)
		to->head = from->head;
	if (rewrite_positions(r, to, from) < 0)
		return PGO_ENOMEM;
	return rewrite_calls(r, to, from);
}

static void set_totals(struct pgo_fn *f)
{
	f->total = 0;
	for (uint32_t i = 0; i < f->n_pos; i++)
		f->total = pgo_sat_add(f->total, f->pos[i].count);
	for (uint32_t i = 0; i < f->n_calls; i++) {
		set_totals(f->calls[i].callee);
		f->total = pgo_sat_add(f->total, f->calls[i].callee->total);
	}
}

/* ------------------------------------------------------------------ gcc 13 to 15 */

/*
 * These decide under the call's own discriminator whether it is hot enough to inline early, but
 * annotate what was inlined under 0.  The decision needs no more than a total, so the body under
 * the discriminator is a stub: one position, 0.0, with the total as its count.
 */
static bool is_stub(const struct pgo_fn *f, const struct pgo_fn_call *c)
{
	const struct pgo_fn *g = c->callee, *body;

	if (c->disc == 0 || g->n_pos != 1 || g->n_calls != 0 || g->pos[0].line != 0 ||
		g->pos[0].disc != 0 || g->pos[0].n_targets != 0)
		return false;
	body = pgo_fn_inlined_find(f, c->line, 0, g->name);
	return body != NULL && pgo_fn_position_sum(body) >= g->pos[0].count;
}

static int add_stubs(struct rules *r, struct pgo_fn *to, const struct pgo_fn *from)
{
	for (uint32_t i = 0; i < from->n_calls; i++) {
		const struct pgo_fn_call *c = &from->calls[i];
		uint32_t name = gcc_name(r, c->callee->name);
		uint32_t disc = c->disc & 0xffff;
		struct pgo_fn *body, *stub;

		if (name == PGO_STR_NONE)
			return PGO_ENOMEM;
		if (is_split_part(r, from, c)) {
			if (add_stubs(r, to, c->callee) < 0)
				return PGO_ENOMEM;
			continue;
		}
		body = pgo_fn_inlined_find(to, c->line, 0, name);
		if (body == NULL)
			continue;
		if (add_stubs(r, body, c->callee) < 0)
			return PGO_ENOMEM;
		if (disc == 0 || body->total == 0)
			continue;
		stub = pgo_fn_inlined(r->to, to, c->line, disc, name);
		if (stub == NULL || pgo_fn_pos_max(r->to, stub, 0, 0, body->total) < 0)
			return PGO_ENOMEM;
	}
	return 0;
}

/* ------------------------------------------------------------------ gcc 16 */

static int by_name_and_file(const void *a, const void *b, void *ctx)
{
	const struct pgo_fn *x = *(struct pgo_fn *const *)a, *y = *(struct pgo_fn *const *)b;
	int c = strcmp(pgo_fnprof_str(ctx, x->name), pgo_fnprof_str(ctx, y->name));

	return c != 0 ? c : strcmp(pgo_fnprof_str(ctx, x->file), pgo_fnprof_str(ctx, y->file));
}

/* For each name that is inlined somewhere: its file, or SEVERAL. */
#define SEVERAL UINT32_MAX

static void note_inlined(const struct pgo_fn *f, uint32_t *files)
{
	for (uint32_t i = 0; i < f->n_calls; i++) {
		const struct pgo_fn *g = f->calls[i].callee;

		if (g->file != 0 && files[g->name] != g->file)
			files[g->name] = files[g->name] == 0 ? g->file : SEVERAL;
		note_inlined(g, files);
	}
}

/*
 * Records of one name but different files get names that gcc cuts back to that one: the file beside
 * the name then decides.  The record without a file, which serves all others, keeps the name, and so
 * do inlined functions, which gcc finds through their callers and does not cut.
 */
static int name_by_file(struct rules *r)
{
	struct pgo_fn **fns = r->to->fns;
	size_t n = r->to->n_fns;
	uint32_t *inlined = pgo_calloc(r->to->strs.n_strs, sizeof *inlined);
	int rc = inlined != NULL ? 0 : PGO_ENOMEM;

	for (size_t i = 0; i < n && rc == 0; i++)
		note_inlined(fns[i], inlined);
	if (n > 1)
		qsort_r(fns, n, sizeof *fns, by_name_and_file, r->to);
	for (size_t i = 0, end; i < n && rc == 0; i = end) {
		uint32_t name = fns[i]->name;
		bool other = inlined[name] != 0 && inlined[name] != fns[i]->file;

		for (end = i + 1; end < n && fns[end]->name == name; end++)
			;
		for (size_t k = i; (end - i > 1 || other) && k < end && rc == 0; k++) {
			char *text;

			if (fns[k]->file == 0)
				continue;
			text = pgo_asprintf("%s.lto_priv.%zu", pgo_fnprof_str(r->to, name), k - i);
			fns[k]->name =
				text != NULL ? pgo_strtab_puts(&r->to->strs, text) : PGO_STR_NONE;
			pgo_free(text);
			rc = fns[k]->name == PGO_STR_NONE ? PGO_ENOMEM : 0;
		}
	}
	pgo_free(inlined);
	return rc;
}

/* ------------------------------------------------------------------ all of it */

/* The record of `to` that the function ends up in. */
static struct pgo_fn *destination(struct rules *r, const struct pgo_fn *f)
{
	uint32_t name = gcc_name(r, f->name), file = 0;

	if (!r->cut_at_dot)
		file = pgo_strtab_puts(&r->to->strs, base_name(pgo_fnprof_str(r->from, f->file)));
	if (name == PGO_STR_NONE || file == PGO_STR_NONE)
		return NULL;
	return pgo_fnprof_fn_of_file(r->to, name, file);
}

/* The first record of a function is rewritten in place; a further one by itself, then summed. */
static int move(struct rules *r, const struct pgo_fn *f)
{
	struct pgo_fnprof *alone, *to = r->to;
	struct pgo_fn *dst = destination(r, f), *g;
	int rc = PGO_ENOMEM;

	if (dst == NULL)
		return PGO_ENOMEM;
	if (dst->n_pos == 0 && dst->n_calls == 0 && dst->head == 0)
		return rewrite(r, dst, f);
	alone = pgo_fnprof_new(NULL);
	g = alone != NULL ? pgo_fnprof_fn(alone, 0) : NULL;
	if (g != NULL) {
		r->to = alone;
		rc = rewrite(r, g, f);
		r->to = to;
	}
	if (rc == 0)
		rc = pgo_fn_merge(to, dst, alone, g, 1);
	pgo_fnprof_free(alone);
	return rc;
}

static void finish(struct rules *r)
{
	struct pgo_fnprof *p = r->to;
	bool stamps = true;
	size_t kept = 0;

	for (size_t i = 0; i < p->n_fns; i++) {
		struct pgo_fn *f = p->fns[i];

		set_totals(f);
		if (f->total == 0 && f->head == 0)
			continue;
		if (f->head == 0)
			f->head = 1;
		stamps &= f->first_seen != 0;
		p->fns[kept++] = f;
	}
	p->n_fns = kept;
	for (size_t i = 0; i < kept; i++)
		if (!stamps)
			p->fns[i]->first_seen = 0;
	pgo_fnprof_sort(p);
}

static int apply(struct rules *r)
{
	const struct pgo_fnprof *p = r->from;

	for (size_t i = 0; i < p->n_fns; i++)
		if (move(r, p->fns[i]) < 0)
			return PGO_ENOMEM;
	for (size_t i = 0; i < r->to->n_fns; i++)
		set_totals(r->to->fns[i]);
	for (size_t i = 0; r->two_call_keys && i < p->n_fns; i++) {
		struct pgo_fn *dst = destination(r, p->fns[i]);

		if (dst == NULL || add_stubs(r, dst, p->fns[i]) < 0)
			return PGO_ENOMEM;
	}
	if (!r->cut_at_dot && name_by_file(r) < 0)
		return PGO_ENOMEM;
	finish(r);
	return 0;
}

struct pgo_fnprof *pgo_rules_gcc(
	const struct pgo_fnprof *p, unsigned gcc_release, struct pgo_err *err)
{
	struct rules r = {.from = p};

	if (p->context_sensitive || p->md5_names) {
		(void)pgo_err_set(err, PGO_EMISMATCH,
			"a profile with %s cannot be rewritten for gcc",
			p->md5_names ? "hashed names" : "calling contexts");
		return NULL;
	}
	r.release = gcc_release == 0 ? 16 : gcc_release;
	r.cut_at_dot = r.release <= 15;
	r.no_discriminators = r.release <= 12;
	r.no_targets = r.release == 10 || r.release == 11;
	r.two_call_keys = r.release >= 13 && r.release <= 15;
	r.to = pgo_fnprof_new(err);
	if (r.to != NULL && apply(&r) < 0) {
		(void)pgo_err_nomem(err);
		pgo_fnprof_free(r.to);
		r.to = NULL;
	}
	pgo_free(r.text);
	return r.to;
}
