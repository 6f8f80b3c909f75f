/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as BOLT's pre-aggregated records.  What reads, sorted and written, reads back and is
 * written as the same bytes.
 */
#include "convert/preagg.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_preagg *p, *q;
	struct pgo_buf a, b;
	int rc;

	(void)pgo_preagg_probe(data, size < 4096 ? size : 4096);
	p = pgo_preagg_read("", data, size, &err);
	if (p == NULL) {
		if (err.code == PGO_OK || err.msg[0] == '\0')
			abort();
		return 0;
	}
	pgo_buf_init(&a, (size_t)1 << 30);
	pgo_buf_init(&b, (size_t)1 << 30);
	pgo_preagg_sort(p);
	rc = pgo_preagg_write(p, &a, &err);
	if (rc < 0 && rc != PGO_EEMPTY)
		abort();
	if (rc == 0) {
		q = pgo_preagg_read("", a.data, a.len, NULL);
		if (q == NULL)
			abort();
		pgo_preagg_sort(q);
		if (pgo_preagg_write(q, &b, NULL) < 0 || a.len != b.len ||
			memcmp(a.data, b.data, a.len) != 0)
			abort();
		pgo_preagg_free(q);
	}
	pgo_buf_fini(&a);
	pgo_buf_fini(&b);
	pgo_preagg_free(p);
	return 0;
}
