/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a merger knows: every function, mapping, location, label set and stack once, interned by
 * value in flat arrays under open-addressing maps, and one row of 128-bit sums per stack.
 * merge/remap.c, sums.c and header.c fill the tables from a profile, ranks.c and finish.c sort them
 * into the result; nobody else includes this file.
 *
 * Memory grows with the number of distinct keys, never with the number of inputs.
 *
 * Addresses.  A location is stored in one of three ways, decided by the location and its mapping
 * alone, so that every order and every tree of merges gives the same:
 *	inside its mapping	address - start under the mapping's key: address randomisation is
 *				gone (a mapping with a start but no limit reaches up to the end)
 *	address 0		erased by a store: stays 0, never rebased
 *	outside its mapping	the address under a second mapping with the same file but start,
 *				limit and offset 0.  That is how agents that report ELF addresses
 *				write them;
 *				rebasing such an address by a run-time start would be wrong. Counted
 *				(stats.locations_outside): the other way to get here is a store that
 *				merged processes without regard to their load addresses.
 */
#ifndef PGO_MERGE_TABLES_H
#define PGO_MERGE_TABLES_H

#include "merge/merge.h"
#include "pgo/core/map.h"

typedef __int128 pgo_i128;

struct pgo_mt_mapping {
	/* key */
	uint64_t size; /* limit - start, rounded up to 4 KiB; 0 = limit unknown, or bare */
	uint64_t offset;
	uint32_t ident;  /* string: the build-id, else the file name */
	uint16_t has_id; /* ident is a build-id */
	uint16_t bare;   /* without start and limit: addresses in it are absolute */
	/* value: each field by a rule that does not care for order */
	uint64_t start;    /* lowest but 0 */
	uint64_t exact;    /* largest size before rounding */
	uint32_t filename; /* first in byte order, but not "" */
	bool functions, filenames, line_numbers, inline_frames; /* what all inputs promise */
};

struct pgo_mt_function {
	uint32_t name, system_name, filename, zero;
	int64_t start_line;
};

#define PGO_MT_FOLDED 1u
#define PGO_MT_RAW 2u /* the address is absolute */

struct pgo_mt_location {
	uint64_t addr;
	uint32_t mapping; /* or PGO_NONE */
	uint32_t flags;
	uint32_t first_line, n_lines;
};

struct pgo_mt_labels {
	size_t first;
	uint32_t n;
};

struct pgo_mt_stack {
	size_t first; /* in the pool of location indices */
	uint32_t n_loc;
	uint32_t labels; /* label set; 0 = none */
};

/*
 * Stacks on their way to their rows.  A table of stacks does not fit the caches, so one is not looked
 * up at once: it waits until PGO_MT_BATCH are together, and the memory that they will need is asked
 * for before any of them needs it.
 */
#define PGO_MT_BATCH 64

struct pgo_mt_waiting {
	uint64_t hash;
	size_t first; /* in the batch's locs */
	uint32_t n_loc, labels;
	uint32_t row; /* where it went */
};

struct pgo_mt_batch {
	struct pgo_mt_waiting at[PGO_MT_BATCH];
	uint32_t n;
	uint32_t *locs;
	size_t n_locs, locs_room;
	int64_t *values; /* PGO_MT_BATCH rows as wide as the input's samples */
	size_t values_room;
	uint64_t weight; /* of all values in it */
};

struct pgo_mt_period {
	uint32_t type, unit; /* strings: the first in byte order that is set... */
	int64_t period;      /* ...and its largest period */
};

/* Header fields, each combined by a rule that is commutative and associative. */
struct pgo_mt_header {
	/* Of inputs with anything but branch data; and of those without, whose period says nothing
	 * about the counts of others: it is that of the result only where there are no others. */
	struct pgo_mt_period period, lbr_period;
	int64_t time_ns;                                 /* earliest but 0 */
	int64_t duration_ns;                             /* sum */
	uint32_t drop_frames, keep_frames, doc_url;      /* first in byte order, but not "" */
	uint32_t default_type;                           /* string; see pgo_mt_type_order */
	uint32_t main_ident, main_has_id, main_filename; /* of mapping 0 */
	bool has_main;
};

/* Ids of the input being added -> ids of the tables; filled on first use. */
struct pgo_mt_remap {
	const struct pgo_profile *head;
	uint32_t *str, *mapping, *bare_mapping, *function, *location, *column;
	uint32_t *known_location, *known_mapping; /* found before they were used */
	size_t known_location_room, known_mapping_room;
	uint64_t *factor; /* per column of the input: what brings it to the unit of the tables */
	uint32_t counts,
		implied; /* the input's counts of samples, and the column of what they imply */
	uint64_t implied_factor;
	size_t factor_room, str_room, mapping_room, bare_mapping_room, function_room, location_room,
		column_room;
	size_t n_str;
	struct pgo_line *lines; /* scratch: one location's */
	size_t lines_room;
	struct pgo_label *labels; /* scratch: one sample's */
	size_t labels_room;
};

struct pgo_merge {
	struct pgo_merge_options options;
	struct pgo_merge_stats stats;
	bool spent;

	struct pgo_strtab strs;
	struct pgo_mt_mapping *mappings;
	struct pgo_mt_function *functions;
	struct pgo_mt_location *locations;
	struct pgo_line *lines; /* pool; padding is zero, so that rows compare as bytes */
	struct pgo_mt_labels *label_sets;
	struct pgo_label *labels; /* pool; padding is zero */
	struct pgo_mt_stack *stacks;
	uint32_t *stack_locs; /* pool */
	struct pgo_value_type *columns;
	uint32_t *comments; /* strings, each once */
	size_t n_mappings, n_functions, n_locations, n_lines, n_label_sets, n_labels, n_stacks,
		n_stack_locs, n_columns, n_comments;
	size_t mappings_room, functions_room, locations_room, lines_room, label_sets_room,
		labels_room, stacks_room, stack_locs_room, columns_room, comments_room;
	struct pgo_map mapping_map, function_map, location_map, label_map, stack_map, comment_map;

	pgo_i128 *sums; /* n_stacks rows of `stride` columns */
	size_t sums_room, stride;

	struct pgo_mt_header header;
	struct pgo_mt_remap remap;
	struct pgo_mt_batch batch;     /* empty between inputs */
	struct pgo_tag_seen *tag_seen; /* of the input, if samples are filtered */
	struct pgo_mt_spill *spill;    /* rows on disk; NULL = none (merge/spill.h) */
};

/* Prepares the ids of `p` for remapping, joins its columns and its header to the tables. */
int pgo_mt_begin(struct pgo_merge *m, const struct pgo_profile *p, struct pgo_err *err);
/* Takes the sample into the batch: weight x its values go to the row of its stack, now or at the
 * next pgo_mt_flush().  The weight is the same from one flush to the next. */
int pgo_mt_add(
	struct pgo_merge *m, const struct pgo_sample *s, uint64_t weight, struct pgo_err *err);
int pgo_mt_flush(struct pgo_merge *m, struct pgo_err *err);
int pgo_mt_join_columns(struct pgo_merge *m, const struct pgo_profile *p, struct pgo_err *err);
int pgo_mt_join_header(struct pgo_merge *m, const struct pgo_profile *p, struct pgo_err *err);

/*
 * Elements in the tables' own ids, interned by value; PGO_NONE or -1 when out of memory.  A mapping
 * that is there already takes over what `want` knows better.
 */
uint32_t pgo_mt_intern_mapping(struct pgo_merge *m, const struct pgo_mt_mapping *want);
uint32_t pgo_mt_intern_function(struct pgo_merge *m, const struct pgo_mt_function *key);
/* `loc` says how many `lines` there are; its first_line is not looked at. */
int pgo_mt_intern_location(struct pgo_merge *m, const struct pgo_mt_location *loc,
	const struct pgo_line *lines, uint32_t *ret);
/* Sorts `labels`, so that sets with the same labels in another order are one. */
int pgo_mt_intern_labels(struct pgo_merge *m, struct pgo_label *labels, uint32_t n, uint32_t *ret);
void pgo_mt_sort_labels(struct pgo_label *labels, uint32_t n);
/* The batch, without its values: room for `n_loc` locations of another stack, NULL when out of
 * memory; that stack, once they are there; and the rows of all stacks in it, found or claimed.  The
 * caller empties it by setting `n` and `n_locs` to 0. */
uint32_t *pgo_mt_batch_room(struct pgo_merge *m, uint32_t n_loc);
void pgo_mt_batch_put(struct pgo_merge *m, uint32_t n_loc, uint32_t labels);
int pgo_mt_batch_rows(struct pgo_merge *m);
/* One row at once: of the stack whose locations lie at the end of the pool, still unclaimed. */
int pgo_mt_intern_stack(struct pgo_merge *m, uint32_t n_loc, uint32_t labels, uint32_t *ret);
/* The column that values of this type are added to, times `*ret_factor`.  Factors given before may be
 * out of date then: join all, then ask for each again. */
int pgo_mt_join_column(struct pgo_merge *m, const struct pgo_value_type *t, uint32_t *ret,
	uint64_t *ret_factor, struct pgo_err *err);
/* The same for the event that counts with a period imply. */
int pgo_mt_join_implied(struct pgo_merge *m, const char *type, uint32_t unit, uint64_t period,
	uint32_t *ret, uint64_t *ret_factor, struct pgo_err *err);
/* When all is in: gives columns to what is only implied, if the result could not say it otherwise. */
int pgo_mt_settle(struct pgo_merge *m, struct pgo_err *err);
/* The period of the result. */
const struct pgo_mt_period *pgo_mt_period_of(const struct pgo_merge *m);
/* Is it one of those that no result has? */
bool pgo_mt_is_implied(const struct pgo_merge *m, uint32_t column);
/* Is it one that holds nothing any more, and says nothing? */
bool pgo_mt_is_left_behind(const struct pgo_merge *m, uint32_t column);
int pgo_mt_join_comment(struct pgo_merge *m, uint32_t id);
/* `in` holds ids of the tables. */
void pgo_mt_combine_headers(struct pgo_merge *m, const struct pgo_mt_header *in);

/* The id in the tables of string `id` of the input. */
int pgo_mt_str(struct pgo_merge *m, uint32_t id, uint32_t *ret, struct pgo_err *err);
/* Looks up, many at a time, what of the input the tables have already; -1 when out of memory. */
int pgo_mt_foresee(struct pgo_merge *m);
/* Keys: that of a mapping without its strings, and that of a location without its mapping. */
void pgo_mt_mapping_key(const struct pgo_mapping *in, bool bare, struct pgo_mt_mapping *ret);
enum pgo_mt_place { PGO_MT_ABSOLUTE, PGO_MT_INSIDE, PGO_MT_OUTSIDE };
enum pgo_mt_place pgo_mt_location_key(
	const struct pgo_profile *p, const struct pgo_location *in, struct pgo_mt_location *ret);
uint64_t pgo_mt_location_hash(const struct pgo_mt_location *key, const struct pgo_line *lines);
bool pgo_mt_location_is(const struct pgo_merge *m, uint32_t id, const struct pgo_mt_location *key,
	const struct pgo_line *lines);
/* The location's id in the tables, interned and remembered; `id` is one of the input's. */
int pgo_mt_location(struct pgo_merge *m, uint32_t id, uint32_t *ret, struct pgo_err *err);
/* What names a mapping's file: its build-id in plain hex if it has one, else its name. */
int pgo_mt_ident(struct pgo_merge *m, const struct pgo_mapping *in, uint32_t *ret_ident,
	uint32_t *ret_has_id, uint32_t *ret_filename, struct pgo_err *err);
/* Byte order of two strings of the tables, which may hold any byte. */
int pgo_mt_str_cmp(const struct pgo_merge *m, uint32_t a, uint32_t b);
/* The first of two strings in byte order that is not "". */
uint32_t pgo_mt_first_str(const struct pgo_merge *m, uint32_t a, uint32_t b);
void pgo_mt_fini(struct pgo_merge *m);
/* Past options.spill_at rows go to disk; past options.max_memory it is PGO_ELIMIT.  Between samples,
 * with an empty batch. */
int pgo_mt_check_memory(struct pgo_merge *m, struct pgo_err *err);
/* Bytes that the tables hold. */
uint64_t pgo_mt_bytes(const struct pgo_merge *m);
/* The order of columns in a result, by type name: samples first, branch data last, else by name. */
int pgo_mt_type_order(const char *a, const char *b);

#endif
