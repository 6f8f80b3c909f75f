/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Releases into a store and out of it (pgo/release.h says what lies there).  Readers never see half a
 * release: objects are named by their content and come first, the index is one object and comes last;
 * in a directory that `pgo get` fills, release.json does.
 */
#ifndef PGO_PUBLISH_H
#define PGO_PUBLISH_H

#include "fetch/http.h"
#include "pgo/conf.h"
#include "pgo/core/err.h"
#include "pgo/release.h"

#include <stdbool.h>

struct pgo_publish_options {
	const char *url;
	const char *sign_with; /* NULL = no signature */
	bool merged;           /* the merged profile as well */
	struct pgo_http_options http;
};

struct pgo_publish_result {
	char id[64];                    /* of the result */
	char release[65];               /* digest of its document */
	bool unchanged;                 /* the index said so before */
	uint64_t files, present, bytes; /* of them; there before; bytes of the new ones */
};

/* A result of the target: `id` "" = last-good.  PGO_EEMPTY: there is none. */
int pgo_publish(const struct pgo_conf *c, const struct pgo_target *t, const char *id,
	const struct pgo_publish_options *o, struct pgo_publish_result *ret,
	struct pgo_err *err) PGO_MUST_CHECK;

struct pgo_obtain_options {
	const char *url;
	const char *to;          /* a directory; with `kind` a file */
	const char *kind;        /* only this one; NULL = all */
	const char *verify_with; /* NULL = signatures are not looked at */
	struct pgo_http_options http;
};

struct pgo_obtain_result {
	bool changed; /* there are new files */
	bool has;     /* a release is there, and whole */
	bool away;    /* the store could not be asked, or gave what cannot be used: `why` */
	struct pgo_release release; /* what is there now */
	uint64_t files, bytes;      /* that came */
	struct pgo_err why;
};

/*
 * Fills *ret (pgo_obtain_fini, also after a failure).  A store that is away is no failure, and leaves
 * what is there; a bad signature (PGO_EMISMATCH) is one, and leaves it too.
 */
int pgo_obtain(const struct pgo_obtain_options *o, struct pgo_obtain_result *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_obtain_fini(struct pgo_obtain_result *r);

#endif
