/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as OTLP profiles, of any form: an error with a sentence, or profiles that are sound and
 * samples that add up. */
#include "fetch/import.h"
#include "fetch/otlp.h"
#include "pgo/core/diag.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
	if (!holds)
		abort();
}

static void check(const struct pgo_imported *in)
{
	const struct pgo_import_stats *s = &in->stats;

	demand(s->samples == s->samples_used + s->samples_no_data);
	demand(in->n > 0 && in->hosts != NULL);
	for (size_t i = 0; i < in->n; i++) {
		const struct pgo_profile *p = in->profiles[i];

		demand(pgo_profile_check_tables(p, NULL) == 0 && p->n_samples > 0);
		for (size_t k = 0; k < p->n_samples; k++) {
			struct pgo_sample one = pgo_profile_sample(p, k);

			demand(pgo_profile_check_sample(p, &one, NULL) == 0 && one.n_loc > 0);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pgo_diag_set_verbosity(-1);
	for (int split = 0; split < 2; split++) {
		struct pgo_import_options o = {
			.max_bytes = (uint64_t)1 << 24, .labels = true, .split_processes = split};
		struct pgo_stream *s = pgo_stream_memory("input", data, size, o.max_bytes, NULL);
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_imported in = {.kind = PGO_INPUT_OTLP};
		int rc;

		demand(s != NULL);
		rc = pgo_otlp_import(s, &o, &in, &err);
		demand(rc <= 0 && (rc == 0 || ((int)err.code == rc && err.msg[0] != '\0')));
		if (rc == 0)
			check(&in);
		pgo_imported_fini(&in);
		pgo_stream_close(s);
	}
	return 0;
}
