/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a ZIP archive: an error with a sentence, or files within the limit. */
#include "fetch/zip.h"

#include <stdlib.h>
#include <string.h>

#define MAX ((uint64_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
	if (!holds)
		abort();
}

static int each(void *ctx, const char *name, const void *bytes, size_t len, struct pgo_err *err)
{
	uint64_t *sum = ctx;
	unsigned char all = 0;

	(void)err;
	demand(name[0] != '\0');
	for (size_t i = 0; i < len; i++) /* for the sanitizer */
		all |= ((const unsigned char *)bytes)[i];
	*sum += len + (all & 0u);
	demand(*sum <= MAX);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_err err = PGO_ERR_INIT;
	uint64_t sum = 0;
	uint8_t *copy = malloc(size + 1);
	int rc;

	demand(copy != NULL);
	memcpy(copy, data, size);
	rc = pgo_zip_read(copy, size, MAX, each, &sum, &err);
	demand(rc == 0 || ((int)err.code == rc && err.msg[0] != '\0'));
	free(copy);
	return 0;
}
