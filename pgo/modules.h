/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the modules for build systems are: beside the installed program (BINDIR/../share/pgo/modules),
 * or in the tree it was built in.
 */
#ifndef PGO_MODULES_H
#define PGO_MODULES_H

#include "pgo/core/err.h"

/* Gives the directory (pgo_free); NULL with PGO_ENOTFOUND if they are nowhere. */
char *pgo_modules_dir(struct pgo_err *err);

#endif
