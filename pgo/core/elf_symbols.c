/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Function symbols, and which of them covers an address.
 *
 * Symbols overlap: aliases, functions within functions, labels in assembler code.  A sweep over the
 * sorted symbols settles once which one answers for each piece of code, so that a look-up is one
 * binary search whatever the symbols look like.
 */
#include "pgo/core/elf_impl.h"

#include "pgo/core/alloc.h"
#include "pgo/core/map.h"
#include "pgo/core/vec.h"

#include <stdlib.h>

#define NO_SYMBOL UINT32_MAX

const char *pgo_elf_unversioned(struct pgo_elf *e, const char *name)
{
	const char *at = strchr(name, '@');

	if (at == NULL || at == name)
		return name;
	return pgo_arena_strndup(&pgo_elf_impl_of(e)->names, name, (size_t)(at - name));
}

/* ---------------------------------------------------------------- reading */

struct raw { /* a symbol while they are gathered; data symbols only take part in ranking */
	struct pgo_symbol s;
	uint32_t index; /* in the file's table: the last word in sorting */
	bool code;
};

struct raws {
	struct raw *v;
	size_t n, room;
};

static bool is_code_section(const struct pgo_elf *e, const Elf64_Sym *sym)
{
	const struct pgo_section *s;

	if (sym->st_shndx == SHN_UNDEF || sym->st_shndx >= SHN_LORESERVE ||
		sym->st_shndx >= e->n_sections)
		return false;
	s = &e->sections[sym->st_shndx];
	/* `etext` and its like stand at the end of a section and are no code. */
	return s->exec && sym->st_value >= s->addr && sym->st_value - s->addr < s->size;
}

/* Marks that assemblers leave between code and data ($x, $d), and labels that were meant to go. */
static bool is_mark(const char *name)
{
	return name[0] == '\0' || (name[0] == '.' && name[1] == 'L') ||
	       (name[0] == '$' && (name[1] == 'x' || name[1] == 'd') &&
		       (name[2] == '\0' || name[2] == '.'));
}

static int add_raw(struct pgo_elf *e, struct raws *r, const Elf64_Sym *sym, uint32_t index,
	const char *name, const char *file, struct pgo_err *err)
{
	unsigned type = ELF64_ST_TYPE(sym->st_info), bind = ELF64_ST_BIND(sym->st_info);
	bool function = type == STT_FUNC || type == STT_GNU_IFUNC;
	struct raw *to;

	if (sym->st_shndx == SHN_UNDEF || is_mark(name) ||
		(!function && type != STT_NOTYPE && type != STT_OBJECT))
		return 0;
	to = PGO_VEC_PUSH(r->v, r->n, r->room);
	if (to == NULL)
		return pgo_err_nomem(err);
	to->code = type != STT_OBJECT && is_code_section(e, sym);
	to->index = index;
	to->s.name = to->code ? pgo_elf_unversioned(e, name) : name;
	if (to->s.name == NULL)
		return pgo_err_nomem(err);
	to->s.file = bind == STB_LOCAL ? file : NULL;
	to->s.addr = sym->st_value;
	/* A size that wraps around says nothing. */
	to->s.size = sym->st_value + sym->st_size >= sym->st_value ? sym->st_size : 0;
	to->s.local_rank = bind == STB_LOCAL; /* counted later */
	to->s.section = sym->st_shndx;
	to->s.weak = bind == STB_WEAK;
	to->s.global = bind != STB_LOCAL && !to->s.weak;
	to->s.function = function;
	return 0;
}

static int gather(struct pgo_elf *e, size_t section, struct raws *r, struct pgo_err *err)
{
	size_t strings = pgo_elf_impl_of(e)->shdrs[section].sh_link;
	uint64_t n = pgo_elf_n_elements(e, section, sizeof(Elf64_Sym));
	const char *file = NULL;
	int rc = 0;

	if (n >= NO_SYMBOL)
		return pgo_err_set(err, PGO_ELIMIT, "%s: more than %u symbols", e->path, NO_SYMBOL);
	for (uint64_t i = 1; i < n && rc == 0; i++) {
		Elf64_Sym sym;
		const char *name;

		pgo_elf_element(e, section, i, &sym, sizeof sym);
		name = sym.st_name != 0 ? pgo_elf_string(e, strings, sym.st_name) : "";
		if (name == NULL)
			return pgo_err_set(err, PGO_EFORMAT,
				"%s: the name of symbol %llu is outside the string table; the file "
				"is damaged",
				e->path, (unsigned long long)i);
		if (ELF64_ST_TYPE(sym.st_info) == STT_FILE)
			/* The link-time optimiser's own file is nobody's source. */
			file = name[0] != '\0' && strcmp(name, "ld-temp.o") != 0 ? name : NULL;
		else
			rc = add_raw(e, r, &sym, (uint32_t)i, name, file, err);
	}
	return rc;
}

/* ---------------------------------------------------------------- order */

/* -1, 0, 1 by name, except that complete-object constructors and destructors (C1, D1) come after
 * the base ones (C2, D2) that they are an alias of. */
static int name_cmp(const char *a, const char *b)
{
	size_t i = 0;

	while (a[i] == b[i] && a[i] != '\0')
		i++;
	if (a[i] == b[i])
		return 0;
	if (i > 0 && (a[i - 1] == 'C' || a[i - 1] == 'D') && a[0] == '_' && a[1] == 'Z') {
		if (a[i] == '2')
			return -1;
		if (b[i] == '2')
			return 1;
	}
	return (unsigned char)a[i] < (unsigned char)b[i] ? -1 : 1;
}

static int binding(const struct pgo_symbol *s)
{
	return s->global ? 0 : s->weak ? 1 : 2;
}

/* Which of two symbols names code better; the addresses do not matter. */
static int better_cmp(const struct pgo_symbol *a, const struct pgo_symbol *b)
{
	if (a->function != b->function)
		return a->function ? -1 : 1;
	if ((a->size != 0) != (b->size != 0))
		return a->size != 0 ? -1 : 1;
	if (binding(a) != binding(b))
		return binding(a) < binding(b) ? -1 : 1;
	if (a->size != b->size)
		return a->size > b->size ? -1 : 1;
	if ((strchr(a->name, '.') != NULL) != (strchr(b->name, '.') != NULL))
		return strchr(a->name, '.') == NULL ? -1 : 1;
	return name_cmp(a->name, b->name);
}

static int raw_cmp(const void *a, const void *b)
{
	const struct raw *x = a, *y = b;
	int c;

	if (x->s.addr != y->s.addr)
		return x->s.addr < y->s.addr ? -1 : 1;
	c = better_cmp(&x->s, &y->s);
	if (c != 0)
		return c;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* ---------------------------------------------------------------- ranks of locals */

struct name_count {
	const char *name;
	uint32_t n;
};

struct name_counts {
	struct name_count *v;
	size_t n, room;
	struct pgo_map map;
};

static bool name_eq(const void *ctx, uint32_t index, const void *key)
{
	const struct name_counts *c = ctx;

	return strcmp(c->v[index].name, key) == 0;
}

static uint32_t count_name(struct name_counts *c, const char *name)
{
	uint64_t hash = pgo_hash(name, strlen(name));
	uint32_t i = pgo_map_find(&c->map, hash, name_eq, c, name);
	struct name_count *to;

	if (i != PGO_MAP_NONE)
		return ++c->v[i].n;
	to = PGO_VEC_PUSH(c->v, c->n, c->room);
	if (to == NULL || pgo_map_add(&c->map, hash, (uint32_t)(c->n - 1)) < 0)
		return 0;
	to->name = name;
	return to->n = 1;
}

/* Numbers locals of one name by address; data of that name count as well, as for BOLT. */
static int rank_locals(struct raws *r, struct pgo_err *err)
{
	struct name_counts c = {0};
	int rc = 0;

	pgo_map_init(&c.map);
	for (size_t i = 0; i < r->n && rc == 0; i++) {
		if (r->v[i].s.local_rank == 0)
			continue;
		r->v[i].s.local_rank = count_name(&c, r->v[i].s.name);
		if (r->v[i].s.local_rank == 0)
			rc = pgo_err_nomem(err);
	}
	pgo_map_fini(&c.map);
	pgo_free(c.v);
	return rc;
}

/* ---------------------------------------------------------------- who covers what */

struct sweep {
	const struct pgo_elf *e;
	uint64_t *end;  /* per symbol */
	uint32_t *heap; /* symbols that began and may have ended, the preferred one on top */
	size_t n_heap;
	struct pgo_elf_interval *out;
	size_t n_out;
};

static bool preferred(const struct sweep *w, uint32_t a, uint32_t b)
{
	int c = better_cmp(&w->e->symbols[a], &w->e->symbols[b]);

	return c != 0 ? c < 0 : a < b;
}

static void heap_push(struct sweep *w, uint32_t s)
{
	size_t i = w->n_heap++;

	while (i > 0 && preferred(w, s, w->heap[(i - 1) / 2])) {
		w->heap[i] = w->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->heap[i] = s;
}

static void heap_pop(struct sweep *w)
{
	uint32_t last = w->heap[--w->n_heap];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < w->n_heap) {
		if (child + 1 < w->n_heap && preferred(w, w->heap[child + 1], w->heap[child]))
			child++;
		if (!preferred(w, w->heap[child], last))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	if (w->n_heap != 0)
		w->heap[i] = last;
}

static void emit(struct sweep *w, uint64_t start, uint32_t symbol)
{
	if (w->n_out != 0 && w->out[w->n_out - 1].start == start)
		w->n_out--; /* nothing lay between */
	if (w->n_out != 0 && w->out[w->n_out - 1].symbol == symbol)
		return;
	w->out[w->n_out++] = (struct pgo_elf_interval){start, symbol};
}

/* Answers from `at` up to `limit`, where the next symbol begins. */
static void settle(struct sweep *w, uint64_t at, uint64_t limit)
{
	for (;;) {
		while (w->n_heap != 0 && w->end[w->heap[0]] <= at)
			heap_pop(w);
		if (w->n_heap == 0) {
			emit(w, at, NO_SYMBOL);
			return;
		}
		emit(w, at, w->heap[0]);
		if (w->end[w->heap[0]] >= limit)
			return;
		at = w->end[w->heap[0]];
	}
}

static void sweep_symbols(struct sweep *w)
{
	const struct pgo_symbol *s = w->e->symbols;
	size_t n = w->e->n_symbols;

	for (size_t i = 0; i < n;) {
		uint64_t at = s[i].addr;

		for (; i < n && s[i].addr == at; i++)
			if (w->end[i] > at)
				heap_push(w, (uint32_t)i);
		settle(w, at, i < n ? s[i].addr : UINT64_MAX);
	}
}

/* Symbols without a size reach to the next one that begins later; none leaves its section. */
static void find_ends(struct sweep *w)
{
	const struct pgo_elf *e = w->e;
	uint64_t next = UINT64_MAX;

	for (size_t i = e->n_symbols; i-- > 0;) {
		const struct pgo_symbol *s = &e->symbols[i];
		const struct pgo_section *in = &e->sections[s->section];
		uint64_t section_end = in->addr + in->size;

		if (i + 1 < e->n_symbols && e->symbols[i + 1].addr != s->addr)
			next = e->symbols[i + 1].addr;
		w->end[i] = s->size != 0 ? s->addr + s->size : next;
		if (w->end[i] > section_end)
			w->end[i] = section_end;
	}
}

static int settle_all(struct pgo_elf *e, struct pgo_err *err)
{
	struct pgo_elf_impl *im = pgo_elf_impl_of(e);
	size_t n = e->n_symbols;
	struct sweep w = {.e = e};
	int rc = 0;

	w.end = pgo_calloc(n, sizeof *w.end);
	w.heap = pgo_calloc(n, sizeof *w.heap);
	/* Each symbol opens one interval at most, and ends one. */
	w.out = pgo_calloc(2 * n + 1, sizeof *w.out);
	if (w.end == NULL || w.heap == NULL || w.out == NULL) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	find_ends(&w);
	sweep_symbols(&w);
	im->intervals = w.out;
	im->n_intervals = w.n_out;
	w.out = NULL;
out:
	pgo_free(w.end);
	pgo_free(w.heap);
	pgo_free(w.out);
	return rc;
}

/* ---------------------------------------------------------------- face */

static int keep_code(struct pgo_elf *e, const struct raws *r, struct pgo_err *err)
{
	e->symbols = pgo_calloc(r->n, sizeof *e->symbols);
	if (e->symbols == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].code)
			e->symbols[e->n_symbols++] = r->v[i].s;
	return 0;
}

int pgo_elf_read_symbols(struct pgo_elf *e, struct pgo_err *err)
{
	struct raws r = {0};
	size_t section = pgo_elf_find_section(e, ".symtab", SHT_SYMTAB);
	int rc = 0;

	if (pgo_elf_n_elements(e, section, sizeof(Elf64_Sym)) < 2)
		section = pgo_elf_find_section(e, ".dynsym", SHT_DYNSYM);
	if (section < e->n_sections)
		rc = gather(e, section, &r, err);
	if (rc == 0) {
		if (r.n != 0)
			qsort(r.v, r.n, sizeof *r.v, raw_cmp);
		rc = rank_locals(&r, err);
	}
	if (rc == 0)
		rc = keep_code(e, &r, err);
	if (rc == 0)
		rc = settle_all(e, err);
	pgo_free(r.v);
	return rc;
}

const struct pgo_symbol *pgo_elf_symbol(const struct pgo_elf *e, uint64_t vaddr)
{
	const struct pgo_elf_impl *im = pgo_elf_impl_of(e);
	size_t lo = 0, hi = im->n_intervals;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (im->intervals[mid].start <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0 || im->intervals[lo - 1].symbol == NO_SYMBOL)
		return NULL;
	return &e->symbols[im->intervals[lo - 1].symbol];
}
