/* SPDX-License-Identifier: Apache-2.0 */
/* Names as clang looks them up; see convert/format.h. */
#include "convert/format.h"
#include "convert/rules_name.h"

#include "pgo/core/alloc.h"

#include <string.h>

struct rules {
	struct pgo_fnprof *to;
	const struct pgo_fnprof *from;
	uint32_t *names; /* by string id of `from`: string id of `to`, PGO_STR_NONE = not yet */
};

static uint32_t llvm_name(struct rules *r, uint32_t id)
{
	const struct pgo_str *s = &r->from->strs.strs[id];
	size_t digit, len;
	char *copy;

	if (r->names[id] != PGO_STR_NONE)
		return r->names[id];
	len = pgo_name_cut_llvm(s->s, s->len);
	digit = pgo_name_unified_structor(s->s, len);
	if (memmem(s->s, len, ".__uniq.", 8) != NULL)
		r->to->unique_suffixes = true;
	if (digit == 0)
		return r->names[id] = pgo_strtab_add(&r->to->strs, s->s, len);
	copy = pgo_strndup(s->s, len);
	if (copy == NULL)
		return PGO_STR_NONE;
	copy[digit] = '2';
	r->names[id] = pgo_strtab_add(&r->to->strs, copy, len);
	pgo_free(copy);
	return r->names[id];
}

static int sum_position(struct rules *r, struct pgo_fn *to, const struct pgo_fn_pos *x)
{
	struct pgo_fn_pos *y = pgo_fn_position(r->to, to, x->line, x->disc);

	if (y == NULL)
		return PGO_ENOMEM;
	y->count = pgo_sat_add(y->count, x->count);
	for (uint32_t i = 0; i < x->n_targets; i++) {
		struct pgo_fn_target t = {llvm_name(r, x->targets[i].name), x->targets[i].count};

		if (t.name == PGO_STR_NONE || pgo_fn_targets_add(r->to, y, &t, 1) < 0)
			return PGO_ENOMEM;
	}
	return 0;
}

static int sum(struct rules *r, struct pgo_fn *to, const struct pgo_fn *from)
{
	to->total = pgo_sat_add(to->total, from->total);
	to->head = pgo_sat_add(to->head, from->head);
	if (from->has_checksum && !to->has_checksum) {
		to->has_checksum = true;
		to->checksum = from->checksum;
	}
	to->attributes |= from->attributes;
	for (uint32_t i = 0; i < from->n_pos; i++)
		if (sum_position(r, to, &from->pos[i]) < 0)
			return PGO_ENOMEM;
	for (uint32_t i = 0; i < from->n_calls; i++) {
		const struct pgo_fn_call *c = &from->calls[i];
		uint32_t name = llvm_name(r, c->callee->name);
		struct pgo_fn *callee = NULL;

		if (name != PGO_STR_NONE)
			callee = pgo_fn_inlined(r->to, to, c->line, c->disc, name);
		if (callee == NULL || sum(r, callee, c->callee) < 0)
			return PGO_ENOMEM;
	}
	return 0;
}

static int apply(struct rules *r)
{
	const struct pgo_fnprof *p = r->from;

	r->to->fs_discriminators = p->fs_discriminators;
	r->to->partial = p->partial;
	r->to->preinlined = p->preinlined;
	for (size_t i = 0; i < p->n_fns; i++) {
		uint32_t name = llvm_name(r, p->fns[i]->name);
		struct pgo_fn *f = name != PGO_STR_NONE ? pgo_fnprof_fn(r->to, name) : NULL;

		if (f == NULL || sum(r, f, p->fns[i]) < 0)
			return PGO_ENOMEM;
	}
	for (size_t i = 0; i < p->n_cold; i++) {
		uint32_t name = llvm_name(r, p->cold[i]);

		if (name == PGO_STR_NONE)
			return PGO_ENOMEM;
		/* What has samples under the shorter name is not cold. */
		if (pgo_fnprof_find(r->to, pgo_fnprof_str(r->to, name)) == NULL &&
			pgo_fnprof_add_cold(r->to, name) < 0)
			return PGO_ENOMEM;
	}
	pgo_fnprof_sort(r->to);
	return 0;
}

struct pgo_fnprof *pgo_rules_llvm(const struct pgo_fnprof *p, struct pgo_err *err)
{
	struct rules r = {.from = p};

	if (p->context_sensitive || p->md5_names) {
		r.to = pgo_fnprof_copy(p, err);
		if (r.to != NULL)
			pgo_fnprof_sort(r.to);
		return r.to;
	}
	r.to = pgo_fnprof_new(err);
	r.names = pgo_malloc(p->strs.n_strs * sizeof *r.names);
	if (r.names != NULL)
		memset(r.names, 0xff, p->strs.n_strs * sizeof *r.names);
	if (r.to != NULL && (r.names == NULL || apply(&r) < 0)) {
		(void)pgo_err_nomem(err);
		pgo_fnprof_free(r.to);
		r.to = NULL;
	}
	pgo_free(r.names);
	return r.to;
}
