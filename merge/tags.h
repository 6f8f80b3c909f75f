/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels as filters: which samples to take, and which of their labels to keep.
 *
 * An expression is what `go tool pprof` takes for -tagfocus and -tagignore:
 *	REGEX[,REGEX...]	each expression matches some "KEY:VALUE" of the sample
 *	KEY=REGEX[,REGEX...]	some expression matches a value of that label
 *	[KEY=]64kb		a numeric label is that much; 64kb: at least, :64kb at most,
 *				64kb:1mb from and to
 * Regular expressions are POSIX extended ones and may match anywhere in the text.  A numeric label
 * without a unit has the unit that its key names, or is bytes if the key is "request" or "alignment".
 * Amounts of different dimensions are compared as they stand.
 */
#ifndef PGO_MERGE_TAGS_H
#define PGO_MERGE_TAGS_H

#include "pgo/core/err.h"
#include "pgo/core/profile.h"

struct pgo_tag_options {
	const char *focus;  /* only samples that this fits; NULL = all */
	const char *ignore; /* no sample that this fits; NULL = none */
	const char *keep; /* KEY[,KEY...]: labels to keep apart, of those kept at all; NULL = all */
};

/* Compiled; does not change, so several threads may use it. */
struct pgo_tags;
/* PGO_EUSAGE says what is wrong with an expression. */
struct pgo_tags *pgo_tags_new(const struct pgo_tag_options *o, struct pgo_err *err);
void pgo_tags_free(struct pgo_tags *t);
/* Is there anything in it that leaves samples out? */
bool pgo_tags_filter(const struct pgo_tags *t);
bool pgo_tags_keep(const struct pgo_tags *t, const char *key);

/* What is known of the strings of one input, so that each is matched once; owned by who asks. */
struct pgo_tag_seen;
struct pgo_tag_seen *pgo_tag_seen_new(void);
void pgo_tag_seen_reset(struct pgo_tag_seen *c);
void pgo_tag_seen_free(struct pgo_tag_seen *c);
/* 1: take the sample, 0: leave it out, or PGO_ENOMEM. */
int pgo_tags_take(const struct pgo_tags *t, struct pgo_tag_seen *c, const struct pgo_profile *head,
	const struct pgo_sample *s);

#endif
