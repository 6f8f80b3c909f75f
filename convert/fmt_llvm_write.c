/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing LLVM's binary sample profiles; the bytes are drawn in fmt_llvm_bin.c.  Sections stand in
 * the order that llvm-profdata gives them, so that both write the same bytes of the same profile.
 */
#include "convert/fmt_llvm.h"
#include "convert/fmt_llvm_tables.h"

#include "pgo/core/alloc.h"
#include "pgo/core/inflate.h"

#include <stdlib.h>
#include <string.h>

#define N_SECTIONS 7

int pgo_llvm_check(const struct pgo_fnprof *p, struct pgo_err *err)
{
	bool *seen = pgo_calloc(p->strs.n_strs, sizeof *seen);
	bool counts = false;
	int rc = 0;

	if (seen == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < p->n_fns && rc == 0; i++) {
		const struct pgo_fn *f = p->fns[i];

		if (f->name == 0)
			rc = pgo_err_set(err, PGO_EMISMATCH, "a function without a name");
		else if (seen[f->name])
			rc = pgo_err_set(err, PGO_EMISMATCH,
				"function %s has two records, which LLVM would merge or misread",
				pgo_fnprof_str(p, f->name));
		seen[f->name] = true;
		counts |= f->head != 0 || f->total != 0 || pgo_fn_position_sum(f) != 0;
	}
	if (rc == 0 && !counts)
		rc = pgo_err_set(err, PGO_EEMPTY, "no function has a count");
	pgo_free(seen);
	return rc;
}

/* ------------------------------------------------------------------ payloads */

static uint32_t name_index(const struct pgo_llvm_writer *w, uint32_t name)
{
	return w->index[name] - 1;
}

/* What stands for function i: its name, or in a context-sensitive profile its context. */
static uint32_t fn_index(const struct pgo_llvm_writer *w, size_t i)
{
	return w->p->context_sensitive ? w->context_index[i] : name_index(w, w->p->fns[i]->name);
}

static int put_summary(struct pgo_llvm_writer *w, struct pgo_buf *out, struct pgo_err *err)
{
	struct pgo_summary s;
	int rc = pgo_fnprof_summary(w->p, &s, err);

	if (rc < 0)
		return rc;
	pgo_buf_uleb(out, s.total);
	pgo_buf_uleb(out, s.max);
	pgo_buf_uleb(out, s.max_head);
	pgo_buf_uleb(out, s.n_counts);
	pgo_buf_uleb(out, s.n_fns);
	pgo_buf_uleb(out, PGO_SUMMARY_ROWS);
	for (size_t i = 0; i < PGO_SUMMARY_ROWS; i++) {
		pgo_buf_uleb(out, s.rows[i].cutoff);
		pgo_buf_uleb(out, s.rows[i].min_count);
		pgo_buf_uleb(out, s.rows[i].n_counts);
	}
	return 0;
}

static void put_names(struct pgo_llvm_writer *w, struct pgo_buf *out)
{
	pgo_buf_uleb(out, w->n_names);
	for (size_t i = 0; i < w->n_names; i++) {
		const struct pgo_str *s = &w->p->strs.strs[w->names[i]];

		if (!w->md5)
			pgo_buf_add(out, s->s, s->len + 1);
		else if (w->p->md5_names)
			pgo_buf_u64le(out, strtoull(s->s, NULL, 10));
		else
			pgo_buf_u64le(out, pgo_llvm_hash_name(s->s, s->len));
	}
}

static void put_contexts(struct pgo_llvm_writer *w, struct pgo_buf *out)
{
	size_t n = w->p->context_sensitive ? w->p->n_fns : 0;

	pgo_buf_uleb(out, n);
	for (size_t i = 0; i < n; i++) {
		const struct pgo_llvm_context *c = &w->contexts[w->context_order[i]];

		pgo_buf_uleb(out, c->n);
		for (size_t k = 0; k < c->n; k++) {
			pgo_buf_uleb(out, name_index(w, c->frames[k].name));
			pgo_buf_uleb(out, c->frames[k].line);
			pgo_buf_uleb(out, c->frames[k].disc);
		}
	}
}

static void put_body(
	struct pgo_llvm_writer *w, const struct pgo_fn *f, uint32_t index, struct pgo_buf *out)
{
	pgo_buf_uleb(out, index);
	pgo_buf_uleb(out, f->total);
	pgo_buf_uleb(out, f->n_pos);
	for (uint32_t i = 0; i < f->n_pos; i++) {
		const struct pgo_fn_pos *x = &f->pos[i];

		pgo_buf_uleb(out, x->line);
		pgo_buf_uleb(out, x->disc);
		pgo_buf_uleb(out, x->count);
		pgo_buf_uleb(out, x->n_targets);
		for (uint32_t t = 0; t < x->n_targets; t++) {
			pgo_buf_uleb(out, name_index(w, x->targets[t].name));
			pgo_buf_uleb(out, x->targets[t].count);
		}
	}
	pgo_buf_uleb(out, f->n_calls);
	for (uint32_t i = 0; i < f->n_calls; i++) {
		const struct pgo_fn *g = f->calls[i].callee;

		pgo_buf_uleb(out, f->calls[i].line);
		pgo_buf_uleb(out, f->calls[i].disc);
		put_body(w, g, name_index(w, g->name), out);
	}
}

/* Bodies, and where each begins. */
static int put_functions(struct pgo_llvm_writer *w, struct pgo_buf *out, uint64_t *offsets)
{
	size_t start = out->len;

	for (size_t i = 0; i < w->p->n_fns; i++) {
		if (offsets != NULL)
			offsets[i] = out->len - start;
		pgo_buf_uleb(out, w->p->fns[i]->head);
		put_body(w, w->p->fns[i], fn_index(w, i), out);
	}
	return out->failed ? -1 : 0;
}

static void put_offsets(struct pgo_llvm_writer *w, const uint64_t *offsets, struct pgo_buf *out)
{
	pgo_buf_uleb(out, w->p->n_fns);
	for (size_t i = 0; i < w->p->n_fns; i++) {
		size_t k = w->p->context_sensitive ? w->context_order[i] : i;

		pgo_buf_uleb(out, fn_index(w, k));
		pgo_buf_uleb(out, offsets[k]);
	}
}

static int by_text(const void *a, const void *b, void *ctx)
{
	return strcmp(pgo_fnprof_str(ctx, *(const uint32_t *)a),
		pgo_fnprof_str(ctx, *(const uint32_t *)b));
}

static int put_symbols(struct pgo_llvm_writer *w, struct pgo_buf *out, struct pgo_err *err)
{
	size_t n = w->p->n_cold;
	uint32_t *order;

	if (n == 0)
		return 0;
	order = pgo_malloc(n * sizeof *order);
	if (order == NULL)
		return pgo_err_nomem(err);
	memcpy(order, w->p->cold, n * sizeof *order);
	qsort_r(order, n, sizeof *order, by_text, w->p);
	for (size_t i = 0; i < n; i++)
		if (order[i] != 0 && (i == 0 || order[i] != order[i - 1]))
			pgo_buf_add(out, w->p->strs.strs[order[i]].s,
				w->p->strs.strs[order[i]].len + 1);
	pgo_free(order);
	return 0;
}

static void put_metadata_of(
	struct pgo_llvm_writer *w, const struct pgo_fn *f, uint64_t flags, struct pgo_buf *out)
{
	if (flags & PGO_LLVM_METADATA_PROBES)
		pgo_buf_uleb(out, f->checksum);
	if (flags & PGO_LLVM_METADATA_ATTRIBUTES)
		pgo_buf_uleb(out, f->attributes);
	if (w->p->context_sensitive)
		return;
	pgo_buf_uleb(out, f->n_calls);
	for (uint32_t i = 0; i < f->n_calls; i++) {
		pgo_buf_uleb(out, f->calls[i].line);
		pgo_buf_uleb(out, f->calls[i].disc);
		pgo_buf_uleb(out, name_index(w, f->calls[i].callee->name));
		put_metadata_of(w, f->calls[i].callee, flags, out);
	}
}

static void put_metadata(struct pgo_llvm_writer *w, uint64_t flags, struct pgo_buf *out)
{
	for (size_t i = 0; flags != 0 && i < w->p->n_fns; i++) {
		pgo_buf_uleb(out, fn_index(w, i));
		put_metadata_of(w, w->p->fns[i], flags, out);
	}
}

/* ------------------------------------------------------------------ files */

static bool has_checksums(const struct pgo_fnprof *p)
{
	for (size_t i = 0; i < p->n_fns; i++)
		if (p->fns[i]->has_checksum)
			return true;
	return false;
}

static uint64_t section_flags(const struct pgo_llvm_writer *w, enum pgo_llvm_section type)
{
	const struct pgo_fnprof *p = w->p;

	switch (type) {
	case PGO_LLVM_SUMMARY:
		return (p->partial ? PGO_LLVM_SUMMARY_PARTIAL : 0) |
		       (p->context_sensitive ? PGO_LLVM_SUMMARY_CONTEXTS : 0) |
		       (p->fs_discriminators ? PGO_LLVM_SUMMARY_FS : 0) |
		       (p->preinlined ? PGO_LLVM_SUMMARY_PREINLINED : 0);
	case PGO_LLVM_NAMES:
		return (w->md5 ? PGO_LLVM_NAMES_MD5 | PGO_LLVM_NAMES_FIXED : 0) |
		       (p->unique_suffixes ? PGO_LLVM_NAMES_UNIQUE : 0);
	case PGO_LLVM_OFFSETS:
		return p->context_sensitive ? PGO_LLVM_OFFSETS_ORDERED : 0;
	case PGO_LLVM_METADATA:
		return (has_checksums(p) ? PGO_LLVM_METADATA_PROBES : 0) |
		       (p->context_sensitive || p->preinlined ? PGO_LLVM_METADATA_ATTRIBUTES : 0);
	default:
		return 0;
	}
}

static int put_section(struct pgo_llvm_writer *w, enum pgo_llvm_section type, uint64_t *offsets,
	struct pgo_buf *out, struct pgo_err *err)
{
	switch (type) {
	case PGO_LLVM_SUMMARY:
		return put_summary(w, out, err);
	case PGO_LLVM_NAMES:
		put_names(w, out);
		return 0;
	case PGO_LLVM_CONTEXTS:
		put_contexts(w, out);
		return 0;
	case PGO_LLVM_FUNCTIONS:
		return put_functions(w, out, offsets) < 0
			       ? pgo_buf_check(out, "the LLVM profile", err)
			       : 0;
	case PGO_LLVM_SYMBOLS:
		return put_symbols(w, out, err);
	case PGO_LLVM_OFFSETS:
		put_offsets(w, offsets, out);
		return 0;
	case PGO_LLVM_METADATA:
		put_metadata(w, section_flags(w, type), out);
		return 0;
	}
	return 0;
}

/* The payload, compressed: its size, the stream's size, the stream.  An empty one stays empty. */
static int pack(struct pgo_buf *payload, struct pgo_buf *out, struct pgo_err *err)
{
	struct pgo_buf z;
	int rc;

	rc = pgo_buf_check(payload, "a section of the LLVM profile", err);
	if (rc < 0 || payload->len == 0)
		return rc;
	pgo_buf_init(&z, payload->max);
	rc = pgo_zlib_deflate(payload->data, payload->len, &z, err);
	if (rc == 0)
		rc = pgo_buf_check(&z, "a section of the LLVM profile", err);
	if (rc == 0) {
		pgo_buf_uleb(out, payload->len);
		pgo_buf_uleb(out, z.len);
		pgo_buf_add(out, z.data, z.len);
	}
	pgo_buf_fini(&z);
	return rc;
}

/* Rows of the section table in this order; clang reads them so, and needs offsets before bodies. */
static const enum pgo_llvm_section table_order[N_SECTIONS] = {PGO_LLVM_SUMMARY, PGO_LLVM_NAMES,
	PGO_LLVM_CONTEXTS, PGO_LLVM_OFFSETS, PGO_LLVM_FUNCTIONS, PGO_LLVM_SYMBOLS,
	PGO_LLVM_METADATA};
/* Payloads in this one: rows by their place in the table. */
static const unsigned payload_order[N_SECTIONS] = {0, 1, 2, 4, 5, 3, 6};

static int put_sections(
	struct pgo_llvm_writer *w, uint64_t *offsets, struct pgo_buf *out, struct pgo_err *err)
{
	size_t start = out->len, at[N_SECTIONS] = {0}, size[N_SECTIONS] = {0};
	struct pgo_buf payload;
	int rc = 0;

	pgo_buf_uleb(out, PGO_LLVM_MAGIC_EXT);
	pgo_buf_uleb(out, PGO_LLVM_VERSION);
	pgo_buf_u64le(out, N_SECTIONS);
	size_t table = out->len;
	for (size_t i = 0; i < N_SECTIONS * 4; i++)
		pgo_buf_u64le(out, 0);
	pgo_buf_init(&payload, out->max);
	for (size_t k = 0; k < N_SECTIONS && rc == 0; k++) {
		unsigned i = payload_order[k];

		at[i] = out->len - start;
		pgo_buf_clear(&payload);
		rc = put_section(w, table_order[i], offsets, w->o->compress ? &payload : out, err);
		if (rc == 0 && w->o->compress)
			rc = pack(&payload, out, err);
		size[i] = out->len - start - at[i];
	}
	pgo_buf_fini(&payload);
	if (rc == 0)
		rc = pgo_buf_check(out, "the LLVM profile", err);
	if (rc < 0)
		return rc;
	/* Fill the table in: written once more into a buffer of its own, then over the zeros. */
	pgo_buf_init(&payload, N_SECTIONS * 32);
	for (size_t i = 0; i < N_SECTIONS; i++) {
		pgo_buf_u64le(&payload, table_order[i]);
		pgo_buf_u64le(&payload, section_flags(w, table_order[i]) |
						(w->o->compress ? PGO_LLVM_COMPRESSED : 0));
		pgo_buf_u64le(&payload, at[i]);
		pgo_buf_u64le(&payload, size[i]);
	}
	rc = pgo_buf_check(&payload, "the LLVM profile", err);
	if (rc == 0)
		memcpy(out->data + table, payload.data, payload.len);
	pgo_buf_fini(&payload);
	return rc;
}

int pgo_llvm_write_ext(const struct pgo_fnprof *p, const struct pgo_format_options *o,
	struct pgo_buf *out, struct pgo_err *err)
{
	struct pgo_llvm_writer w;
	uint64_t *offsets = NULL;
	int rc = pgo_llvm_begin(&w, p, o, err);

	if (rc < 0)
		goto out;
	w.md5 = o->md5 || p->md5_names;
	offsets = pgo_calloc(p->n_fns, sizeof *offsets);
	rc = offsets != NULL ? put_sections(&w, offsets, out, err) : pgo_err_nomem(err);
out:
	pgo_free(offsets);
	pgo_llvm_end(&w, p);
	return rc;
}

int pgo_llvm_write_raw(const struct pgo_fnprof *p, const struct pgo_format_options *o,
	struct pgo_buf *out, struct pgo_err *err)
{
	struct pgo_llvm_writer w;
	int rc = pgo_llvm_begin(&w, p, o, err);

	if (rc == 0 && (p->context_sensitive || p->md5_names))
		rc = pgo_err_set(err, PGO_EMISMATCH,
			"LLVM's raw binary format cannot hold %s: use extbinary",
			p->md5_names ? "hashed names" : "calling contexts");
	if (rc < 0)
		goto out;
	pgo_buf_uleb(out, PGO_LLVM_MAGIC_RAW);
	pgo_buf_uleb(out, PGO_LLVM_VERSION);
	rc = put_summary(&w, out, err);
	put_names(&w, out);
	(void)put_functions(&w, out, NULL);
	if (rc == 0)
		rc = pgo_buf_check(out, "the LLVM profile", err);
out:
	pgo_llvm_end(&w, p);
	return rc;
}
