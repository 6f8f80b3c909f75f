/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an order for a linker; the first byte chooses which.  What is written reads back. */
#include "convert/linkorder.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_linkorder l, again;
	struct pgo_buf a, b;
	enum pgo_link_form form;

	if (size == 0)
		return 0;
	form = (enum pgo_link_form)(data[0] % 4);
	if (pgo_linkorder_init(&l, NULL) < 0 || pgo_linkorder_init(&again, NULL) < 0)
		abort();
	pgo_buf_init(&a, (size_t)1 << 30);
	pgo_buf_init(&b, (size_t)1 << 30);
	if (pgo_linkorder_read(&l, form, "", data + 1, size - 1, &err) < 0) {
		if (err.code == PGO_OK || err.msg[0] == '\0')
			abort();
	} else if (pgo_linkorder_write(&l, form, &a, NULL) == 0 &&
		   (pgo_linkorder_read(&again, form, "", a.data, a.len, NULL) < 0 ||
			   pgo_linkorder_write(&again, form, &b, NULL) < 0 || a.len != b.len ||
			   memcmp(a.data, b.data, a.len) != 0)) {
		abort();
	}
	pgo_linkorder_fini(&l);
	pgo_linkorder_fini(&again);
	pgo_buf_fini(&a);
	pgo_buf_fini(&b);
	return 0;
}
