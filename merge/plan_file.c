/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/plan_file.h"

#include "pgo/core/alloc.h"
#include "pgo/core/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA 1
#define SHARD_BYTES ((uint64_t)256 << 20)

uint64_t pgo_plan_file_shards(uint64_t bytes)
{
	return bytes / SHARD_BYTES + (bytes % SHARD_BYTES != 0 || bytes == 0);
}

/* ---------------------------------------------------------------- which file goes where */

struct place {
	const struct pgo_plan_file *file;
	const char *build;
	uint64_t shard; /* from 1 on; 0 = nothing of it counts */
};

static bool counts(const struct pgo_plan *p, const struct pgo_plan_file *f)
{
	for (size_t i = 0; i < f->n_parts; i++)
		if (pgo_plan_of(p, f->first_part + i)->weight != 0)
			return true;
	return false;
}

static int cmp_place(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;
	int c = (a->shard == 0) - (b->shard == 0);

	if (c == 0)
		c = strcmp(a->build, b->build);
	if (c == 0)
		c = strcmp(a->file->digest, b->file->digest);
	return c != 0 ? c : strcmp(a->file->path, b->file->path);
}

/* In the order of the file, by where the middle of each lies among all bytes. */
static void cut(struct place *places, size_t n, uint64_t n_shards)
{
	unsigned __int128 all = 0, before = 0;

	for (size_t i = 0; i < n && places[i].shard != 0; i++)
		all += places[i].file->bytes + 1;
	for (size_t i = 0; i < n && places[i].shard != 0; i++) {
		unsigned __int128 size = places[i].file->bytes + (unsigned __int128)1;

		places[i].shard = (uint64_t)((2 * before + size) * n_shards / (2 * all)) + 1;
		before += size;
	}
}

static struct place *place_files(
	const struct pgo_plan *p, const struct pgo_plan_file *files, size_t n, uint64_t n_shards)
{
	struct place *places = pgo_calloc(n, sizeof *places);

	if (places == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		places[i].file = &files[i];
		places[i].build =
			files[i].n_parts != 0 ? pgo_plan_of(p, files[i].first_part)->build_id : "";
		places[i].shard = counts(p, &files[i]);
	}
	if (n != 0)
		qsort(places, n, sizeof *places, cmp_place);
	cut(places, n, n_shards);
	return places;
}

/* ---------------------------------------------------------------- writing */

static void put_head(const struct pgo_plan *p, uint64_t n_shards, size_t n_files,
	const char *const *args, size_t n_args, struct pgo_buf *out)
{
	struct pgo_json j;

	pgo_json_init(&j, out, true);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "schema", SCHEMA);
	pgo_json_kv_str(&j, "kind", "plan");
	pgo_json_kv_str(&j, "tool", "pgo " PGO_VERSION);
	pgo_json_kv_u64(&j, "shards", n_shards);
	pgo_json_kv_u64(&j, "inputs", p->n_kept);
	pgo_json_kv_u64(&j, "n_files", n_files);
	pgo_json_kv_u64(&j, "weight_one", p->weight_one);
	pgo_json_key(&j, "args");
	pgo_json_array(&j);
	for (size_t i = 0; i < n_args; i++)
		pgo_json_str(&j, args[i]);
	pgo_json_end_array(&j);
	pgo_json_key(&j, "plan");
	pgo_json_object(&j);
	pgo_plan_summary_json(p, &j);
	pgo_json_end_object(&j);
	pgo_json_key(&j, "files");
	pgo_json_array(&j);
	/* The lines follow; a compact document has no line ends of its own. */
}

static void put_file(const struct pgo_plan *p, const struct place *place, struct pgo_buf *out)
{
	const struct pgo_plan_file *f = place->file;
	struct pgo_json j;

	pgo_json_init(&j, out, true);
	pgo_json_object(&j);
	pgo_json_kv_str(&j, "path", f->path);
	pgo_json_kv_str(&j, "digest", f->digest);
	pgo_json_kv_u64(&j, "bytes", f->bytes);
	pgo_json_kv_u64(&j, "shard", place->shard);
	pgo_json_key(&j, "inputs");
	pgo_json_array(&j);
	for (size_t i = 0; i < f->n_parts; i++)
		pgo_plan_input_json(p, pgo_plan_of(p, f->first_part + i), &j);
	pgo_json_end_array(&j);
	pgo_json_end_object(&j);
}

int pgo_plan_file_write(const struct pgo_plan *p, const struct pgo_plan_file *files, size_t n,
	uint64_t n_shards, const char *const *args, size_t n_args, struct pgo_buf *out,
	struct pgo_err *err)
{
	struct place *places = place_files(p, files, n, n_shards);

	if (places == NULL)
		return pgo_err_nomem(err);
	put_head(p, n_shards, n, args, n_args, out);
	for (size_t i = 0; i < n; i++) {
		pgo_buf_puts(out, i != 0 ? ",\n" : "\n");
		put_file(p, &places[i], out);
	}
	pgo_buf_puts(out, "\n]}\n");
	pgo_free(places);
	return pgo_buf_check(out, "the plan", err);
}
