/* SPDX-License-Identifier: Apache-2.0 */
/* Views of the outputs about addresses, functions and blocks. */
#include "pgo/show.h"

#include "pgo/core/alloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static size_t shown(const struct pgo_show *s, size_t n)
{
	return s->all || s->top == 0 || s->top > n ? n : s->top;
}

/* Opens the view: "FILE: WHAT", or {"file", "kind". */
static void begin(const struct pgo_show *s, const char *kind, const char *what)
{
	if (s->json == NULL) {
		pgo_buf_printf(s->out, "%s: %s\n", s->path, what);
		return;
	}
	pgo_json_object(s->json);
	pgo_json_kv_str(s->json, "file", s->path);
	pgo_json_kv_str(s->json, "kind", kind);
}

/* ---- pre-aggregated records */

static int hotter(const void *pa, const void *pb, void *ctx)
{
	const struct pgo_preagg_record *r = ctx;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	if (r[a].count != r[b].count)
		return r[a].count < r[b].count ? 1 : -1;
	return (a > b) - (a < b);
}

static void preagg_record(const struct pgo_show *s, const struct pgo_preagg_record *r)
{
	const char type[2] = {r->type, '\0'};
	size_t n = r->type == 'S' ? 1 : r->type == 'T' || r->type == 'R' ? 3 : 2;

	if (s->json == NULL) {
		pgo_buf_printf(
			s->out, "  %12" PRIu64 " %10" PRIu64 "  %s", r->count, r->mispreds, type);
		for (size_t i = 0; i < n; i++)
			pgo_buf_printf(s->out, " %" PRIx64, r->at[i]);
		pgo_buf_putc(s->out, '\n');
		return;
	}
	pgo_json_object(s->json);
	pgo_json_kv_str(s->json, "type", type);
	pgo_json_key(s->json, "addresses");
	pgo_json_array(s->json);
	for (size_t i = 0; i < n; i++)
		pgo_json_u64(s->json, r->at[i]);
	pgo_json_end_array(s->json);
	pgo_json_kv_u64(s->json, "count", r->count);
	pgo_json_kv_u64(s->json, "mispredicts", r->mispreds);
	pgo_json_end_object(s->json);
}

static void preagg_totals(const struct pgo_show *s, const struct pgo_preagg *p)
{
	for (const char *t = PGO_PREAGG_TYPES; *t != '\0'; t++) {
		const char type[2] = {*t, '\0'};
		uint64_t n = 0, count = 0;

		for (size_t i = 0; i < p->n_records; i++) {
			if (p->records[i].type != *t)
				continue;
			n++;
			count += p->records[i].count;
		}
		if (n != 0 && s->json == NULL)
			pgo_buf_printf(s->out,
				"  %12" PRIu64 " records %s, counts sum %" PRIu64 "\n", n, type,
				count);
		else if (n != 0)
			pgo_json_kv_u64(s->json, type, count);
	}
}

int pgo_show_preagg(const struct pgo_show *s, const struct pgo_preagg *p, struct pgo_err *err)
{
	uint32_t *order = pgo_malloc(p->n_records * sizeof *order);

	if (order == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < p->n_records; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, p->n_records, sizeof *order, hotter, p->records);
	begin(s, "preaggregated", "pre-aggregated records for perf2bolt --pa");
	if (s->json != NULL) {
		pgo_json_kv_u64(s->json, "records", p->n_records);
		pgo_json_key(s->json, "counts");
		pgo_json_object(s->json);
	}
	preagg_totals(s, p);
	if (s->json != NULL) {
		pgo_json_end_object(s->json);
		pgo_json_key(s->json, "hottest");
		pgo_json_array(s->json);
	} else {
		pgo_buf_printf(s->out, "  %12s %10s  %s\n", "count", "mispredict", "record");
	}
	for (size_t i = 0; i < shown(s, p->n_records); i++)
		preagg_record(s, &p->records[order[i]]);
	if (s->json != NULL) {
		pgo_json_end_array(s->json);
		pgo_json_end_object(s->json);
	}
	pgo_free(order);
	return 0;
}

/* ---- Propeller's clusters */

static void cluster_fn(
	const struct pgo_show *s, const struct pgo_propeller *p, const struct pgo_cluster_fn *f)
{
	const char *name = pgo_strtab_get(&p->strs, p->names[f->first_name]);

	if (s->json == NULL) {
		pgo_buf_printf(s->out, "  %6" PRIu32 " blocks  %s", f->n_blocks, name);
		for (uint32_t i = 1; i < f->n_names; i++)
			pgo_buf_printf(s->out, " = %s",
				pgo_strtab_get(&p->strs, p->names[f->first_name + i]));
		for (uint32_t i = 0; s->all && i < f->n_blocks; i++)
			pgo_buf_printf(s->out, "%s%" PRIu32,
				p->blocks[f->first_block + i].first ? "\n                " : " ",
				p->blocks[f->first_block + i].id);
		pgo_buf_putc(s->out, '\n');
		return;
	}
	pgo_json_object(s->json);
	pgo_json_kv_str(s->json, "name", name);
	pgo_json_key(s->json, "blocks");
	pgo_json_array(s->json);
	for (uint32_t i = 0; i < f->n_blocks; i++)
		pgo_json_u64(s->json, p->blocks[f->first_block + i].id);
	pgo_json_end_array(s->json);
	pgo_json_end_object(s->json);
}

int pgo_show_propeller(const struct pgo_show *s, const struct pgo_propeller *p, struct pgo_err *err)
{
	const char *wanted = s->function;
	size_t n = 0;

	begin(s, "propeller", "block clusters for clang -fbasic-block-sections=list");
	if (s->json != NULL) {
		pgo_json_kv_u64(s->json, "functions", p->n_fns);
		pgo_json_kv_u64(s->json, "blocks", p->n_blocks);
		pgo_json_key(s->json, "order");
		pgo_json_array(s->json);
	} else {
		pgo_buf_printf(s->out, "  %zu functions, %zu blocks; in the order of calls:\n",
			p->n_fns, p->n_blocks);
	}
	for (size_t i = 0; i < (wanted != NULL ? p->n_fns : shown(s, p->n_fns)); i++) {
		const char *name = pgo_strtab_get(&p->strs, p->names[p->fns[i].first_name]);

		if (wanted != NULL && strcmp(wanted, name) != 0)
			continue;
		n++;
		cluster_fn(s, p, &p->fns[i]);
	}
	if (s->json != NULL) {
		pgo_json_end_array(s->json);
		pgo_json_end_object(s->json);
	}
	if (wanted != NULL && n == 0)
		return pgo_err_set(err, PGO_ENOTFOUND,
			"%s has no clusters of a function called '%s'", s->path, wanted);
	return 0;
}
