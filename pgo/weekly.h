/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One target as it stands, for the person who looks after it: what is in use and why, where its
 * profiles come from, what became of them, how gates and functions moved over the weeks.  Made from
 * the state directory alone (pgo/state.h), without a lock, so that it can be read anywhere.
 *
 *	shown     the newest result, in quarantine or not: what the last refresh looked at
 *	used      the one in use; often the same
 *	earlier   the one published before `used`: what moved since
 *
 * Two forms say the same: a page (verify/html.h) and text.  Same state, same time (pgo_now()), same
 * bytes.  A result whose manifest cannot be read is passed over with a warning.
 */
#ifndef PGO_WEEKLY_H
#define PGO_WEEKLY_H

#include "pgo/conf.h"
#include "pgo/core/buf.h"
#include "pgo/state.h"

/* Results looked back at: half a year of weeks. */
#define PGO_WEEKLY_RESULTS 26

struct pgo_weekly_result {
	const struct pgo_state_entry *entry;
	struct pgo_jval *manifest;
	int64_t time_ns;
};

/* Profiles of a host, by day. */
struct pgo_weekly_host {
	const char *host; /* "" = not known */
	double share;     /* of the weighted mass; NAN = nothing of it was used */
	uint64_t profiles;
	uint64_t *by_day; /* n_days */
};

struct pgo_weekly_map {
	struct pgo_weekly_host *hosts; /* silent ones, then by share, then name */
	size_t n_hosts, hosts_room;
	size_t silent;     /* of them: had profiles in results before, and none now */
	int64_t first_day; /* days since 1970 */
	size_t n_days;
	uint64_t earlier; /* profiles before the first day: not in by_day */
	uint64_t *cells;
};

/* What profiles were left out for, or a counter of the account. */
struct pgo_weekly_count {
	const char *what;
	uint64_t n;
};
struct pgo_weekly_counts {
	struct pgo_weekly_count *of;
	size_t n, room;
};

struct pgo_weekly {
	const char *target;
	struct pgo_state state;
	struct pgo_state_entries entries;
	struct pgo_state_events log;
	struct pgo_state_standing standing;
	struct pgo_weekly_result *results; /* oldest first */
	size_t n_results, results_room;
	const struct pgo_weekly_result *shown, *used, *earlier; /* NULL = there is none */
	const struct pgo_state_event
		*decision;                 /* the last about a result, or a failure; NULL = none */
	struct pgo_weekly_map map;         /* of `shown` */
	struct pgo_weekly_counts left_out; /* of `shown`; most first */
	int64_t now_ns;
	char *sentence;
};

/* Fills *ret (pgo_weekly_fini, also after a failure).  PGO_EEMPTY if the target was never run. */
int pgo_weekly_load(const struct pgo_conf *c, const struct pgo_target *t, struct pgo_weekly *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_weekly_fini(struct pgo_weekly *w);

/* Value of a gate in a result, or not a number. */
double pgo_weekly_gate(const struct pgo_weekly_result *r, const char *name);
/* Share of a function in a result (of its hottest ones), or not a number. */
double pgo_weekly_function(const struct pgo_weekly_result *r, const char *name);
/* One part of the account, such as "branches": what was read, and each thing that became of it
 * (`of`, without those that are 0); false if they do not add up. */
bool pgo_weekly_account(const struct pgo_weekly_result *r, const char *part, uint64_t *ret_read,
	struct pgo_weekly_counts *ret, bool *ret_nomem);
extern const char *const pgo_weekly_parts[]; /* "branches", "ranges", "plain", NULL */
/* "2 days", "5 hours" */
#define PGO_WEEKLY_AGE 32
const char *pgo_weekly_age(int64_t ns, char *ret);

void pgo_weekly_text(const struct pgo_weekly *w, struct pgo_buf *out);
void pgo_weekly_html(const struct pgo_weekly *w, struct pgo_buf *out);
/*
 * Writes both forms.  `html` NULL: into the state's reports/, under the time and decision of the
 * last refresh; else to that file, and the text beside it, under the same name with .txt ("-":
 * the page alone, to standard output).  Gives the paths (pgo_free); *ret_text may be NULL.
 */
int pgo_weekly_write(const struct pgo_weekly *w, const char *html, char **ret_html, char **ret_text,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
