/* SPDX-License-Identifier: Apache-2.0 */
/* Steps from the tables to a result that the ways to write one share.  Internal to merge. */
#ifndef PGO_MERGE_FINISH_IMPL_H
#define PGO_MERGE_FINISH_IMPL_H

#include "merge/ranks.h"
#include "merge/tables.h"

struct pgo_mt_finish {
	struct pgo_merge *m;
	struct pgo_mt_ranks r;
	uint32_t *new_id;         /* scratch: index in the result */
	uint32_t *column_at;      /* per column of the result: column of the tables */
	size_t n_columns;         /* of the result */
	uint32_t *str_new;        /* per string: id in the result, PGO_NONE = not yet */
	struct pgo_label *labels; /* scratch: one sample's */
	size_t labels_room;
};
void pgo_mt_finish_fini(struct pgo_mt_finish *f);
/* The columns of the result, once all are settled.  0, or -1 when out of memory, as below. */
int pgo_mt_finish_columns(struct pgo_mt_finish *f);
/* The tables of the result: of locations (by id), those that are `used`, and what they name.  On
 * return `location_new` holds per rank the location's index in the result. */
int pgo_mt_put_head(
	struct pgo_mt_finish *f, struct pgo_profile *p, const bool *used, uint32_t *location_new);
/* A label set of the tables as labels of a sample (borrowed until the next call). */
int pgo_mt_put_labels(
	struct pgo_mt_finish *f, struct pgo_profile *p, uint32_t set_id, struct pgo_sample *ret);
/* The sentence for a sum that no pprof can hold. */
int pgo_mt_too_large(const struct pgo_merge *m, size_t column, struct pgo_err *err);
/* The result of a merger that spilled, in memory all the same. */
struct pgo_profile *pgo_mt_draw_all(struct pgo_merge *m, struct pgo_err *err);

/* Per column of a result: the column of the tables.  Gives an array (pgo_free), NULL when out of
 * memory. */
uint32_t *pgo_mt_sort_columns(struct pgo_merge *m, size_t *ret_n);

#endif
