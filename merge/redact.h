/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles without the names that must not leave the house.
 *
 * A name is hidden if a deny pattern fits it, or if there are allow patterns and none fits; without
 * any pattern every name is hidden or, for who only wants rare functions gone, none.  Names are those of functions (a function is hidden if its name,
 * its linkage name or its source file is), of their source files, and of mapped files.  What is
 * hidden becomes
 *	h:<32 hex digits>	with a key: the first half of HMAC-SHA-256 over "function\0NAME" or
 *				"file\0NAME", so the same key gives the same name everywhere, and
 *				profiles can be merged and compared afterwards; a function is hashed by
 *				its linkage name if it has one, since that is the same whoever
 *				demangled it; name and linkage name become the same
 *	[hidden]		without
 * and loses its lines.  A name that has the form of a hash already stays, so that to redact twice is
 * to redact once.  A function that fewer than `min_hosts` hosts ran (hosts.h) becomes [rare], key or
 * not.  Comments go, but those that only hold digests and days of inputs; so do the URL of the documentation
 * and the expressions for frames to drop or keep; of labels those stay that are named, if no deny
 * pattern fits their value.  Build-ids, addresses, types and units stay: who has the binary can find
 * the names of addresses again.
 *
 * Patterns are globs over the whole name (* ? [...], and * fits slashes too); with ~ in front,
 * POSIX extended regular expressions that may match anywhere in it.
 */
#ifndef PGO_MERGE_REDACT_H
#define PGO_MERGE_REDACT_H

#include "merge/hosts.h"
#include "merge/tags.h"
#include "pgo/core/err.h"
#include "pgo/core/profile.h"

#include <stdbool.h>

#define PGO_REDACT_HIDDEN "[hidden]"
#define PGO_REDACT_RARE "[rare]"

struct pgo_redact;
struct pgo_redact *pgo_redact_new(struct pgo_err *err);
void pgo_redact_free(struct pgo_redact *r);
int pgo_redact_add_pattern(
	struct pgo_redact *r, bool allow, const char *pattern, struct pgo_err *err) PGO_MUST_CHECK;
/* What happens to names where there is no pattern at all; false at first. */
void pgo_redact_set_all(struct pgo_redact *r, bool all);
/* A file of patterns, one a line: `deny PATTERN` or `allow PATTERN`; # begins a comment. */
int pgo_redact_add_file(struct pgo_redact *r, const char *path, struct pgo_err *err) PGO_MUST_CHECK;
/* A file of at least 16 bytes that nobody but its owner may read; a newline at the end is not part of
 * the key. */
int pgo_redact_set_key(struct pgo_redact *r, const char *path, struct pgo_err *err) PGO_MUST_CHECK;
/* The labels that may stay: those that `tags` keeps (borrowed; NULL = none). */
void pgo_redact_set_labels(struct pgo_redact *r, const struct pgo_tags *tags);
bool pgo_redact_hides(const struct pgo_redact *r, const char *name);

struct pgo_redact_account {
	uint64_t functions, functions_hidden, functions_rare, files_hidden, comments_dropped,
		labels_dropped;
};

/* In place; what became equal is left for a merge to unite.  `hosts` may be NULL: nothing is rare. */
int pgo_redact_apply(const struct pgo_redact *r, const struct pgo_hosts *hosts,
	struct pgo_profile *p, struct pgo_redact_account *ret, struct pgo_err *err) PGO_MUST_CHECK;

/*
 * The proof, over a profile read from what was written: calls `each` with a sentence for every string
 * that a redaction by these rules would not have left, wherever it stands, used or not.  What it
 * cannot know is how many hosts ran a function.
 */
typedef void pgo_redact_finding(void *ctx, const char *sentence);
int pgo_redact_check(const struct pgo_redact *r, const struct pgo_profile *p,
	pgo_redact_finding *each, void *ctx, uint64_t *ret_findings,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
