/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the text of go tool preprofile, and as Go's line table.  What reads as text, sorted
 * and written, reads back and is written as the same bytes.
 */
#include "convert/gopclntab.h"
#include "convert/goprofile.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void line_table(const uint8_t *data, size_t size)
{
	struct pgo_gopclntab t = {0};
	bool ok;

	pgo_map_init(&t.by_name);
	if (pgo_gopclntab_read(&t, data, size, &ok) < 0)
		abort();
	for (size_t i = 0; i < t.n_fns; i++)
		if (pgo_gopclntab_line(&t, t.fns[i].name) != t.fns[i].line)
			abort();
	pgo_gopclntab_fini(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_go_calls c, d;
	struct pgo_buf a, b;

	line_table(data, size);
	if (pgo_go_calls_init(&c, NULL) < 0 || pgo_go_calls_init(&d, NULL) < 0)
		abort();
	pgo_buf_init(&a, (size_t)1 << 30);
	pgo_buf_init(&b, (size_t)1 << 30);
	if (pgo_go_calls_read(&c, "", data, size, &err) < 0) {
		if (err.code == PGO_OK || err.msg[0] == '\0')
			abort();
	} else {
		pgo_go_calls_sort(&c);
		if (pgo_go_calls_write(&c, &a, NULL) < 0 ||
			pgo_go_calls_read(&d, "", a.data, a.len, NULL) < 0)
			abort();
		pgo_go_calls_sort(&d);
		if (pgo_go_calls_write(&d, &b, NULL) < 0 || a.len != b.len ||
			memcmp(a.data, b.data, a.len) != 0)
			abort();
	}
	pgo_go_calls_fini(&c);
	pgo_go_calls_fini(&d);
	pgo_buf_fini(&a);
	pgo_buf_fini(&b);
	return 0;
}
