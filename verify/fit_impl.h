/* SPDX-License-Identifier: Apache-2.0 */
/* What fit.c and fit_compare.c share: rows. */
#ifndef PGO_VERIFY_FIT_IMPL_H
#define PGO_VERIFY_FIT_IMPL_H

#include "verify/fit.h"

/* 0, or -1 when out of memory (a name of PGO_STR_NONE is that, too); no mass, no row. */
int pgo_fit_rows_put(struct pgo_fit_rows *r, uint32_t name, uint64_t place, uint64_t mass);
/* Sorts, and adds up equal ones. */
void pgo_fit_rows_finish(struct pgo_fit_rows *r);
void pgo_fit_rows_fini(struct pgo_fit_rows *r);
#endif
