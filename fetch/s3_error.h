/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a refusal of S3 and its relatives means: `Error/{Code,Message,...}` of the reply's XML, which
 * say more than the status does, as one sentence and what to do.
 */
#ifndef PGO_FETCH_S3_ERROR_H
#define PGO_FETCH_S3_ERROR_H

#include "fetch/http.h"
#include "pgo/core/err.h"

#include <stdbool.h>

/* Who asked; strings are borrowed. */
struct pgo_s3_asker {
	bool anonymous;
	const char *region; /* the requests are signed for */
};

/*
 * Sets *err to that sentence, without a word about what was asked for.  PGO_ENOTFOUND: there is no
 * such bucket or object; PGO_EUSAGE: no request of this run will be answered otherwise (keys, token,
 * clock, region); PGO_ENET: everything else.
 */
int pgo_s3_refused(
	const struct pgo_http_reply *r, const struct pgo_s3_asker *who, struct pgo_err *err);
/* The region that the reply names, if it is one and another than `region`: a string (pgo_free); NULL
 * if not, or without memory. */
char *pgo_s3_other_region(const struct pgo_http_reply *r, const char *region);

#endif
