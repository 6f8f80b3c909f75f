/* SPDX-License-Identifier: Apache-2.0 */
/* Steps from the tables to a result that the ways to write one share.  Internal to merge. */
#ifndef PGO_MERGE_FINISH_IMPL_H
#define PGO_MERGE_FINISH_IMPL_H

#include "merge/tables.h"

/* Per column of a result: the column of the tables.  Gives an array (pgo_free), NULL when out of
 * memory. */
uint32_t *pgo_mt_sort_columns(struct pgo_merge *m, size_t *ret_n);

#endif
