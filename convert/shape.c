/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/shape.h"

#include "convert/codefns.h"
#include "convert/rules_name.h"
#include "pgo/core/alloc.h"
#include "pgo/core/insn.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES ((size_t)1 << 24)

/* ---------------------------------------------------------------- names */

static bool is_base62(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Rust v0: a crate is "C", a disambiguator "s...._" and an identifier: the middle goes. */
static void put_without_disambiguators(const char *s, size_t len, struct pgo_buf *out)
{
	for (size_t i = 0; i < len; i++) {
		size_t k = i + 2;

		pgo_buf_putc(out, s[i]);
		if (s[i] != 'C' || i + 1 >= len || s[i + 1] != 's')
			continue;
		while (k < len && is_base62(s[k]))
			k++;
		if (k < len && s[k] == '_' && k + 1 < len && s[k + 1] >= '0' && s[k + 1] <= '9')
			i = k;
	}
}

/* "...17h0123456789abcdefE": the hash goes. */
static size_t cut_rust_hash(const char *s, size_t len)
{
	if (len < 21 || s[len - 1] != 'E' || memcmp(s + len - 20, "17h", 3) != 0)
		return len;
	for (size_t i = len - 17; i < len - 1; i++)
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return len;
	return len - 20;
}

void pgo_name_canonical(const char *s, size_t len, struct pgo_buf *out)
{
	len = pgo_name_cut_tails(s, len);
	if (len > 2 && s[0] == '_' && s[1] == 'R')
		put_without_disambiguators(s, len, out);
	else
		pgo_buf_add(out, s, cut_rust_hash(s, len));
}

uint32_t pgo_shape_canonical(struct pgo_shape *s, uint32_t name)
{
	const struct pgo_str *str = &s->strs->strs[name];
	size_t known = s->canonical_room;
	struct pgo_buf text;

	if (PGO_VEC_RESERVE(s->canonical, s->canonical_room, (size_t)name + 1) < 0)
		return PGO_STR_NONE;
	if (s->canonical_room > known)
		memset(s->canonical + known, 0, (s->canonical_room - known) * sizeof *s->canonical);
	if (s->canonical[name] != 0)
		return s->canonical[name];
	pgo_buf_init(&text, NAME_MAX_BYTES);
	pgo_name_canonical(str->s, str->len, &text);
	s->canonical[name] =
		text.failed ? PGO_STR_NONE : pgo_strtab_add(s->strs, text.data, text.len);
	pgo_buf_fini(&text);
	return s->canonical[name];
}

/* ---------------------------------------------------------------- facts */

/* One thing that is known of a line; repeated as often as there are copies of it. */
struct pgo_shape_fact {
	uint32_t name, offset;
	uint32_t what; /* LINE, a canonical name that is called, DISC + one, ZERO, or BRANCH */
};

#define LINE 0u
#define DISC 0x80000000u
#define BRANCH UINT32_MAX
#define ZERO (UINT32_MAX - 1)

static int add_fact(struct pgo_shape *s, uint32_t name, uint32_t line, uint32_t decl, uint32_t what)
{
	struct pgo_shape_fact fact = {name, (line - decl) & 0xffff, what};
	struct pgo_shape_fact *f;

	if (decl == 0 || (line == 0 && what != LINE))
		return 0;
	if (line == 0)
		fact.what = ZERO;
	/* Neighbouring instructions say the same. */
	for (size_t i = s->n_facts; i-- > 0 && i + 4 > s->n_facts;)
		if (memcmp(&s->facts[i], &fact, sizeof fact) == 0)
			return 0;
	f = PGO_VEC_PUSH(s->facts, s->n_facts, s->facts_room);
	if (f == NULL)
		return -1;
	*f = fact;
	return 0;
}

/* A name of the lines, in the shape's own table. */
static uint32_t carry(struct pgo_shape *s, uint32_t name)
{
	const struct pgo_str *str = &s->names->strs[name];

	if (s->carried[name] == 0)
		s->carried[name] = pgo_strtab_add(s->strs, str->s, str->len);
	return s->carried[name];
}

/* As convert/positions.h names functions. */
static uint32_t name_of_fn(
	struct pgo_shape *s, const struct pgo_elf *symbols, const struct pgo_lines_fn *fn)
{
	const struct pgo_symbol *sym = fn->linkage == 0 ? pgo_elf_symbol(symbols, fn->entry) : NULL;

	if (sym != NULL && sym->addr == fn->entry)
		return pgo_strtab_add(s->strs, sym->name, pgo_codefn_base_len(sym->name));
	return carry(s, fn->linkage != 0 ? fn->linkage : fn->name);
}

static uint32_t name_of(struct pgo_shape *s, const struct pgo_lines_node *d)
{
	return d->parent == UINT32_MAX ? s->fn_names[d->fn] : carry(s, d->name);
}

/* Every inlined body is a call in the function that holds it. */
static int add_chain(struct pgo_shape *s, const struct pgo_lines *l, uint32_t node, uint32_t line)
{
	uint32_t what = LINE;

	while (node != UINT32_MAX) {
		const struct pgo_lines_node *d = pgo_lines_node(l, node);
		uint32_t name = name_of(s, d);

		if (name == PGO_STR_NONE || add_fact(s, name, line, d->decl_line, LINE) < 0 ||
			(what != LINE && add_fact(s, name, line, d->decl_line, what) < 0))
			return -1;
		what = pgo_shape_canonical(s, name);
		if (what == PGO_STR_NONE)
			return -1;
		line = d->call_line;
		node = d->parent;
	}
	return 0;
}

/* The name of what begins there; 0: not known. */
static uint32_t callee_at(struct pgo_shape *s, const struct pgo_elf *symbols, uint64_t addr)
{
	const struct pgo_symbol *sym = pgo_elf_symbol(symbols, addr);
	uint32_t id;

	if (sym == NULL || sym->addr != addr || sym->name == NULL)
		return 0;
	id = pgo_strtab_add(s->strs, sym->name, strcspn(sym->name, "@"));
	return id != PGO_STR_NONE ? pgo_shape_canonical(s, id) : id;
}

static int add_insn(struct pgo_shape *s, const struct pgo_elf *symbols, const struct pgo_lines *l,
	const struct pgo_lines_hit *hit, const struct pgo_insn *in)
{
	const struct pgo_lines_node *d = pgo_lines_node(l, hit->node);
	uint32_t what = BRANCH;

	if (in->kind == PGO_INSN_CALL && in->target != 0)
		what = callee_at(s, symbols, in->target);
	else if (in->kind != PGO_INSN_COND)
		return 0;
	if (what == PGO_STR_NONE && in->kind == PGO_INSN_CALL)
		return -1;
	return what != LINE ? add_fact(s, name_of(s, d), hit->line, d->decl_line, what) : 0;
}

static int add_disc(struct pgo_shape *s, const struct pgo_lines *l, const struct pgo_lines_hit *hit)
{
	const struct pgo_lines_node *d = pgo_lines_node(l, hit->node);

	return hit->disc == 0 ? 0
			      : add_fact(s, name_of(s, d), hit->line, d->decl_line,
					DISC | (hit->disc & 0xffff));
}

static int add_range(struct pgo_shape *s, const struct pgo_elf *elf, const struct pgo_elf *symbols,
	const struct pgo_lines *l, uint64_t lo, uint64_t hi)
{
	struct pgo_lines_hit hit = {.end = 0};
	struct pgo_insn_decoder decoder;

	pgo_insn_decoder_init(&decoder, elf->machine);
	while (lo < hi) {
		size_t len = 0;
		const uint8_t *code = pgo_elf_code(elf, lo, &len);
		struct pgo_insn in;

		if (code == NULL || !pgo_insn_decode(&decoder, lo, code, len, &in))
			return 0;
		if (lo >= hit.end) {
			pgo_lines_find(l, lo, &hit);
			if (hit.node != UINT32_MAX && (add_chain(s, l, hit.node, hit.line) < 0 ||
							      add_disc(s, l, &hit) < 0))
				return -1;
		}
		if (hit.node != UINT32_MAX && add_insn(s, symbols, l, &hit, &in) < 0)
			return -1;
		lo += in.size;
	}
	return 0;
}

void pgo_shape_init(struct pgo_shape *s, struct pgo_strtab *strs)
{
	s->strs = strs;
	pgo_map_init(&s->by_name);
}

void pgo_shape_fini(struct pgo_shape *s)
{
	pgo_map_fini(&s->by_name);
	pgo_free(s->fns);
	pgo_free(s->lines);
	pgo_free(s->facts);
	pgo_free(s->carried);
	pgo_free(s->fn_names);
	pgo_free(s->canonical);
	*s = (struct pgo_shape){0};
}

int pgo_shape_add(struct pgo_shape *s, const struct pgo_elf *elf, const struct pgo_elf *symbols,
	const struct pgo_lines *l, const struct pgo_strtab *names)
{
	int rc = 0;

	s->names = names;
	s->carried = pgo_calloc(names->n_strs + 1, sizeof *s->carried);
	s->fn_names = pgo_calloc(pgo_lines_n_fns(l) + 1, sizeof *s->fn_names);
	if (s->carried == NULL || s->fn_names == NULL)
		return PGO_ENOMEM;
	for (size_t i = 0; i < pgo_lines_n_fns(l) && rc == 0; i++) {
		s->fn_names[i] = name_of_fn(s, symbols, pgo_lines_fn(l, (uint32_t)i));
		rc = s->fn_names[i] != PGO_STR_NONE ? 0 : PGO_ENOMEM;
	}
	for (size_t i = 0; i < pgo_lines_n_fns(l) && rc == 0; i++) {
		const struct pgo_lines_fn *fn = pgo_lines_fn(l, (uint32_t)i);

		for (uint32_t k = 0; k < fn->n_ranges && rc == 0; k++) {
			uint64_t lo, hi;

			pgo_lines_range(l, fn, k, &lo, &hi);
			rc = add_range(s, elf, symbols, l, lo, hi) < 0 ? PGO_ENOMEM : 0;
		}
	}
	pgo_free(s->carried);
	pgo_free(s->fn_names);
	s->carried = s->fn_names = NULL;
	return rc;
}

/* ---------------------------------------------------------------- lines */

static int compare_facts(const void *pa, const void *pb)
{
	const struct pgo_shape_fact *a = pa, *b = pb;

	if (a->name != b->name)
		return a->name < b->name ? -1 : 1;
	if (a->offset != b->offset)
		return a->offset < b->offset ? -1 : 1;
	return a->what < b->what ? -1 : a->what > b->what;
}

/* Facts i.. of one line; gives the first of the next. */
static size_t put_line(struct pgo_shape *s, size_t i, struct pgo_shape_line *line)
{
	const struct pgo_shape_fact *first = &s->facts[i];
	uint64_t hash = PGO_SHAPE_PLAIN;
	uint32_t last = LINE;

	*line = (struct pgo_shape_line){first->offset, PGO_SHAPE_PLAIN, 1};
	for (; i < s->n_facts && s->facts[i].name == first->name &&
		s->facts[i].offset == first->offset;
		i++) {
		uint32_t what = s->facts[i].what;

		/* Branches and discriminators are up to the compiler too; calls say more. */
		if (what == last || (what >= DISC && line->weight == 8))
			continue;
		last = what;
		hash = pgo_hash_u64(hash * 31 + what);
		line->weight = what < DISC ? 8 : what == BRANCH ? 3 : 2;
	}
	if (last == ZERO && line->weight == 2)
		line->token = PGO_SHAPE_ZERO;
	else if (line->weight > 1)
		line->token = (uint32_t)hash | 2;
	return i;
}

static int add_fn(struct pgo_shape *s, uint32_t name, size_t first)
{
	struct pgo_shape_fn *f = &s->fns[s->n_fns];

	*f = (struct pgo_shape_fn){name, pgo_shape_canonical(s, name), (uint32_t)first,
		(uint32_t)(s->n_lines - first)};
	if (f->canonical == PGO_STR_NONE ||
		pgo_map_add_key(&s->by_name, &name, sizeof name, (uint32_t)s->n_fns) < 0)
		return PGO_ENOMEM;
	s->n_fns++;
	return 0;
}

int pgo_shape_finish(struct pgo_shape *s)
{
	size_t n = 0, first = 0;

	if (s->n_facts == 0)
		return 0;
	qsort(s->facts, s->n_facts, sizeof *s->facts, compare_facts);
	for (size_t i = 0; i < s->n_facts; i++)
		n += i == 0 || s->facts[i - 1].name != s->facts[i].name;
	s->fns = pgo_calloc(n, sizeof *s->fns);
	s->lines = pgo_calloc(s->n_facts, sizeof *s->lines);
	if (s->fns == NULL || s->lines == NULL || s->n_facts > UINT32_MAX)
		return PGO_ENOMEM;
	for (size_t i = 0; i < s->n_facts;) {
		uint32_t name = s->facts[i].name;

		i = put_line(s, i, &s->lines[s->n_lines++]);
		if (i < s->n_facts && s->facts[i].name == name)
			continue;
		if (add_fn(s, name, first) < 0)
			return PGO_ENOMEM;
		first = s->n_lines;
	}
	pgo_free(s->facts);
	s->facts = NULL;
	s->n_facts = s->facts_room = 0;
	return 0;
}

const struct pgo_shape_fn *pgo_shape_find(const struct pgo_shape *s, uint32_t name)
{
	uint32_t i = pgo_map_find_key(&s->by_name, s->fns, sizeof *s->fns, &name, sizeof name);

	return i != PGO_MAP_NONE ? &s->fns[i] : NULL;
}
