/* SPDX-License-Identifier: Apache-2.0 */
/* What writing and reading of partials agree on. */
#ifndef PGO_MERGE_PARTIAL_IMPL_H
#define PGO_MERGE_PARTIAL_IMPL_H

#include "merge/tables.h"

#include <stdint.h>

#define PGO_PARTIAL_MAGIC "pgo-part"
#define PGO_PARTIAL_MAGIC_LEN 8
#define PGO_PARTIAL_BLOCK 4096u /* rows */
#define PGO_PARTIAL_LINE "pgo-partial 1 "

/* Bits of a mapping. */
enum {
	PGO_PARTIAL_HAS_ID = 1,
	PGO_PARTIAL_BARE = 2,
	PGO_PARTIAL_FUNCTIONS = 4,
	PGO_PARTIAL_FILENAMES = 8,
	PGO_PARTIAL_LINE_NUMBERS = 16,
	PGO_PARTIAL_INLINE_FRAMES = 32,
};

#endif
