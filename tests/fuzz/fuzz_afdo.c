/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as GCC's .afdo.  What reads can be rewritten for every release of GCC and written, and
 * what was written reads back and is written as the same bytes.
 */
#include "convert/format.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_read(const struct pgo_fnprof *from, unsigned release)
{
	struct pgo_format_options o = {.gcc_release = release};
	struct pgo_fnprof *p = pgo_rules_gcc(from, release, NULL), *q;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf a, b;
	int rc;

	if (p == NULL)
		abort();
	pgo_buf_init(&a, (size_t)1 << 30);
	pgo_buf_init(&b, (size_t)1 << 30);
	rc = pgo_format_gcc.write(p, &o, &a, &err);
	if (rc < 0 && rc != PGO_EEMPTY)
		abort();
	if (rc == 0) {
		q = pgo_format_gcc.read("", a.data, a.len, NULL);
		if (q == NULL)
			abort();
		pgo_fnprof_sort(q);
		if (pgo_format_gcc.write(q, &o, &b, NULL) < 0 || a.len != b.len ||
			memcmp(a.data, b.data, a.len) != 0)
			abort();
		pgo_fnprof_free(q);
	}
	pgo_buf_fini(&a);
	pgo_buf_fini(&b);
	pgo_fnprof_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_fnprof *p;

	(void)pgo_format_gcc.probe(data, size < 4096 ? size : 4096);
	p = pgo_format_gcc.read("", data, size, &err);
	if (p == NULL) {
		if (err.code == PGO_OK || err.msg[0] == '\0')
			abort();
		return 0;
	}
	write_and_read(p, 11);
	write_and_read(p, 12);
	write_and_read(p, 14);
	write_and_read(p, 16);
	pgo_fnprof_free(p);
	return 0;
}
