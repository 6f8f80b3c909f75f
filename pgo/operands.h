/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profiles a user names on a command line: files, directories of files, and what `pgo fetch`
 * made (then its manifest tells host and time).  "-" is standard input.
 */
#ifndef PGO_OPERANDS_H
#define PGO_OPERANDS_H

#include "pgo/core/err.h"
#include "pgo/core/manifest.h"
#include "pgo/input.h"
#include "pgo/merge_inputs.h"

struct pgo_operands {
	struct pgo_merge_input
		*in; /* in the order named, directories sorted; strings are owned below */
	size_t n, room;
	char **paths;
	size_t n_paths, paths_room;
	struct pgo_manifest *manifests; /* records that inputs borrow from */
	size_t n_manifests, manifests_room;
};

/* `s` starts as zeros.  A directory without a profile is PGO_EEMPTY; files in it that are none are
 * skipped with a note. */
int pgo_operands_add(struct pgo_operands *s, const char *path, struct pgo_err *err) PGO_MUST_CHECK;
/* One profile of a directory made by fetch; `record` is borrowed while `s` lives. */
int pgo_operands_add_record(struct pgo_operands *s, const char *dir,
	const struct pgo_record *record, struct pgo_err *err) PGO_MUST_CHECK;
/*
 * Opens every file in turn and calls `each` for each profile in it (one of a pprof, one per process
 * group of a recording), with a progress line that says `what`.  `o` as for pgo_input_open().  A negative result of `each` ends it and is returned.
 */
int pgo_operands_read(const struct pgo_operands *s, const struct pgo_input_options *o,
	const char *what, int (*each)(void *ctx, struct pgo_reader *r, struct pgo_err *err),
	void *ctx, struct pgo_err *err) PGO_MUST_CHECK;
/* The same, with what is known of the file each profile is in. */
int pgo_operands_visit(const struct pgo_operands *s, const struct pgo_input_options *o,
	const char *what,
	int (*each)(void *ctx, const struct pgo_merge_input *in, struct pgo_reader *r,
		struct pgo_err *err),
	void *ctx, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_operands_fini(struct pgo_operands *s);

#endif
