/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/rows.h"

void pgo_mt_rows_init(struct pgo_mt_rows *rows, const struct pgo_mt_ranks *ranks)
{
	*rows = (struct pgo_mt_rows){.m = ranks->m, .ranks = ranks};
}

int pgo_mt_rows_next(struct pgo_mt_rows *rows, struct pgo_mt_row *ret, struct pgo_err *err)
{
	const struct pgo_merge *m = rows->m;
	const struct pgo_mt_stack *s;
	uint32_t i;

	(void)err;
	if (rows->at == m->n_stacks)
		return 0;
	i = rows->ranks->stack_at[rows->at++];
	s = &m->stacks[i];
	ret->loc = m->stack_locs + s->first;
	ret->n_loc = s->n_loc;
	ret->labels = rows->ranks->labels_rank[s->labels];
	ret->sums = m->sums + (size_t)i * m->stride;
	return 1;
}
