/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/merge.h"

#include "merge/spill.h"
#include "merge/tables.h"
#include "pgo/core/alloc.h"

#include <inttypes.h>
#include <string.h>

#define DEFAULT_MAX_MEMORY ((uint64_t)8 << 30)
#define LOOK_AT_MEMORY 4096 /* samples between two looks */

struct pgo_merge *pgo_merge_new(const struct pgo_merge_options *o, struct pgo_err *err)
{
	struct pgo_merge *m = pgo_calloc(1, sizeof *m);

	if (m == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	if (o != NULL)
		m->options = *o;
	if (m->options.weight_one == 0)
		m->options.weight_one = 1;
	if (m->options.max_memory == 0)
		m->options.max_memory = DEFAULT_MAX_MEMORY;
	if (pgo_strtab_init(&m->strs, m->options.max_memory) < 0) {
		pgo_free(m);
		pgo_err_nomem(err);
		return NULL;
	}
	/* Label set 0 is "no labels". */
	m->label_sets = pgo_calloc(1, sizeof *m->label_sets);
	if (m->label_sets == NULL) {
		pgo_merge_free(m);
		pgo_err_nomem(err);
		return NULL;
	}
	m->n_label_sets = m->label_sets_room = 1;
	return m;
}

void pgo_merge_free(struct pgo_merge *m)
{
	if (m == NULL)
		return;
	pgo_mt_spill_free(m);
	pgo_mt_fini(m);
	pgo_free(m);
}

int pgo_mt_check_memory(struct pgo_merge *m, struct pgo_err *err)
{
	int rc = pgo_mt_spill_check(m, err);
	uint64_t used = pgo_mt_bytes(m);

	if (rc < 0)
		return rc;
	if (used <= m->options.max_memory)
		return 0;
	return pgo_err_set(err, PGO_ELIMIT,
		"the tables of %zu distinct stacks need more than the limit of %" PRIu64
		" MiB; merge in groups, or drop labels",
		m->n_stacks, m->options.max_memory >> 20);
}

static int add_samples(
	struct pgo_merge *m, struct pgo_reader *r, uint64_t weight, struct pgo_err *err)
{
	struct pgo_sample s;
	int rc;

	while ((rc = pgo_reader_next(r, &s, err)) > 0) {
		m->stats.samples_in++;
		rc = pgo_mt_add(m, &s, weight, err);
		if (rc < 0)
			return rc;
		if (m->stats.samples_in % LOOK_AT_MEMORY != 0)
			continue;
		rc = pgo_mt_flush(m, err);
		if (rc == 0)
			rc = pgo_mt_check_memory(m, err);
		if (rc < 0)
			return rc;
	}
	return rc < 0 ? rc : pgo_mt_flush(m, err);
}

int pgo_merge_add(struct pgo_merge *m, struct pgo_reader *r, uint64_t weight, struct pgo_err *err)
{
	int rc;

	if (weight == 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s: a weight of 0 would leave the profile out; do not add it instead",
			r->name);
	if (m->spent)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s: the merge is already finished; begin another", r->name);
	rc = pgo_mt_begin(m, r->head, err);
	if (rc == 0)
		rc = add_samples(m, r, weight, err);
	if (rc == 0)
		rc = pgo_mt_check_memory(m, err);
	m->remap.head = NULL;
	/* The reader names itself in what it refuses; what the merger refuses gets its name here.
	 */
	if (rc < 0 && err != NULL && strncmp(err->msg, r->name, strlen(r->name)) != 0)
		pgo_err_prefix(err, "%s", r->name);
	if (rc < 0)
		return rc;
	m->stats.profiles++;
	return 0;
}

const struct pgo_merge_stats *pgo_merge_stats_of(const struct pgo_merge *m)
{
	return &m->stats;
}
