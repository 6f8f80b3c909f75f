/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debug information from debuginfod servers, by build-id, through libdebuginfod.
 *
 * Only on request: nothing else in a conversion touches the network.  The library is loaded when it
 * is first needed, so the program neither links with it nor needs it.  Servers are those of the
 * environment variable DEBUGINFOD_URLS; the library keeps what it got in its own cache.
 */
#ifndef PGO_CONVERT_DEBUGINFOD_H
#define PGO_CONVERT_DEBUGINFOD_H

#include "pgo/core/err.h"

/* Gives the path of the debug file (pgo_free).  NULL and PGO_ENOTFOUND: no library, no servers named,
 * or no server has it; the sentence says which. */
char *pgo_debuginfod_find(const char *build_id, struct pgo_err *err);

#endif
