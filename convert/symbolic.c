/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/symbolic.h"

#include "convert/cfg.h"
#include "convert/codefns.h"
#include "convert/lines.h"
#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define MAX_NAMES ((size_t)1 << 30)

void pgo_symbolic_fini(struct pgo_symbolic *s)
{
	if (s->ready)
		pgo_strtab_fini(&s->strs);
	pgo_free(s->rows);
	pgo_map_fini(&s->map);
	*s = (struct pgo_symbolic){0};
}

/* ------------------------------------------------------------------ in */

static const char *name_of(const struct pgo_profile *p, const struct pgo_line *l)
{
	const struct pgo_function *f = &p->functions[l->function];

	return pgo_profile_str(p, f->system_name != 0 ? f->system_name : f->name);
}

static uint32_t small(int64_t line)
{
	return line > 0 && line < UINT32_MAX ? (uint32_t)line : 0;
}

int pgo_symbolic_add(
	struct pgo_symbolic *s, const struct pgo_profile *p, uint32_t location, uint64_t samples)
{
	const struct pgo_location *l = &p->locations[location];
	const struct pgo_line *inner = &p->lines[l->first_line];
	const struct pgo_line *outer = &p->lines[l->first_line + l->n_lines - 1];
	struct pgo_symbolic_row row = {0}, *to;
	uint32_t i;

	if (!s->ready) {
		if (pgo_strtab_init(&s->strs, MAX_NAMES) < 0)
			return -1;
		pgo_map_init(&s->map);
		s->ready = true;
	}
	row.key.outer = pgo_strtab_puts(&s->strs, name_of(p, outer));
	row.key.inner = pgo_strtab_puts(&s->strs, name_of(p, inner));
	row.key.line = small(inner->line);
	row.key.start = small(p->functions[inner->function].start_line);
	if (row.key.outer == PGO_STR_NONE || row.key.inner == PGO_STR_NONE)
		return -1;
	i = pgo_map_find_key(&s->map, s->rows, sizeof *s->rows, &row.key, sizeof row.key);
	if (i == PGO_MAP_NONE) {
		to = PGO_VEC_PUSH(s->rows, s->n_rows, s->rows_room);
		if (to == NULL)
			return -1;
		*to = row;
		i = (uint32_t)(s->n_rows - 1);
		if (pgo_map_add_key(&s->map, &to->key, sizeof to->key, i) < 0)
			return -1;
	}
	s->rows[i].samples = pgo_add_sat(s->rows[i].samples, samples);
	return 0;
}

/* ------------------------------------------------------------------ names */

/* One <length><identifier>, and constructors and destructors, of which the class came before. */
static const char *component(
	const char *p, struct pgo_buf *out, const char **last, size_t *last_len)
{
	char *end;
	unsigned long n;

	if ((*p == 'C' || *p == 'D') && p[1] >= '0' && p[1] <= '5' && *last != NULL) {
		pgo_buf_puts(out, *p == 'D' ? "::~" : "::");
		pgo_buf_add(out, *last, *last_len);
		return p + 2;
	}
	if (*p < '1' || *p > '9')
		return NULL;
	n = strtoul(p, &end, 10);
	if (n > strlen(end))
		return NULL;
	if (out->len != 0)
		pgo_buf_puts(out, "::");
	if (n >= 11 && strncmp(end, "_GLOBAL__N_", 11) == 0)
		pgo_buf_puts(out, "(anonymous namespace)");
	else
		pgo_buf_add(out, end, n);
	*last = end;
	*last_len = n;
	return end + n;
}

char *pgo_symbolic_plain_name(const char *mangled)
{
	const char *p = mangled, *last = NULL;
	struct pgo_buf out;
	size_t last_len = 0;
	char *ret = NULL;
	bool nested;

	if (strncmp(p, "_Z", 2) != 0)
		return NULL;
	p += 2;
	nested = *p == 'N';
	p += nested;
	while (nested && (*p == 'K' || *p == 'V' || *p == 'R' || *p == 'O'))
		p++;
	pgo_buf_init(&out, 4096);
	do
		p = component(p, &out, &last, &last_len);
	while (p != NULL && nested && *p != 'E');
	if (p != NULL && *p != 'I' && !out.failed)
		ret = pgo_strndup((const char *)out.data, out.len);
	pgo_buf_fini(&out);
	return ret;
}

/* What people write, without the parameters. */
static size_t written_len(const char *name)
{
	const char *p = name;

	if (strncmp(p, "(anonymous namespace)", 21) == 0)
		p += 21;
	while ((p = strchr(p, '(')) != NULL && strncmp(p, "(anonymous namespace)", 21) == 0)
		p += 21;
	return p != NULL ? (size_t)(p - name) : strlen(name);
}

/* ------------------------------------------------------------------ functions */

struct target { /* a name of the profile, by its string's id */
	const struct pgo_symbol *symbol;
	uint64_t samples, end;
	bool wanted, several;
	uint32_t first, n; /* places */
};

struct place { /* an instruction of a wanted function */
	uint32_t name, line, offset;
	bool inlined;
	uint64_t addr;
};

struct placer {
	const struct pgo_symbolic *s;
	const struct pgo_elf *elf, *symbols;
	struct target *targets; /* by string id */
	size_t n_targets;
	struct pgo_strtab names; /* of the debug information */
	struct pgo_lines *lines;
	struct place *places;
	size_t n_places, places_room;
};

static void take(struct placer *q, uint32_t id, const struct pgo_symbol *sym)
{
	struct target *t;

	if (id >= q->n_targets || !q->targets[id].wanted)
		return;
	t = &q->targets[id];
	if (t->symbol != NULL && t->symbol->addr != sym->addr)
		t->several = true;
	else
		t->symbol = sym;
}

static void find_exact(struct placer *q)
{
	for (size_t i = 0; i < q->symbols->n_symbols; i++) {
		const struct pgo_symbol *sym = &q->symbols->symbols[i];

		if (sym->function)
			take(q, pgo_strtab_find(&q->s->strs, sym->name, strlen(sym->name)), sym);
	}
	for (size_t id = 0; id < q->n_targets; id++)
		q->targets[id].wanted = q->targets[id].wanted && q->targets[id].symbol == NULL;
}

/* The names that are left, as people write them: ids of `written`, and back to the targets'.  Overloads
 * are one name, and hence nobody's. */
static uint32_t *written_names(struct placer *q, struct pgo_strtab *written)
{
	uint32_t *of = pgo_calloc(q->n_targets + 2, sizeof *of);

	for (uint32_t id = 1; of != NULL && id < q->n_targets; id++) {
		const char *name = pgo_strtab_get(&q->s->strs, id);
		uint32_t w;

		if (!q->targets[id].wanted)
			continue;
		w = pgo_strtab_add(written, name, written_len(name));
		if (w == PGO_STR_NONE) {
			pgo_free(of);
			return NULL;
		}
		if (of[w] != 0)
			q->targets[of[w]].several = q->targets[id].several = true;
		of[w] = id;
	}
	return of;
}

static int find_written(struct placer *q)
{
	struct pgo_strtab written;
	uint32_t *of;

	if (pgo_strtab_init(&written, MAX_NAMES) < 0)
		return -1;
	of = written_names(q, &written);
	for (size_t i = 0; of != NULL && i < q->symbols->n_symbols; i++) {
		const struct pgo_symbol *sym = &q->symbols->symbols[i];
		char *plain = sym->function ? pgo_symbolic_plain_name(sym->name) : NULL;
		size_t base = pgo_codefn_base_len(sym->name);
		uint32_t w = PGO_STR_NONE;

		if (plain != NULL)
			w = pgo_strtab_find(&written, plain, strlen(plain));
		else if (sym->function && sym->name[base] != '\0' &&
			 !pgo_codefn_is_part(sym->name)) /* a clone */
			w = pgo_strtab_find(&written, sym->name, base);
		if (w != PGO_STR_NONE && w != 0)
			take(q, of[w], sym);
		pgo_free(plain);
	}
	pgo_strtab_fini(&written);
	pgo_free(of);
	return of != NULL ? 0 : -1;
}

static bool usable(const struct target *t)
{
	return t->symbol != NULL && !t->several;
}

static int open_lines(struct placer *q, const struct pgo_debug_places *where, struct pgo_err *err)
{
	uint64_t *wanted = pgo_calloc(q->n_targets + 1, sizeof *wanted);
	size_t n = 0;

	if (wanted == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < q->n_targets; i++) {
		if (usable(&q->targets[i]))
			wanted[n++] = q->targets[i].symbol->addr;
	}
	if (n != 0) {
		qsort(wanted, n, sizeof *wanted, pgo_compare_u64);
		q->lines = pgo_lines_open(q->elf, where, wanted, n, &q->names, err);
	}
	pgo_free(wanted);
	return n == 0 || q->lines != NULL ? 0 : err != NULL ? (int)err->code : PGO_ENOTFOUND;
}

static int list_places(struct placer *q, struct target *t, struct pgo_cfg *c, struct pgo_err *err)
{
	struct pgo_frame chain[PGO_MAX_FRAMES];
	uint64_t end;
	int rc;

	t->first = (uint32_t)q->n_places;
	rc = pgo_cfg_decode(
		c, q->elf, t->symbol->addr, t->symbol->addr + t->symbol->size, NULL, 0, err);
	for (size_t i = 0; rc == 0 && i < c->n_insns; i++) {
		struct place *p;

		size_t depth = pgo_lines_at(q->lines, c->insns[i].addr, chain, &end);

		if (depth == 0 || chain[0].line == 0)
			continue;
		p = PGO_VEC_PUSH(q->places, q->n_places, q->places_room);
		if (p == NULL)
			return pgo_err_nomem(err);
		*p = (struct place){chain[0].function, chain[0].line, chain[0].line_offset,
			depth > 1, c->insns[i].addr};
	}
	t->n = (uint32_t)q->n_places - t->first;
	return rc;
}

/* ------------------------------------------------------------------ lines */

/* Is the code at `p` of the profile's function?  It may be called by any of its names. */
static bool same_function(
	const struct placer *q, const struct pgo_symbolic_row *row, const struct place *p)
{
	const char *want = pgo_strtab_get(&q->s->strs, row->key.inner);
	const char *have = pgo_strtab_get(&q->names, p->name);
	size_t len = written_len(want);
	char *plain;
	bool same;

	if (!p->inlined)
		return row->key.inner == row->key.outer;
	if (strcmp(want, have) == 0)
		return true;
	plain = pgo_symbolic_plain_name(have);
	same = plain != NULL ? strlen(plain) == len && strncmp(plain, want, len) == 0
			     : strlen(have) == len && strncmp(have, want, len) == 0;
	pgo_free(plain);
	return same;
}

static bool matches(
	const struct placer *q, const struct pgo_symbolic_row *row, const struct place *p)
{
	bool line = row->key.start != 0 ? p->offset == ((row->key.line - row->key.start) & 0xffff)
					: p->line == row->key.line;

	return line && row->key.line != 0 && same_function(q, row, p);
}

/* Shares the row's samples out; *ret_n: among how many instructions. */
static int share_out(const struct placer *q, const struct pgo_symbolic_row *row,
	struct pgo_ranges *r, size_t *ret_n)
{
	const struct target *t = &q->targets[row->key.outer];
	uint64_t done = 0;
	size_t n = 0, k = 0;

	for (uint32_t i = t->first; i < t->first + t->n; i++)
		n += matches(q, row, &q->places[i]);
	*ret_n = n;
	for (uint32_t i = t->first; n != 0 && i < t->first + t->n; i++) {
		uint64_t upto;

		if (!matches(q, row, &q->places[i]))
			continue;
		/* The remainder is spread, not given to the first. */
		k++;
		upto = (uint64_t)((unsigned __int128)row->samples * (2 * k - (k != n)) / (2 * n));
		if (upto > done && pgo_ranges_add_ip(r, q->places[i].addr, upto - done) < 0)
			return -1;
		done = upto;
	}
	return 0;
}

/* ------------------------------------------------------------------ all */

static void note_missing(struct placer *q, struct pgo_symbolic_report *ret)
{
	for (uint32_t id = 0; id < q->n_targets; id++) {
		const struct target *t = &q->targets[id];
		size_t at = ret->n_missing;

		if (t->samples == 0)
			continue;
		ret->names++;
		ret->names_found += usable(t);
		if (usable(t))
			continue;
		while (at > 0 && ret->missing[at - 1].samples < t->samples)
			at--;
		if (at == PGO_SYMBOLIC_TOP)
			continue;
		if (ret->n_missing < PGO_SYMBOLIC_TOP)
			ret->n_missing++;
		memmove(&ret->missing[at + 1], &ret->missing[at],
			(ret->n_missing - at - 1) * sizeof ret->missing[0]);
		ret->missing[at].name = pgo_strtab_get(&q->s->strs, id);
		ret->missing[at].samples = t->samples;
	}
}

static int place_rows(struct placer *q, struct pgo_ranges *r, struct pgo_symbolic_report *ret)
{
	for (size_t i = 0; i < q->s->n_rows; i++) {
		const struct pgo_symbolic_row *row = &q->s->rows[i];
		uint64_t *to = &ret->placed;
		size_t n;

		ret->read = pgo_add_sat(ret->read, row->samples);
		if (!usable(&q->targets[row->key.outer])) {
			to = &ret->no_function;
		} else {
			if (share_out(q, row, r, &n) < 0)
				return -1;
			if (n == 0)
				to = &ret->no_line;
		}
		*to = pgo_add_sat(*to, row->samples);
	}
	return 0;
}

int pgo_symbolic_place(const struct pgo_symbolic *s, const struct pgo_elf *elf,
	const struct pgo_elf *symbols, const struct pgo_debug_places *where, struct pgo_ranges *r,
	struct pgo_symbolic_report *ret, struct pgo_err *err)
{
	struct placer q = {.s = s, .elf = elf, .symbols = symbols};
	struct pgo_cfg cfg = {0};
	int rc = 0;

	*ret = (struct pgo_symbolic_report){0};
	if (!s->ready)
		return 0;
	q.n_targets = s->strs.n_strs;
	q.targets = pgo_calloc(q.n_targets + 1, sizeof *q.targets);
	if (q.targets == NULL || pgo_strtab_init(&q.names, MAX_NAMES) < 0) {
		pgo_free(q.targets);
		return pgo_err_nomem(err);
	}
	for (size_t i = 0; i < s->n_rows; i++) {
		struct target *t = &q.targets[s->rows[i].key.outer];

		t->wanted = true;
		t->samples = pgo_add_sat(t->samples, s->rows[i].samples);
	}
	find_exact(&q);
	if (find_written(&q) < 0)
		rc = pgo_err_nomem(err);
	if (rc == 0)
		rc = open_lines(&q, where, err);
	for (size_t i = 0; i < q.n_targets && rc == 0; i++) {
		if (usable(&q.targets[i]))
			rc = list_places(&q, &q.targets[i], &cfg, err);
	}
	if (rc == 0 && place_rows(&q, r, ret) < 0)
		rc = pgo_err_nomem(err);
	note_missing(&q, ret);
	pgo_cfg_fini(&cfg);
	pgo_lines_close(q.lines);
	pgo_strtab_fini(&q.names);
	pgo_free(q.targets);
	pgo_free(q.places);
	return rc;
}
