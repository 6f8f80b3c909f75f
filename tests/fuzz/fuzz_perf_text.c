/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as text of perf script: an error or a profile whose sums add up. */
#include "fetch/perf_text.h"
#include "tests/fuzz/import_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)pgo_perf_text_probe(data, size);
	check_import(data, size);
	return 0;
}
