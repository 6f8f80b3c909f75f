/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as BOLT's .fdata.  What reads, sorted and written, reads back and is written as the same
 * bytes.
 */
#include "convert/fdata.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_fdata *f, *g;
	struct pgo_buf a, b;
	int rc;

	(void)pgo_fdata_probe(data, size < 4096 ? size : 4096);
	f = pgo_fdata_read("", data, size, &err);
	if (f == NULL) {
		if (err.code == PGO_OK || err.msg[0] == '\0')
			abort();
		return 0;
	}
	pgo_buf_init(&a, (size_t)1 << 30);
	pgo_buf_init(&b, (size_t)1 << 30);
	if (pgo_fdata_sort(f, NULL) < 0)
		abort();
	rc = pgo_fdata_write(f, &a, &err);
	if (rc < 0 && rc != PGO_EEMPTY)
		abort();
	if (rc == 0) {
		g = pgo_fdata_read("", a.data, a.len, NULL);
		if (g == NULL || pgo_fdata_sort(g, NULL) < 0 || pgo_fdata_write(g, &b, NULL) < 0 ||
			a.len != b.len || memcmp(a.data, b.data, a.len) != 0)
			abort();
		pgo_fdata_free(g);
	}
	pgo_buf_fini(&a);
	pgo_buf_fini(&b);
	pgo_fdata_free(f);
	return 0;
}
