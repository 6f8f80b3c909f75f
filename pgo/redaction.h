/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redaction as the commands offer it: the options that `pgo merge` and `pgo check-redaction` share,
 * and the steps from them to a profile that was redacted and the proof of it.
 */
#ifndef PGO_REDACTION_H
#define PGO_REDACTION_H

#include "merge/redact.h"
#include "pgo/core/err.h"
#include "pgo/core/opt.h"

struct pgo_redaction_values {
	const char *key, *names;
	struct pgo_opt_list deny, allow;
	uint64_t min_hosts;
	bool all;
};

/* Rows of a table of options; `member` is the struct pgo_redaction_values in `type`. */
#define PGO_REDACTION_OPTS(type, member)                                                           \
	{"redact", 0, NULL, "hide the names of all functions and files", PGO_OPT_FLAG,             \
		offsetof(type, member.all)},                                                       \
		{"redact-deny", 0, "PATTERN", "hide the names that fit; may be given again",       \
			PGO_OPT_LIST, offsetof(type, member.deny)},                                \
		{"redact-allow", 0, "PATTERN",                                                     \
			"hide all names but those that fit; may be given again", PGO_OPT_LIST,     \
			offsetof(type, member.allow)},                                             \
		{"redact-names", 0, "FILE", "patterns, one a line: deny PATTERN, allow PATTERN",   \
			PGO_OPT_STR, offsetof(type, member.names)},                                \
	{                                                                                          \
		"redact-key", 0, "FILE",                                                           \
			"hide names by a keyed hash, so that equal ones stay equal", PGO_OPT_STR,  \
			offsetof(type, member.key)                                                 \
	}

/* Is there any redaction in these values? */
bool pgo_redaction_asked(const struct pgo_redaction_values *v);
void pgo_redaction_fini(struct pgo_redaction_values *v);
/* NULL and 0 where none was asked for.  `tags` (may be NULL) says which labels stay; borrowed. */
int pgo_redaction_compile(const struct pgo_redaction_values *v, const struct pgo_tags *tags,
	struct pgo_redact **ret, struct pgo_err *err) PGO_MUST_CHECK;
/* Redacts `*p` and unites what became equal; `*p` is replaced (and is gone after a failure). */
int pgo_redaction_apply(const struct pgo_redact *r, const struct pgo_hosts *hosts, bool keep_labels,
	struct pgo_profile **p, struct pgo_redact_account *ret, struct pgo_err *err) PGO_MUST_CHECK;
/* Reads the bytes again that are about to be written: PGO_EIO, with what was found, if a name is in
 * them that must not be. */
int pgo_redaction_prove(const struct pgo_redact *r, const char *name, const void *data, size_t len,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
