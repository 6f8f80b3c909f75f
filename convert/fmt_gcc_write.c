/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing .afdo; the layout is drawn in fmt_gcc.c.
 *
 * Names stand in byte order.  Version 3 ties a name to a file where all records of the name agree
 * on the base name of their declaration's file, the only part gcc compares.
 */
#include "convert/fmt_gcc.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

struct writer {
	const struct pgo_fnprof *p;
	struct pgo_buf *out;
	unsigned version;
	struct use {            /* by string id */
		uint32_t index; /* in the name table; 0 = not used */
		uint32_t
			file; /* string of the base name; 0 = unknown, PGO_AFDO_NO_FILE = several */
	} * uses;
	uint32_t *order; /* string ids, sorted by text */
	size_t n_order, order_room;
	uint32_t *files; /* string ids, sorted by text */
	size_t n_files, files_room;
	bool counts; /* any count at all */
};

static const char *base_of(const struct writer *w, uint32_t file)
{
	const char *s = pgo_fnprof_str(w->p, file), *slash = strrchr(s, '/');

	return slash != NULL ? slash + 1 : s;
}

static int use_name(struct writer *w, uint32_t name, uint32_t file)
{
	struct use *u = &w->uses[name];

	if (u->index == 0) {
		uint32_t *o = PGO_VEC_PUSH(w->order, w->n_order, w->order_room);

		if (o == NULL)
			return PGO_ENOMEM;
		*o = name;
		u->index = 1;
	}
	if (file == 0 || u->file == PGO_AFDO_NO_FILE || file == u->file)
		return 0;
	if (u->file == 0)
		u->file = file;
	else if (strcmp(base_of(w, file), base_of(w, u->file)) != 0)
		u->file = PGO_AFDO_NO_FILE; /* a wrong file is worse than none */
	return 0;
}

static int check_body(struct writer *w, const struct pgo_fn *f, struct pgo_err *err)
{
	const char *name = pgo_fnprof_str(w->p, f->name);

	if (f->name == 0)
		return pgo_err_set(err, PGO_EMISMATCH, "a function without a name");
	if (use_name(w, f->name, f->file) < 0)
		return pgo_err_nomem(err);
	for (uint32_t i = 0; i < f->n_pos; i++) {
		const struct pgo_fn_pos *x = &f->pos[i];

		w->counts |= x->count != 0;
		if (x->disc > 0xffff)
			return pgo_err_set(err, PGO_EMISMATCH,
				"discriminator %u in %s: the .afdo format holds 16 bits", x->disc,
				name);
		for (uint32_t t = 0; t < x->n_targets; t++) {
			if (x->targets[t].name == 0)
				return pgo_err_set(err, PGO_EMISMATCH,
					"a call target without a name in %s", name);
			if (use_name(w, x->targets[t].name, 0) < 0)
				return pgo_err_nomem(err);
		}
	}
	for (uint32_t i = 0; i < f->n_calls; i++) {
		int rc;

		if (f->calls[i].disc > 0xffff)
			return pgo_err_set(err, PGO_EMISMATCH,
				"discriminator %u in %s: the .afdo format holds 16 bits",
				f->calls[i].disc, name);
		rc = check_body(w, f->calls[i].callee, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int compare_by_text(const void *a, const void *b, void *ctx)
{
	const struct pgo_fnprof *p = ctx;

	return strcmp(
		pgo_fnprof_str(p, *(const uint32_t *)a), pgo_fnprof_str(p, *(const uint32_t *)b));
}

static int compare_by_base(const void *a, const void *b, void *ctx)
{
	const struct writer *w = ctx;

	return strcmp(base_of(w, *(const uint32_t *)a), base_of(w, *(const uint32_t *)b));
}

/* Everything a name table needs to know, and whether gcc could take it. */
static int survey(struct writer *w, struct pgo_err *err)
{
	const struct pgo_fnprof *p = w->p;

	if (p->context_sensitive || p->md5_names)
		return pgo_err_set(err, PGO_EMISMATCH,
			"a profile with %s cannot be written for gcc",
			p->md5_names ? "hashed names" : "calling contexts");
	for (size_t i = 0; i < p->n_fns; i++) {
		int rc = check_body(w, p->fns[i], err);

		if (rc < 0)
			return rc;
		w->counts |= p->fns[i]->head != 0;
		/* 2 marks a name that a top-level record has. */
		if (w->uses[p->fns[i]->name].index == 2)
			return pgo_err_set(err, PGO_EMISMATCH,
				"function %s has two records, which gcc refuses or misreads",
				pgo_fnprof_str(p, p->fns[i]->name));
		w->uses[p->fns[i]->name].index = 2;
	}
	if (!w->counts)
		return pgo_err_set(err, PGO_EEMPTY, "no function has a count");
	return 0;
}

static int number_names(struct writer *w, struct pgo_err *err)
{
	size_t kept = 0;

	if (w->n_order > 1)
		qsort_r(w->order, w->n_order, sizeof *w->order, compare_by_text,
			(void *)(uintptr_t)w->p);
	for (size_t i = 0; i < w->n_order; i++) {
		struct use *u = &w->uses[w->order[i]];

		u->index = (uint32_t)i + 1;
		if (w->version == 3 && u->file != 0 && u->file != PGO_AFDO_NO_FILE) {
			uint32_t *f = PGO_VEC_PUSH(w->files, w->n_files, w->files_room);

			if (f == NULL)
				return pgo_err_nomem(err);
			*f = u->file;
		}
	}
	/* One entry per distinct base name: with two, gcc finds no profile for either file. */
	if (w->n_files > 1)
		qsort_r(w->files, w->n_files, sizeof *w->files, compare_by_base, w);
	for (size_t i = 0; i < w->n_files; i++)
		if (kept == 0 || compare_by_base(&w->files[kept - 1], &w->files[i], w) != 0)
			w->files[kept++] = w->files[i];
	w->n_files = kept;
	return 0;
}

static void write_str(struct writer *w, const char *s)
{
	size_t len = strlen(s), size = len + 1;

	if (w->version == 1) {
		pgo_buf_u32le(w->out, (uint32_t)((len + 4) / 4));
		size = (len + 4) / 4 * 4;
	} else {
		pgo_buf_u32le(w->out, (uint32_t)size);
	}
	pgo_buf_add(w->out, s, len);
	while (len++ < size)
		pgo_buf_putc(w->out, '\0');
}

static int write_summary(struct writer *w, struct pgo_err *err)
{
	struct pgo_summary s;
	int rc = pgo_fnprof_summary(w->p, &s, err);

	if (rc < 0)
		return rc;
	pgo_buf_u32le(w->out, PGO_AFDO_TAG_SUMMARY);
	pgo_buf_u64le(w->out, s.total);
	pgo_buf_u64le(w->out, s.max);
	pgo_buf_u64le(w->out, s.max_head);
	pgo_buf_u64le(w->out, s.n_counts);
	pgo_buf_u64le(w->out, s.n_fns);
	pgo_buf_u64le(w->out, PGO_SUMMARY_ROWS);
	for (size_t i = 0; i < PGO_SUMMARY_ROWS; i++) {
		pgo_buf_u32le(w->out, s.rows[i].cutoff);
		pgo_buf_u64le(w->out, s.rows[i].min_count);
		pgo_buf_u64le(w->out, s.rows[i].n_counts);
	}
	return 0;
}

static uint32_t file_index(const struct writer *w, uint32_t file)
{
	size_t low = 0, high = w->n_files;

	if (file == 0 || file == PGO_AFDO_NO_FILE)
		return PGO_AFDO_NO_FILE;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(base_of(w, file), base_of(w, w->files[mid]));

		if (c == 0)
			return (uint32_t)mid;
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return PGO_AFDO_NO_FILE;
}

static void write_names(struct writer *w)
{
	pgo_buf_u32le(w->out, PGO_AFDO_TAG_NAMES);
	pgo_buf_u32le(w->out, 0);
	if (w->version == 3) {
		pgo_buf_u32le(w->out, (uint32_t)w->n_files);
		for (size_t i = 0; i < w->n_files; i++)
			write_str(w, base_of(w, w->files[i]));
	}
	pgo_buf_u32le(w->out, (uint32_t)w->n_order + 1);
	write_str(w, "");
	if (w->version == 3)
		pgo_buf_u32le(w->out, PGO_AFDO_NO_FILE);
	for (size_t i = 0; i < w->n_order; i++) {
		write_str(w, pgo_fnprof_str(w->p, w->order[i]));
		if (w->version == 3)
			pgo_buf_u32le(w->out, file_index(w, w->uses[w->order[i]].file));
	}
}

static uint32_t place_word(uint32_t line, uint32_t disc)
{
	return (line & 0xffff) << 16 | disc;
}

static void write_body(struct writer *w, const struct pgo_fn *f)
{
	pgo_buf_u32le(w->out, w->uses[f->name].index);
	pgo_buf_u32le(w->out, f->n_pos);
	pgo_buf_u32le(w->out, f->n_calls);
	for (uint32_t i = 0; i < f->n_pos; i++) {
		const struct pgo_fn_pos *x = &f->pos[i];

		pgo_buf_u32le(w->out, place_word(x->line, x->disc));
		pgo_buf_u32le(w->out, x->n_targets);
		pgo_buf_u64le(w->out, x->count);
		for (uint32_t t = 0; t < x->n_targets; t++) {
			pgo_buf_u32le(w->out, PGO_AFDO_HIST_TYPE_INDIRECT_CALL);
			pgo_buf_u64le(w->out, w->uses[x->targets[t].name].index);
			pgo_buf_u64le(w->out, x->targets[t].count);
		}
	}
	for (uint32_t i = 0; i < f->n_calls; i++) {
		pgo_buf_u32le(w->out, place_word(f->calls[i].line, f->calls[i].disc));
		write_body(w, f->calls[i].callee);
	}
}

static void write_functions(struct writer *w)
{
	pgo_buf_u32le(w->out, PGO_AFDO_TAG_FUNCTIONS);
	pgo_buf_u32le(w->out, 0);
	pgo_buf_u32le(w->out, (uint32_t)w->p->n_fns);
	for (size_t i = 0; i < w->p->n_fns; i++) {
		pgo_buf_u64le(w->out, w->p->fns[i]->head);
		if (w->version == 3)
			pgo_buf_u64le(w->out, w->p->fns[i]->first_seen);
		write_body(w, w->p->fns[i]);
	}
}

/* ------------------------------------------------------------------ the working set */

/*
 * gcc 5 and its neighbours take the hot threshold from here: entry k says how many of the largest
 * counts make up k/129 of the total, in tens, and the smallest of them.
 */
static void write_working_set(struct writer *w, const struct pgo_counts *c)
{
	unsigned __int128 total = 0, sum = 0;
	size_t i = 0;

	for (size_t k = 0; k < c->n; k++)
		total += c->v[k];
	for (unsigned k = 1; k <= PGO_AFDO_N_WORKING_SETS; k++) {
		unsigned __int128 want = total * k / (PGO_AFDO_N_WORKING_SETS + 1);

		while (i < c->n && (i == 0 || sum < want))
			sum += c->v[i++];
		pgo_buf_u32le(w->out, (uint32_t)(i / 10 > UINT32_MAX ? UINT32_MAX : i / 10));
		pgo_buf_u64le(w->out, i > 0 ? c->v[i - 1] : 0);
	}
}

static int write_tail(struct writer *w, struct pgo_err *err)
{
	struct pgo_counts c = {0};

	/* Later releases do not read the working set: zeros. */
	if (w->version == 1 && pgo_fnprof_counts(w->p, &c) < 0)
		return pgo_err_nomem(err);
	pgo_buf_u32le(w->out, PGO_AFDO_TAG_MODULES);
	pgo_buf_u32le(w->out, 0);
	pgo_buf_u32le(w->out, 0);
	pgo_buf_u32le(w->out, PGO_AFDO_TAG_WORKING_SET);
	pgo_buf_u32le(w->out, PGO_AFDO_WORKING_SET_WORDS);
	write_working_set(w, &c);
	pgo_free(c.v);
	return 0;
}

/* ------------------------------------------------------------------ all of it */

int pgo_gcc_write(const struct pgo_fnprof *p, const struct pgo_format_options *o,
	struct pgo_buf *out, struct pgo_err *err)
{
	struct writer w = {.p = p, .out = out, .version = pgo_gcc_afdo_version(o->gcc_release)};
	int rc;

	w.uses = pgo_calloc(p->strs.n_strs, sizeof *w.uses);
	rc = w.uses != NULL ? survey(&w, err) : pgo_err_nomem(err);
	if (rc == 0)
		rc = number_names(&w, err);
	if (rc < 0)
		goto out;
	pgo_buf_u32le(out, PGO_AFDO_MAGIC);
	pgo_buf_u32le(out, w.version);
	pgo_buf_u32le(out, 0);
	if (w.version == 3)
		rc = write_summary(&w, err);
	write_names(&w);
	write_functions(&w);
	if (rc == 0)
		rc = write_tail(&w, err);
	if (rc == 0)
		rc = pgo_buf_check(out, "the .afdo profile", err);
out:
	pgo_free(w.uses);
	pgo_free(w.order);
	pgo_free(w.files);
	return rc;
}
