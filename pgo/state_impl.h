/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of state.h only. */
#ifndef PGO_STATE_IMPL_H
#define PGO_STATE_IMPL_H

#include "pgo/state.h"

/* This is the present format from now on. */
int pgo_state_write_format(struct pgo_state *s, struct pgo_err *err) PGO_MUST_CHECK;
/* Waits for the disk to know the names in a directory; file systems that cannot do without. */
void pgo_state_sync_dir(const char *dir);

#endif
