/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of struct pgo_lines, for the files that make one. */
#ifndef PGO_CONVERT_LINES_IMPL_H
#define PGO_CONVERT_LINES_IMPL_H

#include "convert/linetab.h"

struct pgo_lines {
	bool fs; /* clang's discriminators are flow-sensitive */
	struct pgo_linetab tab;
	const struct pgo_elf *elf; /* borrowed while loading, as the next */
	const struct pgo_debug_places *where;
	char *debug_file, *split_file;
	uint64_t n_split, n_split_missing;
	struct pgo_lines_work work;
};

#endif
