/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Units of work from a table (verify/csv.h): how much was done while a profile was taken.
 *
 *	file,requests             host,start,end,requests
 *	before/web1.pb.gz,120000  web1,2026-11-20T10:00:00Z,2026-11-20T11:00:00Z,431000
 *
 * The column that is none of file, host, start, end is the unit; of several, requests.
 *
 * By file: the row belongs to the profile whose path is that or ends in "/" and that (for a file
 * of many hosts the row has a host too).  A row that fits two profiles is an error.  By host and
 * time: a profile gets of each row of its host the part of the row's time that it covers; profiles
 * without a duration share the row's work among them.  A profile of which the rows cover less
 * than 90 % of the time has no work.
 *
 * Times: 2026-11-20T10:00:00Z, 2026-11-20, @seconds, or a plain number: seconds since 1970, of 12
 * digits or more milliseconds, of 18 or more nanoseconds.
 */
#ifndef PGO_VERIFY_WORK_H
#define PGO_VERIFY_WORK_H

#include "pgo/core/err.h"
#include "verify/costs.h"
#include "verify/verify.h"

struct pgo_work_row {
	const char *file, *host; /* NULL = not given */
	int64_t start_ns, end_ns;
	double work;
	size_t line;
	uint64_t used; /* replicates that got of it */
};

struct pgo_work {
	struct pgo_work_row *row;
	size_t n, room;
	char *name; /* of the file, for messages */
	char *unit; /* "requests": the header of the column */
	struct pgo_csv *csv;
};

/* PGO_EFORMAT with the line for what is wrong in it. */
int pgo_work_parse(struct pgo_work *w, const char *name, const char *text, size_t len,
	struct pgo_err *err) PGO_MUST_CHECK;
int pgo_work_read(struct pgo_work *w, const char *path, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_work_fini(struct pgo_work *w);
/* Fills work of the replicates; those that none fits get -1. */
int pgo_work_apply(struct pgo_work *w, struct pgo_costs *c, struct pgo_verdict_work *ret,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
