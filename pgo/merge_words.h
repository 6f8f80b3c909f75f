/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options that decide what a merged profile is made of, which `pgo merge` and `pgo plan` share:
 * weights, which a plan settles once and for all, and content, which every shard must treat alike.
 *
 * A plan keeps the second kind as words of a command line, so that an option needs only to be in the
 * table to reach the shards.
 */
#ifndef PGO_MERGE_WORDS_H
#define PGO_MERGE_WORDS_H

#include "merge/merge.h"
#include "pgo/core/err.h"
#include "pgo/core/opt.h"
#include "pgo/operands.h"
#include "pgo/weights.h"

/* The first member of a command's values. */
struct pgo_merge_words {
	const char *binary, *target, *tag_focus, *tag_ignore, *tag_keep;
	const char *mode, *class_mix, *class_label, *blend;
	struct pgo_opt_list class_of, probability;
	int64_t half_life, window, now;
	double host_cap;
	uint64_t min_samples;
	bool keep_labels, season, no_probability, outliers, allow_outliers, no_origins;
};

#define PGO_MERGE_AT(field) offsetof(struct pgo_merge_words, field)

/* clang-format off */
#define PGO_MERGE_WEIGHT_OPTS \
	{"Weights (without these every profile counts as it is)", 0, NULL, NULL, PGO_OPT_GROUP, 0}, \
	{"half-life", 0, "TIME", "a profile this much older than the newest counts half: 7d", \
		PGO_OPT_DURATION, PGO_MERGE_AT(half_life)}, \
	{"window", 0, "TIME", "leave out profiles older than this: 21d", PGO_OPT_DURATION, \
		PGO_MERGE_AT(window)}, \
	{"host-cap", 0, "FACTOR", "no host counts more than this many times the median host: 3", \
		PGO_OPT_DOUBLE, PGO_MERGE_AT(host_cap)}, \
	{"now", 0, "TIME", "what age is measured from (default: the newest profile)", PGO_OPT_TIME, \
		PGO_MERGE_AT(now)}, \
	{"season", 0, NULL, "let each hour of the week count alike, within a factor of 3", \
		PGO_OPT_FLAG, PGO_MERGE_AT(season)}, \
	{"mode", 0, "MODE", "fleet-cost (default), or equal-host: every host counts alike", \
		PGO_OPT_STR, PGO_MERGE_AT(mode)}, \
	{"sampling-probability", 0, "[PATTERN=]Q", \
		"inputs of these names were taken with probability Q, whatever their label says " \
		"(repeatable)", \
		PGO_OPT_LIST, PGO_MERGE_AT(probability)}, \
	{"no-sampling-probability", 0, NULL, "pay no heed to the label sampling_probability", \
		PGO_OPT_FLAG, PGO_MERGE_AT(no_probability)}, \
	{"target", 0, "APP", \
		"profiles of other builds count as far as APP still has their functions", \
		PGO_OPT_STR, PGO_MERGE_AT(target)}, \
	{"class", 0, "NAME=SHARE,...", "bring classes to these shares: field=75,benchmark=25", \
		PGO_OPT_STR, PGO_MERGE_AT(class_mix)}, \
	{"class-label", 0, "KEY", "the label that names a profile's class (default class)", \
		PGO_OPT_STR, PGO_MERGE_AT(class_label)}, \
	{"class-of", 0, "NAME=PATTERN", "inputs of these names are of that class (repeatable)", \
		PGO_OPT_LIST, PGO_MERGE_AT(class_of)}, \
	{"blend", 0, "FILE[=BETA]", "add the last good profile, at BETA of its mass (default 0.25)", \
		PGO_OPT_STR, PGO_MERGE_AT(blend)}, \
	{"Outliers", 0, NULL, NULL, PGO_OPT_GROUP, 0}, \
	{"drop-outliers", 0, NULL, "leave out profiles that are not like the others", PGO_OPT_FLAG, \
		PGO_MERGE_AT(outliers)}, \
	{"allow-outliers", 0, NULL, "the same, even if they have more than 10 % of the mass", \
		PGO_OPT_FLAG, PGO_MERGE_AT(allow_outliers)}, \
	{"min-samples", 0, "N", "too few to tell one that is not like the others (default 200)", \
		PGO_OPT_U64, PGO_MERGE_AT(min_samples)}

#define PGO_MERGE_CONTENT_OPTS \
	{"Content", 0, NULL, NULL, PGO_OPT_GROUP, 0}, \
	{"keep-labels", 0, NULL, "keep the labels of samples apart (default: drop them)", \
		PGO_OPT_FLAG, PGO_MERGE_AT(keep_labels)}, \
	{"tag-keep", 0, "KEY,...", "keep these labels, and no others", PGO_OPT_STR, PGO_MERGE_AT(tag_keep)}, \
	{"tag-focus", 0, "EXPR", "only samples whose labels fit: host=web-.*, or latency=10ms:", \
		PGO_OPT_STR, PGO_MERGE_AT(tag_focus)}, \
	{"tag-ignore", 0, "EXPR", "no samples whose labels fit", PGO_OPT_STR, PGO_MERGE_AT(tag_ignore)}, \
	{"no-origins", 0, NULL, "do not write into the result which inputs are in it", PGO_OPT_FLAG, \
		PGO_MERGE_AT(no_origins)}, \
	{"binary", 'b', "APP", "ELF file that helps to place the addresses of recordings", \
		PGO_OPT_STR, PGO_MERGE_AT(binary)}
/* clang-format on */

/* What weights are made of; gives *ret (pgo_weights_fini), which must not move. */
int pgo_merge_words_weights(const struct pgo_merge_words *w, struct pgo_weights *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
/* The last good profile behind the others; then what each input is. */
int pgo_merge_words_inputs(
	const struct pgo_weights *w, struct pgo_operands *s, struct pgo_err *err) PGO_MUST_CHECK;
/* Content: fills keep_labels and tags of *ret (pgo_merge_words_options_fini). */
int pgo_merge_words_options(const struct pgo_merge_words *w, struct pgo_merge_options *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_merge_words_options_fini(struct pgo_merge_options *o);
/* Content as words of a command line: a list to be freed with its texts (pgo_merge_args_free). */
int pgo_merge_words_args(const struct pgo_merge_words *w, struct pgo_opt_list *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_merge_args_free(struct pgo_opt_list *l);
/* The other way; *ret borrows from `args`. */
int pgo_merge_words_parse(struct pgo_merge_words *ret, char *const *args, size_t n,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_merge_words_fini(struct pgo_merge_words *w);

#endif
