/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few facts about an ELF file that the instrument needs: kind, build-id, loadable segments.
 * 64-bit little-endian files only. Reads headers and notes with bounds checks, nothing else.
 */
#ifndef TESTS_EMU_EMUELF_H
#define TESTS_EMU_EMUELF_H

#include <stdint.h>

#define EMU_ELF_LOADS 16

struct emu_elf {
	uint16_t type, machine; /* ET_*, EM_* */
	unsigned n_loads;
	struct {
		uint64_t offset, vaddr, filesz, memsz;
		uint32_t flags; /* PF_* */
	} load[EMU_ELF_LOADS];
	unsigned build_id_size; /* 0 = none */
	uint8_t build_id[20];
};

/* 0, or -1 if the file cannot be read or is no such ELF file. */
int emu_elf_read(const char *path, struct emu_elf *ret_elf);

#endif
