/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any profile into the shape in which it is pushed.  Whatever it is: what comes out is valid, holds
 * no label and no line beside an address, has the same sum in every column in however many pieces,
 * and is not changed by shaping it again.
 */
#include "fetch/push_shape.h"
#include "pgo/core/alloc.h"
#include "pgo/core/pprof.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
	if (!holds)
		abort();
}

static const struct pgo_pprof_limits limits = {1 << 20, 1 << 20, 1 << 20};
static const struct pgo_push_elfs none;
static const struct pgo_record record = {.time_ns = 1};

enum { MAX_TYPES = 16 };

static void add_up(const struct pgo_profile *p, uint64_t *sums)
{
	struct pgo_err err = PGO_ERR_INIT;

	demand(pgo_profile_check_tables(p, &err) == 0);
	for (size_t i = 0; i < p->n_locations; i++)
		demand(p->locations[i].addr == 0 || p->locations[i].n_lines == 0);
	for (size_t i = 0; i < p->n_samples; i++) {
		struct pgo_sample s = pgo_profile_sample(p, i);

		demand(pgo_profile_check_sample(p, &s, &err) == 0 && s.n_label == 0);
		for (size_t k = 0; k < p->n_sample_types && k < MAX_TYPES; k++)
			sums[k] += (uint64_t)s.value[k];
	}
}

static int shape(struct pgo_reader *r, uint32_t max, struct pgo_shaped *ret)
{
	const struct pgo_shape_options o = {.elfs = &none, .record = &record, .max_samples = max};
	struct pgo_shape_stats stats = {0};
	struct pgo_err err = PGO_ERR_INIT;
	size_t locations = r->head->n_locations;
	int rc = pgo_push_shape(r, &o, ret, &stats, &err);

	demand(rc == 0 || (rc == (int)err.code && err.msg[0] != '\0'));
	if (rc == 0)
		demand(stats.rebased + stats.already + stats.left + stats.without == locations);
	pgo_reader_close(r);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_reader *r = pgo_pprof_open_memory("input", data, size, &limits, NULL);
	uint64_t whole[MAX_TYPES] = {0}, cut[MAX_TYPES] = {0};
	struct pgo_shaped a, b;
	struct pgo_buf x, y;

	if (r == NULL || shape(r, 0, &a) < 0)
		return 0;
	demand(a.n == 1);
	add_up(a.parts[0], whole);
	r = pgo_pprof_open_memory("input", data, size, &limits, NULL);
	demand(r != NULL && shape(r, 3, &b) == 0);
	for (size_t i = 0; i < b.n; i++) {
		demand(b.parts[i]->n_samples <= 3);
		add_up(b.parts[i], cut);
	}
	demand(memcmp(whole, cut, sizeof whole) == 0);
	pgo_shaped_fini(&b);
	r = pgo_profile_reader(a.parts[0], "again", false, NULL);
	demand(r != NULL && shape(r, 0, &b) == 0 && b.n == 1);
	pgo_buf_init(&x, 1 << 26);
	pgo_buf_init(&y, 1 << 26);
	demand(pgo_pprof_encode(a.parts[0], false, &x, NULL) == 0);
	demand(pgo_pprof_encode(b.parts[0], false, &y, NULL) == 0);
	demand(x.len == y.len && memcmp(x.data, y.data, x.len) == 0);
	pgo_buf_fini(&x);
	pgo_buf_fini(&y);
	pgo_shaped_fini(&a);
	pgo_shaped_fini(&b);
	return 0;
}
