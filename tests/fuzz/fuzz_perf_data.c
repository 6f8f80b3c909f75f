/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a perf.data: an error or a profile whose sums add up, and the same samples whether
 * the file is read by offset or as a stream.
 */
#include "fetch/perf_data.h"
#include "tests/fuzz/import_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sums {
	uint64_t samples, branches, addresses, maps;
};

static int add_event(void *ctx, uint32_t i, const struct pgo_rec_event *e, struct pgo_err *err)
{
	(void)ctx;
	(void)i;
	(void)err;
	demand(e->name != NULL);
	return 0;
}

static int add_map(void *ctx, const struct pgo_rec_map *m, struct pgo_err *err)
{
	struct sums *s = ctx;

	(void)err;
	s->maps += m->addr + m->len + strlen(m->filename) + strlen(m->build_id);
	return 0;
}

static int add_task(void *ctx, const struct pgo_rec_task *t, struct pgo_err *err)
{
	struct sums *s = ctx;

	(void)err;
	s->maps += (uint64_t)t->pid + strlen(t->comm);
	return 0;
}

static int add_sample(void *ctx, const struct pgo_rec_sample *r, struct pgo_err *err)
{
	struct sums *s = ctx;

	(void)err;
	s->samples++;
	s->branches += r->ring.n;
	s->addresses += r->ip;
	for (uint32_t i = 0; i < r->ring.n; i++)
		s->addresses += r->ring.entry[i].from + r->ring.entry[i].to;
	for (uint32_t i = 0; i < r->n_chain; i++)
		s->addresses += r->chain[i];
	return 0;
}

static int add_build_id(void *ctx, const char *file, const char *id, struct pgo_err *err)
{
	(void)ctx;
	(void)err;
	demand(strlen(file) < 5000 && strlen(id) <= 40);
	return 0;
}

static int read_once(const uint8_t *data, size_t size, bool as_stream, struct sums *sums)
{
	struct pgo_recording_sink sink = {
		sums, add_event, add_map, add_task, add_sample, add_build_id, 1, NULL};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_rec_info info = {0};
	struct pgo_stream *stream;
	int rc;

	memset(sums, 0, sizeof *sums);
	if (!as_stream)
		return pgo_perf_data_read_memory(data, size, 1 << 24, &sink, &info, &err);
	stream = pgo_stream_memory("input", data, size, 1 << 24, &err);
	if (stream == NULL)
		return (int)err.code;
	rc = pgo_perf_data_read("input", stream, 1 << 24, &sink, &info, &err);
	pgo_stream_close(stream);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sums a, b;

	/* A stream that is cut in its header features has been read by then; a file has not. */
	if (pgo_perf_data_probe(data, size) && read_once(data, size, false, &a) == 0 &&
		read_once(data, size, true, &b) == 0)
		demand(memcmp(&a, &b, sizeof a) == 0);
	check_import(data, size);
	return 0;
}
