/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a gperftools profile, or a line of mappings: an error or sums that add up. */
#include "fetch/gperf.h"
#include "fetch/map_line.h"
#include "tests/fuzz/import_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_map_line *line = malloc(sizeof *line);
	char *copy = malloc(size + 1);

	demand(line != NULL && copy != NULL);
	memcpy(copy, data, size); /* without a NUL behind it, for the sanitizer */
	if (pgo_map_line_parse(copy, size, line))
		demand(line->map.len > 0 && line->filename[0] != '\0');
	free(copy);
	free(line);
	check_import(data, size);
	return 0;
}
