/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/bisect_mix.h"

#include "convert/fmt_gcc.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define MAX_FILE ((size_t)4 << 30)
#define NOTHING "pgo_bisect_nothing"

/* ---- what differs */

/* The records of one function, as bytes that are equal if and only if they are. */
static void put_fn(const struct pgo_fnprof *p, const struct pgo_fn *f, struct pgo_buf *out)
{
	pgo_buf_puts(out, pgo_fnprof_str(p, f->name));
	pgo_buf_putc(out, '\0');
	pgo_buf_puts(out, pgo_fnprof_str(p, f->file));
	pgo_buf_putc(out, '\0');
	pgo_buf_u64le(out, f->head);
	pgo_buf_u64le(out, f->n_pos);
	for (uint32_t i = 0; i < f->n_pos; i++) {
		const struct pgo_fn_pos *x = &f->pos[i];

		pgo_buf_u64le(out, (uint64_t)x->line << 32 | x->disc);
		pgo_buf_u64le(out, x->count);
		pgo_buf_u64le(out, x->n_targets);
		for (uint32_t k = 0; k < x->n_targets; k++) {
			pgo_buf_puts(out, pgo_fnprof_str(p, x->targets[k].name));
			pgo_buf_putc(out, '\0');
			pgo_buf_u64le(out, x->targets[k].count);
		}
	}
	pgo_buf_u64le(out, f->n_calls);
	for (uint32_t i = 0; i < f->n_calls; i++) {
		pgo_buf_u64le(out, (uint64_t)f->calls[i].line << 32 | f->calls[i].disc);
		put_fn(p, f->calls[i].callee, out);
	}
}

struct facet { /* what one of the profiles says of a function: all of it as one hash */
	uint32_t name;
	uint64_t hash, mass;
};

struct facets {
	struct facet *of;
	size_t n, room;
};

static int add_facet(struct facets *f, uint32_t name, uint64_t hash, uint64_t mass)
{
	struct facet *x = name != PGO_STR_NONE ? PGO_VEC_PUSH(f->of, f->n, f->room) : NULL;

	if (x == NULL)
		return -1;
	*x = (struct facet){name, hash, mass};
	return 0;
}

static int by_name(const void *pa, const void *pb)
{
	const struct facet *a = pa, *b = pb;

	return (a->name > b->name) - (a->name < b->name);
}

static int list_fnprof(struct facets *f, struct pgo_strtab *strs, const struct pgo_fnprof *p)
{
	struct pgo_buf text;
	int rc = 0;

	pgo_buf_init(&text, MAX_FILE);
	for (size_t i = 0; i < p->n_fns && rc == 0; i++) {
		const struct pgo_fn *fn = p->fns[i];

		pgo_buf_clear(&text);
		put_fn(p, fn, &text);
		rc = text.failed ? -1
				 : add_facet(f, pgo_strtab_take(strs, &p->strs.strs[fn->name]),
					   pgo_hash(text.data, text.len), pgo_fn_position_sum(fn));
	}
	pgo_buf_fini(&text);
	return rc;
}

static const struct pgo_fdata_loc *owner(const struct pgo_fdata_edge *e)
{
	return e->from.known != 0 ? &e->from : &e->to;
}

static int list_fdata(struct facets *f, struct pgo_strtab *strs, const struct pgo_fdata *p)
{
	for (size_t i = 0; i < p->n_edges; i++) {
		const struct pgo_fdata_edge *e = &p->edges[i];
		const struct pgo_str *to = &p->strs.strs[e->to.name];
		uint64_t hash = pgo_hash(to->s, to->len);

		hash = pgo_hash_u64(hash ^ pgo_hash_u64(e->from.offset) ^ e->to.offset * 3);
		hash = pgo_hash_u64(hash ^ e->count) + pgo_hash_u64(e->mispreds + 1);
		if (add_facet(f, pgo_strtab_take(strs, &p->strs.strs[owner(e)->name]), hash,
			    e->count) < 0)
			return -1;
	}
	return 0;
}

static int list_facets(struct facets *f, struct pgo_strtab *strs, const struct pgo_fit_loaded *l)
{
	size_t n = 0;
	int rc = l->fnprof != NULL  ? list_fnprof(f, strs, l->fnprof)
		 : l->fdata != NULL ? list_fdata(f, strs, l->fdata)
				    : 0;

	if (rc < 0 || f->n == 0)
		return rc;
	qsort(f->of, f->n, sizeof *f->of, by_name);
	for (size_t i = 0; i < f->n; i++) {
		if (n == 0 || f->of[n - 1].name != f->of[i].name) {
			f->of[n++] = f->of[i];
			continue;
		}
		f->of[n - 1].hash += f->of[i].hash;
		f->of[n - 1].mass = pgo_sat_add(f->of[n - 1].mass, f->of[i].mass);
	}
	f->n = n;
	return 0;
}

static int compare_items(const void *pa, const void *pb, void *strs)
{
	const struct pgo_mix_item *a = pa, *b = pb;

	if (a->mass != b->mass)
		return a->mass > b->mass ? -1 : 1;
	return strcmp(pgo_strtab_get(strs, a->name), pgo_strtab_get(strs, b->name));
}

static int add_item(struct pgo_mix *m, uint32_t name, uint64_t mass)
{
	struct pgo_mix_item *x = PGO_VEC_PUSH(m->items, m->n, m->room);

	if (x == NULL)
		return -1;
	*x = (struct pgo_mix_item){name, mass};
	return 0;
}

static int compare(struct pgo_mix *m, const struct facets *a, const struct facets *b)
{
	for (size_t i = 0, k = 0; i < a->n || k < b->n;) {
		bool in_a = i < a->n && (k == b->n || a->of[i].name <= b->of[k].name);
		bool in_b = k < b->n && (i == a->n || b->of[k].name <= a->of[i].name);
		uint64_t mass = in_b ? b->of[k].mass : a->of[i].mass;
		int rc = 0;

		m->total = pgo_sat_add(m->total, in_b ? mass : 0);
		if (in_a && in_b && a->of[i].hash == b->of[k].hash)
			m->same++;
		else
			rc = add_item(m, in_b ? b->of[k].name : a->of[i].name, mass);
		if (rc < 0)
			return rc;
		i += in_a;
		k += in_b;
	}
	if (m->n != 0)
		qsort_r(m->items, m->n, sizeof *m->items, compare_items, &m->strs);
	return 0;
}

static int find_items(struct pgo_mix *m, const char *good, const char *bad, struct pgo_err *err)
{
	struct facets a = {0}, b = {0};
	int rc = list_facets(&a, &m->strs, &m->good);

	if (rc == 0)
		rc = list_facets(&b, &m->strs, &m->bad);
	if (rc == 0)
		rc = compare(m, &a, &b);
	pgo_free(a.of);
	pgo_free(b.of);
	if (rc < 0)
		return pgo_err_nomem(err);
	if (m->n == 0)
		return pgo_err_set(
			err, PGO_EEMPTY, "%s and %s say the same of every function", good, bad);
	return 0;
}

/* ---- opening */

static int load(struct pgo_mix *m, const char *path, struct pgo_fit_loaded *l, unsigned *afdo,
	struct pgo_err *err)
{
	struct pgo_buf data;
	int rc = pgo_file_read(path, MAX_FILE, &data, err);

	if (rc == 0)
		rc = pgo_fit_load_bytes(path, data.data, data.len, &m->strs, l, err);
	if (rc == 0 && l->kind == PGO_OUTPUT_GCC && data.len >= 8) {
		uint32_t version;

		memcpy(&version, data.data + 4, 4);
		*afdo = version == PGO_AFDO_VERSION_704 ? 1 : version;
	}
	pgo_buf_fini(&data);
	return rc;
}

static int open_both(struct pgo_mix *m, const char *good, const char *bad, struct pgo_err *err)
{
	unsigned of_good = 0;
	int rc = load(m, bad, &m->bad, &m->afdo, err);

	if (rc == 0 && good != NULL)
		rc = load(m, good, &m->good, &of_good, err);
	if (rc < 0)
		return rc;
	if (good != NULL &&
		(m->good.kind != m->bad.kind || of_good != m->afdo ||
			(m->bad.fnprof != NULL &&
				(m->good.fnprof->md5_names != m->bad.fnprof->md5_names ||
					m->good.fnprof->context_sensitive !=
						m->bad.fnprof->context_sensitive)) ||
			(m->bad.fdata != NULL && m->good.fdata->no_lbr != m->bad.fdata->no_lbr)))
		return pgo_err_set(err, PGO_EMISMATCH,
			"%s and %s are profiles of two kinds and cannot be mixed; convert both for "
			"one "
			"consumer",
			good, bad);
	return find_items(m, good != NULL ? good : "nothing", bad, err);
}

int pgo_mix_open(struct pgo_mix *m, const char *good, const char *bad, struct pgo_err *err)
{
	int rc;

	memset(m, 0, sizeof *m);
	if (pgo_strtab_init(&m->strs, (size_t)8 << 30) < 0)
		return pgo_err_nomem(err);
	rc = open_both(m, good, bad, err);
	if (rc < 0)
		pgo_mix_fini(m);
	return rc;
}

void pgo_mix_fini(struct pgo_mix *m)
{
	pgo_fit_loaded_fini(&m->good);
	pgo_fit_loaded_fini(&m->bad);
	pgo_free(m->items);
	pgo_strtab_fini(&m->strs);
	memset(m, 0, sizeof *m);
}

const char *pgo_mix_name(const struct pgo_mix *m, uint32_t item)
{
	return pgo_strtab_get(&m->strs, m->items[item].name);
}

/* ---- mixing */

/* Which strings are items of the set: one byte each. */
static uint8_t *mark(const struct pgo_mix *m, const uint32_t *items, size_t n)
{
	uint8_t *chosen = pgo_calloc(m->strs.n_strs + 1, 1);

	for (size_t i = 0; i < n && chosen != NULL; i++)
		chosen[m->items[items[i]].name] = 1;
	return chosen;
}

static bool is_chosen(const struct pgo_mix *m, const uint8_t *chosen, const struct pgo_str *name)
{
	uint32_t id = pgo_strtab_find(&m->strs, name->s, name->len);

	return id != PGO_STR_NONE && chosen[id] != 0;
}

static int take_fns(const struct pgo_mix *m, struct pgo_fnprof *into, const struct pgo_fnprof *from,
	const uint8_t *chosen, bool want)
{
	for (size_t i = 0; i < from->n_fns; i++) {
		const struct pgo_fn *f = from->fns[i];
		const struct pgo_str *file = &from->strs.strs[f->file];
		uint32_t name;
		struct pgo_fn *x;

		if (is_chosen(m, chosen, &from->strs.strs[f->name]) != want)
			continue;
		name = pgo_strtab_take(&into->strs, &from->strs.strs[f->name]);
		x = name == PGO_STR_NONE
			    ? NULL
			    : pgo_fnprof_fn_of_file(into, name, pgo_strtab_take(&into->strs, file));
		if (x == NULL || pgo_fn_merge(into, x, from, f, 1) < 0)
			return -1;
	}
	return 0;
}

/* Functions known to exist and never sampled: the same whatever is mixed. */
static int take_cold(struct pgo_fnprof *into, const struct pgo_fnprof *from)
{
	for (size_t i = 0; i < from->n_cold; i++) {
		uint32_t name = pgo_strtab_take(&into->strs, &from->strs.strs[from->cold[i]]);

		if (name == PGO_STR_NONE || pgo_fnprof_add_cold(into, name) < 0)
			return -1;
	}
	return 0;
}

static int put_nothing(struct pgo_fnprof *p)
{
	uint32_t name = pgo_strtab_puts(&p->strs, NOTHING);
	struct pgo_fn *f = name != PGO_STR_NONE ? pgo_fnprof_fn(p, name) : NULL;

	if (f == NULL)
		return -1;
	f->head = f->total = 1;
	return pgo_fn_pos_add(p, f, 1, 0, 1);
}

static int write_fnprof(
	struct pgo_mix *m, const uint8_t *chosen, struct pgo_buf *out, struct pgo_err *err)
{
	static const unsigned releases[] = {0, 11, 15, 16}; /* by version of .afdo */
	const struct pgo_format_options fo = {.gcc_release = releases[m->afdo & 3]};
	struct pgo_fnprof *p = pgo_fnprof_new(err), *bad = m->bad.fnprof;
	int rc;

	if (p == NULL)
		return PGO_ENOMEM;
	p->fs_discriminators = bad->fs_discriminators;
	p->context_sensitive = bad->context_sensitive;
	p->unique_suffixes = bad->unique_suffixes;
	p->md5_names = bad->md5_names;
	p->partial = bad->partial;
	p->preinlined = bad->preinlined;
	rc = take_cold(p, bad);
	if (rc == 0)
		rc = take_fns(m, p, bad, chosen, true);
	if (rc == 0 && m->good.fnprof != NULL)
		rc = take_fns(m, p, m->good.fnprof, chosen, false);
	/* What is equal in both is no item; without a good one there is none such. */
	if (rc == 0 && p->n_fns == 0)
		rc = put_nothing(p);
	if (rc < 0) {
		rc = pgo_err_nomem(err);
	} else {
		pgo_fnprof_sort(p);
		rc = m->bad.format->write(p, &fo, out, err);
	}
	pgo_fnprof_free(p);
	return rc;
}

static int take_edges(const struct pgo_mix *m, struct pgo_fdata *into, const struct pgo_fdata *from,
	const uint8_t *chosen, bool want)
{
	for (size_t i = 0; i < from->n_edges; i++) {
		struct pgo_fdata_edge e = from->edges[i];

		if (is_chosen(m, chosen, &from->strs.strs[owner(&e)->name]) != want)
			continue;
		e.from.name = pgo_strtab_take(&into->strs, &from->strs.strs[e.from.name]);
		e.to.name = pgo_strtab_take(&into->strs, &from->strs.strs[e.to.name]);
		if (e.from.name == PGO_STR_NONE || e.to.name == PGO_STR_NONE ||
			pgo_fdata_add(into, e.from, e.to, e.mispreds, e.count) < 0)
			return -1;
	}
	return 0;
}

static int write_fdata(
	struct pgo_mix *m, const uint8_t *chosen, struct pgo_buf *out, struct pgo_err *err)
{
	struct pgo_fdata *p = pgo_fdata_new(err), *bad = m->bad.fdata;
	struct pgo_fdata_loc nothing = {.known = 1};
	int rc;

	if (p == NULL)
		return PGO_ENOMEM;
	p->no_lbr = bad->no_lbr;
	p->bolted = bad->bolted;
	p->events = pgo_strtab_take(&p->strs, &bad->strs.strs[bad->events]);
	rc = p->events == PGO_STR_NONE ? -1 : take_edges(m, p, bad, chosen, true);
	if (rc == 0 && m->good.fdata != NULL)
		rc = take_edges(m, p, m->good.fdata, chosen, false);
	if (rc == 0 && p->n_edges == 0) {
		nothing.name = pgo_strtab_puts(&p->strs, NOTHING);
		rc = nothing.name == PGO_STR_NONE ? -1 : pgo_fdata_add(p, nothing, nothing, 0, 1);
	}
	rc = rc < 0 ? pgo_err_nomem(err) : pgo_fdata_sort(p, err);
	if (rc == 0)
		rc = pgo_fdata_write(p, out, err);
	pgo_fdata_free(p);
	return rc;
}

int pgo_mix_write(struct pgo_mix *m, const uint32_t *items, size_t n, struct pgo_buf *out,
	struct pgo_err *err)
{
	uint8_t *chosen = mark(m, items, n);
	int rc;

	if (chosen == NULL)
		return pgo_err_nomem(err);
	rc = m->bad.fdata != NULL ? write_fdata(m, chosen, out, err)
				  : write_fnprof(m, chosen, out, err);
	pgo_free(chosen);
	return rc;
}
