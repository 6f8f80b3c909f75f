/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a profile.  Whatever they are: the same samples or the same refusal whether samples
 * are held or read in a second pass; and what is read can be written, read again and written again
 * to the same bytes.
 */
#include "pgo/core/pprof.h"
#include "pgo/core/profile.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
	if (!holds)
		abort();
}

struct sums {
	uint64_t samples, frames, labels, values;
	int end;
};

static struct sums draw(const uint8_t *data, size_t size, uint64_t max_held)
{
	struct pgo_pprof_limits limits = {1 << 22, 1 << 22, max_held};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_reader *r = pgo_pprof_open_memory("input", data, size, &limits, &err);
	struct sums sums = {0};
	struct pgo_sample s;

	if (r == NULL) {
		demand(err.code < 0 && strncmp(err.msg, "input: ", 7) == 0);
		sums.end = (int)err.code;
		return sums;
	}
	demand(pgo_profile_check_tables(r->head, &err) == 0);
	while ((sums.end = pgo_reader_next(r, &s, &err)) > 0) {
		demand(pgo_profile_check_sample(r->head, &s, &err) == 0);
		sums.samples++;
		sums.frames += s.n_loc;
		sums.labels += s.n_label;
		for (size_t i = 0; i < r->head->n_sample_types; i++)
			sums.values = sums.values * 31 + (uint64_t)s.value[i];
	}
	demand((sums.end < 0) == (err.msg[0] != '\0'));
	pgo_reader_close(r);
	return sums;
}

static void write_and_read(const uint8_t *data, size_t size)
{
	struct pgo_pprof_limits limits = {1 << 22, 1 << 22, 1 << 22};
	struct pgo_pprof_limits again = {1 << 26, 1 << 26, 1 << 26};
	struct pgo_profile *p = pgo_pprof_load_memory("input", data, size, &limits, NULL);
	struct pgo_buf a, b;

	if (p == NULL)
		return;
	pgo_buf_init(&a, SIZE_MAX - 1);
	pgo_buf_init(&b, SIZE_MAX - 1);
	demand(pgo_pprof_encode(p, false, &a, NULL) == 0);
	pgo_profile_free(p);
	p = pgo_pprof_load_memory("written", a.data, a.len, &again, NULL);
	demand(p != NULL);
	demand(pgo_pprof_encode(p, false, &b, NULL) == 0);
	demand(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
	pgo_profile_free(p);
	pgo_buf_fini(&a);
	pgo_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sums held = draw(data, size, 1 << 22), again = draw(data, size, 0);

	demand(memcmp(&held, &again, sizeof held) == 0);
	(void)!pgo_pprof_probe(data, size);
	write_and_read(data, size);
	return 0;
}
