/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a partial, binary (plain or gzip) or a line of text.  What loads is written as a
 * partial that loads again and is written as the same bytes.
 */
#include "merge/partial.h"
#include "pgo/core/buf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Loads a partial and writes it to the end of `out`; 0 if it is none. */
static int again(const void *data, size_t size, struct pgo_buf *out)
{
	struct pgo_merge_options o = {.max_memory = (uint64_t)256 << 20};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_partial_reader *r = pgo_partial_open_memory("x", data, size, &err);
	struct pgo_partial_head h = {0};
	struct pgo_merge *m = NULL;
	int rc = -1;

	if (r != NULL && pgo_partial_head_join(&h, pgo_partial_head_of(r), NULL) == 0) {
		o.keep_labels = h.keep_labels;
		o.weight_one = h.weight_one;
		m = pgo_merge_new(&o, NULL);
		rc = m != NULL ? pgo_partial_load(r, m, &err) : -1;
	}
	if (rc < 0 && m != NULL && (err.code == PGO_OK || err.msg[0] == '\0'))
		abort();
	if (rc == 0 && pgo_partial_write_line(m, &h, out, &err) < 0)
		abort();
	pgo_partial_close(r);
	pgo_partial_head_fini(&h);
	pgo_merge_free(m);
	return rc == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_buf a, b;

	(void)pgo_partial_probe(data, size);
	pgo_buf_init(&a, (size_t)1 << 30);
	pgo_buf_init(&b, (size_t)1 << 30);
	if (again(data, size, &a) &&
		(!again(a.data, a.len, &b) || a.len != b.len || memcmp(a.data, b.data, a.len) != 0))
		abort();
	pgo_buf_fini(&a);
	pgo_buf_fini(&b);
	return 0;
}
