/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Converted profiles for those who look into them: bytes or files -> the model and a view of its mix.
 */
#ifndef PGO_FIT_FILES_H
#define PGO_FIT_FILES_H

#include "convert/format.h"
#include "convert/output.h"
#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "verify/fit.h"

struct pgo_fit_loaded {
	char *name; /* as in messages */
	enum pgo_output_kind kind;
	struct pgo_fnprof *fnprof; /* one of the two */
	struct pgo_fdata *fdata;
	const struct pgo_format *format; /* of the fnprof */
	struct pgo_fit_view view;
	uint64_t functions; /* with any count */
};

/* Which output the bytes are: of gcc, clang or llvm-bolt.  False for anything else. */
bool pgo_fit_kind_of(const void *data, size_t len, enum pgo_output_kind *ret);
/* Fills *ret (pgo_fit_loaded_fini).  PGO_EFORMAT if damaged, PGO_EEMPTY without any count. */
int pgo_fit_load_bytes(const char *name, const void *data, size_t len, struct pgo_strtab *strs,
	struct pgo_fit_loaded *ret, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_fit_load_file(const char *path, struct pgo_strtab *strs, struct pgo_fit_loaded *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_fit_loaded_fini(struct pgo_fit_loaded *l);

#endif
