/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profile in memory: what a pprof says, with ids replaced by dense indices and strings
 * interned.
 *
 * A struct pgo_profile holds the tables (sample types, mappings, locations, functions, strings)
 * and, if it was built in memory, the samples.  Profiles that come from files are read through a
 * struct pgo_reader: tables first, then one sample at a time, so that a profile of a gigabyte never
 * sits decoded in memory.  Everything that consumes profiles (merge, convert, verify) takes a
 * reader.
 *
 * Shapes: call stacks are leaf first.  Index fields are 0-based; PGO_NONE means "none".  Addresses
 * are as the producer wrote them (one of four conventions: see pgo/core/resolve.h).  Values are the
 * producer's, one per sample type.
 *
 * The fields are those of profile.proto (package perftools.profiles), all of them.
 */
#ifndef PGO_CORE_PROFILE_H
#define PGO_CORE_PROFILE_H

#include "pgo/core/err.h"
#include "pgo/core/strtab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PGO_NONE UINT32_MAX

struct pgo_value_type {
	uint32_t type, unit; /* strings: "cpu", "nanoseconds" */
};

struct pgo_mapping {
	uint64_t start, limit, offset; /* memory_start, memory_limit, file_offset */
	uint32_t filename, build_id;   /* strings; the build-id as lower-case hex where known */
	bool has_functions, has_filenames, has_line_numbers, has_inline_frames;
};

struct pgo_function {
	uint32_t name, system_name, filename; /* strings */
	int64_t start_line;                   /* 0 = unknown */
};

struct pgo_line {
	uint32_t function; /* index */
	int64_t line, column;
};

struct pgo_location {
	uint32_t mapping; /* index or PGO_NONE */
	uint64_t addr;
	uint32_t first_line,
		n_lines; /* in lines[]; innermost inlined frame first, its caller last */
	bool folded;
};

struct pgo_label {
	uint32_t key, str; /* strings; str 0 = numeric label */
	int64_t num;
	uint32_t num_unit; /* string */
};

/* One sample; the arrays are borrowed: from a reader until its next call, from a profile as long as
 * it lives unchanged. */
struct pgo_sample {
	const uint32_t *loc;  /* location indices, leaf first */
	const int64_t *value; /* n_sample_types of them */
	const struct pgo_label *label;
	uint32_t n_loc, n_label;
};

/* A sample stored in a profile: offsets into its pools. */
struct pgo_sample_ref {
	size_t first_loc, first_label;
	uint32_t n_loc, n_label;
};

struct pgo_profile {
	struct pgo_strtab strs;

	struct pgo_value_type *sample_types;
	struct pgo_mapping *mappings; /* mappings[0] is the main binary by convention */
	struct pgo_location *locations;
	struct pgo_line *lines;
	struct pgo_function *functions;
	uint32_t *comments; /* strings */
	size_t n_sample_types, n_mappings, n_locations, n_lines, n_functions, n_comments;
	size_t sample_types_room, mappings_room, locations_room, lines_room, functions_room,
		comments_room;

	struct pgo_value_type period_type;
	int64_t period, time_ns, duration_ns;
	uint32_t drop_frames, keep_frames, default_sample_type, doc_url; /* strings, 0 = unset */

	/* Samples of a profile built in memory; empty in the tables of a reader. */
	struct pgo_sample_ref *samples;
	uint32_t *sample_locs;           /* pool */
	int64_t *sample_values;          /* n_samples x n_sample_types */
	struct pgo_label *sample_labels; /* pool */
	size_t n_samples, n_sample_locs, n_sample_labels;
	size_t samples_room, sample_locs_room, sample_values_room, sample_labels_room;
};

/* Gives a profile without any content; NULL when out of memory.  Free with pgo_profile_free(). */
struct pgo_profile *pgo_profile_new(struct pgo_err *err);
void pgo_profile_free(struct pgo_profile *p);

/* Builders: each gives the index of the new element, or PGO_NONE when out of memory.  Nothing is
 * deduplicated but strings. */
uint32_t pgo_profile_add_sample_type(struct pgo_profile *p, const char *type, const char *unit);
uint32_t pgo_profile_add_mapping(struct pgo_profile *p, const struct pgo_mapping *m);
uint32_t pgo_profile_add_function(struct pgo_profile *p, const struct pgo_function *f);
uint32_t pgo_profile_add_location(struct pgo_profile *p, uint32_t mapping, uint64_t addr,
	const struct pgo_line *lines, uint32_t n_lines);
int pgo_profile_add_comment(struct pgo_profile *p, const char *text);
/* Copies the sample; all sample types must have been added before. */
int pgo_profile_add_sample(struct pgo_profile *p, const struct pgo_sample *s);
/* Sample i of a profile built in memory. */
struct pgo_sample pgo_profile_sample(const struct pgo_profile *p, size_t i);
/* The index of the sample type called `type`, or PGO_NONE. */
uint32_t pgo_profile_sample_type(const struct pgo_profile *p, const char *type);
static inline const char *pgo_profile_str(const struct pgo_profile *p, uint32_t id)
{
	return pgo_strtab_get(&p->strs, id);
}

/*
 * Validity as google/pprof's CheckValid has it, for the tables: at least one sample type unless the
 * profile has no samples, every index in range, lines that name functions, mappings that do not end
 * before they start.  The sentence names the rule broken.
 */
int pgo_profile_check_tables(const struct pgo_profile *p, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_profile_check_sample(const struct pgo_profile *p, const struct pgo_sample *s,
	struct pgo_err *err) PGO_MUST_CHECK;

/* Samples one at a time, from wherever they are. */
struct pgo_reader {
	const struct pgo_profile *head; /* the tables; complete before the first sample is drawn */
	const char *name;               /* of the input, for messages */
	/* 1 and a sample, 0 at the end, or a negative code. */
	int (*next)(struct pgo_reader *r, struct pgo_sample *ret, struct pgo_err *err);
	void (*close)(struct pgo_reader *r);
};

static inline int pgo_reader_next(struct pgo_reader *r, struct pgo_sample *ret, struct pgo_err *err)
{
	return r->next(r, ret, err);
}
/* NULL is fine. */
void pgo_reader_close(struct pgo_reader *r);
/* Over a profile in memory: keeps `p` and `name`, which outlive it; if `take` is set, takes `p` and
 * frees it on close, or at once if this fails. */
struct pgo_reader *pgo_profile_reader(
	struct pgo_profile *p, const char *name, bool take, struct pgo_err *err);

#endif
