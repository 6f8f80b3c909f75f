/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/plain.h"

#include "convert/flow_traces.h"
#include "pgo/core/alloc.h"
#include "pgo/core/map.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ functions and their parts */

struct family { /* a function symbol, by the name it shares with what was split off from it */
	uint64_t name;
	const struct pgo_codefn *fn;
};

static uint64_t family_name(const char *name)
{
	const char *tail = pgo_codefn_cold_tail(name);

	return pgo_hash(name, tail != NULL ? (size_t)(tail - name) : strlen(name));
}

static int compare_families(const void *pa, const void *pb)
{
	const struct family *a = pa, *b = pb;

	if (a->name != b->name)
		return a->name < b->name ? -1 : 1;
	return a->fn->start < b->fn->start ? -1 : a->fn->start > b->fn->start;
}

static bool known_name(const uint64_t *names, size_t n, uint64_t name)
{
	return bsearch(&name, names, n, sizeof *names, pgo_compare_u64) != NULL;
}

/* The family names of the functions found so far, sorted; of split-off parts only, if `cold`. */
static uint64_t *family_names(const struct pgo_codefns *fns, bool cold, size_t *ret_n)
{
	uint64_t *names = pgo_calloc(fns->n_fns + 1, sizeof *names);
	size_t n = 0;

	for (size_t i = 0; names != NULL && i < fns->n_fns; i++) {
		const char *name = fns->fns[i].symbol->name;

		if (!cold || pgo_codefn_cold_tail(name) != NULL)
			names[n++] = family_name(name);
	}
	if (n != 0)
		qsort(names, n, sizeof *names, pgo_compare_u64);
	*ret_n = n;
	return names;
}

/* Adds split-off parts of what was found, or what split-off parts that were found are parts of. */
static int add_relatives(struct pgo_codefns *fns, bool cold)
{
	const struct pgo_elf *e = fns->symbols;
	uint64_t *names;
	size_t n;
	int rc = 0;

	names = family_names(fns, !cold, &n);
	if (names == NULL)
		return -1;
	for (size_t i = 0; n != 0 && i < e->n_symbols && rc == 0; i++) {
		const struct pgo_symbol *s = &e->symbols[i];

		if ((pgo_codefn_cold_tail(s->name) != NULL) == cold &&
			known_name(names, n, family_name(s->name)))
			rc = pgo_codefns_add(fns, s->addr);
	}
	pgo_free(names);
	pgo_codefns_finish(fns);
	return rc;
}

/* The sampled functions, and the other parts of those that were split. */
static int find_functions(struct pgo_codefns *fns, const struct pgo_ranges *r)
{
	for (size_t i = 0; i < r->n_ips; i++) {
		if (pgo_codefns_add(fns, r->ips[i].addr) < 0)
			return -1;
	}
	pgo_codefns_finish(fns);
	return add_relatives(fns, false) < 0 ? -1 : add_relatives(fns, true);
}

static struct family *find_families(const struct pgo_codefns *fns)
{
	struct family *v = pgo_calloc(fns->n_fns + 1, sizeof *v);

	for (size_t i = 0; v != NULL && i < fns->n_fns; i++)
		v[i] = (struct family){family_name(fns->fns[i].symbol->name), &fns->fns[i]};
	if (v != NULL && fns->n_fns != 0)
		qsort(v, fns->n_fns, sizeof *v, compare_families);
	return v;
}

/* ------------------------------------------------------------------ samples in no function */

static void lose(uint64_t *from, uint64_t *to, uint64_t n)
{
	*from -= n < *from ? n : *from;
	*to = pgo_add_sat(*to, n);
}

/* In linkage stubs, or in code without a symbol. */
static void lose_unknown(struct pgo_account *a, const struct pgo_ranges *r,
	const struct pgo_codefns *fns, const struct pgo_elf *code)
{
	size_t f = 0;

	for (size_t i = 0; i < r->n_ips; i++) {
		uint64_t addr = r->ips[i].addr;

		while (f < fns->n_fns && fns->fns[f].end <= addr)
			f++;
		if (f < fns->n_fns && addr >= fns->fns[f].start)
			continue;
		lose(&a->plain_used,
			pgo_plt_at(code, addr) != NULL ? &a->plain_stub : &a->plain_no_function,
			r->ips[i].count);
	}
}

/* ------------------------------------------------------------------ all functions */

struct estimator {
	const struct pgo_ranges *samples;
	double unit;
	struct pgo_account *account;
	struct pgo_flow flow;
	struct pgo_flow_sink sink;
	const struct pgo_codefn **fns; /* of one family */
};

static void tell(struct estimator *e)
{
	struct pgo_plain_estimate *t = &e->account->estimate;
	uint64_t samples = 0;
	size_t blocks = 0;

	for (size_t i = 0; i < e->flow.n_parts; i++) {
		samples = pgo_add_sat(samples, e->flow.parts[i].samples);
		blocks += e->flow.parts[i].live ? e->flow.parts[i].n_blocks : 0;
	}
	for (size_t i = 0; i < e->flow.n_blocks; i++)
		t->blocks_sampled += e->flow.balance.blocks[i].n_hits != 0;
	t->samples = pgo_add_sat(t->samples, samples);
	t->functions++;
	t->blocks += blocks;
	t->jumps_unknown += e->flow.n_jumps_unknown;
	if ((double)samples < PGO_PLAIN_FEW * e->unit) {
		t->functions_thin++;
		t->samples_thin = pgo_add_sat(t->samples_thin, samples);
	}
}

static int one_family(struct estimator *e, size_t n_fns, struct pgo_err *err)
{
	int rc;

	rc = pgo_flow_build(&e->flow, e->fns, n_fns, e->samples, e->unit, err);
	if (rc < 0)
		return rc;
	lose(&e->account->plain_used, &e->account->plain_misplaced, e->flow.misplaced);
	if (e->flow.balance.n_hits == 0)
		return 0;
	if (pgo_balance_solve(&e->flow.balance) < 0 || pgo_flow_traces(&e->sink, &e->flow) < 0)
		return pgo_err_nomem(err);
	tell(e);
	return 0;
}

static int all_families(struct estimator *e, const struct pgo_codefns *fns, struct pgo_err *err)
{
	struct family *v = find_families(fns);
	int rc = 0;

	e->fns = pgo_calloc(fns->n_fns + 1, sizeof(void *));
	if (v == NULL || e->fns == NULL)
		rc = pgo_err_nomem(err);
	for (size_t i = 0; i < fns->n_fns && rc == 0;) {
		size_t first = i;

		for (; i < fns->n_fns && v[i].name == v[first].name; i++)
			e->fns[i - first] = v[i].fn;
		rc = one_family(e, i - first, err);
	}
	pgo_free(v);
	return rc;
}

static int call_targets(struct estimator *e, struct pgo_callstack *stacks)
{
	struct pgo_plain_estimate *t = &e->account->estimate;
	struct pgo_callstack_report r;

	if (pgo_callstack_targets(stacks, &e->sink, &r) < 0)
		return -1;
	t->sites = r.sites;
	t->sites_known = r.sites_known;
	t->calls = r.calls;
	t->calls_known = r.calls_known;
	t->stacks_unreliable = r.unreliable;
	return 0;
}

int pgo_plain_to_ranges(struct pgo_ranges *r, const struct pgo_elf *symbols,
	const struct pgo_elf *code, struct pgo_callstack *stacks, double unit,
	struct pgo_account *a, struct pgo_err *err)
{
	struct estimator e = {.samples = r, .unit = unit, .account = a};
	struct pgo_landing landing = {0};
	struct pgo_labels labels = {0};
	struct pgo_noreturn noreturn;
	struct pgo_codefns fns;
	int rc;

	pgo_codefns_init(&fns, symbols);
	pgo_noreturn_init(&noreturn, symbols, code);
	pgo_flow_sink_init(&e.sink, r);
	e.flow.code = code;
	e.flow.landing = &landing;
	e.flow.labels = &labels;
	e.flow.noreturn = &noreturn;
	if (find_functions(&fns, r) < 0 || pgo_landing_init(&landing, code) < 0) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	lose_unknown(a, r, &fns, code);
	rc = all_families(&e, &fns, err);
	if (rc == 0 && (call_targets(&e, stacks) < 0 || pgo_flow_finish(&e.sink) < 0))
		rc = pgo_err_nomem(err);
	if (rc == 0)
		pgo_ranges_sort(r, false);
out:
	pgo_free(e.fns);
	pgo_flow_sink_fini(&e.sink);
	pgo_flow_fini(&e.flow);
	pgo_noreturn_fini(&noreturn);
	pgo_labels_fini(&labels);
	pgo_landing_fini(&landing);
	pgo_codefns_fini(&fns);
	return rc;
}
