/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the debug information of a binary is: in itself, in a separate file that the user names,
 * or in one found by build-id or by debug link.  Only local files are looked at.
 *
 * Order: the file or directory the user named; the binary; /usr/lib/debug/.build-id/xx/yyyy.debug;
 * the .gnu_debuglink name in the binary's directory, in .debug/ below it, and below /usr/lib/debug.
 * A candidate must carry the same build-id, or, where a side has none, the CRC of the debug link.
 */
#ifndef PGO_CONVERT_DEBUGFILE_H
#define PGO_CONVERT_DEBUGFILE_H

#include "pgo/core/elf.h"
#include "pgo/core/err.h"

/*
 * Path of the file that holds the DWARF of `elf` (equal to elf->path if it is the binary); gives a
 * string (pgo_free).  `debug`: file or directory named by the user, or NULL.  PGO_ENOTFOUND with
 * the places searched; PGO_EMISMATCH if the file the user named is of another build.
 */
char *pgo_debugfile_find(const struct pgo_elf *elf, const char *debug, struct pgo_err *err);
/* The checksum that .gnu_debuglink stores: CRC-32 as in zlib. Pass 0 first, then the result. */
uint32_t pgo_crc32(uint32_t crc, const void *data, size_t len);

#endif
