/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/edges.h"

#include "pgo/core/alloc.h"

#include <stdio.h>
#include <string.h>

/* BOLT's name of a symbol: locals carry their rank; assembler-private names get a prefix. */
static uint32_t symbol_name(struct pgo_edges *e, const struct pgo_symbol *s)
{
	const char *prefix = strncmp(s->name, ".L", 2) == 0 ? "PG" : "";
	char *text;
	uint32_t id;

	if (e->named == s)
		return e->name;
	if (s->local_rank == 0 && *prefix == '\0') {
		id = pgo_strtab_puts(&e->fdata->strs, s->name);
	} else {
		text = s->local_rank == 0 ? pgo_asprintf("%s%s", prefix, s->name)
					  : pgo_asprintf("%s%s/%u", prefix, s->name, s->local_rank);
		if (text == NULL)
			return PGO_STR_NONE;
		id = pgo_strtab_puts(&e->fdata->strs, text);
		pgo_free(text);
	}
	e->named = s;
	e->name = id;
	return id;
}

static int plt_name(struct pgo_edges *e, const struct pgo_plt *plt, struct pgo_fdata_loc *ret)
{
	char *text = pgo_asprintf("%s@PLT", plt->name);

	if (text == NULL)
		return -1;
	ret->name = pgo_strtab_puts(&e->fdata->strs, text);
	pgo_free(text);
	return ret->name == PGO_STR_NONE ? -1 : 0;
}

int pgo_edges_locate(
	struct pgo_edges *e, const struct pgo_pass *p, uint64_t addr, struct pgo_fdata_loc *ret)
{
	const struct pgo_plt *plt;
	uint32_t i;

	*ret = (struct pgo_fdata_loc){0};
	if (!pgo_at_inside(addr))
		return 0;
	i = pgo_codefns_find(p->fns, addr);
	if (i != UINT32_MAX) {
		const struct pgo_codefn *fn = &p->fns->fns[i];

		ret->known = 1;
		ret->offset = addr - fn->start;
		ret->name = symbol_name(e, fn->symbol);
		return ret->name == PGO_STR_NONE ? -1 : 0;
	}
	plt = pgo_plt_at(p->elf, addr);
	if (plt == NULL)
		return 0;
	ret->known = 1;
	ret->offset = addr - plt->addr;
	return plt_name(e, plt, ret);
}

static int add_branch(struct pgo_edges *e, const struct pgo_pass *p, const struct pgo_branch *b)
{
	struct pgo_fdata_loc from, to;

	if (pgo_edges_locate(e, p, b->source, &from) < 0 ||
		pgo_edges_locate(e, p, b->target, &to) < 0)
		return -1;
	if (!from.known && !to.known)
		return 0;
	return pgo_fdata_add(e->fdata, from, to, b->mispreds, b->count);
}

static int add_fall_throughs(
	struct pgo_edges *e, const struct pgo_pass *p, const struct pgo_fnwork *w)
{
	struct pgo_fdata_loc from, to;

	for (size_t i = 1; i < w->cfg.n_insns; i++) {
		uint64_t n;

		if (!w->cfg.insns[i].leader)
			continue;
		/* What runs here and did not begin here came from the block before. */
		n = pgo_pass_scale(p, w->count[i] - w->starts[i] + w->resume[i]);
		if (n == 0)
			continue;
		if (pgo_edges_locate(e, p, w->cfg.insns[i - 1].addr, &from) < 0 ||
			pgo_edges_locate(e, p, w->cfg.insns[i].addr, &to) < 0 ||
			pgo_fdata_add(e->fdata, from, to, 0, n) < 0)
			return -1;
	}
	return 0;
}

int pgo_edges_add(struct pgo_edges *e, const struct pgo_pass *p, const struct pgo_fnwork *w)
{
	for (size_t k = 0; k < w->n_branches; k++) {
		uint32_t i = pgo_cfg_at(&w->cfg, w->branches[k].source);

		if (i != UINT32_MAX && w->cfg.insns[i].kind == PGO_INSN_RET)
			continue;
		if (add_branch(e, p, &w->branches[k]) < 0)
			return -1;
	}
	return add_fall_throughs(e, p, w);
}

int pgo_edges_enter(struct pgo_edges *e, const struct pgo_pass *p, const struct pgo_branch *b)
{
	if (b->source == PGO_AT_OUTSIDE_RETURN)
		return 0;
	return add_branch(e, p, b);
}
