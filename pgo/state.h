/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state directory of one target, STATE/NAME/: what is kept between runs, readable by `ls`.
 *
 *	README           what this directory is        format     "2": how it is laid out
 *	raw/             fetched profiles by digest (pgo/core/manifest.h)
 *	cache/           may be deleted at any time
 *	published/ID/    one directory a result, never changed: merged.pb.gz, the outputs,
 *	                 manifest.json, gates.json
 *	last-good        link to published/ID: what is in use
 *	pinned           link to published/ID while a person holds it there
 *	quarantine/ID/   candidates that failed a gate: the same, with why.txt
 *	reports/         pages and verdicts for people
 *	log.jsonl        one line a decision, only ever appended to
 *	lock             held by who changes any of this
 *
 * ID is the day (UTC) and 12 hex digits of the digest of the content: 20261120-0123456789ab.  The
 * same content is the same result, whatever day it comes again.
 *
 * A result is built in candidate.XXXXXX/, brought to the disk, renamed to its place, and put in use
 * by renaming a link over `last-good`: at each moment last-good is one whole result.  Links are
 * relative: the directory can be moved, and read where it cannot be written.
 *
 * Reading takes no lock.  Who changes something holds the lock: the kernel's, which goes with the
 * process that held it, also on NFS; where the file system has none, the file lock.held names host
 * and process, and one whose process is gone, or that is a day old, does not count.
 */
#ifndef PGO_STATE_H
#define PGO_STATE_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PGO_STATE_FORMAT 2
#define PGO_STATE_ID_SIZE 22 /* with its NUL */

struct pgo_state {
	char *target;
	char *dir, *raw, *cache, *published, *quarantine, *reports, *last_good, *pinned, *log;
	char *lock_path;
	unsigned format; /* 0: nothing is there yet */
	int lock;        /* held; -1 = not */
	char *held;      /* the file of a lock without the kernel's help, or NULL */
};

/* Only paths and the format are looked at: nothing is made, and nothing need be there.  A format
 * that is newer than this program is PGO_EMISMATCH. */
int pgo_state_open(const char *root, const char *target, struct pgo_state *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Gives the lock back. */
void pgo_state_close(struct pgo_state *s);
/* Makes the directory if need be, takes the lock (waits up to `wait_ns` for it; PGO_EIO when somebody
 * else keeps it), and clears away what a killed run left.  A state of format 1 stays one:
 * pgo_state_migrate() makes it new. */
int pgo_state_lock(struct pgo_state *s, int64_t wait_ns, struct pgo_err *err) PGO_MUST_CHECK;

/* Where format 1 has the outputs of its one result. */
struct pgo_state_old_output {
	const char *name; /* `path` in its manifest */
	const char *path;
};
/* Under the lock: format 1 -> 2; does nothing to the present one.  What was published stays so if all
 * of it is there, and is put into quarantine if not.  Can be repeated after a crash. */
int pgo_state_migrate(struct pgo_state *s, const struct pgo_state_old_output *outputs, size_t n,
	struct pgo_err *err) PGO_MUST_CHECK;

/* ---- results */

struct pgo_state_entry {
	char id[PGO_STATE_ID_SIZE];
	char *dir; /* of its files */
	bool quarantined, last_good, pinned;
	size_t first; /* line of the log about it, from 1; 0 = none (after pgo_state_order) */
};

struct pgo_state_entries {
	struct pgo_state_entry *of; /* by id, so by day; those in quarantine last */
	size_t n, room;
};

int pgo_state_list(const struct pgo_state *s, struct pgo_state_entries *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_state_entries_fini(struct pgo_state_entries *e);
/* "last-good", "pinned", an id, or as much of it, or of its hex digits, as only one has.
 * PGO_ENOTFOUND; PGO_EUSAGE if several fit. */
int pgo_state_find(const struct pgo_state *s, const struct pgo_state_entries *e, const char *word,
	const struct pgo_state_entry **ret, struct pgo_err *err) PGO_MUST_CHECK;
/* What a link points to: `ret` is "" if there is none, or it does not point to a published id. */
void pgo_state_last_good(const struct pgo_state *s, char ret[PGO_STATE_ID_SIZE]);
void pgo_state_pinned(const struct pgo_state *s, char ret[PGO_STATE_ID_SIZE]);
bool pgo_state_is_id(const char *text);
/* DIR/published/ID, or in quarantine; with /FILE if that is not NULL.  Gives it (pgo_free); NULL when
 * out of memory. */
char *pgo_state_path(const struct pgo_state *s, bool quarantined, const char *id, const char *file);
/* One of an entry's JSON files, "manifest.json" or "gates.json" (pgo_jdoc_free); NULL with an error. */
struct pgo_jval *pgo_state_doc(
	const struct pgo_state_entry *e, const char *file, struct pgo_err *err);
/* Are the merged profile and all outputs that the manifest names there, byte for byte? */
bool pgo_state_intact(const char *dir, const struct pgo_jval *manifest);
/* The name of a manifest's output among the entry's files; borrowed from it. */
const char *pgo_state_output_file(const struct pgo_jval *output);
/* The id of a result with these digests (of any text), made then. */
void pgo_state_make_id(
	int64_t time_ns, const char *const *digests, size_t n, char ret[PGO_STATE_ID_SIZE]);

/* ---- changes: under the lock */

/* A new directory DIR/candidate.XXXXXX; gives its path (pgo_free), or NULL. */
char *pgo_state_candidate(struct pgo_state *s, struct pgo_err *err);
/* Gives a directory whose files are on the disk its place.  What is there already under this id stays
 * if it is intact, else it is replaced.  The candidate is gone afterwards. */
int pgo_state_adopt(struct pgo_state *s, const char *candidate, bool quarantined, const char *id,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Out of quarantine, or into it. */
int pgo_state_move(struct pgo_state *s, const char *id, bool to_quarantine,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Removes a directory and all that is in it. */
int pgo_state_remove(const char *dir, struct pgo_err *err) PGO_MUST_CHECK;
/* Points last-good to published/ID in one step; "" takes it away. */
int pgo_state_switch(struct pgo_state *s, const char *id, struct pgo_err *err) PGO_MUST_CHECK;
/* The same for `pinned`; NULL takes the pin away. */
int pgo_state_pin(struct pgo_state *s, const char *id, struct pgo_err *err) PGO_MUST_CHECK;

/* ---- the log */

/*
 * A line:
 *	{"v":1,"seq":12,"time":"2026-11-20T12:00:00Z","target":"app","decision":"published",
 *	 "id":"20261120-...","last_good":"20261120-...","reason":"...","exit":0,"tool":"pgo 0.1.0",
 *	 "by":"run","fingerprint":"...", ...}
 * `decision`: published, unchanged, suppressed, held, quarantined, rolled_back, rejected, verified,
 * pinned, unpinned, promoted, failed, expired, collected, migrated.  `id` is the result it is about ("" if
 * none), `last_good` the one in use afterwards.  `time` never goes back; where the clock did, it is
 * the line's before, and `clock` is what the clock said.  A last line that was cut short by a crash
 * does not count, and the next one written takes its place.
 */
struct pgo_state_event {
	uint64_t seq;
	int64_t time_ns;  /* in order */
	int64_t clock_ns; /* what the clock said */
	int64_t retry_ns; /* when the decision is to be made anew; 0 = not */
	const char *decision, *id, *last_good, *reason, *tool, *by, *fingerprint; /* "" if absent */
	int exit;
	struct pgo_jval *doc; /* all of the line */
};

struct pgo_state_events {
	struct pgo_state_event *of; /* oldest first */
	size_t n, room;
	size_t damaged; /* lines that are none: passed over */
};

/* A missing log is an empty one. */
int pgo_state_log_read(const struct pgo_state *s, struct pgo_state_events *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_state_events_fini(struct pgo_state_events *e);

struct pgo_state_decision { /* NULL, 0: left out */
	const char *decision, *id, *reason, *by, *fingerprint;
	const char *last_good; /* in use afterwards; NULL = what the link says */
	int exit;
	int64_t retry_ns;
	/* More members of the line. */
	void (*more)(void *ctx, struct pgo_json *j);
	void *ctx;
};

/* Under the lock: one write, on the disk when this returns.  Passwords in URLs within `reason` are
 * taken out. */
int pgo_state_log_append(struct pgo_state *s, const struct pgo_state_decision *d,
	struct pgo_err *err) PGO_MUST_CHECK;

/*
 * Under the lock: if the last line is a person's decision (rolled_back, rejected, promoted, pinned,
 * unpinned) that the links do not show, because whoever made it was killed, makes them so.  That is
 * how these decisions are carried out, too: the line first, then this.
 */
int pgo_state_settle(struct pgo_state *s, const struct pgo_state_events *log,
	struct pgo_err *err) PGO_MUST_CHECK;

/* What the log says of one result. */
struct pgo_state_story {
	int64_t published_ns; /* by the clock of then; its day if the log does not know it */
	int64_t confirmed_ns; /* last published, promoted, or found to be as good as a newer one */
	bool withdrawn;       /* rolled back or rejected, and not promoted since */
	bool verified;
	const struct pgo_state_event *last; /* the last line about it; NULL = none */
	size_t first;                       /* number of the first, from 1; 0 = none */
};
void pgo_state_story(
	const struct pgo_state_events *log, const char *id, struct pgo_state_story *ret);
/* Brings entries of one day into the order in which they were published, too. */
void pgo_state_order(struct pgo_state_entries *e, const struct pgo_state_events *log);
/* Time since `then`, never below 0. */
int64_t pgo_state_age(int64_t then_ns, int64_t now_ns);

/* What there is for a build to use. */
struct pgo_state_standing {
	char id[PGO_STATE_ID_SIZE]; /* in use; "" = there is none */
	bool pinned;                /* a person holds it: it does not get too old */
	bool expired;               /* older than its time: builds should do without */
	bool early;                 /* published at a time that has not come yet, by this clock */
	bool verified;
	int64_t published_ns, confirmed_ns;
	int64_t age_ns;     /* since it was confirmed */
	int64_t expires_ns; /* 0 = never */
};
/* `ttl_ns` as of struct pgo_target; 0 = for ever. */
void pgo_state_standing(const struct pgo_state *s, const struct pgo_state_events *log,
	int64_t ttl_ns, int64_t now_ns, struct pgo_state_standing *ret);

#endif
