/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/bat_edges.h"

#include "convert/codefns.h"
#include "pgo/core/alloc.h"
#include "pgo/core/insn.h"
#include "pgo/core/map.h"

#include <string.h>

struct builder {
	const struct pgo_bat *bat;
	const struct pgo_elf *elf, *symbols;
	struct pgo_fdata *out;
	uint32_t *ranks; /* by symbol: of locals, among those of its name and file, from 1 */
	const struct pgo_symbol *named;
	uint32_t name; /* of `named` */
};

/* ------------------------------------------------------------------ names */

struct counted {
	uint64_t hash; /* of name and file */
	uint32_t n;
};

static uint64_t hash_of(const struct pgo_symbol *s)
{
	return pgo_hash(s->name, strlen(s->name)) * 31 + pgo_hash(s->file, strlen(s->file));
}

/* Symbols come by address, and so do the ranks. */
static int rank_locals(struct builder *b)
{
	const struct pgo_elf *e = b->symbols;
	struct counted *c = pgo_calloc(e->n_symbols + 1, sizeof *c);
	struct pgo_map map;
	size_t n = 0;
	int rc = 0;

	b->ranks = pgo_calloc(e->n_symbols + 1, sizeof *b->ranks);
	pgo_map_init(&map);
	for (size_t i = 0; c != NULL && b->ranks != NULL && i < e->n_symbols && rc == 0; i++) {
		const struct pgo_symbol *s = &e->symbols[i];
		uint32_t k;

		if (s->local_rank == 0 || s->file == NULL || s->file[0] == '\0')
			continue;
		c[n].hash = hash_of(s);
		k = pgo_map_find_key(&map, c, sizeof *c, &c[n].hash, sizeof c->hash);
		if (k == PGO_MAP_NONE) {
			k = (uint32_t)n;
			rc = pgo_map_add_key(&map, &c[n].hash, sizeof c->hash, k);
			n++;
		}
		b->ranks[i] = ++c[k].n;
	}
	pgo_map_fini(&map);
	pgo_free(c);
	return c == NULL || b->ranks == NULL ? -1 : rc;
}

/* Ranks among all locals of a name change when functions move; those within a file do so less. */
static uint32_t name_of(struct builder *b, const struct pgo_symbol *s)
{
	uint32_t rank = b->ranks[s - b->symbols->symbols];
	char *text;

	if (b->named == s)
		return b->name;
	if (s->local_rank == 0)
		text = pgo_strdup(s->name);
	else if (rank != 0)
		text = pgo_asprintf("%s/%s/%u", s->name, s->file, rank);
	else
		text = pgo_asprintf("%s/%u", s->name, s->local_rank);
	if (text == NULL)
		return PGO_STR_NONE;
	b->name = pgo_strtab_puts(&b->out->strs, text);
	b->named = s;
	pgo_free(text);
	return b->name;
}

/* ------------------------------------------------------------------ places */

static const struct pgo_symbol *symbol_at(const struct builder *b, uint64_t addr)
{
	const struct pgo_symbol *s = pgo_at_inside(addr) ? pgo_elf_symbol(b->symbols, addr) : NULL;

	return s != NULL && (s->size == 0 || addr < s->addr + s->size) ? s : NULL;
}

static int locate_stub(struct builder *b, uint64_t addr, struct pgo_fdata_loc *ret)
{
	const struct pgo_plt *plt = pgo_at_inside(addr) ? pgo_plt_at(b->elf, addr) : NULL;
	char *text;

	if (plt == NULL)
		return 0;
	text = pgo_asprintf("%s@PLT", plt->name);
	if (text == NULL)
		return -1;
	ret->known = 1;
	ret->offset = addr - plt->addr;
	ret->name = pgo_strtab_puts(&b->out->strs, text);
	pgo_free(text);
	return ret->name == PGO_STR_NONE ? -1 : 0;
}

static int locate(struct builder *b, uint64_t addr, bool source, struct pgo_fdata_loc *ret)
{
	const struct pgo_symbol *s = symbol_at(b, addr);
	const struct pgo_bat_fn *f;

	*ret = (struct pgo_fdata_loc){0};
	if (s == NULL)
		return locate_stub(b, addr, ret);
	ret->known = 1;
	ret->offset = addr - s->addr;
	f = pgo_bat_fn(b->bat, s->addr);
	if (f != NULL) {
		ret->offset = pgo_bat_translate(b->bat, f, (uint32_t)(addr - f->addr), source);
		if (f->whole != f->addr && (s = symbol_at(b, f->whole)) == NULL)
			s = symbol_at(b, addr);
	}
	ret->name = name_of(b, s);
	return ret->name == PGO_STR_NONE ? -1 : 0;
}

/* ------------------------------------------------------------------ edges */

static int add_branch(struct builder *b, const struct pgo_trace *t)
{
	struct pgo_fdata_loc from, to;

	if (t->source == PGO_AT_NONE || t->source == PGO_AT_OUTSIDE_RETURN ||
		(pgo_at_inside(t->source) && pgo_insn_kind_at(b->elf, t->source) == PGO_INSN_RET))
		return 0;
	if (locate(b, t->source, true, &from) < 0 || locate(b, t->target, false, &to) < 0)
		return -1;
	if (!from.known && !to.known)
		return 0;
	return pgo_fdata_add(b->out, from, to, t->mispreds, t->count);
}

/* Is the trace's run behind a call, to which something outside, or a return, came back? */
static bool resumes(const struct builder *b, const struct pgo_trace *t, const struct pgo_symbol *s)
{
	if (t->source == PGO_AT_OUTSIDE_RETURN)
		return true;
	if (!pgo_at_inside(t->source))
		return false;
	return pgo_insn_kind_at(b->elf, t->source) == PGO_INSN_RET && t->target != s->addr;
}

static int add_run(struct builder *b, const struct pgo_trace *t)
{
	const struct pgo_symbol *s = symbol_at(b, t->target), *whole;
	const struct pgo_bat_entry *e = b->bat->entries;
	struct pgo_fdata_loc from = {.known = 1}, to = {.known = 1};
	const struct pgo_bat_fn *f = s != NULL ? pgo_bat_fn(b->bat, s->addr) : NULL;
	size_t first, last;

	if (f == NULL || !pgo_at_inside(t->end) || t->end < t->target ||
		t->end - t->target > PGO_RANGE_MAX || symbol_at(b, t->end) != s)
		return 0;
	whole = symbol_at(b, f->whole);
	from.name = to.name = name_of(b, whole != NULL ? whole : s);
	if (from.name == PGO_STR_NONE)
		return -1;
	first = pgo_bat_entry_at(b->bat, f, (uint32_t)(t->target - f->addr));
	last = pgo_bat_entry_at(b->bat, f, (uint32_t)(t->end - f->addr));
	if (first == SIZE_MAX)
		return 0;
	/* A call may end a block: the edge across it belongs to the run as well. */
	if (first > f->first && !e[first].branch && e[first].out == t->target - f->addr &&
		resumes(b, t, s))
		first--;
	while (first > f->first && e[first].branch)
		first--;
	from.offset = e[first].in;
	for (size_t i = first + 1; i <= last; i++) {
		if (e[i].branch)
			continue;
		to.offset = e[i].in;
		if (pgo_fdata_add(b->out, from, to, 0, t->count) < 0)
			return -1;
		from.offset = e[i].in;
	}
	return 0;
}

int pgo_bat_edges(const struct pgo_bat *bat, const struct pgo_elf *elf,
	const struct pgo_elf *symbols, const struct pgo_ranges *r, struct pgo_fdata *f)
{
	struct builder b = {.bat = bat, .elf = elf, .symbols = symbols, .out = f};
	int rc = rank_locals(&b);

	f->bolted = true;
	for (size_t i = 0; i < r->n_traces && rc == 0; i++) {
		rc = add_branch(&b, &r->traces[i]);
		if (rc == 0)
			rc = add_run(&b, &r->traces[i]);
	}
	pgo_free(b.ranks);
	return rc < 0 ? -1 : 0;
}
