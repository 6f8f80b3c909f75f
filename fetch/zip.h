/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in a ZIP archive that is in memory: by its central directory, stored or deflated, each
 * checked by its CRC-32 and its length.  A deflated file is given to the one inflater there is, as a
 * gzip member made of the same bytes.  Encrypted ones, other methods, archives in several parts and
 * ZIP64 are refused by name.  Source of the format: APPNOTE.TXT of PKWARE.
 */
#ifndef PGO_FETCH_ZIP_H
#define PGO_FETCH_ZIP_H

#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int pgo_zip_each(
	void *ctx, const char *name, const void *bytes, size_t len, struct pgo_err *err);

bool pgo_zip_probe(const void *data, size_t len);
/* Calls `each` for every file in it (not for directories); a non-zero result ends it and is
 * returned.  All files together may inflate to `max` bytes. */
int pgo_zip_read(const void *data, size_t len, uint64_t max, pgo_zip_each *each, void *ctx,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
