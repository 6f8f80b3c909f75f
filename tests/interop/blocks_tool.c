/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block starts of every function of a program, as convert finds them without any profile:
 * `FUNCTION-START BLOCK-START`, hexadecimal, sorted.  For comparisons with llvm-bolt.
 */
#include "convert/cfg.h"
#include "convert/codefns.h"
#include "convert/landing.h"
#include "pgo/core/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void fail(const struct pgo_err *err)
{
	fprintf(stderr, "blocks_tool: %s\n", err->msg);
	exit(1);
}

int main(int argc, char **argv)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_elf *e = argc == 2 ? pgo_elf_open(argv[1], &err) : NULL;
	struct pgo_landing landing;
	struct pgo_codefns fns;
	struct pgo_cfg cfg = {0};
	uint64_t *extra = NULL;
	size_t n = 0, room = 0;

	if (e == NULL)
		fail(&err);
	pgo_codefns_init(&fns, e);
	for (size_t i = 0; i < e->n_symbols; i++) {
		if (e->symbols[i].function && pgo_codefns_add(&fns, e->symbols[i].addr) < 0)
			abort();
	}
	pgo_codefns_finish(&fns);
	if (pgo_codefns_find_joints(&fns, e, &err) < 0)
		fail(&err);
	if (pgo_landing_init(&landing, e) < 0)
		abort();
	for (size_t f = 0; f < fns.n_fns; f++) {
		uint64_t start = fns.fns[f].start, end = fns.fns[f].end;

		n = 0;
		if (pgo_landing_pads(&landing, start, &extra, &n, &room) < 0)
			abort();
		if (n > 1)
			qsort(extra, n, sizeof *extra, pgo_compare_u64);
		if (pgo_cfg_decode(&cfg, e, start, end, extra, n, &err) < 0)
			fail(&err);
		for (size_t j = pgo_codefns_joint(&fns, start);
			j < fns.n_joints && fns.joints[j] < end; j++)
			pgo_cfg_mark(&cfg, fns.joints[j]);
		for (size_t i = 0; i < cfg.n_insns; i++) {
			if (cfg.insns[i].leader)
				printf("%" PRIx64 " %" PRIx64 "\n", start, cfg.insns[i].addr);
		}
		if (cfg.n_jumps != 0)
			fprintf(stderr,
				"%" PRIx64 " %s: %zu indirect jumps, %zu tables, %zu cases\n",
				start, fns.fns[f].symbol->name, cfg.n_jumps, cfg.n_tables,
				cfg.n_cases);
	}
	pgo_free(extra);
	pgo_cfg_fini(&cfg);
	pgo_landing_fini(&landing);
	pgo_codefns_fini(&fns);
	pgo_elf_close(e);
	return 0;
}
