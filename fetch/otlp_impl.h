/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the reader of OTLP profiles: what its files share.
 *
 *	otlp.c         recognising, messages out of a stream, the account
 *	otlp_json.c    JSON -> the same message as protobuf
 *	otlp_layout.c  which revision of the messages
 *	otlp_dict.c    the tables of one message -> things known by number over the whole file
 *	otlp_sample.c  resources, profiles, samples -> sums
 *	otlp_write.c   sums -> pprofs, sorted by content
 *
 * A thing (mapping, function, location, stack, set of labels) is interned by its bytes, as strings
 * are, in a string table of its own: equal things have one number, whichever message they came in,
 * and number 0 is "none".
 */
#ifndef PGO_FETCH_OTLP_IMPL_H
#define PGO_FETCH_OTLP_IMPL_H

#include "fetch/otlp.h"
#include "pgo/core/buf.h"
#include "pgo/core/json.h"
#include "pgo/core/map.h"
#include "pgo/core/profile.h"
#include "pgo/core/strtab.h"
#include "pgo/core/wire.h"

/* Field numbers that all revisions have. */
enum {
	OTLP_RESOURCES = 1, /* of the data */
	OTLP_DICTIONARY = 2,
	OTLP_RESOURCE = 1, /* of resource profiles */
	OTLP_SCOPES = 2,
	OTLP_PROFILES = 2, /* of scope profiles */
	OTLP_SAMPLES = 2,  /* of a profile */
	OTLP_MAPPINGS = 1, /* of the dictionary */
	OTLP_LOCATIONS = 2,
	OTLP_FUNCTIONS = 3,
	OTLP_STRINGS = 5,
	OTLP_ATTRIBUTES = 6,
	OTLP_STACKS = 7,
};

/* Where things are in one message. */
struct pgo_otlp_layout {
	bool ranges;             /* the oldest revision that is read */
	uint32_t time, duration; /* fields of a profile; 0 = not there */
	uint32_t period_type, period;
	uint32_t attributes;
	uint32_t s_values, s_attributes, s_times; /* of a sample */
};

/* Interned things, as they lie in their tables; no padding. */
struct pgo_otlp_mapping {
	uint64_t start, limit, offset;
	uint32_t filename, build_id;
};

struct pgo_otlp_function {
	uint32_t name, system_name, filename, none;
	int64_t start_line;
};

struct pgo_otlp_line {
	uint32_t function, none;
	int64_t line, column;
};

struct pgo_otlp_location {
	uint64_t addr;
	uint32_t mapping, lines; /* lines: an array of struct pgo_otlp_line */
};

struct pgo_otlp_label {
	uint32_t key, str; /* str 0: a number */
	int64_t num;
};

/* One sum; begins with its key. */
struct pgo_otlp_entry {
	uint32_t group, stack, labels, column;
	int64_t value;
};

struct pgo_otlp_group {   /* what becomes one pprof; begins with its key */
	uint32_t labels;  /* of the resource */
	uint32_t program; /* string */
	uint32_t period_type, period_unit;
	int64_t period;
	uint32_t host;          /* 0 = not known, PGO_NONE = several */
	int64_t from_ns, to_ns; /* 0 = not known */
};

struct pgo_otlp_column { /* a sample type; begins with its key */
	uint32_t type, unit;
};

/* An attribute of the dictionary or of a resource. */
struct pgo_otlp_attribute {
	uint32_t key, str;
	int64_t num;
	bool is_number;
};

/* The tables of the message at hand: index there -> number here. */
struct pgo_otlp_tables {
	uint32_t *strings, *functions, *mappings, *locations, *stacks;
	struct pgo_otlp_attribute *attributes;
	size_t n_strings, n_functions, n_mappings, n_locations, n_stacks, n_attributes;
	size_t strings_room, functions_room, mappings_room, locations_room, stacks_room,
		attributes_room;
};

struct pgo_otlp {
	const struct pgo_import_options *o;
	struct pgo_import_stats *stats;
	struct pgo_strtab strs, functions, mappings, lines, locations, stacks, labels;
	struct pgo_otlp_group *groups;
	struct pgo_otlp_column *columns;
	struct pgo_otlp_entry *entries;
	size_t n_groups, groups_room, n_columns, columns_room, n_entries, entries_room;
	struct pgo_map group_map, column_map, entry_map;
	uint64_t n_messages;

	struct pgo_otlp_layout layout; /* of the message at hand */
	bool current;                  /* is known to be in the current one: it was JSON */
	struct pgo_otlp_tables t;
	uint32_t *scratch; /* of one stack */
	size_t scratch_room;

	struct file_id { /* of a binary that was given */
		char file_id[33], build_id[129];
	} * ids;
	size_t n_ids;
	uint32_t s_gnu, s_htlhash, s_go; /* keys of attributes that are looked for */
	uint32_t s_program, s_path, s_host, s_service, s_version;
};

/* The number of a thing of `len` bytes; PGO_STR_NONE when memory is used up. */
static inline uint32_t pgo_otlp_intern(struct pgo_strtab *t, const void *thing, size_t len)
{
	return pgo_strtab_add(t, thing, len);
}
/* The thing, or NULL for number 0. */
static inline const void *pgo_otlp_thing(const struct pgo_strtab *t, uint32_t id, size_t *ret_len)
{
	*ret_len = t->strs[id].len;
	return id != 0 ? t->strs[id].s : NULL;
}

/* otlp_json.c: appends the message as protobuf in the current layout. */
int pgo_otlp_from_json(const char *name, const char *text, size_t len, struct pgo_buf *out,
	struct pgo_err *err) PGO_MUST_CHECK;

extern const struct pgo_otlp_layout pgo_otlp_current;
/* otlp_layout.c: looks at all profiles and samples of a message; n_attributes: of its dictionary. */
int pgo_otlp_layout(struct pgo_wire message, size_t n_attributes, struct pgo_otlp_layout *ret,
	struct pgo_err *err) PGO_MUST_CHECK;

/* otlp_dict.c: fills otlp->t but for the stacks; PGO_EFORMAT where there is no dictionary. */
int pgo_otlp_dict(
	struct pgo_otlp *otlp, struct pgo_wire message, struct pgo_err *err) PGO_MUST_CHECK;
/* One KeyValue of a resource. */
int pgo_otlp_key_value(struct pgo_otlp *otlp, struct pgo_wire in, struct pgo_otlp_attribute *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Numbers of a field that may be packed or not, one at a time: false at the end of this field. */
bool pgo_otlp_number(struct pgo_wire_field *f, uint64_t *ret);
/* The number of a stack of these locations (numbers here; 0 is left out, `at` may be
 * otlp->scratch); PGO_STR_NONE: memory. */
uint32_t pgo_otlp_stack(struct pgo_otlp *otlp, const uint32_t *at, size_t n);
/* The text is no message. */
int pgo_otlp_broken(struct pgo_err *err, const char *what);
/* An index outside its table. */
int pgo_otlp_outside(struct pgo_err *err, const char *what, uint64_t index, size_t n);

/* otlp_sample.c: all resources of the message, its dictionary being known. */
int pgo_otlp_resources(
	struct pgo_otlp *otlp, struct pgo_wire message, struct pgo_err *err) PGO_MUST_CHECK;

/* otlp_write.c */
int pgo_otlp_write(
	struct pgo_otlp *otlp, struct pgo_imported *ret, struct pgo_err *err) PGO_MUST_CHECK;

#endif
