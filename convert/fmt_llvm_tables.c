/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/fmt_llvm_tables.h"

#include "convert/fmt_llvm.h"
#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

static int use_name(struct pgo_llvm_writer *w, uint32_t name)
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

static int use_body(struct pgo_llvm_writer *w, const struct pgo_fn *f)
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

/* A number as LLVM writes it, with no more zeros than it needs; false for anything else. */
static bool plain_number(const char *s, const char *end, uint32_t max, uint32_t *ret)
{
	uint64_t v = 0;

	if (s == end || (*s == '0' && end - s > 1) || end - s > 10)
		return false;
	for (; s < end; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*ret = (uint32_t)v;
	return v <= max;
}

/* "foo:1.2" or, for the leaf, "foo". */
static int add_frame(struct pgo_llvm_writer *w, const char *s, size_t len, bool leaf)
{
	struct pgo_llvm_frame *f = PGO_VEC_PUSH(w->frames, w->n_frames, w->frames_room);
	const char *end = s + len, *colon = leaf ? end : memrchr(s, ':', len), *dot;

	if (f == NULL)
		return PGO_ENOMEM;
	if (colon == NULL || colon == s)
		return PGO_EMISMATCH;
	if (!leaf) {
		dot = memchr(colon, '.', (size_t)(end - colon));
		if (!plain_number(colon + 1, dot != NULL ? dot : end, 0xffff, &f->line) ||
			(dot != NULL && (!plain_number(dot + 1, end, UINT32_MAX, &f->disc) ||
						f->disc == 0)))
			return PGO_EMISMATCH;
	}
	f->name = pgo_strtab_add(&w->p->strs, s, (size_t)(colon - s));
	return f->name == PGO_STR_NONE || use_name(w, f->name) < 0 ? PGO_ENOMEM : 0;
}

static int parse_context(struct pgo_llvm_writer *w, size_t i, struct pgo_err *err)
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

static int read_contexts(struct pgo_llvm_writer *w, struct pgo_err *err)
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

static int make_tables(struct pgo_llvm_writer *w, struct pgo_err *err)
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

int pgo_llvm_begin(struct pgo_llvm_writer *w, const struct pgo_fnprof *p,
	const struct pgo_format_options *o, struct pgo_err *err)
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

void pgo_llvm_end(struct pgo_llvm_writer *w, const struct pgo_fnprof *p)
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
