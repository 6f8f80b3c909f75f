/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs, encoded and read back: sample profiles and .fdata. */
#include "convert/fmt_llvm.h"
#include "convert/output_impl.h"

#include <stdlib.h>
#include <string.h>

int pgo_output_unreadable(const struct pgo_output *o, const char *what, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EFORMAT,
		"%s: the %s profile does not read back as it was written (%s); nothing was "
		"written: this is a bug, please report it",
		o->path, pgo_output_kind_name(o->kind), what);
}

int pgo_output_compare(const struct pgo_output *o, const struct pgo_buf *again, const char *what,
	struct pgo_err *err)
{
	if (again->len == o->data.len && memcmp(again->data, o->data.data, again->len) == 0)
		return 0;
	return pgo_output_unreadable(o, what, err);
}

static bool same_name(
	const struct pgo_fnprof *p, uint32_t name, const struct pgo_fnprof *hashed, uint32_t number)
{
	const struct pgo_str *s = &p->strs.strs[name];

	return strtoull(pgo_fnprof_str(hashed, number), NULL, 10) ==
	       pgo_llvm_hash_name(s->s, s->len);
}

/* Is `g` what is left of `f` when names become their hashes? */
static bool same_hashed(const struct pgo_fnprof *p, const struct pgo_fn *f,
	const struct pgo_fnprof *hashed, const struct pgo_fn *g)
{
	if (!same_name(p, f->name, hashed, g->name) || f->total != g->total || f->head != g->head ||
		f->n_pos != g->n_pos || f->n_calls != g->n_calls)
		return false;
	for (uint32_t i = 0; i < f->n_pos; i++) {
		const struct pgo_fn_pos *x = &f->pos[i], *y = &g->pos[i];

		if (x->line != y->line || x->disc != y->disc || x->count != y->count ||
			x->n_targets != y->n_targets)
			return false;
		for (uint32_t t = 0; t < x->n_targets; t++)
			if (x->targets[t].count != y->targets[t].count ||
				!same_name(p, x->targets[t].name, hashed, y->targets[t].name))
				return false;
	}
	for (uint32_t i = 0; i < f->n_calls; i++)
		if (f->calls[i].line != g->calls[i].line || f->calls[i].disc != g->calls[i].disc ||
			!same_hashed(p, f->calls[i].callee, hashed, g->calls[i].callee))
			return false;
	return true;
}

/* Names that were hashed do not come back, and sort differently: record by record in the file's
 * order. */
static int read_back_hashed(
	const struct pgo_output *o, const struct pgo_fnprof *p, struct pgo_err *err)
{
	struct pgo_fnprof *q = o->format->read(o->path, o->data.data, o->data.len, err);
	bool same;

	if (q == NULL)
		return pgo_err_prefix(err, "reading back");
	same = q->md5_names && q->n_fns == p->n_fns && q->n_cold == p->n_cold;
	for (size_t i = 0; i < p->n_fns && same; i++)
		same = same_hashed(p, p->fns[i], q, q->fns[i]);
	pgo_fnprof_free(q);
	return same ? 0 : pgo_output_unreadable(o, o->variant, err);
}

static int read_back_fnprof(const struct pgo_output *o, const struct pgo_format *format,
	const struct pgo_format_options *fo, struct pgo_err *err)
{
	struct pgo_fnprof *p = format->read(o->path, o->data.data, o->data.len, err);
	struct pgo_buf again;
	int rc = 0;

	if (p == NULL)
		return pgo_err_prefix(err, "reading back");
	pgo_buf_init(&again, PGO_OUTPUT_MAX);
	pgo_fnprof_sort(p);
	rc = format->write(p, fo, &again, err);
	if (rc == 0)
		rc = pgo_output_compare(o, &again, format->name, err);
	pgo_buf_fini(&again);
	pgo_fnprof_free(p);
	return rc;
}

int pgo_encode_fnprof(struct pgo_output *o, const struct pgo_convert *c, struct pgo_err *err)
{
	const struct pgo_fnprof *from = pgo_convert_fnprof(c);
	struct pgo_fnprof *p = o->kind == PGO_OUTPUT_GCC
				       ? pgo_rules_gcc(from, o->fo.gcc_release, err)
				       : pgo_rules_llvm(from, err);
	int rc;

	if (p == NULL)
		return err != NULL && err->code != 0 ? (int)err->code : PGO_ENOMEM;
	pgo_fnprof_sort(p);
	o->records = p->n_fns;
	rc = o->format->write(p, &o->fo, &o->data, err);
	if (rc == 0)
		rc = pgo_buf_check(&o->data, o->path, err);
	if (rc == 0)
		rc = o->fo.md5 ? read_back_hashed(o, p, err)
			       : read_back_fnprof(o, o->format, &o->fo, err);
	if (rc == 0)
		rc = pgo_lookup_check(from, p, o->kind == PGO_OUTPUT_GCC ? o->fo.gcc_release : 0,
			&o->lookup, err);
	pgo_fnprof_free(p);
	return rc;
}

static int read_back_fdata(const struct pgo_output *o, struct pgo_err *err)
{
	struct pgo_fdata *f = pgo_fdata_read(o->path, o->data.data, o->data.len, err);
	struct pgo_buf again;
	int rc;

	if (f == NULL)
		return pgo_err_prefix(err, "reading back");
	pgo_buf_init(&again, PGO_OUTPUT_MAX);
	rc = pgo_fdata_sort(f, err);
	if (rc == 0)
		rc = pgo_fdata_write(f, &again, err);
	if (rc == 0)
		rc = pgo_output_compare(o, &again, ".fdata", err);
	pgo_buf_fini(&again);
	pgo_fdata_free(f);
	return rc;
}

int pgo_encode_fdata(struct pgo_output *o, const struct pgo_convert *c, struct pgo_err *err)
{
	struct pgo_fdata *f = pgo_convert_fdata(c, o->binary);
	int rc = pgo_fdata_sort(f, err);

	o->records = f->n_edges;
	if (rc == 0)
		rc = pgo_fdata_write(f, &o->data, err);
	if (rc == 0)
		rc = pgo_buf_check(&o->data, o->path, err);
	if (rc == 0)
		rc = read_back_fdata(o, err);
	return rc;
}
