/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as Propeller's clusters.  What reads is written in both versions, and reads back. */
#include "convert/propeller.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* `same`: the version it was read in. Names of one may hold what divides names in the other. */
static void round_trip(const struct pgo_propeller *p, unsigned version, bool same)
{
	struct pgo_propeller *q;
	struct pgo_buf a, b;

	pgo_buf_init(&a, (size_t)1 << 30);
	pgo_buf_init(&b, (size_t)1 << 30);
	if (pgo_propeller_write(p, version, &a, NULL) < 0)
		abort();
	q = pgo_propeller_read("", a.data, a.len, NULL);
	if (same && (q == NULL || pgo_propeller_write(q, version, &b, NULL) < 0 || a.len != b.len ||
			    memcmp(a.data, b.data, a.len) != 0))
		abort();
	pgo_propeller_free(q);
	pgo_buf_fini(&a);
	pgo_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_propeller *p;
	bool v1 = size >= 3 && memcmp(data, "v1\n", 3) == 0;

	(void)pgo_propeller_probe(data, size < 4096 ? size : 4096);
	p = pgo_propeller_read("", data, size, &err);
	if (p == NULL) {
		if (err.code == PGO_OK || err.msg[0] == '\0')
			abort();
		return 0;
	}
	round_trip(p, 0, !v1);
	round_trip(p, 1, v1);
	pgo_propeller_free(p);
	return 0;
}
