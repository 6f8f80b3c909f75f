/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the keys of a bucket, or the paths of a tree, are made up:
 *
 *	prod/{service}/dt={date}/{host}/
 *
 * {NAME} stands for one or more characters but '/', as few as will do; what it stood for is a label
 * of the profile: service, host, version and build_id as what they are called, others as labels.
 * {date} is YYYY-MM-DD, {year} four digits, {month}, {day} and {hour} two each, in UTC; they are no
 * labels, but say when.  * stands for what {NAME} does, without a label.  The template describes how
 * a key begins; whatever follows it is free.
 */
#ifndef PGO_FETCH_KEY_TEMPLATE_H
#define PGO_FETCH_KEY_TEMPLATE_H

#include "pgo/core/err.h"
#include "pgo/core/manifest.h"

#include <stdbool.h>
#include <stdint.h>

#define PGO_KEY_MAX_PARTS 16

struct pgo_key_part {
	const char *text; /* of the template: literal text, or a name */
	size_t len;
	bool name;
};

struct pgo_key_template {
	char *text;
	struct pgo_key_part part[PGO_KEY_MAX_PARTS];
	size_t n;
};

/* Keeps a copy of `text`.  PGO_EUSAGE for an unclosed brace, an unusable name, two names in a row. */
int pgo_key_template_init(
	struct pgo_key_template *t, const char *text, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_key_template_fini(struct pgo_key_template *t);
/* Length of the literal text that every key begins with. */
size_t pgo_key_template_fixed(const struct pgo_key_template *t);
/*
 * Does the key begin as the template says?  Then the record (if not NULL) gets the labels it does
 * not have yet.  1, 0, or a negative code (memory).
 */
int pgo_key_template_match(const struct pgo_key_template *t, const char *key,
	struct pgo_record *rec, struct pgo_err *err) PGO_MUST_CHECK;
/* May a profile under this key be of the time range [since, until)? 0 = open.  False only if the key
 * says a day, or an hour, that lies outside of it by more than a day. */
bool pgo_key_template_in_time(
	const struct pgo_key_template *t, const char *key, int64_t since_ns, int64_t until_ns);
/*
 * The prefixes to list: the literal beginning; or, if a {date} follows it and the time range has a
 * beginning and at most PGO_KEY_MAX_DAYS days, one for each day from a day before it to a day after
 * its end (or after `now`).  Calls `each` in order.
 */
#define PGO_KEY_MAX_DAYS 400
int pgo_key_template_prefixes(const struct pgo_key_template *t, int64_t since_ns, int64_t until_ns,
	int64_t now_ns, int (*each)(void *ctx, const char *prefix, struct pgo_err *err), void *ctx,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
