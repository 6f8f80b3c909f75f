/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/codefns.h"

#include "convert/cfg.h"
#include "pgo/core/alloc.h"
#include "pgo/core/map.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

void pgo_codefns_init(struct pgo_codefns *c, const struct pgo_elf *symbols)
{
	*c = (struct pgo_codefns){.symbols = symbols};
}

void pgo_codefns_fini(struct pgo_codefns *c)
{
	pgo_free(c->fns);
	pgo_free(c->joints);
	*c = (struct pgo_codefns){0};
}

/* Where the symbol's code ends; symbols without a size reach to the next one, in their section. */
static uint64_t symbol_end(const struct pgo_elf *e, const struct pgo_symbol *s)
{
	size_t i = (size_t)(s - e->symbols);
	uint64_t end = UINT64_MAX;

	if (s->size != 0)
		return s->addr + s->size;
	if (s->section < e->n_sections)
		end = e->sections[s->section].addr + e->sections[s->section].size;
	for (i++; i < e->n_symbols && e->symbols[i].addr < end; i++) {
		if (e->symbols[i].addr > s->addr)
			return e->symbols[i].addr;
	}
	return end;
}

int pgo_codefns_add(struct pgo_codefns *c, uint64_t addr)
{
	const struct pgo_codefn *last = c->n_fns != 0 ? &c->fns[c->n_fns - 1] : NULL;
	const struct pgo_symbol *s;
	struct pgo_codefn *fn;

	if (last != NULL && addr >= last->start && addr < last->end)
		return 0;
	s = pgo_elf_symbol(c->symbols, addr);
	if (s == NULL || addr >= symbol_end(c->symbols, s))
		return 0;
	fn = PGO_VEC_PUSH(c->fns, c->n_fns, c->fns_room);
	if (fn == NULL)
		return -1;
	*fn = (struct pgo_codefn){s->addr, symbol_end(c->symbols, s), s};
	return 0;
}

static int compare_fns(const void *pa, const void *pb)
{
	const struct pgo_codefn *a = pa, *b = pb;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->end > b->end ? -1 : a->end < b->end;
}

void pgo_codefns_finish(struct pgo_codefns *c)
{
	size_t n = 0;

	if (c->n_fns != 0)
		qsort(c->fns, c->n_fns, sizeof *c->fns, compare_fns);
	for (size_t i = 0; i < c->n_fns; i++) {
		struct pgo_codefn f = c->fns[i];

		if (n != 0 && c->fns[n - 1].start == f.start)
			continue;
		if (n != 0 && c->fns[n - 1].end > f.start)
			c->fns[n - 1].end = f.start;
		c->fns[n++] = f;
	}
	c->n_fns = n;
}

uint32_t pgo_codefns_find(const struct pgo_codefns *c, uint64_t addr)
{
	size_t lo = 0, hi = c->n_fns;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->fns[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo != 0 && addr < c->fns[lo - 1].end ? (uint32_t)(lo - 1) : UINT32_MAX;
}

/* ------------------------------------------------------------------ names */

static const char *const tails[] = {".cold", ".part.", ".constprop.", ".isra.", ".lto_priv."};

static bool tail_at(const char *p, const char *tail)
{
	size_t n = strlen(tail);

	/* ".cold" stands alone or has a number; the others end in a dot. */
	return strncmp(p, tail, n) == 0 && (tail[n - 1] == '.' || p[n] == '\0' || p[n] == '.');
}

size_t pgo_codefn_base_len(const char *name)
{
	for (const char *p = strchr(name, '.'); p != NULL; p = strchr(p + 1, '.')) {
		for (size_t t = 0; t < sizeof tails / sizeof *tails && p != name; t++) {
			if (tail_at(p, tails[t]))
				return (size_t)(p - name);
		}
	}
	return strlen(name);
}

bool pgo_codefn_is_part(const char *name)
{
	for (const char *p = strchr(name, '.'); p != NULL; p = strchr(p + 1, '.')) {
		if (tail_at(p, tails[0]) || tail_at(p, tails[1]))
			return true;
	}
	return false;
}

const char *pgo_codefn_cold_tail(const char *name)
{
	const char *p = strstr(name, tails[0]);

	return p != NULL && p != name && tail_at(p, tails[0]) ? p : NULL;
}

/* ------------------------------------------------------------------ joints */

/* A name of which one part is touched. */
struct family {
	uint64_t hash;
};

struct joiner {
	struct pgo_codefns *c;
	const struct pgo_elf *code;
	struct pgo_map map;
	struct family *families;
	size_t n_families, families_room;
	struct pgo_cfg cfg;
};

static uint64_t family_of(const char *name, const char *tail)
{
	return pgo_hash(name, tail != NULL ? (size_t)(tail - name) : strlen(name));
}

static bool known_family(const struct joiner *j, uint64_t hash)
{
	return pgo_map_find_key(&j->map, j->families, sizeof *j->families, &hash, sizeof hash) !=
	       PGO_MAP_NONE;
}

static int add_family(struct joiner *j, uint64_t hash)
{
	struct family *f;

	if (known_family(j, hash))
		return 0;
	f = PGO_VEC_PUSH(j->families, j->n_families, j->families_room);
	if (f == NULL)
		return -1;
	f->hash = hash;
	return pgo_map_add_key(&j->map, &hash, sizeof hash, (uint32_t)(j->n_families - 1));
}

/* Direct branches that leave `s` for the middle of something else. */
static int joints_of(struct joiner *j, const struct pgo_symbol *s, struct pgo_err *err)
{
	uint64_t *to;
	int rc;

	rc = pgo_cfg_decode(&j->cfg, j->code, s->addr, symbol_end(j->c->symbols, s), NULL, 0, err);
	for (size_t i = 0; rc == 0 && i < j->cfg.n_insns; i++) {
		const struct pgo_insn *p = &j->cfg.insns[i];

		if ((p->kind != PGO_INSN_COND && p->kind != PGO_INSN_JUMP) ||
			(p->target >= j->cfg.start && p->target < j->cfg.end) ||
			pgo_codefns_find(j->c, p->target) == UINT32_MAX)
			continue;
		to = PGO_VEC_PUSH(j->c->joints, j->c->n_joints, j->c->joints_room);
		if (to == NULL)
			return pgo_err_nomem(err);
		*to = p->target;
	}
	return rc;
}

/*
 * Every split-off part of a touched function, and every touched function that has such a part, is
 * looked through.  Names of local functions may repeat; that costs time only, because what is kept
 * are addresses inside touched functions.
 */
static int find_joints(struct joiner *j, struct pgo_err *err)
{
	const struct pgo_elf *e = j->c->symbols;
	struct pgo_map split = {0};
	struct family *names = NULL;
	size_t n_names = 0, names_room = 0;
	int rc = 0;

	pgo_map_init(&split);
	for (size_t i = 0; i < j->c->n_fns; i++) {
		const char *name = j->c->fns[i].symbol->name;

		if (add_family(j, family_of(name, pgo_codefn_cold_tail(name))) < 0)
			goto nomem;
	}
	for (size_t i = 0; i < e->n_symbols && rc == 0; i++) {
		const struct pgo_symbol *s = &e->symbols[i];
		const char *tail = pgo_codefn_cold_tail(s->name);
		struct family *f;

		if (tail == NULL || !known_family(j, family_of(s->name, tail)))
			continue;
		f = PGO_VEC_PUSH(names, n_names, names_room);
		if (f == NULL)
			goto nomem;
		f->hash = family_of(s->name, tail);
		if (pgo_map_add_key(&split, &f->hash, sizeof f->hash, (uint32_t)(n_names - 1)) < 0)
			goto nomem;
		rc = joints_of(j, s, err);
	}
	for (size_t i = 0; i < j->c->n_fns && n_names != 0 && rc == 0; i++) {
		const struct pgo_symbol *s = j->c->fns[i].symbol;
		uint64_t hash = family_of(s->name, NULL);

		if (pgo_map_find_key(&split, names, sizeof *names, &hash, sizeof hash) !=
			PGO_MAP_NONE)
			rc = joints_of(j, s, err);
	}
	goto out;
nomem:
	rc = pgo_err_nomem(err);
out:
	pgo_free(names);
	pgo_map_fini(&split);
	return rc;
}

int pgo_codefns_find_joints(struct pgo_codefns *c, const struct pgo_elf *code, struct pgo_err *err)
{
	struct joiner j = {.c = c, .code = code};
	int rc;

	pgo_map_init(&j.map);
	rc = find_joints(&j, err);
	if (c->n_joints != 0)
		qsort(c->joints, c->n_joints, sizeof *c->joints, pgo_compare_u64);
	pgo_cfg_fini(&j.cfg);
	pgo_map_fini(&j.map);
	pgo_free(j.families);
	return rc;
}

size_t pgo_codefns_joint(const struct pgo_codefns *c, uint64_t addr)
{
	size_t lo = 0, hi = c->n_joints;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->joints[mid] < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct pgo_plt *pgo_plt_at(const struct pgo_elf *elf, uint64_t addr)
{
	size_t lo = 0, hi = elf->n_plt;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (elf->plt[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0 || addr - elf->plt[lo - 1].addr >= elf->plt[lo - 1].size)
		return NULL;
	return &elf->plt[lo - 1];
}
