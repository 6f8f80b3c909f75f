/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaving functions out of a source-level profile, and saying how much of it went with them.
 *
 * A function is everything that carries its name without the tails of clones and parts
 * (convert/rules_name.h); its weight is the sum of its positions' counts, those of bodies inlined
 * into it included.  In this order:
 *
 *	drop       a POSIX extended regular expression, looked for anywhere in that name: the function
 *	           goes, its inlined bodies elsewhere too, and it is not listed as cold either
 *	min_count  functions of less weight go
 *	hottest    of what is left only so many stay, the heaviest (then by name)
 *
 * What consumers make of a function that is left out: clang and gcc up to 15 compile it as if there
 * were no profile; gcc 16 compiles it as one that never runs, for size, unless it is told
 * -fprofile-partial-training.  So a trimmed profile for gcc 16 wants that option.
 */
#ifndef PGO_CONVERT_TRIM_H
#define PGO_CONVERT_TRIM_H

#include "convert/fnprof.h"
#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"

#include <stdbool.h>
#include <stdint.h>

struct pgo_trim_options {
	const char *drop;   /* borrowed; NULL = none */
	uint64_t min_count; /* 0 = none */
	uint64_t hottest;   /* 0 = all */
};

enum pgo_trim_why { PGO_TRIM_DROP, PGO_TRIM_MIN_COUNT, PGO_TRIM_HOTTEST, PGO_N_TRIMS };

struct pgo_trim_account {
	bool asked;
	uint64_t counts, functions; /* there were */
	struct {
		uint64_t counts, functions; /* PGO_TRIM_DROP: counts of inlined bodies too */
	} cut[PGO_N_TRIMS];
};

bool pgo_trim_wanted(const struct pgo_trim_options *o);
/* PGO_EUSAGE: `drop` is no regular expression. */
int pgo_trim_check(const struct pgo_trim_options *o, struct pgo_err *err) PGO_MUST_CHECK;
/* PGO_EEMPTY: nothing would be left.  `p` is sorted before and after. */
int pgo_trim(struct pgo_fnprof *p, const struct pgo_trim_options *o, struct pgo_trim_account *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
uint64_t pgo_trim_cut(const struct pgo_trim_account *a); /* counts cut, whatever the reason */
/* Lines of the account, an object of it; nothing where nothing was asked for. */
void pgo_trim_text(const struct pgo_trim_account *a, struct pgo_buf *out);
void pgo_trim_json(const struct pgo_trim_account *a, struct pgo_json *j);

#endif
