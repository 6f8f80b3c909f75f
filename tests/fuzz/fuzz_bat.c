/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as BOLT's address translation.  What reads can be asked for any address. */
#include "convert/bat.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_bat *b = NULL;

	if (pgo_bat_parse("", data, size, &b, &err) < 0) {
		if (b != NULL || err.code == PGO_OK || err.msg[0] == '\0')
			abort();
		return 0;
	}
	for (size_t i = 0; i < b->n_fns; i++) {
		const struct pgo_bat_fn *f = pgo_bat_fn(b, b->fns[i].addr);

		if (f == NULL || f->first + f->n > b->n_entries)
			abort();
		for (uint32_t k = 0; k < f->n; k++) {
			const struct pgo_bat_entry *e = &b->entries[f->first + k];

			(void)pgo_bat_translate(b, f, e->out, true);
			if (pgo_bat_entry_at(b, f, e->out) < f->first + k)
				abort();
		}
		(void)pgo_bat_translate(b, f, UINT32_MAX, false);
	}
	pgo_bat_free(b);
	return 0;
}
