/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a block address map: the first byte chooses whether entries carry a version. */
#include "convert/bbaddrmap.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_bbaddrmap m = {0};

	if (size == 0)
		return 0;
	if (pgo_bbaddrmap_decode(&m, "", data + 1, size - 1, (data[0] & 1) != 0, &err) < 0 &&
		(err.code == PGO_OK || err.msg[0] == '\0'))
		abort();
	pgo_bbaddrmap_sort(&m);
	for (size_t i = 0; i < m.n_blocks; i++) {
		const struct pgo_bb *b = &m.blocks[i];

		/* Each byte of it is found in it, and in no other. */
		if (b->size == 0 || b->fn >= m.n_fns || pgo_bbaddrmap_find(&m, b->addr) != i ||
			pgo_bbaddrmap_find(&m, b->addr + b->size - 1) != i)
			abort();
	}
	pgo_bbaddrmap_fini(&m);
	return 0;
}
