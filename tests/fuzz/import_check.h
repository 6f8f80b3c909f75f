/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of any recording, whatever its bytes: shared by the targets of its readers. */
#ifndef PGO_TESTS_IMPORT_CHECK_H
#define PGO_TESTS_IMPORT_CHECK_H

#include "fetch/import.h"
#include "pgo/core/diag.h"
#include "pgo/core/lbr.h"
#include "pgo/core/pprof.h"

#include <stdlib.h>
#include <string.h>

static inline void demand(int holds)
{
	if (!holds)
		abort();
}

static inline uint64_t column_sum(const struct pgo_profile *p, const char *type)
{
	uint32_t column = pgo_profile_sample_type(p, type);
	uint64_t n = 0;

	for (size_t i = 0; column != PGO_NONE && i < p->n_samples; i++)
		n += (uint64_t)pgo_profile_sample(p, i).value[column];
	return n;
}

static inline void check_profile(const struct pgo_profile *p)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_lbr_columns c;
	bool has;

	demand(pgo_profile_check_tables(p, &err) == 0);
	demand(pgo_lbr_columns_init(&c, p, &has, &err) == 0);
	for (size_t i = 0; i < p->n_samples; i++) {
		struct pgo_sample s = pgo_profile_sample(p, i);
		struct pgo_lbr_trace t;
		uint32_t at = 0;
		int rc;

		demand(pgo_profile_check_sample(p, &s, &err) == 0);
		while ((rc = pgo_lbr_trace_next(&c, p, &s, &at, &t, &err)) > 0) {
			demand(t.count > 0 && t.mispredicts <= t.count);
			demand(c.executions == PGO_NONE || t.executions > 0);
		}
		demand(rc == 0);
	}
	for (size_t i = 0; i < p->n_locations; i++)
		if (p->locations[i].mapping != PGO_NONE) {
			const struct pgo_mapping *m = &p->mappings[p->locations[i].mapping];

			demand(p->locations[i].addr >= m->start && p->locations[i].addr < m->limit);
		}
	pgo_lbr_columns_fini(&c);
}

/* All of a recording, split by process and not: an error with a sentence, or sums that add up. */
static inline void check_import(const uint8_t *data, size_t size)
{
	pgo_diag_set_verbosity(-1);
	for (int split = 0; split < 2; split++) {
		struct pgo_import_options o = {.max_bytes = (uint64_t)1 << 24,
			.ignore_paths = true,
			.labels = true,
			.split_processes = split};
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_imported in;
		uint64_t traces = 0;
		int rc = pgo_import_memory("input", data, size, &o, &in, &err);

		demand(rc <= 0);
		if (rc < 0) {
			demand((int)err.code == rc && strncmp(err.msg, "input: ", 7) == 0);
			continue;
		}
		const struct pgo_import_stats *s = &in.stats;

		demand(in.kind == PGO_INPUT_PPROF || in.n > 0);
		demand(s->branches == s->branches_used + s->branches_kernel +
					      s->branches_no_mapping + s->branches_zero +
					      s->branches_wrong_path + s->branches_duplicate_top +
					      s->branches_filtered);
		for (size_t i = 0; i < in.n && in.kind != PGO_INPUT_PPROF; i++) {
			check_profile(in.profiles[i]);
			traces += column_sum(in.profiles[i], PGO_LBR_TYPE_TRACES);
		}
		demand(in.kind == PGO_INPUT_PPROF || traces == s->branches_used);
		for (size_t i = 0; i < in.n_estimates; i++) {
			const struct pgo_import_estimate *e = &in.estimates[i];

			demand(e->why_not != NULL ||
				e->rings == e->rings_weighted + e->rings_single + e->rings_long +
						    e->rings_without_cycles);
		}
		pgo_imported_fini(&in);
	}
}

#endif
