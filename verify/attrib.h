/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose cost is it: the self cost of every sample goes to the source-level function that its leaf
 * instruction came from.
 *
 * With the binary at hand that is the innermost inlined function by DWARF, so that a rebuild which
 * inlines differently does not move cost from one name to another; without DWARF the ELF symbol;
 * without a binary the function names in the profile.  Names are made canonical, so that both builds agree on them.
 * Cost of other files without names goes to "[file]", cost without any name to "[unknown]".
 *
 * One object a side (before, after); the two sides share nothing and may be filled by two threads.
 * Profiles are added one by one; what one host did in one profile is a replicate.  A sample's host
 * is its label `host`, else what is known of the input.
 *
 * Nothing is held of a profile but sums.  Addresses are named at the end, or when there are so many
 * rows that they must be put together, so that debug information is read seldom.
 */
#ifndef PGO_VERIFY_ATTRIB_H
#define PGO_VERIFY_ATTRIB_H

#include "pgo/core/elf.h"
#include "pgo/core/err.h"
#include "pgo/core/map.h"
#include "pgo/core/profile.h"
#include "verify/costs.h"
#include "verify/layout.h"
#include "verify/stacks.h"

#include <stdbool.h>
#include <stdint.h>

struct pgo_attrib_options {      /* strings outlive the object */
	const char *binary;      /* NULL: the profiles' own names */
	const char *sample_type; /* NULL: cpu, else the default of the profiles */
	const char *host_label;  /* NULL: "host" */
	/*
	 * What says how much work a host did in a window: a label of its samples, the same number
	 * (or text that is one) on all that have it, or a sample type, which is summed up; NULL: none.
	 */
	const char *work_label;
	const char
		*arm_label; /* samples where it is "control" are of the control arm; NULL: none */
	bool control;       /* all samples are */
	bool no_stacks;     /* keep none: there will be no call tree */
	size_t max_rows;    /* past this windows of a host are put together; 0 = 16 million */
};

/* What is known of an input besides what it says itself; any of it may be 0. */
struct pgo_attrib_input {
	const char *name, *host, *version;
	int64_t time_ns, duration_ns;
	double work; /* of all its samples together; 0 or less: not known */
};

/* read = counted + without + negative; value of the counted: in verify/costs.h by place. */
struct pgo_attrib_account {
	uint64_t read;     /* samples of the files */
	uint64_t counted;  /* cost given to an item */
	uint64_t without;  /* no cost in the column: of other columns, branch records */
	uint64_t negative; /* cost below zero: a difference of profiles */
};

/*
 * A frame: code as a place in the inline tree.  Either an address in the binary, not named yet, or a
 * name with the frame it is inlined into.
 */
enum pgo_frame_kind { PGO_FRAME_ADDRESS = PGO_ITEM_UNNAMED + 1 }; /* else enum pgo_item_place */
struct pgo_attrib_frame {
	struct {
		uint64_t addr; /* of PGO_FRAME_ADDRESS; else 0 */
		uint32_t name; /* string; 0 for addresses */
		uint32_t up;   /* frame + 1 that it is inlined into; 0 = none */
		uint32_t kind; /* enum pgo_frame_kind or pgo_item_place */
		uint32_t zero; /* no padding in a key */
	} key;
	uint32_t named;        /* an address: the frame that it means, UINT32_MAX until known */
	uint32_t own;          /* an address: what the profile calls it, UINT32_MAX if nothing */
	uint32_t row_rep, row; /* the row it was added to last; while there are these rows */
	int64_t value;         /* self cost, all replicates together but those of a control arm */
	uint64_t samples;
};

struct pgo_attrib_row {
	struct {
		uint32_t frame, rep;
	} key;
	int64_t value;
	uint64_t samples;
};

struct pgo_attrib {
	struct pgo_attrib_options o;
	bool after;
	struct pgo_elf *elf; /* NULL without a binary */
	char *unit;          /* "cpu/nanoseconds": what was found; the same in all profiles */
	struct pgo_strtab names;
	struct pgo_attrib_frame *frames;
	struct pgo_cost_rep *reps; /* strings are of `names` */
	struct pgo_attrib_row *rows;
	size_t n_frames, frames_room, n_reps, reps_room, n_rows, rows_room;
	struct pgo_map frame_map, row_map;
	struct pgo_stacks stacks; /* of the arm that was rebuilt */
	struct pgo_layout layout; /* of it as well: branch records */
	int64_t counted;          /* cost of it */
	int64_t stackless;        /* cost of its samples that have no location at all */
	size_t settle_at;         /* rows */
	bool coarse, no_lines, settled;
	struct pgo_attrib_account account;
};

int pgo_attrib_init(struct pgo_attrib *a, bool after, const struct pgo_attrib_options *o,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_attrib_fini(struct pgo_attrib *a);
/*
 * Draws all samples; `in` may be NULL. PGO_EMISMATCH if the profile lacks the sample type or has
 * another unit than its predecessors; PGO_EEMPTY if it has no samples in it.
 */
int pgo_attrib_add(struct pgo_attrib *a, struct pgo_reader *r, const struct pgo_attrib_input *in,
	struct pgo_err *err) PGO_MUST_CHECK;
/*
 * Names everything and adds items, replicates and rows to `to`, which the caller sorts when it has
 * both sides (pgo_costs_sort).  PGO_EMISMATCH if the other side measures something else.
 */
int pgo_attrib_finish(
	struct pgo_attrib *a, struct pgo_costs *to, struct pgo_err *err) PGO_MUST_CHECK;

/* ---- between attrib*.c */

/* The frame's index, added if new; UINT32_MAX: out of memory. */
uint32_t pgo_attrib_frame(
	struct pgo_attrib *a, uint64_t addr, uint32_t name, uint32_t up, uint32_t kind);
/* A function's canonical name in `names`; PGO_STR_NONE: out of memory. */
uint32_t pgo_attrib_name(struct pgo_attrib *a, const char *name);
/* Gives every address frame its `named`. */
int pgo_attrib_name_frames(struct pgo_attrib *a, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_attrib_push_row(
	struct pgo_attrib *a, uint32_t frame, uint32_t rep, int64_t value, uint64_t samples);
/* Rows become rows of functions: addresses are named, frames add up.  `between` profiles windows may
 * be put together, which numbers replicates anew. */
int pgo_attrib_settle(struct pgo_attrib *a, bool between, struct pgo_err *err) PGO_MUST_CHECK;

#endif
