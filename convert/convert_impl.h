/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of a conversion: what convert.c (the object and its run), intake.c (reading profiles) and
 * figures.c (the account, and errors that explain it) share.
 */
#ifndef PGO_CONVERT_CONVERT_IMPL_H
#define PGO_CONVERT_CONVERT_IMPL_H

#include "convert/convert.h"
#include "convert/pass.h"

struct pgo_convert {
	struct pgo_convert_options o;
	struct pgo_elf *elf;
	struct pgo_elf *debug_elf; /* for its symbols, if the binary is stripped */
	struct pgo_ranges ranges;
	struct pgo_codefns fns;
	struct pgo_lines *lines;
	struct pgo_fnprof *fnprof;
	struct pgo_fdata *fdata;
	struct pgo_account account;
	char *event;           /* sample type of the plain samples */
	bool executions;       /* every profile with traces estimates executions */
	char other_build[129]; /* a build-id that a file of the binary's name had */
	char *other_file;      /* a file that is not the binary */
};

/* What could have been the binary's is what counts: samples in other programs and libraries say
 * nothing about the match. */
double pgo_convert_mapped_share(const struct pgo_account *a);
/* Functions, hottest, density; names go into `names`. 0 or -1 (memory). */
int pgo_convert_figures(struct pgo_convert *c, const struct pgo_pass *p, struct pgo_strtab *names);
/* Nothing of the profile is the binary's: says what it is of. */
int pgo_convert_nothing_fits(const struct pgo_convert *c, struct pgo_err *err);
/* There were samples of the binary, but no instruction can be said to have run: says why. */
int pgo_convert_nothing_ran(const struct pgo_convert *c, struct pgo_err *err);

#endif
