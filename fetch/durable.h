/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether what a directory of fetch says it has is really on its disk.  Waiting for the disk after
 * every run would take longer than many a run, and objects are named by their digest anyway; so a
 * run leaves the note DIR/.unsynced, which says when the machine was started that holds the rest in
 * memory.  If the machine was started again since, it may have gone down before all was written, and
 * every object has to be held against its digest, once.  If not, nothing can be missing; the note goes
 * when the disk has had the time to catch up.
 */
#ifndef PGO_FETCH_DURABLE_H
#define PGO_FETCH_DURABLE_H

#include "pgo/core/err.h"

#include <stdbool.h>

/* Leaves the note, itself on the disk when this returns; where the kernel does not say when it was
 * started, waits for the disk instead.  `fd`: a file in the directory. */
int pgo_durable_promise(const char *dir, int fd, struct pgo_err *err) PGO_MUST_CHECK;
/* 1 if every object has to be checked, 0 if not. */
int pgo_durable_doubt(const char *dir, int fd, struct pgo_err *err) PGO_MUST_CHECK;
/* They have been. */
void pgo_durable_settle(const char *dir);

#endif
