/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as two files of one kind to be added up, cut at the first 0xfe.  What can be added gives
 * the same bytes in either order.
 */
#include "convert/sum_impl.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int add(struct pgo_sum_lines *l, struct pgo_sum_functions *f, const uint8_t *data,
	size_t size, struct pgo_err *err)
{
	struct pgo_buf b;
	uint64_t records;
	int rc;

	pgo_buf_init(&b, (size_t)1 << 30);
	pgo_buf_add(&b, data, size);
	rc = l != NULL ? pgo_sum_lines_add(l, "", &b, 3, &records, err)
		       : pgo_sum_functions_add(f, "", &b, 3, &records, err);
	pgo_buf_fini(&b);
	return rc;
}

/* 1 if there is a result. */
static int both(
	bool lines, const uint8_t *a, size_t n_a, const uint8_t *b, size_t n_b, struct pgo_sum *ret)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_sum_lines *l = lines ? pgo_sum_lines_new(NULL) : NULL;
	struct pgo_sum_functions *f = lines ? NULL : pgo_sum_functions_new(NULL);
	struct pgo_sum_options o = {0};
	int rc;

	*ret = (struct pgo_sum){.kind = lines ? PGO_SUM_FDATA : pgo_sum_probe(a, n_a)};
	pgo_buf_init(&ret->data, (size_t)1 << 30);
	rc = add(l, f, a, n_a, &err);
	if (rc == 0 && n_b != 0)
		rc = add(l, f, b, n_b, &err);
	if (rc == 0)
		rc = lines ? pgo_sum_lines_write(l, ret, &err)
			   : pgo_sum_functions_write(f, &o, ret, &err);
	if (rc < 0 && (err.code == PGO_OK || err.msg[0] == '\0'))
		abort();
	pgo_sum_lines_free(l);
	pgo_sum_functions_free(f);
	return rc == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *cut = size != 0 ? memchr(data, 0xfe, size) : NULL;
	size_t n_a = cut != NULL ? (size_t)(cut - data) : size;
	size_t n_b = cut != NULL ? size - n_a - 1 : 0;
	const uint8_t *b = cut != NULL ? cut + 1 : data;
	struct pgo_sum x, y;

	for (int lines = 0; lines < 2; lines++) {
		int one = both(lines, data, n_a, b, n_b, &x);

		if (n_b != 0 && both(lines, b, n_b, data, n_a, &y) != one && lines)
			abort();
		if (n_b != 0) {
			if (one && y.data.len != 0 &&
				(x.data.len != y.data.len ||
					memcmp(x.data.data, y.data.data, x.data.len) != 0))
				abort();
			pgo_sum_fini(&y);
		}
		pgo_sum_fini(&x);
	}
	return 0;
}
