/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a number, a size, a duration, a time.  What is refused leaves the result alone and
 * has a sentence; a time that is read prints as one that reads back to the same second.
 */
#include "pgo/core/opt.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
	if (!holds)
		abort();
}

static void try_time(const char *text)
{
	struct pgo_err err = PGO_ERR_INIT;
	int64_t ns = 77, back = 0;
	char shown[32];
	int r = pgo_parse_time(text, INT64_C(1795168800) * 1000000000, &ns, &err);

	demand(r == 0 || (r == PGO_EUSAGE && ns == 77 && err.msg[0] != '\0'));
	pgo_format_time(ns, shown, sizeof shown);
	demand(strlen(shown) == 20);
	/* The first second that 64 bits of nanoseconds hold begins before they do. */
	if (ns > INT64_MIN + 1000000000)
		demand(pgo_parse_time(shown, 0, &back, &err) == 0 && back <= ns &&
			ns - back < 1000000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_err err = PGO_ERR_INIT;
	char *text = malloc(size + 1);
	uint64_t n = 77;
	int64_t ns = 77;
	double d = 77;

	if (text == NULL)
		return 0;
	if (size != 0)
		memcpy(text, data, size);
	text[size] = '\0';
	demand(pgo_parse_u64(text, &n, &err) == 0 || n == 77);
	n = 77;
	demand(pgo_parse_size(text, &n, &err) == 0 || n == 77);
	demand(pgo_parse_duration(text, &ns, &err) == 0 ? ns >= 0 : ns == 77);
	demand(pgo_parse_double(text, &d, &err) == 0 || d == 77);
	try_time(text);
	free(text);
	return 0;
}
