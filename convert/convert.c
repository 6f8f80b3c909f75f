/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/convert_impl.h"

#include "convert/debugfile.h"
#include "convert/edges.h"
#include "convert/plain.h"
#include "convert/positions.h"
#include "pgo/core/alloc.h"

#include <stdlib.h>
#include <string.h>

struct pgo_convert *pgo_convert_new(const struct pgo_convert_options *o, struct pgo_err *err)
{
	struct pgo_convert *c = pgo_calloc(1, sizeof *c);

	if (c == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	c->o = *o;
	c->executions = true;
	pgo_ranges_init(&c->ranges);
	c->elf = pgo_elf_open(o->binary, err);
	if (c->elf == NULL) {
		pgo_convert_free(c);
		return NULL;
	}
	return c;
}

void pgo_convert_free(struct pgo_convert *c)
{
	if (c == NULL)
		return;
	pgo_ranges_fini(&c->ranges);
	pgo_codefns_fini(&c->fns);
	pgo_lines_close(c->lines);
	pgo_fnprof_free(c->fnprof);
	pgo_fdata_free(c->fdata);
	for (size_t i = 0; i < c->account.n_hottest; i++)
		pgo_free(c->account.hottest[i].name);
	pgo_elf_close(c->debug_elf);
	pgo_elf_close(c->elf);
	pgo_free(c->event);
	pgo_free(c->other_file);
	pgo_free(c);
}

/* ------------------------------------------------------------------ running */

/* Addresses whose units and functions the debug information is wanted of: sorted, unique. */
static int wanted_addresses(const struct pgo_convert *c, uint64_t **ret, size_t *ret_n)
{
	const struct pgo_ranges *r = &c->ranges;
	size_t n = 0, k = 0;
	uint64_t *w = pgo_calloc(2 * r->n_traces + c->fns.n_fns + 1, sizeof *w);

	if (w == NULL)
		return -1;
	for (size_t i = 0; i < c->fns.n_fns; i++)
		w[n++] = c->fns.fns[i].start;
	for (size_t i = 0; i < r->n_traces; i++) {
		if (pgo_at_inside(r->traces[i].target))
			w[n++] = r->traces[i].target;
		if (pgo_at_inside(r->traces[i].source))
			w[n++] = r->traces[i].source;
	}
	if (n != 0)
		qsort(w, n, sizeof *w, pgo_compare_u64);
	for (size_t i = 0; i < n; i++) {
		if (k == 0 || w[k - 1] != w[i])
			w[k++] = w[i];
	}
	*ret = w;
	*ret_n = k;
	return 0;
}

static int open_lines(struct pgo_convert *c, struct pgo_err *err)
{
	uint64_t *wanted;
	size_t n;

	c->fnprof = pgo_fnprof_new(err);
	if (c->fnprof == NULL)
		return PGO_ENOMEM;
	if (wanted_addresses(c, &wanted, &n) < 0)
		return pgo_err_nomem(err);
	c->lines = pgo_lines_open(c->elf, c->o.debug, wanted, n, &c->fnprof->strs, err);
	pgo_free(wanted);
	if (c->lines == NULL)
		return err != NULL ? (int)err->code : PGO_EFORMAT;
	c->account.debug_file = pgo_lines_debug_file(c->lines);
	return 0;
}

/* The symbol table: the binary's own, or that of its debug file. */
static int open_symbols(struct pgo_convert *c, struct pgo_err *err)
{
	char *path;

	if (c->elf->has_symtab)
		return 0;
	path = pgo_debugfile_find(c->elf, c->o.debug, NULL);
	if (path == NULL || strcmp(path, c->elf->path) == 0) {
		pgo_free(path);
		return 0;
	}
	c->debug_elf = pgo_elf_open(path, err);
	pgo_free(path);
	return c->debug_elf != NULL ? 0 : err != NULL ? (int)err->code : PGO_EFORMAT;
}

static int find_functions(struct pgo_convert *c)
{
	const struct pgo_ranges *r = &c->ranges;

	for (size_t i = 0; i < r->n_traces; i++) {
		const struct pgo_trace *t = &r->traces[i];

		if ((pgo_at_inside(t->target) && pgo_codefns_add(&c->fns, t->target) < 0) ||
			(pgo_at_inside(t->source) && pgo_codefns_add(&c->fns, t->source) < 0))
			return -1;
	}
	pgo_codefns_finish(&c->fns);
	return 0;
}

/* The other parts of the functions that ran: their instructions did not, and that counts. */
static int add_parts(struct pgo_convert *c)
{
	for (size_t i = 0; i < pgo_lines_n_fns(c->lines); i++) {
		const struct pgo_lines_fn *fn = pgo_lines_fn(c->lines, (uint32_t)i);

		for (uint32_t k = 0; fn->n_ranges > 1 && k < fn->n_ranges; k++) {
			uint64_t lo, hi;

			pgo_lines_range(c->lines, fn, k, &lo, &hi);
			if (pgo_codefns_add(&c->fns, lo) < 0)
				return -1;
		}
	}
	pgo_codefns_finish(&c->fns);
	return 0;
}

/* ------------------------------------------------------------------ putting it together */

static int run_pass(struct pgo_convert *c, struct pgo_pass *p, struct pgo_err *err)
{
	struct pgo_strtab *names = c->fnprof != NULL ? &c->fnprof->strs : &c->fdata->strs;
	int rc;

	rc = pgo_pass_run(p, err);
	if (rc < 0)
		return rc;
	if (!c->account.lbr) /* the ranges were made of samples, which are counted already */
		c->account.ranges_used = c->account.ranges_misaligned = 0;
	if (c->account.executions == 0)
		return pgo_convert_nothing_ran(c, err);
	if ((p->positions != NULL && pgo_positions_finish(p->positions, p) < 0) ||
		pgo_convert_figures(c, p, names) < 0)
		return pgo_err_nomem(err);
	if (c->o.want_fdata && !c->account.lbr) {
		struct pgo_edges samples = {.fdata = c->fdata};

		if (pgo_plain_samples(&samples, p, c->event != NULL ? c->event : "") < 0)
			return pgo_err_nomem(err);
	}
	if (rc == 0 && c->fdata != NULL)
		rc = pgo_fdata_sort(c->fdata, err);
	if (rc == 0 && c->fnprof != NULL && c->account.no_line == c->account.executions)
		return pgo_err_set(err, PGO_EEMPTY,
			"%s: no instruction that ran has a source line and a declaration line: "
			"rebuild with -g (clang: -gmlt -fdebug-info-for-profiling at least)",
			c->account.debug_file);
	return rc;
}

static int prepare(struct pgo_convert *c, struct pgo_err *err)
{
	struct pgo_account *a = &c->account;
	int rc;

	a->lbr = c->ranges.n_traces != 0;
	if (!a->lbr && c->ranges.n_ips == 0)
		return pgo_convert_nothing_fits(c, err);
	if (a->lbr) { /* plain samples beside branch records are another view of the same */
		a->plain_read = a->plain_used = 0;
		memset(a->plain_loss, 0, sizeof a->plain_loss);
	}
	pgo_ranges_sort(&c->ranges, a->lbr && c->executions);
	a->mapped_share = pgo_convert_mapped_share(a);
	rc = open_symbols(c, err);
	if (rc < 0)
		return rc;
	pgo_codefns_init(&c->fns, c->debug_elf != NULL ? c->debug_elf : c->elf);
	if (!a->lbr) {
		rc = pgo_plain_to_ranges(&c->ranges, c->fns.symbols, c->elf, err);
		if (rc < 0)
			return rc;
	}
	return find_functions(c) < 0 ? pgo_err_nomem(err) : 0;
}

int pgo_convert_run(struct pgo_convert *c, struct pgo_err *err)
{
	struct pgo_positions positions = {0};
	struct pgo_edges edges = {0};
	struct pgo_pass p = {0};
	int rc;

	rc = prepare(c, err);
	if (rc == 0 && c->o.want_fnprof)
		rc = open_lines(c, err);
	if (rc == 0 && c->lines != NULL && add_parts(c) < 0)
		rc = pgo_err_nomem(err);
	if (rc == 0)
		rc = pgo_codefns_find_joints(&c->fns, c->elf, err);
	if (rc < 0)
		goto out;
	p = (struct pgo_pass){.elf = c->elf,
		.symbols = c->fns.symbols,
		.lines = c->lines,
		.ranges = &c->ranges,
		.fns = &c->fns,
		.account = &c->account};
	if (c->lines != NULL) {
		p.positions = &positions;
		if (pgo_positions_init(&positions, c->fnprof, &p) < 0) {
			rc = pgo_err_nomem(err);
			goto out;
		}
	}
	if (c->o.want_fdata || c->fnprof == NULL) {
		c->fdata = pgo_fdata_new(err);
		rc = c->fdata != NULL ? 0 : PGO_ENOMEM;
		edges.fdata = c->fdata;
		p.edges = c->account.lbr && c->o.want_fdata ? &edges : NULL;
	}
	if (rc == 0)
		rc = run_pass(c, &p, err);
out:
	pgo_positions_fini(&positions);
	pgo_pass_fini(&p);
	return rc;
}

const struct pgo_fnprof *pgo_convert_fnprof(const struct pgo_convert *c)
{
	return c->fnprof;
}

struct pgo_fdata *pgo_convert_fdata(const struct pgo_convert *c)
{
	return c->fdata;
}

void pgo_convert_look(const struct pgo_convert *c, struct pgo_convert_view *ret)
{
	*ret = (struct pgo_convert_view){.elf = c->elf,
		.symbols = c->fns.symbols,
		.ranges = &c->ranges,
		.fns = &c->fns,
		.event = c->event};
}

const struct pgo_account *pgo_convert_account(const struct pgo_convert *c)
{
	return &c->account;
}
