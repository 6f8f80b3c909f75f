/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `pgo show`: views of every file the program reads or writes.  A view appends text for people, or
 * one JSON object, to a buffer.
 */
#ifndef PGO_SHOW_H
#define PGO_SHOW_H

#include "convert/fdata.h"
#include "convert/fnprof.h"
#include "convert/preagg.h"
#include "convert/propeller.h"
#include "fetch/import.h"
#include "pgo/core/buf.h"
#include "pgo/core/elf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"
#include "pgo/core/profile.h"

struct pgo_show {
	const char *path;
	const char *function; /* only this one, in full; NULL = summary */
	size_t top;           /* rows of lists; 0 = all */
	bool all;             /* everything: all functions in full, all edges */
	struct pgo_buf *out;
	struct pgo_json *json; /* NULL = text */
};

/* pgo/show_profile.c: pprofs, and recordings once imported. */
int pgo_show_reader(const struct pgo_show *s, const char *kind, struct pgo_reader *r,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_show_import_stats(const struct pgo_show *s, const struct pgo_import_stats *stats);
/* How executions were estimated, or why not. */
void pgo_show_import_estimates(const struct pgo_show *s, const struct pgo_imported *in);
/* pgo/show_output.c: what the converters make, and programs. PGO_ENOTFOUND if `function` is not in
 * the profile. */
int pgo_show_fnprof(const struct pgo_show *s, const char *kind, const struct pgo_fnprof *p,
	struct pgo_err *err) PGO_MUST_CHECK;
int pgo_show_fdata(
	const struct pgo_show *s, const struct pgo_fdata *f, struct pgo_err *err) PGO_MUST_CHECK;
/* pgo/show_layout.c */
int pgo_show_preagg(
	const struct pgo_show *s, const struct pgo_preagg *p, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_show_propeller(const struct pgo_show *s, const struct pgo_propeller *p,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_show_elf(const struct pgo_show *s, const struct pgo_elf *e);
/* One JSON object or one per line. */
int pgo_show_json_file(
	const struct pgo_show *s, const char *data, size_t len, struct pgo_err *err) PGO_MUST_CHECK;

#endif
