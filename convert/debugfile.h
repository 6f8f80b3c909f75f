/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the debug information of a binary is: in itself, in a separate file that the user names,
 * or in one found by build-id or by debug link.
 *
 * Order: the files and directories the user named; the binary; /usr/lib/debug/.build-id/xx/yyyy.debug;
 * the .gnu_debuglink name in the binary's directory, in .debug/ below it, and below /usr/lib/debug;
 * if asked for, debuginfod servers.  A candidate must carry the same build-id, or, where a side has
 * none, the CRC of the debug link.
 */
#ifndef PGO_CONVERT_DEBUGFILE_H
#define PGO_CONVERT_DEBUGFILE_H

#include "pgo/core/elf.h"
#include "pgo/core/err.h"

#include <stdbool.h>

/* Where to look besides the usual places; all borrowed, all may be NULL. */
struct pgo_debug_places {
	const char *const *debug; /* separate debug files, or directories of them */
	size_t n_debug;
	const char *const *dwo_dirs; /* directories of .dwo files, or .dwp files */
	size_t n_dwo_dirs;
	bool sole; /* there is one binary: a file that is not of it is a mistake */
	bool debuginfod;
};

/*
 * Path of the file that holds the DWARF of `elf` (equal to elf->path if it is the binary); gives a
 * string (pgo_free).  PGO_ENOTFOUND with
 * the places searched; PGO_EMISMATCH if the file the user named is of another build.
 */
char *pgo_debugfile_find(
	const struct pgo_elf *elf, const struct pgo_debug_places *where, struct pgo_err *err);
/*
 * The supplement that `debug` refers to in .gnu_debugaltlink (a file name and a build-id): the name
 * as it is or from the directory of `debug`; by build-id below /usr/lib/debug and the directory the
 * user named; there by its base name too.  Gives *ret (pgo_elf_close), NULL if none is needed.
 * PGO_ENOTFOUND with the places searched.
 */
int pgo_debugfile_supplement(const struct pgo_elf *debug, const struct pgo_debug_places *where,
	struct pgo_elf **ret, struct pgo_err *err) PGO_MUST_CHECK;
/* The checksum that .gnu_debuglink stores: CRC-32 as in zlib. Pass 0 first, then the result. */
uint32_t pgo_crc32(uint32_t crc, const void *data, size_t len);

#endif
