/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/plain.h"

#include <stdlib.h>
#include <string.h>

/* One range for every part of the block [first, last] that ends in a call, and one for the rest. */
static int add_block(
	struct pgo_ranges *r, const struct pgo_cfg *c, size_t first, size_t last, uint64_t samples)
{
	uint64_t n = last - first + 1, count;

	if (samples == 0)
		return 0;
	count = (uint64_t)(((unsigned __int128)samples * PGO_PLAIN_SCALE + n / 2) / n);
	for (size_t i = first; i <= last; i++) {
		struct pgo_trace t = {.source = PGO_AT_NONE,
			.target = c->insns[first].addr,
			.end = c->insns[i].addr,
			.count = count != 0 ? count : 1};

		if (i != last && !pgo_insn_is_call(c->insns[i].kind))
			continue;
		if (pgo_ranges_add(r, &t) < 0)
			return -1;
		first = i + 1;
	}
	return 0;
}

static int add_function(
	struct pgo_ranges *r, const struct pgo_cfg *c, const struct pgo_ip *ips, size_t n_ips)
{
	size_t k = 0;

	for (size_t i = 0; i < c->n_insns;) {
		size_t first = i;
		uint64_t samples = 0;

		do {
			uint64_t end = c->insns[i].addr + c->insns[i].size;

			/* With skid a sample may lie inside an instruction. */
			for (; k < n_ips && ips[k].addr < end; k++)
				samples = pgo_add_sat(samples, ips[k].count);
			i++;
		} while (i < c->n_insns && !c->insns[i].leader);
		if (add_block(r, c, first, i - 1, samples) < 0)
			return -1;
	}
	return 0;
}

int pgo_plain_to_ranges(struct pgo_ranges *r, const struct pgo_elf *symbols,
	const struct pgo_elf *code, struct pgo_err *err)
{
	struct pgo_codefns fns;
	struct pgo_cfg cfg = {0};
	size_t k = 0;
	int rc = 0;

	pgo_codefns_init(&fns, symbols);
	for (size_t i = 0; i < r->n_ips && rc == 0; i++) {
		if (pgo_codefns_add(&fns, r->ips[i].addr) < 0)
			rc = pgo_err_nomem(err);
	}
	pgo_codefns_finish(&fns);
	for (size_t f = 0; f < fns.n_fns && rc == 0; f++) {
		size_t first;

		while (k < r->n_ips && r->ips[k].addr < fns.fns[f].start)
			k++;
		for (first = k; k < r->n_ips && r->ips[k].addr < fns.fns[f].end;)
			k++;
		rc = pgo_cfg_decode(&cfg, code, fns.fns[f].start, fns.fns[f].end, NULL, 0, err);
		if (rc == 0 && add_function(r, &cfg, &r->ips[first], k - first) < 0)
			rc = pgo_err_nomem(err);
	}
	pgo_cfg_fini(&cfg);
	pgo_codefns_fini(&fns);
	if (rc == 0)
		pgo_ranges_sort(r, false);
	return rc;
}

int pgo_plain_samples(struct pgo_edges *e, const struct pgo_pass *p, const char *event)
{
	const struct pgo_ranges *r = p->ranges;

	e->fdata->no_lbr = true;
	/* BOLT divides by instructions only for events it knows. */
	e->fdata->events = pgo_strtab_puts(
		&e->fdata->strs, strstr(event, "instr") != NULL ? "instructions" : "cycles");
	if (e->fdata->events == PGO_STR_NONE)
		return -1;
	for (size_t i = 0; i < r->n_ips; i++) {
		struct pgo_fdata_loc at, none = {0};

		if (pgo_edges_locate(e, p, r->ips[i].addr, &at) < 0)
			return -1;
		if (at.known && pgo_fdata_add(e->fdata, at, none, 0, r->ips[i].count) < 0)
			return -1;
	}
	return 0;
}
