/* SPDX-License-Identifier: Apache-2.0 */
/* One ordinary profile out of the parts of an object. */
#include "fetch/columns.h"
#include "fetch/parca_impl.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"

#include <string.h>

/* Can the column be divided by the period in all its pieces? */
static int is_divisible(const struct pgo_parca_source *s, const struct pgo_parca_object *o,
	const char *const *paths, size_t n, bool *ret, struct pgo_err *err)
{
	struct pgo_parca_totals t = {.divisible = true, .by = o->period};
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0 && o->period > 1; i++) {
		struct pgo_parca_part p = pgo_parca_part_at(s, o, (unsigned)i);

		if (p.kind == PGO_PARCA_COLUMN && pgo_parca_is_product(p.type) && paths[i] != NULL)
			rc = pgo_parca_add_up(paths[i], &t, err);
	}
	*ret = t.divisible && o->period > 0;
	return rc;
}

static bool has_column(const struct pgo_parca_family *f, const struct pgo_parca_object *o,
	const char *type, const char *unit)
{
	for (size_t i = 0; i < f->n; i++)
		if (o->cells[i].rows != 0 && strcmp(f->types[i].sample_type, type) == 0 &&
			strcmp(f->types[i].sample_unit, unit) == 0)
			return true;
	return false;
}

static int add_part(struct pgo_columns *c, const struct pgo_parca_object *o,
	const struct pgo_parca_part *p, bool divide, const char *path, struct pgo_err *err)
{
	struct pgo_err local = PGO_ERR_INIT;
	struct pgo_buf hold;
	struct pgo_reader *rd = pgo_parca_read(path, &hold, &local);
	bool product = pgo_parca_is_product(p->type);
	int rc = local.code;

	if (rc < 0)
		;
	else if (product && !divide)
		rc = pgo_columns_add(c, p->type->period_type, p->type->period_unit, rd, &local);
	else if (product && rd != NULL)
		rc = pgo_columns_add_divided(
			c, p->type->sample_type, p->type->sample_unit, rd, o->period, &local);
	else
		rc = pgo_columns_add(c, p->type->sample_type, p->type->sample_unit, rd, &local);
	pgo_reader_close(rd);
	pgo_buf_fini(&hold);
	if (rc < 0 && err != NULL)
		*err = local;
	return rc;
}

/* The labels under the names that ours have. */
static int name_labels(const struct pgo_parca_source *s, const struct pgo_parca_object *o,
	struct pgo_kv **ret, size_t *ret_n, struct pgo_err *err)
{
	const struct pgo_parca_labels *set = &s->labels[o->labels];
	struct pgo_kv *kv = pgo_calloc(set->n + 1, sizeof *kv);

	if (kv == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < set->n; i++) {
		kv[i] = set->kv[i];
		if (strcmp(kv[i].key, s->names.host) == 0)
			kv[i].key = (char *)(uintptr_t) "host";
		else if (strcmp(kv[i].key, s->names.service) == 0)
			kv[i].key = (char *)(uintptr_t) "service";
		else if (strcmp(kv[i].key, s->names.version) == 0)
			kv[i].key = (char *)(uintptr_t) "version";
	}
	*ret = kv;
	*ret_n = set->n;
	return 0;
}

static int add_parts(struct pgo_columns *c, const struct pgo_parca_source *s,
	const struct pgo_parca_object *o, const char *const *paths, size_t n, struct pgo_err *err)
{
	const struct pgo_parca_family *f = &s->families[o->family];
	const struct pgo_parca_type *product = pgo_parca_product_of(f, o);
	bool divide = false, twice;
	int rc = product != NULL ? is_divisible(s, o, paths, n, &divide, err) : 0;

	if (rc < 0)
		return rc;
	twice = product != NULL && !divide &&
		has_column(f, o, product->period_type, product->period_unit);
	if (product != NULL && !divide)
		pgo_warn("%s: the store multiplies counts of samples by their period, which here "
			 "is not one and the same; the column is %s",
			o->name, twice ? "left out" : "kept as what it was made to");
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct pgo_parca_part p = pgo_parca_part_at(s, o, (unsigned)i);

		if (p.kind != PGO_PARCA_COLUMN || (twice && pgo_parca_is_product(p.type)))
			continue;
		if (paths[i] != NULL)
			rc = add_part(c, o, &p, divide, paths[i], err);
	}
	return rc;
}

int pgo_parca_assemble(struct pgo_source *src, const char *name, const char *const *paths, size_t n,
	const char *to_path, struct pgo_err *err)
{
	const struct pgo_parca_source *s = (const struct pgo_parca_source *)src;
	const struct pgo_parca_object *o = pgo_parca_object_of(s, name);
	const struct pgo_parca_type *t = &s->families[o->family].types[0];
	struct pgo_columns_header h = {.time_ns = o->from_ns,
		.duration_ns = o->to_ns - o->from_ns,
		.period_type = t->period_type,
		.period_unit = t->period_unit,
		.period = o->period};
	struct pgo_columns *c = pgo_columns_new(err);
	struct pgo_kv *labels = NULL;
	int rc;

	if (c == NULL)
		return PGO_ENOMEM;
	rc = name_labels(s, o, &labels, &h.n_labels, err);
	h.labels = labels;
	if (rc == 0)
		rc = add_parts(c, s, o, paths, n, err);
	if (rc == 0)
		rc = pgo_columns_write(c, &h, to_path, err);
	pgo_columns_free(c);
	pgo_free(labels);
	return rc;
}
