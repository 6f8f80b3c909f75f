/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partials: what a merger has summed up, as a file that other mergers take in.
 *
 * A shard of a fleet is merged where its profiles are, its partial goes on, and any tree of
 * reductions, in any order, ends in the bytes that one machine would have written.  That holds
 * because nothing in a partial is rounded, everything in it is sorted by content, and a partial
 * says which inputs are in it, so that none counts twice.
 *
 * The file is gzip (of the same bytes on every machine) over, in this order, with numbers as
 * base-128 varints, signed ones zigzag, texts as length and bytes:
 *
 *	magic	"pgo-part", then the version of the format
 *	head	the tool; the plan's digest, how many shards and inputs it has; the options
 *		that decide about content; the shards, inputs, hosts and days in here; counters
 *	tables	strings (bytes shared with the one before, the rest), header, columns, comments,
 *		mappings, functions, locations, label sets: each in the order of its content
 *	rows	blocks of at most 4096 stacks, sorted from the root: frames shared with the stack
 *		before, frames of its own; then label sets, then for each column the sums, which have
 *		128 bits; a block of 0 is the last
 *	end	SHA-256 of all of that
 *
 * Readers hold the tables, which are those of the merger that takes them in, and one block.
 * Anything damaged, cut off, of another version or with numbers out of range is PGO_EFORMAT.
 *
 * As text, for engines that move lines: `pgo-partial 1 BYTES BASE64`, one partial a line.
 */
#ifndef PGO_MERGE_PARTIAL_H
#define PGO_MERGE_PARTIAL_H

#include "merge/merge.h"
#include "pgo/core/buf.h"
#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PGO_PARTIAL_VERSION 1

/* A profile that is in: of a file with several (a recording), `part` counts from 1. */
struct pgo_partial_input {
	uint8_t digest[32]; /* SHA-256 of the file */
	uint32_t part;      /* 0 = the file is one profile */
};

/* What a host stands for: the sum of mass x weight, in whole units. */
struct pgo_partial_host {
	char *unit, *host;
	__int128 mass;
	uint64_t inputs;
};

struct pgo_partial_head {
	char *tool;         /* "pgo 0.1.0" */
	char *plan;         /* SHA-256 of the plan file in hex; "" = none */
	char *options;      /* that decide about content, as text; must be equal */
	uint64_t n_shards;  /* of the plan; 0 = none */
	uint64_t n_planned; /* inputs of the plan that have a weight */
	uint64_t weight_one;
	bool keep_labels;
	/* Sorted, each once. */
	uint64_t *shards; /* from 0 */
	struct pgo_partial_input *inputs;
	struct pgo_partial_host *hosts; /* by (unit, host) */
	int64_t *days;                  /* since 1970 */
	size_t n_shards_in, n_inputs, n_hosts, n_days;
	size_t shards_room, inputs_room, hosts_room, days_room;
	struct pgo_merge_stats stats; /* of what went in; the _out counters are 0 */
};

void pgo_partial_head_fini(struct pgo_partial_head *h);
/* "sha256" or "sha256#part" of a plan into *ret; PGO_EFORMAT if it is neither. */
int pgo_partial_input_parse(
	const char *digest, struct pgo_partial_input *ret, struct pgo_err *err) PGO_MUST_CHECK;
/* Adders; the lists are unsorted until pgo_partial_head_sort(). */
int pgo_partial_add_shard(
	struct pgo_partial_head *h, uint64_t shard, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_partial_add_input(struct pgo_partial_head *h, const struct pgo_partial_input *in,
	struct pgo_err *err) PGO_MUST_CHECK;
int pgo_partial_add_host(struct pgo_partial_head *h, const char *unit, const char *host,
	__int128 mass, uint64_t inputs, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_partial_add_day(
	struct pgo_partial_head *h, int64_t day, struct pgo_err *err) PGO_MUST_CHECK;
/* Sorts the lists; shards and days become sets, hosts are summed up.  An input that is there twice
 * stays so. */
void pgo_partial_head_sort(struct pgo_partial_head *h);
/* Can they be joined?  PGO_EMISMATCH with a sentence that names what differs in `b`. */
int pgo_partial_head_fits(const struct pgo_partial_head *a, const struct pgo_partial_head *b,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Adds the lists and counters of `from` to `to`, whose texts and numbers are taken over if `to` is
 * still zeros; PGO_EMISMATCH if they differ otherwise, with a sentence that names the difference. */
int pgo_partial_head_join(struct pgo_partial_head *to, const struct pgo_partial_head *from,
	struct pgo_err *err) PGO_MUST_CHECK;

/* How evenly mass lies on the hosts of the unit that has most: Kish's effective number, the largest
 * one's share, and how many there are. */
void pgo_partial_spread(const struct pgo_partial_head *h, double *ret_effective,
	double *ret_dominance, size_t *ret_hosts);

/*
 * Writes all that `m` has summed up, with `h` (sorted) as its head; `m` is spent.  To a file, whole
 * or not at all ("-" is standard output), or as a line of text to the end of `out`.
 */
int pgo_partial_write(struct pgo_merge *m, const struct pgo_partial_head *h, const char *path,
	struct pgo_err *err) PGO_MUST_CHECK;
int pgo_partial_write_line(struct pgo_merge *m, const struct pgo_partial_head *h,
	struct pgo_buf *out, struct pgo_err *err) PGO_MUST_CHECK;

/* The binary form to the end of `out`, quickly rather than small; `m` is as it was.  Only of a merger
 * that holds all in memory: else PGO_EUSAGE. */
int pgo_partial_copy(struct pgo_merge *m, const struct pgo_partial_head *h, struct pgo_buf *out,
	struct pgo_err *err) PGO_MUST_CHECK;

/* A partial to be read; `name` is for messages. */
struct pgo_partial_reader;
struct pgo_partial_reader *pgo_partial_open(const char *path, struct pgo_err *err);
/* Keeps `data`: the binary form, or a line of text. */
struct pgo_partial_reader *pgo_partial_open_memory(
	const char *name, const void *data, size_t len, struct pgo_err *err);
void pgo_partial_close(struct pgo_partial_reader *r);
/* Borrowed from the reader. */
const struct pgo_partial_head *pgo_partial_head_of(const struct pgo_partial_reader *r);
/* Adds all sums to `m`, and checks the digest; once.  After a failure throw `m` away. */
int pgo_partial_load(
	struct pgo_partial_reader *r, struct pgo_merge *m, struct pgo_err *err) PGO_MUST_CHECK;
/* The same with each sum `times` as large. */
int pgo_partial_load_times(struct pgo_partial_reader *r, struct pgo_merge *m, uint64_t times,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Does this look like a partial once inflated? */
bool pgo_partial_probe(const void *head, size_t len);

#endif
