/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The weights as users write them, on the command line or in pgo.conf -> options of a plan, and what
 * each input is.
 *
 *	class mix     field=75,benchmark=25          shares in any scale, above 0
 *	class of      benchmark=bench/PATTERN        a class and a glob of names; the first that fits
 *	probability   0.01 or PATTERN=0.01           above 0, at most 1
 *	blend         FILE or FILE=0.25
 */
#ifndef PGO_WEIGHTS_H
#define PGO_WEIGHTS_H

#include "merge/plan.h"
#include "pgo/core/err.h"
#include "pgo/plan_inputs.h"

struct pgo_weight_words { /* NULL or "" where not given; borrowed */
	const char *mode, *class_mix, *class_label, *blend, *target;
	const char *const *class_of, *const *probability;
	size_t n_class_of, n_probability;
};

struct pgo_weight_rule {
	char *pattern; /* of names or paths */
	char *class;   /* of what fits; NULL in a rule of probability */
	double probability;
};

struct pgo_weights {
	struct pgo_plan_options po; /* borrows from the rest of this */
	char *mix;                  /* with NULs where it is cut */
	struct pgo_plan_class *classes;
	struct pgo_weight_rule *class_of, *probability;
	size_t n_class_of, n_probability;
	char *blend_path; /* NULL = none */
	struct pgo_plan_target target;
	struct pgo_target_names *names;
	char build_id[129];
};

/* Starts from `po`, whose other members are kept.  Reads the target's symbols if there is one.
 * Fills *ret (pgo_weights_fini), which must not move afterwards. */
int pgo_weights_init(struct pgo_weights *ret, const struct pgo_plan_options *po,
	const struct pgo_weight_words *words, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_weights_fini(struct pgo_weights *w);
/* Class and probability of an input, by its name in the plan or its path. */
void pgo_weights_apply(const struct pgo_weights *w, struct pgo_merge_input *in);
/* Is any weight asked for? */
bool pgo_weights_any(const struct pgo_weights *w);

/* The functions of a program: names without what compilers append to clones (".isra.0"). */
struct pgo_target_names;
struct pgo_target_names *pgo_target_names_open(
	const char *path, char ret_build_id[129], struct pgo_err *err);
void pgo_target_names_free(struct pgo_target_names *t);
/* As struct pgo_plan_target has it. */
bool pgo_target_has(void *names, const char *name);

#endif
