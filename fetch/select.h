/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which profiles to take: a time range and label matchers in the notation of PromQL,
 *	service="shop"   host!="web-3"   host=~"web-[0-9]+"   zone!~"test|dev"
 * several in one text with commas and, if you like, braces around.  All must hold.  Expressions are
 * POSIX extended ones and must match the whole value.  A label that is not there has the value "".
 * `host`, `service` and `version` are what the record says of them; `build_id` matches if any
 * build-id of the profile does (and != and !~ if none does); other keys are labels.
 */
#ifndef PGO_FETCH_SELECT_H
#define PGO_FETCH_SELECT_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/manifest.h"

#include <regex.h>
#include <stdbool.h>
#include <stdint.h>

enum pgo_matcher_op { PGO_MATCH_IS, PGO_MATCH_NOT, PGO_MATCH_LIKE, PGO_MATCH_UNLIKE };

struct pgo_matcher {
	char *key, *value;
	enum pgo_matcher_op op;
	regex_t re; /* of LIKE and UNLIKE */
};

struct pgo_selection {
	int64_t since_ns, until_ns; /* since <= time < until; 0 = open */
	struct pgo_matcher *matchers;
	size_t n_matchers, matchers_room;
	const char *const *types; /* borrowed: names of sample types, one of which a profile must
				     have; none = any */
	size_t n_types;
};

void pgo_selection_init(struct pgo_selection *s);
void pgo_selection_fini(struct pgo_selection *s);
/* Adds the matchers of one text; PGO_EUSAGE says what is wrong with it and where. */
int pgo_selection_add(
	struct pgo_selection *s, const char *text, struct pgo_err *err) PGO_MUST_CHECK;
bool pgo_selection_takes(const struct pgo_selection *s, const struct pgo_record *r);
/* The same for what a store cannot judge that applies all the rest: matchers of build_id. */
bool pgo_selection_takes_build(const struct pgo_selection *s, const struct pgo_record *r);
/* Writes `key="value"`, with the key under another name if you like, as PromQL has it. */
void pgo_matcher_write(const struct pgo_matcher *m, const char *key, struct pgo_buf *out);

#endif
