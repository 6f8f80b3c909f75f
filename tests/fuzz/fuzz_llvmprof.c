/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as LLVM's sample profiles, of whichever format they look like.  What reads is written in
 * each format that can hold it, and what was written reads back and is written as the same bytes.
 */
#include "convert/format.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_read(
	const struct pgo_format *f, const struct pgo_fnprof *p, const struct pgo_format_options *o)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_fnprof *q;
	struct pgo_buf a, b;
	int rc;

	pgo_buf_init(&a, (size_t)1 << 30);
	pgo_buf_init(&b, (size_t)1 << 30);
	rc = f->write(p, o, &a, &err);
	if (rc < 0 && rc != PGO_EEMPTY && rc != PGO_EMISMATCH)
		abort();
	if (rc == 0) {
		q = f->read("", a.data, a.len, NULL);
		if (q == NULL)
			abort();
		q->unique_suffixes = p->unique_suffixes;
		pgo_fnprof_sort(q);
		/* Hashing a second time would be another profile. */
		if (!o->md5 && (f->write(q, o, &b, NULL) < 0 || a.len != b.len ||
				       memcmp(a.data, b.data, a.len) != 0))
			abort();
		pgo_fnprof_free(q);
	}
	pgo_buf_fini(&a);
	pgo_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pgo_format_options plain, packed = {.compress = true},
						      hashed = {.md5 = true};
	const struct pgo_format *f = pgo_format_probe(data, size < 4096 ? size : 4096);
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_fnprof *p, *q;

	if (f == NULL || f == &pgo_format_gcc)
		return 0;
	p = f->read("", data, size, &err);
	if (p == NULL) {
		if (err.code == PGO_OK || err.msg[0] == '\0')
			abort();
		return 0;
	}
	pgo_fnprof_sort(p);
	write_and_read(&pgo_format_llvm_extbinary, p, &plain);
	write_and_read(&pgo_format_llvm_extbinary, p, &packed);
	write_and_read(&pgo_format_llvm_extbinary, p, &hashed);
	write_and_read(&pgo_format_llvm_binary, p, &plain);
	write_and_read(&pgo_format_llvm_text, p, &plain);
	q = pgo_rules_llvm(p, NULL);
	if (q == NULL)
		abort();
	write_and_read(&pgo_format_llvm_extbinary, q, &plain);
	pgo_fnprof_free(q);
	pgo_fnprof_free(p);
	return 0;
}
