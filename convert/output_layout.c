/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs, encoded and read back: those about addresses, functions and blocks. */
#include "convert/callgraph.h"
#include "convert/output_impl.h"
#include "convert/preagg.h"
#include "convert/propeller.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"

#include <inttypes.h>

static int read_back_preagg(const struct pgo_output *o, struct pgo_err *err)
{
	struct pgo_preagg *p = pgo_preagg_read(o->path, o->data.data, o->data.len, err);
	struct pgo_buf again;
	int rc;

	if (p == NULL)
		return pgo_err_prefix(err, "reading back");
	pgo_buf_init(&again, PGO_OUTPUT_MAX);
	pgo_preagg_sort(p);
	rc = pgo_preagg_write(p, &again, err);
	if (rc == 0)
		rc = pgo_output_compare(o, &again, "pre-aggregated", err);
	pgo_buf_fini(&again);
	pgo_preagg_free(p);
	return rc;
}

int pgo_encode_preagg(struct pgo_output *o, const struct pgo_convert *c, struct pgo_err *err)
{
	struct pgo_convert_view v;
	struct pgo_preagg *p;
	int rc;

	pgo_convert_look(c, o->binary, &v);
	p = pgo_preagg_make(v.ranges, v.fns, o->traces, v.event, err);
	if (p == NULL)
		return PGO_ENOMEM;
	o->records = p->n_records;
	rc = pgo_preagg_write(p, &o->data, err);
	pgo_preagg_free(p);
	return rc == 0 ? read_back_preagg(o, err) : rc;
}

/* ------------------------------------------------------------------ orders */

static int read_back_order(const struct pgo_output *o, struct pgo_err *err)
{
	struct pgo_linkorder l;
	struct pgo_buf again;
	int rc = pgo_linkorder_init(&l, err);

	if (rc < 0)
		return rc;
	pgo_buf_init(&again, PGO_OUTPUT_MAX);
	rc = pgo_linkorder_read(&l, o->form, o->path, o->data.data, o->data.len, err);
	if (rc < 0)
		rc = pgo_err_prefix(err, "reading back");
	if (rc == 0)
		rc = pgo_linkorder_write(&l, o->form, &again, err);
	if (rc == 0)
		rc = pgo_output_compare(o, &again, pgo_link_form_name(o->form), err);
	pgo_buf_fini(&again);
	pgo_linkorder_fini(&l);
	return rc;
}

static int write_order(struct pgo_output *o, const struct pgo_linkorder *l, struct pgo_err *err)
{
	int rc = pgo_linkorder_write(l, o->form, &o->data, err);

	if (l->n_unfit != 0)
		pgo_warn("%s: %zu %s left out, because the file's form cannot hold their names",
			o->path, l->n_unfit, pgo_output_type(o->kind)->records);
	o->records = l->n_lines;
	return rc == 0 ? read_back_order(o, err) : pgo_err_prefix(err, "%s", o->path);
}

static const char *name_of(const struct pgo_codefns *fns, uint32_t i)
{
	return fns->fns[i].symbol->name;
}

static int list_functions(struct pgo_linkorder *l, enum pgo_link_form form,
	const struct pgo_callgraph *g, const struct pgo_codefns *fns, struct pgo_err *err)
{
	uint32_t *order = pgo_calloc(g->n_fns + 1, sizeof *order);
	size_t n = 0;
	int rc = order != NULL ? pgo_callgraph_order(g, order, &n, err) : pgo_err_nomem(err);

	for (size_t i = 0; i < n && rc == 0; i++)
		if (pgo_linkorder_add(l, form, name_of(fns, order[i]), NULL, 0) < 0)
			rc = pgo_err_nomem(err);
	pgo_free(order);
	return rc;
}

static int list_calls(struct pgo_linkorder *l, const struct pgo_callgraph *g,
	const struct pgo_codefns *fns, struct pgo_err *err)
{
	for (size_t i = 0; i < g->n_edges; i++)
		if (pgo_linkorder_add(l, PGO_LINK_CALLS, name_of(fns, g->edges[i].from),
			    name_of(fns, g->edges[i].to), g->edges[i].count) < 0)
			return pgo_err_nomem(err);
	return 0;
}

static int encode_graph(struct pgo_output *o, const struct pgo_convert *c, struct pgo_err *err)
{
	struct pgo_callgraph g = {0};
	struct pgo_convert_view v;
	struct pgo_linkorder l;
	int rc = pgo_linkorder_init(&l, err);

	if (rc < 0)
		return rc;
	pgo_convert_look(c, o->binary, &v);
	rc = pgo_callgraph_make(&g, v.elf, v.fns, v.ranges, err);
	if (rc == 0)
		rc = o->form == PGO_LINK_CALLS ? list_calls(&l, &g, v.fns, err)
					       : list_functions(&l, o->form, &g, v.fns, err);
	if (rc == 0)
		rc = write_order(o, &l, err);
	pgo_callgraph_fini(&g);
	pgo_linkorder_fini(&l);
	return rc;
}

int pgo_encode_symbol_order(struct pgo_output *o, const struct pgo_convert *c, struct pgo_err *err)
{
	return encode_graph(o, c, err);
}

int pgo_encode_call_graph(struct pgo_output *o, const struct pgo_convert *c, struct pgo_err *err)
{
	return encode_graph(o, c, err);
}

/* ------------------------------------------------------------------ Propeller */

static struct pgo_propeller *make_propeller(
	const struct pgo_output *o, const struct pgo_convert *c, struct pgo_err *err)
{
	struct pgo_convert_view v;
	struct pgo_propeller *p;

	pgo_convert_look(c, o->binary, &v);
	p = pgo_propeller_make(v.elf, v.symbols, v.fns, v.ranges, err);
	if (p == NULL)
		(void)pgo_err_prefix(err, "%s", o->path);
	return p;
}

static int failed(const struct pgo_err *err)
{
	return err != NULL && err->code != 0 ? (int)err->code : PGO_ENOMEM;
}

static int read_back_propeller(const struct pgo_output *o, struct pgo_err *err)
{
	struct pgo_propeller *p = pgo_propeller_read(o->path, o->data.data, o->data.len, err);
	struct pgo_buf again;
	int rc;

	if (p == NULL)
		return pgo_err_prefix(err, "reading back");
	pgo_buf_init(&again, PGO_OUTPUT_MAX);
	rc = pgo_propeller_write(p, o->version, &again, err);
	if (rc == 0)
		rc = pgo_output_compare(o, &again, "Propeller", err);
	pgo_buf_fini(&again);
	pgo_propeller_free(p);
	return rc;
}

int pgo_encode_propeller(struct pgo_output *o, const struct pgo_convert *c, struct pgo_err *err)
{
	struct pgo_propeller *p = make_propeller(o, c, err);
	int rc;

	if (p == NULL)
		return failed(err);
	if (p->n_ambiguous != 0)
		pgo_warn("%s: %zu functions share their names with other local ones and are left "
			 "out; -funique-internal-linkage-names tells them apart",
			o->path, p->n_ambiguous);
	o->records = p->n_fns;
	rc = pgo_propeller_write(p, o->version, &o->data, err);
	pgo_propeller_free(p);
	return rc == 0 ? read_back_propeller(o, err) : rc;
}

int pgo_encode_propeller_order(
	struct pgo_output *o, const struct pgo_convert *c, struct pgo_err *err)
{
	struct pgo_propeller *p = make_propeller(o, c, err);
	struct pgo_linkorder l;
	int rc;

	if (p == NULL)
		return failed(err);
	rc = pgo_linkorder_init(&l, err);
	if (rc == 0) {
		rc = pgo_propeller_order(p, &l, err);
		if (rc == 0)
			rc = write_order(o, &l, err);
		pgo_linkorder_fini(&l);
	}
	pgo_propeller_free(p);
	return rc;
}
