/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader and the writer of .afdo share; the layout is drawn in fmt_gcc.c. */
#ifndef PGO_CONVERT_FMT_GCC_H
#define PGO_CONVERT_FMT_GCC_H

#include "convert/format.h"

#define PGO_AFDO_MAGIC 0x67636461u
#define PGO_AFDO_MAGIC_SWAPPED 0x61646367u
#define PGO_AFDO_VERSION_704 0x3430372au
#define PGO_AFDO_TAG_SUMMARY 0xa8000000u
#define PGO_AFDO_TAG_NAMES 0xaa000000u
#define PGO_AFDO_TAG_FUNCTIONS 0xac000000u
#define PGO_AFDO_TAG_MODULES 0xae000000u
#define PGO_AFDO_TAG_WORKING_SET 0xaf000000u
#define PGO_AFDO_N_WORKING_SETS 128
#define PGO_AFDO_WORKING_SET_WORDS (PGO_AFDO_N_WORKING_SETS * 3)
#define PGO_AFDO_HIST_TYPE_INDIRECT_CALL 7
#define PGO_AFDO_NO_FILE UINT32_MAX

/* The `write` of pgo_format_gcc. */
int pgo_gcc_write(const struct pgo_fnprof *p, const struct pgo_format_options *o,
	struct pgo_buf *out, struct pgo_err *err);

#endif
