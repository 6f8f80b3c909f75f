/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of a conversion: what convert.c (the object and its run), parts.c (its binaries), intake.c
 * (reading profiles) and figures.c (the account, and errors that explain it) share.
 */
#ifndef PGO_CONVERT_CONVERT_IMPL_H
#define PGO_CONVERT_CONVERT_IMPL_H

#include "convert/bat.h"
#include "convert/callstack.h"
#include "convert/convert.h"
#include "convert/gopgo.h"
#include "convert/pass.h"

struct pgo_heat {      /* of one function */
	uint32_t name; /* in the conversion's names */
	uint64_t count, total, size;
};

/* A binary and what is made of it.  In fixed place: others point into it. */
struct pgo_convert_part {
	struct pgo_elf *elf;
	struct pgo_elf *debug_elf; /* for its symbols, if the binary is stripped */
	struct pgo_ranges ranges;
	struct pgo_callstack stacks;  /* of samples without branch records */
	struct pgo_symbolic symbolic; /* those without addresses */
	struct pgo_codefns fns;
	struct pgo_lines *lines;
	struct pgo_fdata *fdata;
	struct pgo_fnprof *fnprof;  /* where other builds are carried over: its own */
	struct pgo_bat *bat;        /* llvm-bolt rewrote it: where its code came from, or NULL */
	struct pgo_account account; /* losses: of its own addresses, until they are settled */
	uint64_t ranges_inside;     /* fall-through ranges with both ends in it */
	struct pgo_heat *heat;      /* by name */
	size_t n_heat;
	char other_build[129]; /* a build-id that a file of the binary's name had */
	uint32_t number;       /* in the order of opening: its index while profiles are read */
	bool found;            /* in a directory, by its build-id; else the user named it */
};

/* A file of the profile that is none of the binaries. */
struct pgo_convert_other {
	uint32_t name, build_id; /* the key, in the conversion's names */
	uint64_t traces, samples;
};

/* A file below the directories to search. */
struct pgo_convert_file {
	char *path;
	char build_id[129];
};

struct pgo_convert {
	struct pgo_convert_options o;
	struct pgo_convert_part **parts;
	size_t n_parts, parts_room;
	struct pgo_strtab names;             /* of functions and files, for the account */
	struct pgo_fnprof *fnprof;           /* of all parts */
	struct pgo_gopgo *go;                /* likewise */
	char target_build_id[129];           /* where other builds are carried over */
	struct pgo_account account;          /* the sum */
	const struct pgo_account **accounts; /* of the parts */
	struct pgo_convert_other *others;
	size_t n_others, others_room;
	struct pgo_map other_map;
	struct pgo_convert_file *files; /* by build-id, then path; made when first needed */
	size_t n_files, files_room;
	bool listed;
	struct pgo_strtab sought; /* build-ids that were looked for */
	char *event;              /* sample type of the plain samples */
	uint64_t unit_divisor;    /* of all values of plain samples */
	uint64_t unit_least;      /* the least of them */
	bool unit_is_time;        /* or something else that is no count */
	uint64_t nameless;        /* samples without an address, but with lines, not asked for */
	uint64_t plain_alone;     /* samples of inputs without branch records */
	bool executions;          /* every profile with traces estimates executions; later: and
				     so they are what is counted */
	uint64_t estimated, estimated_records; /* executions of traces, and their records */
	char *other_file;                      /* a file that is not the binary */
};

/* Opens the debug file of a binary without symbols; the table to use is debug_elf's, if there is one. */
int pgo_convert_open_symbols(
	struct pgo_convert *c, struct pgo_convert_part *part, struct pgo_err *err) PGO_MUST_CHECK;

/* ---- parts.c */

/* Adds the named binaries. */
int pgo_convert_open_parts(struct pgo_convert *c, struct pgo_err *err) PGO_MUST_CHECK;
/* Adds those binaries below the directories that a mapping of `p` names by build-id. */
int pgo_convert_find_parts(
	struct pgo_convert *c, const struct pgo_profile *p, struct pgo_err *err) PGO_MUST_CHECK;
/* Into the order that results are made in. */
void pgo_convert_sort_parts(struct pgo_convert *c);
void pgo_convert_free_parts(struct pgo_convert *c);

/* ---- other_builds.c */

/* The parts' own source-level profiles into the one of all. */
int pgo_convert_carry_over(struct pgo_convert *c, struct pgo_err *err) PGO_MUST_CHECK;
/* Where lines, names and positions of a part go. */
static inline struct pgo_fnprof *pgo_convert_fnprof_of(
	const struct pgo_convert *c, const struct pgo_convert_part *part)
{
	return part->fnprof != NULL ? part->fnprof : c->fnprof;
}

/* ---- figures.c */

/* What could have been the binary's is what counts: samples in other programs and libraries say
 * nothing about the match. */
double pgo_convert_mapped_share(const struct pgo_account *a);
/* After reading: what was read is the same for every part; what it neither used nor lost itself is
 * of other binaries. */
void pgo_convert_settle(struct pgo_convert *c);
/* Functions, hottest, density of a part; 0 or -1 (memory). */
int pgo_convert_figures(
	struct pgo_convert *c, struct pgo_convert_part *part, const struct pgo_pass *p);
/* The same for all together, from its parts. */
int pgo_convert_sum(struct pgo_convert *c);
/* Nothing of the profile is the binary's: says what it is of. */
int pgo_convert_nothing_fits(const struct pgo_convert *c, struct pgo_err *err);
/* There were samples of the binary, but no instruction can be said to have run: says why. */
int pgo_convert_nothing_ran(const struct pgo_convert_part *part, struct pgo_err *err);

#endif
