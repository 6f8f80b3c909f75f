/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a profile is worth for a program, as gates (verify/gates.h): one function that `pgo check` and
 * `pgo run` both call.
 *
 * Everything in the inputs may be unset; what cannot be measured for want of it becomes a skipped gate
 * that says so.  Nothing is written but temporary files of compilers, which are removed.
 *
 *	from the plan      hosts, days, dominance, freshness
 *	from the account   mapped, bogus, density
 *	from the files     size, stale (with the binary), aliases (with the binary), acceptance
 *	with last-good     overlap_functions, overlap_blocks, name_collapse, moved
 *	of the history     flips
 */
#ifndef PGO_FIT_CHECK_H
#define PGO_FIT_CHECK_H

#include "convert/convert.h"
#include "convert/output.h"
#include "merge/plan.h"
#include "pgo/core/err.h"
#include "verify/fit.h"
#include "verify/gates.h"

/* A profile that was converted, as bytes.  Only gcc's, clang's and llvm-bolt's are looked into; others
 * are passed over. */
struct pgo_fit_file {
	enum pgo_output_kind kind;
	const char *name; /* in messages, and to find last-good's: its base name */
	const void *data;
	size_t len;
};

struct pgo_fit_inputs {                /* all borrowed for the call */
	const char *binary;            /* the program that the profile is for; NULL = unknown */
	struct pgo_debug_places where; /* of its debug information */
	const struct pgo_plan *plan;   /* what was merged; NULL = not known */
	const char *no_plan;           /* why not, in words; may be NULL */
	const struct pgo_account
		*account; /* of the conversion; NULL = it was converted by others */
	const struct pgo_fit_file *files;
	size_t n_files;
	/*
	 * The last good result: a converted file, or a directory with files of the same base names
	 * as `files`.  NULL = there is none.
	 */
	const char *last_good;
	/* Directories or files like it, oldest first, of the results published before: for flips. */
	const char *const *published;
	size_t n_published;
	const struct pgo_gate_limits *limits; /* NULL = defaults; history is in it */
	int64_t newest_ns;                    /* time of the newest mass; 0 = by the plan */
	int64_t now_ns;                       /* 0 = pgo_now() */
	bool no_acceptance;                   /* do not start compilers */
	/* Programs to ask; NULL = the newest of each on PATH and in /usr/lib/llvm-N/bin.  gcc is the
	 * one on PATH, or of `gcc_release`. */
	const char *gcc, *clang, *llvm_profdata, *llvm_bolt;
	unsigned gcc_release; /* that the .afdo is for; 0 = unknown */
};

/*
 * Appends the gates to `ret` (initialised).  Negative only if the check itself could not be done
 * (memory, a binary that cannot be read): a profile that fails, or cannot be read, is a row.
 */
int pgo_fit_check(
	const struct pgo_fit_inputs *in, struct pgo_gates *ret, struct pgo_err *err) PGO_MUST_CHECK;
/* The gate over results in the order of time (three at least), for who has views of them. */
int pgo_fit_flips_gate(struct pgo_gates *g, const struct pgo_gate_limits *limits,
	const struct pgo_fit_view *const *v, size_t n, struct pgo_strtab *strs,
	struct pgo_err *err) PGO_MUST_CHECK;
/* The outputs of a conversion as files to be checked: an array (pgo_free) of outputs->n; NULL when
 * out of memory. */
struct pgo_fit_file *pgo_fit_files_of(const struct pgo_outputs *outputs);

#endif
