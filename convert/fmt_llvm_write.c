/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing LLVM's binary sample profiles; the bytes are drawn in fmt_llvm_bin.c.  Sections stand in
 * the order that llvm-profdata gives them, so that both write the same bytes of the same profile.
 */
#include "convert/fmt_llvm.h"

#include "pgo/core/alloc.h"
#include "pgo/core/inflate.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define N_SECTIONS 7

/* A calling context, "[main:3 @ foo:1.2 @ bar]", taken apart. */
struct frame {
	uint32_t name, line, disc;
};

struct context {
	struct frame *frames; /* outermost first; the leaf's place is 0.0 */
	size_t n;
};

struct writer {
	struct pgo_fnprof *p; /* only its string table grows, by names that contexts hold */
	const struct pgo_format_options *o;
	bool md5;
	uint32_t *index; /* of the name table, by string id; 0 = not used, else index + 1 */
	size_t index_room;
	uint32_t *names; /* string ids in table order */
	size_t n_names, names_room;
	struct frame *frames; /* of all contexts */
	size_t n_frames, frames_room;
	struct context *contexts; /* by function */
	uint32_t *context_order;  /* functions in order of context */
	uint32_t *context_index;  /* by function: index in the context table */
};

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

/* ------------------------------------------------------------------ names and contexts */

static int use_name(struct writer *w, uint32_t name)
{
	uint32_t *n;

	if (name >= w->index_room) {
		size_t old = w->index_room;

		if (PGO_VEC_RESERVE(w->index, w->index_room, (size_t)name + 1) < 0)
			return PGO_ENOMEM;
		memset(w->index + old, 0, (w->index_room - old) * sizeof *w->index);
	}
	if (w->index[name] != 0)
		return 0;
	n = PGO_VEC_PUSH(w->names, w->n_names, w->names_room);
	if (n == NULL)
		return PGO_ENOMEM;
	*n = name;
	w->index[name] = 1;
	return 0;
}

static int use_body(struct writer *w, const struct pgo_fn *f)
{
	for (uint32_t i = 0; i < f->n_pos; i++)
		for (uint32_t t = 0; t < f->pos[i].n_targets; t++)
			if (use_name(w, f->pos[i].targets[t].name) < 0)
				return PGO_ENOMEM;
	for (uint32_t i = 0; i < f->n_calls; i++)
		if (use_name(w, f->calls[i].callee->name) < 0 ||
			use_body(w, f->calls[i].callee) < 0)
			return PGO_ENOMEM;
	return 0;
}

/* "foo:1.2" or, for the leaf, "foo". */
static int add_frame(struct writer *w, const char *s, size_t len, bool leaf)
{
	struct frame *f = PGO_VEC_PUSH(w->frames, w->n_frames, w->frames_room);
	unsigned long place[2] = {0, 0};
	const char *colon = leaf ? NULL : memrchr(s, ':', len);

	if (f == NULL)
		return PGO_ENOMEM;
	if (!leaf) {
		char *end;

		if (colon == NULL)
			return PGO_EMISMATCH;
		/* The text ends in a NUL, so this stops. */
		place[0] = strtoul(colon + 1, &end, 10);
		if (*end == '.')
			place[1] = strtoul(end + 1, &end, 10);
		if (end != s + len || place[0] > 0xffff || place[1] > UINT32_MAX)
			return PGO_EMISMATCH;
		len = (size_t)(colon - s);
	}
	f->name = pgo_strtab_add(&w->p->strs, s, len);
	f->line = (uint32_t)place[0];
	f->disc = (uint32_t)place[1];
	return f->name == PGO_STR_NONE || use_name(w, f->name) < 0 ? PGO_ENOMEM : 0;
}

static int parse_context(struct writer *w, size_t i, struct pgo_err *err)
{
	const char *text = pgo_fnprof_str(w->p, w->p->fns[i]->name), *s = text, *at;
	size_t len = strlen(s), first = w->n_frames;
	int rc = len > 2 && s[0] == '[' && s[len - 1] == ']' ? 0 : PGO_EMISMATCH;

	for (s++, len -= 2; rc == 0 && (at = memmem(s, len, " @ ", 3)) != NULL;) {
		rc = add_frame(w, s, (size_t)(at - s), false);
		len -= (size_t)(at + 3 - s);
		s = at + 3;
	}
	if (rc == 0)
		rc = add_frame(w, s, len, true);
	w->contexts[i].n = w->n_frames - first;
	if (rc == PGO_EMISMATCH)
		return pgo_err_set(
			err, rc, "'%s' is not a calling context as LLVM writes it", text);
	return rc == 0 ? 0 : pgo_err_nomem(err);
}

static int compare_contexts(const void *a, const void *b, void *ctx)
{
	const struct pgo_fnprof *p = ctx;

	return pgo_fnprof_compare_contexts(pgo_fnprof_str(p, p->fns[*(const uint32_t *)a]->name),
		pgo_fnprof_str(p, p->fns[*(const uint32_t *)b]->name));
}

static int read_contexts(struct writer *w, struct pgo_err *err)
{
	size_t n = w->p->n_fns, at = 0;

	w->contexts = pgo_calloc(n, sizeof *w->contexts);
	w->context_order = pgo_calloc(n, sizeof *w->context_order);
	w->context_index = pgo_calloc(n, sizeof *w->context_index);
	if (w->contexts == NULL || w->context_order == NULL || w->context_index == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		int rc = parse_context(w, i, err);

		if (rc < 0)
			return rc;
		w->context_order[i] = (uint32_t)i;
	}
	for (size_t i = 0; i < n; i++) { /* now that they do not move any more */
		w->contexts[i].frames = w->frames + at;
		at += w->contexts[i].n;
	}
	if (n > 1)
		qsort_r(w->context_order, n, sizeof *w->context_order, compare_contexts, w->p);
	for (size_t i = 0; i < n; i++)
		w->context_index[w->context_order[i]] = (uint32_t)i;
	return 0;
}

static int by_name(const void *a, const void *b, void *ctx)
{
	return pgo_fnprof_compare_names(ctx, *(const uint32_t *)a, *(const uint32_t *)b);
}

static int make_tables(struct writer *w, struct pgo_err *err)
{
	if (w->p->context_sensitive) {
		int rc = read_contexts(w, err);

		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < w->p->n_fns; i++)
		if ((!w->p->context_sensitive && use_name(w, w->p->fns[i]->name) < 0) ||
			use_body(w, w->p->fns[i]) < 0)
			return pgo_err_nomem(err);
	if (w->n_names > 1)
		qsort_r(w->names, w->n_names, sizeof *w->names, by_name, w->p);
	for (size_t i = 0; i < w->n_names; i++)
		w->index[w->names[i]] = (uint32_t)i + 1;
	return 0;
}

/* ------------------------------------------------------------------ payloads */

static uint32_t name_index(const struct writer *w, uint32_t name)
{
	return w->index[name] - 1;
}

/* What stands for function i: its name, or in a context-sensitive profile its context. */
static uint32_t fn_index(const struct writer *w, size_t i)
{
	return w->p->context_sensitive ? w->context_index[i] : name_index(w, w->p->fns[i]->name);
}

static int put_summary(struct writer *w, struct pgo_buf *out, struct pgo_err *err)
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

static void put_names(struct writer *w, struct pgo_buf *out)
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

static void put_contexts(struct writer *w, struct pgo_buf *out)
{
	size_t n = w->p->context_sensitive ? w->p->n_fns : 0;

	pgo_buf_uleb(out, n);
	for (size_t i = 0; i < n; i++) {
		const struct context *c = &w->contexts[w->context_order[i]];

		pgo_buf_uleb(out, c->n);
		for (size_t k = 0; k < c->n; k++) {
			pgo_buf_uleb(out, name_index(w, c->frames[k].name));
			pgo_buf_uleb(out, c->frames[k].line);
			pgo_buf_uleb(out, c->frames[k].disc);
		}
	}
}

static void put_body(struct writer *w, const struct pgo_fn *f, uint32_t index, struct pgo_buf *out)
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
static int put_functions(struct writer *w, struct pgo_buf *out, uint64_t *offsets)
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

static void put_offsets(struct writer *w, const uint64_t *offsets, struct pgo_buf *out)
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

static int put_symbols(struct writer *w, struct pgo_buf *out, struct pgo_err *err)
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
	struct writer *w, const struct pgo_fn *f, uint64_t flags, struct pgo_buf *out)
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

static void put_metadata(struct writer *w, uint64_t flags, struct pgo_buf *out)
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

static uint64_t section_flags(const struct writer *w, enum pgo_llvm_section type)
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

static int put_section(struct writer *w, enum pgo_llvm_section type, uint64_t *offsets,
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
	struct writer *w, uint64_t *offsets, struct pgo_buf *out, struct pgo_err *err)
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

static int begin(struct writer *w, const struct pgo_fnprof *p, const struct pgo_format_options *o,
	struct pgo_err *err)
{
	int rc = pgo_llvm_check(p, err);

	memset(w, 0, sizeof *w);
	w->o = o;
	if (rc < 0)
		return rc;
	/* The names inside contexts are interned, which a borrowed profile must not see. */
	w->p = p->context_sensitive ? pgo_fnprof_copy(p, err) : (struct pgo_fnprof *)(uintptr_t)p;
	return w->p != NULL ? make_tables(w, err) : PGO_ENOMEM;
}

static void end(struct writer *w, const struct pgo_fnprof *p)
{
	if (w->p != p)
		pgo_fnprof_free(w->p);
	pgo_free(w->index);
	pgo_free(w->names);
	pgo_free(w->frames);
	pgo_free(w->contexts);
	pgo_free(w->context_order);
	pgo_free(w->context_index);
}

int pgo_llvm_write_ext(const struct pgo_fnprof *p, const struct pgo_format_options *o,
	struct pgo_buf *out, struct pgo_err *err)
{
	struct writer w;
	uint64_t *offsets = NULL;
	int rc = begin(&w, p, o, err);

	if (rc < 0)
		goto out;
	w.md5 = o->md5 || p->md5_names;
	offsets = pgo_calloc(p->n_fns, sizeof *offsets);
	rc = offsets != NULL ? put_sections(&w, offsets, out, err) : pgo_err_nomem(err);
out:
	pgo_free(offsets);
	end(&w, p);
	return rc;
}

int pgo_llvm_write_raw(const struct pgo_fnprof *p, const struct pgo_format_options *o,
	struct pgo_buf *out, struct pgo_err *err)
{
	struct writer w;
	int rc = begin(&w, p, o, err);

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
	end(&w, p);
	return rc;
}
