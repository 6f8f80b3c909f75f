/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file's debug information as libdw takes it: as it is, or, if it is packed in a way that older
 * libelf does not know (zstd), unpacked into a file in memory; together with the supplement that
 * `dwz` moved what several files share to (.gnu_debugaltlink).
 */
#ifndef PGO_CONVERT_LINES_FILE_H
#define PGO_CONVERT_LINES_FILE_H

#include "convert/debugfile.h"

#include <elfutils/libdw.h>

struct pgo_dwarf_one {
	uint8_t *image;
	Elf *elf;
	Dwarf *dw;
	int fd;
};

struct pgo_dwarf_file {
	Dwarf *dw; /* borrowed from `file` */
	struct pgo_dwarf_one file, supplement;
};

/* PGO_ENOTFOUND: the supplement is missing, without which names are unknown. */
int pgo_dwarf_open(struct pgo_dwarf_file *f, const struct pgo_elf *debug,
	const struct pgo_debug_places *where, struct pgo_err *err) PGO_MUST_CHECK;
/* Also after a failure. */
void pgo_dwarf_close(struct pgo_dwarf_file *f);

#endif
