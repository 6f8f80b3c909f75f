/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run seen from outside: metrics in a file (pgo/metrics.h), events as lines of JSON, and the mark
 * that systemd's journal wants before a message.
 *
 * Events, one object a line, written as they happen, each with one write:
 *	{"time":"...","event":"start","target":"app","tool":"pgo 0.1.0"}
 *	{...,"event":"stage","target":"app","stage":"merge","seconds":0.25}      a stage has ended
 *	{...,"event":"gate","target":"app","id":"...","gate":"mapped","verdict":"pass","value":99.7,
 *	     "warn":95,"fail":90,"unit":"%","why":"..."}
 *	{...,"event":"decision","target":"app","decision":"published","id":"...","last_good":"...",
 *	     "reason":"..."}
 *	{...,"event":"end","target":"app","exit":0,"seconds":1.5}                with "error" if it failed
 *
 * What a run decided, and why, is read from the log and the results in the state directory: there is
 * one account of it.  Metrics are written once, by rename, when all targets are through; of targets that
 * did not run, what the state directory knows.  A file for either that cannot be written is a warning:
 * the run is not worse for it.
 *
 * Every function takes NULL for a watch that nobody asked for, and does nothing.
 */
#ifndef PGO_WATCH_H
#define PGO_WATCH_H

#include "pgo/conf.h"
#include "pgo/core/err.h"

#include <stdint.h>

struct pgo_watch;

/* `metrics`, `events`: files, NULL = none; "-" for events is standard output.  NULL with an error if the
 * file for events cannot be opened. */
struct pgo_watch *pgo_watch_open(
	const struct pgo_conf *c, const char *metrics, const char *events, struct pgo_err *err);
void pgo_watch_begin(struct pgo_watch *w, const char *target);
/* "fetch", "merge", "convert", "check", "publish": it begins, and the one before has ended. */
void pgo_watch_stage(struct pgo_watch *w, const char *stage);
void pgo_watch_fetched(struct pgo_watch *w, uint64_t listed, uint64_t fetched, uint64_t bytes);
/* `exit` of this target alone; `error` NULL if it did not fail. */
void pgo_watch_end(struct pgo_watch *w, int exit, const char *error);
/* Writes the metrics. */
void pgo_watch_close(struct pgo_watch *w);

/* "<4>" before a message of that priority (syslog's: 3 error, 4 warning, 6 note, 7 debug) where standard
 * error is systemd's journal (JOURNAL_STREAM names its device and inode), else "". */
const char *pgo_journal_mark(int priority);

#endif
