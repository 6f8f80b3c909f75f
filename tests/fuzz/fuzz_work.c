/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a table of work, laid over a few replicates: it parses or says why not, rows and
 * profiles add up, and no replicate gets work that is no number.
 */
#include "verify/costs.h"
#include "verify/work.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void lay_over(struct pgo_work *w, struct pgo_costs *c)
{
	static const struct {
		const char *input, *host;
		int64_t start, end;
	} reps[] = {{"before/web1.pb.gz", "web1", 1700000000, 1700003600},
		{"after/web1.pb.gz", "web1", 1700090000, 1700090000},
		{"after/all.pb.gz#2", "web2", 1700090000, 1700093600},
		{"after/all.pb.gz#2", "", 0, 0}};
	struct pgo_verdict_work got = {0};
	struct pgo_err err = PGO_ERR_INIT;

	for (size_t i = 0; i < sizeof reps / sizeof *reps; i++) {
		struct pgo_cost_rep rep = {.after = i > 0,
			.input = pgo_strtab_puts(&c->strs, reps[i].input),
			.host = pgo_strtab_puts(&c->strs, reps[i].host),
			.start_ns = reps[i].start * 1000000000,
			.end_ns = reps[i].end * 1000000000,
			.work = -1};

		if (pgo_costs_add_rep(c, &rep) == UINT32_MAX)
			return;
	}
	if (pgo_costs_sort(c, &err) < 0 || pgo_work_apply(w, c, &got, &err) < 0)
		return;
	if (got.rows != got.rows_used + got.rows_unmatched + got.rows_zero ||
		got.profiles != got.profiles_with + got.profiles_without)
		abort();
	for (size_t i = 0; i < c->n_reps; i++)
		if (isnan(c->reps[i].work))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_work w;
	struct pgo_costs c;

	if (pgo_work_parse(&w, "fuzz.csv", (const char *)data, size, &err) < 0)
		return 0;
	if (pgo_costs_init(&c, &err) == 0) {
		lay_over(&w, &c);
		pgo_costs_fini(&c);
	}
	pgo_work_fini(&w);
	return 0;
}
