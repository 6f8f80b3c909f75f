/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan as a file, for shards: every input with its final weight and the reason, and which shard
 * merges it.  JSON, and at the same time lines: the first holds what is true of all, every further
 * one a file, so that a worker of a million files holds no more than its own shard.
 *
 *	{"schema":1,"kind":"plan","tool":...,"shards":4,...,"plan":{...},"files":[
 *	{"path":...,"digest":...,"bytes":...,"shard":1,"inputs":[{... as in --explain ...}]},
 *	...
 *	]}
 *
 * Files are sorted by (build, digest, path), so that a shard sees few builds, and cut into shards of
 * about the same number of bytes; those of which nothing counts come last, with shard 0.  The same
 * inputs in any order give the same bytes; their SHA-256 is what partials know the plan by.
 */
#ifndef PGO_MERGE_PLAN_FILE_H
#define PGO_MERGE_PLAN_FILE_H

#include "merge/plan.h"

struct pgo_plan_file {
	const char *path, *digest;
	uint64_t bytes;
	size_t first_part, n_parts; /* in the plan: pgo_plan_of() */
};

/* Appends the file to `out`.  `args`: options that decide about content, as a command line has
 * them. */
int pgo_plan_file_write(const struct pgo_plan *p, const struct pgo_plan_file *files, size_t n,
	uint64_t n_shards, const char *const *args, size_t n_args, struct pgo_buf *out,
	struct pgo_err *err) PGO_MUST_CHECK;
/* How many shards suit so many bytes of input: of 256 MiB, at least 1. */
uint64_t pgo_plan_file_shards(uint64_t bytes);

/* What a worker needs to know of a profile in a file. */
struct pgo_plan_part {
	char *digest; /* of the file, or file#k */
	char *host, *unit;
	int64_t time_ns;
	double mass;
	uint64_t weight; /* 0 = left out */
	bool blend;
};

struct pgo_plan_entry {
	char *path, *digest;
	uint64_t bytes;
	struct pgo_plan_part *parts;
	size_t n_parts, parts_room;
};

struct pgo_plan_shard {
	char digest[65]; /* of the plan file */
	char *tool;
	uint64_t n_shards, n_inputs, weight_one;
	char **args;
	struct pgo_plan_entry *files; /* of the shard */
	size_t n_args, args_room, n_files, files_room;
};

/* Fills *ret (pgo_plan_shard_fini, whatever happens) with shard `shard`, from 1 on; with 0, all files
 * that have a shard.  A shard that the plan does not have is PGO_EUSAGE. */
int pgo_plan_shard_read(const char *path, uint64_t shard, struct pgo_plan_shard *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Only what the first line says: no files, and no digest. */
int pgo_plan_shard_head(
	const char *path, struct pgo_plan_shard *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_plan_shard_fini(struct pgo_plan_shard *s);

#endif
